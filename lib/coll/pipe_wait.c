/* SPDX-License-Identifier: MIT */
/* Waiting at a pipe's end: spinning a little, sleeping, and noticing that nobody is there any more. */
#include <errno.h>
#include <poll.h>

#include "base/clock.h"
#include "coll/pipe.h"

bool pipe_hung_up(struct ipck_pipe *p)
{
	struct pollfd socket = {.fd = p->sock};

	/* Release: what was sent is looked for after the end was seen. */
	if (!load_acquire(&p->hung_up) && poll(&socket, 1, 0) == 1)
		store_release(&p->hung_up, 1);
	return load_acquire(&p->hung_up);
}

/* What is waited for, and in whose hands it is. */
struct waiting {
	struct ipck_pipe *pipe;
	const struct lane *lane;
	struct side *side;
	struct evcount *sleepers;
	const struct turn *other; /* the turn in which it comes */
	bool (*ready)(void *waiting);
	/* Negative: it will not come; 1: look again, in the turn. */
	int (*gone)(struct waiting *w);
	size_t size;
	uint64_t begun;
};

static bool spin(struct waiting *w)
{
	return spin_until(&w->side->spinner, w->ready, w);
}

/* Whether somebody has left since the last look. */
static bool has_left(const struct waiting *w)
{
	uint32_t left = load_acquire(&w->lane->shm->left);

	if (likely(load_relaxed(&w->side->left) == left))
		return false;
	store_relaxed(&w->side->left, left);
	return true;
}

static int sleep_for(struct waiting *w, struct ipck_deadline deadline)
{
	uint32_t key = evcount_prepare(w->sleepers);
	int64_t slice = FIRST_LOOK_NS;
	/* Who does not wait looks at once: nobody tells of the killed. */
	bool look = has_left(w) || (deadline.ns != INT64_MAX && deadline_check(deadline, clock_now()) < 0);
	int rc = 0;

	for (;;) {
		/* seq: sees what was done in turns that were given; see lane.h. */
		(void)load_seq(&w->other->owner);
		if (w->ready(w))
			break;
		rc = look ? w->gone(w) : 0;
		/* In the turn it was looked before. */
		if (rc > 0 && deadline.ns != INT64_MAX && deadline_check(deadline, clock_now()) < 0)
			rc = -ETIMEDOUT;
		if (rc == 0)
			rc = evcount_wait_slice(w->sleepers, key, deadline, slice);
		if (rc != 0 || w->ready(w))
			break;
		look = true;
		slice = has_left(w) ? FIRST_LOOK_NS : MIN(2 * slice, TICK_NS);
		if ((uint32_t)load_relaxed(&w->sleepers->word) != key)
			key = evcount_prepare(w->sleepers);
	}
	evcount_cancel(w->sleepers, key);
	/* What came before they left is still there. */
	return rc == -EPIPE && w->ready(w) ? 0 : MIN(rc, 0);
}

/* ---- data ---- */

static bool has_data(void *waiting)
{
	const struct waiting *w = waiting;

	return lane_has_record(w->lane);
}

static int senders_gone(struct waiting *w)
{
	if (pipe_hung_up(w->pipe))
		return has_data(w) ? 0 : -EPIPE;
	/* What killed senders left may be in the way of a living one. */
	return load_relaxed(&w->lane->shm->bell.armed) && bell_first(w->pipe->sock) == DATAGRAM_FDS;
}

/* In a stream its sender has the turn: given or abandoned, it has ended it. */
static int stream_ended(struct waiting *w)
{
	if (load_acquire(&w->other->owner) != 0 && !turn_is_abandoned(w->other) && !pipe_hung_up(w->pipe))
		return 0;
	return has_data(w) ? 0 : -EOWNERDEAD;
}

static struct waiting for_data(struct ipck_pipe *p)
{
	return (struct waiting){
		.pipe = p,
		.lane = &p->in,
		.side = &p->receiving,
		.sleepers = &p->in.shm->data,
		.other = &p->in.shm->send,
		.ready = has_data,
		.gone = senders_gone,
	};
}

bool pipe_spin_for_data(struct ipck_pipe *p)
{
	struct waiting w = for_data(p);

	spin_fall_back(&p->receiving.run);
	return spin(&w);
}

int pipe_wait_data(struct ipck_pipe *p, struct ipck_deadline deadline)
{
	struct waiting w = for_data(p);

	return sleep_for(&w, deadline);
}

int pipe_wait_part(struct ipck_pipe *p, struct ipck_deadline deadline)
{
	struct waiting w = for_data(p);

	w.gone = stream_ended;
	return spin(&w) ? 0 : sleep_for(&w, deadline);
}

/* ---- room ---- */

/* Of the stream that waits; NO_STREAM is beyond all. */
static bool is_lost(const struct waiting *w)
{
	return load_acquire(&w->lane->shm->lost) > w->begun;
}

static bool has_room(void *waiting)
{
	const struct waiting *w = waiting;
	const struct lane_shm *s = w->lane->shm;
	uint64_t end = load_relaxed(&s->tail) + record_span(w->size) + LANE_SPARE;

	/* Signed: behind a sender that dies before it moves tail, head may be beyond that. */
	return (int64_t)(end - load_seq(&s->head)) <= (int64_t)w->lane->size || is_lost(w);
}

/* Who has begun to take a stream keeps the turn until its end. */
static int receivers_gone(struct waiting *w)
{
	const struct lane_shm *s = w->lane->shm;
	bool begun = load_acquire(&s->head) > w->begun;

	if (pipe_hung_up(w->pipe))
		return -EPIPE;
	if (!begun || (load_acquire(&s->receive.owner) != 0 && !turn_is_abandoned(&s->receive)))
		return 0;
	return has_room(w) ? 0 : -EOWNERDEAD;
}

int pipe_wait_room(struct ipck_pipe *p, size_t size, uint64_t begun, struct ipck_deadline deadline)
{
	struct waiting w = {
		.pipe = p,
		.lane = &p->out,
		.side = &p->sending,
		.sleepers = &p->out.shm->space,
		.other = &p->out.shm->receive,
		.ready = has_room,
		.gone = receivers_gone,
		.size = size,
		.begun = begun,
	};
	int rc = spin(&w) ? 0 : sleep_for(&w, deadline);

	if (rc == 0 && is_lost(&w))
		rc = -EOWNERDEAD;
	return rc;
}
