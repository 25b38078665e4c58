/* SPDX-License-Identifier: MIT */
/* imap under load: items and results of all sizes, many iterations and maps at once. */
#include <ipckit/pool.h>

#include "pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coll/ring.h"
#include "pool/result.h"

/* ---- sizes ---- */

#define PIECE (size_t)RING_PIECE_MAX
static const size_t sizes[] = {
	0, 1, 7, 8, 100, RESULT_BUFFER - 1, RESULT_BUFFER, RESULT_BUFFER + 1, PIECE - 1, PIECE, PIECE + 1,
	PIECE + RESULT_BUFFER, RING_BYTES, RING_BYTES + 1, 1 << 20, 8 << 20,
};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

/* Items of one size after another; a size is also whose bytes they are. */
struct sized {
	uint64_t next, end;
	size_t (*size)(uint64_t i);
	unsigned char *bytes;
};

static size_t any_size(uint64_t i)
{
	return sizes[i % SIZES];
}

static size_t big_size(uint64_t i)
{
	return (1 << 20) + i;
}

static int next_sized(void *ctx, const void **item, size_t *size)
{
	struct sized *s = ctx;

	if (s->next == s->end)
		return 0;
	*size = s->size(s->next++);
	pattern_fill(s->bytes, *size, *size);
	/* An empty item needs no place. */
	*item = *size ? s->bytes : NULL;
	return 1;
}

struct answer {
	size_t size; /* of the result: the item's is the argument or as long as the item */
	size_t writes;
};

/* Gives as many bytes as its argument says, or as it got, by so many writes at a time. */
static int answer(const void *item, size_t size, const void *arg, struct ipck_result *result)
{
	const struct answer *a = arg;
	size_t wanted = a->size == SIZE_MAX ? size : a->size, part = wanted / a->writes + 1;
	unsigned char *bytes = malloc(wanted + 1);
	int rc = bytes && pattern_is(item, size, size) ? 0 : -EBADMSG;

	if (bytes)
		pattern_fill(bytes, wanted, wanted);
	for (size_t at = 0; rc == 0 && at < wanted; at += part)
		rc = ipck_result_write(result, bytes + at, wanted - at < part ? wanted - at : part);
	if (rc == 0)
		rc = ipck_result_write(result, NULL, 0);
	free(bytes);
	return rc;
}

static void run_sized(struct ipck_pool *pool, struct sized *s, const struct answer *a, size_t window)
{
	struct ipck_imap *it;
	struct ipck_item item;

	s->bytes = malloc(16 << 20);
	ck_that(s->bytes);
	ck_ok(ipck_pool_imap(&it, pool, answer, next_sized, s,
	                     IPCK_MAP_OPTS(.arg = a, .arg_size = sizeof(*a), .window = window)));
	for (uint64_t n = 0; n < s->end; n++) {
		size_t wanted = a->size == SIZE_MAX ? s->size(n) : a->size;

		ck_that(ck_ok(ipck_imap_next(it, &item, IPCK_FOREVER)) == 1);
		ck_that(item.index == n);
		ck_that(item.status.outcome == IPCK_DONE && item.status.value == 0);
		ck_that(item.size == wanted);
		ck_that(pattern_is(item.data, item.size, wanted));
	}
	ck_that(ck_ok(ipck_imap_next(it, &item, IPCK_FOREVER)) == 0);
	ipck_imap_close(it);
	free(s->bytes);
}

START_TEST(test_sizes)
{
	struct ipck_pool *pool = pool_new(_i, 2);

	run_sized(pool, &(struct sized){.end = SIZES, .size = any_size}, &(struct answer){SIZE_MAX, 1}, 0);
	run_sized(pool, &(struct sized){.end = SIZES, .size = any_size}, &(struct answer){10, 1}, 0);
	pool_end(pool);
}
END_TEST

/* More than the ring holds, from all workers at once, while nobody collects. */
START_TEST(test_big_at_once)
{
	struct ipck_pool *pool = pool_new(_i, 3);

	run_sized(pool, &(struct sized){.end = 12, .size = big_size}, &(struct answer){SIZE_MAX, 1}, 12);
	run_sized(pool, &(struct sized){.end = 3, .size = big_size}, &(struct answer){8 << 20, 3}, 3);
	pool_end(pool);
}
END_TEST

static size_t tiny_size(uint64_t i)
{
	return i % 3;
}

START_TEST(test_many_writes)
{
	struct ipck_pool *pool = pool_new(_i, 2);
	static const struct answer answers[] = {{100000, 100000}, {100000, 33333}, {70000, 17}, {3 * RESULT_BUFFER, 3}};

	for (size_t k = 0; k < sizeof(answers) / sizeof(answers[0]); k++)
		run_sized(pool, &(struct sized){.end = 5, .size = tiny_size}, &answers[k], 0);
	pool_end(pool);
}
END_TEST

START_TEST(test_random_sizes)
{
	struct ipck_pool *pool = pool_new(_i, 2);
	struct test_random r = test_random(1);

	for (int k = 0; k < 30; k++) {
		struct answer a = {test_random_below(&r, (uint64_t)1 << test_random_below(&r, 19)), 0};

		a.writes = 1 + test_random_below(&r, 50);
		run_sized(pool, &(struct sized){.end = 10, .size = tiny_size}, &a, 1 + test_random_below(&r, 10));
	}
	pool_end(pool);
}
END_TEST

/* ---- at once ---- */

/* x -> x and the iteration's number. */
static int mark(const void *item, size_t size, const void *arg, struct ipck_result *result)
{
	uint64_t pair[2] = {0, *(const uint64_t *)arg};

	memcpy(pair, item, size);
	return ipck_result_write(result, pair, sizeof(pair));
}

struct iteration {
	struct numbers numbers;
	struct ipck_imap *it;
	uint64_t number, given;
};

static void begin(struct iteration *i, struct ipck_pool *pool, uint64_t number, uint64_t n, bool ordered)
{
	const struct ipck_map_opts *opts;

	*i = (struct iteration){.numbers.end = n, .number = number};
	opts = IPCK_MAP_OPTS(.arg = &i->number, .arg_size = sizeof(number), .window = 1 + number % 9);
	if (ordered)
		ck_ok(ipck_pool_imap(&i->it, pool, mark, next_number, &i->numbers, opts));
	else
		ck_ok(ipck_pool_imap_unordered(&i->it, pool, mark, next_number, &i->numbers, opts));
}

static bool step(struct iteration *i, struct ipck_deadline deadline)
{
	struct ipck_item item;
	uint64_t pair[2];
	int rc = ipck_imap_next(i->it, &item, deadline);

	if (rc == -ETIMEDOUT)
		return false;
	if (ck_ok(rc) == 0) {
		ck_that(i->given == i->numbers.end);
		return false;
	}
	ck_that(item.status.outcome == IPCK_DONE && item.size == sizeof(pair));
	memcpy(pair, item.data, sizeof(pair));
	ck_that(pair[0] == item.index && pair[1] == i->number);
	i->given++;
	return true;
}

static void finish(struct iteration *i)
{
	while (step(i, IPCK_FOREVER))
		;
	ck_that(i->given == i->numbers.end);
	ipck_imap_close(i->it);
}

START_TEST(test_interleaved)
{
	enum { ITERATIONS = 5 };
	struct ipck_pool *pool = pool_new(_i, 3);
	struct iteration i[ITERATIONS];
	struct test_random r = test_random(2);

	for (uint64_t k = 0; k < ITERATIONS; k++)
		begin(&i[k], pool, k, 200 * k, k % 2);
	for (int n = 0; n < 2000; n++) {
		struct iteration *now = &i[test_random_below(&r, ITERATIONS)];

		step(now, test_random_below(&r, 2) ? IPCK_FOREVER : IPCK_NOWAIT);
		if (n % 50 == 0)
			pool_works(pool, (size_t)n);
	}
	for (int k = 0; k < ITERATIONS; k++)
		finish(&i[k]);
	pool_end(pool);
}
END_TEST

static void use(unsigned me, void *pool)
{
	for (uint64_t round = 0; round < 10; round++) {
		struct iteration a, b;

		begin(&a, pool, me + 10 * round, 100, round % 2);
		begin(&b, pool, me + 10 * round + 100, 50, me % 2);
		for (int n = 0; n < 30; n++)
			step(n % 2 ? &a : &b, IPCK_FOREVER);
		pool_works(pool, 300);
		if (round % 3)
			finish(&a);
		else
			ipck_imap_close(a.it);
		finish(&b);
	}
}

START_TEST(test_many_threads)
{
	struct ipck_pool *pool = pool_new(_i, 2);

	test_threads(6, use, pool);
	pool_end(pool);
}
END_TEST

/* An iteration that nobody takes from keeps neither blocks nor workers from others. */
START_TEST(test_left_alone)
{
	struct ipck_pool *pool = pool_new(_i, 2);
	struct sized big = {.end = 1000, .size = big_size, .bytes = malloc(16 << 20)};
	struct answer a = {SIZE_MAX, 1};
	struct iteration wide, i;
	struct ipck_imap *it;
	struct ipck_item item;
	uint64_t next;

	/* Two with more window than there are blocks, one whose results fill the rings. */
	begin(&wide, pool, 8, UINT64_MAX, true);
	ck_that(step(&wide, IPCK_FOREVER));
	ck_ok(ipck_pool_imap(&it, pool, answer, next_sized, &big,
	                     IPCK_MAP_OPTS(.arg = &a, .arg_size = sizeof(a), .window = 4)));
	next = ipck_imap_next(it, &item, IPCK_NOWAIT) == 1;
	for (uint64_t k = 0; k < 5; k++) {
		pool_works(pool, 5000);
		begin(&i, pool, k, 100, k % 2);
		finish(&i);
	}
	ck_that(ck_ok(ipck_imap_next(it, &item, IPCK_FOREVER)) == 1);
	ck_that(item.index == next && pattern_is(item.data, item.size, big_size(next)));
	ipck_imap_close(it);
	ipck_imap_close(wide.it);
	free(big.bytes);
	pool_end(pool);
}
END_TEST

/* ---- the input uses the pool ---- */

struct user {
	struct ipck_pool *pool;
	struct numbers numbers;
	unsigned depth;
};

static int next_by_map(void *ctx, const void **item, size_t *size)
{
	struct user *u = ctx;
	uint64_t x = u->numbers.next, y = 0;
	ssize_t rc = ipck_pool_map(u->pool, triple, &x, 1, 8, &y, 8, NULL, IPCK_FOREVER);

	if (rc != 0 || y != 3 * x + 1)
		return -EIO;
	return next_number(&u->numbers, item, size);
}

/* An input that is itself the output of an iteration, and so on. */
static int next_by_imap(void *ctx, const void **item, size_t *size)
{
	struct user *u = ctx;
	struct user inner = {.pool = u->pool, .numbers.end = 2, .depth = u->depth - 1};
	struct ipck_imap *it;
	struct ipck_item got;

	ck_ok(ipck_pool_imap(&it, u->pool, triple_imap, inner.depth ? next_by_imap : next_number,
	                     inner.depth ? (void *)&inner : (void *)&inner.numbers, NULL));
	for (int n = 0; n < 2; n++)
		ck_that(ck_ok(ipck_imap_next(it, &got, IPCK_FOREVER)) == 1);
	ipck_imap_close(it);
	return next_number(&u->numbers, item, size);
}

START_TEST(test_input_uses_pool)
{
	struct ipck_pool *pool = pool_new(_i, 2);
	static ipck_input_fn *const inputs[] = {next_by_map, next_by_imap};

	for (int k = 0; k < 2; k++) {
		struct user u = {.pool = pool, .numbers.end = 30, .depth = 3};
		struct ipck_imap *it;
		struct ipck_item item;

		ck_ok(ipck_pool_imap(&it, pool, triple_imap, inputs[k], &u, NULL));
		for (uint64_t n = 0; n < 30; n++) {
			ck_that(ck_ok(ipck_imap_next(it, &item, IPCK_FOREVER)) == 1);
			ck_that(item.index == n && item.status.outcome == IPCK_DONE);
		}
		ck_that(ck_ok(ipck_imap_next(it, &item, IPCK_FOREVER)) == 0);
		ipck_imap_close(it);
	}
	pool_end(pool);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("imap_load");
	TCase *tc = pool_case(s, "sizes");

	pool_test(tc, test_sizes);
	pool_test(tc, test_big_at_once);
	pool_test(tc, test_many_writes);
	pool_test(tc, test_random_sizes);
	tc = pool_case(s, "at once");
	pool_test(tc, test_interleaved);
	pool_test(tc, test_many_threads);
	pool_test(tc, test_left_alone);
	pool_test(tc, test_input_uses_pool);
	return test_main(s);
}
