/* SPDX-License-Identifier: MIT */
/*
 * Maps and iterations from several threads while workers and masters are killed
 * at random: each item has its right result or a death of its own, and nothing
 * hangs.
 */
#include <ipckit.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support.h"

#define WORKERS 3
#define ITEMS 300

static struct ipck_pool *pool;
static int64_t end_ms;
static uint64_t kills;

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static void prime(void)
{
	struct ipck_process *p;

	ck_ok(ipck_process_start(&p, nothing, NULL, NULL));
	ck_ok(ipck_process_join(p, IPCK_FOREVER));
	ck_ok(ipck_process_close(p));
}

static uint64_t mix(uint64_t x)
{
	x *= UINT64_C(0x9e3779b97f4a7c15);
	return x ^ x >> 29;
}

/* Some work, so that deaths meet it. */
static int map_task(const void *in, void *out, const void *arg)
{
	uint64_t x = *(const uint64_t *)in;

	(void)arg;
	for (volatile int i = 0; i < 2000; i++)
		;
	*(uint64_t *)out = mix(x);
	return 0;
}

static int imap_task(const void *item, size_t size, const void *arg, struct ipck_result *result)
{
	uint64_t x = *(const uint64_t *)item, words[700];
	size_t n = x % 700;

	(void)size;
	(void)arg;
	for (size_t i = 0; i < n; i++)
		words[i] = mix(x + i);
	return ipck_result_write(result, words, n * sizeof(*words));
}

static void check_status(struct ipck_status status)
{
	ck_that(status.outcome == IPCK_DONE || (status.outcome == IPCK_KILLED && status.value == SIGKILL));
}

static void map_round(struct test_random *random)
{
	uint64_t in[ITEMS], out[ITEMS];
	struct ipck_status status[ITEMS];
	size_t n = 1 + test_random_below(random, ITEMS);
	size_t lost = 0;
	ssize_t rc;

	for (size_t i = 0; i < n; i++)
		in[i] = test_random_next(random);
	rc = ipck_pool_map(pool, map_task, in, n, sizeof(*in), out, sizeof(*out), IPCK_MAP_OPTS(.status = status),
	                   ipck_in_sec(20));
	ck_ok(rc);
	for (size_t i = 0; i < n; i++) {
		check_status(status[i]);
		if (status[i].outcome == IPCK_DONE)
			ck_that(out[i] == mix(in[i]));
		else
			lost++;
	}
	ck_that(lost == (size_t)rc);
}

struct source {
	struct test_random *random;
	uint64_t items[ITEMS];
	size_t next, n;
};

static int read_source(void *ctx, const void **item, size_t *size)
{
	struct source *s = ctx;

	if (s->next == s->n)
		return 0;
	*item = &s->items[s->next++];
	*size = sizeof(*s->items);
	return 1;
}

static void check_result(const struct ipck_item *item, uint64_t x)
{
	const uint64_t *words = item->data;

	ck_that(item->size == x % 700 * sizeof(*words));
	for (size_t i = 0; i < x % 700; i++)
		ck_that(words[i] == mix(x + i));
}

static void imap_round(struct test_random *random)
{
	struct source s = {.n = test_random_below(random, ITEMS)};
	bool seen[ITEMS] = {false}, ordered = test_random_below(random, 2);
	size_t stop = test_random_below(random, 4) ? s.n : s.n / 2;
	struct ipck_imap *imap;
	struct ipck_item item;

	for (size_t i = 0; i < s.n; i++)
		s.items[i] = test_random_next(random);
	if (ordered)
		ck_ok(ipck_pool_imap(&imap, pool, imap_task, read_source, &s, NULL));
	else
		ck_ok(ipck_pool_imap_unordered(&imap, pool, imap_task, read_source, &s, NULL));
	for (size_t i = 0; i < stop; i++) {
		ck_that(ipck_imap_next(imap, &item, ipck_in_sec(20)) == 1);
		ck_that(item.index < s.n && !seen[item.index] && (!ordered || item.index == i));
		seen[item.index] = true;
		check_status(item.status);
		if (item.status.outcome == IPCK_DONE)
			check_result(&item, s.items[item.index]);
	}
	if (stop == s.n)
		ck_that(ipck_imap_next(imap, &item, ipck_in_sec(20)) == 0);
	ipck_imap_close(imap);
}

/* One kills, now and then a master; the others work. */
static void kill_round(struct test_random *random)
{
	struct ipck_pool_stat stat = IPCK_POOL_STAT_INIT;
	pid_t pids[WORKERS];
	size_t n = ipck_pool_pids(pool, pids, WORKERS);

	usleep((useconds_t)test_random_below(random, 5000));
	ck_ok(ipck_pool_stat(pool, &stat));
	if (test_random_below(random, 50) == 0 && stat.master > 0)
		kill(stat.master, SIGKILL);
	else if (n > 0 && n <= WORKERS)
		kill(pids[test_random_below(random, n)], SIGKILL);
	kills++;
}

static void play(unsigned i, void *arg)
{
	struct test_random random = test_random(i);

	(void)arg;
	while (test_now_ms() < end_ms) {
		if (i == 0)
			kill_round(&random);
		else if (i == 1)
			map_round(&random);
		else
			imap_round(&random);
	}
}

START_TEST(test_soak)
{
	end_ms = test_now_ms() + (int64_t)(1000 * test_soak_seconds());
	ck_ok(ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = WORKERS)));
	test_threads(3, play, NULL);
	ck_assert_ptr_null(ipck_pool_reason(pool));
	ck_assert_uint_gt(kills, 0);
	ck_ok(ipck_pool_close(pool));
	ck_ok(ipck_pool_join(pool, ipck_in_sec(20)));
	ipck_pool_free(pool);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("soak_pool");
	TCase *tc = test_case_primed(s, "soak", prime);

	test_set_limit(tc, 60 + test_soak_seconds());
	tcase_add_test(tc, test_soak);
	return test_main(s);
}
