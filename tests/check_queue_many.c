/* SPDX-License-Identifier: MIT */
/* Batches; and several putters and getters: each message comes once, whole, to one of them. */
#include "queues.h"

#define PUTTERS 3
#define GETTERS 3
#define MESSAGES 800
#define LONGEST 3000

/* seen: how often each message came.  putters: how many go on. */
static struct shared {
	uint8_t seen[PUTTERS][MESSAGES];
	uint32_t putters, got, ended;
} *shared;

struct head {
	uint32_t putter, number;
};

static size_t size_of(uint32_t putter, uint32_t number)
{
	struct test_random random = {putter * UINT64_C(1000003) + number};

	return sizeof(struct head) + test_random_below(&random, number % 16 ? 150 : LONGEST);
}

static void make_message(char *bytes, uint32_t putter, uint32_t number)
{
	struct head head = {putter, number};

	memcpy(bytes, &head, sizeof(head));
	fill(bytes + sizeof(head), size_of(putter, number) - sizeof(head), putter * MESSAGES + number);
}

static void take_message(const void *bytes, size_t size)
{
	struct head head;

	ck_that(size >= sizeof(head));
	memcpy(&head, bytes, sizeof(head));
	ck_that(head.putter < PUTTERS && head.number < MESSAGES && size == size_of(head.putter, head.number));
	ck_that(is_filled((const char *)bytes + sizeof(head), size - sizeof(head),
	                  head.putter * MESSAGES + head.number));
	ck_that(add_relaxed(&shared->seen[head.putter][head.number], 1) == 0);
	add_relaxed(&shared->got, 1);
}

/* ---- batches ---- */

/* Parts that are `size` bytes each. */
static void make_parts(struct iovec *parts, int n, char *bytes, size_t size)
{
	for (int i = 0; i < n; i++)
		parts[i] = (struct iovec){.iov_base = bytes, .iov_len = size};
}

START_TEST(a_batch_is_partly_put)
{
	struct iovec parts[300], got[300];
	char bytes[LARGEST];

	make_small();
	make_parts(parts, 300, bytes, 0);
	ck_assert_int_eq(ipck_queue_put_many(queue, parts, 300, _i ? ipck_in_ms(10) : IPCK_NOWAIT), 256);
	ck_err(ipck_queue_put_many(queue, parts, 300, _i ? ipck_in_ms(10) : IPCK_NOWAIT), ETIMEDOUT);
	ck_assert_int_eq(ipck_queue_get_many(queue, bytes, sizeof(bytes), got, 300, NULL, IPCK_NOWAIT), 256);
	ck_err(ipck_queue_get_many(queue, bytes, sizeof(bytes), got, 300, NULL, IPCK_NOWAIT), ETIMEDOUT);
	ipck_interrupt();
	ck_assert_int_eq(ipck_queue_put_many(queue, parts, 300, ipck_interruptible(IPCK_FOREVER)), 256);
	ipck_interrupt_clear();
	ck_ok(ipck_queue_shutdown(queue, IPCK_QUEUE_IMMEDIATE));
	ck_err(ipck_queue_put_many(queue, parts, 300, far_off()), ESHUTDOWN);
	ipck_queue_close(queue);
}
END_TEST

/* As many as are there, and fit, and not more than wanted; each where it says. */
START_TEST(a_batch_is_partly_got)
{
	struct iovec parts[10], got[10];
	char bytes[100] = {0};

	make_small();
	for (int i = 0; i < 10; i++)
		parts[i] = (struct iovec){.iov_base = (void *)(uintptr_t)"0123456789", .iov_len = (size_t)i};
	ck_assert_int_eq(ipck_queue_put_many(queue, parts, 10, IPCK_NOWAIT), 10);
	ck_assert_int_eq(ipck_queue_get_many(queue, bytes, sizeof(bytes), got, 4, NULL, IPCK_NOWAIT), 4);
	for (size_t i = 0; i < 4; i++)
		ck_assert(got[i].iov_len == i && memcmp(got[i].iov_base, "0123", i) == 0);
	ck_assert_ptr_eq(got[3].iov_base, bytes + 3);
	ck_assert_int_eq(ipck_queue_get_many(queue, bytes, 10, got, 10, NULL, IPCK_NOWAIT), 2);
	ck_assert(got[0].iov_len == 4 && got[1].iov_len == 5);
	ck_assert_int_eq(ipck_queue_get_many(queue, bytes, sizeof(bytes), got, 10, NULL, far_off()), 4);
	ck_assert(got[3].iov_len == 9 && memcmp(got[3].iov_base, "012345678", 9) == 0);
	is_unused(queue);
	ipck_queue_close(queue);
}
END_TEST

/* Large ones are put and got one by one, and the order stays. */
START_TEST(large_ones_in_a_batch)
{
	const size_t sizes[] = {10, 5000, 0, 4096, 4097, 20000, 20000, 1};
	struct iovec parts[8], got[8];
	char *bytes = malloc(65536);
	int n = 0;

	ck_that(bytes);
	make_queue(IPCK_QUEUE_OPTS(.bytes = 65536, .leases = _i));
	for (unsigned i = 0; i < 8; i++)
		parts[i] = (struct iovec){.iov_base = new_filled(sizes[i], i), .iov_len = sizes[i]};
	ck_assert_int_eq(ipck_queue_put_many(queue, parts, 8, IPCK_NOWAIT), 8);
	while (n < 8) {
		int more = (int)ck_ok(ipck_queue_get_many(queue, bytes, 65536, got, 8 - n, NULL, IPCK_NOWAIT));

		ck_assert_int_gt(more, 0);
		for (int i = 0; i < more; i++, n++) {
			ck_assert_uint_eq(got[i].iov_len, sizes[n]);
			ck_assert(is_filled(got[i].iov_base, got[i].iov_len, (uint64_t)n));
			if (_i)
				ck_ok(ipck_queue_task_done(queue));
		}
	}
	is_unused(queue);
	for (unsigned i = 0; i < 8; i++)
		free(parts[i].iov_base);
	free(bytes);
	ipck_queue_close(queue);
}
END_TEST

/* A batch that is larger than the ring goes through it, to one that gets. */
static void put_and_get_batches(unsigned i, void *arg)
{
	struct iovec parts[500];
	char bytes[2000];
	int n = 0;

	(void)arg;
	if (i == 0) {
		memset(bytes, 'b', sizeof(bytes));
		for (int k = 0; k < 500; k++)
			parts[k] = (struct iovec){.iov_base = bytes, .iov_len = (size_t)k};
		ck_that(ipck_queue_put_many(queue, parts, 500, far_off()) == 500);
		return;
	}
	while (n < 500) {
		int more = ipck_queue_get_many(queue, bytes, sizeof(bytes), parts, 500 - n, NULL, far_off());

		ck_that(ck_ok(more) > 0);
		for (int k = 0; k < more; k++, n++)
			ck_that(parts[k].iov_len == (size_t)n);
	}
}

START_TEST(larger_than_the_ring)
{
	make_small();
	run_parties(_i, 2, put_and_get_batches, NULL);
	is_unused(queue);
	ipck_queue_close(queue);
}
END_TEST

/* One batch wakes as many as it has messages for; and what one gets makes room for several. */
static void sleep_for_one(unsigned i, void *arg)
{
	struct iovec parts[256];
	char byte;

	if (i < GETTERS) {
		if (arg)
			ck_ok(ipck_queue_put(queue, "", 0, far_off()));
		else
			ck_that(ck_ok(ipck_queue_get(queue, &byte, 1, NULL, far_off())) == 0);
		add_acq_rel(&shared->ended, 1);
		return;
	}
	make_parts(parts, GETTERS, &byte, 0);
	TEST_UNTIL((arg ? asleep_for_room(queue) : asleep_for_message(queue)) >= GETTERS);
	if (arg)
		ck_that(ipck_queue_get_many(queue, &byte, 1, parts, GETTERS, NULL, far_off()) == GETTERS);
	else
		ck_that(ipck_queue_put_many(queue, parts, GETTERS, far_off()) == GETTERS);
	TEST_UNTIL(load_acquire(&shared->ended) == GETTERS);
}

START_TEST(a_batch_wakes_them)
{
	shared = test_shared(sizeof(*shared));
	make_small();
	spin_forbid();
	if (_i & 2)
		(void)put_until_full(queue, 0);
	run_parties(_i & 1, GETTERS + 1, sleep_for_one, _i & 2 ? shared : NULL);
	ck_assert_int_eq(ck_ok(ipck_queue_size(queue)), _i & 2 ? SMALL / 16 : 0);
	ipck_queue_close(queue);
}
END_TEST

/* ---- many in all ways ---- */

/* Returns how many it has put. */
static uint32_t put_in_place(uint32_t putter, uint32_t number)
{
	char *data = reserve(queue, size_of(putter, number) + number % 50);

	if (number % 3 == 0) {
		ck_ok(ipck_queue_cancel(queue, data));
		return 0;
	}
	make_message(data, putter, number);
	ck_ok(ipck_queue_commit(queue, data, size_of(putter, number)));
	return 1;
}

static uint32_t put_batch(uint32_t putter, uint32_t number)
{
	char bytes[4][sizeof(struct head) + LONGEST];
	struct iovec parts[4];
	int n = 0, rc;

	for (; n < 4 && number + (uint32_t)n < MESSAGES; n++) {
		make_message(bytes[n], putter, number + (uint32_t)n);
		parts[n] = (struct iovec){.iov_base = bytes[n], .iov_len = size_of(putter, number + (uint32_t)n)};
	}
	rc = ipck_queue_put_many(queue, parts, n, number % 2 ? ipck_in_ms(1) : far_off());
	ck_that(rc > 0 || rc == -ETIMEDOUT);
	return rc > 0 ? (uint32_t)rc : 0;
}

static void put_all(uint32_t putter)
{
	char bytes[sizeof(struct head) + LONGEST];
	uint32_t number = 0;

	for (unsigned way = 0; number < MESSAGES; way++) {
		if (way % 3 == 0) {
			number += put_batch(putter, number);
		} else if (way % 3 == 1) {
			number += put_in_place(putter, number);
		} else {
			make_message(bytes, putter, number);
			ck_ok(ipck_queue_put(queue, bytes, size_of(putter, number), far_off()));
			number++;
		}
	}
	if (add_acq_rel(&shared->putters, UINT32_MAX) == 1)
		ck_ok(ipck_queue_shutdown(queue, IPCK_QUEUE_DRAIN));
}

static int get_in_place(unsigned way)
{
	struct ipck_queue_item item;
	int rc = ipck_queue_peek(queue, &item, far_off());

	if (rc < 0)
		return rc;
	if (way % 3 == 0)
		return ipck_queue_refuse(queue, &item);
	take_message(item.data, item.size);
	return ipck_queue_release(queue, &item);
}

static int get_batch(void)
{
	char bytes[sizeof(struct head) + LONGEST];
	struct iovec parts[5];
	int n = ipck_queue_get_many(queue, bytes, sizeof(bytes), parts, 5, NULL, far_off());

	for (int i = 0; i < n; i++)
		take_message(parts[i].iov_base, parts[i].iov_len);
	for (int i = 0; figures(queue).leases && i < n; i++)
		ck_ok(ipck_queue_task_done(queue));
	return n;
}

static int get_new(void)
{
	size_t size;
	void *data;
	int rc = ipck_queue_get_new(queue, &data, &size, far_off());

	if (rc < 0)
		return rc;
	take_message(data, size);
	free(data);
	return figures(queue).leases ? ipck_queue_task_done(queue) : 0;
}

static void get_all(unsigned i)
{
	int rc = 0;

	for (unsigned way = i; rc != -ESHUTDOWN; way++) {
		rc = way % 4 == 0 ? get_in_place(way) : way % 4 == 1 ? get_new() : get_batch();
		ck_that(rc >= 0 || rc == -ESHUTDOWN);
	}
}

static void put_or_get(unsigned i, void *arg)
{
	(void)arg;
	if (i < PUTTERS)
		put_all(i);
	else
		get_all(i);
}

static void begin(bool leases)
{
	shared = test_shared(sizeof(*shared));
	shared->putters = PUTTERS;
	make_queue(IPCK_QUEUE_OPTS(.bytes = 8192, .joinable = true, .leases = leases));
}

static void end(void)
{
	struct ipck_queue_stats f = figures(queue);

	ck_assert_uint_eq(shared->got, PUTTERS * MESSAGES);
	for (unsigned i = 0; i < PUTTERS; i++)
		for (unsigned k = 0; k < MESSAGES; k++)
			ck_that(shared->seen[i][k] == 1);
	ck_assert(f.items == 0 && f.held == 0 && f.bytes_used == 0 && f.recovered == 0);
	ck_assert_uint_eq(f.puts, PUTTERS * MESSAGES);
	ck_assert(!f.leases || f.unfinished == 0);
	ck_assert_uint_ge(f.gets, f.puts);
	ipck_queue_close(queue);
}

START_TEST(many_to_many)
{
	begin(_i & 4);
	run_parties(_i & 3, PUTTERS + GETTERS, put_or_get, NULL);
	end();
}
END_TEST

#ifndef TEST_THREAD_SANITIZER
/* Two threads of each process. */
static void in_threads(unsigned i, void *arg)
{
	put_or_get(*(unsigned *)arg + i * PUTTERS, NULL);
}

static void two_threads(unsigned i, void *arg)
{
	(void)arg;
	test_threads(2, in_threads, &i);
}

/* Each process puts by one thread, and gets by another. */
START_TEST(threads_of_processes)
{
	begin(_i & 1);
	run_parties(1 | (_i & 2), PUTTERS, two_threads, NULL);
	end();
}
END_TEST
#endif

int main(void)
{
	Suite *s = suite_create("queue_many");
	TCase *tc = test_case(s, "batches");

	tcase_add_loop_test(tc, a_batch_is_partly_put, 0, 2);
	tcase_add_test(tc, a_batch_is_partly_got);
	tcase_add_loop_test(tc, large_ones_in_a_batch, 0, 2);
	tcase_add_loop_test(tc, larger_than_the_ring, 0, 4);
	tcase_add_loop_test(tc, a_batch_wakes_them, 0, 4);
	tc = test_case(s, "many");
	test_set_limit(tc, 60);
	tcase_add_loop_test(tc, many_to_many, 0, 8);
#ifndef TEST_THREAD_SANITIZER
	/* It does not see what threads are told by way of another process. */
	tcase_add_loop_test(tc, threads_of_processes, 0, 4);
#endif
	return test_main(s);
}
