/* SPDX-License-Identifier: MIT */
/* Barriers, conditions and events: processes that wait for each other. */
#include "bench.h"

#include <errno.h>
#include <ipckit.h>

#include "team.h"

/* ---- ipckit ---- */

#define BARRIER ((struct ipck_barrier *)stage->object)

static int barrier_set_up(int members)
{
	return ipck_barrier_init(BARRIER, (uint32_t)members, NULL);
}

WORK(barrier_work, { rc = ipck_barrier_wait(BARRIER, NULL, IPCK_FOREVER); })

struct monitor {
	struct ipck_lock lock;
	struct ipck_condition condition;
};
#define MONITOR ((struct monitor *)stage->object)

static int condition_set_up(int members)
{
	int rc = ipck_lock_init(&MONITOR->lock);

	(void)members;
	if (rc < 0)
		return rc;
	return ipck_condition_init(&MONITOR->condition, IPCK_CONDITION_OPTS(.lock = &MONITOR->lock));
}

/* It is the turn of each of two members in its turn. */
WORK(turn_work, {
	rc = ipck_lock_acquire(&MONITOR->lock, IPCK_FOREVER);
	while (rc >= 0 && stage->value % 2 != (uint64_t)member)
		rc = ipck_condition_wait(&MONITOR->condition, IPCK_FOREVER);
	stage->value++;
	ipck_condition_notify(&MONITOR->condition, 1);
	ipck_lock_release(&MONITOR->lock);
})

/* Of even and of odd rounds: the other one is clear before one is set. */
struct rounds {
	struct ipck_counter answers;
	ALIGNED(FALSE_SHARING) struct ipck_event event[2];
};
#define ROUNDS ((struct rounds *)stage->object)

static int waiters;

static int event_set_up(int members)
{
	int rc = ipck_counter_init(&ROUNDS->answers, 0);

	waiters = members - 1;
	for (int i = 0; i < 2 && rc >= 0; i++)
		rc = ipck_event_init(&ROUNDS->event[i]);
	return rc;
}

static int begin_round(uint64_t round)
{
	ipck_event_clear(&ROUNDS->event[(round + 1) % 2]);
	ipck_event_set(&ROUNDS->event[round % 2]);
	return ipck_counter_wait(&ROUNDS->answers, IPCK_GE, waiters * (int64_t)round, NULL, IPCK_FOREVER);
}

static int take_part(uint64_t round)
{
	int rc = ipck_event_wait(&ROUNDS->event[round % 2], IPCK_FOREVER);

	ipck_counter_add(&ROUNDS->answers, 1);
	return rc;
}

static uint64_t my_round;

WORK(event_work, {
	my_round++;
	rc = member == 0 ? begin_round(my_round) : take_part(my_round);
})

static const struct job barrier = {barrier_set_up, barrier_work, NULL};
static const struct job condition = {condition_set_up, turn_work, NULL};
static const struct job event = {event_set_up, event_work, NULL};

/* ---- contenders: the size is the number of parties, or of those who wait for an event ---- */

#define RUN(job, others) \
	static double run_##job(const struct bench_ctx *ctx) \
	{ \
		return team_steps(&job, ctx, (int)ctx->size + (others)); \
	}
#define RUN_PYTHON(name, measurement) \
	static double name(const struct bench_ctx *ctx) \
	{ \
		return python_run(measurement, ctx); \
	}

RUN(barrier, 0)
RUN(pthread_barrier, 0)
RUN(ck_barrier, 0)
RUN(condition, 0)
RUN(pthread_condition, 0)
RUN(event, 1)
RUN(pthread_event, 1)
RUN_PYTHON(python_barrier, "barrier")
RUN_PYTHON(python_condition, "condition")
RUN_PYTHON(python_event, "event")

#ifdef HAVE_BOOST
RUN(boost_condition, 0)
RUN(boost_event, 1)
#else
static double run_boost_condition(const struct bench_ctx *ctx)
{
	(void)ctx;
	return -ENOENT;
}
#define run_boost_event run_boost_condition
#endif

#define BOOST .package = "libboost-dev, before configure"
#define CK .package = "libck-dev, before configure"
#define PYTHON .package = "python3"

static const struct contender barrier_contenders[] = {
	{"ipckit", run_barrier},
	{"CK centralized barrier (spins)", run_ck_barrier, CK, .most = 2},
	{"pthread_barrier", run_pthread_barrier},
	{"CPython Barrier", python_barrier, .target = 1, PYTHON},
	{0},
};

static const struct contender condition_contenders[] = {
	{"ipckit", run_condition},
	{"pthread_cond", run_pthread_condition},
	{"Boost interprocess_condition", run_boost_condition, BOOST},
	{"CPython Condition", python_condition, .target = 1, PYTHON},
	{0},
};

static const struct contender event_contenders[] = {
	{"ipckit", run_event},
	{"pthread_cond_broadcast", run_pthread_event},
	{"Boost interprocess_condition", run_boost_event, BOOST},
	{"CPython Event", python_event, .target = 1, PYTHON},
	{0},
};

const struct row meet_rows[] = {
	{
		.name = "barrier-2",
		.job = "barrier of 2",
		.unit = "round",
		.placement = OWN_CPUS,
		.size = 2,
		.figure = 2e6,
		.with = barrier_contenders,
	},
	{
		.name = "barrier-many",
		.job = "barrier of 16",
		.unit = "round",
		.placement = FREE,
		.size = 16,
		.with = barrier_contenders,
		.size_unit = "parties",
		.sizes = {2, 4, 8, 16, -1},
	},
	{
		.name = "condition-trip",
		.job = "condition: there and back",
		.unit = "round trip",
		.placement = OWN_CPUS,
		.size = 2,
		.with = condition_contenders,
	},
	{
		.name = "condition-trip-1cpu",
		.job = "condition, on one CPU: there and back",
		.unit = "round trip",
		.placement = ONE_CPU,
		.size = 2,
		.with = condition_contenders,
	},
	{
		.name = "event-4",
		.job = "event: set, 4 waiters answer",
		.unit = "round",
		.placement = FREE,
		.size = 4,
		.with = event_contenders,
	},
	{
		.name = "event-16",
		.job = "event: set, 16 waiters answer",
		.unit = "round",
		.placement = FREE,
		.size = 16,
		.with = event_contenders,
		.size_unit = "waiters",
		.sizes = {1, 4, 16, 64, -1},
	},
	{0},
};
