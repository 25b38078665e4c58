/* SPDX-License-Identifier: MIT */
/* Measures what several processes do at one thing. */
#include "team.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic.h"
#include "channel.h"

struct stage *stage;

static pid_t members_pid[TEAM_MAX];

uint64_t stage_value(void)
{
	return stage->value;
}

/*
 * Operations between two looks at the clock, which costs as much as a few of the fastest.
 * What a member has not told yet is missing at the end as at the beginning.
 */
static long batch(int members)
{
	return members == 1 ? 1024 : members == 2 ? 64 : 8;
}

static int work(const struct job *job, int member, long n)
{
	uint64_t *done = &stage->member[member].done;
	int rc = job->work(member, n);

	if (rc >= 0)
		store_release(done, load_relaxed(done) + (uint64_t)n);
	return rc;
}

/* What it would do is waited for. */
static void on_members_end(int sig)
{
	(void)sig;
	_exit(1);
}

static _Noreturn void be_member(const struct job *job, const struct bench_ctx *ctx, int member, int members)
{
	int rc;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bench_pin(ctx, member % 2);
	rc = job->work(member, 0);
	add_acq_rel(&stage->begun, 1);
	while (rc >= 0 && !load_acquire(&stage->ended))
		rc = work(job, member, batch(members));
	if (rc < 0)
		fprintf(stderr, "member %d: %s\n", member, strerror(-rc));
	_exit(rc < 0);
}

static int reap(int members)
{
	int rc = 0, status;

	for (int i = 1; i < members; i++)
		if (waitpid(members_pid[i], &status, 0) < 0 || status)
			rc = -EIO;
	return rc;
}

static void kill_all(int members)
{
	signal(SIGCHLD, SIG_DFL);
	for (int i = 1; i < members; i++)
		kill(members_pid[i], SIGKILL);
	reap(members);
}

/* Nobody is killed, who may have what another one waits for. */
static int end_all(int members)
{
	signal(SIGCHLD, SIG_DFL);
	store_release(&stage->ended, 1u);
	return reap(members);
}

static int start(const struct job *job, const struct bench_ctx *ctx, int members)
{
	int rc;

	if (members < 1 || members > TEAM_MAX)
		return -EINVAL;
	stage = channel_memory(sizeof(*stage));
	if (!stage)
		return -ENOMEM;
	rc = job->set_up(members);
	if (rc < 0)
		return rc;
	signal(SIGCHLD, on_members_end);
	for (int i = 1; i < members; i++) {
		members_pid[i] = fork();
		if (members_pid[i] == 0)
			be_member(job, ctx, i, members);
		if (members_pid[i] < 0) {
			rc = -errno;
			kill_all(i);
			return rc;
		}
	}
	rc = job->work(0, 0);
	if (rc < 0)
		kill_all(members);
	while (rc >= 0 && load_acquire(&stage->begun) < (uint32_t)members - 1)
		sched_yield();
	return rc;
}

static uint64_t done_by_all(int members)
{
	uint64_t sum = 0;

	for (int i = 0; i < members; i++)
		sum += load_acquire(&stage->member[i].done);
	return sum;
}

double team_sum(const struct job *job, const struct bench_ctx *ctx, int members)
{
	int rc = start(job, ctx, members);
	uint64_t before;
	struct meter m;

	if (rc < 0)
		return rc;
	rc = work(job, 0, 1);
	before = done_by_all(members);
	meter_start(&m, ctx);
	do
		rc = rc < 0 ? rc : work(job, 0, batch(members));
	while (rc >= 0 && meter_more(&m, 0));
	m.ops = (double)(done_by_all(members) - before);
	if (rc >= 0)
		rc = end_all(members);
	if (rc >= 0 && job->total && job->total() != done_by_all(members))
		rc = -EBADMSG;
	return rc < 0 ? rc : meter_rate(&m);
}

double team_steps(const struct job *job, const struct bench_ctx *ctx, int members)
{
	int rc = start(job, ctx, members);
	struct meter m;

	if (rc < 0)
		return rc;
	rc = work(job, 0, 1);
	meter_start(&m, ctx);
	do
		rc = rc < 0 ? rc : work(job, 0, batch(members));
	while (rc >= 0 && meter_more(&m, (double)batch(members)));
	kill_all(members);
	return rc < 0 ? rc : meter_rate(&m);
}
