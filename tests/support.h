/* SPDX-License-Identifier: MIT */
/*
 * What every test program needs: a runner that leaves nothing behind, fixtures
 * that fail a test for what it leaves behind, children that cannot outlive their
 * test, and waits that cannot last for ever.
 *
 *	START_TEST(test_put)
 *	{
 *		pid_t child = test_fork(consumer, queue);
 *
 *		TEST_UNTIL(test_state(child) == 'S');
 *		ck_ok(ipck_queue_put(queue, "x", 1, IPCK_FOREVER));
 *		test_join(child);
 *	}
 *	END_TEST
 *
 *	int main(void)
 *	{
 *		Suite *s = suite_create("queue");
 *		TCase *tc = test_case(s, "put");
 *
 *		tcase_add_test(tc, test_put);
 *		return test_main(s);
 *	}
 *
 * Every test runs in a process of its own with a hard limit.  A test passes only
 * if, after it, no file descriptor, thread, child, orphaned descendant, mapping
 * of ours or shared memory name is there that was not there before.
 *
 * The processes: the runner, which adopts orphans (child subreaper), below it
 * Check, below that the test.  So a child of the test that was not waited for is
 * told apart from a grandchild that lost its parent: the first is always a
 * fault, the second only if it goes on living.
 *
 * Environment: IPCK_TIMEOUT_SCALE (factor on all limits), IPCK_SEED,
 * IPCK_LONG=1 and IPCK_SMOKE=1 (length of soaks); Check's own, as CK_RUN_CASE.
 */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#ifdef NDEBUG
#error "tests need their assertions"
#endif

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* gcc says it by a macro, clang by a feature. */
#if defined(__SANITIZE_ADDRESS__)
#define TEST_ADDRESS_SANITIZER 1
#elif defined(__SANITIZE_THREAD__)
#define TEST_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TEST_ADDRESS_SANITIZER 1
#elif __has_feature(thread_sanitizer)
#define TEST_THREAD_SANITIZER 1
#endif
#endif

/* Runs the suite, kills and removes what failed tests left, returns the exit status. */
int test_main(Suite *s);

/* A new test case of `s` with the fixtures above and a limit of 30 s a test. */
TCase *test_case(Suite *s, const char *name);

/* The same, where something is done first that a process keeps for good. */
TCase *test_case_primed(Suite *s, const char *name, void (*prime)(void));
void test_set_limit(TCase *tc, double seconds);

/* The factor on all limits: IPCK_TIMEOUT_SCALE, and 5 in sanitizer builds. */
double test_scale(void);

/*
 * A name for shared memory that test programs running at the same time do not
 * share.  Use no other: the leak check knows by it whose name it is.  Static, one
 * buffer of 8 in turn.
 */
const char *test_name(const char *label);

/*
 * A child that runs fn(arg) and then _exit(0); it dies with the thread that
 * forked it.  ck_ok and friends work in it: its failure fails the test.
 */
pid_t test_fork(void (*fn)(void *), void *arg);

/* Waits for a child, gives its wait status; one that hangs is killed and fails the test. */
int test_wait(pid_t pid);

/* Waits for children, which must end by exit status 0. */
void test_join(pid_t pid);
void test_join_all(const pid_t *pids, unsigned n);

/* Kills a child and reaps it. */
void test_kill(pid_t pid);

/* Runs fn(0, arg) ... fn(n - 1, arg) at once, in threads or children, and joins them. */
void test_threads(unsigned n, void (*fn)(unsigned i, void *arg), void *arg);
void test_processes(unsigned n, void (*fn)(unsigned i, void *arg), void *arg);

/* The state of a process as in proc(5): 'R', 'S', 'T', 'Z' ...; 0 if there is none. */
char test_state(pid_t pid);

/* Zeroed memory shared with children, for the rest of the test. */
void *test_shared(size_t size);

/*
 * Waits until the condition holds; fails the test with its text if that does not
 * come true.  For what must happen, never for how fast.
 */
#define TEST_UNTIL(cond) \
	do { \
		int64_t test_end_ = test_poll_end(); \
		while (!(cond)) \
			test_poll(test_end_, #cond, __FILE__, __LINE__); \
	} while (0)
#define test_wait_until(fn, arg) TEST_UNTIL((fn)(arg))
int64_t test_poll_end(void);
void test_poll(int64_t end, const char *what, const char *file, int line);

/* Milliseconds of the monotonic clock. */
int64_t test_now_ms(void);

/* How long a soak lasts: 3 s, 60 s with IPCK_LONG=1, 1 s with IPCK_SMOKE=1. */
double test_soak_seconds(void);

/*
 * Random numbers, the same for the same IPCK_SEED, which test_main prints.  A
 * test, thread or process takes its own stream by a number of its choice.
 */
struct test_random {
	uint64_t state;
};
struct test_random test_random(uint64_t stream);
uint64_t test_random_next(struct test_random *random);
uint64_t test_random_below(struct test_random *random, uint64_t bound);
void test_random_bytes(struct test_random *random, void *buffer, size_t size);

/*
 * Results of the library.  ck_ok(rc): rc >= 0, and is its value.  ck_err(rc,
 * EINVAL): rc is -EINVAL.  Unlike ck_assert these write nothing while they hold,
 * so they may stand in loops.
 */
#define ck_ok(rc) test_ok((rc), #rc, __FILE__, __LINE__)
#define ck_err(rc, error) test_err((rc), (error), #rc, #error, __FILE__, __LINE__)
int64_t test_ok(int64_t rc, const char *what, const char *file, int line);
void test_err(int64_t rc, int error, const char *what, const char *name, const char *file, int line);

/* ck_assert for loops: silent while it holds. */
#define ck_that(cond) ((cond) ? (void)0 : _ck_assert_failed(__FILE__, __LINE__, "Assertion '" #cond "' failed", NULL))

/* The leak check (leaks.c); used by test_case. */
void test_leaks_begin(void);
void test_leaks_end(void);
void test_leaks_search(void);
void test_leaks_adopt(pid_t runner);
bool test_leaks_kill_orphans(pid_t spare);
void test_leaks_unlink_names(void);

#endif
