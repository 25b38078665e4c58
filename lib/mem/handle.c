/* SPDX-License-Identifier: MIT */
#include "mem/handle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One way from "a segment was had, or not" to a handle.  *out is of another type for each kind: hence its bytes. */
static int finish(void *out, const struct handle_kind *kind, struct segment *handle, int rc)
{
	if (rc == 0 && kind->attach)
		rc = kind->attach(handle, kind->arg);
	if (rc == 0)
		memcpy(out, &handle, sizeof(handle));
	else
		handle_close(handle);
	return rc;
}

int handle_create(void *out, const struct handle_kind *kind, const struct segment_plan *plan)
{
	struct segment *handle = calloc(1, kind->bytes);

	return finish(out, kind, handle, handle ? segment_create(handle, plan) : -ENOMEM);
}

int handle_open(void *out, const struct handle_kind *kind, const char *name, bool any_owner)
{
	struct segment *handle = calloc(1, kind->bytes);

	return finish(out, kind, handle, handle ? segment_open(handle, kind->segment, name, any_owner) : -ENOMEM);
}

int handle_open_fd(void *out, const struct handle_kind *kind, int fd, bool any_owner)
{
	struct segment *handle = calloc(1, kind->bytes);

	return finish(out, kind, handle, handle ? segment_open_fd(handle, kind->segment, fd, any_owner) : -ENOMEM);
}

void handle_close(void *handle)
{
	if (!handle)
		return;
	segment_close(handle);
	free(handle);
}
