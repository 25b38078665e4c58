/* SPDX-License-Identifier: MIT */
/* Getting messages out of a queue; the protocol is in queue.h. */
#include "coll/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/ident.h"

/* ---- taking ---- */

/* It becomes TAKEN. */
static void take(struct ipck_queue *q, const struct found *f)
{
	struct queue_shm *s = q->shm;
	struct entry *e = queue_entry(q, f->place);
	struct queue_note n = queue_note(s);

	store_relaxed(&e->owner, ident_word());
	n.place = f->place;
	n.word = entry_word(entry_size(f->word), entry_given(f->word) + 1, ENTRY_TAKEN);
	n.held++;
	if (f->again)
		n.returned--;
	else
		n.next = mark_after(n.next, entry_units(entry_size(f->word)), 1);
	store_relaxed(&s->again, load_relaxed(&s->again) + f->again);
	store_relaxed(&s->bytes_got, load_relaxed(&s->bytes_got) + entry_size(f->word));
	queue_do(q, &n);
}

/* next moves over what was copied out. */
static inline void move_next(struct ipck_queue *q, uint64_t next, size_t bytes)
{
	struct queue_shm *s = q->shm;

	store_release(&s->next, next);
	store_relaxed(&s->taken, queue_taken(s));
	store_relaxed(&s->bytes_got, load_relaxed(&s->bytes_got) + bytes);
	if (likely(load_relaxed(&s->held) + load_relaxed(&s->returned) == 0))
		store_seq(&s->head, next);
	else
		queue_move_head(q);
}

static inline size_t copy_out(struct ipck_queue *q, uint32_t place, uint64_t word, void *data)
{
	size_t size = entry_size(word);

	if (size)
		memcpy(data, entry_bytes(queue_entry(q, place)), size);
	return size;
}

/* Under the lock, which it gives back. */
static void get_small(struct ipck_queue *q, const struct found *f, void *data)
{
	struct queue_shm *s = q->shm;
	size_t size = copy_out(q, f->place, f->word, data);

	store_relaxed(&q->run, load_relaxed(&q->run) + 1);
	if (likely(!f->again)) {
		move_next(q, mark_after(load_relaxed(&s->next), entry_units(size), 1), size);
	} else {
		queue_end_one(q, f->place, f->word, ENTRY_DONE, false);
		store_relaxed(&s->again, load_relaxed(&s->again) + 1);
		store_relaxed(&s->bytes_got, load_relaxed(&s->bytes_got) + size);
	}
	queue_unlock_get(q);
}

/* Under the lock, which it gives back before the copy is made: who is killed meanwhile has not got it. */
static int get_large(struct ipck_queue *q, const struct found *f, void *data)
{
	take(q, f);
	queue_unlock_get(q);
	copy_out(q, f->place, f->word, data);
	if (!q->leases)
		return queue_end(q, f->place, ENTRY_DONE);
	holds_add(&q->holds, f->place, HOLD_LEASED);
	return 0;
}

/* Under the lock, which it gives back; it fits. */
static int get_found(struct ipck_queue *q, const struct found *f, void *data)
{
	if (unlikely(entry_size(f->word) > QUEUE_SMALL || q->leases))
		return get_large(q, f, data);
	get_small(q, f, data);
	return 0;
}

/* The lock, with a message that fits. */
static int begin_fitting(struct ipck_queue *q, struct found *f, size_t size, size_t *needed,
                         struct ipck_deadline deadline)
{
	int rc = queue_begin_get(q, f, deadline);

	if (rc < 0 || likely(entry_size(f->word) <= size))
		return rc;
	queue_unlock_get(q);
	if (needed)
		*needed = entry_size(f->word);
	/* Another was not woken for it. */
	queue_tell(q, 1);
	return -EMSGSIZE;
}

static ssize_t get_one(struct ipck_queue *q, void *data, size_t size, size_t *needed, struct ipck_deadline deadline)
{
	struct found f;
	int rc = begin_fitting(q, &f, size, needed, deadline);

	if (unlikely(rc < 0))
		return rc;
	rc = get_found(q, &f, data);
	return rc < 0 ? rc : (ssize_t)entry_size(f.word);
}

ssize_t ipck_queue_get(struct ipck_queue *q, void *data, size_t size, size_t *needed, struct ipck_deadline deadline)
{
	ssize_t n;

	if (likely(!q->leases))
		return get_one(q, data, size, needed, deadline);
	n = holds_prepare(&q->holds, 1);
	if (n == 0) {
		n = get_one(q, data, size, needed, deadline);
		if (n < 0)
			holds_unprepare(&q->holds, 1);
	}
	return n;
}

int ipck_queue_get_new(struct ipck_queue *q, void **data, size_t *size, struct ipck_deadline deadline)
{
	size_t room = 256, needed = 0;

	for (;;) {
		void *bytes = malloc(room);
		ssize_t n = bytes ? ipck_queue_get(q, bytes, room, &needed, deadline) : -ENOMEM;

		if (n >= 0) {
			*data = bytes;
			*size = (size_t)n;
			return 0;
		}
		free(bytes);
		/* Another may take it meanwhile: then it is the next one. */
		if (n != -EMSGSIZE)
			return (int)n;
		room = needed;
	}
}

/* ---- many ---- */

/* One more of those behind `next` that are small, READY, and fit: *next moves behind it. */
static bool copy_next(struct ipck_queue *q, uint64_t *next, char *data, size_t room, struct iovec *message)
{
	struct queue_shm *s = q->shm;
	uint64_t word;
	size_t size;

	if (mark_place(*next) == mark_place(load_relaxed(&s->tail_seen)))
		return false;
	word = load_acquire(&queue_entry(q, mark_place(*next))->word);
	size = entry_size(word);
	if (entry_state(word) != ENTRY_READY || size > MIN(room, QUEUE_SMALL) || !queue_is_whole(q, *next, word))
		return false;
	copy_out(q, mark_place(*next), word, data);
	*message = (struct iovec){.iov_base = data, .iov_len = size};
	*next = mark_after(*next, entry_units(size), 1);
	return true;
}

/* Under the lock, which it gives back; the first is there, and fits. */
static int get_run(struct ipck_queue *q, char *data, size_t size, struct iovec *messages, int n)
{
	uint64_t next = load_relaxed(&q->shm->next);
	size_t bytes = 0;
	int i = 0;

	while (i < n && copy_next(q, &next, data + bytes, size - bytes, &messages[i]))
		bytes += messages[i++].iov_len;
	move_next(q, next, bytes);
	store_relaxed(&q->run, load_relaxed(&q->run) + (uint32_t)i);
	queue_unlock_get(q);
	return i;
}

/*
 * One after the other, as each is a change of its own; room for n was prepared.  Nothing is
 * allocated under the lock: until it is copied, a message's iov_base is its place in the queue.
 */
static int lease_run(struct ipck_queue *q, char *data, size_t size, struct iovec *messages, int n,
                     struct found *f)
{
	size_t bytes = 0;
	int i = 0;

	do {
		take(q, f);
		messages[i].iov_base = (void *)(uintptr_t)f->place;
		messages[i].iov_len = entry_size(f->word);
		bytes += messages[i++].iov_len;
	} while (i < n && queue_find(q, f) > 0 && entry_size(f->word) <= size - bytes);
	queue_unlock_get(q);
	for (int k = 0; k < i; k++) {
		uint32_t place = (uint32_t)(uintptr_t)messages[k].iov_base;

		copy_out(q, place, messages[k].iov_len, data);
		holds_add(&q->holds, place, HOLD_LEASED);
		messages[k].iov_base = data;
		data += messages[k].iov_len;
	}
	return i;
}

static int get_first_of_many(struct ipck_queue *q, const struct found *f, void *data, struct iovec *message)
{
	int rc = get_found(q, f, data);

	*message = (struct iovec){.iov_base = data, .iov_len = entry_size(f->word)};
	return rc < 0 ? rc : 1;
}

static int get_many(struct ipck_queue *q, void *data, size_t size, struct iovec *messages, int n, size_t *needed,
                    struct ipck_deadline deadline)
{
	struct found f;
	int rc = begin_fitting(q, &f, size, needed, deadline);

	if (rc < 0)
		return rc;
	if (q->leases)
		return lease_run(q, data, size, messages, n, &f);
	if (f.again || entry_size(f.word) > QUEUE_SMALL)
		return get_first_of_many(q, &f, data, messages);
	return get_run(q, data, size, messages, n);
}

int ipck_queue_get_many(struct ipck_queue *q, void *data, size_t size, struct iovec *messages, int n, size_t *needed,
                        struct ipck_deadline deadline)
{
	int rc;

	/* There are never more. */
	n = MIN(n, (int)q->units);
	rc = n <= 0 ? -EINVAL : q->leases ? holds_prepare(&q->holds, (size_t)n) : 0;
	if (rc < 0)
		return rc;
	rc = get_many(q, data, size, messages, n, needed, deadline);
	if (q->leases)
		holds_unprepare(&q->holds, (size_t)(n - MAX(rc, 0)));
	return rc;
}

/* ---- in place ---- */

int ipck_queue_peek(struct ipck_queue *q, struct ipck_queue_item *item, struct ipck_deadline deadline)
{
	struct found f;
	int rc = holds_prepare(&q->holds, 1);

	if (rc < 0)
		return rc;
	rc = queue_begin_get(q, &f, deadline);
	if (rc < 0) {
		holds_unprepare(&q->holds, 1);
		return rc;
	}
	take(q, &f);
	queue_unlock_get(q);
	holds_add(&q->holds, f.place, HOLD_PEEKED);
	*item = queue_item(q, f.place, entry_size(f.word), entry_given(f.word) + 1);
	return 0;
}

static int end_item(struct ipck_queue *q, const struct ipck_queue_item *item, enum entry_state how)
{
	return holds_remove(&q->holds, item->place, false) ? queue_end(q, item->place, how) : -EPERM;
}

int ipck_queue_release(struct ipck_queue *q, const struct ipck_queue_item *item)
{
	return end_item(q, item, ENTRY_DONE);
}

int ipck_queue_refuse(struct ipck_queue *q, const struct ipck_queue_item *item)
{
	return end_item(q, item, ENTRY_RETURNED);
}
