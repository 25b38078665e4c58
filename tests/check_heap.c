/* SPDX-License-Identifier: MIT */
/* Heaps: blocks and slots of all sizes, growth to the end, many users at once, names, bad arguments. */
#include <ipckit/heap.h>

#include "far.h"
#include "support.h"
#include "ways.h"

#include <errno.h>
#include <ipckit/shm.h>
#include <stdlib.h>
#include <string.h>

#include "mem/slab.h"

#define SLOTS 200
#define STEPS 3000
#define PARTIES 3

struct root {
	uint64_t slot[SLOTS];
};

static struct ipck_heap *heap;

static struct root *make(size_t max_bytes)
{
	ck_ok(ipck_heap_create(&heap, NULL, IPCK_HEAP_OPTS(.max_bytes = max_bytes)));
	return ipck_heap_root(heap);
}

static struct ipck_heap_stats stats(void)
{
	struct ipck_heap_stats s = IPCK_HEAP_STATS_INIT;

	ck_ok(ipck_heap_stat(heap, &s));
	return s;
}

/* All is given back, but for a slab of small blocks here and there. */
static void close_empty(void)
{
	struct ipck_heap_stats s = stats();

	ck_assert_uint_eq(s.blocks, 0);
	ck_assert_uint_eq(s.bytes, 0);
	ck_assert_uint_le(s.page_bytes, 16 * 7 * 4096);
	ck_ok(ipck_heap_check(heap));
	ipck_heap_close(heap);
}

static bool is_filled(const unsigned char *bytes, size_t size, unsigned char with)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != with)
			return false;
	return true;
}

/* What another one does to a slot just before its block is looked at. */
static _Thread_local uint64_t *freed_meanwhile;

size_t __real_slab_size(const struct slabs *s, uint64_t block, uint32_t *arena);
size_t __wrap_slab_size(const struct slabs *s, uint64_t block, uint32_t *arena);

size_t __wrap_slab_size(const struct slabs *s, uint64_t block, uint32_t *arena)
{
	uint64_t *slot = freed_meanwhile;

	freed_meanwhile = NULL;
	if (slot)
		ck_ok(ipck_heap_free_from(heap, slot));
	return __real_slab_size(s, block, arena);
}

/* Zero when it is taken, then as it was filled until it is freed; sizes around each border of classes. */
START_TEST(each_size)
{
	struct root *r = make(64 << 20);

	for (size_t size = 1; size < 200000; size += size < 300 ? 1 : size / 7 + size % 3) {
		unsigned char *block;

		ck_ok(ipck_heap_alloc_to(heap, size, &r->slot[0]));
		ck_assert_uint_eq(r->slot[0] % 16, 0);
		ck_assert_uint_ge(ipck_heap_size(heap, r->slot[0]), size);
		block = ipck_heap_at(heap, r->slot[0]);
		ck_that(is_filled(block, ipck_heap_size(heap, r->slot[0]), 0));
		memset(block, 0xab, ipck_heap_size(heap, r->slot[0]));
		ck_assert_uint_eq(ipck_heap_offset(heap, block), r->slot[0]);
		ck_ok(ipck_heap_free_from(heap, &r->slot[0]));
		ck_assert_uint_eq(r->slot[0], 0);
	}
	close_empty();
}
END_TEST

START_TEST(moved)
{
	struct root *r = make(0);
	uint64_t block, *inner;

	ck_ok(ipck_heap_alloc_to(heap, 100, &r->slot[0]));
	block = r->slot[0];
	for (size_t i = 0; i + 1 < SLOTS; i++) {
		ck_ok(ipck_heap_move(heap, &r->slot[i], &r->slot[i + 1]));
		ck_that(r->slot[i] == 0 && r->slot[i + 1] == block);
	}
	ck_ok(ipck_heap_alloc_to(heap, 100, &r->slot[0]));
	ck_err(ipck_heap_move(heap, &r->slot[0], &r->slot[SLOTS - 1]), EBUSY);
	ck_ok(ipck_heap_move(heap, &r->slot[0], &r->slot[0]));
	ck_that(r->slot[0] != 0);
	/* A slot in a block. */
	inner = ipck_heap_at(heap, block);
	ck_ok(ipck_heap_move(heap, &r->slot[0], inner));
	ck_ok(ipck_heap_free_from(heap, inner));
	ck_ok(ipck_heap_free_from(heap, &r->slot[SLOTS - 1]));
	ck_ok(ipck_heap_move(heap, &r->slot[1], &r->slot[2]));
	ck_ok(ipck_heap_free_from(heap, &r->slot[2]));
	close_empty();
}
END_TEST

/* Two free what is in a slot: one finds nothing. */
START_TEST(freed_twice)
{
	static const size_t sizes[] = {16, 1000, 20000};
	struct root *r = make(0);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		ck_ok(ipck_heap_alloc_to(heap, sizes[i], &r->slot[0]));
		freed_meanwhile = &r->slot[0];
		ck_ok(ipck_heap_free_from(heap, &r->slot[0]));
		ck_that(freed_meanwhile == NULL && r->slot[0] == 0);
	}
	close_empty();
}
END_TEST

START_TEST(bad_arguments)
{
	struct root *r = make(0);
	struct ipck_heap *none = NULL;
	uint64_t own = 0;

	ck_err(ipck_heap_alloc_to(heap, 8, &own), EINVAL);
	ck_err(ipck_heap_alloc_to(heap, 0, &r->slot[0]), EINVAL);
	ck_err(ipck_heap_alloc_to(heap, 8, (uint64_t *)(void *)((char *)r + 4)), EINVAL);
	ck_err(ipck_heap_alloc_to(heap, SIZE_MAX / 2, &r->slot[0]), ENOSPC);
	r->slot[0] = 17;
	ck_err(ipck_heap_free_from(heap, &r->slot[0]), EINVAL);
	ck_err(ipck_heap_alloc_to(heap, 8, &r->slot[0]), EBUSY);
	r->slot[0] = 0;
	ck_err(ipck_heap_move(heap, &own, &r->slot[0]), EINVAL);
	ck_err(ipck_heap_move(heap, &r->slot[0], &own), EINVAL);
	ck_that(ipck_heap_at(heap, 0) == NULL && ipck_heap_at(heap, UINT64_MAX) == NULL);
	ck_assert_uint_eq(ipck_heap_offset(heap, &own), 0);
	ck_assert_uint_eq(ipck_heap_size(heap, 16), 0);
	ck_err(ipck_heap_create(&none, NULL, IPCK_HEAP_OPTS(.max_bytes = 100)), EINVAL);
	ck_err(ipck_heap_create(&none, NULL, IPCK_HEAP_OPTS(.max_bytes = IPCK_HEAP_BYTES_MAX + 1)), EINVAL);
	ck_err(ipck_heap_create(&none, NULL, IPCK_HEAP_OPTS(.root_bytes = (1 << 20) + 1)), EINVAL);
	ck_err(ipck_heap_create(&none, NULL, IPCK_HEAP_OPTS(.mode = 01000)), EINVAL);
	ck_err(ipck_heap_open(&none, test_name("none"), NULL), ENOENT);
	ck_err(ipck_heap_open_fd(&none, -1, NULL), EBADF);
	ck_that(none == NULL);
	close_empty();
}
END_TEST

/* To the last block; then all can be had again. */
START_TEST(to_the_end)
{
	struct root *r = make(1 << 20);
	size_t size = _i ? 20000 : 3000, first = 0;

	for (int round = 0; round < 2; round++) {
		size_t n = 0;
		int rc = 0;

		while (n < SLOTS && rc == 0) {
			rc = ipck_heap_alloc_to(heap, size, &r->slot[n]);
			n += rc == 0;
		}
		ck_that(n == SLOTS || rc == -ENOSPC);
		ck_that(n == SLOTS || r->slot[n] == 0);
		ck_assert_uint_gt(n * size, 500000);
		ck_that(round == 0 || n == first);
		first = n;
		ck_ok(ipck_heap_check(heap));
		while (n > 0)
			ck_ok(ipck_heap_free_from(heap, &r->slot[--n]));
	}
	close_empty();
}
END_TEST

/* One run is long enough, and as many as may be are a bit too short and were free later. */
START_TEST(one_run_fits)
{
	enum { SHORT = 5 * 4096, LONG = 7 * 4096 };
	struct root *r = make(1 << 20);
	size_t n = 1;

	ck_ok(ipck_heap_alloc_to(heap, LONG, &r->slot[0]));
	while (ipck_heap_alloc_to(heap, SHORT, &r->slot[n]) == 0)
		n++;
	ck_assert_uint_gt(n, 40);
	ck_ok(ipck_heap_free_from(heap, &r->slot[0]));
	for (size_t i = 2; i < n; i += 2)
		ck_ok(ipck_heap_free_from(heap, &r->slot[i]));
	ck_ok(ipck_heap_alloc_to(heap, LONG, &r->slot[0]));
	ck_err(ipck_heap_alloc_to(heap, LONG, &r->slot[2]), ENOSPC);
	for (size_t i = 0; i < n; i++)
		ck_ok(ipck_heap_free_from(heap, &r->slot[i]));
	close_empty();
}
END_TEST

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Slots of its own; what it fills stays. */
static void work(unsigned party, void *arg)
{
	struct root *r = arg;
	size_t share = SLOTS / PARTIES, size[SLOTS / PARTIES] = {0};
	uint64_t state = 88172645463325252 + party, *slot = &r->slot[party * share];

	for (int step = 0; step < STEPS; step++) {
		size_t i = next_random(&state) % share;
		unsigned char with = (unsigned char)(1 + party * 50 + i % 40);

		if (slot[i]) {
			ck_that(is_filled(ipck_heap_at(heap, slot[i]), size[i], with));
			ck_ok(ipck_heap_free_from(heap, &slot[i]));
			continue;
		}
		size[i] = 1 + next_random(&state) % (step % 50 ? 600 : 40000);
		ck_ok(ipck_heap_alloc_to(heap, size[i], &slot[i]));
		memset(ipck_heap_at(heap, slot[i]), with, size[i]);
	}
	for (size_t i = 0; i < share; i++)
		ck_ok(ipck_heap_free_from(heap, &slot[i]));
}

START_TEST(many_at_once)
{
	struct root *r = make(64 << 20);

	run_parties(_i, PARTIES, work, r);
	close_empty();
}
END_TEST

static void look(void *name)
{
	struct root *r;

	ck_ok(ipck_heap_open(&heap, name, NULL));
	r = ipck_heap_root(heap);
	ck_that(strcmp(ipck_heap_at(heap, r->slot[0]), "kept") == 0);
	ck_ok(ipck_heap_move(heap, &r->slot[0], &r->slot[1]));
	ipck_heap_close(heap);
}

START_TEST(named)
{
	char *name = strdup(test_name("heap"));
	struct ipck_heap *other = NULL;
	struct ipck_shm *shm;
	struct root *r;

	ck_ok(ipck_heap_create(&heap, name, NULL));
	ck_err(ipck_heap_create(&other, name, NULL), EEXIST);
	ck_err(ipck_shm_open(&shm, name, NULL), EPROTO);
	r = ipck_heap_root(heap);
	ck_ok(ipck_heap_alloc_to(heap, 5, &r->slot[0]));
	strcpy(ipck_heap_at(heap, r->slot[0]), "kept");
	test_join(test_fork(look, name));
	ck_that(r->slot[0] == 0 && r->slot[1] != 0);
	ck_ok(ipck_heap_open_fd(&other, ipck_heap_fd(heap), NULL));
	ck_that(strcmp(ipck_heap_at(other, r->slot[1]), "kept") == 0);
	ipck_heap_close(other);
	ck_ok(ipck_heap_unlink(name));
	ck_err(ipck_heap_unlink(name), ENOENT);
	ck_ok(ipck_heap_free_from(heap, &r->slot[1]));
	close_empty();
	ipck_heap_close(NULL);
	free(name);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("heap");
	TCase *tc = test_case(s, "use");

	tcase_add_test(tc, each_size);
	tcase_add_test(tc, moved);
	tcase_add_test(tc, freed_twice);
	tcase_add_test(tc, bad_arguments);
	tcase_add_loop_test(tc, to_the_end, 0, 2);
	tcase_add_test(tc, one_run_fits);
	tcase_add_test(tc, named);
	tc = test_case(s, "many");
	tcase_add_loop_test(tc, many_at_once, 0, PARTY_WAYS);
	return test_main(s);
}
