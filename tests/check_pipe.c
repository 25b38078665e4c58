/* SPDX-License-Identifier: MIT */
/* Pipes: what is sent is received, as it was sent. */
#include <sys/resource.h>

#include "coll/pipe.h"
#include "ends.h"

/* ---- create ---- */

static void with_few_descriptors(void *arg)
{
	(void)arg;
	for (rlim_t room = 0;; room++) {
		int spare = dup(0), rc;
		struct rlimit limit = {(rlim_t)spare + room, (rlim_t)spare + 64};

		close(spare);
		ck_that(setrlimit(RLIMIT_NOFILE, &limit) == 0);
		ends[0] = ends[1] = NULL;
		rc = ipck_pipe_create(ends, NULL);
		if (rc == 0)
			break;
		ck_err(rc, EMFILE);
		ck_that(!ends[0] && !ends[1]);
		limit.rlim_cur = limit.rlim_max;
		ck_that(setrlimit(RLIMIT_NOFILE, &limit) == 0);
		/* Nothing stays open. */
		ck_that(dup(0) == spare);
		close(spare);
	}
	drop_both();
}

START_TEST(create_and_options)
{
	struct {
		struct ipck_pipe_opts opts;
		long more;
	} later = {{sizeof(later), false, 0}, 1};

	ck_ok(ipck_pipe_create(ends, NULL));
	ck_assert_uint_eq(ends[0]->in.size, 65536);
	drop_both();
	make_pipe(SMALL + 1);
	ck_assert_uint_eq(ends[0]->in.size, 2 * SMALL);
	ck_assert_uint_eq(ends[1]->out.size, 2 * SMALL);
	drop_both();
	make_pipe(1);
	send_text(ends[0], "a");
	expect_text(ends[1], "a");
	drop_both();
	ck_err(ipck_pipe_create(ends, IPCK_PIPE_OPTS(.bytes = ((size_t)1 << 30) + 1)), EINVAL);
	ck_err(ipck_pipe_create(ends, IPCK_PIPE_OPTS(.bytes = SIZE_MAX)), EINVAL);
	ck_err(ipck_pipe_create(ends, &later.opts), E2BIG);
	ck_assert(!ends[0] && !ends[1]);
	later.more = 0;
	ck_ok(ipck_pipe_create(ends, &later.opts));
	drop_both();
	ipck_pipe_close(NULL);
}
END_TEST

START_TEST(few_descriptors)
{
	test_join(test_fork(with_few_descriptors, NULL));
}
END_TEST

static void without_streams(void *arg)
{
	(void)arg;
	close(0);
	close(1);
	close(2);
	make_pipe(0);
	for (int i = 0; i < 2; i++) {
		int fds[2];

		ck_ok(ipck_pipe_fds(ends[i], fds));
		for (int k = 0; k < 2; k++)
			ck_that(fds[k] > 2 && fcntl(fds[k], F_GETFD) == FD_CLOEXEC);
	}
	ck_that(fcntl(0, F_GETFD) < 0 && fcntl(1, F_GETFD) < 0 && fcntl(2, F_GETFD) < 0);
	drop_both();
}

START_TEST(its_descriptors_are_no_streams)
{
	test_join(test_fork(without_streams, NULL));
}
END_TEST

/* ---- messages ---- */

START_TEST(both_directions)
{
	make_pipe(0);
	for (int i = 0; i < 100; i++) {
		send_text(ends[0], "to the second");
		send_text(ends[1], "to the first");
		send_text(ends[1], "again");
		expect_text(ends[1], "to the second");
		expect_text(ends[0], "to the first");
		expect_text(ends[0], "again");
	}
	expect_nothing(ends[0]);
	expect_nothing(ends[1]);
	drop_both();
}
END_TEST

START_TEST(one_way)
{
	struct iovec part = {(char[8]){0}, 8};
	const void *there;
	void *data;
	size_t size;
	int fd = 0;

	ck_ok(ipck_pipe_create(ends, IPCK_PIPE_OPTS(.one_way = true)));
	ck_err(ipck_pipe_send(ends[0], "x", 1, IPCK_FOREVER), EBADF);
	ck_err(ipck_pipe_sendv(ends[0], &part, 1, IPCK_FOREVER), EBADF);
	ck_err(ipck_pipe_reserve(ends[0], 1, &data, IPCK_FOREVER), EBADF);
	ck_err(ipck_pipe_commit(ends[0], 0), EBADF);
	ck_err(ipck_pipe_send_fds(ends[0], &fd, 1, IPCK_FOREVER), EBADF);
	ipck_pipe_cancel(ends[0]);
	ck_err(ipck_pipe_recv(ends[1], part.iov_base, 8, NULL, IPCK_FOREVER), EBADF);
	ck_err(ipck_pipe_recvv(ends[1], &part, 1, NULL, IPCK_FOREVER), EBADF);
	ck_err(ipck_pipe_recv_new(ends[1], &data, &size, IPCK_FOREVER), EBADF);
	ck_err(ipck_pipe_poll(ends[1], IPCK_FOREVER), EBADF);
	ck_err(ipck_pipe_peek(ends[1], &there, &size, IPCK_FOREVER), EBADF);
	ck_err(ipck_pipe_release(ends[1]), EBADF);
	ck_err(ipck_pipe_recv_fds(ends[1], &fd, 1, IPCK_FOREVER), EBADF);
	send_text(ends[1], "this way");
	expect_text(ends[0], "this way");
	drop(1);
	expect_end(ends[0]);
	drop(0);
	ck_ok(ipck_pipe_create(ends, IPCK_PIPE_OPTS(.one_way = true)));
	drop(0);
	ck_err(ipck_pipe_send(ends[1], "x", 1, IPCK_NOWAIT), EPIPE);
	drop(1);
}
END_TEST

/* Round and round, so that each lies at each place of the ring. */
START_TEST(boundaries_and_order)
{
	make_pipe(SMALL);
	for (size_t size = 0; size <= 300; size++) {
		unsigned n = 0;

		for (size_t used = 0; used + size + 16 < SMALL - 64 && n < 50; used += size + 16)
			send_filled(ends[0], size, n++);
		for (unsigned i = 0; i < n; i++)
			expect_filled(ends[1], size, i);
		expect_nothing(ends[1]);
	}
	for (size_t size = 300; size <= WHOLE; size++) {
		send_filled(ends[1], size, size);
		send_filled(ends[1], 0, 0);
		expect_filled(ends[0], size, size);
		expect_filled(ends[0], 0, 0);
	}
	drop_both();
}
END_TEST

START_TEST(empty_messages)
{
	char byte = 'x';

	make_pipe(SMALL);
	for (int i = 0; i < 100; i++)
		ck_ok(ipck_pipe_send(ends[0], NULL, 0, far_off()));
	ck_ok(ipck_pipe_poll(ends[1], IPCK_NOWAIT));
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(ck_ok(ipck_pipe_recv(ends[1], i & 1 ? &byte : NULL, i & 1, NULL, IPCK_NOWAIT)), 0);
		ck_assert_int_eq(byte, 'x');
	}
	expect_nothing(ends[1]);
	drop_both();
}
END_TEST

START_TEST(too_small_a_buffer_keeps_the_message)
{
	char got[10] = "untouched";
	struct iovec parts[2] = {{got, 3}, {got + 3, 2}};
	size_t needed = 99;

	make_pipe(0);
	send_text(ends[0], "sixsix");
	send_text(ends[0], "next");
	ck_err(ipck_pipe_recv(ends[1], NULL, 0, &needed, IPCK_NOWAIT), EMSGSIZE);
	ck_assert_uint_eq(needed, 6);
	ck_err(ipck_pipe_recv(ends[1], got, 5, NULL, far_off()), EMSGSIZE);
	needed = 99;
	ck_err(ipck_pipe_recvv(ends[1], parts, 2, &needed, far_off()), EMSGSIZE);
	ck_assert_uint_eq(needed, 6);
	ck_assert_str_eq(got, "untouched");
	needed = 99;
	ck_assert_int_eq(ck_ok(ipck_pipe_recv(ends[1], got, 6, &needed, far_off())), 6);
	ck_assert_uint_eq(needed, 99);
	ck_assert_str_eq(got, "sixsixhed");
	expect_text(ends[1], "next");
	/* At both ends of both ways: it is readable and writable as before. */
	send_text(ends[1], "back");
	expect_text(ends[0], "back");
	drop_both();
}
END_TEST

START_TEST(gather_and_scatter)
{
	char a[] = "abc", b[] = "defgh", got[3][6];
	struct iovec from[] = {{NULL, 0}, {a, 3}, {NULL, 0}, {b, 5}, {NULL, 0}};
	struct iovec to[] = {{got[0], 1}, {NULL, 0}, {got[1], 5}, {got[2], 6}};
	struct iovec huge[] = {{a, SIZE_MAX}, {b, 2}};

	make_pipe(0);
	memset(got, '-', sizeof(got));
	ck_ok(ipck_pipe_sendv(ends[0], from, 5, far_off()));
	ck_assert_int_eq(ck_ok(ipck_pipe_recvv(ends[1], to, 4, NULL, far_off())), 8);
	ck_assert_mem_eq(got[0], "a-----", 6);
	ck_assert_mem_eq(got[1], "bcdef-", 6);
	ck_assert_mem_eq(got[2], "gh----", 6);
	ck_ok(ipck_pipe_sendv(ends[0], NULL, 0, far_off()));
	ck_assert_int_eq(ck_ok(ipck_pipe_recvv(ends[1], NULL, 0, NULL, far_off())), 0);
	ck_err(ipck_pipe_sendv(ends[0], from, -1, far_off()), EINVAL);
	ck_err(ipck_pipe_sendv(ends[0], huge, 2, far_off()), EINVAL);
	ck_err(ipck_pipe_recvv(ends[1], to, -1, NULL, far_off()), EINVAL);
	ck_err(ipck_pipe_recvv(ends[1], huge, 2, NULL, far_off()), EINVAL);
	expect_nothing(ends[1]);
	drop_both();
}
END_TEST

START_TEST(recv_new)
{
	const size_t sizes[] = {0, 1, 255, 256, 257, WHOLE};
	size_t size = 7;
	void *data = &size;

	make_pipe(SMALL);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		send_filled(ends[0], sizes[i], i);
		ck_ok(ipck_pipe_recv_new(ends[1], &data, &size, far_off()));
		ck_assert(data && size == sizes[i] && is_filled(data, size, i));
		free(data);
	}
	data = &size;
	size = 7;
	ck_err(ipck_pipe_recv_new(ends[1], &data, &size, IPCK_NOWAIT), ETIMEDOUT);
	drop(0);
	ck_err(ipck_pipe_recv_new(ends[1], &data, &size, far_off()), EPIPE);
	ck_assert(data == &size && size == 7);
	drop(1);
}
END_TEST

START_TEST(poll_takes_nothing)
{
	make_pipe(0);
	ck_err(ipck_pipe_poll(ends[1], IPCK_NOWAIT), ETIMEDOUT);
	ck_err(ipck_pipe_poll(ends[1], ipck_in_ms(5)), ETIMEDOUT);
	send_text(ends[0], "");
	send_text(ends[0], "one");
	for (int i = 0; i < 2; i++)
		ck_ok(ipck_pipe_poll(ends[1], i ? IPCK_NOWAIT : IPCK_FOREVER));
	expect_text(ends[1], "");
	ck_ok(ipck_pipe_poll(ends[1], IPCK_NOWAIT));
	drop(0);
	for (int i = 0; i < 2; i++)
		ck_ok(ipck_pipe_poll(ends[1], i ? IPCK_NOWAIT : IPCK_FOREVER));
	expect_text(ends[1], "one");
	for (int i = 0; i < 2; i++)
		ck_ok(ipck_pipe_poll(ends[1], i ? IPCK_NOWAIT : IPCK_FOREVER));
	expect_end(ends[1]);
	drop(1);
}
END_TEST

/* ---- waiting ---- */

START_TEST(a_full_pipe)
{
	make_pipe(SMALL);
	for (size_t size = 0; size <= WHOLE; size = size * 2 + 1) {
		unsigned n = send_until_full(ends[0], size);

		ck_assert_uint_ge(n, 1);
		ck_err(ipck_pipe_send(ends[0], (char[WHOLE]){0}, WHOLE, ipck_in_ms(2)), ETIMEDOUT);
		expect_filled(ends[1], size, 0);
		send_filled(ends[0], size, 1);
		for (unsigned i = 1; i < n; i++)
			expect_filled(ends[1], size, 0);
		while (ipck_pipe_poll(ends[1], IPCK_NOWAIT) == 0)
			(void)!ipck_pipe_recv(ends[1], (char[WHOLE]){0}, WHOLE, NULL, IPCK_NOWAIT);
		expect_nothing(ends[1]);
	}
	drop_both();
}
END_TEST

static void receive_late(void *arg)
{
	pid_t sender = *(const pid_t *)arg;

	drop(0);
	TEST_UNTIL(sleeps(sender));
	expect_text(ends[1], "first");
}

/* Who waits sleeps, and is woken. */
START_TEST(room_and_data_wake)
{
	pid_t self = getpid(), child;
	unsigned n;

	make_pipe(SMALL);
	send_text(ends[0], "first");
	n = send_until_full(ends[0], 0);
	child = test_fork(receive_late, &self);
	ck_ok(ipck_pipe_send(ends[0], "", 0, far_off()));
	test_join(child);
	while (n-- + 1 > 0)
		expect_text(ends[1], "");
	send_text(ends[1], "first");
	drop_both();
}
END_TEST

static void wait_for_text(void *arg)
{
	drop(0);
	expect_text(ends[1], arg);
}

START_TEST(a_sleeping_receiver_is_woken)
{
	char text[] = "wake";
	pid_t child;

	make_pipe(0);
	child = test_fork(wait_for_text, text);
	TEST_UNTIL(sleeps(child));
	send_text(ends[0], text);
	test_join(child);
	drop_both();
}
END_TEST

START_TEST(interrupted)
{
	char byte;
	void *data;
	size_t size;
	int fd = 0;

	make_pipe(SMALL);
	send_until_full(ends[1], WHOLE);
	ipck_interrupt();
	ck_err(ipck_pipe_recv(ends[1], &byte, 1, NULL, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	ck_err(ipck_pipe_recv_new(ends[1], &data, &size, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	ck_err(ipck_pipe_recv_fds(ends[1], &fd, 1, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	ck_err(ipck_pipe_poll(ends[1], ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	ck_err(ipck_pipe_send(ends[1], (char[WHOLE]){0}, WHOLE, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	ck_err(ipck_pipe_reserve(ends[1], WHOLE, &data, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	ck_err(ipck_pipe_recv(ends[1], &byte, 1, NULL, ipck_in_ms(2)), ETIMEDOUT);
	/* What can be done without a wait is done. */
	ck_ok(ipck_pipe_send(ends[0], "x", 1, ipck_interruptible(IPCK_FOREVER)));
	ck_ok(ipck_pipe_poll(ends[1], ipck_interruptible(IPCK_FOREVER)));
	ck_ok(ipck_pipe_recv(ends[1], &byte, 1, NULL, ipck_interruptible(IPCK_FOREVER)));
	ipck_interrupt_clear();
	drop_both();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pipe");
	TCase *tc = test_case(s, "create"), *messages = test_case(s, "messages");
	TCase *waiting = test_case(s, "waiting");

	tcase_add_test(tc, create_and_options);
	tcase_add_test(tc, its_descriptors_are_no_streams);
	tcase_add_test(messages, both_directions);
	tcase_add_test(messages, one_way);
	tcase_add_test(messages, boundaries_and_order);
	tcase_add_test(messages, empty_messages);
	tcase_add_test(messages, too_small_a_buffer_keeps_the_message);
	tcase_add_test(messages, gather_and_scatter);
	tcase_add_test(messages, recv_new);
	tcase_add_test(messages, poll_takes_nothing);
	tcase_add_test(waiting, a_full_pipe);
	tcase_add_test(waiting, room_and_data_wake);
	tcase_add_test(waiting, a_sleeping_receiver_is_woken);
	tcase_add_test(waiting, interrupted);
	/* valgrind counts descriptors itself. */
	tc = test_case(s, "descriptors");
	tcase_set_tags(tc, "not_valgrind");
	tcase_add_test(tc, few_descriptors);
	return test_main(s);
}
