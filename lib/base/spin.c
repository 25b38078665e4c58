/* SPDX-License-Identifier: MIT */
#include "base/spin.h"

#include <sched.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/compiler.h"

#define SPIN_MIN 16
#define SPIN_MAX 1000
#define SPIN_AGAIN 32 /* of that many waits one spins, where it is in vain */

/* A yield that takes longer than this was to somebody else than who is waited for. */
#define YIELD_NS (NS_PER_MS / 20)
#define YIELD_AGAIN 1024 /* of that many waits one yields, at least */

/* About 200 ns after a few messages, 2 us in full flow. */
#define RUN_MIN 8
#define RUN_LONG 16
#define FALL_BACK 10
#define FALL_BACK_LONG 100

static uint32_t forbidden;

void spin_forbid(void)
{
	store_relaxed(&forbidden, 1);
}

static uint32_t first_guess(void)
{
	static uint32_t cpus; /* all threads would store the same */

	if (load_relaxed(&cpus) == 0)
		store_relaxed(&cpus, (uint32_t)sysconf(_SC_NPROCESSORS_ONLN));
	return load_relaxed(&cpus) > 1 ? SPIN_MAX : 0;
}

/*
 * Where the other side has the same CPU, spinning is in vain, but it goes on at once if
 * it is given way: neither side then sleeps, or wakes anybody.  Where that brings
 * nothing, or others take the time, it is tried less and less often.
 */
static bool yield_until(struct spinner *s, bool (*test)(void *arg), void *arg)
{
	uint32_t skip = load_relaxed(&s->skip), vain = load_relaxed(&s->vain);
	int64_t begun;
	bool done;

	if (skip > 0) {
		store_relaxed(&s->skip, skip - 1);
		return test(arg);
	}
	begun = clock_now();
	sched_yield();
	done = test(arg);
	vain = done && clock_now() - begun < YIELD_NS ? 0 : MIN(2 * vain + 1, YIELD_AGAIN);
	store_relaxed(&s->vain, vain);
	store_relaxed(&s->skip, vain);
	return done;
}

bool spin_until(struct spinner *s, bool (*test)(void *arg), void *arg)
{
	uint32_t most = load_relaxed(&s->most);

	if (unlikely(load_relaxed(&forbidden)))
		return test(arg);
	if (unlikely(most == UINT32_MAX))
		store_relaxed(&s->most, most = first_guess());
	if (most <= SPIN_MIN) {
		uint32_t waits = load_relaxed(&s->waits);

		/* It does not pay, but things may change. */
		store_relaxed(&s->waits, waits + 1);
		if (most == 0 || waits % SPIN_AGAIN != 0)
			return yield_until(s, test, arg);
	}
	for (uint32_t i = 0; i < most; i++) {
		if (test(arg)) {
			store_relaxed(&s->most, SPIN_MAX);
			return true;
		}
		cpu_relax();
	}
	if (most > SPIN_MIN)
		store_relaxed(&s->most, most - most / 8);
	return false;
}

void spin_fall_back(uint32_t *run)
{
	uint32_t n = load_relaxed(run);
	int turns = n < RUN_MIN ? 0 : n < RUN_LONG ? FALL_BACK : FALL_BACK_LONG;

	while (turns-- > 0)
		cpu_relax();
	store_relaxed(run, 0);
}
