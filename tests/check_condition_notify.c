/* SPDX-License-Identifier: MIT */
/* Notifications of conditions, among threads and among processes. */
#include <ipckit/condition.h>

#include "waiters.h"

#include <sys/mman.h>

static bool never(void *arg)
{
	(void)arg;
	return false;
}

/* ---- notify ---- */

#define WAITERS 5

static void all_woken_in_order(struct scene *s, uint32_t from, uint32_t to)
{
	uint64_t seen = 0;

	TEST_UNTIL(load_acquire(&s->woken) == to);
	/* They have the lock in any order, but they are these. */
	for (uint32_t i = from; i < to; i++)
		seen |= UINT64_C(1) << s->order[i];
	ck_that(seen == (UINT64_C(1) << to) - (UINT64_C(1) << from));
}

static void wake_some(struct scene *s, uint32_t n, uint32_t from, uint32_t to)
{
	take(s);
	ck_that(waiting(s) == WAITERS - from);
	ck_ok(ipck_condition_notify(s->c, n));
	/* At once, and it stays so. */
	ck_that(waiting(s) == WAITERS - to);
	give_back(s);
	all_woken_in_order(s, from, to);
	ck_that(waiting(s) == WAITERS - to);
}

static void notify_exactly(unsigned i, void *arg)
{
	struct scene *s = arg;

	if (i > 0) {
		wait_in_turn(s, i - 1);
		return;
	}
	let_wait(s, WAITERS);
	wake_some(s, 2, 0, 2);
	wake_some(s, 1, 2, 3);
	wake_some(s, 100, 3, WAITERS);
}

START_TEST(so_many_are_woken_the_first_first)
{
	struct scene *s = make_scene_of(_i / PARTY_WAYS);

	run_parties(_i, WAITERS + 1, notify_exactly, s);
	for (int i = 0; i < WAITERS; i++)
		ck_assert_int_eq(s->rc[i], 0);
	end_scene(s);
}
END_TEST

static void notify_everybody(unsigned i, void *arg)
{
	struct scene *s = arg;

	if (i > 0) {
		wait_in_turn(s, i - 1);
		return;
	}
	let_wait(s, WAITERS);
	take(s);
	ck_ok(ipck_condition_notify_all(s->c));
	ck_that(waiting(s) == 0);
	give_back(s);
}

START_TEST(all_are_woken)
{
	struct scene *s = make_scene_of(_i / PARTY_WAYS);

	run_parties(_i, WAITERS + 1, notify_everybody, s);
	ck_assert_uint_eq(s->woken, WAITERS);
	end_scene(s);
}
END_TEST

START_TEST(it_is_not_remembered)
{
	struct scene *s = make_scene();

	take(s);
	ck_ok(ipck_condition_notify(s->c, 1));
	ck_ok(ipck_condition_notify(s->c, UINT32_MAX));
	ck_ok(ipck_condition_notify_all(s->c));
	ck_assert_int_eq(ipck_condition_wait(s->c, ipck_in_ms(20)), IPCK_TIMED_OUT);
	give_back(s);
	end_scene(s);
}
END_TEST

/* Waits itself, before the one that it has notified can have the lock. */
static void notify_and_wait(unsigned i, void *arg)
{
	struct scene *s = arg;

	if (i > 0) {
		wait_in_turn(s, i - 1);
		return;
	}
	let_wait(s, 1);
	take(s);
	ck_ok(ipck_condition_notify(s->c, 1));
	ck_that(ipck_condition_wait(s->c, ipck_in_ms(20)) == IPCK_TIMED_OUT);
	give_back(s);
}

START_TEST(who_comes_later_cannot_steal)
{
	struct scene *s = make_scene();

	run_parties(_i, 2, notify_and_wait, s);
	ck_assert_int_eq(s->rc[0], 0);
	end_scene(s);
}
END_TEST

static void give_up_or_wait(unsigned i, void *arg)
{
	struct scene *s = arg;

	if (i == 1) {
		wait_as(s, 0, ipck_in_ms(20));
	} else if (i == 2) {
		TEST_UNTIL(load_acquire(&s->woken) == 1);
		wait_as(s, 1, far_off());
	} else {
		TEST_UNTIL(load_acquire(&s->woken) == 1 && waiting(s) == 1);
		notify(s, 1);
	}
}

START_TEST(who_gave_up_does_not_swallow)
{
	struct scene *s = make_scene();

	run_parties(_i, 3, give_up_or_wait, s);
	ck_assert_int_eq(s->rc[0], IPCK_TIMED_OUT);
	ck_assert_int_eq(s->rc[1], 0);
	end_scene(s);
}
END_TEST

/* ---- two conditions of one lock ---- */

#define BETWEEN 3
#define ITEMS 600

static void wait_for_either(unsigned i, void *arg)
{
	struct scene *s = arg;
	struct ipck_condition *mine = i == 1 ? &s->first : &s->second;

	if (i > 0) {
		ck_that(ipck_condition_acquire(mine, far_off()) == 0);
		ck_that(ipck_condition_wait(mine, far_off()) == 0);
		add_acq_rel(&s->woken, i);
		ck_ok(ipck_condition_release(mine));
		return;
	}
	TEST_UNTIL(ipck_condition_waiting(&s->first) == 1 && ipck_condition_waiting(&s->second) == 1);
	ck_that(ipck_condition_acquire(&s->first, far_off()) == 0);
	/* The lock is that of both. */
	ck_ok(ipck_condition_notify_all(&s->second));
	ck_that(ipck_condition_waiting(&s->first) == 1 && ipck_condition_waiting(&s->second) == 0);
	ck_ok(ipck_condition_release(&s->second));
	TEST_UNTIL(load_acquire(&s->woken) == 2);
	ck_that(ipck_condition_waiting(&s->first) == 1);
	notify(s, 1);
}

START_TEST(each_wakes_its_own)
{
	struct scene *s = make_scene_of(1 + _i / PARTY_WAYS);

	run_parties(_i, 3, wait_for_either, s);
	ck_assert_uint_eq(s->woken, 3);
	is_unused(&s->second);
	end_scene(s);
}
END_TEST

static void put_item(struct scene *s)
{
	ck_that(ipck_condition_acquire(&s->first, far_off()) == 0);
	while (s->items == BETWEEN)
		ck_that(ipck_condition_wait(&s->first, far_off()) == 0);
	s->items++;
	ck_ok(ipck_condition_notify(&s->second, 1));
	ck_ok(ipck_condition_release(&s->first));
}

static void take_item(struct scene *s)
{
	ck_that(ipck_condition_acquire(&s->second, far_off()) == 0);
	while (s->items == 0)
		ck_that(ipck_condition_wait(&s->second, far_off()) == 0);
	s->items--;
	s->passed++;
	ck_ok(ipck_condition_notify(&s->first, 1));
	ck_ok(ipck_condition_release(&s->second));
}

static void put_or_take(unsigned i, void *arg)
{
	for (int n = 0; n < ITEMS; n++)
		if (i % 2)
			put_item(arg);
		else
			take_item(arg);
}

/* One notification for each item: if one is lost they all wait for ever. */
START_TEST(a_buffer_with_room_for_few)
{
	struct scene *s = make_scene_of(1 + _i / PARTY_WAYS);

	run_parties(_i, 6, put_or_take, s);
	ck_assert_uint_eq(s->passed, 3 * ITEMS);
	ck_assert_uint_eq(s->items, 0);
	is_unused(&s->second);
	end_scene(s);
}
END_TEST

/* ---- many ---- */

/* At least as many as are promised. */
static uint32_t places(const struct scene *s)
{
	return ((const struct condition *)s->c)->capacity;
}

static void fill_all_places(unsigned i, void *arg)
{
	struct scene *s = arg;

	if (i > 0) {
		wait_as(s, i - 1, far_off());
		return;
	}
	TEST_UNTIL(waiting(s) == places(s));
	take(s);
	take(s);
	ck_err(ipck_condition_wait(s->c, IPCK_NOWAIT), ENOSPC);
	ck_err(ipck_condition_wait_for(s->c, never, NULL, IPCK_NOWAIT), ENOSPC);
	/* Nothing has changed: it is held, as often. */
	ck_that(waiting(s) == places(s));
	ck_ok(ipck_condition_notify_all(s->c));
	give_back(s);
	give_back(s);
	ck_err(ipck_condition_release(s->c), EPERM);
}

START_TEST(no_room_for_one_more)
{
	struct scene *s = make_scene();

	ck_assert_uint_ge(places(s), 64);
	run_parties(_i, 1 + places(s), fill_all_places, s);
	ck_assert_uint_eq(s->woken, places(s));
	end_scene(s);
}
END_TEST

static void wait_in_a_crowd(unsigned i, void *arg)
{
	struct scene *s = arg;

	if (i > 0) {
		wait_as(s, i - 1, far_off());
		return;
	}
	TEST_UNTIL(waiting(s) == 100);
	notify(s, 40);
	TEST_UNTIL(load_acquire(&s->woken) == 40);
	ck_that(waiting(s) == 60);
	notify(s, 60);
}

START_TEST(room_for_as_many_as_asked)
{
	struct scene *s = make_scene();

	ipck_condition_fini(&s->first);
	s->c = test_shared(IPCK_CONDITION_BYTES(200));
	ck_ok(ipck_condition_init(s->c, IPCK_CONDITION_OPTS(.bytes = IPCK_CONDITION_BYTES(200))));
	ck_assert_uint_ge(places(s), 200);
	run_parties(_i, 101, wait_in_a_crowd, s);
	ck_assert_uint_eq(s->woken, 100);
	end_scene(s);
}
END_TEST

/* ---- two views of the memory ---- */

static void wait_elsewhere(void *arg)
{
	struct scene *there = arg, *here = mremap(there, 0, sizeof(*there), MREMAP_MAYMOVE);

	ck_that(here != MAP_FAILED && here != there);
	ck_that(ipck_condition_acquire(&here->first, far_off()) == 0);
	ck_that(ipck_condition_wait(&here->first, far_off()) == 0);
	ck_ok(ipck_condition_release(&here->first));
	ck_that(munmap(here, sizeof(*here)) == 0);
}

START_TEST(it_lies_at_another_address)
{
	struct scene *s = make_scene_of(_i);
	pid_t pid = test_fork(wait_elsewhere, s);

	TEST_UNTIL(waiting(s) == 1);
	notify(s, 1);
	test_join(pid);
	end_scene(s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("condition notify");
	TCase *tc = test_case(s, "notify");

	tcase_add_loop_test(tc, so_many_are_woken_the_first_first, 0, LOCK_KINDS * PARTY_WAYS);
	tcase_add_loop_test(tc, all_are_woken, 0, LOCK_KINDS * PARTY_WAYS);
	tcase_add_test(tc, it_is_not_remembered);
	tcase_add_loop_test(tc, who_comes_later_cannot_steal, 0, PARTY_WAYS);
	tcase_add_loop_test(tc, who_gave_up_does_not_swallow, 0, PARTY_WAYS);
	tc = test_case(s, "two conditions");
	tcase_add_loop_test(tc, each_wakes_its_own, 0, 2 * PARTY_WAYS);
	tcase_add_loop_test(tc, a_buffer_with_room_for_few, 0, 2 * PARTY_WAYS);
	tc = test_case(s, "many");
	tcase_add_loop_test(tc, no_room_for_one_more, 0, PARTY_WAYS);
	tcase_add_loop_test(tc, room_for_as_many_as_asked, 0, PARTY_WAYS);
	/* valgrind refuses a second mapping of the same memory. */
	tc = test_case(s, "two mappings");
	tcase_set_tags(tc, "not_valgrind");
	tcase_add_loop_test(tc, it_lies_at_another_address, 0, LOCK_KINDS);
	return test_main(s);
}
