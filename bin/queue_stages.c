/* SPDX-License-Identifier: MIT */
/*
 * ipc-queue: stages of work.  What is in the hands of a process that is killed goes to
 * another one, as the queues have leases.
 */
#include <ipckit.h>

#include "party.h"
#include "queue_modes.h"
#include "queue_party.h"

/* A stage takes numbers from one queue, works on each, and may put it into another. */
struct stage {
	struct ipck_queue *in, *out;
	int (*work)(const struct stage *stage, int number);
	long pause_ms;
};

/* Until the queue is at its end, which an error makes it. */
static int work_on_all(void *arg)
{
	const struct stage *stage = arg;
	int rc, number;

	while ((rc = queue_get_number(stage->in, &number)) == 0) {
		rc = stage->work(stage, number);
		if (rc == 0)
			rc = ipck_queue_task_done(stage->in);
		if (rc < 0)
			break;
	}
	if (queue_check(rc) == 0)
		return 0;
	ipck_queue_shutdown(stage->in, IPCK_QUEUE_IMMEDIATE);
	return TOOL_FAILED;
}

static void staff(struct party *party, size_t n, struct stage *stage)
{
	for (size_t i = 0; i < n; i++)
		party[i] = (struct party){.fn = work_on_all, .arg = stage, .daemon = true};
}

/* n numbers, in their order. */
static int fill(struct ipck_queue *queue, int n)
{
	int rc = 0;

	for (int i = 0; i < n && rc == 0; i++)
		rc = queue_put_number(queue, i);
	return queue_check(rc);
}

/* ---- pipeline ---- */

#define MATERIALS 10
#define PRODUCERS 3
#define CONSUMERS 2

static int produce(const struct stage *stage, int number)
{
	int rc;

	tool_pause(stage->pause_ms);
	rc = queue_put_number(stage->out, number);
	if (rc == 0)
		tool_print("Producer notify: made product %d of material %d by %s, products in the queue: %zd\n",
		           number, number, party_name(), ipck_queue_size(stage->out));
	return rc;
}

static int consume(const struct stage *stage, int number)
{
	tool_print("Consumer notify: used product %d by %s, products in the queue: %zd\n", number, party_name(),
	           ipck_queue_size(stage->in));
	tool_pause(stage->pause_ms);
	return 0;
}

/* Each stage is shut down when the one before it has ended: what is there is still worked on. */
static int run_pipeline(struct ipck_queue *materials, struct ipck_queue *products, const struct tool_args *args)
{
	struct stage making = {materials, products, produce, args->pause_ms};
	struct stage using = {products, NULL, consume, args->pause_ms};
	struct party party[PRODUCERS + CONSUMERS];
	int status = fill(materials, MATERIALS), made, used;

	if (status == 0)
		status = queue_check(ipck_queue_shutdown(materials, IPCK_QUEUE_DRAIN));
	tool_print("materials in the queue: %zd\n", ipck_queue_size(materials));
	staff(party, PRODUCERS, &making);
	staff(party + PRODUCERS, CONSUMERS, &using);
	if (status == 0)
		status = parties_start(party, PRODUCERS + CONSUMERS, args->threads);
	if (status != 0)
		return status;
	made = parties_join(party, PRODUCERS);
	status = queue_check(ipck_queue_shutdown(products, IPCK_QUEUE_DRAIN));
	used = parties_join(party + PRODUCERS, CONSUMERS);
	return made || used || status ? TOOL_FAILED : 0;
}

int queue_pipeline(const struct tool_args *args)
{
	struct ipck_queue *materials, *products;
	int status = queue_make(&materials, IPCK_QUEUE_OPTS(.leases = true));

	if (status != 0)
		return status;
	status = queue_make(&products, IPCK_QUEUE_OPTS(.leases = true));
	if (status == 0) {
		status = run_pipeline(materials, products, args);
		ipck_queue_close(products);
	}
	ipck_queue_close(materials);
	return status;
}

/* ---- joinable ---- */

#define TASKS 10
#define WORKERS 3

static int finish_task(const struct stage *stage, int number)
{
	tool_print("Working on %d by %s\n", number, party_name());
	tool_pause(stage->pause_ms);
	tool_print("Finished %d by %s\n", number, party_name());
	return 0;
}

static int run_joinable(struct ipck_queue *queue, const struct tool_args *args)
{
	struct stage stage = {queue, NULL, finish_task, args->pause_ms};
	struct party party[WORKERS];
	int status, unfinished;

	staff(party, WORKERS, &stage);
	status = parties_start(party, WORKERS, args->threads);
	if (status != 0)
		return status;
	status = fill(queue, TASKS);
	unfinished = queue_join_parties(queue, party, WORKERS);
	if (unfinished == 0)
		tool_print("All work completed\n");
	if (status == 0)
		status = queue_check(ipck_queue_shutdown(queue, IPCK_QUEUE_DRAIN));
	return parties_join(party, WORKERS) || status || unfinished ? TOOL_FAILED : 0;
}

int queue_joinable(const struct tool_args *args)
{
	struct ipck_queue *queue;
	int status = queue_make(&queue, IPCK_QUEUE_OPTS(.leases = true));

	if (status != 0)
		return status;
	status = run_joinable(queue, args);
	ipck_queue_close(queue);
	return status;
}
