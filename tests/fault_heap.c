/* SPDX-License-Identifier: MIT */
/* Failing system calls: how heaps begin and end, and how they grow. */
#include <ipckit/heap.h>

#include "fault_life.h"
#include "filled.h"

#define SLOTS 40
#define LONG_BLOCK ((size_t)100000) /* so many pages that their memory is given back */

FAULT_WRAP_INT(int, fallocate, (int fd, int mode, off_t offset, off_t bytes), (fd, mode, offset, bytes), EOPNOTSUPP)

struct root {
	uint64_t slot[SLOTS];
};

static struct ipck_heap *heap;
static struct root *root;
static struct ipck_heap_stats before;

static struct ipck_heap_stats figures(struct ipck_heap *h)
{
	struct ipck_heap_stats s = IPCK_HEAP_STATS_INIT;

	ck_ok(ipck_heap_stat(h, &s));
	return s;
}

static bool is_zero(struct ipck_heap *h, uint64_t block)
{
	const char *bytes = ipck_heap_at(h, block);
	size_t size = ipck_heap_size(h, block);

	return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

static void fill_block(uint64_t *slot, uint64_t whose)
{
	ck_that(is_zero(heap, *slot));
	fill(ipck_heap_at(heap, *slot), ipck_heap_size(heap, *slot), whose);
}

static bool block_is_filled(struct ipck_heap *h, uint64_t block, uint64_t whose)
{
	return is_filled(ipck_heap_at(h, block), ipck_heap_size(h, block), whose);
}

/* ---- life ---- */

static int create_heap(void **out, const char *name)
{
	struct ipck_heap *h = UNTOUCHED;
	int rc = ipck_heap_create(&h, name, NULL);

	ck_that(rc == 0 || h == UNTOUCHED);
	if (rc == 0)
		*out = h;
	return rc;
}

static int open_heap(void **out, const char *name)
{
	struct ipck_heap *h = UNTOUCHED;
	int rc = ipck_heap_open(&h, name, NULL);

	ck_that(rc == 0 || h == UNTOUCHED);
	if (rc == 0)
		*out = h;
	return rc;
}

static int open_heap_fd(void **out, int fd)
{
	struct ipck_heap *h = UNTOUCHED;
	int rc = ipck_heap_open_fd(&h, fd, NULL);

	ck_that(rc == 0 || h == UNTOUCHED);
	if (rc == 0)
		*out = h;
	return rc;
}

static int heap_fd(const void *h)
{
	return ipck_heap_fd(h);
}

static void close_heap(void *h)
{
	ipck_heap_close(h);
}

static void mark_heap(void *h)
{
	heap = h;
	root = ipck_heap_root(h);
	ck_ok(ipck_heap_alloc_to(h, 100, &root->slot[0]));
	fill_block(&root->slot[0], 0);
}

/* The last two slots are for this. */
static void is_marked(void *h)
{
	struct root *r = ipck_heap_root(h);
	uint64_t *one = &r->slot[SLOTS - 2], *two = &r->slot[SLOTS - 1], blocks = figures(h).blocks;

	ck_that(block_is_filled(h, r->slot[0], 0));
	for (size_t size = 1; size < 50000; size *= 20) {
		ck_ok(ipck_heap_alloc_to(h, size, one));
		ck_that(is_zero(h, *one));
		ck_err(ipck_heap_alloc_to(h, size, one), EBUSY);
		ck_ok(ipck_heap_move(h, one, two));
		ck_that(*one == 0 && *two);
		ck_ok(ipck_heap_free_from(h, two));
		ck_that(*two == 0);
	}
	ck_that(figures(h).blocks == blocks && figures(h).recovered == 0);
	ck_ok(ipck_heap_check(h));
}

static const struct life life = {
	create_heap, open_heap,        open_heap_fd, heap_fd,
	close_heap,  ipck_heap_unlink, mark_heap,    is_marked,
};

START_TEST(life_with_failures)
{
	sweep_life(&life_scenarios[_i]);
}
END_TEST

/* ---- one block ---- */

static size_t size;

/* With another handle, to which the heap grows by itself. */
static void make_heap(void)
{
	make_anonymous();
	ck_ok(open_by_fd());
	before = figures(heap);
}

/* What was reserved ahead, page by page. */
static void use_up(void)
{
	unsigned i = SLOTS - 3;

	fault_lack(LACK_SPACE);
	while (ipck_heap_alloc_to(heap, 4096, &root->slot[i]) == 0)
		i--;
	fault_lack(LACK_NOTHING);
	ck_that(i > 1 && i < SLOTS - 3);
	before = figures(heap);
}

static void make_for_small(void)
{
	make_heap();
	use_up();
	size = 700;
}

static void make_for_slab(void)
{
	make_heap();
	use_up();
	size = 16384;
}

static void make_for_large(void)
{
	make_heap();
	size = 3 * LONG_BLOCK;
}

static int alloc(void)
{
	return ipck_heap_alloc_to(heap, size, &root->slot[1]);
}

static void not_allocated(void)
{
	struct ipck_heap_stats now = figures(heap);

	ck_that(root->slot[1] == 0);
	ck_that(now.blocks == before.blocks && now.bytes == before.bytes && now.page_bytes == before.page_bytes);
	ck_ok(ipck_heap_check(heap));
}

static void free_by_other(unsigned i)
{
	struct root *r = ipck_heap_root(other);

	ck_ok(ipck_heap_free_from(other, &r->slot[i]));
	ck_that(root->slot[i] == 0);
}

static void use_block(void)
{
	ck_that(ipck_heap_size(heap, root->slot[1]) >= size);
	fill_block(&root->slot[1], 1);
	is_marked(heap);
	ck_that(block_is_filled(other, root->slot[1], 1));
	free_by_other(1);
	use_open();
}

/* ---- a run whose memory was given back ---- */

static void make_given_back(void)
{
	make_heap();
	for (int i = 1; i <= 3; i++) {
		ck_ok(ipck_heap_alloc_to(heap, LONG_BLOCK, &root->slot[i]));
		fill_block(&root->slot[i], (uint64_t)i);
	}
	ck_ok(ipck_heap_free_from(heap, &root->slot[1]));
	size = LONG_BLOCK / 2;
	before = figures(heap);
}

static void neighbours_are_whole(void)
{
	not_allocated();
	ck_that(block_is_filled(heap, root->slot[2], 2) && block_is_filled(other, root->slot[3], 3));
}

static void use_parts(void)
{
	/* If its memory cannot be had again there are pages that nobody had yet. */
	ck_ok(ipck_heap_alloc_to(heap, LONG_BLOCK - size - 4096, &root->slot[4]));
	fill_block(&root->slot[4], 4);
	use_block();
}

/* ---- many blocks ---- */

static int grow(void)
{
	static const size_t sizes[] = {1, 40, 700, 5000, 16384, 20000, LONG_BLOCK};

	for (unsigned i = 1; i < SLOTS - 2; i++) {
		int rc = root->slot[i] ? 0 : ipck_heap_alloc_to(heap, sizes[i % ARRAY_SIZE(sizes)], &root->slot[i]);

		if (rc < 0)
			return rc;
		if (is_zero(heap, root->slot[i]))
			fill_block(&root->slot[i], i);
	}
	return 0;
}

static void blocks_are_whole(void)
{
	uint64_t blocks = 0;

	for (unsigned i = 0; i < SLOTS - 2; i++) {
		blocks += root->slot[i] != 0;
		ck_that(root->slot[i] == 0 || block_is_filled(other, root->slot[i], i));
	}
	ck_that(figures(heap).blocks == blocks);
	ck_ok(ipck_heap_check(heap));
}

static void free_all(void)
{
	blocks_are_whole();
	ck_that(figures(other).blocks == SLOTS - 2);
	for (unsigned i = 1; i < SLOTS - 2; i++)
		free_by_other(i);
	use_open();
}

/* ---- free, move ---- */

static void make_to_free(void)
{
	make_heap();
	ck_ok(ipck_heap_alloc_to(heap, LONG_BLOCK, &root->slot[1]));
	fill_block(&root->slot[1], 1);
	size = LONG_BLOCK;
}

static int free_block(void)
{
	return ipck_heap_free_from(heap, &root->slot[1]);
}

/* Memory that could not be given back is zeroed all the same. */
static void is_freed(void)
{
	not_allocated();
	ck_ok(alloc());
	use_block();
}

static int move_block(void)
{
	return ipck_heap_move(heap, &root->slot[1], &root->slot[2]);
}

static void is_moved(void)
{
	ck_that(root->slot[1] == 0 && block_is_filled(other, root->slot[2], 1));
	ck_ok(ipck_heap_free_from(heap, &root->slot[2]));
	use_open();
}

static const struct scenario scenarios[] = {
	{"alloc", make_for_small, alloc, not_allocated, use_block, end, 0, 2},
	{"alloc, slab", make_for_slab, alloc, not_allocated, use_block, end, 0, 2},
	{"alloc, large", make_for_large, alloc, not_allocated, use_block, end, 0, 2},
	{"alloc, given back", make_given_back, alloc, neighbours_are_whole, use_parts, end, 0, 1},
	{"grow", make_heap, grow, blocks_are_whole, free_all, end, 0, 10},
	{"free", make_to_free, free_block, nothing, is_freed, end, 0, 1},
	{"move", make_to_free, move_block, nothing, is_moved, end, 0, 0},
};

START_TEST(blocks_with_failures)
{
	sweep_both(&scenarios[_i]);
}
END_TEST

/* ---- no memory for a time ---- */

/* What needs none goes on: blocks go from slot to slot, are freed, and taken again. */
START_TEST(full_for_a_time)
{
	uint64_t *last;
	unsigned n = 1;

	make_heap();
	fault_lack(LACK_SPACE);
	for (size = 700; n < SLOTS - 2 && ipck_heap_alloc_to(heap, size, &root->slot[n]) == 0; n++)
		fill_block(&root->slot[n], n);
	/* The first slab had memory that was reserved ahead. */
	ck_that(n > 1);
	ck_err(ipck_heap_alloc_to(heap, LONG_BLOCK, &root->slot[SLOTS - 1]), ENOSPC);
	ck_that(root->slot[SLOTS - 1] == 0);
	blocks_are_whole();
	last = &root->slot[n - 1];
	ck_ok(ipck_heap_move(heap, last, &root->slot[SLOTS - 1]));
	ck_ok(ipck_heap_move(heap, &root->slot[SLOTS - 1], last));
	free_by_other(n - 1);
	ck_ok(ipck_heap_alloc_to(heap, size, last));
	fill_block(last, n - 1);
	blocks_are_whole();
	fault_lack(LACK_NOTHING);
	ck_ok(grow());
	free_all();
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fault_heap");
	TCase *tc = test_case(s, "faults");

	tcase_add_loop_test(tc, life_with_failures, 0, ARRAY_SIZE(life_scenarios));
	tcase_add_loop_test(tc, blocks_with_failures, 0, ARRAY_SIZE(scenarios));
	tcase_add_test(tc, full_for_a_time);
	return test_main(s);
}
