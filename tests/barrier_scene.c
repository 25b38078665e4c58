/* SPDX-License-Identifier: MIT */
#include "barrier_scene.h"

#include <errno.h>

#include "base/ident.h"
#include "base/spin.h"

const struct kill_range *watch(void *ctx, size_t *n)
{
	struct scene *s = ctx;
	static struct kill_range ranges[2];

	ranges[0] = (struct kill_range){s, IPCK_BARRIER_BYTES(PLACES)};
	ranges[1] = (struct kill_range){&s->acted, sizeof(s->acted)};
	*n = 2;
	return ranges;
}

enum phase phase(struct scene *s)
{
	return state_phase(load_seq(&inner(s)->state));
}

uint32_t arrived(struct scene *s)
{
	return ipck_barrier_waiting(&s->barrier);
}

bool is_dead(struct scene *s)
{
	return load_acquire(&s->dead);
}

uint64_t cycle_of_victim(struct scene *s)
{
	const struct barrier *b = inner(s);

	for (uint32_t i = 0; i < b->places; i++)
		if (load_acquire(&b->place[i].owner) == load_acquire(&s->victim))
			return load_acquire(&b->place[i].cycle);
	return 0;
}

bool has_ended(struct scene *s, unsigned i)
{
	return load_acquire(&s->results[i]) != INSIDE;
}

bool sleeps_beyond(struct scene *s, uint32_t n)
{
	return load_seq(&inner(s)->sleepers.word) >= (n + 1) * EVCOUNT_SLEEPER;
}

bool have_ended(struct scene *s)
{
	for (unsigned i = 0; i < s->others; i++)
		if (!has_ended(s, i))
			return false;
	return true;
}

bool all_got(struct scene *s, int result)
{
	for (unsigned i = 0; i < s->others; i++)
		if (load_acquire(&s->results[i]) != result)
			return false;
	return true;
}

bool all_released(struct scene *s)
{
	for (unsigned i = 0; i < s->others; i++)
		if (load_acquire(&s->results[i]) < 0)
			return false;
	return true;
}

void party(void *ctx, unsigned i)
{
	struct scene *s = ctx;
	int rc = ipck_barrier_wait(&s->barrier, &s->indexes[i], beside_far());

	store_release(&s->results[i], (int32_t)rc);
}

void start_party(struct scene *s, unsigned i)
{
	store_release(&s->results[i], INSIDE);
	s->pids[i] = beside_start(party, s, i);
}

struct scene *make(uint32_t parties, uint32_t places)
{
	struct scene *s = kill_shared(sizeof(*s));
	struct ipck_barrier_opts opts = IPCK_BARRIER_OPTS_INIT;

	spin_forbid();
	opts.bytes = IPCK_BARRIER_BYTES(places);
	kill_check(ipck_barrier_init(&s->barrier, parties, &opts) == 0);
	s->told = INSIDE;
	return s;
}

void await_sleep(pid_t pid)
{
	KILL_UNTIL(test_state(pid) == 'S');
}

struct scene *make_waiting(uint32_t parties, uint32_t others, uint32_t places)
{
	struct scene *s = make(parties, places);

	for (unsigned i = 0; i < others; i++) {
		start_party(s, i);
		KILL_UNTIL(arrived(s) == i + 1);
		await_sleep(s->pids[i]);
	}
	s->others = others;
	return s;
}

void stop_all(struct scene *s)
{
	for (unsigned i = 0; i < s->others; i++)
		beside_stop(s->pids[i]);
}

int act(void *arg)
{
	struct scene *s = arg;

	store_release(&s->acted, s->acted + 1);
	return 0;
}

void go_on(struct scene *s)
{
	store_release(&s->dead, 1);
	for (unsigned i = 0; i < s->others; i++)
		kill(s->pids[i], SIGCONT);
}

static void check_places(struct scene *s)
{
	const struct barrier *b = inner(s);
	uint64_t state = load_seq(&b->state);
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->places; i++) {
		uint64_t owner = load_acquire(&b->place[i].owner), of_cycle = load_acquire(&b->place[i].cycle);

		kill_check(of_cycle <= state_cycle(state));
		n += owner != 0 && of_cycle == state_cycle(state);
		/* Nobody arrives with a dead one now. */
		if (state_phase(state) == FILLING && owner != 0 && ident_word_dead(owner))
			kill_check(of_cycle != state_cycle(state));
	}
	kill_check(state_arrived(state) <= n);
}

/* All parties, of which only the last has lived all the time, come and are released. */
static void cycle_works(struct scene *s)
{
	uint32_t parties = ipck_barrier_parties(&s->barrier), seen = 0, index;
	int rc;

	s->others = parties - 1;
	for (unsigned i = 0; i < s->others; i++) {
		start_party(s, i);
		KILL_UNTIL(arrived(s) == i + 1);
	}
	check_places(s);
	rc = ipck_barrier_wait_action(&s->barrier, act, s, &index, beside_far());
	kill_check(rc == IPCK_ELECTED && index == parties - 1);
	KILL_UNTIL(have_ended(s));
	kill_check(all_got(s, 0));
	for (unsigned i = 0; i < s->others; i++)
		seen |= 1U << s->indexes[i];
	kill_check(seen == (1U << s->others) - 1);
}

void works(struct scene *s)
{
	const struct barrier *b = inner(s);

	if (s->pids[NEWCOMER])
		KILL_UNTIL(has_ended(s, NEWCOMER) || arrived(s) == 1);
	kill_check(ipck_barrier_reset(&s->barrier) == 0);
	if (s->pids[NEWCOMER])
		KILL_UNTIL(has_ended(s, NEWCOMER));
	check_places(s);
	cycle_works(s);
	kill_check(ipck_barrier_abort(&s->barrier) == 0 && ipck_barrier_broken(&s->barrier));
	kill_check(ipck_barrier_wait(&s->barrier, NULL, beside_far()) == -ECANCELED);
	kill_check(ipck_barrier_reset(&s->barrier) == 0 && !ipck_barrier_broken(&s->barrier));
	cycle_works(s);
	kill_check(arrived(s) == 0);
	for (uint32_t i = 0; i < b->places; i++)
		kill_check(b->place[i].owner == 0 || ident_word_dead(b->place[i].owner));
}

bool one_is_missing(struct scene *s)
{
	const struct barrier *b = inner(s);
	uint64_t state = load_seq(&b->state);

	if (state_phase(state) != FILLING || state_arrived(state) + 1 != b->parties)
		return false;
	for (uint32_t i = 0; i < b->places; i++) {
		uint64_t owner = load_acquire(&b->place[i].owner);

		if (owner != 0 && load_acquire(&b->place[i].cycle) == state_cycle(state) && ident_word_dead(owner))
			return false;
	}
	return true;
}
