/* SPDX-License-Identifier: MIT */
/*
 * FIFO: what unrelated processes poll, beside a named segment, made when somebody first
 * wants to.  Its name has the segment's name and inode in it, so that another segment
 * that gets the name later has another one.
 */
#ifndef MEM_FIFO_H
#define MEM_FIFO_H

#include <stdbool.h>

/*
 * The FIFO beside the segment of that name, open for both directions, non-blocking,
 * close-on-exec; made first, with the segment's permissions, if `make`.  -ENOENT and others of open(2).
 */
int fifo_open(const char *name, int segment, bool make);

/* One without a name, or what serves as one: an eventfd. */
int fifo_anonymous(void);

/* Removes that beside the segment that has the name now, if there is one: -EINVAL, -EACCES ... */
int fifo_unlink(const char *name);

#endif
