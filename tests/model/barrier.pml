/* SPDX-License-Identifier: MIT */
/*
 * Barriers (sync/barrier.c), as a model for spin.  tests/model.sh says which variants and
 * mutants there are, and runs them.
 *
 * One step is one access to shared memory or one system call, with all that is local after
 * it, and ghosts.  All is sequentially consistent.  The event count is what evcount.pml
 * proves of it: a notify, one step, is seen by all who have prepared.  Not here: spinning,
 * and the index.
 *
 *	PROCESSES  that wait at it, WAITS times each, whatever comes of it
 *	PARTIES    at least as many, or fewer
 *	PLACES     at least as many as processes, or ENOSPC is to be had
 *	MIXED      all begin to look for a place at the same one
 *	ABORTS, RESETS
 *	           one more process does that, at any time, in any order
 *	TIMED      that process may give up whenever it is about to sleep, or sleeps
 *	ACTION     the last to come does something, or fails to, before it releases the others
 *	EARLY      looks for the dead are at any time, not only when nothing else is possible
 *	KILLS      how many may be killed, each before any of its steps
 *
 * Who is killed does no further step, and only later it can be told that it is dead.
 *
 * So that there are fewer states:
 * - All processes are alike, so the first one is killed first, then the second.
 * - Each begins to look for a place at one of its own, if there are enough, as the code
 *   may.  With fewer places, or MIXED, all begin at the same.
 * - A look when nobody can be told to be dead finds nothing, and is left out.
 * - Owner and cycle of a place are read in one step where both orders mean the same: a
 *   place is in no cycle when it gets free, nor gets into one that is left.
 * - What is of no use any more is 0.
 *
 * Properties
 * - A tick is possible only when nothing else is; without a kill none is needed, and no
 *   more than one for each kill.
 * - A cycle ends when as many came as there are parties; or by a reset, and then nobody
 *   alive is in it.  So who was in a cycle, and sees a later one, was released.
 * - Who looks for the dead of a cycle before it releases it finds them.
 * - A cycle is DEAD only if a process died that was in it, or was about to be, after its
 *   last reset.
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
#ifndef KILLS
#define KILLS 0
#endif

#define CONTROL (PROCESSES + 1)
#define IDS (PROCESSES + 2)
#define bit(n) (1 << (n))
#ifdef TIMED
#define may_give_up(id) ((id) == TIMED)
#else
#define may_give_up(id) false
#endif
#if PLACES < PROCESSES || defined(MIXED)
#define home 0
#else
#define home (me - 1)
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

/* ---- shared ---- */

byte state = state_of(1, FILLING);
byte owner[PLACES], cycle[PLACES];
byte untold; /* the event count: who has prepared, and no notify came since */

/* ---- the kernel's ---- */

byte ticked;
bool gone[IDS]; /* killed */
bool dead[IDS]; /* and it can be told */

/* ---- ghosts ---- */

byte inside[IDS]; /* the cycle in which it has arrived and not yet left */
byte came;        /* in this cycle */
bool died;        /* somebody, in this cycle */
byte asleep[IDS]; /* 1: for its cycle, 2: until another goes on */
bool done[IDS];
byte kills, ticks;

#define some_dead (dead[1] || dead[2])

/* ---- changes of the state ---- */

inline notify_all()
{
	untold = 0
}

#define is_inside(id) (!gone[id] && inside[id] == cycle_of(state))
#define died_inside(id) (dead[id] && inside[id] == mine)
#if PROCESSES == 2
#define live_inside (is_inside(1) || is_inside(2))
#define dead_inside (died_inside(1) || died_inside(2))
#else
#define live_inside (is_inside(1) || is_inside(2) || is_inside(3))
#define dead_inside (died_inside(1) || died_inside(2) || died_inside(3))
#endif

/* Changes by compare-and-swap, with what they mean. */
inline to_next()
{
	assert(came == PARTIES || !live_inside);
	state = state_of(cycle_of(state) + 1, FILLING);
	assert(cycle_of(state) < CYCLES);
	came = 0;
	died = false
}

inline to_phase(phase)
{
	state = state_of(cycle_of(state), phase);
	came = 0
}

#define fills(n) (cycle_of(state) == (n) && phase_of(state) == FILLING)

/* broke: this call did it. */
inline break_cycle(which, to)
{
	if
	:: atomic { fills(which) -> /* cas_seq, repeated while it fails */
			assert(to != DEAD || died);
			to_phase(to);
			broke = true
		};
		notify_all()
	:: atomic { !fills(which) -> broke = false }
	fi
}

/* ---- places ---- */

#define at_home ((home + at) % PLACES)

inline free_place()
{
	do
	:: atomic { at < PLACES && owner[at_home] == 0 -> /* cas_acquire */
			owner[at_home] = me;
			own = at_home;
			at = 0;
			goto arrives
		}
	:: atomic { at < PLACES && owner[at_home] != 0 -> at++ }
	:: atomic { at == PLACES -> at = 0; break }
	od
}

inline place_of_dead()
{
	do
	:: atomic { at < PLACES && !dead[owner[at]] -> at++ }
	:: atomic { at < PLACES && dead[owner[at]] -> was = owner[at] };
		mine = cycle[at];
#ifndef READ_UNPROVEN
		if
		:: atomic { owner[at] != was -> at++; was = 0; mine = 0; goto next_dead }
		:: owner[at] == was
		fi;
#endif
#ifndef FORGET
		break_cycle(mine, DEAD);
#endif
		if
		:: atomic { owner[at] == was -> owner[at] = me; own = at; at = 0; was = 0; mine = 0; broke = false };
			atomic { cycle[own] = 0; goto arrives }
		:: atomic { owner[at] != was -> at++; was = 0; mine = 0; broke = false }
		fi;
next_dead:	skip
	:: atomic { at == PLACES -> at = 0; assert(kills || PLACES < PROCESSES); break }
	od
}

/* With all that is local, for the next wait or for good. */
inline forget()
{
	at = 0;
	own = 0;
	was = 0;
	seen = 0;
	mine = 0;
	broke = false;
	looks = false;
	late = false
}

inline free_up()
{
#ifdef OWNER_FIRST
	atomic { owner[own] = 0; inside[me] = 0 };
	atomic { cycle[own] = 0; forget() }
#else
	atomic { cycle[own] = 0; inside[me] = 0 };
	atomic { owner[own] = 0; forget() }
#endif
}

/* ---- the dead ---- */

/* Behind ours: the first of this cycle. */
inline break_if_next_is_dead()
{
	atomic { at = (some_dead -> (own + 1) % PLACES : own) };
	do
	:: atomic { at != own && (owner[at] == 0 || cycle[at] != mine) -> at = (at + 1) % PLACES }
	:: at != own && owner[at] != 0 && cycle[at] == mine ->
		was = owner[at];
		if
		:: cycle[at] == mine ->
			if
			:: dead[was] && owner[at] == was -> break_cycle(mine, DEAD)
			:: !dead[was] || owner[at] != was
			fi
		:: cycle[at] != mine
		fi;
		break
	:: at == own -> break
	od;
	atomic { at = 0; was = 0 }
}

/* As above; who is found not to be dead was read before it could be told. */
inline find_any_dead()
{
	do
	:: atomic { at < PLACES && !dead[owner[at]] -> at++ }
	:: atomic { at < PLACES && dead[owner[at]] -> was = owner[at] };
		if
		:: cycle[at] == mine ->
			if
			:: atomic { owner[at] == was -> at = 0; was = 0; lost = false; goto finds_dead }
			:: atomic { owner[at] != was -> at++; was = 0 }
			fi
		:: atomic { cycle[at] != mine -> at++; was = 0 }
		fi
	:: atomic { at == PLACES -> at = 0; assert(!lost || state != seen); lost = false; break }
	od
}

/* ---- waiting: evcount_await_looking ---- */

inline prepare()
{
	untold = untold | bit(me)
}

inline cancel()
{
	untold = untold & ~bit(me)
}

inline awake()
{
	asleep[me] = 0;
	ticked = ticked & ~bit(me)
}

#define told(id) (!(untold & bit(id)))

/* Told, it prepares again, and tests. */
inline sleep()
{
	if
	:: atomic { told(me) -> awake(); prepare(); looks = false }
	:: atomic { !told(me) && ticked & bit(me) -> awake(); looks = true }
#ifdef EARLY
	:: atomic { !told(me) && some_dead -> awake(); looks = true }
#endif
	:: atomic { may_give_up(me) -> awake(); looks = true; late = true }
	fi
}

inline wait_for_others()
{
#ifndef NO_SECOND_TEST
	prepare();
#endif
	do
	:: atomic { cycle_of(state) != mine -> cancel(); goto released }
	:: atomic { cycle_of(state) == mine && phase_of(state) != FILLING -> cancel(); goto fails }
	:: atomic { fills(mine) -> asleep[me] = 1 };
#ifdef NO_SECOND_TEST
		prepare();
#endif
end_waits:	sleep();
		if
		:: looks ->
#ifndef NO_LOOK
			break_if_next_is_dead();
#endif
			if
			:: late -> break_cycle(mine, BROKEN);
				if
				:: broke -> atomic { cancel(); goto fails }
				:: else
				fi
			:: else
			fi;
			atomic { looks = false; late = false; broke = false }
		:: else
		fi
	od
}

#ifdef BEGIN_UNLEFT
#define is_left(place) true
#else
#define is_left(place) (owner[place] == 0 || cycle[place] != mine || (looks && dead[owner[place]]))
#endif

/* begin_next: have_left, in which who looks passes over the dead, and the change. */
inline wait_for_reset()
{
	prepare();
	do
	:: atomic { state != seen -> cancel(); goto again }
	:: state == seen ->
		do
		:: atomic { at < PLACES && is_left(at) -> at++ }
		:: atomic { at < PLACES && !is_left(at) -> break }
		:: at == PLACES ->
			if
			:: atomic { state == seen -> to_next() };
				notify_all()
			:: state != seen
			fi;
			atomic { cancel(); goto again }
		od;
		at = 0;
		if
		:: atomic { late -> cancel(); goto fails }
		:: atomic { !late && looks -> looks = false }
		:: atomic { !late && !looks -> asleep[me] = 2 };
end_reset:		sleep()
		fi
	od
}

/* Those who come while the last one does its action. */
inline wait_for_action()
{
	prepare();
	do
	:: atomic { state != seen -> cancel(); goto again }
	:: atomic { state == seen -> asleep[me] = 2 };
end_action:	sleep();
		if
		:: looks ->
#ifndef ACTION_UNWATCHED
			break_if_next_is_dead();
#endif
			atomic {
				looks = false;
				if
				:: late && !broke -> cancel(); goto fails
				:: else -> late = false; broke = false
				fi
			}
		:: else
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
			to_next()
		};
#ifndef RELEASE_UNTOLD
		notify_all();
#endif
		goto released
	:: state != seen
	fi
}

inline act()
{
	atomic { state == seen -> state = state + ARRIVED; seen = state; come_in() };
	if
	:: release();
		/* Nobody began another cycle: we have not left. */
		atomic { assert(cycle_of(state) == mine && phase_of(state) != FILLING); goto fails }
	:: break_cycle(mine, BROKEN);
		goto fails
	fi
}

/* Whether the first one came long ago nobody knows here. */
inline arrive_last()
{
	if
	:: atomic { some_dead && PARTIES > 1 -> lost = dead_inside };
		find_any_dead();
		if
		:: false ->
finds_dead:		break_cycle(mine, DEAD);
			goto changed
		:: true
		fi
	:: true
	fi;
#ifdef ACTION
	if
	:: act()
	:: state != seen -> goto changed
	fi
#else
	release();
	goto changed
#endif
}

inline arrive()
{
	if
	:: atomic { state == seen -> state = state + ARRIVED; seen = 0; come_in() };
#ifdef COUNT_FIRST
		cycle[own] = mine;
#endif
		wait_for_others()
	:: state != seen -> goto changed
	fi
}

/* It ends at `released`, `fails`, `changed` or `again`. */
inline attempt()
{
	atomic {
		at = 0;
		looks = false;
		late = false;
		broke = false;
		seen = state;
		mine = cycle_of(seen);
		if
		:: phase_of(seen) == BROKEN || phase_of(seen) == DEAD -> goto fails
		:: else
		fi
	};
	if
	:: phase_of(seen) == LEAVING -> wait_for_reset()
	:: phase_of(seen) == FILLING && arrived_of(seen) >= PARTIES -> wait_for_action()
	:: else ->
#ifndef COUNT_FIRST
		cycle[own] = mine;
#endif
		if
		:: arrived_of(seen) + 1 == PARTIES -> arrive_last()
		:: else -> arrive()
		fi
	fi
}

proctype party(byte me)
{
	byte n, at, own, was, seen, mine;
	bool broke, looks, late, lost;

	{
		n = 1;
comes:
		free_place();
		place_of_dead();
		goto goes;
changed:
		cycle[own] = 0;
		goto again;
arrives:
again:
		attempt();
fails:
#ifdef TELL_FIRST
		notify_all();
#endif
		atomic { cycle[own] = 0; inside[me] = 0 };
#if !defined(LEAVE_UNTOLD) && !defined(TELL_FIRST)
		notify_all();
#endif
released:
		free_up();
goes:
		atomic {
			if
			:: n < WAITS -> n++; goto comes
			:: else -> n = 0; done[me] = true
			fi
		}
	} unless {
		atomic { gone[me] -> forget(); n = 0; lost = false; awake(); cancel(); dead[me] = true }
	}
}

/* ---- the other calls ---- */

inline abort_it()
{
	if
	:: atomic { phase_of(state) == FILLING || phase_of(state) == LEAVING -> to_phase(BROKEN); aborts++ };
		notify_all()
	:: atomic { phase_of(state) == BROKEN || phase_of(state) == DEAD -> aborts++ }
	fi
}

#ifdef RESET_IF_ARRIVED
#define needs_reset (phase_of(state) != LEAVING && !(phase_of(state) == FILLING && arrived_of(state) == 0))
#else
#define needs_reset (phase_of(state) != LEAVING)
#endif

inline reset_it()
{
	if
	:: atomic { needs_reset ->
#ifdef RESET_AT_ONCE
			to_next();
#else
			to_phase(LEAVING);
#endif
			died = false;
			resets++
		};
		notify_all()
	:: atomic { !needs_reset -> died = false; resets++ }
	fi
}

proctype control(byte me)
{
	byte aborts, resets;

	{
		do
		:: aborts < ABORTS -> abort_it()
		:: resets < RESETS -> reset_it()
		:: atomic { aborts == ABORTS && resets == RESETS -> break }
		od;
		atomic { aborts = 0; resets = 0; done[me] = true }
	} unless {
		atomic { gone[me] -> aborts = 0; resets = 0; dead[me] = true }
	}
}

/* ---- kills and ticks ---- */

#define may_die(id) (kills < KILLS && !gone[id] && !done[id])

inline kill(id)
{
	for (i : 0 .. PLACES - 1) {
		died = died || owner[i] == id && cycle[i] == cycle_of(state)
	}
	i = 0;
	gone[id] = true;
	kills++
}

#ifdef EARLY
#define early some_dead
#else
#define early false
#endif
#define sleeps(id) (!gone[id] && asleep[id] && !told(id) && !(ticked & bit(id)) && !may_give_up(id) && !early)
#define idle(id) (done[id] || dead[id] || sleeps(id))
#if PROCESSES == 2
#define all_idle (idle(1) && idle(2) && idle(CONTROL))
#else
#define all_idle (idle(1) && idle(2) && idle(3) && idle(CONTROL))
#endif

inline tick()
{
	ticked = untold;
	ticks++;
	assert(ticks <= kills)
}

/* Whether there is anything for which somebody should not sleep. */
inline look_around()
{
	for (i : 1 .. PROCESSES) {
		if
		:: gone[i] || done[i]
		:: else ->
			owed = owed || asleep[i] != 1 || inside[i] != cycle_of(state) || phase_of(state) != FILLING;
			n++
		fi
	}
	owed = owed || (n && (arrived_of(state) != n || n >= PARTIES || died))
}

/* Some wait for others who have had their waits. */
#define may_fall_short (kills || RESETS || ABORTS || may_give_up(1) || may_give_up(2) || PROCESSES != PARTIES)

proctype world()
{
	byte i, n;
	bool owed;

end_world:
	do
#if KILLS
	:: atomic { may_die(1) -> kill(1) }
#if KILLS > 1
	:: atomic { gone[1] && may_die(2) -> kill(2) }
#endif
	:: atomic { may_die(CONTROL) -> kill(CONTROL) }
#endif
	:: atomic { all_idle ->
			look_around();
			if
			:: owed -> tick()
			:: else -> assert(n == 0 || may_fall_short)
			fi;
			i = 0;
			n = 0;
			owed = false
		}
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
		run world();
		i = 0
	}
}
