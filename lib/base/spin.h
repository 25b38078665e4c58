/* SPDX-License-Identifier: MIT */
/*
 * Staying awake for a little while before a sleep, where that pays.  A spinner is a
 * guess of one process, from how its last waits went; threads may overwrite each
 * other's.
 */
#ifndef BASE_SPIN_H
#define BASE_SPIN_H

#include <stdbool.h>
#include <stdint.h>

struct spinner {
	uint32_t most;  /* turns before a sleep: few where they were in vain; 0: with one CPU */
	uint32_t waits; /* for which spinning did not pay */
	uint32_t vain;  /* waits that do not yield, as it was in vain */
	uint32_t skip;  /* those that are left */
};

/* A guess to begin with, made at the first wait. */
#define SPINNER_INIT {.most = UINT32_MAX}

/* test(arg), after some turns of spinning or a yield if it is false. */
bool spin_until(struct spinner *s, bool (*test)(void *arg), void *arg);

/*
 * Who has caught up with a writer in flow, after *run messages, falls back a little: at its
 * heels they would take each other the line of the next message, each time.  *run is 0 then.
 */
void spin_fall_back(uint32_t *run);

/* From now on no wait of this process stays awake: for tests. */
void spin_forbid(void);

#endif
