/* SPDX-License-Identifier: MIT */
/* Scopes, the counterpart of `with`: however one is left, what was acquired is given back. */
#include "locks.h"

#include <ipckit/semaphore.h>

struct objects {
	struct ipck_lock lock, other;
	struct ipck_rlock rlock;
	struct ipck_semaphore semaphore;
	uint32_t ready;
};

static struct objects *make_objects(void)
{
	struct objects *o = test_shared(sizeof(*o));

	ck_ok(ipck_lock_init(&o->lock));
	ck_ok(ipck_lock_init(&o->other));
	ck_ok(ipck_rlock_init(&o->rlock));
	ck_ok(ipck_semaphore_init(&o->semaphore, 1, NULL));
	return o;
}

static bool all_held(const struct objects *o)
{
	return ipck_lock_owner(&o->lock) == getpid() && ipck_rlock_depth(&o->rlock) == 1 &&
	       ipck_semaphore_value(&o->semaphore) == 0;
}

static bool all_free(const struct objects *o)
{
	return !ipck_lock_locked(&o->lock) && !ipck_lock_locked(&o->other) && !ipck_rlock_locked(&o->rlock) &&
	       ipck_semaphore_value(&o->semaphore) == 1;
}

enum way { BY_ITS_END, BY_BREAK, BY_CONTINUE, BY_GOTO, BY_RETURN, WAYS };

static int leave(struct objects *o, enum way way)
{
	int rc[3] = {-1, -1, -1}, passed = 0;

	IPCK_WITH_LOCK(&o->lock, IPCK_FOREVER, &rc[0]) {
		IPCK_WITH_RLOCK(&o->rlock, ipck_in_ms(500), &rc[1])
			IPCK_WITH_SEMAPHORE(&o->semaphore, IPCK_NOWAIT, &rc[2]) {
				ck_that(rc[0] == 0 && rc[1] == 0 && rc[2] == 0 && all_held(o));
				passed++;
				if (way == BY_BREAK)
					break;
				if (way == BY_CONTINUE)
					continue;
				if (way == BY_GOTO)
					goto out;
				if (way == BY_RETURN)
					return passed;
				passed++;
			}
		/* The inner ones are left, this one is not. */
		ck_that(ipck_lock_locked(&o->lock) && !ipck_rlock_locked(&o->rlock));
		ck_that(ipck_semaphore_value(&o->semaphore) == 1);
		passed += 10;
	}
	ck_that(all_free(o));
	passed += 100;
out:
	ck_that(all_free(o));
	return passed;
}

START_TEST(left_in_each_way)
{
	static const int expected[WAYS] = {112, 111, 111, 1, 1};
	struct objects *o = make_objects();

	for (int times = 0; times < 3; times++) {
		ck_assert_int_eq(leave(o, (enum way)_i), expected[_i]);
		ck_assert(all_free(o));
	}
}
END_TEST

START_TEST(a_statement_will_do)
{
	struct objects *o = make_objects();
	int rc = -1, passed = 0;

	IPCK_WITH_LOCK(&o->lock, IPCK_FOREVER, &rc)
		passed++;
	ck_assert_int_eq(passed, 1);
	ck_assert(all_free(o));
	/* Also where an else follows, and it takes none of its own. */
	if (rc == 0)
		IPCK_WITH_LOCK(&o->lock, IPCK_FOREVER, &rc)
			IPCK_WITH_LOCK(&o->other, IPCK_FOREVER, &rc)
				passed++;
	else
		passed = -1;
	ck_assert_int_eq(passed, 2);
	ck_assert(all_free(o));
}
END_TEST

START_TEST(what_was_not_acquired_is_not_entered)
{
	struct objects *o = make_objects();
	int rc = 0, outer;

	IPCK_WITH_LOCK(&o->lock, IPCK_FOREVER, &outer) {
		IPCK_WITH_LOCK(&o->lock, IPCK_FOREVER, &rc)
			ck_abort_msg("it was held already");
		ck_assert_int_eq(rc, -EDEADLK);
		ck_assert(ipck_lock_locked(&o->lock));
	}
	IPCK_WITH_SEMAPHORE(&o->semaphore, IPCK_FOREVER, &outer) {
		IPCK_WITH_SEMAPHORE(&o->semaphore, IPCK_NOWAIT, &rc)
			ck_abort_msg("there was none");
		ck_assert_int_eq(rc, -ETIMEDOUT);
		ck_assert_uint_eq(ipck_semaphore_value(&o->semaphore), 0);
	}
	IPCK_WITH_RLOCK(&o->rlock, IPCK_FOREVER, &outer)
		IPCK_WITH_RLOCK(&o->rlock, IPCK_FOREVER, &rc)
			ck_assert_uint_eq(ipck_rlock_depth(&o->rlock), 2);
	ck_assert_int_eq(rc, 0);
	ck_assert(all_free(o));
	ipck_lock_fini(&o->lock);
	IPCK_WITH_LOCK(&o->lock, IPCK_FOREVER, &rc)
		ck_abort_msg("it was not set up");
	ck_assert_int_eq(rc, -EINVAL);
}
END_TEST

static void die_inside(void *arg)
{
	struct objects *o = arg;
	int rc;

	IPCK_WITH_LOCK(&o->lock, IPCK_NOWAIT, &rc)
		IPCK_WITH_RLOCK(&o->rlock, IPCK_NOWAIT, &rc)
			raise(SIGKILL);
}

START_TEST(a_death_is_told_inside)
{
	struct objects *o = make_objects();
	int rc[2] = {0, 0}, passed = 0;

	(void)test_wait(test_fork(die_inside, o));
	IPCK_WITH_LOCK(&o->lock, IPCK_NOWAIT, &rc[0])
		IPCK_WITH_RLOCK(&o->rlock, IPCK_NOWAIT, &rc[1])
			passed += rc[0] + rc[1];
	ck_assert_int_eq(passed, 2 * IPCK_OWNER_DIED);
	ck_assert(all_free(o));
}
END_TEST

/* The arguments are looked at once. */
START_TEST(arguments_with_effects)
{
	struct objects *o = make_objects();
	struct ipck_lock *locks[3] = {&o->lock, &o->other, NULL};
	int rcs[2] = {-1, -1}, i = 0, k = 0;

	IPCK_WITH_LOCK(locks[i++], IPCK_NOWAIT, &rcs[k++])
		ck_assert(ipck_lock_locked(&o->lock) && !ipck_lock_locked(&o->other));
	ck_assert_int_eq(i, 1);
	ck_assert_int_eq(k, 1);
	ck_assert(all_free(o));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scope");
	TCase *tc = test_case(s, "scope");

	tcase_add_loop_test(tc, left_in_each_way, 0, WAYS);
	tcase_add_test(tc, a_statement_will_do);
	tcase_add_test(tc, what_was_not_acquired_is_not_entered);
	tcase_add_test(tc, a_death_is_told_inside);
	tcase_add_test(tc, arguments_with_effects);
	return test_main(s);
}
