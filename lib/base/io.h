/* SPDX-License-Identifier: MIT */
/* System calls on file descriptors that EINTR and short counts do not disturb. */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <ipckit/deadline.h>
#include <stddef.h>
#include <sys/types.h>

/* Reads until `size` bytes or end of file, writes all: the count, or -errno. */
ssize_t io_read(int fd, void *data, size_t size);
ssize_t io_write(int fd, const void *data, size_t size);

/*
 * All descriptors made here are close-on-exec and above standard error: where a
 * standard stream was closed, the next thing opened would stand in for it.
 */
int io_open(const char *path, int flags, int *fd);

/*
 * fds[0] reads, fds[1] writes.  The numbers are stored by the kernel before the
 * descriptors exist, so that a fork in another thread cannot copy what a fork
 * hook that looks at `fds` does not know.  Failed: unchanged, or both -1.
 */
int io_pipe(int fds[2]);

/* *copy: a duplicate. */
int io_dup_to(int fd, int *copy);

/* *lifted: fd itself or, if that is a standard one, a duplicate in its place; failed: closed, and -1. */
int io_lift(int fd, int *lifted);

/* Closes and forgets: *fd becomes -1.  Negative is fine. */
void io_close(int *fd);

/*
 * Waits until fd is readable or hung up: 0, -ETIMEDOUT, -ECANCELED.  With a slice
 * > 0 it returns 0 after that many nanoseconds, for who has more to look at.
 */
int io_poll(int fd, struct ipck_deadline deadline, int64_t slice);

/* Whether fd is readable or hung up now. */
bool io_ready(int fd);

#endif
