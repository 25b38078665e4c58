/* SPDX-License-Identifier: MIT */
/* Barriers whose parties are killed. */
#include <ipckit/barrier.h>

#include "base/clock.h"
#include "gate.h"

#include <pthread.h>

static const struct barrier *inside(const struct gate *g)
{
	return (const struct barrier *)g->b;
}

static void wait_for_ever(void *arg)
{
	struct gate *g = arg;

	spin_forbid();
	(void)pass(g);
}

/* Waits, and sleeps. */
static pid_t start_waiter(struct gate *g)
{
	uint32_t before = waiting(g);
	pid_t pid = test_fork(wait_for_ever, g);

	TEST_UNTIL(waiting(g) == before + 1 && test_state(pid) == 'S');
	return pid;
}

static void be_broken_by_a_death(void *arg)
{
	ck_err(pass(arg), EOWNERDEAD);
}

static pid_t start_victim_of_a_death(struct gate *g)
{
	uint32_t before = waiting(g);
	pid_t pid = test_fork(be_broken_by_a_death, g);

	TEST_UNTIL(waiting(g) == before + 1);
	return pid;
}

static void mend(struct gate *g)
{
	ck_that(ipck_barrier_broken(g->b));
	ck_that(waiting(g) == 0);
	ck_err(pass(g), EOWNERDEAD);
	ck_err(ipck_barrier_wait(g->b, NULL, IPCK_NOWAIT), EOWNERDEAD);
	ck_ok(ipck_barrier_abort(g->b));
	ck_err(pass(g), EOWNERDEAD);
	ck_ok(ipck_barrier_reset(g->b));
	end_gate(g);
}

/* The last one to come then makes sure that the others live. */
static void let_it_grow_old(const struct gate *g)
{
	int64_t begun = load_relaxed(&inside(g)->begun);

	TEST_UNTIL(clock_now() - begun > TICK_NS + NS_PER_MS);
}

/* ---- those who wait ---- */

START_TEST(a_death_breaks_it_for_those_who_wait)
{
	struct gate *g = make_gate(5);
	pid_t pids[4];

	/* _i: which of them. */
	for (int i = 0; i < 4; i++)
		pids[i] = i == _i ? start_waiter(g) : start_victim_of_a_death(g);
	test_kill(pids[_i]);
	for (int i = 0; i < 4; i++)
		if (i != _i)
			test_join(pids[i]);
	mend(g);
}
END_TEST

START_TEST(many_deaths)
{
	struct gate *g = make_gate(9);
	pid_t pids[8];

	for (int i = 0; i < 8; i++)
		pids[i] = i == 3 ? start_victim_of_a_death(g) : start_waiter(g);
	for (int i = 0; i < 8; i++)
		if (i != 3)
			kill(pids[i], SIGKILL);
	/* Without pidfds the dead are dead when they are reaped. */
	for (int i = 0; i < 8; i++)
		if (i != 3)
			test_kill(pids[i]);
	test_join(pids[3]);
	mend(g);
}
END_TEST

static void *wait_in_a_thread(void *arg)
{
	wait_for_ever(arg);
	return NULL;
}

static void wait_twice(void *arg)
{
	pthread_t thread;

	ck_that(pthread_create(&thread, NULL, wait_in_a_thread, arg) == 0);
	wait_for_ever(arg);
	pthread_join(thread, NULL);
}

START_TEST(a_process_that_was_several_parties)
{
	struct gate *g = make_gate(4);
	pid_t other = start_victim_of_a_death(g), pid = test_fork(wait_twice, g);

	TEST_UNTIL(waiting(g) == 3);
	test_kill(pid);
	test_join(other);
	mend(g);
}
END_TEST

/* ---- who comes later ---- */

START_TEST(a_ghost_does_not_complete_a_cycle)
{
	struct gate *g = make_gate(2);

	test_kill(start_waiter(g));
	let_it_grow_old(g);
	ck_err(pass(g), EOWNERDEAD);
	mend(g);
}
END_TEST

START_TEST(nor_in_no_time)
{
	struct gate *g = make_gate(2);

	test_kill(start_waiter(g));
	let_it_grow_old(g);
	ck_err(ipck_barrier_wait(g->b, NULL, IPCK_NOWAIT), EOWNERDEAD);
	mend(g);
}
END_TEST

START_TEST(who_is_not_the_last_finds_it_too)
{
	struct gate *g = make_gate(3);

	test_kill(start_waiter(g));
	ck_err(pass(g), EOWNERDEAD);
	mend(g);
}
END_TEST

START_TEST(a_ghost_that_is_young)
{
	struct gate *g = make_gate(2);
	int rc;

	test_kill(start_waiter(g));
	rc = pass(g);
	ck_assert(rc == IPCK_ELECTED || rc == -EOWNERDEAD);
	if (rc == IPCK_ELECTED)
		end_gate(g);
	else
		mend(g);
}
END_TEST

START_TEST(an_old_cycle_of_the_living)
{
	struct gate *g = make_gate(2);
	pid_t pid = start_waiter(g);

	let_it_grow_old(g);
	ck_assert_int_eq(pass(g), IPCK_ELECTED);
	test_join(pid);
	end_gate(g);
}
END_TEST

/* Released already, though it does not know: its death is nobody's matter any more. */
START_TEST(a_death_after_the_release)
{
	struct gate *g = make_gate(2);
	pid_t pid = start_waiter(g);

	stop(pid);
	ck_assert_int_eq(pass(g), IPCK_ELECTED);
	test_kill(pid);
	ck_assert(!ipck_barrier_broken(g->b));
	pid = start_waiter(g);
	let_it_grow_old(g);
	ck_assert_int_eq(pass(g), IPCK_ELECTED);
	test_join(pid);
	end_gate(g);
}
END_TEST

/* ---- the action ---- */

static int act_for_ever(void *arg)
{
	struct gate *g = arg;

	store_release(&g->began, 1);
	while (load_acquire(&g->began))
		pause();
	return 0;
}

static void wait_with_action(void *arg)
{
	struct gate *g = arg;

	ck_ok(ipck_barrier_wait_action(g->b, act_for_ever, g, NULL, far_off()));
}

static pid_t start_actor(struct gate *g)
{
	pid_t pid = test_fork(wait_with_action, g);

	TEST_UNTIL(load_acquire(&g->began));
	return pid;
}

START_TEST(killed_in_the_action)
{
	struct gate *g = make_gate(3);
	pid_t pids[2], actor;

	for (int i = 0; i < 2; i++)
		pids[i] = start_victim_of_a_death(g);
	actor = start_actor(g);
	test_kill(actor);
	test_join_all(pids, 2);
	mend(g);
}
END_TEST

/* Nobody of the cycle is left to see it: who waits behind it does. */
START_TEST(all_of_the_cycle_are_killed_in_the_action)
{
	struct gate *g = make_gate(1 + (uint32_t)_i);
	pid_t pids[2], actor;

	for (int i = 0; i < _i; i++)
		pids[i] = start_waiter(g);
	actor = start_actor(g);
	for (int i = 0; i < _i; i++)
		kill(pids[i], SIGKILL);
	kill(actor, SIGKILL);
	for (int i = 0; i < _i; i++)
		test_kill(pids[i]);
	test_kill(actor);
	ck_err(pass(g), EOWNERDEAD);
	mend(g);
}
END_TEST

static void wait_behind(void *arg)
{
	struct gate *g = arg;

	store_release(&g->go, 1);
	ck_err(pass(g), EOWNERDEAD);
}

START_TEST(who_waits_behind_an_action_is_told)
{
	struct gate *g = make_gate(1);
	pid_t actor = start_actor(g), pid = test_fork(wait_behind, g);

	TEST_UNTIL(load_acquire(&g->go) && test_state(pid) == 'S');
	test_kill(actor);
	test_join(pid);
	mend(g);
}
END_TEST

/* ---- the places of the dead ---- */

START_TEST(the_places_of_the_dead_are_used_again)
{
	struct gate *g = make_gate(2);
	uint32_t places = inside(g)->places;

	for (uint32_t i = 0; i < places + 2; i++) {
		pid_t pid = test_fork(wait_for_ever, g);

		TEST_UNTIL(waiting(g) == 1);
		test_kill(pid);
		ck_ok(ipck_barrier_reset(g->b));
	}
	for (uint32_t i = 0; i < places; i++)
		ck_assert(inside(g)->place[i].owner != 0);
	end_gate(g);
}
END_TEST

/* As many as there are places, and each of them is needed. */
START_TEST(each_place_of_the_dead_can_be_had)
{
	struct gate *g = make_gate(64);

	for (int i = 0; i < 10; i++) {
		pid_t pid = start_waiter(g);

		stop(pid);
		ck_ok(ipck_barrier_reset(g->b));
		test_kill(pid);
	}
	run_parties(_i, 64, meet, g);
	end_gate(g);
}
END_TEST

/* Who stands before the dead one does not look. */
START_TEST(a_death_beside_one_that_is_stopped)
{
	static const int killed[] = {0, 0, 1, 1, 2, 2}, stopped[] = {1, 2, 0, 2, 0, 1};
	struct gate *g = make_gate(5);
	pid_t pids[3];

	for (int i = 0; i < 3; i++)
		pids[i] = i == killed[_i] || i == stopped[_i] ? start_waiter(g) : start_victim_of_a_death(g);
	stop(pids[stopped[_i]]);
	test_kill(pids[killed[_i]]);
	test_join(pids[3 - killed[_i] - stopped[_i]]);
	test_kill(pids[stopped[_i]]);
	mend(g);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("barrier and death");
	TCase *tc = test_case(s, "waiting");

	tcase_add_loop_test(tc, a_death_breaks_it_for_those_who_wait, 0, 4);
	tcase_add_test(tc, many_deaths);
	tcase_add_loop_test(tc, a_death_beside_one_that_is_stopped, 0, 6);
	tcase_add_test(tc, a_process_that_was_several_parties);
	tc = test_case(s, "later");
	tcase_add_test(tc, a_ghost_does_not_complete_a_cycle);
	tcase_add_test(tc, nor_in_no_time);
	tcase_add_test(tc, who_is_not_the_last_finds_it_too);
	tcase_add_test(tc, a_ghost_that_is_young);
	tcase_add_test(tc, an_old_cycle_of_the_living);
	tcase_add_test(tc, a_death_after_the_release);
	tc = test_case(s, "action");
	tcase_add_test(tc, killed_in_the_action);
	tcase_add_loop_test(tc, all_of_the_cycle_are_killed_in_the_action, 0, 3);
	tcase_add_test(tc, who_waits_behind_an_action_is_told);
	tc = test_case(s, "places");
	tcase_add_test(tc, the_places_of_the_dead_are_used_again);
	tcase_add_loop_test(tc, each_place_of_the_dead_can_be_had, 0, PARTY_WAYS);
	return test_main(s);
}
