/* SPDX-License-Identifier: MIT */
/* The kill sweep's victims below or above others, as in a pool: a worker by its birth or its pid, the parent of all. */
#include "kill.h"
#include "support.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct state {
	volatile int a, b;
	volatile pid_t parent, workers[2];
	volatile int status; /* of the second worker */
	int pipe[2];
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

static void survive_nothing(void *ctx, const struct kill_point *point)
{
	(void)ctx, (void)point;
}

/* Descendants: a parent, its master, the master's two workers. */

static void *work(void *arg)
{
	return arg;
}

static void worker(struct state *s, int i)
{
	pthread_t thread;

	/* A thread is not a process; it takes no ordinal. */
	if (pthread_create(&thread, NULL, work, NULL) == 0)
		pthread_join(thread, NULL);
	s->workers[i] = getpid();
	if (i == 1) {
		kill_begin();
		s->a = 1;
		s->b = 1;
		kill_end();
	}
	_exit(0);
}

static void master(struct state *s)
{
	int status;

	for (int i = 0; i < 2; i++)
		if (fork() == 0)
			worker(s, i);
	for (int i = 0; i < 2; i++)
		if (waitpid(-1, &status, 0) == s->workers[1])
			s->status = status;
	_exit(0);
}

static void parent(void *ctx)
{
	struct state *s = ctx;
	pid_t pid;

	s->parent = getpid();
	pid = fork();
	if (pid == 0)
		master(s);
	kill_check(waitpid(pid, NULL, 0) == pid);
}

static void worker_died(void *ctx, const struct kill_point *point)
{
	struct state *s = ctx;

	kill_check(getpid() == s->parent);
	kill_check(s->workers[0] && s->workers[1]);
	if (point->kind == KILL_NONE)
		kill_check(s->status == 0 && s->a == 1 && s->b == 1);
	else
		kill_check(WIFSIGNALED(s->status) && WTERMSIG(s->status) == SIGKILL);
	kill_check(point->kind == KILL_NONE || s->a + s->b == (int)point->number);
}

/* What the victim alone changes: the first worker may tell its pid meanwhile. */
static const struct kill_range *watch_second(void *ctx, size_t *n)
{
	static struct kill_range range;

	range = (struct kill_range){ctx, offsetof(struct state, parent)};
	*n = 1;
	return &range;
}

static struct kill_sweep descendant = {.name = "descendant",
                                       .setup = setup,
                                       .victim = parent,
                                       .survive = worker_died,
                                       .watch = watch_second,
                                       .who = KILL_DESCENDANT,
                                       .generation = 2,
                                       .ordinal = 2,
                                       .marked = true};

START_TEST(the_second_worker_is_the_victim)
{
	struct kill_result r;

	ck_assert_msg(kill_sweep_try(&descendant, &r) == 0, "%s", r.text);
	ck_assert_uint_eq(r.points, 3);
	ck_assert_uint_eq(r.kinds[KILL_CHANGE], 2);
}
END_TEST

/* The first worker, from birth: it is killed before it tells its pid, too. */
static void any_death(void *ctx, const struct kill_point *point)
{
	struct state *s = ctx;

	(void)point;
	kill_check(getpid() == s->parent);
}

START_TEST(a_worker_is_stepped_from_birth)
{
	struct kill_sweep s = descendant;
	struct kill_result r;

	s.ordinal = 1;
	s.marked = false;
	s.survive = any_death;
	s.full = 20;
	s.stride = 7;
	ck_assert_msg(kill_sweep_try(&s, &r) == 0, "%s", r.text);
	ck_assert_uint_ge(r.points, 20);
	ck_assert_uint_gt(r.kinds[KILL_LEAVE], 0);
}
END_TEST

/* The one that is picked by its pid, which it tells itself. */

static pid_t pick_second(void *ctx)
{
	struct state *s = ctx;

	return s->workers[1];
}

static void picked_worker(void *ctx)
{
	struct state *s = ctx;
	int status;
	pid_t pid;

	s->parent = getpid();
	pid = fork();
	if (pid == 0) {
		s->workers[1] = getpid();
		for (;;) {
			usleep(1000);
			s->a++;
		}
	}
	kill_check(waitpid(pid, &status, 0) == pid);
	kill_check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

START_TEST(a_picked_worker_is_the_victim)
{
	struct kill_sweep s = descendant;
	struct kill_result r;

	s.victim = picked_worker;
	s.pick = pick_second;
	s.survive = any_death;
	s.marked = false;
	s.max_runs = 8;
	ck_assert_msg(kill_sweep_try(&s, &r) == 0, "%s", r.text);
	ck_assert_uint_eq(r.points, 8);
	ck_assert_uint_gt(r.kinds[KILL_CHANGE], 0);
}
END_TEST

/* The root killed while its master and workers live, which die with it. */

static void parent_with_lifeline(void *ctx)
{
	struct state *s = ctx;
	char byte;

	if (fork() == 0) {
		close(s->pipe[1]);
		for (int i = 0; i < 2; i++)
			if (fork() == 0)
				break;
		while (read(s->pipe[0], &byte, 1) > 0)
			;
		_exit(0);
	}
	s->a = 1;
	s->a = 2;
}

static void make_lifeline(void *ctx)
{
	struct state *s = ctx;

	if (pipe2(s->pipe, O_CLOEXEC) < 0)
		abort();
	parent_with_lifeline(ctx);
}

START_TEST(the_root_is_the_victim)
{
	const struct kill_sweep s = {.name = "self",
	                             .setup = setup,
	                             .victim = make_lifeline,
	                             .survive = survive_nothing,
	                             .watch = watch,
	                             .who = KILL_SELF};
	struct kill_result r;

	ck_assert_msg(kill_sweep_try(&s, &r) == 0, "%s", r.text);
	ck_assert_uint_eq(r.kinds[KILL_CHANGE], 2);
	ck_assert_uint_ge(r.kinds[KILL_LEAVE], 2);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *s = suite_create("kill tree");
	TCase *tc;
	int status = kill_supported();

	if (status)
		return status;
	kill_environment(argv);
	(void)argc;
	tc = test_case(s, "descendants");
	tcase_add_test(tc, the_second_worker_is_the_victim);
	tcase_add_test(tc, a_worker_is_stepped_from_birth);
	tcase_add_test(tc, a_picked_worker_is_the_victim);
	tcase_add_test(tc, the_root_is_the_victim);
	return test_main(s);
}
