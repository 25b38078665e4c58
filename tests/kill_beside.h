/* SPDX-License-Identifier: MIT */
/* Processes that live beside the victim of a kill sweep. */
#ifndef TESTS_KILL_BESIDE_H
#define TESTS_KILL_BESIDE_H

#include <ipckit/deadline.h>

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "kill.h"
#include "support.h"

#define BESIDE_SWEEPS 127

/* A call that waits so long has failed. */
static inline struct ipck_deadline beside_far(void)
{
	return ipck_in_sec(15);
}

/* A process that runs fn(ctx, i), and dies with the one that began it. */
static inline pid_t beside_start(void (*fn)(void *ctx, unsigned i), void *ctx, unsigned i)
{
	pid_t parent = getpid(), pid = fork();

	kill_check(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	fn(ctx, i);
	_exit(0);
}

static inline void beside_stop(pid_t pid)
{
	kill_check(kill(pid, SIGSTOP) == 0);
	KILL_UNTIL(test_state(pid) == 'T');
}

static inline bool beside_is_dead(pid_t pid)
{
	char state = test_state(pid);

	return state == 'Z' || state == 0;
}

static inline void beside_kill(pid_t pid)
{
	kill_check(kill(pid, SIGKILL) == 0);
	KILL_UNTIL(beside_is_dead(pid));
}

/* Runs the sweeps, or the one named: without IPCK_LONG the first `few` only. */
static inline int beside_main(int argc, char **argv, struct kill_sweep *sweeps, size_t n, size_t few,
                              const struct kill_range *(*watch)(void *ctx, size_t *n))
{
	const struct kill_sweep *list[BESIDE_SWEEPS + 1] = {NULL};

	if (argc == 1 && !getenv("IPCK_LONG"))
		n = few;
	assert(n <= BESIDE_SWEEPS);
	for (size_t i = 0; i < n; i++) {
		sweeps[i].limit = 30;
		sweeps[i].watch = watch;
		sweeps[i].marked = true;
		list[i] = &sweeps[i];
	}
	return kill_main(argc, argv, list);
}

#endif
