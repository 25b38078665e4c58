/* SPDX-License-Identifier: MIT */
/*
 * map: items of a fixed size.  The parent copies them into blocks, at most a few
 * per worker at a time, and copies the results out of blocks that are finished, in
 * any order; so the shared memory stays small for any number of items.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/name.h"
#include "pool/internal.h"

/* What of a block's items and results should fit into a CPU's cache. */
#define BLOCK_BYTES 65536u

#define CALL_BYTES 16384u

/* What all blocks of a call may take; but each worker has one to work on, and one
 * waits. */
#define FLIGHT_BYTES (32u << 20)

/* A block on its way. */
struct flight {
	uint32_t block;
	bool under_way;
	size_t first, count;
};

struct map {
	struct ipck_pool *pool;
	struct call call;
	const char *in;
	char *out;
	size_t n, in_size, out_size;
	struct ipck_status *status;

	size_t per_block;
	size_t out_at; /* of the results behind the items of a block */
	size_t stride; /* from one flight's items to the next's */
	size_t next;   /* the first item not yet in a block */
	size_t ended;  /* items that came back */
	size_t failed; /* of them, not done */
	bool canceled; /* some, by the pool's end */
	struct flight *flights;
	size_t n_flights;
	uint32_t deaths; /* of the pool as of the last close look */
	int64_t looked;  /* when that was */
};

/* Two for each worker, so that one is there when the first is done; helpers even
 * out the rest.  Many items go in more, smaller ones. */
static size_t choose_per_block(const struct map *m)
{
	size_t workers = m->pool->shm->workers;
	size_t share = m->n / (2 * workers) + (m->n % (2 * workers) != 0);
	size_t bytes = m->in_size + m->out_size;
	size_t fits = bytes ? MAX(BLOCK_BYTES / bytes, (size_t)1) : BLOCK_ITEMS;

	return MIN(MIN(share, fits), (size_t)BLOCK_ITEMS);
}

static size_t choose_flights(const struct map *m)
{
	size_t blocks = m->n / m->per_block + (m->n % m->per_block != 0);

	blocks = MIN(blocks, MAX(FLIGHT_BYTES / (m->stride + 1), (size_t)m->pool->shm->workers + 1));
	return MIN(blocks, (size_t)m->pool->shm->blocks / 2);
}

static int map_begin(struct map *m, const struct ipck_map_opts *opts)
{
	int rc;

	m->call.retries = MIN((uint32_t)opts->retries, (uint32_t)UINT16_MAX);
	m->deaths = load_acquire(&m->pool->shm->deaths);
	m->looked = clock_now();
	m->per_block = choose_per_block(m);
	m->out_at = ROUND_UP(m->per_block * m->in_size, (size_t)CACHE_LINE);
	m->stride = m->out_at + ROUND_UP(m->per_block * m->out_size, (size_t)CACHE_LINE);
	/* Their sum for all flights must not overflow. */
	if (m->stride > PTRDIFF_MAX / (2 * POOL_WORKERS_MAX))
		return -ENOSPC;
	m->n_flights = choose_flights(m);
	m->flights = calloc(m->n_flights, sizeof(*m->flights));
	if (!m->flights) {
		m->n_flights = 0;
		return -ENOMEM;
	}
	/* Where memory is short a few have to do. */
	while ((rc = call_begin(&m->call, m->pool, opts->arg, opts->arg_size, m->n_flights * m->stride)) == -ENOSPC &&
	       m->n_flights > 1)
		m->n_flights /= 2;
	return rc;
}

/* Whether a block was sent: not while all are in use. */
static bool send(struct map *m, struct flight *f)
{
	struct ipck_pool *pool = m->pool;
	int64_t block = pool_take_block(pool);
	struct block *b;

	if (block < 0)
		return false;
	f->block = (uint32_t)block;
	f->first = m->next;
	f->count = MIN(m->per_block, m->n - m->next);
	f->under_way = true;
	b = pool_fill(pool, f->block, &m->call);
	b->in = m->call.argument->extra_at + (size_t)(f - m->flights) * m->stride;
	b->in_size = m->in_size;
	b->out = b->in + m->out_at;
	b->out_size = m->out_size;
	if (m->in_size)
		memcpy((char *)pool->shm + b->in, m->in + f->first * m->in_size, f->count * m->in_size);
	for (size_t i = 0; b->retries && i < f->count; i++)
		b->tries[i] = (uint16_t)b->retries;
	m->next += f->count;
	block_open(pool->shm, f->block, (uint32_t)f->count);
	return true;
}

static void receive_item(struct map *m, const struct block *b, size_t i, size_t index)
{
	enum ipck_outcome outcome = (enum ipck_outcome)(load_acquire(&b->state[i]) & ~ITEM_FINAL);
	bool valued = outcome != IPCK_DONE && outcome != IPCK_CANCELED;

	if (m->status)
		m->status[index] = (struct ipck_status){outcome, valued ? b->value[i] : 0};
	m->failed += outcome != IPCK_DONE;
	m->canceled |= outcome == IPCK_CANCELED;
	if (outcome == IPCK_DONE && m->out_size) {
		const char *results = (const char *)m->pool->shm + b->out;

		memcpy(m->out + index * m->out_size, results + i * m->out_size, m->out_size);
	}
}

static bool all_done(const struct block *b, size_t count)
{
	unsigned states = 0;

	for (size_t i = 0; i < count; i++)
		states |= load_acquire(&b->state[i]);
	return states == (ITEM_FINAL | IPCK_DONE);
}

static void receive(struct map *m, struct flight *f)
{
	struct block *b = pool_block(m->pool->shm, f->block);

	if (all_done(b, f->count)) {
		if (m->out_size)
			memcpy(m->out + f->first * m->out_size, (const char *)m->pool->shm + b->out,
			       f->count * m->out_size);
		for (size_t i = 0; m->status && i < f->count; i++)
			m->status[f->first + i] = (struct ipck_status){IPCK_DONE, 0};
	} else {
		for (size_t i = 0; i < f->count; i++)
			receive_item(m, b, i, f->first + i);
	}
	m->ended += f->count;
	f->under_way = false;
	pool_return_block(m->pool, f->block);
}

/*
 * Takes in what is finished: by its mark, or (closely) all by their states.  A mark
 * can be lost, or late, with the worker that had to make it: so closely after a
 * death, and at each tick.
 */
static bool receive_all(struct map *m, bool closely)
{
	bool any = false;

	for (size_t i = 0; i < m->n_flights; i++) {
		struct flight *f = &m->flights[i];
		struct block *b = pool_block(m->pool->shm, f->block);

		if (!f->under_way)
			continue;
		if (!closely && load_acquire(&b->finished) != load_relaxed(&b->gen))
			continue;
		if (!block_is_final(b))
			continue;
		receive(m, f);
		any = true;
	}
	return any;
}

static bool look_closely(struct map *m)
{
	uint32_t deaths = load_acquire(&m->pool->shm->deaths);
	int64_t now = clock_now();

	if (deaths == m->deaths && now - m->looked < TICK_NS)
		return false;
	m->deaths = deaths;
	m->looked = now;
	return true;
}

/* Whether anything was sent.  Workers are called for several small blocks at once:
 * a call takes as long as the copy of CALL_BYTES. */
static bool send_all(struct map *m)
{
	size_t under_way = 0, share = pool_share(m->pool), bytes = 0;
	uint32_t uncalled = 0;
	bool any = false;

	for (size_t i = 0; i < m->n_flights; i++)
		under_way += m->flights[i].under_way;
	for (size_t i = 0; i < m->n_flights && m->next < m->n && under_way < share; i++) {
		if (m->flights[i].under_way)
			continue;
		if (!send(m, &m->flights[i]))
			break;
		any = true;
		under_way++;
		uncalled++;
		bytes += m->flights[i].count * m->in_size;
		if (bytes < CALL_BYTES)
			continue;
		pool_call(m->pool->shm, uncalled);
		uncalled = 0;
		bytes = 0;
	}
	if (uncalled)
		pool_call(m->pool->shm, uncalled);
	return any;
}

static int map_run(struct map *m, struct ipck_deadline deadline)
{
	struct ipck_pool *pool = m->pool;

	while (m->ended < m->n) {
		uint32_t seen = load_seq(&pool->shm->progress);
		bool any = receive_all(m, look_closely(m));
		int rc = 0;

		/* Before waiting: a worker may wait for us to take its result of an imap. */
		if (!any)
			pool_collect(pool);
		any |= send_all(m);
		if (m->ended < m->n && !any)
			rc = pool_wait(pool, seen, deadline);
		if (rc == 0 && m->ended < m->n)
			rc = pool_alive(pool);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void cancel_rest(struct map *m)
{
	struct buffer none = {0};

	receive_all(m, true);
	for (size_t i = 0; i < m->n_flights; i++) {
		struct flight *f = &m->flights[i];

		if (!f->under_way)
			continue;
		/* What is final has its status; the rest is not waited for. */
		block_withdraw(pool_block(m->pool->shm, f->block));
		for (size_t k = 0; k < f->count; k++) {
			struct block *b = pool_block(m->pool->shm, f->block);

			if (item_is_final(load_acquire(&b->state[k])))
				receive_item(m, b, k, f->first + k);
			else if (m->status)
				m->status[f->first + k] = (struct ipck_status){IPCK_CANCELED, 0};
		}
		pool_abandon(m->pool, f->block, &none, m->call.argument);
	}
	for (size_t i = m->next; m->status && i < m->n; i++)
		m->status[i] = (struct ipck_status){IPCK_CANCELED, 0};
}

static void map_end(struct map *m)
{
	free(m->flights);
	if (m->call.argument)
		argument_put(m->pool, m->call.argument);
}

static int check(const struct map *m, const struct ipck_map_opts *opts, size_t *bytes)
{
	if (opts->retries < 0 || (m->in_size && !m->in && m->n) || (m->out_size && !m->out && m->n))
		return -EINVAL;
	if (__builtin_mul_overflow(m->n, m->in_size, bytes) || __builtin_mul_overflow(m->n, m->out_size, bytes))
		return -EINVAL;
	/* The result counts items. */
	if (m->n > PTRDIFF_MAX / 4 || m->in_size > PTRDIFF_MAX / 4 || m->out_size > PTRDIFF_MAX / 4)
		return -EINVAL;
	return opts->arg_size && !opts->arg ? -EINVAL : 0;
}

ssize_t ipck_pool_map(struct ipck_pool *pool, ipck_map_fn *fn, const void *in, size_t n, size_t in_size, void *out,
                      size_t out_size, const struct ipck_map_opts *opts, struct ipck_deadline deadline)
{
	struct map m = {.pool = pool, .in = in, .out = out, .n = n, .in_size = in_size, .out_size = out_size};
	struct ipck_map_opts own;
	size_t bytes;
	int rc = fn ? opts_copy(&own, sizeof(own), opts) : -EINVAL;

	if (rc == 0)
		rc = check(&m, &own, &bytes);
	if (rc == 0)
		rc = pool_enter(pool, (uintptr_t)fn);
	if (rc < 0)
		return rc;
	m.call.function = (uintptr_t)fn;
	m.call.kind = BLOCK_MAP;
	m.status = own.status;
	pool->calls++;
	if (n > 0)
		rc = map_begin(&m, &own);
	if (rc == 0)
		rc = map_run(&m, deadline);
	if (rc < 0)
		cancel_rest(&m);
	if (m.ended == n)
		rc = m.canceled ? pool_alive(pool) : 0;
	map_end(&m);
	pool->calls--;
	/* Who joins waits for the last call; once unlocked the pool may be gone. */
	pool_progress(pool->shm);
	pthread_mutex_unlock(&pool->mutex);
	return rc < 0 ? rc : (ssize_t)m.failed;
}
