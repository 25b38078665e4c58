/* SPDX-License-Identifier: MIT */
/* Queues in damaged memory: an error, never a crash, and never a call that does not end. */
#include "coll/queue.h"

#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <ipckit/shm.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/fuzz_queue.h"

#define INPUTS 4000
#define CHANGES 8

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

START_TEST(damaged)
{
	uint64_t state = 88172645463325252;
	uint8_t input[1 + 3 * CHANGES];

	for (int i = 0; i < INPUTS; i++) {
		size_t changes = next_random(&state) % (CHANGES + 1);

		for (size_t k = 0; k < sizeof(input); k++)
			input[k] = (uint8_t)(next_random(&state) >> 32);
		fuzz_queue(input, 1 + 3 * changes);
	}
	printf("%d inputs: %u calls done, %u errors\n", INPUTS, fuzz_queue_done, fuzz_queue_damaged);
	ck_assert_uint_gt(fuzz_queue_done, INPUTS);
	ck_assert_uint_gt(fuzz_queue_damaged, INPUTS);
}
END_TEST

static int open_again(struct ipck_queue *q)
{
	struct ipck_queue *again = NULL;
	int fds[2], rc;

	ck_ok(ipck_queue_fds(q, fds));
	rc = ipck_queue_open_fds(&again, fds, NULL);
	ck_that((rc == 0) == (again != NULL));
	ipck_queue_close(again);
	return rc;
}

/* Each way in which the ring might not be what the file has room for. */
START_TEST(shapes)
{
	static const uint32_t units[] = {0, 1, 3, 255, 257, 512, 1u << 20, 1u << 28, 1u << 29, UINT32_MAX};
	struct ipck_queue *q;

	ck_ok(ipck_queue_create(&q, NULL, IPCK_QUEUE_OPTS(.bytes = 4096)));
	ck_ok(open_again(q));
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		q->shm->units = units[i];
		ck_err(open_again(q), EPROTO);
	}
	ipck_queue_close(q);
}
END_TEST

/* A file of the queue's first `bytes` bytes. */
static int copy_of(struct ipck_queue *q, size_t bytes)
{
	char path[] = "/dev/shm/ipck-copy-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	ck_that(fd >= 0 && unlink(path) == 0);
	ck_that(write(fd, q->segment.map, MIN(bytes, q->segment.mapped)) >= 0);
	ck_that(ftruncate(fd, (off_t)bytes) == 0);
	return fd;
}

START_TEST(truncated)
{
	struct ipck_queue *q, *other;
	struct stat st;
	size_t bytes;
	int fds[2];

	ck_ok(ipck_queue_create(&q, NULL, IPCK_QUEUE_OPTS(.bytes = 4096)));
	ck_ok(ipck_queue_fds(q, fds));
	ck_that(fstat(fds[0], &st) == 0);
	bytes = (size_t)st.st_size;
	for (size_t cut = 0; cut <= bytes; cut += cut < bytes - 1 ? MIN((size_t)1000, bytes - 1 - cut) : 1) {
		int copy[2] = {copy_of(q, bytes - cut), fds[1]};
		int rc = ipck_queue_open_fds(&other, copy, NULL);

		ck_that(cut ? rc == -EPROTO : rc == 0);
		if (rc == 0)
			ipck_queue_close(other);
		close(copy[0]);
	}
	ipck_queue_close(q);
}
END_TEST

START_TEST(foreign)
{
	struct ipck_queue *q, *other;
	struct ipck_shm *shm;
	int fds[2], wrong[2];

	ck_ok(ipck_queue_create(&q, NULL, NULL));
	ck_ok(ipck_queue_fds(q, fds));
	ck_ok(ipck_shm_create(&shm, NULL, 1 << 16, NULL));
	wrong[0] = ipck_shm_fd(shm);
	wrong[1] = fds[1];
	ck_err(ipck_queue_open_fds(&other, wrong, NULL), EPROTO);
	wrong[0] = fds[0];
	wrong[1] = fds[0];
	ck_err(ipck_queue_open_fds(&other, wrong, NULL), EPROTO);
	wrong[1] = -1;
	ck_err(ipck_queue_open_fds(&other, wrong, NULL), EBADF);
	ck_err(ipck_shm_open_fd(&shm, fds[0], NULL), EPROTO);
	/* One that would let them wait. */
	ck_that(fcntl(fds[1], F_SETFL, 0) == 0);
	ck_err(ipck_queue_open_fds(&other, fds, NULL), EPROTO);
	ipck_shm_close(shm);
	ipck_queue_close(q);
}
END_TEST

/* Something to be passed over where there is nothing. */
START_TEST(void_behind_all)
{
	struct ipck_queue *q;
	char byte;

	ck_ok(ipck_queue_create(&q, NULL, IPCK_QUEUE_OPTS(.bytes = 4096)));
	queue_entry(q, 0)->word = entry_word(16, 0, ENTRY_VOID);
	q->shm->tail_seen = mark(2, 1);
	ck_err(ipck_queue_get(q, &byte, 1, NULL, IPCK_NOWAIT), EPROTO);
	ipck_queue_close(q);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("queue_damage");
	TCase *tc = test_case(s, "opened");

	tcase_add_test(tc, shapes);
	tcase_add_test(tc, truncated);
	tcase_add_test(tc, foreign);
	tc = test_case(s, "used");
	test_set_limit(tc, 120);
	tcase_add_test(tc, void_behind_all);
	tcase_add_test(tc, damaged);
	return test_main(s);
}
