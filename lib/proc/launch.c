/* SPDX-License-Identifier: MIT */
#include "proc/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_PIDFD
#include <sys/eventfd.h>
#endif
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/fork.h"
#include "base/io.h"
#include "base/name.h"
#include "proc/local.h"
#include "proc/reset.h"

/* identity: "1:2"; without printf, which would touch one more page of the stack. */
static void make_identity(char identity[IDENTITY_SIZE])
{
	size_t n = strnlen(local.identity, IDENTITY_SIZE - 16);
	char digits[16];
	int used = 0;

	memcpy(identity, local.identity, n);
	if (n > 0)
		identity[n++] = ':';
	for (unsigned number = local.started + 1; number > 0; number /= 10)
		digits[used++] = (char)('0' + number % 10);
	while (used > 0)
		identity[n++] = digits[--used];
	identity[n] = '\0';
}

/* The handle that is kept, if it has room for the name: malloc and free would cost
 * the parent copies of their pages after each fork. */
static struct ipck_process *take_process(size_t size)
{
	struct ipck_process *p = local.spare;

	if (p && p->room >= size) {
		local.spare = NULL;
		return p;
	}
	size = MAX(size, (size_t)NAME_ROOM);
	p = malloc(sizeof(*p) + size);
	if (p)
		p->room = size;
	return p;
}

static struct ipck_process *make_process(struct launch *l)
{
	const char *prefix = l->opts.name ? "" : "Process-", *rest = l->opts.name ? l->opts.name : l->identity;
	size_t n = strlen(prefix), size = n + strlen(rest) + 1;
	struct ipck_process *p = take_process(size);
	char *name = (char *)(p + 1);

	if (!p)
		return NULL;
	memcpy(name, prefix, n);
	memcpy(name + n, rest, size - n);
	*p = (struct ipck_process){
		.kind = PROCESS_CHILD,
		.fd = -1,
		.name = name,
		.room = p->room,
		.daemon = l->opts.daemon || local.self.daemon,
		.group = l->opts.group,
		.epoch = fork_epoch(),
		.pins = 1,
	};
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
		process_free(l->process);
}

/* A fork of another thread copies the descriptors, then the memory: in between we may
 * have closed it, or opened it.  Then the number is nothing, or another file's. */
static void make_sure_of_null(void)
{
	struct stat ours, real;

	if (local.null >= 0 && (fstat(local.null, &ours) < 0 || stat("/dev/null", &real) < 0 ||
	                        !S_ISCHR(ours.st_mode) || ours.st_rdev != real.st_rdev))
		local.null = -1;
	local.null_unsure = false;
}

/* By a number that could be used again, or it would not keep a place for the pidfd. */
static int open_null(void)
{
	struct rlimit limit;

	if (local.null_unsure)
		make_sure_of_null();
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && local.null >= 0 && (rlim_t)local.null >= limit.rlim_cur)
		io_close(&local.null);
	return local.null >= 0 ? 0 : io_open("/dev/null", O_RDONLY, &local.null);
}

static int open_all(struct launch *l)
{
	const int *wanted = l->opts.stdio ? l->opts.stdio : l->kind->stdio;
	int rc = open_null();

	for (int i = 0; rc == 0 && i < 3; i++)
		rc = open_stdio(wanted[i], i, &l->stdio[i]);
	if (rc == 0 && l->opts.cwd)
		rc = open_cwd(l->opts.cwd, &l->cwd);
	if (rc == 0 && l->process->daemon)
		rc = lifeline_open(&l->line);
#ifndef HAVE_PIDFD
	if (rc == 0 && l->kind->watched)
		rc = io_pipe(l->sentinel);
#endif
	return rc;
}

int launch_prepare(struct launch *l, const struct ipck_process_opts *opts, const struct launch_kind *kind)
{
	sigset_t all;
	int rc;

	*l = (struct launch){.kind = kind, .stdio = {-1, -1, -1}, .cwd = -1, .line = -1, .sentinel = {-1, -1}};
	rc = opts_copy(&l->opts, sizeof(l->opts), opts);
	if (rc == 0)
		rc = local_prepare();
	if (rc < 0)
		return rc;
	make_identity(l->identity);
	l->process = make_process(l);
	rc = l->process ? open_all(l) : -ENOMEM;
	if (rc < 0) {
		discard(l);
		return rc;
	}
	l->caught = caught_signals(kind->signals);
	sigfillset(&all);
	if (l->caught)
		pthread_sigmask(SIG_SETMASK, &all, &l->mask);
	return 0;
}

void launch_unblock(const struct launch *l)
{
	if (l->caught)
		set_mask(&l->mask);
}

void launch_apply(const struct launch *l)
{
	default_signals(l->caught);
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

/* It has ended, and somebody else has reaped it: nobody can tell how.  Its sentinel
 * is readable for ever. */
static int watch_nobody(struct ipck_process *p)
{
	int fd = eventfd(1, EFD_CLOEXEC), rc = fd < 0 ? -errno : io_lift(fd, &p->fd);

	p->ended = rc == 0;
	return rc;
}

static int open_sentinel(struct ipck_process *p)
{
	int rc = open_pidfd(p);

	return rc == -ESRCH ? watch_nobody(p) : rc;
}

/* It can only be had when the child runs already: too late to say that there is no
 * descriptor left.  So the null device, which each start needs, keeps one. */
static int watch(struct launch *l)
{
	int rc = open_sentinel(l->process);

	if (rc != -EMFILE && rc != -ENFILE)
		return rc;
	io_close(&local.null);
	return open_sentinel(l->process);
}
#else
static int watch(struct launch *l)
{
	l->process->fd = l->sentinel[0];
	l->sentinel[0] = -1;
	return 0;
}
#endif

static void enter(struct ipck_process *p)
{
	struct ipck_process **last = &local.children;

	while (*last)
		last = &(*last)->next;
	*last = p;
	local.started++;
}

int launch_finish(struct launch *l, pid_t pid, struct ipck_process **out)
{
	struct ipck_process *p = l->process;

	int rc = pid < 0 ? pid : 0;

	release(l);
	launch_unblock(l);
	if (rc == 0) {
		p->pid = pid;
		/* Both sides do it: the group is there when either goes on. */
		if (l->opts.group)
			setpgid(pid, pid);
		rc = l->kind->watched ? watch(l) : 0;
		if (rc < 0) {
			/* Another thread has taken that place. */
			kill(l->opts.group ? -pid : pid, SIGKILL);
			waitpid(pid, NULL, 0);
		}
	}
	if (rc < 0) {
		discard(l);
		return rc;
	}
	if (l->kind->listed)
		enter(p);
	*out = p;
	return 0;
}
