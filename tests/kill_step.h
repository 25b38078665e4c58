/* SPDX-License-Identifier: MIT */
/* The victim of a run, under the tracer: kill_step.c steps it, kill_trace.c finds it and waits. */
#ifndef TESTS_KILL_STEP_H
#define TESTS_KILL_STEP_H

#include "kill_run.h"

#include <sched.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#define KILL_RANGES 64
#define KILL_CACHE 4096
#define KILL_STEP_OPTIONS (PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD)

/* The watched bytes: where they are in the victim, as they were, as they are. */
struct kill_watched {
	struct iovec ranges[KILL_RANGES];
	size_t n, size;
	unsigned char *was, *is;
};

struct kill_victim {
	const struct kill_sweep *s;
	void *ctx;
	struct kill_run *run;
	pid_t pid;     /* 0: not born yet */
	bool begun;    /* its first stop has been */
	bool stepping; /* else at full speed, to the next marker */
	bool starting; /* the marker's own call is being stepped */
	bool in_call;  /* the step is a system call */
	bool asleep;   /* that has been reported to sleep */
	bool passing;  /* the step is a whole call of the kernel's page */
	bool replaced; /* it runs another program, with that page elsewhere */
	uintptr_t ip;  /* the instruction being stepped */
	long call;     /* the number of its system call */
	cpu_set_t cpus;
	struct kill_watched watched;
	struct {
		uintptr_t ip;
		bool call;
	} cache[KILL_CACHE];
};

/* It is at its first stop. */
void kill_victim_begins(struct kill_victim *v);

/* waitpid() says that it has stopped. */
void kill_victim_stopped(struct kill_victim *v, int status);

/* Whether it sleeps in its system call now; then that is counted. */
bool kill_victim_sleeps(struct kill_victim *v);

/* It has ended. */
void kill_victim_ended(struct kill_victim *v);

#endif
