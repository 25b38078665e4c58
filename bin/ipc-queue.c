/* SPDX-License-Identifier: MIT */
/* ipc-queue: messages from any process to any other, each to one. */
#include <ipckit.h>

#include "common.h"
#include "queue_modes.h"
#include "queue_shell.h"

static const struct tool_mode modes[] = {
	{"items", "a producer puts ten items, three consumers get them", queue_items, TOOL_PAUSE, 1000, NULL},
	{"sentinel", "a consumer that ends when it gets the sentinel", queue_sentinel, TOOL_PAUSE, 0, NULL},
	{"write-read", "a reader without an end, terminated when the writer is done", queue_write_read,
	 TOOL_PAUSE | TOOL_SEED, 1000, NULL},
	{"pipeline", "three make products of materials, two use them up", queue_pipeline, TOOL_THREADS | TOOL_PAUSE,
	 1000, NULL},
	{"joinable", "workers mark items as done, the main process waits for all", queue_joinable,
	 TOOL_THREADS | TOOL_PAUSE, 100, NULL},
	{"send", "put lines, or files, into a queue that has a name", NULL, 0, 0, queue_send},
	{"recv", "print the messages of a queue", NULL, 0, 0, queue_recv},
	{"stat", "print the figures of a queue", NULL, 0, 0, queue_stat},
	{"shutdown", "end a queue", NULL, 0, 0, queue_shutdown},
	{"unlink", "remove the name of a queue", NULL, 0, 0, queue_unlink},
	{0},
};

static const struct tool tool = {"ipc-queue", "Hands messages from process to process.", modes, NULL};

int main(int argc, char **argv)
{
	return tool_main(&tool, argc, argv);
}
