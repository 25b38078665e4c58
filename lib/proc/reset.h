/* SPDX-License-Identifier: MIT */
/* What a child does not take over from its parent: caught signals, and unwritten output. */
#ifndef PROC_RESET_H
#define PROC_RESET_H

#include <signal.h>
#include <stdint.h>

/* The standard signals that have a handler, as bits; puts these back to their default. */
uint32_t caught_signals(void);
void set_mask(const sigset_t *mask);
void default_signals(uint32_t caught);

/* Before a fork, and in its child: keeps the output of both from being written twice. */
void stdio_flush(void);
void stdio_forget(void);

/* At the end of a child. */
void stdio_finish(void);

#endif
