/* SPDX-License-Identifier: MIT */
/* Putting messages into a queue; the protocol is in queue.h. */
#include "coll/queue.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/ident.h"

static bool fits(const struct ipck_queue *q, uint64_t head, uint64_t tail, uint32_t units)
{
	return (uint64_t)(mark_place(tail) - mark_place(head)) + units <= q->units;
}

static bool below_bound(const struct queue_shm *s, uint64_t next, uint64_t tail)
{
	return s->max_items == 0 || mark_count(tail) - mark_count(next) < s->max_items;
}

/* Behind tail, which may not be stored yet.  Under the lock. */
static bool has_room(const struct ipck_queue *q, uint64_t tail, uint32_t units)
{
	struct queue_shm *s = q->shm;

	if (unlikely(!fits(q, load_relaxed(&s->head_seen), tail, units))) {
		store_relaxed(&s->head_seen, load_acquire(&s->head));
		if (!fits(q, load_relaxed(&s->head_seen), tail, units))
			return false;
	}
	if (unlikely(!below_bound(s, load_relaxed(&s->next_seen), tail))) {
		store_relaxed(&s->next_seen, load_acquire(&s->next));
		return below_bound(s, load_relaxed(&s->next_seen), tail);
	}
	return true;
}

/* Under the lock, with no room: whether that can be. */
static bool can_be_full(const struct ipck_queue *q)
{
	const struct queue_shm *s = q->shm;
	uint64_t tail = load_relaxed(&s->tail);

	return queue_is_span(q, load_acquire(&s->head), tail) &&
	       (s->max_items == 0 || mark_count(tail) - mark_count(load_acquire(&s->next)) <= q->units);
}

bool queue_fits(const struct ipck_queue *q, uint64_t tail, uint32_t units)
{
	const struct queue_shm *s = q->shm;

	return fits(q, load_acquire(&s->head), tail, units) && below_bound(s, load_acquire(&s->next), tail);
}

/* ---- giving way ---- */

/* Who is waited for: no longer than this since his last look, as he may be stopped, or dead. */
#define CLAIM_NS TICK_NS

/*
 * Where small messages take all room that comes, a large one would never be put.  This is
 * fairness only: nothing relies on it, so time may decide.
 */
static bool gives_way(const struct queue_shm *s)
{
	uint64_t first = load_relaxed(&s->first);

	if (likely(first == 0) || first == (uint64_t)tid_self())
		return false;
	return (uint64_t)load_relaxed(&s->first_until) - (uint64_t)clock_now() < CLAIM_NS;
}

/* Under the lock; who gave way is told. */
static void end_claim(struct queue_shm *s)
{
	if (likely(load_relaxed(&s->first) != (uint64_t)tid_self()))
		return;
	store_seq(&s->first, 0);
	evcount_notify(&s->room, EVCOUNT_ALL);
}

/* ---- waiting ---- */

/* head: at the last look.  stalled: looks since it has moved. */
struct room_wait {
	struct ipck_queue *queue;
	uint32_t units, stalled;
	uint64_t head;
	bool claims;
};

/* After so many looks without any room: those who give way may be who would make it. */
#define STALLED_MAX 4

/* Who has waited for some time. */
static void claim(struct room_wait *w)
{
	struct queue_shm *s = w->queue->shm;
	uint64_t head = load_relaxed(&s->head);

	w->stalled = head == w->head ? w->stalled + 1 : 0;
	w->head = head;
	if (!w->claims || queue_lock(&s->put, IPCK_NOWAIT) < 0)
		return;
	if (w->stalled >= STALLED_MAX) {
		end_claim(s);
	} else if (!gives_way(s)) {
		store_relaxed(&s->first_until, clock_now() + CLAIM_NS);
		store_relaxed(&s->first, (uint64_t)tid_self());
	}
	lock_release(&s->put);
}

/* Without the lock: others may have filled it before we get that.  tail may be older than
 * head is: then there is room. */
static bool may_put(void *arg)
{
	const struct room_wait *w = arg;
	const struct queue_shm *s = w->queue->shm;
	uint64_t tail = load_acquire(&s->tail), head = load_seq(&s->head), next = load_relaxed(&s->next);

	if (load_relaxed(&s->closed) != QUEUE_OPEN || (int32_t)(mark_place(tail) - mark_place(head)) < 0)
		return true;
	return fits(w->queue, head, tail, w->units) && !gives_way(s) &&
	       ((int32_t)(mark_count(tail) - mark_count(next)) < 0 || below_bound(s, next, tail));
}

static bool look_for_room(void *arg)
{
	struct room_wait *w = arg;

	if (queue_look(w->queue) && may_put(arg))
		return true;
	claim(w);
	return false;
}

static int wait_for_room(struct ipck_queue *q, uint32_t units, struct ipck_deadline deadline)
{
	struct room_wait w = {.queue = q, .units = units, .claims = deadline.ns > 0};

	if (deadline.ns > 0 && spin_until(&q->putting, may_put, &w))
		return 0;
	return evcount_await_looking(&q->shm->room, may_put, look_for_room, &w, deadline);
}

/* The lock of a queue that takes more. */
static int lock_open(struct ipck_queue *q, struct ipck_deadline deadline)
{
	struct queue_shm *s = q->shm;
	int rc = queue_lock(&s->put, deadline);

	if (unlikely(rc > 0))
		store_relaxed(&s->dead_putters, load_relaxed(&s->dead_putters) + 1);
	if (likely(rc < 0 || load_relaxed(&s->closed) == QUEUE_OPEN))
		return MIN(rc, 0);
	lock_release(&s->put);
	return -ESHUTDOWN;
}

/* Found no room: waits until there is some, again and again, and has the lock then. */
static int begin_later(struct ipck_queue *q, uint32_t units, struct ipck_deadline deadline)
{
	struct queue_shm *s = q->shm;

	for (;;) {
		int failed = wait_for_room(q, units, deadline), rc = lock_open(q, deadline);

		if (rc < 0)
			return rc;
		if (failed == 0 && has_room(q, load_relaxed(&s->tail), units) && !gives_way(s)) {
			store_relaxed(&s->put_waits, load_relaxed(&s->put_waits) + 1);
			end_claim(s);
			return 0;
		}
		if (failed == 0 && !can_be_full(q))
			failed = -EPROTO;
		if (failed < 0)
			end_claim(s);
		lock_release(&s->put);
		if (failed < 0)
			return failed;
	}
}

/* The lock, with room for that many units. */
static inline int begin(struct ipck_queue *q, uint32_t units, struct ipck_deadline deadline)
{
	struct queue_shm *s = q->shm;
	int rc = lock_open(q, deadline);

	if (unlikely(rc < 0))
		return rc;
	if (likely(!gives_way(s) && has_room(q, load_relaxed(&s->tail), units)))
		return 0;
	lock_release(&s->put);
	return begin_later(q, units, deadline);
}

/* ---- in place ---- */

static int reserve(struct ipck_queue *q, size_t size, uint32_t *place, struct ipck_deadline deadline)
{
	struct queue_shm *s = q->shm;
	struct entry *e;
	uint64_t tail;
	int rc;

	if (size > queue_largest(q))
		return -EMSGSIZE;
	rc = begin(q, entry_units(size), deadline);
	if (rc < 0)
		return rc;
	tail = load_relaxed(&s->tail);
	e = queue_entry(q, mark_place(tail));
	store_relaxed(&e->owner, ident_word());
	store_relaxed(&e->word, entry_word(size, 0, ENTRY_RESERVED));
	store_relaxed(&s->reserved_at, mark_place(tail));
	*place = mark_place(tail);
	store_seq(&s->tail, mark_after(tail, entry_units(size), 1));
	lock_release(&s->put);
	return 0;
}

static void commit(struct ipck_queue *q, uint32_t place, size_t size)
{
	struct queue_shm *s = q->shm;
	struct entry *e = queue_entry(q, place);
	uint32_t units = entry_units(entry_size(load_relaxed(&e->word))), left = units - entry_units(size);

	/* What is not needed becomes an entry of its own, before anybody can see it. */
	if (left) {
		struct entry *filler = queue_entry(q, place + entry_units(size));

		store_relaxed(&filler->word, entry_word((uint64_t)(left - 1) * ENTRY_UNIT, 0, ENTRY_FILLER));
	}
	store_seq(&e->word, entry_word(size, 0, ENTRY_READY));
	add_relaxed(&s->bytes_committed, size);
	/* With it, those that wait behind it can be got. */
	queue_tell(q, (mark_place(load_seq(&s->tail)) - place - units) % q->units == 0 ? 1 : EVCOUNT_ALL);
}

void queue_cancel(struct ipck_queue *q, uint32_t place)
{
	struct entry *e = queue_entry(q, place);

	store_seq(&e->word, entry_word(entry_size(load_relaxed(&e->word)), 0, ENTRY_VOID));
	queue_tell(q, EVCOUNT_ALL);
	/* It is room at once, though nobody gets; if not, who waits looks. */
	if (queue_lock_get(q, IPCK_NOWAIT) < 0)
		return;
	(void)queue_pass_over(q);
	queue_unlock_get(q);
}

/* The place of a reservation of this process, whose bytes lie at data. */
static int find_reserved(struct ipck_queue *q, const void *data, size_t size, uint32_t *place)
{
	size_t offset = (size_t)((const char *)data - q->ring) - sizeof(struct entry);
	const struct entry *e;
	uint64_t word;

	if (offset % ENTRY_UNIT || offset / ENTRY_UNIT >= q->units)
		return -EPERM;
	*place = (uint32_t)(offset / ENTRY_UNIT);
	e = queue_entry(q, *place);
	word = load_relaxed(&e->word);
	if (entry_state(word) != ENTRY_RESERVED || load_relaxed(&e->owner) != ident_word())
		return -EPERM;
	if (size > entry_size(word))
		return -EINVAL;
	return holds_remove(&q->holds, *place, true) ? 0 : -EPERM;
}

int ipck_queue_reserve(struct ipck_queue *q, size_t size, void **data, struct ipck_deadline deadline)
{
	uint32_t place;
	int rc = holds_prepare(&q->holds, 1);

	if (rc < 0)
		return rc;
	rc = reserve(q, size, &place, deadline);
	if (rc < 0) {
		holds_unprepare(&q->holds, 1);
		return rc;
	}
	place &= q->units - 1;
	holds_add(&q->holds, place, HOLD_RESERVED);
	*data = entry_bytes(queue_entry(q, place));
	return 0;
}

int ipck_queue_commit(struct ipck_queue *q, void *data, size_t size)
{
	uint32_t place;
	int rc = find_reserved(q, data, size, &place);

	if (rc == 0)
		commit(q, place, size);
	return rc;
}

int ipck_queue_cancel(struct ipck_queue *q, void *data)
{
	uint32_t place;
	int rc = find_reserved(q, data, 0, &place);

	if (rc == 0)
		queue_cancel(q, place);
	return rc;
}

/* ---- copied ---- */

static int put_large(struct ipck_queue *q, const void *data, size_t size, struct ipck_deadline deadline)
{
	uint32_t place;
	int rc = reserve(q, size, &place, deadline);

	if (rc < 0)
		return rc;
	memcpy(entry_bytes(queue_entry(q, place)), data, size);
	commit(q, place, size);
	return 0;
}

/* Where tail is then. */
static inline uint64_t write_entry(struct ipck_queue *q, uint64_t tail, const void *data, size_t size)
{
	struct entry *e = queue_entry(q, mark_place(tail));

	store_relaxed(&e->word, entry_word(size, 0, ENTRY_READY));
	if (size)
		memcpy(entry_bytes(e), data, size);
	return mark_after(tail, entry_units(size), 1);
}

static inline void publish(struct ipck_queue *q, uint64_t tail, size_t bytes, int messages)
{
	struct queue_shm *s = q->shm;

	store_seq(&s->tail, tail);
	store_relaxed(&s->bytes_put, load_relaxed(&s->bytes_put) + bytes);
	lock_release(&s->put);
	queue_tell(q, messages);
}

int ipck_queue_put(struct ipck_queue *q, const void *data, size_t size, struct ipck_deadline deadline)
{
	int rc;

	if (unlikely(size > QUEUE_SMALL))
		return put_large(q, data, size, deadline);
	if (unlikely(size > queue_largest(q)))
		return -EMSGSIZE;
	rc = begin(q, entry_units(size), deadline);
	if (unlikely(rc < 0))
		return rc;
	publish(q, write_entry(q, load_relaxed(&q->shm->tail), data, size), size, 1);
	return 0;
}

/* As many as there is room for, the first of which is small: their number. */
static int put_some(struct ipck_queue *q, const struct iovec *messages, int n, struct ipck_deadline deadline)
{
	int i = 0, rc = begin(q, entry_units(messages[0].iov_len), deadline);
	size_t bytes = 0;
	uint64_t tail;

	if (rc < 0)
		return rc;
	tail = load_relaxed(&q->shm->tail);
	do {
		tail = write_entry(q, tail, messages[i].iov_base, messages[i].iov_len);
		bytes += messages[i].iov_len;
		i++;
	} while (i < n && messages[i].iov_len <= MIN(QUEUE_SMALL, queue_largest(q)) &&
	         has_room(q, tail, entry_units(messages[i].iov_len)));
	publish(q, tail, bytes, i);
	return i;
}

static int put_one(struct ipck_queue *q, const struct iovec *m, struct ipck_deadline deadline)
{
	int rc = ipck_queue_put(q, m->iov_base, m->iov_len, deadline);

	return rc < 0 ? rc : 1;
}

int ipck_queue_put_many(struct ipck_queue *q, const struct iovec *messages, int n, struct ipck_deadline deadline)
{
	int done = 0, rc = 0;

	if (n < 0)
		return -EINVAL;
	while (done < n && rc >= 0) {
		const struct iovec *m = &messages[done];

		if (m->iov_len > MIN(QUEUE_SMALL, queue_largest(q)))
			rc = put_one(q, m, deadline);
		else
			rc = put_some(q, m, n - done, deadline);
		if (rc > 0)
			done += rc;
	}
	return done ? done : rc;
}
