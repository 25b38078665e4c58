/* SPDX-License-Identifier: MIT */
/*
 * Locks, rlocks and several locks at once: who is killed with them or waiting for them
 * keeps nobody out, and the next holder is told of it, once.
 */
#include "sync_scene.h"

#include <errno.h>

#include "sync/lock.h"

/* ---- what is done with a lock ---- */

static void change(struct scene *s)
{
	store_relaxed(&s->a, s->a + 1);
	store_relaxed(&s->b, s->b + 1);
}

/* Who acquires looks whether it is told of a change that was broken off. */
static void change_told(struct scene *s, int rc)
{
	kill_check(rc == 0 || rc == IPCK_OWNER_DIED);
	kill_check(rc == IPCK_OWNER_DIED || s->a == s->b);
	s->a = s->b;
	change(s);
}

static void lock_change(void *ctx)
{
	struct scene *s = ctx;

	change_told(s, ipck_lock_acquire(&s->lock[0], scene_soon()));
	kill_check(ipck_lock_release(&s->lock[0]) == 0);
}

/* Nobody has the lock, and nothing is left to be told. */
static void lock_is_free(struct ipck_lock *lock)
{
	kill_check(ipck_lock_acquire(lock, IPCK_NOWAIT) == 0);
	kill_check(ipck_lock_owner(lock) == getpid());
	kill_check(ipck_lock_acquire(lock, IPCK_NOWAIT) == -EDEADLK);
	kill_check(ipck_lock_release(lock) == 0);
	kill_check(!ipck_lock_locked(lock));
}

static void *setup(void)
{
	struct scene *s = scene_make(sizeof(s->lock));

	for (int i = 0; i < 3; i++)
		kill_check(ipck_lock_init(&s->lock[i]) == 0);
	return s;
}

/* ---- one lock ---- */

static void told_once(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;
	int rc = ipck_lock_acquire(&s->lock[0], scene_soon());

	kill_check(rc == 0 || (rc == IPCK_OWNER_DIED && point->kind != KILL_NONE));
	change_told(s, rc);
	kill_check(ipck_lock_release(&s->lock[0]) == 0);
	lock_is_free(&s->lock[0]);
}

static const struct kill_sweep alone = SCENE_SWEEP("lock", setup, lock_change, told_once);

/* Another is asleep in acquire when the victim, who has it, releases it. */

static void acquire_behind(struct scene *s)
{
	scene_until_ready(s);
	scene_going(s);
	lock_change(s);
	scene_awake(s);
}

static void *setup_sleeper(void)
{
	struct scene *s = setup();

	scene_add_sleeper(s, acquire_behind);
	return s;
}

static void change_and_release(void *ctx)
{
	struct scene *s = ctx;

	kill_check(ipck_lock_acquire(&s->lock[0], IPCK_NOWAIT) == 0);
	scene_begin_ready(s);
	change(s);
	kill_check(ipck_lock_release(&s->lock[0]) == 0);
	kill_end();
}

static void sleeper_has_it(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	(void)point;
	scene_until_awake(s);
	kill_check(s->a == s->b);
	lock_is_free(&s->lock[0]);
}

static const struct kill_sweep releaser =
	SCENE_SWEEP_MARKED("lock_release", setup_sleeper, change_and_release, sleeper_has_it);

/* The victim waits in vain: its death costs nothing. */

static void *setup_held(void)
{
	struct scene *s = setup();

	kill_check(ipck_lock_acquire(&s->lock[0], IPCK_NOWAIT) == 0);
	return s;
}

static void wait_in_vain(void *ctx)
{
	struct scene *s = ctx;

	kill_check(ipck_lock_acquire(&s->lock[0], scene_in_vain()) == -ETIMEDOUT);
}

static void still_held(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	(void)point;
	kill_check(ipck_lock_owner(&s->lock[0]) == getpid());
	kill_check(ipck_lock_release(&s->lock[0]) == 0);
	lock_is_free(&s->lock[0]);
}

static const struct kill_sweep in_vain = SCENE_SWEEP("lock_wait", setup_held, wait_in_vain, still_held);

/* The victim gets the lock from one who has it, and lets it go when the victim sleeps, or is dead. */

static void hold_a_while(struct scene *s)
{
	kill_check(ipck_lock_acquire(&s->lock[0], IPCK_NOWAIT) == 0);
	scene_going(s);
	scene_until_victim_asleep(s);
	kill_check(ipck_lock_release(&s->lock[0]) == 0);
	scene_awake(s);
}

static void *setup_holder(void)
{
	struct scene *s = setup();

	scene_sleepers(s, 1, hold_a_while);
	return s;
}

static void wait_and_change(void *ctx)
{
	scene_begin(ctx);
	lock_change(ctx);
	kill_end();
}

static void told_after_holder(void *ctx, const struct kill_point *point)
{
	scene_until_awake(ctx);
	told_once(ctx, point);
}

static const struct kill_sweep handed =
	SCENE_SWEEP_MARKED("lock_handed", setup_holder, wait_and_change, told_after_holder);

/* ---- rlocks ---- */

static void *setup_rlock(void)
{
	struct scene *s = scene_make(sizeof(s->rlock));

	kill_check(ipck_rlock_init(&s->rlock) == 0);
	return s;
}

static void rlock_change(struct scene *s, int rc)
{
	kill_check(ipck_rlock_acquire(&s->rlock, IPCK_NOWAIT) == 0);
	change_told(s, rc);
	kill_check(ipck_rlock_depth(&s->rlock) == 2);
	kill_check(ipck_rlock_release(&s->rlock) == 0);
	kill_check(ipck_rlock_release(&s->rlock) == 0);
	kill_check(ipck_rlock_release(&s->rlock) == -EPERM);
}

static void nest(void *ctx)
{
	struct scene *s = ctx;

	rlock_change(s, ipck_rlock_acquire(&s->rlock, scene_soon()));
}

static void nests(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;
	int rc = ipck_rlock_acquire(&s->rlock, scene_soon());

	kill_check(rc == 0 || (rc == IPCK_OWNER_DIED && point->kind != KILL_NONE));
	rlock_change(s, rc);
	kill_check(!ipck_rlock_locked(&s->rlock));
	kill_check(ipck_rlock_acquire(&s->rlock, IPCK_NOWAIT) == 0);
	rlock_change(s, 0);
}

static const struct kill_sweep nested = SCENE_SWEEP("rlock", setup_rlock, nest, nests);

/* ---- several locks ---- */

static int acquire_all(struct scene *s, struct ipck_deadline deadline)
{
	struct ipck_lock *const all[] = {&s->lock[2], &s->lock[0], &s->lock[1]};

	return ipck_lock_acquire_all(all, 3, deadline);
}

static void release_all(struct scene *s)
{
	struct ipck_lock *const all[] = {&s->lock[0], &s->lock[1], &s->lock[2]};

	kill_check(ipck_lock_release_all(all, 3) == 0);
}

static void all_are_free(struct scene *s)
{
	for (int i = 0; i < 3; i++)
		lock_is_free(&s->lock[i]);
}

static void change_with_all(void *ctx)
{
	struct scene *s = ctx;

	change_told(s, acquire_all(s, scene_soon()));
	release_all(s);
}

static void all_told(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;
	int rc = acquire_all(s, scene_soon());

	kill_check(rc == 0 || (rc == IPCK_OWNER_DIED && point->kind != KILL_NONE));
	change_told(s, rc);
	release_all(s);
	all_are_free(s);
}

static const struct kill_sweep all = SCENE_SWEEP("lock_all", setup, change_with_all, all_told);

/* Which of the three all acquire as the n-th. */
static struct ipck_lock *in_order(struct scene *s, unsigned n)
{
	struct ipck_lock *at[3] = {&s->lock[0], &s->lock[1], &s->lock[2]};

	for (unsigned i = 0; i < 3; i++) {
		unsigned before = 0;

		for (unsigned k = 0; k < 3; k++)
			before += ((struct lock *)at[k])->id < ((struct lock *)at[i])->id;
		if (before == n)
			return at[i];
	}
	return NULL;
}

/* The last one is held by another. */
static void *setup_last_held(void)
{
	struct scene *s = setup();

	kill_check(ipck_lock_acquire(in_order(s, 2), IPCK_NOWAIT) == 0);
	return s;
}

static void wait_for_all(void *ctx)
{
	kill_check(acquire_all(ctx, scene_in_vain()) == -ETIMEDOUT);
}

/* Of those that the victim had, or not. */
static void told_if_dead(struct ipck_lock *lock, const struct kill_point *point)
{
	int rc = ipck_lock_acquire(lock, scene_soon());

	kill_check(rc == 0 || (rc == IPCK_OWNER_DIED && point->kind != KILL_NONE));
	kill_check(ipck_lock_release(lock) == 0);
}

static void last_still_held(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	told_if_dead(in_order(s, 0), point);
	told_if_dead(in_order(s, 1), point);
	kill_check(ipck_lock_release(in_order(s, 2)) == 0);
	all_are_free(s);
	change_with_all(s);
}

static const struct kill_sweep all_in_vain =
	SCENE_SWEEP("lock_all_wait", setup_last_held, wait_for_all, last_still_held);

/* The first one's holder is dead, as the victim learns, but cannot tell its caller. */

static void die_with_first(struct scene *s)
{
	kill_check(ipck_lock_acquire(in_order(s, 0), IPCK_NOWAIT) == 0);
}

static void *setup_first_left(void)
{
	struct scene *s = setup();
	pid_t pid = scene_help(s, die_with_first);

	KILL_UNTIL(test_state(pid) == 'Z');
	kill_check(ipck_lock_acquire(in_order(s, 2), IPCK_NOWAIT) == 0);
	return s;
}

static void notice_is_left(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	kill_check(ipck_lock_acquire(in_order(s, 0), scene_soon()) == IPCK_OWNER_DIED);
	kill_check(ipck_lock_release(in_order(s, 0)) == 0);
	last_still_held(s, point);
}

static const struct kill_sweep notice =
	SCENE_SWEEP("lock_all_notice", setup_first_left, wait_for_all, notice_is_left);

/* A part of the locks of which all were acquired is released, whatever happens. */

static void acquire_all_behind(struct scene *s)
{
	scene_until_ready(s);
	scene_going(s);
	change_with_all(s);
	scene_awake(s);
}

static void *setup_all_sleeper(void)
{
	struct scene *s = setup();

	scene_add_sleeper(s, acquire_all_behind);
	return s;
}

static void change_and_release_all(void *ctx)
{
	struct scene *s = ctx;

	kill_check(acquire_all(s, IPCK_NOWAIT) == 0);
	scene_begin_ready(s);
	change(s);
	release_all(s);
	kill_end();
}

static void sleeper_has_all(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	(void)point;
	scene_until_awake(s);
	kill_check(s->a == s->b);
	all_are_free(s);
}

static const struct kill_sweep all_releaser =
	SCENE_SWEEP_MARKED("lock_all_release", setup_all_sleeper, change_and_release_all, sleeper_has_all);

int main(int argc, char **argv)
{
	static const struct kill_sweep *const sweeps[] = {&alone,  &releaser,    &in_vain, &handed,       &nested,
	                                                  &all,    &all_in_vain, &notice,  &all_releaser, NULL};

	return kill_main(argc, argv, sweeps);
}
