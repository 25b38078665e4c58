/* SPDX-License-Identifier: MIT */
/*
 * What a forked child must know and undo.  One pthread_atfork handler, installed
 * when the library is loaded, moves the epoch and runs the hooks in the child, in
 * the order they were added.
 */
#ifndef BASE_FORK_H
#define BASE_FORK_H

#include <stdint.h>

#include "base/atomic.h"

struct fork_hook {
	void (*child)(void);
	struct fork_hook *next; /* owned by fork.c */
};

/*
 * A number that is different in a process and in its forked children, so that a
 * handle tells cheaply whether it is used where it was made.
 */
extern uint32_t fork_epoch_now;

static inline uint32_t fork_epoch(void)
{
	return load_relaxed(&fork_epoch_now);
}

/* Adds a static hook, once per process image.  Its child function must be safe
 * in the child of a process with threads: no allocation, no locks. */
void fork_hook_add(struct fork_hook *hook);

#endif
