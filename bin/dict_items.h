/* SPDX-License-Identifier: MIT */
/* All keys and values of a dict, as a list that can be sorted. */
#ifndef IPCKIT_BIN_DICT_ITEMS_H
#define IPCKIT_BIN_DICT_ITEMS_H

#include <ipckit.h>

#include <stddef.h>
#include <stdint.h>

#include "arena.h"

struct dict_entry {
	const char *key, *value;
	size_t key_size, value_size;
	int64_t count; /* what the value is, if it has 8 bytes */
};

/* All zero at first. */
struct dict_items {
	struct dict_entry *entry;
	size_t n, room;
	struct arena arena;
};

/* Adds all that is in the dict: 0, or a negative error. */
int dict_items_collect(struct dict_items *items, struct ipck_dict *dict);
void dict_items_free(struct dict_items *items);

/* For qsort: by the key's bytes, the shorter one first; by falling count, then by key. */
int dict_items_by_key(const void *a, const void *b);
int dict_items_by_count(const void *a, const void *b);

#endif
