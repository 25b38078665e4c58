/* SPDX-License-Identifier: MIT */
/*
 * The fault injector.  The count is one process's until it is shared; then it is
 * that of the process and of all that it forks from then on.
 */
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/atomic.h"

struct count {
	uint32_t armed;
	uint32_t calls, first; /* made since, and the one that fails */
	enum fault_how how;
	const char *call; /* that failed first */
	int error;
};
static struct count own, *count = &own;

static struct {
	unsigned lacks, uid;
	bool interruptible;
	int sockets; /* the error of sending and receiving, if not 0 */
	long blocks;
} fault;

void fault_arm(unsigned n, enum fault_how how)
{
	*count = (struct count){.first = n, .how = how};
	store_release(&count->armed, 1);
}

bool fault_disarm(const char **call, int *error)
{
	store_release(&count->armed, 0);
	*call = load_acquire(&count->call);
	*error = *call ? count->error : 0;
	return *call != NULL;
}

void fault_lack(unsigned lacks)
{
	fault.lacks = lacks;
}

long fault_blocks(void)
{
	return load_relaxed(&fault.blocks);
}

void fault_other_user(unsigned uid)
{
	fault.uid = uid;
}

void fault_sockets(int error)
{
	fault.sockets = error;
}

void fault_interruptible(bool yes)
{
	fault.interruptible = yes;
}

bool fault_fails(const char *call, int error)
{
	uint32_t n;

	if (!load_acquire(&count->armed))
		return false;
	n = add_acq_rel(&count->calls, 1);
	if (n < count->first || (n > count->first && count->how == FAULT_ONCE))
		return false;
	if (n == count->first) {
		count->error = error;
		store_release(&count->call, call);
	}
	errno = error;
	return true;
}

static bool lacks(unsigned what, int error)
{
	errno = error;
	return fault.lacks & what;
}

FAULT_WRAP_INT(int, shm_open, (const char *name, int flags, mode_t mode), (name, flags, mode), ENFILE)
FAULT_WRAP_INT(int, access, (const char *path, int mode), (path, mode), EACCES)
FAULT_WRAP_INT(int, fchmod, (int fd, mode_t mode), (fd, mode), EIO)
FAULT_WRAP_INT(int, flock, (int fd, int operation), (fd, operation), ENOLCK)
FAULT_WRAP_INT(int, ftruncate, (int fd, off_t size), (fd, size), EIO)
FAULT_WRAP_INT(int, fstat, (int fd, struct stat *st), (fd, st), EIO)
FAULT_WRAP_INT(ssize_t, pread, (int fd, void *data, size_t size, off_t at), (fd, data, size, at), EIO)
FAULT_WRAP_INT(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at), EIO)

FAULT_WRAP(int, memfd_create, (const char *name, unsigned flags))
{
	if (lacks(LACK_MEMFD, ENOSYS) || fault_fails("memfd_create", EMFILE))
		return -1;
	return __real_memfd_create(name, flags);
}

FAULT_WRAP(int, open, (const char *path, int flags, ...))
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
	return fault_fails("open", EMFILE) ? -1 : __real_open(path, flags, mode);
}

FAULT_WRAP(int, linkat, (int from, const char *old, int to, const char *new, int flags))
{
	if (lacks(LACK_PROC, ENOENT) || fault_fails("linkat", EDQUOT))
		return -1;
	return __real_linkat(from, old, to, new, flags);
}

/* All that the library does with it takes an int.  Of an open descriptor the flag can
 * always be set; after vfork it would be missed in the program. */
FAULT_WRAP(int, fcntl, (int fd, int command, ...))
{
	va_list args;
	int value;

	va_start(args, command);
	value = va_arg(args, int);
	va_end(args);
	return command != F_SETFD && fault_fails("fcntl", EMFILE) ? -1 : __real_fcntl(fd, command, value);
}

static bool lets_signals_in(void)
{
	sigset_t mask;

	sigprocmask(SIG_SETMASK, NULL, &mask);
	return !sigismember(&mask, SIGALRM);
}

FAULT_WRAP(int, posix_fallocate, (int fd, off_t offset, off_t bytes))
{
	if (fault.interruptible && lets_signals_in())
		return EINTR;
	if (lacks(LACK_SPACE, ENOSPC))
		return ENOSPC;
	return fault_fails("posix_fallocate", ENOSPC) ? ENOSPC : __real_posix_fallocate(fd, offset, bytes);
}

FAULT_WRAP_INT(int, pipe2, (int fds[2], int flags), (fds, flags), EMFILE)
FAULT_WRAP_INT(int, socketpair, (int domain, int type, int protocol, int socks[2]), (domain, type, protocol, socks),
               EMFILE)

static int sending_error(void)
{
	return fault.sockets ? fault.sockets : ENOBUFS;
}

/* What is there can be received: of the errors of sending only EINTR is one. */
static int receiving_error(void)
{
	return fault.sockets == EINTR ? EINTR : ENOMEM;
}

FAULT_WRAP_INT(ssize_t, send, (int sock, const void *data, size_t size, int flags), (sock, data, size, flags),
               sending_error())
FAULT_WRAP_INT(ssize_t, sendmsg, (int sock, const struct msghdr *m, int flags), (sock, m, flags), sending_error())
FAULT_WRAP_INT(ssize_t, recv, (int sock, void *data, size_t size, int flags), (sock, data, size, flags),
               receiving_error())
FAULT_WRAP_INT(ssize_t, recvmsg, (int sock, struct msghdr *m, int flags), (sock, m, flags), receiving_error())
FAULT_WRAP_INT(pid_t, fork, (void), (), EAGAIN)

/* Of what is called this way only pidfd_open can fail. */
FAULT_WRAP(long, syscall, (long number, ...))
{
	long arg[6];
	va_list args;

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		arg[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_pidfd_open && fault_fails("pidfd_open", ENOMEM))
		return -1;
	return __real_syscall(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

FAULT_WRAP(int, pthread_create, (pthread_t *id, const pthread_attr_t *attr, void *(*fn)(void *), void *arg))
{
	return fault_fails("pthread_create", EAGAIN) ? EAGAIN : __real_pthread_create(id, attr, fn, arg);
}

FAULT_WRAP(void *, mmap, (void *at, size_t size, int protection, int flags, int fd, off_t offset))
{
	return fault_fails("mmap", ENOMEM) ? MAP_FAILED : __real_mmap(at, size, protection, flags, fd, offset);
}

void *fault_counted(void *block)
{
	add_relaxed(&fault.blocks, block != NULL);
	return block;
}

FAULT_WRAP(void *, malloc, (size_t size))
{
	return fault_fails("malloc", ENOMEM) ? NULL : fault_counted(__real_malloc(size));
}

FAULT_WRAP(void *, calloc, (size_t n, size_t size))
{
	return fault_fails("calloc", ENOMEM) ? NULL : fault_counted(__real_calloc(n, size));
}

FAULT_WRAP(void *, realloc, (void *old, size_t size))
{
	void *block = fault_fails("realloc", ENOMEM) ? NULL : __real_realloc(old, size);

	return old ? block : fault_counted(block);
}

/* The block is the caller's to free. */
FAULT_WRAP(FILE *, open_memstream, (char **text, size_t *size))
{
	return fault_fails("open_memstream", ENOMEM) ? NULL : fault_counted(__real_open_memstream(text, size));
}

FAULT_WRAP(void, free, (void *block))
{
	add_relaxed(&fault.blocks, -(block != NULL));
	__real_free(block);
}

void fault_share(void)
{
	int flags = MAP_SHARED | MAP_ANONYMOUS;

	if (count != &own)
		return;
	count = __real_mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, flags, -1, 0);
	if (count == MAP_FAILED)
		abort();
}

FAULT_WRAP(uid_t, geteuid, (void))
{
	return fault.uid ? fault.uid : __real_geteuid();
}
