/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "pool/shared.h"

/* What is reserved apart, or not to share pages with what is written often. */
#define PAGE UINT64_C(4096)

void pool_shm_plan(struct pool_shm *plan, uint32_t workers, uint32_t blocks)
{
	uint64_t order = 1;

	while (order < blocks)
		order *= 2;
	*plan = (struct pool_shm){.workers = workers, .blocks = blocks, .order_mask = (uint32_t)order - 1};
	plan->slots_at = ROUND_UP(sizeof(struct pool_shm), PAGE);
	plan->order_at = plan->slots_at + workers * sizeof(struct slot);
	plan->open_at = plan->order_at + ROUND_UP(order * sizeof(uint32_t), (uint64_t)FALSE_SHARING);
	plan->blocks_at = ROUND_UP(plan->open_at + blocks * sizeof(uint32_t), PAGE);
	plan->rings_at = ROUND_UP(plan->blocks_at + blocks * sizeof(struct block), PAGE);
	/* Blocks stay zero until they are first used: open is 0, so nobody looks. */
}

#define ALL_FINAL UINT64_C(0x8000800080008000)

/* Four states at a time. */
static uint64_t four(const uint16_t *state)
{
	return load_acquire((const uint64_t *)(const void *)state);
}

bool block_is_final(const struct block *b)
{
	uint32_t count = load_relaxed(&b->count);

	/* NONE has the bit too, so the last word's rest does not matter. */
	for (uint32_t i = 0; i < count; i += 4)
		if ((four(b->state + i) & ALL_FINAL) != ALL_FINAL)
			return false;
#ifdef __SANITIZE_THREAD__
	/* It knows an ordering only by the same address on both sides. */
	for (uint32_t i = 0; i < count; i++)
		(void)load_acquire(&b->state[i]);
#endif
	return true;
}

static bool has_free(uint64_t states)
{
	return (states - UINT64_C(0x0001000100010001)) & ~states & UINT64_C(0x8000800080008000);
}

uint32_t block_next_free(const struct block *b, uint32_t from, uint32_t count)
{
	while (from < count) {
		if (from % 4 == 0 && !has_free(four(b->state + from)))
			from += 4;
		else if (load_relaxed(&b->state[from]) == ITEM_FREE)
			return from;
		else
			from++;
	}
	return count;
}

/* Moves the generation; only the parent and, meanwhile, the master do. */
static void next_gen(struct block *b)
{
	/* Release: who reads it sees the FREE items that it stands for.  Skips 0. */
	if (add_acq_rel(&b->gen, 1) == UINT32_MAX)
		add_acq_rel(&b->gen, 1);
}

void block_open(struct pool_shm *shm, uint32_t index, uint32_t count)
{
	struct block *b = pool_block(shm, index);
	uint64_t posted = load_relaxed(&shm->posted), taken = load_relaxed(&shm->taken);

	for (uint32_t i = count; i < ROUND_UP(count, 4u); i++)
		store_relaxed(&b->state[i], ITEM_NONE);
	store_relaxed(&b->count, count);
	store_relaxed(&b->unwanted, 0);
	/* Open before anything is FREE: who accounts for a dead worker looks into open
	 * blocks only, and a late worker may claim an item before the next is FREE. */
	store_release(&pool_open(shm)[index], 1);
	for (uint32_t i = 0; i < count; i++)
		store_release(&b->state[i], ITEM_FREE);
	next_gen(b);

	/* An old hint that nobody followed gives way: it is only a hint. */
	if (posted - taken > shm->order_mask)
		cas_acq_rel(&shm->taken, &taken, taken + 1);
	store_relaxed(&pool_order(shm)[posted & shm->order_mask], index);
	store_seq(&shm->posted, posted + 1);
}

void block_withdraw(struct block *b)
{
	uint32_t count = load_relaxed(&b->count);

	/* seq: then it is looked who waits for room. */
	store_seq(&b->unwanted, 1);
	for (uint32_t i = 0; i < count; i++) {
		uint16_t state = ITEM_FREE;

		cas_acq_rel(&b->state[i], &state, ITEM_FINAL | IPCK_CANCELED);
	}
}

void block_close(struct pool_shm *shm, uint32_t index)
{
	store_relaxed(&pool_open(shm)[index], 0);
}

static bool account_item(struct block *b, uint32_t i, enum ipck_outcome outcome, int value)
{
	if (b->retries && b->tries[i] > 0 && !load_relaxed(&b->unwanted)) {
		/* A master killed here costs the item a try more: it is still claimed. */
		b->tries[i]--;
		store_release(&b->state[i], ITEM_FREE);
		next_gen(b);
		return false;
	}
	if (b->kind == BLOCK_IMAP)
		b->value[1] = load_relaxed(&b->state[i]);
	b->value[i] = value;
	item_finish(b, i, outcome);
	return true;
}

uint32_t pool_account(struct pool_shm *shm, uint16_t claim, enum ipck_outcome outcome, int value)
{
	uint32_t lost = 0;

	for (uint32_t index = 0; index < shm->blocks; index++) {
		struct block *b = pool_block(shm, index);
		uint32_t count;

		if (!load_acquire(&pool_open(shm)[index]))
			continue;
		count = MIN(load_relaxed(&b->count), (uint32_t)BLOCK_ITEMS);
		for (uint32_t i = 0; i < count; i++) {
			uint16_t state = load_acquire(&b->state[i]);

			if (state != ITEM_FREE && !item_is_final(state) && (claim == 0 || state == claim))
				lost += account_item(b, i, outcome, value);
		}
	}
	return lost;
}

void pool_reopen(struct pool_shm *shm)
{
	/* A master may have made an item FREE and not lived to move its block's gen. */
	for (uint32_t index = 0; index < shm->blocks; index++)
		if (load_relaxed(&pool_open(shm)[index]))
			store_relaxed(&pool_block(shm, index)->exhausted, 0);
}

static bool follow_hint(struct pool_shm *shm, uint32_t *index)
{
	uint64_t taken = load_relaxed(&shm->taken);

	while (taken != load_acquire(&shm->posted)) {
		*index = load_relaxed(&pool_order(shm)[taken & shm->order_mask]);
		if (cas_acq_rel(&shm->taken, &taken, taken + 1))
			return true;
	}
	return false;
}

uint32_t pool_find_block(struct pool_shm *shm, uint32_t place, bool *helping)
{
	uint32_t index, n = shm->blocks;

	*helping = false;
	if (follow_hint(shm, &index))
		return index;
	*helping = true;
	/* Each begins elsewhere, so that helpers spread. */
	for (uint32_t i = 0; i < n; i++) {
		struct block *b;

		index = (i + place * (n / shm->workers + 1)) % n;
		if (!load_acquire(&pool_open(shm)[index]))
			continue;
		b = pool_block(shm, index);
		if (load_relaxed(&b->exhausted) != load_acquire(&b->gen))
			return index;
	}
	return n;
}
