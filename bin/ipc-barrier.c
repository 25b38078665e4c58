/* SPDX-License-Identifier: MIT */
/* ipc-barrier: processes that wait until all are there. */
#include <ipckit.h>

#include <stdio.h>
#include <time.h>

#include "common.h"
#include "party.h"
#include "shared.h"

/* ---- start-line ---- */

#define RUNNERS 4
#define AT_THE_LINE 2 /* of them, the first two */

struct line {
	struct ipck_barrier start;
	struct ipck_lock print;
};

struct runner {
	struct line *line;
	int number;
	long pause_ms; /* before it comes to the line */
};

/* The time of day to the microsecond. */
static void print_time(int number, const struct timespec *now)
{
	char day[64];
	struct tm tm;

	localtime_r(&now->tv_sec, &tm);
	strftime(day, sizeof(day), "%Y-%m-%d %H:%M:%S", &tm);
	tool_print("process p%d ----> %s.%06ld\n", number, day, now->tv_nsec / 1000);
}

static int run(void *arg)
{
	const struct runner *runner = arg;
	struct timespec now;
	int rc = 0;

	if (runner->number <= AT_THE_LINE) {
		tool_pause(runner->pause_ms);
		rc = ipck_barrier_wait(&runner->line->start, NULL, IPCK_FOREVER);
	}
	if (rc < 0)
		return shared_check("barrier", rc);
	clock_gettime(CLOCK_REALTIME, &now);
	IPCK_WITH_LOCK(&runner->line->print, IPCK_FOREVER, &rc)
		print_time(runner->number, &now);
	return shared_check("lock", rc);
}

/* The second one comes a pause later than the first. */
static int run_line(void *shared, const struct tool_args *args)
{
	struct line *line = shared;
	struct runner runner[RUNNERS];
	struct party party[RUNNERS];
	int rc = ipck_barrier_init(&line->start, AT_THE_LINE, NULL);

	if (rc == 0)
		rc = ipck_lock_init(&line->print);
	if (rc < 0)
		return shared_check("barrier", rc);
	for (int i = 0; i < RUNNERS; i++) {
		runner[i] = (struct runner){line, i + 1, i * args->pause_ms};
		party[i] = (struct party){.fn = run, .arg = &runner[i]};
	}
	return parties_run_together(party, RUNNERS, args->threads);
}

static int start_line(const struct tool_args *args)
{
	return shared_run(sizeof(struct line), run_line, args);
}

/* ---- feast ---- */

#define GUESTS 5

struct table {
	struct ipck_barrier laid;
	struct ipck_counter taken;
	int item[GUESTS];
};

struct cook {
	struct table *table;
	long pause_ms;
};

static int lay_table(void *arg)
{
	const struct cook *cook = arg;
	int rc;

	for (int i = 0; i < GUESTS; i++) {
		tool_pause(cook->pause_ms);
		cook->table->item[i] = i;
		tool_print("producer: item %d is ready\n", i);
	}
	rc = ipck_barrier_wait(&cook->table->laid, NULL, IPCK_FOREVER);
	return shared_check("barrier", rc);
}

static int eat(void *arg)
{
	struct table *table = arg;
	int rc = ipck_barrier_wait(&table->laid, NULL, IPCK_FOREVER);

	if (rc < 0)
		return shared_check("barrier", rc);
	tool_print("%s takes item %d\n", party_name(), table->item[ipck_counter_add(&table->taken, 1)]);
	return 0;
}

static int run_feast(void *shared, const struct tool_args *args)
{
	struct table *table = shared;
	struct cook cook = {table, args->pause_ms};
	struct party party[GUESTS + 1] = {{.fn = lay_table, .arg = &cook}};
	int rc = ipck_barrier_init(&table->laid, GUESTS + 1, NULL);

	if (rc == 0)
		rc = ipck_counter_init(&table->taken, 0);
	if (rc < 0)
		return shared_check("barrier", rc);
	for (int i = 1; i <= GUESTS; i++)
		party[i] = (struct party){.fn = eat, .arg = table};
	return parties_run_together(party, GUESTS + 1, args->threads);
}

static int feast(const struct tool_args *args)
{
	return shared_run(sizeof(struct table), run_feast, args);
}

static const struct tool_mode modes[] = {
	{"start-line", "two wait for each other, two do not; all tell the time", start_line,
	 TOOL_THREADS | TOOL_PAUSE, 0, NULL},
	{"feast", "five wait until a producer has made five items, each takes one", feast,
	 TOOL_THREADS | TOOL_PAUSE, 500, NULL},
	{0},
};

static const struct tool tool = {"ipc-barrier", "Lets processes wait until all of them are there.", modes, NULL};

int main(int argc, char **argv)
{
	return tool_main(&tool, argc, argv);
}
