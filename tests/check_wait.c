/* SPDX-License-Identifier: MIT */
/* Waiting for many things at once. */
#include <errno.h>
#include <sys/socket.h>

#include "coll/pipe.h"
#include "ends.h"
#include "process.h"

static ssize_t wait_all(struct ipck_waitable *objects, size_t n, struct ipck_deadline deadline)
{
	for (size_t i = 0; i < n; i++)
		objects[i].ready = true;
	return ipck_wait(objects, n, deadline);
}

#define EXPECT_READY(objects, n, count) ck_assert_int_eq(ck_ok(wait_all((objects), (n), far_off())), (count))

static void expect_none(struct ipck_waitable *objects, size_t n, struct ipck_deadline deadline, int error)
{
	ck_err(wait_all(objects, n, deadline), error);
	for (size_t i = 0; i < n; i++)
		ck_that(!objects[i].ready);
}

/* ---- pipes ---- */

START_TEST(pipes)
{
	struct ipck_pipe *other[2];

	make_pipe(0);
	ck_ok(ipck_pipe_create(other, IPCK_PIPE_OPTS(.one_way = true)));
	{
		struct ipck_waitable w[] = {IPCK_WAIT_PIPE(ends[0]), IPCK_WAIT_PIPE(ends[1]), IPCK_WAIT_PIPE(other[0])};

		expect_none(w, 3, IPCK_NOWAIT, ETIMEDOUT);
		expect_none(w, 3, ipck_in_ms(5), ETIMEDOUT);
		send_text(ends[0], "");
		for (int i = 0; i < 2; i++) {
			EXPECT_READY(w, 3, 1);
			ck_assert(!w[0].ready && w[1].ready && !w[2].ready);
		}
		send_text(other[1], "x");
		EXPECT_READY(w, 3, 2);
		ck_assert(!w[0].ready && w[1].ready && w[2].ready);
		expect_text(ends[1], "");
		expect_text(other[0], "x");
		expect_none(w, 3, IPCK_NOWAIT, ETIMEDOUT);
		/* The end counts, every time. */
		ipck_pipe_close(other[1]);
		for (int i = 0; i < 2; i++) {
			EXPECT_READY(w, 3, 1);
			ck_assert(!w[0].ready && !w[1].ready && w[2].ready);
		}
	}
	ipck_pipe_close(other[0]);
	drop_both();
}
END_TEST

static void send_late(void *arg)
{
	pid_t waiter = *(const pid_t *)arg;

	TEST_UNTIL(sleeps(waiter));
	send_text(ends[1], "late");
}

static void pause_for_ever(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

START_TEST(a_message_and_an_end_wake)
{
	pid_t self = getpid(), child;

	make_pipe(0);
	{
		struct ipck_waitable w = IPCK_WAIT_PIPE(ends[0]);

		child = test_fork(send_late, &self);
		EXPECT_READY(&w, 1, 1);
		test_join(child);
		expect_text(ends[0], "late");
		child = test_fork(pause_for_ever, NULL);
		drop(1);
		/* The child has its copies of both. */
		expect_none(&w, 1, IPCK_NOWAIT, ETIMEDOUT);
		test_kill(child);
		EXPECT_READY(&w, 1, 1);
		expect_none(&w, 0, IPCK_NOWAIT, ETIMEDOUT);
	}
	drop(0);
}
END_TEST

/* ---- processes ---- */

static int wait_for_byte(void *arg)
{
	char byte;

	return read(*(const int *)arg, &byte, 1) == 1 ? 3 : 4;
}

START_TEST(processes)
{
	struct ipck_process *quick, *slow;
	int fds[2];

	ck_that(pipe(fds) == 0);
	quick = start(child_nothing, NULL, NULL);
	slow = start(wait_for_byte, fds, NULL);
	{
		struct ipck_waitable w[] = {IPCK_WAIT_PROCESS(slow), IPCK_WAIT_PROCESS(quick)};

		EXPECT_READY(w, 2, 1);
		ck_assert(!w[0].ready && w[1].ready);
		expect_none(w, 1, ipck_in_ms(5), ETIMEDOUT);
		ck_that(write(fds[1], "x", 1) == 1);
		EXPECT_READY(w, 1, 1);
		EXPECT_READY(w, 2, 2);
		EXPECT_READY(w, 2, 2);
	}
	expect_code(quick, 0);
	expect_code(slow, 3);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

static int wait_for_a_stranger(void *arg)
{
	struct ipck_waitable w = IPCK_WAIT_PROCESS(arg);

	ck_err(ipck_wait(&w, 1, far_off()), ECHILD);
	return 0;
}

START_TEST(strangers)
{
	struct ipck_process *p = start(child_pause, NULL, NULL);

	expect_code(start(wait_for_a_stranger, p, NULL), 0);
	kill_and_close(p);
}
END_TEST

/* ---- descriptors ---- */

START_TEST(descriptors)
{
	int fds[2], sockets[2];

	ck_that(pipe(fds) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
	{
		struct ipck_waitable w[] = {IPCK_WAIT_FD(fds[0]), IPCK_WAIT_FD(-1), IPCK_WAIT_FD(sockets[0])};

		expect_none(w, 3, IPCK_NOWAIT, ETIMEDOUT);
		expect_none(w, 3, ipck_in_ms(5), ETIMEDOUT);
		ck_that(write(fds[1], "x", 1) == 1);
		EXPECT_READY(w, 3, 1);
		ck_assert(w[0].ready && !w[1].ready && !w[2].ready);
		/* Hung up. */
		close(sockets[1]);
		EXPECT_READY(w, 3, 2);
		ck_assert(w[0].ready && !w[1].ready && w[2].ready);
		close(fds[1]);
		EXPECT_READY(w, 3, 2);
	}
	close(sockets[0]);
	close(fds[0]);
}
END_TEST

/* ---- all together ---- */

START_TEST(all_kinds)
{
	struct ipck_process *p = start(child_pause, NULL, NULL);
	int fds[2];

	make_pipe(0);
	ck_that(pipe(fds) == 0);
	{
		struct ipck_waitable w[] = {IPCK_WAIT_PIPE(ends[0]), IPCK_WAIT_PROCESS(p), IPCK_WAIT_FD(fds[0])};

		expect_none(w, 3, ipck_in_ms(5), ETIMEDOUT);
		send_text(ends[1], "x");
		EXPECT_READY(w, 3, 1);
		ck_that(write(fds[1], "x", 1) == 1);
		EXPECT_READY(w, 3, 2);
		ck_ok(ipck_process_kill(p));
		EXPECT_READY(w + 1, 1, 1);
		EXPECT_READY(w, 3, 3);
	}
	expect(p, 0, SIGKILL);
	close(fds[0]);
	close(fds[1]);
	drop_both();
}
END_TEST

#define MANY 60

static void send_one_of_many(void *arg)
{
	pid_t waiter = getppid();

	TEST_UNTIL(sleeps(waiter));
	send_text(*(struct ipck_pipe **)arg, "one of many");
}

START_TEST(many)
{
	struct ipck_pipe *all[MANY][2];
	struct ipck_waitable w[MANY];
	pid_t child;

	for (int i = 0; i < MANY; i++) {
		ck_ok(ipck_pipe_create(all[i], IPCK_PIPE_OPTS(.bytes = SMALL)));
		w[i] = (struct ipck_waitable)IPCK_WAIT_PIPE(all[i][0]);
	}
	for (size_t n = 15; n <= 18; n++) {
		expect_none(w, n, IPCK_NOWAIT, ETIMEDOUT);
		send_text(all[n - 1][1], "x");
		EXPECT_READY(w, n, 1);
		ck_assert(w[n - 1].ready && !w[0].ready);
		expect_text(all[n - 1][0], "x");
	}
	child = test_fork(send_one_of_many, &all[MANY - 1][1]);
	EXPECT_READY(w, MANY, 1);
	ck_assert(w[MANY - 1].ready);
	test_join(child);
	for (int i = 0; i < MANY; i++) {
		ipck_pipe_close(all[i][0]);
		ipck_pipe_close(all[i][1]);
	}
}
END_TEST

/* ---- deadlines and errors ---- */

START_TEST(nothing_to_wait_for)
{
	int64_t begun = test_now_ms();

	ck_err(ipck_wait(NULL, 0, ipck_in_ms(20)), ETIMEDOUT);
	ck_assert_int_ge(test_now_ms() - begun, 19);
	ck_err(ipck_wait(NULL, 0, IPCK_NOWAIT), ETIMEDOUT);
	ck_err(ipck_wait(NULL, 0, ipck_in_ms(-5)), ETIMEDOUT);
	ipck_interrupt();
	ck_err(ipck_wait(NULL, 0, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	ipck_interrupt_clear();
}
END_TEST

static void interrupt_late(unsigned i, void *arg)
{
	if (i == 1) {
		usleep(1000);
		ipck_interrupt();
		return;
	}
	expect_none(arg, 1, ipck_interruptible(IPCK_FOREVER), ECANCELED);
}

START_TEST(interrupted)
{
	make_pipe(0);
	{
		struct ipck_waitable w = IPCK_WAIT_PIPE(ends[0]);

		test_threads(2, interrupt_late, &w);
		send_text(ends[1], "x");
		ck_assert_int_eq(ck_ok(ipck_wait(&w, 1, ipck_interruptible(IPCK_FOREVER))), 1);
		ipck_interrupt_clear();
	}
	drop_both();
}
END_TEST

START_TEST(errors)
{
	ck_ok(ipck_pipe_create(ends, IPCK_PIPE_OPTS(.one_way = true)));
	{
		struct ipck_waitable w[] = {IPCK_WAIT_PIPE(ends[0]), IPCK_WAIT_PIPE(ends[1])};
		struct ipck_waitable closed = IPCK_WAIT_FD(987);

		ck_err(ipck_wait(w, 2, IPCK_FOREVER), EBADF);
		ck_err(ipck_wait(w + 1, 1, IPCK_NOWAIT), EBADF);
		ck_err(ipck_wait(&closed, 1, IPCK_FOREVER), EBADF);
		expect_none(w, 1, IPCK_NOWAIT, ETIMEDOUT);
	}
	drop_both();
}
END_TEST

/* ---- others at the same pipe ---- */

#define MESSAGES 2000

static void wait_and_receive(unsigned i, void *arg)
{
	uint32_t *received = arg;
	struct ipck_waitable w = IPCK_WAIT_PIPE(ends[0]);
	ssize_t n = 0;

	if (i == 0) {
		for (int k = 0; k < MESSAGES; k++)
			send_text(ends[1], "x");
		drop(1);
		return;
	}
	while (n != -EPIPE) {
		char byte;

		ck_that(ck_ok(ipck_wait(&w, 1, far_off())) == 1 && w.ready);
		n = ipck_pipe_recv(ends[0], &byte, 1, NULL, IPCK_NOWAIT);
		ck_that(n == 1 || n == -ETIMEDOUT || n == -EPIPE);
		add_relaxed(received, n == 1);
	}
}

START_TEST(several_wait_for_one)
{
	uint32_t *received = test_shared(sizeof(*received));

	make_pipe(0);
	test_threads(4, wait_and_receive, received);
	ck_assert_uint_eq(*received, MESSAGES);
	drop(0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("wait");
	TCase *tc = test_case_primed(s, "wait", prime_process);

	tcase_add_test(tc, pipes);
	tcase_add_test(tc, a_message_and_an_end_wake);
	tcase_add_test(tc, processes);
	tcase_add_test(tc, strangers);
	tcase_add_test(tc, descriptors);
	tcase_add_test(tc, all_kinds);
	tcase_add_test(tc, many);
	tcase_add_test(tc, nothing_to_wait_for);
	tcase_add_test(tc, interrupted);
	tcase_add_test(tc, errors);
	tcase_add_test(tc, several_wait_for_one);
	return test_main(s);
}
