/* SPDX-License-Identifier: MIT */
/*
 * The fault injector: makes system calls fail, in a program that is linked with
 * $(fault_ldflags), which lists them as --wrap=CALL for the linker.  Only calls
 * from the program's own objects are seen, which the library's are here; what
 * the C library calls inside is not.
 *
 * The N-th failing call, for every N:
 *
 *	for (unsigned n = 0;; n++) {
 *		fault_arm(n, FAULT_ONCE);
 *		rc = operation();
 *		if (!fault_disarm(&call, &error))
 *			break;  // fewer than n + 1 calls: all have been made to fail
 *		...             // rc is -error, and nothing is left
 *	}
 */
#ifndef TESTS_FAULT_H
#define TESTS_FAULT_H

#include <stdbool.h>
#include <stddef.h>

enum fault_how {
	FAULT_ONCE, /* the n-th call fails, those behind it work */
	FAULT_ON,   /* so do all that follow */
};

/* From here on the n-th call (from 0) fails, with the usual error of that call. */
void fault_arm(unsigned n, enum fault_how how);

/* No more: whether any failed; the first of them and its errno. */
bool fault_disarm(const char **call, int *error);

/*
 * For calls that a test wraps itself, by a --wrap=CALL of its own: whether this one
 * is to fail; errno is set.  The linker calls __wrap_CALL for CALL, and CALL for
 * __real_CALL.
 */
bool fault_fails(const char *call, int error);
#define FAULT_WRAP(type, name, params) \
	type __real_##name params; \
	type __wrap_##name params; \
	type __wrap_##name params

/* One that returns -1 to fail. */
#define FAULT_WRAP_INT(type, name, params, args, error) \
	FAULT_WRAP(type, name, params) \
	{ \
		return fault_fails(#name, error) ? -1 : __real_##name args; \
	}

/* A block that such a call has allocated is counted. */
void *fault_counted(void *block);

/* From now on the calls of this process and of those it forks are counted as one. */
void fault_share(void);

/*
 * What this system lacks, until changed.  Without O_TMPFILE only such an open
 * fails; without /proc only linkat by it.
 */
enum fault_lack {
	LACK_NOTHING = 0,
	LACK_MEMFD = 1,
	LACK_TMPFILE = 2,
	LACK_PROC = 4,
	LACK_SPACE = 8, /* for shared memory */
};
void fault_lack(unsigned lacks);

/* Blocks allocated and not freed by the program's own objects, the library's among them. */
long fault_blocks(void);

/* Calls are made by a process of another user, until changed; 0: by this one's. */
void fault_other_user(unsigned uid);

/* The error with which sending (with EINTR also receiving) fails, until changed; 0: the usual one. */
void fault_sockets(int error);

/* An older kernel: posix_fallocate is interrupted if a signal could come. */
void fault_interruptible(bool yes);

#endif
