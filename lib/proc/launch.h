/* SPDX-License-Identifier: MIT */
/*
 * What start and spawn share: everything that can fail is had by the parent
 * before the child exists (launch_prepare), and put in place by the child with
 * calls that cannot fail then (launch_apply).
 */
#ifndef PROC_LAUNCH_H
#define PROC_LAUNCH_H

#include <signal.h>

#include "proc/local.h"

/* What the ways of starting differ in. */
struct launch_kind {
	int stdio[3];     /* what the options' `stdio` is by default */
	uint64_t signals; /* the parent's handlers of these are not the child's; see proc/reset.h */
	bool watched;     /* has a sentinel; without, who starts it asks for it, and nobody else reaps it */
	bool listed;      /* one of ipck_process_children; else who starts it ends it */
};

#define FUNCTION_STDIO {IPCK_STDIO_NULL, IPCK_STDIO_INHERIT, IPCK_STDIO_INHERIT}

struct launch {
	const struct launch_kind *kind;
	struct ipck_process *process; /* the handle to be */
	struct ipck_process_opts opts;
	char identity[IDENTITY_SIZE];
	int stdio[3];    /* close-on-exec duplicates above 2, or -1: as it is */
	int cwd;         /* of the directory, or -1 */
	int line;        /* a daemon's own description of the lifeline, or -1 */
	int sentinel[2]; /* portable: instead of a pidfd; else -1 */
	sigset_t mask;   /* the caller's, if caught */
	uint64_t caught; /* signals whose handlers it is not to have */
};

/* Under the local mutex.  All signals are blocked on success, if there are handlers
 * to be reset: none is to run in the child before. */
int launch_prepare(struct launch *launch, const struct ipck_process_opts *opts, const struct launch_kind *kind);

/*
 * In the child, no signal to be caught: group, directory, standard streams, lifeline,
 * caught signals to default.  launch_unblock is still to come.  Only
 * async-signal-safe system calls: after vfork the parent's memory is in use.
 */
void launch_apply(const struct launch *launch);

/* Restores the caller's mask, in both. */
void launch_unblock(const struct launch *launch);

/*
 * In the parent, with the child's pid or a negative error: gives back what the
 * parent needs no more, restores the mask and, if wanted, enters the child into
 * the table.
 * Returns 0 with *out set, or the error, nothing left.
 */
int launch_finish(struct launch *launch, pid_t pid, struct ipck_process **out);

/* The duplicates for the standard streams; the shared null device stays open. */
void launch_close_stdio(struct launch *launch);

#endif
