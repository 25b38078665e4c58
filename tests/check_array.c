/* SPDX-License-Identifier: MIT */
/* Arrays: records by number, checked; among threads and processes; damaged and foreign ones. */
#include <ipckit/array.h>

#include "far.h"
#include "support.h"
#include "ways.h"

#include <errno.h>
#include <ipckit/shm.h>
#include <stdlib.h>
#include <string.h>

#define EACH 500

struct record {
	uint64_t number;
	char text[20];
};

IPCK_ARRAY_TYPE(numbers, uint64_t)
IPCK_ARRAY_TYPE(records, struct record)

static struct ipck_array *array;

START_TEST(use)
{
	struct record r = {7, "seven"}, back;
	size_t i = 99;

	ck_ok(ipck_array_create(&array, NULL, sizeof(r), 4, _i ? IPCK_ARRAY_OPTS(.unlocked = true) : NULL));
	ck_assert_uint_eq(ipck_array_record(array), sizeof(r));
	ck_assert_uint_eq(ipck_array_capacity(array), 4);
	ck_assert_uint_eq(ipck_array_length(array), 0);
	ck_err(ipck_array_get(array, 0, &back), ERANGE);
	ck_err(ipck_array_set(array, 0, &r), ERANGE);
	ck_that(ipck_array_at(array, 0) == NULL);
	for (size_t n = 0; n < 4; n++) {
		ck_ok(records_append(array, r, &i));
		ck_assert_uint_eq(i, n);
	}
	ck_err(ipck_array_append(array, &r, &i), ENOSPC);
	ck_assert_uint_eq(i, 3);
	r = (struct record){8, "eight"};
	ck_ok(records_set(array, 2, r));
	ck_ok(records_get(array, 2, &back));
	ck_that(back.number == 8 && strcmp(back.text, "eight") == 0);
	ck_ok(ipck_array_get(array, 3, &back));
	ck_assert_uint_eq(back.number, 7);
	ck_err(ipck_array_get(array, 4, &back), ERANGE);
	ck_err(ipck_array_get(array, SIZE_MAX, &back), ERANGE);
	ck_assert_uint_eq(((struct record *)ipck_array_at(array, 2))->number, 8);
	ck_err(numbers_set(array, 2, 1), EINVAL);
	ipck_array_close(array);
	ipck_array_close(NULL);
}
END_TEST

START_TEST(each_size)
{
	unsigned char in[40], out[42];

	for (size_t size = 1; size < sizeof(in); size++) {
		ck_ok(ipck_array_create(&array, NULL, size, 3, IPCK_ARRAY_OPTS(.count = 3, .unlocked = _i)));
		memset(in, (int)size, sizeof(in));
		ck_ok(ipck_array_set(array, 1, in));
		for (size_t i = 0; i < 3; i++) {
			memset(out, 0xee, sizeof(out));
			ck_ok(ipck_array_get(array, i, out + 1));
			ck_that(out[0] == 0xee && out[size + 1] == 0xee);
			for (size_t k = 1; k <= size; k++)
				ck_assert_uint_eq(out[k], i == 1 ? size : 0);
		}
		ipck_array_close(array);
	}
}
END_TEST

START_TEST(bad_arguments)
{
	struct ipck_array *none = NULL;

	ck_err(ipck_array_create(&none, NULL, 0, 1, NULL), EINVAL);
	ck_err(ipck_array_create(&none, NULL, 1, 0, NULL), EINVAL);
	ck_err(ipck_array_create(&none, NULL, 8, 1, IPCK_ARRAY_OPTS(.count = 2)), EINVAL);
	ck_err(ipck_array_create(&none, NULL, 8, 1, IPCK_ARRAY_OPTS(.mode = 01000)), EINVAL);
	ck_err(ipck_array_create(&none, NULL, SIZE_MAX / 2, 8, NULL), EINVAL);
	ck_err(ipck_array_create(&none, NULL, 1 << 20, SIZE_MAX >> 10, NULL), EINVAL);
	ck_err(ipck_array_create(&none, "a/b", 8, 1, NULL), EINVAL);
	ck_err(ipck_array_open(&none, NULL, 0, NULL), EINVAL);
	ck_err(ipck_array_open(&none, test_name("none"), 0, NULL), ENOENT);
	ck_err(ipck_array_open_fd(&none, -1, 0, NULL), EBADF);
	ck_that(none == NULL);
}
END_TEST

static void reader(void *name)
{
	uint64_t value;

	ck_ok(ipck_array_open(&array, name, 8, NULL));
	ck_ok(numbers_get(array, 1, &value));
	ck_assert_uint_eq(value, 42);
	ck_ok(numbers_append(array, 43, NULL));
	ipck_array_close(array);
}

START_TEST(named)
{
	char *name = strdup(test_name("array"));
	struct ipck_array *other = NULL;
	struct ipck_shm *shm;
	uint64_t value;

	ck_ok(ipck_array_create(&array, name, 8, 3, IPCK_ARRAY_OPTS(.count = 2)));
	ck_err(ipck_array_create(&other, name, 8, 3, NULL), EEXIST);
	ck_ok(numbers_set(array, 1, 42));
	test_join(test_fork(reader, name));
	ck_ok(numbers_get(array, 2, &value));
	ck_assert_uint_eq(value, 43);
	ck_err(ipck_array_open(&other, name, 4, NULL), EPROTO);
	ck_err(ipck_shm_open(&shm, name, NULL), EPROTO);
	ck_ok(ipck_array_open_fd(&other, ipck_array_fd(array), 0, NULL));
	ck_assert_uint_eq(ipck_array_length(other), 3);
	ipck_array_close(other);
	ck_ok(ipck_array_unlink(name));
	ck_err(ipck_array_unlink(name), ENOENT);
	ipck_array_close(array);
	free(name);
}
END_TEST

static int count_up(void *record, void *arg)
{
	(void)arg;
	++*(uint64_t *)record;
	return 3;
}

static int refuse(void *record, void *arg)
{
	*(uint64_t *)record = 1000000;
	return arg ? -ECANCELED : 0;
}

static void count(unsigned party, void *arg)
{
	(void)party, (void)arg;
	for (int i = 0; i < EACH; i++)
		ck_assert_int_eq(ipck_array_update(array, 1, count_up, NULL), 3);
}

START_TEST(updated_by_many)
{
	uint64_t value;

	ck_ok(ipck_array_create(&array, NULL, 8, 2, IPCK_ARRAY_OPTS(.count = 2)));
	run_parties(_i, 3, count, NULL);
	ck_ok(numbers_get(array, 1, &value));
	ck_assert_uint_eq(value, 3 * EACH);
	ck_err(ipck_array_update(array, 1, refuse, &value), ECANCELED);
	ck_ok(numbers_get(array, 1, &value));
	ck_assert_uint_eq(value, 3 * EACH);
	ck_err(ipck_array_update(array, 2, count_up, NULL), ERANGE);
	ipck_array_close(array);
}
END_TEST

START_TEST(an_update_without_a_lock)
{
	ck_ok(ipck_array_create(&array, NULL, 8, 1, IPCK_ARRAY_OPTS(.count = 1, .unlocked = true)));
	ck_err(ipck_array_update(array, 0, count_up, NULL), EINVAL);
	ipck_array_close(array);
}
END_TEST

/* What is damaged is an error: each word of what is fixed. */
START_TEST(damaged)
{
	struct ipck_array *other = NULL;
	uint64_t *words;

	ck_ok(ipck_array_create(&array, NULL, 8, 100, IPCK_ARRAY_OPTS(.count = 2)));
	words = (uint64_t *)(void *)((char *)ipck_array_at(array, 0) - 4096);
	ck_that(words[0] == 8 && words[1] == 100);
	for (int i = 0; i < 2; i++) {
		uint64_t was = words[i];

		words[i] = 0;
		ck_err(ipck_array_open_fd(&other, ipck_array_fd(array), 0, NULL), EPROTO);
		words[i] = UINT64_MAX / 2;
		ck_err(ipck_array_open_fd(&other, ipck_array_fd(array), 0, NULL), EPROTO);
		words[i] = 4096;
		ck_err(ipck_array_open_fd(&other, ipck_array_fd(array), 0, NULL), EPROTO);
		words[i] = was;
	}
	ck_ok(ipck_array_open_fd(&other, ipck_array_fd(array), 0, NULL));
	ipck_array_close(other);
	ipck_array_close(array);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("array");
	TCase *tc = test_case(s, "use");

	tcase_add_loop_test(tc, use, 0, 2);
	tcase_add_loop_test(tc, each_size, 0, 2);
	tcase_add_test(tc, bad_arguments);
	tcase_add_test(tc, named);
	tcase_add_test(tc, damaged);
	tc = test_case(s, "many");
	tcase_add_loop_test(tc, updated_by_many, 0, PARTY_WAYS);
	tcase_add_test(tc, an_update_without_a_lock);
	return test_main(s);
}
