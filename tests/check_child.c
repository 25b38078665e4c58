/* SPDX-License-Identifier: MIT */
/* What a child of start begins with, and how it ends: streams, signals, its own children. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "process.h"

/* Memory files, for what goes through descriptors. */

static int file_of(const char *text)
{
	int fd = memfd_create("text", MFD_CLOEXEC);

	/* Appending: memory files do not keep the writes of two processes apart otherwise. */
	ck_that(fd >= 0 && fcntl(fd, F_SETFL, O_APPEND) == 0);
	ck_that(write(fd, text, strlen(text)) == (ssize_t)strlen(text) && lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

static const char *text_of(int fd)
{
	static char text[1 << 16];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	ck_that(n >= 0);
	text[n] = '\0';
	return text;
}

/* Runs fn in a child of the test whose standard output is a file, gives what it has there in the end. */
static const char *output_of(void (*fn)(void *), int *file)
{
	*file = file_of("");
	test_join(test_fork(fn, file));
	return text_of(*file);
}

static void redirect(const int *file)
{
	ck_that(dup2(*file, STDOUT_FILENO) == STDOUT_FILENO);
	ck_that(setvbuf(stdout, NULL, _IOFBF, 1 << 16) == 0);
}

static int say(void *arg)
{
	printf("%s", (const char *)arg);
	return 0;
}

static int say_and_exit(void *arg)
{
	printf("%s", (const char *)arg);
	exit(6);
}

/* Output is neither lost nor doubled */

static void buffered_before(void *arg)
{
	char text[] = "child,";

	redirect(arg);
	printf("before,");
	expect_code(start(say, text, NULL), 0);
	printf("between,");
	expect_code(start(say_and_exit, text, NULL), 6);
	printf("after");
}

START_TEST(buffered_output_comes_once)
{
	int file;

	ck_assert_str_eq(output_of(buffered_before, &file), "before,child,between,child,after");
	close(file);
}
END_TEST

/* Threads print lines while others start children that print. */

#define LINES 200
#define STARTS 20

static void print_lines(unsigned i, void *arg)
{
	(void)arg;
	for (int n = 0; n < (i < 2 ? LINES : STARTS); n++) {
		char line[40];

		snprintf(line, sizeof(line), "<%u.%d>", i, n);
		if (i < 2)
			printf("%s", line);
		else
			expect_code(start(say, line, NULL), 0);
	}
}

static void print_in_threads(void *arg)
{
	redirect(arg);
	test_threads(4, print_lines, NULL);
}

START_TEST(threads_print_during_starts)
{
	int file;
	const char *text = output_of(print_in_threads, &file);
	size_t length = 0;

	for (unsigned i = 0; i < 4; i++)
		for (int n = 0; n < (i < 2 ? LINES : STARTS); n++) {
			char line[40];
			const char *at;

			length += snprintf(line, sizeof(line), "<%u.%d>", i, n);
			at = strstr(text, line);
			ck_assert_msg(at && !strstr(at + 1, line), "%s in %s", line, text);
		}
	ck_assert_uint_eq(strlen(text), length);
	close(file);
}
END_TEST

/* A stream that another thread has locked, or waits in, holds nobody up. */

struct holder {
	FILE *stream;
	int ready, go[2];
};

static void *hold_stream(void *arg)
{
	struct holder *h = arg;
	char byte;

	flockfile(h->stream);
	if (h->stream == stdout)
		printf("held,");
	__atomic_store_n(&h->ready, 1, __ATOMIC_SEQ_CST);
	ck_that(h->stream == stdout ? read(h->go[0], &byte, 1) == 1 : getchar() == 'x');
	funlockfile(h->stream);
	return NULL;
}

static void start_while_held(FILE *stream)
{
	struct holder h = {.stream = stream};
	char text[] = "child,";
	pthread_t thread;

	ck_that(pipe(h.go) == 0);
	if (stream == stdin)
		ck_that(dup2(h.go[0], STDIN_FILENO) == STDIN_FILENO);
	ck_that(pthread_create(&thread, NULL, hold_stream, &h) == 0);
	TEST_UNTIL(__atomic_load_n(&h.ready, __ATOMIC_SEQ_CST));
	expect_code(start(say, text, NULL), 0);
	expect_code(start(say_and_exit, text, IPCK_PROCESS_OPTS(.stdio = (int[]){-1, -1, -1})), 6);
	ck_that(write(h.go[1], "x", 1) == 1);
	pthread_join(thread, NULL);
	printf("after");
}

static void hold_output(void *arg)
{
	redirect(arg);
	start_while_held(stdout);
}

static void hold_input(void *arg)
{
	redirect(arg);
	start_while_held(stdin);
}

START_TEST(a_locked_stream_holds_nobody_up)
{
	int file;

	/* What was in the locked stream was not flushed, and is the parent's. */
	ck_assert_str_eq(output_of(hold_output, &file), "child,child,held,after");
	close(file);
	ck_assert_str_eq(output_of(hold_input, &file), "child,child,after");
	close(file);
}
END_TEST

/* Input */

static int read_input(void *arg)
{
	int c = getchar();

	(void)arg;
	return c == EOF ? 200 : c;
}

static void read_ahead(void *arg)
{
	static const int inherit[3] = {-1, -1, -1};
	int fds[2], file = file_of("ABC");

	(void)arg;
	ck_that(pipe(fds) == 0 && dup2(fds[0], STDIN_FILENO) == STDIN_FILENO);
	ck_that(write(fds[1], "abcd", 4) == 4);
	ck_that(getchar() == 'a');
	ck_that(write(fds[1], "efgh", 4) == 4);
	/* "bcd" was read ahead and is the parent's; the child reads what is in the pipe. */
	expect_code(start(read_input, NULL, IPCK_PROCESS_OPTS(.stdio = inherit)), 'e');
	expect_code(start(read_input, NULL, NULL), 200);
	expect_code(start(read_input, NULL, IPCK_PROCESS_OPTS(.stdio = (int[]){file, -1, -1})), 'A');
	ck_that(getchar() == 'b');
	/* Put back and taken again: "cd" is still there, in another place. */
	ck_that(ungetc('x', stdin) == 'x' && getchar() == 'x');
	ck_that(write(fds[1], "ij", 2) == 2);
	expect_code(start(read_input, NULL, IPCK_PROCESS_OPTS(.stdio = inherit)), 'i');
	ck_that(getchar() == 'c' && getchar() == 'd');
	ck_that(ungetc('x', stdin) == 'x');
	ck_that(write(fds[1], "kl", 2) == 2);
	expect_code(start(read_input, NULL, IPCK_PROCESS_OPTS(.stdio = inherit)), 'k');
	ck_that(getchar() == 'x');
}

START_TEST(read_ahead_is_the_parents)
{
	test_join(test_fork(read_ahead, NULL));
}
END_TEST

/* Signals */

static volatile sig_atomic_t caught;

static void on_signal(int sig)
{
	caught = sig;
}

static int look_at_signals(void *arg)
{
	struct sigaction act[5];
	sigset_t mask;
	const int signals[] = {SIGUSR1, SIGTERM, SIGCHLD, SIGHUP, SIGINT};

	(void)arg;
	for (int i = 0; i < 5; i++)
		ck_that(sigaction(signals[i], NULL, &act[i]) == 0);
	sigprocmask(SIG_SETMASK, NULL, &mask);
	for (int sig = 1; sig < 32; sig++)
		ck_that(sigismember(&mask, sig) == (sig == SIGUSR2 || sig == SIGHUP));
	ck_that(act[0].sa_handler == SIG_DFL && act[1].sa_handler == SIG_DFL && act[2].sa_handler == SIG_DFL);
	ck_that(act[3].sa_handler == SIG_IGN && act[4].sa_handler == SIG_DFL);
	return 3;
}

START_TEST(signals_as_promised)
{
	struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	sigset_t mask, after;

	sigaction(SIGUSR1, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGCHLD, &act, NULL);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	sigaddset(&mask, SIGHUP);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	expect_code(start(look_at_signals, NULL, NULL), 3);
	sigprocmask(SIG_SETMASK, NULL, &after);
	for (int sig = 1; sig < NSIG; sig++)
		ck_that(sigismember(&after, sig) == sigismember(&mask, sig));
	ck_assert_int_eq(caught, SIGCHLD);
	raise(SIGTERM);
	ck_assert_int_eq(caught, SIGTERM);
}
END_TEST

/* The end of a child */

struct record {
	int done, terminated, handlers;
	pid_t daemon, other;
};

static struct record *record;

static int finish_late(void *arg)
{
	(void)arg;
	usleep(20000);
	__atomic_store_n(&record->done, 1, __ATOMIC_SEQ_CST);
	return 0;
}

static void note_term(int sig)
{
	(void)sig;
	__atomic_store_n(&record->terminated, 1, __ATOMIC_SEQ_CST);
	_exit(0);
}

static int await_term(void *arg)
{
	sigset_t none;

	signal(SIGTERM, note_term);
	__atomic_store_n(&record->daemon, getpid(), __ATOMIC_SEQ_CST);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return child_pause(arg);
}

enum ending { RETURN, EXIT, IMMEDIATE, SIGNAL };

static int end_with_children(void *arg)
{
	const struct rlimit none = {0, 0};

	record->other = ipck_process_pid(start(finish_late, NULL, NULL));
	start(await_term, NULL, IPCK_PROCESS_OPTS(.daemon = true));
	TEST_UNTIL(__atomic_load_n(&record->daemon, __ATOMIC_SEQ_CST));
	setrlimit(RLIMIT_CORE, &none);
	switch (*(const enum ending *)arg) {
	case EXIT:
		exit(5);
	case IMMEDIATE:
		_exit(5);
	case SIGNAL:
		abort();
	default:
		return 5;
	}
}

/* Ended in an orderly way, it has joined its children and asked its daemons to end. */
START_TEST(a_child_ends_its_children)
{
	enum ending ending = _i;
	struct ipck_process *p;
	bool orderly = ending == RETURN || ending == EXIT;

	record = test_shared(sizeof(*record));
	p = start(end_with_children, &ending, NULL);
	expect(p, ending == SIGNAL ? 0 : 5, ending == SIGNAL ? SIGABRT : 0);
	TEST_UNTIL(has_died(record->daemon));
	ck_assert_int_eq(record->terminated, orderly);
	if (orderly)
		ck_assert(record->done && has_died(record->other));
	TEST_UNTIL(record->done && has_died(record->other));
}
END_TEST

static void count_handler(void)
{
	record->handlers++;
}

static int exit_or_return(void *arg)
{
	if (arg)
		exit(7);
	return 7;
}

static void register_handler(void *arg)
{
	(void)arg;
	atexit(count_handler);
	expect_code(start(exit_or_return, NULL, NULL), 7);
	ck_that(record->handlers == 0);
	/* As after any fork. */
	expect_code(start(exit_or_return, record, NULL), 7);
	ck_that(record->handlers == 1);
}

START_TEST(handlers_run_by_exit_alone)
{
	record = test_shared(sizeof(*record));
	test_join(test_fork(register_handler, NULL));
}
END_TEST

static void *return_arg(void *arg)
{
	return arg;
}

static int use_threads(void *arg)
{
	pthread_t thread;
	void *result = NULL;

	ck_that(pthread_create(&thread, NULL, return_arg, &record) == 0);
	pthread_join(thread, &result);
	(void)arg;
	return result == &record ? 3 : 4;
}

START_TEST(a_child_may_have_threads)
{
	expect_code(start(use_threads, NULL, NULL), 3);
}
END_TEST

/* Its streams: given, swapped, null, and closed in the parent */

static int which_stream(int fd)
{
	char byte = '3';

	return pread(fd, &byte, 1, 0) == 1 ? byte - '0' : 3;
}

static int which_streams(void *arg)
{
	(void)arg;
	return which_stream(0) * 16 + which_stream(1) * 4 + which_stream(2);
}

static void swap_streams(void *arg)
{
	int fds[4];

	(void)arg;
	for (int i = 0; i < 3; i++) {
		char text[2] = {(char)('0' + i), 0};

		fds[i] = file_of(text);
		ck_that(dup2(fds[i], i) == i);
	}
	for (int n = 0; n < 64; n++) {
		int stdio[3] = {n / 16, n / 4 % 4, n % 4}, want = 0;

		for (int i = 0; i < 3; i++) {
			want = want * 4 + (stdio[i] < 3 ? stdio[i] : i);
			stdio[i] = stdio[i] < 3 ? stdio[i] : IPCK_STDIO_INHERIT;
		}
		expect_code(start(which_streams, NULL, IPCK_PROCESS_OPTS(.stdio = stdio)), want);
	}
	expect_code(start(which_streams, NULL, NULL), 3 * 16 + 1 * 4 + 2);
	expect_code(start(which_streams, NULL, IPCK_PROCESS_OPTS(.stdio = (int[]){-2, -2, -2})), 63);
}

START_TEST(streams_in_all_permutations)
{
	test_join(test_fork(swap_streams, NULL));
}
END_TEST

static void close_streams(void *arg)
{
	const unsigned closed = *(const unsigned *)arg;
	int files[3];

	for (int i = 0; i < 3; i++) {
		char text[2] = {(char)('0' + i), 0};
		int fd = file_of(text);

		files[i] = fcntl(fd, F_DUPFD_CLOEXEC, 10);
		dup2(file_of(""), i);
	}
	for (int i = 0; i < 3; i++)
		if (closed & 1u << i)
			close(i);
	for (int i = 0; i < 2; i++) {
		const struct ipck_process_opts opts = {
			.size = sizeof(opts), .daemon = i, .cwd = "/", .stdio = i ? files : NULL};
		struct ipck_process *p = start(which_streams, NULL, &opts);

		ck_that(ipck_process_fd(p) > 2);
		expect_code(p, i ? 0 * 16 + 1 * 4 + 2 : 63);
	}
	for (int i = 0; i < 3; i++)
		if (closed & 1u << i)
			ck_that(fcntl(i, F_GETFD) < 0);
		else
			ck_that(fcntl(i, F_GETFD) >= 0);
}

/* The test's own streams are empty, so a child that inherits one reads as little as one without. */
START_TEST(streams_closed_in_the_parent)
{
	unsigned closed = (unsigned)_i;

	test_join(test_fork(close_streams, &closed));
}
END_TEST

/* Descriptors: the parent's, but its lifeline; no more from generation to generation. */

static int count_generations(void *arg)
{
	int fds = count_fds();

	if (--*(int *)arg > 0)
		expect_code(start(count_generations, arg, IPCK_PROCESS_OPTS(.cwd = "/")), fds);
	return fds;
}

START_TEST(descriptors_do_not_grow)
{
	const int streams[3] = {2, IPCK_STDIO_NULL, 1};
	struct ipck_process *sibling = start(child_pause, NULL, IPCK_PROCESS_OPTS(.daemon = true));
	int fds = count_fds() - 1;

#ifndef HAVE_PIDFD
	fds++;
#endif
	for (int i = 0; i < 4; i++) {
		const struct ipck_process_opts opts = {
			.size = sizeof(opts),
			.daemon = i & 1,
			.cwd = i & 2 ? "/" : NULL,
			.stdio = i & 2 ? streams : NULL,
		};
		int depth = 3;

		expect_code(start(count_generations, &depth, &opts), fds + (i & 1));
	}
	kill_and_close(sibling);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("child");
	TCase *tc = test_case_primed(s, "child", prime_process);

	tcase_add_test(tc, buffered_output_comes_once);
	tcase_add_test(tc, threads_print_during_starts);
	tcase_add_test(tc, a_locked_stream_holds_nobody_up);
	tcase_add_test(tc, read_ahead_is_the_parents);
	tcase_add_test(tc, signals_as_promised);
	tcase_add_loop_test(tc, a_child_ends_its_children, 0, 4);
	tcase_add_test(tc, handlers_run_by_exit_alone);
	tcase_add_test(tc, a_child_may_have_threads);
	tcase_add_test(tc, streams_in_all_permutations);
	tcase_add_loop_test(tc, streams_closed_in_the_parent, 0, 8);
	tcase_add_test(tc, descriptors_do_not_grow);
	return test_main(s);
}
