/* SPDX-License-Identifier: MIT */
/* Queues: what a process has in its hands, and nobody else: -EPERM, forked children, threads, close. */
#include <pthread.h>

#include "queues.h"

/* ---- what is refused to the caller ---- */

static void is_not_reserved(struct ipck_queue *q, void *data)
{
	ck_err(ipck_queue_commit(q, data, 0), EPERM);
	ck_err(ipck_queue_cancel(q, data), EPERM);
}

static void is_not_held(struct ipck_queue *q, const struct ipck_queue_item *item)
{
	ck_err(ipck_queue_release(q, item), EPERM);
	ck_err(ipck_queue_refuse(q, item), EPERM);
}

START_TEST(not_reserved)
{
	struct ipck_queue *other;
	char own[64], *data, *ended;

	make_small();
	is_not_reserved(queue, NULL);
	is_not_reserved(queue, own);
	ended = reserve(queue, 40);
	ck_ok(ipck_queue_commit(queue, ended, 40));
	is_not_reserved(queue, ended);
	data = reserve(queue, 40);
	for (int at = -64; at <= 64; at++)
		if (at)
			is_not_reserved(queue, data + at);
	other = open_again(queue);
	is_not_reserved(other, data);
	ck_err(ipck_queue_commit(queue, data, 41), EINVAL);
	ck_err(ipck_queue_commit(queue, data, SIZE_MAX), EINVAL);
	ck_ok(ipck_queue_commit(queue, data, 40));
	is_not_reserved(queue, data);
	data = reserve(queue, 0);
	ck_err(ipck_queue_commit(queue, data, 1), EINVAL);
	ck_ok(ipck_queue_cancel(queue, data));
	is_not_reserved(queue, data);
	ck_assert_int_eq(ck_ok(ipck_queue_size(queue)), 2);
	ipck_queue_close(other);
	ipck_queue_close(queue);
}
END_TEST

START_TEST(not_held)
{
	struct ipck_queue_item item = {.data = "", .size = 0}, ended, got;
	struct ipck_queue *other;
	char *data;

	make_small();
	for (item.place = 0; item.place < 300; item.place++)
		is_not_held(queue, &item);
	put_text(queue, "one");
	put_text(queue, "two");
	is_not_held(queue, &(struct ipck_queue_item){.place = 0});
	ended = peek_text(queue, "one");
	is_not_reserved(queue, (void *)(uintptr_t)ended.data);
	other = open_again(queue);
	is_not_held(other, &ended);
	ck_ok(ipck_queue_refuse(queue, &ended));
	is_not_held(queue, &ended);
	got = peek_text(other, "one");
	is_not_held(queue, &ended);
	is_not_held(queue, &got);
	ck_ok(ipck_queue_release(other, &got));
	is_not_held(other, &got);
	got = peek_text(queue, "two");
	is_not_held(queue, &ended);
	ck_ok(ipck_queue_release(queue, &got));
	is_not_held(queue, &got);
	data = reserve(queue, 10);
	for (item.place = 0; item.place < 300; item.place++)
		is_not_held(queue, &item);
	ck_ok(ipck_queue_cancel(queue, data));
	is_unused(queue);
	ipck_queue_close(other);
	ipck_queue_close(queue);
}
END_TEST

/* The same place many rounds later is another item. */
START_TEST(not_held_any_more)
{
	struct ipck_queue_item old, now;

	make_small();
	put_text(queue, "x");
	old = peek(queue);
	ck_ok(ipck_queue_release(queue, &old));
	for (int i = 1; i < SMALL / 32; i++) {
		put_text(queue, "x");
		expect_text(queue, "x");
	}
	put_text(queue, "y");
	now = peek_text(queue, "y");
	ck_assert_ptr_eq(now.data, old.data);
	is_not_held(queue, &old);
	ck_ok(ipck_queue_release(queue, &now));
	ipck_queue_close(queue);
}
END_TEST

/* ---- other processes and threads ---- */

struct in_hands {
	char *data;
	struct ipck_queue_item item;
};

static void end_the_parents(void *arg)
{
	struct in_hands *h = arg;
	struct ipck_queue_item own;
	char *data;

	is_not_reserved(queue, h->data);
	is_not_held(queue, &h->item);
	own = peek_text(queue, "two");
	data = reserve(queue, 10);
	is_not_held(queue, &h->item);
	is_not_reserved(queue, h->data);
	ck_ok(ipck_queue_refuse(queue, &own));
	commit_text(queue, data, "child's");
	own = peek_text(queue, "two");
	ck_assert_uint_eq(own.deliveries, 2);
}

/* A child has none of what its parent has in its hands; what it has itself goes back when it ends. */
START_TEST(a_child_has_none)
{
	struct ipck_queue_item two;
	struct in_hands h;

	make_small();
	put_text(queue, "one");
	put_text(queue, "two");
	h.item = peek_text(queue, "one");
	h.data = reserve(queue, 10);
	test_join(test_fork(end_the_parents, &h));
	two = peek_text(queue, "two");
	ck_assert_uint_eq(two.deliveries, 3);
	commit_text(queue, h.data, "mine");
	ck_ok(ipck_queue_release(queue, &two));
	ck_ok(ipck_queue_refuse(queue, &h.item));
	expect_text(queue, "one");
	expect_text(queue, "mine");
	expect_text(queue, "child's");
	is_unused(queue);
	ipck_queue_close(queue);
}
END_TEST

static void *end_as_thread(void *arg)
{
	struct in_hands *h = arg;

	ck_ok(ipck_queue_release(queue, &h->item));
	commit_text(queue, h->data, "by a thread");
	is_not_held(queue, &h->item);
	is_not_reserved(queue, h->data);
	return NULL;
}

START_TEST(any_thread_ends_them)
{
	struct in_hands h;
	pthread_t thread;

	make_small();
	put_text(queue, "one");
	h.item = peek_text(queue, "one");
	h.data = reserve(queue, 20);
	ck_that(pthread_create(&thread, NULL, end_as_thread, &h) == 0);
	ck_that(pthread_join(thread, NULL) == 0);
	is_not_held(queue, &h.item);
	expect_text(queue, "by a thread");
	is_unused(queue);
	ipck_queue_close(queue);
}
END_TEST

/* Closing a handle cancels and refuses what was had through it, nothing else. */
START_TEST(close_gives_back)
{
	struct ipck_queue_item here, there;
	struct ipck_queue *other;
	char *data;

	make_small();
	other = open_again(queue);
	put_text(queue, "here");
	put_text(queue, "there");
	here = peek_text(queue, "here");
	there = peek_text(other, "there");
	data = reserve(queue, 50);
	(void)reserve(other, 50);
	put_text(queue, "behind");
	ipck_queue_close(other);
	ck_assert_int_eq(ck_ok(ipck_queue_size(queue)), 1);
	there = peek_text(queue, "there");
	ck_assert_uint_eq(there.deliveries, 2);
	commit_text(queue, data, "mine");
	expect_text(queue, "mine");
	expect_text(queue, "behind");
	ck_ok(ipck_queue_release(queue, &there));
	ck_ok(ipck_queue_release(queue, &here));
	is_unused(queue);
	ipck_queue_close(queue);
	ipck_queue_close(NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("queue_hands");
	TCase *tc = test_case(s, "misuse");

	tcase_add_test(tc, not_reserved);
	tcase_add_test(tc, not_held);
	tcase_add_test(tc, not_held_any_more);
	tc = test_case(s, "others");
	tcase_add_test(tc, a_child_has_none);
	tcase_add_test(tc, any_thread_ends_them);
	tcase_add_test(tc, close_gives_back);
	return test_main(s);
}
