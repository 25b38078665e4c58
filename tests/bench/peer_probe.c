/* SPDX-License-Identifier: MIT */
/*
 * The floor of maps: an open table of keys and values of 8 bytes each, in memory that processes
 * share, with no lock and no growth.  Only what is there already may be set by several.
 */
#include "map.h"

#include <errno.h>
#include <string.h>

#include "base/atomic.h"
#include "channel.h"

static struct entry {
	uint64_t key; /* 0: free */
	uint64_t value;
} *table;

static unsigned log_slots;

static struct entry *find(uint64_t key)
{
	uint64_t hash = (key ^ key >> 32) * UINT64_C(0xd6e8feb86659fd93), i = hash >> (64 - log_slots);

	while (table[i].key != key && table[i].key != 0)
		i = (i + 1) & ((UINT64_C(1) << log_slots) - 1);
	return &table[i];
}

static int get(uint64_t key, void *value)
{
	uint64_t word = load_relaxed(&find(key)->value);

	memcpy(value, &word, sizeof(word));
	return 0;
}

static int set(uint64_t key, const void *value)
{
	struct entry *e = find(key);
	uint64_t word;

	memcpy(&word, value, sizeof(word));
	e->key = key;
	store_relaxed(&e->value, word);
	return 0;
}

/* A half of it is free at least. */
int floor_probe(struct map *map, const struct map_shape *shape)
{
	log_slots = 1;
	while (UINT64_C(1) << log_slots < 2 * shape->keys)
		log_slots++;
	table = channel_memory(sizeof(*table) << log_slots);
	*map = (struct map){.get = get, .set = set};
	return !table ? -ENOMEM : shape->value == sizeof(uint64_t) ? 0 : -EINVAL;
}
