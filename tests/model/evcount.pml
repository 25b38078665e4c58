/* SPDX-License-Identifier: MIT */
/*
 * The event count (base/evcount.h, evcount.c), as a model for spin: who waits, and who
 * notifies.  tests/model.sh says which variants and mutants there are, and runs them.
 *
 * One step is one access to shared memory or one system call; what is atomic beside it
 * is local, or a ghost.  All is sequentially consistent, as the accesses in question are
 * seq_cst in the code.  Not here: spinning, which is a test more; looks for the dead,
 * which are the users'.
 *
 *	WAITERS, NOTIFIERS
 *	ONE        each change is for one of those who wait, who takes it away, and one
 *	           is woken; else it is for all
 *	CHANGES    of each notifier
 *	WAITS      of each waiter
 *	TIMED      the first waiter may give up, or get a signal, whenever it sleeps
 *	ANY_ORDER  a wake may pass over who has slept for longer, as it does for those of
 *	           higher real-time priority
 *	KILLS      how many may be killed, each before any of its steps
 *
 * The kernel wakes those first who have slept for longer; that is so among sleepers of one
 * priority, and of all without a real-time one.  The protocol needs that order where a wake
 * is for one, and one who is woken may give up: ANY_ORDER finds a wake lost among five.
 *
 * Who is killed does no further step; the kernel may still count it among those it has
 * woken; then it does not.
 *
 * Properties
 * - A tick is possible only when nothing else is; without a kill none is needed, and no
 *   more than one for each kill.
 * - In the end nobody sleeps but for what has not happened.
 */
#ifndef WAITERS
#define WAITERS 2
#endif
#ifndef NOTIFIERS
#define NOTIFIERS 1
#endif
#ifndef CHANGES
#define CHANGES 2
#endif
#ifndef WAITS
#define WAITS 1
#endif
#ifndef KILLS
#define KILLS 0
#endif

#define IDS (1 + WAITERS + NOTIFIERS)
#if KILLS
#define unless_killed unless { gone[me] }
#else
#define unless_killed
#endif

#ifdef TIMED
#define may_give_up(id) ((id) == 1)
#else
#define may_give_up(id) false
#endif

/* ---- shared ---- */

byte changes;         /* what is waited for */
byte sequence, bound; /* the event count's two halves */

/* ---- the kernel's ---- */

bool asleep[IDS];
#ifdef ANY_ORDER
#define queue(id, value) skip
#define rouse(id) asleep[id] = false
#else
byte slept_on[IDS]; /* which sequence */
#define queue(id, value) slept_on[id] = value
#define rouse(id) asleep[id] = false; slept_on[id] = 0
#endif
bool gone[IDS]; /* killed */

/* ---- ghosts ---- */

bool done[IDS];
byte need[IDS]; /* for which number of changes it waits */
byte kills, ticks;

#ifdef ONE
#define come(id) (changes > 0)
#define take() changes--
#define wanted 1
#else
#define come(id) (changes >= need[id])
#define take() skip
#define wanted 4 /* all */
#endif

/* ---- notifiers ---- */

/* Who has slept for longer goes first; of those on the same sequence, any. */
#ifdef ANY_ORDER
#define next_up(id) asleep[id]
#else
#define passes(id, other) (!asleep[other] || slept_on[id] <= slept_on[other])
#if WAITERS == 1
#define next_up(id) asleep[id]
#elif WAITERS == 2
#define next_up(id) (asleep[id] && passes(id, 1) && passes(id, 2))
#else
#define next_up(id) (asleep[id] && passes(id, 1) && passes(id, 2) && passes(id, 3))
#endif
#endif

/* futex_wake */
inline wake()
{
	woken = 0;
	do
	:: woken < wanted && next_up(1) -> rouse(1); woken++
#if WAITERS > 1
	:: woken < wanted && next_up(2) -> rouse(2); woken++
#endif
#if WAITERS > 2
	:: woken < wanted && next_up(3) -> rouse(3); woken++
#endif
	:: else -> break
	od
}

inline move()
{
	atomic { seen = sequence; most = bound };
	do
	:: atomic { sequence == seen && bound == most -> sequence++; seen++; break } /* cas_seq */
	:: atomic { sequence != seen || bound != most -> seen = sequence; most = bound }
	od
}

inline lower()
{
	atomic { /* cas_acq_rel */
		if
#ifdef LOWER_UNSEEN
		:: woken < wanted -> bound = 0
#else
		:: sequence == seen && bound == most && woken < wanted -> bound = 0
#endif
#ifdef LOWER_TO_NONE
		:: sequence == seen && bound == most && woken == wanted -> bound = 0
#else
		:: sequence == seen && bound == most && woken == wanted && most -> bound = most - 1
#endif
		:: else
		fi;
		woken = 0; seen = 0; most = 0
	}
}

/* evcount_notify, evcount_wake */
inline notify()
{
	if
	:: bound == 0
	:: bound > 0 ->
#ifdef WAKE_FIRST
		atomic { wake() };
		move();
#else
		move();
		atomic { wake() };
#endif
		lower()
	fi
}

proctype notifier(byte me)
{
	byte n, seen, most, woken;

	{
		do
		:: n < CHANGES ->
#ifdef LOOK_FIRST
			notify();
			changes++;
#else
			changes++;
			notify();
#endif
			n++
		:: else -> break
		od;
		done[me] = true
	} unless_killed
}

/* ---- waiters ---- */

inline test()
{
	if
	:: atomic { come(me) -> take(); got = true }
	:: atomic { !come(me) -> got = false }
	fi
}

inline prepare()
{
#ifdef PREPARE_APART
	bound++;
	key = sequence
#else
	atomic { bound++; key = sequence } /* add_seq */
#endif
}

inline cancel()
{
	do
#ifdef CANCEL_ALWAYS
	:: atomic { bound > 0 -> most = bound };
#else
	:: atomic { sequence == key && bound > 0 -> most = bound };
#endif
		if
#ifdef CANCEL_ALWAYS
		:: atomic { bound == most -> bound--; break }
		:: bound != most
#else
		:: atomic { sequence == key && bound == most -> bound--; break } /* cas_acq_rel */
		:: sequence != key || bound != most
#endif
		fi
#ifdef CANCEL_ALWAYS
	:: bound == 0 -> break
#else
	:: sequence != key || bound == 0 -> break
#endif
	od;
	atomic { most = 0; key = 0 }
}

/* futex_wait; it says that the time is over only before it sleeps. */
inline sleep()
{
	if
	:: atomic { sequence == key -> asleep[me] = true; queue(me, key) };
end_asleep:	if
		:: !asleep[me]
		:: atomic { may_give_up(me) && asleep[me] -> rouse(me) }
		fi
	:: sequence != key
	:: may_give_up(me) -> late = true
	fi
}

/* evcount_await */
inline await()
{
	test();
	if
	:: got
	:: else ->
		prepare();
		do
		::
#ifndef NO_SECOND_TEST
			test();
			if
			:: got -> break
			:: else
			fi;
#endif
			sleep();
			if
			:: late -> break
			:: !late && sequence != key -> prepare()
			:: !late && sequence == key
			fi;
#ifdef NO_SECOND_TEST
			test();
			if
			:: got -> break
			:: else
			fi
#endif
		od;
		cancel()
	fi
}

proctype waiter(byte me)
{
	byte key, most;
	bool got, late;

	{
		do
		:: atomic { need[me] < WAITS && !late -> need[me]++ };
			await();
			got = false
		:: else -> break
		od;
		done[me] = true
	} unless_killed
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
		atomic { rouse(i) }
	:: break
	od
}

inline tick()
{
	for (i : 1 .. WAITERS) {
		rouse(i)
	}
	ticks++;
	assert(ticks <= kills)
}

inline look_around()
{
	owed = false;
	sleeper = false;
	for (i : 1 .. WAITERS) {
		if
		:: !gone[i] && !done[i] ->
			sleeper = true;
			owed = owed || come(i)
		:: else
		fi
	}
}

proctype watch()
{
	byte i;
	bool owed, sleeper;

end_watch:
	do
	:: atomic { timeout ->
			look_around();
			if
			:: owed -> tick()
			:: !owed ->
				assert(!sleeper || kills || NOTIFIERS * CHANGES < WAITERS * WAITS);
				break
			fi
		}
	od
}

init {
	byte i;

	atomic {
		for (i : 1 .. WAITERS) {
			run waiter(i)
		}
		for (i : WAITERS + 1 .. IDS - 1) {
			run notifier(i)
		}
#if KILLS
		run killer();
#endif
		run watch()
	}
}
