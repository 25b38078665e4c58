/* SPDX-License-Identifier: MIT */
/*
 * Semaphores.
 *
 * kind, form, most, permits: set at init.  most: of value; permits: of a recorded one.
 * value (plain, bounded): what can be taken; changed by compare-and-swap, down by
 *   who acquires (acquire), up by who releases (seq, for the look at who sleeps).
 * owner (recorded), one word per permit: 0, free; or ident_word() of the process that
 *   has it, with GIVING while one of its threads gives it back with others.  From 0 by
 *   a compare-and-swap of who acquires, back to 0 by one of its owner (seq); from a
 *   dead owner to the next by a compare-and-swap of who has proven the death, when
 *   there is no other.
 * sleepers: an event count, told of as many as were released.
 *
 * Each change is one word, so a kill leaves all of an operation or nothing, and
 * - a holder: of a recorded one, its word; of the others the permit is gone with it.
 * - who gave several of a recorded one: those that are not 0 yet, as a holder.
 * - who released, before it woke anybody, or who was woken, before it took: a permit
 *   that is free, and perhaps somebody asleep: until the tick.
 */
#include <ipckit/semaphore.h>

#include <errno.h>

#include "base/evcount.h"
#include "base/ident.h"
#include "base/name.h"
#include "base/spin.h"
#include "sync/sealed.h"

enum form { PLAIN, BOUNDED, RECORDED };

struct semaphore {
	uint32_t kind;
	uint32_t form; /* enum form */
	uint32_t value, most;
	struct evcount sleepers;
	uint32_t permits, spare;
	uint64_t owner[];
} SEALED;

SEALED_FITS(struct semaphore, struct ipck_semaphore);
_Static_assert(sizeof(struct semaphore) + 64 * sizeof(uint64_t) <= sizeof(struct ipck_semaphore), "64 permits");
_Static_assert(sizeof(struct semaphore) + sizeof(uint64_t) <= IPCK_SEMAPHORE_BYTES(1), "IPCK_SEMAPHORE_BYTES");

/* The bit of an ident_word() that is the user's. */
#define GIVING (UINT64_C(1) << 31)

static struct spinner spinner = SPINNER_INIT;

static struct semaphore *inner(const struct ipck_semaphore *semaphore)
{
	return (struct semaphore *)(uintptr_t)semaphore;
}

int ipck_semaphore_init(struct ipck_semaphore *semaphore, uint32_t value, const struct ipck_semaphore_opts *opts)
{
	struct ipck_semaphore_opts o = IPCK_SEMAPHORE_OPTS_INIT;
	struct semaphore *s = inner(semaphore);
	int rc = opts_copy(&o, sizeof(o), opts);

	if (rc < 0)
		return rc;
	if (value > IPCK_SEMAPHORE_MAX || o.bound > IPCK_SEMAPHORE_MAX || (o.bound && value > o.bound) ||
	    (o.recorded && (o.bound || value == 0)))
		return -EINVAL;
	if (o.recorded && value > sealed_room(o.bytes, sizeof(*semaphore), sizeof(*s), sizeof(*s->owner)))
		return -ENOSPC;
	s->form = o.recorded ? RECORDED : o.bound ? BOUNDED : PLAIN;
	s->value = value;
	s->most = o.bound ? o.bound : IPCK_SEMAPHORE_MAX;
	s->sleepers = (struct evcount){0};
	s->permits = o.recorded ? value : 0;
	for (uint32_t i = 0; i < s->permits; i++)
		s->owner[i] = 0;
	sealed_set(&s->kind, SEALED_SEMAPHORE);
	return 0;
}

void ipck_semaphore_fini(struct ipck_semaphore *semaphore)
{
	if (semaphore)
		inner(semaphore)->kind = 0;
}

/* ---- acquire ---- */

struct attempt {
	struct semaphore *s;
	uint64_t me;
	int notices;
};

static bool take_one(struct semaphore *s)
{
	uint32_t value = load_seq(&s->value);

	while (value > 0)
		if (cas_acquire(&s->value, &value, value - 1))
			return true;
	return false;
}

static bool take_free(struct semaphore *s, uint64_t me)
{
	/* Different processes begin at different places. */
	uint32_t start = (uint32_t)me % s->permits;

	for (uint32_t i = 0; i < s->permits; i++) {
		uint64_t *owner = &s->owner[(start + i) % s->permits], nobody = 0;

		if (load_seq(owner) == 0 && cas_acquire(owner, &nobody, me))
			return true;
	}
	return false;
}

static bool try_acquire(void *arg)
{
	struct attempt *a = arg;

	return a->s->form == RECORDED ? take_free(a->s, a->me) : take_one(a->s);
}

static bool take_from_dead(void *arg)
{
	struct attempt *a = arg;
	uint64_t alive = a->me;

	for (uint32_t i = 0; i < a->s->permits; i++) {
		uint64_t owner = load_relaxed(&a->s->owner[i]);

		if (owner == 0 || owner == a->me || owner == alive)
			continue;
		if (!ident_word_dead(owner)) {
			alive = owner;
		} else if (cas_acquire(&a->s->owner[i], &owner, a->me)) {
			a->notices = IPCK_OWNER_DIED;
			return true;
		}
	}
	return false;
}

int ipck_semaphore_acquire(struct ipck_semaphore *semaphore, struct ipck_deadline deadline)
{
	struct attempt a = {.s = inner(semaphore)};
	int rc;

	if (!sealed_is(&a.s->kind, SEALED_SEMAPHORE))
		return -EINVAL;
	if (a.s->form == RECORDED)
		a.me = ident_word();
	if (likely(try_acquire(&a)))
		return 0;
	if (deadline.ns > 0 && spin_until(&spinner, try_acquire, &a))
		return 0;
	rc = evcount_await_looking(&a.s->sleepers, try_acquire, a.s->form == RECORDED ? take_from_dead : NULL, &a,
	                           deadline);
	return rc < 0 ? rc : a.notices;
}

/* ---- release ---- */

static int give_counted(struct semaphore *s, uint32_t n)
{
	uint32_t value = load_relaxed(&s->value);

	do
		if (n > s->most - value)
			return s->form == BOUNDED ? -EPERM : -EOVERFLOW;
	while (!cas_seq(&s->value, &value, value + n));
	return 0;
}

static uint32_t held_by(const struct semaphore *s, uint64_t who)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->permits; i++)
		n += load_relaxed(&s->owner[i]) == who;
	return n;
}

/* Makes at most n of the words `from` to `to`: how many. */
static uint32_t change(struct semaphore *s, uint64_t from, uint64_t to, uint32_t n)
{
	uint32_t changed = 0;

	for (uint32_t i = 0; i < s->permits && changed < n; i++) {
		uint64_t word = from;

		if (load_relaxed(&s->owner[i]) == from && cas_seq(&s->owner[i], &word, to))
			changed++;
	}
	return changed;
}

/* Of one word it is the store of 0; of several, all are taken from the other threads of this process before. */
static int give_recorded(struct semaphore *s, uint32_t n)
{
	uint64_t me = ident_word(), to = 0;
	uint32_t left;

	if (n == 1)
		return change(s, me, to, 1) == 1 ? 0 : -EPERM;
	if (held_by(s, me) < n)
		return -EPERM;
	left = change(s, me, me | GIVING, n);
	if (left < n)
		to = me;
	/* Perhaps another thread's, who then gets these: there are as many as all of them have taken. */
	while (left > 0)
		left -= change(s, me | GIVING, to, left);
	return to == 0 ? 0 : -EPERM;
}

int ipck_semaphore_release(struct ipck_semaphore *semaphore, uint32_t n)
{
	struct semaphore *s = inner(semaphore);
	int rc;

	if (!sealed_is(&s->kind, SEALED_SEMAPHORE) || n == 0)
		return -EINVAL;
	rc = s->form == RECORDED ? give_recorded(s, n) : give_counted(s, n);
	if (rc == 0)
		evcount_notify(&s->sleepers, (int)n);
	return rc;
}

uint32_t ipck_semaphore_value(const struct ipck_semaphore *semaphore)
{
	const struct semaphore *s = inner(semaphore);

	return s->form == RECORDED ? held_by(s, 0) : load_acquire(&s->value);
}

void ipck_semaphore_scope_end(struct ipck_semaphore **semaphore)
{
	if (*semaphore)
		(void)ipck_semaphore_release(*semaphore, 1);
}
