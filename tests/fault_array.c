/* SPDX-License-Identifier: MIT */
/* Failing system calls: how arrays begin and end, and what else needs memory. */
#include <ipckit/array.h>

#include "fault_life.h"

#define CAPACITY 2000
#define RECORD 40

static struct ipck_array *array;
static char record[RECORD];

/* ---- life ---- */

static int create_array(void **out, const char *name)
{
	struct ipck_array *a = UNTOUCHED;
	int rc = ipck_array_create(&a, name, RECORD, CAPACITY, IPCK_ARRAY_OPTS(.count = 2));

	ck_that(rc == 0 || a == UNTOUCHED);
	if (rc == 0)
		*out = a;
	return rc;
}

static int open_array(void **out, const char *name)
{
	struct ipck_array *a = UNTOUCHED;
	int rc = ipck_array_open(&a, name, RECORD, NULL);

	ck_that(rc == 0 || a == UNTOUCHED);
	if (rc == 0)
		*out = a;
	return rc;
}

static int open_array_fd(void **out, int fd)
{
	struct ipck_array *a = UNTOUCHED;
	int rc = ipck_array_open_fd(&a, fd, RECORD, NULL);

	ck_that(rc == 0 || a == UNTOUCHED);
	if (rc == 0)
		*out = a;
	return rc;
}

static int array_fd(const void *a)
{
	return ipck_array_fd(a);
}

static void close_array(void *a)
{
	ipck_array_close(a);
}

static void set_record(struct ipck_array *a, size_t i, char with)
{
	memset(record, with, RECORD);
	ck_ok(ipck_array_set(a, i, record));
}

static void expect_record(struct ipck_array *a, size_t i, char with)
{
	memset(record, ~with, RECORD);
	ck_ok(ipck_array_get(a, i, record));
	for (int at = 0; at < RECORD; at++)
		ck_that(record[at] == with);
}

static void mark_array(void *a)
{
	set_record(a, 0, 'm');
}

/* All of it works: one record more is in it each time. */
static void is_marked(void *a)
{
	size_t length = ipck_array_length(a), i = SIZE_MAX;

	ck_that(ipck_array_record(a) == RECORD && ipck_array_capacity(a) == CAPACITY);
	expect_record(a, 0, 'm');
	set_record(a, 1, (char)length);
	memset(record, 'a', RECORD);
	ck_ok(ipck_array_append(a, record, &i));
	ck_that(i == length && ipck_array_length(a) == length + 1);
	expect_record(a, 1, (char)length);
	expect_record(a, i, 'a');
	ck_err(ipck_array_get(a, length + 1, record), ERANGE);
}

static const struct life life = {
	create_array, open_array,        open_array_fd, array_fd,
	close_array,  ipck_array_unlink, mark_array,    is_marked,
};

START_TEST(life_with_failures)
{
	sweep_life(&life_scenarios[_i]);
}
END_TEST

/* ---- records ---- */

static void make_array(void)
{
	make_anonymous();
	array = object;
}

/* All memory was had at the beginning: these need none. */
static int append_all(void)
{
	for (size_t i = ipck_array_length(array), at; i < CAPACITY; i++) {
		memset(record, (char)i, RECORD);
		ck_ok(ipck_array_append(array, record, &at));
		ck_that(at == i);
	}
	ck_err(ipck_array_append(array, record, NULL), ENOSPC);
	set_record(array, CAPACITY / 2, 'h');
	return 0;
}

static void has_all(void)
{
	expect_record(array, 0, 'm');
	for (size_t i = 2; i < CAPACITY; i++)
		expect_record(array, i, i == CAPACITY / 2 ? 'h' : (char)i);
	ipck_array_close(array);
}

static unsigned updates;

static int update_record(void *bytes, void *arg)
{
	updates++;
	memset(bytes, *(const char *)arg, RECORD);
	return 7;
}

static void make_to_update(void)
{
	make_array();
	updates = 0;
}

static int update(void)
{
	char with = 'u';
	int rc = ipck_array_update(array, 0, update_record, &with);

	ck_that(rc < 0 || rc == 7);
	return MIN(rc, 0);
}

/* The function was not even called. */
static void not_updated(void)
{
	ck_that(updates == 0);
	is_marked(array);
}

static void is_updated(void)
{
	ck_that(updates == 1);
	expect_record(array, 0, 'u');
	mark_array(array);
}

static const struct scenario scenarios[] = {
	{"append, get, set", make_array, append_all, nothing, has_all, nothing, 0, 0},
	{"update", make_to_update, update, not_updated, is_updated, end, 0, 1},
};

START_TEST(records_with_failures)
{
	sweep_both(&scenarios[_i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fault_array");
	TCase *tc = test_case(s, "faults");

	tcase_add_loop_test(tc, life_with_failures, 0, ARRAY_SIZE(life_scenarios));
	tcase_add_loop_test(tc, records_with_failures, 0, ARRAY_SIZE(scenarios));
	return test_main(s);
}
