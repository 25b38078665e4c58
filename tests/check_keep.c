/* SPDX-License-Identifier: MIT */
/* Which ends of pipes children, workers and spawned programs have. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "coll/pipe.h"
#include "ends.h"
#include "pool.h"
#include "process.h"

/* Every call with an end that this process does not have. */
static void expect_not_kept(struct ipck_pipe *p)
{
	struct ipck_waitable w = IPCK_WAIT_PIPE(p);
	const void *place;
	char byte;
	void *data;
	size_t size;
	int fds[2] = {0, 0};

	ck_err(ipck_pipe_send(p, "x", 1, IPCK_FOREVER), EBADF);
	ck_err(ipck_pipe_sendv(p, NULL, 0, IPCK_FOREVER), EBADF);
	ck_err(ipck_pipe_recv(p, &byte, 1, NULL, IPCK_FOREVER), EBADF);
	ck_err(ipck_pipe_recvv(p, NULL, 0, NULL, IPCK_FOREVER), EBADF);
	ck_err(ipck_pipe_recv_new(p, &data, &size, IPCK_FOREVER), EBADF);
	ck_err(ipck_pipe_poll(p, IPCK_FOREVER), EBADF);
	ck_err(ipck_pipe_reserve(p, 1, &data, IPCK_FOREVER), EBADF);
	ck_err(ipck_pipe_commit(p, 0), EBADF);
	ck_err(ipck_pipe_peek(p, &place, &size, IPCK_FOREVER), EBADF);
	ck_err(ipck_pipe_release(p), EBADF);
	ck_err(ipck_pipe_send_fds(p, fds, 1, IPCK_FOREVER), EBADF);
	ck_err(ipck_pipe_recv_fds(p, fds, 1, IPCK_FOREVER), EBADF);
	ck_err(ipck_pipe_fd(p), EBADF);
	ck_err(ipck_pipe_fds(p, fds), EBADF);
	ck_err(ipck_wait(&w, 1, IPCK_FOREVER), EBADF);
	ipck_pipe_cancel(p);
}

/* ---- start ---- */

static int answer(struct ipck_pipe *p)
{
	expect_text(p, "question");
	send_text(p, "answer");
	return 0;
}

static int keep_the_first(void *arg)
{
	(void)arg;
	expect_not_kept(ends[1]);
	answer(ends[0]);
	/* Its own are its own. */
	drop(1);
	expect_end(ends[0]);
	drop(0);
	make_pipe(0);
	send_text(ends[0], "own");
	expect_text(ends[1], "own");
	drop_both();
	return 0;
}

/* The end comes although the child lives. */
START_TEST(a_child_keeps_what_it_is_given)
{
	struct ipck_process *p;

	make_pipe(0);
	p = start(keep_the_first, NULL, IPCK_PROCESS_OPTS(.keep = (struct ipck_pipe *[]){ends[0]}, .keep_count = 1));
	drop(0);
	send_text(ends[1], "question");
	expect_text(ends[1], "answer");
	drop(1);
	expect_code(p, 0);
}
END_TEST

static int keep_none(void *arg)
{
	(void)arg;
	expect_not_kept(ends[0]);
	expect_not_kept(ends[1]);
	return child_pause(NULL);
}

START_TEST(a_child_keeps_none)
{
	struct ipck_process *p;

	make_pipe(0);
	p = start(keep_none, NULL, IPCK_PROCESS_OPTS(.keep = (struct ipck_pipe *[]){NULL}));
	send_text(ends[0], "on");
	expect_text(ends[1], "on");
	drop(0);
	expect_end(ends[1]);
	drop(1);
	kill_and_close(p);
}
END_TEST

static int keep_all(void *arg)
{
	(void)arg;
	drop(1);
	return answer(ends[0]);
}

START_TEST(a_child_keeps_all_by_default)
{
	struct ipck_process *p;

	make_pipe(0);
	p = start(keep_all, NULL, NULL);
	send_text(ends[1], "question");
	expect_text(ends[1], "answer");
	drop(0);
	expect_code(p, 0);
	expect_end(ends[1]);
	drop(1);
}
END_TEST

START_TEST(bad_options)
{
	struct ipck_process *p = NULL;

	ck_err(ipck_process_start(&p, child_nothing, NULL, IPCK_PROCESS_OPTS(.keep_count = 1)), EINVAL);
	ck_assert_ptr_null(p);
}
END_TEST

/* ---- pools ---- */

static int end_of(const void *in, void *out, const void *arg)
{
	int i = *(const int *)in;

	(void)arg;
	/* Another may be sending. */
	*(int *)out = ipck_pipe_send(ends[i], "x", 1, far_off());
	return 0;
}

static void expect_ends(struct ipck_pool *pool, int first, int second)
{
	int in[64], out[64];

	for (int i = 0; i < 64; i++)
		in[i] = i % 2;
	ck_that(ck_ok(ipck_pool_map(pool, end_of, in, 64, sizeof(int), out, sizeof(int), NULL, far_off())) == 0);
	for (int i = 0; i < 64; i++)
		ck_that(out[i] == (i % 2 ? second : first));
}

static void take_all(struct ipck_pipe *p)
{
	char byte;

	while (ipck_pipe_recv(p, &byte, 1, NULL, IPCK_NOWAIT) == 1)
		;
}

START_TEST(workers_have_none_by_default)
{
	struct ipck_pool *pool;

	make_pipe(0);
	pool = pool_new(_i, 2);
	expect_ends(pool, _i == THREADS ? 0 : -EBADF, _i == THREADS ? 0 : -EBADF);
	take_all(ends[0]);
	take_all(ends[1]);
	drop(0);
	/* Nor has their master. */
	expect_end(ends[1]);
	pool_end(pool);
	drop(1);
}
END_TEST

static void kill_a_worker(struct ipck_pool *pool)
{
	pid_t pids[2];

	ck_that(ipck_pool_pids(pool, pids, 2) == 2);
	ck_that(kill(pids[0], SIGKILL) == 0);
	TEST_UNTIL(has_died(pids[0]));
}

START_TEST(workers_keep_what_they_are_given)
{
	struct ipck_pool *pool;
	pid_t master;

	make_pipe(0);
	ck_ok(ipck_pool_create(
		&pool, IPCK_POOL_OPTS(.workers = 2, .keep = (struct ipck_pipe *[]){ends[1]}, .keep_count = 1)));
	expect_ends(pool, -EBADF, 0);
	/* So do those that come later. */
	kill_a_worker(pool);
	expect_ends(pool, -EBADF, 0);
	master = pool_figures(pool).master;
	ck_that(kill(master, SIGKILL) == 0);
	TEST_UNTIL(has_died(master));
	expect_ends(pool, -EBADF, 0);
	take_all(ends[0]);
	drop(1);
	expect_nothing(ends[0]);
	pool_end(pool);
	expect_end(ends[0]);
	drop(0);
}
END_TEST

START_TEST(bad_options_of_pools)
{
	struct ipck_pool *pool = NULL;

	ck_err(ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = 1, .keep_count = 1)), EINVAL);
	ck_assert_ptr_null(pool);
}
END_TEST

/* ---- spawned programs: this one, with the name of a job ---- */

static int answer_job(void)
{
	struct ipck_pipe *p = NULL, *again = NULL;
	int fd, fds = count_fds();

	if (ipck_pipe_inherited(&p, "none") != -ENOENT || ipck_pipe_inherited(&p, "bad name") != -EINVAL)
		return 2;
	if (ipck_inherited("talk") != -EPROTO || ipck_pipe_inherited(&p, "file") != -EPROTO || p)
		return 3;
	if (ipck_pipe_inherited(&p, "talk") < 0)
		return 4;
	/* Once. */
	if (ipck_pipe_inherited(&again, "talk") != -ENOENT || ipck_inherited("talk") != -ENOENT || again)
		return 5;
	fd = ipck_inherited("file");
	if (fd < 0 || close(fd) < 0)
		return 6;
	answer(p);
	/* No other copy of it is there, and none of another end. */
	expect_end(p);
	ipck_pipe_close(p);
	return count_fds() == fds - 3 ? 0 : 7;
}

static int damaged_job(void)
{
	struct ipck_pipe *p = NULL;
	int rc = ipck_pipe_inherited(&p, "talk");

	return p ? 255 : -rc;
}

static int do_job(char **argv)
{
	return strcmp(argv[1], "answer") == 0 ? answer_job() : damaged_job();
}

static struct ipck_process *spawn(const char *job, const struct ipck_process_opts *opts)
{
	char *argv[] = {(char[]){"keep"}, (char *)job, NULL};
	struct ipck_process *p = NULL;

	ck_ok(ipck_process_spawn(&p, own_path(), argv, opts));
	return p;
}

START_TEST(a_pipe_is_passed)
{
	struct ipck_process *p;
	struct ipck_pass pass[2] = {{.name = "file", .fd = 0}, {.name = "talk"}};

	make_pipe(0);
	pass[1].pipe = ends[0];
	p = spawn("answer", IPCK_PROCESS_OPTS(.pass = pass, .pass_count = 2));
	drop(0);
	send_text(ends[1], "question");
	expect_text(ends[1], "answer");
	drop(1);
	expect_code(p, 0);
}
END_TEST

START_TEST(not_to_be_passed)
{
	char *argv[] = {(char[]){"keep"}, (char[]){"damaged"}, NULL};
	struct ipck_pass pass[2] = {{.name = "talk"}, {.name = "talk"}};
	struct ipck_process_opts opts = {.size = sizeof(opts), .pass = pass, .pass_count = 2};
	struct ipck_process *p = NULL;

	make_pipe(0);
	pass[0].pipe = pass[1].pipe = ends[0];
	ck_err(ipck_process_spawn(&p, own_path(), argv, &opts), EINVAL);
	pass[1].name = "no name";
	ck_err(ipck_process_spawn(&p, own_path(), argv, &opts), EINVAL);
	ck_err(ipck_process_spawn(&p, own_path(), argv, IPCK_PROCESS_OPTS(.pass_count = 1)), EINVAL);
	drop_both();
}
END_TEST

/* What the variable says is not believed. */
static const struct {
	const char *list;
	int error;
} damages[] = {
	{"", ENOENT},
	{"other:1", ENOENT},
	{"other:1+2", ENOENT},
	{"talk", EPROTO},
	{"talk:", EPROTO},
	{"talk:x", EPROTO},
	{"talk:1", EPROTO},
	{"talk:1+", EPROTO},
	{"talk:1+2+0", EPROTO},
	{"talk:1x", EPROTO},
	{"talk:-1+-1", EPROTO},
	{"talk:0+1", EPROTO},
	{"talk:77+78", EPROTO},
	{"talk:99999999999+1", EPROTO},
	{"talk:2147483647+2147483647", EPROTO},
	{":1+2,talk:1+2", EPROTO},
	{",talk:1+2", EPROTO},
	{"other:1+,talk:1+2", EPROTO},
	{"other:1;talk:1+2", EPROTO},
};

START_TEST(a_damaged_variable)
{
	/* execve gives it as it is; a spawn of ours would leave it out. */
	char text[100], *argv[] = {(char[]){"keep"}, (char[]){"damaged"}, NULL}, *env[] = {text, NULL};
	int status;
	pid_t pid;

	snprintf(text, sizeof(text), "IPCK_INHERITED=%s", damages[_i].list);
	pid = fork();
	if (pid == 0) {
		execve(own_path(), argv, env);
		_exit(254);
	}
	status = test_wait(pid);
	ck_assert_msg(status == damages[_i].error << 8, "%s: %x", damages[_i].list, (unsigned)status);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *s;
	TCase *process, *pool, *pass;

	if (argc > 1)
		return do_job(argv);
	s = suite_create("keep");
	process = test_case_primed(s, "process", prime_process);
	pool = pool_case(s, "pool");
	pass = test_case_primed(s, "pass", prime_process);
	tcase_add_test(process, a_child_keeps_what_it_is_given);
	tcase_add_test(process, a_child_keeps_none);
	tcase_add_test(process, a_child_keeps_all_by_default);
	tcase_add_test(process, bad_options);
	pool_test(pool, workers_have_none_by_default);
	tcase_add_test(pool, workers_keep_what_they_are_given);
	tcase_add_test(pool, bad_options_of_pools);
	tcase_add_test(pass, a_pipe_is_passed);
	tcase_add_test(pass, not_to_be_passed);
	tcase_add_loop_test(pass, a_damaged_variable, 0, sizeof(damages) / sizeof(damages[0]));
	return test_main(s);
}
