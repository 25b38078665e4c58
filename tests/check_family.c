/* SPDX-License-Identifier: MIT */
/* Who is who: names, the current process, its parent and children; options; CPUs. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "process.h"

/* Names */

static int deep_names(void *arg)
{
	const char *mine = arg, *name = ipck_process_name(ipck_process_current());
	struct ipck_process *p, *q;
	char expected[64];

	ck_that(strcmp(name, mine) == 0);
	if (strlen(mine) > 14)
		return 1;
	snprintf(expected, sizeof(expected), "%s:1", mine);
	p = start(child_nothing, NULL, NULL);
	ck_that(strcmp(ipck_process_name(p), expected) == 0);
	snprintf(expected, sizeof(expected), "%s:2", mine);
	q = start(deep_names, expected, NULL);
	ck_that(strcmp(ipck_process_name(q), expected) == 0);
	expect_code(p, 0);
	expect_code(q, 1);
	return 1;
}

/* The one that the fixture started was the first. */
START_TEST(names_count_the_children)
{
	struct ipck_process *p = start(deep_names, (char[]){"Process-2"}, NULL), *q, *r;

	ck_assert_str_eq(ipck_process_name(p), "Process-2");
	q = start(child_nothing, NULL, IPCK_PROCESS_OPTS(.name = "worker"));
	r = start(child_nothing, NULL, NULL);
	ck_assert_str_eq(ipck_process_name(q), "worker");
	ck_assert_str_eq(ipck_process_name(r), "Process-4");
	expect_code(p, 1);
	ck_assert_str_eq(ipck_process_name(q), "worker");
	expect_code(q, 0);
	expect_code(r, 0);
}
END_TEST

static int named(void *arg)
{
	return strcmp(ipck_process_name(ipck_process_current()), arg) == 0 ? 0 : 1;
}

START_TEST(a_name_can_be_long)
{
	char name[1000];
	struct ipck_process *p;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (int i = 0; i < 3; i++) {
		p = start(named, name, IPCK_PROCESS_OPTS(.name = name));
		ck_assert_str_eq(ipck_process_name(p), name);
		expect_code(p, 0);
		name[i ? 0 : 500] = '\0';
	}
}
END_TEST

static int deeper(void *arg)
{
	int *level = arg;

	if (--*level == 0)
		return strlen(ipck_process_name(ipck_process_current())) > 40 ? 7 : 8;
	expect_code(start(deeper, level, NULL), 7);
	return 7;
}

START_TEST(names_of_many_generations)
{
	int level = 40;

	expect_code(start(deeper, &level, NULL), 7);
}
END_TEST

/* A plain fork is a main process again. */

static void plain_fork(void *arg)
{
	struct ipck_process *self = ipck_process_current();
	struct ipck_process *p = start(child_nothing, NULL, NULL);

	(void)arg;
	ck_assert_str_eq(ipck_process_name(self), "MainProcess");
	ck_assert_int_eq(ipck_process_pid(self), getpid());
	ck_assert(!ipck_process_daemon(self));
	ck_assert_ptr_null(ipck_process_parent());
	ck_assert_str_eq(ipck_process_name(p), "Process-1");
	ck_assert(!ipck_process_daemon(p));
	expect_code(p, 0);
}

static int fork_plainly(void *arg)
{
	ck_assert(ipck_process_daemon(ipck_process_current()));
	test_join(test_fork(plain_fork, arg));
	return 4;
}

START_TEST(a_plain_fork_is_a_main_process)
{
	test_join(test_fork(plain_fork, NULL));
	expect_code(start(fork_plainly, NULL, IPCK_PROCESS_OPTS(.daemon = true)), 4);
}
END_TEST

/* Also one that another thread makes in the middle of a start. */

#define FORKS 100

static void start_or_fork(unsigned i, void *arg)
{
	int *left = arg, status;

	if (i == 0) {
		while (__atomic_load_n(left, __ATOMIC_SEQ_CST))
			expect_code(start(child_nothing, NULL, NULL), 0);
		return;
	}
	for (int n = 0; n < FORKS; n++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(ipck_process_parent() || ipck_process_pid(ipck_process_current()) != getpid());
		ck_that(waitpid(pid, &status, 0) == pid);
		ck_that(status == 0);
	}
	__atomic_sub_fetch(left, 1, __ATOMIC_SEQ_CST);
}

START_TEST(plain_forks_beside_starts)
{
	int left = 2;

	test_threads(3, start_or_fork, &left);
}
END_TEST

/* Current and parent */

START_TEST(join_on_oneself)
{
	struct ipck_process *self = ipck_process_current();

	ck_err(ipck_process_join(self, IPCK_FOREVER), EDEADLK);
	ck_err(ipck_process_status(self, NULL, NULL), EBUSY);
	ck_err(ipck_process_close(self), EINVAL);
	ck_err(ipck_process_kill_group(self), EINVAL);
	ck_err(ipck_process_signal(self, NSIG), EINVAL);
	ck_ok(ipck_process_signal(self, 0));
	ck_assert(ipck_process_alive(self));
	ck_assert_int_eq(ipck_process_pid(self), getpid());
	ck_assert_str_eq(ipck_process_name(self), "MainProcess");
	ck_assert(!ipck_process_daemon(self));
	ck_assert_ptr_null(ipck_process_parent());
}
END_TEST

static int look_around(void *arg)
{
	struct ipck_process *self = ipck_process_current(), *parent = ipck_process_parent();

	ck_that(ipck_process_pid(self) == getpid());
	ck_that(parent && ipck_process_pid(parent) == *(const pid_t *)arg && getppid() == *(const pid_t *)arg);
	ck_that(strcmp(ipck_process_name(parent), "MainProcess") == 0);
	ck_that(ipck_process_alive(parent));
	ck_err(ipck_process_join(parent, IPCK_NOWAIT), ETIMEDOUT);
	ck_err(ipck_process_status(parent, NULL, NULL), ECHILD);
	ck_err(ipck_process_close(parent), EINVAL);
	ck_err(ipck_process_kill_group(parent), EINVAL);
	ck_err(ipck_process_join(self, IPCK_FOREVER), EDEADLK);
	ck_ok(ipck_process_signal(parent, 0));
	ck_that(ipck_process_children(NULL, 0) == 0);
	return 2;
}

START_TEST(a_child_knows_its_parent)
{
	pid_t pid = getpid();

	expect_code(start(look_around, &pid, NULL), 2);
}
END_TEST

struct orphan {
	pid_t parent;
	int born, outcome;
};

static int outlive(void *arg)
{
	struct orphan *o = arg;
	struct ipck_process *parent = ipck_process_parent();

	o->born = 1;
	ck_ok(ipck_process_join(parent, IPCK_FOREVER));
	ck_that(!ipck_process_alive(parent) && ipck_process_pid(parent) == o->parent);
	/* Its pid may be anybody's by now. */
	ck_ok(ipck_process_signal(parent, SIGKILL));
	o->outcome = 1;
	return 0;
}

static void be_killed(void *arg)
{
	struct orphan *o = arg;

	o->parent = getpid();
	start(outlive, o, NULL);
	child_pause(NULL);
}

START_TEST(a_child_notices_the_end_of_its_parent)
{
	struct orphan *o = test_shared(sizeof(*o));
	pid_t pid = test_fork(be_killed, o);

	TEST_UNTIL(o->born);
	ck_assert_int_eq(o->outcome, 0);
	test_kill(pid);
	TEST_UNTIL(o->outcome);
}
END_TEST

/* Children */

START_TEST(children_are_listed_and_reaped)
{
	struct ipck_process *p[4], *list[4] = {NULL};
	pid_t pid;

	for (int i = 0; i < 4; i++)
		p[i] = start(i == 1 ? child_nothing : child_pause, NULL, NULL);
	pid = ipck_process_pid(p[1]);
	TEST_UNTIL(ipck_process_children(list, 2) == 3);
	ck_assert_int_eq(test_state(pid), 0);
	ck_assert(list[0] == p[0] && list[1] == p[2] && list[2] == NULL);
	ck_assert_uint_eq(ipck_process_children(list, 4), 3);
	ck_assert(list[2] == p[3] && list[3] == NULL);
	expect_code(p[1], 0);
	kill_and_close(p[0]);
	ck_assert_uint_eq(ipck_process_children(list, 4), 2);
	ck_assert(list[0] == p[2] && list[1] == p[3]);
	kill_and_close(p[3]);
	kill_and_close(p[2]);
	ck_assert_uint_eq(ipck_process_children(NULL, 0), 0);
}
END_TEST

START_TEST(facts_are_fixed_at_start)
{
	struct ipck_process *p = start(child_pause, NULL, IPCK_PROCESS_OPTS(.daemon = true));
	pid_t pid = ipck_process_pid(p);

	ck_assert_int_gt(pid, 0);
	ck_assert(ipck_process_daemon(p));
	ck_ok(ipck_process_kill(p));
	ck_ok(ipck_process_join(p, IPCK_FOREVER));
	ck_assert_int_eq(ipck_process_pid(p), pid);
	ck_assert(ipck_process_daemon(p));
	expect(p, 0, SIGKILL);
}
END_TEST

/* Options */

static void refuse(ipck_process_fn *fn, const struct ipck_process_opts *opts, int error)
{
	struct ipck_process *const untouched = (struct ipck_process *)&errno, *p = untouched;
	int fds = count_fds();

	ck_err(ipck_process_start(&p, fn, NULL, opts), error);
	ck_assert_ptr_eq(p, untouched);
	ck_assert_int_eq(count_fds(), fds);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}

START_TEST(bad_options_are_refused)
{
	struct {
		struct ipck_process_opts opts;
		int newer;
	} later = {.opts = {.size = sizeof(later)}, .newer = 1};
	const struct ipck_pass pass = {"name", 0};
	char *env[] = {NULL};

	refuse(NULL, NULL, EINVAL);
	refuse(child_nothing, &later.opts, E2BIG);
	refuse(child_nothing, &(const struct ipck_process_opts){.size = 3}, EINVAL);
	refuse(child_nothing, IPCK_PROCESS_OPTS(.env = env), EINVAL);
	refuse(child_nothing, IPCK_PROCESS_OPTS(.pass = &pass, .pass_count = 1), EINVAL);
	refuse(child_nothing, IPCK_PROCESS_OPTS(.stdio = (int[]){0, 1, 999}), EBADF);
	refuse(child_nothing, IPCK_PROCESS_OPTS(.stdio = (int[]){0, -3, 2}, .daemon = true), EBADF);
	later.newer = 0;
	expect_code(start(child_nothing, NULL, &later.opts), 0);
}
END_TEST

static void refuse_locked(void *directory)
{
	if (geteuid() == 0)
		ck_that(setresuid(65534, 65534, 65534) == 0);
	prime_process();
	refuse(child_nothing, IPCK_PROCESS_OPTS(.cwd = directory), EACCES);
}

static int check_cwd(void *directory)
{
	char cwd[4096];

	return getcwd(cwd, sizeof(cwd)) && strcmp(cwd, directory) == 0 ? 5 : 6;
}

START_TEST(working_directory)
{
	char directory[] = "/tmp/ipck-cwd-XXXXXX";

	ck_that(mkdtemp(directory));
	expect_code(start(check_cwd, directory, IPCK_PROCESS_OPTS(.cwd = directory)), 5);
	ck_assert_int_eq(check_cwd(directory), 6);
	refuse(child_nothing, IPCK_PROCESS_OPTS(.cwd = "/proc/no such"), ENOENT);
	refuse(child_nothing, IPCK_PROCESS_OPTS(.cwd = ""), ENOENT);
	refuse(child_nothing, IPCK_PROCESS_OPTS(.cwd = "/proc/self/stat"), ENOTDIR);
	chmod(directory, 0);
	test_join(test_fork(refuse_locked, directory));
	rmdir(directory);
}
END_TEST

/* CPUs; tests/check_cpu has the quotas */

START_TEST(affinity_counts)
{
	int cpus = ipck_cpu_count();
	cpu_set_t was, one;

	ck_assert_int_ge(cpus, 1);
	ck_that(sched_getaffinity(0, sizeof(was), &was) == 0);
	ck_assert_int_le(cpus, CPU_COUNT(&was));
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	ck_that(sched_setaffinity(0, sizeof(one), &one) == 0);
	ck_assert_int_eq(ipck_cpu_count(), 1);
	ck_that(sched_setaffinity(0, sizeof(was), &was) == 0);
	ck_assert_int_eq(ipck_cpu_count(), cpus);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("family");
	TCase *tc = test_case_primed(s, "family", prime_process);

	tcase_add_test(tc, names_count_the_children);
	tcase_add_test(tc, a_name_can_be_long);
	tcase_add_test(tc, names_of_many_generations);
	tcase_add_test(tc, a_plain_fork_is_a_main_process);
	tcase_add_test(tc, plain_forks_beside_starts);
	tcase_add_test(tc, join_on_oneself);
	tcase_add_test(tc, a_child_knows_its_parent);
	tcase_add_test(tc, a_child_notices_the_end_of_its_parent);
	tcase_add_test(tc, children_are_listed_and_reaped);
	tcase_add_test(tc, facts_are_fixed_at_start);
	tcase_add_test(tc, bad_options_are_refused);
	tcase_add_test(tc, working_directory);
	tcase_add_test(tc, affinity_counts);
	return test_main(s);
}
