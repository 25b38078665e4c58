/* SPDX-License-Identifier: MIT */
/* Messages from any process to any other: queues, and all that does their work. */
#include "channel.h"

#include <errno.h>
#include <ipckit.h>
#include <string.h>

#include "coll/queue.h"

/* ---- ipckit ---- */

/* 0: what a queue has by itself, 1 MiB. */
static size_t ring_for(size_t size)
{
	return size < 1 << 20 ? 0 : 4 * size;
}

static struct ipck_queue *queues[2], *from, *to;

static void take_side(int side)
{
	from = queues[side];
	to = queues[!side];
}

/* Neither spins nor yields, so that each message finds its consumer asleep. */
static void take_sleepy_side(int side)
{
	take_side(side);
	for (int i = 0; i < 2; i++)
		queues[i]->putting = queues[i]->getting = (struct spinner){.skip = UINT32_MAX};
}

static int put(const void *data, size_t size)
{
	return ipck_queue_put(to, data, size, IPCK_FOREVER);
}

static ssize_t get(void *data, size_t room)
{
	return ipck_queue_get(from, data, room, NULL, IPCK_FOREVER);
}

static int put_many(const struct iovec *messages, int n)
{
	int rc = ipck_queue_put_many(to, messages, n, IPCK_FOREVER);

	return rc < 0 ? rc : rc == n ? 0 : -EIO;
}

static int get_many(void *data, size_t room, struct iovec *messages, int n)
{
	return ipck_queue_get_many(from, data, room, messages, n, NULL, IPCK_FOREVER);
}

static int make_queues(struct channel *c, size_t size)
{
	int rc = 0;

	for (int i = 0; i < 2 && rc >= 0; i++)
		rc = ipck_queue_create(&queues[i], NULL, IPCK_QUEUE_OPTS(.bytes = ring_for(size)));
	*c = (struct channel){take_side, put, get, put_many, get_many};
	return rc;
}

static int make_sleepy(struct channel *c, size_t size)
{
	int rc = make_queues(c, size);

	c->side = take_sleepy_side;
	return rc;
}

/*
 * In place nothing of a message is written but its number and its last byte, which
 * the consumer checks: as programs do that fill in what has changed.
 */
static int put_place(const void *data, size_t size)
{
	void *room;
	int rc = ipck_queue_reserve(to, size, &room, IPCK_FOREVER);

	if (rc < 0)
		return rc;
	memcpy(room, data, sizeof(uint64_t));
	((char *)room)[size - 1] = ((const char *)data)[size - 1];
	return ipck_queue_commit(to, room, size);
}

static ssize_t get_place(void *data, size_t room)
{
	struct ipck_queue_item item;
	int rc = ipck_queue_peek(from, &item, IPCK_FOREVER);

	if (rc < 0)
		return rc;
	if (item.size != room)
		return -EBADMSG;
	memcpy(data, item.data, sizeof(uint64_t));
	((char *)data)[room - 1] = ((const char *)item.data)[room - 1];
	rc = ipck_queue_release(from, &item);
	return rc < 0 ? rc : (ssize_t)item.size;
}

static int make_place(struct channel *c, size_t size)
{
	int rc = make_queues(c, size);

	c->send = put_place;
	c->recv = get_place;
	return rc;
}

/* ---- contenders ---- */

#ifndef HAVE_BOOST
int peer_boost_queue(struct channel *c, size_t size)
{
	(void)c;
	(void)size;
	return -ENOENT;
}
#endif

#define RUN(how, name, make) \
	static double how##_##name(const struct bench_ctx *ctx) \
	{ \
		return channel_##how(make, ctx); \
	}
#define PYTHON(how, name, measurement) \
	static double how##_##name(const struct bench_ctx *ctx) \
	{ \
		return python_run(measurement, ctx); \
	}
#define channel_crowd crowd_messages

RUN(trips, ipckit, make_queues)
RUN(trips, sleepy, make_sleepy)
RUN(trips, ck, peer_ck_mpmc)
RUN(trips, boost, peer_boost_queue)
RUN(trips, pipe, peer_pipe)
RUN(trips, seqpacket, peer_seqpacket)
RUN(trips, mq, peer_mq)
RUN(trips, futex, floor_futex)
PYTHON(trips, queue, "queue-trip")
PYTHON(trips, simple, "simple-queue-trip")

RUN(messages, ipckit, make_queues)
RUN(messages, place, make_place)
RUN(messages, ck, peer_ck_mpmc)
RUN(messages, boost, peer_boost_queue)
RUN(messages, pipe, peer_pipe)
RUN(messages, seqpacket, peer_seqpacket)
RUN(messages, mq, peer_mq)
RUN(messages, copy, floor_copy)
PYTHON(messages, queue, "queue-send")
PYTHON(messages, simple, "simple-queue-send")

RUN(batches, ipckit, make_queues)
RUN(batches, ck, peer_ck_mpmc)
RUN(batches, boost, peer_boost_queue)
RUN(batches, pipe, peer_pipe)
RUN(batches, seqpacket, peer_seqpacket)
RUN(batches, mq, peer_mq)
#define batches_queue messages_queue
#define batches_simple messages_simple

RUN(crowd, ipckit, make_queues)
RUN(crowd, ck, peer_ck_mpmc)
RUN(crowd, boost, peer_boost_queue)
RUN(crowd, seqpacket, peer_seqpacket)
RUN(crowd, mq, peer_mq)
PYTHON(crowd, queue, "queue-crowd")
PYTHON(crowd, simple, "simple-queue-crowd")

/* A single consumer may read ahead. */
static double crowd_pipe(const struct bench_ctx *ctx)
{
	return crowd_messages(ctx->size % 100 == 1 ? peer_pipe : peer_pipe_shared, ctx);
}

/* clang-format off */
#define CK .package = "libck-dev, before configure"
#define ANY_SIZE(job) \
	{"Boost message_queue", job##_boost, .target = 1, .package = "libboost-dev, before configure"}, \
	{"pipe(2)", job##_pipe, .target = 1}, \
	{"CPython Queue", job##_queue, .target = 1, .package = "python3"}, \
	{"CPython SimpleQueue", job##_simple, .target = 1, .package = "python3"}
#define SMALL(job) \
	{"socketpair, seqpacket", job##_seqpacket, .target = 1, .most = PEER_SEQPACKET_MAX}, \
	{"POSIX mq", job##_mq, .target = 1, .most = PEER_MQ_MAX}
/* clang-format on */

static const struct contender message_contenders[] = {
	{"ipckit", messages_ipckit},
	{"CK MPMC ring (spins)", messages_ck, .target = 1, CK, .most = PEER_CK_MPMC_MAX},
	ANY_SIZE(messages),
	SMALL(messages),
	{0},
};

static const struct contender large_contenders[] = {
	{"ipckit", messages_ipckit},
	{"floor: a copy in, a copy out", messages_copy, .target = 0.8},
	ANY_SIZE(messages),
	{0},
};

static const struct contender place_contenders[] = {
	{"ipckit", messages_place},
	{0},
};

static const struct contender batch_contenders[] = {
	{"ipckit", batches_ipckit},
	{"CK MPMC ring, one by one (spins)", batches_ck, .target = 1, CK, .most = PEER_CK_MPMC_MAX},
	ANY_SIZE(batches),
	SMALL(batches),
	{0},
};

static const struct contender crowd_contenders[] = {
	{"ipckit", crowd_ipckit},
	ANY_SIZE(crowd),
	{"socketpair, seqpacket", crowd_seqpacket, .target = 1},
	{"POSIX mq", crowd_mq, .target = 1},
	{0},
};

static const struct contender crowd_of_4_contenders[] = {
	{"ipckit", crowd_ipckit},
	{"CK MPMC ring (spins)", crowd_ck, .target = 1, CK},
	ANY_SIZE(crowd),
	{"socketpair, seqpacket", crowd_seqpacket, .target = 1},
	{"POSIX mq", crowd_mq, .target = 1},
	{0},
};

static const struct contender trip_contenders[] = {
	{"ipckit", trips_ipckit},
	{"CK MPMC ring x 2 (spins)", trips_ck, CK},
	ANY_SIZE(trips),
	SMALL(trips),
	{0},
};

static const struct contender asleep_contenders[] = {
	{"ipckit", trips_sleepy},
	{"floor: futex round trip", trips_futex, .target = 0.9},
	ANY_SIZE(trips),
	SMALL(trips),
	{0},
};

#define SHAPE(producers, consumers) (100 * (producers) + (consumers))

const struct row queue_rows[] = {
	{
		.name = "queue-send-8",
		.job = "queue: 1 to 1, 8 B",
		.unit = "message",
		.placement = OWN_CPUS,
		.size = 8,
		.with = message_contenders,
	},
	{
		.name = "queue-send-64",
		.job = "queue: 1 to 1, 64 B",
		.unit = "message",
		.placement = OWN_CPUS,
		.size = 64,
		.figure = 10e6,
		.with = message_contenders,
		.size_unit = "bytes",
		.sizes = {8, 64, 1 << 10, 64 << 10, 1 << 20, -1},
	},
	{
		.name = "queue-send-1k",
		.job = "queue: 1 to 1, 1 KiB",
		.unit = "message",
		.placement = OWN_CPUS,
		.size = 1 << 10,
		.with = message_contenders,
	},
	{
		.name = "queue-send-64k",
		.job = "queue: 1 to 1, 64 KiB",
		.unit = "message",
		.placement = OWN_CPUS,
		.size = 64 << 10,
		.with = message_contenders,
	},
	{
		.name = "queue-send-1m",
		.job = "queue of 4 MiB: 1 to 1, 1 MiB",
		.unit = "message",
		.placement = OWN_CPUS,
		.size = 1 << 20,
		.with = large_contenders,
	},
	{
		.name = "queue-place-1m",
		.job = "queue of 4 MiB, in place: 1 to 1, 1 MiB, not copied",
		.unit = "message",
		.placement = OWN_CPUS,
		.size = 1 << 20,
		.figure = 0.5e6,
		.with = place_contenders,
	},
	{
		.name = "queue-batch-8",
		.job = "queue, batches of 32: 1 to 1, 8 B",
		.unit = "message",
		.placement = OWN_CPUS,
		.size = 8,
		.with = batch_contenders,
	},
	{
		.name = "queue-batch-64",
		.job = "queue, batches of 32: 1 to 1, 64 B",
		.unit = "message",
		.placement = OWN_CPUS,
		.size = 64,
		.figure = 40e6,
		.with = batch_contenders,
	},
	{
		.name = "queue-batch-1k",
		.job = "queue, batches of 32: 1 to 1, 1 KiB",
		.unit = "message",
		.placement = OWN_CPUS,
		.size = 1 << 10,
		.with = batch_contenders,
	},
	{
		.name = "queue-1to4",
		.job = "queue: 1 to 4, 64 B",
		.unit = "message",
		.placement = FREE,
		.size = SHAPE(1, 4),
		.with = crowd_contenders,
	},
	{
		.name = "queue-4to1",
		.job = "queue: 4 to 1, 64 B",
		.unit = "message",
		.placement = FREE,
		.size = SHAPE(4, 1),
		.with = crowd_contenders,
	},
	{
		.name = "queue-2to2",
		.job = "queue: 2 to 2, 64 B",
		.unit = "message",
		.placement = FREE,
		.size = SHAPE(2, 2),
		.figure = 8e6,
		.with = crowd_of_4_contenders,
	},
	{
		.name = "queue-4to4",
		.job = "queue: 4 to 4, 64 B",
		.unit = "message",
		.placement = FREE,
		.size = SHAPE(4, 4),
		.with = crowd_contenders,
	},
	{
		.name = "queue-16to16",
		.job = "queue: 16 to 16, 64 B",
		.unit = "message",
		.placement = FREE,
		.size = SHAPE(16, 16),
		.with = crowd_contenders,
	},
	{
		.name = "queue-trip-64",
		.job = "two queues: there and back, 64 B",
		.unit = "round trip",
		.placement = OWN_CPUS,
		.size = 64,
		.with = trip_contenders,
	},
	{
		.name = "queue-trip-asleep",
		.job = "two queues, asleep: there and back, 64 B",
		.unit = "round trip",
		.placement = OWN_CPUS,
		.size = 64,
		.with = asleep_contenders,
	},
	{0},
};
