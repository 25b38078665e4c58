/* SPDX-License-Identifier: MIT */
/*
 * What the kill sweeps of locks, semaphores, events and counters share: the object,
 * others that are asleep in it when the victim dies, and the victim's own record.
 */
#ifndef TESTS_SYNC_SCENE_H
#define TESTS_SYNC_SCENE_H

#include <ipckit/counter.h>
#include <ipckit/event.h>
#include <ipckit/lock.h>
#include <ipckit/rlock.h>
#include <ipckit/semaphore.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/spin.h"
#include "kill.h"
#include "support.h"

#define SLEEPERS 3

struct scene {
	union {
		struct ipck_lock lock[3];
		struct ipck_rlock rlock;
		struct ipck_semaphore semaphore;
		struct ipck_event event;
		struct ipck_counter counter;
		struct ipck_striped_counter striped;
	};
	uint32_t a, b; /* equal while nobody holds the lock */
	size_t watched; /* bytes of the object */
	/* Of those that sleep: how many there are, have begun, have what they waited for. */
	uint32_t sleepers, going, awake;
	pid_t sleeper[SLEEPERS];
	uint32_t ready; /* the victim has what it is to have before it is stepped */
	pid_t victim;   /* once it is stepped */
};

/* Longer than any wait that ends; and short, but enough to be killed asleep. */
static inline struct ipck_deadline scene_soon(void)
{
	return ipck_in_sec(8);
}

static inline struct ipck_deadline scene_in_vain(void)
{
	return ipck_in_ms(60);
}

static inline struct scene *scene_make(size_t watched)
{
	struct scene *s = kill_shared(sizeof(*s));

	spin_forbid();
	s->watched = watched;
	return s;
}

static inline const struct kill_range *scene_watch(void *ctx, size_t *n)
{
	static struct kill_range ranges[2];
	struct scene *s = ctx;

	ranges[0] = (struct kill_range){s, s->watched};
	ranges[1] = (struct kill_range){&s->a, sizeof(s->a) + sizeof(s->b)};
	*n = 2;
	return ranges;
}

/* In another process: it is going when nothing but what it waits for can make it sleep. */
static inline pid_t scene_help(struct scene *s, void (*fn)(struct scene *s))
{
	pid_t pid = fork();

	kill_check(pid >= 0);
	if (pid > 0)
		return pid;
	fn(s);
	_exit(0);
}

static inline void scene_going(struct scene *s)
{
	add_seq(&s->going, 1);
}

static inline void scene_awake(struct scene *s)
{
	add_seq(&s->awake, 1);
}

static inline void scene_add_sleeper(struct scene *s, void (*fn)(struct scene *s))
{
	s->sleeper[s->sleepers++] = scene_help(s, fn);
}

static inline void scene_until_asleep(const struct scene *s)
{
	KILL_UNTIL(load_acquire(&s->going) == s->sleepers);
	for (uint32_t i = 0; i < s->sleepers; i++)
		KILL_UNTIL(test_state(s->sleeper[i]) == 'S');
}

/* Sleepers that sleep at once. */
static inline void scene_sleepers(struct scene *s, uint32_t n, void (*fn)(struct scene *s))
{
	while (s->sleepers < n)
		scene_add_sleeper(s, fn);
	scene_until_asleep(s);
}

static inline void scene_until_awake(const struct scene *s)
{
	KILL_UNTIL(load_acquire(&s->awake) == s->sleepers);
}

/* In the victim, when all sleep: from now on it is stepped. */
static inline void scene_begin(struct scene *s)
{
	scene_until_asleep(s);
	store_release(&s->victim, getpid());
	kill_begin();
}

/* The same, where it has something for which the others wait from now on. */
static inline void scene_begin_ready(struct scene *s)
{
	store_release(&s->ready, 1);
	scene_begin(s);
}

static inline void scene_until_ready(const struct scene *s)
{
	KILL_UNTIL(load_acquire(&s->ready) == 1);
}

/* Until the victim sleeps, or is dead. */
static inline void scene_until_victim_asleep(const struct scene *s)
{
	char state;

	KILL_UNTIL(load_acquire(&s->victim) != 0);
	KILL_UNTIL((state = test_state(s->victim)) == 'S' || state == 'Z' || state == 0);
}

#define SCENE_SWEEP(sweep, set_up, operation, proof) \
	{.name = (sweep), .setup = (set_up), .victim = (operation), .survive = (proof), .watch = scene_watch}
#define SCENE_SWEEP_MARKED(sweep, set_up, operation, proof) \
	{.name = (sweep), \
	 .setup = (set_up), \
	 .victim = (operation), \
	 .survive = (proof), \
	 .watch = scene_watch, \
	 .marked = true}

#endif
