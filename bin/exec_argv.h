/* SPDX-License-Identifier: MIT */
/*
 * The command of ipc-pool exec: a template of words, made into the arguments of
 * one run by filling in its items.
 *
 * A word that holds {} stands once for each item, with the item in the place of
 * each {}.  If no word does, the items follow the last word.
 */
#ifndef IPCKIT_BIN_EXEC_ARGV_H
#define IPCKIT_BIN_EXEC_ARGV_H

#include <stdbool.h>
#include <stddef.h>

#define EXEC_NOT_EXECUTABLE 126
#define EXEC_NOT_FOUND 127

struct exec_template {
	char *const *word; /* COMMAND [ARG...], ended by NULL */
	int count;
	bool places; /* some word holds {} */
	char *path;  /* where COMMAND was found; NULL: its word holds {}, each run looks for it */
};

/*
 * Sets up the template and looks for its command.  0, or the exit status after a
 * message: EXEC_NOT_FOUND, EXEC_NOT_EXECUTABLE.
 */
int template_init(struct exec_template *t, char *const *word, int count);
void template_free(struct exec_template *t);

/* The bytes that items may add to a command line, and what one of that size adds. */
size_t template_room(const struct exec_template *t);
size_t template_cost(const struct exec_template *t, size_t item_size);

/*
 * The arguments of one run, in one block to be freed; the items stand one behind
 * the other, each ended by NUL, and must live as long.  NULL: out of memory.
 */
char **template_fill(const struct exec_template *t, const char *items, size_t size);

#endif
