/* SPDX-License-Identifier: MIT */
#include "sync/condition.h"

#include <errno.h>

#include "base/clock.h"
#include "base/futex.h"
#include "base/ident.h"
#include "base/name.h"
#include "base/spin.h"

static struct spinner spinner = SPINNER_INIT;

static struct condition *inner(const struct ipck_condition *condition)
{
	return (struct condition *)(uintptr_t)condition;
}

static struct lock *lock_of(const struct condition *c)
{
	return (struct lock *)(uintptr_t)((const char *)c + c->lock);
}

/* Its lock: given, or its own. */
static int init_lock(struct condition *c, const struct ipck_condition_opts *o)
{
	struct lock *lock = &c->own;

	if (o->lock && o->rlock)
		return -EINVAL;
	if (o->lock)
		lock = (struct lock *)o->lock;
	if (o->rlock)
		lock = (struct lock *)o->rlock;
	c->own.kind = 0;
	c->lock = (char *)lock - (char *)c;
	if (lock == &c->own)
		return sealed_lock_init(lock, SEALED_RLOCK);
	return sealed_is(&lock->kind, o->lock ? SEALED_LOCK : SEALED_RLOCK) ? 0 : -EINVAL;
}

int ipck_condition_init(struct ipck_condition *condition, const struct ipck_condition_opts *opts)
{
	struct ipck_condition_opts o = IPCK_CONDITION_OPTS_INIT;
	struct condition *c = inner(condition);
	size_t room;
	int rc = opts_copy(&o, sizeof(o), opts);

	if (rc < 0)
		return rc;
	room = sealed_room(o.bytes, sizeof(*condition), sizeof(*c), sizeof(*c->place));
	if (room == 0)
		return -ENOSPC;
	rc = init_lock(c, &o);
	if (rc < 0)
		return rc;
	c->capacity = (uint32_t)MIN(room, DEBT_MOST - 1);
	c->next = 1;
	c->debt = 0;
	c->used = 0;
	for (uint32_t i = 0; i < c->capacity; i++)
		c->place[i] = (struct wait_place){0};
	sealed_set(&c->kind, SEALED_CONDITION);
	return 0;
}

void ipck_condition_fini(struct ipck_condition *condition)
{
	struct condition *c = inner(condition);

	if (!c)
		return;
	c->kind = 0;
	if (c->own.kind)
		sealed_lock_fini(&c->own);
}

int ipck_condition_acquire(struct ipck_condition *condition, struct ipck_deadline deadline)
{
	struct condition *c = inner(condition);

	if (!sealed_is(&c->kind, SEALED_CONDITION))
		return -EINVAL;
	return lock_of(c)->kind == SEALED_LOCK ? ipck_lock_acquire((struct ipck_lock *)lock_of(c), deadline)
	                                       : ipck_rlock_acquire((struct ipck_rlock *)lock_of(c), deadline);
}

int ipck_condition_release(struct ipck_condition *condition)
{
	struct condition *c = inner(condition);

	if (!sealed_is(&c->kind, SEALED_CONDITION))
		return -EINVAL;
	return lock_of(c)->kind == SEALED_LOCK ? ipck_lock_release((struct ipck_lock *)lock_of(c))
	                                       : ipck_rlock_release((struct ipck_rlock *)lock_of(c));
}

static int check_held(const struct condition *c)
{
	if (!sealed_is(&c->kind, SEALED_CONDITION))
		return -EINVAL;
	return lock_held_here(&lock_of(c)->robust) ? 0 : -EPERM;
}

/* ---- wait ---- */

/* One wait, while the lock is not held. */
struct waiting {
	struct condition *condition;
	struct wait_place *place;
	uint64_t number;
};

static bool is_granted(void *arg)
{
	const struct waiting *w = arg;

	return !word_waits(load_acquire(&w->place->word));
}

/* 0: granted, or *look: something may have to be settled; or -ETIMEDOUT, -ECANCELED. */
static int sleep_on(struct waiting *w, bool *look, struct ipck_deadline deadline)
{
	uint64_t waiting = word_of(w->number, WAITING), asleep = word_of(w->number, ASLEEP);
	int64_t slice = FIRST_LOOK_NS;

	*look = false;
	if (deadline.ns > 0 && spin_until(&spinner, is_granted, w))
		return 0;
	/* Or it is so already, from before a look. */
	(void)cas_seq(&w->place->word, &waiting, asleep);
	while (!is_granted(w)) {
		int rc = futex_wait_slice(word_low(w->place), (uint32_t)asleep, deadline, slice);

		if (rc < 0)
			return rc;
		if (is_granted(w))
			break;
		*look = grant_looks_lost(w->condition, w->number);
		if (*look)
			break;
		slice = MIN(2 * slice, TICK_NS);
	}
	return 0;
}

/*
 * Sleeps, and has the lock again: notices, with how it ended in the place; or negative,
 * without the lock.
 */
static int wait_without_lock(struct waiting *w, struct ipck_deadline deadline)
{
	struct condition *c = w->condition;
	struct lock *lock = lock_of(c);

	for (;;) {
		bool look;
		int rc = sleep_on(w, &look, deadline);
		int notices = sealed_lock_acquire(lock, IPCK_FOREVER);

		if (notices < 0)
			return notices;
		grant_settle(c);
		if (look)
			grant_bury(c);
		if (is_granted(w))
			return notices;
		if (rc < 0)
			return notices | IPCK_TIMED_OUT;
		sealed_lock_hand_on(lock, notices);
	}
}

static int begin_wait(struct waiting *w)
{
	struct condition *c = w->condition;

	grant_settle(c);
	w->place = grant_free_place(c);
	if (!w->place)
		return -ENOSPC;
	w->number = c->next;
	/* First, so that no other gets it. */
	store_relaxed(&c->next, w->number + 1);
	store_relaxed(&w->place->owner, ident_word());
	store_release(&w->place->word, word_of(w->number, WAITING));
	return 0;
}

int ipck_condition_wait(struct ipck_condition *condition, struct ipck_deadline deadline)
{
	struct waiting w = {.condition = inner(condition)};
	struct lock *lock;
	uint32_t depth;
	int rc = check_held(w.condition);

	if (rc == 0)
		rc = begin_wait(&w);
	if (rc < 0)
		return rc;
	lock = lock_of(w.condition);
	depth = load_relaxed(&lock->depth);
	lock_release(&lock->robust);
	rc = wait_without_lock(&w, deadline);
	if (rc < 0)
		return rc;
	store_relaxed(&lock->depth, depth);
	store_release(&w.place->word, UINT64_C(0));
	return rc;
}

int ipck_condition_wait_for(struct ipck_condition *condition, bool (*predicate)(void *arg), void *arg,
                            struct ipck_deadline deadline)
{
	int notices = 0, rc = check_held(inner(condition));

	if (rc < 0)
		return rc;
	while (!predicate(arg)) {
		if (rc & IPCK_TIMED_OUT)
			return notices | IPCK_TIMED_OUT;
		rc = ipck_condition_wait(condition, deadline);
		if (rc < 0) {
			/* The lock is held still, and its next holder is told what this one is not. */
			if (rc == -ENOSPC && notices)
				store_relaxed(&lock_of(inner(condition))->untold, 1);
			return rc;
		}
		notices |= rc & ~IPCK_TIMED_OUT;
	}
	return notices;
}

/* ---- notify ---- */

int ipck_condition_notify(struct ipck_condition *condition, uint32_t n)
{
	struct condition *c = inner(condition);
	int rc = n > 0 ? check_held(c) : -EINVAL;

	if (rc < 0)
		return rc;
	grant_settle(c);
	grant_give(c, n);
	return 0;
}

int ipck_condition_notify_all(struct ipck_condition *condition)
{
	return ipck_condition_notify(condition, UINT32_MAX);
}

uint32_t ipck_condition_waiting(const struct ipck_condition *condition)
{
	return grant_count_waiting(inner(condition));
}

void ipck_condition_scope_end(struct ipck_condition **condition)
{
	if (*condition)
		(void)ipck_condition_release(*condition);
}
