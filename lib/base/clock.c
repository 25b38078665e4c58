/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <errno.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/fork.h"

/*
 * 0, or the epoch of the process that was interrupted plus one, so that a forked
 * child begins not interrupted.  Written by a signal handler or any thread, read
 * before every interruptible sleep; guards no other data, so relaxed.
 */
static uint32_t interrupted;

int64_t clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

struct timespec clock_timespec(int64_t ns)
{
	struct timespec ts = {.tv_sec = ns / NS_PER_SEC, .tv_nsec = ns % NS_PER_SEC};

	return ts;
}

int deadline_check(struct ipck_deadline deadline, int64_t now)
{
	if (deadline.interrupt && ipck_interrupted())
		return -ECANCELED;
	return deadline.ns <= now ? -ETIMEDOUT : 0;
}

int64_t deadline_tick(struct ipck_deadline deadline, int64_t now)
{
	return MIN(deadline.ns, now + TICK_NS);
}

struct ipck_deadline ipck_in_ns(int64_t nanoseconds)
{
	int64_t at;

	if (nanoseconds <= 0)
		return IPCK_NOWAIT;
	if (__builtin_add_overflow(clock_now(), nanoseconds, &at))
		return IPCK_FOREVER;
	return ipck_deadline_at(at);
}

struct ipck_deadline ipck_in_ms(int64_t milliseconds)
{
	int64_t ns;

	if (milliseconds <= 0)
		return IPCK_NOWAIT;
	if (__builtin_mul_overflow(milliseconds, NS_PER_MS, &ns))
		return IPCK_FOREVER;
	return ipck_in_ns(ns);
}

struct ipck_deadline ipck_in_sec(double seconds)
{
	/* Written so that NaN does not wait; 9.2e9 s is the clock's range. */
	if (!(seconds > 0))
		return IPCK_NOWAIT;
	if (seconds >= 9.2e9)
		return IPCK_FOREVER;
	return ipck_in_ns((int64_t)(seconds * 1e9));
}

bool ipck_deadline_passed(struct ipck_deadline deadline)
{
	return ipck_deadline_left(deadline) == 0;
}

int64_t ipck_deadline_left(struct ipck_deadline deadline)
{
	int64_t now;

	if (deadline.ns == INT64_MAX)
		return INT64_MAX;
	now = clock_now();
	return deadline.ns > now ? deadline.ns - now : 0;
}

struct ipck_deadline ipck_interruptible(struct ipck_deadline deadline)
{
	deadline.interrupt = 1;
	return deadline;
}

void ipck_interrupt(void)
{
	store_relaxed(&interrupted, fork_epoch() + 1);
}

void ipck_interrupt_clear(void)
{
	store_relaxed(&interrupted, 0);
}

bool ipck_interrupted(void)
{
	return unlikely(load_relaxed(&interrupted) == fork_epoch() + 1);
}
