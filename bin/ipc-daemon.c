/* SPDX-License-Identifier: MIT */
/* ipc-daemon: what becomes of a child when its parent comes to its end. */
#include <ipckit.h>

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

/*
 * The worker begins when the gate is opened, that is when the last write end of
 * this pipe is closed.  So it is the mode that decides whether "end" or the
 * worker's first line comes first, and not the scheduler.
 */
struct job {
	long pause_ms;
	int gate[2];
};

static void wait_at_gate(const int gate[2])
{
	char none;

	close(gate[1]);
	while (read(gate[0], &none, 1) < 0 && errno == EINTR)
		;
	close(gate[0]);
}

static void open_gate(const struct job *job)
{
	close(job->gate[1]);
}

static int work(void *arg)
{
	const struct job *job = arg;

	wait_at_gate(job->gate);
	tool_print("work start: %s\n", tool_time());
	tool_pause(job->pause_ms);
	tool_print("work end: %s\n", tool_time());
	return tool_finish(0);
}

/* A worker that waits at its gate; 0 or TOOL_FAILED. */
static int start_worker(struct ipck_process **worker, struct job *job, bool daemon)
{
	int rc = pipe2(job->gate, O_CLOEXEC) < 0 ? -errno : 0;

	if (rc < 0)
		return tool_error("cannot make a pipe: %s", ipck_strerror(rc));
	rc = ipck_process_start(worker, work, job, IPCK_PROCESS_OPTS(.daemon = daemon));
	if (rc < 0)
		return tool_error("cannot start a process: %s", ipck_strerror(rc));
	close(job->gate[0]);
	return 0;
}

/* "end", then the worker's lines: this process waits for it when it exits. */
static int plain(const struct tool_args *args)
{
	struct job job = {.pause_ms = args->pause_ms};
	struct ipck_process *worker;

	if (start_worker(&worker, &job, false) != 0)
		return TOOL_FAILED;
	tool_print("end\n");
	open_gate(&job);
	return 0;
}

/* "end" only: the worker, still at its gate, is ended when this process exits. */
static int daemon_mode(const struct tool_args *args)
{
	struct job job = {.pause_ms = args->pause_ms};
	struct ipck_process *worker;

	if (start_worker(&worker, &job, true) != 0)
		return TOOL_FAILED;
	tool_print("end\n");
	return 0;
}

static int join(struct ipck_process *worker)
{
	int code = TOOL_FAILED, signal = 0, rc = ipck_process_join(worker, IPCK_FOREVER);

	if (rc == 0)
		rc = ipck_process_status(worker, &code, &signal);
	if (rc < 0)
		code = tool_error("%s: %s", ipck_process_name(worker), ipck_strerror(rc));
	else if (signal)
		code = tool_error("%s was killed: %s", ipck_process_name(worker), strsignal(signal));
	ipck_process_close(worker);
	return code;
}

/* A daemon, too, does its work when its parent waits for it: its lines, then "end". */
static int joined(const struct tool_args *args)
{
	struct job job = {.pause_ms = args->pause_ms};
	struct ipck_process *worker;
	int status;

	if (start_worker(&worker, &job, true) != 0)
		return TOOL_FAILED;
	open_gate(&job);
	status = join(worker);
	tool_print("end\n");
	return status;
}

static const struct tool_mode modes[] = {
	{"plain", "a worker that its parent waits for when it exits", plain, TOOL_PAUSE, 3000, NULL},
	{"daemon", "a daemon worker, which ends with its parent", daemon_mode, TOOL_PAUSE, 3000, NULL},
	{"joined", "a daemon worker that its parent joins", joined, TOOL_PAUSE, 3000, NULL},
	{0},
};

static const struct tool tool = {"ipc-daemon", "Starts a worker and comes to its end before it, or after it.", modes,
                                 NULL};

int main(int argc, char **argv)
{
	return tool_main(&tool, argc, argv);
}
