/* SPDX-License-Identifier: MIT */
/* The mode relay of ipc-pipe on libuv's event loop. */
#include "pipe_relay.h"

#include <uv.h>

/* The status is an error at the end of the pipe, which relay_receive tells better. */
static void readable(uv_poll_t *handle, int status, int events)
{
	(void)status;
	(void)events;
	if (!relay_receive(handle->data))
		uv_close((uv_handle_t *)handle, NULL);
}

static int uv_error(const char *what, int rc)
{
	return tool_error("%s: %s", what, uv_strerror(rc));
}

/* Runs until nothing is watched any more. */
static int watch(uv_loop_t *loop, struct relay *r)
{
	uv_poll_t handle = {.data = r};
	int rc = uv_poll_init(loop, &handle, relay_fd(r));

	if (rc < 0)
		return uv_error("uv_poll_init", rc);
	rc = uv_poll_start(&handle, UV_READABLE, readable);
	if (rc < 0)
		uv_close((uv_handle_t *)&handle, NULL);
	uv_run(loop, UV_RUN_DEFAULT);
	return rc < 0 ? uv_error("uv_poll_start", rc) : 0;
}

int relay_uv(struct relay *r)
{
	uv_loop_t loop;
	int rc = uv_loop_init(&loop), status;

	if (rc < 0)
		return uv_error("uv_loop_init", rc);
	status = watch(&loop, r);
	uv_loop_close(&loop);
	return status;
}
