/* SPDX-License-Identifier: MIT */
/*
 * Writers and readers of one dict are killed at random.  Each writer has keys of its own and writes down, in
 * shared memory, what it is about to do and what was acknowledged; all add to the same counters.  Whatever is read
 * is whole and was there at some moment of the read; at the end the dict holds what was
 * acknowledged, or the one change that was under way, and nothing else.
 */
#include <ipckit.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "far.h"
#include "filled.h"
#include "support.h"

#define WRITERS 3
#define READERS 2
#define SLOTS (WRITERS + READERS)
#define KEYS 48 /* of each writer */
#define COUNTERS 4
#define LONGEST 40000
#define INDEX_LOG_MIN 4

/* A version is a number, and above it the size of its value and whether there is one; 0: none yet. */
#define VERSION_BITS 40
#define VERSION_THERE (UINT64_C(1) << 63)

struct key_log {
	uint64_t acknowledged;
	uint64_t trying; /* what `acknowledged` is to be; the same when nothing is under way */
};

struct counter_log {
	uint64_t acknowledged;
	uint64_t trying;
	uint64_t lost; /* adds of killed ones, of which nobody knows */
};

struct shared {
	struct key_log keys[WRITERS][KEYS];
	struct counter_log counters[WRITERS][COUNTERS];
	uint64_t changes, reads;
	uint32_t stop;
};

struct slot {
	uint32_t number;
	uint64_t life; /* its n-th process */
	pid_t pid;
};

static struct shared *shared;
static struct ipck_dict *dict;
static struct slot slots[SLOTS];
static bool tight; /* there may be no memory */
static char buffer[LONGEST + 8];

static uint64_t key_of(uint32_t writer, uint32_t i)
{
	return UINT64_C(1000) * (writer + 1) + i;
}

static uint64_t counter_key(uint32_t i)
{
	return UINT64_C(1000000) + i;
}

/* What it is in the dict: of as many bytes as a cell has room for, of fewer, of more. */
struct id {
	char bytes[20];
	size_t size;
};

static struct id id_of(uint64_t key)
{
	static const size_t sizes[] = {8, 5, 20};
	struct id id = {.size = sizes[key % 3]};

	for (unsigned i = 0; i < 5; i++)
		id.bytes[i] = (char)(key >> 8 * i);
	return id;
}

static uint64_t key_of_item(const struct ipck_dict_item *item)
{
	uint64_t key = 0;
	struct id id;

	ck_that(item->key_size >= 5);
	for (unsigned i = 0; i < 5; i++)
		key |= (uint64_t)((const unsigned char *)item->key)[i] << 8 * i;
	id = id_of(key);
	ck_that(item->key_size == id.size && memcmp(item->key, id.bytes, id.size) == 0);
	return key;
}

/* ---- versions ---- */

static uint64_t number_of(uint64_t version)
{
	return version & ((UINT64_C(1) << VERSION_BITS) - 1);
}

static size_t size_of(uint64_t version)
{
	return version >> VERSION_BITS & 0xffff;
}

static bool is_there(uint64_t version)
{
	return version & VERSION_THERE;
}

static uint64_t whose(uint64_t key, uint64_t version)
{
	return key << VERSION_BITS | number_of(version);
}

static uint64_t next_version(struct test_random *random, uint64_t version)
{
	static const size_t bounds[] = {9, 9, 9, 9, 100, 100, 100, 100, 300, 300, 300, 300, 1000, 1000, 5000, LONGEST};
	uint64_t size = test_random_below(random, bounds[test_random_below(random, 16)]);

	if (test_random_below(random, 4) == 0)
		return number_of(version) + 1;
	return VERSION_THERE | size << VERSION_BITS | (number_of(version) + 1);
}

/* What a get has found, or that there is none. */
static bool is_version(ssize_t n, const char *bytes, uint64_t key, uint64_t version)
{
	if (n < 0 || !is_there(version))
		return n == -ENOENT && !is_there(version);
	return (size_t)n == size_of(version) && is_filled(bytes, (size_t)n, whose(key, version));
}

static ssize_t get(uint64_t key)
{
	struct id id = id_of(key);
	ssize_t n = ipck_dict_get(dict, id.bytes, id.size, buffer, sizeof(buffer), NULL);

	ck_that(n >= 0 || n == -ENOENT);
	return n;
}

/* ---- writers ---- */

struct want {
	const char *bytes;
	size_t size;
	bool there;
};

static int make_so(const void **value, size_t *size, void *arg)
{
	const struct want *want = arg;

	if (!want->there)
		return *value ? IPCK_DICT_DELETE : IPCK_DICT_KEEP;
	*value = want->bytes;
	*size = want->size;
	return IPCK_DICT_SET;
}

static int remove_key(struct test_random *random, uint64_t key, uint64_t from)
{
	static char popped[LONGEST];
	struct id id = id_of(key);
	ssize_t n;

	if (test_random_below(random, 2))
		return ipck_dict_delete(dict, id.bytes, id.size);
	n = ipck_dict_pop(dict, id.bytes, id.size, popped, sizeof(popped), NULL);
	ck_that(is_version(n, popped, key, from));
	return n < 0 ? (int)n : 0;
}

static int put(struct test_random *random, uint64_t key, uint64_t from, const char *bytes, size_t size)
{
	static char old[LONGEST];
	struct id id = id_of(key);

	switch (test_random_below(random, 3)) {
	case 0:
		if (is_there(from))
			return ipck_dict_replace(dict, id.bytes, id.size, bytes, size);
		return ipck_dict_insert(dict, id.bytes, id.size, bytes, size);
	case 1:
		if (!is_there(from))
			break;
		fill(old, size_of(from), whose(key, from));
		return ipck_dict_swap(dict, id.bytes, id.size, old, size_of(from), bytes, size);
	}
	return ipck_dict_set(dict, id.bytes, id.size, bytes, size);
}

/* In one of the ways that there are.  It cannot fail but for memory. */
static bool change_to(struct test_random *random, uint64_t key, uint64_t from, uint64_t to)
{
	static char bytes[LONGEST];
	struct want want = {bytes, size_of(to), is_there(to)};
	struct id id = id_of(key);
	int rc;

	fill(bytes, want.size, whose(key, to));
	if (test_random_below(random, 8) == 0)
		rc = ipck_dict_update(dict, id.bytes, id.size, make_so, &want);
	else if (!want.there)
		rc = remove_key(random, key, from);
	else
		rc = put(random, key, from, bytes, want.size);
	ck_that(rc >= 0 || (rc == -ENOENT && !is_there(from)) || (rc == -ENOSPC && tight && want.there));
	return rc != -ENOSPC;
}

static void change(const struct slot *slot, struct test_random *random)
{
	uint32_t i = (uint32_t)test_random_below(random, KEYS);
	struct key_log *log = &shared->keys[slot->number][i];
	uint64_t from = log->acknowledged, to = next_version(random, from);

	store_seq(&log->trying, to);
	if (change_to(random, key_of(slot->number, i), from, to))
		store_seq(&log->acknowledged, to);
	else
		store_seq(&log->trying, from);
	add_seq(&shared->changes, 1);
}

static void add(const struct slot *slot, struct test_random *random)
{
	uint32_t i = (uint32_t)test_random_below(random, COUNTERS);
	struct counter_log *log = &shared->counters[slot->number][i];
	struct id id = id_of(counter_key(i));

	store_seq(&log->trying, log->acknowledged + 1);
	if (ipck_dict_add(dict, id.bytes, id.size, 1, NULL) >= 0)
		store_seq(&log->acknowledged, log->trying);
	else
		ck_that(tight);
	store_seq(&log->trying, log->acknowledged);
}

/* What the one before was doing is done or not. */
static void settle(const struct slot *slot)
{
	for (uint32_t i = 0; i < KEYS; i++) {
		struct key_log *log = &shared->keys[slot->number][i];
		uint64_t key = key_of(slot->number, i);
		ssize_t n = get(key);

		if (is_version(n, buffer, key, log->trying))
			store_seq(&log->acknowledged, log->trying);
		ck_that(is_version(n, buffer, key, log->acknowledged));
		store_seq(&log->trying, log->acknowledged);
	}
	for (uint32_t i = 0; i < COUNTERS; i++) {
		struct counter_log *log = &shared->counters[slot->number][i];

		log->lost += log->trying != log->acknowledged;
		store_seq(&log->trying, log->acknowledged);
	}
}

static void writer(void *arg)
{
	const struct slot *slot = arg;
	struct test_random random = test_random(slot->life << 8 | slot->number);

	settle(slot);
	while (!load_seq(&shared->stop)) {
		if (test_random_below(&random, 4) == 0)
			add(slot, &random);
		else
			change(slot, &random);
	}
}

/* ---- readers ---- */

/* One version that there was; where no more than one change was made meanwhile, the one before that or behind. */
static void look(struct test_random *random)
{
	uint32_t writer = (uint32_t)test_random_below(random, WRITERS), i = (uint32_t)test_random_below(random, KEYS);
	const struct key_log *log = &shared->keys[writer][i];
	uint64_t key = key_of(writer, i), first = load_seq(&log->acknowledged), last;
	ssize_t n = get(key);

	last = load_seq(&log->trying);
	if (number_of(last) <= number_of(first) + 1)
		ck_that(is_version(n, buffer, key, first) || is_version(n, buffer, key, last));
	for (uint64_t number = number_of(first); n >= 0; number++) {
		ck_that(number <= number_of(load_seq(&log->trying)));
		if (is_filled(buffer, (size_t)n, whose(key, number)))
			break;
	}
	add_seq(&shared->reads, 1);
}

static void look_at_all(void)
{
	static bool seen[WRITERS][KEYS];
	struct ipck_dict_iter *iter;
	struct ipck_dict_item item;
	int rc;

	memset(seen, 0, sizeof(seen));
	ck_ok(ipck_dict_iterate(dict, &iter));
	while ((rc = ipck_dict_next(iter, &item)) == 1) {
		uint64_t key = key_of_item(&item);

		if (key >= counter_key(0)) {
			ck_that(key < counter_key(COUNTERS) && item.value_size == 8);
			continue;
		}
		ck_that(key >= 1000 && key / 1000 <= WRITERS && key % 1000 < KEYS);
		ck_that(!seen[key / 1000 - 1][key % 1000]);
		seen[key / 1000 - 1][key % 1000] = true;
	}
	ck_ok(rc);
	ipck_dict_iter_free(iter);
}

static void reader(void *arg)
{
	const struct slot *slot = arg;
	struct test_random random = test_random(slot->life << 8 | slot->number);

	while (!load_seq(&shared->stop)) {
		if (test_random_below(&random, 512) == 0)
			look_at_all();
		else
			look(&random);
	}
}

/* ---- the killer ---- */

static void start(struct slot *slot)
{
	slot->life++;
	slot->pid = test_fork(slot->number < WRITERS ? writer : reader, slot);
}

static void check_counters(void)
{
	for (uint32_t i = 0; i < COUNTERS; i++) {
		uint64_t sum = 0, acknowledged = 0, lost = 0;
		ssize_t n = get(counter_key(i));

		ck_that(n == 8 || n == -ENOENT);
		if (n == 8)
			memcpy(&sum, buffer, 8);
		for (uint32_t w = 0; w < WRITERS; w++) {
			acknowledged += shared->counters[w][i].acknowledged;
			lost += shared->counters[w][i].lost;
		}
		ck_assert_uint_ge(sum, acknowledged);
		ck_assert_uint_le(sum, acknowledged + lost);
	}
}

/* All is there, nothing else is, and all of it is given back. */
static void check_all(void)
{
	struct ipck_dict_stats stats = IPCK_DICT_STATS_INIT;
	ssize_t keys = 0;

	ck_ok(ipck_dict_check(dict));
	for (uint32_t w = 0; w < WRITERS; w++) {
		settle(&slots[w]);
		for (uint32_t i = 0; i < KEYS; i++)
			keys += is_there(shared->keys[w][i].acknowledged);
	}
	check_counters();
	for (uint32_t i = 0; i < COUNTERS; i++)
		keys += get(counter_key(i)) == 8;
	ck_assert_int_eq(ipck_dict_length(dict), keys);
	look_at_all();
	ck_ok(ipck_dict_stat(dict, &stats));
	printf("%llu changes, %llu reads, %llu recovered\n", (unsigned long long)shared->changes,
	       (unsigned long long)shared->reads, (unsigned long long)stats.recovered);
	ck_assert_uint_gt(shared->changes, 0);
	ck_ok(ipck_dict_clear(dict));
	ck_ok(ipck_dict_check(dict));
	ck_ok(ipck_dict_stat(dict, &stats));
	ck_assert_uint_eq(stats.keys, 0);
	/* But for an index of each shard, and a slab of each class of small blocks. */
	ck_assert_uint_le(stats.bytes, stats.shards * (24u << INDEX_LOG_MIN));
	ck_assert_uint_le(stats.page_bytes, stats.shards * 8 * 4096);
}

static void soak(size_t bytes)
{
	int64_t end = test_now_ms() + (int64_t)(1000 * test_soak_seconds() / 2);
	struct test_random random = test_random(0);

	shared = test_shared(sizeof(*shared));
	ck_ok(ipck_dict_create(&dict, NULL, IPCK_DICT_OPTS(.max_bytes = bytes)));
	for (uint32_t i = 0; i < SLOTS; i++) {
		slots[i] = (struct slot){.number = i};
		start(&slots[i]);
	}
	while (test_now_ms() < end) {
		struct slot *slot = &slots[test_random_below(&random, SLOTS)];

		usleep((useconds_t)test_random_below(&random, 6000));
		test_kill(slot->pid);
		start(slot);
	}
	store_seq(&shared->stop, 1);
	for (uint32_t i = 0; i < SLOTS; i++)
		test_join(slots[i].pid);
	check_all();
	ipck_dict_close(dict);
}

START_TEST(test_roomy)
{
	tight = false;
	soak(8 << 20);
}
END_TEST

/* Few shards, where they meet, and at times no memory. */
START_TEST(test_tight)
{
	tight = true;
	soak(128 << 10);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("soak_dict");
	TCase *tc = test_case(s, "soak");

	test_set_limit(tc, 60 + test_soak_seconds());
	tcase_add_test(tc, test_roomy);
	tcase_add_test(tc, test_tight);
	return test_main(s);
}
