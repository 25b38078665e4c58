/* SPDX-License-Identifier: MIT */
/* The command line: one table says each option's name, meaning and place. */
#include "bench.h"

#include <err.h>
#include <getopt.h>
#include <stdlib.h>

struct options opt = {
	.rows = "*",
	.peers = "tests/bench/peers.py",
	.openmp = "tests/bench/openmp",
	.ipc_pool = "./ipc-pool",
	.rounds = 7,
	.workers = 2,
	.seconds = 0.3,
};

static const struct known {
	const char *name, *value, *text;
	const char **string;
	double *number;
	bool *flag;
	double least, most;
} known[] = {
	{"table", NULL, "ipckit and its peers, job by job", .flag = &opt.table},
	{"growth", NULL, "rates by size", .flag = &opt.growth},
	{"memory", NULL, "memory, and its bounds", .flag = &opt.memory},
	{"markdown", NULL, "the table as README shows it", .flag = &opt.markdown},
	{"list", NULL, "names the rows and runs nothing", .flag = &opt.list},
	{"rows", "GLOB", "only rows whose name matches", .string = &opt.rows},
	{"rounds", "N", "rounds of the table (7)", .number = &opt.rounds, .least = 1, .most = MAX_ROUNDS},
	{"seconds", "S", "length of a measurement (0.3)", .number = &opt.seconds, .least = 0.001, .most = 60},
	{"workers", "N", "workers of a pool (2)", .number = &opt.workers, .least = 1, .most = 1024},
	{"json", "FILE", "writes all rates of all rounds", .string = &opt.json},
	{"peers", "FILE", "peers.py", .string = &opt.peers},
	{"openmp", "PROGRAM", "the OpenMP peer", .string = &opt.openmp},
	{"ipc-pool", "PROGRAM", "the program for exec", .string = &opt.ipc_pool},
	{"help", NULL, "this text", .flag = &opt.help},
};

#define KNOWN (sizeof(known) / sizeof(*known))

static void usage(FILE *out)
{
	fputs("usage: bench [OPTION]...\n"
	      "Runs the sections --table, --growth and --memory, or those of them that are given.\n",
	      out);
	for (const struct known *k = known; k < known + KNOWN; k++)
		fprintf(out, "  --%-8s %-8s %s\n", k->name, k->value ? k->value : "", k->text);
}

static double number(const struct known *k)
{
	char *end;
	double value = strtod(optarg, &end);

	if (end == optarg || *end || !(value >= k->least && value <= k->most))
		errx(2, "--%s: a number from %g to %g, not '%s'", k->name, k->least, k->most, optarg);
	return value;
}

static void set(const struct known *k)
{
	if (k->flag)
		*k->flag = true;
	else if (k->number)
		*k->number = number(k);
	else
		*k->string = optarg;
}

void options_parse(int argc, char **argv)
{
	struct option option[KNOWN + 1] = {0};
	int index;

	for (size_t i = 0; i < KNOWN; i++)
		option[i] = (struct option){known[i].name, known[i].value ? required_argument : no_argument, NULL, 1};
	while ((index = -1, getopt_long(argc, argv, "", option, &index)) != -1) {
		if (index < 0) {
			usage(stderr);
			exit(2);
		}
		set(&known[index]);
	}
	if (optind < argc)
		errx(2, "'%s' is no option: see --help", argv[optind]);
	if (opt.help) {
		usage(stdout);
		exit(0);
	}
	opt.table |= opt.markdown;
	if (!opt.table && !opt.growth && !opt.memory)
		opt.table = opt.growth = opt.memory = true;
}
