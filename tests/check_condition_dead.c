/* SPDX-License-Identifier: MIT */
/* Conditions whose waiters, notifiers and holders of the lock are killed. */
#include <ipckit/condition.h>

#include "waiters.h"

/* One that waits, as a child. */
struct part {
	struct scene *s;
	unsigned i;
};

static void wait_as_child(void *arg)
{
	const struct part *p = arg;

	spin_forbid();
	wait_as(p->s, p->i, far_off());
}

/* Waits, and sleeps. */
static pid_t start_waiter(struct scene *s, unsigned i)
{
	struct part p = {s, i};
	uint32_t before = waiting(s);
	pid_t pid = test_fork(wait_as_child, &p);

	TEST_UNTIL(only_wait(s, before + 1) && test_state(pid) == 'S');
	return pid;
}

/* The grant is on its way, and cannot arrive. */
static pid_t start_stopped_waiter(struct scene *s, unsigned i)
{
	pid_t pid = start_waiter(s, i);

	stop(pid);
	return pid;
}

static struct condition *inside(struct scene *s)
{
	return (struct condition *)s->c;
}

/* Longer than it takes to pass a grant on. */
static void wait_in_vain(struct scene *s)
{
	take(s);
	ck_that(ipck_condition_wait(s->c, ipck_in_ms(600)) == IPCK_TIMED_OUT);
	give_back(s);
}

static void all_came_back(struct scene *s, uint32_t n)
{
	ck_assert_uint_eq(s->woken, n);
	for (int i = 0; i < WAITERS_MAX; i++)
		ck_that(s->rc[i] == 0);
}

/* What the dead have left goes when somebody needs the place, or by the next notification. */
static void clear_and_end(struct scene *s)
{
	take(s);
	ck_ok(ipck_condition_notify_all(s->c));
	grant_bury(inside(s));
	give_back(s);
	end_scene(s);
}

/* ---- killed before a notification ---- */

START_TEST(the_dead_do_not_swallow)
{
	struct scene *s = make_scene_of(_i);
	pid_t dead = start_waiter(s, 0), other = start_waiter(s, 1);

	test_kill(dead);
	notify(s, 1);
	test_join(other);
	all_came_back(s, 1);
	clear_and_end(s);
}
END_TEST

START_TEST(as_many_as_live_are_woken)
{
	struct scene *s = make_scene();
	pid_t pids[6];

	for (unsigned i = 0; i < 6; i++)
		pids[i] = start_waiter(s, i);
	for (unsigned i = 0; i < 6; i += 2)
		test_kill(pids[i]);
	notify(s, 2);
	test_join(pids[1]);
	test_join(pids[3]);
	all_came_back(s, 2);
	/* One of the dead has not been missed yet. */
	ck_assert_uint_eq(waiting(s), 2);
	notify(s, 1);
	test_join(pids[5]);
	clear_and_end(s);
}
END_TEST

START_TEST(all_living_are_woken)
{
	struct scene *s = make_scene();
	pid_t pids[6];

	for (unsigned i = 0; i < 6; i++)
		pids[i] = start_waiter(s, i);
	for (unsigned i = 0; i < 6; i += 2)
		test_kill(pids[i]);
	take(s);
	ck_ok(ipck_condition_notify_all(s->c));
	give_back(s);
	for (unsigned i = 1; i < 6; i += 2)
		test_join(pids[i]);
	all_came_back(s, 3);
	clear_and_end(s);
}
END_TEST

START_TEST(a_notification_for_the_dead_is_not_remembered)
{
	struct scene *s = make_scene();

	test_kill(start_waiter(s, 0));
	notify(s, 1);
	wait_in_vain(s);
	clear_and_end(s);
}
END_TEST

/* ---- killed with a notification ---- */

START_TEST(a_grant_passes_on)
{
	struct scene *s = make_scene_of(_i);
	pid_t granted = start_stopped_waiter(s, 0), next = start_waiter(s, 1), later;

	notify(s, 1);
	ck_assert_uint_eq(waiting(s), 1);
	later = start_waiter(s, 2);
	test_kill(granted);
	test_join(next);
	all_came_back(s, 1);
	/* Who came after the notification still waits. */
	ck_assert_uint_eq(waiting(s), 1);
	notify(s, 1);
	test_join(later);
	all_came_back(s, 2);
	clear_and_end(s);
}
END_TEST

START_TEST(a_grant_passes_on_through_several_dead)
{
	struct scene *s = make_scene();
	pid_t first = start_stopped_waiter(s, 0), second = start_stopped_waiter(s, 1), third = start_waiter(s, 2);

	notify(s, 1);
	test_kill(second);
	test_kill(first);
	test_join(third);
	all_came_back(s, 1);
	clear_and_end(s);
}
END_TEST

START_TEST(several_grants_pass_on)
{
	struct scene *s = make_scene();
	pid_t granted[2], living[3];

	for (unsigned i = 0; i < 2; i++)
		granted[i] = start_stopped_waiter(s, i);
	for (unsigned i = 0; i < 3; i++)
		living[i] = start_waiter(s, 2 + i);
	notify(s, 2);
	ck_assert_uint_eq(waiting(s), 3);
	for (unsigned i = 0; i < 2; i++)
		test_kill(granted[i]);
	test_join_all(living, 2);
	all_came_back(s, 2);
	ck_assert_uint_eq(waiting(s), 1);
	notify(s, 1);
	test_join(living[2]);
	clear_and_end(s);
}
END_TEST

START_TEST(a_grant_passes_to_nobody_who_came_later)
{
	struct scene *s = make_scene();
	pid_t granted = start_stopped_waiter(s, 0);

	notify(s, 1);
	test_kill(granted);
	wait_in_vain(s);
	clear_and_end(s);
}
END_TEST

/* Of two grants that are found at once only one was given when others waited. */
START_TEST(nor_if_another_grant_passes_on)
{
	struct scene *s = make_scene();
	pid_t first = start_stopped_waiter(s, 0), second, next, last;

	notify(s, 1);
	second = start_stopped_waiter(s, 1);
	next = start_waiter(s, 2);
	last = start_waiter(s, 3);
	notify(s, 1);
	ck_assert_uint_eq(waiting(s), 2);
	test_kill(first);
	test_kill(second);
	test_join(next);
	all_came_back(s, 1);
	ck_assert_uint_eq(waiting(s), 1);
	notify(s, 1);
	test_join(last);
	all_came_back(s, 2);
	clear_and_end(s);
}
END_TEST

START_TEST(one_that_is_stopped_keeps_its_grant)
{
	struct scene *s = make_scene();
	pid_t granted = start_stopped_waiter(s, 0), next = start_waiter(s, 1);

	notify(s, 1);
	wait_in_vain(s);
	ck_assert_uint_eq(waiting(s), 1);
	go_on(granted);
	test_join(granted);
	notify(s, 1);
	test_join(next);
	all_came_back(s, 2);
	end_scene(s);
}
END_TEST

/* ---- the lock's holder is killed ---- */

static void hold_for_ever(void *arg)
{
	struct scene *s = arg;

	ck_ok(ipck_condition_acquire(s->c, far_off()));
	ck_ok(ipck_condition_notify(s->c, 1));
	store_release(&s->taken, 1);
	for (;;)
		pause();
}

static pid_t start_holder(struct scene *s)
{
	pid_t pid = test_fork(hold_for_ever, s);

	TEST_UNTIL(load_acquire(&s->taken));
	return pid;
}

START_TEST(the_holder_dies_with_the_lock)
{
	struct scene *s = make_scene_of(_i);
	pid_t waiter = start_waiter(s, 0);

	test_kill(start_holder(s));
	test_join(waiter);
	ck_assert_int_eq(s->rc[0], IPCK_OWNER_DIED);
	end_scene(s);
}
END_TEST

/* Who finds a death while it passes a grant on, and waits on, leaves it to the next to tell of it. */
START_TEST(who_waits_on_does_not_keep_the_notice)
{
	struct scene *s = make_scene();
	pid_t granted = start_waiter(s, 0), next = start_waiter(s, 1), last = start_waiter(s, 2), holder;

	stop(granted);
	stop(next);
	holder = start_holder(s);
	test_kill(granted);
	test_kill(holder);
	TEST_UNTIL(only_wait(s, 1));
	ck_assert_int_eq(word_state(load_acquire(&inside(s)->place[1].word)), GRANTED);
	go_on(next);
	test_join(next);
	ck_assert_int_eq(s->rc[1], IPCK_OWNER_DIED);
	notify(s, 1);
	test_join(last);
	ck_assert_int_eq(s->rc[2], 0);
	end_scene(s);
}
END_TEST

static void wait_until_interrupted(void *arg)
{
	struct scene *s = arg;

	let_signals_interrupt();
	take(s);
	s->rc[0] = ipck_condition_wait(s->c, ipck_interruptible(far_off()));
	give_back(s);
}

static void hold_until_killed(void *arg)
{
	struct scene *s = arg;

	take(s);
	store_release(&s->taken, 1);
	for (;;)
		pause();
}

START_TEST(without_a_notification_too)
{
	struct scene *s = make_scene_of(_i);
	pid_t waiter = test_fork(wait_until_interrupted, s), holder;

	TEST_UNTIL(only_wait(s, 1));
	holder = test_fork(hold_until_killed, s);
	TEST_UNTIL(load_acquire(&s->taken));
	test_kill(holder);
	ck_assert(kill(waiter, SIGUSR1) == 0);
	test_join(waiter);
	ck_assert_int_eq(s->rc[0], IPCK_OWNER_DIED | IPCK_TIMED_OUT);
	end_scene(s);
}
END_TEST

static bool has_items(void *arg)
{
	return ((struct scene *)arg)->items > 0;
}

static void wait_for_items(void *arg)
{
	struct scene *s = arg;

	take(s);
	s->rc[0] = ipck_condition_wait_for(s->c, has_items, s, far_off());
	give_back(s);
}

/* The death was told by a wait in the middle. */
START_TEST(wait_for_tells_what_any_wait_told)
{
	struct scene *s = make_scene();
	pid_t waiter = test_fork(wait_for_items, s);

	TEST_UNTIL(only_wait(s, 1));
	test_kill(start_holder(s));
	/* It has come back once, and waits again. */
	TEST_UNTIL(load_relaxed(&inside(s)->next) == 4 && only_wait(s, 1));
	take(s);
	s->items = 1;
	ck_ok(ipck_condition_notify(s->c, 1));
	give_back(s);
	test_join(waiter);
	ck_assert_int_eq(s->rc[0], IPCK_OWNER_DIED);
	end_scene(s);
}
END_TEST

/* ---- what a killed notifier leaves ---- */

/* Has promised `passed` grants and given none. */
static void promise_and_die(void *arg)
{
	struct scene *s = arg;

	take(s);
	store_release(&inside(s)->debt, inside(s)->next * DEBT_MOST + s->passed);
	store_release(&s->taken, 1);
	for (;;)
		pause();
}

START_TEST(a_promise_is_kept)
{
	struct scene *s = make_scene();
	pid_t pids[3], notifier;
	int told = 0;

	for (unsigned i = 0; i < 3; i++)
		pids[i] = start_waiter(s, i);
	s->passed = 2;
	notifier = test_fork(promise_and_die, s);
	TEST_UNTIL(load_acquire(&s->taken));
	test_kill(notifier);
	/* They find it at their tick. */
	test_join_all(pids, 2);
	ck_assert_uint_eq(waiting(s), 1);
	notify(s, 1);
	test_join(pids[2]);
	for (unsigned i = 0; i < 3; i++)
		told += s->rc[i] == IPCK_OWNER_DIED;
	ck_assert_int_eq(told, 1);
	end_scene(s);
}
END_TEST

START_TEST(a_wake_up_that_never_came_is_made_good)
{
	struct scene *s = make_scene();
	pid_t pid = start_waiter(s, 0);

	take(s);
	store_release(&inside(s)->place[0].word, word_of(inside(s)->next++, GRANTED));
	give_back(s);
	test_join(pid);
	all_came_back(s, 1);
	end_scene(s);
}
END_TEST

/* ---- the places of the dead ---- */

static void wait_and_stay(void *arg)
{
	struct scene *s = arg;

	take(s);
	(void)ipck_condition_wait(s->c, IPCK_FOREVER);
}

/* _i: with a notification that it did not get. */
START_TEST(the_places_of_the_dead_are_used_again)
{
	struct scene *s = make_scene();
	uint32_t places = inside(s)->capacity;
	pid_t pid;

	for (uint32_t i = 0; i < places; i++) {
		pid = test_fork(wait_and_stay, s);
		TEST_UNTIL(only_wait(s, _i ? 1 : i + 1));
		if (_i) {
			stop(pid);
			notify(s, 1);
		}
		test_kill(pid);
	}
	ck_assert_uint_eq(inside(s)->used, places);
	ck_assert_uint_eq(waiting(s), _i ? 0 : places);
	pid = test_fork(wait_and_stay, s);
	TEST_UNTIL(only_wait(s, 1));
	test_kill(pid);
	ck_assert_uint_eq(waiting(s), 1);
	/* Who was killed is behind the living. */
	pid = start_waiter(s, 0);
	notify(s, 1);
	test_join(pid);
	all_came_back(s, 1);
	clear_and_end(s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("condition and death");
	TCase *tc = test_case(s, "waiters");

	tcase_add_loop_test(tc, the_dead_do_not_swallow, 0, LOCK_KINDS);
	tcase_add_test(tc, as_many_as_live_are_woken);
	tcase_add_test(tc, all_living_are_woken);
	tcase_add_test(tc, a_notification_for_the_dead_is_not_remembered);
	tc = test_case(s, "granted");
	tcase_add_loop_test(tc, a_grant_passes_on, 0, LOCK_KINDS);
	tcase_add_test(tc, a_grant_passes_on_through_several_dead);
	tcase_add_test(tc, several_grants_pass_on);
	tcase_add_test(tc, a_grant_passes_to_nobody_who_came_later);
	tcase_add_test(tc, nor_if_another_grant_passes_on);
	tcase_add_test(tc, one_that_is_stopped_keeps_its_grant);
	tc = test_case(s, "holders");
	tcase_add_loop_test(tc, the_holder_dies_with_the_lock, 0, LOCK_KINDS);
	tcase_add_test(tc, who_waits_on_does_not_keep_the_notice);
	tcase_add_loop_test(tc, without_a_notification_too, 0, LOCK_KINDS);
	tcase_add_test(tc, wait_for_tells_what_any_wait_told);
	tc = test_case(s, "notifiers");
	tcase_add_test(tc, a_promise_is_kept);
	tcase_add_test(tc, a_wake_up_that_never_came_is_made_good);
	tc = test_case(s, "places");
	tcase_add_loop_test(tc, the_places_of_the_dead_are_used_again, 0, 2);
	return test_main(s);
}
