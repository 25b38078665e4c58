/* SPDX-License-Identifier: MIT */
#include <ipckit.h>

#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The errors with a meaning of their own in this library. */
static const int fixed[] = {
	ETIMEDOUT, EPIPE, ESHUTDOWN, ECANCELED, ENOSPC, EMSGSIZE, EPROTO, EXDEV,
	EPERM, EDEADLK, EBUSY, EOWNERDEAD, ENOTRECOVERABLE, ECHILD, E2BIG,
	EEXIST, ERANGE, ESTALE,
};

START_TEST(test_fixed_meanings)
{
	ck_assert_str_ne(ipck_strerror(-fixed[_i]), strerror(fixed[_i]));
}
END_TEST

START_TEST(test_sentences)
{
	for (int error = 0; error < 200; error++) {
		const char *sentence = ipck_strerror(-error);
		ck_assert_ptr_nonnull(sentence);
		size_t length = strlen(sentence);
		ck_assert_uint_gt(length, 0);
		ck_assert_int_ne(sentence[length - 1], '.');
		ck_assert_ptr_eq(sentence, ipck_strerror(error));
	}
}
END_TEST

START_TEST(test_libc_sentences)
{
	ck_assert_str_eq(ipck_strerror(-ENOENT), "No such file or directory");
	ck_assert_str_eq(ipck_strerror(0), "Success");
}
END_TEST

START_TEST(test_unknown)
{
	static const int unknown[] = {INT_MIN, INT_MIN + 1, INT_MAX, -12345, 12345};
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		ck_assert_ptr_nonnull(ipck_strerror(unknown[i]));
		ck_assert_int_eq(strncmp(ipck_strerror(unknown[i]), "Unknown error", 13), 0);
	}
}
END_TEST

START_TEST(test_version)
{
	char header[32];
	snprintf(header, sizeof(header), "%d.%d.%d", IPCK_VERSION_MAJOR, IPCK_VERSION_MINOR, IPCK_VERSION_PATCH);
	ck_assert_str_eq(ipck_version(), header);
	ck_assert_str_eq(ipck_version(), PACKAGE_VERSION);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("error");
	TCase *tc = tcase_create("error");
	tcase_add_loop_test(tc, test_fixed_meanings, 0, sizeof(fixed) / sizeof(fixed[0]));
	tcase_add_test(tc, test_sentences);
	tcase_add_test(tc, test_libc_sentences);
	tcase_add_test(tc, test_unknown);
	tcase_add_test(tc, test_version);
	suite_add_tcase(suite, tc);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
