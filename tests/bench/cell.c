/* SPDX-License-Identifier: MIT */
/*
 * One measurement, in a child: no contender finds memory, threads or a placement
 * that another left, and one that crashes or hangs costs its own figure only.
 */
#include "bench.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT_S 120

/* Ctrl-C and the like end the harness between two measurements, and the one under way. */
static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	stopped = sig;
}

void cell_catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
}

static void become_cell(void)
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
}

/* Polls by the second, so that a signal that comes just before a poll is seen too. */
static double receive(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	double rate;

	for (int s = 0; s < LIMIT_S && !stopped; s++)
		if (poll(&p, 1, 1000) > 0)
			return read(fd, &rate, sizeof(rate)) == sizeof(rate) ? rate : -EOWNERDEAD;
	return -ETIMEDOUT;
}

double cell_run(const struct contender *c, const struct bench_ctx *ctx)
{
	int fds[2];
	double rate;
	pid_t pid;

	fflush(NULL);
	if (pipe2(fds, O_CLOEXEC) < 0)
		err(1, "pipe");
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (pid == 0) {
		close(fds[0]);
		become_cell();
		bench_pin(ctx, 0);
		rate = c->run(ctx);
		exit(write(fds[1], &rate, sizeof(rate)) != sizeof(rate));
	}
	setpgid(pid, pid);
	close(fds[1]);
	rate = receive(fds[0]);
	if (rate < 0)
		kill(-pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	close(fds[0]);
	if (stopped)
		exit(128 + stopped);
	return rate;
}
