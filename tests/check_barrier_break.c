/* SPDX-License-Identifier: MIT */
/* What breaks barriers, and what mends them, among threads and among processes. */
#include <ipckit/barrier.h>

#include "gate.h"

static void is_broken(struct gate *g)
{
	ck_that(ipck_barrier_broken(g->b));
	ck_that(waiting(g) == 0);
	ck_err(pass(g), ECANCELED);
	ck_err(ipck_barrier_wait(g->b, NULL, IPCK_NOWAIT), ECANCELED);
	/* As often as one likes. */
	ck_ok(ipck_barrier_abort(g->b));
	ck_that(ipck_barrier_broken(g->b));
}

static void mend(struct gate *g)
{
	is_broken(g);
	ck_ok(ipck_barrier_reset(g->b));
	ck_that(!ipck_barrier_broken(g->b));
	end_gate(g);
}

/* ---- giving up ---- */

/* Of four three come, and the last of them gives up. */
static void give_up(unsigned i, void *arg)
{
	struct gate *g = arg;

	if (i > 0) {
		ck_err(pass(g), ECANCELED);
		ck_that(ipck_barrier_broken(g->b));
		return;
	}
	TEST_UNTIL(waiting(g) == 2);
	ck_err(ipck_barrier_wait(g->b, NULL, g->result ? ipck_in_ms(20) : IPCK_NOWAIT), ETIMEDOUT);
}

START_TEST(a_deadline_that_passes_breaks_it_for_all)
{
	struct gate *g = make_gate(4);

	g->result = _i / PARTY_WAYS;
	run_parties(_i, 3, give_up, g);
	mend(g);
}
END_TEST

/* Not those that come with the last one, in no time. */
static void come_for_no_time(unsigned i, void *arg)
{
	struct gate *g = arg;

	if (i > 0) {
		ck_that(pass(g) == 0);
		return;
	}
	TEST_UNTIL(waiting(g) == 2);
	ck_that(ipck_barrier_wait(g->b, NULL, IPCK_NOWAIT) == IPCK_ELECTED);
}

START_TEST(the_last_one_needs_no_time)
{
	struct gate *g = make_gate(3);

	run_parties(_i, 3, come_for_no_time, g);
	end_gate(g);
}
END_TEST

static void be_interrupted(unsigned i, void *arg)
{
	struct gate *g = arg;

	if (i > 0) {
		ck_err(pass(g), ECANCELED);
		return;
	}
	TEST_UNTIL(waiting(g) == 2);
	ipck_interrupt();
	ck_err(ipck_barrier_wait(g->b, NULL, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	ipck_interrupt_clear();
}

START_TEST(an_interrupt_breaks_it)
{
	struct gate *g = make_gate(4);

	run_parties(_i, 3, be_interrupted, g);
	mend(g);
}
END_TEST

static void wait_for_signal(void *arg)
{
	struct gate *g = arg;

	let_signals_interrupt();
	store_release(&g->began, 1);
	ck_err(ipck_barrier_wait(g->b, NULL, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
}

START_TEST(a_signal_ends_the_wait)
{
	struct gate *g = make_gate(2);
	pid_t pid = test_fork(wait_for_signal, g);

	TEST_UNTIL(waiting(g) == 1);
	ck_assert(kill(pid, SIGUSR1) == 0);
	test_join(pid);
	mend(g);
}
END_TEST

/* ---- the time that it has itself ---- */

static void make_hurried(struct gate *g)
{
	ipck_barrier_fini(g->b);
	ck_ok(ipck_barrier_init(g->b, 2, IPCK_BARRIER_OPTS(.timeout_ns = 20000000)));
}

START_TEST(it_has_a_deadline_of_its_own)
{
	struct gate *g = make_gate(2);

	make_hurried(g);
	ck_err(ipck_barrier_wait(g->b, NULL, IPCK_FOREVER), ETIMEDOUT);
	ck_assert(ipck_barrier_broken(g->b));
	ck_ok(ipck_barrier_reset(g->b));
	ck_err(ipck_barrier_wait(g->b, NULL, ipck_interruptible(IPCK_FOREVER)), ETIMEDOUT);
	mend(g);
}
END_TEST

static void wait_longer(unsigned i, void *arg)
{
	struct gate *g = arg;
	struct ipck_deadline later = ipck_in_ms(100);

	if (i > 0) {
		ck_that(pass(g) == 0);
		return;
	}
	TEST_UNTIL(waiting(g) == 1);
	TEST_UNTIL(ipck_deadline_passed(later));
	ck_that(ipck_barrier_wait(g->b, NULL, IPCK_FOREVER) == IPCK_ELECTED);
}

START_TEST(one_that_is_given_goes_before)
{
	struct gate *g = make_gate(2);

	make_hurried(g);
	run_parties(_i, 2, wait_longer, g);
	end_gate(g);
}
END_TEST

/* ---- abort ---- */

static void be_aborted(unsigned i, void *arg)
{
	struct gate *g = arg;

	if (i > 0) {
		ck_err(pass(g), ECANCELED);
		return;
	}
	TEST_UNTIL(waiting(g) == 3);
	ck_ok(ipck_barrier_abort(g->b));
}

START_TEST(an_abort_with_those_who_wait)
{
	struct gate *g = make_gate(4);

	run_parties(_i, 4, be_aborted, g);
	mend(g);
}
END_TEST

START_TEST(an_abort_without)
{
	struct gate *g = make_gate(4);

	ck_ok(ipck_barrier_abort(g->b));
	mend(g);
}
END_TEST

/* ---- reset ---- */

START_TEST(a_reset_of_what_is_whole)
{
	struct gate *g = make_gate(2);

	for (int i = 0; i < 3; i++)
		ck_ok(ipck_barrier_reset(g->b));
	ck_assert(!ipck_barrier_broken(g->b));
	end_gate(g);
}
END_TEST

START_TEST(a_reset_of_what_is_broken)
{
	struct gate *g = make_gate(2);

	ck_ok(ipck_barrier_abort(g->b));
	ck_ok(ipck_barrier_reset(g->b));
	ck_ok(ipck_barrier_reset(g->b));
	/* Nobody has to leave: also broken once more. */
	ck_ok(ipck_barrier_abort(g->b));
	ck_assert(ipck_barrier_broken(g->b));
	ck_ok(ipck_barrier_reset(g->b));
	end_gate(g);
}
END_TEST

/* Those who waited get the error, and are then welcome again, with those who come new. */
static void be_reset(unsigned i, void *arg)
{
	struct gate *g = arg;

	if (i > 0) {
		for (int n = 0; n < 20; n++) {
			ck_err(pass(g), ECANCELED);
			ck_that(!ipck_barrier_broken(g->b));
			ck_ok(pass(g));
		}
		return;
	}
	for (int n = 0; n < 20; n++) {
		TEST_UNTIL(waiting(g) == 2);
		ck_ok(ipck_barrier_reset(g->b));
		ck_that(!ipck_barrier_broken(g->b));
		ck_ok(pass(g));
	}
}

START_TEST(a_reset_with_those_who_wait)
{
	struct gate *g = make_gate(3);

	run_parties(_i, 3, be_reset, g);
	end_gate(g);
}
END_TEST

static void wait_reset(void *arg)
{
	ck_err(pass(arg), ECANCELED);
}

static void wait_new(void *arg)
{
	struct gate *g = arg;

	add_acq_rel(&g->began, 1);
	ck_ok(pass(g));
	add_acq_rel(&g->ended, 1);
}

/* One that was there before the reset cannot leave, until it goes on or is killed. */
static void reset_around_a_stopped_one(struct gate *g, bool killed, bool broken)
{
	pid_t old = test_fork(wait_reset, g), pids[3];

	TEST_UNTIL(waiting(g) == 1 && test_state(old) == 'S');
	stop(old);
	if (broken)
		ck_ok(ipck_barrier_abort(g->b));
	ck_ok(ipck_barrier_reset(g->b));
	for (int i = 0; i < 3; i++)
		pids[i] = test_fork(wait_new, g);
	TEST_UNTIL(load_acquire(&g->began) == 3);
	/* A wait before the cycle has begun, too, has its deadline, and breaks nothing. */
	ck_err(ipck_barrier_wait(g->b, NULL, ipck_in_ms(300)), ETIMEDOUT);
	ck_that(!ipck_barrier_broken(g->b));
	ck_that(load_acquire(&g->ended) == 0);
	if (killed) {
		test_kill(old);
	} else {
		go_on(old);
		test_join(old);
	}
	test_join_all(pids, 3);
	ck_that(load_acquire(&g->ended) == 3);
}

START_TEST(who_comes_new_waits_until_they_have_left)
{
	struct gate *g = make_gate(3);

	reset_around_a_stopped_one(g, _i & 1, _i & 2);
	end_gate(g);
}
END_TEST

/* ---- during an action ---- */

static int change_it(void *arg)
{
	struct gate *g = arg;

	ck_ok(g->result ? ipck_barrier_reset(g->b) : ipck_barrier_abort(g->b));
	return 0;
}

static int wait_for_change(void *arg)
{
	struct gate *g = arg;

	store_release(&g->began, 1);
	TEST_UNTIL(load_acquire(&g->go));
	return 0;
}

/* The last one does it in its action. */
static void change_in_the_action(unsigned i, void *arg)
{
	ck_err(ipck_barrier_wait_action(((struct gate *)arg)->b, change_it, arg, NULL, far_off()), ECANCELED);
	(void)i;
}

/* Another does it. */
static void change_during_the_action(unsigned i, void *arg)
{
	struct gate *g = arg;

	if (i > 0) {
		ck_err(ipck_barrier_wait_action(g->b, wait_for_change, g, NULL, far_off()), ECANCELED);
		return;
	}
	TEST_UNTIL(load_acquire(&g->began));
	ck_that(change_it(g) == 0);
	store_release(&g->go, 1);
}

START_TEST(changes_by_the_action)
{
	struct gate *g = make_gate(3);

	g->result = _i / PARTY_WAYS;
	run_parties(_i, 3, change_in_the_action, g);
	if (!g->result)
		mend(g);
	else
		end_gate(g);
}
END_TEST

START_TEST(changes_during_the_action)
{
	struct gate *g = make_gate(3);

	g->result = _i / PARTY_WAYS;
	run_parties(_i, 4, change_during_the_action, g);
	if (!g->result)
		mend(g);
	else
		end_gate(g);
}
END_TEST

/* ---- questions ---- */

START_TEST(questions)
{
	struct gate *g = make_gate(3);
	pid_t pids[2];

	ck_assert_uint_eq(ipck_barrier_parties(g->b), 3);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(waiting(g), i);
		pids[i] = test_fork(wait_new, g);
		TEST_UNTIL(waiting(g) == i + 1);
		ck_assert(!ipck_barrier_broken(g->b));
	}
	ck_assert_int_eq(pass(g), IPCK_ELECTED);
	ck_assert_uint_eq(waiting(g), 0);
	test_join_all(pids, 2);
	end_gate(g);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("barrier broken");
	TCase *tc = test_case(s, "giving up");

	tcase_add_loop_test(tc, a_deadline_that_passes_breaks_it_for_all, 0, 2 * PARTY_WAYS);
	tcase_add_loop_test(tc, the_last_one_needs_no_time, 0, PARTY_WAYS);
	tcase_add_loop_test(tc, an_interrupt_breaks_it, 0, PARTY_WAYS);
	tcase_add_test(tc, a_signal_ends_the_wait);
	tcase_add_test(tc, it_has_a_deadline_of_its_own);
	tcase_add_loop_test(tc, one_that_is_given_goes_before, 0, PARTY_WAYS);
	tc = test_case(s, "abort");
	tcase_add_loop_test(tc, an_abort_with_those_who_wait, 0, PARTY_WAYS);
	tcase_add_test(tc, an_abort_without);
	tc = test_case(s, "reset");
	tcase_add_test(tc, a_reset_of_what_is_whole);
	tcase_add_test(tc, a_reset_of_what_is_broken);
	tcase_add_loop_test(tc, a_reset_with_those_who_wait, 0, PARTY_WAYS);
	tcase_add_loop_test(tc, who_comes_new_waits_until_they_have_left, 0, 4);
	tc = test_case(s, "action");
	tcase_add_loop_test(tc, changes_by_the_action, 0, 2 * PARTY_WAYS);
	tcase_add_loop_test(tc, changes_during_the_action, 0, 2 * PARTY_WAYS);
	tc = test_case(s, "questions");
	tcase_add_test(tc, questions);
	return test_main(s);
}
