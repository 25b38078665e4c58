/* SPDX-License-Identifier: MIT */
/* ipc-process: child processes, their names and kin. */
#include <ipckit.h>

#include <unistd.h>

#include "common.h"
#include "party.h"

static long twice; /* --twice of the mode self */

/* What each of the five callers, or the three workers, gets. */
struct job {
	int number;
	long units; /* of pause_ms, to sleep */
	long pause_ms;
	const char *kind; /* "process" or "thread" */
};

static int call(void *arg)
{
	const struct job *job = arg;

	tool_print("func call by %s %d and name %s, %s\n", job->kind, job->number, party_name(), tool_time());
	tool_pause(job->units * job->pause_ms);
	tool_print("func call by %s %d and sleep %ld second, %s\n", job->kind, job->number, job->units, tool_time());
	return 0;
}

/* Five of them sleep 1 to 5 units each, all are joined. */
static int function(const struct tool_args *args)
{
	struct party party[5];
	struct job job[5];
	const char *kind = args->threads ? "thread" : "process";
	uint64_t random = args->seed;

	for (int i = 0; i < 5; i++) {
		job[i] = (struct job){i, tool_random(&random, 1, 5), args->pause_ms, kind};
		party[i] = (struct party){.fn = call, .arg = &job[i]};
	}
	return parties_run(party, 5, args->threads);
}

static int worker(void *arg)
{
	const struct job *job = arg;

	tool_print("%d start\n", job->number);
	tool_pause(job->units * job->pause_ms);
	tool_print("%d end\n", job->number);
	return 0;
}

static void print_children(void)
{
	struct ipck_process *child[3];
	size_t n = ipck_process_children(child, 3);

	for (size_t i = 0; i < n && i < 3; i++)
		tool_print("name -> %s\tpid -> %d\n", ipck_process_name(child[i]), (int)ipck_process_pid(child[i]));
}

/* Three workers of 1, 2 and 3 units; the parent lists those that run. */
static int workers(const struct tool_args *args)
{
	struct party party[3];
	struct job job[3];
	int status;

	for (int i = 0; i < 3; i++) {
		job[i] = (struct job){i + 1, i + 1, args->pause_ms, "process"};
		party[i] = (struct party){.fn = worker, .arg = &job[i]};
	}
	status = parties_start(party, 3, false);
	if (status != 0)
		return status;
	tool_print("CPU number %d\n", ipck_cpu_count());
	print_children();
	tool_print("end main\n");
	return parties_join(party, 3);
}

/* A process object with a run of its own: what it runs, and what that needs. */
struct clock_process {
	struct party party;
	long interval_ms;
};

static int clock_run(void *arg)
{
	const struct clock_process *clock = arg;

	for (int n = 5; n > 0; n--) {
		if (tool_print("the time is %s\n", tool_time()) < 0)
			break;
		tool_pause(clock->interval_ms);
	}
	return 0;
}

static int clock_mode(const struct tool_args *args)
{
	struct clock_process clock = {.party = {.fn = clock_run, .arg = &clock}, .interval_ms = args->pause_ms};

	return parties_run(&clock.party, 1, false);
}

/* What a child knows of itself. */
static int know_thyself(void *arg)
{
	struct ipck_process *self = ipck_process_current();

	(void)arg;
	tool_print("name -> %s\n", ipck_process_name(self));
	tool_print("pid -> %d\n", (int)ipck_process_pid(self));
	tool_print("alive -> %s\n", ipck_process_alive(self) ? "true" : "false");
	tool_print("daemon -> %s\n", ipck_process_daemon(self) ? "true" : "false");
	return 0;
}

static int name_ten_times(void *arg)
{
	struct ipck_process *self = ipck_process_current();

	(void)arg;
	for (int i = 0; i < 10; i++)
		tool_print("name -> %s\tpid -> %d\n", ipck_process_name(self), (int)ipck_process_pid(self));
	return 0;
}

static int self(const struct tool_args *args)
{
	struct party one = {.fn = know_thyself};
	struct party two[2] = {{.fn = name_ten_times}, {.fn = name_ten_times}};

	(void)args;
	return twice ? parties_run(two, 2, false) : parties_run(&one, 1, false);
}

static int count_as_child(void *arg)
{
	int parent = (int)ipck_process_pid(ipck_process_parent());

	(void)arg;
	for (int i = 0; i < 10; i++)
		tool_print("SubProcess(%d), FatherProcess(%d); %d\n", (int)getpid(), parent, i);
	return 0;
}

/* The parent counts, too; at 5 it starts two children and waits for the second. */
static int family(const struct tool_args *args)
{
	struct party child[2] = {{.fn = count_as_child}, {.fn = count_as_child}};
	int status = 0, first;

	(void)args;
	for (int i = 0; i < 10; i++) {
		tool_print("FatherProcess(%d) : %d\n", (int)getpid(), i);
		if (i != 5)
			continue;
		if (parties_start(child, 2, false) != 0)
			return TOOL_FAILED;
		status = parties_join(&child[1], 1);
	}
	tool_print("Task finished\n");
	first = parties_join(&child[0], 1);
	return status != 0 ? status : first;
}

static const struct tool_mode modes[] = {
	{"function", "five processes run one function and sleep 1 to 5 pauses", function,
	 TOOL_THREADS | TOOL_PAUSE | TOOL_SEED, 1000, NULL},
	{"workers", "three workers of 1, 2 and 3 pauses, and the list of them", workers, TOOL_PAUSE, 1000, NULL},
	{"clock", "a process object that tells the time five times", clock_mode, TOOL_PAUSE, 3000, NULL},
	{"self", "what a child knows of itself", self, TOOL_OWN(0), 0, NULL},
	{"family", "a parent and two children count to ten", family, 0, 0, NULL},
	{0},
};

static const struct tool_option options[] = {
	{0, "twice", NULL, "two children that print name and pid ten times", 0, 0, &twice},
	{0},
};

static const struct tool tool = {"ipc-process", "Starts child processes, waits for them, asks who they are.", modes,
                                 options};

int main(int argc, char **argv)
{
	return tool_main(&tool, argc, argv);
}
