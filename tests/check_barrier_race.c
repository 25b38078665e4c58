/* SPDX-License-Identifier: MIT */
/* Barriers, where something happens between two steps of an arrival: at calls that it makes there. */
#include <ipckit/barrier.h>

#include "base/clock.h"
#include "gate.h"

static struct gate *gate;
static struct barrier *inside;

/* What happens at the next call, and what it returns then. */
static int64_t (*at_clock)(void);
static bool (*at_death)(uint64_t word);

int64_t __real_clock_now(void);
int64_t __wrap_clock_now(void);
int64_t __wrap_clock_now(void)
{
	int64_t (*hook)(void) = swap_seq(&at_clock, NULL);

	return hook ? hook() : __real_clock_now();
}

bool __real_ident_word_dead(uint64_t word);
bool __wrap_ident_word_dead(uint64_t word);
bool __wrap_ident_word_dead(uint64_t word)
{
	bool (*hook)(uint64_t) = swap_seq(&at_death, NULL);

	return hook ? hook(word) : __real_ident_word_dead(word);
}

static void make(uint32_t parties)
{
	gate = make_gate(parties);
	inside = (struct barrier *)(void *)gate->b;
}

/* ---- between the look at the state and the arrival ---- */

static int64_t reset_it(void)
{
	ck_ok(ipck_barrier_reset(gate->b));
	return clock_now();
}

/* Who has arrived in no cycle yet is not among those who have to leave it. */
START_TEST(a_reset_before_the_first_arrives)
{
	make(2);
	at_clock = reset_it;
	ck_err(ipck_barrier_wait(gate->b, NULL, IPCK_NOWAIT), ETIMEDOUT);
	ck_that(!at_clock);
	/* It began the next cycle, in which nobody else came. */
	ck_that(ipck_barrier_broken(gate->b));
	ck_ok(ipck_barrier_reset(gate->b));
	end_gate(gate);
}
END_TEST

static void arrive_when_told(void *arg)
{
	struct gate *g = arg;

	spin_forbid();
	TEST_UNTIL(load_acquire(&g->go));
	ck_ok(pass(g));
}

static pid_t other;

/* The other one is the first, and sleeps; this one looks at a clock that is ahead. */
static int64_t come_second(void)
{
	store_release(&gate->go, 1);
	TEST_UNTIL(waiting(gate) == 1 && test_state(other) == 'S');
	return clock_now() + 3600 * NS_PER_SEC;
}

START_TEST(only_the_first_says_when_it_began)
{
	make(2);
	other = test_fork(arrive_when_told, gate);
	at_clock = come_second;
	ck_that(pass(gate) == IPCK_ELECTED);
	ck_that(load_relaxed(&inside->begun) > 0);
	ck_that(load_relaxed(&inside->begun) <= clock_now());
	test_join(other);
	end_gate(gate);
}
END_TEST

/* ---- between the proof of a death and what follows ---- */

static void tell_word(void *arg)
{
	store_release((uint64_t *)arg, ident_word());
}

static uint64_t word_of_dead(void)
{
	uint64_t *word = test_shared(sizeof(*word));

	test_join(test_fork(tell_word, word));
	return *word;
}

/* Another one, who lives, has taken the place over, and arrives. */
static bool taken_over(uint64_t word)
{
	store_release(&inside->place[0].owner, ident_word());
	store_release(&inside->place[0].cycle, state_cycle(load_acquire(&inside->state)));
	return __real_ident_word_dead(word);
}

START_TEST(a_place_that_is_taken_over_meanwhile)
{
	gate = test_shared(sizeof(*gate));
	gate->b = &gate->first;
	gate->parties = 2;
	ck_ok(ipck_barrier_init(gate->b, 2, IPCK_BARRIER_OPTS(.bytes = IPCK_BARRIER_BYTES(2))));
	inside = (struct barrier *)(void *)gate->b;
	ck_that(inside->places == 2);
	inside->place[0].owner = word_of_dead();
	inside->place[1].owner = ident_word();
	at_death = taken_over;
	ck_err(pass(gate), ENOSPC);
	ck_that(!at_death);
	ck_that(!ipck_barrier_broken(gate->b));
	inside->place[0] = inside->place[1] = (struct place){0};
	end_gate(gate);
}
END_TEST

/* It died before it was counted, so nobody has waited with it. */
START_TEST(a_party_alone_is_not_told_of_the_dead)
{
	make(1);
	inside->place[0].owner = word_of_dead();
	inside->place[0].cycle = state_cycle(inside->state);
	ck_that(ipck_barrier_wait(gate->b, NULL, IPCK_NOWAIT) == IPCK_ELECTED);
	end_gate(gate);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("barrier, between steps");
	TCase *tc = test_case(s, "arrival");

	tcase_add_test(tc, a_reset_before_the_first_arrives);
	tcase_add_test(tc, only_the_first_says_when_it_began);
	tc = test_case(s, "death");
	tcase_add_test(tc, a_place_that_is_taken_over_meanwhile);
	tcase_add_test(tc, a_party_alone_is_not_told_of_the_dead);
	return test_main(s);
}
