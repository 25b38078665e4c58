/* SPDX-License-Identifier: MIT */
/*
 * Locks that their holder may acquire again, the counterpart of multiprocessing.RLock.
 * As lock.h says of locks, but for that: the thread that holds it acquires it without
 * waiting, and must release it as often.  After a holder's death that begins anew: the next
 * one has acquired it once, with IPCK_OWNER_DIED.  A child that is forked meanwhile does
 * not hold it.
 */
#ifndef IPCKIT_RLOCK_H
#define IPCKIT_RLOCK_H

#include <ipckit/lock.h>

struct ipck_rlock {
	uint64_t sealed[10];
};

IPCK_BEGIN_DECLS

/* As of a lock; fini by the thread that holds it releases it wholly. */
IPCK_API IPCK_MUST_CHECK int ipck_rlock_init(struct ipck_rlock *lock);
IPCK_API void ipck_rlock_fini(struct ipck_rlock *lock);

/*
 * 0, or IPCK_OWNER_DIED: acquired, once more.  -EOVERFLOW: 2^32 - 1 times is the most.
 * -ETIMEDOUT, -ECANCELED, -EINVAL, -ENOTRECOVERABLE as of a lock; never -EDEADLK.
 */
IPCK_API IPCK_MUST_CHECK int ipck_rlock_acquire(struct ipck_rlock *lock, struct ipck_deadline deadline);

/* -EPERM: this thread does not hold it.  -EINVAL: not set up. */
IPCK_API int ipck_rlock_release(struct ipck_rlock *lock);

/* As of a lock; and how often this thread has acquired it and not released it. */
IPCK_API bool ipck_rlock_locked(const struct ipck_rlock *lock);
IPCK_API pid_t ipck_rlock_owner(const struct ipck_rlock *lock);
IPCK_API uint32_t ipck_rlock_depth(const struct ipck_rlock *lock);

/* Used by the macro below, which is as IPCK_WITH_LOCK. */
IPCK_API void ipck_rlock_scope_end(struct ipck_rlock **lock);
static inline struct ipck_rlock *ipck_rlock_scope_begin(struct ipck_rlock *object, struct ipck_deadline deadline,
                                                        int *result)
{
	*result = ipck_rlock_acquire(object, deadline);
	return *result < 0 ? NULL : object;
}

IPCK_END_DECLS

#define IPCK_WITH_RLOCK(object, deadline, result) IPCK_SCOPE_(rlock, object, deadline, result, __COUNTER__)

#endif
