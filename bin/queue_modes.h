/* SPDX-License-Identifier: MIT */
/* The modes of ipc-queue that are examples. */
#ifndef IPCKIT_BIN_QUEUE_MODES_H
#define IPCKIT_BIN_QUEUE_MODES_H

#include "common.h"

/* queue_items.c */
int queue_items(const struct tool_args *args);
int queue_sentinel(const struct tool_args *args);
int queue_write_read(const struct tool_args *args);

/* queue_stages.c */
int queue_pipeline(const struct tool_args *args);
int queue_joinable(const struct tool_args *args);

#endif
