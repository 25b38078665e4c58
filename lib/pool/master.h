/* SPDX-License-Identifier: MIT */
/*
 * The master: a small single-threaded process between the parent and the workers.
 * It starts, watches, buries and replaces the workers, so that this happens at
 * once whatever the parent does, and no fork happens later in the parent.
 */
#ifndef POOL_MASTER_H
#define POOL_MASTER_H

#include <ipckit/process.h>
#include <signal.h>

#include "pool/shared.h"

/* What the processes of a pool inherit by fork besides the segment. */
struct pool_image {
	const struct ipck_pool *pool;
	struct pool_shm *shm;
	int (*init)(void *arg);
	void *init_arg;
	sigset_t mask; /* of the pool's creator, for the workers */
	struct ipck_pipe **keep; /* ends that master and workers keep; never NULL */
	size_t keep_count;
};

/*
 * Starts a master.  *presence becomes the read end of a pipe whose write end only
 * this master and its workers hold: it hangs up when all of them are gone.
 */
int master_start(struct ipck_process **master, int *presence, const struct pool_image *image);

/* Makes the master look at the pool's state. */
void master_wake(struct ipck_process *master);

#endif
