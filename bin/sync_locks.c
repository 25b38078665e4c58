/* SPDX-License-Identifier: MIT */
/* ipc-sync: locks taken twice, in both ways, and in opposite orders. */
#include <ipckit.h>

#include "party.h"
#include "shared.h"
#include "sync_modes.h"

/* ---- rlock ---- */

struct nest {
	struct ipck_rlock lock;
	long number;
};

struct walker {
	struct nest *nest;
	long by;
};

/* Called with the lock held, and takes it once more. */
static int change(struct nest *nest, long by)
{
	int rc = ipck_rlock_acquire(&nest->lock, IPCK_FOREVER);

	if (rc < 0)
		return rc;
	nest->number += by;
	return ipck_rlock_release(&nest->lock);
}

static int step(struct nest *nest, long by)
{
	int changed, rc = ipck_rlock_acquire(&nest->lock, IPCK_FOREVER);

	if (rc != 0)
		return rc;
	changed = change(nest, by);
	rc = ipck_rlock_release(&nest->lock);
	return changed < 0 ? changed : rc;
}

static int walk(void *arg)
{
	const struct walker *walker = arg;
	int rc = 0;

	for (long i = 0; i < sync_steps && rc == 0; i++)
		rc = step(walker->nest, walker->by);
	return shared_check("rlock", rc);
}

static int run_nest(void *shared, const struct tool_args *args)
{
	struct nest *nest = shared;
	struct walker walker[2] = {{nest, 1}, {nest, -1}};
	struct party party[2] = {{.fn = walk, .arg = &walker[0]}, {.fn = walk, .arg = &walker[1]}};
	int status = shared_check("rlock", ipck_rlock_init(&nest->lock));

	if (status == 0)
		status = parties_run_together(party, 2, args->threads);
	if (status == 0)
		tool_print("result: %ld\n", nest->number);
	return status;
}

int sync_rlock(const struct tool_args *args)
{
	return shared_run(sizeof(struct nest), run_nest, args);
}

/* ---- with-all ---- */

struct all {
	struct ipck_lock lock;
	struct ipck_rlock rlock;
	struct ipck_condition condition;
	struct ipck_semaphore semaphore;
};

/* What a permit and the three locks have in common, for the macro below. */
#define release_lock(all) ipck_lock_release(&(all)->lock)
#define release_rlock(all) ipck_rlock_release(&(all)->rlock)
#define release_condition(all) ipck_condition_release(&(all)->condition)
#define release_semaphore(all) ipck_semaphore_release(&(all)->semaphore, 1)

static void print_acquired(const char *noun, const char *how)
{
	tool_print("(%s) %s acquired %s\n", party_name(), noun, how);
}

/* Two parties for each noun: one takes it by a scope, the other by calls. */
#define BOTH_WAYS(noun, WITH) \
	static int noun##_with(void *arg) \
	{ \
		struct all *all = arg; \
		int rc; \
\
		WITH(&all->noun, IPCK_FOREVER, &rc) \
			print_acquired(#noun, "via with"); \
		return shared_check(#noun, rc); \
	} \
	static int noun##_directly(void *arg) \
	{ \
		struct all *all = arg; \
		int rc = ipck_##noun##_acquire(&all->noun, IPCK_FOREVER); \
\
		if (rc >= 0) { \
			print_acquired(#noun, "directly"); \
			rc = release_##noun(all); \
		} \
		return shared_check(#noun, rc); \
	}

BOTH_WAYS(lock, IPCK_WITH_LOCK)
BOTH_WAYS(rlock, IPCK_WITH_RLOCK)
BOTH_WAYS(condition, IPCK_WITH_CONDITION)
BOTH_WAYS(semaphore, IPCK_WITH_SEMAPHORE)

static int init_all(struct all *all)
{
	int rc = ipck_lock_init(&all->lock);

	if (rc == 0)
		rc = ipck_rlock_init(&all->rlock);
	if (rc == 0)
		rc = ipck_condition_init(&all->condition, NULL);
	if (rc == 0)
		rc = ipck_semaphore_init(&all->semaphore, 1, IPCK_SEMAPHORE_OPTS(.recorded = true));
	return shared_check("with-all", rc);
}

static int run_all(void *shared, const struct tool_args *args)
{
	int (*const ways[][2])(void *arg) = {
		{lock_with, lock_directly},
		{rlock_with, rlock_directly},
		{condition_with, condition_directly},
		{semaphore_with, semaphore_directly},
	};
	int status = init_all(shared);

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]) && status == 0; i++) {
		struct party party[2] = {{.fn = ways[i][0], .arg = shared}, {.fn = ways[i][1], .arg = shared}};

		status = parties_run_together(party, 2, args->threads);
	}
	return status;
}

int sync_with_all(const struct tool_args *args)
{
	return shared_run(sizeof(struct all), run_all, args);
}

/* ---- ordered ---- */

#define ORDERED_ROUNDS 5

struct pair {
	struct ipck_lock x, y;
};

struct taker {
	struct ipck_lock *lock[2];
	const char *names;
	long pause_ms; /* while it has them */
};

/* Both or none: so nobody holds one of them while it waits for the other. */
static int take_both(void *arg)
{
	const struct taker *taker = arg;

	for (int i = 0; i < ORDERED_ROUNDS; i++) {
		int rc = ipck_lock_acquire_all(taker->lock, 2, IPCK_FOREVER);

		/* Nothing is left half done by one that died: rc may say so, and it is taken anyway. */
		if (rc < 0)
			return shared_check("locks", rc);
		tool_print("%s has %s\n", party_name(), taker->names);
		tool_pause(taker->pause_ms);
		rc = ipck_lock_release_all(taker->lock, 2);
		if (rc < 0)
			return shared_check("locks", rc);
	}
	return 0;
}

static int run_ordered(void *shared, const struct tool_args *args)
{
	struct pair *pair = shared;
	struct taker taker[2] = {{{&pair->x, &pair->y}, "x and y", args->pause_ms},
	                         {{&pair->y, &pair->x}, "y and x", args->pause_ms}};
	struct party party[2] = {{.fn = take_both, .arg = &taker[0], .daemon = true},
	                         {.fn = take_both, .arg = &taker[1], .daemon = true}};
	int rc = ipck_lock_init(&pair->x);

	if (rc == 0)
		rc = ipck_lock_init(&pair->y);
	if (rc < 0)
		return shared_check("locks", rc);
	return parties_run(party, 2, args->threads);
}

int sync_ordered(const struct tool_args *args)
{
	return shared_run(sizeof(struct pair), run_ordered, args);
}
