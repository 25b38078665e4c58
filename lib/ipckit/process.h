/* SPDX-License-Identifier: MIT */
/*
 * Processes: the counterpart of multiprocessing.Process.
 *
 * A handle belongs to the process that made it; in another process its calls
 * return -ECHILD.  Handles may be used by several threads at once: all threads
 * that join one process get its status.  No call waits for, or steals the
 * status of, a child that this library did not start.
 *
 * When a process that started children ends (by exit(), or by the end of its
 * function if it is itself such a child), its daemon children get SIGTERM, after
 * a grace of 1 s SIGKILL, and the others are joined.  When it is killed, its
 * daemon children are killed with it at once by the kernel.
 */
#ifndef IPCKIT_PROCESS_H
#define IPCKIT_PROCESS_H

#include <ipckit/deadline.h>
#include <ipckit/defs.h>

struct ipck_pipe;
struct ipck_process;
struct ipck_queue;

/* What a child does; its result & 0xff is the exit code. */
typedef int ipck_process_fn(void *arg);

/* What a spawned program gets back: a file descriptor by ipck_inherited(name), the end of
 * a pipe by ipck_pipe_inherited(name), or a queue by ipck_queue_inherited(name). */
struct ipck_pass {
	const char *name; /* [A-Za-z0-9._-]{1,200} */
	int fd;
	struct ipck_pipe *pipe;   /* if not NULL, instead of fd */
	struct ipck_queue *queue; /* the same; not both */
};

#define IPCK_STDIO_INHERIT (-1)
#define IPCK_STDIO_NULL (-2)

struct ipck_process_opts {
	size_t size;      /* of this struct, set by the macros below */
	const char *name; /* NULL: "Process-1", in its children "Process-1:1" */
	bool daemon;      /* ends with its parent; children of daemons are daemons anyway */
	bool group;       /* leads a process group of its own, for ipck_process_kill_group */
	/*
	 * Three file descriptors for 0, 1, 2, or IPCK_STDIO_INHERIT, or
	 * IPCK_STDIO_NULL.  NULL: start gives the null device as standard input
	 * (as Python does) and the rest as it is; spawn inherits all three.
	 */
	const int *stdio;
	const char *cwd;               /* working directory; NULL: the parent's */
	char *const *env;              /* spawn: environment; NULL: the parent's */
	const struct ipck_pass *pass;  /* spawn: what the program gets by name */
	size_t pass_count;
	/*
	 * start: the ends of pipes that the child keeps; it has no copy of the others,
	 * and calls with them return -EBADF there.  NULL: it keeps all.
	 */
	struct ipck_pipe *const *keep;
	size_t keep_count;
};
#define IPCK_PROCESS_OPTS_INIT \
	{sizeof(struct ipck_process_opts), NULL, false, false, NULL, NULL, NULL, NULL, 0, NULL, 0}
#define IPCK_PROCESS_OPTS(...) \
	(&(const struct ipck_process_opts){.size = sizeof(struct ipck_process_opts), __VA_ARGS__})

IPCK_BEGIN_DECLS

/*
 * Starts a child by fork, which runs fn(arg) on a copy of this process' memory:
 * arg needs no copy and stays the caller's.  The child has SIGHUP, SIGINT, SIGQUIT,
 * SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM and SIGCHLD back at their default
 * where they were caught at the call, the signal mask of the caller, no thread but
 * its own, and none of the parent's unwritten output: standard output and error are
 * flushed before if nobody is writing to them, and are never written twice.  It
 * ends by: its own children ended or joined, standard output and error flushed,
 * _exit.  No atexit handler of the parent runs in it.
 *
 * All that can fail fails here, before the child exists: -ENOMEM (also: no room
 * for a process), -EMFILE, -ENFILE, -ENOENT or -ENOTDIR or -EACCES (cwd), -EBADF
 * (stdio), -EINVAL (fn NULL, bad option), -E2BIG.
 */
IPCK_API IPCK_MUST_CHECK int ipck_process_start(struct ipck_process **out, ipck_process_fn *fn, void *arg,
                                                const struct ipck_process_opts *opts);

/*
 * Starts a program.  path without a slash is searched in PATH.  argv and env end
 * with NULL and are the caller's.  It costs the same for a parent of any size.
 * What keeps the program from starting is returned here, with its reason: -ENOENT
 * -EACCES -ENOEXEC -ENOTDIR ... (path or cwd), -EBADF (stdio, pass), and the
 * errors of start.
 */
IPCK_API IPCK_MUST_CHECK int ipck_process_spawn(struct ipck_process **out, const char *path, char *const argv[],
                                                const struct ipck_process_opts *opts);

/*
 * Waits until the process has ended, its status is known then.  May be repeated,
 * by any number of threads.  0; -ETIMEDOUT: it runs; -ECANCELED: interrupted;
 * -EDEADLK: it would wait for itself; -ECHILD: not a child of this process.
 */
IPCK_API IPCK_MUST_CHECK int ipck_process_join(struct ipck_process *process, struct ipck_deadline deadline);

/*
 * How it ended: *code is the exit code 0..255 and *signal is 0, or *signal is
 * the signal that killed it and *code is 0.  Either may be NULL.  0; -EBUSY: it
 * runs; -ENODATA: somebody else took its status and the kernel cannot tell;
 * -ECHILD.  Never blocks.
 */
IPCK_API int ipck_process_status(struct ipck_process *process, int *code, int *signal);

/* Whether it still runs, now.  Also true of the current process. */
IPCK_API bool ipck_process_alive(struct ipck_process *process);

/*
 * Sends a signal; terminate is SIGTERM, kill is SIGKILL.  The _group forms reach
 * the whole group of a process started with .group, also what is left of it
 * after its leader ended, until ipck_process_close.  0, also if it has ended
 * already.  -EINVAL: no such signal, or no group of its own.  -ENODATA: somebody
 * else took its status, so its group cannot be told from a later one of that id.
 * -EPERM.  -ECHILD.
 */
IPCK_API int ipck_process_signal(struct ipck_process *process, int signal);
IPCK_API int ipck_process_terminate(struct ipck_process *process);
IPCK_API int ipck_process_kill(struct ipck_process *process);
IPCK_API int ipck_process_signal_group(struct ipck_process *process, int signal);
IPCK_API int ipck_process_kill_group(struct ipck_process *process);

/*
 * Frees the handle of a process that has ended.  -EBUSY: it runs, nothing is
 * done.  NULL is fine.  No other call on the handle may be under way.  The
 * handles of current, parent and a handle of another process are not freed: -EINVAL,
 * -ECHILD.
 */
IPCK_API int ipck_process_close(struct ipck_process *process);

/* Facts, fixed at start.  The name lives as long as the handle. */
IPCK_API pid_t ipck_process_pid(const struct ipck_process *process);
IPCK_API const char *ipck_process_name(const struct ipck_process *process);
IPCK_API bool ipck_process_daemon(const struct ipck_process *process);

/*
 * A file descriptor that is readable (poll, epoll) once the process has ended,
 * whatever its own children do.  Owned by the handle; do not read or close it.
 */
IPCK_API int ipck_process_fd(const struct ipck_process *process);

/*
 * The calling process ("MainProcess" if this library did not start it), and the
 * process that started it: NULL if that was not this library.  The parent's
 * handle knows pid, name, alive, join and fd; its status is -ECHILD.
 */
IPCK_API struct ipck_process *ipck_process_current(void);
IPCK_API struct ipck_process *ipck_process_parent(void);

/*
 * Stores up to `max` handles of children that run, oldest first, and returns how
 * many run (may be more than max).  Reaps those that have ended.  The handles
 * stay the ones that start and spawn gave.
 */
IPCK_API size_t ipck_process_children(struct ipck_process **children, size_t max);

/*
 * How many CPUs this process may use: the machine's, less what its affinity mask
 * and the CPU quota of its cgroup (rounded up) take away; at least 1.
 */
IPCK_API int ipck_cpu_count(void);

/*
 * In a spawned program: the file descriptor that its parent passed under that
 * name; it is close-on-exec and stays open.  -ENOENT: none of that name; -EPROTO:
 * the environment variable IPCK_INHERITED is damaged; -EINVAL: bad name.
 */
IPCK_API IPCK_MUST_CHECK int ipck_inherited(const char *name);

/*
 * In a spawned program: the end of a pipe that its parent passed under that name, as
 * a new handle; once.  -ENOENT: none of that name, or it was fetched before; -EPROTO: it is not
 * a pipe, or IPCK_INHERITED is damaged; -EINVAL: bad name; -ENOMEM, -EMFILE.
 */
IPCK_API IPCK_MUST_CHECK int ipck_pipe_inherited(struct ipck_pipe **out, const char *name);

/*
 * The same for a queue; whoever made it.  -EPROTO: it is not a queue.  -EACCES: it may not be
 * written by this program's user.  -EXDEV, -ENFILE.
 */
IPCK_API IPCK_MUST_CHECK int ipck_queue_inherited(struct ipck_queue **out, const char *name);

IPCK_END_DECLS

#endif
