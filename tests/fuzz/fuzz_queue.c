/* SPDX-License-Identifier: MIT */
/*
 * The fuzz target of queues.  An input is 2 bytes for each change to a queue with all kinds of
 * entries in it: where (a part that is chosen by the first byte, and the place in
 * it), then the byte that is written there.  Whatever it is, no call crashes, or takes
 * longer than its deadline; each is an error or does something.  The two locks are spared:
 * who writes into them is trusted (libc keeps pointers there).
 *
 * check_queue_damage calls it with inputs of its own.  For libFuzzer, let LLVMFuzzerTestOneInput
 * call fuzz_queue, and compile with clang -fsanitize=fuzzer,address -include config.h -Ilib.
 */
#include "fuzz_queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coll/queue.h"

#define RING 4096

unsigned fuzz_queue_done, fuzz_queue_damaged;

/* What a call said: told, or it was done. */
static void note(long rc)
{
	fuzz_queue_done += rc >= 0;
	fuzz_queue_damaged += rc == -EPROTO;
}

static void require(long rc)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "fuzz_queue: setting it up: %s\n", ipck_strerror((int)rc));
	abort();
}

/* Free, TAKEN, RETURNED, free, RESERVED, VOID, READY. */
static void fill(struct ipck_queue *q, struct ipck_queue_item *held, void **reserved)
{
	char bytes[100] = "message", out[100];
	struct ipck_queue_item item;
	void *given_up;

	for (int i = 0; i < 6; i++)
		require(ipck_queue_put(q, bytes, (size_t)i * 20, IPCK_NOWAIT));
	require(ipck_queue_get(q, out, sizeof(out), NULL, IPCK_NOWAIT));
	require(ipck_queue_peek(q, held, IPCK_NOWAIT));
	require(ipck_queue_peek(q, &item, IPCK_NOWAIT));
	require(ipck_queue_refuse(q, &item));
	require(ipck_queue_reserve(q, 100, reserved, IPCK_NOWAIT));
	require(ipck_queue_reserve(q, 30, &given_up, IPCK_NOWAIT));
	require(ipck_queue_cancel(q, given_up));
	require(ipck_queue_put(q, bytes, sizeof(bytes), IPCK_NOWAIT));
}

static void damage(struct ipck_queue *q, uint8_t where, uint8_t place, uint8_t byte)
{
	struct queue_shm *s = q->shm;
	char *part[] = {
		(char *)&s->units,
		(char *)&s->put + sizeof(s->put),
		(char *)&s->get + sizeof(s->get),
		q->ring,
		q->ring + 256,
	};
	size_t room[] = {
		offsetof(struct queue_shm, put),
		offsetof(struct queue_shm, get) - offsetof(struct queue_shm, put) - sizeof(s->put),
		sizeof(*s) - offsetof(struct queue_shm, get) - sizeof(s->get),
		256,
		256,
	};
	size_t i = where % ARRAY_SIZE(part);

	part[i][place % room[i]] = (char)byte;
}

static void put_all_ways(struct ipck_queue *q, void *reserved)
{
	char bytes[200] = "more";
	struct iovec many[2] = {{bytes, 10}, {bytes, 200}};
	void *place;

	note(ipck_queue_put(q, bytes, 50, IPCK_NOWAIT));
	note(ipck_queue_put_many(q, many, 2, IPCK_NOWAIT));
	note(ipck_queue_commit(q, reserved, 40));
	if (ipck_queue_reserve(q, 64, &place, IPCK_NOWAIT) == 0)
		note(ipck_queue_cancel(q, place));
}

static void get_all_ways(struct ipck_queue *q, const struct ipck_queue_item *held)
{
	char bytes[RING];
	struct iovec many[4];
	struct ipck_queue_item item;
	volatile unsigned char sum = 0;

	note(ipck_queue_get(q, bytes, sizeof(bytes), NULL, IPCK_NOWAIT));
	if (ipck_queue_peek(q, &item, IPCK_NOWAIT) == 0) {
		for (size_t i = 0; i < item.size; i++)
			sum = (unsigned char)(sum + ((const unsigned char *)item.data)[i]);
		note(ipck_queue_refuse(q, &item));
	}
	note(ipck_queue_get_many(q, bytes, sizeof(bytes), many, 4, NULL, IPCK_NOWAIT));
	note(ipck_queue_task_done(q));
	if (ipck_queue_leased(q, &item) == 0)
		note(ipck_queue_release(q, &item));
	note(ipck_queue_release(q, held));
}

static void ask_all(struct ipck_queue *q)
{
	struct ipck_queue_stats stats = IPCK_QUEUE_STATS_INIT;

	note(ipck_queue_size(q));
	note(ipck_queue_full(q));
	note(ipck_queue_stat(q, &stats));
	note(ipck_queue_join(q, IPCK_NOWAIT));
	note(ipck_queue_fd(q));
}

int fuzz_queue(const uint8_t *data, size_t size)
{
	struct ipck_queue_opts opts = {.size = sizeof(opts), .bytes = RING, .joinable = true};
	struct ipck_queue_item held;
	struct ipck_queue *q;
	void *reserved;

	if (size < 1)
		return 0;
	opts.leases = data[0] & 1;
	require(ipck_queue_create(&q, NULL, &opts));
	fill(q, &held, &reserved);
	for (size_t i = 1; i + 2 < size; i += 3)
		damage(q, data[i], data[i + 1], data[i + 2]);
	put_all_ways(q, reserved);
	get_all_ways(q, &held);
	ask_all(q);
	get_all_ways(q, &held);
	note(ipck_queue_shutdown(q, data[0] & 2 ? IPCK_QUEUE_DRAIN : IPCK_QUEUE_IMMEDIATE));
	get_all_ways(q, &held);
	ipck_queue_close(q);
	return 0;
}
