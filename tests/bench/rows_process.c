/* SPDX-License-Identifier: MIT */
/* Starting a child and waiting for it, by fork and by exec, from a parent of any size. */
#include "bench.h"

#include <errno.h>
#include <ipckit.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

static char true_path[] = "/bin/true";
static char *const true_argv[] = {true_path, NULL};

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int start_join(void)
{
	struct ipck_process *p;
	int code, rc = ipck_process_start(&p, nothing, NULL, NULL);

	if (rc < 0)
		return rc;
	rc = ipck_process_join(p, IPCK_FOREVER);
	if (rc >= 0)
		rc = ipck_process_status(p, &code, NULL);
	if (rc >= 0 && code != 0)
		rc = -EIO;
	ipck_process_close(p);
	return rc;
}

static int spawn_join(void)
{
	struct ipck_process *p;
	int rc = ipck_process_spawn(&p, true_argv[0], true_argv, NULL);

	if (rc < 0)
		return rc;
	rc = ipck_process_join(p, IPCK_FOREVER);
	ipck_process_close(p);
	return rc;
}

static int reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return status ? -EIO : 0;
}

static int fork_wait(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 ? -errno : reap(pid);
}

static int posix_spawn_wait(void)
{
	pid_t pid;
	int rc = posix_spawn(&pid, true_argv[0], NULL, NULL, true_argv, environ);

	return rc ? -rc : reap(pid);
}

/* The first one is not measured: it faults in what all others use. */
static double again_and_again(int (*once)(void), const struct bench_ctx *ctx, long mib)
{
	void *ballast = ballast_new(mib);
	struct meter m;
	int rc = once();

	meter_start(&m, ctx);
	do
		rc = rc < 0 ? rc : once();
	while (rc >= 0 && meter_more(&m, 1));
	ballast_free(ballast, mib);
	return rc < 0 ? rc : meter_rate(&m);
}

static double run_start(const struct bench_ctx *ctx)
{
	return again_and_again(start_join, ctx, ctx->size);
}

static double run_spawn(const struct bench_ctx *ctx)
{
	return again_and_again(spawn_join, ctx, ctx->size);
}

static double run_spawn_small(const struct bench_ctx *ctx)
{
	return again_and_again(spawn_join, ctx, 0);
}

static double run_fork(const struct bench_ctx *ctx)
{
	return again_and_again(fork_wait, ctx, ctx->size);
}

static double run_posix_spawn(const struct bench_ctx *ctx)
{
	return again_and_again(posix_spawn_wait, ctx, ctx->size);
}

static double run_python(const struct bench_ctx *ctx)
{
	return python_run("process", ctx);
}

static const struct contender start_contenders[] = {
	{"ipckit", run_start},
	{"fork + wait", run_fork, .target = 0.85},
	{"CPython Process", run_python, .package = "python3"},
	{0},
};

static const struct contender spawn_contenders[] = {
	{"ipckit", run_spawn},
	{"posix_spawn + wait", run_posix_spawn, .target = 0.85},
	{0},
};

static const struct contender big_spawn_contenders[] = {
	{"ipckit", run_spawn},
	{"posix_spawn + wait", run_posix_spawn, .target = 0.85},
	{"ipckit, small parent", run_spawn_small, .target = 0.85},
	{0},
};

const struct row process_rows[] = {
	{
		.name = "process-start",
		.job = "process start + join",
		.unit = "process",
		.placement = FREE,
		.with = start_contenders,
		.size_unit = "MiB in the parent",
		.sizes = {0, 64, 512, 1024, -1},
	},
	{
		.name = "process-start-1cpu",
		.job = "process start + join",
		.unit = "process",
		.placement = ONE_CPU,
		.with = start_contenders,
	},
	{
		.name = "process-start-500m",
		.job = "process start + join, parent of 500 MiB",
		.unit = "process",
		.placement = FREE,
		.size = 500,
		.with = start_contenders,
	},
	{
		.name = "process-start-1g",
		.job = "process start + join, parent of 1 GiB",
		.unit = "process",
		.placement = FREE,
		.size = 1024,
		.with = start_contenders,
	},
	{
		.name = "process-spawn",
		.job = "process spawn of true + join",
		.unit = "process",
		.placement = FREE,
		.with = spawn_contenders,
		.size_unit = "MiB in the parent",
		.sizes = {0, 64, 512, 1024, -1},
	},
	{
		.name = "process-spawn-1g",
		.job = "process spawn of true + join, parent of 1 GiB",
		.unit = "process",
		.placement = FREE,
		.size = 1024,
		.with = big_spawn_contenders,
	},
	{0},
};
