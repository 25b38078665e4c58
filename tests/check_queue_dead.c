/* SPDX-License-Identifier: MIT */
/* Queues whose users are killed with something in their hands. */
#include <sys/wait.h>

#include "queues.h"

static struct shared {
	uint32_t began, ended;
} *shared;

enum taking { BY_GET, BY_GET_NEW, BY_GET_MANY, BY_PEEK, TAKINGS };

static void take_and_hang(void *arg)
{
	enum taking how = *(const enum taking *)arg;
	struct ipck_queue_item item;
	struct iovec got[4];
	char bytes[64];
	size_t size;
	void *data;

	if (how == BY_GET)
		expect_text(queue, "work");
	else if (how == BY_GET_NEW)
		ck_ok(ipck_queue_get_new(queue, &data, &size, far_off()));
	else if (how == BY_GET_MANY)
		ck_that(ck_ok(ipck_queue_get_many(queue, bytes, sizeof(bytes), got, 4, NULL, far_off())) == 1);
	else
		item = peek_text(queue, "work");
	(void)item;
	store_release(&shared->began, 1);
	pause();
}

static void get_again(void *arg)
{
	(void)arg;
	expect_text(queue, "work");
	expect_leased(queue, "work", 2);
	ck_ok(ipck_queue_task_done(queue));
	has_no_lease(queue);
}

/* It goes to one that sleeps; who joins sees it through. */
START_TEST(a_taker_is_killed)
{
	enum taking how = (enum taking)_i;
	pid_t taker, getter;

	shared = test_shared(sizeof(*shared));
	make_leases();
	spin_forbid();
	put_text(queue, "work");
	taker = test_fork(take_and_hang, &how);
	TEST_UNTIL(load_acquire(&shared->began));
	getter = test_fork(get_again, NULL);
	TEST_UNTIL(asleep_for_message(queue) >= 1 && test_state(getter) == 'S');
	ck_err(ipck_queue_join(queue, IPCK_NOWAIT), ETIMEDOUT);
	test_kill(taker);
	test_join(getter);
	ck_ok(ipck_queue_join(queue, far_off()));
	ck_assert_uint_eq(figures(queue).recovered, 1);
	ck_assert_uint_eq(figures(queue).gets, 2);
	all_is_done();
}
END_TEST

/* A zombie is dead; where that can be told. */
#ifdef HAVE_PIDFD
START_TEST(a_taker_is_killed_and_not_reaped)
{
	enum taking how = BY_GET;
	pid_t taker;

	shared = test_shared(sizeof(*shared));
	make_leases();
	put_text(queue, "work");
	taker = test_fork(take_and_hang, &how);
	TEST_UNTIL(load_acquire(&shared->began));
	expect_nothing(queue);
	ck_that(kill(taker, SIGKILL) == 0);
	get_again(NULL);
	(void)test_wait(taker);
	all_is_done();
}
END_TEST
#endif

/* Who exits, or is stopped, has not the same said of it. */
static void take_and_exit(void *arg)
{
	expect_text(queue, "work");
	if (arg)
		ipck_queue_close(queue);
}

START_TEST(a_taker_ends)
{
	shared = test_shared(sizeof(*shared));
	make_leases();
	put_text(queue, "work");
	test_join(test_fork(take_and_exit, _i ? queue : NULL));
	get_again(NULL);
	ck_assert_uint_eq(figures(queue).recovered, _i ? 0 : 1);
	all_is_done();
}
END_TEST

START_TEST(a_stopped_taker_keeps_it)
{
	enum taking how = BY_GET;
	pid_t taker;
	char byte;

	shared = test_shared(sizeof(*shared));
	make_leases();
	put_text(queue, "work");
	taker = test_fork(take_and_hang, &how);
	TEST_UNTIL(load_acquire(&shared->began));
	stop(taker);
	ck_err(ipck_queue_get(queue, &byte, 1, NULL, ipck_in_ms(50)), ETIMEDOUT);
	test_kill(taker);
	get_again(NULL);
	all_is_done();
}
END_TEST

static void reserve_and_hang(void *arg)
{
	(void)reserve(queue, *(const size_t *)arg);
	store_release(&shared->began, 1);
	pause();
}

static void wait_past_it(void *arg)
{
	(void)arg;
	expect_text(queue, "work");
	ck_ok(ipck_queue_task_done(queue));
}

/* What lies behind its reservation goes to a sleeper. */
START_TEST(a_reserver_is_killed)
{
	pid_t reserver, getter;
	size_t size = 100;

	shared = test_shared(sizeof(*shared));
	make_leases();
	spin_forbid();
	reserver = test_fork(reserve_and_hang, &size);
	TEST_UNTIL(load_acquire(&shared->began));
	put_text(queue, "work");
	getter = test_fork(wait_past_it, NULL);
	TEST_UNTIL(asleep_for_message(queue) >= 1 && test_state(getter) == 'S');
	test_kill(reserver);
	test_join(getter);
	ck_assert_uint_eq(figures(queue).recovered, 1);
	all_is_done();
}
END_TEST

static void put_past_it(void *arg)
{
	(void)arg;
	put_filled(queue, LARGEST, 3);
}

static void join_past_it(void *arg)
{
	(void)arg;
	ck_ok(ipck_queue_join(queue, far_off()));
}

/* Its room goes to one that sleeps for that; and a joiner that sleeps does not wait for it: nobody gets. */
START_TEST(a_reserver_of_all_is_killed)
{
	pid_t reserver, sleeper;
	size_t size = LARGEST;

	shared = test_shared(sizeof(*shared));
	make_leases();
	spin_forbid();
	reserver = test_fork(reserve_and_hang, &size);
	TEST_UNTIL(load_acquire(&shared->began));
	sleeper = test_fork(_i ? join_past_it : put_past_it, NULL);
	TEST_UNTIL((_i ? asleep_for_zero(queue) : asleep_for_room(queue)) >= 1 && test_state(sleeper) == 'S');
	test_kill(reserver);
	test_join(sleeper);
	if (!_i) {
		expect_filled(queue, LARGEST, 3);
		ck_ok(ipck_queue_task_done(queue));
	}
	all_is_done();
}
END_TEST

/* ---- many ---- */

#define TAKERS 4
#define JOBS 400

/* Most are killed with what they have; each job is done once at the end. */
static void work_and_die(void *arg)
{
	struct test_random random = test_random((uintptr_t)arg);
	char number[16];

	for (;;) {
		ssize_t n = ipck_queue_get(queue, number, sizeof(number) - 1, NULL, far_off());

		if (n == -ESHUTDOWN)
			return;
		ck_ok(n);
		if (test_random_below(&random, 40) == 0)
			raise(SIGKILL);
		add_acq_rel(&shared->ended, 1);
		ck_ok(ipck_queue_task_done(queue));
	}
}

START_TEST(killed_ones_are_replaced)
{
	unsigned put = 0, started = 0;
	pid_t pids[TAKERS];

	shared = test_shared(sizeof(*shared));
	make_leases();
	for (; started < TAKERS; started++)
		pids[started] = test_fork(work_and_die, (void *)(uintptr_t)started);
	while (put < JOBS || ipck_queue_join(queue, IPCK_NOWAIT) < 0) {
		if (put < JOBS && ipck_queue_put(queue, "job", 3, ipck_in_ms(1)) == 0)
			put++;
		for (unsigned i = 0; i < TAKERS; i++) {
			if (test_state(pids[i]) != 'Z')
				continue;
			ck_that(WIFSIGNALED(test_wait(pids[i])));
			pids[i] = test_fork(work_and_die, (void *)(uintptr_t)started++);
		}
	}
	ck_ok(ipck_queue_shutdown(queue, IPCK_QUEUE_DRAIN));
	/* One may have been killed while another did the last of all. */
	for (unsigned i = 0; i < TAKERS; i++) {
		int status = test_wait(pids[i]);

		ck_that(status == 0 || WIFSIGNALED(status));
	}
	ck_assert_uint_eq(shared->ended, JOBS);
	ck_assert_uint_eq(figures(queue).unfinished, 0);
	ck_assert_uint_eq(figures(queue).held, 0);
	ipck_queue_close(queue);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("queue_dead");
	TCase *tc = test_case(s, "dead");

	tcase_add_loop_test(tc, a_taker_is_killed, 0, TAKINGS);
#ifdef HAVE_PIDFD
	tcase_add_test(tc, a_taker_is_killed_and_not_reaped);
#endif
	tcase_add_loop_test(tc, a_taker_ends, 0, 2);
	tcase_add_test(tc, a_stopped_taker_keeps_it);
	tcase_add_test(tc, a_reserver_is_killed);
	tcase_add_loop_test(tc, a_reserver_of_all_is_killed, 0, 2);
	tcase_add_test(tc, killed_ones_are_replaced);
	return test_main(s);
}
