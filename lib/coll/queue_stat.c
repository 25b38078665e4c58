/* SPDX-License-Identifier: MIT */
/* What a queue tells of itself; the protocol is in queue.h. */
#include "coll/queue.h"

#include <errno.h>
#include <string.h>

/* For questions that have no deadline of their own. */
#define PATIENCE_MS 1000

ssize_t ipck_queue_size(struct ipck_queue *q)
{
	ssize_t n = queue_lock_get(q, ipck_in_ms(PATIENCE_MS));

	if (n < 0)
		return n;
	n = queue_count(q);
	queue_unlock_get(q);
	return n;
}

bool ipck_queue_empty(struct ipck_queue *q)
{
	return ipck_queue_size(q) <= 0;
}

bool ipck_queue_full(struct ipck_queue *q)
{
	struct queue_shm *s = q->shm;
	bool full;

	/* With head and next still, tail alone moves: so it is a moment's truth. */
	if (queue_lock_get(q, ipck_in_ms(PATIENCE_MS)) < 0)
		return false;
	(void)queue_pass_over(q);
	full = !queue_fits(q, load_acquire(&s->tail), 1);
	queue_unlock_get(q);
	return full;
}

/* Under `get`. */
static int read_figures(struct ipck_queue *q, struct ipck_queue_stats *f)
{
	const struct queue_shm *s = q->shm;
	int passed = queue_pass_over(q);
	ssize_t items = passed < 0 ? passed : queue_count(q);
	uint64_t total = queue_total(s), taken = queue_taken(s);
	uint32_t used = mark_place(load_acquire(&s->tail)) - mark_place(load_relaxed(&s->head));

	if (items < 0)
		return (int)items;
	f->bytes = (size_t)q->units * ENTRY_UNIT;
	f->largest = queue_largest(q);
	f->max_items = s->max_items;
	f->bytes_used = (size_t)MIN(used, q->units) * ENTRY_UNIT;
	f->items = (size_t)items;
	f->held = load_relaxed(&s->held);
	f->unfinished = s->joinable ? total - load_relaxed(&s->finished) : 0;
	f->puts = total - load_relaxed(&s->voids);
	f->gets = taken - load_relaxed(&s->voids) - load_relaxed(&s->thrown) + load_relaxed(&s->again);
	f->bytes_put = load_relaxed(&s->bytes_put) + load_relaxed(&s->bytes_committed);
	f->bytes_got = load_relaxed(&s->bytes_got);
	f->put_waits = load_relaxed(&s->put_waits);
	f->get_waits = load_relaxed(&s->get_waits);
	f->most_items = MAX(load_relaxed(&s->most_items), (uint64_t)items);
	f->recovered = load_relaxed(&s->recovered) + load_relaxed(&s->dead_putters);
	f->joinable = s->joinable;
	f->leases = q->leases;
	f->shutdown = (int)load_relaxed(&s->closed);
	return 0;
}

int ipck_queue_stat(struct ipck_queue *q, struct ipck_queue_stats *stats)
{
	struct ipck_queue_stats own = {0};
	int rc;

	if (stats->size < sizeof(size_t) || stats->size > sizeof(own))
		return -EINVAL;
	own.size = stats->size;
	rc = queue_lock_get(q, ipck_in_ms(PATIENCE_MS));
	if (rc < 0)
		return rc;
	rc = read_figures(q, &own);
	queue_unlock_get(q);
	if (rc == 0)
		memcpy(stats, &own, own.size);
	return rc;
}
