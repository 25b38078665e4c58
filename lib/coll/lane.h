/* SPDX-License-Identifier: MIT */
/*
 * Lane: messages one way, through a ring of bytes, from any process at one end to
 * any at the other.  Here is what is shared and how it changes; who waits for it,
 * and hangs up, is the pipe's.
 *
 * A message is one record, or several (a stream: FIRST, ..., LAST) if it is longer
 * than lane_whole_max(); a record is a head word and `size` bytes, padded to 8.
 * Records lie back to back at free-running positions; the place of position p is
 * p modulo the ring's size, and the ring is mapped twice, so all is contiguous.
 *
 * The head word of the record at the ring's end is 0 until that record is there, so
 * the word is all at once the length, the commit and the doorbell's condition: a
 * receiver looks at one line, the one that it reads next anyway.  A sender
 *
 *	takes the turn; writes the bytes; makes the next head word 0;
 *	stores its own head word (release: this commits); moves `tail`; gives the turn.
 *
 * It needs the record, the 0 behind it, and as much again, so that a stream can be
 * aborted at any time without waiting for room (LANE_SPARE).  A receiver
 *
 *	takes the turn; loads the head word at `head` (acquire), if it is not 0 takes
 *	the bytes; moves `head` (release); gives the turn.
 *
 * Turns are given by a seq swap, and who is about to sleep loads the other side's
 * turn (seq) before its last test: so either that test sees what was done in the
 * turn, or who did it sees, after it, that somebody sleeps.
 *
 * A kill leaves
 * - a sender, before its head word: nothing, bytes where nobody looks.
 * - after its head word: the message is there.  `tail` may lag behind; the next
 *   sender, who takes over the turn, moves it over what is committed.
 * - a sender in a stream: `sending` is set.  The next sender commits ABORT; a
 *   receiver that waits for more finds the turn abandoned, and drops what it has.
 * - a receiver, before it moved `head`: nothing, the next one takes the same record.
 * - a receiver in a stream: what it took is lost with it.  The next one finds records
 *   that begin no message: it drops them, and tells a sender still inside by `lost`.
 */
#ifndef COLL_LANE_H
#define COLL_LANE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/evcount.h"
#include "coll/bell.h"
#include "coll/turn.h"

#define LANE_BYTES_MIN 4096u
#define LANE_WORD 8u
#define LANE_SPARE (2 * LANE_WORD)
#define LANE_AHEAD 512u

/* The low half of a head word; the high half is the size. */
enum record_flags {
	RECORD_THERE = 1, /* always set */
	RECORD_FIRST = 2, /* begins a message; if it is not LAST too, it begins with the whole size (64 bits) */
	RECORD_LAST = 4,  /* ends it */
	RECORD_ABORT = 8, /* ends a stream that is nothing */
	RECORD_FDS = 16,  /* the bytes name descriptors that are in the socket */
};
#define RECORD_WHOLE (RECORD_THERE | RECORD_FIRST | RECORD_LAST)

struct lane_shm {
	/*
	 * Senders, in their turn; others read tail, fds, and the turn.
	 * tail: where the next record goes; what precedes is committed.
	 * head_seen: an old value of head, so that the receivers' line is seldom read.
	 * tail_checked: tail when it was last looked whether anybody is there to take.
	 * sending: a stream is begun and not ended.
	 * fds: the number of descriptor messages begun.
	 */
	ALIGNED(FALSE_SHARING) struct turn send;
	uint64_t tail, head_seen, tail_checked;
	uint32_t sending;
	uint32_t fds;

	/*
	 * Receivers, in their turn; head is read by senders (acquire: what precedes it
	 * is free).  lost, read by senders (acquire): where the last part of a stream ended that was lost: beyond
	 * the beginning of that stream, and of no later one.
	 */
	ALIGNED(FALSE_SHARING) struct turn receive;
	uint64_t head;
	uint64_t lost;

	/*
	 * Who sleeps: receivers for data, senders for space.  Read by the other side
	 * after each turn, written seldom.  left: moved by who closes a handle of either
	 * side, or ends with one: worth a look at the socket.
	 */
	ALIGNED(FALSE_SHARING) struct evcount data;
	struct evcount space;
	struct bell bell; /* of the receivers' descriptor */
	uint32_t left;
};

/* A lane as one process has it. */
struct lane {
	struct lane_shm *shm; /* NULL: the pipe does not go that way */
	char *ring;           /* mapped twice */
	size_t size;          /* a power of two */
};

static inline uint64_t *lane_word(const struct lane *l, uint64_t at)
{
	return (uint64_t *)(void *)(l->ring + (at & (l->size - 1)));
}

static inline char *lane_bytes(const struct lane *l, uint64_t at)
{
	return (char *)lane_word(l, at) + LANE_WORD;
}

/* What a record of that many bytes takes. */
static inline size_t record_span(size_t size)
{
	return LANE_WORD + ROUND_UP(size, (size_t)LANE_WORD);
}

static inline uint64_t record_word(uint32_t flags, size_t size)
{
	return (uint64_t)size << 32 | RECORD_THERE | flags;
}

static inline size_t record_size(uint64_t word)
{
	return (size_t)(word >> 32);
}

/* The longest message that goes as one record: two of them fit. */
static inline size_t lane_whole_max(const struct lane *l)
{
	return l->size / 2 - 4 * LANE_WORD;
}

/* The bytes of a record of a stream, so that both sides have one to work on. */
static inline size_t lane_part_max(const struct lane *l)
{
	return l->size / 4 - LANE_WORD;
}

/* ---- senders, in their turn ---- */

/* Whether a record of that many bytes fits. */
static inline bool lane_has_room(struct lane *l, size_t size)
{
	struct lane_shm *s = l->shm;
	uint64_t end = load_relaxed(&s->tail) + record_span(size) + LANE_SPARE;

	if (likely(end - load_relaxed(&s->head_seen) <= l->size))
		return true;
	store_relaxed(&s->head_seen, load_acquire(&s->head));
	return end - load_relaxed(&s->head_seen) <= l->size;
}

/* In the turn head is not beyond tail, and no further behind than the ring is long. */
static inline bool lane_is_damaged(const struct lane *l)
{
	return load_relaxed(&l->shm->tail) - load_acquire(&l->shm->head) > l->size;
}

/*
 * Before a small record is written: the lines of one that comes later.  The receiver
 * has read them a lap ago, and to get them back takes longer than to write the record;
 * the swap that gives the turn would wait for it.
 */
static inline void lane_prepare(const struct lane *l, size_t size)
{
	const char *ahead = lane_bytes(l, load_relaxed(&l->shm->tail) + LANE_AHEAD);

	prefetch_write(ahead);
	if (size > CACHE_LINE / 2)
		prefetch_write(ahead + CACHE_LINE);
}

/* Where its bytes go. */
static inline char *lane_room(const struct lane *l)
{
	return lane_bytes(l, load_relaxed(&l->shm->tail));
}

static inline void lane_commit(const struct lane *l, uint32_t flags, size_t size)
{
	uint64_t at = load_relaxed(&l->shm->tail), next = at + record_span(size);

	store_relaxed(lane_word(l, next), UINT64_C(0));
	store_release(lane_word(l, at), record_word(flags, size));
	store_relaxed(&l->shm->tail, next);
}

/* Of a stream, whose turn goes on: seq, for the look at who sleeps. */
static inline void lane_commit_seq(const struct lane *l, uint32_t flags, size_t size)
{
	uint64_t at = load_relaxed(&l->shm->tail), next = at + record_span(size);

	store_relaxed(lane_word(l, next), UINT64_C(0));
	store_seq(lane_word(l, at), record_word(flags, size));
	store_relaxed(&l->shm->tail, next);
}

/* What a sender does that has the turn from a dead one.  -EPROTO: damaged. */
int lane_repair_sending(const struct lane *l);

/* Ends a stream that is nothing; there is always room for it. */
void lane_abort(const struct lane *l);

/* ---- receivers, in their turn ---- */

/* The record at the ring's beginning, 0 if there is none, or -EPROTO. */
static inline int lane_peek(const struct lane *l, uint64_t *word)
{
	*word = load_acquire(lane_word(l, load_relaxed(&l->shm->head)));
	if (unlikely(record_size(*word) > l->size - LANE_SPARE || (*word && !(*word & RECORD_THERE))))
		return -EPROTO;
	return 0;
}

static inline char *lane_taken(const struct lane *l)
{
	return lane_bytes(l, load_relaxed(&l->shm->head));
}

/* Where the next one begins. */
static inline uint64_t lane_after(const struct lane *l, uint64_t word)
{
	return load_relaxed(&l->shm->head) + record_span(record_size(word));
}

static inline void lane_take(const struct lane *l, uint64_t word)
{
	/* Release: the bytes were read before. */
	store_release(&l->shm->head, lane_after(l, word));
}

static inline void lane_take_seq(const struct lane *l, uint64_t word)
{
	store_seq(&l->shm->head, lane_after(l, word));
}

/* ---- anybody, without a turn ---- */

/*
 * Whether there is a record; true of one that is being taken just now, too.  The head
 * word is on the line that is read next, and there before `tail` moves.  It may be
 * bytes of a later record by now, but then head has moved: thread sanitizer, which
 * cannot know that, gets the answer from tail.
 */
static inline bool lane_has_record(const struct lane *l)
{
#ifdef THREAD_SANITIZER
	return load_seq(&l->shm->tail) != load_acquire(&l->shm->head);
#else
	uint64_t head, word;

	do {
		head = load_acquire(&l->shm->head);
		word = load_seq(lane_word(l, head));
	} while (load_relaxed(&l->shm->head) != head);
	return word != 0;
#endif
}

#endif
