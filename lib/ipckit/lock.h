/* SPDX-License-Identifier: MIT */
/*
 * Locks between processes and threads, the counterpart of multiprocessing.Lock.
 *
 * A struct ipck_lock is plain memory, 80 bytes: put it into your own struct in a segment
 * (shm.h), or anywhere for threads, set it up once with init, and use it where it lies; do
 * not copy or move it.  It may lie at another address in each process.  It belongs to the
 * thread that acquired it: unlike Python's, only that thread can release it.  Those who wait
 * get it in no particular order.
 *
 * A thread that ends while it holds the lock, killed or not, gives it back: the next one to
 * acquire gets the lock and IPCK_OWNER_DIED, once, which says that what the lock protects
 * may be half changed.  Who waits gets it at once.  A waiter that is killed leaves nothing.
 *
 *	rc = ipck_lock_acquire(&shared->lock, IPCK_FOREVER);
 *	if (rc < 0)
 *		return rc;
 *	if (rc & IPCK_OWNER_DIED)
 *		repair(shared);
 *	shared->balance -= 800;
 *	ipck_lock_release(&shared->lock);
 *
 * Or with a scope, which gives the lock back however it is left:
 *
 *	IPCK_WITH_LOCK(&shared->lock, ipck_in_ms(500), &rc)
 *		shared->balance -= 800;
 *
 * Memory with a lock in it must not be unmapped while this process holds the lock.  A
 * forked child holds none of its parent's.  No call may be made from a signal handler.
 */
#ifndef IPCKIT_LOCK_H
#define IPCKIT_LOCK_H

#include <ipckit/deadline.h>
#include <ipckit/defs.h>
#include <pthread.h>

struct ipck_lock {
	uint64_t sealed[10];
};

IPCK_BEGIN_DECLS

/*
 * Sets it up, released.  The memory may have any contents, and nobody uses it yet.
 * -ENOMEM.
 *
 * fini: nobody uses it any more but, perhaps, this thread, which holds it: then it is
 * released.  NULL is fine.  From then on calls give -EINVAL; it can be set up again.
 */
IPCK_API IPCK_MUST_CHECK int ipck_lock_init(struct ipck_lock *lock);
IPCK_API void ipck_lock_fini(struct ipck_lock *lock);

/*
 * 0, or IPCK_OWNER_DIED: acquired.  -EDEADLK: this thread holds it already.
 * -ETIMEDOUT: the deadline passed.  -ECANCELED: the wait was interrupted.  -EINVAL: not
 * set up.  -ENOTRECOVERABLE: its holder is dead, and the kernel did not say so (it had
 * unmapped a lock that it held, held more than 2,048, or executed another program from a
 * thread that was not its first); only init mends it.
 */
IPCK_API IPCK_MUST_CHECK int ipck_lock_acquire(struct ipck_lock *lock, struct ipck_deadline deadline);

/* -EPERM: this thread does not hold it.  -EINVAL: not set up. */
IPCK_API int ipck_lock_release(struct ipck_lock *lock);

/* Used by the macros below: the rest of acquire, where the mutex inside has answered rc. */
IPCK_API IPCK_MUST_CHECK int ipck_lock_otherwise(struct ipck_lock *lock, int rc, struct ipck_deadline deadline);

/*
 * Acquire and release cost hardly more than the robust mutex inside: while nobody else has
 * the lock they are inline.  Nothing else of a lock is to be seen from outside; with
 * IPCK_NO_INLINE defined, not even this.
 */
#if defined(__GNUC__) && defined(__GLIBC__) && !defined(IPCK_NO_INLINE)
struct ipck_lock_inside {
	uint32_t kind, untold; /* as of struct lock in the library */
	uint64_t id;
	pthread_mutex_t mutex;
} __attribute__((may_alias));
#define IPCK_LOCK_KIND 0x6b637031u

static inline IPCK_MUST_CHECK int ipck_lock_acquire_inline(struct ipck_lock *lock, struct ipck_deadline deadline)
{
	struct ipck_lock_inside *l = (struct ipck_lock_inside *)lock;
	int rc;

	if (__builtin_expect(l->kind != IPCK_LOCK_KIND, 0))
		return ipck_lock_acquire(lock, deadline);
	rc = pthread_mutex_trylock(&l->mutex);
	if (__builtin_expect(rc == 0 && l->untold == 0, 1))
		return 0;
	return ipck_lock_otherwise(lock, rc, deadline);
}

static inline int ipck_lock_release_inline(struct ipck_lock *lock)
{
	struct ipck_lock_inside *l = (struct ipck_lock_inside *)lock;

	if (__builtin_expect(l->kind != IPCK_LOCK_KIND, 0))
		return ipck_lock_release(lock);
	return -pthread_mutex_unlock(&l->mutex);
}
#define ipck_lock_acquire(...) ipck_lock_acquire_inline(__VA_ARGS__)
#define ipck_lock_release(...) ipck_lock_release_inline(__VA_ARGS__)
#endif

/*
 * Acquires n locks (0 to 1024), all or none, so that no two callers of this that hold
 * no other lock wait for each other, in whatever order they name them.  One deadline for
 * all.  The array stays the caller's.  IPCK_OWNER_DIED: of one or more of them; when the
 * call fails, the next to acquire those is told.  -EDEADLK: one is named twice, or held by
 * this thread.  -EINVAL: too many, or one is NULL or not set up.  Else as ipck_lock_acquire.
 *
 * release_all releases all that it can, the last named first, and returns 0 or the error
 * of the first named that had one.
 */
IPCK_API IPCK_MUST_CHECK int ipck_lock_acquire_all(struct ipck_lock *const locks[], size_t n,
                                                   struct ipck_deadline deadline);
IPCK_API int ipck_lock_release_all(struct ipck_lock *const locks[], size_t n);

/*
 * Whether somebody holds it, and the pid of the process that does, 0 for none; true of the
 * past when the answer comes.  One that a dead holder left is not held, unless it would be
 * -ENOTRECOVERABLE.  No errors: what is not set up must not be asked.
 */
IPCK_API bool ipck_lock_locked(const struct ipck_lock *lock);
IPCK_API pid_t ipck_lock_owner(const struct ipck_lock *lock);

/* Used by the macro below. */
IPCK_API void ipck_lock_scope_end(struct ipck_lock **lock);
static inline struct ipck_lock *ipck_lock_scope_begin(struct ipck_lock *object, struct ipck_deadline deadline,
                                                      int *result)
{
	*result = ipck_lock_acquire(object, deadline);
	return *result < 0 ? NULL : object;
}

IPCK_END_DECLS

#define IPCK_PASTE_(a, b) a##b
#define IPCK_PASTE(a, b) IPCK_PASTE_(a, b)

/*
 * What follows, a statement or a block, runs once with the lock held, if it could be
 * acquired; break, continue, goto and return leave it, and give the lock back, as its end
 * does; longjmp does not.  break and continue leave this only, not a loop around it.
 * *result is what acquire returned, so test it afterwards for < 0, and inside for
 * IPCK_OWNER_DIED.  The counterpart of `with`; needs gcc's or clang's cleanup.
 */
#define IPCK_SCOPE_(noun, object, deadline, result, id) \
	for (struct ipck_##noun *IPCK_PASTE(ipck_scope_, id) __attribute__((cleanup(ipck_##noun##_scope_end))) = \
		     ipck_##noun##_scope_begin((object), (deadline), (result)), \
		     *IPCK_PASTE(ipck_once_, id) = IPCK_PASTE(ipck_scope_, id); \
	     IPCK_PASTE(ipck_once_, id); IPCK_PASTE(ipck_once_, id) = NULL)
#define IPCK_WITH_LOCK(object, deadline, result) IPCK_SCOPE_(lock, object, deadline, result, __COUNTER__)

#endif
