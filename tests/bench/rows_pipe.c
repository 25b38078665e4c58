/* SPDX-License-Identifier: MIT */
/* Messages between two processes: pipes, and all that carries messages in their place. */
#include "channel.h"

#include <errno.h>
#include <ipckit.h>
#include <stdlib.h>
#include <string.h>

#include "coll/pipe.h"

/* ---- ipckit ---- */

/* Room for a few large messages, as far as that helps; 0: what a pipe has by itself. */
static size_t ring_for(size_t size)
{
	if (size < 16384)
		return 0;
	return size < 1 << 20 ? 4 * size : 4 << 20;
}

static struct ipck_pipe *ends[2], *end;

static void take_end(int side)
{
	end = ends[side];
	ipck_pipe_close(ends[!side]);
}

/* So that all that is sent rings, as for those who poll. */
static void take_armed_end(int side)
{
	take_end(side);
	if (ipck_pipe_fd(end) < 0)
		abort();
}

static int send_message(const void *data, size_t size)
{
	return ipck_pipe_send(end, data, size, IPCK_FOREVER);
}

static ssize_t recv_message(void *data, size_t room)
{
	return ipck_pipe_recv(end, data, room, NULL, IPCK_FOREVER);
}

static int make_pipe(struct channel *c, size_t size)
{
	*c = (struct channel){take_end, send_message, recv_message};
	return ipck_pipe_create(ends, IPCK_PIPE_OPTS(.bytes = ring_for(size)));
}

static int make_armed(struct channel *c, size_t size)
{
	int rc = make_pipe(c, size);

	c->side = take_armed_end;
	return rc;
}

/* Neither spins nor yields, so that each message finds its receiver asleep. */
static void take_sleepy_end(int side)
{
	take_end(side);
	end->receiving.spinner = (struct spinner){.skip = UINT32_MAX};
}

static int make_sleepy(struct channel *c, size_t size)
{
	int rc = make_pipe(c, size);

	c->side = take_sleepy_end;
	return rc;
}

static int make_one_way(struct channel *c, size_t size)
{
	*c = (struct channel){take_end, send_message, recv_message};
	return ipck_pipe_create(ends, IPCK_PIPE_OPTS(.one_way = true, .bytes = ring_for(size)));
}

/* All but small messages are streamed. */
static int make_streamed(struct channel *c, size_t size)
{
	(void)size;
	*c = (struct channel){take_end, send_message, recv_message};
	return ipck_pipe_create(ends, IPCK_PIPE_OPTS(.one_way = true));
}

/*
 * In place nothing of a message is written but its number and its last byte, which
 * the receiver checks: as programs do that fill in what has changed.
 */
static int send_place(const void *data, size_t size)
{
	void *room;
	int rc = ipck_pipe_reserve(end, size, &room, IPCK_FOREVER);

	if (rc < 0)
		return rc;
	memcpy(room, data, sizeof(uint64_t));
	((char *)room)[size - 1] = ((const char *)data)[size - 1];
	return ipck_pipe_commit(end, size);
}

static ssize_t recv_place(void *data, size_t room)
{
	const void *place;
	size_t size;
	int rc = ipck_pipe_peek(end, &place, &size, IPCK_FOREVER);

	if (rc < 0)
		return rc;
	if (size != room)
		return -EBADMSG;
	memcpy(data, place, sizeof(uint64_t));
	((char *)data)[size - 1] = ((const char *)place)[size - 1];
	rc = ipck_pipe_release(end);
	return rc < 0 ? rc : (ssize_t)size;
}

static int make_place(struct channel *c, size_t size)
{
	*c = (struct channel){take_end, send_place, recv_place};
	return ipck_pipe_create(ends, IPCK_PIPE_OPTS(.one_way = true, .bytes = 4 * size));
}

/* ---- contenders ---- */

#define TRIPS(name, make) \
	static double trips_##name(const struct bench_ctx *ctx) \
	{ \
		return channel_trips(make, ctx); \
	}
#define MESSAGES(name, make) \
	static double messages_##name(const struct bench_ctx *ctx) \
	{ \
		return channel_messages(make, ctx); \
	}

TRIPS(ipckit, make_pipe)
TRIPS(armed, make_armed)
TRIPS(sleepy, make_sleepy)
TRIPS(ck, peer_ck)
TRIPS(pipe, peer_pipe)
TRIPS(stream, peer_stream)
TRIPS(seqpacket, peer_seqpacket)
TRIPS(mq, peer_mq)
TRIPS(futex, floor_futex)
MESSAGES(ipckit, make_one_way)
MESSAGES(streamed, make_streamed)
MESSAGES(place, make_place)
MESSAGES(ck, peer_ck)
MESSAGES(copy, floor_copy)
MESSAGES(pipe, peer_pipe)
MESSAGES(stream, peer_stream)
MESSAGES(seqpacket, peer_seqpacket)
MESSAGES(mq, peer_mq)

static double trips_python(const struct bench_ctx *ctx)
{
	return python_run("pipe-trip", ctx);
}

static double messages_python(const struct bench_ctx *ctx)
{
	return python_run("pipe-send", ctx);
}

#define CK .package = "libck-dev, before configure"
#define PYTHON .package = "python3"

/* clang-format off */
#define KERNEL_PEERS(job) \
	{"pipe(2)", job##_pipe, .target = 1}, \
	{"socketpair, stream", job##_stream, .target = 1}, \
	{"CPython Pipe", job##_python, .target = 1, PYTHON}
#define SMALL_PEERS(job) \
	{"socketpair, seqpacket", job##_seqpacket, .target = 1, .most = PEER_SEQPACKET_MAX}, \
	{"POSIX mq", job##_mq, .target = 1, .most = PEER_MQ_MAX}
/* clang-format on */

static const struct contender trip_contenders[] = {
	{"ipckit", trips_ipckit},
	{"CK SPSC ring x 2 (spins)", trips_ck, .target = 0.8, CK},
	KERNEL_PEERS(trips),
	SMALL_PEERS(trips),
	{0},
};

/* Sizes for which no ratio to a ring of cells is asked. */
static const struct contender any_trip_contenders[] = {
	{"ipckit", trips_ipckit},
	{"CK SPSC ring x 2 (spins)", trips_ck, CK},
	KERNEL_PEERS(trips),
	SMALL_PEERS(trips),
	{0},
};

static const struct contender asleep_contenders[] = {
	{"ipckit", trips_sleepy},
	{"floor: futex round trip", trips_futex, .target = 0.9},
	KERNEL_PEERS(trips),
	SMALL_PEERS(trips),
	{0},
};

static const struct contender one_cpu_contenders[] = {
	{"ipckit", trips_ipckit},
	{"floor: futex round trip", trips_futex, .target = 0.9},
	KERNEL_PEERS(trips),
	SMALL_PEERS(trips),
	{0},
};

static const struct contender armed_contenders[] = {
	{"ipckit", trips_armed},
	KERNEL_PEERS(trips),
	SMALL_PEERS(trips),
	{0},
};

static const struct contender message_contenders[] = {
	{"ipckit", messages_ipckit},
	{"CK SPSC ring (spins)", messages_ck, .target = 1.25, CK},
	KERNEL_PEERS(messages),
	SMALL_PEERS(messages),
	{0},
};

static const struct contender any_message_contenders[] = {
	{"ipckit", messages_ipckit},
	{"CK SPSC ring (spins)", messages_ck, CK},
	KERNEL_PEERS(messages),
	SMALL_PEERS(messages),
	{0},
};

static const struct contender large_contenders[] = {
	{"ipckit", messages_ipckit},
	{"floor: a copy in, a copy out", messages_copy, .target = 0.8},
	{"ipckit, ring of 64 KiB", messages_streamed},
	{"CK SPSC ring (spins)", messages_ck, CK},
	KERNEL_PEERS(messages),
	{0},
};

static const struct contender place_contenders[] = {
	{"ipckit", messages_place},
	{0},
};

const struct row pipe_rows[] = {
	{
		.name = "pipe-trip-8",
		.job = "pipe: there and back, 8 B",
		.unit = "round trip",
		.placement = OWN_CPUS,
		.size = 8,
		.with = any_trip_contenders,
	},
	{
		.name = "pipe-trip-64",
		.job = "pipe: there and back, 64 B",
		.unit = "round trip",
		.placement = OWN_CPUS,
		.size = 64,
		.with = trip_contenders,
		.size_unit = "bytes",
		.sizes = {8, 64, 1 << 10, 64 << 10, 1 << 20, -1},
	},
	{
		.name = "pipe-trip-1k",
		.job = "pipe: there and back, 1 KiB",
		.unit = "round trip",
		.placement = OWN_CPUS,
		.size = 1 << 10,
		.with = any_trip_contenders,
	},
	{
		.name = "pipe-trip-64k",
		.job = "pipe: there and back, 64 KiB",
		.unit = "round trip",
		.placement = OWN_CPUS,
		.size = 64 << 10,
		.with = any_trip_contenders,
	},
	{
		.name = "pipe-trip-1m",
		.job = "pipe: there and back, 1 MiB",
		.unit = "round trip",
		.placement = OWN_CPUS,
		.size = 1 << 20,
		.with = any_trip_contenders,
	},
	{
		.name = "pipe-trip-armed",
		.job = "pipe with a descriptor to poll: there and back, 64 B",
		.unit = "round trip",
		.placement = OWN_CPUS,
		.size = 64,
		.figure = 0.25e6,
		.with = armed_contenders,
	},
	{
		.name = "pipe-trip-asleep",
		.job = "pipe, asleep: there and back, 64 B",
		.unit = "round trip",
		.placement = OWN_CPUS,
		.size = 64,
		.with = asleep_contenders,
	},
	{
		.name = "pipe-trip-1cpu",
		.job = "pipe, on one CPU: there and back, 64 B",
		.unit = "round trip",
		.placement = ONE_CPU,
		.size = 64,
		.with = one_cpu_contenders,
	},
	{
		.name = "pipe-send-8",
		.job = "pipe: one way, 8 B",
		.unit = "message",
		.placement = OWN_CPUS,
		.size = 8,
		.with = any_message_contenders,
	},
	{
		.name = "pipe-send-64",
		.job = "pipe: one way, 64 B",
		.unit = "message",
		.placement = OWN_CPUS,
		.size = 64,
		.figure = 15e6,
		.with = message_contenders,
		.size_unit = "bytes",
		.sizes = {8, 64, 1 << 10, 64 << 10, 1 << 20, 16 << 20, -1},
	},
	{
		.name = "pipe-send-1k",
		.job = "pipe: one way, 1 KiB",
		.unit = "message",
		.placement = OWN_CPUS,
		.size = 1 << 10,
		.with = any_message_contenders,
	},
	{
		.name = "pipe-send-64k",
		.job = "pipe: one way, 64 KiB",
		.unit = "message",
		.placement = OWN_CPUS,
		.size = 64 << 10,
		.with = any_message_contenders,
	},
	{
		.name = "pipe-send-1m",
		.job = "pipe: one way, 1 MiB",
		.unit = "message",
		.placement = OWN_CPUS,
		.size = 1 << 20,
		.with = large_contenders,
	},
	{
		.name = "pipe-send-16m",
		.job = "pipe: one way, 16 MiB",
		.unit = "message",
		.placement = OWN_CPUS,
		.size = 16 << 20,
		.with = large_contenders,
	},
	{
		.name = "pipe-place-1m",
		.job = "pipe: in place, one way, 1 MiB, not copied",
		.unit = "message",
		.placement = OWN_CPUS,
		.size = 1 << 20,
		.figure = 0.5e6,
		.with = place_contenders,
	},
	{0},
};
