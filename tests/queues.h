/* SPDX-License-Identifier: MIT */
/* What the tests of queues share. */
#ifndef TESTS_QUEUES_H
#define TESTS_QUEUES_H

#include <ipckit/queue.h>

#include "coll/queue.h"
#include "filled.h"
#include "ways.h"

/* A ring of a page, and the largest message in it. */
#define SMALL 4096
#define LARGEST (SMALL - 16)

/* The queue of the test; its children inherit it. */
static struct ipck_queue *queue;

static inline void make_queue(const struct ipck_queue_opts *opts)
{
	ck_ok(ipck_queue_create(&queue, NULL, opts));
}

static inline void make_small(void)
{
	make_queue(IPCK_QUEUE_OPTS(.bytes = SMALL));
}

/* Another handle of it in this process. */
static inline struct ipck_queue *open_again(struct ipck_queue *q)
{
	struct ipck_queue *again = NULL;
	int fds[2];

	ck_ok(ipck_queue_fds(q, fds));
	ck_ok(ipck_queue_open_fds(&again, fds, NULL));
	return again;
}

static inline struct ipck_queue_stats figures(struct ipck_queue *q)
{
	struct ipck_queue_stats stats = IPCK_QUEUE_STATS_INIT;

	ck_ok(ipck_queue_stat(q, &stats));
	return stats;
}

/* How many are registered as sleepers; at least so many, with those that were woken or killed. */
static inline uint32_t asleep(const struct evcount *e)
{
	return (uint32_t)(load_seq(&e->word) >> 32);
}

#define asleep_for_message(q) asleep(&(q)->shm->data)
#define asleep_for_room(q) asleep(&(q)->shm->room)
#define asleep_for_zero(q) asleep(&(q)->shm->joined)

static inline void put_text(struct ipck_queue *q, const char *text)
{
	ck_ok(ipck_queue_put(q, text, strlen(text), far_off()));
}

static inline void expect_text(struct ipck_queue *q, const char *text)
{
	char got[256];
	ssize_t n = ck_ok(ipck_queue_get(q, got, sizeof(got) - 1, NULL, far_off()));

	got[n] = '\0';
	if (strcmp(got, text) != 0)
		ck_abort_msg("'%s', not '%s'", got, text);
}

static inline void expect_nothing(struct ipck_queue *q)
{
	struct ipck_queue_item item;
	char byte;

	ck_err(ipck_queue_get(q, &byte, 1, NULL, IPCK_NOWAIT), ETIMEDOUT);
	ck_err(ipck_queue_peek(q, &item, IPCK_NOWAIT), ETIMEDOUT);
	ck_that(ck_ok(ipck_queue_size(q)) == 0);
}

/* Nothing is in it, and all of its room is free. */
static inline void is_unused(struct ipck_queue *q)
{
	struct ipck_queue_stats f;

	expect_nothing(q);
	f = figures(q);
	ck_that(f.items == 0 && f.held == 0 && f.bytes_used == 0);
	ck_that(ipck_queue_empty(q) && !ipck_queue_full(q));
}

static inline void put_filled(struct ipck_queue *q, size_t size, uint64_t whose)
{
	char *bytes = new_filled(size, whose);

	ck_ok(ipck_queue_put(q, bytes, size, far_off()));
	free(bytes);
}

static inline void expect_filled(struct ipck_queue *q, size_t size, uint64_t whose)
{
	char *bytes = malloc(size + 1);

	ck_that(bytes);
	ck_that(ck_ok(ipck_queue_get(q, bytes, size, NULL, far_off())) == (ssize_t)size);
	ck_that(is_filled(bytes, size, whose));
	free(bytes);
}

/* Messages of `size` bytes until there is no room; their number. */
static inline unsigned put_until_full(struct ipck_queue *q, size_t size)
{
	char *bytes = new_filled(size, 0);
	unsigned n = 0;
	int rc;

	while ((rc = ipck_queue_put(q, bytes, size, IPCK_NOWAIT)) == 0)
		n++;
	ck_err(rc, ETIMEDOUT);
	free(bytes);
	return n;
}

/* ---- in place ---- */

static inline char *reserve(struct ipck_queue *q, size_t size)
{
	void *data = NULL;

	ck_ok(ipck_queue_reserve(q, size, &data, far_off()));
	ck_that(data);
	memset(data, '?', size);
	return data;
}

static inline void commit_text(struct ipck_queue *q, char *data, const char *text)
{
	memcpy(data, text, strlen(text));
	ck_ok(ipck_queue_commit(q, data, strlen(text)));
}

static inline struct ipck_queue_item peek(struct ipck_queue *q)
{
	struct ipck_queue_item item = {0};

	ck_ok(ipck_queue_peek(q, &item, far_off()));
	ck_that(item.data && item.deliveries > 0);
	return item;
}

static inline bool item_is(const struct ipck_queue_item *item, const char *text)
{
	return item->size == strlen(text) && memcmp(item->data, text, item->size) == 0;
}

static inline struct ipck_queue_item peek_text(struct ipck_queue *q, const char *text)
{
	struct ipck_queue_item item = peek(q);

	if (!item_is(&item, text))
		ck_abort_msg("'%.*s', not '%s'", (int)item.size, (const char *)item.data, text);
	return item;
}

/* ---- leases ---- */

static inline void make_leases(void)
{
	make_queue(IPCK_QUEUE_OPTS(.bytes = SMALL, .leases = true));
}

static inline void expect_leased(struct ipck_queue *q, const char *text, uint32_t deliveries)
{
	struct ipck_queue_item item;

	ck_ok(ipck_queue_leased(q, &item));
	ck_that(item_is(&item, text) && item.deliveries == deliveries);
}

static inline void has_no_lease(struct ipck_queue *q)
{
	struct ipck_queue_item item;

	ck_err(ipck_queue_leased(q, &item), ENOENT);
	ck_err(ipck_queue_task_done(q), EPERM);
}

static inline void all_is_done(void)
{
	has_no_lease(queue);
	is_unused(queue);
	ck_assert_uint_eq(figures(queue).unfinished, 0);
	ck_ok(ipck_queue_join(queue, far_off()));
	ipck_queue_close(queue);
}

#endif
