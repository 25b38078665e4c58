/* SPDX-License-Identifier: MIT */
/*
 * Processes use locks, permits, conditions, events, barriers and counters, and are killed
 * at random, each replaced by another: those that are left always go on, no two have what
 * one may have, no notification, permit or sum is lost.
 */
#include "soak_sync.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/spin.h"

#define KILLS_BETWEEN_LOOKS 64

static struct slot slots[SLOTS_MAX];
static uint32_t n_slots;

static void run(void *arg)
{
	const struct slot *slot = arg;
	struct test_random random = test_random(slot->life << 8 | slot->number);

	store_release(&shared->pid[slot->number], getpid());
	/* Every other one sleeps, where it would spin. */
	if (slot->life % 2 == 0)
		spin_forbid();
	slot->job->run(slot, &random);
}

static void start(struct slot *slot)
{
	slot->life++;
	slot->pid = test_fork(run, slot);
}

static void start_all(void)
{
	for (uint32_t j = 0; j < JOBS; j++)
		for (uint32_t i = 0; i < jobs[j].processes; i++) {
			ck_that(n_slots < SLOTS_MAX);
			slots[n_slots] = (struct slot){.job = &jobs[j], .number = n_slots};
			start(&slots[n_slots++]);
		}
}

static void kill_one(struct test_random *random)
{
	struct slot *slot = &slots[test_random_below(random, n_slots)];
	uint64_t *use = &shared->use[slot->number];

	test_kill(slot->pid);
	store_seq(use, (load_seq(use) + 1) & ~UINT64_C(1));
	start(slot);
}

static uint64_t rounds_of(const struct job *job)
{
	uint64_t rounds = 0;

	for (uint32_t i = 0; i < n_slots; i++)
		rounds += slots[i].job == job ? load_seq(&shared->rounds[i]) : 0;
	return rounds;
}

/* With nobody killed meanwhile, each process goes on by so many rounds. */
static void all_go_on(uint64_t rounds)
{
	uint64_t before[SLOTS_MAX];

	for (uint32_t i = 0; i < n_slots; i++)
		before[i] = load_seq(&shared->rounds[i]);
	for (uint32_t i = 0; i < n_slots; i++)
		TEST_UNTIL(load_seq(&shared->rounds[i]) >= before[i] + rounds);
}

/* Who waits for others is told; the rest stops by itself, or by those who stop. */
static void stop_all(void)
{
	store_seq(&shared->stop, 1);
	ck_ok(ipck_condition_acquire(&shared->filled, far_off()));
	ck_ok(ipck_condition_notify_all(&shared->filled));
	ck_ok(ipck_condition_notify_all(&shared->emptied));
	ck_ok(ipck_condition_release(&shared->filled));
	add_logged(SLOTS_MAX, 1000);
	for (uint32_t i = 0; i < n_slots; i++)
		test_join(slots[i].pid);
}

static void check_sums(void)
{
	int64_t least = 0, most = 0;

	for (int i = 0; i <= SLOTS_MAX; i++) {
		least += (int64_t)shared->added[i].after;
		most += (int64_t)shared->added[i].before;
	}
	ck_assert_int_ge(ipck_counter_get(&shared->counter), least);
	ck_assert_int_le(ipck_counter_get(&shared->counter), most);
	ck_assert_int_ge(ipck_striped_counter_get(&shared->striped), least);
	ck_assert_int_le(ipck_striped_counter_get(&shared->striped), most);
}

static void check_all(void)
{
	for (int i = 0; i < PERMITS; i++)
		ck_ok(ipck_semaphore_acquire(&shared->permits, far_off()));
	ck_err(ipck_semaphore_acquire(&shared->permits, IPCK_NOWAIT), ETIMEDOUT);
	ck_assert_uint_le(PARTIES * shared->cycles, shared->arrivals);
	check_sums();
	for (uint32_t j = 0; j < JOBS; j++)
		printf("%s %llu, ", jobs[j].name, (unsigned long long)rounds_of(&jobs[j]));
}

START_TEST(test_soak)
{
	int64_t end = test_now_ms() + (int64_t)(1000 * test_soak_seconds());
	struct test_random random = test_random(0);
	uint64_t kills = 0;

	shared = test_shared(sizeof(*shared));
	init_objects();
	start_all();
	while (test_now_ms() < end) {
		usleep((useconds_t)test_random_below(&random, 4000));
		kill_one(&random);
		if (++kills % KILLS_BETWEEN_LOOKS == 0)
			all_go_on(1);
	}
	all_go_on(20);
	stop_all();
	check_all();
	printf("rounds; %llu killed\n", (unsigned long long)kills);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("soak_sync");
	TCase *tc = test_case(s, "soak");

	test_set_limit(tc, 60 + test_soak_seconds());
	tcase_add_test(tc, test_soak);
	return test_main(s);
}
