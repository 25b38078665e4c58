/* SPDX-License-Identifier: MIT */
/*
 * Sleeping on a 32-bit word in shared memory.  The only futex calls in the tree;
 * where the kernel has none, sleepers look again with a back-off up to 5 ms.
 */
#ifndef BASE_FUTEX_H
#define BASE_FUTEX_H

#include <ipckit/deadline.h>

/*
 * Sleeps while *word is `expected`, at most one tick.  0: something may have
 * changed, test again (woken, changed before, a signal, or the tick: all the same
 * to the caller, who loops).  -ETIMEDOUT, -ECANCELED: as the deadline says, told
 * before sleeping only, so the caller's test always comes after the last sleep.
 */
int futex_wait(const uint32_t *word, uint32_t expected, struct ipck_deadline deadline);

/* The same, for at most that many nanoseconds. */
int futex_wait_slice(const uint32_t *word, uint32_t expected, struct ipck_deadline deadline, int64_t slice);

/* Wakes up to n of the sleepers and returns how many; 0 where nobody can tell. */
int futex_wake(uint32_t *word, int n);

#endif
