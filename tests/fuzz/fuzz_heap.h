/* SPDX-License-Identifier: MIT */
/* The fuzz target of heaps: see fuzz_heap.c. */
#ifndef TESTS_FUZZ_HEAP_H
#define TESTS_FUZZ_HEAP_H

#include <stddef.h>
#include <stdint.h>

int fuzz_heap(const uint8_t *data, size_t size);

/* How many calls so far succeeded, and told that the memory is damaged. */
extern unsigned fuzz_heap_done, fuzz_heap_damaged;

#endif
