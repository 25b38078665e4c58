/* SPDX-License-Identifier: MIT */
/*
 * A queue's entries and marks (coll/queue.h, entry.h, queue_put.c, queue_get.c,
 * queue_note.c, queue_done.c), as a model for spin.  tests/model.sh says which variants and
 * mutants there are, and runs them.  The bell is queue_bell.pml.
 *
 * One step is one store to shared memory or one system call.  What only the holder of a
 * lock changes he reads together with that; so do the looks without the lock, which are
 * taken again at the next tick, but not queue_may_get: it reads word by word.  Stores
 * that nobody can see yet are one: the note before `noted`, an entry's head before tail.
 *
 * All is sequentially consistent.  So it is not shown that the code's orders are strong
 * enough: that READY and tail are seen after the bytes, the words of the note before
 * `noted` by who repairs, `closed` before tail by is_drained.
 *
 * Not here: sizes and fillers (an entry is one slot), runs of several, max_items,
 * deadlines, spinning, threads, and the event count, of which there is what evcount.pml shows:
 * a notification ends the sleep of one or all who sleep, and of all who are about to.
 *
 *	PRODUCERS  put PUTS times each
 *	RESERVES   how many of them, the first, do it by reserve, and commit or cancel
 *	KEEPS      or, perhaps, keep it for ever; and the first consumer may have enough
 *	CONSUMERS  get for ever
 *	PEEKERS    how many of them, the first, peek, and release or refuse
 *	REFUSALS   how often in all
 *	RING       how many entries there is room for
 *	JOIN       what was got is marked as done, and one process joins; LEASES: with leases
 *	SHUT       1: one process shuts down, draining; 2: at once
 *	KILLS      how many may be killed, each before any of its steps
 *	LOOKS      how often in all a sleeper may look, from the first kill on, at any moment
 *
 * Who is killed does no further step; then the kernel gives its locks back, and only
 * later it can be told that it is dead.
 *
 * Properties
 * - A tick is possible only when nothing else is.  Nobody sleeps for ever that could go on: with no
 *   tick; with one for each kill, two with JOIN or SHUT; with one for each reservation that was
 *   canceled, as nobody is told that what is no message was passed over.
 * - What was put is got, or there, or held, or was thrown away by an end at once; it is
 *   got once, whole, and no two live ones hold it.  Each producer's messages leave `next`
 *   in their order.
 * - No head passes what is there, or held.  What is counted is what there is.
 * - Who finds the queue shut and drained leaves nothing.  Who has joined was there when all was done.
 */
#ifndef PRODUCERS
#define PRODUCERS 1
#endif
#ifndef PUTS
#define PUTS 1
#endif
#ifndef RESERVES
#define RESERVES 0
#endif
#ifndef CONSUMERS
#define CONSUMERS 1
#endif
#ifndef PEEKERS
#define PEEKERS 0
#endif
#ifndef REFUSALS
#define REFUSALS 1
#endif
#ifndef RING
#define RING 2
#endif
#ifndef JOIN
#define JOIN 0
#endif
#ifndef LEASES
#define LEASES 0
#endif
#ifndef SHUT
#define SHUT 0
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef LOOKS
#define LOOKS 1
#endif

#if SHUT
#define IDS (2 + PRODUCERS + CONSUMERS + JOIN)
#else
#define IDS (1 + PRODUCERS + CONSUMERS + JOIN)
#endif
#define MESSAGES (PRODUCERS * PUTS)
#define slot(place) ((place) % RING)
#define ALL true
#define ONE false

/* A message that is not whole; no place; no word to be noted. */
#define HALF 255
#define NOWHERE 255
#define SAME 0

/* entry.h */
#define RESERVED 1
#define READY 2
#define TAKEN 3
#define RETURNED 4
#define DONE 5
#define VOID 6
#define is_held(w) ((w) == TAKEN || (w) == RETURNED)

/* closed */
#define OPEN 0
#define DRAINS 1
#define CLOSED 2

/* What a process is registered for. */
#define DATA 1
#define ROOM 2
#define JOINED 3

/* ---- shared ---- */

byte head, next, tail;
byte word[RING], owner[RING], bytes[RING];
byte reserved_at = NOWHERE;
byte held, returned, finished, zeroes, closed;
byte note_next, note_finished, note_held, note_returned, note_zeroes, note_place, note_word;
byte noted;
byte on[IDS]; /* the event counts: who is registered */

/* ---- the kernel's ---- */

byte putter, getter; /* who has the lock */
bool orphaned;       /* `get`: its holder died */
bool asleep[IDS], ticked[IDS];
bool gone[IDS]; /* killed */
bool dead[IDS]; /* and it can be told */

/* ---- ghosts ---- */

#define THERE 1
#define ENDED 2  /* got for good */
#define THROWN 3
byte fate[MESSAGES];
byte hands[MESSAGES];  /* who holds it */
byte order[PRODUCERS]; /* of each the number that may be the next to leave `next` */
byte undone;           /* how many were put and not done */
bool was_zero;         /* since the join began */
bool done[IDS];
byte kills, ticks, cancels, looks, refusals;

/* ---- what is there, for properties alone ---- */

#define message_at(place) bytes[slot(place)]

/* At next, and what is there leaves it. */
inline leaves(place)
{
	m = message_at(place);
	assert(m != HALF && fate[m] == THERE);
	assert(m % PUTS >= order[m / PUTS]);
	order[m / PUTS] = m % PUTS + 1
}

inline all_done(n)
{
	assert(!JOIN || undone >= (n));
	undone = undone - (JOIN -> (n) : 0);
	was_zero = was_zero || undone == 0
}

/* A change is noted: what that means. */
inline was_noted(place, how, finishes)
{
	if
	:: how == TAKEN ->
		if
		:: place == next -> leaves(place)
		:: else -> m = message_at(place); assert(word[slot(place)] == RETURNED)
		fi;
		assert(fate[m] == THERE && (hands[m] == 0 || gone[hands[m]]));
		hands[m] = me
	:: how == RETURNED -> m = message_at(place); assert(fate[m] == THERE); hands[m] = 0
	:: how == DONE -> m = message_at(place); assert(fate[m] == THERE); hands[m] = 0; fate[m] = ENDED
	:: else
	fi;
	m = 0;
	all_done(finishes)
}

/* With the lock, repaired. */
inline check()
{
	assert(head <= next && next <= tail && tail <= head + RING);
	n = 0;
	m = 0;
	for (at : head .. head + RING - 1) {
		n = n + (at < next && word[slot(at)] == TAKEN);
		m = m + (at < next && word[slot(at)] == RETURNED);
		/* queue_count */
		assert(!(at >= next && at < tail) || word[slot(at)] == READY || (reserved_at != NOWHERE && reserved_at >= next));
	}
	assert(n == held && m == returned);
	n = 0; m = 0; at = 0
}

/* ---- the event counts ---- */

inline notify(event, all)
{
	atomic {
		for (i : 1 .. IDS - 1) {
			if
			:: on[i] == event && (all || !asleep[i]) -> on[i] = 0
			:: else
			fi
		}
		i = 0;
		if
		:: !all && on[1] == event -> on[1] = 0
		:: !all && on[2] == event -> on[2] = 0
#if IDS > 3
		:: !all && on[3] == event -> on[3] = 0
#endif
#if IDS > 4
		:: !all && on[4] == event -> on[4] = 0
#endif
#if IDS > 5
		:: !all && on[5] == event -> on[5] = 0
#endif
		:: else
		fi
	}
}

/* looking: it was a tick, or some other moment to look. */
inline sleep(event)
{
	if
	:: atomic { on[me] == event -> asleep[me] = true };
end_asleep:	if
		:: atomic { on[me] == 0 -> asleep[me] = false; ticked[me] = false }
		:: atomic { ticked[me] -> asleep[me] = false; ticked[me] = false; looking = true }
		:: atomic { kills && looks < LOOKS -> asleep[me] = false; looks++; looking = true }
		fi
	:: on[me] == 0
	fi
}

/* ---- under `get`: queue_note.c ---- */

/* What is done with the lock: step by step, each of which may be the last. */
#define GET 1
#define PEEK 2
#define RELEASE 3
#define REFUSE 4
#define FINISH 5
#define LOOK 6
#define JOIN_BEGINS 7
#define CLOSE 8

#ifdef UNNOTED
#define NOTED 2
#else
#define NOTED 1
#endif

/* queue_do; `more` are done by the count, `finishes` of them messages. */
inline note(now, place, how, holds, returns, more, finishes)
{
	was_noted(place, how, finishes);
	note_next = now; note_place = place; note_word = how;
	note_held = held + holds; note_returned = returned + returns;
	note_finished = finished + (JOIN -> more : 0);
	note_zeroes = zeroes + (JOIN && more > 0 && note_finished == tail);
	noted = NOTED
}

/* do_noted: the next store of those that change something. */
inline do_noted()
{
	if
	:: note_word != SAME && word[slot(note_place)] != note_word -> word[slot(note_place)] = note_word
	:: else ->
		if
		:: finished != note_finished -> finished = note_finished
		:: else ->
			if
			:: held != note_held -> held = note_held
			:: else ->
				if
				:: returned != note_returned -> returned = note_returned
				:: else ->
					if
					:: zeroes != note_zeroes -> zeroes = note_zeroes
					:: else ->
						if
						:: next != note_next -> next = note_next
						:: else ->
							noted = 0; note_next = 0; note_finished = 0; note_held = 0;
							note_returned = 0; note_zeroes = 0; note_place = 0; note_word = 0
						fi
					fi
				fi
			fi
		fi
	fi
}

#ifdef HEAD_PASSES
#define lags (head < next)
#else
#define lags (head < next && !is_held(word[slot(head)]))
#endif

/* queue_move_head */
inline move_head()
{
	do
	:: lags ->
		assert(message_at(head) == HALF || fate[message_at(head)] != THERE);
		head++
	:: else -> break
	od
}

/* The first before next that is held in that way, of a dead one or of any: place, or NOWHERE. */
inline find_held(how, any)
{
	p = NOWHERE;
	for (at : head .. head + RING - 1) {
		if
		:: p == NOWHERE && at < next && word[slot(at)] == how && (any || dead[owner[slot(at)]]) -> p = at
		:: else
		fi
	}
	at = 0
}

/* queue_end_one: when it is closed nobody would get it any more. */
inline end_one(place, how, finish)
{
	note(next, place, (how == RETURNED && closed == CLOSED -> DONE : how),
		0 - (word[slot(place)] == TAKEN),
		(how == RETURNED && closed != CLOSED) - (word[slot(place)] == RETURNED),
		finish || (how == RETURNED && closed == CLOSED), finish || (how == RETURNED && closed == CLOSED))
}

/* queue_discard: one more, or all that is not before next. */
inline discard()
{
	find_held(RETURNED, true);
	if
	:: p != NOWHERE -> end_one(p, DONE, true)
	:: else ->
		for (at : next .. next + RING - 1) {
			if
			:: at < tail && word[slot(at)] == READY -> leaves(at); fate[m] = THROWN; all_done(1)
			:: else
			fi
		}
		at = 0;
		note(tail, NOWHERE, SAME, 0, 0, tail - next, 0)
	fi;
	p = 0
}

/* queue_bury: one more. */
inline bury()
{
#ifdef BURY_LIVE
	find_held(TAKEN, true);
#else
	find_held(TAKEN, false);
#endif
	if
	:: p != NOWHERE -> end_one(p, RETURNED, false); buried = true
	:: else ->
		if
		:: next < tail && word[slot(next)] == RESERVED && dead[owner[slot(next)]] ->
			word[slot(next)] = VOID;
			buried = true
#ifndef VOID_STAYS
		:: next < tail && word[slot(next)] == VOID && returned == 0 ->
			note(next + 1, NOWHERE, SAME, 0, 0, 1, 0);
			buried = true
#endif
		:: else -> leave = true
		fi
	fi;
	p = 0
}

#define is_drained (closed == DRAINS && next == tail && returned == 0 && held == 0)

inline take(peeks)
{
	mine = message_at(own);
	assert(mine != HALF && fate[mine] == THERE);
	acted = true;
	if
	:: peeks ->
		owner[slot(own)] = me;
		note(next + (own == next), own, TAKEN, 1, 0 - (own != next), 0, 0)
	:: !peeks && own != next -> end_one(own, DONE, false)
	:: !peeks && own == next -> leaves(own); fate[mine] = ENDED; next++
	fi
}

/* queue_find, and what is done with it */
inline get_found(peeks)
{
	find_held(RETURNED, true);
	own = p;
	p = 0;
	if
	:: closed == CLOSED -> shut = true; leave = true
	:: closed != CLOSED && returned > 0 -> assert(own != NOWHERE); take(peeks)
	:: closed != CLOSED && returned == 0 && next < tail ->
		assert(word[slot(next)] == RESERVED || word[slot(next)] == READY || word[slot(next)] == VOID);
		if
		:: word[slot(next)] == READY -> own = next; take(peeks)
		:: word[slot(next)] == VOID -> note(next + 1, NOWHERE, SAME, 0, 0, 1, 0)
		:: else -> leave = true
		fi
	:: else -> shut = is_drained; leave = true
	fi
}

inline choose(op)
{
	check();
	if
	:: (died || (op == CLOSE && acted)) && closed == CLOSED && (returned || next != tail) -> discard()
	:: else ->
		died = false;
		if
		:: op == LOOK -> bury()
		:: op != LOOK && acted -> leave = true
		:: op == GET && !acted -> get_found(false)
		:: op == PEEK && !acted -> get_found(true)
		:: (op == RELEASE || op == REFUSE) && !acted ->
			assert(word[slot(own)] == TAKEN && owner[slot(own)] == me && message_at(own) == mine);
			end_one(own, (op == REFUSE -> RETURNED : DONE), op == RELEASE && LEASES);
			acted = true
		:: op == FINISH && !acted ->
			assert(finished < tail);
			if
			:: finished + 1 < tail -> finished++; all_done(1)
			:: else -> note(next, NOWHERE, SAME, 0, 0, 1, 1)
			fi;
			acted = true
		:: op == JOIN_BEGINS && !acted ->
			own = zeroes; shut = finished == tail; was_zero = undone == 0;
			leave = true
		:: op == CLOSE && !acted -> closed = CLOSED; acted = true
		fi
	fi;
	m = 0
}

inline with_get(op)
{
	d_step {
		getter == 0 -> getter = me;
		died = orphaned;
		orphaned = false;
		noted = (noted == 2 -> 0 : noted)
	};
	do
	:: d_step { noted -> do_noted() }
	:: d_step { !noted && lags -> move_head(); skip }
	:: d_step { !noted && !lags && !leave -> choose(op) }
	:: atomic { !noted && !lags && leave -> leave = false; acted = false; getter = 0; break }
	od;
#ifndef ROOM_UNTOLD
	notify(ROOM, ALL);
#endif
	if
	:: closed != OPEN -> notify(DATA, ALL)
	:: else
	fi
}

inline tell_of_end()
{
	if
	:: returned || closed != OPEN -> notify(DATA, ALL)
	:: else
	fi;
	if
	:: JOIN -> notify(JOINED, ALL)
	:: else
	fi
}

/* ---- looks ---- */

#ifdef VOID_STAYS
#define in_the_way(w) ((w) == RESERVED)
#else
#define in_the_way(w) ((w) == RESERVED || (w) == VOID)
#endif
#ifdef CLOSED_UNSEEN
#define half_closed false
#else
#define half_closed (closed == CLOSED && next != tail)
#endif

/* queue_look */
inline look()
{
#ifndef NO_LOOK
	if
	:: held || noted || head != next || in_the_way(word[slot(next)]) || half_closed ->
		with_get(LOOK);
		if
		:: buried -> buried = false; tell_of_end()
		:: else
		fi
	:: else
	fi;
#endif
	looking = false
}

/* ---- producers: queue_put.c ---- */

#define has_room (tail < head + RING)

/* wait_for_room */
inline wait_for_room()
{
	do
	:: on[me] = ROOM;
		if
		:: closed != OPEN || has_room -> on[me] = 0; break
		:: else -> sleep(ROOM)
		fi;
		if
		:: looking && !(closed != OPEN || has_room) -> look()
		:: else
		fi;
		looking = false
	od
}

/* Under `put`, or, if the queue is shut, not. */
inline begin()
{
	do
	:: atomic { putter == 0 -> putter = me };
		if
		:: closed != OPEN -> shut = true; putter = 0; break
		:: closed == OPEN && has_room -> break
		:: else -> putter = 0; wait_for_room()
		fi
	od
}

inline write_bytes(place)
{
	bytes[slot(place)] = HALF;
	bytes[slot(place)] = mine
}

inline is_there()
{
	fate[mine] = THERE;
	undone = undone + JOIN
}

inline put()
{
#ifdef COMMIT_FIRST
	atomic { word[slot(tail)] = READY; bytes[slot(tail)] = HALF };
	atomic { tail++; is_there() };
	bytes[slot(tail - 1)] = mine;
#else
	word[slot(tail)] = READY;
	write_bytes(tail);
	atomic { tail++; is_there() };
#endif
	putter = 0;
	notify(DATA, ONE)
}

/* What is thrown away while it is reserved its owner does not hear of. */
inline commit()
{
	atomic {
		word[slot(own)] = READY;
		if
		:: own >= next -> is_there()
		:: else -> fate[mine] = THROWN
		fi
	};
#ifdef COMMIT_TELLS_ONE
	notify(DATA, ONE)
#else
	if
	:: tail == own + 1 -> notify(DATA, ONE)
	:: else -> notify(DATA, ALL)
	fi
#endif
}

inline reserve()
{
	atomic { word[slot(tail)] = RESERVED; owner[slot(tail)] = me };
#ifndef NO_RESERVED_AT
	reserved_at = tail;
#endif
	atomic { own = tail; tail++ };
	putter = 0;
	write_bytes(own);
	if
	:: commit()
	:: atomic { word[slot(own)] = VOID; cancels++ };
		notify(DATA, ALL)
#ifdef KEEPS
	:: true ->
end_keeps:	false
#endif
	fi;
	own = 0
}

proctype producer(byte me)
{
	byte mine, own, i, m, n, p, at;
	bool shut, died, looking, buried, leave, acted;

	{
		mine = (me - 1) * PUTS;
		do
		:: mine < me * PUTS ->
			begin();
			if
			:: shut -> break
			:: !shut && me <= RESERVES -> reserve()
			:: !shut && me > RESERVES -> put()
			fi;
			mine++
		:: else -> break
		od;
		done[me] = true
	} unless { gone[me] }
}

/* ---- consumers: queue_get.c ---- */

/* queue_may_get */
inline may_get()
{
	at = next;
	may = false;
	if
	:: at != tail ->
#ifdef READ_ONCE
		may = word[slot(at)] != RESERVED
#else
		may = word[slot(at)] != RESERVED;
		may = may || next != at
#endif
	:: else
	fi;
	may = may || returned || closed == CLOSED || is_drained;
	at = 0
}

inline wait_for_message()
{
	do
	::
#ifndef NO_SECOND_TEST
		on[me] = DATA;
#endif
		may_get();
#ifdef NO_SECOND_TEST
		if
		:: !may -> on[me] = DATA
		:: else
		fi;
#endif
		if
		:: may -> atomic { on[me] = 0; may = false; break }
		:: else -> sleep(DATA)
		fi;
		if
		:: looking -> look()
		:: else
		fi
	od
}

/* The message that it holds stays as it is: that is looked at last when it is ended. */
proctype consumer(byte me)
{
	byte mine, own, i, m, n, p, at, op;
	bool shut, died, looking, buried, may, leave, acted;

	{
		op = (me <= PRODUCERS + PEEKERS -> PEEK : GET);
		do
		:: with_get(op);
			if
			:: shut -> break
			:: !shut && op <= PEEK && own == NOWHERE -> wait_for_message()
			:: !shut && op == PEEK && own != NOWHERE ->
				if
				:: op = RELEASE
				:: d_step { refusals < REFUSALS -> refusals++; op = REFUSE }
				fi
			:: else ->
				if
				:: op == RELEASE || op == REFUSE -> tell_of_end()
				:: op == FINISH -> notify(JOINED, ALL)
				:: else
				fi;
				d_step {
					if
					:: JOIN && !LEASES && (op == RELEASE || op == GET) -> op = FINISH
					:: else -> op = (me <= PRODUCERS + PEEKERS -> PEEK : GET); own = 0; mine = 0
					fi
				};
#ifdef KEEPS
				if
				:: me == PRODUCERS + 1 -> break
				:: true
				fi
#endif
			fi
		od;
		atomic {
			for (m : 0 .. MESSAGES - 1) {
				assert(!shut || fate[m] != THERE || closed == CLOSED)
			}
			done[me] = true
		}
	} unless { gone[me] }
}

/* ---- joining and shutting down: queue_done.c ---- */

proctype joiner(byte me)
{
	byte mine, own, i, m, n, p, at;
	bool shut, died, looking, buried, leave, acted;

	{
		with_get(JOIN_BEGINS);
		do
		:: shut || zeroes != own -> break
		:: else -> on[me] = JOINED;
			if
			:: zeroes != own
			:: else -> sleep(JOINED);
				if
				:: looking -> look()
				:: else
				fi
			fi
		od;
		assert(was_zero);
		d_step { on[me] = 0; done[me] = true }
	} unless { gone[me] }
}

proctype ender(byte me)
{
	byte mine, own, i, m, n, p, at;
	bool shut, died, buried, leave, acted;

	{
		atomic { putter == 0 -> putter = me };
#if SHUT == 2
		with_get(CLOSE);
#else
		closed = DRAINS;
#endif
		putter = 0;
		notify(DATA, ALL);
		notify(ROOM, ALL);
		notify(JOINED, ALL);
		done[me] = true
	} unless { gone[me] }
}

/* ---- kills and ticks ---- */

proctype killer()
{
	byte i;

	do
	:: atomic { kills < KILLS ->
			select (i : 1 .. IDS - 1);
			if
			:: !gone[i] && !done[i] -> gone[i] = true; kills++
			:: else -> break
			fi
		};
		atomic {
			asleep[i] = false;
			putter = (putter == i -> 0 : putter);
			if
			:: getter == i -> getter = 0; orphaned = true
			:: else
			fi
		};
		dead[i] = true
	:: break
	od
}

inline tick()
{
	ticks++;
	for (i : 1 .. IDS - 1) {
		ticked[i] = asleep[i]
	}
}

#define sleeps(id, event) (!gone[id] && !done[id] && on[id] == event)
#define no_message(w, id) ((w) == VOID || ((w) == RESERVED && dead[id]))

/* taken: by the dead.  barred: of what is a message, or will be. */
inline look_around()
{
	taken = false;
	at = head;
	barred = head;
	do
	:: at < tail ->
		taken = taken || (at < next && word[slot(at)] == TAKEN && dead[owner[slot(at)]]);
		if
		:: barred == at && (at < next -> !is_held(word[slot(at)]) : no_message(word[slot(at)], owner[slot(at)])) -> barred++
		:: else
		fi;
		at++
	:: else -> break
	od;
	at = 0
}

/* With all asleep, or ended, nobody is whom more than a tick would help. */
inline all_well()
{
	look_around();
	for (i : 1 .. IDS - 1) {
		assert(!sleeps(i, DATA) || !(taken || noted || returned || closed == CLOSED || is_drained));
		assert(!sleeps(i, DATA) || next == tail || (word[slot(next)] == RESERVED && !dead[owner[slot(next)]]));
		assert(!sleeps(i, ROOM) || (closed == OPEN && tail >= barred + RING && !noted));
		assert(!sleeps(i, JOINED) || !(undone == 0 || noted || (closed == CLOSED && (taken || next != tail))));
	}
	at = 0;
	for (i : 0 .. MESSAGES - 1) {
		at = at + (fate[i] == THERE)
	}
	for (i : head .. head + RING - 1) {
		at = at - (noted -> 0 : (i < next && is_held(word[slot(i)])) || (i >= next && i < tail && word[slot(i)] == READY))
	}
	assert(at == 0 || noted || closed == CLOSED)
}

proctype watch()
{
	byte i, at, barred;
	bool taken, once_more;

end_watch:
	do
	:: atomic { timeout ->
			if
			:: ticks < kills * (1 + (JOIN || SHUT)) + cancels -> tick()
			:: else -> all_well(); break
			fi
		}
	od
}

init {
	byte i;

	atomic {
		for (i : 0 .. RING - 1) {
			bytes[i] = HALF
		}
		for (i : 1 .. PRODUCERS) {
			run producer(i)
		}
		for (i : PRODUCERS + 1 .. PRODUCERS + CONSUMERS) {
			run consumer(i)
		}
#if JOIN
		run joiner(PRODUCERS + CONSUMERS + 1);
#endif
#if SHUT
		run ender(IDS - 1);
#endif
#if KILLS
		run killer();
#endif
		run watch()
	}
}
