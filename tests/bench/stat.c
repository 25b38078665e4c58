/* SPDX-License-Identifier: MIT */
/* Medians, and numbers as people read them. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct summary summarize(const double *values, int n)
{
	double sorted[MAX_ROUNDS];

	if (n == 0)
		return (struct summary){0, 0, 0};
	memcpy(sorted, values, (size_t)n * sizeof(*values));
	qsort(sorted, (size_t)n, sizeof(*sorted), compare);
	return (struct summary){(sorted[(n - 1) / 2] + sorted[n / 2]) / 2, sorted[0], sorted[n - 1]};
}

/* The median of the ratios, each taken inside one round; not the ratio of the medians. */
struct summary summarize_ratio(const double *a, const double *b, int n)
{
	double ratio[MAX_ROUNDS];

	for (int i = 0; i < n; i++)
		ratio[i] = a[i] / b[i];
	return summarize(ratio, n);
}

char *si(char *buf, size_t size, double value)
{
	static const char *const units[] = {"", " k", " M", " G"};
	size_t u = 0;

	while (value >= 999.5 && u + 1 < sizeof(units) / sizeof(*units)) {
		value /= 1000;
		u++;
	}
	snprintf(buf, size, "%.*f%s", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, units[u]);
	return buf;
}
