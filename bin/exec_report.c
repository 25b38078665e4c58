/* SPDX-License-Identifier: MIT */
#include "exec_report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

#define TERMINAL_PERIOD 0.1
#define LINE_PERIOD 1.0

void report_begin(struct exec_report *r, bool progress, uint64_t total)
{
	*r = (struct exec_report){.progress = progress, .total = total, .terminal = isatty(2), .start = tool_seconds()};
	r->last = r->start;
}

/* The first item in quotes: nothing in it can write on the terminal but text. */
static const char *label(const struct flight_entry *e)
{
	static char text[4 * FLIGHT_LABEL + 64];
	char *to = text;
	size_t shown = e->size < FLIGHT_LABEL ? e->size : FLIGHT_LABEL;

	*to++ = '"';
	for (size_t i = 0; i < shown; i++) {
		unsigned char c = (unsigned char)e->label[i];

		if (c < ' ' || c == 0x7f || c == '"' || c == '\\')
			to += sprintf(to, "\\x%02x", c);
		else
			*to++ = (char)c;
	}
	to = stpcpy(to, shown < e->size ? "...\"" : "\"");
	if (e->items > 1)
		sprintf(to, " and %zu more", e->items - 1);
	return text;
}

static void tell_signal(const struct flight_entry *e, const char *who, int number)
{
	tool_error("item %s: %s by signal %d (%s)", label(e), who, number, strsignal(number));
}

/* An exit code other than 0 is the command's own affair; it is only counted. */
void report_result(struct exec_report *r, const struct flight_entry *e, const struct exec_result *result)
{
	if (result->end == EXEC_NOT_RUN)
		return;
	r->given++;
	if (result->end == EXEC_EXITED && result->value == 0)
		return;
	r->failed++;
	report_clear(r);
	if (result->end == EXEC_SIGNALED)
		tell_signal(e, "killed", result->value);
	else if (result->end == EXEC_NOT_STARTED)
		tool_error("item %s: cannot be started: %s", label(e), strerror(-result->value));
	else if (result->end == EXEC_NO_OUTPUT)
		tool_error("item %s: its output is lost: %s", label(e), strerror(-result->value));
}

void report_death(struct exec_report *r, const struct flight_entry *e, const struct ipck_status *status)
{
	r->given++;
	r->failed++;
	report_clear(r);
	if (status->outcome == IPCK_KILLED)
		tell_signal(e, "its worker was killed", status->value);
	else if (status->outcome == IPCK_EXITED)
		tool_error("item %s: its worker exited with %d", label(e), status->value);
	else
		tool_error("item %s: %s", label(e), ipck_strerror(status->value));
}

struct line {
	char text[200];
	size_t size;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *l, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(l->text + l->size, sizeof(l->text) - l->size, format, ap);
	va_end(ap);
	if (n > 0)
		l->size = l->size + (size_t)n < sizeof(l->text) ? l->size + (size_t)n : sizeof(l->text) - 1;
}

static void add_time(struct line *l, double seconds, const char *what)
{
	long s = (long)(seconds + 0.5);

	if (s < 3600)
		add(l, ", %ld:%02ld %s", s / 60, s % 60, what);
	else
		add(l, ", %ld:%02ld:%02ld %s", s / 3600, s / 60 % 60, s % 60, what);
}

/* "12 of 40 done, 1 failed, 3.5/s, 0:08 left"; at the end the time it took. */
static void draw(struct exec_report *r, uint64_t done, bool end)
{
	double seconds = tool_seconds() - r->start, rate = seconds > 0 ? (double)done / seconds : 0;
	struct line l = {.size = 0};

	add(&l, "%sipc-pool: %" PRIu64, r->terminal ? "\r" : "", done);
	if (r->total > 0)
		add(&l, " of %" PRIu64, r->total);
	add(&l, " done");
	if (r->failed > 0)
		add(&l, ", %" PRIu64 " failed", r->failed);
	add(&l, ", %.1f/s", rate);
	if (end)
		add_time(&l, seconds, "in all");
	else if (r->total > done && done > 0)
		add_time(&l, (double)(r->total - done) / rate, "left");
	add(&l, "%s", r->terminal ? "\033[K" : "\n");
	fputs(l.text, stderr);
	r->drawn = r->terminal;
	r->last = tool_seconds();
}

void report_tick(struct exec_report *r, uint64_t finished)
{
	if (r->progress && tool_seconds() - r->last >= (r->terminal ? TERMINAL_PERIOD : LINE_PERIOD))
		draw(r, finished, false);
}

void report_clear(struct exec_report *r)
{
	if (r->drawn)
		fputs("\r\033[K", stderr);
	r->drawn = false;
}

void report_end(struct exec_report *r)
{
	if (r->progress) {
		draw(r, r->given, true);
		if (r->terminal)
			fputs("\n", stderr);
		r->drawn = false;
	}
	if (r->failed > 0)
		tool_error("%" PRIu64 " of %" PRIu64 " failed", r->failed, r->given);
}
