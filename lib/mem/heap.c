/* SPDX-License-Identifier: MIT */
/*
 * The public heap: slabs (slab.h) whose blocks are in slots.  A slot is changed under the lock of the arena
 * that its offset says, and a block under that of its own arena; who needs two takes the lower
 * one first.  The change is written down in the higher one's redo; meanwhile the lower one's word ALSO
 * says so: who gets either lock from a dead holder finishes it.
 */
#include <ipckit/heap.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/name.h"
#include "mem/handle.h"
#include "mem/slab.h"

#define ARENAS 16
#define MAX_BYTES_DEFAULT ((size_t)64 << 20)
#define ROOT_DEFAULT 4096
#define ROOT_MAX ((size_t)1 << 20)

/* Of an arena's own words.  ALSO: the number + 1 of the arena whose redo may change this one, too. */
enum { ALSO, RECOVERED };

/* All fixed at creation, but for what the pages say. */
struct heap_shm {
	uint64_t root_at, root_bytes;
	uint64_t arenas_at;
	struct pages_shm pages;
};

struct ipck_heap {
	struct segment segment;
	struct slabs slabs;
	uint64_t root_at, root_bytes;
};

/* ---- shape ---- */

struct shape {
	uint64_t root_at, root_bytes, arenas_at, table_at, pages;
};

/* The bytes of the body; 0: it cannot be. */
static uint64_t choose_shape(struct shape *shape, const struct ipck_heap_opts *opts)
{
	uint64_t bytes = opts->max_bytes ? opts->max_bytes : MAX_BYTES_DEFAULT;
	uint64_t root = opts->root_bytes ? opts->root_bytes : ROOT_DEFAULT;

	if (bytes > IPCK_HEAP_BYTES_MAX || root > ROOT_MAX)
		return 0;
	shape->arenas_at = ROUND_UP(sizeof(struct heap_shm), (uint64_t)FALSE_SHARING);
	shape->root_at = ROUND_UP(shape->arenas_at + slab_bytes(ARENAS), (uint64_t)PAGE_BYTES);
	shape->root_bytes = root;
	shape->table_at = ROUND_UP(shape->root_at + root, (uint64_t)PAGE_BYTES);
	if (bytes < shape->table_at + 4 * PAGE_BYTES)
		return 0;
	shape->pages = pages_count(bytes - shape->table_at - PAGE_BYTES);
	return bytes;
}

static int init(void *body, void *arg)
{
	const struct shape *shape = arg;
	struct heap_shm *s = body;
	int rc = pages_init(&s->pages, shape->table_at, shape->pages);

	s->root_at = shape->root_at;
	s->root_bytes = shape->root_bytes;
	s->arenas_at = shape->arenas_at;
	return rc < 0 ? rc : slab_init((char *)body + shape->arenas_at, ARENAS);
}

static int attach(void *handle, const void *arg)
{
	struct ipck_heap *h = handle;
	struct heap_shm *s = segment_body(&h->segment);
	uint64_t arenas_at, bytes = h->segment.bytes;
	int rc;

	(void)arg;
	if (bytes < sizeof(*s))
		return -EPROTO;
	arenas_at = load_relaxed(&s->arenas_at);
	h->root_at = load_relaxed(&s->root_at);
	h->root_bytes = load_relaxed(&s->root_bytes);
	/* Elsewhere there would be something else where locks are looked for. */
	if (arenas_at != ROUND_UP(sizeof(*s), (uint64_t)FALSE_SHARING) || h->root_bytes > ROOT_MAX ||
	    h->root_at != ROUND_UP(arenas_at + slab_bytes(ARENAS), (uint64_t)PAGE_BYTES) || h->root_at > bytes ||
	    load_relaxed(&s->pages.table_at) != ROUND_UP(h->root_at + h->root_bytes, (uint64_t)PAGE_BYTES))
		return -EPROTO;
	rc = pages_attach(&h->slabs.pages, &h->segment, &s->pages);
	return rc < 0 ? rc : slab_attach(&h->slabs, arenas_at, ARENAS);
}

/* ---- life ---- */

static const struct handle_kind kind = {SEGMENT_HEAP, sizeof(struct ipck_heap), attach};

int ipck_heap_create(struct ipck_heap **out, const char *name, const struct ipck_heap_opts *opts)
{
	struct ipck_heap_opts own;
	struct shape shape = {0};
	struct segment_plan plan = {.kind = SEGMENT_HEAP, .name = name, .init = init, .arg = &shape};
	int rc = opts_copy(&own, sizeof(own), opts);

	if (rc < 0)
		return rc;
	plan.bytes = choose_shape(&shape, &own);
	plan.reserved = shape.table_at;
	plan.mode = own.mode;
	return handle_create(out, &kind, &plan);
}

int ipck_heap_open(struct ipck_heap **out, const char *name, const struct ipck_heap_opts *opts)
{
	struct ipck_heap_opts own;
	int rc = opts_copy(&own, sizeof(own), opts);

	return rc < 0 ? rc : handle_open(out, &kind, name, own.any_owner);
}

int ipck_heap_open_fd(struct ipck_heap **out, int fd, const struct ipck_heap_opts *opts)
{
	struct ipck_heap_opts own;
	int rc = opts_copy(&own, sizeof(own), opts);

	return rc < 0 ? rc : handle_open_fd(out, &kind, fd, own.any_owner);
}

int ipck_heap_fd(const struct ipck_heap *h)
{
	return h->segment.fd;
}

void ipck_heap_close(struct ipck_heap *h)
{
	handle_close(h);
}

int ipck_heap_unlink(const char *name)
{
	return segment_unlink(name);
}

/* ---- places ---- */

void *ipck_heap_root(const struct ipck_heap *h)
{
	return h->slabs.pages.body + h->root_at;
}

static bool is_within(const struct ipck_heap *h, uint64_t offset)
{
	return (offset >= h->root_at && offset < h->root_at + h->root_bytes) ||
	       pages_hold(&h->slabs.pages, offset, 1);
}

void *ipck_heap_at(const struct ipck_heap *h, uint64_t offset)
{
	return is_within(h, offset) ? h->slabs.pages.body + offset : NULL;
}

uint64_t ipck_heap_offset(const struct ipck_heap *h, const void *address)
{
	uint64_t offset = (uint64_t)((const char *)address - h->slabs.pages.body);

	return is_within(h, offset) ? offset : 0;
}

static int check_slot(const struct ipck_heap *h, const uint64_t *slot)
{
	uint64_t offset = ipck_heap_offset(h, slot);

	return offset == 0 || offset % 8 ? -EINVAL : 0;
}

/* ---- locks ---- */

static uint32_t arena_of_slot(const struct ipck_heap *h, const uint64_t *slot)
{
	return (uint32_t)(ipck_heap_offset(h, slot) / 8 * 0x9e3779b1u >> 16) % ARENAS;
}

/* One or two arenas, in this order; second is the same as the first if there is one only. */
struct held {
	struct slab_arena *first, *second;
};

static int lock_arena(struct ipck_heap *h, struct slab_arena *a);

/* Where a dead holder had two, its change is in the higher one; whose next holder may have died like that, too. */
static int settle_higher(struct ipck_heap *h, struct slab_arena *a)
{
	uint64_t also = load_relaxed(&a->own[ALSO]);
	struct slab_arena *higher;
	int rc;

	if (also == 0 || also > ARENAS || &h->slabs.arena[also - 1] <= a)
		return 0;
	higher = &h->slabs.arena[also - 1];
	rc = lock_arena(h, higher);
	if (rc >= 0)
		slab_unlock(&h->slabs, higher);
	store_relaxed(&a->own[ALSO], 0);
	return MIN(rc, 0);
}

static int lock_arena(struct ipck_heap *h, struct slab_arena *a)
{
	int rc = slab_acquire(&h->slabs, a), settled;

	if (likely(rc <= 0))
		return rc;
	store_relaxed(&a->own[RECOVERED], load_relaxed(&a->own[RECOVERED]) + 1);
	settled = settle_higher(h, a);
	if (settled == 0)
		slab_tidy(&h->slabs, a);
	else
		slab_unlock(&h->slabs, a);
	return settled < 0 ? settled : rc;
}

static int lock_two(struct ipck_heap *h, struct held *held, uint32_t one, uint32_t other)
{
	struct slab_arena *arena = h->slabs.arena;
	int rc;

	*held = (struct held){&arena[MIN(one, other)], &arena[MAX(one, other)]};
	rc = lock_arena(h, held->first);
	if (rc < 0 || one == other)
		return MIN(rc, 0);
	rc = lock_arena(h, held->second);
	if (rc < 0)
		slab_unlock(&h->slabs, held->first);
	return MIN(rc, 0);
}

static void unlock(struct ipck_heap *h, const struct held *held)
{
	if (held->second != held->first)
		slab_unlock(&h->slabs, held->second);
	slab_unlock(&h->slabs, held->first);
}

static void commit(const struct ipck_heap *h, const struct held *held, const struct change *c)
{
	if (held->first != held->second)
		store_release(&held->first->own[ALSO], (uint64_t)(held->second - h->slabs.arena) + 1);
	redo_do(&held->second->redo, c);
	store_release(&held->first->own[ALSO], 0);
}

/* ---- blocks ---- */

size_t ipck_heap_size(const struct ipck_heap *h, uint64_t offset)
{
	uint32_t arena;

	return slab_size(&h->slabs, offset, &arena);
}

static int alloc(struct ipck_heap *h, struct slab_arena *a, size_t size, uint64_t *slot)
{
	struct change c;
	uint64_t block;
	int rc = load_relaxed(slot) ? -EBUSY : slab_prepare(&h->slabs, a, size);

	if (rc < 0)
		return rc;
	change_begin(&c, h->slabs.pages.body);
	block = slab_take(&h->slabs, a, &c, size);
	memset(h->slabs.pages.body + block, 0, slab_room(size));
	change_set(&c, slot, block);
	redo_do(&a->redo, &c);
	return 0;
}

int ipck_heap_alloc_to(struct ipck_heap *h, size_t size, uint64_t *slot)
{
	struct held held;
	uint32_t arena;
	int rc = size == 0 ? -EINVAL : check_slot(h, slot);

	if (rc < 0)
		return rc;
	arena = arena_of_slot(h, slot);
	rc = lock_two(h, &held, arena, arena);
	if (rc < 0)
		return rc;
	rc = alloc(h, held.first, size, slot);
	unlock(h, &held);
	return rc;
}

/* The locks of a slot and of the block in it; it may change until both are there. */
static int lock_block(struct ipck_heap *h, struct held *held, uint64_t *slot, uint64_t *block, uint32_t *arena)
{
	for (;;) {
		uint32_t now;
		int rc;

		*block = load_acquire(slot);
		*arena = arena_of_slot(h, slot);
		if (*block && slab_size(&h->slabs, *block, arena) == 0) {
			if (load_acquire(slot) == *block)
				return -EINVAL;
			continue;
		}
		rc = lock_two(h, held, arena_of_slot(h, slot), *arena);
		if (rc < 0)
			return rc;
		now = *arena;
		if (load_relaxed(slot) == *block && (*block == 0 || slab_size(&h->slabs, *block, &now)) &&
		    now == *arena)
			return 0;
		unlock(h, held);
	}
}

int ipck_heap_free_from(struct ipck_heap *h, uint64_t *slot)
{
	struct held held;
	struct change c;
	uint64_t block = 0;
	uint32_t arena = 0;
	int rc = check_slot(h, slot);

	if (rc == 0)
		rc = lock_block(h, &held, slot, &block, &arena);
	if (rc < 0)
		return rc;
	if (block) {
		change_begin(&c, h->slabs.pages.body);
		change_set(&c, slot, 0);
		rc = slab_free(&h->slabs, &h->slabs.arena[arena], &c, block);
		if (rc == 0)
			commit(h, &held, &c);
	}
	unlock(h, &held);
	return rc;
}

int ipck_heap_move(struct ipck_heap *h, uint64_t *from, uint64_t *to)
{
	struct held held;
	struct change c;
	int rc = check_slot(h, from);

	if (rc == 0)
		rc = check_slot(h, to);
	if (rc == 0)
		rc = lock_two(h, &held, arena_of_slot(h, from), arena_of_slot(h, to));
	if (rc < 0)
		return rc;
	if (from != to && load_relaxed(to))
		rc = -EBUSY;
	if (rc == 0 && from != to) {
		change_begin(&c, h->slabs.pages.body);
		change_set(&c, to, load_relaxed(from));
		change_set(&c, from, 0);
		commit(h, &held, &c);
	}
	unlock(h, &held);
	return rc;
}

/* ---- the whole ---- */

int ipck_heap_stat(struct ipck_heap *h, struct ipck_heap_stats *stats)
{
	struct ipck_heap_stats own = {.max_bytes = h->slabs.pages.bytes};

	if (stats->size < sizeof(size_t) || stats->size > sizeof(own))
		return -EINVAL;
	own.size = stats->size;
	own.page_bytes = load_relaxed(&h->slabs.pages.shm->used) * PAGE_BYTES;
	for (int i = 0; i < ARENAS; i++) {
		const struct slab_arena *a = &h->slabs.arena[i];

		own.blocks += load_relaxed(&a->blocks);
		own.bytes += load_relaxed(&a->bytes);
		own.recovered += load_relaxed(&a->own[RECOVERED]);
	}
	memcpy(stats, &own, own.size);
	return 0;
}

int ipck_heap_check(struct ipck_heap *h)
{
	int64_t pages;

	for (int i = 0; i < ARENAS; i++) {
		struct slab_arena *a = &h->slabs.arena[i];
		int rc = lock_arena(h, a);

		if (rc < 0)
			return rc;
		rc = slab_check(&h->slabs, a);
		slab_unlock(&h->slabs, a);
		if (rc < 0)
			return rc;
	}
	pages = pages_check(&h->slabs.pages);
	return pages < 0 ? (int)pages : 0;
}
