/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/io.h"
#include "proc/local.h"

/*
 * Not PR_SET_PDEATHSIG: that fires when the thread ends that forked, is lost over
 * some execs, and reaches one process only.  A pipe with O_ASYNC and F_SETSIG does
 * neither: its signal comes when the last write end is closed, from the kernel.
 */

int lifeline_open(int *fd)
{
	char path[40];

	/* The owner of O_ASYNC belongs to the open file description: each daemon
	 * needs one of its own, and dup does not make one. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", local.lifeline[0]);
	return io_open(path, O_RDONLY, fd);
}

bool lifeline_arm(int fd, bool group)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	fcntl(fd, F_SETOWN, group ? -getpid() : getpid());
	fcntl(fd, F_SETSIG, SIGKILL);
	fcntl(fd, F_SETFL, O_ASYNC);
	/* Hung up before it was armed: no signal will come. */
	return poll(&p, 1, 0) == 0;
}
