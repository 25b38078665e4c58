/* SPDX-License-Identifier: MIT */
/*
 * The file below a segment: getting one without a name, or with a name that is
 * there only when the file is whole, and the memory behind a part of it.
 */
#ifndef MEM_SHMFILE_H
#define MEM_SHMFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Where named ones are, and what stands beside them. */
#define SHM_DIR "/dev/shm"

/* Makes an empty file whole: 0 or -errno.  Can be called again, for another file. */
typedef int shmfile_fill(int fd, void *arg);

/* Whether the file was made whole; true also if that cannot be told. */
typedef bool shmfile_filled(int fd);

/* A close-on-exec fd of a file nobody else can find, sealed against shrinking, or -errno. */
int shmfile_anonymous(shmfile_fill *fill, void *arg);

/*
 * A file of that name (checked here: -EINVAL) with exactly those permissions, or
 * -EEXIST ...  Built without a name and linked in one step; where that is not to
 * be had, under a file lock that the kernel drops if we die, so that what a killed
 * creator left is seen to be unfilled and is taken over.
 */
int shmfile_create(const char *name, mode_t mode, shmfile_fill *fill, shmfile_filled *filled, void *arg);

/* -ENOENT also for a file that nobody has made whole. */
int shmfile_open(const char *name, shmfile_filled *filled);
int shmfile_unlink(const char *name);

/* Of the file that has that name now. */
int shmfile_inode(const char *name, ino_t *inode);

/* Memory for a part of the file, which grows to it: -ENOSPC, also where the system has none. */
int shmfile_reserve(int fd, size_t offset, size_t bytes);

/* Gives the memory of a part back to the system; it reads as zero. */
void shmfile_release(int fd, size_t offset, size_t bytes);

#endif
