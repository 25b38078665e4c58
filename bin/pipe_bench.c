/* SPDX-License-Identifier: MIT */
#include "pipe_bench.h"

#include <ipckit.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "party.h"

/* The clock is read after that many bytes or messages, whichever comes first. */
#define BATCH_BYTES (1L << 20)
#define BATCH_MESSAGES 256

long bench_size = -1;
long bench_seconds = 3;

static const long sizes[] = {8, 64, 512, 4096, 65536, 1048576};
#define SIZES ((int)(sizeof(sizes) / sizeof(sizes[0])))

/* The partner's side of a measurement. */
struct partner {
	struct ipck_pipe *pipe;
	void *data;
	size_t size;
};

/* ---- the partner ---- */

static int partner_ended(ssize_t rc)
{
	return rc == -EPIPE ? 0 : tool_error("pipe: %s", ipck_strerror((int)rc));
}

/* Sends back what it gets. */
static int echo(void *arg)
{
	const struct partner *p = arg;
	ssize_t rc;

	do {
		rc = ipck_pipe_recv(p->pipe, p->data, p->size, NULL, IPCK_FOREVER);
		if (rc >= 0)
			rc = ipck_pipe_send(p->pipe, p->data, (size_t)rc, IPCK_FOREVER);
	} while (rc >= 0);
	return partner_ended(rc);
}

/* Sends until nobody receives. */
static int pour(void *arg)
{
	const struct partner *p = arg;
	int rc;

	do
		rc = ipck_pipe_send(p->pipe, p->data, p->size, IPCK_FOREVER);
	while (rc == 0);
	return partner_ended(rc);
}

/* ---- measuring ---- */

static ssize_t round_trip(struct ipck_pipe *pipe, void *data, size_t size)
{
	ssize_t rc = ipck_pipe_send(pipe, data, size, IPCK_FOREVER);

	return rc < 0 ? rc : ipck_pipe_recv(pipe, data, size, NULL, IPCK_FOREVER);
}

static ssize_t receive(struct ipck_pipe *pipe, void *data, size_t size)
{
	return ipck_pipe_recv(pipe, data, size, NULL, IPCK_FOREVER);
}

/* What is measured: one step here, and what the partner does. */
struct kind {
	ssize_t (*step)(struct ipck_pipe *pipe, void *data, size_t size);
	int (*partner)(void *arg);
};
static const struct kind round_trips = {round_trip, echo}, one_way = {receive, pour};

static int batch(const struct kind *kind, struct ipck_pipe *pipe, void *data, size_t size, long steps)
{
	ssize_t rc = 0;

	for (long i = 0; i < steps && rc >= 0; i++)
		rc = kind->step(pipe, data, size);
	return rc < 0 ? tool_error("pipe: %s", ipck_strerror((int)rc)) : 0;
}

/* Steps in a second, after a batch in which both come awake. */
static int measure_steps(const struct kind *kind, struct ipck_pipe *pipe, void *data, size_t size, double seconds,
                         double *rate)
{
	long steps = size * BATCH_MESSAGES > BATCH_BYTES ? BATCH_BYTES / (long)size + 1 : BATCH_MESSAGES, done = 0;
	int status = batch(kind, pipe, data, size, steps);
	double start = tool_seconds(), now;

	do {
		if (status == 0)
			status = batch(kind, pipe, data, size, steps);
		done += steps;
		now = tool_seconds();
	} while (status == 0 && now - start < seconds);
	*rate = (double)done / (now - start);
	return status;
}

static int measure(const struct kind *kind, void *data, size_t size, double seconds, double *rate)
{
	struct ipck_pipe *ends[2];
	struct partner partner = {.data = data, .size = size};
	struct party party = {.fn = kind->partner, .arg = &partner, .keep = &ends[1], .keep_count = 1};
	int rc = ipck_pipe_create(ends, NULL), status, joined = 0;

	if (rc < 0)
		return tool_error("cannot make a pipe: %s", ipck_strerror(rc));
	partner.pipe = ends[1];
	status = parties_start(&party, 1, false);
	ipck_pipe_close(ends[1]);
	if (status == 0)
		status = measure_steps(kind, ends[0], data, size, seconds, rate);
	ipck_pipe_close(ends[0]);
	if (party.process)
		joined = parties_join(&party, 1);
	return status ? status : joined;
}

/* ---- printing ---- */

/* "12.3 M", with three digits that mean something. */
static const char *human(double n, char text[32])
{
	static const char *const units[] = {" ", " k", " M", " G", " T"};
	size_t i = 0;

	while (n >= 999.5 && i < 4) {
		n /= 1000;
		i++;
	}
	snprintf(text, 32, "%.*f%s", n < 9.995 ? 2 : n < 99.95 ? 1 : 0, n, units[i]);
	return text;
}

static int bench_one(long size, double seconds)
{
	void *data = calloc(1, (size_t)size + 1);
	double trips = 0, messages = 0;
	char text[4][32];
	int status;

	if (!data)
		return tool_error("no memory for messages of %ld bytes", size);
	status = measure(&round_trips, data, (size_t)size, seconds, &trips);
	if (status == 0)
		status = measure(&one_way, data, (size_t)size, seconds, &messages);
	free(data);
	if (status == 0)
		tool_print("%10ld  %12.2f us  %10s/s  %10s/s  %10sB/s\n", size, 1e6 / trips, human(trips, text[0]),
		           human(messages, text[1]), human(messages * (double)size, text[2]));
	return status;
}

int pipe_bench(const struct tool_args *args)
{
	int rows = bench_size < 0 ? SIZES : 1, status = 0;

	(void)args;
	tool_print("%10s  %15s  %12s  %12s  %13s\n", "bytes", "round trip", "round trips", "one way", "one way");
	for (int i = 0; i < rows && status == 0; i++)
		status = bench_one(bench_size < 0 ? sizes[i] : bench_size, (double)bench_seconds / (2 * rows));
	if (status == 0 && ipck_cpu_count() < 2)
		tool_print("This process has one CPU: each message wakes its receiver.\n");
	return status;
}
