/* SPDX-License-Identifier: MIT */
#include "proc/reset.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef HAVE_STDIO_EXT_H
#include <stdio_ext.h>
#endif

#include "base/compiler.h"

#ifdef __linux__
/* The kernel's own struct and call: libc's sigaction writes notes into memory that
 * a vforked child shares with its parent (sanitizers do). */
struct kernel_sigaction {
	uintptr_t handler;
	unsigned long flags;
	uintptr_t restorer;
	unsigned long mask[2];
};

void set_mask(const sigset_t *mask)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, NULL, (size_t)(NSIG - 1) / 8);
}

static bool is_caught(int sig)
{
	struct kernel_sigaction act;

	return syscall(SYS_rt_sigaction, sig, NULL, &act, (size_t)(NSIG - 1) / 8) == 0 &&
	       act.handler != (uintptr_t)SIG_DFL && act.handler != (uintptr_t)SIG_IGN;
}

static void set_default(int sig)
{
	static const struct kernel_sigaction none;

	syscall(SYS_rt_sigaction, sig, &none, NULL, (size_t)(NSIG - 1) / 8);
}
#else
static bool is_caught(int sig)
{
	struct sigaction act;

	return sigaction(sig, NULL, &act) == 0 && act.sa_handler != SIG_DFL && act.sa_handler != SIG_IGN;
}

static void set_default(int sig)
{
	struct sigaction none = {.sa_handler = SIG_DFL};

	sigaction(sig, &none, NULL);
}
#endif

/* By the parent: so many system calls take longer in a child that has just begun. */
uint64_t caught_signals(uint64_t among)
{
	uint64_t caught = 0;

	among &= ~(SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP));
	for (int sig = 1; among; sig++, among >>= 1)
		if (among & 1 && is_caught(sig))
			caught |= SIGNAL_BIT(sig);
	return caught;
}

void default_signals(uint64_t caught)
{
	for (int sig = 1; caught; sig++, caught >>= 1)
		if (caught & 1)
			set_default(sig);
}

/*
 * What a process writes after a fork costs a copy of its page, in the parent and in
 * each child; purging, flushing and locking write.  So look first.
 */
static bool has_output(FILE *stream)
{
#ifdef HAVE_STDIO_EXT_H
#ifdef __GLIBC__
	if (stream->_mode <= 0)
		return stream->_IO_write_ptr != stream->_IO_write_base;
#endif
	return __fpending(stream) > 0;
#else
	(void)stream;
	return true;
#endif
}

/* Standard output and error, if nobody is writing to them just now.  Never
 * fflush(NULL): it waits for who reads standard input. */
void stdio_flush(void)
{
	FILE *streams[] = {stdout, stderr};

	for (size_t i = 0; i < ARRAY_SIZE(streams); i++)
		if (has_output(streams[i]) && ftrylockfile(streams[i]) == 0) {
			fflush(streams[i]);
			funlockfile(streams[i]);
		}
}

void stdio_finish(void)
{
	if (has_output(stdout))
		fflush(stdout);
	if (has_output(stderr))
		fflush(stderr);
}

#ifdef HAVE_STDIO_EXT_H
/* Whether it has read more than it has given away, or something was put back. */
static bool has_input(FILE *stream)
{
#ifdef __GLIBC__
	return stream->_IO_read_ptr != stream->_IO_read_end || stream->_IO_save_base;
#else
	(void)stream;
	return true;
#endif
}
#endif

/* In the child: what was not flushed is the parent's to write, what was read ahead
 * the parent's to read. */
void stdio_forget(void)
{
#ifdef HAVE_STDIO_EXT_H
	if (has_output(stdout))
		__fpurge(stdout);
	if (has_output(stderr))
		__fpurge(stderr);
	if (has_input(stdin))
		__fpurge(stdin);
#endif
}
