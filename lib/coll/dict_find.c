/* SPDX-License-Identifier: MIT */
/* Reading a dict; the protocol is in dict.h. */
#include "coll/dict.h"

#include <errno.h>

#define TRIES 64

/* ---- hash ---- */

static uint64_t mix(uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

#define HASH_A UINT64_C(0x9e3779b97f4a7c15)
#define HASH_B UINT64_C(0xd1b54a32d192ed03)

struct dict_key dict_key(const struct dict *d, const void *bytes, size_t size)
{
	uint64_t h = d->seed ^ size * HASH_A, word = 0;
	const char *at = bytes;
	size_t left = size;

	for (; left >= 8; left -= 8, at += 8) {
		memcpy(&word, at, 8);
		h = mix(h ^ word, HASH_B);
	}
	word = 0;
	memcpy(&word, at, left);
	h = mix(h ^ word ^ HASH_A, HASH_B);
	return (struct dict_key){bytes, size, mix(h, HASH_A)};
}

/* ---- reading what may be freed meanwhile ---- */

static inline uint64_t word_at(const struct dict *d, uint64_t offset)
{
	return load_acquire((const uint64_t *)(const void *)(d->slabs.pages.body + offset));
}

static bool is_within(const struct dict *d, uint64_t offset, uint64_t bytes)
{
	return offset < d->slabs.pages.bytes && bytes <= d->slabs.pages.bytes - offset;
}

static bool same_key(const struct dict *d, uint64_t record, const struct dict_key *key)
{
	const char *bytes = key->bytes;
	size_t left = key->size;
	uint64_t at = record + 8, word;

	for (; left >= 8; left -= 8, at += 8, bytes += 8) {
		memcpy(&word, bytes, 8);
		if (word_at(d, at) != word)
			return false;
	}
	word = 0;
	memcpy(&word, bytes, left);
	return left == 0 || word_at(d, at) == word;
}

static void copy_value(const struct dict *d, uint64_t at, char *to, size_t size)
{
	uint64_t word;

	for (; size >= 8; size -= 8, at += 8, to += 8) {
		word = word_at(d, at);
		memcpy(to, &word, 8);
	}
	if (size == 0)
		return;
	word = word_at(d, at);
	memcpy(to, &word, size);
}

/*
 * The record of a key, 0 if there is none, with its sizes; *slot: where its word is, or where
 * one of it goes.  What is damaged, or was freed, is no record.
 */
static uint64_t find(const struct dict *d, uint64_t place, const struct dict_key *key, uint64_t *sizes, uint64_t *slot)
{
	uint64_t tag = slot_tag(key->hash), mask, at, free_slot = 0;

	if (index_log(place) > SLOT_TAG_BITS || !is_within(d, index_offset(place), 8 << index_log(place)))
		return 0;
	mask = (UINT64_C(1) << index_log(place)) - 1;
	at = tag & mask;
	for (uint64_t n = 0; n <= mask; n++, at = (at + 1) & mask) {
		uint64_t where = index_offset(place) + 8 * at, word = word_at(d, where), record;

		if (word <= SLOT_DELETED) {
			if (free_slot == 0)
				free_slot = where;
			if (word == SLOT_EMPTY)
				break;
			continue;
		}
		record = word_record(word);
		if (word_tag(word) != tag || !is_within(d, record, 8))
			continue;
		*sizes = word_at(d, record);
		if ((uint32_t)*sizes != key->size || !is_within(d, record, record_bytes(*sizes)))
			continue;
		if (same_key(d, record, key)) {
			*slot = where;
			return record;
		}
	}
	*slot = free_slot;
	return 0;
}

uint64_t dict_find(const struct dict *d, const struct slab_arena *shard, const struct dict_key *key, uint64_t *sizes,
                   uint64_t *slot)
{
	return find(d, load_acquire(&shard->own[SHARD_INDEX]), key, sizes, slot);
}

static ssize_t read_value(const struct dict *d, const struct slab_arena *shard, const struct dict_key *key, void *value,
                          size_t room, size_t *needed)
{
	uint64_t sizes, slot, record = dict_find(d, shard, key, &sizes, &slot);
	size_t size;

	if (record == 0)
		return -ENOENT;
	size = sizes >> 32;
	if (size > room) {
		*needed = size;
		return -EMSGSIZE;
	}
	copy_value(d, record + 8 + padded(key->size), value, size);
	return (ssize_t)size;
}

ssize_t dict_get(struct dict *d, const struct dict_key *key, void *value, size_t room, size_t *needed)
{
	struct slab_arena *shard = dict_shard(d, key->hash);
	size_t size = 0;
	ssize_t rc;

	for (int tries = 0; tries < TRIES; tries++) {
		uint64_t reuse = load_acquire(&shard->reuse);

		rc = read_value(d, shard, key, value, room, &size);
		if (likely(load_acquire(&shard->reuse) == reuse))
			goto out;
	}
	rc = slab_lock(&d->slabs, shard);
	if (rc < 0)
		return rc;
	rc = read_value(d, shard, key, value, room, &size);
	slab_unlock(&d->slabs, shard);
out:
	if (rc == -EMSGSIZE && needed)
		*needed = size;
	return rc;
}
