/* SPDX-License-Identifier: MIT */
/*
 * Queue: messages from any process to any other, each to one.  Here is what is shared and
 * how it changes.
 *
 * Two robust locks: `put` for those who put, `get` for those who get; who has both, to shut
 * down at once, took `put` first.  Three marks in the ring of entries (entry.h):
 *
 *	head     what precedes is free                    moved under `get`
 *	next     what precedes was taken, or RETURNED     moved under `get`
 *	tail     what precedes is there, or RESERVED      moved under `put`
 *
 * put: writes the entry behind tail, READY; moves tail (seq: this commits).
 * reserve: the same, RESERVED with its owner.  commit: READY (seq).  A large message is
 *   put so, too, as the copy would keep others from the lock.  A reservation that is given
 *   up, by its owner or because that is dead, becomes VOID; `get`, and who waits, passes over it.
 * get: copies the entry at next out; moves next (release: this commits).
 * peek: makes it TAKEN with its owner, and moves next.  Later it is DONE, or RETURNED: taken
 *   again before those at next.  A lease is the same, and so is getting a large message.
 * head follows: up to the first that is TAKEN or RETURNED, or to next.
 *
 * What changes under `get` in more than one word does so by the note: the new values, then
 * `noted` (release: this commits), then the words themselves, then `noted` 0.  Who gets the lock
 * from a dead holder does again what is noted.
 *
 * A kill leaves
 * - who puts, before tail: nothing.  After it: the message is there.
 * - a reservation: of a dead owner.  Who waits makes it VOID, once it is at next.
 * - who gets, before next: nothing.  After it: the message was his; head lags, and moves
 *   with the next who gets, or who waits for room.
 * - who peeks, before `noted`: nothing; after it, TAKEN of a dead owner.  Who waits, for a message, for
 *   room or for all to be done, looks for that, and makes it RETURNED.
 * - who shuts down at once, after `closed`: messages from next on that nobody gets; who
 *   gets the lock from it discards them.
 * - who others give way to: they do so until first_until.
 * - a wake-up: sleepers find out at their tick.
 */
#ifndef COLL_QUEUE_H
#define COLL_QUEUE_H

#include <ipckit/queue.h>

#include "base/evcount.h"
#include "base/lock.h"
#include "base/spin.h"
#include "coll/bell.h"
#include "coll/entry.h"
#include "coll/holds.h"
#include "mem/segment.h"

enum queue_closed { QUEUE_OPEN, QUEUE_DRAINS, QUEUE_CLOSED };

/* What changes under `get` at once; place, word: an entry's new word, if that is not 0. */
struct queue_note {
	uint64_t next;
	uint64_t finished;
	uint64_t voids;
	uint64_t word;
	uint32_t place;
	uint32_t held, returned;
	uint32_t zeroes;
};

struct queue_shm {
	/* Set at creation.  units: of the ring, a power of two.  max_items: 0: as many as fit. */
	uint32_t units, max_items;
	uint32_t joinable, leases;
	/* enum queue_closed; only goes up; under `put`, at last under both. */
	uint32_t closed;
	struct bell bell;
	struct evcount data, room, joined; /* who sleeps: for a message, for room, until all is done */

	/*
	 * Under `put`.  head_seen, next_seen: old values, so that the other line is seldom
	 * read.  reserved_at: the place of the last reservation, written before tail: where
	 * next is beyond that, no entry is RESERVED or VOID from there on.  first: the thread that others give way
	 * to, until that time (CLOCK_MONOTONIC, ns); 0: nobody.  The rest are figures.
	 */
	ALIGNED(FALSE_SHARING) struct robust_lock put;
	uint64_t tail;
	uint64_t head_seen, next_seen;
	uint32_t reserved_at;
	uint32_t dead_putters;
	uint64_t first;
	int64_t first_until;
	uint64_t bytes_put, put_waits;
	uint64_t bytes_committed; /* added to without the lock */

	/*
	 * Under `get`.  tail_seen: an old value; next never moves beyond it.
	 * held, returned: how many entries are TAKEN, RETURNED; all others before next are free.
	 * zeroes: how often all was done.  finished: how many are, if it is joinable.
	 * taken: the count of next in 64 bits; may lag, but never by 2^31: see queue_taken.
	 * voids: how many of these were no messages; again: how often one was given out again;
	 * thrown: how many nobody got, as it was shut down at once.
	 */
	ALIGNED(FALSE_SHARING) struct robust_lock get;
	uint64_t next, head;
	uint64_t tail_seen;
	uint32_t held, returned;
	uint32_t zeroes, noted;
	uint64_t finished, taken;
	struct queue_note note;
	uint64_t voids, again, thrown, bytes_got, get_waits, most_items, recovered;
};

struct ipck_queue {
	struct segment segment;
	struct queue_shm *shm;
	char *ring;     /* mapped twice */
	uint32_t units; /* of the ring, checked */
	bool leases;
	int bell;
	uint32_t polled; /* the bell was asked for here */
	struct spinner putting, getting;
	uint32_t run; /* messages got since the last that was waited for */
	struct holds holds;
};

/* A copy of a larger message is made outside of the lock. */
#define QUEUE_SMALL 4096u

/* The largest message. */
static inline uint64_t queue_largest(const struct ipck_queue *q)
{
	return ((uint64_t)q->units - 1) * ENTRY_UNIT;
}

static inline struct entry *queue_entry(const struct ipck_queue *q, uint32_t place)
{
	return (struct entry *)(void *)(q->ring + (size_t)(place & (q->units - 1)) * ENTRY_UNIT);
}

static inline char *entry_bytes(struct entry *e)
{
	return (char *)(e + 1);
}

/* ---- queue.c ---- */

/* Either lock: others are in it for moments, so with a deadline that has passed it is
 * still waited for a little. */
int queue_lock(struct robust_lock *lock, struct ipck_deadline deadline);

/* ---- queue_put.c ---- */

/* Whether head and next allow an entry of that size behind tail. */
bool queue_fits(const struct ipck_queue *q, uint64_t tail, uint32_t units);

void queue_cancel(struct ipck_queue *q, uint32_t place);

/* ---- queue_note.c: what getters change, under `get` ---- */

/* `get`, with what a dead holder left repaired. */
int queue_lock_get(struct ipck_queue *q, struct ipck_deadline deadline);
/* Gives it back, after what is no message was passed over, and tells who waits for room. */
void queue_unlock_get(struct ipck_queue *q);

/* The words as they are, to be changed and noted. */
struct queue_note queue_note(const struct queue_shm *s);
void queue_do(struct ipck_queue *q, const struct queue_note *n);

/* In *n that many more are done. */
void queue_finish(const struct queue_shm *s, struct queue_note *n, uint32_t more);

/* The count of next, and of tail, since it was made. */
uint64_t queue_taken(const struct queue_shm *s);
uint64_t queue_total(const struct queue_shm *s);

/* Whether that is no more than the ring: else the marks are damaged, and a walk might never end. */
static inline bool queue_is_span(const struct ipck_queue *q, uint64_t from, uint64_t to)
{
	return mark_place(to) - mark_place(from) <= q->units;
}

/* *m moves behind the entry there: -EPROTO: that does not end before `end`. */
int queue_step(const struct ipck_queue *q, uint64_t *m, uint64_t end);
int queue_move_head(struct ipck_queue *q);

/* next moves over what is no message: how many.  It takes room until then, and is not done. */
int queue_pass_over(struct ipck_queue *q);

/* All that is there is gone, and done. */
int queue_discard(struct ipck_queue *q);

/*
 * Ends what TAKEN entries there are of dead owners, and dead reservations at next, and passes over
 * what is no message: how many all that were.
 */
int queue_bury(struct ipck_queue *q);

/* Ends one before next that is TAKEN or RETURNED, with that word: RETURNED, or DONE. */
void queue_end_one(struct ipck_queue *q, uint32_t place, uint64_t word, enum entry_state how, bool finish);

/* ---- without the lock ---- */

/* Ends one that this process has TAKEN: -EPERM. */
int queue_end(struct ipck_queue *q, uint32_t place, enum entry_state how);

/* ---- queue_find.c ---- */

/* The message that is to be got next, before next (again) or there. */
struct found {
	uint64_t word;
	uint32_t place;
	bool again;
};

/* The lock, with a message. */
int queue_begin_get(struct ipck_queue *q, struct found *f, struct ipck_deadline deadline);
/* 1, or 0: there is none to be had.  -EPROTO. */
int queue_find(struct ipck_queue *q, struct found *f);
/* Without the lock: whether a call that gets would not wait. */
bool queue_may_get(void *queue);

/* For evcount_await_looking: buries, if anything may be held up by the dead: whether it has looked. */
bool queue_look(struct ipck_queue *q);

/* How many could be got: -EPROTO.  Under `get`. */
ssize_t queue_count(struct ipck_queue *q);

/* Whether the message at next ends before what is there does. */
static inline bool queue_is_whole(const struct ipck_queue *q, uint64_t next, uint64_t word)
{
	return entry_units(entry_size(word)) <= mark_place(load_relaxed(&q->shm->tail_seen)) - mark_place(next);
}

static inline struct ipck_queue_item queue_item(const struct ipck_queue *q, uint32_t place, size_t size, unsigned given)
{
	struct ipck_queue_item item = {
		.data = entry_bytes(queue_entry(q, place)),
		.size = size,
		.deliveries = MIN(given, 4095u),
		.place = place,
	};

	return item;
}

/* ---- queue_bell.c ---- */

void queue_ring_armed(struct ipck_queue *q);

/* Under `get`, with nothing to get: makes the bell silent. */
void queue_silence(struct ipck_queue *q);

/* After messages have come (seq). */
static inline void queue_tell(struct ipck_queue *q, int messages)
{
	evcount_notify(&q->shm->data, messages);
	if (unlikely(load_seq(&q->shm->bell.armed)))
		queue_ring_armed(q);
}

#endif
