/* SPDX-License-Identifier: MIT */
#include "exec_spool.h"

#include <ipckit.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define COPY_BUFFER (128 * 1024)

/* With a name for a moment, in which no signal but SIGKILL ends this process. */
static int named_file(const char *directory)
{
	sigset_t all, before;
	char *path;
	int fd;

	if (asprintf(&path, "%s/ipc-pool-XXXXXX", directory) < 0)
		return -ENOMEM;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	fd = mkostemp(path, O_APPEND | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	else
		unlink(path);
	sigprocmask(SIG_SETMASK, &before, NULL);
	free(path);
	return fd;
}

int spool_file(const char *directory)
{
#ifdef HAVE_O_TMPFILE
	int fd = open(directory, O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);

	if (fd >= 0)
		return fd;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return -errno;
#endif
	return named_file(directory);
}

/*
 * The command gets an open file description of its own, so that still_held can
 * tell it from ours.  Where that cannot be opened it gets ours.
 */
static int open_writer(struct exec_spool *s)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->fd);
	s->writer = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	s->own = s->writer >= 0;
	if (!s->own)
		s->writer = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
	return s->writer < 0 ? -errno : 0;
}

int spool_begin(struct exec_spool *s, const char *directory)
{
	int rc;

	if (s->fd < 0) {
		rc = spool_file(directory);
		if (rc < 0)
			return rc;
		s->fd = rc;
	}
	return open_writer(s);
}

off_t spool_end(struct exec_spool *s)
{
	off_t size = lseek(s->fd, 0, SEEK_END);

	close(s->writer);
	s->writer = -1;
	return size < 0 ? -errno : size;
}

/*
 * The kernel grants a write lease only on a file that no other open file
 * description can write to; so a lease granted is the proof.
 */
static bool still_held(const struct exec_spool *s)
{
#ifdef F_SETLEASE
	if (s->own && fcntl(s->fd, F_SETLEASE, F_WRLCK) == 0) {
		fcntl(s->fd, F_SETLEASE, F_UNLCK);
		return false;
	}
#endif
	return true;
}

/* A file that was written to is not emptied: truncation and writing again cost more than a new one. */
void spool_recycle(struct exec_spool *s, off_t size)
{
	if (size > 0 || still_held(s))
		spool_close(s);
}

void spool_close(struct exec_spool *s)
{
	if (s->writer >= 0)
		close(s->writer);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = s->writer = -1;
}

ssize_t spool_read(int fd, void *to, size_t size)
{
	size_t done = 0;
	ssize_t n = 1;

	while (done < size && n != 0) {
		n = pread(fd, (char *)to + done, size - done, (off_t)done);
		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return (ssize_t)done;
}

/* After a write that moved nothing: 0 to try again. */
static int write_failed(int to)
{
	struct pollfd p = {to, POLLOUT, 0};

	if (ipck_interrupted())
		return -ECANCELED;
	if (errno == EAGAIN)
		poll(&p, 1, 250);
	else if (errno != EINTR)
		return -errno;
	return 0;
}

int spool_write(int to, const void *data, size_t size)
{
	const char *from = data;

	while (size > 0) {
		ssize_t n = write(to, from, size);
		int rc = n < 0 ? write_failed(to) : 0;

		if (rc < 0)
			return rc;
		from += n > 0 ? n : 0;
		size -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int spool_copy(int to, int fd, off_t size)
{
	static char buffer[COPY_BUFFER];

	for (off_t at = 0; at < size;) {
		size_t want = size - at < COPY_BUFFER ? (size_t)(size - at) : COPY_BUFFER;
		ssize_t n = pread(fd, buffer, want, at);
		int rc;

		if (n == 0)
			return 0;
		if (n < 0)
			return -errno;
		rc = spool_write(to, buffer, (size_t)n);
		if (rc < 0)
			return rc;
		at += n;
	}
	return 0;
}
