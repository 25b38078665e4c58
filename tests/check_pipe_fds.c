/* SPDX-License-Identifier: MIT */
/* Descriptors through pipes, and pipes through pipes. */
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "coll/pipe.h"
#include "ends.h"

/* Files that can be told apart. */
static int file_of(char letter)
{
	int fd = memfd_create("letter", MFD_CLOEXEC);

	ck_that(fd >= 0 && write(fd, &letter, 1) == 1);
	return fd;
}

static void expect_file(int fd, char letter)
{
	char got = 0;

	ck_that(pread(fd, &got, 1, 0) == 1 && got == letter);
	ck_that(fcntl(fd, F_GETFD) == FD_CLOEXEC && fd > 2);
	close(fd);
}

static void send_file(char letter)
{
	int fd = file_of(letter);

	ck_ok(ipck_pipe_send_fds(ends[1], &fd, 1, far_off()));
	close(fd);
}

static void receive_file(char letter)
{
	int fd = -1;

	ck_that(ck_ok(ipck_pipe_recv_fds(ends[0], &fd, 1, far_off())) == 1);
	expect_file(fd, letter);
}

/* ---- sending them ---- */

START_TEST(one_to_sixteen)
{
	int fds[IPCK_PIPE_FDS_MAX], got[IPCK_PIPE_FDS_MAX + 4];

	make_pipe(0);
	for (int i = 0; i < IPCK_PIPE_FDS_MAX; i++)
		fds[i] = file_of((char)('a' + i));
	for (int n = 1; n <= IPCK_PIPE_FDS_MAX; n++)
		ck_ok(ipck_pipe_send_fds(ends[1], fds, (size_t)n, far_off()));
	for (int n = 1; n <= IPCK_PIPE_FDS_MAX; n++) {
		ck_assert_int_eq(ck_ok(ipck_pipe_recv_fds(ends[0], got, IPCK_PIPE_FDS_MAX + 4, far_off())), n);
		for (int i = 0; i < n; i++)
			expect_file(got[i], (char)('a' + i));
	}
	ck_err(ipck_pipe_send_fds(ends[1], fds, 0, far_off()), EINVAL);
	ck_err(ipck_pipe_send_fds(ends[1], fds, IPCK_PIPE_FDS_MAX + 1, far_off()), EINVAL);
	for (int i = 0; i < IPCK_PIPE_FDS_MAX; i++)
		expect_file(fds[i], (char)('a' + i));
	ck_err(ipck_pipe_send_fds(ends[1], fds, 2, far_off()), EBADF);
	ck_err(ipck_pipe_send_fds(ends[1], (int[]){-1}, 1, far_off()), EBADF);
	expect_nothing(ends[0]);
	send_file('z');
	receive_file('z');
	drop_both();
}
END_TEST

START_TEST(high_numbers)
{
	int fd = file_of('h'), high = fcntl(fd, F_DUPFD_CLOEXEC, 700);

	ck_assert_int_ge(high, 700);
	make_pipe(0);
	ck_ok(ipck_pipe_send_fds(ends[1], &high, 1, far_off()));
	close(high);
	close(fd);
	receive_file('h');
	drop_both();
}
END_TEST

static void send_four(void *arg)
{
	(void)arg;
	drop(0);
	for (char letter = 'a'; letter < 'e'; letter++)
		send_file(letter);
}

/* They are kept when their sender is gone. */
START_TEST(between_processes)
{
	make_pipe(0);
	test_join(test_fork(send_four, NULL));
	drop(1);
	for (char letter = 'a'; letter < 'e'; letter++)
		receive_file(letter);
	expect_end(ends[0]);
	ck_err(ipck_pipe_recv_fds(ends[0], (int[1]){0}, 1, far_off()), EPIPE);
	drop(0);
}
END_TEST

/* Neither takes the other's message. */
START_TEST(the_wrong_call_keeps_it)
{
	const void *place;
	char byte[8];
	void *data;
	size_t size;
	int fd = -1;

	make_pipe(0);
	send_file('a');
	send_text(ends[1], "text");
	ck_ok(ipck_pipe_poll(ends[0], IPCK_NOWAIT));
	ck_err(ipck_pipe_recv(ends[0], byte, sizeof(byte), NULL, far_off()), EBADMSG);
	ck_err(ipck_pipe_recv(ends[0], NULL, 0, NULL, far_off()), EBADMSG);
	ck_err(ipck_pipe_recv_new(ends[0], &data, &size, far_off()), EBADMSG);
	ck_err(ipck_pipe_peek(ends[0], &place, &size, far_off()), EBADMSG);
	ck_err(ipck_pipe_release(ends[0]), EPERM);
	receive_file('a');
	ck_err(ipck_pipe_recv_fds(ends[0], &fd, 1, far_off()), EBADMSG);
	ck_err(ipck_pipe_recv_fds(ends[0], &fd, 1, far_off()), EBADMSG);
	ck_assert_int_eq(fd, -1);
	expect_text(ends[0], "text");
	ck_err(ipck_pipe_recv_fds(ends[0], &fd, 1, IPCK_NOWAIT), ETIMEDOUT);
	drop_both();
}
END_TEST

START_TEST(too_few_places_keep_it)
{
	int fds[3] = {file_of('a'), file_of('b'), file_of('c')}, got[3] = {-1, -1, -1};

	make_pipe(0);
	ck_ok(ipck_pipe_send_fds(ends[1], fds, 3, far_off()));
	ck_err(ipck_pipe_recv_fds(ends[0], got, 2, far_off()), EMSGSIZE);
	ck_err(ipck_pipe_recv_fds(ends[0], NULL, 0, far_off()), EMSGSIZE);
	ck_assert(got[0] == -1 && got[2] == -1);
	ck_assert_int_eq(ck_ok(ipck_pipe_recv_fds(ends[0], got, 3, far_off())), 3);
	for (int i = 0; i < 3; i++) {
		expect_file(got[i], (char)('a' + i));
		close(fds[i]);
	}
	drop_both();
}
END_TEST

static void limit_descriptors(int below)
{
	struct rlimit limit;

	ck_that(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = (rlim_t)below;
	ck_that(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void receive_with_no_room(void *arg)
{
	int fds[3] = {file_of('a'), file_of('b'), file_of('c')}, got[3] = {-1, -1, -1}, spare;

	make_pipe(0);
	ck_ok(ipck_pipe_send_fds(ends[1], fds, 3, far_off()));
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	if (arg)
		close(0);
	spare = fcntl(2, F_DUPFD_CLOEXEC, 3);
	close(spare);
	/* With standard input closed there is room for one that may not stay there. */
	for (int room = 0; room < 3; room++) {
		limit_descriptors(spare + room);
		for (int i = 0; i < 2; i++)
			ck_err(ipck_pipe_recv_fds(ends[0], got, 3, far_off()), EMFILE);
		ck_that(got[0] == -1 && fcntl(spare, F_GETFD) < 0 && (!arg || fcntl(0, F_GETFD) < 0));
	}
	limit_descriptors(spare + 10);
	ck_that(ck_ok(ipck_pipe_recv_fds(ends[0], got, 3, far_off())) == 3);
	for (int i = 0; i < 3; i++)
		expect_file(got[i], (char)('a' + i));
	drop_both();
}

START_TEST(no_room_for_them_keeps_them)
{
	test_join(test_fork(receive_with_no_room, _i ? &ends : NULL));
}
END_TEST

/* ---- what killed senders leave ---- */

/* A datagram with descriptors that no message names, of that number. */
static void leave_stale(uint32_t number, int flags)
{
	struct {
		char kind, spare[3];
		uint32_t number;
	} datagram = {.kind = DATAGRAM_FDS, .number = number};
	struct iovec part = {&datagram, sizeof(datagram)};
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
	int fd = file_of('!'), fds[2];

	ck_ok(ipck_pipe_fds(ends[1], fds));
	m.msg_controllen = sizeof(control);
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	ck_that(sendmsg(fds[1], &m, MSG_DONTWAIT | flags) == sizeof(datagram));
	close(fd);
}

static void take_number(void)
{
	/* As a sender does before its datagram. */
	ends[1]->out.shm->fds++;
}

START_TEST(stale_datagrams)
{
	make_pipe(0);
	for (int i = 0; i < 50; i++) {
		take_number();
		leave_stale(ends[1]->out.shm->fds, 0);
		send_file('a');
		if (i & 1)
			send_text(ends[1], "between");
		receive_file('a');
		if (i & 1)
			expect_text(ends[0], "between");
		expect_nothing(ends[0]);
	}
	drop_both();
}
END_TEST

/* A receiver was killed when it had taken the datagram, and then the last sender left. */
START_TEST(taken_before_the_end)
{
	int fds[2], fd = -7;

	make_pipe(0);
	send_file('a');
	ck_ok(ipck_pipe_fds(ends[0], fds));
	while (bell_first(fds[1]) >= 0)
		bell_take(fds[1]);
	drop(1);
	ck_err(ipck_pipe_recv_fds(ends[0], &fd, 1, far_off()), EPIPE);
	ck_assert_int_eq(fd, -7);
	expect_end(ends[0]);
	drop(0);
}
END_TEST

static bool is_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

/* They go away before they fill the socket, also where the descriptor is polled. */
START_TEST(stale_ones_do_not_stay_readable)
{
	int fd;

	make_pipe(0);
	fd = ipck_pipe_fd(ends[0]);
	for (int i = 0; i < 3; i++) {
		take_number();
		leave_stale(ends[1]->out.shm->fds, 0);
	}
	ck_assert(is_readable(fd));
	expect_nothing(ends[0]);
	ck_assert(!is_readable(fd));
	send_file('a');
	ck_assert(is_readable(fd));
	receive_file('a');
	drop_both();
}
END_TEST

/* Those of many killed senders are in the way of a living one: its receiver drops them. */
static void fill_socket(void)
{
	int fds[2];

	ck_ok(ipck_pipe_fds(ends[1], fds));
	while (send(fds[1], (char[8]){DATAGRAM_FDS}, 8, MSG_DONTWAIT) == 8)
		;
	ck_that(errno == EAGAIN);
}

static void send_a_file(void *arg)
{
	(void)arg;
	drop(0);
	send_file('a');
}

START_TEST(a_full_socket)
{
	pid_t child;

	make_pipe(0);
	if (_i)
		ck_ok(ipck_pipe_fd(ends[0]));
	fill_socket();
	ck_err(ipck_pipe_send_fds(ends[1], (int[]){2}, 1, IPCK_NOWAIT), ETIMEDOUT);
	child = test_fork(send_a_file, NULL);
	receive_file('a');
	test_join(child);
	drop_both();
}
END_TEST

/* As many as there is room for, and more, as they are taken. */
static void send_many(void *arg)
{
	(void)arg;
	drop(0);
	for (int i = 0; i < 600; i++)
		send_file((char)('a' + i % 26));
}

START_TEST(many_under_way)
{
	pid_t child;

	make_pipe(0);
	child = test_fork(send_many, NULL);
	drop(1);
	for (int i = 0; i < 600; i++)
		receive_file((char)('a' + i % 26));
	expect_end(ends[0]);
	test_join(child);
	drop(0);
}
END_TEST

/* ---- pipes through pipes ---- */

static void use_what_comes(void *arg)
{
	struct ipck_pipe *p;
	int fds[2];

	(void)arg;
	drop(1);
	ck_that(ck_ok(ipck_pipe_recv_fds(ends[0], fds, 2, far_off())) == 2);
	ck_ok(ipck_pipe_open_fds(&p, fds));
	close(fds[0]);
	close(fds[1]);
	expect_text(p, "hello");
	send_text(p, "there");
	ipck_pipe_close(p);
	expect_end(ends[0]);
}

START_TEST(an_end_through_a_pipe)
{
	struct ipck_pipe *inner[2];
	int fds[2];
	pid_t child;

	make_pipe(0);
	child = test_fork(use_what_comes, NULL);
	ck_ok(ipck_pipe_create(inner, NULL));
	ck_ok(ipck_pipe_fds(inner[1], fds));
	ck_ok(ipck_pipe_send_fds(ends[1], fds, 2, far_off()));
	ipck_pipe_close(inner[1]);
	send_text(inner[0], "hello");
	expect_text(inner[0], "there");
	expect_end(inner[0]);
	ipck_pipe_close(inner[0]);
	drop_both();
	test_join(child);
}
END_TEST

/* An end under way exists; it ends with the pipe in which it is (1) or where it is received and closed. */
START_TEST(an_end_in_flight)
{
	struct ipck_pipe *inner[2];
	int fds[2];

	make_pipe(0);
	ck_ok(ipck_pipe_create(inner, NULL));
	ck_ok(ipck_pipe_fds(inner[1], fds));
	ck_ok(ipck_pipe_send_fds(ends[1], fds, 2, far_off()));
	send_text(inner[1], "before");
	ipck_pipe_close(inner[1]);
	expect_text(inner[0], "before");
	expect_nothing(inner[0]);
	send_text(inner[0], "kept");
	if (_i) {
		drop_both();
	} else {
		ck_ok(ipck_pipe_recv_fds(ends[0], fds, 2, far_off()));
		ck_ok(ipck_pipe_open_fds(&inner[1], fds));
		close(fds[0]);
		close(fds[1]);
		expect_text(inner[1], "kept");
		ipck_pipe_close(inner[1]);
		drop_both();
	}
	expect_end(inner[0]);
	ipck_pipe_close(inner[0]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pipe_fds");
	TCase *sent = test_case(s, "sent"), *stale = test_case(s, "stale");
	TCase *pipes = test_case(s, "pipes"), *tc;

	tcase_add_test(sent, one_to_sixteen);
	tcase_add_test(sent, high_numbers);
	tcase_add_test(sent, between_processes);
	tcase_add_test(sent, the_wrong_call_keeps_it);
	tcase_add_test(sent, too_few_places_keep_it);
	tcase_add_test(sent, many_under_way);
	tcase_add_test(stale, stale_datagrams);
	tcase_add_test(stale, taken_before_the_end);
	tcase_add_test(stale, stale_ones_do_not_stay_readable);
	tcase_add_loop_test(stale, a_full_socket, 0, 2);
	tcase_add_test(pipes, an_end_through_a_pipe);
	tcase_add_loop_test(pipes, an_end_in_flight, 0, 2);
	/* valgrind counts descriptors itself. */
	tc = test_case(s, "descriptors");
	tcase_set_tags(tc, "not_valgrind");
	tcase_add_loop_test(tc, no_room_for_them_keeps_them, 0, 2);
	return test_main(s);
}
