/* SPDX-License-Identifier: MIT */
/* The small helpers: names, options, I/O on descriptors, what a fork undoes. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/fork.h"
#include "base/io.h"
#include "base/name.h"

/* ---- names ---- */

START_TEST(names)
{
	static const char *const good[] = {"a", "Z", "0", "-", ".", "..", "a.b_c-D9", "_"};
	static const char *const bad[] = {"", "/", "/a", "a/b", "a b", "a\n", "\xc3\xa9", "a\x7f", "a:b", "a\\", "*"};
	char text[NAME_MAX_LENGTH + 2];

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		ck_assert_msg(name_valid(good[i]), "'%s'", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(!name_valid(bad[i]), "'%s'", bad[i]);
	ck_assert(!name_valid(NULL));
	memset(text, 'x', sizeof(text));
	text[NAME_MAX_LENGTH] = '\0';
	ck_assert(name_valid(text));
	text[NAME_MAX_LENGTH] = 'x';
	text[NAME_MAX_LENGTH + 1] = '\0';
	ck_assert(!name_valid(text));
	/* Each byte alone. */
	for (int c = 1; c < 256; c++) {
		bool allowed = strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", c);

		text[0] = (char)c;
		text[1] = '\0';
		ck_that(name_valid(text) == allowed);
	}
}
END_TEST

/* ---- options ---- */

struct options {
	size_t size;
	uint64_t a, b;
};

struct newer {
	struct options known;
	unsigned char more[40];
};

START_TEST(options_of_this_version)
{
	struct options own, given = {sizeof(given), 1, 2};

	memset(&own, 0xff, sizeof(own));
	ck_ok(opts_copy(&own, sizeof(own), NULL));
	ck_assert(own.size == sizeof(own) && own.a == 0 && own.b == 0);
	ck_ok(opts_copy(&own, sizeof(own), &given));
	ck_assert(own.size == sizeof(own) && own.a == 1 && own.b == 2);
}
END_TEST

START_TEST(older_options_leave_the_rest_zero)
{
	/* Behind what it says to have, the older struct ends: nothing there is read. */
	size_t size = offsetof(struct options, b);
	struct options own, *given = malloc(size);

	memset(&own, 0xff, sizeof(own));
	memcpy(given, &(struct options){.size = size, .a = 7}, size);
	ck_ok(opts_copy(&own, sizeof(own), given));
	ck_assert(own.size == sizeof(own) && own.a == 7 && own.b == 0);
	free(given);
	ck_ok(opts_copy(&own, sizeof(own), &(size_t){sizeof(size_t)}));
	ck_assert(own.size == sizeof(own) && own.a == 0 && own.b == 0);
}
END_TEST

START_TEST(newer_options_must_be_zero_where_unknown)
{
	struct newer given = {.known = {sizeof(given), 3, 4}};
	struct options own = {0};

	ck_ok(opts_copy(&own, sizeof(own), &given));
	ck_assert(own.size == sizeof(own) && own.a == 3 && own.b == 4);
	for (size_t i = 0; i < sizeof(given.more); i++) {
		given.more[i] = 0x80;
		ck_err(opts_copy(&own, sizeof(own), &given), E2BIG);
		given.more[i] = 0;
	}
	ck_ok(opts_copy(&own, sizeof(own), &given));
}
END_TEST

START_TEST(options_without_a_size_are_bad)
{
	struct options own, given = {0, 5, 6};

	for (given.size = 0; given.size < sizeof(size_t); given.size++)
		ck_err(opts_copy(&own, sizeof(own), &given), EINVAL);
}
END_TEST

/* ---- input and output ---- */

#define STREAM (300 * 1024)

static void do_nothing(int signal)
{
	(void)signal;
}

/* System calls of this process are interrupted again and again. */
static void interrupt_often(void)
{
	const struct itimerval often = {.it_interval = {.tv_usec = 500}, .it_value = {.tv_usec = 500}};
	struct sigaction action = {.sa_handler = do_nothing};

	ck_that(sigaction(SIGALRM, &action, NULL) == 0);
	ck_that(setitimer(ITIMER_REAL, &often, NULL) == 0);
}

static void interrupt_no_more(void)
{
	ck_that(setitimer(ITIMER_REAL, &(const struct itimerval){0}, NULL) == 0);
}

static unsigned char pattern(size_t i)
{
	return (unsigned char)(i * 31 + i / 251);
}

/* The other side, in pieces that never fit. */
static void write_in_pieces(void *arg)
{
	int *ends = arg;
	struct test_random random = test_random(1);
	unsigned char piece[2000];

	for (size_t at = 0, n; at < STREAM; at += n) {
		n = 1 + test_random_below(&random, sizeof(piece));
		n = MIN(n, STREAM - at);
		for (size_t i = 0; i < n; i++)
			piece[i] = pattern(at + i);
		ck_that(io_write(ends[1], piece, n) == (ssize_t)n);
		if (test_random_below(&random, 8) == 0)
			usleep(100);
	}
}

static void read_in_pieces(void *arg)
{
	int *ends = arg;
	struct test_random random = test_random(2);
	unsigned char piece[2000];
	size_t at = 0;
	ssize_t n;

	io_close(&ends[1]);
	while ((n = read(ends[0], piece, 1 + test_random_below(&random, sizeof(piece)))) > 0) {
		for (ssize_t i = 0; i < n; i++, at++)
			ck_that(piece[i] == pattern(at));
		if (test_random_below(&random, 8) == 0)
			usleep(100);
	}
	ck_that(n == 0 && at == STREAM);
}

START_TEST(reads_are_whole_under_signals)
{
	unsigned char *data;
	int ends[2];
	pid_t pid;

	ck_ok(io_pipe(ends));
	pid = test_fork(write_in_pieces, ends);
	io_close(&ends[1]);
	data = malloc(STREAM + 1);
	ck_that(data);
	interrupt_often();
	ck_assert_int_eq(io_read(ends[0], data, 1000), 1000);
	/* The rest, and the end of file before the buffer is full. */
	ck_assert_int_eq(io_read(ends[0], data + 1000, STREAM - 1000 + 1), STREAM - 1000);
	ck_assert_int_eq(io_read(ends[0], data, 1), 0);
	interrupt_no_more();
	for (size_t i = 1000; i < STREAM; i++)
		ck_that(data[i] == pattern(i));
	test_join(pid);
	io_close(&ends[0]);
	free(data);
}
END_TEST

START_TEST(writes_are_whole_under_signals)
{
	unsigned char *data;
	int ends[2];
	pid_t pid;

	ck_ok(io_pipe(ends));
	pid = test_fork(read_in_pieces, ends);
	data = malloc(STREAM);
	ck_that(data);
	for (size_t i = 0; i < STREAM; i++)
		data[i] = pattern(i);
	interrupt_often();
	ck_assert_int_eq(io_write(ends[1], data, STREAM), STREAM);
	ck_assert_int_eq(io_write(ends[1], data, 0), 0);
	interrupt_no_more();
	io_close(&ends[1]);
	test_join(pid);
	io_close(&ends[0]);
	free(data);
}
END_TEST

START_TEST(errors_of_descriptors)
{
	char byte = 0;
	int ends[2], copy = 17;

	signal(SIGPIPE, SIG_IGN);
	ck_ok(io_pipe(ends));
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(fcntl(ends[i], F_GETFD), FD_CLOEXEC);
	ck_err(io_read(ends[1], &byte, 1), EBADF);
	ck_err(io_write(ends[0], &byte, 1), EBADF);
	ck_err(io_dup_to(-1, &copy), EBADF);
	ck_assert_int_eq(copy, 17);
	ck_ok(io_dup_to(ends[1], &copy));
	ck_assert_int_gt(copy, 2);
	ck_assert_int_eq(fcntl(copy, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(io_write(copy, "x", 1), 1);
	ck_assert_int_eq(io_read(ends[0], &byte, 1), 1);
	ck_assert_int_eq(byte, 'x');
	io_close(&copy);
	ck_assert_int_eq(copy, -1);
	io_close(&copy);
	io_close(&ends[0]);
	ck_err(io_write(ends[1], &byte, 1), EPIPE);
	io_close(&ends[1]);
}
END_TEST

START_TEST(poll_waits_as_the_deadline_says)
{
	struct ipck_deadline soon = ipck_in_ms(20);
	char byte;
	int ends[2];

	ck_ok(io_pipe(ends));
	ck_assert(!io_ready(ends[0]));
	ck_err(io_poll(ends[0], IPCK_NOWAIT, 0), ETIMEDOUT);
	ck_err(io_poll(ends[0], soon, 0), ETIMEDOUT);
	ck_assert(ipck_deadline_passed(soon));
	/* With a slice: back before the deadline, with nothing. */
	ck_ok(io_poll(ends[0], IPCK_FOREVER, NS_PER_MS));
	ipck_interrupt();
	ck_err(io_poll(ends[0], ipck_interruptible(IPCK_FOREVER), 0), ECANCELED);
	ck_err(io_poll(ends[0], ipck_interruptible(IPCK_FOREVER), NS_PER_MS), ECANCELED);
	/* What is ready is ready after any deadline, interrupted or not. */
	ck_assert_int_eq(io_write(ends[1], "x", 1), 1);
	ck_assert(io_ready(ends[0]));
	ck_ok(io_poll(ends[0], IPCK_NOWAIT, 0));
	ck_ok(io_poll(ends[0], ipck_interruptible(IPCK_NOWAIT), 0));
	ipck_interrupt_clear();
	ck_assert_int_eq(io_read(ends[0], &byte, 1), 1);
	/* A hang-up counts. */
	io_close(&ends[1]);
	ck_assert(io_ready(ends[0]));
	ck_ok(io_poll(ends[0], IPCK_FOREVER, 0));
	io_close(&ends[0]);
}
END_TEST

/* Where standard streams were closed, nothing new stands in for them. */
static void without_streams(void *arg)
{
	int ends[2], fd = -7, lifted = -7;

	(void)arg;
	for (int i = 0; i <= 2; i++)
		close(i);
	ck_ok(io_pipe(ends));
	ck_that(ends[0] > 2 && ends[1] > 2);
	ck_ok(io_open("/dev/null", O_RDWR, &fd));
	ck_that(fd > 2 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	ck_err(io_open("/dev/null/no", O_RDWR, &lifted), ENOTDIR);
	ck_that(lifted == -7);
	for (int i = 0; i <= 2; i++)
		ck_that(fcntl(i, F_GETFD) < 0);
	ck_ok(io_lift(dup(fd), &lifted));
	ck_that(lifted > 2 && fcntl(lifted, F_GETFD) == FD_CLOEXEC);
	ck_ok(io_lift(fd, &lifted));
	ck_that(lifted == fd);
	_exit(0);
}

START_TEST(descriptors_are_above_the_standard_ones)
{
	test_join(test_fork(without_streams, NULL));
}
END_TEST

static void write_late(void *arg)
{
	int *ends = arg;

	usleep(30000);
	ck_that(io_write(ends[1], "x", 1) == 1);
}

START_TEST(poll_is_not_ended_by_signals)
{
	int ends[2];
	pid_t pid;

	ck_ok(io_pipe(ends));
	pid = test_fork(write_late, ends);
	interrupt_often();
	ck_ok(io_poll(ends[0], IPCK_FOREVER, 0));
	interrupt_no_more();
	ck_assert(io_ready(ends[0]));
	test_join(pid);
	io_close(&ends[0]);
	io_close(&ends[1]);
}
END_TEST

/* ---- forks ---- */

static uint32_t calls, called[8];

static void first_hook(void)
{
	called[calls++ % 8] = 1;
}

static void second_hook(void)
{
	called[calls++ % 8] = 2;
}

static void third_hook(void)
{
	called[calls++ % 8] = 3;
}

static struct fork_hook hooks[] = {{.child = first_hook}, {.child = second_hook}, {.child = third_hook}};

static void forked_twice(void *arg)
{
	ck_that(calls == 6);
	ck_that(fork_epoch() == *(uint32_t *)arg + 2);
}

static void forked(void *arg)
{
	ck_that(calls == 3);
	ck_that(called[0] == 1 && called[1] == 2 && called[2] == 3);
	ck_that(fork_epoch() == *(uint32_t *)arg + 1);
	test_join(test_fork(forked_twice, arg));
	ck_that(calls == 3 && fork_epoch() == *(uint32_t *)arg + 1);
}

START_TEST(hooks_run_in_the_child_in_order)
{
	uint32_t epoch = fork_epoch();

	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++)
		fork_hook_add(&hooks[i]);
	ck_assert_uint_eq(calls, 0);
	test_join(test_fork(forked, &epoch));
	ck_assert_uint_eq(calls, 0);
	ck_assert_uint_eq(fork_epoch(), epoch);
}
END_TEST

static uint32_t counted;

static void count_hook(void)
{
	counted++;
}

#define ADDERS 4
#define ADDED 16
static struct fork_hook many[ADDERS][ADDED];

static void add_hooks(unsigned i, void *arg)
{
	(void)arg;
	for (unsigned k = 0; k < ADDED; k++) {
		many[i][k].child = count_hook;
		fork_hook_add(&many[i][k]);
	}
}

static void all_counted(void *arg)
{
	(void)arg;
	ck_that(counted == ADDERS * ADDED);
}

START_TEST(hooks_are_added_by_threads_at_once)
{
	test_threads(ADDERS, add_hooks, NULL);
	test_join(test_fork(all_counted, NULL));
	ck_assert_uint_eq(counted, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base");
	TCase *tc = test_case(s, "arguments");

	tcase_add_test(tc, names);
	tcase_add_test(tc, options_of_this_version);
	tcase_add_test(tc, older_options_leave_the_rest_zero);
	tcase_add_test(tc, newer_options_must_be_zero_where_unknown);
	tcase_add_test(tc, options_without_a_size_are_bad);
	tc = test_case(s, "io");
	tcase_add_test(tc, reads_are_whole_under_signals);
	tcase_add_test(tc, writes_are_whole_under_signals);
	tcase_add_test(tc, errors_of_descriptors);
	tcase_add_test(tc, descriptors_are_above_the_standard_ones);
	tcase_add_test(tc, poll_waits_as_the_deadline_says);
	tcase_add_test(tc, poll_is_not_ended_by_signals);
	tc = test_case(s, "fork");
	tcase_add_test(tc, hooks_run_in_the_child_in_order);
	tcase_add_test(tc, hooks_are_added_by_threads_at_once);
	return test_main(s);
}
