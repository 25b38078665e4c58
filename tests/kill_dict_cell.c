/* SPDX-License-Identifier: MIT */
/* Changes in cells, into them and out of them, by who is killed at each point, while a reader and a writer go on. */
#include "dict_scene.h"
#include "dict_victim.h"

#define SIZE 40
#define SIXTEENTH 240
#define HUGE 70000
#define INDEX_KEYS 12 /* an index of 16 has no room for another one */

/* ---- set up ---- */

static struct slab_arena *shard(const struct scene *s)
{
	return &s->dict->slabs.arena[SCENE_SHARD];
}

static bool has_cells(const struct scene *s)
{
	return dict_index(s->dict, shard(s)) & INDEX_CELLS;
}

/* An index is made with cells if its first key is small. */
static void cells(struct scene *s)
{
	scene_others(s, 3, 8);
	kill_check(has_cells(s));
}

static void cells_and_records(struct scene *s)
{
	cells(s);
	scene_others(s, 2, SIZE);
}

/* Its cell was another key's. */
static void used_cell(struct scene *s)
{
	uint64_t key = scene_key(s, SCENE_SHARD, (int)scene_line(s, s->key));

	cells(s);
	kill_check(ipck_dict_set(s->dict, &key, 8, &key, 8) == IPCK_CREATED);
	kill_check(ipck_dict_delete(s->dict, &key, 8) == 0);
}

/* The line is full, so that a delete leaves a mark. */
static void full_line(struct scene *s)
{
	scene_set_old(s);
	for (unsigned i = 1; i < LINE_SLOTS; i++)
		scene_other_key(s, scene_key(s, SCENE_SHARD, (int)scene_line(s, s->key)), i % 2 ? 8 : SIZE);
	kill_check(has_cells(s));
}

/* Two marks in a full line: one for the victim's key, and one for the writer's, if it is to be there. */
static void marks(struct scene *s)
{
	uint64_t keys[2];

	cells(s);
	for (unsigned i = 0; i < 2; i++) {
		keys[i] = scene_key(s, SCENE_SHARD, (int)scene_line(s, s->key));
		kill_check(ipck_dict_set(s->dict, &keys[i], 8, &keys[i], 8) == IPCK_CREATED);
	}
	for (unsigned i = 2; i < LINE_SLOTS; i++)
		scene_other_key(s, scene_key(s, SCENE_SHARD, (int)scene_line(s, s->key)), 8);
	for (unsigned i = 0; i < 2; i++)
		kill_check(ipck_dict_delete(s->dict, &keys[i], 8) == 0);
	kill_check(shard(s)->own[SHARD_FILLED] > shard(s)->own[SHARD_KEYS]);
}

/* An index without cells, and no room. */
static void full_of_records(struct scene *s, unsigned n)
{
	scene_others(s, 1, SIZE);
	scene_others(s, n - 1, 8);
	kill_check(!has_cells(s));
}

/* With cells, and no room. */
static void full_of_cells(struct scene *s, unsigned n)
{
	cells_and_records(s);
	scene_others(s, n - 5, 8);
	kill_check(has_cells(s));
}

/* With cells, none of them in use, and no room. */
static void unused_cells(struct scene *s)
{
	uint64_t key = scene_key(s, SCENE_SHARD, -1);

	kill_check(ipck_dict_set(s->dict, &key, 8, &key, 8) == IPCK_CREATED);
	scene_others(s, INDEX_KEYS - 1, SIZE);
	kill_check(ipck_dict_delete(s->dict, &key, 8) == 0);
	while (shard(s)->own[SHARD_FILLED] < INDEX_KEYS)
		scene_others(s, 1, SIZE);
	kill_check(has_cells(s));
}

/* Marks fill the index. */
static void full_of_marks(struct scene *s)
{
	uint64_t keys[LINE_SLOTS];

	for (unsigned i = 0; i < LINE_SLOTS; i++) {
		keys[i] = scene_key(s, SCENE_SHARD, 0);
		kill_check(ipck_dict_set(s->dict, &keys[i], 8, &keys[i], 8) == IPCK_CREATED);
	}
	for (unsigned i = LINE_SLOTS; i < INDEX_KEYS; i++)
		scene_other_key(s, scene_key(s, SCENE_SHARD, 0), i % 2 ? 8 : SIZE);
	for (unsigned i = 0; i < LINE_SLOTS; i++)
		kill_check(ipck_dict_delete(s->dict, &keys[i], 8) == 0);
	kill_check(shard(s)->own[SHARD_FILLED] == INDEX_KEYS && has_cells(s));
}

static uint64_t free_pages(const struct scene *s)
{
	return s->dict->slabs.pages.count - s->dict->slabs.pages.shm->used;
}

/* Other shards take all pages; what scene_ready puts there has room. */
static void take_pages(struct scene *s)
{
	for (uint32_t i = 1; i < 3; i++)
		scene_other_key(s, scene_key(s, SCENE_SHARD + i, -1), 30);
	while (free_pages(s) > 5)
		scene_other_key(s, scene_key(s, SCENE_SHARD + 1, -1), SCENE_LARGE);
	while (free_pages(s) > 0)
		scene_other_key(s, scene_key(s, SCENE_SHARD + 1, -1), 2000);
}

/*
 * One slot is empty, there is no memory for a larger index, and all keys of a line are in the next one: the victim
 * moves them back, and empties what is deleted.
 */
static void full_of_passed(struct scene *s)
{
	uint64_t keys[5];

	for (unsigned i = 0; i < 5; i++) {
		keys[i] = scene_key(s, SCENE_SHARD, 0);
		kill_check(ipck_dict_set(s->dict, &keys[i], 8, &keys[i], 8) == IPCK_CREATED);
	}
	for (unsigned i = 0; i < 7; i++)
		scene_other_key(s, scene_key(s, SCENE_SHARD, 0), 8);
	take_pages(s);
	scene_other_key(s, scene_key(s, SCENE_SHARD, 0), 8);
	for (unsigned i = 0; i < 5; i++) {
		kill_check(ipck_dict_delete(s->dict, &keys[i], 8) == 0);
		if (i < 2)
			scene_other_key(s, scene_key(s, SCENE_SHARD, 1), 8);
	}
	kill_check(shard(s)->own[SHARD_FILLED] == 2 * LINE_SLOTS - 1);
}

#define SETUP SCENE_SETUP
#define CLEARS (SCENE_CLEARS | SCENE_LITTLE)

SETUP(empty, 0, SCENE_ABSENT, 8, (void)s)
SETUP(absent, 0, SCENE_ABSENT, 8, cells(s))
SETUP(absent_short, 0, SCENE_ABSENT, 4, cells(s))
SETUP(absent_none, 0, SCENE_ABSENT, 0, cells(s))
SETUP(used, 0, SCENE_ABSENT, 8, used_cell(s))
SETUP(marked, 0, SCENE_ABSENT, 8, marks(s))
SETUP(word, 0, 8, 8, cells(s))
SETUP(to_record, 0, 8, SIZE, cells_and_records(s))
SETUP(to_new_slab, 0, 8, SIXTEENTH, cells(s))
SETUP(to_large, 0, 8, SCENE_LARGE, cells(s))
SETUP(to_short, 0, 8, 4, cells(s))
SETUP(from_record, 0, SIZE, 8, cells_and_records(s))
SETUP(from_slab, 0, SIXTEENTH, 8, cells(s))
SETUP(from_large, 0, SCENE_LARGE, 8, cells(s))
SETUP(from_huge, 0, HUGE, 8, cells(s))
SETUP(to_none, 0, SIZE, 0, cells_and_records(s))
SETUP(goes, 0, 8, SCENE_ABSENT, cells(s))
SETUP(goes_marked, 0, 8, SCENE_ABSENT, full_line(s))
SETUP(grows, SCENE_APART, SCENE_ABSENT, 8, full_of_cells(s, INDEX_KEYS))
SETUP(grows_beside, 0, SCENE_ABSENT, 8, full_of_cells(s, INDEX_KEYS - 1))
SETUP(grows_record, SCENE_APART, SCENE_ABSENT, SIZE, full_of_cells(s, INDEX_KEYS))
SETUP(gets_cells, SCENE_APART, SCENE_ABSENT, 8, full_of_records(s, INDEX_KEYS))
SETUP(gets_cells_beside, 0, SCENE_ABSENT, 8, full_of_records(s, INDEX_KEYS - 1))
SETUP(loses_cells, SCENE_APART, SCENE_ABSENT, SIZE, unused_cells(s))
SETUP(anew, SCENE_APART, SCENE_ABSENT, 8, full_of_marks(s))
SETUP(passed, SCENE_LITTLE | SCENE_ALONE, SCENE_ABSENT, 8, full_of_passed(s))
SETUP(some, CLEARS | SCENE_ALONE, 8, SCENE_ABSENT, cells_and_records(s))
SETUP(some_beside, CLEARS, 8, SCENE_ABSENT, cells_and_records(s))
SETUP(update_new, SCENE_APART, SCENE_ABSENT, 8, cells(s))
SETUP(update_word, SCENE_APART, 8, 8, cells(s))
SETUP(update_to_record, SCENE_APART, 8, SIZE, cells(s))
SETUP(update_from_record, SCENE_APART, SIZE, 8, cells(s))

/* ---- survivors ---- */

static bool is_in_cell(struct scene *s)
{
	struct dict_key key = dict_key(s->dict, &s->key, 8);
	struct dict_place place;
	bool is;

	kill_check(dict_lock(s->dict, &key, &place) == 0);
	is = place.item.word && word_is_in_cell(place.item.word);
	dict_unlock(s->dict, &place);
	return is;
}

static void prove_cell(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	kill_check(!s->told || is_in_cell(s));
	scene_prove(ctx, point);
}

static void prove_record(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	kill_check(!s->told || !is_in_cell(s));
	scene_prove(ctx, point);
}

/* After growth that was for a record, and where no cell was in use. */
static void prove_no_cells(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	kill_check(!s->told || !has_cells(s));
	scene_prove(ctx, point);
}

#define SWEEP(of, made, by, proof) \
	{.name = of, .share = 1, .setup = made, .victim = by, .survive = proof}

/* The last are made of what the others are made of, or are long. */
#define LONG_ONES 21

static struct kill_sweep sweeps[] = {
	SWEEP("insert in cell", absent, victim_insert, prove_cell),
	SWEEP("set in used cell", used, victim_set, prove_cell),
	SWEEP("set in marked", marked, victim_set, prove_cell),
	SWEEP("set word", word, victim_set, prove_cell),
	SWEEP("swap word", word, victim_swap, prove_cell),
	SWEEP("add", word, victim_add, prove_cell),
	SWEEP("add new", absent, victim_add, prove_cell),
	SWEEP("cell to record", to_record, victim_set, prove_record),
	SWEEP("cell to short", to_short, victim_set, prove_record),
	SWEEP("record to cell", from_record, victim_set, prove_cell),
	SWEEP("slab to cell", from_slab, victim_replace, prove_cell),
	SWEEP("delete", goes, victim_delete, prove_record),
	SWEEP("delete marked", goes_marked, victim_delete, prove_record),
	SWEEP("pop", goes, victim_pop, prove_record),
	SWEEP("grow with cells", grows, victim_grow, prove_cell),
	SWEEP("grow to cells", gets_cells, victim_grow, prove_cell),
	SWEEP("sweep", passed, victim_set, prove_cell),
	SWEEP("clear", some, victim_clear, scene_prove),
	SWEEP("set first", empty, victim_set, prove_cell),
	SWEEP("set in cell", absent, victim_set, prove_cell),
	SWEEP("set short", absent_short, victim_set, prove_cell),
	SWEEP("set none", absent_none, victim_insert, prove_cell),
	SWEEP("insert in marked", marked, victim_insert, prove_cell),
	SWEEP("cell to new slab", to_new_slab, victim_swap, prove_record),
	SWEEP("cell to large", to_large, victim_set, prove_record),
	SWEEP("large to cell", from_large, victim_set, prove_cell),
	SWEEP("huge to cell", from_huge, victim_swap, prove_cell),
	SWEEP("record to none", to_none, victim_set, prove_cell),
	SWEEP("pop marked", goes_marked, victim_pop, prove_record),
	SWEEP("update new", update_new, victim_update, prove_cell),
	SWEEP("update word", update_word, victim_update, prove_cell),
	SWEEP("update to record", update_to_record, victim_update, prove_record),
	SWEEP("update to cell", update_from_record, victim_update, prove_cell),
	SWEEP("grow by record", grows_record, victim_grow, prove_record),
	SWEEP("grow beside", grows_beside, victim_set, prove_cell),
	SWEEP("grow to cells beside", gets_cells_beside, victim_set, scene_prove),
	SWEEP("lose cells", loses_cells, victim_grow, prove_no_cells),
	SWEEP("index anew", anew, victim_grow, prove_cell),
	{.name = "clear beside", .stride = 8, .setup = some_beside, .victim = victim_clear, .survive = scene_prove},
};

int main(int argc, char **argv)
{
	size_t n = sizeof(sweeps) / sizeof(*sweeps);

	return scene_main(argc, argv, sweeps, n, n - LONG_ONES);
}
