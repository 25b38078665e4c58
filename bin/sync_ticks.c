/* SPDX-License-Identifier: MIT */
/* ipc-sync: a timer that wakes who waits for it, and a flag that ends a worker. */
#include <ipckit.h>

#include <errno.h>

#include "party.h"
#include "shared.h"
#include "sync_modes.h"

/* ---- ticks ---- */

#define DOWN_FROM 10 /* as many ticks, the timer's last is the last of these */
#define UP_TO 5

struct timer {
	/* By condition: the number of the last tick is kept, so who comes late does not miss it. */
	struct ipck_condition ticked;
	long ticks;
	/*
	 * By event: the even ticks set one, the odd ones the other, and clear the first.
	 * A tick that nobody may miss comes when the one before has been taken by all.
	 */
	struct ipck_event event[2];
	struct ipck_counter taken;
};

/* What the timer and its two waiters do in one round or the other. */
struct way {
	int (*tick)(struct timer *timer, long number);
	int (*await)(struct timer *timer, long number);
};

struct counting {
	struct timer *timer;
	const struct way *way;
	long pause_ms;
};

static int tick_condition(struct timer *timer, long number)
{
	int rc, told = 0;

	IPCK_WITH_CONDITION(&timer->ticked, IPCK_FOREVER, &rc) {
		timer->ticks = number;
		told = ipck_condition_notify_all(&timer->ticked);
	}
	return rc != 0 ? rc : told;
}

static int await_condition(struct timer *timer, long number)
{
	int rc, waited = 0;

	IPCK_WITH_CONDITION(&timer->ticked, IPCK_FOREVER, &rc)
		while (timer->ticks < number && waited == 0)
			waited = ipck_condition_wait(&timer->ticked, IPCK_FOREVER);
	return rc != 0 ? rc : waited;
}

/* How often the ticks up to that number are taken, by both or, after its last, by one. */
static long times_taken(long number)
{
	return number + (number < UP_TO ? number : UP_TO);
}

static int tick_event(struct timer *timer, long number)
{
	int rc = ipck_event_clear(&timer->event[(number + 1) % 2]);

	if (rc == 0)
		rc = ipck_event_set(&timer->event[number % 2]);
	return rc < 0 ? rc : ipck_counter_wait(&timer->taken, IPCK_GE, times_taken(number), NULL, IPCK_FOREVER);
}

static int await_event(struct timer *timer, long number)
{
	int rc = ipck_event_wait(&timer->event[number % 2], IPCK_FOREVER);

	if (rc >= 0)
		ipck_counter_add(&timer->taken, 1);
	return rc;
}

static int run_timer(void *arg)
{
	const struct counting *c = arg;
	int rc = 0;

	for (long number = 1; number <= DOWN_FROM && rc == 0; number++) {
		tool_pause(c->pause_ms);
		rc = c->way->tick(c->timer, number);
	}
	return shared_check("tick", rc);
}

static int count_down(void *arg)
{
	const struct counting *c = arg;
	int rc = 0;

	for (long number = 1; number <= DOWN_FROM && rc == 0; number++) {
		rc = c->way->await(c->timer, number);
		if (rc == 0)
			tool_print("down: %ld\n", DOWN_FROM + 1 - number);
	}
	return shared_check("tick", rc);
}

static int count_up(void *arg)
{
	const struct counting *c = arg;
	int rc = 0;

	for (long number = 1; number <= UP_TO && rc == 0; number++) {
		rc = c->way->await(c->timer, number);
		if (rc == 0)
			tool_print("up: %ld\n", number - 1);
	}
	return shared_check("tick", rc);
}

static int init_timer(struct timer *timer)
{
	int rc = ipck_condition_init(&timer->ticked, NULL);

	for (int i = 0; i < 2 && rc == 0; i++)
		rc = ipck_event_init(&timer->event[i]);
	if (rc == 0)
		rc = ipck_counter_init(&timer->taken, 0);
	return shared_check("timer", rc);
}

static int run_way(struct timer *timer, const struct way *way, const struct tool_args *args)
{
	struct counting counting = {timer, way, args->pause_ms};
	struct party party[3] = {
		{.fn = count_down, .arg = &counting},
		{.fn = count_up, .arg = &counting},
		{.fn = run_timer, .arg = &counting},
	};

	return parties_run_together(party, 3, args->threads);
}

static int run_ticks(void *shared, const struct tool_args *args)
{
	static const struct way by_condition = {tick_condition, await_condition}, by_event = {tick_event, await_event};
	int status = init_timer(shared);

	if (status != 0)
		return status;
	tool_print("by condition\n");
	status = run_way(shared, &by_condition, args);
	if (status != 0)
		return status;
	tool_print("by event\n");
	return run_way(shared, &by_event, args);
}

int sync_ticks(const struct tool_args *args)
{
	return shared_run(sizeof(struct timer), run_ticks, args);
}

/* ---- stop-flag ---- */

#define RUN_PAUSES 5

struct flag {
	struct ipck_event stop;
	long pause_ms;
};

/* Works until it is told to stop: the wait for that is its pause. */
static int work(void *arg)
{
	struct flag *flag = arg;
	long steps = 0;
	int rc;

	tool_print("worker: start\n");
	while ((rc = ipck_event_wait(&flag->stop, ipck_in_ms(flag->pause_ms))) == -ETIMEDOUT)
		steps++;
	if (rc == 0)
		tool_print("worker: stopped after %ld steps\n", steps);
	return shared_check("event", rc);
}

/* Ends early if the worker does: there is nobody to be stopped then. */
static void pause_beside(struct party *worker, long milliseconds)
{
	int rc;

	if (!worker->process) {
		tool_pause(milliseconds);
		return;
	}
	rc = ipck_process_join(worker->process, ipck_in_ms(milliseconds));
	if (rc < 0 && rc != -ETIMEDOUT)
		tool_error("cannot wait: %s", ipck_strerror(rc));
}

static int run_flag(void *shared, const struct tool_args *args)
{
	struct flag *flag = shared;
	struct party worker = {.fn = work, .arg = flag, .daemon = true};
	int joined, status = shared_check("event", ipck_event_init(&flag->stop));

	flag->pause_ms = args->pause_ms;
	if (status == 0)
		status = parties_start(&worker, 1, args->threads);
	if (status != 0)
		return status;
	pause_beside(&worker, RUN_PAUSES * args->pause_ms);
	tool_print("main: stop\n");
	status = shared_check("event", ipck_event_set(&flag->stop));
	joined = parties_join(&worker, 1);
	return status != 0 ? status : joined;
}

int sync_stop_flag(const struct tool_args *args)
{
	return shared_run(sizeof(struct flag), run_flag, args);
}
