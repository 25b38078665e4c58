/* SPDX-License-Identifier: MIT */
/* A dict's indexes, with the shard's lock: made, filled, swept, given back; the protocol is in dict.h. */
#include "coll/dict.h"

#include <errno.h>

/* ---- cells, or none ---- */

#define SAMPLE 64 /* slots */

/* Whether at least a half of what will be in an index is small, as far as some of its slots tell. */
static bool mostly_small(const struct ipck_dict *d, uint64_t old, bool small)
{
	unsigned all = 1, smalls = small;

	for (uint64_t i = 0; old && i < MIN(index_slots(old), (uint64_t)SAMPLE); i++) {
		uint64_t slot = index_slot(old, i);
		struct dict_item item;

		if (dict_word(d, slot) <= SLOT_DELETED || !dict_item_at(d, old, slot, &item))
			continue;
		all++;
		smalls += dict_is_small((uint32_t)item.sizes, item.sizes >> 32);
	}
	return 2 * smalls >= all;
}

/* What is in a cell stays in one: a change can take one block only. */
static bool uses_cells(const struct ipck_dict *d, uint64_t place)
{
	for (uint64_t i = 0; (place & INDEX_CELLS) && i < index_slots(place); i++)
		if (word_is_in_cell(dict_word(d, index_slot(place, i))))
			return true;
	return false;
}

/* ---- another index ---- */

/* Into the first empty slot, with what is in its cell. */
static void put_word(const struct ipck_dict *d, uint64_t from, uint64_t place, uint64_t word)
{
	uint64_t i = LINE_SLOTS * index_line(place, word_tag(word)), slot = index_slot(place, i);

	while (dict_word(d, slot) != SLOT_EMPTY) {
		i = (i + 1) & (index_slots(place) - 1);
		slot = index_slot(place, i);
	}
	if (word_is_in_cell(word))
		dict_write_cell(d, slot, dict_word(d, slot_cell(from)), dict_word(d, slot_cell(from) + 8));
	store_release(dict_ptr(d, slot), word);
}

/* All words of one index, 0: none, into another.  -EPROTO: there are more than keys. */
static int fill_index(const struct ipck_dict *d, uint64_t from, uint64_t to)
{
	uint64_t filled = 0;

	for (uint64_t i = 0; i < index_slots(to); i++)
		store_release(dict_ptr(d, index_slot(to, i)), SLOT_EMPTY);
	for (uint64_t i = 0; from && i < index_slots(from); i++) {
		uint64_t slot = index_slot(from, i), word = dict_word(d, slot);

		if (word <= SLOT_DELETED)
			continue;
		if (++filled == index_slots(to) || (word_is_in_cell(word) && !(from & to & INDEX_CELLS)))
			return -EPROTO;
		put_word(d, slot, to, word);
	}
	return 0;
}

static uint64_t choose_shape(const struct ipck_dict *d, uint64_t old, uint64_t keys, bool small)
{
	unsigned log = INDEX_LOG_MIN;

	while (log < INDEX_LOG_MAX && UINT64_C(1) << log < 2 * (keys + 1))
		log++;
	return index_shape(log, mostly_small(d, old, small) || uses_cells(d, old));
}

/* With room for as many keys again. */
static int reindex(struct ipck_dict *d, struct slab_arena *shard, bool small)
{
	uint64_t old = dict_index(d, shard), keys = load_relaxed(&shard->own[SHARD_KEYS]), place;
	uint64_t *index = &slab_front(&d->slabs, shard)->own[FRONT_INDEX];
	struct change c;
	int rc;

	place = choose_shape(d, old, keys, small);
	if (2 * keys >= index_slots(place))
		return -ENOSPC;
	rc = slab_prepare(&d->slabs, shard, index_bytes(place));
	if (rc < 0)
		return rc;
	change_begin(&c, d->slabs.pages.body);
	/* Stored first, as the rest follows from it. */
	change_set(&c, index, 0);
	place |= slab_take(&d->slabs, shard, &c, index_bytes(place));
	rc = fill_index(d, old, place);
	change_set(&c, index, place);
	change_set(&c, &shard->own[SHARD_FILLED], keys);
	if (rc == 0 && old)
		rc = slab_free(&d->slabs, shard, &c, index_offset(old));
	if (rc == 0)
		redo_do(&shard->redo, &c);
	return rc;
}

/* ---- without memory for another one ---- */

#define LOOK_MAX 16 /* lines */

/* Whether a key that begins to be looked for in a line, or in one before it, may be behind it. */
static bool is_passed(const struct ipck_dict *d, uint64_t place, uint64_t line)
{
	uint64_t mask = index_lines(place) - 1;

	for (uint64_t n = 1; n <= MIN(mask, (uint64_t)LOOK_MAX); n++) {
		uint64_t at = (line + n) & mask;
		bool empty = false;

		for (uint64_t i = 0; i < LINE_SLOTS; i++) {
			uint64_t word = dict_word(d, index_slot(place, LINE_SLOTS * at + i));

			empty |= word == SLOT_EMPTY;
			if (word > SLOT_DELETED && ((at - index_line(place, word_tag(word))) & mask) >= n)
				return true;
		}
		if (empty)
			return false;
	}
	return mask > LOOK_MAX;
}

/* To a slot that was deleted: in between the word is in both, and readers that saw it in neither are told. */
static void move_word(struct ipck_dict *d, struct slab_arena *shard, uint64_t from, uint64_t to)
{
	uint64_t word = dict_word(d, from);
	struct change c;

	if (word_is_in_cell(word))
		dict_write_cell(d, to, dict_word(d, slot_cell(from)), dict_word(d, slot_cell(from) + 8));
	change_begin(&c, d->slabs.pages.body);
	change_set(&c, dict_ptr(d, to), word);
	slab_freed(&d->slabs, shard, &c);
	change_set(&c, dict_ptr(d, from), SLOT_DELETED);
	redo_do(&shard->redo, &c);
}

/* A deleted slot on the way to a line from where its key begins to be looked for, near that; 0: none. */
static uint64_t nearer_slot(const struct ipck_dict *d, uint64_t place, uint64_t word, uint64_t line)
{
	uint64_t mask = index_lines(place) - 1, at = index_line(place, word_tag(word));

	for (unsigned n = 0; n < LOOK_MAX && at != line; n++, at = (at + 1) & mask)
		for (uint64_t i = 0; i < LINE_SLOTS; i++)
			if (dict_word(d, index_slot(place, LINE_SLOTS * at + i)) == SLOT_DELETED)
				return index_slot(place, LINE_SLOTS * at + i);
	return 0;
}

static void move_nearer(struct ipck_dict *d, struct slab_arena *shard, uint64_t place)
{
	for (uint64_t i = 0; i < index_slots(place); i++) {
		uint64_t slot = index_slot(place, i), word = dict_word(d, slot), to;

		if (word <= SLOT_DELETED)
			continue;
		to = nearer_slot(d, place, word, i / LINE_SLOTS);
		if (to)
			move_word(d, shard, slot, to);
	}
}

/*
 * What is deleted in lines that nothing has passed is as good as empty, so each of these stores is a change by
 * itself.  From the last line on, as what is empty in one shortens the look from the one before.  A kill
 * leaves the count too high, until the next time.
 */
static void empty_deleted(const struct ipck_dict *d, struct slab_arena *shard, uint64_t place)
{
	uint64_t filled = 0;

	for (uint64_t line = index_lines(place); line-- > 0;) {
		bool passed = is_passed(d, place, line);

		for (uint64_t i = 0; i < LINE_SLOTS; i++) {
			uint64_t slot = index_slot(place, LINE_SLOTS * line + i), word = dict_word(d, slot);

			if (word == SLOT_DELETED && !passed)
				store_release(dict_ptr(d, slot), SLOT_EMPTY);
			else
				filled += word != SLOT_EMPTY;
		}
	}
	store_relaxed(&shard->own[SHARD_FILLED], filled);
}

static void sweep(struct ipck_dict *d, struct slab_arena *shard, uint64_t place)
{
	move_nearer(d, shard, place);
	empty_deleted(d, shard, place);
}

int dict_make_room(struct ipck_dict *d, struct slab_arena *shard, const struct dict_key *key, size_t size,
                   struct dict_item *item)
{
	uint64_t place = dict_index(d, shard), slots = index_slots(place);
	uint64_t filled = load_relaxed(&shard->own[SHARD_FILLED]) + 1, keys = load_relaxed(&shard->own[SHARD_KEYS]) + 1;
	bool full = 8 * keys > 7 * slots, dirty = 16 * filled > 15 * slots;
	int rc;

	if (likely(place != 0 && 4 * filled <= 3 * slots))
		return 0;
	if (place != 0 && !dict_has_index(d, place))
		return -EPROTO;
	/* It is tried again now and then only. */
	if (place != 0 && !full && !dirty && filled % (slots / 16) != 0)
		return 0;
	rc = reindex(d, shard, dict_is_small(key->size, size));
	if (rc == -ENOSPC && place != 0 && !full) {
		if (dirty)
			sweep(d, shard, place);
		rc = 0;
	}
	if (rc == 0)
		(void)dict_find(d, shard, key, item);
	return rc;
}

int dict_drop_index(struct ipck_dict *d, struct slab_arena *shard)
{
	uint64_t place = dict_index(d, shard);
	struct change c;
	int rc;

	if (place == 0)
		return 0;
	change_begin(&c, d->slabs.pages.body);
	change_set(&c, &slab_front(&d->slabs, shard)->own[FRONT_INDEX], 0);
	change_set(&c, &shard->own[SHARD_FILLED], 0);
	rc = slab_free(&d->slabs, shard, &c, index_offset(place));
	if (rc == 0)
		redo_do(&shard->redo, &c);
	return rc;
}
