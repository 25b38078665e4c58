/* SPDX-License-Identifier: MIT */
#include "coll/holds.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/fork.h"
#include "base/ident.h"

/* Over all holds: they are changed for moments only. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void reset_in_child(void)
{
	mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

static struct fork_hook hook = {.child = reset_in_child};

__attribute__((constructor)) static void install(void)
{
	fork_hook_add(&hook);
}

static void enter(struct holds *h)
{
	pthread_mutex_lock(&mutex);
	if (likely(h->epoch == fork_epoch()))
		return;
	/* Another thread of the parent may have been in the middle of it: only the room is of use. */
	h->count = h->promised = 0;
	store_relaxed(&h->items, 0);
	store_release(&h->epoch, fork_epoch());
}

static void leave(void)
{
	pthread_mutex_unlock(&mutex);
}

static void count_item(struct holds *h, enum hold_kind kind, int one)
{
	if (kind != HOLD_RESERVED)
		store_relaxed(&h->items, load_relaxed(&h->items) + (uint32_t)one);
}

/* In that order: a child that another thread forks meanwhile has no more room than it knows of. */
static int grow(struct holds *h, size_t room)
{
	struct hold *more = reallocarray(NULL, room, sizeof(*more)), *old = h->hold;

	if (!more)
		return -ENOMEM;
	if (h->count)
		memcpy(more, old, h->count * sizeof(*more));
	store_release(&h->hold, more);
	store_release(&h->room, room);
	free(old);
	return 0;
}

int holds_prepare(struct holds *h, size_t n)
{
	size_t wanted;
	int rc = 0;

	enter(h);
	wanted = h->count + h->promised + n;
	if (wanted > h->room)
		rc = grow(h, MAX(2 * h->room, MAX(wanted, (size_t)8)));
	if (rc == 0)
		h->promised += n;
	leave();
	return rc;
}

void holds_unprepare(struct holds *h, size_t n)
{
	enter(h);
	h->promised -= n;
	leave();
}

void holds_add(struct holds *h, uint32_t place, enum hold_kind kind)
{
	enter(h);
	h->promised--;
	h->hold[h->count++] = (struct hold){place, kind, tid_self()};
	count_item(h, kind, 1);
	leave();
}

static void remove_at(struct holds *h, size_t i)
{
	count_item(h, h->hold[i].kind, -1);
	h->count--;
	memmove(&h->hold[i], &h->hold[i + 1], (h->count - i) * sizeof(*h->hold));
}

bool holds_remove(struct holds *h, uint32_t place, bool reserved)
{
	size_t i = 0;
	bool found;

	enter(h);
	while (i < h->count && (h->hold[i].place != place || (h->hold[i].kind == HOLD_RESERVED) != reserved))
		i++;
	found = i < h->count;
	if (found)
		remove_at(h, i);
	leave();
	return found;
}

bool holds_leased(struct holds *h, uint32_t *place)
{
	pid_t thread = tid_self();
	size_t i = 0;
	bool found;

	enter(h);
	while (i < h->count && (h->hold[i].kind != HOLD_LEASED || h->hold[i].thread != thread))
		i++;
	found = i < h->count;
	if (found)
		*place = h->hold[i].place;
	leave();
	return found;
}

bool holds_items(const struct holds *h)
{
	return load_acquire(&h->epoch) == fork_epoch() && load_relaxed(&h->items) > 0;
}

bool holds_pop(struct holds *h, struct hold *last)
{
	bool found;

	enter(h);
	found = h->count > 0;
	if (found) {
		*last = h->hold[h->count - 1];
		remove_at(h, h->count - 1);
	}
	leave();
	return found;
}

void holds_free(struct holds *h)
{
	enter(h);
	free(h->hold);
	*h = (struct holds){0};
	leave();
}
