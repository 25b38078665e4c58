/* SPDX-License-Identifier: MIT */
/*
 * Array: records of one size, one behind the other as in C.  Here is what is shared and how
 * it changes.
 *
 * set, with a lock: writes the record to `shadow`; stores its number + 1 in `pending` (release:
 * this commits); copies it into its place; stores 0.  Who gets the lock from a dead holder copies
 * what is pending again.  append, always with the lock: writes it behind the last one, and stores
 * `length` (release: this commits).  Without a lock, set stores what it is given.
 */
#ifndef COLL_ARRAY_H
#define COLL_ARRAY_H

#include <ipckit/array.h>

#include "base/compiler.h"
#include "base/lock.h"
#include "mem/segment.h"

struct array_shm {
	uint64_t record, capacity; /* fixed, as is unlocked */
	uint32_t unlocked;
	ALIGNED(FALSE_SHARING) struct robust_lock lock;
	uint64_t pending; /* under the lock: the shadow is to be this record (number + 1); 0: nothing is */
	uint64_t length;  /* only goes up, under the lock */
};

struct ipck_array {
	struct segment segment;
	struct array_shm *shm;
	char *shadow, *records;
	size_t record, capacity; /* checked */
	bool unlocked;
};

#endif
