/* SPDX-License-Identifier: MIT */
/*
 * Segments: shared memory that is whole when it can be found, reserved when it
 * is promised, and checked when it is opened.  What is below them is a sealed
 * memfd (anonymous) or a POSIX shm object (named).
 */
#ifndef MEM_SEGMENT_H
#define MEM_SEGMENT_H

#include <ipckit/defs.h>

#include "base/ident.h"

/* What a segment holds; part of the layout, so numbers are never used again. */
enum segment_kind {
	SEGMENT_USER = 1, /* ipck_shm */
	SEGMENT_POOL = 2,
	SEGMENT_PIPE = 3,
	SEGMENT_QUEUE = 4,
	SEGMENT_HEAP = 5,
	SEGMENT_DICT = 6,
	SEGMENT_ARRAY = 7,
};

/* Moved by any change to a struct that lies in a segment. */
#define SEGMENT_LAYOUT 1

/* The body begins one page behind the header, so that it is page-aligned. */
#define SEGMENT_HEADER 4096

/*
 * The common header.  Written whole by the creator before anybody else can find
 * the segment, and never again; readers check all of it.  magic goes last: where
 * the file has its name before it is filled (no O_TMPFILE), a file without magic
 * under no lock was left by a creator that was killed, and the next one takes it
 * over.
 */
struct segment_header {
	uint64_t magic;  /* SEGMENT_MAGIC in the creator's byte order */
	uint32_t layout; /* SEGMENT_LAYOUT */
	uint32_t kind;
	uint32_t word; /* sizeof(long) */
	uint32_t libc; /* which libc's mutexes lie in it: family << 16 | their size */
	uint64_t pid_namespace;
	uint64_t bytes; /* of the body, at creation */
	struct ident creator;
};

/* The handle: private to one process, copied by fork. */
struct segment {
	char *map;     /* NULL: closed */
	size_t mapped; /* bytes of map */
	size_t bytes;  /* of the body */
	int fd;
};

struct segment_plan {
	enum segment_kind kind;
	const char *name; /* NULL: anonymous */
	size_t bytes;     /* of the body: reserved at once, zeroed; 0: -EINVAL */
	size_t reserved;  /* if not 0, only so many; the rest by segment_reserve, before it is used */
	size_t reach;     /* bytes of address space for segment_grow; 0: just bytes */
	mode_t mode;      /* of a named one, nothing but permissions; 0 is 0600 */
	/* Makes what lies in it whole, before anybody can find it; 0, or -errno.  May be called
	 * again, for another file.  NULL: zeroes are. */
	int (*init)(void *body, void *arg);
	void *arg;
};

/*
 * -EINVAL, -EEXIST, -ENOSPC, -ENOMEM, -EMFILE ... A creator killed at any point
 * leaves the whole segment or none: an anonymous one goes with its last fd, a
 * named one is built nameless and gets its name by one linkat.
 */
int segment_create(struct segment *seg, const struct segment_plan *plan);

/* -ENOENT, -EPROTO, -EXDEV, -EPERM ... as ipck_shm_open says. */
int segment_open(struct segment *seg, enum segment_kind kind, const char *name, bool any_owner);

/* fd stays the caller's. */
int segment_open_fd(struct segment *seg, enum segment_kind kind, int fd, bool any_owner);

/* Makes the body of an anonymous segment at least that long, within its reach:
 * -ENOSPC.  The new bytes can be used at once by every process that has it. */
int segment_grow(struct segment *seg, size_t bytes);

/* The body is to grow behind that offset: what it leaves out, as far as it is used
 * at all, is reserved by segment_reserve.  -ENOSPC. */
int segment_skip(struct segment *seg, size_t offset);

/* Takes the memory of a part of the body back (it reads as zero) or reserves it again. */
void segment_release(struct segment *seg, size_t offset, size_t bytes);
int segment_reserve(struct segment *seg, size_t offset, size_t bytes);

void segment_close(struct segment *seg);
int segment_unlink(const char *name);

static inline void *segment_body(const struct segment *seg)
{
	return seg->map + SEGMENT_HEADER;
}

#endif
