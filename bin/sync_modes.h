/* SPDX-License-Identifier: MIT */
/* The modes of ipc-sync. */
#ifndef IPCKIT_BIN_SYNC_MODES_H
#define IPCKIT_BIN_SYNC_MODES_H

#include "common.h"

extern long sync_steps; /* --steps of the mode rlock */

/* sync_locks.c */
int sync_rlock(const struct tool_args *args);
int sync_with_all(const struct tool_args *args);
int sync_ordered(const struct tool_args *args);

/* sync_permits.c */
int sync_semaphore(const struct tool_args *args);
int sync_hand_over(const struct tool_args *args);

/* sync_turns.c */
int sync_condition(const struct tool_args *args);
int sync_abc(const struct tool_args *args);
int sync_haggle(const struct tool_args *args);

/* sync_ticks.c */
int sync_ticks(const struct tool_args *args);
int sync_stop_flag(const struct tool_args *args);

#endif
