/* SPDX-License-Identifier: MIT */
/* Changing a dict; the protocol is in dict.h. */
#include "coll/dict.h"

#include <errno.h>

#include "base/bulk.h"

/* ---- records ---- */

/* Up to 8 bytes as a word. */
static uint64_t small_word(const void *bytes, size_t size)
{
	uint64_t word;

	if (size != 8)
		return short_word(bytes, size);
	memcpy(&word, bytes, 8);
	return word;
}

/* Into memory that nobody has; a reader that had it finds out by `reuse`. */
static void write_bytes(const struct ipck_dict *d, uint64_t at, const char *from, size_t size)
{
	size_t whole = size & ~(size_t)7;

	if (whole == 8)
		store_release(dict_ptr(d, at), small_word(from, 8));
	else if (whole)
		bulk_store(dict_ptr(d, at), from, whole);
	if (size > whole)
		store_release(dict_ptr(d, at + whole), short_word(from + whole, size - whole));
}

static void write_record(const struct ipck_dict *d, uint64_t record, const struct dict_key *key, const void *value,
                         size_t size)
{
	store_release(dict_ptr(d, record), record_sizes(key->size, size));
	write_bytes(d, record + 8, key->bytes, key->size);
	write_bytes(d, record + 8 + padded(key->size), value, size);
}

/* ---- with the lock ---- */

/* The change's first word is the slot's; the value is known when the record has been taken. */
static void take_record(struct ipck_dict *d, struct slab_arena *shard, struct change *c, uint64_t slot,
                        const struct dict_key *key, const void *value, size_t size)
{
	uint64_t record;

	change_begin(c, d->slabs.pages.body);
	change_set(c, dict_ptr(d, slot), 0);
	record = slab_take(&d->slabs, shard, c, record_bytes(record_sizes(key->size, size)));
	write_record(d, record, key, value, size);
	change_set(c, dict_ptr(d, slot), word_of_record(slot_tag(key->hash), record));
}

void dict_write_cell(const struct ipck_dict *d, uint64_t slot, uint64_t key, uint64_t value)
{
	store_release(dict_ptr(d, slot_cell(slot)), key);
	store_release(dict_ptr(d, slot_cell(slot) + 8), value);
}

static void take_cell(struct ipck_dict *d, struct change *c, uint64_t slot, const struct dict_key *key,
                      const void *value, size_t size)
{
	dict_write_cell(d, slot, key->last, small_word(value, size));
	change_begin(c, d->slabs.pages.body);
	change_set(c, dict_ptr(d, slot), word_in_cell(slot_tag(key->hash), key->size, size));
}

/* The record; of a cell readers are told. */
static int free_item(struct ipck_dict *d, struct slab_arena *shard, struct change *c, const struct dict_item *item)
{
	if (item_record(item))
		return slab_free(&d->slabs, shard, c, item_record(item));
	slab_freed(&d->slabs, shard, c);
	return 0;
}

static bool goes_into_cell(const struct ipck_dict *d, const struct slab_arena *shard, const struct dict_key *key,
                           size_t size)
{
	return dict_is_small(key->size, size) && (dict_index(d, shard) & INDEX_CELLS);
}

/* Nothing is prepared for what goes into a cell. */
static int prepare(struct ipck_dict *d, struct slab_arena *shard, const struct dict_key *key, size_t size,
                   struct dict_item *item, bool *in_cell)
{
	int rc = dict_make_room(d, shard, key, size, item);

	*in_cell = goes_into_cell(d, shard, key, size);
	if (rc < 0 || *in_cell)
		return rc;
	return slab_prepare(&d->slabs, shard, record_bytes(record_sizes(key->size, size)));
}

static int insert(struct ipck_dict *d, const struct dict_place *place, const struct dict_key *key, const void *value,
                  size_t size)
{
	struct slab_arena *shard = place->shard;
	struct dict_item item = place->item;
	struct change c;
	bool in_cell;
	int rc = prepare(d, shard, key, size, &item, &in_cell);

	if (rc < 0)
		return rc;
	if (unlikely(item.slot == 0))
		return -EPROTO;
	if (in_cell)
		take_cell(d, &c, item.slot, key, value, size);
	else
		take_record(d, shard, &c, item.slot, key, value, size);
	change_set(&c, &shard->own[SHARD_KEYS], load_relaxed(&shard->own[SHARD_KEYS]) + 1);
	if (load_relaxed(dict_ptr(d, item.slot)) == SLOT_EMPTY)
		change_set(&c, &shard->own[SHARD_FILLED], load_relaxed(&shard->own[SHARD_FILLED]) + 1);
	redo_do(&shard->redo, &c);
	return IPCK_CREATED;
}

/* A value of the same size, up to 8 bytes, is one word. */
static void replace_word(const struct ipck_dict *d, const struct dict_item *item, const void *value, size_t size)
{
	if (size > 0)
		store_release(dict_ptr(d, item->value), small_word(value, size));
}

/* From a cell to a record, or back, or to another record: a cell that is in use cannot be written to. */
static int replace(struct ipck_dict *d, const struct dict_place *place, const struct dict_key *key, const void *value,
                   size_t size)
{
	struct slab_arena *shard = place->shard;
	const struct dict_item *item = &place->item;
	struct change c;
	int rc = 0;

	if (size == item->sizes >> 32 && size <= SLOT_SMALL) {
		replace_word(d, item, value, size);
		return 0;
	}
	if (item_record(item) && goes_into_cell(d, shard, key, size)) {
		take_cell(d, &c, item->slot, key, value, size);
	} else {
		rc = slab_prepare(&d->slabs, shard, record_bytes(record_sizes(key->size, size)));
		if (rc < 0)
			return rc;
		take_record(d, shard, &c, item->slot, key, value, size);
	}
	rc = free_item(d, shard, &c, item);
	if (rc == 0)
		redo_do(&shard->redo, &c);
	return rc;
}

int dict_store(struct ipck_dict *d, const struct dict_place *place, const struct dict_key *key, const void *value,
               size_t size)
{
	return place->item.word ? replace(d, place, key, value, size) : insert(d, place, key, value, size);
}

/* Whether the line of a slot has an empty one: nobody has probed beyond it. */
static bool is_last_line(const struct ipck_dict *d, uint64_t slot)
{
	bool empty;

	(void)line_free(dict_words(d, slot & ~(uint64_t)(LINE_BYTES - 1)), &empty);
	return empty;
}

int dict_remove(struct ipck_dict *d, const struct dict_place *place)
{
	struct slab_arena *shard = place->shard;
	bool last = is_last_line(d, place->item.slot);
	struct change c;
	int rc;

	change_begin(&c, d->slabs.pages.body);
	change_set(&c, dict_ptr(d, place->item.slot), last ? SLOT_EMPTY : SLOT_DELETED);
	change_set(&c, &shard->own[SHARD_KEYS], load_relaxed(&shard->own[SHARD_KEYS]) - 1);
	if (last)
		change_set(&c, &shard->own[SHARD_FILLED], load_relaxed(&shard->own[SHARD_FILLED]) - 1);
	rc = free_item(d, shard, &c, &place->item);
	if (rc == 0)
		redo_do(&shard->redo, &c);
	return rc;
}

bool dict_same_value(const struct ipck_dict *d, const struct dict_item *item, const void *value, size_t size)
{
	return item->word && item->sizes >> 32 == size &&
	       (size == 0 || memcmp(d->slabs.pages.body + item->value, value, size) == 0);
}

/* Asks for the line where a key's word is, with its cells: it may have come when the lock has. */
static void prefetch_line(const struct ipck_dict *d, const struct slab_arena *shard, uint64_t hash)
{
	uint64_t place = dict_index(d, shard), step = index_step(place);
	uint64_t line = index_offset(place) + step * index_line(place, slot_tag(hash));

	/* It may be anywhere, where no pointer may lead. */
	for (uint64_t at = 0; at < step; at += CACHE_LINE)
		__builtin_prefetch((const void *)((uintptr_t)d->slabs.pages.body + line + at));
}

int dict_lock(struct ipck_dict *d, const struct dict_key *key, struct dict_place *place)
{
	int rc;

	place->shard = dict_shard(d, key->hash);
	prefetch_line(d, place->shard, key->hash);
	rc = slab_lock(&d->slabs, place->shard);
	if (unlikely(rc > 0))
		store_relaxed(&place->shard->own[SHARD_RECOVERED],
		              load_relaxed(&place->shard->own[SHARD_RECOVERED]) + 1);
	if (rc >= 0)
		(void)dict_find(d, place->shard, key, &place->item);
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
	if (condition == IF_NEW && place.item.word)
		rc = -EEXIST;
	else if (condition == IF_THERE && !place.item.word)
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
	if (!place.item.word)
		rc = -ENOENT;
	else if (!dict_same_value(d, &place.item, expected, expected_size))
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
	rc = place.item.word ? dict_remove(d, &place) : -ENOENT;
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
	there = place.item.sizes >> 32;
	if (!place.item.word) {
		rc = -ENOENT;
	} else if (there > size) {
		rc = -EMSGSIZE;
		if (needed)
			*needed = there;
	} else {
		dict_copy(d, place.item.value, value, there);
		rc = dict_remove(d, &place);
	}
	dict_unlock(d, &place);
	return rc < 0 ? rc : (ssize_t)there;
}

static int add(struct ipck_dict *d, const struct dict_place *place, const struct dict_key *key, uint64_t *value)
{
	uint64_t *at;

	if (!place->item.word)
		return insert(d, place, key, value, sizeof(*value));
	if (place->item.sizes >> 32 != sizeof(*value))
		return -EINVAL;
	at = dict_ptr(d, place->item.value);
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
