/* SPDX-License-Identifier: MIT */
/*
 * The worker's part of ipc-pool exec: runs the command with one group of items
 * and gives what became of it, with its output.
 */
#ifndef IPCKIT_BIN_EXEC_WORKER_H
#define IPCKIT_BIN_EXEC_WORKER_H

#include <ipckit.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "exec_argv.h"

/* Written by all processes. */
struct exec_shared {
	_Atomic int halted; /* a run failed, and no new one is to begin */
	_Atomic uint64_t finished;
};

/* What the workers must know, set before they are forked. */
struct exec_plan {
	const struct exec_template *command;
	const char *directory; /* of temporary files */
	long retries;          /* of a run that failed */
	bool halt;
	bool ignores_int, ignores_quit; /* so the commands do, too */
	struct rlimit files;            /* of the commands */
	int null;                       /* the null device */
	int socket;                     /* takes the files of large outputs (exec_flight.h) */
	int bell;                       /* gets a byte at the end of each run */
	struct exec_shared *shared;
};

enum exec_end {
	EXEC_EXITED,      /* value: its exit code */
	EXEC_SIGNALED,    /* value: the signal that killed it */
	EXEC_NOT_STARTED, /* value: the error that kept it from starting */
	EXEC_NO_OUTPUT,   /* value: the error that lost its output */
	EXEC_NOT_RUN,     /* halted before */
};

/* A result; the bytes of both outputs follow unless their files were sent. */
struct exec_result {
	enum exec_end end;
	int value;
	uint64_t size[2]; /* of output and errors */
	bool sent;
};

/* The pool's init, given an exec_plan, and its task, given an exec_group. */
int exec_init(void *plan);
int exec_run(const void *group, size_t size, const void *arg, struct ipck_result *result);

#endif
