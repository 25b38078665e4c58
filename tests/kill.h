/* SPDX-License-Identifier: MIT */
/*
 * The kill sweep: proof that a process may be killed at any instruction.
 *
 * A sweep runs one scenario again and again, each time in fresh processes, and
 * kills the victim at point 0, then at point 1, and so on, until a run in which
 * the victim ends before its point is reached.  After each kill the survivors
 * prove that nothing is lost, half-written or stuck.
 *
 * Points.  The victim is single-stepped.  What others can see of it changes only
 * by a store into shared memory or a system call, so points are the states
 * between these, counted as they are reached in that run:
 *
 *	start   stepping begins, nothing has happened
 *	change  an instruction has changed the watched bytes
 *	enter   the next instruction is a system call
 *	leave   the system call has returned (it may have changed watched bytes)
 *	asleep  the system call has slept for 20 ms; it is killed in its sleep
 *
 * "Before a store" needs no point of its own: for all others it is the same
 * state as the point that precedes it.  A `rep movs` is a step per element.
 * Another process' store into the watched bytes during a step counts as a change
 * too; then the number of points differs from run to run, which does no harm.
 *
 * Processes.  Each run has a *scenario* process, which calls setup() and is the
 * tracer, and below it the *root* process, which calls victim().  All that it
 * forks is followed at full speed.
 *
 *	who              victim                       survive() runs
 *	KILL_CHILD       the root                     in the scenario
 *	KILL_SELF        the root                     in the scenario, once all that
 *	                                              the root had started has ended
 *	KILL_DESCENDANT  a process below the root:    in the root, after victim()
 *	                 pick(ctx), or the ordinal-th
 *	                 born of a generation
 *
 * Writing a sweep:
 *
 *	struct pair { int a, b; };
 *
 *	static void *setup(void) { return kill_shared(sizeof(struct pair)); }
 *	static void victim(void *ctx) { pair_set(ctx, 1); }
 *	static const struct kill_range *watch(void *ctx, size_t *n)
 *	{
 *		static struct kill_range range;
 *
 *		range = (struct kill_range){ctx, sizeof(struct pair)};
 *		*n = 1;
 *		return &range;
 *	}
 *	static void survive(void *ctx, const struct kill_point *point)
 *	{
 *		struct pair *p = ctx;
 *
 *		kill_check(p->a == p->b);
 *		kill_check(point->kind != KILL_NONE || p->a == 1);
 *	}
 *	static const struct kill_sweep pair = {
 *		.name = "pair", .setup = setup, .victim = victim, .survive = survive, .watch = watch,
 *	};
 *	static const struct kill_sweep *const sweeps[] = {&pair, NULL};
 *	int main(int argc, char **argv) { return kill_main(argc, argv, sweeps); }
 *
 * setup() makes the shared state; what is mapped there has the same address in
 * all processes.  Put what the root learns later (a pool's memory, pids) into
 * memory of kill_shared(), where watch() and pick(), which run in the scenario
 * process, can read it; the ranges are addresses in the victim.  Watch what is
 * small: all of it is read at each step.  The smaller the operation, the better
 * the sweep: a run costs about 16 us a step, a sweep the square of that.
 *
 * The victim's own kill_begin() and kill_end() bound what is stepped, if .marked
 * says so; before and between it runs at full speed.  Without .marked that is
 * victim() for the root, and the whole life of a descendant.
 *
 * survive() must use deadlines.  It asserts by kill_check() that the operation
 * happened wholly or not at all, that every other operation works, that the
 * object's own check finds its invariants.  point->kind is KILL_NONE if nothing
 * was killed (yet): then it did happen.  A run ends when all of its processes
 * have ended, and fails if they do not.
 *
 * All points are swept with IPCK_LONG=1.  Without, kill_main() and kill_sweep_run() sweep
 * a .share: one run counts the points, then it is killed at so many of them, spread
 * evenly, and at other ones each time; at all if there are no more.  So what a sweep costs
 * in `make check` does not grow with the square of the operation.  With .max_runs
 * nothing is counted: the share is of the points that so many runs would reach.
 *
 * Where system calls alone change what others see, others see the same when one has
 * returned and when the next begins: with .each_state the share is of every other point,
 * so of the states.
 *
 * To look into a failure: PROGRAM NAME POINT runs this point alone.
 */
#ifndef TESTS_KILL_H
#define TESTS_KILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum kill_kind { KILL_NONE, KILL_START, KILL_CHANGE, KILL_ENTER, KILL_LEAVE, KILL_ASLEEP, KILL_KINDS };
enum kill_who { KILL_CHILD, KILL_SELF, KILL_DESCENDANT };

struct kill_point {
	unsigned number;
	enum kill_kind kind;
	uintptr_t address; /* of the instruction: the last one run; for enter, of the call */
	long call;         /* enter, leave, asleep: number of the system call */
};

struct kill_range {
	void *start; /* in the victim */
	size_t size;
};

struct kill_sweep {
	const char *name;
	void *(*setup)(void);
	void (*victim)(void *ctx);
	void (*survive)(void *ctx, const struct kill_point *point);
	const struct kill_range *(*watch)(void *ctx, size_t *n); /* asked at start and after system calls */
	enum kill_who who;
	pid_t (*pick)(void *ctx); /* descendant: its pid, 0 until it is born; NULL: by the next two */
	unsigned generation;      /* 1: children of the root, 2: their children */
	unsigned ordinal;         /* which of that generation, from 1, in order of birth */
	bool marked;              /* kill_begin() and kill_end() say what is stepped */
	unsigned full, stride;    /* points 0..full-1 all, then each stride-th; stride 0: all */
	unsigned max_runs;        /* and no more than these; 0: no bound */
	unsigned share;           /* so many points of these; 0: see above */
	bool each_state;          /* see above */
	double limit;             /* seconds for a run, 0: 10 */
};

struct kill_result {
	unsigned runs, points, failures;
	unsigned all;               /* of a share: the points that there are */
	unsigned kinds[KILL_KINDS]; /* points of each kind */
	char text[2048];            /* a line for each of the first failures */
};

/* Runs the sweeps of this NULL-terminated list, or the one named, gives the exit status. */
int kill_main(int argc, char **argv, const struct kill_sweep *const *sweeps);

/* Runs one, prints its figures and failures: 0, or -1 if anything failed or nothing was swept. */
int kill_sweep_run(const struct kill_sweep *s);

/* The same without printing. */
int kill_sweep_try(const struct kill_sweep *s, struct kill_result *result);

/*
 * Starts this program again with the environment in which a step is a step: no
 * lazy binding, no copies by one long instruction.  Called by kill_main.
 */
void kill_environment(char **argv);

/* Whether this machine can be swept: an exit status, 0, or 77 after a message. Called by kill_main. */
int kill_supported(void);

/* In the victim: from here on count and step; no longer. */
void kill_begin(void);
void kill_end(void);

/* Zeroed shared memory, until the end of the run. */
void *kill_shared(size_t size);

/* A shm name of this run; it is removed after it.  Static. */
const char *kill_name(const char *label);

/* In any process of a run: fails the run, and ends that process. */
#define kill_check(cond) ((cond) ? kill_passed(__FILE__, __LINE__) : kill_failed(__FILE__, __LINE__, #cond))
void kill_passed(const char *file, int line);
void kill_failed(const char *file, int line, const char *text) __attribute__((noreturn));

/* Waits until the condition holds, at most some seconds. */
#define KILL_UNTIL(cond) \
	do { \
		for (int tries_ = 0; !(cond); tries_++) \
			if (!kill_retry(tries_)) \
				kill_failed(__FILE__, __LINE__, #cond " (in the end)"); \
		kill_passed(__FILE__, __LINE__); \
	} while (0)
bool kill_retry(int tries);

#endif
