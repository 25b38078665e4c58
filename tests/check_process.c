/* SPDX-License-Identifier: MIT */
/* Handles of processes: joining, status, signals. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "proc/local.h"
#include "process.h"

static int exit_with(void *arg)
{
	return *(const int *)arg;
}

/* Ends with 3 when the other end of the pipe is closed. */
static int until_closed(void *arg)
{
	const int *fds = arg;
	char byte;

	close(fds[1]);
	return read(fds[0], &byte, 1) == 0 ? 3 : 4;
}

/* Exit codes and signals */

START_TEST(exit_code_is_the_low_byte)
{
	static const int codes[] = {0, 1, 44, 127, 128, 255, 256, 300, -1, 0x12345};
	int code = codes[_i];

	expect_code(start(exit_with, &code, NULL), codes[_i] & 0xff);
}
END_TEST

static int die_by(void *arg)
{
	const struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	/* Handlers of faults are inherited; sanitizers have some. */
	signal(*(const int *)arg, SIG_DFL);
	kill(getpid(), *(const int *)arg);
	return 9;
}

START_TEST(signals_are_apart_from_codes)
{
	static const int signals[] = {SIGKILL, SIGTERM, SIGABRT, SIGSEGV, SIGUSR1};
	int signal = signals[_i], code = 9;

	expect(start(die_by, &signal, NULL), 0, signal);
	code = signal;
	expect_code(start(exit_with, &code, NULL), signal);
}
END_TEST

START_TEST(running_then_ended)
{
	struct ipck_process *p;
	int fds[2], code = -7, signal = -7;

	ck_that(pipe(fds) == 0);
	p = start(until_closed, fds, NULL);
	close(fds[0]);
	ck_assert(ipck_process_alive(p));
	ck_err(ipck_process_join(p, IPCK_NOWAIT), ETIMEDOUT);
	ck_err(ipck_process_join(p, ipck_in_ms(5)), ETIMEDOUT);
	ck_err(ipck_process_status(p, &code, &signal), EBUSY);
	ck_assert_int_eq(code, -7);
	ck_assert_int_eq(signal, -7);
	ck_err(ipck_process_close(p), EBUSY);
	ck_assert(ipck_process_alive(p));
	close(fds[1]);
	for (int i = 0; i < 3; i++)
		ck_ok(ipck_process_join(p, i ? IPCK_NOWAIT : IPCK_FOREVER));
	ck_assert(!ipck_process_alive(p));
	ck_ok(ipck_process_status(p, NULL, NULL));
	ck_ok(ipck_process_status(p, &code, NULL));
	ck_ok(ipck_process_status(p, NULL, &signal));
	ck_assert_int_eq(code, 3);
	ck_assert_int_eq(signal, 0);
	ck_ok(ipck_process_signal(p, SIGKILL));
	ck_ok(ipck_process_terminate(p));
	ck_ok(ipck_process_kill(p));
	expect_code(p, 3);
	ck_ok(ipck_process_close(NULL));
}
END_TEST

/* Without join: status and alive see the end themselves. */
START_TEST(status_sees_the_end)
{
	struct ipck_process *p = start(child_nothing, NULL, NULL), *q = start(child_nothing, NULL, NULL);
	int code = -1;

	TEST_UNTIL(!ipck_process_alive(p));
	TEST_UNTIL(ipck_process_status(q, &code, NULL) == 0);
	ck_assert_int_eq(code, 0);
	expect_code(p, 0);
	expect_code(q, 0);
}
END_TEST

/* Several threads join one process */

#define JOINERS 4

struct race {
	struct ipck_process *p;
	int code;
};

static void join_one(unsigned i, void *arg)
{
	struct race *r = arg;
	int code = -1, signal = -1;

	if (i == 0)
		while (ipck_process_alive(r->p))
			sched_yield();
	else if (i == 1)
		while (ipck_process_join(r->p, ipck_in_ms(1)) == -ETIMEDOUT)
			;
	else
		ck_ok(ipck_process_join(r->p, IPCK_FOREVER));
	ck_that(!ipck_process_alive(r->p));
	ck_ok(ipck_process_status(r->p, &code, &signal));
	ck_that(code == r->code && signal == 0);
}

START_TEST(all_joiners_get_the_code)
{
	for (int round = 0; round < 100; round++) {
		struct race r = {.code = round + 1};

		r.p = start(exit_with, &r.code, NULL);
		test_threads(JOINERS, join_one, &r);
		ck_ok(ipck_process_close(r.p));
	}
}
END_TEST

static void start_some(unsigned i, void *arg)
{
	int *pids = arg;

	for (int n = 0; n < 10; n++) {
		int code = (int)i * 10 + n;
		struct ipck_process *p = start(exit_with, &code, NULL);

		pids[code] = ipck_process_pid(p);
		expect_code(p, code);
	}
}

START_TEST(threads_start_and_join)
{
	int pids[40] = {0};

	test_threads(4, start_some, pids);
	ck_assert_uint_eq(ipck_process_children(NULL, 0), 0);
	for (int i = 0; i < 40; i++)
		ck_assert_int_gt(pids[i], 0);
}
END_TEST

/* A signal handler without SA_RESTART, and ipck_interrupt */

static pthread_t joiner;
static bool joined;

static void on_signal(int sig)
{
	(void)sig;
}

static void *poke(void *arg)
{
	const int *fd = arg;

	for (int i = 0; i < 20; i++) {
		pthread_kill(joiner, SIGUSR1);
		usleep(500);
	}
	ck_that(!__atomic_load_n(&joined, __ATOMIC_SEQ_CST));
	close(*fd);
	return NULL;
}

START_TEST(join_goes_on_after_signals)
{
	struct sigaction act = {.sa_handler = on_signal};
	struct ipck_process *p;
	pthread_t thread;
	int fds[2];

	ck_that(pipe(fds) == 0);
	p = start(until_closed, fds, NULL);
	close(fds[0]);
	sigaction(SIGUSR1, &act, NULL);
	joiner = pthread_self();
	ck_that(pthread_create(&thread, NULL, poke, &fds[1]) == 0);
	ck_ok(ipck_process_join(p, _i ? IPCK_FOREVER : ipck_in_sec(100)));
	__atomic_store_n(&joined, true, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	expect_code(p, 3);
}
END_TEST

START_TEST(join_can_be_interrupted)
{
	struct ipck_process *p = start(child_pause, NULL, NULL);

	ipck_interrupt();
	ck_err(ipck_process_join(p, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	ck_err(ipck_process_join(p, IPCK_NOWAIT), ETIMEDOUT);
	ipck_interrupt_clear();
	kill_and_close(p);
}
END_TEST

/* Whose handle it is */

static void foreign(struct ipck_process *p)
{
	int code = -7, signal = -7;

	ck_err(ipck_process_join(p, IPCK_FOREVER), ECHILD);
	ck_err(ipck_process_status(p, &code, &signal), ECHILD);
	ck_err(ipck_process_signal(p, SIGKILL), ECHILD);
	ck_err(ipck_process_terminate(p), ECHILD);
	ck_err(ipck_process_kill(p), ECHILD);
	ck_err(ipck_process_signal_group(p, SIGKILL), ECHILD);
	ck_err(ipck_process_kill_group(p), ECHILD);
	ck_err(ipck_process_close(p), ECHILD);
	ck_that(!ipck_process_alive(p));
	ck_that(code == -7 && signal == -7);
	ck_that(ipck_process_children(NULL, 0) == 0);
}

static int use_sibling(void *arg)
{
	foreign(arg);
	return 5;
}

static void use_in_fork(void *arg)
{
	foreign(arg);
}

START_TEST(a_handle_is_its_makers)
{
	struct ipck_process *p = start(child_pause, NULL, IPCK_PROCESS_OPTS(.group = true));

	expect_code(start(use_sibling, p, NULL), 5);
	test_join(test_fork(use_in_fork, p));
	ck_assert(ipck_process_alive(p));
	kill_and_close(p);
}
END_TEST

/* The sentinel */

static int leave_grandchild(void *arg)
{
	pid_t pid = fork();

	if (pid == 0)
		child_pause(NULL);
	*(int *)arg = pid;
	return 6;
}

START_TEST(sentinel_is_about_the_process_alone)
{
	int *grandchild = test_shared(sizeof(*grandchild)), epoll = epoll_create1(EPOLL_CLOEXEC);
	struct ipck_process *p = start(leave_grandchild, grandchild, NULL), *q;
	struct epoll_event event = {.events = EPOLLIN};
	struct pollfd fd = {.fd = ipck_process_fd(p), .events = POLLIN};

	ck_ok(ipck_process_join(p, IPCK_FOREVER));
	ck_assert(!has_died(*grandchild));
#ifndef HAVE_PIDFD
	kill(*grandchild, SIGKILL);
#endif
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(poll(&fd, 1, -1), 1);
	kill(*grandchild, SIGKILL);
	TEST_UNTIL(has_died(*grandchild));
	expect_code(p, 6);
	q = start(child_pause, NULL, NULL);
	fd.fd = ipck_process_fd(q);
	ck_assert_int_eq(poll(&fd, 1, 0), 0);
	ck_assert_int_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, fd.fd, &event), 0);
	ck_assert_int_eq(epoll_wait(epoll, &event, 1, 0), 0);
	ck_ok(ipck_process_kill(q));
	ck_assert_int_eq(epoll_wait(epoll, &event, 1, -1), 1);
	close(epoll);
	expect(q, 0, SIGKILL);
}
END_TEST

/* Somebody else reaps */

/* Its status is told, or told to be lost; it is never said to run. */
static void expect_reaped(struct ipck_process *p, int code)
{
	int got = -1, signal = -1, rc;

	ck_ok(ipck_process_join(p, IPCK_FOREVER));
	ck_that(!ipck_process_alive(p));
	rc = ipck_process_status(p, &got, &signal);
	if (rc == 0)
		ck_that(got == code && signal == 0);
	else
		ck_err(rc, ENODATA);
#ifndef HAVE_PIDFD
	ck_err(rc, ENODATA);
#endif
	ck_ok(ipck_process_kill(p));
	ck_ok(ipck_process_close(p));
}

START_TEST(reaped_by_the_user)
{
	int code = 8, status;
	struct ipck_process *p = start(exit_with, &code, NULL);

	ck_assert_int_eq(waitpid(-1, &status, 0), ipck_process_pid(p));
	ck_assert_int_eq(WEXITSTATUS(status), 8);
	expect_reaped(p, 8);
}
END_TEST

START_TEST(sigchld_ignored)
{
	int code = 8;
	struct ipck_process *p, *q;

	signal(SIGCHLD, SIG_IGN);
	p = start(exit_with, &code, NULL);
	q = start(child_pause, NULL, NULL);
	ck_err(ipck_process_join(q, ipck_in_ms(2)), ETIMEDOUT);
	TEST_UNTIL(ipck_process_children(NULL, 0) == 1);
	expect_reaped(p, 8);
	ck_ok(ipck_process_kill(q));
	ck_ok(ipck_process_join(q, ipck_in_sec(20)));
	ck_ok(ipck_process_close(q));
	signal(SIGCHLD, SIG_DFL);
}
END_TEST

START_TEST(foreign_children_are_left_alone)
{
	int code = 8, status;
	struct ipck_process *p;
	pid_t pid = fork();

	if (pid == 0)
		_exit(11);
	TEST_UNTIL(test_state(pid) == 'Z');
	p = start(exit_with, &code, NULL);
	expect_code(p, 8);
	ck_assert_uint_eq(ipck_process_children(NULL, 0), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WEXITSTATUS(status), 11);
}
END_TEST

#ifdef HAVE_PIDFD
/* The pid is that of a foreign child by now: as if the kernel had used it again. */
START_TEST(a_reused_pid_is_not_ours)
{
	const struct ipck_process_opts opts = {.size = sizeof(opts), .group = _i};
	int code = 8, status;
	struct ipck_process *p = start(exit_with, &code, &opts);
	pid_t pid;

	if (_i == 0)
		ck_assert_int_eq(waitpid(p->pid, NULL, 0), p->pid);
	else
		ck_ok(ipck_process_join(p, IPCK_FOREVER));
	if (_i)
		ck_assert_int_eq(waitpid(p->pid, NULL, 0), p->pid);
	pid = fork();
	if (pid == 0)
		_exit(setpgid(0, 0) ? 12 : 11);
	TEST_UNTIL(test_state(pid) == 'Z');
	p->pid = pid;
	ck_assert_int_eq(ipck_process_kill_group(p), _i ? -ENODATA : -EINVAL);
	if (_i == 0)
		expect_reaped(p, 8);
	else
		expect_code(p, 8);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WEXITSTATUS(status), 11);
}
END_TEST
#endif

/* Signals and groups */

START_TEST(signals_reach_the_child)
{
	struct ipck_process *p = start(child_pause, NULL, NULL);

	ck_err(ipck_process_signal(p, -1), EINVAL);
	ck_err(ipck_process_signal(p, NSIG), EINVAL);
	ck_err(ipck_process_signal_group(p, SIGTERM), EINVAL);
	ck_err(ipck_process_kill_group(p), EINVAL);
	ck_ok(ipck_process_signal(p, 0));
	ck_assert(ipck_process_alive(p));
	ck_ok(_i == 0 ? ipck_process_terminate(p) : _i == 1 ? ipck_process_kill(p) : ipck_process_signal(p, SIGUSR1));
	expect(p, 0, _i == 0 ? SIGTERM : _i == 1 ? SIGKILL : SIGUSR1);
}
END_TEST

START_TEST(group_is_reached_after_its_leader)
{
	int *member = test_shared(sizeof(*member));
	struct ipck_process *p = start(leave_grandchild, member, IPCK_PROCESS_OPTS(.group = true));

	ck_assert_int_eq(getpgid(ipck_process_pid(p)), ipck_process_pid(p));
	ck_ok(ipck_process_join(p, IPCK_FOREVER));
	ck_ok(ipck_process_signal_group(p, 0));
	ck_assert(!has_died(*member));
	ck_ok(_i ? ipck_process_kill_group(p) : ipck_process_signal_group(p, SIGTERM));
	TEST_UNTIL(has_died(*member));
	ck_ok(ipck_process_kill_group(p));
	expect_code(p, 6);
}
END_TEST

START_TEST(group_of_a_reaped_leader_is_unknown)
{
	int code = 8;
	struct ipck_process *p = start(exit_with, &code, IPCK_PROCESS_OPTS(.group = true));

	ck_assert_int_eq(waitpid(-1, NULL, 0), ipck_process_pid(p));
	ck_err(ipck_process_kill_group(p), ENODATA);
	expect_reaped(p, 8);
}
END_TEST

/* Those of a group are joined and closed like others, nothing is left of them. */
START_TEST(group_leader_is_reaped_at_close)
{
	int code = 8;
	struct ipck_process *p = start(exit_with, &code, IPCK_PROCESS_OPTS(.group = true));
	pid_t pid = ipck_process_pid(p);

	ck_ok(ipck_process_join(p, IPCK_FOREVER));
	ck_assert_int_eq(test_state(pid), 'Z');
	expect_code(p, 8);
	ck_assert_int_eq(test_state(pid), 0);
}
END_TEST

static void add_tests(TCase *tc)
{
	tcase_add_loop_test(tc, exit_code_is_the_low_byte, 0, 10);
	tcase_add_loop_test(tc, signals_are_apart_from_codes, 0, 5);
	tcase_add_test(tc, running_then_ended);
	tcase_add_test(tc, status_sees_the_end);
	tcase_add_test(tc, all_joiners_get_the_code);
	tcase_add_test(tc, threads_start_and_join);
	tcase_add_loop_test(tc, join_goes_on_after_signals, 0, 2);
	tcase_add_test(tc, join_can_be_interrupted);
	tcase_add_test(tc, a_handle_is_its_makers);
	tcase_add_test(tc, sentinel_is_about_the_process_alone);
	tcase_add_test(tc, reaped_by_the_user);
	tcase_add_test(tc, sigchld_ignored);
	tcase_add_test(tc, foreign_children_are_left_alone);
#ifdef HAVE_PIDFD
	tcase_add_loop_test(tc, a_reused_pid_is_not_ours, 0, 2);
#endif
	tcase_add_loop_test(tc, signals_reach_the_child, 0, 3);
	tcase_add_loop_test(tc, group_is_reached_after_its_leader, 0, 2);
	tcase_add_test(tc, group_of_a_reaped_leader_is_unknown);
	tcase_add_test(tc, group_leader_is_reaped_at_close);
}

int main(void)
{
	Suite *s = suite_create("process");

	add_tests(test_case_primed(s, "handles", prime_process));
	return test_main(s);
}
