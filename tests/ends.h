/* SPDX-License-Identifier: MIT */
/* What the tests of pipes share. */
#ifndef TESTS_ENDS_H
#define TESTS_ENDS_H

#include <ipckit/pipe.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "far.h"
#include "filled.h"
#include "support.h"

/* A ring of a page: the longest message that is not streamed has WHOLE bytes. */
#define SMALL 4096
#define WHOLE (SMALL / 2 - 32)

/* The pipe of the test; its children inherit it. */
static struct ipck_pipe *ends[2];

static inline void make_pipe(size_t bytes)
{
	ck_ok(ipck_pipe_create(ends, IPCK_PIPE_OPTS(.bytes = bytes)));
}

/* Closes this process' copy of an end. */
static inline void drop(int i)
{
	ipck_pipe_close(ends[i]);
	ends[i] = NULL;
}

static inline void drop_both(void)
{
	drop(0);
	drop(1);
}

static inline void send_text(struct ipck_pipe *p, const char *text)
{
	ck_ok(ipck_pipe_send(p, text, strlen(text), far_off()));
}

static inline void expect_text(struct ipck_pipe *p, const char *text)
{
	char got[256];
	ssize_t n = ck_ok(ipck_pipe_recv(p, got, sizeof(got) - 1, NULL, far_off()));

	got[n] = '\0';
	if (strcmp(got, text) != 0)
		ck_abort_msg("'%s', not '%s'", got, text);
}

static inline void expect_nothing(struct ipck_pipe *p)
{
	char byte;

	ck_err(ipck_pipe_poll(p, IPCK_NOWAIT), ETIMEDOUT);
	ck_err(ipck_pipe_recv(p, &byte, 1, NULL, IPCK_NOWAIT), ETIMEDOUT);
}

/* The end of them all, now and for ever. */
static inline void expect_end(struct ipck_pipe *p)
{
	char byte;

	ck_err(ipck_pipe_recv(p, &byte, 1, NULL, far_off()), EPIPE);
	ck_ok(ipck_pipe_poll(p, IPCK_NOWAIT));
	ck_err(ipck_pipe_recv(p, &byte, 1, NULL, IPCK_NOWAIT), EPIPE);
}

static inline void send_filled(struct ipck_pipe *p, size_t size, uint64_t whose)
{
	char *bytes = new_filled(size, whose);

	ck_ok(ipck_pipe_send(p, bytes, size, far_off()));
	free(bytes);
}

static inline void expect_filled(struct ipck_pipe *p, size_t size, uint64_t whose)
{
	char *bytes = malloc(size + 1);

	ck_that(bytes);
	ck_that(ck_ok(ipck_pipe_recv(p, bytes, size + 1, NULL, far_off())) == (ssize_t)size);
	ck_that(is_filled(bytes, size, whose));
	free(bytes);
}

/* Messages of `size` bytes until there is no room; their number. */
static inline unsigned send_until_full(struct ipck_pipe *p, size_t size)
{
	char *bytes = new_filled(size, 0);
	unsigned n = 0;
	int rc;

	while ((rc = ipck_pipe_send(p, bytes, size, IPCK_NOWAIT)) == 0)
		n++;
	ck_err(rc, ETIMEDOUT);
	free(bytes);
	return n;
}

static inline bool sleeps(pid_t pid)
{
	return test_state(pid) == 'S';
}

#endif
