/* SPDX-License-Identifier: MIT */
/* What the tests of locks, conditions, barriers and counters share: parties, which are threads or processes. */
#ifndef TESTS_WAYS_H
#define TESTS_WAYS_H

#include <ipckit/deadline.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/spin.h"
#include "far.h"
#include "support.h"

#ifdef TEST_THREAD_SANITIZER
/* Locks are released here by those who do not hold them, and left held by those who die: on purpose. */
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "report_mutex_bugs=0:report_destroy_locked=0";
}
#endif

/* The loop index of a test says it: bit 0, processes and not threads; bit 1, they sleep at once. */
#define PARTY_WAYS 4

static inline void run_parties(int way, unsigned n, void (*fn)(unsigned i, void *arg), void *arg)
{
	if (way & 2)
		spin_forbid();
	if (way & 1)
		test_processes(n, fn, arg);
	else
		test_threads(n, fn, arg);
}

/* From now on SIGUSR1 interrupts this process. */
static inline void interrupt_by_signal(int number)
{
	(void)number;
	ipck_interrupt();
}

static inline void let_signals_interrupt(void)
{
	ck_that(signal(SIGUSR1, interrupt_by_signal) != SIG_ERR);
}

#endif
