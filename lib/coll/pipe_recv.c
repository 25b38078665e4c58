/* SPDX-License-Identifier: MIT */
/* Receiving: whole messages, streams, and in place. */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "coll/pipe.h"
#include "coll/spans.h"

/* After a seq access that the taking precedes. */
static void tell_senders(struct ipck_pipe *p)
{
	evcount_notify(&p->in.shm->space, EVCOUNT_ALL);
}

void pipe_finish(struct ipck_pipe *p, uint64_t word)
{
	lane_take(&p->in, word);
	pipe_give_receiving(p);
	tell_senders(p);
}

static void give(struct ipck_pipe *p)
{
	pipe_give_receiving(p);
	tell_senders(p);
}

void pipe_pass_on(struct ipck_pipe *p)
{
	give(p);
	if (lane_has_record(&p->in))
		evcount_notify(&p->in.shm->data, 1);
}

/* In the turn: the first record that begins a message, 0 if there is none.  What is
 * left of a stream whose receiver died is dropped. */
static int find_first(struct ipck_pipe *p, uint64_t *word)
{
	for (;;) {
		int rc = lane_peek(&p->in, word);

		if (rc < 0 || likely(*word == 0 || *word & RECORD_FIRST))
			return rc;
		if (!(*word & RECORD_ABORT))
			store_seq(&p->in.shm->lost, lane_after(&p->in, *word));
		lane_take_seq(&p->in, *word);
		tell_senders(p);
	}
}

/* In the turn, with nothing there: silences the bell (coll/bell.h), until something
 * comes.  True: it has come meanwhile. */
static bool silence(struct ipck_pipe *p)
{
	struct bell *bell = &p->in.shm->bell;
	bool come;
	int first;

	if (likely(!load_relaxed(&bell->armed)))
		return false;
	bell_silence(bell);
	do {
		first = bell_first(p->sock);
		/* seq: sees what was done in turns that were given; see lane.h. */
		(void)load_seq(&p->in.shm->send.owner);
		come = lane_has_record(&p->in);
	} while (!come && first >= 0 && pipe_drop_first(p, first));
	bell_repair(bell);
	return come;
}

/* Before the turn is taken, while there is nothing: 0, or as pipe_wait_data.  An armed
 * bell is to be silenced first. */
static int wait_for_first(struct ipck_pipe *p, bool *spun, struct ipck_deadline deadline)
{
	if (lane_has_record(&p->in))
		return 0;
	if (!*spun && pipe_spin_for_data(p))
		return 0;
	if (!*spun && load_relaxed(&p->in.shm->bell.armed)) {
		*spun = true;
		return 0;
	}
	return pipe_wait_data(p, deadline);
}

int pipe_begin(struct ipck_pipe *p, uint64_t *word, bool *kept, struct ipck_deadline deadline)
{
	bool wait = deadline.ns > 0 && load_relaxed(&p->receiving.kept) == KEPT_NONE, spun = deadline.ns <= 0;
	unsigned rounds = 0;

	for (;; wait = true) {
		/* Others may take what we see, again and again. */
		int rc = rounds++ > 1 ? deadline_check(deadline, clock_now()) : 0;

		if (rc == 0 && wait)
			rc = wait_for_first(p, &spun, deadline);
		if (rc == 0)
			rc = pipe_take_receiving(p, kept, deadline);
		if (rc < 0 || *kept)
			return rc;
		rc = find_first(p, word);
		if (rc == 0 && *word == 0 && silence(p))
			rc = find_first(p, word);
		if (rc == 0 && *word)
			return 0;
		give(p);
		if (rc < 0)
			return rc;
		spun = true;
	}
}

/* ---- streams ---- */

static void end_part(struct ipck_pipe *p)
{
	char *data = p->part.data;

	/* seq, so that it comes first: a child that is forked in between frees its copy. */
	store_seq(&p->part.data, NULL);
	free(data);
	p->part = (struct part){0};
}

/* The next record of the stream: 0, or as pipe_wait_part; -EOWNERDEAD: there is none. */
static int next_part(struct ipck_pipe *p, uint64_t *word, struct ipck_deadline deadline)
{
	for (;;) {
		int rc = lane_peek(&p->in, word);

		if (rc < 0)
			return rc;
		if (*word & (RECORD_FIRST | RECORD_ABORT))
			return -EOWNERDEAD;
		if (*word)
			return record_size(*word) <= p->part.total - p->part.got ? 0 : -EPROTO;
		rc = pipe_wait_part(p, deadline);
		if (rc < 0 && !(rc == -ETIMEDOUT && silence(p)))
			return rc;
	}
}

static void take_part(struct ipck_pipe *p, struct spans *to, uint64_t word, size_t before)
{
	size_t size = record_size(word) - before;

	spans_scatter(to, lane_taken(&p->in) + before, size);
	p->part.got += size;
	lane_take_seq(&p->in, word);
	tell_senders(p);
}

/* What a call has received until its deadline, for the next one. */
static void save_part(struct ipck_pipe *p, const struct iovec *parts)
{
	struct spans from = {.parts = parts};

	spans_gather(&from, p->part.data, p->part.got);
	pipe_keep_turn(&p->receiving, KEPT_PART);
}

/* The rest of the stream that is begun.  -EOWNERDEAD: it was nothing. */
static ssize_t receive_rest(struct ipck_pipe *p, const struct iovec *parts, struct spans *to,
                            struct ipck_deadline deadline)
{
	size_t total = p->part.total;
	uint64_t word = 0;
	int rc = 0;

	while (!(word & RECORD_LAST) && rc == 0) {
		rc = next_part(p, &word, deadline);
		if (rc == 0)
			take_part(p, to, word, 0);
	}
	if (rc == -ETIMEDOUT || rc == -ECANCELED) {
		save_part(p, parts);
		return rc;
	}
	if (rc == 0 && p->part.got != total)
		rc = -EPROTO;
	end_part(p);
	give(p);
	return rc < 0 ? rc : (ssize_t)total;
}

static uint64_t stream_size(const struct ipck_pipe *p, uint64_t word)
{
	uint64_t size = 0;

	if (record_size(word) > sizeof(size))
		memcpy(&size, lane_taken(&p->in), sizeof(size));
	return size;
}

static ssize_t receive_stream(struct ipck_pipe *p, uint64_t word, const struct iovec *parts,
                              struct ipck_deadline deadline)
{
	bool may_end = deadline.ns != INT64_MAX || deadline.interrupt;
	struct spans to = {.parts = parts};

	p->part.total = stream_size(p, word);
	p->part.got = 0;
	/* Not touched, and so not there, until a deadline passes. */
	p->part.data = may_end ? malloc(p->part.total) : NULL;
	if (may_end && !p->part.data) {
		end_part(p);
		pipe_pass_on(p);
		return -ENOMEM;
	}
	take_part(p, &to, word, sizeof(uint64_t));
	return receive_rest(p, parts, &to, deadline);
}

static ssize_t go_on(struct ipck_pipe *p, const struct iovec *parts, struct ipck_deadline deadline)
{
	struct spans to = {.parts = parts};

	spans_scatter(&to, p->part.data, p->part.got);
	return receive_rest(p, parts, &to, deadline);
}

/* ---- the calls ---- */

/* The size of the message at hand, in the turn: 0, -EBADMSG, or -EPROTO. */
static int message_size(const struct ipck_pipe *p, uint64_t word, bool kept, size_t *size)
{
	if (kept) {
		*size = p->part.total;
		return 0;
	}
	*size = record_size(word);
	if (word & RECORD_FDS)
		return -EBADMSG;
	if (!(word & RECORD_LAST)) {
		*size = stream_size(p, word);
		return *size >= record_size(word) - sizeof(uint64_t) && *size <= PTRDIFF_MAX ? 0 : -EPROTO;
	}
	return 0;
}

/* Not now: what was kept is kept on. */
static void leave(struct ipck_pipe *p, bool kept)
{
	if (kept)
		pipe_keep_turn(&p->receiving, KEPT_PART);
	else
		pipe_pass_on(p);
}

static ssize_t receive(struct ipck_pipe *p, const struct iovec *parts, size_t room, size_t *needed,
                       struct ipck_deadline deadline)
{
	struct spans to = {.parts = parts};
	uint64_t word = 0;
	size_t size;
	bool kept;
	int rc = pipe_begin(p, &word, &kept, deadline);

	if (rc < 0)
		return rc;
	rc = message_size(p, word, kept, &size);
	if (rc == 0 && unlikely(size > room)) {
		if (needed)
			*needed = size;
		rc = -EMSGSIZE;
	}
	if (rc < 0) {
		leave(p, kept);
		return rc;
	}
	if (kept)
		return go_on(p, parts, deadline);
	if (unlikely(!(word & RECORD_LAST)))
		return receive_stream(p, word, parts, deadline);
	spans_scatter(&to, lane_taken(&p->in), size);
	pipe_finish(p, word);
	return (ssize_t)size;
}

static int check(struct ipck_pipe *p)
{
	pipe_enter(p);
	return p->in.shm && p->sock >= 0 ? 0 : -EBADF;
}

ssize_t ipck_pipe_recvv(struct ipck_pipe *p, const struct iovec *parts, int n, size_t *needed,
                        struct ipck_deadline deadline)
{
	size_t room;
	ssize_t rc = check(p);

	if (rc == 0 && !spans_size(parts, n, &room))
		rc = -EINVAL;
	if (rc < 0)
		return rc;
	/* Of a stream that was nothing something else comes next. */
	do
		rc = receive(p, parts, room, needed, deadline);
	while (rc == -EOWNERDEAD);
	return rc;
}

/* The common case at once: a whole message is there, and fits.  Else -EAGAIN, and
 * nothing is changed. */
static ssize_t receive_quickly(struct ipck_pipe *p, void *data, size_t room)
{
	struct turn *turn = &p->in.shm->receive;
	uint64_t nobody = 0, word;
	size_t size;

	if (!lane_has_record(&p->in) || load_relaxed(&p->receiving.kept) != KEPT_NONE ||
	    !cas_acquire(&turn->owner, &nobody, p->me))
		return -EAGAIN;
	word = load_acquire(lane_word(&p->in, load_relaxed(&p->in.shm->head)));
	size = record_size(word);
	if (unlikely((uint32_t)word != RECORD_WHOLE || size > room || size > lane_whole_max(&p->in))) {
		turn_give(turn);
		return -EAGAIN;
	}
	if (size)
		memcpy(data, lane_taken(&p->in), size);
	lane_take(&p->in, word);
	turn_give(turn);
	tell_senders(p);
	store_relaxed(&p->receiving.run, load_relaxed(&p->receiving.run) + 1);
	return (ssize_t)size;
}

ssize_t ipck_pipe_recv(struct ipck_pipe *p, void *data, size_t size, size_t *needed, struct ipck_deadline deadline)
{
	const struct iovec part = {data, size};
	ssize_t rc = check(p);

	if (rc == 0)
		rc = receive_quickly(p, data, size);
	return rc == -EAGAIN ? ipck_pipe_recvv(p, &part, 1, needed, deadline) : rc;
}

int ipck_pipe_recv_new(struct ipck_pipe *p, void **data, size_t *size, struct ipck_deadline deadline)
{
	size_t room = 256;
	ssize_t rc;
	char *got;

	for (;;) {
		got = malloc(room);
		if (!got)
			return -ENOMEM;
		rc = ipck_pipe_recv(p, got, room, &room, deadline);
		if (rc != -EMSGSIZE)
			break;
		free(got);
	}
	if (rc < 0) {
		free(got);
		return (int)rc;
	}
	*data = got;
	*size = (size_t)rc;
	return 0;
}

/* The next record of a part. */
static int poll_part(struct ipck_pipe *p, struct ipck_deadline deadline)
{
	uint64_t word;
	int rc = next_part(p, &word, deadline);

	if (rc == -EOWNERDEAD) {
		end_part(p);
		give(p);
	} else {
		pipe_keep_turn(&p->receiving, KEPT_PART);
	}
	return rc;
}

int ipck_pipe_poll(struct ipck_pipe *p, struct ipck_deadline deadline)
{
	uint64_t word;
	bool kept;
	int rc = check(p);

	if (rc < 0)
		return rc;
	do {
		rc = pipe_begin(p, &word, &kept, deadline);
		if (rc == 0 && kept)
			rc = poll_part(p, deadline);
		else if (rc == 0)
			pipe_pass_on(p);
	} while (rc == -EOWNERDEAD);
	/* The end is something to receive, and so is what this thread has peeked. */
	return rc == -EPIPE || rc == -EDEADLK ? 0 : rc;
}

static int peek_again(struct ipck_pipe *p, const void **data, size_t *size)
{
	uint64_t word;
	int rc = lane_peek(&p->in, &word);

	if (rc == 0) {
		*data = lane_taken(&p->in);
		*size = record_size(word);
	}
	pipe_keep_turn(&p->receiving, KEPT_PLACE);
	return rc;
}

int ipck_pipe_peek(struct ipck_pipe *p, const void **data, size_t *size, struct ipck_deadline deadline)
{
	uint64_t word = 0;
	size_t bytes;
	bool kept;
	int rc = check(p);

	if (rc < 0)
		return rc;
	if (pipe_keeps_place(&p->receiving) && pipe_take_kept(&p->receiving, KEPT_PLACE))
		return peek_again(p, data, size);
	rc = pipe_begin(p, &word, &kept, deadline);
	if (rc < 0)
		return rc;
	rc = message_size(p, word, kept, &bytes);
	if (rc == 0 && !(word & RECORD_LAST)) {
		*size = bytes;
		rc = -EMSGSIZE;
	}
	if (rc < 0) {
		leave(p, kept);
		return rc;
	}
	*data = lane_taken(&p->in);
	*size = bytes;
	pipe_keep_turn(&p->receiving, KEPT_PLACE);
	return 0;
}

int ipck_pipe_release(struct ipck_pipe *p)
{
	uint64_t word;
	int rc = check(p);

	if (rc < 0)
		return rc;
	if (!pipe_take_kept(&p->receiving, KEPT_PLACE))
		return -EPERM;
	rc = lane_peek(&p->in, &word);
	if (rc < 0)
		pipe_give_receiving(p);
	else
		pipe_finish(p, word);
	return rc;
}
