/* SPDX-License-Identifier: MIT */
/*
 * A pipe's lane and bell, as a model for spin: two writers, one reader or two.
 * tests/model.sh says which variants and mutants there are, and runs them.
 *
 * One step is one access to shared memory or one system call; what is atomic beside
 * it is local, or a ghost: a variable for the properties alone, which no step tests.
 * All is sequentially consistent.  So the seq accesses are what they are in the code,
 * and a store of which the code asks less is put where it is seen at the latest, if
 * that matters (LOOK_BEFORE_GIVE).  Not here: streams, descriptors, hang-up, the
 * deadline, spinning, and the sleep for room, which mirrors the one for data: here it
 * is a blocking guard.  A record is one slot of the ring.
 *
 *	READERS     1 or 2
 *	POLLERS     how many of them poll the bell's descriptor (no tick helps them, as in
 *	            a poll of the user's own), rather than sleep on the event count
 *	ARMED       the bell is armed from the beginning, though nobody may poll
 *	FIRST_SENDS, SECOND_SENDS
 *	            the messages of each writer
 *	KILL_WRITER, KILL_READER
 *	            the first writer, the first reader may be killed before any of its steps
 *
 * Properties
 * - A tick is possible only when nothing else is; without a kill none is needed, and no
 *   more than one for each kill.
 * - In the end all that was committed was taken, once, in its writer's order, whole.
 *   With a poller: but for what a writer left that was killed between its commit and its
 *   datagram, if no other sends after it.
 * - Each turn is of one process at a time.
 */
#ifndef READERS
#define READERS 1
#endif
#ifndef FIRST_SENDS
#define FIRST_SENDS 1
#endif
#ifndef SECOND_SENDS
#define SECOND_SENDS 1
#endif
#ifndef POLLERS
#define POLLERS 0
#endif
#ifndef ARMED
#define ARMED false
#endif
#ifndef KILL_WRITER
#define KILL_WRITER 0
#endif
#ifndef KILL_READER
#define KILL_READER 0
#endif

#define WRITERS 2
#define messages(id) ((id) == 1 -> FIRST_SENDS : SECOND_SENDS)
#define RING 3 /* two records and the 0 behind them */
#define IDS (1 + WRITERS + READERS)
#define polls(id) ((id) - WRITERS <= POLLERS)

/* Owner words: 0, or an id, perhaps with this (coll/turn.h). */
#define AWAITED 8
#define owner_of(turn) ((turn) & 7)

/* A message is its writer and its number; never 0. */
#define message(id, n) ((id) << 2 | (n))
#define HALF 255

/* What a process sleeps on; the tick ends it, a wake, or its death. */
#define AWAKE 0
#define ON_DATA 1
#define ON_SEND 2
#define ON_RECEIVE 3

/* ---- shared: lane.h, bell.h, evcount.h ---- */

byte send, receive;
byte head, tail;
byte word[RING], bytes[RING];
byte data_seq, data_bound; /* the event count's two halves */
bool armed = ARMED;
byte drained, rung;

/* ---- the kernel's ---- */

byte datagrams = 1; /* one from the beginning */
byte asleep[IDS];
bool dead[IDS];

/* ---- ghosts ---- */

byte sending, receiving;      /* whose turn it is */
byte committed[1 + WRITERS];
byte taken[1 + WRITERS];
bool owes[1 + WRITERS];       /* it has committed, and not yet seen to the bell */
bool owing;                   /* one was killed that owed, and nobody has committed since */
bool done[1 + WRITERS];
byte kills, ticks;

#define slot(at) ((at) % RING)
#define at_head word[slot(head)]

/* ---- turns: coll/turn.h, turn.c ---- */

#define SEND send, sending, ON_SEND
#define RECEIVE receive, receiving, ON_RECEIVE

inline holds(holder)
{
	assert(holder == 0 || dead[holder]);
	holder = me
}

/* turn_take, turn_wait.  died: the turn is of a dead one. */
inline turn_take(turn, holder, place, waits, got)
{
	died = false;
	got = true;
	mark = 0;
	do
	:: atomic { turn == 0 -> turn = me | mark; holds(holder); break } /* cas_acquire */
	:: atomic { turn != 0 -> seen = turn; mark = AWAITED };
		if
#ifdef TAKE_UNPROVEN
		:: true ->
#else
		:: dead[owner_of(seen)] -> /* ident_word_dead */
#endif
			if
			:: atomic { turn == seen -> turn = me | AWAITED; holds(holder); died = true; break }
			:: turn != seen
			fi
		:: !dead[owner_of(seen)] ->
			if
			:: atomic { turn == seen ->
#ifndef SLEEP_UNSAID
				turn = seen | AWAITED; seen = turn
#endif
				};
				if
				:: !(waits) -> got = false; break /* the deadline has passed */
				:: else ->
					if
					:: atomic { turn == seen -> asleep[me] = place }; /* futex_wait */
end_turn:					asleep[me] == AWAKE
					:: turn != seen
					fi
				fi
			:: turn != seen
			fi
		fi
	od;
	atomic { seen = 0; mark = 0 }
}

/* The swap, and turn_wake. */
inline turn_give(turn, holder, place)
{
	atomic {
		assert(holder == me);
		seen = turn;
		turn = 0;
		holder = 0
	};
	if
	:: seen & AWAITED ->
		atomic {
			if
			:: asleep[1] == place -> asleep[1] = AWAKE
			:: asleep[2] == place -> asleep[2] = AWAKE
			:: asleep[3] == place -> asleep[3] = AWAKE
#if READERS == 2
			:: asleep[4] == place -> asleep[4] = AWAKE
#endif
			:: else
			fi
		}
	:: else
	fi;
	seen = 0
}

/* ---- the event count, of data: base/evcount.h, evcount.c ---- */

inline wake_one(woken)
{
	if
	:: asleep[3] == ON_DATA -> asleep[3] = AWAKE; woken = 1
#if READERS == 2
	:: asleep[4] == ON_DATA -> asleep[4] = AWAKE; woken = 1
#endif
	:: else -> woken = 0
	fi
}

/* evcount_notify: the look at who sleeps, evcount_wake.  A bound that is lowered. */
inline notify(all)
{
	if
	:: data_bound == 0
	:: data_bound > 0 ->
		atomic { sequence = data_seq; bound = data_bound };
		do
		:: atomic { data_seq == sequence && data_bound == bound -> data_seq++; sequence++; break } /* cas_seq */
		:: atomic { data_seq != sequence || data_bound != bound -> sequence = data_seq; bound = data_bound }
		od;
		atomic { /* futex_wake */
			wake_one(woken);
			if
			:: all && woken -> wake_one(woken); woken = 0
			:: else
			fi
		};
		atomic { /* cas_acq_rel */
			if
			:: data_seq == sequence && data_bound == bound && !woken -> data_bound = 0
			:: data_seq == sequence && data_bound == bound && woken && bound -> data_bound = bound - 1
			:: else
			fi;
			woken = 0; sequence = 0; bound = 0
		}
	fi
}

inline prepare()
{
	atomic { data_bound++; key = data_seq } /* add_seq */
}

inline cancel()
{
	do
	:: atomic { data_seq == key && data_bound > 0 -> bound = data_bound };
		if
		:: atomic { data_seq == key && data_bound == bound -> data_bound--; break } /* cas_acq_rel */
		:: data_seq != key || data_bound != bound
		fi
	:: data_seq != key || data_bound == 0 -> break
	od;
	atomic { key = 0; bound = 0 }
}

/* ---- the bell: coll/bell.h, bell.c ---- */

/* bell_ring */
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
			atomic { datagrams++; owes[me] = false };
#ifndef RUNG_FIRST
			rung = count
#endif
		fi;
		count = 0
	fi
}

/* bell_repair */
inline even()
{
	if
	:: atomic { drained & 1 -> drained++ } /* of who has the turn, alone */
	:: else
	fi
}

/* ---- writers: coll/pipe_send.c, pipe_turn.c, lane.h, lane.c ---- */

/* pipe_take_sending, of a dead one */
inline repair_sending()
{
#ifndef TAIL_LAGS
	do
	:: word[slot(tail)] -> tail++
	:: !word[slot(tail)] -> break
	od;
#endif
	notify(true);
	ring()
}

#define has_room (tail + 2 <= head + RING)

/* pipe_get_room */
inline get_room()
{
	do
	:: turn_take(SEND, true, got);
		if
		:: died -> repair_sending()
		:: else
		fi;
		if
		:: has_room -> break
		:: !has_room -> turn_give(SEND);
end_room:		has_room
		fi
	od
}

inline commit(n)
{
	atomic {
		word[slot(tail)] = message(me, n);
		committed[me]++;
		owes[me] = true;
		owing = false
	}
}

/* lane_commit */
inline put(n)
{
#ifdef COMMIT_FIRST
	word[slot(tail + 1)] = 0;
	commit(n);
	bytes[slot(tail)] = HALF;
	bytes[slot(tail)] = message(me, n);
#else
	bytes[slot(tail)] = HALF;
	bytes[slot(tail)] = message(me, n);
#ifndef NO_ZERO
	word[slot(tail + 1)] = 0;
#endif
#ifndef LOOK_BEFORE_GIVE
	commit(n);
#endif
#endif
#ifdef LOOK_BEFORE_GIVE /* a release store passes later loads, until the swap */
	notify(false);
	ring();
	commit(n);
#endif
	tail++
}

proctype writer(byte me)
{
	byte n, seen, mark, sequence, bound, woken, count;
	bool died, got;

	{
		do
		:: n < messages(me) ->
			get_room();
			put(n);
			turn_give(SEND);
#ifndef LOOK_BEFORE_GIVE
			notify(false);
			ring();
#endif
			n++
		:: else -> break
		od;
		done[me] = true
	} unless { dead[me] }
}

/* ---- readers: coll/pipe_recv.c, pipe_wait.c ---- */

/* lane_peek */
inline look()
{
	m = at_head
}

/* silence, and find_first */
inline find_silently()
{
	if
	:: !armed
	:: armed ->
#ifndef NOT_ODD
		drained = drained | 1;
#endif
#if !defined(LOOK_LATE) && !defined(NO_SECOND_LOOK)
		do
		:: datagrams > 0 -> /* MSG_PEEK */
			look();
			if
			:: m -> break
			:: else -> datagrams-- /* recv: of that one, which was there before the look */
			fi
		:: datagrams == 0 -> look(); break
		od;
#else
		do
		:: datagrams > 0 -> datagrams-- /* MSG_PEEK, recv */
		:: datagrams == 0 -> break
		od;
#endif
#ifdef NOT_ODD
		drained = drained + 2;
#else
		even();
#endif
#ifdef LOOK_LATE
		look()
#endif
	fi
}

/* pipe_finish, with the message that the caller has then. */
inline finish()
{
	assert(bytes[slot(head)] == m);
	atomic {
		assert(at_head == m);
		assert((m & 3) == taken[m >> 2]);
		taken[m >> 2]++;
		head++
	};
	m = 0;
	turn_give(RECEIVE)
}

/* lane_has_record */
inline has_record()
{
	do
	:: atomic { at = head };
		atomic { m = word[slot(at)] };
		if
		:: head == at -> break
		:: head != at
		fi
	od;
	at = 0
}

/* pipe_wait_data */
inline wait_data()
{
	prepare();
	do
	::
#ifndef NO_SECOND_TEST
		has_record();
		if
		:: m -> break
		:: else
		fi;
#endif
		if
		:: atomic { data_seq == key -> asleep[me] = ON_DATA }; /* futex_wait */
end_data:		asleep[me] == AWAKE
		:: data_seq != key
		fi;
#ifdef NO_SECOND_TEST
		has_record();
		if
		:: m -> break
		:: else
		fi;
#endif
		if
		:: data_seq != key -> prepare()
		:: data_seq == key
		fi
	od;
	cancel();
	m = 0
}

/* Receives without waiting until there is nothing, as the manual says, and then waits. */
proctype reader(byte me)
{
	byte m, at, seen, mark, key, bound;
	bool died, got;

	{
		if
		:: polls(me) -> armed = true /* ipck_pipe_fd */
		:: else
		fi;
		do
		:: turn_take(RECEIVE, !polls(me), got);
			if
			:: died -> even() /* repair_receiving */
			:: else
			fi;
			if
			:: got -> look();
				if
				:: m == 0 -> find_silently()
				:: else
				fi;
				if
#ifdef ASKS /* ipck_pipe_poll: takes nothing */
				:: m -> turn_give(RECEIVE); m = 0; got = false
#else
				:: m -> finish(); got = true
#endif
				:: else -> turn_give(RECEIVE); got = false
				fi
			:: else
			fi;
			if
			:: got
			:: !got && !polls(me) -> wait_data()
			:: !got && polls(me) ->
end_poll:			datagrams > 0 /* poll */
			fi
		od
	} unless { dead[me] }
}

/* ---- kills and ticks ---- */

proctype killer()
{
	do
	:: atomic { KILL_WRITER && !dead[1] && !done[1] ->
			dead[1] = true; asleep[1] = AWAKE; owing = owing || owes[1]; kills++ }
	:: atomic { KILL_READER && !dead[3] -> dead[3] = true; asleep[3] = AWAKE; kills++ }
	:: break
	od
}

#define wrote(id) (done[id] || dead[id])
#if READERS == 2
#define sleeper_there (asleep[1] || asleep[2] || asleep[3] || asleep[4])
#else
#define sleeper_there (asleep[1] || asleep[2] || asleep[3])
#endif

inline tick()
{
	for (i : 1 .. WRITERS + READERS) {
		asleep[i] = AWAKE
	}
	i = 0;
	ticks++;
	assert(ticks <= kills)
}

proctype watch()
{
	byte i;

end_watch:
	do
	:: atomic { timeout ->
			if
			:: at_head == 0 && wrote(1) && wrote(2) ->
				assert(taken[1] == committed[1] && taken[2] == committed[2]);
				break
			:: else ->
				if
				:: sleeper_there -> tick()
				:: else -> assert(owing); break /* a poller, and nobody to ring */
				fi
			fi
		}
	od
}

init {
	atomic {
		run writer(1);
		run writer(2);
		run reader(3);
#if READERS == 2
		run reader(4);
#endif
#if KILL_WRITER || KILL_READER
		run killer();
#endif
		run watch()
	}
}
