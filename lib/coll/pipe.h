/* SPDX-License-Identifier: MIT */
/*
 * Pipe: two lanes, and a socket pair.  The socket of an end is in each process that
 * has that end, so the kernel hangs up the other one with its last copy; it also
 * carries the bell (coll/bell.h) and descriptors.
 */
#ifndef COLL_PIPE_H
#define COLL_PIPE_H

#include <ipckit/pipe.h>
#include <pthread.h>

#include "base/fork.h"
#include "base/spin.h"
#include "coll/lane.h"
#include "mem/segment.h"

/*
 * sockets: the inodes of both ends' sockets, by which an end is known again.
 * lanes: 2, or 1: one way, to end 0.  bytes: of each ring.  All fixed at creation.
 * lane[i] leads to end i.
 */
struct pipe_shm {
	uint64_t sockets[2];
	uint64_t bytes;
	uint32_t lanes;
	struct lane_shm lane[2];
};

/* What a process keeps of a turn between its calls. */
enum kept {
	KEPT_NONE,  /* nothing: the turn is to be taken */
	KEPT_PART,  /* the turn is ours, with a part; any of our threads may go on */
	KEPT_PLACE, /* the turn is ours, with a peek or a reservation, to be ended by its call */
	KEPT_BUSY,  /* one of our threads is in it */
};

/* A message of which only a part has come. */
struct part {
	char *data;        /* room for the bytes, if a deadline may pass; filled when one has */
	size_t total, got; /* total 0: there is none (a stream is never empty) */
};

struct side {
	uint32_t kept;   /* enum kept; changed by compare-and-swap */
	uint32_t left;   /* of the lane, when it was last looked whether the other side is there */
	uint32_t run;    /* messages since the last that was waited for */
	struct spinner spinner;
	const char *who; /* the thread that keeps */
};

struct ipck_pipe {
	struct segment segment;
	struct pipe_shm *shm;
	int sock;      /* -1: closed in this process by who forked it */
	uint32_t side; /* which end */
	uint32_t epoch;
	uint64_t me; /* ident_word() */
	uint32_t hung_up;
	struct lane in, out;
	struct side receiving, sending;
	struct part part;        /* in the receivers' turn */
	size_t reserved;         /* in the senders' turn */
	struct ipck_pipe *next;  /* of this process' ends */
};

/* ---- pipe.c ---- */

/* The turns are of processes: a child that has the handle has none of them. */
void pipe_forked(struct ipck_pipe *p);

static inline void pipe_enter(struct ipck_pipe *p)
{
	if (unlikely(load_acquire(&p->epoch) != fork_epoch()))
		pipe_forked(p);
}

/* Tells all who wait at either end that a process leaves, so that they look. */
void pipe_leave_all(void);

/* Closes all ends of this process but those: in a child that has just been forked,
 * by who held the lock. */
void pipe_keep(struct ipck_pipe *const *keep, size_t n);
void pipe_list_lock(void);
void pipe_list_unlock(void);

/* ---- pipe_wait.c ---- */

/* Whether nobody has the other end. */
bool pipe_hung_up(struct ipck_pipe *p);

/*
 * Each returns 0 when it is worth a look: -ETIMEDOUT, -ECANCELED, or, with nothing
 * more to come, -EPIPE.
 * data: for a record.  part: for a stream's next; -EOWNERDEAD: its sender died.
 * room: for a record of that size; begun: where the stream began that it is of;
 * -EOWNERDEAD: its receiver died.
 */
int pipe_wait_data(struct ipck_pipe *p, struct ipck_deadline deadline);
int pipe_wait_part(struct ipck_pipe *p, struct ipck_deadline deadline);
#define NO_STREAM UINT64_MAX
int pipe_wait_room(struct ipck_pipe *p, size_t size, uint64_t begun, struct ipck_deadline deadline);

/* Spins for data, if that may do: true if there is some. */
bool pipe_spin_for_data(struct ipck_pipe *p);

/* ---- turns ---- */

/* With *kept: a part is gone on with.  0, or as turn_take; repaired.  -EDEADLK: this
 * thread keeps it. */
int pipe_take_receiving(struct ipck_pipe *p, bool *kept, struct ipck_deadline deadline);
int pipe_take_sending(struct ipck_pipe *p, struct ipck_deadline deadline);

/* Leaves the turn ours, for a later call. */
void pipe_keep_turn(struct side *side, enum kept what);

/* Whether this thread has peeked, or reserved. */
bool pipe_keeps_place(const struct side *side);

/* Takes up what is kept.  False: nothing is. */
bool pipe_take_kept(struct side *side, enum kept what);

void pipe_give_receiving(struct ipck_pipe *p);
void pipe_give_sending(struct ipck_pipe *p);

/* ---- pipe_fds.c ---- */

/* In the receivers' turn, with nothing to take since that was the first datagram: drops
 * it, unless it is descriptors that a message may name.  True: look again. */
bool pipe_drop_first(struct ipck_pipe *p, int first);

/* ---- pipe_recv.c ---- */

/*
 * The turn, with the first record of the next message (or, with *kept, with a part).
 * Negative: no turn.
 */
int pipe_begin(struct ipck_pipe *p, uint64_t *word, bool *kept, struct ipck_deadline deadline);

/* Gives the turn and leaves the message: another receiver was not woken for it. */
void pipe_pass_on(struct ipck_pipe *p);

/* The record is taken, the turn given, senders told. */
void pipe_finish(struct ipck_pipe *p, uint64_t word);

/* ---- pipe_send.c ---- */

/* The turn, with room for a whole message of that size. */
int pipe_get_room(struct ipck_pipe *p, size_t size, struct ipck_deadline deadline);

/* Commits the record, gives the turn, tells receivers. */
void pipe_put(struct ipck_pipe *p, uint32_t flags, size_t size);

#endif
