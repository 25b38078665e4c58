/* SPDX-License-Identifier: MIT */
#include "coll/ring.h"

#include <string.h>

#include "base/atomic.h"

static size_t footprint(size_t size)
{
	return sizeof(struct ring_piece) + ROUND_UP(size, (size_t)8);
}

static void copy_in(struct ring *ring, uint64_t at, const void *data, size_t size)
{
	size_t place = at % RING_BYTES, first = MIN(size, RING_BYTES - place);

	memcpy(ring->data + place, data, first);
	memcpy(ring->data, (const char *)data + first, size - first);
}

static void copy_out(const struct ring *ring, uint64_t at, void *data, size_t size)
{
	size_t place = at % RING_BYTES, first = MIN(size, RING_BYTES - place);

	memcpy(data, ring->data + place, first);
	memcpy((char *)data + first, ring->data, size - first);
}

bool ring_has_room(const struct ring *ring, size_t size)
{
	/* seq: the writer that finds no room has just said that it sleeps.  Acquire
	 * would do for the bytes: the reader has copied them out. */
	uint64_t used = load_relaxed(&ring->tail) - load_seq(&ring->head);

	return size <= RING_PIECE_MAX && used <= RING_BYTES && footprint(size) <= RING_BYTES - used;
}

void ring_put(struct ring *ring, const struct ring_piece *piece, const void *data)
{
	uint64_t tail = load_relaxed(&ring->tail);

	copy_in(ring, tail, piece, sizeof(*piece));
	if (piece->size)
		copy_in(ring, tail + sizeof(*piece), data, piece->size);
	store_release(&ring->tail, tail + footprint(piece->size));
}

bool ring_peek(const struct ring *ring, struct ring_piece *piece)
{
	uint64_t head = load_relaxed(&ring->head), filled = load_acquire(&ring->tail) - head;

	if (filled < sizeof(*piece) || filled > RING_BYTES)
		return false;
	copy_out(ring, head, piece, sizeof(*piece));
	return piece->size <= RING_PIECE_MAX && footprint(piece->size) <= filled;
}

void ring_take(struct ring *ring, const struct ring_piece *piece, void *data)
{
	uint64_t head = load_relaxed(&ring->head);

	if (data && piece->size)
		copy_out(ring, head + sizeof(*piece), data, piece->size);
	/* seq: then the reader looks whether the writer sleeps. */
	store_seq(&ring->head, head + footprint(piece->size));
}
