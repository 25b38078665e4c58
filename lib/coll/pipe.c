/* SPDX-License-Identifier: MIT */
/* A pipe's life: create, open, close, and the ends of this process. */
#include "coll/pipe.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/name.h"
#include "mem/mirror.h"

#define BYTES_DEFAULT ((size_t)64 << 10)
#define BYTES_MAX ((size_t)1 << 30)

/* The ends of this process.  The mutex covers the list, each end's descriptors from
 * before they are there until they are closed (so that a child that is forked under it
 * knows of all that it got), and each end's reset after a fork; nothing else is locked
 * under it. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct ipck_pipe *ends;
static bool at_exit;

static void reset_in_child(void)
{
	mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

static struct fork_hook hook = {.child = reset_in_child};

__attribute__((constructor)) static void install(void)
{
	fork_hook_add(&hook);
}

void pipe_list_lock(void)
{
	pthread_mutex_lock(&mutex);
}

void pipe_list_unlock(void)
{
	pthread_mutex_unlock(&mutex);
}

void pipe_forked(struct ipck_pipe *p)
{
	pipe_list_lock();
	if (p->epoch != fork_epoch()) {
		p->me = ident_word();
		store_relaxed(&p->receiving.kept, KEPT_NONE);
		store_relaxed(&p->sending.kept, KEPT_NONE);
		/* The bytes are a copy of the parent's, who goes on with it. */
		free(p->part.data);
		p->part = (struct part){0};
		store_release(&p->epoch, fork_epoch());
	}
	pipe_list_unlock();
}

/* ---- shape ---- */

static size_t page_size(void)
{
	long size = sysconf(_SC_PAGESIZE);

	return size > 0 ? (size_t)size : 4096;
}

/* Where the rings begin in the file: on a page. */
static size_t rings_at(void)
{
	return ROUND_UP(SEGMENT_HEADER + sizeof(struct pipe_shm), page_size());
}

static int choose_bytes(const struct ipck_pipe_opts *opts, size_t *bytes)
{
	size_t wanted = opts->bytes ? opts->bytes : BYTES_DEFAULT, size = MAX(page_size(), (size_t)LANE_BYTES_MIN);

	if (wanted > BYTES_MAX)
		return -EINVAL;
	while (size < wanted)
		size *= 2;
	*bytes = size;
	return 0;
}

static int check_shape(const struct pipe_shm *shm, size_t body)
{
	if (shm->lanes < 1 || shm->lanes > 2 || shm->bytes < LANE_BYTES_MIN || shm->bytes > BYTES_MAX ||
	    (shm->bytes & (shm->bytes - 1)) || shm->bytes % page_size())
		return -EPROTO;
	return body + SEGMENT_HEADER >= rings_at() + shm->lanes * shm->bytes ? 0 : -EPROTO;
}

static int socket_inode(int sock, uint64_t *inode)
{
	struct stat st;

	if (fstat(sock, &st) < 0)
		return -errno;
	*inode = st.st_ino;
	return S_ISSOCK(st.st_mode) ? 0 : -EPROTO;
}

/* ---- ends ---- */

static int map_lane(struct ipck_pipe *p, struct lane *l, uint32_t i)
{
	size_t size = p->shm->bytes;
	int rc;

	if (i >= p->shm->lanes)
		return 0;
	rc = mirror_map(&l->ring, p->segment.fd, rings_at() + i * size, size);
	if (rc == 0)
		*l = (struct lane){&p->shm->lane[i], l->ring, size};
	return rc;
}

/* Frees what an end has of its own, but for the socket's last goodbye. */
static void unmap(struct ipck_pipe *p)
{
	mirror_unmap(p->in.ring, p->in.size);
	mirror_unmap(p->out.ring, p->out.size);
	segment_close(&p->segment);
	free(p->part.data);
	free(p);
}

/* Under the lock since its descriptors are there. */
static void enlist(struct ipck_pipe *p)
{
	/* Without it the others find out a moment later. */
	if (!at_exit)
		at_exit = atexit(pipe_leave_all) == 0;
	p->next = ends;
	ends = p;
}

/* Under the lock: a child that is forked before has it in its list, or not at all. */
static void delist(struct ipck_pipe *p)
{
	struct ipck_pipe **at = &ends;

	while (*at && *at != p)
		at = &(*at)->next;
	if (*at)
		*at = p->next;
	io_close(&p->sock);
	io_close(&p->segment.fd);
}

/* An end of a segment and a socket that become its own on success. */
static int make_end(struct ipck_pipe **out, struct segment *segment, int sock, uint32_t side)
{
	struct ipck_pipe *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return -ENOMEM;
	p->shm = segment_body(segment);
	p->segment = *segment;
	p->sock = sock;
	p->side = side;
	p->epoch = fork_epoch();
	p->me = ident_word();
	p->receiving.spinner = p->sending.spinner = (struct spinner)SPINNER_INIT;
	rc = map_lane(p, &p->in, side);
	if (rc == 0)
		rc = map_lane(p, &p->out, !side);
	if (rc < 0) {
		p->segment = (struct segment){.fd = -1};
		unmap(p);
		return rc;
	}
	enlist(p);
	*out = p;
	return 0;
}

/* Both are copied on success.  Under the lock. */
static int open_end(struct ipck_pipe **out, const int fds[2])
{
	struct segment segment;
	struct pipe_shm *shm;
	uint64_t inode = 0;
	int sock, rc = segment_open_fd(&segment, SEGMENT_PIPE, fds[0], true);

	if (rc < 0)
		return rc;
	shm = segment_body(&segment);
	rc = segment.bytes < sizeof(*shm) ? -EPROTO : check_shape(shm, segment.bytes);
	if (rc == 0)
		rc = socket_inode(fds[1], &inode);
	if (rc == 0 && shm->sockets[0] != inode && shm->sockets[1] != inode)
		rc = -EPROTO;
	if (rc < 0)
		goto close_segment;
	rc = io_dup_to(fds[1], &sock);
	if (rc < 0)
		goto close_segment;
	rc = make_end(out, &segment, sock, shm->sockets[1] == inode);
	if (rc == 0)
		return 0;
	close(sock);
close_segment:
	segment_close(&segment);
	return rc;
}

/* ---- create ---- */

static int make_sockets(int socks[2])
{
	int rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks) < 0)
		return -errno;
	rc = io_lift(socks[0], &socks[0]);
	if (rc == 0)
		rc = io_lift(socks[1], &socks[1]);
	if (rc < 0) {
		io_close(&socks[0]);
		io_close(&socks[1]);
	}
	return rc;
}

static int make_segment(struct segment *segment, const struct ipck_pipe_opts *opts, const int socks[2])
{
	struct segment_plan plan = {.kind = SEGMENT_PIPE};
	struct pipe_shm shape = {.lanes = opts->one_way ? 1 : 2};
	struct pipe_shm *shm;
	size_t bytes;
	int rc = choose_bytes(opts, &bytes);

	if (rc < 0)
		return rc;
	plan.bytes = rings_at() - SEGMENT_HEADER + shape.lanes * bytes;
	rc = segment_create(segment, &plan);
	if (rc < 0)
		return rc;
	shm = segment_body(segment);
	shm->lanes = shape.lanes;
	shm->bytes = bytes;
	for (int i = 0; rc == 0 && i < 2; i++) {
		rc = socket_inode(socks[i], &shm->sockets[i]);
		if (rc == 0)
			rc = bell_put(socks[!i]);
	}
	if (rc < 0)
		segment_close(segment);
	return rc == -ENOBUFS ? -ENOMEM : rc;
}

static int create_locked(struct ipck_pipe *out[2], const struct ipck_pipe_opts *opts)
{
	struct ipck_pipe *first, *second;
	struct segment segment;
	int socks[2], rc = make_sockets(socks);

	if (rc < 0)
		return rc;
	rc = make_segment(&segment, opts, socks);
	if (rc < 0)
		goto close_sockets;
	rc = open_end(&second, (int[2]){segment.fd, socks[1]});
	if (rc < 0)
		goto close_segment;
	rc = make_end(&first, &segment, socks[0], 0);
	if (rc < 0)
		goto close_second;
	close(socks[1]);
	out[0] = first;
	out[1] = second;
	return 0;
close_second:
	delist(second);
	unmap(second);
close_segment:
	segment_close(&segment);
close_sockets:
	close(socks[0]);
	close(socks[1]);
	return rc;
}

int ipck_pipe_create(struct ipck_pipe *out[2], const struct ipck_pipe_opts *opts)
{
	struct ipck_pipe_opts own;
	int rc = opts_copy(&own, sizeof(own), opts);

	if (rc < 0)
		return rc;
	pipe_list_lock();
	rc = create_locked(out, &own);
	pipe_list_unlock();
	return rc;
}

int ipck_pipe_open_fds(struct ipck_pipe **out, const int fds[2])
{
	int rc;

	pipe_list_lock();
	rc = open_end(out, fds);
	pipe_list_unlock();
	return rc;
}

int ipck_pipe_fds(const struct ipck_pipe *p, int fds[2])
{
	if (p->sock < 0)
		return -EBADF;
	fds[0] = p->segment.fd;
	fds[1] = p->sock;
	return 0;
}

/* ---- leaving ---- */

static void tell_lane(struct lane_shm *s)
{
	if (!s)
		return;
	add_seq(&s->left, 1);
	evcount_notify(&s->data, EVCOUNT_ALL);
	evcount_notify(&s->space, EVCOUNT_ALL);
}

static void leave(struct ipck_pipe *p)
{
	tell_lane(p->in.shm);
	tell_lane(p->out.shm);
}

void pipe_leave_all(void)
{
	pipe_list_lock();
	for (struct ipck_pipe *p = ends; p; p = p->next)
		if (p->sock >= 0)
			leave(p);
	pipe_list_unlock();
}

static bool is_among(const struct ipck_pipe *p, struct ipck_pipe *const *keep, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (keep[i] == p)
			return true;
	return false;
}

void pipe_keep(struct ipck_pipe *const *keep, size_t n)
{
	for (struct ipck_pipe *p = ends; p; p = p->next)
		if (!is_among(p, keep, n)) {
			io_close(&p->sock);
			io_close(&p->segment.fd);
		}
}

/* The turns that are kept: a part is lost, the rest is as if it had not been. */
static void drop_kept(struct ipck_pipe *p)
{
	if (pipe_take_kept(&p->receiving, KEPT_PART)) {
		store_seq(&p->in.shm->lost, load_relaxed(&p->in.shm->head));
		pipe_give_receiving(p);
	} else if (pipe_take_kept(&p->receiving, KEPT_PLACE)) {
		pipe_give_receiving(p);
	}
	if (pipe_take_kept(&p->sending, KEPT_PLACE))
		pipe_give_sending(p);
}

void ipck_pipe_close(struct ipck_pipe *p)
{
	if (!p)
		return;
	pipe_enter(p);
	drop_kept(p);
	pipe_list_lock();
	delist(p);
	pipe_list_unlock();
	leave(p);
	unmap(p);
}
