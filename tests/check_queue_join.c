/* SPDX-License-Identifier: MIT */
/* Queues that are joined, and shut down. */
#include "queues.h"

static struct shared {
	uint32_t began, go, got, ended;
} *shared;

enum form { PLAIN, JOINABLE, LEASES, FORMS };

static void make(enum form form)
{
	shared = test_shared(sizeof(*shared));
	make_queue(IPCK_QUEUE_OPTS(.bytes = SMALL, .joinable = form == JOINABLE, .leases = form == LEASES));
}

static uint64_t unfinished(void)
{
	return figures(queue).unfinished;
}

static void is_shut_down(struct ipck_queue *q)
{
	struct ipck_queue_item item;
	struct iovec part;
	char byte;
	size_t size;
	void *data;

	ck_err(ipck_queue_get(q, &byte, 1, NULL, far_off()), ESHUTDOWN);
	ck_err(ipck_queue_get(q, &byte, 1, NULL, IPCK_NOWAIT), ESHUTDOWN);
	ck_err(ipck_queue_get_new(q, &data, &size, far_off()), ESHUTDOWN);
	ck_err(ipck_queue_get_many(q, &byte, 1, &part, 1, NULL, far_off()), ESHUTDOWN);
	ck_err(ipck_queue_peek(q, &item, far_off()), ESHUTDOWN);
	ck_that(ipck_queue_empty(q));
}

static void takes_no_more(struct ipck_queue *q)
{
	char byte = 'x';
	struct iovec part = {.iov_base = &byte, .iov_len = 1};
	void *data;

	ck_err(ipck_queue_put(q, "x", 1, far_off()), ESHUTDOWN);
	ck_err(ipck_queue_put(q, "x", 1, IPCK_NOWAIT), ESHUTDOWN);
	ck_err(ipck_queue_put_many(q, &part, 1, far_off()), ESHUTDOWN);
	ck_err(ipck_queue_reserve(q, 1, &data, far_off()), ESHUTDOWN);
}

/* ---- join ---- */

START_TEST(not_joinable)
{
	make(PLAIN);
	ck_err(ipck_queue_task_done(queue), EINVAL);
	ck_err(ipck_queue_join(queue, IPCK_NOWAIT), EINVAL);
	ck_err(ipck_queue_leased(queue, &(struct ipck_queue_item){0}), EINVAL);
	put_text(queue, "x");
	ck_assert_uint_eq(unfinished(), 0);
	expect_text(queue, "x");
	ck_err(ipck_queue_task_done(queue), EINVAL);
	ipck_queue_close(queue);
}
END_TEST

START_TEST(each_is_done_once)
{
	make(JOINABLE);
	ck_ok(ipck_queue_join(queue, IPCK_NOWAIT));
	ck_err(ipck_queue_task_done(queue), EPERM);
	ck_err(ipck_queue_leased(queue, &(struct ipck_queue_item){0}), EINVAL);
	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < 3; i++)
			put_text(queue, "x");
		ck_assert_uint_eq(unfinished(), 3);
		for (int i = 0; i < 3; i++) {
			expect_text(queue, "x");
			ck_err(ipck_queue_join(queue, IPCK_NOWAIT), ETIMEDOUT);
			ck_ok(ipck_queue_task_done(queue));
		}
		ck_err(ipck_queue_task_done(queue), EPERM);
		ck_ok(ipck_queue_join(queue, IPCK_NOWAIT));
	}
	put_text(queue, "x");
	ck_err(ipck_queue_join(queue, ipck_in_ms(5)), ETIMEDOUT);
	ipck_interrupt();
	ck_err(ipck_queue_join(queue, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	ipck_interrupt_clear();
	ck_assert_uint_eq(unfinished(), 1);
	ipck_queue_close(queue);
}
END_TEST

/* What was peeked is marked as done like what was got; given back, it is not got yet. */
START_TEST(peeked_is_marked_too)
{
	struct ipck_queue_item item;

	make(JOINABLE);
	put_text(queue, "x");
	item = peek_text(queue, "x");
	ck_ok(ipck_queue_refuse(queue, &item));
	ck_assert_uint_eq(unfinished(), 1);
	item = peek_text(queue, "x");
	ck_ok(ipck_queue_release(queue, &item));
	ck_assert_uint_eq(unfinished(), 1);
	ck_ok(ipck_queue_task_done(queue));
	ck_ok(ipck_queue_join(queue, IPCK_NOWAIT));
	ipck_queue_close(queue);
}
END_TEST

/* The joiner is woken by a moment in which all was done, although there is more by then. */
static void join_a_moment(unsigned i, void *arg)
{
	(void)arg;
	if (i > 0) {
		ck_ok(ipck_queue_join(queue, far_off()));
		add_acq_rel(&shared->ended, 1);
		return;
	}
	TEST_UNTIL(asleep_for_zero(queue) >= 3);
	ck_that(load_acquire(&shared->ended) == 0);
	expect_text(queue, "x");
	ck_ok(ipck_queue_task_done(queue));
	put_text(queue, "y");
	TEST_UNTIL(load_acquire(&shared->ended) == 3);
	expect_text(queue, "y");
	ck_ok(ipck_queue_task_done(queue));
}

START_TEST(a_moment_is_enough)
{
	enum form form = _i & 4 ? LEASES : JOINABLE;

	make(form);
	spin_forbid();
	put_text(queue, "x");
	run_parties(_i & 1, 4, join_a_moment, NULL);
	ck_assert_uint_eq(unfinished(), 0);
	ipck_queue_close(queue);
}
END_TEST

/* What is done before the last does not wake who waits for all. */
static void join_all(unsigned i, void *arg)
{
	uint32_t sequence;

	(void)arg;
	if (i > 0) {
		ck_ok(ipck_queue_join(queue, far_off()));
		add_acq_rel(&shared->ended, 1);
		return;
	}
	TEST_UNTIL(asleep_for_zero(queue) >= 1);
	sequence = (uint32_t)load_seq(&queue->shm->joined.word);
	for (int n = 0; n < 3; n++) {
		expect_text(queue, "x");
		ck_ok(ipck_queue_task_done(queue));
	}
	ck_that((uint32_t)load_seq(&queue->shm->joined.word) == sequence);
	ck_that(load_acquire(&shared->ended) == 0);
	expect_text(queue, "x");
	ck_ok(ipck_queue_task_done(queue));
}

START_TEST(woken_once)
{
	make(_i & 2 ? LEASES : JOINABLE);
	spin_forbid();
	for (int n = 0; n < 4; n++)
		put_text(queue, "x");
	run_parties(_i & 1, 2, join_all, NULL);
	ck_assert_uint_eq(unfinished(), 0);
	ipck_queue_close(queue);
}
END_TEST

#define JOBS 300

static void do_jobs(unsigned i, void *arg)
{
	char bytes[8];

	(void)arg;
	if (i == 0) {
		for (int n = 0; n < JOBS; n++)
			put_text(queue, "job");
		ck_ok(ipck_queue_join(queue, far_off()));
		ck_that(load_acquire(&shared->ended) == JOBS);
		ck_ok(ipck_queue_shutdown(queue, IPCK_QUEUE_DRAIN));
		return;
	}
	for (;;) {
		ssize_t n = ipck_queue_get(queue, bytes, sizeof(bytes), NULL, far_off());

		if (n == -ESHUTDOWN)
			return;
		ck_that(ck_ok(n) == 3);
		add_acq_rel(&shared->ended, 1);
		ck_ok(ipck_queue_task_done(queue));
	}
}

START_TEST(joined_after_all_jobs)
{
	make(_i & 4 ? LEASES : JOINABLE);
	run_parties(_i & 3, 4, do_jobs, NULL);
	ck_err(ipck_queue_task_done(queue), EPERM);
	is_shut_down(queue);
	ipck_queue_close(queue);
}
END_TEST

/* ---- shutdown ---- */

START_TEST(drained)
{
	make((enum form)_i);
	ck_err(ipck_queue_shutdown(queue, (enum ipck_queue_end)0), EINVAL);
	ck_err(ipck_queue_shutdown(queue, (enum ipck_queue_end)3), EINVAL);
	put_text(queue, "one");
	put_text(queue, "two");
	ck_assert_int_eq(figures(queue).shutdown, 0);
	ck_ok(ipck_queue_shutdown(queue, IPCK_QUEUE_DRAIN));
	ck_assert_int_eq(figures(queue).shutdown, IPCK_QUEUE_DRAIN);
	takes_no_more(queue);
	ck_assert_int_eq(ck_ok(ipck_queue_size(queue)), 2);
	expect_text(queue, "one");
	ck_ok(ipck_queue_shutdown(queue, IPCK_QUEUE_DRAIN));
	expect_text(queue, "two");
	is_shut_down(queue);
	if (_i != PLAIN) {
		ck_err(ipck_queue_join(queue, IPCK_NOWAIT), ETIMEDOUT);
		ck_ok(ipck_queue_task_done(queue));
		ck_ok(ipck_queue_task_done(queue));
		ck_err(ipck_queue_task_done(queue), EPERM);
		ck_ok(ipck_queue_join(queue, IPCK_NOWAIT));
	}
	ipck_queue_close(queue);
}
END_TEST

START_TEST(at_once)
{
	make((enum form)_i / 2);
	put_text(queue, "one");
	put_text(queue, "two");
	put_text(queue, "three");
	expect_text(queue, "one");
	if (_i & 1)
		ck_ok(ipck_queue_shutdown(queue, IPCK_QUEUE_DRAIN));
	ck_ok(ipck_queue_shutdown(queue, IPCK_QUEUE_IMMEDIATE));
	ck_assert_int_eq(figures(queue).shutdown, IPCK_QUEUE_IMMEDIATE);
	takes_no_more(queue);
	is_shut_down(queue);
	ck_ok(ipck_queue_shutdown(queue, IPCK_QUEUE_DRAIN));
	ck_assert_int_eq(figures(queue).shutdown, IPCK_QUEUE_IMMEDIATE);
	is_shut_down(queue);
	if (_i / 2 != PLAIN) {
		ck_assert_uint_eq(unfinished(), 1);
		ck_ok(ipck_queue_task_done(queue));
		ck_err(ipck_queue_task_done(queue), EPERM);
		ck_ok(ipck_queue_join(queue, IPCK_NOWAIT));
	}
	ck_assert_uint_eq(figures(queue).bytes_used, 0);
	ipck_queue_close(queue);
}
END_TEST

/* All sorts of sleepers. */
static void end_the_sleep(unsigned i, void *arg)
{
	bool all = !arg;
	char bytes[8];

	if (i == 0) {
		TEST_UNTIL(asleep_for_room(queue) >= 2 && asleep_for_zero(queue) >= 1);
		ck_ok(ipck_queue_shutdown(queue, all ? IPCK_QUEUE_DRAIN : IPCK_QUEUE_IMMEDIATE));
		if (!all)
			return;
		TEST_UNTIL(load_acquire(&shared->ended) == 2);
		while (ipck_queue_get(queue, bytes, sizeof(bytes), NULL, far_off()) == 1)
			ck_ok(ipck_queue_task_done(queue));
		is_shut_down(queue);
	} else if (i <= 2) {
		ck_err(ipck_queue_put(queue, "x", 1, far_off()), ESHUTDOWN);
		add_acq_rel(&shared->ended, 1);
	} else {
		ck_ok(ipck_queue_join(queue, far_off()));
		ck_that(!all || load_acquire(&shared->ended) == 2);
	}
}

START_TEST(putters_and_joiners_are_woken)
{
	make(JOINABLE);
	spin_forbid();
	(void)put_until_full(queue, 1);
	run_parties(_i & 1, 4, end_the_sleep, _i & 2 ? shared : NULL);
	is_shut_down(queue);
	ipck_queue_close(queue);
}
END_TEST

static void get_until_the_end(unsigned i, void *arg)
{
	struct ipck_queue_item item;
	char byte;

	if (i == 0) {
		TEST_UNTIL(asleep_for_message(queue) >= 3);
		ck_ok(ipck_queue_shutdown(queue, arg ? IPCK_QUEUE_IMMEDIATE : IPCK_QUEUE_DRAIN));
	} else if (i % 2) {
		ck_err(ipck_queue_get(queue, &byte, 1, NULL, far_off()), ESHUTDOWN);
	} else {
		ck_err(ipck_queue_peek(queue, &item, far_off()), ESHUTDOWN);
	}
}

START_TEST(getters_are_woken)
{
	make(_i & 4 ? LEASES : PLAIN);
	spin_forbid();
	run_parties(_i & 1, 4, get_until_the_end, _i & 2 ? shared : NULL);
	is_shut_down(queue);
	ipck_queue_close(queue);
}
END_TEST

/* ---- what is in hands over a shutdown ---- */

START_TEST(reserved_over_a_drain)
{
	char *first, *second;
	char byte;

	make(JOINABLE);
	first = reserve(queue, 10);
	second = reserve(queue, 10);
	ck_ok(ipck_queue_shutdown(queue, IPCK_QUEUE_DRAIN));
	ck_err(ipck_queue_get(queue, &byte, 1, NULL, IPCK_NOWAIT), ETIMEDOUT);
	commit_text(queue, first, "first");
	expect_text(queue, "first");
	ck_ok(ipck_queue_task_done(queue));
	ck_ok(ipck_queue_cancel(queue, second));
	is_shut_down(queue);
	ck_ok(ipck_queue_join(queue, IPCK_NOWAIT));
	ipck_queue_close(queue);
}
END_TEST

START_TEST(reserved_over_an_end_at_once)
{
	char *first, *second;

	make(JOINABLE);
	first = reserve(queue, 10);
	second = reserve(queue, 10);
	ck_ok(ipck_queue_shutdown(queue, IPCK_QUEUE_IMMEDIATE));
	is_shut_down(queue);
	commit_text(queue, first, "first");
	ck_ok(ipck_queue_cancel(queue, second));
	is_shut_down(queue);
	ck_assert_int_eq(ck_ok(ipck_queue_size(queue)), 0);
	ck_ok(ipck_queue_join(queue, IPCK_NOWAIT));
	ck_err(ipck_queue_task_done(queue), EPERM);
	ipck_queue_close(queue);
}
END_TEST

/* Who has something himself is told of the end at once, and may still give it back: then it is there again. */
START_TEST(peeked_over_a_drain)
{
	struct ipck_queue_item item;

	make((enum form)_i);
	put_text(queue, "x");
	item = peek_text(queue, "x");
	ck_ok(ipck_queue_shutdown(queue, IPCK_QUEUE_DRAIN));
	is_shut_down(queue);
	ck_ok(ipck_queue_refuse(queue, &item));
	ck_assert_int_eq(ck_ok(ipck_queue_size(queue)), 1);
	item = peek_text(queue, "x");
	ck_assert_uint_eq(item.deliveries, 2);
	ck_ok(ipck_queue_release(queue, &item));
	if (_i == JOINABLE)
		ck_ok(ipck_queue_task_done(queue));
	if (_i != PLAIN)
		ck_ok(ipck_queue_join(queue, IPCK_NOWAIT));
	is_shut_down(queue);
	ipck_queue_close(queue);
}
END_TEST

START_TEST(peeked_over_an_end_at_once)
{
	struct ipck_queue_item released, refused, returned;

	make((enum form)_i);
	put_text(queue, "released");
	put_text(queue, "refused");
	put_text(queue, "returned");
	released = peek_text(queue, "released");
	refused = peek_text(queue, "refused");
	returned = peek_text(queue, "returned");
	ck_ok(ipck_queue_refuse(queue, &returned));
	ck_ok(ipck_queue_shutdown(queue, IPCK_QUEUE_IMMEDIATE));
	is_shut_down(queue);
	ck_assert_uint_eq(unfinished(), _i == PLAIN ? 0 : 2);
	ck_assert(item_is(&released, "released"));
	ck_ok(ipck_queue_refuse(queue, &refused));
	is_shut_down(queue);
	ck_ok(ipck_queue_release(queue, &released));
	if (_i == JOINABLE)
		ck_ok(ipck_queue_task_done(queue));
	if (_i != PLAIN)
		ck_ok(ipck_queue_join(queue, IPCK_NOWAIT));
	ck_assert_uint_eq(figures(queue).bytes_used, 0);
	ipck_queue_close(queue);
}
END_TEST

/* A drain waits for what another has: it may come back. */
enum ending { RELEASED, REFUSED, CLOSED, KILLED, ENDINGS };

static void hold_one(void *arg)
{
	struct ipck_queue_item item = peek_text(queue, "x");

	store_release(&shared->began, 1);
	TEST_UNTIL(load_acquire(&shared->go));
	if (*(enum ending *)arg == RELEASED)
		ck_ok(ipck_queue_release(queue, &item));
	else if (*(enum ending *)arg == REFUSED)
		ck_ok(ipck_queue_refuse(queue, &item));
	else if (*(enum ending *)arg == CLOSED)
		ipck_queue_close(queue);
	else
		raise(SIGKILL);
}

static void drain_it(void *arg)
{
	if (*(enum ending *)arg != RELEASED)
		expect_text(queue, "x");
	is_shut_down(queue);
}

START_TEST(a_drain_waits_for_others)
{
	enum ending how = (enum ending)_i;
	pid_t holder, drainer;
	char byte;

	make(PLAIN);
	spin_forbid();
	put_text(queue, "x");
	holder = test_fork(hold_one, &how);
	TEST_UNTIL(load_acquire(&shared->began));
	ck_ok(ipck_queue_shutdown(queue, IPCK_QUEUE_DRAIN));
	ck_err(ipck_queue_get(queue, &byte, 1, NULL, IPCK_NOWAIT), ETIMEDOUT);
	drainer = test_fork(drain_it, &how);
	TEST_UNTIL(asleep_for_message(queue) >= 1 && test_state(drainer) == 'S');
	store_release(&shared->go, 1);
	if (how == KILLED)
		(void)test_wait(holder);
	else
		test_join(holder);
	test_join(drainer);
	is_shut_down(queue);
	ipck_queue_close(queue);
}
END_TEST

/*
 * Two handles of one process are two users: the one that has something is told of the end, the other
 * waits for what may come back, and cannot end it.
 */
START_TEST(a_drain_of_two_handles)
{
	enum ending how = (enum ending)_i;
	struct ipck_queue_item item;
	struct ipck_queue *again;
	pid_t drainer;
	char byte;

	make(PLAIN);
	spin_forbid();
	again = open_again(queue);
	put_text(queue, "x");
	item = peek_text(again, "x");
	ck_ok(ipck_queue_shutdown(queue, IPCK_QUEUE_DRAIN));
	is_shut_down(again);
	ck_err(ipck_queue_get(queue, &byte, 1, NULL, IPCK_NOWAIT), ETIMEDOUT);
	ck_err(ipck_queue_release(queue, &item), EPERM);
	ck_err(ipck_queue_refuse(queue, &item), EPERM);
	drainer = test_fork(drain_it, &how);
	TEST_UNTIL(asleep_for_message(queue) >= 1 && test_state(drainer) == 'S');
	if (how == RELEASED)
		ck_ok(ipck_queue_release(again, &item));
	else if (how == REFUSED)
		ck_ok(ipck_queue_refuse(again, &item));
	else
		ipck_queue_close(again);
	test_join(drainer);
	is_shut_down(queue);
	if (how != CLOSED) {
		is_shut_down(again);
		ipck_queue_close(again);
	}
	ipck_queue_close(queue);
}
END_TEST

/* More is marked than was got; what is thrown away then is not done twice. */
START_TEST(done_before_it_is_thrown_away)
{
	make_queue(IPCK_QUEUE_OPTS(.bytes = SMALL, .joinable = true));
	put_text(queue, "one");
	put_text(queue, "two");
	(void)reserve(queue, 1);
	for (int i = 0; i < 3; i++)
		ck_ok(ipck_queue_task_done(queue));
	ck_err(ipck_queue_task_done(queue), EPERM);
	ck_ok(ipck_queue_shutdown(queue, IPCK_QUEUE_IMMEDIATE));
	ck_assert_uint_eq(figures(queue).unfinished, 0);
	ck_ok(ipck_queue_join(queue, IPCK_NOWAIT));
	ipck_queue_close(queue);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("queue_join");
	TCase *tc = test_case(s, "join");

	tcase_add_test(tc, not_joinable);
	tcase_add_test(tc, each_is_done_once);
	tcase_add_test(tc, peeked_is_marked_too);
	tcase_add_loop_test(tc, a_moment_is_enough, 0, 8);
	tcase_add_loop_test(tc, woken_once, 0, 4);
	tcase_add_loop_test(tc, joined_after_all_jobs, 0, 8);
	tc = test_case(s, "shutdown");
	tcase_add_loop_test(tc, drained, 0, FORMS);
	tcase_add_loop_test(tc, at_once, 0, 2 * FORMS);
	tcase_add_test(tc, done_before_it_is_thrown_away);
	tcase_add_loop_test(tc, putters_and_joiners_are_woken, 0, 4);
	tcase_add_loop_test(tc, getters_are_woken, 0, 8);
	tc = test_case(s, "held");
	tcase_add_test(tc, reserved_over_a_drain);
	tcase_add_test(tc, reserved_over_an_end_at_once);
	tcase_add_loop_test(tc, peeked_over_a_drain, 0, FORMS);
	tcase_add_loop_test(tc, peeked_over_an_end_at_once, 0, FORMS);
	tcase_add_loop_test(tc, a_drain_waits_for_others, 0, ENDINGS);
	tcase_add_loop_test(tc, a_drain_of_two_handles, 0, KILLED);
	return test_main(s);
}
