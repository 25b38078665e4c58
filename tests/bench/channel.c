/* SPDX-License-Identifier: MIT */
/* Measures what carries messages between two: there and back, one way, and in batches. */
#include "channel.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALIGNMENT 4096
/* Messages, or bytes of them, between two looks at the clock, which costs as much as a small message. */
#define BATCH_MAX 256
#define BATCH_BYTES (1 << 20)

static int batch(size_t size)
{
	size_t n = BATCH_BYTES / size;

	return n > BATCH_MAX ? BATCH_MAX : n < 1 ? 1 : (int)n;
}

void *channel_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

/* Pages that are there, so that none is faulted in while it is measured. */
static char *message_new(size_t size)
{
	char *data = aligned_alloc(ALIGNMENT, (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);

	if (data)
		memset(data, 1, size);
	return data;
}

static void mark(char *data, size_t size, uint64_t n)
{
	memcpy(data, &n, sizeof(n));
	if (size > sizeof(n))
		data[size - 1] = (char)n;
}

/* 0, or what is wrong. */
static int check(const char *data, size_t size, ssize_t got, uint64_t n)
{
	if (got < 0)
		return (int)got;
	if ((size_t)got != size || memcmp(data, &n, sizeof(n)) != 0)
		return -EBADMSG;
	return size > sizeof(n) && data[size - 1] != (char)n ? -EBADMSG : 0;
}

/* ---- the partner: until it is killed ---- */

static int echo(const struct channel *c, size_t size)
{
	char *data = message_new(size);
	int rc = data ? 0 : -ENOMEM;

	while (rc >= 0) {
		ssize_t got = c->recv(data, size);

		rc = got < 0 ? (int)got : c->send(data, (size_t)got);
	}
	return rc;
}

static int produce(const struct channel *c, size_t size)
{
	char *data = message_new(size);
	int rc = data ? 0 : -ENOMEM;

	for (uint64_t n = 0; rc >= 0; n++) {
		mark(data, size, n);
		rc = c->send(data, size);
	}
	return rc;
}

/* So many messages, each in a place of its own. */
static void lay_out(struct iovec *messages, char *data, size_t size)
{
	for (int i = 0; i < CHANNEL_MANY; i++)
		messages[i] = (struct iovec){data + (size_t)i * size, size};
}

static int send_many(const struct channel *c, const struct iovec *messages, int n)
{
	int rc = 0;

	if (c->send_many)
		return c->send_many(messages, n);
	for (int i = 0; i < n && rc >= 0; i++)
		rc = c->send(messages[i].iov_base, messages[i].iov_len);
	return rc;
}

static int produce_batches(const struct channel *c, size_t size)
{
	char *data = message_new(CHANNEL_MANY * size);
	struct iovec messages[CHANNEL_MANY];
	int rc = data ? 0 : -ENOMEM;
	uint64_t n = 0;

	lay_out(messages, data, size);
	while (rc >= 0) {
		for (int i = 0; i < CHANNEL_MANY; i++)
			mark(messages[i].iov_base, size, n++);
		rc = send_many(c, messages, CHANNEL_MANY);
	}
	return rc;
}

/* What it does not send would be waited for. */
static void on_partners_end(int sig)
{
	(void)sig;
	_exit(1);
}

static pid_t start_partner(const struct channel *c, const struct bench_ctx *ctx,
                           int (*job)(const struct channel *c, size_t size))
{
	pid_t pid;

	signal(SIGCHLD, on_partners_end);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		bench_pin(ctx, 1);
	}
	if (c->side)
		c->side(pid == 0);
	if (pid == 0) {
		int rc = job(c, (size_t)ctx->size);

		fprintf(stderr, "partner: %s\n", strerror(-rc));
		_exit(1);
	}
	return pid;
}

static void stop_partner(pid_t pid)
{
	signal(SIGCHLD, SIG_DFL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* ---- there and back ---- */

static int trips(const struct channel *c, char *out, char *in, size_t size, uint64_t *n, int count)
{
	int rc = 0;

	for (int i = 0; i < count && rc >= 0; i++, ++*n) {
		mark(out, size, *n);
		rc = c->send(out, size);
		if (rc >= 0)
			rc = check(in, size, c->recv(in, size), *n);
	}
	return rc;
}

static double trip_rate(const struct channel *c, const struct bench_ctx *ctx)
{
	size_t size = (size_t)ctx->size;
	char *out = message_new(size), *in = message_new(size);
	int rc = out && in ? 0 : -ENOMEM, count = batch(size);
	uint64_t n = 0;
	struct meter m;

	if (rc == 0)
		rc = trips(c, out, in, size, &n, count);
	meter_start(&m, ctx);
	do
		rc = rc < 0 ? rc : trips(c, out, in, size, &n, count);
	while (rc >= 0 && meter_more(&m, count));
	free(out);
	free(in);
	return rc < 0 ? rc : meter_rate(&m);
}

/* ---- one way ---- */

static int receive(const struct channel *c, char *in, size_t size, uint64_t *n, int count)
{
	int rc = 0;

	for (int i = 0; i < count && rc >= 0; i++, ++*n)
		rc = check(in, size, c->recv(in, size), *n);
	return rc;
}

static double message_rate(const struct channel *c, const struct bench_ctx *ctx)
{
	size_t size = (size_t)ctx->size;
	char *in = message_new(size);
	int rc = in ? 0 : -ENOMEM, count = batch(size);
	uint64_t n = 0;
	struct meter m;

	if (rc == 0)
		rc = receive(c, in, size, &n, count);
	meter_start(&m, ctx);
	do
		rc = rc < 0 ? rc : receive(c, in, size, &n, count);
	while (rc >= 0 && meter_more(&m, count));
	free(in);
	return rc < 0 ? rc : meter_rate(&m);
}

/* ---- one way, in batches ---- */

static int recv_many(const struct channel *c, char *data, size_t size, struct iovec *messages)
{
	if (c->recv_many)
		return c->recv_many(data, CHANNEL_MANY * size, messages, CHANNEL_MANY);
	for (int i = 0; i < CHANNEL_MANY; i++) {
		ssize_t got = c->recv(data + (size_t)i * size, size);

		if (got < 0)
			return (int)got;
		messages[i] = (struct iovec){data + (size_t)i * size, (size_t)got};
	}
	return CHANNEL_MANY;
}

/* The number of messages, all of them right. */
static int receive_batch(const struct channel *c, char *in, size_t size, uint64_t *n)
{
	struct iovec messages[CHANNEL_MANY];
	int rc = 0, count = recv_many(c, in, size, messages);

	for (int i = 0; i < count && rc >= 0; i++, ++*n)
		rc = check(messages[i].iov_base, size, (ssize_t)messages[i].iov_len, *n);
	return rc < 0 ? rc : count;
}

static double batch_rate(const struct channel *c, const struct bench_ctx *ctx)
{
	size_t size = (size_t)ctx->size;
	char *in = message_new(CHANNEL_MANY * size);
	int rc = in ? 0 : -ENOMEM;
	uint64_t n = 0;
	struct meter m;

	if (rc == 0)
		rc = receive_batch(c, in, size, &n);
	meter_start(&m, ctx);
	do {
		double before = (double)n;

		for (int i = 0; i < BATCH_MAX / CHANNEL_MANY && rc >= 0; i++)
			rc = receive_batch(c, in, size, &n);
		m.ops += (double)n - before;
	} while (rc >= 0 && meter_more(&m, 0));
	free(in);
	return rc < 0 ? rc : meter_rate(&m);
}

/* ---- all ---- */

static double measure(make_channel *make, const struct bench_ctx *ctx,
                      int (*job)(const struct channel *c, size_t size),
                      double (*rate_of)(const struct channel *c, const struct bench_ctx *ctx))
{
	struct channel c = {0};
	int rc = make(&c, (size_t)ctx->size);
	double rate;
	pid_t pid;

	if (rc < 0)
		return rc;
	pid = start_partner(&c, ctx, job);
	if (pid < 0)
		return pid;
	rate = rate_of(&c, ctx);
	stop_partner(pid);
	return rate;
}

double channel_trips(make_channel *make, const struct bench_ctx *ctx)
{
	return measure(make, ctx, echo, trip_rate);
}

double channel_messages(make_channel *make, const struct bench_ctx *ctx)
{
	return measure(make, ctx, produce, message_rate);
}

double channel_batches(make_channel *make, const struct bench_ctx *ctx)
{
	return measure(make, ctx, produce_batches, batch_rate);
}
