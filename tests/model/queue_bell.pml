/* SPDX-License-Identifier: MIT */
/*
 * A queue's bell (coll/bell.h, queue_bell.c), as a model for spin: those who put, and
 * those who only poll.  tests/model.sh says which variants and mutants there are, and
 * runs them.  Messages are counted here; what they are is in queue.pml.
 *
 * One step is one access to shared memory or one system call; what is atomic beside it
 * is local, or a ghost.  All is sequentially consistent, as the accesses in question are
 * seq_cst in the code.  Not here: reservations and what is given back, which no death rings for.
 *
 *	SENDERS    put SENDS times each
 *	POLLERS    poll, and get without waiting until there is nothing
 *	KILLS      how many may be killed, each before any of its steps
 *
 * Property: no poller is silent with something to get, but for what one was killed with
 * between its commit and its token, if no other sends after it.
 */
#ifndef SENDERS
#define SENDERS 2
#endif
#ifndef SENDS
#define SENDS 1
#endif
#ifndef POLLERS
#define POLLERS 1
#endif
#ifndef KILLS
#define KILLS 0
#endif

#define IDS (1 + SENDERS + POLLERS)

/* ---- shared ---- */

byte next, tail;
bool armed;
byte drained, rung;

/* ---- the kernel's ---- */

byte tokens;
byte getter; /* who has the lock */
bool gone[IDS];

/* ---- ghosts ---- */

bool owes[IDS]; /* it has committed, and not yet seen to the bell */
bool owing;     /* one was killed that owed, and nobody has committed since */
bool done[IDS];
byte kills;

/* queue_ring_armed */
inline ring()
{
	if
	:: atomic { !armed -> owes[me] = false }
	:: armed ->
		atomic { count = drained };
		if
		:: atomic { !(count & 1) && rung == count -> owes[me] = false }
		:: (count & 1) || rung != count ->
#ifdef RUNG_FIRST
			rung = count;
#endif
			atomic { tokens++; owes[me] = false };
#ifndef RUNG_FIRST
			rung = count
#endif
		fi;
		count = 0
	fi
}

proctype sender(byte me)
{
	byte n, count;

	{
		do
		:: n < SENDS ->
#ifdef LOOK_FIRST /* a store that passes later loads */
			ring();
#endif
			atomic { tail++; owes[me] = true; owing = false };
#ifndef LOOK_FIRST
			ring();
#endif
			n++
		:: else -> break
		od;
		done[me] = true
	} unless { gone[me] }
}

/* queue_silence */
inline silence()
{
#ifndef NOT_ODD
	drained = drained | 1;
#endif
	do
	:: tokens > 0 ->
#ifndef NO_SECOND_LOOK
		if
		:: next != tail -> break
		:: else
		fi;
#endif
#ifdef ALL_AT_ONCE
		tokens = 0
#else
		tokens--
#endif
	:: tokens == 0 -> break
	od;
#ifdef NOT_ODD
	drained = drained + 2
#else
	if
	:: drained & 1 -> drained++
	:: else
	fi
#endif
}

proctype poller(byte me)
{
	{
		armed = true;
		tokens++;
end_poll:	do
		:: tokens > 0 -> /* poll */
			atomic { getter == 0 -> getter = me };
			if
			:: next != tail -> next++
			:: else -> silence()
			fi;
			atomic { assert(getter == me); getter = 0 }
		od
	} unless { gone[me] }
}

proctype killer()
{
	byte i;

	do
	:: atomic { kills < KILLS ->
			select (i : 1 .. IDS - 1);
			if
			:: !gone[i] && !done[i] ->
				gone[i] = true;
				owing = owing || (i <= SENDERS && owes[i]);
				kills++
			:: else -> break
			fi
		};
		getter = (getter == i -> 0 : getter)
	:: break
	od
}

proctype watch()
{
	byte i, polling;

end_watch:
	atomic { timeout ->
		for (i : SENDERS + 1 .. IDS - 1) {
			polling = polling + !gone[i]
		}
		assert(next == tail || owing || polling == 0)
	}
}

init {
	byte i;

	atomic {
		for (i : 1 .. SENDERS) {
			run sender(i)
		}
		for (i : SENDERS + 1 .. IDS - 1) {
			run poller(i)
		}
#if KILLS
		run killer();
#endif
		run watch()
	}
}
