/* SPDX-License-Identifier: MIT */
/* Messages put into a queue, and got out of it, by who is killed at each point. */
#include "queue_scene.h"

#include <errno.h>
#include <stdlib.h>

SCENE_SETUP(setup_empty, 0)
SCENE_SETUP(setup_some, SCENE_SOME)
SCENE_SETUP(setup_wrap, SCENE_WRAP | SCENE_JOINABLE)
SCENE_SETUP(setup_some_wrap, SCENE_WRAP | SCENE_SOME | SCENE_JOINABLE)
SCENE_SETUP(setup_armed, SCENE_ARMED)
SCENE_SETUP(setup_some_armed, SCENE_ARMED | SCENE_SOME)
SCENE_SETUP(setup_consumer, SCENE_CONSUMER)
SCENE_SETUP(setup_held, SCENE_HELD | SCENE_SOME | SCENE_WRAP)
SCENE_SETUP(setup_full, SCENE_FULL | SCENE_PRODUCER)
SCENE_SETUP(setup_full_wrap, SCENE_FULL | SCENE_PRODUCER | SCENE_WRAP)
SCENE_SETUP(setup_bounded, SCENE_BOUNDED | SCENE_FULL | SCENE_PRODUCER)
SCENE_SETUP(setup_peers, SCENE_STUCK | SCENE_FULL | SCENE_JOINABLE | SCENE_CONSUMER | SCENE_PRODUCER | SCENE_JOINER)
SCENE_SETUP(setup_large, SCENE_LARGE | SCENE_WRAP)
SCENE_SETUP(setup_large_consumer, SCENE_LARGE | SCENE_CONSUMER)
SCENE_SETUP(setup_large_some, SCENE_LARGE | SCENE_SOME)
SCENE_SETUP(setup_large_full, SCENE_LARGE | SCENE_FULL | SCENE_PRODUCER | SCENE_WRAP)
SCENE_SETUP(setup_joined, SCENE_UNDONE | SCENE_JOINABLE | SCENE_CONSUMER | SCENE_JOINER)

/* ---- put ---- */

static int put_until(struct scene *s, size_t size, struct ipck_deadline deadline)
{
	static char bytes[SCENE_LONG];
	uint32_t number = scene_try(s, VICTIM);
	int rc;

	scene_fill(bytes, VICTIM, number, size);
	scene_begin(s);
	rc = ipck_queue_put(s->queue, bytes, size, deadline);
	scene_note(s, VICTIM, number, rc);
	scene_end(s);
	return rc;
}

static void put(void *ctx)
{
	kill_check(put_until(ctx, scene_size(ctx), scene_soon()) == 0);
}

static void put_in_vain(void *ctx)
{
	kill_check(put_until(ctx, scene_size(ctx), scene_in_vain()) == -ETIMEDOUT);
}

#define MANY 3

/* The first one that is put is the first of the order. */
static void put_many(void *ctx)
{
	static char bytes[MANY][SCENE_LONG];
	struct scene *s = ctx;
	struct iovec messages[MANY];
	uint32_t numbers[MANY];
	int n;

	for (int i = 0; i < MANY; i++) {
		/* The second is large in a ring that is. */
		size_t size = i == 1 ? scene_size(s) : SCENE_SMALL;

		numbers[i] = scene_try(s, VICTIM);
		scene_fill(bytes[i], VICTIM, numbers[i], size);
		messages[i] = (struct iovec){bytes[i], size};
	}
	scene_begin(s);
	n = ipck_queue_put_many(s->queue, messages, MANY, scene_soon());
	for (int i = 0; i < n; i++)
		scene_note(s, VICTIM, numbers[i], 0);
	scene_end(s);
	kill_check(n == MANY);
}

/* ---- get ---- */

static ssize_t get_until(struct scene *s, struct ipck_deadline deadline)
{
	static char bytes[SCENE_LONG];
	ssize_t n;

	s->may_miss = 1;
	scene_begin(s);
	n = ipck_queue_get(s->queue, bytes, sizeof(bytes), NULL, deadline);
	scene_end(s);
	if (n >= 0) {
		scene_look(bytes, (size_t)n);
		scene_count(s, bytes);
		s->victim_got = 1;
	}
	return n;
}

static void get(void *ctx)
{
	kill_check(get_until(ctx, scene_soon()) >= 0);
}

static void get_in_vain(void *ctx)
{
	kill_check(get_until(ctx, scene_in_vain()) == -ETIMEDOUT);
}

/* There is none; a bell that rings in vain is silenced. */
static void drain(void *ctx)
{
	struct scene *s = ctx;

	kill_check(scene_put(s, AFTER, SCENE_SMALL, IPCK_NOWAIT) == 0);
	kill_check(scene_get(s, IPCK_NOWAIT) == AFTER);
	kill_check(get_until(ctx, IPCK_NOWAIT) == -ETIMEDOUT);
}

static void get_new(void *ctx)
{
	struct scene *s = ctx;
	void *bytes;
	size_t size;

	s->may_miss = 1;
	scene_begin(s);
	kill_check(ipck_queue_get_new(s->queue, &bytes, &size, scene_soon()) == 0);
	scene_end(s);
	scene_look(bytes, size);
	scene_count(s, bytes);
	s->victim_got = 1;
	free(bytes);
}

static void get_many(void *ctx)
{
	static char bytes[3 * SCENE_LONG];
	struct scene *s = ctx;
	struct iovec messages[MANY];
	int n;

	s->may_miss = MANY;
	scene_begin(s);
	n = ipck_queue_get_many(s->queue, bytes, sizeof(bytes), messages, MANY, NULL, scene_soon());
	scene_end(s);
	kill_check(n > 0);
	for (int i = 0; i < n; i++) {
		scene_look(messages[i].iov_base, messages[i].iov_len);
		scene_count(s, messages[i].iov_base);
	}
	s->victim_got = (uint32_t)n;
}

/* ---- the proof ---- */

/* Of what was put at once, and is small, all is there or nothing. */
static void prove_all_or_none(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	scene_prove(s, point);
	kill_check(s->got[VICTIM][1] == s->got[VICTIM][2] && s->got[VICTIM][2] == s->got[VICTIM][3]);
}

/* None is there without the ones before. */
static void prove_first_ones(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	scene_prove(s, point);
	kill_check(s->got[VICTIM][1] >= s->got[VICTIM][2] && s->got[VICTIM][2] >= s->got[VICTIM][3]);
}

static void prove(void *ctx, const struct kill_point *point)
{
	scene_prove(ctx, point);
}

static struct kill_sweep sweeps[] = {
	{.name = "put", .setup = setup_empty, .victim = put, .survive = prove},
	{.name = "put over the end", .setup = setup_wrap, .victim = put, .survive = prove},
	{.name = "put behind others", .setup = setup_some_wrap, .victim = put, .survive = prove},
	{.name = "put behind held", .setup = setup_held, .victim = put, .survive = prove},
	{.name = "put armed", .setup = setup_armed, .victim = put, .survive = prove},
	{.name = "put to a sleeper", .setup = setup_consumer, .victim = put, .survive = prove},
	{.name = "put beside a joiner", .setup = setup_joined, .victim = put, .survive = prove},
	{.name = "put when full", .share = 4, .setup = setup_peers, .victim = put_in_vain, .survive = prove},
	{.name = "put when bounded", .share = 4, .setup = setup_bounded, .victim = put_in_vain, .survive = prove},
	{.name = "put large", .setup = setup_large, .victim = put, .survive = prove},
	{.name = "put large to a sleeper", .setup = setup_large_consumer, .victim = put, .survive = prove},
	{.name = "put large when full", .share = 4, .setup = setup_large_full, .victim = put_in_vain, .survive = prove},
	{.name = "put many", .setup = setup_wrap, .victim = put_many, .survive = prove_all_or_none},
	{.name = "put many to a sleeper", .setup = setup_consumer, .victim = put_many, .survive = prove_all_or_none},
	{.name = "put many large", .setup = setup_large, .victim = put_many, .survive = prove_first_ones},
	{.name = "get", .setup = setup_some, .victim = get, .survive = prove},
	{.name = "get over the end", .setup = setup_some_wrap, .victim = get, .survive = prove},
	{.name = "get behind held", .setup = setup_held, .victim = get, .survive = prove},
	{.name = "get armed", .setup = setup_some_armed, .victim = get, .survive = prove},
	{.name = "get drained", .setup = setup_armed, .victim = drain, .survive = prove},
	{.name = "get when full", .setup = setup_full_wrap, .victim = get, .survive = prove},
	{.name = "get when bounded", .setup = setup_bounded, .victim = get, .survive = prove},
	{.name = "get in vain", .setup = setup_consumer, .victim = get_in_vain, .survive = prove},
	{.name = "get in vain, all asleep", .share = 4, .setup = setup_peers, .victim = get_in_vain, .survive = prove},
	{.name = "get large", .setup = setup_large_some, .victim = get, .survive = prove},
	{.name = "get large when full", .setup = setup_large_full, .victim = get, .survive = prove},
	{.name = "get new", .setup = setup_full, .victim = get_new, .survive = prove},
	{.name = "get many", .setup = setup_some_wrap, .victim = get_many, .survive = prove},
	{.name = "get many when full", .setup = setup_full, .victim = get_many, .survive = prove},
	{.name = "get many large", .setup = setup_large_full, .victim = get_many, .survive = prove},
};

int main(int argc, char **argv)
{
	return scene_main(argc, argv, sweeps, sizeof(sweeps) / sizeof(*sweeps));
}
