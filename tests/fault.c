/* SPDX-License-Identifier: MIT */
/* The fault injector.  Its state is not shared: it is armed in the thread that then makes the calls. */
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
	bool armed;
	unsigned left; /* calls before the one that fails */
	enum fault_how how;
	const char *call; /* that failed first */
	int error;
	unsigned lacks, uid;
	bool interruptible;
	long blocks;
} fault;

void fault_arm(unsigned n, enum fault_how how)
{
	fault.left = n;
	fault.how = how;
	fault.call = NULL;
	fault.armed = true;
}

bool fault_disarm(const char **call, int *error)
{
	fault.armed = false;
	*call = fault.call;
	*error = fault.error;
	return fault.call != NULL;
}

void fault_lack(unsigned lacks)
{
	fault.lacks = lacks;
}

long fault_blocks(void)
{
	return fault.blocks;
}

void fault_other_user(unsigned uid)
{
	fault.uid = uid;
}

void fault_interruptible(bool yes)
{
	fault.interruptible = yes;
}

/* Whether this call is to fail; errno is set. */
static bool fails(const char *call, int error)
{
	if (!fault.armed)
		return false;
	if (fault.call) {
		errno = error;
		return fault.how == FAULT_ON;
	}
	if (fault.left > 0) {
		fault.left--;
		return false;
	}
	fault.call = call;
	fault.error = errno = error;
	return true;
}

static bool lacks(unsigned what, int error)
{
	errno = error;
	return fault.lacks & what;
}

/* The linker calls __wrap_CALL for CALL, and CALL for __real_CALL. */
#define WRAP(type, name, params) \
	type __real_##name params; \
	type __wrap_##name params; \
	type __wrap_##name params

/* One that returns -1 to fail. */
#define WRAP_INT(type, name, params, args, error) \
	WRAP(type, name, params) \
	{ \
		return fails(#name, error) ? -1 : __real_##name args; \
	}

WRAP_INT(int, shm_open, (const char *name, int flags, mode_t mode), (name, flags, mode), ENFILE)
WRAP_INT(int, access, (const char *path, int mode), (path, mode), EACCES)
WRAP_INT(int, fchmod, (int fd, mode_t mode), (fd, mode), EIO)
WRAP_INT(int, flock, (int fd, int operation), (fd, operation), ENOLCK)
WRAP_INT(int, ftruncate, (int fd, off_t size), (fd, size), EIO)
WRAP_INT(int, fstat, (int fd, struct stat *st), (fd, st), EIO)
WRAP_INT(ssize_t, pread, (int fd, void *data, size_t size, off_t at), (fd, data, size, at), EIO)
WRAP_INT(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at), EIO)

WRAP(int, memfd_create, (const char *name, unsigned flags))
{
	if (lacks(LACK_MEMFD, ENOSYS) || fails("memfd_create", EMFILE))
		return -1;
	return __real_memfd_create(name, flags);
}

WRAP(int, open, (const char *path, int flags, ...))
{
	mode_t mode = 0;

	if (flags & (O_CREAT | O_TMPFILE)) {
		va_list args;

		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	if ((flags & O_TMPFILE) == O_TMPFILE && lacks(LACK_TMPFILE, EOPNOTSUPP))
		return -1;
	return fails("open", EMFILE) ? -1 : __real_open(path, flags, mode);
}

WRAP(int, linkat, (int from, const char *old, int to, const char *new, int flags))
{
	if (lacks(LACK_PROC, ENOENT) || fails("linkat", EDQUOT))
		return -1;
	return __real_linkat(from, old, to, new, flags);
}

/* All that the library does with it takes an int. */
WRAP(int, fcntl, (int fd, int command, ...))
{
	va_list args;
	int value;

	va_start(args, command);
	value = va_arg(args, int);
	va_end(args);
	return fails("fcntl", EMFILE) ? -1 : __real_fcntl(fd, command, value);
}

static bool lets_signals_in(void)
{
	sigset_t mask;

	sigprocmask(SIG_SETMASK, NULL, &mask);
	return !sigismember(&mask, SIGALRM);
}

WRAP(int, posix_fallocate, (int fd, off_t offset, off_t bytes))
{
	if (fault.interruptible && lets_signals_in())
		return EINTR;
	return fails("posix_fallocate", ENOSPC) ? ENOSPC : __real_posix_fallocate(fd, offset, bytes);
}

WRAP(void *, mmap, (void *at, size_t size, int protection, int flags, int fd, off_t offset))
{
	return fails("mmap", ENOMEM) ? MAP_FAILED : __real_mmap(at, size, protection, flags, fd, offset);
}

static void *counted(void *block)
{
	fault.blocks += block != NULL;
	return block;
}

WRAP(void *, malloc, (size_t size))
{
	return fails("malloc", ENOMEM) ? NULL : counted(__real_malloc(size));
}

WRAP(void *, calloc, (size_t n, size_t size))
{
	return fails("calloc", ENOMEM) ? NULL : counted(__real_calloc(n, size));
}

WRAP(void *, realloc, (void *old, size_t size))
{
	void *block = fails("realloc", ENOMEM) ? NULL : __real_realloc(old, size);

	return old ? block : counted(block);
}

WRAP(void, free, (void *block))
{
	fault.blocks -= block != NULL;
	__real_free(block);
}

WRAP(uid_t, geteuid, (void))
{
	return fault.uid ? fault.uid : __real_geteuid();
}
