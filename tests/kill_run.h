/* SPDX-License-Identifier: MIT */
/* Between the files of the kill sweep: one run. */
#ifndef TESTS_KILL_RUN_H
#define TESTS_KILL_RUN_H

#include "kill.h"

#include <signal.h>

/* For syscall(SYS_getppid, KILL_MAGIC, which): nobody else passes it arguments. */
#define KILL_MAGIC 0x6b696c6c
#define KILL_BEGIN 1
#define KILL_END 2

/* What the names of a run begin with: the pid of the sweep, the slot. */
#define KILL_NAME "t%d.%u."

/*
 * Shared by all processes of the run and the sweep that started it.  Written by
 * the scenario process, but for `failed`, `message` (the first to fail), `phase`
 * and the last check (any process).
 */
struct kill_run {
	pid_t sweep;            /* who started it */
	unsigned slot;          /* which of the runs at one time */
	unsigned target;        /* the point to kill at */
	unsigned events;        /* points reached */
	struct kill_point last; /* the last of them */
	struct kill_point at;   /* where it was killed; KILL_NONE: it was not */
	const char *phase;      /* for the report of a hang */
	const char *file;       /* the last kill_check that held */
	int line;
	int failed;
	char message[256];
};

/* The factor on deadlines: IPCK_TIMEOUT_SCALE. */
double kill_scale(void);

/* Makes this process the run's scenario; `mask` is for its processes. */
void kill_scenario(const struct kill_sweep *s, struct kill_run *run, const sigset_t *mask) __attribute__((noreturn));

/* Fails the run, with the first message. */
void kill_fail(struct kill_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Follows `root`, which waits to be let go by a byte into fd `go`, to the death
 * of the victim, and kills it at run->target.  *root_status is root's wait status if it
 * ended, else -1.
 */
void kill_trace(const struct kill_sweep *s, void *ctx, struct kill_run *run, pid_t root, int go, int *root_status);

#endif
