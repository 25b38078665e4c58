/* SPDX-License-Identifier: MIT */
/* Events, among threads and among processes, from signal handlers, and with waiters and setters that are killed. */
#include <ipckit/event.h>
#include <ipckit/lock.h>

#include "parties.h"

#define PARTIES 5

struct state {
	struct ipck_event event, answer;
	struct target target;
	uint32_t returned, over;
	uint64_t value; /* of who sets next, no atomics */
};

static struct state *state; /* for handlers */

static struct state *make_state(void)
{
	state = test_shared(sizeof(*state));
	memset(&state->event, 0xa5, sizeof(state->event));
	ck_ok(ipck_event_init(&state->event));
	ck_ok(ipck_event_init(&state->answer));
	return state;
}

static void expect_clear(struct ipck_event *e)
{
	ck_that(!ipck_event_is_set(e));
	ck_err(ipck_event_wait(e, IPCK_NOWAIT), ETIMEDOUT);
}

static void expect_set(struct ipck_event *e)
{
	ck_that(ipck_event_is_set(e));
	ck_that(ipck_event_wait(e, IPCK_NOWAIT) == 0);
	ck_that(ipck_event_wait(e, IPCK_FOREVER) == 0);
}

/* ---- one party ---- */

START_TEST(it_is_set_or_clear)
{
	struct ipck_event *e = &make_state()->event;

	expect_clear(e);
	ck_assert_int_eq(ipck_event_clear(e), 0);
	expect_clear(e);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(ipck_event_set(e), 0);
		expect_set(e);
	}
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(ipck_event_clear(e), 0);
		expect_clear(e);
	}
	ipck_event_fini(e);
}
END_TEST

static void is_no_event(void *memory)
{
	ck_err(ipck_event_set(memory), EINVAL);
	ck_err(ipck_event_clear(memory), EINVAL);
	ck_err(ipck_event_wait(memory, IPCK_NOWAIT), EINVAL);
	ck_err(ipck_event_wait(memory, IPCK_FOREVER), EINVAL);
}

START_TEST(misuse_is_told)
{
	struct ipck_lock *lock = test_shared(sizeof(*lock));
	struct ipck_event *e;

	is_no_event(lock);
	ck_ok(ipck_lock_init(lock));
	is_no_event(lock);
	e = &make_state()->event;
	ck_ok(ipck_event_set(e));
	ipck_event_fini(e);
	is_no_event(e);
	ck_ok(ipck_event_init(e));
	expect_clear(e);
	ipck_event_fini(NULL);
}
END_TEST

START_TEST(waits_end_by_their_deadline)
{
	struct ipck_event *e = &make_state()->event;
	struct ipck_deadline soon = ipck_in_ms(20);

	ck_err(ipck_event_wait(e, ipck_in_ms(-5)), ETIMEDOUT);
	ck_err(ipck_event_wait(e, soon), ETIMEDOUT);
	ck_assert(ipck_deadline_passed(soon));
	ipck_interrupt();
	ck_err(ipck_event_wait(e, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	ck_err(ipck_event_wait(e, ipck_in_ms(5)), ETIMEDOUT);
	ck_ok(ipck_event_set(e));
	ck_ok(ipck_event_wait(e, ipck_interruptible(IPCK_FOREVER)));
	ipck_interrupt_clear();
	ck_assert_uint_eq(sleepers_of(e), 0);
}
END_TEST

static void sleep_until_interrupted(void *arg)
{
	struct state *s = arg;

	interrupt_soon();
	ck_err(ipck_event_wait(&s->event, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
}

START_TEST(an_interruption_ends_the_sleep)
{
	struct state *s = make_state();

	spin_forbid();
	test_join(test_fork(sleep_until_interrupted, s));
	expect_clear(&s->event);
}
END_TEST

/* ---- many waiters ---- */

#define ROUNDS 50

struct rounds {
	struct ipck_event event[ROUNDS]; /* one for each, so that the number of its sleepers is exact */
	bool clear;
};

static void wait_each_round(unsigned i, void *arg)
{
	struct rounds *r = arg;

	for (int round = 0; round < ROUNDS; round++) {
		struct ipck_event *e = &r->event[round];

		if (i < PARTIES) {
			ck_that(ipck_event_wait(e, far_off()) == 0);
			continue;
		}
		TEST_UNTIL(sleepers_of(e) == PARTIES);
		ck_ok(ipck_event_set(e));
		if (r->clear)
			ck_ok(ipck_event_clear(e));
	}
}

START_TEST(all_that_wait_are_released)
{
	struct rounds *r = test_shared(sizeof(*r));

	spin_forbid();
	r->clear = _i & 2;
	for (int round = 0; round < ROUNDS; round++)
		ck_ok(ipck_event_init(&r->event[round]));
	run_parties(_i & 1, PARTIES + 1, wait_each_round, r);
	for (int round = 0; round < ROUNDS; round++)
		ck_assert(ipck_event_is_set(&r->event[round]) == !r->clear);
}
END_TEST

/* What was stored before a set is seen after the wait. */
static void throw_back(unsigned i, void *arg)
{
	struct state *s = arg;
	struct ipck_event *mine = i ? &s->answer : &s->event, *other = i ? &s->event : &s->answer;

	for (uint64_t round = 0; round < 2000; round++) {
		ck_that(ipck_event_wait(mine, far_off()) == 0);
		ck_ok(ipck_event_clear(mine));
		ck_that(s->value == 2 * round + i);
		s->value++;
		ck_ok(ipck_event_set(other));
	}
}

START_TEST(ping_pong)
{
	struct state *s = make_state();

	ck_ok(ipck_event_set(&s->event));
	run_parties(_i, 2, throw_back, s);
	ck_assert_uint_eq(s->value, 4000);
}
END_TEST

/* Set and cleared all the time: each wait ends. */
static void wait_or_toggle(unsigned i, void *arg)
{
	struct state *s = arg;

	if (i >= PARTIES) {
		while (load_acquire(&s->returned) < PARTIES) {
			ck_ok(ipck_event_set(&s->event));
			ck_ok(ipck_event_clear(&s->event));
		}
		return;
	}
	for (int n = 0; n < 200; n++)
		ck_that(ipck_event_wait(&s->event, far_off()) == 0);
	add_acq_rel(&s->returned, 1);
}

START_TEST(toggled_by_two)
{
	struct state *s = make_state();

	run_parties(_i, PARTIES + 2, wait_or_toggle, s);
	expect_clear(&s->event);
}
END_TEST

static void wait_elsewhere(unsigned i, void *arg)
{
	struct state *s = map_again(arg, sizeof(*s));

	(void)i;
	ck_that(ipck_event_wait(&s->event, far_off()) == 0);
	ck_ok(ipck_event_set(&s->answer));
}

static void set_for_it(void *arg)
{
	struct state *s = arg;

	TEST_UNTIL(sleepers_of(&s->event) == 1);
	ck_ok(ipck_event_set(&s->event));
	ck_that(ipck_event_wait(&s->answer, far_off()) == 0);
}

START_TEST(it_lies_at_any_address)
{
	struct state *s = make_state();
	pid_t setter = test_fork(set_for_it, s);

	spin_forbid();
	test_processes(1, wait_elsewhere, s);
	test_join(setter);
	expect_set(&s->answer);
}
END_TEST

/* ---- signals ---- */

#define SIGNALS 1000

static void set_in_handler(int signal)
{
	(void)signal;
	ck_ok(ipck_event_set(&state->event));
	ck_that(ipck_event_is_set(&state->event));
	add_acq_rel(&state->target.taken, 1);
}

enum interrupted_call { IN_WAIT, IN_IS_SET, IN_SET, IN_CLEAR, IN_TIMED_WAIT, INTERRUPTED_CALLS };

static void call_once(struct ipck_event *e, enum interrupted_call call)
{
	int rc;

	switch (call) {
	case IN_IS_SET:
		(void)ipck_event_is_set(e);
		break;
	case IN_SET:
		ck_ok(ipck_event_set(e));
		break;
	case IN_TIMED_WAIT:
		rc = ipck_event_wait(e, ipck_in_ms(1));
		ck_that(rc == 0 || rc == -ETIMEDOUT);
		break;
	case IN_WAIT:
		ck_that(ipck_event_wait(e, far_off()) == 0);
		break;
	default:
		break;
	}
	ck_ok(ipck_event_clear(e));
}

struct handled {
	struct state *s;
	enum interrupted_call call;
};

static void call_until_over(void *arg)
{
	const struct handled *h = arg;
	struct target *t = &h->s->target;

	spin_forbid();
	take_signals(t, set_in_handler);
	while (load_acquire(&t->taken) < SIGNALS)
		call_once(&h->s->event, h->call);
	store_release(&t->over, 1);
}

START_TEST(set_in_a_handler)
{
	struct handled h = {make_state(), (enum interrupted_call)_i};
	pid_t pid = test_fork(call_until_over, &h);

	/* More than it takes: one may come between its last wait's clear and its look at the number. */
	(void)send_signals(pid, &h.s->target, UINT32_MAX);
	test_join(pid);
	ck_ok(ipck_event_set(&h.s->event));
	expect_set(&h.s->event);
}
END_TEST

static void only_count(int signal)
{
	(void)signal;
	add_acq_rel(&state->target.taken, 1);
}

static void wait_through_signals(void *arg)
{
	struct ipck_deadline soon;
	struct state *s = arg;

	spin_forbid();
	take_signals(&s->target, only_count);
	ck_that(ipck_event_wait(&s->event, far_off()) == 0);
	soon = ipck_in_ms(30);
	ck_err(ipck_event_wait(&s->answer, soon), ETIMEDOUT);
	ck_that(ipck_deadline_passed(soon));
	store_release(&s->target.over, 1);
}

START_TEST(signals_do_not_end_a_wait)
{
	struct state *s = make_state();
	pid_t pid = test_fork(wait_through_signals, s);

	ck_assert_uint_eq(send_signals(pid, &s->target, 100), 100);
	ck_ok(ipck_event_set(&s->event));
	test_join(pid);
}
END_TEST

/* ---- deaths ---- */

static void wait_for_it(void *arg)
{
	struct state *s = arg;

	ck_that(ipck_event_wait(&s->event, far_off()) == 0);
	add_acq_rel(&s->returned, 1);
}

START_TEST(killed_waiters_disturb_nobody)
{
	struct state *s = make_state();
	pid_t pids[PARTIES];

	spin_forbid();
	for (int i = 0; i < PARTIES; i++)
		pids[i] = test_fork(wait_for_it, s);
	TEST_UNTIL(sleepers_of(&s->event) == PARTIES);
	test_kill(pids[0]);
	test_kill(pids[PARTIES - 1]);
	ck_ok(ipck_event_set(&s->event));
	ck_ok(ipck_event_clear(&s->event));
	test_join_all(pids + 1, PARTIES - 2);
	ck_assert_uint_eq(s->returned, PARTIES - 2);
	expect_clear(&s->event);
}
END_TEST

/* All waiters are dead when it is set. */
START_TEST(nobody_is_left)
{
	struct state *s = make_state();
	pid_t pid;

	spin_forbid();
	pid = test_fork(wait_for_it, s);
	TEST_UNTIL(sleepers_of(&s->event) == 1);
	test_kill(pid);
	ck_ok(ipck_event_set(&s->event));
	expect_set(&s->event);
	ck_assert_uint_eq(sleepers_of(&s->event), 0);
}
END_TEST

static void toggle_for_ever(void *arg)
{
	struct state *s = arg;

	for (;;) {
		ck_ok(ipck_event_set(&s->event));
		add_acq_rel(&s->target.taken, 1);
		ck_ok(ipck_event_clear(&s->event));
	}
}

static void wait_until_over(void *arg)
{
	struct state *s = arg;

	while (!load_acquire(&s->over)) {
		ck_that(ipck_event_wait(&s->event, far_off()) == 0);
		add_acq_rel(&s->returned, 1);
	}
}

START_TEST(killed_setters_leave_it_whole)
{
	struct state *s = make_state();
	struct test_random random = test_random(1);
	pid_t waiters[2], setter;

	for (int i = 0; i < 2; i++)
		waiters[i] = test_fork(wait_until_over, s);
	for (int kills = 0; kills < 60; kills++) {
		uint32_t before = load_acquire(&s->returned), set = load_acquire(&s->target.taken);

		setter = test_fork(toggle_for_ever, s);
		TEST_UNTIL(load_acquire(&s->returned) != before && load_acquire(&s->target.taken) != set);
		usleep((useconds_t)test_random_below(&random, 1000));
		test_kill(setter);
	}
	store_release(&s->over, 1);
	ck_ok(ipck_event_set(&s->event));
	test_join_all(waiters, 2);
	expect_set(&s->event);
	ck_ok(ipck_event_clear(&s->event));
	expect_clear(&s->event);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("event");
	TCase *tc = test_case(s, "one");

	tcase_add_test(tc, it_is_set_or_clear);
	tcase_add_test(tc, misuse_is_told);
	tcase_add_test(tc, waits_end_by_their_deadline);
	tcase_add_test(tc, an_interruption_ends_the_sleep);
	tc = test_case(s, "many");
	tcase_add_loop_test(tc, all_that_wait_are_released, 0, 4);
	tcase_add_loop_test(tc, ping_pong, 0, 2);
	tcase_add_loop_test(tc, toggled_by_two, 0, 2);
	tc = test_case(s, "signals");
	tcase_add_loop_test(tc, set_in_a_handler, 0, INTERRUPTED_CALLS);
	tcase_add_test(tc, signals_do_not_end_a_wait);
	tc = test_case(s, "deaths");
	tcase_add_test(tc, killed_waiters_disturb_nobody);
	tcase_add_test(tc, nobody_is_left);
	tcase_add_test(tc, killed_setters_leave_it_whole);
	/* valgrind refuses a second mapping of the same memory. */
	tc = test_case(s, "two mappings");
	tcase_set_tags(tc, "not_valgrind");
	tcase_add_test(tc, it_lies_at_any_address);
	return test_main(s);
}
