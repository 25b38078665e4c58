/* SPDX-License-Identifier: MIT */
/* Locks and rlocks, among threads and among processes. */
#include "locks.h"

#include <ipckit/event.h>
#include <pthread.h>

#include "sync/lock.h"

/* Most tests are done with a lock and with an rlock; see locks.h. */

/* ---- one party ---- */

START_TEST(acquired_and_released)
{
	struct state *s = make_state(_i);

	is_free(s);
	acquire_deep(s);
	ck_assert(locked(s));
	ck_assert_int_eq(owner(s), getpid());
	release_deep(s);
	is_free(s);
	fini(s);
}
END_TEST

START_TEST(twice_by_one_thread)
{
	struct state *s = make_state(false);

	ck_ok(acquire(s, IPCK_FOREVER));
	ck_err(acquire(s, IPCK_FOREVER), EDEADLK);
	ck_err(acquire(s, IPCK_NOWAIT), EDEADLK);
	ck_err(acquire(s, ipck_in_ms(5)), EDEADLK);
	ck_ok(release(s));
	ck_err(release(s), EPERM);
	is_free(s);
}
END_TEST

/* acquire and release are macros, too; these are the functions. */
START_TEST(by_the_functions)
{
	int (*acquire_it)(struct ipck_lock *lock, struct ipck_deadline deadline) = ipck_lock_acquire;
	int (*release_it)(struct ipck_lock *lock) = ipck_lock_release;
	struct state *s = make_state(false);
	struct ipck_lock blank = {{0}};

	ck_assert_int_eq(acquire_it(&s->lock, IPCK_FOREVER), 0);
	ck_err(acquire_it(&s->lock, IPCK_FOREVER), EDEADLK);
	ck_err(ipck_lock_acquire(&s->lock, IPCK_FOREVER), EDEADLK);
	ck_ok(release_it(&s->lock));
	ck_err(release_it(&s->lock), EPERM);
	ck_err(acquire_it(&blank, IPCK_NOWAIT), EINVAL);
	ck_err(release_it(&blank), EINVAL);
	is_free(s);
	fini(s);
}
END_TEST

START_TEST(an_rlock_counts)
{
	struct ipck_rlock *l = &make_state(true)->rlock;

	ck_assert_uint_eq(ipck_rlock_depth(l), 0);
	for (uint32_t n = 1; n <= 3; n++) {
		ck_assert_int_eq(ipck_rlock_acquire(l, IPCK_FOREVER), 0);
		ck_assert_uint_eq(ipck_rlock_depth(l), n);
	}
	for (uint32_t n = 3; n-- > 0;) {
		ck_assert(ipck_rlock_locked(l));
		ck_assert_int_eq(ipck_rlock_release(l), 0);
		ck_assert_uint_eq(ipck_rlock_depth(l), n);
	}
	ck_err(ipck_rlock_release(l), EPERM);
	ck_assert(!ipck_rlock_locked(l));
}
END_TEST

START_TEST(an_rlock_does_not_overflow)
{
	struct ipck_rlock *l = &make_state(true)->rlock;

	ck_ok(ipck_rlock_acquire(l, IPCK_NOWAIT));
	/* Four thousand million acquires, in short. */
	((struct lock *)l)->depth = UINT32_MAX - 1;
	ck_ok(ipck_rlock_acquire(l, IPCK_NOWAIT));
	ck_assert_uint_eq(ipck_rlock_depth(l), UINT32_MAX);
	ck_err(ipck_rlock_acquire(l, IPCK_NOWAIT), EOVERFLOW);
	ck_err(ipck_rlock_acquire(l, IPCK_FOREVER), EOVERFLOW);
	ck_assert_uint_eq(ipck_rlock_depth(l), UINT32_MAX);
	((struct lock *)l)->depth = 1;
	ck_ok(ipck_rlock_release(l));
	is_free(state);
}
END_TEST

static void is_no_lock(void *memory)
{
	ck_err(ipck_lock_acquire(memory, IPCK_NOWAIT), EINVAL);
	ck_err(ipck_lock_acquire(memory, IPCK_FOREVER), EINVAL);
	ck_err(ipck_lock_release(memory), EINVAL);
}

static void is_no_rlock(void *memory)
{
	ck_err(ipck_rlock_acquire(memory, IPCK_NOWAIT), EINVAL);
	ck_err(ipck_rlock_acquire(memory, IPCK_FOREVER), EINVAL);
	ck_err(ipck_rlock_release(memory), EINVAL);
}

START_TEST(misuse_is_told)
{
	struct state *s = test_shared(sizeof(*s));
	struct ipck_event *e = test_shared(sizeof(struct ipck_lock));

	is_no_lock(&s->lock);
	is_no_rlock(&s->rlock);
	init(s);
	is_no_lock(&s->rlock);
	is_no_rlock(&s->lock);
	ck_ok(ipck_event_init(e));
	is_no_lock(e);
	is_no_rlock(e);
	fini(s);
	is_no_lock(&s->lock);
	is_no_rlock(&s->rlock);
	init(s);
	is_free(s);
	ipck_lock_fini(NULL);
	ipck_rlock_fini(NULL);
}
END_TEST

START_TEST(interrupted_it_still_acquires_what_is_free)
{
	struct state *s = make_state(_i);

	ipck_interrupt();
	ck_assert_int_eq(acquire(s, ipck_interruptible(IPCK_FOREVER)), 0);
	ck_ok(release(s));
	ipck_interrupt_clear();
	is_free(s);
}
END_TEST

/* ---- several parties: bit 0 of the number for processes, bit 1 for the rlock ---- */

#define ROUNDS 2000
#define PARTIES 4

static void count_up(unsigned i, void *arg)
{
	struct state *s = arg;

	for (unsigned n = 0; n < ROUNDS; n++) {
		acquire_deep(s);
		ck_that(s->sum == s->copy);
		s->sum += i + 1;
		s->copy += i + 1;
		release_deep(s);
	}
}

START_TEST(one_at_a_time)
{
	struct state *s = make_state(_i & 2);

	run_parties(_i & 1, PARTIES, count_up, s);
	ck_assert_uint_eq(s->sum, ROUNDS * PARTIES * (PARTIES + 1) / 2);
	ck_assert_uint_eq(s->copy, s->sum);
	is_free(s);
}
END_TEST

/* Of a thread, and of a forked child of the holder, which does not hold it. */
static void not_held_here(unsigned i, void *arg)
{
	struct state *s = arg;
	struct ipck_deadline soon = ipck_in_ms(20);

	(void)i;
	ck_that(locked(s) && owner(s) == s->holder);
	ck_that(ipck_rlock_depth(&s->rlock) == 0);
	ck_err(release(s), EPERM);
	ck_err(acquire(s, IPCK_NOWAIT), ETIMEDOUT);
	ck_err(acquire(s, ipck_in_ms(-1)), ETIMEDOUT);
	ck_err(acquire(s, soon), ETIMEDOUT);
	ck_that(ipck_deadline_passed(soon));
	ipck_interrupt();
	ck_err(acquire(s, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	ipck_interrupt_clear();
	ck_err(release(s), EPERM);
}

START_TEST(held_by_another)
{
	struct state *s = make_state(_i & 2);

	s->holder = getpid();
	acquire_deep(s);
	for (int i = 0; i < 2; i++)
		run_parties(_i & 1, 1, not_held_here, s);
	/* Neither what they tried nor their end has changed anything. */
	ck_assert_int_eq(owner(s), getpid());
	ck_assert_uint_eq(ipck_rlock_depth(&s->rlock), s->again ? 3 : 0);
	release_deep(s);
	is_free(s);
}
END_TEST

static void acquire_and_go(unsigned i, void *arg)
{
	struct state *s = arg;

	(void)i;
	ck_that(acquire(s, far_off()) == 0);
	release(s);
}

/* It is free for others after the last release, and no sooner. */
static void release_slowly(unsigned i, void *arg)
{
	struct state *s = arg;

	if (i == 0) {
		acquire_deep(s);
		store_release(&s->ready, (uint32_t)gettid());
		TEST_UNTIL(load_acquire(&s->over));
		release_deep(s);
		return;
	}
	TEST_UNTIL(load_acquire(&s->ready));
	ck_err(acquire(s, IPCK_NOWAIT), ETIMEDOUT);
	add_acq_rel(&s->over, 1);
	acquire_and_go(i, arg);
}

START_TEST(it_goes_to_who_waits)
{
	struct state *s = make_state(_i & 2);

	run_parties(_i & 1, 2, release_slowly, s);
	is_free(s);
}
END_TEST

static void *hold_in_a_thread(void *arg)
{
	struct state *s = arg;

	acquire_deep(s);
	store_release(&s->ready, 1);
	TEST_UNTIL(load_acquire(&s->over));
	release_deep(s);
	return NULL;
}

static void hold_in_another_thread(void *arg)
{
	pthread_t thread;

	ck_that(pthread_create(&thread, NULL, hold_in_a_thread, arg) == 0);
	ck_that(pthread_join(thread, NULL) == 0);
}

START_TEST(the_owner_is_a_process)
{
	struct state *s = make_state(_i);
	pid_t pid = test_fork(hold_in_another_thread, s);

	TEST_UNTIL(load_acquire(&s->ready));
	ck_assert(locked(s));
	ck_assert_int_eq(owner(s), pid);
	store_release(&s->over, 1);
	test_join(pid);
	is_free(s);
}
END_TEST

static void count_elsewhere(unsigned i, void *arg)
{
	count_up(i, i % 2 ? map_again(arg, sizeof(struct state)) : arg);
}

START_TEST(it_lies_at_any_address)
{
	struct state *s = make_state(_i);

	test_processes(PARTIES, count_elsewhere, s);
	ck_assert_uint_eq(s->sum, ROUNDS * PARTIES * (PARTIES + 1) / 2);
	is_free(s);
}
END_TEST

/* ---- signals ---- */

static void wait_until_interrupted(void *arg)
{
	interrupt_soon();
	ck_err(acquire(arg, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
}

START_TEST(an_interruption_ends_the_sleep)
{
	struct state *s = make_state(_i);

	acquire_deep(s);
	test_join(test_fork(wait_until_interrupted, s));
	release_deep(s);
	is_free(s);
}
END_TEST

static void only_count(int signal)
{
	(void)signal;
	add_acq_rel(&state->target.taken, 1);
}

static void wait_through_signals(void *arg)
{
	struct state *s = arg;

	take_signals(&s->target, only_count);
	ck_that(acquire(s, far_off()) == 0);
	ck_ok(release(s));
}

START_TEST(signals_do_not_end_a_wait)
{
	struct state *s = make_state(_i);
	pid_t pid;

	acquire_deep(s);
	pid = test_fork(wait_through_signals, s);
	ck_assert_uint_eq(send_signals(pid, &s->target, 100), 100);
	release_deep(s);
	test_join(pid);
	is_free(s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sync_lock");
	TCase *tc = test_case(s, "one");

	tcase_add_loop_test(tc, acquired_and_released, 0, 2);
	tcase_add_test(tc, twice_by_one_thread);
	tcase_add_test(tc, by_the_functions);
	tcase_add_test(tc, an_rlock_counts);
	tcase_add_test(tc, an_rlock_does_not_overflow);
	tcase_add_test(tc, misuse_is_told);
	tcase_add_loop_test(tc, interrupted_it_still_acquires_what_is_free, 0, 2);
	tc = test_case(s, "many");
	tcase_add_loop_test(tc, one_at_a_time, 0, 4);
	tcase_add_loop_test(tc, held_by_another, 0, 4);
	tcase_add_loop_test(tc, it_goes_to_who_waits, 0, 4);
	tcase_add_loop_test(tc, the_owner_is_a_process, 0, 2);
	tc = test_case(s, "signals");
	tcase_add_loop_test(tc, an_interruption_ends_the_sleep, 0, 2);
	tcase_add_loop_test(tc, signals_do_not_end_a_wait, 0, 2);
	/* valgrind refuses a second mapping of the same memory. */
	tc = test_case(s, "two mappings");
	tcase_set_tags(tc, "not_valgrind");
	tcase_add_loop_test(tc, it_lies_at_any_address, 0, 2);
	return test_main(s);
}
