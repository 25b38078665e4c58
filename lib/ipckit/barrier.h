/* SPDX-License-Identifier: MIT */
/*
 * Barriers between processes and threads, the counterpart of multiprocessing.Barrier:
 * `parties` wait for each other, again and again.  Plain memory, 1216 bytes, used as a lock
 * is (lock.h), but aligned to 64 bytes.
 *
 * A barrier breaks for all that wait at it, and for those who come later, when one of
 * them gives up waiting (its deadline passed, or it was interrupted), when the action fails,
 * when it is aborted, or when a process dies while it waits or runs the action.  A reset
 * mends it.
 *
 * Those who wait notice a death within 250 ms.  Who comes last, less than 250 ms after the
 * first, does not look: one that has died meanwhile counts as come, as it had.
 *
 * A process that calls execve while one of its threads waits counts as waiting for as long
 * as it lives.  No call may be made from a signal handler.
 */
#ifndef IPCKIT_BARRIER_H
#define IPCKIT_BARRIER_H

#include <ipckit/deadline.h>
#include <ipckit/defs.h>

#define IPCK_BARRIER_MAX 65535u

struct ipck_barrier {
	uint64_t sealed[24 + 2 * 64];
}
#ifdef __GNUC__
__attribute__((aligned(64)))
#endif
;

/*
 * The bytes of memory of one at which n can be at once: at least the parties, and more if
 * others come, too, while those wait.  struct ipck_barrier is for 64.
 */
#define IPCK_BARRIER_BYTES(n) ((24 + 2 * (size_t)(n)) * sizeof(uint64_t))

struct ipck_barrier_opts {
	size_t size;        /* of this struct, set by the macros below */
	int64_t timeout_ns; /* how long a wait with IPCK_FOREVER waits; 0: for ever */
	size_t bytes;       /* of the memory; 0: that of struct ipck_barrier */
};
#define IPCK_BARRIER_OPTS_INIT {sizeof(struct ipck_barrier_opts), 0, 0}
#define IPCK_BARRIER_OPTS(...) \
	(&(const struct ipck_barrier_opts){.size = sizeof(struct ipck_barrier_opts), __VA_ARGS__})

IPCK_BEGIN_DECLS

/*
 * Sets it up for that many parties; opts may be NULL.  -EINVAL: none, more than
 * IPCK_BARRIER_MAX, a negative time, or memory that is not aligned.  -ENOSPC: the memory is
 * too small for the parties.  -E2BIG: opts has a field set that this version does not know.
 *
 * fini: nobody uses it any more; NULL is fine.
 */
IPCK_API IPCK_MUST_CHECK int ipck_barrier_init(struct ipck_barrier *barrier, uint32_t parties,
                                               const struct ipck_barrier_opts *opts);
IPCK_API void ipck_barrier_fini(struct ipck_barrier *barrier);

/*
 * Waits until all parties have come: 0, or IPCK_ELECTED for the last one.  *index is
 * in which order this one came, from 0; index may be NULL.  Each index of a round is given
 * once.
 *
 * -ETIMEDOUT: the deadline passed, which broke it.  -ECANCELED: it is broken, was reset,
 * or this wait was interrupted, which broke it.  -EOWNERDEAD: broken, as a party died.
 * -ENOSPC: there is no room for one more to wait.  -EINVAL: not set up.
 *
 * Who comes while those of a round that was reset leave, or while an action runs, is not
 * counted yet: its deadline or interruption does not break the barrier.
 */
IPCK_API IPCK_MUST_CHECK int ipck_barrier_wait(struct ipck_barrier *barrier, uint32_t *index,
                                               struct ipck_deadline deadline);

/*
 * The same; the last one to come calls its action, with no lock held, before anybody goes
 * on.  A negative result of it breaks the barrier, and is this call's result; the others get
 * -ECANCELED.  If the barrier breaks or is reset while the action runs, the call fails though
 * the action has been run.  The action must not wait at the same barrier.  NULL: none.
 */
IPCK_API IPCK_MUST_CHECK int ipck_barrier_wait_action(struct ipck_barrier *barrier, int (*action)(void *arg), void *arg,
                                                      uint32_t *index, struct ipck_deadline deadline);

/* Breaks it, if it is not broken; who waits gets -ECANCELED.  -EINVAL: not set up. */
IPCK_API int ipck_barrier_abort(struct ipck_barrier *barrier);

/*
 * Makes it empty and whole.  Those who wait get -ECANCELED; who comes then waits until
 * they have left or are dead.  Nothing happens if nobody waits and it is whole.  -EINVAL:
 * not set up.
 */
IPCK_API int ipck_barrier_reset(struct ipck_barrier *barrier);

/*
 * The parties it is for; how many of them wait (dead ones included that nobody has missed
 * yet), 0 if it is broken; whether it is.  No errors: what is not set up must not be asked.
 */
IPCK_API uint32_t ipck_barrier_parties(const struct ipck_barrier *barrier);
IPCK_API uint32_t ipck_barrier_waiting(const struct ipck_barrier *barrier);
IPCK_API bool ipck_barrier_broken(const struct ipck_barrier *barrier);

IPCK_END_DECLS

#endif
