/* SPDX-License-Identifier: MIT */
/* imap: iterations that end early or late: closed, joined, terminated, freed, forked. */
#include <ipckit/pool.h>

#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pool/internal.h"

static struct ipck_imap *begin(struct ipck_pool *pool, bool ordered, ipck_imap_fn *fn, struct numbers *numbers,
                               size_t window)
{
	const struct ipck_map_opts *opts = IPCK_MAP_OPTS(.window = window);
	struct ipck_imap *it;

	if (ordered)
		ck_ok(ipck_pool_imap(&it, pool, fn, next_number, numbers, opts));
	else
		ck_ok(ipck_pool_imap_unordered(&it, pool, fn, next_number, numbers, opts));
	return it;
}

/* Takes up to n items, which must be done, or canceled if that may be; returns how many came. */
static uint64_t take(struct ipck_imap *it, uint64_t n, uint64_t *canceled)
{
	struct ipck_item item;
	uint64_t came = 0;

	while (came < n && ck_ok(ipck_imap_next(it, &item, IPCK_FOREVER)) == 1) {
		came++;
		if (canceled && item.status.outcome == IPCK_CANCELED) {
			ck_that(item.status.value == 0 && item.worker == -1 && item.size == 0);
			++*canceled;
			continue;
		}
		ck_that(item.status.outcome == IPCK_DONE);
		ck_that(item.size == 8 && *(const uint64_t *)item.data == 3 * item.index + 1);
	}
	return came;
}

/* ---- close ---- */

static size_t used_blocks(struct ipck_pool *pool)
{
	size_t n;

	pthread_mutex_lock(&pool->mutex);
	pool_collect(pool);
	n = pool->n_blocks - pool->n_free;
	pthread_mutex_unlock(&pool->mutex);
	return n;
}

static int add_argument(const void *item, size_t size, const void *arg, struct ipck_result *result)
{
	uint64_t x = *(const uint64_t *)arg;

	(void)item, (void)size;
	return ipck_result_write(result, &x, sizeof(x));
}

/* Each of many iterations sees its own results, whatever the ones before left under way. */
START_TEST(test_closed_in_the_middle)
{
	struct ipck_pool *pool = pool_new(_i, 2);

	for (uint64_t round = 0; round < 1000; round++) {
		struct numbers numbers = {.end = UINT64_MAX};
		struct ipck_map_opts opts = IPCK_MAP_OPTS_INIT;
		struct ipck_imap *it;
		struct ipck_item item;

		opts.arg = &round;
		opts.arg_size = sizeof(round);
		opts.window = 1 + round % 12;
		ck_ok((round % 2 ? ipck_pool_imap : ipck_pool_imap_unordered)(&it, pool, add_argument, next_number,
		                                                              &numbers, &opts));
		for (uint64_t n = 0; n < round % 7; n++) {
			ck_that(ck_ok(ipck_imap_next(it, &item, IPCK_FOREVER)) == 1);
			ck_that(item.status.outcome == IPCK_DONE);
			ck_that(item.size == 8 && *(const uint64_t *)item.data == round);
		}
		ipck_imap_close(it);
		if (round % 100 == 0)
			pool_works(pool, 100);
	}
	TEST_UNTIL(used_blocks(pool) == 0);
	ck_assert_uint_eq(pool_calls(pool), 0);
	pool_end(pool);
}
END_TEST

/* Writes until nobody wants it any more. */
static int write_for_ever(const void *item, size_t size, const void *arg, struct ipck_result *result)
{
	static const char bytes[5000];
	int rc;

	(void)item, (void)size, (void)arg;
	add_acq_rel(&meet->begun, 1);
	while ((rc = ipck_result_write(result, bytes, sizeof(bytes))) == 0)
		;
	if (rc == -ECANCELED)
		add_acq_rel(&meet->finished, 1);
	return rc;
}

/* Its tasks are told, and their workers come free. */
START_TEST(test_close_ends_writers)
{
	struct ipck_pool *pool = pool_new(_i, 2);
	struct numbers numbers = {.end = 100};
	struct ipck_imap *it = begin(pool, true, write_for_ever, &numbers, 10);
	struct ipck_item item;

	ck_err(ipck_imap_next(it, &item, IPCK_NOWAIT), ETIMEDOUT);
	TEST_UNTIL(load_acquire(&meet->begun) == 2);
	ipck_imap_close(it);
	/* One that comes free may begin another before that is withdrawn. */
	TEST_UNTIL(load_acquire(&meet->finished) >= 2 && load_acquire(&meet->finished) == load_acquire(&meet->begun));
	pool_works(pool, 100);
	ck_assert_uint_le(load_acquire(&meet->begun), 10);
	pool_end(pool);
}
END_TEST

START_TEST(test_terminate_ends_writers)
{
	struct ipck_pool *pool = pool_new(_i, 2);
	struct numbers numbers = {.end = 5};
	struct ipck_imap *it = begin(pool, true, write_for_ever, &numbers, 10);
	struct ipck_item item;
	uint64_t canceled = 0;

	ck_err(ipck_imap_next(it, &item, IPCK_NOWAIT), ETIMEDOUT);
	TEST_UNTIL(load_acquire(&meet->begun) == 2);
	ck_ok(ipck_pool_terminate(pool));
	ck_assert_uint_eq(take(it, 100, &canceled), 5);
	ck_assert_uint_eq(canceled, 5);
	ipck_imap_close(it);
	ipck_pool_free(pool);
}
END_TEST

/* ---- join ---- */

START_TEST(test_submit_close_join_take)
{
	for (int ordered = 0; ordered < 2; ordered++) {
		struct ipck_pool *pool = pool_new(_i, 2);
		struct numbers a = {.end = 1000}, b = {.end = 10}, c = {.end = 0};
		struct ipck_imap *first = begin(pool, ordered, triple_imap, &a, 1);
		struct ipck_imap *second = begin(pool, !ordered, triple_imap, &b, 0);
		struct ipck_imap *third = begin(pool, ordered, triple_imap, &c, 0);

		ck_assert_uint_eq(take(first, 5, NULL), 5);
		ck_ok(ipck_pool_close(pool));
		ck_ok(ipck_pool_join(pool, IPCK_FOREVER));
		ck_assert_uint_eq(a.next, 1000);
		ck_assert_int_eq(pool_figures(pool).alive, 0);
		ck_assert_uint_eq(pool_figures(pool).done, 1010);
		ck_assert_uint_eq(take(second, 100, NULL), 10);
		ck_assert_uint_eq(take(first, 2000, NULL), 995);
		ck_assert_uint_eq(take(third, 1, NULL), 0);
		ipck_imap_close(first);
		ipck_imap_close(second);
		ipck_imap_close(third);
		ipck_pool_free(pool);
	}
}
END_TEST

static int later_until_open(void *ctx, const void **item, size_t *size)
{
	return load_acquire(&meet->open) ? next_number(ctx, item, size) : IPCK_INPUT_LATER;
}

START_TEST(test_join_with_deadline)
{
	struct ipck_pool *pool = pool_new(_i, 2);
	struct numbers numbers = {.end = 50};
	struct ipck_imap *it;

	ck_ok(ipck_pool_imap(&it, pool, triple_imap, later_until_open, &numbers, NULL));
	ck_ok(ipck_pool_close(pool));
	ck_err(ipck_pool_join(pool, IPCK_NOWAIT), ETIMEDOUT);
	ck_err(ipck_pool_join(pool, ipck_in_ms(30)), ETIMEDOUT);
	ipck_interrupt();
	ck_err(ipck_pool_join(pool, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	ipck_interrupt_clear();
	open_gate();
	ck_ok(ipck_pool_join(pool, IPCK_FOREVER));
	ck_assert_uint_eq(take(it, 100, NULL), 50);
	ipck_imap_close(it);
	ipck_pool_free(pool);
}
END_TEST

/* An input without end: join goes on reading, and can be interrupted. */
static int endless(void *ctx, const void **item, size_t *size)
{
	struct numbers *numbers = ctx;

	if (numbers->next == 500)
		ipck_interrupt();
	return next_number(numbers, item, size);
}

START_TEST(test_join_of_endless)
{
	struct ipck_pool *pool = pool_new(_i, 2);
	struct numbers numbers = {.end = UINT64_MAX};
	uint64_t read, canceled = 0;
	struct ipck_imap *it;

	ck_ok(ipck_pool_imap(&it, pool, triple_imap, endless, &numbers, NULL));
	ck_ok(ipck_pool_close(pool));
	ck_err(ipck_pool_join(pool, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	ipck_interrupt_clear();
	ck_assert_uint_gt(numbers.next, 500);
	ck_ok(ipck_pool_terminate(pool));
	read = numbers.next;
	ck_ok(ipck_pool_join(pool, IPCK_NOWAIT));
	ck_assert_uint_eq(take(it, UINT64_MAX, &canceled), read);
	ck_assert_uint_eq(numbers.next, read);
	ipck_imap_close(it);
	ipck_pool_free(pool);
}
END_TEST

struct user {
	struct ipck_pool *pool;
	struct ipck_imap *it;
	uint64_t taken;
};

static void join_or_take(unsigned i, void *arg)
{
	struct user *u = arg;

	if (i % 2)
		u->taken = take(u->it, UINT64_MAX, NULL);
	else
		ck_ok(ipck_pool_join(u->pool, IPCK_FOREVER));
}

/* One thread joins while another takes: the input is read by one at a time. */
START_TEST(test_join_beside_next)
{
	for (int round = 0; round < 10; round++) {
		struct numbers numbers = {.end = 300};
		struct user u = {.pool = pool_new(_i, 2)};

		u.it = begin(u.pool, round % 2, triple_imap, &numbers, 3);
		ck_ok(ipck_pool_close(u.pool));
		test_threads(2, join_or_take, &u);
		ck_assert_uint_eq(u.taken, 300);
		ipck_imap_close(u.it);
		ipck_pool_free(u.pool);
	}
}
END_TEST

/* ---- terminate and free ---- */

/* What was done stays, the rest is canceled, and nothing more is read. */
static void check_ended(struct ipck_imap *it, const struct numbers *numbers, uint64_t finished)
{
	uint64_t canceled = 0, read = numbers->next;

	ck_assert_uint_eq(take(it, UINT64_MAX, &canceled), read);
	ck_assert_uint_eq(canceled, read - finished);
	ck_assert_uint_eq(numbers->next, read);
}

START_TEST(test_terminate)
{
	for (int ordered = 0; ordered < 2; ordered++) {
		struct ipck_pool *pool = pool_new(_i, 1);
		struct numbers numbers = {.end = UINT64_MAX}, none = {.end = 5};
		struct ipck_imap *it = begin(pool, ordered, wait_at_gate_imap, &numbers, 20);
		struct ipck_imap *unread = begin(pool, ordered, triple_imap, &none, 0);
		struct ipck_item item;
		pthread_t thread;

		store_release(&meet->begun, 0);
		store_release(&meet->open, 0);
		ck_err(ipck_imap_next(it, &item, IPCK_NOWAIT), ETIMEDOUT);
		store_release(&meet->open, 10);
		TEST_UNTIL(load_acquire(&meet->begun) == 11 && pool_figures(pool).done == 10);
		ck_that(pthread_create(&thread, NULL, (void *(*)(void *))(void *)ipck_pool_terminate, pool) == 0);
		TEST_UNTIL(pool_calls(pool) == 0);
		open_gate();
		ck_that(pthread_join(thread, NULL) == 0);
		check_ended(it, &numbers, 10);
		check_ended(unread, &none, 0);
		ipck_imap_close(it);
		ipck_imap_close(unread);
		ipck_pool_free(pool);
	}
}
END_TEST

START_TEST(test_free_before_close)
{
	for (int round = 0; round < 20; round++) {
		struct ipck_pool *pool = pool_new(_i, 2);
		struct numbers numbers = {.end = 1000}, more = {.end = 3};
		struct ipck_imap *it = begin(pool, round % 2, triple_imap, &numbers, 10);
		struct ipck_imap *other = begin(pool, round % 2, triple_imap, &more, 10);
		uint64_t canceled = 0;

		ck_assert_uint_eq(take(it, (uint64_t)round, NULL), (uint64_t)round);
		ipck_pool_free(pool);
		if (round % 3)
			take(it, UINT64_MAX, &canceled);
		ck_assert_uint_le(numbers.next, (uint64_t)round + 10);
		ipck_imap_close(it);
		ck_assert_uint_eq(take(other, UINT64_MAX, &canceled), 0);
		ipck_imap_close(other);
	}
}
END_TEST

/* The input ends the pool that reads it. */
static int end_the_pool(void *ctx, const void **item, size_t *size)
{
	struct user *u = ctx;
	static struct numbers numbers;

	numbers.end = UINT64_MAX;
	if (u->taken++ == 20)
		ck_ok(ipck_pool_terminate(u->pool));
	return next_number(&numbers, item, size);
}

START_TEST(test_input_terminates)
{
	struct user u = {.pool = pool_new(_i, 2)};
	uint64_t canceled = 0;

	ck_ok(ipck_pool_imap(&u.it, u.pool, triple_imap, end_the_pool, &u, NULL));
	ck_assert_uint_eq(take(u.it, UINT64_MAX, &canceled), 21);
	ck_assert_uint_ge(canceled, 1);
	ipck_imap_close(u.it);
	ipck_pool_free(u.pool);
}
END_TEST

/* ---- fork ---- */

static void use_in_child(void *arg)
{
	struct user *u = arg;
	struct ipck_item item = {.index = 77};

	ck_err(ipck_imap_next(u->it, &item, IPCK_FOREVER), ECHILD);
	ck_that(item.index == 77);
	ipck_imap_close(u->it);
	ck_err(ipck_imap_next(u->it, &item, IPCK_NOWAIT), ECHILD);
}

START_TEST(test_in_a_child)
{
	struct numbers numbers = {.end = 100};
	struct user u = {.pool = pool_new(_i, 2)};

	u.it = begin(u.pool, true, triple_imap, &numbers, 0);
	ck_assert_uint_eq(take(u.it, 10, NULL), 10);
	test_join(test_fork(use_in_child, &u));
	ck_assert_uint_eq(take(u.it, 1000, NULL), 90);
	ipck_imap_close(u.it);
	pool_end(u.pool);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("imap_end");
	TCase *tc = pool_case(s, "close");

	pool_test(tc, test_closed_in_the_middle);
	pool_test(tc, test_close_ends_writers);
	pool_test(tc, test_terminate_ends_writers);
	tc = pool_case(s, "join");
	pool_test(tc, test_submit_close_join_take);
	pool_test(tc, test_join_with_deadline);
	pool_test(tc, test_join_of_endless);
	pool_test(tc, test_join_beside_next);
	tc = pool_case(s, "terminate");
	pool_test(tc, test_terminate);
	pool_test(tc, test_free_before_close);
	pool_test(tc, test_input_terminates);
	pool_test(tc, test_in_a_child);
	return test_main(s);
}
