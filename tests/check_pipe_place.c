/* SPDX-License-Identifier: MIT */
/* Sending and receiving in place: what is kept between two calls, by whom, and what becomes of it. */
#include <pthread.h>

#include "coll/pipe.h"
#include "ends.h"

static char *reserve(size_t size)
{
	void *data = NULL;

	ck_ok(ipck_pipe_reserve(ends[1], size, &data, far_off()));
	ck_that(data);
	return data;
}

static const char *peek(const char *text)
{
	const void *data = NULL;
	size_t size = 99;

	ck_ok(ipck_pipe_peek(ends[0], &data, &size, far_off()));
	ck_that(data && size == strlen(text) && memcmp(data, text, size) == 0);
	return data;
}

/* ---- one alone ---- */

START_TEST(reserve_and_commit)
{
	make_pipe(SMALL);
	for (size_t size = 0; size <= WHOLE; size++) {
		fill(reserve(size), size, size);
		expect_nothing(ends[0]);
		/* The first bytes of it, or all. */
		ck_ok(ipck_pipe_commit(ends[1], size / 2));
		expect_filled(ends[0], size / 2, size);
		fill(reserve(size), size, size);
		ck_ok(ipck_pipe_commit(ends[1], size));
		expect_filled(ends[0], size, size);
	}
	drop_both();
}
END_TEST

START_TEST(cancel)
{
	make_pipe(SMALL);
	for (int i = 0; i < 1000; i++) {
		memset(reserve(WHOLE), 'x', WHOLE);
		ipck_pipe_cancel(ends[1]);
	}
	expect_nothing(ends[0]);
	ipck_pipe_cancel(ends[1]);
	send_text(ends[1], "sent");
	expect_text(ends[0], "sent");
	drop_both();
}
END_TEST

START_TEST(errors_of_reserve)
{
	void *data = NULL;
	int fd = 0;

	make_pipe(SMALL);
	ck_err(ipck_pipe_commit(ends[1], 0), EPERM);
	ck_err(ipck_pipe_reserve(ends[1], WHOLE + 1, &data, far_off()), EMSGSIZE);
	ck_err(ipck_pipe_reserve(ends[1], SIZE_MAX, &data, far_off()), EMSGSIZE);
	ck_assert_ptr_null(data);
	memcpy(reserve(4), "four", 4);
	ck_err(ipck_pipe_commit(ends[1], 5), EINVAL);
	ck_err(ipck_pipe_reserve(ends[1], 4, &data, far_off()), EDEADLK);
	ck_err(ipck_pipe_send(ends[1], "x", 1, far_off()), EDEADLK);
	ck_err(ipck_pipe_sendv(ends[1], NULL, 0, far_off()), EDEADLK);
	ck_err(ipck_pipe_send(ends[1], (char[SMALL]){0}, SMALL, far_off()), EDEADLK);
	ck_err(ipck_pipe_send_fds(ends[1], &fd, 1, far_off()), EDEADLK);
	expect_nothing(ends[0]);
	/* The other direction is its own. */
	send_text(ends[0], "back");
	expect_text(ends[1], "back");
	ck_ok(ipck_pipe_commit(ends[1], 4));
	ck_err(ipck_pipe_commit(ends[1], 0), EPERM);
	expect_text(ends[0], "four");
	while (ipck_pipe_reserve(ends[1], WHOLE, &data, IPCK_NOWAIT) == 0)
		ck_ok(ipck_pipe_commit(ends[1], WHOLE));
	ck_err(ipck_pipe_reserve(ends[1], WHOLE, &data, ipck_in_ms(2)), ETIMEDOUT);
	drop_both();
}
END_TEST

START_TEST(peek_and_release)
{
	const void *data = NULL;
	size_t size = 99;

	make_pipe(SMALL);
	ck_err(ipck_pipe_peek(ends[0], &data, &size, IPCK_NOWAIT), ETIMEDOUT);
	ck_err(ipck_pipe_release(ends[0]), EPERM);
	ck_assert(!data && size == 99);
	for (int i = 0; i < 300; i++) {
		send_text(ends[1], "one");
		send_text(ends[1], "");
		send_text(ends[1], "three");
		ck_assert_ptr_eq(peek("one"), peek("one"));
		ck_ok(ipck_pipe_release(ends[0]));
		peek("");
		ck_ok(ipck_pipe_release(ends[0]));
		ck_err(ipck_pipe_release(ends[0]), EPERM);
		expect_text(ends[0], "three");
		ck_err(ipck_pipe_peek(ends[0], &data, &size, IPCK_NOWAIT), ETIMEDOUT);
	}
	send_text(ends[1], "last");
	drop(1);
	peek("last");
	ck_ok(ipck_pipe_release(ends[0]));
	ck_err(ipck_pipe_peek(ends[0], &data, &size, far_off()), EPIPE);
	drop(0);
}
END_TEST

START_TEST(errors_of_peek)
{
	char got[8];
	void *data;
	size_t size;
	int fd;

	make_pipe(SMALL);
	send_text(ends[1], "one");
	send_text(ends[1], "two");
	peek("one");
	ck_err(ipck_pipe_recv(ends[0], got, sizeof(got), NULL, far_off()), EDEADLK);
	ck_err(ipck_pipe_recv_new(ends[0], &data, &size, far_off()), EDEADLK);
	ck_err(ipck_pipe_recv_fds(ends[0], &fd, 1, far_off()), EDEADLK);
	ck_ok(ipck_pipe_poll(ends[0], IPCK_NOWAIT));
	/* Room is given back by the release. */
	send_until_full(ends[1], WHOLE);
	peek("one");
	ck_ok(ipck_pipe_release(ends[0]));
	peek("two");
	drop_both();
}
END_TEST

static void send_long(void *arg)
{
	(void)arg;
	drop(0);
	send_filled(ends[1], WHOLE + 1, 1);
}

START_TEST(a_long_message_is_not_peeked)
{
	const void *data = NULL;
	size_t size = 0;
	pid_t child;

	make_pipe(SMALL);
	child = test_fork(send_long, NULL);
	ck_err(ipck_pipe_peek(ends[0], &data, &size, far_off()), EMSGSIZE);
	ck_assert(!data && size == WHOLE + 1);
	ck_err(ipck_pipe_release(ends[0]), EPERM);
	expect_filled(ends[0], WHOLE + 1, 1);
	test_join(child);
	drop_both();
}
END_TEST

/* Closing cancels what is reserved, and leaves what is peeked. */
START_TEST(closed_in_between)
{
	struct ipck_pipe *copies[2];
	int fds[2];

	make_pipe(SMALL);
	for (int i = 0; i < 2; i++) {
		ck_ok(ipck_pipe_fds(ends[i], fds));
		ck_ok(ipck_pipe_open_fds(&copies[i], fds));
	}
	send_text(ends[1], "one");
	peek("one");
	memcpy(reserve(4), "gone", 4);
	drop_both();
	send_text(copies[1], "two");
	expect_text(copies[0], "one");
	expect_text(copies[0], "two");
	expect_nothing(copies[0]);
	ipck_pipe_close(copies[0]);
	ipck_pipe_close(copies[1]);
}
END_TEST

/* ---- others ---- */

static void others_wait(void *arg)
{
	const void *place;
	char got[8];
	void *data;
	size_t size;
	int fd = 0;

	(void)arg;
	ck_err(ipck_pipe_send(ends[1], "x", 1, ipck_in_ms(2)), ETIMEDOUT);
	ck_err(ipck_pipe_reserve(ends[1], 1, &data, IPCK_NOWAIT), ETIMEDOUT);
	ck_err(ipck_pipe_send_fds(ends[1], &fd, 1, IPCK_NOWAIT), ETIMEDOUT);
	ck_err(ipck_pipe_recv(ends[0], got, sizeof(got), NULL, ipck_in_ms(2)), ETIMEDOUT);
	ck_err(ipck_pipe_recv_new(ends[0], &data, &size, IPCK_NOWAIT), ETIMEDOUT);
	ck_err(ipck_pipe_recv_fds(ends[0], &fd, 1, IPCK_NOWAIT), ETIMEDOUT);
	ck_err(ipck_pipe_peek(ends[0], &place, &size, IPCK_NOWAIT), ETIMEDOUT);
}

/* In a child what its parent keeps is not the child's. */
static void a_child_waits(void *arg)
{
	others_wait(arg);
	ck_err(ipck_pipe_commit(ends[1], 1), EPERM);
	ck_err(ipck_pipe_release(ends[0]), EPERM);
	ipck_pipe_cancel(ends[1]);
	drop_both();
}

static void in_thread(unsigned i, void *arg)
{
	(void)i;
	others_wait(arg);
}

START_TEST(others_wait_meanwhile)
{
	make_pipe(SMALL);
	send_text(ends[1], "one");
	send_text(ends[1], "two");
	peek("one");
	memcpy(reserve(5), "three", 5);
	test_join(test_fork(a_child_waits, NULL));
	test_threads(2, in_thread, NULL);
	peek("one");
	ck_ok(ipck_pipe_commit(ends[1], 5));
	ck_ok(ipck_pipe_release(ends[0]));
	expect_text(ends[0], "two");
	expect_text(ends[0], "three");
	expect_nothing(ends[0]);
	drop_both();
}
END_TEST

static void send_next(void *arg)
{
	(void)arg;
	drop(0);
	send_text(ends[1], "next");
}

static void receive_next(void *arg)
{
	(void)arg;
	drop(1);
	expect_text(ends[0], "next");
}

START_TEST(others_are_woken)
{
	pid_t sender, receiver;

	make_pipe(SMALL);
	memcpy(reserve(5), "first", 5);
	sender = test_fork(send_next, NULL);
	TEST_UNTIL(sleeps(sender));
	ck_ok(ipck_pipe_commit(ends[1], 5));
	test_join(sender);
	peek("first");
	receiver = test_fork(receive_next, NULL);
	TEST_UNTIL(sleeps(receiver));
	ck_ok(ipck_pipe_release(ends[0]));
	test_join(receiver);
	drop_both();
}
END_TEST

static void thread_finishes(unsigned i, void *arg)
{
	(void)i;
	(void)arg;
	ck_ok(ipck_pipe_commit(ends[1], 4));
	ck_ok(ipck_pipe_release(ends[0]));
}

/* It is the process' own: another thread of it may end it. */
START_TEST(another_thread_ends_it)
{
	make_pipe(SMALL);
	send_text(ends[1], "first");
	peek("first");
	memcpy(reserve(4), "next", 4);
	test_threads(1, thread_finishes, NULL);
	expect_text(ends[0], "next");
	send_text(ends[1], "more");
	expect_text(ends[0], "more");
	drop_both();
}
END_TEST

#define ROUNDS 2000

static void use_in_turn(unsigned i, void *arg)
{
	uint32_t *sum = arg;

	for (uint32_t n = 0; n < ROUNDS; n++) {
		const void *data;
		size_t size;
		uint32_t number;

		if (i & 1) {
			memcpy(reserve(sizeof(n)), &n, sizeof(n));
			ck_ok(ipck_pipe_commit(ends[1], sizeof(n)));
		} else {
			ck_ok(ipck_pipe_peek(ends[0], &data, &size, far_off()));
			ck_that(size == sizeof(number));
			memcpy(&number, data, sizeof(number));
			ck_ok(ipck_pipe_release(ends[0]));
			add_relaxed(sum, number);
		}
	}
}

START_TEST(threads_in_turn)
{
	uint32_t *sum = test_shared(sizeof(*sum));

	make_pipe(SMALL);
	if (_i)
		test_processes(4, use_in_turn, sum);
	else
		test_threads(4, use_in_turn, sum);
	ck_assert_uint_eq(*sum, 2 * (ROUNDS * (ROUNDS - 1) / 2));
	expect_nothing(ends[0]);
	drop_both();
}
END_TEST

/* ---- death ---- */

static void keep_and_stay(void *arg)
{
	uint32_t *kept = arg;

	peek("one");
	memset(reserve(WHOLE), 'x', WHOLE);
	store_release(kept, 1);
	for (;;)
		pause();
}

static void expect_one(void *arg)
{
	(void)arg;
	expect_text(ends[0], "one");
}

static void send_two(void *arg)
{
	(void)arg;
	send_text(ends[1], "two");
}

/* It has sent nothing and taken nothing; who sleeps for its turn gets it (1). */
START_TEST(the_owner_dies)
{
	uint32_t *kept = test_shared(sizeof(*kept));
	pid_t owner, sleepers[2];

	make_pipe(SMALL);
	send_text(ends[1], "one");
	owner = test_fork(keep_and_stay, kept);
	TEST_UNTIL(load_acquire(kept));
	if (_i) {
		sleepers[0] = test_fork(expect_one, NULL);
		sleepers[1] = test_fork(send_two, NULL);
		TEST_UNTIL(sleeps(sleepers[0]) && sleeps(sleepers[1]));
	}
	test_kill(owner);
	if (_i) {
		test_join_all(sleepers, 2);
	} else {
		send_text(ends[1], "two");
		expect_text(ends[0], "one");
	}
	expect_text(ends[0], "two");
	expect_nothing(ends[0]);
	drop_both();
}
END_TEST

/* A child forked in between dies: what is kept is its parent's. */
static void use_and_die(void *arg)
{
	a_child_waits(arg);
	raise(SIGKILL);
}

START_TEST(a_child_dies_in_between)
{
	make_pipe(SMALL);
	send_text(ends[1], "one");
	peek("one");
	memcpy(reserve(3), "two", 3);
	(void)test_wait(test_fork(use_and_die, NULL));
	ck_ok(ipck_pipe_commit(ends[1], 3));
	ck_ok(ipck_pipe_release(ends[0]));
	expect_text(ends[0], "two");
	expect_nothing(ends[0]);
	drop_both();
}
END_TEST

/* And the parent forked while it kept: the child goes on once it has ended. */
static void child_of_a_keeper(void *arg)
{
	(void)arg;
	expect_text(ends[0], "one");
	expect_text(ends[0], "two");
	send_text(ends[1], "three");
}

START_TEST(forked_while_kept)
{
	pid_t child;

	make_pipe(SMALL);
	send_text(ends[1], "one");
	peek("one");
	memcpy(reserve(3), "two", 3);
	child = test_fork(child_of_a_keeper, NULL);
	TEST_UNTIL(sleeps(child));
	/* What is peeked and not released stays. */
	ck_ok(ipck_pipe_commit(ends[1], 3));
	drop(0);
	test_join(child);
	drop(1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pipe_place");
	TCase *alone = test_case(s, "alone"), *others = test_case(s, "others"), *death = test_case(s, "death");

	tcase_add_test(alone, reserve_and_commit);
	tcase_add_test(alone, cancel);
	tcase_add_test(alone, errors_of_reserve);
	tcase_add_test(alone, peek_and_release);
	tcase_add_test(alone, errors_of_peek);
	tcase_add_test(alone, a_long_message_is_not_peeked);
	tcase_add_test(alone, closed_in_between);
	tcase_add_test(others, others_wait_meanwhile);
	tcase_add_test(others, others_are_woken);
	tcase_add_test(others, another_thread_ends_it);
	tcase_add_loop_test(others, threads_in_turn, 0, 2);
	tcase_add_loop_test(death, the_owner_dies, 0, 2);
	tcase_add_test(death, a_child_dies_in_between);
	tcase_add_test(death, forked_while_kept);
	return test_main(s);
}
