/* SPDX-License-Identifier: MIT */
/* The robust lock, among threads and among processes, with holders that die, stop, or vanish with the lock. */
#include "base/lock.h"

#include "support.h"

#include <errno.h>
#include <ipckit/defs.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic.h"

#ifdef TEST_THREAD_SANITIZER
/* Locks are released here by those who do not hold them, and left held by those who die: on purpose. */
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "report_mutex_bugs=0:report_destroy_locked=0";
}
#endif

struct state {
	struct robust_lock lock;
	uint64_t sum, copy; /* equal while nobody holds the lock */
	uint32_t ready, go, told;
};

static struct state *make_state(void)
{
	struct state *s = test_shared(sizeof(*s));

	ck_ok(lock_init(&s->lock));
	return s;
}

static void is_free(struct state *s)
{
	ck_assert_int_eq(lock_acquire(&s->lock, IPCK_NOWAIT), 0);
	ck_assert(lock_held_here(&s->lock));
	ck_ok(lock_release(&s->lock));
	ck_assert(!lock_held_here(&s->lock));
}

/* ---- no deaths ---- */

#define ROUNDS 5000
#define PARTIES 4

static void count_up(unsigned i, void *arg)
{
	struct state *s = arg;

	for (unsigned n = 0; n < ROUNDS; n++) {
		ck_that(lock_acquire(&s->lock, n % 2 ? IPCK_FOREVER : ipck_in_sec(20)) == 0);
		ck_that(s->sum == s->copy);
		s->sum += i + 1;
		s->copy += i + 1;
		ck_ok(lock_release(&s->lock));
	}
}

START_TEST(one_at_a_time)
{
	struct state *s = make_state();

	if (_i)
		test_processes(PARTIES, count_up, s);
	else
		test_threads(PARTIES, count_up, s);
	ck_assert_uint_eq(s->sum, ROUNDS * PARTIES * (PARTIES + 1) / 2);
	ck_assert_uint_eq(s->copy, s->sum);
	is_free(s);
	lock_fini(&s->lock);
}
END_TEST

START_TEST(misuse_is_told)
{
	struct state *s = make_state();

	ck_assert_int_eq(lock_owner(&s->lock), 0);
	ck_err(lock_release(&s->lock), EPERM);
	ck_assert_int_eq(lock_acquire(&s->lock, IPCK_FOREVER), 0);
	ck_assert_int_eq(lock_owner(&s->lock), gettid());
	ck_err(lock_acquire(&s->lock, IPCK_FOREVER), EDEADLK);
	ck_err(lock_acquire(&s->lock, IPCK_NOWAIT), EDEADLK);
	ck_ok(lock_release(&s->lock));
	ck_err(lock_release(&s->lock), EPERM);
	is_free(s);
}
END_TEST

/* For a thread, and for a forked child of the holder, which does not hold it. */
static void not_held_here(unsigned i, void *arg)
{
	struct state *s = arg;
	struct ipck_deadline soon = ipck_in_ms(20);

	(void)i;
	ck_that(!lock_held_here(&s->lock));
	ck_that(lock_owner(&s->lock) != 0 && lock_owner(&s->lock) != gettid());
	ck_err(lock_release(&s->lock), EPERM);
	ck_err(lock_acquire(&s->lock, IPCK_NOWAIT), ETIMEDOUT);
	ck_err(lock_acquire(&s->lock, soon), ETIMEDOUT);
	ck_that(ipck_deadline_passed(soon));
	ipck_interrupt();
	ck_err(lock_acquire(&s->lock, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	ipck_interrupt_clear();
	ck_err(lock_release(&s->lock), EPERM);
}

START_TEST(held_by_another)
{
	struct state *s = make_state();

	ck_assert_int_eq(lock_acquire(&s->lock, IPCK_NOWAIT), 0);
	if (_i)
		test_processes(1, not_held_here, s);
	else
		test_threads(1, not_held_here, s);
	ck_assert(lock_held_here(&s->lock));
	ck_ok(lock_release(&s->lock));
	is_free(s);
}
END_TEST

static void interrupt_by_signal(int signal)
{
	(void)signal;
	ipck_interrupt();
}

static void wait_for_signal(void *arg)
{
	const struct itimerval once = {.it_value = {.tv_usec = 20000}};
	struct state *s = arg;

	signal(SIGALRM, interrupt_by_signal);
	ck_that(setitimer(ITIMER_REAL, &once, NULL) == 0);
	ck_err(lock_acquire(&s->lock, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
}

START_TEST(a_signal_ends_the_wait)
{
	struct state *s = make_state();

	ck_assert_int_eq(lock_acquire(&s->lock, IPCK_NOWAIT), 0);
	test_join(test_fork(wait_for_signal, s));
	ck_ok(lock_release(&s->lock));
	is_free(s);
}
END_TEST

/* ---- deaths ---- */

static void hold_for_ever(void *arg)
{
	struct state *s = arg;

	ck_that(lock_acquire(&s->lock, IPCK_FOREVER) >= 0);
	s->sum++;
	store_release(&s->ready, 1);
	for (;;)
		pause();
}

static pid_t start_holder(struct state *s)
{
	pid_t pid;

	store_release(&s->ready, 0);
	pid = test_fork(hold_for_ever, s);
	TEST_UNTIL(load_acquire(&s->ready) == 1);
	ck_assert_int_eq(lock_owner(&s->lock), pid);
	return pid;
}

START_TEST(a_death_is_told_once)
{
	struct state *s = make_state();

	test_kill(start_holder(s));
	ck_assert_int_eq(lock_acquire(&s->lock, IPCK_FOREVER), IPCK_OWNER_DIED);
	ck_assert(lock_held_here(&s->lock));
	ck_err(lock_acquire(&s->lock, IPCK_NOWAIT), EDEADLK);
	s->copy = s->sum;
	ck_ok(lock_release(&s->lock));
	is_free(s);
	is_free(s);
}
END_TEST

START_TEST(a_death_in_the_repair_is_told_again)
{
	struct state *s = make_state();

	for (int deaths = 0; deaths < 3; deaths++)
		test_kill(start_holder(s));
	ck_assert_uint_eq(s->sum, 3);
	ck_assert_int_eq(lock_acquire(&s->lock, IPCK_NOWAIT), IPCK_OWNER_DIED);
	ck_ok(lock_release(&s->lock));
	is_free(s);
}
END_TEST

static void wait_and_note(void *arg)
{
	struct state *s = arg;
	int rc;

	add_acq_rel(&s->ready, 1);
	rc = lock_acquire(&s->lock, IPCK_FOREVER);
	ck_that(rc == 0 || rc == IPCK_OWNER_DIED);
	if (rc == IPCK_OWNER_DIED) {
		s->told++;
		s->copy = s->sum;
	}
	ck_that(s->sum == s->copy);
	s->sum++;
	s->copy++;
	ck_ok(lock_release(&s->lock));
}

#define WAITERS 6

START_TEST(all_waiters_go_on)
{
	struct state *s = make_state();
	pid_t holder = start_holder(s), pids[WAITERS];

	for (int i = 0; i < WAITERS; i++)
		pids[i] = test_fork(wait_and_note, s);
	TEST_UNTIL(load_acquire(&s->ready) == 1 + WAITERS);
	for (int i = 0; i < WAITERS; i++)
		TEST_UNTIL(test_state(pids[i]) == 'S');
	/* One that dies in its wait is no holder. */
	test_kill(pids[0]);
	test_kill(holder);
	test_join_all(pids + 1, WAITERS - 1);
	ck_assert_uint_eq(s->told, 1);
	ck_assert_uint_eq(s->sum, 1 + WAITERS - 1);
	is_free(s);
}
END_TEST

/* Kills at random, for whatever the sweep's points do not meet: several waiters and holders at once. */
static void count_until_killed(void *arg)
{
	struct state *s = arg;

	for (;;) {
		int rc = lock_acquire(&s->lock, IPCK_FOREVER);

		ck_that(rc == 0 || rc == IPCK_OWNER_DIED);
		if (rc == IPCK_OWNER_DIED)
			s->copy = s->sum;
		ck_that(s->sum == s->copy);
		s->sum++;
		s->copy++;
		ck_ok(lock_release(&s->lock));
	}
}

START_TEST(kills_at_random)
{
	struct state *s = make_state();
	struct test_random random = test_random(1);
	pid_t pids[3];
	int rc;

	for (int i = 0; i < 3; i++)
		pids[i] = test_fork(count_until_killed, s);
	for (int kills = 0; kills < 100; kills++) {
		int i = (int)test_random_below(&random, 3);

		usleep((useconds_t)test_random_below(&random, 2000));
		test_kill(pids[i]);
		pids[i] = test_fork(count_until_killed, s);
	}
	for (int i = 0; i < 3; i++)
		test_kill(pids[i]);
	rc = lock_acquire(&s->lock, IPCK_NOWAIT);
	ck_assert(rc == 0 || rc == IPCK_OWNER_DIED);
	ck_assert(rc == IPCK_OWNER_DIED || s->sum == s->copy);
	ck_ok(lock_release(&s->lock));
	is_free(s);
}
END_TEST

/* ---- holders that are not dead, and locks that nobody will give back ---- */

START_TEST(a_stopped_holder_is_not_dead)
{
	struct state *s = make_state();
	pid_t pid = start_holder(s);

	kill(pid, SIGSTOP);
	TEST_UNTIL(test_state(pid) == 'T');
	ck_err(lock_acquire(&s->lock, IPCK_NOWAIT), ETIMEDOUT);
	ck_err(lock_acquire(&s->lock, ipck_in_ms(600)), ETIMEDOUT);
	kill(pid, SIGCONT);
	test_kill(pid);
	ck_assert_int_eq(lock_acquire(&s->lock, IPCK_FOREVER), IPCK_OWNER_DIED);
	ck_ok(lock_release(&s->lock));
}
END_TEST

static void unmap_it_held(void *arg)
{
	struct state *s = arg;

	ck_that(lock_acquire(&s->lock, IPCK_FOREVER) == 0);
	ck_that(munmap(s, sizeof(*s)) == 0);
}

START_TEST(a_stranded_lock_is_told)
{
	struct state *s = make_state();
	pid_t pid = test_fork(unmap_it_held, s);

	test_join(pid);
	ck_assert_int_eq(lock_owner(&s->lock), pid);
	ck_err(lock_acquire(&s->lock, IPCK_FOREVER), ENOTRECOVERABLE);
	ck_err(lock_acquire(&s->lock, ipck_in_ms(20)), ENOTRECOVERABLE);
	/* It tries once, and cannot tell so soon. */
	ck_err(lock_acquire(&s->lock, IPCK_NOWAIT), ETIMEDOUT);
	ck_err(lock_release(&s->lock), EPERM);
}
END_TEST

static void wait_for_stranded(void *arg)
{
	struct state *s = arg;

	ck_err(lock_acquire(&s->lock, IPCK_FOREVER), ENOTRECOVERABLE);
}

/* Those who wait already are not left behind. */
static void strand_with_waiters(void *arg)
{
	struct state *s = arg;

	ck_that(lock_acquire(&s->lock, IPCK_FOREVER) == 0);
	store_release(&s->ready, 1);
	TEST_UNTIL(load_acquire(&s->go) == 1);
	ck_that(munmap(s, sizeof(*s)) == 0);
}

START_TEST(waiters_of_a_stranded_lock_are_told)
{
	struct state *s = make_state();
	pid_t holder = test_fork(strand_with_waiters, s), pids[3];

	TEST_UNTIL(load_acquire(&s->ready) == 1);
	for (int i = 0; i < 3; i++)
		pids[i] = test_fork(wait_for_stranded, s);
	for (int i = 0; i < 3; i++)
		TEST_UNTIL(test_state(pids[i]) == 'S');
	store_release(&s->go, 1);
	test_join(holder);
	test_join_all(pids, 3);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lock");
	TCase *tc = test_case(s, "use");

	tcase_add_loop_test(tc, one_at_a_time, 0, 2);
	tcase_add_test(tc, misuse_is_told);
	tcase_add_loop_test(tc, held_by_another, 0, 2);
	tcase_add_test(tc, a_signal_ends_the_wait);
	tc = test_case(s, "deaths");
	tcase_add_test(tc, a_death_is_told_once);
	tcase_add_test(tc, a_death_in_the_repair_is_told_again);
	tcase_add_test(tc, all_waiters_go_on);
	tcase_add_test(tc, kills_at_random);
	tc = test_case(s, "stranded");
	tcase_add_test(tc, a_stopped_holder_is_not_dead);
	tcase_add_test(tc, a_stranded_lock_is_told);
	tcase_add_test(tc, waiters_of_a_stranded_lock_are_told);
	return test_main(s);
}
