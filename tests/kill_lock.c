/* SPDX-License-Identifier: MIT */
/* The robust lock: a killed holder or acquirer is told to the next one, once, and blocks nobody. */
#include "base/lock.h"

#include "kill.h"

#include <errno.h>
#include <ipckit/deadline.h>
#include <ipckit/defs.h>
#include <stdlib.h>
#include <unistd.h>

struct state {
	struct robust_lock lock;
	int a, b; /* equal while nobody holds the lock */
};

static void *setup(void)
{
	struct state *s = kill_shared(sizeof(*s));

	kill_check(lock_init(&s->lock) == 0);
	return s;
}

static const struct kill_range *watch(void *ctx, size_t *n)
{
	static struct kill_range range;

	range = (struct kill_range){ctx, sizeof(struct state)};
	*n = 1;
	return &range;
}

static void increment(void *ctx)
{
	struct state *s = ctx;

	kill_check(lock_acquire(&s->lock, IPCK_FOREVER) == 0);
	__atomic_store_n(&s->a, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&s->b, 1, __ATOMIC_RELAXED);
	kill_check(lock_release(&s->lock) == 0);
}

static void told_once(void *ctx, const struct kill_point *point)
{
	struct state *s = ctx;
	int rc = lock_acquire(&s->lock, ipck_in_sec(5));

	kill_check(rc == 0 || rc == IPCK_OWNER_DIED);
	kill_check(rc == 0 || point->kind != KILL_NONE);
	kill_check(rc == IPCK_OWNER_DIED || s->a == s->b);
	s->a = s->b = 2;
	kill_check(lock_held_here(&s->lock));
	kill_check(lock_release(&s->lock) == 0);
	kill_check(lock_acquire(&s->lock, IPCK_NOWAIT) == 0);
	kill_check(lock_release(&s->lock) == 0);
}

static const struct kill_sweep alone = {
	.name = "lock", .setup = setup, .victim = increment, .survive = told_once, .watch = watch};

/* The victim waits for a holder that lives; killed in its wait it costs nothing. */

static void *setup_held(void)
{
	struct state *s = setup();

	kill_check(lock_acquire(&s->lock, IPCK_NOWAIT) == 0);
	return s;
}

static void wait_for_lock(void *ctx)
{
	struct state *s = ctx;

	kill_check(lock_acquire(&s->lock, ipck_in_ms(300)) == -ETIMEDOUT);
}

static void still_held(void *ctx, const struct kill_point *point)
{
	struct state *s = ctx;

	(void)point;
	kill_check(lock_held_here(&s->lock));
	kill_check(lock_release(&s->lock) == 0);
	kill_check(lock_acquire(&s->lock, IPCK_NOWAIT) == 0);
	kill_check(lock_release(&s->lock) == 0);
}

static const struct kill_sweep contended = {
	.name = "lock_wait", .setup = setup_held, .victim = wait_for_lock, .survive = still_held, .watch = watch};

int main(int argc, char **argv)
{
	static const struct kill_sweep *const sweeps[] = {&alone, &contended, NULL};

	return kill_main(argc, argv, sweeps);
}
