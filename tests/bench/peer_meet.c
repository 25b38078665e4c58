/* SPDX-License-Identifier: MIT */
/* Barriers, conditions, and what stands for events, of POSIX and of Concurrency Kit. */
#include "team.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>

#if defined(HAVE_CK) && defined(HAVE_LIBCK)
#include <ck_barrier.h>
#endif

#include "base/atomic.h"

/* ---- barriers ---- */

#define BARRIER ((pthread_barrier_t *)stage->object)

static int barrier_set_up(int members)
{
	pthread_barrierattr_t attr;

	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	return -pthread_barrier_init(BARRIER, &attr, (unsigned int)members);
}

WORK(barrier_work, {
	rc = pthread_barrier_wait(BARRIER);
	rc = rc == PTHREAD_BARRIER_SERIAL_THREAD ? 0 : -rc;
})

#if defined(HAVE_CK) && defined(HAVE_LIBCK)

#define CK_BARRIER ((struct ck_barrier_centralized *)stage->object)

static unsigned int parties;

static int ck_set_up(int members)
{
	parties = (unsigned int)members;
	*CK_BARRIER = (struct ck_barrier_centralized)CK_BARRIER_CENTRALIZED_INITIALIZER;
	return 0;
}

static struct ck_barrier_centralized_state ck_state = CK_BARRIER_CENTRALIZED_STATE_INITIALIZER;

WORK(ck_work, { ck_barrier_centralized(CK_BARRIER, &ck_state, parties); })

#else

static int ck_set_up(int members)
{
	(void)members;
	return -ENOENT;
}

WORK(ck_work, { rc = -ENOENT; })

#endif

/* ---- conditions ---- */

struct monitor {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
};
#define MONITOR ((struct monitor *)stage->object)

static int monitor_set_up(int members)
{
	pthread_mutexattr_t of_mutex;
	pthread_condattr_t of_cond;
	int rc;

	(void)members;
	pthread_mutexattr_init(&of_mutex);
	pthread_mutexattr_setpshared(&of_mutex, PTHREAD_PROCESS_SHARED);
	pthread_condattr_init(&of_cond);
	pthread_condattr_setpshared(&of_cond, PTHREAD_PROCESS_SHARED);
	rc = pthread_mutex_init(&MONITOR->mutex, &of_mutex);
	return -(rc ? rc : pthread_cond_init(&MONITOR->cond, &of_cond));
}

/* It is the turn of each of two members in its turn. */
WORK(turn_work, {
	pthread_mutex_lock(&MONITOR->mutex);
	while (rc == 0 && stage->value % 2 != (uint64_t)member)
		rc = -pthread_cond_wait(&MONITOR->cond, &MONITOR->mutex);
	stage->value++;
	pthread_cond_signal(&MONITOR->cond);
	pthread_mutex_unlock(&MONITOR->mutex);
})

/* ---- events ---- */

/* The last answer of a round wakes member 0. */
struct answers {
	sem_t all;
	uint64_t waiters;
	ALIGNED(FALSE_SHARING) uint64_t given;
};
#define ANSWERS ((struct answers *)(stage->object + sizeof(stage->object) / 2))

int answers_set_up(int waiters)
{
	ANSWERS->waiters = (uint64_t)waiters;
	ANSWERS->given = 0;
	return sem_init(&ANSWERS->all, 1, 0) < 0 ? -errno : 0;
}

int answer_give(void)
{
	uint64_t given = add_acq_rel(&ANSWERS->given, 1) + 1;

	return given % ANSWERS->waiters == 0 && sem_post(&ANSWERS->all) < 0 ? -errno : 0;
}

int answers_await(void)
{
	return sem_wait(&ANSWERS->all) < 0 ? -errno : 0;
}

/* stage->value is which round it is. */
static int event_set_up(int members)
{
	int rc = monitor_set_up(members);

	return rc < 0 ? rc : answers_set_up(members - 1);
}

static int begin_round(void)
{
	pthread_mutex_lock(&MONITOR->mutex);
	stage->value++;
	pthread_cond_broadcast(&MONITOR->cond);
	pthread_mutex_unlock(&MONITOR->mutex);
	return answers_await();
}

static int take_part(uint64_t round)
{
	int rc = 0;

	pthread_mutex_lock(&MONITOR->mutex);
	while (rc == 0 && stage->value < round)
		rc = -pthread_cond_wait(&MONITOR->cond, &MONITOR->mutex);
	pthread_mutex_unlock(&MONITOR->mutex);
	return rc < 0 ? rc : answer_give();
}

static uint64_t my_round;

WORK(event_work, { rc = member == 0 ? begin_round() : take_part(++my_round); })

const struct job pthread_barrier = {barrier_set_up, barrier_work, NULL};
const struct job ck_barrier = {ck_set_up, ck_work, NULL};
const struct job pthread_condition = {monitor_set_up, turn_work, NULL};
const struct job pthread_event = {event_set_up, event_work, NULL};
