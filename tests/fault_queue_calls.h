/* SPDX-License-Identifier: MIT */
/* Calls that only queues make, to be made to fail by tests/fault.h. */
#ifndef TESTS_FAULT_QUEUE_CALLS_H
#define TESTS_FAULT_QUEUE_CALLS_H

#include <stdbool.h>

/* The error with which reading and writing fail, until changed. */
void fault_bells(int error);

/* Whether removing a name can fail; not where it undoes something that has failed. */
void fault_unlinking(bool yes);

#endif
