/* SPDX-License-Identifier: MIT */
/* Heaps in damaged memory: an error, never a crash, and never a call that does not end. */
#include <ipckit/heap.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ipckit/shm.h>

#include "support.h"

#include "fuzz/fuzz_heap.h"
#include "mem/slab.h"

#define INPUTS 300
#define CHANGES 16

#define SMALL_HEAP IPCK_HEAP_OPTS(.max_bytes = 256 << 10)

START_TEST(damaged)
{
	struct test_random random = test_random(1);
	uint8_t input[1 + 4 * CHANGES];

	for (int i = 0; i < INPUTS; i++) {
		size_t changes = test_random_below(&random, CHANGES + 1);

		test_random_bytes(&random, input, sizeof(input));
		fuzz_heap(input, 1 + 4 * changes);
	}
	printf("%d inputs: %u calls done, %u errors\n", INPUTS, fuzz_heap_done, fuzz_heap_damaged);
	ck_assert_uint_gt(fuzz_heap_done, INPUTS);
	ck_assert_uint_gt(fuzz_heap_damaged, INPUTS);
}
END_TEST

/* A file of the heap's first `bytes` bytes. */
static int copy_of(const struct ipck_heap *h, size_t bytes)
{
	char path[] = "/dev/shm/ipck-copy-XXXXXX", *all = malloc(bytes + 1);
	int fd = mkostemp(path, O_CLOEXEC);

	ck_that(all && fd >= 0 && unlink(path) == 0);
	ck_that(pread(ipck_heap_fd(h), all, bytes, 0) == (ssize_t)bytes);
	ck_that(write(fd, all, bytes) == (ssize_t)bytes);
	free(all);
	return fd;
}

static size_t file_bytes(const struct ipck_heap *h)
{
	struct stat st;

	ck_that(fstat(ipck_heap_fd(h), &st) == 0);
	return (size_t)st.st_size;
}

START_TEST(truncated)
{
	struct ipck_heap *h, *other;
	size_t bytes;

	ck_ok(ipck_heap_create(&h, NULL, SMALL_HEAP));
	bytes = file_bytes(h);
	for (size_t cut = 0; cut <= bytes; cut += cut < bytes - 1 ? MIN((size_t)5000, bytes - 1 - cut) : 1) {
		int copy = copy_of(h, bytes - cut), rc = ipck_heap_open_fd(&other, copy, NULL);

		ck_that(cut ? rc == -EPROTO : rc == 0);
		if (rc == 0)
			ipck_heap_close(other);
		close(copy);
	}
	ipck_heap_close(h);
}
END_TEST

START_TEST(foreign)
{
	struct ipck_heap *h, *other = NULL;
	struct ipck_shm *shm;

	ck_ok(ipck_heap_create(&h, NULL, SMALL_HEAP));
	ck_ok(ipck_shm_create(&shm, NULL, 1 << 18, NULL));
	ck_err(ipck_heap_open_fd(&other, ipck_shm_fd(shm), NULL), EPROTO);
	ipck_shm_close(shm);
	ck_err(ipck_shm_open_fd(&shm, ipck_heap_fd(h), NULL), EPROTO);
	ck_err(ipck_heap_open_fd(&other, -1, NULL), EBADF);
	ck_assert_ptr_null(other);
	ipck_heap_close(h);
}
END_TEST

/* Each word that says where something is, with what cannot be. */
START_TEST(shapes)
{
	static const uint64_t wrong[] = {1, UINT64_MAX, UINT64_MAX - 7, UINT64_C(1) << 40, 1 << 20, UINT64_MAX - 127};
	struct ipck_heap *h, *other;
	uint64_t *word;
	char *root;

	ck_ok(ipck_heap_create(&h, NULL, SMALL_HEAP));
	root = ipck_heap_root(h);
	word = (void *)(root - ipck_heap_offset(h, root));
	/* root_at, root_bytes, arenas_at; then of the pages: count, table_at, first_at. */
	for (int i = 0; i < 19; i += i == 2 ? FALSE_SHARING / 8 - 2 : 1) {
		uint64_t was = word[i];

		ck_that(was != 0);
		for (size_t k = 0; k < ARRAY_SIZE(wrong); k++) {
			word[i] = wrong[k];
			if (wrong[k] != 1 || (i != 1 && i != 16))
				ck_err(ipck_heap_open_fd(&other, ipck_heap_fd(h), NULL), EPROTO);
		}
		word[i] = was;
	}
	ck_ok(ipck_heap_open_fd(&other, ipck_heap_fd(h), NULL));
	ipck_heap_close(other);
	ipck_heap_close(h);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("heap_damage");
	TCase *tc = test_case(s, "opened");

	tcase_add_test(tc, shapes);
	tcase_add_test(tc, truncated);
	tcase_add_test(tc, foreign);
	tc = test_case(s, "used");
	test_set_limit(tc, 120);
	tcase_add_test(tc, damaged);
	return test_main(s);
}
