/* SPDX-License-Identifier: MIT */
/* ipc-sync: locks, semaphores, conditions and events between processes. */
#include <ipckit.h>

#include "common.h"
#include "sync_modes.h"

#define MAX_STEPS 1000000000

long sync_steps = 1000000;

static const struct tool_mode modes[] = {
	{"rlock", "adds and subtracts under a lock that is acquired twice", sync_rlock, TOOL_THREADS | TOOL_OWN(0), 0,
	 NULL},
	{"semaphore", "five that want one of two permits", sync_semaphore, TOOL_THREADS | TOOL_PAUSE, 1000, NULL},
	{"hand-over", "a producer makes an item, a consumer waits for it, five times", sync_hand_over,
	 TOOL_THREADS | TOOL_PAUSE | TOOL_SEED, 1000, NULL},
	{"condition", "a producer and a consumer at a store of at most five items", sync_condition,
	 TOOL_THREADS | TOOL_PAUSE, 500, NULL},
	{"abc", "three that print A, B and C in turn, ten times", sync_abc, TOOL_THREADS | TOOL_PAUSE, 0, NULL},
	{"haggle", "a buyer and a seller talk in turn", sync_haggle, TOOL_THREADS | TOOL_PAUSE, 0, NULL},
	{"ticks", "a timer wakes two that count, by a condition and by events", sync_ticks, TOOL_THREADS | TOOL_PAUSE,
	 500, NULL},
	{"with-all", "lock, rlock, condition and semaphore, each taken in both ways", sync_with_all, TOOL_THREADS, 0,
	 NULL},
	{"ordered", "two take the same two locks in opposite order, five times", sync_ordered,
	 TOOL_THREADS | TOOL_PAUSE, 10, NULL},
	{"stop-flag", "a worker runs until an event is set", sync_stop_flag, TOOL_THREADS | TOOL_PAUSE, 1000, NULL},
	{0},
};

static const struct tool_option options[] = {
	{0, "steps", "N", "so many adds, and as many subtracts, instead of a million", 0, MAX_STEPS, &sync_steps, NULL},
	{0},
};

static const struct tool tool = {"ipc-sync", "Lets processes wait for each other.", modes, options};

int main(int argc, char **argv)
{
	return tool_main(&tool, argc, argv);
}
