/* SPDX-License-Identifier: MIT */
/*
 * Changes of a dict whose maker was killed in each stage of each of its redos, and then who repairs that
 * is killed at each point.
 */
#include "dict_proof.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "filled.h"

/* How far the redo of the first victim gets: not written down, written down, half done, done but for its end. */
enum stage { UNWRITTEN, WRITTEN, HALF_DONE, DONE, STAGES };

#define SIZE 40
#define LONGER 240
#define HUGE 70000
#define INDEX_KEYS 12 /* an index of 16 has no room for another one */

/* Whether the first victim's change is as good as done. */
static bool committed;

/* The redo, from 1, in which this process dies; 0: it does not. */
static unsigned dies_in;
static enum stage dies_at;

void __real_redo_do(struct redo *r, const struct change *c);
void __wrap_redo_do(struct redo *r, const struct change *c);

static void store_some(struct redo *r, const struct change *c, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		store_release((uint64_t *)(void *)(c->body + r->store[i].at), r->store[i].value);
}

void __wrap_redo_do(struct redo *r, const struct change *c)
{
	if (dies_in == 0 || --dies_in > 0) {
		__real_redo_do(r, c);
		return;
	}
	for (uint32_t i = 0; i < c->count; i++)
		r->store[i] = c->store[i];
	if (dies_at != UNWRITTEN) {
		store_release(&r->count, c->count);
		store_some(r, c, dies_at == HALF_DONE ? c->count / 2 : dies_at == DONE ? c->count : 0);
	}
	raise(SIGKILL);
}

/* ---- the first to die: with no reader or writer beside it, who would repair ---- */

static void change(struct scene *s)
{
	if (s->flags & SCENE_CLEARS)
		kill_check(ipck_dict_clear(s->dict) < 0);
	else if (s->new.size < 0)
		kill_check(ipck_dict_delete(s->dict, &s->key, 8) < 0);
	else
		kill_check(ipck_dict_set(s->dict, &s->key, 8, s->new.bytes, (size_t)s->new.size) < 0);
	kill_check(!"it goes on");
}

/* One that was there, and is no more. */
static void gone(struct scene *s, uint64_t key, size_t size)
{
	kill_check(ipck_dict_set(s->dict, &key, 8, s->new.bytes, size) == IPCK_CREATED);
	kill_check(ipck_dict_delete(s->dict, &key, 8) == 0);
}

static struct scene *others(struct scene *s)
{
	scene_others(s, 3, SIZE);
	scene_set_old(s);
	/* The new value goes to a block that is in a list. */
	if (s->new.size == SIZE)
		gone(s, scene_key(s, SCENE_SHARD, -1), SIZE);
	return scene_ready(s);
}

/* One more makes it grow. */
static struct scene *full_index(struct scene *s)
{
	scene_others(s, INDEX_KEYS, SIZE);
	return scene_ready(s);
}

/* An index with cells, and a slab that has room for a record.  The writer's key is of the same line. */
static struct scene *cells(struct scene *s)
{
	scene_others(s, 3, 8);
	scene_others(s, 2, SIZE);
	scene_set_old(s);
	scene_ready(s);
	s->writers = scene_key(s, SCENE_SHARD, (int)scene_line(s, s->key));
	return s;
}

/* The line has been full: a mark where there is no value. */
static struct scene *marked(struct scene *s)
{
	int line = (int)scene_line(s, s->key);
	uint64_t key = scene_key(s, SCENE_SHARD, line);

	if (s->old.size < 0)
		kill_check(ipck_dict_set(s->dict, &key, 8, &key, 8) == IPCK_CREATED);
	else
		scene_set_old(s);
	for (unsigned i = 1; i < LINE_SLOTS; i++)
		scene_other_key(s, scene_key(s, SCENE_SHARD, line), 8);
	if (s->old.size < 0) {
		kill_check(ipck_dict_delete(s->dict, &key, 8) == 0);
		kill_check(s->dict->slabs.arena[SCENE_SHARD].own[SHARD_FILLED] == LINE_SLOTS);
	}
	return scene_ready(s);
}

static struct scene *full_cells(struct scene *s)
{
	scene_others(s, 1, 8);
	scene_others(s, 5, SIZE);
	scene_others(s, INDEX_KEYS - 6, 8);
	return scene_ready(s);
}

/* What is written down is as good as done: from the redo on that is the change itself. */
static void *die(struct scene *s, unsigned redo, unsigned commits, enum stage stage)
{
	dies_in = redo;
	dies_at = stage;
	scene_die(s, change);
	dies_in = 0;
	committed = redo > commits || (redo == commits && stage != UNWRITTEN);
	return s;
}

#define SETUP(name, made, redo, commits, stage) \
	static void *name(void) \
	{ \
		return die(made, redo, commits, stage); \
	}

#define SETUPS(of, made, redo, commits) \
	SETUP(of##_unwritten, made, redo, commits, UNWRITTEN) \
	SETUP(of##_written, made, redo, commits, WRITTEN) \
	SETUP(of##_half, made, redo, commits, HALF_DONE) \
	SETUP(of##_done, made, redo, commits, DONE)

/* A new slab is made, and the old one given back. */
#define ACROSS others(scene_make(SCENE_ALONE, LONGER, 300))
SETUPS(take, ACROSS, 1, 3)
SETUPS(slab, ACROSS, 2, 3)
SETUPS(across, ACROSS, 3, 3)
SETUPS(give, ACROSS, 4, 3)
SETUPS(list, others(scene_make(SCENE_ALONE, SIZE, SIZE)), 1, 1)
SETUPS(to_large, others(scene_make(SCENE_ALONE, SIZE, SCENE_LARGE)), 2, 2)
SETUPS(from_large, others(scene_make(SCENE_ALONE, SCENE_LARGE, SIZE)), 1, 1)
SETUPS(give_large, others(scene_make(SCENE_ALONE, HUGE, SIZE)), 2, 1)
SETUPS(delete, others(scene_make(SCENE_ALONE, LONGER, SCENE_ABSENT)), 1, 1)
SETUPS(grow, full_index(scene_make(SCENE_ALONE, SCENE_ABSENT, SIZE)), 3, 5)

/* The same with cells. */
SETUPS(cell, cells(scene_make(SCENE_ALONE, SCENE_ABSENT, 8)), 1, 1)
SETUPS(mark, marked(scene_make(SCENE_ALONE, SCENE_ABSENT, 8)), 1, 1)
SETUPS(to_record, cells(scene_make(SCENE_ALONE, 8, SIZE)), 1, 1)
SETUPS(to_slab, cells(scene_make(SCENE_ALONE, 8, LONGER)), 3, 3)
SETUPS(to_short, cells(scene_make(SCENE_ALONE, 8, 4)), 3, 3)
SETUPS(to_cell, cells(scene_make(SCENE_ALONE, SIZE, 8)), 1, 1)
SETUPS(slab_to_cell, cells(scene_make(SCENE_ALONE, LONGER, 8)), 1, 1)
SETUPS(give_slab, cells(scene_make(SCENE_ALONE, LONGER, 8)), 2, 1)
SETUPS(give_huge, cells(scene_make(SCENE_ALONE, HUGE, 8)), 2, 1)
SETUPS(cell_goes, cells(scene_make(SCENE_ALONE, 8, SCENE_ABSENT)), 1, 1)
SETUPS(mark_goes, marked(scene_make(SCENE_ALONE, 8, SCENE_ABSENT)), 1, 1)
SETUPS(grow_cells, full_cells(scene_make(SCENE_ALONE, SCENE_ABSENT, 8)), 3, 4)
SETUPS(get_cells, full_index(scene_make(SCENE_ALONE, SCENE_ABSENT, 8)), 3, 4)
SETUPS(into_grown, full_cells(scene_make(SCENE_ALONE, SCENE_ABSENT, 8)), 4, 4)
SETUPS(give_index, full_cells(scene_make(SCENE_ALONE, SCENE_ABSENT, 8)), 5, 4)
SETUPS(clear, cells(scene_make(SCENE_ALONE | SCENE_CLEARS, 8, SCENE_ABSENT)), 3, 3)
SETUPS(cleared, cells(scene_make(SCENE_ALONE | SCENE_CLEARS, 8, SCENE_ABSENT)), 7, 7)

/* ---- who repairs ---- */

/* The lock, a key that was never there, and the lock back: nothing but the repair. */
static void repair(void *ctx)
{
	struct scene *s = ctx;
	uint64_t key = scene_key(s, SCENE_SHARD, -1);
	int rc;

	kill_begin();
	rc = ipck_dict_delete(s->dict, &key, 8);
	kill_end();
	kill_check(rc == -ENOENT);
}

/* In another shard, for which pages are needed: what is done is the pages' redo. */
static void take_elsewhere(void *ctx)
{
	struct scene *s = ctx;
	int rc;

	kill_begin();
	rc = ipck_dict_set(s->dict, &s->counter, 8, s->new.bytes, 300);
	kill_end();
	kill_check(rc == IPCK_CREATED);
}

/* Its own change is one of the values, too. */
static void set_again(void *ctx)
{
	struct scene *s = ctx;
	int rc;

	scene_begin(s);
	rc = ipck_dict_set(s->dict, &s->key, 8, s->new.bytes, (size_t)s->new.size);
	scene_end(s);
	kill_check(rc >= 0);
}

/* Another key, for which the cell is that was the first one's. */
static void set_other(void *ctx)
{
	struct scene *s = ctx;
	char bytes[8];
	int rc;

	fill(bytes, 8, 0);
	kill_begin();
	rc = ipck_dict_set(s->dict, &s->writers, 8, bytes, 8);
	kill_end();
	kill_check(rc == IPCK_CREATED);
}

/* It was repaired, or is now: a reader does not need that. */
static void prove(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;
	uint64_t key = scene_key(s, SCENE_SHARD, -1);

	proof_look(s);
	kill_check(ipck_dict_delete(s->dict, &key, 8) == -ENOENT);
	s->told = 1;
	if (s->flags & SCENE_CLEARS)
		committed = ipck_dict_contains(s->dict, &s->key, 8) == 0;
	if (!committed)
		s->new = s->old;
	scene_prove(ctx, point);
}

static void prove_set(void *ctx, const struct kill_point *point)
{
	scene_prove(ctx, point);
}

#define SWEEP(of, stage) \
	{.name = #of " " #stage, .share = 1, .setup = of##_##stage, .victim = repair, .survive = prove}
#define SWEEPS(of) SWEEP(of, unwritten), SWEEP(of, written), SWEEP(of, half), SWEEP(of, done)

static struct kill_sweep sweeps[] = {
	SWEEPS(take),
	SWEEPS(slab),
	SWEEPS(across),
	SWEEPS(give),
	SWEEPS(list),
	SWEEPS(to_large),
	SWEEPS(from_large),
	SWEEPS(give_large),
	SWEEPS(delete),
	SWEEPS(grow),
	{.name = "take elsewhere", .share = 2, .setup = take_half, .victim = take_elsewhere, .survive = prove},
	{.name = "give elsewhere", .share = 2, .setup = give_half, .victim = take_elsewhere, .survive = prove},
	{.name = "take, and set", .share = 2, .setup = take_half, .victim = set_again, .survive = prove_set},
	{.name = "across, and set", .share = 2, .setup = across_half, .victim = set_again, .survive = prove_set},
	{.name = "give, and set", .share = 2, .setup = give_half, .victim = set_again, .survive = prove_set},
	{.name = "grow, and set", .share = 2, .setup = grow_half, .victim = set_again, .survive = prove_set},
	SWEEP(cell, half),
	SWEEP(to_record, half),
	SWEEP(to_cell, half),
	SWEEP(cell_goes, half),
	SWEEP(grow_cells, half),
	{.name = "cell, and set", .share = 1, .setup = cell_unwritten, .victim = set_again, .survive = prove_set},
	{.name = "cell goes, and other", .share = 1, .setup = cell_goes_half, .victim = set_other, .survive = prove},
	SWEEP(cell, unwritten),
	SWEEP(cell, written),
	SWEEP(cell, done),
	SWEEPS(mark),
	SWEEP(to_record, unwritten),
	SWEEP(to_record, written),
	SWEEP(to_record, done),
	SWEEPS(to_slab),
	SWEEPS(to_short),
	SWEEP(to_cell, unwritten),
	SWEEP(to_cell, written),
	SWEEP(to_cell, done),
	SWEEPS(slab_to_cell),
	SWEEPS(give_slab),
	SWEEPS(give_huge),
	SWEEP(cell_goes, unwritten),
	SWEEP(cell_goes, written),
	SWEEP(cell_goes, done),
	SWEEPS(mark_goes),
	SWEEP(grow_cells, unwritten),
	SWEEP(grow_cells, written),
	SWEEP(grow_cells, done),
	SWEEPS(get_cells),
	SWEEPS(into_grown),
	SWEEPS(give_index),
	SWEEPS(clear),
	SWEEPS(cleared),
	{.name = "half a cell, and set", .setup = cell_half, .victim = set_again, .survive = prove_set},
	{.name = "to record, and set", .setup = to_record_half, .victim = set_again, .survive = prove_set},
	{.name = "to cell, and set", .setup = to_cell_half, .victim = set_again, .survive = prove_set},
	{.name = "no cell, and set", .setup = to_cell_unwritten, .victim = set_again, .survive = prove_set},
	{.name = "mark, and set", .setup = mark_half, .victim = set_again, .survive = prove_set},
	{.name = "grow cells, and set", .setup = grow_cells_half, .victim = set_again, .survive = prove_set},
	{.name = "get cells, and set", .setup = get_cells_half, .victim = set_again, .survive = prove_set},
	{.name = "to record, and other", .setup = to_record_half, .victim = set_other, .survive = prove},
	{.name = "goes undone, and other", .setup = cell_goes_written, .victim = set_other, .survive = prove},
	{.name = "cell, and other", .setup = cell_unwritten, .victim = set_other, .survive = prove},
};

/* The last are other stages of those before. */
#define LONG_ONES 73

int main(int argc, char **argv)
{
	size_t n = sizeof(sweeps) / sizeof(*sweeps);

	return scene_main(argc, argv, sweeps, n, n - LONG_ONES);
}
