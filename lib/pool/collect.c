/* SPDX-License-Identifier: MIT */
/* The parent's bookkeeping of blocks and their memory, and the way of results back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pool/internal.h"
#include "pool/result.h"

/* As many again as there are.  Without memory for them, those that are there do. */
static void make_blocks(struct ipck_pool *pool)
{
	uint32_t first = pool->n_blocks, n = MIN(first, pool->shm->blocks - first);
	uint64_t offset = pool->shm->blocks_at + first * sizeof(struct block);

	if (n == 0)
		return;
	pool->starved = segment_reserve(&pool->segment, offset, n * sizeof(struct block)) < 0;
	if (pool->starved)
		return;
	pool->n_blocks += n;
	pool_add_blocks(pool, first, n);
}

void pool_add_blocks(struct ipck_pool *pool, uint32_t first, uint32_t n)
{
	while (n-- > 0)
		pool->free_blocks[pool->n_free++] = first + n;
}

bool pool_has_block(struct ipck_pool *pool)
{
	if (pool->n_free == 0)
		make_blocks(pool);
	return pool->n_free > 0;
}

int64_t pool_take_block(struct ipck_pool *pool)
{
	return pool_has_block(pool) ? (int64_t)pool->free_blocks[--pool->n_free] : -1;
}

int pool_make_rings(struct ipck_pool *pool)
{
	struct pool_shm *shm = pool->shm;
	int rc = 0;

	if (!pool->rings)
		rc = segment_reserve(&pool->segment, shm->rings_at, shm->workers * sizeof(struct ring));
	pool->rings |= rc == 0;
	return rc;
}

void pool_return_block(struct ipck_pool *pool, uint32_t block)
{
	block_close(pool->shm, block);
	pool->items[block] = NULL;
	pool->free_blocks[pool->n_free++] = block;
}

struct block *pool_fill(struct ipck_pool *pool, uint32_t block, const struct call *call)
{
	struct block *b = pool_block(pool->shm, block);

	b->fn = call->function;
	b->kind = call->kind;
	b->arg = call->argument->offset;
	b->arg_size = call->argument->arg_size;
	b->retries = call->retries;
	b->serial = ++pool->serial;
	return b;
}

int call_begin(struct call *call, struct ipck_pool *pool, const void *arg, size_t arg_size, size_t extra)
{
	struct argument *a;
	size_t behind = ROUND_UP(arg_size, (size_t)CACHE_LINE);
	int rc = 0;

	if (arg_size > PTRDIFF_MAX / 4)
		return -ENOSPC;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->refs = 1;
	if (behind + extra)
		rc = arena_alloc(&pool->arena, behind + extra, &a->offset);
	if (rc < 0) {
		free(a);
		return rc;
	}
	a->size = behind + extra;
	a->arg_size = arg_size;
	a->extra_at = a->offset + behind;
	if (arg_size)
		memcpy((char *)pool->shm + a->offset, arg, arg_size);
	call->argument = a;
	return 0;
}

void argument_put(struct ipck_pool *pool, struct argument *a)
{
	if (--a->refs)
		return;
	if (a->size)
		arena_free(&pool->arena, a->offset, a->size);
	free(a);
}

void buffer_free(struct ipck_pool *pool, struct buffer *buffer)
{
	if (buffer->size)
		arena_free(&pool->arena, buffer->offset, buffer->size);
	*buffer = (struct buffer){0};
}

void pool_abandon(struct ipck_pool *pool, uint32_t block, struct buffer *buffer, struct argument *argument)
{
	struct block *b = pool_block(pool->shm, block);
	struct orphan *o;

	block_withdraw(b);
	pool->items[block] = NULL;
	/* A worker may wait for room for its result. */
	for (uint32_t i = 0; b->kind == BLOCK_IMAP && i < pool->shm->workers; i++)
		evcount_notify(&pool_slot(pool->shm, i)->space, EVCOUNT_ALL);
	if (block_is_final(b)) {
		buffer_free(pool, buffer);
		pool_return_block(pool, block);
		return;
	}
	o = &pool->orphan_nodes[block];
	*o = (struct orphan){*buffer, argument, pool->orphans};
	argument->refs++;
	pool->orphans = o;
	*buffer = (struct buffer){0};
}

static void free_orphans(struct ipck_pool *pool)
{
	struct orphan **at = &pool->orphans, *o;

	while ((o = *at)) {
		uint32_t block = (uint32_t)(o - pool->orphan_nodes);

		if (!block_is_final(pool_block(pool->shm, block))) {
			at = &o->next;
			continue;
		}
		*at = o->next;
		buffer_free(pool, &o->buffer);
		argument_put(pool, o->argument);
		pool_return_block(pool, block);
	}
}

/* Room for one more piece; what does not fit is lost, and the item says so. */
static void *gather(struct gathering *g, size_t size)
{
	unsigned char *more;
	size_t room = MAX(2 * g->room, g->size + size);

	if (g->failed)
		return NULL;
	if (g->size + size > g->room) {
		more = realloc(g->data, room);
		if (!more) {
			g->failed = true;
			return NULL;
		}
		g->data = more;
		g->room = room;
	}
	g->size += size;
	return g->data + g->size - size;
}

/* Who waits for a piece; nobody, if it comes from an earlier filling of the block. */
static struct imap_item *find_item(const struct ipck_pool *pool, uint64_t tag)
{
	uint32_t block = (uint32_t)tag;
	struct imap_item *item = block < pool->shm->blocks ? pool->items[block] : NULL;

	return item && item->serial == tag >> 32 ? item : NULL;
}

static void take_piece(struct ipck_pool *pool, uint32_t worker, struct ring *ring, const struct ring_piece *piece)
{
	struct gathering *g = &pool->gathering[worker];
	struct imap_item *item;

	if (piece->flags & RESULT_FIRST) {
		g->size = 0;
		g->begun = true;
		g->failed = false;
	}
	ring_take(ring, piece, piece->size ? gather(g, piece->size) : NULL);
	if (!(piece->flags & RESULT_LAST))
		return;
	item = find_item(pool, piece->tag);
	/* A second time only if its first worker died between piece and state. */
	if (g->begun && item && !item->landed) {
		imap_item_result(item, worker, piece->value, g);
		pool->landed[pool->n_landed++] = item->block;
	}
	g->begun = false;
	g->size = 0;
}

static void drain_ring(struct ipck_pool *pool, uint32_t worker)
{
	struct ring *ring = pool_ring(pool->shm, worker);
	struct ring_piece piece;
	bool taken = false;

	while (ring_peek(ring, &piece)) {
		take_piece(pool, worker, ring, &piece);
		taken = true;
	}
	if (taken)
		evcount_notify(&pool_slot(pool->shm, worker)->space, EVCOUNT_ALL);
}

static void drain_rings(struct ipck_pool *pool)
{
	for (uint32_t i = 0; pool->rings && i < pool->shm->workers; i++)
		if (!ring_is_empty(pool_ring(pool->shm, i)))
			drain_ring(pool, i);
}

/* Final by now, or a moment later: its worker stores the state behind the piece. */
static void finish_landed(struct ipck_pool *pool)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < pool->n_landed; i++) {
		uint32_t block = pool->landed[i];

		/* Ended another way meanwhile, and perhaps filled again. */
		if (!pool->items[block] || !pool->items[block]->landed)
			continue;
		if (block_is_final(pool_block(pool->shm, block)))
			imap_item_done(pool, block);
		else
			pool->landed[kept++] = block;
	}
	pool->n_landed = kept;
}

/* Somebody died: an item may be final without a piece in any ring.  What is final
 * is looked up before the rings are drained, so that a result of it is found. */
static void finish_lost(struct ipck_pool *pool, uint32_t deaths)
{
	uint32_t n = 0, *lost = calloc(pool->shm->blocks, sizeof(*lost));

	if (!lost)
		return;
	for (uint32_t b = 0; b < pool->shm->blocks; b++)
		if (pool->items[b] && block_is_final(pool_block(pool->shm, b)))
			lost[n++] = b;
	drain_rings(pool);
	for (uint32_t i = 0; i < n; i++)
		if (pool->items[lost[i]])
			imap_item_done(pool, lost[i]);
	free(lost);
	pool->deaths = deaths;
}

void pool_collect(struct ipck_pool *pool)
{
	uint32_t deaths = load_acquire(&pool->shm->deaths);

	drain_rings(pool);
	finish_landed(pool);
	if (deaths != pool->deaths)
		finish_lost(pool, deaths);
	if (pool->orphans)
		free_orphans(pool);
}
