/* SPDX-License-Identifier: MIT */
/*
 * Sealed types: complete in the public headers, so that they can stand in a user's
 * struct, and bytes there.  The inner struct begins with its kind, which init stores
 * last and fini takes away: what was not set up, or is something else, is -EINVAL.
 */
#ifndef SYNC_SEALED_H
#define SYNC_SEALED_H

#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"

enum sealed_kind {
	SEALED_LOCK = 0x6b637031,
	SEALED_RLOCK,
	SEALED_SEMAPHORE,
	SEALED_CONDITION,
	SEALED_EVENT,
	SEALED_BARRIER,
	SEALED_COUNTER,
	SEALED_STRIPED,
};

/* Release: what init stored comes before. */
static inline void sealed_set(uint32_t *kind, enum sealed_kind to)
{
	store_release(kind, (uint32_t)to);
}

static inline bool sealed_is(const uint32_t *kind, enum sealed_kind expected)
{
	return likely(load_relaxed(kind) == (uint32_t)expected);
}

/* The inner struct fits. */
#define SEALED_FITS(inner, public) \
	_Static_assert(sizeof(inner) <= sizeof(public) && _Alignof(inner) <= _Alignof(public), #inner)

/* How many records of `each` bytes there is room for behind a head of `head` bytes; given: 0 for `size`. */
static inline size_t sealed_room(size_t given, size_t size, size_t head, size_t each)
{
	size_t bytes = given ? given : size;

	return bytes < head ? 0 : (bytes - head) / each;
}

#endif
