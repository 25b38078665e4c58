/* SPDX-License-Identifier: MIT */
/*
 * Queues: messages from any process to any other, each to one; the counterpart of
 * multiprocessing.Queue, JoinableQueue, and of what queue.Queue has besides.
 *
 * A message has a boundary and any size from 0 bytes to that of the queue.  It is in
 * shared memory when the call that put it returns: everybody can get it then, and it stays
 * if its producer is killed; no thread has to send it, so a process may exit at any
 * time.  What one thread puts is got in that order.  Producers wait while there is no
 * room, consumers while there is no message.
 *
 * Whoever is killed, the others go on.  A message is there wholly or not at all.  A
 * consumer that is killed before its get returns either has taken the message or not; what
 * was peeked, or leased (see below), goes to another, and a reservation is given up.  Who
 * sleeps notices a death within 250 ms.  (A process that is stopped is not dead: in the
 * middle of a call it holds others up.)  Who executes another program is not dead, either:
 * what it had reserved, peeked or leased, or its other threads were just copying, is held
 * until that program ends.  So it closes the handle before.
 *
 * Calls that wait do so until their deadline: -ETIMEDOUT, or -ECANCELED if it was
 * interrupted; nothing was put or got then.  -ESHUTDOWN: the queue was shut down.
 * -EPROTO: the shared memory is damaged.  -ENOTRECOVERABLE: a thread executed another
 * program in the middle of a call.  No call may be made from a signal handler.  A handle may be
 * used by several threads, and by the children that are forked; it is closed when no other call
 * on it is under way.
 */
#ifndef IPCKIT_QUEUE_H
#define IPCKIT_QUEUE_H

#include <ipckit/deadline.h>
#include <ipckit/defs.h>
#include <sys/uio.h>

struct ipck_queue;

struct ipck_queue_opts {
	size_t size; /* of this struct, set by the macros below */
	/*
	 * create: of shared memory for the messages, rounded up to a power of two; 0: 1 MiB.  A
	 * message takes 16 bytes more than its size, rounded up to 16.
	 */
	size_t bytes;
	size_t max_items; /* create: no more messages than that; 0: as many as there is room for */
	bool joinable;    /* create: ipck_queue_task_done and ipck_queue_join can be used */
	/*
	 * create: what was got is leased to its consumer until it is marked done, and goes
	 * to another if that dies before.  Joinable, too.
	 */
	bool leases;
	mode_t mode;    /* create: permissions of a named queue, whatever the umask; 0 is 0600 */
	bool any_owner; /* open: also one that another user made */
};
#define IPCK_QUEUE_OPTS_INIT {sizeof(struct ipck_queue_opts), 0, 0, false, false, 0, false}
#define IPCK_QUEUE_OPTS(...) \
	(&(const struct ipck_queue_opts){.size = sizeof(struct ipck_queue_opts), __VA_ARGS__})

/* The largest that can be made. */
#define IPCK_QUEUE_BYTES_MAX ((size_t)1 << 32)

IPCK_BEGIN_DECLS

/* ---- life ---- */

/*
 * Makes a queue and stores its handle in *out.  A NULL name makes an anonymous one, shared
 * by inheritance over fork, by ipck_queue_fds, or by process.h's .pass.  A named
 * one exists until ipck_queue_unlink.  opts may be NULL.
 *
 * -EEXIST: the name is taken.  -ENOENT: somebody removed it again meanwhile.  -ENOSPC: no shared
 * memory.  -EINVAL: bad name, mode, or more than IPCK_QUEUE_BYTES_MAX.  -ENOMEM, -EMFILE, -ENFILE,
 * -EACCES, -E2BIG.
 */
IPCK_API IPCK_MUST_CHECK int ipck_queue_create(struct ipck_queue **out, const char *name,
                                               const struct ipck_queue_opts *opts);

/* As ipck_shm_open: -ENOENT, -EPROTO, -EXDEV, -EPERM, -EACCES, -EINVAL, -ENOMEM, -EMFILE, -ENFILE, -E2BIG. */
IPCK_API IPCK_MUST_CHECK int ipck_queue_open(struct ipck_queue **out, const char *name,
                                             const struct ipck_queue_opts *opts);

/*
 * What a queue is made of, for handing it over by any means: two descriptors, owned
 * by the handle.  open makes a handle of copies of them: -EPROTO: they are not a
 * queue.  -EBADF, and as ipck_queue_open.
 */
IPCK_API int ipck_queue_fds(const struct ipck_queue *queue, int fds[2]);
IPCK_API IPCK_MUST_CHECK int ipck_queue_open_fds(struct ipck_queue **out, const int fds[2],
                                                 const struct ipck_queue_opts *opts);

/*
 * Drops this handle: others keep the queue, and what is in it.  What this process has reserved
 * is canceled, what it has peeked or leased through this handle goes to others.  NULL is fine.
 */
IPCK_API void ipck_queue_close(struct ipck_queue *queue);

/* Removes the name; who has the queue open keeps it.  -ENOENT, -EINVAL, -EACCES, -EPERM. */
IPCK_API int ipck_queue_unlink(const char *name);

/* ---- messages ---- */

/*
 * Puts one message of `size` bytes behind all others; with 0 bytes data may be NULL.  It waits
 * while there is no room.  A message that has waited long for its room goes first: those
 * that would fit wait for it, as long as any room comes, and up to 250 ms even if its producer
 * was killed or stopped.
 * -EMSGSIZE: larger than the queue.
 */
IPCK_API IPCK_MUST_CHECK int ipck_queue_put(struct ipck_queue *queue, const void *data, size_t size,
                                            struct ipck_deadline deadline);

/*
 * Gets the first message into `size` bytes and returns its size.  -EMSGSIZE: it is
 * longer; it stays the first, and its size is stored in *needed unless that is
 * NULL.
 */
IPCK_API IPCK_MUST_CHECK ssize_t ipck_queue_get(struct ipck_queue *queue, void *data, size_t size, size_t *needed,
                                                struct ipck_deadline deadline);

/*
 * Gets one message of any size: *data is memory to be freed by free(), never NULL, *size
 * its size.  -ENOMEM: the message stays.
 */
IPCK_API IPCK_MUST_CHECK int ipck_queue_get_new(struct ipck_queue *queue, void **data, size_t *size,
                                                struct ipck_deadline deadline);

/*
 * Puts n messages, one for each part, in that order, and returns how many it has put before the
 * deadline: those are the first.  Negative, if it is none: as ipck_queue_put.
 * Others' messages may come between them if there is not room for all at once.
 */
IPCK_API IPCK_MUST_CHECK int ipck_queue_put_many(struct ipck_queue *queue, const struct iovec *messages, int n,
                                                 struct ipck_deadline deadline);

/*
 * Waits for a message, and gets as many as are there, up to n, and fit into `size` bytes.
 * Returns their number; messages[i] is where in data each is.  The order is that of the
 * queue.  It may get fewer, as messages beyond 4 KiB, or given back, come alone where there are no leases.
 * Negative: as ipck_queue_get.
 */
IPCK_API IPCK_MUST_CHECK int ipck_queue_get_many(struct ipck_queue *queue, void *data, size_t size,
                                                 struct iovec *messages, int n, size_t *needed,
                                                 struct ipck_deadline deadline);

/* ---- in place ---- */

/*
 * Putting in place: reserve gives *data, room for `size` bytes in the queue itself, and
 * its place in the order: what others put comes behind it and waits for it.  commit makes the first
 * `size` of them the message, cancel makes none.  A process may have several at once; any
 * of its threads may end them.
 *
 * -EMSGSIZE: larger than the queue.  -EPERM: it is not, or no longer, reserved by this process.  -EINVAL: more than
 * was reserved.
 */
IPCK_API IPCK_MUST_CHECK int ipck_queue_reserve(struct ipck_queue *queue, size_t size, void **data,
                                                struct ipck_deadline deadline);
IPCK_API int ipck_queue_commit(struct ipck_queue *queue, void *data, size_t size);
IPCK_API int ipck_queue_cancel(struct ipck_queue *queue, void *data);

/* A message that a process has in its hands. */
struct ipck_queue_item {
	const void *data;    /* in the queue itself, until released or refused */
	size_t size;         /* in bytes */
	uint32_t deliveries; /* how often it was given out, this time included; at most 4095 */
	uint32_t place;      /* the library's own */
};

/*
 * Getting in place: peek gives the first message to this process, and others the ones
 * behind it.  release says that it is done: its room can be used again.  refuse gives it
 * back: it is the first again (of several, in the order of the queue).  Who dies meanwhile has
 * refused it.  A process may have several at once; any of its threads may end them.  Room comes
 * back in the order of the queue, so an item that is kept long fills it.
 *
 * -EPERM: this process does not have it (any more).
 */
IPCK_API IPCK_MUST_CHECK int ipck_queue_peek(struct ipck_queue *queue, struct ipck_queue_item *item,
                                             struct ipck_deadline deadline);
IPCK_API int ipck_queue_release(struct ipck_queue *queue, const struct ipck_queue_item *item);
IPCK_API int ipck_queue_refuse(struct ipck_queue *queue, const struct ipck_queue_item *item);

/* ---- work done ---- */

/*
 * Marks one message that was got as done; call it once for each.  In a queue with leases it is
 * the one that the calling thread got first of those it still has; a message that was
 * peeked there is done when it is released.
 *
 * -EPERM: more than there were.  -EINVAL: the queue is not joinable.
 */
IPCK_API int ipck_queue_task_done(struct ipck_queue *queue);

/*
 * The message that ipck_queue_task_done would mark, to be looked at, released, or refused.
 * -ENOENT: the calling thread has none.  -EINVAL: the queue is without leases.  -EPROTO.
 */
IPCK_API int ipck_queue_leased(struct ipck_queue *queue, struct ipck_queue_item *item);

/*
 * Waits until all that was put is done, or was at some moment since the call began.
 * -EINVAL: the queue is not joinable.  Without leases, what a killed consumer had got is never
 * done.
 */
IPCK_API IPCK_MUST_CHECK int ipck_queue_join(struct ipck_queue *queue, struct ipck_deadline deadline);

/* ---- the whole ---- */

enum ipck_queue_end {
	IPCK_QUEUE_DRAIN = 1, /* what is there can be got, then -ESHUTDOWN */
	IPCK_QUEUE_IMMEDIATE, /* what is there is thrown away, and counts as done */
};

/*
 * Ends the queue for all, for ever: nothing more is put, and all who wait for room get
 * -ESHUTDOWN at once; consumers according to `how`.  What is reserved may be committed, what was peeked
 * or got marked as done; after IPCK_QUEUE_IMMEDIATE what is reserved or refused is thrown away.
 * Again: only from drain to immediate does anything change.  -EINVAL.
 */
IPCK_API int ipck_queue_shutdown(struct ipck_queue *queue, enum ipck_queue_end how);

/*
 * How many messages could be got at this moment without waiting.  (Those behind a
 * reservation cannot.)  -EPROTO; -ETIMEDOUT: somebody stopped in the middle of a call for a second.
 */
IPCK_API ssize_t ipck_queue_size(struct ipck_queue *queue);

/* Whether that is none; whether there is no room, or number, left for an empty message. */
IPCK_API bool ipck_queue_empty(struct ipck_queue *queue);
IPCK_API bool ipck_queue_full(struct ipck_queue *queue);

/*
 * A descriptor for poll and epoll (level-triggered), readable while there may be a
 * message, and after shutdown: then get with IPCK_NOWAIT until it fails, which makes it unreadable
 * again.  It may be readable in vain.  Owned by the handle; do not read or close it.  From
 * the first call on putting costs more.  Nobody rings for the dead: a reader that only polls should
 * get with IPCK_NOWAIT now and then where consumers peek or have leases.
 */
IPCK_API int ipck_queue_fd(struct ipck_queue *queue);

/*
 * Figures since it was made, for anyone to read.  A reservation counts as put, and as
 * unfinished, until it is canceled and all before it was got.  A death in the middle of a call may
 * leave its bytes or its wait uncounted.
 */
struct ipck_queue_stats {
	size_t size;         /* of this struct, set by the macro below */
	size_t bytes;        /* of shared memory for the messages */
	size_t largest;      /* message that can be put */
	size_t max_items;    /* 0: as many as there is room for */
	size_t bytes_used;   /* of bytes, by messages, reservations, and what is held behind */
	size_t items;        /* as ipck_queue_size */
	size_t held;         /* peeked or leased now */
	uint64_t unfinished; /* put and not done; 0 if the queue is not joinable */
	uint64_t puts, gets; /* messages; gets also count what was given out again */
	uint64_t bytes_put, bytes_got;
	uint64_t put_waits, get_waits; /* calls that had to wait for room, or a message */
	size_t most_items;             /* high-water mark: seen waiting at once */
	uint64_t recovered;            /* locks, reservations and messages of the dead */
	bool joinable, leases;
	int shutdown; /* 0, or enum ipck_queue_end */
};
#define IPCK_QUEUE_STATS_INIT \
	{sizeof(struct ipck_queue_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, false, false, 0}

/* stats->size is set by the caller: -EINVAL.  -EPROTO, -ETIMEDOUT as ipck_queue_size. */
IPCK_API int ipck_queue_stat(struct ipck_queue *queue, struct ipck_queue_stats *stats);

IPCK_END_DECLS

#endif
