/* SPDX-License-Identifier: MIT */
/*
 * Channel: messages between two processes, by whatever means, for the rows of
 * things that carry messages.  Side 0 measures; side 1 is its partner, a child.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include "bench.h"

#include <ipckit/defs.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct channel {
	/* The calling process is that side from now on; NULL: nothing to do. */
	void (*side)(int side);
	/* 0 or -errno.  One way, it is side 1 that sends. */
	int (*send)(const void *data, size_t size);
	/* The size of the message, at most `room`, or -errno. */
	ssize_t (*recv)(void *data, size_t room);
	/* All of these messages: 0 or -errno; NULL: they are sent one by one. */
	int (*send_many)(const struct iovec *messages, int n);
	/* As many as are there, at most n, into `room` bytes: their number, or -errno; NULL: one by one. */
	int (*recv_many)(void *data, size_t room, struct iovec *messages, int n);
};

/* Messages in a batch. */
#define CHANNEL_MANY 32

/* Makes one for messages of `size` bytes; called once in a process, before the partner is forked. */
typedef int make_channel(struct channel *c, size_t size);

/*
 * Round trips, or messages one way, of ctx->size bytes, per second.  Each message
 * is numbered at its beginning and marked at its end, which the receiver checks.
 */
double channel_trips(make_channel *make, const struct bench_ctx *ctx);
double channel_messages(make_channel *make, const struct bench_ctx *ctx);
/* One way, in batches. */
double channel_batches(make_channel *make, const struct bench_ctx *ctx);

/*
 * Crowd: messages of CROWD_BYTES from many processes to many, through one channel, of which each
 * producer takes side 1 and each consumer side 0.  The consumers' messages per second.  The
 * size of the row is 100 times the producers, and the consumers.
 */
double crowd_messages(make_channel *make, const struct bench_ctx *ctx);
#define CROWD_BYTES 64

/* Memory that processes forked later share, page by page; NULL: there is none. */
void *channel_memory(size_t size);

/* peer_pipe.c: the kernel's */
make_channel peer_pipe, peer_stream, peer_seqpacket, peer_mq;
/* One way, small messages, for more than one receiver: none reads ahead. */
make_channel peer_pipe_shared;
/* The greatest messages that they carry as they are set up. */
#define PEER_SEQPACKET_MAX 65536
#define PEER_MQ_MAX 8192

/* peer_shm.c: through shared memory, and the floors: a copy in and a copy out, and a bare futex */
make_channel peer_ck, peer_ck_mpmc, floor_copy, floor_futex;
/* Messages of one cell, those that several may send and receive. */
#define PEER_CK_MPMC_MAX 65536

/* peer_boost.cc: Boost.Interprocess's */
make_channel peer_boost_queue;

#ifdef __cplusplus
}
#endif

#endif
