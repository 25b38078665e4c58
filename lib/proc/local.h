/* SPDX-License-Identifier: MIT */
/*
 * What a process knows of itself, its parent and its children.  Private memory:
 * after a fork the child has a copy, which the fork hook resets.
 *
 * The lifeline is a pipe of which this process alone holds the write end, so the
 * kernel hangs it up when this process ends, however that happens.  All children
 * inherit the read end: to notice it (ipck_process_parent), and daemons to be
 * killed by it.  Who forks without us closes the write end in the fork hook, who
 * executes has it closed by close-on-exec.
 */
#ifndef PROC_LOCAL_H
#define PROC_LOCAL_H

#include <ipckit/process.h>
#include <pthread.h>

#define IDENTITY_SIZE 64
#define NAME_ROOM 64

enum process_kind { PROCESS_CHILD, PROCESS_SELF, PROCESS_PARENT };

struct ipck_process {
	/* Fixed at start. */
	enum process_kind kind;
	pid_t pid;
	int fd;           /* pidfd (portable: sentinel pipe), or -1: none; of the parent: its lifeline */
	const char *name; /* in the same allocation, or for ever */
	bool daemon, group;
	uint32_t epoch; /* of the process that may use the handle */
	size_t room;    /* behind it, for the name */

	/* Under local.mutex. */
	bool ended;    /* its status was taken, or is told to be lost */
	bool unreaped; /* ended, and left a zombie so that its group id stays taken */
	bool known;    /* code and signal are true */
	int code, signal;
	unsigned pins;             /* its user until close, and who waits for it at exit; 0: to be freed */
	struct ipck_process *next; /* children, oldest first */
};

struct process_local {
	pthread_mutex_t mutex; /* all below; never held while waiting for anything */
	struct ipck_process self, parent;
	struct ipck_process *children;
	struct ipck_process *spare;   /* memory for the next handle, or NULL */
	struct {
		struct ipck_process process;
		char name[NAME_ROOM];
	} first; /* the spare whenever it is free: it lies in a page that a start writes anyway */
	char identity[IDENTITY_SIZE]; /* "1:2": which child of which child; "" in the main process */
	unsigned started;             /* children so far, for their names */
	int lifeline[2];              /* -1 until the first start */
	int line;                     /* a daemon's own description of its parent's lifeline, else -1; kept over exec */
	int null;                     /* the null device, for most children's input; -1 until a start */
	bool null_unsure;             /* a foreign fork may have copied its number without it */
	int report[2];                /* of a spawn under way: its child writes why it cannot execute */
	int sentinel;                 /* portable: our write end towards the parent, else -1 */
};

extern struct process_local local;

void local_lock(void);
void local_unlock(void);

/* Under the mutex: pid and name of this process. */
void local_know_self(void);

/* Before each start, under the mutex: the atexit handler, and the lifeline. */
int local_prepare(void);

/*
 * In a child that we forked, before anything else: becomes that process.  name
 * and sentinel are taken over.  The parent's lifeline was kept for it.
 */
void local_become(const struct ipck_process *child, const char identity[IDENTITY_SIZE], int sentinel);

/* Around a fork of ours in this thread: the hook then keeps what our child needs. */
void local_forking(bool now);

/*
 * Ends a process' children: daemons get SIGTERM, after a grace SIGKILL; the others
 * are joined.  At exit, and at the end of a child's function.
 */
void local_end_children(void);

/* Whether it has ended; takes its status the first time.  Under the mutex. */
bool process_reap(struct ipck_process *p);

/* No mutex held: frees it if its user has closed it meanwhile. */
void process_unpin(struct ipck_process *p);

/* Under the mutex: gives up the memory and the descriptor of a handle. */
void process_free(struct ipck_process *p);

/* Under the mutex: a signal to a child, or to its whole group. */
int process_signal(struct ipck_process *p, int signal, bool group);

/* Makes this process' own lifeline. */
int lifeline_make(void);

/* A new description of the lifeline's read end, to be armed by one child. */
int lifeline_open(int *fd);

/*
 * In the child: from now on the kernel kills it (with `group`, its whole process
 * group) when the lifeline hangs up.  Returns false if it has hung up already, or
 * cannot be armed.
 * Async-signal-safe.
 */
bool lifeline_arm(int fd, bool group);

#endif
