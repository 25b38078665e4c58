/* SPDX-License-Identifier: MIT */
#include "sync/lock.h"

#include <errno.h>

#include "base/clock.h"
#include "base/ident.h"

/* A bijection of 64 bits: what differs stays different, and looks like chance. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Different for all locks of a process, and of another's, or of the same before it executed this program, with the
 * odds of 64 bits. */
static uint64_t new_id(void)
{
	static uint64_t made;

	return mix(ident_word()) + mix(mix((uint64_t)clock_now()) + add_relaxed(&made, 1));
}

int sealed_lock_init(struct lock *lock, enum sealed_kind kind)
{
	int rc = lock_init(&lock->robust);

	if (rc < 0)
		return rc;
	lock->untold = 0;
	lock->depth = 0;
	lock->id = new_id();
	sealed_set(&lock->kind, kind);
	return 0;
}

void sealed_lock_fini(struct lock *lock)
{
	if (!lock)
		return;
	lock->kind = 0;
	lock_fini(&lock->robust);
}

int sealed_lock_told(struct lock *lock, int rc)
{
	if (rc >= 0 && load_relaxed(&lock->untold)) {
		store_relaxed(&lock->untold, 0);
		rc |= IPCK_OWNER_DIED;
	}
	return rc;
}

void sealed_lock_hand_on(struct lock *lock, int notices)
{
	if (notices & IPCK_OWNER_DIED)
		store_relaxed(&lock->untold, 1);
	lock_release(&lock->robust);
}

pid_t sealed_lock_owner(const struct lock *lock)
{
	pid_t tid = lock_owner(&lock->robust);

	return tid ? tid_process(tid) : 0;
}

/* ---- the calls ---- */

static struct lock *inner(const struct ipck_lock *lock)
{
	return (struct lock *)(uintptr_t)lock;
}

int ipck_lock_init(struct ipck_lock *lock)
{
	return sealed_lock_init(inner(lock), SEALED_LOCK);
}

void ipck_lock_fini(struct ipck_lock *lock)
{
	sealed_lock_fini(inner(lock));
}

/* In parentheses those that are macros, too. */
int (ipck_lock_acquire)(struct ipck_lock *lock, struct ipck_deadline deadline)
{
	struct lock *l = inner(lock);

	return sealed_is(&l->kind, SEALED_LOCK) ? sealed_lock_acquire(l, deadline) : -EINVAL;
}

int ipck_lock_otherwise(struct ipck_lock *lock, int rc, struct ipck_deadline deadline)
{
	struct lock *l = inner(lock);

	return sealed_lock_told(l, rc == 0 ? 0 : lock_otherwise(&l->robust, rc, deadline));
}

int (ipck_lock_release)(struct ipck_lock *lock)
{
	struct lock *l = inner(lock);

	return sealed_is(&l->kind, SEALED_LOCK) ? lock_release(&l->robust) : -EINVAL;
}

bool ipck_lock_locked(const struct ipck_lock *lock)
{
	return lock_owner(&inner(lock)->robust) != 0;
}

pid_t ipck_lock_owner(const struct ipck_lock *lock)
{
	return sealed_lock_owner(inner(lock));
}

void ipck_lock_scope_end(struct ipck_lock **lock)
{
	if (*lock)
		(void)ipck_lock_release(*lock);
}
