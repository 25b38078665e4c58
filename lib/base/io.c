/* SPDX-License-Identifier: MIT */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/compiler.h"

ssize_t io_read(int fd, void *data, size_t size)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = read(fd, (char *)data + got, size - got);

		if (n > 0)
			got += (size_t)n;
		else if (n == 0)
			break;
		else if (errno != EINTR)
			return -errno;
	}
	return (ssize_t)got;
}

ssize_t io_write(int fd, const void *data, size_t size)
{
	size_t put = 0;

	while (put < size) {
		ssize_t n = write(fd, (const char *)data + put, size - put);

		if (n >= 0)
			put += (size_t)n;
		else if (errno != EINTR)
			return -errno;
	}
	return (ssize_t)put;
}

int io_open(const char *path, int flags, int *fd)
{
	int opened = open(path, flags | O_CLOEXEC);

	return opened < 0 ? -errno : io_lift(opened, fd);
}

int io_pipe(int fds[2])
{
	int rc;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	rc = io_lift(fds[0], &fds[0]);
	if (rc == 0)
		rc = io_lift(fds[1], &fds[1]);
	if (rc < 0) {
		io_close(&fds[0]);
		io_close(&fds[1]);
	}
	return rc;
}

int io_lift(int fd, int *lifted)
{
	int rc;

	*lifted = fd;
	if (fd > STDERR_FILENO)
		return 0;
	rc = io_dup_to(fd, lifted);
	close(fd);
	if (rc < 0)
		*lifted = -1;
	return rc;
}

int io_dup_to(int fd, int *copy)
{
	int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	/* EINVAL: the process may not have a descriptor 3. */
	if (duplicate < 0)
		return errno == EINVAL ? -EMFILE : -errno;
	*copy = duplicate;
	return 0;
}

void io_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static bool poll_readable(int fd, int64_t ns)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, (int)((ns + NS_PER_MS - 1) / NS_PER_MS)) > 0;
}

bool io_ready(int fd)
{
	return poll_readable(fd, 0);
}

int io_poll(int fd, struct ipck_deadline deadline, int64_t slice)
{
	/* The descriptor first: what is ready is ready after any deadline. */
	while (!io_ready(fd)) {
		int64_t now = clock_now(), pause;
		int rc = deadline_check(deadline, now);

		if (rc < 0)
			return rc;
		pause = deadline_tick(deadline, now) - now;
		if (poll_readable(fd, slice > 0 ? MIN(slice, pause) : pause) || slice > 0)
			return 0;
	}
	return 0;
}
