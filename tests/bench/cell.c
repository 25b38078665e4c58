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

#define LIMIT_MS 120000

/* Read by the signal handler: a group that does not hear the terminal's Ctrl-C. */
static volatile sig_atomic_t guarded;

void cell_guard(pid_t group)
{
	guarded = group;
}

static void on_signal(int sig)
{
	if (guarded > 0)
		kill(-guarded, SIGKILL);
	_exit(128 + sig);
}

void cell_install_guard(void)
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

static double receive(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	double rate;
	int rc;

	do
		rc = poll(&p, 1, LIMIT_MS);
	while (rc < 0 && errno == EINTR);
	if (rc == 0)
		return -ETIMEDOUT;
	return read(fd, &rate, sizeof(rate)) == sizeof(rate) ? rate : -EOWNERDEAD;
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
	cell_guard(pid);
	close(fds[1]);
	rate = receive(fds[0]);
	if (rate < 0)
		kill(-pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cell_guard(0);
	close(fds[0]);
	return rate;
}
