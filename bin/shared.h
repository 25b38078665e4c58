/* SPDX-License-Identifier: MIT */
/* What the parties of an example share, and what they do with the results of their calls on it. */
#ifndef IPCKIT_BIN_SHARED_H
#define IPCKIT_BIN_SHARED_H

#include <stddef.h>

#include "common.h"

/* Runs an example on so many zeroed bytes that all its parties share; its status, or TOOL_FAILED after a message. */
int shared_run(size_t bytes, int (*run)(void *shared, const struct tool_args *args), const struct tool_args *args);

/*
 * What a call on something shared returned, as a party's exit status: 0; PARTY_LET_DOWN if
 * it says that another party has died; else TOOL_FAILED after a message.
 */
int shared_check(const char *what, int rc);

#endif
