/* SPDX-License-Identifier: MIT */
/*
 * Mirror: a part of a file mapped twice, the second time right behind the first, so
 * that what wraps around in the file is contiguous in memory.
 */
#ifndef MEM_MIRROR_H
#define MEM_MIRROR_H

#include <stddef.h>

/* offset and bytes are multiples of the page size.  0 with *at set; -ENOMEM, -EINVAL ... */
int mirror_map(char **at, int fd, size_t offset, size_t bytes);
void mirror_unmap(char *at, size_t bytes);

#endif
