/* SPDX-License-Identifier: MIT */
/*
 * The harness is tested first: this program runs itself with tests that must
 * fail, each of which leaves something behind or ends badly, and asserts that
 * each is reported with its reason.
 */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void pause_forever(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

static void nothing(void *arg)
{
	(void)arg;
}

/* The tests that must fail, and two that must not. */

START_TEST(leave_fd)
{
	ck_assert_int_ge(open("/dev/null", O_RDONLY), 0);
}
END_TEST

START_TEST(close_fd)
{
	close(0);
}
END_TEST

START_TEST(leave_child)
{
	test_fork(pause_forever, NULL);
}
END_TEST

START_TEST(leave_zombie)
{
	pid_t pid = test_fork(nothing, NULL);

	TEST_UNTIL(test_state(pid) == 'Z');
}
END_TEST

static void make_orphan(void *arg)
{
	pid_t *pid = arg;

	*pid = fork();
	if (*pid == 0) {
		setsid();
		pause_forever(NULL);
	}
}

START_TEST(leave_orphan)
{
	pid_t *pid = test_shared(sizeof(*pid));

	test_join(test_fork(make_orphan, pid));
	printf("orphan=%d\n", *pid);
	fflush(stdout);
}
END_TEST

static void make_short_orphan(void *arg)
{
	(void)arg;
	if (fork() == 0)
		usleep(50000);
}

START_TEST(leave_short_orphan)
{
	test_join(test_fork(make_short_orphan, NULL));
}
END_TEST

START_TEST(leave_mapping)
{
	int fd = memfd_create("ipck-x", MFD_CLOEXEC);

	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	ck_assert_ptr_ne(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), MAP_FAILED);
	close(fd);
}
END_TEST

static void *pause_thread(void *arg)
{
	pause_forever(arg);
	return NULL;
}

START_TEST(leave_thread)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, pause_thread, NULL), 0);
}
END_TEST

static void shm_path(char *path, size_t size)
{
	snprintf(path, size, "/ipck.%s", test_name("left"));
}

static int make_name(void)
{
	char path[256];

	shm_path(path, sizeof(path));
	return shm_open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

START_TEST(leave_name)
{
	close(make_name());
}
END_TEST

/* What a test that ended badly left does not disturb the next one. */
START_TEST(abort_with_name)
{
	if (_i == 0) {
		close(make_name());
		abort();
	}
	int fd = make_name();
	char path[256];

	ck_assert_int_ge(fd, 0);
	close(fd);
	shm_path(path, sizeof(path));
	shm_unlink(path);
}
END_TEST

START_TEST(hang)
{
	pause_forever(NULL);
}
END_TEST

START_TEST(be_aborted)
{
	abort();
}
END_TEST

START_TEST(be_killed)
{
	raise(SIGKILL);
}
END_TEST

START_TEST(wait_for_hanging)
{
	test_join(test_fork(pause_forever, NULL));
}
END_TEST

static void assert_in_child(void *arg)
{
	(void)arg;
	ck_ok(-ENOSPC);
}

START_TEST(fail_in_child)
{
	test_join(test_fork(assert_in_child, NULL));
}
END_TEST

START_TEST(wrong_error)
{
	ck_err(-ENOENT, EINVAL);
}
END_TEST

START_TEST(never_true)
{
	TEST_UNTIL(getpid() == 0);
}
END_TEST

static void count(unsigned i, void *arg)
{
	__atomic_fetch_add((unsigned *)arg, 1u << (8 * i), __ATOMIC_RELAXED);
}

START_TEST(be_good)
{
	unsigned *sum = test_shared(sizeof(*sum));
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	pid_t pid = test_fork(pause_forever, NULL);

	TEST_UNTIL(test_state(pid) == 'S');
	test_kill(pid);
	close(fd);
	test_threads(3, count, sum);
	test_processes(4, count, sum);
	ck_assert_uint_eq(*sum, 0x01020202);
	ck_assert_int_eq(ck_ok(3), 3);
	ck_err(-EINVAL, EINVAL);
	pid = test_fork(nothing, NULL);
	ck_assert_int_eq(test_wait(pid), 0);
	ck_assert_int_eq(test_state(pid), 0);
}
END_TEST

/* Each runs alone; `reason` is in its report, NULL for those that pass. */
static const struct bad {
	const char *name;
	const TTest **test;
	const char *reason;
	const char *scale; /* of the limits: small for those that reach them */
	int loops;
} bad_tests[] = {
	{"leave_fd", &leave_fd, "left over: fd", "1", 1},
	{"close_fd", &close_fd, "left over: closed fd 0", "1", 1},
	{"leave_child", &leave_child, "left over: living child", "1", 1},
	{"leave_zombie", &leave_zombie, "left over: zombie child", "1", 1},
	{"leave_orphan", &leave_orphan, "left over: living orphan", "0.2", 1},
	{"leave_short_orphan", &leave_short_orphan, NULL, "4", 1},
	{"leave_mapping", &leave_mapping, "memfd:ipck-x", "1", 1},
	{"leave_thread", &leave_thread, "left over: thread", "0.2", 1},
	{"leave_name", &leave_name, "left over: shm name ipck.t", "0.2", 1},
	{"abort_with_name", &abort_with_name, "50%: Checks: 2, Failures: 0, Errors: 1", "1", 2},
	{"hang", &hang, "Test timeout expired", "0.05", 1},
	{"be_aborted", &be_aborted, "signal 6", "1", 1},
	{"be_killed", &be_killed, "signal 9", "1", 1},
	{"wait_for_hanging", &wait_for_hanging, "hangs (state S)", "0.1", 1},
	{"fail_in_child", &fail_in_child, "'-ENOSPC' failed: -28 (-ENOSPC)", "1", 1},
	{"wrong_error", &wrong_error, "'-ENOENT' is -2 (-ENOENT), not -EINVAL", "1", 1},
	{"never_true", &never_true, "'getpid() == 0' does not come true", "0.1", 1},
	{"be_good", &be_good, NULL, "1", 1},
};
#define N_BAD (int)(sizeof(bad_tests) / sizeof(bad_tests[0]))

static int run_bad(const char *name)
{
	Suite *s = suite_create("bad");

	for (int i = 0; i < N_BAD; i++)
		if (strcmp(name, bad_tests[i].name) == 0)
			tcase_add_loop_test(test_case(s, name), *bad_tests[i].test, 0, bad_tests[i].loops);
	return test_main(s);
}

/* Runs this program with one bad test, gives its exit status and what it printed. */
static int run_self(const char *name, const char *scale, char *text, size_t size)
{
	size_t used = 0;
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		setenv("CK_VERBOSITY", "verbose", 1);
		setenv("IPCK_TIMEOUT_SCALE", scale, 1);
		unsetenv("CK_FORK");
		unsetenv("CK_RUN_CASE");
		unsetenv("CK_RUN_SUITE");
		dup2(ends[1], 1);
		dup2(ends[1], 2);
		execl("/proc/self/exe", "check_support", name, NULL);
		_exit(127);
	}
	close(ends[1]);
	while ((n = read(ends[0], text + used, size - 1 - used)) > 0)
		used += n;
	text[used] = '\0';
	close(ends[0]);
	status = test_wait(pid);
	ck_assert_msg(WIFEXITED(status), "status %d", status);
	return WEXITSTATUS(status);
}

START_TEST(each_bad_test_is_reported)
{
	const struct bad *bad = &bad_tests[_i];
	char text[8192], *orphan;
	int status = run_self(bad->name, bad->scale, text, sizeof(text));

	ck_assert_msg(status == (bad->reason ? 1 : 0), "%s exited with %d: %s", bad->name, status, text);
	if (bad->reason)
		ck_assert_msg(strstr(text, bad->reason), "%s: no '%s' in: %s", bad->name, bad->reason, text);
	else
		ck_assert_msg(strstr(text, "100%: Checks: 1"), "%s: %s", bad->name, text);
	/* A leak is not only told, it is gone. */
	orphan = strstr(text, "orphan=");
	if (orphan)
		TEST_UNTIL(test_state(atoi(orphan + strlen("orphan="))) == 0);
}
END_TEST

/* A suite without tests is a mistake. */
START_TEST(no_tests_fail)
{
	char text[4096];

	ck_assert_int_eq(run_self("none", "1", text, sizeof(text)), 1);
	ck_assert_ptr_nonnull(strstr(text, "no tests"));
}
END_TEST

/* A runner that is killed takes its tests along. */
START_TEST(tests_die_with_runner)
{
	int ends[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], 1);
		execl("/proc/self/exe", "check_support", "hang", NULL);
		_exit(127);
	}
	close(ends[1]);
	/* The seed is printed first; the pipe ends when nobody has it any more. */
	ck_assert_int_eq(read(ends[0], &byte, 1), 1);
	test_kill(pid);
	while (read(ends[0], &byte, 1) > 0)
		;
	close(ends[0]);
}
END_TEST

START_TEST(random_is_reproducible)
{
	struct test_random a = test_random(1), b = test_random(1), c = test_random(2);
	unsigned char x[13] = {0}, y[13] = {0};

	test_random_bytes(&a, x, sizeof(x));
	test_random_bytes(&b, y, sizeof(y));
	ck_assert_mem_eq(x, y, sizeof(x));
	test_random_bytes(&c, y, sizeof(y));
	ck_assert_mem_ne(x, y, sizeof(x));
	for (int i = 0; i < 1000; i++)
		ck_that(test_random_below(&a, 7) < 7);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *s;
	TCase *tc;

	if (argc > 1)
		return run_bad(argv[1]);
	s = suite_create("support");
	tc = test_case(s, "bad tests");
	tcase_add_loop_test(tc, each_bad_test_is_reported, 0, N_BAD);
	tcase_add_test(tc, no_tests_fail);
	tcase_add_test(tc, tests_die_with_runner);
	tc = test_case(s, "helpers");
	tcase_add_test(tc, random_is_reproducible);
	return test_main(s);
}
