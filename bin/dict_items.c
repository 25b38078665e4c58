/* SPDX-License-Identifier: MIT */
#include "dict_items.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int make_room(struct dict_items *items)
{
	size_t room = items->room ? 2 * items->room : 1024;
	struct dict_entry *entry;

	if (items->n < items->room)
		return 0;
	entry = reallocarray(items->entry, room, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	items->entry = entry;
	items->room = room;
	return 0;
}

static int append(struct dict_items *items, const struct ipck_dict_item *item)
{
	char *bytes = arena_take(&items->arena, item->key_size + item->value_size);
	struct dict_entry *e;

	if (!bytes || make_room(items) < 0)
		return -ENOMEM;
	e = &items->entry[items->n++];
	*e = (struct dict_entry){bytes, bytes + item->key_size, item->key_size, item->value_size, 0};
	memcpy(bytes, item->key, item->key_size);
	memcpy(bytes + item->key_size, item->value, item->value_size);
	if (item->value_size == sizeof(e->count))
		memcpy(&e->count, item->value, sizeof(e->count));
	return 0;
}

int dict_items_collect(struct dict_items *items, struct ipck_dict *dict)
{
	struct ipck_dict_iter *iter;
	struct ipck_dict_item item;
	int rc = ipck_dict_iterate(dict, &iter);

	if (rc < 0)
		return rc;
	while ((rc = ipck_dict_next(iter, &item)) > 0) {
		rc = append(items, &item);
		if (rc < 0)
			break;
	}
	ipck_dict_iter_free(iter);
	return rc;
}

void dict_items_free(struct dict_items *items)
{
	free(items->entry);
	arena_free(&items->arena);
}

int dict_items_by_key(const void *a, const void *b)
{
	const struct dict_entry *l = a, *r = b;
	int order = memcmp(l->key, r->key, l->key_size < r->key_size ? l->key_size : r->key_size);

	return order != 0 ? order : (l->key_size > r->key_size) - (l->key_size < r->key_size);
}

int dict_items_by_count(const void *a, const void *b)
{
	const struct dict_entry *l = a, *r = b;

	return l->count != r->count ? (l->count < r->count) - (l->count > r->count) : dict_items_by_key(a, b);
}
