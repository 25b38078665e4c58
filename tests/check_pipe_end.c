/* SPDX-License-Identifier: MIT */
/* The end of a pipe: told to all, once its last copy is gone, and not before. */
#include "coll/pipe.h"
#include "ends.h"

static uint64_t bytes_in(const struct lane *lane)
{
	return load_acquire(&lane->shm->tail) - load_acquire(&lane->shm->head);
}

enum ending { CLOSED, EXITED, KILLED, ENDINGS };

static void send_three(void *arg)
{
	const enum ending *ending = arg;

	drop(0);
	send_text(ends[1], "one");
	send_text(ends[1], "two");
	send_text(ends[1], "");
	if (*ending == CLOSED)
		drop(1);
	if (*ending != EXITED)
		for (;;)
			pause();
}

/* What was sent is received first. */
START_TEST(end_when_the_last_copy_is_gone)
{
	enum ending ending = _i;
	pid_t child;

	make_pipe(0);
	child = test_fork(send_three, &ending);
	drop(1);
	if (ending == KILLED) {
		TEST_UNTIL(sleeps(child) && bytes_in(&ends[0]->in) == 40);
		test_kill(child);
	}
	expect_text(ends[0], "one");
	expect_text(ends[0], "two");
	expect_text(ends[0], "");
	expect_end(ends[0]);
	ck_err(ipck_pipe_send(ends[0], "x", 1, far_off()), EPIPE);
	if (ending == CLOSED)
		test_kill(child);
	else if (ending == EXITED)
		test_join(child);
	drop(0);
}
END_TEST

static void sleep_until_end(void *arg)
{
	(void)arg;
	drop(1);
	expect_end(ends[0]);
}

static void keep_an_end(void *arg)
{
	const enum ending *ending = arg;

	drop(0);
	send_text(ends[1], "there");
	for (;;) {
		pause();
		if (*ending == CLOSED)
			drop(1);
		if (*ending == EXITED)
			_exit(0);
	}
}

static void nothing(int sig)
{
	(void)sig;
}

/* Who sleeps then is told. */
START_TEST(a_sleeping_receiver_is_told)
{
	enum ending ending = _i;
	pid_t keeper, receiver;

	signal(SIGUSR1, nothing);
	make_pipe(0);
	keeper = test_fork(keep_an_end, &ending);
	expect_text(ends[0], "there");
	receiver = test_fork(sleep_until_end, NULL);
	drop_both();
	TEST_UNTIL(sleeps(receiver) && sleeps(keeper));
	kill(keeper, ending == KILLED ? SIGKILL : SIGUSR1);
	test_join(receiver);
	if (ending == EXITED)
		test_join(keeper);
	else
		test_kill(keeper);
}
END_TEST

static void has_a_child(void *arg)
{
	pid_t *grandchild = arg, pid;

	drop(0);
	pid = fork();
	while (pid == 0)
		pause();
	*grandchild = pid;
	send_text(ends[1], "both");
}

/* A grandchild's copy counts. */
START_TEST(a_copy_of_a_grandchild)
{
	pid_t *grandchild = test_shared(sizeof(*grandchild));

	make_pipe(0);
	test_join(test_fork(has_a_child, grandchild));
	drop(1);
	expect_text(ends[0], "both");
	expect_nothing(ends[0]);
	ck_ok(ipck_pipe_send(ends[0], "x", 1, far_off()));
	ck_that(kill(*grandchild, SIGKILL) == 0);
	expect_end(ends[0]);
	ck_err(ipck_pipe_send(ends[0], "x", 1, far_off()), EPIPE);
	drop(0);
}
END_TEST

/* Every copy counts, also a second one of this process. */
START_TEST(both_ends_in_one_process)
{
	struct ipck_pipe *copy;
	int fds[2];

	make_pipe(0);
	ck_ok(ipck_pipe_fds(ends[0], fds));
	ck_ok(ipck_pipe_open_fds(&copy, fds));
	send_text(ends[0], "first");
	drop(0);
	send_text(copy, "second");
	expect_text(ends[1], "first");
	expect_text(ends[1], "second");
	expect_nothing(ends[1]);
	send_text(ends[1], "back");
	expect_text(copy, "back");
	ipck_pipe_close(copy);
	expect_end(ends[1]);
	drop(1);
	make_pipe(0);
	drop(1);
	expect_end(ends[0]);
	drop(0);
}
END_TEST

/* A poll without a wait sees the end, too, if nobody could tell of it. */
START_TEST(the_end_of_a_killed_one_without_waiting)
{
	enum ending ending = KILLED;
	char got[8];
	pid_t child;

	make_pipe(0);
	child = test_fork(send_three, &ending);
	drop(1);
	TEST_UNTIL(sleeps(child) && bytes_in(&ends[0]->in) == 40);
	test_kill(child);
	for (int i = 0; i < 3; i++)
		ck_ok(ipck_pipe_recv(ends[0], got, sizeof(got), NULL, IPCK_NOWAIT));
	ck_ok(ipck_pipe_poll(ends[0], IPCK_NOWAIT));
	ck_err(ipck_pipe_recv(ends[0], got, sizeof(got), NULL, IPCK_NOWAIT), EPIPE);
	drop(0);
}
END_TEST

/* ---- senders ---- */

static void have_an_end(void *arg)
{
	(void)arg;
	drop(1);
	for (;;)
		pause();
}

START_TEST(nobody_receives)
{
	char piece[64] = {0};
	size_t accepted = 0;
	void *data;
	pid_t child;
	int rc, fd = 0;

	make_pipe(0);
	drop(0);
	ck_err(ipck_pipe_send(ends[1], "", 0, IPCK_NOWAIT), EPIPE);
	ck_err(ipck_pipe_sendv(ends[1], NULL, 0, far_off()), EPIPE);
	ck_err(ipck_pipe_reserve(ends[1], 1, &data, far_off()), EPIPE);
	ck_err(ipck_pipe_send_fds(ends[1], &fd, 1, far_off()), EPIPE);
	drop(1);
	make_pipe(0);
	child = test_fork(have_an_end, NULL);
	drop(0);
	test_kill(child);
	while ((rc = ipck_pipe_send(ends[1], piece, sizeof(piece), IPCK_NOWAIT)) == 0)
		accepted += sizeof(piece);
	ck_err(rc, EPIPE);
	ck_assert_uint_le(accepted, 65536 / 8);
	drop(1);
}
END_TEST

static void fill_until_the_end(void *arg)
{
	(void)arg;
	drop(0);
	ck_err(ipck_pipe_send(ends[1], (char[WHOLE]){0}, WHOLE, far_off()), EPIPE);
}

START_TEST(a_sleeping_sender_is_told)
{
	bool killed = _i;
	pid_t receiver = 0, sender;

	make_pipe(SMALL);
	send_until_full(ends[1], WHOLE);
	if (killed)
		receiver = test_fork(have_an_end, NULL);
	sender = test_fork(fill_until_the_end, NULL);
	drop(1);
	TEST_UNTIL(sleeps(sender));
	drop(0);
	if (killed)
		test_kill(receiver);
	test_join(sender);
}
END_TEST

static void leave_at_once(void *arg)
{
	drop(!*(const int *)arg);
}

/* A child that has ended its copy has ended its own only. */
START_TEST(forked_copies)
{
	make_pipe(0);
	for (int i = 0; i < 2; i++)
		test_join(test_fork(leave_at_once, &i));
	send_text(ends[0], "on");
	expect_text(ends[1], "on");
	send_text(ends[1], "back");
	expect_text(ends[0], "back");
	drop_both();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pipe_end");
	TCase *end = test_case(s, "end");

	tcase_add_loop_test(end, end_when_the_last_copy_is_gone, 0, ENDINGS);
	tcase_add_loop_test(end, a_sleeping_receiver_is_told, 0, ENDINGS);
	tcase_add_test(end, a_copy_of_a_grandchild);
	tcase_add_test(end, both_ends_in_one_process);
	tcase_add_test(end, the_end_of_a_killed_one_without_waiting);
	tcase_add_test(end, nobody_receives);
	tcase_add_loop_test(end, a_sleeping_sender_is_told, 0, 2);
	tcase_add_test(end, forked_copies);
	return test_main(s);
}
