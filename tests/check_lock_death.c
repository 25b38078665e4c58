/* SPDX-License-Identifier: MIT */
/* Locks and rlocks whose holder dies, stops, or has them taken away. */
#include "locks.h"

#include <pthread.h>
#include <sys/wait.h>

/* Acquires it, however deep, and repairs what it protects if need be. */
static int acquire_and_repair(struct state *s)
{
	int rc = acquire(s, far_off());

	ck_that(rc == 0 || rc == IPCK_OWNER_DIED);
	if (rc == IPCK_OWNER_DIED)
		s->copy = s->sum;
	ck_that(s->sum == s->copy);
	ck_that(!s->again || ipck_rlock_depth(&s->rlock) == 1);
	for (int i = 1; i < depth(s); i++)
		ck_that(acquire(s, far_off()) == 0);
	return rc;
}

static void hold_half_changed(void *arg)
{
	struct state *s = arg;

	(void)acquire_and_repair(s);
	s->sum++;
	store_release(&s->ready, 1);
	for (;;)
		pause();
}

static pid_t start_holder(struct state *s)
{
	pid_t pid;

	store_release(&s->ready, 0);
	pid = test_fork(hold_half_changed, s);
	TEST_UNTIL(load_acquire(&s->ready) == 1);
	ck_assert(locked(s));
	ck_assert_int_eq(owner(s), pid);
	return pid;
}

/* The next one is told, holds it once, and only that one is told. */
static void told_once(struct state *s)
{
	ck_assert(!locked(s));
	ck_assert_int_eq(owner(s), 0);
	ck_assert_int_eq(acquire(s, IPCK_NOWAIT), IPCK_OWNER_DIED);
	ck_assert_uint_eq(ipck_rlock_depth(&s->rlock), s->again);
	ck_assert_int_eq(owner(s), getpid());
	ck_assert_uint_eq(s->sum, s->copy + 1);
	s->copy = s->sum;
	ck_ok(release(s));
	is_free(s);
}

START_TEST(the_next_is_told)
{
	struct state *s = make_state(_i);

	for (int i = 0; i < 3; i++) {
		test_kill(start_holder(s));
		told_once(s);
	}
}
END_TEST

START_TEST(also_of_one_that_nobody_has_reaped)
{
	struct state *s = make_state(_i);
	pid_t pid = start_holder(s);

	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	TEST_UNTIL(test_state(pid) == 'Z');
	told_once(s);
	test_kill(pid);
}
END_TEST

START_TEST(a_death_in_the_repair_is_told_again)
{
	struct state *s = make_state(_i);

	for (int i = 0; i < 3; i++)
		test_kill(start_holder(s));
	ck_assert_uint_eq(s->sum, 3);
	told_once(s);
}
END_TEST

static void *hold_and_end(void *arg)
{
	struct state *s = arg;

	acquire_deep(s);
	s->sum++;
	return NULL;
}

START_TEST(a_thread_that_ends_is_dead)
{
	struct state *s = make_state(_i);
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, hold_and_end, s), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	/* The kernel gives notice when the thread is gone, which may be after the join. */
	TEST_UNTIL(!locked(s));
	told_once(s);
}
END_TEST

START_TEST(a_stopped_holder_is_not_dead)
{
	struct state *s = make_state(_i);
	pid_t pid = start_holder(s);

	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	TEST_UNTIL(test_state(pid) == 'T');
	ck_assert_int_eq(owner(s), pid);
	ck_err(acquire(s, IPCK_NOWAIT), ETIMEDOUT);
	/* Longer than the time after which who waits looks around. */
	ck_err(acquire(s, ipck_in_ms(300)), ETIMEDOUT);
	test_kill(pid);
	told_once(s);
}
END_TEST

static void wait_and_note(void *arg)
{
	struct state *s = arg;

	add_acq_rel(&s->over, 1);
	if (acquire_and_repair(s) == IPCK_OWNER_DIED)
		s->told++;
	s->sum++;
	s->copy++;
	release_deep(s);
}

#define WAITERS 5

START_TEST(those_who_wait_go_on)
{
	struct state *s = make_state(_i);
	pid_t holder = start_holder(s), pids[WAITERS];

	for (int i = 0; i < WAITERS; i++)
		pids[i] = test_fork(wait_and_note, s);
	TEST_UNTIL(load_acquire(&s->over) == WAITERS);
	for (int i = 0; i < WAITERS; i++)
		TEST_UNTIL(test_state(pids[i]) == 'S');
	/* One that dies in its wait is no holder. */
	test_kill(pids[0]);
	test_kill(holder);
	test_join_all(pids + 1, WAITERS - 1);
	ck_assert_uint_eq(s->told, 1);
	ck_assert_uint_eq(s->sum, WAITERS);
	ck_assert_uint_eq(s->copy, WAITERS);
	is_free(s);
}
END_TEST

static void change_for_ever(void *arg)
{
	struct state *s = arg;

	for (;;) {
		(void)acquire_and_repair(s);
		s->sum++;
		s->copy++;
		add_acq_rel(&s->over, 1);
		release_deep(s);
	}
}

#define VICTIMS 3

START_TEST(kills_at_random)
{
	struct state *s = make_state(_i);
	struct test_random random = test_random(1);
	pid_t pids[VICTIMS];

	for (int i = 0; i < VICTIMS; i++)
		pids[i] = test_fork(change_for_ever, s);
	for (int kills = 0; kills < 60; kills++) {
		uint64_t i = test_random_below(&random, VICTIMS);
		uint32_t before = load_acquire(&s->over);

		usleep((useconds_t)test_random_below(&random, 1000));
		test_kill(pids[i]);
		pids[i] = test_fork(change_for_ever, s);
		TEST_UNTIL(load_acquire(&s->over) != before);
	}
	for (int i = 0; i < VICTIMS; i++)
		test_kill(pids[i]);
	(void)acquire_and_repair(s);
	release_deep(s);
	is_free(s);
}
END_TEST

/* ---- the holder's memory ---- */

static void unmap_it_held(void *arg)
{
	struct state *s = arg;

	acquire_deep(s);
	ck_that(munmap(s, sizeof(*s)) == 0);
}

START_TEST(a_stranded_lock_is_told)
{
	struct state *s = make_state(_i);

	test_join(test_fork(unmap_it_held, s));
	ck_err(acquire(s, far_off()), ENOTRECOVERABLE);
	ck_err(release(s), EPERM);
}
END_TEST

START_TEST(fini_while_another_holds_it)
{
	struct state *s = make_state(_i);
	pid_t pid = start_holder(s);

	fini(s);
	ck_err(acquire(s, IPCK_NOWAIT), EINVAL);
	ck_err(release(s), EINVAL);
	test_kill(pid);
	ck_err(acquire(s, IPCK_FOREVER), EINVAL);
	init(s);
	is_free(s);
}
END_TEST

START_TEST(fini_while_this_thread_holds_it)
{
	struct state *s = make_state(_i), *other = make_state(_i);

	acquire_deep(s);
	fini(s);
	ck_err(release(s), EINVAL);
	/* Nothing is left that leads there. */
	memset(s, 0xa5, sizeof(*s));
	ck_assert_int_eq(munmap(s, sizeof(*s)), 0);
	acquire_deep(other);
	release_deep(other);
	is_free(other);
}
END_TEST

START_TEST(init_anew_while_it_was_held)
{
	struct state *s = make_state(_i);

	for (int i = 0; i < 3; i++) {
		acquire_deep(s);
		fini(s);
		init(s);
		is_free(s);
	}
	/* A death is still told. */
	test_kill(start_holder(s));
	told_once(s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lock_death");
	TCase *tc = test_case(s, "deaths");

	tcase_add_loop_test(tc, the_next_is_told, 0, 2);
	tcase_add_loop_test(tc, also_of_one_that_nobody_has_reaped, 0, 2);
	tcase_add_loop_test(tc, a_death_in_the_repair_is_told_again, 0, 2);
	tcase_add_loop_test(tc, a_thread_that_ends_is_dead, 0, 2);
	tcase_add_loop_test(tc, a_stopped_holder_is_not_dead, 0, 2);
	tcase_add_loop_test(tc, those_who_wait_go_on, 0, 2);
	tcase_add_loop_test(tc, kills_at_random, 0, 2);
	tc = test_case(s, "memory");
	tcase_add_loop_test(tc, a_stranded_lock_is_told, 0, 2);
	tcase_add_loop_test(tc, fini_while_another_holds_it, 0, 2);
	tcase_add_loop_test(tc, fini_while_this_thread_holds_it, 0, 2);
	tcase_add_loop_test(tc, init_anew_while_it_was_held, 0, 2);
	return test_main(s);
}
