/* SPDX-License-Identifier: MIT */
/* Workers, masters and parents of a pool that die: what it costs, and what not. */
#include <ipckit.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support.h"

/* Seen by the test and by all workers: mapped before the pool is made. */
static struct {
	uint32_t begun[64];
	uint32_t go;
	uint32_t tries;
	pid_t pids[64];
} *shared;

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* The first start of a process keeps descriptors for good. */
static void prime(void)
{
	struct ipck_process *p;

	ck_ok(ipck_process_start(&p, nothing, NULL, NULL));
	ck_ok(ipck_process_join(p, IPCK_FOREVER));
	ck_ok(ipck_process_close(p));
	shared = test_shared(sizeof(*shared));
}

static struct ipck_pool *make_pool(int workers)
{
	struct ipck_pool *pool;

	ck_ok(ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = workers)));
	return pool;
}

static struct ipck_pool_stat stat_of(struct ipck_pool *pool)
{
	struct ipck_pool_stat stat = IPCK_POOL_STAT_INIT;

	ck_ok(ipck_pool_stat(pool, &stat));
	return stat;
}

static int square(const void *in, void *out, const void *arg)
{
	int x = *(const int *)in;

	(void)arg;
	*(int *)out = x * x;
	return 0;
}

/* The pool still does work, all of it. */
static void check_works(struct ipck_pool *pool)
{
	int in[1000], out[1000];

	for (int i = 0; i < 1000; i++)
		in[i] = i;
	ck_assert_int_eq(ipck_pool_map(pool, square, in, 1000, sizeof(int), out, sizeof(int), NULL, IPCK_FOREVER), 0);
	for (int i = 0; i < 1000; i++)
		ck_that(out[i] == i * i);
}

static bool worker_is_new(struct ipck_pool *pool, pid_t old)
{
	pid_t pid;

	return ipck_pool_pids(pool, &pid, 1) == 1 && pid != old;
}

/* While the parent does nothing but look. */
START_TEST(test_idle_worker)
{
	struct ipck_pool *pool = make_pool(1);
	pid_t pid;

	for (int round = 0; round < 20; round++) {
		TEST_UNTIL(ipck_pool_pids(pool, &pid, 1) == 1);
		kill(pid, SIGKILL);
		TEST_UNTIL(worker_is_new(pool, pid));
		check_works(pool);
	}
	ck_assert_uint_eq(stat_of(pool).replaced, 20);
	ck_assert_uint_eq(stat_of(pool).lost, 0);
	ipck_pool_free(pool);
}
END_TEST

enum death { BY_SIGNAL, BY_CRASH, BY_EXIT, BY_EXIT_0, DEATHS };

static int die(const void *in, void *out, const void *arg)
{
	int x = *(const int *)in;

	if (x % 10 == 3)
		switch (*(const enum death *)arg) {
		case BY_SIGNAL:
			raise(SIGKILL);
			break;
		case BY_CRASH:
			signal(SIGSEGV, SIG_DFL);
			raise(SIGSEGV);
			break;
		case BY_EXIT:
			_exit(7);
		default:
			exit(0);
		}
	*(int *)out = x + 1;
	return 0;
}

START_TEST(test_costs_one_item)
{
	static const struct ipck_status expected[DEATHS] = {
		{IPCK_KILLED, SIGKILL}, {IPCK_KILLED, SIGSEGV}, {IPCK_EXITED, 7}, {IPCK_EXITED, 0}};
	struct ipck_pool *pool = make_pool(3);
	enum death how = (enum death)_i;
	struct ipck_status status[100];
	int in[100], out[100];

	for (int i = 0; i < 100; i++) {
		in[i] = i;
		out[i] = -1;
	}
	ck_assert_int_eq(ipck_pool_map(pool, die, in, 100, sizeof(int), out, sizeof(int),
	                               IPCK_MAP_OPTS(.arg = &how, .arg_size = sizeof(how), .status = status),
	                               IPCK_FOREVER),
	                 10);
	for (int i = 0; i < 100; i++) {
		bool dead = i % 10 == 3;

		ck_that(status[i].outcome == (dead ? expected[how].outcome : IPCK_DONE));
		ck_that(status[i].value == (dead ? expected[how].value : 0));
		ck_that(out[i] == (dead ? -1 : i + 1));
	}
	ck_assert_uint_eq(stat_of(pool).lost, 10);
	check_works(pool);
	ipck_pool_free(pool);
}
END_TEST

/* Item i says that it runs, and waits to be let go. */
static int wait_for_go(const void *in, void *out, const void *arg)
{
	int i = *(const int *)in;

	(void)arg;
	shared->pids[i] = getpid();
	__atomic_store_n(&shared->begun[i], 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&shared->go, __ATOMIC_SEQ_CST))
		usleep(1000);
	*(int *)out = i + 1;
	return 0;
}

static bool has_begun(int i)
{
	return __atomic_load_n(&shared->begun[i], __ATOMIC_SEQ_CST);
}

struct running_map {
	struct ipck_pool *pool;
	struct ipck_status status[8];
	int out[8];
	ssize_t failed;
};

static void run_map(unsigned i, void *arg)
{
	struct running_map *m = arg;
	int in[8] = {0, 1, 2, 3, 4, 5, 6, 7};

	(void)i;
	m->failed = ipck_pool_map(m->pool, wait_for_go, in, 8, sizeof(int), m->out, sizeof(int),
	                          IPCK_MAP_OPTS(.status = m->status), IPCK_FOREVER);
}

static void map_and_kill_one(unsigned i, void *arg)
{
	struct running_map *m = arg;

	if (i == 0) {
		run_map(i, m);
		return;
	}
	TEST_UNTIL(has_begun(0));
	kill(shared->pids[0], SIGKILL);
	TEST_UNTIL(stat_of(m->pool).lost == 1);
	__atomic_store_n(&shared->go, 1, __ATOMIC_SEQ_CST);
}

START_TEST(test_running_worker)
{
	struct running_map m = {.pool = make_pool(2)};

	test_threads(2, map_and_kill_one, &m);
	ck_assert_int_eq(m.failed, 1);
	ck_assert_int_eq(m.status[0].outcome, IPCK_KILLED);
	ck_assert_int_eq(m.status[0].value, SIGKILL);
	ck_assert_int_eq(m.out[0], 0);
	for (int i = 1; i < 8; i++)
		ck_that(m.status[i].outcome == IPCK_DONE && m.out[i] == i + 1);
	ipck_pool_free(m.pool);
}
END_TEST

static void map_and_kill_master(unsigned i, void *arg)
{
	struct running_map *m = arg;

	if (i == 0) {
		run_map(i, m);
		return;
	}
	TEST_UNTIL(has_begun(0) + has_begun(1) + has_begun(2) + has_begun(3) + has_begun(4) + has_begun(5) +
	                   has_begun(6) + has_begun(7) ==
	           2);
	kill(stat_of(m->pool).master, SIGKILL);
	TEST_UNTIL(stat_of(m->pool).masters == 1);
	__atomic_store_n(&shared->go, 1, __ATOMIC_SEQ_CST);
}

START_TEST(test_master_while_mapping)
{
	struct running_map m = {.pool = make_pool(2)};
	int lost = 0;

	test_threads(2, map_and_kill_master, &m);
	ck_assert_int_eq(m.failed, 2);
	for (int i = 0; i < 8; i++) {
		if (m.status[i].outcome == IPCK_DONE) {
			ck_that(m.out[i] == i + 1);
			continue;
		}
		ck_assert_int_eq(m.status[i].outcome, IPCK_KILLED);
		ck_assert_int_eq(m.status[i].value, SIGKILL);
		lost++;
	}
	ck_assert_int_eq(lost, 2);
	check_works(m.pool);
	ipck_pool_free(m.pool);
}
END_TEST

START_TEST(test_idle_master)
{
	struct ipck_pool *pool = make_pool(3);

	for (int round = 0; round < 5; round++) {
		pid_t pids[3], master = stat_of(pool).master;

		TEST_UNTIL(ipck_pool_pids(pool, pids, 3) == 3);
		kill(master, SIGKILL);
		/* The kernel takes its workers along, whatever we do. */
		for (int i = 0; i < 3; i++)
			TEST_UNTIL(test_state(pids[i]) == 0 || test_state(pids[i]) == 'Z');
		check_works(pool);
		ck_assert_int_ne(stat_of(pool).master, master);
	}
	ck_assert_uint_eq(stat_of(pool).masters, 5);
	ipck_pool_free(pool);
}
END_TEST

/* A task that leaves a child of its own behind, in its group. */
static int leave_child(const void *in, void *out, const void *arg)
{
	int i = *(const int *)in;
	pid_t child = fork();

	(void)out;
	(void)arg;
	if (child == 0) {
		shared->pids[8 + i] = getpid();
		__atomic_store_n(&shared->begun[8 + i], 1, __ATOMIC_SEQ_CST);
		for (;;)
			pause();
	}
	shared->pids[i] = getpid();
	__atomic_store_n(&shared->begun[i], 1, __ATOMIC_SEQ_CST);
	pause();
	return 0;
}

static void parent_with_pool(void *arg)
{
	struct ipck_pool *pool = make_pool(2);
	int in[2] = {0, 1};

	(void)arg;
	shared->pids[16] = stat_of(pool).master;
	__atomic_store_n(&shared->begun[16], 1, __ATOMIC_SEQ_CST);
	(void)!ipck_pool_map(pool, leave_child, in, 2, sizeof(int), NULL, 0, NULL, IPCK_FOREVER);
}

static bool is_gone(pid_t pid)
{
	char state = test_state(pid);

	return state == 0 || state == 'Z' || state == 'X';
}

START_TEST(test_parent_killed)
{
	static const int who[] = {0, 1, 8, 9, 16};
	pid_t parent = test_fork(parent_with_pool, NULL);

	for (unsigned i = 0; i < 5; i++)
		TEST_UNTIL(has_begun(who[i]));
	if (_i == 1)
		/* A master that cannot run any more takes them along all the same. */
		kill(shared->pids[16], SIGSTOP);
	test_kill(parent);
	for (unsigned i = 0; i < 5; i++)
		TEST_UNTIL(is_gone(shared->pids[who[i]]));
}
END_TEST

static void begin_map(struct ipck_pool *pool)
{
	int in[2] = {0, 1};

	(void)!ipck_pool_map(pool, leave_child, in, 2, sizeof(int), NULL, 0, NULL, IPCK_FOREVER);
}

static void map_and_kill_both(unsigned i, void *pool)
{
	if (i == 0) {
		begin_map(pool);
		return;
	}
	TEST_UNTIL(has_begun(0) && has_begun(1) && has_begun(8) && has_begun(9));
	kill(shared->pids[0], SIGKILL);
	kill(shared->pids[1], SIGKILL);
}

static void map_and_terminate(unsigned i, void *pool)
{
	if (i == 0) {
		begin_map(pool);
		return;
	}
	TEST_UNTIL(has_begun(0) && has_begun(1) && has_begun(8) && has_begun(9));
	ck_ok(ipck_pool_terminate(pool));
}

/* What a task has started goes with its worker, by death and by terminate. */
START_TEST(test_group)
{
	static void (*const threads[])(unsigned, void *) = {map_and_kill_both, map_and_terminate};
	struct ipck_pool *pool = make_pool(2);

	test_threads(2, threads[_i], pool);
	for (unsigned i = 0; i < 2; i++) {
		TEST_UNTIL(is_gone(shared->pids[i]));
		TEST_UNTIL(is_gone(shared->pids[8 + i]));
	}
	ipck_pool_free(pool);
}
END_TEST

static int die_at_start(void *arg)
{
	switch (*(int *)arg) {
	case 0:
		raise(SIGKILL);
		break;
	case 1:
		_exit(5);
	default:
		break;
	}
	return -EIO;
}

START_TEST(test_crash_loop)
{
	static const char *const reasons[] = {"killed by signal 9", "exit code 5", "init returned -5"};
	struct ipck_pool *pool;
	struct ipck_imap *imap;
	int how = _i, in = 0, out;
	ssize_t rc;

	ck_ok(ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = 2, .init = die_at_start, .init_arg = &how)));
	rc = ipck_pool_map(pool, square, &in, 1, sizeof(in), &out, sizeof(out), NULL, IPCK_FOREVER);
	ck_err(rc, ENOTRECOVERABLE);
	ck_assert_ptr_nonnull(ipck_pool_reason(pool));
	ck_assert_ptr_nonnull(strstr(ipck_pool_reason(pool), reasons[how]));
	ck_err(ipck_pool_imap(&imap, pool, NULL, NULL, NULL, NULL), EINVAL);
	ck_ok(ipck_pool_close(pool));
	ck_err(ipck_pool_join(pool, IPCK_FOREVER), ENOTRECOVERABLE);
	ipck_pool_free(pool);
}
END_TEST

static int die_once(const void *in, void *out, const void *arg)
{
	if (__atomic_fetch_add(&shared->tries, 1, __ATOMIC_SEQ_CST) < *(const uint32_t *)arg)
		raise(SIGKILL);
	*(int *)out = *(const int *)in;
	return 0;
}

/* As many tries as were asked for, and no more. */
START_TEST(test_retries)
{
	struct ipck_pool *pool = make_pool(2);
	struct ipck_status status;
	int in = 5, out = 0;
	uint32_t deaths = 3;
	bool enough = _i == 0;

	ck_assert_int_eq(ipck_pool_map(pool, die_once, &in, 1, sizeof(in), &out, sizeof(out),
	                               IPCK_MAP_OPTS(.arg = &deaths, .arg_size = sizeof(deaths), .status = &status,
	                                             .retries = enough ? 3 : 2),
	                               IPCK_FOREVER),
	                 enough ? 0 : 1);
	ck_assert_int_eq(status.outcome, enough ? IPCK_DONE : IPCK_KILLED);
	ck_assert_int_eq(out, enough ? 5 : 0);
	ck_assert_uint_eq(shared->tries, enough ? 4 : 3);
	ipck_pool_free(pool);
}
END_TEST

struct numbers {
	int next, n;
};

static int next_number(void *ctx, const void **item, size_t *size)
{
	struct numbers *numbers = ctx;

	if (numbers->next == numbers->n)
		return 0;
	numbers->next++;
	*item = &numbers->next;
	*size = sizeof(numbers->next);
	return 1;
}

/* Item 2 dies with half of its result given. */
static int half_result(const void *item, size_t size, const void *arg, struct ipck_result *result)
{
	static char bytes[200000];
	int i = *(const int *)item, rc;

	(void)size;
	(void)arg;
	memset(bytes, i, sizeof(bytes));
	rc = ipck_result_write(result, bytes, sizeof(bytes) / 2);
	if (i == 2)
		raise(SIGKILL);
	return rc < 0 ? rc : ipck_result_write(result, bytes, sizeof(bytes) / 2);
}

START_TEST(test_half_result)
{
	struct ipck_pool *pool = make_pool(2);
	struct numbers numbers = {0, 6};
	struct ipck_imap *imap;
	struct ipck_item item;

	ck_ok(ipck_pool_imap(&imap, pool, half_result, next_number, &numbers, NULL));
	for (uint64_t i = 0; i < 6; i++) {
		ck_assert_int_eq(ipck_imap_next(imap, &item, IPCK_FOREVER), 1);
		ck_assert_uint_eq(item.index, i);
		if (i == 1) {
			ck_assert_int_eq(item.status.outcome, IPCK_KILLED);
			ck_assert_int_eq(item.status.value, SIGKILL);
			ck_assert_uint_eq(item.size, 0);
			ck_assert_int_ge(item.worker, 0);
			continue;
		}
		ck_assert_int_eq(item.status.outcome, IPCK_DONE);
		ck_assert_uint_eq(item.size, 200000);
		for (size_t k = 0; k < item.size; k++)
			ck_that(((const char *)item.data)[k] == (char)(i + 1));
	}
	ck_assert_int_eq(ipck_imap_next(imap, &item, IPCK_FOREVER), 0);
	ipck_imap_close(imap);
	ipck_pool_free(pool);
}
END_TEST

/* A paused worker is not dead: its item waits for it, others do not. */
START_TEST(test_paused_worker)
{
	struct ipck_pool *pool = make_pool(2);
	pid_t pids[2];
	int in[2] = {3, 4}, out[2];
	ssize_t rc;

	TEST_UNTIL(ipck_pool_pids(pool, pids, 2) == 2);
	kill(pids[0], SIGSTOP);
	TEST_UNTIL(test_state(pids[0]) == 'T');
	check_works(pool);
	kill(pids[1], SIGSTOP);
	TEST_UNTIL(test_state(pids[1]) == 'T');
	rc = ipck_pool_map(pool, square, in, 2, sizeof(int), out, sizeof(int), NULL, ipck_in_ms(20));
	ck_err(rc, ETIMEDOUT);
	kill(pids[0], SIGCONT);
	kill(pids[1], SIGCONT);
	check_works(pool);
	ck_assert_uint_eq(stat_of(pool).replaced, 0);
	ipck_pool_free(pool);
}
END_TEST

static Suite *deaths_suite(void)
{
	Suite *s = suite_create("deaths");
	TCase *tc = test_case_primed(s, "pool", prime);

	tcase_add_test(tc, test_idle_worker);
	tcase_add_loop_test(tc, test_costs_one_item, 0, DEATHS);
	tcase_add_test(tc, test_running_worker);
	tcase_add_test(tc, test_master_while_mapping);
	tcase_add_test(tc, test_idle_master);
	tcase_add_loop_test(tc, test_parent_killed, 0, 2);
	tcase_add_loop_test(tc, test_group, 0, 2);
	tcase_add_loop_test(tc, test_crash_loop, 0, 3);
	tcase_add_loop_test(tc, test_retries, 0, 2);
	tcase_add_test(tc, test_half_result);
	tcase_add_test(tc, test_paused_worker);
	return s;
}

int main(void)
{
	return test_main(deaths_suite());
}
