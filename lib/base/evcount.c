/* SPDX-License-Identifier: MIT */
#include "base/evcount.h"

#include <errno.h>

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

int evcount_await(struct evcount *e, bool (*test)(void *arg), void *arg, struct ipck_deadline deadline)
{
	uint32_t key;
	int rc = 0;

	if (test(arg))
		return 0;
	key = evcount_prepare(e);
	while (!test(arg)) {
		rc = evcount_wait(e, key, deadline);
		if (rc < 0)
			break;
		/* Registered for one sequence: after a tick we still are. */
		if ((uint32_t)load_relaxed(&e->word) != key)
			key = evcount_prepare(e);
	}
	evcount_cancel(e, key);
	return rc;
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
