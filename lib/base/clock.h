/* SPDX-License-Identifier: MIT */
/* Time: CLOCK_MONOTONIC in nanoseconds, and the tick that bounds every sleep. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <ipckit/deadline.h>
#include <time.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_SEC INT64_C(1000000000)

/*
 * No sleep is longer than this without a new look at its condition: a wake-up
 * can be lost to a kill between the store and the wake, and this bounds what
 * that costs.
 */
#define TICK_NS (250 * NS_PER_MS)

/*
 * Who waits for what the dead may hold up looks sooner at first, then at doubling
 * times up to a tick.  A timer that is due before the kernel's next tick makes each
 * sleep cost twice as much.
 */
#define FIRST_LOOK_NS (10 * NS_PER_MS)

int64_t clock_now(void);
struct timespec clock_timespec(int64_t ns);

/* Whether a wait for this deadline must end instead of sleeping: -ECANCELED,
 * -ETIMEDOUT (at the time `now`), or 0. */
int deadline_check(struct ipck_deadline deadline, int64_t now);

/* The end of the next sleep: one tick from now, or the deadline if that is nearer. */
int64_t deadline_tick(struct ipck_deadline deadline, int64_t now);

#endif
