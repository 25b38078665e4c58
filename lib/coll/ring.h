/* SPDX-License-Identifier: MIT */
/*
 * Ring: bytes from one writer to one reader, in pieces that are seen whole or not
 * at all.  No blocking and no wake-ups: who uses it adds them.
 */
#ifndef COLL_RING_H
#define COLL_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"

#define RING_BYTES 32768u

/* The largest piece: a quarter, so that a writer need not wait for an empty ring. */
#define RING_PIECE_MAX (RING_BYTES / 4 - 64)

/*
 * tail: bytes published since the beginning.  Written by the writer only; its
 *   release store commits the piece before it.  A writer killed before that store
 *   has written nothing; its successor goes on at tail, over the torn bytes.
 * head: bytes taken.  Written by the reader only, after it has copied a piece out;
 *   a reader killed before takes the piece again (its successor decides).
 * Both run freely; the place is their value modulo RING_BYTES.  Each stands on its
 * own line, with nothing that the other side writes.
 *
 * A piece is a ring_piece and `size` bytes behind it, padded to 8; both may wrap.
 */
struct ring {
	ALIGNED(FALSE_SHARING) uint64_t tail;
	ALIGNED(FALSE_SHARING) uint64_t head;
	ALIGNED(FALSE_SHARING) unsigned char data[RING_BYTES];
};

struct ring_piece {
	uint32_t size;  /* bytes behind it */
	uint32_t flags; /* the user's */
	uint64_t tag;
	int32_t value;
	uint32_t spare;
};

/* Whether a piece of that size fits now; the writer asks. */
bool ring_has_room(const struct ring *ring, size_t size);

/* Writes and commits one piece that fits. */
void ring_put(struct ring *ring, const struct ring_piece *piece, const void *data);

/* Whether there is a piece; the reader asks.  A damaged one is none. */
bool ring_peek(const struct ring *ring, struct ring_piece *piece);

/* Copies out the bytes of the piece that ring_peek gave, and takes it. */
void ring_take(struct ring *ring, const struct ring_piece *piece, void *data);

static inline bool ring_is_empty(const struct ring *ring)
{
	return load_acquire(&ring->tail) == load_relaxed(&ring->head);
}

#endif
