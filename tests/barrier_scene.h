/* SPDX-License-Identifier: MIT */
/* What the kill sweeps of barriers share: the other parties, and the proof after the death. */
#ifndef TESTS_BARRIER_SCENE_H
#define TESTS_BARRIER_SCENE_H

#include <ipckit/barrier.h>

#include "kill_beside.h"
#include "sync/barrier.h"

/* Those beside the victim, and who comes when it is dead. */
enum { FIRST, SECOND, NEWCOMER, GONE, PARTIES };

#define INSIDE INT32_MAX
#define PLACES 4

struct scene {
	struct ipck_barrier barrier;
	uint64_t victim; /* its word */
	uint32_t others; /* who wait at the barrier, or will, beside the victim */
	uint32_t acted;  /* runs of the action that have ended */
	uint32_t dead;   /* the victim is */
	pid_t pids[PARTIES];
	int32_t results[PARTIES], told; /* of the waits; of the victim's call */
	uint32_t indexes[PARTIES];
};

static inline struct barrier *inner(struct scene *s)
{
	return (struct barrier *)(void *)&s->barrier;
}

const struct kill_range *watch(void *ctx, size_t *n);
enum phase phase(struct scene *s);
uint32_t arrived(struct scene *s);
bool is_dead(struct scene *s);

/* Which the victim has written down that it is in; 0: none. */
uint64_t cycle_of_victim(struct scene *s);
bool has_ended(struct scene *s, unsigned i);

/* More than n are asleep, but for those who were woken meanwhile. */
bool sleeps_beyond(struct scene *s, uint32_t n);
bool have_ended(struct scene *s);
bool all_got(struct scene *s, int result);
bool all_released(struct scene *s);
void party(void *ctx, unsigned i);
void start_party(struct scene *s, unsigned i);
struct scene *make(uint32_t parties, uint32_t places);
void await_sleep(pid_t pid);

/* The others are asleep in it. */
struct scene *make_waiting(uint32_t parties, uint32_t others, uint32_t places);
void stop_all(struct scene *s);
int act(void *arg);
void go_on(struct scene *s);
void works(struct scene *s);

/* One more has to come: the victim has died before it was there. */
bool one_is_missing(struct scene *s);

#endif
