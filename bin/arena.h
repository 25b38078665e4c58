/* SPDX-License-Identifier: MIT */
/* Memory of one process for many small things that are all freed at once. */
#ifndef IPCKIT_BIN_ARENA_H
#define IPCKIT_BIN_ARENA_H

#include <stddef.h>

struct arena_block;

/* All zero at first. */
struct arena {
	struct arena_block *block;
};

/* So many bytes, aligned to nothing, which never move; NULL: no memory. */
char *arena_take(struct arena *a, size_t size);

/* Frees all that was taken. */
void arena_free(struct arena *a);

#endif
