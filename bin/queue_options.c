/* SPDX-License-Identifier: MIT */
/* ipc-queue between shells: the command line. */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "queue_shell.h"

#define MAX_ITEMS INT_MAX
#define MAX_TIMEOUT_MS 86400000

enum { ANY_OWNER = UCHAR_MAX + 1, BYTES, IMMEDIATE, MAX_ITEMS_OPTION, MODE, TIMEOUT };

/* Which modes take it, and what the help says. */
struct row {
	struct option option;
	unsigned takers;
	const char *arg, *help;
};

static const struct row rows[] = {
	{{"null", no_argument, NULL, '0'}, FOR_SEND | FOR_RECV, NULL, "messages end with NUL, not with a newline"},
	{{"file", no_argument, NULL, 'f'}, FOR_SEND, NULL, "each FILE as a whole is one message"},
	{{"file", no_argument, NULL, 'f'}, FOR_RECV, NULL, "nothing is put behind a message"},
	{{"output", required_argument, NULL, 'o'}, FOR_RECV, "PATTERN", "each into a file of its own, {} its number"},
	{{"follow", no_argument, NULL, 'F'}, FOR_RECV, NULL, "wait for more until the queue is shut down"},
	{{"count", required_argument, NULL, 'n'}, FOR_RECV, "N", "end after N messages; fewer are a failure"},
	{{"timeout-ms", required_argument, NULL, TIMEOUT}, FOR_SEND | FOR_RECV, "N", "wait no longer at a time"},
	{{"bytes", required_argument, NULL, BYTES}, FOR_SEND, "N", "a new queue: of shared memory (default: 1 MiB)"},
	{{"max-items", required_argument, NULL, MAX_ITEMS_OPTION}, FOR_SEND, "N", "a new queue: no more messages"},
	{{"mode", required_argument, NULL, MODE}, FOR_SEND, "MODE", "a new queue: permissions, octal (default: 600)"},
	{{"immediate", no_argument, NULL, IMMEDIATE}, FOR_SHUTDOWN, NULL, "throw away what is in it"},
	{{"any-owner", no_argument, NULL, ANY_OWNER}, FOR_SEND | FOR_RECV | FOR_STAT | FOR_SHUTDOWN, NULL,
	 "also a queue that another user made"},
	{{"help", no_argument, NULL, 'h'}, ~0u, NULL, "print this help"},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static const struct {
	enum queue_taker taker;
	const char *usage, *about;
} modes[] = {
	{FOR_SEND, "send [OPTION...] NAME [FILE...]",
	 "Puts each line of the FILEs, or of standard input, into the queue, which is made if\n"
	 "there is none.  A FILE - is standard input.  Waits while the queue has no room."},
	{FOR_RECV, "recv [OPTION...] NAME",
	 "Prints the messages in the queue, each as a line.  If there is no queue, waits for it,\n"
	 "and for its first message.  A message that cannot be written stays in the queue."},
	{FOR_STAT, "stat [OPTION...] NAME", "Prints the figures of the queue, one on each line."},
	{FOR_SHUTDOWN, "shutdown [OPTION...] NAME",
	 "Ends the queue for all: nothing more is put, and what is in it can still be received."},
	{FOR_UNLINK, "unlink NAME", "Removes the name of the queue.  Who has it open keeps it."},
};

static int print_help(enum queue_taker taker)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (modes[i].taker == taker)
			tool_print("Usage: ipc-queue %s\n%s\n\n", modes[i].usage, modes[i].about);
	for (const struct row *row = rows; row < rows + ROWS; row++) {
		char form[64], letter[8] = "    ";

		if (!(row->takers & taker))
			continue;
		snprintf(form, sizeof(form), "%s %s", row->option.name, row->arg ? row->arg : "");
		if (row->option.val <= UCHAR_MAX)
			snprintf(letter, sizeof(letter), "-%c, ", row->option.val);
		tool_print("  %s--%-16s %s\n", letter, form, row->help);
	}
	return tool_finish(0);
}

static int number(const char *name, long min, long max, long *value)
{
	if (tool_number(optarg, min, max, value))
		return 0;
	return tool_usage("--%s: '%s' is not a number from %ld to %ld", name, optarg, min, max);
}

static int octal(long *value)
{
	long n = strspn(optarg, "01234567") == strlen(optarg) ? strtol(optarg, NULL, 8) : 0;

	if (n < 1 || n > 0777)
		return tool_usage("--mode: '%s' is not an octal number from 1 to 777", optarg);
	*value = n;
	return 0;
}

static int pattern(const char **output)
{
	if (!strstr(optarg, "{}"))
		return tool_usage("--output: '%s' has no {}", optarg);
	*output = optarg;
	return 0;
}

static int store_flag(struct queue_options *o, int c)
{
	bool *flag = c == '0' ? &o->null : c == 'f' ? &o->file : c == 'F' ? &o->follow : c == 'h' ? &o->help :
	             c == IMMEDIATE ? &o->immediate : &o->any_owner;

	*flag = true;
	return 0;
}

static int store(struct queue_options *o, int c)
{
	switch (c) {
	case 'o':
		return pattern(&o->output);
	case 'n':
		return number("count", 1, LONG_MAX, &o->count);
	case TIMEOUT:
		return number("timeout-ms", 0, MAX_TIMEOUT_MS, &o->timeout_ms);
	case BYTES:
		return number("bytes", 1, (long)IPCK_QUEUE_BYTES_MAX, &o->bytes);
	case MAX_ITEMS_OPTION:
		return number("max-items", 1, MAX_ITEMS, &o->max_items);
	case MODE:
		return octal(&o->mode);
	default:
		return store_flag(o, c);
	}
}

/* What getopt_long knows of those that the mode takes. */
static void collect(enum queue_taker taker, struct option *longs, char *shorts)
{
	for (const struct row *row = rows; row < rows + ROWS; row++) {
		if (!(row->takers & taker))
			continue;
		*longs++ = row->option;
		if (row->option.val > UCHAR_MAX)
			continue;
		*shorts++ = (char)row->option.val;
		if (row->arg)
			*shorts++ = ':';
	}
}

static int usage_hint(const char *mode)
{
	fprintf(stderr, "Try 'ipc-queue %s --help'\n", mode);
	return TOOL_USAGE;
}

static int read_arguments(struct queue_options *o, enum queue_taker taker, char *const *args)
{
	if (!*args)
		return tool_usage("there is no name of a queue");
	o->name = *args++;
	if (*args && taker != FOR_SEND)
		return tool_usage("unexpected argument '%s'", *args);
	o->files = args;
	if ((o->null && o->file) || (o->output && (o->null || o->file)))
		return tool_usage("only one of --null, --file%s", taker == FOR_RECV ? ", --output" : "");
	return 0;
}

int queue_options_read(struct queue_options *o, enum queue_taker taker, int argc, char **argv)
{
	const char *mode = argv[0];
	struct option longs[ROWS + 1] = {0};
	char shorts[2 * ROWS + 1] = "";
	int c, rc = 0;

	*o = (struct queue_options){.count = -1, .timeout_ms = -1};
	collect(taker, longs, shorts);
	argv[0] = (char *)"ipc-queue"; /* getopt_long begins its messages with it */
	while (rc == 0 && (c = getopt_long(argc, argv, shorts, longs, NULL)) != -1)
		rc = c == '?' ? usage_hint(mode) : store(o, c);
	if (rc != 0)
		return rc;
	return o->help ? print_help(taker) : read_arguments(o, taker, argv + optind);
}
