/* SPDX-License-Identifier: MIT */
/*
 * The robust lock: a process-shared robust pthread mutex, because the kernel's
 * list of what a dying thread holds belongs to libc.  It protects short internal
 * critical sections: nobody sleeps and no user code runs while holding it.
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

struct robust_lock {
	pthread_mutex_t mutex; /* written by libc and, at a death, by the kernel */
};

/* In memory that nobody else uses yet.  0, or -errno of the pthread calls. */
int lock_init(struct robust_lock *lock);
void lock_fini(struct robust_lock *lock);

/*
 * 0, or IPCK_OWNER_DIED: held, and the last holder died in it: repair what it
 * protects.  -EDEADLK: this thread holds it.  -ETIMEDOUT, -ECANCELED.
 * -ENOTRECOVERABLE: its holder is gone and the kernel did not tell.
 */
int lock_acquire(struct robust_lock *lock, struct ipck_deadline deadline);

/* 0, or -EPERM: this thread does not hold it. */
int lock_release(struct robust_lock *lock);

/* The id of the thread that holds it, 0 for none or if libc does not let us see. */
pid_t lock_owner(const struct robust_lock *lock);
bool lock_held_here(const struct robust_lock *lock);

#endif
