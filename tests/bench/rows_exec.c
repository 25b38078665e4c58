/* SPDX-License-Identifier: MIT */
/* One command per line of input, two at a time: ipc-pool exec and its rivals. */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Runs argv over the lines 1 to n. */
static double over_lines(const char *const argv[], long n)
{
	int fd = cmd_lines(n);
	double rate;

	if (fd < 0)
		return fd;
	rate = cmd_rate(argv, fd, (double)n);
	close(fd);
	return rate;
}

static double run_exec(const struct bench_ctx *ctx)
{
	const char *const argv[] = {opt.ipc_pool, "exec", "-j", "2", "--", "/bin/true", NULL};

	return over_lines(argv, ctx->size);
}

static double run_xargs(const struct bench_ctx *ctx)
{
	const char *const argv[] = {"xargs", "-P2", "-n1", "/bin/true", NULL};

	return over_lines(argv, ctx->size);
}

/*
 * Ten times slower than the others, so it gets fewer lines; its start is 0.1 s
 * of about 1.5.  It keeps what it finds out about the machine, for its next
 * start: a first run, not measured, does that.
 */
static double run_parallel(const struct bench_ctx *ctx)
{
	const char *const argv[] = {"parallel", "--will-cite", "-j2", "/bin/true", NULL};
	double rate;

	setenv("PARALLEL_HOME", cmd_scratch(), 1);
	rate = over_lines(argv, 1);
	return rate < 0 ? rate : over_lines(argv, ctx->size * 2 / 5);
}

/* A makefile with one target for each line. */
static int makefile(long n)
{
	FILE *f = tmpfile();

	if (!f)
		return -errno;
	fputs(".PHONY:", f);
	for (int pass = 0; pass < 2; pass++) {
		fputs(pass == 0 ? " all" : "\nall:", f);
		for (long i = 1; i <= n; i++)
			fprintf(f, " t%ld", i);
	}
	for (long i = 1; i <= n; i++)
		fprintf(f, "\nt%ld:\n\t@/bin/true %ld", i, i);
	fputc('\n', f);
	return cmd_input(f);
}

static double run_make(const struct bench_ctx *ctx)
{
	const char *const argv[] = {"make", "-s", "-r", "-j2", "-f", "-", "all", NULL};
	int fd = makefile(ctx->size);
	double rate;

	if (fd < 0)
		return fd;
	rate = cmd_rate(argv, fd, (double)ctx->size);
	close(fd);
	return rate;
}

static const struct contender exec_contenders[] = {
	{"ipckit", run_exec},
	{"xargs -P2 -n1", run_xargs, .target = 0.9, .package = "findutils"},
	{"GNU parallel -j2", run_parallel, .target = 9, .package = "parallel", .most = 1000},
	{"make -j2", run_make, .package = "make", .most = 1000},
	{0},
};

const struct row exec_rows[] = {
	{
		.name = "exec-true",
		.job = "ipc-pool exec -j 2 of /bin/true",
		.unit = "command",
		.placement = FREE,
		.size = 1000,
		.with = exec_contenders,
		.size_unit = "lines",
		.sizes = {100, 1000, 4000, -1},
	},
	{0},
};
