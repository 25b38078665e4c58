/* SPDX-License-Identifier: MIT */
/*
 * Each call that start and spawn make fails, for the N-th time, for every N: the
 * error is told, nothing is left, and the next start works.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "process.h"

/* The N-th call of those below fails, in this process alone: not in a child after vfork. */
static struct {
	int left; /* 0: none fails */
	int error;
	pid_t pid;
	const char *failed;
} fault;

static bool fails(const char *call)
{
	if (fault.left == 0 || getpid() != fault.pid || --fault.left > 0)
		return false;
	fault.failed = call;
	errno = fault.error;
	return true;
}

#define WRAP(type, call, failure, parameters, arguments) \
	type __real_##call parameters; \
	type __wrap_##call parameters; \
	type __wrap_##call parameters \
	{ \
		return fails(#call) ? failure : __real_##call arguments; \
	}

WRAP(void *, malloc, NULL, (size_t size), (size))
WRAP(void *, calloc, NULL, (size_t n, size_t size), (n, size))
WRAP(FILE *, open_memstream, NULL, (char **text, size_t *size), (text, size))
WRAP(int, atexit, 1, (void (*fn)(void)), (fn))
WRAP(int, pipe2, -1, (int fds[2], int flags), (fds, flags))

pid_t __real_fork(void);
pid_t __wrap_fork(void);
__attribute__((format(printf, 2, 3))) int __wrap_asprintf(char **text, const char *format, ...);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_fcntl(int fd, int call, ...);
int __wrap_fcntl(int fd, int call, ...);
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

pid_t __wrap_fork(void)
{
	if (!fails("fork"))
		return __real_fork();
	errno = EAGAIN;
	return -1;
}

int __wrap_asprintf(char **text, const char *format, ...)
{
	va_list args;
	int n = -1;

	va_start(args, format);
	if (!fails("asprintf"))
		n = vasprintf(text, format, args);
	va_end(args);
	return n;
}

int __wrap_open(const char *path, int flags, ...)
{
	va_list args;
	int mode;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, int) : 0;
	va_end(args);
	return fails("open") ? -1 : __real_open(path, flags, mode);
}

int __wrap_fcntl(int fd, int call, ...)
{
	va_list args;
	long arg;

	va_start(args, call);
	arg = va_arg(args, long);
	va_end(args);
	return fails("fcntl") ? -1 : __real_fcntl(fd, call, arg);
}

/* pidfd_open comes when the child has run for a while; when it has ended and is reaped. */
static bool run_first, reap_first;

/* Of these only pidfd_open can fail. */
long __wrap_syscall(long number, ...)
{
	long arg[6];
	va_list args;

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		arg[i] = va_arg(args, long);
	va_end(args);
	if (run_first && number == SYS_pidfd_open)
		usleep(1000);
	while (reap_first && number == SYS_pidfd_open && kill((pid_t)arg[0], 0) == 0)
		usleep(100);
	if (number == SYS_pidfd_open && fails("pidfd_open"))
		return -1;
	return __real_syscall(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

/* What is done */

static int *ran;

static int run(void *arg)
{
	__atomic_store_n(ran, 1, __ATOMIC_SEQ_CST);
	(void)arg;
	return 3;
}

static int launch(bool program, bool options, struct ipck_process **p)
{
	static const int stdio[3] = {1, 0, IPCK_STDIO_NULL};
	static const struct ipck_pass pass[] = {{"one", 1}, {"two", 1}};
	char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char[]){"exit 3"}, NULL};
	struct ipck_process_opts opts = IPCK_PROCESS_OPTS_INIT;

	if (options)
		opts = *IPCK_PROCESS_OPTS(.daemon = true, .group = true, .cwd = "/", .stdio = stdio);
	if (!program)
		return ipck_process_start(p, run, NULL, &opts);
	opts.pass = options ? pass : NULL;
	opts.pass_count = options ? 2 : 0;
	return ipck_process_spawn(p, "/bin/sh", argv, &opts);
}

static void check_mask(void)
{
	sigset_t mask;

	sigprocmask(SIG_SETMASK, NULL, &mask);
	for (int sig = 1; sig < NSIG; sig++)
		ck_that(sigismember(&mask, sig) == (sig == SIGUSR1));
}

/* Once launched, it works; and then the process has what it keeps for good. */
static void check_works(bool program, bool options)
{
	struct ipck_process *p = NULL;

	ck_ok(launch(program, options, &p));
	expect_code(p, 3);
	check_mask();
}

/* What these fail for is always told as -ENOMEM. */
static bool is_memory(const char *call)
{
	static const char *const calls[] = {"malloc", "calloc", "open_memstream", "atexit", "asprintf", "fork"};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strcmp(call, calls[i]) == 0)
			return true;
	return false;
}

struct attempt {
	bool program, options, primed;
	int n, error;
	int reached; /* the N-th call was, so there may be more */
};

static void attempt(void *arg)
{
	struct attempt *a = arg;
	struct ipck_process *const untouched = (struct ipck_process *)&errno, *p = untouched;
	sigset_t mask;
	int fds, rc;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	if (a->primed)
		prime_process();
	fds = count_fds();
	fault.failed = NULL;
	fault.error = a->error;
	fault.pid = getpid();
	fault.left = a->n;
	rc = launch(a->program, a->options, &p);
	fault.left = 0;
	a->reached = fault.failed != NULL;
	if (rc == 0) {
		/* Without a descriptor for it there is still the null device's. */
		ck_that(!a->reached || (strcmp(fault.failed, "pidfd_open") == 0 && a->error == EMFILE));
		expect_code(p, 3);
	} else {
		ck_err(rc, is_memory(fault.failed) ? ENOMEM : a->error);
		ck_that(p == untouched);
		ck_that(!*ran || strcmp(fault.failed, "pidfd_open") == 0);
		ck_that(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
	}
	check_mask();
	/* What each process keeps for good are a lifeline and the null device. */
	ck_that(count_fds() <= fds + (a->primed ? 0 : 3));
	check_works(a->program, a->options);
	if (a->primed)
		ck_that(count_fds() == fds);
	fds = count_fds();
	check_works(!a->program, a->options);
	ck_that(count_fds() == fds);
}

/* Bits: program, options, primed, no descriptor instead of no memory. */
START_TEST(every_call_fails)
{
	struct attempt *a = test_shared(sizeof(*a));

	ran = test_shared(sizeof(*ran));
	do {
		*a = (struct attempt){_i & 1, _i & 2, _i & 4, a->n + 1, _i & 8 ? EMFILE : ENOMEM, 0};
		*ran = 0;
		test_join(test_fork(attempt, a));
	} while (a->reached);
	ck_assert_int_gt(a->n, _i & 4 ? 1 : 4);
}
END_TEST

/* A child ends, and is reaped by somebody else, before its pidfd can be had. */

static void lose_child(void *arg)
{
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = epoll_create1(EPOLL_CLOEXEC), code = -7;
	struct ipck_process *p;
	struct pollfd fd;

	(void)arg;
	signal(SIGCHLD, SIG_IGN);
	reap_first = true;
	p = start(child_nothing, NULL, IPCK_PROCESS_OPTS(.group = true));
	fd = (struct pollfd){.fd = ipck_process_fd(p), .events = POLLIN};
	ck_ok(ipck_process_join(p, IPCK_FOREVER));
	ck_ok(ipck_process_join(p, ipck_in_ms(1)));
	ck_that(!ipck_process_alive(p));
	ck_err(ipck_process_status(p, &code, NULL), ENODATA);
	ck_that(code == -7);
	ck_that(poll(&fd, 1, -1) == 1);
	ck_that(epoll_ctl(epoll, EPOLL_CTL_ADD, fd.fd, &event) == 0 && epoll_wait(epoll, &event, 1, -1) == 1);
	ck_ok(ipck_process_kill(p));
	ck_err(ipck_process_kill_group(p), ENODATA);
	ck_that(ipck_process_children(NULL, 0) == 0);
	ck_ok(ipck_process_close(p));
	close(epoll);
}

START_TEST(reaped_at_once)
{
	test_join(test_fork(lose_child, NULL));
}
END_TEST

/* No descriptor left, really */

static rlim_t limit(rlim_t soft)
{
	struct rlimit r;
	rlim_t was;

	ck_that(getrlimit(RLIMIT_NOFILE, &r) == 0);
	was = r.rlim_cur;
	r.rlim_cur = soft;
	ck_that(setrlimit(RLIMIT_NOFILE, &r) == 0);
	return was;
}

static void lower_limits(void *arg)
{
	struct attempt *a = arg;
	sigset_t mask;
	int failures = 0, successes = 0;

	run_first = true;
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	if (a->primed)
		prime_process();
	for (rlim_t soft = 3; soft < 40; soft++) {
		struct ipck_process *p = NULL;
		rlim_t was = limit(soft);
		int rc = launch(a->program, a->options, &p);

		limit(was);
		check_mask();
		if (rc == 0) {
			successes++;
			ck_ok(ipck_process_join(p, IPCK_FOREVER));
			ck_ok(ipck_process_close(p));
		} else {
			failures++;
			ck_err(rc, EMFILE);
			ck_that(!p && !*ran);
		}
		ck_that(waitpid(-1, NULL, WNOHANG) == -1);
		*ran = 0;
	}
	/* The shell or loader of a program needs descriptors too, so it may have failed by itself. */
	ck_that(failures > 0 && successes > 0);
	check_works(a->program, a->options);
}

START_TEST(no_descriptor_left)
{
	struct attempt *a = test_shared(sizeof(*a));

	ran = test_shared(sizeof(*ran));
	*a = (struct attempt){.program = _i & 1, .options = _i & 2, .primed = _i & 4};
	test_join(test_fork(lower_limits, a));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fault_process");
	TCase *tc = test_case(s, "fault");

	tcase_add_loop_test(tc, every_call_fails, 0, 16);
	tcase_add_test(tc, reaped_at_once);
	tcase_add_loop_test(tc, no_descriptor_left, 0, 8);
	return test_main(s);
}
