/* SPDX-License-Identifier: MIT */
/*
 * Entries: messages one behind the other in a ring of bytes, each with a head of two
 * words.  The ring is mapped twice, so an entry is contiguous wherever it begins.
 *
 * A mark is a place between two entries, and how many there are before it, in one word,
 * so that one store moves both: low half, the place in units of 16 bytes; high half,
 * the number.  Both run freely; only differences mean something.
 */
#ifndef COLL_ENTRY_H
#define COLL_ENTRY_H

#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"

#define ENTRY_UNIT 16u

/*
 * word: the size of the message in bytes (low half), how often it was given out and
 *   not finished (12 bits), and the state (4 bits), all in one store.
 * owner: ident_word() of the process whose it is, if it is RESERVED or TAKEN.
 */
struct entry {
	uint64_t word;
	uint64_t owner;
};

enum entry_state {
	ENTRY_NONE,     /* never: a ring that was not written is no entry */
	ENTRY_RESERVED, /* its owner writes it; those behind it wait */
	ENTRY_READY,    /* from next on: to be got; before next: was got, and is free */
	ENTRY_TAKEN,    /* its owner has it */
	ENTRY_RETURNED, /* was taken and given back: to be taken again, before all others */
	ENTRY_DONE,     /* was taken, and is free */
	ENTRY_VOID,     /* was reserved and given up: no message */
	ENTRY_FILLER,   /* what a message left of its reservation: no message, and not counted */
};

static inline uint64_t entry_word(uint64_t size, unsigned given, enum entry_state state)
{
	return size | (uint64_t)MIN(given, 4095u) << 32 | (uint64_t)state << 44;
}

static inline uint32_t entry_size(uint64_t word)
{
	return (uint32_t)word;
}

static inline unsigned entry_given(uint64_t word)
{
	return (unsigned)(word >> 32) & 4095;
}

static inline enum entry_state entry_state(uint64_t word)
{
	return (enum entry_state)(word >> 44);
}

/* How many units a message of that size takes. */
static inline uint32_t entry_units(uint64_t size)
{
	return (uint32_t)(1 + (size + ENTRY_UNIT - 1) / ENTRY_UNIT);
}

/* ---- marks ---- */

static inline uint64_t mark(uint32_t place, uint32_t count)
{
	return (uint64_t)count << 32 | place;
}

static inline uint32_t mark_place(uint64_t m)
{
	return (uint32_t)m;
}

static inline uint32_t mark_count(uint64_t m)
{
	return (uint32_t)(m >> 32);
}

static inline uint64_t mark_after(uint64_t m, uint32_t units, uint32_t entries)
{
	return mark(mark_place(m) + units, mark_count(m) + entries);
}

#endif
