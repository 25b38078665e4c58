/* SPDX-License-Identifier: MIT */
#include "queue_scene.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SWEEPS_MAX 48
#define BOUND 4
#define WATCHED 3

struct header {
	uint32_t party, number, size;
};

struct ipck_deadline scene_soon(void)
{
	return ipck_in_sec(6);
}

struct ipck_deadline scene_in_vain(void)
{
	return ipck_in_ms(120);
}

/* ---- set up ---- */

static void add_range(struct scene *s, void *start, const void *end)
{
	kill_check(s->n_ranges < SCENE_RANGES);
	s->ranges[s->n_ranges++] = (struct kill_range){start, (size_t)((const char *)end - (char *)start)};
}

static void watch_entry(struct scene *s, uint32_t place)
{
	struct entry *e = queue_entry(s->queue, place);

	add_range(s, e, e + 1);
}

void scene_watch(struct scene *s)
{
	struct queue_shm *shm = s->queue->shm;
	uint64_t at = shm->head, tail = shm->tail;
	int n = 0;

	add_range(s, &shm->closed, &shm->joined + 1);
	add_range(s, &shm->put, &shm->bytes_committed + 1);
	add_range(s, &shm->get, &shm->recovered + 1);
	while (n++ < WATCHED && mark_place(at) != mark_place(tail)) {
		watch_entry(s, mark_place(at));
		kill_check(queue_step(s->queue, &at, tail) == 0);
	}
	for (uint32_t i = 0; i < WATCHED; i++)
		watch_entry(s, mark_place(tail) + i * entry_units(SCENE_SMALL));
}

const struct kill_range *scene_ranges(void *ctx, size_t *n)
{
	struct scene *s = ctx;

	*n = s->n_ranges;
	return s->ranges;
}

/* As if so many had gone through that ring and words are about to wrap. */
static void move_to_end(struct ipck_queue *q)
{
	struct queue_shm *shm = q->shm;
	uint32_t count = UINT32_MAX - 1, place = UINT32_MAX - 2;

	shm->head = shm->next = shm->tail = mark(place, count);
	shm->head_seen = shm->next_seen = shm->tail_seen = mark(place, count);
	shm->reserved_at = place - 1;
	shm->taken = UINT64_C(7) << 32 | count;
	shm->finished = shm->joinable ? shm->taken : 0;
}

static void fill(struct scene *s)
{
	size_t size = s->flags & SCENE_LARGE ? SCENE_LONG : SCENE_BIG;
	int rc;

	while ((rc = scene_put(s, BEFORE, size, IPCK_NOWAIT)) == 0)
		;
	kill_check(rc == -ETIMEDOUT);
	while ((rc = scene_put(s, BEFORE, 12, IPCK_NOWAIT)) == 0)
		;
	kill_check(rc == -ETIMEDOUT);
}

/* Got by the copy of the handle that is the survivor's. */
static void hold(struct scene *s)
{
	kill_check(scene_put(s, BEFORE, scene_size(s), IPCK_NOWAIT) == 0);
	kill_check(ipck_queue_peek(s->queue, &s->item, IPCK_NOWAIT) == 0);
}

static void get_undone(struct scene *s)
{
	static char bytes[SCENE_LONG];

	kill_check(scene_put(s, BEFORE, SCENE_SMALL, IPCK_NOWAIT) == 0);
	kill_check(ipck_queue_get(s->queue, bytes, sizeof(bytes), NULL, IPCK_NOWAIT) == SCENE_SMALL);
	scene_count(s, bytes);
	s->undone = 1;
}

static void arm(struct scene *s)
{
	char byte;

	kill_check(ipck_queue_fd(s->queue) >= 0);
	kill_check(ipck_queue_get(s->queue, &byte, 1, NULL, IPCK_NOWAIT) == -ETIMEDOUT);
}

static void put_in(struct scene *s)
{
	if (s->flags & SCENE_ARMED)
		arm(s);
	if (s->flags & SCENE_UNDONE)
		get_undone(s);
	if (s->flags & SCENE_HELD)
		hold(s);
	if (s->flags & SCENE_STUCK)
		kill_check(ipck_queue_reserve(s->queue, SCENE_SMALL, &s->room, IPCK_NOWAIT) == 0);
	for (int i = 0; i < 2 && s->flags & SCENE_SOME; i++)
		kill_check(scene_put(s, BEFORE, scene_size(s), IPCK_NOWAIT) == 0);
	if (s->flags & SCENE_FULL)
		fill(s);
}

struct scene *scene_make(unsigned flags)
{
	struct scene *s = kill_shared(sizeof(*s));
	const struct ipck_queue_opts opts = {
		.size = sizeof(opts),
		.bytes = flags & SCENE_LARGE ? 16384 : 4096,
		.max_items = flags & SCENE_BOUNDED ? BOUND : 0,
		.joinable = flags & SCENE_JOINABLE,
		.leases = flags & SCENE_LEASES,
	};

	s->flags = flags;
	kill_check(ipck_queue_create(&s->queue, NULL, &opts) == 0);
	spin_forbid();
	if (flags & SCENE_WRAP)
		move_to_end(s->queue);
	put_in(s);
	scene_watch(s);
	if (flags & SCENE_CONSUMER)
		scene_peer(s, CONSUMER);
	if (flags & SCENE_PRODUCER)
		scene_peer(s, PRODUCER);
	if (flags & SCENE_JOINER)
		scene_peer(s, JOINER);
	for (int kind = CONSUMER; kind < PEERS; kind++)
		KILL_UNTIL(!s->running[kind] || scene_sleeps(s, (enum peer)kind));
	return s;
}

/* ---- peers ---- */

bool scene_sleeps(const struct scene *s, enum peer kind)
{
	const struct queue_shm *shm = s->queue->shm;
	const struct evcount *counts[] = {&shm->data, &shm->room, &shm->joined};

	return evcount_sleepers(counts[kind]);
}

static void consume(struct scene *s)
{
	int rc = scene_get(s, scene_soon());

	kill_check(rc >= 0 || rc == -ESHUTDOWN);
}

static void produce(struct scene *s)
{
	int rc = scene_put(s, OTHER, scene_size(s), scene_soon());

	kill_check(rc == 0 || rc == -ESHUTDOWN);
}

static void await_all_done(struct scene *s)
{
	kill_check(ipck_queue_join(s->queue, scene_soon()) == 0);
}

static pid_t fork_here(void)
{
	pid_t parent = getpid(), pid = fork();

	kill_check(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return pid;
}

static void peer(struct scene *s, enum peer kind, bool late)
{
	static void (*const roles[])(struct scene *) = {consume, produce, await_all_done};

	add_seq(&s->running[kind], 1);
	if (fork_here() > 0)
		return;
	KILL_UNTIL(!late || load_seq(&s->ready) || load_seq(&s->dead));
	roles[kind](s);
	add_seq(&s->running[kind], UINT32_MAX);
	_exit(0);
}

void scene_peer(struct scene *s, enum peer kind)
{
	peer(s, kind, false);
}

void scene_peer_when_ready(struct scene *s, enum peer kind)
{
	peer(s, kind, true);
}

void scene_die(struct scene *s, void (*fn)(struct scene *s))
{
	int status;
	pid_t pid = fork_here();

	if (pid == 0) {
		fn(s);
		raise(SIGKILL);
	}
	kill_check(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
}

/* ---- messages ---- */

size_t scene_size(const struct scene *s)
{
	return s->flags & SCENE_LARGE ? SCENE_LONG : SCENE_SMALL;
}

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

int scene_put(struct scene *s, enum party party, size_t size, struct ipck_deadline deadline)
{
	static char bytes[SCENE_LONG];
	uint32_t number = scene_try(s, party);
	int rc;

	scene_fill(bytes, party, number, size);
	rc = ipck_queue_put(s->queue, bytes, size, deadline);
	scene_note(s, party, number, rc);
	return rc;
}

void scene_look(const char *bytes, size_t size)
{
	struct header h;

	kill_check(size >= sizeof(h));
	memcpy(&h, bytes, sizeof(h));
	kill_check(h.size == size && h.party < PARTIES && h.number < SCENE_MESSAGES);
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

int scene_get(struct scene *s, struct ipck_deadline deadline)
{
	static char bytes[SCENE_LONG];
	ssize_t n = ipck_queue_get(s->queue, bytes, sizeof(bytes), NULL, deadline);
	struct header h;

	if (n < 0)
		return (int)n;
	scene_look(bytes, (size_t)n);
	scene_count(s, bytes);
	memcpy(&h, bytes, sizeof(h));
	if (s->queue->shm->joinable)
		kill_check(ipck_queue_task_done(s->queue) == 0);
	return (int)h.party;
}

void scene_begin(struct scene *s)
{
	(void)s;
	kill_begin();
}

void scene_end(struct scene *s)
{
	kill_end();
	store_seq(&s->told, 1);
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
