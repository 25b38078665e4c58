/* SPDX-License-Identifier: MIT */
/* Work done, the end of a queue, and the repair of what the dead have left, by who is killed at each point. */
#include "queue_scene.h"

#include <errno.h>

#include "base/ident.h"

SCENE_SETUP(setup_undone, SCENE_JOINABLE | SCENE_UNDONE | SCENE_JOINER | SCENE_CONSUMER)
SCENE_SETUP(setup_undone_some, SCENE_JOINABLE | SCENE_UNDONE | SCENE_SOME | SCENE_WRAP | SCENE_JOINER)
SCENE_SETUP(setup_leases, SCENE_LEASES | SCENE_WRAP)
SCENE_SETUP(setup_leases_some, SCENE_LEASES | SCENE_SOME | SCENE_JOINER)
SCENE_SETUP(setup_leases_full, SCENE_LEASES | SCENE_FULL | SCENE_PRODUCER | SCENE_JOINER)
SCENE_SETUP(setup_peers, SCENE_STUCK | SCENE_FULL | SCENE_JOINABLE | SCENE_CONSUMER | SCENE_PRODUCER | SCENE_JOINER)
SCENE_SETUP(setup_leases_peers,
            SCENE_STUCK | SCENE_FULL | SCENE_LEASES | SCENE_CONSUMER | SCENE_PRODUCER | SCENE_JOINER)
SCENE_SETUP(setup_consumer, SCENE_CONSUMER)
SCENE_SETUP(setup_full, SCENE_JOINABLE | SCENE_FULL | SCENE_WRAP | SCENE_PRODUCER | SCENE_JOINER)
SCENE_SETUP(setup_held, SCENE_LEASES | SCENE_HELD | SCENE_SOME | SCENE_JOINER)

/* ---- task_done, join ---- */

static void task_done(void *ctx)
{
	struct scene *s = ctx;

	scene_begin(s);
	kill_check(ipck_queue_task_done(s->queue) == 0);
	scene_end(s);
}

/* Of a lease that is the last one, for which a joiner may wait. */
static void lease_done(void *ctx)
{
	static char bytes[SCENE_LONG];
	struct scene *s = ctx;

	kill_check(scene_put(s, VICTIM, SCENE_SMALL, scene_soon()) == 0);
	kill_check(ipck_queue_get(s->queue, bytes, sizeof(bytes), NULL, scene_soon()) > 0);
	store_seq(&s->ready, 1);
	KILL_UNTIL(!s->running[JOINER] || scene_sleeps(s, JOINER));
	s->may_miss = 1;
	scene_begin(s);
	kill_check(ipck_queue_task_done(s->queue) == 0);
	scene_end(s);
	scene_count(s, bytes);
}

static void *setup_late_joiner(void)
{
	struct scene *s = scene_make(SCENE_LEASES);

	scene_peer_when_ready(s, JOINER);
	return s;
}

static void join_in_vain(void *ctx)
{
	struct scene *s = ctx;

	scene_begin(s);
	kill_check(ipck_queue_join(s->queue, scene_in_vain()) == -ETIMEDOUT);
	scene_end(s);
}

static void join(void *ctx)
{
	struct scene *s = ctx;

	scene_begin(s);
	kill_check(ipck_queue_join(s->queue, scene_soon()) == 0);
	scene_end(s);
}

static void prove(void *ctx, const struct kill_point *point)
{
	scene_prove(ctx, point);
}

/* ---- shutdown ---- */

static void shut_down(struct scene *s, enum ipck_queue_end how)
{
	scene_begin(s);
	kill_check(ipck_queue_shutdown(s->queue, how) == 0);
	scene_end(s);
}

static void shut_to_drain(void *ctx)
{
	shut_down(ctx, IPCK_QUEUE_DRAIN);
}

static void shut_at_once(void *ctx)
{
	shut_down(ctx, IPCK_QUEUE_IMMEDIATE);
}

static void prove_drained(void *ctx, const struct kill_point *point)
{
	scene_prove_end(ctx, point, IPCK_QUEUE_DRAIN);
}

static void prove_closed(void *ctx, const struct kill_point *point)
{
	scene_prove_end(ctx, point, IPCK_QUEUE_IMMEDIATE);
}

/* ---- what others have left: killed in the middle, and now who repairs it ---- */

/* Noted that the first is TAKEN, and next moved. */
static void die_taking(struct scene *s)
{
	struct ipck_queue *q = s->queue;
	struct queue_note n;
	struct found f;

	kill_check(queue_begin_get(q, &f, IPCK_NOWAIT) == 0);
	queue_entry(q, f.place)->owner = ident_word();
	n = queue_note(q->shm);
	n.place = f.place;
	n.word = entry_word(entry_size(f.word), 1, ENTRY_TAKEN);
	n.held++;
	n.next = mark_after(n.next, entry_units(entry_size(f.word)), 1);
	q->shm->note = n;
	store_release(&q->shm->noted, 1);
	s->left = 1;
}

/* Noted that the last that was leased is done, and with it all. */
static void die_finishing(struct scene *s)
{
	static char bytes[SCENE_LONG];
	struct ipck_queue *q = s->queue;
	struct queue_note n;
	uint64_t word;
	uint32_t place;

	kill_check(scene_put(s, BEFORE, SCENE_SMALL, IPCK_NOWAIT) == 0);
	kill_check(ipck_queue_get(q, bytes, sizeof(bytes), NULL, IPCK_NOWAIT) > 0 && holds_leased(&q->holds, &place));
	kill_check(queue_lock_get(q, IPCK_NOWAIT) == 0);
	word = queue_entry(q, place)->word;
	n = queue_note(q->shm);
	n.held--;
	n.place = place;
	n.word = entry_word(entry_size(word), 1, ENTRY_DONE);
	queue_finish(q->shm, &n, 1);
	q->shm->note = n;
	store_release(&q->shm->noted, 1);
	scene_count(s, bytes);
}

/* next is moved, head is not. */
static void die_having_got(struct scene *s)
{
	struct ipck_queue *q = s->queue;
	struct found f;

	kill_check(queue_begin_get(q, &f, IPCK_NOWAIT) == 0);
	scene_look(entry_bytes(queue_entry(q, f.place)), entry_size(f.word));
	scene_count(s, entry_bytes(queue_entry(q, f.place)));
	store_seq(&q->shm->next, mark_after(q->shm->next, entry_units(entry_size(f.word)), 1));
	add_seq(&s->victim_got, 1);
}

/* Two that are peeked, and a reservation behind all. */
static void die_with_all(struct scene *s)
{
	struct ipck_queue_item item;
	void *room;

	for (int i = 0; i < 2; i++)
		kill_check(ipck_queue_peek(s->queue, &item, IPCK_NOWAIT) == 0);
	s->left = 2;
	kill_check(ipck_queue_reserve(s->queue, 1, &room, IPCK_NOWAIT) == 0);
}

static void die_holding(struct scene *s)
{
	struct ipck_queue_item item;

	for (int i = 0; i < 2; i++)
		kill_check(ipck_queue_peek(s->queue, &item, IPCK_NOWAIT) == 0);
	s->left = 2;
}

/* An entry is written, tail is not moved. */
static void die_putting(struct scene *s)
{
	struct ipck_queue *q = s->queue;

	kill_check(queue_lock(&q->shm->put, IPCK_NOWAIT) == 0);
	queue_entry(q, mark_place(q->shm->tail))->word = entry_word(SCENE_SMALL, 0, ENTRY_READY);
}

/* It is closed at once, and what is there not discarded. */
static void die_closing(struct scene *s)
{
	struct ipck_queue *q = s->queue;

	kill_check(queue_lock(&q->shm->put, IPCK_NOWAIT) == 0);
	kill_check(queue_lock_get(q, IPCK_NOWAIT) == 0);
	store_seq(&q->shm->closed, QUEUE_CLOSED);
}

static void *with_dead(struct scene *s, void (*fn)(struct scene *s))
{
	scene_die(s, fn);
	return s;
}

static void *setup_taking(void)
{
	return with_dead(scene_make(SCENE_SOME | SCENE_WRAP | SCENE_JOINABLE), die_taking);
}

static void *setup_finishing(void)
{
	return with_dead(scene_make(SCENE_LEASES | SCENE_WRAP), die_finishing);
}

static void *setup_having_got(void)
{
	struct scene *s = scene_make(SCENE_WRAP | SCENE_JOINABLE);

	kill_check(scene_put(s, BEFORE, SCENE_BIG * 4 - 32, IPCK_NOWAIT) == 0);
	return with_dead(s, die_having_got);
}

static void *setup_with_all(void)
{
	return with_dead(scene_make(SCENE_SOME | SCENE_WRAP | SCENE_LEASES), die_with_all);
}

static void *setup_holding(void)
{
	return with_dead(scene_make(SCENE_FULL | SCENE_JOINABLE), die_holding);
}

static void *setup_putting(void)
{
	return with_dead(scene_make(SCENE_SOME | SCENE_WRAP), die_putting);
}

static void *setup_closing(void)
{
	return with_dead(scene_make(SCENE_SOME | SCENE_WRAP | SCENE_JOINABLE | SCENE_JOINER), die_closing);
}

static void *setup_closing_held(void)
{
	struct scene *s = scene_make(SCENE_SOME | SCENE_HELD | SCENE_LEASES | SCENE_JOINER);

	return with_dead(s, die_closing);
}

static void get(void *ctx)
{
	static char bytes[SCENE_LONG];
	struct scene *s = ctx;
	ssize_t n;

	s->may_miss = !s->queue->leases;
	s->may_repeat = s->queue->leases;
	scene_begin(s);
	n = ipck_queue_get(s->queue, bytes, sizeof(bytes), NULL, scene_soon());
	scene_end(s);
	kill_check(n >= 0);
	scene_look(bytes, (size_t)n);
	scene_count(s, bytes);
	add_seq(&s->victim_got, 1);
}

static void get_after_end(void *ctx)
{
	struct scene *s = ctx;
	char byte;

	scene_begin(s);
	kill_check(ipck_queue_get(s->queue, &byte, 1, NULL, scene_soon()) == -ESHUTDOWN);
	scene_end(s);
}

static void put(void *ctx)
{
	static char bytes[SCENE_SMALL];
	struct scene *s = ctx;
	uint32_t number = scene_try(s, VICTIM);

	scene_fill(bytes, VICTIM, number, SCENE_SMALL);
	scene_begin(s);
	kill_check(ipck_queue_put(s->queue, bytes, SCENE_SMALL, scene_soon()) == 0);
	scene_note(s, VICTIM, number, 0);
	scene_end(s);
}

/* There is no room, but what is there is looked for. */
static void put_in_vain(void *ctx)
{
	static char bytes[SCENE_SMALL];
	struct scene *s = ctx;

	scene_begin(s);
	kill_check(ipck_queue_put(s->queue, bytes, SCENE_SMALL, scene_in_vain()) == -ETIMEDOUT);
	scene_end(s);
}

static void count_all(void *ctx)
{
	struct scene *s = ctx;

	scene_begin(s);
	kill_check(ipck_queue_size(s->queue) >= 0);
	scene_end(s);
}

static struct kill_sweep sweeps[] = {
	{.name = "task_done", .setup = setup_undone_some, .victim = task_done, .survive = prove},
	{.name = "task_done of the last", .setup = setup_undone, .victim = task_done, .survive = prove},
	{.name = "task_done of a lease", .setup = setup_leases, .victim = lease_done, .survive = prove},
	{.name = "task_done of the last lease", .setup = setup_late_joiner, .victim = lease_done, .survive = prove},
	{.name = "join", .setup = setup_leases, .victim = join, .survive = prove},
	{.name = "join in vain", .setup = setup_peers, .victim = join_in_vain, .survive = prove},
	{.name = "join in vain with leases", .setup = setup_leases_peers, .victim = join_in_vain, .survive = prove},
	{.name = "drain", .setup = setup_full, .victim = shut_to_drain, .survive = prove_drained},
	{.name = "drain when empty", .setup = setup_consumer, .victim = shut_to_drain, .survive = prove_drained},
	{.name = "drain, all asleep", .setup = setup_peers, .victim = shut_to_drain, .survive = prove_drained},
	{.name = "drain leases", .setup = setup_leases_full, .victim = shut_to_drain, .survive = prove_drained},
	{.name = "immediate", .setup = setup_full, .victim = shut_at_once, .survive = prove_closed},
	{.name = "immediate when empty", .setup = setup_consumer, .victim = shut_at_once, .survive = prove_closed},
	{.name = "immediate, all asleep", .setup = setup_peers, .victim = shut_at_once, .survive = prove_closed},
	{.name = "immediate, leases", .setup = setup_leases_peers, .victim = shut_at_once, .survive = prove_closed},
	{.name = "immediate, held", .setup = setup_held, .victim = shut_at_once, .survive = prove_closed},
	{.name = "immediate beside a joiner", .setup = setup_leases_some, .victim = shut_at_once,
	 .survive = prove_closed},
	{.name = "repair a taking", .setup = setup_taking, .victim = get, .survive = prove},
	{.name = "repair the last done", .setup = setup_finishing, .victim = join, .survive = prove},
	{.name = "repair a get", .setup = setup_having_got, .victim = put, .survive = prove},
	{.name = "repair a put", .setup = setup_putting, .victim = put, .survive = prove},
	{.name = "bury", .setup = setup_with_all, .victim = get, .survive = prove},
	{.name = "bury for room", .setup = setup_holding, .victim = put_in_vain, .survive = prove},
	{.name = "bury for a join", .setup = setup_with_all, .victim = join_in_vain, .survive = prove},
	{.name = "discard", .setup = setup_closing, .victim = get_after_end, .survive = prove_closed},
	{.name = "discard held", .setup = setup_closing_held, .victim = count_all, .survive = prove_closed},
	{.name = "discard again", .setup = setup_closing_held, .victim = shut_at_once, .survive = prove_closed},
};

int main(int argc, char **argv)
{
	return scene_main(argc, argv, sweeps, sizeof(sweeps) / sizeof(*sweeps));
}
