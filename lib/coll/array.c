/* SPDX-License-Identifier: MIT */
/* Arrays; the protocol is in array.h. */
#include "coll/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/name.h"
#include "mem/handle.h"

/* The shadow lies behind the words; the records follow on a page. */
#define PAGE ((size_t)4096)

/* ---- shape ---- */

static size_t shadow_at(void)
{
	return ROUND_UP(sizeof(struct array_shm), (size_t)FALSE_SHARING);
}

/* Of the body; false: too much. */
static bool layout(size_t record, size_t capacity, size_t *records_at, size_t *bytes)
{
	size_t all;

	if (record == 0 || capacity == 0 || record > SIZE_MAX / 4 || __builtin_mul_overflow(record, capacity, &all))
		return false;
	*records_at = ROUND_UP(shadow_at() + record, PAGE);
	return !__builtin_add_overflow(*records_at, all, bytes);
}

struct shape {
	size_t record, capacity, count;
	bool unlocked;
};

static int init(void *body, void *arg)
{
	const struct shape *shape = arg;
	struct array_shm *s = body;

	s->record = shape->record;
	s->capacity = shape->capacity;
	s->unlocked = shape->unlocked;
	s->length = shape->count;
	return lock_init(&s->lock);
}

/* arg: the size of a record that is wanted; 0: any. */
static int attach(void *handle, const void *arg)
{
	struct ipck_array *a = handle;
	size_t wanted = *(const size_t *)arg;
	struct array_shm *s = segment_body(&a->segment);
	size_t at, bytes;

	if (a->segment.bytes < sizeof(*s))
		return -EPROTO;
	a->record = load_relaxed(&s->record);
	a->capacity = load_relaxed(&s->capacity);
	a->unlocked = load_relaxed(&s->unlocked);
	if (!layout(a->record, a->capacity, &at, &bytes) || bytes > a->segment.bytes || (wanted && wanted != a->record))
		return -EPROTO;
	a->shm = s;
	a->shadow = (char *)s + shadow_at();
	a->records = (char *)s + at;
	return 0;
}

/* ---- life ---- */

int ipck_array_create(struct ipck_array **out, const char *name, size_t record, size_t capacity,
                      const struct ipck_array_opts *opts)
{
	const struct handle_kind kind = {SEGMENT_ARRAY, sizeof(struct ipck_array), attach, &record};
	struct ipck_array_opts own;
	struct shape shape = {.record = record, .capacity = capacity};
	struct segment_plan plan = {.kind = SEGMENT_ARRAY, .name = name, .init = init, .arg = &shape};
	size_t at;
	int rc = opts_copy(&own, sizeof(own), opts);

	if (rc < 0)
		return rc;
	shape.count = own.count;
	shape.unlocked = own.unlocked;
	plan.mode = own.mode;
	if (own.count > capacity || !layout(record, capacity, &at, &plan.bytes))
		plan.bytes = 0;
	return handle_create(out, &kind, &plan);
}

int ipck_array_open(struct ipck_array **out, const char *name, size_t record, const struct ipck_array_opts *opts)
{
	const struct handle_kind kind = {SEGMENT_ARRAY, sizeof(struct ipck_array), attach, &record};
	struct ipck_array_opts own;
	int rc = opts_copy(&own, sizeof(own), opts);

	return rc < 0 ? rc : handle_open(out, &kind, name, own.any_owner);
}

int ipck_array_open_fd(struct ipck_array **out, int fd, size_t record, const struct ipck_array_opts *opts)
{
	const struct handle_kind kind = {SEGMENT_ARRAY, sizeof(struct ipck_array), attach, &record};
	struct ipck_array_opts own;
	int rc = opts_copy(&own, sizeof(own), opts);

	return rc < 0 ? rc : handle_open_fd(out, &kind, fd, own.any_owner);
}

int ipck_array_fd(const struct ipck_array *a)
{
	return a->segment.fd;
}

void ipck_array_close(struct ipck_array *a)
{
	handle_close(a);
}

int ipck_array_unlink(const char *name)
{
	return segment_unlink(name);
}

/* ---- records ---- */

size_t ipck_array_record(const struct ipck_array *a)
{
	return a->record;
}

size_t ipck_array_length(const struct ipck_array *a)
{
	uint64_t length = load_acquire(&a->shm->length);

	return MIN(length, (uint64_t)a->capacity);
}

size_t ipck_array_capacity(const struct ipck_array *a)
{
	return a->capacity;
}

void *ipck_array_at(const struct ipck_array *a, size_t i)
{
	return i < ipck_array_length(a) ? a->records + i * a->record : NULL;
}

static int acquire(struct ipck_array *a)
{
	struct array_shm *s = a->shm;
	int rc = lock_acquire(&s->lock, IPCK_FOREVER);
	uint64_t pending;

	if (likely(rc <= 0))
		return rc;
	pending = load_acquire(&s->pending);
	if (pending > 0 && pending <= a->capacity)
		memcpy(a->records + (pending - 1) * a->record, a->shadow, a->record);
	store_release(&s->pending, 0);
	return 0;
}

/* A record that one access moves; false: it is no such. */
static bool copy_word(void *to, const void *from, size_t size)
{
	if (size == 8)
		store_release((uint64_t *)to, load_acquire((const uint64_t *)from));
	else if (size == 4)
		store_release((uint32_t *)to, load_acquire((const uint32_t *)from));
	else if (size == 2)
		store_release((uint16_t *)to, load_acquire((const uint16_t *)from));
	else if (size == 1)
		store_release((uint8_t *)to, load_acquire((const uint8_t *)from));
	else
		return false;
	return true;
}

/* Between the array and memory of any alignment. */
static void read_unlocked(void *to, const void *from, size_t size)
{
	uint64_t word;

	if (copy_word(&word, from, size))
		memcpy(to, &word, size);
	else
		memcpy(to, from, size);
}

static void write_unlocked(void *to, const void *from, size_t size)
{
	uint64_t word = 0;

	if (size <= sizeof(word))
		memcpy(&word, from, size);
	if (!copy_word(to, &word, size))
		memcpy(to, from, size);
}

/* Under the lock. */
static void change(struct ipck_array *a, size_t i, const void *record)
{
	memcpy(a->shadow, record, a->record);
	store_release(&a->shm->pending, i + 1);
	memcpy(a->records + i * a->record, a->shadow, a->record);
	store_release(&a->shm->pending, 0);
}

int ipck_array_get(struct ipck_array *a, size_t i, void *record)
{
	const char *at = ipck_array_at(a, i);
	int rc;

	if (!at)
		return -ERANGE;
	if (a->unlocked) {
		read_unlocked(record, at, a->record);
		return 0;
	}
	rc = acquire(a);
	if (rc < 0)
		return rc;
	memcpy(record, at, a->record);
	lock_release(&a->shm->lock);
	return 0;
}

int ipck_array_set(struct ipck_array *a, size_t i, const void *record)
{
	char *at = ipck_array_at(a, i);
	int rc;

	if (!at)
		return -ERANGE;
	if (a->unlocked) {
		write_unlocked(at, record, a->record);
		return 0;
	}
	rc = acquire(a);
	if (rc < 0)
		return rc;
	change(a, i, record);
	lock_release(&a->shm->lock);
	return 0;
}

int ipck_array_append(struct ipck_array *a, const void *record, size_t *i)
{
	size_t length;
	int rc = acquire(a);

	if (rc < 0)
		return rc;
	length = ipck_array_length(a);
	if (length < a->capacity) {
		memcpy(a->records + length * a->record, record, a->record);
		store_release(&a->shm->length, length + 1);
	} else {
		rc = -ENOSPC;
	}
	lock_release(&a->shm->lock);
	if (rc == 0 && i)
		*i = length;
	return rc;
}

/* ---- update ---- */

/* 1: it has changed since. */
static int apply(struct ipck_array *a, size_t i, const void *old, const void *new)
{
	int rc = acquire(a);

	if (rc < 0)
		return rc;
	rc = memcmp(a->records + i * a->record, old, a->record) != 0;
	if (rc == 0)
		change(a, i, new);
	lock_release(&a->shm->lock);
	return rc;
}

int ipck_array_update(struct ipck_array *a, size_t i, ipck_array_update_fn *update, void *arg)
{
	char *old;
	int rc, result = 0;

	if (a->unlocked)
		return -EINVAL;
	old = malloc(2 * a->record);
	if (!old)
		return -ENOMEM;
	do {
		rc = ipck_array_get(a, i, old);
		if (rc < 0)
			break;
		memcpy(old + a->record, old, a->record);
		rc = result = update(old + a->record, arg);
		if (rc < 0)
			break;
		rc = apply(a, i, old, old + a->record);
	} while (rc > 0);
	free(old);
	return rc < 0 ? rc : result;
}
