/* SPDX-License-Identifier: MIT */
/*
 * Conditions: exactly as many are woken as were notified, of those who waited then,
 * whoever is killed: one who waits or is woken, one who notifies or settles for the dead.
 */
#include "condition_scene.h"

#include <errno.h>

#include "base/ident.h"

/* ---- set up ---- */

/* One that waits, and comes after the victim, and after those before it. */
static void younger(void *ctx, unsigned i)
{
	struct scene *s = ctx;

	KILL_UNTIL(victim_in(s, ASLEEP) || load_acquire(&s->dead));
	KILL_UNTIL(i == 0 || sleeps(s, s->pids[i - 1]));
	party(s, i);
}

static void start_younger(struct scene *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++, s->others++)
		s->pids[s->others] = beside_start(younger, s, s->others);
}

static void notifier(void *ctx, unsigned unused)
{
	struct scene *s = ctx;

	(void)unused;
	await_all(s);
	store_release(&s->notifying, 1);
	notify(s, s->n);
	store_release(&s->notified, 1);
}

static struct scene *with_notifier(struct scene *s, uint32_t n)
{
	s->n = n;
	beside_start(notifier, s, 0);
	return s;
}

static void *late_first(struct scene *s)
{
	s->late_first = true;
	return s;
}

static void *setup_alone(void)
{
	return late_first(with_notifier(make(OWN, 0), 1));
}

static struct scene *make_oldest(enum kind kind, unsigned others)
{
	struct scene *s = make(kind, 0);

	start_younger(s, others);
	return s;
}

static void *setup_oldest(void)
{
	return late_first(with_notifier(make_oldest(OWN, 2), 1));
}

static void *setup_plain(void)
{
	return with_notifier(make_oldest(PLAIN, 1), 1);
}

static void *setup_nested(void)
{
	return with_notifier(make_oldest(NESTED, 1), 1);
}

static void *setup_middle(void)
{
	struct scene *s = make(OWN, 1);

	start_younger(s, 2);
	return with_notifier(s, 2);
}

static void *setup_youngest(void)
{
	return with_notifier(make(OWN, 2), 3);
}

/* Nobody notifies while the victim waits. */
static void *setup_quiet(void)
{
	struct scene *s = make(OWN, 1);

	start_younger(s, 1);
	return s;
}

static void *setup_quiet_alone(void)
{
	return make(PLAIN, 0);
}

static void *setup_quiet_oldest(void)
{
	return make_oldest(NESTED, 2);
}

/* Stopped, they settle nothing. */
static struct scene *make_stopped(unsigned others)
{
	struct scene *s = make(OWN, others);

	stop_all(s);
	return s;
}

static void *setup_two(void)
{
	struct scene *s = make(OWN, 2);

	s->n = 1;
	return s;
}

static void *setup_three(void)
{
	struct scene *s = make(PLAIN, 3);

	s->n = 3;
	return late_first(s);
}

static void *setup_two_of_three(void)
{
	struct scene *s = make(NESTED, 3);

	s->n = 2;
	return s;
}

/* One that was the oldest to wait, and is dead. */
static struct wait_place *die_waiting(struct scene *s)
{
	start_party(s, GONE);
	beside_kill(s->pids[GONE]);
	return &inner(s)->place[inner(s)->used - 1];
}

/* The oldest are dead, and sleep for all that one can see. */
static void *setup_dead_waiter(void)
{
	struct scene *s = make(OWN, 0);

	die_waiting(s);
	for (unsigned i = 0; i < 2; i++, s->others++)
		start_party(s, i);
	s->next = inner(s)->next;
	s->n = 1;
	return s;
}

/* One notification went to who is dead now, and is in this state. */
static struct scene *make_lost(enum word_state state, bool half)
{
	struct scene *s = make_stopped(3);
	struct condition *c = inner(s);
	struct wait_place *gone = die_waiting(s);

	acquire(s);
	if (half)
		store_release(&c->place[0].word, word_of(c->next, GRANTED));
	store_release(&gone->word, word_of(c->next, state));
	store_release(&c->next, c->next + 1);
	s->next = c->next;
	s->owed = 1;
	s->n = 1;
	release(s);
	return s;
}

static void *setup_granted_dead(void)
{
	return make_lost(GRANTED, false);
}

static void *setup_passing(void)
{
	return make_lost(PASSING, false);
}

static void *setup_half_passed(void)
{
	return late_first(make_lost(PASSING, true));
}

/* Promises two, gives one of them if it may, and dies with the lock. */
static void die_notifying(void *ctx, unsigned given)
{
	struct scene *s = ctx;
	struct condition *c = inner(s);

	await_all(s);
	stop_all(s);
	acquire(s);
	store_release(&c->debt, c->next * DEBT_MOST + 2);
	if (given)
		store_release(&c->place[0].word, word_of(c->next, GRANTED));
	store_release(&s->notifying, 1);
	store_release(&s->notified, 1);
	raise(SIGKILL);
}

static struct scene *make_debt(unsigned given)
{
	struct scene *s = make(OWN, 3);
	pid_t pid;

	s->dead = 1;
	pid = beside_start(die_notifying, s, given);
	KILL_UNTIL(beside_is_dead(pid));
	s->dead = 0;
	s->owed = 2;
	s->next += 2;
	return s;
}

static void *setup_debt(void)
{
	struct scene *s = make_debt(0);

	s->n = 1;
	return s;
}

static void *setup_half_paid(void)
{
	struct scene *s = make_debt(1);

	s->n = 1;
	return s;
}

/* For who only waits, too late. */
static void *setup_debt_before(void)
{
	return make_debt(0);
}

/* The victim finds it at its tick. */
static void *setup_debt_at_tick(void)
{
	struct scene *s = make_oldest(OWN, 2);

	s->n = 2;
	beside_start(die_notifying, s, 0);
	return s;
}

static void notify_dead(void *ctx, unsigned unused)
{
	struct scene *s = ctx;

	(void)unused;
	await_all(s);
	stop_all(s);
	acquire(s);
	store_release(&s->notifying, 1);
	kill_check(ipck_condition_notify(&s->condition, 1) == 0);
	beside_kill(s->pids[GONE]);
	release(s);
	store_release(&s->notified, 1);
}

static struct scene *make_dead_at_tick(unsigned younger_ones)
{
	struct scene *s = make(OWN, 0);

	start_party(s, GONE);
	start_younger(s, younger_ones);
	s->n = 1;
	beside_start(notify_dead, s, 0);
	return s;
}

static void *setup_dead_at_tick(void)
{
	return make_dead_at_tick(2);
}

static void *setup_dead_at_tick_late(void)
{
	return late_first(make_dead_at_tick(1));
}

/* ---- victims ---- */

static void prepare(struct scene *s)
{
	store_release(&s->victim, ident_word());
	acquire(s);
}

static void wait_until_notified(void *ctx)
{
	struct scene *s = ctx;

	prepare(s);
	kill_begin();
	wait_until(s, VICTIM, beside_far());
	kill_end();
	release(s);
}

static void wait_in_vain(void *ctx)
{
	struct scene *s = ctx;

	prepare(s);
	kill_begin();
	wait_until(s, VICTIM, ipck_in_ms(80));
	kill_end();
	release(s);
}

static void notify_some(void *ctx)
{
	struct scene *s = ctx;

	prepare(s);
	kill_begin();
	kill_check(ipck_condition_notify(&s->condition, s->n) == 0);
	release(s);
	kill_end();
}

static void notify_all(void *ctx)
{
	struct scene *s = ctx;

	prepare(s);
	kill_begin();
	kill_check(ipck_condition_notify_all(&s->condition) == 0);
	release(s);
	kill_end();
}

/* ---- survivors ---- */

static void survive_waiter(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;
	bool told = load_acquire(&s->results[VICTIM]) == NOTIFIED;
	/* Its wait was over, or it has not begun to sleep when it was notified. */
	bool left = load_acquire(&s->notifying) && count(s, FREE, true) > 0;

	kill_check(told || point->kind != KILL_NONE);
	store_release(&s->dead, 1);
	KILL_UNTIL(load_acquire(&s->notified));
	continue_all(s);
	expect_woken(s, s->n - (told || left), s->n - told);
	works(s);
}

static void survive_late_one(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;
	uint32_t result = load_acquire(&s->results[VICTIM]);

	kill_check(result == TIMED_OUT || (result == INSIDE && point->kind != KILL_NONE));
	store_release(&s->dead, 1);
	continue_all(s);
	if (s->owed == 0) {
		KILL_UNTIL(count(s, ASLEEP, false) == s->others);
		notify(s, 1);
		s->owed = 1;
	}
	expect_woken(s, s->owed, s->owed);
	works(s);
}

static void survive_notifier(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;
	uint64_t debt = load_acquire(&inner(s)->debt), next = load_acquire(&inner(s)->next);
	bool promised = debt / DEBT_MOST == s->next || next > s->next;
	uint32_t n = s->owed + (promised ? s->n : 0);

	kill_check(promised || point->kind != KILL_NONE);
	store_release(&s->dead, 1);
	continue_all(s);
	expect_woken(s, n, n);
	works(s);
}

#define ALWAYS 17

static struct kill_sweep sweeps[] = {
	{.name = "wait", .setup = setup_alone, .victim = wait_until_notified, .survive = survive_waiter},
	{.name = "oldest", .setup = setup_oldest, .victim = wait_until_notified, .survive = survive_waiter},
	{.name = "nested lock", .setup = setup_nested, .victim = wait_until_notified, .survive = survive_waiter},
	{.name = "middle", .setup = setup_middle, .victim = wait_until_notified, .survive = survive_waiter},
	{.name = "youngest", .setup = setup_youngest, .victim = wait_until_notified, .survive = survive_waiter},
	{.name = "tick, debt", .setup = setup_debt_at_tick, .victim = wait_until_notified, .survive = survive_waiter},
	{.name = "tick, dead", .setup = setup_dead_at_tick, .victim = wait_until_notified, .survive = survive_waiter},
	{.name = "tick, dead, late", .setup = setup_dead_at_tick_late, .victim = wait_until_notified,
	 .survive = survive_waiter},
	{.name = "time out", .setup = setup_quiet, .victim = wait_in_vain, .survive = survive_late_one},
	{.name = "time out oldest", .setup = setup_quiet_oldest, .victim = wait_in_vain, .survive = survive_late_one},
	{.name = "notify one", .setup = setup_two, .victim = notify_some, .survive = survive_notifier},
	{.name = "notify all", .setup = setup_three, .victim = notify_all, .survive = survive_notifier},
	{.name = "notify the dead", .setup = setup_dead_waiter, .victim = notify_some, .survive = survive_notifier},
	{.name = "notify, granted dead", .setup = setup_granted_dead, .victim = notify_some,
	 .survive = survive_notifier},
	{.name = "notify, passing", .setup = setup_passing, .victim = notify_some, .survive = survive_notifier},
	{.name = "notify, half passed", .setup = setup_half_passed, .victim = notify_some,
	 .survive = survive_notifier},
	{.name = "notify, debt", .setup = setup_debt, .victim = notify_some, .survive = survive_notifier},
	/* From here on only with IPCK_LONG. */
	{.name = "plain lock", .setup = setup_plain, .victim = wait_until_notified, .survive = survive_waiter},
	{.name = "time out alone", .setup = setup_quiet_alone, .victim = wait_in_vain, .survive = survive_late_one},
	{.name = "wait, debt", .setup = setup_debt_before, .victim = wait_in_vain, .survive = survive_late_one},
	{.name = "notify two", .setup = setup_two_of_three, .victim = notify_some, .survive = survive_notifier},
	{.name = "notify, half paid", .setup = setup_half_paid, .victim = notify_some, .survive = survive_notifier},
};

int main(int argc, char **argv)
{
	return beside_main(argc, argv, sweeps, sizeof(sweeps) / sizeof(*sweeps), ALWAYS, watch);
}
