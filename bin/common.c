/* SPDX-License-Identifier: MIT */
#include "common.h"

#include <ipckit.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_OPTIONS 24
#define MAX_PAUSE_MS 3600000

static const char *tool_name = "ipckit"; /* what messages begin with */
static const char *help_mode = "";       /* " MODE" in the hint, for a mode with a help of its own */
static pthread_mutex_t print_lock = PTHREAD_MUTEX_INITIALIZER;
static int print_error; /* errno of the first output that was lost; under print_lock */

static long want_help, want_version, want_time, want_threads, pause_ms, seed;

static const struct tool_option shared_options[] = {
	{0, "threads", NULL, "threads in the place of processes", 0, 0, &want_threads},
	{0, "pause-ms", "N", "the unit of all pauses, in milliseconds", 0, MAX_PAUSE_MS, &pause_ms},
	{0, "seed", "N", "begins the random numbers; the same seed, the same numbers", 0, LONG_MAX, &seed},
	{0, "time", NULL, "tell the time it took, on standard error", 0, 0, &want_time},
	{0, "help", NULL, "print this help", 0, 0, &want_help},
	{0, "version", NULL, "print the version", 0, 0, &want_version},
};
#define SHARED (sizeof(shared_options) / sizeof(shared_options[0]))

/* The bit of tool_mode.takes for each shared option; 0: every mode takes it. */
static const unsigned shared_bits[SHARED] = {TOOL_THREADS, TOOL_PAUSE, TOOL_SEED};

/* All options of a tool: the shared ones, then its own. */
struct option_set {
	const struct tool_option *row[MAX_OPTIONS];
	unsigned bit[MAX_OPTIONS];
	bool given[MAX_OPTIONS];
	struct option longs[MAX_OPTIONS + 1];
	char shorts[2 * MAX_OPTIONS + 2];
	int count;
};

/* One write for the whole line, so that messages of several processes do not mix. */
static __attribute__((format(printf, 1, 0))) void vmessage(const char *format, va_list ap)
{
	char text[4096];

	vsnprintf(text, sizeof(text), format, ap);
	fprintf(stderr, "%s: %s\n", tool_name, text);
}

int tool_error(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vmessage(format, ap);
	va_end(ap);
	return TOOL_FAILED;
}

static int usage_hint(void)
{
	fprintf(stderr, "Try '%s%s --help'\n", tool_name, help_mode);
	return TOOL_USAGE;
}

int tool_usage(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vmessage(format, ap);
	va_end(ap);
	return usage_hint();
}

bool tool_number(const char *text, long min, long max, long *value)
{
	const char *digits = text + (*text == '-');
	char *end;
	long n;

	if (*digits < '0' || *digits > '9')
		return false;
	errno = 0;
	n = strtol(text, &end, 10);
	if (errno != 0 || *end != '\0' || n < min || n > max)
		return false;
	*value = n;
	return true;
}

int tool_print(const char *format, ...)
{
	va_list ap;
	int error;

	va_start(ap, format);
	pthread_mutex_lock(&print_lock);
	if (vprintf(format, ap) < 0 && print_error == 0)
		print_error = errno;
	error = print_error;
	pthread_mutex_unlock(&print_lock);
	va_end(ap);
	return error == 0 ? 0 : -1;
}

int tool_write(const void *data, size_t size)
{
	int error;

	pthread_mutex_lock(&print_lock);
	if (fwrite(data, 1, size, stdout) < size && print_error == 0)
		print_error = errno;
	error = print_error;
	pthread_mutex_unlock(&print_lock);
	return error == 0 ? 0 : -1;
}

int tool_finish(int status)
{
	static bool told;

	if (fflush(stdout) != 0 && print_error == 0)
		print_error = errno;
	if (ferror(stdout) && print_error == 0)
		print_error = EIO;
	if (print_error == 0)
		return status;
	if (!told)
		tool_error("standard output: %s", strerror(print_error));
	told = true;
	return status != 0 ? status : TOOL_FAILED;
}

void tool_pause(long milliseconds)
{
	struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000};

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
		;
}

/* SplitMix64. */
long tool_random(uint64_t *state, long min, long max)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	z ^= z >> 31;
	return min + (long)(z % ((uint64_t)(max - min) + 1));
}

const char *tool_time(void)
{
	static _Thread_local char text[64];
	time_t now = time(NULL);
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &tm);
	return text;
}

double tool_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/*
 * A program may be started with 0, 1 or 2 closed.  The next file opened would
 * then become its standard output and get the text.  So each gap is filled with
 * something that fails: writes to it end as errors, not in a foreign file.
 */
static void fill_closed_stdio(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

static void add_option(struct option_set *set, const struct tool_option *row, unsigned bit)
{
	int i = set->count++;
	size_t end = strlen(set->shorts);

	set->row[i] = row;
	set->bit[i] = bit;
	set->longs[i] = (struct option){row->name, row->arg ? required_argument : no_argument, NULL, i + UCHAR_MAX + 1};
	if (row->letter) {
		set->shorts[end++] = (char)row->letter;
		if (row->arg)
			set->shorts[end] = ':';
	}
}

static void collect_options(struct option_set *set, const struct tool *tool)
{
	const struct tool_option *own = tool->options;

	memset(set, 0, sizeof(*set));
	for (unsigned i = 0; own && own[i].name; i++)
		add_option(set, &own[i], TOOL_OWN(i));
	for (unsigned i = 0; i < SHARED; i++)
		add_option(set, &shared_options[i], shared_bits[i]);
}

/* The place in the set of what getopt_long returned. */
static int find_option(const struct option_set *set, int c)
{
	if (c > UCHAR_MAX)
		return c - UCHAR_MAX - 1;
	for (int i = 0; i < set->count; i++)
		if (set->row[i]->letter == c)
			return i;
	return -1;
}

static int store_word(const struct tool_option *row, const char *text)
{
	char known[256] = "";

	for (size_t i = 0; row->words[i]; i++) {
		if (strcmp(row->words[i], text) == 0) {
			*row->value = (long)i;
			return 0;
		}
		snprintf(known + strlen(known), sizeof(known) - strlen(known), " %s", row->words[i]);
	}
	return tool_usage("--%s: '%s' is none of:%s", row->name, text, known);
}

static int store_option(const struct tool_option *row, const char *text)
{
	if (row->words)
		return store_word(row, text);
	if (!row->arg)
		*row->value = 1;
	else if (!tool_number(text, row->min, row->max, row->value))
		return tool_usage("--%s: '%s' is not a number from %ld to %ld", row->name, text, row->min, row->max);
	return 0;
}

/* Reads all options; 0 or TOOL_USAGE.  The values go where their rows say. */
static int read_options(struct option_set *set, const struct tool_mode *mode, int argc, char **argv)
{
	int c, i;

	while ((c = getopt_long(argc, argv, set->shorts, set->longs, NULL)) != -1) {
		if (c == '?' || (i = find_option(set, c)) < 0)
			return usage_hint();
		if (set->bit[i] && !(set->bit[i] & mode->takes))
			return tool_usage("the mode '%s' has no option --%s", mode->name, set->row[i]->name);
		if (store_option(set->row[i], optarg) != 0)
			return TOOL_USAGE;
		set->given[i] = true;
	}
	if (optind < argc)
		return tool_usage("unexpected argument '%s'", argv[optind]);
	return 0;
}

static bool option_given(const struct option_set *set, const char *name)
{
	for (int i = 0; i < set->count; i++)
		if (strcmp(set->row[i]->name, name) == 0)
			return set->given[i];
	return false;
}

/* " (MODE, MODE)" when only some modes take what this bit stands for. */
static void help_takers(const struct tool *tool, unsigned bit)
{
	const char *before = " (";
	bool all = true;

	for (const struct tool_mode *m = tool->modes; m->name; m++)
		all = all && (m->main || (m->takes & bit));
	if (all)
		return;
	for (const struct tool_mode *m = tool->modes; m->name; m++)
		if (m->takes & bit) {
			tool_print("%s%s", before, m->name);
			before = ", ";
		}
	tool_print(")");
}

static void help_option(const struct tool *tool, const struct tool_option *row, unsigned bit)
{
	char form[64];

	snprintf(form, sizeof(form), "--%s%s%s", row->name, row->arg ? " " : "", row->arg ? row->arg : "");
	if (row->letter)
		tool_print("  -%c, ", row->letter);
	else
		tool_print("      ");
	tool_print("%-14s %s", form, row->help);
	if (bit)
		help_takers(tool, bit);
	tool_print("\n");
}

static int print_help(const struct tool *tool, const struct option_set *set)
{
	unsigned used = 0;

	tool_print("Usage: %s [MODE] [OPTION...]\n%s\n\n", tool->name, tool->about);
	tool_print("Modes, the first runs when none is named:\n");
	for (const struct tool_mode *m = tool->modes; m->name; m++) {
		tool_print("  %-18s %s\n", m->name, m->help);
		if (m->main)
			tool_print("  %-18s (its options: %s %s --help)\n", "", tool->name, m->name);
		used |= m->takes;
	}
	tool_print("\nOptions, after the mode:\n");
	for (int i = 0; i < set->count; i++)
		if (!set->bit[i] || (set->bit[i] & used))
			help_option(tool, set->row[i], set->bit[i]);
	return tool_finish(0);
}

static int print_version(void)
{
	tool_print("%s (libipckit) %s\n", tool_name, ipck_version());
	return tool_finish(0);
}

/* The mode that the first argument names, the first of the table without one; NULL: there is no such mode. */
static const struct tool_mode *find_mode(const struct tool *tool, const char *name)
{
	if (!name || *name == '-')
		return tool->modes;
	for (const struct tool_mode *m = tool->modes; m->name; m++)
		if (strcmp(m->name, name) == 0)
			return m;
	return NULL;
}

/* What the shared options say, with the defaults of the mode and a fresh seed. */
static struct tool_args make_args(const struct option_set *set, const struct tool_mode *mode)
{
	struct tool_args args = {want_threads != 0, mode->pause_ms, (uint64_t)seed};

	if (option_given(set, "pause-ms"))
		args.pause_ms = pause_ms;
	if (!option_given(set, "seed"))
		args.seed = (uint64_t)getpid() ^ (uint64_t)(tool_seconds() * 1e9);
	return args;
}

static int run_mode(const struct tool_mode *mode, const struct tool_args *args)
{
	double start = tool_seconds();
	int status = mode->run(args);

	if (want_time)
		fprintf(stderr, "time: %.6f s by %s\n", tool_seconds() - start,
		        args->threads ? "threads" : "processes");
	return tool_finish(status);
}

static int run_own_main(const struct tool_mode *mode, int argc, char **argv)
{
	static char hint[64];

	snprintf(hint, sizeof(hint), " %s", mode->name);
	help_mode = hint;
	return mode->main(argc, argv);
}

int tool_main(const struct tool *tool, int argc, char **argv)
{
	const struct tool_mode *mode = find_mode(tool, argc > 1 ? argv[1] : NULL);
	struct option_set set;
	struct tool_args args;
	int named = argc > 1 && *argv[1] != '-';

	tool_name = tool->name;
	fill_closed_stdio();
	if (!mode)
		return tool_usage("there is no mode '%s'", argv[1]);
	if (mode->main)
		return run_own_main(mode, argc - 1, argv + 1);

	argv += named;
	argv[0] = (char *)tool->name; /* getopt_long begins its messages with it */
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	collect_options(&set, tool);
	if (read_options(&set, mode, argc - named, argv) != 0)
		return TOOL_USAGE;
	if (want_help)
		return print_help(tool, &set);
	if (want_version)
		return print_version();
	args = make_args(&set, mode);
	return run_mode(mode, &args);
}
