/* SPDX-License-Identifier: MIT */
/*
 * Processes: a parent that is killed takes its daemon children along, wherever in
 * start or spawn it was; a child that is killed, wherever it was, is joined, its
 * death told, and its own daemons gone.
 */
#include <ipckit/process.h>

#include "kill.h"

#include <signal.h>
#include <unistd.h>

struct state {
	int ran;          /* stored by the child */
	int code, signal; /* how it ended, as the root was told */
};

static void *setup(void)
{
	return kill_shared(sizeof(struct state));
}

static const struct kill_range *watch(void *ctx, size_t *n)
{
	static struct kill_range range;

	range = (struct kill_range){ctx, sizeof(struct state)};
	*n = 1;
	return &range;
}

static int stay(void *arg)
{
	(void)arg;
	while (pause() < 0)
		;
	return 0;
}

/* With a member of its group that stays too. */
static int stay_with_member(void *arg)
{
	(void)fork();
	return stay(arg);
}

static int run(void *arg)
{
	struct state *s = arg;

	__atomic_store_n(&s->ran, 1, __ATOMIC_RELEASE);
	return 3;
}

/* The root is killed in start or spawn */

static char sleep_path[] = "/bin/sleep", sleep_time[] = "1000";
static char *const sleep_argv[] = {sleep_path, sleep_time, NULL};

static void end(struct ipck_process *p, bool group)
{
	kill_check((group ? ipck_process_kill_group(p) : ipck_process_kill(p)) == 0);
	kill_check(ipck_process_join(p, ipck_in_sec(5)) == 0);
	kill_check(ipck_process_close(p) == 0);
}

/* What each process does once, at its first start, is in child_with_daemon. */
static void prime(void *ctx)
{
	struct ipck_process *p;

	kill_check(ipck_process_start(&p, run, ctx, NULL) == 0);
	kill_check(ipck_process_join(p, ipck_in_sec(5)) == 0);
	kill_check(ipck_process_close(p) == 0);
}

static void start_daemon(void *ctx)
{
	struct ipck_process *p;

	prime(ctx);
	kill_begin();
	kill_check(ipck_process_start(&p, stay, ctx, IPCK_PROCESS_OPTS(.daemon = true)) == 0);
	kill_end();
	end(p, false);
}

static void start_group(void *ctx)
{
	const struct ipck_process_opts opts = {.size = sizeof(opts), .daemon = true, .group = true, .cwd = "/"};
	struct ipck_process *p;

	prime(ctx);
	kill_begin();
	kill_check(ipck_process_start(&p, stay_with_member, ctx, &opts) == 0);
	kill_end();
	end(p, true);
}

static void spawn_daemon(void *ctx)
{
	struct ipck_process *p;

	prime(ctx);
	kill_begin();
	kill_check(ipck_process_spawn(&p, sleep_path, sleep_argv, IPCK_PROCESS_OPTS(.daemon = true)) == 0);
	kill_end();
	end(p, false);
}

static void spawn_group(void *ctx)
{
	const struct ipck_pass pass = {"one", 1};
	const struct ipck_process_opts opts = {
		.size = sizeof(opts), .daemon = true, .group = true, .pass = &pass, .pass_count = 1};
	struct ipck_process *p;

	prime(ctx);
	kill_begin();
	kill_check(ipck_process_spawn(&p, sleep_path, sleep_argv, &opts) == 0);
	kill_end();
	end(p, true);
}

/* Not daemons: they end by themselves, with or without their parent. */
static void start_and_end(void *ctx)
{
	struct ipck_process *p;

	prime(ctx);
	kill_begin();
	kill_check(ipck_process_start(&p, run, ctx, IPCK_PROCESS_OPTS(.group = true)) == 0);
	kill_check(ipck_process_join(p, ipck_in_sec(5)) == 0);
	kill_check(ipck_process_close(p) == 0);
	kill_end();
}

static void spawn_and_end(void *ctx)
{
	static char path[] = "/bin/true";
	char *argv[] = {path, NULL};
	struct ipck_process *p;

	prime(ctx);
	kill_begin();
	kill_check(ipck_process_spawn(&p, path, argv, NULL) == 0);
	kill_check(ipck_process_join(p, ipck_in_sec(5)) == 0);
	kill_check(ipck_process_close(p) == 0);
	kill_end();
}

/* That all had ended before this was called is what is proven. */
static void all_gone(void *ctx, const struct kill_point *point)
{
	(void)ctx, (void)point;
}

#define PARENT(function, some) \
	static const struct kill_sweep function##_sweep = { \
		.name = #function, \
		.setup = setup, \
		.victim = function, \
		.survive = all_gone, \
		.watch = watch, \
		.who = KILL_SELF, \
		.marked = true, \
		.share = some, \
		.each_state = true, \
	}

/* Of start fewer: child_with_daemon below has all of it. */
PARENT(spawn_group, 12);
PARENT(start_daemon, 5);
PARENT(start_group, 5);
PARENT(start_and_end, 5);
PARENT(spawn_daemon, 8);
PARENT(spawn_and_end, 8);

/* The root starts a child and joins it; the child is the victim, from its birth to its end. */

static void start_and_join(struct state *s, ipck_process_fn *fn)
{
	struct ipck_process *p;

	kill_check(ipck_process_start(&p, fn, s, NULL) == 0);
	kill_check(ipck_process_join(p, ipck_in_sec(5)) == 0);
	kill_check(!ipck_process_alive(p));
	kill_check(ipck_process_status(p, &s->code, &s->signal) == 0);
	kill_check(ipck_process_close(p) == 0);
}

static void join_child(void *ctx)
{
	start_and_join(ctx, run);
}

static void told(void *ctx, const struct kill_point *point)
{
	struct state *s = ctx;
	bool killed = s->signal == SIGKILL && s->code == 0, exited = s->signal == 0 && s->code == 3;

	kill_check(point->kind == KILL_NONE ? exited : killed);
	kill_check(killed || s->ran == 1);
	s->ran = 0;
	start_and_join(s, run);
	kill_check(s->ran == 1 && s->signal == 0 && s->code == 3);
	kill_check(ipck_process_children(NULL, 0) == 0);
}

static const struct kill_sweep child_sweep = {
	.name = "child",
	.setup = setup,
	.victim = join_child,
	.survive = told,
	.watch = watch,
	.who = KILL_DESCENDANT,
	.generation = 1,
	.ordinal = 1,
};

/* The victim is a child that starts a daemon of its own; a run ends when that is gone too. */

static int run_with_daemon(void *arg)
{
	struct ipck_process *p;

	kill_check(ipck_process_start(&p, stay, arg, IPCK_PROCESS_OPTS(.daemon = true)) == 0);
	return run(arg);
}

static void join_parent(void *ctx)
{
	prime(ctx);
	start_and_join(ctx, run_with_daemon);
}

static const struct kill_sweep child_with_daemon_sweep = {
	.name = "child_with_daemon",
	.setup = setup,
	.victim = join_parent,
	.survive = told,
	.watch = watch,
	.who = KILL_DESCENDANT,
	.generation = 1,
	.ordinal = 2,
	.each_state = true,
};

/* The victim is a daemon's daemon; its parent goes on, and joins it. */

static int join_daemon(void *arg)
{
	start_and_join(arg, run);
	return 5;
}

static void join_below(void *ctx)
{
	struct ipck_process *p;
	int code = -1;

	kill_check(ipck_process_start(&p, join_daemon, ctx, IPCK_PROCESS_OPTS(.daemon = true)) == 0);
	kill_check(ipck_process_join(p, ipck_in_sec(5)) == 0);
	kill_check(ipck_process_status(p, &code, NULL) == 0 && code == 5);
	kill_check(ipck_process_close(p) == 0);
}

static const struct kill_sweep grandchild_sweep = {
	.name = "grandchild",
	.setup = setup,
	.victim = join_below,
	.survive = told,
	.watch = watch,
	.who = KILL_DESCENDANT,
	.generation = 2,
	.ordinal = 1,
};

int main(int argc, char **argv)
{
	static const struct kill_sweep *const sweeps[] = {
		&start_daemon_sweep,  &start_group_sweep,
		&start_and_end_sweep, &spawn_daemon_sweep,
		&spawn_group_sweep,   &spawn_and_end_sweep,
		&child_sweep,         &child_with_daemon_sweep,
		&grandchild_sweep,    NULL,
	};

	return kill_main(argc, argv, sweeps);
}
