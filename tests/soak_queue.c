/* SPDX-License-Identifier: MIT */
/*
 * Producers and consumers at one queue are killed at random, while messages of all sizes go
 * through it.  What a producer was told to be put is got exactly once, whole, and in its order;
 * only a consumer that is killed may take along what it was getting, and of leases nothing.
 */
#include <ipckit.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/spin.h"
#include "far.h"
#include "support.h"

#define RING 16384
#define LONGEST 9000
#define SIDE 2 /* producers, and consumers */
#define MANY 4 /* messages in one call */
#define MESSAGES_MAX (UINT64_C(1) << 24)

enum fate { UNUSED, TRIED, ACKNOWLEDGED, REFUSED };

struct header {
	uint64_t id, sum;
	uint32_t slot, size;
};

/* seen: looked at; done: and then released, marked as done, or simply got. */
struct shared {
	uint64_t ids, backwards;
	uint32_t stop;
	uint8_t fate[MESSAGES_MAX], seen[MESSAGES_MAX], done[MESSAGES_MAX];
};

struct slot {
	uint32_t number;
	uint64_t life; /* its n-th process */
	pid_t pid;
};

static struct shared *shared;
static struct ipck_queue *queue;
static bool leases;
static struct slot producers[SIDE], consumers[SIDE];

/* Of the bytes behind the header. */
static uint64_t sum_of(const char *bytes, size_t size)
{
	uint64_t sum = size;

	for (size_t i = sizeof(struct header); i < size; i++)
		sum = (sum ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
	return sum;
}

static struct test_random begin(const struct slot *slot, uint64_t side)
{
	/* Every other one sleeps, where it would spin. */
	if (slot->life % 2 == 0)
		spin_forbid();
	return test_random(slot->life << 8 | slot->number << 1 | side);
}

static struct ipck_deadline choose_deadline(struct test_random *random)
{
	return test_random_below(random, 16) ? far_off() : ipck_in_ns((int64_t)test_random_below(random, 300000));
}

/* ---- producers ---- */

static size_t choose_size(struct test_random *random)
{
	static const size_t bounds[] = {LONGEST, 4096, 200, 200, 200, 200};

	return sizeof(struct header) + test_random_below(random, bounds[test_random_below(random, 6)]);
}

static uint64_t make(const struct slot *slot, struct test_random *random, char *bytes, size_t *size)
{
	struct header h = {.slot = slot->number, .size = (uint32_t)choose_size(random)};

	h.id = add_seq(&shared->ids, 1);
	ck_that(h.id < MESSAGES_MAX);
	memset(bytes, (int)h.id, h.size);
	test_random_bytes(random, bytes + sizeof(h), h.size < 64 ? h.size - sizeof(h) : 64 - sizeof(h));
	h.sum = sum_of(bytes, h.size);
	memcpy(bytes, &h, sizeof(h));
	store_seq(&shared->fate[h.id], (uint8_t)TRIED);
	*size = h.size;
	return h.id;
}

static void note(uint64_t id, bool put)
{
	store_seq(&shared->fate[id], (uint8_t)(put ? ACKNOWLEDGED : REFUSED));
}

static void put_one(const struct slot *slot, struct test_random *random)
{
	static char bytes[sizeof(struct header) + LONGEST];
	size_t size;
	uint64_t id = make(slot, random, bytes, &size);
	int rc = ipck_queue_put(queue, bytes, size, choose_deadline(random));

	note(id, rc == 0);
	ck_that(rc == 0 || rc == -ETIMEDOUT);
}

static void put_some(const struct slot *slot, struct test_random *random)
{
	static char bytes[MANY][sizeof(struct header) + LONGEST];
	struct iovec messages[MANY];
	uint64_t ids[MANY];
	int n;

	for (int i = 0; i < MANY; i++) {
		messages[i].iov_base = bytes[i];
		ids[i] = make(slot, random, bytes[i], &messages[i].iov_len);
	}
	n = ipck_queue_put_many(queue, messages, MANY, choose_deadline(random));
	for (int i = 0; i < MANY; i++)
		note(ids[i], i < n);
	ck_that(n > 0 || n == -ETIMEDOUT);
}

/* Of more room than it needs, or in vain. */
static void put_in_place(const struct slot *slot, struct test_random *random)
{
	static char bytes[sizeof(struct header) + LONGEST];
	size_t size, more = test_random_below(random, 100);
	uint64_t id;
	void *room;
	int rc;

	if (test_random_below(random, 4) == 0) {
		rc = ipck_queue_reserve(queue, more, &room, far_off());
		ck_ok(rc);
		ck_ok(ipck_queue_cancel(queue, room));
		return;
	}
	id = make(slot, random, bytes, &size);
	rc = ipck_queue_reserve(queue, size + more, &room, choose_deadline(random));
	if (rc == 0) {
		memcpy(room, bytes, size);
		ck_ok(ipck_queue_commit(queue, room, size));
	}
	note(id, rc == 0);
	ck_that(rc == 0 || rc == -ETIMEDOUT);
}

static void producer(void *arg)
{
	struct test_random random = begin(arg, 0);

	while (!load_seq(&shared->stop)) {
		switch (test_random_below(&random, 8)) {
		case 0:
			put_some(arg, &random);
			break;
		case 1:
			put_in_place(arg, &random);
			break;
		default:
			put_one(arg, &random);
		}
	}
}

/* ---- consumers ---- */

/* deliveries: 0: unknown.  Those that are given out for the first time are in their producer's order. */
static uint64_t look(const char *bytes, size_t size, unsigned deliveries)
{
	static uint64_t last[SIDE];
	struct header h;

	ck_that(size >= sizeof(h));
	memcpy(&h, bytes, sizeof(h));
	ck_that(h.size == size && h.slot < SIDE && h.id < MESSAGES_MAX);
	ck_that(h.sum == sum_of(bytes, size));
	add_seq(&shared->seen[h.id], (uint8_t)1);
	if (deliveries > 1)
		return h.id;
	if (last[h.slot] > h.id) {
		ck_that(deliveries == 0);
		add_seq(&shared->backwards, 1);
	} else {
		last[h.slot] = h.id + 1;
	}
	return h.id;
}

static void count_done(uint64_t id)
{
	ck_that(add_seq(&shared->done[id], (uint8_t)1) == 0);
}

/* What was got by copying, the first of the leases that this one has. */
static void finish(const char *bytes, size_t size)
{
	struct ipck_queue_item item = {.deliveries = 0};
	uint64_t id;

	if (leases)
		ck_ok(ipck_queue_leased(queue, &item));
	id = look(bytes, size, item.deliveries);
	if (leases)
		ck_ok(ipck_queue_task_done(queue));
	count_done(id);
}

static int get_one(struct ipck_deadline deadline)
{
	static char bytes[sizeof(struct header) + LONGEST];
	ssize_t n = ipck_queue_get(queue, bytes, sizeof(bytes), NULL, deadline);

	if (n >= 0)
		finish(bytes, (size_t)n);
	return n < 0 ? (int)n : 0;
}

static int get_some(void)
{
	static char bytes[2 * (sizeof(struct header) + LONGEST)];
	struct iovec messages[MANY];
	int n = ipck_queue_get_many(queue, bytes, sizeof(bytes), messages, MANY, NULL, far_off());

	for (int i = 0; i < n; i++)
		finish(messages[i].iov_base, messages[i].iov_len);
	return n < 0 ? n : 0;
}

static int get_in_place(struct test_random *random)
{
	struct ipck_queue_item item;
	int rc = ipck_queue_peek(queue, &item, far_off());
	uint64_t id;

	if (rc < 0)
		return rc;
	/* Elsewhere that would hide a wrong order. */
	if (leases && test_random_below(random, 8) == 0)
		return ipck_queue_refuse(queue, &item);
	id = look(item.data, item.size, item.deliveries);
	ck_ok(ipck_queue_release(queue, &item));
	count_done(id);
	return 0;
}

static void consumer(void *arg)
{
	struct test_random random = begin(arg, 1);
	int rc = 0;

	while (rc == 0) {
		switch (test_random_below(&random, 8)) {
		case 0:
			rc = get_in_place(&random);
			break;
		case 1:
			rc = get_some();
			break;
		case 2:
			rc = get_one(ipck_in_ns((int64_t)test_random_below(&random, 300000)));
			rc = rc == -ETIMEDOUT ? 0 : rc;
			break;
		default:
			rc = get_one(far_off());
		}
	}
	ck_err(rc, ESHUTDOWN);
}

/* ---- the killer ---- */

static void start(struct slot *slot, void (*fn)(void *))
{
	slot->life++;
	slot->pid = test_fork(fn, slot);
}

/* Whether it was a consumer. */
static bool kill_one(struct test_random *random)
{
	uint64_t i = test_random_below(random, 2 * SIDE);
	struct slot *slot = i < SIDE ? &producers[i] : &consumers[i - SIDE];

	test_kill(slot->pid);
	start(slot, i < SIDE ? producer : consumer);
	return i >= SIDE;
}

static void check_all(uint64_t consumers_killed)
{
	uint64_t put = 0, missing = 0;

	for (uint64_t id = 0; id < shared->ids; id++) {
		ck_that(shared->done[id] <= 1);
		ck_that(shared->fate[id] != REFUSED || shared->seen[id] == 0);
		put += shared->fate[id] == ACKNOWLEDGED;
		missing += shared->fate[id] == ACKNOWLEDGED && shared->seen[id] == 0;
	}
	printf("%llu messages put, %llu consumers killed, %llu messages with them\n", (unsigned long long)put,
	       (unsigned long long)consumers_killed, (unsigned long long)missing);
	ck_assert_uint_gt(put, 0);
	ck_assert_uint_le(missing, leases ? 0 : MANY * consumers_killed);
	/* What a killed one had in its hands was given out again; a copy does not tell. */
	ck_assert_uint_le(shared->backwards, consumers_killed);
}

static void stop_all(void)
{
	struct ipck_queue_stats stats = IPCK_QUEUE_STATS_INIT;

	store_seq(&shared->stop, 1);
	for (int i = 0; i < SIDE; i++)
		test_join(producers[i].pid);
	if (leases)
		ck_ok(ipck_queue_join(queue, far_off()));
	ck_ok(ipck_queue_shutdown(queue, IPCK_QUEUE_DRAIN));
	for (int i = 0; i < SIDE; i++)
		test_join(consumers[i].pid);
	ck_ok(ipck_queue_stat(queue, &stats));
	ck_that(stats.items == 0 && stats.held == 0 && stats.bytes_used == 0);
	ck_that(!leases || stats.unfinished == 0);
}

static void soak(const struct ipck_queue_opts *opts)
{
	int64_t end = test_now_ms() + (int64_t)(1000 * test_soak_seconds() / 5);
	struct test_random random = test_random(0);
	uint64_t consumers_killed = 0;

	shared = test_shared(sizeof(*shared));
	ck_ok(ipck_queue_create(&queue, NULL, opts));
	leases = opts->leases;
	for (uint32_t i = 0; i < SIDE; i++) {
		producers[i] = consumers[i] = (struct slot){.number = i};
		start(&producers[i], producer);
		start(&consumers[i], consumer);
	}
	while (test_now_ms() < end) {
		usleep((useconds_t)test_random_below(&random, 8000));
		consumers_killed += kill_one(&random);
	}
	stop_all();
	check_all(consumers_killed);
	ipck_queue_close(queue);
}

START_TEST(test_plain)
{
	soak(IPCK_QUEUE_OPTS(.bytes = RING));
}
END_TEST

START_TEST(test_leases)
{
	soak(IPCK_QUEUE_OPTS(.bytes = RING, .leases = true));
}
END_TEST

START_TEST(test_bounded)
{
	soak(IPCK_QUEUE_OPTS(.bytes = RING, .max_items = 3));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("soak_queue");
	TCase *tc = test_case(s, "soak");

	test_set_limit(tc, 60 + test_soak_seconds());
	tcase_add_test(tc, test_plain);
	tcase_add_test(tc, test_leases);
	tcase_add_test(tc, test_bounded);
	return test_main(s);
}
