/* SPDX-License-Identifier: MIT */
/* Failing system calls: how queues begin and end. */
#include "fault_queue.h"

#include "mem/fifo.h"

/* ---- create ---- */

static void forget_anonymous(void)
{
	name = NULL;
	other = UNTOUCHED;
}

static void forget_named(void)
{
	name = test_name("fault");
	other = UNTOUCHED;
}

static void forget_and_close_streams(void)
{
	forget_named();
	close_streams();
}

/* Without O_TMPFILE a file that was not filled may keep the name: who creates next takes it over. */
static void remove_unfilled(void)
{
#ifndef HAVE_O_TMPFILE
	struct ipck_queue *filled = NULL;
	const char *call;
	int error;

	fault_disarm(&call, &error);
	if (name && ipck_queue_open(&filled, name, NULL) == -ENOENT)
		(void)ipck_queue_unlink(name);
	ipck_queue_close(filled);
#endif
}

static int create(void)
{
	int rc = ipck_queue_create(&other, name, IPCK_QUEUE_OPTS(.bytes = SMALL));

	if (rc < 0)
		remove_unfilled();
	return rc;
}

static void no_such_queue(void)
{
	struct ipck_queue *none = NULL;

	ck_that(other == UNTOUCHED);
	if (name)
		ck_err(ipck_queue_open(&none, name, NULL), ENOENT);
	ck_that(!none);
}

static void use_created(void)
{
	queue = other;
	end();
	other = UNTOUCHED;
}

static void make_in_the_way(void)
{
	make_named();
	put_text(queue, "stays");
}

static int create_taken(void)
{
	int rc = create();

	ck_that(rc < 0);
	return rc == -EEXIST ? 0 : rc;
}

/* The one that has the name, and its bell. */
static void is_still_there(void)
{
	struct ipck_queue *again = NULL;

	ck_that(other == UNTOUCHED);
	has_all(1);
	ck_ok(ipck_queue_open(&again, name, NULL));
	expect_text(again, "stays");
	expect_silence(again);
	put_text(queue, "stays");
	ck_that(is_readable(again));
	ipck_queue_close(again);
}

static void end_in_the_way(void)
{
	expect_text(queue, "stays");
	end();
}

/* ---- open ---- */

static int open_by_name(void)
{
	return ipck_queue_open(&other, name, NULL);
}

static void not_open(void)
{
	ck_that(other == UNTOUCHED);
	has_all(1);
}

static void close_other(void)
{
	ipck_queue_close(other);
	other = UNTOUCHED;
}

static void use_open(void)
{
	expect_text(other, "stays");
	use(other);
	put_text(other, "there");
	ck_that(is_readable(queue));
	expect_text(queue, "there");
	close_other();
}

static void make_and_close_streams(void)
{
	make_in_the_way();
	close_streams();
}

static void end_and_reopen_streams(void)
{
	end();
	reopen_streams();
}

/* Its creator was killed before it made that. */
static void remove_bell(void)
{
	struct stat st;
	int fds[2];

	ck_ok(ipck_queue_fds(queue, fds));
	ck_that(fstat(fds[0], &st) == 0);
	fifo_unlink(name, st.st_ino);
}

static void make_without_bell(void)
{
	make_in_the_way();
	remove_bell();
}

/* What was made of it may stay: the next finds it. */
static int open_without_bell(void)
{
	int rc = open_by_name(), error;
	const char *call;

	if (rc < 0) {
		fault_disarm(&call, &error);
		remove_bell();
	}
	return rc;
}

static void has_whole_bell(void)
{
	struct stat st, bell;
	int fds[2];

	ck_ok(ipck_queue_fds(other, fds));
	ck_that(fstat(fds[0], &st) == 0 && fstat(fds[1], &bell) == 0);
	ck_that((st.st_mode & 0777) == (bell.st_mode & 0777) && st.st_uid == bell.st_uid);
}

static void use_with_new_bell(void)
{
	has_whole_bell();
	expect_text(other, "stays");
	use(other);
	close_other();
}

/* Its creator was killed before it had its permissions. */
static void make_half_a_bell(void)
{
	int fds[2];

	make_in_the_way();
	ck_ok(ipck_queue_fds(queue, fds));
	ck_that(fchmod(fds[1], 0640) == 0);
}

static void use_with_whole_bell(void)
{
	has_whole_bell();
	use_open();
}

static int open_fds(void)
{
	int fds[2];

	ck_ok(ipck_queue_fds(queue, fds));
	return ipck_queue_open_fds(&other, fds, NULL);
}

/* ---- inherit ---- */

static int given[2];

static void pass_to_ourselves(void)
{
	char text[64];

	make_in_the_way();
	ck_ok(ipck_queue_fds(queue, given));
	for (int i = 0; i < 2; i++)
		given[i] = fcntl(given[i], F_DUPFD_CLOEXEC, 3);
	ck_that(given[0] > 2 && given[1] > 2);
	snprintf(text, sizeof(text), "work:%d+%d", given[0], given[1]);
	setenv("IPCK_INHERITED", text, 1);
}

static int inherit(void)
{
	return ipck_queue_inherited(&other, "work");
}

static void still_given(void)
{
	not_open();
	ck_that(strncmp(getenv("IPCK_INHERITED"), "work:", 5) == 0);
	ck_that(fcntl(given[0], F_GETFD, 0) >= 0 && fcntl(given[1], F_GETFD, 0) >= 0);
}

static void use_inherited(void)
{
	ck_that(fcntl(given[0], F_GETFD, 0) < 0 && fcntl(given[1], F_GETFD, 0) < 0);
	use_open();
}

static void end_inherited(void)
{
	unsetenv("IPCK_INHERITED");
	end();
}

/* ---- unlink, close ---- */

static void make_to_unlink(void)
{
	make_in_the_way();
	fault_unlinking(true);
}

static int remove_name(void)
{
	return ipck_queue_unlink(name);
}

static void has_no_name(void)
{
	no_such_queue();
	expect_text(queue, "stays");
}

static void end_nameless(void)
{
	fault_unlinking(false);
	name = NULL;
	end();
}

/* In other's hands are the first message, and a reservation before the last. */
static void make_in_hands(void)
{
	make_anonymous();
	other = open_again(queue);
	expect_silence(queue);
	put_text(queue, "first");
	(void)peek_text(other, "first");
	(void)reserve(other, 100);
	put_text(queue, "last");
	expect_nothing(queue);
}

static int close_in_hands(void)
{
	close_other();
	return 0;
}

static void all_came_back(void)
{
	expect_text(queue, "first");
	expect_text(queue, "last");
}

/* In the way of a name is also what cannot be read: nobody has proven that it is free. */
static const struct scenario scenarios[] = {
	{"create", forget_anonymous, create, no_such_queue, use_created, nothing, 0, 8},
	{"create, named", forget_named, create, no_such_queue, use_created, nothing, EEXIST, 8},
	{"create, no stdio", forget_and_close_streams, create, no_such_queue, use_created, reopen_streams, EEXIST, 8},
	{"create, taken", make_in_the_way, create_taken, is_still_there, is_still_there, end_in_the_way, 0, 3},
	{"open", make_in_the_way, open_by_name, not_open, use_open, end, 0, 8},
	{"open, no stdio", make_and_close_streams, open_by_name, not_open, use_open, end_and_reopen_streams, 0, 8},
	{"open, no bell", make_without_bell, open_without_bell, not_open, use_with_new_bell, end, 0, 8},
	{"open, half a bell", make_half_a_bell, open_by_name, not_open, use_with_whole_bell, end, 0, 8},
	{"open fds", make_in_the_way, open_fds, not_open, use_open, end, 0, 8},
	{"inherit", pass_to_ourselves, inherit, still_given, use_inherited, end_inherited, 0, 8},
	{"unlink", make_to_unlink, remove_name, not_open, has_no_name, end_nameless, 0, 2},
	{"close", make_in_hands, close_in_hands, nothing, all_came_back, end, 0, 1},
};

START_TEST(each_call_fails)
{
	sweep_all(&scenarios[_i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fault_queue");
	TCase *tc = test_case_primed(s, "faults", prime_process);

	tcase_add_loop_test(tc, each_call_fails, 0, ARRAY_SIZE(scenarios));
	return test_main(s);
}
