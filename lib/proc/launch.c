/* SPDX-License-Identifier: MIT */
#include "proc/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef HAVE_STDIO_EXT_H
#include <stdio_ext.h>
#endif

#include "base/compiler.h"
#include "base/fork.h"
#include "base/io.h"
#include "base/name.h"
#include "proc/local.h"

static struct ipck_process *make_process(struct launch *l)
{
	struct ipck_process *p = calloc(1, sizeof(*p));
	int n;

	if (!p)
		return NULL;
	snprintf(l->identity, sizeof(l->identity), "%.40s%s%u", local.identity, *local.identity ? ":" : "",
	         local.started + 1);
	n = l->opts.name ? asprintf(&p->name, "%s", l->opts.name) : asprintf(&p->name, "Process-%s", l->identity);
	if (n < 0) {
		free(p);
		return NULL;
	}
	p->kind = PROCESS_CHILD;
	p->pins = 1;
	p->fd = -1;
	p->daemon = l->opts.daemon || local.self.daemon;
	p->group = l->opts.group;
	p->epoch = fork_epoch();
	return p;
}

static int open_stdio(int wanted, int target, int *fd)
{
	if (wanted == IPCK_STDIO_INHERIT)
		return 0;
	if (wanted != IPCK_STDIO_NULL)
		return io_dup_to(wanted, fd);
	if (target != 0)
		return io_open("/dev/null", O_WRONLY, fd);
	*fd = local.null;
	return 0;
}

static int open_cwd(const char *cwd, int *fd)
{
	char *inside;
	int rc;

	if (!*cwd)
		return -ENOENT;
	/* "." inside it: looked up only if the directory may be entered. */
	if (asprintf(&inside, "%s/.", cwd) < 0)
		return -ENOMEM;
	rc = io_open(inside, O_PATH | O_DIRECTORY, fd);
	free(inside);
	return rc;
}

void launch_close_stdio(struct launch *l)
{
	for (int i = 0; i < 3; i++) {
		if (l->stdio[i] == local.null)
			l->stdio[i] = -1;
		io_close(&l->stdio[i]);
	}
}

static void release(struct launch *l)
{
	launch_close_stdio(l);
	io_close(&l->cwd);
	io_close(&l->line);
	io_close(&l->sentinel[1]);
}

static void discard(struct launch *l)
{
	release(l);
	io_close(&l->sentinel[0]);
	if (l->process)
		free(l->process->name);
	free(l->process);
}

static int open_all(struct launch *l, const int defaults[3])
{
	const int *wanted = l->opts.stdio ? l->opts.stdio : defaults;
	int rc = local.null >= 0 ? 0 : io_open("/dev/null", O_RDONLY, &local.null);

	for (int i = 0; rc == 0 && i < 3; i++)
		rc = open_stdio(wanted[i], i, &l->stdio[i]);
	if (rc == 0 && l->opts.cwd)
		rc = open_cwd(l->opts.cwd, &l->cwd);
	if (rc == 0 && l->process->daemon)
		rc = lifeline_open(&l->line);
#ifndef HAVE_PIDFD
	if (rc == 0)
		rc = io_pipe(l->sentinel);
#endif
	return rc;
}

int launch_prepare(struct launch *l, const struct ipck_process_opts *opts, const int defaults[3])
{
	sigset_t all;
	int rc;

	*l = (struct launch){.stdio = {-1, -1, -1}, .cwd = -1, .line = -1, .sentinel = {-1, -1}};
	rc = opts_copy(&l->opts, sizeof(l->opts), opts);
	if (rc == 0)
		rc = local_prepare();
	if (rc < 0)
		return rc;
	l->process = make_process(l);
	rc = l->process ? open_all(l, defaults) : -ENOMEM;
	if (rc < 0) {
		discard(l);
		return rc;
	}
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &l->mask);
	return 0;
}

/* The real-time signals stay as they are: asking for 33 more costs as much as the
 * rest of the start. */
#define STANDARD_SIGNALS 32

#ifdef __linux__
/* The kernel's own struct and call: libc's sigaction writes notes into memory that
 * a vforked child shares with its parent (sanitizers do). */
struct kernel_sigaction {
	uintptr_t handler;
	unsigned long flags;
	uintptr_t restorer;
	unsigned long mask[2];
};

static void default_signals(void)
{
	struct kernel_sigaction act, none = {0};

	for (int sig = 1; sig < STANDARD_SIGNALS; sig++) {
		if (syscall(SYS_rt_sigaction, sig, NULL, &act, (size_t)(NSIG - 1) / 8) < 0)
			continue;
		if (act.handler != (uintptr_t)SIG_DFL && act.handler != (uintptr_t)SIG_IGN)
			syscall(SYS_rt_sigaction, sig, &none, NULL, (size_t)(NSIG - 1) / 8);
	}
}
#else
static void default_signals(void)
{
	struct sigaction act, none = {.sa_handler = SIG_DFL};

	for (int sig = 1; sig < STANDARD_SIGNALS; sig++)
		if (sigaction(sig, NULL, &act) == 0 && act.sa_handler != SIG_DFL && act.sa_handler != SIG_IGN)
			sigaction(sig, &none, NULL);
}
#endif

void launch_apply(const struct launch *l)
{
	default_signals();
	if (l->opts.group)
		setpgid(0, 0);
	if (l->cwd >= 0 && fchdir(l->cwd) < 0)
		_exit(127);
	for (int i = 0; i < 3; i++)
		if (l->stdio[i] >= 0)
			dup2(l->stdio[i], i);
	if (l->line < 0)
		return;
	if (!lifeline_arm(l->line, l->opts.group))
		_exit(127);
	/* A function may execute a program, too: that is still a daemon. */
	fcntl(l->line, F_SETFD, 0);
}

#ifdef HAVE_PIDFD
static int open_pidfd(struct ipck_process *p)
{
	int fd = (int)syscall(SYS_pidfd_open, p->pid, 0);

	return fd < 0 ? -errno : io_lift(fd, &p->fd);
}
#endif

static int watch(struct launch *l)
{
#ifdef HAVE_PIDFD
	int rc = open_pidfd(l->process);

	if (rc == -EMFILE || rc == -ENFILE) {
		/* The child runs already: it is given the place of the null device,
		 * which the next start may fail to open again. */
		io_close(&local.null);
		rc = open_pidfd(l->process);
	}
	return rc;
#else
	l->process->fd = l->sentinel[0];
	l->sentinel[0] = -1;
	return 0;
#endif
}

static void enter(struct ipck_process *p)
{
	struct ipck_process **last = &local.children;

	while (*last)
		last = &(*last)->next;
	*last = p;
	local.started++;
}

int launch_finish(struct launch *l, pid_t pid, bool listed, struct ipck_process **out)
{
	struct ipck_process *p = l->process;

	int rc = pid < 0 ? pid : 0;

	release(l);
	pthread_sigmask(SIG_SETMASK, &l->mask, NULL);
	if (rc == 0) {
		p->pid = pid;
		/* Both sides do it: the group is there when either goes on. */
		if (l->opts.group)
			setpgid(pid, pid);
		rc = watch(l);
		if (rc < 0) {
			/* Another thread has taken that place. */
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
		}
	}
	if (rc < 0) {
		discard(l);
		return rc;
	}
	if (listed)
		enter(p);
	*out = p;
	return 0;
}

/*
 * What a process writes after a fork costs a copy of its page, in the parent and in
 * each child; purging, flushing and locking write.  So look first.
 */
static bool has_output(FILE *stream)
{
#ifdef HAVE_STDIO_EXT_H
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
