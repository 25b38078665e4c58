/* SPDX-License-Identifier: MIT */
/* Pools side by side and inside each other. */
#include <ipckit/pool.h>

#include "pool.h"

#include <ipckit/process.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Inner and outer: processes in processes, threads in processes ... */
#define PAIRS (KINDS * KINDS)
static bool outer_kind(int pair)
{
	return pair / KINDS;
}
static bool inner_kind(int pair)
{
	return pair % KINDS;
}

/* Works in a child as in the main process; its assertions end the child. */
static int use_pool(bool threads)
{
	struct ipck_pool *pool = pool_new(threads, 2);

	pool_works(pool, 100);
	pool_end(pool);
	return 0;
}

static int use_pool_in_child(void *threads)
{
	return use_pool(*(bool *)threads);
}

START_TEST(test_in_a_child)
{
	struct ipck_process *children[3];
	bool threads = _i;
	int code;

	for (int i = 0; i < 3; i++)
		ck_ok(ipck_process_start(&children[i], use_pool_in_child, &threads,
		                         i ? NULL : IPCK_PROCESS_OPTS(.daemon = true)));
	for (int i = 0; i < 3; i++) {
		ck_ok(ipck_process_join(children[i], IPCK_FOREVER));
		ck_ok(ipck_process_status(children[i], &code, NULL));
		ck_assert_int_eq(code, 0);
		ck_ok(ipck_process_close(children[i]));
	}
}
END_TEST

static void use_pool_in_fork(void *threads)
{
	use_pool(*(bool *)threads);
}

START_TEST(test_in_a_fork)
{
	struct ipck_pool *pool = pool_new(false, 2);
	bool threads = _i;

	test_join(test_fork(use_pool_in_fork, &threads));
	pool_works(pool, 100);
	pool_end(pool);
}
END_TEST

/* ---- in a worker ---- */

static int use_pool_in_task(const void *in, void *out, const void *arg)
{
	(void)in;
	*(int *)out = use_pool(*(const bool *)arg);
	return ipck_pool_worker() < 0 ? -EINVAL : 0;
}

START_TEST(test_in_a_worker)
{
	struct ipck_pool *pool = pool_new(outer_kind(_i), 2);
	bool threads = inner_kind(_i);
	int out[6];

	memset(out, 1, sizeof(out));
	ck_that(ck_ok(ipck_pool_map(pool, use_pool_in_task, NULL, 6, 0, out, sizeof(int),
	                            IPCK_MAP_OPTS(.arg = &threads, .arg_size = sizeof(threads)), IPCK_FOREVER)) == 0);
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(out[i], 0);
	pool_end(pool);
}
END_TEST

/* The inner pool's tasks may not use the outer one, but know their own number. */
static int use_outer(const void *in, void *out, const void *arg)
{
	struct ipck_pool *const *outer = arg;
	uint64_t x = 0;

	(void)in, (void)out;
	if (ipck_pool_worker() != 0)
		return 1;
	return ipck_pool_map(*outer, triple, &x, 1, 8, &x, 8, NULL, IPCK_FOREVER) == -ECHILD ? 0 : 2;
}

static int use_outer_by_inner(const void *in, void *out, const void *arg)
{
	struct ipck_pool *inner = pool_new(false, 1);
	struct ipck_status status;
	ssize_t rc;

	(void)in, (void)out;
	rc = ipck_pool_map(inner, use_outer, NULL, 1, 0, NULL, 0,
	                   IPCK_MAP_OPTS(.arg = arg, .arg_size = sizeof(void *), .status = &status), IPCK_FOREVER);
	pool_end(inner);
	return rc == 0 ? 0 : status.value;
}

START_TEST(test_inner_uses_outer)
{
	struct ipck_pool *pool = pool_new(_i, 2);
	struct ipck_status status = {0};

	ck_ok(ipck_pool_map(pool, use_outer_by_inner, NULL, 1, 0, NULL, 0,
	                    IPCK_MAP_OPTS(.arg = &pool, .arg_size = sizeof(pool), .status = &status), IPCK_FOREVER));
	ck_assert_int_eq(status.outcome, IPCK_DONE);
	ck_assert_int_eq(status.value, 0);
	pool_end(pool);
}
END_TEST

/* ---- left open ---- */

static struct ipck_pool *kept; /* of a worker, over its items */

static int keep_pool(const void *in, void *out, const void *arg)
{
	(void)in, (void)out, (void)arg;
	if (!kept)
		kept = pool_new(false, 2);
	pool_works(kept, 10);
	meet_at_gate();
	return 0;
}

/* Inner pools end with the worker that made them, however it ends: the leak check
 * is the judge. */
START_TEST(test_left_open)
{
	struct ipck_pool *pool = pool_new(false, 2);

	store_release(&meet->open, _i < 2 ? UINT32_MAX : 2);
	if (_i < 2) {
		ck_that(ck_ok(ipck_pool_map(pool, keep_pool, NULL, 10, 0, NULL, 0, NULL, IPCK_FOREVER)) == 0);
		if (_i == 0)
			pool_end(pool);
		else
			ipck_pool_free(pool);
		return;
	}
	ck_err(ipck_pool_map(pool, keep_pool, NULL, 10, 0, NULL, 0, NULL, ipck_in_ms(50)), ETIMEDOUT);
	ipck_pool_free(pool);
}
END_TEST

/* ---- side by side ---- */

START_TEST(test_several)
{
	struct ipck_pool *pools[6];

	for (int i = 0; i < 6; i++)
		pools[i] = pool_new(_i == KINDS ? i % 2 : _i, 1 + i % 2);
	for (int i = 0; i < 60; i++)
		pool_works(pools[i % 6], 50);
	/* The oldest first: the younger hold nothing of it. */
	for (int i = 0; i < 6; i++) {
		pool_end(pools[i]);
		for (int k = i + 1; k < 6; k++)
			pool_works(pools[k], 10);
	}
}
END_TEST

static void make_and_use(unsigned i, void *threads)
{
	for (int round = 0; round < 5; round++) {
		struct ipck_pool *pool = pool_new(*(bool *)threads, 1 + i % 2);

		pool_works(pool, 200);
		if (round % 2)
			pool_end(pool);
		else
			ipck_pool_free(pool);
	}
}

START_TEST(test_in_many_threads)
{
	bool threads = _i;

	test_threads(4, make_and_use, &threads);
}
END_TEST

/* One pool's task waits for what the other's does: neither holds the other up. */
struct relay {
	struct ipck_pool *pool;
	pthread_t thread;
	ssize_t rc;
};

static int pass(const void *in, void *out, const void *arg)
{
	uint32_t me = *(const uint32_t *)arg;

	(void)in, (void)out;
	while (load_acquire(&meet->other) % 2 != me)
		usleep(100);
	add_acq_rel(&meet->other, 1);
	return 0;
}

static void *run_relay(void *arg)
{
	struct relay *r = arg;
	uint32_t me = 0;

	r->rc = ipck_pool_map(r->pool, pass, NULL, 50, 0, NULL, 0, IPCK_MAP_OPTS(.arg = &me, .arg_size = sizeof(me)),
	                      IPCK_FOREVER);
	return NULL;
}

START_TEST(test_relay)
{
	struct relay a = {.pool = pool_new(_i, 1)};
	struct ipck_pool *b = pool_new(!_i, 1);
	uint32_t me = 1;

	ck_that(pthread_create(&a.thread, NULL, run_relay, &a) == 0);
	ck_that(ck_ok(ipck_pool_map(b, pass, NULL, 50, 0, NULL, 0, IPCK_MAP_OPTS(.arg = &me, .arg_size = sizeof(me)),
	                            IPCK_FOREVER)) == 0);
	ck_that(pthread_join(a.thread, NULL) == 0);
	ck_assert_int_eq(a.rc, 0);
	ck_assert_uint_eq(load_acquire(&meet->other), 100);
	pool_end(a.pool);
	pool_end(b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pool_nest");
	TCase *tc = pool_case(s, "inside");

	pool_test(tc, test_in_a_child);
	pool_test(tc, test_in_a_fork);
	tcase_add_loop_test(tc, test_in_a_worker, 0, PAIRS);
	pool_test(tc, test_inner_uses_outer);
	tcase_add_loop_test(tc, test_left_open, 0, 3);
	tc = pool_case(s, "beside");
	pool_test(tc, test_relay);
	tc = pool_case(s, "many beside");
	/* Each takes as much address space as the machine has memory; valgrind has 128 GiB in all. */
	tcase_set_tags(tc, "not_valgrind");
	tcase_add_loop_test(tc, test_several, 0, KINDS + 1);
	pool_test(tc, test_in_many_threads);
	return test_main(s);
}
