/* SPDX-License-Identifier: MIT */
/* ipc-queue between shells: queues by their names, and what is done with a whole queue. */
#include <errno.h>
#include <inttypes.h>

#include "common.h"
#include "queue_shell.h"

/* How often it is looked whether a queue is there. */
#define LOOK_MS 20

struct ipck_deadline queue_deadline(const struct queue_options *o)
{
	return ipck_interruptible(o->timeout_ms < 0 ? IPCK_FOREVER : ipck_in_ms(o->timeout_ms));
}

static const char *sentence(int rc)
{
	switch (-rc) {
	case ENOENT:
		return "There is no such queue";
	case ENOSPC:
		return "There is no room in shared memory for it";
	case EPERM:
		return "Another user made it";
	case EPROTO:
		return "It is no queue, of another layout, or damaged";
	case ESHUTDOWN:
		return "It was shut down";
	default:
		return ipck_strerror(rc);
	}
}

int queue_failed(const struct queue_options *o, int rc)
{
	/* The other arguments have been checked. */
	if (rc == -EINVAL)
		return tool_usage("'%s' is no name: 1 to 200 of A-Z a-z 0-9 . _ -", o->name);
	if (rc == -ECANCELED)
		return TOOL_FAILED;
	return tool_error("%s: %s", o->name, sentence(rc));
}

static int open_it(struct ipck_queue **out, const struct queue_options *o)
{
	return ipck_queue_open(out, o->name, IPCK_QUEUE_OPTS(.any_owner = o->any_owner));
}

int queue_open(struct ipck_queue **out, const struct queue_options *o)
{
	int rc = open_it(out, o);

	return rc < 0 ? queue_failed(o, rc) : 0;
}

int queue_open_or_make(struct ipck_queue **out, const struct queue_options *o)
{
	const struct ipck_queue_opts opts = {
		.size = sizeof(opts),
		.bytes = (size_t)o->bytes,
		.max_items = (size_t)o->max_items,
		.mode = (mode_t)o->mode,
	};
	int rc;

	/* Another may make it, or remove its name, in between. */
	do {
		rc = open_it(out, o);
		if (rc == -ENOENT)
			rc = ipck_queue_create(out, o->name, &opts);
	} while ((rc == -EEXIST || rc == -ENOENT) && !stop_caught());
	return rc < 0 ? queue_failed(o, rc) : 0;
}

int queue_open_when_there(struct ipck_queue **out, const struct queue_options *o, bool *waited)
{
	struct ipck_deadline deadline = queue_deadline(o);
	int rc;

	*waited = false;
	while ((rc = open_it(out, o)) == -ENOENT && !stop_caught() && !ipck_deadline_passed(deadline)) {
		stop_poll(-1, 0, LOOK_MS);
		*waited = true;
	}
	if (rc == -ENOENT && stop_caught())
		return TOOL_FAILED;
	return rc < 0 ? queue_failed(o, rc) : 0;
}

/* ---- stat ---- */

static void print_figures(const struct ipck_queue_stats *s)
{
	static const char *const ends[] = {"no", "drain", "immediate"};

	tool_print("items: %zu\n", s->items);
	tool_print("most-items: %zu\n", s->most_items);
	tool_print("max-items: %zu\n", s->max_items);
	tool_print("held: %zu\n", s->held);
	tool_print("bytes: %zu\n", s->bytes);
	tool_print("bytes-used: %zu\n", s->bytes_used);
	tool_print("largest: %zu\n", s->largest);
	tool_print("puts: %" PRIu64 "\n", s->puts);
	tool_print("gets: %" PRIu64 "\n", s->gets);
	tool_print("bytes-put: %" PRIu64 "\n", s->bytes_put);
	tool_print("bytes-got: %" PRIu64 "\n", s->bytes_got);
	tool_print("put-waits: %" PRIu64 "\n", s->put_waits);
	tool_print("get-waits: %" PRIu64 "\n", s->get_waits);
	tool_print("recovered: %" PRIu64 "\n", s->recovered);
	tool_print("joinable: %s\n", s->joinable ? "yes" : "no");
	tool_print("leases: %s\n", s->leases ? "yes" : "no");
	tool_print("unfinished: %" PRIu64 "\n", s->unfinished);
	tool_print("shutdown: %s\n", s->shutdown >= 0 && s->shutdown <= 2 ? ends[s->shutdown] : "?");
}

int queue_stat(int argc, char **argv)
{
	struct ipck_queue_stats stats = IPCK_QUEUE_STATS_INIT;
	struct ipck_queue *queue;
	struct queue_options o;
	int rc, status = queue_options_read(&o, FOR_STAT, argc, argv);

	if (status != 0 || o.help)
		return status;
	status = queue_open(&queue, &o);
	if (status != 0)
		return status;
	rc = ipck_queue_stat(queue, &stats);
	if (rc < 0)
		status = queue_failed(&o, rc);
	else
		print_figures(&stats);
	ipck_queue_close(queue);
	return tool_finish(status);
}

/* ---- shutdown, unlink ---- */

int queue_shutdown(int argc, char **argv)
{
	struct ipck_queue *queue;
	struct queue_options o;
	int rc, status = queue_options_read(&o, FOR_SHUTDOWN, argc, argv);

	if (status != 0 || o.help)
		return status;
	status = queue_open(&queue, &o);
	if (status != 0)
		return status;
	rc = ipck_queue_shutdown(queue, o.immediate ? IPCK_QUEUE_IMMEDIATE : IPCK_QUEUE_DRAIN);
	ipck_queue_close(queue);
	return rc < 0 ? queue_failed(&o, rc) : 0;
}

int queue_unlink(int argc, char **argv)
{
	struct queue_options o;
	int rc, status = queue_options_read(&o, FOR_UNLINK, argc, argv);

	if (status != 0 || o.help)
		return status;
	rc = ipck_queue_unlink(o.name);
	return rc < 0 ? queue_failed(&o, rc) : 0;
}
