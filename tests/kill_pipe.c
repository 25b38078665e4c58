/* SPDX-License-Identifier: MIT */
/* Whole messages through a pipe, sent and received by who is killed at each point, and its close. */
#include "pipe_scene.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define SMALL 64

static bool sleeps(const struct evcount *e)
{
	return load_seq(&e->word) >= EVCOUNT_SLEEPER;
}

static bool is_awaited(const struct turn *turn)
{
	return load_seq(&turn->owner) & TURN_AWAITED;
}

/* ---- senders: what is there before ---- */

static struct scene *make_sending(size_t move)
{
	struct scene *s = scene_make();

	scene_move(s->near, s->far, move);
	kill_check(scene_send(s, s->near, BEFORE, SMALL) == 0);
	scene_watch(s, &s->near->out, record_span(SMALL), 3);
	return s;
}

static void *setup(void)
{
	return make_sending(0);
}

/* The message goes over the ring's end. */
static void *setup_wrap(void)
{
	return make_sending(SCENE_RING - record_span(SMALL) - 32);
}

static void *setup_armed(void)
{
	struct scene *s = scene_make();

	scene_arm(s->far);
	scene_watch(s, &s->near->out, record_span(SMALL), 3);
	return s;
}

static void send_beside(struct scene *s)
{
	KILL_UNTIL(load_seq(&s->last[VICTIM]) || load_seq(&s->dead));
	for (int i = 0; i < 6; i++)
		kill_check(scene_send(s, s->near, OTHER, SMALL) == 0);
	KILL_UNTIL(load_seq(&s->dead));
	kill_check(scene_send(s, s->near, OTHER, SMALL) == 0);
}

static void *setup_beside(void)
{
	struct scene *s = setup();

	scene_help(s, send_beside);
	return s;
}

/* Has the turn until the victim sleeps for it. */
static void hold_turn(struct scene *s)
{
	uint32_t number = scene_try(s, OTHER);
	void *room;

	kill_check(ipck_pipe_reserve(s->near, SMALL, &room, IPCK_NOWAIT) == 0);
	scene_fill(room, OTHER, number, SMALL);
	store_seq(&s->ready, 1);
	KILL_UNTIL(is_awaited(&s->near->out.shm->send) || load_seq(&s->dead));
	kill_check(ipck_pipe_commit(s->near, SMALL) == 0);
	scene_note(s, OTHER, number, 0);
}

static void *setup_turn_held(void)
{
	struct scene *s = setup();

	scene_help(s, hold_turn);
	KILL_UNTIL(load_seq(&s->ready));
	return s;
}

/* It dies with a record that is there, and a tail that is not moved; or before. */
static void die_sending(struct scene *s)
{
	const struct lane *l = &s->near->out;
	uint32_t number = scene_try(s, OTHER);
	void *room;

	kill_check(ipck_pipe_reserve(s->near, SMALL, &room, IPCK_NOWAIT) == 0);
	scene_fill(room, OTHER, number, SMALL);
	store_relaxed(lane_word(l, l->shm->tail + record_span(SMALL)), UINT64_C(0));
	store_release(lane_word(l, l->shm->tail), record_word(RECORD_WHOLE, SMALL));
	add_seq(&s->helpers, UINT32_MAX);
	raise(SIGKILL);
}

static void *setup_repair(void)
{
	struct scene *s = scene_make();

	scene_arm(s->far);
	scene_watch(s, &s->near->out, record_span(SMALL), 4);
	scene_help(s, die_sending);
	KILL_UNTIL(turn_is_abandoned(&s->near->out.shm->send));
	return s;
}

static void receive_there(struct scene *s)
{
	scene_receive_all(s, s->far);
}

static void *setup_sleeper(void)
{
	struct scene *s = scene_make();

	s->served = 1;
	scene_watch(s, &s->near->out, record_span(SMALL), 3);
	scene_help(s, receive_there);
	KILL_UNTIL(sleeps(&s->near->out.shm->data));
	return s;
}

static void make_room(struct scene *s)
{
	KILL_UNTIL(sleeps(&s->near->out.shm->space) || load_seq(&s->dead));
	scene_receive_all(s, s->far);
}

static struct scene *make_full(void)
{
	struct scene *s = scene_make();

	kill_check(scene_send(s, s->near, BEFORE, 2000) == 0);
	kill_check(scene_send(s, s->near, BEFORE, 2000) == 0);
	scene_watch(s, &s->near->out, record_span(SMALL), 2);
	return s;
}

static void *setup_full(void)
{
	struct scene *s = make_full();

	s->served = 1;
	scene_help(s, make_room);
	return s;
}

/* The other side is busy with something else. */
static void *setup_busy(void)
{
	return make_full();
}

static void *setup_gone(void)
{
	struct scene *s = setup();

	ipck_pipe_close(s->far);
	s->far = NULL;
	return s;
}

/* ---- senders: what they do ---- */

static int send_one(struct scene *s, struct ipck_deadline deadline)
{
	char bytes[SMALL];
	uint32_t number;
	int rc;

	scene_fill(bytes, VICTIM, 1, sizeof(bytes));
	scene_begin(s);
	number = scene_try(s, VICTIM);
	rc = ipck_pipe_send(s->near, bytes, sizeof(bytes), deadline);
	scene_note(s, VICTIM, number, rc);
	scene_end(s);
	return rc;
}

static void send_small(void *ctx)
{
	kill_check(send_one(ctx, scene_soon()) == 0);
}

static void send_in_vain(void *ctx)
{
	kill_check(send_one(ctx, scene_soon()) == -EPIPE);
}

static void send_too_late(void *ctx)
{
	kill_check(send_one(ctx, ipck_in_ms(60)) == -ETIMEDOUT);
}

static void send_in_place(void *ctx)
{
	struct scene *s = ctx;
	uint32_t number;
	void *room;

	scene_begin(s);
	kill_check(ipck_pipe_reserve(s->near, 2 * SMALL, &room, scene_soon()) == 0);
	number = scene_try(s, VICTIM);
	scene_fill(room, VICTIM, number, SMALL);
	kill_check(ipck_pipe_commit(s->near, SMALL) == 0);
	scene_note(s, VICTIM, number, 0);
	scene_end(s);
}

static void reserve_and_cancel(void *ctx)
{
	struct scene *s = ctx;
	void *room;

	scene_begin(s);
	kill_check(ipck_pipe_reserve(s->near, SMALL, &room, scene_soon()) == 0);
	ipck_pipe_cancel(s->near);
	scene_end(s);
}

static void send_after(struct scene *s)
{
	scene_await_others(s);
	kill_check(scene_send(s, s->near, AFTER, SMALL) == 0);
}

/* Somebody else has the near end, too, and goes on. */
static void survive_sender(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	scene_died(s, point);
	if (s->told)
		scene_check_bell(s->far);
	scene_help(s, send_after);
	if (!s->served)
		scene_receive_all(s, s->far);
	scene_finish(s);
}

static void survive_alone(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	scene_died(s, point);
	scene_finish_alone(s);
}

/* Nobody had the far end. */
static void survive_gone(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	scene_died(s, point);
	kill_check(scene_send(s, s->near, AFTER, SMALL) == -EPIPE);
	kill_check(scene_receive(s, s->near, scene_soon()) == -EPIPE);
	ipck_pipe_close(s->near);
}

/* ---- receivers: what is there before ---- */

static struct scene *make_receiving(size_t move, int messages)
{
	struct scene *s = scene_make();

	s->may_miss = 1;
	scene_move(s->far, s->near, move);
	scene_watch(s, &s->near->in, record_span(SMALL), 3);
	for (int i = 0; i < messages; i++)
		kill_check(scene_send(s, s->far, BEFORE, SMALL) == 0);
	return s;
}

static void *setup_two(void)
{
	return make_receiving(0, 2);
}

static void *setup_two_wrap(void)
{
	return make_receiving(SCENE_RING - 32, 2);
}

static void *setup_two_armed(void)
{
	struct scene *s = make_receiving(0, 0);

	scene_arm(s->near);
	for (int i = 0; i < 2; i++)
		kill_check(scene_send(s, s->far, BEFORE, SMALL) == 0);
	return s;
}

/* What the victim does takes nothing. */
static void *setup_kept(void)
{
	struct scene *s = setup_two_armed();

	s->may_miss = 0;
	return s;
}

/* The bell was rung, and what it was rung for is taken. */
static void *setup_rung(void)
{
	struct scene *s = make_receiving(0, 0);

	scene_arm(s->near);
	kill_check(scene_send(s, s->far, BEFORE, SMALL) == 0);
	kill_check(scene_receive(s, s->near, IPCK_NOWAIT) == BEFORE);
	return s;
}

static void send_into_drain(struct scene *s)
{
	const struct bell *bell = &s->near->in.shm->bell;

	while (!(load_seq(&bell->drained) & 1) && !load_seq(&s->dead) && !load_seq(&s->told))
		cpu_relax();
	kill_check(scene_send(s, s->far, OTHER, SMALL) == 0);
}

static void *setup_rung_again(void)
{
	struct scene *s = setup_rung();

	scene_help(s, send_into_drain);
	return s;
}

static void send_to_sleeper(struct scene *s)
{
	KILL_UNTIL(sleeps(&s->near->in.shm->data) || load_seq(&s->dead) || load_seq(&s->told));
	kill_check(scene_send(s, s->far, OTHER, SMALL) == 0);
}

static void *setup_nothing(void)
{
	struct scene *s = make_receiving(0, 0);

	scene_help(s, send_to_sleeper);
	return s;
}

static void receive_here(struct scene *s)
{
	scene_receive_all(s, s->near);
}

/* Another receiver sleeps there, and the messages come when the victim sleeps, too. */
static void send_to_both(struct scene *s)
{
	KILL_UNTIL(load_seq(&s->near->in.shm->data.word) >= 2 * EVCOUNT_SLEEPER || load_seq(&s->dead));
	for (int i = 0; i < 4; i++)
		kill_check(scene_send(s, s->far, OTHER, SMALL) == 0);
}

static void *setup_nothing_for_two(void)
{
	struct scene *s = make_receiving(0, 0);

	s->served = 1;
	scene_help(s, receive_here);
	KILL_UNTIL(sleeps(&s->near->in.shm->data));
	scene_help(s, send_to_both);
	return s;
}

static void send_small_back(struct scene *s)
{
	kill_check(scene_send(s, s->far, OTHER, SMALL) == 0);
}

static void *setup_sender_waits(void)
{
	struct scene *s = make_receiving(0, 0);

	for (int i = 0; i < 2; i++)
		kill_check(scene_send(s, s->far, BEFORE, 2000) == 0);
	scene_help(s, send_small_back);
	KILL_UNTIL(sleeps(&s->near->in.shm->space));
	return s;
}

static void die_receiving(struct scene *s)
{
	const void *seen;
	size_t size;

	kill_check(ipck_pipe_peek(s->near, &seen, &size, IPCK_NOWAIT) == 0);
	bell_silence(&s->near->in.shm->bell);
	add_seq(&s->helpers, UINT32_MAX);
	raise(SIGKILL);
}

static void *setup_receiver_died(void)
{
	struct scene *s = setup_two_armed();

	scene_help(s, die_receiving);
	KILL_UNTIL(turn_is_abandoned(&s->near->in.shm->receive));
	return s;
}

static void *setup_senders_gone(void)
{
	struct scene *s = setup_two();

	ipck_pipe_close(s->far);
	s->far = NULL;
	return s;
}

/* ---- receivers: what they do ---- */

static ssize_t receive_one(struct scene *s, struct ipck_deadline deadline)
{
	char bytes[SCENE_RING];
	ssize_t n;

	scene_begin(s);
	n = ipck_pipe_recv(s->near, bytes, sizeof(bytes), NULL, deadline);
	if (n >= 0)
		scene_count(s, bytes);
	scene_end(s);
	if (n >= 0)
		scene_check(bytes, (size_t)n);
	return n;
}

static void receive_small(void *ctx)
{
	kill_check(receive_one(ctx, scene_soon()) >= 0);
}

static void receive_nothing(void *ctx)
{
	ssize_t n = receive_one(ctx, IPCK_NOWAIT);

	kill_check(n == -ETIMEDOUT || n == SMALL);
}

static void receive_till_end(void *ctx)
{
	struct scene *s = ctx;
	char bytes[SMALL];
	int n = 0;

	scene_begin(s);
	while (ipck_pipe_recv(s->near, bytes, sizeof(bytes), NULL, scene_soon()) == SMALL) {
		scene_count(s, bytes);
		n++;
	}
	kill_check(ipck_pipe_recv(s->near, bytes, sizeof(bytes), NULL, scene_soon()) == -EPIPE);
	scene_end(s);
	kill_check(n == 2);
}

static void receive_in_place(void *ctx)
{
	struct scene *s = ctx;
	const void *seen;
	size_t size;

	scene_begin(s);
	kill_check(ipck_pipe_peek(s->near, &seen, &size, scene_soon()) == 0);
	kill_check(size == SMALL);
	kill_check(ipck_pipe_release(s->near) == 0);
	scene_count(s, seen);
	scene_end(s);
}

static void poll_only(void *ctx)
{
	struct scene *s = ctx;

	scene_begin(s);
	kill_check(ipck_pipe_poll(s->near, scene_soon()) == 0);
	scene_end(s);
}

static void send_after_back(struct scene *s)
{
	scene_await_others(s);
	kill_check(scene_send(s, s->far, AFTER, SMALL) == 0);
}

static void survive_receiver(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	scene_died(s, point);
	if (!s->served) {
		/* Now this is the only one that receives there. */
		KILL_UNTIL(load_seq(&s->helpers) == 0 || sleeps(&s->near->in.shm->space));
		scene_check_bell(s->near);
	}
	scene_help(s, send_after_back);
	if (!s->served)
		scene_receive_all(s, s->near);
	scene_finish(s);
}

/* Nobody else had the near end: who sends there is told. */
static void survive_receiver_alone(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	scene_died(s, point);
	s->may_miss = 2;
	scene_finish_alone(s);
}

static void survive_senders_gone(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;
	int rc;

	scene_died(s, point);
	while ((rc = scene_receive(s, s->near, scene_soon())) >= 0)
		;
	kill_check(rc == -EPIPE);
	scene_check_counts(s);
	ipck_pipe_close(s->near);
}

/* ---- close ---- */

/* With a message peeked and room reserved. */
static void close_end(void *ctx)
{
	struct scene *s = ctx;
	const void *seen;
	void *room;
	size_t size;

	ipck_pipe_close(s->far);
	kill_check(ipck_pipe_peek(s->near, &seen, &size, scene_soon()) == 0);
	kill_check(ipck_pipe_reserve(s->near, SMALL, &room, scene_soon()) == 0);
	kill_begin();
	ipck_pipe_close(s->near);
	scene_end(s);
}

static struct kill_sweep sweeps[] = {
	{.name = "send", .setup = setup, .victim = send_small, .survive = survive_sender},
	{.name = "send alone", .setup = setup_wrap, .victim = send_small, .survive = survive_alone},
	{.name = "send over the end", .setup = setup_wrap, .victim = send_small, .survive = survive_sender},
	{.name = "send armed", .setup = setup_armed, .victim = send_small, .survive = survive_sender},
	{.name = "send armed alone", .setup = setup_armed, .victim = send_small, .survive = survive_alone},
	{.name = "send beside", .setup = setup_beside, .victim = send_small, .survive = survive_sender},
	{.name = "send in turn", .setup = setup_turn_held, .victim = send_small, .survive = survive_sender},
	{.name = "send after a death", .setup = setup_repair, .victim = send_small, .survive = survive_sender},
	{.name = "send to a sleeper", .setup = setup_sleeper, .victim = send_small, .survive = survive_sender},
	{.name = "send when full", .setup = setup_full, .victim = send_small, .survive = survive_sender},
	{.name = "send to the busy", .setup = setup_busy, .victim = send_too_late, .survive = survive_sender},
	{.name = "send to nobody", .setup = setup_gone, .victim = send_in_vain, .survive = survive_gone},
	{.name = "reserve, commit", .setup = setup_wrap, .victim = send_in_place, .survive = survive_sender},
	{.name = "reserve, cancel", .setup = setup, .victim = reserve_and_cancel, .survive = survive_sender},
	{.name = "recv", .setup = setup_two, .victim = receive_small, .survive = survive_receiver},
	{.name = "recv alone", .setup = setup_two, .victim = receive_small, .survive = survive_receiver_alone},
	{.name = "recv over the end", .setup = setup_two_wrap, .victim = receive_small, .survive = survive_receiver},
	{.name = "recv armed", .setup = setup_two_armed, .victim = receive_small, .survive = survive_receiver},
	{.name = "drain", .setup = setup_rung, .victim = receive_nothing, .survive = survive_receiver},
	{.name = "drain in vain", .setup = setup_rung_again, .victim = receive_nothing, .survive = survive_receiver},
	{.name = "recv asleep", .setup = setup_nothing, .victim = receive_small, .survive = survive_receiver},
	{.name = "recv beside", .setup = setup_nothing_for_two, .victim = receive_small, .survive = survive_receiver},
	{.name = "recv after a death", .setup = setup_receiver_died, .victim = receive_small,
	 .survive = survive_receiver},
	{.name = "recv to the waiting", .setup = setup_sender_waits, .victim = receive_small,
	 .survive = survive_receiver},
	{.name = "recv from nobody", .setup = setup_senders_gone, .victim = receive_till_end,
	 .survive = survive_senders_gone},
	{.name = "peek, release", .setup = setup_two_wrap, .victim = receive_in_place, .survive = survive_receiver},
	{.name = "poll", .setup = setup_kept, .victim = poll_only, .survive = survive_receiver},
	{.name = "close", .setup = setup_kept, .victim = close_end, .survive = survive_receiver},
};

int main(int argc, char **argv)
{
	return scene_main(argc, argv, sweeps, sizeof(sweeps) / sizeof(*sweeps));
}
