/* SPDX-License-Identifier: MIT */
/* All keys of a dict: how many, clear, iterators, figures; the protocol is in dict.h. */
#include "coll/dict.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

static struct slab_arena *shard_at(const struct ipck_dict *d, uint32_t i)
{
	return &d->slabs.arena[i];
}

int dict_each(struct ipck_dict *d, const struct slab_arena *shard, dict_visit *visit, void *arg)
{
	uint64_t place = dict_index(d, shard);
	int rc = 0;

	if (place == 0)
		return 0;
	if (!dict_has_index(d, place))
		return -EPROTO;
	for (uint64_t i = 0; rc == 0 && i < index_slots(place); i++) {
		uint64_t slot = index_slot(place, i);
		struct dict_item item;

		if (dict_word(d, slot) <= SLOT_DELETED)
			continue;
		rc = dict_item_at(d, place, slot, &item) ? visit(d, &item, arg) : -EPROTO;
	}
	return rc;
}

ssize_t ipck_dict_length(struct ipck_dict *d)
{
	uint64_t keys = 0;

	for (uint32_t i = 0; i < d->slabs.arenas; i++)
		keys += load_acquire(&shard_at(d, i)->own[SHARD_KEYS]);
	return keys > SSIZE_MAX ? -EPROTO : (ssize_t)keys;
}

/* ---- clear ---- */

static int remove_one(struct ipck_dict *d, const struct dict_item *item, void *arg)
{
	struct dict_place *place = arg;
	int rc;

	place->item = *item;
	rc = dict_remove(d, place);
	/* A change frees one run of pages at most. */
	slab_tidy(&d->slabs, place->shard);
	return rc;
}

int ipck_dict_clear(struct ipck_dict *d)
{
	int rc = 0;

	for (uint32_t i = 0; rc >= 0 && i < d->slabs.arenas; i++) {
		struct dict_place place = {.shard = shard_at(d, i)};

		rc = slab_lock(&d->slabs, place.shard);
		if (rc < 0)
			break;
		rc = dict_each(d, place.shard, remove_one, &place);
		if (rc == 0)
			rc = dict_drop_index(d, place.shard);
		dict_unlock(d, &place);
	}
	return MIN(rc, 0);
}

/* ---- iterators ---- */

/* Copies of records, one behind the other. */
struct copies {
	char *bytes;
	size_t used, room;
};

struct ipck_dict_iter {
	struct ipck_dict *dict;
	uint32_t next; /* shard to be copied */
	size_t at;
	struct copies copies;
};

/* As a record. */
static int copy_one(struct ipck_dict *d, const struct dict_item *item, void *arg)
{
	struct copies *c = arg;
	const char *body = d->slabs.pages.body;
	size_t key_size = padded((uint32_t)item->sizes), size = padded(item->sizes >> 32);
	char *to = c->bytes + c->used;

	if (record_bytes(item->sizes) > c->room - c->used)
		return -EPROTO;
	memcpy(to, &item->sizes, 8);
	memcpy(to + 8, body + item->key, key_size);
	memcpy(to + 8 + key_size, body + item->value, size);
	c->used += record_bytes(item->sizes);
	return 0;
}

static int make_room(struct copies *c, uint64_t bytes)
{
	char *more;

	if (bytes <= c->room - c->used)
		return 0;
	more = realloc(c->bytes, c->used + bytes);
	if (!more)
		return -ENOMEM;
	c->bytes = more;
	c->room = c->used + bytes;
	return 0;
}

/* Memory is had without the lock: all blocks of the shard are more than what is in them. */
static int copy_shard(struct ipck_dict *d, struct slab_arena *shard, struct copies *c)
{
	for (;;) {
		uint64_t bytes = load_relaxed(&shard->bytes);
		int rc = bytes > d->slabs.pages.bytes ? -EPROTO : make_room(c, bytes);

		if (rc == 0)
			rc = slab_lock(&d->slabs, shard);
		if (rc < 0)
			return rc;
		rc = load_relaxed(&shard->bytes) <= bytes;
		if (rc)
			rc = dict_each(d, shard, copy_one, c) < 0 ? -EPROTO : 1;
		slab_unlock(&d->slabs, shard);
		if (rc)
			return MIN(rc, 0);
	}
}

int ipck_dict_iterate(struct ipck_dict *d, struct ipck_dict_iter **out)
{
	struct ipck_dict_iter *it = calloc(1, sizeof(*it));

	if (!it)
		return -ENOMEM;
	it->dict = d;
	*out = it;
	return 0;
}

int ipck_dict_snapshot(struct ipck_dict *d, struct ipck_dict_iter **out)
{
	struct ipck_dict_iter *it;
	int rc = ipck_dict_iterate(d, &it);

	if (rc < 0)
		return rc;
	while (rc == 0 && it->next < d->slabs.arenas)
		rc = copy_shard(d, shard_at(d, it->next++), &it->copies);
	if (rc < 0)
		ipck_dict_iter_free(it);
	else
		*out = it;
	return rc;
}

int ipck_dict_next(struct ipck_dict_iter *it, struct ipck_dict_item *item)
{
	const char *record;
	uint64_t sizes;

	while (it->at == it->copies.used) {
		int rc;

		if (it->next == it->dict->slabs.arenas)
			return 0;
		it->at = it->copies.used = 0;
		rc = copy_shard(it->dict, shard_at(it->dict, it->next), &it->copies);
		if (rc < 0) {
			it->copies.used = 0;
			return rc;
		}
		it->next++;
	}
	record = it->copies.bytes + it->at;
	memcpy(&sizes, record, 8);
	it->at += record_bytes(sizes);
	item->key = record + 8;
	item->key_size = (uint32_t)sizes;
	item->value = record + 8 + padded(item->key_size);
	item->value_size = sizes >> 32;
	return 1;
}

void ipck_dict_iter_free(struct ipck_dict_iter *it)
{
	if (!it)
		return;
	free(it->copies.bytes);
	free(it);
}

/* ---- figures ---- */

int ipck_dict_stat(struct ipck_dict *d, struct ipck_dict_stats *stats)
{
	struct ipck_dict_stats own = {.max_bytes = d->slabs.pages.bytes, .shards = d->slabs.arenas};

	if (stats->size < sizeof(size_t) || stats->size > sizeof(own))
		return -EINVAL;
	own.size = stats->size;
	own.page_bytes = load_relaxed(&d->slabs.pages.shm->used) * PAGE_BYTES;
	for (uint32_t i = 0; i < d->slabs.arenas; i++) {
		const struct slab_arena *shard = shard_at(d, i);

		own.keys += load_relaxed(&shard->own[SHARD_KEYS]);
		own.bytes += load_relaxed(&shard->bytes);
		own.recovered += load_relaxed(&shard->own[SHARD_RECOVERED]);
	}
	memcpy(stats, &own, own.size);
	return 0;
}

/* ---- check ---- */

struct walk {
	struct slab_arena *shard;
	uint64_t keys, blocks;
};

/* Each record is a block of the shard, and each is found by its key. */
static int check_one(struct ipck_dict *d, const struct dict_item *item, void *arg)
{
	struct walk *w = arg;
	struct dict_key key = dict_key(d, d->slabs.pages.body + item->key, (uint32_t)item->sizes);
	uint64_t record = item_record(item);
	struct dict_item found;
	uint32_t arena;

	w->keys++;
	w->blocks += record != 0;
	if (record && (slab_size(&d->slabs, record, &arena) < record_bytes(item->sizes) ||
	               shard_at(d, arena) != w->shard))
		return -EPROTO;
	return dict_shard(d, key.hash) == w->shard && dict_find(d, w->shard, &key, &found) && found.slot == item->slot
	               ? 0
	               : -EPROTO;
}

static uint64_t count_filled(const struct ipck_dict *d, uint64_t place)
{
	uint64_t filled = 0;

	for (uint64_t i = 0; place && i < index_slots(place); i++)
		filled += dict_word(d, index_slot(place, i)) != SLOT_EMPTY;
	return filled;
}

/* Its records and its index are all of its blocks. */
static int check_shard(struct ipck_dict *d, struct slab_arena *shard)
{
	struct walk w = {.shard = shard, .blocks = dict_index(d, shard) != 0};
	int rc = slab_check(&d->slabs, shard);

	if (rc == 0)
		rc = dict_each(d, shard, check_one, &w);
	if (rc == 0 && (w.keys != shard->own[SHARD_KEYS] || w.blocks != shard->blocks ||
	                count_filled(d, dict_index(d, shard)) > shard->own[SHARD_FILLED]))
		rc = -EPROTO;
	return rc;
}

int ipck_dict_check(struct ipck_dict *d)
{
	int64_t pages;

	for (uint32_t i = 0; i < d->slabs.arenas; i++) {
		struct slab_arena *shard = shard_at(d, i);
		int rc = slab_lock(&d->slabs, shard);

		if (rc < 0)
			return rc;
		rc = check_shard(d, shard);
		slab_unlock(&d->slabs, shard);
		if (rc < 0)
			return rc;
	}
	pages = pages_check(&d->slabs.pages);
	return pages < 0 ? (int)pages : 0;
}
