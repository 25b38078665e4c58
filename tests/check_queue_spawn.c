/* SPDX-License-Identifier: MIT */
/* Queues that spawned programs get, and what one that executes another program keeps. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "far.h"
#include "process.h"

/* ---- both sides ---- */

static void put(struct ipck_queue *q, const char *text)
{
	ck_ok(ipck_queue_put(q, text, strlen(text), far_off()));
}

/* As a program with an event loop gets it. */
static void expect_polled(struct ipck_queue *q, const char *text)
{
	struct pollfd p = {.fd = ipck_queue_fd(q), .events = POLLIN};
	char got[32];
	ssize_t n;

	ck_ok(p.fd);
	do {
		ck_that(poll(&p, 1, (int)(20000 * test_scale())) == 1 && p.revents == POLLIN);
		n = ipck_queue_get(q, got, sizeof(got), NULL, IPCK_NOWAIT);
	} while (n == -ETIMEDOUT);
	ck_that(n == (ssize_t)strlen(text) && memcmp(got, text, (size_t)n) == 0);
}

/* The first of the queue, once somebody who was killed does not have it any more. */
static void expect_back(struct ipck_queue *q, const char *text)
{
	char got[32];
	ssize_t n = ipck_queue_get(q, got, sizeof(got), NULL, far_off());

	ck_that(n == (ssize_t)strlen(text) && memcmp(got, text, (size_t)n) == 0);
}

static size_t held(struct ipck_queue *q)
{
	struct ipck_queue_stats stats = IPCK_QUEUE_STATS_INIT;

	ck_ok(ipck_queue_stat(q, &stats));
	return stats.held;
}

static uint64_t unfinished(struct ipck_queue *q)
{
	struct ipck_queue_stats stats = IPCK_QUEUE_STATS_INIT;

	ck_ok(ipck_queue_stat(q, &stats));
	return stats.unfinished;
}

/* Nothing can be got, and the bell is silent. */
static void expect_silent(struct ipck_queue *q)
{
	struct pollfd p = {.fd = ipck_queue_fd(q), .events = POLLIN};
	char byte;

	ck_err(ipck_queue_get(q, &byte, 1, NULL, IPCK_NOWAIT), ETIMEDOUT);
	ck_that(poll(&p, 1, 0) == 0);
}

/* ---- the program that the tests spawn: this one, with the name of a job ---- */

static int not_given(void)
{
	struct ipck_queue *q = NULL;
	struct ipck_pipe *p = NULL;

	if (ipck_queue_inherited(&q, "none") != -ENOENT || ipck_queue_inherited(&q, "bad name") != -EINVAL)
		return 2;
	if (ipck_queue_inherited(&q, "file") != -EPROTO || ipck_queue_inherited(&q, "pipe") != -EPROTO || q)
		return 3;
	if (ipck_inherited("work") != -EPROTO || ipck_pipe_inherited(&p, "work") != -EPROTO || p)
		return 4;
	return 0;
}

static int answer_job(void)
{
	struct ipck_queue *work, *answers, *again = NULL;
	struct ipck_pipe *pipe;
	int fds = count_fds(), fd, rc = not_given();

	if (rc)
		return rc;
	if (ipck_queue_inherited(&work, "work") < 0 || ipck_queue_inherited(&answers, "answers") < 0)
		return 5;
	/* Once. */
	if (ipck_queue_inherited(&again, "work") != -ENOENT || ipck_inherited("work") != -ENOENT || again)
		return 6;
	if (ipck_pipe_inherited(&pipe, "pipe") < 0)
		return 7;
	ipck_pipe_close(pipe);
	fd = ipck_inherited("file");
	if (fd < 0 || close(fd) < 0)
		return 8;
	put(answers, "ready");
	expect_polled(work, "question");
	expect_silent(work);
	put(answers, "answer");
	expect_polled(work, "thanks");
	ipck_queue_close(work);
	ipck_queue_close(answers);
	/* What it came with is gone, too. */
	return count_fds() == fds - 7 ? 0 : 9;
}

static int damaged_job(void)
{
	struct ipck_queue *q = NULL;
	int rc = ipck_queue_inherited(&q, "work");

	return q ? 255 : -rc;
}

static int peek_job(void)
{
	struct ipck_queue *q;
	struct ipck_queue_item item;

	if (ipck_queue_inherited(&q, "work") < 0 || ipck_queue_peek(q, &item, far_off()) < 0)
		return 2;
	return child_pause(NULL);
}

/* Has the first message, and becomes another program, which has nothing of it. */
static int execute_job(const char *name)
{
	char *argv[] = {(char[]){"queue"}, (char[]){"executed"}, (char *)name, NULL};
	struct ipck_queue *q;
	struct ipck_queue_item item;

	if (ipck_queue_open(&q, name, NULL) < 0 || ipck_queue_peek(q, &item, far_off()) < 0)
		return 2;
	execv("/proc/self/exe", argv);
	return 3;
}

/* Has room for a message, in the same way. */
static int reserve_job(const char *name)
{
	char *argv[] = {(char[]){"queue"}, (char[]){"executed"}, (char *)name, NULL};
	struct ipck_queue *q;
	void *room;

	if (ipck_queue_open(&q, name, NULL) < 0 || ipck_queue_reserve(q, 100, &room, far_off()) < 0)
		return 2;
	execv("/proc/self/exe", argv);
	return 3;
}

static int executed_job(const char *name)
{
	struct ipck_queue_item item = {.place = 0};
	struct ipck_queue *q;

	/* It was the first of all. */
	if (ipck_queue_open(&q, name, NULL) < 0 || ipck_queue_release(q, &item) != -EPERM)
		return 2;
	put(q, "executed");
	return child_pause(NULL);
}

static int do_job(char **argv)
{
	if (strcmp(argv[1], "answer") == 0)
		return answer_job();
	if (strcmp(argv[1], "peek") == 0)
		return peek_job();
	if (strcmp(argv[1], "execute") == 0)
		return execute_job(argv[2]);
	if (strcmp(argv[1], "reserve") == 0)
		return reserve_job(argv[2]);
	if (strcmp(argv[1], "executed") == 0)
		return executed_job(argv[2]);
	return damaged_job();
}

static struct ipck_process *spawn(const char *job, const char *word, const struct ipck_process_opts *opts)
{
	char *argv[] = {(char[]){"queue"}, (char *)job, (char *)word, NULL};
	struct ipck_process *p = NULL;

	ck_ok(ipck_process_spawn(&p, own_path(), argv, opts));
	return p;
}

/* ---- given ---- */

static void expect_given(struct ipck_queue *work, struct ipck_queue *answers)
{
	struct ipck_pass pass[] = {
		{.name = "file", .fd = 0},
		{.name = "pipe"},
		{.name = "work", .queue = work},
		{.name = "answers", .queue = answers},
	};
	struct ipck_pipe *ends[2];
	struct ipck_process *p;

	ck_ok(ipck_pipe_create(ends, NULL));
	pass[1].pipe = ends[0];
	p = spawn("answer", NULL, IPCK_PROCESS_OPTS(.pass = pass, .pass_count = 4));
	ipck_pipe_close(ends[0]);
	ipck_pipe_close(ends[1]);
	expect_polled(answers, "ready");
	put(work, "question");
	expect_polled(answers, "answer");
	expect_silent(answers);
	put(work, "thanks");
	expect_code(p, 0);
	/* It has closed its own only. */
	put(work, "on");
	expect_polled(work, "on");
	ipck_queue_close(work);
	ipck_queue_close(answers);
}

START_TEST(anonymous_queues_are_passed)
{
	struct ipck_queue *work, *answers;

	ck_ok(ipck_queue_create(&work, NULL, NULL));
	ck_ok(ipck_queue_create(&answers, NULL, NULL));
	expect_given(work, answers);
}
END_TEST

START_TEST(named_queues_are_passed)
{
	const char *name = test_name("work");
	struct ipck_queue *work, *answers;

	ck_ok(ipck_queue_create(&work, name, NULL));
	ck_ok(ipck_queue_create(&answers, NULL, NULL));
	expect_given(work, answers);
	ck_ok(ipck_queue_unlink(name));
}
END_TEST

START_TEST(a_killed_program_has_refused_it)
{
	struct ipck_pass pass = {.name = "work"};
	struct ipck_process *p;

	ck_ok(ipck_queue_create(&pass.queue, NULL, NULL));
	put(pass.queue, "first");
	p = spawn("peek", NULL, IPCK_PROCESS_OPTS(.pass = &pass, .pass_count = 1));
	TEST_UNTIL(held(pass.queue) == 1);
	kill_and_close(p);
	expect_back(pass.queue, "first");
	ipck_queue_close(pass.queue);
}
END_TEST

START_TEST(an_executed_program_keeps_it)
{
	const char *name = test_name("work");
	struct ipck_queue *q;
	struct ipck_process *p;

	ck_ok(ipck_queue_create(&q, name, NULL));
	put(q, "first");
	p = spawn("execute", name, NULL);
	TEST_UNTIL(held(q) == 1);
	expect_polled(q, "executed");
	expect_silent(q);
	ck_that(held(q) == 1);
	kill_and_close(p);
	expect_back(q, "first");
	ipck_queue_close(q);
	ck_ok(ipck_queue_unlink(name));
}
END_TEST

/* What is put behind its reservation can be got when it has ended. */
START_TEST(an_executed_program_keeps_its_room)
{
	const char *name = test_name("work");
	struct ipck_queue *q;
	struct ipck_process *p;
	char byte;

	ck_ok(ipck_queue_create(&q, name, IPCK_QUEUE_OPTS(.joinable = true)));
	p = spawn("reserve", name, NULL);
	TEST_UNTIL(unfinished(q) == 2);
	ck_err(ipck_queue_get(q, &byte, 1, NULL, IPCK_NOWAIT), ETIMEDOUT);
	ck_that(ck_ok(ipck_queue_size(q)) == 0 && unfinished(q) == 2);
	kill_and_close(p);
	expect_back(q, "executed");
	ck_that(unfinished(q) == 1);
	ck_ok(ipck_queue_task_done(q));
	ck_ok(ipck_queue_join(q, IPCK_NOWAIT));
	ipck_queue_close(q);
	ck_ok(ipck_queue_unlink(name));
}
END_TEST

/* ---- not given ---- */

START_TEST(not_to_be_passed)
{
	char *argv[] = {(char[]){"queue"}, (char[]){"damaged"}, NULL};
	struct ipck_pass both = {.name = "work"};
	const struct ipck_process_opts opts = {.size = sizeof(opts), .pass = &both, .pass_count = 1};
	struct ipck_process *p = NULL;
	struct ipck_pipe *ends[2];

	ck_ok(ipck_pipe_create(ends, NULL));
	ck_ok(ipck_queue_create(&both.queue, NULL, NULL));
	both.pipe = ends[0];
	ck_err(ipck_process_spawn(&p, own_path(), argv, &opts), EINVAL);
	ck_that(!p);
	ipck_queue_close(both.queue);
	ipck_pipe_close(ends[0]);
	ipck_pipe_close(ends[1]);
}
END_TEST

/* What the variable says is not believed. */
static const struct {
	const char *list;
	int error;
} damages[] = {
	{"", ENOENT},
	{"other:1+2", ENOENT},
	{"work:1", EPROTO},
	{"work:0+1", EPROTO},
	{"work:77+78", EPROTO},
	{"work:1+2+0", EPROTO},
};

START_TEST(damaged_variable)
{
	struct ipck_queue *q = NULL;

	setenv("IPCK_INHERITED", damages[_i].list, 1);
	ck_err(ipck_queue_inherited(&q, "work"), damages[_i].error);
	ck_that(!q);
	unsetenv("IPCK_INHERITED");
}
END_TEST

/* Two that are open, but not these, or the other way round. */
START_TEST(others_descriptors)
{
	struct ipck_queue *real, *q = NULL;
	char list[64];
	int fds[2], sockets[2];

	ck_ok(ipck_queue_create(&real, NULL, NULL));
	ck_ok(ipck_queue_fds(real, fds));
	ck_that(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sockets) == 0);
	const int pairs[][2] = {{fds[1], fds[0]}, {fds[0], sockets[0]}, {sockets[0], fds[1]}, {fds[1], fds[1]}};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		snprintf(list, sizeof(list), "work:%d+%d", pairs[i][0], pairs[i][1]);
		setenv("IPCK_INHERITED", list, 1);
		ck_err(ipck_queue_inherited(&q, "work"), EPROTO);
		ck_assert_str_eq(getenv("IPCK_INHERITED"), list);
		ck_that(!q);
	}
	unsetenv("IPCK_INHERITED");
	close(sockets[0]);
	close(sockets[1]);
	ipck_queue_close(real);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *s;
	TCase *tc;

	if (argc > 1)
		return do_job(argv);
	s = suite_create("queue_spawn");
	tc = test_case_primed(s, "queue_spawn", prime_process);
	tcase_add_test(tc, anonymous_queues_are_passed);
	tcase_add_test(tc, named_queues_are_passed);
	tcase_add_test(tc, a_killed_program_has_refused_it);
	tcase_add_test(tc, an_executed_program_keeps_it);
	tcase_add_test(tc, an_executed_program_keeps_its_room);
	tcase_add_test(tc, not_to_be_passed);
	tcase_add_loop_test(tc, damaged_variable, 0, sizeof(damages) / sizeof(damages[0]));
	tcase_add_test(tc, others_descriptors);
	return test_main(s);
}
