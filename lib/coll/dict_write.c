/* SPDX-License-Identifier: MIT */
/* Changing a dict; the protocol is in dict.h. */
#include <errno.h>

#include "coll/dict.h"

#define INDEX_LOG_MIN 4

static inline uint64_t *word_ptr(const struct dict *d, uint64_t offset)
{
	return (uint64_t *)(void *)(d->slabs.pages.body + offset);
}

/* ---- records ---- */

/* Into memory that nobody has; a reader that had it finds out by `reuse`. */
static void write_bytes(const struct dict *d, uint64_t at, const char *from, size_t size)
{
	uint64_t word;

	for (; size >= 8; size -= 8, at += 8, from += 8) {
		memcpy(&word, from, 8);
		store_release(word_ptr(d, at), word);
	}
	if (size == 0)
		return;
	word = 0;
	memcpy(&word, from, size);
	store_release(word_ptr(d, at), word);
}

static void write_record(const struct dict *d, uint64_t record, const struct dict_key *key, const void *value, size_t size)
{
	store_release(word_ptr(d, record), record_sizes(key->size, size));
	write_bytes(d, record + 8, key->bytes, key->size);
	write_bytes(d, record + 8 + padded(key->size), value, size);
}

/* ---- the index ---- */

static void fill_index(const struct dict *d, uint64_t from, uint64_t to, uint64_t log_from, unsigned log_to)
{
	uint64_t mask = (UINT64_C(1) << log_to) - 1;

	for (uint64_t i = 0; i <= mask; i++)
		store_release(word_ptr(d, to + 8 * i), SLOT_EMPTY);
	for (uint64_t i = 0; from && i < UINT64_C(1) << log_from; i++) {
		uint64_t word = load_relaxed(word_ptr(d, from + 8 * i)), at = word_tag(word) & mask;

		if (word <= SLOT_DELETED)
			continue;
		while (load_relaxed(word_ptr(d, to + 8 * at)) != SLOT_EMPTY)
			at = (at + 1) & mask;
		store_release(word_ptr(d, to + 8 * at), word);
	}
}

/* Under the shard's lock: another index, with room for as many again. */
static int grow(struct dict *d, struct slab_arena *shard)
{
	uint64_t place = load_relaxed(&shard->own[SHARD_INDEX]), keys = load_relaxed(&shard->own[SHARD_KEYS]), to;
	unsigned log = INDEX_LOG_MIN;
	struct change c;
	int rc;

	while (UINT64_C(1) << log < 2 * (keys + 1))
		log++;
	if (log > SLOT_TAG_BITS)
		return -ENOSPC;
	rc = slab_prepare(&d->slabs, shard, UINT64_C(8) << log);
	if (rc < 0)
		return rc;
	change_begin(&c, d->slabs.pages.body);
	to = slab_take(&d->slabs, shard, &c, UINT64_C(8) << log);
	fill_index(d, index_offset(place), to, index_log(place), log);
	/* Before what follows from it. */
	change_first(&c, &shard->own[SHARD_INDEX], index_place(to, log));
	change_set(&c, &shard->own[SHARD_FILLED], keys);
	if (place)
		rc = slab_free(&d->slabs, shard, &c, index_offset(place));
	if (rc == 0)
		redo_do(&shard->redo, &c);
	return rc;
}

/* Room for one more key in the index. */
static int make_room(struct dict *d, struct slab_arena *shard)
{
	uint64_t place = load_relaxed(&shard->own[SHARD_INDEX]), filled = load_relaxed(&shard->own[SHARD_FILLED]);

	if (likely(place != 0 && 4 * (filled + 1) <= UINT64_C(3) << index_log(place)))
		return 0;
	return grow(d, shard);
}

/* ---- under the lock ---- */

/* What a change begins with: the word of a slot. */
static void set_slot(struct dict *d, struct change *c, uint64_t slot, uint64_t word)
{
	change_first(c, word_ptr(d, slot), word);
}

static int insert(struct dict *d, struct slab_arena *shard, const struct dict_key *key, const void *value, size_t size)
{
	uint64_t bytes = record_bytes(record_sizes(key->size, size)), sizes, slot, record;
	struct change c;
	int rc = make_room(d, shard);

	if (rc == 0)
		rc = slab_prepare(&d->slabs, shard, bytes);
	if (rc < 0)
		return rc;
	(void)dict_find(d, shard, key, &sizes, &slot);
	if (unlikely(slot == 0))
		return -EPROTO;
	change_begin(&c, d->slabs.pages.body);
	change_first(&c, word_ptr(d, slot), 0);
	record = slab_take(&d->slabs, shard, &c, bytes);
	write_record(d, record, key, value, size);
	set_slot(d, &c, slot, slot_word(slot_tag(key->hash), record));
	change_set(&c, &shard->own[SHARD_KEYS], load_relaxed(&shard->own[SHARD_KEYS]) + 1);
	if (load_relaxed(word_ptr(d, slot)) == SLOT_EMPTY)
		change_set(&c, &shard->own[SHARD_FILLED], load_relaxed(&shard->own[SHARD_FILLED]) + 1);
	redo_do(&shard->redo, &c);
	return 1;
}

static int replace(struct dict *d, struct slab_arena *shard, const struct dict_key *key, uint64_t old, uint64_t sizes,
                   uint64_t slot, const void *value, size_t size)
{
	uint64_t bytes = record_bytes(record_sizes(key->size, size)), record;
	struct change c;
	int rc;

	if (size == sizes >> 32 && size <= 8) {
		write_bytes(d, old + 8 + padded(key->size), value, size);
		return 0;
	}
	rc = slab_prepare(&d->slabs, shard, bytes);
	if (rc < 0)
		return rc;
	change_begin(&c, d->slabs.pages.body);
	change_first(&c, word_ptr(d, slot), 0);
	record = slab_take(&d->slabs, shard, &c, bytes);
	write_record(d, record, key, value, size);
	set_slot(d, &c, slot, slot_word(slot_tag(key->hash), record));
	rc = slab_free(&d->slabs, shard, &c, old);
	if (rc == 0)
		redo_do(&shard->redo, &c);
	return rc;
}

static int delete(struct dict *d, struct slab_arena *shard, uint64_t record, uint64_t slot)
{
	uint64_t place = load_relaxed(&shard->own[SHARD_INDEX]), index = index_offset(place);
	uint64_t mask = (UINT64_C(1) << index_log(place)) - 1, behind = index + 8 * (((slot - index) / 8 + 1) & mask);
	bool last = load_relaxed(word_ptr(d, behind)) == SLOT_EMPTY;
	struct change c;
	int rc;

	change_begin(&c, d->slabs.pages.body);
	set_slot(d, &c, slot, last ? SLOT_EMPTY : SLOT_DELETED);
	change_set(&c, &shard->own[SHARD_KEYS], load_relaxed(&shard->own[SHARD_KEYS]) - 1);
	if (last)
		change_set(&c, &shard->own[SHARD_FILLED], load_relaxed(&shard->own[SHARD_FILLED]) - 1);
	rc = slab_free(&d->slabs, shard, &c, record);
	if (rc == 0)
		redo_do(&shard->redo, &c);
	return rc;
}

/* ---- calls ---- */

int dict_set(struct dict *d, const struct dict_key *key, const void *value, size_t size, enum dict_set how)
{
	struct slab_arena *shard = dict_shard(d, key->hash);
	uint64_t sizes, slot, record;
	int rc = slab_lock(&d->slabs, shard);

	if (rc < 0)
		return rc;
	record = dict_find(d, shard, key, &sizes, &slot);
	if (record ? how == DICT_INSERT : how == DICT_REPLACE)
		rc = record ? -EEXIST : -ENOENT;
	else if (record)
		rc = replace(d, shard, key, record, sizes, slot, value, size);
	else
		rc = insert(d, shard, key, value, size);
	slab_unlock(&d->slabs, shard);
	return rc;
}

int dict_delete(struct dict *d, const struct dict_key *key)
{
	struct slab_arena *shard = dict_shard(d, key->hash);
	uint64_t sizes, slot, record;
	int rc = slab_lock(&d->slabs, shard);

	if (rc < 0)
		return rc;
	record = dict_find(d, shard, key, &sizes, &slot);
	rc = record ? delete(d, shard, record, slot) : -ENOENT;
	slab_unlock(&d->slabs, shard);
	return rc;
}

int dict_add(struct dict *d, const struct dict_key *key, int64_t delta, int64_t *sum)
{
	struct slab_arena *shard = dict_shard(d, key->hash);
	uint64_t sizes, slot, record, value = (uint64_t)delta;
	int rc = slab_lock(&d->slabs, shard);

	if (rc < 0)
		return rc;
	record = dict_find(d, shard, key, &sizes, &slot);
	if (!record) {
		rc = insert(d, shard, key, &value, sizeof(value));
	} else if (sizes >> 32 != sizeof(value)) {
		rc = -EINVAL;
	} else {
		uint64_t *at = word_ptr(d, record + 8 + padded(key->size));

		value += load_relaxed(at);
		store_release(at, value);
		rc = 0;
	}
	slab_unlock(&d->slabs, shard);
	if (rc >= 0 && sum)
		*sum = (int64_t)value;
	return rc;
}
