/* SPDX-License-Identifier: MIT */
/*
 * What the kill sweeps of queues share: a queue with a ring of 4 KiB, messages that are
 * accounted for, peers that sleep in it when the victim dies, and the proof after its death.
 *
 * Messages of BEFORE are there before the victim begins; OTHER is a peer; AFTER is who
 * tries the queue when the victim is dead.  Every message says whose it is and its number, so
 * that each is got exactly once if its producer was told so, and at most once if it died before.
 */
#ifndef TESTS_QUEUE_SCENE_H
#define TESTS_QUEUE_SCENE_H

#include <ipckit.h>

#include "coll/queue.h"
#include "kill.h"

enum party { BEFORE, VICTIM, OTHER, AFTER, PARTIES };
enum fate { UNUSED, TRIED, ACKNOWLEDGED, REFUSED };
enum peer { CONSUMER, PRODUCER, JOINER, PEERS };

/* What the queue is, and what is in it, in this order; then the peers that sleep. */
enum {
	SCENE_JOINABLE = 1,
	SCENE_LEASES = 2,
	SCENE_BOUNDED = 4, /* no more than 4 messages */
	SCENE_LARGE = 8,   /* a ring of 16 KiB, what is put is large */
	SCENE_WRAP = 16,   /* the next message goes over the end of the ring; all counts, too */
	SCENE_ARMED = 32,  /* its descriptor is polled, and silent */
	SCENE_HELD = 64,   /* the survivor has peeked one */
	SCENE_STUCK = 128, /* the survivor has reserved the first */
	SCENE_SOME = 256,  /* two messages */
	SCENE_FULL = 512,  /* no room */
	SCENE_UNDONE = 1024, /* one was got by the survivor, who does not say that it is done */
	SCENE_CONSUMER = 2048,
	SCENE_PRODUCER = 4096,
	SCENE_JOINER = 8192,
};

#define SCENE_SMALL 64u
#define SCENE_BIG 1008u /* four of them fill the ring of 4 KiB */
#define SCENE_LONG 5000u
#define SCENE_MESSAGES 64
#define SCENE_RANGES 16

struct scene {
	struct ipck_queue *queue;
	unsigned flags;
	struct kill_range ranges[SCENE_RANGES];
	size_t n_ranges;
	uint32_t fates[PARTIES][SCENE_MESSAGES], got[PARTIES][SCENE_MESSAGES];
	uint32_t last[PARTIES];    /* the number of the last message */
	uint32_t running[PEERS];   /* peers that have not ended */
	struct ipck_queue_item item; /* HELD */
	void *room;                /* STUCK */
	uint32_t undone;           /* got, and not done, by the survivor */
	uint32_t may_miss;         /* messages that may have died with the victim */
	uint32_t may_repeat;       /* leases: what the victim had got may be got again */
	uint32_t victim_got;       /* messages */
	uint32_t left;             /* what those have peeked who died before */
	uint32_t ready;            /* the victim is where its peer was to wait for */
	uint32_t dead;             /* the victim is */
	uint32_t told;             /* the victim's operation has returned */
};

#define SCENE_SETUP(name, flags) \
	static void *name(void) \
	{ \
		return scene_make(flags); \
	}

struct scene *scene_make(unsigned flags);

/* The heads of the first entries that are there, and of those that the next ones will be. */
void scene_watch(struct scene *s);
const struct kill_range *scene_ranges(void *ctx, size_t *n);

/* A process that runs fn beside the victim. */
void scene_peer(struct scene *s, enum peer kind);
/* It begins when the victim is ready. */
void scene_peer_when_ready(struct scene *s, enum peer kind);

/* A process that runs fn and is killed at its end. */
void scene_die(struct scene *s, void (*fn)(struct scene *s));

/* Whether one sleeps. */
bool scene_sleeps(const struct scene *s, enum peer kind);

struct ipck_deadline scene_soon(void);
struct ipck_deadline scene_in_vain(void);

/* The size of what this scene puts. */
size_t scene_size(const struct scene *s);

/* A message; its size is at least 12. */
void scene_fill(char *bytes, enum party party, uint32_t number, size_t size);
uint32_t scene_try(struct scene *s, enum party party);
void scene_note(struct scene *s, enum party party, uint32_t number, int rc);
int scene_put(struct scene *s, enum party party, size_t size, struct ipck_deadline deadline);

/* Looks at all of a message; counts it as got. */
void scene_look(const char *bytes, size_t size);
void scene_count(struct scene *s, const char *bytes);

/* Gets one, looks at it, counts it and marks it as done: its party, or an error. */
int scene_get(struct scene *s, struct ipck_deadline deadline);

/* In the victim. */
void scene_begin(struct scene *s);
void scene_end(struct scene *s);

/* Walks over all that is in shared memory, with both locks: every invariant. */
void scene_check(struct scene *s);

/* The victim has ended; if it was not killed, its operation has returned. */
void scene_died(struct scene *s, const struct kill_point *point);

/* All is accounted for. */
void scene_check_counts(struct scene *s);

/* After the victim's death: sleepers go on, then all of the proof. */
void scene_prove(struct scene *s, const struct kill_point *point);

/* The queue was to be shut down: that is done again, then nothing is left and nobody waits. */
void scene_prove_end(struct scene *s, const struct kill_point *point, enum ipck_queue_end how);

/* Sweeps, with what all of a queue have in common. */
int scene_main(int argc, char **argv, struct kill_sweep *sweeps, size_t n);

#endif
