/* SPDX-License-Identifier: MIT */
/* Dicts in damaged memory: an error, never a crash, and never a call that does not end. */
#include "coll/dict.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ipckit/shm.h>

#include "support.h"

#include "fuzz/fuzz_dict.h"

#define INPUTS 400
#define CHANGES 16

START_TEST(damaged)
{
	struct test_random random = test_random(1);
	uint8_t input[4 * CHANGES];

	for (int i = 0; i < INPUTS; i++) {
		size_t changes = test_random_below(&random, CHANGES + 1);

		test_random_bytes(&random, input, sizeof(input));
		fuzz_dict(input, 4 * changes);
	}
	printf("%d inputs: %u calls done, %u errors\n", INPUTS, fuzz_dict_done, fuzz_dict_damaged);
	ck_assert_uint_gt(fuzz_dict_done, INPUTS);
	ck_assert_uint_gt(fuzz_dict_damaged, INPUTS);
}
END_TEST

/* A key whose shard has no index, and whose tag is as a line that there is memory for. */
static uint64_t key_without_index(const struct ipck_dict *d, uint64_t *line)
{
	for (uint64_t key = 1;; key++) {
		struct dict_key k = dict_key(d, &key, sizeof(key));

		*line = slot_tag(k.hash) * LINE_BYTES;
		if (!dict_index(d, dict_shard(d, k.hash)) && dict_is_within(d, *line, 3 * (uint64_t)LINE_BYTES))
			return key;
	}
}

/* Where there is no index nothing is found, whatever values look like. */
START_TEST(no_index)
{
	static const char filling[1 << 20];
	uint64_t key = 0, line, value = 0;
	struct ipck_dict *d;
	uint64_t *words;

	ck_ok(ipck_dict_create(&d, NULL, NULL));
	((struct dict_shm *)segment_body(&d->segment))->seed = d->seed = 1;
	ck_ok(ipck_dict_set(d, &key, sizeof(key), filling, sizeof(filling)));
	ck_ok(ipck_dict_contains(d, &key, sizeof(key)));
	ck_that(d->held > sizeof(filling));
	key = key_without_index(d, &line);
	words = (uint64_t *)(void *)(d->slabs.pages.body + line);
	words[0] = word_of_record(line / LINE_BYTES, line + LINE_BYTES);
	words[LINE_SLOTS] = record_sizes(sizeof(key), sizeof(value));
	words[LINE_SLOTS + 1] = key;
	ck_err(ipck_dict_get_u64(d, key, &value), ENOENT);
	ck_that(ck_ok(ipck_dict_set_u64(d, key, 1)) == IPCK_CREATED);
	ipck_dict_close(d);
}
END_TEST

static int open_again(struct ipck_dict *d)
{
	struct ipck_dict *again = NULL;
	int rc = ipck_dict_open_fd(&again, ipck_dict_fd(d), NULL);

	ck_that((rc == 0) == (again != NULL));
	ipck_dict_close(again);
	return rc;
}

/* Each word that is fixed at creation. */
START_TEST(shapes)
{
	static const uint64_t wrong[] = {0, 3, 7, 1025, 2048, 1 << 20, UINT64_MAX / 2, UINT64_MAX};
	struct ipck_dict *d;
	struct dict_shm *s;

	ck_ok(ipck_dict_create(&d, NULL, NULL));
	s = segment_body(&d->segment);
	ck_ok(open_again(d));
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		uint64_t *words[] = {&s->shards, &s->arenas_at, &s->pages.count, &s->pages.table_at,
		                     &s->pages.first_at};

		for (size_t w = 0; w < ARRAY_SIZE(words); w++) {
			uint64_t was = *words[w];
			int rc;

			*words[w] = wrong[i];
			rc = open_again(d);
			/* Fewer pages may be opened. */
			ck_that(rc == -EPROTO || (rc == 0 && w == 2 && wrong[i] < was));
			*words[w] = was;
		}
	}
	ck_ok(open_again(d));
	ipck_dict_close(d);
}
END_TEST

START_TEST(truncated)
{
	char path[] = "/dev/shm/ipck-copy-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);
	struct ipck_dict *d, *other;
	struct ipck_shm *shm;

	ck_that(fd >= 0 && unlink(path) == 0);
	ck_ok(ipck_dict_create(&d, NULL, NULL));
	for (size_t bytes = 0; bytes < 100000; bytes += 5000) {
		ck_that(pwrite(fd, d->segment.map, bytes, 0) == (ssize_t)bytes && ftruncate(fd, (off_t)bytes) == 0);
		ck_err(ipck_dict_open_fd(&other, fd, NULL), EPROTO);
	}
	ck_err(ipck_shm_open_fd(&shm, ipck_dict_fd(d), NULL), EPROTO);
	ck_ok(ipck_shm_create(&shm, NULL, 1 << 20, NULL));
	ck_err(ipck_dict_open_fd(&other, ipck_shm_fd(shm), NULL), EPROTO);
	ipck_shm_close(shm);
	ipck_dict_close(d);
	close(fd);
}
END_TEST

/* The last word of an index leads nowhere: what was copied before it is not told. */
START_TEST(iterated)
{
	struct ipck_dict_item item;
	struct ipck_dict_iter *it;
	struct slab_arena *shard;
	struct ipck_dict *d;
	uint64_t *word = NULL, place;
	int rc;

	ck_ok(ipck_dict_create(&d, NULL, NULL));
	for (uint64_t key = 0; key < 2000; key++)
		ck_assert_int_eq(ipck_dict_set_u64(d, key, key), IPCK_CREATED);
	shard = &d->slabs.arena[d->slabs.arenas - 1];
	place = dict_index(d, shard);
	for (uint64_t i = 0; i < index_slots(place); i++) {
		uint64_t *at = (uint64_t *)(void *)(d->slabs.pages.body + index_slot(place, i));

		if (*at > SLOT_DELETED)
			word = at;
	}
	*word |= UINT32_MAX;
	ck_ok(ipck_dict_iterate(d, &it));
	do
		rc = ipck_dict_next(it, &item);
	while (rc == 1);
	ck_err(rc, EPROTO);
	ck_err(ipck_dict_next(it, &item), EPROTO);
	ipck_dict_iter_free(it);
	ipck_dict_close(d);
}
END_TEST

static int to_one(const void **value, size_t *size, void *arg)
{
	*value = arg;
	*size = 8;
	return IPCK_DICT_SET;
}

/* What is an index for some, and none for others, is no reason to begin again for ever. */
START_TEST(updated)
{
	uint64_t one = 1, key = 7;
	struct ipck_dict *d;

	ck_ok(ipck_dict_create(&d, NULL, NULL));
	ck_assert_int_eq(ipck_dict_set(d, &key, 4, "0123456789", 10), IPCK_CREATED);
	for (uint32_t i = 0; i < d->slabs.arenas; i++)
		slab_front(&d->slabs, &d->slabs.arena[i])->own[FRONT_INDEX] &= ~UINT64_C(31);
	ck_err(ipck_dict_update(d, &key, 4, to_one, &one), EPROTO);
	ipck_dict_close(d);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dict_damage");
	TCase *tc = test_case(s, "opened");

	tcase_add_test(tc, shapes);
	tcase_add_test(tc, truncated);
	tcase_add_test(tc, iterated);
	tcase_add_test(tc, updated);
	tc = test_case(s, "used");
	test_set_limit(tc, 120);
	tcase_add_test(tc, damaged);
	tcase_add_test(tc, no_index);
	return test_main(s);
}
