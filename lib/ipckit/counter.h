/* SPDX-License-Identifier: MIT */
/*
 * Counters between processes and threads: what multiprocessing.Value with its lock is
 * mostly used for, without a lock.  Plain memory, used as a lock is (lock.h), but aligned to
 * 128 bytes: 256 bytes, a striped one 2176.
 *
 * All changes are whole, whoever is killed, and those of one that is not striped are totally
 * ordered with all others.  Numbers wrap around.  Of a change whose maker was killed before
 * it woke anybody those who wait learn within 250 ms.
 *
 * add, get, set, exchange and compare_exchange are async-signal-safe.
 */
#ifndef IPCKIT_COUNTER_H
#define IPCKIT_COUNTER_H

#include <ipckit/deadline.h>
#include <ipckit/defs.h>

/* Two lines of the cache: the number, and who waits for it. */
struct ipck_counter {
	uint64_t sealed[32];
}
#ifdef __GNUC__
__attribute__((aligned(128)))
#endif
;

/* For many writers and seldom a reader: each writes near the CPU that it runs on. */
struct ipck_striped_counter {
	uint64_t sealed[16 * 17];
}
#ifdef __GNUC__
__attribute__((aligned(128)))
#endif
;

/* How a number is compared with another. */
enum ipck_comparison { IPCK_EQ, IPCK_NE, IPCK_LT, IPCK_LE, IPCK_GT, IPCK_GE };

IPCK_BEGIN_DECLS

/*
 * Sets it up.  -EINVAL: the memory is not aligned.  fini: nobody uses it any more;
 * NULL is fine.  What is not set up must not be used: these calls have no errors.
 */
IPCK_API IPCK_MUST_CHECK int ipck_counter_init(struct ipck_counter *counter, int64_t value);
IPCK_API void ipck_counter_fini(struct ipck_counter *counter);

/* Adds n, which may be negative, and returns what it was before. */
IPCK_API int64_t ipck_counter_add(struct ipck_counter *counter, int64_t n);

IPCK_API int64_t ipck_counter_get(const struct ipck_counter *counter);
IPCK_API void ipck_counter_set(struct ipck_counter *counter, int64_t value);

/* Sets it and returns what it was before. */
IPCK_API int64_t ipck_counter_exchange(struct ipck_counter *counter, int64_t value);

/* If it is *expected sets it to value: true.  Else stores in *expected what it is: false. */
IPCK_API bool ipck_counter_compare_exchange(struct ipck_counter *counter, int64_t *expected, int64_t value);

/*
 * Waits until the number is to `value` as `how` says, as `ipck_counter_wait(c, IPCK_GE, 10, d)`
 * until it is 10 or more, and stores in *seen, unless seen is NULL, what it was then.  What
 * it is for a moment only may be missed.  0.  -ETIMEDOUT: the deadline passed.  -ECANCELED:
 * the wait was interrupted.  -EINVAL: not set up, or no such comparison.
 */
IPCK_API IPCK_MUST_CHECK int ipck_counter_wait(struct ipck_counter *counter, enum ipck_comparison how, int64_t value,
                                               int64_t *seen, struct ipck_deadline deadline);

/*
 * A striped counter: add does not tell what it was, and get adds up: it has all that
 * was added before it began, and some of what is added meanwhile, so it may be a number
 * that the counter never was.  It cannot be set or waited for.  init as of a counter.
 */
IPCK_API IPCK_MUST_CHECK int ipck_striped_counter_init(struct ipck_striped_counter *counter, int64_t value);
IPCK_API void ipck_striped_counter_fini(struct ipck_striped_counter *counter);
IPCK_API void ipck_striped_counter_add(struct ipck_striped_counter *counter, int64_t n);
IPCK_API int64_t ipck_striped_counter_get(const struct ipck_striped_counter *counter);

IPCK_END_DECLS

#endif
