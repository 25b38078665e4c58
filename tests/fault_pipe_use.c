/* SPDX-License-Identifier: MIT */
/* Failing system calls: descriptors in pipes, messages that need memory, and waiting for many. */
#include "fault_pipe.h"

#include <poll.h>
#include <sys/stat.h>

#define STREAM 3000 /* longer than half a ring of SMALL bytes; it has room in it */
#define MANY 40     /* more objects than ipck_wait has room for on its stack */

/* ---- descriptors ---- */

/* The write ends are sent: whoever has a copy of one keeps the read end from its end. */
static int sent[2][2], got[IPCK_PIPE_FDS_MAX];

static void forget_got(void)
{
	for (int i = 0; i < IPCK_PIPE_FDS_MAX; i++)
		got[i] = -7;
}

static void make_sent(void)
{
	make_default();
	for (int i = 0; i < 2; i++)
		ck_that(pipe2(sent[i], O_CLOEXEC | O_NONBLOCK) == 0);
	forget_got();
}

static int send_fds(void)
{
	return ipck_pipe_send_fds(ends[1], (const int[2]){sent[0][1], sent[1][1]}, 2, ipck_in_ms(20));
}

static int receive_fds(void)
{
	ssize_t n = ipck_pipe_recv_fds(ends[0], got, IPCK_PIPE_FDS_MAX, ipck_in_ms(20));

	ck_that(n < 0 || n == 2);
	return n < 0 ? (int)n : 0;
}

static void nothing_sent(void)
{
	expect_nothing(ends[0]);
}

static void got_untouched(void)
{
	char byte;

	for (int i = 0; i < IPCK_PIPE_FDS_MAX; i++)
		ck_that(got[i] == -7);
	ck_err(ipck_pipe_recv(ends[0], &byte, 1, NULL, IPCK_NOWAIT), EBADMSG);
}

/* They are those that were sent. */
static void use_got(void)
{
	for (int i = 0; i < 2; i++) {
		struct stat a, b;

		ck_that(got[i] > 2 && fcntl(got[i], F_GETFD, 0) == FD_CLOEXEC);
		ck_that(fstat(got[i], &a) == 0 && fstat(sent[i][1], &b) == 0 && a.st_ino == b.st_ino);
		close(got[i]);
	}
	forget_got();
}

static void receive_sent(void)
{
	ck_ok(receive_fds());
	use_got();
	expect_nothing(ends[0]);
}

/* Nobody has a copy any more; one whose datagram could not be taken goes with the pipe. */
static void drop_sent(void)
{
	char byte;

	expect_nothing(ends[0]);
	drop_both();
	for (int i = 0; i < 2; i++) {
		close(sent[i][1]);
		ck_that(read(sent[i][0], &byte, 1) == 0);
		close(sent[i][0]);
	}
}

static void send_some(void)
{
	make_sent();
	ck_ok(send_fds());
	send_text(ends[1], "next");
}

static void use_got_and_next(void)
{
	use_got();
	expect_text(ends[0], "next");
}

static void send_to_streams(void)
{
	send_some();
	close_streams();
}

static void drop_sent_and_reopen(void)
{
	drop_sent();
	reopen_streams();
}

/* ---- messages that need memory ---- */

static char buffer[STREAM];
static void *data;
static size_t size;

static void forget_data(void)
{
	memset(buffer, 'u', sizeof(buffer));
	data = UNTOUCHED;
	size = 7;
}

static void send_message(size_t bytes)
{
	make_pipe(SMALL);
	forget_data();
	send_filled(ends[1], bytes, 1);
	ck_ok(ipck_pipe_poll(ends[0], IPCK_NOWAIT));
}

static void send_whole(void)
{
	send_message(1000);
}

static void send_stream(void)
{
	send_message(STREAM);
}

static int receive_new(void)
{
	return ipck_pipe_recv_new(ends[0], &data, &size, far_off());
}

static void message_stays(void)
{
	for (size_t i = 0; i < sizeof(buffer); i++)
		ck_that(buffer[i] == 'u');
	ck_that(data == UNTOUCHED && size == 7);
	ck_ok(ipck_pipe_poll(ends[0], IPCK_NOWAIT));
}

static void use_new(void)
{
	ck_that(size == 1000 || size == STREAM);
	ck_that(is_filled(data, size, 1));
	free(data);
	forget_data();
	expect_both_ways(ends[0], ends[1]);
}

static int receive_stream(void)
{
	ssize_t n = ipck_pipe_recv(ends[0], buffer, sizeof(buffer), NULL, far_off());

	ck_that(n < 0 || n == STREAM);
	return n < 0 ? (int)n : 0;
}

static void use_stream(void)
{
	ck_that(is_filled(buffer, STREAM, 1));
	expect_both_ways(ends[0], ends[1]);
}

/* ---- wait ---- */

static struct ipck_waitable objects[MANY];

static void make_objects(void)
{
	make_default();
	send_text(ends[1], "ready");
	for (int i = 0; i < MANY; i++)
		objects[i] = (struct ipck_waitable){.pipe = ends[i % 2], .fd = -1, .ready = true};
}

static int wait_for_objects(void)
{
	ssize_t n = ipck_wait(objects, MANY, far_off());

	ck_that(n < 0 || n == MANY / 2);
	return n < 0 ? (int)n : 0;
}

static void all_untouched(void)
{
	for (int i = 0; i < MANY; i++)
		ck_that(objects[i].ready);
}

static void use_objects(void)
{
	for (int i = 0; i < MANY; i++)
		ck_that(objects[i].ready == !(i % 2));
	expect_text(ends[0], "ready");
}

static const struct scenario scenarios[] = {
	{"send fds", make_sent, send_fds, nothing_sent, receive_sent, drop_sent, ETIMEDOUT, 2},
	{"receive fds", send_some, receive_fds, got_untouched, use_got_and_next, drop_sent, 0, 2},
	{"receive fds, no stdio", send_to_streams, receive_fds, got_untouched, use_got_and_next, drop_sent_and_reopen,
         0, 4},
	{"receive new", send_whole, receive_new, message_stays, use_new, drop_both, 0, 2},
	{"receive new, stream", send_stream, receive_new, message_stays, use_new, drop_both, 0, 3},
	{"receive stream", send_stream, receive_stream, message_stays, use_stream, drop_both, 0, 1},
	{"wait", make_objects, wait_for_objects, all_untouched, use_objects, drop_both, 0, 1},
};

START_TEST(each_call_fails)
{
	sweep_all(&scenarios[_i]);
}
END_TEST

/* ---- poll ---- */

static int poll_error;

int __real_poll(struct pollfd *fds, nfds_t n, int ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int ms)
{
	errno = poll_error;
	return poll_error ? -1 : __real_poll(fds, n, ms);
}

/* Of any number of objects. */
START_TEST(no_memory_for_poll)
{
	make_objects();
	poll_error = ENOMEM;
	ck_err(ipck_wait(objects, MANY, far_off()), ENOMEM);
	ck_err(ipck_wait(objects, 2, far_off()), ENOMEM);
	poll_error = 0;
	ck_ok(wait_for_objects());
	use_objects();
	drop_both();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fault_pipe_use");
	TCase *tc = test_case_primed(s, "faults", prime_process);

	tcase_add_loop_test(tc, each_call_fails, 0, ARRAY_SIZE(scenarios));
	tcase_add_test(tc, no_memory_for_poll);
	return test_main(s);
}
