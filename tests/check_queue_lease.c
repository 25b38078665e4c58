/* SPDX-License-Identifier: MIT */
/* Queues with leases: what was got and not marked done goes to another when its consumer is gone. */
#include <limits.h>
#include <pthread.h>

#include "queues.h"

/* ---- one thread ---- */

START_TEST(done_in_the_order_of_gets)
{
	make_leases();
	has_no_lease(queue);
	for (int i = 0; i < 200; i++) {
		put_text(queue, "one");
		put_text(queue, "two");
		ck_err(ipck_queue_task_done(queue), EPERM);
		expect_text(queue, "one");
		expect_leased(queue, "one", 1);
		expect_text(queue, "two");
		expect_leased(queue, "one", 1);
		ck_assert_uint_eq(figures(queue).held, 2);
		ck_assert_uint_eq(figures(queue).unfinished, 2);
		ck_ok(ipck_queue_task_done(queue));
		expect_leased(queue, "two", 1);
		ck_err(ipck_queue_join(queue, IPCK_NOWAIT), ETIMEDOUT);
		ck_ok(ipck_queue_task_done(queue));
		has_no_lease(queue);
	}
	all_is_done();
}
END_TEST

START_TEST(leased_is_released_or_refused)
{
	struct ipck_queue_item item;

	make_leases();
	put_text(queue, "one");
	put_text(queue, "two");
	expect_text(queue, "one");
	ck_ok(ipck_queue_leased(queue, &item));
	ck_ok(ipck_queue_refuse(queue, &item));
	has_no_lease(queue);
	ck_err(ipck_queue_release(queue, &item), EPERM);
	ck_assert_int_eq(ck_ok(ipck_queue_size(queue)), 2);
	expect_text(queue, "one");
	expect_leased(queue, "one", 2);
	expect_text(queue, "two");
	ck_ok(ipck_queue_leased(queue, &item));
	ck_ok(ipck_queue_release(queue, &item));
	expect_leased(queue, "two", 1);
	ck_ok(ipck_queue_task_done(queue));
	ck_assert_uint_eq(figures(queue).gets, 3);
	all_is_done();
}
END_TEST

/* What was peeked is done when it is released, and is not what task_done means. */
START_TEST(peeked_beside_leased)
{
	struct ipck_queue_item item;

	make_leases();
	put_text(queue, "peeked");
	put_text(queue, "got");
	item = peek_text(queue, "peeked");
	has_no_lease(queue);
	expect_text(queue, "got");
	expect_leased(queue, "got", 1);
	ck_ok(ipck_queue_task_done(queue));
	ck_err(ipck_queue_task_done(queue), EPERM);
	ck_assert_uint_eq(figures(queue).unfinished, 1);
	ck_ok(ipck_queue_release(queue, &item));
	all_is_done();
}
END_TEST

/* Large ones are copied outside of the lock; those that do not fit are not leased. */
START_TEST(of_all_sizes)
{
	struct ipck_queue_item item;
	char bytes[100], *large;
	size_t size;
	void *data;

	make_queue(IPCK_QUEUE_OPTS(.bytes = 65536, .leases = true));
	put_filled(queue, 30000, 1);
	ck_err(ipck_queue_get(queue, bytes, sizeof(bytes), &size, IPCK_NOWAIT), EMSGSIZE);
	ck_assert_uint_eq(size, 30000);
	has_no_lease(queue);
	ck_ok(ipck_queue_get_new(queue, &data, &size, IPCK_NOWAIT));
	large = data;
	ck_assert(size == 30000 && is_filled(large, size, 1));
	ck_ok(ipck_queue_leased(queue, &item));
	ck_assert(item.size == size && memcmp(item.data, large, size) == 0);
	free(data);
	put_text(queue, "");
	expect_text(queue, "");
	ck_ok(ipck_queue_task_done(queue));
	expect_leased(queue, "", 1);
	ck_ok(ipck_queue_task_done(queue));
	all_is_done();
}
END_TEST

START_TEST(many_are_leased)
{
	struct iovec got[8];
	char bytes[64];
	size_t needed = 0;

	make_leases();
	ck_err(ipck_queue_get_many(queue, bytes, sizeof(bytes), got, 8, NULL, IPCK_NOWAIT), ETIMEDOUT);
	ck_err(ipck_queue_get_many(queue, bytes, sizeof(bytes), got, 0, NULL, IPCK_NOWAIT), EINVAL);
	for (int i = 0; i < 5; i++)
		put_text(queue, i % 2 ? "odd" : "even");
	ck_err(ipck_queue_get_many(queue, bytes, 3, got, 8, &needed, IPCK_NOWAIT), EMSGSIZE);
	ck_assert_uint_eq(needed, 4);
	has_no_lease(queue);
	/* As many as fit. */
	ck_assert_int_eq(ck_ok(ipck_queue_get_many(queue, bytes, 13, got, 8, NULL, IPCK_NOWAIT)), 3);
	ck_assert_int_eq(ck_ok(ipck_queue_get_many(queue, bytes, sizeof(bytes), got, 1, NULL, IPCK_NOWAIT)), 1);
	ck_assert_int_eq(ck_ok(ipck_queue_get_many(queue, bytes, sizeof(bytes), got, 8, NULL, IPCK_NOWAIT)), 1);
	ck_assert(got[0].iov_len == 4 && memcmp(got[0].iov_base, "even", 4) == 0);
	ck_assert_uint_eq(figures(queue).held, 5);
	for (int i = 0; i < 5; i++) {
		expect_leased(queue, i % 2 ? "odd" : "even", 1);
		ck_ok(ipck_queue_task_done(queue));
	}
	all_is_done();
}
END_TEST

/* What was returned comes first, and together with what was not given out before. */
START_TEST(many_with_returned_ones)
{
	struct ipck_queue_item items[2];
	struct iovec got[8];
	char bytes[64];

	make_leases();
	put_text(queue, "one");
	put_text(queue, "two");
	put_text(queue, "three");
	items[0] = peek_text(queue, "one");
	items[1] = peek_text(queue, "two");
	ck_ok(ipck_queue_refuse(queue, &items[1]));
	ck_ok(ipck_queue_refuse(queue, &items[0]));
	for (int n = 0; n < 3;)
		n += (int)ck_ok(ipck_queue_get_many(queue, bytes, sizeof(bytes), got, 8, NULL, IPCK_NOWAIT));
	expect_leased(queue, "one", 2);
	ck_ok(ipck_queue_task_done(queue));
	expect_leased(queue, "two", 2);
	ck_ok(ipck_queue_task_done(queue));
	expect_leased(queue, "three", 1);
	ck_ok(ipck_queue_task_done(queue));
	all_is_done();
}
END_TEST

/* ---- several threads and handles ---- */

static void *use_own_lease(void *arg)
{
	struct ipck_queue_item *of_first = arg;

	has_no_lease(queue);
	expect_text(queue, "second's");
	expect_leased(queue, "second's", 1);
	ck_ok(ipck_queue_task_done(queue));
	has_no_lease(queue);
	/* By name any thread may. */
	ck_ok(ipck_queue_release(queue, of_first));
	return NULL;
}

START_TEST(a_lease_is_of_its_thread)
{
	struct ipck_queue_item item;
	pthread_t thread;

	make_leases();
	put_text(queue, "first's");
	put_text(queue, "first's too");
	put_text(queue, "second's");
	expect_text(queue, "first's");
	expect_text(queue, "first's too");
	ck_ok(ipck_queue_leased(queue, &item));
	ck_that(pthread_create(&thread, NULL, use_own_lease, &item) == 0);
	ck_that(pthread_join(thread, NULL) == 0);
	expect_leased(queue, "first's too", 1);
	ck_ok(ipck_queue_task_done(queue));
	all_is_done();
}
END_TEST

START_TEST(close_gives_leases_back)
{
	struct ipck_queue *other;

	make_leases();
	other = open_again(queue);
	put_text(queue, "one");
	put_text(queue, "two");
	put_text(queue, "three");
	expect_text(other, "one");
	expect_text(queue, "two");
	expect_text(other, "three");
	expect_leased(queue, "two", 1);
	expect_leased(other, "one", 1);
	ipck_queue_close(other);
	ck_assert_int_eq(ck_ok(ipck_queue_size(queue)), 2);
	ck_ok(ipck_queue_task_done(queue));
	expect_text(queue, "one");
	expect_leased(queue, "one", 2);
	ck_ok(ipck_queue_task_done(queue));
	expect_text(queue, "three");
	ck_ok(ipck_queue_task_done(queue));
	all_is_done();
}
END_TEST

static void has_none_of_the_parent(void *arg)
{
	(void)arg;
	has_no_lease(queue);
	ipck_queue_close(queue);
}

START_TEST(a_child_has_no_lease)
{
	make_leases();
	put_text(queue, "parent's");
	expect_text(queue, "parent's");
	test_join(test_fork(has_none_of_the_parent, NULL));
	expect_nothing(queue);
	expect_leased(queue, "parent's", 1);
	ck_ok(ipck_queue_task_done(queue));
	all_is_done();
}
END_TEST

/* However many are asked for. */
START_TEST(as_many_as_there_are)
{
	struct iovec got[2];
	char bytes[8];

	make_leases();
	put_text(queue, "one");
	put_text(queue, "two");
	ck_that(ck_ok(ipck_queue_get_many(queue, bytes, sizeof(bytes), got, INT_MAX, NULL, IPCK_NOWAIT)) == 2);
	ck_ok(ipck_queue_task_done(queue));
	ck_ok(ipck_queue_task_done(queue));
	all_is_done();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("queue_lease");
	TCase *tc = test_case(s, "one");

	tcase_add_test(tc, done_in_the_order_of_gets);
	tcase_add_test(tc, leased_is_released_or_refused);
	tcase_add_test(tc, peeked_beside_leased);
	tcase_add_test(tc, of_all_sizes);
	tcase_add_test(tc, many_are_leased);
	tcase_add_test(tc, as_many_as_there_are);
	tcase_add_test(tc, many_with_returned_ones);
	tc = test_case(s, "several");
	tcase_add_test(tc, a_lease_is_of_its_thread);
	tcase_add_test(tc, close_gives_leases_back);
	tcase_add_test(tc, a_child_has_no_lease);
	return test_main(s);
}
