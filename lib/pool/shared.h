/* SPDX-License-Identifier: MIT */
/*
 * What the parent, the master and the workers of a pool share.
 *
 * The unit is the item.  Items travel in blocks: the parent fills a block that
 * nobody uses with a function, arguments and up to BLOCK_ITEMS items, and opens
 * it; workers claim its items one by one and store their results; the parent
 * collects it when all its items are final, and may fill it again.
 *
 * The truth is one 16-bit word per item, its state:
 *
 *	ITEM_FREE        to be done.  Only the parent makes it so (filling the block,
 *	                 its last step), and the master (giving a dead worker's item
 *	                 another try).
 *	1 .. 4096        claimed by the worker in place state - 1.  Made from FREE by
 *	                 one compare-and-swap, before the worker reads anything else of
 *	                 the block: this is the record of who holds what.
 *	ITEM_FINAL | o   final, with outcome o.  Made by the worker that claimed it when
 *	                 its result is stored; or, when that worker is proven dead and
 *	                 reaped, by the master; or, when the master and all its workers
 *	                 are proven gone, by the parent.  The parent alone makes FREE
 *	                 items final (withdrawn) by compare-and-swap.
 *	ITEM_NONE        not an item of the present filling.
 *
 * A block is filled again only when all its items are final, and a claim can only
 * be made on an item that is FREE in the present filling.  So a worker that comes
 * late, with an old idea of a block, does no harm: its claim fails, or is a good
 * claim, and what it reads after its claim is what belongs to it.
 *
 * Everything else that leads workers to items is a hint, and may be lost: the
 * posted order, the `exhausted` and `finished` marks.  A worker that finds no hint
 * looks at all open blocks before it sleeps, and so finds what a killed worker
 * left undone.
 *
 * A SIGKILL leaves:
 * - a worker: at most one item in state `claimed by it` (it runs one at a time),
 *   perhaps a hint taken and not followed, a torn piece behind its ring's tail.
 *   The master makes that item final (or FREE again) and starts a worker in the
 *   same place, which goes on with the same ring.
 * - the master: its workers and their groups are killed by the kernel (lifeline).
 *   The parent waits until they all are gone (presence pipe), makes the claimed
 *   items final, and starts a new master.  Whatever the master was doing is a store
 *   that was made or not; all of it can be done again.
 * - the parent: the kernel kills the master, and thereby the workers.
 */
#ifndef POOL_SHARED_H
#define POOL_SHARED_H

#include <ipckit/pool.h>

#include "base/compiler.h"
#include "base/evcount.h"
#include "coll/ring.h"

#define POOL_WORKERS_MAX 4096
#define BLOCK_ITEMS 512

#define ITEM_FREE 0x0000
#define ITEM_FINAL 0x8000
#define ITEM_NONE 0xffff

enum block_kind { BLOCK_MAP, BLOCK_IMAP };

/*
 * Written by the parent while no item is FREE or claimed, and read by a worker
 * that holds a claim in it (acquire by the claim), but for what says otherwise.
 */
struct block {
	ALIGNED(FALSE_SHARING) uint64_t fn; /* address, the same in all processes of the pool */
	uint64_t arg, arg_size;             /* offset in the segment's body */
	uint64_t in, in_size;               /* offset of item 0; bytes of one (imap: of the item) */
	uint64_t out, out_size;             /* map: likewise for results */
	uint32_t kind;
	uint32_t retries; /* > 0: tries[i] is set */
	uint32_t serial;  /* of the filling: tells its results from an earlier one's */
	uint32_t count;   /* read without a claim as a hint: relaxed */
	uint32_t unwanted; /* parent, at any time: nobody wants the results */

	/*
	 * gen: moves when items become FREE: by the parent at filling, after the states
	 *   of the last filling are all final; by the master after it made one FREE.
	 *   Never 0 once filled.
	 * exhausted: the gen that a worker read before it went over all items and left
	 *   none FREE: no need to look again.  A late store of an old gen only makes
	 *   others look once more.
	 * finished: the gen of which a worker saw all items final: worth collecting.
	 * passes: counts workers that have done what they could here.  Each adds 1 before
	 *   it looks whether all is final: of two, the second sees the first's states.
	 */
	ALIGNED(FALSE_SHARING) uint32_t gen;
	uint32_t exhausted;
	uint32_t finished;
	uint32_t passes;

	ALIGNED(CACHE_LINE) uint16_t state[BLOCK_ITEMS];
	/* How often item i may still be run again.  Set at filling; lowered by the master,
	 * or the parent, that accounts for a death. */
	uint16_t tries[BLOCK_ITEMS];
	/* Of a final item: the status' value.  Who makes the state writes it first.  An
	 * imap block has one item: value[1] is the claim of a worker that was lost with it,
	 * and a small input lies behind. */
	int32_t value[BLOCK_ITEMS];
};

#define BLOCK_INLINE_AT 16 /* of value[], in bytes: where an imap item's input begins */
#define BLOCK_INLINE (sizeof(int32_t) * BLOCK_ITEMS - BLOCK_INLINE_AT)

/* A place for a worker.  Zeroed at creation; taken over as it is by a successor. */
struct slot {
	/* Written by the master, before the fork and after the death: 0 or the pid. */
	ALIGNED(FALSE_SHARING) uint32_t pid;
	/* Written by the worker: reached its loop (reset by the master); what init said. */
	uint32_t ready;
	int32_t init_result;
	/* Written by the worker: items that it and its predecessors ran to the end. */
	uint64_t done;
	struct evcount space; /* the worker sleeps here for room in its ring */
};

enum pool_state {
	POOL_OPEN,      /* work comes */
	POOL_QUIT,      /* all work is done: workers leave, then the master */
	POOL_TERMINATE, /* leave now */
};

/* Why a pool is broken; 0: it is not. */
enum pool_fault {
	FAULT_NONE,
	FAULT_SIGNAL, /* workers died at their start, by signal `fault_value` */
	FAULT_EXIT,   /* likewise, with exit code fault_value */
	FAULT_INIT,   /* init returned fault_value */
	FAULT_FORK,   /* workers cannot be started: errno fault_value */
	FAULT_MASTER, /* masters die at their start, or cannot be started: errno or 0 */
};

struct pool_shm {
	/* Fixed at creation. */
	uint32_t workers, blocks, order_mask;
	uint32_t spin; /* turns of a wait before it sleeps */
	uint64_t slots_at, order_at, open_at, blocks_at, rings_at; /* offsets in the body */
	uint32_t state; /* pool_state, written by the parent, seq; read by workers for each item */

	/*
	 * posted: blocks put into order[] since the beginning; written by the parent,
	 *   seq (then it looks who sleeps).
	 * low: workers tell the parent of a finished block only when no more than this
	 *   many posted ones wait.  Written by the parent, seq, before it sleeps.
	 */
	ALIGNED(FALSE_SHARING) uint64_t posted;
	uint32_t low;

	/* Moved by the worker that follows a hint, by compare-and-swap; or by the parent
	 * that drops the oldest one. */
	ALIGNED(FALSE_SHARING) uint64_t taken;

	ALIGNED(FALSE_SHARING) struct evcount work; /* idle workers sleep here */

	/* progress: moves whenever the parent has something new to look at; deaths: when
	 * that is not told by marks.  Added to by workers, master and parent, seq. */
	ALIGNED(FALSE_SHARING) uint32_t progress;
	uint32_t deaths;
	struct evcount done; /* threads of the parent sleep here */

	/* Written by the master, or by the parent when there is none. */
	ALIGNED(FALSE_SHARING) uint32_t started; /* this master has started all its workers */
	uint32_t leaving;                        /* it has nothing more to do than to end */
	uint32_t fault;      /* pool_fault; see pool_break */
	int32_t fault_value; /* relaxed */
	uint32_t alive;
	uint64_t lost, replaced, masters;
};

/* Addresses; the offsets are fixed at creation. */
static inline struct slot *pool_slot(struct pool_shm *shm, uint32_t i)
{
	return (struct slot *)((char *)shm + shm->slots_at) + i;
}

static inline struct block *pool_block(struct pool_shm *shm, uint32_t i)
{
	return (struct block *)((char *)shm + shm->blocks_at) + i;
}

/* The results of imap, from the worker in place i, or its successor, to the parent. */
static inline struct ring *pool_ring(struct pool_shm *shm, uint32_t i)
{
	return (struct ring *)((char *)shm + shm->rings_at) + i;
}

/* order[posted & order_mask]: the blocks as they were posted. */
static inline uint32_t *pool_order(struct pool_shm *shm)
{
	return (uint32_t *)((char *)shm + shm->order_at);
}

/* open[b]: 1 while block b may have items to be done; written by the parent. */
static inline uint32_t *pool_open(struct pool_shm *shm)
{
	return (uint32_t *)((char *)shm + shm->open_at);
}

static inline bool item_is_final(uint16_t state)
{
	return state >= ITEM_FINAL;
}

/* Tells the parent's threads that there is something to look at. */
static inline void pool_progress(struct pool_shm *shm)
{
	add_seq(&shm->progress, 1);
	evcount_notify(&shm->done, EVCOUNT_ALL);
}

/* The pool is broken.  The first reason stays, but for two threads that give theirs at once. */
static inline void pool_break(struct pool_shm *shm, enum pool_fault fault, int value)
{
	if (load_relaxed(&shm->fault))
		return;
	store_relaxed(&shm->fault_value, value);
	/* Release: who sees the fault sees its value. */
	store_release(&shm->fault, (uint32_t)fault);
}

/*
 * The struct with all behind it.  What comes before the blocks is there from the
 * beginning; the parent reserves the memory of blocks before it first fills them,
 * and of the rings before the first item of an imap.  Nobody else looks at a block
 * that was never open, or at a ring without such an item.
 */
void pool_shm_plan(struct pool_shm *plan, uint32_t workers, uint32_t blocks);

static inline size_t pool_shm_size(const struct pool_shm *plan)
{
	return plan->rings_at + plan->workers * sizeof(struct ring);
}

/* ---- block.c: what is done with blocks, on all sides ---- */

/* Whether all items of the present filling are final. */
bool block_is_final(const struct block *b);

/* The first FREE item at or behind `from`, or count. */
uint32_t block_next_free(const struct block *b, uint32_t from, uint32_t count);

/* For a worker: a claim. */
static inline bool item_claim(struct block *b, uint32_t i, uint16_t me)
{
	uint16_t state = ITEM_FREE;

	/* Acquire: the filling, and what the last holder of the block did. */
	return load_relaxed(&b->state[i]) == ITEM_FREE && cas_acquire(&b->state[i], &state, me);
}

/* Release: the result is stored before. */
static inline void item_finish(struct block *b, uint32_t i, enum ipck_outcome outcome)
{
	store_release(&b->state[i], (uint16_t)(ITEM_FINAL | outcome));
}

/* The parent: opens a filled block of which no item is FREE or claimed.  Then
 * pool_call tells workers that sleep, for one block or for several. */
void block_open(struct pool_shm *shm, uint32_t b, uint32_t count);

static inline void pool_call(struct pool_shm *shm, uint32_t blocks)
{
	evcount_notify(&shm->work, blocks);
}

/* The parent: makes what nobody has begun final, as CANCELED. */
void block_withdraw(struct block *b);

/* The parent: nobody needs to look at it any more. */
void block_close(struct pool_shm *shm, uint32_t b);

/*
 * Items claimed by a worker that is proven dead (0: by any, all are): final with
 * that outcome, or FREE again while tries are left.  Returns how many were lost.
 */
uint32_t pool_account(struct pool_shm *shm, uint16_t claim, enum ipck_outcome outcome, int value);

/* The parent, when nobody else is there: all open blocks are worth a look again. */
void pool_reopen(struct pool_shm *shm);

/* The next block worth a worker's look: by hint, else any open one that may have
 * FREE items; blocks if there is none. *helping: others are at it already. */
uint32_t pool_find_block(struct pool_shm *shm, uint32_t place, bool *helping);

#endif
