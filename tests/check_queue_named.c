/* SPDX-License-Identifier: MIT */
/* Queues with a name; and what queues tell of themselves. */
#include <stdio.h>
#include <sys/stat.h>

#include <ipckit/shm.h>

#include "queues.h"

static const char *name;

static const char *shm_path(const char *of)
{
	static char path[300];

	snprintf(path, sizeof(path), "/dev/shm/ipck.%s", of);
	return path;
}

static void make(const struct ipck_queue_opts *opts)
{
	name = test_name("queue");
	ck_ok(ipck_queue_create(&queue, name, opts));
}

static struct ipck_queue *open_it(void)
{
	struct ipck_queue *q = NULL;

	ck_ok(ipck_queue_open(&q, name, NULL));
	return q;
}

static void cannot_open(const char *other, int error)
{
	struct ipck_queue *none = NULL;

	ck_err(ipck_queue_open(&none, other, NULL), error);
	ck_assert_ptr_null(none);
}

/* ---- names ---- */

START_TEST(by_name)
{
	struct ipck_queue *other, *none = NULL;

	make(IPCK_QUEUE_OPTS(.bytes = SMALL, .max_items = 3, .leases = true));
	ck_err(ipck_queue_create(&none, name, NULL), EEXIST);
	ck_assert_ptr_null(none);
	/* What it is like was said when it was made. */
	ck_ok(ipck_queue_open(&other, name, IPCK_QUEUE_OPTS(.bytes = 1 << 20, .max_items = 9, .mode = 0666)));
	ck_assert_uint_eq(figures(other).bytes, SMALL);
	ck_assert_uint_eq(figures(other).max_items, 3);
	ck_assert(figures(other).leases && figures(other).joinable);
	put_text(queue, "x");
	expect_text(other, "x");
	ck_ok(ipck_queue_task_done(other));
	put_text(other, "stays");
	ipck_queue_close(other);
	ipck_queue_close(queue);
	queue = open_it();
	expect_text(queue, "stays");
	ck_ok(ipck_queue_task_done(queue));
	ipck_queue_close(queue);
	ck_ok(ipck_queue_unlink(name));
	ck_err(ipck_queue_unlink(name), ENOENT);
	cannot_open(name, ENOENT);
}
END_TEST

START_TEST(bad_names)
{
	struct ipck_shm *shm;

	cannot_open("", EINVAL);
	cannot_open("a/b", EINVAL);
	ck_err(ipck_queue_unlink(""), EINVAL);
	ck_err(ipck_queue_unlink("a/b"), EINVAL);
	cannot_open(test_name("none"), ENOENT);
	ck_err(ipck_queue_unlink(test_name("none")), ENOENT);
	name = test_name("other");
	ck_ok(ipck_shm_create(&shm, name, 1 << 16, NULL));
	cannot_open(name, EPROTO);
	ck_err(ipck_queue_create(&queue, name, NULL), EEXIST);
	ipck_shm_close(shm);
	ck_ok(ipck_shm_unlink(name));
}
END_TEST

START_TEST(modes)
{
	const mode_t wanted[] = {0, 0600, 0640, 0666, 0400};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		mode_t before = umask(077);
		struct stat st;
		int fds[2];

		make(IPCK_QUEUE_OPTS(.bytes = SMALL, .mode = wanted[i]));
		/* The FIFO, too. */
		ck_ok(ipck_queue_fds(queue, fds));
		umask(before);
		for (int k = 0; k < 2; k++) {
			ck_that(fstat(fds[k], &st) == 0);
			ck_assert_uint_eq(st.st_mode & 07777, wanted[i] ? wanted[i] : 0600);
		}
		ck_assert(S_ISFIFO(st.st_mode));
		ipck_queue_close(queue);
		ck_ok(ipck_queue_unlink(name));
	}
}
END_TEST

/* Between the two names that a queue has, once. */
static void (*between)(void);

int __real_fifo_beside(const char *beside, int segment);
int __wrap_fifo_beside(const char *beside, int segment);
int __wrap_fifo_beside(const char *beside, int segment)
{
	void (*hook)(void) = between;

	between = NULL;
	if (hook)
		hook();
	return __real_fifo_beside(beside, segment);
}

static struct ipck_queue *of_another;

static void another_takes_the_name(void)
{
	ck_ok(ipck_queue_unlink(name));
	ck_ok(ipck_queue_create(&of_another, name, NULL));
}

/* Who fails removes no name but his own. */
START_TEST(replaced_while_made)
{
	name = test_name("queue");
	between = another_takes_the_name;
	ck_err(ipck_queue_create(&queue, name, NULL), ENOENT);
	put_text(of_another, "other");
	ck_ok(ipck_queue_open(&queue, name, NULL));
	expect_text(queue, "other");
	ipck_queue_close(queue);
	ipck_queue_close(of_another);
	ck_ok(ipck_queue_unlink(name));
}
END_TEST

static void die(void)
{
	struct stat st;
	char path[300];

	ck_that(stat(shm_path(name), &st) == 0);
	snprintf(path, sizeof(path), "/dev/shm/ipck-bell.%s.%llu", name, (unsigned long long)st.st_ino);
	ck_that(mkfifo(path, 0600) == 0);
	raise(SIGKILL);
}

static void be_killed_in_the_middle(void *arg)
{
	(void)arg;
	between = die;
	(void)!ipck_queue_create(&queue, name, IPCK_QUEUE_OPTS(.mode = 0666));
}

/* The bell, too, has the permissions that it should have, when its maker was killed before it had. */
START_TEST(half_a_bell)
{
	struct stat st;
	int fds[2];

	name = test_name("queue");
	(void)test_wait(test_fork(be_killed_in_the_middle, NULL));
	ck_ok(ipck_queue_open(&queue, name, NULL));
	ck_ok(ipck_queue_fds(queue, fds));
	ck_that(fstat(fds[1], &st) == 0 && S_ISFIFO(st.st_mode));
	ck_assert_uint_eq(st.st_mode & 0777, 0666);
	ipck_queue_close(queue);
	ck_ok(ipck_queue_unlink(name));
}
END_TEST

static void answer(void *arg)
{
	const char *request = arg, *reply = test_name("reply");
	struct ipck_queue *in = NULL, *out = NULL;

	/* Nothing was inherited. */
	TEST_UNTIL(ipck_queue_open(&in, request, NULL) == 0);
	TEST_UNTIL(ipck_queue_open(&out, reply, NULL) == 0);
	for (uint32_t n = 0; n < 300; n++) {
		uint32_t got;

		ck_that(ck_ok(ipck_queue_get(in, &got, sizeof(got), NULL, far_off())) == sizeof(got));
		ck_that(got == n);
		ck_ok(ipck_queue_put(out, &got, sizeof(got), far_off()));
	}
	ipck_queue_close(in);
	ipck_queue_close(out);
}

START_TEST(among_strangers)
{
	const char *request = test_name("request"), *reply = test_name("reply");
	pid_t pid = test_fork(answer, (void *)(uintptr_t)request);
	struct ipck_queue *replies;

	name = request;
	ck_ok(ipck_queue_create(&queue, request, IPCK_QUEUE_OPTS(.bytes = SMALL)));
	ck_ok(ipck_queue_create(&replies, reply, IPCK_QUEUE_OPTS(.bytes = SMALL)));
	for (uint32_t n = 0; n < 300; n++) {
		uint32_t got;

		ck_ok(ipck_queue_put(queue, &n, sizeof(n), far_off()));
		ck_that(ck_ok(ipck_queue_get(replies, &got, sizeof(got), NULL, far_off())) == sizeof(got));
		ck_that(got == n);
	}
	test_join(pid);
	ipck_queue_close(queue);
	ipck_queue_close(replies);
	ck_ok(ipck_queue_unlink(request));
	ck_ok(ipck_queue_unlink(reply));
}
END_TEST

START_TEST(unlinked_while_open)
{
	struct ipck_queue *old, *other;

	make(IPCK_QUEUE_OPTS(.bytes = SMALL));
	old = queue;
	other = open_it();
	put_text(old, "kept");
	ck_ok(ipck_queue_unlink(name));
	cannot_open(name, ENOENT);
	make(IPCK_QUEUE_OPTS(.bytes = SMALL));
	expect_nothing(queue);
	expect_text(other, "kept");
	put_text(other, "more");
	expect_text(old, "more");
	expect_nothing(queue);
	ipck_queue_close(old);
	ipck_queue_close(other);
	ipck_queue_close(queue);
	ck_ok(ipck_queue_unlink(name));
}
END_TEST

/* ---- what it tells ---- */

/* Exact while nobody else uses it. */
static void tells(size_t items, size_t held, size_t used, uint64_t puts, uint64_t gets, uint64_t unfinished)
{
	struct ipck_queue_stats f = figures(queue);

	ck_assert_int_eq(ck_ok(ipck_queue_size(queue)), (ssize_t)items);
	ck_assert(ipck_queue_empty(queue) == (items == 0));
	ck_assert_uint_eq(f.items, items);
	ck_assert_uint_eq(f.held, held);
	ck_assert_uint_eq(f.bytes_used, used);
	ck_assert_uint_eq(f.puts, puts);
	ck_assert_uint_eq(f.gets, gets);
	ck_assert_uint_eq(f.unfinished, unfinished);
	ck_assert(f.most_items >= items && f.recovered == 0);
}

START_TEST(told_of_puts_and_gets)
{
	struct iovec parts[3] = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
	char bytes[64];

	make_queue(IPCK_QUEUE_OPTS(.bytes = SMALL, .joinable = true));
	tells(0, 0, 0, 0, 0, 0);
	put_text(queue, "");
	tells(1, 0, 16, 1, 0, 1);
	put_text(queue, "17 bytes long is.");
	tells(2, 0, 64, 2, 0, 2);
	ck_assert_int_eq(ipck_queue_put_many(queue, parts, 3, IPCK_NOWAIT), 3);
	tells(5, 0, 112, 5, 0, 5);
	ck_err(ipck_queue_put(queue, bytes, SMALL, IPCK_NOWAIT), EMSGSIZE);
	expect_text(queue, "");
	tells(4, 0, 96, 5, 1, 5);
	ck_err(ipck_queue_get(queue, bytes, 1, NULL, IPCK_NOWAIT), EMSGSIZE);
	ck_ok(ipck_queue_task_done(queue));
	tells(4, 0, 96, 5, 1, 4);
	ck_assert_int_eq(ipck_queue_get_many(queue, bytes, sizeof(bytes), parts, 2, NULL, IPCK_NOWAIT), 2);
	tells(2, 0, 32, 5, 3, 4);
	ck_ok(ipck_queue_shutdown(queue, IPCK_QUEUE_IMMEDIATE));
	ck_assert_uint_eq(figures(queue).unfinished, 2);
	ck_assert_uint_eq(figures(queue).bytes_used, 0);
	ck_assert_uint_eq(figures(queue).bytes_put, 17);
	ck_assert_uint_eq(figures(queue).bytes_got, 17);
	ck_assert_uint_eq(figures(queue).most_items, 5);
	ipck_queue_close(queue);
}
END_TEST

/* What is thrown away nobody has got. */
START_TEST(told_of_an_end_at_once)
{
	struct ipck_queue_stats f;

	make_small();
	for (int i = 0; i < 4; i++)
		put_text(queue, "text");
	expect_text(queue, "text");
	ck_ok(ipck_queue_shutdown(queue, IPCK_QUEUE_IMMEDIATE));
	ck_ok(ipck_queue_shutdown(queue, IPCK_QUEUE_IMMEDIATE));
	f = figures(queue);
	ck_assert_uint_eq(f.puts, 4);
	ck_assert_uint_eq(f.gets, 1);
	ck_assert_uint_eq(f.bytes_got, 4);
	ck_assert_uint_eq(f.bytes_used, 0);
	ck_assert_int_eq(f.shutdown, IPCK_QUEUE_IMMEDIATE);
	ipck_queue_close(queue);
}
END_TEST

START_TEST(told_of_what_is_in_place)
{
	struct ipck_queue_item one, two;
	char *data, *other;

	make_queue(IPCK_QUEUE_OPTS(.bytes = SMALL, .leases = true));
	data = reserve(queue, 100);
	other = reserve(queue, 16);
	ck_assert_uint_eq(figures(queue).bytes_used, 160);
	put_text(queue, "two");
	ck_assert_int_eq(ck_ok(ipck_queue_size(queue)), 0);
	commit_text(queue, data, "one");
	ck_assert_int_eq(ck_ok(ipck_queue_size(queue)), 1);
	ck_ok(ipck_queue_cancel(queue, other));
	ck_assert_int_eq(ck_ok(ipck_queue_size(queue)), 2);
	ck_assert_uint_eq(figures(queue).bytes_put, 6);
	one = peek_text(queue, "one");
	tells(1, 1, 192, 2, 1, 2);
	two = peek_text(queue, "two");
	tells(0, 2, 192, 2, 2, 2);
	ck_ok(ipck_queue_release(queue, &two));
	tells(0, 1, 192, 2, 2, 1);
	ck_ok(ipck_queue_refuse(queue, &one));
	tells(1, 0, 192, 2, 2, 1);
	expect_text(queue, "one");
	tells(0, 1, 192, 2, 3, 1);
	ck_ok(ipck_queue_task_done(queue));
	tells(0, 0, 0, 2, 3, 0);
	ipck_queue_close(queue);
}
END_TEST

/* Whether empty and full agree with what put and get do. */
START_TEST(empty_and_full_are_true)
{
	struct test_random random = test_random(1);
	char bytes[LARGEST];

	make_queue(IPCK_QUEUE_OPTS(.bytes = SMALL, .max_items = _i ? 5 : 0));
	for (int i = 0; i < 2000; i++) {
		bool full = ipck_queue_full(queue), empty = ipck_queue_empty(queue);

		if (test_random_below(&random, 2)) {
			int rc = ipck_queue_put(queue, bytes, 0, IPCK_NOWAIT);

			ck_that(rc == (full ? -ETIMEDOUT : 0));
			if (rc == 0 && test_random_below(&random, 4) == 0)
				(void)!ipck_queue_put(queue, bytes, test_random_below(&random, 1500), IPCK_NOWAIT);
		} else {
			ssize_t n = ipck_queue_get(queue, bytes, sizeof(bytes), NULL, IPCK_NOWAIT);

			ck_that(empty ? n == -ETIMEDOUT : n >= 0);
		}
	}
	ipck_queue_close(queue);
}
END_TEST

static void wait_once(unsigned i, void *arg)
{
	char byte;

	if (i == 0) {
		TEST_UNTIL(asleep_for_message(queue) >= 1);
		put_text(queue, "x");
		TEST_UNTIL(asleep_for_room(queue) >= 1);
		expect_filled(queue, LARGEST, 0);
		return;
	}
	ck_that(ck_ok(ipck_queue_get(queue, &byte, 1, NULL, far_off())) == 1);
	put_filled(queue, LARGEST, 0);
	put_filled(queue, LARGEST, 0);
	(void)arg;
}

START_TEST(told_of_waits)
{
	struct ipck_queue_stats f;

	make_small();
	spin_forbid();
	run_parties(_i, 2, wait_once, NULL);
	f = figures(queue);
	ck_assert_uint_eq(f.get_waits, 1);
	ck_assert_uint_eq(f.put_waits, 1);
	ck_assert_uint_eq(f.bytes_put, 2 * LARGEST + 1);
	ck_assert_uint_eq(f.bytes_got, LARGEST + 1);
	ipck_queue_close(queue);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("queue_named");
	TCase *tc = test_case(s, "names");

	tcase_add_test(tc, by_name);
	tcase_add_test(tc, bad_names);
	tcase_add_test(tc, modes);
	tcase_add_test(tc, replaced_while_made);
	tcase_add_test(tc, half_a_bell);
	tcase_add_test(tc, among_strangers);
	tcase_add_test(tc, unlinked_while_open);
	tc = test_case(s, "figures");
	tcase_add_test(tc, told_of_puts_and_gets);
	tcase_add_test(tc, told_of_an_end_at_once);
	tcase_add_test(tc, told_of_what_is_in_place);
	tcase_add_loop_test(tc, empty_and_full_are_true, 0, 2);
	tcase_add_loop_test(tc, told_of_waits, 0, 2);
	return test_main(s);
}
