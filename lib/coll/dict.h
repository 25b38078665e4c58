/* SPDX-License-Identifier: MIT */
/*
 * Dict: byte strings by byte strings.  Here is what is shared and how it changes.
 *
 * A key's hash says its shard for ever.  A shard is an arena (mem/slab.h) with three words more:
 * the place of its index, how many keys there are, and how many slots of the index are not
 * empty.  The index is an open table of words (dict_index.h): a word is empty, DELETED, or
 * has a half of a key's hash and the place of its record; or key and value are small, and in the word's cell.  A
 * record, or a cell, is never written to once its word is in the index, but for a value of
 * up to 8 bytes, which is one word.
 *
 * Writers have the shard's lock.  A change stores the index's word first, and then what follows
 * from it: so for readers each write is one store.
 *	set, new:      a record is taken, or a cell, and written; its word; the counts.
 *	set, again:    the same, and the old record or cell is freed.  Or one word, of the old value.
 *	delete:        DELETED, or empty where the line has another empty one; the counts; the record or
 *	               cell is freed.
 *	grow:          a larger index is taken and filled; its place; the old one is freed.
 *	sweep:         where there is no memory to grow: words move nearer to where they are looked for
 *	               first, one by one; then empty instead of DELETED where that means the same.
 * A cell is free where its word does not lead to it; that it becomes so is counted by `reuse`, as
 * for what is freed else.  It needs no undo: nobody reads a free one.
 *
 * Readers have no lock and store nothing: `reuse` of the arena, the index, its words, the record, and
 * `reuse` again.  If it has not changed nothing that was read was freed meanwhile.  If it
 * has, they begin again, and after some times with the lock.
 *
 * A kill leaves a change that is not begun, or written down for who gets the lock next; readers see the
 * old or the new word, whichever of them.
 */
#ifndef COLL_DICT_H
#define COLL_DICT_H

#include <ipckit/dict.h>
#include <errno.h>
#include <string.h>

#include "coll/dict_index.h"
#include "coll/dict_key.h"
#include "mem/slab.h"

/* Of a shard's own words, and of those that readers read. */
enum { SHARD_KEYS, SHARD_FILLED, SHARD_RECOVERED };
enum { FRONT_INDEX };

struct dict_shm {
	uint64_t seed;   /* of the hash; fixed, as are */
	uint64_t shards; /* a power of two, at most 1024 */
	uint64_t arenas_at;
	struct pages_shm pages;
};

struct ipck_dict {
	struct segment segment;
	struct slabs slabs;
	uint64_t seed;
	unsigned shift; /* of a hash, to its shard, less 32 */
	/* So many bytes of pages, and LINE_BYTES_MAX beyond, have memory, and keep it.  By now there may be more. */
	uint64_t held;
};

/* A record: a word with both sizes, the key, the value, each padded to 8 bytes with zeroes. */
static inline uint64_t record_sizes(uint64_t key, uint64_t value)
{
	return key | value << 32;
}

static inline uint64_t padded(uint64_t size)
{
	return (size + 7) & ~UINT64_C(7);
}

static inline uint64_t record_bytes(uint64_t sizes)
{
	return 8 + padded((uint32_t)sizes) + padded(sizes >> 32);
}

static inline struct dict_key dict_key(const struct ipck_dict *d, const void *bytes, size_t size)
{
	return make_key(d->seed, bytes, size);
}

static inline size_t dict_shard_number(const struct ipck_dict *d, uint64_t hash)
{
	return hash >> 32 >> d->shift;
}

static inline struct slab_arena *dict_shard(const struct ipck_dict *d, uint64_t hash)
{
	return &d->slabs.arena[dict_shard_number(d, hash)];
}

/* What a word of an index leads to. */
struct dict_item {
	uint64_t slot; /* where the word is, or where one of the key goes; 0: nowhere */
	uint64_t word; /* 0: nothing */
	uint64_t sizes;
	uint64_t key, value; /* where they begin */
};

/* 0: it is in its cell. */
static inline uint64_t item_record(const struct dict_item *item)
{
	return word_is_in_cell(item->word) ? 0 : word_record(item->word);
}

/* What is at a slot: false: what is damaged, or was freed meanwhile. */
bool dict_item_at(const struct ipck_dict *d, uint64_t place, uint64_t slot, struct dict_item *item);

/* Whether there is one; slot is told anyway. */
bool dict_find(const struct ipck_dict *d, const struct slab_arena *shard, const struct dict_key *key,
               struct dict_item *item);

/* The place of a shard's index; 0: none yet. */
static inline uint64_t dict_index(const struct ipck_dict *d, const struct slab_arena *shard)
{
	return load_acquire(&slab_front(&d->slabs, shard)->own[FRONT_INDEX]);
}

bool dict_is_within_now(const struct ipck_dict *d, uint64_t offset, uint64_t bytes);

/* Whether there are so many bytes of blocks, in use or not. */
static inline bool dict_is_within(const struct ipck_dict *d, uint64_t offset, uint64_t bytes)
{
	uint64_t at = offset - d->slabs.pages.first_at, held = load_relaxed(&d->held);

	return likely(at < held && bytes <= held - at) || dict_is_within_now(d, offset, bytes);
}

/* Whether there is an index, whole, where it should be. */
static inline bool dict_has_index(const struct ipck_dict *d, uint64_t place)
{
	return index_log(place) >= INDEX_LOG_MIN && index_log(place) <= INDEX_LOG_MAX &&
	       dict_is_within(d, index_offset(place), index_bytes(place));
}

static inline const uint64_t *dict_words(const struct ipck_dict *d, uint64_t offset)
{
	return (const uint64_t *)(const void *)(d->slabs.pages.body + offset);
}

static inline uint64_t *dict_ptr(const struct ipck_dict *d, uint64_t offset)
{
	return (uint64_t *)(void *)(d->slabs.pages.body + offset);
}

static inline uint64_t dict_word(const struct ipck_dict *d, uint64_t offset)
{
	return load_acquire(dict_words(d, offset));
}

void dict_copy_out(const struct ipck_dict *d, uint64_t at, void *to, size_t size);

/* Copies bytes out that may be freed meanwhile. */
static inline void dict_copy(const struct ipck_dict *d, uint64_t at, void *to, size_t size)
{
	uint64_t word;

	if (size != 8) {
		dict_copy_out(d, at, to, size);
		return;
	}
	word = dict_word(d, at);
	memcpy(to, &word, 8);
}

/* What a record holds is no longer than a key and a value may be: -EINVAL. */
static inline int dict_check_sizes(size_t key_size, size_t size)
{
	return key_size > UINT32_MAX || size > UINT32_MAX ? -EINVAL : 0;
}

/* ---- dict_write.c: with the shard's lock ---- */

/* What is there of a key. */
struct dict_place {
	struct slab_arena *shard;
	struct dict_item item;
};

/* The lock, and what is there. */
int dict_lock(struct ipck_dict *d, const struct dict_key *key, struct dict_place *place);
void dict_unlock(struct ipck_dict *d, const struct dict_place *place);

/* 0, or IPCK_CREATED. */
int dict_store(struct ipck_dict *d, const struct dict_place *place, const struct dict_key *key, const void *value,
               size_t size);
int dict_remove(struct ipck_dict *d, const struct dict_place *place);

/* Of a slot whose word does not lead to its cell. */
void dict_write_cell(const struct ipck_dict *d, uint64_t slot, uint64_t key, uint64_t value);

/* Whether the value that is there is this one. */
bool dict_same_value(const struct ipck_dict *d, const struct dict_item *item, const void *value, size_t size);

/* ---- dict_grow.c: with the shard's lock ---- */

/* Whether both may be in a cell. */
static inline bool dict_is_small(size_t key_size, size_t size)
{
	return key_size <= SLOT_SMALL && size <= SLOT_SMALL;
}

/*
 * Room for one more key in the index, with a value of that size; item: where it goes.  Without memory for another
 * index it gets slower before it is full: -ENOSPC.
 */
int dict_make_room(struct ipck_dict *d, struct slab_arena *shard, const struct dict_key *key, size_t size,
                   struct dict_item *item);

/* When no key is left. */
int dict_drop_index(struct ipck_dict *d, struct slab_arena *shard);

/* ---- dict_all.c ---- */

/* All of a shard, one by one: calls visit until it returns other than 0. */
typedef int dict_visit(struct ipck_dict *d, const struct dict_item *item, void *arg);
int dict_each(struct ipck_dict *d, const struct slab_arena *shard, dict_visit *visit, void *arg);

#endif
