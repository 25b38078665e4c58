/* SPDX-License-Identifier: MIT */
#include "base/lock.h"

#include <errno.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/ident.h"

#ifdef THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

int lock_init(struct robust_lock *lock)
{
	pthread_mutexattr_t attr;
	int rc = pthread_mutexattr_init(&attr);

	if (rc)
		return -rc;
	rc = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	if (!rc)
		rc = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	/* Error checking: a second acquire is -EDEADLK, a foreign release -EPERM. */
	if (!rc)
		rc = pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	if (!rc)
		rc = pthread_mutex_init(&lock->mutex, &attr);
	pthread_mutexattr_destroy(&attr);
#ifndef LOCK_OWNER_SEEN
	lock->holder = 0;
#endif
	return -rc;
}

/* Who is written down: where libc does not do it, also one that is dead. */
static pid_t written_owner(const struct robust_lock *lock)
{
#ifdef LOCK_OWNER_SEEN
	/* The futex word of a robust mutex is kernel interface: the low 30 bits
	 * are the thread id.  glibc keeps it in this field. */
	return (pid_t)((uint32_t)load_relaxed(&lock->mutex.__data.__lock) & 0x3fffffff);
#else
	return (pid_t)load_relaxed(&lock->holder);
#endif
}

pid_t lock_owner(const struct robust_lock *lock)
{
	pid_t owner = written_owner(lock);

#ifndef LOCK_OWNER_SEEN
	if (owner != 0 && tid_dead(owner))
		return 0;
#endif
	return owner;
}

bool lock_held_here(const struct robust_lock *lock)
{
	pid_t owner = written_owner(lock);

	return owner != 0 && owner == tid_self();
}

void lock_fini(struct robust_lock *lock)
{
	/* Else it would stay in libc's list of what this thread holds, also when the memory is gone. */
	if (lock_held_here(lock))
		pthread_mutex_unlock(&lock->mutex);
	pthread_mutex_destroy(&lock->mutex);
}

/* What a pthread call that may have acquired says, in our terms. */
static int acquired(struct robust_lock *lock, int rc)
{
#ifndef LOCK_OWNER_SEEN
	if (rc == 0 || rc == EOWNERDEAD)
		store_relaxed(&lock->holder, (uint32_t)tid_self());
#endif
	if (rc != EOWNERDEAD)
		return -rc;
	pthread_mutex_consistent(&lock->mutex);
	return IPCK_OWNER_DIED;
}

/* The thread sanitizer has to be told of clocklock; of trylock and unlock it knows. */
#ifdef THREAD_SANITIZER
#define BEFORE_LOCK(mutex) __tsan_mutex_pre_lock(mutex, __tsan_mutex_try_lock)
#define AFTER_LOCK(mutex, locked) \
	__tsan_mutex_post_lock(mutex, __tsan_mutex_try_lock | ((locked) ? 0 : __tsan_mutex_try_lock_failed), 0)
#else
#define BEFORE_LOCK(mutex) ((void)0)
#define AFTER_LOCK(mutex, locked) ((void)0)
#endif

static int lock_until(struct robust_lock *lock, int64_t now, int64_t until)
{
#ifdef HAVE_PTHREAD_MUTEX_CLOCKLOCK
	struct timespec ts = clock_timespec(until);
	int rc;

	(void)now;
	BEFORE_LOCK(&lock->mutex);
	rc = pthread_mutex_clocklock(&lock->mutex, CLOCK_MONOTONIC, &ts);
	AFTER_LOCK(&lock->mutex, rc == 0 || rc == EOWNERDEAD);
	return rc;
#else
	struct timespec pause = {.tv_nsec = 50000};
	int rc = pthread_mutex_trylock(&lock->mutex);

	while (rc == EBUSY && (now = clock_now()) < until) {
		nanosleep(&pause, NULL);
		pause.tv_nsec = MIN(2 * pause.tv_nsec, 5 * NS_PER_MS);
		rc = pthread_mutex_trylock(&lock->mutex);
	}
	return rc == EBUSY ? ETIMEDOUT : rc;
#endif
}

/*
 * Held by a thread that does not exist: the word names it, it is gone, and the
 * word has not changed since.  The kernel gives notice before a death can be
 * seen, so one more attempt decides.
 */
static bool stranded(struct robust_lock *lock, int *rc)
{
	pid_t owner = written_owner(lock);

	if (owner == 0 || !tid_dead(owner))
		return false;
	*rc = pthread_mutex_trylock(&lock->mutex);
	return *rc == EBUSY && written_owner(lock) == owner;
}

static int lock_slowly(struct robust_lock *lock, struct ipck_deadline deadline)
{
	if (lock_held_here(lock))
		return -EDEADLK;
	for (;;) {
		int64_t now = clock_now();
		int rc = deadline_check(deadline, now);

		if (rc < 0)
			return rc;
		rc = lock_until(lock, now, deadline_tick(deadline, now));
		if (rc != ETIMEDOUT)
			return acquired(lock, rc);
		if (stranded(lock, &rc))
			return -ENOTRECOVERABLE;
		if (rc != ETIMEDOUT && rc != EBUSY)
			return acquired(lock, rc);
	}
}

int lock_otherwise(struct robust_lock *lock, int rc, struct ipck_deadline deadline)
{
	return rc == EBUSY ? lock_slowly(lock, deadline) : acquired(lock, rc);
}

#ifndef LOCK_OWNER_SEEN
int lock_release(struct robust_lock *lock)
{
	if (lock_held_here(lock))
		store_relaxed(&lock->holder, 0);
	return -pthread_mutex_unlock(&lock->mutex);
}
#endif
