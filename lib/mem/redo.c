/* SPDX-License-Identifier: MIT */
#include "mem/redo.h"

#include <errno.h>

static void store_all(struct redo *r, char *body)
{
	uint64_t count = load_relaxed(&r->count);

	for (uint64_t i = 0; i < count; i++)
		store_release((uint64_t *)(void *)(body + r->store[i].at), r->store[i].value);
	store_release(&r->count, 0);
}

void redo_do(struct redo *r, const struct change *c)
{
	for (uint32_t i = 0; i < c->count; i++)
		r->store[i] = c->store[i];
	store_release(&r->count, c->count);
	store_all(r, c->body);
}

int redo_finish(struct redo *r, void *body, size_t bytes)
{
	uint64_t count = load_acquire(&r->count);

	if (count > REDO_MAX)
		return -EPROTO;
	for (uint64_t i = 0; i < count; i++)
		if (r->store[i].at % 8 || r->store[i].at > bytes - 8)
			return -EPROTO;
	store_all(r, body);
	return 0;
}
