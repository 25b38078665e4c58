/* SPDX-License-Identifier: MIT */
/* The fuzz target of queues: see fuzz_queue.c. */
#ifndef TESTS_FUZZ_QUEUE_H
#define TESTS_FUZZ_QUEUE_H

#include <stddef.h>
#include <stdint.h>

int fuzz_queue(const uint8_t *data, size_t size);

/* How many calls so far succeeded, and told that the memory is damaged. */
extern unsigned fuzz_queue_done, fuzz_queue_damaged;

#endif
