/* SPDX-License-Identifier: MIT */
/*
 * Map: values by keys, shared by processes, for the rows of dicts.  Each process gets and sets
 * random keys of those that are there.  For C++ too.
 */
#ifndef MAP_H
#define MAP_H

#include "bench.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MAP_VALUE_MAX 4096

struct map_shape {
	uint64_t keys; /* at most 2^32 */
	size_t value;  /* bytes of each: 8, 100 or 4096 */
	int sets;      /* of 100 operations, the others are gets */
	int processes;
};

/* The size of a row, in decimal digits: of the keys their power of 10, 4 of value, 3 of sets, 1 of processes. */
#define MAP_SIZE(power, value, sets, processes) ((((power) * 10000L + (value)) * 1000 + (sets)) * 10 + (processes))
/* The greatest of so many keys, for struct contender. */
#define MAP_SIZE_MOST(power) MAP_SIZE(power, 9999, 999, 9)

struct map {
	/* Each process, before its first operation, and once all keys are there; NULL: nothing to do. */
	int (*enter)(void);
	/* Copies the value out: 0, or -errno. */
	int (*get)(uint64_t key, void *value);
	/* 0, or -errno. */
	int (*set)(uint64_t key, const void *value);
	/* After all keys were set for the first time; NULL: nothing to do. */
	int (*filled)(void);
};

/* Makes an empty one; called once in a process, before the others are forked. */
typedef int make_map(struct map *map, const struct map_shape *shape);

/* What all processes get and set, per second.  That each value is one of its key is checked. */
double map_rate(make_map *make, const struct bench_ctx *ctx);

/* peer_probe.c: the floor, for values of 8 bytes */
make_map floor_probe;
/* peer_lmdb.c */
make_map peer_lmdb;
/* peer_boost_map.cc: Boost.Interprocess's */
make_map peer_boost_map, peer_boost_sharable_map;

#ifdef __cplusplus
}
#endif

#endif
