/* SPDX-License-Identifier: MIT */
/*
 * Team: processes at one thing in shared memory, for the rows of what they lock, count
 * and meet with.  Member 0 measures, the others are its children.  For C++ too.
 */
#ifndef TEAM_H
#define TEAM_H

#include <stdint.h>

#include "base/compiler.h"

#define TEAM_MAX 65

#ifdef __cplusplus
extern "C" {
#endif

struct bench_ctx;

struct job {
	/* Sets it up in stage->object, before there are members: 0, or -errno. */
	int (*set_up)(int members);
	/* Operations, so many, of this member: 0, or -errno.  None: it gets ready for them. */
	int (*work)(int member, long n);
	/* How many operations all have done, by what they did; NULL: it does not tell. */
	uint64_t (*total)(void);
};

/* What all members share. */
struct stage {
	ALIGNED(FALSE_SHARING) char object[4096];
	ALIGNED(FALSE_SHARING) uint64_t value; /* what is locked or counted; of a line of its own */
	ALIGNED(FALSE_SHARING) uint32_t begun; /* members but member 0 */
	uint32_t ended;                        /* 1: no member begins more */
	struct {
		ALIGNED(FALSE_SHARING) uint64_t done;
	} member[TEAM_MAX];
};
extern struct stage *stage;

/*
 * Each member works for itself: the operations of all of them, per second.  All are at
 * work before the measured time begins, and until it has ended.  That what they did is
 * what they say they did is checked.
 */
double team_sum(const struct job *job, const struct bench_ctx *ctx, int members);

/* Each operation is one of all members: those of member 0, per second. */
double team_steps(const struct job *job, const struct bench_ctx *ctx, int members);

/* Of those that count in stage->value. */
uint64_t stage_value(void);

/* peer_sync.c: pthread's, semaphores, and an atomic number */
extern const struct job robust_mutex, plain_mutex, recursive_mutex, posix_semaphore, atomic_number;
/* peer_meet.c: pthread's, and Concurrency Kit's */
extern const struct job pthread_barrier, pthread_condition, pthread_event, ck_barrier;
/* peer_boost.cc: Boost.Interprocess's */
extern const struct job boost_mutex, boost_recursive_mutex, boost_semaphore, boost_condition, boost_event;

/* For peers that signal all of a round: the answers to it, and the wait for all of them. */
int answers_set_up(int waiters);
int answer_give(void);
int answers_await(void);

/* Loops over statements that set rc. */
#define WORK(name, ...) \
	static int name(int member, long n) \
	{ \
		int rc = 0; \
\
		(void)member; \
		for (; n > 0 && rc >= 0; n--) { \
			__VA_ARGS__ \
		} \
		return rc; \
	}

#ifdef __cplusplus
}
#endif

#endif
