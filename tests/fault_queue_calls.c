/* SPDX-License-Identifier: MIT */
#include "fault_queue_calls.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault.h"

static int bell_error = EIO;
static bool unlinking;

void fault_bells(int error)
{
	bell_error = error;
}

void fault_unlinking(bool yes)
{
	unlinking = yes;
}

FAULT_WRAP_INT(int, eventfd, (unsigned value, int flags), (value, flags), EMFILE)
FAULT_WRAP_INT(int, mkfifo, (const char *path, mode_t mode), (path, mode), ENOSPC)
FAULT_WRAP_INT(int, chmod, (const char *path, mode_t mode), (path, mode), EIO)
FAULT_WRAP_INT(int, fchown, (int fd, uid_t user, gid_t group), (fd, user, group), EIO)
FAULT_WRAP_INT(int, poll, (struct pollfd *fds, nfds_t n, int ms), (fds, n, ms), ENOMEM)
FAULT_WRAP_INT(ssize_t, read, (int fd, void *data, size_t size), (fd, data, size), bell_error)
FAULT_WRAP_INT(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size), bell_error)

FAULT_WRAP(int, stat, (const char *path, struct stat *st))
{
	return unlinking && fault_fails("stat", EACCES) ? -1 : __real_stat(path, st);
}

FAULT_WRAP(int, shm_unlink, (const char *name))
{
	return unlinking && fault_fails("shm_unlink", EACCES) ? -1 : __real_shm_unlink(name);
}

FAULT_WRAP(void *, reallocarray, (void *old, size_t n, size_t size))
{
	void *block = fault_fails("reallocarray", ENOMEM) ? NULL : __real_reallocarray(old, n, size);

	return old ? block : fault_counted(block);
}
