/* SPDX-License-Identifier: MIT */
#include <ipckit/rlock.h>

#include <errno.h>

#include "sync/lock.h"

static struct lock *inner(const struct ipck_rlock *lock)
{
	return (struct lock *)(uintptr_t)lock;
}

int ipck_rlock_init(struct ipck_rlock *lock)
{
	return sealed_lock_init(inner(lock), SEALED_RLOCK);
}

void ipck_rlock_fini(struct ipck_rlock *lock)
{
	sealed_lock_fini(inner(lock));
}

int ipck_rlock_acquire(struct ipck_rlock *lock, struct ipck_deadline deadline)
{
	struct lock *l = inner(lock);
	uint32_t depth;
	int rc;

	if (!sealed_is(&l->kind, SEALED_RLOCK))
		return -EINVAL;
	rc = sealed_lock_acquire(l, deadline);
	if (rc >= 0) {
		store_relaxed(&l->depth, 1);
		return rc;
	}
	if (rc != -EDEADLK)
		return rc;
	/* It is ours. */
	depth = load_relaxed(&l->depth);
	if (depth == UINT32_MAX)
		return -EOVERFLOW;
	store_relaxed(&l->depth, depth + 1);
	return 0;
}

int ipck_rlock_release(struct ipck_rlock *lock)
{
	struct lock *l = inner(lock);
	uint32_t depth = load_relaxed(&l->depth);

	if (!sealed_is(&l->kind, SEALED_RLOCK))
		return -EINVAL;
	if (depth <= 1)
		return lock_release(&l->robust);
	if (!lock_held_here(&l->robust))
		return -EPERM;
	store_relaxed(&l->depth, depth - 1);
	return 0;
}

bool ipck_rlock_locked(const struct ipck_rlock *lock)
{
	return lock_owner(&inner(lock)->robust) != 0;
}

pid_t ipck_rlock_owner(const struct ipck_rlock *lock)
{
	return sealed_lock_owner(inner(lock));
}

uint32_t ipck_rlock_depth(const struct ipck_rlock *lock)
{
	const struct lock *l = inner(lock);

	return lock_held_here(&l->robust) ? load_relaxed(&l->depth) : 0;
}

void ipck_rlock_scope_end(struct ipck_rlock **lock)
{
	if (*lock)
		(void)ipck_rlock_release(*lock);
}
