/* SPDX-License-Identifier: MIT */
/* What all tests of waits share. */
#ifndef TESTS_FAR_H
#define TESTS_FAR_H

#include <ipckit/deadline.h>

#include <signal.h>

#include "support.h"

/* Far away: a call that waits so long has failed. */
static inline struct ipck_deadline far_off(void)
{
	return ipck_in_sec(20 * test_scale());
}

static inline void stop(pid_t pid)
{
	ck_that(kill(pid, SIGSTOP) == 0);
	TEST_UNTIL(test_state(pid) == 'T');
}

static inline void go_on(pid_t pid)
{
	ck_that(kill(pid, SIGCONT) == 0);
}

#endif
