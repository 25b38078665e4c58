/* SPDX-License-Identifier: MIT */
/*
 * The benchmark harness.  A row is one job; its contenders do the same work.
 * The first contender is ipckit, the others are what it is compared with.
 * A round runs each contender once, one after the other, each in a process of
 * its own; ratios are taken inside a round, so that what slows down the machine
 * for a while slows down both sides of a ratio.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>

#define MAX_CONTENDERS 8
#define MAX_ROUNDS 99
#define MAX_SIZES 8

/* Another's CPU use, as a part of one CPU, above which a round is disturbed. */
#define DISTURBED 0.05

/* Where the processes of a contender run. */
enum placement {
	OWN_CPUS, /* each side on a CPU of its own: bench_pin(ctx, side) */
	ONE_CPU,  /* all on the same CPU */
	FREE,     /* wherever the kernel puts them */
};

/* What a contender is told. */
struct bench_ctx {
	double seconds; /* how long to measure, about */
	long size;      /* of the row: MiB, items, lines; see its text */
	int workers;
	enum placement placement;
	int cpu[2]; /* for side 0 and side 1 */
};

/* Operations per second, or a negative errno value. */
typedef double run_fn(const struct bench_ctx *ctx);

struct contender {
	const char *name;
	run_fn *run;
	double target;       /* least ratio of ipckit to it; 0: shown, not asked for */
	const char *package; /* what brings it, if it is not there: run returns -ENOENT then */
	long most;           /* greatest size it is asked for in a growth section; 0: any */
};

struct row {
	const char *name; /* for --rows */
	const char *job;
	const char *unit; /* singular, "process" */
	enum placement placement;
	long size;
	double figure;                /* least rate of ipckit, whatever the peers do; 0: none */
	double memory;                /* bytes it needs: where they are not there it is left out; 0: few */
	const char *size_unit;        /* of the growth section */
	long sizes[MAX_SIZES];        /* of the growth section, ends with -1 */
	const struct contender *with; /* at most MAX_CONTENDERS, and one of NULL name */
};

/* Each rows_*.c has one table, which ends with a NULL name. */
extern const struct row process_rows[], pool_rows[], exec_rows[], pipe_rows[], queue_rows[], sync_rows[],
	meet_rows[], dict_rows[];

/* The rates of one contender, one per round; none if error < 0. */
struct series {
	double rate[MAX_ROUNDS];
	int error;
};

struct result {
	const struct row *row;
	long size;
	int rounds;
	double others[MAX_ROUNDS]; /* CPUs that something else used in that round */
	struct series of[MAX_CONTENDERS];
};

/* options.c */
struct options {
	const char *rows, *json;
	const char *peers, *openmp, *ipc_pool; /* paths of programs outside of the harness */
	double rounds, workers, seconds;
	bool list, table, growth, memory, markdown, help;
};
extern struct options opt;
/* Ends the program with status 2 where the command line is wrong. */
void options_parse(int argc, char **argv);

/* bench.c: pins the calling process for its side, unless the row is FREE. */
void bench_pin(const struct bench_ctx *ctx, int side);

/* cell.c: runs one contender in a child, with a time limit. */
double cell_run(const struct contender *c, const struct bench_ctx *ctx);
/* From here on SIGINT, SIGTERM and SIGHUP end the harness by exit(), and the cell that runs. */
void cell_catch_signals(void);

/* load.c: what others use of the CPUs. */
struct load {
	double total, own, when;
};
void load_begin(struct load *load);
double load_others(const struct load *load);

/* stat.c */
struct summary {
	double median, least, most;
};
struct summary summarize(const double *values, int n);
struct summary summarize_ratio(const double *a, const double *b, int n);
/* "5.43 M" into buf, which is returned. */
char *si(char *buf, size_t size, double value);

/* table.c: a Markdown table with aligned columns; cells are copied. */
struct table;
struct table *table_new(int columns);
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void table_print(struct table *t, FILE *out);
void table_free(struct table *t);

/* report.c; all results are of one run, one per row, or per row and size in a growth section. */
void report_table(const struct result *results, int n, FILE *out);
void report_growth(const struct result *results, int n, FILE *out);
void report_markdown(const struct result *results, int n, FILE *out);
void report_json(const struct result *results, int n, int growth, FILE *out);

/* memory_tree.c: bytes of all processes from root down; private bytes of one, or -1. */
double memory_tree(pid_t root);
double memory_private(pid_t pid);
/* Bytes that shared memory may still take. */
double memory_available(void);
/* memory.c: prints the memory section; false if a bound is not kept. */
bool memory_section(FILE *out);

/* peer_cmd.c: commands. */
/* A directory for commands that keep something; made at first, removed with what is in it. */
const char *cmd_scratch(void);
/* The same, on tmpfs. */
const char *cmd_scratch_shm(void);
void cmd_scratch_remove(void);
/* What was written to f, to be read from its start; closes f; < 0: -errno. */
int cmd_input(FILE *f);
/* An unlinked temporary file with the lines 1 to n; < 0: -errno. */
int cmd_lines(long n);
/* Runs argv with fd as its input and nothing as its output; ops per second. */
double cmd_rate(const char *const argv[], int input, double ops);
/* Runs argv and reads the rate that it prints. */
double cmd_output(const char *const argv[]);
/* Starts argv; *in and *out, unless NULL, become the ends of pipes to and from it. */
int cmd_start(pid_t *pid, const char *const argv[], int input, int *in, int *out);

/* peer_python.c: one CPython process that runs the measurement of that name. */
double python_run(const char *measurement, const struct bench_ctx *ctx);
void python_start(void);
void python_stop(void);
double python_cpu_seconds(void);

/* ballast.c: touched memory of small pages; a fork must copy their page tables. */
void *ballast_new(long mib);
void ballast_free(void *ballast, long mib);

/* A loop that is timed: do { ... } while (meter_more(&m, ops)); */
struct meter {
	double start, now, until, ops;
};

static inline double seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static inline void meter_start(struct meter *m, const struct bench_ctx *ctx)
{
	m->start = m->now = seconds_now();
	m->until = m->start + ctx->seconds;
	m->ops = 0;
}

static inline bool meter_more(struct meter *m, double ops)
{
	m->ops += ops;
	m->now = seconds_now();
	return m->now < m->until;
}

static inline double meter_rate(const struct meter *m)
{
	return m->ops / (m->now - m->start);
}

#endif
