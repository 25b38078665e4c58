/* SPDX-License-Identifier: MIT */
/*
 * Dict: byte strings by byte strings.  Here is what is shared and how it changes.
 *
 * A key's hash says its shard for ever.  A shard is an arena (mem/slab.h) with three words more:
 * the place of its index, how many keys there are, and how many slots of the index are not
 * empty.  The index is an open table of words, probed one after the other: a word is empty, DELETED, or
 * has 28 bits of a key's hash and the place of its record.  A record is never written to once
 * its word is in the index, but for a value of up to 8 bytes, which is one word.
 *
 * Writers have the shard's lock.  A change stores the index's word first, and then what follows
 * from it: so for readers each write is one store.
 *	set, new:      a record is taken and written; its word; the counts.
 *	set, again:    the same, and the old record is freed; or one word in the old record.
 *	delete:        DELETED, or empty where the next slot is; the counts; the record is freed.
 *	grow:          a larger index is taken and filled; its place; the old one is freed.
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
	unsigned shift; /* of a hash, to its shard */
};

/* An index's place: offset (a multiple of 64) and the logarithm of its slots. */
static inline uint64_t index_place(uint64_t offset, unsigned log)
{
	return offset | log;
}

static inline unsigned index_log(uint64_t place)
{
	return place & 63;
}

static inline uint64_t index_offset(uint64_t place)
{
	return place & ~UINT64_C(63);
}

/* Words of an index. */
#define SLOT_EMPTY 0u
#define SLOT_DELETED 1u
#define SLOT_TAG_BITS 28

static inline uint64_t slot_tag(uint64_t hash)
{
	return hash & ((1u << SLOT_TAG_BITS) - 1);
}

static inline uint64_t slot_word(uint64_t tag, uint64_t record)
{
	return tag << (64 - SLOT_TAG_BITS) | record / 16;
}

static inline uint64_t word_tag(uint64_t word)
{
	return word >> (64 - SLOT_TAG_BITS);
}

static inline uint64_t word_record(uint64_t word)
{
	return (word << SLOT_TAG_BITS >> SLOT_TAG_BITS) * 16;
}

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

struct dict_key {
	const void *bytes;
	size_t size;
	uint64_t hash;
};

struct dict_key dict_key(const struct ipck_dict *d, const void *bytes, size_t size);

static inline struct slab_arena *dict_shard(const struct ipck_dict *d, uint64_t hash)
{
	return &d->slabs.arena[d->shift < 64 ? hash >> d->shift : 0];
}

/*
 * The record of a key, 0 if there is none, with its sizes; *slot: where its word is, or where
 * one of it goes, 0: nowhere.
 */
uint64_t dict_find(const struct ipck_dict *d, const struct slab_arena *shard, const struct dict_key *key,
                   uint64_t *sizes, uint64_t *slot);

/* The place of a shard's index; 0: none yet. */
static inline uint64_t dict_index(const struct ipck_dict *d, const struct slab_arena *shard)
{
	return load_acquire(&slab_front(&d->slabs, shard)->own[FRONT_INDEX]);
}

/* Whether there is an index, whole, where it should be. */
static inline bool dict_has_index(const struct ipck_dict *d, uint64_t place)
{
	return index_log(place) <= SLOT_TAG_BITS &&
	       pages_hold(&d->slabs.pages, index_offset(place), UINT64_C(8) << index_log(place));
}

static inline uint64_t dict_word(const struct ipck_dict *d, uint64_t offset)
{
	return load_acquire((const uint64_t *)(const void *)(d->slabs.pages.body + offset));
}

/* Whether there are so many bytes of blocks, in use or not. */
static inline bool dict_is_within(const struct ipck_dict *d, uint64_t offset, uint64_t bytes)
{
	return pages_hold(&d->slabs.pages, offset, bytes);
}

/* Where a record's value begins. */
static inline uint64_t record_value(uint64_t record, size_t key_size)
{
	return record + 8 + padded(key_size);
}

/* Copies bytes out, word by word, as they may be freed meanwhile. */
void dict_copy(const struct ipck_dict *d, uint64_t at, void *to, size_t size);

/* What a record holds is no longer than a key and a value may be: -EINVAL. */
static inline int dict_check_sizes(size_t key_size, size_t size)
{
	return key_size > UINT32_MAX || size > UINT32_MAX ? -EINVAL : 0;
}

/* ---- dict_write.c: with the shard's lock ---- */

/* What is there of a key. */
struct dict_place {
	struct slab_arena *shard;
	uint64_t record; /* 0: nothing */
	uint64_t sizes;
	uint64_t slot;
};

/* The lock, and what is there. */
int dict_lock(struct ipck_dict *d, const struct dict_key *key, struct dict_place *place);
void dict_unlock(struct ipck_dict *d, const struct dict_place *place);

/* 0, or IPCK_CREATED. */
int dict_store(struct ipck_dict *d, const struct dict_place *place, const struct dict_key *key, const void *value,
               size_t size);
int dict_remove(struct ipck_dict *d, const struct dict_place *place);

/* Under the lock: another index of the shard, with room for as many keys again. */
int dict_reindex(struct ipck_dict *d, struct slab_arena *shard);

/* Whether the value that is there is this one. */
bool dict_same_value(const struct ipck_dict *d, const struct dict_place *place, const struct dict_key *key,
                     const void *value, size_t size);

/* All records of a shard, one by one: calls visit with the record and its sizes until it returns other than 0. */
typedef int dict_visit(struct ipck_dict *d, uint64_t record, uint64_t sizes, void *arg);
int dict_each(struct ipck_dict *d, const struct slab_arena *shard, dict_visit *visit, void *arg);

#endif
