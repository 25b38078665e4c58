/* SPDX-License-Identifier: MIT */
/*
 * Arrays: records of one size in shared memory, by number; the counterpart of
 * multiprocessing's Value and Array and of shared_memory.ShareableList.
 *
 * With a lock, which is the default, each call reads or changes a record as a whole: whoever is killed, it
 * is the old one or the new one.  Without, the memory is used as it is: then records of
 * 1, 2, 4 and 8 bytes, aligned, are whole, and all else is the users' to agree on.
 *
 * Records are appended up to the capacity that was declared; numbers are checked: -ERANGE: there is
 * no such record.  -EPROTO: the shared memory is damaged.  -ENOTRECOVERABLE: a thread executed another
 * program in the middle of a call.  No call may be made from a signal handler.
 */
#ifndef IPCKIT_ARRAY_H
#define IPCKIT_ARRAY_H

#include <errno.h>
#include <ipckit/defs.h>

struct ipck_array;

struct ipck_array_opts {
	size_t size;    /* of this struct, set by the macros below */
	size_t count;   /* create: of records that are there from the beginning, all zero */
	bool unlocked;  /* create: without the lock */
	mode_t mode;    /* create: permissions of a named array, whatever the umask; 0 is 0600 */
	bool any_owner; /* open: also one that another user made */
};
#define IPCK_ARRAY_OPTS_INIT {sizeof(struct ipck_array_opts), 0, false, 0, false}
#define IPCK_ARRAY_OPTS(...) \
	(&(const struct ipck_array_opts){.size = sizeof(struct ipck_array_opts), __VA_ARGS__})

IPCK_BEGIN_DECLS

/*
 * As ipck_shm_create: a NULL name makes an anonymous array, of at most `capacity` records of `record` bytes.
 * -EINVAL: one of them is 0, count is more than capacity, or too large.
 */
IPCK_API IPCK_MUST_CHECK int ipck_array_create(struct ipck_array **out, const char *name, size_t record,
                                               size_t capacity, const struct ipck_array_opts *opts);

/* As ipck_shm_open; record: that it has, or 0 for any: -EPROTO. */
IPCK_API IPCK_MUST_CHECK int ipck_array_open(struct ipck_array **out, const char *name, size_t record,
                                             const struct ipck_array_opts *opts);
IPCK_API IPCK_MUST_CHECK int ipck_array_open_fd(struct ipck_array **out, int fd, size_t record,
                                                const struct ipck_array_opts *opts);
IPCK_API int ipck_array_fd(const struct ipck_array *array);
IPCK_API void ipck_array_close(struct ipck_array *array);
IPCK_API int ipck_array_unlink(const char *name);

/* The size of a record, how many there are, and how many there can be. */
IPCK_API size_t ipck_array_record(const struct ipck_array *array);
IPCK_API size_t ipck_array_length(const struct ipck_array *array);
IPCK_API size_t ipck_array_capacity(const struct ipck_array *array);

/* Copies a record out, or in. */
IPCK_API IPCK_MUST_CHECK int ipck_array_get(struct ipck_array *array, size_t i, void *record);
IPCK_API IPCK_MUST_CHECK int ipck_array_set(struct ipck_array *array, size_t i, const void *record);

/* Adds a record at the end; its number is stored in *i unless that is NULL.  -ENOSPC: the array is full. */
IPCK_API IPCK_MUST_CHECK int ipck_array_append(struct ipck_array *array, const void *record, size_t *i);

/*
 * Changes a record by a function of it, in one step.  The function is given a copy, without any lock
 * held, and again if the record was changed meanwhile.  What it returns, the call returns; if that is
 * negative, nothing is changed.  -EINVAL: the array is without a lock.  -ENOMEM.
 */
typedef int ipck_array_update_fn(void *record, void *arg);
IPCK_API IPCK_MUST_CHECK int ipck_array_update(struct ipck_array *array, size_t i, ipck_array_update_fn *update,
                                               void *arg);

/* The record where it lies, for arrays without a lock; NULL: there is none. */
IPCK_API void *ipck_array_at(const struct ipck_array *array, size_t i);

IPCK_END_DECLS

/*
 * With types: IPCK_ARRAY_TYPE(prices, double) makes prices_get(array, i, &price), prices_set(array, i, price) and
 * prices_append(array, price, &i).  -EINVAL: the records have another size.
 */
#define IPCK_ARRAY_TYPE(name, type) \
	IPCK_UNUSED static inline int name##_get(struct ipck_array *array, size_t i, type *value) \
	{ \
		return ipck_array_record(array) == sizeof(type) ? ipck_array_get(array, i, value) : -EINVAL; \
	} \
	IPCK_UNUSED static inline int name##_set(struct ipck_array *array, size_t i, type value) \
	{ \
		return ipck_array_record(array) == sizeof(type) ? ipck_array_set(array, i, &value) : -EINVAL; \
	} \
	IPCK_UNUSED static inline int name##_append(struct ipck_array *array, type value, size_t *i) \
	{ \
		return ipck_array_record(array) == sizeof(type) ? ipck_array_append(array, &value, i) : -EINVAL; \
	}

#endif
