/* SPDX-License-Identifier: MIT */
/* ipc-counter: what becomes of a number that two processes change, with a lock and without. */
#include <ipckit.h>

#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>

#include "common.h"
#include "party.h"
#include "shared.h"

#define MAX_STEPS 1000000000

static long steps = 1000000; /* --steps of the modes race and coarse */

/* ---- race, coarse ---- */

struct tally {
	struct ipck_lock lock;
	struct ipck_barrier start;
	_Atomic long number; /* so that each step is one of the machine; a look and a change are still two */
};

struct adder {
	struct tally *tally;
	int (*add)(struct tally *tally, long by);
	long by;
};

static void add_once(struct tally *tally, long by)
{
	long seen = atomic_load_explicit(&tally->number, memory_order_relaxed);

	atomic_store_explicit(&tally->number, seen + by, memory_order_relaxed);
}

/*
 * Gives way now and then, between look and change and also after a change: else each
 * could do all its steps in one go where there is one CPU.
 */
static int add_unlocked(struct tally *tally, long by)
{
	for (long i = 0; i < steps; i++) {
		long seen = atomic_load_explicit(&tally->number, memory_order_relaxed);

		if (i % 1024 == 0)
			sched_yield();
		atomic_store_explicit(&tally->number, seen + by, memory_order_relaxed);
		if (i % 1536 == 0)
			sched_yield();
	}
	return 0;
}

static int add_locked(struct tally *tally, long by)
{
	int rc = 0;

	for (long i = 0; i < steps && rc == 0; i++)
		IPCK_WITH_LOCK(&tally->lock, IPCK_FOREVER, &rc)
			add_once(tally, by);
	return rc;
}

static int add_in_one_go(struct tally *tally, long by)
{
	int rc;

	IPCK_WITH_LOCK(&tally->lock, IPCK_FOREVER, &rc)
		for (long i = 0; i < steps; i++)
			add_once(tally, by);
	return rc;
}

/* Both begin at the same time. */
static int add(void *arg)
{
	const struct adder *adder = arg;
	int rc = ipck_barrier_wait(&adder->tally->start, NULL, IPCK_FOREVER);

	return shared_check("number", rc < 0 ? rc : adder->add(adder->tally, adder->by));
}

static int init_tally(struct tally *tally)
{
	int rc = ipck_lock_init(&tally->lock);

	if (rc == 0)
		rc = ipck_barrier_init(&tally->start, 2, NULL);
	return shared_check("number", rc);
}

/* One adds, one subtracts, in that way. */
static int run_pair(struct tally *tally, int (*way)(struct tally *tally, long by), const struct tool_args *args)
{
	struct adder adder[2] = {{tally, way, 1}, {tally, way, -1}};
	struct party party[2] = {{.fn = add, .arg = &adder[0]}, {.fn = add, .arg = &adder[1]}};

	tally->number = 0;
	return parties_run_together(party, 2, args->threads);
}

static int run_race(void *shared, const struct tool_args *args)
{
	struct tally *tally = shared;
	int status = init_tally(tally);

	if (status == 0)
		status = run_pair(tally, add_locked, args);
	if (status != 0)
		return status;
	tool_print("result under the lock: %ld\n", tally->number);
	status = run_pair(tally, add_unlocked, args);
	if (status == 0)
		tool_print("result without a lock: %ld\n", tally->number);
	return status;
}

static int race(const struct tool_args *args)
{
	return shared_run(sizeof(struct tally), run_race, args);
}

/* Runs the pair and prints how long that took; what is not 0 then was lost. */
static int time_pair(struct tally *tally, const char *when, int (*way)(struct tally *tally, long by),
                     const struct tool_args *args)
{
	double start = tool_seconds();
	int status = run_pair(tally, way, args);

	if (status != 0)
		return status;
	if (tally->number != 0)
		return tool_error("lock taken %s: the result is %ld, not 0", when, tally->number);
	tool_print("lock taken %s: %.6f s\n", when, tool_seconds() - start);
	return 0;
}

static int run_coarse(void *shared, const struct tool_args *args)
{
	int status = init_tally(shared);

	if (status == 0)
		status = time_pair(shared, "at each step", add_locked, args);
	if (status == 0)
		status = time_pair(shared, "around the loop", add_in_one_go, args);
	return status;
}

static int coarse(const struct tool_args *args)
{
	return shared_run(sizeof(struct tally), run_coarse, args);
}

/* ---- account ---- */

#define BALANCE 1000
#define AMOUNT 800

struct account {
	struct ipck_lock lock;
	struct ipck_barrier looked;
	struct ipck_counter balance; /* no change of it is lost; what was seen before may be over */
};

struct customer {
	struct account *account;
	long pause_ms;
};

/* Looks, pauses, changes.  `between` is what happens before the pause: 0, or a negative error. */
static int draw(const struct customer *customer, int (*between)(struct account *account))
{
	struct ipck_counter *balance = &customer->account->balance;
	int64_t seen = ipck_counter_get(balance);
	int rc = 0;

	if (seen < AMOUNT) {
		tool_print("%s is refused %d, balance: %" PRId64 "\n", party_name(), AMOUNT, seen);
		return 0;
	}
	if (between)
		rc = between(customer->account);
	if (rc < 0)
		return rc;
	tool_pause(customer->pause_ms);
	seen = ipck_counter_add(balance, -AMOUNT) - AMOUNT;
	tool_print("%s draws %d, balance: %" PRId64 "\n", party_name(), AMOUNT, seen);
	return 0;
}

/* So that what goes wrong at times goes wrong each time. */
static int until_both_looked(struct account *account)
{
	return ipck_barrier_wait(&account->looked, NULL, IPCK_FOREVER);
}

static int draw_unlocked(void *arg)
{
	return shared_check("account", draw(arg, until_both_looked));
}

static int draw_locked(void *arg)
{
	const struct customer *customer = arg;
	int rc, drawn = 0;

	IPCK_WITH_LOCK(&customer->account->lock, IPCK_FOREVER, &rc)
		drawn = draw(customer, NULL);
	return shared_check("account", rc != 0 ? rc : drawn);
}

static int run_customers(struct account *account, int (*fn)(void *arg), const struct tool_args *args)
{
	struct customer customer = {account, args->pause_ms};
	struct party party[2] = {{.fn = fn, .arg = &customer}, {.fn = fn, .arg = &customer}};

	ipck_counter_set(&account->balance, BALANCE);
	return parties_run_together(party, 2, args->threads);
}

static int init_account(struct account *account)
{
	int rc = ipck_lock_init(&account->lock);

	if (rc == 0)
		rc = ipck_barrier_init(&account->looked, 2, NULL);
	if (rc == 0)
		rc = ipck_counter_init(&account->balance, BALANCE);
	return shared_check("account", rc);
}

static int run_account(void *shared, const struct tool_args *args)
{
	struct account *account = shared;
	int status = init_account(account);

	if (status == 0)
		status = run_customers(account, draw_unlocked, args);
	if (status != 0)
		return status;
	tool_print("balance without a lock: %" PRId64 "\n", ipck_counter_get(&account->balance));
	status = run_customers(account, draw_locked, args);
	if (status == 0)
		tool_print("balance under the lock: %" PRId64 "\n", ipck_counter_get(&account->balance));
	return status;
}

static int account_mode(const struct tool_args *args)
{
	return shared_run(sizeof(struct account), run_account, args);
}

static const struct tool_mode modes[] = {
	{"race", "one adds, one subtracts: under a lock, and without", race, TOOL_THREADS | TOOL_OWN(0), 0, NULL},
	{"coarse", "the same with the lock at each step, and once around all", coarse, TOOL_THREADS | TOOL_OWN(0), 0,
	 NULL},
	{"account", "two draw 800 of 1000: without a lock, and under one", account_mode, TOOL_THREADS | TOOL_PAUSE, 100,
	 NULL},
	{0},
};

static const struct tool_option options[] = {
	{0, "steps", "N", "so many adds, and as many subtracts, instead of a million", 0, MAX_STEPS, &steps, NULL},
	{0},
};

static const struct tool tool = {"ipc-counter", "Changes a number from two processes at once.", modes, options};

int main(int argc, char **argv)
{
	return tool_main(&tool, argc, argv);
}
