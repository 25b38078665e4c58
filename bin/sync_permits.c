/* SPDX-License-Identifier: MIT */
/* ipc-sync: semaphores that limit how many are inside, and that tell that something is there. */
#include <ipckit.h>

#include "party.h"
#include "shared.h"
#include "sync_modes.h"

/* ---- semaphore ---- */

#define VISITORS 5
#define PERMITS 2

struct visitor {
	struct ipck_semaphore *permits;
	long pause_ms;
};

/* The permit of one that was killed inside comes back: who gets it is told so, and goes on. */
static int visit(void *arg)
{
	const struct visitor *visitor = arg;
	int rc = ipck_semaphore_acquire(visitor->permits, IPCK_FOREVER);

	if (rc < 0)
		return shared_check("semaphore", rc);
	tool_print("%s acquire\n", party_name());
	tool_pause(visitor->pause_ms);
	tool_print("%s release\n", party_name());
	return shared_check("semaphore", ipck_semaphore_release(visitor->permits, 1));
}

static int run_visitors(void *shared, const struct tool_args *args)
{
	struct ipck_semaphore *permits = shared;
	struct visitor visitor[VISITORS];
	struct party party[VISITORS];
	int rc = ipck_semaphore_init(permits, PERMITS, IPCK_SEMAPHORE_OPTS(.recorded = true));

	if (rc < 0)
		return shared_check("semaphore", rc);
	for (int i = 0; i < VISITORS; i++) {
		visitor[i] = (struct visitor){permits, (i + 1) * args->pause_ms};
		party[i] = (struct party){.fn = visit, .arg = &visitor[i], .daemon = true};
	}
	return parties_run(party, VISITORS, args->threads);
}

int sync_semaphore(const struct tool_args *args)
{
	return shared_run(sizeof(struct ipck_semaphore), run_visitors, args);
}

/* ---- hand-over ---- */

#define HANDED_OVER 5

struct hand {
	struct ipck_semaphore ready;
	long item;
};

struct maker {
	struct hand *hand;
	uint64_t random;
	long pause_ms;
};

static int consume(void *arg)
{
	struct hand *hand = arg;
	int status;

	tool_print("consumer is waiting\n");
	status = shared_check("semaphore", ipck_semaphore_acquire(&hand->ready, IPCK_FOREVER));
	if (status == 0)
		tool_print("Consumer notify: consumed item number %ld\n", hand->item);
	return status;
}

static int produce(void *arg)
{
	struct maker *maker = arg;
	struct hand *hand = maker->hand;

	tool_pause(maker->pause_ms);
	hand->item = tool_random(&maker->random, 0, 1000);
	tool_print("Producer notify: produced item number %ld\n", hand->item);
	return shared_check("semaphore", ipck_semaphore_release(&hand->ready, 1));
}

/* Each round has a producer and a consumer of its own. */
static int run_hands(void *shared, const struct tool_args *args)
{
	struct hand *hand = shared;
	uint64_t seeds = args->seed;
	int status = shared_check("semaphore", ipck_semaphore_init(&hand->ready, 0, NULL));

	for (int i = 0; i < HANDED_OVER && status == 0; i++) {
		struct maker maker = {hand, (uint64_t)tool_random(&seeds, 0, INT32_MAX), args->pause_ms};
		struct party party[2] = {{.fn = produce, .arg = &maker}, {.fn = consume, .arg = hand}};

		status = parties_run_together(party, 2, args->threads);
	}
	if (status == 0)
		tool_print("program terminated\n");
	return status;
}

int sync_hand_over(const struct tool_args *args)
{
	return shared_run(sizeof(struct hand), run_hands, args);
}
