/* SPDX-License-Identifier: MIT */
/*
 * Loaded before libc into a program under test: shared memory is full.  The first
 * NO_MEMORY_AFTER reservations still succeed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT int posix_fallocate(int fd, off_t offset, off_t length)
{
	static int reservations;
	const char *after = getenv("NO_MEMORY_AFTER");

	if (reservations++ >= (after ? atoi(after) : 0))
		return ENOSPC;
	return ftruncate(fd, offset + length) < 0 ? errno : 0;
}
