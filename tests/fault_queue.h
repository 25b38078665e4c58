/* SPDX-License-Identifier: MIT */
/* What the tests of failing queues share. */
#ifndef TESTS_FAULT_QUEUE_H
#define TESTS_FAULT_QUEUE_H

#include "fault_queue_calls.h"
#include "fault_sweep.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "process.h"
#include "queues.h"

static const char *name; /* of the queue, or NULL */
static struct ipck_queue *other;

static inline void make(const struct ipck_queue_opts *opts)
{
	ck_ok(ipck_queue_create(&queue, name, opts));
	other = UNTOUCHED;
}

static inline void make_anonymous(void)
{
	name = NULL;
	make(IPCK_QUEUE_OPTS(.bytes = SMALL));
}

static inline void make_named(void)
{
	name = test_name("fault");
	make(IPCK_QUEUE_OPTS(.bytes = SMALL));
}

static inline bool is_readable(struct ipck_queue *q)
{
	struct pollfd p = {.fd = (int)ck_ok(ipck_queue_fd(q)), .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static inline void expect_silence(struct ipck_queue *q)
{
	(void)is_readable(q);
	expect_nothing(q);
	ck_that(!is_readable(q));
}

/* All of it works, and nothing is in it afterwards. */
static inline void use(struct ipck_queue *q)
{
	char *data;

	expect_silence(q);
	put_text(q, "one");
	ck_that(is_readable(q));
	data = reserve(q, 10);
	commit_text(q, data, "two");
	expect_text(q, "one");
	expect_text(q, "two");
	expect_silence(q);
	is_unused(q);
}

static inline void end(void)
{
	use(queue);
	ipck_queue_close(queue);
	if (name)
		ck_ok(ipck_queue_unlink(name));
}

/* As many messages are in it, and nobody has one. */
static inline void has_all(size_t items)
{
	struct ipck_queue_stats f = figures(queue);

	ck_that(f.items == items && f.held == 0);
}

/* ---- the sweep ---- */

static inline void sweep_all(const struct scenario *s)
{
	warm_up(s);
	sweep(s, EIO, FAULT_ONCE);
	sweep(s, EIO, FAULT_ON);
	/* What is interrupted for ever never ends. */
	fault_bells(EINTR);
	sweep(s, EINTR, FAULT_ONCE);
}

#endif
