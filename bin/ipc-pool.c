/* SPDX-License-Identifier: MIT */
/* ipc-pool: work spread over a pool of processes, or of threads. */
#include <ipckit.h>

#include <inttypes.h>
#include <string.h>

#include "common.h"
#include "pool_exec.h"

#define SQUARES 100
#define TASKS 10
#define ROUNDS 4

static long jobs; /* --jobs; 0: as many as the example has */

/* What a call on the pool returned, in words, with why the pool is broken if it is. */
static int pool_error(struct ipck_pool *pool, ssize_t rc)
{
	const char *reason = ipck_pool_reason(pool);

	return tool_error("pool: %s%s%s", ipck_strerror((int)rc), reason ? ": " : "", reason ? reason : "");
}

static int item_error(uint64_t index, const struct ipck_status *status)
{
	switch (status->outcome) {
	case IPCK_DONE:
		return 0;
	case IPCK_KILLED:
		return tool_error("item %" PRIu64 ": its worker was killed: %s", index, strsignal(status->value));
	case IPCK_EXITED:
		return tool_error("item %" PRIu64 ": its worker exited with %d", index, status->value);
	case IPCK_CANCELED:
		return tool_error("item %" PRIu64 ": canceled", index);
	default:
		return tool_error("item %" PRIu64 ": %s", index, ipck_strerror(status->value));
	}
}

static int close_and_join(struct ipck_pool *pool)
{
	int rc = ipck_pool_close(pool);

	if (rc == 0)
		rc = ipck_pool_join(pool, IPCK_FOREVER);
	return rc < 0 ? pool_error(pool, rc) : 0;
}

/* Runs an example on a pool of its own; --jobs goes before the example's number of workers. */
static int with_pool(const struct tool_args *args, int workers,
                     int (*run)(struct ipck_pool *pool, const struct tool_args *args))
{
	struct ipck_pool *pool;
	int status, rc;

	rc = ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = jobs ? (int)jobs : workers, .threads = args->threads));
	if (rc < 0)
		return tool_error("cannot make a pool: %s", ipck_strerror(rc));
	status = run(pool, args);
	if (status == 0)
		status = close_and_join(pool);
	ipck_pool_free(pool);
	return status;
}

static int square(const void *in, void *out, const void *arg)
{
	int n;

	(void)arg;
	memcpy(&n, in, sizeof(n));
	n *= n;
	memcpy(out, &n, sizeof(n));
	return 0;
}

static void print_list(const char *title, const int *n, int count)
{
	tool_print("%s: [", title);
	for (int i = 0; i < count; i++)
		tool_print("%s%d", i ? ", " : "", n[i]);
	tool_print("]\n");
}

static int map_squares(struct ipck_pool *pool, const struct tool_args *args)
{
	struct ipck_status status[SQUARES];
	int in[SQUARES], out[SQUARES], rc = 0;
	ssize_t lost;

	(void)args;
	for (int i = 0; i < SQUARES; i++)
		in[i] = i;
	lost = ipck_pool_map(pool, square, in, SQUARES, sizeof(in[0]), out, sizeof(out[0]),
	                     IPCK_MAP_OPTS(.status = status), IPCK_FOREVER);
	if (lost < 0)
		return pool_error(pool, lost);
	for (int i = 0; i < SQUARES; i++)
		rc |= item_error((uint64_t)i, &status[i]);
	if (rc == 0)
		print_list("Pool    ", out, SQUARES);
	return rc;
}

static int map(const struct tool_args *args)
{
	return with_pool(args, 4, map_squares);
}

/* The input of an iteration: the numbers from next to end - 1. */
struct range {
	int next, end, now;
};

static int range_next(void *ctx, const void **item, size_t *size)
{
	struct range *range = ctx;

	if (range->next == range->end)
		return 0;
	range->now = range->next++;
	*item = &range->now;
	*size = sizeof(range->now);
	return 1;
}

/* The next result: 1 with *n set, 0 at the end, -1 after a message. */
static int next_number(struct ipck_pool *pool, struct ipck_imap *imap, int *n)
{
	struct ipck_item item;
	int rc = ipck_imap_next(imap, &item, IPCK_FOREVER);

	if (rc < 0)
		pool_error(pool, rc);
	if (rc <= 0)
		return rc;
	if (item_error(item.index, &item.status) != 0)
		return -1;
	memcpy(n, item.data, sizeof(*n));
	return 1;
}

static int square_item(const void *item, size_t size, const void *arg, struct ipck_result *result)
{
	int n;

	(void)size;
	square(item, &n, arg);
	return ipck_result_write(result, &n, sizeof(n));
}

/* Submit, close, join; the results are kept and come then, in the order in which they were done. */
static int print_squares(struct ipck_pool *pool, const struct tool_args *args)
{
	struct range range = {.end = SQUARES};
	struct ipck_imap *imap;
	int n, more, rc = ipck_pool_imap_unordered(&imap, pool, square_item, range_next, &range, NULL);

	(void)args;
	if (rc < 0)
		return pool_error(pool, rc);
	rc = close_and_join(pool);
	more = rc == 0;
	while (more > 0 && (more = next_number(pool, imap, &n)) > 0)
		tool_print("%d\n", n);
	ipck_imap_close(imap);
	return rc != 0 || more < 0 ? TOOL_FAILED : 0;
}

static int unordered(const struct tool_args *args)
{
	return with_pool(args, 4, print_squares);
}

static int sleep_and_return(const void *item, size_t size, const void *arg, struct ipck_result *result)
{
	tool_pause(*(const long *)arg);
	return ipck_result_write(result, item, size);
}

/* One round over 0..9: the results in the order in which they came. */
static int one_order(struct ipck_pool *pool, const long *pause_ms, int order[TASKS])
{
	struct range range = {.end = TASKS};
	struct ipck_imap *imap;
	int i = 0, more = 1, rc;

	rc = ipck_pool_imap_unordered(&imap, pool, sleep_and_return, range_next, &range,
	                              IPCK_MAP_OPTS(.arg = pause_ms, .arg_size = sizeof(*pause_ms)));
	if (rc < 0)
		return pool_error(pool, rc);
	while (i < TASKS && (more = next_number(pool, imap, &order[i])) > 0)
		i++;
	ipck_imap_close(imap);
	return more > 0 ? 0 : TOOL_FAILED;
}

static int compare_orders(struct ipck_pool *pool, const struct tool_args *args)
{
	int order[ROUNDS][TASKS];
	bool equal = true;

	for (int i = 0; i < ROUNDS; i++)
		if (one_order(pool, &args->pause_ms, order[i]) != 0)
			return TOOL_FAILED;
	for (int i = 1; i < ROUNDS; i++)
		equal = equal && memcmp(order[i], order[0], sizeof(order[0])) == 0;
	tool_print("all four orders are equal: %s\n", equal ? "true" : "false");
	return 0;
}

static int order_check(const struct tool_args *args)
{
	return with_pool(args, 10, compare_orders);
}

static const struct tool_mode modes[] = {
	{"map", "the squares of 0..99, in order, by 4 workers", map, TOOL_THREADS | TOOL_OWN(0), 0, NULL},
	{"unordered", "the same, one a line, as they are done", unordered, TOOL_THREADS | TOOL_OWN(0), 0, NULL},
	{"order-check", "are four rounds of ten tasks on 10 workers done in one order?", order_check,
	 TOOL_THREADS | TOOL_PAUSE | TOOL_OWN(0), 1, NULL},
	{"exec", "run a command with each line of input", NULL, 0, 0, pool_exec_main},
	{0},
};

static const struct tool_option options[] = {
	{'j', "jobs", "N", "so many workers, in the place of the mode's number", 1, 4096, &jobs},
	{0},
};

static const struct tool tool = {"ipc-pool", "Spreads work over a pool of worker processes.", modes, options};

int main(int argc, char **argv)
{
	return tool_main(&tool, argc, argv);
}
