/* SPDX-License-Identifier: MIT */
/*
 * A queue's bell (bell.h): an eventfd that is inherited, or a FIFO beside the name, open in each
 * process that has the queue; both take and give tokens of 8 bytes.  Draining is done under
 * `get`: a token that is there before nothing is found to get may be taken out.
 */
#include "coll/queue.h"

#include <errno.h>
#include <unistd.h>

#include "base/io.h"

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
	int rc;

	if (!bell_due(bell, &drained))
		return;
	rc = put_token(q->bell);
	/* No room: then it is readable. */
	if (rc == 0 || rc == -EAGAIN)
		bell_rung(bell, drained);
}

void queue_silence(struct ipck_queue *q)
{
	struct bell *bell = &q->shm->bell;
	uint64_t token;

	bell_silence(bell);
	while (io_ready(q->bell) && !queue_may_get(q))
		if (read(q->bell, &token, sizeof(token)) < 0 && errno != EINTR)
			break;
	bell_repair(bell);
}

int ipck_queue_fd(struct ipck_queue *q)
{
	int rc;

	if (load_acquire(&q->polled))
		return q->bell;
	store_seq(&q->shm->bell.armed, 1);
	/* It is readable when it is armed: what came before was not rung for. */
	rc = put_token(q->bell);
	if (rc < 0 && rc != -EAGAIN)
		return rc;
	store_release(&q->polled, 1);
	return q->bell;
}
