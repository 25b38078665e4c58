/* SPDX-License-Identifier: MIT */
#include "condition_scene.h"

#include <errno.h>

#include "base/ident.h"
#include "base/spin.h"

const struct kill_range *watch(void *ctx, size_t *n)
{
	struct scene *s = ctx;
	static struct kill_range ranges[2];

	ranges[0] = (struct kill_range){s, IPCK_CONDITION_BYTES(PLACES)};
	ranges[1] = (struct kill_range){&s->plain, sizeof(s->plain) + sizeof(s->rlock)};
	*n = 2;
	return ranges;
}

void acquire(struct scene *s)
{
	kill_check(ipck_condition_acquire(&s->condition, beside_far()) >= 0);
	if (s->kind == NESTED)
		kill_check(ipck_rlock_acquire(&s->rlock, IPCK_NOWAIT) == 0);
}

void release(struct scene *s)
{
	if (s->kind == NESTED) {
		kill_check(ipck_rlock_depth(&s->rlock) == 2);
		kill_check(ipck_rlock_release(&s->rlock) == 0);
	}
	kill_check(ipck_condition_release(&s->condition) == 0);
}

void wait_until(struct scene *s, unsigned i, struct ipck_deadline deadline)
{
	int rc = ipck_condition_wait(&s->condition, deadline);

	kill_check(rc >= 0);
	store_release(&s->results[i], (uint32_t)(rc & IPCK_TIMED_OUT ? TIMED_OUT : NOTIFIED));
}

void party(void *ctx, unsigned i)
{
	struct scene *s = ctx;

	acquire(s);
	wait_until(s, i, beside_far());
	kill_check(s->results[i] == NOTIFIED);
	release(s);
}

void notify(struct scene *s, uint32_t n)
{
	acquire(s);
	kill_check(ipck_condition_notify(&s->condition, n) == 0);
	release(s);
}

uint32_t count(struct scene *s, enum word_state state, bool of_victim)
{
	const struct condition *c = inner(s);
	uint32_t n = 0;

	for (uint32_t i = 0; i < load_acquire(&c->used); i++)
		n += word_state(load_acquire(&c->place[i].word)) == state &&
		     (load_relaxed(&c->place[i].owner) == load_acquire(&s->victim)) == of_victim;
	return n;
}

bool victim_in(struct scene *s, enum word_state state)
{
	return load_acquire(&s->victim) && count(s, state, true) == 1;
}

static uint32_t woken(struct scene *s)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < s->others; i++)
		n += load_acquire(&s->results[i]) == NOTIFIED;
	return n;
}

bool sleeps(struct scene *s, pid_t pid)
{
	const struct condition *c = inner(s);

	for (uint32_t i = 0; i < load_acquire(&c->used); i++)
		if (word_state(load_acquire(&c->place[i].word)) == ASLEEP &&
		    (pid_t)(load_relaxed(&c->place[i].owner) & 0x7fffffff) == pid)
			return true;
	return false;
}

void start_party(struct scene *s, unsigned i)
{
	s->results[i] = INSIDE;
	s->pids[i] = beside_start(party, s, i);
	KILL_UNTIL(sleeps(s, s->pids[i]));
}

void stop_all(struct scene *s)
{
	for (unsigned i = 0; i < s->others; i++)
		beside_stop(s->pids[i]);
}

void continue_all(struct scene *s)
{
	for (unsigned i = 0; i < s->others; i++)
		kill(s->pids[i], SIGCONT);
}

/* With the lock: what holds at any time after a settle. */
static void check_settled(struct scene *s)
{
	const struct condition *c = inner(s);

	kill_check(c->used <= c->capacity && c->debt == 0);
	for (uint32_t i = 0; i < c->used; i++) {
		uint64_t word = load_acquire(&c->place[i].word);

		kill_check(word == 0 || word_waits(word) || word_state(word) == GRANTED);
		kill_check(word_number(word) < c->next);
		for (uint32_t j = 0; j < i; j++)
			kill_check(word == 0 || word_number(load_acquire(&c->place[j].word)) != word_number(word));
	}
}

static void settle(struct scene *s)
{
	acquire(s);
	grant_settle(inner(s));
	grant_bury(inner(s));
	check_settled(s);
	release(s);
}

static uint32_t waiting(struct scene *s)
{
	const struct condition *c = inner(s);
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->used; i++)
		n += word_waits(load_acquire(&c->place[i].word)) && !ident_word_dead(load_relaxed(&c->place[i].owner));
	return n;
}

struct scene *make(enum kind kind, unsigned others)
{
	struct scene *s = kill_shared(sizeof(*s));
	struct ipck_condition_opts opts = IPCK_CONDITION_OPTS_INIT;

	spin_forbid();
	kill_check(ipck_lock_init(&s->plain) == 0 && ipck_rlock_init(&s->rlock) == 0);
	s->kind = kind;
	opts.lock = kind == PLAIN ? &s->plain : NULL;
	opts.rlock = kind == NESTED ? &s->rlock : NULL;
	opts.bytes = IPCK_CONDITION_BYTES(PLACES);
	kill_check(ipck_condition_init(&s->condition, &opts) == 0);
	inner(s)->capacity = PLACES;
	for (unsigned i = 0; i < others; i++)
		start_party(s, i);
	s->others = others;
	s->next = inner(s)->next;
	return s;
}

void await_all(struct scene *s)
{
	KILL_UNTIL(victim_in(s, ASLEEP) || load_acquire(&s->dead));
	KILL_UNTIL(count(s, ASLEEP, false) == s->others + (s->pids[GONE] != 0));
}

void expect_woken(struct scene *s, uint32_t least, uint32_t most)
{
	uint32_t given;

	if (s->late_first)
		start_party(s, LATE);
	KILL_UNTIL(woken(s) >= MIN(least, s->others));
	if (!s->late_first)
		start_party(s, LATE);
	settle(s);
	given = s->others + 1 - waiting(s);
	kill_check(given >= MIN(least, s->others) && given <= MIN(most, s->others));
	KILL_UNTIL(woken(s) == given);
	for (unsigned i = 0; i < s->others; i++)
		kill_check(load_acquire(&s->results[i]) == (i < given ? NOTIFIED : INSIDE));
	kill_check(load_acquire(&s->results[LATE]) == INSIDE);
}

static bool is_false(void *unused)
{
	(void)unused;
	return false;
}

/* With the lock: all places are to be had, and given back. */
static void fill(struct scene *s)
{
	struct condition *c = inner(s);
	struct wait_place *places[PLACES];

	for (unsigned i = 0; i < PLACES; i++) {
		kill_check((places[i] = grant_free_place(c)));
		store_relaxed(&places[i]->owner, ident_word());
		store_release(&places[i]->word, word_of(c->next++, WAITING));
	}
	kill_check(!grant_free_place(c));
	check_settled(s);
	kill_check(ipck_condition_wait(&s->condition, IPCK_NOWAIT) == -ENOSPC);
	for (unsigned i = 0; i < PLACES; i++)
		store_release(&places[i]->word, UINT64_C(0));
}

void works(struct scene *s)
{
	notify(s, UINT32_MAX);
	KILL_UNTIL(woken(s) == s->others && load_acquire(&s->results[LATE]) == NOTIFIED);
	start_party(s, FRESH);
	notify(s, 1);
	KILL_UNTIL(load_acquire(&s->results[FRESH]) == NOTIFIED);
	settle(s);
	kill_check(waiting(s) == 0 && count(s, GRANTED, true) + count(s, GRANTED, false) == 0);
	acquire(s);
	kill_check(ipck_condition_wait(&s->condition, IPCK_NOWAIT) == IPCK_TIMED_OUT);
	kill_check(ipck_condition_wait_for(&s->condition, is_false, NULL, IPCK_NOWAIT) == IPCK_TIMED_OUT);
	fill(s);
	release(s);
	kill_check(ipck_condition_waiting(&s->condition) == 0);
	kill_check(ipck_condition_acquire(&s->condition, IPCK_NOWAIT) == 0);
	kill_check(ipck_condition_release(&s->condition) == 0);
}
