/* SPDX-License-Identifier: MIT */
/* The mode relay of ipc-pipe: an event loop at the ends of two pipes. */
#ifndef IPCKIT_BIN_PIPE_RELAY_H
#define IPCKIT_BIN_PIPE_RELAY_H

#include <stdbool.h>

#include "common.h"

struct relay;

/* The words of --loop, the first is the default; and the place of the one that is used. */
extern const char *const relay_loops[];
extern long relay_loop;
#ifdef HAVE_LIBUV
#define RELAY_LOOPS_HELP "the event loop: epoll, the default, or uv"
#else
#define RELAY_LOOPS_HELP "the event loop: epoll"
#endif

int relay(const struct tool_args *args);

/* ---- for an event loop ---- */

/* Readable when relay_receive is to be called. */
int relay_fd(const struct relay *r);

/* Prints the answers that are there, asks for the next ones.  False: the last one came, or an error. */
bool relay_receive(struct relay *r);

/* Each runs until relay_receive is done: 0, or TOOL_FAILED after a message. */
int relay_epoll(struct relay *r);
int relay_uv(struct relay *r);

#endif
