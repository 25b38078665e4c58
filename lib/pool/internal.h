/* SPDX-License-Identifier: MIT */
/*
 * The parent's side of a pool: the handle, and what map and imap share.
 *
 * pool->mutex covers all of it.  It is not held while waiting for work, while user
 * code runs, or together with another pool's; but it is while a master is started
 * and, for 25 ms at most, until a dead master's workers are gone.  The process
 * table's mutex may be taken under it, never the other way round.
 */
#ifndef POOL_INTERNAL_H
#define POOL_INTERNAL_H

#include <ipckit/pool.h>
#include <pthread.h>

#include "mem/arena.h"
#include "pool/master.h"
#include "pool/origin.h"
#include "pool/shared.h"
#include "pool/worker.h"

/* The shared memory of a call: its argument block, and behind it (map) the items on
 * their way.  Freed with the last block that uses it. */
struct argument {
	size_t offset, size; /* in the arena; size 0: none */
	size_t arg_size;     /* of the block alone */
	size_t extra_at;     /* offset of what is behind it */
	unsigned refs;
};

/* A part of the arena that goes with a block. */
struct buffer {
	size_t offset, size; /* size 0: none */
};

/* A block whose call has ended before its items were final.  There is one for each
 * block, so that ending a call needs no memory. */
struct orphan {
	struct buffer buffer;
	struct argument *argument;
	struct orphan *next;
};

/* What was taken out of a worker's ring and is not yet a whole result. */
struct gathering {
	unsigned char *data;
	size_t size, room;
	bool begun, failed; /* failed: no memory for it */
};

/* An item of an iteration, from its reading until it is given out. */
struct imap_item {
	struct ipck_imap *imap;
	uint64_t index;
	uint32_t block, serial;    /* the filling of the block it is in */
	struct buffer buffer;      /* of its input, while it is under way */
	struct ipck_status status; /* true once done, or landed */
	int worker;                /* -1: none */
	bool landed;               /* its result is here */
	bool done;
	unsigned char *data; /* the result */
	size_t size;
	struct imap_item *next; /* in the order of giving out */
};

struct pool_thread {
	struct worker worker;
	pthread_t id;
	int (*init)(void *arg);
	void *init_arg;
};

struct ipck_pool {
	pthread_mutex_t mutex;
	uint32_t epoch; /* of the process that made it */
	unsigned refs;  /* the handle itself, and open iterators */

	struct segment segment;
	struct pool_shm *shm;
	struct arena arena;
	struct pool_image image;
	struct ipck_pipe **keep; /* those of the options */
	struct origin origin;

	struct ipck_process *master; /* NULL: threads, or all have ended */
	int presence;                /* hangs up when the master and its workers are gone; or -1 */
	struct pool_thread *threads; /* NULL: processes */
	uint32_t barren_masters;     /* deaths in a row of masters that had not started all */

	bool closed;     /* takes no new calls */
	bool terminated;
	bool ended;      /* master and workers are gone */
	unsigned calls;  /* maps under way and iterations not drained */
	uint32_t serial; /* of the last filling of a block */
	unsigned eager;  /* threads that wait for single results */
	uint32_t deaths; /* shm->deaths as of the last full look */

	uint32_t *free_blocks;
	uint32_t n_free, n_blocks;  /* n_blocks: how many have memory, the first ones */
	bool starved;               /* there was none for more of them */
	bool rings;                 /* those of the workers have it */
	struct imap_item **items;   /* by block: the imap item in it, or NULL */
	uint32_t *landed;           /* blocks of imap whose last piece was taken */
	uint32_t n_landed;
	struct gathering *gathering; /* by worker */
	struct orphan *orphan_nodes; /* by block */
	struct orphan *orphans;      /* those in use */
	struct ipck_imap *imaps; /* open iterators */

	char reason[160];
};

/* ---- supervise.c ---- */

/* Makes shm->low fit the threads that wait. */
void pool_set_low(struct ipck_pool *pool);

/* Of threads that wait for single results one more, or one less: from before their
 * first look until after their last wait. */
void pool_eager(struct ipck_pool *pool, int threads);

/* Whether the calling process and thread may use the pool: -ECHILD, -EDEADLK. */
int pool_check_caller(const struct ipck_pool *pool);

/* Locks, for a call that begins work with that function.  Negative: not locked. */
int pool_enter(struct ipck_pool *pool, uintptr_t function);

/* 0 while work goes on; -ECANCELED, -ENOTRECOVERABLE when no item will be done any more. */
int pool_alive(struct ipck_pool *pool);

/* Starts the master and waits until it has started its workers. */
int pool_start_master(struct ipck_pool *pool, struct ipck_deadline deadline);

/* Waits, unlocked meanwhile, until shm->progress is no more `seen`, a tick at most;
 * then watches over the master. */
int pool_wait(struct ipck_pool *pool, uint32_t seen, struct ipck_deadline deadline);

/* Replaces a master that has died, accounting for what its workers held. */
void pool_watch(struct ipck_pool *pool);

/* ---- collect.c ---- */

/*
 * How many blocks a call may have under way: with its like, all but one share, so
 * that the next call finds some free.
 */
static inline size_t pool_share(const struct ipck_pool *pool)
{
	return MAX((pool->starved ? pool->n_blocks : pool->shm->blocks) / (pool->calls + 1), 1u);
}

/* Whether pool_take_block will find one. */
bool pool_has_block(struct ipck_pool *pool);

/* Of those that have memory. */
void pool_add_blocks(struct ipck_pool *pool, uint32_t first, uint32_t n);

/* Before the first imap.  -ENOSPC, -ENOMEM. */
int pool_make_rings(struct ipck_pool *pool);

/* A block to fill, or -1: all are in use. */
int64_t pool_take_block(struct ipck_pool *pool);

/* A block whose items are all final is free again. */
void pool_return_block(struct ipck_pool *pool, uint32_t block);

/* Fills in what is the same for all blocks of a call. */
struct call {
	uintptr_t function;
	enum block_kind kind;
	struct argument *argument;
	uint32_t retries;
};
struct block *pool_fill(struct ipck_pool *pool, uint32_t block, const struct call *call);

/* With `extra` bytes behind the argument.  -ENOMEM, -ENOSPC. */
int call_begin(struct call *call, struct ipck_pool *pool, const void *arg, size_t arg_size, size_t extra);
void argument_put(struct ipck_pool *pool, struct argument *argument);
void buffer_free(struct ipck_pool *pool, struct buffer *buffer);

/* A call ends: what nobody has begun is withdrawn, the rest is given back later. */
void pool_abandon(struct ipck_pool *pool, uint32_t block, struct buffer *buffer, struct argument *argument);

/* Takes results out of the rings, ends imap items, frees orphans. */
void pool_collect(struct ipck_pool *pool);

/* ---- imap.c ---- */

/* The imap item in a block is final: outcome, and its result if there is one. */
void imap_item_done(struct ipck_pool *pool, uint32_t block);

/* A whole result was taken out of a ring; value: what the function returned. */
void imap_item_result(struct imap_item *item, uint32_t worker, int value, struct gathering *g);

/* For pool_join: reads inputs and collects until no iteration needs the workers:
 * 1 if there was something to do, 0 if not, or negative as pool_wait. */
int imap_drain_all(struct ipck_pool *pool);

/* No item will be done any more: all that are under way are canceled. */
void imap_cancel_all(struct ipck_pool *pool);

/* ---- pool.c ---- */
void pool_unref(struct ipck_pool *pool);

#endif
