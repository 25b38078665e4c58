/* SPDX-License-Identifier: MIT */
/*
 * What all public headers share: the attributes of a call, the notices that a
 * successful call can return, the version, and a sentence for each error.
 *
 * Results.  A call that returns int or ssize_t returns 0, a count or notices
 * (bits, see below) on success and a negative errno value on failure, so test
 * `rc < 0`, never `rc != 0`.  A negative result means that nothing was acquired
 * and that no output was written (ipck_pool_map says what it writes).  -EINTR and -EAGAIN are never returned.
 */
#ifndef IPCKIT_DEFS_H
#define IPCKIT_DEFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define IPCK_VERSION_MAJOR 0
#define IPCK_VERSION_MINOR 1
#define IPCK_VERSION_PATCH 0

#ifdef __cplusplus
#define IPCK_BEGIN_DECLS extern "C" {
#define IPCK_END_DECLS }
#else
#define IPCK_BEGIN_DECLS
#define IPCK_END_DECLS
#endif

#if defined(__GNUC__)
#define IPCK_API __attribute__((visibility("default")))
#define IPCK_MUST_CHECK __attribute__((warn_unused_result))
#define IPCK_UNUSED __attribute__((unused))
#else
#define IPCK_API
#define IPCK_MUST_CHECK
#define IPCK_UNUSED
#endif

/* Notices: bits of a result >= 0. */
#define IPCK_OWNER_DIED 1 /* the lock is held; its last holder died in it */
#define IPCK_CREATED 2    /* made, not found */
#define IPCK_ELECTED 4    /* the last to arrive at a barrier */
#define IPCK_TIMED_OUT 8  /* a condition's deadline passed; its lock is held */

IPCK_BEGIN_DECLS

/*
 * A sentence (English, no final stop) for an error that a call of this library
 * returned, negative as returned or positive.  Never NULL; the string is static
 * and must not be changed or freed.  Thread-safe.
 */
IPCK_API const char *ipck_strerror(int error);

/* The version of the library that is linked: "MAJOR.MINOR.PATCH", static. */
IPCK_API const char *ipck_version(void);

IPCK_END_DECLS

#endif
