/* SPDX-License-Identifier: MIT */
/*
 * Semaphores: a killed operation has happened wholly or not at all; who sleeps for it then
 * finds out by himself; and what a dead process had of a recorded one comes back.
 */
#include "sync_scene.h"

#include <errno.h>

#define PERMITS 3u
#define GIVING (UINT64_C(1) << 31) /* in the word of a permit's owner */

/* ---- semaphores that count ---- */

static void *make_semaphore(uint32_t value, const struct ipck_semaphore_opts *opts)
{
	struct scene *s = scene_make((4 + PERMITS) * sizeof(uint64_t));

	kill_check(ipck_semaphore_init(&s->semaphore, value, opts) == 0);
	return s;
}

static void *setup_plain(void)
{
	return make_semaphore(PERMITS, NULL);
}

static void *setup_bounded(void)
{
	return make_semaphore(PERMITS, IPCK_SEMAPHORE_OPTS(.bound = PERMITS));
}

static void acquire(void *ctx)
{
	kill_check(ipck_semaphore_acquire(&((struct scene *)ctx)->semaphore, IPCK_NOWAIT) == 0);
}

/* So many can be taken, and no more; they are given back. */
static void counts(struct ipck_semaphore *semaphore, uint32_t n)
{
	kill_check(ipck_semaphore_value(semaphore) == n);
	for (uint32_t i = 0; i < n; i++)
		kill_check(ipck_semaphore_acquire(semaphore, IPCK_NOWAIT) == 0);
	kill_check(ipck_semaphore_acquire(semaphore, IPCK_NOWAIT) == -ETIMEDOUT);
	kill_check(n == 0 || ipck_semaphore_release(semaphore, n) == 0);
}

static void one_less(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;
	uint32_t value = ipck_semaphore_value(&s->semaphore);

	kill_check(value == PERMITS - 1 || (value == PERMITS && point->kind != KILL_NONE));
	counts(&s->semaphore, value);
}

static void bounded_one_less(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	one_less(s, point);
	if (ipck_semaphore_value(&s->semaphore) < PERMITS)
		kill_check(ipck_semaphore_release(&s->semaphore, 1) == 0);
	kill_check(ipck_semaphore_release(&s->semaphore, 1) == -EPERM);
	counts(&s->semaphore, PERMITS);
}

static const struct kill_sweep plain = SCENE_SWEEP("acquire", setup_plain, acquire, one_less);
static const struct kill_sweep bounded = SCENE_SWEEP("acquire_bounded", setup_bounded, acquire, bounded_one_less);

/* ---- release, with sleepers ---- */

static void acquire_asleep(struct scene *s)
{
	scene_going(s);
	kill_check(ipck_semaphore_acquire(&s->semaphore, scene_soon()) == 0);
	scene_awake(s);
}

static void *setup_one(void)
{
	struct scene *s = make_semaphore(0, NULL);

	scene_sleepers(s, 1, acquire_asleep);
	return s;
}

static void *setup_three(void)
{
	struct scene *s = make_semaphore(0, NULL);

	scene_sleepers(s, 3, acquire_asleep);
	return s;
}

static void *setup_three_bounded(void)
{
	struct scene *s = make_semaphore(0, IPCK_SEMAPHORE_OPTS(.bound = PERMITS));

	scene_sleepers(s, 3, acquire_asleep);
	return s;
}

static void release(void *ctx)
{
	struct scene *s = ctx;

	kill_check(ipck_semaphore_release(&s->semaphore, s->sleepers) == 0);
}

/* Who has taken what was released does not sleep again. */
static bool is_released(const struct scene *s)
{
	while (ipck_semaphore_value(&s->semaphore) == 0 && load_acquire(&s->awake) == 0) {
		if (test_state(s->sleeper[0]) == 'S')
			return false;
		usleep(1000);
	}
	return true;
}

/* All of it, so that all wake up, or nothing. */
static void all_or_nothing(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	if (!is_released(s)) {
		kill_check(point->kind != KILL_NONE);
		release(s);
	}
	scene_until_awake(s);
	counts(&s->semaphore, 0);
	release(s);
	counts(&s->semaphore, s->sleepers);
}

static const struct kill_sweep one = SCENE_SWEEP("release", setup_one, release, all_or_nothing);
static const struct kill_sweep three = SCENE_SWEEP("release_3", setup_three, release, all_or_nothing);
static const struct kill_sweep three_bounded =
	SCENE_SWEEP("release_3_bounded", setup_three_bounded, release, all_or_nothing);

/* What is refused was never there. */

static void *setup_one_taken(void)
{
	struct scene *s = setup_bounded();

	acquire(s);
	return s;
}

static void release_two_then_one(void *ctx)
{
	struct scene *s = ctx;

	kill_check(ipck_semaphore_release(&s->semaphore, 2) == -EPERM);
	kill_check(ipck_semaphore_release(&s->semaphore, 1) == 0);
	kill_check(ipck_semaphore_release(&s->semaphore, 1) == -EPERM);
}

static void never_too_many(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;
	uint32_t value = ipck_semaphore_value(&s->semaphore);

	kill_check(value == PERMITS || (value == PERMITS - 1 && point->kind != KILL_NONE));
	counts(&s->semaphore, value);
}

static const struct kill_sweep refused =
	SCENE_SWEEP("release_too_many", setup_one_taken, release_two_then_one, never_too_many);

/* The victim waits beside another, and one permit comes, which it may take with it. */

static void release_to_victim(struct scene *s)
{
	scene_going(s);
	scene_until_victim_asleep(s);
	kill_check(ipck_semaphore_release(&s->semaphore, 1) == 0);
	scene_awake(s);
}

static void *setup_beside(void)
{
	struct scene *s = make_semaphore(0, NULL);

	scene_add_sleeper(s, acquire_asleep);
	scene_add_sleeper(s, release_to_victim);
	return s;
}

static void acquire_if_any(void *ctx)
{
	struct scene *s = ctx;
	int rc;

	scene_begin(s);
	rc = ipck_semaphore_acquire(&s->semaphore, scene_in_vain());
	kill_check(rc == 0 || rc == -ETIMEDOUT);
	kill_end();
}

static void other_gets_one(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	(void)point;
	KILL_UNTIL(load_acquire(&s->awake) >= 1);
	KILL_UNTIL(test_state(s->sleeper[1]) == 'Z' || test_state(s->sleeper[1]) == 0);
	kill_check(ipck_semaphore_release(&s->semaphore, 1) == 0);
	scene_until_awake(s);
	kill_check(ipck_semaphore_value(&s->semaphore) <= 1);
	counts(&s->semaphore, ipck_semaphore_value(&s->semaphore));
}

static const struct kill_sweep beside =
	SCENE_SWEEP_MARKED("acquire_beside", setup_beside, acquire_if_any, other_gets_one);

/* ---- recorded semaphores ---- */

static void *setup_recorded(void)
{
	return make_semaphore(PERMITS, IPCK_SEMAPHORE_OPTS(.recorded = true));
}

/* All permits can be had, `died` to `most` of them from the dead. */
static void none_is_lost(struct ipck_semaphore *semaphore, uint32_t died, uint32_t most)
{
	uint32_t told = 0;

	for (uint32_t i = 0; i < PERMITS; i++) {
		int rc = ipck_semaphore_acquire(semaphore, scene_soon());

		kill_check(rc == 0 || rc == IPCK_OWNER_DIED);
		told += rc == IPCK_OWNER_DIED;
	}
	kill_check(told >= died && told <= most);
	kill_check(ipck_semaphore_acquire(semaphore, IPCK_NOWAIT) == -ETIMEDOUT);
	kill_check(ipck_semaphore_release(semaphore, PERMITS + 1) == -EPERM);
	kill_check(ipck_semaphore_release(semaphore, PERMITS) == 0);
	kill_check(ipck_semaphore_release(semaphore, 1) == -EPERM);
	counts(semaphore, PERMITS);
}

static void one_comes_back(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;
	uint32_t taken = PERMITS - ipck_semaphore_value(&s->semaphore);

	kill_check(taken == 1 || (taken == 0 && point->kind != KILL_NONE));
	none_is_lost(&s->semaphore, taken, taken);
}

static const struct kill_sweep recorded = SCENE_SWEEP("acquire_recorded", setup_recorded, acquire, one_comes_back);

/* All permits are a dead one's, and the victim takes over one of them. */

static void take_all(struct scene *s)
{
	for (uint32_t i = 0; i < PERMITS; i++)
		acquire(s);
}

static void *setup_dead_owner(void)
{
	struct scene *s = setup_recorded();
	pid_t pid = scene_help(s, take_all);

	KILL_UNTIL(test_state(pid) == 'Z');
	return s;
}

static void take_over(void *ctx)
{
	kill_check(ipck_semaphore_acquire(&((struct scene *)ctx)->semaphore, scene_soon()) == IPCK_OWNER_DIED);
}

static void all_come_back(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	(void)point;
	kill_check(ipck_semaphore_value(&s->semaphore) == 0);
	none_is_lost(&s->semaphore, PERMITS, PERMITS);
}

static const struct kill_sweep over = SCENE_SWEEP("take_over", setup_dead_owner, take_over, all_come_back);

/* Others are asleep, and get what the victim releases, or had when it died. */

static void acquire_behind(struct scene *s)
{
	int rc;

	scene_until_ready(s);
	scene_going(s);
	rc = ipck_semaphore_acquire(&s->semaphore, scene_soon());
	kill_check(rc == 0 || rc == IPCK_OWNER_DIED);
	scene_awake(s);
	scene_until_awake(s);
	kill_check(ipck_semaphore_release(&s->semaphore, 1) == 0);
}

static void *setup_behind(void)
{
	struct scene *s = setup_recorded();

	for (uint32_t i = 0; i < PERMITS; i++)
		scene_add_sleeper(s, acquire_behind);
	return s;
}

static void have_and_release(void *ctx)
{
	take_all(ctx);
	scene_begin_ready(ctx);
	release(ctx);
	kill_end();
}

static void all_have_one(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	(void)point;
	scene_until_awake(s);
	KILL_UNTIL(ipck_semaphore_value(&s->semaphore) == PERMITS);
	none_is_lost(&s->semaphore, 0, 0);
}

static const struct kill_sweep recorded_release =
	SCENE_SWEEP_MARKED("release_3_recorded", setup_behind, have_and_release, all_have_one);

/* None of several is free before all of them are taken from the other threads. */

static void have_and_release_alone(void *ctx)
{
	struct scene *s = ctx;

	take_all(s);
	scene_begin(s);
	kill_check(ipck_semaphore_release(&s->semaphore, PERMITS) == 0);
	kill_end();
}

static void taken_then_free(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;
	const uint64_t *owner = (const uint64_t *)(const void *)&s->semaphore + 4;
	uint32_t available = ipck_semaphore_value(&s->semaphore), taken = 0;

	for (uint32_t i = 0; i < PERMITS; i++)
		taken += owner[i] != 0 && !(owner[i] & GIVING);
	kill_check(available == 0 || taken == 0);
	kill_check(available == PERMITS || point->kind != KILL_NONE);
	none_is_lost(&s->semaphore, PERMITS - available, PERMITS - available);
}

static const struct kill_sweep recorded_alone =
	SCENE_SWEEP_MARKED("release_recorded_alone", setup_recorded, have_and_release_alone, taken_then_free);

int main(int argc, char **argv)
{
	static const struct kill_sweep *const sweeps[] = {
		&plain,    &bounded, &one,  &three,            &three_bounded,  &refused, &beside,
		&recorded, &over,    &recorded_release, &recorded_alone, NULL,
	};

	return kill_main(argc, argv, sweeps);
}
