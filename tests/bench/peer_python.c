/* SPDX-License-Identifier: MIT */
/*
 * The CPython peers: one interpreter for the whole run, so that its start is not
 * measured.  A request is a line "NAME SECONDS SIZE WORKERS CPUS", the answer a
 * line with the rate, or "error TEXT".  Cells inherit the pipes; they run one
 * after the other, so requests never mix.
 */
#include "bench.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t server;
static int to = -1, from = -1;

void python_start(void)
{
	const char *const argv[] = {"python3", "-B", opt.peers, NULL};

	if (cmd_start(&server, argv, -1, &to, &from) < 0)
		server = 0;
}

void python_stop(void)
{
	if (!server)
		return;
	close(to);
	close(from);
	kill(-server, SIGKILL);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	server = 0;
}

/* utime, stime, cutime and cstime of the server: fields 14 to 17. */
double python_cpu_seconds(void)
{
	unsigned long ticks[4] = {0};
	char path[64], line[1024], *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)server);
	f = server ? fopen(path, "re") : NULL;
	if (!f)
		return 0;
	p = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	if (p)
		sscanf(p, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu", &ticks[0], &ticks[1],
		       &ticks[2], &ticks[3]);
	fclose(f);
	return (double)(ticks[0] + ticks[1] + ticks[2] + ticks[3]) / (double)sysconf(_SC_CLK_TCK);
}

static double answer(void)
{
	char line[512] = "";
	double rate;

	for (size_t len = 0; len + 1 < sizeof(line); len++) {
		if (read(from, line + len, 1) != 1)
			return -EPIPE;
		if (line[len] == '\n')
			break;
	}
	if (sscanf(line, "%lf", &rate) == 1)
		return rate;
	fprintf(stderr, "CPython: %s", line);
	return -EIO;
}

double python_run(const char *measurement, const struct bench_ctx *ctx)
{
	char cpus[32] = "-";

	if (!server)
		return -ENOENT;
	if (ctx->placement == ONE_CPU)
		snprintf(cpus, sizeof(cpus), "%d", ctx->cpu[0]);
	else if (ctx->placement == OWN_CPUS)
		snprintf(cpus, sizeof(cpus), "%d,%d", ctx->cpu[0], ctx->cpu[1]);
	if (dprintf(to, "%s %g %ld %d %s\n", measurement, ctx->seconds, ctx->size, ctx->workers, cpus) < 0)
		return -errno;
	return answer();
}
