/* SPDX-License-Identifier: MIT */
/*
 * Semaphores between processes and threads, the counterpart of multiprocessing's
 * Semaphore and BoundedSemaphore.  Plain memory, as a lock (lock.h).
 *
 * plain     counts: acquire takes one, release gives any number, whoever does it.
 * bounded   the same, but a release above the bound is an error, for certain.
 * recorded  each permit belongs to the process that acquired it: only that one can
 *           release it, and if it dies others get it, with IPCK_OWNER_DIED.
 *
 * What a killed process had acquired of a plain or bounded one is gone.
 * release, value and a plain or bounded acquire with IPCK_NOWAIT are async-signal-safe.
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

/* The memory of a recorded one of n permits; struct ipck_semaphore is for 64. */
#define IPCK_SEMAPHORE_BYTES(n) ((4 + (size_t)(n)) * sizeof(uint64_t))

struct ipck_semaphore_opts {
	size_t size;    /* of this struct, set by the macros below */
	uint32_t bound; /* bounded: the most it can be, at least its first value; 0: not bounded */
	bool recorded;
	size_t bytes; /* of the memory, if there is more than struct ipck_semaphore */
};
#define IPCK_SEMAPHORE_OPTS_INIT {sizeof(struct ipck_semaphore_opts), 0, false, 0}
#define IPCK_SEMAPHORE_OPTS(...) \
	(&(const struct ipck_semaphore_opts){.size = sizeof(struct ipck_semaphore_opts), __VA_ARGS__})

IPCK_BEGIN_DECLS

/*
 * Sets it up with `value` permits to be had.  -EINVAL: above IPCK_SEMAPHORE_MAX or the
 * bound, both bounded and recorded, or recorded with 0.  -ENOSPC: recorded, and the memory is too
 * small.  -E2BIG.  fini: nobody uses it any more; NULL is fine.
 */
IPCK_API IPCK_MUST_CHECK int ipck_semaphore_init(struct ipck_semaphore *semaphore, uint32_t value,
                                                 const struct ipck_semaphore_opts *opts);
IPCK_API void ipck_semaphore_fini(struct ipck_semaphore *semaphore);

/*
 * Takes one permit: 0, or IPCK_OWNER_DIED: a dead process had it.  -ETIMEDOUT,
 * -ECANCELED.  -EINVAL: not set up.
 */
IPCK_API IPCK_MUST_CHECK int ipck_semaphore_acquire(struct ipck_semaphore *semaphore, struct ipck_deadline deadline);

/*
 * Gives n permits (at least 1), all or none, and wakes as many.  -EPERM: that is above
 * the bound; recorded: this process has fewer.  -EOVERFLOW: above IPCK_SEMAPHORE_MAX.
 * -EINVAL: not set up, or 0.
 */
IPCK_API int ipck_semaphore_release(struct ipck_semaphore *semaphore, uint32_t n);

/* The permits that are free; those of dead processes are not, until somebody needs one. */
IPCK_API uint32_t ipck_semaphore_value(const struct ipck_semaphore *semaphore);

/* Used by the macro below, which is as IPCK_WITH_LOCK. */
IPCK_API void ipck_semaphore_scope_end(struct ipck_semaphore **semaphore);
static inline struct ipck_semaphore *ipck_semaphore_scope_begin(struct ipck_semaphore *object, struct ipck_deadline deadline, int *result)
{
	*result = ipck_semaphore_acquire(object, deadline);
	return *result < 0 ? NULL : object;
}

IPCK_END_DECLS

#define IPCK_WITH_SEMAPHORE(object, deadline, result) IPCK_SCOPE_(semaphore, object, deadline, result, __LINE__)

#endif
