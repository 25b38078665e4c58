/* SPDX-License-Identifier: MIT */
/*
 * A process is killed when it has changed a state and is about to wake those who sleep
 * for it: they go on by themselves.  How long that takes is printed; 250 ms are promised.
 */
#include <errno.h>
#include <ipckit.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/spin.h"
#include "kill.h"
#include "support.h"

#define SLEEPERS 3u
#define LIMIT_MS 5000
/* Short in make check; else also after they have slept longer, when they look less often. */
#define ROUNDS 2
#define ROUNDS_LONG 8
#define ASLEEP_US 800000

/* One kind of object: what the notifier has before the others sleep, what they do, and what wakes them. */
struct kind {
	const char *name;
	uint32_t sleepers;
	void (*init)(void);
	void (*have)(void);
	void (*sleep)(void);
	void (*notify)(void);
};

/* Longer than LIMIT_MS, so that who is late is told from who is never woken. */
static struct ipck_deadline far_off(void)
{
	return ipck_in_sec(20 * test_scale());
}

static struct shared {
	union {
		struct ipck_lock lock;
		struct ipck_rlock rlock;
		struct ipck_semaphore semaphore;
		struct ipck_condition condition;
		struct ipck_event event;
		struct ipck_barrier barrier;
		struct ipck_counter counter;
	};
	uint32_t going;
	int64_t woken_at[SLEEPERS];
} *shared;

static void nothing(void)
{
}

/* ---- the objects ---- */

static void init_lock(void)
{
	ck_ok(ipck_lock_init(&shared->lock));
}

static void acquire_lock(void)
{
	ck_ok(ipck_lock_acquire(&shared->lock, far_off()));
}

static void release_lock(void)
{
	ck_ok(ipck_lock_release(&shared->lock));
}

static void use_lock(void)
{
	acquire_lock();
	release_lock();
}

static void init_rlock(void)
{
	ck_ok(ipck_rlock_init(&shared->rlock));
}

static void acquire_rlock(void)
{
	ck_ok(ipck_rlock_acquire(&shared->rlock, far_off()));
}

static void release_rlock(void)
{
	ck_ok(ipck_rlock_release(&shared->rlock));
}

static void use_rlock(void)
{
	acquire_rlock();
	release_rlock();
}

static void init_plain(void)
{
	ck_ok(ipck_semaphore_init(&shared->semaphore, 0, NULL));
}

static void init_recorded(void)
{
	ck_ok(ipck_semaphore_init(&shared->semaphore, SLEEPERS, IPCK_SEMAPHORE_OPTS(.recorded = true)));
}

static void acquire_semaphore(void)
{
	ck_ok(ipck_semaphore_acquire(&shared->semaphore, far_off()));
}

static void acquire_all_permits(void)
{
	for (unsigned i = 0; i < SLEEPERS; i++)
		acquire_semaphore();
}

static void release_semaphore(void)
{
	ck_ok(ipck_semaphore_release(&shared->semaphore, SLEEPERS));
}

static void init_condition(void)
{
	ck_ok(ipck_condition_init(&shared->condition, NULL));
}

static void wait_notified(void)
{
	ck_ok(ipck_condition_acquire(&shared->condition, far_off()));
	ck_that((ck_ok(ipck_condition_wait(&shared->condition, far_off())) & IPCK_TIMED_OUT) == 0);
	ck_ok(ipck_condition_release(&shared->condition));
}

static void notify_all(void)
{
	ck_ok(ipck_condition_acquire(&shared->condition, far_off()));
	ck_ok(ipck_condition_notify_all(&shared->condition));
	ck_ok(ipck_condition_release(&shared->condition));
}

static void init_event(void)
{
	ck_ok(ipck_event_init(&shared->event));
}

static void wait_event(void)
{
	ck_ok(ipck_event_wait(&shared->event, far_off()));
}

static void set_event(void)
{
	ck_ok(ipck_event_set(&shared->event));
}

static void init_barrier(void)
{
	ck_ok(ipck_barrier_init(&shared->barrier, SLEEPERS + 1, NULL));
}

static void wait_barrier(void)
{
	ck_ok(ipck_barrier_wait(&shared->barrier, NULL, far_off()));
}

static void init_counter(void)
{
	ck_ok(ipck_counter_init(&shared->counter, 0));
}

static void wait_counter(void)
{
	ck_ok(ipck_counter_wait(&shared->counter, IPCK_GT, 0, NULL, far_off()));
}

static void add_counter(void)
{
	ipck_counter_add(&shared->counter, 1);
}

static const struct kind kinds[] = {
	{"lock", 1, init_lock, acquire_lock, use_lock, release_lock},
	{"rlock", 1, init_rlock, acquire_rlock, use_rlock, release_rlock},
	{"semaphore", SLEEPERS, init_plain, nothing, acquire_semaphore, release_semaphore},
	{"recorded semaphore", SLEEPERS, init_recorded, acquire_all_permits, acquire_semaphore, release_semaphore},
	{"condition", SLEEPERS, init_condition, nothing, wait_notified, notify_all},
	{"event", SLEEPERS, init_event, nothing, wait_event, set_event},
	{"barrier", SLEEPERS, init_barrier, nothing, wait_barrier, wait_barrier},
	{"counter", SLEEPERS, init_counter, nothing, wait_counter, add_counter},
};
#define KINDS ((int)(sizeof(kinds) / sizeof(*kinds)))

/* ---- those who sleep ---- */

struct sleeper {
	const struct kind *kind;
	uint32_t number;
};

static void run_sleeper(void *arg)
{
	const struct sleeper *s = arg;

	add_seq(&shared->going, 1);
	s->kind->sleep();
	store_release(&shared->woken_at[s->number], clock_now());
}

static void start_sleepers(const struct kind *kind, pid_t *pids)
{
	for (uint32_t i = 0; i < kind->sleepers; i++)
		pids[i] = test_fork(run_sleeper, &(struct sleeper){kind, i});
	TEST_UNTIL(load_acquire(&shared->going) == kind->sleepers);
	for (uint32_t i = 0; i < kind->sleepers; i++)
		TEST_UNTIL(test_state(pids[i]) == 'S');
}

/* ---- the notifier ---- */

static void run_notifier(void *arg)
{
	const struct kind *kind = arg;

	kind->have();
	ck_that(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
	raise(SIGSTOP);
	kind->notify();
}

/* Until it stops; false: it has ended. */
static bool await_stop(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		ck_that(errno == EINTR);
	return WIFSTOPPED(status);
}

static pid_t start_notifier(const struct kind *kind)
{
	pid_t pid = test_fork(run_notifier, (void *)(uintptr_t)kind);

	ck_that(await_stop(pid));
	ck_that(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)) == 0);
	return pid;
}

static bool enters_wake(pid_t pid)
{
	struct __ptrace_syscall_info info;

	memset(&info, 0, sizeof(info));
	ck_that(ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(info), &info) > 0);
	return info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == SYS_futex &&
	       (info.entry.args[1] & FUTEX_CMD_MASK) == FUTEX_WAKE;
}

/* Returns when. */
static int64_t kill_before_wake(pid_t pid)
{
	int64_t now;

	do {
		ck_that(ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == 0);
		if (!await_stop(pid))
			ck_abort_msg("it ended, and woke nobody");
	} while (!enters_wake(pid));
	now = clock_now();
	test_kill(pid);
	return now;
}

/* ---- the test ---- */

/* Milliseconds until all that slept had gone on. */
static int64_t recover(const struct kind *kind, uint64_t asleep_us)
{
	pid_t notifier, pids[SLEEPERS];
	int64_t killed, last = 0;

	memset(shared, 0, sizeof(*shared));
	kind->init();
	notifier = start_notifier(kind);
	start_sleepers(kind, pids);
	usleep((useconds_t)asleep_us);
	killed = kill_before_wake(notifier);
	test_join_all(pids, kind->sleepers);
	for (uint32_t i = 0; i < kind->sleepers; i++)
		last = MAX(last, shared->woken_at[i]);
	return (last - killed) / NS_PER_MS;
}

START_TEST(test_lost_wake)
{
	const struct kind *kind = &kinds[_i];
	struct test_random random = test_random((uint64_t)_i);
	bool is_long = test_soak_seconds() > 5;
	int64_t longest = 0;

	spin_forbid();
	shared = test_shared(sizeof(*shared));
	for (int i = 0; i < (is_long ? ROUNDS_LONG : ROUNDS); i++)
		longest = MAX(longest, recover(kind, is_long ? test_random_below(&random, ASLEEP_US) : 0));
	printf("%s: %u asleep went on at most %lld ms after their wake-up was lost\n", kind->name, kind->sleepers,
	       (long long)longest);
	ck_assert_int_lt(longest, (int64_t)(LIMIT_MS * test_scale()));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kill_wake");
	TCase *tc = test_case(s, "lost");
	int status = kill_supported();

	if (status)
		return status;
#ifndef HAVE_FUTEX
	fprintf(stderr, "nobody is woken here: who sleeps looks again\n");
	return 77;
#endif
	test_set_limit(tc, 120);
	tcase_add_loop_test(tc, test_lost_wake, 0, KINDS);
	return test_main(s);
}
