/* SPDX-License-Identifier: MIT */
#include "arena.h"

#include <stdlib.h>

#define BLOCK ((size_t)1 << 18)

struct arena_block {
	struct arena_block *next;
	size_t used, room;
	char bytes[];
};

static struct arena_block *add_block(struct arena *a, size_t size)
{
	size_t room = size > BLOCK ? size : BLOCK;
	struct arena_block *block = malloc(sizeof(*block) + room);

	if (!block)
		return NULL;
	*block = (struct arena_block){.next = a->block, .room = room};
	a->block = block;
	return block;
}

char *arena_take(struct arena *a, size_t size)
{
	struct arena_block *block = a->block;
	char *bytes;

	if (!block || block->room - block->used < size)
		block = add_block(a, size);
	if (!block)
		return NULL;
	bytes = block->bytes + block->used;
	block->used += size;
	return bytes;
}

void arena_free(struct arena *a)
{
	while (a->block) {
		struct arena_block *next = a->block->next;

		free(a->block);
		a->block = next;
	}
}
