/* SPDX-License-Identifier: MIT */
#include "dict_victim.h"

#include <string.h>

void victim_set(void *ctx)
{
	struct scene *s = ctx;
	int rc;

	scene_begin(s);
	rc = ipck_dict_set(s->dict, &s->key, 8, s->new.bytes, (size_t)s->new.size);
	scene_end(s);
	kill_check(rc == (s->old.size < 0 ? IPCK_CREATED : 0));
}

void victim_insert(void *ctx)
{
	struct scene *s = ctx;
	int rc;

	scene_begin(s);
	rc = ipck_dict_insert(s->dict, &s->key, 8, s->new.bytes, (size_t)s->new.size);
	scene_end(s);
	kill_check(rc == 0);
}

void victim_replace(void *ctx)
{
	struct scene *s = ctx;
	int rc;

	scene_begin(s);
	rc = ipck_dict_replace(s->dict, &s->key, 8, s->new.bytes, (size_t)s->new.size);
	scene_end(s);
	kill_check(rc == 0);
}

void victim_swap(void *ctx)
{
	struct scene *s = ctx;
	int rc;

	scene_begin(s);
	rc = ipck_dict_swap(s->dict, &s->key, 8, s->old.bytes, (size_t)s->old.size, s->new.bytes, (size_t)s->new.size);
	scene_end(s);
	kill_check(rc == 0);
}

void victim_delete(void *ctx)
{
	struct scene *s = ctx;
	int rc;

	scene_begin(s);
	rc = ipck_dict_delete(s->dict, &s->key, 8);
	scene_end(s);
	kill_check(rc == 0);
}

void victim_pop(void *ctx)
{
	static char bytes[SCENE_LONGEST];
	struct scene *s = ctx;
	ssize_t n;

	scene_begin(s);
	n = ipck_dict_pop(s->dict, &s->key, 8, bytes, sizeof(bytes), NULL);
	scene_end(s);
	kill_check(n == s->old.size && memcmp(bytes, s->old.bytes, (size_t)n) == 0);
}

/* From what is there, or 0, to the new value. */
void victim_add(void *ctx)
{
	struct scene *s = ctx;
	int64_t from = 0, to, sum;
	int rc;

	if (s->old.size == 8)
		memcpy(&from, s->old.bytes, 8);
	memcpy(&to, s->new.bytes, 8);
	scene_begin(s);
	rc = ipck_dict_add(s->dict, &s->key, 8, (int64_t)((uint64_t)to - (uint64_t)from), &sum);
	scene_end(s);
	kill_check(rc == (s->old.size < 0 ? IPCK_CREATED : 0) && sum == to);
}

static int to_new(const void **value, size_t *size, void *arg)
{
	const struct scene *s = arg;

	kill_check(*value ? (ssize_t)*size == s->old.size : s->old.size < 0);
	if (s->new.size < 0)
		return IPCK_DICT_DELETE;
	*value = s->new.bytes;
	*size = (size_t)s->new.size;
	return IPCK_DICT_SET;
}

void victim_update(void *ctx)
{
	struct scene *s = ctx;
	int rc;

	scene_begin(s);
	rc = ipck_dict_update(s->dict, &s->key, 8, to_new, s);
	scene_end(s);
	kill_check(rc == (s->new.size < 0 ? IPCK_DICT_DELETE : IPCK_DICT_SET));
}

void victim_clear(void *ctx)
{
	struct scene *s = ctx;
	int rc;

	scene_begin(s);
	rc = ipck_dict_clear(s->dict);
	scene_end(s);
	kill_check(rc == 0);
}

void victim_grow(void *ctx)
{
	struct scene *s = ctx;
	const struct slab_arena *shard = &s->dict->slabs.arena[SCENE_SHARD];
	uint64_t before = dict_index(s->dict, shard);

	victim_set(ctx);
	kill_check(dict_index(s->dict, shard) != before);
}
