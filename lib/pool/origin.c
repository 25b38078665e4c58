/* SPDX-License-Identifier: MIT */
#include "pool/origin.h"

#include <errno.h>
#include <link.h>
#include <stdlib.h>

static uint64_t hash(const char *s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	while (*s)
		h = (h ^ (unsigned char)*s++) * UINT64_C(0x100000001b3);
	return h;
}

static bool describe(const struct dl_phdr_info *info, size_t i, struct origin_object *object)
{
	const ElfW(Phdr) *segment = &info->dlpi_phdr[i];

	if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
		return false;
	object->base = info->dlpi_addr;
	object->begin = info->dlpi_addr + segment->p_vaddr;
	object->end = object->begin + segment->p_memsz;
	object->name = hash(info->dlpi_name);
	return true;
}

static int note_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct origin *origin = arg;

	(void)size;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		struct origin_object object;

		if (!describe(info, i, &object))
			continue;
		if (origin->n == origin->room) {
			size_t room = 2 * origin->room + 16;
			struct origin_object *more = realloc(origin->objects, room * sizeof(*more));

			if (!more)
				return -ENOMEM;
			origin->objects = more;
			origin->room = room;
		}
		origin->objects[origin->n++] = object;
	}
	origin->changes = info->dlpi_adds + info->dlpi_subs;
	return 0;
}

int origin_note(struct origin *origin)
{
	int rc;

	*origin = (struct origin){0};
	rc = dl_iterate_phdr(note_object, origin);
	if (rc < 0)
		origin_free(origin);
	return rc;
}

void origin_free(struct origin *origin)
{
	free(origin->objects);
	*origin = (struct origin){0};
}

/* By what was noted; the loader may since have put something else there. */
static const struct origin_object *find(const struct origin *origin, uintptr_t function)
{
	for (size_t i = 0; i < origin->n; i++)
		if (function >= origin->objects[i].begin && function < origin->objects[i].end)
			return &origin->objects[i];
	return NULL;
}

struct search {
	const struct origin *origin;
	const struct origin_object *noted;
};

/* 1: nothing has changed since, or this is the noted object, still there. */
static int check_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct search *search = arg;

	(void)size;
	if (info->dlpi_adds + info->dlpi_subs == search->origin->changes)
		return 1;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		struct origin_object now;

		if (describe(info, i, &now) && now.base == search->noted->base && now.begin == search->noted->begin &&
		    now.end == search->noted->end && now.name == search->noted->name)
			return 1;
	}
	return 0;
}

bool origin_has(const struct origin *origin, uintptr_t function)
{
	struct search search = {origin, find(origin, function)};

	return search.noted && dl_iterate_phdr(check_object, &search) == 1;
}
