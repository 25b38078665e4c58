/* SPDX-License-Identifier: MIT */
/* The inner struct of barriers; its protocol is told in barrier.c. */
#ifndef SYNC_BARRIER_H
#define SYNC_BARRIER_H

#include <ipckit/barrier.h>

#include "base/evcount.h"
#include "sync/sealed.h"

enum phase { FILLING, LEAVING, BROKEN, DEAD };

/* state: the phase in bits 0 and 1, how many have arrived in 2 to 17, the cycle above. */
#define STATE_ARRIVED UINT64_C(4)
#define STATE_CYCLE (UINT64_C(1) << 18)

static inline uint64_t state_word(uint64_t cycle, uint32_t arrived, enum phase phase)
{
	return cycle * STATE_CYCLE + arrived * STATE_ARRIVED + phase;
}

static inline uint64_t state_cycle(uint64_t state)
{
	return state / STATE_CYCLE;
}

static inline uint32_t state_arrived(uint64_t state)
{
	return (uint32_t)(state % STATE_CYCLE / STATE_ARRIVED);
}

static inline enum phase state_phase(uint64_t state)
{
	return (enum phase)(state % STATE_ARRIVED);
}

#define PLACES_IN_LINE 4

struct place {
	uint64_t owner;
	uint64_t cycle;
};

struct barrier {
	uint32_t kind, parties;
	int64_t patience; /* ns; 0: for ever */
	uint32_t places, spare;
	/* Written by all; on a line of its own. */
	ALIGNED(CACHE_LINE) uint64_t state;
	int64_t begun;
	/* Written seldom, read by all. */
	ALIGNED(CACHE_LINE) struct evcount sleepers;
	ALIGNED(CACHE_LINE) struct place place[];
} SEALED;

SEALED_FITS(struct barrier, struct ipck_barrier);
_Static_assert(sizeof(struct barrier) + 64 * sizeof(struct place) == sizeof(struct ipck_barrier), "64 places");
_Static_assert(sizeof(struct barrier) + sizeof(struct place) == IPCK_BARRIER_BYTES(1), "IPCK_BARRIER_BYTES");

#endif
