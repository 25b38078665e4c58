/* SPDX-License-Identifier: MIT */
/*
 * Barriers (sync/barrier.c), as a model for spin.  tests/model.sh says which variants and
 * mutants there are, and runs them.
 *
 * One step is one access to shared memory or one system call; what is atomic beside it
 * is local, or a ghost.  All is sequentially consistent.  The event count is what
 * evcount.pml proves of it: a notify, one step, is seen by all who have prepared.  Not
 * here: spinning, the index, an action that fails (it breaks the cycle as an abort does).
 *
 *	PROCESSES  that wait at it, WAITS times each, whatever comes of it
 *	PARTIES    at least as many, or fewer
 *	PLACES     at least as many as processes, or ENOSPC is to be had
 *	ABORTS, RESETS
 *	           one more process does that, at any time, in any order
 *	TIMED      the first process may give up whenever it is about to sleep, or sleeps
 *	ACTION     the last to come does something before it releases the others
 *	EARLY      how often everybody looks for the dead though nobody has to
 *	KILLS      how many may be killed, each before any of its steps
 *
 * Who is killed does no further step, and only later it can be told that it is dead.
 *
 * Properties
 * - A tick is possible only when nothing else is; without a kill none is needed, and no
 *   more than one for each kill.
 * - Who is released was in a cycle for which as many came as there are parties.
 * - The next cycle after a reset begins when nobody alive is in the one before.
 * - Who looks for the dead of a cycle before it releases it finds them.
 * - A cycle is DEAD only if a process died that was in it, or was about to be.
 * - In the end nobody waits but for parties that never come.
 */
#ifndef PROCESSES
#define PROCESSES 3
#endif
#ifndef PARTIES
#define PARTIES 2
#endif
#ifndef PLACES
#define PLACES PROCESSES
#endif
#ifndef WAITS
#define WAITS 2
#endif
#ifndef ABORTS
#define ABORTS 0
#endif
#ifndef RESETS
#define RESETS 0
#endif
#ifndef EARLY
#define EARLY 0
#endif
#ifndef KILLS
#define KILLS 0
#endif

#define CONTROL (PROCESSES + 1)
#define IDS (PROCESSES + 2)
#ifdef TIMED
#define may_give_up(id) ((id) == 1)
#else
#define may_give_up(id) false
#endif

/* A state: the phase in bits 0 and 1, how many have arrived in 2 and 3, the cycle above. */
#define FILLING 0
#define LEAVING 1
#define BROKEN 2
#define DEAD 3
#define state_of(cycle, phase) ((cycle) << 4 | (phase))
#define cycle_of(state) ((state) >> 4)
#define arrived_of(state) ((state) >> 2 & 3)
#define phase_of(state) ((state) & 3)
#define ARRIVED 4
#define CYCLES 16

/* Results of a wait, and not yet one. */
#define AGAIN 1
#define RELEASED 2
#define ERROR 3

/* ---- shared ---- */

byte state = state_of(1, FILLING);
byte owner[PLACES], cycle[PLACES];
short told = -1; /* the event count: a bit for each whom a notify has told since it prepared */
short ticked;

/* ---- the kernel's ---- */

bool gone[IDS]; /* killed */
bool dead[IDS]; /* and it can be told */

/* ---- ghosts ---- */

short completed;        /* cycles for which all came */
byte inside[IDS];       /* the cycle in which it has arrived and not yet left */
byte came;              /* in this cycle */
short died;             /* cycles in which somebody died */
byte place_of[IDS];     /* 1 + its place */
byte asleep[IDS];       /* 1: for its cycle, 2: until another goes on */
bool done[IDS];
byte kills, ticks;

#define bit(n) (1 << (n))

inline notify_all()
{
	told = -1
}

/* A change by compare-and-swap, with what it means. */
inline to_next(from)
{
	state = state_of(cycle_of(from) + 1, FILLING);
	assert(cycle_of(state) < CYCLES);
	came = 0
}

/* ---- places ---- */

inline free_place()
{
	at = 0;
	do
	:: at < PLACES ->
		if
		:: atomic { owner[at] == 0 -> owner[at] = me; place_of[me] = at + 1; break } /* cas_acquire */
		:: atomic { owner[at] != 0 -> at++ }
		fi
	:: else -> break
	od
}

inline place_of_dead()
{
	at = 0;
	do
	:: at < PLACES ->
		if
		:: atomic { !dead[owner[at]] -> at++ }
		:: atomic { dead[owner[at]] -> was = owner[at] };
			atomic { mine = cycle[at] };
#ifdef READ_UNPROVEN
			skip;
#else
			if
			:: owner[at] != was -> atomic { mine = 0; at++; was = 0 }; goto next_place
			:: else
			fi;
#endif
#ifndef FORGET
			break_cycle(mine, DEAD);
#endif
			if
			:: atomic { owner[at] == was -> owner[at] = me; place_of[me] = at + 1; was = 0; mine = 0 };
				cycle[at] = 0;
				break
			:: atomic { owner[at] != was -> at++; was = 0; mine = 0 }
			fi;
next_place:		skip
		fi
	:: else -> break
	od
}

inline free_up()
{
#ifdef OWNER_FIRST
	atomic { owner[own] = 0; place_of[me] = 0; inside[me] = 0 };
	cycle[own] = 0
#else
	atomic { cycle[own] = 0; inside[me] = 0 };
	atomic { owner[own] = 0; place_of[me] = 0 }
#endif
}

/* ---- the dead ---- */

#define fills(n) (cycle_of(state) == (n) && phase_of(state) == FILLING)

/* broke: this call did it. */
inline break_cycle(which, to)
{
	broke = false;
	if
	:: atomic { fills(which) -> /* cas_seq, repeated while it fails */
			assert(to != DEAD || died & bit(which));
			state = state_of(which, to);
			broke = true
		};
		notify_all()
	:: !fills(which)
	fi
}

/* Behind ours: the first of this cycle. */
inline next_is_dead()
{
	atomic { at = (own + 1) % PLACES; found = false };
	do
	:: at != own ->
		if
		:: atomic { owner[at] != 0 && cycle[at] == mine -> found = dead[owner[at]]; break }
		:: atomic { owner[at] == 0 || cycle[at] != mine -> at = (at + 1) % PLACES }
		fi
	:: at == own -> break
	od
}

inline any_is_dead()
{
	atomic { at = 0; found = false };
	do
	:: at < PLACES ->
		if
		:: atomic { owner[at] != 0 && cycle[at] == mine && dead[owner[at]] -> found = true; break }
		:: atomic { owner[at] == 0 || cycle[at] != mine || !dead[owner[at]] -> at++ }
		fi
	:: else -> break
	od
}

/* ---- waiting ---- */

/* What evcount_await_looking does; `test` and `look` set found. */
#define prepare() told = told & ~bit(me)

inline sleep(why)
{
	atomic {
		looks = false;
		asleep[me] = why
	};
end_asleep:
	if
	:: atomic { told & bit(me) -> asleep[me] = 0 }
	:: atomic { !(told & bit(me)) && ticked & bit(me) -> ticked = ticked & ~bit(me); looks = true; asleep[me] = 0 }
	:: atomic { may_give_up(me) -> late = true; asleep[me] = 0 }
	fi
}

inline outcome()
{
	atomic {
		if
		:: cycle_of(state) != mine -> result = RELEASED; assert(completed & bit(mine))
		:: cycle_of(state) == mine && phase_of(state) == FILLING -> result = AGAIN
		:: else -> result = ERROR
		fi
	}
}

inline wait_for_others()
{
#ifndef NO_SECOND_TEST
	prepare();
#endif
	do
	:: outcome();
		if
		:: result != AGAIN -> break
		:: else
		fi;
#ifdef NO_SECOND_TEST
		prepare();
#endif
		sleep(1);
		if
#ifndef NO_LOOK
		:: looks && !late ->
			next_is_dead();
			if
			:: found -> break_cycle(mine, DEAD)
			:: else
			fi
#endif
		:: late ->
			break_cycle(mine, BROKEN);
			if
			:: broke -> result = ERROR; break
			:: else -> late = false
			fi
		:: else -> prepare()
		fi
	od
}

/* have_left, in which who may look passes over the dead. */
inline have_left()
{
	atomic { at = 0; found = true };
	do
	:: at < PLACES ->
		if
		:: atomic { owner[at] != 0 && cycle[at] == mine && !(looks && dead[owner[at]]) -> found = false; break }
		:: atomic { owner[at] == 0 || cycle[at] != mine || (looks && dead[owner[at]]) -> at++ }
		fi
	:: else -> break
	od
}

#define is_inside(id) (!gone[id] && inside[id] == mine)
#if PROCESSES == 2
#define live_inside (is_inside(1) || is_inside(2))
#else
#define live_inside (is_inside(1) || is_inside(2) || is_inside(3))
#endif

inline begin_next()
{
	if
	:: state != seen -> found = true
	:: state == seen ->
#ifdef BEGIN_UNLEFT
		found = true;
#else
		have_left();
#endif
		if
		:: found ->
			if
			:: atomic { state == seen -> assert(!live_inside); to_next(seen) }; notify_all()
			:: state != seen
			fi
		:: else
		fi
	fi
}

inline wait_for_reset()
{
	prepare();
	do
	:: begin_next();
		if
		:: found -> result = AGAIN; break
		:: !found && looks -> looks = false
		:: else ->
			sleep(2);
			if
			:: late -> atomic { late = false; looks = false; result = ERROR }; break
			:: !late && !looks -> prepare()
			:: !late && looks
			fi
		fi
	od
}

/* Those who come while the last one does its action. */
inline wait_for_action()
{
	prepare();
	do
	:: state != seen -> result = AGAIN; break
	:: state == seen ->
		sleep(2);
		if
		:: late -> atomic { late = false; result = ERROR }; break
		:: !late && looks ->
#ifndef ACTION_UNWATCHED
			any_is_dead();
			if
			:: found -> break_cycle(mine, DEAD)
			:: else
			fi;
#endif
			looks = false
		:: else -> prepare()
		fi
	od
}

/* ---- arriving ---- */

inline come_in()
{
	inside[me] = mine;
	came++
}

/* With the state as it was seen, or not at all. */
inline release()
{
	if
	:: atomic { state == seen ->
#ifndef ACTION
			come_in();
#endif
			assert(came == PARTIES);
			completed = completed | bit(mine);
			to_next(seen)
		};
#ifndef RELEASE_UNTOLD
		notify_all();
#endif
		result = RELEASED
	:: state != seen -> result = AGAIN
	fi
}

#define died_inside(id) (dead[id] && inside[id] == mine)
#if PROCESSES == 2
#define dead_inside (died_inside(1) || died_inside(2))
#else
#define dead_inside (died_inside(1) || died_inside(2) || died_inside(3))
#endif

/* Whether the first one came long ago nobody knows here. */
inline arrive_last()
{
	found = false;
	if
	:: atomic { kills && PARTIES > 1 -> lost = dead_inside };
		any_is_dead();
		atomic { assert(found || !lost || state != seen); lost = false }
	:: true
	fi;
	if
	:: found -> break_cycle(mine, DEAD); result = AGAIN
	:: else ->
#ifdef ACTION
		if
		:: atomic { state == seen -> state = state + ARRIVED; seen = state; come_in() };
			skip; /* it acts */
			release();
			if
			:: result == AGAIN -> outcome()
			:: else
			fi
		:: state != seen -> result = AGAIN
		fi
#else
		release()
#endif
	fi
}

inline arrive()
{
	if
	:: atomic { state == seen -> state = state + ARRIVED; come_in() };
#ifdef COUNT_FIRST
		cycle[own] = mine;
#endif
		wait_for_others()
	:: state != seen -> result = AGAIN
	fi
}

inline attempt()
{
	atomic { seen = state; mine = cycle_of(seen); looks = false };
	if
	:: phase_of(seen) == BROKEN || phase_of(seen) == DEAD -> result = ERROR
	:: phase_of(seen) == LEAVING -> wait_for_reset()
	:: phase_of(seen) == FILLING && arrived_of(seen) >= PARTIES -> wait_for_action()
	:: else ->
#ifndef COUNT_FIRST
		cycle[own] = mine;
#endif
		if
		:: arrived_of(seen) + 1 == PARTIES -> arrive_last()
		:: else -> arrive()
		fi;
		if
		:: result == AGAIN -> cycle[own] = 0
		:: else
		fi
	fi
}

proctype party(byte me)
{
	byte n, at, own, was, seen, mine, result;
	bool found, broke, looks, late, lost;

	{
		do
		:: n < WAITS ->
			free_place();
			if
			:: place_of[me] == 0 -> place_of_dead()
			:: else
			fi;
			if
			:: place_of[me] != 0 ->
				own = at;
				do
				:: attempt();
					if
					:: result != AGAIN -> break
					:: else
					fi
				od;
				if
				:: result == ERROR ->
#ifdef LEAVE_UNTOLD
					atomic { cycle[own] = 0; inside[me] = 0 }
#elif defined(TELL_FIRST)
					notify_all();
					atomic { cycle[own] = 0; inside[me] = 0 }
#else
					atomic { cycle[own] = 0; inside[me] = 0 };
					notify_all()
#endif
				:: else
				fi;
				free_up()
			:: else -> assert(kills || PLACES < PROCESSES)
			fi;
			atomic { n++; at = 0; own = 0; was = 0; seen = 0; mine = 0; result = 0; found = false; broke = false;
				looks = false; late = false }
		:: else -> break
		od;
		done[me] = true
	} unless { gone[me] }
}

/* ---- the other calls ---- */

inline abort_it()
{
	if
	:: atomic { phase_of(state) == FILLING || phase_of(state) == LEAVING -> state = state_of(cycle_of(state), BROKEN) };
		notify_all()
	:: phase_of(state) == BROKEN || phase_of(state) == DEAD
	fi
}

#define needs_reset (phase_of(state) != LEAVING && !(phase_of(state) == FILLING && arrived_of(state) == 0))

inline reset_it()
{
	if
	:: atomic { needs_reset ->
#ifdef RESET_AT_ONCE
			to_next(state)
#else
			state = state_of(cycle_of(state), LEAVING)
#endif
		};
		notify_all()
	:: !needs_reset
	fi
}

proctype control(byte me)
{
	byte aborts, resets;

	{
		do
		:: aborts < ABORTS -> abort_it(); aborts++
		:: resets < RESETS -> reset_it(); resets++
		:: aborts == ABORTS && resets == RESETS -> break
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
			:: !gone[i] && !done[i] ->
				gone[i] = true;
				kills++;
				if
				:: place_of[i] -> died = died | bit(cycle[place_of[i] - 1])
				:: else
				fi
			:: else -> break
			fi
		};
		atomic { dead[i] = true }
	:: break
	od
}

inline tick()
{
	ticked = -1;
	ticks++;
	assert(ticks <= kills)
}

/* Whether there is anything for which somebody should not sleep. */
inline look_around()
{
	owed = false;
	n = 0;
	for (i : 1 .. PROCESSES) {
		if
		:: gone[i] || done[i]
		:: !gone[i] && !done[i] ->
			owed = owed || asleep[i] != 1 || inside[i] != cycle_of(state) || phase_of(state) != FILLING;
			n++
		fi
	}
	owed = owed || (n && (arrived_of(state) != n || n >= PARTIES || died & bit(cycle_of(state))))
}

/* Some wait for others who have had their waits. */
#define may_fall_short (kills || RESETS || ABORTS || may_give_up(1) || PROCESSES != PARTIES)

proctype watch()
{
	byte i, n, early;
	bool owed;

end_watch:
	do
	:: atomic { timeout ->
			look_around();
			if
			:: owed -> tick()
			:: else ->
				assert(n == 0 || may_fall_short);
				break
			fi
		}
#if EARLY
	:: atomic { early < EARLY -> early++; ticked = -1 }
#endif
	od
}

init {
	byte i;

	atomic {
		for (i : 1 .. PROCESSES) {
			run party(i)
		}
#if ABORTS || RESETS
		run control(CONTROL);
#else
		done[CONTROL] = true;
#endif
#if KILLS
		run killer();
#endif
		run watch()
	}
}
