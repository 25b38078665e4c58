/* SPDX-License-Identifier: MIT */
/*
 * Barriers: whoever is killed, those who wait are all released, or all told that it is
 * broken and why, and after a reset it works for all parties again.
 */
#include "barrier_scene.h"

#include <errno.h>

#include "base/ident.h"

/* ---- set up ---- */

/* Comes when the victim waits, or is dead. */
static void follow(void *ctx, unsigned i)
{
	struct scene *s = ctx;

	KILL_UNTIL(arrived(s) >= i + 1 || is_dead(s));
	party(s, i);
}

static void start_follower(struct scene *s)
{
	unsigned i = s->others++;

	store_release(&s->results[i], INSIDE);
	s->pids[i] = beside_start(follow, s, i);
}

static void *setup_first(void)
{
	struct scene *s = make(3, PLACES);

	start_follower(s);
	start_follower(s);
	return s;
}

static void *setup_middle(void)
{
	struct scene *s = make_waiting(3, 1, PLACES);

	start_follower(s);
	return s;
}

static void *setup_last(void)
{
	return make_waiting(3, 2, PLACES);
}

/* Comes while the action runs, if it does. */
static void come_amid(void *ctx, unsigned i)
{
	struct scene *s = ctx;
	uint32_t parties = ipck_barrier_parties(&s->barrier);

	KILL_UNTIL(arrived(s) == parties || is_dead(s));
	if (arrived(s) != parties) {
		store_release(&s->results[i], -ECANCELED);
		return;
	}
	party(s, i);
}

static void *start_newcomer(struct scene *s)
{
	store_release(&s->results[NEWCOMER], INSIDE);
	s->pids[NEWCOMER] = beside_start(come_amid, s, NEWCOMER);
	return s;
}

static void *setup_amid(void)
{
	return start_newcomer(make_waiting(3, 2, PLACES));
}

static void *setup_alone(void)
{
	return start_newcomer(make(1, PLACES));
}

static void *setup_one_waits(void)
{
	return make_waiting(3, 1, PLACES);
}

static void *setup_nobody(void)
{
	return make(2, PLACES);
}

/* Those who waited have not left yet. */
static void *setup_broken(void)
{
	struct scene *s = make_waiting(3, 2, PLACES);

	stop_all(s);
	kill_check(ipck_barrier_abort(&s->barrier) == 0);
	return s;
}

/* Lets the one leave that is stopped, when the victim waits for that; comes when it has. */
static void let_leave(void *ctx, unsigned i)
{
	struct scene *s = ctx;

	KILL_UNTIL(evcount_sleepers(&inner(s)->sleepers) || is_dead(s));
	kill(s->pids[GONE], SIGCONT);
	KILL_UNTIL(has_ended(s, GONE));
	party(s, i);
}

static void *setup_leaving(void)
{
	struct scene *s = make(2, PLACES);

	start_party(s, GONE);
	KILL_UNTIL(arrived(s) == 1);
	await_sleep(s->pids[GONE]);
	beside_stop(s->pids[GONE]);
	kill_check(ipck_barrier_reset(&s->barrier) == 0);
	store_release(&s->results[FIRST], INSIDE);
	s->pids[FIRST] = beside_start(let_leave, s, FIRST);
	s->others = 1;
	return s;
}

/* One of the cycle that was reset is dead. */
static void *setup_leaving_dead(void)
{
	struct scene *s = make(2, PLACES);

	start_party(s, GONE);
	KILL_UNTIL(arrived(s) == 1);
	beside_kill(s->pids[GONE]);
	kill_check(ipck_barrier_reset(&s->barrier) == 0);
	start_follower(s);
	return s;
}

static void kill_when_all_wait(void *ctx, unsigned n)
{
	struct scene *s = ctx;

	KILL_UNTIL(sleeps_beyond(s, n) || is_dead(s));
	beside_kill(s->pids[GONE]);
}

/* One dies beside the victim, that waits. */
static void *setup_dead_party(void)
{
	struct scene *s = make_waiting(4, 1, PLACES);

	start_party(s, GONE);
	KILL_UNTIL(arrived(s) == 2 && sleeps_beyond(s, 1));
	beside_start(kill_when_all_wait, s, 2);
	return s;
}

static void *setup_last_of_two(void)
{
	return make_waiting(2, 1, PLACES);
}

static void write_down(void *ctx, unsigned of_cycle)
{
	struct scene *s = ctx;
	struct barrier *b = inner(s);

	for (uint32_t i = 0; i < b->places; i++) {
		if (b->place[i].owner)
			continue;
		store_relaxed(&b->place[i].cycle, of_cycle);
		store_release(&b->place[i].owner, ident_word());
		return;
	}
}

/* There is no place but that of one who died before it was counted, in that cycle; the others are stopped. */
static void *make_with_dead(unsigned of_cycle)
{
	struct scene *s = make_waiting(3, 2, 3);
	pid_t pid;

	stop_all(s);
	pid = beside_start(write_down, s, of_cycle);
	KILL_UNTIL(beside_is_dead(pid));
	return s;
}

static void *setup_dead_place(void)
{
	return make_with_dead(1);
}

static void *setup_old_place(void)
{
	return make_with_dead(0);
}

/* ---- victims ---- */

static void begin(struct scene *s)
{
	store_release(&s->victim, ident_word());
	kill_begin();
}

static void end(struct scene *s, int rc)
{
	store_release(&s->told, (int32_t)rc);
	kill_end();
}

static void arrive(void *ctx)
{
	struct scene *s = ctx;
	uint32_t index;

	begin(s);
	end(s, ipck_barrier_wait(&s->barrier, &index, beside_far()));
}

/* Not before the newcomer sleeps. */
static int act_amid(void *arg)
{
	struct scene *s = arg;

	kill_end();
	KILL_UNTIL(sleeps_beyond(s, s->others));
	kill_begin();
	return act(s);
}

static void arrive_and_act(void *ctx)
{
	struct scene *s = ctx;

	begin(s);
	end(s, ipck_barrier_wait_action(&s->barrier, act, s, NULL, beside_far()));
}

static void arrive_and_act_amid(void *ctx)
{
	struct scene *s = ctx;

	begin(s);
	end(s, ipck_barrier_wait_action(&s->barrier, act_amid, s, NULL, beside_far()));
}

static void give_up(void *ctx)
{
	struct scene *s = ctx;

	begin(s);
	end(s, ipck_barrier_wait(&s->barrier, NULL, ipck_in_ms(80)));
}

static void abort_it(void *ctx)
{
	struct scene *s = ctx;

	begin(s);
	end(s, ipck_barrier_abort(&s->barrier));
}

static void reset_it(void *ctx)
{
	struct scene *s = ctx;

	begin(s);
	end(s, ipck_barrier_reset(&s->barrier));
}

/* ---- survivors ---- */

/* The others are all released, or are all told of the death. */
static void survive_party(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;
	bool done = load_acquire(&s->told) != INSIDE;

	go_on(s);
	kill_check(done || point->kind != KILL_NONE);
	kill_check(!done || s->told >= 0);
	KILL_UNTIL(have_ended(s) || one_is_missing(s));
	if (!have_ended(s)) {
		kill_check(!done);
		kill_check(ipck_barrier_wait_action(&s->barrier, act, s, NULL, beside_far()) == IPCK_ELECTED);
		KILL_UNTIL(have_ended(s));
		kill_check(all_released(s));
	}
	kill_check(all_released(s) || (all_got(s, -EOWNERDEAD) && !done));
	works(s);
}

static void survive_action(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;
	bool acted = s->acted > 0;

	survive_party(s, point);
	kill_check(acted || point->kind != KILL_NONE);
}

/* Who comes while the action runs is not of its cycle. */
static void survive_amid(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	(void)point;
	store_release(&s->dead, 1);
	KILL_UNTIL(has_ended(s, NEWCOMER));
	kill_check(s->results[NEWCOMER] >= 0 || s->results[NEWCOMER] == -EOWNERDEAD ||
	           s->results[NEWCOMER] == -ECANCELED);
	works(s);
}

/* The victim comes too late to be released. */
static void survive_dead(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	go_on(s);
	kill_check(s->told == -EOWNERDEAD || (s->told == INSIDE && point->kind != KILL_NONE));
	KILL_UNTIL(have_ended(s));
	kill_check(all_got(s, -EOWNERDEAD));
	works(s);
}

static void survive_break(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;
	enum phase then = phase(s);

	go_on(s);
	kill_check(s->told == -ETIMEDOUT || point->kind != KILL_NONE);
	if (then == FILLING && cycle_of_victim(s) == 0)
		kill_check(ipck_barrier_abort(&s->barrier) == 0);
	KILL_UNTIL(have_ended(s));
	kill_check(all_got(s, phase(s) == DEAD ? -EOWNERDEAD : -ECANCELED));
	kill_check(then == FILLING || phase(s) == then);
	kill_check(then != FILLING || cycle_of_victim(s) == 0 || s->others == 0 || phase(s) == DEAD);
	works(s);
}

/* Their wait has ended, or nothing has happened to them. */
static void survive_change(struct scene *s, const struct kill_point *point, enum phase to,
                           int (*again)(struct ipck_barrier *barrier))
{
	bool done = phase(s) == to;

	kill_check(done || point->kind != KILL_NONE);
	kill_check(done || phase(s) == BROKEN || arrived(s) == s->others);
	go_on(s);
	if (!done)
		kill_check(again(&s->barrier) == 0);
	KILL_UNTIL(have_ended(s));
	kill_check(all_got(s, -ECANCELED));
	works(s);
}

static void survive_abort(void *ctx, const struct kill_point *point)
{
	survive_change(ctx, point, BROKEN, ipck_barrier_abort);
}

static void survive_reset(void *ctx, const struct kill_point *point)
{
	survive_change(ctx, point, LEAVING, ipck_barrier_reset);
}

static struct kill_sweep sweeps[] = {
	{.name = "first", .setup = setup_first, .victim = arrive, .survive = survive_party},
	{.name = "middle", .setup = setup_middle, .victim = arrive, .survive = survive_party},
	{.name = "last", .setup = setup_last, .victim = arrive, .survive = survive_party},
	{.name = "last of two", .setup = setup_last_of_two, .victim = arrive, .survive = survive_party},
	{.name = "action", .setup = setup_last, .victim = arrive_and_act, .survive = survive_action},
	{.name = "action amid", .setup = setup_amid, .victim = arrive_and_act_amid, .survive = survive_action},
	{.name = "action alone", .setup = setup_alone, .victim = arrive_and_act_amid, .survive = survive_amid},
	{.name = "time out", .setup = setup_one_waits, .victim = give_up, .survive = survive_break},
	{.name = "time out alone", .setup = setup_nobody, .victim = give_up, .survive = survive_break},
	{.name = "abort", .setup = setup_last, .victim = abort_it, .survive = survive_abort},
	{.name = "reset", .setup = setup_last, .victim = reset_it, .survive = survive_reset},
	{.name = "reset broken", .setup = setup_broken, .victim = reset_it, .survive = survive_reset},
	{.name = "newcomer", .setup = setup_leaving, .victim = arrive, .survive = survive_party},
	{.name = "newcomer after a death", .setup = setup_leaving_dead, .victim = arrive, .survive = survive_party},
	{.name = "tick", .setup = setup_dead_party, .victim = arrive, .survive = survive_dead},
	{.name = "dead one's place", .setup = setup_dead_place, .victim = arrive, .survive = survive_dead},
	{.name = "old place", .setup = setup_old_place, .victim = arrive, .survive = survive_party},
};

int main(int argc, char **argv)
{
	size_t n = sizeof(sweeps) / sizeof(*sweeps);

	return beside_main(argc, argv, sweeps, n, n, watch);
}
