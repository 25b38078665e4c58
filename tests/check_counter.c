/* SPDX-License-Identifier: MIT */
/* Counters, among threads and among processes, and with writers and waiters that are killed. */
#include <ipckit/counter.h>

#include "ways.h"

#include "base/compiler.h"
#include "base/evcount.h"

struct tally {
	struct ipck_counter counter;
	struct ipck_striped_counter striped;
	uint32_t began, highest, ended;
	uint32_t seen[8000];
};

static struct tally *make_tally(int64_t value)
{
	struct tally *t = test_shared(sizeof(*t));

	ck_ok(ipck_counter_init(&t->counter, value));
	ck_ok(ipck_striped_counter_init(&t->striped, value));
	return t;
}

static void end_tally(struct tally *t)
{
	ipck_striped_counter_fini(&t->striped);
	ipck_counter_fini(&t->counter);
	ck_err(ipck_counter_wait(&t->counter, IPCK_EQ, 0, NULL, IPCK_FOREVER), EINVAL);
}

/* Its second line begins with the event count. */
static uint32_t sleepers(const struct tally *t)
{
	const struct evcount *e = (const void *)((const char *)&t->counter + FALSE_SHARING);

	return (uint32_t)(load_seq(&e->word) >> 32);
}

/* ---- the calls ---- */

START_TEST(what_cannot_be_set_up)
{
	struct tally *t = test_shared(sizeof(*t));
	int64_t seen = 5;

	ck_err(ipck_counter_init((void *)((uintptr_t)&t->counter + 64), 0), EINVAL);
	ck_err(ipck_striped_counter_init((void *)((uintptr_t)&t->striped + 64), 0), EINVAL);
	ck_err(ipck_counter_wait(&t->counter, IPCK_EQ, 0, &seen, IPCK_FOREVER), EINVAL);
	ck_assert_int_eq(seen, 5);
	ipck_counter_fini(NULL);
	ipck_striped_counter_fini(NULL);
}
END_TEST

START_TEST(each_call)
{
	struct tally *t = make_tally(-7);
	struct ipck_counter *c = &t->counter;
	int64_t expected = 4;

	ck_assert_int_eq(ipck_counter_get(c), -7);
	ck_assert_int_eq(ipck_counter_add(c, 10), -7);
	ck_assert_int_eq(ipck_counter_add(c, -1), 3);
	ck_assert_int_eq(ipck_counter_get(c), 2);
	ipck_counter_set(c, INT64_C(1) << 40);
	ck_assert_int_eq(ipck_counter_exchange(c, 5), INT64_C(1) << 40);
	ck_assert(!ipck_counter_compare_exchange(c, &expected, 6));
	ck_assert_int_eq(expected, 5);
	ck_assert(ipck_counter_compare_exchange(c, &expected, 6));
	ck_assert_int_eq(expected, 5);
	ck_assert_int_eq(ipck_counter_get(c), 6);
	/* Nobody sleeps, and nobody was taken for a sleeper. */
	ck_assert_uint_eq(sleepers(t), 0);
	end_tally(t);
}
END_TEST

/* The first word of each line is one of them, whichever CPUs there are. */
START_TEST(each_stripe_counts)
{
	struct tally *t = make_tally(0);

	for (int i = 0; i < 16; i++)
		*(uint64_t *)(void *)((char *)&t->striped + i * FALSE_SHARING) += UINT64_C(1) << i;
	ck_assert_int_eq(ipck_striped_counter_get(&t->striped), 0xffff);
	end_tally(t);
}
END_TEST

START_TEST(it_wraps_around)
{
	struct tally *t = make_tally(INT64_MAX);
	int64_t expected = INT64_MIN;

	ck_assert_int_eq(ipck_counter_add(&t->counter, 1), INT64_MAX);
	ck_assert_int_eq(ipck_counter_get(&t->counter), INT64_MIN);
	ck_assert(ipck_counter_compare_exchange(&t->counter, &expected, INT64_MIN));
	ck_assert_int_eq(ipck_counter_add(&t->counter, -1), INT64_MIN);
	ck_assert_int_eq(ipck_counter_get(&t->counter), INT64_MAX);
	ck_assert_int_eq(ipck_counter_add(&t->counter, INT64_MIN), INT64_MAX);
	ck_assert_int_eq(ipck_counter_get(&t->counter), -1);
	ipck_striped_counter_add(&t->striped, 1);
	ck_assert_int_eq(ipck_striped_counter_get(&t->striped), INT64_MIN);
	ipck_striped_counter_add(&t->striped, -1);
	ck_assert_int_eq(ipck_striped_counter_get(&t->striped), INT64_MAX);
	end_tally(t);
}
END_TEST

/* ---- wait ---- */

START_TEST(each_comparison)
{
	/* For a number below, equal, above. */
	static const bool holds[6][3] = {
		[IPCK_EQ] = {false, true, false}, [IPCK_NE] = {true, false, true},  [IPCK_LT] = {true, false, false},
		[IPCK_LE] = {true, true, false},  [IPCK_GT] = {false, false, true}, [IPCK_GE] = {false, true, true},
	};
	struct tally *t = make_tally(0);

	for (unsigned how = 0; how < 6; how++)
		for (int64_t n = -1; n <= 1; n++) {
			int64_t seen = 99;
			int rc;

			ipck_counter_set(&t->counter, n);
			rc = ipck_counter_wait(&t->counter, how, 0, &seen, IPCK_NOWAIT);
			ck_assert_int_eq(rc, holds[how][n + 1] ? 0 : -ETIMEDOUT);
			ck_assert_int_eq(seen, holds[how][n + 1] ? n : 99);
			if (rc == 0)
				ck_ok(ipck_counter_wait(&t->counter, how, 0, NULL, IPCK_FOREVER));
		}
	ck_err(ipck_counter_wait(&t->counter, 6, 0, NULL, IPCK_FOREVER), EINVAL);
	ck_err(ipck_counter_wait(&t->counter, (enum ipck_comparison)-1, 0, NULL, IPCK_FOREVER), EINVAL);
	end_tally(t);
}
END_TEST

static struct ipck_counter *changed_at_once;

/* It changes as soon as a wait has seen what it waited for. */
int __real_evcount_await(struct evcount *e, bool (*test)(void *arg), void *arg, struct ipck_deadline deadline);
int __wrap_evcount_await(struct evcount *e, bool (*test)(void *arg), void *arg, struct ipck_deadline deadline);
int __wrap_evcount_await(struct evcount *e, bool (*test)(void *arg), void *arg, struct ipck_deadline deadline)
{
	int rc = __real_evcount_await(e, test, arg, deadline);

	if (changed_at_once)
		ipck_counter_set(changed_at_once, -1);
	return rc;
}

START_TEST(what_was_seen_is_what_ended_the_wait)
{
	struct tally *t = make_tally(7);
	int64_t seen = 0;

	changed_at_once = &t->counter;
	ck_that(ipck_counter_wait(&t->counter, IPCK_GE, 5, &seen, IPCK_NOWAIT) == 0);
	changed_at_once = NULL;
	ck_assert_int_eq(seen, 7);
	ck_assert_int_eq(ipck_counter_get(&t->counter), -1);
	end_tally(t);
}
END_TEST

START_TEST(signs_count)
{
	struct tally *t = make_tally(INT64_MIN);

	ck_ok(ipck_counter_wait(&t->counter, IPCK_LT, INT64_MAX, NULL, IPCK_NOWAIT));
	ck_ok(ipck_counter_wait(&t->counter, IPCK_LE, -1, NULL, IPCK_NOWAIT));
	ck_err(ipck_counter_wait(&t->counter, IPCK_GT, 0, NULL, IPCK_NOWAIT), ETIMEDOUT);
	end_tally(t);
}
END_TEST

START_TEST(waits_end_by_their_deadline)
{
	struct tally *t = make_tally(0);
	struct ipck_deadline soon = ipck_in_ms(20);

	ck_err(ipck_counter_wait(&t->counter, IPCK_GT, 0, NULL, soon), ETIMEDOUT);
	ck_assert(ipck_deadline_passed(soon));
	ipck_interrupt();
	ck_err(ipck_counter_wait(&t->counter, IPCK_GT, 0, NULL, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	/* What needs no sleep is no wait. */
	ck_ok(ipck_counter_wait(&t->counter, IPCK_GE, 0, NULL, ipck_interruptible(IPCK_FOREVER)));
	ipck_interrupt_clear();
	ck_assert_uint_eq(sleepers(t), 0);
	end_tally(t);
}
END_TEST

#define CHANGES 4
#define WAITERS 3

/* Brings it from 0 to 10 in one of several ways. */
static void change(struct ipck_counter *c, unsigned how)
{
	int64_t expected = 0;

	if (how == 0)
		ck_that(ipck_counter_add(c, 10) == 0);
	else if (how == 1)
		ipck_counter_set(c, 10);
	else if (how == 2)
		ck_that(ipck_counter_exchange(c, 10) == 0);
	else
		ck_that(ipck_counter_compare_exchange(c, &expected, 10));
}

static void sleep_until_10(unsigned i, void *arg)
{
	struct tally *t = arg;
	int64_t seen = 0;

	for (unsigned how = 0; how < CHANGES; how++) {
		if (i > 0) {
			ck_ok(ipck_counter_wait(&t->counter, IPCK_GE, 10, &seen, far_off()));
			ck_that(seen == 10);
			add_acq_rel(&t->ended, 1);
			ck_ok(ipck_counter_wait(&t->counter, IPCK_EQ, 0, &seen, far_off()));
			ck_that(seen == 0);
			add_acq_rel(&t->ended, 1);
			continue;
		}
		/* An upper bound, after the first time. */
		TEST_UNTIL(sleepers(t) >= WAITERS);
		change(&t->counter, how);
		TEST_UNTIL(load_acquire(&t->ended) == WAITERS && sleepers(t) >= WAITERS);
		ipck_counter_set(&t->counter, 0);
		TEST_UNTIL(load_acquire(&t->ended) == 2 * WAITERS);
		store_release(&t->ended, 0);
	}
}

START_TEST(each_change_wakes_who_sleeps)
{
	struct tally *t = make_tally(0);

	run_parties(_i | 2, 1 + WAITERS, sleep_until_10, t);
	end_tally(t);
}
END_TEST

#define TURNS 3000

static void take_turns(unsigned i, void *arg)
{
	struct tally *t = arg;

	for (int64_t n = i; n < TURNS; n += 3) {
		ck_ok(ipck_counter_wait(&t->counter, IPCK_EQ, n, NULL, far_off()));
		ck_that(ipck_counter_add(&t->counter, 1) == n);
	}
}

START_TEST(no_wake_up_is_lost)
{
	struct tally *t = make_tally(0);

	run_parties(_i, 3, take_turns, t);
	ck_assert_int_eq(ipck_counter_get(&t->counter), TURNS);
	end_tally(t);
}
END_TEST

static void wait_for_signal(void *arg)
{
	struct tally *t = arg;

	let_signals_interrupt();
	ck_err(ipck_counter_wait(&t->counter, IPCK_NE, 0, NULL, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
}

START_TEST(a_signal_ends_the_wait)
{
	struct tally *t = make_tally(0);
	pid_t pid = test_fork(wait_for_signal, t);

	TEST_UNTIL(sleepers(t) == 1);
	ck_assert(kill(pid, SIGUSR1) == 0);
	test_join(pid);
	end_tally(t);
}
END_TEST

/* ---- many writers ---- */

#define WRITERS 4
#define EACH 2000

/* Nobody gets the same number. */
static void count(unsigned i, void *arg)
{
	struct tally *t = arg;

	for (int n = 0; n < EACH; n++) {
		int64_t expected = ipck_counter_get(&t->counter);

		if (i % 2)
			expected = ipck_counter_add(&t->counter, 1);
		else
			while (!ipck_counter_compare_exchange(&t->counter, &expected, expected + 1))
				;
		add_relaxed(&t->seen[expected], 1);
	}
}

START_TEST(no_change_is_lost)
{
	struct tally *t = make_tally(0);

	run_parties(_i, WRITERS, count, t);
	ck_assert_int_eq(ipck_counter_get(&t->counter), WRITERS * EACH);
	for (int n = 0; n < WRITERS * EACH; n++)
		ck_assert_uint_eq(t->seen[n], 1);
	end_tally(t);
}
END_TEST

static void count_striped(unsigned i, void *arg)
{
	struct tally *t = arg;
	int64_t last = 0, n;

	for (n = 0; n < EACH; n++) {
		ipck_striped_counter_add(&t->striped, i + 3);
		ipck_striped_counter_add(&t->striped, -1);
	}
	add_acq_rel(&t->ended, 1);
	/* All that was added before it began. */
	last = ipck_striped_counter_get(&t->striped);
	ck_that(last >= EACH * (int64_t)(i + 2));
}

START_TEST(the_stripes_add_up)
{
	struct tally *t = make_tally(1000);

	ck_assert_int_eq(ipck_striped_counter_get(&t->striped), 1000);
	run_parties(_i, WRITERS, count_striped, t);
	ck_assert_int_eq(ipck_striped_counter_get(&t->striped), 1000 + EACH * (2 + 3 + 4 + 5));
	end_tally(t);
}
END_TEST

/* ---- signals and kills ---- */

static struct tally *of_the_handler;

static void count_in_handler(int number)
{
	int64_t expected = -1;

	(void)number;
	(void)ipck_counter_compare_exchange(&of_the_handler->counter, &expected, 0);
	(void)ipck_counter_add(&of_the_handler->counter, 1);
	ipck_striped_counter_add(&of_the_handler->striped, 1);
}

static void sleep_until_1(void *arg)
{
	struct tally *t = arg;

	of_the_handler = t;
	ck_that(signal(SIGUSR1, count_in_handler) != SIG_ERR);
	ck_ok(ipck_counter_wait(&t->counter, IPCK_EQ, 1, NULL, far_off()));
}

START_TEST(a_handler_changes_what_it_interrupts_the_wait_for)
{
	struct tally *t = make_tally(0);
	pid_t pid = test_fork(sleep_until_1, t);

	TEST_UNTIL(sleepers(t) == 1);
	ck_assert(kill(pid, SIGUSR1) == 0);
	test_join(pid);
	ck_assert_int_eq(ipck_striped_counter_get(&t->striped), 1);
	end_tally(t);
}
END_TEST

static void sleep_for_ever(void *arg)
{
	struct tally *t = arg;

	ck_ok(ipck_counter_wait(&t->counter, IPCK_EQ, 10, NULL, IPCK_FOREVER));
}

START_TEST(killed_waiters)
{
	struct tally *t = make_tally(0);
	pid_t pids[WAITERS];

	spin_forbid();
	for (unsigned i = 0; i < WAITERS; i++) {
		pids[i] = test_fork(sleep_for_ever, t);
		TEST_UNTIL(sleepers(t) == i + 1 && test_state(pids[i]) == 'S');
	}
	for (int i = 1; i < WAITERS; i++)
		test_kill(pids[i]);
	ck_assert_int_eq(ipck_counter_add(&t->counter, 10), 0);
	test_join(pids[0]);
	/* The dead are counted out. */
	ck_assert_uint_eq(sleepers(t), 0);
	end_tally(t);
}
END_TEST

START_TEST(a_wake_up_that_never_came_is_made_good)
{
	struct tally *t = make_tally(0);
	pid_t pid = test_fork(sleep_for_ever, t);

	TEST_UNTIL(sleepers(t) == 1 && test_state(pid) == 'S');
	/* A writer killed after its store: nobody is told. */
	store_seq(&t->counter.sealed[0], 10);
	test_join(pid);
	end_tally(t);
}
END_TEST

static void add_for_ever(void *arg)
{
	struct tally *t = arg;

	for (;;) {
		ipck_counter_add(&t->counter, 3);
		ipck_striped_counter_add(&t->striped, 3);
	}
}

START_TEST(killed_writers)
{
	struct tally *t = make_tally(0);
	pid_t pids[3];
	int64_t n;

	for (int i = 0; i < 3; i++)
		pids[i] = test_fork(add_for_ever, t);
	TEST_UNTIL(ipck_counter_get(&t->counter) > 1000);
	for (int i = 0; i < 3; i++)
		test_kill(pids[i]);
	/* Each change is there or not; of both counters each writer has changed the first one last, or not. */
	n = ipck_counter_get(&t->counter);
	ck_assert_int_eq(n % 3, 0);
	ck_assert_int_eq(ipck_striped_counter_get(&t->striped) % 3, 0);
	ck_assert_int_ge(ipck_striped_counter_get(&t->striped), n - 9);
	ck_assert_int_le(ipck_striped_counter_get(&t->striped), n);
	end_tally(t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("counter");
	TCase *tc = test_case(s, "calls");

	tcase_add_test(tc, what_cannot_be_set_up);
	tcase_add_test(tc, each_call);
	tcase_add_test(tc, each_stripe_counts);
	tcase_add_test(tc, it_wraps_around);
	tc = test_case(s, "wait");
	tcase_add_test(tc, each_comparison);
	tcase_add_test(tc, what_was_seen_is_what_ended_the_wait);
	tcase_add_test(tc, signs_count);
	tcase_add_test(tc, waits_end_by_their_deadline);
	tcase_add_loop_test(tc, each_change_wakes_who_sleeps, 0, 2);
	tcase_add_loop_test(tc, no_wake_up_is_lost, 0, PARTY_WAYS);
	tcase_add_test(tc, a_signal_ends_the_wait);
	tc = test_case(s, "writers");
	tcase_add_loop_test(tc, no_change_is_lost, 0, 2);
	tcase_add_loop_test(tc, the_stripes_add_up, 0, 2);
	tc = test_case(s, "signals and kills");
	tcase_add_test(tc, a_handler_changes_what_it_interrupts_the_wait_for);
	tcase_add_test(tc, killed_waiters);
	tcase_add_test(tc, a_wake_up_that_never_came_is_made_good);
	tcase_add_test(tc, killed_writers);
	return test_main(s);
}
