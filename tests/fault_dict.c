/* SPDX-License-Identifier: MIT */
/* Failing system calls: how dicts begin and end, how they grow, and what needs memory of the process. */
#include "fault_life.h"

#include <sys/random.h>

#include "dicts.h"

#define LITTLE ((size_t)256 << 10) /* few shards */
#define KEYS 200
#define LARGE ((size_t)20000) /* pages of its own */

static int random_error = EIO;

/* The seed is always the same: so are the shards of all keys, and the calls. */
FAULT_WRAP(ssize_t, getrandom, (void *data, size_t size, unsigned flags))
{
	(void)flags;
	if (fault_fails("getrandom", random_error))
		return -1;
	memset(data, 0x5a, size);
	return (ssize_t)size;
}

static struct ipck_dict_stats before;

/* No memory is taken for the bytes: that could fail. */
static char bytes[4 * LARGE], old_bytes[LARGE];

static int put(uint64_t key, size_t n, uint64_t whose)
{
	fill(bytes, n, whose);
	return ipck_dict_set(dict, &key, sizeof(key), bytes, n);
}

/* ---- life ---- */

static int create_dict(void **out, const char *name)
{
	struct ipck_dict *d = UNTOUCHED;
	int rc = ipck_dict_create(&d, name, IPCK_DICT_OPTS(.max_bytes = 16 * LITTLE));

	ck_that(rc == 0 || d == UNTOUCHED);
	if (rc == 0)
		*out = d;
	return rc;
}

static int open_dict(void **out, const char *name)
{
	struct ipck_dict *d = UNTOUCHED;
	int rc = ipck_dict_open(&d, name, NULL);

	ck_that(rc == 0 || d == UNTOUCHED);
	if (rc == 0)
		*out = d;
	return rc;
}

static int open_dict_fd(void **out, int fd)
{
	struct ipck_dict *d = UNTOUCHED;
	int rc = ipck_dict_open_fd(&d, fd, NULL);

	ck_that(rc == 0 || d == UNTOUCHED);
	if (rc == 0)
		*out = d;
	return rc;
}

static int dict_descriptor(const void *d)
{
	return ipck_dict_fd(d);
}

static void close_dict(void *d)
{
	ipck_dict_close(d);
}

static void mark_dict(void *d)
{
	dict = d;
	ck_that(ck_ok(set_text("mark", "marked")) == IPCK_CREATED);
}

/* All of it works, and leaves what was in it. */
static void is_marked(void *d)
{
	struct ipck_dict *whole = dict;
	uint64_t keys;

	dict = d;
	keys = figures().keys;
	expect_text("mark", "marked");
	ck_that(ck_ok(set_text("another", "one")) == IPCK_CREATED);
	expect_text("another", "one");
	ck_that(ck_ok(set_text("another", "that is too long for a cell")) == 0);
	expect_text("another", "that is too long for a cell");
	has_keys(keys + 1);
	ck_ok(ipck_dict_delete(dict, "another", 7));
	expect_none("another");
	has_keys(keys);
	is_sound();
	dict = whole;
}

static const struct life life = {
	create_dict, open_dict,        open_dict_fd, dict_descriptor,
	close_dict,  ipck_dict_unlink, mark_dict,    is_marked,
};

START_TEST(life_with_failures)
{
	sweep_life(&life_scenarios[_i]);
}
END_TEST

/* A signal early in the life of the machine: it is never told. */
START_TEST(interrupted_seed)
{
	const char *call;
	bool failed;
	int error;

	random_error = EINTR;
	for (unsigned n = 0;; n++) {
		forget_anonymous();
		fault_arm(n, FAULT_ONCE);
		error = create();
		failed = fault_disarm(&call, &(int){0});
		ck_that(error != -EINTR);
		if (error == 0)
			use_created();
		if (!failed)
			break;
	}
}
END_TEST

/* ---- one key ---- */

static size_t size;
static ssize_t old_size; /* or -1 */

/* With another handle, to which the dict grows by itself. */
static void make(void)
{
	make_anonymous();
	ck_ok(open_by_fd());
	old_size = -1;
	size = 8;
}

/* What was reserved ahead: by keys that are large enough for a slab each, or for pages. */
static void use_up(void)
{
	fault_lack(LACK_SPACE);
	for (size_t n = 4 * LARGE; n > 4000; n /= 2)
		for (uint64_t key = 1000000 * n; put(key, n, key) >= 0; key++)
			;
	for (uint64_t key = 2000000; key < 2001000; key++)
		if (put(key, 4000, key) < 0 && key > 2000100)
			break;
	fault_lack(LACK_NOTHING);
	before = figures();
}

static void make_old(ssize_t n)
{
	make();
	old_size = n;
	ck_ok(put(1, (size_t)n, 1));
}

static void make_none(void)
{
	make();
	use_up();
}

static void make_none_large(void)
{
	make_none();
	size = LARGE;
}

static void make_small(void)
{
	make_old(8);
	use_up();
	size = 600;
}

static void make_record(void)
{
	make_old(600);
	use_up();
	size = LARGE;
}

static void make_large(void)
{
	make_old((ssize_t)LARGE);
	use_up();
	size = 3 * LARGE;
}

static int set(void)
{
	int rc = put(1, size, 2);

	ck_that(rc < 0 || rc == (old_size < 0 ? IPCK_CREATED : 0));
	return MIN(rc, 0);
}

static int insert(void)
{
	uint64_t key = 1;

	fill(bytes, size, 2);
	return ipck_dict_insert(dict, &key, 8, bytes, size);
}

static int replace(void)
{
	uint64_t key = 1;

	fill(bytes, size, 2);
	return ipck_dict_replace(dict, &key, 8, bytes, size);
}

static int swap(void)
{
	uint64_t key = 1;

	fill(bytes, size, 2);
	fill(old_bytes, (size_t)old_size, 1);
	return ipck_dict_swap(dict, &key, 8, old_bytes, (size_t)old_size, bytes, size);
}

static unsigned updates;

static int put_two(const void **value, size_t *n, void *arg)
{
	ck_that((*value == NULL) == (old_size < 0) && (!*value || is_filled(*value, *n, 1)));
	updates++;
	*value = arg;
	*n = size;
	return IPCK_DICT_SET;
}

static int update(void)
{
	uint64_t key = 1;
	int rc;

	fill(bytes, size, 2);
	rc = ipck_dict_update(dict, &key, 8, put_two, bytes);
	ck_that(rc < 0 || rc == IPCK_DICT_SET);
	return MIN(rc, 0);
}

/* A key that has no count yet. */
static int add(void)
{
	int64_t sum = 77;
	int rc = ipck_dict_add_u64(dict, 1, 5, &sum);

	ck_that(rc < 0 ? sum == 77 : sum == 5 && rc == IPCK_CREATED);
	return MIN(rc, 0);
}

/* The old value, or none; an index may have been made for it. */
static void not_set(void)
{
	ck_that(figures().keys == before.keys && figures().recovered == 0);
	if (old_size < 0)
		ck_that(!has(1));
	else
		expect_filled(1, (size_t)old_size, 1);
	expect_text("mark", "marked");
	is_sound();
}

static void in_both(size_t n, uint64_t whose)
{
	expect_filled(1, n, whose);
	dict = other;
	expect_filled(1, n, whose);
	is_sound();
	dict = object;
}

static void is_set(void)
{
	in_both(size, 2);
	is_marked(object);
	use_open();
}

static void is_added(void)
{
	uint64_t count = 0;

	ck_ok(ipck_dict_get_u64(other, 1, &count));
	ck_that(count == 5);
	is_marked(object);
	use_open();
}

/* ---- get, pop, delete ---- */

static void *value;
static size_t value_size;

static void make_to_get(void)
{
	make_old((ssize_t)LARGE);
	before = figures();
	value = UNTOUCHED;
	value_size = 77;
}

static int get_new(void)
{
	uint64_t key = 1;

	return ipck_dict_get_new(dict, &key, 8, &value, &value_size);
}

static void not_got(void)
{
	ck_that(value == UNTOUCHED && value_size == 77);
	not_set();
}

static void use_got(void)
{
	ck_that(value_size == LARGE && is_filled(value, LARGE, 1));
	free(value);
	use_open();
}

/* These need nothing. */
static int get_and_pop(void)
{
	uint64_t key = 1;

	ck_that(ck_ok(ipck_dict_get(dict, &key, 8, bytes, LARGE, NULL)) == (int64_t)LARGE);
	ck_that(is_filled(bytes, LARGE, 1));
	memset(bytes, 0, LARGE);
	ck_that(ck_ok(ipck_dict_pop(dict, &key, 8, bytes, LARGE, NULL)) == (int64_t)LARGE);
	ck_that(is_filled(bytes, LARGE, 1));
	ck_ok(ipck_dict_delete(dict, "mark", 4));
	return 0;
}

static void all_is_gone(void)
{
	has_keys(0);
	is_sound();
	mark_dict(dict);
	use_open();
}

/* ---- many keys ---- */

static size_t size_of(uint64_t key)
{
	static const size_t sizes[] = {8, 8, 0, 30, 500, 8, 3000, LARGE};

	return sizes[key % ARRAY_SIZE(sizes)];
}

/* What is missing of them. */
static int fill_dict(void)
{
	for (uint64_t key = 1; key < KEYS; key++) {
		int rc = has(key) ? 0 : put(key, size_of(key), key);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static uint64_t count_whole(void)
{
	uint64_t keys = 0;

	for (uint64_t key = 1; key < KEYS; key++)
		if (has(key)) {
			keys++;
			expect_filled(key, size_of(key), key);
		}
	return keys;
}

static void keys_are_whole(void)
{
	has_keys(count_whole() + 1);
	is_sound();
	expect_text("mark", "marked");
}

static void has_all(void)
{
	ck_that(count_whole() == KEYS - 1);
	keys_are_whole();
}

static void delete_all(void)
{
	has_all();
	for (uint64_t key = 1; key < KEYS; key++)
		ck_ok(ipck_dict_delete_u64(dict, key));
	has_keys(1);
	use_open();
}

static void make_many(void)
{
	make();
	ck_ok(fill_dict());
}

static void make_full(void)
{
	make_many();
	use_up();
}

static int clear(void)
{
	return ipck_dict_clear(dict);
}

/* ---- iterators ---- */

static struct ipck_dict_iter *iter;
static unsigned seen[KEYS];

static void make_to_iterate(void)
{
	make_many();
	memset(seen, 0, sizeof(seen));
	iter = UNTOUCHED;
}

static void make_iterator(void)
{
	struct ipck_dict_item item;
	uint64_t key = 0;

	make_to_iterate();
	ck_ok(ipck_dict_iterate(dict, &iter));
	/* What it keeps from then on is no leak. */
	ck_that(ck_ok(ipck_dict_next(iter, &item)) == 1);
	if (item.key_size == 8)
		memcpy(&key, item.key, 8);
	seen[key]++;
}

static int iterate(void)
{
	return ipck_dict_iterate(dict, &iter);
}

static int snapshot(void)
{
	return ipck_dict_snapshot(dict, &iter);
}

static void no_iterator(void)
{
	ck_that(iter == UNTOUCHED);
	has_all();
}

/* Goes on where it failed. */
static int next(void)
{
	struct ipck_dict_item item, untouched;
	uint64_t key;
	int rc;

	memset(&item, 'u', sizeof(item));
	untouched = item;
	while ((rc = ipck_dict_next(iter, &item)) > 0) {
		key = 0;
		if (item.key_size == 8)
			memcpy(&key, item.key, 8);
		ck_that(key < KEYS && (key || item.key_size == 4));
		ck_that(key == 0 || is_filled(item.value, item.value_size, key));
		seen[key]++;
		memset(&item, 'u', sizeof(item));
	}
	ck_that(memcmp(&item, &untouched, sizeof(item)) == 0);
	return rc;
}

static void each_once(void)
{
	ck_ok(next());
	ipck_dict_iter_free(iter);
	for (unsigned key = 0; key < KEYS; key++)
		ck_that(seen[key] == 1);
	use_open();
}

static const struct scenario scenarios[] = {
	{"set", make_none, set, not_set, is_set, end, 0, 2},
	{"set, large", make_none_large, set, not_set, is_set, end, 0, 2},
	{"set, from small", make_small, set, not_set, is_set, end, 0, 2},
	{"set, from a record", make_record, set, not_set, is_set, end, 0, 2},
	{"set, from large", make_large, set, not_set, is_set, end, 0, 2},
	{"insert", make_none_large, insert, not_set, is_set, end, 0, 2},
	{"replace", make_small, replace, not_set, is_set, end, 0, 2},
	{"swap", make_record, swap, not_set, is_set, end, 0, 2},
	{"add", make_none, add, not_set, is_added, end, 0, 2},
	{"update", make_large, update, not_set, is_set, end, 0, 4},
	{"update, none", make_none_large, update, not_set, is_set, end, 0, 3},
	{"get new", make_to_get, get_new, not_got, use_got, end, 0, 2},
	{"get, pop, delete", make_to_get, get_and_pop, nothing, all_is_gone, end, 0, 0},
	{"grow", make, fill_dict, keys_are_whole, delete_all, end, 0, 10},
	{"clear", make_full, clear, nothing, all_is_gone, end, 0, 0},
	{"iterate", make_to_iterate, iterate, no_iterator, each_once, end, 0, 1},
	{"snapshot", make_to_iterate, snapshot, no_iterator, each_once, end, 0, 5},
	{"next", make_iterator, next, has_all, each_once, end, 0, 1},
};

START_TEST(use_with_failures)
{
	sweep_both(&scenarios[_i]);
}
END_TEST

/* ---- no memory for a time ---- */

/* What needs none goes on: values of the same size, keys that go and come. */
START_TEST(full_for_a_time)
{
	make_full();
	fault_lack(LACK_SPACE);
	ck_err(put(KEYS, 4 * LARGE, 0), ENOSPC);
	ck_that(!has(KEYS));
	ck_that(count_whole() == KEYS - 1);
	is_sound();
	ck_that(ck_ok(put(1, 8, 7)) == 0);
	expect_filled(1, 8, 7);
	for (uint64_t key = 1; key < KEYS; key++)
		ck_ok(ipck_dict_delete_u64(dict, key));
	/* Pages in a row are there as long as nothing smaller has begun with them. */
	for (uint64_t key = 1; key < KEYS; key++)
		if (size_of(key) == LARGE)
			ck_that(ck_ok(put(key, LARGE, key)) == IPCK_CREATED);
	ck_ok(fill_dict());
	ck_that(count_whole() == KEYS - 1);
	is_sound();
	fault_lack(LACK_NOTHING);
	ck_that(ck_ok(put(KEYS, 4 * LARGE, 0)) == IPCK_CREATED);
	ck_ok(ipck_dict_delete_u64(dict, KEYS));
	use_open();
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fault_dict");
	TCase *tc = test_case(s, "faults");

	tcase_add_loop_test(tc, life_with_failures, 0, ARRAY_SIZE(life_scenarios));
	tcase_add_test(tc, interrupted_seed);
	tcase_add_loop_test(tc, use_with_failures, 0, ARRAY_SIZE(scenarios));
	tcase_add_test(tc, full_for_a_time);
	return test_main(s);
}
