/* SPDX-License-Identifier: MIT */
/*
 * Pools of worker processes: the counterpart of multiprocessing.Pool.
 *
 * The workers are forked when the pool is made, with the memory the program has
 * then, by a small master process that watches and replaces them at once,
 * whatever the parent does.  Only bytes travel: items, one argument block per
 * call, and results are copied, so nothing that is passed may contain pointers.
 *
 * A worker that dies, by a crash or by kill -9, costs exactly the item it was
 * working on: that item's status tells the signal or exit code; all others are
 * done by the other workers and by its replacement.  A killed master is replaced
 * likewise, its workers' current items are lost.  A killed parent takes all of
 * its pools' processes along at once.  A pool whose workers keep dying without
 * getting any work done is broken: calls return -ENOTRECOVERABLE and
 * ipck_pool_reason tells why.
 *
 * A pool may be used by several threads at once, by the process that made it
 * only (-ECHILD elsewhere).  It has no thread of its own in the parent: input is
 * read and results are collected inside the calls that wait.
 *
 * Task functions must lie in the program or in a library that was loaded when
 * the pool was made, else the call returns -EINVAL.  They run one at a time per
 * worker, with standard input at the null device, SIGINT and SIGQUIT ignored and
 * caught signals back at default; standard output and error are flushed after
 * each item.  They return 0, or an error that becomes the item's status.
 */
#ifndef IPCKIT_POOL_H
#define IPCKIT_POOL_H

#include <ipckit/deadline.h>
#include <ipckit/defs.h>

struct ipck_pipe;
struct ipck_pool;
struct ipck_imap;
struct ipck_result;

struct ipck_pool_opts {
	size_t size;             /* of this struct, set by the macros below */
	int workers;             /* 0: ipck_cpu_count() */
	bool threads;            /* threads of this process instead of processes */
	int (*init)(void *arg);  /* run first in each worker; < 0 ends it */
	void *init_arg;          /* seen by init as at the pool's creation */
	/* The ends of pipes that the workers have; they have no copy of any other.  They
	 * are to stay open here as long as the pool is. */
	struct ipck_pipe *const *keep;
	size_t keep_count;
};
#define IPCK_POOL_OPTS_INIT {sizeof(struct ipck_pool_opts), 0, false, NULL, NULL, NULL, 0}
#define IPCK_POOL_OPTS(...) (&(const struct ipck_pool_opts){.size = sizeof(struct ipck_pool_opts), __VA_ARGS__})

/* What became of an item. */
enum ipck_outcome {
	IPCK_DONE = 0, /* its function returned 0; value is 0 */
	IPCK_FAILED,   /* its function returned value, not 0 */
	IPCK_KILLED,   /* signal `value` ended its worker */
	IPCK_EXITED,   /* its worker exited with code `value` */
	IPCK_CANCELED, /* never run to its end: deadline, terminate, broken pool; value is 0 */
};
struct ipck_status {
	enum ipck_outcome outcome;
	int value;
};

struct ipck_map_opts {
	size_t size;                /* of this struct, set by the macros below */
	const void *arg;            /* argument block, copied once per call; all items see it, 64-byte aligned */
	size_t arg_size;            /* its bytes; arg of the function is NULL if 0 */
	struct ipck_status *status; /* map: room for one per item, or NULL */
	size_t window;              /* imap: items read from the input and not yet given out; 0: 4 per worker */
	int retries;                /* how often an item whose worker died is run again */
};
#define IPCK_MAP_OPTS_INIT {sizeof(struct ipck_map_opts), NULL, 0, NULL, 0, 0}
#define IPCK_MAP_OPTS(...) (&(const struct ipck_map_opts){.size = sizeof(struct ipck_map_opts), __VA_ARGS__})

struct ipck_pool_stat {
	size_t size;         /* of this struct, set by the macro below */
	int workers;         /* places for workers */
	int alive;           /* of them running now */
	pid_t master;        /* pid of the master process; 0 with threads */
	uint64_t done;       /* items that ran to their end */
	uint64_t lost;       /* items that a death cost */
	uint64_t replaced;   /* workers that died and were replaced */
	uint64_t masters;    /* masters that died and were replaced */
};
#define IPCK_POOL_STAT_INIT {sizeof(struct ipck_pool_stat), 0, 0, 0, 0, 0, 0, 0}

IPCK_BEGIN_DECLS

/*
 * Makes a pool; its workers have been forked when the call returns.  opts may be
 * NULL.  -EINVAL: workers < 0 or more than 4096.  -ENOMEM (also: no room for
 * processes), -ENOSPC (shared memory), -EMFILE, -ENFILE, -E2BIG.
 */
IPCK_API IPCK_MUST_CHECK int ipck_pool_create(struct ipck_pool **out, const struct ipck_pool_opts *opts);

/* A task of map: reads the item `in`, writes its result to `out`. */
typedef int ipck_map_fn(const void *in, void *out, const void *arg);

/*
 * Runs fn on n items of in_size bytes each, results of out_size bytes each.  Each
 * item is claimed by itself, so a slow one keeps no other waiting; how many travel
 * together is chosen by the library.  in
 * and out are the caller's, n * size bytes, may be NULL if their size is 0.  The
 * out of an item that is not IPCK_DONE is left as it was.
 *
 * Returns how many items are not IPCK_DONE, so 0 when all went well.
 * -ETIMEDOUT, -ECANCELED (interrupted, or the pool was terminated),
 * -ENOTRECOVERABLE: what is not done was withdrawn; status and out tell of each item,
 * here alone although the result is negative.  An item that a worker is in goes on
 * there, and its result is dropped.  -EINVAL: fn is not in
 * an object loaded when the pool was made, sizes overflow, NULL without size 0.
 * -ESHUTDOWN: closed.  -ENOMEM, -ENOSPC: an item or
 * the argument has no room.  -ECHILD, -E2BIG, -EDEADLK: called by a worker of
 * this pool.
 */
IPCK_API IPCK_MUST_CHECK ssize_t ipck_pool_map(struct ipck_pool *pool, ipck_map_fn *fn, const void *in, size_t n,
                                               size_t in_size, void *out, size_t out_size,
                                               const struct ipck_map_opts *opts, struct ipck_deadline deadline);

/*
 * The next item of an imap, of any size: returns 1 with *item, *size set (the
 * bytes are copied before the next call), 0 at the end, or a negative error,
 * which ends the input and comes out of ipck_imap_next after all items before it.
 * Called inside ipck_imap_next and ipck_pool_join, by one thread at a time.  It may
 * block; then results wait for it.  Rather than block it can return
 * IPCK_INPUT_LATER: it is asked again after some milliseconds.
 */
#define IPCK_INPUT_LATER 2
typedef int ipck_input_fn(void *ctx, const void **item, size_t *size);

/* A task of imap: reads the item, gives its result by ipck_result_write. */
typedef int ipck_imap_fn(const void *item, size_t size, const void *arg, struct ipck_result *result);

/*
 * In a task: appends `size` bytes to its result, any number of times.  Blocks
 * while the parent does not collect.  0, or -ECANCELED when nobody wants the
 * result any more.
 */
IPCK_API int ipck_result_write(struct ipck_result *result, const void *data, size_t size);

/*
 * Starts an iteration over fn's results for the items that input(ctx) gives: in
 * the order of the input, or as they come (_unordered).  Input is read lazily,
 * at most `window` items ahead of what was given out.  Errors as for map.
 */
IPCK_API IPCK_MUST_CHECK int ipck_pool_imap(struct ipck_imap **out, struct ipck_pool *pool, ipck_imap_fn *fn,
                                            ipck_input_fn *input, void *ctx, const struct ipck_map_opts *opts);
IPCK_API IPCK_MUST_CHECK int ipck_pool_imap_unordered(struct ipck_imap **out, struct ipck_pool *pool, ipck_imap_fn *fn,
                                                      ipck_input_fn *input, void *ctx,
                                                      const struct ipck_map_opts *opts);

struct ipck_item {
	uint64_t index;            /* place in the input, from 0 */
	struct ipck_status status; /* a failed item's result is what it had written */
	const void *data;          /* the result; valid until the next call on the iterator */
	size_t size;               /* its bytes, 0 if the worker died */
	int worker;                /* the place (0 ..) of the worker that ran it, -1 if none did */
};

/*
 * The next result: 1 with *item set, 0 at the end.  An item that failed is an
 * item; the iteration goes on.  -ETIMEDOUT, -ECANCELED (interrupted): nothing is
 * lost, call again.  A negative result of the input comes once, at its place.
 * After terminate or in a broken pool the remaining items come as
 * IPCK_CANCELED.  By one thread at a time.
 */
IPCK_API IPCK_MUST_CHECK int ipck_imap_next(struct ipck_imap *imap, struct ipck_item *item,
                                            struct ipck_deadline deadline);

/* Ends an iteration at any time; what was not begun is withdrawn.  NULL is fine. */
IPCK_API void ipck_imap_close(struct ipck_imap *imap);

/*
 * No new calls (-ESHUTDOWN for them); what was begun goes on.  Idempotent.
 */
IPCK_API int ipck_pool_close(struct ipck_pool *pool);

/*
 * Ends the pool now: workers get SIGTERM, after 200 ms SIGKILL, with their
 * process groups; every item not done is IPCK_CANCELED, every call under way
 * returns.  Bounded in time, from any thread.  With threads, running items are
 * waited for.  Idempotent.
 */
IPCK_API int ipck_pool_terminate(struct ipck_pool *pool);

/*
 * After close or terminate: waits until all work is done and all workers have
 * ended.  Reads open iterators' input to its end and keeps their results, which
 * can still be taken afterwards.  0; -EINVAL: neither closed nor terminated;
 * -ETIMEDOUT; -ECANCELED; -ENOTRECOVERABLE: it was broken, and has ended;
 * -ECHILD; -EDEADLK: called by a worker.
 */
IPCK_API IPCK_MUST_CHECK int ipck_pool_join(struct ipck_pool *pool, struct ipck_deadline deadline);

/*
 * Frees the pool, terminating it first if it has not ended.  Its iterators stay
 * valid until they are closed.  NULL is fine.
 */
IPCK_API void ipck_pool_free(struct ipck_pool *pool);

/* In a task: the place (0 .. workers - 1) of the worker that runs it; -ECHILD elsewhere. */
IPCK_API int ipck_pool_worker(void);

/* The pids of the workers that run now: stores up to max, returns how many run. */
IPCK_API size_t ipck_pool_pids(struct ipck_pool *pool, pid_t *pids, size_t max);

/* Figures, at any time.  0, -E2BIG. */
IPCK_API int ipck_pool_stat(struct ipck_pool *pool, struct ipck_pool_stat *stat);

/* Why the pool is broken, a sentence that lives as long as the pool; NULL if it is not. */
IPCK_API const char *ipck_pool_reason(struct ipck_pool *pool);

IPCK_END_DECLS

#endif
