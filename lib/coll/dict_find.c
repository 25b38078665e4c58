/* SPDX-License-Identifier: MIT */
/* Reading a dict; the protocol is in dict.h. */
#include "coll/dict.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bulk.h"

#define TRIES 64

/* ---- reading what may be freed meanwhile ---- */

bool dict_is_within_now(const struct ipck_dict *d, uint64_t offset, uint64_t bytes)
{
	uint64_t held = pages_end(&d->slabs.pages) - d->slabs.pages.first_at;

	/* Less after a kill than it was: so it is only believed to be more. */
	if (held > load_relaxed(&d->held) + LINE_BYTES_MAX)
		store_relaxed(&((struct ipck_dict *)(uintptr_t)d)->held, held - LINE_BYTES_MAX);
	return pages_hold(&d->slabs.pages, offset, bytes);
}

void dict_copy_out(const struct ipck_dict *d, uint64_t at, void *to, size_t size)
{
	size_t whole = size & ~(size_t)7;
	uint64_t word;

	if (whole)
		bulk_load(to, d->slabs.pages.body + at, whole);
	if (size == whole)
		return;
	word = dict_word(d, at + whole);
	memcpy((char *)to + whole, &word, size - whole);
}

/* ---- the index ---- */

static bool item_in_cell(uint64_t place, struct dict_item *item)
{
	uint64_t key_size = (uint32_t)item->word / SLOT_IN_CELL - 1, size = item->word % SLOT_IN_CELL;

	item->sizes = record_sizes(key_size, size);
	item->key = slot_cell(item->slot);
	item->value = item->key + 8;
	return (place & INDEX_CELLS) && key_size <= SLOT_SMALL && size <= SLOT_SMALL;
}

bool dict_item_at(const struct ipck_dict *d, uint64_t place, uint64_t slot, struct dict_item *item)
{
	uint64_t record;

	item->slot = slot;
	item->word = dict_word(d, slot);
	if (word_is_in_cell(item->word))
		return item_in_cell(place, item);
	record = word_record(item->word);
	if (!dict_is_within(d, record, 8))
		return false;
	item->sizes = dict_word(d, record);
	item->key = record + 8;
	item->value = item->key + padded((uint32_t)item->sizes);
	return dict_is_within(d, record, record_bytes(item->sizes));
}

static bool is_item(const struct ipck_dict *d, const struct dict_item *item, const struct dict_key *key)
{
	return (uint32_t)item->sizes == key->size && is_key(key, dict_words(d, item->key));
}

static bool find_in_line(const struct ipck_dict *d, uint64_t place, uint64_t line, const struct dict_key *key,
                         struct dict_item *item)
{
	unsigned matches = line_match(dict_words(d, line), slot_tag(key->hash));

	for (; matches; matches = match_others(matches))
		if (dict_item_at(d, place, line + 8 * match_first(matches), item) && is_item(d, item, key))
			return true;
	return false;
}

/* In all lines where it may be. */
static bool find(const struct ipck_dict *d, uint64_t place, const struct dict_key *key, struct dict_item *item)
{
	uint64_t lines = index_lines(place), line = index_line(place, slot_tag(key->hash)), slot = 0;
	bool empty = !dict_has_index(d, place);

	for (uint64_t n = 0; n < lines && !empty; n++, line = (line + 1) & (lines - 1)) {
		uint64_t at = index_offset(place) + line * index_step(place);
		unsigned i;

		if (find_in_line(d, place, at, key, item))
			return true;
		i = line_free(dict_words(d, at), &empty);
		if (slot == 0 && i < LINE_SLOTS)
			slot = at + 8 * i;
	}
	*item = (struct dict_item){.slot = slot};
	return false;
}

/*
 * What most calls need: what the first word with the key's tag, in the first line, leads to, if that is
 * the key's.  This is so short that a CPU has the next call's misses under way while it
 * waits for this one's.
 */
static ALWAYS_INLINE bool find_at_once(const struct ipck_dict *d, uint64_t place, const struct dict_key *key,
                                       struct dict_item *item)
{
	uint64_t first_at = d->slabs.pages.first_at, held = load_relaxed(&d->held), step = index_step(place), at;
	const char *body = d->slabs.pages.body;
	const uint64_t *line, *words;
	unsigned matches, i;

	item->slot = index_offset(place) + step * index_line(place, slot_tag(key->hash));
	at = item->slot - first_at;
	/* Of no index, and of a word that is none, the place is in front of the pages. */
	if (at >= held)
		return false;
	line = (const uint64_t *)(const void *)(body + item->slot);
	__builtin_prefetch((const char *)line + step - CELL_BYTES);
	__builtin_prefetch((const char *)line + step - LINE_BYTES - CELL_BYTES);
	matches = line_match(line, slot_tag(key->hash));
	if (matches == 0)
		return false;
	i = match_first(matches);
	item->slot += 8 * i;
	item->word = load_acquire(&line[i]);
	if (word_is_in_cell(item->word)) {
		words = line + LINE_SLOTS + 2 * i;
		item->sizes = record_sizes(key->size, item->word % SLOT_IN_CELL);
		item->key = item->slot - 8 * i + LINE_BYTES + CELL_BYTES * i;
		item->value = item->key + 8;
		return (place & INDEX_CELLS) && item->word % SLOT_IN_CELL <= SLOT_SMALL && key->size <= SLOT_SMALL &&
		       (uint32_t)item->word / SLOT_IN_CELL - 1 == key->size && load_acquire(words) == key->last;
	}
	item->key = word_record(item->word) + 8;
	at = item->key - 8 - first_at;
	if (at >= held)
		return false;
	words = (const uint64_t *)(const void *)(body + item->key);
	item->sizes = load_acquire(words - 1);
	item->value = item->key + padded(key->size);
	return (uint32_t)item->sizes == key->size && record_bytes(item->sizes) <= held - at && is_key(key, words);
}

bool dict_find(const struct ipck_dict *d, const struct slab_arena *shard, const struct dict_key *key,
               struct dict_item *item)
{
	uint64_t place = dict_index(d, shard);

	return likely(find_at_once(d, place, key, item)) || find(d, place, key, item);
}

/* With needed NULL: whether it is there. */
static ssize_t read_value(const struct ipck_dict *d, const struct slab_front *front, const struct dict_key *key,
                          void *value, size_t room, size_t *needed)
{
	struct dict_item item;
	size_t size;

	if (!find(d, load_acquire(&front->own[FRONT_INDEX]), key, &item))
		return -ENOENT;
	size = item.sizes >> 32;
	if (!needed)
		return 1;
	if (size > room) {
		*needed = size;
		return -EMSGSIZE;
	}
	dict_copy(d, item.value, value, size);
	return (ssize_t)size;
}

static ssize_t read_locked(struct ipck_dict *d, const struct dict_key *key, void *value, size_t room, size_t *needed)
{
	struct slab_arena *shard = dict_shard(d, key->hash);
	int rc = slab_lock(&d->slabs, shard);
	ssize_t n;

	if (rc < 0)
		return rc;
	n = read_value(d, slab_front(&d->slabs, shard), key, value, room, needed);
	slab_unlock(&d->slabs, shard);
	return n;
}

static ssize_t read(struct ipck_dict *d, const struct dict_key *key, void *value, size_t room, size_t *needed)
{
	const struct slab_front *front = &d->slabs.front[dict_shard_number(d, key->hash)];

	for (int tries = 0; tries < TRIES; tries++) {
		uint64_t reuse = load_acquire(&front->reuse);
		ssize_t n = read_value(d, front, key, value, room, needed);

		if (likely(load_acquire(&front->reuse) == reuse))
			return n;
	}
	return read_locked(d, key, value, room, needed);
}

static NOINLINE ssize_t get(struct ipck_dict *d, const void *key, size_t key_size, void *value, size_t size,
                            size_t *needed)
{
	size_t longer = 0;
	struct dict_key k = dict_key(d, key, key_size);
	ssize_t n = read(d, &k, value, size, &longer);

	if (n == -EMSGSIZE && needed)
		*needed = longer;
	return n;
}

static NOINLINE ssize_t get_at_once(struct ipck_dict *d, const void *key, size_t key_size, void *value, size_t size,
                                    size_t *needed)
{
	const struct slab_front *front;
	struct dict_item item;
	struct dict_key k;
	uint64_t reuse;

	k = dict_key(d, key, key_size);
	front = &d->slabs.front[dict_shard_number(d, k.hash)];
	reuse = load_acquire(&front->reuse);
	if (likely(find_at_once(d, load_acquire(&front->own[FRONT_INDEX]), &k, &item) && item.sizes >> 32 <= size)) {
		dict_copy(d, item.value, value, item.sizes >> 32);
		if (likely(load_acquire(&front->reuse) == reuse))
			return (ssize_t)(item.sizes >> 32);
	}
	return get(d, key, key_size, value, size, needed);
}

/*
 * The same for an integer by an integer, as in dicts of counts and of numbers; false: it is not there, in the
 * first line, or is something else.
 */
static inline bool get_number(const struct ipck_dict *d, uint64_t key, void *value)
{
	uint64_t hash = hash_word(d->seed, key, 8), first_at = d->slabs.pages.first_at, place, at, word, reuse;
	const struct slab_front *front = &d->slabs.front[dict_shard_number(d, hash)];
	const uint64_t *line;
	unsigned matches, i;

	reuse = load_acquire(&front->reuse);
	place = load_acquire(&front->own[FRONT_INDEX]);
	at = index_offset(place) + LINE_BYTES_MAX * index_line(place, slot_tag(hash));
	if (!(place & INDEX_CELLS) || at - first_at >= load_relaxed(&d->held))
		return false;
	line = dict_words(d, at);
	__builtin_prefetch(line + LINE_SLOTS);
	__builtin_prefetch(line + 2 * LINE_SLOTS);
	matches = line_match(line, slot_tag(hash));
	if (matches == 0)
		return false;
	i = match_first(matches);
	if (load_acquire(&line[i]) != word_in_cell(slot_tag(hash), 8, 8))
		return false;
	line += LINE_SLOTS + 2 * i;
	word = load_acquire(&line[1]);
	if (load_acquire(&line[0]) != key || load_acquire(&front->reuse) != reuse)
		return false;
	memcpy(value, &word, 8);
	return true;
}

ssize_t ipck_dict_get(struct ipck_dict *d, const void *key, size_t key_size, void *value, size_t size, size_t *needed)
{
	uint64_t number;

	if (key_size == 8 && size >= 8) {
		memcpy(&number, key, 8);
		if (likely(get_number(d, number, value)))
			return 8;
	}
	if (dict_check_sizes(key_size, 0) < 0)
		return -EINVAL;
	return get_at_once(d, key, key_size, value, size, needed);
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

static bool contains_at_once(const struct ipck_dict *d, const struct dict_key *key)
{
	const struct slab_front *front = &d->slabs.front[dict_shard_number(d, key->hash)];
	uint64_t reuse = load_acquire(&front->reuse);
	struct dict_item item;

	return find_at_once(d, load_acquire(&front->own[FRONT_INDEX]), key, &item) &&
	       load_acquire(&front->reuse) == reuse;
}

int ipck_dict_contains(struct ipck_dict *d, const void *key, size_t key_size)
{
	struct dict_key k;
	ssize_t n = dict_check_sizes(key_size, 0);

	if (n < 0)
		return (int)n;
	k = dict_key(d, key, key_size);
	if (contains_at_once(d, &k))
		return 1;
	n = read(d, &k, NULL, 0, NULL);
	return n == -ENOENT ? 0 : (int)n;
}
