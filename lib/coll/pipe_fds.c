/* SPDX-License-Identifier: MIT */
/*
 * Descriptors: the one that polls, and those that are sent.
 *
 * Sent ones travel in a datagram of the socket pair, with a number; the message in
 * the ring names it.  The datagram goes first, and a bell behind it, so that the
 * socket stays readable when the datagram was taken.  A sender killed before its
 * message leaves a datagram that no message names: it is dropped by who meets it.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "coll/pipe.h"

/* The message in the ring, and what the datagram says. */
struct fds_message {
	uint32_t number, n;
};

struct fds_datagram {
	char kind; /* DATAGRAM_FDS */
	char spare[3];
	uint32_t number;
};

union control {
	struct cmsghdr head; /* for its alignment */
	char bytes[CMSG_SPACE(IPCK_PIPE_FDS_MAX * sizeof(int))];
};

int ipck_pipe_fd(struct ipck_pipe *p)
{
	pipe_enter(p);
	if (!p->in.shm || p->sock < 0)
		return -EBADF;
	store_seq(&p->in.shm->bell.armed, 1);
	return p->sock;
}

/* ---- sending ---- */

static int put_datagram(int sock, uint32_t number, const int *fds, size_t n)
{
	struct fds_datagram datagram = {.kind = DATAGRAM_FDS, .number = number};
	struct iovec part = {&datagram, sizeof(datagram)};
	union control control = {0};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
	struct cmsghdr *c = &control.head;

	message.msg_controllen = CMSG_SPACE(n * sizeof(int));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	while (sendmsg(sock, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno == ECONNRESET || errno == ENOTCONN)
			return -EPIPE;
		if (errno != EINTR)
			return errno == ENOBUFS ? -ENOMEM : -errno;
	}
	return 0;
}

/* The receivers take out what is in the way, once the bell is armed. */
static int wait_for_socket(struct ipck_pipe *pipe, struct ipck_deadline deadline)
{
	struct pollfd p = {.fd = pipe->sock, .events = POLLOUT};
	int64_t now = clock_now();
	int rc = deadline_check(deadline, now);

	store_seq(&pipe->out.shm->bell.armed, 1);
	if (rc == 0)
		(void)poll(&p, 1, (int)((deadline_tick(deadline, now) - now + NS_PER_MS - 1) / NS_PER_MS));
	return rc;
}

/* In the turn: both datagrams, or none that a message will name. */
static int put_datagrams(struct ipck_pipe *p, uint32_t number, const int *fds, size_t n,
                         struct ipck_deadline deadline)
{
	int rc;

	while ((rc = put_datagram(p->sock, number, fds, n)) == -EAGAIN)
		if ((rc = wait_for_socket(p, deadline)) < 0)
			return rc;
	while (rc == 0 && (rc = bell_put(p->sock)) == -EAGAIN)
		rc = pipe_hung_up(p) ? -EPIPE : wait_for_socket(p, deadline);
	if (rc == -ECONNRESET || rc == -ENOTCONN)
		return -EPIPE;
	return rc == -ENOBUFS ? -ENOMEM : rc;
}

int ipck_pipe_send_fds(struct ipck_pipe *p, const int *fds, size_t n, struct ipck_deadline deadline)
{
	struct fds_message m = {.n = (uint32_t)n};
	int rc;

	pipe_enter(p);
	if (!p->out.shm || p->sock < 0)
		return -EBADF;
	if (n < 1 || n > IPCK_PIPE_FDS_MAX)
		return -EINVAL;
	rc = pipe_get_room(p, sizeof(m), deadline);
	if (rc < 0)
		return rc;
	m.number = load_relaxed(&p->out.shm->fds) + 1;
	store_seq(&p->out.shm->fds, m.number);
	rc = put_datagrams(p, m.number, fds, n, deadline);
	if (rc < 0) {
		pipe_give_sending(p);
		return rc;
	}
	memcpy(lane_room(&p->out), &m, sizeof(m));
	pipe_put(p, RECORD_WHOLE | RECORD_FDS, sizeof(m));
	return 0;
}

/* ---- receiving ---- */

static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

/* Copies of the descriptors of the first datagram, which stays: their number; -EAGAIN:
 * there is none; -EMFILE, -ENOMEM. */
static ssize_t copy_fds(int sock, int fds[IPCK_PIPE_FDS_MAX], uint32_t *number)
{
	struct fds_datagram datagram = {0};
	struct iovec part = {&datagram, sizeof(datagram)};
	union control control;
	struct msghdr m = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t got = recvmsg(sock, &m, MSG_DONTWAIT | MSG_PEEK | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = got < 0 ? NULL : CMSG_FIRSTHDR(&m);
	size_t n = 0;

	/* Who closes the other end with something unread in it leaves ECONNRESET, told
	 * once: what was sent before is still there. */
	if (got < 0)
		return errno == ECONNRESET ? -EINTR : -errno;
	/* The end of them all. */
	if (got == 0)
		return -EAGAIN;
	*number = datagram.kind == DATAGRAM_FDS && got == sizeof(datagram) ? datagram.number : 0;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), n * sizeof(int));
	}
	if (m.msg_flags & MSG_CTRUNC) {
		close_all(fds, n);
		return -EMFILE;
	}
	return (ssize_t)n;
}

/* A standard stream that is closed here is not to be replaced by what comes. */
static int lift_all(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int rc = io_lift(fds[i], &fds[i]);

		if (rc < 0) {
			close_all(fds, i);
			close_all(fds + i + 1, n - i - 1);
			return rc;
		}
	}
	return 0;
}

/* The descriptors that the message names; 0: they were taken by somebody who died. */
static ssize_t take_fds(struct ipck_pipe *p, const struct fds_message *m, int fds[IPCK_PIPE_FDS_MAX])
{
	for (;;) {
		uint32_t number = 0;
		ssize_t n = copy_fds(p->sock, fds, &number);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return n == -EAGAIN ? 0 : n;
		if (number == m->number) {
			if (lift_all(fds, (size_t)n) < 0)
				return -EMFILE;
			bell_take(p->sock);
			return n;
		}
		/* Of a message that has not come: it belongs to a later one. */
		if (number != 0 && (int32_t)(number - m->number) > 0) {
			close_all(fds, (size_t)n);
			return 0;
		}
		close_all(fds, (size_t)n);
		bell_take(p->sock);
	}
}

/* In the turn, with such a message at hand.  0: it was nothing any more. */
static ssize_t receive_fds(struct ipck_pipe *p, uint64_t word, int *fds, size_t max)
{
	int got[IPCK_PIPE_FDS_MAX];
	struct fds_message m;
	ssize_t n;

	if (!(word & RECORD_FDS) || record_size(word) != sizeof(m))
		return -EBADMSG;
	memcpy(&m, lane_taken(&p->in), sizeof(m));
	if (m.n > max)
		return -EMSGSIZE;
	bell_silence(&p->in.shm->bell);
	n = take_fds(p, &m, got);
	bell_repair(&p->in.shm->bell);
	if (n > 0)
		memcpy(fds, got, (size_t)n * sizeof(int));
	return n;
}

ssize_t ipck_pipe_recv_fds(struct ipck_pipe *p, int *fds, size_t max, struct ipck_deadline deadline)
{
	uint64_t word;
	ssize_t n;
	bool kept;

	pipe_enter(p);
	if (!p->in.shm || p->sock < 0)
		return -EBADF;
	do {
		int rc = pipe_begin(p, &word, &kept, deadline);

		if (rc < 0)
			return rc;
		if (kept) {
			pipe_keep_turn(&p->receiving, KEPT_PART);
			return -EBADMSG;
		}
		n = receive_fds(p, word, fds, max);
		if (n < 0)
			pipe_pass_on(p);
		else
			pipe_finish(p, word);
	} while (n == 0);
	return n;
}

/* Whether the first datagram, descriptors, may still get its message: only the last
 * that was begun, and only as long as its sender is at it. */
static bool may_come(struct ipck_pipe *p)
{
	const struct lane_shm *s = p->in.shm;
	struct fds_datagram datagram = {0};

	if (recv(p->sock, &datagram, sizeof(datagram), MSG_DONTWAIT | MSG_PEEK) == sizeof(datagram) &&
	    datagram.number != load_seq(&s->fds))
		return false;
	return load_seq(&s->send.owner) != 0 && !turn_is_abandoned(&s->send);
}

bool pipe_drop_first(struct ipck_pipe *p, int first)
{
	if (first == DATAGRAM_FDS) {
		if (may_come(p))
			return false;
		/* It may have come since we looked. */
		if (lane_has_record(&p->in))
			return true;
	}
	bell_take(p->sock);
	return true;
}
