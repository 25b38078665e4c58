/* SPDX-License-Identifier: MIT */
/*
 * Holds: what this process has in its hands of a queue, by which thread, so that no
 * call ends what is not its own.  Private to the process; a forked child has none of it.
 */
#ifndef COLL_HOLDS_H
#define COLL_HOLDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum hold_kind { HOLD_RESERVED, HOLD_PEEKED, HOLD_LEASED };

struct hold {
	uint32_t place; /* of the entry */
	enum hold_kind kind;
	pid_t thread; /* that got it */
};

/*
 * hold: in the order in which they were had.  promised: of the room, to come.  epoch: of the
 * process whose they are (base/fork.h).  items: those that are no reservations.  These two may be
 * read without the lock.
 */
struct holds {
	struct hold *hold;
	size_t count, room, promised;
	uint32_t epoch;
	uint32_t items;
};

/* Room for n more, to be had before they are taken: -ENOMEM. */
int holds_prepare(struct holds *h, size_t n);

/* Gives the room for n back. */
void holds_unprepare(struct holds *h, size_t n);

/* Of prepared ones. */
void holds_add(struct holds *h, uint32_t place, enum hold_kind kind);

/* Whether it was there. */
bool holds_remove(struct holds *h, uint32_t place, bool reserved);

/* Whether this thread has leased one: the first. */
bool holds_leased(struct holds *h, uint32_t *place);

/* Whether there is any but reservations.  Takes no lock. */
bool holds_items(const struct holds *h);

/* Takes the last out: whether there was one. */
bool holds_pop(struct holds *h, struct hold *last);

void holds_free(struct holds *h);

#endif
