/* SPDX-License-Identifier: MIT */
/* The descriptor of a queue, for poll and epoll: readable while there may be a message, and after shutdown. */
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "queues.h"

/* The loop index of most tests: whether the queue has a name. */
static const char *name;

static void make(bool named)
{
	name = named ? test_name("queue") : NULL;
	ck_ok(ipck_queue_create(&queue, name, IPCK_QUEUE_OPTS(.bytes = SMALL)));
}

static void end(void)
{
	ipck_queue_close(queue);
	if (name)
		ck_ok(ipck_queue_unlink(name));
}

static bool is_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void wait_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	ck_that(poll(&p, 1, (int)(10000 * test_scale())) == 1);
}

/* With nothing there it is silent. */
static void silence(struct ipck_queue *q)
{
	int fd = (int)ck_ok(ipck_queue_fd(q));
	char byte;

	ck_err(ipck_queue_get(q, &byte, 1, NULL, IPCK_NOWAIT), ETIMEDOUT);
	ck_that(!is_readable(fd));
}

START_TEST(readable_while_there_is_something)
{
	int fd;

	make(_i & 1);
	if (_i & 2)
		put_text(queue, "early");
	fd = (int)ck_ok(ipck_queue_fd(queue));
	ck_assert_int_eq(ipck_queue_fd(queue), fd);
	ck_assert((fcntl(fd, F_GETFD) & FD_CLOEXEC) && (fcntl(fd, F_GETFL) & O_NONBLOCK));
	ck_assert(is_readable(fd));
	if (_i & 2)
		expect_text(queue, "early");
	for (int i = 0; i < 50; i++) {
		silence(queue);
		put_text(queue, "one");
		ck_assert(is_readable(fd) && is_readable(fd));
		put_text(queue, "two");
		expect_text(queue, "one");
		ck_assert(is_readable(fd));
		expect_text(queue, "two");
	}
	silence(queue);
	end();
}
END_TEST

/* More than a FIFO or an eventfd would hold, if each rang. */
START_TEST(it_never_is_too_full)
{
	make(_i);
	(void)ck_ok(ipck_queue_fd(queue));
	for (int i = 0; i < 20000; i++) {
		put_text(queue, "x");
		expect_text(queue, "x");
	}
	silence(queue);
	put_text(queue, "x");
	ck_assert(is_readable(ipck_queue_fd(queue)));
	expect_text(queue, "x");
	silence(queue);
	end();
}
END_TEST

/* Each call after which something can be got rings. */
START_TEST(all_that_rings)
{
	struct ipck_queue_item item;
	struct iovec parts[2] = {{NULL, 0}, {NULL, 0}};
	char *first, *second;
	int fd;

	make(_i);
	fd = (int)ck_ok(ipck_queue_fd(queue));
	silence(queue);
	ck_assert_int_eq(ipck_queue_put_many(queue, parts, 2, IPCK_NOWAIT), 2);
	ck_assert(is_readable(fd));
	expect_text(queue, "");
	expect_text(queue, "");
	silence(queue);
	first = reserve(queue, 10);
	second = reserve(queue, 10);
	silence(queue);
	commit_text(queue, second, "two");
	silence(queue);
	ck_ok(ipck_queue_cancel(queue, first));
	ck_assert(is_readable(fd));
	item = peek_text(queue, "two");
	silence(queue);
	ck_ok(ipck_queue_refuse(queue, &item));
	ck_assert(is_readable(fd));
	item = peek_text(queue, "two");
	silence(queue);
	ck_ok(ipck_queue_release(queue, &item));
	first = reserve(queue, 10);
	silence(queue);
	commit_text(queue, first, "three");
	ck_assert(is_readable(fd));
	expect_text(queue, "three");
	silence(queue);
	end();
}
END_TEST

START_TEST(shutdown_rings)
{
	char byte;
	int fd;

	make(_i & 1);
	fd = (int)ck_ok(ipck_queue_fd(queue));
	silence(queue);
	put_text(queue, "x");
	ck_ok(ipck_queue_shutdown(queue, _i & 2 ? IPCK_QUEUE_IMMEDIATE : IPCK_QUEUE_DRAIN));
	ck_assert(is_readable(fd));
	if (!(_i & 2))
		expect_text(queue, "x");
	for (int i = 0; i < 10; i++) {
		ck_err(ipck_queue_get(queue, &byte, 1, NULL, IPCK_NOWAIT), ESHUTDOWN);
		ck_assert(is_readable(fd));
	}
	end();
}
END_TEST

/* ---- several ---- */

START_TEST(several_handles_and_epolls)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct ipck_queue *other = NULL;
	int ep = epoll_create1(EPOLL_CLOEXEC);

	make(_i);
	if (_i)
		ck_ok(ipck_queue_open(&other, name, NULL));
	else
		other = open_again(queue);
	ck_that(ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, (int)ck_ok(ipck_queue_fd(other)), &event) == 0);
	ck_assert(epoll_wait(ep, &event, 1, 0) == 1);
	silence(other);
	ck_assert(epoll_wait(ep, &event, 1, 0) == 0);
	for (int i = 0; i < 20; i++) {
		put_text(i % 2 ? queue : other, "x");
		ck_assert(epoll_wait(ep, &event, 1, 0) == 1);
		ck_assert(is_readable(ipck_queue_fd(queue)));
		expect_text(i % 3 ? queue : other, "x");
		silence(i % 2 ? other : queue);
		ck_assert(epoll_wait(ep, &event, 1, 0) == 0);
	}
	close(ep);
	ipck_queue_close(other);
	end();
}
END_TEST

#define MESSAGES 500

/* Readers that only poll, and putters: none sleeps with something there. */
static void poll_and_put(unsigned i, void *arg)
{
	uint32_t *got = arg;
	int fd;

	if (i < 2) {
		for (int n = 0; n < MESSAGES; n++)
			put_text(queue, "x");
		return;
	}
	fd = (int)ck_ok(ipck_queue_fd(queue));
	for (;;) {
		char byte;
		ssize_t n;

		wait_readable(fd);
		n = ipck_queue_get(queue, &byte, 1, NULL, IPCK_NOWAIT);
		if (n == -ESHUTDOWN)
			return;
		if (n == 1 && add_acq_rel(got, 1) == 2 * MESSAGES - 1)
			ck_ok(ipck_queue_shutdown(queue, IPCK_QUEUE_DRAIN));
		ck_that(n == 1 || n == -ETIMEDOUT);
	}
}

START_TEST(several_readers)
{
	uint32_t *got = test_shared(sizeof(*got));

	make(_i & 4);
	run_parties(_i & 3, 2 + 3, poll_and_put, got);
	ck_assert_uint_eq(*got, 2 * MESSAGES);
	end();
}
END_TEST

/* ---- other processes ---- */

static void put_by_name(void *arg)
{
	struct ipck_queue *own = queue;

	(void)arg;
	if (name)
		ck_ok(ipck_queue_open(&own, name, NULL));
	put_text(own, "child's");
	if (name)
		ipck_queue_close(own);
}

/* A putter that opened it by name rings what another made readable, and one that inherited it. */
static void die_in_a_drain(void *arg)
{
	(void)arg;
	ck_ok(queue_lock_get(queue, far_off()));
	bell_silence(&queue->shm->bell);
	raise(SIGKILL);
}

/* It is not rung for each message from then on. */
START_TEST(a_reader_is_killed)
{
	uint64_t token;
	int fd, tokens = 0;

	make(_i);
	fd = (int)ck_ok(ipck_queue_fd(queue));
	silence(queue);
	(void)test_wait(test_fork(die_in_a_drain, NULL));
	ck_that(ck_ok(ipck_queue_size(queue)) == 0);
	for (int i = 0; i < 5; i++)
		put_text(queue, "text");
	ck_that(is_readable(fd));
	while (read(fd, &token, sizeof(token)) > 0)
		tokens++;
	ck_assert_int_eq(tokens, 1);
	end();
}
END_TEST

START_TEST(another_process_rings)
{
	pid_t pid;
	int fd;

	make(_i);
	fd = (int)ck_ok(ipck_queue_fd(queue));
	silence(queue);
	pid = test_fork(put_by_name, NULL);
	wait_readable(fd);
	expect_text(queue, "child's");
	test_join(pid);
	silence(queue);
	end();
}
END_TEST

/* One that had it open before anybody polled. */
static void put_later(void *arg)
{
	uint32_t *go = arg;

	put_text(queue, "early");
	TEST_UNTIL(load_acquire(go));
	put_text(queue, "later");
}

START_TEST(one_that_was_there_before_rings)
{
	uint32_t *go = test_shared(sizeof(*go));
	pid_t pid;
	int fd;

	make(_i);
	pid = test_fork(put_later, go);
	expect_text(queue, "early");
	fd = (int)ck_ok(ipck_queue_fd(queue));
	silence(queue);
	store_release(go, 1);
	wait_readable(fd);
	expect_text(queue, "later");
	test_join(pid);
	end();
}
END_TEST

/* The descriptors come through a socket, to a process that has only those. */
static void send_descriptors(int sock, const int fds[2])
{
	char control[CMSG_SPACE(2 * sizeof(int))] = {0}, byte = 'q';
	struct iovec part = {&byte, 1};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1,
	                   .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(2 * sizeof(int));
	memcpy(CMSG_DATA(c), fds, 2 * sizeof(int));
	ck_that(sendmsg(sock, &m, 0) == 1);
}

static void receive_descriptors(int sock, int fds[2])
{
	char control[CMSG_SPACE(2 * sizeof(int))] = {0}, byte;
	struct iovec part = {&byte, 1};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1,
	                   .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *c;

	ck_that(recvmsg(sock, &m, MSG_CMSG_CLOEXEC) == 1);
	c = CMSG_FIRSTHDR(&m);
	ck_that(c && c->cmsg_len == CMSG_LEN(2 * sizeof(int)));
	memcpy(fds, CMSG_DATA(c), 2 * sizeof(int));
}

static void use_descriptors(void *arg)
{
	struct ipck_queue *own;
	int fds[2];

	receive_descriptors(*(int *)arg, fds);
	ck_ok(ipck_queue_open_fds(&own, fds, NULL));
	close(fds[0]);
	close(fds[1]);
	put_text(own, "by descriptor");
	wait_readable((int)ck_ok(ipck_queue_fd(own)));
	ipck_queue_close(own);
}

START_TEST(handed_over_by_descriptors)
{
	int socks[2], fds[2];
	pid_t pid;

	ck_that(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks) == 0);
	pid = test_fork(use_descriptors, &socks[1]);
	make(_i);
	silence(queue);
	ck_ok(ipck_queue_fds(queue, fds));
	send_descriptors(socks[0], fds);
	wait_readable(ipck_queue_fd(queue));
	/* Until it has polled, too: the message stays. */
	test_join(pid);
	expect_text(queue, "by descriptor");
	silence(queue);
	close(socks[0]);
	close(socks[1]);
	end();
}
END_TEST

/* ---- names ---- */

/* Without its name it goes on ringing, also by one that has not rung before, and leaves no other name. */
START_TEST(unlinked_and_polled)
{
	struct ipck_queue *other;
	int fd;

	make(true);
	ck_ok(ipck_queue_open(&other, name, NULL));
	fd = (int)ck_ok(ipck_queue_fd(queue));
	silence(queue);
	ck_ok(ipck_queue_unlink(name));
	put_text(other, "after");
	ck_assert(is_readable(fd));
	expect_text(queue, "after");
	silence(queue);
	ipck_queue_close(other);
	ipck_queue_close(queue);
}
END_TEST

/* First asked for when the name is gone: an error, or a bell, but no name that nobody removes. */
START_TEST(unlinked_before_it_is_polled)
{
	int rc;

	make(true);
	ck_ok(ipck_queue_unlink(name));
	rc = ipck_queue_fd(queue);
	if (rc >= 0)
		silence(queue);
	put_text(queue, "x");
	expect_text(queue, "x");
	ipck_queue_close(queue);
}
END_TEST

/* Another that gets the name has another bell. */
START_TEST(the_next_of_that_name)
{
	struct ipck_queue *next;
	int fd, next_fd;

	make(true);
	fd = (int)ck_ok(ipck_queue_fd(queue));
	silence(queue);
	ck_ok(ipck_queue_unlink(name));
	ck_ok(ipck_queue_create(&next, name, IPCK_QUEUE_OPTS(.bytes = SMALL)));
	next_fd = (int)ck_ok(ipck_queue_fd(next));
	silence(next);
	put_text(queue, "old");
	ck_assert(is_readable(fd) && !is_readable(next_fd));
	put_text(next, "new");
	expect_text(queue, "old");
	silence(queue);
	ck_assert(is_readable(next_fd));
	expect_text(next, "new");
	silence(next);
	ipck_queue_close(next);
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("queue_fd");
	TCase *tc = test_case(s, "one");

	tcase_add_loop_test(tc, readable_while_there_is_something, 0, 4);
	tcase_add_loop_test(tc, it_never_is_too_full, 0, 2);
	tcase_add_loop_test(tc, all_that_rings, 0, 2);
	tcase_add_loop_test(tc, shutdown_rings, 0, 4);
	tc = test_case(s, "several");
	tcase_add_loop_test(tc, several_handles_and_epolls, 0, 2);
	tcase_add_loop_test(tc, several_readers, 0, 8);
	tcase_add_loop_test(tc, a_reader_is_killed, 0, 2);
	tc = test_case(s, "processes");
	tcase_add_loop_test(tc, another_process_rings, 0, 2);
	tcase_add_loop_test(tc, one_that_was_there_before_rings, 0, 2);
	tcase_add_loop_test(tc, handed_over_by_descriptors, 0, 2);
	tc = test_case(s, "names");
	tcase_add_test(tc, unlinked_and_polled);
	tcase_add_test(tc, unlinked_before_it_is_polled);
	tcase_add_test(tc, the_next_of_that_name);
	return test_main(s);
}
