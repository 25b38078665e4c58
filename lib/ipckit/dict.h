/* SPDX-License-Identifier: MIT */
/*
 * Dicts: byte strings by byte strings, shared by processes; the counterpart of
 * multiprocessing's Manager().dict(), without a server.
 *
 * Reading takes no lock and stores nothing shared, but after 64 tries that met changes of the
 * same part; a value that is read is whole, and was there at some moment of the call.  Each
 * change is one step: whoever is killed, the old value is there or the new one, and nothing is
 * lost.  A change that has returned is seen by all.  The dict grows up to the size that was
 * declared, shard by shard, while it is used; the memory is reserved as it grows.
 *
 * A key is at most 4 GiB - 1, and may be empty; so is a value.  No call keeps what it was given.
 *
 * Changes wait for moments while another process changes the same part; one that is stopped in the
 * middle of a change holds those up.  -ENOSPC: no memory, or no more of what was
 * declared: nothing was changed.  -EPROTO: the shared memory is damaged.  -ENOTRECOVERABLE: a
 * thread executed another program in the middle of a change.  -EINVAL: too long.  No call may be
 * made from a signal handler.
 */
#ifndef IPCKIT_DICT_H
#define IPCKIT_DICT_H

#include <errno.h>
#include <ipckit/defs.h>

struct ipck_dict;

struct ipck_dict_opts {
	size_t size;      /* of this struct, set by the macros below */
	size_t max_bytes; /* create: it may grow to that, bookkeeping included; 0: 64 MiB */
	mode_t mode;      /* create: permissions of a named dict, whatever the umask; 0 is 0600 */
	bool any_owner;   /* open: also one that another user made */
};
#define IPCK_DICT_OPTS_INIT {sizeof(struct ipck_dict_opts), 0, 0, false}
#define IPCK_DICT_OPTS(...) \
	(&(const struct ipck_dict_opts){.size = sizeof(struct ipck_dict_opts), __VA_ARGS__})

/* The largest max_bytes. */
#define IPCK_DICT_BYTES_MAX ((size_t)1 << 35)

IPCK_BEGIN_DECLS

/* ---- life: as ipck_shm_create, ipck_shm_open, ... ---- */

IPCK_API IPCK_MUST_CHECK int ipck_dict_create(struct ipck_dict **out, const char *name,
                                              const struct ipck_dict_opts *opts);
IPCK_API IPCK_MUST_CHECK int ipck_dict_open(struct ipck_dict **out, const char *name,
                                            const struct ipck_dict_opts *opts);
IPCK_API IPCK_MUST_CHECK int ipck_dict_open_fd(struct ipck_dict **out, int fd, const struct ipck_dict_opts *opts);
IPCK_API int ipck_dict_fd(const struct ipck_dict *dict);
IPCK_API void ipck_dict_close(struct ipck_dict *dict);
IPCK_API int ipck_dict_unlink(const char *name);

/* ---- one key ---- */

/*
 * Copies the value into `size` bytes and returns its size.  -ENOENT: no such key.
 * -EMSGSIZE: it is longer; its size is stored in *needed unless that is NULL.  Where it
 * fails, the bytes may have been written to: by a value that was replaced meanwhile.
 */
IPCK_API IPCK_MUST_CHECK ssize_t ipck_dict_get(struct ipck_dict *dict, const void *key, size_t key_size, void *value,
                                               size_t size, size_t *needed);

/* *value is memory to be freed by free(), never NULL, *size its size.  -ENOENT, -ENOMEM. */
IPCK_API IPCK_MUST_CHECK int ipck_dict_get_new(struct ipck_dict *dict, const void *key, size_t key_size, void **value,
                                               size_t *size);

/* 1, or 0: there is no such key. */
IPCK_API IPCK_MUST_CHECK int ipck_dict_contains(struct ipck_dict *dict, const void *key, size_t key_size);

/* Sets the value: 0, or IPCK_CREATED: the key is new. */
IPCK_API IPCK_MUST_CHECK int ipck_dict_set(struct ipck_dict *dict, const void *key, size_t key_size, const void *value,
                                           size_t size);

/* The same, if the key is new: -EEXIST; if it is there: -ENOENT. */
IPCK_API IPCK_MUST_CHECK int ipck_dict_insert(struct ipck_dict *dict, const void *key, size_t key_size,
                                              const void *value, size_t size);
IPCK_API IPCK_MUST_CHECK int ipck_dict_replace(struct ipck_dict *dict, const void *key, size_t key_size,
                                               const void *value, size_t size);

/* The same, if the value is `expected`: -ESTALE: it is another one.  -ENOENT. */
IPCK_API IPCK_MUST_CHECK int ipck_dict_swap(struct ipck_dict *dict, const void *key, size_t key_size,
                                            const void *expected, size_t expected_size, const void *value,
                                            size_t size);

/* Removes the key.  -ENOENT.  pop copies its value out as ipck_dict_get does; where that fails, it stays. */
IPCK_API int ipck_dict_delete(struct ipck_dict *dict, const void *key, size_t key_size);
IPCK_API IPCK_MUST_CHECK ssize_t ipck_dict_pop(struct ipck_dict *dict, const void *key, size_t key_size, void *value,
                                               size_t size, size_t *needed);

/*
 * Adds to the value, a count of 8 bytes in the machine's order; a key that is not there has 0.  The
 * new count is stored in *sum unless that is NULL.  It wraps around.  IPCK_CREATED.  -EINVAL: the value has another
 * size.
 */
IPCK_API IPCK_MUST_CHECK int ipck_dict_add(struct ipck_dict *dict, const void *key, size_t key_size, int64_t delta,
                                           int64_t *sum);

/*
 * What to do with a value of `size` bytes, a copy; NULL: there is none.  Returns IPCK_DICT_SET with the new value
 * in *value and *size, IPCK_DICT_DELETE, IPCK_DICT_KEEP, or a negative error, which the call returns.
 */
enum { IPCK_DICT_KEEP, IPCK_DICT_SET, IPCK_DICT_DELETE };
typedef int ipck_dict_update_fn(const void **value, size_t *size, void *arg);

/*
 * Changes a value by a function of it, in one step.  The function is called without any lock, and again if the
 * value was changed meanwhile; it may use this dict.  Returns what it returned last.
 */
IPCK_API IPCK_MUST_CHECK int ipck_dict_update(struct ipck_dict *dict, const void *key, size_t key_size,
                                              ipck_dict_update_fn *update, void *arg);

/* ---- all keys ---- */

/* How many there are; while others change the dict, a sum of what each part had. */
IPCK_API IPCK_MUST_CHECK ssize_t ipck_dict_length(struct ipck_dict *dict);

/* Removes all keys, part by part: what others set meanwhile may stay. */
IPCK_API IPCK_MUST_CHECK int ipck_dict_clear(struct ipck_dict *dict);

struct ipck_dict_iter;

struct ipck_dict_item {
	const void *key, *value; /* until the next call with the iterator; aligned to 8 */
	size_t key_size, value_size;
};

/*
 * An iterator over the keys and values, in no order.  It has copies of one part of the dict at a time,
 * each of one moment: a key that is there all the time is seen exactly once, one that comes or
 * goes once or not at all.  next returns 1 with *item, 0 at the end.  snapshot has copies of all
 * parts from the beginning.  Private to the process; used by one thread at a time.  -ENOMEM.
 */
IPCK_API IPCK_MUST_CHECK int ipck_dict_iterate(struct ipck_dict *dict, struct ipck_dict_iter **out);
IPCK_API IPCK_MUST_CHECK int ipck_dict_snapshot(struct ipck_dict *dict, struct ipck_dict_iter **out);
IPCK_API IPCK_MUST_CHECK int ipck_dict_next(struct ipck_dict_iter *iter, struct ipck_dict_item *item);
IPCK_API void ipck_dict_iter_free(struct ipck_dict_iter *iter);

struct ipck_dict_stats {
	size_t size;       /* of this struct, set by the macro below */
	size_t max_bytes;  /* it may grow to that */
	size_t page_bytes; /* of pages that are in use */
	uint64_t keys;
	uint64_t bytes;     /* of blocks that are in use */
	uint64_t shards;    /* parts that grow and are locked each by itself */
	uint64_t recovered; /* deaths in a change, found by calls for one key that change it */
};
#define IPCK_DICT_STATS_INIT {sizeof(struct ipck_dict_stats), 0, 0, 0, 0, 0, 0}

/* stats->size is set by the caller: -EINVAL. */
IPCK_API int ipck_dict_stat(struct ipck_dict *dict, struct ipck_dict_stats *stats);

/* Walks through all that the dict knows of itself, while others go on.  -EPROTO: something does not fit. */
IPCK_API int ipck_dict_check(struct ipck_dict *dict);

/* ---- keys and values that are integers ---- */

static inline int ipck_dict_set_u64(struct ipck_dict *dict, uint64_t key, uint64_t value)
{
	return ipck_dict_set(dict, &key, sizeof(key), &value, sizeof(value));
}

/* -EMSGSIZE, -EINVAL: the value is no integer. */
static inline int ipck_dict_get_u64(struct ipck_dict *dict, uint64_t key, uint64_t *value)
{
	uint64_t there;
	ssize_t n = ipck_dict_get(dict, &key, sizeof(key), &there, sizeof(there), NULL);

	if (n != (ssize_t)sizeof(there))
		return n < 0 ? (int)n : -EINVAL;
	*value = there;
	return 0;
}

static inline int ipck_dict_add_u64(struct ipck_dict *dict, uint64_t key, int64_t delta, int64_t *sum)
{
	return ipck_dict_add(dict, &key, sizeof(key), delta, sum);
}

static inline int ipck_dict_delete_u64(struct ipck_dict *dict, uint64_t key)
{
	return ipck_dict_delete(dict, &key, sizeof(key));
}

IPCK_END_DECLS

#endif
