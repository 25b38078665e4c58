/* SPDX-License-Identifier: MIT */
/*
 * ipc-dict wordcount: the files, one behind the other, as one row of bytes of which any
 * part can be counted by itself.  A word belongs to the part in which it begins.
 */
#ifndef IPCKIT_BIN_WORDS_INPUT_H
#define IPCKIT_BIN_WORDS_INPUT_H

#include <stddef.h>
#include <stdint.h>

#include "words_table.h"

struct words_file {
	const char *name;
	uint64_t begin, end; /* its place in the row */
	int fd;              /* of a copy of what can be read only once; -1: by the name */
};

/* All zero at first. */
struct words_input {
	struct words_file *file;
	size_t n;
	uint64_t bytes; /* of all files */
};

/* Finds the files, ends with NULL; none: standard input.  0, or TOOL_FAILED: some cannot be read, which is told. */
int words_input_open(struct words_input *in, char *const *names);
void words_input_close(struct words_input *in);

/* Counts that part.  0, TOOL_FAILED: a file could not be read, which is told, or -ENOMEM, -EINVAL. */
int words_input_count(const struct words_input *in, uint64_t begin, uint64_t end, struct words *words);

#endif
