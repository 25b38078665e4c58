/* SPDX-License-Identifier: MIT */
/* Deadlines, the tick, and interruption. */
#include "base/clock.h"

#include "support.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/evcount.h"
#include "base/fork.h"
#include "base/lock.h"

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static bool always(void *arg)
{
	(void)arg;
	return true;
}

/* A wait that nothing but its deadline ends. */
static int wait_for(struct ipck_deadline deadline)
{
	struct evcount e = {0};

	return evcount_await(&e, never, NULL, deadline);
}

/* ---- durations ---- */

START_TEST(too_long_is_forever)
{
	const struct ipck_deadline long_ones[] = {
		ipck_in_ns(INT64_MAX), ipck_in_ms(INT64_MAX), ipck_in_ms(INT64_MAX / 1000000 + 1),
		ipck_in_sec(9.3e9),    ipck_in_sec(1e300),    ipck_in_sec(INFINITY),
	};

	for (size_t i = 0; i < sizeof(long_ones) / sizeof(*long_ones); i++) {
		ck_that(long_ones[i].ns == INT64_MAX);
		ck_that(!ipck_deadline_passed(long_ones[i]));
	}
}
END_TEST

START_TEST(none_is_nowait)
{
	const struct ipck_deadline none[] = {
		ipck_in_ns(0),       ipck_in_ns(-1),        ipck_in_ns(INT64_MIN), ipck_in_ms(0),
		ipck_in_ms(-1),      ipck_in_ms(INT64_MIN), ipck_in_sec(0),        ipck_in_sec(-0.0),
		ipck_in_sec(-1e300), ipck_in_sec(NAN),      ipck_in_sec(-NAN),     ipck_in_sec(-INFINITY),
	};

	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		ck_that(none[i].ns == 0);
		ck_that(ipck_deadline_passed(none[i]));
	}
	/* Less than a nanosecond is some time, but not one that can be waited for. */
	ck_assert(ipck_deadline_passed(ipck_in_sec(1e-12)));
}
END_TEST

START_TEST(durations_count_from_now)
{
	int64_t before = clock_now(), after;
	struct ipck_deadline ns = ipck_in_ns(7 * NS_PER_SEC), ms = ipck_in_ms(7000), sec = ipck_in_sec(7.0);

	after = clock_now();
	ck_assert_int_ge(after, before);
	ck_assert_int_ge(ns.ns, before + 7 * NS_PER_SEC);
	ck_assert_int_le(ns.ns, after + 7 * NS_PER_SEC);
	ck_assert_int_ge(ms.ns, ns.ns);
	ck_assert_int_le(ms.ns, after + 7 * NS_PER_SEC);
	ck_assert_int_ge(sec.ns, ms.ns);
	ck_assert_int_le(sec.ns, after + 7 * NS_PER_SEC);
	ck_assert_uint_eq(ns.interrupt | ms.interrupt | sec.interrupt, 0);
}
END_TEST

/* ---- passed and left ---- */

START_TEST(passed_and_left)
{
	int64_t now = clock_now();
	struct ipck_deadline soon = ipck_in_ms(20);

	ck_assert(ipck_deadline_passed(IPCK_NOWAIT));
	ck_assert(!ipck_deadline_passed(IPCK_FOREVER));
	ck_assert(ipck_deadline_passed(ipck_deadline_at(now)));
	ck_assert(ipck_deadline_passed(ipck_deadline_at(-1)));
	ck_assert(ipck_deadline_passed(ipck_deadline_at(INT64_MIN)));
	ck_assert_int_eq(ipck_deadline_left(ipck_deadline_at(INT64_MIN)), 0);
	ck_assert_int_eq(ipck_deadline_left(IPCK_NOWAIT), 0);
	ck_assert_int_eq(ipck_deadline_left(IPCK_FOREVER), INT64_MAX);
	ck_assert_int_gt(ipck_deadline_left(ipck_deadline_at(INT64_MAX - 1)), NS_PER_SEC);
	ck_assert_int_gt(ipck_deadline_left(ipck_in_sec(1000)), 0);
	ck_assert_int_le(ipck_deadline_left(ipck_in_sec(1000)), 1000 * NS_PER_SEC);
	TEST_UNTIL(ipck_deadline_passed(soon));
	ck_assert_int_ge(clock_now(), soon.ns);
	ck_assert_int_eq(ipck_deadline_left(soon), 0);
}
END_TEST

START_TEST(no_sleep_passes_the_tick)
{
	ck_assert_int_eq(deadline_tick(IPCK_FOREVER, 5), 5 + TICK_NS);
	ck_assert_int_eq(deadline_tick(ipck_deadline_at(6), 5), 6);
	ck_assert_int_eq(deadline_tick(ipck_deadline_at(5 + TICK_NS), 5), 5 + TICK_NS);
	ck_assert_int_eq(clock_timespec(3 * NS_PER_SEC + 4).tv_sec, 3);
	ck_assert_int_eq(clock_timespec(3 * NS_PER_SEC + 4).tv_nsec, 4);
}
END_TEST

/* ---- interruption ---- */

START_TEST(interruptible_keeps_the_time)
{
	ck_assert_int_eq(ipck_interruptible(IPCK_FOREVER).ns, INT64_MAX);
	ck_assert_int_eq(ipck_interruptible(ipck_deadline_at(17)).ns, 17);
	ck_assert_uint_eq(ipck_interruptible(IPCK_FOREVER).interrupt, 1);
	ck_assert(!ipck_deadline_passed(ipck_interruptible(IPCK_FOREVER)));
}
END_TEST

START_TEST(interrupt_ends_only_interruptible_waits)
{
	struct evcount e = {0};
	struct robust_lock lock;

	ck_assert(!ipck_interrupted());
	ck_err(wait_for(ipck_interruptible(ipck_in_ms(5))), ETIMEDOUT);
	errno = 77;
	ipck_interrupt();
	ck_assert_int_eq(errno, 77);
	ck_assert(ipck_interrupted());
	ck_err(wait_for(ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	ck_err(wait_for(ipck_interruptible(IPCK_NOWAIT)), ECANCELED);
	ck_err(wait_for(ipck_in_ms(5)), ETIMEDOUT);
	/* What need not sleep is not disturbed. */
	ck_ok(evcount_await(&e, always, NULL, ipck_interruptible(IPCK_FOREVER)));
	ck_ok(lock_init(&lock));
	ck_ok(lock_acquire(&lock, ipck_interruptible(IPCK_FOREVER)));
	ck_ok(lock_release(&lock));
	lock_fini(&lock);
	ipck_interrupt_clear();
	ck_assert(!ipck_interrupted());
	ck_err(wait_for(ipck_interruptible(ipck_in_ms(5))), ETIMEDOUT);
}
END_TEST

static void interrupt_by_signal(int signal)
{
	(void)signal;
	ipck_interrupt();
}

START_TEST(a_signal_handler_interrupts)
{
	const struct itimerval once = {.it_value = {.tv_usec = 20000}};
	struct sigaction action = {.sa_handler = interrupt_by_signal};

	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &once, NULL), 0);
	ck_err(wait_for(ipck_interruptible(IPCK_FOREVER)), ECANCELED);
}
END_TEST

/* Asleep in other threads, where no signal arrives. */
static void be_interrupted(unsigned i, void *arg)
{
	uint32_t *asleep = arg;

	if (i == 0) {
		TEST_UNTIL(load_acquire(asleep) == 3);
		ipck_interrupt();
		return;
	}
	add_acq_rel(asleep, 1);
	ck_err(wait_for(ipck_interruptible(IPCK_FOREVER)), ECANCELED);
}

START_TEST(all_threads_are_interrupted)
{
	uint32_t asleep = 0;

	test_threads(4, be_interrupted, &asleep);
}
END_TEST

static void in_grandchild(void *arg)
{
	(void)arg;
	ck_that(!ipck_interrupted());
}

static void in_child(void *arg)
{
	(void)arg;
	ck_that(!ipck_interrupted());
	ck_err(wait_for(ipck_interruptible(ipck_in_ms(5))), ETIMEDOUT);
	ipck_interrupt();
	ck_that(ipck_interrupted());
	test_join(test_fork(in_grandchild, NULL));
	ipck_interrupt_clear();
	test_join(test_fork(in_grandchild, NULL));
}

START_TEST(a_child_begins_not_interrupted)
{
	test_join(test_fork(in_child, NULL));
	ck_assert(!ipck_interrupted());
	ipck_interrupt();
	test_join(test_fork(in_child, NULL));
	ck_assert(ipck_interrupted());
}
END_TEST

int main(void)
{
	Suite *s = suite_create("clock");
	TCase *tc = test_case(s, "deadlines");

	tcase_add_test(tc, too_long_is_forever);
	tcase_add_test(tc, none_is_nowait);
	tcase_add_test(tc, durations_count_from_now);
	tcase_add_test(tc, passed_and_left);
	tcase_add_test(tc, no_sleep_passes_the_tick);
	tc = test_case(s, "interruption");
	tcase_add_test(tc, interruptible_keeps_the_time);
	tcase_add_test(tc, interrupt_ends_only_interruptible_waits);
	tcase_add_test(tc, a_signal_handler_interrupts);
	tcase_add_test(tc, all_threads_are_interrupted);
	tcase_add_test(tc, a_child_begins_not_interrupted);
	return test_main(s);
}
