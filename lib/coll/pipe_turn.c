/* SPDX-License-Identifier: MIT */
/* The turns at a pipe's end: of this process, and of one of its threads. */
#include <errno.h>
#include <ipckit/defs.h>

#include "base/clock.h"
#include "coll/pipe.h"

static __thread char thread;

bool pipe_take_kept(struct side *side, enum kept what)
{
	uint32_t kept = what;

	return load_relaxed(&side->kept) == kept && cas_acquire(&side->kept, &kept, (uint32_t)KEPT_BUSY);
}

void pipe_keep_turn(struct side *side, enum kept what)
{
	store_relaxed(&side->who, (const char *)&thread);
	store_release(&side->kept, (uint32_t)what);
}

bool pipe_keeps_place(const struct side *side)
{
	return unlikely(load_acquire(&side->kept) == KEPT_PLACE) && load_relaxed(&side->who) == &thread;
}

static void forget_kept(struct side *side)
{
	if (load_relaxed(&side->kept) != KEPT_NONE)
		store_release(&side->kept, (uint32_t)KEPT_NONE);
}

/*
 * The turn, or what a thread of ours has kept of it.  A thread that waits for
 * another's turn looks for that at each tick.
 */
static int take(struct turn *turn, struct side *side, uint64_t me, bool *kept, struct ipck_deadline deadline)
{
	for (;;) {
		struct ipck_deadline soon = deadline;
		uint64_t nobody = 0;
		int rc;

		if (pipe_keeps_place(side))
			return -EDEADLK;
		*kept = pipe_take_kept(side, KEPT_PART);
		if (*kept)
			return 0;
		if (likely(cas_acquire(&turn->owner, &nobody, me)))
			return 0;
		soon.ns = MIN(deadline.ns, clock_now() + TICK_NS);
		rc = turn_wait(turn, me, soon);
		if (rc != -ETIMEDOUT || soon.ns == deadline.ns)
			return rc;
	}
}

/* In the turn of a dead one: what it was in the middle of. */
static void repair_receiving(struct ipck_pipe *p)
{
	bell_repair(&p->in.shm->bell);
	evcount_notify(&p->in.shm->space, EVCOUNT_ALL);
}

int pipe_take_receiving(struct ipck_pipe *p, bool *kept, struct ipck_deadline deadline)
{
	int rc = take(&p->in.shm->receive, &p->receiving, p->me, kept, deadline);

	if (rc == IPCK_OWNER_DIED)
		repair_receiving(p);
	return MIN(rc, 0);
}

int pipe_take_sending(struct ipck_pipe *p, struct ipck_deadline deadline)
{
	int rc;

	if (pipe_keeps_place(&p->sending))
		return -EDEADLK;
	rc = turn_take(&p->out.shm->send, p->me, deadline);
	if (rc != IPCK_OWNER_DIED)
		return rc;
	rc = lane_repair_sending(&p->out);
	/* It may have died between its commit and what it had to tell. */
	evcount_notify(&p->out.shm->data, EVCOUNT_ALL);
	bell_ring(&p->out.shm->bell, p->sock);
	if (rc < 0)
		turn_give(&p->out.shm->send);
	return rc;
}

void pipe_give_receiving(struct ipck_pipe *p)
{
	forget_kept(&p->receiving);
	turn_give(&p->in.shm->receive);
}

void pipe_give_sending(struct ipck_pipe *p)
{
	forget_kept(&p->sending);
	turn_give(&p->out.shm->send);
}
