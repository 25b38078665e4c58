/* SPDX-License-Identifier: MIT */
/*
 * imap: items of any size, read lazily from a callback, results of any size given
 * out one by one, in the order of the input or as they come.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/name.h"
#include "pool/internal.h"

#define LATER_NS (5 * NS_PER_MS) /* until an input that had nothing is asked again */

struct ipck_imap {
	struct ipck_pool *pool;
	struct call call;
	ipck_input_fn *input;
	void *ctx;
	bool ordered;
	size_t window;

	uint64_t read;     /* items read so far */
	size_t held;       /* of them, not yet given out */
	size_t under_way;  /* of them, in blocks */
	bool reading;      /* a thread is in the input callback, the mutex is free */
	bool input_ended;
	bool settled;      /* nothing of it needs the workers any more */
	int error;         /* what the input said, until it was given out */

	/* Ordered: all items held.  Else: those that are done. */
	struct imap_item *first, **last;
	struct imap_item *given; /* lent to the caller until the next call */
	struct ipck_imap *next;
};

static void append(struct ipck_imap *it, struct imap_item *item)
{
	*it->last = item;
	it->last = &item->next;
}

static void free_item(struct imap_item *item)
{
	if (item)
		free(item->data);
	free(item);
}

static bool is_ready(const struct ipck_imap *it)
{
	return it->first && it->first->done;
}

static void settle(struct ipck_imap *it)
{
	if (it->settled || !it->input_ended || it->under_way || it->reading)
		return;
	it->settled = true;
	it->pool->calls--;
	pool_progress(it->pool->shm);
}

/* ---- the way of an item ---- */

static void done(struct imap_item *item)
{
	item->done = true;
	if (!item->imap->ordered)
		append(item->imap, item);
}

void imap_item_result(struct imap_item *item, uint32_t worker, int value, struct gathering *g)
{
	item->landed = true;
	item->worker = (int)worker;
	item->status = (struct ipck_status){value ? IPCK_FAILED : IPCK_DONE, value};
	if (g->failed) {
		item->status = (struct ipck_status){IPCK_FAILED, -ENOMEM};
		return;
	}
	if (!g->size)
		return;
	/* A small result leaves the gathering its memory, a large one takes it along. */
	item->data = g->size <= 4096 ? malloc(g->size) : g->data;
	if (!item->data) {
		item->status = (struct ipck_status){IPCK_FAILED, -ENOMEM};
		return;
	}
	item->size = g->size;
	if (item->data == g->data)
		*g = (struct gathering){0};
	else
		memcpy(item->data, g->data, g->size);
}

void imap_item_done(struct ipck_pool *pool, uint32_t block)
{
	struct imap_item *item = pool->items[block];
	struct block *b = pool_block(pool->shm, block);
	enum ipck_outcome outcome = (enum ipck_outcome)(load_acquire(&b->state[0]) & ~ITEM_FINAL);

	if (!item->landed) {
		item->status = (struct ipck_status){outcome, outcome == IPCK_CANCELED ? 0 : b->value[0]};
		item->worker = outcome == IPCK_CANCELED ? -1 : b->value[1] - 1;
	}
	buffer_free(pool, &item->buffer);
	pool_return_block(pool, block);
	item->imap->under_way--;
	done(item);
	settle(item->imap);
}

/* The item's input into the block: behind the block itself if it is small. */
static int put_input(struct ipck_pool *pool, struct imap_item *item, struct block *b, const void *data, size_t size)
{
	int rc = 0;

	b->in = (uint64_t)((char *)b->value - (char *)pool->shm) + BLOCK_INLINE_AT;
	b->in_size = size;
	if (size > BLOCK_INLINE) {
		rc = arena_alloc(&pool->arena, size, &item->buffer.offset);
		if (rc < 0)
			return rc;
		item->buffer.size = size;
		b->in = item->buffer.offset;
	}
	if (size)
		memcpy((char *)pool->shm + b->in, data, size);
	return 0;
}

/* A read item goes under way, or is done at once if it cannot. */
static void send(struct ipck_imap *it, struct imap_item *item, const void *data, size_t size)
{
	struct ipck_pool *pool = it->pool;
	struct block *b = pool_fill(pool, item->block, &it->call);
	int rc = pool_alive(pool) < 0 ? -ECANCELED : put_input(pool, item, b, data, size);

	item->imap = it;
	item->index = it->read++;
	item->worker = -1;
	it->held++;
	if (it->ordered)
		append(it, item);
	if (rc < 0) {
		item->status = (struct ipck_status){rc == -ECANCELED ? IPCK_CANCELED : IPCK_FAILED, rc};
		if (rc == -ECANCELED)
			item->status.value = 0;
		pool_return_block(pool, item->block);
		done(item);
		return;
	}
	b->tries[0] = (uint16_t)b->retries;
	b->value[1] = 0;
	item->serial = b->serial;
	pool->items[item->block] = item;
	it->under_way++;
	block_open(pool->shm, item->block, 1);
	pool_call(pool->shm, 1);
}

static void end_input(struct ipck_imap *it, int error)
{
	it->input_ended = true;
	it->error = error;
}

/*
 * Reads one item, with the mutex free meanwhile; a block is put by for it before.
 * Returns what the input returned.
 */
static int read_one(struct ipck_imap *it)
{
	struct ipck_pool *pool = it->pool;
	uint32_t block = (uint32_t)pool_take_block(pool);
	struct imap_item *item = calloc(1, sizeof(*item));
	const void *data = NULL;
	size_t size = 0;
	int rc = -ENOMEM;

	if (item) {
		it->reading = true;
		pthread_mutex_unlock(&pool->mutex);
		rc = it->input(it->ctx, &data, &size);
		pthread_mutex_lock(&pool->mutex);
		it->reading = false;
	}
	if (rc == 1) {
		item->block = block;
		send(it, item, data, size);
	} else {
		free(item);
		pool_return_block(pool, block);
		if (rc != IPCK_INPUT_LATER)
			end_input(it, rc > 0 ? -EINVAL : rc);
	}
	settle(it);
	return rc;
}

static bool may_read(const struct ipck_imap *it)
{
	return !it->input_ended && !it->reading && it->held < it->window &&
	       it->under_way < pool_share(it->pool) && pool_has_block(it->pool);
}

/* ---- ends ---- */

/* Items under way: withdrawn.  They are done, as canceled, or dropped. */
static void withdraw(struct ipck_imap *it, bool drop)
{
	struct ipck_pool *pool = it->pool;

	for (uint32_t b = 0; it->under_way && b < pool->shm->blocks; b++) {
		struct imap_item *item = pool->items[b];

		if (!item || item->imap != it)
			continue;
		pool_abandon(pool, b, &item->buffer, it->call.argument);
		it->under_way--;
		if (drop && !it->ordered) {
			free_item(item);
			continue;
		}
		free(item->data);
		item->data = NULL;
		item->size = 0;
		item->worker = -1;
		item->status = (struct ipck_status){IPCK_CANCELED, 0};
		done(item);
	}
}

void imap_cancel_all(struct ipck_pool *pool)
{
	struct ipck_imap *it;

	for (it = pool->imaps; it && it->settled; it = it->next)
		;
	if (!it)
		return;
	/* What was ready is taken as it is. */
	pool_collect(pool);
	for (it = pool->imaps; it; it = it->next) {
		withdraw(it, false);
		if (!it->input_ended)
			end_input(it, 0);
		settle(it);
	}
}

int imap_drain_all(struct ipck_pool *pool)
{
	bool waits = false;

	for (struct ipck_imap *it = pool->imaps; it; it = it->next) {
		it->window = SIZE_MAX;
		if (!may_read(it))
			continue;
		/* The list may change while the input runs: begin again. */
		if (read_one(it) != IPCK_INPUT_LATER)
			return 1;
		waits = true;
	}
	return waits ? IPCK_INPUT_LATER : 0;
}

/* ---- the calls ---- */

static int imap_new(struct ipck_imap **out, struct ipck_pool *pool, const struct call *call, ipck_input_fn *input,
                    void *ctx, const struct ipck_map_opts *opts, bool ordered)
{
	struct ipck_imap *it = calloc(1, sizeof(*it));
	int rc = pool_make_rings(pool);

	if (!it || rc < 0) {
		free(it);
		return it ? rc : -ENOMEM;
	}
	it->pool = pool;
	it->call = *call;
	it->input = input;
	it->ctx = ctx;
	it->ordered = ordered;
	it->window = opts->window ? opts->window : 4 * (size_t)pool->shm->workers;
	it->last = &it->first;
	rc = call_begin(&it->call, pool, opts->arg, opts->arg_size, 0);
	if (rc < 0) {
		free(it);
		return rc;
	}
	it->next = pool->imaps;
	pool->imaps = it;
	pool->calls++;
	pool->refs++;
	*out = it;
	return 0;
}

static int begin(struct ipck_imap **out, struct ipck_pool *pool, ipck_imap_fn *fn, ipck_input_fn *input, void *ctx,
                 const struct ipck_map_opts *opts, bool ordered)
{
	struct call call = {.function = (uintptr_t)fn, .kind = BLOCK_IMAP};
	struct ipck_map_opts own;
	int rc = fn && input ? opts_copy(&own, sizeof(own), opts) : -EINVAL;

	if (rc == 0 && (own.retries < 0 || (own.arg_size && !own.arg)))
		rc = -EINVAL;
	if (rc == 0)
		rc = pool_enter(pool, (uintptr_t)fn);
	if (rc < 0)
		return rc;
	call.retries = MIN((uint32_t)own.retries, (uint32_t)UINT16_MAX);
	rc = imap_new(out, pool, &call, input, ctx, &own, ordered);
	pthread_mutex_unlock(&pool->mutex);
	return rc;
}

int ipck_pool_imap(struct ipck_imap **out, struct ipck_pool *pool, ipck_imap_fn *fn, ipck_input_fn *input, void *ctx,
                   const struct ipck_map_opts *opts)
{
	return begin(out, pool, fn, input, ctx, opts, true);
}

int ipck_pool_imap_unordered(struct ipck_imap **out, struct ipck_pool *pool, ipck_imap_fn *fn, ipck_input_fn *input,
                             void *ctx, const struct ipck_map_opts *opts)
{
	return begin(out, pool, fn, input, ctx, opts, false);
}

static int give(struct ipck_imap *it, struct ipck_item *out)
{
	struct imap_item *item = it->first;

	it->first = item->next;
	if (!it->first)
		it->last = &it->first;
	it->held--;
	it->given = item;
	*out = (struct ipck_item){item->index, item->status, item->data, item->size, item->worker};
	return 1;
}

/* Nothing is ready: at the end, or waits; 0 with *ended, or negative. */
static int wait_for_ready(struct ipck_imap *it, uint32_t seen, bool later, bool *ended, struct ipck_deadline deadline)
{
	struct ipck_deadline soon = deadline;
	int rc;

	*ended = it->input_ended && it->held == 0;
	if (*ended) {
		rc = it->error;
		it->error = 0;
		return rc;
	}
	if (later)
		soon.ns = MIN(deadline.ns, clock_now() + LATER_NS);
	rc = pool_wait(it->pool, seen, soon);
	return rc == -ETIMEDOUT && later ? deadline_check(deadline, clock_now()) : rc;
}

static int next_locked(struct ipck_imap *it, struct ipck_item *out, struct ipck_deadline deadline)
{
	struct ipck_pool *pool = it->pool;
	bool ended = false;
	int rc = 0;

	while (rc == 0 && !ended) {
		uint32_t seen = load_seq(&pool->shm->progress);
		bool later = false;

		pool_watch(pool);
		pool_collect(pool);
		/* One for one: the window stays full, a slow input holds up one result. */
		if (may_read(it))
			later = read_one(it) == IPCK_INPUT_LATER;
		if (is_ready(it))
			return give(it, out);
		if (later || !may_read(it))
			rc = wait_for_ready(it, seen, later, &ended, deadline);
	}
	return rc;
}

int ipck_imap_next(struct ipck_imap *it, struct ipck_item *out, struct ipck_deadline deadline)
{
	int rc = pool_check_caller(it->pool);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&it->pool->mutex);
	free_item(it->given);
	it->given = NULL;
	pool_eager(it->pool, 1);
	rc = next_locked(it, out, deadline);
	pool_eager(it->pool, -1);
	pthread_mutex_unlock(&it->pool->mutex);
	return rc;
}

static void leave(struct ipck_imap *it)
{
	struct ipck_imap **at = &it->pool->imaps;

	while (*at != it)
		at = &(*at)->next;
	*at = it->next;
}

void ipck_imap_close(struct ipck_imap *it)
{
	struct ipck_pool *pool;

	if (!it || pool_check_caller(it->pool) < 0)
		return;
	pool = it->pool;
	pthread_mutex_lock(&pool->mutex);
	/* A joining thread may be reading its input. */
	end_input(it, 0);
	while (it->reading)
		(void)pool_wait(pool, load_seq(&pool->shm->progress), ipck_in_ms(1));
	withdraw(it, true);
	settle(it);
	leave(it);
	for (struct imap_item *item = it->first, *next; item; item = next) {
		next = item->next;
		free_item(item);
	}
	free_item(it->given);
	argument_put(pool, it->call.argument);
	free(it);
	pool_unref(pool);
}
