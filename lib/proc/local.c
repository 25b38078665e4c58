/* SPDX-License-Identifier: MIT */
#include "proc/local.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/fork.h"
#include "base/io.h"

#define EXIT_GRACE_MS 1000

struct process_local local = {
	.mutex = PTHREAD_MUTEX_INITIALIZER,
	.spare = &local.first.process,
	.first.process.room = NAME_ROOM,
	.self = {.kind = PROCESS_SELF, .fd = -1},
	.parent = {.kind = PROCESS_PARENT, .fd = -1},
	.lifeline = {-1, -1},
	.line = -1,
	.null = -1,
	.report = {-1, -1},
	.sentinel = -1,
};

/*
 * Whose address says which thread forks for us, and the word that has it: the child
 * reads its copy.  One word, because other threads may fork at any time.  Not a flag
 * of each thread: that would be one more page to copy.
 */
static __thread char thread;
static const char *forker;

void local_lock(void)
{
	pthread_mutex_lock(&local.mutex);
}

void local_unlock(void)
{
	pthread_mutex_unlock(&local.mutex);
}

/*
 * The fork hook.  Another thread may have held the mutex: the child has one of its
 * own.  Handles of the parent's children stay allocated, whoever has them gets
 * -ECHILD by their epoch.
 */
static void reset_in_child(void)
{
	local.mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	local.children = NULL;
	local.started = 0;
	io_close(&local.lifeline[1]);
	io_close(&local.sentinel);
	if (load_relaxed(&forker) == &thread)
		return;
	/* Somebody's own fork: not our child, so a main process without a parent. */
	io_close(&local.report[0]);
	io_close(&local.report[1]);
	io_close(&local.lifeline[0]);
	io_close(&local.parent.fd);
	local.null_unsure = true;
	local.parent.pid = 0;
	local.self = (struct ipck_process){.kind = PROCESS_SELF, .fd = -1};
	local.identity[0] = '\0';
}

static struct fork_hook hook = {.child = reset_in_child};

__attribute__((constructor)) static void install(void)
{
	fork_hook_add(&hook);
}

void local_know_self(void)
{
	if (local.self.pid)
		return;
	local.self.pid = getpid();
	local.self.epoch = fork_epoch();
	if (!local.self.name)
		local.self.name = "MainProcess";
}

int local_prepare(void)
{
	static bool at_exit;

	local_know_self();
	/* Inherited by children, with the list that it works on reset. */
	if (!at_exit && atexit(local_end_children) != 0)
		return -ENOMEM;
	at_exit = true;
	return local.lifeline[0] >= 0 ? 0 : lifeline_make();
}

void local_forking(bool now)
{
	store_relaxed(&forker, now ? &thread : NULL);
}

void local_become(const struct ipck_process *child, const char identity[IDENTITY_SIZE], int sentinel)
{
	/* The parent's name stays where it is: we have a copy of its memory. */
	io_close(&local.parent.fd);
	local.parent = local.self;
	local.parent.kind = PROCESS_PARENT;
	local.parent.fd = local.lifeline[0];
	local.parent.epoch = fork_epoch();
	local.lifeline[0] = -1;

	/* As prepared, without fd and pid; the pid is asked for when somebody wants it. */
	local.self = *child;
	local.self.kind = PROCESS_SELF;
	local.self.epoch = fork_epoch();
	local.sentinel = sentinel;
	memcpy(local.identity, identity, sizeof(local.identity));
}

static void signal_daemons(int signal)
{
	local_lock();
	for (struct ipck_process *p = local.children; p; p = p->next) {
		if (p->daemon && !process_reap(p))
			(void)process_signal(p, signal, p->group);
	}
	local_unlock();
}

/* The first child that has not ended, daemons or the others.  It is pinned: other
 * threads still run, and may join and close it now. */
static struct ipck_process *running(bool daemon)
{
	struct ipck_process *p;

	local_lock();
	for (p = local.children; p; p = p->next)
		if (p->daemon == daemon && !process_reap(p))
			break;
	if (p)
		p->pins++;
	local_unlock();
	return p;
}

static bool join_all(bool daemons, struct ipck_deadline deadline)
{
	struct ipck_process *p;
	int rc = 0;

	while (rc == 0 && (p = running(daemons))) {
		rc = ipck_process_join(p, deadline);
		process_unpin(p);
	}
	return rc == 0;
}

void local_end_children(void)
{
	/* It never started a child: no need for the mutex. */
	if (local.lifeline[0] < 0)
		return;
	signal_daemons(SIGTERM);
	if (!join_all(true, ipck_in_ms(EXIT_GRACE_MS))) {
		signal_daemons(SIGKILL);
		(void)join_all(true, IPCK_FOREVER);
	}
	(void)join_all(false, IPCK_FOREVER);
}
