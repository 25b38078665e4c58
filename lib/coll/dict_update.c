/* SPDX-License-Identifier: MIT */
/* Changing a value by a function of it; the protocol is in dict.h. */
#include "coll/dict.h"

#include <errno.h>
#include <stdlib.h>

/* The value that the function was given; there: there was one. */
struct old {
	void *value;
	size_t size;
	bool there;
};

static int read_old(struct ipck_dict *d, const struct dict_key *key, struct old *old)
{
	int rc = ipck_dict_get_new(d, key->bytes, key->size, &old->value, &old->size);

	old->there = rc == 0;
	if (rc < 0)
		old->value = NULL;
	return rc == -ENOENT ? 0 : rc;
}

static int store(struct ipck_dict *d, const struct dict_place *place, const struct dict_key *key, const void *value,
                 size_t size)
{
	int rc = dict_store(d, place, key, value, size);

	return MIN(rc, 0);
}

/* 1: it has changed since. */
static int apply(struct ipck_dict *d, const struct dict_key *key, const struct old *old, int what, const void *value,
                 size_t size)
{
	struct dict_place place;
	uint64_t index;
	int rc = dict_lock(d, key, &place);

	if (rc < 0)
		return rc;
	index = dict_index(d, place.shard);
	/* A damaged one is an index for some who look, and none for others: it would have changed for ever. */
	if (index && !dict_has_index(d, index))
		rc = -EPROTO;
	else if (old->there ? !dict_same_value(d, &place.item, old->value, old->size) : place.item.word != 0)
		rc = 1;
	else if (what == IPCK_DICT_SET)
		rc = store(d, &place, key, value, size);
	else if (place.item.word)
		rc = dict_remove(d, &place);
	dict_unlock(d, &place);
	return rc;
}

int ipck_dict_update(struct ipck_dict *d, const void *key, size_t key_size, ipck_dict_update_fn *update, void *arg)
{
	int rc = dict_check_sizes(key_size, 0), what;
	struct dict_key k;

	if (rc < 0)
		return rc;
	k = dict_key(d, key, key_size);
	do {
		struct old old = {0};
		const void *value;
		size_t size;

		rc = read_old(d, &k, &old);
		if (rc < 0)
			return rc;
		value = old.value;
		size = old.size;
		what = update(&value, &size, arg);
		if (what == IPCK_DICT_SET)
			rc = dict_check_sizes(0, size);
		else if (what != IPCK_DICT_DELETE && what > IPCK_DICT_KEEP)
			rc = -EINVAL;
		if (rc == 0 && what > IPCK_DICT_KEEP)
			rc = apply(d, &k, &old, what, value, size);
		free(old.value);
	} while (rc > 0);
	return rc < 0 ? rc : what;
}
