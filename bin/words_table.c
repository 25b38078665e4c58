/* SPDX-License-Identifier: MIT */
#include "words_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PLACES_MIN 4096

#define HASH_BASIS 0x811c9dc5
#define HASH_PRIME 0x01000193

/* clang-format off */
const unsigned char words_lower[256] = {
	['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4',
	['5'] = '5', ['6'] = '6', ['7'] = '7', ['8'] = '8', ['9'] = '9',
#define LETTER(upper, lower) [upper] = (lower), [lower] = (lower)
	LETTER('A', 'a'), LETTER('B', 'b'), LETTER('C', 'c'), LETTER('D', 'd'), LETTER('E', 'e'),
	LETTER('F', 'f'), LETTER('G', 'g'), LETTER('H', 'h'), LETTER('I', 'i'), LETTER('J', 'j'),
	LETTER('K', 'k'), LETTER('L', 'l'), LETTER('M', 'm'), LETTER('N', 'n'), LETTER('O', 'o'),
	LETTER('P', 'p'), LETTER('Q', 'q'), LETTER('R', 'r'), LETTER('S', 's'), LETTER('T', 't'),
	LETTER('U', 'u'), LETTER('V', 'v'), LETTER('W', 'w'), LETTER('X', 'x'), LETTER('Y', 'y'),
	LETTER('Z', 'z'),
};
/* clang-format on */

/* The low bits of a product depend on few bits of the factors. */
static size_t first_place(const struct words *w, uint32_t hash)
{
	return (hash ^ (hash >> 15)) & (w->places - 1);
}

static int grow(struct words *w)
{
	struct words more = {.places = w->places ? 2 * w->places : PLACES_MIN};

	more.place = calloc(more.places, sizeof(*more.place));
	if (!more.place)
		return -ENOMEM;
	for (size_t i = 0; i < w->places; i++) {
		size_t at = first_place(&more, w->place[i].hash);

		if (!w->place[i].text)
			continue;
		while (more.place[at].text)
			at = (at + 1) & (more.places - 1);
		more.place[at] = w->place[i];
	}
	free(w->place);
	w->place = more.place;
	w->places = more.places;
	return 0;
}

/* A word that was not seen before, in the place where it was not found. */
static void insert(struct words *w, struct word *place, const unsigned char *word, size_t size, uint32_t hash)
{
	char *text = size <= UINT32_MAX ? arena_take(&w->arena, size) : NULL;

	if (!text) {
		w->error = size <= UINT32_MAX ? -ENOMEM : -EINVAL;
		return;
	}
	memcpy(text, word, size);
	*place = (struct word){text, 1, hash, (uint32_t)size};
	w->n++;
	if (2 * w->n > w->places && grow(w) < 0)
		w->error = -ENOMEM;
}

static inline void count(struct words *w, const unsigned char *word, size_t size, uint32_t hash)
{
	size_t at = first_place(w, hash);
	struct word *place;

	for (; place = &w->place[at], place->text; at = (at + 1) & (w->places - 1)) {
		if (place->hash != hash || place->size != size || memcmp(place->text, word, size) != 0)
			continue;
		place->count++;
		return;
	}
	insert(w, place, word, size, hash);
}

unsigned char *words_scan(struct words *w, unsigned char *p, unsigned char *end)
{
	if (!w->place && grow(w) < 0)
		w->error = -ENOMEM;
	*end = 0; /* ends a word, so that it is looked for only there whether all is done */
	while (w->error == 0) {
		uint32_t hash = HASH_BASIS;
		unsigned char *word, c;

		while (p < end && !words_lower[*p])
			p++;
		word = p;
		while ((c = words_lower[*p]) != 0) {
			hash = (hash ^ c) * HASH_PRIME;
			*p++ = c;
		}
		if (p == end)
			return word;
		count(w, word, (size_t)(p - word), hash);
	}
	return end;
}

void words_reset(struct words *w)
{
	if (w->place)
		memset(w->place, 0, w->places * sizeof(*w->place));
	arena_free(&w->arena);
	w->n = 0;
	w->error = 0;
}
