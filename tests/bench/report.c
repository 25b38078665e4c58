/* SPDX-License-Identifier: MIT */
/* What the rounds have shown: the table, growth, README's table, and JSON. */
#include "bench.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static const char *const places[] = {[OWN_CPUS] = "own CPUs", [ONE_CPU] = "1 CPU", [FREE] = "free"};

/* What the figures were measured on. */
static void machine_line(FILE *out)
{
	char line[256], model[128] = "";
	struct utsname u;
	FILE *f = fopen("/proc/cpuinfo", "re");

	while (f && !model[0] && fgets(line, sizeof(line), f))
		sscanf(line, "model name : %127[^\n]", model);
	if (f)
		fclose(f);
	uname(&u);
	fprintf(out, "%ld CPUs %s, %s %s; %g rounds of %g s, %g workers.\n", sysconf(_SC_NPROCESSORS_ONLN), model,
	        u.sysname, u.release, opt.rounds, opt.seconds, opt.workers);
}

static const struct contender *contender(const struct result *r, int i)
{
	return &r->row->with[i];
}

/* Whether it was measured at this size. */
static bool measured(const struct result *r, int i)
{
	return r->of[i].error == 0 && r->of[i].rate[0] > 0;
}

/* Neither too large for it, nor missing. */
static bool is_shown(const struct result *r, int i)
{
	const struct contender *c = contender(r, i);

	return (c->most == 0 || r->size <= c->most) && (r->of[i].error != -ENOENT || !c->package);
}

/* "1.23 M (1.20 M - 1.25 M)" */
static const char *rates(char *buf, size_t size, const struct result *r, int i)
{
	struct summary s = summarize(r->of[i].rate, r->rounds);
	char median[32], least[32], most[32];

	if (!measured(r, i))
		snprintf(buf, size, "-");
	else
		snprintf(buf, size, "%s (%s - %s)", si(median, sizeof(median), s.median),
		         si(least, sizeof(least), s.least), si(most, sizeof(most), s.most));
	return buf;
}

static const char *ratio(char *buf, size_t size, struct summary s)
{
	char median[32], least[32], most[32];

	snprintf(buf, size, "%s (%s - %s)", si(median, sizeof(median), s.median), si(least, sizeof(least), s.least),
	         si(most, sizeof(most), s.most));
	return buf;
}

static int disturbed(const struct result *r)
{
	int n = 0;

	for (int i = 0; i < r->rounds; i++)
		n += r->others[i] > DISTURBED;
	return n;
}

static void rounds_cell(struct table *t, const struct result *r)
{
	if (disturbed(r))
		table_cell(t, "%d, %d disturbed", r->rounds, disturbed(r));
	else
		table_cell(t, "%d", r->rounds);
}

/* "yes", "no", or "-" where nothing is asked. */
static const char *verdict(double value, double target)
{
	return target == 0 ? "-" : value >= target ? "yes" : "NO";
}

static void peer_line(struct table *t, const struct result *r, int i)
{
	const struct contender *c = contender(r, i);
	struct summary s = {0};
	char buf[128];

	table_cell(t, "%s", r->row->job);
	table_cell(t, "%s", places[r->row->placement]);
	table_cell(t, "%s", rates(buf, sizeof(buf), r, 0));
	table_cell(t, "%s", c->name);
	table_cell(t, "%s", rates(buf, sizeof(buf), r, i));
	if (measured(r, 0) && measured(r, i)) {
		s = summarize_ratio(r->of[0].rate, r->of[i].rate, r->rounds);
		table_cell(t, "%s", ratio(buf, sizeof(buf), s));
	} else {
		table_cell(t, "-");
	}
	if (c->target > 0)
		table_cell(t, ">= %g", c->target);
	else
		table_cell(t, "-");
	table_cell(t, "%s", s.median > 0 ? verdict(s.median, c->target) : "-");
	rounds_cell(t, r);
}

/* A row's own figure: a rate to reach, whatever the peers do. */
static void figure_line(struct table *t, const struct result *r)
{
	struct summary s = summarize(r->of[0].rate, r->rounds);
	char buf[128];

	table_cell(t, "%s", r->row->job);
	table_cell(t, "%s", places[r->row->placement]);
	table_cell(t, "%s", rates(buf, sizeof(buf), r, 0));
	table_cell(t, "figure to reach");
	table_cell(t, "%s", si(buf, sizeof(buf), r->row->figure));
	if (measured(r, 0)) {
		double scale = 1 / r->row->figure;
		struct summary part = {s.median * scale, s.least * scale, s.most * scale};

		table_cell(t, "%s", ratio(buf, sizeof(buf), part));
	} else {
		table_cell(t, "-");
	}
	table_cell(t, ">= 1");
	table_cell(t, "%s", measured(r, 0) ? verdict(s.median, r->row->figure) : "-");
	rounds_cell(t, r);
}

/* What is not in the table, and why. */
static void report_missing(const struct result *results, int n, FILE *out)
{
	for (const struct result *r = results; r < results + n; r++) {
		for (int i = 0; contender(r, i)->name; i++) {
			const char *name = contender(r, i)->name, *package = contender(r, i)->package;

			if (r->of[i].error == -ENOENT && package)
				fprintf(out, "skipped: %s, %s is not installed; it comes with %s\n", r->row->name, name,
				        package);
			else if (r->of[i].error < 0)
				fprintf(out, "failed: %s, %s: %s\n", r->row->name, name, strerror(-r->of[i].error));
		}
	}
}

static void heading(struct table *t, const char *const names[])
{
	for (; *names; names++)
		table_cell(t, "%s", *names);
}

void report_table(const struct result *results, int n, FILE *out)
{
	static const char *const names[] = {"job",   "placement", "ipckit/s", "peer",   "peer/s",
	                                    "ratio", "target",    "ok?",      "rounds", NULL};
	struct table *t = table_new(9);

	heading(t, names);
	for (const struct result *r = results; r < results + n; r++) {
		for (int i = 1; contender(r, i)->name; i++)
			if (is_shown(r, i))
				peer_line(t, r, i);
		if (r->row->figure > 0)
			figure_line(t, r);
	}
	machine_line(out);
	fputs("Each: median (least - most) of the rounds. ratio: ipckit/peer in one round.\n\n", out);
	table_print(t, out);
	table_free(t);
	report_missing(results, n, out);
}

/* One table a row: contenders down, sizes across. */
static void growth_table(const struct result *r, int sizes, FILE *out)
{
	struct table *t = table_new(sizes + 1);
	char buf[32];

	table_cell(t, "%s", r->row->size_unit);
	for (int s = 0; s < sizes; s++)
		table_cell(t, "%ld", r[s].size);
	for (int i = 0; contender(r, i)->name; i++) {
		table_cell(t, "%s", contender(r, i)->name);
		for (int s = 0; s < sizes; s++) {
			struct summary sum = summarize(r[s].of[i].rate, r[s].rounds);

			table_cell(t, "%s%s", measured(&r[s], i) ? si(buf, sizeof(buf), sum.median) : "-",
			           disturbed(&r[s]) ? " ~" : "");
		}
	}
	fprintf(out, "\n%s: %s/s by %s, %d rounds (~: disturbed)\n\n", r->row->job, r->row->unit, r->row->size_unit,
	        r->rounds);
	table_print(t, out);
	table_free(t);
}

void report_growth(const struct result *results, int n, FILE *out)
{
	for (int first = 0, last; first < n; first = last) {
		for (last = first; last < n && results[last].row == results[first].row; last++)
			;
		growth_table(results + first, last - first, out);
	}
}

static void markdown_row(struct table *t, const struct result *r)
{
	char median[32], factor[32], peers[512] = "";
	size_t len = 0;

	for (int i = 1; contender(r, i)->name; i++) {
		struct summary s;

		if (!measured(r, i) || !measured(r, 0))
			continue;
		s = summarize_ratio(r->of[0].rate, r->of[i].rate, r->rounds);
		len += (size_t)snprintf(peers + len, sizeof(peers) - len, "%s%s %s/s (%s x)", len ? "; " : "",
		                        contender(r, i)->name,
		                        si(median, sizeof(median), summarize(r->of[i].rate, r->rounds).median),
		                        si(factor, sizeof(factor), s.median));
		if (len >= sizeof(peers))
			break;
	}
	table_cell(t, "%s%s", r->row->job, r->row->placement == ONE_CPU ? ", on 1 CPU" : "");
	if (measured(r, 0))
		table_cell(t, "%s/s", si(median, sizeof(median), summarize(r->of[0].rate, r->rounds).median));
	else
		table_cell(t, "-");
	table_cell(t, "%s", peers);
}

void report_markdown(const struct result *results, int n, FILE *out)
{
	static const char *const names[] = {"job", "ipckit", "peers (ipckit is so many times as fast)", NULL};
	struct table *t = table_new(3);

	heading(t, names);
	for (const struct result *r = results; r < results + n; r++)
		markdown_row(t, r);
	machine_line(out);
	fputc('\n', out);
	table_print(t, out);
	table_free(t);
	report_missing(results, n, stderr);
}

static void json_numbers(const char *key, const double *values, int n, FILE *out)
{
	fprintf(out, "\"%s\": [", key);
	for (int i = 0; i < n; i++)
		fprintf(out, "%s%.6g", i ? ", " : "", values[i]);
	fputc(']', out);
}

static void json_contender(const struct result *r, int i, FILE *out)
{
	struct summary s = summarize(r->of[i].rate, r->rounds);

	fprintf(out, "%s\n    {\"name\": \"%s\", \"target\": %g, ", i ? "," : "", contender(r, i)->name,
	        contender(r, i)->target);
	if (!measured(r, i)) {
		fprintf(out, "\"error\": \"%s\"}", r->of[i].error ? strerror(-r->of[i].error) : "not at this size");
		return;
	}
	fprintf(out, "\"median\": %.6g, \"least\": %.6g, \"most\": %.6g, ", s.median, s.least, s.most);
	if (i > 0 && measured(r, 0))
		fprintf(out, "\"ratio\": %.4g, ", summarize_ratio(r->of[0].rate, r->of[i].rate, r->rounds).median);
	json_numbers("rates", r->of[i].rate, r->rounds, out);
	fputc('}', out);
}

static void json_result(const struct result *r, FILE *out)
{
	fprintf(out, "  {\"row\": \"%s\", \"job\": \"%s\", \"unit\": \"%s/s\", \"placement\": \"%s\", \"size\": %ld, ",
	        r->row->name, r->row->job, r->row->unit, places[r->row->placement], r->size);
	fprintf(out, "\"figure\": %g, ", r->row->figure);
	json_numbers("others", r->others, r->rounds, out);
	fputs(", \"contenders\": [", out);
	for (int i = 0; contender(r, i)->name; i++)
		json_contender(r, i, out);
	fputs("]}", out);
}

static void json_results(const char *key, const struct result *results, int n, FILE *out)
{
	fprintf(out, ",\n\"%s\": [\n", key);
	for (int i = 0; i < n; i++) {
		json_result(&results[i], out);
		fputs(i + 1 < n ? ",\n" : "\n", out);
	}
	fputs("]", out);
}

void report_json(const struct result *results, int n, int growth, FILE *out)
{
	struct utsname u;

	uname(&u);
	fprintf(out, "{\"system\": \"%s %s %s\"", u.sysname, u.release, u.machine);
	json_results("table", results, n, out);
	json_results("growth", results + n, growth, out);
	fputs("\n}\n", out);
}
