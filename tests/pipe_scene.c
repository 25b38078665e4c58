/* SPDX-License-Identifier: MIT */
#include "pipe_scene.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SWEEPS_MAX 40

struct header {
	uint32_t party, number, size;
};

struct ipck_deadline scene_soon(void)
{
	return ipck_in_sec(6);
}

/* ---- set up ---- */

static void add_range(struct scene *s, void *start, const void *end)
{
	kill_check(s->n_ranges < SCENE_RANGES);
	s->ranges[s->n_ranges++] = (struct kill_range){start, (size_t)((const char *)end - (char *)start)};
}

static void watch_lane(struct scene *s, struct lane_shm *shm)
{
	if (!shm)
		return;
	add_range(s, &shm->send, &shm->fds + 1);
	add_range(s, &shm->receive, &shm->lost + 1);
	add_range(s, &shm->data, &shm->left + 1);
}

struct scene *scene_make(void)
{
	struct scene *s = kill_shared(sizeof(*s));
	struct ipck_pipe *ends[2];

	kill_check(ipck_pipe_create(ends, IPCK_PIPE_OPTS(.bytes = SCENE_RING)) == 0);
	kill_check(pipe2(s->probe, O_CLOEXEC) == 0);
	spin_forbid();
	s->near = ends[0];
	s->far = ends[1];
	watch_lane(s, s->near->in.shm);
	watch_lane(s, s->near->out.shm);
	return s;
}

void scene_watch(struct scene *s, const struct lane *l, size_t step, int n)
{
	for (int i = 0; i < n; i++) {
		uint64_t *word = lane_word(l, l->shm->tail + (size_t)i * step);

		add_range(s, word, word + 1);
	}
}

const struct kill_range *scene_ranges(void *ctx, size_t *n)
{
	struct scene *s = ctx;

	*n = s->n_ranges;
	return s->ranges;
}

void scene_move(struct ipck_pipe *from, struct ipck_pipe *to, size_t bytes)
{
	static char buffer[SCENE_RING];

	while (bytes > 0) {
		size_t span = MIN(bytes, (size_t)1024);

		kill_check(ipck_pipe_send(from, buffer, span - LANE_WORD, IPCK_NOWAIT) == 0);
		kill_check(ipck_pipe_recv(to, buffer, sizeof(buffer), NULL, IPCK_NOWAIT) >= 0);
		bytes -= span;
	}
}

void scene_arm(struct ipck_pipe *p)
{
	char byte;

	kill_check(ipck_pipe_fd(p) >= 0);
	kill_check(ipck_pipe_recv(p, &byte, 1, NULL, IPCK_NOWAIT) == -ETIMEDOUT);
}

void scene_help(struct scene *s, void (*fn)(struct scene *s))
{
	pid_t pid, parent = getpid();

	add_seq(&s->helpers, 1);
	pid = fork();
	kill_check(pid >= 0);
	if (pid > 0) {
		s->helper = pid;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	fn(s);
	/* Whoever waits for helpers relies on their copies being closed. */
	ipck_pipe_close(s->near);
	ipck_pipe_close(s->far);
	close(s->probe[1]);
	add_seq(&s->helpers, UINT32_MAX);
	_exit(0);
}

void scene_await_others(struct scene *s)
{
	KILL_UNTIL(load_seq(&s->helpers) <= 1 + s->served);
}

/* ---- messages ---- */

static char pattern(const struct header *h, size_t i)
{
	return (char)(h->number * 31 + h->party * 7 + i * 13 + i / 256);
}

void scene_fill(char *bytes, enum party party, uint32_t number, size_t size)
{
	struct header h = {party, number, (uint32_t)size};

	memcpy(bytes, &h, sizeof(h));
	for (size_t i = sizeof(h); i < size; i++)
		bytes[i] = pattern(&h, i);
}

void scene_check(const char *bytes, size_t size)
{
	struct header h;

	kill_check(size >= sizeof(h));
	memcpy(&h, bytes, sizeof(h));
	kill_check(h.size == size && h.party < PARTIES);
	for (size_t i = sizeof(h); i < size; i++)
		if (bytes[i] != pattern(&h, i))
			kill_check(!"a torn message");
}

void scene_count(struct scene *s, const char *bytes)
{
	struct header h;

	memcpy(&h, bytes, sizeof(h));
	add_seq(&s->got[h.party][h.number], 1);
}

uint32_t scene_try(struct scene *s, enum party party)
{
	uint32_t number = add_seq(&s->last[party], 1) + 1;

	kill_check(number < SCENE_MESSAGES);
	store_seq(&s->fates[party][number], TRIED);
	return number;
}

void scene_note(struct scene *s, enum party party, uint32_t number, int rc)
{
	store_seq(&s->fates[party][number], rc == 0 ? ACKNOWLEDGED : REFUSED);
}

int scene_send(struct scene *s, struct ipck_pipe *p, enum party party, size_t size)
{
	static char bytes[SCENE_LONG];
	uint32_t number = scene_try(s, party);
	int rc;

	scene_fill(bytes, party, number, size);
	rc = ipck_pipe_send(p, bytes, size, scene_soon());
	scene_note(s, party, number, rc);
	return rc;
}

int scene_receive(struct scene *s, struct ipck_pipe *p, struct ipck_deadline deadline)
{
	static char bytes[SCENE_LONG];
	static uint32_t last[PARTIES];
	ssize_t n = ipck_pipe_recv(p, bytes, sizeof(bytes), NULL, deadline);
	struct header h;

	if (n < 0)
		return (int)n;
	scene_check(bytes, (size_t)n);
	scene_count(s, bytes);
	memcpy(&h, bytes, sizeof(h));
	kill_check(h.number > last[h.party]);
	last[h.party] = h.number;
	return (int)h.party;
}

/* As an event loop does it. */
static int receive_polled(struct scene *s, struct ipck_pipe *p)
{
	struct pollfd fd = {.fd = ipck_pipe_fd(p), .events = POLLIN};
	int rc = -ETIMEDOUT;

	while (rc == -ETIMEDOUT) {
		kill_check(poll(&fd, 1, 6000) == 1);
		rc = scene_receive(s, p, IPCK_NOWAIT);
	}
	return rc;
}

static int receive_next(struct scene *s, struct ipck_pipe *p)
{
	return p->in.shm->bell.armed ? receive_polled(s, p) : scene_receive(s, p, scene_soon());
}

void scene_receive_all(struct scene *s, struct ipck_pipe *p)
{
	int party;

	do
		kill_check((party = receive_next(s, p)) >= 0);
	while (party != AFTER);
}

/* ---- the victim ---- */

void scene_begin(struct scene *s)
{
	ipck_pipe_close(s->far);
	pipe_enter(s->near);
	kill_begin();
}

void scene_end(struct scene *s)
{
	kill_end();
	store_seq(&s->told, 1);
}

void scene_died(struct scene *s, const struct kill_point *point)
{
	store_seq(&s->dead, 1);
	kill_check(point->kind != KILL_NONE || s->told);
	if (s->told)
		s->may_miss = 0;
}

/* ---- the proof ---- */

static bool readable(const struct ipck_pipe *p)
{
	struct pollfd fd = {.fd = p->sock, .events = POLLIN};

	return poll(&fd, 1, 0) == 1;
}

void scene_check_bell(const struct ipck_pipe *p)
{
	if (p->in.shm && p->in.shm->bell.armed && lane_has_record(&p->in))
		kill_check(readable(p));
}

void scene_check_counts(struct scene *s)
{
	uint32_t missing = 0;

	for (int party = 0; party < PARTIES; party++)
		for (int i = 0; i < SCENE_MESSAGES; i++) {
			uint32_t got = s->got[party][i], fate = s->fates[party][i];

			kill_check(got <= (fate == TRIED || fate == ACKNOWLEDGED));
			missing += fate == ACKNOWLEDGED && got == 0;
		}
	kill_check(missing <= s->may_miss);
}

static struct ipck_pipe *after_from;

static void send_long(struct scene *s)
{
	kill_check(scene_send(s, after_from, AFTER, SCENE_LONG) == 0);
}

static void check_in_place(struct ipck_pipe *from, struct ipck_pipe *to)
{
	const void *seen;
	void *room;
	size_t size;

	kill_check(ipck_pipe_reserve(from, 2000, &room, scene_soon()) == 0);
	memcpy(room, "here", 4);
	kill_check(ipck_pipe_commit(from, 4) == 0);
	kill_check(ipck_pipe_peek(to, &seen, &size, scene_soon()) == 0);
	kill_check(size == 4 && memcmp(seen, "here", 4) == 0);
	kill_check(ipck_pipe_release(to) == 0);
	kill_check(ipck_pipe_reserve(from, 8, &room, scene_soon()) == 0);
	ipck_pipe_cancel(from);
}

static void check_descriptors(struct scene *s, struct ipck_pipe *from, struct ipck_pipe *to)
{
	int fd;

	kill_check(ipck_pipe_send_fds(from, &s->probe[1], 1, scene_soon()) == 0);
	kill_check(ipck_pipe_recv_fds(to, &fd, 1, scene_soon()) == 1);
	kill_check(close(fd) == 0);
}

static void check_positions(const struct lane *l)
{
	struct lane_shm *shm = l->shm;

	kill_check(shm->tail == shm->head && *lane_word(l, shm->tail) == 0);
	kill_check(shm->send.owner == 0 && shm->receive.owner == 0 && !shm->sending && !(shm->bell.drained & 1));
}

void scene_works(struct scene *s, struct ipck_pipe *from, struct ipck_pipe *to)
{
	char byte;

	kill_check(scene_send(s, from, AFTER, 100) == 0);
	scene_check_bell(to);
	kill_check(ipck_pipe_poll(to, IPCK_NOWAIT) == 0);
	kill_check(receive_next(s, to) == AFTER);
	kill_check(ipck_pipe_send(from, NULL, 0, scene_soon()) == 0);
	kill_check(ipck_pipe_recv(to, &byte, 1, NULL, IPCK_NOWAIT) == 0);
	check_in_place(from, to);
	check_descriptors(s, from, to);
	kill_check(ipck_pipe_recv(to, &byte, 1, NULL, IPCK_NOWAIT) == -ETIMEDOUT);
	after_from = from;
	scene_help(s, send_long);
	kill_check(receive_next(s, to) == AFTER);
	KILL_UNTIL(load_seq(&s->helpers) == 0);
	check_positions(&from->out);
}

/* Nobody has the other end: of what is sent little may be accepted before that is known. */
static void check_refused(struct ipck_pipe *p)
{
	char bytes[64 - LANE_WORD] = {0};
	size_t accepted = 0;
	int rc;

	while ((rc = ipck_pipe_send(p, bytes, sizeof(bytes), scene_soon())) == 0)
		accepted += sizeof(bytes) + LANE_WORD;
	kill_check(rc == -EPIPE && accepted <= SCENE_RING / 8);
}

void scene_check_flight(struct scene *s)
{
	struct pollfd fd = {.fd = s->probe[0]};

	KILL_UNTIL(load_seq(&s->helpers) == 0);
	close(s->probe[1]);
	/* The kernel may still be at the victim's own descriptors, or a child's. */
	KILL_UNTIL(poll(&fd, 1, 0) == 1 && fd.revents & POLLHUP);
	close(s->probe[0]);
}

static void check_end(struct scene *s, struct ipck_pipe *p)
{
	int rc;

	if (p->in.shm) {
		while ((rc = receive_next(s, p)) >= 0)
			;
		kill_check(rc == -EPIPE);
		kill_check(ipck_pipe_poll(p, IPCK_NOWAIT) == 0);
	}
	if (p->out.shm)
		check_refused(p);
	ipck_pipe_close(p);
}

void scene_finish(struct scene *s)
{
	KILL_UNTIL(load_seq(&s->helpers) == 0);
	scene_check_counts(s);
	if (s->near->out.shm)
		scene_works(s, s->near, s->far);
	if (s->far->out.shm)
		scene_works(s, s->far, s->near);
	scene_check_counts(s);
	ipck_pipe_close(s->near);
	check_end(s, s->far);
	scene_check_flight(s);
}

void scene_finish_alone(struct scene *s)
{
	/* As if it had never had it: what follows from a close must not help. */
	close(s->near->sock);
	s->near->sock = -1;
	scene_check_bell(s->far);
	check_end(s, s->far);
	scene_check_counts(s);
	scene_check_flight(s);
}

/* ---- main ---- */

int scene_main(int argc, char **argv, struct kill_sweep *sweeps, size_t n)
{
	const struct kill_sweep *list[SWEEPS_MAX + 1];

	if (n > SWEEPS_MAX)
		abort();
	for (size_t i = 0; i < n; i++) {
		sweeps[i].limit = 20;
		sweeps[i].watch = scene_ranges;
		sweeps[i].marked = true;
		list[i] = &sweeps[i];
	}
	list[n] = NULL;
	return kill_main(argc, argv, list);
}
