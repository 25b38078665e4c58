/* SPDX-License-Identifier: MIT */
/* ipc-queue recv: where messages go. */
#ifndef IPCKIT_BIN_QUEUE_OUTPUT_H
#define IPCKIT_BIN_QUEUE_OUTPUT_H

#include <ipckit.h>

#include "queue_shell.h"

#define OUTPUT_MAX 64 /* messages at once */

struct output {
	const struct queue_options *options;
	unsigned long files; /* number of the last file that was there or was made */
	int error;           /* errno of what could not be written, 0 so far */
	char path[4096];     /* of what that was; "": standard output */
};

/* How many messages it takes at once. */
int output_batch(const struct output *out);

/*
 * Writes n messages, and returns how many of them were written whole: fewer after an error, or when a
 * signal was caught.
 */
int output_write(struct output *out, const struct ipck_queue_item *items, int n);

/* Tells of the error, if there was one; returns the exit status. */
int output_status(const struct output *out);

#endif
