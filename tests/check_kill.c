/* SPDX-License-Identifier: MIT */
/*
 * The kill sweep is tested first, most of all with operations that must fail it:
 * a sweep that finds nothing where there is something would prove nothing.
 */
#include "kill.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What all scenarios share; each uses a part. */
struct state {
	volatile int a, b;
	int pipe[2];
	int futex;
	pthread_mutex_t mutex;
};

static void *setup(void)
{
	struct state *s = kill_shared(sizeof(*s));
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&s->mutex, &attr);
	if (pipe2(s->pipe, O_CLOEXEC) < 0)
		abort();
	return s;
}

static const struct kill_range *watch(void *ctx, size_t *n)
{
	static struct kill_range range;

	range = (struct kill_range){ctx, sizeof(struct state)};
	*n = 1;
	return &range;
}

static void survive_nothing(void *ctx, const struct kill_point *point)
{
	(void)ctx, (void)point;
}

/* Two stores without a protocol: the point between them is found, and named. */

static void set_both(void *ctx)
{
	struct state *s = ctx;

	s->a = 1;
	s->b = 1;
}

static void both_equal(void *ctx, const struct kill_point *point)
{
	struct state *s = ctx;

	kill_check(s->a == s->b);
	kill_check(point->kind != KILL_NONE || s->a == 1);
}

START_TEST(two_stores_are_found)
{
	const struct kill_sweep s = {
		.name = "two stores", .setup = setup, .victim = set_both, .survive = both_equal, .watch = watch};
	struct kill_result r;

	ck_assert_int_eq(kill_sweep_try(&s, &r), -1);
	ck_assert_uint_eq(r.failures, 1);
	ck_assert_uint_eq(r.points, 3);
	ck_assert_msg(strncmp(r.text, "point 1 (change) at check_kill+0x", 33) == 0, "%s", r.text);
	ck_assert_msg(strstr(r.text, "not so: s->a == s->b"), "%s", r.text);
}
END_TEST

/* A commit by one store: what is prepared, is watched too, but nobody looks there. */

static void commit(void *ctx)
{
	struct state *s = ctx;

	s->b = 7;
	__atomic_store_n(&s->a, 1, __ATOMIC_RELEASE);
}

static void committed(void *ctx, const struct kill_point *point)
{
	struct state *s = ctx;

	kill_check(s->a == 0 || s->b == 7);
	kill_check(s->a == (point->kind == KILL_NONE || point->number == 2));
}

START_TEST(one_store_passes)
{
	const struct kill_sweep s = {
		.name = "one store", .setup = setup, .victim = commit, .survive = committed, .watch = watch};
	struct kill_result r;

	ck_assert_msg(kill_sweep_try(&s, &r) == 0, "%s", r.text);
	/* The start and two stores; the runs for the points 3, 4 and 5 reach the end. */
	ck_assert_uint_eq(r.points, 3);
	ck_assert_uint_eq(r.kinds[KILL_START], 1);
	ck_assert_uint_eq(r.kinds[KILL_CHANGE], 2);
	ck_assert_uint_ge(r.runs, 6);
}
END_TEST

/* A share of many points: so many, evenly spread; all, if there are no more. */

#define STORES 20
static unsigned *killed_at; /* for each point, how often; beyond them the whole run */

static void store_often(void *ctx)
{
	struct state *s = ctx;

	for (int i = 1; i <= STORES; i++)
		s->a = i;
}

static void note_point(void *ctx, const struct kill_point *point)
{
	struct state *s = ctx;
	unsigned n = point->kind == KILL_NONE ? STORES + 1 : point->number;

	kill_check(n <= STORES + 1 && (unsigned)s->a == (n > STORES ? STORES : n));
	__atomic_add_fetch(&killed_at[n], 1, __ATOMIC_SEQ_CST);
}

START_TEST(a_share_is_spread_over_all)
{
	const unsigned shares[] = {1, 3, 7, STORES, STORES + 1, 100}, share = shares[_i];
	const unsigned points = share > STORES ? STORES + 1 : share;
	const struct kill_sweep s = {.name = "a share", .setup = setup, .victim = store_often,
	                             .survive = note_point, .watch = watch, .share = share};
	unsigned first = 0, n = 0;
	struct kill_result r;

	killed_at = kill_shared((STORES + 2) * sizeof(*killed_at));
	ck_assert_msg(kill_sweep_try(&s, &r) == 0, "%s", r.text);
	ck_assert_uint_eq(r.all, STORES + 1);
	ck_assert_uint_eq(r.points, points);
	ck_assert_uint_eq(r.runs, points + 1);
	ck_assert_uint_eq(killed_at[STORES + 1], 1);
	while (!killed_at[first])
		first++;
	for (unsigned at = first; at <= STORES; at++) {
		ck_assert_uint_le(killed_at[at], 1);
		n += killed_at[at];
		/* As many by now as there would be if points had parts, or one more. */
		ck_assert_uint_ge((n + 1) * (STORES + 1), (at - first) * points);
		ck_assert_uint_le((n - 1) * (STORES + 1), (at - first + 1) * points);
	}
	ck_assert_uint_eq(n, points);
	munmap(killed_at, (STORES + 2) * sizeof(*killed_at));
}
END_TEST

/* A copy is as many changes as it has elements, not one. */

static void copy_string(void *ctx)
{
	const char text[] = "abcdefgh";
	void *to = ctx;
	const void *from = text;
	size_t n = 8;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

START_TEST(a_copy_is_many_changes)
{
	const struct kill_sweep s = {
		.name = "copy", .setup = setup, .victim = copy_string, .survive = survive_nothing, .watch = watch};
	struct kill_result r;

	ck_assert_msg(kill_sweep_try(&s, &r) == 0, "%s", r.text);
	ck_assert_uint_eq(r.kinds[KILL_CHANGE], 8);
}
END_TEST

/* System calls: before, after, and asleep in one that does not return. */

static void read_pipe(void *ctx)
{
	struct state *s = ctx;
	char byte;

	kill_check(read(s->pipe[0], &byte, 1) == 1);
}

static void let_read(void *ctx, const struct kill_point *point)
{
	struct state *s = ctx;
	char byte;

	kill_check(point->kind != KILL_NONE);
	kill_check(write(s->pipe[1], "x", 1) == 1);
	kill_check(read(s->pipe[0], &byte, 1) == 1);
}

START_TEST(a_blocked_read_is_killed_asleep)
{
	const struct kill_sweep s = {
		.name = "read", .setup = setup, .victim = read_pipe, .survive = let_read, .max_runs = 3};
	struct kill_result r;

	ck_assert_msg(kill_sweep_try(&s, &r) == 0, "%s", r.text);
	ck_assert_uint_eq(r.kinds[KILL_START], 1);
	ck_assert_uint_eq(r.kinds[KILL_ENTER], 1);
	ck_assert_uint_eq(r.kinds[KILL_ASLEEP], 1);
}
END_TEST

static void wait_futex(void *ctx)
{
	struct state *s = ctx;
	const struct timespec t = {0, 200000000};

	syscall(SYS_futex, &s->futex, FUTEX_WAIT, 0, &t, NULL, 0);
	s->a = 1;
}

static void waited(void *ctx, const struct kill_point *point)
{
	struct state *s = ctx;

	kill_check(s->a == (point->kind == KILL_NONE || point->kind == KILL_CHANGE));
	kill_check(point->kind < KILL_ENTER || point->call == SYS_futex);
}

START_TEST(a_futex_wait_is_killed_asleep)
{
	const struct kill_sweep s = {
		.name = "futex", .setup = setup, .victim = wait_futex, .survive = waited, .watch = watch};
	struct kill_result r;

	ck_assert_msg(kill_sweep_try(&s, &r) == 0, "%s", r.text);
	ck_assert_uint_eq(r.points, 5);
	for (int kind = KILL_START; kind < KILL_KINDS; kind++)
		ck_assert_uint_eq(r.kinds[kind], 1);
}
END_TEST

/* A system call that stores into the watched bytes is one point. */

static void read_into(void *ctx)
{
	struct state *s = ctx;

	kill_check(write(s->pipe[1], "abcd", 4) == 4);
	kill_begin();
	kill_check(read(s->pipe[0], (void *)&s->a, 4) == 4);
	kill_end();
	s->b = 1;
}

START_TEST(markers_bound_the_points)
{
	const struct kill_sweep s = {.name = "markers",
	                             .setup = setup,
	                             .victim = read_into,
	                             .survive = survive_nothing,
	                             .watch = watch,
	                             .marked = true};
	struct kill_result r;

	ck_assert_msg(kill_sweep_try(&s, &r) == 0, "%s", r.text);
	ck_assert_uint_eq(r.kinds[KILL_ENTER], 1);
	ck_assert_uint_eq(r.kinds[KILL_LEAVE], 1);
	ck_assert_uint_eq(r.kinds[KILL_CHANGE], 0);
}
END_TEST

/* Signals reach a stepped victim. */

static struct state *handled;

static void handler(int signal)
{
	(void)signal;
	handled->a++;
}

static void raise_signal(void *ctx)
{
	handled = ctx;
	signal(SIGUSR1, handler);
	raise(SIGUSR1);
	kill_check(handled->a == 1);
}

START_TEST(signals_are_passed_on)
{
	const struct kill_sweep s = {
		.name = "signal", .setup = setup, .victim = raise_signal, .survive = survive_nothing, .watch = watch};
	struct kill_result r;

	ck_assert_msg(kill_sweep_try(&s, &r) == 0, "%s", r.text);
	ck_assert_uint_eq(r.kinds[KILL_CHANGE], 1);
}
END_TEST

/* A sweep of nothing is a fault, so is one that never begins. */

static void nothing(void *ctx)
{
	(void)ctx;
}

START_TEST(a_sweep_of_nothing_fails)
{
	struct kill_sweep s = {
		.name = "nothing", .setup = setup, .victim = nothing, .survive = survive_nothing, .watch = watch};
	struct kill_result r;

	ck_assert_int_eq(kill_sweep_try(&s, &r), -1);
	ck_assert_uint_eq(r.points, 1);
	s.marked = true;
	ck_assert_int_eq(kill_sweep_try(&s, &r), -1);
	ck_assert_uint_eq(r.points, 0);
	ck_assert_ptr_nonnull(strstr(r.text, "no change"));
}
END_TEST

/* Hangs are reported with what hangs; nothing of the run is left. */

static void survive_never(void *ctx, const struct kill_point *point)
{
	struct state *s = ctx;

	kill_check(point->number == 0);
	s->b = fork();
	for (;;)
		pause();
}

START_TEST(a_hanging_survivor_is_reported)
{
	const struct kill_sweep s = {.name = "hang",
	                             .setup = setup,
	                             .victim = set_both,
	                             .survive = survive_never,
	                             .max_runs = 1,
	                             .limit = 0.5};
	struct kill_result r;

	ck_assert_int_eq(kill_sweep_try(&s, &r), -1);
	ck_assert_uint_eq(r.failures, 1);
	ck_assert_msg(strstr(r.text, "point 0 (start)") && strstr(r.text, "hangs: survivor, after ") &&
	                      strstr(r.text, "check_kill.c:"),
	              "%s", r.text);
}
END_TEST

static void leave_orphan(void *ctx)
{
	(void)ctx;
	if (fork() == 0)
		for (;;)
			pause();
}

START_TEST(an_orphan_that_lives_on_is_reported)
{
	const struct kill_sweep s = {.name = "orphan",
	                             .setup = setup,
	                             .victim = leave_orphan,
	                             .survive = survive_nothing,
	                             .who = KILL_SELF,
	                             .limit = 1};
	struct kill_result r;

	ck_assert_int_eq(kill_sweep_try(&s, &r), -1);
	ck_assert_msg(strstr(r.text, "hangs: end of all its processes"), "%s", r.text);
}
END_TEST

static void fail_in_victim(void *ctx)
{
	struct state *s = ctx;

	kill_check(s->a == 1);
}

START_TEST(a_failing_victim_is_reported)
{
	const struct kill_sweep s = {
		.name = "victim", .setup = setup, .victim = fail_in_victim, .survive = survive_nothing, .max_runs = 9};
	struct kill_result r;

	ck_assert_int_eq(kill_sweep_try(&s, &r), -1);
	ck_assert_msg(strstr(r.text, "not so: s->a == 1"), "%s", r.text);
}
END_TEST

/* A robust mutex: the real thing. */

static void lock_unlock(void *ctx)
{
	struct state *s = ctx;

	if (pthread_mutex_lock(&s->mutex) != 0)
		abort();
	s->a = 1;
	s->a = 0;
	pthread_mutex_unlock(&s->mutex);
}

static void lock_again(void *ctx, const struct kill_point *point)
{
	struct state *s = ctx;
	int rc = pthread_mutex_lock(&s->mutex);

	kill_check(rc == 0 || rc == EOWNERDEAD);
	kill_check(rc == EOWNERDEAD || s->a == 0);
	kill_check(rc != EOWNERDEAD || point->kind == KILL_CHANGE);
	if (rc == EOWNERDEAD)
		kill_check(pthread_mutex_consistent(&s->mutex) == 0);
	kill_check(pthread_mutex_unlock(&s->mutex) == 0);
}

START_TEST(a_robust_mutex_survives)
{
	const struct kill_sweep s = {
		.name = "mutex", .setup = setup, .victim = lock_unlock, .survive = lock_again, .watch = watch};
	struct kill_result r;

	ck_assert_msg(kill_sweep_try(&s, &r) == 0, "%s", r.text);
	/* At least the lock word, the two stores, and the word again. */
	ck_assert_uint_ge(r.kinds[KILL_CHANGE], 4);
}
END_TEST

/* Names of a run are gone after it. */

static void make_name(void *ctx)
{
	char path[256];

	(void)ctx;
	snprintf(path, sizeof(path), "/ipck.%s", kill_name("left"));
	close(shm_open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
}

START_TEST(names_are_removed)
{
	const struct kill_sweep s = {.name = "name", .victim = make_name, .survive = survive_nothing};
	struct kill_result r;
	char path[64];

	ck_assert_msg(kill_sweep_try(&s, &r) == 0, "%s", r.text);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/dev/shm/ipck.t%d.%d.left", getpid(), i);
		ck_assert_int_ne(access(path, F_OK), 0);
	}
}
END_TEST

int main(int argc, char **argv)
{
	Suite *s = suite_create("kill");
	TCase *tc;
	int status = kill_supported();

	if (status)
		return status;
	kill_environment(argv);
	(void)argc;
	tc = test_case(s, "points");
	tcase_add_test(tc, two_stores_are_found);
	tcase_add_test(tc, one_store_passes);
	tcase_add_loop_test(tc, a_share_is_spread_over_all, 0, 6);
	tcase_add_test(tc, a_copy_is_many_changes);
	tcase_add_test(tc, a_blocked_read_is_killed_asleep);
	tcase_add_test(tc, a_futex_wait_is_killed_asleep);
	tcase_add_test(tc, markers_bound_the_points);
	tcase_add_test(tc, signals_are_passed_on);
	tcase_add_test(tc, a_sweep_of_nothing_fails);
	tcase_add_test(tc, a_robust_mutex_survives);
	tc = test_case(s, "reports");
	tcase_add_test(tc, a_hanging_survivor_is_reported);
	tcase_add_test(tc, an_orphan_that_lives_on_is_reported);
	tcase_add_test(tc, a_failing_victim_is_reported);
	tcase_add_test(tc, names_are_removed);
	return test_main(s);
}
