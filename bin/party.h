/* SPDX-License-Identifier: MIT */
/*
 * The parties of an example: processes, or with --threads threads, that run the
 * same function.  So an example is written once, and the two can be compared.
 */
#ifndef IPCKIT_BIN_PARTY_H
#define IPCKIT_BIN_PARTY_H

#include <ipckit.h>

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* The exit status of a party that another one has let down by its death, of which the parent tells. */
#define PARTY_LET_DOWN 3

struct party {
	int (*fn)(void *arg); /* returns an exit status: 0, TOOL_FAILED after a message, PARTY_LET_DOWN */
	void *arg;
	bool daemon; /* a process that ends with its parent */
	/* The ends of pipes that a process keeps; NULL: all. */
	struct ipck_pipe *const *keep;
	size_t keep_count;
	bool together; /* set by parties_run_together */
	/* Filled in by parties_start. */
	struct ipck_process *process; /* NULL: a thread */
	pthread_t thread;
	char name[32];
	int status;
	bool ended; /* killed because another one failed: nothing to tell */
};

/*
 * Starts the parties, in order.  0, or TOOL_FAILED after a message: those that
 * had been started have ended then, processes by SIGTERM.
 */
int parties_start(struct party *party, size_t n, bool threads);

/*
 * Waits for all of them.  0 if each returned 0, else TOOL_FAILED; one that was
 * killed is told.  After SIGPIPE in one of them this process dies of it, too, as
 * a program that wrote to a closed pipe does.
 */
int parties_join(struct party *party, size_t n);

/* Both in one. */
int parties_run(struct party *party, size_t n, bool threads);

/*
 * The same for parties that wait for each other, at most 16: as soon as one fails
 * or is killed, the others end, too, who could wait for it for ever.
 */
#define TOGETHER_MAX 16
int parties_run_together(struct party *party, size_t n, bool threads);

/* The name of the party that calls: "Process-1", "Thread-1". */
const char *party_name(void);

#endif
