/* SPDX-License-Identifier: MIT */
/* Who has waited for room goes first, but not for ever where no room comes. */
#include <pthread.h>

#include "queues.h"

static void put_large(void *arg)
{
	(void)arg;
	put_filled(queue, LARGEST, 1);
}

static void *put_large_in_a_thread(void *arg)
{
	put_large(arg);
	return NULL;
}

/* There is room for one, and it is kept for somebody else. */
static bool is_refused(void)
{
	int rc = ipck_queue_put(queue, "small", 5, IPCK_NOWAIT);

	if (rc == 0)
		expect_text(queue, "small");
	else
		ck_err(rc, ETIMEDOUT);
	return rc < 0;
}

static void fill_with_small(void)
{
	while (ipck_queue_put(queue, "small", 5, IPCK_NOWAIT) == 0)
		;
	expect_text(queue, "small");
}

/* Behind all that are there. */
static void large_one_comes(void)
{
	char bytes[LARGEST];
	ssize_t n;

	do
		n = ck_ok(ipck_queue_get(queue, bytes, sizeof(bytes), NULL, far_off()));
	while (n < LARGEST);
	ck_that(is_filled(bytes, LARGEST, 1));
}

START_TEST(before_other_processes)
{
	pid_t large;

	make_small();
	fill_with_small();
	large = test_fork(put_large, NULL);
	TEST_UNTIL(is_refused());
	ck_that(!ipck_queue_full(queue));
	large_one_comes();
	test_join(large);
	put_text(queue, "after");
	expect_text(queue, "after");
	is_unused(queue);
	ipck_queue_close(queue);
}
END_TEST

/* Also before those of its own process. */
START_TEST(before_other_threads)
{
	pthread_t large;

	make_small();
	fill_with_small();
	ck_that(pthread_create(&large, NULL, put_large_in_a_thread, NULL) == 0);
	TEST_UNTIL(is_refused());
	large_one_comes();
	ck_that(pthread_join(large, NULL) == 0);
	is_unused(queue);
	ipck_queue_close(queue);
}
END_TEST

START_TEST(not_when_it_is_dead)
{
	pid_t large;

	make_small();
	fill_with_small();
	large = test_fork(put_large, NULL);
	TEST_UNTIL(is_refused());
	if (_i)
		stop(large);
	else
		test_kill(large);
	put_text(queue, "small");
	if (_i)
		test_kill(large);
	ipck_queue_close(queue);
}
END_TEST

/* Who would get what is in the way puts something first. */
START_TEST(not_where_no_room_comes)
{
	pid_t large;

	make_small();
	put_text(queue, "first");
	put_text(queue, "second");
	large = test_fork(put_large, NULL);
	TEST_UNTIL(ipck_queue_put(queue, NULL, 0, IPCK_NOWAIT) < 0);
	expect_text(queue, "first");
	put_text(queue, "of the first");
	expect_text(queue, "second");
	large_one_comes();
	test_join(large);
	is_unused(queue);
	ipck_queue_close(queue);
}
END_TEST

/* Who does not wait does not go first, and wakes nobody who does. */
START_TEST(not_who_does_not_wait)
{
	uint32_t sequence;
	pid_t small;

	make_small();
	spin_forbid();
	put_filled(queue, LARGEST, 0);
	small = test_fork(put_large, NULL);
	TEST_UNTIL(asleep_for_room(queue) >= 1 && test_state(small) == 'S');
	sequence = (uint32_t)load_seq(&queue->shm->room.word);
	for (int i = 0; i < 5; i++) {
		ck_err(ipck_queue_put(queue, NULL, 0, IPCK_NOWAIT), ETIMEDOUT);
		TEST_UNTIL(asleep_for_room(queue) >= 1 && test_state(small) == 'S');
	}
	ck_assert_uint_eq((uint32_t)load_seq(&queue->shm->room.word), sequence);
	expect_filled(queue, LARGEST, 0);
	expect_filled(queue, LARGEST, 1);
	test_join(small);
	ipck_queue_close(queue);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("queue_way");
	TCase *tc = test_case(s, "way");

	tcase_add_test(tc, before_other_processes);
	tcase_add_test(tc, before_other_threads);
	tcase_add_loop_test(tc, not_when_it_is_dead, 0, 2);
	tcase_add_test(tc, not_where_no_room_comes);
	tcase_add_test(tc, not_who_does_not_wait);
	return test_main(s);
}
