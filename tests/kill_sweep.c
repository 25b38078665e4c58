/* SPDX-License-Identifier: MIT */
/*
 * The kill sweep: starts its runs, two at a time, holds them to their deadlines,
 * removes what they leave, and reports.  As a child subreaper it inherits the
 * processes of a scenario that it had to kill.
 */
#include "kill_run.h"

#include <dirent.h>
#include <dlfcn.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_JOBS 8
#define MAX_FAILURES 10
#define LIMIT 10.0
#define SHM_DIR "/dev/shm"
#define TUNABLES "glibc.cpu.x86_rep_movsb_threshold=0x7fffffff"

/* A run that ended before its point ends the sweep, but others, more eventful, may follow: so many do. */
#define COMPLETE_RUNS 3

/* Without IPCK_LONG, unless a sweep says otherwise. */
#define SHARE 8

struct slot {
	pid_t pid; /* of the scenario process, 0: none */
	double end;
	struct kill_run *run;
};

static struct slot slots[MAX_JOBS];
static sigset_t saved_mask;

static const char *const kind_names[KILL_KINDS] = {
	[KILL_NONE] = "none",   [KILL_START] = "start", [KILL_CHANGE] = "change",
	[KILL_ENTER] = "enter", [KILL_LEAVE] = "leave", [KILL_ASLEEP] = "asleep",
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static unsigned jobs(void)
{
	const char *text = getenv("IPCK_KILL_JOBS");
	int jobs = text ? atoi(text) : 2;

	return jobs < 1 ? 1 : jobs > MAX_JOBS ? MAX_JOBS : jobs;
}

/* FILE+OFFSET, as addr2line wants it, and the symbol if it is exported. */
static const char *place(uintptr_t address)
{
	static char text[256];
	Dl_info info;
	const char *name;

	if (!dladdr((void *)address, &info) || !info.dli_fname) {
		snprintf(text, sizeof(text), "0x%" PRIxPTR, address);
		return text;
	}
	name = strrchr(info.dli_fname, '/');
	snprintf(text, sizeof(text), "%s+0x%" PRIxPTR "%s%s", name ? name + 1 : info.dli_fname,
	         address - (uintptr_t)info.dli_fbase, info.dli_sname ? " " : "", info.dli_sname ? info.dli_sname : "");
	return text;
}

static void note_failure(struct kill_result *result, const struct kill_run *run, const char *message)
{
	const struct kill_point *p = run->at.kind == KILL_NONE ? &run->last : &run->at;
	size_t used = strlen(result->text);

	result->failures++;
	snprintf(result->text + used, sizeof(result->text) - used, "%s %u (%s%s%.0ld) at %s: %s\n",
	         run->at.kind == KILL_NONE ? "not killed, last point" : "point", p->number, kind_names[p->kind],
	         p->call >= 0 ? ", system call " : "", p->call >= 0 ? p->call : 0, place(p->address), message);
}

static bool is_scenario(pid_t pid)
{
	for (unsigned i = 0; i < MAX_JOBS; i++)
		if (slots[i].pid == pid)
			return true;
	return false;
}

static pid_t parent_of(pid_t pid, char *state)
{
	char path[64], text[512], *end;
	pid_t parent = 0;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	end = strrchr(text, ')');
	if (!end || sscanf(end + 1, " %c %d", state, &parent) != 2)
		return 0;
	return parent;
}

/* Kills the children of `parent` but the scenarios, says how many. */
static unsigned kill_children(pid_t parent)
{
	DIR *d = opendir("/proc");
	unsigned n = 0;
	struct dirent *e;

	while (d && (e = readdir(d))) {
		pid_t pid = atoi(e->d_name);
		char state;

		if (pid <= 0 || is_scenario(pid) || parent_of(pid, &state) != parent)
			continue;
		if (state != 'Z' && kill(pid, SIGKILL) == 0)
			n++;
		else
			waitpid(pid, NULL, WNOHANG);
	}
	if (d)
		closedir(d);
	return n;
}

/* What a scenario that did not end well has left comes to this process, generation by generation. */
static void kill_strays(void)
{
	double end = now() + 10;

	while (kill_children(getpid()) > 0 && now() < end)
		usleep(1000);
}

static void unlink_names(unsigned slot)
{
	DIR *d = opendir(SHM_DIR);
	char mark[40], path[300];
	struct dirent *e;

	snprintf(mark, sizeof(mark), "ipck." KILL_NAME, getpid(), slot);
	while (d && (e = readdir(d))) {
		if (strncmp(e->d_name, mark, strlen(mark)) != 0)
			continue;
		snprintf(path, sizeof(path), SHM_DIR "/%s", e->d_name);
		unlink(path);
	}
	if (d)
		closedir(d);
}

static void start_run(const struct kill_sweep *s, unsigned i, unsigned target)
{
	struct slot *slot = &slots[i];

	*slot->run = (struct kill_run){.sweep = getpid(), .slot = i, .target = target};
	slot->end = now() + (s->limit > 0 ? s->limit : LIMIT) * kill_scale();
	fflush(stdout);
	fflush(stderr);
	slot->pid = fork();
	if (slot->pid < 0)
		abort();
	if (slot->pid > 0)
		return;
	kill_scenario(s, slot->run, &saved_mask);
}

static void hang_message(char *text, size_t size, const struct kill_run *run)
{
	snprintf(text, size, "hangs: %s", run->phase);
	if (run->file)
		snprintf(text + strlen(text), size - strlen(text), ", after %s:%d", run->file, run->line);
}

/* Whether the run in this slot has ended, or is ended now by its deadline; then `why` is set if it failed. */
static bool run_over(struct slot *slot, char *why, size_t size)
{
	int status;

	if (waitpid(slot->pid, &status, WNOHANG) == slot->pid) {
		if (slot->run->failed)
			snprintf(why, size, "%s", slot->run->message);
		else if (status != 0)
			snprintf(why, size, "the scenario ended with wait status 0x%x", status);
		return true;
	}
	if (now() < slot->end)
		return false;
	hang_message(why, size, slot->run);
	kill(slot->pid, SIGKILL);
	waitpid(slot->pid, NULL, 0);
	return true;
}

/* Takes the outcome of a slot's run, if it is over. */
static bool collect(unsigned i, struct kill_result *result, unsigned *complete)
{
	struct slot *slot = &slots[i];
	char why[400] = "";

	if (!slot->pid || !run_over(slot, why, sizeof(why)))
		return false;
	slot->pid = 0;
	result->runs++;
	if (*why) {
		note_failure(result, slot->run, why);
		kill_strays();
	}
	if (slot->run->at.kind != KILL_NONE) {
		result->points++;
		result->kinds[slot->run->at.kind]++;
	} else {
		++*complete;
	}
	unlink_names(i);
	return true;
}

/* The points at which one is killed after the other. */
struct course {
	unsigned runs;                /* 0: until some are complete */
	unsigned first, full, stride; /* as in kill.h, from the first point */
	unsigned all, turn, every;    /* a share, if all > 0: each every-th of so many states, evenly spread */
};

static unsigned nth_point(const struct course *c, unsigned n)
{
	unsigned full = c->full > 0 ? c->full - 1 : 0;

	if (c->all)
		return (unsigned)(((uint64_t)n * c->all + c->turn) / c->runs) * c->every;
	return c->first + (c->stride && n > full ? full + (n - full) * c->stride : n);
}

static void sweep_course(const struct kill_sweep *s, struct kill_result *result, const struct course *course)
{
	const struct timespec tick = {0, 20000000};
	unsigned started = 0, busy = 0, complete = 0;
	bool more = true;
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	while (more || busy > 0) {
		for (unsigned i = 0; more && i < jobs(); i++) {
			if (slots[i].pid)
				continue;
			start_run(s, i, nth_point(course, started));
			more = ++started != course->runs;
			busy++;
		}
		sigtimedwait(&child, NULL, &tick);
		for (unsigned i = 0; i < MAX_JOBS; i++)
			busy -= collect(i, result, &complete);
		more = more && (course->all || complete < COMPLETE_RUNS) && result->failures < MAX_FAILURES;
	}
}

/*
 * A whole run, which counts the points, then the share of these: in each process other ones.
 * With a bound that is what they are counted by: a whole run may be without end.
 */
static void sweep_share(const struct kill_sweep *s, struct kill_result *result)
{
	const struct course whole = {.first = UINT_MAX, .runs = 1};
	struct course share = {.every = s->each_state ? 2 : 1};

	if (s->max_runs) {
		share.all = s->max_runs * (s->stride ? s->stride : 1);
	} else {
		sweep_course(s, result, &whole);
		result->all = slots[0].run->events;
		share.all = (result->all + share.every - 1) / share.every;
	}
	if (share.all == 0 || result->failures)
		return;
	share.runs = share.all < s->share ? share.all : s->share;
	share.turn = getpid() % share.all;
	sweep_course(s, result, &share);
}

static void sweep_points(const struct kill_sweep *s, struct kill_result *result, long only)
{
	const struct course one = {.first = only, .runs = 1};
	const struct course each = {.full = s->full, .stride = s->stride, .runs = s->max_runs};

	if (only < 0 && s->share)
		sweep_share(s, result);
	else
		sweep_course(s, result, only < 0 ? &each : &one);
}

/* Sweeps all points, or (only >= 0) runs that one alone. */
static int sweep(const struct kill_sweep *s, struct kill_result *result, long only)
{
	sigset_t child;

	*result = (struct kill_result){0};
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, &saved_mask);
	for (unsigned i = 0; i < MAX_JOBS; i++)
		slots[i].run = kill_shared(sizeof(struct kill_run));
	sweep_points(s, result, only);
	for (unsigned i = 0; i < MAX_JOBS; i++)
		munmap(slots[i].run, sizeof(struct kill_run));
	sigprocmask(SIG_SETMASK, &saved_mask, NULL);
	/* Of a share, that of one point may be the start. */
	if (only < 0 && result->failures == 0 && result->points == result->kinds[KILL_START] && result->all <= 1) {
		result->failures++;
		snprintf(result->text, sizeof(result->text), "no change and no system call was reached\n");
	}
	return result->failures ? -1 : 0;
}

int kill_sweep_try(const struct kill_sweep *s, struct kill_result *result)
{
	return sweep(s, result, -1);
}

static struct kill_sweep bound(const struct kill_sweep *s)
{
	struct kill_sweep bounded = *s;

	if (getenv("IPCK_LONG"))
		bounded.share = 0;
	else if (!s->share)
		bounded.share = SHARE;
	return bounded;
}

static int sweep_and_print(const struct kill_sweep *all, long only)
{
	const struct kill_sweep bounded = bound(all), *s = &bounded;
	struct kill_result r;
	int rc = sweep(s, &r, only);

	printf("%s: %u kill points (", s->name, r.points);
	for (int kind = KILL_START; kind < KILL_KINDS; kind++)
		printf("%s%u %s", kind > KILL_START ? ", " : "", r.kinds[kind], kind_names[kind]);
	printf("), %u runs, %u failures\n%s", r.runs, r.failures, r.text);
	if (r.all > r.points)
		printf("  a share: %u points of %u, each time other ones\n", r.points, r.all);
	if (s->stride && !s->share)
		printf("  bounded: the first %u points all, then each %u.\n", s->full, s->stride);
	if (s->max_runs && s->share)
		printf("  a share: of those of %u runs, each time other ones\n", s->max_runs);
	else if (s->max_runs)
		printf("  bounded: %u runs at most\n", s->max_runs);
	fflush(stdout);
	return rc;
}

int kill_sweep_run(const struct kill_sweep *s)
{
	return sweep_and_print(s, -1);
}

void kill_environment(char **argv)
{
	const char *bind = getenv("LD_BIND_NOW"), *tunables = getenv("GLIBC_TUNABLES");

	if (bind && tunables && strcmp(tunables, TUNABLES) == 0)
		return;
	setenv("LD_BIND_NOW", "1", 1);
	setenv("GLIBC_TUNABLES", TUNABLES, 1);
	execv("/proc/self/exe", argv);
	perror("/proc/self/exe");
	exit(1);
}

int kill_main(int argc, char **argv, const struct kill_sweep *const *sweeps)
{
	int status = kill_supported();
	bool found = false;

	if (status)
		return status;
	kill_environment(argv);
	for (; *sweeps; sweeps++) {
		if (argc > 1 && strcmp(argv[1], (*sweeps)->name) != 0)
			continue;
		found = true;
		if (sweep_and_print(*sweeps, argc > 2 ? strtol(argv[2], NULL, 0) : -1) < 0)
			status = 1;
	}
	if (!found)
		fprintf(stderr, "%s: no such sweep\n", argc > 1 ? argv[1] : "nothing");
	return found ? status : 2;
}
