/* SPDX-License-Identifier: MIT */
/* A worker: takes items, runs them, stores results; in a process or in a thread. */
#ifndef POOL_WORKER_H
#define POOL_WORKER_H

#include "pool/shared.h"

struct worker {
	const struct ipck_pool *pool; /* only to tell which */
	struct pool_shm *shm;
	struct slot *slot;
	uint32_t place;
	uint16_t claim; /* its mark in item states: place + 1 */
	bool process;   /* flushes its output after each item */
	bool helping;   /* the block that it found is also others' */
	uint32_t found; /* a block, or shm->blocks */
};

/* Works until the pool's state says to leave. */
void worker_run(struct worker *w);

/* The worker that the calling thread is, or NULL. */
struct worker *worker_current(void);

#endif
