/* SPDX-License-Identifier: MIT */
/*
 * Counters.
 *
 * value: the number; each change is one locked instruction (seq, for the look at who
 *   sleeps), so that a kill leaves all of it or nothing.
 * kind: set at init.  sleepers: an event count, all told by each change while somebody
 *   sleeps; of one that is killed before it told them they learn at their tick.
 *   Both on a line that is seldom written.
 *
 * Striped: the number is the sum of the stripes; a writer adds to one of them, which is
 * his alone as long as the CPU is.
 */
#include <ipckit/counter.h>

#include <errno.h>
#include <sched.h>

#include "base/evcount.h"
#include "base/spin.h"
#include "sync/sealed.h"

#ifdef HAVE_SYS_RSEQ_H
#include <sys/rseq.h>
#endif

#define STRIPES 16

struct counter {
	ALIGNED(FALSE_SHARING) uint64_t value;
	ALIGNED(FALSE_SHARING) struct evcount sleepers;
	uint32_t kind;
} SEALED;

struct stripe {
	ALIGNED(FALSE_SHARING) uint64_t value;
} SEALED;

struct striped {
	struct stripe stripe[STRIPES];
	uint32_t kind;
} SEALED;

SEALED_FITS(struct counter, struct ipck_counter);
SEALED_FITS(struct striped, struct ipck_striped_counter);

static struct spinner spinner = SPINNER_INIT;

static struct counter *inner(const struct ipck_counter *counter)
{
	return (struct counter *)(uintptr_t)counter;
}

int ipck_counter_init(struct ipck_counter *counter, int64_t value)
{
	struct counter *c = inner(counter);

	if ((uintptr_t)c % FALSE_SHARING)
		return -EINVAL;
	c->value = (uint64_t)value;
	c->sleepers = (struct evcount){0};
	sealed_set(&c->kind, SEALED_COUNTER);
	return 0;
}

void ipck_counter_fini(struct ipck_counter *counter)
{
	if (counter)
		inner(counter)->kind = 0;
}

int64_t ipck_counter_add(struct ipck_counter *counter, int64_t n)
{
	struct counter *c = inner(counter);
	uint64_t before = add_seq(&c->value, (uint64_t)n);

	evcount_notify(&c->sleepers, EVCOUNT_ALL);
	return (int64_t)before;
}

int64_t ipck_counter_get(const struct ipck_counter *counter)
{
	return (int64_t)load_seq(&inner(counter)->value);
}

void ipck_counter_set(struct ipck_counter *counter, int64_t value)
{
	(void)ipck_counter_exchange(counter, value);
}

int64_t ipck_counter_exchange(struct ipck_counter *counter, int64_t value)
{
	struct counter *c = inner(counter);
	uint64_t before = swap_seq(&c->value, (uint64_t)value);

	evcount_notify(&c->sleepers, EVCOUNT_ALL);
	return (int64_t)before;
}

bool ipck_counter_compare_exchange(struct ipck_counter *counter, int64_t *expected, int64_t value)
{
	struct counter *c = inner(counter);
	uint64_t seen = (uint64_t)*expected;

	if (cas_seq(&c->value, &seen, (uint64_t)value)) {
		evcount_notify(&c->sleepers, EVCOUNT_ALL);
		return true;
	}
	*expected = (int64_t)seen;
	return false;
}

/* ---- wait ---- */

struct comparison {
	const struct counter *counter;
	enum ipck_comparison how;
	int64_t value, seen;
};

static bool holds(void *arg)
{
	struct comparison *c = arg;

	c->seen = (int64_t)load_seq(&c->counter->value);
	switch (c->how) {
	case IPCK_EQ:
		return c->seen == c->value;
	case IPCK_NE:
		return c->seen != c->value;
	case IPCK_LT:
		return c->seen < c->value;
	case IPCK_LE:
		return c->seen <= c->value;
	case IPCK_GT:
		return c->seen > c->value;
	default:
		return c->seen >= c->value;
	}
}

int ipck_counter_wait(struct ipck_counter *counter, enum ipck_comparison how, int64_t value, int64_t *seen,
                      struct ipck_deadline deadline)
{
	struct counter *c = inner(counter);
	struct comparison arg = {.counter = c, .how = how, .value = value};
	int rc = 0;

	if (!sealed_is(&c->kind, SEALED_COUNTER) || (unsigned)how > IPCK_GE)
		return -EINVAL;
	if (deadline.ns <= 0 || !spin_until(&spinner, holds, &arg))
		rc = evcount_await(&c->sleepers, holds, &arg, deadline);
	if (rc == 0 && seen)
		*seen = arg.seen;
	return rc;
}

/* ---- striped ---- */

static struct striped *inner_striped(const struct ipck_striped_counter *counter)
{
	return (struct striped *)(uintptr_t)counter;
}

int ipck_striped_counter_init(struct ipck_striped_counter *counter, int64_t value)
{
	struct striped *c = inner_striped(counter);

	if ((uintptr_t)c % FALSE_SHARING)
		return -EINVAL;
	for (int i = 0; i < STRIPES; i++)
		c->stripe[i].value = 0;
	c->stripe[0].value = (uint64_t)value;
	sealed_set(&c->kind, SEALED_STRIPED);
	return 0;
}

void ipck_striped_counter_fini(struct ipck_striped_counter *counter)
{
	if (counter)
		inner_striped(counter)->kind = 0;
}

/* The CPU that this thread runs on, or another number if that is unknown. */
static inline unsigned cpu_now(void)
{
#ifdef HAVE_SYS_RSEQ_H
	/* The kernel keeps it there, whoever registered it; reading it is one load. */
	const struct rseq *area = (const void *)((const char *)__builtin_thread_pointer() + __rseq_offset);

	if (likely(__rseq_size > 0))
		return load_relaxed(&area->cpu_id);
#endif
	return (unsigned)sched_getcpu();
}

void ipck_striped_counter_add(struct ipck_striped_counter *counter, int64_t n)
{
	/* Release: who gets the sum sees what was done before.  Nobody sleeps for it, so not seq. */
	add_acq_rel(&inner_striped(counter)->stripe[cpu_now() % STRIPES].value, (uint64_t)n);
}

int64_t ipck_striped_counter_get(const struct ipck_striped_counter *counter)
{
	const struct striped *c = inner_striped(counter);
	uint64_t sum = 0;

	for (int i = 0; i < STRIPES; i++)
		sum += load_acquire(&c->stripe[i].value);
	return (int64_t)sum;
}
