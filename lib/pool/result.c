/* SPDX-License-Identifier: MIT */
#include "pool/result.h"

#include <errno.h>
#include <string.h>

static bool is_unwanted(const struct ipck_result *r)
{
	return load_seq(&r->block->unwanted) || load_seq(&r->shm->state) == POOL_TERMINATE;
}

struct room {
	struct ipck_result *result;
	size_t size;
};

static bool has_room(void *arg)
{
	struct room *room = arg;

	return ring_has_room(room->result->ring, room->size) || is_unwanted(room->result);
}

/* One piece: waits until the parent has made room for it. */
static int put_piece(struct ipck_result *r, uint32_t flags, int value, const void *data, size_t size)
{
	struct ring_piece piece = {.size = (uint32_t)size, .flags = flags, .tag = r->tag, .value = value};
	struct room room = {r, size};

	if (!ring_has_room(r->ring, size)) {
		pool_progress(r->shm);
		(void)evcount_await(&r->slot->space, has_room, &room, IPCK_FOREVER);
	}
	if (is_unwanted(r))
		return -ECANCELED;
	ring_put(r->ring, &piece, data);
	r->flags = 0;
	return 0;
}

static int flush(struct ipck_result *r)
{
	int rc = r->used ? put_piece(r, r->flags, 0, r->buffer, r->used) : 0;

	r->used = 0;
	return rc;
}

void result_begin(struct ipck_result *r, struct pool_shm *shm, uint32_t place, struct block *b, uint32_t index)
{
	r->shm = shm;
	r->slot = pool_slot(shm, place);
	r->ring = pool_ring(shm, place);
	r->block = b;
	r->tag = (uint64_t)b->serial << 32 | index;
	r->flags = RESULT_FIRST;
	r->used = 0;
}

int result_end(struct ipck_result *r, int value)
{
	return put_piece(r, r->flags | RESULT_LAST, value, r->buffer, r->used);
}

int ipck_result_write(struct ipck_result *r, const void *data, size_t size)
{
	int rc = is_unwanted(r) ? -ECANCELED : 0;

	if (rc == 0 && size > RESULT_BUFFER - r->used)
		rc = flush(r);
	while (rc == 0 && size > RESULT_BUFFER) {
		size_t part = MIN(size, (size_t)RING_PIECE_MAX);

		rc = put_piece(r, r->flags, 0, data, part);
		data = (const char *)data + part;
		size -= part;
	}
	if (rc == 0 && size) {
		memcpy(r->buffer + r->used, data, size);
		r->used += size;
	}
	return rc;
}
