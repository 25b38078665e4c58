/* SPDX-License-Identifier: MIT */
/* Opening what is an end, and what is none; and using one whose shared memory is damaged. */
#include <ipckit/shm.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "coll/pipe.h"
#include "ends.h"

/* The size that a damaged record claims is more than there is: malloc says so, and
 * sanitizers would end the program. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

/* ---- open ---- */

START_TEST(copies)
{
	struct ipck_pipe *copy;
	int fds[2], again[2];

	make_pipe(SMALL);
	for (int i = 0; i < 2; i++) {
		ck_ok(ipck_pipe_fds(ends[i], fds));
		ck_ok(ipck_pipe_open_fds(&copy, fds));
		ck_ok(ipck_pipe_fds(copy, again));
		ck_assert(again[0] != fds[0] && again[1] != fds[1]);
		send_text(copy, "from the copy");
		expect_text(ends[!i], "from the copy");
		send_text(ends[!i], "to it");
		expect_text(copy, "to it");
		ipck_pipe_close(copy);
		expect_nothing(ends[!i]);
	}
	drop_both();
}
END_TEST

static void expect_none(int segment, int sock, int error)
{
	struct ipck_pipe *none = NULL;
	const int fds[2] = {segment, sock};

	ck_err(ipck_pipe_open_fds(&none, fds), error);
	ck_that(!none);
}

START_TEST(foreign_descriptors)
{
	struct ipck_pipe *other[2];
	int fds[2], others[2], sockets[2], files[2], memory = memfd_create("none", MFD_CLOEXEC);

	make_pipe(SMALL);
	ck_ok(ipck_pipe_create(other, NULL));
	ck_ok(ipck_pipe_fds(ends[0], fds));
	ck_ok(ipck_pipe_fds(other[0], others));
	ck_that(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets) == 0 && pipe(files) == 0);
	expect_none(fds[0], others[1], EPROTO);
	expect_none(fds[1], fds[0], EPROTO);
	expect_none(fds[0], fds[0], EPROTO);
	expect_none(fds[0], sockets[0], EPROTO);
	expect_none(fds[0], files[0], EPROTO);
	expect_none(memory, fds[1], EPROTO);
	ck_that(ftruncate(memory, 1 << 20) == 0);
	expect_none(memory, fds[1], EPROTO);
	expect_none(fds[0], -1, EBADF);
	expect_none(-1, fds[1], EBADF);
	expect_none(-1, -1, EBADF);
	close(memory);
	for (int i = 0; i < 2; i++) {
		close(sockets[i]);
		close(files[i]);
		ipck_pipe_close(other[i]);
	}
	drop_both();
}
END_TEST

static void open_with_few(void *arg)
{
	struct ipck_pipe *copy = NULL;
	int fds[2], spare = dup(0);

	(void)arg;
	close(spare);
	ck_ok(ipck_pipe_fds(ends[0], fds));
	for (int room = 0; !copy; room++) {
		struct rlimit limit = {(rlim_t)(spare + room), (rlim_t)(spare + 10)};
		int rc;

		ck_that(setrlimit(RLIMIT_NOFILE, &limit) == 0);
		rc = ipck_pipe_open_fds(&copy, fds);
		if (rc < 0)
			ck_err(rc, EMFILE);
		ck_that(room < 10);
	}
	ipck_pipe_close(copy);
}

START_TEST(no_descriptors)
{
	make_pipe(SMALL);
	test_join(test_fork(open_with_few, NULL));
	drop_both();
}
END_TEST

/* ---- damage ---- */

/* The segment of the pipe, and copies of it that a test may spoil. */

static int copy_of(int segment, size_t bytes)
{
	int fd = memfd_create("damaged", MFD_CLOEXEC);
	char *text = malloc(bytes);

	ck_that(fd >= 0 && text && pread(segment, text, bytes, 0) == (ssize_t)bytes);
	ck_that(write(fd, text, bytes) == (ssize_t)bytes);
	free(text);
	return fd;
}

static size_t segment_bytes(void)
{
	return ends[0]->segment.bytes + SEGMENT_HEADER;
}

static const uint64_t shapes[] = {
	0, 1, SMALL - 1, SMALL + 1, SMALL / 2, SMALL * 3, UINT64_C(1) << 30, UINT64_C(1) << 31,
	UINT64_MAX, UINT64_MAX - 4095,
};

static void open_damaged(int fd, int sock)
{
	struct ipck_pipe *p = NULL;
	const int fds[2] = {fd, sock};
	int rc = ipck_pipe_open_fds(&p, fds);

	ck_that((rc == 0) == (p != NULL));
	/* A flipped bit may also name another pid namespace. */
	if (rc < 0 && rc != -EXDEV)
		ck_err(rc, EPROTO);
	ipck_pipe_close(p);
}

START_TEST(cut_off_and_flipped)
{
	struct test_random random = test_random(2);
	int fds[2], fd;

	make_pipe(SMALL);
	ck_ok(ipck_pipe_fds(ends[0], fds));
	for (size_t size = 0; size < segment_bytes(); size += 509) {
		fd = copy_of(fds[0], size);
		open_damaged(fd, fds[1]);
		close(fd);
	}
	for (int i = 0; i < 400; i++) {
		uint64_t at = test_random_below(&random, i < 200 ? 64 : segment_bytes());
		uint64_t word = test_random_next(&random);

		fd = copy_of(fds[0], segment_bytes());
		ck_that(pwrite(fd, &word, 1 + word % 8, (off_t)at) > 0);
		open_damaged(fd, fds[1]);
		close(fd);
	}
	drop_both();
}
END_TEST

/* The shape is checked, in the pipe's own segment. */
START_TEST(damaged_shapes)
{
	struct pipe_shm *shm, was;
	int fds[2];

	make_pipe(SMALL);
	ck_ok(ipck_pipe_fds(ends[0], fds));
	shm = ends[0]->shm;
	was = *shm;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		shm->bytes = shapes[i];
		expect_none(fds[0], fds[1], EPROTO);
	}
	shm->bytes = 2 * SMALL;
	expect_none(fds[0], fds[1], EPROTO);
	shm->bytes = was.bytes;
	for (uint32_t lanes = 3; lanes; lanes *= 2) {
		shm->lanes = lanes;
		expect_none(fds[0], fds[1], EPROTO);
	}
	shm->lanes = 0;
	expect_none(fds[0], fds[1], EPROTO);
	shm->lanes = was.lanes;
	shm->sockets[0] = shm->sockets[1] = 0;
	expect_none(fds[0], fds[1], EPROTO);
	*shm = was;
	drop_both();
}
END_TEST

START_TEST(a_segment_of_another_kind)
{
	struct segment_plan plan = {.kind = SEGMENT_POOL, .bytes = 1 << 16};
	struct segment other;
	int fds[2];

	make_pipe(SMALL);
	ck_ok(ipck_pipe_fds(ends[0], fds));
	ck_ok(segment_create(&other, &plan));
	expect_none(other.fd, fds[1], EPROTO);
	segment_close(&other);
	plan = (struct segment_plan){.kind = SEGMENT_PIPE, .bytes = sizeof(struct pipe_shm) - 1};
	ck_ok(segment_create(&other, &plan));
	expect_none(other.fd, fds[1], EPROTO);
	segment_close(&other);
	drop_both();
}
END_TEST

/* What is in it is not believed either: each call comes back, with an error or nonsense. */
static void call_all(void)
{
	char bytes[SMALL] = {0};
	const void *place;
	void *data;
	size_t size;
	int fds[2] = {0, 0};

	for (int i = 0; i < 2; i++) {
		(void)!ipck_pipe_poll(ends[i], IPCK_NOWAIT);
		(void)!ipck_pipe_send(ends[i], "x", 1, IPCK_NOWAIT);
		(void)!ipck_pipe_recv(ends[i], bytes, sizeof(bytes), &size, IPCK_NOWAIT);
		if (ipck_pipe_peek(ends[i], &place, &size, IPCK_NOWAIT) == 0)
			(void)!ipck_pipe_release(ends[i]);
		(void)!ipck_pipe_recv_fds(ends[i], fds, 0, IPCK_NOWAIT);
		(void)!ipck_pipe_send(ends[i], bytes, sizeof(bytes), IPCK_NOWAIT);
		if (ipck_pipe_recv_new(ends[i], &data, &size, IPCK_NOWAIT) == 0)
			free(data);
		if (ipck_pipe_reserve(ends[i], 8, &data, IPCK_NOWAIT) == 0)
			(void)!ipck_pipe_commit(ends[i], 8);
	}
}

static void spoil_and_call(void *arg)
{
	struct test_random random = test_random(*(const uint64_t *)arg);
	struct lane_shm *lane;

	make_pipe(SMALL);
	lane = &ends[0]->shm->lane[0];
	for (int i = 0; i < 5; i++)
		send_filled(ends[1], 100, 0);
	for (int i = 0; i < 20; i++) {
		uint64_t at = test_random_below(&random, 256) & ~UINT64_C(7);
		uint64_t value = test_random_next(&random) >> test_random_below(&random, 64);
		uint64_t *words[] = {
			&lane->head,
			&lane->tail,
			&lane->head_seen,
			&lane->lost,
			&lane->send.owner,
			&lane->receive.owner,
			lane_word(&ends[0]->in, at),
			lane_word(&ends[0]->in, lane->head & ~UINT64_C(7)),
		};

		*words[test_random_below(&random, 8)] = value;
		call_all();
	}
	drop_both();
}

START_TEST(spoiled_words)
{
	for (uint64_t i = 0; i < 60; i++)
		test_join(test_fork(spoil_and_call, &i));
}
END_TEST

/* Heads of records that no sender writes. */
START_TEST(impossible_records)
{
	static const uint64_t heads[] = {
		RECORD_FIRST,
		RECORD_WHOLE | UINT64_C(0xffffffff) << 32,
		RECORD_WHOLE | (uint64_t)SMALL << 32,
		RECORD_WHOLE | (uint64_t)(SMALL - 15) << 32,
		(RECORD_THERE | RECORD_FIRST) | UINT64_C(7) << 32,
		UINT64_C(1) << 40,
	};
	char bytes[SMALL];

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		make_pipe(SMALL);
		send_text(ends[1], "message");
		*lane_word(&ends[0]->in, 0) = heads[i];
		ck_err(ipck_pipe_recv(ends[0], bytes, sizeof(bytes), NULL, far_off()), EPROTO);
		ck_err(ipck_pipe_recv(ends[0], bytes, sizeof(bytes), NULL, far_off()), EPROTO);
		drop_both();
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pipe_open");
	TCase *tc = test_case(s, "open"), *damage = test_case(s, "damage");

	tcase_add_test(tc, copies);
	tcase_add_test(tc, foreign_descriptors);
	tcase_add_test(tc, a_segment_of_another_kind);
	tcase_add_test(damage, cut_off_and_flipped);
	tcase_add_test(damage, damaged_shapes);
	tcase_add_test(damage, spoiled_words);
	tcase_add_test(damage, impossible_records);
	/* valgrind counts descriptors itself. */
	tc = test_case(s, "descriptors");
	tcase_set_tags(tc, "not_valgrind");
	tcase_add_test(tc, no_descriptors);
	return test_main(s);
}
