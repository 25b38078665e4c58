/* SPDX-License-Identifier: MIT */
/*
 * Conditions (sync/condition.h, condition.c, grant.c, and of the lock what sync/lock.c
 * adds), as a model for spin.  tests/model.sh says which variants and mutants there are,
 * and runs them.
 *
 * One step is one store to shared memory or one system call.  What only the holder of the
 * lock changes it reads together with that; so do the looks without the lock, which are
 * taken again at the next tick.  All is sequentially consistent.  Not here: spinning,
 * which is a sleep that has not begun, and the depth of the lock.
 *
 *	WAITERS    wait WAITS times each
 *	NOTIFIERS  notify NOTIFIES times each, AT_ONCE of those who wait
 *	CAPACITY   how many can wait
 *	TIMED      the first waiter may give up whenever it is about to sleep, or sleeps
 *	KILLS      how many may be killed, each before any of its steps
 *
 * Who is killed does no further step; the kernel may still count it among those it has
 * woken; then it gives its lock back, and only later it can be told that it is dead.
 *
 * Properties
 * - A tick is possible only when nothing else is; without a kill none is needed, and no
 *   more than one for each kill.  One more in the end, for nothing, does no harm.
 * - A notification goes to one who waited when it was given, and to no other, once.
 * - Who waited when all were notified does not time out.
 * - In the end nobody waits for whom there was a notification that nobody else got.
 * - Who gets the lock after somebody died with it is told so.
 */
#ifndef WAITERS
#define WAITERS 2
#endif
#ifndef NOTIFIERS
#define NOTIFIERS 1
#endif
#ifndef WAITS
#define WAITS 1
#endif
#ifndef NOTIFIES
#define NOTIFIES 1
#endif
#ifndef AT_ONCE
#define AT_ONCE 1
#endif
#ifndef CAPACITY
#define CAPACITY WAITERS
#endif
#ifndef KILLS
#define KILLS 0
#endif

#define IDS (1 + WAITERS + NOTIFIERS)
#define NONE CAPACITY
#define NUMBERS 15
#define bit(n) (1 << (n))
#ifdef TIMED
#define may_give_up(id) ((id) == 1)
#else
#define may_give_up(id) false
#endif

/* What a word says; the number stands beside it. */
#define FREE 0
#define WAITING 1
#define ASLEEP 2
#define GRANTED 3
#define PASSING 4
#define waits(p) (word[p] == WAITING || word[p] == ASLEEP)

/* ---- shared ---- */

byte holder; /* of the lock */
bool untold;
byte next = 1;
byte debt_first, debt; /* one word */
byte word[CAPACITY], number[CAPACITY], owner[CAPACITY];

/* ---- the kernel's ---- */

bool orphaned; /* the lock: its holder died */
bool asleep[IDS], ticked[IDS];
bool gone[IDS]; /* killed */
bool dead[IDS]; /* and it can be told */

/* ---- ghosts ---- */

short chances[IDS]; /* the notifications that were given while it waited */
short given;        /* and which nobody has got */
bool must[IDS];     /* one of them was for all */
bool news;          /* a holder died, and nobody was told */
bool done[IDS];
byte kills, ticks;

/* ---- the lock ---- */

/* sealed_lock_acquire */
inline acquire()
{
	atomic { holder == 0 -> holder = me; notices = orphaned; orphaned = false };
	if
	:: untold -> atomic { untold = false; notices = true }
	:: else
	fi
}

inline release()
{
	atomic { assert(holder == me); holder = 0 }
}

inline hand_on()
{
#ifndef NOT_HANDED_ON
	if
	:: notices -> untold = true
	:: else
	fi;
#endif
	release()
}

/* The caller has it, and is told. */
inline tell()
{
	atomic {
		assert(notices || !news);
		news = false;
		notices = false
	}
}

/* ---- grants: grant.c ---- */

inline find_oldest(before)
{
	p = NONE;
	for (i : 0 .. CAPACITY - 1) {
		if
#ifdef TO_LATER
		:: waits(i) && number[i] < (p == NONE -> NUMBERS : number[p]) -> p = i
#else
		:: waits(i) && number[i] < (p == NONE -> before : number[p]) -> p = i
#endif
		:: else
		fi
	}
}

inline find_grant(grant, passing)
{
	p = NONE;
	for (i : 0 .. CAPACITY - 1) {
		if
		:: number[i] == grant && (word[i] == GRANTED || (passing && word[i] == PASSING)) -> p = i
		:: else
		fi
	}
}

inline give_to(grant)
{
	atomic { was = word[p]; word[p] = GRANTED; number[p] = grant };
	if
	:: was != ASLEEP
	:: was == ASLEEP ->
		if
		:: atomic { asleep[owner[p]] -> asleep[owner[p]] = false } /* futex_wake */
		:: atomic { !asleep[owner[p]] && !dead[owner[p]] }
#ifdef BACK_UNPROVEN
		:: atomic { !asleep[owner[p]] ->
#else
		:: atomic { !asleep[owner[p]] && dead[owner[p]] ->
#endif
				word[p] = FREE; number[p] = 0; p = NONE }
		fi
	fi;
	was = 0
}

inline give(grant)
{
	do
	:: atomic { find_oldest(grant) };
		if
		:: p == NONE -> break
		:: else -> give_to(grant);
			if
			:: p != NONE -> break
			:: else
			fi
		fi
	od
}

inline end_debt(first, n)
{
	if
	:: next < first + n -> next = first + n
	:: else
	fi;
	atomic { debt = 0; debt_first = 0 }
}

inline pay_debt()
{
	if
	:: debt == 0
	:: else ->
		atomic { g = debt_first; k = debt };
#ifdef END_DEBT_FIRST
		end_debt(g, k);
#endif
		do
		:: k > 0 ->
			atomic { find_grant(g, true) };
			if
#ifdef PAY_TWICE
			:: true -> give(g)
#else
			:: p == NONE -> give(g)
			:: else
#endif
			fi;
			atomic { g++; k-- }
		:: else -> break
		od;
#ifndef END_DEBT_FIRST
		end_debt(debt_first, debt);
#endif
		g = 0
	fi
}

inline pass_on()
{
	k = 0;
	do
	:: k < CAPACITY ->
		if
		:: word[k] == PASSING ->
			atomic { find_grant(number[k], false); g = number[k] };
			if
			:: p == NONE -> give(g)
			:: else
			fi;
			atomic { word[k] = FREE; number[k] = 0; g = 0 }
		:: else
		fi;
		k++
	:: else -> break
	od;
	k = 0
}

inline settle()
{
	pay_debt();
	pass_on()
}

inline bury()
{
	k = 0;
	do
	:: k < CAPACITY ->
		atomic {
			if
			:: word[k] == GRANTED && dead[owner[k]] ->
#ifdef BURY_FORGETS
				word[k] = FREE; number[k] = 0
#else
				word[k] = PASSING
#endif
			:: else
			fi
		};
		k++
	:: else -> break
	od;
	pass_on()
}

inline find_free()
{
	atomic {
		p = NONE;
		for (i : 0 .. CAPACITY - 1) {
			if
			:: word[i] == FREE && p == NONE -> p = i
			:: else
			fi
		}
	}
}

/* grant_free_place */
inline free_place()
{
	find_free();
	if
	:: p != NONE
	:: else ->
		do
		:: k < CAPACITY ->
			atomic {
				if
				:: waits(k) && dead[owner[k]] -> word[k] = FREE; number[k] = 0
				:: else
				fi
			};
			k++
		:: else -> break
		od;
		bury();
		find_free()
	fi
}

inline looks_lost()
{
	atomic {
		look = debt != 0;
		for (i : 0 .. CAPACITY - 1) {
			if
#ifdef TO_LATER
		:: word[i] == PASSING || (word[i] == GRANTED && dead[owner[i]]) -> look = true
#else
		:: number[i] >= mine && (word[i] == PASSING || (word[i] == GRANTED && dead[owner[i]])) -> look = true
#endif
			:: else
			fi
		}
	}
}

/* ---- those who wait ---- */

inline say_asleep()
{
	if
#ifdef SLEEP_BLIND
	:: true -> atomic { word[own] = ASLEEP; number[own] = mine }
#elif !defined(SLEEP_UNSAID)
	:: atomic { word[own] == WAITING -> word[own] = ASLEEP } /* cas_seq */
	:: word[own] != WAITING
#else
	:: true
#endif
	fi
}

#ifdef SLEEP_UNSAID
#define sleeps_on WAITING
#else
#define sleeps_on ASLEEP
#endif

inline sleep_on()
{
	look = false;
	say_asleep();
	do
	:: !waits(own) -> break
	:: waits(own) ->
		if
		:: atomic { word[own] == sleeps_on -> asleep[me] = true };
end_asleep:		if
			:: !asleep[me]
			:: atomic { asleep[me] && ticked[me] -> asleep[me] = false; ticked[me] = false }
			:: atomic { asleep[me] && may_give_up(me) -> asleep[me] = false; late = true }
			fi
		:: word[own] != sleeps_on
		:: may_give_up(me) -> late = true
		fi;
		if
		:: late || !waits(own) -> break
#ifdef NO_LOOK
		:: else
#else
		:: else -> looks_lost();
			if
			:: look -> break
			:: else
			fi
#endif
		fi
	od
}

/* wait_without_lock */
inline wait_for_grant()
{
	do
	:: sleep_on();
		acquire();
#ifdef GRANTED_UNSETTLED
		if
		:: waits(own) -> settle()
		:: else
		fi;
#elif !defined(UNSETTLED)
		settle();
#endif
		if
		:: look -> bury()
		:: else
		fi;
		if
		:: late || !waits(own) -> break
		:: else -> hand_on()
		fi
	od
}

inline begin_wait()
{
#ifndef UNSETTLED
	settle();
#endif
	free_place();
	if
	:: p == NONE -> assert(CAPACITY < WAITERS)
	:: else ->
		atomic { own = p; mine = next };
		atomic { assert(next < NUMBERS); next = mine + 1 };
		owner[own] = me;
		atomic { word[own] = WAITING; number[own] = mine; chances[me] = 0; must[me] = false }
	fi
}

inline end_wait()
{
	tell();
	atomic {
		if
		:: waits(own) -> assert(late && !must[me])
		:: else ->
			assert(word[own] == GRANTED);
			assert(chances[me] & given & bit(number[own]));
			given = given & ~bit(number[own])
		fi;
		chances[me] = 0;
		must[me] = false;
		word[own] = FREE;
		number[own] = 0
	}
}

proctype waiter(byte me)
{
	byte times, i, k, p, g, own, was, mine;
	bool notices, late, look;

	{
		do
		:: times < WAITS ->
			acquire();
			tell();
			begin_wait();
			if
			:: p == NONE
			:: else ->
				release();
				wait_for_grant();
				end_wait()
			fi;
			release();
			atomic { times++; i = 0; k = 0; p = 0; g = 0; own = 0; mine = 0; late = false; look = false }
		:: else -> break
		od;
		done[me] = true
	} unless { gone[me] }
}

/* ---- notifiers ---- */

/* A notification is given with the promise: what that means. */
inline promised()
{
	for (i : 0 .. CAPACITY - 1) {
		if
		:: waits(i) ->
			for (k : first .. first + n - 1) {
				chances[owner[i]] = chances[owner[i]] | bit(k);
				given = given | bit(k)
			}
			must[owner[i]] = must[owner[i]] || n == waiting
		:: else
		fi
	}
	k = 0
}

inline count_waiting()
{
	waiting = 0;
	for (i : 0 .. CAPACITY - 1) {
		waiting = waiting + waits(i)
	}
	n = (AT_ONCE < waiting -> AT_ONCE : waiting)
}

/* give_all, and what grant_give does for fewer. */
inline give_grants()
{
	g = first;
	if
	:: n == waiting ->
		do
		:: k < CAPACITY ->
			if
			:: waits(k) -> p = k; give_to(g); g++
			:: else
			fi;
			k++
		:: else -> break
		od
	:: else ->
		do
		:: g < first + n -> give(g); g++
		:: else -> break
		od
	fi;
	k = 0;
	g = 0
}

inline notify()
{
	settle();
	atomic { first = next; count_waiting() };
	if
	:: n == 0
	:: else ->
		atomic {
			assert(first + n < NUMBERS);
#ifndef NO_DEBT
			debt_first = first;
			debt = n;
#endif
			promised()
		};
		give_grants();
		end_debt(first, n)
	fi
}

proctype notifier(byte me)
{
	byte times, i, k, p, g, was, first, n, waiting;
	bool notices;

	{
		do
		:: times < NOTIFIES ->
			acquire();
			tell();
			notify();
			release();
			atomic { times++; i = 0; p = 0; first = 0; n = 0; waiting = 0 }
		:: else -> break
		od;
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
			if
			:: holder == i -> holder = 0; orphaned = true; news = true
			:: else
			fi
		};
		dead[i] = true
	:: break
	od
}

/* Whether there is anything for which somebody should not sleep. */
inline look_around()
{
	owed = false;
	n = 0;
	for (i : 1 .. IDS - 1) {
		if
		:: gone[i] || done[i]
		:: !gone[i] && !done[i] ->
			owed = owed || !asleep[i] || chances[i] & given;
			n++
		fi
	}
}

inline tick()
{
	for (i : 1 .. WAITERS) {
		ticked[i] = asleep[i]
	}
}

proctype watch()
{
	byte i, n;
	bool owed, once_more;

end_watch:
	do
	:: atomic { timeout ->
			look_around();
			if
			:: owed -> tick(); ticks++; assert(ticks <= kills)
			:: else ->
				assert(kills || given == 0);
				if
				:: kills && n && !once_more -> once_more = true; tick()
				:: else -> break
				fi
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
