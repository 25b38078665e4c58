/* SPDX-License-Identifier: MIT */
/*
 * Bytes that may be written and read at the same time, many at once.  What was read may be torn: the
 * reader finds out by a word that he reads after it, and that writers store before they
 * write.  The copies are plain ones between fences; for the thread sanitizer, which does not see
 * those, they are made word by word.  Shared places and sizes are multiples of 8.
 */
#ifndef BASE_BULK_H
#define BASE_BULK_H

#include <stddef.h>
#include <string.h>

#include "base/atomic.h"
#include "base/compiler.h"

/* As the words would be with load_acquire. */
static inline void bulk_load(void *to, const void *from, size_t bytes)
{
#ifdef THREAD_SANITIZER
	for (size_t i = 0; i < bytes; i += 8) {
		uint64_t word = load_acquire((const uint64_t *)(const void *)((const char *)from + i));

		memcpy((char *)to + i, &word, 8);
	}
#else
	memcpy(to, from, bytes);
	fence_acquire();
#endif
}

/* As the words would be with store_release. */
static inline void bulk_store(void *to, const void *from, size_t bytes)
{
#ifdef THREAD_SANITIZER
	for (size_t i = 0; i < bytes; i += 8) {
		uint64_t word;

		memcpy(&word, (const char *)from + i, 8);
		store_release((uint64_t *)(void *)((char *)to + i), word);
	}
#else
	fence_release();
	memcpy(to, from, bytes);
#endif
}

#endif
