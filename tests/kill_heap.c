/* SPDX-License-Identifier: MIT */
/* Blocks of a heap taken, freed and moved by who is killed at each point; and by who repairs that, and is killed. */
#include <ipckit/heap.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kill_beside.h"

#include "base/spin.h"
#include "mem/slab.h"

#define ROOT_BYTES 1024
#define ROOT_SLOTS (ROOT_BYTES / sizeof(uint64_t))
#define MAX_BYTES (20 * PAGE_BYTES + 16 * sizeof(struct slab_arena))
#define PATTERN 0x5a

/* Sizes of which no empty slab is kept: many in a slab, one, and pages of its own. */
enum { SMALL = 1000, WHOLE = SLAB_LARGEST, LARGE = SLAB_LARGEST + 1 };

struct scene {
	struct ipck_heap *heap;
	uint64_t *here, *same, *other; /* slots: the first two are of one arena */
	uint64_t *first;               /* the slot that survivors touch first */
	uint64_t *slot, *to;           /* of the operation */
	size_t size;
	uint64_t all;                  /* pages that can be had */
	uint32_t steps;                /* + 1 of a redo, then its process dies; 0: it lives */
};

static struct scene *scene;

/* ---- who dies in the middle of a redo ---- */

void __real_redo_do(struct redo *r, const struct change *c);
void __wrap_redo_do(struct redo *r, const struct change *c);

void __wrap_redo_do(struct redo *r, const struct change *c)
{
	if (!scene->steps) {
		__real_redo_do(r, c);
		return;
	}
	memcpy(r->store, c->store, c->count * sizeof(c->store[0]));
	store_release(&r->count, c->count);
	for (uint32_t i = 0; i < MIN(scene->steps - 1, c->count); i++)
		store_release((uint64_t *)(void *)(c->body + c->store[i].at), c->store[i].value);
	raise(SIGKILL);
}

/* ---- the heap ---- */

static struct ipck_heap_stats stats(void)
{
	struct ipck_heap_stats st = IPCK_HEAP_STATS_INIT;

	kill_check(ipck_heap_stat(scene->heap, &st) == 0);
	return st;
}

static uint64_t *root(void)
{
	return ipck_heap_root(scene->heap);
}

static void take(uint64_t *slot, size_t size)
{
	kill_check(ipck_heap_alloc_to(scene->heap, size, slot) == 0);
	memset(ipck_heap_at(scene->heap, *slot), PATTERN, size);
}

static void drop(uint64_t *slot)
{
	kill_check(ipck_heap_free_from(scene->heap, slot) == 0 && *slot == 0);
}

/* Blocks that hang on each other, until there is no memory.  How many. */
static uint64_t take_all(void)
{
	uint64_t *slot = root(), n = 0;
	int rc;

	while ((rc = ipck_heap_alloc_to(scene->heap, PAGE_BYTES, slot)) == 0) {
		slot = ipck_heap_at(scene->heap, *slot);
		n++;
	}
	kill_check(rc == -ENOSPC);
	return n;
}

static void drop_all(void)
{
	uint64_t *slot = root(), *next = slot + 1;

	while (*slot) {
		kill_check(ipck_heap_move(scene->heap, ipck_heap_at(scene->heap, *slot), next) == 0);
		drop(slot);
		kill_check(ipck_heap_move(scene->heap, next, slot) == 0);
	}
	kill_check(stats().page_bytes == 0 && stats().blocks == 0 && stats().bytes == 0);
}

/* Slots of one arena share a slab. */
static bool is_of_arena(uint64_t *one, uint64_t *other)
{
	size_t before;
	bool is;

	take(one, SMALL);
	before = stats().page_bytes;
	take(other, SMALL);
	is = stats().page_bytes == before;
	drop(one);
	drop(other);
	return is;
}

static uint64_t *find_slot(bool same)
{
	for (uint64_t *slot = scene->here + 1; slot < root() + ROOT_SLOTS; slot++)
		if (is_of_arena(scene->here, slot) == same)
			return slot;
	kill_check(!"there is such a slot");
	return NULL;
}

static struct scene *set_up(size_t size)
{
	const struct ipck_heap_opts *opts = IPCK_HEAP_OPTS(.max_bytes = MAX_BYTES, .root_bytes = ROOT_BYTES);

	spin_forbid();
	scene = kill_shared(sizeof(*scene));
	kill_check(ipck_heap_create(&scene->heap, NULL, opts) == 0);
	scene->here = root();
	scene->same = find_slot(true);
	scene->other = find_slot(false);
	scene->all = take_all();
	drop_all();
	scene->slot = scene->here;
	scene->first = scene->same;
	scene->size = size;
	return scene;
}

static const struct kill_range *watch(void *ctx, size_t *n)
{
	static struct kill_range range[2];
	char *at = ipck_heap_root(((struct scene *)ctx)->heap);
	size_t before = ipck_heap_offset(((struct scene *)ctx)->heap, at);

	range[0] = (struct kill_range){at - before, before + ROOT_BYTES};
	/* The table, and the first words of the first page. */
	range[1] = (struct kill_range){at + PAGE_BYTES, PAGE_BYTES + 64};
	*n = 2;
	return range;
}

/* ---- operations ---- */

static void alloc(void *ctx)
{
	struct scene *s = ctx;

	kill_begin();
	kill_check(ipck_heap_alloc_to(s->heap, s->size, s->slot) == 0);
	kill_end();
}

static void free_it(void *ctx)
{
	struct scene *s = ctx;

	kill_begin();
	kill_check(ipck_heap_free_from(s->heap, s->slot) == 0);
	kill_end();
}

static void move_it(void *ctx)
{
	struct scene *s = ctx;

	kill_begin();
	kill_check(ipck_heap_move(s->heap, s->slot, s->to) == 0);
	kill_end();
}

/* Nothing but the repair of what a first one left. */
static void touch(void *ctx)
{
	struct scene *s = ctx;

	kill_begin();
	kill_check(ipck_heap_free_from(s->heap, s->first) == 0);
	kill_end();
}

/* ---- proof ---- */

static void is_filled(uint64_t block, size_t size, unsigned char with)
{
	const unsigned char *bytes = ipck_heap_at(scene->heap, block);

	kill_check(ipck_heap_size(scene->heap, block) >= size);
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != with)
			kill_check(!"a byte of the block differs");
}

/* What is in the slots is what the heap counts. */
static void fits(void)
{
	uint64_t blocks = 0, bytes = 0;

	kill_check(ipck_heap_check(scene->heap) == 0);
	for (uint64_t *slot = root(); slot < root() + ROOT_SLOTS; slot++) {
		blocks += *slot != 0;
		bytes += ipck_heap_size(scene->heap, *slot);
		for (uint64_t *other = root(); other < slot; other++)
			if (*slot && *slot == *other)
				kill_check(!"a block is in one slot");
	}
	kill_check(stats().blocks == blocks && stats().bytes == bytes);
}

static void nothing_is_lost(void)
{
	for (uint64_t *slot = root(); slot < root() + ROOT_SLOTS; slot++)
		drop(slot);
	kill_check(stats().blocks == 0 && stats().bytes == 0 && stats().page_bytes == 0);
	kill_check(take_all() == scene->all);
	kill_check(ipck_heap_check(scene->heap) == 0);
	drop_all();
	kill_check(ipck_heap_check(scene->heap) == 0);
	ipck_heap_close(scene->heap);
}

/* The first to look repairs. */
static void look(const struct scene *s)
{
	if (s->first)
		kill_check(ipck_heap_free_from(s->heap, s->first) == 0);
	fits();
}

static void prove_alloc(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	look(s);
	kill_check(*s->slot || point->kind != KILL_NONE);
	if (*s->slot)
		is_filled(*s->slot, s->size, 0);
	drop(s->slot);
	kill_check(ipck_heap_alloc_to(s->heap, s->size, s->slot) == 0);
	is_filled(*s->slot, s->size, 0);
	fits();
	nothing_is_lost();
}

static void prove_free(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	look(s);
	kill_check(*s->slot == 0 || point->kind != KILL_NONE);
	/* Where the first died it is freed, or whole. */
	if (*s->slot)
		is_filled(*s->slot, s->size, PATTERN);
	drop(s->slot);
	fits();
	take(s->slot, s->size);
	fits();
	nothing_is_lost();
}

static void prove_move(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	look(s);
	kill_check((*s->slot == 0) != (*s->to == 0));
	kill_check(*s->slot == 0 || point->kind != KILL_NONE);
	is_filled(*s->slot ? *s->slot : *s->to, s->size, PATTERN);
	if (*s->slot)
		kill_check(ipck_heap_move(s->heap, s->slot, s->to) == 0);
	kill_check(ipck_heap_move(s->heap, s->to, s->slot) == 0);
	fits();
	nothing_is_lost();
}

/* ---- set-ups ---- */

#define SETUP(name, ...) \
	static void *name(void) \
	{ \
		struct scene *s = __VA_ARGS__; \
\
		return s; \
	}

/* A block beside it keeps the slab. */
static struct scene *beside(struct scene *s)
{
	take(s->same, s->size);
	s->first = s->same + 1;
	while (!is_of_arena(s->here, s->first))
		s->first++;
	return s;
}

static struct scene *taken(struct scene *s)
{
	take(s->here, s->size);
	return s;
}

static struct scene *freed(struct scene *s)
{
	drop(s->here);
	return s;
}

/* In a slot of the other arena.  The survivors come from there, or from that of the block. */
static struct scene *moved(struct scene *s)
{
	kill_check(ipck_heap_move(s->heap, s->here, s->other) == 0);
	s->slot = s->other;
	return s;
}

/* The arenas change places. */
static struct scene *turned(struct scene *s)
{
	uint64_t *here = s->here;

	s->slot = s->here = s->other;
	s->same = here + ROOT_SLOTS - 1;
	while (s->same > root() && !is_of_arena(s->here, s->same))
		s->same--;
	kill_check(s->same != s->here);
	s->other = here;
	s->first = s->same;
	return s;
}

static struct scene *to(struct scene *s, uint64_t *slot)
{
	s->to = slot;
	return s;
}

static struct scene *check_first(struct scene *s)
{
	s->first = NULL;
	return s;
}

/* A first one dies after so many steps of a redo. */
static struct scene *died(struct scene *s, void (*fn)(void *), uint32_t steps)
{
	pid_t pid = fork();

	kill_check(pid >= 0);
	if (pid == 0) {
		s->steps = steps + 1;
		fn(s);
		_exit(1);
	}
	kill_check(waitpid(pid, NULL, 0) == pid);
	kill_check(s->steps == steps + 1);
	s->steps = 0;
	return s;
}

static void do_alloc(void *ctx)
{
	struct scene *s = ctx;

	(void)!ipck_heap_alloc_to(s->heap, s->size, s->slot);
}

static void do_free(void *ctx)
{
	struct scene *s = ctx;

	(void)!ipck_heap_free_from(s->heap, s->slot);
}

static void do_move(void *ctx)
{
	struct scene *s = ctx;

	(void)!ipck_heap_move(s->heap, s->slot, s->to);
}

SETUP(fresh_block, beside(set_up(SMALL)))
SETUP(listed_block, freed(taken(beside(set_up(SMALL)))))
SETUP(new_slab, set_up(SMALL))
SETUP(new_slab_of_one, set_up(WHOLE))
SETUP(large, set_up(LARGE))
SETUP(in_slab, taken(beside(set_up(SMALL))))
SETUP(last_of_slab, taken(set_up(SMALL)))
SETUP(only_of_slab, taken(set_up(WHOLE)))
SETUP(taken_large, taken(set_up(LARGE)))
SETUP(in_slab_moved, moved(taken(beside(set_up(SMALL)))))
SETUP(last_moved, moved(taken(set_up(SMALL))))
SETUP(large_moved, moved(taken(set_up(LARGE))))
SETUP(last_moved_turned, moved(taken(turned(set_up(SMALL)))))
SETUP(large_moved_turned, moved(taken(turned(set_up(LARGE)))))
SETUP(large_moved_check, check_first(moved(taken(set_up(LARGE)))))
SETUP(large_moved_turned_check, check_first(moved(taken(turned(set_up(LARGE))))))

static void *to_same(void)
{
	struct scene *s = taken(set_up(SMALL));
	uint64_t *slot = s->same;

	s->first = slot + 1;
	while (!is_of_arena(s->other, s->first))
		s->first++;
	return to(s, slot);
}

static void *to_other(void)
{
	struct scene *s = taken(set_up(SMALL));

	return to(s, s->other);
}

static void *to_other_turned(void)
{
	struct scene *s = taken(turned(set_up(SMALL)));

	return to(s, s->other);
}

SETUP(alloc_died, died(new_slab(), do_alloc, 3))
SETUP(alloc_large_died, died(large(), do_alloc, 2))
SETUP(free_died, died(last_moved(), do_free, 7))
SETUP(free_died_turned, died(last_moved_turned(), do_free, 7))
SETUP(free_large_died, died(large_moved(), do_free, 4))
SETUP(free_large_died_turned, died(large_moved_turned(), do_free, 4))
SETUP(move_died, died(to_other(), do_move, 1))
SETUP(move_died_turned, died(to_other_turned(), do_move, 1))

static void prove_alloc_died(void *ctx, const struct kill_point *point)
{
	const struct kill_point none = {.kind = point->kind == KILL_NONE ? KILL_START : point->kind};

	prove_alloc(ctx, &none);
}

static struct kill_sweep sweeps[] = {
	{.name = "free large, arenas turned", .setup = large_moved_turned, .victim = free_it, .survive = prove_free},
	{.name = "free large, other arena", .setup = large_moved, .victim = free_it, .survive = prove_free},
	{.name = "free the last, other arena", .setup = last_moved, .victim = free_it, .survive = prove_free},
	{.name = "alloc a new slab", .setup = new_slab, .victim = alloc, .survive = prove_alloc},
	{.name = "alloc from the list", .setup = listed_block, .victim = alloc, .survive = prove_alloc},
	{.name = "free the only one", .setup = only_of_slab, .victim = free_it, .survive = prove_free},
	{.name = "move to the other arena", .setup = to_other, .victim = move_it, .survive = prove_move},
	{.name = "repair a free", .setup = free_large_died_turned, .victim = touch, .survive = prove_free},
	{.name = "repair a free, turned", .setup = free_large_died, .victim = touch, .survive = prove_free},
	/* From here on with IPCK_LONG. */
	{.name = "alloc a fresh block", .setup = fresh_block, .victim = alloc, .survive = prove_alloc},
	{.name = "alloc all of a slab", .setup = new_slab_of_one, .victim = alloc, .survive = prove_alloc},
	{.name = "alloc large", .setup = large, .victim = alloc, .survive = prove_alloc},
	{.name = "free into a list", .setup = in_slab, .victim = free_it, .survive = prove_free},
	{.name = "free the last", .setup = last_of_slab, .victim = free_it, .survive = prove_free},
	{.name = "free large", .setup = taken_large, .victim = free_it, .survive = prove_free},
	{.name = "free into a list, other arena", .setup = in_slab_moved, .victim = free_it, .survive = prove_free},
	{.name = "free the last, turned", .setup = last_moved_turned, .victim = free_it, .survive = prove_free},
	{.name = "free large, checked", .setup = large_moved_check, .victim = free_it, .survive = prove_free},
	{.name = "free large, turned, checked", .setup = large_moved_turned_check, .victim = free_it,
	 .survive = prove_free},
	{.name = "move to the same arena", .setup = to_same, .victim = move_it, .survive = prove_move},
	{.name = "move, turned", .setup = to_other_turned, .victim = move_it, .survive = prove_move},
	{.name = "repair an alloc", .setup = alloc_died, .victim = touch, .survive = prove_alloc_died},
	{.name = "repair an alloc of pages", .setup = alloc_large_died, .victim = touch, .survive = prove_alloc_died},
	{.name = "repair freeing the last", .setup = free_died, .victim = touch, .survive = prove_free},
	{.name = "repair freeing the last, turned", .setup = free_died_turned, .victim = touch, .survive = prove_free},
	{.name = "repair a move", .setup = move_died, .victim = touch, .survive = prove_move},
	{.name = "repair a move, turned", .setup = move_died_turned, .victim = touch, .survive = prove_move},
};

int main(int argc, char **argv)
{
	return beside_main(argc, argv, sweeps, ARRAY_SIZE(sweeps), 9, watch);
}
