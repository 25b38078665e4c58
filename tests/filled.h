/* SPDX-License-Identifier: MIT */
/* Bytes by which it can be told where they stand and whose they are. */
#ifndef TESTS_FILLED_H
#define TESTS_FILLED_H

#include <stdlib.h>
#include <string.h>

#include "support.h"

static inline uint64_t pattern_word(uint64_t whose, size_t at)
{
	return (whose + 1) * UINT64_C(0x9e3779b97f4a7c15) + at * UINT64_C(0xd1342543de82ef95);
}

static inline void fill(char *bytes, size_t size, uint64_t whose)
{
	for (size_t at = 0; at < size; at += 8) {
		uint64_t word = pattern_word(whose, at);

		memcpy(bytes + at, &word, size - at < 8 ? size - at : 8);
	}
}

static inline bool is_filled(const char *bytes, size_t size, uint64_t whose)
{
	for (size_t at = 0; at < size; at += 8) {
		uint64_t word = pattern_word(whose, at);

		if (memcmp(bytes + at, &word, size - at < 8 ? size - at : 8) != 0)
			return false;
	}
	return true;
}

static inline char *new_filled(size_t size, uint64_t whose)
{
	char *bytes = malloc(size + 1);

	ck_that(bytes);
	fill(bytes, size, whose);
	return bytes;
}

#endif
