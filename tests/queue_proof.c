/* SPDX-License-Identifier: MIT */
/* What is proven of a queue when the victim is dead. */
#include "queue_scene.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

/* ---- the check ---- */

struct walked {
	uint32_t entries, held, returned, ready, reserved, others;
};

static void walk(struct ipck_queue *q, uint64_t at, uint64_t end, struct walked *w)
{
	*w = (struct walked){0};
	kill_check(mark_place(end) - mark_place(at) <= q->units);
	while (mark_place(at) != mark_place(end)) {
		enum entry_state state = entry_state(load_acquire(&queue_entry(q, mark_place(at))->word));

		kill_check(queue_step(q, &at, end) == 0);
		w->entries += state != ENTRY_FILLER;
		w->held += state == ENTRY_TAKEN;
		w->returned += state == ENTRY_RETURNED;
		w->ready += state == ENTRY_READY;
		w->reserved += state == ENTRY_RESERVED;
		w->others += state == ENTRY_DONE;
		kill_check(state <= ENTRY_FILLER);
	}
	kill_check(at == end);
}

static void check_finished(struct queue_shm *shm, const struct walked *behind, const struct walked *before)
{
	uint64_t unfinished = queue_total(shm) - shm->finished;
	uint32_t seen = behind->entries + before->held + before->returned;

	kill_check(shm->joinable || shm->finished == 0);
	if (!shm->joinable)
		return;
	kill_check(shm->finished <= queue_total(shm));
	kill_check(shm->leases ? unfinished == seen : shm->closed == QUEUE_CLOSED || unfinished >= behind->entries);
}

static void check_words(struct ipck_queue *q)
{
	struct queue_shm *shm = q->shm;
	struct walked before, behind;

	walk(q, shm->head, shm->next, &before);
	walk(q, shm->next, shm->tail, &behind);
	kill_check(mark_place(shm->tail) - mark_place(shm->head) <= q->units);
	kill_check(before.held == shm->held && before.returned == shm->returned);
	kill_check(before.reserved == 0 && behind.held + behind.returned + behind.others == 0);
	kill_check(shm->max_items == 0 || behind.entries <= shm->max_items);
	kill_check(shm->noted == 0 && shm->closed <= QUEUE_CLOSED);
	kill_check(shm->closed != QUEUE_CLOSED || (shm->next == shm->tail && shm->returned == 0));
	kill_check(behind.reserved == 0 || (int32_t)(shm->reserved_at - mark_place(shm->next)) >= 0);
	kill_check(shm->head == shm->next || before.held + before.returned > 0);
	kill_check(mark_place(shm->tail_seen) - mark_place(shm->next) <=
	           mark_place(shm->tail) - mark_place(shm->next));
	kill_check((uint32_t)shm->taken == mark_count(shm->next));
	check_finished(shm, &behind, &before);
}

void scene_check(struct scene *s)
{
	struct ipck_queue *q = s->queue;

	kill_check(queue_lock(&q->shm->put, scene_soon()) >= 0);
	kill_check(queue_lock_get(q, scene_soon()) >= 0);
	check_words(q);
	lock_release(&q->shm->get);
	lock_release(&q->shm->put);
}

/* How many the survivor has: peeked, or leased. */
static uint32_t held_here(const struct scene *s)
{
	return (s->item.data != NULL) + (s->queue->leases ? s->undone : 0);
}

/* What the dead one still has comes back. */
static uint32_t held_by_dead(const struct scene *s)
{
	const struct queue_shm *shm = s->queue->shm;
	uint32_t held = load_seq(&shm->held) + load_seq(&shm->returned), others = held_here(s) + s->left;

	return load_seq(&shm->noted) || held < others ? 0 : held - others;
}

void scene_died(struct scene *s, const struct kill_point *point)
{
	store_seq(&s->dead, 1);
	kill_check(point->kind != KILL_NONE || s->told);
	s->may_miss = s->told ? 0 : s->may_miss - MIN(s->may_miss, held_by_dead(s));
}

void scene_check_counts(struct scene *s)
{
	uint32_t missing = 0, again = 0;

	for (int party = 0; party < PARTIES; party++)
		for (int i = 0; i < SCENE_MESSAGES; i++) {
			uint32_t got = s->got[party][i], fate = s->fates[party][i];
			bool may = fate == TRIED || fate == ACKNOWLEDGED;

			kill_check(got == 0 || may);
			again += got > may ? got - may : 0;
			missing += fate == ACKNOWLEDGED && got == 0;
		}
	kill_check(missing <= s->may_miss);
	kill_check(again <= s->may_repeat);
}

/* ---- the sleepers ---- */

static bool runs(const struct scene *s, enum peer kind)
{
	return load_seq(&s->running[kind]) != 0;
}

/* Without a lock: that would repair what they are to. */
static bool nothing_to_get(struct scene *s)
{
	struct queue_shm *shm = s->queue->shm;
	uint64_t next = load_seq(&shm->next);
	uint64_t word = load_seq(&queue_entry(s->queue, mark_place(next))->word);
	bool stuck = s->room && entry_state(word) == ENTRY_RESERVED;
	uint32_t closed = load_seq(&shm->closed);

	/* What the survivor gives back can be got while it is drained. */
	if (closed == QUEUE_CLOSED || (closed == QUEUE_DRAINS && !stuck && !s->item.data))
		return false;
	return load_seq(&shm->noted) == 0 && load_seq(&shm->returned) == 0 && load_seq(&shm->held) == held_here(s) &&
	       (stuck || mark_place(next) == mark_place(load_seq(&shm->tail)));
}

static bool no_room(struct scene *s)
{
	struct queue_shm *shm = s->queue->shm;
	uint64_t head = load_seq(&shm->head);
	bool held = load_seq(&shm->held) + load_seq(&shm->returned) > 0;

	return load_seq(&shm->closed) == QUEUE_OPEN && load_seq(&shm->noted) == 0 &&
	       (held || mark_place(head) == mark_place(load_seq(&shm->next))) &&
	       !queue_fits(s->queue, load_seq(&shm->tail), entry_units(scene_size(s)));
}

/* Something is there that somebody would have to do. */
static bool work_left(struct scene *s)
{
	struct queue_shm *shm = s->queue->shm;
	uint64_t at = load_seq(&shm->next), tail = load_seq(&shm->tail);
	bool left = load_seq(&shm->held) || load_seq(&shm->returned) || s->may_miss || s->victim_got;

	while (!left && mark_place(at) != mark_place(tail)) {
		enum entry_state state = entry_state(load_seq(&queue_entry(s->queue, mark_place(at))->word));

		left = state == ENTRY_READY || (state == ENTRY_RESERVED && s->room);
		if (queue_step(s->queue, &at, tail) < 0)
			break;
	}
	if (load_seq(&shm->noted))
		return false;
	return s->undone || s->item.data || (left && load_seq(&shm->closed) != QUEUE_CLOSED);
}

/* Those who have what they wait for find that out without anybody's help. */
static void await_sleepers(struct scene *s)
{
	KILL_UNTIL(!runs(s, CONSUMER) || nothing_to_get(s));
	KILL_UNTIL(!runs(s, PRODUCER) || no_room(s));
	KILL_UNTIL(!runs(s, JOINER) || work_left(s));
}

static void give_up_own(struct scene *s)
{
	if (s->item.data) {
		kill_check(ipck_queue_refuse(s->queue, &s->item) == 0);
		s->item.data = NULL;
	}
	if (s->queue->leases && s->undone) {
		kill_check(ipck_queue_task_done(s->queue) == 0);
		s->undone = 0;
	}
	if (s->room) {
		uint32_t number = scene_try(s, AFTER);

		scene_fill(s->room, AFTER, number, SCENE_SMALL);
		kill_check(ipck_queue_commit(s->queue, s->room, SCENE_SMALL) == 0);
		scene_note(s, AFTER, number, 0);
		s->room = NULL;
	}
}

/* Takes what is there, feeds a consumer, and finishes what nobody would: whether all have gone on. */
static bool all_gone_on(struct scene *s)
{
	/* Before there is nothing to get: what they have put before they ended is there then. */
	bool consumes = runs(s, CONSUMER), produces = runs(s, PRODUCER), joins = runs(s, JOINER);
	int rc = scene_get(s, IPCK_NOWAIT);

	kill_check(rc >= 0 || rc == -ETIMEDOUT || rc == -ESHUTDOWN);
	if (rc == -ETIMEDOUT && consumes && !produces) {
		kill_check(scene_put(s, AFTER, SCENE_SMALL, scene_soon()) == 0);
		KILL_UNTIL(!runs(s, CONSUMER));
	}
	if (rc < 0 && !consumes && !produces && joins && !s->queue->leases)
		(void)ipck_queue_task_done(s->queue);
	return rc < 0 && !consumes && !produces && !joins;
}

/* ---- all operations ---- */

static void check_in_place(struct scene *s)
{
	struct ipck_queue *q = s->queue;
	struct ipck_queue_item item;
	void *room, *none;

	kill_check(ipck_queue_reserve(q, 100, &room, scene_soon()) == 0);
	kill_check(ipck_queue_reserve(q, 8, &none, scene_soon()) == 0);
	memcpy(room, "here", 4);
	kill_check(ipck_queue_commit(q, room, 4) == 0);
	kill_check(ipck_queue_cancel(q, none) == 0);
	kill_check(ipck_queue_peek(q, &item, scene_soon()) == 0);
	kill_check(item.size == 4 && item.deliveries == 1 && memcmp(item.data, "here", 4) == 0);
	scene_check(s);
	kill_check(ipck_queue_refuse(q, &item) == 0);
	kill_check(ipck_queue_peek(q, &item, scene_soon()) == 0);
	kill_check(item.size == 4 && item.deliveries == 2);
	kill_check(ipck_queue_release(q, &item) == 0);
	if (q->shm->joinable && !q->leases)
		kill_check(ipck_queue_task_done(q) == 0);
}

static void check_many(struct scene *s)
{
	struct iovec out[2] = {{(void *)"one", 3}, {(void *)"three", 5}}, in[3];
	struct ipck_queue *q = s->queue;
	char bytes[64];

	kill_check(ipck_queue_put_many(q, out, 2, scene_soon()) == 2);
	kill_check(ipck_queue_size(q) == 2 && !ipck_queue_empty(q));
	kill_check(ipck_queue_get_many(q, bytes, sizeof(bytes), in, 3, NULL, scene_soon()) == 2);
	kill_check(in[0].iov_len == 3 && in[1].iov_len == 5 && memcmp(bytes, "onethree", 8) == 0);
	for (int i = 0; i < 2 && q->shm->joinable; i++)
		kill_check(ipck_queue_task_done(q) == 0);
}

/* All room is there again. */
static void check_largest(struct scene *s)
{
	static char bytes[16384];
	struct ipck_queue *q = s->queue;
	ssize_t largest = (ssize_t)queue_largest(q);

	kill_check(ipck_queue_put(q, bytes, (size_t)largest, scene_soon()) == 0);
	kill_check(ipck_queue_full(q));
	kill_check(ipck_queue_put(q, bytes, 0, IPCK_NOWAIT) == -ETIMEDOUT);
	kill_check(ipck_queue_get(q, bytes, sizeof(bytes), NULL, scene_soon()) == largest);
	if (q->shm->joinable)
		kill_check(ipck_queue_task_done(q) == 0);
	kill_check(!ipck_queue_full(q) && ipck_queue_empty(q));
}

static void check_bell(struct scene *s)
{
	struct pollfd fd = {.fd = ipck_queue_fd(s->queue), .events = POLLIN};

	kill_check(fd.fd >= 0);
	kill_check(scene_put(s, AFTER, SCENE_SMALL, scene_soon()) == 0);
	kill_check(poll(&fd, 1, 6000) == 1);
	kill_check(scene_get(s, scene_soon()) == AFTER);
	kill_check(scene_get(s, IPCK_NOWAIT) == -ETIMEDOUT);
	kill_check(poll(&fd, 1, 0) == 0);
	kill_check(scene_put(s, AFTER, SCENE_SMALL, scene_soon()) == 0);
	kill_check(poll(&fd, 1, 6000) == 1);
	kill_check(scene_get(s, scene_soon()) == AFTER);
}

/* What was got by who did not say that it was done. */
static void check_done(struct scene *s)
{
	uint32_t undone = 0;

	while (s->queue->shm->joinable && !s->queue->leases && ipck_queue_task_done(s->queue) == 0)
		undone++;
	kill_check(undone <= s->undone + s->may_miss + s->victim_got);
	if (s->queue->shm->joinable)
		kill_check(ipck_queue_join(s->queue, IPCK_NOWAIT) == 0);
}

static void check_empty(struct scene *s)
{
	struct queue_shm *shm = s->queue->shm;

	scene_check(s);
	kill_check(shm->head == shm->next && shm->next == shm->tail && shm->held == 0 && shm->returned == 0);
	kill_check(ipck_queue_size(s->queue) == 0);
}

static void check_shutdown(struct scene *s, enum ipck_queue_end how)
{
	struct ipck_queue_stats stats = IPCK_QUEUE_STATS_INIT;
	char byte;

	kill_check(ipck_queue_shutdown(s->queue, how) == 0);
	kill_check(ipck_queue_put(s->queue, "x", 1, scene_soon()) == -ESHUTDOWN);
	while (scene_get(s, scene_soon()) >= 0)
		;
	kill_check(ipck_queue_get(s->queue, &byte, 1, NULL, scene_soon()) == -ESHUTDOWN);
	kill_check(ipck_queue_stat(s->queue, &stats) == 0);
	kill_check(stats.shutdown == (int)how && stats.held == 0 && stats.bytes_used == 0);
	check_empty(s);
}

void scene_prove(struct scene *s, const struct kill_point *point)
{
	scene_died(s, point);
	await_sleepers(s);
	scene_check(s);
	give_up_own(s);
	KILL_UNTIL(all_gone_on(s));
	scene_check_counts(s);
	check_done(s);
	check_empty(s);
	check_in_place(s);
	check_many(s);
	if (s->flags & SCENE_ARMED)
		check_bell(s);
	kill_check(scene_put(s, AFTER, scene_size(s), scene_soon()) == 0);
	kill_check(scene_get(s, scene_soon()) == AFTER);
	check_largest(s);
	check_empty(s);
	scene_check_counts(s);
	check_shutdown(s, IPCK_QUEUE_DRAIN);
	ipck_queue_close(s->queue);
}

void scene_prove_end(struct scene *s, const struct kill_point *point, enum ipck_queue_end how)
{
	scene_died(s, point);
	await_sleepers(s);
	kill_check(point->kind != KILL_NONE || s->queue->shm->closed == (uint32_t)how);
	kill_check(ipck_queue_shutdown(s->queue, how) == 0);
	if (how == IPCK_QUEUE_IMMEDIATE)
		s->may_miss = PARTIES * SCENE_MESSAGES;
	scene_check(s);
	give_up_own(s);
	KILL_UNTIL(all_gone_on(s));
	check_shutdown(s, how);
	scene_check_counts(s);
	check_done(s);
	ipck_queue_close(s->queue);
}
