/* SPDX-License-Identifier: MIT */
/*
 * Turn: who is at one end of something.  An owner word that outlives its owner: it
 * may be held from one call to the next, by a process rather than a thread, and is
 * taken over once its process is proven dead.
 */
#ifndef COLL_TURN_H
#define COLL_TURN_H

#include <ipckit/deadline.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/ident.h"

/*
 * owner: 0, nobody; or ident_word() of the process whose turn it is, with
 *   TURN_AWAITED set if somebody may sleep for it.  Made from 0 by a
 *   compare-and-swap (acquire), back to 0 by a swap (seq: it also orders what was
 *   done in the turn before the looks at who sleeps, see pipe/lane); from a dead
 *   owner to the next by a compare-and-swap, whose winner repairs.
 *
 * A kill leaves
 * - an owner: its word.  Who waits for the turn proves the death, before it sleeps
 *   and at each tick, and takes over.
 * - one who was woken: the turn free, and perhaps others asleep: until their tick.
 */
struct turn {
	uint64_t owner;
};

#define TURN_AWAITED UINT64_C(0x80000000)

/* Waits: 0, or IPCK_OWNER_DIED: taken from a dead owner; or -ETIMEDOUT, -ECANCELED. */
int turn_wait(struct turn *turn, uint64_t me, struct ipck_deadline deadline);
void turn_wake(struct turn *turn);

/* Whether its owner is dead. */
bool turn_is_abandoned(const struct turn *turn);

static inline bool turn_is_of(const struct turn *turn, uint64_t me)
{
	return (load_relaxed(&turn->owner) & ~TURN_AWAITED) == me;
}

/* me: ident_word().  Results as turn_wait. */
static inline int turn_take(struct turn *turn, uint64_t me, struct ipck_deadline deadline)
{
	uint64_t nobody = 0;

	if (likely(cas_acquire(&turn->owner, &nobody, me)))
		return 0;
	return turn_wait(turn, me, deadline);
}

static inline void turn_give(struct turn *turn)
{
	if (unlikely(swap_seq(&turn->owner, UINT64_C(0)) & TURN_AWAITED))
		turn_wake(turn);
}

#endif
