/* SPDX-License-Identifier: MIT */
/* Queues used in place: reserve, commit, cancel; peek, release, refuse. */
#include "queues.h"

/* The orders of three, and for each of three one of two: the loop index of a test. */
static const unsigned char orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
#define CHOICES (6 * 8)

static const char *const words[3] = {"one", "number two", "three"};

/* ---- putting ---- */

START_TEST(reserved_is_not_there_yet)
{
	char *data;

	make_small();
	data = reserve(queue, 10);
	expect_nothing(queue);
	ck_assert(ipck_queue_empty(queue));
	ck_assert_uint_eq(figures(queue).bytes_used, 32);
	commit_text(queue, data, "ten bytes.");
	ck_assert_int_eq(ck_ok(ipck_queue_size(queue)), 1);
	expect_text(queue, "ten bytes.");
	is_unused(queue);
	ipck_queue_close(queue);
}
END_TEST

/* Wherever in the ring, the rest of the room comes back with the message. */
START_TEST(shorter_than_reserved)
{
	char got[LARGEST];

	make_small();
	for (size_t reserved = 0; reserved < LARGEST; reserved += 1 + reserved / 3) {
		for (size_t size = 0; size <= reserved; size += 1 + size / 2) {
			char *data = reserve(queue, reserved);

			fill(data, size, size);
			ck_ok(ipck_queue_commit(queue, data, size));
			ck_that(ck_ok(ipck_queue_get(queue, got, sizeof(got), NULL, IPCK_NOWAIT)) == (ssize_t)size);
			ck_that(is_filled(got, size, size));
		}
		is_unused(queue);
	}
	ipck_queue_close(queue);
}
END_TEST

/* What is behind a shorter one is found, and a batch goes over the rest. */
START_TEST(shorter_ones_in_a_row)
{
	struct iovec got[8];
	char *data[3], bytes[64];

	make_small();
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 3; i++)
			data[i] = reserve(queue, 100);
		put_text(queue, "behind");
		for (int i = 0; i < 3; i++)
			commit_text(queue, data[i], words[i]);
		ck_assert_int_eq(ck_ok(ipck_queue_size(queue)), 4);
		for (int n = 0; n < 4;) {
			int more = ipck_queue_get_many(queue, bytes, sizeof(bytes), got, 8, NULL, IPCK_NOWAIT);

			ck_that(ck_ok(more) > 0);
			for (int i = 0; i < more; i++, n++) {
				const char *text = n < 3 ? words[n] : "behind";

				ck_that(got[i].iov_len == strlen(text));
				ck_that(memcmp(got[i].iov_base, text, got[i].iov_len) == 0);
			}
		}
		is_unused(queue);
	}
	ipck_queue_close(queue);
}
END_TEST

/* Three reservations, ended in each order, in each way. */
START_TEST(ended_in_any_order)
{
	const unsigned char *order = orders[_i / 8];
	unsigned committed = (unsigned)_i % 8, ended = 0;
	char *data[3];

	make_small();
	for (int i = 0; i < 3; i++)
		data[i] = reserve(queue, 20);
	put_text(queue, "behind");
	for (int k = 0; k < 3; k++) {
		unsigned i = order[k];

		if (!(ended & 1))
			ck_assert_int_eq(ck_ok(ipck_queue_size(queue)), 0);
		if (committed & 1u << i)
			commit_text(queue, data[i], words[i]);
		else
			ck_ok(ipck_queue_cancel(queue, data[i]));
		ended |= 1u << i;
	}
	for (unsigned i = 0; i < 3; i++)
		if (committed & 1u << i)
			expect_text(queue, words[i]);
	expect_text(queue, "behind");
	is_unused(queue);
	ck_assert_uint_eq(figures(queue).puts, 1 + (unsigned)__builtin_popcount(committed));
	ipck_queue_close(queue);
}
END_TEST

/* With nobody who gets, what was canceled is room for others, and nothing to be joined. */
START_TEST(canceled_is_nothing)
{
	make_queue(IPCK_QUEUE_OPTS(.bytes = SMALL, .max_items = _i ? 1 : 0, .joinable = true));
	ck_ok(ipck_queue_cancel(queue, reserve(queue, LARGEST)));
	ck_assert(ipck_queue_empty(queue));
	ck_assert(!ipck_queue_full(queue));
	ck_ok(ipck_queue_join(queue, ipck_in_ms(100)));
	ck_ok(ipck_queue_put(queue, "x", 1, ipck_in_ms(100)));
	expect_text(queue, "x");
	ck_ok(ipck_queue_task_done(queue));
	ck_ok(ipck_queue_join(queue, far_off()));
	is_unused(queue);
	ipck_queue_close(queue);
}
END_TEST

/* It takes its room, and counts, until what was before it is got. */
START_TEST(canceled_behind_another)
{
	make_queue(IPCK_QUEUE_OPTS(.bytes = SMALL, .max_items = 2, .joinable = true));
	put_text(queue, "x");
	ck_ok(ipck_queue_cancel(queue, reserve(queue, 100)));
	ck_assert(ck_ok(ipck_queue_size(queue)) == 1 && ipck_queue_full(queue));
	ck_assert(figures(queue).puts == 2 && figures(queue).unfinished == 2);
	expect_text(queue, "x");
	ck_assert(figures(queue).puts == 1 && figures(queue).unfinished == 1);
	ck_ok(ipck_queue_task_done(queue));
	ck_ok(ipck_queue_join(queue, IPCK_NOWAIT));
	is_unused(queue);
	ipck_queue_close(queue);
}
END_TEST

START_TEST(no_room_to_reserve)
{
	void *data = NULL;
	char *first;

	make_small();
	ck_err(ipck_queue_reserve(queue, LARGEST + 1, &data, IPCK_NOWAIT), EMSGSIZE);
	ck_err(ipck_queue_reserve(queue, SIZE_MAX, &data, IPCK_NOWAIT), EMSGSIZE);
	first = reserve(queue, LARGEST);
	ck_assert(ipck_queue_full(queue) && ipck_queue_empty(queue));
	ck_err(ipck_queue_reserve(queue, 0, &data, IPCK_NOWAIT), ETIMEDOUT);
	ck_err(ipck_queue_reserve(queue, 0, &data, ipck_in_ms(5)), ETIMEDOUT);
	ipck_interrupt();
	ck_err(ipck_queue_reserve(queue, 0, &data, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	ipck_interrupt_clear();
	ck_assert_ptr_null(data);
	ck_ok(ipck_queue_commit(queue, first, 0));
	expect_text(queue, "");
	is_unused(queue);
	ipck_queue_close(queue);
}
END_TEST

/* ---- who sleeps ---- */

/* began: who ends a reservation or a peek has it.  got: a bit for each message that was got. */
static struct shared {
	uint32_t began, got;
} *shared;

#define GETTERS 3

static void get_one(void)
{
	char bytes[16];

	TEST_UNTIL(load_acquire(&shared->began));
	ck_that(ck_ok(ipck_queue_get(queue, bytes, sizeof(bytes), NULL, far_off())) == 1);
	ck_that(bytes[0] >= 'a' && bytes[0] <= 'c');
	ck_that((add_acq_rel(&shared->got, 1u << (bytes[0] - 'a')) & 1u << (bytes[0] - 'a')) == 0);
}

/* They sleep behind the reservation, although two messages lie there. */
static void hold_them_up(unsigned i, void *arg)
{
	char *data;

	if (i > 0) {
		get_one();
		return;
	}
	data = reserve(queue, 40);
	put_text(queue, "b");
	put_text(queue, "c");
	store_release(&shared->began, 1);
	TEST_UNTIL(asleep_for_message(queue) >= GETTERS);
	expect_nothing(queue);
	ck_that(load_acquire(&shared->got) == 0);
	if (arg) {
		commit_text(queue, data, "a");
		return;
	}
	ck_ok(ipck_queue_cancel(queue, data));
	TEST_UNTIL(load_acquire(&shared->got) == 6);
	put_text(queue, "a");
}

START_TEST(getters_wait_behind_it)
{
	shared = test_shared(sizeof(*shared));
	make_small();
	spin_forbid();
	run_parties(_i & 1, GETTERS + 1, hold_them_up, _i & 2 ? shared : NULL);
	ck_assert_uint_eq(shared->got, 7);
	is_unused(queue);
	ipck_queue_close(queue);
}
END_TEST

/* What is refused goes to a sleeper; what is released gives its room to one. */
static void end_for_a_sleeper(unsigned i, void *arg)
{
	struct ipck_queue_item item;

	if (i > 0) {
		TEST_UNTIL(load_acquire(&shared->began));
		if (arg)
			expect_text(queue, "mine");
		else
			put_filled(queue, LARGEST, 7);
		store_release(&shared->got, 1);
		return;
	}
	put_text(queue, "mine");
	item = peek_text(queue, "mine");
	store_release(&shared->began, 1);
	if (arg) {
		TEST_UNTIL(asleep_for_message(queue) >= 1);
		ck_ok(ipck_queue_refuse(queue, &item));
	} else {
		TEST_UNTIL(asleep_for_room(queue) >= 1);
		ck_ok(ipck_queue_release(queue, &item));
	}
	TEST_UNTIL(load_acquire(&shared->got));
}

START_TEST(sleepers_are_told_of_ends)
{
	shared = test_shared(sizeof(*shared));
	make_small();
	spin_forbid();
	run_parties(_i & 1, 2, end_for_a_sleeper, _i & 2 ? shared : NULL);
	if (!(_i & 2))
		expect_filled(queue, LARGEST, 7);
	is_unused(queue);
	ipck_queue_close(queue);
}
END_TEST

/* ---- getting ---- */

START_TEST(each_has_another)
{
	struct ipck_queue_item items[3];

	make_small();
	for (int i = 0; i < 3; i++)
		put_text(queue, words[i]);
	for (int i = 0; i < 3; i++) {
		items[i] = peek_text(queue, words[i]);
		ck_assert_uint_eq(items[i].deliveries, 1);
		ck_assert_int_eq(ck_ok(ipck_queue_size(queue)), 2 - i);
		ck_assert_uint_eq(figures(queue).held, (unsigned)i + 1);
	}
	expect_nothing(queue);
	put_text(queue, "four");
	expect_text(queue, "four");
	for (int i = 0; i < 3; i++) {
		ck_assert(item_is(&items[i], words[i]));
		ck_ok(ipck_queue_release(queue, &items[i]));
	}
	is_unused(queue);
	ck_assert_uint_eq(figures(queue).gets, 4);
	ipck_queue_close(queue);
}
END_TEST

/* Three items, ended in each order, in each way: what was refused is first, in its order. */
START_TEST(items_end_in_any_order)
{
	const unsigned char *order = orders[_i / 8];
	unsigned refused = (unsigned)_i % 8;
	struct ipck_queue_item items[3], again;

	make_small();
	for (int i = 0; i < 3; i++)
		put_text(queue, words[i]);
	put_text(queue, "behind");
	for (int i = 0; i < 3; i++)
		items[i] = peek_text(queue, words[i]);
	for (int k = 0; k < 3; k++) {
		struct ipck_queue_item *item = &items[order[k]];

		if (refused & 1u << order[k])
			ck_ok(ipck_queue_refuse(queue, item));
		else
			ck_ok(ipck_queue_release(queue, item));
	}
	ck_assert_int_eq(ck_ok(ipck_queue_size(queue)), 1 + __builtin_popcount(refused));
	for (unsigned i = 0; i < 3; i++) {
		if (!(refused & 1u << i))
			continue;
		again = peek_text(queue, words[i]);
		ck_assert_uint_eq(again.deliveries, 2);
		ck_ok(ipck_queue_release(queue, &again));
	}
	expect_text(queue, "behind");
	is_unused(queue);
	ck_assert_uint_eq(figures(queue).gets, 4 + (unsigned)__builtin_popcount(refused));
	ipck_queue_close(queue);
}
END_TEST

START_TEST(deliveries_are_counted)
{
	struct ipck_queue_item item;

	make_small();
	put_text(queue, "often");
	for (uint32_t n = 1; n < 4100; n++) {
		item = peek(queue);
		ck_that(item.deliveries == (n < 4095 ? n : 4095) && item_is(&item, "often"));
		ck_ok(ipck_queue_refuse(queue, &item));
	}
	ck_assert_int_eq(ck_ok(ipck_queue_size(queue)), 1);
	expect_text(queue, "often");
	is_unused(queue);
	ipck_queue_close(queue);
}
END_TEST

/* What was refused can be got in each way, in front of the others. */
START_TEST(refused_is_got)
{
	struct ipck_queue_item item;
	struct iovec got[4];
	char bytes[64];
	size_t size;
	void *data;

	make_small();
	for (int i = 0; i < 3; i++) {
		put_text(queue, i ? "behind" : "back");
		item = peek_text(queue, "back");
		ck_ok(ipck_queue_refuse(queue, &item));
	}
	ck_err(ipck_queue_get(queue, bytes, 3, &size, IPCK_NOWAIT), EMSGSIZE);
	ck_assert_uint_eq(size, 4);
	ck_assert_int_eq(ck_ok(ipck_queue_get_many(queue, bytes, sizeof(bytes), got, 4, NULL, IPCK_NOWAIT)), 1);
	ck_assert(got[0].iov_len == 4 && memcmp(got[0].iov_base, "back", 4) == 0);
	item = peek_text(queue, "behind");
	ck_ok(ipck_queue_refuse(queue, &item));
	ck_ok(ipck_queue_get_new(queue, &data, &size, IPCK_NOWAIT));
	ck_assert(size == 6 && memcmp(data, "behind", 6) == 0);
	free(data);
	expect_text(queue, "behind");
	is_unused(queue);
	ipck_queue_close(queue);
}
END_TEST

/* By itself, whatever its size. */
START_TEST(refused_is_got_by_many)
{
	const size_t sizes[] = {0, 4096, 4097, 20000};
	struct ipck_queue_item item;
	struct iovec got[2];
	char *bytes = malloc(32768);

	ck_that(bytes);
	make_queue(IPCK_QUEUE_OPTS(.bytes = 65536));
	put_filled(queue, sizes[_i], 1);
	put_filled(queue, 1, 2);
	ck_ok(ipck_queue_peek(queue, &item, IPCK_NOWAIT));
	ck_ok(ipck_queue_refuse(queue, &item));
	ck_assert_int_eq(ipck_queue_get_many(queue, bytes, 32768, got, 2, NULL, IPCK_NOWAIT), 1);
	ck_assert(got[0].iov_len == sizes[_i] && is_filled(got[0].iov_base, sizes[_i], 1));
	expect_filled(queue, 1, 2);
	is_unused(queue);
	ck_assert_uint_eq(figures(queue).gets, 3);
	free(bytes);
	ipck_queue_close(queue);
}
END_TEST

/* Room comes back in the order of the queue. */
START_TEST(a_kept_item_keeps_its_room)
{
	struct ipck_queue_item first;
	unsigned n = 1;
	int rc = 0;

	make_small();
	put_text(queue, "first");
	first = peek(queue);
	for (; rc == 0; n++) {
		char byte;

		rc = ipck_queue_put(queue, "x", 1, IPCK_NOWAIT);
		if (rc == 0)
			ck_that(ck_ok(ipck_queue_get(queue, &byte, 1, NULL, IPCK_NOWAIT)) == 1);
	}
	ck_err(rc, ETIMEDOUT);
	ck_assert_uint_eq(n - 1, SMALL / 32);
	ck_assert(ipck_queue_empty(queue) && ipck_queue_full(queue));
	ck_assert(item_is(&first, "first"));
	ck_ok(ipck_queue_release(queue, &first));
	is_unused(queue);
	ipck_queue_close(queue);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("queue_place");
	TCase *tc = test_case(s, "put");

	tcase_add_test(tc, reserved_is_not_there_yet);
	tcase_add_test(tc, shorter_than_reserved);
	tcase_add_test(tc, shorter_ones_in_a_row);
	tcase_add_loop_test(tc, ended_in_any_order, 0, CHOICES);
	tcase_add_loop_test(tc, canceled_is_nothing, 0, 2);
	tcase_add_test(tc, canceled_behind_another);
	tcase_add_test(tc, no_room_to_reserve);
	tc = test_case(s, "sleep");
	tcase_add_loop_test(tc, getters_wait_behind_it, 0, 4);
	tcase_add_loop_test(tc, sleepers_are_told_of_ends, 0, 4);
	tc = test_case(s, "get");
	tcase_add_test(tc, each_has_another);
	tcase_add_loop_test(tc, items_end_in_any_order, 0, CHOICES);
	tcase_add_test(tc, deliveries_are_counted);
	tcase_add_test(tc, refused_is_got);
	tcase_add_loop_test(tc, refused_is_got_by_many, 0, 4);
	tcase_add_test(tc, a_kept_item_keeps_its_room);
	return test_main(s);
}
