/* SPDX-License-Identifier: MIT */
#include "soak_sync.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

struct shared *shared;

static struct ipck_deadline soon(struct test_random *random)
{
	return ipck_in_ns((int64_t)test_random_below(random, 500000));
}

static bool stopped(void)
{
	return load_seq(&shared->stop) != 0;
}

static void count_round(const struct slot *slot)
{
	add_seq(&shared->rounds[slot->number], 1);
}

/* ---- locks ---- */

static uint64_t sum_of(const struct guarded *g)
{
	uint64_t sum = 1;

	for (int i = 0; i < WORDS; i++)
		sum = sum * UINT64_C(0x100000001b3) + g->words[i];
	return sum;
}

static void enter(struct guarded *g, bool died)
{
	if (load_relaxed(&g->owner) != 0 || g->sum != sum_of(g)) {
		ck_that(died);
		g->sum = sum_of(g);
	}
	store_relaxed(&g->owner, (uint32_t)getpid());
}

static void change_and_leave(struct guarded *g, struct test_random *random)
{
	for (int i = 0; i < WORDS; i++) {
		store_relaxed(&g->words[i], test_random_next(random));
		if (test_random_below(random, 64) == 0)
			sched_yield();
	}
	if (test_random_below(random, 256) == 0)
		usleep((useconds_t)test_random_below(random, 1000));
	store_relaxed(&g->sum, sum_of(g));
	ck_that(load_relaxed(&g->owner) == (uint32_t)getpid());
	store_relaxed(&g->owner, 0);
}

static void use_locks(struct test_random *random)
{
	bool in_haste = test_random_below(random, 3) == 0;
	struct ipck_deadline deadline = in_haste ? soon(random) : far_off();
	uint64_t first = test_random_below(random, LOCKS), n = 1 + test_random_below(random, LOCKS);
	struct ipck_lock *locks[LOCKS];
	struct guarded *g[LOCKS];
	int rc;

	for (uint64_t i = 0; i < n; i++) {
		g[i] = &shared->guarded[(first + i) % LOCKS];
		locks[i] = &g[i]->lock;
	}
	rc = n == 1 ? ipck_lock_acquire(locks[0], deadline) : ipck_lock_acquire_all(locks, n, deadline);
	if (rc == -ETIMEDOUT && in_haste)
		return;
	ck_ok(rc);
	for (uint64_t i = 0; i < n; i++)
		enter(g[i], rc & IPCK_OWNER_DIED);
	for (uint64_t i = 0; i < n; i++)
		change_and_leave(g[i], random);
	if (n == 1)
		ck_ok(ipck_lock_release(locks[0]));
	else
		ck_ok(ipck_lock_release_all(locks, n));
}

static void use_rlock(struct test_random *random)
{
	uint64_t depth = 1 + test_random_below(random, 3);
	int rc = ck_ok(ipck_rlock_acquire(&shared->rlock, far_off()));

	ck_that(shared->rlock_owner == 0 || (rc & IPCK_OWNER_DIED));
	store_relaxed(&shared->rlock_owner, (uint32_t)getpid());
	for (uint64_t i = 1; i < depth; i++)
		ck_ok(ipck_rlock_acquire(&shared->rlock, IPCK_NOWAIT));
	ck_that(ipck_rlock_depth(&shared->rlock) == depth);
	ck_that(load_relaxed(&shared->rlock_owner) == (uint32_t)getpid());
	store_relaxed(&shared->rlock_owner, 0);
	while (depth-- > 0)
		ck_ok(ipck_rlock_release(&shared->rlock));
}

static void lock_job(const struct slot *slot, struct test_random *random)
{
	while (!stopped()) {
		if (test_random_below(random, 4) == 0)
			use_rlock(random);
		else
			use_locks(random);
		count_round(slot);
	}
}

/* ---- conditions ---- */

/* Who died may have changed the store, and told nobody. */
static void notice(int rc)
{
	ck_ok(rc);
	if ((rc & IPCK_OWNER_DIED) == 0)
		return;
	ck_ok(ipck_condition_notify_all(&shared->filled));
	ck_ok(ipck_condition_notify_all(&shared->emptied));
}

/* Waits, with the store locked, until there are not that many items.  False: it has stopped. */
static bool await_items(struct ipck_condition *condition, uint64_t unless, struct test_random *random)
{
	while (shared->made - shared->taken == unless && !stopped()) {
		bool in_haste = test_random_below(random, 16) == 0;
		int rc = ipck_condition_wait(condition, in_haste ? soon(random) : far_off());

		ck_that(in_haste || rc < 0 || (rc & IPCK_TIMED_OUT) == 0);
		notice(rc);
	}
	return !stopped();
}

static void produce_job(const struct slot *slot, struct test_random *random)
{
	while (!stopped()) {
		notice(ipck_condition_acquire(&shared->filled, far_off()));
		if (await_items(&shared->emptied, STORE, random)) {
			store_relaxed(&shared->made, shared->made + 1);
			ck_ok(ipck_condition_notify(&shared->filled, 1));
			count_round(slot);
		}
		ck_ok(ipck_condition_release(&shared->filled));
	}
}

static void consume_job(const struct slot *slot, struct test_random *random)
{
	while (!stopped()) {
		notice(ipck_condition_acquire(&shared->emptied, far_off()));
		if (await_items(&shared->filled, 0, random)) {
			store_relaxed(&shared->taken, shared->taken + 1);
			ck_ok(ipck_condition_notify(&shared->emptied, 1));
			count_round(slot);
		}
		ck_that(shared->made - shared->taken <= STORE);
		ck_ok(ipck_condition_release(&shared->emptied));
	}
}

/* ---- events ---- */

/* A new one first sets its own, and the last one leaves it set: the other goes on, whatever the dead one had done. */
static void call_job(const struct slot *slot, struct test_random *random)
{
	(void)random;
	while (!stopped()) {
		ck_ok(ipck_event_set(&shared->go));
		ck_ok(ipck_event_wait(&shared->back, far_off()));
		ck_ok(ipck_event_clear(&shared->back));
		count_round(slot);
	}
	ck_ok(ipck_event_set(&shared->go));
}

static void answer_job(const struct slot *slot, struct test_random *random)
{
	(void)random;
	while (!stopped()) {
		ck_ok(ipck_event_set(&shared->back));
		ck_ok(ipck_event_wait(&shared->go, far_off()));
		ck_ok(ipck_event_clear(&shared->go));
		count_round(slot);
	}
	ck_ok(ipck_event_set(&shared->back));
}

/* ---- barriers ---- */

static bool pass_barrier(struct test_random *random)
{
	bool in_haste = test_random_below(random, 64) == 0;
	uint32_t index = PARTIES;
	int rc;

	add_seq(&shared->arrivals, 1);
	rc = ipck_barrier_wait(&shared->barrier, &index, in_haste ? soon(random) : far_off());
	if (rc >= 0) {
		ck_that(index < PARTIES && (rc == IPCK_ELECTED) == (index == PARTIES - 1));
		if (rc == IPCK_ELECTED)
			add_seq(&shared->cycles, 1);
		return true;
	}
	ck_that(rc == -EOWNERDEAD || rc == -ECANCELED || (rc == -ETIMEDOUT && in_haste));
	/* Or they would cancel each other's waits for long. */
	if (ipck_barrier_broken(&shared->barrier))
		ck_ok(ipck_barrier_reset(&shared->barrier));
	return false;
}

static void barrier_job(const struct slot *slot, struct test_random *random)
{
	while (!stopped()) {
		if (pass_barrier(random))
			count_round(slot);
	}
	ck_ok(ipck_barrier_abort(&shared->barrier));
}

/* ---- permits ---- */

static bool is_alive(uint32_t number)
{
	char state = test_state(load_acquire(&shared->pid[number]));

	return state != 0 && state != 'Z' && state != 'X';
}

/* How many use one; of the living only, if they are asked. */
static uint32_t count_users(const uint64_t *use, bool living)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < SLOTS_MAX; i++)
		n += use[i] % 2 == 1 && (!living || is_alive(i));
	return n;
}

static void read_use(uint64_t *use)
{
	for (int i = 0; i < SLOTS_MAX; i++)
		use[i] = load_seq(&shared->use[i]);
}

/* What is read three times alike was so at one time, and is so of the same processes. */
static void check_users(void)
{
	uint64_t first[SLOTS_MAX], again[SLOTS_MAX];
	uint32_t living;

	read_use(first);
	if (count_users(first, false) <= PERMITS)
		return;
	read_use(again);
	if (memcmp(first, again, sizeof(first)) != 0)
		return;
	living = count_users(first, true);
	read_use(again);
	ck_that(living <= PERMITS || memcmp(first, again, sizeof(first)) != 0);
}

/* With a permit; long enough now and then that others look whether its owner is dead. */
static void use_permit(const struct slot *slot, struct test_random *random)
{
	add_seq(&shared->use[slot->number], 1);
	check_users();
	if (test_random_below(random, 16) == 0)
		sched_yield();
	if (test_random_below(random, 64) == 0)
		usleep((useconds_t)test_random_below(random, 30000));
	add_seq(&shared->use[slot->number], 1);
	/* It has this one only. */
	ck_err(ipck_semaphore_release(&shared->permits, 2), EPERM);
	ck_ok(ipck_semaphore_release(&shared->permits, 1));
}

static void permit_job(const struct slot *slot, struct test_random *random)
{
	while (!stopped()) {
		bool in_haste = test_random_below(random, 8) == 0;
		int rc = ipck_semaphore_acquire(&shared->permits, in_haste ? soon(random) : far_off());

		ck_that(rc >= 0 || (rc == -ETIMEDOUT && in_haste));
		if (rc >= 0)
			use_permit(slot, random);
		else
			ck_err(ipck_semaphore_release(&shared->permits, 1), EPERM);
		count_round(slot);
	}
}

/* ---- counters ---- */

int64_t add_logged(uint32_t number, int64_t n)
{
	struct added *a = &shared->added[number];
	int64_t was;

	add_seq(&a->before, (uint64_t)n);
	was = ipck_counter_add(&shared->counter, n);
	ipck_striped_counter_add(&shared->striped, n);
	add_seq(&a->after, (uint64_t)n);
	return was;
}

static void add_job(const struct slot *slot, struct test_random *random)
{
	int64_t least = 0;

	while (!stopped()) {
		int64_t n = (int64_t)test_random_below(random, 100);
		int64_t was = add_logged(slot->number, n);

		ck_that(was >= least);
		least = was + n;
		if (test_random_below(random, 16) == 0)
			usleep((useconds_t)test_random_below(random, 500));
		count_round(slot);
	}
}

static void await_job(const struct slot *slot, struct test_random *random)
{
	while (!stopped()) {
		int64_t more = ipck_counter_get(&shared->counter) + (int64_t)test_random_below(random, 1000), seen;

		ck_ok(ipck_counter_wait(&shared->counter, IPCK_GE, more, &seen, far_off()));
		ck_that(seen >= more);
		count_round(slot);
	}
}

/* ---- all of them ---- */

const struct job jobs[JOBS] = {
	{"lock", 3, lock_job},
	{"produce", 2, produce_job},
	{"consume", 2, consume_job},
	{"call", 1, call_job},
	{"answer", 1, answer_job},
	{"barrier", PARTIES, barrier_job},
	{"permit", 2 * PERMITS, permit_job},
	{"add", 2, add_job},
	{"await", 1, await_job},
};

void init_objects(void)
{
	for (int i = 0; i < LOCKS; i++) {
		ck_ok(ipck_lock_init(&shared->guarded[i].lock));
		shared->guarded[i].sum = sum_of(&shared->guarded[i]);
	}
	ck_ok(ipck_rlock_init(&shared->rlock));
	ck_ok(ipck_lock_init(&shared->store_lock));
	ck_ok(ipck_condition_init(&shared->filled, IPCK_CONDITION_OPTS(.lock = &shared->store_lock)));
	ck_ok(ipck_condition_init(&shared->emptied, IPCK_CONDITION_OPTS(.lock = &shared->store_lock)));
	ck_ok(ipck_event_init(&shared->go));
	ck_ok(ipck_event_init(&shared->back));
	ck_ok(ipck_barrier_init(&shared->barrier, PARTIES, NULL));
	ck_ok(ipck_semaphore_init(&shared->permits, PERMITS, IPCK_SEMAPHORE_OPTS(.recorded = true)));
	ck_ok(ipck_counter_init(&shared->counter, 0));
	ck_ok(ipck_striped_counter_init(&shared->striped, 0));
}
