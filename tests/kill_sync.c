/* SPDX-License-Identifier: MIT */
/*
 * Events and counters: a killed operation has happened wholly or not at all, and who sleeps
 * for it then finds out by himself.
 */
#include "sync_scene.h"

#include <errno.h>

/* ---- events ---- */

static void event_asleep(struct scene *s)
{
	scene_going(s);
	kill_check(ipck_event_wait(&s->event, scene_soon()) == 0);
	scene_awake(s);
}

static void *setup_event(void)
{
	struct scene *s = scene_make(sizeof(s->event));

	kill_check(ipck_event_init(&s->event) == 0);
	return s;
}

static void *setup_event_sleepers(void)
{
	struct scene *s = setup_event();

	scene_sleepers(s, 2, event_asleep);
	return s;
}

static void *setup_event_set(void)
{
	struct scene *s = setup_event();

	kill_check(ipck_event_set(&s->event) == 0);
	return s;
}

static void set(void *ctx)
{
	kill_check(ipck_event_set(&((struct scene *)ctx)->event) == 0);
}

static void clear(void *ctx)
{
	kill_check(ipck_event_clear(&((struct scene *)ctx)->event) == 0);
}

static void set_and_clear(void *ctx)
{
	set(ctx);
	clear(ctx);
}

static void event_works(struct scene *s)
{
	clear(s);
	kill_check(!ipck_event_is_set(&s->event));
	kill_check(ipck_event_wait(&s->event, IPCK_NOWAIT) == -ETIMEDOUT);
	set(s);
	kill_check(ipck_event_is_set(&s->event));
	kill_check(ipck_event_wait(&s->event, IPCK_NOWAIT) == 0);
}

/* Its word of state says how often it was set, so also if it is clear again. */
static void setter_released(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	if (s->event.sealed[1] == 0) {
		kill_check(point->kind != KILL_NONE);
		set(s);
	}
	scene_until_awake(s);
	event_works(s);
}

static void was_cleared(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	kill_check(point->kind != KILL_NONE || !ipck_event_is_set(&s->event));
	event_works(s);
}

static void wait_in_vain(void *ctx)
{
	kill_check(ipck_event_wait(&((struct scene *)ctx)->event, scene_in_vain()) == -ETIMEDOUT);
}

static void others_released(void *ctx, const struct kill_point *point)
{
	(void)point;
	set(ctx);
	scene_until_awake(ctx);
	event_works(ctx);
}

static const struct kill_sweep setter = SCENE_SWEEP("event_set", setup_event_sleepers, set, setter_released);
static const struct kill_sweep pulse = SCENE_SWEEP("event_pulse", setup_event_sleepers, set_and_clear, setter_released);
static const struct kill_sweep clearer = SCENE_SWEEP("event_clear", setup_event_set, clear, was_cleared);
static const struct kill_sweep event_waiter =
	SCENE_SWEEP("event_wait", setup_event_sleepers, wait_in_vain, others_released);

/* ---- counters ---- */

#define BEFORE 5
#define AFTER 15

static void counter_asleep(struct scene *s)
{
	int64_t seen;

	scene_going(s);
	kill_check(ipck_counter_wait(&s->counter, IPCK_GE, AFTER, &seen, scene_soon()) == 0);
	kill_check(seen == AFTER);
	scene_awake(s);
}

static void *setup_counter(void)
{
	struct scene *s = scene_make(sizeof(s->counter));

	kill_check(ipck_counter_init(&s->counter, BEFORE) == 0);
	scene_sleepers(s, 2, counter_asleep);
	return s;
}

static void add(void *ctx)
{
	kill_check(ipck_counter_add(&((struct scene *)ctx)->counter, AFTER - BEFORE) == BEFORE);
}

static void assign(void *ctx)
{
	ipck_counter_set(&((struct scene *)ctx)->counter, AFTER);
}

static void exchange(void *ctx)
{
	kill_check(ipck_counter_exchange(&((struct scene *)ctx)->counter, AFTER) == BEFORE);
}

static void compare_exchange(void *ctx)
{
	int64_t expected = BEFORE;

	kill_check(ipck_counter_compare_exchange(&((struct scene *)ctx)->counter, &expected, AFTER));
}

static void counter_wait_in_vain(void *ctx)
{
	struct scene *s = ctx;

	kill_check(ipck_counter_wait(&s->counter, IPCK_LT, 0, NULL, scene_in_vain()) == -ETIMEDOUT);
}

/* Before, or after: then those who wait for it find out. */
static void counted(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;
	int64_t expected = 0;

	if (ipck_counter_get(&s->counter) == BEFORE) {
		kill_check(point->kind != KILL_NONE);
		add(s);
	}
	scene_until_awake(s);
	kill_check(ipck_counter_exchange(&s->counter, 1) == AFTER);
	kill_check(!ipck_counter_compare_exchange(&s->counter, &expected, 7) && expected == 1);
	ipck_counter_set(&s->counter, 2);
	kill_check(ipck_counter_add(&s->counter, -4) == 2);
	kill_check(ipck_counter_wait(&s->counter, IPCK_EQ, -2, NULL, IPCK_NOWAIT) == 0);
}

static void others_counted(void *ctx, const struct kill_point *point)
{
	add(ctx);
	counted(ctx, point);
}

static const struct kill_sweep adder = SCENE_SWEEP("counter_add", setup_counter, add, counted);
static const struct kill_sweep assigner = SCENE_SWEEP("counter_set", setup_counter, assign, counted);
static const struct kill_sweep exchanger = SCENE_SWEEP("counter_exchange", setup_counter, exchange, counted);
static const struct kill_sweep comparer =
	SCENE_SWEEP("counter_compare_exchange", setup_counter, compare_exchange, counted);
static const struct kill_sweep counter_waiter =
	SCENE_SWEEP("counter_wait", setup_counter, counter_wait_in_vain, others_counted);

static void *setup_striped(void)
{
	struct scene *s = scene_make(sizeof(s->striped));

	kill_check(ipck_striped_counter_init(&s->striped, BEFORE) == 0);
	return s;
}

static void striped_add(void *ctx)
{
	ipck_striped_counter_add(&((struct scene *)ctx)->striped, AFTER - BEFORE);
}

static void striped_counted(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;
	int64_t value = ipck_striped_counter_get(&s->striped);

	kill_check(value == AFTER || (value == BEFORE && point->kind != KILL_NONE));
	striped_add(s);
	kill_check(ipck_striped_counter_get(&s->striped) == value + AFTER - BEFORE);
}

static const struct kill_sweep striped = SCENE_SWEEP("striped_add", setup_striped, striped_add, striped_counted);

int main(int argc, char **argv)
{
	static const struct kill_sweep *const sweeps[] = {
		&setter, &pulse, &clearer, &event_waiter, &adder, &assigner, &exchanger, &comparer,
		&counter_waiter, &striped, NULL,
	};

	return kill_main(argc, argv, sweeps);
}
