/* SPDX-License-Identifier: MIT */
#include "exec_options.h"

#include <ipckit.h>

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

#define MAX_JOBS 4096
#define MAX_RETRIES 1000

enum { UNORDERED = UCHAR_MAX + 1, HALT, PROGRESS, NO_PROGRESS, RETRIES };

static const struct option longs[] = {
	{"arg-file", required_argument, NULL, 'a'},
	{"halt", no_argument, NULL, HALT},
	{"help", no_argument, NULL, 'h'},
	{"jobs", required_argument, NULL, 'j'},
	{"max-args", required_argument, NULL, 'n'},
	{"no-progress", no_argument, NULL, NO_PROGRESS},
	{"null", no_argument, NULL, '0'},
	{"progress", no_argument, NULL, PROGRESS},
	{"retries", required_argument, NULL, RETRIES},
	{"unordered", no_argument, NULL, UNORDERED},
	{0},
};

void options_help(void)
{
	tool_print("Usage: ipc-pool exec [OPTION...] [--] COMMAND [ARG...]\n"
	           "Runs COMMAND with each line of standard input, several at once, and prints each\n"
	           "output whole, in the order of the input.  The line is put in the place of each {}\n"
	           "or, if there is none, behind the last ARG.\n"
	           "\n"
	           "  -j, --jobs N         so many at once (default: one for each CPU)\n"
	           "  -n, --max-args N     up to N lines for each run (default: 1)\n"
	           "  -0, --null           the input is items that end with NUL, not lines\n"
	           "  -a, --arg-file FILE  read FILE, not standard input; may be repeated\n"
	           "      --unordered      print each output as soon as its run has ended\n"
	           "      --retries N      run again what failed, up to N times\n"
	           "      --halt           when a run fails, end the others and stop\n"
	           "      --progress       tell the progress on standard error (default on a terminal)\n"
	           "      --no-progress    do not\n"
	           "  -h, --help           print this help\n"
	           "\n"
	           "Exit status: 0 all went well, 1..100 so many failed, 101 more failed,\n"
	           "2 wrong usage, 125 exec could not go on, 126 COMMAND cannot be run, 127 it was not\n"
	           "found, 128+N ended by signal N.\n");
}

static int usage_hint(void)
{
	fputs("Try 'ipc-pool exec --help'\n", stderr);
	return TOOL_USAGE;
}

static int number(const char *name, long min, long max, long *value)
{
	if (tool_number(optarg, min, max, value))
		return 0;
	return tool_usage("--%s: '%s' is not a number from %ld to %ld", name, optarg, min, max);
}

static int store(struct exec_options *o, int c)
{
	switch (c) {
	case 'a':
		o->files[o->source.files++] = optarg;
		return 0;
	case 'h':
		o->help = true;
		return 0;
	case 'j':
		return number("jobs", 1, MAX_JOBS, &o->jobs);
	case 'n':
		return number("max-args", 1, INT_MAX, &o->source.max_args);
	case '0':
		o->source.null = true;
		return 0;
	case UNORDERED:
		o->unordered = true;
		return 0;
	case HALT:
		o->halt = true;
		return 0;
	case PROGRESS:
	case NO_PROGRESS:
		o->progress = c == PROGRESS;
		return 0;
	case RETRIES:
		return number("retries", 0, MAX_RETRIES, &o->retries);
	default:
		return usage_hint(); /* getopt_long has told what is wrong */
	}
}

int options_read(struct exec_options *o, int argc, char **argv)
{
	int c, rc = 0;

	*o = (struct exec_options){.jobs = ipck_cpu_count(), .progress = isatty(2), .source.max_args = 1};
	o->files = calloc((size_t)argc + 1, sizeof(*o->files));
	if (!o->files)
		return tool_error("%s", strerror(ENOMEM));
	o->source.file = o->files;
	argv[0] = (char *)"ipc-pool"; /* getopt_long begins its messages with it */
	while (rc == 0 && (c = getopt_long(argc, argv, "+0a:hj:n:", longs, NULL)) != -1)
		rc = store(o, c);
	if (rc != 0 || o->help)
		return rc;
	if (optind == argc)
		return tool_usage("exec: there is no command");
	if (o->source.files == 0)
		o->files[o->source.files++] = (char *)"-";
	o->command = argv + optind;
	o->words = argc - optind;
	return 0;
}

void options_free(struct exec_options *o)
{
	free(o->files);
}
