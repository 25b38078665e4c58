/* SPDX-License-Identifier: MIT */
#include "pipe_ends.h"

#include "common.h"

static int make(struct ipck_pipe *ends[2])
{
	int rc = ipck_pipe_create(ends, IPCK_PIPE_OPTS(.one_way = true));

	return rc < 0 ? tool_error("cannot make a pipe: %s", ipck_strerror(rc)) : 0;
}

int pipe_ends_make(struct ipck_pipe *first[2], struct ipck_pipe *second[2])
{
	if (make(first) != 0)
		return TOOL_FAILED;
	if (make(second) == 0)
		return 0;
	ipck_pipe_close(first[0]);
	ipck_pipe_close(first[1]);
	return TOOL_FAILED;
}
