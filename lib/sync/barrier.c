/* SPDX-License-Identifier: MIT */
/*
 * Barriers.
 *
 * kind, parties, patience, places: set at init.
 * state, the truth: which cycle it is (from 1), its phase, and how many have arrived.
 *   Changed by compare-and-swap only (seq, for the look at who sleeps):
 *     FILLING   an arrival adds 1.  The last one makes it the next cycle, with none
 *               arrived: this releases all.  With an action it adds its 1 first, runs the
 *               action, and then makes it the next cycle.
 *     LEAVING   reset; those of this cycle leave.  Who comes, and finds that they have,
 *               makes it FILLING of the next cycle.
 *     BROKEN, DEAD   until it is reset; DEAD: because a party died.
 *   So the cycle only goes on from FILLING when all are there, and from LEAVING when
 *   nobody of it is left: who is in a cycle and sees a later one was released.
 * place, one for each process or thread that waits:
 *     owner  0, free; or ident_word() of the process; by compare-and-swap.
 *     cycle  in which its owner arrives, stored before it is counted, so that no one is
 *            counted who is not written down; 0: in none.
 * begun: when the first of a cycle arrived, written by it after it did, so never later
 *   than that.  If that is long ago the last one makes sure that the others live.
 * sleepers: an event count, all told by each change of state that is not an arrival,
 *   and by those who leave a cycle that did not end well.
 *
 * A kill leaves a place with a dead owner.
 * - It counts for the current cycle: who waits behind it, looking at its tick, or the
 *   last one to arrive, or who comes while the cycle is full, or who needs the place, makes
 *   the state DEAD.  Also if it was not counted yet: a party of this cycle has died.
 * - Else it means nothing, and the place is taken over when there is no other.
 * Of a change of state that was not told of the sleepers learn at their tick.
 */
#include "sync/barrier.h"

#include <errno.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/ident.h"
#include "base/name.h"
#include "base/spin.h"

#define SEARCHES 8
#define LOOKED_AT 8 /* of the others, at each look for the dead */

static struct spinner spinner = SPINNER_INIT;

static struct barrier *inner(const struct ipck_barrier *barrier)
{
	return (struct barrier *)(uintptr_t)barrier;
}

int ipck_barrier_init(struct ipck_barrier *barrier, uint32_t parties, const struct ipck_barrier_opts *opts)
{
	struct ipck_barrier_opts o = IPCK_BARRIER_OPTS_INIT;
	struct barrier *b = inner(barrier);
	size_t places;
	int rc = opts_copy(&o, sizeof(o), opts);

	if (rc < 0)
		return rc;
	if (parties == 0 || parties > IPCK_BARRIER_MAX || o.timeout_ns < 0 || (uintptr_t)b % CACHE_LINE)
		return -EINVAL;
	places = sealed_room(o.bytes, sizeof(*barrier), sizeof(*b), sizeof(*b->place));
	if (parties > places)
		return -ENOSPC;
	b->parties = parties;
	b->patience = o.timeout_ns;
	b->places = (uint32_t)MIN(places, UINT32_MAX);
	b->state = state_word(1, 0, FILLING);
	b->begun = 0;
	b->sleepers = (struct evcount){0};
	for (uint32_t i = 0; i < b->places; i++)
		b->place[i] = (struct place){0};
	sealed_set(&b->kind, SEALED_BARRIER);
	return 0;
}

void ipck_barrier_fini(struct ipck_barrier *barrier)
{
	if (barrier)
		inner(barrier)->kind = 0;
}

/* From this cycle's FILLING, if it still is. */
static bool break_cycle(struct barrier *b, uint64_t cycle, enum phase to)
{
	uint64_t state = load_acquire(&b->state);

	while (state_cycle(state) == cycle && state_phase(state) == FILLING)
		if (cas_seq(&b->state, &state, state_word(cycle, 0, to))) {
			evcount_notify(&b->sleepers, EVCOUNT_ALL);
			return true;
		}
	return false;
}

/* ---- places ---- */

/* Where a thread begins to look for a free one: neighbours on different lines. */
static uint32_t home(const struct barrier *b, uint64_t me)
{
	uint64_t n = (me & 0x7fffffff) + (uint64_t)((uintptr_t)pthread_self() >> 12);

	return (uint32_t)((n * PLACES_IN_LINE + n / 16) % b->places);
}

/* Several rounds: with as many who come and go as there are places the free one may be behind us each time. */
static struct place *free_place(struct barrier *b, uint64_t me)
{
	uint32_t start = home(b, me);

	for (uint64_t i = 0; i < (uint64_t)b->places * SEARCHES; i++) {
		struct place *p = &b->place[(start + i) % b->places];
		uint64_t nobody = 0;

		if (load_relaxed(&p->owner) == 0 && cas_acquire(&p->owner, &nobody, me))
			return p;
	}
	return NULL;
}

/* False: it is not that owner's any more, nor then the cycle: another has taken it over, and may have arrived. */
static bool cycle_of(const struct place *p, uint64_t owner, uint64_t *cycle)
{
	*cycle = load_acquire(&p->cycle);
	return load_relaxed(&p->owner) == owner;
}

static struct place *place_of_dead(struct barrier *b, uint64_t me)
{
	for (uint32_t i = 0; i < b->places; i++) {
		struct place *p = &b->place[i];
		uint64_t owner = load_acquire(&p->owner), cycle;

		if (owner == 0 || owner == me || !ident_word_dead(owner))
			continue;
		/* Or its death would be forgotten. */
		if (cycle_of(p, owner, &cycle))
			break_cycle(b, cycle, DEAD);
		if (cas_acquire(&p->owner, &owner, me)) {
			store_relaxed(&p->cycle, UINT64_C(0));
			return p;
		}
	}
	return NULL;
}

static void free_up(struct place *p)
{
	store_relaxed(&p->cycle, UINT64_C(0));
	store_release(&p->owner, UINT64_C(0));
}

/* ---- the dead ---- */

static bool is_dead_of(const struct place *p, uint64_t cycle)
{
	uint64_t owner = load_acquire(&p->owner), own;

	return owner != 0 && cycle_of(p, owner, &own) && own == cycle && ident_word_dead(owner);
}

static bool any_is_dead(const struct barrier *b, uint64_t cycle)
{
	for (uint32_t i = 0; i < b->places; i++)
		if (is_dead_of(&b->place[i], cycle))
			return true;
	return false;
}

/* ---- waiting ---- */

struct visit {
	struct barrier *barrier;
	struct place *place;
	uint64_t cycle;
	uint64_t state;  /* seen, for a wait until it is another */
	uint32_t behind; /* so many places behind ours the next look begins */
};

/* How the cycle went on: 1, not yet; 0; or an error. */
static int outcome(const struct visit *v)
{
	uint64_t state = load_seq(&v->barrier->state);

	if (state_cycle(state) != v->cycle)
		return 0;
	switch (state_phase(state)) {
	case FILLING:
		return 1;
	case DEAD:
		return -EOWNERDEAD;
	default:
		return -ECANCELED;
	}
}

static bool has_outcome(void *arg)
{
	return outcome(arg) <= 0;
}

/*
 * Each who waits looks at the next few of this cycle behind its own place, and at its next
 * look at those that follow: so that each dead one is seen soon by somebody who looks, and
 * in the end by all, as the nearest ones may be stopped.
 */
static bool next_are_dead(struct visit *v)
{
	const struct barrier *b = v->barrier;
	uint32_t own = (uint32_t)(v->place - b->place), left = LOOKED_AT;

	while (left > 0 && ++v->behind < b->places) {
		const struct place *p = &b->place[(own + v->behind) % b->places];

		if (load_acquire(&p->owner) == 0 || load_acquire(&p->cycle) != v->cycle)
			continue;
		if (is_dead_of(p, v->cycle))
			return true;
		left--;
	}
	if (v->behind >= b->places)
		v->behind = 0;
	return false;
}

static bool look_for_dead(void *arg)
{
	struct visit *v = arg;

	return next_are_dead(v) && break_cycle(v->barrier, v->cycle, DEAD);
}

static int wait_for_others(struct visit *v, struct ipck_deadline deadline)
{
	int rc = 0;

	if (deadline.ns <= 0 || !spin_until(&spinner, has_outcome, v))
		rc = evcount_await_looking(&v->barrier->sleepers, has_outcome, look_for_dead, v, deadline);
	if (rc < 0 && break_cycle(v->barrier, v->cycle, BROKEN))
		return rc;
	return outcome(v);
}

static bool state_changed(void *arg)
{
	const struct visit *v = arg;

	return load_seq(&v->barrier->state) != v->state;
}

/* Whether those of the cycle that is left have gone; who may ask the kernel passes over the dead. */
static bool have_left(const struct visit *v, bool ask)
{
	for (uint32_t i = 0; i < v->barrier->places; i++) {
		const struct place *p = &v->barrier->place[i];
		uint64_t owner = load_seq(&p->owner);

		if (owner != 0 && load_seq(&p->cycle) == v->cycle && !(ask && ident_word_dead(owner)))
			return false;
	}
	return true;
}

/* True: the next cycle has begun, or something else has happened. */
static bool begin_next(struct visit *v, bool ask)
{
	struct barrier *b = v->barrier;
	uint64_t state = v->state;

	if (state_changed(v))
		return true;
	if (!have_left(v, ask))
		return false;
	if (cas_seq(&b->state, &state, state_word(v->cycle + 1, 0, FILLING)))
		evcount_notify(&b->sleepers, EVCOUNT_ALL);
	return true;
}

static bool can_begin(void *arg)
{
	return begin_next(arg, false);
}

static bool can_begin_without_dead(void *arg)
{
	return begin_next(arg, true);
}

/* Until those of a cycle that was reset have left. */
static int wait_for_reset(struct visit *v, struct ipck_deadline deadline)
{
	return evcount_await_looking(&v->barrier->sleepers, can_begin, can_begin_without_dead, v, deadline);
}

/* ---- arriving ---- */

static bool is_long_ago(int64_t begun)
{
	return clock_now() - begun > TICK_NS;
}

static int complete(struct visit *v, int (*action)(void *arg), void *arg)
{
	struct barrier *b = v->barrier;
	uint64_t full = state_word(v->cycle, b->parties, FILLING), next = state_word(v->cycle + 1, 0, FILLING);
	int rc = action(arg);

	if (rc < 0) {
		break_cycle(b, v->cycle, BROKEN);
		return rc;
	}
	if (!cas_seq(&b->state, &full, next))
		return outcome(v);
	evcount_notify(&b->sleepers, EVCOUNT_ALL);
	return IPCK_ELECTED;
}

/* The last one.  1: the state has changed meanwhile. */
static int arrive_last(struct visit *v, int (*action)(void *arg), void *arg)
{
	struct barrier *b = v->barrier;
	uint64_t state = v->state;

	if (b->parties > 1 && is_long_ago(load_relaxed(&b->begun)) && any_is_dead(b, v->cycle)) {
		break_cycle(b, v->cycle, DEAD);
		return 1;
	}
	if (action) {
		if (!cas_seq(&b->state, &state, state + STATE_ARRIVED))
			return 1;
		return complete(v, action, arg);
	}
	if (!cas_seq(&b->state, &state, state_word(v->cycle + 1, 0, FILLING)))
		return 1;
	evcount_notify(&b->sleepers, EVCOUNT_ALL);
	return IPCK_ELECTED;
}

/* 1: the state has changed meanwhile. */
static int arrive(struct visit *v, struct ipck_deadline deadline)
{
	struct barrier *b = v->barrier;
	int64_t now = state_arrived(v->state) == 0 ? clock_now() : 0;
	uint64_t state = v->state;

	if (!cas_seq(&b->state, &state, state + STATE_ARRIVED))
		return 1;
	if (now)
		store_relaxed(&b->begun, now);
	return wait_for_others(v, deadline);
}

/* One attempt, in the state that is seen.  1: it is another now. */
static int attempt(struct visit *v, int (*action)(void *arg), void *arg, uint32_t *index,
                   struct ipck_deadline deadline)
{
	uint32_t arrived = state_arrived(v->state), parties = v->barrier->parties;
	int rc;

	v->cycle = state_cycle(v->state);
	switch (state_phase(v->state)) {
	case BROKEN:
		return -ECANCELED;
	case DEAD:
		return -EOWNERDEAD;
	case LEAVING:
		rc = wait_for_reset(v, deadline);
		return rc < 0 ? rc : 1;
	default:
		break;
	}
	/* The action of a cycle that others are in; if they are all dead nobody else looks for that. */
	if (arrived >= parties) {
		rc = evcount_await_looking(&v->barrier->sleepers, state_changed, look_for_dead, v, deadline);
		return rc < 0 ? rc : 1;
	}
	store_release(&v->place->cycle, v->cycle);
	rc = arrived + 1 == parties ? arrive_last(v, action, arg) : arrive(v, deadline);
	if (rc == 1)
		store_seq(&v->place->cycle, UINT64_C(0));
	else if (rc >= 0 && index)
		*index = arrived;
	return rc;
}

int ipck_barrier_wait_action(struct ipck_barrier *barrier, int (*action)(void *arg), void *arg, uint32_t *index,
                             struct ipck_deadline deadline)
{
	struct visit v = {.barrier = inner(barrier)};
	struct barrier *b = v.barrier;
	uint64_t me;
	int rc;

	if (!sealed_is(&b->kind, SEALED_BARRIER))
		return -EINVAL;
	if (deadline.ns == INT64_MAX && b->patience)
		deadline.ns = ipck_in_ns(b->patience).ns;
	me = ident_word();
	v.place = free_place(b, me);
	if (!v.place)
		v.place = place_of_dead(b, me);
	if (!v.place)
		return -ENOSPC;
	do {
		v.state = load_acquire(&b->state);
		rc = attempt(&v, action, arg, index, deadline);
	} while (rc == 1);
	if (likely(rc >= 0)) {
		free_up(v.place);
		return rc;
	}
	/* Who waits for those who leave a cycle looks after it has said that it sleeps. */
	store_seq(&v.place->cycle, UINT64_C(0));
	evcount_notify(&b->sleepers, EVCOUNT_ALL);
	free_up(v.place);
	return rc;
}

int ipck_barrier_wait(struct ipck_barrier *barrier, uint32_t *index, struct ipck_deadline deadline)
{
	return ipck_barrier_wait_action(barrier, NULL, NULL, index, deadline);
}

/* ---- the other calls ---- */

static int change(struct ipck_barrier *barrier, bool (*applies)(uint64_t state), enum phase to)
{
	struct barrier *b = inner(barrier);
	uint64_t state;

	if (!sealed_is(&b->kind, SEALED_BARRIER))
		return -EINVAL;
	state = load_acquire(&b->state);
	while (applies(state))
		if (cas_seq(&b->state, &state, state_word(state_cycle(state), 0, to))) {
			evcount_notify(&b->sleepers, EVCOUNT_ALL);
			break;
		}
	return 0;
}

static bool is_whole(uint64_t state)
{
	return state_phase(state) == FILLING || state_phase(state) == LEAVING;
}

/* Also if nobody has arrived: one who died before it was counted may be written down in this cycle. */
static bool needs_reset(uint64_t state)
{
	return state_phase(state) != LEAVING;
}

int ipck_barrier_abort(struct ipck_barrier *barrier)
{
	return change(barrier, is_whole, BROKEN);
}

int ipck_barrier_reset(struct ipck_barrier *barrier)
{
	return change(barrier, needs_reset, LEAVING);
}

uint32_t ipck_barrier_parties(const struct ipck_barrier *barrier)
{
	return inner(barrier)->parties;
}

uint32_t ipck_barrier_waiting(const struct ipck_barrier *barrier)
{
	return state_arrived(load_acquire(&inner(barrier)->state));
}

bool ipck_barrier_broken(const struct ipck_barrier *barrier)
{
	return !is_whole(load_acquire(&inner(barrier)->state));
}
