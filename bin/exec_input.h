/* SPDX-License-Identifier: MIT */
/*
 * The input of ipc-pool exec: lines, or items ended by NUL, from standard input
 * or files, put together into groups, one for each run of the command.
 *
 * It is read lazily and never blocks: where nothing has come yet, input_next
 * says so and input_wait waits.
 */
#ifndef IPCKIT_BIN_EXEC_INPUT_H
#define IPCKIT_BIN_EXEC_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exec_argv.h"

struct exec_input;

struct exec_source {
	char *const *file; /* "-" is standard input */
	int files;
	bool null;     /* items end with NUL; else they are lines, and empty lines are none */
	long max_args; /* items of a group; fewer if no more fit on a command line */
};

struct exec_group {
	uint64_t number; /* of the groups before it */
	char items[];    /* one behind the other, each ended by NUL */
};

/* Checks that the files can be read.  0, or -1 after a message. */
int input_open(struct exec_input **out, const struct exec_source *source, const struct exec_template *command);
void input_close(struct exec_input *in);

/*
 * The next group, valid until the next call, and its bytes.  1; 0 at the end;
 * -EAGAIN: nothing has come yet; any other error ends the input, input_error
 * tells it.
 */
int input_next(struct exec_input *in, const struct exec_group **group, size_t *size);

/* Waits until there may be input, or `bell` is readable; at most that long. */
void input_wait(struct exec_input *in, int bell, int milliseconds);

/* Tells the error that ended the input; false if none did. */
bool input_error(const struct exec_input *in);

/* How many groups the input has: counted if all of it are regular files, else 0. */
uint64_t input_count(const struct exec_source *source, const struct exec_template *command);

#endif
