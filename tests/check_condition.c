/* SPDX-License-Identifier: MIT */
/* Conditions, among threads and among processes; see check_condition_notify.c and check_condition_dead.c too. */
#include <ipckit/condition.h>

#include "waiters.h"

#include <sys/mman.h>

/* What this thread does before its next wait has the lock again. */
static __thread void (*before_acquire)(struct scene *s);
static struct scene *scene;

/* The first thing that an acquire does. */
int __real_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex)
{
	void (*hook)(struct scene *s) = before_acquire;

	before_acquire = NULL;
	if (hook)
		hook(scene);
	return __real_pthread_mutex_trylock(mutex);
}

static void start(struct scene *s)
{
	scene = s;
	store_release(&s->began, 1);
}

/* ---- setting up, misuse ---- */

START_TEST(locks_that_are_given)
{
	struct scene *s = make_scene_of(GIVEN_LOCK);

	take(s);
	ck_assert_int_eq(ipck_lock_owner(&s->lock), getpid());
	ck_err(ipck_condition_acquire(s->c, IPCK_FOREVER), EDEADLK);
	give_back(s);
	ck_assert(!ipck_lock_locked(&s->lock));
	/* By the lock's own call, or the other condition's. */
	ck_ok(ipck_lock_acquire(&s->lock, IPCK_NOWAIT));
	ck_ok(ipck_condition_notify(s->c, 1));
	ck_assert_int_eq(ipck_condition_wait(s->c, IPCK_NOWAIT), IPCK_TIMED_OUT);
	ck_ok(ipck_condition_release(&s->second));
	end_scene(s);

	s = make_scene_of(GIVEN_RLOCK);
	take(s);
	take(s);
	ck_assert_uint_eq(ipck_rlock_depth(&s->rlock), 2);
	ck_ok(ipck_rlock_release(&s->rlock));
	give_back(s);
	end_scene(s);
}
END_TEST

START_TEST(it_has_an_rlock_of_its_own)
{
	struct scene *s = make_scene();
	int rc = -1;

	take(s);
	take(s);
	IPCK_WITH_CONDITION(s->c, IPCK_NOWAIT, &rc)
		ck_ok(ipck_condition_notify(s->c, 1));
	ck_ok(rc);
	give_back(s);
	give_back(s);
	end_scene(s);
	ipck_condition_fini(NULL);
}
END_TEST

START_TEST(what_cannot_be_set_up)
{
	struct scene *s = test_shared(sizeof(*s));
	struct {
		struct ipck_condition_opts known;
		uint64_t more;
	} later = {IPCK_CONDITION_OPTS_INIT, 1};

	later.known.size = sizeof(later);
	ck_err(ipck_condition_init(&s->first, &later.known), E2BIG);
	ck_err(ipck_condition_init(&s->first, IPCK_CONDITION_OPTS(.lock = &s->lock)), EINVAL);
	ck_err(ipck_condition_init(&s->first, IPCK_CONDITION_OPTS(.rlock = &s->rlock)), EINVAL);
	ck_err(ipck_condition_init(&s->first, IPCK_CONDITION_OPTS(.bytes = 64)), ENOSPC);
	ck_ok(ipck_lock_init(&s->lock));
	ck_ok(ipck_rlock_init(&s->rlock));
	ck_err(ipck_condition_init(&s->first, IPCK_CONDITION_OPTS(.lock = &s->lock, .rlock = &s->rlock)), EINVAL);
	ck_ok(ipck_condition_init(&s->first, NULL));
	ipck_condition_fini(&s->first);
}
END_TEST

static bool must_not_ask(void *arg)
{
	(void)arg;
	ck_abort_msg("the predicate is asked");
}

static void all_are(struct ipck_condition *c, int error)
{
	ck_err(ipck_condition_wait(c, IPCK_FOREVER), error);
	ck_err(ipck_condition_wait_for(c, must_not_ask, NULL, IPCK_FOREVER), error);
	ck_err(ipck_condition_notify(c, 1), error);
	ck_err(ipck_condition_notify_all(c), error);
	ck_err(ipck_condition_release(c), error);
}

START_TEST(what_is_not_set_up)
{
	struct scene *s = test_shared(sizeof(*s));

	for (int i = 0; i < 2; i++) {
		all_are(&s->first, EINVAL);
		ck_err(ipck_condition_acquire(&s->first, IPCK_FOREVER), EINVAL);
		ck_ok(ipck_condition_init(&s->first, NULL));
		ipck_condition_fini(&s->first);
	}
}
END_TEST

static void not_held_here(unsigned i, void *arg)
{
	struct scene *s = arg;

	(void)i;
	all_are(s->c, EPERM);
}

START_TEST(not_without_the_lock)
{
	struct scene *s = make_scene_of(_i / PARTY_WAYS);

	all_are(s->c, EPERM);
	take(s);
	/* A forked child is not the holder either. */
	run_parties(_i, 2, not_held_here, s);
	ck_err(ipck_condition_notify(s->c, 0), EINVAL);
	give_back(s);
	end_scene(s);
}
END_TEST

/* ---- wait ---- */

static int levels(const struct scene *s)
{
	return s->kind == GIVEN_LOCK ? 1 : 3;
}

static void take_all_levels(struct scene *s)
{
	for (int i = 0; i < levels(s); i++)
		take(s);
}

static void give_back_all_levels(struct scene *s)
{
	for (int i = 0; i < levels(s); i++)
		give_back(s);
	ck_err(ipck_condition_release(s->c), EPERM);
}

static void wait_in_the_depth(unsigned i, void *arg)
{
	struct scene *s = arg;

	if (i == 0) {
		TEST_UNTIL(waiting(s) == 1);
		/* Its own level is the only one. */
		take(s);
		ck_ok(ipck_condition_notify(s->c, 1));
		give_back(s);
		ck_err(ipck_condition_release(s->c), EPERM);
		return;
	}
	take_all_levels(s);
	ck_that(ipck_condition_wait(s->c, far_off()) == 0);
	give_back_all_levels(s);
}

START_TEST(all_levels_are_given_back_and_come_back)
{
	struct scene *s = make_scene_of(_i / PARTY_WAYS);

	run_parties(_i, 2, wait_in_the_depth, s);
	end_scene(s);
}
END_TEST

START_TEST(all_levels_come_back_without_a_notification)
{
	struct scene *s = make_scene_of(_i);
	struct ipck_deadline soon = ipck_in_ms(20);

	take_all_levels(s);
	ck_assert_int_eq(ipck_condition_wait(s->c, IPCK_NOWAIT), IPCK_TIMED_OUT);
	ck_assert_int_eq(ipck_condition_wait(s->c, soon), IPCK_TIMED_OUT);
	ck_assert(ipck_deadline_passed(soon));
	ipck_interrupt();
	ck_assert_int_eq(ipck_condition_wait(s->c, ipck_interruptible(IPCK_FOREVER)), IPCK_TIMED_OUT);
	ipck_interrupt_clear();
	give_back_all_levels(s);
	end_scene(s);
}
END_TEST

static void until_taken(struct scene *s)
{
	TEST_UNTIL(load_acquire(&s->taken));
}

/* One that waits in the smallest time, and another that has the lock in that time. */
static void wait_for_no_time(unsigned i, void *arg)
{
	struct scene *s = arg;

	if (i == 0) {
		TEST_UNTIL(load_acquire(&s->began));
		take(s);
		ck_that(waiting(s) == 1);
		store_release(&s->taken, 1);
		/* The deadline is long past: getting the lock back has none. */
		usleep(20000);
		store_release(&s->released, 1);
		give_back(s);
		return;
	}
	take_all_levels(s);
	start(s);
	before_acquire = until_taken;
	ck_that(ipck_condition_wait(s->c, IPCK_NOWAIT) == IPCK_TIMED_OUT);
	ck_that(load_acquire(&s->released));
	give_back_all_levels(s);
}

START_TEST(a_wait_of_no_time_gives_the_lock_back)
{
	struct scene *s = make_scene_of(_i / PARTY_WAYS);

	run_parties(_i, 2, wait_for_no_time, s);
	end_scene(s);
}
END_TEST

static void interrupt_who_waits(unsigned i, void *arg)
{
	struct scene *s = arg;

	if (i == 0) {
		TEST_UNTIL(load_acquire(&s->taken) && waiting(s) == 1);
		ck_that(kill((pid_t)load_acquire(&s->taken), SIGUSR1) == 0);
		return;
	}
	let_signals_interrupt();
	store_release(&s->taken, (uint32_t)getpid());
	take(s);
	ck_that(ipck_condition_wait(s->c, ipck_interruptible(IPCK_FOREVER)) == IPCK_TIMED_OUT);
	ipck_interrupt_clear();
	give_back(s);
}

START_TEST(a_signal_ends_the_wait)
{
	struct scene *s = make_scene();

	run_parties(_i, 2, interrupt_who_waits, s);
	end_scene(s);
}
END_TEST

/* Past its deadline, but not back yet: it is notified, and says so, so that it is not lost. */
static void notify_in_the_last_moment(unsigned i, void *arg)
{
	struct scene *s = arg;

	if (i > 0) {
		take(s);
		start(s);
		before_acquire = until_taken;
		ck_that(ipck_condition_wait(s->c, IPCK_NOWAIT) == 0);
		give_back(s);
		return;
	}
	TEST_UNTIL(load_acquire(&s->began));
	take(s);
	ck_ok(ipck_condition_notify(s->c, 1));
	store_release(&s->taken, 1);
	give_back(s);
}

START_TEST(who_is_notified_has_not_timed_out)
{
	struct scene *s = make_scene();

	run_parties(_i, 2, notify_in_the_last_moment, s);
	end_scene(s);
}
END_TEST

/* ---- wait_for ---- */

struct question {
	struct scene *s;
	unsigned asked, true_at;
};

static bool is_answered(void *arg)
{
	struct question *q = arg;

	/* With the lock held. */
	ck_that(lock_held_here(&((struct condition *)q->s->c)->own.robust));
	return ++q->asked == q->true_at;
}

START_TEST(the_predicate_is_asked_first_and_last)
{
	struct scene *s = make_scene();
	struct question q = {.s = s, .true_at = 1};

	take(s);
	ck_assert_int_eq(ipck_condition_wait_for(s->c, is_answered, &q, IPCK_NOWAIT), 0);
	ck_assert_uint_eq(q.asked, 1);
	/* What it says at the end counts, not that the deadline passed. */
	q = (struct question){.s = s, .true_at = 2};
	ck_assert_int_eq(ipck_condition_wait_for(s->c, is_answered, &q, IPCK_NOWAIT), 0);
	ck_assert_uint_eq(q.asked, 2);
	q = (struct question){.s = s};
	ck_assert_int_eq(ipck_condition_wait_for(s->c, is_answered, &q, ipck_in_ms(20)), IPCK_TIMED_OUT);
	ck_assert_uint_eq(q.asked, 2);
	ipck_interrupt();
	ck_assert_int_eq(ipck_condition_wait_for(s->c, is_answered, &q, ipck_interruptible(IPCK_FOREVER)),
	                 IPCK_TIMED_OUT);
	ipck_interrupt_clear();
	give_back(s);
	end_scene(s);
}
END_TEST

static bool has_items(void *arg)
{
	return ((struct scene *)arg)->items >= 3;
}

static void wait_for_items(unsigned i, void *arg)
{
	struct scene *s = arg;

	if (i > 0) {
		take(s);
		ck_that(ipck_condition_wait_for(s->c, has_items, s, far_off()) == 0);
		ck_that(s->items == 3);
		give_back(s);
		return;
	}
	for (int n = 0; n < 3; n++) {
		TEST_UNTIL(waiting(s) == 2);
		take(s);
		s->items++;
		ck_ok(ipck_condition_notify_all(s->c));
		give_back(s);
	}
}

START_TEST(the_predicate_is_asked_after_each_notification)
{
	struct scene *s = make_scene();

	run_parties(_i, 3, wait_for_items, s);
	end_scene(s);
}
END_TEST

/* Notifications that bring nothing do not make the wait longer. */
static void notify_in_vain(unsigned i, void *arg)
{
	struct scene *s = arg;

	if (i > 0) {
		take(s);
		ck_that(ipck_condition_wait_for(s->c, has_items, s, ipck_in_ms(100)) == IPCK_TIMED_OUT);
		give_back(s);
		store_release(&s->ended, 1);
		return;
	}
	while (!load_acquire(&s->ended)) {
		notify(s, 1);
		usleep(1000);
	}
}

START_TEST(one_deadline_for_all_waits)
{
	struct scene *s = make_scene();

	run_parties(_i, 2, notify_in_vain, s);
	end_scene(s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("condition");
	TCase *tc = test_case(s, "misuse");

	tcase_add_test(tc, locks_that_are_given);
	tcase_add_test(tc, it_has_an_rlock_of_its_own);
	tcase_add_test(tc, what_cannot_be_set_up);
	tcase_add_test(tc, what_is_not_set_up);
	tcase_add_loop_test(tc, not_without_the_lock, 0, LOCK_KINDS * PARTY_WAYS);
	tc = test_case(s, "wait");
	tcase_add_loop_test(tc, all_levels_are_given_back_and_come_back, 0, LOCK_KINDS * PARTY_WAYS);
	tcase_add_loop_test(tc, all_levels_come_back_without_a_notification, 0, LOCK_KINDS);
	tcase_add_loop_test(tc, a_wait_of_no_time_gives_the_lock_back, 0, LOCK_KINDS * PARTY_WAYS);
	tcase_add_loop_test(tc, a_signal_ends_the_wait, 0, PARTY_WAYS);
	tcase_add_loop_test(tc, who_is_notified_has_not_timed_out, 0, PARTY_WAYS);
	tc = test_case(s, "wait_for");
	tcase_add_test(tc, the_predicate_is_asked_first_and_last);
	tcase_add_loop_test(tc, the_predicate_is_asked_after_each_notification, 0, PARTY_WAYS);
	tcase_add_loop_test(tc, one_deadline_for_all_waits, 0, PARTY_WAYS);
	return test_main(s);
}
