/* SPDX-License-Identifier: MIT */
/* The runner of the tests, and their children, waits, random numbers. */
#include "support.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TEST_LIMIT 30.0
#define WAIT_LIMIT_MS 10000

static pid_t runner_pid, suite_pid;
static uint64_t seed;

double test_scale(void)
{
	const char *text = getenv("IPCK_TIMEOUT_SCALE");
	double scale = text ? strtod(text, NULL) : 1;

#if defined(TEST_ADDRESS_SANITIZER) || defined(TEST_THREAD_SANITIZER)
	scale *= 5;
#endif
	return scale > 0 ? scale : 1;
}

static bool flag(const char *name)
{
	const char *text = getenv(name);

	return text && *text && strcmp(text, "0") != 0;
}

double test_soak_seconds(void)
{
	if (flag("IPCK_LONG"))
		return 60;
	return flag("IPCK_SMOKE") ? 1 : 3;
}

/* The runner */

/* Zero tests pass nothing, unless a choice was made from outside. */
static int run_suite(SRunner *runner)
{
	bool chosen = getenv("CK_RUN_CASE") || getenv("CK_RUN_SUITE") || getenv("CK_INCLUDE_TAGS") ||
	              getenv("CK_EXCLUDE_TAGS");
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner) > 0;
	if (srunner_ntests_run(runner) == 0 && !chosen) {
		fprintf(stderr, "no tests\n");
		failed = 1;
	}
	return failed;
}

static void read_seed(void)
{
	const char *text = getenv("IPCK_SEED");

	if (text)
		seed = strtoull(text, NULL, 0);
	else if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = (uint64_t)test_now_ms();
	printf("IPCK_SEED=%" PRIu64 "\n", seed);
	fflush(stdout);
}

/* Reaps all that comes, until Check has ended. */
static int reap_until(pid_t check)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, 0);

		if (pid == check)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
		if (pid < 0 && errno != EINTR)
			return 1;
	}
}

int test_main(Suite *s)
{
	SRunner *runner = srunner_create(s);
	pid_t check;
	int status;

	runner_pid = getpid();
	read_seed();
	test_leaks_adopt(runner_pid);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return 1;
	check = fork();
	if (check < 0)
		return 1;
	if (check == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		suite_pid = getpid();
		status = getppid() == runner_pid ? run_suite(runner) : 1;
		srunner_free(runner);
		exit(status);
	}
	status = reap_until(check);
	srunner_free(runner);
	/* Zombies do not count as left, and the kernel reaps them when the runner ends. */
	if (!test_leaks_kill_orphans(0))
		status = 1;
	test_leaks_unlink_names();
	return status;
}

void test_set_limit(TCase *tc, double seconds)
{
	tcase_set_timeout(tc, seconds * test_scale());
}

/* In the test's process: Check, which would end it at its limit, may be killed. */
static void die_with_suite(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != suite_pid && getpid() != suite_pid)
		_exit(1);
}

/* Check runs teardowns in the reverse order of setups, so that this one is the last. */
TCase *test_case(Suite *s, const char *name)
{
	return test_case_primed(s, name, NULL);
}

TCase *test_case_primed(Suite *s, const char *name, void (*prime)(void))
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, die_with_suite, NULL);
	if (prime)
		tcase_add_checked_fixture(tc, prime, NULL);
	tcase_add_checked_fixture(tc, test_leaks_begin, test_leaks_end);
	test_set_limit(tc, TEST_LIMIT);
	suite_add_tcase(s, tc);
	return tc;
}

const char *test_name(const char *label)
{
	static char names[8][128];
	static unsigned turn;
	char *name = names[turn++ % 8];

	snprintf(name, sizeof(names[0]), "t%d.%s", runner_pid, label);
	return name;
}

/* Time */

int64_t test_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t test_poll_end(void)
{
	return test_now_ms() + (int64_t)(WAIT_LIMIT_MS * test_scale());
}

void test_poll(int64_t end, const char *what, const char *file, int line)
{
	if (test_now_ms() > end)
		_ck_assert_failed(file, line, what, "'%s' does not come true", what);
	usleep(500);
}

/* Children */

static pid_t start(void)
{
	pid_t parent = getpid(), pid;

	fflush(stdout);
	fflush(stderr);
	pid = fork();
	ck_that(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	return 0;
}

static void finish(void)
{
	test_leaks_search();
	fflush(stdout);
	fflush(stderr);
	_exit(0);
}

pid_t test_fork(void (*fn)(void *), void *arg)
{
	pid_t pid = start();

	if (pid > 0)
		return pid;
	fn(arg);
	finish();
	return 0;
}

void test_kill(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		ck_assert_int_eq(errno, EINTR);
}

int test_wait(pid_t pid)
{
	int64_t end = test_poll_end();
	int status;

	for (;;) {
		pid_t got = waitpid(pid, &status, WNOHANG);

		if (got == pid)
			return status;
		ck_that(got == 0 || errno == EINTR);
		if (test_now_ms() > end)
			break;
		usleep(500);
	}
	char state = test_state(pid);
	test_kill(pid);
	ck_abort_msg("child %d hangs (state %c)", pid, state);
}

/*
 * A failed assertion in the child has written its message already and ended it
 * by exit(1); ending the same way lets Check report that message.
 */
void test_join(pid_t pid)
{
	int status = test_wait(pid);

	if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
		exit(1);
	if (WIFSIGNALED(status))
		ck_abort_msg("child %d was killed by signal %d", pid, WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		ck_abort_msg("child %d exited with %d", pid, WEXITSTATUS(status));
}

void test_join_all(const pid_t *pids, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		test_join(pids[i]);
}

struct part {
	pthread_t thread;
	unsigned i;
	void (*fn)(unsigned, void *);
	void *arg;
};

static void *run_part(void *arg)
{
	struct part *p = arg;

	p->fn(p->i, p->arg);
	return NULL;
}

void test_threads(unsigned n, void (*fn)(unsigned, void *), void *arg)
{
	struct part *parts = calloc(n, sizeof(*parts));

	ck_that(parts);
	for (unsigned i = 0; i < n; i++) {
		parts[i] = (struct part){.i = i, .fn = fn, .arg = arg};
		ck_that(pthread_create(&parts[i].thread, NULL, run_part, &parts[i]) == 0);
	}
	for (unsigned i = 0; i < n; i++)
		ck_that(pthread_join(parts[i].thread, NULL) == 0);
	free(parts);
}

void test_processes(unsigned n, void (*fn)(unsigned, void *), void *arg)
{
	pid_t *pids = calloc(n, sizeof(*pids));

	ck_that(pids);
	for (unsigned i = 0; i < n; i++) {
		pids[i] = start();
		if (pids[i] == 0) {
			fn(i, arg);
			finish();
		}
	}
	test_join_all(pids, n);
	free(pids);
}

void *test_shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_that(p != MAP_FAILED);
	return p;
}

/* Random numbers: splitmix64 */

struct test_random test_random(uint64_t stream)
{
	struct test_random random = {seed ^ (stream * 0xd1342543de82ef95)};

	test_random_next(&random);
	return random;
}

uint64_t test_random_next(struct test_random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

uint64_t test_random_below(struct test_random *random, uint64_t bound)
{
	return bound ? test_random_next(random) % bound : 0;
}

void test_random_bytes(struct test_random *random, void *buffer, size_t size)
{
	for (size_t i = 0; i < size; i += 8) {
		uint64_t word = test_random_next(random);

		memcpy((char *)buffer + i, &word, size - i < 8 ? size - i : 8);
	}
}

/* Results */

static const char *error_name(int64_t rc)
{
	const char *name = NULL;

	if (rc >= 0 || rc < -4095)
		return "no error";
#ifdef __GLIBC__
	name = strerrorname_np((int)-rc);
#endif
	return name ? name : strerror((int)-rc);
}

int64_t test_ok(int64_t rc, const char *what, const char *file, int line)
{
	if (rc < 0)
		_ck_assert_failed(file, line, what, "'%s' failed: %" PRId64 " (-%s)", what, rc, error_name(rc));
	return rc;
}

void test_err(int64_t rc, int error, const char *what, const char *name, const char *file, int line)
{
	if (rc != -error)
		_ck_assert_failed(file, line, what, "'%s' is %" PRId64 " (%s%s), not -%s", what, rc, rc < 0 ? "-" : "",
		                  error_name(rc), name);
}
