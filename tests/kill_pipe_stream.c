/* SPDX-License-Identifier: MIT */
/* Messages longer than the ring, sent and received by who is killed at each point. */
#include "pipe_scene.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SMALL 64
#define PART (SCENE_RING / 4)
#define IN_RING 3000 /* a stream all of which is in the ring */

static bool sleeps(const struct evcount *e)
{
	return load_seq(&e->word) >= EVCOUNT_SLEEPER;
}

static bool is_over(const struct scene *s)
{
	return load_seq(&s->dead) || load_seq(&s->told);
}

/* ---- senders ---- */

static struct scene *make_sending(void)
{
	struct scene *s = scene_make();

	scene_move(s->near, s->far, 3 * SMALL);
	scene_watch(s, &s->near->out, PART, 4);
	return s;
}

static void receive_there(struct scene *s)
{
	scene_receive_all(s, s->far);
}

static void *setup_receiver(void)
{
	struct scene *s = make_sending();

	s->served = 1;
	scene_help(s, receive_there);
	KILL_UNTIL(sleeps(&s->near->out.shm->data));
	return s;
}

static void *setup_receiver_armed(void)
{
	struct scene *s = make_sending();

	s->served = 1;
	scene_arm(s->far);
	scene_help(s, receive_there);
	return s;
}

/* It comes late: the sender sleeps for room by then. */
static void receive_late(struct scene *s)
{
	KILL_UNTIL(sleeps(&s->near->out.shm->space) || is_over(s));
	scene_receive_all(s, s->far);
}

static void *setup_late_receiver(void)
{
	struct scene *s = make_sending();

	s->served = 1;
	kill_check(scene_send(s, s->near, BEFORE, 1500) == 0);
	scene_help(s, receive_late);
	return s;
}

static void *setup_no_receiver(void)
{
	return make_sending();
}

/* Takes a part, and dies; then the next one receives. */
static void die_receiving(struct scene *s)
{
	static char bytes[SCENE_LONG];

	KILL_UNTIL(sleeps(&s->near->out.shm->space) || is_over(s));
	(void)!ipck_pipe_recv(s->far, bytes, sizeof(bytes), NULL, IPCK_NOWAIT);
	add_seq(&s->helpers, UINT32_MAX);
	raise(SIGKILL);
}

static void *setup_dying_receiver(void)
{
	struct scene *s = make_sending();

	scene_help(s, die_receiving);
	return s;
}

/* Sends beside the victim: they take turns. */
static void send_beside(struct scene *s)
{
	KILL_UNTIL(load_seq(&s->last[VICTIM]) || load_seq(&s->dead));
	kill_check(scene_send(s, s->near, OTHER, SCENE_LONG) == 0);
	kill_check(scene_send(s, s->near, OTHER, SMALL) == 0);
}

static void *setup_beside(void)
{
	struct scene *s = setup_receiver();

	scene_help(s, send_beside);
	return s;
}

/* Sends a stream, and is killed when it waits for room. */
static void send_and_die(struct scene *s, struct ipck_pipe *p)
{
	pid_t self = getpid();

	if (fork() == 0) {
		KILL_UNTIL(sleeps(&p->out.shm->space));
		kill(self, SIGKILL);
		add_seq(&s->helpers, UINT32_MAX);
		_exit(0);
	}
	scene_send(s, p, OTHER, SCENE_LONG);
}

static void send_near_and_die(struct scene *s)
{
	send_and_die(s, s->near);
}

static void send_far_and_die(struct scene *s)
{
	send_and_die(s, s->far);
}

/* A sender in the middle of a stream, waiting for room, is killed. */
static void *setup_sender_died(void)
{
	struct scene *s = make_sending();
	const struct turn *turn = &s->near->out.shm->send;

	scene_help(s, send_near_and_die);
	KILL_UNTIL(turn_is_abandoned(turn));
	return s;
}

static int send_long(struct scene *s, struct ipck_deadline deadline)
{
	static char bytes[SCENE_LONG];
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

static void send_stream(void *ctx)
{
	kill_check(send_long(ctx, scene_soon()) == 0);
}

static void send_too_late(void *ctx)
{
	kill_check(send_long(ctx, ipck_in_ms(50)) == -ETIMEDOUT);
}

static void send_to_dying(void *ctx)
{
	kill_check(send_long(ctx, scene_soon()) == -EOWNERDEAD);
}

static void send_small(void *ctx)
{
	struct scene *s = ctx;
	char bytes[SMALL];
	uint32_t number;

	scene_fill(bytes, VICTIM, 1, sizeof(bytes));
	scene_begin(s);
	number = scene_try(s, VICTIM);
	kill_check(ipck_pipe_send(s->near, bytes, sizeof(bytes), scene_soon()) == 0);
	scene_note(s, VICTIM, number, 0);
	scene_end(s);
}

static void send_after(struct scene *s)
{
	scene_await_others(s);
	kill_check(scene_send(s, s->near, AFTER, SMALL) == 0);
}

static void survive_sender(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	scene_died(s, point);
	scene_help(s, send_after);
	if (!s->served)
		scene_receive_all(s, s->far);
	scene_finish(s);
}

/* The victim alone had the near end. */
static void survive_alone(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	scene_died(s, point);
	scene_finish_alone(s);
}

/* ---- receivers ---- */

static struct scene *make_receiving(void)
{
	struct scene *s = scene_make();

	s->may_miss = 1;
	scene_move(s->far, s->near, 3 * SMALL);
	scene_watch(s, &s->near->in, PART, 4);
	return s;
}

/* If its receiver dies in the middle, it is told so. */
static void send_there(struct scene *s)
{
	int rc = scene_send(s, s->far, OTHER, SCENE_LONG);

	kill_check(rc == 0 || (rc == -EOWNERDEAD && is_over(s)));
}

static void *setup_sender(void)
{
	struct scene *s = make_receiving();

	scene_help(s, send_there);
	return s;
}

static void *setup_sender_armed(void)
{
	struct scene *s = make_receiving();

	scene_arm(s->near);
	scene_help(s, send_there);
	return s;
}

static void *setup_all_there(void)
{
	struct scene *s = make_receiving();

	kill_check(scene_send(s, s->far, BEFORE, IN_RING) == 0);
	kill_check(scene_send(s, s->far, BEFORE, SMALL) == 0);
	return s;
}

static void send_next(struct scene *s)
{
	kill_check(scene_send(s, s->far, OTHER, SCENE_LONG) == 0);
}

/* Behind a stream that is all there another one begins, of which nothing is lost. */
static void *setup_next_waits(void)
{
	struct scene *s = make_receiving();

	kill_check(scene_send(s, s->far, BEFORE, IN_RING) == 0);
	scene_help(s, send_next);
	KILL_UNTIL(sleeps(&s->near->in.shm->space));
	return s;
}

/* The sender has stopped in the middle. */
static void *setup_stopped(void)
{
	struct scene *s = setup_sender();
	int status;

	KILL_UNTIL(sleeps(&s->near->in.shm->space));
	kill(s->helper, SIGSTOP);
	kill_check(waitpid(s->helper, &status, WUNTRACED) == s->helper && WIFSTOPPED(status));
	return s;
}

/* Another receiver goes on when the victim is dead. */
static void receive_here(struct scene *s)
{
	scene_receive_all(s, s->near);
}

static void send_when_both_sleep(struct scene *s)
{
	KILL_UNTIL(load_seq(&s->near->in.shm->data.word) >= 2 * EVCOUNT_SLEEPER || is_over(s));
	send_there(s);
}

static void *setup_receivers(void)
{
	struct scene *s = make_receiving();

	s->served = 1;
	scene_help(s, receive_here);
	KILL_UNTIL(sleeps(&s->near->in.shm->data));
	scene_help(s, send_when_both_sleep);
	return s;
}

/* The stream's sender dies in it. */
static void *setup_broken(void)
{
	struct scene *s = make_receiving();

	scene_help(s, send_far_and_die);
	KILL_UNTIL(turn_is_abandoned(&s->near->in.shm->send));
	return s;
}

static char received[SCENE_LONG];

static ssize_t receive(struct scene *s, struct ipck_deadline deadline)
{
	return ipck_pipe_recv(s->near, received, sizeof(received), NULL, deadline);
}

static void took(struct scene *s, ssize_t n)
{
	if (n >= 0)
		scene_count(s, received);
	scene_end(s);
	if (n >= 0)
		scene_check(received, (size_t)n);
}

static void receive_stream(void *ctx)
{
	struct scene *s = ctx;
	ssize_t n;

	scene_begin(s);
	n = receive(s, scene_soon());
	took(s, n);
	kill_check(n >= 0);
}

/* What has come until a deadline is kept in between. */
static void receive_by_parts(void *ctx)
{
	struct scene *s = ctx;
	ssize_t n;

	scene_begin(s);
	while ((n = receive(s, IPCK_NOWAIT)) == -ETIMEDOUT)
		usleep(1000);
	took(s, n);
	kill_check(n >= 0);
}

static void receive_nothing(void *ctx)
{
	struct scene *s = ctx;
	ssize_t n;

	scene_begin(s);
	n = receive(s, ipck_in_ms(50));
	took(s, n);
	kill_check(n == -ETIMEDOUT);
}

/* With a part kept. */
static void close_end(void *ctx)
{
	struct scene *s = ctx;

	ipck_pipe_close(s->far);
	kill_check(receive(s, IPCK_NOWAIT) == -ETIMEDOUT);
	kill_begin();
	ipck_pipe_close(s->near);
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
	kill(s->helper, SIGCONT);
	scene_help(s, send_after_back);
	if (!s->served)
		scene_receive_all(s, s->near);
	scene_finish(s);
}

/* The one that waited behind the lost one has lost nothing. */
static void survive_between(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	survive_receiver(ctx, point);
	kill_check(s->got[OTHER][1] == 1);
}

static struct kill_sweep sweeps[] = {
	{.name = "send", .setup = setup_receiver, .victim = send_stream, .survive = survive_sender},
	{.name = "send armed", .setup = setup_receiver_armed, .victim = send_stream, .survive = survive_sender},
	{.name = "send to the late", .setup = setup_late_receiver, .victim = send_stream, .survive = survive_sender},
	{.name = "withdraw", .setup = setup_no_receiver, .victim = send_too_late, .survive = survive_sender},
	{.name = "withdraw alone", .setup = setup_no_receiver, .victim = send_too_late, .survive = survive_alone},
	{.name = "send to the dying", .setup = setup_dying_receiver, .victim = send_to_dying,
	 .survive = survive_sender},
	{.name = "send beside", .setup = setup_beside, .victim = send_stream, .survive = survive_sender},
	{.name = "repair", .setup = setup_sender_died, .victim = send_small, .survive = survive_sender},
	{.name = "recv", .setup = setup_sender, .victim = receive_stream, .survive = survive_receiver},
	{.name = "recv armed", .setup = setup_sender_armed, .victim = receive_by_parts, .survive = survive_receiver},
	{.name = "recv in the ring", .setup = setup_all_there, .victim = receive_stream, .survive = survive_receiver},
	{.name = "recv before another", .setup = setup_next_waits, .victim = receive_stream,
	 .survive = survive_between},
	{.name = "recv beside", .setup = setup_receivers, .victim = receive_stream, .survive = survive_receiver},
	{.name = "recv what is broken", .setup = setup_broken, .victim = receive_nothing, .survive = survive_receiver},
	{.name = "close", .setup = setup_stopped, .victim = close_end, .survive = survive_receiver},
};

int main(int argc, char **argv)
{
	return scene_main(argc, argv, sweeps, sizeof(sweeps) / sizeof(*sweeps));
}
