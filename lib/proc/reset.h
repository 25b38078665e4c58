/* SPDX-License-Identifier: MIT */
/* What a child does not take over from its parent: caught signals, and unwritten output. */
#ifndef PROC_RESET_H
#define PROC_RESET_H

#include <signal.h>
#include <stdint.h>

#define SIGNAL_BIT(sig) (UINT64_C(1) << ((sig) - 1))
#define SIGNALS_ALL UINT64_MAX

/* Those that tell a process something.  The others say that its code is wrong: who
 * catches them to report that wants it of the child, too.  Real-time signals are
 * left out because to ask for them costs as much as all the rest. */
#define SIGNALS_FAULT                                                                                 \
	(SIGNAL_BIT(SIGILL) | SIGNAL_BIT(SIGTRAP) | SIGNAL_BIT(SIGABRT) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGFPE) | \
	 SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGSYS))
#define SIGNALS_TOLD (UINT64_C(0x7fffffff) & ~SIGNALS_FAULT)

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
