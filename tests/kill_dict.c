/* SPDX-License-Identifier: MIT */
/*
 * Changes of a dict with records (kill_dict_cell.c: with cells) by who is killed at each point, while a reader and a
 * writer go on.
 */
#include "dict_scene.h"

#include <errno.h>
#include <string.h>

#include "dict_victim.h"

/* Classes of blocks, by values under keys of 8 bytes: of 40 bytes are 64 in a page, of 240 are 16, of 2000 are 2. */
#define SIZE 40
#define SIXTEENTH 240
#define HALF 2000
#define HUGE 70000 /* so much goes back to the system */
#define INDEX_KEYS 12 /* an index of 16 has no room for another one */

/* ---- set up ---- */

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

	scene_others(s, 1, SIZE);
	kill_check(ipck_dict_set(s->dict, &key, 8, bytes, size) == IPCK_CREATED);
	scene_others(s, 1, HALF);
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

		scene_others(s, 1, HALF);
		if (i == 1)
			scene_set_old(s);
		keys[i] = scene_key(s, SCENE_SHARD, -1);
		kill_check(ipck_dict_set(s->dict, &keys[i], 8, bytes, HALF) == IPCK_CREATED);
	}
	scene_others(s, 1, HALF);
	for (int i = 0; i < 2; i++)
		kill_check(ipck_dict_delete(s->dict, &keys[i], 8) == 0);
}

static void of_all(struct scene *s)
{
	scene_others(s, 2, SIZE);
	scene_others(s, 1, SIXTEENTH);
	scene_others(s, 1, SCENE_LARGE);
}

/* No room for what is large. */
static void fill_all(struct scene *s)
{
	while (s->dict->slabs.pages.shm->frontier + 5 < s->dict->slabs.pages.count)
		scene_other(s, HALF);
}

#define SETUP SCENE_SETUP

SETUP(empty, 0, SCENE_ABSENT, SIZE, (void)s)
SETUP(fresh, 0, SCENE_ABSENT, SIZE, scene_others(s, 3, SIZE))
SETUP(from_list, 0, SCENE_ABSENT, SIZE, scene_others(s, 3, SIZE), gone(s, SIZE))
SETUP(new_slab, 0, SCENE_ABSENT, SIXTEENTH, scene_others(s, 3, SIZE))
SETUP(last_of_slab, 0, SCENE_ABSENT, HALF, scene_others(s, 1, HALF))
SETUP(last_of_list, 0, SCENE_ABSENT, HALF, scene_others(s, 2, HALF), gone(s, HALF))
SETUP(absent, 0, SCENE_ABSENT, 8, scene_others(s, 3, SIZE))
SETUP(word, 0, 8, 8, scene_others(s, 3, SIZE))
SETUP(equal, 0, SIZE, SIZE, scene_others(s, 3, SIZE))
SETUP(longer, 0, SIZE, SIXTEENTH, scene_others(s, 3, SIZE))
SETUP(shorter, 0, SIXTEENTH, SIZE, scene_others(s, 3, SIZE))
SETUP(to_large, 0, SIZE, SCENE_LARGE, scene_others(s, 3, SIZE))
SETUP(to_larger, 0, SCENE_LARGE, 21000, scene_others(s, 3, SIZE))
SETUP(new_large, 0, SCENE_ABSENT, SCENE_LARGE, gone_before(s, HUGE))
SETUP(from_large, 0, SCENE_LARGE, SIZE, scene_others(s, 3, SIZE))
SETUP(from_huge, 0, HUGE, SIZE, scene_others(s, 3, SIZE))
SETUP(from_huge_before, 0, HUGE, SIZE, scene_others(s, 1, SIZE), scene_set_old(s), scene_others(s, 2, HALF))
SETUP(unmarked, 0, SIZE, SCENE_ABSENT, scene_others(s, 1, SIZE))
SETUP(marked, 0, SIZE, SCENE_ABSENT, full_line(s))
SETUP(from_full, 0, HALF, SCENE_ABSENT, scene_set_old(s), scene_others(s, 2, HALF))
SETUP(from_middle, 0, HALF, SCENE_ABSENT, three_slabs(s))
SETUP(empties_slab, 0, SIXTEENTH, SCENE_ABSENT, scene_others(s, 3, SIZE))
SETUP(empties_small, 0, 4, SCENE_ABSENT, scene_others(s, 3, SIZE))
SETUP(large_goes, 0, SCENE_LARGE, SCENE_ABSENT, gone_before(s, SCENE_LARGE))
SETUP(huge_goes, 0, HUGE, SCENE_ABSENT, scene_others(s, 1, SIZE), scene_set_old(s), scene_others(s, 2, HALF))
SETUP(some, SCENE_CLEARS | SCENE_LITTLE | SCENE_ALONE, SIZE, SCENE_ABSENT, of_all(s))
SETUP(some_beside, SCENE_CLEARS | SCENE_LITTLE, SIZE, SCENE_ABSENT, of_all(s))
/* In these the writer is elsewhere, or it would be the one who makes the index. */
SETUP(grows, SCENE_APART, SCENE_ABSENT, SIZE, scene_others(s, INDEX_KEYS - 2, SIZE), scene_other(s, 20),
      scene_other(s, 8))
SETUP(anew, SCENE_APART, SCENE_ABSENT, SIZE, deleted(s))
SETUP(grows_large, SCENE_ALONE, SCENE_ABSENT, SIZE, scene_others(s, 1536, 8))
SETUP(update_new, SCENE_APART, SCENE_ABSENT, SIZE, scene_others(s, 3, SIZE))
SETUP(update_longer, SCENE_APART, SIZE, SIXTEENTH, scene_others(s, 3, SIZE))
SETUP(update_goes, SCENE_APART, SIZE, SCENE_ABSENT, scene_others(s, 3, SIZE))
SETUP(full, SCENE_LITTLE | SCENE_ALONE, SIZE, SIZE, fill_all(s))

/* ---- the operations ---- */

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

#define SWEEP(of, some, made, by) \
	{.name = of, .share = some, .setup = made, .victim = by, .survive = scene_prove}

/* The last write many bytes, or a large index, step by step; or are made of what the others are made of. */
#define LONG_ONES 10

static struct kill_sweep sweeps[] = {
	SWEEP("set first", 1, empty, victim_set),
	SWEEP("set fresh", 1, fresh, victim_set),
	SWEEP("set from list", 1, from_list, victim_set),
	SWEEP("set new slab", 1, new_slab, victim_set),
	SWEEP("set last of slab", 1, last_of_slab, victim_set),
	SWEEP("set last of list", 1, last_of_list, victim_set),
	SWEEP("set word", 1, word, victim_set),
	SWEEP("set equal", 2, equal, victim_set),
	SWEEP("set longer", 2, longer, victim_set),
	SWEEP("set shorter", 1, shorter, victim_set),
	SWEEP("set large", 1, to_large, victim_set),
	SWEEP("set large back", 1, from_large, victim_set),
	SWEEP("set huge back", 1, from_huge, victim_set),
	SWEEP("set huge back before", 1, from_huge_before, victim_set),
	SWEEP("set in vain", 1, full, set_in_vain),
	SWEEP("insert", 1, fresh, victim_insert),
	SWEEP("replace", 1, equal, victim_replace),
	SWEEP("swap", 1, equal, victim_swap),
	SWEEP("swap word", 1, word, victim_swap),
	SWEEP("delete", 1, unmarked, victim_delete),
	SWEEP("delete marked", 2, marked, victim_delete),
	SWEEP("delete from full", 1, from_full, victim_delete),
	SWEEP("delete from middle", 1, from_middle, victim_delete),
	SWEEP("delete last of slab", 2, empties_slab, victim_delete),
	SWEEP("delete last of small", 1, empties_small, victim_delete),
	SWEEP("delete large", 1, large_goes, victim_delete),
	SWEEP("delete huge", 1, huge_goes, victim_delete),
	SWEEP("pop", 1, marked, victim_pop),
	SWEEP("add new", 1, absent, victim_add),
	SWEEP("add", 1, word, victim_add),
	SWEEP("update new", 1, update_new, victim_update),
	SWEEP("clear", 1, some, victim_clear),
	SWEEP("grow", 2, grows, victim_grow),
	SWEEP("index anew", 1, anew, victim_grow),
	SWEEP("insert new slab", 1, new_slab, victim_insert),
	SWEEP("replace longer", 1, longer, victim_replace),
	SWEEP("swap shorter", 1, shorter, victim_swap),
	SWEEP("pop last of slab", 1, empties_slab, victim_pop),
	SWEEP("update", 1, update_longer, victim_update),
	SWEEP("update deletes", 1, update_goes, victim_update),
	SWEEP("set larger", 1, to_larger, victim_set),
	SWEEP("set new large", 1, new_large, victim_set),
	SWEEP("grow large", 1, grows_large, victim_grow),
	{.name = "clear beside", .stride = 8, .setup = some_beside, .victim = victim_clear, .survive = scene_prove},
};

int main(int argc, char **argv)
{
	size_t n = sizeof(sweeps) / sizeof(*sweeps);

	return scene_main(argc, argv, sweeps, n, n - LONG_ONES);
}
