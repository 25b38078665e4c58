/* SPDX-License-Identifier: MIT */
/*
 * Processes: a parent that is killed takes its daemon children along, wherever in
 * start it was; a child that is killed, wherever it was, is joined and its death
 * told.
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

static int run(void *arg)
{
	struct state *s = arg;

	__atomic_store_n(&s->ran, 1, __ATOMIC_RELEASE);
	return 3;
}

/* The root starts a daemon that stays until it is ended. */
static void start_daemon(void *ctx)
{
	struct ipck_process *p;

	kill_begin();
	kill_check(ipck_process_start(&p, stay, ctx, IPCK_PROCESS_OPTS(.daemon = true)) == 0);
	kill_end();
	kill_check(ipck_process_kill(p) == 0);
	kill_check(ipck_process_join(p, ipck_in_sec(5)) == 0);
	kill_check(ipck_process_close(p) == 0);
}

/* That all had ended before this was called is what is proven. */
static void all_gone(void *ctx, const struct kill_point *point)
{
	(void)ctx, (void)point;
}

static const struct kill_sweep parent = {.name = "process_parent",
                                         .setup = setup,
                                         .victim = start_daemon,
                                         .survive = all_gone,
                                         .watch = watch,
                                         .who = KILL_SELF,
                                         .marked = true};

/* The root starts a child and joins it; the child is the victim, from its birth to its end. */

static void start_and_join(void *ctx)
{
	struct state *s = ctx;
	struct ipck_process *p;

	kill_check(ipck_process_start(&p, run, s, NULL) == 0);
	kill_check(ipck_process_join(p, ipck_in_sec(5)) == 0);
	kill_check(!ipck_process_alive(p));
	kill_check(ipck_process_status(p, &s->code, &s->signal) == 0);
	kill_check(ipck_process_close(p) == 0);
}

static void told(void *ctx, const struct kill_point *point)
{
	struct state *s = ctx;
	bool killed = s->signal == SIGKILL && s->code == 0, exited = s->signal == 0 && s->code == 3;

	kill_check(point->kind == KILL_NONE ? exited : killed);
	kill_check(killed || s->ran == 1);
	s->ran = 0;
	start_and_join(s);
	kill_check(s->ran == 1 && s->signal == 0 && s->code == 3);
	kill_check(ipck_process_children(NULL, 0) == 0);
}

static const struct kill_sweep child = {.name = "process_child",
                                        .setup = setup,
                                        .victim = start_and_join,
                                        .survive = told,
                                        .watch = watch,
                                        .who = KILL_DESCENDANT,
                                        .generation = 1,
                                        .ordinal = 1};

int main(int argc, char **argv)
{
	static const struct kill_sweep *const sweeps[] = {&parent, &child, NULL};

	return kill_main(argc, argv, sweeps);
}
