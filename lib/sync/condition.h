/* SPDX-License-Identifier: MIT */
/*
 * Conditions: the inner struct, and who is to be woken (grant.c).  All of it changes
 * under the condition's lock only, but for WAITING to ASLEEP.
 *
 * Waits and notifications take their numbers from one sequence, so a notification can go
 * to those waits only that have a smaller number: who came later cannot steal it.  A
 * notification exists once for each one to be woken: a grant, with a number of its own.
 *
 * kind, capacity, lock: set at init.  lock: how far away it lies, own or another.
 * next: the next number.
 * used: no place behind has ever been used.
 * debt: the grants that a notifier has promised, and not all given yet: the number of
 *   the first and how many; 0: none.  One store promises all, another ends it.
 * place, one for each that waits:
 *     word   FREE     0
 *            WAITING  with the number of the wait: who waits spins, or is about to sleep
 *            ASLEEP   the same; it sleeps on the word, and needs a wake-up
 *            GRANTED  with the number of the grant that it was given
 *            PASSING  with the number of the grant that its dead owner had
 *     owner  ident_word() of the process; means something only if the word is not FREE.
 *
 *	wait:    FREE -> WAITING, lock released; [-> ASLEEP by a compare-and-swap]; lock acquired;
 *	         settle; GRANTED: notified, else timed out; -> FREE
 *	notify:  settle; debt promises; each of the oldest -> GRANTED, by a swap, and woken; debt 0
 *	settle:  what the dead left: give what is missing of the debt, debt 0; give each
 *	         PASSING grant to the oldest wait before it, unless somebody has it; -> FREE
 *
 * A grant is given when its number stands in a word, so giving it is one store, whoever
 * gives it, and settle can be broken off and begun again anywhere.  Nobody makes a
 * GRANTED place FREE before it has settled: so a grant of a debt that is in no place
 * was not given.  The kill of
 * - a notifier: the debt says what is owed, if it was promised; who acquires the lock
 *   and uses the condition settles it, or who waits, looking at its tick.
 * - one who waits: a place that is WAITING or ASLEEP of a dead owner.  It may be given a
 *   grant; who finds then that nobody woke, and its death, goes on to the next.
 * - one who has a grant: GRANTED of a dead owner.  Those who wait look for that at their
 *   tick; it becomes PASSING, and is settled.
 */
#ifndef SYNC_CONDITION_H
#define SYNC_CONDITION_H

#include <ipckit/condition.h>

#include "sync/lock.h"

enum word_state { FREE, WAITING, ASLEEP, GRANTED, PASSING };

#define WORD_STATES UINT64_C(8)
#define DEBT_MOST UINT64_C(65536)

struct wait_place {
	uint64_t word;
	uint64_t owner;
};

struct condition {
	uint32_t kind, capacity;
	int64_t lock; /* bytes from this struct */
	uint64_t next;
	uint64_t debt; /* first * DEBT_MOST + how many */
	uint32_t used, spare;
	struct lock own; /* not set up if another is its lock */
	struct wait_place place[];
} SEALED;

SEALED_FITS(struct condition, struct ipck_condition);
_Static_assert(sizeof(struct condition) + 64 * sizeof(struct wait_place) <= sizeof(struct ipck_condition),
               "64 who wait");
_Static_assert(sizeof(struct condition) + sizeof(struct wait_place) <= IPCK_CONDITION_BYTES(1),
               "IPCK_CONDITION_BYTES");

static inline uint64_t word_of(uint64_t number, enum word_state state)
{
	return number * WORD_STATES + state;
}

static inline enum word_state word_state(uint64_t word)
{
	return (enum word_state)(word % WORD_STATES);
}

static inline uint64_t word_number(uint64_t word)
{
	return word / WORD_STATES;
}

static inline bool word_waits(uint64_t word)
{
	return word_state(word) == WAITING || word_state(word) == ASLEEP;
}

/* The half of the word that changes with its state, to sleep on. */
static inline uint32_t *word_low(struct wait_place *p)
{
	return (uint32_t *)(void *)&p->word + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
}

/* ---- grant.c: under the lock ---- */

/* Finishes what the dead have begun. */
void grant_settle(struct condition *c);

/* Promises and gives n grants, or as many as wait. */
void grant_give(struct condition *c, uint32_t n);

/* Takes back the grants of the dead and passes them on. */
void grant_bury(struct condition *c);

/* A place that is free, also from the dead; NULL: none. */
struct wait_place *grant_free_place(struct condition *c);

/* Without the lock: whether there may be something to settle or bury that concerns the
 * wait of that number. */
bool grant_looks_lost(const struct condition *c, uint64_t number);

uint32_t grant_count_waiting(const struct condition *c);

#endif
