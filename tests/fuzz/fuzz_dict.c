/* SPDX-License-Identifier: MIT */
/*
 * The fuzz target of dicts.  An input is 4 bytes for each change to a dict with keys and values of
 * many sizes in it: which part, two bytes for the place in it, and the byte that is written there.
 * Whatever it is, no call crashes, or goes on for ever; each is an error or does something.
 * The locks are spared, and what is written down to be done again: who writes there is trusted.
 *
 * check_dict_damage calls it with inputs of its own.  For libFuzzer, let LLVMFuzzerTestOneInput
 * call fuzz_dict, and compile with clang -fsanitize=fuzzer,address -include config.h -Ilib.
 */
#include "fuzz_dict.h"

#include <stdio.h>
#include <stdlib.h>

#include "coll/dict.h"

#define KEYS 60
#define NUMBERS 200

unsigned fuzz_dict_done, fuzz_dict_damaged;

/* What a call said: told, or it was done. */
static void note(long rc)
{
	fuzz_dict_done += rc >= 0;
	fuzz_dict_damaged += rc == -EPROTO;
}

static void require(long rc)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "fuzz_dict: setting it up: %s\n", ipck_strerror((int)rc));
	abort();
}

static size_t size_of(uint32_t key)
{
	static const size_t sizes[] = {8, 0, 30, 300, 8, 3000, 1, 20000};

	return sizes[key % ARRAY_SIZE(sizes)];
}

/* Some are replaced, and some deleted. */
static void fill(struct ipck_dict *d)
{
	static const char bytes[20000];

	for (uint32_t key = 0; key < KEYS; key++)
		require(ipck_dict_set(d, &key, sizeof(key), bytes, key % 16 == 7 ? size_of(key) : size_of(key) % 5000));
	for (uint32_t key = 0; key < KEYS; key += 3)
		require(ipck_dict_set(d, &key, sizeof(key), bytes, 50));
	for (uint32_t key = 1; key < KEYS; key += 6)
		require(ipck_dict_delete(d, &key, sizeof(key)));
	/* So many that each part has some, and cells. */
	for (uint64_t key = 0; key < NUMBERS; key++)
		require(ipck_dict_set_u64(d, key, key));
	for (uint64_t key = 3; key < NUMBERS; key += 4)
		require(ipck_dict_set(d, &key, sizeof(key), bytes, key % 12));
}

struct part {
	char *start;
	size_t size;
};

/* An arena's words between its lock and its redo, the line of its readers, the table of pages, the pages. */
static void damage(struct ipck_dict *d, const uint8_t change[4])
{
	struct slab_arena *a = &d->slabs.arena[change[0] / 8 % d->slabs.arenas];
	struct pages *p = &d->slabs.pages;
	uint64_t index = dict_index(d, a), index_size = index ? MIN(index_bytes(index), 384u) : 0;
	/* What was damaged before says nothing. */
	bool has_index = dict_is_within(d, index_offset(index), index_size);
	size_t place = change[1] | (size_t)change[2] << 8, pages = (size_t)p->shm->frontier;
	const struct part parts[] = {
		{(char *)&a->spare, offsetof(struct slab_arena, redo) - offsetof(struct slab_arena, spare)},
		{(char *)slab_front(&d->slabs, a), sizeof(struct slab_front)},
		{(char *)&p->shm->frontier, offsetof(struct pages_shm, redo) - offsetof(struct pages_shm, frontier)},
		{(char *)p->table, pages * sizeof(struct page)},
		{p->body + p->first_at, pages * PAGE_BYTES},
		{p->body + (has_index ? index_offset(index) : 0), has_index ? index_size : 0},
	};
	const struct part *part = &parts[change[0] % ARRAY_SIZE(parts)];

	if (pages > p->count || !part->size)
		return;
	if (change[0] % ARRAY_SIZE(parts) >= 3 && !pages_hold(p, p->first_at, pages * PAGE_BYTES))
		return;
	part->start[place % part->size] = (char)change[3];
}

static int add_a_byte(const void **value, size_t *size, void *arg)
{
	static const char bytes[30000];

	(void)arg;
	*size = *value ? MIN(*size + 1, sizeof(bytes)) : 1;
	*value = bytes;
	return IPCK_DICT_SET;
}

static void use(struct ipck_dict *d, uint32_t key)
{
	char value[20000];
	size_t needed;
	void *bytes;

	note(ipck_dict_get(d, &key, sizeof(key), value, sizeof(value), &needed));
	note(ipck_dict_contains(d, &key, sizeof(key)));
	note(ipck_dict_set(d, &key, sizeof(key), value, size_of(key + 1)));
	note(ipck_dict_add(d, &key, sizeof(key), 1, NULL));
	note(ipck_dict_update(d, &key, sizeof(key), add_a_byte, NULL));
	note(ipck_dict_swap(d, &key, sizeof(key), value, 8, value, 16));
	if (ipck_dict_get_new(d, &key, sizeof(key), &bytes, &needed) == 0)
		free(bytes);
	note(ipck_dict_pop(d, &key, sizeof(key), value, sizeof(value), &needed));
	note(ipck_dict_insert(d, &key, sizeof(key), value, 100));
	note(ipck_dict_delete(d, &key, sizeof(key)));
}

/* What is in cells, and goes into a record and back. */
static void use_number(struct ipck_dict *d, uint64_t key)
{
	uint64_t value = 0;
	int64_t sum;

	note(ipck_dict_get_u64(d, key, &value));
	note(ipck_dict_set_u64(d, key, value + 1));
	note(ipck_dict_add_u64(d, key, 1, &sum));
	note(ipck_dict_set(d, &key, sizeof(key), &value, 5));
	note(ipck_dict_set(d, &key, sizeof(key), &value, 3));
	note(ipck_dict_replace(d, &key, sizeof(key), &value, 8));
	note(ipck_dict_swap(d, &key, sizeof(key), &value, 8, &value, 0));
	if (key % 4 == 0)
		note(ipck_dict_delete_u64(d, key));
	if (key % 8 == 0)
		note(ipck_dict_set_u64(d, key, value));
}

static void walk(struct ipck_dict *d)
{
	struct ipck_dict_stats stats = IPCK_DICT_STATS_INIT;
	struct ipck_dict_item item;
	struct ipck_dict_iter *it;
	volatile unsigned char sum = 0;
	int rc;

	note(ipck_dict_check(d));
	note(ipck_dict_length(d));
	note(ipck_dict_stat(d, &stats));
	require(ipck_dict_iterate(d, &it));
	while ((rc = ipck_dict_next(it, &item)) == 1)
		for (size_t i = 0; i < item.key_size; i++)
			sum = (unsigned char)(sum + ((const unsigned char *)item.key)[i]);
	note(rc);
	ipck_dict_iter_free(it);
}

int fuzz_dict(const uint8_t *data, size_t size)
{
	struct ipck_dict *d;

	require(ipck_dict_create(&d, NULL, IPCK_DICT_OPTS(.max_bytes = 1 << 20)));
	fill(d);
	for (size_t i = 0; i + 4 <= size; i += 4)
		damage(d, &data[i]);
	for (uint32_t key = 0; key < KEYS + 10; key += 1 + (size ? data[0] % 3 : 0))
		use(d, key);
	for (uint64_t key = 0; key < NUMBERS + 10; key++)
		use_number(d, key);
	walk(d);
	note(ipck_dict_clear(d));
	walk(d);
	ipck_dict_close(d);
	return 0;
}
