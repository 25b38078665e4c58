/* SPDX-License-Identifier: MIT */
/* A dict's keys: their hash, and comparing them with those in records, which are words padded with zeroes. */
#ifndef COLL_DICT_KEY_H
#define COLL_DICT_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/atomic.h"
#include "base/compiler.h"

struct dict_key {
	const void *bytes;
	size_t size;
	uint64_t hash;
	uint64_t last; /* its last word, padded: of up to 8 bytes all of it; 0 of none */
};

/* 1 to 7 bytes as a word, as memory has them, padded with zeroes. */
static inline uint64_t short_word(const void *bytes, size_t size)
{
	char padded[8] = {0};
	uint64_t word;

	for (size_t i = 0; i < size; i++)
		padded[i] = ((const char *)bytes)[i];
	memcpy(&word, padded, 8);
	return word;
}

/* The last 1 to 8 bytes of so many, more than 8, likewise. */
static inline uint64_t last_word(const void *bytes, size_t size)
{
	unsigned beyond = (unsigned)(-size % 8) * 8;
	uint64_t word;

	memcpy(&word, (const char *)bytes + size - 8, 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return word >> beyond;
#else
	return word << beyond;
#endif
}

static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

#define HASH_A UINT64_C(0x9e3779b97f4a7c15)
#define HASH_B UINT64_C(0xd1b54a32d192ed03)

/*
 * The hash of a key with this last word; h: of those before it, or the seed.  (With one product less, words of two
 * equal halves are many in some lines.)
 */
static inline uint64_t hash_word(uint64_t h, uint64_t last, size_t size)
{
	return hash_mix(hash_mix(h ^ last, HASH_B ^ size), HASH_A);
}

static ALWAYS_INLINE struct dict_key make_key(uint64_t seed, const void *bytes, size_t size)
{
	struct dict_key key = {.bytes = bytes, .size = size};
	uint64_t h = seed, word;

	if (size == 8) {
		memcpy(&key.last, bytes, 8);
	} else if (size > 8) {
		for (size_t i = 0; i < (size - 1) / 8; i++) {
			memcpy(&word, (const char *)bytes + 8 * i, 8);
			h = hash_mix(h ^ word, HASH_B);
		}
		key.last = last_word(bytes, size);
	} else {
		key.last = short_word(bytes, size);
	}
	key.hash = hash_word(h, key.last, size);
	return key;
}

/* Whether these words are the key's bytes; they may be written to meanwhile. */
static inline bool is_key(const struct dict_key *key, const uint64_t *words)
{
	uint64_t word;
	size_t i = 0;

	for (; 8 * i + 8 < key->size; i++) {
		memcpy(&word, (const char *)key->bytes + 8 * i, 8);
		if (load_acquire(&words[i]) != word)
			return false;
	}
	return key->size == 0 || load_acquire(&words[i]) == key->last;
}

#endif
