/* SPDX-License-Identifier: MIT */
/*
 * A queue's bell (bell.h): an eventfd that is inherited, or a FIFO beside the name; both take and
 * give tokens of 8 bytes.  Draining is done under `get`: a token that is there before
 * nothing is found to get may be taken out.
 */
#include "coll/queue.h"

#include <errno.h>
#include <unistd.h>

#include "base/io.h"
#include "mem/fifo.h"

/* Threads may do it at once: the first one stays. */
int queue_bell_open(struct ipck_queue *q, bool make)
{
	int fd = load_acquire(&q->bell), none = -1;

	if (fd >= 0)
		return fd;
	if (!q->name)
		return -EBADF;
	fd = fifo_open(q->name, q->segment.fd, make);
	if (fd < 0 || cas_acq_rel(&q->bell, &none, fd))
		return fd;
	close(fd);
	return none;
}

static int put_token(int fd)
{
	const uint64_t token = 1;
	ssize_t n;

	do
		n = write(fd, &token, sizeof(token));
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

void queue_ring_armed(struct ipck_queue *q)
{
	struct bell *bell = &q->shm->bell;
	uint32_t drained;
	int fd, rc;

	if (!bell_due(bell, &drained))
		return;
	fd = queue_bell_open(q, false);
	rc = fd < 0 ? fd : put_token(fd);
	/* No room: then it is readable. */
	if (rc == 0 || rc == -EAGAIN)
		bell_rung(bell, drained);
}

void queue_silence(struct ipck_queue *q)
{
	struct bell *bell = &q->shm->bell;
	int fd = queue_bell_open(q, false);
	uint64_t token;

	if (fd < 0)
		return;
	bell_silence(bell);
	while (io_ready(fd) && !queue_may_get(q))
		if (read(fd, &token, sizeof(token)) < 0 && errno != EINTR)
			break;
	bell_repair(bell);
}

int ipck_queue_fd(struct ipck_queue *q)
{
	int fd = queue_bell_open(q, true), rc;

	if (fd < 0 || load_acquire(&q->polled))
		return fd;
	store_seq(&q->shm->bell.armed, 1);
	/* It is readable when it is armed: what came before was not rung for, or for a FIFO that
	 * nobody has had open since. */
	rc = put_token(fd);
	if (rc < 0 && rc != -EAGAIN)
		return rc;
	store_release(&q->polled, 1);
	return fd;
}
