/* SPDX-License-Identifier: MIT */
/* ipc-queue: one producer, and who gets what it puts. */
#include <ipckit.h>

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "party.h"
#include "queue_modes.h"
#include "queue_party.h"

#define ITEMS 10
#define CONSUMERS 3

struct line {
	struct ipck_queue *queue;
	long pause_ms;
	uint64_t seed;
};

/* ---- items ---- */

static int put_items(const struct line *l)
{
	int rc = 0;

	for (int i = 0; i < ITEMS && rc == 0; i++) {
		if (i > 0)
			tool_pause(l->pause_ms);
		tool_print("Producer notify: item number %d by %s\n", i, party_name());
		rc = queue_put_number(l->queue, i);
	}
	return rc;
}

static int produce_items(void *arg)
{
	return queue_check(put_items(arg));
}

static int consume_items(void *arg)
{
	const struct line *l = arg;
	int rc, i;

	while ((rc = queue_get_number(l->queue, &i)) == 0)
		if (tool_print("Consumer notify: get item %d by %s\n", i, party_name()) < 0)
			return TOOL_FAILED;
	return queue_check(rc);
}

/* The main process ends the queue, however the producer has ended. */
static int run_items(struct line *l)
{
	struct party party[1 + CONSUMERS] = {{.fn = produce_items, .arg = l, .daemon = true}};
	int status, produced;

	for (int i = 1; i <= CONSUMERS; i++)
		party[i] = (struct party){.fn = consume_items, .arg = l, .daemon = true};
	status = parties_start(party, 1 + CONSUMERS, false);
	if (status != 0)
		return status;
	produced = parties_join(party, 1);
	status = queue_check(ipck_queue_shutdown(l->queue, IPCK_QUEUE_DRAIN));
	return parties_join(party + 1, CONSUMERS) || produced || status ? TOOL_FAILED : 0;
}

/* With a queue of that kind. */
static int run_line(int (*run)(struct line *l), const struct ipck_queue_opts *opts, const struct tool_args *args)
{
	struct line l = {.pause_ms = args->pause_ms, .seed = args->seed};
	int status = queue_make(&l.queue, opts);

	if (status != 0)
		return status;
	status = run(&l);
	ipck_queue_close(l.queue);
	return status;
}

int queue_items(const struct tool_args *args)
{
	return run_line(run_items, NULL, args);
}

/* ---- sentinel ---- */

/* The sentinel is a message like any other: the empty one. */
static int produce_and_end(void *arg)
{
	const struct line *l = arg;
	int rc = put_items(l);

	if (rc == 0) {
		tool_print("Producer notify: sentinel by %s\n", party_name());
		rc = ipck_queue_put(l->queue, NULL, 0, IPCK_FOREVER);
	}
	return queue_check(rc);
}

static int consume_to_end(void *arg)
{
	const struct line *l = arg;
	ssize_t n;
	int i;

	while ((n = ipck_queue_get(l->queue, &i, sizeof(i), NULL, IPCK_FOREVER)) > 0)
		tool_print("Consumer notify: get item %d by %s\n", i, party_name());
	if (n == 0)
		tool_print("Consumer notify: get sentinel by %s\n", party_name());
	return queue_check(n);
}

static int run_sentinel(struct line *l)
{
	struct party party[2] = {{.fn = produce_and_end, .arg = l}, {.fn = consume_to_end, .arg = l}};

	return parties_run_together(party, 2, false);
}

int queue_sentinel(const struct tool_args *args)
{
	return run_line(run_sentinel, NULL, args);
}

/* ---- write-read ---- */

static const char *const values[] = {"val_1", "val_2", "val_3"};
#define VALUES (sizeof(values) / sizeof(values[0]))

static int write_values(void *arg)
{
	const struct line *l = arg;
	uint64_t seed = l->seed;
	int rc = 0;

	tool_print("Process to write: %d\n", (int)getpid());
	for (size_t i = 0; i < VALUES && rc == 0; i++) {
		tool_print("Put %s to queue\n", values[i]);
		rc = ipck_queue_put(l->queue, values[i], 5, IPCK_FOREVER);
		tool_pause(tool_random(&seed, 0, l->pause_ms));
	}
	return queue_check(rc);
}

static int read_values(void *arg)
{
	const struct line *l = arg;
	char value[5];
	ssize_t n;

	tool_print("Process to read: %d\n", (int)getpid());
	while ((n = ipck_queue_get(l->queue, value, sizeof(value), NULL, IPCK_FOREVER)) >= 0) {
		if (tool_print("Get %.*s from queue\n", (int)n, value) < 0)
			return TOOL_FAILED;
		n = ipck_queue_task_done(l->queue);
		if (n < 0)
			break;
	}
	return queue_check(n);
}

/* The reader, which has no end of its own. */
static int terminate(struct party *party)
{
	int code = 0, signal = 0;

	ipck_process_terminate(party->process);
	if (ipck_process_join(party->process, IPCK_FOREVER) < 0 ||
	    ipck_process_status(party->process, &code, &signal) < 0 || signal != SIGTERM)
		return parties_join(party, 1);
	return ipck_process_close(party->process) < 0 ? TOOL_FAILED : 0;
}

static int run_write_read(struct line *l)
{
	struct party party[2] = {{.fn = write_values, .arg = l, .daemon = true},
	                         {.fn = read_values, .arg = l, .daemon = true}};
	int status = parties_start(party, 2, false), written, unread;

	if (status != 0)
		return status;
	written = parties_join(party, 1);
	unread = queue_join_parties(l->queue, party + 1, 1);
	return terminate(party + 1) || written || unread ? TOOL_FAILED : 0;
}

int queue_write_read(const struct tool_args *args)
{
	return run_line(run_write_read, IPCK_QUEUE_OPTS(.joinable = true), args);
}
