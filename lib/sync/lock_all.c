/* SPDX-License-Identifier: MIT */
/* Many locks at once, in one order for all, so that no two callers wait for each other. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sync/lock.h"

/* The kernel gives notice of 2,048 locks of a dead thread; half of them are for others. */
#define LOCKS_MAX 1024

static const struct lock *inner(const struct ipck_lock *lock)
{
	return (const struct lock *)lock;
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = inner(*(struct ipck_lock *const *)a)->id, y = inner(*(struct ipck_lock *const *)b)->id;

	return (x > y) - (x < y);
}

static int sort(struct ipck_lock **to, struct ipck_lock *const *locks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!locks[i] || !sealed_is(&inner(locks[i])->kind, SEALED_LOCK))
			return -EINVAL;
	/* Before any wait: whoever has another of them may wait for this one. */
	for (size_t i = 0; i < n; i++)
		if (lock_held_here(&inner(locks[i])->robust))
			return -EDEADLK;
	memcpy(to, locks, n * sizeof(*to));
	qsort(to, n, sizeof(*to), by_id);
	for (size_t i = 1; i < n; i++)
		if (inner(to[i - 1])->id == inner(to[i])->id)
			return -EDEADLK;
	return 0;
}

/* Gives back the first n, of which died[] says what their holders were not told. */
static void hand_on(struct ipck_lock **locks, const bool *died, size_t n)
{
	while (n-- > 0)
		sealed_lock_hand_on((struct lock *)locks[n], died[n] ? IPCK_OWNER_DIED : 0);
}

int ipck_lock_acquire_all(struct ipck_lock *const locks[], size_t n, struct ipck_deadline deadline)
{
	struct ipck_lock *sorted[LOCKS_MAX];
	bool died[LOCKS_MAX];
	int notices = 0, rc;

	if (n > LOCKS_MAX)
		return -EINVAL;
	if (n == 0)
		return 0;
	rc = sort(sorted, locks, n);
	for (size_t i = 0; i < n && rc >= 0; i++) {
		rc = ipck_lock_acquire(sorted[i], deadline);
		if (rc < 0)
			hand_on(sorted, died, i);
		died[i] = rc > 0;
		notices |= rc;
	}
	return rc < 0 ? rc : notices;
}

int ipck_lock_release_all(struct ipck_lock *const locks[], size_t n)
{
	int rc = 0;

	while (n-- > 0) {
		int one = locks[n] ? ipck_lock_release(locks[n]) : -EINVAL;

		rc = one < 0 ? one : rc;
	}
	return rc;
}
