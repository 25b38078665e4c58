/* SPDX-License-Identifier: MIT */
/*
 * OpenMP's side of the pool rows, a program of its own because the runtime keeps
 * threads: openmp dynamic|static SECONDS ITEMS THREADS prints items per second.
 * The work is that of the ipckit rows: 8 bytes in, their square out.
 */
#include "bench.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

static __attribute__((noinline)) void square(const int64_t *in, int64_t *out)
{
	*out = *in * *in;
}

static void map_dynamic(const int64_t *in, int64_t *out, long n)
{
#pragma omp parallel for schedule(dynamic, 1)
	for (long i = 0; i < n; i++)
		square(&in[i], &out[i]);
}

static void map_static(const int64_t *in, int64_t *out, long n)
{
#pragma omp parallel for schedule(static)
	for (long i = 0; i < n; i++)
		square(&in[i], &out[i]);
}

static double measure(void (*map)(const int64_t *, int64_t *, long), const struct bench_ctx *ctx)
{
	int64_t *in = calloc((size_t)ctx->size, sizeof(*in)), *out = calloc((size_t)ctx->size, sizeof(*out));
	struct meter m;
	bool right = true;

	if (!in || !out)
		return -1;
	for (long i = 0; i < ctx->size; i++)
		in[i] = i;
	map(in, out, ctx->size);
	for (long i = 0; i < ctx->size; i++)
		right &= out[i] == i * i;
	meter_start(&m, ctx);
	do
		map(in, out, ctx->size);
	while (meter_more(&m, (double)ctx->size));
	free(in);
	free(out);
	return right ? meter_rate(&m) : -1;
}

int main(int argc, char **argv)
{
	struct bench_ctx ctx = {0};
	double rate;

	if (argc != 5) {
		fputs("usage: openmp dynamic|static SECONDS ITEMS THREADS\n", stderr);
		return 2;
	}
	ctx.seconds = atof(argv[2]);
	ctx.size = atol(argv[3]);
	omp_set_num_threads(atoi(argv[4]));
	rate = measure(strcmp(argv[1], "static") == 0 ? map_static : map_dynamic, &ctx);
	printf("%.17g\n", rate);
	return rate < 0;
}
