/* SPDX-License-Identifier: MIT */
/* The fuzz target of dicts: see fuzz_dict.c. */
#ifndef TESTS_FUZZ_DICT_H
#define TESTS_FUZZ_DICT_H

#include <stddef.h>
#include <stdint.h>

int fuzz_dict(const uint8_t *data, size_t size);

/* How many calls so far succeeded, and told that the memory is damaged. */
extern unsigned fuzz_dict_done, fuzz_dict_damaged;

#endif
