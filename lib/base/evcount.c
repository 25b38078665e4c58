/* SPDX-License-Identifier: MIT */
#include "base/evcount.h"

#include <errno.h>

#include "base/clock.h"
#include "base/compiler.h"

static uint32_t *sequence(struct evcount *e)
{
	return (uint32_t *)&e->word + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
}

uint32_t evcount_prepare(struct evcount *e)
{
	return (uint32_t)add_seq(&e->word, EVCOUNT_SLEEPER);
}

/*
 * Takes the sleeper back while its notifiers have not: with the sequence still
 * at key nobody has lowered the bound, so it counts us.
 */
void evcount_cancel(struct evcount *e, uint32_t key)
{
	uint64_t word = load_relaxed(&e->word);

	while ((uint32_t)word == key && word >= EVCOUNT_SLEEPER)
		if (cas_acq_rel(&e->word, &word, word - EVCOUNT_SLEEPER))
			return;
}

int evcount_wait(struct evcount *e, uint32_t key, struct ipck_deadline deadline)
{
	return futex_wait(sequence(e), key, deadline);
}

int evcount_wait_slice(struct evcount *e, uint32_t key, struct ipck_deadline deadline, int64_t slice)
{
	return futex_wait_slice(sequence(e), key, deadline, slice);
}

int evcount_await_looking(struct evcount *e, bool (*test)(void *arg), bool (*look)(void *arg), void *arg,
                          struct ipck_deadline deadline)
{
	int64_t slice = look ? FIRST_LOOK_NS : TICK_NS, due;
	uint32_t key;
	int rc = 0;

	if (test(arg))
		return 0;
	due = look ? clock_now() + slice : 0;
	key = evcount_prepare(e);
	while (!test(arg)) {
		rc = evcount_wait_slice(e, key, deadline, slice);
		/* Registered for one sequence: after a tick we still are. */
		if (rc == 0 && (uint32_t)load_relaxed(&e->word) != key)
			key = evcount_prepare(e);
		/* Also if all the time others are told, and take what the dead do not have. */
		if (look && (rc < 0 || clock_now() >= due)) {
			/* Not again after it was true: it may have taken something. */
			if (test(arg) || look(arg))
				rc = 1;
			slice = MIN(2 * slice, TICK_NS);
			due = clock_now() + slice;
		}
		if (rc != 0)
			break;
	}
	evcount_cancel(e, key);
	return MIN(rc, 0);
}

int evcount_await(struct evcount *e, bool (*test)(void *arg), void *arg, struct ipck_deadline deadline)
{
	return evcount_await_looking(e, test, NULL, arg, deadline);
}

void evcount_wake(struct evcount *e, int n)
{
	uint64_t word = load_relaxed(&e->word), moved;
	int woken;

	do
		moved = (word & ~(EVCOUNT_SLEEPER - 1)) | (uint32_t)(word + 1);
	while (!cas_seq(&e->word, &word, moved));
	woken = futex_wake(sequence(e), n);
	if (woken < n)
		cas_acq_rel(&e->word, &moved, (uint32_t)moved);
	else if (moved >= woken * EVCOUNT_SLEEPER)
		cas_acq_rel(&e->word, &moved, moved - woken * EVCOUNT_SLEEPER);
}
