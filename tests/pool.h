/* SPDX-License-Identifier: MIT */
/*
 * What the tests of pools share.  Most of them run twice, on a pool of processes
 * and on one of threads: START_TEST(...) { pool = pool_new(_i, 3); ... } is added
 * by pool_test().
 *
 * Tasks and test meet in memory that both share, `meet`: it is there before the
 * pool is made, so that workers have it at the same address.
 */
#ifndef TESTS_POOL_H
#define TESTS_POOL_H

#include "support.h"

#include <ipckit/pool.h>
#include <pthread.h>

#include "base/atomic.h"

enum { PROCESSES, THREADS, KINDS };
#define pool_test(tc, test) tcase_add_loop_test((tc), (test), 0, KINDS)

/*
 * A test case.  The first start of a process keeps three descriptors for the rest
 * of the process (its lifeline, the null device); that is done before the leak
 * check looks for the first time.
 */
TCase *pool_case(Suite *s, const char *name);

struct meeting {
	uint32_t begun;    /* tasks that came */
	uint32_t open;     /* they go on if they are below this */
	uint32_t finished; /* tasks that went */
	uint32_t other;    /* of the test */
	pid_t pid[8];
};
extern struct meeting *meet; /* zeroed for each test */

/* In a task: comes, waits until the gate is open, goes. */
void meet_at_gate(void);
void open_gate(void);

struct ipck_pool *pool_new(bool threads, int workers);

/* Closes, joins and frees: all must go well. */
void pool_end(struct ipck_pool *pool);

struct ipck_pool_stat pool_figures(struct ipck_pool *pool);

/* Maps under way and iterations that still need the workers. */
unsigned pool_calls(struct ipck_pool *pool);

/* Shows that a pool works: a map of n numbers. */
void pool_works(struct ipck_pool *pool, size_t n);

/* Whether all of the statuses are that. */
bool all_are(const struct ipck_status *status, size_t n, enum ipck_outcome outcome);

/* Bytes by which it can be told where they stand and whose they are. */
void pattern_fill(void *bytes, size_t size, uint64_t whose);
bool pattern_is(const void *bytes, size_t size, uint64_t whose);

/* The task of pool_works: uint64_t to uint64_t, x -> 3 x + 1. */
int triple(const void *in, void *out, const void *arg);

/* A task of map that waits at the gate, and one of imap. */
int wait_at_gate(const void *in, void *out, const void *arg);
int wait_at_gate_imap(const void *item, size_t size, const void *arg, struct ipck_result *result);

/* An input of imap: the numbers from next to end - 1. */
struct numbers {
	uint64_t next, end, now;
};
int next_number(void *ctx, const void **item, size_t *size);

/* Its task: x -> 3 x + 1. */
int triple_imap(const void *item, size_t size, const void *arg, struct ipck_result *result);

#endif
