/* SPDX-License-Identifier: MIT */
/* Who is dead is proven: what cannot be told counts as alive. */
#include "base/ident.h"

#include "support.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic.h"

static void pause_forever(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

/* A child that tells who it is. */
static void tell_and_pause(void *arg)
{
	struct ident *id = arg;

	id->start = ident_self().start;
	store_release(&id->pid, ident_self().pid);
	pause_forever(NULL);
}

static pid_t start_child(struct ident *id, void (*fn)(void *))
{
	pid_t pid = test_fork(fn, id);

	TEST_UNTIL(load_acquire(&id->pid) != 0);
	ck_assert_int_eq(id->pid, pid);
	ck_assert_uint_ne(id->start, 0);
	return pid;
}

START_TEST(self_is_alive)
{
	struct ident self = ident_self(), again = ident_self();

	ck_assert_int_eq(self.pid, getpid());
	ck_assert_uint_ne(self.start, 0);
	ck_assert(self.pid == again.pid && self.start == again.start);
	ck_assert(!ident_dead(self));
	ck_assert(!tid_dead(getpid()));
}
END_TEST

START_TEST(nobody_is_not_dead)
{
	ck_assert(!ident_dead((struct ident){0}));
	ck_assert(!ident_dead((struct ident){.start = 12345}));
}
END_TEST

START_TEST(the_killed_are_dead)
{
	struct ident *id = test_shared(sizeof(*id));
	pid_t pid = start_child(id, tell_and_pause);

	ck_assert(!ident_dead(*id));
	ck_assert(!tid_dead(pid));
	kill(pid, SIGKILL);
#ifdef HAVE_PIDFD
	/* Before it is reaped, too. */
	TEST_UNTIL(test_state(pid) == 'Z');
	TEST_UNTIL(ident_dead(*id));
	ck_assert(tid_dead(pid));
#endif
	test_kill(pid);
	ck_assert(ident_dead(*id));
	ck_assert(tid_dead(pid));
	/* Also if its start time was not known. */
	id->start = 0;
	ck_assert(ident_dead(*id));
}
END_TEST

START_TEST(a_reused_pid_is_another_process)
{
	struct ident *id = test_shared(sizeof(*id)), other;
	pid_t pid = start_child(id, tell_and_pause);

	other = *id;
	other.start++;
	ck_assert(ident_dead(other));
	other.start = id->start - 1;
	ck_assert(ident_dead(other));
	/* A start time that could not be read tells nothing. */
	other.start = 0;
	ck_assert(!ident_dead(other));
	test_kill(pid);
}
END_TEST

START_TEST(the_stopped_are_alive)
{
	struct ident *id = test_shared(sizeof(*id));
	pid_t pid = start_child(id, tell_and_pause);

	kill(pid, SIGSTOP);
	TEST_UNTIL(test_state(pid) == 'T');
	ck_assert(!ident_dead(*id));
	test_kill(pid);
}
END_TEST

static void *pause_in_thread(void *arg)
{
	pause_forever(arg);
	return NULL;
}

/* proc(5) calls it a zombie, but a thread of it lives. */
static void end_main_thread(void *arg)
{
	struct ident *id = arg;
	pthread_t thread;

	ck_that(pthread_create(&thread, NULL, pause_in_thread, NULL) == 0);
	id->start = ident_self().start;
	store_release(&id->pid, ident_self().pid);
	pthread_exit(NULL);
}

START_TEST(without_its_main_thread_a_process_is_alive)
{
	struct ident *id = test_shared(sizeof(*id));
	pid_t pid = start_child(id, end_main_thread);

	TEST_UNTIL(test_state(pid) == 'Z');
	ck_assert(!ident_dead(*id));
	test_kill(pid);
	ck_assert(ident_dead(*id));
}
END_TEST

static void with_a_strange_name(void *arg)
{
	ck_that(prctl(PR_SET_NAME, "a) R 1 2 (3 4") == 0);
	tell_and_pause(arg);
}

START_TEST(any_name_is_read_over)
{
	struct ident *id = test_shared(sizeof(*id)), self = ident_self();
	pid_t pid = start_child(id, with_a_strange_name);

	ck_assert(!ident_dead(*id));
	/* In clock ticks since boot; it started after this process. */
	ck_assert_uint_ge(id->start, self.start);
	test_kill(pid);
}
END_TEST

/* Without descriptors nothing can be read: neither pidfd nor /proc. */
static void judge_blindly(void *arg)
{
	struct ident *id = arg;
	struct rlimit limit;

	/* The hard limit stays: valgrind lets nobody lower it. */
	ck_that(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = 0;
	ck_that(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	ck_that(!ident_dead(*id));
	ck_that(!ident_dead((struct ident){.pid = id->pid, .start = id->start + 1}));
	ck_that(!tid_dead((pid_t)id->pid));
}

START_TEST(what_cannot_be_read_is_alive)
{
	struct ident self = ident_self();

	test_join(test_fork(judge_blindly, &self));
}
END_TEST

START_TEST(damaged_idents_do_no_harm)
{
	static const uint32_t pids[] = {INT32_MAX, UINT32_MAX, UINT32_C(1) << 31, UINT32_MAX - 1};

	/* Dead or not, no matter; and nobody gets a signal. */
	for (size_t i = 0; i < sizeof(pids) / sizeof(*pids); i++)
		(void)ident_dead((struct ident){.pid = pids[i], .start = UINT64_MAX});
	ck_assert(ident_dead((struct ident){.pid = INT32_MAX}));
}
END_TEST

static void other_in_child(void *arg)
{
	struct ident *parent = arg, self = ident_self();

	ck_that(self.pid == (uint32_t)getpid() && self.pid != parent->pid);
	ck_that(self.start >= parent->start);
	ck_that(!ident_dead(self) && !ident_dead(*parent));
}

START_TEST(a_child_is_somebody_else)
{
	struct ident self = ident_self();

	test_join(test_fork(other_in_child, &self));
}
END_TEST

static void ask(unsigned i, void *arg)
{
	struct ident *answers = arg;

	answers[i] = ident_self();
}

/* The first to ask in a new process are threads, all at once. */
static void ask_in_threads(void *arg)
{
	struct ident answers[4];

	(void)arg;
	test_threads(4, ask, answers);
	for (int i = 0; i < 4; i++)
		ck_that(answers[i].pid == (uint32_t)getpid() && answers[i].start == ident_self().start);
}

START_TEST(threads_are_the_same_process)
{
	test_join(test_fork(ask_in_threads, NULL));
}
END_TEST

/* ---- threads ---- */

struct thread_state {
	pid_t tid;
	uint32_t end;
};

static void *live_until_told(void *arg)
{
	struct thread_state *t = arg;

	store_release(&t->tid, gettid());
	while (!load_acquire(&t->end))
		usleep(500);
	return NULL;
}

START_TEST(a_thread_lives_until_it_ends)
{
	struct thread_state t = {0};
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, live_until_told, &t), 0);
	TEST_UNTIL(load_acquire(&t.tid) != 0);
	ck_assert(!tid_dead(t.tid));
	store_release(&t.end, 1);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	TEST_UNTIL(tid_dead(t.tid));
}
END_TEST

START_TEST(the_pid_namespace_has_a_number)
{
	struct stat st;

	ck_assert_int_eq(stat("/proc/self/ns/pid", &st), 0);
	ck_assert_uint_eq(pid_namespace(), st.st_ino);
	ck_assert_uint_ne(pid_namespace(), 0);
}
END_TEST

static void in_its_own(void *arg)
{
	struct stat st;

	ck_that(stat("/proc/self/ns/pid", &st) == 0);
	ck_that(st.st_ino != *(uint64_t *)arg);
	ck_that(pid_namespace() == st.st_ino);
}

/* The first child that comes after is in a new one, where it has no parent to look for. */
static void leave_namespace(void *arg)
{
	pid_t pid;

	if (unshare(CLONE_NEWPID) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) < 0) {
		printf("no pid namespace can be made here\n");
		return;
	}
	pid = fork();
	ck_that(pid >= 0);
	if (pid == 0) {
		in_its_own(arg);
		_exit(0);
	}
	test_join(pid);
}

START_TEST(a_child_can_be_in_another_namespace)
{
	uint64_t here = pid_namespace();

	test_join(test_fork(leave_namespace, &here));
	ck_assert_uint_eq(pid_namespace(), here);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ident");
	TCase *tc = test_case(s, "processes");

	tcase_add_test(tc, self_is_alive);
	tcase_add_test(tc, nobody_is_not_dead);
	tcase_add_test(tc, the_killed_are_dead);
	tcase_add_test(tc, a_reused_pid_is_another_process);
	tcase_add_test(tc, the_stopped_are_alive);
	tcase_add_test(tc, without_its_main_thread_a_process_is_alive);
	tcase_add_test(tc, any_name_is_read_over);
	tcase_add_test(tc, what_cannot_be_read_is_alive);
	tcase_add_test(tc, damaged_idents_do_no_harm);
	tcase_add_test(tc, a_child_is_somebody_else);
	tcase_add_test(tc, threads_are_the_same_process);
	tc = test_case(s, "threads");
	tcase_add_test(tc, a_thread_lives_until_it_ends);
	tc = test_case(s, "namespaces");
	tcase_add_test(tc, the_pid_namespace_has_a_number);
	tcase_add_test(tc, a_child_can_be_in_another_namespace);
	return test_main(s);
}
