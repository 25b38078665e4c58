/* SPDX-License-Identifier: MIT */
#include "mem/fifo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef HAVE_EVENTFD
#include <sys/eventfd.h>
#endif

#include "base/clock.h"
#include "base/io.h"
#include "base/name.h"
#include "mem/shmfile.h"

#define PATH_SIZE (sizeof(SHM_DIR "/ipck-bell..") + NAME_MAX_LENGTH + 24)

static void make_path(char path[PATH_SIZE], const char *name, ino_t inode)
{
	snprintf(path, PATH_SIZE, SHM_DIR "/ipck-bell.%s.%llu", name, (unsigned long long)inode);
}

static int lift(int fd)
{
	int rc;

	if (fd < 0)
		return -errno;
	rc = io_lift(fd, &fd);
	return rc < 0 ? rc : fd;
}

/* *st: of what was opened. */
static int open_path(const char *path, struct stat *st)
{
	int fd = lift(open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW)), rc;

	if (fd < 0)
		return fd;
	rc = fstat(fd, st) < 0 ? -errno : 0;
	if (rc == 0 && S_ISFIFO(st->st_mode))
		return fd;
	close(fd);
	return rc < 0 ? rc : -EPROTO;
}

/* Its maker may have been killed before it did this: so does each who may. */
static int adopt(int fd, const struct stat *fifo, const struct stat *segment)
{
	if ((fifo->st_uid != segment->st_uid || fifo->st_gid != segment->st_gid) &&
	    fchown(fd, segment->st_uid, segment->st_gid) < 0 && errno != EPERM)
		return -errno;
	if ((fifo->st_mode & 0777) != (segment->st_mode & 0777) && fchmod(fd, segment->st_mode & 0777) < 0 &&
	    errno != EPERM)
		return -errno;
	return 0;
}

/* Others may find it before it is as it should be: they are of the same user, or open it a moment later. */
static int open_or_make(const char *path, const struct stat *segment)
{
	mode_t mode = segment->st_mode & 0777;
	struct stat st;
	int fd, rc;

	/* Whatever the umask: else it might not be open to its maker. */
	if (mkfifo(path, mode) == 0 ? chmod(path, mode) < 0 : errno != EEXIST)
		return -errno;
	fd = open_path(path, &st);
	if (fd < 0)
		return fd;
	rc = adopt(fd, &st, segment);
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

int fifo_beside(const char *name, int segment)
{
	char path[PATH_SIZE];
	struct stat st;
	int fd;

	if (fstat(segment, &st) < 0)
		return -errno;
	make_path(path, name, st.st_ino);
	fd = open_or_make(path, &st);
	/* Made after the names were removed, it would stay for ever. */
	if (fstat(segment, &st) == 0 && st.st_nlink == 0) {
		unlink(path);
		if (fd >= 0)
			close(fd);
		return -ENOENT;
	}
	return fd;
}

int fifo_anonymous(void)
{
#ifdef HAVE_EVENTFD
	return lift(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE));
#else
	/* A name for an instant; a kill in it leaves an empty FIFO. */
	for (int attempt = 0; attempt < 100; attempt++) {
		struct stat st;
		char path[64];
		int fd;

		snprintf(path, sizeof(path), SHM_DIR "/ipck-%d-%llx", (int)getpid(), (unsigned long long)clock_now());
		if (mkfifo(path, 0600) == 0) {
			fd = open_path(path, &st);
			unlink(path);
			return fd;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
#endif
}

void fifo_unlink(const char *name, ino_t inode)
{
	char path[PATH_SIZE];

	make_path(path, name, inode);
	unlink(path);
}
