/* SPDX-License-Identifier: MIT */
/*
 * The tracer of a kill sweep: finds the victim among the descendants of the
 * root, steps it and kills it at its point.  All by ptrace(2).
 *
 * Every process on the way to the victim is attached (PTRACE_SEIZE, inherited
 * over fork) and runs at full speed.  When the victim is born, the others are
 * interrupted once, and detached as they stop.  The new process' first stop and
 * its parent's fork event come in any order; a task is `known` after the second
 * and `fresh` until both.
 */
#include "kill_run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __x86_64__

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>

#define ASLEEP_NS 20000000
#define RANGES 64
#define CACHE 4096
#define FOLLOW (PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL)
#define STEP (PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD)

struct task {
	pid_t pid;
	unsigned generation, ordinal;
	bool thread, known, fresh, stopped;
};

/* The watched bytes: where they are in the victim, as they were, as they are. */
struct watched {
	struct iovec ranges[RANGES];
	size_t n, size;
	unsigned char *was, *is;
};

struct tracer {
	const struct kill_sweep *s;
	void *ctx;
	struct kill_run *run;
	pid_t root, victim; /* victim 0: not born yet */
	int root_status;
	struct task *tasks; /* the attached, with the victim */
	size_t n;
	unsigned born; /* processes of the generation looked for */
	bool stepping; /* else at full speed, to the next marker */
	bool starting; /* the marker's own call is being stepped */
	bool in_call;  /* the step is a system call */
	bool asleep;   /* that has been reported to sleep */
	uintptr_t ip;  /* the instruction being stepped */
	long call;     /* the number of its system call */
	struct watched watched;
	struct {
		uintptr_t ip;
		bool call;
	} cache[CACHE];
};

/* Watched bytes */

static void watched_read(struct tracer *t, unsigned char *to)
{
	struct watched *w = &t->watched;
	struct iovec local = {to, w->size};
	ssize_t n = w->size ? process_vm_readv(t->victim, &local, 1, w->ranges, w->n, 0) : 0;

	/* What is not mapped reads as zero. */
	if (n < 0)
		n = 0;
	memset(to + n, 0, w->size - n);
}

/* Asks for the ranges, and takes a first copy. */
static void watched_take(struct tracer *t)
{
	struct watched *w = &t->watched;
	size_t n = 0, size = 0;
	const struct kill_range *ranges = t->s->watch ? t->s->watch(t->ctx, &n) : NULL;

	if (n > RANGES) {
		kill_fail(t->run, "%zu watched ranges are too many", n);
		n = RANGES;
	}
	for (size_t i = 0; i < n; i++) {
		w->ranges[i] = (struct iovec){ranges[i].start, ranges[i].size};
		size += ranges[i].size;
	}
	if (size > w->size) {
		w->was = realloc(w->was, size);
		w->is = realloc(w->is, size);
		if (!w->was || !w->is)
			abort();
	}
	w->n = n;
	w->size = size;
	watched_read(t, w->was);
}

static bool watched_changed(struct tracer *t)
{
	struct watched *w = &t->watched;
	unsigned char *is = w->is;

	watched_read(t, is);
	if (w->size == 0 || memcmp(w->was, is, w->size) == 0)
		return false;
	w->is = w->was;
	w->was = is;
	return true;
}

/* Stepping the victim */

/* Counts a point; kills if it is the one. */
static bool reach(struct tracer *t, enum kill_kind kind)
{
	bool call = kind == KILL_ENTER || kind == KILL_LEAVE || kind == KILL_ASLEEP;

	t->run->last = (struct kill_point){t->run->events++, kind, t->ip, call ? t->call : -1};
	if (t->run->last.number != t->run->target)
		return false;
	t->run->at = t->run->last;
	kill(t->victim, SIGKILL);
	return true;
}

static void resume(struct tracer *t, int signal)
{
	ptrace(t->stepping ? PTRACE_SINGLESTEP : PTRACE_SYSCALL, t->victim, 0, (long)signal);
}

/* Whether there is a `syscall` at this address of the victim. */
static bool is_call(struct tracer *t, uintptr_t ip)
{
	size_t slot = ip % CACHE;

	if (t->cache[slot].ip != ip) {
		long word = ptrace(PTRACE_PEEKTEXT, t->victim, ip, 0);

		t->cache[slot].ip = ip;
		t->cache[slot].call = (word & 0xffff) == 0x050f;
	}
	return t->cache[slot].call;
}

/* The marker that these registers are about to pass, or 0. */
static long marker(const struct user_regs_struct *regs, unsigned long long call)
{
	return call == SYS_getppid && regs->rdi == KILL_MAGIC ? (long)regs->rsi : 0;
}

/* At a stop between two instructions: what the next one is, and off. */
static void step_next(struct tracer *t)
{
	struct user_regs_struct regs;

	t->ip = ptrace(PTRACE_PEEKUSER, t->victim, offsetof(struct user_regs_struct, rip), 0);
	if (is_call(t, t->ip) && ptrace(PTRACE_GETREGS, t->victim, 0, &regs) == 0) {
		if (marker(&regs, regs.rax) == KILL_END) {
			t->stepping = false;
		} else if (marker(&regs, regs.rax) != KILL_BEGIN) {
			t->call = regs.rax;
			if (reach(t, KILL_ENTER))
				return;
			t->in_call = true;
			t->asleep = false;
		}
	}
	resume(t, 0);
}

static void stepping_begins(struct tracer *t)
{
	t->stepping = true;
	t->starting = false;
	t->ip = ptrace(PTRACE_PEEKUSER, t->victim, offsetof(struct user_regs_struct, rip), 0);
	watched_take(t);
	if (!reach(t, KILL_START))
		step_next(t);
}

/* Another program has other code at the same addresses. */
static void forget_code(struct tracer *t)
{
	if (t->call == SYS_execve || t->call == SYS_execveat)
		memset(t->cache, 0, sizeof(t->cache));
}

static void victim_stepped(struct tracer *t)
{
	if (t->starting) {
		stepping_begins(t);
		return;
	}
	if (t->in_call) {
		t->in_call = false;
		forget_code(t);
		watched_take(t);
		if (reach(t, KILL_LEAVE))
			return;
	} else if (watched_changed(t) && reach(t, KILL_CHANGE)) {
		return;
	}
	step_next(t);
}

/* At full speed the victim stops at its system calls only: is this the marker, entered (-ENOSYS)? */
static void victim_called(struct tracer *t)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, t->victim, 0, &regs) == 0 && (long)regs.rax == -ENOSYS &&
	    marker(&regs, regs.orig_rax) == KILL_BEGIN)
		t->stepping = t->starting = true;
	resume(t, 0);
}

static void victim_begins(struct tracer *t, struct task *task)
{
	bool from_birth = t->s->who == KILL_DESCENDANT && !t->s->marked;

	task->fresh = false;
	ptrace(PTRACE_SETOPTIONS, t->victim, 0, STEP);
	if (from_birth)
		stepping_begins(t);
	else
		resume(t, 0);
}

static void victim_stopped(struct tracer *t, struct task *task, int status)
{
	int signal = WSTOPSIG(status), event = status >> 16;

	if (t->run->at.kind != KILL_NONE)
		return;
	if (event == PTRACE_EVENT_STOP && signal != SIGTRAP)
		ptrace(PTRACE_LISTEN, t->victim, 0, 0);
	else if (event && task->fresh)
		victim_begins(t, task);
	else if (event)
		resume(t, 0);
	else if (signal == (SIGTRAP | 0x80))
		victim_called(t);
	else if (signal == SIGTRAP && t->stepping)
		victim_stepped(t);
	else
		resume(t, signal);
}

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
	t->victim = task->pid;
	for (size_t i = 0; i < t->n; i++)
		if (t->tasks[i].pid != t->victim)
			ptrace(PTRACE_INTERRUPT, t->tasks[i].pid, 0, 0);
	victim_begins(t, task);
}

/* A task that is known, at its first stop. */
static void admit(struct tracer *t, struct task *task)
{
	task->fresh = false;
	if (t->victim == 0 && task->ordinal && task->ordinal == t->s->ordinal)
		take_victim(t, task);
	else if (t->victim || task->ordinal)
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
	if (!thread && task->generation == t->s->generation)
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
	if (t->victim)
		detach(t, task, event ? 0 : signal);
	else if (event == PTRACE_EVENT_STOP && signal != SIGTRAP)
		ptrace(PTRACE_LISTEN, pid, 0, 0);
	else
		ptrace(PTRACE_CONT, pid, 0, event ? 0L : (long)signal);
}

/* The loop */

static bool sleeping(pid_t pid)
{
	char path[64], text[256], *end;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	end = strrchr(text, ')');
	return end && end[1] && (end[2] == 'S' || end[2] == 'D');
}

/* As waitpid(-1); 0 once the victim has slept in its system call for a while. */
static pid_t next_event(struct tracer *t, int *status)
{
	const struct timespec patience = {0, ASLEEP_NS};
	sigset_t child;
	pid_t pid;

	if (!t->in_call || t->asleep)
		return waitpid(-1, status, __WALL);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (;;) {
		pid = waitpid(-1, status, __WALL | WNOHANG);
		if (pid != 0)
			return pid;
		if (sigtimedwait(&child, NULL, &patience) < 0 && errno == EAGAIN && sleeping(t->victim))
			return 0;
	}
}

static void victim_sleeps(struct tracer *t)
{
	t->asleep = true;
	reach(t, KILL_ASLEEP);
}

static void ended(struct tracer *t, pid_t pid, int status)
{
	struct task *task = find(t, pid);

	if (task)
		drop(t, task);
	if (pid == t->root)
		t->root_status = status;
	if (pid == t->victim)
		t->in_call = false;
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
	if (pid == t->victim)
		victim_stopped(t, task, status);
	else
		other_stopped(t, task, status);
}

static void attach(struct tracer *t, pid_t pid, long options)
{
	struct task *task;

	if (ptrace(PTRACE_SEIZE, pid, 0, options) < 0 || ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0) {
		/* One that pick() named may have gone already. */
		if (errno != ESRCH)
			kill_fail(t->run, "cannot trace: %s", strerror(errno));
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

	while (t->root_status < 0 && (t->victim = t->s->pick(t->ctx)) == 0) {
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			ended(t, pid, status);
		usleep(100);
	}
	if (t->victim)
		attach(t, t->victim, STEP);
}

void kill_trace(const struct kill_sweep *s, void *ctx, struct kill_run *run, pid_t root, int go, int *root_status)
{
	struct tracer *t = calloc(1, sizeof(*t));
	int status;

	if (!t)
		abort();
	*t = (struct tracer){.s = s, .ctx = ctx, .run = run, .root = root, .root_status = -1};
	if (s->who == KILL_DESCENDANT && s->pick) {
		let_go(go);
		attach_picked(t);
	} else {
		t->victim = s->who == KILL_DESCENDANT ? 0 : root;
		attach(t, root, t->victim ? STEP : FOLLOW);
		let_go(go);
	}
	while (t->n > 0) {
		pid_t pid = next_event(t, &status);

		if (pid == 0)
			victim_sleeps(t);
		else if (pid > 0)
			happened(t, pid, status);
		else if (errno != EINTR)
			break;
	}
	*root_status = t->root_status;
	free(t->watched.was);
	free(t->watched.is);
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
