/* SPDX-License-Identifier: MIT */
/*
 * Starting a program, as posix_spawn does it: a vforked child shares our memory
 * until it executes, so the cost does not grow with ours.  posix_spawn itself
 * cannot arm the lifeline between fork and exec: a daemon whose parent is killed in
 * that moment would live on.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "proc/inherit.h"
#include "proc/launch.h"
#include "proc/local.h"
#include "proc/reset.h"

struct program {
	struct launch launch;
	struct handover handover;
	const char *path;
	const char *search; /* PATH, or NULL: path is no mere name */
	char *const *argv;
};

static void keep_over_exec(int fd, bool keep)
{
	if (fd >= 0)
		fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
}

static int execute_in(const struct program *p, const char *directory, size_t n)
{
	size_t length = strlen(p->path);
	char file[PATH_MAX];

	if (n + 1 + length >= sizeof(file))
		return ENOENT;
	memcpy(file, directory, n);
	file[n] = '/';
	/* An empty entry is the working directory. */
	memcpy(file + n + (n > 0), p->path, length + 1);
	execve(file, p->argv, p->handover.env);
	return errno;
}

/* Not execvpe: that gives what is no program to the shell. */
static int execute_in_path(const struct program *p)
{
	int result = ENOENT;

	for (const char *entry = p->search;; entry++) {
		size_t n = strcspn(entry, ":");
		int error = execute_in(p, entry, n);

		if (error == EACCES)
			result = error;
		else if (error != ENOENT && error != ENOTDIR)
			return error;
		entry += n;
		if (!*entry)
			return result;
	}
}

static int execute_file(const struct program *p)
{
	if (p->search)
		return execute_in_path(p);
	execve(p->path, p->argv, p->handover.env);
	return errno;
}

/* The child, in the parent's memory: system calls only. */
static _Noreturn void execute(const struct program *p)
{
	int error;

	launch_apply(&p->launch);
	keep_over_exec(local.line, false);
	keep_over_exec(p->launch.sentinel[1], true);
	for (size_t i = 0; i < p->handover.count; i++)
		keep_over_exec(p->handover.fds[i], true);
	launch_unblock(&p->launch);
	error = execute_file(p);
	(void)!write(local.report[1], &error, sizeof(error));
	_exit(127);
}

/*
 * Its own frame: what lives across vfork belongs to the caller.  The report pipe
 * is at end-of-file when the child has executed, or has its reason.  Thread
 * sanitizer makes a fork of it; the pipe works there too.
 */
__attribute__((noinline)) static pid_t launch_program(struct program *p)
{
	pid_t pid;
	int error = 0;

	local_forking(true);
	pid = vfork();
	if (pid == 0)
		execute(p);
	local_forking(false);
	if (pid < 0)
		return -(errno == EAGAIN ? ENOMEM : errno);
	/* Not closed: the number stays ours until nobody has the write end, see below. */
	dup3(local.report[0], local.report[1], O_CLOEXEC);
	if (io_read(local.report[0], &error, sizeof(error)) != sizeof(error))
		return pid;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return -error;
}

/*
 * A plain fork() by another thread copies the descriptors, then the memory.  If it
 * has copied the write end, the read above waits until its hook has closed it, by
 * these numbers: so they are forgotten only after that.  Forgotten before they are
 * closed: from then on they may be others', and what a child keeps of ours is a
 * read end, which holds nobody up.
 */
static void close_report(void)
{
	int fds[2] = {local.report[0], local.report[1]};

	local.report[0] = local.report[1] = -1;
	close(fds[0]);
	close(fds[1]);
}

static int spawn_locked(struct ipck_process **out, struct program *p, const struct ipck_process_opts *opts)
{
	/* Between vfork and exec a handler would run in our memory. */
	static const struct launch_kind kind = {
		.stdio = {IPCK_STDIO_INHERIT, IPCK_STDIO_INHERIT, IPCK_STDIO_INHERIT},
		.signals = SIGNALS_ALL,
		.watched = true,
		.listed = true,
	};
	pid_t pid;
	int rc = launch_prepare(&p->launch, opts, &kind);

	if (rc < 0)
		return rc;
	pid = handover_make(&p->handover, p->launch.opts.env, p->launch.opts.pass, p->launch.opts.pass_count);
	if (pid < 0)
		goto finish;
	pid = io_pipe(local.report);
	if (pid < 0)
		goto free_handover;
	pid = launch_program(p);
	close_report();
free_handover:
	handover_free(&p->handover);
finish:
	return launch_finish(&p->launch, pid, out);
}

int ipck_process_spawn(struct ipck_process **out, const char *path, char *const argv[],
                       const struct ipck_process_opts *opts)
{
	struct program p = {.path = path, .argv = argv};
	int rc;

	if (!path || !argv || !argv[0])
		return -EINVAL;
	if (*path && !strchr(path, '/')) {
		p.search = getenv("PATH");
		if (!p.search)
			p.search = "/bin:/usr/bin";
	}
	stdio_flush();
	local_lock();
	rc = spawn_locked(out, &p, opts);
	local_unlock();
	return rc;
}
