/* SPDX-License-Identifier: MIT */
/* Sending: whole messages, streams, and in place. */
#include <errno.h>

#include "coll/pipe.h"
#include "coll/spans.h"

/* After a seq access that the commit precedes. */
static void tell_receivers(struct ipck_pipe *p)
{
	evcount_notify(&p->out.shm->data, 1);
	bell_ring(&p->out.shm->bell, p->sock);
}

/* Of a stream: it is for the one that is in the message, if somebody is. */
static void tell_all_receivers(struct ipck_pipe *p)
{
	evcount_notify(&p->out.shm->data, EVCOUNT_ALL);
	bell_ring(&p->out.shm->bell, p->sock);
}

void pipe_put(struct ipck_pipe *p, uint32_t flags, size_t size)
{
	lane_commit(&p->out, flags, size);
	pipe_give_sending(p);
	tell_receivers(p);
}

/* Of killed receivers nobody tells: so it is looked after each eighth of a ring in
 * which nothing was taken, and whenever a handle was closed. */
static bool nobody_there(struct ipck_pipe *p)
{
	struct lane_shm *s = p->out.shm;
	uint32_t left = load_relaxed(&s->left);
	uint64_t head;

	if (unlikely(left != load_relaxed(&p->sending.left))) {
		store_relaxed(&p->sending.left, left);
		return pipe_hung_up(p);
	}
	if (likely(load_relaxed(&s->tail) - load_relaxed(&s->tail_checked) < p->out.size / 8))
		return load_relaxed(&p->hung_up);
	head = load_acquire(&s->head);
	if (head == load_relaxed(&s->head_seen) && pipe_hung_up(p))
		return true;
	store_relaxed(&s->head_seen, head);
	store_relaxed(&s->tail_checked, load_relaxed(&s->tail));
	return false;
}

int pipe_get_room(struct ipck_pipe *p, size_t size, struct ipck_deadline deadline)
{
	for (;;) {
		int rc = pipe_take_sending(p, deadline);

		if (rc < 0)
			return rc;
		if (unlikely(nobody_there(p)))
			rc = -EPIPE;
		else if (likely(lane_has_room(&p->out, size)))
			return 0;
		else if (lane_is_damaged(&p->out))
			rc = -EPROTO;
		pipe_give_sending(p);
		if (rc == 0)
			rc = pipe_wait_room(p, size, NO_STREAM, deadline);
		if (rc < 0)
			return rc;
	}
}

/* ---- streams ---- */

static void put_part(struct ipck_pipe *p, uint32_t flags, size_t size)
{
	lane_commit_seq(&p->out, flags, size);
	tell_all_receivers(p);
}

static int send_parts(struct ipck_pipe *p, struct spans *from, size_t total, struct ipck_deadline deadline)
{
	uint64_t begun = load_relaxed(&p->out.shm->tail);
	uint32_t flags = RECORD_FIRST;
	size_t left = total;

	while (left > 0) {
		size_t before = flags ? sizeof(uint64_t) : 0, piece = MIN(left, lane_part_max(&p->out) - before);
		char *room;

		while (!lane_has_room(&p->out, before + piece)) {
			int rc = lane_is_damaged(&p->out) ? -EPROTO : 0;

			if (rc == 0)
				rc = pipe_wait_room(p, before + piece, begun, deadline);
			if (rc < 0)
				return rc;
		}
		room = lane_room(&p->out);
		if (flags)
			memcpy(room, &(uint64_t){total}, sizeof(uint64_t));
		spans_gather(from, room + before, piece);
		left -= piece;
		put_part(p, flags | (left ? 0 : RECORD_LAST), before + piece);
		flags = 0;
	}
	return 0;
}

/* Others wait for their turn until it is through; who is not ready to wait as long
 * has nothing left of it at the other end. */
static int send_stream(struct ipck_pipe *p, struct spans *from, size_t total, struct ipck_deadline deadline)
{
	struct lane_shm *s = p->out.shm;
	uint64_t before;
	int rc = pipe_get_room(p, lane_part_max(&p->out), deadline);

	if (rc < 0)
		return rc;
	before = load_relaxed(&s->tail);
	store_relaxed(&s->sending, 1);
	rc = send_parts(p, from, total, deadline);
	if (rc < 0 && load_relaxed(&s->tail) != before)
		lane_abort(&p->out);
	store_relaxed(&s->sending, 0);
	pipe_give_sending(p);
	tell_all_receivers(p);
	return rc;
}

/* ---- the calls ---- */

static int check(struct ipck_pipe *p)
{
	pipe_enter(p);
	return p->out.shm && p->sock >= 0 ? 0 : -EBADF;
}

int ipck_pipe_sendv(struct ipck_pipe *p, const struct iovec *parts, int n, struct ipck_deadline deadline)
{
	struct spans from = {.parts = parts};
	size_t size;
	int rc = check(p);

	if (rc < 0)
		return rc;
	if (!spans_size(parts, n, &size))
		return -EINVAL;
	if (size > lane_whole_max(&p->out))
		return send_stream(p, &from, size, deadline);
	rc = pipe_get_room(p, size, deadline);
	if (rc < 0)
		return rc;
	spans_gather(&from, lane_room(&p->out), size);
	pipe_put(p, RECORD_WHOLE, size);
	return 0;
}

/* The common case at once: it is a whole message, nobody is in the way, and there is
 * room.  Else false, and nothing is changed. */
static bool send_quickly(struct ipck_pipe *p, const void *data, size_t size)
{
	struct turn *turn = &p->out.shm->send;
	uint64_t nobody = 0;

	if (size > lane_whole_max(&p->out) || !cas_acquire(&turn->owner, &nobody, p->me))
		return false;
	if (unlikely(nobody_there(p) || !lane_has_room(&p->out, size))) {
		turn_give(turn);
		return false;
	}
	lane_prepare(&p->out, size);
	if (size)
		memcpy(lane_room(&p->out), data, size);
	lane_commit(&p->out, RECORD_WHOLE, size);
	turn_give(turn);
	tell_receivers(p);
	return true;
}

int ipck_pipe_send(struct ipck_pipe *p, const void *data, size_t size, struct ipck_deadline deadline)
{
	const struct iovec part = {(void *)data, size};
	int rc = check(p);

	if (rc < 0)
		return rc;
	return likely(send_quickly(p, data, size)) ? 0 : ipck_pipe_sendv(p, &part, 1, deadline);
}

int ipck_pipe_reserve(struct ipck_pipe *p, size_t size, void **data, struct ipck_deadline deadline)
{
	int rc = check(p);

	if (rc == 0 && size > lane_whole_max(&p->out))
		rc = -EMSGSIZE;
	if (rc == 0)
		rc = pipe_get_room(p, size, deadline);
	if (rc < 0)
		return rc;
	p->reserved = size;
	pipe_keep_turn(&p->sending, KEPT_PLACE);
	*data = lane_room(&p->out);
	return 0;
}

int ipck_pipe_commit(struct ipck_pipe *p, size_t size)
{
	int rc = check(p);

	if (rc < 0)
		return rc;
	if (!pipe_take_kept(&p->sending, KEPT_PLACE))
		return -EPERM;
	if (size > p->reserved) {
		pipe_keep_turn(&p->sending, KEPT_PLACE);
		return -EINVAL;
	}
	pipe_put(p, RECORD_WHOLE, size);
	return 0;
}

void ipck_pipe_cancel(struct ipck_pipe *p)
{
	if (check(p) == 0 && pipe_take_kept(&p->sending, KEPT_PLACE))
		pipe_give_sending(p);
}
