/* SPDX-License-Identifier: MIT */
/*
 * The robust lock: a process-shared robust pthread mutex, because the kernel's
 * list of what a dying thread holds belongs to libc.  Inside the library it protects
 * short critical sections: nobody sleeps and no user code runs while holding it.  It is
 * also what a user's locks are made of (sync/lock.h), who may hold them as he likes.
 *
 * The known traps, and where they are dealt with:
 * - pthread_mutex_consistent is called at once on acquire, so a second death in
 *   the repair is told to the next holder again: repairs must be re-runnable.
 * - The kernel releases at most 2,048 locks of a dying thread, and a thread that
 *   unmapped a held lock strands it and all that come after it in its list.  A
 *   blocked acquirer therefore looks at each tick whether the thread that the lock
 *   word names still exists, and answers -ENOTRECOVERABLE rather than hang.
 * - A held lock must not be unmapped: who closes a segment checks lock_held_here.
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <ipckit/deadline.h>
#include <pthread.h>

#include "base/compiler.h"

/* Whether libc lets us see in its mutex who holds it. */
#if defined(__GLIBC__) && !defined(LOCK_OWNER_HIDDEN)
#define LOCK_OWNER_SEEN 1
#endif

struct robust_lock {
	pthread_mutex_t mutex; /* written by libc and, at a death, by the kernel */
#ifndef LOCK_OWNER_SEEN
	uint32_t holder; /* the id of the thread that holds it, written by that; a dead one's stays */
#endif
};

/* In memory that nobody else uses yet.  0, or -errno of the pthread calls. */
int lock_init(struct robust_lock *lock);

/* Released, if this thread holds it: else it would stay in libc's list. */
void lock_fini(struct robust_lock *lock);

/* The rest of acquire where trylock has said rc. */
int lock_otherwise(struct robust_lock *lock, int rc, struct ipck_deadline deadline);

/*
 * 0, or IPCK_OWNER_DIED: held, and the last holder died in it: repair what it
 * protects.  -EDEADLK: this thread holds it.  -ETIMEDOUT, -ECANCELED.
 * -ENOTRECOVERABLE: its holder is gone and the kernel did not tell.
 */
static inline int lock_acquire(struct robust_lock *lock, struct ipck_deadline deadline)
{
	int rc = pthread_mutex_trylock(&lock->mutex);

#ifdef LOCK_OWNER_SEEN
	if (likely(rc == 0))
		return 0;
#endif
	return lock_otherwise(lock, rc, deadline);
}

/* 0, or -EPERM: this thread does not hold it. */
#ifdef LOCK_OWNER_SEEN
static inline int lock_release(struct robust_lock *lock)
{
	return -pthread_mutex_unlock(&lock->mutex);
}
#else
int lock_release(struct robust_lock *lock);
#endif

/* The id of the thread that holds it, 0 for none. */
pid_t lock_owner(const struct robust_lock *lock);
bool lock_held_here(const struct robust_lock *lock);

#endif
