/* SPDX-License-Identifier: MIT */
/*
 * Redo: some words of a segment, changed as one.  What is to be stored is put together in
 * private memory, where it can be read again; then it is written down in the segment, then
 * done, then forgotten.  A kill leaves it undone or written down: who gets the lock from
 * a dead holder does it (again).  Words that are read without the lock change one by one, in
 * the order in which they were set.
 */
#ifndef MEM_REDO_H
#define MEM_REDO_H

#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"

#define REDO_MAX 30

struct redo_store {
	uint64_t at; /* offset of the word in the body, a multiple of 8 */
	uint64_t value;
};

/* In the segment, under one lock.  count: written last (release: this commits), 0 when all is done. */
struct redo {
	uint64_t count;
	struct redo_store store[REDO_MAX];
};

/* Being put together. */
struct change {
	char *body;
	uint32_t count;
	struct redo_store store[REDO_MAX];
};

static inline void change_begin(struct change *c, void *body)
{
	c->body = body;
	c->count = 0;
}

/* The word as it will be. */
static inline uint64_t change_get(const struct change *c, const uint64_t *word)
{
	uint64_t at = (uint64_t)((const char *)word - c->body);

	for (uint32_t i = c->count; i > 0; i--)
		if (c->store[i - 1].at == at)
			return c->store[i - 1].value;
	return load_relaxed(word);
}

/*
 * Set again, a word keeps its place in the order.  There is room for REDO_MAX different words; the caller
 * knows how many he needs.
 */
static inline void change_set(struct change *c, uint64_t *word, uint64_t value)
{
	uint64_t at = (uint64_t)((char *)word - c->body);
	uint32_t i = 0;

	while (i < c->count && c->store[i].at != at)
		i++;
	c->store[i] = (struct redo_store){at, value};
	c->count += i == c->count;
}

/* Under the lock. */
void redo_do(struct redo *r, const struct change *c);

/* Under the lock, from a dead holder: does what is written down.  -EPROTO: it is not within `bytes`. */
int redo_finish(struct redo *r, void *body, size_t bytes);

#endif
