/* SPDX-License-Identifier: MIT */
/* A map that ends before its items do: by its deadline, an interruption, terminate. */
#include <ipckit/pool.h>

#include "pool.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "pool/internal.h"

enum { N = 3000, LEFT = -77 };

/* Items below the limit go through, the others wait at the gate. */
static int wait_from(const void *in, void *out, const void *arg)
{
	const int *x = in, *limit = arg;

	if (*x >= *limit)
		meet_at_gate();
	*(int *)out = 2 * *x;
	return *x % 7 == 3 ? *x : 0;
}

struct job {
	struct ipck_pool *pool;
	pthread_t thread;
	struct ipck_deadline deadline;
	int in[N], out[N], limit;
	struct ipck_status status[N];
	ssize_t rc;
};

static void *run(void *arg)
{
	struct job *j = arg;

	for (int i = 0; i < N; i++) {
		j->in[i] = i;
		j->out[i] = LEFT;
	}
	memset(j->status, 0xff, sizeof(j->status));
	j->rc = ipck_pool_map(j->pool, wait_from, j->in, N, sizeof(int), j->out, sizeof(int),
	                      IPCK_MAP_OPTS(.arg = &j->limit, .arg_size = sizeof(int), .status = j->status),
	                      j->deadline);
	return NULL;
}

static struct job *new_job(struct ipck_pool *pool, int limit, struct ipck_deadline deadline)
{
	struct job *j = calloc(1, sizeof(*j));

	ck_that(j);
	j->pool = pool;
	j->limit = limit;
	j->deadline = deadline;
	return j;
}

/* What each item's status and result may be; returns how many are not canceled. */
static int check_items(const struct job *j)
{
	int done = 0;

	for (int i = 0; i < N; i++) {
		enum ipck_outcome outcome = i % 7 == 3 ? IPCK_FAILED : IPCK_DONE;

		if (j->status[i].outcome == IPCK_CANCELED) {
			ck_that(j->status[i].value == 0 && j->out[i] == LEFT);
			continue;
		}
		ck_that(i < j->limit);
		ck_that(j->status[i].outcome == outcome);
		ck_that(j->status[i].value == (outcome == IPCK_FAILED ? i : 0));
		ck_that(j->out[i] == (outcome == IPCK_FAILED ? LEFT : 2 * i));
		done++;
	}
	return done;
}

/* All items that are still worked on for nobody are at their end. */
static bool is_clear(struct ipck_pool *pool)
{
	bool clear;

	pthread_mutex_lock(&pool->mutex);
	pool_collect(pool);
	clear = !pool->orphans;
	pthread_mutex_unlock(&pool->mutex);
	return clear;
}

/* Nothing of the old map is seen by the next ones, while it still runs and after. */
static void next_works(struct ipck_pool *pool, bool free_worker)
{
	if (free_worker)
		pool_works(pool, 2000);
	open_gate();
	pool_works(pool, 2000);
	TEST_UNTIL(is_clear(pool));
	store_release(&meet->open, 0);
}

START_TEST(test_past_deadline)
{
	struct ipck_pool *pool = pool_new(_i, 2);
	struct job *j = new_job(pool, 0, IPCK_NOWAIT);

	for (int round = 0; round < 20; round++) {
		run(j);
		ck_err(j->rc, ETIMEDOUT);
		ck_assert_int_eq(check_items(j), 0);
		next_works(pool, false);
	}
	free(j);
	pool_end(pool);
}
END_TEST

/* One try is made; it may be enough. */
START_TEST(test_past_deadline_done)
{
	struct ipck_pool *pool = pool_new(_i, 2);
	struct job *j = new_job(pool, N, IPCK_NOWAIT);

	for (int round = 0; round < 50; round++) {
		int done;

		run(j);
		done = check_items(j);
		if (j->rc >= 0)
			ck_assert_int_eq(done, N);
		else
			ck_err(j->rc, ETIMEDOUT);
	}
	free(j);
	pool_end(pool);
}
END_TEST

START_TEST(test_deadline)
{
	struct ipck_pool *pool = pool_new(_i, 2);
	static const int limits[] = {0, 1, 10, 1000, N - 2};

	for (size_t k = 0; k < sizeof(limits) / sizeof(limits[0]); k++) {
		struct job *j = new_job(pool, limits[k], ipck_in_ms(20));

		run(j);
		ck_err(j->rc, ETIMEDOUT);
		check_items(j);
		free(j);
		next_works(pool, false);
	}
	pool_end(pool);
}
END_TEST

static bool others_are_done(struct ipck_pool *pool, uint64_t n)
{
	return load_acquire(&meet->begun) > 0 && pool_figures(pool).done == n;
}

/* The only item that waits is the last, so that all others are done, and are told so. */
START_TEST(test_interrupted)
{
	struct ipck_pool *pool = pool_new(_i, 3);
	struct job *j = new_job(pool, N - 1, ipck_interruptible(IPCK_FOREVER));

	ck_that(pthread_create(&j->thread, NULL, run, j) == 0);
	TEST_UNTIL(others_are_done(pool, N - 1));
	ipck_interrupt();
	ck_that(pthread_join(j->thread, NULL) == 0);
	ck_err(j->rc, ECANCELED);
	ck_assert_int_eq(check_items(j), N - 1);
	/* Still interrupted: what would sleep returns, what is not interruptible works. */
	run(j);
	ck_err(j->rc, ECANCELED);
	check_items(j);
	ipck_interrupt_clear();
	next_works(pool, true);
	free(j);
	pool_end(pool);
}
END_TEST

static void on_alarm(int sig)
{
	(void)sig;
	ipck_interrupt();
}

START_TEST(test_interrupted_by_signal)
{
	struct ipck_pool *pool = pool_new(_i, 2);
	struct itimerval soon = {.it_value = {.tv_usec = 20000}};
	struct job *j = new_job(pool, 100, ipck_interruptible(IPCK_FOREVER));

	signal(SIGALRM, on_alarm);
	ck_that(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	run(j);
	ck_err(j->rc, ECANCELED);
	check_items(j);
	ipck_interrupt_clear();
	next_works(pool, false);
	free(j);
	pool_end(pool);
}
END_TEST

/* An interruption is none for a map that did not ask for it. */
START_TEST(test_not_interruptible)
{
	struct ipck_pool *pool = pool_new(_i, 2);

	ipck_interrupt();
	pool_works(pool, 5000);
	ipck_interrupt_clear();
	pool_end(pool);
}
END_TEST

/* Canceled in one thread, the others' maps go on. */
static void cancel_or_work(unsigned i, void *pool)
{
	for (int round = 0; round < 20; round++) {
		struct job *j = new_job(pool, N, i % 2 ? IPCK_FOREVER : IPCK_NOWAIT);

		run(j);
		check_items(j);
		if (i % 2)
			ck_that(j->rc == N / 7 + 1);
		free(j);
	}
}

START_TEST(test_canceled_beside_others)
{
	struct ipck_pool *pool = pool_new(_i, 2);

	test_threads(4, cancel_or_work, pool);
	pool_works(pool, 1000);
	pool_end(pool);
}
END_TEST

static int scribble(const void *in, void *out, const void *arg)
{
	(void)in, (void)arg;
	meet_at_gate();
	memset(out, 0xee, 4096);
	return 0;
}

static int check_zero(const void *in, void *out, const void *arg)
{
	const unsigned char *bytes = in;

	(void)arg;
	for (int k = 0; k < 4096; k++)
		if (bytes[k])
			return 1;
	*(int *)out = 1;
	return 0;
}

/* What a task still writes, after its map has ended, goes where nobody reads. */
START_TEST(test_late_writer)
{
	struct ipck_pool *pool = pool_new(_i, 3);
	unsigned char *in = calloc(100, 4096), *out = calloc(100, 4096);
	int ones[100];

	ck_that(in && out);
	for (int round = 0; round < 5; round++) {
		ck_err(ipck_pool_map(pool, scribble, NULL, 2, 0, out, 4096, NULL, ipck_in_ms(10)), ETIMEDOUT);
		open_gate();
		for (int k = 0; k < 10; k++)
			ck_that(ck_ok(ipck_pool_map(pool, check_zero, in, 100, 4096, ones, sizeof(int), NULL,
			                            IPCK_FOREVER)) == 0);
		for (int k = 0; k < 100 * 4096; k++)
			ck_that(out[k] == 0);
		TEST_UNTIL(is_clear(pool));
		store_release(&meet->open, 0);
	}
	free(in);
	free(out);
	pool_end(pool);
}
END_TEST

/* Maps that are given up one after another take no memory that does not come back. */
START_TEST(test_memory_comes_back)
{
	struct ipck_pool *pool = pool_new(_i, 2);
	struct job *j = new_job(pool, 200, IPCK_NOWAIT);
	struct stat first = {0}, st;

	for (int round = 0; round < 200; round++) {
		run(j);
		check_items(j);
		next_works(pool, false);
		ck_that(fstat(pool->segment.fd, &st) == 0);
		if (round == 100)
			first = st;
	}
	ck_assert_int_le(st.st_size - first.st_size, 1 << 20);
	free(j);
	pool_end(pool);
}
END_TEST

START_TEST(test_terminated)
{
	struct ipck_pool *pool = pool_new(_i, 3);
	struct job *j = new_job(pool, N - 1, IPCK_FOREVER);
	pthread_t opener;

	ck_that(pthread_create(&j->thread, NULL, run, j) == 0);
	TEST_UNTIL(others_are_done(pool, N - 1));
	/* Threads have to be let go. */
	ck_that(pthread_create(&opener, NULL, (void *(*)(void *))(void *)ipck_pool_terminate, pool) == 0);
	ck_that(pthread_join(j->thread, NULL) == 0);
	ck_err(j->rc, ECANCELED);
	ck_assert_int_eq(check_items(j), N - 1);
	open_gate();
	ck_that(pthread_join(opener, NULL) == 0);
	free(j);
	ipck_pool_free(pool);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("map_cancel");
	TCase *tc = pool_case(s, "deadline");

	pool_test(tc, test_past_deadline);
	pool_test(tc, test_past_deadline_done);
	pool_test(tc, test_deadline);
	tc = pool_case(s, "interrupt");
	pool_test(tc, test_interrupted);
	pool_test(tc, test_interrupted_by_signal);
	pool_test(tc, test_not_interruptible);
	tc = pool_case(s, "after");
	pool_test(tc, test_canceled_beside_others);
	pool_test(tc, test_late_writer);
	pool_test(tc, test_memory_comes_back);
	pool_test(tc, test_terminated);
	return test_main(s);
}
