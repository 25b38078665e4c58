/* SPDX-License-Identifier: MIT */
/* Messages longer than the ring: whole or not at all, whoever runs out of time or dies. */
#include "coll/pipe.h"
#include "ends.h"

#define MIB ((size_t)1 << 20)

/* What the children do and tell. */
static struct shared {
	uint32_t result; /* of the call under way, negated; UNDER_WAY before */
	uint32_t told;
} *shared;
#define UNDER_WAY 9999

static void begin(size_t bytes)
{
	shared = test_shared(sizeof(*shared));
	shared->result = UNDER_WAY;
	make_pipe(bytes);
}

static uint32_t result(void)
{
	return load_acquire(&shared->result);
}

static void tell(int rc)
{
	store_release(&shared->result, (uint32_t)-rc);
}

/* Whether all that was sent was taken out of the ring. */
static bool is_drained(const struct lane *l)
{
	return !lane_has_record(l);
}

/* ---- sizes ---- */

struct run {
	size_t ring, size;
};

static const struct run runs[] = {
	{SMALL, WHOLE + 1}, {SMALL, SMALL - 1}, {SMALL, SMALL}, {SMALL, SMALL + 1},
	{SMALL, 65536},     {SMALL, 3 * MIB + 5}, {0, 32737},   {0, 65536},
	{0, MIB},           {0, 64 * MIB},        {SMALL, 64 * MIB},
};

static void send_run(void *arg)
{
	const struct run *run = arg;

	drop(0);
	send_text(ends[1], "before");
	send_filled(ends[1], run->size, 1);
	send_text(ends[1], "after");
}

START_TEST(sizes)
{
	struct run run = runs[_i];
	pid_t child;

	begin(run.ring);
	child = test_fork(send_run, &run);
	drop(1);
	expect_text(ends[0], "before");
	expect_filled(ends[0], run.size, 1);
	expect_text(ends[0], "after");
	expect_end(ends[0]);
	test_join(child);
	drop(0);
}
END_TEST

static void send_parts(void *arg)
{
	char *bytes = new_filled(MIB, 2);
	struct iovec parts[5] = {{bytes, 3}, {NULL, 0}, {bytes + 3, MIB / 2}, {bytes + 3 + MIB / 2, MIB / 2 - 3}};

	(void)arg;
	drop(0);
	ck_ok(ipck_pipe_sendv(ends[1], parts, 5, far_off()));
	ck_ok(ipck_pipe_sendv(ends[1], parts, 5, far_off()));
	free(bytes);
}

START_TEST(gathered_and_scattered)
{
	char *bytes = calloc(1, MIB);
	struct iovec parts[3] = {{bytes, MIB / 3}, {NULL, 0}, {bytes + MIB / 3, MIB - MIB / 3}};
	size_t size = 0, needed = 0;
	void *data;
	pid_t child;

	begin(SMALL);
	child = test_fork(send_parts, NULL);
	drop(1);
	/* Its size is known when it begins to come. */
	ck_err(ipck_pipe_recv(ends[0], bytes, MIB - 1, &needed, far_off()), EMSGSIZE);
	ck_assert_uint_eq(needed, MIB);
	ck_assert_int_eq(ck_ok(ipck_pipe_recvv(ends[0], parts, 3, NULL, far_off())), MIB);
	ck_assert(is_filled(bytes, MIB, 2));
	ck_ok(ipck_pipe_recv_new(ends[0], &data, &size, far_off()));
	ck_assert(size == MIB && is_filled(data, MIB, 2));
	free(data);
	free(bytes);
	test_join(child);
	drop(0);
}
END_TEST

/* ---- a part that is kept ---- */

static void send_long(void *arg)
{
	(void)arg;
	drop(0);
	send_filled(ends[1], MIB, 3);
	send_text(ends[1], "after");
}

/* A sender stands in the middle of a message, and its part in the ring waits for us. */
static pid_t sender_in_the_middle(void (*fn)(void *), void *arg)
{
	pid_t child = test_fork(fn, arg);

	TEST_UNTIL(load_acquire(&ends[0]->in.shm->sending) == 1 && sleeps(child));
	stop(child);
	return child;
}

static void take_a_part(void)
{
	char *bytes = malloc(MIB);

	ck_that(bytes);
	ck_err(ipck_pipe_recv(ends[0], bytes, MIB, NULL, IPCK_NOWAIT), ETIMEDOUT);
	ck_that(is_drained(&ends[0]->in) && ends[0]->part.got > 0);
	free(bytes);
}

static void take_a_part_as_thread(unsigned i, void *arg)
{
	(void)i;
	(void)arg;
	take_a_part();
}

static void expect_nothing_here(void *arg)
{
	char byte;

	(void)arg;
	ck_err(ipck_pipe_recv(ends[0], &byte, 1, NULL, IPCK_NOWAIT), ETIMEDOUT);
}

static void look_at_the_part(void)
{
	const void *place;
	char bytes[8];
	size_t size = 0;
	int fd;

	ck_err(ipck_pipe_poll(ends[0], IPCK_NOWAIT), ETIMEDOUT);
	ck_err(ipck_pipe_recv(ends[0], bytes, 8, &size, far_off()), EMSGSIZE);
	ck_that(size == MIB);
	size = 0;
	ck_err(ipck_pipe_peek(ends[0], &place, &size, far_off()), EMSGSIZE);
	ck_that(size == MIB);
	ck_err(ipck_pipe_recv_fds(ends[0], &fd, 1, far_off()), EBADMSG);
	ck_err(ipck_pipe_release(ends[0]), EPERM);
}

/* Gone on with by the same thread (0) and by another (1), in memory of ours (2). */
START_TEST(a_part_is_kept)
{
	size_t size;
	void *data;
	pid_t child;

	begin(SMALL);
	child = sender_in_the_middle(send_long, NULL);
	if (_i == 1)
		test_threads(1, take_a_part_as_thread, NULL);
	else
		take_a_part();
	look_at_the_part();
	/* Nobody else receives until then. */
	test_join(test_fork(expect_nothing_here, NULL));
	take_a_part();
	go_on(child);
	ck_ok(ipck_pipe_poll(ends[0], far_off()));
	if (_i == 2) {
		ck_ok(ipck_pipe_recv_new(ends[0], &data, &size, far_off()));
		ck_assert(size == MIB && is_filled(data, MIB, 3));
		free(data);
	} else {
		expect_filled(ends[0], MIB, 3);
	}
	expect_text(ends[0], "after");
	test_join(child);
	drop_both();
}
END_TEST

START_TEST(piece_by_piece)
{
	char *bytes = malloc(MIB);
	pid_t child;
	ssize_t n;

	begin(SMALL);
	child = test_fork(send_long, NULL);
	do
		n = ipck_pipe_recv(ends[0], bytes, MIB, NULL, IPCK_NOWAIT);
	while (n == -ETIMEDOUT);
	ck_assert_int_eq(ck_ok(n), MIB);
	ck_assert(is_filled(bytes, MIB, 3));
	expect_text(ends[0], "after");
	test_join(child);
	free(bytes);
	drop_both();
}
END_TEST

static void interrupt_soon(unsigned i, void *arg)
{
	char *bytes = arg;

	if (i == 0) {
		TEST_UNTIL(is_drained(&ends[0]->in));
		ipck_interrupt();
	} else {
		ck_err(ipck_pipe_recv(ends[0], bytes, MIB, NULL, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	}
}

START_TEST(an_interrupted_receiver_goes_on)
{
	char *bytes = malloc(MIB);
	pid_t child;

	begin(SMALL);
	child = sender_in_the_middle(send_long, NULL);
	test_threads(2, interrupt_soon, bytes);
	ck_err(ipck_pipe_recv(ends[0], bytes, MIB, NULL, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	ipck_interrupt_clear();
	go_on(child);
	expect_filled(ends[0], MIB, 3);
	expect_text(ends[0], "after");
	test_join(child);
	free(bytes);
	drop_both();
}
END_TEST

/* ---- a sender that does not come to its end ---- */

/* The beginning of a message that was withdrawn counts until somebody has room for it. */
static void expect_after_withdrawn(void)
{
	char *bytes = malloc(MIB);

	ck_that(bytes);
	ck_that(ck_ok(ipck_pipe_recv(ends[0], bytes, MIB, NULL, far_off())) == 5);
	ck_that(memcmp(bytes, "after", 5) == 0);
	free(bytes);
	expect_nothing(ends[0]);
}

static void expect_withdrawn(void)
{
	char *bytes = malloc(MIB);

	ck_that(bytes);
	ck_err(ipck_pipe_recv(ends[0], bytes, MIB, NULL, IPCK_NOWAIT), ETIMEDOUT);
	free(bytes);
	expect_nothing(ends[0]);
}

enum giving_up { PASSED, INTERRUPTED, DEAD, WAYS };

static void interrupt(int sig)
{
	(void)sig;
	ipck_interrupt();
}

static void give_up(void *arg)
{
	const enum giving_up *way = arg;
	char *bytes = new_filled(MIB, 4);
	struct ipck_deadline deadline = *way == PASSED ? ipck_in_ms(50) : ipck_interruptible(IPCK_FOREVER);

	signal(SIGUSR1, interrupt);
	drop(0);
	tell(ipck_pipe_send(ends[1], bytes, MIB, deadline));
	free(bytes);
	ipck_interrupt_clear();
	TEST_UNTIL(load_acquire(&shared->told));
	send_text(ends[1], "after");
}

/* Ends it in that way; it then goes on with "after". */
static void end_sender(pid_t child, enum giving_up way, bool stopped)
{
	if (way == DEAD) {
		test_kill(child);
		send_text(ends[1], "after");
		return;
	}
	if (way == INTERRUPTED)
		kill(child, SIGUSR1);
	if (stopped)
		go_on(child);
	TEST_UNTIL(result() != UNDER_WAY);
	ck_assert_uint_eq(result(), way == PASSED ? ETIMEDOUT : ECANCELED);
	store_release(&shared->told, 1);
	test_join(child);
}

/* With nobody receiving; with one that has taken a part: nothing of it is received. */
START_TEST(a_message_withdrawn)
{
	enum giving_up way = (enum giving_up)_i % WAYS;
	bool taken = _i >= WAYS;
	pid_t child;

	begin(SMALL);
	child = test_fork(give_up, &way);
	TEST_UNTIL(load_acquire(&ends[0]->in.shm->sending) == 1 && sleeps(child));
	if (taken) {
		stop(child);
		/* Past its deadline it may have given up already. */
		(void)!ipck_pipe_recv(ends[0], (char[MIB]){0}, MIB, NULL, IPCK_NOWAIT);
	}
	end_sender(child, way, taken);
	expect_after_withdrawn();
	send_filled(ends[1], WHOLE, 1);
	expect_filled(ends[0], WHOLE, 1);
	drop_both();
}
END_TEST

START_TEST(withdrawn_at_once)
{
	char *bytes = new_filled(MIB, 4);

	begin(SMALL);
	for (int i = 0; i < 1000; i++) {
		ck_err(ipck_pipe_send(ends[1], bytes, MIB, IPCK_NOWAIT), ETIMEDOUT);
		if (i % 3 == 0)
			expect_withdrawn();
	}
	/* It takes room until somebody looks, but never for good. */
	expect_withdrawn();
	send_text(ends[1], "after");
	expect_text(ends[0], "after");
	free(bytes);
	drop_both();
}
END_TEST

static void receive_after(void *arg)
{
	(void)arg;
	drop(1);
	for (int i = 0; i < 2; i++) {
		void *data;
		size_t size;

		ck_ok(ipck_pipe_recv_new(ends[0], &data, &size, far_off()));
		ck_that(size == 5 && memcmp(data, "after", 5) == 0);
		free(data);
	}
}

/* A receiver sleeps in the middle of the message. */
START_TEST(a_receiver_inside)
{
	enum giving_up way = _i;
	pid_t sender, receiver;

	begin(SMALL);
	sender = test_fork(give_up, &way);
	TEST_UNTIL(load_acquire(&ends[0]->in.shm->sending) == 1);
	stop(sender);
	receiver = test_fork(receive_after, NULL);
	TEST_UNTIL(is_drained(&ends[0]->in) && sleeps(receiver));
	if (way == DEAD)
		test_kill(sender);
	else
		kill(receiver, SIGSTOP);
	if (way == DEAD) {
		send_text(ends[1], "after");
	} else {
		end_sender(sender, way, true);
		go_on(receiver);
	}
	send_text(ends[1], "after");
	test_join(receiver);
	drop_both();
}
END_TEST

/* The last sender dies in the middle: that is the end, without the message. */
START_TEST(the_last_sender_dies)
{
	char *bytes = malloc(MIB);
	pid_t child;

	begin(SMALL);
	child = sender_in_the_middle(send_long, NULL);
	drop(1);
	if (_i)
		take_a_part();
	test_kill(child);
	ck_err(ipck_pipe_recv(ends[0], bytes, MIB, NULL, _i == 2 ? IPCK_NOWAIT : far_off()), EPIPE);
	expect_end(ends[0]);
	free(bytes);
	drop(0);
}
END_TEST

/* ---- a receiver that does not come to its end ---- */

static void send_in_vain(void *arg)
{
	char *bytes = new_filled(MIB, 5);

	(void)arg;
	drop(0);
	tell(ipck_pipe_send(ends[1], bytes, MIB, far_off()));
	free(bytes);
	send_text(ends[1], "after");
}

static void receive_long(void *arg)
{
	(void)arg;
	drop(1);
	expect_filled(ends[0], MIB, 5);
}

/* The sender is inside: it is told, and the next message is received by the next receiver. */
START_TEST(the_receiver_dies)
{
	pid_t sender, receiver;

	begin(SMALL);
	sender = sender_in_the_middle(send_in_vain, NULL);
	receiver = test_fork(receive_long, NULL);
	TEST_UNTIL(is_drained(&ends[0]->in) && sleeps(receiver));
	test_kill(receiver);
	go_on(sender);
	if (_i)
		TEST_UNTIL(result() != UNDER_WAY);
	expect_text(ends[0], "after");
	ck_assert_uint_eq(result(), EOWNERDEAD);
	test_join(sender);
	drop_both();
}
END_TEST

/* A handle that keeps a part and is closed is as one that died. */
START_TEST(the_receiver_is_closed)
{
	struct ipck_pipe *copy;
	pid_t sender;
	int fds[2];

	begin(SMALL);
	ck_ok(ipck_pipe_fds(ends[0], fds));
	ck_ok(ipck_pipe_open_fds(&copy, fds));
	sender = sender_in_the_middle(send_in_vain, NULL);
	take_a_part();
	ck_err(ipck_pipe_poll(copy, IPCK_NOWAIT), ETIMEDOUT);
	drop(0);
	go_on(sender);
	expect_text(copy, "after");
	ck_assert_uint_eq(result(), EOWNERDEAD);
	test_join(sender);
	ipck_pipe_close(copy);
	drop(1);
}
END_TEST

/* The last receiver: nobody has the other end. */
START_TEST(the_last_receiver_dies)
{
	pid_t sender, receiver;

	begin(SMALL);
	sender = sender_in_the_middle(send_in_vain, NULL);
	receiver = test_fork(receive_long, NULL);
	TEST_UNTIL(is_drained(&ends[0]->in) && sleeps(receiver));
	drop(0);
	test_kill(receiver);
	go_on(sender);
	TEST_UNTIL(result() != UNDER_WAY);
	ck_assert_uint_eq(result(), EPIPE);
	test_kill(sender);
	drop(1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pipe_stream");
	TCase *size = test_case(s, "sizes"), *part = test_case(s, "part");
	TCase *sender = test_case(s, "sender"), *receiver = test_case(s, "receiver");

	test_set_limit(size, 60);
	tcase_add_loop_test(size, sizes, 0, sizeof(runs) / sizeof(runs[0]));
	tcase_add_test(size, gathered_and_scattered);
	tcase_add_loop_test(part, a_part_is_kept, 0, 3);
	tcase_add_test(part, piece_by_piece);
	tcase_add_test(part, an_interrupted_receiver_goes_on);
	tcase_add_loop_test(sender, a_message_withdrawn, 0, 2 * WAYS);
	tcase_add_test(sender, withdrawn_at_once);
	tcase_add_loop_test(sender, a_receiver_inside, 0, WAYS);
	tcase_add_loop_test(sender, the_last_sender_dies, 0, 3);
	tcase_add_loop_test(receiver, the_receiver_dies, 0, 2);
	tcase_add_test(receiver, the_receiver_is_closed);
	tcase_add_test(receiver, the_last_receiver_dies);
	return test_main(s);
}
