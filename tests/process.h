/* SPDX-License-Identifier: MIT */
/* What the tests of processes share. */
#ifndef TESTS_PROCESS_H
#define TESTS_PROCESS_H

#include <ipckit.h>

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "support.h"

/* This program by its path: opened, /proc/self/exe is valgrind where it runs the test. */
static inline const char *own_path(void)
{
	static _Thread_local char path[4096];

	ck_that(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
	return path;
}

static inline int child_nothing(void *arg)
{
	(void)arg;
	return 0;
}

static inline int child_pause(void *arg)
{
	(void)arg;
	while (pause() < 0)
		;
	return 0;
}

static inline struct ipck_process *start(ipck_process_fn *fn, void *arg, const struct ipck_process_opts *opts)
{
	struct ipck_process *p = NULL;

	ck_ok(ipck_process_start(&p, fn, arg, opts));
	ck_that(p);
	return p;
}

/* Joins and closes it, with the status expected. */
static inline void expect(struct ipck_process *p, int code, int signal)
{
	int got_code = -1, got_signal = -1;

	ck_ok(ipck_process_join(p, ipck_in_sec(20 * test_scale())));
	ck_ok(ipck_process_status(p, &got_code, &got_signal));
	ck_ok(ipck_process_close(p));
	if (got_code != code || got_signal != signal)
		ck_abort_msg("code %d signal %d, not code %d signal %d", got_code, got_signal, code, signal);
}

static inline void expect_code(struct ipck_process *p, int code)
{
	expect(p, code, 0);
}

static inline void kill_and_close(struct ipck_process *p)
{
	ck_ok(ipck_process_kill(p));
	expect(p, 0, SIGKILL);
}

/* The first start of a process keeps descriptors for good: before the leak check. */
static inline void prime_process(void)
{
	expect_code(start(child_nothing, NULL, NULL), 0);
}

/* Whether it is gone, or only to be reaped yet. */
static inline bool has_died(pid_t pid)
{
	char state = test_state(pid);

	return state == 0 || state == 'Z' || state == 'X';
}

static inline int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	ck_that(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 3;
}

#endif
