/* SPDX-License-Identifier: MIT */
/* Measures maps: processes that get and set random keys. */
#include "map.h"

#include <errno.h>
#include <string.h>

#include "team.h"

/* Gets of each process before it is measured: enough to have touched each page. */
#define WARM_STEP 8

static make_map *make_it;
static struct map_shape shape;
static struct map map;

/* Of this process. */
static uint64_t random_state;
static uint32_t serial;
static _Alignas(64) char value_in[MAP_VALUE_MAX], value_out[MAP_VALUE_MAX];

static void take_shape(long size)
{
	shape.processes = (int)(size % 10);
	shape.sets = (int)(size / 10 % 1000);
	shape.value = (size_t)(size / 10000 % 10000);
	shape.keys = 1;
	for (long power = size / 100000000; power > 0; power--)
		shape.keys *= 10;
}

/* Keys are all over the 64 bits, as hashes are; none is 0. */
static uint64_t key_of(uint64_t number)
{
	return (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t next_random(void)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return random_state;
}

/* A value begins with a half of its key, and a number that is another one each time. */
static int set_one(uint64_t key)
{
	uint32_t begin[2] = {(uint32_t)key, serial++};

	memcpy(value_out, begin, sizeof(begin));
	return map.set(key, value_out);
}

static int get_one(uint64_t key)
{
	uint32_t begin;
	int rc = map.get(key, value_in);

	memcpy(&begin, value_in, sizeof(begin));
	return rc < 0 ? rc : begin == (uint32_t)key ? 0 : -EBADMSG;
}

static int set_up(int members)
{
	int rc = make_it(&map, &shape);

	(void)members;
	for (uint64_t i = 0; i < shape.keys && rc >= 0; i++)
		rc = set_one(key_of(i));
	return rc >= 0 && map.filled ? map.filled() : rc;
}

/* So that none faults in while it is measured what the one that filled it has, and others not. */
static int enter(int member)
{
	uint64_t step = shape.value < MAP_VALUE_MAX ? WARM_STEP : 1;
	int rc = map.enter ? map.enter() : 0;

	random_state = (uint64_t)member + 1;
	for (int i = 0; i < 8; i++)
		next_random();
	for (uint64_t i = 0; i < shape.keys && rc >= 0; i += step)
		rc = get_one(key_of(i));
	return rc;
}

/* Which of them are sets is decided by 16 bits that have no part in the key. */
static int work(int member, long n)
{
	int rc = random_state == 0 ? enter(member) : 0;
	uint32_t sets = (uint32_t)shape.sets * 65536 / 100;

	for (; n > 0 && rc >= 0; n--) {
		uint64_t random = next_random(), key = key_of((random >> 32) * shape.keys >> 32);

		rc = (random >> 16 & 0xffff) < sets ? set_one(key) : get_one(key);
	}
	return rc;
}

double map_rate(make_map *make, const struct bench_ctx *ctx)
{
	static const struct job job = {set_up, work, NULL};

	take_shape(ctx->size);
	make_it = make;
	return team_sum(&job, ctx, shape.processes);
}
