/* SPDX-License-Identifier: MIT */
/* The end of a parent: what becomes of its daemons, and of its other children. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/io.h"
#include "proc/local.h"
#include "process.h"

/* Shared with all: what the parent in the middle has started, and what became of it. */
struct record {
	pid_t pids[8];
	int ready;      /* how many of them run */
	int terminated; /* daemons that got SIGTERM */
	int done;       /* others that came to their end */
	int go;         /* the parent in the middle may end */
};

static struct record *record;

static void make_record(void)
{
	prime_process();
	record = test_shared(sizeof(*record));
}

static void ready(void)
{
	int n = __atomic_load_n(&record->ready, __ATOMIC_SEQ_CST);

	record->pids[n] = getpid();
	__atomic_store_n(&record->ready, n + 1, __ATOMIC_SEQ_CST);
}

/* Starts one, and waits until it runs. */
static struct ipck_process *start_ready(ipck_process_fn *fn, const struct ipck_process_opts *opts)
{
	int n = __atomic_load_n(&record->ready, __ATOMIC_SEQ_CST);
	struct ipck_process *p = start(fn, NULL, opts);

	TEST_UNTIL(__atomic_load_n(&record->ready, __ATOMIC_SEQ_CST) > n);
	return p;
}

static int stay(void *arg)
{
	ready();
	return child_pause(arg);
}

static int stay_blocked(void *arg)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	return stay(arg);
}

/* The first n in the record die, in the end. */
static void expect_dead(int n)
{
	for (int i = 0; i < n; i++)
		TEST_UNTIL(has_died(record->pids[i]));
}

/* The parent exits */

static void on_term(int sig)
{
	(void)sig;
	__atomic_add_fetch(&record->terminated, 1, __ATOMIC_SEQ_CST);
	_exit(0);
}

static int end_at_term(void *arg)
{
	signal(SIGTERM, on_term);
	return stay(arg);
}

static int refuse_term(void *arg)
{
	signal(SIGTERM, SIG_IGN);
	return stay(arg);
}

static int end_soon(void *arg)
{
	(void)arg;
	ready();
	usleep(20000);
	__atomic_add_fetch(&record->done, 1, __ATOMIC_SEQ_CST);
	return 0;
}

static void exit_with_all(void *arg)
{
	(void)arg;
	start_ready(end_at_term, IPCK_PROCESS_OPTS(.daemon = true));
	start_ready(refuse_term, IPCK_PROCESS_OPTS(.daemon = true, .group = true));
	start_ready(end_at_term, IPCK_PROCESS_OPTS(.daemon = true, .group = true));
	start_ready(end_soon, NULL);
	start_ready(end_soon, IPCK_PROCESS_OPTS(.group = true));
	exit(0);
}

START_TEST(exit_ends_daemons_and_joins_others)
{
	test_join(test_fork(exit_with_all, NULL));
	ck_assert_int_eq(record->terminated, 2);
	ck_assert_int_eq(record->done, 2);
	for (int i = 0; i < 5; i++)
		ck_assert(has_died(record->pids[i]));
}
END_TEST

/* Other threads join and close, while the exit handler waits for the same processes. */

static int end_at_go(void *arg)
{
	ready();
	while (!__atomic_load_n(&record->go, __ATOMIC_SEQ_CST))
		usleep(100);
	(void)arg;
	return 0;
}

static void *join_and_close(void *arg)
{
	expect_code(arg, 0);
	return NULL;
}

static void *let_go(void *arg)
{
	usleep(10000);
	__atomic_store_n(&record->go, 1, __ATOMIC_SEQ_CST);
	return arg;
}

static void exit_while_joining(void *arg)
{
	pthread_t thread;

	(void)arg;
	for (int i = 0; i < 4; i++) {
		struct ipck_process *p = start_ready(end_at_go, NULL);

		ck_that(pthread_create(&thread, NULL, join_and_close, p) == 0);
		pthread_detach(thread);
	}
	ck_that(pthread_create(&thread, NULL, let_go, NULL) == 0);
	pthread_detach(thread);
	exit(0);
}

START_TEST(exit_while_threads_close)
{
	test_join(test_fork(exit_while_joining, NULL));
	expect_dead(4);
}
END_TEST

/* The parent is killed */

static pid_t middle(void (*fn)(void *), void *arg, int daemons)
{
	pid_t pid = test_fork(fn, arg);

	TEST_UNTIL(__atomic_load_n(&record->ready, __ATOMIC_SEQ_CST) == daemons);
	return pid;
}

static void *start_in_thread(void *arg)
{
	start_ready(stay, IPCK_PROCESS_OPTS(.daemon = true));
	return arg;
}

static int stay_with_member(void *arg)
{
	if (fork() == 0)
		return stay(arg);
	TEST_UNTIL(__atomic_load_n(&record->ready, __ATOMIC_SEQ_CST) == 3);
	return stay(arg);
}

static int leave_member(void *arg)
{
	if (fork() == 0)
		return stay(arg);
	return 0;
}

static int stay_with_daemon(void *arg)
{
	ck_that(ipck_process_daemon(start_ready(stay, NULL)));
	return stay(arg);
}

static void have_daemons(void *arg)
{
	pthread_t thread;
	struct ipck_process *p;

	/* Started by a thread that has ended: it goes on. */
	ck_that(pthread_create(&thread, NULL, start_in_thread, NULL) == 0);
	pthread_join(thread, NULL);
	start_ready(stay_blocked, IPCK_PROCESS_OPTS(.daemon = true));
	start(stay_with_member, NULL, IPCK_PROCESS_OPTS(.daemon = true, .group = true));
	TEST_UNTIL(__atomic_load_n(&record->ready, __ATOMIC_SEQ_CST) == 4);
	p = start_ready(leave_member, IPCK_PROCESS_OPTS(.daemon = true, .group = true));
	ck_ok(ipck_process_join(p, IPCK_FOREVER));
	start(stay_with_daemon, NULL, IPCK_PROCESS_OPTS(.daemon = true));
	child_pause(arg);
}

START_TEST(daemons_die_with_a_killed_parent)
{
	pid_t pid = middle(have_daemons, NULL, 7);

	for (int i = 0; i < 7; i++)
		ck_assert(!has_died(record->pids[i]));
	kill(record->pids[1], SIGSTOP);
	test_kill(pid);
	expect_dead(7);
}
END_TEST

static void have_others(void *arg)
{
	start_ready(stay, NULL);
	start_ready(stay, IPCK_PROCESS_OPTS(.group = true));
	start_ready(stay, IPCK_PROCESS_OPTS(.daemon = true));
	child_pause(arg);
}

START_TEST(others_survive_a_killed_parent)
{
	test_kill(middle(have_others, NULL, 3));
	TEST_UNTIL(has_died(record->pids[2]));
	for (int i = 0; i < 2; i++) {
		ck_assert(!has_died(record->pids[i]));
		kill(record->pids[i], SIGKILL);
	}
	expect_dead(3);
}
END_TEST

/* The parent dies while its daemon is born: before that could be told of it. */

static void outlive_parent(void)
{
	pid_t parent = getppid();

	record->pids[0] = getpid();
	kill(parent, SIGKILL);
	/* A parent of several threads has its last descriptor closed a moment later. */
	TEST_UNTIL(getppid() != parent && io_ready(local.lifeline[0]));
	__atomic_store_n(&record->ready, 1, __ATOMIC_SEQ_CST);
}

static int come_to_life(void *arg)
{
	__atomic_store_n(&record->done, 1, __ATOMIC_SEQ_CST);
	return child_pause(arg);
}

static void die_at_birth(void *arg)
{
	const struct ipck_process_opts opts = {.size = sizeof(opts), .daemon = true, .group = *(int *)arg};
	struct ipck_process *p;

	pthread_atfork(NULL, NULL, outlive_parent);
	ck_ok(ipck_process_start(&p, come_to_life, arg, &opts));
	child_pause(arg);
}

START_TEST(a_daemon_is_not_born_without_a_parent)
{
	int group = _i;
	pid_t pid = middle(die_at_birth, &group, 1);

	expect_dead(1);
	test_kill(pid);
	ck_assert_int_eq(record->done, 0);
}
END_TEST

/* What the parent forks without the library does not keep its daemons alive. */

static void have_plain_forks(void *arg)
{
	for (int i = 0; i < 2; i++) {
		if (fork() == 0)
			stay(arg);
		TEST_UNTIL(__atomic_load_n(&record->ready, __ATOMIC_SEQ_CST) == 2 * i + 1);
		start_ready(stay, IPCK_PROCESS_OPTS(.daemon = true));
	}
	if (fork() == 0) {
		ready();
		execlp("sleep", "sleep", "1000", NULL);
	}
	child_pause(arg);
}

START_TEST(plain_forks_do_not_hold_the_lifeline)
{
	test_kill(middle(have_plain_forks, NULL, 5));
	TEST_UNTIL(has_died(record->pids[1]) && has_died(record->pids[3]));
	for (int i = 0; i < 5; i += 2) {
		ck_assert(!has_died(record->pids[i]));
		kill(record->pids[i], SIGKILL);
	}
	expect_dead(5);
}
END_TEST

/* Programs: the daemon, or its parent, executes one. */

static char sleep_path[] = "sleep", sleep_time[] = "1000";
static char *const sleep_argv[] = {sleep_path, sleep_time, NULL};

static int execute(void *arg)
{
	ready();
	execvp(sleep_argv[0], sleep_argv);
	(void)arg;
	return 127;
}

static void have_programs(void *arg)
{
	for (int i = 0; i < 2; i++) {
		const struct ipck_process_opts opts = {.size = sizeof(opts), .daemon = true, .group = i};
		struct ipck_process *p;

		ck_ok(ipck_process_spawn(&p, sleep_argv[0], sleep_argv, &opts));
		record->pids[record->ready] = ipck_process_pid(p);
		__atomic_add_fetch(&record->ready, 1, __ATOMIC_SEQ_CST);
		start_ready(execute, &opts);
	}
	TEST_UNTIL(__atomic_load_n(&record->go, __ATOMIC_SEQ_CST));
	execvp(sleep_argv[0], sleep_argv);
	(void)arg;
}

static bool is_sleep(pid_t pid)
{
	char path[64], name[16] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_that(fd >= 0 && read(fd, name, sizeof(name) - 1) > 0);
	close(fd);
	return strcmp(name, "sleep\n") == 0;
}

START_TEST(daemons_that_are_programs_die)
{
	pid_t pid = middle(have_programs, NULL, 4);

	for (int i = 0; i < 4; i++)
		TEST_UNTIL(is_sleep(record->pids[i]));
	if (_i == 1)
		record->go = 1;
	else
		kill(pid, SIGKILL);
	expect_dead(4);
	test_kill(pid);
}
END_TEST

/* Whatever the parent has done to itself before. */

static void change_user(void)
{
	if (geteuid() == 0)
		ck_that(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void close_streams(void)
{
	for (int i = 0; i < 3; i++)
		close(i);
}

static void do_nothing(void)
{
}

static void (*const peculiarities[])(void) = {do_nothing, close_streams, change_user};

static void have_peculiar(void *arg)
{
	void (*const peculiarity)(void) = *(void (**)(void))arg;
	const int null[3] = {IPCK_STDIO_NULL, IPCK_STDIO_NULL, IPCK_STDIO_NULL};

	if (peculiarity == change_user)
		prime_process();
	peculiarity();
	start_ready(stay, IPCK_PROCESS_OPTS(.daemon = true, .stdio = null, .cwd = "/"));
	start_ready(stay, IPCK_PROCESS_OPTS(.daemon = true));
	child_pause(arg);
}

START_TEST(daemons_of_a_peculiar_parent_die)
{
	void (*peculiarity)(void) = peculiarities[_i];

	test_kill(middle(have_peculiar, &peculiarity, 2));
	expect_dead(2);
}
END_TEST

/* A tree: each ends with what is above it, wherever it is cut. */

static int daemon_below(void *arg)
{
	int depth = *(int *)arg;

	ready();
	if (depth > 0) {
		depth--;
		start(daemon_below, &depth, NULL);
	}
	return child_pause(NULL);
}

static void have_tree(void *arg)
{
	int depth = 5;

	start(daemon_below, &depth, IPCK_PROCESS_OPTS(.daemon = true));
	child_pause(arg);
}

START_TEST(daemons_of_daemons_die)
{
	pid_t pid = middle(have_tree, NULL, 6);

	kill(record->pids[3], SIGKILL);
	for (int i = 3; i < 6; i++)
		TEST_UNTIL(has_died(record->pids[i]));
	for (int i = 0; i < 3; i++)
		ck_assert(!has_died(record->pids[i]));
	test_kill(pid);
	expect_dead(6);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("daemon");
	TCase *tc = test_case_primed(s, "daemon", make_record);

	tcase_add_test(tc, exit_ends_daemons_and_joins_others);
	tcase_add_test(tc, exit_while_threads_close);
	tcase_add_test(tc, daemons_die_with_a_killed_parent);
	tcase_add_loop_test(tc, a_daemon_is_not_born_without_a_parent, 0, 2);
	tcase_add_test(tc, others_survive_a_killed_parent);
	tcase_add_test(tc, plain_forks_do_not_hold_the_lifeline);
	tcase_add_loop_test(tc, daemons_that_are_programs_die, 0, 2);
	tcase_add_loop_test(tc, daemons_of_a_peculiar_parent_die, 0, 3);
	tcase_add_test(tc, daemons_of_daemons_die);
	return test_main(s);
}
