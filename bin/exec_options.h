/* SPDX-License-Identifier: MIT */
/* The command line of ipc-pool exec. */
#ifndef IPCKIT_BIN_EXEC_OPTIONS_H
#define IPCKIT_BIN_EXEC_OPTIONS_H

#include <stdbool.h>

#include "exec_input.h"

struct exec_options {
	long jobs, retries;
	bool unordered, halt, progress, help;
	struct exec_source source;
	char *const *command; /* COMMAND [ARG...] */
	int words;
	char **files; /* what source.file points to */
};

/* 0 or, after a message, the exit status.  The options are to be freed in any case. */
int options_read(struct exec_options *o, int argc, char **argv);
void options_free(struct exec_options *o);

void options_help(void);

#endif
