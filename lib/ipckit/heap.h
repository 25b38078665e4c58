/* SPDX-License-Identifier: MIT */
/*
 * Heaps: memory in a shared segment, handed out block by block to many processes.
 *
 * A block has an owner in shared memory: a slot, 8 bytes that hold its offset, in the heap's
 * root or in another block.  Blocks and slots change together, in one step: whoever is
 * killed, a block is either free or in exactly one slot.  So nothing is lost, and nothing is
 * handed out twice.
 *
 *	struct list { uint64_t first; } *list = ipck_heap_root(heap);
 *	struct node { uint64_t next; int value; } *node;
 *	uint64_t *slot = &list->first;
 *
 *	rc = ipck_heap_alloc_to(heap, sizeof(*node), slot);
 *	if (rc == 0)
 *		node = ipck_heap_at(heap, *slot);
 *
 * The heap locks itself; what lies in the blocks, and who changes which slot, is the users' to
 * agree on.  It grows up to the size that was declared; the memory is reserved as it grows.
 * A call that is killed in the middle is done, or not done, from the moment the next one
 * touches that slot.
 *
 * -EPROTO: the shared memory is damaged.  -ENOTRECOVERABLE: a thread executed another program
 * in the middle of a call.  No call may be made from a signal handler.
 */
#ifndef IPCKIT_HEAP_H
#define IPCKIT_HEAP_H

#include <ipckit/defs.h>

struct ipck_heap;

struct ipck_heap_opts {
	size_t size;       /* of this struct, set by the macros below */
	size_t max_bytes;  /* create: it may grow to that, bookkeeping included; 0: 64 MiB */
	size_t root_bytes; /* create: of the root, at most 1 MiB; 0: 4096 */
	mode_t mode;       /* create: permissions of a named heap, whatever the umask; 0 is 0600 */
	bool any_owner;    /* open: also one that another user made */
};
#define IPCK_HEAP_OPTS_INIT {sizeof(struct ipck_heap_opts), 0, 0, 0, false}
#define IPCK_HEAP_OPTS(...) \
	(&(const struct ipck_heap_opts){.size = sizeof(struct ipck_heap_opts), __VA_ARGS__})

/* The largest max_bytes. */
#define IPCK_HEAP_BYTES_MAX ((size_t)1 << 35)

IPCK_BEGIN_DECLS

/*
 * As ipck_shm_create, ipck_shm_open, ipck_shm_open_fd: a NULL name makes an anonymous heap.
 * -EINVAL: bad name or mode, too large, or too small for anything.  -ENOSPC: not even the root.
 */
IPCK_API IPCK_MUST_CHECK int ipck_heap_create(struct ipck_heap **out, const char *name,
                                              const struct ipck_heap_opts *opts);
IPCK_API IPCK_MUST_CHECK int ipck_heap_open(struct ipck_heap **out, const char *name,
                                            const struct ipck_heap_opts *opts);
IPCK_API IPCK_MUST_CHECK int ipck_heap_open_fd(struct ipck_heap **out, int fd, const struct ipck_heap_opts *opts);

/* Its file descriptor, owned by the handle, close-on-exec, to be handed over. */
IPCK_API int ipck_heap_fd(const struct ipck_heap *heap);

/* Drops this handle; others keep the heap.  NULL is fine. */
IPCK_API void ipck_heap_close(struct ipck_heap *heap);

/* Removes the name; who has it open keeps it.  -ENOENT, -EINVAL, -EACCES, -EPERM. */
IPCK_API int ipck_heap_unlink(const char *name);

/* ---- places ---- */

/* The root: zeroes at first, page-aligned, never freed. */
IPCK_API void *ipck_heap_root(const struct ipck_heap *heap);

/* The address of an offset in this process: NULL for 0, and for what is not in the heap. */
IPCK_API void *ipck_heap_at(const struct ipck_heap *heap, uint64_t offset);

/* The offset of an address in the heap; 0: it is not in it. */
IPCK_API uint64_t ipck_heap_offset(const struct ipck_heap *heap, const void *address);

/* ---- blocks ---- */

/*
 * Takes a block of at least `size` bytes, all zero, aligned to 16, and stores its offset in *slot, which
 * is 0 and lies in the heap, aligned to 8.
 *
 * -ENOSPC: no memory, or no more of what was declared.  -EBUSY: *slot is not 0.  -EINVAL: it is not in the
 * heap, or size is 0.
 */
IPCK_API IPCK_MUST_CHECK int ipck_heap_alloc_to(struct ipck_heap *heap, size_t size, uint64_t *slot);

/* Frees the block in *slot, which becomes 0.  With 0 there is nothing to do.  -EINVAL: there is no such block. */
IPCK_API int ipck_heap_free_from(struct ipck_heap *heap, uint64_t *slot);

/* Moves the block in *from to *to, which is 0, whatever is read from them: one of them has it.
 * -EBUSY: *to is not 0.  -EINVAL. */
IPCK_API int ipck_heap_move(struct ipck_heap *heap, uint64_t *from, uint64_t *to);

/* How many bytes there are in a block: at least as many as were asked for.  0: it is none. */
IPCK_API size_t ipck_heap_size(const struct ipck_heap *heap, uint64_t offset);

/* ---- the whole ---- */

struct ipck_heap_stats {
	size_t size;        /* of this struct, set by the macro below */
	size_t max_bytes;   /* it may grow to that */
	size_t page_bytes;  /* of pages that are in use */
	uint64_t blocks;    /* that are handed out */
	uint64_t bytes;     /* in them */
	uint64_t recovered; /* deaths in the middle of a call that were found */
};
#define IPCK_HEAP_STATS_INIT {sizeof(struct ipck_heap_stats), 0, 0, 0, 0, 0}

/* stats->size is set by the caller: -EINVAL. */
IPCK_API int ipck_heap_stat(struct ipck_heap *heap, struct ipck_heap_stats *stats);

/* Walks through all that the heap knows of itself, while others go on.  -EPROTO: something does not fit. */
IPCK_API int ipck_heap_check(struct ipck_heap *heap);

IPCK_END_DECLS

#endif
