/* SPDX-License-Identifier: MIT */
/* Locks, semaphores and numbers of POSIX, in shared memory. */
#include "team.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>

#include "base/atomic.h"

#define MUTEX ((pthread_mutex_t *)stage->object)
#define SEMAPHORE ((sem_t *)stage->object)

static int mutex_set_up(int type, int robust)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_settype(&attr, type);
	pthread_mutexattr_setrobust(&attr, robust);
	return -pthread_mutex_init(MUTEX, &attr);
}

static int robust_set_up(int members)
{
	(void)members;
	return mutex_set_up(PTHREAD_MUTEX_DEFAULT, PTHREAD_MUTEX_ROBUST);
}

static int plain_set_up(int members)
{
	(void)members;
	return mutex_set_up(PTHREAD_MUTEX_DEFAULT, PTHREAD_MUTEX_STALLED);
}

static int recursive_set_up(int members)
{
	(void)members;
	return mutex_set_up(PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ROBUST);
}

WORK(mutex_work, {
	rc = -pthread_mutex_lock(MUTEX);
	stage->value++;
	pthread_mutex_unlock(MUTEX);
})

WORK(nested_work, {
	rc = -pthread_mutex_lock(MUTEX);
	if (rc == 0)
		rc = -pthread_mutex_lock(MUTEX);
	stage->value++;
	pthread_mutex_unlock(MUTEX);
	pthread_mutex_unlock(MUTEX);
})

static int semaphore_set_up(int members)
{
	(void)members;
	return sem_init(SEMAPHORE, 1, 1) < 0 ? -errno : 0;
}

WORK(semaphore_work, {
	if (sem_wait(SEMAPHORE) < 0)
		rc = -errno;
	stage->value++;
	sem_post(SEMAPHORE);
})

static int nothing_to_set_up(int members)
{
	(void)members;
	return 0;
}

WORK(number_work, { add_seq(&stage->value, 1); })

const struct job robust_mutex = {robust_set_up, mutex_work, stage_value};
const struct job plain_mutex = {plain_set_up, mutex_work, stage_value};
const struct job recursive_mutex = {recursive_set_up, nested_work, stage_value};
const struct job posix_semaphore = {semaphore_set_up, semaphore_work, stage_value};
const struct job atomic_number = {nothing_to_set_up, number_work, stage_value};
