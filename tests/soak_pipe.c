/* SPDX-License-Identifier: MIT */
/*
 * Senders and receivers at one pipe are killed at random, while messages of 0 bytes to
 * several rings go through it.  What a sender was told to be sent is received exactly
 * once, in its order, whole; only a receiver that is killed may take one message along.
 */
#include <ipckit.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support.h"

#define RING 4096
#define LONGEST (3 * RING)
#define SIDE 2 /* senders, and receivers */
#define MESSAGES_MAX (UINT64_C(1) << 24)

enum fate { UNUSED, TRIED, ACKNOWLEDGED, REFUSED };

struct header {
	uint64_t id, sum;
	uint32_t slot, size;
};

struct shared {
	uint64_t ids;
	uint64_t empty_tried, empty_sent, empty_got;
	uint32_t stop;
	uint8_t fate[MESSAGES_MAX], got[MESSAGES_MAX];
};

struct slot {
	uint32_t number;
	uint64_t life; /* its n-th process */
	pid_t pid;
};

static struct shared *shared;
static struct ipck_pipe *near, *far;
static struct slot senders[SIDE], receivers[SIDE];
static uint64_t receivers_killed;

/* Of the bytes behind the header. */
static uint64_t sum_of(const char *bytes, size_t size)
{
	uint64_t sum = size;

	for (size_t i = sizeof(struct header); i < size; i++)
		sum = (sum ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
	return sum;
}

static uint64_t stream_of(const struct slot *slot, uint64_t side)
{
	return slot->life << 8 | slot->number << 1 | side;
}

/* ---- senders ---- */

static size_t choose_size(struct test_random *random)
{
	switch (test_random_below(random, 4)) {
	case 0:
		return sizeof(struct header) + test_random_below(random, LONGEST);
	case 1:
		return sizeof(struct header) + test_random_below(random, RING / 2);
	default:
		return sizeof(struct header) + test_random_below(random, 200);
	}
}

static struct ipck_deadline choose_deadline(struct test_random *random)
{
	return test_random_below(random, 16) ? ipck_in_sec(20) : ipck_in_ns((int64_t)test_random_below(random, 300000));
}

static int send_in_place(const char *bytes, size_t size, struct ipck_deadline deadline)
{
	void *room;
	int rc = ipck_pipe_reserve(near, size, &room, deadline);

	if (rc < 0)
		return rc;
	memcpy(room, bytes, size);
	return ipck_pipe_commit(near, size);
}

static void send_one(const struct slot *slot, struct test_random *random)
{
	static char bytes[sizeof(struct header) + LONGEST];
	struct header h = {.slot = slot->number, .size = (uint32_t)choose_size(random)};
	struct ipck_deadline deadline = choose_deadline(random);
	int rc;

	h.id = __atomic_fetch_add(&shared->ids, 1, __ATOMIC_SEQ_CST);
	ck_that(h.id < MESSAGES_MAX);
	memset(bytes, (int)h.id, h.size);
	test_random_bytes(random, bytes + sizeof(h), h.size < 64 ? h.size - sizeof(h) : 64 - sizeof(h));
	h.sum = sum_of(bytes, h.size);
	memcpy(bytes, &h, sizeof(h));
	__atomic_store_n(&shared->fate[h.id], TRIED, __ATOMIC_SEQ_CST);
	if (h.size < RING / 4 && test_random_below(random, 4) == 0)
		rc = send_in_place(bytes, h.size, deadline);
	else
		rc = ipck_pipe_send(near, bytes, h.size, deadline);
	__atomic_store_n(&shared->fate[h.id], rc == 0 ? ACKNOWLEDGED : REFUSED, __ATOMIC_SEQ_CST);
	/* A long one's receiver may have died, and a deadline passed. */
	ck_that(rc == 0 || rc == -ETIMEDOUT || rc == -EOWNERDEAD);
}

static void send_empty(void)
{
	__atomic_fetch_add(&shared->empty_tried, 1, __ATOMIC_SEQ_CST);
	ck_ok(ipck_pipe_send(near, NULL, 0, ipck_in_sec(20)));
	__atomic_fetch_add(&shared->empty_sent, 1, __ATOMIC_SEQ_CST);
}

static void sender(void *arg)
{
	const struct slot *slot = arg;
	struct test_random random = test_random(stream_of(slot, 0));

	ipck_pipe_close(far);
	while (!__atomic_load_n(&shared->stop, __ATOMIC_SEQ_CST)) {
		if (test_random_below(&random, 16) == 0)
			send_empty();
		else
			send_one(slot, &random);
	}
	ipck_pipe_close(near);
}

/* ---- receivers ---- */

/* Looks at a message that is there, which may be peeked again by another. */
static struct header look(const char *bytes, size_t size)
{
	struct header h = {0};

	if (size == 0)
		return h;
	ck_that(size >= sizeof(h));
	memcpy(&h, bytes, sizeof(h));
	ck_that(h.size == size && h.slot < SIDE && h.id < MESSAGES_MAX);
	ck_that(h.sum == sum_of(bytes, size));
	return h;
}

static void count(struct header h)
{
	static uint64_t last[SIDE];

	if (h.size == 0) {
		__atomic_fetch_add(&shared->empty_got, 1, __ATOMIC_SEQ_CST);
		return;
	}
	ck_that(last[h.slot] <= h.id);
	last[h.slot] = h.id + 1;
	ck_that(__atomic_fetch_add(&shared->got[h.id], 1, __ATOMIC_SEQ_CST) == 0);
}

/* One byte says that this receiver is to end. */
static bool receive_copy(struct ipck_deadline deadline)
{
	static char bytes[sizeof(struct header) + LONGEST];
	ssize_t n = ipck_pipe_recv(far, bytes, sizeof(bytes), NULL, deadline);

	if (n == 1)
		return false;
	ck_that(n >= 0 || n == -ETIMEDOUT);
	if (n >= 0)
		count(look(bytes, (size_t)n));
	return true;
}

static bool receive_in_place(void)
{
	struct header h;
	const void *data;
	size_t size;
	int rc = ipck_pipe_peek(far, &data, &size, ipck_in_sec(20));

	if (rc == -EMSGSIZE)
		return receive_copy(ipck_in_sec(20));
	ck_ok(rc);
	if (size == 1) {
		ck_ok(ipck_pipe_release(far));
		return false;
	}
	h = look(data, size);
	ck_ok(ipck_pipe_release(far));
	count(h);
	return true;
}

static bool receive_after_wait(void)
{
	struct ipck_waitable one = IPCK_WAIT_PIPE(far);

	ck_ok(ipck_wait(&one, 1, ipck_in_sec(20)));
	return receive_copy(IPCK_NOWAIT);
}

static void receiver(void *arg)
{
	struct test_random random = test_random(stream_of(arg, 1));
	bool more = true;

	ipck_pipe_close(near);
	while (more) {
		switch (test_random_below(&random, 8)) {
		case 0:
			more = receive_in_place();
			break;
		case 1:
			more = receive_after_wait();
			break;
		case 2:
			more = receive_copy(choose_deadline(&random));
			break;
		default:
			more = receive_copy(ipck_in_sec(20));
		}
	}
	ipck_pipe_close(far);
}

/* ---- the killer ---- */

static void start(struct slot *slot, void (*fn)(void *))
{
	slot->life++;
	slot->pid = test_fork(fn, slot);
}

static void kill_one(struct test_random *random)
{
	uint64_t i = test_random_below(random, 2 * SIDE);
	struct slot *slot = i < SIDE ? &senders[i] : &receivers[i - SIDE];

	test_kill(slot->pid);
	receivers_killed += i >= SIDE;
	start(slot, i < SIDE ? sender : receiver);
}

static void check_all(void)
{
	uint64_t missing = shared->empty_sent > shared->empty_got ? shared->empty_sent - shared->empty_got : 0;
	uint64_t sent = 0;

	ck_assert_uint_le(shared->empty_got, shared->empty_tried);
	for (uint64_t id = 0; id < shared->ids; id++) {
		ck_that(shared->got[id] <= 1);
		ck_that(shared->fate[id] != REFUSED || shared->got[id] == 0);
		sent += shared->fate[id] == ACKNOWLEDGED;
		missing += shared->fate[id] == ACKNOWLEDGED && shared->got[id] == 0;
	}
	printf("%llu messages sent, %llu receivers killed, %llu messages with them\n", (unsigned long long)sent,
	       (unsigned long long)receivers_killed, (unsigned long long)missing);
	ck_assert_uint_gt(sent, 0);
	ck_assert_uint_le(missing, receivers_killed);
}

START_TEST(test_soak)
{
	int64_t end = test_now_ms() + (int64_t)(1000 * test_soak_seconds());
	struct test_random random = test_random(0);
	struct ipck_pipe *ends[2];
	char byte;

	shared = test_shared(sizeof(*shared));
	ck_ok(ipck_pipe_create(ends, IPCK_PIPE_OPTS(.bytes = RING)));
	near = ends[0];
	far = ends[1];
	for (uint32_t i = 0; i < SIDE; i++) {
		senders[i].number = receivers[i].number = i;
		start(&senders[i], sender);
		start(&receivers[i], receiver);
	}
	while (test_now_ms() < end) {
		usleep((useconds_t)test_random_below(&random, 8000));
		kill_one(&random);
	}
	__atomic_store_n(&shared->stop, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < SIDE; i++)
		test_join(senders[i].pid);
	for (int i = 0; i < SIDE; i++)
		ck_ok(ipck_pipe_send(near, "", 1, ipck_in_sec(20)));
	for (int i = 0; i < SIDE; i++)
		test_join(receivers[i].pid);
	ck_err(ipck_pipe_recv(far, &byte, 1, NULL, IPCK_NOWAIT), ETIMEDOUT);
	check_all();
	ipck_pipe_close(near);
	ck_err(ipck_pipe_recv(far, &byte, 1, NULL, IPCK_NOWAIT), EPIPE);
	ipck_pipe_close(far);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("soak_pipe");
	TCase *tc = test_case(s, "soak");

	test_set_limit(tc, 60 + test_soak_seconds());
	tcase_add_test(tc, test_soak);
	return test_main(s);
}
