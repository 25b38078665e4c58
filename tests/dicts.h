/* SPDX-License-Identifier: MIT */
/* What the tests of dicts share. */
#ifndef TESTS_DICTS_H
#define TESTS_DICTS_H

#include <ipckit/dict.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "filled.h"
#include "support.h"

/* The dict of the test; its children inherit it. */
static struct ipck_dict *dict;

static inline void make_dict(size_t max_bytes)
{
	ck_ok(ipck_dict_create(&dict, NULL, IPCK_DICT_OPTS(.max_bytes = max_bytes)));
}

static inline void is_sound(void)
{
	ck_ok(ipck_dict_check(dict));
}

static inline void end_dict(void)
{
	is_sound();
	ipck_dict_close(dict);
	dict = NULL;
}

static inline struct ipck_dict_stats figures(void)
{
	struct ipck_dict_stats stats = IPCK_DICT_STATS_INIT;

	ck_ok(ipck_dict_stat(dict, &stats));
	return stats;
}

static inline void has_keys(uint64_t n)
{
	ck_that(ck_ok(ipck_dict_length(dict)) == (int64_t)n);
	ck_that(figures().keys == n);
}

/* ---- keys that are text, with values that are ---- */

static inline int set_text(const char *key, const char *value)
{
	return ipck_dict_set(dict, key, strlen(key), value, strlen(value));
}

static inline void expect_text(const char *key, const char *value)
{
	char got[256];
	ssize_t n = ck_ok(ipck_dict_get(dict, key, strlen(key), got, sizeof(got) - 1, NULL));

	got[n] = '\0';
	if (strcmp(got, value) != 0)
		ck_abort_msg("'%s', not '%s'", got, value);
	ck_that(ipck_dict_contains(dict, key, strlen(key)) == 1);
}

static inline void expect_none(const char *key)
{
	char byte;

	ck_err(ipck_dict_get(dict, key, strlen(key), &byte, 1, NULL), ENOENT);
	ck_that(ck_ok(ipck_dict_contains(dict, key, strlen(key))) == 0);
}

/* ---- keys that are numbers, with values of any size ---- */

static inline int set_filled(uint64_t key, size_t size, uint64_t whose)
{
	char *bytes = new_filled(size, whose);
	int rc = ipck_dict_set(dict, &key, sizeof(key), bytes, size);

	free(bytes);
	return rc;
}

static inline void expect_filled(uint64_t key, size_t size, uint64_t whose)
{
	size_t there = SIZE_MAX;
	void *bytes;

	ck_ok(ipck_dict_get_new(dict, &key, sizeof(key), &bytes, &there));
	ck_that(there == size && is_filled(bytes, size, whose));
	free(bytes);
}

static inline bool has(uint64_t key)
{
	return ck_ok(ipck_dict_contains(dict, &key, sizeof(key)));
}

/* ---- values that tell what they are ---- */

/* What follows is a pattern of all three. */
struct stamp {
	uint64_t key, version, size;
};

static inline uint64_t stamp_pattern(const struct stamp *s)
{
	return s->key * 1000003 + s->version * 257 + s->size;
}

static inline void write_stamped(char *bytes, uint64_t key, uint64_t version, size_t size)
{
	struct stamp s = {key, version, size};

	memcpy(bytes, &s, sizeof(s));
	fill(bytes + sizeof(s), size - sizeof(s), stamp_pattern(&s));
}

/* Its version; the test fails if it is torn or another key's. */
static inline uint64_t read_stamped(const char *bytes, uint64_t key, size_t size)
{
	struct stamp s;

	ck_that(size >= sizeof(s));
	memcpy(&s, bytes, sizeof(s));
	ck_that(s.key == key && s.size == size);
	ck_that(is_filled(bytes + sizeof(s), size - sizeof(s), stamp_pattern(&s)));
	return s.version;
}

#endif
