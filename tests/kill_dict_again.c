/* SPDX-License-Identifier: MIT */
/*
 * Changes of a dict whose maker was killed in each stage of each of its redos, and then who repairs that
 * is killed at each point.
 */
#include "dict_proof.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

/* How far the redo of the first victim gets: not written down, written down, half done, done but for its end. */
enum stage { UNWRITTEN, WRITTEN, HALF_DONE, DONE, STAGES };

#define SIZE 40
#define LONGER 240

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
	if (s->new.size < 0)
		kill_check(ipck_dict_delete(s->dict, &s->key, 8) < 0);
	else
		kill_check(ipck_dict_set(s->dict, &s->key, 8, s->new.bytes, (size_t)s->new.size) < 0);
	kill_check(!"it goes on");
}

static struct scene *others(struct scene *s)
{
	for (int i = 0; i < 3; i++)
		scene_other(s, SIZE);
	scene_set_old(s);
	/* The new value goes to a block that is in a list. */
	if (s->new.size == SIZE) {
		uint64_t key = scene_key(s, SCENE_SHARD, -1);

		kill_check(ipck_dict_set(s->dict, &key, 8, s->new.bytes, SIZE) == IPCK_CREATED);
		kill_check(ipck_dict_delete(s->dict, &key, 8) == 0);
	}
	return scene_ready(s);
}

/* One more makes it grow. */
static struct scene *full_index(struct scene *s)
{
	for (int i = 0; i < 12; i++)
		scene_other(s, SIZE);
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
SETUPS(give_large, others(scene_make(SCENE_ALONE, 70000, SIZE)), 2, 1)
SETUPS(delete, others(scene_make(SCENE_ALONE, LONGER, SCENE_ABSENT)), 1, 1)
SETUPS(grow, full_index(scene_make(SCENE_ALONE, SCENE_ABSENT, SIZE)), 3, 5)

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

/* It was repaired, or is now: a reader does not need that. */
static void prove(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;
	uint64_t key = scene_key(s, SCENE_SHARD, -1);

	proof_look(s);
	kill_check(ipck_dict_delete(s->dict, &key, 8) == -ENOENT);
	s->told = 1;
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
};

int main(int argc, char **argv)
{
	size_t n = sizeof(sweeps) / sizeof(*sweeps);

	return scene_main(argc, argv, sweeps, n, n);
}
