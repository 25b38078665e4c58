/* SPDX-License-Identifier: MIT */
/*
 * A dict's indexes: lines of 8 words.  A key's word is in the line that its tag says, or, when that was
 * full, in the next.  In an index with cells each word has a cell of 16 bytes, behind its line.
 */
#ifndef COLL_DICT_INDEX_H
#define COLL_DICT_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"

#if defined(__SSE2__) && !defined(THREAD_SANITIZER)
#include <emmintrin.h>
#define LINE_BY_VECTORS 1
#endif

#define LINE_SLOTS 8u
#define LINE_BYTES 64u
#define CELL_BYTES 16u
#define LINE_BYTES_MAX (LINE_BYTES + LINE_SLOTS * CELL_BYTES)

/* ---- words ---- */

/*
 * The upper half is the lower half of a key's hash.  The lower half is the place of its record, or tells
 * that key and value, of up to 8 bytes each, are in the cell, and their sizes: so small a number
 * is no place.
 */
#define SLOT_EMPTY 0u
#define SLOT_DELETED 1u
#define SLOT_IN_CELL 16u /* to 16 * 9 + 8 */
#define SLOT_PLACE 256u
#define SLOT_SMALL 8u

static inline uint64_t slot_tag(uint64_t hash)
{
	return (uint32_t)hash;
}

static inline uint64_t word_of_record(uint64_t tag, uint64_t record)
{
	return tag << 32 | record / 16;
}

static inline uint64_t word_in_cell(uint64_t tag, size_t key_size, size_t size)
{
	return tag << 32 | (SLOT_IN_CELL * (key_size + 1) + size);
}

static inline uint64_t word_tag(uint64_t word)
{
	return word >> 32;
}

/* What is no place becomes one in front of all pages. */
static inline uint64_t word_record(uint64_t word)
{
	return (word & UINT32_MAX) * 16;
}

static inline bool word_is_in_cell(uint64_t word)
{
	return (uint32_t)word - SLOT_IN_CELL < SLOT_PLACE - SLOT_IN_CELL;
}

/* ---- indexes ---- */

/*
 * An index's place: offset, a multiple of 64, whether it has cells, and how many bits of a tag are its line: of 0,
 * which is no index, none, so that all tags lead to the line at 0, in front of all pages.
 */
#define INDEX_CELLS 32u
#define INDEX_LOG_MIN 4u
#define INDEX_LOG_MAX 28u

/* Without its offset. */
static inline uint64_t index_shape(unsigned log, bool cells)
{
	return (log - 3) | (cells ? INDEX_CELLS : 0);
}

/* The logarithm of its slots. */
static inline unsigned index_log(uint64_t place)
{
	return (place & 31) + 3;
}

static inline uint64_t index_offset(uint64_t place)
{
	return place & ~UINT64_C(63);
}

static inline uint64_t index_slots(uint64_t place)
{
	return UINT64_C(1) << index_log(place);
}

static inline uint64_t index_lines(uint64_t place)
{
	return index_slots(place) / LINE_SLOTS;
}

static inline uint64_t index_line(uint64_t place, uint64_t tag)
{
	return tag << (place & 31) >> 32;
}

/* From one line to the next. */
static inline uint64_t index_step(uint64_t place)
{
	return LINE_BYTES + (place & INDEX_CELLS) / INDEX_CELLS * LINE_SLOTS * CELL_BYTES;
}

static inline uint64_t index_bytes(uint64_t place)
{
	return index_lines(place) * index_step(place);
}

static inline uint64_t index_slot(uint64_t place, uint64_t i)
{
	return index_offset(place) + i / LINE_SLOTS * index_step(place) + i % LINE_SLOTS * 8;
}

/* The cell of a slot's word: where the key is, and behind it the value. */
static inline uint64_t slot_cell(uint64_t slot)
{
	uint64_t line = slot & ~(uint64_t)(LINE_BYTES - 1);

	return line + LINE_BYTES + (slot - line) / 8 * CELL_BYTES;
}

/* ---- lines ---- */

/*
 * The words with this tag, two bits for each; a hint, who follows it reads the word again.  All are looked
 * at, without a branch: one at the first that fits would be foretold wrongly, and what comes next
 * would wait for the line.  (Each aligned 8 bytes of a vector are loaded as one.)
 */
#ifdef LINE_BY_VECTORS
static inline __m128i line_tags(const uint64_t *words)
{
	const float *halves = (const float *)(const void *)words;
	__m128 upper = _mm_shuffle_ps(_mm_load_ps(halves), _mm_load_ps(halves + 4), _MM_SHUFFLE(3, 1, 3, 1));

	return _mm_castps_si128(upper);
}

static inline unsigned line_match(const uint64_t *line, uint64_t tag)
{
	__m128i tags = _mm_set1_epi32((int)tag), low = _mm_cmpeq_epi32(line_tags(line), tags);
	__m128i high = _mm_cmpeq_epi32(line_tags(line + 4), tags);

	return (unsigned)_mm_movemask_epi8(_mm_packs_epi32(low, high));
}
#else
static inline unsigned line_match(const uint64_t *line, uint64_t tag)
{
	unsigned matches = 0;

	for (unsigned i = 0; i < LINE_SLOTS; i++)
		matches |= 3u * (word_tag(load_relaxed(&line[i])) == tag) << (2 * i);
	return matches;
}
#endif

/* The number of the first match, of some. */
static inline unsigned match_first(unsigned matches)
{
	return (unsigned)__builtin_ctz(matches) / 2;
}

/* Those behind the first. */
static inline unsigned match_others(unsigned matches)
{
	matches &= matches - 1;
	return matches & (matches - 1);
}

/* The first word that another may take, LINE_SLOTS: none; *empty: whether one never was taken. */
static inline unsigned line_free(const uint64_t *line, bool *empty)
{
	unsigned first = LINE_SLOTS;

	*empty = false;
	for (unsigned i = LINE_SLOTS; i-- > 0;) {
		uint64_t word = load_acquire(&line[i]);

		if (word <= SLOT_DELETED)
			first = i;
		*empty |= word == SLOT_EMPTY;
	}
	return first;
}

#endif
