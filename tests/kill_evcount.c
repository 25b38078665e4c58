/* SPDX-License-Identifier: MIT */
/* The event count: a killed notifier or waiter keeps nobody asleep, and the next notify puts the word right. */
#include "base/evcount.h"

#include "kill.h"

#include <errno.h>
#include <ipckit/deadline.h>
#include <stdlib.h>
#include <unistd.h>

struct state {
	struct evcount e;
	uint32_t set, woken;
};

static uint32_t sleepers(const struct state *s)
{
	return (uint32_t)(load_seq(&s->e.word) >> 32);
}

static bool is_set(void *arg)
{
	return load_seq(&((struct state *)arg)->set) != 0;
}

static const struct kill_range *watch(void *ctx, size_t *n)
{
	static struct kill_range range;

	range = (struct kill_range){ctx, sizeof(struct state)};
	*n = 1;
	return &range;
}

static void *setup(void)
{
	return kill_shared(sizeof(struct state));
}

/* Someone else, who sleeps until it is set. */
static void start_sleeper(struct state *s)
{
	uint32_t before = sleepers(s);
	pid_t pid = fork();

	kill_check(pid >= 0);
	if (pid == 0) {
		kill_check(evcount_await(&s->e, is_set, s, ipck_in_sec(5)) == 0);
		store_release(&s->woken, 1);
		_exit(0);
	}
	KILL_UNTIL(sleepers(s) > before || load_acquire(&s->woken) == 1);
}

static void *setup_sleeper(void)
{
	struct state *s = setup();

	start_sleeper(s);
	return s;
}

/* Waiting and waking work, and no sleeper is left in the word. */
static void works(struct state *s)
{
	store_seq(&s->set, 0);
	store_release(&s->woken, 0);
	start_sleeper(s);
	store_seq(&s->set, 1);
	evcount_notify(&s->e, 1);
	KILL_UNTIL(load_acquire(&s->woken) == 1);
	evcount_notify(&s->e, EVCOUNT_ALL);
	kill_check(sleepers(s) == 0);
	kill_check(evcount_await(&s->e, is_set, s, IPCK_NOWAIT) == 0);
}

/* ---- a notifier ---- */

static void notify_all(void *ctx)
{
	struct state *s = ctx;

	store_seq(&s->set, 1);
	evcount_notify(&s->e, EVCOUNT_ALL);
}

static void notify_one(void *ctx)
{
	struct state *s = ctx;

	store_seq(&s->set, 1);
	evcount_notify(&s->e, 1);
}

static void sleeper_wakes(void *ctx, const struct kill_point *point)
{
	struct state *s = ctx;

	kill_check(point->kind != KILL_NONE || is_set(s));
	if (!is_set(s))
		notify_all(s);
	KILL_UNTIL(load_acquire(&s->woken) == 1);
	works(s);
}

static const struct kill_sweep all = {
	.name = "notify_all", .setup = setup_sleeper, .victim = notify_all, .survive = sleeper_wakes, .watch = watch};
static const struct kill_sweep one = {
	.name = "notify_one", .setup = setup_sleeper, .victim = notify_one, .survive = sleeper_wakes, .watch = watch};

/* ---- a waiter ---- */

static void wait_in_vain(void *ctx)
{
	kill_check(evcount_await(&((struct state *)ctx)->e, is_set, ctx, ipck_in_ms(100)) == -ETIMEDOUT);
}

static void counted_out(void *ctx, const struct kill_point *point)
{
	struct state *s = ctx;

	kill_check(sleepers(s) <= (point->kind != KILL_NONE));
	evcount_notify(&s->e, EVCOUNT_ALL);
	kill_check(sleepers(s) == 0);
	works(s);
}

/* Beside the victim there sleeps another. */
static void other_wakes(void *ctx, const struct kill_point *point)
{
	struct state *s = ctx;

	kill_check(sleepers(s) >= 1 && sleepers(s) <= 1 + (point->kind != KILL_NONE));
	notify_all(s);
	KILL_UNTIL(load_acquire(&s->woken) == 1);
	works(s);
}

static const struct kill_sweep waiter = {
	.name = "await", .setup = setup, .victim = wait_in_vain, .survive = counted_out, .watch = watch};
static const struct kill_sweep two = {
	.name = "await_beside", .setup = setup_sleeper, .victim = wait_in_vain, .survive = other_wakes, .watch = watch};

int main(int argc, char **argv)
{
	static const struct kill_sweep *const sweeps[] = {&all, &one, &waiter, &two, NULL};

	return kill_main(argc, argv, sweeps);
}
