/* SPDX-License-Identifier: MIT */
/*
 * Channel: messages between two processes, by whatever means, for the rows of
 * things that carry messages.  Side 0 measures; side 1 is its partner, a child.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include "bench.h"

#include <ipckit/defs.h>

struct channel {
	/* The calling process is that side from now on; NULL: nothing to do. */
	void (*side)(int side);
	/* 0 or -errno.  One way, it is side 1 that sends. */
	int (*send)(const void *data, size_t size);
	/* The size of the message, at most `room`, or -errno. */
	ssize_t (*recv)(void *data, size_t room);
};

/* Makes one for messages of `size` bytes; called once in a process, before the partner is forked. */
typedef int make_channel(struct channel *c, size_t size);

/*
 * Round trips, or messages one way, of ctx->size bytes, per second.  Each message
 * is numbered at its beginning and marked at its end, which the receiver checks.
 */
double channel_trips(make_channel *make, const struct bench_ctx *ctx);
double channel_messages(make_channel *make, const struct bench_ctx *ctx);

/* Memory that processes forked later share, page by page; NULL: there is none. */
void *channel_memory(size_t size);

/* peer_pipe.c: the kernel's */
make_channel peer_pipe, peer_stream, peer_seqpacket, peer_mq;
/* The greatest messages that they carry as they are set up. */
#define PEER_SEQPACKET_MAX 65536
#define PEER_MQ_MAX 8192

/* peer_shm.c: through shared memory, and the floors: a copy in and a copy out, and a bare futex */
make_channel peer_ck, floor_copy, floor_futex;

#endif
