/* SPDX-License-Identifier: MIT */
/* Readers against writers of a dict, in threads and in processes; counters; growth beside readers. */
#include "coll/dict.h"
#include "dicts.h"

#include "ways.h"

#define READERS 2
#define WRITERS 2
#define LARGEST 3000

/* done: writers that have ended; reads: by all readers. */
static struct storm {
	uint32_t done;
	uint64_t reads;
} *storm;

static void make_storm(size_t max_bytes)
{
	storm = test_shared(sizeof(*storm));
	make_dict(max_bytes);
}

static void set_stamped(uint64_t key, uint64_t version, size_t size)
{
	char bytes[LARGEST];

	write_stamped(bytes, key, version, size);
	ck_ok(ipck_dict_set(dict, &key, sizeof(key), bytes, size));
}

/* ---- values that change their sizes ---- */

#define KEYS 48

/* The first half is there all the time; the rest comes and goes. */
static bool stays(uint64_t key)
{
	return key < KEYS / 2;
}

static void write_one(struct test_random *dice, unsigned n)
{
	uint64_t key = test_random_below(dice, KEYS);
	size_t size = 24 + test_random_below(dice, n % 4 ? 80 : LARGEST - 24);
	char bytes[LARGEST];
	ssize_t got;

	if (stays(key) || n % 3 == 0) {
		set_stamped(key, n, size);
		return;
	}
	got = ipck_dict_pop(dict, &key, sizeof(key), bytes, sizeof(bytes), NULL);
	if (got != -ENOENT)
		(void)read_stamped(bytes, key, (size_t)ck_ok(got));
}

/* Into a buffer that is large enough, one that may not be, or one that is made. */
static void read_one(struct test_random *dice, unsigned how)
{
	uint64_t key = test_random_below(dice, KEYS);
	char bytes[LARGEST];
	size_t room = how == 0 ? sizeof(bytes) : 60, needed = 0, size;
	void *made;
	ssize_t n;

	if (how < 2) {
		n = ipck_dict_get(dict, &key, sizeof(key), bytes, room, &needed);
		if (n >= 0)
			(void)read_stamped(bytes, key, (size_t)n);
		else if (n == -EMSGSIZE)
			ck_that(needed > room && needed <= LARGEST);
		else
			ck_that(n == -ENOENT && !stays(key));
	} else if (how == 2) {
		n = ipck_dict_get_new(dict, &key, sizeof(key), &made, &size);
		if (n == 0) {
			(void)read_stamped(made, key, size);
			free(made);
		} else {
			ck_that(n == -ENOENT && !stays(key));
		}
	} else {
		ck_that(ck_ok(ipck_dict_contains(dict, &key, sizeof(key))) == 1 || !stays(key));
	}
}

/* Each goes on until it has done its part, and the others theirs. */
static void read_or_write(unsigned i, void *arg)
{
	struct test_random dice = test_random(i);
	const unsigned *times = arg;

	if (i < WRITERS) {
		for (unsigned n = 0; n < *times || load_relaxed(&storm->reads) < *times; n++)
			write_one(&dice, n);
		add_seq(&storm->done, 1);
		return;
	}
	for (unsigned n = 0; load_seq(&storm->done) < WRITERS; n++) {
		read_one(&dice, n % 4);
		add_relaxed(&storm->reads, 1);
	}
}

START_TEST(readers_against_writers)
{
	unsigned times = 4000;

	make_storm(0);
	for (uint64_t key = 0; stays(key); key++)
		set_stamped(key, 0, 24);
	run_parties(_i, WRITERS + READERS, read_or_write, &times);
	is_sound();
	ck_ok(ipck_dict_clear(dict));
	has_keys(0);
	end_dict();
}
END_TEST

/* ---- small values that become large ones, and small again ---- */

/* So few parts have all keys, of 8 bytes, of fewer and of more. */
#define PARTS 4
#define LARGE_VALUE 40

static uint64_t ids[KEYS];

static size_t key_in(char bytes[12], uint64_t key)
{
	static const size_t sizes[] = {8, 5, 12};

	for (unsigned i = 0; i < 12; i++)
		bytes[i] = (char)(i < 5 ? ids[key] >> 8 * i : 0);
	return sizes[key % 3];
}

static void choose_ids(void)
{
	uint64_t next = 0;
	char id[12];

	for (uint64_t key = 0; key < KEYS; key++)
		do {
			ids[key] = next++;
		} while (dict_shard_number(dict, dict_key(dict, id, key_in(id, key)).hash) >= PARTS);
}

static uint64_t key_of(const void *bytes, size_t size)
{
	char id[12];

	for (uint64_t key = 0; key < KEYS; key++)
		if (size == key_in(id, key) && memcmp(bytes, id, size) == 0)
			return key;
	ck_abort_msg("a key of nobody's");
	return 0;
}

/* Values say by their first byte, and their size, what they are. */
static uint64_t whose_value(uint64_t key, size_t size, unsigned char first)
{
	return (key << 16 | (uint64_t)size << 8 | first) * 2 + 1;
}

static void make_value(char *bytes, uint64_t key, size_t size, unsigned version)
{
	if (size == 0)
		return;
	fill(bytes, size, whose_value(key, size, (unsigned char)version));
	bytes[0] = (char)version;
}

static void is_value(const char *bytes, uint64_t key, size_t size)
{
	char whole[LARGE_VALUE];

	ck_that(size <= sizeof(whole));
	make_value(whole, key, size, size ? (unsigned char)bytes[0] : 0);
	ck_that(memcmp(bytes, whole, size) == 0);
}

/* In a cell, in a record, to and fro; what comes and goes takes the cells of others. */
static void change_size(struct test_random *dice, unsigned n)
{
	static const size_t sizes[] = {8, 8, 8, 8, 0, 1, 5, 7, 9, 16, 24, LARGE_VALUE};
	uint64_t key = test_random_below(dice, KEYS);
	size_t size = sizes[test_random_below(dice, sizeof(sizes) / sizeof(*sizes))], key_size;
	char bytes[LARGE_VALUE], id[12];
	ssize_t got;

	key_size = key_in(id, key);
	if (stays(key) || n % 2) {
		make_value(bytes, key, size, n);
		ck_ok(ipck_dict_set(dict, id, key_size, bytes, size));
		return;
	}
	got = ipck_dict_pop(dict, id, key_size, bytes, sizeof(bytes), NULL);
	if (got != -ENOENT)
		is_value(bytes, key, (size_t)ck_ok(got));
}

/* With room for all values, for those in cells only, or none. */
static void read_any_size(struct test_random *dice)
{
	static const size_t rooms[] = {LARGE_VALUE, LARGE_VALUE, 8, 7};
	uint64_t key = test_random_below(dice, KEYS);
	size_t room = rooms[test_random_below(dice, 4)], needed = 0, key_size;
	char bytes[LARGE_VALUE], id[12];
	ssize_t n;

	key_size = key_in(id, key);
	n = ipck_dict_get(dict, id, key_size, bytes, room, &needed);
	if (n >= 0)
		is_value(bytes, key, (size_t)n);
	else if (n == -EMSGSIZE)
		ck_that(needed > room && needed <= LARGE_VALUE);
	else
		ck_that(n == -ENOENT && !stays(key));
	ck_that(ck_ok(ipck_dict_contains(dict, id, key_size)) == 1 || !stays(key));
}

/* Those that stay are all seen, and whole. */
static void walk_any_size(void)
{
	struct ipck_dict_iter *it;
	struct ipck_dict_item item;
	unsigned stay = 0;
	int rc;

	ck_ok(ipck_dict_iterate(dict, &it));
	while ((rc = ipck_dict_next(it, &item)) == 1) {
		uint64_t key = key_of(item.key, item.key_size);

		is_value(item.value, key, item.value_size);
		stay += stays(key);
	}
	ck_ok(rc);
	ck_that(stay == KEYS / 2);
	ipck_dict_iter_free(it);
}

static void change_or_read(unsigned i, void *arg)
{
	struct test_random dice = test_random(i + 10);
	const unsigned *times = arg;

	if (i < WRITERS) {
		for (unsigned n = 0; n < *times || load_relaxed(&storm->reads) < *times; n++)
			change_size(&dice, n);
		add_seq(&storm->done, 1);
		return;
	}
	for (unsigned n = 0; load_seq(&storm->done) < WRITERS; n++) {
		if (n % 256 == 255)
			walk_any_size();
		read_any_size(&dice);
		add_relaxed(&storm->reads, 1);
	}
}

START_TEST(from_cells_and_back)
{
	unsigned times = 6000;
	char bytes[LARGE_VALUE], id[12];

	make_storm(0);
	choose_ids();
	for (uint64_t key = 0; stays(key); key++) {
		size_t key_size = key_in(id, key);

		make_value(bytes, key, key % 9, 0);
		ck_ok(ipck_dict_set(dict, id, key_size, bytes, key % 9));
	}
	run_parties(_i, WRITERS + READERS, change_or_read, &times);
	is_sound();
	walk_any_size();
	ck_ok(ipck_dict_clear(dict));
	has_keys(0);
	end_dict();
}
END_TEST

/* ---- values that stay where they are ---- */

/* Only ever more: who reads sees no value go back. */
static void count_or_watch(unsigned i, void *arg)
{
	uint64_t key = 5, last = 0, value = 0;

	(void)arg;
	if (i == 0) {
		for (uint64_t n = 1; n < 5000; n++)
			ck_that(ck_ok(ipck_dict_set_u64(dict, key, n << 32 | n)) == 0);
		add_seq(&storm->done, 1);
		return;
	}
	while (load_seq(&storm->done) == 0) {
		ck_ok(ipck_dict_get_u64(dict, key, &value));
		ck_that(value >= last && (uint32_t)value == value >> 32);
		last = value;
	}
}

START_TEST(in_place)
{
	make_storm(1 << 20);
	ck_ok(ipck_dict_set_u64(dict, 5, 0));
	run_parties(_i, 3, count_or_watch, NULL);
	end_dict();
}
END_TEST

/* ---- what each does is done once ---- */

#define ADDERS 4
#define ADDS 3000
#define COUNTERS 30

static void add_all(unsigned i, void *arg)
{
	struct test_random dice = test_random(i);
	int64_t sum, *added = arg;

	for (unsigned n = 0; n < ADDS; n++) {
		uint64_t key = test_random_below(&dice, COUNTERS);
		int64_t delta = (int64_t)test_random_below(&dice, 1000) - 400;

		ck_ok(ipck_dict_add_u64(dict, key, delta, n % 2 ? &sum : NULL));
		add_relaxed(&added[key], delta);
	}
}

START_TEST(counters)
{
	int64_t *added = test_shared(COUNTERS * sizeof(*added));

	make_dict(1 << 20);
	run_parties(_i, ADDERS, add_all, added);
	for (uint64_t key = 0; key < COUNTERS; key++) {
		uint64_t value = 0;

		ck_ok(ipck_dict_get_u64(dict, key, &value));
		ck_that((int64_t)value == added[key]);
	}
	has_keys(COUNTERS);
	end_dict();
}
END_TEST

/* Of all who insert a key, swap a value or delete one of them does. */
static void only_one(unsigned i, void *arg)
{
	uint64_t *won = arg;

	for (uint64_t key = 0; key < 500; key++) {
		uint64_t mine = i, next = i + 100, got = 0;
		int rc = ipck_dict_insert(dict, &key, sizeof(key), &mine, sizeof(mine));

		ck_that(rc == 0 || rc == -EEXIST);
		add_relaxed(&won[0], rc == 0);
		rc = ipck_dict_swap(dict, &key, sizeof(key), &mine, sizeof(mine), &next, sizeof(next));
		ck_that(rc == 0 || rc == -ESTALE || rc == -ENOENT);
		if (ipck_dict_pop(dict, &key, sizeof(key), &got, sizeof(got), NULL) > 0) {
			ck_that(got < ADDERS || (got >= 100 && got < 100 + ADDERS));
			add_relaxed(&won[1], 1);
		}
	}
}

START_TEST(one_of_them_does_it)
{
	uint64_t *won = test_shared(2 * sizeof(*won));

	make_dict(1 << 20);
	run_parties(_i, ADDERS, only_one, won);
	ck_assert_uint_ge(won[0], 500);
	ck_assert_uint_eq(won[0], won[1]);
	has_keys(0);
	end_dict();
}
END_TEST

/* ---- growth ---- */

#define MANY 3000

/* Two that set new keys; readers find all that were said to be there. */
static void grow_or_read(unsigned i, void *arg)
{
	struct test_random dice = test_random(i);
	uint64_t *upto = arg;

	if (i < WRITERS) {
		for (uint64_t n = 0; n < MANY; n++) {
			set_stamped(n * WRITERS + i, n, 24 + n % 40);
			store_release(&upto[i], n + 1);
		}
		add_seq(&storm->done, 1);
		return;
	}
	while (load_seq(&storm->done) < WRITERS) {
		unsigned whose = (unsigned)test_random_below(&dice, WRITERS);
		uint64_t there = load_acquire(&upto[whose]);
		uint64_t key = test_random_below(&dice, there + 1) * WRITERS + whose;
		char bytes[LARGEST];
		ssize_t n = ipck_dict_get(dict, &key, sizeof(key), bytes, sizeof(bytes), NULL);

		if (n == -ENOENT)
			ck_that(key / WRITERS == there);
		else
			ck_that(read_stamped(bytes, key, (size_t)ck_ok(n)) == key / WRITERS);
	}
}

START_TEST(growth)
{
	uint64_t *upto = test_shared(WRITERS * sizeof(*upto));

	make_storm(0);
	run_parties(_i, WRITERS + READERS, grow_or_read, upto);
	has_keys(MANY * WRITERS);
	end_dict();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dict_threads");
	TCase *tc = test_case(s, "threads");

	test_set_limit(tc, 60);
	tcase_add_loop_test(tc, readers_against_writers, 0, 2);
	tcase_add_loop_test(tc, from_cells_and_back, 0, 2);
	tcase_add_loop_test(tc, in_place, 0, 2);
	tcase_add_loop_test(tc, counters, 0, 2);
	tcase_add_loop_test(tc, one_of_them_does_it, 0, 2);
	tcase_add_loop_test(tc, growth, 0, 2);
	return test_main(s);
}
