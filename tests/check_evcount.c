/* SPDX-License-Identifier: MIT */
/* The event count, among threads and among processes, and what a kill leaves of it. */
#include "base/evcount.h"

#include "support.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#ifdef HAVE_FUTEX
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

#include "base/clock.h"

static uint32_t sleepers(const struct evcount *e)
{
	return (uint32_t)(load_seq(&e->word) >> 32);
}

static uint32_t sequence(const struct evcount *e)
{
	return (uint32_t)load_seq(&e->word);
}

static bool is_set(void *arg)
{
	return load_seq((uint32_t *)arg) != 0;
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

/* ---- one waiter, one notifier ---- */

struct state {
	struct evcount e;
	uint32_t set, ready;
};

START_TEST(without_sleepers_nothing_happens)
{
	struct evcount e = {0};

	/* The word shows it: a wake-up would have moved the sequence. */
	ck_assert(!evcount_sleepers(&e));
	evcount_notify(&e, 1);
	evcount_notify(&e, EVCOUNT_ALL);
	ck_assert_uint_eq(e.word, 0);
}
END_TEST

/* A notifier has taken it from the bound already: what is there is another one. */
START_TEST(who_was_told_takes_nothing_back)
{
	struct evcount e = {0};
	uint32_t key = evcount_prepare(&e);

	evcount_notify(&e, EVCOUNT_ALL);
	ck_assert(!evcount_sleepers(&e));
	(void)evcount_prepare(&e);
	evcount_cancel(&e, key);
	ck_assert(evcount_sleepers(&e));
	evcount_cancel(&e, sequence(&e));
	ck_assert(!evcount_sleepers(&e));
}
END_TEST

struct told_once {
	struct evcount e;
	unsigned tests;
	bool again;
};

/* Told of something else before it sleeps, the waiter has to say again that it does. */
static bool tell_at_the_second(void *arg)
{
	struct told_once *t = arg;

	if (++t->tests == 2)
		evcount_notify(&t->e, EVCOUNT_ALL);
	t->again = evcount_sleepers(&t->e);
	return t->tests == 3;
}

START_TEST(who_was_told_is_counted_again)
{
	struct told_once t = {0};

	ck_ok(evcount_await(&t.e, tell_at_the_second, &t, ipck_in_sec(20)));
	ck_assert_uint_eq(t.tests, 3);
	ck_assert(t.again);
	ck_assert(!evcount_sleepers(&t.e));
}
END_TEST

START_TEST(what_is_true_needs_no_wait)
{
	struct evcount e = {0};
	uint32_t set = 1;

	ck_ok(evcount_await(&e, is_set, &set, IPCK_NOWAIT));
	ck_ok(evcount_await(&e, is_set, &set, IPCK_FOREVER));
	ck_assert_uint_eq(e.word, 0);
}
END_TEST

START_TEST(waits_end_by_their_deadline)
{
	struct evcount e = {0};
	struct ipck_deadline soon = ipck_in_ms(20);

	ck_err(evcount_await(&e, never, NULL, IPCK_NOWAIT), ETIMEDOUT);
	ck_err(evcount_await(&e, never, NULL, soon), ETIMEDOUT);
	ck_assert(ipck_deadline_passed(soon));
	ipck_interrupt();
	ck_err(evcount_await(&e, never, NULL, ipck_interruptible(IPCK_FOREVER)), ECANCELED);
	ipck_interrupt_clear();
	/* Each took itself back. */
	ck_assert_uint_eq(e.word, 0);
}
END_TEST

START_TEST(the_sequence_wraps_without_a_carry)
{
	struct evcount e = {.word = UINT32_MAX};
	uint32_t key = evcount_prepare(&e);

	ck_assert_uint_eq(key, UINT32_MAX);
	ck_assert_uint_eq(sleepers(&e), 1);
	evcount_notify(&e, EVCOUNT_ALL);
	ck_assert_uint_eq(e.word, 0);
	/* The notifier has counted it out already. */
	evcount_cancel(&e, key);
	ck_assert_uint_eq(e.word, 0);
}
END_TEST

START_TEST(a_change_after_prepare_is_no_sleep)
{
	struct evcount e = {0};
	uint32_t key = evcount_prepare(&e);

	evcount_notify(&e, 1);
	ck_assert_uint_ne(sequence(&e), key);
	/* For ever, but the sequence is not the key any more. */
	ck_ok(evcount_wait(&e, key, IPCK_FOREVER));
	evcount_cancel(&e, key);
	ck_assert_uint_eq(sleepers(&e), 0);
}
END_TEST

/* ---- no wake-up is lost ---- */

#define ROUNDS 10000

struct game {
	struct evcount e[2];
	uint32_t turn;
	uint32_t notified[2]; /* how often each has ended its notify */
};

/*
 * Waits for its turn.  If the turn came while it was registered, then, once the
 * notifier is through, the sequence has moved: it was seen, and woken.  What a
 * tick would hide is seen here.
 */
static void await_turn(struct game *g, uint32_t me, uint32_t round)
{
	struct evcount *e = &g->e[me];

	while (load_seq(&g->turn) != 2 * round + me) {
		uint32_t key = evcount_prepare(e);

		if (load_seq(&g->turn) == 2 * round + me) {
			evcount_cancel(e, key);
			break;
		}
		ck_ok(evcount_wait(e, key, ipck_in_sec(20)));
		if (load_seq(&g->turn) != 2 * round + me) {
			evcount_cancel(e, key);
			continue;
		}
		while (load_acquire(&g->notified[!me]) < round + me)
			usleep(1);
		ck_that(sequence(e) != key);
	}
}

static void play(unsigned me, void *arg)
{
	struct game *g = arg;

	for (uint32_t round = 0; round < ROUNDS; round++) {
		await_turn(g, me, round);
		store_seq(&g->turn, 2 * round + me + 1);
		evcount_notify(&g->e[!me], 1);
		store_release(&g->notified[me], round + 1);
	}
}

START_TEST(ping_pong)
{
	struct game *g = test_shared(sizeof(*g));

	if (_i)
		test_processes(2, play, g);
	else
		test_threads(2, play, g);
	ck_assert_uint_eq(g->turn, 2 * ROUNDS);
}
END_TEST

/* Tokens: one notify(1) for each that is put; all are taken by somebody. */

#define TAKERS 3
#define PUTTERS 2
#define TOKENS 4000

struct tokens {
	struct evcount e;
	uint32_t there, taken, ended;
};

static bool take_token(void *arg)
{
	struct tokens *t = arg;
	uint32_t n = load_seq(&t->there);

	while (n > 0)
		if (cas_seq(&t->there, &n, n - 1)) {
			add_relaxed(&t->taken, 1);
			return true;
		}
	return load_seq(&t->ended) == PUTTERS && load_seq(&t->there) == 0;
}

static void put_or_take(unsigned i, void *arg)
{
	struct tokens *t = arg;

	if (i < PUTTERS) {
		for (int n = 0; n < TOKENS; n++) {
			add_seq(&t->there, 1);
			evcount_notify(&t->e, 1);
		}
		add_seq(&t->ended, 1);
		evcount_notify(&t->e, EVCOUNT_ALL);
		return;
	}
	while (load_seq(&t->ended) < PUTTERS || load_seq(&t->there) > 0)
		ck_ok(evcount_await(&t->e, take_token, t, ipck_in_sec(20)));
}

START_TEST(every_token_is_taken)
{
	struct tokens *t = test_shared(sizeof(*t));

	if (_i)
		test_processes(PUTTERS + TAKERS, put_or_take, t);
	else
		test_threads(PUTTERS + TAKERS, put_or_take, t);
	ck_assert_uint_eq(t->taken, PUTTERS * TOKENS);
	ck_assert_uint_eq(t->there, 0);
}
END_TEST

/* ---- how many are woken ---- */

#ifdef HAVE_FUTEX

#define SLEEPERS 5

/* Sleeps without a tick, so that only a wake-up ends it. */
static void sleep_once(void *arg)
{
	struct state *s = arg;
	uint32_t *word = (uint32_t *)&s->e.word + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
	uint32_t key = evcount_prepare(&s->e);

	while (load_seq(word) == key)
		syscall(SYS_futex, word, FUTEX_WAIT, key, NULL, NULL, 0);
	add_relaxed(&s->ready, 1);
}

static void start_sleepers(struct state *s, pid_t *pids)
{
	for (int i = 0; i < SLEEPERS; i++)
		pids[i] = test_fork(sleep_once, s);
	for (int i = 0; i < SLEEPERS; i++)
		TEST_UNTIL(sleepers(&s->e) == SLEEPERS && test_state(pids[i]) == 'S');
}

static unsigned count_zombies(const pid_t *pids)
{
	unsigned n = 0;

	for (int i = 0; i < SLEEPERS; i++)
		n += test_state(pids[i]) == 'Z';
	return n;
}

START_TEST(notify_wakes_no_more_than_asked)
{
	struct state *s = test_shared(sizeof(*s));
	pid_t pids[SLEEPERS];

	start_sleepers(s, pids);
	evcount_notify(&s->e, 2);
	/* The kernel has woken two, or three would not be left of five. */
	ck_assert_uint_eq(sleepers(&s->e), SLEEPERS - 2);
	ck_assert_uint_eq(sequence(&s->e), 1);
	TEST_UNTIL(load_acquire(&s->ready) == 2);
	TEST_UNTIL(count_zombies(pids) == 2);
	evcount_notify(&s->e, EVCOUNT_ALL);
	ck_assert_uint_eq(sleepers(&s->e), 0);
	test_join_all(pids, SLEEPERS);
	ck_assert_uint_eq(s->ready, SLEEPERS);
}
END_TEST

START_TEST(the_killed_are_counted_out)
{
	struct state *s = test_shared(sizeof(*s));
	pid_t pids[SLEEPERS];

	start_sleepers(s, pids);
	for (int i = 1; i < SLEEPERS; i++)
		test_kill(pids[i]);
	/* The bound is too high; it takes one system call for nothing to see that. */
	ck_assert_uint_eq(sleepers(&s->e), SLEEPERS);
	evcount_notify(&s->e, 2);
	ck_assert_uint_eq(s->e.word, 1);
	test_join(pids[0]);
	evcount_notify(&s->e, EVCOUNT_ALL);
	ck_assert_uint_eq(s->e.word, 1);
}
END_TEST

#endif

/* ---- kills ---- */

static void wait_until_set(void *arg)
{
	struct state *s = arg;

	store_release(&s->ready, 1);
	ck_ok(evcount_await(&s->e, is_set, &s->set, IPCK_FOREVER));
}

START_TEST(a_killed_waiter_leaves_a_bound_too_high)
{
	struct state *s = test_shared(sizeof(*s));
	pid_t pid = test_fork(wait_until_set, s);

	TEST_UNTIL(sleepers(&s->e) == 1 && test_state(pid) == 'S');
	test_kill(pid);
	ck_assert_uint_eq(sleepers(&s->e), 1);
	ck_assert_uint_eq(sequence(&s->e), 0);
	store_seq(&s->set, 1);
	evcount_notify(&s->e, EVCOUNT_ALL);
	ck_assert_uint_eq(s->e.word, 1);
	evcount_notify(&s->e, EVCOUNT_ALL);
	ck_assert_uint_eq(s->e.word, 1);
}
END_TEST

START_TEST(a_wake_up_that_never_came_is_made_good)
{
	struct state *s = test_shared(sizeof(*s));
	pid_t pid = test_fork(wait_until_set, s);

	TEST_UNTIL(sleepers(&s->e) == 1 && test_state(pid) == 'S');
	/* A notifier killed after its store: nobody notifies. */
	store_seq(&s->set, 1);
	test_join(pid);
	ck_assert_uint_eq(s->e.word, 0);
}
END_TEST

/* A test that takes: true from its third time on, first after the sleep. */
struct taking {
	struct evcount e;
	unsigned asked, taken;
};

static bool take_later(void *arg)
{
	struct taking *t = arg;

	if (++t->asked < 3)
		return false;
	t->taken++;
	return true;
}

static bool nobody_is_dead(void *arg)
{
	(void)arg;
	return false;
}

START_TEST(what_is_taken_at_a_look_is_taken_once)
{
	const struct ipck_deadline deadlines[] = {IPCK_FOREVER, IPCK_NOWAIT};
	struct taking t = {0};

	ck_ok(evcount_await_looking(&t.e, take_later, nobody_is_dead, &t, deadlines[_i]));
	ck_assert_uint_eq(t.taken, 1);
	ck_assert_uint_eq(sleepers(&t.e), 0);
}
END_TEST

static void notify_until_killed(void *arg)
{
	struct tokens *t = arg;

	for (;;) {
		add_seq(&t->there, 1);
		evcount_notify(&t->e, 1);
	}
}

static void take_until_killed(void *arg)
{
	struct tokens *t = arg;

	for (;;)
		(void)evcount_await(&t->e, take_token, t, IPCK_FOREVER);
}

/* Whoever dies, wherever: those who come after wait and wake as ever. */
START_TEST(kills_anywhere)
{
	struct tokens *t = test_shared(sizeof(*t));
	struct state *s = test_shared(sizeof(*s));
	struct test_random random = test_random(3);

	for (int round = 0; round < 40; round++) {
		pid_t waiter = test_fork(take_until_killed, t), notifier = test_fork(notify_until_killed, t), pid;

		usleep((useconds_t)test_random_below(&random, 3000));
		test_kill(round % 2 ? waiter : notifier);
		usleep((useconds_t)test_random_below(&random, 1000));
		test_kill(round % 2 ? notifier : waiter);
		s->e = t->e;
		s->set = 0;
		pid = test_fork(wait_until_set, s);
		store_seq(&s->set, 1);
		evcount_notify(&s->e, 1);
		test_join(pid);
		evcount_notify(&s->e, EVCOUNT_ALL);
		ck_assert_uint_eq(sleepers(&s->e), 0);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("evcount");
	TCase *tc = test_case(s, "word");

	tcase_add_test(tc, without_sleepers_nothing_happens);
	tcase_add_test(tc, who_was_told_takes_nothing_back);
	tcase_add_test(tc, who_was_told_is_counted_again);
	tcase_add_test(tc, what_is_true_needs_no_wait);
	tcase_add_test(tc, waits_end_by_their_deadline);
	tcase_add_test(tc, the_sequence_wraps_without_a_carry);
	tcase_add_test(tc, a_change_after_prepare_is_no_sleep);
	tc = test_case(s, "wake-ups");
	tcase_add_loop_test(tc, ping_pong, 0, 2);
	tcase_add_loop_test(tc, every_token_is_taken, 0, 2);
#ifdef HAVE_FUTEX
	tcase_add_test(tc, notify_wakes_no_more_than_asked);
	tcase_add_test(tc, the_killed_are_counted_out);
#endif
	tc = test_case(s, "kills");
	tcase_add_test(tc, a_killed_waiter_leaves_a_bound_too_high);
	tcase_add_test(tc, a_wake_up_that_never_came_is_made_good);
	tcase_add_loop_test(tc, what_is_taken_at_a_look_is_taken_once, 0, 2);
	tcase_add_test(tc, kills_anywhere);
	return test_main(s);
}
