/* SPDX-License-Identifier: MIT */
/* What dicts are made of: keys and their hashes, the words and shapes of indexes, lines of words. */
#include <stdio.h>
#include <stdlib.h>

#include "coll/dict_index.h"
#include "coll/dict_key.h"
#include "support.h"

#define LONGEST 40
#define SEED UINT64_C(0x0123456789abcdef)

/* ---- keys ---- */

/* As records and cells have them. */
struct words {
	uint64_t word[LONGEST / 8 + 1];
};

static struct words words_of(const void *bytes, size_t size)
{
	struct words w = {{0}};

	memcpy(w.word, bytes, size);
	return w;
}

/* Memory that ends where the bytes end, which begin so far behind a multiple of 8. */
static char *new_bytes(const void *from, size_t size, size_t beyond, char **block)
{
	*block = malloc(MAX(beyond + size, (size_t)1));
	ck_that(*block);
	memcpy(*block + beyond, from, size);
	return *block + beyond;
}

static bool are_equal(const struct dict_key *a, const struct dict_key *b)
{
	struct words w = words_of(b->bytes, b->size);

	return a->size == b->size && is_key(a, w.word);
}

START_TEST(words_of_keys)
{
	struct test_random random = test_random(1);
	char from[LONGEST];

	for (size_t size = 0; size <= LONGEST; size++)
		for (size_t beyond = 0; beyond < 8; beyond++) {
			struct words w;
			struct dict_key key;
			char *block, *bytes;

			test_random_bytes(&random, from, size);
			bytes = new_bytes(from, size, beyond, &block);
			w = words_of(from, size);
			key = make_key(SEED, bytes, size);
			ck_that(key.bytes == bytes && key.size == size);
			ck_that(key.last == (size ? w.word[(size - 1) / 8] : 0));
			if (size < 8)
				ck_that(short_word(bytes, size) == w.word[0]);
			if (size > 8)
				ck_that(last_word(bytes, size) == w.word[(size - 1) / 8]);
			ck_that(is_key(&key, w.word));
			free(block);
		}
}
END_TEST

START_TEST(equal_wherever_they_are)
{
	struct test_random random = test_random(2);
	char from[LONGEST];

	for (size_t size = 0; size <= LONGEST; size++) {
		struct dict_key first;

		test_random_bytes(&random, from, size);
		first = make_key(SEED, from, size);
		for (size_t beyond = 0; beyond < 8; beyond++) {
			char *block, *bytes = new_bytes(from, size, beyond, &block);
			struct dict_key key = make_key(SEED, bytes, size);

			ck_that(key.hash == first.hash && key.last == first.last);
			ck_that(are_equal(&key, &first) && are_equal(&first, &key));
			free(block);
		}
	}
}
END_TEST

START_TEST(one_bit_makes_another)
{
	struct test_random random = test_random(3);
	char from[LONGEST], other[LONGEST];

	for (size_t size = 1; size <= LONGEST; size++) {
		struct dict_key key, changed;

		test_random_bytes(&random, from, size);
		memcpy(other, from, size);
		key = make_key(SEED, from, size);
		for (size_t bit = 0; bit < 8 * size; bit++) {
			other[bit / 8] ^= (char)(1 << bit % 8);
			changed = make_key(SEED, other, size);
			ck_that(!are_equal(&key, &changed) && !are_equal(&changed, &key));
			ck_that(key.hash != changed.hash);
			other[bit / 8] ^= (char)(1 << bit % 8);
		}
	}
}
END_TEST

/* Zeroes too, which are what words are padded with. */
START_TEST(size_makes_another)
{
	static const char contents[] = {0, 1, 'a', -1};
	struct dict_key keys[LONGEST + 1];
	char from[LONGEST];

	for (size_t c = 0; c < ARRAY_SIZE(contents); c++) {
		memset(from, contents[c], sizeof(from));
		for (size_t size = 0; size <= LONGEST; size++)
			keys[size] = make_key(SEED, from, size);
		for (size_t a = 0; a <= LONGEST; a++)
			for (size_t b = 0; b < a; b++) {
				ck_that(!are_equal(&keys[a], &keys[b]) && !are_equal(&keys[b], &keys[a]));
				ck_that(keys[a].hash != keys[b].hash);
			}
	}
}
END_TEST

/* Where two dicts have the same seed only. */
START_TEST(seed_makes_another_hash)
{
	char from[LONGEST] = "";

	for (size_t size = 0; size <= LONGEST; size++)
		for (unsigned bit = 0; bit < 64; bit++)
			ck_that(make_key(SEED, from, size).hash !=
			        make_key(SEED ^ UINT64_C(1) << bit, from, size).hash);
}
END_TEST

/* ---- how hashes are spread ---- */

#define BUCKETS 64
#define MANY 8192

/* By what says the shard, the line in an index, and by the end of the tag; and the lines of each shard. */
struct spread {
	unsigned shard[BUCKETS], line[BUCKETS], tag[BUCKETS], both[BUCKETS][BUCKETS], keys;
};

static void count(struct spread *s, uint64_t hash)
{
	uint64_t shard = hash >> 58, line = slot_tag(hash) >> 26;

	s->shard[shard]++;
	s->line[line]++;
	s->tag[slot_tag(hash) % BUCKETS]++;
	s->both[shard][line]++;
	s->keys++;
}

/* Three times the share; of few it is chance. */
static void is_even(const struct spread *s)
{
	unsigned most = 3 * s->keys / BUCKETS + 4;

	for (unsigned i = 0; i < BUCKETS; i++)
		ck_that(s->shard[i] <= most && s->line[i] <= most && s->tag[i] <= most);
	for (unsigned i = 0; s->keys >= 16 * BUCKETS * BUCKETS && i < BUCKETS; i++)
		for (unsigned k = 0; k < BUCKETS; k++)
			ck_that(s->both[i][k] <= most / BUCKETS);
}

/* The hash is that of ipck_dict_get_u64 too. */
static void count_number(struct spread *s, uint64_t seed, uint64_t number)
{
	uint64_t hash = make_key(seed, &number, sizeof(number)).hash;

	ck_that(hash == hash_word(seed, number, sizeof(number)));
	count(s, hash);
}

static uint64_t random_seed(int i)
{
	struct test_random random = {.state = 1000 + (uint64_t)i};

	return test_random_next(&random);
}

START_TEST(spread_of_numbers)
{
	uint64_t seed = random_seed(_i);

	for (unsigned k = 0; k <= 56; k++) {
		uint64_t n = k <= 51 ? MANY : UINT64_C(1) << (64 - k);
		struct spread s = {0};

		for (uint64_t i = 0; i < n; i++)
			count_number(&s, seed, i << k);
		is_even(&s);
	}
}
END_TEST

START_TEST(spread_of_many_numbers)
{
	struct spread s = {0};

	for (uint64_t i = 0; i < 16 * BUCKETS * BUCKETS; i++)
		count_number(&s, random_seed(_i), i);
	is_even(&s);
}
END_TEST

START_TEST(spread_of_strings)
{
	static const struct {
		const char *before, *behind;
		int digits;
	} kinds[] = {{"", "", 1}, {"", "", 4}, {"key", "", 1}, {"user:", ":name", 1}, {"the long name of a: ", "", 8}};

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct spread s = {0};

		for (unsigned i = 0; i < MANY; i++) {
			char text[64];
			int size = snprintf(text, sizeof(text), "%s%0*u%s", kinds[k].before, kinds[k].digits, i,
			                    kinds[k].behind);

			count(&s, make_key(random_seed(_i), text, (size_t)size).hash);
		}
		is_even(&s);
	}
}
END_TEST

/* ---- words ---- */

START_TEST(words_in_cells)
{
	static const uint64_t tags[] = {0, 1, UINT64_C(1) << 31, UINT32_MAX};

	for (size_t t = 0; t < ARRAY_SIZE(tags); t++)
		for (uint64_t key_size = 0; key_size <= SLOT_SMALL; key_size++)
			for (uint64_t size = 0; size <= SLOT_SMALL; size++) {
				uint64_t word = word_in_cell(tags[t], key_size, size);

				ck_that(word_tag(word) == tags[t] && word_is_in_cell(word) && word > SLOT_DELETED);
				ck_that((uint32_t)word / SLOT_IN_CELL - 1 == key_size && word % SLOT_IN_CELL == size);
				ck_that((uint32_t)word < SLOT_PLACE);
			}
	ck_that(!word_is_in_cell(SLOT_EMPTY) && !word_is_in_cell(SLOT_DELETED));
}
END_TEST

START_TEST(words_of_records)
{
	static const uint64_t tags[] = {0, 1, UINT64_C(1) << 31, UINT32_MAX};
	static const uint64_t records[] = {16 * SLOT_PLACE, 16 * SLOT_PLACE + 16, 1 << 20, UINT64_C(1) << 35,
	                                   (UINT64_C(1) << 36) - 16};

	for (size_t t = 0; t < ARRAY_SIZE(tags); t++)
		for (size_t r = 0; r < ARRAY_SIZE(records); r++) {
			uint64_t word = word_of_record(tags[t], records[r]);

			ck_that(word_tag(word) == tags[t] && word_record(word) == records[r]);
			ck_that(!word_is_in_cell(word) && word > SLOT_DELETED);
		}
}
END_TEST

/* ---- shapes ---- */

static void one_line_behind_the_other(uint64_t place, unsigned log, bool cells)
{
	uint64_t lines = index_lines(place), step = index_step(place);

	ck_that(index_log(place) == log && index_slots(place) == UINT64_C(1) << log);
	ck_that(lines * LINE_SLOTS == index_slots(place));
	ck_that(step == (cells ? LINE_BYTES_MAX : LINE_BYTES) && step % LINE_BYTES == 0);
	ck_that(index_bytes(place) == lines * step);
}

/* The whole range of tags, in as many lines, in order. */
static void each_line_has_tags(uint64_t place)
{
	uint64_t lines = index_lines(place), each = (UINT64_C(1) << 32) / lines;

	for (uint64_t line = 0; line < lines; line += 1 + line / 16) {
		ck_that(index_line(place, line * each) == line);
		ck_that(index_line(place, line * each + each - 1) == line);
	}
	ck_that(index_line(place, UINT32_MAX) == lines - 1);
}

static void slot_is_inside(uint64_t place, uint64_t i)
{
	uint64_t slot = index_slot(place, i), at = slot - index_offset(place), line = i / LINE_SLOTS;
	uint64_t cell = slot_cell(slot) - index_offset(place);

	ck_that(slot % 8 == 0 && at >= line * index_step(place) && at + 8 <= line * index_step(place) + LINE_BYTES);
	if (!(place & INDEX_CELLS))
		return;
	ck_that(cell % CELL_BYTES == 0 && cell >= line * index_step(place) + LINE_BYTES);
	ck_that(cell + CELL_BYTES <= (line + 1) * index_step(place));
}

START_TEST(shapes)
{
	static const uint64_t offsets[] = {64, 4096, 12 * 64, (UINT64_C(1) << 35) - 64};

	for (unsigned log = INDEX_LOG_MIN; log <= INDEX_LOG_MAX; log++)
		for (int cells = 0; cells < 2; cells++)
			for (size_t o = 0; o < ARRAY_SIZE(offsets); o++) {
				uint64_t place = offsets[o] | index_shape(log, cells), slots = index_slots(place);

				ck_that(index_offset(place) == offsets[o] && !(place & INDEX_CELLS) == !cells);
				one_line_behind_the_other(place, log, cells);
				each_line_has_tags(place);
				for (uint64_t i = 0; i < slots; i += 1 + i / 64)
					slot_is_inside(place, i);
				slot_is_inside(place, slots - 1);
			}
	/* Of none it is not one that an index may have. */
	ck_that(index_log(0) < INDEX_LOG_MIN);
}
END_TEST

/* All of an index is slots and cells, and none is in another one. */
START_TEST(no_byte_twice)
{
	for (unsigned log = INDEX_LOG_MIN; log <= 10; log++)
		for (int cells = 0; cells < 2; cells++) {
			uint64_t place = 4096 | index_shape(log, cells), bytes = index_bytes(place), used = 0;
			char *is_used = calloc(1, bytes);

			ck_that(is_used);
			for (uint64_t i = 0; i < index_slots(place); i++) {
				uint64_t slot = index_slot(place, i), cell = slot_cell(slot);

				for (uint64_t at = slot; at < slot + 8; at++)
					used += !is_used[at - 4096]++;
				for (uint64_t at = cell; cells && at < cell + CELL_BYTES; at++)
					used += !is_used[at - 4096]++;
			}
			ck_that(used == bytes);
			free(is_used);
		}
}
END_TEST

/* ---- lines ---- */

/* Where many words have the same tags, and some are none. */
static void make_line(struct test_random *random, uint64_t line[LINE_SLOTS])
{
	static const uint64_t tags[] = {0, 1, 5, UINT64_C(1) << 31, UINT32_MAX - 1, UINT32_MAX};

	for (unsigned i = 0; i < LINE_SLOTS; i++) {
		uint64_t tag = tags[test_random_below(random, ARRAY_SIZE(tags))];

		switch (test_random_below(random, 5)) {
		case 0:
			line[i] = test_random_below(random, 2) ? SLOT_EMPTY : SLOT_DELETED;
			break;
		case 1:
			line[i] = word_in_cell(tag, test_random_below(random, 9), test_random_below(random, 9));
			break;
		case 2:
			line[i] = word_of_record(tag, 16 * UINT64_C(0xffffffff));
			break;
		case 3:
			/* What is looked for stands in the other half. */
			line[i] = word_of_record(7, 16 * tag);
			break;
		default:
			line[i] = test_random_next(random);
		}
	}
}

static void matches_are(const uint64_t line[LINE_SLOTS], uint64_t tag)
{
	unsigned matches = line_match(line, tag), all = 0, bits = matches;

	for (unsigned i = 0; i < LINE_SLOTS; i++) {
		if (word_tag(line[i]) != tag)
			continue;
		ck_that(bits && match_first(bits) == i);
		bits = match_others(bits);
		all |= 3u << (2 * i);
	}
	ck_that(bits == 0 && matches == all);
}

START_TEST(matches)
{
	struct test_random random = test_random(4);
	ALIGNED(64) uint64_t line[LINE_SLOTS];

	for (int n = 0; n < 20000; n++) {
		make_line(&random, line);
		matches_are(line, 0);
		matches_are(line, UINT32_MAX);
		matches_are(line, 5);
		matches_are(line, UINT64_C(1) << 31);
		matches_are(line, 1000);
		matches_are(line, word_tag(line[n % LINE_SLOTS]));
	}
}
END_TEST

/* All sets of those that match. */
START_TEST(all_matches)
{
	ALIGNED(64) uint64_t line[LINE_SLOTS];

	for (unsigned set = 0; set < 256; set++) {
		for (unsigned i = 0; i < LINE_SLOTS; i++)
			line[i] = word_of_record(set >> i & 1 ? 77 : 78, 8192);
		matches_are(line, 77);
		matches_are(line, 78);
		matches_are(line, 79);
	}
}
END_TEST

/* All lines of words that are empty, deleted, and some. */
START_TEST(free_words)
{
	static const uint64_t words[] = {SLOT_EMPTY, SLOT_DELETED, SLOT_IN_CELL, UINT64_C(1) << 32 | SLOT_EMPTY};
	ALIGNED(64) uint64_t line[LINE_SLOTS];

	for (unsigned n = 0; n < 1u << 2 * LINE_SLOTS; n++) {
		unsigned first = LINE_SLOTS;
		bool empty = false, told;

		for (unsigned i = LINE_SLOTS; i-- > 0;) {
			unsigned kind = n >> (2 * i) & 3;

			line[i] = words[kind];
			first = kind < 2 ? i : first;
			empty |= kind == 0;
		}
		ck_that(line_free(line, &told) == first && told == empty);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dict_index");
	TCase *tc = test_case(s, "keys");

	tcase_add_test(tc, words_of_keys);
	tcase_add_test(tc, equal_wherever_they_are);
	tcase_add_test(tc, one_bit_makes_another);
	tcase_add_test(tc, size_makes_another);
	tcase_add_test(tc, seed_makes_another_hash);
	tcase_add_loop_test(tc, spread_of_numbers, 0, 4);
	tcase_add_loop_test(tc, spread_of_many_numbers, 0, 2);
	tcase_add_loop_test(tc, spread_of_strings, 0, 4);
	tc = test_case(s, "index");
	tcase_add_test(tc, words_in_cells);
	tcase_add_test(tc, words_of_records);
	tcase_add_test(tc, shapes);
	tcase_add_test(tc, no_byte_twice);
	tc = test_case(s, "lines");
	tcase_add_test(tc, matches);
	tcase_add_test(tc, all_matches);
	tcase_add_test(tc, free_words);
	return test_main(s);
}
