/* SPDX-License-Identifier: MIT */
/* What the tests of locks, semaphores and events share: parties, which are threads or processes, and their waits. */
#ifndef TESTS_PARTIES_H
#define TESTS_PARTIES_H

#include <ipckit/deadline.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/evcount.h"
#include "base/spin.h"
#include "far.h"
#include "support.h"

static inline void run_parties(bool processes, unsigned n, void (*fn)(unsigned i, void *arg), void *arg)
{
	if (processes)
		test_processes(n, fn, arg);
	else
		test_threads(n, fn, arg);
}

/*
 * How many are registered as sleepers of a semaphore or an event, whose event count is the third word of its memory.
 * Who is has looked at the state before.  Exact until the first is woken or killed.
 */
static inline uint32_t sleepers_of(const void *sealed)
{
	return (uint32_t)(load_seq(&((const struct evcount *)sealed + 2)->word) >> 32);
}

/* The same memory a second time, elsewhere. */
static inline void *map_again(void *shared, size_t size)
{
	void *again = mremap(shared, 0, size, MREMAP_MAYMOVE);

	ck_that(again != MAP_FAILED && again != shared);
	return again;
}

static inline void interrupt_on_signal(int signal)
{
	(void)signal;
	ipck_interrupt();
}

/* In 20 ms a signal interrupts this process. */
static inline void interrupt_soon(void)
{
	const struct itimerval once = {.it_value = {.tv_usec = 20000}};

	signal(SIGALRM, interrupt_on_signal);
	ck_that(setitimer(ITIMER_REAL, &once, NULL) == 0);
}

/* What takes signals, counts them, and says when it needs no more. */
struct target {
	uint32_t ready, taken, over;
};

/* Each signal is sent when the one before was taken.  Returns how many there were. */
static inline uint32_t send_signals(pid_t pid, struct target *t, uint32_t most)
{
	uint32_t sent = 0;

	TEST_UNTIL(load_acquire(&t->ready) == 1);
	while (sent < most && !load_acquire(&t->over)) {
		ck_that(kill(pid, SIGUSR1) == 0);
		sent++;
		TEST_UNTIL(load_acquire(&t->taken) == sent || load_acquire(&t->over));
	}
	return sent;
}

static inline void take_signals(struct target *t, void (*handler)(int signal))
{
	struct sigaction action = {.sa_handler = handler};

	ck_that(sigaction(SIGUSR1, &action, NULL) == 0);
	store_release(&t->ready, 1);
}

#endif
