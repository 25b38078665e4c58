/* SPDX-License-Identifier: MIT */
/* Dicts that are full, and go on to be used: keys go and come. */
#include "coll/dict.h"
#include "dicts.h"

#define CHANGES 60000

/* Until there is no more room; how many there are. */
static uint64_t fill_up(void)
{
	uint64_t key = 0;

	for (int rc = 0; rc >= 0; key++) {
		rc = ipck_dict_set_u64(dict, key, ~key);
		ck_that(rc == IPCK_CREATED || rc == -ENOSPC);
	}
	return key - 1;
}

/* Small pairs take 64 bytes at most when an index has just grown, and a fresh one needs room beside the old one. */
START_TEST(little_ones_hold_many)
{
	static const size_t bytes[] = {1 << 16, 1 << 17, 1 << 18, 1 << 20, 1 << 22};

	for (size_t i = 0; i < ARRAY_SIZE(bytes); i++) {
		make_dict(bytes[i]);
		ck_assert_uint_ge(fill_up(), bytes[i] / 160);
		is_sound();
		ck_ok(ipck_dict_clear(dict));
		is_sound();
		ck_assert_uint_eq(figures().bytes, 0);
		ck_that(ck_ok(set_filled(1, 4000, 1)) == IPCK_CREATED);
		end_dict();
	}
}
END_TEST

/* What was deleted is not gone past for ever: some of the slots are empty again. */
static void is_swept(void)
{
	for (uint32_t i = 0; i < dict->slabs.arenas; i++) {
		uint64_t place = dict_index(dict, &dict->slabs.arena[i]), empty = 0;

		for (uint64_t n = 0; n < index_slots(place); n++)
			empty += dict_word(dict, index_slot(place, n)) == SLOT_EMPTY;
		ck_assert_uint_ge(empty, index_slots(place) / 32);
	}
}

/* The oldest goes, for each that comes, of what was there from 0 on. */
static void change_all(uint64_t keys, size_t size)
{
	uint64_t first = 0, next = keys;

	for (unsigned n = 0; n < CHANGES; n++, next++) {
		int rc = set_filled(next, size, next);

		while (rc == -ENOSPC && first < next) {
			int gone = ipck_dict_delete_u64(dict, first++);

			ck_that(gone == 0 || gone == -ENOENT);
			rc = set_filled(next, size, next);
		}
		ck_that(ck_ok(rc) == IPCK_CREATED);
	}
	for (uint64_t key = first; key < next; key += 7)
		if (has(key) && key >= keys)
			expect_filled(key, size, key);
}

START_TEST(keys_go_and_come)
{
	make_dict(1 << 18);
	change_all(fill_up(), _i ? 100 : 8);
	is_sound();
	is_swept();
	end_dict();
}
END_TEST

/* A line from which others have gone on is not swept: they are found. */
START_TEST(what_was_passed_is_found)
{
	uint64_t keys;

	make_dict(1 << 16);
	keys = fill_up();
	for (unsigned round = 0; round < 50; round++) {
		for (uint64_t key = round % 5; key < keys; key += 5)
			ck_ok(ipck_dict_delete_u64(dict, key));
		for (uint64_t key = 0; key < keys; key++)
			ck_that(has(key) == (key % 5 != round % 5));
		is_sound();
		for (uint64_t key = round % 5; key < keys; key += 5)
			ck_that(ck_ok(ipck_dict_set_u64(dict, key, ~key)) == IPCK_CREATED);
	}
	has_keys(keys);
	is_sound();
	end_dict();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dict_full");
	TCase *tc = test_case(s, "full");

	tcase_add_test(tc, little_ones_hold_many);
	tcase_add_loop_test(tc, keys_go_and_come, 0, 2);
	tcase_add_test(tc, what_was_passed_is_found);
	return test_main(s);
}
