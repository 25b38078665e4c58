/* SPDX-License-Identifier: MIT */
/* Names of shared objects, and options structs: what the caller gave, checked. */
#ifndef BASE_NAME_H
#define BASE_NAME_H

#include <stdbool.h>
#include <stddef.h>

#define NAME_MAX_LENGTH 200

/* [A-Za-z0-9._-]{1,200} */
bool name_valid(const char *name);

/*
 * Copies a caller's options into the library's own struct of `known` bytes, which
 * begins with a size_t.  given may be NULL: all defaults.  A shorter struct, of an
 * older header, leaves the rest 0.  -E2BIG: a longer one, with something set that
 * this library does not know.  -EINVAL: a size that no header has.
 */
int opts_copy(void *own, size_t known, const void *given);

#endif
