/* SPDX-License-Identifier: MIT */
/*
 * Events.
 *
 * kind: set at init.
 * state: bit 0, whether it is set; above, how often it was.  One word, changed by a
 *   compare-and-swap (seq, for the look at who sleeps): so who waits sees that it was
 *   set since, though it has been cleared again.
 * sleepers: an event count, all told by each set.
 *
 * A kill leaves all of a set or clear or nothing; of a set that is killed before it woke
 * the sleepers, they find out at their tick, or by the next one.
 */
#include <ipckit/event.h>

#include <errno.h>

#include "base/evcount.h"
#include "base/spin.h"
#include "sync/sealed.h"

#define IS_SET UINT64_C(1)
#define ONCE UINT64_C(2)

struct event {
	uint32_t kind, spare;
	uint64_t state;
	struct evcount sleepers;
} SEALED;

SEALED_FITS(struct event, struct ipck_event);

static struct spinner spinner = SPINNER_INIT;

static struct event *inner(const struct ipck_event *event)
{
	return (struct event *)(uintptr_t)event;
}

int ipck_event_init(struct ipck_event *event)
{
	struct event *e = inner(event);

	e->state = 0;
	e->sleepers = (struct evcount){0};
	sealed_set(&e->kind, SEALED_EVENT);
	return 0;
}

void ipck_event_fini(struct ipck_event *event)
{
	if (event)
		inner(event)->kind = 0;
}

int ipck_event_set(struct ipck_event *event)
{
	struct event *e = inner(event);
	uint64_t state;

	if (!sealed_is(&e->kind, SEALED_EVENT))
		return -EINVAL;
	state = load_relaxed(&e->state);
	/* Also where it is set: what was done before is seen by who finds it so. */
	while (!cas_seq(&e->state, &state, state & IS_SET ? state : (state + ONCE) | IS_SET))
		;
	evcount_notify(&e->sleepers, EVCOUNT_ALL);
	return 0;
}

int ipck_event_clear(struct ipck_event *event)
{
	struct event *e = inner(event);
	uint64_t state;

	if (!sealed_is(&e->kind, SEALED_EVENT))
		return -EINVAL;
	state = load_relaxed(&e->state);
	while (!cas_acq_rel(&e->state, &state, state & ~IS_SET))
		;
	return 0;
}

bool ipck_event_is_set(const struct ipck_event *event)
{
	return load_acquire(&inner(event)->state) & IS_SET;
}

struct since {
	struct event *event;
	uint64_t state;
};

static bool was_set(void *arg)
{
	const struct since *since = arg;
	uint64_t state = load_seq(&since->event->state);

	return (state & IS_SET) || state != since->state;
}

int ipck_event_wait(struct ipck_event *event, struct ipck_deadline deadline)
{
	struct since since = {.event = inner(event)};

	if (!sealed_is(&since.event->kind, SEALED_EVENT))
		return -EINVAL;
	since.state = load_acquire(&since.event->state);
	if (since.state & IS_SET || (deadline.ns > 0 && spin_until(&spinner, was_set, &since)))
		return 0;
	return evcount_await(&since.event->sleepers, was_set, &since, deadline);
}
