/* SPDX-License-Identifier: MIT */
/*
 * Pages: runs of pages of a segment, for who keeps blocks in them (slab.h).  Here is what is
 * shared and how it changes.
 *
 * Each page has an entry in a table.  Of a run only the first and the last entry mean
 * something: a free run has its length in both, so that who gives back its neighbour joins the two;
 * a run in use has what its owner says in the first, and PAGE_PART in the last.  What is
 * behind `frontier` was never used, or was given back at the end.
 *
 * All changes are made under `lock` by the redo.  A kill leaves them undone, or written
 * down for who gets the lock next.  A run on its way from here to its owner, or back, is in the
 * owner's word `spare`, which changes with the entries: so it is never nobody's.
 *
 * Memory is reserved before a run is handed out, some more at a time (-ENOSPC); that of long free
 * runs is given back to the system, but with .keeps.  `reserved` is stored after the one and before the
 * other: a kill in between leaves it too low, with nothing in use behind it.
 */
#ifndef MEM_PAGES_H
#define MEM_PAGES_H

#include "base/lock.h"
#include "mem/redo.h"
#include "mem/segment.h"

#define PAGE_BYTES 4096u
#define PAGE_BINS 32 /* of free runs, by the logarithm of their length */

/* word: the kind in bits 0 to 3, the length of the run in bits 8 to 31, the rest is the owner's. */
enum page_kind {
	PAGE_UNUSED, /* behind the frontier */
	PAGE_FREE,   /* first and last of a free run; bit 4: its memory may have been given back */
	PAGE_PART,   /* in a run, not its first; bits 8 to 31: how many pages behind that */
	PAGE_SPARE,  /* first of one on its way to its owner, or back */
	PAGE_SLAB,   /* first of a slab: slab.h */
	PAGE_LARGE,  /* first of a block of whole pages: slab.h */
};

#define PAGE_GIVEN_BACK 0x10u
#define PAGES_MAX (UINT64_C(1) << 24)

struct page {
	uint64_t word;
	uint64_t link[3]; /* free: the next and the previous in the bin (number + 1); slab: slab.h */
};

/* Numbers of pages count from the first that is handed out. */
struct pages_shm {
	uint64_t count;    /* of pages; fixed */
	uint64_t table_at; /* offset of the table; fixed */
	uint64_t first_at; /* offset of page 0; fixed */
	/* Under the lock; read without: there is memory for the pages before it, and their entries.  Too low after
	 * a kill, never too high. */
	uint64_t reserved;
	ALIGNED(FALSE_SHARING) struct robust_lock lock;
	uint64_t frontier;
	uint64_t used; /* pages that are handed out */
	uint64_t bin[PAGE_BINS];
	struct redo redo;
};

/* The handle.  All in it is checked when it is made. */
struct pages {
	struct segment *segment;
	struct pages_shm *shm;
	char *body;
	size_t bytes; /* of the body */
	struct page *table;
	uint64_t count, first_at;
	/* Long free runs stay: who reads without a lock may still read what was freed, and of a full file
	 * system there would be no memory to read. */
	bool keeps;
};

static inline enum page_kind page_kind(uint64_t word)
{
	return (enum page_kind)(word & 15);
}

static inline uint64_t page_word(enum page_kind kind, uint64_t length)
{
	return (uint64_t)kind | length << 8;
}

static inline uint64_t page_length(uint64_t word)
{
	return word >> 8 & 0xffffff;
}

/* How many pages there are room for in so many bytes, with their entries. */
size_t pages_count(size_t bytes);

/* In memory that nobody else uses yet: the table lies at table_at, and pages follow it. */
int pages_init(struct pages_shm *s, uint64_t table_at, uint64_t count);

/* -EPROTO: what is there does not fit. */
int pages_attach(struct pages *p, struct segment *segment, struct pages_shm *s);

/*
 * Hands out n pages: they are in *spare, which was 0, with the same step, and PAGE_SPARE.
 * -ENOSPC.
 */
int pages_take(struct pages *p, uint64_t n, uint64_t *spare);

/* Gives back what is in *spare, which becomes 0. */
int pages_give(struct pages *p, uint64_t *spare);

/* In *spare: the first page, and how many. */
static inline uint64_t make_spare(uint64_t first, uint64_t n)
{
	return n << 32 | first;
}

static inline uint64_t spare_pages(uint64_t spare)
{
	return spare >> 32;
}

static inline uint64_t spare_first(uint64_t spare)
{
	return (uint32_t)spare;
}

/* Without the lock: where the pages end that there is memory for, used or not; with .keeps for ever. */
static inline uint64_t pages_end(const struct pages *p)
{
	return p->first_at + MIN(load_acquire(&p->shm->reserved), p->count) * PAGE_BYTES;
}

static inline bool pages_hold(const struct pages *p, uint64_t offset, uint64_t bytes)
{
	uint64_t end = pages_end(p);

	return offset >= p->first_at && offset < end && bytes <= end - offset;
}

/* Whatever a killed process left in the middle is done.  -EPROTO, -ENOTRECOVERABLE. */
int pages_settle(struct pages *p);

/* Walks all runs: -EPROTO, or how many are handed out. */
int64_t pages_check(struct pages *p);

#endif
