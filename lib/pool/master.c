/* SPDX-License-Identifier: MIT */
#include "pool/master.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fork.h"
#include "base/io.h"
#include "pool/worker.h"
#include "proc/reset.h"
#include "proc/start.h"

#define TERMINATE_GRACE_NS (200 * NS_PER_MS)
#define RETRY_NS (10 * NS_PER_MS)
#define RETRIES_MAX 500 /* of a fork that fails: 5 s */
#define BARREN_MIN 8    /* deaths before ready, in a row, that break a pool */

struct master {
	const struct pool_image *image;
	struct pool_shm *shm;
	struct ipck_process **workers; /* by place; NULL: none */
	uint32_t barren;               /* deaths in a row of workers that never were ready */
	uint64_t done;                 /* items that were done at the last of them */
	uint32_t failures;             /* forks in a row that failed */
	bool ending;                   /* it ends the workers itself */
};

/*
 * The presence pipe.  `held`: its write end, in a master and its workers.  `making`:
 * a pipe for a new master, in its parent until the master has it; the kernel writes
 * the numbers before they exist, so the hook misses none.  Children of anybody
 * else's fork, and of a worker's, close them all: they must not look as if the pool
 * were alive.
 */
static int held = -1;
static int making[2] = {-1, -1};
static __thread enum { KEEP_NONE, KEEP_MADE, KEEP_HELD } keep; /* what this thread forks */
static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;

static void reset_in_child(void)
{
	starting = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	if (keep != KEEP_HELD)
		io_close(&held);
	if (keep == KEEP_MADE) {
		held = making[1];
		making[1] = -1;
	}
	io_close(&making[0]);
	io_close(&making[1]);
	keep = KEEP_NONE;
}

static struct fork_hook hook = {.child = reset_in_child};

__attribute__((constructor)) static void install(void)
{
	fork_hook_add(&hook);
}

/* ---- a worker process ---- */

struct recruit {
	struct master *master;
	uint32_t place;
};

static int run_worker(void *arg)
{
	const struct recruit *recruit = arg;
	const struct pool_image *image = recruit->master->image;
	struct slot *slot = pool_slot(image->shm, recruit->place);
	struct worker w = {
		.pool = image->pool,
		.shm = image->shm,
		.slot = slot,
		.place = recruit->place,
		.claim = (uint16_t)(recruit->place + 1),
		.process = true,
	};

	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	pthread_sigmask(SIG_SETMASK, &image->mask, NULL);
	if (image->init) {
		int rc = image->init(image->init_arg);

		if (rc < 0) {
			store_release(&slot->init_result, rc);
			return 1;
		}
	}
	store_release(&slot->ready, 1);
	worker_run(&w);
	return 0;
}

/* ---- the master ---- */

static void tell_of_death(struct master *m)
{
	add_seq(&m->shm->deaths, 1);
	pool_progress(m->shm);
	/* An item may be FREE again, or left by a hint that was not followed. */
	evcount_notify(&m->shm->work, EVCOUNT_ALL);
}

static int start_worker(struct master *m, uint32_t place)
{
	struct recruit recruit = {m, place};
	struct slot *slot = pool_slot(m->shm, place);
	/* The master has no handlers, and alone reaps its workers. */
	static const struct launch_kind kind = {.stdio = FUNCTION_STDIO};
	struct ipck_process_opts opts = {.size = sizeof(opts), .daemon = true, .group = true};
	struct ipck_process *p;
	int rc;

	store_relaxed(&slot->ready, 0);
	keep = KEEP_HELD;
	rc = process_start(&p, run_worker, &recruit, &opts, &kind);
	keep = KEEP_NONE;
	if (rc < 0) {
		/* It may have been forked, have taken an item, and been killed for want of
		 * a handle. */
		add_relaxed(&m->shm->lost, pool_account(m->shm, (uint16_t)(place + 1), IPCK_KILLED, SIGKILL));
		tell_of_death(m);
		return rc;
	}
	m->workers[place] = p;
	store_release(&slot->pid, (uint32_t)ipck_process_pid(p));
	add_relaxed(&m->shm->alive, 1);
	return 0;
}

static uint64_t items_done(struct pool_shm *shm)
{
	uint64_t done = 0;

	for (uint32_t i = 0; i < shm->workers; i++)
		done += load_relaxed(&pool_slot(shm, i)->done);
	return done;
}

/* Dead, before it was ready: the pool may be unable to start at all. */
static void count_barren(struct master *m, const struct slot *slot, int code, int signal)
{
	int init = load_acquire(&slot->init_result);

	uint64_t done = items_done(m->shm);

	/* Not in a row if it was ready, or if others have worked meanwhile. */
	if (load_acquire(&slot->ready) || done != m->done)
		m->barren = 0;
	m->done = done;
	if (load_acquire(&slot->ready))
		return;
	if (++m->barren < MAX(2 * m->shm->workers, (uint32_t)BARREN_MIN))
		return;
	if (signal)
		pool_break(m->shm, FAULT_SIGNAL, signal);
	else if (init < 0)
		pool_break(m->shm, FAULT_INIT, init);
	else
		pool_break(m->shm, FAULT_EXIT, code);
}

/*
 * A worker has ended, and is still a zombie, so its group id is its own: what is
 * left of the group goes too.  Then what it held is accounted for, and only then
 * its place is free.
 */
static void bury(struct master *m, uint32_t place)
{
	struct ipck_process *p = m->workers[place];
	struct slot *slot = pool_slot(m->shm, place);
	int code = 0, signal = 0;
	enum ipck_outcome outcome;
	uint32_t lost;

	ipck_process_kill_group(p);
	ipck_process_status(p, &code, &signal);
	outcome = m->ending ? IPCK_CANCELED : signal ? IPCK_KILLED : IPCK_EXITED;
	lost = pool_account(m->shm, (uint16_t)(place + 1), outcome, signal ? signal : code);
	store_relaxed(&slot->pid, 0);
	m->workers[place] = NULL;
	ipck_process_close(p);
	add_relaxed(&m->shm->alive, (uint32_t)-1);
	if (m->ending)
		return;
	add_relaxed(&m->shm->lost, lost);
	if (load_seq(&m->shm->state) != POOL_OPEN)
		return;
	add_relaxed(&m->shm->replaced, 1);
	count_barren(m, slot, code, signal);
	tell_of_death(m);
}

/* Buries who has ended; returns how many live. */
static uint32_t bury_all(struct master *m)
{
	uint32_t alive = 0;

	for (uint32_t i = 0; i < m->shm->workers; i++) {
		if (m->workers[i] && !ipck_process_alive(m->workers[i]))
			bury(m, i);
		alive += m->workers[i] != NULL;
	}
	return alive;
}

/* Fills empty places; false if one could not be. */
static bool recruit_all(struct master *m)
{
	for (uint32_t i = 0; i < m->shm->workers; i++) {
		int rc = m->workers[i] ? 0 : start_worker(m, i);

		if (rc < 0) {
			if (!load_relaxed(&m->shm->started) || ++m->failures > RETRIES_MAX)
				pool_break(m->shm, FAULT_FORK, rc);
			return false;
		}
		m->failures = 0;
	}
	if (!load_relaxed(&m->shm->started)) {
		store_release(&m->shm->started, 1);
		pool_progress(m->shm);
	}
	return true;
}

/* Until a child ends, the parent wants something, or the time is over. */
static void sleep_master(const sigset_t *signals, int64_t ns)
{
	struct timespec ts = clock_timespec(ns);

	(void)sigtimedwait(signals, NULL, &ts);
}

static void signal_all(struct master *m, int signal)
{
	for (uint32_t i = 0; i < m->shm->workers; i++)
		if (m->workers[i])
			ipck_process_signal_group(m->workers[i], signal);
}

/* Bounded: SIGKILL is not to be refused. */
static void end_all(struct master *m, const sigset_t *signals, int64_t grace)
{
	int64_t until = clock_now() + grace;

	m->ending = true;
	if (grace)
		signal_all(m, SIGTERM);
	while (bury_all(m) > 0 && clock_now() < until)
		sleep_master(signals, MAX(until - clock_now(), (int64_t)1));
	signal_all(m, SIGKILL);
	while (bury_all(m) > 0)
		sleep_master(signals, TICK_NS);
}

static int run_master(void *arg)
{
	const struct pool_image *image = arg;
	struct master m = {.image = image, .shm = image->shm};
	sigset_t all, signals;

	/* Blocked they wait until sigtimedwait takes them: none is lost between a look
	 * and a sleep.  A SIGTERM means: look at the state. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	signal(SIGCHLD, SIG_DFL);

	m.workers = calloc(m.shm->workers, sizeof(struct ipck_process *));
	if (!m.workers)
		pool_break(m.shm, FAULT_FORK, -ENOMEM);
	while (m.workers) {
		uint32_t alive = bury_all(&m), state = load_seq(&m.shm->state);
		bool complete = true;

		if (state == POOL_QUIT && alive == 0)
			break;
		if (state == POOL_OPEN && !load_relaxed(&m.shm->fault))
			complete = recruit_all(&m);
		if (state == POOL_TERMINATE || load_relaxed(&m.shm->fault)) {
			end_all(&m, &signals, state == POOL_TERMINATE ? TERMINATE_GRACE_NS : 0);
			break;
		}
		sleep_master(&signals, complete ? TICK_NS : RETRY_NS);
	}
	free(m.workers);
	store_release(&m.shm->leaving, 1);
	pool_progress(m.shm);
	return 0;
}

int master_start(struct ipck_process **master, int *presence, const struct pool_image *image)
{
	static const struct launch_kind kind = {.stdio = FUNCTION_STDIO, .signals = SIGNALS_STANDARD, .watched = true};
	struct ipck_process_opts opts = {.size = sizeof(opts), .daemon = true, .group = true};
	int rc;

	opts.keep = image->keep;
	opts.keep_count = image->keep_count;
	pthread_mutex_lock(&starting);
	rc = io_pipe(making);
	if (rc < 0)
		goto unlock;
	store_relaxed(&image->shm->started, 0);
	store_relaxed(&image->shm->leaving, 0);
	keep = KEEP_MADE;
	rc = process_start(master, run_master, (void *)image, &opts, &kind);
	keep = KEEP_NONE;
	io_close(&making[1]);
	if (rc == 0) {
		*presence = making[0];
		making[0] = -1;
	}
	io_close(&making[0]);
unlock:
	pthread_mutex_unlock(&starting);
	return rc;
}

void master_wake(struct ipck_process *master)
{
	ipck_process_terminate(master);
}
