/* SPDX-License-Identifier: MIT */
/* Dicts, used by one: their life, and each call with one key. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ipckit/shm.h>

#include "dicts.h"

#define UNTOUCHED ((struct ipck_dict *)0x1234)

static const size_t sizes[] = {0,    1,    7,    8,     9,     16,    17,    63,    64,    65,    100,   128,
                               1000, 4071, 4080, 4096,  5000,  16360, 16367, 16368, 16369, 16384, 20000, 40961,
                               65536, 102400, 130000};
#define SIZES (sizeof(sizes) / sizeof(*sizes))

/* ---- life ---- */

static void cannot_create(const char *name, const struct ipck_dict_opts *opts, int error)
{
	struct ipck_dict *none = UNTOUCHED;

	ck_err(ipck_dict_create(&none, name, opts), error);
	ck_that(none == UNTOUCHED);
}

static void cannot_open(const char *name, int error)
{
	struct ipck_dict *none = UNTOUCHED;

	ck_err(ipck_dict_open(&none, name, NULL), error);
	ck_that(none == UNTOUCHED);
}

static void cannot_open_fd(int fd, int error)
{
	struct ipck_dict *none = UNTOUCHED;

	ck_err(ipck_dict_open_fd(&none, fd, NULL), error);
	ck_that(none == UNTOUCHED);
}

START_TEST(by_name)
{
	const char *name = test_name("dict");
	struct ipck_dict *first;

	ck_ok(ipck_dict_create(&dict, name, IPCK_DICT_OPTS(.max_bytes = 1 << 20)));
	cannot_create(name, NULL, EEXIST);
	ck_assert_int_eq(set_text("key", "value"), IPCK_CREATED);
	first = dict;
	/* What it is like was said when it was made. */
	ck_ok(ipck_dict_open(&dict, name, IPCK_DICT_OPTS(.max_bytes = 1 << 30, .mode = 0666)));
	ck_assert_uint_le(figures().max_bytes, 1 << 20);
	expect_text("key", "value");
	ck_assert_int_eq(set_text("key", "another"), 0);
	ipck_dict_close(dict);
	ipck_dict_close(first);
	ck_ok(ipck_dict_open(&dict, name, NULL));
	expect_text("key", "another");
	ck_ok(ipck_dict_unlink(name));
	ck_err(ipck_dict_unlink(name), ENOENT);
	cannot_open(name, ENOENT);
	ck_assert_int_eq(set_text("more", ""), IPCK_CREATED);
	end_dict();
}
END_TEST

START_TEST(bad_names)
{
	const char *name = test_name("other");
	struct ipck_shm *shm;

	cannot_create("", NULL, EINVAL);
	cannot_create("a/b", NULL, EINVAL);
	cannot_open(NULL, EINVAL);
	cannot_open("", EINVAL);
	cannot_open("a/b", EINVAL);
	ck_err(ipck_dict_unlink(""), EINVAL);
	cannot_open(test_name("none"), ENOENT);
	ck_err(ipck_dict_unlink(test_name("none")), ENOENT);
	ck_ok(ipck_shm_create(&shm, name, 1 << 20, NULL));
	cannot_open(name, EPROTO);
	cannot_open_fd(ipck_shm_fd(shm), EPROTO);
	cannot_create(name, NULL, EEXIST);
	ipck_shm_close(shm);
	ck_ok(ipck_shm_unlink(name));
}
END_TEST

START_TEST(modes)
{
	const mode_t wanted[] = {0, 0600, 0640, 0666, 0400};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		const char *name = test_name("mode");
		mode_t before = umask(077);
		struct stat st;

		ck_ok(ipck_dict_create(&dict, name, IPCK_DICT_OPTS(.max_bytes = 1 << 20, .mode = wanted[i])));
		umask(before);
		ck_that(fstat(ipck_dict_fd(dict), &st) == 0);
		ck_assert_uint_eq(st.st_mode & 07777, wanted[i] ? wanted[i] : 0600);
		end_dict();
		ck_ok(ipck_dict_unlink(name));
	}
	cannot_create(NULL, IPCK_DICT_OPTS(.mode = 01600), EINVAL);
}
END_TEST

START_TEST(by_descriptor)
{
	struct ipck_dict *first, *second;
	int memory = memfd_create("none", MFD_CLOEXEC);

	make_dict(1 << 20);
	first = dict;
	ck_assert(fcntl(ipck_dict_fd(first), F_GETFD) & FD_CLOEXEC);
	ck_ok(ipck_dict_open_fd(&second, ipck_dict_fd(first), NULL));
	ck_assert_int_ne(ipck_dict_fd(first), ipck_dict_fd(second));
	ck_assert_int_eq(set_text("key", "value"), IPCK_CREATED);
	dict = second;
	expect_text("key", "value");
	ipck_dict_close(first);
	expect_text("key", "value");
	end_dict();
	cannot_open_fd(memory, EPROTO);
	cannot_open_fd(-1, EBADF);
	close(memory);
}
END_TEST

START_TEST(bad_options)
{
	struct ipck_dict_opts opts = IPCK_DICT_OPTS_INIT;
	struct {
		struct ipck_dict_opts opts;
		uint64_t more;
	} later = {{.size = sizeof(later)}, 1};
	struct ipck_dict_stats stats = IPCK_DICT_STATS_INIT;

	cannot_create(NULL, IPCK_DICT_OPTS(.max_bytes = 1), EINVAL);
	cannot_create(NULL, IPCK_DICT_OPTS(.max_bytes = 8192), EINVAL);
	cannot_create(NULL, IPCK_DICT_OPTS(.max_bytes = ((size_t)1 << 35) + 1), EINVAL);
	cannot_create(NULL, IPCK_DICT_OPTS(.max_bytes = SIZE_MAX), EINVAL);
	opts.size = 3;
	cannot_create(NULL, &opts, EINVAL);
	/* One of a later version, with what is not known here. */
	cannot_create(NULL, &later.opts, E2BIG);
	ipck_dict_close(NULL);
	ipck_dict_iter_free(NULL);
	make_dict(0);
	ck_assert_uint_gt(figures().max_bytes, 60 << 20);
	ck_assert_uint_le(figures().max_bytes, 64 << 20);
	stats.size = 3;
	ck_err(ipck_dict_stat(dict, &stats), EINVAL);
	stats.size = sizeof(stats) + 8;
	ck_err(ipck_dict_stat(dict, &stats), EINVAL);
	/* Who knows of less gets less. */
	stats.size = offsetof(struct ipck_dict_stats, page_bytes);
	stats.page_bytes = 77;
	ck_ok(ipck_dict_stat(dict, &stats));
	ck_assert_uint_eq(stats.page_bytes, 77);
	ck_assert_uint_eq(stats.max_bytes, figures().max_bytes);
	end_dict();
}
END_TEST

/* ---- calls ---- */

START_TEST(set_and_get)
{
	char got[8] = "unused";
	size_t needed = 77;

	make_dict(1 << 20);
	expect_none("key");
	ck_assert_int_eq(set_text("key", "value"), IPCK_CREATED);
	expect_text("key", "value");
	ck_assert_int_eq(set_text("key", "other"), 0);
	expect_text("key", "other");
	expect_none("ke");
	expect_none("keys");
	ck_err(ipck_dict_get(dict, "key", 3, got, 4, &needed), EMSGSIZE);
	ck_assert_uint_eq(needed, 5);
	ck_assert_str_eq(got, "unused");
	ck_err(ipck_dict_get(dict, "key", 3, NULL, 0, NULL), EMSGSIZE);
	needed = 77;
	ck_assert_int_eq(ipck_dict_get(dict, "key", 3, got, 5, &needed), 5);
	ck_err(ipck_dict_get(dict, "none", 4, got, 5, &needed), ENOENT);
	ck_assert_uint_eq(needed, 77);
	has_keys(1);
	end_dict();
}
END_TEST

START_TEST(insert_and_replace)
{
	make_dict(1 << 20);
	ck_err(ipck_dict_replace(dict, "k", 1, "a", 1), ENOENT);
	expect_none("k");
	ck_assert_int_eq(ipck_dict_insert(dict, "k", 1, "b", 1), 0);
	ck_err(ipck_dict_insert(dict, "k", 1, "cc", 2), EEXIST);
	expect_text("k", "b");
	ck_assert_int_eq(ipck_dict_replace(dict, "k", 1, "dd", 2), 0);
	expect_text("k", "dd");
	has_keys(1);
	end_dict();
}
END_TEST

START_TEST(swap)
{
	make_dict(1 << 20);
	ck_err(ipck_dict_swap(dict, "k", 1, "a", 1, "b", 1), ENOENT);
	ck_err(ipck_dict_swap(dict, "k", 1, NULL, 0, "b", 1), ENOENT);
	ck_ok(set_text("k", "a"));
	ck_err(ipck_dict_swap(dict, "k", 1, "b", 1, "c", 1), ESTALE);
	ck_err(ipck_dict_swap(dict, "k", 1, "ab", 2, "c", 1), ESTALE);
	ck_err(ipck_dict_swap(dict, "k", 1, NULL, 0, "c", 1), ESTALE);
	expect_text("k", "a");
	ck_assert_int_eq(ipck_dict_swap(dict, "k", 1, "a", 1, "b", 1), 0);
	ck_assert_int_eq(ipck_dict_swap(dict, "k", 1, "b", 1, NULL, 0), 0);
	expect_text("k", "");
	ck_assert_int_eq(ipck_dict_swap(dict, "k", 1, NULL, 0, "a longer value", 14), 0);
	expect_text("k", "a longer value");
	end_dict();
}
END_TEST

START_TEST(delete_and_pop)
{
	char got[6] = "";
	size_t needed = 77;

	make_dict(1 << 20);
	ck_err(ipck_dict_delete(dict, "k", 1), ENOENT);
	ck_err(ipck_dict_pop(dict, "k", 1, got, 5, &needed), ENOENT);
	ck_assert_uint_eq(needed, 77);
	ck_ok(set_text("k", "value"));
	ck_assert_int_eq(ipck_dict_delete(dict, "k", 1), 0);
	expect_none("k");
	ck_err(ipck_dict_delete(dict, "k", 1), ENOENT);
	ck_assert_int_eq(set_text("k", "value"), IPCK_CREATED);
	ck_err(ipck_dict_pop(dict, "k", 1, got, 4, &needed), EMSGSIZE);
	ck_assert_uint_eq(needed, 5);
	ck_assert_str_eq(got, "");
	ck_err(ipck_dict_pop(dict, "k", 1, NULL, 0, NULL), EMSGSIZE);
	expect_text("k", "value");
	ck_assert_int_eq(ipck_dict_pop(dict, "k", 1, got, 5, &needed), 5);
	ck_assert_str_eq(got, "value");
	expect_none("k");
	ck_ok(set_text("k", ""));
	ck_assert_int_eq(ipck_dict_pop(dict, "k", 1, NULL, 0, NULL), 0);
	has_keys(0);
	end_dict();
}
END_TEST

START_TEST(add)
{
	int64_t sum = 77;

	make_dict(1 << 20);
	ck_assert_int_eq(ipck_dict_add(dict, "k", 1, -5, &sum), IPCK_CREATED);
	ck_assert_int_eq(sum, -5);
	ck_assert_int_eq(ipck_dict_add(dict, "k", 1, 12, &sum), 0);
	ck_assert_int_eq(sum, 7);
	ck_assert_int_eq(ipck_dict_add(dict, "k", 1, INT64_MAX, NULL), 0);
	ck_assert_int_eq(ipck_dict_add(dict, "k", 1, 0, &sum), 0);
	ck_assert_int_eq(sum, INT64_MIN + 6);
	ck_ok(set_text("k", "1234567"));
	ck_err(ipck_dict_add(dict, "k", 1, 1, &sum), EINVAL);
	ck_assert_int_eq(sum, INT64_MIN + 6);
	expect_text("k", "1234567");
	ck_ok(set_text("k", "123456789"));
	ck_err(ipck_dict_add(dict, "k", 1, 1, NULL), EINVAL);
	end_dict();
}
END_TEST

START_TEST(integers)
{
	uint64_t value = 77;
	int64_t sum;

	make_dict(1 << 20);
	ck_err(ipck_dict_get_u64(dict, 5, &value), ENOENT);
	ck_assert_int_eq(ipck_dict_set_u64(dict, 5, UINT64_MAX), IPCK_CREATED);
	ck_assert_int_eq(ipck_dict_set_u64(dict, 5, UINT64_MAX - 1), 0);
	ck_ok(ipck_dict_get_u64(dict, 5, &value));
	ck_assert_uint_eq(value, UINT64_MAX - 1);
	ck_assert_int_eq(ipck_dict_add_u64(dict, 5, 3, &sum), 0);
	ck_assert_int_eq(sum, 1);
	ck_assert_int_eq(ipck_dict_add_u64(dict, 6, 3, NULL), IPCK_CREATED);
	ck_ok(ipck_dict_delete_u64(dict, 5));
	ck_err(ipck_dict_delete_u64(dict, 5), ENOENT);
	value = 77;
	ck_ok(set_filled(5, 9, 0));
	ck_err(ipck_dict_get_u64(dict, 5, &value), EMSGSIZE);
	ck_ok(set_filled(5, 4, 0));
	ck_err(ipck_dict_get_u64(dict, 5, &value), EINVAL);
	ck_assert_uint_eq(value, 77);
	end_dict();
}
END_TEST

START_TEST(too_long)
{
	make_dict(1 << 20);
	ck_ok(set_text("k", "v"));
	/* Nothing of it is read. */
	ck_err(ipck_dict_set(dict, "k", 1, "v", SIZE_MAX), EINVAL);
	ck_err(ipck_dict_set(dict, "k", 1, "v", (size_t)UINT32_MAX + 1), EINVAL);
	ck_err(ipck_dict_set(dict, "k", 1, "v", UINT32_MAX), ENOSPC);
	ck_err(ipck_dict_set(dict, "k", 1, "v", 1 << 20), ENOSPC);
	ck_err(ipck_dict_swap(dict, "k", 1, "v", 1, "v", (size_t)UINT32_MAX + 1), EINVAL);
	ck_err(ipck_dict_swap(dict, "k", 1, "v", SIZE_MAX, "v", 1), ESTALE);
	ck_err(ipck_dict_set(dict, "k", SIZE_MAX, "v", 1), EINVAL);
	ck_err(ipck_dict_insert(dict, "k", (size_t)UINT32_MAX + 1, "v", 1), EINVAL);
	ck_err(ipck_dict_replace(dict, "k", SIZE_MAX, "v", 1), EINVAL);
	ck_err(ipck_dict_swap(dict, "k", SIZE_MAX, "v", 1, "v", 1), EINVAL);
	ck_err(ipck_dict_add(dict, "k", SIZE_MAX, 1, NULL), EINVAL);
	expect_text("k", "v");
	has_keys(1);
	end_dict();
}
END_TEST

/* ---- sizes ---- */

START_TEST(keys_and_values_of_all_sizes)
{
	char *key = new_filled(sizes[SIZES - 1], 1);

	make_dict(16 << 20);
	for (size_t i = 0; i < SIZES * SIZES; i++) {
		size_t key_size = sizes[i / SIZES], size = sizes[i % SIZES], there, needed = 0;
		char *value = new_filled(size, i);
		void *got;

		ck_that(ck_ok(ipck_dict_set(dict, key, key_size, value, size)) == (i % SIZES ? 0 : IPCK_CREATED));
		ck_ok(ipck_dict_get_new(dict, key, key_size, &got, &there));
		ck_that(there == size && is_filled(got, size, i));
		memset(got, 0, size);
		ck_that(ck_ok(ipck_dict_get(dict, key, key_size, got, size, NULL)) == (int64_t)size);
		ck_that(is_filled(got, size, i));
		if (size > 0) {
			ck_err(ipck_dict_get(dict, key, key_size, got, size - 1, &needed), EMSGSIZE);
			ck_that(needed == size);
		}
		free(got);
		free(value);
	}
	has_keys(SIZES);
	is_sound();
	for (size_t i = 0; i < SIZES; i++)
		ck_ok(ipck_dict_delete(dict, key, sizes[i]));
	has_keys(0);
	free(key);
	end_dict();
}
END_TEST

/* From each size to each other one; nothing is left behind of any. */
START_TEST(values_grow_and_shrink)
{
	uint64_t bytes;

	make_dict(4 << 20);
	ck_ok(set_filled(1, 0, 0));
	bytes = figures().bytes;
	for (size_t i = 0; i < SIZES; i++)
		for (size_t k = 0; k < SIZES; k++) {
			ck_that(ck_ok(set_filled(1, sizes[i], i)) == 0);
			ck_that(ck_ok(set_filled(1, sizes[k], k + 100)) == 0);
			expect_filled(1, sizes[k], k + 100);
		}
	ck_ok(set_filled(1, 0, 0));
	has_keys(1);
	ck_assert_uint_eq(figures().bytes, bytes);
	end_dict();
}
END_TEST

/* Values of the same size, up to 8 bytes, take no other memory. */
START_TEST(in_place)
{
	make_dict(1 << 20);
	for (size_t size = 0; size <= 9; size++) {
		struct ipck_dict_stats before;

		ck_ok(set_filled(size, size, 1));
		before = figures();
		for (unsigned n = 0; n < 20; n++) {
			ck_that(ck_ok(set_filled(size, size, n)) == 0);
			expect_filled(size, size, n);
			ck_that(figures().bytes == before.bytes && figures().page_bytes == before.page_bytes);
		}
	}
	has_keys(10);
	end_dict();
}
END_TEST

/* No bytes need no address. */
START_TEST(nothing_at_all)
{
	size_t size = 77, needed;
	void *value;

	make_dict(1 << 20);
	ck_assert_int_eq(ipck_dict_contains(dict, NULL, 0), 0);
	ck_assert_int_eq(ipck_dict_set(dict, NULL, 0, NULL, 0), IPCK_CREATED);
	ck_assert_int_eq(ipck_dict_contains(dict, NULL, 0), 1);
	ck_assert_int_eq(ipck_dict_get(dict, NULL, 0, NULL, 0, &needed), 0);
	ck_ok(ipck_dict_get_new(dict, "", 0, &value, &size));
	ck_assert(value && size == 0);
	free(value);
	ck_ok(ipck_dict_swap(dict, NULL, 0, NULL, 0, "x", 1));
	expect_text("", "x");
	ck_assert_int_eq(ipck_dict_set(dict, NULL, 0, NULL, 0), 0);
	has_keys(1);
	ck_assert_int_eq(ipck_dict_pop(dict, NULL, 0, NULL, 0, NULL), 0);
	expect_none("");
	end_dict();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dict");
	TCase *tc = test_case(s, "life");

	tcase_add_test(tc, by_name);
	tcase_add_test(tc, bad_names);
	tcase_add_test(tc, modes);
	tcase_add_test(tc, by_descriptor);
	tcase_add_test(tc, bad_options);
	tc = test_case(s, "calls");
	tcase_add_test(tc, set_and_get);
	tcase_add_test(tc, insert_and_replace);
	tcase_add_test(tc, swap);
	tcase_add_test(tc, delete_and_pop);
	tcase_add_test(tc, add);
	tcase_add_test(tc, integers);
	tcase_add_test(tc, too_long);
	tc = test_case(s, "sizes");
	tcase_add_test(tc, keys_and_values_of_all_sizes);
	tcase_add_test(tc, values_grow_and_shrink);
	tcase_add_test(tc, in_place);
	tcase_add_test(tc, nothing_at_all);
	return test_main(s);
}
