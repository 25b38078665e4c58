/* SPDX-License-Identifier: MIT */
/* Markdown tables whose columns are aligned, so that they also read well as plain text. */
#include "bench.h"

#include <err.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct table {
	int columns, cells, room;
	char **cell;
};

struct table *table_new(int columns)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t)
		err(1, "table");
	t->columns = columns;
	return t;
}

static void grow(struct table *t)
{
	t->room = t->room ? 2 * t->room : 64;
	t->cell = realloc(t->cell, (size_t)t->room * sizeof(*t->cell));
	if (!t->cell)
		err(1, "table");
}

void table_cell(struct table *t, const char *fmt, ...)
{
	va_list ap;

	if (t->cells == t->room)
		grow(t);
	va_start(ap, fmt);
	if (vasprintf(&t->cell[t->cells], fmt, ap) < 0)
		err(1, "table");
	va_end(ap);
	t->cells++;
}

static int width(const struct table *t, int column)
{
	int w = 3;

	for (int i = column; i < t->cells; i += t->columns) {
		int len = (int)strlen(t->cell[i]);

		if (len > w)
			w = len;
	}
	return w;
}

static void rule(const struct table *t, FILE *out)
{
	for (int c = 0; c < t->columns; c++) {
		fputs("| ", out);
		for (int i = width(t, c); i > 0; i--)
			fputc('-', out);
		fputc(' ', out);
	}
	fputs("|\n", out);
}

void table_print(struct table *t, FILE *out)
{
	for (int i = 0; i < t->cells; i++) {
		int column = i % t->columns;

		fprintf(out, "| %-*s ", width(t, column), t->cell[i]);
		if (column + 1 < t->columns)
			continue;
		fputs("|\n", out);
		if (i + 1 == t->columns)
			rule(t, out);
	}
}

void table_free(struct table *t)
{
	for (int i = 0; i < t->cells; i++)
		free(t->cell[i]);
	free(t->cell);
	free(t);
}
