/* SPDX-License-Identifier: MIT */
/* The descriptor of a pipe, for poll and epoll: readable while there is something, or the end. */
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>

#include "coll/pipe.h"
#include "ends.h"

static bool is_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static int epoll_of(int fd)
{
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN};

	ck_that(ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0);
	return ep;
}

static bool rings(int ep, int ms)
{
	struct epoll_event event;

	return epoll_wait(ep, &event, 1, ms) == 1;
}

#define LONG_MS ((int)(10000 * test_scale()))

START_TEST(armed)
{
	int fd, ep;

	make_pipe(0);
	if (_i)
		send_text(ends[1], "early");
	fd = ck_ok(ipck_pipe_fd(ends[0]));
	ep = epoll_of(fd);
	ck_assert(rings(ep, 0));
	ck_assert_int_eq(ipck_pipe_fd(ends[0]), fd);
	if (_i)
		expect_text(ends[0], "early");
	for (int i = 0; i < 100; i++) {
		expect_nothing(ends[0]);
		ck_assert(!rings(ep, 0) && !is_readable(fd));
		send_text(ends[1], "one");
		ck_assert(rings(ep, 0));
		send_text(ends[1], "two");
		expect_text(ends[0], "one");
		/* Level-triggered, as long as there is something. */
		ck_assert(rings(ep, 0) && rings(ep, 0));
		expect_text(ends[0], "two");
	}
	close(ep);
	drop_both();
}
END_TEST

/* At the end it is readable, for good. */
START_TEST(armed_at_hang_up)
{
	int ep;

	make_pipe(0);
	ep = epoll_of(ipck_pipe_fd(ends[0]));
	expect_nothing(ends[0]);
	send_text(ends[1], "last");
	drop(1);
	ck_assert(rings(ep, 0));
	expect_text(ends[0], "last");
	ck_assert(rings(ep, 0));
	expect_end(ends[0]);
	ck_assert(rings(ep, 0));
	close(ep);
	drop(0);
}
END_TEST

#define MESSAGES 3000

static void send_in_bursts(void *arg)
{
	struct test_random random = test_random(1);

	(void)arg;
	drop(0);
	for (uint32_t i = 0; i < MESSAGES; i++) {
		if (i % 100 == 77)
			ck_ok(ipck_pipe_send_fds(ends[1], (int[]){2}, 1, far_off()));
		else if (i % 100 == 78)
			send_filled(ends[1], 3 * SMALL, i);
		else
			ck_ok(ipck_pipe_send(ends[1], &i, sizeof(i), far_off()));
		if (test_random_below(&random, 20) == 0)
			sched_yield();
	}
}

static ssize_t receive_any(void)
{
	char bytes[3 * SMALL];
	int fd;
	ssize_t n = ipck_pipe_recv(ends[0], bytes, sizeof(bytes), NULL, IPCK_NOWAIT);

	if (n != -EBADMSG)
		return n;
	n = ipck_pipe_recv_fds(ends[0], &fd, 1, IPCK_NOWAIT);
	if (n > 0)
		close(fd);
	return n;
}

/* Never silent with messages left: an event loop that takes them all, or one each time (1). */
START_TEST(an_event_loop)
{
	uint32_t received = 0;
	ssize_t n = 0;
	pid_t child;
	int ep;

	make_pipe(SMALL);
	child = test_fork(send_in_bursts, NULL);
	drop(1);
	ep = epoll_of(ipck_pipe_fd(ends[0]));
	while (n != -EPIPE) {
		ck_assert(rings(ep, LONG_MS));
		do {
			n = receive_any();
			received += n >= 0;
			ck_that(n >= 0 || n == -ETIMEDOUT || n == -EPIPE);
		} while (n >= 0 && _i == 0);
	}
	ck_assert_uint_eq(received, MESSAGES);
	test_join(child);
	close(ep);
	drop(0);
}
END_TEST

static void send_a_part(void *arg)
{
	(void)arg;
	drop(0);
	send_filled(ends[1], 10 * SMALL, 1);
}

/* Also in the middle of a message: no loop that turns in vain. */
START_TEST(silent_in_the_middle)
{
	char bytes[10 * SMALL];
	pid_t child;
	int fd;

	make_pipe(SMALL);
	fd = ipck_pipe_fd(ends[0]);
	child = test_fork(send_a_part, NULL);
	TEST_UNTIL(load_acquire(&ends[0]->in.shm->sending) == 1 && sleeps(child));
	stop(child);
	for (int i = 0; i < 2; i++)
		ck_err(ipck_pipe_recv(ends[0], bytes, sizeof(bytes), NULL, IPCK_NOWAIT), ETIMEDOUT);
	ck_assert(!is_readable(fd));
	go_on(child);
	TEST_UNTIL(is_readable(fd));
	expect_filled(ends[0], sizeof(bytes), 1);
	test_join(child);
	drop_both();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pipe_bell");
	TCase *bell = test_case(s, "bell");

	tcase_add_loop_test(bell, armed, 0, 2);
	tcase_add_test(bell, armed_at_hang_up);
	tcase_add_loop_test(bell, an_event_loop, 0, 2);
	tcase_add_test(bell, silent_in_the_middle);
	return test_main(s);
}
