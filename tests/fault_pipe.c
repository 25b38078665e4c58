/* SPDX-License-Identifier: MIT */
/* Failing system calls: how pipes begin, here and in children. */
#include "fault_pipe.h"

#include <sys/wait.h>

/* ---- create, open ---- */

static void forget_ends(void)
{
	ends[0] = ends[1] = UNTOUCHED;
}

static void ends_untouched(void)
{
	ck_that(ends[0] == UNTOUCHED && ends[1] == UNTOUCHED);
}

static int create_one_way(void)
{
	return ipck_pipe_create(ends, IPCK_PIPE_OPTS(.one_way = true));
}

static void use_one_way(void)
{
	ck_err(ipck_pipe_send(ends[0], "x", 1, IPCK_NOWAIT), EBADF);
	send_text(ends[1], "on");
	expect_text(ends[0], "on");
	drop(1);
	expect_end(ends[0]);
	drop(0);
	forget_ends();
}

static int create(void)
{
	return ipck_pipe_create(ends, NULL);
}

static void use_both_ways(void)
{
	expect_both_ways(ends[0], ends[1]);
	drop_both();
	forget_ends();
}

static void forget_ends_and_close_streams(void)
{
	forget_ends();
	close_streams();
}

static struct ipck_pipe *copy;

static void copy_untouched(void)
{
	ck_that(copy == UNTOUCHED);
	expect_both_ways(ends[0], ends[1]);
}

static int open_copy(void)
{
	int fds[2];

	ck_ok(ipck_pipe_fds(ends[1], fds));
	return ipck_pipe_open_fds(&copy, fds);
}

static void use_copy(void)
{
	expect_both_ways(ends[0], copy);
	ipck_pipe_close(copy);
	copy = UNTOUCHED;
}

/* ---- inherit ---- */

static int given[2];

static void pass_to_ourselves(void)
{
	char text[64];

	make_default();
	ck_ok(ipck_pipe_fds(ends[1], given));
	for (int i = 0; i < 2; i++)
		given[i] = fcntl(given[i], F_DUPFD_CLOEXEC, 3);
	ck_that(given[0] > 2 && given[1] > 2);
	snprintf(text, sizeof(text), "talk:%d+%d", given[0], given[1]);
	setenv("IPCK_INHERITED", text, 1);
}

static int inherit(void)
{
	return ipck_pipe_inherited(&copy, "talk");
}

static void still_given(void)
{
	copy_untouched();
	ck_that(strncmp(getenv("IPCK_INHERITED"), "talk:", 5) == 0);
	ck_that(fcntl(given[0], F_GETFD, 0) >= 0 && fcntl(given[1], F_GETFD, 0) >= 0);
}

static void use_inherited(void)
{
	ck_that(fcntl(given[0], F_GETFD, 0) < 0 && fcntl(given[1], F_GETFD, 0) < 0);
	use_copy();
}

static void drop_inherited(void)
{
	unsetenv("IPCK_INHERITED");
	drop_both();
}

static void make_for_copy(void)
{
	make_default();
	copy = UNTOUCHED;
}

static void make_for_inheriting(void)
{
	pass_to_ourselves();
	copy = UNTOUCHED;
}

/* ---- processes ---- */

static struct ipck_process *process;

static void make_pipe_and_process(void)
{
	make_default();
	process = UNTOUCHED;
}

/* Its own calls are not to fail. */
static int answer(void *arg)
{
	const char *call;
	int error;

	(void)arg;
	fault_disarm(&call, &error);
	expect_text(ends[0], "question");
	send_text(ends[0], "answer");
	return 3;
}

static int start_with_keep(void)
{
	return ipck_process_start(&process, answer, NULL,
	                          IPCK_PROCESS_OPTS(.keep = (struct ipck_pipe *[]){ends[0]}, .keep_count = 1));
}

static int spawn_with_pass(void)
{
	char *argv[] = {(char[]){"fault_pipe"}, (char[]){"answer"}, NULL};

	return ipck_process_spawn(&process, "/proc/self/exe", argv,
	                          IPCK_PROCESS_OPTS(.pass = &(struct ipck_pass){.name = "talk", .pipe = ends[0]},
	                                            .pass_count = 1));
}

/* The program that is spawned. */
static int answer_by_name(void)
{
	return ipck_pipe_inherited(&ends[0], "talk") < 0 ? 1 : answer(NULL);
}

static void no_child(void)
{
	ck_that(process == UNTOUCHED);
	ck_that(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
	expect_both_ways(ends[0], ends[1]);
}

/* It has this end only: the other one's end comes. */
static void use_child(void)
{
	send_text(ends[1], "question");
	expect_text(ends[1], "answer");
	expect_code(process, 3);
	process = UNTOUCHED;
	expect_both_ways(ends[0], ends[1]);
}

/* What looks as if it were no socket is not an end; no process is told as no memory. */
static const struct scenario scenarios[] = {
	{"create one way", forget_ends, create_one_way, ends_untouched, use_one_way, nothing, EPROTO, 10},
	{"create", forget_ends, create, ends_untouched, use_both_ways, nothing, EPROTO, 10},
	{"create, no stdio", forget_ends_and_close_streams, create, ends_untouched, use_both_ways, reopen_streams,
         EPROTO, 12},
	{"open", make_for_copy, open_copy, copy_untouched, use_copy, drop_both, EPROTO, 6},
	{"inherit", make_for_inheriting, inherit, still_given, use_inherited, drop_inherited, EPROTO, 6},
	{"start", make_pipe_and_process, start_with_keep, no_child, use_child, drop_both, ENOMEM, 2},
	{"spawn", make_pipe_and_process, spawn_with_pass, no_child, use_child, drop_both, ENOMEM, 6},
};

START_TEST(each_call_fails)
{
	sweep_all(&scenarios[_i]);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *s = suite_create("fault_pipe");
	TCase *tc = test_case_primed(s, "faults", prime_process);

	if (argc == 2 && strcmp(argv[1], "answer") == 0)
		return answer_by_name();
	tcase_add_loop_test(tc, each_call_fails, 0, ARRAY_SIZE(scenarios));
	return test_main(s);
}
