/* SPDX-License-Identifier: MIT */
/*
 * The tests of segments as users have them: check_shm runs them as the system
 * is, fault_mem on each fallback of the library.
 */
#ifndef TESTS_SHM_SUITE_H
#define TESTS_SHM_SUITE_H

#include "support.h"

/* Adds them to `s`.  setup, if not NULL, is called before each; anonymous segments are sealed or not. */
void shm_suite(Suite *s, const char *name, SFun setup, bool sealed);

#endif
