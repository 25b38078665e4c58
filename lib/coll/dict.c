/* SPDX-License-Identifier: MIT */
/* A dict's life: create, open, close. */
#include "coll/dict.h"

#include <errno.h>
#include <sys/random.h>

#include "base/name.h"
#include "mem/handle.h"

#define MAX_BYTES_DEFAULT ((size_t)64 << 20)

/* Many enough that writers seldom meet, and that none takes long to grow. */
#define SHARDS_MIN 64
#define SHARDS_MAX 1024
#define SHARD_BYTES ((size_t)1 << 20)
#define SHARD_BYTES_MIN ((size_t)1 << 15) /* each has pages of its own */

struct shape {
	uint64_t shards, arenas_at, table_at, pages;
};

/* The bytes of the body; 0: it cannot be. */
static uint64_t choose_shape(struct shape *shape, const struct ipck_dict_opts *opts)
{
	uint64_t bytes = opts->max_bytes ? opts->max_bytes : MAX_BYTES_DEFAULT, n = SHARDS_MIN;

	if (bytes > IPCK_DICT_BYTES_MAX)
		return 0;
	while (n < SHARDS_MAX && n * SHARD_BYTES < bytes)
		n *= 2;
	while (n > 1 && n * SHARD_BYTES_MIN > bytes)
		n /= 2;
	shape->shards = n;
	shape->arenas_at = ROUND_UP(sizeof(struct dict_shm), (uint64_t)FALSE_SHARING);
	shape->table_at = shape->arenas_at + slab_bytes(n);
	if (bytes < shape->table_at + 8 * PAGE_BYTES)
		return 0;
	shape->pages = pages_count(bytes - shape->table_at - PAGE_BYTES);
	return bytes;
}

static int choose_seed(uint64_t *seed)
{
	ssize_t n;

	do
		n = getrandom(seed, sizeof(*seed), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == sizeof(*seed) ? 0 : -EIO;
}

static int init(void *body, void *arg)
{
	const struct shape *shape = arg;
	struct dict_shm *s = body;
	int rc = pages_init(&s->pages, shape->table_at, shape->pages);

	s->shards = shape->shards;
	s->arenas_at = shape->arenas_at;
	if (rc == 0)
		rc = choose_seed(&s->seed);
	return rc < 0 ? rc : slab_init((char *)body + shape->arenas_at, shape->shards);
}

static int attach(void *handle, const void *arg)
{
	struct ipck_dict *d = handle;
	struct dict_shm *s = segment_body(&d->segment);
	uint64_t shards, at;
	int rc;

	(void)arg;
	if (d->segment.bytes < sizeof(*s))
		return -EPROTO;
	shards = load_relaxed(&s->shards);
	at = load_relaxed(&s->arenas_at);
	/* Elsewhere there would be something else where locks are looked for. */
	if (shards == 0 || shards > SHARDS_MAX || (shards & (shards - 1)) ||
	    at != ROUND_UP(sizeof(*s), (uint64_t)FALSE_SHARING) ||
	    load_relaxed(&s->pages.table_at) != at + slab_bytes(shards))
		return -EPROTO;
	d->seed = load_relaxed(&s->seed);
	d->shift = 32 - (unsigned)__builtin_ctzll(shards);
	rc = pages_attach(&d->slabs.pages, &d->segment, &s->pages);
	d->slabs.pages.keeps = true;
	return rc < 0 ? rc : slab_attach(&d->slabs, at, shards);
}

static const struct handle_kind kind = {SEGMENT_DICT, sizeof(struct ipck_dict), attach};

int ipck_dict_create(struct ipck_dict **out, const char *name, const struct ipck_dict_opts *opts)
{
	struct ipck_dict_opts own;
	struct shape shape = {0};
	struct segment_plan plan = {.kind = SEGMENT_DICT, .name = name, .init = init, .arg = &shape};
	int rc = opts_copy(&own, sizeof(own), opts);

	if (rc < 0)
		return rc;
	plan.bytes = choose_shape(&shape, &own);
	plan.reserved = shape.table_at;
	plan.mode = own.mode;
	return handle_create(out, &kind, &plan);
}

int ipck_dict_open(struct ipck_dict **out, const char *name, const struct ipck_dict_opts *opts)
{
	struct ipck_dict_opts own;
	int rc = opts_copy(&own, sizeof(own), opts);

	return rc < 0 ? rc : handle_open(out, &kind, name, own.any_owner);
}

int ipck_dict_open_fd(struct ipck_dict **out, int fd, const struct ipck_dict_opts *opts)
{
	struct ipck_dict_opts own;
	int rc = opts_copy(&own, sizeof(own), opts);

	return rc < 0 ? rc : handle_open_fd(out, &kind, fd, own.any_owner);
}

int ipck_dict_fd(const struct ipck_dict *d)
{
	return d->segment.fd;
}

void ipck_dict_close(struct ipck_dict *d)
{
	handle_close(d);
}

int ipck_dict_unlink(const char *name)
{
	return segment_unlink(name);
}
