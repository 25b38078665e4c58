/* SPDX-License-Identifier: MIT */
#include "coll/bell.h"

#include <errno.h>
#include <sys/socket.h>

int bell_put(int sock)
{
	const char datagram = DATAGRAM_BELL;
	ssize_t n;

	do
		n = send(sock, &datagram, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == 1 ? 0 : -errno;
}

bool bell_due(const struct bell *bell, uint32_t *drained)
{
	/* seq, as the receiver's count and its look afterwards. */
	*drained = load_seq(&bell->drained);
	return (*drained & 1) || load_relaxed(&bell->rung) != *drained;
}

void bell_rung(struct bell *bell, uint32_t drained)
{
	store_relaxed(&bell->rung, drained);
}

void bell_ring_armed(struct bell *bell, int sock)
{
	uint32_t drained;
	int rc;

	if (!bell_due(bell, &drained))
		return;
	/* No room: then it is readable.  Nobody there: the pipe will find out.  No memory:
	 * the next one rings. */
	rc = bell_put(sock);
	if (rc == 0 || rc == -EAGAIN)
		bell_rung(bell, drained);
}

int bell_first(int sock)
{
	char datagram;
	ssize_t n;

	do
		n = recv(sock, &datagram, 1, MSG_DONTWAIT | MSG_PEEK);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	return n == 1 ? datagram : -1;
}

void bell_take(int sock)
{
	char datagram;
	ssize_t n;

	/* Its descriptors, if it has some, go with it. */
	do
		n = recv(sock, &datagram, 1, MSG_DONTWAIT);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET)); /* a reset is told once */
}

void bell_silence(struct bell *bell)
{
	store_seq(&bell->drained, load_relaxed(&bell->drained) | 1);
}

void bell_repair(struct bell *bell)
{
	uint32_t drained = load_relaxed(&bell->drained);

	if (drained & 1)
		store_seq(&bell->drained, drained + 1);
}
