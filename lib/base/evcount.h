/* SPDX-License-Identifier: MIT */
/*
 * Event count: waiting until some state in shared memory has changed, without a
 * lock, without an acknowledgement from sleepers, and without a system call when
 * nobody sleeps.
 *
 * Notifier: changes the state (its last store seq_cst), then evcount_notify.
 * Waiter:   evcount_await(e, test, arg, deadline), which does
 *
 *	while (!test(arg)) {
 *		key = evcount_prepare(e);          say that I sleep, read the sequence
 *		if (test(arg)) { evcount_cancel(e, key); break; }
 *		evcount_wait(e, key, deadline);    sleep while the sequence is key
 *	}
 *
 * Either the notifier sees the waiter, or the waiter's second test sees the
 * change: both sides store, then load, in seq_cst order.
 */
#ifndef BASE_EVCOUNT_H
#define BASE_EVCOUNT_H

#include <ipckit/deadline.h>
#include <limits.h>

#include "base/atomic.h"
#include "base/futex.h"

/*
 * word: low 32 bits the sequence, which sleepers sleep on; high 32 bits an upper
 * bound of the sleepers since it was last put right.
 *
 * A waiter adds 1 to the bound and reads the sequence in one access, so that a
 * notifier's compare-and-swap tells whether somebody came in between.  A notifier
 * moves the sequence by one and wakes n.  If the kernel woke fewer than n, nobody
 * is left who slept on an older sequence, so the bound becomes 0, unless the word
 * has changed since (a newcomer, or another notifier who does the same).  If it woke n
 * these were the oldest, as the kernel wakes in the order of going to sleep.  (Not so
 * sleepers of different real-time priorities: then a wake-up may be lost to the tick.)
 *
 * A kill leaves:
 * - a waiter killed anywhere: the bound too high by one.  The next notify makes
 *   one system call for nothing and puts it right.
 * - a notifier killed after its change and before its wake: a sleeper not woken.
 *   It tests again at its tick, 250 ms at most.
 * - a notifier killed before it lowers the bound: the bound too high, as above.
 */
struct evcount {
	uint64_t word;
};

#define EVCOUNT_ALL INT_MAX
#define EVCOUNT_SLEEPER (UINT64_C(1) << 32)

uint32_t evcount_prepare(struct evcount *e);
void evcount_cancel(struct evcount *e, uint32_t key);
int evcount_wait(struct evcount *e, uint32_t key, struct ipck_deadline deadline);

/* The same, for at most that many nanoseconds. */
int evcount_wait_slice(struct evcount *e, uint32_t key, struct ipck_deadline deadline, int64_t slice);

/* Waits until test(arg): 0, or -ETIMEDOUT, -ECANCELED with test(arg) still false. */
int evcount_await(struct evcount *e, bool (*test)(void *arg), void *arg, struct ipck_deadline deadline);

/*
 * The same for a state that the dead hold up: look(arg), which may make system calls,
 * is asked after 10 ms, then at doubling times up to a tick, and before giving up; true
 * ends the wait with 0.
 */
int evcount_await_looking(struct evcount *e, bool (*test)(void *arg), bool (*look)(void *arg), void *arg,
                          struct ipck_deadline deadline);

/* The part of notify that somebody sleeps for. */
void evcount_wake(struct evcount *e, int n);

/* Whether anybody may sleep.  seq: ordered after the caller's seq_cst change. */
static inline bool evcount_sleepers(const struct evcount *e)
{
	return load_seq(&e->word) >= EVCOUNT_SLEEPER;
}

/* Wakes up to n sleepers (EVCOUNT_ALL for all). */
static inline void evcount_notify(struct evcount *e, int n)
{
	if (evcount_sleepers(e))
		evcount_wake(e, n);
}

#endif
