/* SPDX-License-Identifier: MIT */
/* How many CPUs this process may use: affinity mask and cgroup quota. */
#include "proc/cpu.h"

#include <ipckit/process.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"

#define CGROUP_ROOT "/sys/fs/cgroup"

int cpu_affinity_count(void)
{
	/* A machine can have more CPUs than cpu_set_t: grow until it fits. */
	for (int cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
		cpu_set_t *set = CPU_ALLOC(cpus);
		size_t size = CPU_ALLOC_SIZE(cpus);
		int n = 0;

		if (set && sched_getaffinity(0, size, set) == 0)
			n = CPU_COUNT_S(size, set);
		CPU_FREE(set);
		if (n > 0)
			return n;
	}
	return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

/* Whole CPUs of so many microseconds in each period; 0: no limit, or none that counts. */
static int quota_cpus(long long quota, long long period)
{
	if (quota <= 0 || period <= 0)
		return 0;
	return (int)MIN(quota / period + (quota % period > 0), INT_MAX);
}

/* "QUOTA PERIOD" or "max PERIOD": the CPUs of it, rounded up, or 0 for no limit. */
static int read_cpu_max(const char *path)
{
	long long quota, period;
	FILE *f = fopen(path, "re");
	int n;

	if (!f)
		return 0;
	n = fscanf(f, "%lld %lld", &quota, &period);
	fclose(f);
	return n == 2 ? quota_cpus(quota, period) : 0;
}

static long long read_number(const char *path)
{
	long long value = 0;
	FILE *f = fopen(path, "re");

	if (!f)
		return 0;
	if (fscanf(f, "%lld", &value) != 1)
		value = 0;
	fclose(f);
	return value;
}

static int read_cfs(const char *directory)
{
	char path[4352];
	long long quota, period;

	snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", directory);
	quota = read_number(path);
	snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", directory);
	period = read_number(path);
	return quota_cpus(quota, period);
}

static int tighter(int limit, int found)
{
	return found > 0 && (limit == 0 || found < limit) ? found : limit;
}

/* The tightest limit from the cgroup up to the root of its hierarchy. */
static int walk_up(const char *root, const char *group, bool unified)
{
	char directory[4200], path[4352];
	size_t base;
	int limit = 0;

	snprintf(directory, sizeof(directory), "%s%s", root, group);
	base = strlen(root);
	for (;;) {
		char *slash;

		snprintf(path, sizeof(path), "%s/cpu.max", directory);
		limit = tighter(limit, unified ? read_cpu_max(path) : read_cfs(directory));
		slash = strrchr(directory, '/');
		if (!slash || (size_t)(slash - directory) < base)
			return limit;
		*slash = '\0';
	}
}

/* A line of /proc/self/cgroup: "ID:CONTROLLERS:PATH", 0 and none for version 2. */
static int line_limit(char *line)
{
	char *controllers = strchr(line, ':'), *group;

	if (!controllers)
		return 0;
	*controllers++ = '\0';
	group = strchr(controllers, ':');
	if (!group)
		return 0;
	*group++ = '\0';
	group[strcspn(group, "\n")] = '\0';
	if (!*controllers)
		return walk_up(CGROUP_ROOT, group, true);
	for (char *save, *c = strtok_r(controllers, ",", &save); c; c = strtok_r(NULL, ",", &save))
		if (strcmp(c, "cpu") == 0)
			return walk_up(CGROUP_ROOT "/cpu", group, false);
	return 0;
}

static int quota_count(void)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[4200];
	int limit = 0;

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		limit = tighter(limit, line_limit(line));
	fclose(f);
	return limit;
}

int ipck_cpu_count(void)
{
	int cpus = cpu_affinity_count(), quota = quota_count();

	if (quota > 0)
		cpus = MIN(cpus, quota);
	return MAX(cpus, 1);
}
