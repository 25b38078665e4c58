/* SPDX-License-Identifier: MIT */
/* Messages put and got in place, and leases, by who is killed at each point. */
#include "queue_scene.h"

#include <errno.h>
#include <string.h>

SCENE_SETUP(setup_wrap, SCENE_WRAP | SCENE_JOINABLE)
SCENE_SETUP(setup_some, SCENE_SOME | SCENE_WRAP | SCENE_JOINABLE)
SCENE_SETUP(setup_held, SCENE_HELD | SCENE_SOME)
SCENE_SETUP(setup_full, SCENE_FULL | SCENE_PRODUCER)
SCENE_SETUP(setup_consumer, SCENE_CONSUMER)
SCENE_SETUP(setup_peers, SCENE_STUCK | SCENE_FULL | SCENE_JOINABLE | SCENE_CONSUMER | SCENE_PRODUCER | SCENE_JOINER)
SCENE_SETUP(setup_joined, SCENE_SOME | SCENE_JOINABLE | SCENE_JOINER)
SCENE_SETUP(setup_large, SCENE_LARGE | SCENE_SOME)
SCENE_SETUP(setup_leases, SCENE_LEASES | SCENE_SOME | SCENE_WRAP | SCENE_JOINER)
SCENE_SETUP(setup_leases_full, SCENE_LEASES | SCENE_FULL | SCENE_PRODUCER | SCENE_JOINER)
SCENE_SETUP(setup_leases_held, SCENE_LEASES | SCENE_HELD | SCENE_SOME)
SCENE_SETUP(setup_leases_undone, SCENE_LEASES | SCENE_UNDONE | SCENE_CONSUMER | SCENE_JOINER)

/* ---- reservations ---- */

#define ROOM 200

struct reservation {
	uint32_t number;
	void *room;
};

static void reserve(struct scene *s, struct reservation *r)
{
	r->number = scene_try(s, VICTIM);
	kill_check(ipck_queue_reserve(s->queue, ROOM, &r->room, scene_soon()) == 0);
	scene_fill(r->room, VICTIM, r->number, SCENE_SMALL);
}

static void commit(struct scene *s, const struct reservation *r)
{
	kill_check(ipck_queue_commit(s->queue, r->room, SCENE_SMALL) == 0);
	scene_note(s, VICTIM, r->number, 0);
}

static void reserve_and_commit(void *ctx)
{
	struct reservation r;

	scene_begin(ctx);
	reserve(ctx, &r);
	commit(ctx, &r);
	scene_end(ctx);
}

static void commit_whole(void *ctx)
{
	struct scene *s = ctx;
	uint32_t number = scene_try(s, VICTIM);
	void *room;

	kill_check(ipck_queue_reserve(s->queue, ROOM, &room, scene_soon()) == 0);
	scene_fill(room, VICTIM, number, ROOM);
	scene_begin(s);
	kill_check(ipck_queue_commit(s->queue, room, ROOM) == 0);
	scene_note(s, VICTIM, number, 0);
	scene_end(s);
}

/* The first is committed when the one behind it is. */
static void commit_backwards(void *ctx)
{
	struct reservation first, second;

	reserve(ctx, &first);
	reserve(ctx, &second);
	scene_begin(ctx);
	commit(ctx, &second);
	commit(ctx, &first);
	scene_end(ctx);
}

static void cancel(void *ctx)
{
	struct scene *s = ctx;
	struct reservation r, kept;

	reserve(s, &r);
	reserve(s, &kept);
	scene_begin(s);
	kill_check(ipck_queue_cancel(s->queue, r.room) == 0);
	scene_note(s, VICTIM, r.number, -1);
	commit(s, &kept);
	scene_end(s);
}

static void *setup_late_joiner(void)
{
	struct scene *s = scene_make(SCENE_JOINABLE);

	scene_peer_when_ready(s, JOINER);
	return s;
}

/* With nothing else there: who waits for all to be done waits for this one, and only if it is put. */
static void end_beside_joiner(struct scene *s, bool put)
{
	struct reservation r;

	reserve(s, &r);
	store_seq(&s->ready, 1);
	KILL_UNTIL(scene_sleeps(s, JOINER));
	scene_begin(s);
	if (put)
		commit(s, &r);
	else
		kill_check(ipck_queue_cancel(s->queue, r.room) == 0);
	scene_end(s);
	if (!put)
		scene_note(s, VICTIM, r.number, -1);
}

static void commit_beside_joiner(void *ctx)
{
	end_beside_joiner(ctx, true);
}

static void cancel_beside_joiner(void *ctx)
{
	end_beside_joiner(ctx, false);
}

static void reserve_in_vain(void *ctx)
{
	struct scene *s = ctx;
	void *room;

	scene_begin(s);
	kill_check(ipck_queue_reserve(s->queue, ROOM, &room, scene_in_vain()) == -ETIMEDOUT);
	scene_end(s);
}

/* ---- items ---- */

/* Another may have its room already. */
static void got(struct scene *s, const char *bytes, size_t size)
{
	scene_look(bytes, size);
	scene_count(s, bytes);
	s->victim_got++;
}

static void peek(struct scene *s, struct ipck_queue_item *item)
{
	kill_check(ipck_queue_peek(s->queue, item, scene_soon()) == 0);
	kill_check(item->deliveries == 1);
}

static void peek_at(struct scene *s, struct ipck_queue_item *item, char bytes[SCENE_LONG])
{
	peek(s, item);
	memcpy(bytes, item->data, item->size);
}

static void peek_and_release(void *ctx)
{
	static char bytes[SCENE_LONG];
	struct scene *s = ctx;
	struct ipck_queue_item item;

	s->may_miss = 1;
	scene_begin(s);
	peek_at(s, &item, bytes);
	kill_check(ipck_queue_release(s->queue, &item) == 0);
	scene_end(s);
	got(s, bytes, item.size);
}

/* With the last one that is there: then a consumer sleeps. */
static void end_with_sleeper(struct scene *s, int (*end)(struct ipck_queue *, const struct ipck_queue_item *))
{
	static char bytes[SCENE_LONG];
	struct ipck_queue_item item;

	kill_check(scene_put(s, BEFORE, SCENE_SMALL, IPCK_NOWAIT) == 0);
	peek_at(s, &item, bytes);
	store_seq(&s->ready, 1);
	KILL_UNTIL(scene_sleeps(s, CONSUMER));
	s->may_miss = end == ipck_queue_release;
	scene_begin(s);
	kill_check(end(s->queue, &item) == 0);
	scene_end(s);
	if (end == ipck_queue_release)
		got(s, bytes, item.size);
}

static void release_with_sleeper(void *ctx)
{
	end_with_sleeper(ctx, ipck_queue_release);
}

static void refuse_with_sleeper(void *ctx)
{
	end_with_sleeper(ctx, ipck_queue_refuse);
}

static void *setup_late_consumer(void)
{
	struct scene *s = scene_make(SCENE_JOINABLE);

	scene_peer_when_ready(s, CONSUMER);
	return s;
}

static void *setup_late_leaser(void)
{
	struct scene *s = scene_make(SCENE_LEASES);

	scene_peer_when_ready(s, CONSUMER);
	return s;
}

static void peek_in_vain(void *ctx)
{
	struct scene *s = ctx;
	struct ipck_queue_item item;

	scene_begin(s);
	kill_check(ipck_queue_peek(s->queue, &item, scene_in_vain()) == -ETIMEDOUT);
	scene_end(s);
}

static void peek_and_refuse(void *ctx)
{
	struct scene *s = ctx;
	struct ipck_queue_item item;

	scene_begin(s);
	peek(s, &item);
	kill_check(ipck_queue_refuse(s->queue, &item) == 0);
	scene_end(s);
}

/* The second before the first, and that again when it was refused. */
static void peek_two(void *ctx)
{
	static char bytes[2][SCENE_LONG];
	struct scene *s = ctx;
	struct ipck_queue_item first, second;

	s->may_miss = 2;
	scene_begin(s);
	peek_at(s, &first, bytes[0]);
	peek_at(s, &second, bytes[1]);
	kill_check(ipck_queue_release(s->queue, &second) == 0);
	kill_check(ipck_queue_refuse(s->queue, &first) == 0);
	kill_check(ipck_queue_peek(s->queue, &first, scene_soon()) == 0);
	kill_check(first.deliveries == 2);
	kill_check(ipck_queue_release(s->queue, &first) == 0);
	scene_end(s);
	got(s, bytes[0], first.size);
	got(s, bytes[1], second.size);
}

/* What was refused is got by copying. */
static void get_again(void *ctx)
{
	static char bytes[SCENE_LONG];
	struct scene *s = ctx;
	struct ipck_queue_item item;
	ssize_t n;

	peek(s, &item);
	kill_check(ipck_queue_refuse(s->queue, &item) == 0);
	s->may_miss = 1;
	scene_begin(s);
	n = ipck_queue_get(s->queue, bytes, sizeof(bytes), NULL, scene_soon());
	scene_end(s);
	kill_check(n >= 0);
	scene_look(bytes, (size_t)n);
	scene_count(s, bytes);
	s->victim_got = 1;
}

/* ---- leases ---- */

/* It is got again, as it is never done. */
static void lease(void *ctx)
{
	static char bytes[SCENE_LONG];
	struct scene *s = ctx;
	ssize_t n;

	s->may_repeat = 1;
	scene_begin(s);
	n = ipck_queue_get(s->queue, bytes, sizeof(bytes), NULL, scene_soon());
	scene_end(s);
	kill_check(n >= 0);
	scene_look(bytes, (size_t)n);
	scene_count(s, bytes);
}

static void lease_many(void *ctx)
{
	static char bytes[2 * SCENE_LONG];
	struct scene *s = ctx;
	struct iovec messages[2];

	s->may_repeat = 2;
	scene_begin(s);
	kill_check(ipck_queue_get_many(s->queue, bytes, sizeof(bytes), messages, 2, NULL, scene_soon()) == 2);
	scene_end(s);
	for (int i = 0; i < 2; i++) {
		scene_look(messages[i].iov_base, messages[i].iov_len);
		scene_count(s, messages[i].iov_base);
	}
}

static void lease_in_vain(void *ctx)
{
	static char bytes[SCENE_LONG];
	struct scene *s = ctx;

	scene_begin(s);
	kill_check(ipck_queue_get(s->queue, bytes, sizeof(bytes), NULL, scene_in_vain()) == -ETIMEDOUT);
	scene_end(s);
}

static void lease_and_refuse(void *ctx)
{
	static char bytes[SCENE_LONG];
	struct scene *s = ctx;
	struct ipck_queue_item item;

	scene_begin(s);
	kill_check(ipck_queue_get(s->queue, bytes, sizeof(bytes), NULL, scene_soon()) >= 0);
	kill_check(ipck_queue_leased(s->queue, &item) == 0);
	kill_check(ipck_queue_refuse(s->queue, &item) == 0);
	scene_end(s);
}

/* ---- close ---- */

static void close_with_all(void *ctx)
{
	struct scene *s = ctx;
	struct ipck_queue_item item;
	void *room;

	peek(s, &item);
	kill_check(ipck_queue_reserve(s->queue, ROOM, &room, scene_soon()) == 0);
	scene_begin(s);
	ipck_queue_close(s->queue);
	scene_end(s);
}

static void prove(void *ctx, const struct kill_point *point)
{
	scene_prove(ctx, point);
}

static struct kill_sweep sweeps[] = {
	{.name = "reserve, commit", .setup = setup_wrap, .victim = reserve_and_commit, .survive = prove},
	{.name = "reserve, commit behind others", .setup = setup_some, .victim = reserve_and_commit, .survive = prove},
	{.name = "reserve, commit to a sleeper", .setup = setup_consumer, .victim = reserve_and_commit,
	 .survive = prove},
	{.name = "reserve, commit by a joiner", .setup = setup_joined, .victim = reserve_and_commit, .survive = prove},
	{.name = "reserve when full", .share = 4, .setup = setup_peers, .victim = reserve_in_vain, .survive = prove},
	{.name = "commit", .setup = setup_consumer, .victim = commit_whole, .survive = prove},
	{.name = "commit backwards", .setup = setup_wrap, .victim = commit_backwards, .survive = prove},
	{.name = "cancel", .setup = setup_wrap, .victim = cancel, .survive = prove},
	{.name = "cancel to a sleeper", .setup = setup_consumer, .victim = cancel, .survive = prove},
	{.name = "commit by a joiner", .setup = setup_late_joiner, .victim = commit_beside_joiner, .survive = prove},
	{.name = "cancel by a joiner", .setup = setup_late_joiner, .victim = cancel_beside_joiner, .survive = prove},
	{.name = "peek, release", .setup = setup_some, .victim = peek_and_release, .survive = prove},
	{.name = "peek, release behind held", .share = 4, .setup = setup_held, .victim = peek_and_release,
	 .survive = prove},
	{.name = "peek, release when full", .share = 4, .setup = setup_full, .victim = peek_and_release,
	 .survive = prove},
	{.name = "peek, release large", .share = 4, .setup = setup_large, .victim = peek_and_release, .survive = prove},
	{.name = "peek, refuse", .setup = setup_some, .victim = peek_and_refuse, .survive = prove},
	{.name = "peek, refuse when full", .share = 4, .setup = setup_full, .victim = peek_and_refuse,
	 .survive = prove},
	{.name = "peek in vain", .share = 4, .setup = setup_peers, .victim = peek_in_vain, .survive = prove},
	{.name = "peek two", .share = 4, .setup = setup_held, .victim = peek_two, .survive = prove},
	{.name = "release beside a sleeper", .setup = setup_late_consumer, .victim = release_with_sleeper,
	 .survive = prove},
	{.name = "refuse to a sleeper", .setup = setup_late_consumer, .victim = refuse_with_sleeper, .survive = prove},
	{.name = "get again", .setup = setup_some, .victim = get_again, .survive = prove},
	{.name = "get again large", .setup = setup_large, .victim = get_again, .survive = prove},
	{.name = "lease", .setup = setup_leases, .victim = lease, .survive = prove},
	{.name = "lease when full", .setup = setup_leases_full, .victim = lease, .survive = prove},
	{.name = "lease behind held", .setup = setup_leases_held, .victim = lease, .survive = prove},
	{.name = "lease in vain", .share = 4, .setup = setup_leases_undone, .victim = lease_in_vain, .survive = prove},
	{.name = "lease many", .share = 4, .setup = setup_leases, .victim = lease_many, .survive = prove},
	{.name = "lease, refuse", .share = 4, .setup = setup_leases, .victim = lease_and_refuse, .survive = prove},
	{.name = "release a lease beside a sleeper", .setup = setup_late_leaser, .victim = release_with_sleeper,
	 .survive = prove},
	{.name = "close", .setup = setup_some, .victim = close_with_all, .survive = prove},
	{.name = "close when full", .setup = setup_large, .victim = close_with_all, .survive = prove},
};

int main(int argc, char **argv)
{
	return scene_main(argc, argv, sweeps, sizeof(sweeps) / sizeof(*sweeps));
}
