/* SPDX-License-Identifier: MIT */
#include "mem/arena.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

/*
 * Small extents stay reserved when they are free, and are reused as they are.
 * Large ones go back to the system and are reserved again, or a single large
 * item would be kept for ever.
 */
#define LARGE (1u << 20)

/* The file grows in steps, so that most allocations make no system call: by what
 * it has already, within these bounds. */
#define STEP_MIN (16u << 10)
#define STEP_MAX (1u << 20)

int arena_init(struct arena *a, struct segment *segment, size_t begin)
{
	int rc;

	*a = (struct arena){.segment = segment, .room = 16};
	/* What comes behind the segment's present end is aligned too. */
	begin = ROUND_UP(begin, (size_t)ARENA_ALIGN);
	a->begin = begin;
	rc = segment_skip(segment, begin);
	if (rc < 0)
		return rc;
	a->free = calloc(a->room, sizeof(*a->free));
	if (!a->free)
		return -ENOMEM;
	if (begin < segment->bytes)
		a->free[a->n++] = (struct extent){begin, segment->bytes - begin, true};
	return 0;
}

void arena_fini(struct arena *a)
{
	free(a->free);
	*a = (struct arena){0};
}

/* Room for one more entry, so that giving back cannot fail: each extent handed
 * out can split the free space once. */
static int make_room(struct arena *a, size_t entries)
{
	struct extent *more;

	if (entries <= a->room)
		return 0;
	more = realloc(a->free, 2 * entries * sizeof(*more));
	if (!more)
		return -ENOMEM;
	a->free = more;
	a->room = 2 * entries;
	return 0;
}

/* The first free extent at or behind offset. */
static size_t find(const struct arena *a, size_t offset)
{
	size_t low = 0, high = a->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (a->free[mid].offset < offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool joins(const struct extent *e, const struct extent *next)
{
	return e->offset + e->bytes == next->offset && e->reserved == next->reserved;
}

static void insert(struct arena *a, struct extent e)
{
	size_t i = find(a, e.offset);

	if (i > 0 && joins(&a->free[i - 1], &e)) {
		a->free[--i].bytes += e.bytes;
	} else {
		memmove(a->free + i + 1, a->free + i, (a->n - i) * sizeof(*a->free));
		a->free[i] = e;
		a->n++;
	}
	if (i + 1 < a->n && joins(&a->free[i], &a->free[i + 1])) {
		a->free[i].bytes += a->free[i + 1].bytes;
		a->n--;
		memmove(a->free + i + 1, a->free + i + 2, (a->n - i - 1) * sizeof(*a->free));
	}
}

/* Joins what touches, alike or not: to reserve again what is reserved does no harm. */
static void unite(struct arena *a)
{
	size_t last = 0;

	for (size_t i = 1; i < a->n; i++) {
		struct extent *e = &a->free[last];

		if (e->offset + e->bytes == a->free[i].offset) {
			e->bytes += a->free[i].bytes;
			e->reserved = e->reserved && a->free[i].reserved;
		} else {
			a->free[++last] = a->free[i];
		}
	}
	a->n = MIN(a->n, last + 1);
}

/* United before, so that all that is free at the end is one extent, which counts. */
static int grow(struct arena *a, size_t bytes)
{
	size_t old = a->segment->bytes, tail = 0, limit = a->segment->mapped - SEGMENT_HEADER, target;
	size_t step = MAX((size_t)STEP_MIN, MIN((old - a->begin) / STEP_MIN * STEP_MIN, (size_t)STEP_MAX));
	int rc;

	if (a->n && a->free[a->n - 1].offset + a->free[a->n - 1].bytes == old)
		tail = a->free[a->n - 1].bytes;
	if (bytes - tail > limit - old)
		return -ENOSPC;
	target = MIN(old + (bytes - tail + step - 1) / step * step, limit);
	rc = segment_grow(a->segment, target);
	if (rc < 0)
		return rc;
	insert(a, (struct extent){old, target - old, true});
	unite(a);
	return 0;
}

static bool take(struct arena *a, size_t bytes, struct extent *taken)
{
	for (size_t i = 0; i < a->n; i++) {
		struct extent *e = &a->free[i];

		if (e->bytes < bytes)
			continue;
		*taken = (struct extent){e->offset, bytes, e->reserved};
		e->offset += bytes;
		e->bytes -= bytes;
		if (e->bytes == 0)
			memmove(e, e + 1, (--a->n - i) * sizeof(*e));
		return true;
	}
	return false;
}

/* An extent of that size: one that is there, else of parts, else of new memory. */
static int find_extent(struct arena *a, size_t bytes, struct extent *e)
{
	int rc;

	if (take(a, bytes, e))
		return 0;
	unite(a);
	if (take(a, bytes, e))
		return 0;
	rc = grow(a, bytes);
	if (rc == 0 && !take(a, bytes, e))
		rc = -ENOSPC;
	return rc;
}

int arena_alloc(struct arena *a, size_t bytes, size_t *offset)
{
	struct extent e;
	int rc;

	if (bytes > PTRDIFF_MAX / 2)
		return -ENOSPC;
	bytes = ROUND_UP(MAX(bytes, (size_t)1), (size_t)ARENA_ALIGN);
	rc = make_room(a, a->n + a->held + 3);
	if (rc < 0)
		return rc;
	rc = find_extent(a, bytes, &e);
	if (rc < 0)
		return rc;
	rc = e.reserved ? 0 : segment_reserve(a->segment, e.offset, e.bytes);
	if (rc < 0) {
		insert(a, e);
		return rc;
	}
	a->held++;
	*offset = e.offset;
	return 0;
}

void arena_free(struct arena *a, size_t offset, size_t bytes)
{
	struct extent e = {.offset = offset, .reserved = true};

	e.bytes = ROUND_UP(MAX(bytes, (size_t)1), (size_t)ARENA_ALIGN);
	if (e.bytes >= LARGE) {
		segment_release(a->segment, e.offset, e.bytes);
		e.reserved = false;
	}
	insert(a, e);
	a->held--;
}
