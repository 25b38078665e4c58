/* SPDX-License-Identifier: MIT */
/*
 * Slabs: blocks of a segment's pages, by size classes.  Here is what is shared and how it
 * changes.
 *
 * An arena has a lock, its slabs, and its redo.  A slab is a run of pages cut into blocks of
 * one class; those that have a free block are in the arena's list of that class.  A larger block
 * is a run of its own.  Taking and freeing are parts of a change (redo.h) that the caller puts
 * together, with the word that says whose the block is, under the arena's lock: so a
 * block is always either free or somebody's, whoever is killed.
 *
 * Pages come and go through `spare` (pages.h): what is in it is given back by who finds it there.
 *
 * A block may be written to as soon as it is in a change.  Where it was in a list of free ones its
 * link is kept in `undo_link` until the change is done: it goes back if that is never.
 *
 * Who reads blocks without the lock reads `reuse` before and after: it counts the changes
 * that freed something, and is stored before what is freed is written to.  So the caller's
 * change first stores what led to the block, then calls slab_free.
 */
#ifndef MEM_SLAB_H
#define MEM_SLAB_H

#include "mem/pages.h"

#define SLAB_CLASSES 52
#define SLAB_LARGEST 16384u /* what is larger has pages of its own */

/*
 * Of the first page of a slab: word: the class << 32, the arena << 40.
 * link[0]: its free blocks, as a list of offsets in the body, 0: none.
 * link[1]: the next slab in the list (number + 1) and the one before << 32.
 * link[2]: how many blocks are handed out, and how many ever were << 32.
 */
enum { SLAB_FREE, SLAB_LIST, SLAB_USED };

struct slab_arena {
	ALIGNED(FALSE_SHARING) struct robust_lock lock;
	uint64_t spare;
	uint64_t undo_block, undo_link;
	uint64_t blocks, bytes;         /* that are handed out */
	uint64_t partial[SLAB_CLASSES]; /* the first slab with a free block (number + 1) */
	uint64_t own[4];                /* the user's */
	struct redo redo;
};

/* What readers read of an arena: on a line that is seldom written, and near each other. */
struct slab_front {
	ALIGNED(CACHE_LINE) uint64_t reuse;
	uint64_t own[7]; /* the user's */
};

struct slabs {
	struct pages pages;
	struct slab_arena *arena;
	struct slab_front *front; /* one for each arena */
	uint32_t arenas;
};

/* So many bytes are taken by n arenas and their fronts, at a multiple of FALSE_SHARING. */
static inline size_t slab_bytes(size_t n)
{
	return n * (sizeof(struct slab_arena) + sizeof(struct slab_front));
}

/* In memory that nobody else uses yet. */
int slab_init(void *at, size_t n);

/* -EPROTO: they are not within the body.  After pages_attach. */
int slab_attach(struct slabs *s, uint64_t at, uint64_t n);

static inline struct slab_front *slab_front(const struct slabs *s, const struct slab_arena *a)
{
	return &s->front[a - s->arena];
}

/* The class of a size from 1 to SLAB_LARGEST, and the size of its blocks. */
static inline unsigned slab_class(size_t size)
{
	size_t n = size - 1;
	unsigned log;

	if (n < 128)
		return (unsigned)n / 16;
	log = 63 - (unsigned)__builtin_clzll(n);
	if (log < 10)
		return 8 + (log - 7) * 4 + (unsigned)(n >> (log - 2) & 3);
	return 20 + (log - 10) * 8 + (unsigned)(n >> (log - 3) & 7);
}

static inline uint32_t slab_class_size(unsigned class)
{
	if (class < 8)
		return (class + 1) * 16;
	if (class < 20)
		return ((class - 8) % 4 + 5) << ((class - 8) / 4 + 5);
	return ((class - 20) % 8 + 9) << ((class - 20) / 8 + 7);
}

/* The size of the block that is taken for so many bytes. */
static inline size_t slab_room(size_t size)
{
	return size > SLAB_LARGEST ? ROUND_UP(size, (size_t)PAGE_BYTES) : slab_class_size(slab_class(size));
}

/* The lock, with what a dead holder left done.  Positive: it had died.  -EPROTO, -ENOTRECOVERABLE. */
int slab_lock(struct slabs *s, struct slab_arena *a);

/*
 * The same in two steps, for who writes changes of one arena down in another: what they store again may be
 * about what is spare, so they are finished between the two.  slab_tidy where there was a death, and
 * between changes under one lock that may each leave something spare.
 */
int slab_acquire(struct slabs *s, struct slab_arena *a);
void slab_tidy(struct slabs *s, struct slab_arena *a);

/* Gives back what is spare, and the lock. */
void slab_unlock(struct slabs *s, struct slab_arena *a);

/* Under the lock, before a change with one slab_take of that size: what is needed is there.  -ENOSPC. */
int slab_prepare(struct slabs *s, struct slab_arena *a, size_t size);

/* The offset of the block, in the body; a multiple of 16. */
uint64_t slab_take(struct slabs *s, struct slab_arena *a, struct change *c, size_t size);

/* -EPROTO: there is no block there.  At most one large one in a change. */
int slab_free(struct slabs *s, struct slab_arena *a, struct change *c, uint64_t block);

/* Something of the arena's that is no block of it is freed by the change. */
static inline void slab_freed(struct slabs *s, struct slab_arena *a, struct change *c)
{
	uint64_t *reuse = &slab_front(s, a)->reuse;

	change_set(c, reuse, change_get(c, reuse) + 1);
}

/* How many bytes there are in a block, 0: there is none; and whose it is. */
size_t slab_size(const struct slabs *s, uint64_t block, uint32_t *arena);

/* Under the lock: -EPROTO: something does not fit. */
int slab_check(struct slabs *s, struct slab_arena *a);

#endif
