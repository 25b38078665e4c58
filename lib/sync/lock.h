/* SPDX-License-Identifier: MIT */
/*
 * What lock and rlock have in common, and conditions need of them.
 */
#ifndef SYNC_LOCK_H
#define SYNC_LOCK_H

#include <ipckit/lock.h>
#include <ipckit/rlock.h>

#include "base/lock.h"
#include "sync/sealed.h"

/*
 * kind, id: set at init; id orders all locks of the machine, whatever their addresses.
 * robust: the lock itself, see base/lock.h.
 * The rest belongs to the holder, who reads it right after it has acquired and stores
 * it before it releases:
 * untold: a holder died, and the next one gave the lock back without having told its
 *   caller: so the one after that tells.
 * depth: how often the holder of an rlock has acquired it.
 *
 * A kill leaves a holder: the kernel tells the next one, whatever the fields are; depth
 * begins anew then, untold may be told once more.
 */
struct lock {
	uint32_t kind;
	uint32_t untold;
	uint64_t id;
	struct robust_lock robust;
	uint32_t depth;
} SEALED;

SEALED_FITS(struct lock, struct ipck_lock);
#ifdef IPCK_LOCK_KIND
_Static_assert(IPCK_LOCK_KIND == SEALED_LOCK, "what ipckit/lock.h shows");
_Static_assert(offsetof(struct ipck_lock_inside, untold) == offsetof(struct lock, untold), "the same");
_Static_assert(offsetof(struct ipck_lock_inside, mutex) == offsetof(struct lock, robust.mutex), "the same");
#endif
SEALED_FITS(struct lock, struct ipck_rlock);

int sealed_lock_init(struct lock *lock, enum sealed_kind kind);
void sealed_lock_fini(struct lock *lock);

/* What an acquire returns where lock_acquire has said rc. */
int sealed_lock_told(struct lock *lock, int rc);

/* As lock_acquire, with what was left untold.  Of an rlock it does not count. */
static inline int sealed_lock_acquire(struct lock *lock, struct ipck_deadline deadline)
{
	int rc = lock_acquire(&lock->robust, deadline);

	return likely(rc == 0 && !load_relaxed(&lock->untold)) ? 0 : sealed_lock_told(lock, rc);
}

/* Gives back what acquire gave with `notices` that the caller has not been told. */
void sealed_lock_hand_on(struct lock *lock, int notices);

pid_t sealed_lock_owner(const struct lock *lock);

#endif
