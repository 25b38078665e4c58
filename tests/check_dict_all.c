/* SPDX-License-Identifier: MIT */
/* All keys of a dict: length, clear, iterators while others change it; and updates by a function. */
#include <unistd.h>

#include "dicts.h"

#define STAYING 500
#define PASSING 2000

/* ---- iterators ---- */

/* How often each key was seen. */
static unsigned seen[PASSING + STAYING];

static uint64_t key_of(const struct ipck_dict_item *item)
{
	uint64_t key;

	ck_that(item->key_size == sizeof(key));
	ck_that((uintptr_t)item->key % 8 == 0 && (uintptr_t)item->value % 8 == 0);
	memcpy(&key, item->key, sizeof(key));
	ck_that(key < PASSING + STAYING);
	return key;
}

static struct ipck_dict_iter *begin(bool snapshot)
{
	struct ipck_dict_iter *it = NULL;

	if (snapshot)
		ck_ok(ipck_dict_snapshot(dict, &it));
	else
		ck_ok(ipck_dict_iterate(dict, &it));
	memset(seen, 0, sizeof(seen));
	return it;
}

static void end(struct ipck_dict_iter *it)
{
	struct ipck_dict_item item;

	/* The end is for ever. */
	ck_that(ck_ok(ipck_dict_next(it, &item)) == 0);
	ipck_dict_iter_free(it);
}

/* Of all values that tell what they are. */
static uint64_t see_all(bool snapshot)
{
	struct ipck_dict_iter *it = begin(snapshot);
	struct ipck_dict_item item;
	uint64_t n = 0;

	for (; ck_ok(ipck_dict_next(it, &item)) == 1; n++) {
		uint64_t key = key_of(&item);

		(void)read_stamped(item.value, key, item.value_size);
		ck_that(++seen[key] == 1);
	}
	end(it);
	return n;
}

static void set_stamped(uint64_t key, uint64_t version, size_t size)
{
	char *bytes = malloc(size);

	ck_that(bytes);
	write_stamped(bytes, key, version, size);
	ck_ok(ipck_dict_set(dict, &key, sizeof(key), bytes, size));
	free(bytes);
}

static void set_staying(void)
{
	for (uint64_t key = 0; key < STAYING; key++)
		set_stamped(key, 0, key == 7 ? 100000 : 24 + key);
}

static void saw_all_that_stays(void)
{
	for (unsigned key = 0; key < STAYING; key++)
		ck_that(seen[key] == 1);
}

START_TEST(nothing)
{
	make_dict(1 << 20);
	ck_assert_uint_eq(see_all(_i), 0);
	has_keys(0);
	ck_ok(ipck_dict_clear(dict));
	ck_ok(set_text("key", "value"));
	ck_ok(ipck_dict_delete(dict, "key", 3));
	ck_assert_uint_eq(see_all(_i), 0);
	ck_ok(ipck_dict_clear(dict));
	ck_ok(ipck_dict_clear(dict));
	end_dict();
}
END_TEST

START_TEST(each_once)
{
	make_dict(0);
	set_staying();
	ck_assert_uint_eq(see_all(_i), STAYING);
	saw_all_that_stays();
	/* An iterator that is given up. */
	ipck_dict_iter_free(begin(_i));
	end_dict();
}
END_TEST

START_TEST(empty_keys_and_values)
{
	struct ipck_dict_iter *it;
	struct ipck_dict_item item;

	make_dict(1 << 20);
	ck_ok(ipck_dict_set(dict, NULL, 0, NULL, 0));
	it = begin(_i);
	ck_assert_int_eq(ipck_dict_next(it, &item), 1);
	ck_assert(item.key_size == 0 && item.value_size == 0 && item.key && item.value);
	end(it);
	end_dict();
}
END_TEST

/* A snapshot has what was there; who walks on may change, delete and clear. */
START_TEST(changed_by_who_walks)
{
	struct ipck_dict_iter *it, *snapshot;
	struct ipck_dict_item item;
	unsigned n = 0;

	make_dict(0);
	set_staying();
	snapshot = begin(true);
	it = begin(false);
	for (; ck_ok(ipck_dict_next(it, &item)) == 1; n++) {
		uint64_t key = key_of(&item);

		ck_that(++seen[key] == 1);
		set_stamped(key, 1, 3000);
		if (n % 2)
			ck_ok(ipck_dict_delete(dict, &key, sizeof(key)));
	}
	end(it);
	ck_assert_uint_eq(n, STAYING);
	has_keys(STAYING / 2);
	ck_ok(ipck_dict_clear(dict));
	has_keys(0);
	for (n = 0; ck_ok(ipck_dict_next(snapshot, &item)) == 1; n++)
		ck_that(read_stamped(item.value, key_of(&item), item.value_size) == 0);
	ck_assert_uint_eq(n, STAYING);
	end(snapshot);
	end_dict();
}
END_TEST

/* ---- while others change it ---- */

/* rounds: of the one who changes; over: the others have seen enough. */
static struct traffic {
	uint32_t rounds, over;
} *traffic;

/* Another one may have been faster. */
static void delete_any(uint64_t key)
{
	int rc = ipck_dict_delete(dict, &key, sizeof(key));

	if (rc != -ENOENT)
		ck_ok(rc);
}

/* Keys come and go, with values of any size, and those that stay get others. */
static void change(unsigned i)
{
	struct test_random dice = test_random(i);

	for (unsigned n = 0; !load_acquire(&traffic->over); n++) {
		uint64_t key = test_random_below(&dice, STAYING + PASSING);
		size_t size = 24 + test_random_below(&dice, n % 16 ? 200 : 20000);

		if (key < STAYING || n % 3)
			set_stamped(key, n, size);
		else
			delete_any(key);
		if (n % 32 == 0)
			add_seq(&traffic->rounds, 1);
	}
}

static void walk(void)
{
	for (unsigned n = 0; n < 10; n++) {
		uint32_t before = load_seq(&traffic->rounds);
		int64_t length;

		ck_that(see_all(n % 2) <= STAYING + PASSING);
		saw_all_that_stays();
		length = ck_ok(ipck_dict_length(dict));
		ck_that(length >= STAYING - 2 && length <= STAYING + PASSING + 2);
		is_sound();
		TEST_UNTIL(load_seq(&traffic->rounds) != before);
	}
	store_release(&traffic->over, 1);
}

static void change_or_walk(unsigned i, void *arg)
{
	(void)arg;
	if (i == 0)
		walk();
	else
		change(i);
}

START_TEST(while_others_change_it)
{
	traffic = test_shared(sizeof(*traffic));
	make_dict(0);
	set_staying();
	if (_i)
		test_processes(3, change_or_walk, NULL);
	else
		test_threads(3, change_or_walk, NULL);
	ck_ok(ipck_dict_clear(dict));
	has_keys(0);
	end_dict();
}
END_TEST

/* Who clears meets who sets: in the end nothing of it is left but what came after. */
static void set_or_clear(unsigned i, void *arg)
{
	(void)arg;
	for (uint64_t n = 0; n < 300; n++) {
		if (i > 0)
			set_stamped(i * 300 + n, n, 24 + n * 20);
		else if (n % 10 == 0)
			ck_ok(ipck_dict_clear(dict));
	}
}

START_TEST(clear_while_others_set)
{
	make_dict(0);
	if (_i)
		test_processes(3, set_or_clear, NULL);
	else
		test_threads(3, set_or_clear, NULL);
	is_sound();
	ck_that(see_all(false) == (uint64_t)ck_ok(ipck_dict_length(dict)));
	ck_ok(ipck_dict_clear(dict));
	has_keys(0);
	end_dict();
}
END_TEST

/* ---- update ---- */

/* What the function is to answer, what it was given, and how often. */
struct answer {
	int what;
	const char *value, *given;
	unsigned calls;
	void (*beside)(unsigned call);
};

static int answer(const void **value, size_t *size, void *arg)
{
	struct answer *a = arg;

	if (*value)
		ck_that(a->given && *size == strlen(a->given) && memcmp(*value, a->given, *size) == 0);
	else
		ck_that(!a->given);
	if (a->beside)
		a->beside(a->calls);
	a->calls++;
	if (a->value) {
		*value = a->value;
		*size = strlen(a->value);
	}
	return a->what;
}

static int update(int what, const char *given, const char *value)
{
	struct answer a = {.what = what, .value = value, .given = given};
	int rc = ipck_dict_update(dict, "k", 1, answer, &a);

	ck_that(a.calls == 1);
	return rc;
}

START_TEST(update_says_what)
{
	make_dict(1 << 20);
	ck_assert_int_eq(update(IPCK_DICT_KEEP, NULL, NULL), IPCK_DICT_KEEP);
	ck_assert_int_eq(update(IPCK_DICT_DELETE, NULL, NULL), IPCK_DICT_DELETE);
	ck_err(update(-ECHILD, NULL, "no"), ECHILD);
	expect_none("k");
	ck_assert_int_eq(update(IPCK_DICT_SET, NULL, "a"), IPCK_DICT_SET);
	expect_text("k", "a");
	ck_assert_int_eq(update(IPCK_DICT_KEEP, "a", "no"), IPCK_DICT_KEEP);
	ck_err(update(-ECHILD, "a", "no"), ECHILD);
	ck_err(update(IPCK_DICT_DELETE + 1, "a", "no"), EINVAL);
	ck_err(update(INT32_MAX, "a", "no"), EINVAL);
	expect_text("k", "a");
	/* The copy that it was given is a new value, too. */
	ck_assert_int_eq(update(IPCK_DICT_SET, "a", NULL), IPCK_DICT_SET);
	expect_text("k", "a");
	ck_assert_int_eq(update(IPCK_DICT_SET, "a", "a longer one"), IPCK_DICT_SET);
	ck_assert_int_eq(update(IPCK_DICT_SET, "a longer one", ""), IPCK_DICT_SET);
	expect_text("k", "");
	ck_assert_int_eq(update(IPCK_DICT_KEEP, "", NULL), IPCK_DICT_KEEP);
	ck_assert_int_eq(update(IPCK_DICT_DELETE, "", NULL), IPCK_DICT_DELETE);
	expect_none("k");
	has_keys(0);
	end_dict();
}
END_TEST

static int too_much(const void **value, size_t *size, void *arg)
{
	*value = "x";
	*size = *(size_t *)arg;
	return IPCK_DICT_SET;
}

START_TEST(update_to_too_much)
{
	size_t size = 1 << 20;

	make_dict(1 << 20);
	ck_ok(set_text("k", "v"));
	ck_err(ipck_dict_update(dict, "k", 1, too_much, &size), ENOSPC);
	size = (size_t)UINT32_MAX + 1;
	ck_err(ipck_dict_update(dict, "k", 1, too_much, &size), EINVAL);
	ck_err(ipck_dict_update(dict, "k", SIZE_MAX, too_much, &size), EINVAL);
	expect_text("k", "v");
	end_dict();
}
END_TEST

/* Only the first call finds that it came too late. */
static struct answer *late;

static void sets(unsigned call)
{
	if (call == 0)
		ck_ok(set_text("k", "another"));
	late->given = "another";
}

static void deletes(unsigned call)
{
	if (call == 0)
		ck_ok(ipck_dict_delete(dict, "k", 1));
	late->given = NULL;
}

static void sets_the_same(unsigned call)
{
	(void)call;
	ck_ok(set_text("k", "old"));
}

static unsigned calls_beside(int what, const char *before, void (*beside)(unsigned call))
{
	struct answer a = {.what = what, .value = "new", .given = before, .beside = beside};

	late = &a;
	(void)ipck_dict_delete(dict, "k", 1);
	if (before)
		ck_ok(set_text("k", before));
	ck_that(ck_ok(ipck_dict_update(dict, "k", 1, answer, &a)) == what);
	if (what == IPCK_DICT_SET)
		expect_text("k", "new");
	else if (what == IPCK_DICT_DELETE)
		expect_none("k");
	return a.calls;
}

START_TEST(update_is_called_again)
{
	make_dict(1 << 20);
	ck_assert_uint_eq(calls_beside(IPCK_DICT_SET, "old", sets), 2);
	ck_assert_uint_eq(calls_beside(IPCK_DICT_SET, "old", deletes), 2);
	ck_assert_uint_eq(calls_beside(IPCK_DICT_SET, NULL, sets), 2);
	ck_assert_uint_eq(calls_beside(IPCK_DICT_DELETE, "old", sets), 2);
	ck_assert_uint_eq(calls_beside(IPCK_DICT_DELETE, "old", deletes), 2);
	ck_assert_uint_eq(calls_beside(IPCK_DICT_DELETE, NULL, sets), 2);
	/* Who keeps it does not mind. */
	ck_assert_uint_eq(calls_beside(IPCK_DICT_KEEP, "old", sets), 1);
	expect_text("k", "another");
	/* A value that is the same is the same. */
	ck_assert_uint_eq(calls_beside(IPCK_DICT_SET, "old", sets_the_same), 1);
	end_dict();
}
END_TEST

/* Appends a byte. */
static int grow(const void **value, size_t *size, void *arg)
{
	char *bytes = arg;

	if (*size > 0)
		memcpy(bytes, *value, *size);
	bytes[*size] = (char)(*value ? *size : 0);
	*value = bytes;
	*size += 1;
	return IPCK_DICT_SET;
}

static void update_all(unsigned i, void *arg)
{
	char bytes[1024];

	(void)i;
	(void)arg;
	for (unsigned n = 0; n < 200; n++)
		ck_that(ck_ok(ipck_dict_update(dict, "k", 1, grow, bytes)) == IPCK_DICT_SET);
}

START_TEST(update_by_many)
{
	char bytes[1024];

	make_dict(1 << 20);
	if (_i)
		test_processes(4, update_all, NULL);
	else
		test_threads(4, update_all, NULL);
	ck_assert_int_eq(ipck_dict_get(dict, "k", 1, bytes, sizeof(bytes), NULL), 800);
	for (int i = 0; i < 800; i++)
		ck_that(bytes[i] == (char)i);
	end_dict();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dict_all");
	TCase *tc = test_case(s, "iterators");

	tcase_add_loop_test(tc, nothing, 0, 2);
	tcase_add_loop_test(tc, each_once, 0, 2);
	tcase_add_loop_test(tc, empty_keys_and_values, 0, 2);
	tcase_add_test(tc, changed_by_who_walks);
	tc = test_case(s, "others");
	tcase_add_loop_test(tc, while_others_change_it, 0, 2);
	tcase_add_loop_test(tc, clear_while_others_set, 0, 2);
	tc = test_case(s, "update");
	tcase_add_test(tc, update_says_what);
	tcase_add_test(tc, update_to_too_much);
	tcase_add_test(tc, update_is_called_again);
	tcase_add_loop_test(tc, update_by_many, 0, 2);
	return test_main(s);
}
