/* SPDX-License-Identifier: MIT */
/*
 * Waiting for many things at once, the counterpart of multiprocessing.connection.wait:
 * pipes, processes and plain file descriptors, with one deadline.
 */
#ifndef IPCKIT_WAIT_H
#define IPCKIT_WAIT_H

#include <ipckit/deadline.h>
#include <ipckit/defs.h>

struct ipck_pipe;
struct ipck_process;

/* One of them; made by the macros below.  ready is set by ipck_wait. */
struct ipck_waitable {
	struct ipck_pipe *pipe;
	struct ipck_process *process; /* if pipe is NULL */
	int fd;                       /* if both are NULL; negative: none */
	bool ready;
};
#define IPCK_WAIT_PIPE(p) {.pipe = (p), .fd = -1}
#define IPCK_WAIT_PROCESS(p) {.process = (p), .fd = -1}
#define IPCK_WAIT_FD(f) {.fd = (f)}

IPCK_BEGIN_DECLS

/*
 * Waits until at least one is ready: a pipe has something to receive, or nobody has
 * its other end any more (ipck_pipe_poll would return 0); a process has ended; a file
 * descriptor is readable, hung up or in error.  Returns how many are, and says which;
 * with -ETIMEDOUT and -ECANCELED none is.  Without objects it sleeps.
 *
 * -EBADF: a pipe that only sends or was not kept, or no such descriptor.  -ECHILD: a
 * process that is not a child of this one.  -EINVAL: more objects than this process
 * may have descriptors.  -ENOMEM.  May be called by several threads,
 * also for the same objects.  A pipe that was waited for rings a bell from then on
 * (see ipck_pipe_fd).
 */
IPCK_API IPCK_MUST_CHECK ssize_t ipck_wait(struct ipck_waitable *objects, size_t n, struct ipck_deadline deadline);

IPCK_END_DECLS

#endif
