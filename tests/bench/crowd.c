/* SPDX-License-Identifier: MIT */
/* Measures what carries messages from many to many: one channel, all at it at once. */
#include "channel.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/compiler.h"

#define CROWD_MAX 64
/* The producer that ends one consumer with each of its messages. */
#define THE_END UINT64_MAX

struct message {
	uint64_t number, producer;
	uint64_t words[CROWD_BYTES / sizeof(uint64_t) - 2]; /* each the number */
};

/* Producers come first. */
static struct crowd {
	ALIGNED(FALSE_SHARING) uint32_t begun;
	uint32_t ended; /* 1: nobody sends more */
	struct {
		ALIGNED(FALSE_SHARING) uint64_t done;
		uint64_t sum; /* of the messages' hashes */
	} member[CROWD_MAX];
} *crowd;

static int producers, members;
static pid_t pids[CROWD_MAX];

static void fill(struct message *m, uint64_t producer, uint64_t number)
{
	m->number = number;
	m->producer = producer;
	for (size_t i = 0; i < sizeof(m->words) / sizeof(*m->words); i++)
		m->words[i] = number;
}

static uint64_t hash(const struct message *m)
{
	uint64_t sum = m->number * (2 * m->producer + 1);

	for (size_t i = 0; i < sizeof(m->words) / sizeof(*m->words); i++)
		sum += m->words[i];
	return sum;
}

static void count(int member, const struct message *m)
{
	crowd->member[member].sum += hash(m);
	store_release(&crowd->member[member].done, load_relaxed(&crowd->member[member].done) + 1);
}

static int produce(const struct channel *c, int member)
{
	struct message m;
	int rc = 0;

	for (uint64_t n = 1; rc >= 0 && !load_acquire(&crowd->ended); n++) {
		fill(&m, (uint64_t)member, n);
		rc = c->send(&m, sizeof(m));
		if (rc >= 0)
			count(member, &m);
	}
	return rc;
}

/* Those of one producer come in its order, though others may have got some of them. */
static int consume(const struct channel *c, int member)
{
	uint64_t last[CROWD_MAX] = {0};
	struct message m;

	for (;;) {
		ssize_t got = c->recv(&m, sizeof(m));

		if (got < 0)
			return (int)got;
		if (got != sizeof(m))
			return -EBADMSG;
		if (m.producer == THE_END)
			return 0;
		if (m.producer >= (uint64_t)producers || m.number <= last[m.producer])
			return -EBADMSG;
		last[m.producer] = m.number;
		count(member, &m);
	}
}

static _Noreturn void be_member(const struct channel *c, const struct bench_ctx *ctx, int member)
{
	bool sends = member < producers;
	int rc;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bench_pin(ctx, sends);
	if (c->side)
		c->side(sends);
	add_acq_rel(&crowd->begun, 1);
	rc = sends ? produce(c, member) : consume(c, member);
	if (rc < 0)
		fprintf(stderr, "%s: %s\n", sends ? "producer" : "consumer", strerror(-rc));
	_exit(rc < 0);
}

/* What it would do is waited for. */
static void on_members_end(int sig)
{
	(void)sig;
	_exit(1);
}

static int reap(int first, int end)
{
	int rc = 0, status;

	for (int i = first; i < end; i++)
		if (waitpid(pids[i], &status, 0) < 0 || status)
			rc = -EIO;
	return rc;
}

static int start(const struct channel *c, const struct bench_ctx *ctx)
{
	signal(SIGCHLD, on_members_end);
	for (int i = 0; i < members; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			be_member(c, ctx, i);
		if (pids[i] < 0)
			return -errno;
	}
	if (c->side)
		c->side(1);
	while (load_acquire(&crowd->begun) < (uint32_t)members)
		sched_yield();
	return 0;
}

/* The consumers go on until nothing is left. */
static int end_all(const struct channel *c)
{
	struct message m;
	int rc;

	signal(SIGCHLD, SIG_DFL);
	store_release(&crowd->ended, 1u);
	rc = reap(0, producers);
	fill(&m, THE_END, 0);
	for (int i = producers; i < members && rc >= 0; i++)
		rc = c->send(&m, sizeof(m));
	return rc < 0 ? rc : reap(producers, members);
}

static uint64_t consumed(void)
{
	uint64_t sum = 0;

	for (int i = producers; i < members; i++)
		sum += load_acquire(&crowd->member[i].done);
	return sum;
}

/* Whether what was got is what was sent. */
static bool is_right(void)
{
	uint64_t done = 0, sum = 0;

	for (int i = 0; i < members; i++) {
		done += i < producers ? crowd->member[i].done : -crowd->member[i].done;
		sum += i < producers ? crowd->member[i].sum : -crowd->member[i].sum;
	}
	return done == 0 && sum == 0;
}

double crowd_messages(make_channel *make, const struct bench_ctx *ctx)
{
	struct channel c = {0};
	uint64_t before;
	struct meter m;
	int rc;

	producers = (int)(ctx->size / 100);
	members = producers + (int)(ctx->size % 100);
	crowd = channel_memory(sizeof(*crowd));
	if (!crowd || members > CROWD_MAX)
		return crowd ? -EINVAL : -ENOMEM;
	rc = make(&c, sizeof(struct message));
	if (rc >= 0)
		rc = start(&c, ctx);
	if (rc < 0)
		return rc;
	while (consumed() == 0)
		sched_yield();
	before = consumed();
	meter_start(&m, ctx);
	while (meter_more(&m, 0))
		usleep((useconds_t)((m.until - m.now) * 1e6) + 1);
	m.ops = (double)(consumed() - before);
	rc = end_all(&c);
	if (rc >= 0 && !is_right())
		rc = -EBADMSG;
	return rc < 0 ? rc : meter_rate(&m);
}
