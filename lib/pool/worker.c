/* SPDX-License-Identifier: MIT */
#include "pool/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#ifdef HAVE_STDIO_EXT_H
#include <stdio_ext.h>
#endif

#include "base/fork.h"
#include "pool/result.h"

static __thread struct worker *current;

/* A process that a task forks is no worker. */
static void forget(void)
{
	current = NULL;
}

static struct fork_hook hook = {.child = forget};

__attribute__((constructor)) static void install(void)
{
	fork_hook_add(&hook);
}

struct worker *worker_current(void)
{
	return current;
}

/* Called for each item: where libc tells what is pending it costs next to nothing. */
static void flush_output(const struct worker *w)
{
	if (!w->process)
		return;
#ifdef HAVE_STDIO_EXT_H
	if (likely(!__fpending(stdout) && !__fpending(stderr)))
		return;
#endif
	fflush(stdout);
	fflush(stderr);
}

static void run_map_item(struct worker *w, struct block *b, uint32_t i)
{
	char *body = (char *)w->shm;
	ipck_map_fn *fn = (ipck_map_fn *)(uintptr_t)b->fn;
	int rc = fn(body + b->in + i * b->in_size, body + b->out + i * b->out_size, b->arg_size ? body + b->arg : NULL);

	flush_output(w);
	if (unlikely(rc != 0))
		b->value[i] = rc;
	item_finish(b, i, rc ? IPCK_FAILED : IPCK_DONE);
}

static void run_imap_item(struct worker *w, struct block *b, uint32_t index)
{
	char *body = (char *)w->shm;
	ipck_imap_fn *fn = (ipck_imap_fn *)(uintptr_t)b->fn;
	struct ipck_result result;
	int rc;

	result_begin(&result, w->shm, w->place, b, index);
	rc = fn(body + b->in, b->in_size, b->arg_size ? body + b->arg : NULL, &result);
	flush_output(w);
	/* Its last piece is in the ring before the state is final. */
	if (result_end(&result, rc) < 0) {
		item_finish(b, 0, IPCK_CANCELED);
		return;
	}
	b->value[0] = rc;
	item_finish(b, 0, rc ? IPCK_FAILED : IPCK_DONE);
}

/* False: the pool ends. */
static bool try_item(struct worker *w, struct block *b, uint32_t index, uint32_t i)
{
	if (!item_claim(b, i, w->claim))
		return true;
	if (b->kind == BLOCK_MAP)
		run_map_item(w, b, i);
	else
		run_imap_item(w, b, index);
	store_relaxed(&w->slot->done, load_relaxed(&w->slot->done) + 1);
	return load_relaxed(&w->shm->state) != POOL_TERMINATE;
}

/* From the front as its first worker, from the back as a helper, so that they meet
 * once and share few lines before. */
static void try_items(struct worker *w, struct block *b, uint32_t index)
{
	uint32_t count = MIN(load_relaxed(&b->count), (uint32_t)BLOCK_ITEMS);

	if (w->helping) {
		for (uint32_t i = count; i-- > 0;)
			if (!try_item(w, b, index, i))
				return;
	} else {
		for (uint32_t i = 0; i < count; i++)
			if (!try_item(w, b, index, i))
				return;
	}
}

/* Whether the parent wants to hear of it: it has little left to be worked on. */
static bool parent_waits(struct pool_shm *shm)
{
	int64_t waiting = (int64_t)(load_relaxed(&shm->posted) - load_relaxed(&shm->taken));

	/* Read one after the other, so it may even seem negative. */
	return waiting <= (int64_t)load_seq(&shm->low);
}

static void work_on(struct worker *w, uint32_t index)
{
	struct pool_shm *shm = w->shm;
	struct block *b = pool_block(shm, index);
	uint32_t gen = load_acquire(&b->gen), finished;

	try_items(w, b, index);
	store_relaxed(&b->exhausted, gen);
	/* Of two that end here at once, the second to add sees the first's items final;
	 * seq: and the parent, before it sleeps, sees them or has its `low` seen. */
	add_seq(&b->passes, 1);
	gen = load_acquire(&b->gen);
	if (!block_is_final(b))
		return;
	/* Forwards only: who is late must not take back what was said since. */
	finished = load_relaxed(&b->finished);
	while ((int32_t)(gen - finished) > 0 && !cas_release(&b->finished, &finished, gen))
		;
	if (parent_waits(shm))
		pool_progress(shm);
}

static bool found_work(void *arg)
{
	struct worker *w = arg;

	if (load_seq(&w->shm->state) != POOL_OPEN)
		return true;
	w->found = pool_find_block(w->shm, w->place, &w->helping);
	return w->found != w->shm->blocks;
}

static void spin_for_work(struct worker *w)
{
	for (uint32_t i = 0; i < w->shm->spin; i++) {
		if (load_relaxed(&w->shm->posted) != load_relaxed(&w->shm->taken))
			return;
		cpu_relax();
	}
}

void worker_run(struct worker *w)
{
	current = w;
	for (;;) {
		w->found = w->shm->blocks;
		if (!found_work(w)) {
			spin_for_work(w);
			(void)evcount_await(&w->shm->work, found_work, w, IPCK_FOREVER);
		}
		if (load_seq(&w->shm->state) != POOL_OPEN)
			break;
		work_on(w, w->found);
	}
	current = NULL;
}

int ipck_pool_worker(void)
{
	return current ? (int)current->place : -ECHILD;
}
