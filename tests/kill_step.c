/* SPDX-License-Identifier: MIT */
/*
 * Stepping the victim of a kill sweep, counting its points, killing it at one.
 *
 * Outside of the markers it runs with PTRACE_SYSCALL, so that it stops at system
 * calls only, until it enters the one that is the marker.  Inside it runs with
 * PTRACE_SINGLESTEP; a system call is a step like others, that can sleep.
 */
#ifdef __x86_64__

#include "kill_step.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

/* Watched bytes */

static void watched_read(struct kill_victim *v, unsigned char *to)
{
	struct kill_watched *w = &v->watched;
	struct iovec local = {to, w->size};
	ssize_t n = w->size ? process_vm_readv(v->pid, &local, 1, w->ranges, w->n, 0) : 0;

	/* What is not mapped reads as zero. */
	if (n < 0)
		n = 0;
	memset(to + n, 0, w->size - n);
}

/* Asks for the ranges, and takes a first copy. */
static void watched_take(struct kill_victim *v)
{
	struct kill_watched *w = &v->watched;
	size_t n = 0, size = 0;
	const struct kill_range *ranges = v->s->watch ? v->s->watch(v->ctx, &n) : NULL;

	if (n > KILL_RANGES) {
		kill_fail(v->run, "%zu watched ranges are too many", n);
		n = KILL_RANGES;
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
	watched_read(v, w->was);
}

static bool watched_changed(struct kill_victim *v)
{
	struct kill_watched *w = &v->watched;
	unsigned char *is = w->is;

	watched_read(v, is);
	if (w->size == 0 || memcmp(w->was, is, w->size) == 0)
		return false;
	w->is = w->was;
	w->was = is;
	return true;
}

/* Stepping the victim */

/* Counts a point; kills if it is the one. */
static bool reach(struct kill_victim *v, enum kill_kind kind)
{
	bool call = kind == KILL_ENTER || kind == KILL_LEAVE || kind == KILL_ASLEEP;

	v->run->last = (struct kill_point){v->run->events++, kind, v->ip, call ? v->call : -1};
	if (v->run->last.number != v->run->target)
		return false;
	v->run->at = v->run->last;
	kill(v->pid, SIGKILL);
	return true;
}

static void resume(struct kill_victim *v, int signal)
{
	ptrace(v->stepping ? PTRACE_SINGLESTEP : PTRACE_SYSCALL, v->pid, 0, (long)signal);
}

/* Whether there is a `syscall` at this address of the victim. */
static bool is_call(struct kill_victim *v, uintptr_t ip)
{
	size_t slot = ip % KILL_CACHE;

	if (v->cache[slot].ip != ip) {
		long word = ptrace(PTRACE_PEEKTEXT, v->pid, ip, 0);

		v->cache[slot].ip = ip;
		v->cache[slot].call = (word & 0xffff) == 0x050f;
	}
	return v->cache[slot].call;
}

/* The marker that these registers are about to pass, or 0. */
static long marker(const struct user_regs_struct *regs, unsigned long long call)
{
	return call == SYS_getppid && regs->rdi == KILL_MAGIC ? (long)regs->rsi : 0;
}

/*
 * Tracer and victim on one CPU: waking each other across CPUs makes a step take
 * some times as long, the more so on a busy machine.
 */
static void pin(struct kill_victim *v)
{
	unsigned n = v->run->slot % CPU_COUNT(&v->cpus);
	cpu_set_t one;

	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &v->cpus) && n-- == 0)
			CPU_SET(cpu, &one);
	sched_setaffinity(v->pid, sizeof(one), &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static void unpin(struct kill_victim *v)
{
	sched_setaffinity(v->pid, sizeof(v->cpus), &v->cpus);
	sched_setaffinity(0, sizeof(v->cpus), &v->cpus);
}

/*
 * The kernel's page with the clock.  Reading it begins anew whenever the kernel has written
 * it meanwhile: on a busy machine, where steps are slower than that, it would never end.
 */
static bool in_clock_page(uintptr_t ip)
{
	uintptr_t start = getauxval(AT_SYSINFO_EHDR);

	return start != 0 && ip - start < 0x2000;
}

static bool break_at(struct kill_victim *v, uintptr_t address, unsigned long control)
{
	size_t at = offsetof(struct user, u_debugreg[0]), how = offsetof(struct user, u_debugreg[7]);

	return ptrace(PTRACE_POKEUSER, v->pid, at, address) == 0 && ptrace(PTRACE_POKEUSER, v->pid, how, control) == 0;
}

/* At the first instruction of a call there: runs it to its return.  False: that cannot be. */
static bool pass_clock_page(struct kill_victim *v)
{
	uintptr_t stack = ptrace(PTRACE_PEEKUSER, v->pid, offsetof(struct user_regs_struct, rsp), 0);

	if (!break_at(v, ptrace(PTRACE_PEEKDATA, v->pid, stack, 0), 1))
		return false;
	v->passing = true;
	ptrace(PTRACE_CONT, v->pid, 0, 0);
	return true;
}

/* At a stop between two instructions: what the next one is, and off. */
static void step_next(struct kill_victim *v)
{
	struct user_regs_struct regs;
	bool inside = in_clock_page(v->ip);

	v->ip = ptrace(PTRACE_PEEKUSER, v->pid, offsetof(struct user_regs_struct, rip), 0);
	if (!v->replaced && !inside && in_clock_page(v->ip) && pass_clock_page(v))
		return;
	if (is_call(v, v->ip) && ptrace(PTRACE_GETREGS, v->pid, 0, &regs) == 0) {
		if (marker(&regs, regs.rax) == KILL_END) {
			v->stepping = false;
			unpin(v);
		} else if (marker(&regs, regs.rax) != KILL_BEGIN) {
			v->call = regs.rax;
			if (reach(v, KILL_ENTER))
				return;
			v->in_call = true;
			v->asleep = false;
		}
	}
	resume(v, 0);
}

static void stepping_begins(struct kill_victim *v)
{
	pin(v);
	v->stepping = true;
	v->starting = false;
	v->ip = ptrace(PTRACE_PEEKUSER, v->pid, offsetof(struct user_regs_struct, rip), 0);
	watched_take(v);
	if (!reach(v, KILL_START))
		step_next(v);
}

/* Another program has other code at the same addresses. */
static void forget_code(struct kill_victim *v)
{
	if (v->call != SYS_execve && v->call != SYS_execveat)
		return;
	memset(v->cache, 0, sizeof(v->cache));
	v->replaced = true;
}

static void victim_stepped(struct kill_victim *v)
{
	if (v->starting) {
		stepping_begins(v);
		return;
	}
	if (v->passing) {
		v->passing = false;
		break_at(v, 0, 0);
	}
	if (v->in_call) {
		v->in_call = false;
		forget_code(v);
		watched_take(v);
		if (reach(v, KILL_LEAVE))
			return;
	} else if (watched_changed(v) && reach(v, KILL_CHANGE)) {
		return;
	}
	step_next(v);
}

/* At full speed the victim stops at its system calls only: is this the marker, entered (-ENOSYS)? */
static void victim_called(struct kill_victim *v)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, v->pid, 0, &regs) == 0 && (long)regs.rax == -ENOSYS &&
	    marker(&regs, regs.orig_rax) == KILL_BEGIN)
		v->stepping = v->starting = true;
	resume(v, 0);
}

void kill_victim_begins(struct kill_victim *v)
{
	bool from_birth = v->s->who == KILL_DESCENDANT && !v->s->marked;

	v->begun = true;
	sched_getaffinity(0, sizeof(v->cpus), &v->cpus);
	ptrace(PTRACE_SETOPTIONS, v->pid, 0, KILL_STEP_OPTIONS);
	if (from_birth)
		stepping_begins(v);
	else
		resume(v, 0);
}

void kill_victim_stopped(struct kill_victim *v, int status)
{
	int signal = WSTOPSIG(status), event = status >> 16;

	if (v->run->at.kind != KILL_NONE)
		return;
	if (event == PTRACE_EVENT_STOP && signal != SIGTRAP)
		ptrace(PTRACE_LISTEN, v->pid, 0, 0);
	else if (event && !v->begun)
		kill_victim_begins(v);
	else if (event)
		resume(v, 0);
	else if (signal == (SIGTRAP | 0x80))
		victim_called(v);
	else if (signal == SIGTRAP && v->stepping)
		victim_stepped(v);
	else
		resume(v, signal);
}

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

bool kill_victim_sleeps(struct kill_victim *v)
{
	if (!sleeping(v->pid))
		return false;
	v->asleep = true;
	reach(v, KILL_ASLEEP);
	return true;
}

void kill_victim_ended(struct kill_victim *v)
{
	v->in_call = false;
	if (v->begun)
		sched_setaffinity(0, sizeof(v->cpus), &v->cpus);
	free(v->watched.was);
	free(v->watched.is);
	v->watched = (struct kill_watched){0};
}

#endif
