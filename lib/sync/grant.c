/* SPDX-License-Identifier: MIT */
/* Who gets a notification, and who gets it if that one is dead; see condition.h. */
#include "base/futex.h"
#include "base/ident.h"
#include "sync/condition.h"

/* The oldest that waits since before that number. */
static struct wait_place *oldest(struct condition *c, uint64_t before)
{
	struct wait_place *first = NULL;

	for (uint32_t i = 0; i < c->used; i++) {
		uint64_t word = load_relaxed(&c->place[i].word);

		if (word_waits(word) && word_number(word) < before) {
			before = word_number(word);
			first = &c->place[i];
		}
	}
	return first;
}

/* False: it was given to a dead one, and is taken back. */
static bool give_to(struct wait_place *p, uint64_t grant)
{
	uint64_t word = swap_seq(&p->word, word_of(grant, GRANTED));

	/* Who does not sleep sees it; if it does not live, that is found at a tick. */
	if (word_state(word) != ASLEEP || futex_wake(word_low(p), 1) > 0 || !ident_word_dead(load_relaxed(&p->owner)))
		return true;
	store_release(&p->word, UINT64_C(0));
	return false;
}

static bool give(struct condition *c, uint64_t grant)
{
	struct wait_place *p;

	do {
		p = oldest(c, grant);
		if (!p)
			return false;
	} while (!give_to(p, grant));
	return true;
}

/* Whether a place has that grant, in that state. */
static bool is_in(const struct condition *c, uint64_t grant, enum word_state state)
{
	for (uint32_t i = 0; i < c->used; i++)
		if (load_relaxed(&c->place[i].word) == word_of(grant, state))
			return true;
	return false;
}

static void end_debt(struct condition *c, uint64_t first, uint64_t n)
{
	if (load_relaxed(&c->next) < first + n)
		store_relaxed(&c->next, first + n);
	store_release(&c->debt, UINT64_C(0));
}

static void pay_debt(struct condition *c)
{
	uint64_t debt = load_acquire(&c->debt), first = debt / DEBT_MOST, n = debt % DEBT_MOST;

	if (likely(debt == 0))
		return;
	for (uint64_t grant = first; grant < first + n; grant++)
		if (!is_in(c, grant, GRANTED) && !is_in(c, grant, PASSING) && !give(c, grant))
			break;
	end_debt(c, first, n);
}

static void pass_on(struct condition *c)
{
	for (uint32_t i = 0; i < c->used; i++) {
		uint64_t word = load_relaxed(&c->place[i].word);

		if (word_state(word) != PASSING)
			continue;
		if (!is_in(c, word_number(word), GRANTED))
			(void)give(c, word_number(word));
		store_release(&c->place[i].word, UINT64_C(0));
	}
}

void grant_settle(struct condition *c)
{
	pay_debt(c);
	pass_on(c);
}

uint32_t grant_count_waiting(const struct condition *c)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < load_relaxed(&c->used); i++)
		n += word_waits(load_acquire(&c->place[i].word));
	return n;
}

/* All that wait, in no order. */
static void give_all(struct condition *c, uint64_t grant)
{
	for (uint32_t i = 0; i < c->used; i++)
		if (word_waits(load_relaxed(&c->place[i].word)))
			(void)give_to(&c->place[i], grant++);
}

void grant_give(struct condition *c, uint32_t n)
{
	uint32_t waiting = grant_count_waiting(c);
	uint64_t first = c->next;

	n = MIN(n, waiting);
	if (n == 0)
		return;
	store_release(&c->debt, first * DEBT_MOST + n);
	if (n == waiting)
		give_all(c, first);
	else
		for (uint64_t grant = first; grant < first + n && give(c, grant); grant++)
			;
	end_debt(c, first, n);
}

static bool is_dead(const struct wait_place *p)
{
	return ident_word_dead(load_relaxed(&p->owner));
}

void grant_bury(struct condition *c)
{
	for (uint32_t i = 0; i < c->used; i++) {
		struct wait_place *p = &c->place[i];
		uint64_t word = load_relaxed(&p->word);

		if (word_state(word) == GRANTED && is_dead(p))
			store_release(&p->word, word_of(word_number(word), PASSING));
	}
	pass_on(c);
}

static struct wait_place *find_free(struct condition *c)
{
	for (uint32_t i = 0; i < c->used; i++)
		if (load_relaxed(&c->place[i].word) == 0)
			return &c->place[i];
	if (c->used == c->capacity)
		return NULL;
	store_release(&c->used, c->used + 1);
	return &c->place[c->used - 1];
}

struct wait_place *grant_free_place(struct condition *c)
{
	struct wait_place *p = find_free(c);

	if (p)
		return p;
	for (uint32_t i = 0; i < c->used; i++)
		if (word_waits(load_relaxed(&c->place[i].word)) && is_dead(&c->place[i]))
			store_release(&c->place[i].word, UINT64_C(0));
	grant_bury(c);
	return find_free(c);
}

bool grant_looks_lost(const struct condition *c, uint64_t number)
{
	if (load_acquire(&c->debt) != 0)
		return true;
	for (uint32_t i = 0; i < load_acquire(&c->used); i++) {
		uint64_t word = load_acquire(&c->place[i].word);

		if (word_number(word) < number)
			continue;
		if (word_state(word) == PASSING || (word_state(word) == GRANTED && is_dead(&c->place[i])))
			return true;
	}
	return false;
}
