/* SPDX-License-Identifier: MIT */
/* What the tests of conditions share: a condition with those who wait for it. */
#ifndef TESTS_WAITERS_H
#define TESTS_WAITERS_H

#include "ways.h"
#include "sync/condition.h"

#define WAITERS_MAX 128

enum lock_kind { OWN_LOCK, GIVEN_LOCK, GIVEN_RLOCK, LOCK_KINDS };

struct scene {
	struct ipck_condition first, second; /* second: of the same lock */
	struct ipck_lock lock;
	struct ipck_rlock rlock;
	struct ipck_condition *c; /* the first, or a larger one */
	enum lock_kind kind;
	uint32_t turn;  /* who may begin to wait: all before that */
	uint32_t woken; /* how many have come back */
	uint32_t order[WAITERS_MAX];
	int rc[WAITERS_MAX];
	uint32_t began, taken, released, ended;
	uint32_t items, passed; /* what the conditions are about */
};

static inline struct scene *make_scene_of(enum lock_kind kind)
{
	struct scene *s = test_shared(sizeof(*s));
	struct ipck_condition_opts o = IPCK_CONDITION_OPTS_INIT;

	ck_ok(ipck_lock_init(&s->lock));
	ck_ok(ipck_rlock_init(&s->rlock));
	o.lock = kind == GIVEN_LOCK ? &s->lock : NULL;
	o.rlock = kind == GIVEN_RLOCK ? &s->rlock : NULL;
	s->kind = kind;
	s->c = &s->first;
	ck_ok(ipck_condition_init(&s->first, &o));
	if (kind != OWN_LOCK)
		ck_ok(ipck_condition_init(&s->second, &o));
	return s;
}

static inline struct scene *make_scene(void)
{
	return make_scene_of(OWN_LOCK);
}

static inline void take(struct scene *s)
{
	ck_that(ipck_condition_acquire(s->c, far_off()) == 0);
}

static inline void give_back(struct scene *s)
{
	ck_ok(ipck_condition_release(s->c));
}

static inline void notify(struct scene *s, uint32_t n)
{
	take(s);
	ck_ok(ipck_condition_notify(s->c, n));
	give_back(s);
}

static inline uint32_t waiting(const struct scene *s)
{
	return ipck_condition_waiting(s->c);
}

/* So many wait, and have given the lock back: they may be stopped or killed, and hold nothing. */
static inline bool only_wait(const struct scene *s, uint32_t n)
{
	const struct condition *c = (const struct condition *)(const void *)s->c;
	const struct lock *lock = (const struct lock *)(const void *)((const char *)c + c->lock);

	return waiting(s) == n && lock_owner(&lock->robust) == 0;
}

/* Waits as the i-th, and writes down how that ended, and as which one. */
static inline void wait_as(struct scene *s, unsigned i, struct ipck_deadline deadline)
{
	uint32_t n;

	ck_ok(ipck_condition_acquire(s->c, far_off()));
	s->rc[i] = ipck_condition_wait(s->c, deadline);
	ck_that(s->rc[i] >= 0);
	n = load_relaxed(&s->woken);
	s->order[n] = i;
	store_release(&s->woken, n + 1);
	give_back(s);
}

static inline void wait_in_turn(struct scene *s, unsigned i)
{
	TEST_UNTIL(load_acquire(&s->turn) > i);
	wait_as(s, i, far_off());
}

/* Lets the next n begin to wait, one behind the other. */
static inline void let_wait(struct scene *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint32_t before = waiting(s);

		add_acq_rel(&s->turn, 1);
		TEST_UNTIL(waiting(s) == before + 1);
	}
}

/* Nobody waits or is owed anything: what is inside is as at first. */
static inline void is_unused(const struct ipck_condition *condition)
{
	const struct condition *c = (const struct condition *)condition;

	ck_that(c->debt == 0);
	for (uint32_t i = 0; i < c->capacity; i++)
		ck_that(c->place[i].word == 0);
	ck_that(ipck_condition_waiting(condition) == 0);
}

/* And it works: nothing is remembered. */
static inline void end_scene(struct scene *s)
{
	is_unused(s->c);
	take(s);
	ck_ok(ipck_condition_notify_all(s->c));
	ck_that(ipck_condition_wait(s->c, IPCK_NOWAIT) == IPCK_TIMED_OUT);
	give_back(s);
	ck_err(ipck_condition_release(s->c), EPERM);
	is_unused(s->c);
	if (s->kind != OWN_LOCK)
		ipck_condition_fini(&s->second);
	ipck_condition_fini(s->c);
	ipck_lock_fini(&s->lock);
	ipck_rlock_fini(&s->rlock);
}

#endif
