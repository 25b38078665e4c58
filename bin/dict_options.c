/* SPDX-License-Identifier: MIT */
/* ipc-dict for shells: the command line. */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "dict_shell.h"

#define MAX_JOBS 4096

enum { ANY_OWNER = UCHAR_MAX + 1, MAX_BYTES, MODE, RAW, TOP };

/* Which modes take it, and what the help says. */
struct row {
	struct option option;
	unsigned takers;
	const char *arg, *help;
};

static const struct row rows[] = {
	{{"jobs", required_argument, NULL, 'j'}, FOR_WORDCOUNT, "N", "so many workers (default: one for each CPU)"},
	{{"top", required_argument, NULL, TOP}, FOR_WORDCOUNT, "N", "print the first N lines only"},
	{{"count", no_argument, NULL, 'c'}, FOR_GET, NULL, "the value is a count: print the number"},
	{{"count", no_argument, NULL, 'c'}, FOR_SET, NULL, "VALUE is a number: set a count"},
	{{"count", no_argument, NULL, 'c'}, FOR_LIST, NULL, "print values of 8 bytes as the numbers they are"},
	{{"raw", no_argument, NULL, RAW}, FOR_GET, NULL, "print no newline behind the value"},
	{{"null", no_argument, NULL, '0'}, FOR_LIST, NULL, "lines end with NUL, not with a newline"},
	{{"max-bytes", required_argument, NULL, MAX_BYTES}, FOR_SET | FOR_ADD, "N",
	 "a new dict: it may grow to that (default: 64 MiB)"},
	{{"mode", required_argument, NULL, MODE}, FOR_SET | FOR_ADD, "MODE",
	 "a new dict: permissions, octal (default: 600)"},
	{{"any-owner", no_argument, NULL, ANY_OWNER}, FOR_GET | FOR_SET | FOR_DEL | FOR_ADD | FOR_LIST, NULL,
	 "also a dict that another user made"},
	{{"help", no_argument, NULL, 'h'}, ~0u, NULL, "print this help"},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Between `least` and `most` arguments behind the NAME. */
static const struct form {
	enum dict_taker taker;
	int least, most;
	const char *missing, *usage, *about;
} forms[] = {
	{FOR_WORDCOUNT, 0, INT_MAX, NULL, "wordcount [OPTION...] [FILE...]",
	 "Counts the words of the FILEs, or of standard input: runs of ASCII letters and digits,\n"
	 "in lower case.  Prints COUNT WORD, by falling count, then by word.  A FILE - is standard\n"
	 "input."},
	{FOR_GET, 1, 1, "key", "get [OPTION...] NAME KEY", "Prints the value of the key."},
	{FOR_SET, 1, 2, "key", "set [OPTION...] NAME KEY [VALUE]",
	 "Sets the value of the key, without a VALUE to what standard input has.  The dict is\n"
	 "made if there is none."},
	{FOR_DEL, 1, INT_MAX, "key", "del [OPTION...] NAME KEY...", "Removes the keys."},
	{FOR_ADD, 1, 2, "key", "add [OPTION...] NAME KEY [N]",
	 "Adds N, or 1, to the count of the key, which is 0 at first, and prints the new count.\n"
	 "The dict is made if there is none."},
	{FOR_LIST, 0, 0, NULL, "list [OPTION...] NAME", "Prints each key, a tab and its value, sorted by key."},
	{FOR_UNLINK, 0, 0, NULL, "unlink NAME", "Removes the name of the dict.  Who has it open keeps it."},
};

static const struct form *find_form(enum dict_taker taker)
{
	const struct form *form = forms;

	while (form->taker != taker)
		form++;
	return form;
}

static int print_help(enum dict_taker taker)
{
	const struct form *form = find_form(taker);

	tool_print("Usage: ipc-dict %s\n%s\n\n", form->usage, form->about);
	for (const struct row *row = rows; row < rows + ROWS; row++) {
		char text[64], letter[8] = "    ";

		if (!(row->takers & taker))
			continue;
		snprintf(text, sizeof(text), "%s %s", row->option.name, row->arg ? row->arg : "");
		if (row->option.val <= UCHAR_MAX)
			snprintf(letter, sizeof(letter), "-%c, ", row->option.val);
		tool_print("  %s--%-16s %s\n", letter, text, row->help);
	}
	return tool_finish(0);
}

static int number(const char *name, long max, long *value)
{
	if (tool_number(optarg, 1, max, value))
		return 0;
	return tool_usage("--%s: '%s' is not a number from 1 to %ld", name, optarg, max);
}

static int octal(long *value)
{
	long n = strspn(optarg, "01234567") == strlen(optarg) ? strtol(optarg, NULL, 8) : 0;

	if (n < 1 || n > 0777)
		return tool_usage("--mode: '%s' is not an octal number from 1 to 777", optarg);
	*value = n;
	return 0;
}

static int store(struct dict_options *o, int c)
{
	switch (c) {
	case 'j':
		return number("jobs", MAX_JOBS, &o->jobs);
	case TOP:
		return number("top", LONG_MAX, &o->top);
	case MAX_BYTES:
		return number("max-bytes", (long)IPCK_DICT_BYTES_MAX, &o->max_bytes);
	case MODE:
		return octal(&o->mode);
	default:
		*(c == 'c' ? &o->count : c == '0' ? &o->null : c == RAW ? &o->raw : c == 'h' ? &o->help :
		  &o->any_owner) = true;
		return 0;
	}
}

/* What getopt_long knows of those that the mode takes. */
static void collect(enum dict_taker taker, struct option *longs, char *shorts)
{
	/* What is behind the NAME may begin with a '-', and is no option. */
	if (!(taker & (FOR_WORDCOUNT | FOR_LIST | FOR_UNLINK)))
		*shorts++ = '+';
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
	fprintf(stderr, "Try 'ipc-dict %s --help'\n", mode);
	return TOOL_USAGE;
}

/* Of add and of set --count. */
static int read_n(struct dict_options *o, enum dict_taker taker)
{
	const char *text = o->args[1];

	o->n = 1;
	if (taker == FOR_SET && !text)
		return tool_usage("--count: there is no VALUE");
	if (!text || tool_number(text, LONG_MIN, LONG_MAX, &o->n))
		return 0;
	return tool_usage("'%s' is not a number from %ld to %ld", text, LONG_MIN, LONG_MAX);
}

static int read_arguments(struct dict_options *o, const struct form *form, char *const *args)
{
	int n = 0;

	if (form->taker != FOR_WORDCOUNT) {
		if (!*args)
			return tool_usage("there is no name of a dict");
		o->name = *args++;
	}
	o->args = args;
	while (args[n] && n < form->most)
		n++;
	if (n < form->least)
		return tool_usage("there is no %s", form->missing);
	if (args[n])
		return tool_usage("unexpected argument '%s'", args[n]);
	return form->taker == FOR_ADD || (form->taker == FOR_SET && o->count) ? read_n(o, form->taker) : 0;
}

int dict_options_read(struct dict_options *o, enum dict_taker taker, int argc, char **argv)
{
	const char *mode = argv[0];
	struct option longs[ROWS + 1] = {0};
	char shorts[2 * ROWS + 2] = "";
	int c, rc = 0;

	*o = (struct dict_options){0};
	collect(taker, longs, shorts);
	argv[0] = (char *)"ipc-dict"; /* getopt_long begins its messages with it */
	while (rc == 0 && (c = getopt_long(argc, argv, shorts, longs, NULL)) != -1)
		rc = c == '?' ? usage_hint(mode) : store(o, c);
	if (rc != 0)
		return rc;
	return o->help ? print_help(taker) : read_arguments(o, find_form(taker), argv + optind);
}
