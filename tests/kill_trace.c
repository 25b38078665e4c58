/* SPDX-License-Identifier: MIT */
/*
 * The tracer of a kill sweep: finds the victim among the descendants of the
 * root, and waits for what happens.
 *
 * Every process on the way to the victim is attached (PTRACE_SEIZE, inherited
 * over fork) and runs at full speed.  When the victim is born, the others are
 * interrupted once, and detached as they stop.  The new process' first stop and
 * its parent's fork event come in any order; a task is `known` after the second
 * and `fresh` until both.
 */
#include "kill_step.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __x86_64__

#include <sys/wait.h>
#include <time.h>

#define ASLEEP_NS 20000000
#define FOLLOW (PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL)

struct task {
	pid_t pid;
	unsigned generation, ordinal;
	bool thread, known, fresh, stopped;
};

struct tracer {
	struct kill_victim victim;
	pid_t root;
	int root_status;    /* -1: it runs */
	struct task *tasks; /* the attached, with the victim */
	size_t n;
	unsigned born; /* processes of the generation looked for */
};

/* Following births */

static struct task *find(struct tracer *t, pid_t pid)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->tasks[i].pid == pid)
			return &t->tasks[i];
	return NULL;
}

static struct task *add(struct tracer *t, pid_t pid)
{
	t->tasks = reallocarray(t->tasks, t->n + 1, sizeof(*t->tasks));
	if (!t->tasks)
		abort();
	t->tasks[t->n] = (struct task){.pid = pid, .fresh = true};
	return &t->tasks[t->n++];
}

static void drop(struct tracer *t, struct task *task)
{
	*task = t->tasks[--t->n];
}

static void detach(struct tracer *t, struct task *task, int signal)
{
	/* It fails for one that was killed meanwhile: then its end will be reported. */
	if (ptrace(PTRACE_DETACH, task->pid, 0, (long)signal) == 0)
		drop(t, task);
}

static void take_victim(struct tracer *t, struct task *task)
{
	t->victim.pid = task->pid;
	for (size_t i = 0; i < t->n; i++)
		if (t->tasks[i].pid != t->victim.pid)
			ptrace(PTRACE_INTERRUPT, t->tasks[i].pid, 0, 0);
	task->fresh = false;
	kill_victim_begins(&t->victim);
}

/* A task that is known, at its first stop. */
static void admit(struct tracer *t, struct task *task)
{
	task->fresh = false;
	if (t->victim.pid == 0 && task->ordinal && task->ordinal == t->victim.s->ordinal)
		take_victim(t, task);
	else if (t->victim.pid || task->ordinal)
		detach(t, task, 0);
	else
		ptrace(PTRACE_CONT, task->pid, 0, 0);
}

/* `parent` (an index: adding moves the tasks) has forked or made a thread. */
static void birth(struct tracer *t, size_t parent, bool thread)
{
	unsigned long pid;
	struct task *task;

	if (ptrace(PTRACE_GETEVENTMSG, t->tasks[parent].pid, 0, &pid) < 0)
		return;
	task = find(t, pid);
	if (!task)
		task = add(t, pid);
	task->known = true;
	task->thread = thread;
	task->generation = t->tasks[parent].generation + !thread;
	if (!thread && task->generation == t->victim.s->generation)
		task->ordinal = ++t->born;
	if (task->stopped)
		admit(t, task);
}

static void other_stopped(struct tracer *t, struct task *task, int status)
{
	int signal = WSTOPSIG(status), event = status >> 16;
	pid_t pid = task->pid;

	if (task->fresh) {
		task->stopped = true;
		if (task->known)
			admit(t, task);
		return;
	}
	if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE) {
		birth(t, task - t->tasks, event == PTRACE_EVENT_CLONE);
		task = find(t, pid);
	}
	if (t->victim.pid)
		detach(t, task, event ? 0 : signal);
	else if (event == PTRACE_EVENT_STOP && signal != SIGTRAP)
		ptrace(PTRACE_LISTEN, pid, 0, 0);
	else
		ptrace(PTRACE_CONT, pid, 0, event ? 0L : (long)signal);
}

/* The loop */ /* As waitpid(-1); 0 once the victim has slept in its system call for a while. */
static pid_t next_event(struct tracer *t, int *status)
{
	const struct timespec patience = {0, ASLEEP_NS};
	sigset_t child;
	pid_t pid;

	if (!t->victim.in_call || t->victim.asleep)
		return waitpid(-1, status, __WALL);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (;;) {
		pid = waitpid(-1, status, __WALL | WNOHANG);
		if (pid != 0)
			return pid;
		if (sigtimedwait(&child, NULL, &patience) < 0 && errno == EAGAIN && kill_victim_sleeps(&t->victim))
			return 0;
	}
}

static void ended(struct tracer *t, pid_t pid, int status)
{
	struct task *task = find(t, pid);

	if (task)
		drop(t, task);
	if (pid == t->root)
		t->root_status = status;
	if (pid == t->victim.pid)
		kill_victim_ended(&t->victim);
}

static void happened(struct tracer *t, pid_t pid, int status)
{
	struct task *task = find(t, pid);

	if (!WIFSTOPPED(status)) {
		ended(t, pid, status);
		return;
	}
	if (!task)
		task = add(t, pid);
	if (pid == t->victim.pid)
		kill_victim_stopped(&t->victim, status);
	else
		other_stopped(t, task, status);
}

static void attach(struct tracer *t, pid_t pid, long options)
{
	struct task *task;

	if (ptrace(PTRACE_SEIZE, pid, 0, options) < 0 || ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0) {
		/* One that pick() named may have gone already. */
		if (errno != ESRCH)
			kill_fail(t->victim.run, "cannot trace: %s", strerror(errno));
		return;
	}
	task = add(t, pid);
	task->known = true;
}

static void let_go(int go)
{
	if (write(go, "", 1) != 1)
		abort();
}

/* Waits for pick() to name the victim, or for the root to end without. */
static void attach_picked(struct tracer *t)
{
	int status;
	pid_t pid;

	while (t->root_status < 0 && (t->victim.pid = t->victim.s->pick(t->victim.ctx)) == 0) {
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			ended(t, pid, status);
		usleep(100);
	}
	if (t->victim.pid)
		attach(t, t->victim.pid, KILL_STEP_OPTIONS);
}

void kill_trace(const struct kill_sweep *s, void *ctx, struct kill_run *run, pid_t root, int go, int *root_status)
{
	struct tracer *t = calloc(1, sizeof(*t));
	int status;

	if (!t)
		abort();
	*t = (struct tracer){.victim = {.s = s, .ctx = ctx, .run = run}, .root = root, .root_status = -1};
	if (s->who == KILL_DESCENDANT && s->pick) {
		let_go(go);
		attach_picked(t);
	} else {
		t->victim.pid = s->who == KILL_DESCENDANT ? 0 : root;
		attach(t, root, t->victim.pid ? KILL_STEP_OPTIONS : FOLLOW);
		let_go(go);
	}
	while (t->n > 0) {
		pid_t pid = next_event(t, &status);

		if (pid > 0)
			happened(t, pid, status);
		else if (pid < 0 && errno != EINTR)
			break;
	}
	*root_status = t->root_status;
	free(t->tasks);
	free(t);
}

int kill_supported(void)
{
	return 0;
}

#else

void kill_trace(const struct kill_sweep *s, void *ctx, struct kill_run *run, pid_t root, int go, int *root_status)
{
	(void)s, (void)ctx, (void)root, (void)go;
	*root_status = -1;
	kill_fail(run, "kill sweeps know the x86-64 only");
}

int kill_supported(void)
{
	fprintf(stderr, "kill sweeps know the x86-64 only\n");
	return 77;
}

#endif
