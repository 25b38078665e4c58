/* SPDX-License-Identifier: MIT */
/*
 * Kill sweeps of a pool: a worker, a new worker, the master or the parent is killed
 * at each point while a map or an imap runs.  Every item ends with its right result
 * or the right status, at most the one in the dead worker's hands is lost, and the
 * pool goes on.
 */
#include <ipckit.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kill.h"
#include "pool/internal.h"

#define ITEMS 4
#define RESULT 6000 /* two pieces of a ring */

/* What the scenario process must know of the root's pool. */
struct scene {
	struct pool_shm *shm; /* where the victim has it; NULL: not yet */
	struct slot *slot;    /* of the first worker */
	struct ring *ring;
	struct block *block;  /* the first that is used */
	uint32_t begun;       /* the first place has an item */
	uint32_t pair;        /* the second place waits for that */
	uint32_t fatal;       /* the first item's first run kills its worker */
};

static struct scene *scene;
static struct ipck_pool *pool;

static void *setup(void)
{
	scene = kill_shared(sizeof(*scene));
	return scene;
}

static void *setup_fatal(void)
{
	setup();
	scene->fatal = 1;
	return scene;
}

static void add_range(struct kill_range *ranges, size_t *n, void *start, size_t size)
{
	ranges[(*n)++] = (struct kill_range){start, size};
}

/* The words of the protocol: the pool's, the slot's, its ring's, the first blocks'. */
static const struct kill_range *watch(void *ctx, size_t *n)
{
	static struct kill_range ranges[8];
	const struct scene *s = ctx;

	*n = 0;
	if (!__atomic_load_n(&s->shm, __ATOMIC_ACQUIRE))
		return ranges;
	add_range(ranges, n, s->shm, sizeof(struct pool_shm));
	add_range(ranges, n, s->slot, sizeof(struct slot));
	add_range(ranges, n, s->ring, offsetof(struct ring, data) + 64);
	for (int i = 0; i < 2; i++) {
		struct block *b = s->block + i;

		add_range(ranges, n, b, offsetof(struct block, state) + ITEMS * sizeof(uint16_t));
		add_range(ranges, n, b->value, ITEMS * sizeof(int32_t));
	}
	return ranges;
}

static int square(const void *in, void *out, const void *arg)
{
	int x = *(const int *)in;

	(void)arg;
	if (ipck_pool_worker() == 0)
		__atomic_store_n(&scene->begun, 1, __ATOMIC_SEQ_CST);
	while (scene->pair && !__atomic_load_n(&scene->begun, __ATOMIC_SEQ_CST))
		usleep(1000);
	if (x == 1 && __atomic_exchange_n(&scene->fatal, 0, __ATOMIC_SEQ_CST))
		raise(SIGKILL);
	*(int *)out = x * x;
	return 0;
}

static int repeat(const void *item, size_t size, const void *arg, struct ipck_result *result)
{
	char bytes[RESULT / 2];
	int rc;

	(void)size;
	(void)arg;
	memset(bytes, *(const int *)item, sizeof(bytes));
	rc = ipck_result_write(result, bytes, sizeof(bytes));
	return rc < 0 ? rc : ipck_result_write(result, bytes, sizeof(bytes));
}

/* In each worker: the first is stepped from here. */
static int begin_stepping(void *arg)
{
	(void)arg;
	/* When the parent has told where to look. */
	while (!__atomic_load_n(&scene->shm, __ATOMIC_ACQUIRE))
		usleep(1000);
	kill_begin();
	return 0;
}

static void make_pool(int workers, bool marked)
{
	int rc = ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = workers, .init = marked ? begin_stepping : NULL));

	kill_check(rc == 0);
	kill_check(pool_make_rings(pool) == 0);
	scene->slot = pool_slot(pool->shm, 0);
	scene->ring = pool_ring(pool->shm, 0);
	scene->block = pool_block(pool->shm, 0);
	__atomic_store_n(&scene->shm, pool->shm, __ATOMIC_RELEASE);
}

static struct ipck_deadline soon(void)
{
	return ipck_in_sec(8);
}

/* Every item is done and right, or lost with its worker; says how many are lost. */
static int check_map(struct ipck_pool *p, int *deaths)
{
	int in[ITEMS], out[ITEMS], lost = 0;
	struct ipck_status status[ITEMS];
	ssize_t rc;

	for (int i = 0; i < ITEMS; i++)
		in[i] = i + 1;
	rc = ipck_pool_map(p, square, in, ITEMS, sizeof(int), out, sizeof(int), IPCK_MAP_OPTS(.status = status),
	                   soon());
	for (int i = 0; i < ITEMS; i++) {
		if (status[i].outcome == IPCK_DONE) {
			kill_check(status[i].value == 0 && out[i] == in[i] * in[i]);
			continue;
		}
		kill_check(status[i].outcome == IPCK_KILLED && status[i].value == SIGKILL);
		lost++;
	}
	kill_check(rc == lost);
	*deaths = lost;
	return lost;
}

static int lost;

static void map_one(void *ctx)
{
	(void)ctx;
	make_pool(1, true);
	check_map(pool, &lost);
}

static void map_two(void *ctx)
{
	(void)ctx;
	scene->pair = 1;
	make_pool(2, true);
	check_map(pool, &lost);
}

static void map_unmarked(void *ctx)
{
	(void)ctx;
	make_pool(1, false);
	check_map(pool, &lost);
}

/* The pool goes on: another map is whole, and it ends in order.  `may_lose`: the
 * victim had not reached its point before. */
static void goes_on(int may_lose)
{
	int again;

	check_map(pool, &again);
	kill_check(again <= may_lose);
	kill_check(ipck_pool_close(pool) == 0);
	kill_check(ipck_pool_join(pool, soon()) == 0);
	ipck_pool_free(pool);
}

/* A worker killed between items costs none, within one exactly that one. */
static void survive_worker(void *ctx, const struct kill_point *point)
{
	int may_lose = point->kind == KILL_NONE;

	(void)ctx;
	kill_check(lost <= 1);
	kill_check(!may_lose || lost == 0);
	goes_on(may_lose);
}

/* The first worker dies by its item; the victim may cost another. */
static void survive_fatal(void *ctx, const struct kill_point *point)
{
	int may_lose = point->kind == KILL_NONE;

	(void)ctx;
	kill_check(lost >= 1 && lost <= 2);
	kill_check(!may_lose || lost == 1);
	goes_on(may_lose);
}

struct numbers {
	int next;
};

static int next_number(void *ctx, const void **item, size_t *size)
{
	struct numbers *numbers = ctx;

	if (numbers->next == ITEMS)
		return 0;
	numbers->next++;
	*item = &numbers->next;
	*size = sizeof(numbers->next);
	return 1;
}

static void check_result(const struct ipck_item *item)
{
	kill_check(item->size == RESULT);
	for (size_t i = 0; i < item->size; i++)
		if (((const char *)item->data)[i] != (char)(item->index + 1))
			kill_check(!"a torn result");
}

static int check_imap(void)
{
	struct numbers numbers = {0};
	struct ipck_imap *imap;
	struct ipck_item item;
	int died = 0;

	kill_check(ipck_pool_imap(&imap, pool, repeat, next_number, &numbers, NULL) == 0);
	for (uint64_t i = 0; i < ITEMS; i++) {
		kill_check(ipck_imap_next(imap, &item, soon()) == 1);
		kill_check(item.index == i);
		if (item.status.outcome == IPCK_DONE) {
			check_result(&item);
			continue;
		}
		kill_check(item.status.outcome == IPCK_KILLED && item.status.value == SIGKILL && item.size == 0);
		died++;
	}
	kill_check(ipck_imap_next(imap, &item, soon()) == 0);
	ipck_imap_close(imap);
	return died;
}

static void imap_one(void *ctx)
{
	(void)ctx;
	make_pool(1, true);
	lost = check_imap();
}

static void survive_imap(void *ctx, const struct kill_point *point)
{
	int may_lose = point->kind == KILL_NONE;

	(void)ctx;
	kill_check(lost <= 1);
	kill_check(!may_lose || lost == 0);
	kill_check(check_imap() <= may_lose);
	goes_on(may_lose);
}

/* The parent: makes a pool, maps, joins. */
static void whole_life(void *ctx)
{
	(void)ctx;
	kill_begin();
	make_pool(1, false);
	check_map(pool, &lost);
	kill_check(ipck_pool_close(pool) == 0);
	kill_check(ipck_pool_join(pool, soon()) == 0);
	ipck_pool_free(pool);
	kill_end();
}

static void terminated_life(void *ctx)
{
	(void)ctx;
	make_pool(2, false);
	check_map(pool, &lost);
	kill_begin();
	ipck_pool_free(pool);
	kill_end();
}

/* That all processes of the pool have ended is what the harness looks at. */
static void survive_parent(void *ctx, const struct kill_point *point)
{
	(void)ctx;
	(void)point;
}

static struct kill_sweep sweeps[] = {
	{.name = "worker in map", .setup = setup, .victim = map_one, .survive = survive_worker, .watch = watch,
	 .who = KILL_DESCENDANT, .generation = 2, .ordinal = 1, .marked = true},
	{.name = "worker of two in map", .setup = setup, .victim = map_two, .survive = survive_worker, .watch = watch,
	 .who = KILL_DESCENDANT, .generation = 2, .ordinal = 1, .marked = true},
	{.name = "worker in imap", .setup = setup, .victim = imap_one, .survive = survive_imap, .watch = watch,
	 .who = KILL_DESCENDANT, .generation = 2, .ordinal = 1, .marked = true},
	{.name = "replacing worker", .setup = setup_fatal, .victim = map_unmarked, .survive = survive_fatal,
	 .watch = watch, .who = KILL_DESCENDANT, .generation = 2, .ordinal = 2},
	{.name = "master in map", .setup = setup, .victim = map_unmarked, .survive = survive_worker, .watch = watch,
	 .who = KILL_DESCENDANT, .generation = 1, .ordinal = 1},
	{.name = "master replacing", .setup = setup_fatal, .victim = map_unmarked, .survive = survive_fatal,
	 .watch = watch, .who = KILL_DESCENDANT, .generation = 1, .ordinal = 1},
	{.name = "parent", .setup = setup, .victim = whole_life, .survive = survive_parent, .watch = watch,
	 .who = KILL_SELF, .marked = true},
	{.name = "parent in terminate", .setup = setup, .victim = terminated_life, .survive = survive_parent,
	 .watch = watch, .who = KILL_SELF, .marked = true},
};

int main(int argc, char **argv)
{
	const struct kill_sweep *list[sizeof(sweeps) / sizeof(*sweeps) + 1] = {NULL};

	for (size_t i = 0; i < sizeof(sweeps) / sizeof(*sweeps); i++) {
		/* Each run makes a pool, and steps it through hundreds of points. */
		sweeps[i].share = 6;
		sweeps[i].limit = 20;
		list[i] = &sweeps[i];
	}
	return kill_main(argc, argv, list);
}
