/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "proc/local.h"

/*
 * Not PR_SET_PDEATHSIG: that fires when the thread ends that forked, is lost over
 * some execs, and reaches one process only.  A pipe with O_ASYNC and F_SETSIG does
 * neither: its signal comes when the last write end is closed, from the kernel.
 */

/*
 * The owner of O_ASYNC belongs to the open file description: each daemon needs one
 * of its own, and dup does not make one.  It has no owner yet, so nobody is killed.
 */
int lifeline_open(int *fd)
{
	char path[40];
	int rc, line;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", local.lifeline[0]);
	rc = io_open(path, O_RDONLY, &line);
	if (rc < 0)
		return rc;
	if (fcntl(line, F_SETSIG, SIGKILL) < 0 || fcntl(line, F_SETFL, O_ASYNC) < 0) {
		rc = -errno;
		close(line);
		return rc;
	}
	*fd = line;
	return 0;
}

bool lifeline_arm(int fd, bool group)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (fcntl(fd, F_SETOWN, group ? -getpid() : getpid()) < 0)
		return false;
	/* Hung up before it was armed: no signal will come. */
	return poll(&p, 1, 0) == 0;
}

int lifeline_make(void)
{
	int rc = io_pipe(local.lifeline);

	/* So that lifeline_open may open it also after a change of user. */
	if (rc == 0)
		(void)fchmod(local.lifeline[0], S_IRUSR | S_IRGRP | S_IROTH);
	return rc;
}
