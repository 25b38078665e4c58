/* SPDX-License-Identifier: MIT */
/*
 * FIFO: what unrelated processes poll, beside a named segment.  Its name has the segment's name
 * and inode in it, so that another segment that gets the name later has another one.  Who has
 * the segment open has it open, too: its name may be gone when it is needed.
 */
#ifndef MEM_FIFO_H
#define MEM_FIFO_H

#include <sys/types.h>

/*
 * The FIFO beside the segment of that name, open for both directions, non-blocking,
 * close-on-exec.  Made by who first looks for it, with the segment's owner and permissions.  -ENOENT: the
 * segment has no name any more.
 */
int fifo_beside(const char *name, int segment);

/* One without a name, or what serves as one: an eventfd. */
int fifo_anonymous(void);

/* Removes that of the segment that had the name and this inode, if there is one. */
void fifo_unlink(const char *name, ino_t inode);

#endif
