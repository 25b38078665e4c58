/* SPDX-License-Identifier: MIT */
/* A pool's life: create, close, terminate, join, free, in all orders and by all callers. */
#include <ipckit/pool.h>

#include "pool.h"

#include <ipckit/process.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- create ---- */

START_TEST(test_defaults)
{
	struct ipck_pool_stat stat;
	struct ipck_pool *pool;

	ck_ok(ipck_pool_create(&pool, NULL));
	stat = pool_figures(pool);
	ck_assert_int_eq(stat.workers, ipck_cpu_count());
	ck_assert_int_eq(stat.alive, stat.workers);
	ck_assert_int_gt(stat.master, 0);
	ck_assert_ptr_null(ipck_pool_reason(pool));
	pool_works(pool, 10);
	pool_end(pool);
}
END_TEST

START_TEST(test_bad_options)
{
	struct {
		struct ipck_pool_opts opts;
		size_t more;
	} newer = {.opts = IPCK_POOL_OPTS_INIT, .more = 1};
	struct ipck_pool *pool = (void *)&newer;

	ck_err(ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = -1, .threads = _i)), EINVAL);
	ck_err(ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = 4097, .threads = _i)), EINVAL);
	newer.opts.size = sizeof(newer);
	newer.opts.threads = _i;
	ck_err(ipck_pool_create(&pool, &newer.opts), E2BIG);
	ck_assert_ptr_eq(pool, (void *)&newer);
	newer.more = 0;
	ck_ok(ipck_pool_create(&pool, &newer.opts));
	pool_end(pool);
	pool_end(pool_new(_i, 1));
	ipck_pool_free(NULL);
}
END_TEST

static ssize_t map_with(struct ipck_pool *pool, const struct ipck_map_opts *opts)
{
	uint64_t x = 1;

	return ipck_pool_map(pool, triple, &x, 1, sizeof(x), &x, sizeof(x), opts, IPCK_FOREVER);
}

START_TEST(test_newer_structs)
{
	struct {
		struct ipck_map_opts opts;
		size_t more;
	} opts = {.opts = IPCK_MAP_OPTS_INIT, .more = 1};
	struct {
		struct ipck_pool_stat stat;
		size_t more;
	} stat = {.stat = IPCK_POOL_STAT_INIT, .more = 1};
	struct ipck_pool *pool = pool_new(_i, 2);
	struct numbers numbers = {.end = 1};
	struct ipck_imap *imap;

	opts.opts.size = sizeof(opts);
	ck_err(map_with(pool, &opts.opts), E2BIG);
	ck_err(ipck_pool_imap(&imap, pool, triple_imap, next_number, &numbers, &opts.opts), E2BIG);
	ck_err(ipck_pool_imap_unordered(&imap, pool, triple_imap, next_number, &numbers, &opts.opts), E2BIG);
	stat.stat.size = sizeof(stat);
	ck_err(ipck_pool_stat(pool, &stat.stat), E2BIG);
	ck_assert_int_eq(stat.stat.workers, 0);

	opts.more = stat.more = 0;
	ck_assert_int_eq(ck_ok(map_with(pool, &opts.opts)), 0);
	ck_ok(ipck_pool_stat(pool, &stat.stat));
	ck_assert_int_eq(stat.stat.workers, 2);
	ck_assert_uint_eq(stat.stat.size, sizeof(stat));
	/* An older program's, shorter, is filled as far as it goes. */
	stat.stat = (struct ipck_pool_stat){.size = offsetof(struct ipck_pool_stat, done), .done = 77};
	ck_ok(ipck_pool_stat(pool, &stat.stat));
	ck_assert_uint_eq(stat.stat.done, 77);
	ck_assert_int_eq(stat.stat.workers, 2);
	pool_end(pool);
}
END_TEST

/* ---- orders ---- */

/* c: close, t: terminate, j: join, w: it works, s: it takes no more. */
static const char *const orders[] = {"",   "c",   "t",     "w",     "wc",     "cj",      "tj",      "ct", "tc",
                                     "ccj", "ttj", "wcjct", "tjtjc", "wcscjs", "cjtjcjt", "wtstjsj", "wcjtsjc"};

static void step(struct ipck_pool *pool, char what)
{
	switch (what) {
	case 'c':
		ck_ok(ipck_pool_close(pool));
		break;
	case 't':
		ck_ok(ipck_pool_terminate(pool));
		break;
	case 'j':
		ck_ok(ipck_pool_join(pool, IPCK_FOREVER));
		ck_ok(ipck_pool_join(pool, IPCK_NOWAIT));
		ck_assert_int_eq(pool_figures(pool).alive, 0);
		break;
	case 'w':
		ck_err(ipck_pool_join(pool, IPCK_FOREVER), EINVAL);
		pool_works(pool, 100);
		break;
	case 's':
		ck_err(map_with(pool, NULL), ESHUTDOWN);
		break;
	}
}

START_TEST(test_orders)
{
	for (int threads = 0; threads < KINDS; threads++) {
		struct ipck_pool *pool = pool_new(threads, 2);

		for (const char *what = orders[_i]; *what; what++)
			step(pool, *what);
		ipck_pool_free(pool);
	}
}
END_TEST

START_TEST(test_closed)
{
	struct ipck_pool *pool = pool_new(_i, 2);
	struct numbers numbers = {.end = 1};
	struct ipck_imap *imap = (void *)&numbers;

	ck_ok(ipck_pool_close(pool));
	ck_err(map_with(pool, NULL), ESHUTDOWN);
	ck_err(ipck_pool_imap(&imap, pool, triple_imap, next_number, &numbers, NULL), ESHUTDOWN);
	ck_err(ipck_pool_imap_unordered(&imap, pool, triple_imap, next_number, &numbers, NULL), ESHUTDOWN);
	ck_assert_ptr_eq(imap, (void *)&numbers);
	ipck_pool_free(pool);
}
END_TEST

/* ---- several threads ---- */

struct use {
	struct ipck_pool *pool;
	pthread_t thread;
	ssize_t rc;
	struct ipck_status status[1000];
	uint64_t out[1000];
};

static void *map_at_gate(void *arg)
{
	struct use *u = arg;

	u->rc = ipck_pool_map(u->pool, wait_at_gate, NULL, 1000, 0, NULL, 0, IPCK_MAP_OPTS(.status = u->status),
	                      IPCK_FOREVER);
	return NULL;
}

static struct use *use_in_thread(struct ipck_pool *pool, void *(*fn)(void *))
{
	struct use *u = calloc(1, sizeof(*u));

	ck_that(u);
	u->pool = pool;
	ck_that(pthread_create(&u->thread, NULL, fn, u) == 0);
	return u;
}

static ssize_t use_end(struct use *u)
{
	ck_that(pthread_join(u->thread, NULL) == 0);
	return u->rc;
}

START_TEST(test_close_lets_go_on)
{
	struct ipck_pool *pool = pool_new(_i, 2);
	struct use *u = use_in_thread(pool, map_at_gate);

	TEST_UNTIL(load_acquire(&meet->begun) == 2);
	ck_ok(ipck_pool_close(pool));
	ck_err(map_with(pool, NULL), ESHUTDOWN);
	ck_err(ipck_pool_join(pool, IPCK_NOWAIT), ETIMEDOUT);
	ck_err(ipck_pool_join(pool, ipck_in_ms(20)), ETIMEDOUT);
	ipck_interrupt();
	ck_err(ipck_pool_join(pool, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	ipck_interrupt_clear();
	open_gate();
	ck_ok(ipck_pool_join(pool, ipck_interruptible(IPCK_FOREVER)));
	ck_assert_int_eq(ck_ok(use_end(u)), 0);
	ck_assert(all_are(u->status, 1000, IPCK_DONE));
	ck_assert_uint_eq(load_acquire(&meet->finished), 1000);
	free(u);
	ipck_pool_free(pool);
}
END_TEST

static void *terminate(void *arg)
{
	struct use *u = arg;

	u->rc = ipck_pool_terminate(u->pool);
	return NULL;
}

/* The maps return even where their items cannot be ended, in threads. */
START_TEST(test_terminate_ends_maps)
{
	enum { MAPS = 3 };
	struct ipck_pool *pool = pool_new(_i, 2);
	struct use *maps[MAPS], *end;

	for (int i = 0; i < MAPS; i++)
		maps[i] = use_in_thread(pool, map_at_gate);
	TEST_UNTIL(load_acquire(&meet->begun) == 2 && pool_calls(pool) == MAPS);
	end = use_in_thread(pool, terminate);
	for (int i = 0; i < MAPS; i++) {
		ck_err(use_end(maps[i]), ECANCELED);
		ck_assert(all_are(maps[i]->status, 1000, IPCK_CANCELED));
		free(maps[i]);
	}
	ck_assert_uint_eq(load_acquire(&meet->finished), 0);
	open_gate();
	ck_ok(use_end(end));
	free(end);
	ck_err(map_with(pool, NULL), ESHUTDOWN);
	ck_ok(ipck_pool_join(pool, IPCK_NOWAIT));
	ipck_pool_free(pool);
}
END_TEST

/* It is not told of the items as killed, though their workers may be gone first. */
START_TEST(test_terminate_is_no_loss)
{
	enum { MAPS = 8 };

	for (int round = 0; round < 20; round++) {
		struct ipck_pool *pool = pool_new(false, 4);
		struct use *maps[MAPS];
		uint32_t before = load_acquire(&meet->begun);

		for (int i = 0; i < MAPS; i++)
			maps[i] = use_in_thread(pool, map_at_gate);
		TEST_UNTIL(load_acquire(&meet->begun) - before == 4 && pool_calls(pool) == MAPS);
		ck_ok(ipck_pool_terminate(pool));
		for (int i = 0; i < MAPS; i++) {
			ck_err(use_end(maps[i]), ECANCELED);
			ck_assert(all_are(maps[i]->status, 1000, IPCK_CANCELED));
			free(maps[i]);
		}
		ck_assert_uint_eq(pool_figures(pool).lost, 0);
		ipck_pool_free(pool);
	}
}
END_TEST

static void *join(void *arg)
{
	struct use *u = arg;

	u->rc = ipck_pool_join(u->pool, IPCK_FOREVER);
	return NULL;
}

static void *close_it(void *arg)
{
	struct use *u = arg;

	u->rc = ipck_pool_close(u->pool);
	return NULL;
}

START_TEST(test_end_by_many)
{
	static void *(*const ends[])(void *) = {terminate, close_it, terminate, join, join, terminate};
	struct ipck_pool *pool = pool_new(_i, 2);
	struct use *map = use_in_thread(pool, map_at_gate), *end[6];

	TEST_UNTIL(load_acquire(&meet->begun) == 2);
	ck_ok(ipck_pool_close(pool));
	for (int i = 0; i < 6; i++)
		end[i] = use_in_thread(pool, ends[i]);
	ck_err(use_end(map), ECANCELED);
	open_gate();
	for (int i = 0; i < 6; i++) {
		ck_ok(use_end(end[i]));
		free(end[i]);
	}
	free(map);
	ipck_pool_free(pool);
}
END_TEST

static void *create_pool(void *arg)
{
	struct use *u = arg;

	u->pool = pool_new(u->rc, 2);
	return NULL;
}

static void *free_pool(void *arg)
{
	struct use *u = arg;

	ipck_pool_free(u->pool);
	return NULL;
}

/* The thread that made it ends: that is nothing to the workers. */
START_TEST(test_one_thread_after_another)
{
	struct use u = {.rc = _i};

	ck_that(pthread_create(&u.thread, NULL, create_pool, &u) == 0);
	use_end(&u);
	pool_works(u.pool, 1000);
	ck_assert_uint_eq(pool_figures(u.pool).replaced, 0);
	ck_that(pthread_create(&u.thread, NULL, free_pool, &u) == 0);
	use_end(&u);
}
END_TEST

/* ---- terminate whatever the tasks do ---- */

/* Leaves a child in its group; both do not listen. */
static int stay(const void *in, void *out, const void *arg)
{
	pid_t child;

	(void)in, (void)out, (void)arg;
	signal(SIGTERM, SIG_IGN);
	child = fork();
	if (child != 0)
		store_release(&meet->pid[ipck_pool_worker()], child);
	for (;;)
		pause();
	return 0;
}

static void *map_stay(void *arg)
{
	struct use *u = arg;

	u->rc = ipck_pool_map(u->pool, stay, NULL, 2, 0, NULL, 0, IPCK_MAP_OPTS(.status = u->status), IPCK_FOREVER);
	return NULL;
}

START_TEST(test_terminate_the_deaf)
{
	struct ipck_pool *pool = pool_new(false, 2);
	struct use *u = use_in_thread(pool, map_stay);
	pid_t pids[2];

	TEST_UNTIL(load_acquire(&meet->pid[0]) && load_acquire(&meet->pid[1]));
	ck_assert_uint_eq(ipck_pool_pids(pool, pids, 2), 2);
	ck_ok(ipck_pool_terminate(pool));
	ck_err(use_end(u), ECANCELED);
	ck_assert(all_are(u->status, 2, IPCK_CANCELED));
	free(u);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(test_state(pids[i]), 0);
		TEST_UNTIL(test_state(meet->pid[i]) == 0 || test_state(meet->pid[i]) == 'Z');
	}
	ipck_pool_free(pool);
}
END_TEST

/* ---- whom it tells what ---- */

START_TEST(test_pids_and_figures)
{
	struct ipck_pool *pool = pool_new(false, 3);
	struct ipck_pool_stat stat = pool_figures(pool);
	pid_t pids[4] = {-1, -1, -1, -1};

	ck_assert_uint_eq(ipck_pool_pids(pool, NULL, 0), 3);
	ck_assert_uint_eq(ipck_pool_pids(pool, pids, 2), 3);
	ck_assert_int_eq(pids[2], -1);
	ck_assert_uint_eq(ipck_pool_pids(pool, pids, 4), 3);
	ck_assert_int_eq(pids[3], -1);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(kill(pids[i], 0), 0);
		ck_assert_int_eq(getpgid(pids[i]), pids[i]);
		ck_assert_int_ne(pids[i], pids[(i + 1) % 3]);
	}
	ck_assert_int_eq(stat.workers, 3);
	ck_assert_int_eq(stat.alive, 3);
	ck_assert_int_eq(getpgid(stat.master), stat.master);
	pool_works(pool, 1234);
	ck_ok(ipck_pool_close(pool));
	ck_ok(ipck_pool_join(pool, IPCK_FOREVER));
	stat = pool_figures(pool);
	ck_assert_uint_eq(stat.done, 1234);
	ck_assert_uint_eq(stat.lost + stat.replaced + stat.masters, 0);
	ck_assert_int_eq(stat.workers, 3);
	ck_assert_int_eq(stat.alive, 0);
	ck_assert_int_eq(stat.master, 0);
	ck_assert_uint_eq(ipck_pool_pids(pool, pids, 4), 0);
	ipck_pool_free(pool);
}
END_TEST

START_TEST(test_figures_of_threads)
{
	struct ipck_pool *pool = pool_new(true, 3);
	struct ipck_pool_stat stat;

	pool_works(pool, 1234);
	stat = pool_figures(pool);
	ck_assert_int_eq(stat.workers, 3);
	ck_assert_int_eq(stat.alive, 3);
	ck_assert_int_eq(stat.master, 0);
	ck_assert_uint_eq(ipck_pool_pids(pool, NULL, 0), 0);
	ck_ok(ipck_pool_close(pool));
	ck_ok(ipck_pool_join(pool, IPCK_FOREVER));
	stat = pool_figures(pool);
	ck_assert_uint_eq(stat.done, 1234);
	ck_assert_uint_eq(stat.lost + stat.replaced + stat.masters, 0);
	ipck_pool_free(pool);
}
END_TEST

/* All calls of the wrong caller; the pool does not notice. */
static void use_wrongly(struct ipck_pool *pool, int error)
{
	struct numbers numbers = {.end = 1};
	struct ipck_imap *imap;

	ck_err(map_with(pool, NULL), error);
	ck_err(ipck_pool_imap(&imap, pool, triple_imap, next_number, &numbers, NULL), error);
	ck_err(ipck_pool_imap_unordered(&imap, pool, triple_imap, next_number, &numbers, NULL), error);
	ck_err(ipck_pool_close(pool), error);
	ck_err(ipck_pool_terminate(pool), error);
	ck_err(ipck_pool_join(pool, IPCK_FOREVER), error);
	ipck_pool_free(pool);
}

static void use_in_child(void *pool)
{
	use_wrongly(pool, ECHILD);
}

START_TEST(test_other_process)
{
	struct ipck_pool *pool = pool_new(_i, 2);

	test_join(test_fork(use_in_child, pool));
	pool_works(pool, 100);
	test_join(test_fork(use_in_child, pool));
	pool_end(pool);
}
END_TEST

/* The argument is the address of the handle, which a worker has a copy of. */
static int use_in_task(const void *in, void *out, const void *arg)
{
	struct ipck_pool *const *pool = arg;

	(void)in, (void)out;
	use_wrongly(*pool, EDEADLK);
	return 0;
}

START_TEST(test_in_a_task)
{
	struct ipck_pool *pool = pool_new(_i, 2);

	ck_assert_int_eq(ck_ok(ipck_pool_map(pool, use_in_task, NULL, 10, 0, NULL, 0,
	                                     IPCK_MAP_OPTS(.arg = &pool, .arg_size = sizeof(pool)), IPCK_FOREVER)),
	                 0);
	pool_works(pool, 100);
	pool_end(pool);
}
END_TEST

/* ---- nothing is left ---- */

START_TEST(test_hundred_pools)
{
	for (int i = 0; i < 100; i++) {
		struct ipck_pool *pool = pool_new(_i, 1 + i % 3);

		pool_works(pool, (size_t)i);
		if (i % 4 == 1)
			ck_ok(ipck_pool_close(pool));
		if (i % 4 >= 2)
			pool_end(pool);
		else
			ipck_pool_free(pool);
	}
}
END_TEST

/* What ends them is the end of the program; the leak check is the judge. */
static struct ipck_pool *left[2];

static void leave_pools(void *arg)
{
	(void)arg;
	for (int i = 0; i < 2; i++)
		left[i] = pool_new(false, 2);
	pool_works(left[0], 100);
	ck_ok(ipck_pool_close(left[1]));
	exit(0);
}

START_TEST(test_exit_without_free)
{
	test_join(test_fork(leave_pools, NULL));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pool");
	TCase *tc = pool_case(s, "create");

	tcase_add_test(tc, test_defaults);
	pool_test(tc, test_bad_options);
	pool_test(tc, test_newer_structs);
	tc = pool_case(s, "orders");
	tcase_add_loop_test(tc, test_orders, 0, sizeof(orders) / sizeof(orders[0]));
	pool_test(tc, test_closed);
	tc = pool_case(s, "threads");
	pool_test(tc, test_close_lets_go_on);
	pool_test(tc, test_terminate_ends_maps);
	tcase_add_test(tc, test_terminate_is_no_loss);
	pool_test(tc, test_end_by_many);
	pool_test(tc, test_one_thread_after_another);
	tcase_add_test(tc, test_terminate_the_deaf);
	tc = pool_case(s, "callers");
	tcase_add_test(tc, test_pids_and_figures);
	tcase_add_test(tc, test_figures_of_threads);
	pool_test(tc, test_other_process);
	pool_test(tc, test_in_a_task);
	tc = pool_case(s, "leaks");
	pool_test(tc, test_hundred_pools);
	tcase_add_test(tc, test_exit_without_free);
	return test_main(s);
}
