/* SPDX-License-Identifier: MIT */
/* What there is to get from a queue, and waiting for it; the protocol is in queue.h. */
#include "coll/queue.h"

#include <errno.h>

/* ---- what is there ---- */

static bool is_empty(struct queue_shm *s)
{
	uint64_t next = load_relaxed(&s->next), tail;

	if (likely(mark_place(next) != mark_place(load_relaxed(&s->tail_seen))))
		return false;
	tail = load_acquire(&s->tail);
	store_relaxed(&s->tail_seen, tail);
	if ((uint64_t)(mark_count(tail) - mark_count(next)) > load_relaxed(&s->most_items))
		store_relaxed(&s->most_items, mark_count(tail) - mark_count(next));
	return mark_place(next) == mark_place(tail);
}

static int find_next(struct ipck_queue *q, struct found *f)
{
	struct queue_shm *s = q->shm;

	while (!is_empty(s)) {
		uint64_t next = load_relaxed(&s->next);
		uint64_t word = load_acquire(&queue_entry(q, mark_place(next))->word);

		if (unlikely(!queue_is_span(q, next, load_relaxed(&s->tail_seen))))
			return -EPROTO;
		switch (entry_state(word)) {
		case ENTRY_READY:
			*f = (struct found){.word = word, .place = mark_place(next)};
			return queue_is_whole(q, next, word) ? 1 : -EPROTO;
		case ENTRY_RESERVED:
			return 0;
		case ENTRY_VOID:
		case ENTRY_FILLER:
			if (queue_pass_over(q) <= 0)
				return -EPROTO;
			break;
		default:
			return -EPROTO;
		}
	}
	return 0;
}

static int find_returned(struct ipck_queue *q, struct found *f)
{
	struct queue_shm *s = q->shm;
	uint64_t at = load_relaxed(&s->head), next = load_relaxed(&s->next);

	if (!queue_is_span(q, at, next))
		return -EPROTO;
	while (mark_place(at) != mark_place(next)) {
		uint64_t word = load_acquire(&queue_entry(q, mark_place(at))->word);

		*f = (struct found){.word = word, .place = mark_place(at), .again = true};
		if (queue_step(q, &at, next) < 0)
			return -EPROTO;
		if (entry_state(word) == ENTRY_RETURNED)
			return entry_units(entry_size(word)) <= q->units ? 1 : -EPROTO;
	}
	return -EPROTO;
}

int queue_find(struct ipck_queue *q, struct found *f)
{
	return unlikely(load_relaxed(&q->shm->returned)) ? find_returned(q, f) : find_next(q, f);
}

ssize_t queue_count(struct ipck_queue *q)
{
	struct queue_shm *s = q->shm;
	uint64_t at = load_relaxed(&s->next), tail = load_acquire(&s->tail);
	uint32_t n = load_relaxed(&s->returned);

	if (!queue_is_span(q, at, tail))
		return -EPROTO;
	/* No reservation: all can be got. */
	if ((int32_t)(load_relaxed(&s->reserved_at) - mark_place(at)) < 0)
		return (ssize_t)n + (mark_count(tail) - mark_count(at));
	while (mark_place(at) != mark_place(tail)) {
		uint64_t word = load_acquire(&queue_entry(q, mark_place(at))->word);

		if (entry_state(word) == ENTRY_RESERVED)
			break;
		if (queue_step(q, &at, tail) < 0)
			return -EPROTO;
		n += entry_state(word) == ENTRY_READY;
	}
	return (ssize_t)n;
}

/* ---- waiting ---- */

/*
 * Drained: nothing there, and nothing that can come back.  But who has something himself is
 * not let wait for others, who might wait for that.
 */
static bool is_drained(struct ipck_queue *q)
{
	const struct queue_shm *s = q->shm;

	if (load_acquire(&s->closed) != QUEUE_DRAINS ||
	    mark_place(load_seq(&s->next)) != mark_place(load_seq(&s->tail)))
		return false;
	return load_relaxed(&s->returned) == 0 && (load_relaxed(&s->held) == 0 || holds_items(&q->holds));
}

/*
 * Without the lock next may have moved meanwhile, and what was an entry may be part of a message
 * that is being written: then it is a wrong guess, and the caller finds out under the lock.
 */
READS_RACY static enum entry_state racy_state(const struct ipck_queue *q, uint32_t place)
{
	return entry_state(load_seq(&queue_entry(q, place)->word));
}

bool queue_may_get(void *queue)
{
	struct ipck_queue *q = queue;
	const struct queue_shm *s = q->shm;
	uint64_t next = load_seq(&s->next);

	/*
	 * tail only where it is needed: its line is the putters'.  If next has moved, that was another
	 * reservation, in the same place.
	 */
	if ((mark_place(next) != mark_place(load_relaxed(&s->tail_seen)) ||
	     mark_place(next) != mark_place(load_seq(&s->tail))) &&
	    (racy_state(q, mark_place(next)) != ENTRY_RESERVED || load_seq(&s->next) != next))
		return true;
	return load_relaxed(&s->returned) || load_relaxed(&s->closed) == QUEUE_CLOSED || is_drained(q);
}

/*
 * Whether somebody has something, a killed one left something half done, or what is no message is
 * in the way.
 */
static bool may_be_held_up(struct ipck_queue *q)
{
	const struct queue_shm *s = q->shm;
	uint64_t next = load_acquire(&s->next);

	if (load_relaxed(&s->held) || load_relaxed(&s->noted) ||
	    mark_place(load_relaxed(&s->head)) != mark_place(next))
		return true;
	return mark_place(next) != mark_place(load_acquire(&s->tail)) &&
	       (load_relaxed(&s->closed) == QUEUE_CLOSED || racy_state(q, mark_place(next)) != ENTRY_READY);
}

bool queue_look(struct ipck_queue *q)
{
	int n;

	if (!may_be_held_up(q) || queue_lock_get(q, IPCK_NOWAIT) < 0)
		return false;
	n = queue_bury(q);
	queue_unlock_get(q);
	if (n > 0) {
		queue_tell(q, EVCOUNT_ALL);
		evcount_notify(&q->shm->joined, EVCOUNT_ALL);
	}
	return true;
}

static bool look_for_message(void *queue)
{
	return queue_look(queue) && queue_may_get(queue);
}

static int wait_for_message(struct ipck_queue *q, struct ipck_deadline deadline)
{
	if (deadline.ns > 0) {
		spin_fall_back(&q->run);
		if (spin_until(&q->getting, queue_may_get, q))
			return 0;
	}
	return evcount_await_looking(&q->shm->data, queue_may_get, look_for_message, q, deadline);
}

/* Under the lock, with nothing to get: 0: it may come. */
static int nothing_there(struct ipck_queue *q)
{
	if (unlikely(load_relaxed(&q->shm->bell.armed)))
		queue_silence(q);
	return is_drained(q) ? -ESHUTDOWN : 0;
}

int queue_begin_get(struct ipck_queue *q, struct found *f, struct ipck_deadline deadline)
{
	struct queue_shm *s = q->shm;
	bool waited = false;

	for (;;) {
		int rc = queue_lock_get(q, deadline);

		if (unlikely(rc < 0))
			return rc;
		rc = load_relaxed(&s->closed) == QUEUE_CLOSED ? -ESHUTDOWN : queue_find(q, f);
		if (likely(rc > 0)) {
			store_relaxed(&s->get_waits, load_relaxed(&s->get_waits) + waited);
			return 0;
		}
		if (rc == 0)
			rc = nothing_there(q);
		queue_unlock_get(q);
		waited = true;
		if (rc == 0)
			rc = wait_for_message(q, deadline);
		if (rc < 0)
			return rc;
	}
}
