/* SPDX-License-Identifier: MIT */
/* Queues whose places and counts begin again at 0, as after very many messages. */
#include "queues.h"

#define MAX_ITEMS 40

enum { LEASES = 1, BOUNDED = 2, FIXTURES = 4 };

static struct {
	uint32_t place, count;
} begin[] = {{0xffffff00, 0xfffffff0}, {0x7fffff00, 0x7ffffff0}, {0xfffff800, 5}, {16, 0xffffffff}};

/* As if so much had been put and got. */
static void begin_at(uint32_t place, uint32_t count)
{
	struct queue_shm *s = queue->shm;

	s->tail = s->next = s->head = s->head_seen = s->next_seen = s->tail_seen = mark(place, count);
	s->taken = s->finished = count;
}

static void expect_done(const char *text)
{
	expect_text(queue, text);
	ck_ok(ipck_queue_task_done(queue));
}

/* One, a reservation that is committed or canceled, and one behind it. */
static void in_place(int turn)
{
	struct ipck_queue_item item;
	char *data;

	put_text(queue, "one");
	data = reserve(queue, 300);
	put_text(queue, "three");
	ck_that(ck_ok(ipck_queue_size(queue)) == 1);
	if (turn % 3)
		commit_text(queue, data, "two");
	else
		ck_ok(ipck_queue_cancel(queue, data));
	ck_that(ck_ok(ipck_queue_size(queue)) == (turn % 3 ? 3 : 2));
	item = peek_text(queue, "one");
	ck_ok(ipck_queue_refuse(queue, &item));
	expect_done("one");
	if (turn % 3)
		expect_done("two");
	expect_done("three");
	ck_err(ipck_queue_task_done(queue), EPERM);
}

static void batched(void)
{
	struct iovec put[8], got[8];
	char bytes[64];

	for (int i = 0; i < 8; i++)
		put[i] = (struct iovec){.iov_base = &bytes[i], .iov_len = 1};
	memcpy(bytes, "abcdefgh", 8);
	ck_that(ck_ok(ipck_queue_put_many(queue, put, 8, IPCK_NOWAIT)) == 8);
	ck_that(ck_ok(ipck_queue_get_many(queue, bytes, sizeof(bytes), got, 8, NULL, IPCK_NOWAIT)) == 8);
	ck_that(memcmp(bytes, "abcdefgh", 8) == 0);
	for (int i = 0; i < 8; i++)
		ck_ok(ipck_queue_task_done(queue));
}

static void filled(bool bounded)
{
	unsigned n = put_until_full(queue, 30);

	ck_that(!bounded || n == MAX_ITEMS);
	ck_that(ck_ok(ipck_queue_size(queue)) == n);
	while (n-- > 0) {
		expect_filled(queue, 30, 0);
		ck_ok(ipck_queue_task_done(queue));
	}
}

START_TEST(over_the_end)
{
	bool leases = _i & LEASES, bounded = _i & BOUNDED;
	uint32_t count = begin[_i / FIXTURES].count;
	struct ipck_queue_stats f;
	uint64_t total;

	make_queue(IPCK_QUEUE_OPTS(.bytes = SMALL, .joinable = true, .leases = leases,
	                           .max_items = bounded ? MAX_ITEMS : 0));
	begin_at(begin[_i / FIXTURES].place, count);
	for (int turn = 0; turn < 12; turn++) {
		in_place(turn);
		batched();
		filled(bounded);
		ck_ok(ipck_queue_join(queue, IPCK_NOWAIT));
	}
	f = figures(queue);
	total = queue_total(queue->shm);
	ck_assert_uint_gt(total, count + UINT64_C(12) * (3 + 8 + MAX_ITEMS) - 1);
	ck_assert_uint_lt(total, count + UINT64_C(12) * (3 + 8 + SMALL / 16));
	ck_assert_uint_eq(f.puts, total - 4);
	/* Each "one" twice. */
	ck_assert_uint_eq(f.gets, f.puts + 12);
	ck_assert_uint_eq(f.unfinished, 0);
	is_unused(queue);
	ipck_queue_close(queue);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("queue_wrap");
	TCase *tc = test_case(s, "wrap");

	tcase_add_loop_test(tc, over_the_end, 0, FIXTURES * (int)ARRAY_SIZE(begin));
	return test_main(s);
}
