/* SPDX-License-Identifier: MIT */
/* The parent's part in keeping a pool alive: waiting, and replacing the master. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fork.h"
#include "base/io.h"
#include "pool/internal.h"

#define BARREN_MASTERS 8

int pool_check_caller(const struct ipck_pool *pool)
{
	const struct worker *w = worker_current();

	if (w && w->pool == pool)
		return -EDEADLK;
	return pool->epoch == fork_epoch() ? 0 : -ECHILD;
}

int pool_enter(struct ipck_pool *pool, uintptr_t function)
{
	int rc = pool_check_caller(pool);

	if (rc < 0)
		return rc;
	if (!origin_has(&pool->origin, function))
		return -EINVAL;
	pthread_mutex_lock(&pool->mutex);
	pool_watch(pool);
	rc = load_acquire(&pool->shm->fault) ? -ENOTRECOVERABLE : pool->closed ? -ESHUTDOWN : 0;
	if (rc < 0)
		pthread_mutex_unlock(&pool->mutex);
	return rc;
}

int pool_alive(struct ipck_pool *pool)
{
	if (load_acquire(&pool->shm->fault))
		return -ENOTRECOVERABLE;
	return pool->terminated ? -ECANCELED : 0;
}

static void set_fault(struct ipck_pool *pool, enum pool_fault fault, int value)
{
	pool_break(pool->shm, fault, value);
	pool_progress(pool->shm);
}

/* Once it is known to be dead. */
static void forget_master(struct ipck_pool *pool)
{
	ipck_process_kill_group(pool->master);
	(void)ipck_process_close(pool->master);
	pool->master = NULL;
	io_close(&pool->presence);
}

static int start_once(struct ipck_pool *pool)
{
	int rc = master_start(&pool->master, &pool->presence, &pool->image);

	if (rc < 0)
		set_fault(pool, FAULT_MASTER, rc);
	return rc;
}

/*
 * The master has ended.  Its workers are killed by the kernel; when the presence
 * pipe says that they all are gone, nobody but us writes the segment any more.
 */
static void replace_master(struct ipck_pool *pool)
{
	struct pool_shm *shm = pool->shm;
	bool expected = load_seq(&shm->state) != POOL_OPEN || load_acquire(&shm->fault);
	uint32_t started = load_acquire(&shm->started), lost;

	if (io_poll(pool->presence, ipck_in_ns(TICK_NS / 10), 0) < 0)
		return;
	forget_master(pool);
	lost = pool_account(shm, 0, expected ? IPCK_CANCELED : IPCK_KILLED, SIGKILL);
	pool_reopen(shm);
	if (!expected)
		add_relaxed(&shm->lost, lost);
	store_relaxed(&shm->alive, 0);
	for (uint32_t i = 0; i < shm->workers; i++)
		store_relaxed(&pool_slot(shm, i)->pid, 0);
	if (expected) {
		pool->ended = true;
	} else {
		add_relaxed(&shm->masters, 1);
		pool->barren_masters = started ? 0 : pool->barren_masters + 1;
		if (pool->barren_masters >= BARREN_MASTERS)
			set_fault(pool, FAULT_MASTER, 0);
		else
			(void)start_once(pool);
		pool->ended = pool->master == NULL;
	}
	add_seq(&shm->deaths, 1);
	pool_progress(shm);
}

void pool_watch(struct ipck_pool *pool)
{
	if (pool->threads && !pool->ended && load_acquire(&pool->shm->alive) == 0) {
		for (uint32_t i = 0; i < pool->shm->workers; i++)
			pthread_join(pool->threads[i].id, NULL);
		pool->ended = true;
	}
	if (!pool->master || pool->ended)
		;
	else if (load_acquire(&pool->shm->leaving))
		/* Its workers are buried and accounted for.  Its own end is waited for
		 * when the pool is freed. */
		pool->ended = true;
	else if (!ipck_process_alive(pool->master))
		replace_master(pool);
	if (pool_alive(pool) < 0)
		imap_cancel_all(pool);
}

struct progress {
	struct pool_shm *shm;
	uint32_t seen;
};

static bool has_progress(void *arg)
{
	const struct progress *p = arg;

	return load_seq(&p->shm->progress) != p->seen;
}

static void spin(struct progress *p)
{
	for (uint32_t i = 0; i < p->shm->spin && load_relaxed(&p->shm->progress) == p->seen; i++)
		cpu_relax();
}

/* Waiting for many, a thread is told when little is left to be worked on; for a
 * single result, of each. */
void pool_set_low(struct ipck_pool *pool)
{
	store_seq(&pool->shm->low, pool->eager ? UINT32_MAX : pool->shm->workers / 2 + 1);
}

void pool_eager(struct ipck_pool *pool, int threads)
{
	pool->eager += (unsigned)threads;
	pool_set_low(pool);
}

int pool_wait(struct ipck_pool *pool, uint32_t seen, struct ipck_deadline deadline)
{
	struct progress p = {pool->shm, seen};
	struct ipck_deadline tick = deadline;
	int rc;

	pthread_mutex_unlock(&pool->mutex);
	spin(&p);
	tick.ns = deadline_tick(deadline, clock_now());
	rc = evcount_await(&pool->shm->done, has_progress, &p, tick);
	if (rc == -ETIMEDOUT)
		rc = deadline_check(deadline, clock_now());
	pthread_mutex_lock(&pool->mutex);
	pool_watch(pool);
	return rc;
}

int pool_start_master(struct ipck_pool *pool, struct ipck_deadline deadline)
{
	struct pool_shm *shm = pool->shm;
	int rc = start_once(pool);

	while (rc == 0) {
		uint32_t seen = load_seq(&shm->progress);

		if (load_acquire(&shm->started))
			return 0;
		if (load_acquire(&shm->fault))
			return load_relaxed(&shm->fault_value) < 0 ? load_relaxed(&shm->fault_value) : -ENOTRECOVERABLE;
		rc = pool_wait(pool, seen, deadline);
	}
	return rc;
}

static void write_reason(char *reason, size_t size, enum pool_fault fault, int value)
{
	switch (fault) {
	case FAULT_NONE:
		break;
	case FAULT_SIGNAL:
		snprintf(reason, size, "workers keep dying at their start: killed by signal %d (%s)", value,
		         strsignal(value));
		break;
	case FAULT_EXIT:
		snprintf(reason, size, "workers keep ending at their start: exit code %d", value);
		break;
	case FAULT_INIT:
		snprintf(reason, size, "workers cannot start: init returned %d (%s)", value, ipck_strerror(value));
		break;
	case FAULT_FORK:
		snprintf(reason, size, "workers cannot be started: %s", ipck_strerror(value));
		break;
	case FAULT_MASTER:
		snprintf(reason, size, "the master process cannot be kept running: %s",
		         value ? ipck_strerror(value) : "it keeps being killed");
		break;
	}
}

const char *ipck_pool_reason(struct ipck_pool *pool)
{
	enum pool_fault fault = (enum pool_fault)load_acquire(&pool->shm->fault);

	/* Elsewhere nobody may unlock the mutex any more. */
	if (fault == FAULT_NONE || pool->epoch != fork_epoch())
		return NULL;
	pthread_mutex_lock(&pool->mutex);
	/* Once: others may be reading it. */
	if (!*pool->reason)
		write_reason(pool->reason, sizeof(pool->reason), fault, load_relaxed(&pool->shm->fault_value));
	pthread_mutex_unlock(&pool->mutex);
	return pool->reason;
}
