/* SPDX-License-Identifier: MIT */
/*
 * ipc-queue recv: messages are peeked, written, and only then released.  So one that could not be
 * written goes back, and one that was in the hands of a killed recv goes to another.
 */
#include <errno.h>

#include "common.h"
#include "queue_output.h"
#include "queue_shell.h"

#define BATCH_BYTES 65536 /* a batch that is as large takes no more */

struct receiver {
	const struct queue_options *options;
	struct ipck_queue *queue;
	bool wait;     /* for the next message */
	bool joinable; /* each is to be marked as done */
	long left;     /* messages to receive; -1: all */
	struct output output;
};

/* Peeks up to n, and waits for the first only: how many, or a negative error. */
static int peek_some(struct receiver *r, struct ipck_queue_item *items, int n)
{
	struct ipck_deadline deadline = r->wait ? queue_deadline(r->options) : ipck_interruptible(IPCK_NOWAIT);
	size_t bytes = 0;
	int i, rc = 0;

	for (i = 0; i < n && bytes < BATCH_BYTES; i++) {
		rc = ipck_queue_peek(r->queue, &items[i], i == 0 ? deadline : IPCK_NOWAIT);
		if (rc < 0)
			break;
		bytes += items[i].size;
	}
	return i > 0 ? i : rc;
}

/* The first `written` are done, the others go back, the last first. */
static int give_back(struct receiver *r, const struct ipck_queue_item *items, int n, int written)
{
	int rc = 0;

	for (int i = n - 1; i >= written && rc == 0; i--)
		rc = ipck_queue_refuse(r->queue, &items[i]);
	for (int i = 0; i < written && rc == 0; i++) {
		rc = ipck_queue_release(r->queue, &items[i]);
		if (rc == 0 && r->joinable)
			rc = ipck_queue_task_done(r->queue);
	}
	return rc;
}

/* Receives some: 1, 0: an output cannot be written, or a negative error. */
static int receive_some(struct receiver *r)
{
	struct ipck_queue_item items[OUTPUT_MAX];
	int most = output_batch(&r->output), n, written, rc;

	n = peek_some(r, items, r->left >= 0 && r->left < most ? (int)r->left : most);
	if (n < 0)
		return n;
	written = output_write(&r->output, items, n);
	rc = give_back(r, items, n, written);
	if (r->left >= 0)
		r->left -= written;
	r->wait = r->options->follow;
	if (rc < 0)
		return rc;
	return written == n;
}

/* Why there is no more: the exit status. */
static int no_more(const struct receiver *r, int rc)
{
	bool ended = rc == -ESHUTDOWN || (rc == -ETIMEDOUT && !r->wait);

	if (!ended || r->left < 0)
		return ended ? 0 : queue_failed(r->options, rc);
	return tool_error("%s: %ld of %ld messages: %s", r->options->name, r->options->count - r->left,
	                  r->options->count, rc == -ESHUTDOWN ? "It was shut down" : "It is empty");
}

static int receive(struct receiver *r)
{
	int rc = 1;

	while (rc > 0 && r->left != 0)
		rc = stop_caught() ? -ECANCELED : receive_some(r);
	return rc < 0 ? no_more(r, rc) : output_status(&r->output);
}

static int find_kind(struct receiver *r)
{
	struct ipck_queue_stats stats = IPCK_QUEUE_STATS_INIT;
	int rc = ipck_queue_stat(r->queue, &stats);

	/* With leases, what is released is done. */
	r->joinable = stats.joinable && !stats.leases;
	return rc < 0 ? queue_failed(r->options, rc) : 0;
}

int queue_recv(int argc, char **argv)
{
	struct queue_options o;
	struct receiver r = {.options = &o, .output.options = &o};
	int status = queue_options_read(&o, FOR_RECV, argc, argv);

	if (status != 0 || o.help)
		return status;
	stop_catch();
	status = queue_open_when_there(&r.queue, &o, &r.wait);
	if (status != 0)
		return stop_status(status);
	r.wait = r.wait || o.follow;
	r.left = o.count;
	status = find_kind(&r);
	if (status == 0)
		status = receive(&r);
	ipck_queue_close(r.queue);
	return stop_status(status);
}
