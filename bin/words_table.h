/* SPDX-License-Identifier: MIT */
/* Words and how often each was seen, in the memory of one process. */
#ifndef IPCKIT_BIN_WORDS_TABLE_H
#define IPCKIT_BIN_WORDS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"

struct word {
	const char *text; /* NULL: a free place */
	int64_t count;
	uint32_t hash, size;
};

/* All zero at first. */
struct words {
	struct word *place; /* a hash table of a power of two, at most half full */
	size_t places, n;
	struct arena arena;
	int error; /* what could not be counted: 0, -ENOMEM, -EINVAL: a word of 4 GiB */
};

/* ASCII letters, lower-cased, and digits; 0: no part of a word. */
extern const unsigned char words_lower[256];

/*
 * Counts the words from `p` to `end`, where one byte more can be written to, and lower-cases
 * them there.  Returns where the last one begins, if `end` may not be its end; else `end`.
 */
unsigned char *words_scan(struct words *w, unsigned char *p, unsigned char *end);

/* Forgets all words. */
void words_reset(struct words *w);

#endif
