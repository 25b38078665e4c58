/* SPDX-License-Identifier: MIT */
/* Locks, semaphores and counters: alone, with another one, and with many. */
#include "bench.h"

#include <errno.h>
#include <ipckit.h>

#include "team.h"

/* ---- ipckit ---- */

#define LOCK ((struct ipck_lock *)stage->object)
#define RLOCK ((struct ipck_rlock *)stage->object)
#define SEMAPHORE ((struct ipck_semaphore *)stage->object)
#define COUNTER ((struct ipck_counter *)stage->object)
#define STRIPED ((struct ipck_striped_counter *)stage->object)

static int lock_set_up(int members)
{
	(void)members;
	return ipck_lock_init(LOCK);
}

WORK(lock_work, {
	rc = ipck_lock_acquire(LOCK, IPCK_FOREVER);
	stage->value++;
	ipck_lock_release(LOCK);
})

static int rlock_set_up(int members)
{
	(void)members;
	return ipck_rlock_init(RLOCK);
}

WORK(rlock_work, {
	rc = ipck_rlock_acquire(RLOCK, IPCK_FOREVER);
	if (rc >= 0)
		rc = ipck_rlock_acquire(RLOCK, IPCK_FOREVER);
	stage->value++;
	ipck_rlock_release(RLOCK);
	ipck_rlock_release(RLOCK);
})

static int semaphore_set_up(int members)
{
	(void)members;
	return ipck_semaphore_init(SEMAPHORE, 1, NULL);
}

static int recorded_set_up(int members)
{
	(void)members;
	return ipck_semaphore_init(SEMAPHORE, 1, IPCK_SEMAPHORE_OPTS(.recorded = true));
}

WORK(semaphore_work, {
	rc = ipck_semaphore_acquire(SEMAPHORE, IPCK_FOREVER);
	stage->value++;
	ipck_semaphore_release(SEMAPHORE, 1);
})

static int counter_set_up(int members)
{
	(void)members;
	return ipck_counter_init(COUNTER, 0);
}

WORK(counter_work, { ipck_counter_add(COUNTER, 1); })

static uint64_t counter_total(void)
{
	return (uint64_t)ipck_counter_get(COUNTER);
}

static int striped_set_up(int members)
{
	(void)members;
	return ipck_striped_counter_init(STRIPED, 0);
}

WORK(striped_work, { ipck_striped_counter_add(STRIPED, 1); })

static uint64_t striped_total(void)
{
	return (uint64_t)ipck_striped_counter_get(STRIPED);
}

static const struct job lock = {lock_set_up, lock_work, stage_value};
static const struct job rlock = {rlock_set_up, rlock_work, stage_value};
static const struct job semaphore = {semaphore_set_up, semaphore_work, stage_value};
static const struct job recorded = {recorded_set_up, semaphore_work, stage_value};
static const struct job counter = {counter_set_up, counter_work, counter_total};
static const struct job striped = {striped_set_up, striped_work, striped_total};

/* ---- contenders: the size is the number of processes ---- */

#define RUN(job) \
	static double run_##job(const struct bench_ctx *ctx) \
	{ \
		return team_sum(&job, ctx, (int)ctx->size); \
	}
#define RUN_PYTHON(name, measurement) \
	static double name(const struct bench_ctx *ctx) \
	{ \
		return python_run(measurement, ctx); \
	}

RUN(lock)
RUN(rlock)
RUN(semaphore)
RUN(recorded)
RUN(counter)
RUN(striped)
RUN(robust_mutex)
RUN(plain_mutex)
RUN(recursive_mutex)
RUN(posix_semaphore)
RUN(atomic_number)
RUN_PYTHON(python_lock, "lock")
RUN_PYTHON(python_rlock, "rlock")
RUN_PYTHON(python_semaphore, "semaphore")
RUN_PYTHON(python_value, "value")

#ifdef HAVE_BOOST
RUN(boost_mutex)
RUN(boost_recursive_mutex)
RUN(boost_semaphore)
#else
static double run_boost_mutex(const struct bench_ctx *ctx)
{
	(void)ctx;
	return -ENOENT;
}
#define run_boost_recursive_mutex run_boost_mutex
#define run_boost_semaphore run_boost_mutex
#endif

#define BOOST .package = "libboost-dev, before configure"
#define PYTHON .package = "python3"

static const struct contender lock_contenders[] = {
	{"ipckit", run_lock},
	{"pthread mutex, robust", run_robust_mutex, .target = 0.95},
	{"pthread mutex", run_plain_mutex},
	{"Boost interprocess_mutex", run_boost_mutex, BOOST},
	{"CPython Lock", python_lock, .target = 1, PYTHON},
	{0},
};

static const struct contender many_contenders[] = {
	{"ipckit", run_lock},
	{"pthread mutex, robust", run_robust_mutex},
	{"pthread mutex", run_plain_mutex},
	{"CPython Lock", python_lock, .target = 1, PYTHON},
	{0},
};

static const struct contender rlock_contenders[] = {
	{"ipckit", run_rlock},
	{"pthread mutex, robust, recursive", run_recursive_mutex},
	{"Boost interprocess_recursive_mutex", run_boost_recursive_mutex, BOOST},
	{"CPython RLock", python_rlock, .target = 1, PYTHON},
	{0},
};

static const struct contender semaphore_contenders[] = {
	{"ipckit", run_semaphore},
	{"ipckit, recorded", run_recorded},
	{"sem_t", run_posix_semaphore},
	{"Boost interprocess_semaphore", run_boost_semaphore, BOOST},
	{"CPython Semaphore", python_semaphore, .target = 1, PYTHON},
	{0},
};

static const struct contender counter_contenders[] = {
	{"ipckit", run_counter},
	{"atomic fetch_add", run_atomic_number, .target = 0.95},
	{"CPython Value, its lock", python_value, .target = 1, PYTHON},
	{0},
};

static const struct contender striped_contenders[] = {
	{"ipckit", run_striped},
	{"atomic fetch_add", run_atomic_number, .target = 3},
	{"ipckit, not striped", run_counter},
	{"CPython Value, its lock", python_value, .target = 1, PYTHON},
	{0},
};

const struct row sync_rows[] = {
	{
		.name = "sync-lock",
		.job = "lock, alone: acquire, add 1, release",
		.unit = "acquire",
		.placement = OWN_CPUS,
		.size = 1,
		.with = lock_contenders,
	},
	{
		.name = "sync-lock-2",
		.job = "lock, 2 processes: acquire, add 1, release",
		.unit = "acquire",
		.placement = OWN_CPUS,
		.size = 2,
		.with = lock_contenders,
	},
	{
		.name = "sync-lock-many",
		.job = "lock, 16 processes: acquire, add 1, release",
		.unit = "acquire",
		.placement = FREE,
		.size = 16,
		.with = many_contenders,
		.size_unit = "processes",
		.sizes = {1, 2, 4, 8, 16, 32, 64, -1},
	},
	{
		.name = "sync-rlock",
		.job = "rlock, alone: acquire twice, add 1, release twice",
		.unit = "nesting",
		.placement = OWN_CPUS,
		.size = 1,
		.with = rlock_contenders,
	},
	{
		.name = "sync-semaphore",
		.job = "semaphore of 1, alone: acquire, add 1, release",
		.unit = "acquire",
		.placement = OWN_CPUS,
		.size = 1,
		.with = semaphore_contenders,
	},
	{
		.name = "sync-semaphore-2",
		.job = "semaphore of 1, 2 processes: acquire, add 1, release",
		.unit = "acquire",
		.placement = OWN_CPUS,
		.size = 2,
		.with = semaphore_contenders,
	},
	{
		.name = "counter-alone",
		.job = "counter, alone: add 1",
		.unit = "add",
		.placement = OWN_CPUS,
		.size = 1,
		.with = counter_contenders,
	},
	{
		.name = "counter-2",
		.job = "counter, 2 processes: add 1",
		.unit = "add",
		.placement = OWN_CPUS,
		.size = 2,
		.with = counter_contenders,
	},
	{
		.name = "counter-striped-2",
		.job = "striped counter, 2 processes: add 1",
		.unit = "add",
		.placement = OWN_CPUS,
		.size = 2,
		.with = striped_contenders,
	},
	{0},
};
