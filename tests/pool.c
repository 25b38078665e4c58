/* SPDX-License-Identifier: MIT */
#include "pool.h"

#include <ipckit/process.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pool/internal.h"

struct meeting *meet;

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* Twice the same, so that a period can begin anywhere; its length is prime. */
#define PERIOD 4099
static unsigned char pattern[2 * PERIOD];

static void prime(void)
{
	struct test_random r = test_random(0);
	struct ipck_process *p;

	test_random_bytes(&r, pattern, PERIOD);
	memcpy(pattern + PERIOD, pattern, PERIOD);
	ck_ok(ipck_process_start(&p, nothing, NULL, NULL));
	ck_ok(ipck_process_join(p, IPCK_FOREVER));
	ck_ok(ipck_process_close(p));
	meet = test_shared(sizeof(*meet));
}

/* Setups run in their order: test_case has the leak check as its first. */
TCase *pool_case(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, prime, NULL);
	tcase_add_checked_fixture(tc, test_leaks_begin, test_leaks_end);
	test_set_limit(tc, 30);
	suite_add_tcase(s, tc);
	return tc;
}

void meet_at_gate(void)
{
	uint32_t place = add_acq_rel(&meet->begun, 1);

	while (load_acquire(&meet->open) <= place)
		usleep(500);
	add_acq_rel(&meet->finished, 1);
}

void open_gate(void)
{
	store_release(&meet->open, UINT32_MAX);
}

struct ipck_pool *pool_new(bool threads, int workers)
{
	struct ipck_pool *pool;

	ck_ok(ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = workers, .threads = threads)));
	return pool;
}

void pool_end(struct ipck_pool *pool)
{
	ck_ok(ipck_pool_close(pool));
	ck_ok(ipck_pool_join(pool, IPCK_FOREVER));
	ipck_pool_free(pool);
}

struct ipck_pool_stat pool_figures(struct ipck_pool *pool)
{
	struct ipck_pool_stat stat = IPCK_POOL_STAT_INIT;

	ck_ok(ipck_pool_stat(pool, &stat));
	return stat;
}

unsigned pool_calls(struct ipck_pool *pool)
{
	unsigned calls;

	pthread_mutex_lock(&pool->mutex);
	calls = pool->calls;
	pthread_mutex_unlock(&pool->mutex);
	return calls;
}

void pattern_fill(void *bytes, size_t size, uint64_t whose)
{
	for (size_t at = 0; at < size; at += PERIOD)
		memcpy((char *)bytes + at, pattern + whose % PERIOD, size - at < PERIOD ? size - at : PERIOD);
}

bool pattern_is(const void *bytes, size_t size, uint64_t whose)
{
	for (size_t at = 0; at < size; at += PERIOD)
		if (memcmp((const char *)bytes + at, pattern + whose % PERIOD, size - at < PERIOD ? size - at : PERIOD))
			return false;
	return true;
}

int triple(const void *in, void *out, const void *arg)
{
	uint64_t x;

	(void)arg;
	memcpy(&x, in, sizeof(x));
	x = 3 * x + 1;
	memcpy(out, &x, sizeof(x));
	return 0;
}

void pool_works(struct ipck_pool *pool, size_t n)
{
	uint64_t *in = calloc(n + 1, sizeof(*in)), *out = calloc(n + 1, sizeof(*out));

	ck_that(in && out);
	for (size_t i = 0; i < n; i++)
		in[i] = i;
	ck_that(ck_ok(ipck_pool_map(pool, triple, in, n, sizeof(*in), out, sizeof(*out), NULL, IPCK_FOREVER)) == 0);
	for (size_t i = 0; i < n; i++)
		ck_that(out[i] == 3 * i + 1);
	free(in);
	free(out);
}

bool all_are(const struct ipck_status *status, size_t n, enum ipck_outcome outcome)
{
	for (size_t i = 0; i < n; i++)
		if (status[i].outcome != outcome || status[i].value != 0)
			return false;
	return true;
}

int wait_at_gate(const void *in, void *out, const void *arg)
{
	(void)in, (void)out, (void)arg;
	meet_at_gate();
	return 0;
}

int wait_at_gate_imap(const void *item, size_t size, const void *arg, struct ipck_result *result)
{
	meet_at_gate();
	return triple_imap(item, size, arg, result);
}

int next_number(void *ctx, const void **item, size_t *size)
{
	struct numbers *n = ctx;

	if (n->next == n->end)
		return 0;
	n->now = n->next++;
	*item = &n->now;
	*size = sizeof(n->now);
	return 1;
}

int triple_imap(const void *item, size_t size, const void *arg, struct ipck_result *result)
{
	uint64_t x;

	(void)arg;
	if (size != sizeof(x))
		return -EINVAL;
	memcpy(&x, item, sizeof(x));
	x = 3 * x + 1;
	return ipck_result_write(result, &x, sizeof(x));
}
