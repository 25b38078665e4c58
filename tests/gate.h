/* SPDX-License-Identifier: MIT */
/* What the tests of barriers share. */
#ifndef TESTS_GATE_H
#define TESTS_GATE_H

#include "base/ident.h"
#include "ways.h"
#include "sync/barrier.h"

#define GATE_CYCLES 1000

struct gate {
	struct ipck_barrier first;
	struct ipck_barrier *b; /* the first, or a larger one */
	uint32_t parties;
	uint32_t acted, result;           /* by actions; what they return, as -errno */
	uint32_t began, go, ended, stuck; /* marks */
	uint32_t here[GATE_CYCLES];       /* who came, in each cycle */
	uint32_t indices[GATE_CYCLES];    /* a bit for each index that was given */
	uint32_t elected[GATE_CYCLES];
};

static inline struct gate *make_gate(uint32_t parties)
{
	struct gate *g = test_shared(sizeof(*g));

	g->b = &g->first;
	g->parties = parties;
	ck_ok(ipck_barrier_init(g->b, parties, NULL));
	return g;
}

static inline uint32_t waiting(const struct gate *g)
{
	return ipck_barrier_waiting(g->b);
}

static inline int pass(struct gate *g)
{
	return ipck_barrier_wait(g->b, NULL, far_off());
}

static inline void meet(unsigned i, void *arg)
{
	(void)i;
	ck_ok(pass(arg));
}

/* Whole, empty, and of use; with as many as it is for. */
static inline void end_gate(struct gate *g)
{
	const struct barrier *b = (const struct barrier *)g->b;

	ck_that(!ipck_barrier_broken(g->b));
	ck_that(waiting(g) == 0);
	test_processes(g->parties, meet, g);
	test_threads(g->parties, meet, g);
	ck_that(!ipck_barrier_broken(g->b));
	ck_that(waiting(g) == 0);
	for (uint32_t i = 0; i < b->places; i++)
		ck_that(b->place[i].owner == 0 || ident_word_dead(b->place[i].owner));
	ipck_barrier_fini(g->b);
	ck_err(pass(g), EINVAL);
}

#endif
