/* SPDX-License-Identifier: MIT */
/* imap: order, the window, what the input and the items may do, and waiting for them. */
#include <ipckit/pool.h>

#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

typedef int start_fn(struct ipck_imap **out, struct ipck_pool *pool, ipck_imap_fn *fn, ipck_input_fn *input, void *ctx,
                     const struct ipck_map_opts *opts);
static start_fn *const starts[] = {ipck_pool_imap, ipck_pool_imap_unordered};
#define both_orders(tc, test) tcase_add_loop_test((tc), (test), 0, 2 * KINDS)

/* Test number i is of a kind of pool and of an order. */
static struct ipck_imap *begin(struct ipck_pool *pool, int i, ipck_imap_fn *fn, ipck_input_fn *input, void *ctx,
                               const struct ipck_map_opts *opts)
{
	struct ipck_imap *it;

	ck_ok(starts[i / KINDS](&it, pool, fn, input, ctx, opts));
	return it;
}

/* ---- order ---- */

static uint64_t number_of(const struct ipck_item *item)
{
	uint64_t x;

	ck_that(item->size == sizeof(x));
	memcpy(&x, item->data, sizeof(x));
	return x;
}

static const uint64_t lengths[] = {0, 1, 2, 7, 100, 3000};

START_TEST(test_all_once)
{
	struct ipck_pool *pool = pool_new(_i % KINDS, 3);

	for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
		struct numbers numbers = {.end = lengths[k]};
		struct ipck_imap *it = begin(pool, _i, triple_imap, next_number, &numbers, NULL);
		unsigned char *seen = calloc(1, lengths[k] + 1);
		struct ipck_item item;

		for (uint64_t n = 0; n < lengths[k]; n++) {
			ck_that(ck_ok(ipck_imap_next(it, &item, IPCK_FOREVER)) == 1);
			ck_that(item.status.outcome == IPCK_DONE && item.status.value == 0);
			ck_that(item.index < lengths[k] && !seen[item.index]++);
			ck_that(_i >= KINDS || item.index == n);
			ck_that(number_of(&item) == 3 * item.index + 1);
			ck_that(item.worker >= 0 && item.worker < 3);
		}
		/* The end comes as often as one asks. */
		for (int i = 0; i < 3; i++)
			ck_that(ck_ok(ipck_imap_next(it, &item, IPCK_FOREVER)) == 0);
		ck_that(ck_ok(ipck_imap_next(it, &item, IPCK_NOWAIT)) == 0);
		ipck_imap_close(it);
		free(seen);
	}
	pool_end(pool);
}
END_TEST

/* Item 0 waits at the gate: the others overtake it, or are held back by it. */
static int first_waits(const void *item, size_t size, const void *arg, struct ipck_result *result)
{
	if (*(const uint64_t *)item == 0)
		meet_at_gate();
	return triple_imap(item, size, arg, result);
}

START_TEST(test_overtaking)
{
	struct ipck_pool *pool = pool_new(_i % KINDS, 2);
	struct numbers numbers = {.end = 20};
	struct ipck_imap *it = begin(pool, _i, first_waits, next_number, &numbers, IPCK_MAP_OPTS(.window = 20));
	struct ipck_item item;
	bool ordered = _i < KINDS;

	if (ordered) {
		ck_err(ipck_imap_next(it, &item, ipck_in_ms(20)), ETIMEDOUT);
		open_gate();
	}
	for (uint64_t n = 0; n < 19; n++) {
		ck_that(ck_ok(ipck_imap_next(it, &item, IPCK_FOREVER)) == 1);
		ck_that(ordered ? item.index == n : item.index != 0);
	}
	open_gate();
	ck_that(ck_ok(ipck_imap_next(it, &item, IPCK_FOREVER)) == 1);
	ck_assert_uint_eq(item.index, ordered ? 19 : 0);
	ck_that(ck_ok(ipck_imap_next(it, &item, IPCK_FOREVER)) == 0);
	ipck_imap_close(it);
	pool_end(pool);
}
END_TEST

/* ---- the window ---- */

struct watched {
	struct numbers numbers;
	uint64_t given, window, most;
};

/* Notes how far it is ahead of what was given out. */
static int watched_number(void *ctx, const void **item, size_t *size)
{
	struct watched *w = ctx;
	uint64_t ahead = w->numbers.next + 1 - w->given;

	ck_that(ahead <= w->window);
	w->most = ahead > w->most ? ahead : w->most;
	return next_number(&w->numbers, item, size);
}

static const size_t windows[] = {1, 2, 3, 8, 20, 0};

START_TEST(test_window)
{
	struct ipck_pool *pool = pool_new(_i % KINDS, 2);

	for (size_t k = 0; k < sizeof(windows) / sizeof(windows[0]); k++) {
		struct watched w = {.numbers.end = UINT64_MAX, .window = windows[k] ? windows[k] : 8};
		struct ipck_imap *it;
		struct ipck_item item;

		/* An input without end: read as far as the window goes, and no farther. */
		store_release(&meet->open, 0);
		it = begin(pool, _i, wait_at_gate_imap, watched_number, &w, IPCK_MAP_OPTS(.window = windows[k]));
		ck_assert_uint_eq(w.numbers.next, 0);
		ck_err(ipck_imap_next(it, &item, IPCK_NOWAIT), ETIMEDOUT);
		ck_err(ipck_imap_next(it, &item, ipck_in_ms(5)), ETIMEDOUT);
		ck_assert_uint_eq(w.numbers.next, w.window);
		open_gate();
		for (w.given = 0; w.given < 500; w.given++)
			ck_that(ck_ok(ipck_imap_next(it, &item, IPCK_FOREVER)) == 1);
		ck_assert_uint_eq(w.most, w.window);
		ck_assert_uint_le(w.numbers.next, 500 + w.window);
		ipck_imap_close(it);
	}
	pool_end(pool);
}
END_TEST

/* ---- errors of the input ---- */

struct failing {
	struct numbers numbers;
	int error;
	int asked; /* after its end */
};

static int failing_number(void *ctx, const void **item, size_t *size)
{
	struct failing *f = ctx;
	int rc = next_number(&f->numbers, item, size);

	if (rc == 0) {
		f->asked++;
		return f->error;
	}
	return rc;
}

START_TEST(test_input_error)
{
	static const int errors[] = {-EIO, -EPERM, -1, INT32_MIN, 0};
	struct ipck_pool *pool = pool_new(_i % KINDS, 2);

	for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
		struct failing f = {.numbers.end = lengths[k], .error = errors[k % 5]};
		struct ipck_imap *it = begin(pool, _i, triple_imap, failing_number, &f, NULL);
		struct ipck_item item;

		for (uint64_t n = 0; n < lengths[k]; n++)
			ck_that(ck_ok(ipck_imap_next(it, &item, IPCK_FOREVER)) == 1);
		ck_that(ipck_imap_next(it, &item, IPCK_FOREVER) == f.error);
		ck_that(ipck_imap_next(it, &item, IPCK_FOREVER) == 0);
		ck_that(ipck_imap_next(it, &item, IPCK_NOWAIT) == 0);
		ck_assert_int_eq(f.asked, 1);
		ipck_imap_close(it);
	}
	pool_end(pool);
}
END_TEST

/* Each third time it has nothing; then it does not even hold up what is ready. */
struct hesitating {
	struct numbers numbers;
	uint64_t calls;
	bool never;
};

static int hesitating_number(void *ctx, const void **item, size_t *size)
{
	struct hesitating *h = ctx;

	if (h->never || h->calls++ % 3 == 0)
		return IPCK_INPUT_LATER;
	return next_number(&h->numbers, item, size);
}

START_TEST(test_input_later)
{
	struct ipck_pool *pool = pool_new(_i % KINDS, 2);
	struct hesitating h = {.numbers.end = 30};
	struct ipck_imap *it = begin(pool, _i, triple_imap, hesitating_number, &h, NULL);
	struct ipck_item item;
	uint64_t given = 0;

	h.never = true;
	ck_err(ipck_imap_next(it, &item, IPCK_NOWAIT), ETIMEDOUT);
	ck_err(ipck_imap_next(it, &item, ipck_in_ms(20)), ETIMEDOUT);
	h.never = false;
	for (; given < 10; given++)
		ck_that(ck_ok(ipck_imap_next(it, &item, IPCK_FOREVER)) == 1);
	h.never = true;
	for (; given < h.numbers.next; given++)
		ck_that(ck_ok(ipck_imap_next(it, &item, IPCK_FOREVER)) == 1);
	ck_err(ipck_imap_next(it, &item, IPCK_NOWAIT), ETIMEDOUT);
	h.never = false;
	h.numbers.end = h.numbers.next + 2;
	ck_that(ck_ok(ipck_imap_next(it, &item, IPCK_FOREVER)) == 1);
	ck_that(ck_ok(ipck_imap_next(it, &item, IPCK_FOREVER)) == 1);
	ck_that(ck_ok(ipck_imap_next(it, &item, IPCK_FOREVER)) == 0);
	ipck_imap_close(it);
	pool_end(pool);
}
END_TEST

/* ---- errors of items ---- */

/* Writes, then fails with x if that is odd: with -x if it is 1 modulo 4. */
static int write_and_fail(const void *item, size_t size, const void *arg, struct ipck_result *result)
{
	int x = (int)*(const uint64_t *)item;
	int rc = triple_imap(item, size, arg, result);

	if (rc < 0)
		return rc;
	return x % 4 == 1 ? -x : x % 4 == 3 ? x : 0;
}

START_TEST(test_item_errors)
{
	struct ipck_pool *pool = pool_new(_i % KINDS, 2);
	struct numbers numbers = {.end = 1000};
	struct ipck_imap *it = begin(pool, _i, write_and_fail, next_number, &numbers, IPCK_MAP_OPTS(.retries = 2));
	struct ipck_item item;

	for (int n = 0; n < 1000; n++) {
		int x;

		ck_that(ck_ok(ipck_imap_next(it, &item, IPCK_FOREVER)) == 1);
		x = (int)item.index;
		ck_that(item.status.outcome == (x % 2 ? IPCK_FAILED : IPCK_DONE));
		ck_that(item.status.value == (x % 4 == 1 ? -x : x % 4 == 3 ? x : 0));
		ck_that(number_of(&item) == 3 * item.index + 1);
	}
	ck_that(ck_ok(ipck_imap_next(it, &item, IPCK_FOREVER)) == 0);
	ipck_imap_close(it);
	pool_end(pool);
}
END_TEST

/* ---- arguments and bad calls ---- */

struct block {
	uint64_t words[1000];
};

static int add_block(const void *item, size_t size, const void *arg, struct ipck_result *result)
{
	const struct block *b = arg;
	uint64_t x;

	(void)size;
	memcpy(&x, item, sizeof(x));
	if ((uintptr_t)arg % 64)
		return 1;
	x += b->words[x % 1000];
	return ipck_result_write(result, &x, sizeof(x));
}

START_TEST(test_argument)
{
	struct ipck_pool *pool = pool_new(_i % KINDS, 2);
	struct numbers numbers = {.end = 2000};
	struct block *b = malloc(sizeof(*b));
	struct ipck_item item;
	struct ipck_imap *it;

	for (uint64_t k = 0; k < 1000; k++)
		b->words[k] = 5 * k;
	it = begin(pool, _i, add_block, next_number, &numbers, IPCK_MAP_OPTS(.arg = b, .arg_size = sizeof(*b)));
	free(b);
	for (int n = 0; n < 2000; n++) {
		ck_that(ck_ok(ipck_imap_next(it, &item, IPCK_FOREVER)) == 1);
		ck_that(item.status.outcome == IPCK_DONE);
		ck_that(number_of(&item) == item.index + 5 * (item.index % 1000));
	}
	ipck_imap_close(it);
	pool_end(pool);
}
END_TEST

START_TEST(test_bad_calls)
{
	struct ipck_pool *pool = pool_new(_i % KINDS, 1);
	start_fn *start = starts[_i / KINDS];
	struct numbers numbers = {.end = 1};
	struct ipck_imap *it = (void *)&numbers;

	ck_err(start(&it, pool, NULL, next_number, &numbers, NULL), EINVAL);
	ck_err(start(&it, pool, triple_imap, NULL, &numbers, NULL), EINVAL);
	ck_err(start(&it, pool, triple_imap, next_number, &numbers, IPCK_MAP_OPTS(.retries = -1)), EINVAL);
	ck_err(start(&it, pool, triple_imap, next_number, &numbers, IPCK_MAP_OPTS(.arg_size = 1)), EINVAL);
	ck_err(start(&it, pool, triple_imap, next_number, &numbers,
	             IPCK_MAP_OPTS(.arg = &numbers, .arg_size = (size_t)1 << 60)),
	       ENOSPC);
	ck_assert_ptr_eq(it, (void *)&numbers);
	ipck_imap_close(NULL);
	/* None of them counts as work under way. */
	pool_end(pool);
}
END_TEST

/* ---- deadlines ---- */

/* Item x waits until more than x may go. */
static int wait_for_turn(const void *item, size_t size, const void *arg, struct ipck_result *result)
{
	while (load_acquire(&meet->open) <= *(const uint64_t *)item)
		usleep(100);
	return triple_imap(item, size, arg, result);
}

START_TEST(test_deadlines)
{
	struct ipck_pool *pool = pool_new(_i % KINDS, 2);
	struct numbers numbers = {.end = 100};
	struct ipck_imap *it = begin(pool, _i, wait_for_turn, next_number, &numbers, NULL);
	struct ipck_item item;
	uint64_t sum = 0;

	for (int i = 0; i < 5; i++)
		ck_err(ipck_imap_next(it, &item, i % 2 ? IPCK_NOWAIT : ipck_in_ms(5)), ETIMEDOUT);
	/* One after another goes on; polling loses none. */
	for (uint32_t n = 0; n < 100; n++) {
		int rc;

		store_release(&meet->open, n + 2);
		while ((rc = ipck_imap_next(it, &item, n % 2 ? IPCK_NOWAIT : ipck_in_ms(1))) == -ETIMEDOUT)
			usleep(100);
		ck_that(rc == 1 && item.status.outcome == IPCK_DONE);
		ck_that(number_of(&item) == 3 * item.index + 1);
		sum += item.index;
	}
	ck_assert_uint_eq(sum, 99 * 100 / 2);
	ck_that(ck_ok(ipck_imap_next(it, &item, IPCK_NOWAIT)) == 0);
	ipck_imap_close(it);
	pool_end(pool);
}
END_TEST

static void on_alarm(int sig)
{
	(void)sig;
	ipck_interrupt();
}

START_TEST(test_interrupted)
{
	struct ipck_pool *pool = pool_new(_i % KINDS, 2);
	struct itimerval soon = {.it_value = {.tv_usec = 20000}};
	struct numbers numbers = {.end = 10};
	struct ipck_imap *it = begin(pool, _i, wait_at_gate_imap, next_number, &numbers, NULL);
	struct ipck_item item;

	signal(SIGALRM, on_alarm);
	ck_that(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	ck_err(ipck_imap_next(it, &item, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	ck_err(ipck_imap_next(it, &item, ipck_interruptible(ipck_in_sec(100))), ECANCELED);
	open_gate();
	ck_that(ck_ok(ipck_imap_next(it, &item, IPCK_FOREVER)) == 1);
	ipck_interrupt_clear();
	for (int n = 0; n < 9; n++)
		ck_that(ck_ok(ipck_imap_next(it, &item, ipck_interruptible(IPCK_FOREVER))) == 1);
	ck_that(ck_ok(ipck_imap_next(it, &item, ipck_interruptible(IPCK_FOREVER))) == 0);
	ipck_imap_close(it);
	pool_end(pool);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("imap");
	TCase *tc = pool_case(s, "order");

	both_orders(tc, test_all_once);
	both_orders(tc, test_overtaking);
	both_orders(tc, test_window);
	tc = pool_case(s, "errors");
	both_orders(tc, test_input_error);
	both_orders(tc, test_input_later);
	both_orders(tc, test_item_errors);
	both_orders(tc, test_argument);
	both_orders(tc, test_bad_calls);
	tc = pool_case(s, "deadlines");
	both_orders(tc, test_deadlines);
	both_orders(tc, test_interrupted);
	return test_main(s);
}
