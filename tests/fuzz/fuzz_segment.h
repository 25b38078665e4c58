/* SPDX-License-Identifier: MIT */
/* The fuzz target of segments; see fuzz_segment.c. */
#ifndef TESTS_FUZZ_SEGMENT_H
#define TESTS_FUZZ_SEGMENT_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An input that is a valid segment: its bytes in `data`, how many as result. */
size_t fuzz_segment_seed(uint8_t *data, size_t room);

/* How many inputs were taken for segments. */
extern unsigned fuzz_segment_opened;

#endif
