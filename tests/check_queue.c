/* SPDX-License-Identifier: MIT */
/* Queues: made and opened, messages of all sizes, bounds, deadlines, order. */
#include <ipckit/pipe.h>

#include "queues.h"

/* ---- life ---- */

START_TEST(made_and_closed)
{
	struct ipck_queue_stats f;

	make_queue(_i ? IPCK_QUEUE_OPTS(.bytes = 0) : NULL);
	f = figures(queue);
	ck_assert_uint_eq(f.bytes, 1 << 20);
	ck_assert_uint_eq(f.largest, (1 << 20) - 16);
	ck_assert(f.max_items == 0 && !f.joinable && !f.leases && f.shutdown == 0);
	ck_assert(f.puts == 0 && f.gets == 0 && f.most_items == 0 && f.recovered == 0);
	is_unused(queue);
	ipck_queue_close(queue);
	ipck_queue_close(NULL);
}
END_TEST

START_TEST(shapes)
{
	const size_t wanted[][2] = {{1, 4096}, {4096, 4096}, {4097, 8192}, {100000, 131072}, {1 << 22, 1 << 22}};
	struct ipck_queue_stats f;

	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		make_queue(IPCK_QUEUE_OPTS(.bytes = wanted[i][0], .max_items = i, .joinable = i & 1, .leases = i & 2));
		f = figures(queue);
		ck_assert_uint_eq(f.bytes, wanted[i][1]);
		ck_assert_uint_eq(f.largest, wanted[i][1] - 16);
		ck_assert(f.max_items == i && f.joinable == (i % 4 != 0) && f.leases == (i % 4 >= 2));
		ipck_queue_close(queue);
	}
}
END_TEST

START_TEST(bad_options)
{
	struct {
		struct ipck_queue_opts known;
		uint64_t unknown;
	} newer = {.known = {.size = sizeof(newer), .bytes = SMALL}};
	struct ipck_queue_opts older = {.size = offsetof(struct ipck_queue_opts, leases), .bytes = SMALL,
	                                .leases = true};
	struct ipck_queue *none = NULL;

	ck_err(ipck_queue_create(&none, NULL, IPCK_QUEUE_OPTS(.bytes = IPCK_QUEUE_BYTES_MAX + 1)), EINVAL);
	ck_err(ipck_queue_create(&none, NULL, IPCK_QUEUE_OPTS(.bytes = SIZE_MAX)), EINVAL);
	ck_err(ipck_queue_create(&none, NULL, IPCK_QUEUE_OPTS(.mode = 01777)), EINVAL);
	ck_err(ipck_queue_create(&none, "", NULL), EINVAL);
	ck_err(ipck_queue_create(&none, "a/b", NULL), EINVAL);
	newer.unknown = 1;
	ck_err(ipck_queue_create(&none, NULL, &newer.known), E2BIG);
	ck_err(ipck_queue_open(&none, test_name("none"), &newer.known), E2BIG);
	newer.known.size = sizeof(size_t) - 1;
	ck_err(ipck_queue_create(&none, NULL, &newer.known), EINVAL);
	ck_err(ipck_queue_open(&none, NULL, NULL), EINVAL);
	ck_assert_ptr_null(none);
	newer.known.size = sizeof(newer);
	newer.unknown = 0;
	make_queue(&newer.known);
	ipck_queue_close(queue);
	/* What lies behind its end was not read. */
	make_queue(&older);
	ck_assert(!figures(queue).leases);
	ipck_queue_close(queue);
}
END_TEST

START_TEST(bad_arguments)
{
	struct ipck_queue_stats f = IPCK_QUEUE_STATS_INIT;
	struct iovec part = {NULL, 0};
	char byte;

	make_small();
	ck_err(ipck_queue_put_many(queue, &part, -1, IPCK_NOWAIT), EINVAL);
	ck_assert_int_eq(ipck_queue_put_many(queue, &part, 0, IPCK_NOWAIT), 0);
	ck_err(ipck_queue_get_many(queue, &byte, 1, &part, 0, NULL, IPCK_NOWAIT), EINVAL);
	ck_err(ipck_queue_get_many(queue, &byte, 1, &part, -1, NULL, IPCK_NOWAIT), EINVAL);
	f.size = sizeof(f) + 1;
	ck_err(ipck_queue_stat(queue, &f), EINVAL);
	f.size = 0;
	ck_err(ipck_queue_stat(queue, &f), EINVAL);
	f.size = offsetof(struct ipck_queue_stats, largest);
	f.largest = 77;
	ck_ok(ipck_queue_stat(queue, &f));
	ck_assert(f.bytes == SMALL && f.largest == 77 && f.size == offsetof(struct ipck_queue_stats, largest));
	is_unused(queue);
	ipck_queue_close(queue);
}
END_TEST

START_TEST(handed_over)
{
	struct ipck_queue *other, *none = NULL;
	struct ipck_pipe *ends[2];
	int fds[2], bad[2], ring[2];

	make_small();
	put_text(queue, "before");
	ck_ok(ipck_queue_fds(queue, fds));
	bad[0] = fds[0], bad[1] = fds[0];
	ck_err(ipck_queue_open_fds(&none, bad, NULL), EPROTO);
	bad[0] = fds[1], bad[1] = fds[1];
	ck_err(ipck_queue_open_fds(&none, bad, NULL), EPROTO);
	bad[0] = fds[0], bad[1] = -1;
	ck_err(ipck_queue_open_fds(&none, bad, NULL), EBADF);
	bad[0] = -1, bad[1] = fds[1];
	ck_err(ipck_queue_open_fds(&none, bad, NULL), EBADF);
	ck_ok(ipck_pipe_create(ends, NULL));
	ck_ok(ipck_pipe_fds(ends[0], ring));
	bad[0] = ring[0], bad[1] = fds[1];
	ck_err(ipck_queue_open_fds(&none, bad, NULL), EPROTO);
	ipck_pipe_close(ends[0]);
	ipck_pipe_close(ends[1]);
	ck_assert_ptr_null(none);
	ck_ok(ipck_queue_open_fds(&other, fds, NULL));
	ipck_queue_close(queue);
	expect_text(other, "before");
	put_text(other, "after");
	expect_text(other, "after");
	ipck_queue_close(other);
}
END_TEST

/* ---- messages ---- */

/* Each wherever the last one ended, so that all wrap somewhere. */
START_TEST(of_all_sizes)
{
	make_small();
	for (size_t size = 0; size <= LARGEST; size++) {
		put_filled(queue, size, size);
		expect_filled(queue, size, size);
	}
	is_unused(queue);
	ipck_queue_close(queue);
}
END_TEST

/* Copied under the lock, and outside of it; got in each way. */
START_TEST(large_ones)
{
	const size_t sizes[] = {4095, 4096, 4097, 5000, 30000, 65519, 65520};

	make_queue(IPCK_QUEUE_OPTS(.bytes = 65536));
	for (size_t i = 0; i < 3 * sizeof(sizes) / sizeof(*sizes); i++) {
		size_t size = sizes[i / 3], got;
		void *data;

		put_filled(queue, size, i);
		if (i % 3) {
			expect_filled(queue, size, i);
			continue;
		}
		ck_ok(ipck_queue_get_new(queue, &data, &got, IPCK_NOWAIT));
		ck_that(got == size && is_filled(data, size, i));
		free(data);
	}
	ck_err(ipck_queue_put(queue, sizes, 65521, IPCK_NOWAIT), EMSGSIZE);
	is_unused(queue);
	ck_assert_uint_eq(figures(queue).bytes_put, figures(queue).bytes_got);
	ipck_queue_close(queue);
}
END_TEST

START_TEST(larger_than_the_queue)
{
	static const char bytes[SMALL * 2];
	const struct iovec parts[3] = {
		{.iov_len = 0}, {.iov_base = (void *)(uintptr_t)bytes, .iov_len = LARGEST + 1}, {.iov_len = 0}};

	make_small();
	for (size_t size = LARGEST + 1; size < sizeof(bytes); size += 100)
		ck_err(ipck_queue_put(queue, bytes, size, IPCK_NOWAIT), EMSGSIZE);
	ck_err(ipck_queue_put(queue, bytes, SIZE_MAX, far_off()), EMSGSIZE);
	ck_err(ipck_queue_put_many(queue, parts + 1, 2, far_off()), EMSGSIZE);
	ck_assert_int_eq(ipck_queue_put_many(queue, parts, 3, far_off()), 1);
	expect_text(queue, "");
	is_unused(queue);
	ipck_queue_close(queue);
}
END_TEST

/* A message that is longer stays the first. */
START_TEST(longer_than_the_buffer)
{
	struct iovec part;
	size_t needed = 0;
	char bytes[8];

	make_small();
	put_text(queue, "long text");
	put_text(queue, "x");
	for (size_t size = 0; size <= 8; size++) {
		memset(bytes, '#', sizeof(bytes));
		ck_err(ipck_queue_get(queue, bytes, size, &needed, far_off()), EMSGSIZE);
		ck_assert_uint_eq(needed, 9);
		ck_err(ipck_queue_get(queue, bytes, size, NULL, IPCK_NOWAIT), EMSGSIZE);
		needed = 0;
		ck_err(ipck_queue_get_many(queue, bytes, size, &part, 1, &needed, IPCK_NOWAIT), EMSGSIZE);
		ck_assert_uint_eq(needed, 9);
		ck_assert(bytes[0] == '#' && bytes[7] == '#');
	}
	ck_assert_int_eq(ck_ok(ipck_queue_size(queue)), 2);
	expect_text(queue, "long text");
	expect_text(queue, "x");
	put_text(queue, "");
	ck_assert_int_eq(ipck_queue_get(queue, NULL, 0, &needed, IPCK_NOWAIT), 0);
	is_unused(queue);
	ipck_queue_close(queue);
}
END_TEST

START_TEST(got_as_new)
{
	size_t size = 99;
	void *data = NULL;

	make_small();
	ck_err(ipck_queue_get_new(queue, &data, &size, IPCK_NOWAIT), ETIMEDOUT);
	ck_assert(data == NULL && size == 99);
	for (size_t n = 0; n <= LARGEST; n += 51) {
		put_filled(queue, n, n);
		ck_ok(ipck_queue_get_new(queue, &data, &size, far_off()));
		ck_that(data && size == n && is_filled(data, n, n));
		free(data);
	}
	is_unused(queue);
	ipck_queue_close(queue);
}
END_TEST

/* ---- bounds ---- */

/* In bytes: a message takes 16 more than its size, rounded up. */
START_TEST(bounded_by_bytes)
{
	make_small();
	for (size_t size = 0; size <= LARGEST; size = 3 * size + 7) {
		unsigned n = put_until_full(queue, size);

		ck_that(n == SMALL / (16 + (size + 15) / 16 * 16));
		ck_that(figures(queue).items == n);
		ck_that(ipck_queue_full(queue) == (SMALL % (16 + (size + 15) / 16 * 16) == 0));
		ck_err(ipck_queue_put(queue, "", size < 1 ? 0 : LARGEST, ipck_in_ms(2)), ETIMEDOUT);
		for (; n > 0; n--)
			expect_filled(queue, size, 0);
		is_unused(queue);
	}
	ipck_queue_close(queue);
}
END_TEST

START_TEST(bounded_by_items)
{
	struct ipck_queue_item item;
	size_t bound = (size_t)_i;
	char *data;

	make_queue(IPCK_QUEUE_OPTS(.bytes = SMALL, .max_items = bound));
	for (int round = 0; round < 40; round++) {
		ck_that(put_until_full(queue, 3) == bound);
		ck_that(ipck_queue_full(queue) && ck_ok(ipck_queue_size(queue)) == (ssize_t)bound);
		for (size_t i = 0; i < bound; i++)
			expect_filled(queue, 3, 0);
		ck_that(!ipck_queue_full(queue));
	}
	/* A reservation counts, too; what somebody has does not. */
	data = reserve(queue, 1);
	ck_assert_uint_eq(put_until_full(queue, 1), bound - 1);
	commit_text(queue, data, "x");
	ck_assert(ipck_queue_full(queue));
	item = peek_text(queue, "x");
	ck_assert_uint_eq(put_until_full(queue, 1), 1);
	ck_ok(ipck_queue_release(queue, &item));
	ck_assert(ipck_queue_full(queue));
	ipck_queue_close(queue);
}
END_TEST

/* ---- deadlines ---- */

START_TEST(nothing_comes)
{
	struct ipck_deadline soon = ipck_in_ms(10);
	struct ipck_queue_item item;
	struct iovec part;
	size_t needed = 1;
	char byte = '#';

	make_small();
	expect_nothing(queue);
	ck_err(ipck_queue_get(queue, &byte, 1, &needed, soon), ETIMEDOUT);
	ck_assert(ipck_deadline_passed(soon));
	ck_err(ipck_queue_get(queue, &byte, 1, &needed, soon), ETIMEDOUT);
	ck_err(ipck_queue_get_many(queue, &byte, 1, &part, 1, &needed, ipck_in_ms(1)), ETIMEDOUT);
	ck_err(ipck_queue_peek(queue, &item, ipck_in_ms(1)), ETIMEDOUT);
	ipck_interrupt();
	ck_err(ipck_queue_get(queue, &byte, 1, &needed, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	ck_err(ipck_queue_get_many(queue, &byte, 1, &part, 1, &needed, ipck_interruptible(far_off())), ECANCELED);
	ck_err(ipck_queue_peek(queue, &item, ipck_interruptible(far_off())), ECANCELED);
	put_text(queue, "x");
	/* What is there is got, interrupted or not. */
	ck_assert_int_eq(ipck_queue_get(queue, &byte, 1, &needed, ipck_interruptible(IPCK_FOREVER)), 1);
	ipck_interrupt_clear();
	ck_assert(byte == 'x' && needed == 1);
	is_unused(queue);
	ipck_queue_close(queue);
}
END_TEST

START_TEST(no_room_comes)
{
	struct ipck_deadline soon = ipck_in_ms(10);
	struct iovec part = {NULL, 0};
	unsigned n;

	make_small();
	n = put_until_full(queue, 0);
	ck_err(ipck_queue_put(queue, "", 0, soon), ETIMEDOUT);
	ck_assert(ipck_deadline_passed(soon));
	ck_err(ipck_queue_put_many(queue, &part, 1, ipck_in_ms(1)), ETIMEDOUT);
	ipck_interrupt();
	ck_err(ipck_queue_put(queue, "", 0, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	ck_err(ipck_queue_put_many(queue, &part, 1, ipck_interruptible(far_off())), ECANCELED);
	ipck_interrupt_clear();
	ck_assert_uint_eq(n, SMALL / 16);
	ck_assert_int_eq(ck_ok(ipck_queue_size(queue)), n);
	ck_assert_uint_eq(figures(queue).puts, n);
	ipck_queue_close(queue);
}
END_TEST

static void sleep_until_interrupted(void *arg)
{
	char byte;

	let_signals_interrupt();
	if (arg)
		ck_err(ipck_queue_put(queue, "", 0, ipck_interruptible(far_off())), ECANCELED);
	else
		ck_err(ipck_queue_get(queue, &byte, 1, NULL, ipck_interruptible(far_off())), ECANCELED);
}

START_TEST(an_interruption_ends_the_sleep)
{
	pid_t pid;

	make_small();
	spin_forbid();
	if (_i)
		(void)put_until_full(queue, 0);
	pid = test_fork(sleep_until_interrupted, _i ? queue : NULL);
	TEST_UNTIL((_i ? asleep_for_room(queue) : asleep_for_message(queue)) >= 1 && test_state(pid) == 'S');
	ck_that(kill(pid, SIGUSR1) == 0);
	test_join(pid);
	ipck_queue_close(queue);
}
END_TEST

/* ---- order ---- */

#define PUTTERS 3
#define NUMBERS 700

struct number {
	uint32_t putter, number;
};

static void put_numbers(unsigned i, void *arg)
{
	char bytes[600] = {0};

	(void)arg;
	for (uint32_t n = 0; n < NUMBERS; n++) {
		struct number head = {i, n};

		memcpy(bytes, &head, sizeof(head));
		ck_ok(ipck_queue_put(queue, bytes, sizeof(head) + n % 64 * 9, far_off()));
	}
}

/* What one puts is got in that order, by whoever gets. */
static void get_numbers(unsigned i, void *arg)
{
	uint32_t next[PUTTERS] = {0};

	if (i < PUTTERS) {
		put_numbers(i, arg);
		return;
	}
	for (;;) {
		struct number head;
		char bytes[600];
		ssize_t n = ipck_queue_get(queue, bytes, sizeof(bytes), NULL, far_off());

		if (n == -ESHUTDOWN)
			break;
		ck_ok(n);
		memcpy(&head, bytes, sizeof(head));
		ck_that(head.putter < PUTTERS && head.number >= next[head.putter]);
		ck_that(n == (ssize_t)(sizeof(head) + head.number % 64 * 9));
		next[head.putter] = head.number + 1;
		if (add_acq_rel((uint32_t *)arg, 1) == PUTTERS * NUMBERS - 1)
			ck_ok(ipck_queue_shutdown(queue, IPCK_QUEUE_DRAIN));
	}
}

START_TEST(order_of_each_putter)
{
	uint32_t *count = test_shared(sizeof(*count));

	make_queue(IPCK_QUEUE_OPTS(.bytes = SMALL, .max_items = _i & 4 ? 2 : 0));
	run_parties(_i & 3, PUTTERS + 2, get_numbers, count);
	ck_assert_uint_eq(*count, PUTTERS * NUMBERS);
	ck_assert_uint_eq(figures(queue).puts, PUTTERS * NUMBERS);
	ck_assert_uint_eq(figures(queue).gets, PUTTERS * NUMBERS);
	ipck_queue_close(queue);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("queue");
	TCase *tc = test_case(s, "life");

	tcase_add_loop_test(tc, made_and_closed, 0, 2);
	tcase_add_test(tc, shapes);
	tcase_add_test(tc, bad_options);
	tcase_add_test(tc, bad_arguments);
	tcase_add_test(tc, handed_over);
	tc = test_case(s, "messages");
	tcase_add_test(tc, of_all_sizes);
	tcase_add_test(tc, large_ones);
	tcase_add_test(tc, larger_than_the_queue);
	tcase_add_test(tc, longer_than_the_buffer);
	tcase_add_test(tc, got_as_new);
	tc = test_case(s, "bounds");
	tcase_add_test(tc, bounded_by_bytes);
	tcase_add_loop_test(tc, bounded_by_items, 1, 4);
	tc = test_case(s, "deadlines");
	tcase_add_test(tc, nothing_comes);
	tcase_add_test(tc, no_room_comes);
	tcase_add_loop_test(tc, an_interruption_ends_the_sleep, 0, 2);
	tc = test_case(s, "order");
	tcase_add_loop_test(tc, order_of_each_putter, 0, 8);
	return test_main(s);
}
