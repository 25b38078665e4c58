/* SPDX-License-Identifier: MIT */
/* A dict's life. */
#include "coll/dict.h"

#include <errno.h>
#include <sys/random.h>

#define SHARDS_MIN 16
#define SHARDS_MAX 1024
#define SHARD_BYTES ((size_t)1 << 20)

static uint64_t choose_shards(size_t bytes)
{
	uint64_t n = SHARDS_MIN;

	while (n < SHARDS_MAX && n * SHARD_BYTES < bytes)
		n *= 2;
	return n;
}

struct shape {
	uint64_t shards, arenas_at, table_at, pages;
	size_t bytes;
};

static struct shape choose_shape(size_t bytes)
{
	struct shape shape = {.shards = choose_shards(bytes), .bytes = bytes};

	shape.arenas_at = ROUND_UP(sizeof(struct dict_shm), (uint64_t)FALSE_SHARING);
	shape.table_at = shape.arenas_at + shape.shards * sizeof(struct slab_arena);
	shape.pages = pages_count(bytes - shape.table_at - PAGE_BYTES);
	return shape;
}

static int init(void *body, void *arg)
{
	const struct shape *shape = arg;
	struct dict_shm *s = body;
	struct slab_arena *arena = (struct slab_arena *)(void *)((char *)body + shape->arenas_at);
	int rc = pages_init(&s->pages, shape->table_at, shape->pages);

	s->shards = shape->shards;
	s->arenas_at = shape->arenas_at;
	if (getrandom(&s->seed, sizeof(s->seed), 0) != sizeof(s->seed))
		rc = -errno;
	for (uint64_t i = 0; rc == 0 && i < shape->shards; i++)
		rc = lock_init(&arena[i].lock);
	return rc;
}

static int attach(struct dict *d)
{
	struct dict_shm *s = segment_body(&d->segment);
	uint64_t shards = s->shards, at = s->arenas_at;

	if (d->segment.bytes < sizeof(*s) || shards == 0 || shards > SHARDS_MAX || (shards & (shards - 1)) ||
	    at % FALSE_SHARING || at > d->segment.bytes ||
	    shards > (d->segment.bytes - at) / sizeof(struct slab_arena))
		return -EPROTO;
	d->shm = s;
	d->seed = s->seed;
	d->shift = 64 - (unsigned)__builtin_ctzll(shards);
	d->slabs.arena = (struct slab_arena *)(void *)((char *)s + at);
	d->slabs.arenas = (uint32_t)shards;
	return pages_attach(&d->slabs.pages, &d->segment, &s->pages);
}

int dict_make(struct dict *d, const char *name, size_t bytes, size_t at_most)
{
	struct shape shape = choose_shape(at_most);
	struct segment_plan plan = {
		.kind = SEGMENT_USER,
		.name = name,
		.bytes = at_most,
		.reserved = MAX(bytes, (size_t)shape.table_at + shape.pages * sizeof(struct page)),
		.init = init,
		.arg = &shape,
	};
	int rc = segment_create(&d->segment, &plan);

	return rc < 0 ? rc : attach(d);
}

void dict_close(struct dict *d)
{
	segment_close(&d->segment);
}
