/* SPDX-License-Identifier: MIT */
/* Changing a dict; the protocol is in dict.h. */
#include "coll/dict.h"

#include <errno.h>

#define INDEX_LOG_MIN 4

static inline uint64_t *word_ptr(const struct ipck_dict *d, uint64_t offset)
{
	return (uint64_t *)(void *)(d->slabs.pages.body + offset);
}

/* ---- records ---- */

/* Into memory that nobody has; a reader that had it finds out by `reuse`. */
static void write_bytes(const struct ipck_dict *d, uint64_t at, const char *from, size_t size)
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

static void write_record(const struct ipck_dict *d, uint64_t record, const struct dict_key *key, const void *value,
                         size_t size)
{
	store_release(word_ptr(d, record), record_sizes(key->size, size));
	write_bytes(d, record + 8, key->bytes, key->size);
	write_bytes(d, record + 8 + padded(key->size), value, size);
}

/* ---- the index ---- */

/* -EPROTO: there are more words than keys. */
static int fill_index(const struct ipck_dict *d, uint64_t from, uint64_t to, uint64_t log_from, unsigned log_to)
{
	uint64_t mask = (UINT64_C(1) << log_to) - 1, filled = 0;

	for (uint64_t i = 0; i <= mask; i++)
		store_release(word_ptr(d, to + 8 * i), SLOT_EMPTY);
	for (uint64_t i = 0; from && i < UINT64_C(1) << log_from; i++) {
		uint64_t word = load_relaxed(word_ptr(d, from + 8 * i)), at = word_tag(word) & mask;

		if (word <= SLOT_DELETED)
			continue;
		if (++filled > mask)
			return -EPROTO;
		while (load_relaxed(word_ptr(d, to + 8 * at)) != SLOT_EMPTY)
			at = (at + 1) & mask;
		store_release(word_ptr(d, to + 8 * at), word);
	}
	return 0;
}

int dict_reindex(struct ipck_dict *d, struct slab_arena *shard)
{
	uint64_t place = dict_index(d, shard), keys = load_relaxed(&shard->own[SHARD_KEYS]), to;
	unsigned log = INDEX_LOG_MIN;
	struct change c;
	int rc;

	if (place && !dict_has_index(d, place))
		return -EPROTO;
	while (log <= SLOT_TAG_BITS && UINT64_C(1) << log < 2 * (keys + 1))
		log++;
	if (log > SLOT_TAG_BITS)
		return -ENOSPC;
	rc = slab_prepare(&d->slabs, shard, UINT64_C(8) << log);
	if (rc < 0)
		return rc;
	change_begin(&c, d->slabs.pages.body);
	/* Stored first, as the rest follows from it. */
	change_set(&c, &slab_front(&d->slabs, shard)->own[FRONT_INDEX], 0);
	to = slab_take(&d->slabs, shard, &c, UINT64_C(8) << log);
	rc = fill_index(d, index_offset(place), to, index_log(place), log);
	change_set(&c, &slab_front(&d->slabs, shard)->own[FRONT_INDEX], index_place(to, log));
	change_set(&c, &shard->own[SHARD_FILLED], keys);
	if (rc == 0 && place)
		rc = slab_free(&d->slabs, shard, &c, index_offset(place));
	if (rc == 0)
		redo_do(&shard->redo, &c);
	return rc;
}

/* Room for one more key in the index.  Without memory for another one it gets slower before it is full. */
static int make_room(struct ipck_dict *d, struct slab_arena *shard)
{
	uint64_t place = dict_index(d, shard), filled = load_relaxed(&shard->own[SHARD_FILLED]);
	uint64_t keys = load_relaxed(&shard->own[SHARD_KEYS]);
	int rc;

	if (unlikely(place != 0 && index_log(place) > SLOT_TAG_BITS))
		return -EPROTO;
	if (likely(place != 0 && 4 * (filled + 1) <= UINT64_C(3) << index_log(place)))
		return 0;
	rc = dict_reindex(d, shard);
	return rc == -ENOSPC && place != 0 && 8 * (keys + 1) <= UINT64_C(7) << index_log(place) ? 0 : rc;
}

/* ---- with the lock ---- */

/* The change's first word is the slot's; the value is known when the record has been taken. */
static uint64_t take_record(struct ipck_dict *d, struct slab_arena *shard, struct change *c, uint64_t slot,
                            const struct dict_key *key, const void *value, size_t size)
{
	uint64_t record;

	change_begin(c, d->slabs.pages.body);
	change_set(c, word_ptr(d, slot), 0);
	record = slab_take(&d->slabs, shard, c, record_bytes(record_sizes(key->size, size)));
	write_record(d, record, key, value, size);
	change_set(c, word_ptr(d, slot), slot_word(slot_tag(key->hash), record));
	return record;
}

static int insert(struct ipck_dict *d, const struct dict_place *place, const struct dict_key *key, const void *value,
                  size_t size)
{
	struct slab_arena *shard = place->shard;
	uint64_t index = dict_index(d, shard), slot = place->slot, sizes;
	struct change c;
	int rc = make_room(d, shard);

	if (rc == 0)
		rc = slab_prepare(&d->slabs, shard, record_bytes(record_sizes(key->size, size)));
	if (rc < 0)
		return rc;
	if (unlikely(dict_index(d, shard) != index))
		(void)dict_find(d, shard, key, &sizes, &slot);
	if (unlikely(slot == 0))
		return -EPROTO;
	(void)take_record(d, shard, &c, slot, key, value, size);
	change_set(&c, &shard->own[SHARD_KEYS], load_relaxed(&shard->own[SHARD_KEYS]) + 1);
	if (load_relaxed(word_ptr(d, slot)) == SLOT_EMPTY)
		change_set(&c, &shard->own[SHARD_FILLED], load_relaxed(&shard->own[SHARD_FILLED]) + 1);
	redo_do(&shard->redo, &c);
	return IPCK_CREATED;
}

static int replace(struct ipck_dict *d, const struct dict_place *place, const struct dict_key *key, const void *value,
                   size_t size)
{
	struct slab_arena *shard = place->shard;
	struct change c;
	int rc;

	if (size == place->sizes >> 32 && size <= 8) {
		write_bytes(d, record_value(place->record, key->size), value, size);
		return 0;
	}
	rc = slab_prepare(&d->slabs, shard, record_bytes(record_sizes(key->size, size)));
	if (rc < 0)
		return rc;
	(void)take_record(d, shard, &c, place->slot, key, value, size);
	rc = slab_free(&d->slabs, shard, &c, place->record);
	if (rc == 0)
		redo_do(&shard->redo, &c);
	return rc;
}

int dict_store(struct ipck_dict *d, const struct dict_place *place, const struct dict_key *key, const void *value,
               size_t size)
{
	return place->record ? replace(d, place, key, value, size) : insert(d, place, key, value, size);
}

int dict_remove(struct ipck_dict *d, const struct dict_place *place)
{
	struct slab_arena *shard = place->shard;
	uint64_t index = dict_index(d, shard), at = index_offset(index);
	uint64_t mask = (UINT64_C(1) << index_log(index)) - 1, behind = at + 8 * (((place->slot - at) / 8 + 1) & mask);
	/* Nobody has probed beyond it. */
	bool last = load_relaxed(word_ptr(d, behind)) == SLOT_EMPTY;
	struct change c;
	int rc;

	change_begin(&c, d->slabs.pages.body);
	change_set(&c, word_ptr(d, place->slot), last ? SLOT_EMPTY : SLOT_DELETED);
	change_set(&c, &shard->own[SHARD_KEYS], load_relaxed(&shard->own[SHARD_KEYS]) - 1);
	if (last)
		change_set(&c, &shard->own[SHARD_FILLED], load_relaxed(&shard->own[SHARD_FILLED]) - 1);
	rc = slab_free(&d->slabs, shard, &c, place->record);
	if (rc == 0)
		redo_do(&shard->redo, &c);
	return rc;
}

bool dict_same_value(const struct ipck_dict *d, const struct dict_place *place, const struct dict_key *key,
                     const void *value, size_t size)
{
	return place->record && place->sizes >> 32 == size &&
	       (size == 0 || memcmp(d->slabs.pages.body + record_value(place->record, key->size), value, size) == 0);
}

int dict_lock(struct ipck_dict *d, const struct dict_key *key, struct dict_place *place)
{
	int rc;

	place->shard = dict_shard(d, key->hash);
	rc = slab_lock(&d->slabs, place->shard);
	if (unlikely(rc > 0))
		store_relaxed(&place->shard->own[SHARD_RECOVERED],
		              load_relaxed(&place->shard->own[SHARD_RECOVERED]) + 1);
	if (rc >= 0)
		place->record = dict_find(d, place->shard, key, &place->sizes, &place->slot);
	return MIN(rc, 0);
}

void dict_unlock(struct ipck_dict *d, const struct dict_place *place)
{
	slab_unlock(&d->slabs, place->shard);
}

/* ---- calls ---- */

/* What is too long is not read. */
static int lock_key(struct ipck_dict *d, struct dict_key *k, const void *key, size_t key_size, size_t size,
                    struct dict_place *place)
{
	int rc = dict_check_sizes(key_size, size);

	if (rc < 0)
		return rc;
	*k = dict_key(d, key, key_size);
	return dict_lock(d, k, place);
}

enum condition { ALWAYS, IF_NEW, IF_THERE };

static int set(struct ipck_dict *d, const void *key, size_t key_size, const void *value, size_t size,
               enum condition condition)
{
	struct dict_place place;
	struct dict_key k;
	int rc = lock_key(d, &k, key, key_size, size, &place);

	if (rc < 0)
		return rc;
	if (condition == IF_NEW && place.record)
		rc = -EEXIST;
	else if (condition == IF_THERE && !place.record)
		rc = -ENOENT;
	else
		rc = dict_store(d, &place, &k, value, size);
	dict_unlock(d, &place);
	return rc;
}

int ipck_dict_set(struct ipck_dict *d, const void *key, size_t key_size, const void *value, size_t size)
{
	return set(d, key, key_size, value, size, ALWAYS);
}

int ipck_dict_insert(struct ipck_dict *d, const void *key, size_t key_size, const void *value, size_t size)
{
	int rc = set(d, key, key_size, value, size, IF_NEW);

	return MIN(rc, 0);
}

int ipck_dict_replace(struct ipck_dict *d, const void *key, size_t key_size, const void *value, size_t size)
{
	return set(d, key, key_size, value, size, IF_THERE);
}

int ipck_dict_swap(struct ipck_dict *d, const void *key, size_t key_size, const void *expected, size_t expected_size,
                   const void *value, size_t size)
{
	struct dict_place place;
	struct dict_key k;
	int rc = lock_key(d, &k, key, key_size, size, &place);

	if (rc < 0)
		return rc;
	if (!place.record)
		rc = -ENOENT;
	else if (!dict_same_value(d, &place, &k, expected, expected_size))
		rc = -ESTALE;
	else
		rc = dict_store(d, &place, &k, value, size);
	dict_unlock(d, &place);
	return rc;
}

int ipck_dict_delete(struct ipck_dict *d, const void *key, size_t key_size)
{
	struct dict_place place;
	struct dict_key k;
	int rc = lock_key(d, &k, key, key_size, 0, &place);

	if (rc < 0)
		return rc;
	rc = place.record ? dict_remove(d, &place) : -ENOENT;
	dict_unlock(d, &place);
	return rc;
}

ssize_t ipck_dict_pop(struct ipck_dict *d, const void *key, size_t key_size, void *value, size_t size, size_t *needed)
{
	struct dict_place place;
	struct dict_key k;
	size_t there;
	int rc = lock_key(d, &k, key, key_size, 0, &place);

	if (rc < 0)
		return rc;
	there = place.sizes >> 32;
	if (!place.record) {
		rc = -ENOENT;
	} else if (there > size) {
		rc = -EMSGSIZE;
		if (needed)
			*needed = there;
	} else {
		dict_copy(d, record_value(place.record, key_size), value, there);
		rc = dict_remove(d, &place);
	}
	dict_unlock(d, &place);
	return rc < 0 ? rc : (ssize_t)there;
}

static int add(struct ipck_dict *d, const struct dict_place *place, const struct dict_key *key, uint64_t *value)
{
	uint64_t *at;

	if (!place->record)
		return insert(d, place, key, value, sizeof(*value));
	if (place->sizes >> 32 != sizeof(*value))
		return -EINVAL;
	at = word_ptr(d, record_value(place->record, key->size));
	*value += load_relaxed(at);
	store_release(at, *value);
	return 0;
}

int ipck_dict_add(struct ipck_dict *d, const void *key, size_t key_size, int64_t delta, int64_t *sum)
{
	uint64_t value = (uint64_t)delta;
	struct dict_place place;
	struct dict_key k;
	int rc = lock_key(d, &k, key, key_size, 0, &place);

	if (rc < 0)
		return rc;
	rc = add(d, &place, &k, &value);
	dict_unlock(d, &place);
	if (rc >= 0 && sum)
		*sum = (int64_t)value;
	return rc;
}
