/* SPDX-License-Identifier: MIT */
/*
 * Arena: hands out parts of a growing segment, for objects of which one process
 * alone decides where they lie.  All its state is private to that process (what
 * is handed out dies with it), so there is nothing to recover.  The caller locks.
 */
#ifndef MEM_ARENA_H
#define MEM_ARENA_H

#include "mem/segment.h"

#define ARENA_ALIGN 4096

struct extent {
	size_t offset;
	size_t bytes;
	bool reserved; /* its memory is there; else it went back to the system */
};

struct arena {
	struct segment *segment;
	size_t begin;        /* where its part of the body begins */
	struct extent *free; /* sorted by offset, no two alike (reserved or not) touch */
	size_t n, room;
	size_t held; /* extents handed out */
};

/* Hands out what lies behind `begin` of the segment's body, and reserves nothing
 * before it.  -ENOSPC, -ENOMEM. */
int arena_init(struct arena *a, struct segment *segment, size_t begin);
void arena_fini(struct arena *a);

/*
 * Stores the offset (in the body, a multiple of ARENA_ALIGN) of `bytes` bytes.
 * -ENOSPC: the memory is not there, or the segment's reach is used up.  -ENOMEM.
 */
int arena_alloc(struct arena *a, size_t bytes, size_t *offset);

/* Gives back what arena_alloc gave for that many bytes. */
void arena_free(struct arena *a, size_t offset, size_t bytes);

#endif
