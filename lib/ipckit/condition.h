/* SPDX-License-Identifier: MIT */
/*
 * Conditions between processes and threads, the counterpart of multiprocessing.Condition.
 * Plain memory, 1152 bytes, used as a lock is (lock.h).
 *
 * A condition has a lock: one of yours, a lock or an rlock, that lies in the same segment,
 * so that it is as far away in each process (several conditions may have the same one), or
 * else an rlock of its own.  Wait and notify are called with it held, by whichever call it
 * was acquired.
 *
 *	rc = ipck_condition_acquire(&store->changed, IPCK_FOREVER);
 *	while (rc >= 0 && store->items == 0)
 *		rc = ipck_condition_wait(&store->changed, IPCK_FOREVER);
 *	if (rc < 0)
 *		return rc;
 *	store->items--;
 *	ipck_condition_release(&store->changed);
 *
 * A notification goes to those who wait when it is given, to those who came first.  It is
 * not kept for later ones.  If one who got it dies before its wait has returned, or was dead
 * already, the next of those who waited then gets it, within 250 ms.  No wait ends with 0
 * that was not notified.
 *
 * A process that calls execve while one of its threads waits counts as waiting for as long as
 * it lives.  No call may be made from a signal handler.
 */
#ifndef IPCKIT_CONDITION_H
#define IPCKIT_CONDITION_H

#include <ipckit/deadline.h>
#include <ipckit/defs.h>
#include <ipckit/lock.h>
#include <ipckit/rlock.h>

struct ipck_condition {
	uint64_t sealed[16 + 2 * 64];
};

/*
 * The bytes of memory of one for which n can wait at once, at least; struct ipck_condition is
 * for 64.  More than 65535 are not used.
 */
#define IPCK_CONDITION_BYTES(n) ((16 + 2 * (size_t)(n)) * sizeof(uint64_t))

struct ipck_condition_opts {
	size_t size;              /* of this struct, set by the macros below */
	struct ipck_lock *lock;   /* its lock, */
	struct ipck_rlock *rlock; /* or this; neither: its own */
	size_t bytes;             /* of the memory; 0: that of struct ipck_condition */
};
#define IPCK_CONDITION_OPTS_INIT {sizeof(struct ipck_condition_opts), 0, 0, 0}
#define IPCK_CONDITION_OPTS(...) \
	(&(const struct ipck_condition_opts){.size = sizeof(struct ipck_condition_opts), __VA_ARGS__})

IPCK_BEGIN_DECLS

/*
 * Sets it up; opts may be NULL.  A lock that is given is set up already, and stays the
 * caller's.  -EINVAL: two locks, or one that is not set up.  -ENOSPC: the memory is too small
 * for anybody to wait.  -ENOMEM: as of a lock.  -E2BIG: opts has a field set that this version
 * does not know.
 *
 * fini: nobody uses it any more but, perhaps, this thread, which holds its lock: its own is
 * released, one that was given stays as it is.  NULL is fine.
 */
IPCK_API IPCK_MUST_CHECK int ipck_condition_init(struct ipck_condition *condition,
                                                 const struct ipck_condition_opts *opts);
IPCK_API void ipck_condition_fini(struct ipck_condition *condition);

/* Acquire and release of its lock, with their results.  -EINVAL also: it is not set up. */
IPCK_API IPCK_MUST_CHECK int ipck_condition_acquire(struct ipck_condition *condition, struct ipck_deadline deadline);
IPCK_API int ipck_condition_release(struct ipck_condition *condition);

/*
 * Gives the lock back, however often it was acquired, waits for a notification, and
 * acquires the lock again as often; that last part is neither bounded by the deadline nor
 * interrupted.  Also with a deadline that has passed the lock is given back in between.
 *
 * 0 or notices, with the lock held: IPCK_TIMED_OUT: the deadline passed, or the wait was
 * interrupted, and there was no notification.  IPCK_OWNER_DIED: as acquire says it.
 * Negative, nothing has changed: -EPERM: this thread does not hold the lock.  -ENOSPC: there
 * is no room for one more to wait.  -EINVAL: not set up.  Negative, and the lock is not held:
 * -ENOTRECOVERABLE, as of a lock.
 */
IPCK_API int ipck_condition_wait(struct ipck_condition *condition, struct ipck_deadline deadline);

/*
 * Waits until predicate(arg), which is called with the lock held, first of all before
 * any wait, and again after each.  One deadline for all of it.  As ipck_condition_wait;
 * IPCK_TIMED_OUT: it was false to the end.  IPCK_OWNER_DIED is told at the end: the predicate
 * may see, before that, what a dead holder left half changed.
 */
IPCK_API int ipck_condition_wait_for(struct ipck_condition *condition, bool (*predicate)(void *arg), void *arg,
                                     struct ipck_deadline deadline);

/*
 * Notifies n of those who wait (at least 1), or all; fewer if fewer wait, which is no error.
 * A notifier that is killed has notified all that it meant to or none.  -EPERM: this thread
 * does not hold the lock.  -EINVAL: not set up, or n is 0.
 */
IPCK_API int ipck_condition_notify(struct ipck_condition *condition, uint32_t n);
IPCK_API int ipck_condition_notify_all(struct ipck_condition *condition);

/*
 * How many wait and are not notified, dead ones included that nobody has missed yet.  The lock
 * need not be held.  No errors: what is not set up must not be asked.
 */
IPCK_API uint32_t ipck_condition_waiting(const struct ipck_condition *condition);

/* Used by the macro below, which is as IPCK_WITH_LOCK. */
IPCK_API void ipck_condition_scope_end(struct ipck_condition **condition);
static inline struct ipck_condition *ipck_condition_scope_begin(struct ipck_condition *object,
                                                                struct ipck_deadline deadline, int *result)
{
	*result = ipck_condition_acquire(object, deadline);
	return *result < 0 ? NULL : object;
}

IPCK_END_DECLS

#define IPCK_WITH_CONDITION(object, deadline, result) IPCK_SCOPE_(condition, object, deadline, result, __COUNTER__)

#endif
