/* SPDX-License-Identifier: MIT */
/* A pool's life: create, close, terminate, join, free; and what it tells of itself. */
#include <ipckit/pool.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fork.h"
#include "base/io.h"
#include "base/name.h"
#include "pool/internal.h"
#include "proc/cpu.h"

/* A wait spins about 10 us before it sleeps, if that takes no CPU from a worker. */
#define SPIN_TURNS 200

/*
 * Blocks that have memory from the beginning; the rest get it when they are needed.
 * For each worker one for what it is at, one for a call that ended before its item,
 * and as many again, so that half of them are enough for a call.
 */
#define BLOCKS_FIRST_MIN 8u
#define BLOCKS_FIRST_FACTOR 3u

/* After the master's grace and its SIGKILLs: it must be stopped, or worse. */
#define TERMINATE_NS (3 * NS_PER_SEC)

static size_t choose_reach(size_t bytes)
{
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
	uint64_t memory = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : UINT64_C(1) << 32;

	return MAX((size_t)MIN(memory, (uint64_t)SIZE_MAX / 4), 2 * bytes);
}

/* Address space for all that the machine could hold, or less if that is limited. */
static int create_segment(struct ipck_pool *pool, uint32_t workers, uint32_t blocks)
{
	struct segment_plan plan = {.kind = SEGMENT_POOL};
	struct pool_shm shm;
	int rc = -ENOMEM, cpus = cpu_affinity_count();
	size_t size;

	pool_shm_plan(&shm, workers, blocks);
	size = pool_shm_size(&shm);
	pool->n_blocks = MAX(BLOCKS_FIRST_MIN, BLOCKS_FIRST_FACTOR * workers);
	plan.bytes = shm.blocks_at + pool->n_blocks * sizeof(struct block);
	for (plan.reach = choose_reach(size); rc == -ENOMEM && plan.reach >= size; plan.reach /= 2)
		rc = segment_create(&pool->segment, &plan);
	if (rc < 0)
		return rc;
	pool->shm = segment_body(&pool->segment);
	*pool->shm = shm;
	pool->shm->spin = cpus > 1 && workers <= (uint32_t)cpus ? SPIN_TURNS : 0;
	pool_set_low(pool);
	return arena_init(&pool->arena, &pool->segment, size);
}

static int create_tables(struct ipck_pool *pool, const struct ipck_pool_opts *opts)
{
	uint32_t blocks = pool->shm->blocks, workers = pool->shm->workers;

	pool->free_blocks = calloc(blocks, sizeof(*pool->free_blocks));
	pool->orphan_nodes = calloc(blocks, sizeof(*pool->orphan_nodes));
	pool->items = calloc(blocks, sizeof(struct imap_item *));
	pool->landed = calloc(blocks, sizeof(*pool->landed));
	pool->gathering = calloc(workers, sizeof(*pool->gathering));
	pool->keep = calloc(opts->keep_count + 1, sizeof(struct ipck_pipe *));
	if (!pool->keep || !pool->free_blocks || !pool->orphan_nodes || !pool->items || !pool->landed ||
	    !pool->gathering)
		return -ENOMEM;
	for (size_t i = 0; i < opts->keep_count; i++)
		pool->keep[i] = opts->keep[i];
	pool_add_blocks(pool, 0, pool->n_blocks);
	return origin_note(&pool->origin);
}

/* It has said that it is leaving. */
static void reap_master(struct ipck_pool *pool)
{
	if (!pool->master)
		return;
	while (ipck_process_join(pool->master, ipck_in_ns(TERMINATE_NS)) < 0)
		ipck_process_kill(pool->master);
	(void)ipck_process_close(pool->master);
}

static void free_pool(struct ipck_pool *pool)
{
	for (struct orphan *o = pool->orphans; o; o = o->next)
		argument_put(pool, o->argument);
	free(pool->orphan_nodes);
	for (uint32_t i = 0; pool->gathering && i < pool->shm->workers; i++)
		free(pool->gathering[i].data);
	free(pool->gathering);
	free(pool->landed);
	free(pool->items);
	free(pool->free_blocks);
	free(pool->threads);
	free(pool->keep);
	origin_free(&pool->origin);
	arena_fini(&pool->arena);
	segment_close(&pool->segment);
	io_close(&pool->presence);
	reap_master(pool);
	pthread_mutex_destroy(&pool->mutex);
	free(pool);
}

void pool_unref(struct ipck_pool *pool)
{
	bool last = --pool->refs == 0;

	pthread_mutex_unlock(&pool->mutex);
	if (last)
		free_pool(pool);
}

/* ---- workers that are threads ---- */

static void *run_thread(void *arg)
{
	struct pool_thread *t = arg;
	struct pool_shm *shm = t->worker.shm;
	int rc = t->init ? t->init(t->init_arg) : 0;

	if (rc < 0) {
		pool_break(shm, FAULT_INIT, rc);
	} else {
		worker_run(&t->worker);
	}
	add_acq_rel(&shm->alive, (uint32_t)-1);
	pool_progress(shm);
	return NULL;
}

static void signal_state(struct ipck_pool *pool, enum pool_state state);

static int start_threads(struct ipck_pool *pool, const struct ipck_pool_opts *opts)
{
	struct pool_shm *shm = pool->shm;
	uint32_t workers = shm->workers;

	pool->threads = calloc(workers, sizeof(*pool->threads));
	if (!pool->threads)
		return -ENOMEM;
	for (uint32_t i = 0; i < workers; i++) {
		struct pool_thread *t = &pool->threads[i];

		t->worker = (struct worker){.pool = pool, .shm = shm, .slot = pool_slot(shm, i)};
		t->worker.place = i;
		t->worker.claim = (uint16_t)(i + 1);
		t->init = opts->init;
		t->init_arg = opts->init_arg;
		add_acq_rel(&shm->alive, 1);
		if (pthread_create(&t->id, NULL, run_thread, t) == 0)
			continue;
		/* Those that run leave again. */
		add_acq_rel(&shm->alive, (uint32_t)-1);
		signal_state(pool, POOL_TERMINATE);
		while (i-- > 0)
			pthread_join(pool->threads[i].id, NULL);
		pool->ended = true;
		return -ENOMEM;
	}
	return 0;
}

/* ---- the calls ---- */

static int start(struct ipck_pool *pool, const struct ipck_pool_opts *opts)
{
	int rc;

	pool->image = (struct pool_image){.pool = pool, .shm = pool->shm, .init = opts->init};
	pool->image.init_arg = opts->init_arg;
	pool->image.keep = pool->keep;
	pool->image.keep_count = opts->keep_count;
	pthread_sigmask(SIG_SETMASK, NULL, &pool->image.mask);
	if (opts->threads)
		return start_threads(pool, opts);
	pthread_mutex_lock(&pool->mutex);
	rc = pool_start_master(pool, IPCK_FOREVER);
	pthread_mutex_unlock(&pool->mutex);
	return rc;
}

int ipck_pool_create(struct ipck_pool **out, const struct ipck_pool_opts *opts)
{
	struct ipck_pool_opts own;
	struct ipck_pool *pool;
	uint32_t workers;
	int rc = opts_copy(&own, sizeof(own), opts);

	if (rc < 0)
		return rc;
	if (own.workers < 0 || own.workers > POOL_WORKERS_MAX || (own.keep_count && !own.keep))
		return -EINVAL;
	workers = (uint32_t)(own.workers ? own.workers : MIN(ipck_cpu_count(), POOL_WORKERS_MAX));
	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	pthread_mutex_init(&pool->mutex, NULL);
	pool->epoch = fork_epoch();
	pool->refs = 1;
	pool->presence = -1;
	rc = create_segment(pool, workers, 32 + 8 * workers);
	if (rc == 0)
		rc = create_tables(pool, &own);
	if (rc == 0)
		rc = start(pool, &own);
	if (rc == 0)
		*out = pool;
	else if (pool->master)
		ipck_pool_free(pool);
	else
		free_pool(pool);
	return rc;
}

/* Says so to everybody who may sleep. */
static void signal_state(struct ipck_pool *pool, enum pool_state state)
{
	struct pool_shm *shm = pool->shm;

	store_seq(&shm->state, (uint32_t)state);
	evcount_notify(&shm->work, EVCOUNT_ALL);
	for (uint32_t i = 0; i < shm->workers; i++)
		evcount_notify(&pool_slot(shm, i)->space, EVCOUNT_ALL);
	if (pool->master && state == POOL_TERMINATE)
		master_wake(pool->master);
	pool_progress(shm);
}

int ipck_pool_close(struct ipck_pool *pool)
{
	int rc = pool_check_caller(pool);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&pool->mutex);
	pool->closed = true;
	pthread_mutex_unlock(&pool->mutex);
	return 0;
}

static void wait_until_ended(struct ipck_pool *pool)
{
	struct ipck_deadline deadline = pool->threads ? IPCK_FOREVER : ipck_in_ns(TERMINATE_NS);

	pool_watch(pool);
	while (!pool->ended) {
		uint32_t seen = load_seq(&pool->shm->progress);

		/* The kernel ends the workers with their master. */
		if (pool->master && ipck_deadline_passed(deadline)) {
			ipck_process_kill(pool->master);
			deadline = IPCK_FOREVER;
		}
		pool_watch(pool);
		if (!pool->ended)
			(void)pool_wait(pool, seen, deadline);
	}
}

int ipck_pool_terminate(struct ipck_pool *pool)
{
	int rc = pool_check_caller(pool);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&pool->mutex);
	pool->closed = true;
	if (!pool->ended) {
		pool->terminated = true;
		signal_state(pool, POOL_TERMINATE);
		wait_until_ended(pool);
	}
	pthread_mutex_unlock(&pool->mutex);
	return 0;
}

/* One step towards the end: 0 to go on, or negative. */
static int join_step(struct ipck_pool *pool, struct ipck_deadline deadline)
{
	uint32_t seen = load_seq(&pool->shm->progress);
	struct ipck_deadline soon = deadline;
	int rc = 0;

	pool_watch(pool);
	pool_collect(pool);
	if (pool->ended)
		return 0;
	if (pool->calls)
		rc = imap_drain_all(pool);
	else if (load_seq(&pool->shm->state) == POOL_OPEN)
		signal_state(pool, POOL_QUIT);
	if (rc == 1)
		return deadline_check(deadline, clock_now()) == -ECANCELED ? -ECANCELED : 0;
	if (rc == IPCK_INPUT_LATER)
		soon.ns = MIN(deadline.ns, clock_now() + 5 * NS_PER_MS);
	rc = pool_wait(pool, seen, soon);
	return rc == -ETIMEDOUT ? deadline_check(deadline, clock_now()) : rc;
}

int ipck_pool_join(struct ipck_pool *pool, struct ipck_deadline deadline)
{
	int rc = pool_check_caller(pool);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&pool->mutex);
	if (!pool->closed)
		rc = -EINVAL;
	pool_eager(pool, 1);
	while (rc == 0 && !pool->ended)
		rc = join_step(pool, deadline);
	pool_eager(pool, -1);
	if (rc == 0 && load_acquire(&pool->shm->fault))
		rc = -ENOTRECOVERABLE;
	pthread_mutex_unlock(&pool->mutex);
	return rc;
}

void ipck_pool_free(struct ipck_pool *pool)
{
	if (!pool || ipck_pool_terminate(pool) < 0)
		return;
	pthread_mutex_lock(&pool->mutex);
	pool_unref(pool);
}

size_t ipck_pool_pids(struct ipck_pool *pool, pid_t *pids, size_t max)
{
	size_t n = 0;

	for (uint32_t i = 0; i < pool->shm->workers; i++) {
		uint32_t pid = load_acquire(&pool_slot(pool->shm, i)->pid);

		if (pid && n++ < max)
			pids[n - 1] = (pid_t)pid;
	}
	return n;
}

static void fill_stat(struct ipck_pool *pool, struct ipck_pool_stat *stat)
{
	struct pool_shm *shm = pool->shm;

	stat->workers = (int)shm->workers;
	stat->alive = (int)load_acquire(&shm->alive);
	stat->master = pool->master && !pool->ended ? ipck_process_pid(pool->master) : 0;
	for (uint32_t i = 0; i < shm->workers; i++)
		stat->done += load_relaxed(&pool_slot(shm, i)->done);
	stat->lost = load_relaxed(&shm->lost);
	stat->replaced = load_relaxed(&shm->replaced);
	stat->masters = load_relaxed(&shm->masters);
}

int ipck_pool_stat(struct ipck_pool *pool, struct ipck_pool_stat *stat)
{
	struct ipck_pool_stat own;
	size_t size = stat->size;
	int rc = opts_copy(&own, sizeof(own), stat);

	if (rc < 0)
		return rc;
	rc = pool_check_caller(pool);
	if (rc < 0)
		return rc;
	memset(&own, 0, sizeof(own));
	pthread_mutex_lock(&pool->mutex);
	fill_stat(pool, &own);
	pthread_mutex_unlock(&pool->mutex);
	own.size = size;
	memcpy(stat, &own, MIN(size, sizeof(own)));
	return 0;
}
