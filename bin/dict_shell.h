/* SPDX-License-Identifier: MIT */
/* The modes of ipc-dict that are for shells, and their command lines. */
#ifndef IPCKIT_BIN_DICT_SHELL_H
#define IPCKIT_BIN_DICT_SHELL_H

#include <ipckit.h>

#include <stdbool.h>

/* dict_words.c */
int dict_wordcount(int argc, char **argv);

/* dict_names.c */
int dict_get(int argc, char **argv);
int dict_set(int argc, char **argv);
int dict_del(int argc, char **argv);
int dict_add(int argc, char **argv);
int dict_list(int argc, char **argv);
int dict_unlink(int argc, char **argv);

/* ---- dict_options.c: the command line ---- */

enum dict_taker {
	FOR_WORDCOUNT = 1,
	FOR_GET = 2,
	FOR_SET = 4,
	FOR_DEL = 8,
	FOR_ADD = 16,
	FOR_LIST = 32,
	FOR_UNLINK = 64,
};

struct dict_options {
	const char *name;
	char *const *args; /* what is behind the NAME, or FILE...; ends with NULL */
	bool count, null, raw, any_owner, help;
	long max_bytes, mode; /* of a new dict; 0: not given */
	long jobs, top;       /* wordcount; 0: not given */
	long n;               /* add: N; set --count: VALUE */
};

/* 0 or, after a message, the exit status.  With --help it has been printed, and `help` is set. */
int dict_options_read(struct dict_options *o, enum dict_taker taker, int argc, char **argv);

#endif
