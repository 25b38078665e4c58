/* SPDX-License-Identifier: MIT */
/* The ring: pieces come out as they went in, at any place of the ring, whole or not at all. */
#include "coll/ring.h"

#include "support.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct ring ring;
static unsigned char in[RING_BYTES], out[RING_BYTES];

/* An empty ring that has been used up to that byte. */
static void begin_at(uint64_t position)
{
	ring.tail = ring.head = position;
}

static struct ring_piece header(uint32_t size)
{
	return (struct ring_piece){.size = size, .flags = size + 1, .tag = UINT64_C(0x123456789) + size, .value = -7};
}

static void put(uint32_t size)
{
	struct ring_piece piece = header(size);

	for (uint32_t i = 0; i < size; i++)
		in[i] = (unsigned char)(i * 7 + size);
	ck_that(ring_has_room(&ring, size));
	ring_put(&ring, &piece, in);
	ck_that(!ring_is_empty(&ring));
}

static void take(uint32_t size)
{
	struct ring_piece piece, expected = header(size);

	ck_that(ring_peek(&ring, &piece));
	ck_that(memcmp(&piece, &expected, sizeof(piece)) == 0);
	memset(out, 0, size + 1);
	ring_take(&ring, &piece, out);
	for (uint32_t i = 0; i < size; i++)
		ck_that(out[i] == (unsigned char)(i * 7 + size));
	ck_that(out[size] == 0);
}

static void is_empty(void)
{
	struct ring_piece piece;

	ck_that(ring_is_empty(&ring) && !ring_peek(&ring, &piece));
}

/* ---- places and sizes ---- */

START_TEST(a_new_ring_is_empty)
{
	is_empty();
	ck_assert(ring_has_room(&ring, 0));
	ck_assert(ring_has_room(&ring, RING_PIECE_MAX));
}
END_TEST

START_TEST(each_place)
{
	static const uint32_t sizes[] = {0, 1, 7, 8, 9, 200};

	/* The header wraps at some, the data at others. */
	for (uint64_t at = 0; at < RING_BYTES; at += 8)
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			begin_at(at);
			put(sizes[i]);
			put(3);
			take(sizes[i]);
			take(3);
			is_empty();
		}
}
END_TEST

START_TEST(each_size)
{
	begin_at(RING_BYTES - 4096);
	for (uint32_t size = 0; size <= RING_PIECE_MAX; size += size < 300 || size > RING_PIECE_MAX - 20 ? 1 : 13) {
		put(size);
		take(size);
		is_empty();
	}
}
END_TEST

START_TEST(counters_wrap)
{
	begin_at(UINT64_MAX - 2 * RING_BYTES + 1);
	for (int i = 0; i < 20; i++) {
		put(RING_PIECE_MAX);
		put(100);
		take(RING_PIECE_MAX);
		take(100);
		is_empty();
	}
	ck_assert_uint_lt(ring.tail, 20 * RING_BYTES);
}
END_TEST

START_TEST(no_room_for_what_cannot_be_read)
{
	static const size_t sizes[] = {RING_PIECE_MAX + 1, RING_BYTES - 24, RING_BYTES,
	                               UINT32_MAX,         SIZE_MAX - 7,    SIZE_MAX};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		ck_assert(!ring_has_room(&ring, sizes[i]));
}
END_TEST

START_TEST(full_to_the_last_byte)
{
	size_t n = 0;

	begin_at(40);
	/* Pieces of 32 bytes, header and all, fill it exactly. */
	for (; ring_has_room(&ring, 8); n++)
		put(8);
	ck_assert_uint_eq(n, RING_BYTES / 32);
	ck_assert_uint_eq(ring.tail - ring.head, RING_BYTES);
	ck_assert(!ring_has_room(&ring, 0));
	take(8);
	ck_assert(ring_has_room(&ring, 8));
	ck_assert(!ring_has_room(&ring, 9));
	put(1);
	while (n-- > 1)
		take(8);
	take(1);
	is_empty();
	/* Four of the largest fit beside each other. */
	for (int i = 0; i < 4; i++)
		put(RING_PIECE_MAX);
	for (int i = 0; i < 4; i++)
		take(RING_PIECE_MAX);
}
END_TEST

START_TEST(a_piece_can_be_thrown_away)
{
	struct ring_piece piece;

	put(100);
	put(5);
	ck_assert(ring_peek(&ring, &piece));
	ring_take(&ring, &piece, NULL);
	take(5);
	is_empty();
}
END_TEST

/* ---- kills and damage ---- */

/* A writer that is killed before its last store has copied, and moved nothing. */
START_TEST(what_is_not_committed_is_not_there)
{
	struct ring_piece piece = header(500);

	for (uint64_t at = RING_BYTES - 600; at < RING_BYTES + 16; at += 8) {
		begin_at(at);
		put(9);
		for (size_t torn = 0; torn < 500; torn += 37) {
			for (size_t i = 0; i < torn; i++)
				ring.data[(ring.tail + i) % RING_BYTES] = ((unsigned char *)&piece)[i % sizeof(piece)];
			take(9);
			is_empty();
			/* The successor goes on over the torn bytes. */
			put(9);
		}
	}
}
END_TEST

/* A reader that is killed before its last store takes the piece again. */
START_TEST(what_is_not_taken_is_still_there)
{
	struct ring_piece piece;

	put(300);
	for (int i = 0; i < 3; i++) {
		ck_assert(ring_peek(&ring, &piece));
		ck_assert_uint_eq(piece.size, 300);
	}
	take(300);
	is_empty();
}
END_TEST

static void is_damaged(void)
{
	struct ring_piece piece;

	ck_that(!ring_peek(&ring, &piece));
}

static void write_size(uint32_t size)
{
	struct ring_piece piece = header(size);

	for (size_t i = 0; i < sizeof(piece); i++)
		ring.data[(ring.head + i) % RING_BYTES] = ((unsigned char *)&piece)[i];
}

START_TEST(a_damaged_piece_is_none)
{
	static const uint32_t sizes[] = {RING_PIECE_MAX + 1, RING_BYTES, INT32_MAX, UINT32_MAX, UINT32_MAX - 30};

	for (uint64_t at = 0; at < RING_BYTES; at += 4096 + 8) {
		begin_at(at);
		put(100);
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			write_size(sizes[i]);
			is_damaged();
		}
		/* It says more than was published. */
		write_size(105);
		is_damaged();
		write_size(RING_PIECE_MAX);
		is_damaged();
		/* Where the positions are not possible. */
		write_size(0);
		ring.tail = ring.head + sizeof(struct ring_piece) - 1;
		is_damaged();
		ring.tail = ring.head - 8;
		is_damaged();
		ck_that(!ring_has_room(&ring, 0));
		ring.tail = ring.head + RING_BYTES + 8;
		is_damaged();
		ck_that(!ring_has_room(&ring, 0));
		ring.tail = ring.head + UINT64_MAX / 2;
		is_damaged();
		ck_that(!ring_has_room(&ring, 0));
	}
}
END_TEST

START_TEST(random_bytes_are_no_crash)
{
	struct test_random random = test_random(1);
	struct ring_piece piece;

	test_random_bytes(&random, ring.data, sizeof(ring.data));
	for (int i = 0; i < 100000; i++) {
		ring.head = test_random_next(&random);
		ring.tail = ring.head + test_random_below(&random, RING_BYTES + 100);
		if (i % 16 == 0)
			write_size((uint32_t)test_random_below(&random, RING_PIECE_MAX + 10));
		if (!ring_peek(&ring, &piece))
			continue;
		ck_that(piece.size <= RING_PIECE_MAX);
		ring_take(&ring, &piece, out);
		ck_that(ring.tail - ring.head <= RING_BYTES);
	}
}
END_TEST

/* ---- two sides ---- */

#define PIECES 20000

static uint32_t random_size(struct test_random *random)
{
	uint64_t most = test_random_below(random, 50) ? 200 : RING_PIECE_MAX;

	return (uint32_t)test_random_below(random, most + 1);
}

static void write_side(struct ring *r)
{
	struct test_random random = test_random(2);
	unsigned char data[RING_PIECE_MAX];

	for (uint64_t n = 0; n < PIECES; n++) {
		struct ring_piece piece = {.size = random_size(&random), .tag = n};

		memset(data, (int)n, piece.size);
		while (!ring_has_room(r, piece.size))
			sched_yield();
		ring_put(r, &piece, data);
	}
}

static void read_side(struct ring *r)
{
	struct test_random random = test_random(2);
	unsigned char data[RING_PIECE_MAX];

	for (uint64_t n = 0; n < PIECES; n++) {
		struct ring_piece piece;

		while (!ring_peek(r, &piece))
			sched_yield();
		ck_that(piece.tag == n && piece.size == random_size(&random));
		ring_take(r, &piece, data);
		for (uint32_t i = 0; i < piece.size; i++)
			ck_that(data[i] == (unsigned char)n);
	}
}

static void one_side(unsigned i, void *arg)
{
	if (i)
		write_side(arg);
	else
		read_side(arg);
}

START_TEST(a_stream)
{
	struct ring *r = test_shared(sizeof(*r));

	if (_i)
		test_processes(2, one_side, r);
	else
		test_threads(2, one_side, r);
	ck_assert(ring_is_empty(r));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ring");
	TCase *tc = test_case(s, "places");

	tcase_add_test(tc, a_new_ring_is_empty);
	tcase_add_test(tc, each_place);
	tcase_add_test(tc, each_size);
	tcase_add_test(tc, counters_wrap);
	tcase_add_test(tc, no_room_for_what_cannot_be_read);
	tcase_add_test(tc, full_to_the_last_byte);
	tcase_add_test(tc, a_piece_can_be_thrown_away);
	tc = test_case(s, "kills and damage");
	tcase_add_test(tc, what_is_not_committed_is_not_there);
	tcase_add_test(tc, what_is_not_taken_is_still_there);
	tcase_add_test(tc, a_damaged_piece_is_none);
	tcase_add_test(tc, random_bytes_are_no_crash);
	tc = test_case(s, "two sides");
	tcase_add_loop_test(tc, a_stream, 0, 2);
	return test_main(s);
}
