/* SPDX-License-Identifier: MIT */
/* Work done, and the end of a queue; the protocol is in queue.h. */
#include "coll/queue.h"

#include <errno.h>

/* ---- task_done ---- */

static int finish_one(struct ipck_queue *q)
{
	struct queue_shm *s = q->shm;
	int rc = queue_lock_get(q, IPCK_FOREVER);
	struct queue_note n;
	uint64_t total;
	bool last;

	if (rc < 0)
		return rc;
	n = queue_note(s);
	total = queue_total(s);
	rc = n.finished < total ? 0 : -EPERM;
	last = rc == 0 && n.finished + 1 == total;
	if (last) {
		queue_finish(s, &n, 1);
		queue_do(q, &n);
	} else if (rc == 0) {
		store_relaxed(&s->finished, n.finished + 1);
	}
	queue_unlock_get(q);
	if (last)
		evcount_notify(&s->joined, EVCOUNT_ALL);
	return rc;
}

int ipck_queue_task_done(struct ipck_queue *q)
{
	uint32_t place;

	if (!q->shm->joinable)
		return -EINVAL;
	if (!q->leases)
		return finish_one(q);
	if (!holds_leased(&q->holds, &place) || !holds_remove(&q->holds, place, false))
		return -EPERM;
	return queue_end(q, place, ENTRY_DONE);
}

int ipck_queue_leased(struct ipck_queue *q, struct ipck_queue_item *item)
{
	uint64_t word;
	uint32_t place;

	if (!q->leases)
		return -EINVAL;
	if (!holds_leased(&q->holds, &place))
		return -ENOENT;
	word = load_relaxed(&queue_entry(q, place)->word);
	if (entry_units(entry_size(word)) > q->units)
		return -EPROTO;
	*item = queue_item(q, place, entry_size(word), entry_given(word));
	return 0;
}

/* ---- join ---- */

struct join_wait {
	struct ipck_queue *queue;
	uint32_t zeroes;
};

static bool was_zero(void *arg)
{
	const struct join_wait *w = arg;
	const struct queue_shm *s = w->queue->shm;

	(void)load_seq(&s->next);
	return load_relaxed(&s->zeroes) != w->zeroes;
}

/* What the dead have had, or left half done. */
static bool look_for_zero(void *arg)
{
	const struct join_wait *w = arg;

	return queue_look(w->queue) && was_zero(arg);
}

int ipck_queue_join(struct ipck_queue *q, struct ipck_deadline deadline)
{
	struct queue_shm *s = q->shm;
	struct join_wait w = {.queue = q};
	bool zero;
	int rc;

	if (!s->joinable)
		return -EINVAL;
	rc = queue_lock_get(q, deadline);
	if (rc < 0)
		return rc;
	(void)queue_pass_over(q);
	w.zeroes = load_relaxed(&s->zeroes);
	zero = load_relaxed(&s->finished) == queue_total(s);
	queue_unlock_get(q);
	return zero ? 0 : evcount_await_looking(&s->joined, was_zero, look_for_zero, &w, deadline);
}

/* ---- shutdown ---- */

static int close_at_once(struct ipck_queue *q)
{
	struct queue_shm *s = q->shm;
	int rc = queue_lock_get(q, IPCK_FOREVER);

	if (rc < 0)
		return rc;
	store_seq(&s->closed, QUEUE_CLOSED);
	rc = queue_discard(q);
	queue_unlock_get(q);
	return rc;
}

int ipck_queue_shutdown(struct ipck_queue *q, enum ipck_queue_end how)
{
	struct queue_shm *s = q->shm;
	int rc;

	if (how != IPCK_QUEUE_DRAIN && how != IPCK_QUEUE_IMMEDIATE)
		return -EINVAL;
	rc = queue_lock(&s->put, IPCK_FOREVER);
	if (rc < 0)
		return rc;
	rc = 0;
	if (how == IPCK_QUEUE_IMMEDIATE)
		rc = close_at_once(q);
	else if (load_relaxed(&s->closed) == QUEUE_OPEN)
		store_seq(&s->closed, QUEUE_DRAINS);
	lock_release(&s->put);
	queue_tell(q, EVCOUNT_ALL);
	evcount_notify(&s->room, EVCOUNT_ALL);
	evcount_notify(&s->joined, EVCOUNT_ALL);
	return rc;
}
