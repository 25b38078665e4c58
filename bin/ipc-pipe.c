/* SPDX-License-Identifier: MIT */
/* ipc-pipe: messages from process to process. */
#include <ipckit.h>

#include <errno.h>

#include "common.h"
#include "party.h"
#include "pipe_bench.h"
#include "pipe_ends.h"
#include "pipe_relay.h"

#define NUMBERS 10

/* A process of the chain, with the ends that it uses. */
struct link {
	struct ipck_pipe *in, *out;
	long pause_ms;
};

/* Who receives has gone: nobody is told, it has its own reason. */
static int ended(ssize_t rc)
{
	return rc == 0 || rc == -EPIPE ? 0 : tool_error("pipe: %s", ipck_strerror((int)rc));
}

static int send_numbers(void *arg)
{
	const struct link *l = arg;
	int rc = 0;

	for (int i = 0; i < NUMBERS && rc == 0; i++) {
		rc = ipck_pipe_send(l->out, &i, sizeof(i), IPCK_FOREVER);
		tool_pause(l->pause_ms);
	}
	ipck_pipe_close(l->out);
	return ended(rc);
}

/* The next number: 1, 0 at the end-of-file, or a negative error. */
static ssize_t next_number(struct ipck_pipe *pipe, int *number)
{
	ssize_t rc = ipck_pipe_recv(pipe, number, sizeof(*number), NULL, IPCK_FOREVER);

	if (rc >= 0)
		return rc == sizeof(*number) ? 1 : -EBADMSG;
	return rc == -EPIPE ? 0 : rc;
}

static int send_squares(void *arg)
{
	const struct link *l = arg;
	ssize_t rc;
	int n;

	while ((rc = next_number(l->in, &n)) > 0) {
		n *= n;
		rc = ipck_pipe_send(l->out, &n, sizeof(n), IPCK_FOREVER);
		if (rc < 0)
			break;
	}
	ipck_pipe_close(l->out);
	return ended(rc);
}

static int print_numbers(struct ipck_pipe *pipe)
{
	ssize_t rc;
	int n;

	while ((rc = next_number(pipe, &n)) > 0)
		if (tool_print("%d\n", n) < 0)
			return TOOL_FAILED;
	if (rc == 0)
		tool_print("End\n");
	return ended(rc);
}

/* Each process keeps the ends that it uses, and no other: else none would see an end-of-file. */
static int run_chain(struct ipck_pipe *numbers[2], struct ipck_pipe *squares[2], long pause_ms)
{
	struct link first = {.out = numbers[1], .pause_ms = pause_ms};
	struct link second = {.in = numbers[0], .out = squares[1]};
	struct ipck_pipe *keep_first[] = {first.out}, *keep_second[] = {second.in, second.out};
	struct party party[2] = {
		{.fn = send_numbers, .arg = &first, .keep = keep_first, .keep_count = 1},
		{.fn = send_squares, .arg = &second, .keep = keep_second, .keep_count = 2},
	};
	int started = parties_start(party, 2, false), status = started, joined = 0;

	ipck_pipe_close(numbers[0]);
	ipck_pipe_close(numbers[1]);
	ipck_pipe_close(squares[1]);
	if (started == 0)
		status = print_numbers(squares[0]);
	ipck_pipe_close(squares[0]);
	if (started == 0)
		joined = parties_join(party, 2);
	return status ? status : joined;
}

static int squares_mode(const struct tool_args *args)
{
	struct ipck_pipe *numbers[2], *squares[2];

	if (pipe_ends_make(numbers, squares) != 0)
		return TOOL_FAILED;
	return run_chain(numbers, squares, args->pause_ms);
}

static const struct tool_mode modes[] = {
	{"squares", "two processes send numbers, and their squares, through two pipes", squares_mode,
	 TOOL_PAUSE, 0, NULL},
	{"relay", "an event loop that is answered by a child", relay, TOOL_PAUSE | TOOL_OWN(0), 0, NULL},
	{"bench", "how fast pipes are on this machine", pipe_bench, TOOL_OWN(1) | TOOL_OWN(2), 0, NULL},
	{0},
};

static const struct tool_option options[] = {
	{0, "loop", "NAME", RELAY_LOOPS_HELP, 0, 0, &relay_loop, relay_loops},
	{0, "size", "N", "the bytes of a message, instead of a row of sizes", 0, BENCH_SIZE_MAX, &bench_size, NULL},
	{0, "seconds", "S", "how long it takes in all, about", 0, 3600, &bench_seconds, NULL},
	{0},
};

static const struct tool tool = {"ipc-pipe", "Sends messages from process to process.", modes, options};

int main(int argc, char **argv)
{
	return tool_main(&tool, argc, argv);
}
