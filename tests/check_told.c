/* SPDX-License-Identifier: MIT */
/*
 * Each change wakes those who sleep for it, and as many as it should: at their tick they
 * would find out by themselves, so that only the calls of the kernel show it.
 */
#include <ipckit.h>

#include "base/evcount.h"
#include "sync/barrier.h"
#include "sync/condition.h"
#include "waiters.h"

/* What this process has asked the kernel for. */
static struct {
	unsigned calls;
	int n; /* of the last one */
} woken;

/* Somebody who sleeps, for all that the next one can see. */
static struct evcount *sleepers;

int __real_futex_wake(uint32_t *word, int n);
int __wrap_futex_wake(uint32_t *word, int n);
int __wrap_futex_wake(uint32_t *word, int n)
{
	woken.calls++;
	woken.n = n;
	if (sleepers)
		evcount_prepare(sleepers);
	return __real_futex_wake(word, n);
}

static void sleep_on(struct evcount *e)
{
	sleepers = e;
	woken.calls = 0;
	evcount_prepare(e);
}

static void expect(unsigned calls, int n)
{
	ck_assert_uint_eq(woken.calls, calls);
	if (calls > 0)
		ck_assert_int_eq(woken.n, n);
	woken.calls = 0;
}

/* ---- barriers ---- */

static struct ipck_barrier *make_barrier(uint32_t parties)
{
	struct ipck_barrier *b = test_shared(sizeof(*b));

	ck_ok(ipck_barrier_init(b, parties, NULL));
	sleep_on(&((struct barrier *)(void *)b)->sleepers);
	return b;
}

static int act(void *arg)
{
	return *(int *)arg;
}

START_TEST(a_cycle_that_ends)
{
	struct ipck_barrier *b = make_barrier(1);
	int result = 0;

	ck_that(ipck_barrier_wait(b, NULL, IPCK_NOWAIT) == IPCK_ELECTED);
	expect(1, EVCOUNT_ALL);
	ck_that(ipck_barrier_wait_action(b, act, &result, NULL, IPCK_NOWAIT) == IPCK_ELECTED);
	expect(1, EVCOUNT_ALL);
}
END_TEST

/* Once when it breaks, and once when this one has left. */
START_TEST(a_cycle_that_breaks)
{
	struct ipck_barrier *b = make_barrier(2);

	ck_err(ipck_barrier_wait(b, NULL, IPCK_NOWAIT), ETIMEDOUT);
	expect(2, EVCOUNT_ALL);
}
END_TEST

START_TEST(an_action_that_fails)
{
	struct ipck_barrier *b = make_barrier(1);
	int result = -EIO;

	ck_err(ipck_barrier_wait_action(b, act, &result, NULL, IPCK_NOWAIT), EIO);
	expect(2, EVCOUNT_ALL);
}
END_TEST

START_TEST(abort_and_reset)
{
	struct ipck_barrier *b = make_barrier(2);

	ck_ok(ipck_barrier_abort(b));
	expect(1, EVCOUNT_ALL);
	/* Who is told that it is broken has left. */
	ck_err(ipck_barrier_wait(b, NULL, IPCK_NOWAIT), ECANCELED);
	expect(1, EVCOUNT_ALL);
	ck_ok(ipck_barrier_reset(b));
	expect(1, EVCOUNT_ALL);
	/* It begins the next cycle, breaks it and leaves. */
	ck_err(ipck_barrier_wait(b, NULL, IPCK_NOWAIT), ETIMEDOUT);
	expect(3, EVCOUNT_ALL);
}
END_TEST

/* ---- semaphores and events: their event counts are the third words ---- */

START_TEST(as_many_as_were_released)
{
	struct ipck_semaphore *s = test_shared(sizeof(*s));

	ck_ok(ipck_semaphore_init(s, 8, IPCK_SEMAPHORE_OPTS(.recorded = _i)));
	for (int i = 0; i < 8; i++)
		ck_that(ipck_semaphore_acquire(s, IPCK_NOWAIT) == 0);
	sleep_on((struct evcount *)(void *)s + 2);
	ck_ok(ipck_semaphore_release(s, 1));
	expect(1, 1);
	ck_ok(ipck_semaphore_release(s, 5));
	expect(1, 5);
}
END_TEST

START_TEST(nothing_was_released)
{
	struct ipck_semaphore *s = test_shared(sizeof(*s));

	ck_ok(ipck_semaphore_init(s, 1, IPCK_SEMAPHORE_OPTS(.bound = 1)));
	sleep_on((struct evcount *)(void *)s + 2);
	ck_err(ipck_semaphore_release(s, 1), EPERM);
	expect(0, 0);
}
END_TEST

/* Also where it is set: who set it may have died before it told anybody. */
START_TEST(an_event_that_is_set)
{
	struct ipck_event *e = test_shared(sizeof(*e));

	ck_ok(ipck_event_init(e));
	sleep_on((struct evcount *)(void *)e + 2);
	for (int i = 0; i < 2; i++) {
		ck_ok(ipck_event_set(e));
		expect(1, EVCOUNT_ALL);
	}
	ck_ok(ipck_event_clear(e));
	expect(0, 0);
}
END_TEST

/* ---- counters ---- */

START_TEST(a_counter_that_changes)
{
	struct ipck_counter *c = test_shared(sizeof(*c));
	int64_t expected = 7;

	ck_ok(ipck_counter_init(c, 0));
	sleep_on((struct evcount *)(void *)((char *)c + FALSE_SHARING));
	ck_that(ipck_counter_add(c, 3) == 0);
	expect(1, EVCOUNT_ALL);
	ck_that(ipck_counter_exchange(c, 5) == 3);
	expect(1, EVCOUNT_ALL);
	ipck_counter_set(c, 6);
	expect(1, EVCOUNT_ALL);
	ck_that(!ipck_counter_compare_exchange(c, &expected, 8));
	expect(0, 0);
	ck_that(ipck_counter_compare_exchange(c, &expected, 8));
	expect(1, EVCOUNT_ALL);
}
END_TEST

/* ---- conditions ---- */

static void wait_asleep(void *arg)
{
	spin_forbid();
	wait_as(arg, 0, far_off());
}

/* Only who has said that it sleeps needs a call of the kernel. */
START_TEST(who_is_granted)
{
	struct scene *s = make_scene();
	const struct condition *c = (const struct condition *)(const void *)s->c;
	pid_t pid = test_fork(wait_asleep, s);

	TEST_UNTIL(word_state(load_acquire(&c->place[0].word)) == ASLEEP);
	sleepers = NULL;
	woken.calls = 0;
	notify(s, 1);
	expect(1, 1);
	test_join(pid);
	end_scene(s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("told");
	TCase *tc = test_case(s, "barrier");

	tcase_add_test(tc, a_cycle_that_ends);
	tcase_add_test(tc, a_cycle_that_breaks);
	tcase_add_test(tc, an_action_that_fails);
	tcase_add_test(tc, abort_and_reset);
	tc = test_case(s, "semaphore");
	tcase_add_loop_test(tc, as_many_as_were_released, 0, 2);
	tcase_add_test(tc, nothing_was_released);
	tc = test_case(s, "event");
	tcase_add_test(tc, an_event_that_is_set);
	tc = test_case(s, "counter");
	tcase_add_test(tc, a_counter_that_changes);
	tc = test_case(s, "condition");
	tcase_add_test(tc, who_is_granted);
	return test_main(s);
}
