/* SPDX-License-Identifier: MIT */
/*
 * Pools when the system fails them.  Each call that a pool makes, in the parent,
 * the master and the workers, fails for the N-th time, for every N: once, and
 * with all that follow.  What was asked for is done, or the error is told; nothing
 * hangs or is left, and the next attempt works.
 */
#include "fault.h"
#include "pool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* All four: processes and threads, one call that fails and all that follow. */
#define WAYS (KINDS * 2)
static bool threads_of(int way)
{
	return way % KINDS;
}

/*
 * The master waits 10 ms between two of its 500 tries to start a worker.  Where it is to
 * run out of them, waiting for it proves nothing: then it takes a tenth.
 */
static bool hasty;

int __real_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout);
int __wrap_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout);
int __wrap_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
	const struct timespec short_one = {0, 1000000};
	bool between = timeout && timeout->tv_sec == 0 && timeout->tv_nsec <= 10000000;

	return __real_sigtimedwait(set, info, hasty && between ? &short_one : timeout);
}

/* ---- what a process holds ---- */

struct held {
	unsigned fds;
	long blocks;
};

static struct held count_held(void)
{
	struct held h = {.blocks = fault_blocks()};

	for (int fd = 0; fd < 256; fd++)
		h.fds += fcntl(fd, F_GETFD, 0) >= 0;
	return h;
}

static void check_held(struct held before, const char *call)
{
	struct held now = count_held();

	if (now.fds != before.fds)
		ck_abort_msg("%s failed: %d descriptors left", call, (int)now.fds - (int)before.fds);
	if (now.blocks != before.blocks)
		ck_abort_msg("%s failed: %ld blocks left", call, now.blocks - before.blocks);
	if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
		ck_abort_msg("%s failed: a child is left", call);
}

/* Makes the calls of `operate` fail, one after the other; it releases all that it makes. */
static void sweep(int way, void (*operate)(bool threads))
{
	struct held before;
	unsigned failed = 0, none = 0;

	hasty = true;
	fault_share();
	/* What is allocated once for the process, and kept. */
	operate(threads_of(way));
	before = count_held();
	/* Calls of several processes come in no fixed order, so that one more may come later. */
	for (unsigned n = 0; none < 3; n++) {
		const char *call;
		int error;

		fault_arm(n, way / KINDS ? FAULT_ON : FAULT_ONCE);
		operate(threads_of(way));
		none = fault_disarm(&call, &error) ? 0 : none + 1;
		failed += !none;
		check_held(before, call ? call : "nothing");
	}
	operate(threads_of(way));
	check_held(before, "nothing");
	printf("%u calls failed\n", failed);
	ck_assert_uint_gt(failed, 5);
}

static void disarm(void)
{
	const char *call;
	int error;

	fault_disarm(&call, &error);
}

/* While calls fail, assertions must not fail by memory: these write only if they do. */
#define hold(cond) ((cond) ? (void)0 : (disarm(), _ck_assert_failed(__FILE__, __LINE__, #cond, NULL)))

/* Whether that is one of the errors that are told. */
static bool is_told(int64_t rc)
{
	static const int errors[] = {ENOMEM, ENOSPC, EMFILE, ENFILE, EIO, ENOTRECOVERABLE};

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (rc == -errors[i])
			return true;
	disarm();
	ck_abort_msg("an error of %d", (int)rc);
}

/* ---- create ---- */

static void create(bool threads)
{
	struct ipck_pool *const untouched = (struct ipck_pool *)0x1234, *pool = untouched;
	int rc = ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = 3, .threads = threads));

	if (rc < 0) {
		hold(is_told(rc) && rc != -ENOTRECOVERABLE);
		hold(pool == untouched);
		return;
	}
	ipck_pool_free(pool);
}

START_TEST(test_create)
{
	sweep(_i, create);
}
END_TEST

static void create_and_use(bool threads)
{
	struct ipck_pool *pool;

	if (ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = 2, .threads = threads)) < 0)
		return;
	disarm();
	pool_works(pool, 100);
	pool_end(pool);
}

/* A pool that could be made works, whatever failed meanwhile. */
START_TEST(test_create_and_use)
{
	fault_share();
	for (unsigned n = 0; n < 200; n++) {
		fault_arm(n, FAULT_ONCE);
		create_and_use(threads_of(_i));
		disarm();
	}
}
END_TEST

/* ---- map ---- */

enum { ITEMS = 64, ITEM = 60000 };
static unsigned char in[ITEMS * ITEM], out[ITEMS * ITEM];

static int copy(const void *from, void *to, const void *arg)
{
	(void)arg;
	memcpy(to, from, ITEM);
	return 0;
}

static void map(struct ipck_pool *pool)
{
	struct ipck_status status[ITEMS];
	ssize_t rc;

	memset(out, 0, sizeof(out));
	rc = ipck_pool_map(pool, copy, in, ITEMS, ITEM, out, ITEM,
	                   IPCK_MAP_OPTS(.arg = in, .arg_size = ITEM, .status = status), IPCK_FOREVER);
	if (rc < 0) {
		hold(is_told(rc));
		return;
	}
	hold(rc == 0 && all_are(status, ITEMS, IPCK_DONE));
	hold(memcmp(in, out, sizeof(in)) == 0);
}

/* The whole life of a pool, while calls fail; what it does is as above, or an error. */
static void live(bool threads, void (*use)(struct ipck_pool *pool))
{
	struct ipck_pool *pool;
	int rc = ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = 2, .threads = threads));

	if (rc < 0) {
		hold(is_told(rc));
		return;
	}
	use(pool);
	use(pool);
	disarm();
	/* What failed is over. */
	if (!ipck_pool_reason(pool))
		pool_works(pool, 100);
	ipck_pool_free(pool);
}

static void live_with_maps(bool threads)
{
	live(threads, map);
}

START_TEST(test_map)
{
	pattern_fill(in, sizeof(in), 1);
	sweep(_i, live_with_maps);
}
END_TEST

/* ---- imap ---- */

struct inputs {
	size_t next;
};

/* Small and large ones in turn. */
static int next_input(void *ctx, const void **item, size_t *size)
{
	struct inputs *i = ctx;

	if (i->next == ITEMS / 4)
		return 0;
	*item = in;
	*size = i->next++ % 2 ? ITEM : 10;
	return 1;
}

static int echo(const void *item, size_t size, const void *arg, struct ipck_result *result)
{
	(void)arg;
	return ipck_result_write(result, item, size);
}

/* An item is done, or says that there was no room for it, or no worker that could run. */
static void check_item(struct ipck_pool *pool, const struct ipck_item *item)
{
	if (item->status.outcome == IPCK_CANCELED) {
		hold(ipck_pool_reason(pool));
		return;
	}
	/* A worker for which there was no handle is killed, perhaps with an item. */
	if (item->status.outcome == IPCK_KILLED) {
		hold(item->status.value == SIGKILL);
		return;
	}
	if (item->status.outcome != IPCK_DONE) {
		hold(item->status.outcome == IPCK_FAILED);
		hold(is_told(item->status.value));
		return;
	}
	hold(item->size == (item->index % 2 ? ITEM : 10));
	hold(memcmp(item->data, in, item->size) == 0);
}

static void take_all(struct ipck_pool *pool, struct ipck_imap *it, const struct inputs *inputs)
{
	struct ipck_item item;
	size_t given = 0;
	int rc;

	while ((rc = ipck_imap_next(it, &item, IPCK_FOREVER)) == 1) {
		check_item(pool, &item);
		given++;
	}
	/* An error comes once, behind all that was read: only an item for which there
	 * was no memory to remember it is missing. */
	if (rc < 0) {
		hold(is_told(rc));
		hold(ipck_imap_next(it, &item, IPCK_FOREVER) == 0);
	}
	hold(given == inputs->next);
}

static void imap(struct ipck_pool *pool)
{
	for (int ordered = 0; ordered < 2; ordered++) {
		struct inputs inputs = {0};
		const struct ipck_map_opts *opts = IPCK_MAP_OPTS(.arg = in, .arg_size = ITEM);
		struct ipck_imap *it;
		int rc = (ordered ? ipck_pool_imap : ipck_pool_imap_unordered)(&it, pool, echo, next_input, &inputs,
		                                                               opts);

		if (rc < 0) {
			hold(is_told(rc));
			continue;
		}
		take_all(pool, it, &inputs);
		ipck_imap_close(it);
	}
}

static void live_with_imaps(bool threads)
{
	live(threads, imap);
}

START_TEST(test_imap)
{
	pattern_fill(in, sizeof(in), 2);
	sweep(_i, live_with_imaps);
}
END_TEST

/* Reads all at join, and takes it afterwards. */
static void join_then_take(bool threads)
{
	struct inputs inputs = {0};
	struct ipck_imap *it;
	struct ipck_pool *pool;
	int rc = ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = 2, .threads = threads));

	if (rc < 0)
		return;
	if (ipck_pool_imap(&it, pool, echo, next_input, &inputs, NULL) == 0) {
		ck_ok(ipck_pool_close(pool));
		rc = ipck_pool_join(pool, IPCK_FOREVER);
		hold(rc == 0 || is_told(rc));
		if (rc == 0)
			take_all(pool, it, &inputs);
		ipck_imap_close(it);
	}
	ipck_pool_free(pool);
}

START_TEST(test_join_then_take)
{
	pattern_fill(in, sizeof(in), 3);
	sweep(_i, join_then_take);
}
END_TEST

/* ---- replacing workers ---- */

static void kill_workers(struct ipck_pool *pool)
{
	pid_t pids[2];

	for (size_t i = ipck_pool_pids(pool, pids, 2); i-- > 0;)
		kill(pids[i], SIGKILL);
}

/* While there is no room for processes the master tries again. */
START_TEST(test_replacement_later)
{
	struct ipck_pool *pool;

	fault_share();
	pool = pool_new(false, 2);
	fault_arm(0, FAULT_ON);
	kill_workers(pool);
	TEST_UNTIL(pool_figures(pool).alive == 0 && pool_figures(pool).replaced == 2);
	usleep(100 * 1000);
	hold(pool_figures(pool).alive == 0 && !ipck_pool_reason(pool));
	disarm();
	pool_works(pool, 100);
	TEST_UNTIL(pool_figures(pool).alive == 2);
	pool_end(pool);
}
END_TEST

/* But not for ever. */
START_TEST(test_replacement_never)
{
	struct ipck_pool *pool;
	uint64_t x = 1;

	hasty = true;
	fault_share();
	pool = pool_new(false, 2);
	fault_arm(0, FAULT_ON);
	kill_workers(pool);
	/* 500 tries. */
	while (!ipck_pool_reason(pool))
		usleep(10000);
	disarm();
	ck_assert(strstr(ipck_pool_reason(pool), "cannot be started"));
	ck_err(ipck_pool_map(pool, triple, &x, 1, 8, &x, 8, NULL, IPCK_FOREVER), ENOTRECOVERABLE);
	ck_ok(ipck_pool_close(pool));
	ck_err(ipck_pool_join(pool, IPCK_FOREVER), ENOTRECOVERABLE);
	ipck_pool_free(pool);
}
END_TEST

static int leave(const void *item, size_t size, const void *arg, struct ipck_result *result)
{
	if (*(const uint64_t *)item % 10 == 5)
		_exit(3);
	return triple_imap(item, size, arg, result);
}

static void lose_some(bool threads)
{
	struct numbers numbers = {.end = 40};
	struct ipck_pool *pool;
	struct ipck_imap *it;
	struct ipck_item item;
	int rc = ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = 2, .threads = threads));

	if (rc < 0)
		return;
	if (ipck_pool_imap(&it, pool, leave, next_number, &numbers, NULL) == 0) {
		uint64_t given = 0;

		while ((rc = ipck_imap_next(it, &item, IPCK_FOREVER)) == 1) {
			given++;
			if (item.status.outcome == IPCK_EXITED)
				hold(item.index % 10 == 5 && item.status.value == 3);
		}
		hold(given == numbers.next);
		ipck_imap_close(it);
	}
	ipck_pool_free(pool);
}

/* Deaths are accounted for whatever fails meanwhile. */
START_TEST(test_losses)
{
	sweep(PROCESSES, lose_some);
}
END_TEST

/* ---- no shared memory after the creation ---- */

#define MEETING 12

static int *present;

/* Done when all are there: each item needs a worker and a block of its own. */
static int meet_all(const void *item, void *result, const void *arg)
{
	(void)item, (void)result, (void)arg;
	__atomic_add_fetch(present, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(present, __ATOMIC_SEQ_CST) < MEETING)
		usleep(1000);
	return 0;
}

static int nothing(const void *item, void *result, const void *arg)
{
	(void)item, (void)result, (void)arg;
	return 0;
}

static int wait_for_end(const void *item, void *result, const void *arg)
{
	(void)item, (void)result, (void)arg;
	while (!__atomic_load_n(present, __ATOMIC_SEQ_CST))
		usleep(1000);
	return 0;
}

START_TEST(test_meeting_without_space)
{
	struct ipck_pool *pool;

	present = test_shared(sizeof(*present));
	pool = pool_new(_i, MEETING);
	fault_lack(LACK_SPACE);
	ck_that(ck_ok(ipck_pool_map(pool, meet_all, NULL, MEETING, 0, NULL, 0, NULL, ipck_in_sec(10))) == 0);
	fault_lack(LACK_NOTHING);
	pool_end(pool);
}
END_TEST

/* Calls that gave up keep some workers busy; the others work. */
START_TEST(test_busy_without_space)
{
	struct ipck_pool *pool;

	present = test_shared(sizeof(*present));
	pool = pool_new(_i, MEETING);
	fault_lack(LACK_SPACE);
	for (int i = 0; i < MEETING - 1; i++)
		ck_err(ipck_pool_map(pool, wait_for_end, NULL, 1, 0, NULL, 0, NULL, ipck_in_ms(50)), ETIMEDOUT);
	ck_that(ck_ok(ipck_pool_map(pool, nothing, NULL, 1, 0, NULL, 0, NULL, ipck_in_sec(10))) == 0);
	__atomic_store_n(present, 1, __ATOMIC_SEQ_CST);
	fault_lack(LACK_NOTHING);
	pool_end(pool);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fault_pool");
	TCase *tc = pool_case(s, "create");

	tcase_add_loop_test(tc, test_create, 0, WAYS);
	pool_test(tc, test_create_and_use);
	tc = pool_case(s, "use");
	/* A worker that starts and dies of the failing call has the master try 500 times to
	 * replace it: which calls that are, up to ten of a sweep, is a matter of order. */
	test_set_limit(tc, 120);
	tcase_add_loop_test(tc, test_map, 0, WAYS);
	tcase_add_loop_test(tc, test_imap, 0, WAYS);
	tcase_add_loop_test(tc, test_join_then_take, 0, WAYS);
	tc = pool_case(s, "replace");
	tcase_add_test(tc, test_replacement_later);
	tcase_add_test(tc, test_replacement_never);
	tc = pool_case(s, "space");
	pool_test(tc, test_meeting_without_space);
	pool_test(tc, test_busy_without_space);
	tc = pool_case(s, "lose");
	tcase_add_test(tc, test_losses);
	return test_main(s);
}
