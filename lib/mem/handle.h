/* SPDX-License-Identifier: MIT */
/* Handles of objects that are one segment each: how a process gets one, and gives it back. */
#ifndef MEM_HANDLE_H
#define MEM_HANDLE_H

#include "mem/segment.h"

struct handle_kind {
	enum segment_kind segment;
	size_t bytes; /* of a handle; its struct segment is its first member, the rest begins as zeroes */
	/* Checks what is in the segment: what is checked is what is used.  NULL: anything can be in it. */
	int (*attach)(void *handle, const void *arg);
	const void *arg;
};

/* out: where the pointer to the handle goes, at the very end.  -ENOMEM comes before every error of the segment. */
int handle_create(void *out, const struct handle_kind *kind, const struct segment_plan *plan);
int handle_open(void *out, const struct handle_kind *kind, const char *name, bool any_owner);
int handle_open_fd(void *out, const struct handle_kind *kind, int fd, bool any_owner);

/* NULL is nothing. */
void handle_close(void *handle);

#endif
