/* SPDX-License-Identifier: MIT */
#include "shm_suite.h"

#include <errno.h>
#include <fcntl.h>
#include <ipckit/shm.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/compiler.h"

/* What *out must still be after a failure. */
#define UNTOUCHED ((struct ipck_shm *)0x1234)

static bool is_zero(const struct ipck_shm *shm)
{
	const char *data = ipck_shm_data(shm);

	for (size_t i = 0; i < ipck_shm_size(shm); i++)
		if (data[i])
			return false;
	return true;
}

static struct ipck_shm *make(const char *name, size_t bytes)
{
	struct ipck_shm *shm;

	ck_ok(ipck_shm_create(&shm, name, bytes, NULL));
	ck_that(ipck_shm_size(shm) == bytes);
	ck_that((uintptr_t)ipck_shm_data(shm) % 4096 == 0);
	ck_that(fcntl(ipck_shm_fd(shm), F_GETFD) == FD_CLOEXEC);
	ck_that(is_zero(shm));
	return shm;
}

static struct ipck_shm *find(const char *name)
{
	struct ipck_shm *shm;

	ck_ok(ipck_shm_open(&shm, name, NULL));
	ck_that((uintptr_t)ipck_shm_data(shm) % 4096 == 0);
	return shm;
}

/* ---- making and finding ---- */

START_TEST(any_size)
{
	static const size_t sizes[] = {1, 7, 4095, 4096, 4097, 65536, (1 << 20) + 3};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct ipck_shm *nameless = make(NULL, sizes[i]), *named = make(test_name("sizes"), sizes[i]);
		struct ipck_shm *other = find(test_name("sizes"));

		memset(ipck_shm_data(nameless), 1, sizes[i]);
		memset(ipck_shm_data(named), 2, sizes[i]);
		ck_assert_uint_eq(ipck_shm_size(other), sizes[i]);
		ck_assert_mem_eq(ipck_shm_data(other), ipck_shm_data(named), sizes[i]);
		ipck_shm_close(other);
		ipck_shm_close(named);
		ipck_shm_close(nameless);
		ck_ok(ipck_shm_unlink(test_name("sizes")));
	}
	ipck_shm_close(NULL);
}
END_TEST

static void bad_size(size_t bytes, int error)
{
	struct ipck_shm *shm = UNTOUCHED;

	ck_err(ipck_shm_create(&shm, NULL, bytes, NULL), error);
	ck_err(ipck_shm_create(&shm, test_name("bad"), bytes, NULL), error);
	ck_assert_ptr_eq(shm, UNTOUCHED);
	ck_err(ipck_shm_unlink(test_name("bad")), ENOENT);
}

START_TEST(bad_sizes)
{
	bad_size(0, EINVAL);
	bad_size(SIZE_MAX, EINVAL);
	bad_size((size_t)PTRDIFF_MAX + 1, EINVAL);
	bad_size(PTRDIFF_MAX, EINVAL);
	bad_size(PTRDIFF_MAX / 2, ENOSPC);
	bad_size((size_t)1 << 50, ENOSPC);
}
END_TEST

START_TEST(bad_names)
{
	static const char *const names[] = {"", "/a", "a/b", "a b", "\xff", "a\n", "a%"};
	char long_name[202];
	struct ipck_shm *shm = UNTOUCHED;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		ck_err(ipck_shm_create(&shm, names[i], 1, NULL), EINVAL);
		ck_err(ipck_shm_open(&shm, names[i], NULL), EINVAL);
		ck_err(ipck_shm_unlink(names[i]), EINVAL);
	}
	ck_err(ipck_shm_open(&shm, NULL, NULL), EINVAL);
	ck_err(ipck_shm_unlink(NULL), EINVAL);
	memset(long_name, 'x', sizeof(long_name));
	memcpy(long_name, test_name("l"), strlen(test_name("l")));
	long_name[201] = '\0';
	ck_err(ipck_shm_create(&shm, long_name, 1, NULL), EINVAL);
	ck_err(ipck_shm_open(&shm, long_name, NULL), EINVAL);
	ck_err(ipck_shm_unlink(long_name), EINVAL);
	ck_assert_ptr_eq(shm, UNTOUCHED);
	long_name[200] = '\0';
	ipck_shm_close(make(long_name, 1));
	ipck_shm_close(find(long_name));
	ck_ok(ipck_shm_unlink(long_name));
}
END_TEST

START_TEST(bad_options)
{
	struct {
		struct ipck_shm_opts known;
		uint64_t more;
	} newer = {.known = {.size = sizeof(newer)}, .more = 1};
	struct ipck_shm_opts none = {0};
	struct ipck_shm *shm = UNTOUCHED;
	const char *name = test_name("options");

	ck_err(ipck_shm_create(&shm, name, 1, &newer.known), E2BIG);
	ck_err(ipck_shm_open(&shm, name, &newer.known), E2BIG);
	ck_err(ipck_shm_open_fd(&shm, 0, &newer.known), E2BIG);
	ck_err(ipck_shm_create(&shm, name, 1, &none), EINVAL);
	ck_err(ipck_shm_open(&shm, name, &none), EINVAL);
	ck_err(ipck_shm_open_fd(&shm, 0, &none), EINVAL);
	ck_err(ipck_shm_create(&shm, name, 1, IPCK_SHM_OPTS(.mode = 01600)), EINVAL);
	ck_err(ipck_shm_create(&shm, name, 1, IPCK_SHM_OPTS(.mode = S_IFREG | 0600)), EINVAL);
	ck_assert_ptr_eq(shm, UNTOUCHED);
	ck_err(ipck_shm_unlink(name), ENOENT);
	newer.more = 0;
	ck_ok(ipck_shm_create(&shm, name, 1, &newer.known));
	ipck_shm_close(shm);
	ck_ok(ipck_shm_unlink(name));
}
END_TEST

START_TEST(a_name_is_of_one_segment)
{
	const char *name = test_name("one");
	struct ipck_shm *first, *second, *out = UNTOUCHED;
	char *a, *b;

	ck_err(ipck_shm_open(&out, name, NULL), ENOENT);
	ck_err(ipck_shm_unlink(name), ENOENT);
	first = make(name, 5000);
	ck_err(ipck_shm_create(&out, name, 5000, NULL), EEXIST);
	ck_err(ipck_shm_create(&out, name, 1, NULL), EEXIST);
	ck_assert_ptr_eq(out, UNTOUCHED);
	second = find(name);
	ck_assert_uint_eq(ipck_shm_size(second), 5000);
	a = ipck_shm_data(first);
	b = ipck_shm_data(second);
	ck_assert_ptr_ne(a, b);
	a[0] = 1;
	b[4999] = 2;
	ck_assert(b[0] == 1 && a[4999] == 2);
	/* Without its name it goes on, and the name is free. */
	ck_ok(ipck_shm_unlink(name));
	ck_err(ipck_shm_open(&out, name, NULL), ENOENT);
	ck_err(ipck_shm_unlink(name), ENOENT);
	ipck_shm_close(first);
	ck_assert(b[0] == 1 && b[4999] == 2);
	first = make(name, 6000);
	ck_assert_uint_eq(ipck_shm_size(second), 5000);
	ck_assert_int_eq(b[0], 1);
	ipck_shm_close(second);
	ipck_shm_close(first);
	ck_ok(ipck_shm_unlink(name));
}
END_TEST

START_TEST(modes_are_exact)
{
	static const mode_t masks[] = {0, 022, 077, 0777}, modes[] = {0, 0600, 0640, 0660, 0666, 0700, 0777};
	const char *name = test_name("mode");
	char path[256];

	snprintf(path, sizeof(path), "/dev/shm/ipck.%s", name);
	for (size_t i = 0; i < ARRAY_SIZE(masks); i++)
		for (size_t k = 0; k < ARRAY_SIZE(modes); k++) {
			mode_t old = umask(masks[i]);
			struct ipck_shm *shm;
			struct stat st;

			ck_ok(ipck_shm_create(&shm, name, 1, IPCK_SHM_OPTS(.mode = modes[k])));
			umask(old);
			ck_assert_int_eq(stat(path, &st), 0);
			ck_assert_uint_eq(st.st_mode & 07777, modes[k] ? modes[k] : 0600);
			ck_assert_uint_eq(st.st_uid, geteuid());
			ipck_shm_close(shm);
			ck_ok(ipck_shm_unlink(name));
		}
}
END_TEST

/* A program without standard streams writes to them all the same. */
static void without_streams(void *arg)
{
	struct ipck_shm *nameless, *named, *same;

	for (int fd = 0; fd <= 2; fd++)
		close(fd);
	nameless = make(NULL, 100);
	named = make(arg, 100);
	same = find(arg);
	ck_that(ipck_shm_fd(nameless) > 2 && ipck_shm_fd(named) > 2 && ipck_shm_fd(same) > 2);
	ck_that(write(1, "x", 1) < 0 && write(2, "x", 1) < 0);
	ck_ok(ipck_shm_unlink(arg));
	_exit(0);
}

START_TEST(no_segment_is_a_standard_stream)
{
	test_join(test_fork(without_streams, (char *)test_name("streams")));
}
END_TEST

/* ---- several at once ---- */

#define RACERS 4
#define RACES 25

struct race {
	char name[128];
	uint32_t started, winners, ended;
	size_t bytes;
};

static void race(unsigned i, void *arg)
{
	struct race *r = arg;
	struct ipck_shm *shm;

	for (uint32_t n = 1; n <= RACES; n++) {
		int rc;

		add_acq_rel(&r->started, 1);
		TEST_UNTIL(load_acquire(&r->started) >= n * RACERS);
		rc = ipck_shm_create(&shm, r->name, 10000 + i, NULL);
		if (rc == 0) {
			add_acq_rel(&r->winners, 1);
			store_release(&r->bytes, 10000 + i);
		} else {
			ck_err(rc, EEXIST);
			/* It is whole as soon as it is in the way. */
			shm = find(r->name);
			ck_that(ipck_shm_size(shm) >= 10000 && ipck_shm_size(shm) < 10000 + RACERS);
		}
		ck_that(is_zero(shm));
		add_acq_rel(&r->ended, 1);
		TEST_UNTIL(load_acquire(&r->ended) >= n * RACERS);
		ck_that(ipck_shm_size(shm) == load_acquire(&r->bytes));
		ck_that(load_acquire(&r->winners) == n);
		ipck_shm_close(shm);
		rc = ipck_shm_unlink(r->name);
		if (rc < 0)
			ck_err(rc, ENOENT);
	}
}

START_TEST(one_of_many_creators_wins)
{
	struct race *r = test_shared(sizeof(*r));

	strcpy(r->name, test_name("race"));
	if (_i)
		test_processes(RACERS, race, r);
	else
		test_threads(RACERS, race, r);
	ck_assert_uint_eq(r->winners, RACES);
}
END_TEST

static void may_fail(int rc, int error)
{
	if (rc < 0)
		ck_err(rc, error);
}

/* Who finds it finds it whole, however often it comes and goes. */
static void come_and_go(unsigned i, void *arg)
{
	const char *name = arg;
	struct test_random random = test_random(i);

	for (int n = 0; n < 300; n++) {
		struct ipck_shm *shm = NULL;
		size_t bytes = 4096 * (1 + test_random_below(&random, 3));

		switch (test_random_below(&random, 3)) {
		case 0:
			may_fail(ipck_shm_create(&shm, name, bytes, NULL), EEXIST);
			break;
		case 1:
			may_fail(ipck_shm_open(&shm, name, NULL), ENOENT);
			break;
		default:
			may_fail(ipck_shm_unlink(name), ENOENT);
		}
		if (shm)
			ck_that(ipck_shm_size(shm) % 4096 == 0 && is_zero(shm));
		ipck_shm_close(shm);
	}
}

START_TEST(segments_come_and_go)
{
	char name[128];

	strcpy(name, test_name("come"));
	if (_i)
		test_processes(3, come_and_go, name);
	else
		test_threads(3, come_and_go, name);
	may_fail(ipck_shm_unlink(name), ENOENT);
	ipck_shm_close(make(name, 100));
	ck_ok(ipck_shm_unlink(name));
}
END_TEST

/* ---- handing over ---- */

static void write_in_child(void *arg)
{
	struct ipck_shm *shm = arg;

	ck_that(((char *)ipck_shm_data(shm))[0] == 1);
	((char *)ipck_shm_data(shm))[9999] = 2;
	ipck_shm_close(shm);
}

START_TEST(by_fork)
{
	struct ipck_shm *shm = make(NULL, 10000);

	((char *)ipck_shm_data(shm))[0] = 1;
	test_join(test_fork(write_in_child, shm));
	ck_assert_int_eq(((char *)ipck_shm_data(shm))[9999], 2);
	ipck_shm_close(shm);
}
END_TEST

union message_fd {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static struct msghdr fd_message(union message_fd *control, struct iovec *data)
{
	struct msghdr m = {.msg_iov = data,
	                   .msg_iovlen = 1,
	                   .msg_control = control->bytes,
	                   .msg_controllen = sizeof(control->bytes)};

	return m;
}

static void send_fd(int socket, int fd)
{
	union message_fd control = {0};
	struct msghdr m = fd_message(&control, &(struct iovec){(char[]){'x'}, 1});
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	*c = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	ck_that(sendmsg(socket, &m, 0) == 1);
}

static int receive_fd(int socket)
{
	union message_fd control = {0};
	struct msghdr m = fd_message(&control, &(struct iovec){(char[]){0}, 1});
	int fd;

	ck_that(recvmsg(socket, &m, MSG_CMSG_CLOEXEC) == 1);
	ck_that(CMSG_FIRSTHDR(&m));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

/* Makes a segment, hands it over, and is killed. */
static void send_segment(void *arg)
{
	struct ipck_shm *shm = make(NULL, 10000);

	((char *)ipck_shm_data(shm))[9999] = 3;
	send_fd(*(int *)arg, ipck_shm_fd(shm));
	raise(SIGKILL);
}

START_TEST(by_message)
{
	struct ipck_shm *shm;
	int ends[2], fd;
	pid_t pid;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	pid = test_fork(send_segment, &ends[1]);
	fd = receive_fd(ends[0]);
	test_kill(pid);
	ck_ok(ipck_shm_open_fd(&shm, fd, NULL));
	/* The descriptor stays ours; the handle has its own, close-on-exec. */
	ck_assert_int_ne(ipck_shm_fd(shm), fd);
	ck_assert_int_eq(fcntl(ipck_shm_fd(shm), F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_uint_eq(ipck_shm_size(shm), 10000);
	ck_assert_int_eq(((char *)ipck_shm_data(shm))[9999], 3);
	ipck_shm_close(shm);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(by_descriptor)
{
	struct ipck_shm *named = make(test_name("fd"), 100), *same, *shm = UNTOUCHED;

	ck_ok(ipck_shm_open_fd(&same, ipck_shm_fd(named), NULL));
	((char *)ipck_shm_data(named))[99] = 4;
	ipck_shm_close(named);
	ck_assert_int_eq(((char *)ipck_shm_data(same))[99], 4);
	ipck_shm_close(same);
	ck_ok(ipck_shm_unlink(test_name("fd")));
	ck_err(ipck_shm_open_fd(&shm, -1, NULL), EBADF);
	ck_err(ipck_shm_open_fd(&shm, 1000000, NULL), EBADF);
	ck_assert_ptr_eq(shm, UNTOUCHED);
}
END_TEST

START_TEST(nobody_shrinks_it)
{
	struct ipck_shm *shm = make(NULL, 10000), *again;

	ck_assert_int_eq(ftruncate(ipck_shm_fd(shm), 0), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(ftruncate(ipck_shm_fd(shm), 4096), -1);
	ck_ok(ipck_shm_open_fd(&again, ipck_shm_fd(shm), NULL));
	ck_assert_int_eq(ftruncate(ipck_shm_fd(again), 4096), -1);
	ck_assert(is_zero(shm) && is_zero(again));
	ipck_shm_close(again);
	ipck_shm_close(shm);
}
END_TEST

void shm_suite(Suite *s, const char *name, SFun setup, bool sealed)
{
	TCase *tc = test_case(s, name);

	if (setup)
		tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, any_size);
	tcase_add_test(tc, bad_sizes);
	tcase_add_test(tc, bad_names);
	tcase_add_test(tc, bad_options);
	tcase_add_test(tc, a_name_is_of_one_segment);
	tcase_add_test(tc, modes_are_exact);
	tcase_add_test(tc, no_segment_is_a_standard_stream);
	tcase_add_loop_test(tc, one_of_many_creators_wins, 0, 2);
	tcase_add_loop_test(tc, segments_come_and_go, 0, 2);
	tcase_add_test(tc, by_fork);
	tcase_add_test(tc, by_message);
	tcase_add_test(tc, by_descriptor);
	if (sealed)
		tcase_add_test(tc, nobody_shrinks_it);
}
