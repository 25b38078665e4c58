/* SPDX-License-Identifier: MIT */
/* Barriers, among threads and among processes.  What breaks and mends them: check_barrier_break.c. */
#include <ipckit/barrier.h>
#include <stdlib.h>

#include "gate.h"

/* ---- setting up ---- */

START_TEST(what_cannot_be_set_up)
{
	struct gate *g = test_shared(sizeof(*g));
	struct ipck_barrier *askew = (struct ipck_barrier *)((uintptr_t)&g->first + 8);
	struct {
		struct ipck_barrier_opts known;
		uint64_t more;
	} later = {IPCK_BARRIER_OPTS_INIT, 1};

	later.known.size = sizeof(later);
	ck_err(ipck_barrier_init(&g->first, 0, NULL), EINVAL);
	ck_err(ipck_barrier_init(&g->first, IPCK_BARRIER_MAX + 1, NULL), EINVAL);
	ck_err(ipck_barrier_init(&g->first, 2, IPCK_BARRIER_OPTS(.timeout_ns = -1)), EINVAL);
	ck_err(ipck_barrier_init(askew, 2, NULL), EINVAL);
	ck_err(ipck_barrier_init(&g->first, 65, NULL), ENOSPC);
	ck_err(ipck_barrier_init(&g->first, 1, IPCK_BARRIER_OPTS(.bytes = 64)), ENOSPC);
	ck_err(ipck_barrier_init(&g->first, 2, &later.known), E2BIG);
	ipck_barrier_fini(NULL);
}
END_TEST

START_TEST(what_is_not_set_up)
{
	struct gate *g = test_shared(sizeof(*g));

	for (int i = 0; i < 2; i++) {
		ck_err(ipck_barrier_wait(&g->first, NULL, IPCK_FOREVER), EINVAL);
		ck_err(ipck_barrier_wait_action(&g->first, NULL, NULL, NULL, IPCK_FOREVER), EINVAL);
		ck_err(ipck_barrier_abort(&g->first), EINVAL);
		ck_err(ipck_barrier_reset(&g->first), EINVAL);
		ck_ok(ipck_barrier_init(&g->first, 1, NULL));
		ipck_barrier_fini(&g->first);
	}
}
END_TEST

/* ---- cycles ---- */

#define PARTIES 5

/* Nobody is through before all have come; the last one to come is elected. */
static void meet_often(unsigned i, void *arg)
{
	struct gate *g = arg;

	(void)i;
	for (uint32_t n = 0; n < GATE_CYCLES; n++) {
		uint32_t index = UINT32_MAX;
		int rc;

		add_acq_rel(&g->here[n], 1);
		rc = ipck_barrier_wait(g->b, &index, n % 2 ? IPCK_FOREVER : far_off());
		ck_that(load_acquire(&g->here[n]) == PARTIES);
		ck_that(index < PARTIES);
		ck_that(rc == (index == PARTIES - 1 ? IPCK_ELECTED : 0));
		add_acq_rel(&g->indices[n], 1u << (4 * index));
	}
}

START_TEST(again_and_again)
{
	struct gate *g = make_gate(PARTIES);

	run_parties(_i, PARTIES, meet_often, g);
	for (uint32_t n = 0; n < GATE_CYCLES; n++)
		ck_assert_uint_eq(g->indices[n], 0x11111);
	end_gate(g);
}
END_TEST

#define PAIR_CYCLES 20000

/* Of two parties one is never a cycle ahead of the other. */
struct pair {
	struct gate gate;
	uint64_t phase[2];
};

static void meet_very_often(unsigned i, void *arg)
{
	struct pair *p = arg;

	for (uint64_t n = 1; n <= PAIR_CYCLES; n++) {
		store_release(&p->phase[i], n);
		ck_that(ipck_barrier_wait(p->gate.b, NULL, far_off()) >= 0);
		ck_that(load_acquire(&p->phase[!i]) - n <= 1);
	}
}

START_TEST(a_million_times)
{
	struct pair *p = test_shared(sizeof(*p));

	p->gate.b = &p->gate.first;
	ck_ok(ipck_barrier_init(p->gate.b, 2, NULL));
	/* On a loaded machine a million take longer than a child may. */
	for (int i = getenv("IPCK_LONG") ? 50 : 1; i > 0; i--)
		test_processes(2, meet_very_often, p);
	end_gate(&p->gate);
}
END_TEST

static int note_action(void *arg)
{
	struct gate *g = arg;

	add_acq_rel(&g->acted, 1);
	return -(int)load_acquire(&g->result);
}

START_TEST(a_party_alone)
{
	struct gate *g = make_gate(1);
	uint32_t index;

	for (uint32_t n = 1; n <= 10; n++) {
		index = UINT32_MAX;
		ck_assert_int_eq(ipck_barrier_wait(g->b, &index, IPCK_NOWAIT), IPCK_ELECTED);
		ck_assert_uint_eq(index, 0);
		ck_assert_int_eq(ipck_barrier_wait_action(g->b, note_action, g, &index, IPCK_FOREVER), IPCK_ELECTED);
		ck_assert_uint_eq(index, 0);
		ck_assert_uint_eq(g->acted, n);
	}
	end_gate(g);
}
END_TEST

static void come_in_turn(unsigned i, void *arg)
{
	struct gate *g = arg;
	uint32_t index = UINT32_MAX;

	TEST_UNTIL(waiting(g) == i);
	ck_that(ipck_barrier_wait(g->b, &index, far_off()) == (i == PARTIES - 1 ? IPCK_ELECTED : 0));
	ck_that(index == i);
}

START_TEST(the_index_is_the_order_of_arrival)
{
	struct gate *g = make_gate(PARTIES);

	ck_assert_uint_eq(ipck_barrier_parties(g->b), PARTIES);
	run_parties(_i, PARTIES, come_in_turn, g);
	end_gate(g);
}
END_TEST

static void meet_in_a_crowd(unsigned i, void *arg)
{
	struct gate *g = arg;

	(void)i;
	for (int n = 0; n < 5; n++) {
		uint32_t index;
		int rc;

		add_acq_rel(&g->here[n], 1);
		rc = (int)ck_ok(ipck_barrier_wait(g->b, &index, far_off()));
		ck_that(load_acquire(&g->here[n]) == 100);
		add_acq_rel(&g->indices[n], index);
		add_acq_rel(&g->elected[n], rc == IPCK_ELECTED);
	}
}

START_TEST(more_than_64)
{
	struct gate *g = make_gate(1);

	g->b = test_shared(IPCK_BARRIER_BYTES(100));
	g->parties = 100;
	ck_err(ipck_barrier_init(g->b, 101, IPCK_BARRIER_OPTS(.bytes = IPCK_BARRIER_BYTES(100))), ENOSPC);
	ck_ok(ipck_barrier_init(g->b, 100, IPCK_BARRIER_OPTS(.bytes = IPCK_BARRIER_BYTES(100))));
	run_parties(_i, 100, meet_in_a_crowd, g);
	for (int n = 0; n < 5; n++) {
		ck_assert_uint_eq(g->indices[n], 99 * 100 / 2);
		ck_assert_uint_eq(g->elected[n], 1);
	}
	end_gate(g);
}
END_TEST

/* Whoever comes makes up the cycles, until there have been enough. */
static void come_and_go(unsigned i, void *arg)
{
	struct gate *g = arg;
	uint32_t index;
	int rc;

	(void)i;
	while ((rc = ipck_barrier_wait(g->b, &index, far_off())) >= 0) {
		add_acq_rel(&g->here[index], 1);
		if (rc == IPCK_ELECTED && add_acq_rel(&g->elected[0], 1) == 300)
			ck_ok(ipck_barrier_abort(g->b));
	}
	ck_err(rc, ECANCELED);
}

START_TEST(more_who_come_than_parties)
{
	struct gate *g = make_gate(3);

	run_parties(_i, 7, come_and_go, g);
	ck_assert_uint_gt(g->elected[0], 300);
	for (int index = 0; index < 3; index++)
		ck_assert_uint_eq(g->here[index], g->elected[0]);
	ck_ok(ipck_barrier_reset(g->b));
	end_gate(g);
}
END_TEST

static void fill_all_places(unsigned i, void *arg)
{
	struct gate *g = arg;

	if (i < 64) {
		TEST_UNTIL(waiting(g) == 1);
		ck_err(pass(g), ECANCELED);
		return;
	}
	TEST_UNTIL(load_acquire(&g->began));
	ck_err(ipck_barrier_wait(g->b, NULL, far_off()), ENOSPC);
	ck_that(!ipck_barrier_broken(g->b));
	store_release(&g->go, 1);
}

static int act_until_told(void *arg)
{
	struct gate *g = arg;
	const struct barrier *b = (const struct barrier *)g->b;

	for (uint32_t i = 0; i < b->places; i++)
		TEST_UNTIL(load_acquire(&b->place[i].owner) != 0);
	store_release(&g->began, 1);
	TEST_UNTIL(load_acquire(&g->go));
	ck_ok(ipck_barrier_abort(g->b));
	return 0;
}

static void act_or_fill(unsigned i, void *arg)
{
	struct gate *g = arg;

	if (i > 0)
		fill_all_places(i, arg);
	else
		ck_err(ipck_barrier_wait_action(g->b, act_until_told, g, NULL, far_off()), ECANCELED);
}

/* One in the action, 63 that wait for its end, and then one more. */
START_TEST(no_room_for_one_more)
{
	struct gate *g = make_gate(1);

	run_parties(_i, 65, act_or_fill, g);
	ck_ok(ipck_barrier_reset(g->b));
	end_gate(g);
}
END_TEST

/* ---- actions ---- */

struct actor {
	struct gate *g;
	uint32_t cycle;
	bool acted;
};

/* All are there, and nobody is through. */
static int act(void *arg)
{
	struct actor *a = arg;

	ck_that(load_acquire(&a->g->here[a->cycle]) == PARTIES);
	ck_that(load_acquire(&a->g->ended) == a->cycle * PARTIES);
	ck_that(add_acq_rel(&a->g->acted, 1) == a->cycle);
	a->acted = true;
	return 0;
}

static void meet_with_action(unsigned i, void *arg)
{
	struct actor a = {.g = arg};

	(void)i;
	for (a.cycle = 0; a.cycle < 100; a.cycle++) {
		int rc;

		add_acq_rel(&a.g->here[a.cycle], 1);
		a.acted = false;
		rc = (int)ck_ok(ipck_barrier_wait_action(a.g->b, act, &a, NULL, far_off()));
		ck_that(a.acted == (rc == IPCK_ELECTED));
		ck_that(load_acquire(&a.g->acted) == a.cycle + 1);
		add_acq_rel(&a.g->ended, 1);
		/* The next cycle's action asks how many are through. */
		ck_ok(pass(a.g));
	}
}

START_TEST(the_last_one_acts_before_all_go_on)
{
	struct gate *g = make_gate(PARTIES);

	run_parties(_i, PARTIES, meet_with_action, g);
	ck_assert_uint_eq(g->acted, 100);
	end_gate(g);
}
END_TEST

static void fail_in_turn(unsigned i, void *arg)
{
	struct gate *g = arg;

	TEST_UNTIL(waiting(g) == i);
	ck_err(ipck_barrier_wait_action(g->b, note_action, g, NULL, far_off()), i == PARTIES - 1 ? EIO : ECANCELED);
	ck_err(pass(g), ECANCELED);
}

START_TEST(an_action_that_fails_breaks_it)
{
	struct gate *g = make_gate(PARTIES);

	g->result = EIO;
	run_parties(_i, PARTIES, fail_in_turn, g);
	ck_assert_uint_eq(g->acted, 1);
	ck_assert(ipck_barrier_broken(g->b));
	ck_ok(ipck_barrier_reset(g->b));
	end_gate(g);
}
END_TEST

/* Party 2 acts; 3 comes meanwhile, for the cycle behind it, which needs 4 and 5. */
static int act_slowly(void *arg)
{
	struct gate *g = arg;

	add_acq_rel(&g->acted, 1);
	store_release(&g->began, 1);
	TEST_UNTIL(load_acquire(&g->go));
	return 0;
}

static void come_during_the_action(unsigned i, void *arg)
{
	struct gate *g = arg;
	int rc;

	if (i == 2)
		TEST_UNTIL(waiting(g) == 2);
	if (i == 3) {
		TEST_UNTIL(load_acquire(&g->began));
		ck_err(ipck_barrier_wait(g->b, NULL, ipck_in_ms(20)), ETIMEDOUT);
		/* Who gives up before its own cycle breaks none. */
		ck_that(!ipck_barrier_broken(g->b) && waiting(g) == 3);
		store_release(&g->go, 1);
	}
	if (i > 3)
		TEST_UNTIL(load_acquire(&g->began));
	rc = (int)ck_ok(ipck_barrier_wait_action(g->b, i == 2 ? act_slowly : NULL, g, NULL, far_off()));
	ck_that(i >= 3 || rc == (i == 2 ? IPCK_ELECTED : 0));
}

START_TEST(who_comes_during_an_action_is_of_the_next_cycle)
{
	struct gate *g = make_gate(3);

	run_parties(_i, 6, come_during_the_action, g);
	ck_assert_uint_eq(g->acted, 1);
	end_gate(g);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("barrier");
	TCase *tc = test_case(s, "setting up");

	tcase_add_test(tc, what_cannot_be_set_up);
	tcase_add_test(tc, what_is_not_set_up);
	tc = test_case(s, "cycles");
	test_set_limit(tc, 120);
	tcase_add_loop_test(tc, again_and_again, 0, PARTY_WAYS);
	tcase_add_test(tc, a_million_times);
	tcase_add_test(tc, a_party_alone);
	tcase_add_loop_test(tc, the_index_is_the_order_of_arrival, 0, PARTY_WAYS);
	tcase_add_loop_test(tc, more_than_64, 0, PARTY_WAYS);
	tcase_add_loop_test(tc, more_who_come_than_parties, 0, PARTY_WAYS);
	tcase_add_loop_test(tc, no_room_for_one_more, 0, PARTY_WAYS);
	tc = test_case(s, "action");
	tcase_add_loop_test(tc, the_last_one_acts_before_all_go_on, 0, PARTY_WAYS);
	tcase_add_loop_test(tc, an_action_that_fails_breaks_it, 0, PARTY_WAYS);
	tcase_add_loop_test(tc, who_comes_during_an_action_is_of_the_next_cycle, 0, PARTY_WAYS);
	return test_main(s);
}
