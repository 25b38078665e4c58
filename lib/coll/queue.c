/* SPDX-License-Identifier: MIT */
/* A queue's life: create, open, close. */
#include "coll/queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/name.h"
#include "mem/fifo.h"
#include "mem/mirror.h"
#include "mem/shmfile.h"

#define BYTES_DEFAULT ((size_t)1 << 20)

/* How long somebody may be in the middle of a call that holds up those who do not wait. */
#define GRACE_MS 100

int queue_lock(struct robust_lock *lock, struct ipck_deadline deadline)
{
	int rc = lock_acquire(lock, deadline);

	return likely(rc != -ETIMEDOUT) ? rc : lock_acquire(lock, ipck_in_ms(GRACE_MS));
}

/* ---- shape ---- */

static size_t page_size(void)
{
	long size = sysconf(_SC_PAGESIZE);

	return size > 0 ? (size_t)size : 4096;
}

/* Where the ring begins in the file: on a page. */
static size_t ring_at(void)
{
	return ROUND_UP(SEGMENT_HEADER + sizeof(struct queue_shm), page_size());
}

static int choose_bytes(size_t wanted, size_t *bytes)
{
	size_t size = page_size();

	if (wanted > IPCK_QUEUE_BYTES_MAX)
		return -EINVAL;
	while (size < (wanted ? wanted : BYTES_DEFAULT))
		size *= 2;
	*bytes = size;
	return 0;
}

static int check_shape(size_t bytes, size_t body)
{
	if (bytes == 0 || (bytes & (bytes - 1)) || bytes % page_size() || bytes > IPCK_QUEUE_BYTES_MAX)
		return -EPROTO;
	return body + SEGMENT_HEADER >= ring_at() + bytes ? 0 : -EPROTO;
}

/* ---- handles ---- */

static void free_queue(struct ipck_queue *q)
{
	mirror_unmap(q->ring, (size_t)q->units * ENTRY_UNIT);
	segment_close(&q->segment);
	io_close(&q->bell);
	holds_free(&q->holds);
	free(q);
}

static int new_queue(struct ipck_queue **out)
{
	struct ipck_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->segment.fd = q->bell = -1;
	q->putting = q->getting = (struct spinner)SPINNER_INIT;
	*out = q;
	return 0;
}

/* Of a segment that was had: what is checked is what is used. */
static int attach(struct ipck_queue *q)
{
	struct queue_shm *s = segment_body(&q->segment);
	size_t bytes;
	int rc;

	if (q->segment.bytes < sizeof(*s))
		return -EPROTO;
	bytes = (size_t)load_relaxed(&s->units) * ENTRY_UNIT;
	rc = check_shape(bytes, q->segment.bytes);
	if (rc == 0)
		rc = mirror_map(&q->ring, q->segment.fd, ring_at(), bytes);
	if (rc < 0)
		return rc;
	q->shm = s;
	q->units = (uint32_t)(bytes / ENTRY_UNIT);
	q->leases = load_relaxed(&s->leases);
	return 0;
}

/* One way from "a segment was had, or not" to a handle. */
static int finish(struct ipck_queue **out, struct ipck_queue *q, int rc)
{
	if (rc == 0)
		rc = attach(q);
	if (rc < 0)
		free_queue(q);
	else
		*out = q;
	return rc;
}

/* ---- create ---- */

struct making {
	const struct ipck_queue_opts *opts;
	size_t bytes;
};

static int init_shm(void *body, void *arg)
{
	const struct making *m = arg;
	struct queue_shm *s = body;
	int rc = lock_init(&s->put);

	if (rc == 0)
		rc = lock_init(&s->get);
	s->units = (uint32_t)(m->bytes / ENTRY_UNIT);
	s->max_items = (uint32_t)MIN(m->opts->max_items, (size_t)UINT32_MAX / 2);
	s->joinable = m->opts->joinable || m->opts->leases;
	s->leases = m->opts->leases;
	/* Before next: there is none. */
	s->reserved_at = UINT32_MAX;
	return rc;
}

static int get_bell(struct ipck_queue *q, const char *name)
{
	int fd = name ? fifo_beside(name, q->segment.fd) : fifo_anonymous();

	if (fd < 0)
		return fd;
	q->bell = fd;
	return 0;
}

/* Somebody may have removed the name since, and have given it to another.  inode: 0: not known. */
static void unlink_own(const char *name, ino_t inode)
{
	ino_t there;

	if (inode == 0 || (shmfile_inode(name, &there) == 0 && there == inode))
		(void)segment_unlink(name);
}

int ipck_queue_create(struct ipck_queue **out, const char *name, const struct ipck_queue_opts *opts)
{
	struct ipck_queue_opts own;
	struct making making = {.opts = &own};
	struct segment_plan plan = {.kind = SEGMENT_QUEUE, .name = name, .init = init_shm, .arg = &making};
	struct ipck_queue *q = NULL;
	struct stat made = {0};
	bool created;
	int rc = opts_copy(&own, sizeof(own), opts);

	if (rc == 0)
		rc = choose_bytes(own.bytes, &making.bytes);
	if (rc == 0 && (own.mode & ~(mode_t)0777))
		rc = -EINVAL;
	if (rc == 0)
		rc = new_queue(&q);
	if (rc < 0)
		return rc;
	plan.bytes = ring_at() - SEGMENT_HEADER + making.bytes;
	plan.mode = own.mode;
	rc = segment_create(&q->segment, &plan);
	created = rc == 0;
	if (created && fstat(q->segment.fd, &made) < 0)
		made.st_ino = 0;
	if (rc == 0)
		rc = get_bell(q, name);
	rc = finish(out, q, rc);
	if (rc < 0 && created && name)
		unlink_own(name, made.st_ino);
	return rc;
}

int ipck_queue_unlink(const char *name)
{
	return segment_unlink(name);
}

/* ---- open ---- */

int ipck_queue_open(struct ipck_queue **out, const char *name, const struct ipck_queue_opts *opts)
{
	struct ipck_queue_opts own;
	struct ipck_queue *q = NULL;
	int rc = opts_copy(&own, sizeof(own), opts);

	if (rc == 0 && !name)
		rc = -EINVAL;
	if (rc == 0)
		rc = new_queue(&q);
	if (rc < 0)
		return rc;
	rc = segment_open(&q->segment, SEGMENT_QUEUE, name, own.any_owner);
	if (rc == 0)
		rc = get_bell(q, name);
	return finish(out, q, rc);
}

/* What takes tokens, and never makes anybody wait. */
static int check_bell(int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstat(fd, &st) < 0)
		return -errno;
	if ((flags & O_ACCMODE) != O_RDWR || !(flags & O_NONBLOCK))
		return -EPROTO;
	/* An eventfd has no type. */
	return S_ISFIFO(st.st_mode) || (st.st_mode & S_IFMT) == 0 ? 0 : -EPROTO;
}

int ipck_queue_open_fds(struct ipck_queue **out, const int fds[2], const struct ipck_queue_opts *opts)
{
	struct ipck_queue_opts own;
	struct ipck_queue *q = NULL;
	int rc = opts_copy(&own, sizeof(own), opts);

	if (rc == 0)
		rc = check_bell(fds[1]);
	if (rc == 0)
		rc = new_queue(&q);
	if (rc < 0)
		return rc;
	rc = io_dup_to(fds[1], &q->bell);
	if (rc == 0)
		rc = segment_open_fd(&q->segment, SEGMENT_QUEUE, fds[0], own.any_owner);
	return finish(out, q, rc);
}

int ipck_queue_fds(const struct ipck_queue *q, int fds[2])
{
	fds[0] = q->segment.fd;
	fds[1] = q->bell;
	return 0;
}

/* ---- close ---- */

void ipck_queue_close(struct ipck_queue *q)
{
	struct hold last;

	if (!q)
		return;
	while (holds_pop(&q->holds, &last)) {
		if (last.kind == HOLD_RESERVED)
			queue_cancel(q, last.place);
		else
			(void)queue_end(q, last.place, ENTRY_RETURNED);
	}
	free_queue(q);
}
