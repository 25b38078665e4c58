/* SPDX-License-Identifier: MIT */
/* What a child does not take over from its parent: caught signals, and unwritten output. */
#ifndef PROC_RESET_H
#define PROC_RESET_H

#include <signal.h>
#include <stdint.h>

#define SIGNAL_BIT(sig) (UINT64_C(1) << ((sig) - 1))
#define SIGNALS_ALL UINT64_MAX
/* Of the others libc may need some for itself. */
#define SIGNALS_STANDARD UINT64_C(0x7fffffff)

/* What others send to tell a process something, and what the kernel says of its
 * children, alarms and pipes.  To ask for all would cost as much as the rest of a
 * start; and who catches faults, to report them, wants that of the child too. */
#define SIGNALS_TOLD                                                                        \
	(SIGNAL_BIT(SIGHUP) | SIGNAL_BIT(SIGINT) | SIGNAL_BIT(SIGQUIT) | SIGNAL_BIT(SIGUSR1) |  \
	 SIGNAL_BIT(SIGUSR2) | SIGNAL_BIT(SIGPIPE) | SIGNAL_BIT(SIGALRM) | SIGNAL_BIT(SIGTERM) | \
	 SIGNAL_BIT(SIGCHLD))

/* Those of the signals that have a handler; puts these back to their default. */
uint64_t caught_signals(uint64_t among);
void set_mask(const sigset_t *mask);
void default_signals(uint64_t caught);

/* Before a fork, and in its child: keeps the output of both from being written twice. */
void stdio_flush(void);
void stdio_forget(void);

/* At the end of a child. */
void stdio_finish(void);

#endif
