/* SPDX-License-Identifier: MIT */
/* What the tests of failing pipes share: the sweep, with each error of sockets. */
#ifndef TESTS_FAULT_PIPE_H
#define TESTS_FAULT_PIPE_H

#include "fault_sweep.h"
#include "process.h"
#include "ends.h"

static inline void make_default(void)
{
	make_pipe(0);
}

static inline void expect_both_ways(struct ipck_pipe *a, struct ipck_pipe *b)
{
	send_text(a, "there");
	expect_text(b, "there");
	send_text(b, "back");
	expect_text(a, "back");
	expect_nothing(a);
	expect_nothing(b);
}

static inline void sweep_all(const struct scenario *s)
{
	static const int errors[] = {0, EAGAIN, ENOMEM, ETOOMANYREFS, EINTR};

	warm_up(s);
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		fault_sockets(errors[i]);
		sweep(s, errors[i], FAULT_ONCE);
		/* What is interrupted for ever never ends. */
		if (errors[i] != EINTR)
			sweep(s, errors[i], FAULT_ON);
	}
}

#endif
