/* SPDX-License-Identifier: MIT */
/* Recorded semaphores: whose permits they are, and who gets those of the dead. */
#include <ipckit/semaphore.h>

#include "parties.h"

#include "base/ident.h"

#include <sched.h>

#define MANY 200

struct state {
	uint32_t ready, over, done, told, given;
	uint32_t each; /* how many a holder acquires */
	union {
		struct ipck_semaphore semaphore;
		char room[IPCK_SEMAPHORE_BYTES(MANY)];
	};
};

static struct state *make_state(uint32_t permits)
{
	struct ipck_semaphore_opts opts = IPCK_SEMAPHORE_OPTS_INIT;
	struct state *s = test_shared(sizeof(*s));

	opts.recorded = true;
	opts.bytes = sizeof(s->room);
	s->each = 1;
	ck_ok(ipck_semaphore_init(&s->semaphore, permits, &opts));
	return s;
}

static void take(struct state *s, uint32_t n, int notices)
{
	while (n-- > 0)
		ck_that(ipck_semaphore_acquire(&s->semaphore, IPCK_NOWAIT) == notices);
}

static void none_is_left(struct state *s)
{
	ck_err(ipck_semaphore_acquire(&s->semaphore, IPCK_NOWAIT), ETIMEDOUT);
	ck_err(ipck_semaphore_acquire(&s->semaphore, ipck_in_ms(5)), ETIMEDOUT);
}

static void hold(void *arg)
{
	struct state *s = arg;

	take(s, s->each, 0);
	store_release(&s->ready, 1);
	TEST_UNTIL(load_acquire(&s->over));
	ck_that(ipck_semaphore_release(&s->semaphore, s->each) == 0);
}

static pid_t start_holder(struct state *s, uint32_t permits)
{
	uint32_t before = ipck_semaphore_value(&s->semaphore);
	pid_t pid;

	s->each = permits;
	store_release(&s->ready, 0);
	pid = test_fork(hold, s);
	TEST_UNTIL(load_acquire(&s->ready));
	ck_assert_uint_eq(ipck_semaphore_value(&s->semaphore), before - permits);
	return pid;
}

/* ---- whose they are ---- */

START_TEST(only_what_is_mine)
{
	struct state *s = make_state(3);
	pid_t pid = start_holder(s, 2);

	ck_err(ipck_semaphore_release(&s->semaphore, 1), EPERM);
	take(s, 1, 0);
	ck_err(ipck_semaphore_release(&s->semaphore, 2), EPERM);
	ck_err(ipck_semaphore_release(&s->semaphore, UINT32_MAX), EPERM);
	none_is_left(s);
	ck_assert_int_eq(ipck_semaphore_release(&s->semaphore, 1), 0);
	ck_err(ipck_semaphore_release(&s->semaphore, 1), EPERM);
	store_release(&s->over, 1);
	test_join(pid);
	ck_assert_uint_eq(ipck_semaphore_value(&s->semaphore), 3);
}
END_TEST

static void has_none(void *arg)
{
	struct state *s = arg;

	ck_err(ipck_semaphore_release(&s->semaphore, 1), EPERM);
	take(s, 1, 0);
	ck_err(ipck_semaphore_release(&s->semaphore, 2), EPERM);
	none_is_left(s);
	ck_that(ipck_semaphore_release(&s->semaphore, 1) == 0);
}

START_TEST(a_forked_child_has_none_of_them)
{
	struct state *s = make_state(3);

	take(s, 2, 0);
	test_join(test_fork(has_none, s));
	/* Its end changes nothing of the parent's. */
	ck_assert_uint_eq(ipck_semaphore_value(&s->semaphore), 1);
	ck_assert_int_eq(ipck_semaphore_release(&s->semaphore, 2), 0);
	ck_assert_uint_eq(ipck_semaphore_value(&s->semaphore), 3);
}
END_TEST

/* The threads of a process have them together. */
static void give_one(unsigned i, void *arg)
{
	struct state *s = arg;

	(void)i;
	ck_that(ipck_semaphore_release(&s->semaphore, 1) == 0);
}

START_TEST(another_thread_gives_them)
{
	struct state *s = make_state(3);

	take(s, 3, 0);
	test_threads(3, give_one, s);
	ck_assert_uint_eq(ipck_semaphore_value(&s->semaphore), 3);
	ck_err(ipck_semaphore_release(&s->semaphore, 1), EPERM);
}
END_TEST

#define THREADS 4

static void give_while_there_are(unsigned i, void *arg)
{
	struct state *s = arg;
	uint32_t each = i % 2 ? s->each : 1;

	/* At once: so that they meet. */
	add_acq_rel(&s->ready, 1);
	while (load_acquire(&s->ready) % THREADS != 0)
		sched_yield();
	while (ipck_semaphore_release(&s->semaphore, each) == 0)
		add_acq_rel(&s->given, each);
}

/*
 * Threads that give more than there are: no permit is given twice.  While one who wants to give two finds that there
 * is but one, another may find none.
 */
START_TEST(none_is_given_twice)
{
	struct state *s = make_state(MANY);

	s->each = (uint32_t)_i;
	for (int round = 0; round < 30; round++) {
		uint32_t mine = MANY - 60 - (uint32_t)round % 3;

		take(s, mine, 0);
		store_release(&s->given, 0);
		test_threads(THREADS, give_while_there_are, s);
		ck_assert_uint_ge(s->given, mine - (s->each - 1) * THREADS / 2);
		ck_assert_uint_eq(ipck_semaphore_value(&s->semaphore), MANY - mine + s->given);
		while (ipck_semaphore_release(&s->semaphore, 1) == 0)
			;
		ck_assert_uint_eq(ipck_semaphore_value(&s->semaphore), MANY);
	}
}
END_TEST

/* ---- the memory ---- */

START_TEST(as_many_as_there_is_memory_for)
{
	struct state *s = test_shared(sizeof(*s));
	struct ipck_semaphore_opts opts = IPCK_SEMAPHORE_OPTS_INIT;

	opts.recorded = true;
	ck_err(ipck_semaphore_init(&s->semaphore, 65, &opts), ENOSPC);
	for (uint32_t n = 1; n <= MANY; n = 2 * n + 1) {
		opts.bytes = IPCK_SEMAPHORE_BYTES(n);
		memset(s, 0xa5, sizeof(*s));
		ck_err(ipck_semaphore_init(&s->semaphore, n + 1, &opts), ENOSPC);
		ck_assert_int_eq(ipck_semaphore_init(&s->semaphore, n, &opts), 0);
		take(s, n, 0);
		none_is_left(s);
		/* Nothing behind its end was touched. */
		for (size_t i = opts.bytes; i < sizeof(s->room); i++)
			ck_that((unsigned char)s->room[i] == 0xa5);
	}
	opts.bytes = 8;
	ck_err(ipck_semaphore_init(&s->semaphore, 1, &opts), ENOSPC);
}
END_TEST

START_TEST(more_than_sixty_four)
{
	struct state *s = make_state(MANY);
	pid_t pid = start_holder(s, MANY / 2);

	take(s, MANY / 2, 0);
	none_is_left(s);
	test_kill(pid);
	take(s, MANY / 2, IPCK_OWNER_DIED);
	none_is_left(s);
	ck_assert_int_eq(ipck_semaphore_release(&s->semaphore, MANY), 0);
	ck_assert_uint_eq(ipck_semaphore_value(&s->semaphore), MANY);
}
END_TEST

/* ---- deaths ---- */

START_TEST(those_of_the_dead)
{
	struct state *s = make_state(4);

	for (int round = 0; round < 3; round++) {
		test_kill(start_holder(s, 3));
		/* Not free before somebody needs one; and what is free is taken first. */
		ck_assert_uint_eq(ipck_semaphore_value(&s->semaphore), 1);
		take(s, 1, 0);
		take(s, 3, IPCK_OWNER_DIED);
		none_is_left(s);
		ck_assert_int_eq(ipck_semaphore_release(&s->semaphore, 4), 0);
		/* It was told once. */
		take(s, 4, 0);
		ck_assert_int_eq(ipck_semaphore_release(&s->semaphore, 4), 0);
	}
}
END_TEST

START_TEST(stopped_is_not_dead)
{
	struct state *s = make_state(1);
	pid_t pid = start_holder(s, 1);

	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	TEST_UNTIL(test_state(pid) == 'T');
	/* It lives, and longer than who waits looks around. */
	ck_err(ipck_semaphore_acquire(&s->semaphore, ipck_in_ms(300)), ETIMEDOUT);
#ifdef HAVE_PIDFD
	/* Dead is it also before anybody has reaped it. */
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	TEST_UNTIL(tid_dead(pid));
	take(s, 1, IPCK_OWNER_DIED);
#endif
	test_kill(pid);
#ifndef HAVE_PIDFD
	take(s, 1, IPCK_OWNER_DIED);
#endif
}
END_TEST

static void take_and_note(void *arg)
{
	struct state *s = arg;
	int rc = ipck_semaphore_acquire(&s->semaphore, far_off());

	ck_that(rc == 0 || rc == IPCK_OWNER_DIED);
	add_acq_rel(&s->told, rc == IPCK_OWNER_DIED);
	add_acq_rel(&s->done, 1);
	TEST_UNTIL(load_acquire(&s->over));
	ck_that(ipck_semaphore_release(&s->semaphore, 1) == 0);
}

#define WAITERS 3

START_TEST(they_come_to_who_sleeps)
{
	struct state *s = make_state(WAITERS);
	pid_t holder, pids[WAITERS];

	spin_forbid();
	holder = start_holder(s, WAITERS);
	for (int i = 0; i < WAITERS; i++)
		pids[i] = test_fork(take_and_note, s);
	TEST_UNTIL(sleepers_of(&s->semaphore) == WAITERS);
	test_kill(holder);
	TEST_UNTIL(load_acquire(&s->done) == WAITERS);
	ck_assert_uint_eq(s->told, WAITERS);
	none_is_left(s);
	store_release(&s->over, 1);
	test_join_all(pids, WAITERS);
	ck_assert_uint_eq(ipck_semaphore_value(&s->semaphore), WAITERS);
}
END_TEST

/* Also if one of those who sleep dies before. */
START_TEST(killed_waiters_take_nothing)
{
	struct state *s = make_state(1);
	pid_t holder, pids[WAITERS];

	spin_forbid();
	holder = start_holder(s, 1);
	for (int i = 0; i < WAITERS; i++)
		pids[i] = test_fork(take_and_note, s);
	TEST_UNTIL(sleepers_of(&s->semaphore) == WAITERS);
	test_kill(pids[0]);
	store_release(&s->over, 1);
	test_join(holder);
	test_join_all(pids + 1, WAITERS - 1);
	ck_assert_uint_eq(s->told, 0);
	take(s, 1, 0);
}
END_TEST

static void use_for_ever(void *arg)
{
	struct state *s = arg;

	for (;;) {
		int rc = ipck_semaphore_acquire(&s->semaphore, far_off());

		ck_that(rc == 0 || rc == IPCK_OWNER_DIED);
		add_acq_rel(&s->done, 1);
		ck_that(ipck_semaphore_release(&s->semaphore, 1) == 0);
	}
}

#define VICTIMS 4

START_TEST(kills_at_random)
{
	struct state *s = make_state(2);
	struct test_random random = test_random(1);
	pid_t pids[VICTIMS];

	for (int i = 0; i < VICTIMS; i++)
		pids[i] = test_fork(use_for_ever, s);
	for (int kills = 0; kills < 60; kills++) {
		uint64_t i = test_random_below(&random, VICTIMS);
		uint32_t before = load_acquire(&s->done);

		usleep((useconds_t)test_random_below(&random, 1000));
		test_kill(pids[i]);
		pids[i] = test_fork(use_for_ever, s);
		TEST_UNTIL(load_acquire(&s->done) != before);
	}
	for (int i = 0; i < VICTIMS; i++)
		test_kill(pids[i]);
	/* All are there, whoever had them. */
	ck_ok(ipck_semaphore_acquire(&s->semaphore, IPCK_NOWAIT));
	ck_ok(ipck_semaphore_acquire(&s->semaphore, IPCK_NOWAIT));
	none_is_left(s);
	ck_assert_int_eq(ipck_semaphore_release(&s->semaphore, 2), 0);
	ck_assert_uint_eq(ipck_semaphore_value(&s->semaphore), 2);
}
END_TEST

START_TEST(fini_while_held)
{
	struct state *s = make_state(2);
	pid_t pid = start_holder(s, 1);

	take(s, 1, 0);
	ipck_semaphore_fini(&s->semaphore);
	ck_err(ipck_semaphore_release(&s->semaphore, 1), EINVAL);
	ck_err(ipck_semaphore_acquire(&s->semaphore, IPCK_FOREVER), EINVAL);
	test_kill(pid);
	ck_ok(ipck_semaphore_init(&s->semaphore, 2, IPCK_SEMAPHORE_OPTS(.recorded = true)));
	take(s, 2, 0);
	none_is_left(s);
}
END_TEST

/* Takes a permit for a moment, again and again, until somebody was told of the death. */
static void circulate(unsigned i, void *arg)
{
	const struct timespec moment = {.tv_nsec = 2000000};
	struct state *s = arg;

	(void)i;
	while (!load_acquire(&s->told)) {
		int rc = ipck_semaphore_acquire(&s->semaphore, far_off());

		ck_that(rc >= 0);
		nanosleep(&moment, NULL);
		if (rc == IPCK_OWNER_DIED)
			store_release(&s->told, 1);
		ck_that(ipck_semaphore_release(&s->semaphore, 1) == 0);
	}
}

/* Who waits is told all the time, and finds that others were faster: the dead one's is not forgotten. */
START_TEST(it_comes_back_while_others_circulate)
{
	struct state *s = make_state(2);
	pid_t holder = start_holder(s, 1);

	test_kill(holder);
	test_processes(3, circulate, s);
	take(s, 2, 0);
	none_is_left(s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("semaphore_recorded");
	TCase *tc = test_case(s, "owners");

	tcase_add_test(tc, only_what_is_mine);
	tcase_add_test(tc, a_forked_child_has_none_of_them);
	tcase_add_test(tc, another_thread_gives_them);
	tcase_add_loop_test(tc, none_is_given_twice, 1, 3);
	tc = test_case(s, "memory");
	tcase_add_test(tc, as_many_as_there_is_memory_for);
	tcase_add_test(tc, more_than_sixty_four);
	tc = test_case(s, "deaths");
	tcase_add_test(tc, those_of_the_dead);
	tcase_add_test(tc, stopped_is_not_dead);
	tcase_add_test(tc, they_come_to_who_sleeps);
	tcase_add_test(tc, it_comes_back_while_others_circulate);
	tcase_add_test(tc, killed_waiters_take_nothing);
	tcase_add_test(tc, kills_at_random);
	tcase_add_test(tc, fini_while_held);
	return test_main(s);
}
