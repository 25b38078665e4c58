/* SPDX-License-Identifier: MIT */
/* Dicts with small keys and values, which are in cells of an index, beside large ones, which are in records. */
#include "coll/dict.h"
#include "dicts.h"

#define KEY_SIZES 10
#define SIZES 18
#define LONGEST 18

/* ---- indexes of one kind ---- */

/* What the first key of each shard is like: its index has cells, or has none. */
enum kind { SMALL_FIRST, LARGE_FIRST, MIXED, KINDS };

static bool has_cells(uint64_t shard)
{
	return dict_index(dict, &dict->slabs.arena[shard]) & INDEX_CELLS;
}

static size_t first_size(enum kind kind, uint64_t shard)
{
	return kind == SMALL_FIRST || (kind == MIXED && shard % 2) ? 8 : 100;
}

static uint64_t shard_of(const void *key, size_t size)
{
	return dict_shard_number(dict, dict_key(dict, key, size).hash);
}

/* One key in each shard, where nobody else looks. */
static void make_indexes(enum kind kind, size_t max_bytes)
{
	make_dict(max_bytes);
	for (uint64_t key = UINT64_C(1) << 60; figures().keys < dict->slabs.arenas; key++) {
		uint64_t shard = shard_of(&key, sizeof(key));
		size_t size = first_size(kind, shard);

		if (dict_index(dict, &dict->slabs.arena[shard]))
			continue;
		ck_that(ck_ok(set_filled(key, size, key)) == IPCK_CREATED);
		ck_that(has_cells(shard) == (size == 8));
	}
	is_sound();
}

static void firsts_are_there(enum kind kind)
{
	uint64_t n = 0;

	for (uint64_t key = UINT64_C(1) << 60; n < dict->slabs.arenas; key++)
		if (has(key)) {
			expect_filled(key, first_size(kind, shard_of(&key, sizeof(key))), key);
			n++;
		}
}

/* ---- pairs of any sizes ---- */

struct pair {
	size_t key_size, size;
	char key[LONGEST], value[LONGEST];
};

/* Keys of one size differ in their first bytes, as far as there are any. */
static struct pair make_pair(size_t key_size, uint16_t number, size_t size)
{
	struct pair p = {.key_size = key_size, .size = size};

	fill(p.key, key_size, 3);
	memcpy(p.key, &number, MIN(key_size, sizeof(number)));
	fill(p.value, size, 100 * key_size + 10000 * number + size);
	return p;
}

static bool is_small(const struct pair *p)
{
	return p->key_size <= 8 && p->size <= 8;
}

static uint64_t block_of(const struct pair *p)
{
	return slab_room(record_bytes(record_sizes(p->key_size, p->size)));
}

static int set_pair(const struct pair *p)
{
	return ipck_dict_set(dict, p->key, p->key_size, p->value, p->size);
}

static void expect_pair(const struct pair *p)
{
	char got[LONGEST] = "";
	size_t needed = 0;

	ck_that(ck_ok(ipck_dict_get(dict, p->key, p->key_size, got, sizeof(got), NULL)) == (int64_t)p->size);
	ck_that(memcmp(got, p->value, p->size) == 0);
	ck_that(ck_ok(ipck_dict_contains(dict, p->key, p->key_size)) == 1);
	if (p->size == 0)
		return;
	ck_err(ipck_dict_get(dict, p->key, p->key_size, got, p->size - 1, &needed), EMSGSIZE);
	ck_that(needed == p->size);
}

static void expect_no_pair(const struct pair *p)
{
	char got[LONGEST];

	ck_err(ipck_dict_get(dict, p->key, p->key_size, got, sizeof(got), NULL), ENOENT);
	ck_err(ipck_dict_pop(dict, p->key, p->key_size, got, sizeof(got), NULL), ENOENT);
	ck_err(ipck_dict_delete(dict, p->key, p->key_size), ENOENT);
	ck_that(ck_ok(ipck_dict_contains(dict, p->key, p->key_size)) == 0);
}

static void pop_pair(const struct pair *p)
{
	char got[LONGEST] = "";

	if (p->size > 0)
		ck_err(ipck_dict_pop(dict, p->key, p->key_size, got, p->size - 1, NULL), EMSGSIZE);
	ck_that(ck_ok(ipck_dict_pop(dict, p->key, p->key_size, got, p->size, NULL)) == (int64_t)p->size);
	ck_that(memcmp(got, p->value, p->size) == 0);
}

/* A small pair has no block of its own, where there are cells; what was replaced has none any more. */
static void replace_one(const struct pair *from, const struct pair *to)
{
	uint64_t before = figures().bytes, keys = figures().keys, more;
	bool cells = has_cells(shard_of(from->key, from->key_size));

	expect_no_pair(from);
	ck_that(ck_ok(set_pair(from)) == IPCK_CREATED);
	ck_that(figures().bytes == before + (cells && is_small(from) ? 0 : block_of(from)));
	expect_pair(from);
	has_keys(keys + 1);
	ck_that(ck_ok(set_pair(to)) == 0);
	more = figures().bytes - before;
	ck_that(more == block_of(to) || (more == 0 && cells && is_small(to)));
	expect_pair(to);
	has_keys(keys + 1);
	if (from->size % 2)
		pop_pair(to);
	else
		ck_ok(ipck_dict_delete(dict, to->key, to->key_size));
	expect_no_pair(to);
	has_keys(keys);
	ck_that(figures().bytes == before);
}

START_TEST(all_sizes)
{
	make_indexes((enum kind)_i, 1 << 20);
	for (size_t key_size = 0; key_size < KEY_SIZES; key_size++) {
		for (size_t size = 0; size < SIZES * SIZES; size++) {
			struct pair from = make_pair(key_size, 1, size / SIZES);
			struct pair to = make_pair(key_size, 1, size % SIZES);

			replace_one(&from, &to);
		}
		is_sound();
	}
	firsts_are_there((enum kind)_i);
	end_dict();
}
END_TEST

static int to_pair(const void **value, size_t *size, void *arg)
{
	const struct pair *to = arg;

	if (!to)
		return IPCK_DICT_DELETE;
	*value = to->value;
	*size = to->size;
	return IPCK_DICT_SET;
}

/* The calls that set a value if. */
static void set_if(struct pair *from, struct pair *to)
{
	const char *key = from->key;
	size_t key_size = from->key_size;

	ck_err(ipck_dict_replace(dict, key, key_size, from->value, from->size), ENOENT);
	ck_err(ipck_dict_swap(dict, key, key_size, NULL, 0, from->value, from->size), ENOENT);
	ck_ok(ipck_dict_insert(dict, key, key_size, from->value, from->size));
	ck_err(ipck_dict_insert(dict, key, key_size, to->value, to->size), EEXIST);
	ck_err(ipck_dict_swap(dict, key, key_size, "longer than others are", 22, to->value, to->size), ESTALE);
	expect_pair(from);
	ck_ok(ipck_dict_swap(dict, key, key_size, from->value, from->size, to->value, to->size));
	expect_pair(to);
	ck_ok(ipck_dict_replace(dict, key, key_size, from->value, from->size));
	expect_pair(from);
	ck_that(ck_ok(ipck_dict_update(dict, key, key_size, to_pair, to)) == IPCK_DICT_SET);
	expect_pair(to);
	ck_that(ck_ok(ipck_dict_update(dict, key, key_size, to_pair, NULL)) == IPCK_DICT_DELETE);
	expect_no_pair(from);
}

START_TEST(conditions)
{
	make_indexes((enum kind)_i, 1 << 20);
	for (size_t key_size = 0; key_size < KEY_SIZES; key_size++)
		for (size_t size = 0; size < SIZES * SIZES; size += 1 + size % 3) {
			struct pair from = make_pair(key_size, 1, size / SIZES);
			struct pair to = make_pair(key_size, 1, size % SIZES);

			set_if(&from, &to);
		}
	firsts_are_there((enum kind)_i);
	end_dict();
}
END_TEST

/* A count is one in a cell, in a record, and in what it was moved to. */
START_TEST(counts)
{
	make_indexes((enum kind)_i, 1 << 20);
	for (size_t key_size = 0; key_size < KEY_SIZES; key_size++)
		for (size_t size = 0; size < SIZES; size++) {
			struct pair p = make_pair(key_size, 1, size);
			int64_t sum = 77, there = 0;

			ck_that(ck_ok(ipck_dict_add(dict, p.key, key_size, 5, &sum)) == IPCK_CREATED && sum == 5);
			ck_that(ck_ok(ipck_dict_add(dict, p.key, key_size, -7, &sum)) == 0 && sum == -2);
			ck_that(ck_ok(ipck_dict_get(dict, p.key, key_size, &there, 8, NULL)) == 8 && there == -2);
			ck_ok(set_pair(&p));
			if (size == 8)
				ck_ok(ipck_dict_add(dict, p.key, key_size, 0, NULL));
			else
				ck_err(ipck_dict_add(dict, p.key, key_size, 1, &sum), EINVAL);
			expect_pair(&p);
			sum = 1000;
			ck_ok(ipck_dict_set(dict, p.key, key_size, &sum, 8));
			ck_that(ck_ok(ipck_dict_add(dict, p.key, key_size, 1, &sum)) == 0 && sum == 1001);
			ck_ok(ipck_dict_delete(dict, p.key, key_size));
		}
	end_dict();
}
END_TEST

/* ---- all of them at once ---- */

/* Of no bytes there is one key only. */
static bool is_first(size_t key_size, uint16_t number)
{
	return key_size > 0 || number == 0;
}

/* The iterator's items are all of these, each once, and the first keys. */
static void are_all(struct ipck_dict_iter *it, uint64_t pairs)
{
	bool seen[KEY_SIZES][SIZES] = {{false}};
	struct ipck_dict_item item;
	uint64_t n = 0;
	int rc;

	while ((rc = ipck_dict_next(it, &item)) == 1) {
		uint16_t number = 0;
		struct pair p;

		ck_that((uintptr_t)item.key % 8 == 0 && (uintptr_t)item.value % 8 == 0);
		memcpy(&number, item.key, MIN(item.key_size, sizeof(number)));
		p = make_pair(item.key_size < KEY_SIZES ? item.key_size : 0, number, item.value_size % SIZES);
		if (item.key_size != p.key_size || memcmp(item.key, p.key, p.key_size) != 0)
			continue;
		ck_that(item.value_size == p.size && memcmp(item.value, p.value, p.size) == 0);
		ck_that(!seen[p.key_size][number]);
		seen[p.key_size][number] = true;
		n++;
	}
	ck_ok(rc);
	ck_that(n == pairs);
	ipck_dict_iter_free(it);
}

START_TEST(all_at_once)
{
	struct ipck_dict_iter *it;
	uint64_t pairs = 0, firsts;

	make_indexes((enum kind)_i, 1 << 20);
	firsts = dict->slabs.arenas;
	for (size_t key_size = 0; key_size < KEY_SIZES; key_size++)
		for (uint16_t size = 0; size < SIZES; size++) {
			struct pair p = make_pair(key_size, size, size);

			if (!is_first(key_size, size))
				continue;
			ck_that(ck_ok(set_pair(&p)) == IPCK_CREATED);
			pairs++;
		}
	has_keys(firsts + pairs);
	is_sound();
	ck_ok(ipck_dict_iterate(dict, &it));
	are_all(it, pairs);
	ck_ok(ipck_dict_snapshot(dict, &it));
	for (size_t key_size = 0; key_size < KEY_SIZES; key_size++)
		for (uint16_t size = 0; size < SIZES; size++) {
			struct pair p = make_pair(key_size, size, size);

			if (!is_first(key_size, size))
				continue;
			expect_pair(&p);
			pop_pair(&p);
			expect_no_pair(&p);
		}
	are_all(it, pairs);
	has_keys(firsts);
	firsts_are_there((enum kind)_i);
	ck_ok(ipck_dict_clear(dict));
	has_keys(0);
	end_dict();
}
END_TEST

/* ---- growth ---- */

#define MANY 20000

/* Keys of 3 to 18 bytes, and values of 0 to 17, in all combinations. */
static struct pair nth_pair(uint32_t n)
{
	struct pair p = {.key_size = 3 + n % 16, .size = n / 16 % SIZES};

	fill(p.key, p.key_size, 1);
	for (unsigned i = 0; i < 3; i++)
		p.key[i] = (char)(n >> 8 * i);
	fill(p.value, p.size, n);
	return p;
}

static void are_there(uint32_t n, uint32_t but_each)
{
	for (uint32_t i = 0; i < n; i++) {
		struct pair p = nth_pair(i);

		if (but_each && i % but_each == 0)
			expect_no_pair(&p);
		else
			expect_pair(&p);
	}
}

START_TEST(growth)
{
	uint64_t firsts;

	make_indexes((enum kind)_i, 0);
	firsts = dict->slabs.arenas;
	for (uint32_t n = 0; n < MANY; n++) {
		struct pair p = nth_pair(n);

		ck_that(ck_ok(set_pair(&p)) == IPCK_CREATED);
		if ((n & (n + 1)) == 0) {
			is_sound();
			has_keys(firsts + n + 1);
			are_there(MIN(n, 500u), 0);
		}
	}
	are_there(MANY, 0);
	for (uint32_t n = 0; n < MANY; n += 3) {
		struct pair p = nth_pair(n);

		ck_ok(ipck_dict_delete(dict, p.key, p.key_size));
	}
	is_sound();
	are_there(MANY, 3);
	firsts_are_there((enum kind)_i);
	ck_ok(ipck_dict_clear(dict));
	has_keys(0);
	/* A small index of each. */
	ck_assert_uint_le(figures().bytes, firsts * 2 * LINE_BYTES_MAX);
	end_dict();
}
END_TEST

/* Of as many small pairs the index is all: at most 4/3 * 2 slots of 24 bytes for each, rounded up to twice that. */
START_TEST(memory_of_small_pairs)
{
	make_dict(0);
	for (uint64_t key = 0; key < MANY; key++)
		ck_that(ck_ok(ipck_dict_set_u64(dict, key, key)) == IPCK_CREATED);
	ck_assert_uint_le(figures().bytes, MANY * (16 + 48));
	for (uint64_t i = 0; i < dict->slabs.arenas; i++)
		ck_that(has_cells(i) && dict->slabs.arena[i].blocks == 1);
	end_dict();
}
END_TEST

/* An index without cells gets them when it grows and most are small, one with keeps them while there are small ones. */
START_TEST(cells_come_and_stay)
{
	uint64_t shards = 64;

	make_indexes(LARGE_FIRST, 0);
	for (uint64_t key = 0; key < 100 * shards; key++)
		ck_ok(ipck_dict_set_u64(dict, key, key));
	for (uint64_t i = 0; i < shards; i++)
		ck_that(has_cells(i));
	for (uint64_t key = 100 * shards; key < 400 * shards; key++)
		ck_ok(set_filled(key, 20, key));
	is_sound();
	for (uint64_t i = 0; i < shards; i++)
		ck_that(has_cells(i));
	for (uint64_t key = 100 * shards; key < 400 * shards; key++)
		expect_filled(key, 20, key);
	for (uint64_t key = 0, value = 0; key < 100 * shards; key++) {
		ck_ok(ipck_dict_get_u64(dict, key, &value));
		ck_that(value == key);
	}
	end_dict();
}
END_TEST

/* ---- no more room ---- */

/* Shard 0 takes all pages, down to the last. */
static void take_all_pages(void)
{
	static const size_t sizes[] = {20000, 4000, 1000, 100, 20};
	uint64_t key = 1000000;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (int rc = 0; rc >= 0; key++)
			if (shard_of(&key, sizeof(key)) == 0) {
				rc = set_filled(key, sizes[i], key);
				ck_that(rc == IPCK_CREATED || rc == -ENOSPC);
			}
	is_sound();
}

/* Small pairs of one shard, until one has no room; how many there were.  What is no small one has none. */
static uint64_t fill_cells(uint64_t shard, uint64_t *next)
{
	for (uint64_t n = 0;;) {
		uint64_t key = (*next)++;
		int rc;

		if (shard_of(&key, sizeof(key)) != shard)
			continue;
		ck_err(set_filled(key, 9, key), ENOSPC);
		rc = ipck_dict_set_u64(dict, key, key);
		if (rc == -ENOSPC)
			return n;
		ck_that(ck_ok(rc) == IPCK_CREATED);
		n++;
	}
}

START_TEST(small_pairs_need_no_room)
{
	uint64_t next = 0, n = 0, value = 0, bytes;

	make_indexes(SMALL_FIRST, 400000);
	take_all_pages();
	bytes = figures().bytes;
	for (uint64_t shard = 1; shard < dict->slabs.arenas; shard++) {
		uint64_t more = fill_cells(shard, &next);

		/* One was there before; and one slot stays empty. */
		ck_assert_uint_ge(more + 1, 12);
		ck_assert_uint_lt(more + 1, 16);
		n += more;
	}
	is_sound();
	ck_that(figures().bytes == bytes && n > 0);
	/* What is in place, and what another has left. */
	for (uint64_t key = 0; key < next; key++) {
		if (!has(key))
			continue;
		n--;
		ck_ok(ipck_dict_set_u64(dict, key, ~key));
		ck_err(ipck_dict_set(dict, &key, sizeof(key), "12345", 5), ENOSPC);
		ck_ok(ipck_dict_get_u64(dict, key, &value));
		ck_that(value == ~key);
		ck_ok(ipck_dict_delete_u64(dict, key));
		ck_ok(ipck_dict_set(dict, &key, sizeof(key), "12345", 5));
	}
	ck_that(n == 0 && figures().bytes == bytes);
	end_dict();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dict_cells");
	TCase *tc = test_case(s, "pairs");

	tcase_add_loop_test(tc, all_sizes, 0, KINDS);
	tcase_add_loop_test(tc, conditions, 0, KINDS);
	tcase_add_loop_test(tc, counts, 0, KINDS);
	tcase_add_loop_test(tc, all_at_once, 0, KINDS);
	tc = test_case(s, "growth");
	tcase_add_loop_test(tc, growth, 0, KINDS);
	tcase_add_test(tc, memory_of_small_pairs);
	tcase_add_test(tc, cells_come_and_stay);
	tc = test_case(s, "full");
	tcase_add_test(tc, small_pairs_need_no_room);
	return test_main(s);
}
