/* SPDX-License-Identifier: MIT */
/* Segments as users have them: the suite, other users, and no memory, files or room left. */
#include "shm_suite.h"

#include <errno.h>
#include <fcntl.h>
#include <ipckit/shm.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/compiler.h"

#define UNTOUCHED ((struct ipck_shm *)0x1234)

/* ---- no room ---- */

static void no_room(const char *name, size_t bytes)
{
	struct ipck_shm *shm = UNTOUCHED;

	ck_err(ipck_shm_create(&shm, name, bytes, NULL), ENOSPC);
	ck_that(shm == UNTOUCHED);
	if (name)
		ck_err(ipck_shm_unlink(name), ENOENT);
}

START_TEST(more_than_the_file_system_holds)
{
	struct statvfs before, after;

	ck_assert_int_eq(statvfs("/dev/shm", &before), 0);
	no_room(test_name("big"), before.f_blocks * before.f_frsize + 1);
	no_room(test_name("big"), (size_t)1 << 46);
	ck_assert_int_eq(statvfs("/dev/shm", &after), 0);
	ck_assert_uint_eq(before.f_blocks, after.f_blocks);
}
END_TEST

static bool write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");
	bool ok = f && fputs(text, f) >= 0;

	return f && fclose(f) == 0 && ok;
}

/* In a new user namespace: this user is its superuser. */
static bool map_user(uid_t uid, gid_t gid)
{
	char users[32], groups[32];

	snprintf(users, sizeof(users), "0 %u 1", uid);
	snprintf(groups, sizeof(groups), "0 %u 1", gid);
	return write_file("/proc/self/setgroups", "deny") && write_file("/proc/self/uid_map", users) &&
	       write_file("/proc/self/gid_map", groups);
}

/* A small /dev/shm of this process' own.  Without root it takes a user namespace. */
static bool mount_small(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(CLONE_NEWNS) < 0 && (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || !map_user(uid, gid)))
		return false;
	return mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=1m") == 0;
}

static unsigned long blocks_free(void)
{
	struct statvfs st;

	ck_that(statvfs("/dev/shm", &st) == 0);
	return st.f_bfree;
}

static void fill_small(void *arg)
{
	struct ipck_shm *shm, *same, *none = UNTOUCHED;
	unsigned long empty;

	(void)arg;
	if (!mount_small()) {
		printf("no small file system can be mounted here: only the large one is tested\n");
		return;
	}
	empty = blocks_free();
	no_room("x", 1 << 20);
	no_room("x", 3 << 20);
	ck_that(blocks_free() == empty);
	/* More than half of it; all of it can be written. */
	ck_ok(ipck_shm_create(&shm, "x", 600000, NULL));
	memset(ipck_shm_data(shm), 1, 600000);
	no_room("y", 600000);
	/* That there is no room for another one is not what stands in the way. */
	ck_err(ipck_shm_create(&none, "x", 600000, NULL), EEXIST);
	ck_ok(ipck_shm_open(&same, "x", NULL));
	ck_that(((char *)ipck_shm_data(same))[599999] == 1);
	ipck_shm_close(same);
	/* To the last page. */
	ck_ok(ipck_shm_create(&same, "y", blocks_free() * 4096 - 4096, NULL));
	memset(ipck_shm_data(same), 2, ipck_shm_size(same));
	no_room("z", 1);
	ipck_shm_close(same);
	ck_ok(ipck_shm_unlink("y"));
	ipck_shm_close(shm);
	ck_ok(ipck_shm_unlink("x"));
	ck_that(blocks_free() == empty);
}

START_TEST(a_full_file_system)
{
	test_join(test_fork(fill_small, NULL));
}
END_TEST

static void limit_file_size(void *arg)
{
	struct ipck_shm *shm;

	signal(SIGXFSZ, SIG_IGN);
	ck_that(setrlimit(RLIMIT_FSIZE, &(const struct rlimit){100000, 100000}) == 0);
	no_room(NULL, 200000);
	no_room(arg, 200000);
	ck_ok(ipck_shm_create(&shm, NULL, 50000, NULL));
	ipck_shm_close(shm);
}

START_TEST(a_limit_on_file_sizes)
{
	test_join(test_fork(limit_file_size, (char *)test_name("limit")));
}
END_TEST

static void limit_files(void *arg)
{
	struct ipck_shm *shm = UNTOUCHED;
	int fds = dup(0);

	close(fds);
	ck_that(setrlimit(RLIMIT_NOFILE, &(const struct rlimit){(rlim_t)fds, (rlim_t)fds}) == 0);
	ck_err(ipck_shm_create(&shm, NULL, 1, NULL), EMFILE);
	ck_err(ipck_shm_create(&shm, test_name("new"), 1, NULL), EMFILE);
	ck_err(ipck_shm_open(&shm, arg, NULL), EMFILE);
	ck_that(shm == UNTOUCHED);
}

static void limit_duplicates(void *arg)
{
	struct ipck_shm *shm = UNTOUCHED;

	ck_that(setrlimit(RLIMIT_NOFILE, &(const struct rlimit){3, 3}) == 0);
	ck_that(ipck_shm_open_fd(&shm, ipck_shm_fd(arg), NULL) < 0);
	ck_that(shm == UNTOUCHED);
}

START_TEST(a_limit_on_descriptors)
{
	struct ipck_shm *shm;
	const char *name = test_name("files");

	ck_ok(ipck_shm_create(&shm, name, 1, NULL));
	test_join(test_fork(limit_files, (char *)name));
	test_join(test_fork(limit_duplicates, shm));
	ck_err(ipck_shm_unlink(test_name("new")), ENOENT);
	ipck_shm_close(shm);
	ck_ok(ipck_shm_unlink(name));
}
END_TEST

/* ---- other users ---- */

#define USER 65534u
#define OTHER_USER 65533u

static void become(unsigned uid)
{
	ck_that(setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0);
}

static void create_as_user(void *arg)
{
	struct ipck_shm *shm;

	become(USER);
	ck_ok(ipck_shm_create(&shm, arg, 1, IPCK_SHM_OPTS(.mode = 0666)));
	ipck_shm_close(shm);
}

static void meet_as_other(void *arg)
{
	struct ipck_shm *shm = UNTOUCHED;

	become(OTHER_USER);
	ck_err(ipck_shm_open(&shm, arg, NULL), EPERM);
	ck_err(ipck_shm_create(&shm, arg, 1, NULL), EEXIST);
	ck_that(shm == UNTOUCHED);
	ck_that(ipck_shm_unlink(arg) < 0);
	ck_ok(ipck_shm_open(&shm, arg, IPCK_SHM_OPTS(.any_owner = true)));
	ipck_shm_close(shm);
}

static void meet_private_one(void *arg)
{
	struct ipck_shm *shm = UNTOUCHED;

	become(OTHER_USER);
	ck_err(ipck_shm_open(&shm, arg, NULL), EACCES);
	ck_err(ipck_shm_open(&shm, arg, IPCK_SHM_OPTS(.any_owner = true)), EACCES);
	ck_err(ipck_shm_create(&shm, arg, 1, NULL), EEXIST);
	ck_that(ipck_shm_unlink(arg) < 0);
	ck_that(shm == UNTOUCHED);
}

static void meet_the_superusers(void *arg)
{
	struct ipck_shm *shm;

	become(USER);
	ck_ok(ipck_shm_open(&shm, arg, NULL));
	ipck_shm_close(shm);
}

/* Who cannot be somebody else tests this by fault_mem only, which pretends. */
START_TEST(of_other_users)
{
	const char *name = test_name("user");
	struct ipck_shm *shm = UNTOUCHED;

	if (geteuid() != 0) {
		printf("not the superuser: cannot be two users here\n");
		return;
	}
	test_join(test_fork(create_as_user, (char *)name));
	test_join(test_fork(meet_as_other, (char *)name));
	ck_err(ipck_shm_open(&shm, name, NULL), EPERM);
	ck_err(ipck_shm_create(&shm, name, 1, NULL), EEXIST);
	ck_ok(ipck_shm_open(&shm, name, IPCK_SHM_OPTS(.any_owner = true)));
	ipck_shm_close(shm);
	ck_ok(ipck_shm_unlink(name));
	ck_ok(ipck_shm_create(&shm, name, 1, NULL));
	ipck_shm_close(shm);
	test_join(test_fork(meet_private_one, (char *)name));
	ck_ok(ipck_shm_unlink(name));
	ck_ok(ipck_shm_create(&shm, name, 1, IPCK_SHM_OPTS(.mode = 0666)));
	ipck_shm_close(shm);
	test_join(test_fork(meet_the_superusers, (char *)name));
	ck_ok(ipck_shm_unlink(name));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("shm");
	TCase *tc;

#ifdef HAVE_MEMFD_CREATE
	shm_suite(s, "use", NULL, true);
#else
	shm_suite(s, "use", NULL, false);
#endif
	tc = test_case(s, "limits");
	tcase_add_test(tc, more_than_the_file_system_holds);
	tcase_add_test(tc, a_full_file_system);
	tcase_add_test(tc, a_limit_on_file_sizes);
	tc = test_case(s, "users");
	tcase_add_test(tc, of_other_users);
	/* valgrind counts descriptors itself: an open that it refuses has made the file. */
	tc = test_case(s, "descriptors");
	tcase_set_tags(tc, "not_valgrind");
	tcase_add_test(tc, a_limit_on_descriptors);
	return test_main(s);
}
