/* SPDX-License-Identifier: MIT */
/* ipc-daemon: what becomes of a child when its parent comes to its end. */
#include <ipckit.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "party.h"

/*
 * The worker begins when its gate is opened, that is when the last write end of
 * this pipe is closed.  So it is the mode that decides whether "end" or the
 * worker's first line comes first, and not the scheduler.
 */
struct worker {
	struct party party;
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

static void open_gate(const struct worker *worker)
{
	close(worker->gate[1]);
}

static int work(void *arg)
{
	const struct worker *worker = arg;

	wait_at_gate(worker->gate);
	tool_print("work start: %s\n", tool_time());
	tool_pause(worker->pause_ms);
	tool_print("work end: %s\n", tool_time());
	return 0;
}

/* Starts a worker that waits at its gate; 0, or TOOL_FAILED after a message. */
static int start_worker(struct worker *worker, long pause_ms, bool daemon)
{
	*worker = (struct worker){.party = {.fn = work, .arg = worker, .daemon = daemon}, .pause_ms = pause_ms};
	if (pipe2(worker->gate, O_CLOEXEC) < 0)
		return tool_error("cannot make a pipe: %s", strerror(errno));
	if (parties_start(&worker->party, 1, false) != 0)
		return TOOL_FAILED;
	close(worker->gate[0]);
	return 0;
}

/* "end", then the worker's lines: this process waits for it when it exits. */
static int plain(const struct tool_args *args)
{
	struct worker worker;

	if (start_worker(&worker, args->pause_ms, false) != 0)
		return TOOL_FAILED;
	tool_print("end\n");
	open_gate(&worker);
	return 0;
}

/* "end" only: the worker, still at its gate, is ended when this process exits. */
static int daemon_mode(const struct tool_args *args)
{
	struct worker worker;

	if (start_worker(&worker, args->pause_ms, true) != 0)
		return TOOL_FAILED;
	tool_print("end\n");
	return 0;
}

/* A daemon, too, does its work when its parent waits for it: its lines, then "end". */
static int joined(const struct tool_args *args)
{
	struct worker worker;
	int status;

	if (start_worker(&worker, args->pause_ms, true) != 0)
		return TOOL_FAILED;
	open_gate(&worker);
	status = parties_join(&worker.party, 1);
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
