/* SPDX-License-Identifier: MIT */
#include "mem/shmfile.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef IPCK_LINUX
#include <sys/sysinfo.h>
#endif

#include "base/clock.h"
#include "base/compiler.h"
#include "base/io.h"
#include "base/name.h"

#define PATH_SIZE (sizeof(SHM_DIR "/ipck.") + NAME_MAX_LENGTH)

/* "/dev/shm/ipck.NAME"; behind the directory it is the POSIX name. */
static int make_path(char path[PATH_SIZE], const char *name)
{
	if (!name_valid(name))
		return -EINVAL;
	strcpy(stpcpy(path, SHM_DIR "/ipck."), name);
	return 0;
}

static const char *posix_name(const char *path)
{
	return path + sizeof(SHM_DIR) - 1;
}

/* Where a standard stream was closed, what is written to it must not land in a segment. */
static int lift(int fd)
{
	int rc = fd < 0 ? fd : io_lift(fd, &fd);

	return rc < 0 ? rc : fd;
}

/*
 * A memfd is in no file system that could be full: what is more than the machine
 * has would be given out until the kernel kills somebody for it.
 */
static bool imaginable(size_t bytes)
{
#ifdef IPCK_LINUX
	struct sysinfo machine;

	if (sysinfo(&machine) == 0)
		return bytes / machine.mem_unit <= machine.totalram + machine.totalswap;
#endif
	return bytes <= PTRDIFF_MAX;
}

/*
 * All or nothing: older kernels give up at any signal and begin again, so that with a
 * timer a long one would never end.  Hence none is let in.
 */
int shmfile_reserve(int fd, size_t offset, size_t bytes)
{
	sigset_t all, old;
	int rc;

	if (!imaginable(bytes))
		return -ENOSPC;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	do
		rc = posix_fallocate(fd, (off_t)offset, (off_t)bytes);
	while (rc == EINTR);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc == EFBIG || rc == ENOMEM ? -ENOSPC : -rc;
}

void shmfile_release(int fd, size_t offset, size_t bytes)
{
#ifdef FALLOC_FL_PUNCH_HOLE
	/* Only an economy: where it fails the memory stays. */
	(void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes);
#endif
}

static int nameless(void)
{
#ifdef HAVE_MEMFD_CREATE
	int fd = memfd_create("ipck", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 || errno != ENOSYS)
		return fd < 0 ? -errno : fd;
#endif
#ifdef HAVE_O_TMPFILE
	int file = open(SHM_DIR, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

	if (file >= 0)
		return file;
#endif
	/* A name for an instant; random enough never to meet another's.  A kill in
	 * this instant leaves the name, of a file without memory. */
	for (int attempt = 0; attempt < 100; attempt++) {
		char name[64];
		int shm;

		snprintf(name, sizeof(name), "/ipck-%d-%llx", (int)getpid(), (unsigned long long)clock_now());
		shm = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
		if (shm >= 0) {
			shm_unlink(name);
			return shm;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

int shmfile_anonymous(shmfile_fill *fill, void *arg)
{
	int fd = lift(nameless()), rc;

	if (fd < 0)
		return fd;
	rc = fill(fd, arg);
	if (rc < 0) {
		close(fd);
		return rc;
	}
#ifdef HAVE_MEMFD_CREATE
	/* Nobody may shrink it below somebody's mapping.  Not on a plain file. */
	(void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL);
#endif
	return fd;
}

#ifdef HAVE_O_TMPFILE
/* -EOPNOTSUPP: this directory has no nameless files, or /proc is not there. */
static int create_linked(const char *path, mode_t mode, shmfile_fill *fill, void *arg)
{
	char self[40];
	int fd = open(SHM_DIR, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), rc;

	if (fd < 0)
		return errno == EISDIR || errno == ENOENT ? -EOPNOTSUPP : -errno;
	fd = lift(fd);
	if (fd < 0)
		return fd;
	rc = fill(fd, arg);
	if (rc < 0)
		goto close_file;
	rc = fchmod(fd, mode) < 0 ? -errno : 0;
	if (rc < 0)
		goto close_file;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0)
		return fd;
	rc = errno == ENOENT ? -EOPNOTSUPP : -errno;
close_file:
	close(fd);
	return rc;
}
#endif

static int flock_retry(int fd, int operation)
{
	while (flock(fd, operation) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* What has the name is not ours to use: of another user, or no file at all (glibc
 * says EINVAL for a directory; the name is good). */
static bool is_foreign(int error)
{
	return error == EACCES || error == EINVAL || error == EISDIR || error == ELOOP || error == ENXIO;
}

/* A new empty file of that name, or the one that has it. */
static int open_or_make(const char *path)
{
	for (;;) {
		int fd = shm_open(posix_name(path), O_RDWR | O_CREAT | O_EXCL, 0600);

		if (fd >= 0 || errno != EEXIST)
			return fd < 0 ? -errno : fd;
		fd = shm_open(posix_name(path), O_RDWR, 0);
		if (fd >= 0)
			return fd;
		if (errno != ENOENT)
			return is_foreign(errno) ? -EEXIST : -errno;
	}
}

/* Under the lock: -EEXIST if it is not ours to fill, -ESTALE if it lost its name while we waited. */
static int fill_locked(int fd, const char *path, mode_t mode, shmfile_fill *fill, shmfile_filled *filled, void *arg)
{
	struct stat st;
	int rc;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_nlink == 0)
		return -ESTALE;
	if (!S_ISREG(st.st_mode) || filled(fd))
		return -EEXIST;
	rc = fchmod(fd, mode) < 0 ? -errno : 0;
	if (rc == -EPERM)
		return -EEXIST;
	if (rc == 0)
		rc = ftruncate(fd, 0) < 0 ? -errno : fill(fd, arg);
	if (rc < 0)
		shm_unlink(posix_name(path));
	return rc;
}

static int create_locked(const char *path, mode_t mode, shmfile_fill *fill, shmfile_filled *filled, void *arg)
{
	for (;;) {
		int fd = lift(open_or_make(path)), rc;

		if (fd < 0)
			return fd;
		rc = filled(fd) ? -EEXIST : flock_retry(fd, LOCK_EX);
		if (rc == 0)
			rc = fill_locked(fd, path, mode, fill, filled, arg);
		if (rc == 0) {
			(void)flock(fd, LOCK_UN);
			return fd;
		}
		close(fd);
		if (rc != -ESTALE)
			return rc;
	}
}

int shmfile_create(const char *name, mode_t mode, shmfile_fill *fill, shmfile_filled *filled, void *arg)
{
	char path[PATH_SIZE];
	int rc = make_path(path, name);

	if (rc < 0)
		return rc;
#ifdef HAVE_O_TMPFILE
	/* Not where the name is taken: there may be no memory for a second file,
	 * and the answer is -EEXIST all the same. */
	if (access(path, F_OK) < 0) {
		rc = create_linked(path, mode, fill, arg);
		if (rc != -EOPNOTSUPP && rc != -EEXIST)
			return rc;
	}
#endif
	/* A file that has the name may be one that its creator did not live to fill. */
	return create_locked(path, mode, fill, filled, arg);
}

int shmfile_open(const char *name, shmfile_filled *filled)
{
	char path[PATH_SIZE];
	int fd, rc = make_path(path, name);

	if (rc < 0)
		return rc;
	fd = shm_open(posix_name(path), O_RDWR, 0);
	if (fd < 0)
		return is_foreign(errno) && errno != EACCES ? -EPROTO : -errno;
	fd = lift(fd);
	if (fd < 0)
		return fd;
	if (filled(fd))
		return fd;
	/* Its creator may be filling it, under the lock; without that it is nobody's. */
	rc = flock_retry(fd, LOCK_SH);
	if (rc == 0 && filled(fd))
		rc = flock_retry(fd, LOCK_UN);
	else if (rc == 0)
		rc = -ENOENT;
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

int shmfile_unlink(const char *name)
{
	char path[PATH_SIZE];
	int rc = make_path(path, name);

	if (rc < 0)
		return rc;
	return shm_unlink(posix_name(path)) < 0 ? -errno : 0;
}

int shmfile_inode(const char *name, ino_t *inode)
{
	char path[PATH_SIZE];
	struct stat st;
	int rc = make_path(path, name);

	if (rc < 0)
		return rc;
	if (stat(path, &st) < 0)
		return -errno;
	*inode = st.st_ino;
	return 0;
}
