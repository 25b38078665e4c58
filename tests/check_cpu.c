/* SPDX-License-Identifier: MIT */
/* How many CPUs: affinity masks and cgroups of other machines, told by wrapped calls. */
#include <ipckit.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "support.h"

struct file {
	const char *path, *text;
};

#define FILES 6

static const struct file *files; /* NULL: those of this machine */
static size_t kernel_bytes;      /* size of the machine's affinity masks */
static int allowed;              /* CPUs in ours; 0: it cannot be told */

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
int __real_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);

FILE *__wrap_fopen(const char *path, const char *mode)
{
	if (!files)
		return __real_fopen(path, mode);
	for (int i = 0; i < FILES && files[i].path; i++)
		if (strcmp(files[i].path, path) == 0)
			return fmemopen((void *)files[i].text, strlen(files[i].text), "r");
	errno = ENOENT;
	return NULL;
}

int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	if (!files)
		return __real_sched_getaffinity(pid, size, set);
	if (size < kernel_bytes || allowed == 0) {
		errno = EINVAL;
		return -1;
	}
	memset(set, 0, size);
	for (int i = 0; i < allowed; i++)
		CPU_SET_S(kernel_bytes * 8 - 1 - (size_t)i, size, set);
	return 0;
}

#define CGROUP "/proc/self/cgroup"
#define V2 "/sys/fs/cgroup"
#define V1 "/sys/fs/cgroup/cpu"

static const struct {
	int cpus;
	struct file files[FILES];
} quotas[] = {
	/* Version 2: none, one, rounded up, less than one. */
	{64, {{CGROUP, "0::/\n"}}},
	{64, {{CGROUP, "0::/a/b\n"}, {V2 "/a/b/cpu.max", "max 100000\n"}}},
	{3, {{CGROUP, "0::/a/b\n"}, {V2 "/a/b/cpu.max", "300000 100000\n"}}},
	{3, {{CGROUP, "0::/a/b\n"}, {V2 "/a/b/cpu.max", "200001 100000\n"}}},
	{1, {{CGROUP, "0::/a/b\n"}, {V2 "/a/b/cpu.max", "1000 100000\n"}}},
	/* The tightest counts, wherever it is. */
	{2, {{CGROUP, "0::/a/b\n"}, {V2 "/a/b/cpu.max", "300000 100000\n"}, {V2 "/a/cpu.max", "200000 100000\n"}}},
	{3, {{CGROUP, "0::/a/b\n"}, {V2 "/a/b/cpu.max", "300000 100000\n"}, {V2 "/a/cpu.max", "400000 100000\n"}}},
	{5, {{CGROUP, "0::/a/b\n"}, {V2 "/cpu.max", "500000 100000\n"}}},
	{64, {{CGROUP, "0::/a/b\n"}, {V2 "/a/b/cpu.max", "9223372036854775807 1\n"}}},
	{64, {{CGROUP, "0::/a/b\n"}, {V2 "/a/b/cpu.max", "9223372036854775807 100000\n"}}},
	/* Version 1, alone and beside version 2. */
	{2,
         {{CGROUP, "5:memory:/m\n4:cpu,cpuacct:/x\n"},
          {V1 "/x/cpu.cfs_quota_us", "150000\n"},
          {V1 "/x/cpu.cfs_period_us", "100000\n"}}},
	{64,
         {{CGROUP, "4:cpu,cpuacct:/x\n"}, {V1 "/x/cpu.cfs_quota_us", "-1\n"}, {V1 "/x/cpu.cfs_period_us", "100000\n"}}},
	{64,
         {{CGROUP, "4:cpuacct,cpuset:/x\n"},
          {V1 "/x/cpu.cfs_quota_us", "150000\n"},
          {V1 "/x/cpu.cfs_period_us", "100000\n"}}},
	{1,
         {{CGROUP, "4:cpu:/x\n0::/x\n"},
          {V1 "/x/cpu.cfs_quota_us", "150000\n"},
          {V1 "/x/cpu.cfs_period_us", "100000\n"},
          {V2 "/x/cpu.max", "100000 100000\n"}}},
	/* What cannot be read limits nothing. */
	{64, {{"/nothing", ""}}},
	{64, {{CGROUP, "0\n0:\n::\n0::\n:::::\n\n"}}},
	{64, {{CGROUP, "0::/a\n"}, {V2 "/a/cpu.max", "many 100000\n"}}},
	{64, {{CGROUP, "0::/a\n"}, {V2 "/a/cpu.max", "100000\n"}}},
	{64, {{CGROUP, "0::/a\n"}, {V2 "/a/cpu.max", "100000 0\n"}}},
	{64, {{CGROUP, "0::/a\n"}, {V2 "/a/cpu.max", "-100000 -100000\n"}}},
	{64, {{CGROUP, "4:cpu:/x\n"}, {V1 "/x/cpu.cfs_quota_us", "150000\n"}}},
};

static int counted(const struct file *of, size_t bytes, int in_mask)
{
	int cpus;

	kernel_bytes = bytes;
	allowed = in_mask;
	files = of;
	cpus = ipck_cpu_count();
	files = NULL;
	return cpus;
}

START_TEST(quotas_count)
{
	ck_assert_int_eq(counted(quotas[_i].files, 8, 64), quotas[_i].cpus);
}
END_TEST

START_TEST(a_path_can_be_long)
{
	static char text[9000];
	const struct file long_path[FILES] = {{CGROUP, text}, {V2 "/cpu.max", "700000 100000\n"}};

	for (size_t length = 4000; length < 8500; length += 97) {
		snprintf(text, sizeof(text), "0::/%0*d\n0::/\n", (int)length, 0);
		ck_assert_int_eq(counted(long_path, 8, 64), 7);
	}
}
END_TEST

/* Masks larger than a cpu_set_t; and the quota, if it is less. */
START_TEST(machines_can_be_large)
{
	const struct file *none = quotas[0].files, *three = quotas[2].files;

	ck_assert_int_eq(counted(none, 1024, 5000), 5000);
	ck_assert_int_eq(counted(none, 16384, 100000), 100000);
	ck_assert_int_eq(counted(three, 1024, 5000), 3);
	ck_assert_int_eq(counted(three, 8, 2), 2);
	ck_assert_int_ge(counted(none, 8, 0), 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cpu");
	TCase *tc = test_case(s, "cpu");

	tcase_add_loop_test(tc, quotas_count, 0, sizeof(quotas) / sizeof(quotas[0]));
	tcase_add_test(tc, a_path_can_be_long);
	tcase_add_test(tc, machines_can_be_large);
	return test_main(s);
}
