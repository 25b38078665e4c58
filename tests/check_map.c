/* SPDX-License-Identifier: MIT */
/* map: results, sizes, arguments, statuses; and what it keeps of its promises. */
#include <ipckit/pool.h>

#include "pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pool/internal.h"

/* ---- how many ---- */

static const size_t counts[] = {0, 1, 2, 7, 100, 1023, 1024, 1025, 5000, 100000};

START_TEST(test_counts)
{
	for (int workers = 1; workers <= 3; workers += 2) {
		struct ipck_pool *pool = pool_new(_i, workers);

		for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
			pool_works(pool, counts[i]);
		/* With nothing to say. */
		for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]) - 1; i++) {
			store_release(&meet->finished, 0);
			open_gate();
			ck_that(ck_ok(ipck_pool_map(pool, wait_at_gate, NULL, counts[i], 0, NULL, 0, NULL,
			                            IPCK_FOREVER)) == 0);
			ck_that(load_acquire(&meet->finished) == counts[i]);
		}
		pool_end(pool);
	}
}
END_TEST

/* ---- sizes ---- */

/* An item begins with its number, as much of it as there is room for. */
static void make_item(unsigned char *item, size_t size, uint64_t i)
{
	pattern_fill(item, size, size);
	memcpy(item, &i, size < 8 ? size : 8);
}

static bool is_item(const unsigned char *item, size_t size, uint64_t i)
{
	size_t head = size < 8 ? size : 8;

	return memcmp(item, &i, head) == 0 && pattern_is(item + head, size - head, size + head);
}

struct shape {
	size_t in, out;
};

static size_t power_in(size_t size)
{
	size_t power = size & -size;

	return power == 0 || power > 64 ? 64 : power;
}

/* All is checked; and that they are as aligned as in an array. */
static int transform(const void *in, void *out, const void *arg)
{
	const struct shape *s = arg;
	uint64_t i = 0;

	memcpy(&i, in, s->in < 8 ? s->in : 8);
	if (s->in && (uintptr_t)in % power_in(s->in))
		return 1;
	if (s->out && (uintptr_t)out % power_in(s->out))
		return 2;
	if (!is_item(in, s->in, i))
		return 3;
	make_item(out, s->out, i);
	return 0;
}

static const struct {
	struct shape shape;
	size_t n;
} sizes[] = {
	{{0, 0}, 1000},     {{1, 0}, 1000},         {{0, 1}, 1000},       {{1, 1}, 3000},
	{{3, 8}, 1000},     {{8, 3}, 1000},         {{64, 16}, 1000},     {{100, 4096}, 300},
	{{4096, 100}, 300}, {{65536, 65537}, 10},   {{1 << 20, 8}, 5},    {{8, 1 << 20}, 5},
	{{0, 1 << 20}, 3},  {{1 << 20, 1 << 20}, 20},
};

START_TEST(test_sizes)
{
	struct shape s = sizes[_i].shape;
	size_t n = sizes[_i].n;
	/* What of its number a small item can tell. */
	uint64_t mask = s.in < 8 ? ((uint64_t)1 << 8 * s.in) - 1 : UINT64_MAX;
	unsigned char *in = malloc(n * s.in + 1), *out = malloc(n * s.out + 1);

	ck_that(in && out);
	for (size_t i = 0; i < n; i++)
		make_item(in + i * s.in, s.in, i);
	for (int threads = 0; threads < KINDS; threads++) {
		struct ipck_pool *pool = pool_new(threads, 2);
		struct ipck_status status[3000];

		memset(out, 0, n * s.out);
		ck_that(ck_ok(ipck_pool_map(pool, transform, s.in ? in : NULL, n, s.in, s.out ? out : NULL, s.out,
		                            IPCK_MAP_OPTS(.arg = &s, .arg_size = sizeof(s), .status = status),
		                            IPCK_FOREVER)) == 0);
		ck_assert(all_are(status, n, IPCK_DONE));
		for (size_t i = 0; i < n; i++)
			ck_that(is_item(out + i * s.out, s.out, i & mask));
		pool_end(pool);
	}
	free(in);
	free(out);
}
END_TEST

static int nothing(const void *in, void *out, const void *arg)
{
	(void)in, (void)out, (void)arg;
	return 0;
}

START_TEST(test_bad_sizes)
{
	struct ipck_pool *pool = pool_new(_i, 3);
	const size_t most = PTRDIFF_MAX / 4;
	char x = 0;
	static const struct {
		size_t n, in, out;
	} bad[] = {
		{SIZE_MAX, 2, 0},         {SIZE_MAX / 2 + 1, 2, 2}, {SIZE_MAX / 3, 0, 4}, {2, SIZE_MAX, 0},
		{2, 0, SIZE_MAX / 2 + 1}, {1, SIZE_MAX, SIZE_MAX},  {1, 0, SIZE_MAX - 63}, {SIZE_MAX, 0, 0},
		{SIZE_MAX, 1, 0},         {SIZE_MAX / 2 + 1, 0, 1}, {1, SIZE_MAX - 63, 1},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_err(ipck_pool_map(pool, nothing, &x, bad[i].n, bad[i].in, &x, bad[i].out, NULL, IPCK_FOREVER),
		       EINVAL);
	ck_err(ipck_pool_map(pool, nothing, NULL, 1, 1, &x, 1, NULL, IPCK_FOREVER), EINVAL);
	ck_err(ipck_pool_map(pool, nothing, &x, 1, 1, NULL, 1, NULL, IPCK_FOREVER), EINVAL);
	ck_err(ipck_pool_map(pool, nothing, &x, 1, 1, &x, 1, IPCK_MAP_OPTS(.retries = -1), IPCK_FOREVER), EINVAL);
	ck_err(ipck_pool_map(pool, nothing, &x, 1, 1, &x, 1, IPCK_MAP_OPTS(.arg_size = 1), IPCK_FOREVER), EINVAL);
	ck_err(ipck_pool_map(pool, nothing, &x, 1, 1, &x, 1,
	                     IPCK_MAP_OPTS(.arg = &x, .arg_size = (size_t)PTRDIFF_MAX), IPCK_FOREVER),
	       ENOSPC);
	/* More than the machine has. */
	ck_err(ipck_pool_map(pool, nothing, &x, 1, (size_t)1 << 60, &x, 1, NULL, IPCK_FOREVER), ENOSPC);
	ck_err(ipck_pool_map(pool, nothing, NULL, 1, 0, &x, (size_t)1 << 60, NULL, IPCK_FOREVER), ENOSPC);
	for (size_t n = 1; n <= 8; n++) {
		ck_err(ipck_pool_map(pool, nothing, &x, n, most / n, &x, most, NULL, IPCK_FOREVER), ENOSPC);
		ck_err(ipck_pool_map(pool, nothing, &x, n, most, &x, n < 8 ? most : 1, NULL, IPCK_FOREVER), ENOSPC);
	}
	/* As many as can be counted, of nothing. */
	ck_err(ipck_pool_map(pool, wait_at_gate, NULL, SSIZE_MAX / 4, 0, NULL, 0, NULL, IPCK_NOWAIT), ETIMEDOUT);
	open_gate();
	pool_works(pool, 10);
	pool_end(pool);
}
END_TEST

/* ---- the argument block ---- */

static int read_argument(const void *in, void *out, const void *arg)
{
	size_t size = *(const size_t *)in;

	if (!size || !arg)
		return size || arg;
	if ((uintptr_t)arg % 64)
		return 2;
	if (!pattern_is(arg, size, size))
		return 3;
	*(unsigned char *)out = 1;
	return 0;
}

static const size_t argument_sizes[] = {0, 1, 8, 64, 4095, 4096, 100000, 1 << 20};

START_TEST(test_arguments)
{
	struct ipck_pool *pool = pool_new(_i, 2);

	for (size_t a = 0; a < sizeof(argument_sizes) / sizeof(argument_sizes[0]); a++) {
		size_t size = argument_sizes[a], in[50];
		unsigned char *arg = malloc(size + 1), out[50];

		pattern_fill(arg, size, size);
		for (int i = 0; i < 50; i++)
			in[i] = size;
		ck_that(ck_ok(ipck_pool_map(pool, read_argument, in, 50, sizeof(*in), out, 1,
		                            IPCK_MAP_OPTS(.arg = arg, .arg_size = size), IPCK_FOREVER)) == 0);
		free(arg);
	}
	pool_end(pool);
}
END_TEST

/* ---- statuses ---- */

/* Item x fails with x if that is a multiple of 7, after it has written. */
static int fail_sevenths(const void *in, void *out, const void *arg)
{
	int x = *(const int *)in;

	(void)arg;
	add_acq_rel(&meet->finished, 1);
	*(int *)out = 2 * x;
	return x % 7 ? 0 : x;
}

static void check_sevenths(struct ipck_pool *pool, int first, int n, const struct ipck_map_opts *opts)
{
	int *in = calloc((size_t)n, sizeof(*in)), *out = calloc((size_t)n, sizeof(*out)), failed = 0;

	ck_that(in && out);
	for (int i = 0; i < n; i++) {
		in[i] = first + i;
		out[i] = -77;
		failed += in[i] % 7 == 0 && in[i] != 0;
	}
	ck_that(ck_ok(ipck_pool_map(pool, fail_sevenths, in, (size_t)n, sizeof(*in), out, sizeof(*out), opts,
	                            IPCK_FOREVER)) == failed);
	for (int i = 0; i < n; i++) {
		bool fails = in[i] % 7 == 0 && in[i] != 0;

		ck_that(out[i] == (fails ? -77 : 2 * in[i]));
		if (opts && opts->status) {
			ck_that(opts->status[i].outcome == (fails ? IPCK_FAILED : IPCK_DONE));
			ck_that(opts->status[i].value == (fails ? in[i] : 0));
		}
	}
	free(in);
	free(out);
}

START_TEST(test_statuses)
{
	struct ipck_pool *pool = pool_new(_i, 2);
	struct ipck_status *status = calloc(10000, sizeof(*status));

	/* Positive and negative values; all right again behind them. */
	check_sevenths(pool, -5000, 10000, IPCK_MAP_OPTS(.status = status));
	check_sevenths(pool, -5000, 10000, NULL);
	check_sevenths(pool, 7, 1, IPCK_MAP_OPTS(.status = status));
	check_sevenths(pool, 1, 1, IPCK_MAP_OPTS(.status = status));
	/* An item that failed is not run again: only one that was lost is. */
	store_release(&meet->finished, 0);
	check_sevenths(pool, 0, 1000, IPCK_MAP_OPTS(.status = status, .retries = 3));
	ck_assert_uint_eq(load_acquire(&meet->finished), 1000);
	check_sevenths(pool, 0, 1000, IPCK_MAP_OPTS(.status = status, .retries = INT32_MAX));
	free(status);
	pool_end(pool);
}
END_TEST

/* ---- memory ---- */

static int add_one(const void *in, void *out, const void *arg)
{
	(void)arg;
	*(unsigned char *)out = (unsigned char)(*(const unsigned char *)in + 1);
	return 0;
}

static size_t shared_bytes(const struct ipck_pool *pool)
{
	struct stat st;

	ck_that(fstat(pool->segment.fd, &st) == 0);
	return (size_t)st.st_size;
}

#ifdef TEST_THREAD_SANITIZER
#define ITEMS 1000000
#else
#define ITEMS 10000000
#endif

START_TEST(test_more_than_fits)
{
	const size_t n = ITEMS;
	struct ipck_pool *pool = pool_new(_i, 2);
	unsigned char *bytes = malloc(n);

	ck_that(bytes);
	for (size_t i = 0; i < n; i++)
		bytes[i] = (unsigned char)(i * 31);
	/* The result may take the item's place. */
	ck_that(ck_ok(ipck_pool_map(pool, add_one, bytes, n, 1, bytes, 1, NULL, IPCK_FOREVER)) == 0);
	for (size_t i = 0; i < n; i++)
		ck_that(bytes[i] == (unsigned char)(i * 31 + 1));
	ck_assert_uint_lt(shared_bytes(pool), 4 << 20);
	free(bytes);
	pool_end(pool);
}
END_TEST

/* What one call takes comes back for the next. */
START_TEST(test_memory_comes_back)
{
	struct ipck_pool *pool = pool_new(_i, 2);
	size_t size = 100 * 1000, before = 0;
	char *in = calloc(40, size), *out = malloc(40 * size);

	ck_that(in && out);
	for (int round = 0; round < 20; round++) {
		ck_that(ck_ok(ipck_pool_map(pool, nothing, in, 40, size, out, size,
		                            IPCK_MAP_OPTS(.arg = in, .arg_size = 10 * size), IPCK_FOREVER)) == 0);
		pool_works(pool, 3000);
		if (round == 5)
			before = shared_bytes(pool);
	}
	ck_assert_uint_eq(shared_bytes(pool), before);
	free(in);
	free(out);
	pool_end(pool);
}
END_TEST

/* ---- side by side ---- */

static void works_in_thread(unsigned i, void *pool)
{
	for (int round = 0; round < 10; round++) {
		pool_works(pool, 1000 * i + 7);
		check_sevenths(pool, (int)i - 500, 1000, NULL);
	}
}

START_TEST(test_many_threads)
{
	struct ipck_pool *pool = pool_new(_i, 2);
	uint64_t done = 0;

	test_threads(8, works_in_thread, pool);
	for (uint64_t i = 0; i < 8; i++)
		done += 10 * (1000 * i + 7 + 1000);
	ck_ok(ipck_pool_close(pool));
	ck_ok(ipck_pool_join(pool, IPCK_FOREVER));
	ck_assert_uint_eq(pool_figures(pool).done, done);
	ipck_pool_free(pool);
}
END_TEST

/* The slow one waits until all others are done. */
static int wait_for_all_others(const void *in, void *out, const void *arg)
{
	const uint32_t *others = arg;

	(void)out;
	if (!*(const int *)in)
		add_acq_rel(&meet->finished, 1);
	while (*(const int *)in && load_acquire(&meet->finished) < *others)
		usleep(500);
	return 0;
}

START_TEST(test_slow_item)
{
	static const int slow[] = {0, 1, 499, 500, 998, 999};
	struct ipck_pool *pool = pool_new(_i, 2);
	uint32_t others = 999;

	for (size_t k = 0; k < sizeof(slow) / sizeof(slow[0]); k++) {
		int in[1000] = {0};

		in[slow[k]] = 1;
		store_release(&meet->finished, 0);
		ck_that(ck_ok(ipck_pool_map(pool, wait_for_all_others, in, 1000, sizeof(int), NULL, 0,
		                            IPCK_MAP_OPTS(.arg = &others, .arg_size = sizeof(others)),
		                            IPCK_FOREVER)) == 0);
	}
	pool_end(pool);
}
END_TEST

/* A whole map waits for what the other maps of the pool do, with a worker to spare. */
static void wait_or_go(unsigned i, void *pool)
{
	uint32_t others = 3 * 100;
	int in[100] = {i == 0};

	ck_that(ck_ok(ipck_pool_map(pool, wait_for_all_others, in, i ? 100 : 1, sizeof(int), NULL, 0,
	                            IPCK_MAP_OPTS(.arg = &others, .arg_size = sizeof(others)), IPCK_FOREVER)) == 0);
}

START_TEST(test_slow_map)
{
	struct ipck_pool *pool = pool_new(_i, 2);

	test_threads(4, wait_or_go, pool);
	pool_end(pool);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("map");
	TCase *tc = pool_case(s, "results");

	pool_test(tc, test_counts);
	tcase_add_loop_test(tc, test_sizes, 0, sizeof(sizes) / sizeof(sizes[0]));
	pool_test(tc, test_bad_sizes);
	pool_test(tc, test_arguments);
	pool_test(tc, test_statuses);
	tc = pool_case(s, "memory");
	pool_test(tc, test_more_than_fits);
	pool_test(tc, test_memory_comes_back);
	tc = pool_case(s, "side by side");
	pool_test(tc, test_many_threads);
	pool_test(tc, test_slow_item);
	pool_test(tc, test_slow_map);
	return test_main(s);
}
