/* SPDX-License-Identifier: MIT */
/* Several processes and threads at both ends: each message comes once, whole, to one of them. */
#include "coll/pipe.h"
#include "ends.h"

#define SENDERS 4
#define MESSAGES 1500
#define LONGEST 6000

/*
 * seen: how often each message came.  senders: how many go on; the last one closes
 * their end.
 */
static struct shared {
	uint8_t seen[SENDERS][MESSAGES];
	uint32_t senders;
	uint32_t received;
} *shared;

struct head {
	uint32_t sender, number;
};

static size_t size_of(uint32_t sender, uint32_t number)
{
	struct test_random random = {sender * UINT64_C(1000003) + number};

	/* Most are short, some are streamed. */
	return sizeof(struct head) + test_random_below(&random, number % 16 ? 200 : LONGEST);
}

static void make_message(char *bytes, uint32_t sender, uint32_t number)
{
	struct head head = {sender, number};

	memcpy(bytes, &head, sizeof(head));
	fill(bytes + sizeof(head), size_of(sender, number) - sizeof(head), sender * MESSAGES + number);
}

static void take_message(const char *bytes, size_t size)
{
	struct head head;

	ck_that(size >= sizeof(head));
	memcpy(&head, bytes, sizeof(head));
	ck_that(head.sender < SENDERS && head.number < MESSAGES && size == size_of(head.sender, head.number));
	ck_that(is_filled(bytes + sizeof(head), size - sizeof(head), head.sender * MESSAGES + head.number));
	ck_that(add_relaxed(&shared->seen[head.sender][head.number], 1) == 0);
	add_relaxed(&shared->received, 1);
}

/* ---- sending ---- */

static int send_in_place(uint32_t sender, uint32_t number)
{
	size_t size = size_of(sender, number);
	void *data;
	int rc = ipck_pipe_reserve(ends[1], size, &data, ipck_in_ms(1));

	if (rc < 0)
		return rc;
	if (number % 3 == 0) {
		memset(data, 'x', size);
		ipck_pipe_cancel(ends[1]);
		return -ETIMEDOUT;
	}
	make_message(data, sender, number);
	return ipck_pipe_commit(ends[1], size);
}

static int send_one(uint32_t sender, uint32_t number, unsigned attempt)
{
	char bytes[sizeof(struct head) + LONGEST];
	size_t size = size_of(sender, number);
	struct iovec parts[2] = {{bytes, 3}, {bytes + 3, size - 3}};

	if (number % 4 == 1 && attempt == 0 && size <= WHOLE)
		return send_in_place(sender, number);
	make_message(bytes, sender, number);
	if (number % 4 == 2)
		return ipck_pipe_sendv(ends[1], parts, 2, attempt ? far_off() : IPCK_NOWAIT);
	return ipck_pipe_send(ends[1], bytes, size, attempt ? far_off() : ipck_in_ms(1));
}

static void send_all(uint32_t sender)
{
	for (uint32_t number = 0; number < MESSAGES; number++) {
		int rc = -ETIMEDOUT;

		for (unsigned attempt = 0; rc == -ETIMEDOUT; attempt++) {
			ck_that(attempt < 3);
			rc = send_one(sender, number, attempt);
		}
		ck_ok(rc);
	}
}

/* ---- receiving ---- */

static int receive_in_place(void)
{
	const void *data;
	size_t size;
	int rc = ipck_pipe_peek(ends[0], &data, &size, ipck_in_ms(1));

	if (rc < 0)
		return rc;
	take_message(data, size);
	return ipck_pipe_release(ends[0]);
}

static int receive_new(void)
{
	void *data;
	size_t size;
	int rc = ipck_pipe_recv_new(ends[0], &data, &size, far_off());

	if (rc == 0) {
		take_message(data, size);
		free(data);
	}
	return rc;
}

static int receive_one(unsigned way)
{
	char bytes[sizeof(struct head) + LONGEST];
	struct iovec parts[2] = {{bytes, 5}, {bytes + 5, sizeof(bytes) - 5}};
	ssize_t n;

	switch (way % 6) {
	case 0:
		return receive_in_place();
	case 1:
		return receive_new();
	case 2:
		return ipck_pipe_poll(ends[0], ipck_in_ms(1));
	case 3:
		n = ipck_pipe_recvv(ends[0], parts, 2, NULL, ipck_in_ms(1));
		break;
	case 4:
		n = ipck_pipe_recv(ends[0], bytes, 50, NULL, IPCK_NOWAIT);
		break;
	default:
		n = ipck_pipe_recv(ends[0], bytes, sizeof(bytes), NULL, far_off());
	}
	if (n >= 0)
		take_message(bytes, (size_t)n);
	return n < 0 ? (int)n : 0;
}

static void receive_all(unsigned i)
{
	int rc;

	for (unsigned way = i; (rc = receive_one(way)) != -EPIPE; way++)
		if (rc != -EMSGSIZE && rc != -ETIMEDOUT)
			ck_ok(rc);
}

/* ---- who ---- */

static void begin(size_t ring)
{
	shared = test_shared(sizeof(*shared));
	shared->senders = SENDERS;
	make_pipe(ring);
}

static void end(void)
{
	ck_assert_uint_eq(shared->received, SENDERS * MESSAGES);
	for (unsigned i = 0; i < SENDERS; i++)
		for (unsigned k = 0; k < MESSAGES; k++)
			ck_that(shared->seen[i][k] == 1);
}

static void in_threads(unsigned i, void *arg)
{
	(void)arg;
	if (i >= SENDERS) {
		receive_all(i);
		return;
	}
	send_all(i);
	if (add_seq(&shared->senders, (uint32_t)-1) == 1)
		drop(1);
}

START_TEST(threads)
{
	begin(_i ? 0 : SMALL);
	test_threads(SENDERS + 3, in_threads, NULL);
	drop(0);
	end();
}
END_TEST

static void in_process(void *arg)
{
	unsigned i = *(const unsigned *)arg;

	drop(i < SENDERS ? 0 : 1);
	if (i < SENDERS)
		send_all(i);
	else
		receive_all(i);
}

START_TEST(processes)
{
	pid_t pids[SENDERS + 3];

	begin(_i ? 0 : SMALL);
	for (unsigned i = 0; i < SENDERS + 3; i++)
		pids[i] = test_fork(in_process, &i);
	drop_both();
	test_join_all(pids, SENDERS + 3);
	end();
}
END_TEST

/* Two processes at each end, with threads. */
static void two_senders(unsigned i, void *arg)
{
	send_all(2 * *(const unsigned *)arg + i);
}

static void two_receivers(unsigned i, void *arg)
{
	receive_all(2 * *(const unsigned *)arg + i);
}

static void threads_of_a_process(void *arg)
{
	unsigned i = *(const unsigned *)arg, pair = i / 2;

	drop(i % 2 ? 0 : 1);
	test_threads(2, i % 2 ? two_senders : two_receivers, &pair);
}

START_TEST(threads_of_processes)
{
	pid_t pids[4];

	begin(_i ? 0 : SMALL);
	for (unsigned i = 0; i < 4; i++)
		pids[i] = test_fork(threads_of_a_process, &i);
	drop_both();
	test_join_all(pids, 4);
	end();
}
END_TEST

/* ---- order ---- */

static void send_numbers(unsigned i, void *arg)
{
	(void)arg;
	for (uint32_t number = 0; number < MESSAGES; number++) {
		struct head head = {i, number};

		ck_ok(ipck_pipe_send(ends[1], &head, sizeof(head), far_off()));
	}
}

static void receive_numbers(unsigned n)
{
	uint32_t next[SENDERS] = {0};

	for (unsigned i = 0; i < n * MESSAGES; i++) {
		struct head head;

		ck_that(ck_ok(ipck_pipe_recv(ends[0], &head, sizeof(head), NULL, far_off())) == sizeof(head));
		ck_that(head.sender < n && head.number == next[head.sender]++);
	}
	expect_nothing(ends[0]);
}

static void order_in_threads(unsigned i, void *arg)
{
	if (i < SENDERS)
		send_numbers(i, arg);
	else
		receive_numbers(SENDERS);
}

/* What one sends comes in the order in which it was sent. */
START_TEST(order)
{
	make_pipe(SMALL);
	if (_i)
		test_processes(SENDERS + 1, order_in_threads, NULL);
	else
		test_threads(SENDERS + 1, order_in_threads, NULL);
	drop_both();
}
END_TEST

/* Both directions at once: neither waits for the other. */
static void ping_pong(unsigned i, void *arg)
{
	(void)arg;
	for (uint32_t n = 0; n < MESSAGES; n++) {
		struct head head = {i, n};

		if (i)
			ck_ok(ipck_pipe_send(ends[i], &head, sizeof(head), far_off()));
		ck_that(ck_ok(ipck_pipe_recv(ends[i], &head, sizeof(head), NULL, far_off())) == sizeof(head));
		ck_that(head.sender == !i && head.number == n);
		head = (struct head){i, n};
		if (!i)
			ck_ok(ipck_pipe_send(ends[i], &head, sizeof(head), far_off()));
	}
}

START_TEST(to_and_fro)
{
	make_pipe(SMALL);
	if (_i)
		test_processes(2, ping_pong, NULL);
	else
		test_threads(2, ping_pong, NULL);
	drop_both();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pipe_many");
	TCase *tc = test_case(s, "many");

	test_set_limit(tc, 60);
	tcase_add_loop_test(tc, threads, 0, 2);
	tcase_add_loop_test(tc, processes, 0, 2);
	tcase_add_loop_test(tc, threads_of_processes, 0, 2);
	tcase_add_loop_test(tc, order, 0, 2);
	tcase_add_loop_test(tc, to_and_fro, 0, 2);
	return test_main(s);
}
