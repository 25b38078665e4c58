/* SPDX-License-Identifier: MIT */
/*
 * The soak of locks, permits, conditions, events, barriers and counters: what its jobs
 * share (soak_sync_jobs.c), and who kills them looks at.
 */
#ifndef TESTS_SOAK_SYNC_H
#define TESTS_SOAK_SYNC_H

#include <ipckit.h>

#include "base/atomic.h"
#include "support.h"

#define LOCKS 3
#define WORDS 8
#define STORE 2 /* items that there is room for */
#define PARTIES 3
#define PERMITS 2
#define SLOTS_MAX 24

/* Of whoever holds the lock: its pid; the sum is right when nobody does. */
struct guarded {
	struct ipck_lock lock;
	uint32_t owner;
	uint64_t words[WORDS], sum;
};

/* A process logs what it is about to add, and what it has added. */
struct added {
	uint64_t before, after;
};

struct shared {
	struct guarded guarded[LOCKS];
	struct ipck_rlock rlock;
	uint32_t rlock_owner;
	struct ipck_lock store_lock;
	struct ipck_condition filled, emptied;
	uint64_t made, taken; /* each change of the store is one of these stores */
	struct ipck_event go, back;
	struct ipck_barrier barrier;
	uint64_t arrivals, cycles;
	struct ipck_semaphore permits;
	uint64_t use[SLOTS_MAX]; /* odd: this process uses a permit */
	struct ipck_counter counter;
	struct ipck_striped_counter striped;
	struct added added[SLOTS_MAX + 1];
	pid_t pid[SLOTS_MAX];
	uint64_t rounds[SLOTS_MAX];
	uint32_t stop;
};

struct slot {
	const struct job *job;
	uint32_t number;
	uint64_t life; /* its n-th process */
	pid_t pid;
};

struct job {
	const char *name;
	uint32_t processes;
	void (*run)(const struct slot *slot, struct test_random *random);
};

extern struct shared *shared;

#define JOBS 9
extern const struct job jobs[JOBS];

/* In the shared memory, which is zeroed. */
void init_objects(void);

/* Adds to both counters, and logs it; returns what the first one was. */
int64_t add_logged(uint32_t number, int64_t n);

/* A wait that lasts so long is one for ever. */
static inline struct ipck_deadline far_off(void)
{
	return ipck_in_sec(20 * test_scale());
}

#endif
