/* SPDX-License-Identifier: MIT */
#include "pipe_relay.h"

#include <ipckit.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "party.h"
#include "pipe_ends.h"

#define QUESTIONS 10
#define QUESTION "hi"

/* What the loop has: one end of each pipe. */
struct relay {
	struct ipck_pipe *questions; /* sends; NULL: closed, all are asked */
	struct ipck_pipe *answers;   /* receives */
	int fd;                      /* of answers */
	int asked;
	int status;
};

/* What the child has: the other ends. */
struct answerer {
	struct ipck_pipe *questions, *answers;
	long pause_ms;
};

const char *const relay_loops[] = {
	"epoll",
#ifdef HAVE_LIBUV
	"uv",
#endif
	NULL,
};
long relay_loop;

static int (*const run_loop[])(struct relay *r) = {
	relay_epoll,
#ifdef HAVE_LIBUV
	relay_uv,
#endif
};

/* ---- the child ---- */

/* Answers until the questions end, or nobody wants an answer any more. */
static int answer(void *arg)
{
	const struct answerer *a = arg;
	char question[16], text[64];
	ssize_t rc;

	for (int i = 0;; i++) {
		rc = ipck_pipe_recv(a->questions, question, sizeof(question), NULL, IPCK_FOREVER);
		if (rc < 0)
			break;
		tool_pause(a->pause_ms);
		rc = snprintf(text, sizeof(text), "%.*s in %d", (int)rc, question, i);
		rc = ipck_pipe_send(a->answers, text, (size_t)rc, IPCK_FOREVER);
		if (rc < 0)
			break;
	}
	return rc == -EPIPE ? 0 : tool_error("cannot answer: %s", ipck_strerror((int)rc));
}

/* ---- the loop's side ---- */

static bool failed(struct relay *r, const char *what, ssize_t rc)
{
	r->status = tool_error("cannot %s: %s", what, ipck_strerror((int)rc));
	return false;
}

/* The next question, or after the last one the end of them: a loop must not wait, and
 * a pipe has room for ten. */
static bool ask(struct relay *r)
{
	int rc = 0;

	if (r->asked++ < QUESTIONS) {
		rc = ipck_pipe_send(r->questions, QUESTION, strlen(QUESTION), IPCK_NOWAIT);
	} else {
		ipck_pipe_close(r->questions);
		r->questions = NULL;
	}
	/* That the child has gone is told by the other pipe, after its last answer. */
	return rc == 0 || rc == -EPIPE || failed(r, "ask", rc);
}

int relay_fd(const struct relay *r)
{
	return r->fd;
}

bool relay_receive(struct relay *r)
{
	char text[64];

	for (;;) {
		ssize_t n = ipck_pipe_recv(r->answers, text, sizeof(text), NULL, IPCK_NOWAIT);

		if (n == -ETIMEDOUT)
			return true;
		if (n == -EPIPE)
			return false;
		if (n < 0)
			return failed(r, "receive", n);
		if (tool_print("%.*s\n", (int)n, text) < 0 || !ask(r))
			return false;
	}
}

static int watch(int epoll, struct relay *r)
{
	struct epoll_event event = {.events = EPOLLIN};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, r->fd, &event) < 0)
		return tool_error("epoll_ctl: %s", strerror(errno));
	for (;;) {
		int n = epoll_wait(epoll, &event, 1, -1);

		if (n < 0 && errno != EINTR)
			return tool_error("epoll_wait: %s", strerror(errno));
		if (n > 0 && !relay_receive(r))
			return 0;
	}
}

int relay_epoll(struct relay *r)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC), status;

	if (epoll < 0)
		return tool_error("epoll_create1: %s", strerror(errno));
	status = watch(epoll, r);
	close(epoll);
	return status;
}

static int run(struct relay *r)
{
	int status = TOOL_FAILED;

	r->fd = ipck_pipe_fd(r->answers);
	if (r->fd < 0)
		failed(r, "poll", r->fd);
	else if (ask(r))
		status = run_loop[relay_loop](r);
	return status ? status : r->status;
}

/* ---- both ---- */

static int start_and_run(struct ipck_pipe *questions[2], struct ipck_pipe *answers[2], long pause_ms)
{
	struct answerer a = {.questions = questions[0], .answers = answers[1], .pause_ms = pause_ms};
	struct relay r = {.questions = questions[1], .answers = answers[0]};
	struct ipck_pipe *keep[] = {a.questions, a.answers};
	struct party child = {.fn = answer, .arg = &a, .keep = keep, .keep_count = 2};
	int status = parties_start(&child, 1, false), joined = 0;

	/* Or the end of the child would not be the end of its answers. */
	ipck_pipe_close(a.questions);
	ipck_pipe_close(a.answers);
	if (child.process)
		status = run(&r);
	ipck_pipe_close(r.questions);
	ipck_pipe_close(r.answers);
	if (child.process)
		joined = parties_join(&child, 1);
	return status ? status : joined;
}

int relay(const struct tool_args *args)
{
	struct ipck_pipe *questions[2], *answers[2];

	if (pipe_ends_make(questions, answers) != 0)
		return TOOL_FAILED;
	return start_and_run(questions, answers, args->pause_ms);
}
