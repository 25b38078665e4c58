/* SPDX-License-Identifier: MIT */
/*
 * Pipes: messages between two ends, the counterpart of multiprocessing.Pipe.
 *
 * A message has a boundary and any size, 0 bytes included: it is received whole, or
 * not at all.  What was sent when a call returned is received even if the sender is
 * killed then.  Both ends may be used by several processes and threads at once; each
 * message goes to one of them.
 *
 * An end is inherited over fork, passed to a spawned program (process.h, .pass), or
 * sent through another pipe.  It exists as long as any process has a copy that it did
 * not close: only then do calls at the other end return -EPIPE, receiving ones after
 * all that was sent has been received.  So close the ends that a process does not use.
 * The end of a killed process is noticed by who sleeps within 250 ms, that of one
 * that closes or ends at once.
 *
 * Calls that wait do so until their deadline: -ETIMEDOUT, or -ECANCELED if it was
 * interrupted; nothing was sent or received then.  One process or thread at a time is
 * at either side of an end: others wait for it, and with IPCK_NOWAIT do not.  -EBADF: the pipe does not go that
 * way, or the end was not kept for this process.  -EPROTO: the shared memory is damaged.
 * Who executes another program in the middle of something (reserved, peeked, partly
 * received) keeps others at that end waiting until that ends: close before.
 * No call may be made from a signal handler.  A handle is closed when no other
 * call on it is under way.
 */
#ifndef IPCKIT_PIPE_H
#define IPCKIT_PIPE_H

#include <ipckit/deadline.h>
#include <ipckit/defs.h>
#include <sys/uio.h>

struct ipck_pipe;

struct ipck_pipe_opts {
	size_t size;  /* of this struct, set by the macros below */
	bool one_way; /* the first end only receives, the second only sends */
	size_t bytes; /* of the ring for each direction, rounded up to a power of two; 0: 64 KiB */
};
#define IPCK_PIPE_OPTS_INIT {sizeof(struct ipck_pipe_opts), false, 0}
#define IPCK_PIPE_OPTS(...) \
	(&(const struct ipck_pipe_opts){.size = sizeof(struct ipck_pipe_opts), __VA_ARGS__})

IPCK_BEGIN_DECLS

/*
 * Makes a pipe and stores the handles of its ends in ends[0] and ends[1].
 * -ENOSPC: no shared memory.  -EINVAL: more than 1 GiB.  -ENOMEM, -EMFILE, -ENFILE, -E2BIG.
 */
IPCK_API IPCK_MUST_CHECK int ipck_pipe_create(struct ipck_pipe *ends[2], const struct ipck_pipe_opts *opts);

/*
 * Closes this process' copy of an end.  What is reserved is canceled, what is peeked
 * stays.  NULL is fine.
 */
IPCK_API void ipck_pipe_close(struct ipck_pipe *pipe);

/*
 * Sends one message of `size` bytes, or of the n parts one after the other; the
 * memory is the caller's again when the call returns.  It waits while there is no
 * room.  A message longer than half the ring is streamed through it, as its receiver
 * takes it; past the deadline it is withdrawn.
 *
 * -EPIPE: nobody has the other end.  (Of messages to receivers that were all killed,
 * a quarter of the ring may be accepted before.)  -EOWNERDEAD: its receiver died in
 * the middle of this message.  -EDEADLK: this thread has reserved room and not committed it.  -EINVAL.
 */
IPCK_API IPCK_MUST_CHECK int ipck_pipe_send(struct ipck_pipe *pipe, const void *data, size_t size,
                                            struct ipck_deadline deadline);
IPCK_API IPCK_MUST_CHECK int ipck_pipe_sendv(struct ipck_pipe *pipe, const struct iovec *parts, int n,
                                             struct ipck_deadline deadline);

/*
 * Receives one message into `size` bytes, or into the n parts one after the other,
 * and returns its size.
 *
 * -EMSGSIZE: it is longer; it stays the next one, and its size is stored in *needed
 * unless that is NULL.  -EPIPE: all was received, and nobody has the other end.
 * -EBADMSG: the next message is descriptors, see ipck_pipe_recv_fds.  -EDEADLK: this
 * thread has peeked and not released.  A long message of which a part has come when the
 * deadline passes goes on with the next call at this handle; until then nobody else
 * receives.  -ENOMEM: for that part; the message stays.
 */
IPCK_API IPCK_MUST_CHECK ssize_t ipck_pipe_recv(struct ipck_pipe *pipe, void *data, size_t size, size_t *needed,
                                                struct ipck_deadline deadline);
IPCK_API IPCK_MUST_CHECK ssize_t ipck_pipe_recvv(struct ipck_pipe *pipe, const struct iovec *parts, int n,
                                                 size_t *needed, struct ipck_deadline deadline);

/*
 * Receives one message of any size: *data is memory to be freed by free(), never
 * NULL, *size its size.  -ENOMEM: the message stays.  The rest as ipck_pipe_recv.
 */
IPCK_API IPCK_MUST_CHECK int ipck_pipe_recv_new(struct ipck_pipe *pipe, void **data, size_t *size,
                                                struct ipck_deadline deadline);

/*
 * Waits until there is something to receive: a message, a long one's beginning, or
 * the end of them all (ipck_pipe_recv tells).  Takes nothing.
 */
IPCK_API IPCK_MUST_CHECK int ipck_pipe_poll(struct ipck_pipe *pipe, struct ipck_deadline deadline);

/*
 * Sending in place: reserve gives *data, room for `size` bytes in the ring itself,
 * commit sends the first `size` of them as one message, cancel sends nothing.  Others
 * at this end wait meanwhile; who dies then has sent nothing.
 *
 * -EMSGSIZE: more than half the ring.  -EPERM: nothing is reserved by this process.
 * -EINVAL: more than was reserved.
 */
IPCK_API IPCK_MUST_CHECK int ipck_pipe_reserve(struct ipck_pipe *pipe, size_t size, void **data,
                                               struct ipck_deadline deadline);
IPCK_API int ipck_pipe_commit(struct ipck_pipe *pipe, size_t size);
IPCK_API void ipck_pipe_cancel(struct ipck_pipe *pipe);

/*
 * Receiving in place: peek gives the next message where it lies, release takes it.
 * Others at this end wait meanwhile; who dies then has taken nothing.  Closing the
 * end, too, leaves it to others.
 *
 * -EMSGSIZE: it is longer than half the ring, *size is its size: ipck_pipe_recv.
 */
IPCK_API IPCK_MUST_CHECK int ipck_pipe_peek(struct ipck_pipe *pipe, const void **data, size_t *size,
                                            struct ipck_deadline deadline);
IPCK_API int ipck_pipe_release(struct ipck_pipe *pipe);

/*
 * A file descriptor for poll and epoll (level-triggered), readable while there may
 * be something to receive, and at the end: then receive with IPCK_NOWAIT until
 * -ETIMEDOUT, which makes it unreadable again.  It may be readable in vain.  Owned by
 * the handle; do not read or close it.  From the first call on sending costs more.
 */
IPCK_API int ipck_pipe_fd(struct ipck_pipe *pipe);

/*
 * Sends n file descriptors, 1 to IPCK_PIPE_FDS_MAX, as one message; they stay the
 * caller's.  recv_fds receives such a message and returns their number; they are
 * close-on-exec and the caller's.  -EBADMSG: the next message is none, and stays.
 * -EMSGSIZE: there are more than max, they stay.  -EMFILE: no room for them here,
 * they stay.  -EBADF also: one is not a descriptor.  -ETOOMANYREFS: too many are under
 * way.  -ENOMEM: nothing was sent, or they stay.
 */
#define IPCK_PIPE_FDS_MAX 16
IPCK_API IPCK_MUST_CHECK int ipck_pipe_send_fds(struct ipck_pipe *pipe, const int *fds, size_t n,
                                                struct ipck_deadline deadline);
IPCK_API IPCK_MUST_CHECK ssize_t ipck_pipe_recv_fds(struct ipck_pipe *pipe, int *fds, size_t max,
                                                    struct ipck_deadline deadline);

/*
 * What an end is made of, for handing it over by any means: two descriptors, owned by
 * the handle.  open makes a handle of copies of them: -EPROTO: they are not an end.
 * -EBADF, -ENOMEM, -EMFILE.
 */
IPCK_API int ipck_pipe_fds(const struct ipck_pipe *pipe, int fds[2]);
IPCK_API IPCK_MUST_CHECK int ipck_pipe_open_fds(struct ipck_pipe **out, const int fds[2]);

IPCK_END_DECLS

#endif
