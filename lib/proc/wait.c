/* SPDX-License-Identifier: MIT */
/* One wait for many things: what tells by itself is asked, the rest is polled. */
#include <ipckit/wait.h>

#include <errno.h>
#include <ipckit/pipe.h>
#include <ipckit/process.h>
#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/compiler.h"

#define FEW 16
#define BUSY_NS NS_PER_MS

/* 1: it is ready, 0: not yet, or its descriptor will tell; negative: it cannot be waited for. */
static int ask(const struct ipck_waitable *w)
{
	int rc;

	if (!w->pipe && !w->process)
		return 0;
	rc = w->pipe ? ipck_pipe_poll(w->pipe, IPCK_NOWAIT) : ipck_process_join(w->process, IPCK_NOWAIT);
	if (rc == 0)
		return 1;
	return rc == -ETIMEDOUT ? 0 : rc;
}

static int descriptor(const struct ipck_waitable *w)
{
	if (w->pipe)
		return ipck_pipe_fd(w->pipe);
	return w->process ? ipck_process_fd(w->process) : w->fd;
}

static int prepare(struct pollfd *polls, const struct ipck_waitable *objects, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int fd = descriptor(&objects[i]);

		if (fd < 0 && objects[i].pipe)
			return fd;
		polls[i] = (struct pollfd){.fd = fd, .events = POLLIN};
	}
	return 0;
}

static ssize_t ask_all(struct ipck_waitable *objects, size_t n)
{
	ssize_t ready = 0;

	for (size_t i = 0; i < n; i++) {
		int rc = ask(&objects[i]);

		if (rc < 0)
			return rc;
		objects[i].ready = rc;
		ready += rc;
	}
	return ready;
}

/* Those that only their descriptor tells of: how many, -EBADF. */
static ssize_t take_over(struct ipck_waitable *objects, const struct pollfd *polls, size_t n)
{
	ssize_t ready = 0;

	for (size_t i = 0; i < n; i++) {
		if (polls[i].revents & POLLNVAL)
			return -EBADF;
		if (objects[i].pipe || objects[i].process || !polls[i].revents)
			continue;
		objects[i].ready = true;
		ready++;
	}
	return ready;
}

static ssize_t poll_all(struct ipck_waitable *objects, struct pollfd *polls, size_t n, int64_t ns)
{
	int rc = poll(polls, n, (int)((ns + NS_PER_MS - 1) / NS_PER_MS));

	if (rc <= 0)
		return rc == 0 || errno == EINTR ? 0 : -errno;
	return take_over(objects, polls, n);
}

/* A pipe's bell is not silent while another thread or process receives from it, and
 * tells nothing then: the pause keeps us from asking all the time. */
static bool rings_in_vain(const struct pollfd *polls, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (polls[i].revents)
			return true;
	return false;
}

static ssize_t wait_for(struct ipck_waitable *objects, struct pollfd *polls, size_t n, struct ipck_deadline deadline)
{
	bool in_vain = false;

	for (;;) {
		ssize_t ready = ask_all(objects, n), more;
		int64_t now = clock_now(), pause = deadline_tick(deadline, now) - now;
		int rc = deadline_check(deadline, now);

		if (ready < 0)
			return ready;
		if (ready == 0 && rc == 0 && in_vain)
			(void)poll(NULL, 0, (int)(BUSY_NS / NS_PER_MS));
		more = poll_all(objects, polls, n, ready > 0 || rc < 0 ? 0 : pause);
		if (more < 0 || ready + more > 0)
			return more < 0 ? more : ready + more;
		if (rc < 0)
			return rc;
		/* Twice in a row: once is what it is there for. */
		in_vain = rings_in_vain(polls, n) && !in_vain;
	}
}

ssize_t ipck_wait(struct ipck_waitable *objects, size_t n, struct ipck_deadline deadline)
{
	struct pollfd few[FEW], *polls = n > FEW ? calloc(n, sizeof(*polls)) : few;
	ssize_t rc;

	if (!polls)
		return -ENOMEM;
	rc = prepare(polls, objects, n);
	if (rc == 0)
		rc = wait_for(objects, polls, n, deadline);
	if (polls != few)
		free(polls);
	return rc;
}
