/* SPDX-License-Identifier: MIT */
/*
 * The fuzz target of heaps.  An input is a byte that says how it is used, then 4 bytes for each change to a heap with
 * all kinds of blocks in it: where (the first byte chooses a part, the next two the place in it), and what comes
 * there: a byte, or a word from elsewhere in that part.
 * Whatever it is, no call crashes, or goes on for ever; each is an error or does something.
 * The locks are spared: who writes into them is trusted (libc keeps pointers there);
 * and what is written down to be done again, which could be stored into them.
 *
 * check_heap_damage calls it with inputs of its own.  For libFuzzer, let LLVMFuzzerTestOneInput
 * call fuzz_heap, and compile with clang -fsanitize=fuzzer,address -include config.h -Ilib.
 */
#include "fuzz_heap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ipckit/heap.h>

#include "mem/slab.h"

#define SLOTS 24
#define ARENAS 16
#define PAGES 80
#define OVERHEAD (2 * PAGE_BYTES + ARENAS * (sizeof(struct slab_arena) + sizeof(struct slab_front)))

unsigned fuzz_heap_done, fuzz_heap_damaged;

/* What a call said: told, or it was done. */
static void note(long rc)
{
	fuzz_heap_done += rc >= 0;
	fuzz_heap_damaged += rc == -EPROTO || rc == -EINVAL;
}

static void require(long rc)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "fuzz_heap: setting it up: %s\n", ipck_strerror((int)rc));
	abort();
}

static size_t size_of(unsigned i)
{
	static const size_t sizes[] = {16, 5000, 100, 20000, 1000, 16384, 48, 300};

	return sizes[i % ARRAY_SIZE(sizes)];
}

/* Slabs that are full and not, free runs between those in use, lists of free blocks. */
static void fill(struct ipck_heap *h, uint64_t *slot)
{
	for (unsigned i = 0; i < SLOTS; i++)
		require(ipck_heap_alloc_to(h, size_of(i), &slot[i]));
	for (unsigned i = 0; i < SLOTS; i += 3)
		require(ipck_heap_free_from(h, &slot[i]));
	for (unsigned i = 1; i < SLOTS; i += 6)
		require(ipck_heap_move(h, &slot[i], &slot[i - 1]));
}

/* Before the root are the arenas, whose locks come first in them; before these, what is fixed, and the pages'. */
static char *place(struct ipck_heap *h, unsigned part, unsigned at)
{
	char *root = ipck_heap_root(h), *body = root - ipck_heap_offset(h, root);
	const size_t lock = sizeof(struct robust_lock);
	struct pages_shm *pages = (struct pages_shm *)(void *)(body + FALSE_SHARING);
	char *arenas = body + ROUND_UP(FALSE_SHARING + sizeof(*pages), (size_t)FALSE_SHARING);
	struct slab_arena *arena = (struct slab_arena *)(void *)arenas;

	switch (part % 8) {
	case 0:
		return body + at % (FALSE_SHARING + offsetof(struct pages_shm, lock));
	case 1:
		return (char *)&pages->frontier +
		       at % (offsetof(struct pages_shm, redo) - offsetof(struct pages_shm, frontier));
	case 2:
		return (char *)&arena[at % ARENAS].lock + lock +
		       at / ARENAS % (offsetof(struct slab_arena, redo) - lock);
	case 3:
		return (char *)&arena[at % ARENAS].partial + at / ARENAS % sizeof(arena->partial);
	case 4:
		return root + at % (SLOTS * sizeof(uint64_t));
	case 5:
		return root + 2 * PAGE_BYTES + at % (PAGES * PAGE_BYTES);
	default:
		return root + PAGE_BYTES + at % (PAGES * sizeof(struct page));
	}
}

static void damage(struct ipck_heap *h, uint8_t part, unsigned at, uint8_t value)
{
	char *byte = place(h, part, at);
	uint64_t *word = (uint64_t *)(void *)(byte - (uintptr_t)byte % 8);

	if (part & 64)
		*byte = (char)value;
	else if (part & 128)
		*word = part & 32 ? value : (uint64_t)value << 32 | value;
	else
		memcpy(word, place(h, part, (at ^ value) / 8 * 8), sizeof(*word));
}

/* A process that dies with the lock of an arena: what is written down is done by the next. */
static void die_with(struct ipck_heap *h, unsigned i)
{
	struct slab_arena *arena = (struct slab_arena *)(void *)(place(h, 3, i % ARENAS) -
	                                                         offsetof(struct slab_arena, partial));
	struct pages_shm *pages = (struct pages_shm *)(void *)(place(h, 0, 0) + FALSE_SHARING);
	pid_t pid = fork();

	require(pid);
	if (pid == 0) {
		require(lock_acquire(&arena->lock, IPCK_FOREVER));
		require(lock_acquire(&pages->lock, IPCK_FOREVER));
		_exit(0);
	}
	require(waitpid(pid, NULL, 0));
}

static void use(struct ipck_heap *h)
{
	struct ipck_heap_stats stats = IPCK_HEAP_STATS_INIT;
	uint64_t *slot = ipck_heap_root(h);

	note(ipck_heap_check(h));
	for (unsigned i = 0; i < SLOTS; i++) {
		note((long)ipck_heap_size(h, slot[i]) > 0 ? 0 : -EINVAL);
		note(ipck_heap_alloc_to(h, size_of(i + 3), &slot[SLOTS + i]));
		note(ipck_heap_move(h, &slot[i], &slot[2 * SLOTS + i]));
		note(ipck_heap_free_from(h, &slot[i % 2 ? 2 * SLOTS + i : SLOTS + i]));
	}
	for (unsigned i = 0; i < 3 * SLOTS; i++)
		note(ipck_heap_free_from(h, &slot[i]));
	note(ipck_heap_stat(h, &stats));
	note(ipck_heap_check(h));
}

int fuzz_heap(const uint8_t *data, size_t size)
{
	const struct ipck_heap_opts *opts = IPCK_HEAP_OPTS(.max_bytes = OVERHEAD + (PAGES + 2) * (PAGE_BYTES + 32));
	struct ipck_heap *h, *again;

	if (size < 1)
		return 0;
	require(ipck_heap_create(&h, NULL, opts));
	fill(h, ipck_heap_root(h));
	for (size_t i = 1; i + 3 < size; i += 4)
		damage(h, data[i], (unsigned)data[i + 1] << 8 | data[i + 2], data[i + 3]);
	if ((data[0] & 7) == 0)
		die_with(h, data[0] >> 3);
	if (data[0] & 8) {
		int rc = ipck_heap_open_fd(&again, ipck_heap_fd(h), NULL);

		note(rc);
		if (rc == 0) {
			use(again);
			ipck_heap_close(again);
		}
	}
	use(h);
	ipck_heap_close(h);
	return 0;
}
