/* SPDX-License-Identifier: MIT */
/* ipc-queue send: lines, or whole files, become messages. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "queue_shell.h"

#define CHUNK 65536
#define BATCH 64

struct sender {
	const struct queue_options *options;
	struct ipck_queue *queue;
	size_t largest; /* message of the queue */
	int rc;         /* what the queue returned at last */
};

/* What was read of a file and not yet put. */
struct input {
	const char *name;
	int fd;
	char *data;
	size_t size, room;
	unsigned long messages; /* that were put */
};

/* ---- reading ---- */

static int open_input(struct input *in, const char *name)
{
	bool standard = strcmp(name, "-") == 0;

	*in = (struct input){.name = standard ? "standard input" : name};
	in->fd = standard ? 0 : open(name, O_RDONLY | O_CLOEXEC);
	if (in->fd < 0 && !stop_caught())
		tool_error("%s: %s", name, strerror(errno));
	return in->fd < 0 ? TOOL_FAILED : 0;
}

static void close_input(struct input *in)
{
	if (in->fd > 0)
		close(in->fd);
	free(in->data);
}

static int make_room(struct input *in)
{
	size_t room = in->room ? 2 * in->room : CHUNK;
	char *data;

	if (in->room - in->size >= CHUNK / 2)
		return 0;
	data = realloc(in->data, room);
	if (!data)
		return -ENOMEM;
	in->data = data;
	in->room = room;
	return 0;
}

/* More bytes: 0 at the end, or -errno; -ECANCELED: a signal was caught. */
static ssize_t read_more(struct input *in)
{
	ssize_t n = make_room(in);

	while (n == 0) {
		stop_poll(in->fd, POLLIN, -1);
		if (stop_caught())
			return -ECANCELED;
		n = read(in->fd, in->data + in->size, in->room - in->size);
		if (n == 0)
			return 0;
		if (n < 0)
			n = errno == EINTR || errno == EAGAIN ? 0 : -errno;
	}
	if (n > 0)
		in->size += (size_t)n;
	return n;
}

/* ---- putting ---- */

/* Exit statuses: those of s->rc < 0 end it all, others this file only. */

static int put(struct sender *s, const struct iovec *messages, int n)
{
	while (n > 0 && !stop_caught()) {
		s->rc = ipck_queue_put_many(s->queue, messages, n, queue_deadline(s->options));
		if (s->rc < 0)
			return queue_failed(s->options, s->rc);
		messages += s->rc;
		n -= s->rc;
	}
	return n > 0 ? TOOL_FAILED : 0;
}

static int too_large(const struct sender *s, const struct input *in)
{
	static const char largest[] = "is larger than the largest message of the queue";

	if (s->options->file)
		return tool_error("%s: it %s, %zu bytes", in->name, largest, s->largest);
	return tool_error("%s: line %lu %s, %zu bytes", in->name, in->messages + 1, largest, s->largest);
}

/* Stores up to BATCH whole lines that begin at *at, and moves that behind them; how many. */
static int split(const struct input *in, size_t *at, int delimiter, size_t largest, struct iovec *messages)
{
	int n = 0;

	while (n < BATCH) {
		char *line = in->data + *at, *end = memchr(line, delimiter, in->size - *at);

		if (!end || (size_t)(end - line) > largest)
			break;
		messages[n++] = (struct iovec){.iov_base = line, .iov_len = (size_t)(end - line)};
		*at += (size_t)(end - line) + 1;
	}
	return n;
}

/* All whole lines that were read: the rest is moved to the front. */
static int put_lines(struct sender *s, struct input *in)
{
	struct iovec messages[BATCH];
	size_t at = 0;
	int n, status;

	while ((n = split(in, &at, s->options->null ? '\0' : '\n', s->largest, messages)) > 0) {
		status = put(s, messages, n);
		if (status != 0)
			return status;
		in->messages += (unsigned long)n;
	}
	in->size -= at;
	memmove(in->data, in->data + at, in->size);
	return in->size > s->largest ? too_large(s, in) : 0;
}

/* What is left at the end: the whole file, or a last line without a newline. */
static int put_rest(struct sender *s, const struct input *in)
{
	struct iovec message = {.iov_base = in->data, .iov_len = in->size};

	return in->size > 0 || s->options->file ? put(s, &message, 1) : 0;
}

static int send_input(struct sender *s, struct input *in)
{
	ssize_t n;
	int status = 0;

	while (status == 0 && (n = read_more(in)) != 0) {
		if (n < 0)
			return n == -ECANCELED ? TOOL_FAILED : tool_error("%s: %s", in->name, strerror((int)-n));
		if (!s->options->file)
			status = put_lines(s, in);
		else if (in->size > s->largest)
			status = too_large(s, in);
	}
	return status != 0 ? status : put_rest(s, in);
}

static int send_files(struct sender *s)
{
	static char *const standard_input[] = {(char *)"-", NULL};
	char *const *file = *s->options->files ? s->options->files : standard_input;
	int status = 0;

	for (; *file && s->rc >= 0 && !stop_caught(); file++) {
		struct input in;

		if (open_input(&in, *file) != 0) {
			status = TOOL_FAILED;
			continue;
		}
		if (send_input(s, &in) != 0)
			status = TOOL_FAILED;
		close_input(&in);
	}
	return status;
}

static int find_largest(struct sender *s)
{
	struct ipck_queue_stats stats = IPCK_QUEUE_STATS_INIT;
	int rc = ipck_queue_stat(s->queue, &stats);

	s->largest = stats.largest;
	return rc < 0 ? queue_failed(s->options, rc) : 0;
}

int queue_send(int argc, char **argv)
{
	struct queue_options o;
	struct sender s = {.options = &o};
	int status = queue_options_read(&o, FOR_SEND, argc, argv);

	if (status != 0 || o.help)
		return status;
	stop_catch();
	status = queue_open_or_make(&s.queue, &o);
	if (status != 0)
		return stop_status(status);
	status = find_largest(&s);
	if (status == 0)
		status = send_files(&s);
	ipck_queue_close(s.queue);
	return stop_status(status);
}
