/* SPDX-License-Identifier: MIT */
/* Conditions: what one step leaves behind, looked at before anybody who sleeps can make up for it. */
#include <ipckit/condition.h>

#include "base/ident.h"
#include "waiters.h"

struct part {
	struct scene *s;
	unsigned i;
};

static struct scene *scene;

static struct condition *inside(struct scene *s)
{
	return (struct condition *)s->c;
}

static uint64_t word(struct scene *s, unsigned i)
{
	return load_acquire(&inside(s)->place[i].word);
}

static void wait_asleep(void *arg)
{
	const struct part *p = arg;

	spin_forbid();
	wait_as(p->s, p->i, far_off());
}

/* The i-th place is its. */
static pid_t start_waiter(struct scene *s, unsigned i)
{
	struct part p = {s, i};
	pid_t pid = test_fork(wait_asleep, &p);

	TEST_UNTIL(word_state(word(s, i)) == ASLEEP && test_state(pid) == 'S');
	return pid;
}

static void end_all(struct scene *s, const pid_t *pids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		go_on(pids[i]);
	for (size_t i = 0; i < n; i++)
		test_join(pids[i]);
	end_scene(s);
}

/* Nobody has to wait for a tick. */
START_TEST(one_who_is_dead_is_passed_over_at_once)
{
	struct scene *s = make_scene();
	pid_t dead = start_waiter(s, 0), living = start_waiter(s, 1);

	stop(living);
	test_kill(dead);
	notify(s, 1);
	ck_assert_uint_eq(word(s, 0), 0);
	ck_assert_int_eq(word_state(word(s, 1)), GRANTED);
	end_all(s, &living, 1);
}
END_TEST

/* Or, of two that are lost, one would pass for the other. */
START_TEST(each_grant_has_its_number)
{
	struct scene *s = make_scene();
	pid_t pids[3];

	for (unsigned i = 0; i < 3; i++) {
		pids[i] = start_waiter(s, i);
		stop(pids[i]);
	}
	take(s);
	ck_ok(ipck_condition_notify_all(s->c));
	give_back(s);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(word_state(word(s, i)), GRANTED);
		ck_assert_uint_lt(word_number(word(s, i)), inside(s)->next);
		for (unsigned j = 0; j < i; j++)
			ck_assert_uint_ne(word_number(word(s, i)), word_number(word(s, j)));
	}
	end_all(s, pids, 3);
}
END_TEST

/* Two were promised by one who is dead, and one is left for whom that is: it is not for who comes then. */
START_TEST(who_comes_new_gets_nothing_of_a_debt)
{
	struct scene *s = make_scene();
	pid_t living = start_waiter(s, 0), dead = start_waiter(s, 1);

	stop(living);
	test_kill(dead);
	take(s);
	store_release(&inside(s)->debt, inside(s)->next * DEBT_MOST + 2);
	ck_assert_int_eq(ipck_condition_wait(s->c, IPCK_NOWAIT), IPCK_TIMED_OUT);
	ck_assert_int_eq(word_state(word(s, 0)), GRANTED);
	give_back(s);
	end_all(s, &living, 1);
}
END_TEST

/* Who took a grant back died before it was given on: there is nobody but who waits. */
START_TEST(who_waits_finds_what_was_taken_back)
{
	struct scene *s = make_scene();
	pid_t pid = start_waiter(s, 0);
	struct condition *c = inside(s);

	take(s);
	c->place[1].owner = ident_word();
	store_release(&c->used, 2);
	store_release(&c->place[1].word, word_of(c->next, PASSING));
	c->next++;
	give_back(s);
	test_join(pid);
	end_scene(s);
}
END_TEST

/* ---- a wait that fails after one that was told of a death ---- */

static void notify_and_die(void *arg)
{
	struct scene *s = arg;

	TEST_UNTIL(waiting(s) == 1);
	take(s);
	ck_ok(ipck_condition_notify(s->c, 1));
	raise(SIGKILL);
}

/* The second time all places have been taken. */
static bool no_room_then(void *arg)
{
	unsigned *calls = arg;
	struct condition *c = inside(scene);

	if (++*calls == 2)
		for (uint32_t i = 0; i < c->capacity; i++) {
			c->used = c->capacity;
			c->place[i].owner = ident_word();
			store_release(&c->place[i].word, word_of(c->next++, WAITING));
		}
	return false;
}

START_TEST(no_death_is_lost_where_there_is_no_room)
{
	struct scene *s = scene = make_scene();
	unsigned calls = 0;
	pid_t pid;

	take(s);
	pid = test_fork(notify_and_die, s);
	ck_err(ipck_condition_wait_for(s->c, no_room_then, &calls, far_off()), ENOSPC);
	ck_assert_uint_eq(calls, 2);
	test_kill(pid);
	for (uint32_t i = 0; i < inside(s)->capacity; i++)
		store_release(&inside(s)->place[i].word, UINT64_C(0));
	give_back(s);
	ck_assert_int_eq(ipck_condition_acquire(s->c, IPCK_NOWAIT), IPCK_OWNER_DIED);
	give_back(s);
	end_scene(s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("condition, between steps");
	TCase *tc = test_case(s, "grants");

	tcase_add_test(tc, one_who_is_dead_is_passed_over_at_once);
	tcase_add_test(tc, each_grant_has_its_number);
	tcase_add_test(tc, who_comes_new_gets_nothing_of_a_debt);
	tcase_add_test(tc, who_waits_finds_what_was_taken_back);
	tc = test_case(s, "notices");
	tcase_add_test(tc, no_death_is_lost_where_there_is_no_room);
	return test_main(s);
}
