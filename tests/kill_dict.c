/* SPDX-License-Identifier: MIT */
/* Changes of a dict by who is killed at each point, while a reader and a writer go on. */
#include "dict_scene.h"

#include <errno.h>
#include <string.h>

#include "filled.h"

/* Classes of blocks, by values under keys of 8 bytes: of 40 bytes are 64 in a page, of 240 are 16, of 2000 are 2. */
#define SIZE 40
#define SIXTEENTH 240
#define HALF 2000
#define HUGE 70000 /* so much goes back to the system */
#define INDEX_KEYS 12 /* an index of 16 has no room for another one */

/* ---- set up ---- */

#define SETUP(name, flags, old, new, ...) \
	static void *name(void) \
	{ \
		struct scene *s = scene_make(flags, old, new); \
\
		__VA_ARGS__; \
		return scene_ready(s); \
	}

static void others(struct scene *s, unsigned n, size_t size)
{
	for (unsigned i = 0; i < n; i++)
		scene_other(s, size);
}

/* One that was there, and is no more. */
static void gone(struct scene *s, size_t size)
{
	static const char bytes[HUGE];
	uint64_t key = scene_key(s, SCENE_SHARD, -1);

	kill_check(ipck_dict_set(s->dict, &key, 8, bytes, size) == IPCK_CREATED);
	kill_check(ipck_dict_delete(s->dict, &key, 8) == 0);
}

/* Behind it a page is in use, so that it is in the middle of the pages. */
static void gone_before(struct scene *s, size_t size)
{
	static const char bytes[HUGE];
	uint64_t key = scene_key(s, SCENE_SHARD, -1);

	others(s, 1, SIZE);
	kill_check(ipck_dict_set(s->dict, &key, 8, bytes, size) == IPCK_CREATED);
	others(s, 1, HALF);
	kill_check(ipck_dict_delete(s->dict, &key, 8) == 0);
}

/* The line is full, so that a delete leaves a mark. */
static void full_line(struct scene *s)
{
	scene_set_old(s);
	for (unsigned i = 1; i < LINE_SLOTS; i++)
		scene_other_key(s, scene_key(s, SCENE_SHARD, (int)scene_line(s, s->key)), SIZE);
}

/* A line of slots that were deleted fills the index: the next one makes it anew, of the same size. */
static void deleted(struct scene *s)
{
	uint64_t keys[LINE_SLOTS];

	for (unsigned i = 0; i < LINE_SLOTS; i++) {
		keys[i] = scene_key(s, SCENE_SHARD, 0);
		kill_check(ipck_dict_set(s->dict, &keys[i], 8, "", 0) == IPCK_CREATED);
	}
	for (unsigned i = LINE_SLOTS; i < INDEX_KEYS; i++)
		scene_other_key(s, scene_key(s, SCENE_SHARD, 0), 0);
	for (unsigned i = 0; i < LINE_SLOTS; i++)
		kill_check(ipck_dict_delete(s->dict, &keys[i], 8) == 0);
	kill_check(s->dict->slabs.arena[SCENE_SHARD].own[SHARD_FILLED] == INDEX_KEYS);
}

/* Three slabs with a free block each, the victim's in the middle of the list. */
static void three_slabs(struct scene *s)
{
	uint64_t keys[2];

	for (int i = 0; i < 2; i++) {
		char bytes[HALF] = "";

		others(s, 1, HALF);
		if (i == 1)
			scene_set_old(s);
		keys[i] = scene_key(s, SCENE_SHARD, -1);
		kill_check(ipck_dict_set(s->dict, &keys[i], 8, bytes, HALF) == IPCK_CREATED);
	}
	others(s, 1, HALF);
	for (int i = 0; i < 2; i++)
		kill_check(ipck_dict_delete(s->dict, &keys[i], 8) == 0);
}

static void of_all(struct scene *s)
{
	others(s, 2, SIZE);
	others(s, 1, SIXTEENTH);
	others(s, 1, SCENE_LARGE);
}

/* No room for what is large. */
static void fill_all(struct scene *s)
{
	while (s->dict->slabs.pages.shm->frontier + 5 < s->dict->slabs.pages.count)
		scene_other(s, HALF);
}

SETUP(empty, 0, SCENE_ABSENT, SIZE, (void)s)
SETUP(fresh, 0, SCENE_ABSENT, SIZE, others(s, 3, SIZE))
SETUP(from_list, 0, SCENE_ABSENT, SIZE, others(s, 3, SIZE), gone(s, SIZE))
SETUP(new_slab, 0, SCENE_ABSENT, SIXTEENTH, others(s, 3, SIZE))
SETUP(last_of_slab, 0, SCENE_ABSENT, HALF, others(s, 1, HALF))
SETUP(last_of_list, 0, SCENE_ABSENT, HALF, others(s, 2, HALF), gone(s, HALF))
SETUP(absent, 0, SCENE_ABSENT, 8, others(s, 3, 8))
SETUP(word, 0, 8, 8, others(s, 3, 8))
SETUP(equal, 0, SIZE, SIZE, others(s, 3, SIZE))
SETUP(longer, 0, SIZE, SIXTEENTH, others(s, 3, SIZE))
SETUP(shorter, 0, SIXTEENTH, SIZE, others(s, 3, SIZE))
SETUP(to_large, 0, SIZE, SCENE_LARGE, others(s, 3, SIZE))
SETUP(to_larger, 0, SCENE_LARGE, 21000, others(s, 3, SIZE))
SETUP(new_large, 0, SCENE_ABSENT, SCENE_LARGE, gone_before(s, HUGE))
SETUP(from_large, 0, SCENE_LARGE, SIZE, others(s, 3, SIZE))
SETUP(from_huge, 0, HUGE, SIZE, others(s, 3, SIZE))
SETUP(from_huge_before, 0, HUGE, SIZE, others(s, 1, SIZE), scene_set_old(s), others(s, 2, HALF))
SETUP(unmarked, 0, SIZE, SCENE_ABSENT, others(s, 1, SIZE))
SETUP(marked, 0, SIZE, SCENE_ABSENT, full_line(s))
SETUP(from_full, 0, HALF, SCENE_ABSENT, scene_set_old(s), others(s, 2, HALF))
SETUP(from_middle, 0, HALF, SCENE_ABSENT, three_slabs(s))
SETUP(empties_slab, 0, SIXTEENTH, SCENE_ABSENT, others(s, 3, SIZE))
SETUP(empties_small, 0, 4, SCENE_ABSENT, others(s, 3, SIZE))
SETUP(large_goes, 0, SCENE_LARGE, SCENE_ABSENT, gone_before(s, SCENE_LARGE))
SETUP(huge_goes, 0, HUGE, SCENE_ABSENT, others(s, 1, SIZE), scene_set_old(s), others(s, 2, HALF))
SETUP(some, SCENE_CLEARS | SCENE_LITTLE | SCENE_ALONE, SIZE, SCENE_ABSENT, of_all(s))
SETUP(some_beside, SCENE_CLEARS | SCENE_LITTLE, SIZE, SCENE_ABSENT, of_all(s))
SETUP(grows, 0, SCENE_ABSENT, SIZE, others(s, INDEX_KEYS - 2, SIZE), scene_other(s, 20), scene_other(s, 8))
SETUP(anew, 0, SCENE_ABSENT, SIZE, deleted(s))
SETUP(grows_large, SCENE_ALONE, SCENE_ABSENT, SIZE, others(s, 1536, 8))
SETUP(update_new, SCENE_APART, SCENE_ABSENT, SIZE, others(s, 3, SIZE))
SETUP(update_longer, SCENE_APART, SIZE, SIXTEENTH, others(s, 3, SIZE))
SETUP(update_goes, SCENE_APART, SIZE, SCENE_ABSENT, others(s, 3, SIZE))
SETUP(full, SCENE_LITTLE | SCENE_ALONE, SIZE, SIZE, fill_all(s))

/* ---- the operations ---- */

static void set(void *ctx)
{
	struct scene *s = ctx;
	int rc;

	scene_begin(s);
	rc = ipck_dict_set(s->dict, &s->key, 8, s->new.bytes, (size_t)s->new.size);
	scene_end(s);
	kill_check(rc == (s->old.size < 0 ? IPCK_CREATED : 0));
}

static void set_in_vain(void *ctx)
{
	static const char bytes[SCENE_LARGE];
	struct scene *s = ctx;
	int rc;

	memcpy(&s->new, &s->old, sizeof(s->old));
	scene_begin(s);
	rc = ipck_dict_set(s->dict, &s->key, 8, bytes, sizeof(bytes));
	scene_end(s);
	kill_check(rc == -ENOSPC);
}

static void insert(void *ctx)
{
	struct scene *s = ctx;
	int rc;

	scene_begin(s);
	rc = ipck_dict_insert(s->dict, &s->key, 8, s->new.bytes, (size_t)s->new.size);
	scene_end(s);
	kill_check(rc == 0);
}

static void replace(void *ctx)
{
	struct scene *s = ctx;
	int rc;

	scene_begin(s);
	rc = ipck_dict_replace(s->dict, &s->key, 8, s->new.bytes, (size_t)s->new.size);
	scene_end(s);
	kill_check(rc == 0);
}

static void swap(void *ctx)
{
	struct scene *s = ctx;
	int rc;

	scene_begin(s);
	rc = ipck_dict_swap(s->dict, &s->key, 8, s->old.bytes, (size_t)s->old.size, s->new.bytes, (size_t)s->new.size);
	scene_end(s);
	kill_check(rc == 0);
}

static void delete(void *ctx)
{
	struct scene *s = ctx;
	int rc;

	scene_begin(s);
	rc = ipck_dict_delete(s->dict, &s->key, 8);
	scene_end(s);
	kill_check(rc == 0);
}

static void pop(void *ctx)
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
static void add(void *ctx)
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

static void update(void *ctx)
{
	struct scene *s = ctx;
	int rc;

	scene_begin(s);
	rc = ipck_dict_update(s->dict, &s->key, 8, to_new, s);
	scene_end(s);
	kill_check(rc == (s->new.size < 0 ? IPCK_DICT_DELETE : IPCK_DICT_SET));
}

static void clear(void *ctx)
{
	struct scene *s = ctx;
	int rc;

	scene_begin(s);
	rc = ipck_dict_clear(s->dict);
	scene_end(s);
	kill_check(rc == 0);
}

#define SWEEP(of, some, made, by) \
	{.name = of, .share = some, .setup = made, .victim = by, .survive = scene_prove}

/* The last write many bytes, or a large index, step by step; or are made of what the others are made of. */
#define LONG_ONES 10

static struct kill_sweep sweeps[] = {
	SWEEP("set first", 1, empty, set),
	SWEEP("set fresh", 1, fresh, set),
	SWEEP("set from list", 1, from_list, set),
	SWEEP("set new slab", 1, new_slab, set),
	SWEEP("set last of slab", 1, last_of_slab, set),
	SWEEP("set last of list", 1, last_of_list, set),
	SWEEP("set word", 1, word, set),
	SWEEP("set equal", 2, equal, set),
	SWEEP("set longer", 2, longer, set),
	SWEEP("set shorter", 1, shorter, set),
	SWEEP("set large", 1, to_large, set),
	SWEEP("set large back", 1, from_large, set),
	SWEEP("set huge back", 1, from_huge, set),
	SWEEP("set huge back before", 1, from_huge_before, set),
	SWEEP("set in vain", 1, full, set_in_vain),
	SWEEP("insert", 1, fresh, insert),
	SWEEP("replace", 1, equal, replace),
	SWEEP("swap", 1, equal, swap),
	SWEEP("swap word", 1, word, swap),
	SWEEP("delete", 1, unmarked, delete),
	SWEEP("delete marked", 2, marked, delete),
	SWEEP("delete from full", 1, from_full, delete),
	SWEEP("delete from middle", 1, from_middle, delete),
	SWEEP("delete last of slab", 2, empties_slab, delete),
	SWEEP("delete last of small", 1, empties_small, delete),
	SWEEP("delete large", 1, large_goes, delete),
	SWEEP("delete huge", 1, huge_goes, delete),
	SWEEP("pop", 1, marked, pop),
	SWEEP("add new", 1, absent, add),
	SWEEP("add", 1, word, add),
	SWEEP("update new", 1, update_new, update),
	SWEEP("clear", 1, some, clear),
	SWEEP("grow", 2, grows, set),
	SWEEP("index anew", 1, anew, set),
	SWEEP("insert new slab", 1, new_slab, insert),
	SWEEP("replace longer", 1, longer, replace),
	SWEEP("swap shorter", 1, shorter, swap),
	SWEEP("pop last of slab", 1, empties_slab, pop),
	SWEEP("update", 1, update_longer, update),
	SWEEP("update deletes", 1, update_goes, update),
	SWEEP("set larger", 1, to_larger, set),
	SWEEP("set new large", 1, new_large, set),
	SWEEP("grow large", 1, grows_large, set),
	{.name = "clear beside", .stride = 8, .setup = some_beside, .victim = clear, .survive = scene_prove},
};

int main(int argc, char **argv)
{
	size_t n = sizeof(sweeps) / sizeof(*sweeps);

	return scene_main(argc, argv, sweeps, n, n - LONG_ONES);
}
