/* SPDX-License-Identifier: MIT */
/* Descriptors through a pipe, sent and received by who is killed at each point: none stays in flight. */
#include "pipe_scene.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define SMALL 64
#define SPAN 16 /* of a message of descriptors */

/* ---- senders ---- */

static void *setup(void)
{
	struct scene *s = scene_make();

	scene_move(s->near, s->far, 3 * SMALL);
	scene_watch(s, &s->near->out, SPAN, 3);
	return s;
}

static void *setup_armed(void)
{
	struct scene *s = setup();

	scene_arm(s->far);
	return s;
}

/* In its turn, with a datagram in the socket that no message names. */
static void die_with_datagram(struct scene *s, struct ipck_pipe *p)
{
	struct lane_shm *shm = p->out.shm;
	uint64_t tail, head;
	void *room;

	kill_check(ipck_pipe_send_fds(p, &s->probe[1], 1, IPCK_NOWAIT) == 0);
	/* The message is taken back: as if it had died before. */
	kill_check(ipck_pipe_reserve(p, SMALL, &room, IPCK_NOWAIT) == 0);
	tail = load_relaxed(&shm->tail);
	head = load_relaxed(&shm->head);
	kill_check(tail - head == SPAN);
	store_relaxed(lane_word(&p->out, head), UINT64_C(0));
	store_relaxed(&shm->tail, head);
	add_seq(&s->helpers, UINT32_MAX);
	raise(SIGKILL);
}

static void die_sending(struct scene *s)
{
	die_with_datagram(s, s->near);
}

static void *setup_stale(void)
{
	struct scene *s = setup_armed();

	scene_help(s, die_sending);
	KILL_UNTIL(turn_is_abandoned(&s->near->out.shm->send));
	return s;
}

static void send_one(void *ctx)
{
	struct scene *s = ctx;

	scene_begin(s);
	kill_check(ipck_pipe_send_fds(s->near, &s->probe[1], 1, scene_soon()) == 0);
	scene_end(s);
}

/* What is received is the probe's other end. */
static void check_probe(struct scene *s, int fd)
{
	char byte = 0;

	kill_check(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	kill_check(write(fd, "x", 1) == 1 && read(s->probe[0], &byte, 1) == 1 && byte == 'x');
	close(fd);
}

/* The messages of descriptors that are there: how many. */
static int receive_fds(struct scene *s, struct ipck_pipe *p)
{
	int fd, n = 0;

	while (ipck_pipe_recv_fds(p, &fd, 1, IPCK_NOWAIT) == 1) {
		check_probe(s, fd);
		n++;
	}
	return n;
}

static void send_after(struct scene *s)
{
	kill_check(scene_send(s, s->near, AFTER, SMALL) == 0);
}

/* Wholly or not at all, and the next ones come as if nothing had been. */
static void survive_sender(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;
	int n;

	scene_died(s, point);
	if (s->told)
		scene_check_bell(s->far);
	n = receive_fds(s, s->far);
	kill_check(n <= 1 && (n == 1 || !s->told));
	kill_check(ipck_pipe_send_fds(s->near, &s->probe[1], 1, scene_soon()) == 0);
	scene_check_bell(s->far);
	kill_check(receive_fds(s, s->far) == 1);
	scene_help(s, send_after);
	scene_receive_all(s, s->far);
	scene_finish(s);
}

/* The victim alone had the near end. */
static void survive_alone(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;
	int n;

	scene_died(s, point);
	n = receive_fds(s, s->far);
	kill_check(n <= 1 && (n == 1 || !s->told));
	scene_finish_alone(s);
}

/* As above, but nobody receives at all. */
static void survive_unread(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	scene_died(s, point);
	ipck_pipe_close(s->near);
	ipck_pipe_close(s->far);
	scene_check_flight(s);
}

/* ---- receivers ---- */

static struct scene *make_receiving(void)
{
	struct scene *s = scene_make();

	scene_move(s->far, s->near, 3 * SMALL);
	scene_watch(s, &s->near->in, SPAN, 3);
	return s;
}

static void *setup_two(void)
{
	struct scene *s = make_receiving();

	for (int i = 0; i < 2; i++)
		kill_check(ipck_pipe_send_fds(s->far, &s->probe[1], 1, scene_soon()) == 0);
	return s;
}

static void *setup_two_armed(void)
{
	struct scene *s = setup_two();

	kill_check(ipck_pipe_fd(s->near) >= 0);
	return s;
}

static void die_sending_back(struct scene *s)
{
	die_with_datagram(s, s->far);
}

/* In front lie descriptors that no message names. */
static void *setup_stale_before(void)
{
	struct scene *s = make_receiving();

	scene_arm(s->near);
	scene_help(s, die_sending_back);
	KILL_UNTIL(turn_is_abandoned(&s->near->in.shm->send));
	for (int i = 0; i < 2; i++)
		kill_check(ipck_pipe_send_fds(s->far, &s->probe[1], 1, scene_soon()) == 0);
	return s;
}

/* There is nothing else. */
static void *setup_stale_alone(void)
{
	struct scene *s = make_receiving();

	scene_arm(s->near);
	scene_help(s, die_sending_back);
	KILL_UNTIL(turn_is_abandoned(&s->near->in.shm->send));
	return s;
}

static void receive_one(void *ctx)
{
	struct scene *s = ctx;
	int fd;

	scene_begin(s);
	kill_check(ipck_pipe_recv_fds(s->near, &fd, 1, scene_soon()) == 1);
	s->ready = 1;
	scene_end(s);
	check_probe(s, fd);
}

static void receive_none(void *ctx)
{
	struct scene *s = ctx;
	int fd;

	scene_begin(s);
	kill_check(ipck_pipe_recv_fds(s->near, &fd, 1, IPCK_NOWAIT) == -ETIMEDOUT);
	scene_end(s);
}

static void receive_too_many(void *ctx)
{
	struct scene *s = ctx;
	int fd;

	scene_begin(s);
	kill_check(ipck_pipe_recv_fds(s->near, &fd, 0, scene_soon()) == -EMSGSIZE);
	scene_end(s);
}

static void send_after_back(struct scene *s)
{
	kill_check(scene_send(s, s->far, AFTER, SMALL) == 0);
}

static void go_on_receiving(struct scene *s, int least, int most)
{
	int n;

	scene_check_bell(s->near);
	n = receive_fds(s, s->near);
	kill_check(n >= least && n <= most);
	kill_check(ipck_pipe_send_fds(s->far, &s->probe[1], 1, scene_soon()) == 0);
	scene_check_bell(s->near);
	kill_check(receive_fds(s, s->near) == 1);
	scene_help(s, send_after_back);
	scene_receive_all(s, s->near);
	scene_finish(s);
}

/* One of two may have gone with the victim. */
static void survive_receiver(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	scene_died(s, point);
	go_on_receiving(s, 1, s->ready ? 1 : 2);
}

static void survive_too_many(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	scene_died(s, point);
	go_on_receiving(s, 2, 2);
}

static void survive_none(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	scene_died(s, point);
	go_on_receiving(s, 0, 0);
}

static struct kill_sweep sweeps[] = {
	{.name = "send", .setup = setup, .victim = send_one, .survive = survive_sender},
	{.name = "send armed", .setup = setup_armed, .victim = send_one, .survive = survive_sender},
	{.name = "send alone", .setup = setup_armed, .victim = send_one, .survive = survive_alone},
	{.name = "send behind a dead one", .setup = setup_stale, .victim = send_one, .survive = survive_sender},
	{.name = "send to who does not read", .setup = setup_stale, .victim = send_one, .survive = survive_unread},
	{.name = "recv", .setup = setup_two, .victim = receive_one, .survive = survive_receiver},
	{.name = "recv armed", .setup = setup_two_armed, .victim = receive_one, .survive = survive_receiver},
	{.name = "recv behind a dead one", .setup = setup_stale_before, .victim = receive_one,
	 .survive = survive_receiver},
	{.name = "drop", .setup = setup_stale_alone, .victim = receive_none, .survive = survive_none},
	{.name = "recv too many", .setup = setup_two_armed, .victim = receive_too_many, .survive = survive_too_many},
};

int main(int argc, char **argv)
{
	return scene_main(argc, argv, sweeps, sizeof(sweeps) / sizeof(*sweeps));
}
