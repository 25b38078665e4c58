/* SPDX-License-Identifier: MIT */
/* What the kill sweeps of conditions share: those who wait beside the victim, and the proof after its death. */
#ifndef TESTS_CONDITION_SCENE_H
#define TESTS_CONDITION_SCENE_H

#include <ipckit/condition.h>

#include "kill_beside.h"
#include "sync/condition.h"

/* Those beside the victim, the oldest first, and the others that there may be. */
enum party { FIRST, SECOND, THIRD, LATE, VICTIM, FRESH, GONE, PARTIES };
enum result { INSIDE, NOTIFIED, TIMED_OUT };
enum kind { OWN, PLAIN, NESTED };

#define PLACES 6

struct scene {
	struct ipck_condition condition;
	struct ipck_lock plain;
	struct ipck_rlock rlock;
	enum kind kind;
	uint32_t others; /* who wait beside the victim */
	uint32_t n;      /* are notified by the victim, or while it waits */
	uint32_t owed;   /* were notified before */
	uint64_t next;   /* number of the victim's notification */
	uint64_t victim; /* its word */
	pid_t pids[PARTIES];
	uint32_t results[PARTIES];
	uint32_t notifying, notified, dead;
	bool late_first; /* LATE comes before the dead's notifications have been passed on */
};

static inline struct condition *inner(struct scene *s)
{
	return (struct condition *)(void *)&s->condition;
}

const struct kill_range *watch(void *ctx, size_t *n);
void acquire(struct scene *s);
void release(struct scene *s);

/* With the lock. */
void wait_until(struct scene *s, unsigned i, struct ipck_deadline deadline);
void party(void *ctx, unsigned i);
void notify(struct scene *s, uint32_t n);
uint32_t count(struct scene *s, enum word_state state, bool of_victim);
bool victim_in(struct scene *s, enum word_state state);
bool sleeps(struct scene *s, pid_t pid);
void start_party(struct scene *s, unsigned i);
void stop_all(struct scene *s);
void continue_all(struct scene *s);
struct scene *make(enum kind kind, unsigned others);

/* When all have come that are to come; the victim waits or is dead. */
void await_all(struct scene *s);

/* That many were woken, the oldest, and nobody who came later. */
void expect_woken(struct scene *s, uint32_t least, uint32_t most);
void works(struct scene *s);

#endif
