/* SPDX-License-Identifier: MIT */
/* Failing system calls: what a queue needs memory for, and its bell, without which messages come all the same. */
#include "fault_queue.h"

#define LARGE 2000

/* ---- what needs memory ---- */

static void *data;
static size_t size;
static struct ipck_queue_item item;
static char buffer[LARGE];
static struct iovec messages[16];

static void forget_outputs(void)
{
	data = UNTOUCHED;
	size = 7;
	memset(&item, 'u', sizeof(item));
	memset(buffer, 'u', sizeof(buffer));
	memset(messages, 'u', sizeof(messages));
}

static bool is_untouched(const void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (((const char *)bytes)[i] != 'u')
			return false;
	return true;
}

static void outputs_untouched(void)
{
	ck_that(data == UNTOUCHED && size == 7 && is_untouched(&item, sizeof(item)));
	ck_that(is_untouched(buffer, sizeof(buffer)) && is_untouched(messages, sizeof(messages)));
}

static void make_empty(void)
{
	make_anonymous();
	forget_outputs();
}

static int reserve_some(void)
{
	return ipck_queue_reserve(queue, 100, &data, far_off());
}

static void nothing_reserved(void)
{
	outputs_untouched();
	is_unused(queue);
}

static void use_reserved(void)
{
	commit_text(queue, data, "reserved");
	expect_text(queue, "reserved");
}

static void make_with_one(void)
{
	make_empty();
	put_text(queue, "one");
}

static void one_is_there(void)
{
	outputs_untouched();
	has_all(1);
}

static int peek_one(void)
{
	return ipck_queue_peek(queue, &item, far_off());
}

static void use_peeked(void)
{
	ck_that(item_is(&item, "one") && item.deliveries == 1);
	ck_ok(ipck_queue_release(queue, &item));
}

static void make_leasing(void)
{
	name = NULL;
	make(IPCK_QUEUE_OPTS(.bytes = SMALL, .leases = true));
}

static void make_lease_of_one(void)
{
	make_leasing();
	forget_outputs();
	put_text(queue, "one");
}

static int lease(void)
{
	ssize_t n = ipck_queue_get(queue, buffer, sizeof(buffer), NULL, far_off());

	ck_that(n < 0 || n == 3);
	return n < 0 ? (int)n : 0;
}

static void not_leased(void)
{
	one_is_there();
	has_no_lease(queue);
}

static void use_leased(void)
{
	expect_leased(queue, "one", 1);
	ck_that(memcmp(buffer, "one", 3) == 0);
	ck_ok(ipck_queue_task_done(queue));
}

static void end_leases(void)
{
	has_no_lease(queue);
	is_unused(queue);
	ck_ok(ipck_queue_join(queue, far_off()));
	ipck_queue_close(queue);
}

/* ---- get_new ---- */

static int get_new(void)
{
	return ipck_queue_get_new(queue, &data, &size, far_off());
}

static void make_with_large(void)
{
	make_empty();
	put_filled(queue, LARGE, 1);
}

static void use_new(void)
{
	ck_that(size == 3 ? memcmp(data, "one", 3) == 0 : size == LARGE && is_filled(data, size, 1));
	free(data);
	data = UNTOUCHED;
}

/* With some room for leases already: what of it is kept is no leak. */
static void make_lease_of_large(void)
{
	make_lease_of_one();
	ck_ok(lease());
	use_leased();
	forget_outputs();
	put_filled(queue, LARGE, 1);
}

static void use_new_lease(void)
{
	use_new();
	ck_ok(ipck_queue_task_done(queue));
}

/* ---- get_many ---- */

static void make_lease_of_many(void)
{
	make_lease_of_large();
	ck_ok(get_new());
	use_new_lease();
	forget_outputs();
	put_text(queue, "one");
	put_text(queue, "two");
	put_text(queue, "six");
}

/* What it may lease is more than there is room for. */
static int lease_many(void)
{
	size_t needed = 7;
	int got = ipck_queue_get_many(queue, buffer, sizeof(buffer), messages, 16, &needed, far_off());

	ck_that(needed == 7 && (got < 0 || got == 3));
	return MIN(got, 0);
}

static void many_are_there(void)
{
	outputs_untouched();
	has_all(3);
	has_no_lease(queue);
}

static void use_many(void)
{
	ck_that(memcmp(buffer, "onetwosix", 9) == 0);
	for (int i = 0; i < 3; i++) {
		ck_that(messages[i].iov_base == buffer + 3 * i && messages[i].iov_len == 3);
		ck_ok(ipck_queue_task_done(queue));
	}
}

/* ---- the bell ---- */

static int ask_for_descriptor(void)
{
	return MIN(ipck_queue_fd(queue), 0);
}

static void use_queue(void)
{
	use(queue);
}

static void make_polled(void)
{
	make_anonymous();
	expect_silence(queue);
}

static void make_polled_and_named(void)
{
	make_named();
	expect_silence(queue);
}

/* Putting does not fail for it; a bell that was not rung is rung by the next one. */
static int put_one(void)
{
	ck_ok(ipck_queue_put(queue, "one", 3, far_off()));
	return 0;
}

static void use_both(void)
{
	put_text(queue, "two");
	ck_that(is_readable(queue));
	expect_text(queue, "one");
	ck_that(is_readable(queue));
	expect_text(queue, "two");
}

static void make_rung(void)
{
	make_polled();
	put_one();
	expect_text(queue, "one");
}

static int get_nothing(void)
{
	char byte;

	ck_err(ipck_queue_get(queue, &byte, 1, NULL, IPCK_NOWAIT), ETIMEDOUT);
	return 0;
}

static const struct scenario scenarios[] = {
	{"reserve", make_empty, reserve_some, nothing_reserved, use_reserved, end, 0, 1},
	{"peek", make_with_one, peek_one, one_is_there, use_peeked, end, 0, 1},
	{"lease", make_lease_of_one, lease, not_leased, use_leased, end_leases, 0, 1},
	{"get new", make_with_one, get_new, one_is_there, use_new, end, 0, 1},
	{"get new, large", make_with_large, get_new, one_is_there, use_new, end, 0, 2},
	{"get new, leased", make_lease_of_one, get_new, not_leased, use_new_lease, end_leases, 0, 2},
	{"get new, leased, large", make_lease_of_large, get_new, not_leased, use_new_lease, end_leases, 0, 2},
	{"get many, leased", make_lease_of_many, lease_many, many_are_there, use_many, end_leases, 0, 1},
	{"fd", make_anonymous, ask_for_descriptor, nothing, use_queue, end, 0, 1},
	{"fd, named", make_named, ask_for_descriptor, nothing, use_queue, end, 0, 1},
	{"put, polled", make_polled, put_one, nothing, use_both, end, 0, 1},
	{"put, polled, named", make_polled_and_named, put_one, nothing, use_both, end, 0, 1},
	{"get, polled", make_rung, get_nothing, nothing, use_queue, end, 0, 3},
};

START_TEST(each_call_fails)
{
	sweep_all(&scenarios[_i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fault_queue_use");
	TCase *tc = test_case_primed(s, "faults", prime_process);

	tcase_add_loop_test(tc, each_call_fails, 0, ARRAY_SIZE(scenarios));
	return test_main(s);
}
