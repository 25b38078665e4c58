/* SPDX-License-Identifier: MIT */
/* Dicts that grow, are full, and are changed at random, beside a model of what must be in them. */
#include <sys/stat.h>

#include "dicts.h"

/* ---- growth ---- */

#define MANY 20000

START_TEST(growth)
{
	uint64_t pages, shards;
	struct stat st;

	make_dict(0);
	pages = figures().page_bytes;
	shards = figures().shards;
	for (uint64_t key = 0; key < MANY; key++) {
		ck_that(ck_ok(ipck_dict_set_u64(dict, key, key * key)) == IPCK_CREATED);
		if ((key & (key + 1)) == 0) {
			has_keys(key + 1);
			is_sound();
		}
	}
	has_keys(MANY);
	for (uint64_t key = 0, value = 0; key < MANY; key++) {
		ck_ok(ipck_dict_get_u64(dict, key, &value));
		ck_that(value == key * key && !has(key + MANY));
	}
	/* What is in use is reserved. */
	ck_that(fstat(ipck_dict_fd(dict), &st) == 0);
	ck_assert_uint_ge((uint64_t)st.st_blocks * 512, figures().page_bytes);
	ck_assert_uint_gt(figures().page_bytes, MANY * 16);
	ck_ok(ipck_dict_clear(dict));
	has_keys(0);
	is_sound();
	/* A page for what is left of an index, and one for small blocks. */
	ck_assert_uint_le(figures().page_bytes, pages + shards * 2 * 4096);
	for (uint64_t key = 0; key < MANY; key += 100)
		ck_that(!has(key) && ck_ok(ipck_dict_set_u64(dict, key, 1)) == IPCK_CREATED);
	end_dict();
}
END_TEST

/* Of each kind of block several in each shard. */
START_TEST(clear_gives_all_back)
{
	static const size_t sizes[] = {8, 100, 1000, 5000, 16000, 20000, 100000};
	const size_t kinds = sizeof(sizes) / sizeof(*sizes);
	struct ipck_dict_stats f;

	make_dict(0);
	for (int round = 0; round < 2; round++) {
		for (uint64_t key = 0; key < 100 * kinds; key++)
			ck_that(ck_ok(set_filled(key, sizes[key % kinds], key)) == IPCK_CREATED);
		ck_ok(ipck_dict_clear(dict));
		is_sound();
		f = figures();
		ck_that(f.keys == 0);
		ck_assert_uint_eq(f.bytes, 0);
		ck_assert_uint_le(f.page_bytes, f.shards * 2 * 4096);
	}
	end_dict();
}
END_TEST

/* ---- no more room ---- */

/* Which keys are there, and how many. */
static bool there[MANY];
static unsigned count;

/* Keys from the first on, until no part of the dict has room for one more. */
static void fill_up(uint64_t first, size_t size)
{
	unsigned failed = 0;

	for (uint64_t key = first; failed < 400; key++) {
		int rc;

		ck_that(key < MANY);
		if (there[key])
			continue;
		rc = set_filled(key, size, key);
		if (rc != -ENOSPC)
			ck_that(ck_ok(rc) == IPCK_CREATED);
		there[key] = rc >= 0;
		count += rc >= 0;
		failed = rc < 0 ? failed + 1 : 0;
	}
}

static void forget_all(void)
{
	memset(there, 0, sizeof(there));
	count = 0;
	has_keys(0);
	is_sound();
}

static void has_these(size_t size)
{
	has_keys(count);
	is_sound();
	for (uint64_t key = 0; key < MANY; key++)
		if (there[key])
			expect_filled(key, size, key);
		else
			ck_that(!has(key));
}

/* Nothing that has no room changes anything. */
static void changes_nothing(size_t size)
{
	char *large = calloc(1, 300000);

	ck_that(large);
	for (uint64_t key = 0; key < 100; key++)
		if (there[key]) {
			ck_err(ipck_dict_set(dict, &key, sizeof(key), large, 300000), ENOSPC);
			ck_err(ipck_dict_replace(dict, &key, sizeof(key), large, 300000), ENOSPC);
			ck_err(ipck_dict_swap(dict, &key, sizeof(key), large, size + 1, large, 300000), ESTALE);
		} else {
			ck_err(ipck_dict_set(dict, &key, sizeof(key), large, size), ENOSPC);
			ck_err(ipck_dict_insert(dict, &key, sizeof(key), large, size), ENOSPC);
			ck_err(ipck_dict_replace(dict, &key, sizeof(key), large, size), ENOENT);
		}
	free(large);
	has_these(size);
}

static void delete_these(void)
{
	for (uint64_t key = 0; key < MANY; key++)
		if (there[key])
			ck_ok(ipck_dict_delete_u64(dict, key));
	forget_all();
}

START_TEST(to_the_last_byte)
{
	static const size_t sizes[] = {0, 8, 9, 100, 1000, 5000, 16360, 20000, 40000};
	size_t size = sizes[_i];
	unsigned n;

	make_dict(400000);
	fill_up(0, size);
	ck_assert_uint_gt(count, 4);
	changes_nothing(size);
	/* What was deleted has room. */
	for (uint64_t key = 0; key < MANY; key++)
		if (there[key]) {
			ck_ok(ipck_dict_delete_u64(dict, key));
			ck_that(ck_ok(set_filled(key, size, key)) == IPCK_CREATED);
		}
	has_these(size);
	n = count;
	delete_these();
	fill_up(0, size);
	has_these(size);
	ck_assert_uint_ge(count, n / 10 * 8);
	ck_ok(ipck_dict_clear(dict));
	forget_all();
	fill_up(0, size);
	has_these(size);
	ck_assert_uint_ge(count, n / 10 * 8);
	end_dict();
}
END_TEST

/* Many parts have an index and no key, and others took the room. */
START_TEST(clear_needs_no_room)
{
	make_dict(1 << 20);
	for (uint64_t key = 0; key < 1000; key++)
		ck_ok(set_filled(key, 1, key));
	for (uint64_t key = 0; key < 1000; key++)
		ck_ok(ipck_dict_delete_u64(dict, key));
	fill_up(0, 100000);
	fill_up(1000, 4000);
	ck_ok(ipck_dict_clear(dict));
	forget_all();
	end_dict();
}
END_TEST

/* ---- at random ---- */

#define KEYS 200

/* What must be there. */
struct model {
	struct {
		bool there;
		size_t size;
		uint64_t whose;
	} of[KEYS];
	uint64_t keys;
};

static struct model model;
static struct test_random dice;

/* Keys of 0 to 40 bytes, different from each other. */
static size_t make_key(char *bytes, unsigned i)
{
	size_t size = i == 0 ? 0 : 1 + i % 40;

	memset(bytes, (int)(i & 0xff), size);
	if (size > 0)
		bytes[0] = (char)(i / 40);
	return size;
}

static size_t random_size(void)
{
	static const size_t bounds[] = {1, 9, 9, 9, 65, 65, 300, 300, 5000, 5000, 20000, 110000};

	return test_random_below(&dice, bounds[test_random_below(&dice, sizeof(bounds) / sizeof(*bounds))]);
}

/* It holds in the model, whatever it was before. */
static void now_there(unsigned i, size_t size, uint64_t whose)
{
	model.keys += !model.of[i].there;
	model.of[i].there = true;
	model.of[i].size = size;
	model.of[i].whose = whose;
}

static void now_gone(unsigned i)
{
	model.keys--;
	model.of[i].there = false;
}

static void set_at_random(unsigned i, const char *key, size_t key_size, unsigned how)
{
	size_t size = random_size();
	uint64_t whose = test_random_next(&dice);
	char *value = new_filled(size, whose);
	bool known = model.of[i].there;
	int rc, usual = how == 0 ? (known ? 0 : IPCK_CREATED) : how == 1 ? (known ? -EEXIST : 0) : known ? 0 : -ENOENT;

	if (how == 0)
		rc = ipck_dict_set(dict, key, key_size, value, size);
	else if (how == 1)
		rc = ipck_dict_insert(dict, key, key_size, value, size);
	else
		rc = ipck_dict_replace(dict, key, key_size, value, size);
	ck_that(rc == usual || (usual >= 0 && rc == -ENOSPC));
	if (rc >= 0)
		now_there(i, size, whose);
	free(value);
}

static void swap_at_random(unsigned i, const char *key, size_t key_size)
{
	size_t size = random_size();
	uint64_t whose = test_random_next(&dice);
	bool right = test_random_below(&dice, 2);
	char *value = new_filled(size, whose), *old = new_filled(model.of[i].size, model.of[i].whose + !right);
	int rc = ipck_dict_swap(dict, key, key_size, old, model.of[i].size, value, size);

	if (!model.of[i].there)
		ck_err(rc, ENOENT);
	else if (!right && model.of[i].size > 0)
		ck_err(rc, ESTALE);
	else if (rc != -ENOSPC)
		ck_ok(rc);
	if (rc >= 0)
		now_there(i, size, whose);
	free(value);
	free(old);
}

static void remove_at_random(unsigned i, const char *key, size_t key_size, bool pop)
{
	size_t size = model.of[i].size;
	char *got = calloc(1, size + 1);

	ck_that(got);
	if (!model.of[i].there) {
		ck_err(pop ? ipck_dict_pop(dict, key, key_size, got, size, NULL) :
		             ipck_dict_delete(dict, key, key_size), ENOENT);
	} else if (pop) {
		ck_that(ck_ok(ipck_dict_pop(dict, key, key_size, got, size, NULL)) == (int64_t)size);
		ck_that(is_filled(got, size, model.of[i].whose));
	} else {
		ck_ok(ipck_dict_delete(dict, key, key_size));
	}
	if (model.of[i].there)
		now_gone(i);
	free(got);
}

static void compare(unsigned i, const char *key, size_t key_size)
{
	void *value;
	size_t size;
	int rc = ipck_dict_get_new(dict, key, key_size, &value, &size);

	ck_that(ck_ok(ipck_dict_contains(dict, key, key_size)) == model.of[i].there);
	if (!model.of[i].there) {
		ck_err(rc, ENOENT);
		return;
	}
	ck_ok(rc);
	ck_that(size == model.of[i].size && is_filled(value, size, model.of[i].whose));
	free(value);
}

static void compare_all(void)
{
	char key[64] = "";

	for (unsigned i = 0; i < KEYS; i++)
		compare(i, key, make_key(key, i));
	has_keys(model.keys);
	is_sound();
}

/* With room for all, and with so little that it is often full. */
START_TEST(beside_a_model)
{
	make_dict(_i ? 64 << 20 : 1 << 20);
	dice = test_random((uint64_t)_i);
	for (unsigned n = 0; n < 8000; n++) {
		unsigned i = (unsigned)test_random_below(&dice, KEYS), what = (unsigned)test_random_below(&dice, 10);
		char key[64] = "";
		size_t key_size = make_key(key, i);

		if (what < 5)
			set_at_random(i, key, key_size, what / 2);
		else if (what < 6)
			swap_at_random(i, key, key_size);
		else if (what < 8)
			remove_at_random(i, key, key_size, what % 2);
		else
			compare(i, key, key_size);
		if (n % 500 == 499)
			compare_all();
		if (n % 3000 == 2999) {
			ck_ok(ipck_dict_clear(dict));
			memset(&model, 0, sizeof(model));
			compare_all();
		}
	}
	end_dict();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dict_room");
	TCase *tc = test_case(s, "growth");

	tcase_add_test(tc, growth);
	tcase_add_test(tc, clear_gives_all_back);
	tc = test_case(s, "full");
	tcase_add_loop_test(tc, to_the_last_byte, 0, 9);
	tcase_add_test(tc, clear_needs_no_room);
	tc = test_case(s, "model");
	tcase_add_loop_test(tc, beside_a_model, 0, 2);
	return test_main(s);
}
