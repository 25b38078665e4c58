/* SPDX-License-Identifier: MIT */
/*
 * Held-back output: a command of ipc-pool exec writes into unlinked temporary
 * files, which cost no memory whatever it writes, and which no kill can leave
 * behind.
 *
 * A file holds the output of one run only: a command may leave processes behind
 * that still write.  It is used again only if it is empty and nothing else holds
 * it.
 */
#ifndef IPCKIT_BIN_EXEC_SPOOL_H
#define IPCKIT_BIN_EXEC_SPOOL_H

#include <stdbool.h>
#include <sys/types.h>

struct exec_spool {
	int fd;     /* ours, -1: no file yet */
	int writer; /* for the command, between begin and end of a run */
	bool own;   /* writer is an open file description of its own */
};
#define EXEC_SPOOL_INIT {-1, -1, false}

/* An unlinked file in that directory; its fd or -errno. */
int spool_file(const char *directory);

/* Before and after a run: an empty file with a writer; its size, the writer closed; -errno. */
int spool_begin(struct exec_spool *s, const char *directory);
off_t spool_end(struct exec_spool *s);

/* After a run that wrote that much, which is not needed any more: keeps the file if the next run can have it. */
void spool_recycle(struct exec_spool *s, off_t size);
void spool_close(struct exec_spool *s);

/* Reads up to `size` bytes from the beginning of the file: their number, -errno. */
ssize_t spool_read(int fd, void *to, size_t size);

/*
 * Writes all of it: 0, -errno; -ECANCELED when ipck_interrupted() becomes true
 * while it waits.  spool_copy stops where the file ends.
 */
int spool_write(int to, const void *data, size_t size);
int spool_copy(int to, int fd, off_t size);

#endif
