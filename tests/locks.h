/* SPDX-License-Identifier: MIT */
/* What the tests of locks and rlocks share: one or the other, by the same calls. */
#ifndef TESTS_LOCKS_H
#define TESTS_LOCKS_H

#include <ipckit/lock.h>
#include <ipckit/rlock.h>

#include "parties.h"

#ifdef TEST_THREAD_SANITIZER
/*
 * Locks are released here by those who do not hold them, and destroyed or left held: on purpose.  And a thread holds
 * more at once than its search for deadlocks can count.
 */
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "report_mutex_bugs=0:report_destroy_locked=0:detect_deadlocks=0";
}
#endif

/* A test is done with the lock or with the rlock. */
struct state {
	struct ipck_lock lock;
	struct ipck_rlock rlock;
	bool again; /* it is the rlock that is used */
	struct target target;
	uint64_t sum, copy; /* equal while nobody holds it */
	uint32_t ready, over, told;
	pid_t holder;
};

static struct state *state; /* the test's, for handlers */

static inline int acquire(struct state *s, struct ipck_deadline deadline)
{
	return s->again ? ipck_rlock_acquire(&s->rlock, deadline) : ipck_lock_acquire(&s->lock, deadline);
}

static inline int release(struct state *s)
{
	return s->again ? ipck_rlock_release(&s->rlock) : ipck_lock_release(&s->lock);
}

static inline bool locked(const struct state *s)
{
	return s->again ? ipck_rlock_locked(&s->rlock) : ipck_lock_locked(&s->lock);
}

static inline pid_t owner(const struct state *s)
{
	return s->again ? ipck_rlock_owner(&s->rlock) : ipck_lock_owner(&s->lock);
}

static inline void init(struct state *s)
{
	memset(&s->lock, 0xa5, sizeof(s->lock));
	memset(&s->rlock, 0xa5, sizeof(s->rlock));
	ck_that(ipck_lock_init(&s->lock) == 0);
	ck_that(ipck_rlock_init(&s->rlock) == 0);
}

static inline void fini(struct state *s)
{
	ipck_lock_fini(&s->lock);
	ipck_rlock_fini(&s->rlock);
}

static inline struct state *make_state(bool again)
{
	state = test_shared(sizeof(*state));
	state->again = again;
	init(state);
	return state;
}

/* How deep an rlock is held in these tests; a lock but once. */
static inline int depth(const struct state *s)
{
	return s->again ? 3 : 1;
}

static inline void acquire_deep(struct state *s)
{
	for (int i = 0; i < depth(s); i++)
		ck_that(acquire(s, i % 2 ? IPCK_NOWAIT : far_off()) == 0);
}

static inline void release_deep(struct state *s)
{
	for (int i = 0; i < depth(s); i++)
		ck_that(release(s) == 0);
}

static inline void is_free(struct state *s)
{
	ck_that(!locked(s) && owner(s) == 0);
	ck_err(release(s), EPERM);
	ck_that(acquire(s, IPCK_NOWAIT) == 0);
	ck_that(locked(s) && owner(s) == getpid());
	ck_that(!s->again || ipck_rlock_depth(&s->rlock) == 1);
	ck_that(release(s) == 0);
	ck_that(!locked(s) && owner(s) == 0);
	ck_that(!s->again || ipck_rlock_depth(&s->rlock) == 0);
}

#endif
