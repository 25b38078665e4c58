/* SPDX-License-Identifier: MIT */
/*
 * How much of the CPUs something else used while we measured: what all CPUs
 * did (/proc/stat) less what we, the children that we have reaped and the
 * CPython process did.  Time that a hypervisor took away counts as others'.
 * Both counts move in ticks, so this is asked for a whole round, not for less.
 */
#include "bench.h"

#include <sys/resource.h>
#include <unistd.h>

/* user + nice + system + steal, in seconds of CPU; 0 where there is no /proc. */
static double total_seconds(void)
{
	unsigned long long user = 0, nice = 0, system = 0, idle, iowait, irq, softirq, steal = 0;
	FILE *f = fopen("/proc/stat", "re");

	if (!f)
		return 0;
	if (fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &iowait, &irq,
	           &softirq, &steal) < 3)
		user = nice = system = steal = 0;
	fclose(f);
	return (double)(user + nice + system + steal) / (double)sysconf(_SC_CLK_TCK);
}

static double rusage_seconds(int who)
{
	struct rusage ru;

	getrusage(who, &ru);
	return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
	       (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) * 1e-6;
}

static double own_seconds(void)
{
	return rusage_seconds(RUSAGE_SELF) + rusage_seconds(RUSAGE_CHILDREN) + python_cpu_seconds();
}

void load_begin(struct load *load)
{
	load->total = total_seconds();
	load->own = own_seconds();
	load->when = seconds_now();
}

double load_others(const struct load *load)
{
	double others = total_seconds() - load->total - (own_seconds() - load->own);

	return others > 0 ? others / (seconds_now() - load->when) : 0;
}
