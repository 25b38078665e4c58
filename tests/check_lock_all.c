/* SPDX-License-Identifier: MIT */
/* Many locks at once: all or none, in whatever order, and no death untold. */
#include "locks.h"

#include <fcntl.h>
#include <ipckit/shm.h>
#include <stdio.h>
#include <stdlib.h>

#include "sync/lock.h"

#define MOST 1024

struct all {
	struct ipck_lock lock[MOST + 1];
	uint64_t sum[MOST]; /* lock[i] protects it */
	uint32_t ready, over;
};

static struct ipck_lock *list[MOST + 1];

/* As many locks, in list[]. */
static struct all *make_all(size_t n)
{
	struct all *all = test_shared(sizeof(*all));

	for (size_t i = 0; i < n; i++) {
		ck_ok(ipck_lock_init(&all->lock[i]));
		list[i] = &all->lock[i];
	}
	return all;
}

static bool comes_before(const struct ipck_lock *a, const struct ipck_lock *b)
{
	return ((const struct lock *)a)->id < ((const struct lock *)b)->id;
}

static void are_free(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		ck_that(!ipck_lock_locked(list[i]));
		ck_that(ipck_lock_acquire(list[i], IPCK_NOWAIT) == 0);
		ck_that(ipck_lock_release(list[i]) == 0);
	}
}

/* ---- one party ---- */

START_TEST(as_many_as_there_are)
{
	static const size_t numbers[] = {1, 2, 17, MOST};

	make_all(MOST);
	for (int i = 0; i < 4; i++) {
		size_t n = numbers[i];

		ck_assert_int_eq(ipck_lock_acquire_all(list, n, IPCK_NOWAIT), 0);
		for (size_t k = 0; k < MOST; k++)
			ck_assert_int_eq(ipck_lock_owner(list[k]), k < n ? getpid() : 0);
		ck_assert_int_eq(ipck_lock_release_all(list, n), 0);
		are_free(MOST);
	}
}
END_TEST

START_TEST(none_at_all)
{
	make_all(1);
	ck_assert_int_eq(ipck_lock_acquire_all(list, 0, IPCK_FOREVER), 0);
	ck_assert_int_eq(ipck_lock_release_all(list, 0), 0);
	ck_assert_int_eq(ipck_lock_acquire_all(NULL, 0, IPCK_NOWAIT), 0);
	ck_assert_int_eq(ipck_lock_release_all(NULL, 0), 0);
}
END_TEST

START_TEST(too_many)
{
	make_all(MOST + 1);
	ck_err(ipck_lock_acquire_all(list, MOST + 1, IPCK_FOREVER), EINVAL);
	ck_err(ipck_lock_acquire_all(list, SIZE_MAX, IPCK_FOREVER), EINVAL);
	are_free(MOST + 1);
}
END_TEST

START_TEST(what_is_no_lock)
{
	struct ipck_rlock *rlock = test_shared(sizeof(*rlock));
	struct all *all = make_all(3);

	ck_ok(ipck_rlock_init(rlock));
	for (int at = 0; at < 4; at++) {
		list[3] = list[at];
		list[at] = NULL;
		ck_err(ipck_lock_acquire_all(list, 4, IPCK_FOREVER), EINVAL);
		list[at] = &all->lock[MOST];
		ck_err(ipck_lock_acquire_all(list, 4, IPCK_FOREVER), EINVAL);
		list[at] = (struct ipck_lock *)(void *)rlock;
		ck_err(ipck_lock_acquire_all(list, 4, IPCK_FOREVER), EINVAL);
		if (at < 3)
			list[at] = list[3];
		are_free(3);
	}
}
END_TEST

START_TEST(twice_or_held_already)
{
	make_all(4);
	list[4] = list[1];
	ck_err(ipck_lock_acquire_all(list, 5, IPCK_FOREVER), EDEADLK);
	are_free(4);
	for (int held = 0; held < 4; held++) {
		ck_ok(ipck_lock_acquire(list[held], IPCK_NOWAIT));
		ck_err(ipck_lock_acquire_all(list, 4, IPCK_FOREVER), EDEADLK);
		ck_err(ipck_lock_acquire_all(list, 4, IPCK_NOWAIT), EDEADLK);
		ck_assert_int_eq(ipck_lock_owner(list[held]), getpid());
		ck_ok(ipck_lock_release(list[held]));
		are_free(4);
	}
}
END_TEST

START_TEST(release_all_that_can_be)
{
	make_all(4);
	ck_ok(ipck_lock_acquire_all(list, 4, IPCK_NOWAIT));
	ck_ok(ipck_lock_release(list[1]));
	ck_err(ipck_lock_release_all(list, 4), EPERM);
	are_free(4);
	ck_ok(ipck_lock_acquire_all(list, 4, IPCK_NOWAIT));
	list[4] = NULL;
	ck_err(ipck_lock_release_all(list, 5), EINVAL);
	are_free(4);
	/* The first error of several. */
	ck_ok(ipck_lock_acquire_all(list, 3, IPCK_NOWAIT));
	ck_err(ipck_lock_release_all(list, 5), EPERM);
	are_free(4);
}
END_TEST

/* ---- one lock is with somebody else ---- */

struct hold {
	struct all *all;
	struct ipck_lock *lock;
};

static void hold_one(void *arg)
{
	const struct hold *h = arg;

	ck_that(ipck_lock_acquire(h->lock, IPCK_NOWAIT) >= 0);
	store_release(&h->all->ready, 1);
	TEST_UNTIL(load_acquire(&h->all->over));
	ck_ok(ipck_lock_release(h->lock));
}

static pid_t start_holder(struct all *all, struct ipck_lock *lock)
{
	struct hold h = {all, lock};
	pid_t pid;

	store_release(&all->over, 0);
	store_release(&all->ready, 0);
	pid = test_fork(hold_one, &h);
	TEST_UNTIL(load_acquire(&all->ready));
	ck_assert_int_eq(ipck_lock_owner(lock), pid);
	return pid;
}

static void end_holder(struct all *all, pid_t pid)
{
	store_release(&all->over, 1);
	test_join(pid);
}

START_TEST(none_if_not_all)
{
	struct all *all = make_all(4);
	struct ipck_deadline soon;
	pid_t pid;

	for (int held = 0; held < 4; held++) {
		pid = start_holder(all, list[held]);
		ck_err(ipck_lock_acquire_all(list, 4, IPCK_NOWAIT), ETIMEDOUT);
		soon = ipck_in_ms(20);
		ck_err(ipck_lock_acquire_all(list, 4, soon), ETIMEDOUT);
		ck_assert(ipck_deadline_passed(soon));
		ipck_interrupt();
		ck_err(ipck_lock_acquire_all(list, 4, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
		ipck_interrupt_clear();
		for (int i = 0; i < 4; i++)
			ck_assert_int_eq(ipck_lock_owner(list[i]), i == held ? pid : 0);
		end_holder(all, pid);
		are_free(4);
	}
}
END_TEST

/* Whoever holds it: waiting for it would not help. */
START_TEST(twice_and_held_by_somebody_else)
{
	struct all *all = make_all(2);
	pid_t pid = start_holder(all, list[0]);

	list[2] = list[0];
	ck_err(ipck_lock_acquire_all(list, 3, IPCK_NOWAIT), EDEADLK);
	ck_err(ipck_lock_acquire_all(list, 3, far_off()), EDEADLK);
	end_holder(all, pid);
	are_free(2);
}
END_TEST

static void init_one(void *arg)
{
	ck_ok(ipck_lock_init(arg));
}

/* The same one for each of them, in all other ways. */
START_TEST(made_by_two_processes)
{
	struct all *all = make_all(2);

	for (int i = 0; i < 2; i++)
		test_join(test_fork(init_one, &all->lock[i]));
	ck_assert_int_eq(ipck_lock_acquire_all(list, 2, IPCK_NOWAIT), 0);
	ck_assert_int_eq(ipck_lock_release_all(list, 2), 0);
	are_free(2);
}
END_TEST

/* It would be waited for in vain: this thread holds another of them. */
START_TEST(held_already_and_by_somebody_else)
{
	struct all *all = make_all(2);

	for (int mine = 0; mine < 2; mine++) {
		pid_t pid = start_holder(all, list[!mine]);

		ck_ok(ipck_lock_acquire(list[mine], IPCK_NOWAIT));
		ck_err(ipck_lock_acquire_all(list, 2, IPCK_NOWAIT), EDEADLK);
		ck_err(ipck_lock_acquire_all(list, 2, far_off()), EDEADLK);
		ck_ok(ipck_lock_release(list[mine]));
		end_holder(all, pid);
		are_free(2);
	}
}
END_TEST

/* ---- many parties ---- */

#define PARTIES 4
#define LOCKS 6
#define ROUNDS 1000

/* Some of the locks in some order: their number. */
static size_t choose(struct test_random *random, struct all *all, struct ipck_lock **locks, size_t *which)
{
	size_t n = 1 + test_random_below(random, LOCKS);

	for (size_t i = 0; i < LOCKS; i++)
		which[i] = i;
	for (size_t i = 0; i < n; i++) {
		size_t other = i + test_random_below(random, LOCKS - i), index = which[other];

		which[other] = which[i];
		which[i] = index;
		locks[i] = &all->lock[index];
	}
	return n;
}

static void add_to_some(unsigned i, void *arg)
{
	struct test_random random = test_random(i);
	struct ipck_lock *locks[LOCKS];
	size_t which[LOCKS], n;
	struct all *all = arg;

	for (int round = 0; round < ROUNDS; round++) {
		n = choose(&random, all, locks, which);
		ck_that(ipck_lock_acquire_all(locks, n, far_off()) == 0);
		for (size_t k = 0; k < n; k++) {
			ck_that(all->sum[which[k]] % 2 == 0);
			all->sum[which[k]]++;
		}
		for (size_t k = 0; k < n; k++)
			all->sum[which[k]]++;
		add_acq_rel(&all->ready, (uint32_t)n);
		ck_that(ipck_lock_release_all(locks, n) == 0);
	}
}

/* Some see the locks elsewhere, in memory and so in the order of addresses. */
static void add_from_elsewhere(unsigned i, void *arg)
{
	add_to_some(i, i % 2 ? map_again(arg, sizeof(struct all)) : arg);
}

START_TEST(in_any_order)
{
	struct all *all = make_all(LOCKS);
	uint64_t sum = 0;

	run_parties(_i, PARTIES, _i ? add_from_elsewhere : add_to_some, all);
	for (int i = 0; i < LOCKS; i++)
		sum += all->sum[i];
	ck_assert_uint_eq(sum, 2 * (uint64_t)all->ready);
	are_free(LOCKS);
}
END_TEST

/* Two who name the same locks in opposite orders. */
static void both_ways(unsigned i, void *arg)
{
	struct all *all = arg;
	struct ipck_lock *locks[2] = {&all->lock[i % 2], &all->lock[1 - i % 2]};

	for (int round = 0; round < 2 * ROUNDS; round++) {
		ck_that(ipck_lock_acquire_all(locks, 2, far_off()) == 0);
		all->sum[0]++;
		all->sum[1]++;
		ck_that(ipck_lock_release_all(locks, 2) == 0);
	}
}

START_TEST(in_opposite_orders)
{
	struct all *all = make_all(2);

	run_parties(_i, PARTIES, both_ways, all);
	ck_assert_uint_eq(all->sum[0], (uint64_t)2 * ROUNDS * PARTIES);
	ck_assert_uint_eq(all->sum[1], all->sum[0]);
	are_free(2);
}
END_TEST

/* ---- deaths ---- */

static void hold_all(void *arg)
{
	struct all *all = arg;

	ck_that(ipck_lock_acquire_all(list, MOST, IPCK_NOWAIT) == 0);
	store_release(&all->ready, 1);
	for (;;)
		pause();
}

START_TEST(the_death_of_who_held_all)
{
	struct all *all = make_all(MOST);
	pid_t pid;

	for (int round = 0; round < 2; round++) {
		store_release(&all->ready, 0);
		pid = test_fork(hold_all, all);
		TEST_UNTIL(load_acquire(&all->ready));
		ck_err(ipck_lock_acquire_all(list, MOST, IPCK_NOWAIT), ETIMEDOUT);
		test_kill(pid);
		if (round == 0) {
			ck_assert_int_eq(ipck_lock_acquire_all(list, MOST, IPCK_NOWAIT), IPCK_OWNER_DIED);
			ck_ok(ipck_lock_release_all(list, MOST));
		}
		for (int i = 0; i < MOST; i++) {
			ck_that(ipck_lock_acquire(list[i], IPCK_NOWAIT) == (round == 0 ? 0 : IPCK_OWNER_DIED));
			ck_that(ipck_lock_release(list[i]) == 0);
		}
	}
	are_free(MOST);
}
END_TEST

/* One of two has a dead holder, the other is held; which of them comes first is looked at both times. */
static pid_t one_dead_one_held(struct all *all, bool dead_first, struct ipck_lock **dead)
{
	bool in_order = comes_before(list[0], list[1]);
	struct ipck_lock *other = list[in_order == dead_first];

	*dead = list[in_order != dead_first];
	test_kill(start_holder(all, *dead));
	return start_holder(all, other);
}

START_TEST(a_death_is_not_lost_by_a_failure)
{
	struct all *all = make_all(2);
	struct ipck_lock *dead;
	pid_t pid = one_dead_one_held(all, _i, &dead);

	ck_err(ipck_lock_acquire_all(list, 2, IPCK_NOWAIT), ETIMEDOUT);
	ck_err(ipck_lock_acquire_all(list, 2, ipck_in_ms(5)), ETIMEDOUT);
	ck_assert_int_eq(ipck_lock_acquire(dead, IPCK_NOWAIT), IPCK_OWNER_DIED);
	ck_ok(ipck_lock_release(dead));
	end_holder(all, pid);
	are_free(2);
}
END_TEST

START_TEST(nor_by_a_failure_and_one_that_succeeds)
{
	struct all *all = make_all(2);
	struct ipck_lock *dead;
	pid_t pid = one_dead_one_held(all, _i, &dead);

	ck_err(ipck_lock_acquire_all(list, 2, IPCK_NOWAIT), ETIMEDOUT);
	end_holder(all, pid);
	ck_assert_int_eq(ipck_lock_acquire_all(list, 2, IPCK_NOWAIT), IPCK_OWNER_DIED);
	ck_ok(ipck_lock_release_all(list, 2));
	ck_assert_int_eq(ipck_lock_acquire_all(list, 2, IPCK_NOWAIT), 0);
	ck_ok(ipck_lock_release_all(list, 2));
	are_free(2);
}
END_TEST

START_TEST(untold_to_one_that_died_too)
{
	struct all *all = make_all(2);
	struct ipck_lock *dead;
	pid_t pid = one_dead_one_held(all, _i, &dead);

	ck_err(ipck_lock_acquire_all(list, 2, IPCK_NOWAIT), ETIMEDOUT);
	end_holder(all, pid);
	test_kill(start_holder(all, dead));
	ck_assert_int_eq(ipck_lock_acquire(dead, IPCK_NOWAIT), IPCK_OWNER_DIED);
	ck_ok(ipck_lock_release(dead));
	are_free(2);
}
END_TEST

static void acquire_both_and_tell(void *arg)
{
	struct all *all = arg;
	int rc;

	store_release(&all->ready, 2);
	rc = ipck_lock_acquire_all(list, 2, far_off());
	ck_that(rc == IPCK_OWNER_DIED);
	ck_ok(ipck_lock_release_all(list, 2));
}

START_TEST(who_waits_goes_on)
{
	struct all *all = make_all(2);
	pid_t holder = start_holder(all, list[_i]), waiter = test_fork(acquire_both_and_tell, all);

	TEST_UNTIL(load_acquire(&all->ready) == 2 && test_state(waiter) == 'S');
	test_kill(holder);
	test_join(waiter);
	are_free(2);
}
END_TEST

static void unmap_it_held(void *arg)
{
	ck_that(ipck_lock_acquire(list[0], IPCK_NOWAIT) == 0);
	ck_that(munmap(arg, sizeof(struct all)) == 0);
}

START_TEST(a_stranded_one)
{
	struct all *all = make_all(4);

	test_join(test_fork(unmap_it_held, all));
	ck_err(ipck_lock_acquire_all(list, 4, far_off()), ENOTRECOVERABLE);
	list[0] = list[3];
	are_free(3);
}
END_TEST

/* ---- the same process, as another program: this one, run again with a descriptor ---- */

static int init_second(const char *fd)
{
	struct ipck_shm *shm;
	struct ipck_lock *pair;
	int rc;

	if (ipck_shm_open_fd(&shm, atoi(fd), NULL) < 0)
		return 2;
	pair = ipck_shm_data(shm);
	rc = ipck_lock_init(&pair[1]);
	ipck_shm_close(shm);
	return rc < 0;
}

static void init_first_and_execute(void *arg)
{
	struct ipck_lock *pair = ipck_shm_data(arg);
	char fd[16];

	ck_that(ipck_lock_init(&pair[0]) == 0);
	ck_that(fcntl(ipck_shm_fd(arg), F_SETFD, 0) == 0);
	snprintf(fd, sizeof(fd), "%d", ipck_shm_fd(arg));
	execl("/proc/self/exe", "again", fd, NULL);
	ck_that(!"executed");
}

/* Their ids are different, though pid, start and how many were made before are the same. */
START_TEST(of_one_process_that_was_two_programs)
{
	struct ipck_shm *shm;
	struct ipck_lock *pair;

	ck_ok(ipck_shm_create(&shm, NULL, 2 * sizeof(*pair), NULL));
	pair = ipck_shm_data(shm);
	test_join(test_fork(init_first_and_execute, shm));
	list[0] = &pair[0];
	list[1] = &pair[1];
	ck_ok(ipck_lock_acquire_all(list, 2, far_off()));
	ck_ok(ipck_lock_release_all(list, 2));
	ipck_shm_close(shm);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *s;
	TCase *tc;

	if (argc == 2 && strcmp(argv[0], "again") == 0)
		return init_second(argv[1]);
	s = suite_create("lock_all");
	tc = test_case(s, "one");

	tcase_add_test(tc, as_many_as_there_are);
	tcase_add_test(tc, none_at_all);
	tcase_add_test(tc, too_many);
	tcase_add_test(tc, what_is_no_lock);
	tcase_add_test(tc, twice_or_held_already);
	tcase_add_test(tc, release_all_that_can_be);
	tc = test_case(s, "many");
	tcase_add_test(tc, none_if_not_all);
	tcase_add_test(tc, twice_and_held_by_somebody_else);
	tcase_add_test(tc, made_by_two_processes);
	tcase_add_test(tc, held_already_and_by_somebody_else);
	tcase_add_loop_test(tc, in_opposite_orders, 0, 2);
	tc = test_case(s, "deaths");
	tcase_add_test(tc, the_death_of_who_held_all);
	tcase_add_loop_test(tc, a_death_is_not_lost_by_a_failure, 0, 2);
	tcase_add_loop_test(tc, nor_by_a_failure_and_one_that_succeeds, 0, 2);
	tcase_add_loop_test(tc, untold_to_one_that_died_too, 0, 2);
	tcase_add_loop_test(tc, who_waits_goes_on, 0, 2);
	tcase_add_test(tc, a_stranded_one);
	/* valgrind refuses a second mapping of the same memory. */
	tc = test_case(s, "two mappings");
	tcase_set_tags(tc, "not_valgrind");
	tcase_add_loop_test(tc, in_any_order, 0, 2);
	/* /proc/self/exe is valgrind itself there. */
	tc = test_case(s, "two programs");
	tcase_set_tags(tc, "not_valgrind");
	tcase_add_test(tc, of_one_process_that_was_two_programs);
	return test_main(s);
}
