/* SPDX-License-Identifier: MIT */
#include "base/futex.h"

#include <errno.h>
#include <time.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/compiler.h"

#ifdef HAVE_FUTEX

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

static void sleep_until(const uint32_t *word, uint32_t expected, int64_t until)
{
	struct timespec ts = clock_timespec(until);

	/* An absolute CLOCK_MONOTONIC time.  Every result means: test again. */
	syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected, &ts, NULL, FUTEX_BITSET_MATCH_ANY);
}

/* Without a deadline the clock need not be asked: the kernel does it anyway. */
static bool sleep_undated(const uint32_t *word, uint32_t expected, int64_t ns)
{
	struct timespec ts = clock_timespec(ns);

	syscall(SYS_futex, word, FUTEX_WAIT, expected, &ts, NULL, 0);
	return true;
}

int futex_wake(uint32_t *word, int n)
{
	long woken = syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);

	return woken > 0 ? (int)woken : 0;
}

#else

static void sleep_until(const uint32_t *word, uint32_t expected, int64_t until)
{
	int64_t pause = 50000, now = clock_now();

	while (now < until && load_acquire(word) == expected) {
		struct timespec ts = clock_timespec(MIN(pause, until - now));

		if (nanosleep(&ts, NULL) < 0)
			return;
		pause = MIN(2 * pause, 5 * NS_PER_MS);
		now = clock_now();
	}
}

static bool sleep_undated(const uint32_t *word, uint32_t expected, int64_t ns)
{
	(void)word, (void)expected, (void)ns;
	return false;
}

int futex_wake(uint32_t *word, int n)
{
	(void)word;
	(void)n;
	return 0;
}

#endif

int futex_wait_slice(const uint32_t *word, uint32_t expected, struct ipck_deadline deadline, int64_t slice)
{
	int64_t now;
	int rc = deadline_check(deadline, 0);

	if (rc == 0 && deadline.ns == INT64_MAX && sleep_undated(word, expected, MIN(slice, TICK_NS)))
		return 0;
	now = clock_now();
	rc = deadline_check(deadline, now);
	if (rc < 0)
		return rc;
	sleep_until(word, expected, MIN(deadline_tick(deadline, now), now + slice));
	return 0;
}

int futex_wait(const uint32_t *word, uint32_t expected, struct ipck_deadline deadline)
{
	return futex_wait_slice(word, expected, deadline, TICK_NS);
}
