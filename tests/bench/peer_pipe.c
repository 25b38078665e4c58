/* SPDX-License-Identifier: MIT */
/* What the kernel has for messages: pipe(2), socket pairs, POSIX message queues. */
#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Of each side: what it reads, and what it writes. */
static int reads[2], writes[2];
static int in, out;

static void take_side(int side)
{
	in = reads[side];
	out = writes[side];
	/* A socket is both. */
	close(reads[!side]);
	if (writes[!side] != reads[!side])
		close(writes[!side]);
}

/* ---- streams of bytes: each message has its length before it ---- */

/*
 * Small messages are read ahead, as any good reader of a stream does: half as many
 * system calls there and back, a fraction of them one way.
 */
static struct {
	size_t at, end;
	char bytes[1 << 16];
} ahead;

static int send_stream(const void *data, size_t size)
{
	uint64_t head = size;
	const struct iovec parts[] = {{&head, sizeof(head)}, {(void *)data, size}};
	ssize_t n = writev(out, parts, 2);

	return n < 0 ? -errno : (size_t)n == sizeof(head) + size ? 0 : -EIO;
}

static int send_stream_many(const struct iovec *messages, int n)
{
	struct iovec parts[2 * CHANNEL_MANY];
	uint64_t heads[CHANNEL_MANY];
	ssize_t all = 0, sent;

	for (int i = 0; i < n; i++) {
		heads[i] = messages[i].iov_len;
		parts[2 * i] = (struct iovec){&heads[i], sizeof(heads[i])};
		parts[2 * i + 1] = messages[i];
		all += (ssize_t)(sizeof(heads[i]) + messages[i].iov_len);
	}
	sent = writev(out, parts, 2 * n);
	return sent < 0 ? -errno : sent == all ? 0 : -EIO;
}

static int read_all(char *to, size_t size)
{
	while (size > 0) {
		ssize_t n = read(in, to, size);

		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		to += n;
		size -= (size_t)n;
	}
	return 0;
}

/* At least `size` bytes, of at most `most`. */
static int read_ahead(size_t size, size_t most)
{
	if (ahead.end - ahead.at >= size)
		return 0;
	memmove(ahead.bytes, ahead.bytes + ahead.at, ahead.end - ahead.at);
	ahead.end -= ahead.at;
	ahead.at = 0;
	while (ahead.end < size) {
		ssize_t n = read(in, ahead.bytes + ahead.end, most - ahead.end);

		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		ahead.end += (size_t)n;
	}
	return 0;
}

static ssize_t recv_stream(void *data, size_t room)
{
	/* The bytes of large ones are not copied twice. */
	bool small = room <= sizeof(ahead.bytes) / 2;
	uint64_t head;
	int rc = read_ahead(sizeof(head), small ? sizeof(ahead.bytes) : sizeof(head));

	if (rc < 0)
		return rc;
	memcpy(&head, ahead.bytes + ahead.at, sizeof(head));
	ahead.at += sizeof(head);
	if (head > room)
		return -EMSGSIZE;
	if (!small) {
		rc = read_all(data, head);
		return rc < 0 ? rc : (ssize_t)head;
	}
	rc = read_ahead(head, sizeof(ahead.bytes));
	if (rc < 0)
		return rc;
	memcpy(data, ahead.bytes + ahead.at, head);
	ahead.at += head;
	return (ssize_t)head;
}

/* Messages that are written at once, and are of one size, are also read at once. */
static ssize_t recv_exactly(void *data, size_t room)
{
	uint64_t head;
	const struct iovec parts[] = {{&head, sizeof(head)}, {data, room}};
	ssize_t n = readv(in, parts, 2);

	return n < 0 ? -errno : (size_t)n == sizeof(head) + room && head == room ? (ssize_t)room : -EBADMSG;
}

int peer_pipe(struct channel *c, size_t size)
{
	for (int i = 0; i < 2; i++) {
		int fds[2];

		if (pipe(fds) < 0)
			return -errno;
		/* The most that anybody may ask for; a small one only costs caches. */
		if (size >= 65536 && fcntl(fds[0], F_SETPIPE_SZ, 1 << 20) < 0)
			return -errno;
		reads[i] = fds[0];
		writes[!i] = fds[1];
	}
	*c = (struct channel){take_side, send_stream, recv_stream, send_stream_many};
	return 0;
}

int peer_pipe_shared(struct channel *c, size_t size)
{
	int rc = peer_pipe(c, size);

	c->recv = recv_exactly;
	return rc;
}

static int make_sockets(int type)
{
	if (socketpair(AF_UNIX, type, 0, reads) < 0)
		return -errno;
	memcpy(writes, reads, sizeof(writes));
	return 0;
}

int peer_stream(struct channel *c, size_t size)
{
	(void)size;
	*c = (struct channel){take_side, send_stream, recv_stream};
	return make_sockets(SOCK_STREAM);
}

/* ---- messages ---- */

static int send_packet(const void *data, size_t size)
{
	ssize_t n = write(out, data, size);

	return n < 0 ? -errno : (size_t)n == size ? 0 : -EIO;
}

static ssize_t recv_packet(void *data, size_t room)
{
	ssize_t n = read(in, data, room);

	return n < 0 ? -errno : n;
}

static int send_packets(const struct iovec *messages, int n)
{
	struct mmsghdr packets[CHANNEL_MANY] = {0};

	for (int i = 0; i < n; i++)
		packets[i].msg_hdr = (struct msghdr){.msg_iov = (struct iovec *)&messages[i], .msg_iovlen = 1};
	for (int at = 0; at < n;) {
		int sent = sendmmsg(out, packets + at, (unsigned int)(n - at), 0);

		if (sent < 0)
			return -errno;
		at += sent;
	}
	return 0;
}

static int recv_packets(void *data, size_t room, struct iovec *messages, int n)
{
	struct mmsghdr packets[CHANNEL_MANY] = {0};
	int got;

	for (int i = 0; i < n; i++) {
		messages[i] = (struct iovec){(char *)data + (size_t)i * (room / (size_t)n), room / (size_t)n};
		packets[i].msg_hdr = (struct msghdr){.msg_iov = &messages[i], .msg_iovlen = 1};
	}
	got = recvmmsg(in, packets, (unsigned int)n, MSG_WAITFORONE, NULL);
	for (int i = 0; i < got; i++)
		messages[i].iov_len = packets[i].msg_len;
	return got < 0 ? -errno : got;
}

int peer_seqpacket(struct channel *c, size_t size)
{
	(void)size;
	*c = (struct channel){take_side, send_packet, recv_packet, send_packets, recv_packets};
	return make_sockets(SOCK_SEQPACKET);
}

static int send_mq(const void *data, size_t size)
{
	return mq_send(out, data, size, 0) < 0 ? -errno : 0;
}

static ssize_t recv_mq(void *data, size_t room)
{
	ssize_t n = mq_receive(in, data, room, NULL);

	return n < 0 ? -errno : n;
}

/* Each is the other side's too. */
static void take_mq_side(int side)
{
	in = reads[side];
	out = writes[side];
}

/* As deep as anybody may ask for. */
int peer_mq(struct channel *c, size_t size)
{
	struct mq_attr attr = {.mq_maxmsg = 10, .mq_msgsize = (long)size};
	char name[64];

	for (int i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "/ipckit-bench-%d-%d", (int)getpid(), i);
		reads[i] = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
		if (reads[i] < 0)
			return -errno;
		mq_unlink(name);
		writes[!i] = reads[i];
	}
	*c = (struct channel){take_mq_side, send_mq, recv_mq};
	return 0;
}
