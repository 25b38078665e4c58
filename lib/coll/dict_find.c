/* SPDX-License-Identifier: MIT */
/* Reading a dict; the protocol is in dict.h. */
#include "coll/dict.h"

#include <errno.h>
#include <stdlib.h>

#define TRIES 64

/* ---- hash ---- */

static uint64_t mix(uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

#define HASH_A UINT64_C(0x9e3779b97f4a7c15)
#define HASH_B UINT64_C(0xd1b54a32d192ed03)

struct dict_key dict_key(const struct ipck_dict *d, const void *bytes, size_t size)
{
	uint64_t h = d->seed ^ size * HASH_A, word = 0;
	const char *at = bytes;
	size_t left = size;

	for (; left >= 8; left -= 8, at += 8) {
		memcpy(&word, at, 8);
		h = mix(h ^ word, HASH_B);
	}
	if (left) {
		word = 0;
		memcpy(&word, at, left);
		h = mix(h ^ word ^ HASH_A, HASH_B);
	}
	return (struct dict_key){bytes, size, mix(h, HASH_A)};
}

/* ---- reading what may be freed meanwhile ---- */

static bool same_key(const struct ipck_dict *d, uint64_t record, const struct dict_key *key)
{
	const char *bytes = key->bytes;
	size_t left = key->size;
	uint64_t at = record + 8, word;

	for (; left >= 8; left -= 8, at += 8, bytes += 8) {
		memcpy(&word, bytes, 8);
		if (dict_word(d, at) != word)
			return false;
	}
	if (left == 0)
		return true;
	word = 0;
	memcpy(&word, bytes, left);
	return dict_word(d, at) == word;
}

void dict_copy(const struct ipck_dict *d, uint64_t at, void *to, size_t size)
{
	char *bytes = to;
	uint64_t word;

	for (; size >= 8; size -= 8, at += 8, bytes += 8) {
		word = dict_word(d, at);
		memcpy(bytes, &word, 8);
	}
	if (size == 0)
		return;
	word = dict_word(d, at);
	memcpy(bytes, &word, size);
}

/*
 * The record of a key, 0 if there is none, with its sizes; *slot: where its word is, or where
 * one of it goes.  What is damaged, or was freed, is no record.
 */
static uint64_t find(const struct ipck_dict *d, uint64_t place, const struct dict_key *key, uint64_t *sizes,
                     uint64_t *slot)
{
	uint64_t tag = slot_tag(key->hash), mask, at, free_slot = 0;

	*slot = 0;
	if (!dict_has_index(d, place))
		return 0;
	mask = (UINT64_C(1) << index_log(place)) - 1;
	at = tag & mask;
	for (uint64_t n = 0; n <= mask; n++, at = (at + 1) & mask) {
		uint64_t where = index_offset(place) + 8 * at, word = dict_word(d, where), record;

		if (word <= SLOT_DELETED) {
			if (free_slot == 0)
				free_slot = where;
			if (word == SLOT_EMPTY)
				break;
			continue;
		}
		record = word_record(word);
		if (word_tag(word) != tag || !dict_is_within(d, record, 8))
			continue;
		*sizes = dict_word(d, record);
		if ((uint32_t)*sizes != key->size || !dict_is_within(d, record, record_bytes(*sizes)))
			continue;
		if (same_key(d, record, key)) {
			*slot = where;
			return record;
		}
	}
	*slot = free_slot;
	return 0;
}

uint64_t dict_find(const struct ipck_dict *d, const struct slab_arena *shard, const struct dict_key *key,
                   uint64_t *sizes, uint64_t *slot)
{
	return find(d, dict_index(d, shard), key, sizes, slot);
}

/* With value NULL: whether it is there. */
static ssize_t read_value(const struct ipck_dict *d, const struct slab_arena *shard, const struct dict_key *key,
                          void *value, size_t room, size_t *needed)
{
	uint64_t sizes, slot, record = dict_find(d, shard, key, &sizes, &slot);
	size_t size;

	if (record == 0)
		return -ENOENT;
	size = sizes >> 32;
	if (!needed)
		return 1;
	if (size > room) {
		*needed = size;
		return -EMSGSIZE;
	}
	dict_copy(d, record_value(record, key->size), value, size);
	return (ssize_t)size;
}

static ssize_t read(struct ipck_dict *d, const struct dict_key *key, void *value, size_t room, size_t *needed)
{
	struct slab_arena *shard = dict_shard(d, key->hash);
	const uint64_t *freed = &slab_front(&d->slabs, shard)->reuse;
	ssize_t n;
	int rc;

	for (int tries = 0; tries < TRIES; tries++) {
		uint64_t reuse = load_acquire(freed);

		n = read_value(d, shard, key, value, room, needed);
		if (likely(load_acquire(freed) == reuse))
			return n;
	}
	rc = slab_lock(&d->slabs, shard);
	if (rc < 0)
		return rc;
	n = read_value(d, shard, key, value, room, needed);
	slab_unlock(&d->slabs, shard);
	return n;
}

ssize_t ipck_dict_get(struct ipck_dict *d, const void *key, size_t key_size, void *value, size_t size, size_t *needed)
{
	size_t longer = 0;
	struct dict_key k;
	ssize_t n = dict_check_sizes(key_size, 0);

	if (n < 0)
		return n;
	k = dict_key(d, key, key_size);
	n = read(d, &k, value, size, &longer);
	if (n == -EMSGSIZE && needed)
		*needed = longer;
	return n;
}

int ipck_dict_get_new(struct ipck_dict *d, const void *key, size_t key_size, void **value, size_t *size)
{
	size_t room = 64, needed = 0;

	for (;;) {
		void *bytes = malloc(room);
		ssize_t n = bytes ? ipck_dict_get(d, key, key_size, bytes, room, &needed) : -ENOMEM;

		if (n >= 0) {
			*value = bytes;
			*size = (size_t)n;
			return 0;
		}
		free(bytes);
		/* It may be another one by then. */
		if (n != -EMSGSIZE)
			return (int)n;
		room = needed;
	}
}

int ipck_dict_contains(struct ipck_dict *d, const void *key, size_t key_size)
{
	struct dict_key k;
	ssize_t n = dict_check_sizes(key_size, 0);

	if (n < 0)
		return (int)n;
	k = dict_key(d, key, key_size);
	n = read(d, &k, NULL, 0, NULL);
	return n == -ENOENT ? 0 : (int)n;
}
