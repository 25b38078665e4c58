/* SPDX-License-Identifier: MIT */
/* The mode bench of ipc-pipe: a quick look at how fast pipes are on this machine. */
#ifndef IPCKIT_BIN_PIPE_BENCH_H
#define IPCKIT_BIN_PIPE_BENCH_H

#include "common.h"

#define BENCH_SIZE_MAX (1L << 30)

extern long bench_size;    /* of a message; -1: several */
extern long bench_seconds; /* for all */

int pipe_bench(const struct tool_args *args);

#endif
