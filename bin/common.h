/* SPDX-License-Identifier: MIT */
/*
 * What all binaries share: modes and options from tables, strict numbers,
 * errors, output that cannot fail in silence, pauses.
 *
 * A binary is a table of modes and a call of tool_main:
 *
 *	static const struct tool_mode modes[] = {
 *		{"map", "squares of 0..99, in order", map, TOOL_THREADS | TOOL_OWN(0)},
 *		{NULL},
 *	};
 *	static const struct tool_option options[] = {
 *		{'j', "jobs", "N", "workers", 1, 4096, &jobs},
 *		{0},
 *	};
 *	static const struct tool tool = {"ipc-pool", "Runs ...", modes, options};
 *
 *	int main(int argc, char **argv)
 *	{
 *		return tool_main(&tool, argc, argv);
 *	}
 *
 * Exit status: 0; 1 something failed, told on standard error; 2 wrong usage.
 */
#ifndef IPCKIT_BIN_COMMON_H
#define IPCKIT_BIN_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOOL_FAILED 1
#define TOOL_USAGE 2

/* What a mode takes besides --help, --version and --time. */
#define TOOL_THREADS 1u                /* --threads */
#define TOOL_PAUSE 2u                  /* --pause-ms N */
#define TOOL_SEED 4u                   /* --seed N */
#define TOOL_OWN(i) (1u << (8u + (i))) /* the i-th option of the tool's own table */

/* The shared options, as the command line or the defaults give them. */
struct tool_args {
	bool threads;  /* threads in the place of processes */
	long pause_ms; /* the unit of the mode's pauses */
	uint64_t seed; /* of random numbers; new in each run unless given */
};

struct tool_mode {
	const char *name; /* NULL ends the table */
	const char *help;
	int (*run)(const struct tool_args *args); /* returns the exit status */
	unsigned takes;                           /* TOOL_* bits */
	long pause_ms;                            /* what --pause-ms is if not given */
	/* In the place of run: reads its arguments itself; argv[0] is the mode's name. */
	int (*main)(int argc, char **argv);
};

struct tool_option {
	int letter;       /* its short form, or 0 */
	const char *name; /* its long form; NULL ends the table */
	const char *arg;  /* what the help calls its number or word; NULL: a flag */
	const char *help;
	long min, max; /* of the number */
	long *value;   /* where it goes; a flag stores 1 */
	/* In the place of a number: one of these words, NULL ends them; its place is stored. */
	const char *const *words;
};

struct tool {
	const char *name;
	const char *about;
	const struct tool_mode *modes;     /* the first is the default */
	const struct tool_option *options; /* its own, at most 16; or NULL */
};

/* Runs the mode that the arguments name; returns the exit status of the program. */
int tool_main(const struct tool *tool, int argc, char **argv);

/* "ipc-x: MESSAGE" on standard error; returns TOOL_FAILED. */
int tool_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same and "Try 'ipc-x --help'"; returns TOOL_USAGE. */
int tool_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A decimal number and nothing else: no blanks, no junk, in min..max.  Stores on success only. */
bool tool_number(const char *text, long min, long max, long *value);

/*
 * printf to standard output: 0, or -1 when something could not be written, now
 * or before.  Lines of several processes do not mix.
 */
int tool_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same for bytes of any kind. */
int tool_write(const void *data, size_t size);

/*
 * Flushes standard output; TOOL_FAILED, with one message, if anything that this
 * process wrote to it was lost, else `status`.  tool_main ends with it; so does
 * each party (party.h).
 */
int tool_finish(int status);

/* Sleeps that long, whatever signals are handled meanwhile. */
void tool_pause(long milliseconds);

/* The next of a row of random numbers, in min..max; *state begins as a seed. */
long tool_random(uint64_t *state, long min, long max);

/* The time of day as ctime() prints it, without its newline, in a buffer of the thread's own. */
const char *tool_time(void);

/* Seconds of a clock that only goes forward. */
double tool_seconds(void);

#endif
