/* SPDX-License-Identifier: MIT */
/* A pool's map over small items, and a pool that lives for one map only. */
#include "bench.h"

#include <errno.h>
#include <ipckit.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define COLD_WORKERS 4

static int square(const void *in, void *out, const void *arg)
{
	int64_t x = *(const int64_t *)in;

	(void)arg;
	*(int64_t *)out = x * x;
	return 0;
}

/* The items of a map, 0 .. n - 1, and room for their squares. */
struct items {
	int64_t *in, *out;
	size_t n;
};

static int items_init(struct items *items, long n)
{
	items->n = (size_t)n;
	items->in = calloc(items->n, sizeof(*items->in));
	items->out = calloc(items->n, sizeof(*items->out));
	if (!items->in || !items->out)
		return -ENOMEM;
	for (size_t i = 0; i < items->n; i++)
		items->in[i] = (int64_t)i;
	return 0;
}

static void items_fini(struct items *items)
{
	free(items->in);
	free(items->out);
}

static bool items_right(const struct items *items)
{
	for (size_t i = 0; i < items->n; i++)
		if (items->out[i] != (int64_t)i * (int64_t)i)
			return false;
	return true;
}

static int map(struct ipck_pool *pool, struct items *items)
{
	ssize_t rc = ipck_pool_map(pool, square, items->in, items->n, sizeof(*items->in), items->out,
	                           sizeof(*items->out), NULL, IPCK_FOREVER);

	return rc > 0 ? -EIO : (int)rc;
}

static int end(struct ipck_pool *pool)
{
	int rc = ipck_pool_close(pool);

	if (rc >= 0)
		rc = ipck_pool_join(pool, IPCK_FOREVER);
	ipck_pool_free(pool);
	return rc;
}

/* The first map is not measured; its results are checked. */
static double map_again(struct ipck_pool *pool, struct items *items, const struct bench_ctx *ctx)
{
	int rc = map(pool, items);
	struct meter m;

	if (rc >= 0 && !items_right(items))
		rc = -EBADMSG;
	meter_start(&m, ctx);
	do
		rc = rc < 0 ? rc : map(pool, items);
	while (rc >= 0 && meter_more(&m, (double)items->n));
	return rc < 0 ? rc : meter_rate(&m);
}

static double run_map(const struct bench_ctx *ctx)
{
	struct ipck_pool *pool = NULL;
	struct items items;
	double rate = items_init(&items, ctx->size);

	if (rate >= 0)
		rate = ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = ctx->workers));
	if (rate >= 0)
		rate = map_again(pool, &items, ctx);
	if (pool && end(pool) < 0)
		rate = -EIO;
	items_fini(&items);
	return rate;
}

static double run_openmp(const struct bench_ctx *ctx, const char *schedule)
{
	char seconds[32], items[32], threads[32];
	const char *const argv[] = {opt.openmp, schedule, seconds, items, threads, NULL};

	snprintf(seconds, sizeof(seconds), "%g", ctx->seconds);
	snprintf(items, sizeof(items), "%ld", ctx->size);
	snprintf(threads, sizeof(threads), "%d", ctx->workers);
	return cmd_output(argv);
}

static double run_openmp_dynamic(const struct bench_ctx *ctx)
{
	return run_openmp(ctx, "dynamic");
}

static double run_openmp_static(const struct bench_ctx *ctx)
{
	return run_openmp(ctx, "static");
}

static double run_python_map_1(const struct bench_ctx *ctx)
{
	return python_run("pool-map-1", ctx);
}

static double run_python_map(const struct bench_ctx *ctx)
{
	return python_run("pool-map", ctx);
}

static int cold(struct items *items)
{
	struct ipck_pool *pool;
	int ended, rc = ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = COLD_WORKERS));

	if (rc < 0)
		return rc;
	rc = map(pool, items);
	ended = end(pool);
	return rc < 0 ? rc : ended;
}

static double run_cold(const struct bench_ctx *ctx)
{
	struct items items;
	struct meter m;
	int rc = items_init(&items, ctx->size);

	meter_start(&m, ctx);
	do
		rc = rc < 0 ? rc : cold(&items);
	while (rc >= 0 && meter_more(&m, 1));
	if (rc >= 0 && !items_right(&items))
		rc = -EBADMSG;
	items_fini(&items);
	return rc < 0 ? rc : meter_rate(&m);
}

/* The least that four workers cost: they are forked, released by one call, and reaped. */
static int bare_four(void)
{
	int started = 0, rc = 0, gate[2];
	char c;

	if (pipe(gate) < 0)
		return -errno;
	for (; started < COLD_WORKERS; started++) {
		pid_t pid = fork();

		if (pid < 0)
			break;
		if (pid == 0) {
			close(gate[1]);
			_exit(read(gate[0], &c, 1) != 0);
		}
	}
	if (started < COLD_WORKERS)
		rc = -errno;
	close(gate[1]);
	close(gate[0]);
	while (started-- > 0)
		if (wait(NULL) < 0)
			rc = -errno;
	return rc;
}

static double run_bare_four(const struct bench_ctx *ctx)
{
	struct meter m;
	int rc;

	meter_start(&m, ctx);
	do
		rc = bare_four();
	while (rc >= 0 && meter_more(&m, 1));
	return rc < 0 ? rc : meter_rate(&m);
}

static double run_python_cold(const struct bench_ctx *ctx)
{
	return python_run("pool-cold", ctx);
}

#define OPENMP .package = "gcc with libgomp"
#define PYTHON .package = "python3"

/*
 * The library's map has one way: workers claim each item by itself, and items
 * travel together.  So it meets both ways of its peers: those where a worker takes
 * one item at a time, and those where it takes many, which a slow one then keeps
 * waiting.
 */
static const struct contender map_1_contenders[] = {
	{"ipckit", run_map},
	{"OpenMP dynamic,1 (threads)", run_openmp_dynamic, .target = 0.5, OPENMP},
	{"CPython Pool.map, chunksize 1", run_python_map_1, PYTHON, .most = 20000},
	{0},
};

static const struct contender map_contenders[] = {
	{"ipckit", run_map},
	{"CPython Pool.map", run_python_map, PYTHON, .most = 1000000},
	{"OpenMP static (threads)", run_openmp_static, OPENMP},
	{0},
};

static const struct contender cold_contenders[] = {
	{"ipckit", run_cold},
	{"floor: 4 forks, release, waits", run_bare_four, .target = 0.4},
	{"CPython Pool(4)", run_python_cold, PYTHON},
	{0},
};

const struct row pool_rows[] = {
	{
		.name = "pool-map-1",
		.job = "pool map, 8-byte items, one by one",
		.unit = "item",
		.placement = FREE,
		.size = 20000,
		.figure = 5e6,
		.with = map_1_contenders,
		.size_unit = "items",
		.sizes = {100, 1000, 10000, 100000, 1000000, -1},
	},
	{
		.name = "pool-map",
		.job = "pool map, 8-byte items, in chunks",
		.unit = "item",
		.placement = FREE,
		.size = 1000000,
		.figure = 50e6,
		.with = map_contenders,
		.size_unit = "items",
		.sizes = {100, 1000, 10000, 100000, 1000000, 10000000, -1},
	},
	{
		.name = "pool-of-4",
		.job = "pool of 4: start, map 100, join",
		.unit = "pool",
		.placement = FREE,
		.size = 100,
		.with = cold_contenders,
	},
	{0},
};
