/* SPDX-License-Identifier: MIT */
/*
 * Semaphores between processes and threads, the counterpart of multiprocessing's
 * Semaphore and BoundedSemaphore.  Plain memory, 544 bytes, used as a lock is (lock.h).
 * Those who wait get permits in no particular order.
 *
 * plain     counts: acquire takes one, release gives any number, whoever does it.
 * bounded   the same, but a release above the bound is an error, for certain.
 * recorded  each permit belongs to the process that acquired it, whichever of its
 *           threads: only that process can release it, and if it dies others get it, with
 *           IPCK_OWNER_DIED: at once with IPCK_NOWAIT, within 250 ms who waits.  A forked child
 *           has none of its parent's; execve keeps them.
 *
 * What a killed process had acquired of a plain or bounded one is gone.  One that is killed
 * while it waits takes nothing with it; of a release that is killed before it woke anybody,
 * those who sleep learn within 250 ms.
 *
 * release (of a recorded one: by a process that has a permit), value, and a plain or
 * bounded acquire with IPCK_NOWAIT are async-signal-safe.
 */
#ifndef IPCKIT_SEMAPHORE_H
#define IPCKIT_SEMAPHORE_H

#include <ipckit/deadline.h>
#include <ipckit/defs.h>
#include <ipckit/lock.h>

#define IPCK_SEMAPHORE_MAX 2147483647u

struct ipck_semaphore {
	uint64_t sealed[4 + 64];
};

/* The bytes of memory of a recorded one of n permits; struct ipck_semaphore is for 64. */
#define IPCK_SEMAPHORE_BYTES(n) ((4 + (size_t)(n)) * sizeof(uint64_t))

struct ipck_semaphore_opts {
	size_t size;    /* of this struct, set by the macros below */
	uint32_t bound; /* bounded: the most it can be, at least its first value; 0: not bounded */
	bool recorded;
	size_t bytes; /* recorded: of the memory; 0: that of struct ipck_semaphore */
};
#define IPCK_SEMAPHORE_OPTS_INIT {sizeof(struct ipck_semaphore_opts), 0, false, 0}
#define IPCK_SEMAPHORE_OPTS(...) \
	(&(const struct ipck_semaphore_opts){.size = sizeof(struct ipck_semaphore_opts), __VA_ARGS__})

IPCK_BEGIN_DECLS

/*
 * Sets it up with `value` permits to be had; opts may be NULL: plain.  -EINVAL: the value
 * or the bound is above IPCK_SEMAPHORE_MAX, the value above the bound, or it is both bounded
 * and recorded, or recorded with 0 permits.  -ENOSPC: recorded, and the memory is too small.
 * -E2BIG: opts has a field set that this version does not know.
 *
 * fini: nobody uses it any more; NULL is fine.
 */
IPCK_API IPCK_MUST_CHECK int ipck_semaphore_init(struct ipck_semaphore *semaphore, uint32_t value,
                                                 const struct ipck_semaphore_opts *opts);
IPCK_API void ipck_semaphore_fini(struct ipck_semaphore *semaphore);

/*
 * Takes one permit: 0, or (recorded) IPCK_OWNER_DIED: a dead process had it, and what it
 * did with that may be half done.  -ETIMEDOUT: the deadline passed.  -ECANCELED: the wait
 * was interrupted.  -EINVAL: not set up.
 */
IPCK_API IPCK_MUST_CHECK int ipck_semaphore_acquire(struct ipck_semaphore *semaphore, struct ipck_deadline deadline);

/*
 * Gives n permits (at least 1), all or none, and wakes as many of those who wait.  -EPERM:
 * bounded: that is above the bound; recorded: this process has fewer.  -EOVERFLOW: plain:
 * above IPCK_SEMAPHORE_MAX.  -EINVAL: not set up, or n is 0.  Who is killed while it releases
 * several of a recorded one leaves the rest as those of a dead process.
 */
IPCK_API int ipck_semaphore_release(struct ipck_semaphore *semaphore, uint32_t n);

/*
 * The permits that are free; those of dead processes are not, until somebody needs one.
 * True of the past when the answer comes.  No errors.
 */
IPCK_API uint32_t ipck_semaphore_value(const struct ipck_semaphore *semaphore);

/* Used by the macro below, which is as IPCK_WITH_LOCK: it takes one permit and gives one. */
IPCK_API void ipck_semaphore_scope_end(struct ipck_semaphore **semaphore);
static inline struct ipck_semaphore *ipck_semaphore_scope_begin(struct ipck_semaphore *object,
                                                                struct ipck_deadline deadline, int *result)
{
	*result = ipck_semaphore_acquire(object, deadline);
	return *result < 0 ? NULL : object;
}

IPCK_END_DECLS

#define IPCK_WITH_SEMAPHORE(object, deadline, result) IPCK_SCOPE_(semaphore, object, deadline, result, __COUNTER__)

#endif
