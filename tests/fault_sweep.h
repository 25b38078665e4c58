/* SPDX-License-Identifier: MIT */
/*
 * The sweep of failing calls: each call of an operation fails for the N-th time, for
 * every N, once and with all that follow.  The error is told, no output is written,
 * nothing is left; and the next attempt works.
 */
#ifndef TESTS_FAULT_SWEEP_H
#define TESTS_FAULT_SWEEP_H

#include "fault.h"
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"

#define UNTOUCHED ((void *)0x1234)

/* ---- what a process holds ---- */

struct held {
	unsigned fds, maps, names;
	long blocks;
};

/* Places that are kept for files.  A sanitizer keeps some for itself. */
static inline bool is_kept(const char *line)
{
#if defined(TEST_ADDRESS_SANITIZER) || defined(TEST_THREAD_SANITIZER)
	(void)line;
	return false;
#else
	return strstr(line, "---p 00000000 00:00 0");
#endif
}

/* Of files, and places that are kept for them. */
static inline unsigned count_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	unsigned n = 0;

	ck_that(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, "/memfd:ipck") || strstr(line, "/dev/shm/") || is_kept(line);
	fclose(f);
	return n;
}

/* Of this program's: others run at the same time. */
static inline unsigned count_names(void)
{
	const char *own = test_name("");
	DIR *d = opendir("/dev/shm");
	struct dirent *e;
	unsigned n = 0;

	ck_that(d);
	while ((e = readdir(d)))
		n += strstr(e->d_name, own) != NULL;
	closedir(d);
	return n;
}

static inline struct held count_held(void)
{
	struct held h = {.maps = count_maps(), .names = count_names(), .blocks = fault_blocks()};

	for (int fd = 0; fd < 256; fd++)
		h.fds += fcntl(fd, F_GETFD, 0) >= 0;
	return h;
}

/* ---- the operations ---- */

struct scenario {
	const char *name;
	void (*prepare)(void);
	int (*run)(void);
	void (*failed)(void); /* what must be so after a failure */
	void (*undo)(void);   /* after success: it did what it should */
	void (*clean)(void);  /* what prepare made */
	int instead;          /* an error that may come instead of that of the failing call */
	unsigned calls;       /* at least so many can fail */
};

static inline void nothing(void)
{
}

/* ---- no standard streams ---- */

static int streams[2];

/* What is opened next stands in for them, and is moved. */
static inline void close_streams(void)
{
	for (int i = 0; i < 2; i++) {
		streams[i] = fcntl(i, F_DUPFD_CLOEXEC, 3);
		ck_that(streams[i] > 2);
		close(i);
	}
}

static inline void reopen_streams(void)
{
	for (int i = 0; i < 2; i++) {
		ck_that(fcntl(i, F_GETFD, 0) < 0);
		ck_that(dup2(streams[i], i) == i);
		close(streams[i]);
	}
}

/* ---- the sweep ---- */

/* All is as it was. */
static inline void check_held(const struct scenario *s, const char *when, const struct held *before, const char *call)
{
	struct held after = count_held();

	if (after.fds != before->fds || after.maps != before->maps || after.names != before->names ||
	    after.blocks != before->blocks)
		ck_abort_msg("%s, %s failed: %s %d descriptors, %d mappings, %d names, %ld blocks left", s->name,
		             call ? call : "nothing", when, (int)(after.fds - before->fds),
		             (int)(after.maps - before->maps), (int)(after.names - before->names),
		             after.blocks - before->blocks);
}

/* The error as it is told. */
static inline int told(int error)
{
	return error == ENOBUFS ? ENOMEM : error;
}

/* With the n-th call failing: whether there are so many. */
static inline bool attempt(const struct scenario *s, unsigned n, enum fault_how how)
{
	struct held all = count_held(), before;
	const char *call;
	bool failed;
	int rc, error;

	s->prepare();
	before = count_held();
	fault_arm(n, how);
	rc = s->run();
	failed = fault_disarm(&call, &error);
	if (rc < 0 && !failed)
		ck_abort_msg("%s: %d, and no call failed", s->name, rc);
	if (rc < 0 && rc != -s->instead && rc != -told(error) && how == FAULT_ONCE)
		ck_abort_msg("%s: %d, but %s failed with %d", s->name, rc, call, error);
	if (rc < 0) {
		check_held(s, "then", &before, call);
		s->failed();
		ck_ok(s->run());
	}
	s->undo();
	s->clean();
	check_held(s, "at the end", &all, call);
	return failed;
}

static inline void sweep(const struct scenario *s, int error, enum fault_how how)
{
	unsigned n = 0;

	while (attempt(s, n, how))
		n++;
	if (n < s->calls)
		ck_abort_msg("%s: only %u calls", s->name, n);
	printf("%s, error %d: %u calls failed %s\n", s->name, error, n,
	       how == FAULT_ON ? "with all that followed" : "once");
}

/* Does all of it with nothing failing: what a process keeps for good. */
static inline void warm_up(const struct scenario *s)
{
	s->prepare();
	ck_ok(s->run());
	s->undo();
	s->clean();
}

#endif
