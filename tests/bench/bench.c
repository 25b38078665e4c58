/* SPDX-License-Identifier: MIT */
/* make bench: selects rows, runs their rounds, and has them reported. */
#include "bench.h"

#include <err.h>
#include <errno.h>
#include <fnmatch.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_RESULTS 256
#define GROWTH_ROUNDS 3
#define REPEATS 2 /* of a disturbed round */

static const struct row *const tables[] = {process_rows, pool_rows, exec_rows, pipe_rows,
                                           queue_rows,   sync_rows, meet_rows, dict_rows};

/* First those of the table, then those of the growth sections. */
static struct result results[MAX_RESULTS];
static int cpus[2];

void bench_pin(const struct bench_ctx *ctx, int side)
{
	cpu_set_t set;

	if (ctx->placement == FREE)
		return;
	CPU_ZERO(&set);
	CPU_SET(ctx->cpu[ctx->placement == ONE_CPU ? 0 : side], &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		err(1, "sched_setaffinity");
}

/* The first and the last CPU that we may use: the least likely to share a core. */
static void find_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		err(1, "sched_getaffinity");
	cpus[0] = -1;
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &set))
			continue;
		if (cpus[0] < 0)
			cpus[0] = i;
		cpus[1] = i;
	}
}

static bool takes_part(const struct result *r, int i)
{
	const struct contender *c = &r->row->with[i];

	return r->of[i].error == 0 && (c->most == 0 || r->size <= c->most);
}

/* Each contender once; returns what others used of the CPUs meanwhile. */
static double attempt(struct result *r, double rate[MAX_CONTENDERS])
{
	struct bench_ctx ctx = {opt.seconds, r->size, (int)opt.workers, r->row->placement, {cpus[0], cpus[1]}};
	struct load load;

	load_begin(&load);
	for (int i = 0; r->row->with[i].name; i++) {
		rate[i] = 0;
		if (!takes_part(r, i))
			continue;
		rate[i] = cell_run(&r->row->with[i], &ctx);
		if (rate[i] >= 0)
			continue;
		r->of[i].error = (int)rate[i];
		python_stop(); /* an answer to a cell that is gone may still come */
		python_start();
	}
	return load_others(&load);
}

/* A disturbed round is repeated; of all attempts the least disturbed one counts. */
static void run_round(struct result *r, int round)
{
	double rate[MAX_CONTENDERS], others;

	for (int n = 0; n <= REPEATS; n++) {
		others = attempt(r, rate);
		if (n > 0 && others >= r->others[round])
			continue;
		r->others[round] = others;
		for (int i = 0; r->row->with[i].name; i++)
			r->of[i].rate[round] = rate[i];
		if (others <= DISTURBED)
			return;
	}
}

static void run_row(struct result *r, const struct row *row, long size, int rounds)
{
	r->row = row;
	r->size = size;
	for (r->rounds = 0; r->rounds < rounds; r->rounds++) {
		if (isatty(2))
			fprintf(stderr, "\r\033[K%s %ld: round %d of %d ", row->name, size, r->rounds + 1, rounds);
		run_round(r, r->rounds);
	}
	if (isatty(2))
		fputs("\r\033[K", stderr);
}

static int run_growth(struct result *r, int room, const struct row *row)
{
	int n = 0, rounds = opt.rounds < GROWTH_ROUNDS ? (int)opt.rounds : GROWTH_ROUNDS;

	while (row->size_unit && row->sizes[n] >= 0) {
		if (n == room)
			errx(1, "too many rows");
		run_row(&r[n], row, row->sizes[n], rounds);
		n++;
	}
	return n;
}

static bool has_memory(const struct row *row)
{
	if (opt.list || row->memory <= memory_available())
		return true;
	fprintf(stderr, "%s is left out: it takes %.1f GiB of memory\n", row->name, row->memory / (1 << 30));
	return false;
}

/* The rows that were asked for; a NULL row ends them. */
static const struct row **select_rows(void)
{
	static const struct row *selected[MAX_RESULTS + 1];
	bool any = false;
	int n = 0;

	for (size_t t = 0; t < sizeof(tables) / sizeof(*tables); t++)
		for (const struct row *row = tables[t]; row->name && n < MAX_RESULTS; row++)
			if (fnmatch(opt.rows, row->name, 0) == 0 && (any = true) && has_memory(row))
				selected[n++] = row;
	if (!any)
		errx(2, "no row is called '%s': see --list", opt.rows);
	return selected;
}

static void write_json(int n, int growth)
{
	FILE *f = fopen(opt.json, "w");

	if (!f)
		err(1, "%s", opt.json);
	report_json(results, n, growth, f);
	if (fclose(f) != 0)
		err(1, "%s", opt.json);
}

/* False if a contender of ours failed; what the peers do is no failure of ours. */
static bool run_rows(const struct row **rows)
{
	int n = 0, growth = 0;
	bool right = true;

	python_start(); /* if it is not there, the rows tell */
	for (int i = 0; opt.table && rows[i]; i++)
		run_row(&results[n++], rows[i], rows[i]->size, (int)opt.rounds);
	if (opt.table && opt.markdown)
		report_markdown(results, n, stdout);
	else if (opt.table)
		report_table(results, n, stdout);
	fflush(stdout);
	for (int i = 0; opt.growth && rows[i]; i++)
		growth += run_growth(results + n + growth, MAX_RESULTS - n - growth, rows[i]);
	report_growth(results + n, growth, stdout);
	fflush(stdout);
	if (opt.json)
		write_json(n, growth);
	for (int i = 0; i < n + growth; i++)
		right &= results[i].of[0].error == 0;
	return right;
}

static void list(const struct row **rows)
{
	for (; *rows; rows++)
		printf("%-20s %s\n", (*rows)->name, (*rows)->job);
}

/* make -j2 as a peer must not find the make that runs us. */
static void forget_make(void)
{
	unsetenv("MAKEFLAGS");
	unsetenv("MFLAGS");
	unsetenv("MAKELEVEL");
}

/* Cells leave by exit() too. */
static pid_t harness;

static void clean_up(void)
{
	if (getpid() != harness)
		return;
	python_stop();
	cmd_scratch_remove();
}

int main(int argc, char **argv)
{
	const struct row **rows;
	bool right = true;

	options_parse(argc, argv);
	rows = select_rows();
	if (opt.list) {
		list(rows);
		return 0;
	}
	forget_make();
	/* Or /bin/true spends half of its time in reading locales. */
	setenv("LC_ALL", "C", 1);
	find_cpus();
	cmd_scratch();
	cmd_scratch_shm();
	harness = getpid();
	atexit(clean_up);
	cell_catch_signals();
	if (opt.table || opt.growth)
		right = run_rows(rows);
	if (opt.memory)
		right &= memory_section(stdout);
	return !right;
}
