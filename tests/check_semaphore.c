/* SPDX-License-Identifier: MIT */
/* Semaphores, among threads and among processes; what is special to recorded ones is in check_semaphore_recorded.c. */
#include <ipckit/event.h>
#include <ipckit/semaphore.h>

#include "parties.h"

/* Of most tests: bit 0 of the number for processes, the rest the form. */
enum form { PLAIN, BOUNDED, RECORDED, FORMS };

struct state {
	struct ipck_semaphore semaphore;
	struct target target;
	uint64_t sum, copy; /* equal while nobody has the only permit */
	uint32_t inside, done, taken, given;
};

static struct state *state; /* for handlers */

static void init(struct state *s, enum form form, uint32_t value)
{
	struct ipck_semaphore_opts opts = IPCK_SEMAPHORE_OPTS_INIT;

	memset(&s->semaphore, 0xa5, sizeof(s->semaphore));
	opts.bound = form == BOUNDED ? value : 0;
	opts.recorded = form == RECORDED;
	ck_that(ipck_semaphore_init(&s->semaphore, value, form == PLAIN ? NULL : &opts) == 0);
}

static struct state *make_state(enum form form, uint32_t value)
{
	state = test_shared(sizeof(*state));
	init(state, form, value);
	return state;
}

/* ---- one party ---- */

static void has_none(struct ipck_semaphore *sem)
{
	struct ipck_deadline soon = ipck_in_ms(20);

	ck_assert_uint_eq(ipck_semaphore_value(sem), 0);
	ck_err(ipck_semaphore_acquire(sem, IPCK_NOWAIT), ETIMEDOUT);
	ck_err(ipck_semaphore_acquire(sem, ipck_in_ms(-1)), ETIMEDOUT);
	ck_err(ipck_semaphore_acquire(sem, soon), ETIMEDOUT);
	ck_assert(ipck_deadline_passed(soon));
	ipck_interrupt();
	ck_err(ipck_semaphore_acquire(sem, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	ipck_interrupt_clear();
	ck_assert_uint_eq(ipck_semaphore_value(sem), 0);
	ck_assert_uint_eq(sleepers_of(sem), 0);
}

START_TEST(it_counts)
{
	struct ipck_semaphore *sem = &make_state((enum form)_i, 3)->semaphore;

	for (int round = 0; round < 2; round++) {
		for (uint32_t n = 3; n-- > 0;) {
			ck_assert_int_eq(ipck_semaphore_acquire(sem, n ? IPCK_NOWAIT : IPCK_FOREVER), 0);
			ck_assert_uint_eq(ipck_semaphore_value(sem), n);
		}
		has_none(sem);
		ck_err(ipck_semaphore_release(sem, 0), EINVAL);
		ck_assert_int_eq(ipck_semaphore_release(sem, 1), 0);
		ck_assert_uint_eq(ipck_semaphore_value(sem), 1);
		ck_assert_int_eq(ipck_semaphore_release(sem, 2), 0);
		ck_assert_uint_eq(ipck_semaphore_value(sem), 3);
	}
	/* A permit that is free is acquired, interrupted or not. */
	ipck_interrupt();
	ck_assert_int_eq(ipck_semaphore_acquire(sem, ipck_interruptible(IPCK_FOREVER)), 0);
	ipck_interrupt_clear();
	ipck_semaphore_fini(sem);
}
END_TEST

static void is_no_semaphore(void *memory)
{
	ck_err(ipck_semaphore_acquire(memory, IPCK_NOWAIT), EINVAL);
	ck_err(ipck_semaphore_acquire(memory, IPCK_FOREVER), EINVAL);
	ck_err(ipck_semaphore_release(memory, 1), EINVAL);
}

START_TEST(misuse_is_told)
{
	struct ipck_semaphore *sem = test_shared(sizeof(*sem));

	is_no_semaphore(sem);
	ck_ok(ipck_event_init((struct ipck_event *)(void *)sem));
	is_no_semaphore(sem);
	ck_ok(ipck_semaphore_init(sem, 1, NULL));
	ck_ok(ipck_semaphore_acquire(sem, IPCK_NOWAIT));
	ipck_semaphore_fini(sem);
	is_no_semaphore(sem);
	ck_ok(ipck_semaphore_init(sem, 2, NULL));
	ck_assert_uint_eq(ipck_semaphore_value(sem), 2);
	ipck_semaphore_fini(NULL);
}
END_TEST

START_TEST(bad_options)
{
	struct ipck_semaphore *sem = test_shared(sizeof(*sem));

	ck_err(ipck_semaphore_init(sem, IPCK_SEMAPHORE_MAX + 1, NULL), EINVAL);
	ck_err(ipck_semaphore_init(sem, UINT32_MAX, NULL), EINVAL);
	ck_err(ipck_semaphore_init(sem, 3, IPCK_SEMAPHORE_OPTS(.bound = 2)), EINVAL);
	ck_err(ipck_semaphore_init(sem, 3, IPCK_SEMAPHORE_OPTS(.bound = IPCK_SEMAPHORE_MAX + 1)), EINVAL);
	ck_err(ipck_semaphore_init(sem, 3, IPCK_SEMAPHORE_OPTS(.bound = 3, .recorded = true)), EINVAL);
	ck_err(ipck_semaphore_init(sem, 0, IPCK_SEMAPHORE_OPTS(.recorded = true)), EINVAL);
	ck_err(ipck_semaphore_init(sem, 65, IPCK_SEMAPHORE_OPTS(.recorded = true)), ENOSPC);
	is_no_semaphore(sem);
	ck_ok(ipck_semaphore_init(sem, 0, IPCK_SEMAPHORE_OPTS(.bound = 1)));
	ck_ok(ipck_semaphore_release(sem, 1));
	ck_ok(ipck_semaphore_init(sem, 64, IPCK_SEMAPHORE_OPTS(.recorded = true)));
	ck_ok(ipck_semaphore_init(sem, 0, IPCK_SEMAPHORE_OPTS(.recorded = false)));
	ck_assert_uint_eq(ipck_semaphore_value(sem), 0);
}
END_TEST

/* Of an older header, of a newer one, and of none. */
START_TEST(options_of_another_size)
{
	struct {
		struct ipck_semaphore_opts known;
		uint64_t unknown;
	} newer = {.known = {.size = sizeof(newer), .bound = 1}};
	struct ipck_semaphore_opts older = {.size = offsetof(struct ipck_semaphore_opts, recorded), .bound = 1,
	                                    .recorded = true};
	struct ipck_semaphore *sem = test_shared(sizeof(*sem));

	ck_ok(ipck_semaphore_init(sem, 1, &older));
	/* Bounded: what lies behind its end was not read. */
	ck_err(ipck_semaphore_release(sem, 1), EPERM);
	ck_ok(ipck_semaphore_init(sem, 1, &newer.known));
	ck_err(ipck_semaphore_release(sem, 1), EPERM);
	newer.unknown = 1;
	ck_err(ipck_semaphore_init(sem, 1, &newer.known), E2BIG);
	older.size = sizeof(size_t);
	ck_ok(ipck_semaphore_init(sem, 1, &older));
	ck_ok(ipck_semaphore_release(sem, 1));
	older.size = sizeof(size_t) - 1;
	ck_err(ipck_semaphore_init(sem, 1, &older), EINVAL);
	older.size = 0;
	ck_err(ipck_semaphore_init(sem, 1, &older), EINVAL);
}
END_TEST

START_TEST(no_more_than_there_can_be)
{
	struct ipck_semaphore *sem = &make_state(PLAIN, IPCK_SEMAPHORE_MAX - 2)->semaphore;

	/* All or none. */
	ck_err(ipck_semaphore_release(sem, 3), EOVERFLOW);
	ck_err(ipck_semaphore_release(sem, UINT32_MAX), EOVERFLOW);
	ck_assert_uint_eq(ipck_semaphore_value(sem), IPCK_SEMAPHORE_MAX - 2);
	ck_ok(ipck_semaphore_release(sem, 2));
	ck_err(ipck_semaphore_release(sem, 1), EOVERFLOW);
	ck_assert_uint_eq(ipck_semaphore_value(sem), IPCK_SEMAPHORE_MAX);
	init(state, PLAIN, 0);
	ck_ok(ipck_semaphore_release(sem, IPCK_SEMAPHORE_MAX));
	ck_assert_uint_eq(ipck_semaphore_value(sem), IPCK_SEMAPHORE_MAX);
}
END_TEST

START_TEST(no_more_than_the_bound)
{
	struct ipck_semaphore *sem = &make_state(BOUNDED, 3)->semaphore;

	ck_err(ipck_semaphore_release(sem, 1), EPERM);
	ck_err(ipck_semaphore_release(sem, UINT32_MAX), EPERM);
	ck_ok(ipck_semaphore_acquire(sem, IPCK_NOWAIT));
	ck_err(ipck_semaphore_release(sem, 2), EPERM);
	ck_assert_uint_eq(ipck_semaphore_value(sem), 2);
	ck_ok(ipck_semaphore_release(sem, 1));
	ck_assert_uint_eq(ipck_semaphore_value(sem), 3);
}
END_TEST

/* ---- many parties ---- */

#define ROUNDS 2000
#define PARTIES 5

static void count_up(unsigned i, void *arg)
{
	struct state *s = arg;

	for (int n = 0; n < ROUNDS; n++) {
		ck_that(ipck_semaphore_acquire(&s->semaphore, far_off()) == 0);
		ck_that(s->sum == s->copy);
		s->sum += i + 1;
		s->copy += i + 1;
		ck_that(ipck_semaphore_release(&s->semaphore, 1) == 0);
	}
}

START_TEST(one_at_a_time)
{
	struct state *s = make_state((enum form)(_i / 2), 1);

	run_parties(_i & 1, PARTIES, count_up, s);
	ck_assert_uint_eq(s->sum, ROUNDS * PARTIES * (PARTIES + 1) / 2);
	ck_assert_uint_eq(ipck_semaphore_value(&s->semaphore), 1);
}
END_TEST

static void go_inside(unsigned i, void *arg)
{
	struct state *s = arg;
	struct ipck_semaphore *sem = &s->semaphore;

	(void)i;
	for (int n = 0; n < ROUNDS; n++) {
		ck_that(ipck_semaphore_acquire(sem, far_off()) == 0);
		ck_that(add_acq_rel(&s->inside, 1) < 3);
		ck_that(ipck_semaphore_value(sem) <= 2);
		add_acq_rel(&s->inside, UINT32_MAX);
		ck_that(ipck_semaphore_release(sem, 1) == 0);
	}
}

static void go_inside_elsewhere(unsigned i, void *arg)
{
	go_inside(i, i % 2 ? map_again(arg, sizeof(struct state)) : arg);
}

START_TEST(three_at_a_time)
{
	struct state *s = make_state((enum form)(_i / 2), 3);

	run_parties(_i & 1, PARTIES, _i & 1 ? go_inside_elsewhere : go_inside, s);
	ck_assert_uint_eq(ipck_semaphore_value(&s->semaphore), 3);
}
END_TEST

/* Nobody ever sees a part of a release. */
static void give_three(unsigned i, void *arg)
{
	struct state *s = arg;

	(void)i;
	for (int n = 0; n < ROUNDS; n++) {
		ck_that(ipck_semaphore_release(&s->semaphore, 3) == 0);
		ck_that(ipck_semaphore_value(&s->semaphore) % 3 == 0);
	}
}

START_TEST(a_release_is_whole)
{
	struct state *s = make_state(PLAIN, 0);

	run_parties(_i, PARTIES, give_three, s);
	ck_assert_uint_eq(ipck_semaphore_value(&s->semaphore), 3 * ROUNDS * PARTIES);
}
END_TEST

/* Gives more than it takes, whenever it can. */
static void press_the_bound(unsigned i, void *arg)
{
	struct test_random random = test_random(i);
	struct state *s = arg;

	for (int n = 0; n < 2 * ROUNDS; n++) {
		uint32_t some = 1 + (uint32_t)test_random_below(&random, 3);
		int rc = ipck_semaphore_acquire(&s->semaphore, IPCK_NOWAIT);

		ck_that(rc == 0 || rc == -ETIMEDOUT);
		if (rc == 0)
			add_relaxed(&s->taken, 1);
		rc = ipck_semaphore_release(&s->semaphore, some);
		ck_that(rc == 0 || rc == -EPERM);
		if (rc == 0)
			add_relaxed(&s->given, some);
		ck_that(ipck_semaphore_value(&s->semaphore) <= 4);
	}
}

START_TEST(the_bound_holds)
{
	struct state *s = make_state(BOUNDED, 4);
	uint32_t left;

	run_parties(_i, PARTIES, press_the_bound, s);
	left = ipck_semaphore_value(&s->semaphore);
	ck_assert_uint_eq(left, 4 + s->given - s->taken);
	ck_assert_uint_gt(s->given, 0);
}
END_TEST

/* ---- who sleeps ---- */

static void take_one(unsigned i, void *arg)
{
	struct state *s = arg;

	(void)i;
	ck_that(ipck_semaphore_acquire(&s->semaphore, far_off()) == 0);
	add_acq_rel(&s->done, 1);
}

/* n are released at once, and as many go on; then the rest. */
static void wake_some(unsigned i, void *arg)
{
	struct state *s = arg;

	if (i < PARTIES) {
		take_one(i, arg);
		return;
	}
	TEST_UNTIL(sleepers_of(&s->semaphore) == PARTIES);
	ck_ok(ipck_semaphore_release(&s->semaphore, 3));
	TEST_UNTIL(load_acquire(&s->done) == 3);
	ck_that(ipck_semaphore_value(&s->semaphore) == 0);
	ck_ok(ipck_semaphore_release(&s->semaphore, PARTIES - 3));
}

START_TEST(a_release_wakes_as_many)
{
	struct state *s = make_state(PLAIN, 0);

	spin_forbid();
	if (_i & 2)
		ck_ok(ipck_semaphore_init(&s->semaphore, 0, IPCK_SEMAPHORE_OPTS(.bound = PARTIES)));
	run_parties(_i & 1, PARTIES + 1, wake_some, s);
	ck_assert_uint_eq(s->done, PARTIES);
	ck_assert_uint_eq(ipck_semaphore_value(&s->semaphore), 0);
}
END_TEST

static void sleep_until_interrupted(void *arg)
{
	struct state *s = arg;

	interrupt_soon();
	ck_err(ipck_semaphore_acquire(&s->semaphore, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
}

START_TEST(an_interruption_ends_the_sleep)
{
	struct state *s = make_state((enum form)_i, 1);

	spin_forbid();
	ck_ok(ipck_semaphore_acquire(&s->semaphore, IPCK_NOWAIT));
	test_join(test_fork(sleep_until_interrupted, s));
	ck_ok(ipck_semaphore_release(&s->semaphore, 1));
	ck_ok(ipck_semaphore_acquire(&s->semaphore, IPCK_NOWAIT));
}
END_TEST

static void take_and_note(void *arg)
{
	take_one(0, arg);
}

START_TEST(killed_waiters_take_nothing)
{
	struct state *s = make_state(PLAIN, 0);
	pid_t pids[PARTIES];

	spin_forbid();
	for (int i = 0; i < PARTIES; i++)
		pids[i] = test_fork(take_and_note, s);
	TEST_UNTIL(sleepers_of(&s->semaphore) == PARTIES);
	test_kill(pids[0]);
	test_kill(pids[1]);
	ck_ok(ipck_semaphore_release(&s->semaphore, PARTIES));
	test_join_all(pids + 2, PARTIES - 2);
	ck_assert_uint_eq(ipck_semaphore_value(&s->semaphore), 2);
}
END_TEST

static void take_and_die(void *arg)
{
	take_one(0, arg);
	raise(SIGKILL);
}

/* What a killed one had is gone, of a plain or bounded one; others go on. */
START_TEST(killed_holders_keep_theirs)
{
	struct state *s = make_state((enum form)_i, 3);
	pid_t pid = test_fork(take_and_die, s);

	(void)test_wait(pid);
	ck_assert_uint_eq(s->done, 1);
	ck_assert_uint_eq(ipck_semaphore_value(&s->semaphore), 2);
	ck_ok(ipck_semaphore_acquire(&s->semaphore, IPCK_NOWAIT));
	ck_ok(ipck_semaphore_acquire(&s->semaphore, IPCK_NOWAIT));
	ck_err(ipck_semaphore_acquire(&s->semaphore, ipck_in_ms(5)), ETIMEDOUT);
	/* Whoever knows may give it for the dead. */
	ck_ok(ipck_semaphore_release(&s->semaphore, 1));
	ck_ok(ipck_semaphore_acquire(&s->semaphore, IPCK_NOWAIT));
}
END_TEST

/* ---- signals ---- */

#define SIGNALS 1000

static void use_in_handler(int signal)
{
	(void)signal;
	ck_that(ipck_semaphore_value(&state->semaphore) <= 3);
	if (ipck_semaphore_acquire(&state->semaphore, IPCK_NOWAIT) == 0)
		ck_that(ipck_semaphore_release(&state->semaphore, 1) == 0);
	add_acq_rel(&state->target.taken, 1);
}

static void use_until_over(void *arg)
{
	struct state *s = arg;

	take_signals(&s->target, use_in_handler);
	while (load_acquire(&s->target.taken) < SIGNALS) {
		ck_that(ipck_semaphore_acquire(&s->semaphore, far_off()) == 0);
		ck_that(ipck_semaphore_acquire(&s->semaphore, far_off()) == 0);
		ck_that(ipck_semaphore_release(&s->semaphore, 2) == 0);
	}
	store_release(&s->target.over, 1);
}

START_TEST(used_in_a_handler)
{
	struct state *s = make_state((enum form)_i, 3);
	pid_t pid = test_fork(use_until_over, s);

	(void)send_signals(pid, &s->target, UINT32_MAX);
	test_join(pid);
	ck_assert_uint_eq(ipck_semaphore_value(&s->semaphore), 3);
}
END_TEST

static void give_in_handler(int signal)
{
	(void)signal;
	add_acq_rel(&state->target.taken, 1);
	ck_that(ipck_semaphore_release(&state->semaphore, 1) == 0);
}

/* The handler of who sleeps gives what it sleeps for. */
static void wait_for_handlers(void *arg)
{
	struct state *s = arg;

	spin_forbid();
	take_signals(&s->target, give_in_handler);
	for (int n = 0; n < SIGNALS; n++)
		ck_that(ipck_semaphore_acquire(&s->semaphore, far_off()) == 0);
}

START_TEST(given_in_a_handler)
{
	struct state *s = make_state(PLAIN, 0);
	pid_t pid = test_fork(wait_for_handlers, s);

	ck_assert_uint_eq(send_signals(pid, &s->target, SIGNALS), SIGNALS);
	test_join(pid);
	ck_assert_uint_eq(ipck_semaphore_value(&s->semaphore), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("semaphore");
	TCase *tc = test_case(s, "one");

	tcase_add_loop_test(tc, it_counts, 0, FORMS);
	tcase_add_test(tc, misuse_is_told);
	tcase_add_test(tc, bad_options);
	tcase_add_test(tc, options_of_another_size);
	tcase_add_test(tc, no_more_than_there_can_be);
	tcase_add_test(tc, no_more_than_the_bound);
	tc = test_case(s, "many");
	tcase_add_loop_test(tc, one_at_a_time, 0, 2 * FORMS);
	tcase_add_loop_test(tc, a_release_is_whole, 0, 2);
	tcase_add_loop_test(tc, the_bound_holds, 0, 2);
	tc = test_case(s, "sleep");
	tcase_add_loop_test(tc, a_release_wakes_as_many, 0, 4);
	tcase_add_loop_test(tc, an_interruption_ends_the_sleep, 0, FORMS);
	tcase_add_test(tc, killed_waiters_take_nothing);
	tcase_add_loop_test(tc, killed_holders_keep_theirs, 0, RECORDED);
	tc = test_case(s, "signals");
	tcase_add_loop_test(tc, used_in_a_handler, 0, RECORDED);
	tcase_add_test(tc, given_in_a_handler);
	/* valgrind refuses a second mapping of the same memory. */
	tc = test_case(s, "two mappings");
	tcase_set_tags(tc, "not_valgrind");
	tcase_add_loop_test(tc, three_at_a_time, 0, 2 * FORMS);
	return test_main(s);
}
