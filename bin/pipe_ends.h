/* SPDX-License-Identifier: MIT */
/* The two pipes of an example of ipc-pipe. */
#ifndef IPCKIT_BIN_PIPE_ENDS_H
#define IPCKIT_BIN_PIPE_ENDS_H

#include <ipckit.h>

/* Two that go one way: to [0], from [1].  0, or TOOL_FAILED after a message. */
int pipe_ends_make(struct ipck_pipe *first[2], struct ipck_pipe *second[2]);

#endif
