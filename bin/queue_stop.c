/* SPDX-License-Identifier: MIT */
/* ipc-queue between shells: an end that leaves nothing half done. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "queue_shell.h"

static volatile sig_atomic_t caught; /* the signal that ends the program */
static int bell[2] = {-1, -1};       /* so that one between a test and a sleep is not missed */
static bool pipe_kills;              /* SIGPIPE was not ignored */

static void stop(int number)
{
	int error = errno;

	caught = number;
	ipck_interrupt();
	(void)!write(bell[1], "", 1);
	errno = error;
}

/* What we were started with as ignored stays so. */
static void catch_signal(int number)
{
	struct sigaction action = {.sa_handler = stop, .sa_flags = (int)SA_RESETHAND}, old;

	sigaction(number, NULL, &old);
	if (old.sa_handler != SIG_IGN)
		sigaction(number, &action, NULL);
}

void stop_catch(void)
{
	/* Without it the second signal ends what the first did not. */
	(void)!pipe2(bell, O_CLOEXEC | O_NONBLOCK);
	catch_signal(SIGINT);
	catch_signal(SIGTERM);
	catch_signal(SIGHUP);
	pipe_kills = signal(SIGPIPE, SIG_IGN) != SIG_IGN;
}

bool stop_caught(void)
{
	return caught != 0;
}

void stop_poll(int fd, short events, int milliseconds)
{
	struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = bell[0], .events = POLLIN}};

	if (!caught)
		poll(fds, 2, milliseconds);
}

int stop_status(int status)
{
	return caught ? 128 + caught : status;
}

void stop_broken_pipe(void)
{
	if (!pipe_kills)
		return;
	signal(SIGPIPE, SIG_DFL);
	raise(SIGPIPE);
}
