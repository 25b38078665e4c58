/* SPDX-License-Identifier: MIT */
/*
 * Bell: makes a socket readable while there may be something to take, for poll and
 * epoll.  Until it is armed no operation makes a system call for it.
 *
 * Ringing puts a datagram into the socket pair, from the senders' end; draining
 * takes them out, in the receivers' turn, with nothing there to take.  There is one
 * in it from the beginning, so that the descriptor is readable when it is armed.
 *
 *	sender:    commits; gives its turn; if armed and not yet rung since the last
 *	           drain: puts a datagram in, says for which drain that was.
 *	receiver:  finds nothing.  Counts `drained` to odd (seq); sees a datagram; looks
 *	           again; only if there is still nothing takes the datagram out, and
 *	           goes on with the next one; counts to even.
 *
 * So a sender that relies on an earlier ring has seen `drained` before the receiver
 * counted, and the receiver's second look sees what that sender committed; the others
 * ring, and their datagrams lie behind the one that is taken out.  A datagram is never
 * gone while what it was put there for is to be taken.
 */
#ifndef COLL_BELL_H
#define COLL_BELL_H

#include <stdbool.h>

#include "base/atomic.h"
#include "base/compiler.h"

/*
 * armed: set by the first that wants the descriptor, for ever.
 * drained: twice the number of drains; odd while one is under way, or was when its
 *   receiver was killed: then nobody relies on an earlier ring.  Written by
 *   receivers in their turn.
 * rung: the `drained` for which a datagram is in the socket.  Written by any sender
 *   after it has put it there; an old value stored late only costs another one.
 *
 * A kill leaves
 * - a sender between its commit and the datagram: the bell not rung.  Sleepers of
 *   our own look again at their tick; the descriptor is rung by the next sender, or
 *   hangs up with the last.
 * - a sender between the datagram and `rung`: the bell rung twice, later.
 * - a receiver in a drain: `drained` odd until the next one takes over the turn.
 */
struct bell {
	uint32_t armed;
	uint32_t drained;
	uint32_t rung;
};

/* What a socket carries: datagrams that begin with one of these. */
enum datagram { DATAGRAM_BELL = 'b', DATAGRAM_FDS = 'f' };

/* Whether it is to be rung, and then that it was, for that drain. */
bool bell_due(const struct bell *bell, uint32_t *drained);
void bell_rung(struct bell *bell, uint32_t drained);

/* The part of bell_ring when it is armed. */
void bell_ring_armed(struct bell *bell, int sock);

/* After a commit, and after the turn was given (seq). */
static inline void bell_ring(struct bell *bell, int sock)
{
	if (unlikely(load_seq(&bell->armed)))
		bell_ring_armed(bell, sock);
}

/* Puts one datagram in, without a look at anything: the first of all.  -EAGAIN: no
 * room; or as send(2). */
int bell_put(int sock);

/* The kind of the first datagram that is in, or negative: there is none. */
int bell_first(int sock);

/* In the receivers' turn: drops it. */
void bell_take(int sock);

/* In the receivers' turn: nobody relies on an earlier ring until bell_repair (seq). */
void bell_silence(struct bell *bell);

/* In the receivers' turn, which may be taken over from one who died in a drain. */
void bell_repair(struct bell *bell);

#endif
