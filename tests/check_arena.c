/* SPDX-License-Identifier: MIT */
/* The arena against a model: what is handed out is aligned, apart, and all of it comes back. */
#include "mem/arena.h"

#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"

#define KIB (size_t)1024
#define MIB (1024 * KIB)

static struct segment segment;
static struct arena arena;

static void make(size_t bytes, size_t reach, size_t begin)
{
	const struct segment_plan plan = {.kind = SEGMENT_POOL, .bytes = bytes, .reach = reach};

	ck_ok(segment_create(&segment, &plan));
	ck_ok(arena_init(&arena, &segment, begin));
}

static void unmake(void)
{
	arena_fini(&arena);
	arena_fini(&arena);
	segment_close(&segment);
}

static size_t rounded(size_t bytes)
{
	return ROUND_UP(MAX(bytes, (size_t)1), (size_t)ARENA_ALIGN);
}

static size_t get(size_t bytes)
{
	size_t offset = SIZE_MAX;

	ck_ok(arena_alloc(&arena, bytes, &offset));
	ck_that(offset % ARENA_ALIGN == 0);
	ck_that(offset + rounded(bytes) <= segment.bytes);
	return offset;
}

static void get_nothing(size_t bytes, int error)
{
	size_t offset = 12345, bytes_before = segment.bytes, held = arena.held;

	ck_err(arena_alloc(&arena, bytes, &offset), error);
	ck_that(offset == 12345 && arena.held == held && segment.bytes == bytes_before);
}

static size_t free_bytes(void)
{
	size_t sum = 0;

	for (size_t i = 0; i < arena.n; i++)
		sum += arena.free[i].bytes;
	return sum;
}

/* What the header says of the table of free extents. */
static void check_free(size_t begin, size_t held)
{
	size_t end = begin;

	ck_that(arena.n + arena.held <= arena.room);
	for (size_t i = 0; i < arena.n; i++) {
		struct extent *e = &arena.free[i];

		ck_that(e->bytes > 0 && e->offset >= end && e->offset % ARENA_ALIGN == 0);
		ck_that(i == 0 || e->offset > end || e->reserved != e[-1].reserved);
		end = e->offset + e->bytes;
	}
	ck_that(end <= segment.bytes);
	ck_that(free_bytes() + held + begin == segment.bytes);
}

/* ---- by hand ---- */

START_TEST(sizes_are_rounded)
{
	make(64 * KIB, 0, 0);
	ck_assert_uint_eq(get(0), 0);
	ck_assert_uint_eq(get(1), 4096);
	ck_assert_uint_eq(get(4096), 8192);
	ck_assert_uint_eq(get(4097), 12288);
	ck_assert_uint_eq(arena.held, 4);
	check_free(0, 5 * 4096);
	arena_free(&arena, 0, 0);
	arena_free(&arena, 4096, 1);
	arena_free(&arena, 8192, 4096);
	arena_free(&arena, 12288, 4097);
	check_free(0, 0);
	ck_assert_uint_eq(arena.n, 1);
	ck_assert_uint_eq(arena.held, 0);
	unmake();
}
END_TEST

START_TEST(what_touches_joins)
{
	size_t offset[4];

	/* In each order of giving back three neighbours, there is one extent in the end. */
	for (int order = 0; order < 6; order++) {
		int first = order % 3, second = (first + 1 + order / 3) % 3, third = 3 - first - second;

		make(64 * KIB, 0, 4096);
		for (int i = 0; i < 4; i++)
			offset[i] = get(8192);
		arena_free(&arena, offset[first], 8192);
		arena_free(&arena, offset[second], 8192);
		arena_free(&arena, offset[third], 8192);
		ck_assert_uint_eq(arena.n, 2);
		check_free(4096, 8192);
		ck_assert_uint_eq(get(3 * 8192), offset[0]);
		arena_free(&arena, offset[0], 3 * 8192);
		arena_free(&arena, offset[3], 8192);
		ck_assert_uint_eq(arena.n, 1);
		check_free(4096, 0);
		unmake();
	}
}
END_TEST

START_TEST(any_beginning)
{
	static const size_t begins[] = {0, 1, 4095, 4096, 4097, 9999, 10000}, bodies[] = {10000, 12288, 12289, 40960};

	for (size_t i = 0; i < ARRAY_SIZE(begins); i++)
		for (size_t k = 0; k < ARRAY_SIZE(bodies); k++) {
			size_t begin = ROUND_UP(begins[i], (size_t)ARENA_ALIGN);

			make(bodies[k], 8 * MIB, begins[i]);
			for (int n = 0; n < 20; n++) {
				size_t offset = get(8192);

				ck_that(offset >= begin);
				memset((char *)segment_body(&segment) + offset, 1, 8192);
			}
			check_free(begin, 20 * 8192);
			unmake();
		}
}
END_TEST

START_TEST(a_beginning_out_of_reach)
{
	const struct segment_plan plan = {.kind = SEGMENT_POOL, .bytes = 10000};

	ck_ok(segment_create(&segment, &plan));
	ck_err(arena_init(&arena, &segment, 10000), ENOSPC);
	unmake();
}
END_TEST

START_TEST(it_grows_to_its_reach)
{
	size_t small;

	make(4096, 10 * MIB, 4096);
	ck_assert_uint_eq(get(1), 4096);
	check_free(4096, 4096);
	ck_assert_uint_eq(get(5 * MIB), 8192);
	small = get(3 * MIB);
	get_nothing(3 * MIB, ENOSPC);
	get_nothing(10 * MIB, ENOSPC);
	get_nothing(SIZE_MAX, ENOSPC);
	get_nothing(SIZE_MAX - 4095, ENOSPC);
	get_nothing(PTRDIFF_MAX, ENOSPC);
	get_nothing(PTRDIFF_MAX / 2, ENOSPC);
	/* To the last page. */
	get(10 * MIB - small - 3 * MIB);
	ck_assert_uint_eq(segment.bytes, 10 * MIB);
	ck_assert_uint_eq(arena.n, 0);
	get_nothing(1, ENOSPC);
	arena_free(&arena, small, 3 * MIB);
	ck_assert_uint_eq(get(3 * MIB), small);
	unmake();
}
END_TEST

static blkcnt_t blocks(void)
{
	struct stat st;

	ck_that(fstat(segment.fd, &st) == 0);
	return st.st_blocks;
}

START_TEST(large_memory_goes_back)
{
	blkcnt_t before;
	size_t offset;

	make(4096, 64 * MIB, 4096);
	get(1);
	before = blocks();
	offset = get(8 * MIB);
	memset((char *)segment_body(&segment) + offset, 1, 8 * MIB);
	ck_assert_int_ge(blocks(), before + (blkcnt_t)(7 * MIB / 512));
	arena_free(&arena, offset, 8 * MIB);
	ck_assert_int_le(blocks(), before + (blkcnt_t)(MIB / 512));
	/* It is reserved again before it is handed out again. */
	ck_assert_uint_eq(get(8 * MIB), offset);
	ck_assert_int_ge(blocks(), before + (blkcnt_t)(7 * MIB / 512));
	unmake();
}
END_TEST

/* Memory that is there and memory that is not lie in turn: all of it is one when it is needed. */
START_TEST(unlike_neighbours_serve_together)
{
	size_t offsets[16], n = 0;

	make(4096, 16 * MIB, 0);
	for (; n < 10; n++)
		offsets[n] = get(n % 2 ? MIB : 4096);
	while (n > 0) {
		n--;
		arena_free(&arena, offsets[n], n % 2 ? MIB : 4096);
	}
	ck_assert_uint_gt(arena.n, 1);
	check_free(0, 0);
	ck_assert_uint_eq(get(16 * MIB), 0);
	memset(segment_body(&segment), 1, 16 * MIB);
	arena_free(&arena, 0, 16 * MIB);
	ck_assert_uint_eq(get(4096), 0);
	arena_free(&arena, 0, 4096);
	ck_assert_uint_eq(get(16 * MIB), 0);
	unmake();
}
END_TEST

/* ---- at random ---- */

/* The most that can be had at once, what the segment can still grow by included. */
static size_t largest(size_t reach)
{
	size_t most = reach - segment.bytes, run = 0, end = 0;

	for (size_t i = 0; i < arena.n; i++) {
		run = arena.free[i].offset == end ? run + arena.free[i].bytes : arena.free[i].bytes;
		end = arena.free[i].offset + arena.free[i].bytes;
		most = MAX(most, end == segment.bytes ? run + reach - end : run);
	}
	return most;
}

#define ITEMS 200

struct item {
	size_t offset, bytes; /* 0 bytes: none */
	unsigned char mark;
};

static size_t random_size(struct test_random *random)
{
	switch (test_random_below(random, 8)) {
	case 0:
		return test_random_below(random, 3) * ARENA_ALIGN;
	case 1:
		return MIB - 2 * ARENA_ALIGN + test_random_below(random, 4 * ARENA_ALIGN);
	case 2:
		return test_random_below(random, 3 * MIB);
	default:
		return 1 + test_random_below(random, 40 * KIB);
	}
}

/* The first and the last byte of each page carry the item's mark. */
static void mark_item(const struct item *item)
{
	unsigned char *data = (unsigned char *)segment_body(&segment) + item->offset;

	for (size_t at = 0; at < rounded(item->bytes); at += 4096)
		data[at] = data[at + 4095] = item->mark;
}

static void check_item(const struct item *item)
{
	unsigned char *data = (unsigned char *)segment_body(&segment) + item->offset;

	for (size_t at = 0; at < rounded(item->bytes); at += 4096)
		ck_that(data[at] == item->mark && data[at + 4095] == item->mark);
}

START_TEST(a_random_life)
{
	static struct item items[ITEMS];
	struct test_random random = test_random(1);
	size_t begin = 4096 * test_random_below(&random, 3), held = 0, reach = 24 * MIB;
	unsigned full = 0;

	make(5000 + test_random_below(&random, MIB), reach, begin);
	begin = MIN(begin, segment.bytes);
	for (unsigned step = 0; step < 6000; step++) {
		struct item *item = &items[test_random_below(&random, ITEMS)];
		size_t bytes = random_size(&random), offset;

		if (item->bytes > 0) {
			check_item(item);
			arena_free(&arena, item->offset, item->bytes);
			held -= rounded(item->bytes);
			item->bytes = 0;
		} else if (arena_alloc(&arena, bytes, &offset) == 0) {
			ck_that(offset % ARENA_ALIGN == 0 && offset >= begin);
			*item = (struct item){offset, MAX(bytes, (size_t)1), (unsigned char)test_random_next(&random)};
			held += rounded(bytes);
			mark_item(item);
		} else {
			ck_that(largest(reach) < rounded(bytes));
			full++;
		}
		check_free(begin, held);
	}
	ck_assert_uint_gt(full, 0);
	for (size_t i = 0; i < ITEMS; i++)
		if (items[i].bytes > 0) {
			check_item(&items[i]);
			arena_free(&arena, items[i].offset, items[i].bytes);
		}
	/* All is back: all of it can be had at once. */
	ck_assert_uint_eq(arena.held, 0);
	check_free(begin, 0);
	ck_assert_uint_eq(get((reach - begin) / 4096 * 4096), begin);
	unmake();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("arena");
	TCase *tc = test_case(s, "by hand");

	tcase_add_test(tc, sizes_are_rounded);
	tcase_add_test(tc, what_touches_joins);
	tcase_add_test(tc, any_beginning);
	tcase_add_test(tc, a_beginning_out_of_reach);
	tcase_add_test(tc, it_grows_to_its_reach);
	tcase_add_test(tc, large_memory_goes_back);
	tcase_add_test(tc, unlike_neighbours_serve_together);
	tc = test_case(s, "at random");
	tcase_add_test(tc, a_random_life);
	return test_main(s);
}
