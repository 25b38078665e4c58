/* SPDX-License-Identifier: MIT */
/* Starting a child by fork, to run a function on a copy of our memory. */
#include "proc/start.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/io.h"
#include "coll/pipe.h"
#include "proc/launch.h"
#include "proc/local.h"
#include "proc/reset.h"

/* The child's whole life. */
static _Noreturn void run(struct launch *l, ipck_process_fn *fn, void *arg)
{
	int code;

	local_forking(false);
	stdio_forget();
	local_become(l->process, l->identity, l->sentinel[1]);
	/* The parent's, if that is a daemon itself. */
	io_close(&local.line);
	local.line = l->line;
	launch_apply(l);
	launch_close_stdio(l);
	io_close(&l->cwd);
	io_close(&l->sentinel[0]);
	if (l->opts.keep)
		pipe_keep(l->opts.keep, l->opts.keep_count);
	launch_unblock(l);
	code = fn(arg);
	process_finish(code);
}

void process_finish(int code)
{
	local_end_children();
	pipe_leave_all();
	stdio_finish();
	_exit(code & 0xff);
}

int process_start(struct ipck_process **out, ipck_process_fn *fn, void *arg, const struct ipck_process_opts *opts,
                  const struct launch_kind *kind)
{
	struct launch l;
	pid_t pid;
	int rc;

	stdio_flush();
	local_lock();
	rc = launch_prepare(&l, opts, kind);
	if (rc < 0)
		goto unlock;
	if (l.opts.env || l.opts.pass || l.opts.pass_count || (l.opts.keep_count && !l.opts.keep)) {
		/* Of a program, not of a function. */
		rc = launch_finish(&l, -EINVAL, out);
		goto unlock;
	}
	pipe_list_lock();
	local_forking(true);
	pid = fork();
	if (pid == 0)
		run(&l, fn, arg);
	pipe_list_unlock();
	if (pid < 0)
		pid = -(errno == EAGAIN ? ENOMEM : errno);
	local_forking(false);
	rc = launch_finish(&l, pid, out);
unlock:
	local_unlock();
	return rc;
}

int ipck_process_start(struct ipck_process **out, ipck_process_fn *fn, void *arg, const struct ipck_process_opts *opts)
{
	static const struct launch_kind kind = {
		.stdio = FUNCTION_STDIO,
		.signals = SIGNALS_TOLD,
		.watched = true,
		.listed = true,
	};

	return fn ? process_start(out, fn, arg, opts, &kind) : -EINVAL;
}
