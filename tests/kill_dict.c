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

/* The next slot is another key's, so that a delete leaves a mark. */
static void neighbour(struct scene *s)
{
	scene_set_old(s);
	scene_other_key(s, scene_key(s, SCENE_SHARD, (int)scene_first_slot(s, s->key)), SIZE);
}

/* Slots that were deleted fill the index: the next one makes it anew, of the same size. */
static void deleted(struct scene *s)
{
	uint64_t keys[INDEX_KEYS];

	/* Each goes behind the one before. */
	for (int i = 0; i < INDEX_KEYS; i++) {
		keys[i] = scene_key(s, SCENE_SHARD, 5);
		kill_check(ipck_dict_set(s->dict, &keys[i], 8, "", 0) == IPCK_CREATED);
	}
	for (int i = 0; i < INDEX_KEYS - 1; i++)
		kill_check(ipck_dict_delete(s->dict, &keys[i], 8) == 0);
	kill_check(ipck_dict_set(s->dict, &keys[INDEX_KEYS - 1], 8, "", 0) == 0);
	kill_check(s->dict->slabs.arena[SCENE_SHARD].own[SHARD_FILLED] == INDEX_KEYS);
	s->others[s->n_others++] = keys[INDEX_KEYS - 1];
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
SETUP(marked, 0, SIZE, SCENE_ABSENT, neighbour(s))
SETUP(from_full, 0, HALF, SCENE_ABSENT, scene_set_old(s), others(s, 2, HALF))
SETUP(from_middle, 0, HALF, SCENE_ABSENT, three_slabs(s))
SETUP(empties_slab, 0, SIXTEENTH, SCENE_ABSENT, others(s, 3, SIZE))
SETUP(empties_small, 0, 4, SCENE_ABSENT, others(s, 3, SIZE))
SETUP(large_goes, 0, SCENE_LARGE, SCENE_ABSENT, gone_before(s, SCENE_LARGE))
SETUP(huge_goes, 0, HUGE, SCENE_ABSENT, others(s, 1, SIZE), scene_set_old(s), others(s, 2, HALF))
SETUP(some, SCENE_CLEARS, SIZE, SCENE_ABSENT, others(s, 2, SIZE), others(s, 1, SIXTEENTH), others(s, 1, SCENE_LARGE))
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

static struct kill_sweep sweeps[] = {
	{.name = "set first", .setup = empty, .victim = set, .survive = scene_prove},
	{.name = "set fresh", .setup = fresh, .victim = set, .survive = scene_prove},
	{.name = "set from list", .setup = from_list, .victim = set, .survive = scene_prove},
	{.name = "set new slab", .setup = new_slab, .victim = set, .survive = scene_prove},
	{.name = "set last of slab", .setup = last_of_slab, .victim = set, .survive = scene_prove},
	{.name = "set last of list", .setup = last_of_list, .victim = set, .survive = scene_prove},
	{.name = "set word", .setup = word, .victim = set, .survive = scene_prove},
	{.name = "set equal", .setup = equal, .victim = set, .survive = scene_prove},
	{.name = "set longer", .setup = longer, .victim = set, .survive = scene_prove},
	{.name = "set shorter", .setup = shorter, .victim = set, .survive = scene_prove},
	{.name = "set large", .share = 2, .setup = to_large, .victim = set, .survive = scene_prove},
	{.name = "set larger", .share = 2, .setup = to_larger, .victim = set, .survive = scene_prove},
	{.name = "set new large", .share = 2, .setup = new_large, .victim = set, .survive = scene_prove},
	{.name = "set large back", .setup = from_large, .victim = set, .survive = scene_prove},
	{.name = "set huge back", .setup = from_huge, .victim = set, .survive = scene_prove},
	{.name = "set huge back before", .setup = from_huge_before, .victim = set, .survive = scene_prove},
	{.name = "set in vain", .setup = full, .victim = set_in_vain, .survive = scene_prove},
	{.name = "insert", .setup = fresh, .victim = insert, .survive = scene_prove},
	{.name = "insert new slab", .setup = new_slab, .victim = insert, .survive = scene_prove},
	{.name = "replace", .setup = equal, .victim = replace, .survive = scene_prove},
	{.name = "replace longer", .setup = longer, .victim = replace, .survive = scene_prove},
	{.name = "swap", .setup = equal, .victim = swap, .survive = scene_prove},
	{.name = "swap word", .setup = word, .victim = swap, .survive = scene_prove},
	{.name = "swap shorter", .setup = shorter, .victim = swap, .survive = scene_prove},
	{.name = "delete", .setup = unmarked, .victim = delete, .survive = scene_prove},
	{.name = "delete marked", .setup = marked, .victim = delete, .survive = scene_prove},
	{.name = "delete from full", .setup = from_full, .victim = delete, .survive = scene_prove},
	{.name = "delete from middle", .setup = from_middle, .victim = delete, .survive = scene_prove},
	{.name = "delete last of slab", .setup = empties_slab, .victim = delete, .survive = scene_prove},
	{.name = "delete last of small", .setup = empties_small, .victim = delete, .survive = scene_prove},
	{.name = "delete large", .setup = large_goes, .victim = delete, .survive = scene_prove},
	{.name = "delete huge", .setup = huge_goes, .victim = delete, .survive = scene_prove},
	{.name = "pop", .setup = marked, .victim = pop, .survive = scene_prove},
	{.name = "pop last of slab", .setup = empties_slab, .victim = pop, .survive = scene_prove},
	{.name = "add new", .setup = absent, .victim = add, .survive = scene_prove},
	{.name = "add", .setup = word, .victim = add, .survive = scene_prove},
	{.name = "update new", .setup = update_new, .victim = update, .survive = scene_prove},
	{.name = "update", .setup = update_longer, .victim = update, .survive = scene_prove},
	{.name = "update deletes", .setup = update_goes, .victim = update, .survive = scene_prove},
	{.name = "clear", .share = 4, .setup = some, .victim = clear, .survive = scene_prove},
	{.name = "grow", .setup = grows, .victim = set, .survive = scene_prove},
	{.name = "index anew", .setup = anew, .victim = set, .survive = scene_prove},
	{.name = "grow large", .share = 1, .setup = grows_large, .victim = set, .survive = scene_prove},
};

int main(int argc, char **argv)
{
	return scene_main(argc, argv, sweeps, sizeof(sweeps) / sizeof(*sweeps));
}
