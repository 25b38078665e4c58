/* SPDX-License-Identifier: MIT */
/* Staying awake before a sleep: where it pays, where it does not, and where it is forbidden. */
#include "base/spin.h"

#include "base/atomic.h"
#include "support.h"

#define MOST 1000
#define FEW 16

struct asked {
	uint32_t times, true_at; /* 0: never */
};

static bool is_true(void *arg)
{
	struct asked *a = arg;
	uint32_t n = add_acq_rel(&a->times, 1) + 1;

	return a->true_at != 0 && n >= a->true_at;
}

static uint32_t times_asked(struct spinner *s, uint32_t true_at)
{
	struct asked a = {.true_at = true_at};
	bool done = spin_until(s, is_true, &a);

	/* What it says last is the result. */
	ck_assert_int_eq(done, true_at != 0 && a.times >= true_at);
	return a.times;
}

START_TEST(what_is_true_is_asked_once)
{
	struct spinner fresh = SPINNER_INIT, pays = {.most = MOST}, few = {.most = FEW, .waits = 1}, one = {.most = 0};

	ck_assert_uint_eq(times_asked(&fresh, 1), 1);
	ck_assert_uint_eq(times_asked(&pays, 1), 1);
	ck_assert_uint_eq(times_asked(&few, 1), 1);
	ck_assert_uint_eq(times_asked(&one, 1), 1);
}
END_TEST

START_TEST(it_stays_awake_where_that_pays)
{
	struct spinner s = {.most = MOST};

	ck_assert_uint_eq(times_asked(&s, 100), 100);
	ck_assert_uint_eq(s.most, MOST);
	ck_assert_uint_eq(times_asked(&s, 0), MOST);
	ck_assert_uint_lt(s.most, MOST);
}
END_TEST

START_TEST(it_does_so_less_where_that_is_in_vain)
{
	struct spinner s = {.most = MOST};
	uint32_t last = MOST, n = 0;

	while (s.most > FEW) {
		ck_assert_uint_eq(times_asked(&s, 0), last);
		ck_assert_uint_lt(s.most, last);
		last = s.most;
		ck_assert_uint_lt(n++, 100);
	}
	ck_assert_uint_gt(s.most, 0);
	/* Now and then it tries once more, for things may have changed. */
	for (n = 0; n < 100 && s.most <= FEW; n++)
		times_asked(&s, 3);
	ck_assert_uint_eq(s.most, MOST);
}
END_TEST

START_TEST(on_one_cpu_it_gives_way)
{
	struct spinner s = {.most = 0};
	uint32_t n = 0;

	for (int i = 0; i < 1000; i++)
		ck_assert_uint_eq(times_asked(&s, 0), 1);
	/* And that less and less often. */
	ck_assert_uint_gt(s.vain, 1);
	ck_assert_uint_eq(s.most, 0);
	/* What brought nothing is tried again some time, and if in vain, later next time. */
	while (s.skip > 0) {
		times_asked(&s, 0);
		ck_assert_uint_lt(n++, 5000);
	}
	n = s.vain;
	times_asked(&s, 0);
	ck_assert_uint_ge(s.vain, n);
	ck_assert_uint_eq(s.skip, s.vain);
}
END_TEST

START_TEST(the_first_guess_is_made_once)
{
	struct spinner s = SPINNER_INIT;

	times_asked(&s, 0);
	ck_assert_uint_ne(s.most, UINT32_MAX);
	ck_assert_uint_le(s.most, MOST);
}
END_TEST

static void ask_forbidden(unsigned i, void *arg)
{
	(void)i;
	ck_that(times_asked(arg, 0) == 1);
	ck_that(times_asked(arg, 2) == 1);
}

START_TEST(where_it_is_forbidden_it_asks_once)
{
	struct spinner *s = test_shared(sizeof(*s));

	s->most = MOST;
	spin_forbid();
	ask_forbidden(0, s);
	test_processes(2, ask_forbidden, s);
	test_threads(2, ask_forbidden, s);
	ck_assert_uint_eq(s->most, MOST);
}
END_TEST

static void spin_often(unsigned i, void *arg)
{
	for (uint32_t n = 0; n < 2000; n++)
		(void)times_asked(arg, (n + i) % 7);
}

/* Each overwrites what the others guess; it stays a guess. */
START_TEST(threads_share_a_spinner)
{
	struct spinner s = SPINNER_INIT;

	test_threads(3, spin_often, &s);
	ck_assert_uint_le(s.most, MOST);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("spin");
	TCase *tc = test_case(s, "spin");

	tcase_add_test(tc, what_is_true_is_asked_once);
	tcase_add_test(tc, it_stays_awake_where_that_pays);
	tcase_add_test(tc, it_does_so_less_where_that_is_in_vain);
	tcase_add_test(tc, on_one_cpu_it_gives_way);
	tcase_add_test(tc, the_first_guess_is_made_once);
	tcase_add_test(tc, where_it_is_forbidden_it_asks_once);
	tcase_add_test(tc, threads_share_a_spinner);
	return test_main(s);
}
