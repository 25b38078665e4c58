/* SPDX-License-Identifier: MIT */
/* What an idle worker, a big map, a long exec and an entry of a dict cost in memory, against their bounds. */
#include "bench.h"

#include <errno.h>
#include <ipckit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB 1048576.0
#define WORKERS 4
#define ITEMS 10000000L
#define MAPS 10 /* long enough for many samples */
#define LINES 1000000L
#define ENTRIES 1000000L
#define SAMPLE_US 5000

static int negate(const void *in, void *out, const void *arg)
{
	(void)arg;
	*(int64_t *)out = -*(const int64_t *)in;
	return 0;
}

static ssize_t map(struct ipck_pool *pool, const int64_t *in, size_t n, int64_t *out)
{
	return ipck_pool_map(pool, negate, in, n, sizeof(*in), out, sizeof(*out), NULL, IPCK_FOREVER);
}

static double greatest_private(struct ipck_pool *pool)
{
	size_t n;
	pid_t pids[WORKERS];
	double greatest = 0;

	n = ipck_pool_pids(pool, pids, WORKERS);
	if (n != WORKERS)
		return -ESRCH;
	for (size_t i = 0; i < n; i++) {
		double bytes = memory_private(pids[i]);

		if (bytes < 0)
			return -ENOENT;
		greatest = bytes > greatest ? bytes : greatest;
	}
	return greatest;
}

/* Of all workers of a pool that has worked and now sleeps, the greatest. */
static double idle_worker(const struct bench_ctx *ctx)
{
	static int64_t in[1000], out[1000];
	struct ipck_pool *pool;
	double bytes = ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = WORKERS));

	(void)ctx;
	if (bytes < 0)
		return bytes;
	bytes = map(pool, in, 1000, out) == 0 ? 0 : -EIO;
	usleep(200000);
	if (bytes >= 0)
		bytes = greatest_private(pool);
	ipck_pool_free(pool);
	return bytes;
}

/* Samples the tree below pid until it ends; the greatest, or a negative error. */
static double greatest_until_end(pid_t pid)
{
	double greatest = 0;
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		double bytes = memory_tree(pid);

		greatest = bytes > greatest ? bytes : greatest;
		usleep(SAMPLE_US);
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? greatest : -EIO;
}

/* Input and output are touched before, so that they count in full from the first sample on. */
static int map_many(void)
{
	int64_t *in = malloc((size_t)ITEMS * sizeof(*in)), *out = malloc((size_t)ITEMS * sizeof(*out));
	struct ipck_pool *pool;
	ssize_t rc;

	if (!in || !out || ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = WORKERS)) < 0)
		return 1;
	for (long i = 0; i < ITEMS; i++) {
		in[i] = i;
		out[i] = 1;
	}
	rc = 0;
	for (int i = 0; i < MAPS && rc == 0; i++)
		rc = map(pool, in, (size_t)ITEMS, out);
	for (long i = 0; i < ITEMS && rc == 0; i++)
		rc = out[i] != -i;
	ipck_pool_free(pool);
	return rc != 0;
}

static double big_map(const struct bench_ctx *ctx)
{
	double bytes;
	pid_t pid = fork();

	(void)ctx;
	if (pid == 0)
		exit(map_many());
	bytes = pid < 0 ? -errno : greatest_until_end(pid);
	return bytes < 0 ? bytes : bytes - 2 * (double)ITEMS * sizeof(int64_t);
}

static double long_exec(const struct bench_ctx *ctx)
{
	const char *const argv[] = {opt.ipc_pool, "exec", "-j", "2", "-n", "50", "--", "/bin/echo", NULL};
	int rc, fd = cmd_lines(LINES);
	pid_t pid;

	(void)ctx;
	if (fd < 0)
		return fd;
	rc = cmd_start(&pid, argv, fd, NULL, NULL);
	close(fd);
	return rc < 0 ? rc : greatest_until_end(pid);
}

/* All that its segment takes, what it has beside its entries too. */
static double dict_entry(const struct bench_ctx *ctx)
{
	struct ipck_dict *dict;
	struct stat st;
	int rc = ipck_dict_create(&dict, NULL, IPCK_DICT_OPTS(.max_bytes = 2 * ENTRIES * (16 + 48)));

	(void)ctx;
	if (rc < 0)
		return rc;
	/* Keys are all over the 64 bits, as hashes are. */
	for (uint64_t i = 0; i < ENTRIES && rc >= 0; i++)
		rc = ipck_dict_set_u64(dict, i * UINT64_C(0x9e3779b97f4a7c15), i);
	if (rc >= 0)
		rc = fstat(ipck_dict_fd(dict), &st) < 0 ? -errno : 0;
	ipck_dict_close(dict);
	return rc < 0 ? rc : (double)st.st_blocks * 512 / ENTRIES - 2 * sizeof(uint64_t);
}

static const struct {
	const char *what;
	run_fn *run;
	double bound, unit;
} rows[] = {
	{"an idle worker, private memory", idle_worker, 1 * MIB, MIB},
	{"map of 10 million 8-byte items, all processes, beyond input and output", big_map, 64 * MIB, MIB},
	{"exec of echo over a million lines (-j 2 -n 50), all processes", long_exec, 64 * MIB, MIB},
	{"an entry of a dict of a million, beyond its key and value of 8 bytes each", dict_entry, 48, 1},
};

bool memory_section(FILE *out)
{
	struct bench_ctx ctx = {.placement = FREE};
	struct table *t = table_new(4);
	bool right = true;

	table_cell(t, "memory");
	table_cell(t, "greatest");
	table_cell(t, "bound");
	table_cell(t, "ok?");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		double bytes = cell_run(&(struct contender){.name = rows[i].what, .run = rows[i].run}, &ctx);
		bool kept = bytes >= 0 && bytes < rows[i].bound;
		const char *unit = rows[i].unit < MIB ? "B" : "MiB";

		table_cell(t, "%s", rows[i].what);
		if (bytes < 0)
			table_cell(t, "failed: %s", strerror((int)-bytes));
		else
			table_cell(t, "%.2f %s", bytes / rows[i].unit, unit);
		table_cell(t, "< %g %s", rows[i].bound / rows[i].unit, unit);
		table_cell(t, kept ? "yes" : "NO");
		right &= kept;
	}
	fputc('\n', out);
	table_print(t, out);
	table_free(t);
	return right;
}
