/* SPDX-License-Identifier: MIT */
/*
 * Segments inside: damaged and foreign ones, which are an error and never a
 * crash; growth within the reach, and memory that goes and comes back.
 */
#include "mem/segment.h"

#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <ipckit/shm.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "fuzz/fuzz_segment.h"

#define BYTES 5000

static const char *path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "/dev/shm/ipck.%s", name);
	return path;
}

static bool untouched(const struct segment *seg)
{
	return seg->map == NULL && seg->fd == -2;
}

/* Opens by name and by descriptor, which must agree, but that without magic there is no such name. */
static int open_both(const char *name)
{
	struct segment seg = {.fd = -2}, same = {.fd = -2};
	int fd = open(path_of(name), O_RDWR | O_CLOEXEC), by_name, by_fd;

	ck_that(fd >= 0);
	by_name = segment_open(&seg, SEGMENT_USER, name, false);
	by_fd = segment_open_fd(&same, SEGMENT_USER, fd, false);
	close(fd);
	ck_that(by_name == by_fd || (by_name == -ENOENT && by_fd == -EPROTO));
	ck_that(by_name == 0 || (untouched(&seg) && untouched(&same)));
	if (by_name < 0)
		return by_name;
	/* What was opened is there. */
	for (size_t i = 0; i < seg.bytes; i += 64)
		ck_that(((char *)segment_body(&seg))[i] == 0);
	segment_close(&seg);
	segment_close(&same);
	return 0;
}

static const char *make_named(const char *label)
{
	const char *name = test_name(label);
	const struct segment_plan plan = {.kind = SEGMENT_USER, .name = name, .bytes = BYTES};
	struct segment seg;

	ck_ok(segment_create(&seg, &plan));
	segment_close(&seg);
	segment_close(&seg);
	return name;
}

static void change(const char *name, size_t offset, const void *value, size_t size)
{
	int fd = open(path_of(name), O_RDWR | O_CLOEXEC);

	ck_that(fd >= 0);
	ck_that(pwrite(fd, value, size, (off_t)offset) == (ssize_t)size);
	close(fd);
}

/* ---- damaged ---- */

/* A field of the header, a value that it is changed to or by, and what an opener is told. */
#define FIELD(field, how, value, error) \
	{ \
#field, offsetof(struct segment_header, field), sizeof(((struct segment_header *)0)->field), how, \
			value, error \
	}

enum how { SET, ADD };

static const struct {
	const char *name;
	size_t offset, size;
	enum how how;
	uint64_t value;
	int error;
} damages[] = {
	FIELD(magic, SET, 0, ENOENT),
	FIELD(magic, ADD, 1, EPROTO),
	FIELD(magic, SET, UINT64_C(0x316970636b697401), EPROTO), /* of the other byte order */
	FIELD(layout, ADD, 1, EPROTO),
	FIELD(layout, SET, 0, EPROTO),
	FIELD(kind, SET, SEGMENT_POOL, EPROTO),
	FIELD(kind, SET, 0, EPROTO),
	FIELD(word, SET, sizeof(long) == 8 ? 4 : 8, EPROTO),
	FIELD(libc, ADD, 1, EPROTO),
	FIELD(libc, ADD, 1 << 16, EPROTO),
	FIELD(pid_namespace, ADD, 1, EXDEV),
	FIELD(pid_namespace, SET, 0, 0), /* its maker could not tell */
	FIELD(bytes, SET, 0, EPROTO),
	FIELD(bytes, ADD, 1, EPROTO),
	FIELD(bytes, ADD, (uint64_t)-1, 0),
	FIELD(bytes, SET, UINT64_MAX, EPROTO),
	FIELD(bytes, SET, (uint64_t)INT64_MAX, EPROTO),
	FIELD(bytes, SET, UINT64_MAX - SEGMENT_HEADER + 1, EPROTO),
	FIELD(creator, SET, UINT64_MAX, 0), /* only told, never used to find anything */
};

START_TEST(each_field_is_checked)
{
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		const char *name = make_named("field");
		uint64_t value = 0;
		int fd = open(path_of(name), O_RDWR | O_CLOEXEC), rc;
		size_t size = MIN(damages[i].size, sizeof(value));

		ck_assert_int_eq(pread(fd, &value, size, (off_t)damages[i].offset), (ssize_t)size);
		close(fd);
		value = damages[i].how == SET ? damages[i].value : value + damages[i].value;
		change(name, damages[i].offset, &value, size);
		rc = open_both(name);
		ck_assert_msg(rc == -damages[i].error, "%s, case %zu: %d", damages[i].name, i, rc);
		ck_ok(segment_unlink(name));
	}
}
END_TEST

START_TEST(each_bit_is_flipped)
{
	const char *name = make_named("bits");
	unsigned char header[sizeof(struct segment_header)];
	int fd = open(path_of(name), O_RDWR | O_CLOEXEC);

	ck_assert_int_eq(pread(fd, header, sizeof(header), 0), sizeof(header));
	close(fd);
	for (size_t bit = 0; bit < 8 * sizeof(header); bit++) {
		unsigned char byte = header[bit / 8] ^ (unsigned char)(1 << bit % 8);
		int rc;

		change(name, bit / 8, &byte, 1);
		rc = open_both(name);
		ck_that(rc == 0 || rc == -EPROTO || rc == -EXDEV);
		/* All but the sizes below the true one, and the creator, are told. */
		ck_that(rc < 0 || bit / 8 >= offsetof(struct segment_header, bytes));
		change(name, bit / 8, header + bit / 8, 1);
	}
	ck_ok(open_both(name));
	ck_ok(segment_unlink(name));
}
END_TEST

START_TEST(truncated_files)
{
	const char *name = make_named("short");

	ck_assert_int_eq(truncate(path_of(name), SEGMENT_HEADER + BYTES + 5000), 0);
	ck_ok(open_both(name));
	for (off_t size = SEGMENT_HEADER + BYTES - 1; size >= 0; size -= size > 200 ? 97 : 1) {
		ck_that(truncate(path_of(name), size) == 0);
		ck_err(open_both(name), size >= 8 ? EPROTO : ENOENT);
	}
	ck_ok(segment_unlink(name));
}
END_TEST

START_TEST(of_another_kind)
{
	const char *name = make_named("kind");
	struct segment seg = {.fd = -2};

	ck_err(segment_open(&seg, SEGMENT_POOL, name, false), EPROTO);
	ck_err(segment_open(&seg, SEGMENT_POOL, name, true), EPROTO);
	ck_assert(untouched(&seg));
	ck_ok(segment_unlink(name));
}
END_TEST

/* ---- foreign ---- */

/* What is in the way of a name is in nobody's way otherwise. */
static void in_the_way(const char *name, int error)
{
	struct segment seg = {.fd = -2};
	const struct segment_plan plan = {.kind = SEGMENT_USER, .name = name, .bytes = BYTES};

	ck_err(segment_open(&seg, SEGMENT_USER, name, true), error);
	ck_err(segment_create(&seg, &plan), EEXIST);
	ck_assert(untouched(&seg));
}

START_TEST(foreign_files)
{
	const char *name = test_name("foreign");
	int fd = open(path_of(name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_eq(write(fd, "just some text\n", 15), 15);
	close(fd);
	in_the_way(name, EPROTO);
	ck_assert_int_eq(truncate(path_of(name), 100000), 0);
	in_the_way(name, EPROTO);
	ck_ok(segment_unlink(name));
	ck_assert_int_eq(mkfifo(path_of(name), 0600), 0);
	in_the_way(name, EPROTO);
	ck_assert_int_eq(unlink(path_of(name)), 0);
	ck_assert_int_eq(mkdir(path_of(name), 0700), 0);
	in_the_way(name, EPROTO);
	ck_assert_int_eq(rmdir(path_of(name)), 0);
	ck_assert_int_eq(symlink("/dev/null", path_of(name)), 0);
	in_the_way(name, EPROTO);
	ck_assert_int_eq(unlink(path_of(name)), 0);
	ck_assert_int_eq(symlink("ipck.nowhere", path_of(name)), 0);
	in_the_way(name, EPROTO);
	ck_assert_int_eq(unlink(path_of(name)), 0);
}
END_TEST

START_TEST(a_name_that_nobody_filled_is_free)
{
	const char *name = test_name("left");
	struct segment seg = {.fd = -2};
	const struct segment_plan plan = {.kind = SEGMENT_USER, .name = name, .bytes = BYTES};

	/* Empty; and as large as it is to be, without its header. */
	for (off_t size = 0; size <= 2 * SEGMENT_HEADER; size += SEGMENT_HEADER) {
		int fd = open(path_of(name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

		ck_assert_int_eq(ftruncate(fd, size), 0);
		close(fd);
		ck_err(segment_open(&seg, SEGMENT_USER, name, false), ENOENT);
		ck_assert(untouched(&seg));
		ck_ok(segment_create(&seg, &plan));
		segment_close(&seg);
		ck_ok(open_both(name));
		ck_ok(segment_unlink(name));
		seg.fd = -2;
	}
}
END_TEST

static void foreign_fd(int fd)
{
	struct segment seg = {.fd = -2};

	ck_that(fd >= 0);
	ck_err(segment_open_fd(&seg, SEGMENT_USER, fd, true), EPROTO);
	ck_that(untouched(&seg) && fcntl(fd, F_GETFD) >= 0);
	close(fd);
}

START_TEST(foreign_descriptors)
{
	const char *name = make_named("fd");
	struct segment seg = {.fd = -2};
	int ends[2], fd;

	foreign_fd(open("/dev/null", O_RDWR | O_CLOEXEC));
	foreign_fd(open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	foreign_fd(memfd_create("empty", MFD_CLOEXEC));
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	foreign_fd(ends[0]);
	foreign_fd(ends[1]);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	foreign_fd(ends[0]);
	foreign_fd(ends[1]);
	/* A segment that cannot be written, or not even read, by this descriptor. */
	fd = open(path_of(name), O_RDONLY | O_CLOEXEC);
	ck_err(segment_open_fd(&seg, SEGMENT_USER, fd, false), EACCES);
	close(fd);
	fd = open(path_of(name), O_PATH | O_CLOEXEC);
	ck_err(segment_open_fd(&seg, SEGMENT_USER, fd, false), EBADF);
	close(fd);
	ck_assert(untouched(&seg));
	ck_ok(segment_unlink(name));
}
END_TEST

/* ---- growing ---- */

static struct segment make_growing(size_t bytes, size_t reach)
{
	const struct segment_plan plan = {.kind = SEGMENT_POOL, .bytes = bytes, .reach = reach};
	struct segment seg;

	ck_ok(segment_create(&seg, &plan));
	return seg;
}

static void use_grown(void *arg)
{
	struct segment *seg = arg;
	char *body = segment_body(seg);

	/* It has grown since the fork, and is used at once. */
	TEST_UNTIL(load_acquire((uint32_t *)body) == 1);
	for (size_t i = 5000; i < 100000; i++)
		ck_that(body[i] == 0);
	memset(body + 5000, 7, 95000);
	store_release((uint32_t *)body, 2);
}

START_TEST(growth_reaches_everybody)
{
	struct segment seg = make_growing(5000, 100000);
	char *body = segment_body(&seg);
	pid_t pid = test_fork(use_grown, &seg);

	ck_ok(segment_grow(&seg, 100000));
	ck_assert_uint_eq(seg.bytes, 100000);
	ck_assert_ptr_eq(segment_body(&seg), body);
	store_release((uint32_t *)body, 1);
	TEST_UNTIL(load_acquire((uint32_t *)body) == 2);
	ck_assert_int_eq(body[99999], 7);
	test_join(pid);
	segment_close(&seg);
}
END_TEST

START_TEST(growth_ends_at_the_reach)
{
	struct segment seg = make_growing(1, 20000), fixed = make_growing(5000, 0);
	char *body = segment_body(&seg);

	ck_ok(segment_grow(&seg, 0));
	ck_ok(segment_grow(&seg, 1));
	ck_assert_uint_eq(seg.bytes, 1);
	for (size_t bytes = 2; bytes <= 20000; bytes += 1999) {
		ck_ok(segment_grow(&seg, bytes));
		ck_assert_uint_eq(seg.bytes, bytes);
		body[bytes - 1] = 1;
	}
	ck_ok(segment_grow(&seg, 20000));
	ck_err(segment_grow(&seg, 20001), ENOSPC);
	ck_err(segment_grow(&seg, SIZE_MAX), ENOSPC);
	/* It never shrinks. */
	ck_ok(segment_grow(&seg, 10));
	ck_assert_uint_eq(seg.bytes, 20000);
	ck_err(segment_grow(&fixed, 5001), ENOSPC);
	ck_assert_uint_eq(fixed.bytes, 5000);
	segment_close(&fixed);
	segment_close(&seg);
}
END_TEST

START_TEST(a_reach_beyond_all_memory)
{
	struct segment seg = make_growing(4096, (size_t)1 << 36);

	ck_ok(segment_grow(&seg, 3 << 20));
	memset(segment_body(&seg), 1, 3 << 20);
	segment_close(&seg);
}
END_TEST

static void grow_without_room(void *arg)
{
	struct segment *seg = arg;

	signal(SIGXFSZ, SIG_IGN);
	ck_that(setrlimit(RLIMIT_FSIZE, &(const struct rlimit){50000, 50000}) == 0);
	ck_err(segment_grow(seg, 60000), ENOSPC);
	ck_that(seg->bytes == 5000);
	ck_ok(segment_grow(seg, 40000));
	memset(segment_body(seg), 1, 40000);
}

START_TEST(growth_without_room)
{
	struct segment seg = make_growing(5000, 100000);

	test_join(test_fork(grow_without_room, &seg));
	ck_ok(segment_grow(&seg, 60000));
	segment_close(&seg);
}
END_TEST

static blkcnt_t blocks(const struct segment *seg)
{
	struct stat st;

	ck_that(fstat(seg->fd, &st) == 0);
	return st.st_blocks;
}

START_TEST(memory_goes_and_comes_back)
{
	struct segment seg = make_growing(1 << 20, 0);
	char *body = segment_body(&seg);
	blkcnt_t whole = blocks(&seg);

	/* Reserved when it was promised. */
	ck_assert_int_ge(whole, (1 << 20) / 512);
	memset(body, 5, 1 << 20);
	segment_release(&seg, 1 << 16, 1 << 18);
	ck_assert_int_le(blocks(&seg), whole - (1 << 18) / 512);
	for (size_t i = 0; i < 1 << 20; i++)
		ck_that(body[i] == (i < 1 << 16 || i >= (1 << 16) + (1 << 18) ? 5 : 0));
	ck_ok(segment_reserve(&seg, 1 << 16, 1 << 18));
	ck_assert_int_eq(blocks(&seg), whole);
	/* Again is fine, and changes nothing. */
	ck_ok(segment_reserve(&seg, 0, 1 << 20));
	ck_assert(body[0] == 5 && body[1 << 16] == 0 && body[(1 << 20) - 1] == 5);
	ck_assert_int_eq(blocks(&seg), whole);
	segment_close(&seg);
}
END_TEST

/* ---- anything at all ---- */

static void mutate(struct test_random *random, uint8_t *data, size_t size)
{
	static const uint64_t values[] = {0,
	                                  1,
	                                  2,
	                                  4,
	                                  8,
	                                  4095,
	                                  4096,
	                                  4097,
	                                  9095,
	                                  9096,
	                                  9097,
	                                  INT32_MAX,
	                                  UINT32_MAX,
	                                  INT64_MAX,
	                                  UINT64_MAX,
	                                  UINT64_MAX - 4095,
	                                  UINT64_MAX - 4096};

	for (uint64_t n = 1 + test_random_below(random, 3); n > 0; n--) {
		size_t at = test_random_below(random, size), width = (size_t)1 << test_random_below(random, 4);
		uint64_t value = values[test_random_below(random, ARRAY_SIZE(values))];

		at -= at % width ? 0 : at % 4;
		if (test_random_below(random, 2))
			data[at] ^= (uint8_t)(1 << test_random_below(random, 8));
		else
			memcpy(data + at, &value, MIN(width, size - at));
	}
}

START_TEST(mutations)
{
	struct test_random random = test_random(1);
	uint8_t seed[128], data[128];
	size_t size = fuzz_segment_seed(seed, sizeof(seed));
	int64_t end = test_now_ms() + (test_soak_seconds() > 5 ? (int64_t)(1000 * test_soak_seconds()) : 0);
	unsigned tried = 0;

	LLVMFuzzerTestOneInput(seed, size);
	ck_assert_uint_eq(fuzz_segment_opened, 2);
	while (tried < 4000 || test_now_ms() < end) {
		memcpy(data, seed, size);
		mutate(&random, data, size);
		LLVMFuzzerTestOneInput(data, test_random_below(&random, 8) ? size : test_random_below(&random, size));
		tried++;
	}
	printf("%u mutations, %u of them opened\n", tried, fuzz_segment_opened / 2);
	/* Neither all nor none: they reach behind the first check. */
	ck_assert_uint_gt(fuzz_segment_opened, 10);
	ck_assert_uint_lt(fuzz_segment_opened, 2 * tried - 10);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("segment");
	TCase *tc = test_case(s, "damaged");

	tcase_add_test(tc, each_field_is_checked);
	tcase_add_test(tc, each_bit_is_flipped);
	tcase_add_test(tc, truncated_files);
	tcase_add_test(tc, of_another_kind);
	tc = test_case(s, "foreign");
	tcase_add_test(tc, foreign_files);
	tcase_add_test(tc, a_name_that_nobody_filled_is_free);
	tcase_add_test(tc, foreign_descriptors);
	tc = test_case(s, "growing");
	tcase_add_test(tc, growth_reaches_everybody);
	tcase_add_test(tc, growth_ends_at_the_reach);
	tcase_add_test(tc, growth_without_room);
	tcase_add_test(tc, memory_goes_and_comes_back);
	/* valgrind says EINVAL where address space is short. */
	tc = test_case(s, "reach");
	tcase_set_tags(tc, "not_valgrind");
	tcase_add_test(tc, a_reach_beyond_all_memory);
	tc = test_case(s, "mutations");
	test_set_limit(tc, 120);
	tcase_add_test(tc, mutations);
	return test_main(s);
}
