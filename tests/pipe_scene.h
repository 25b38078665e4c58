/* SPDX-License-Identifier: MIT */
/*
 * What the kill sweeps of pipes share: a pipe with rings of 4 KiB, messages that are
 * accounted for, helpers that live beside the victim, and the proof after its death.
 *
 * The victim has the near end.  Before it there are messages of BEFORE; OTHER is a
 * helper; AFTER is who tries the pipe when the victim is dead.  Every message says
 * whose it is and its number, so that each is received exactly once if its sender
 * was told so, and at most once if it died before.
 */
#ifndef TESTS_PIPE_SCENE_H
#define TESTS_PIPE_SCENE_H

#include <ipckit.h>

#include "coll/pipe.h"
#include "kill.h"

enum party { BEFORE, VICTIM, OTHER, AFTER, PARTIES };
enum fate { UNUSED, TRIED, ACKNOWLEDGED, REFUSED };

#define SCENE_RING 4096u
#define SCENE_LONG 9000u /* more than two rings */
#define SCENE_MESSAGES 64
#define SCENE_RANGES 24

struct scene {
	struct ipck_pipe *near, *far;
	struct kill_range ranges[SCENE_RANGES];
	size_t n_ranges;
	int probe[2]; /* the second is what is sent as a descriptor */
	uint32_t fates[PARTIES][SCENE_MESSAGES], got[PARTIES][SCENE_MESSAGES];
	uint32_t last[PARTIES]; /* the number of the last message */
	uint32_t served;        /* it is a helper that receives what the victim sends */
	uint32_t may_miss;      /* messages that may have died with their receiver */
	uint32_t ready;         /* a helper has got where it was to get */
	uint32_t helpers;       /* that run */
	pid_t helper;           /* the last one */
	uint32_t dead;          /* the victim is */
	uint32_t told;          /* the victim's operation has returned */
};

/* With the words of both lanes watched, but no head word. */
struct scene *scene_make(void);

/* Watches n head words of a lane, one every `step` bytes from its tail on. */
void scene_watch(struct scene *s, const struct lane *l, size_t step, int n);
const struct kill_range *scene_ranges(void *ctx, size_t *n);

/* Moves the positions of one way on. */
void scene_move(struct ipck_pipe *from, struct ipck_pipe *to, size_t bytes);

/* Whoever receives at that end polls; now there is nothing, and the bell is silent. */
void scene_arm(struct ipck_pipe *p);

/* A process that has both ends and runs fn. */
void scene_help(struct scene *s, void (*fn)(struct scene *s));

/* In a helper: until no other runs but one that receives. */
void scene_await_others(struct scene *s);

struct ipck_deadline scene_soon(void);

/* A message; its size is at least 12. */
void scene_fill(char *bytes, enum party party, uint32_t number, size_t size);
uint32_t scene_try(struct scene *s, enum party party);
void scene_note(struct scene *s, enum party party, uint32_t number, int rc);
int scene_send(struct scene *s, struct ipck_pipe *p, enum party party, size_t size);

/* Looks at all of a message. */
void scene_check(const char *bytes, size_t size);

/* Counts it as received. */
void scene_count(struct scene *s, const char *bytes);

/* Receives one, looks at it and counts it: its party, or an error. */
int scene_receive(struct scene *s, struct ipck_pipe *p, struct ipck_deadline deadline);

/* Until one of AFTER has come. */
void scene_receive_all(struct scene *s, struct ipck_pipe *p);

/* In the victim: begins to be stepped, with this end only. */
void scene_begin(struct scene *s);
void scene_end(struct scene *s);

/* The victim has ended; if it was not killed, its operation has returned. */
void scene_died(struct scene *s, const struct kill_point *point);

/* An armed end that has something to take is readable. */
void scene_check_bell(const struct ipck_pipe *p);

/* All is accounted for, with at most that many lost. */
void scene_check_counts(struct scene *s);

/* Each operation works from one end to the other. */
void scene_works(struct scene *s, struct ipck_pipe *from, struct ipck_pipe *to);

/* All that may be proven when no helper runs and nothing is in the pipe; closes both ends. */
void scene_finish(struct scene *s);

/* The victim alone had the near end: what it has sent is received, then the end. */
void scene_finish_alone(struct scene *s);

/* Both ends are closed: no descriptor is left that was sent. */
void scene_check_flight(struct scene *s);

/* Sweeps, with what all of a pipe have in common. */
int scene_main(int argc, char **argv, struct kill_sweep *sweeps, size_t n);

#endif
