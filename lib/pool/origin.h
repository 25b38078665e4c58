/* SPDX-License-Identifier: MIT */
/*
 * Where a function lies.  A pointer to code means the same in a worker only if it
 * points into an object that was loaded, at the same place, when the worker was
 * forked.
 */
#ifndef POOL_ORIGIN_H
#define POOL_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct origin_object {
	uintptr_t base, begin, end; /* the load address; its executable part */
	uint64_t name;              /* a hash */
};

struct origin {
	struct origin_object *objects;
	size_t n, room;
	unsigned long long changes; /* of the loader, at the last look */
};

/* Notes what is loaded now.  -ENOMEM. */
int origin_note(struct origin *origin);
void origin_free(struct origin *origin);

/* Whether the function lies in an object that was loaded then and still is. */
bool origin_has(const struct origin *origin, uintptr_t function);

#endif
