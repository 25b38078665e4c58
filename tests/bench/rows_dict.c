/* SPDX-License-Identifier: MIT */
/* Dicts: get and set by several processes, of several sizes. */
#include "map.h"

#include <errno.h>
#include <ipckit.h>

#define MAX_BYTES_LEAST ((size_t)64 << 20) /* as it comes */

/* ---- ipckit ---- */

static struct ipck_dict *dict;
static size_t value_size;

static int get(uint64_t key, void *value)
{
	ssize_t rc = ipck_dict_get(dict, &key, sizeof(key), value, value_size, NULL);

	return rc < 0 ? (int)rc : (size_t)rc == value_size ? 0 : -EBADMSG;
}

static int set(uint64_t key, const void *value)
{
	return ipck_dict_set(dict, &key, sizeof(key), value, value_size);
}

/* It may grow to twice of what it needs. */
static int make_dict(struct map *map, const struct map_shape *shape)
{
	size_t bytes = 2 * shape->keys * (shape->value + sizeof(uint64_t) + 48);

	value_size = shape->value;
	*map = (struct map){.get = get, .set = set};
	return ipck_dict_create(&dict, NULL,
	                        IPCK_DICT_OPTS(.max_bytes = bytes < MAX_BYTES_LEAST ? MAX_BYTES_LEAST : bytes));
}

/* ---- contenders ---- */

#ifndef HAVE_BOOST
int peer_boost_map(struct map *map, const struct map_shape *shape)
{
	(void)map;
	(void)shape;
	return -ENOENT;
}
#define peer_boost_sharable_map peer_boost_map
#endif

#define RUN(name, make) \
	static double run_##name(const struct bench_ctx *ctx) \
	{ \
		return map_rate(make, ctx); \
	}

RUN(ipckit, make_dict)
RUN(boost, peer_boost_map)
RUN(sharable, peer_boost_sharable_map)
RUN(lmdb, peer_lmdb)
RUN(probe, floor_probe)

static double run_python(const struct bench_ctx *ctx)
{
	return python_run("dict", ctx);
}

/* clang-format off */
#define BOOST .target = 1, .package = "libboost-dev, before configure"
/* CPython's is no faster with fewer keys, and long in being filled with many. */
#define ALL \
	{"ipckit", run_ipckit}, \
	{"Boost unordered_map, mutex", run_boost, BOOST}, \
	{"Boost unordered_map, sharable mutex", run_sharable, BOOST}, \
	{"LMDB", run_lmdb, .target = 1, .package = "liblmdb-dev, before configure"}, \
	{"CPython Manager().dict()", run_python, .target = 1, .package = "python3", .most = MAP_SIZE_MOST(6)}
/* clang-format on */

static const struct contender small_contenders[] = {
	ALL,
	{"floor: a probe of a table, no lock", run_probe},
	{0},
};

static const struct contender large_contenders[] = {
	ALL,
	{0},
};

/* Values of 4 KiB have pages and headers of their own in some. */
#define ROW(called, text, power, value, sets, processes, least, contenders) \
	{ \
		.name = called, .job = text, .unit = (sets) == 0 ? "get" : (sets) == 100 ? "set" : "operation", \
		.placement = (processes) > 2 ? FREE : OWN_CPUS, .size = MAP_SIZE(power, value, sets, processes), \
		.figure = least, .memory = 1e##power * (3 * (value) + 200), .with = contenders, \
	}

const struct row dict_rows[] = {
	ROW("dict-get", "dict, 1e5 keys, alone: get 8 B", 5, 8, 0, 1, 0, small_contenders),
	ROW("dict-get-1e3", "dict, 1e3 keys, 2 processes: get 8 B", 3, 8, 0, 2, 0, small_contenders),
	ROW("dict-get-1e5", "dict, 1e5 keys, 2 processes: get 8 B", 5, 8, 0, 2, 30e6, small_contenders),
	ROW("dict-get-1e6", "dict, 1e6 keys, 2 processes: get 8 B", 6, 8, 0, 2, 15e6, small_contenders),
	ROW("dict-get-1e7", "dict, 1e7 keys, 2 processes: get 8 B", 7, 8, 0, 2, 8e6, small_contenders),
	ROW("dict-get-100", "dict, 1e6 keys, 2 processes: get 100 B", 6, 100, 0, 2, 0, large_contenders),
	ROW("dict-get-4k", "dict, 1e5 keys, 2 processes: get 4 KiB", 5, 4096, 0, 2, 0, large_contenders),
	ROW("dict-set-1e5", "dict, 1e5 keys, alone: set 8 B", 5, 8, 100, 1, 6.3e6, small_contenders),
	ROW("dict-set-1e7", "dict, 1e7 keys, alone: set 8 B", 7, 8, 100, 1, 2.5e6, small_contenders),
	ROW("dict-set-2", "dict, 1e5 keys, 2 processes: set 8 B", 5, 8, 100, 2, 0, small_contenders),
	ROW("dict-set-100", "dict, 1e6 keys, 2 processes: set 100 B", 6, 100, 100, 2, 0, large_contenders),
	ROW("dict-set-4k", "dict, 1e3 keys, 2 processes: set 4 KiB", 3, 4096, 100, 2, 0, large_contenders),
	ROW("dict-95-1e6", "dict, 1e6 keys, 2 processes: 95 % get, 5 % set 8 B", 6, 8, 5, 2, 0, small_contenders),
	ROW("dict-95-4", "dict, 1e5 keys, 4 processes: 95 % get, 5 % set 100 B", 5, 100, 5, 4, 0, large_contenders),
	ROW("dict-50-1e5", "dict, 1e5 keys, 2 processes: 50 % get, 50 % set 8 B", 5, 8, 50, 2, 0, small_contenders),
	ROW("dict-50-8", "dict, 1e3 keys, 8 processes: 50 % get, 50 % set 8 B", 3, 8, 50, 8, 0, small_contenders),
	{0},
};
