/* SPDX-License-Identifier: MIT */
/*
 * Segments and the arena when the system fails them: each call of theirs, for
 * the N-th time, for every N, on each fallback.  The error is told, nothing is
 * written or left, and the next attempt works.
 */
#include "fault.h"
#include "shm_suite.h"

#include <errno.h>
#include <fcntl.h>
#include <ipckit/shm.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "mem/arena.h"
#include "mem/segment.h"

#define BYTES 5000
#define UNTOUCHED ((struct ipck_shm *)0x1234)

static char name[128];
static struct ipck_shm *shm, *other;
static struct segment segment;

/* ---- what a process holds ---- */

struct held {
	unsigned fds, maps;
	long blocks;
};

static unsigned count_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	unsigned n = 0;

	ck_that(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, "/memfd:ipck") || strstr(line, "/dev/shm/");
	fclose(f);
	return n;
}

static struct held count_held(void)
{
	struct held h = {.maps = count_maps(), .blocks = fault_blocks()};

	for (int fd = 0; fd < 256; fd++)
		h.fds += fcntl(fd, F_GETFD, 0) >= 0;
	return h;
}

/* ---- the operations ---- */

#define ANY_LACK (LACK_MEMFD | LACK_TMPFILE | LACK_PROC)

struct scenario {
	const char *name;
	void (*prepare)(void);
	int (*run)(void);
	void (*failed)(void); /* what must be so after a failure */
	void (*undo)(void);   /* after success */
	void (*clean)(void);  /* what prepare made */
	unsigned lacks; /* those that make a difference to it */
	int expected;   /* the error if nothing is made to fail */
	int instead;    /* an error that may come instead of that of the failing call */
	unsigned calls; /* at least so many can fail */
};

static void nothing(void)
{
}

static void out_untouched(void)
{
	ck_that(shm == UNTOUCHED);
}

static void close_shm(void)
{
	ipck_shm_close(shm);
	shm = UNTOUCHED;
}

static int run_create(void)
{
	return ipck_shm_create(&shm, name, BYTES, NULL);
}

static void no_such_name(void)
{
	struct ipck_shm *none;

	out_untouched();
	ck_err(ipck_shm_open(&none, name, NULL), ENOENT);
}

static void close_and_unlink(void)
{
	close_shm();
	ck_ok(ipck_shm_unlink(name));
}

/* What a creator that was killed has left. */
static void leave_unfilled(void)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/dev/shm/ipck.%s", name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_that(fd >= 0);
	close(fd);
}

static int run_create_nameless(void)
{
	return ipck_shm_create(&shm, NULL, BYTES, NULL);
}

static void make_other(void)
{
	ck_ok(ipck_shm_create(&other, name, BYTES, NULL));
	memset(ipck_shm_data(other), 7, BYTES);
}

/* Whoever fails, the segment that is there is not touched. */
static void other_untouched(void)
{
	struct ipck_shm *again;

	out_untouched();
	ck_ok(ipck_shm_open(&again, name, NULL));
	for (size_t i = 0; i < BYTES; i++)
		ck_that(((char *)ipck_shm_data(again))[i] == 7);
	ipck_shm_close(again);
}

static void remove_other(void)
{
	ipck_shm_close(other);
	ck_ok(ipck_shm_unlink(name));
}

static int run_open(void)
{
	return ipck_shm_open(&shm, name, NULL);
}

static int run_open_fd(void)
{
	return ipck_shm_open_fd(&shm, ipck_shm_fd(other), NULL);
}

static void make_growing(void)
{
	const struct segment_plan plan = {.kind = SEGMENT_POOL, .bytes = BYTES, .reach = 64 << 20};

	ck_ok(segment_create(&segment, &plan));
}

static int run_grow(void)
{
	return segment_grow(&segment, 10 * BYTES);
}

static void not_grown(void)
{
	ck_that(segment.bytes == BYTES);
}

static void has_grown(void)
{
	memset(segment_body(&segment), 1, 10 * BYTES);
}

static void close_growing(void)
{
	segment_close(&segment);
}

/* Beginning, growth, more room for the table, memory that went and comes back. */
static int run_arena(void)
{
	static const size_t sizes[] = {1, 5000, 1 << 20, 100000};
	struct arena a;
	int rc = arena_init(&a, &segment, 1);

	for (int i = 0; i < 24 && rc == 0; i++) {
		size_t offset = SIZE_MAX, held = a.held;

		rc = arena_alloc(&a, sizes[i % 4], &offset);
		ck_that(rc == 0 ? a.held == held + 1 : a.held == held && offset == SIZE_MAX);
		if (rc == 0)
			memset((char *)segment_body(&segment) + offset, 1, sizes[i % 4]);
		if (rc == 0 && i % 8 == 2)
			arena_free(&a, offset, sizes[i % 4]);
	}
	arena_fini(&a);
	return rc;
}

/* In the way of a name is also what cannot be read: nobody has proven that it is free. */
static const struct scenario scenarios[] = {
	{"create", nothing, run_create, no_such_name, close_and_unlink, nothing, ANY_LACK, 0, EEXIST, 5},
	{"take over", leave_unfilled, run_create, no_such_name, close_and_unlink, nothing, ANY_LACK, 0, EEXIST, 8},
	{"create, taken", make_other, run_create, other_untouched, nothing, remove_other, ANY_LACK, EEXIST, 0, 3},
	{"create without a name", nothing, run_create_nameless, out_untouched, close_shm, nothing, ANY_LACK, 0, 0, 5},
	{"open", make_other, run_open, other_untouched, close_shm, remove_other, ANY_LACK, 0, 0, 5},
	{"open by descriptor", make_other, run_open_fd, other_untouched, close_shm, remove_other, ANY_LACK, 0, 0, 5},
	{"grow", make_growing, run_grow, not_grown, has_grown, close_growing, LACK_MEMFD, 0, 0, 1},
	{"arena", make_growing, run_arena, nothing, nothing, close_growing, LACK_MEMFD, 0, 0, 5},
};

static void check_failure(const struct scenario *s, const struct held *before, long blocks)
{
	struct held after = count_held();

	s->failed();
	ck_assert_uint_eq(after.fds, before->fds);
	ck_assert_uint_eq(after.maps, before->maps);
	ck_assert_int_eq(blocks, before->blocks);
}

/* With the n-th call failing: whether there are so many. */
static bool attempt(const struct scenario *s, unsigned n, enum fault_how how)
{
	struct held before;
	const char *call;
	long blocks;
	bool failed;
	int rc, error;

	s->prepare();
	before = count_held();
	fault_arm(n, how);
	rc = s->run();
	failed = fault_disarm(&call, &error);
	blocks = fault_blocks();
	/* What can be done without is not told: the seal, a look beforehand. */
	ck_assert_msg(rc == -s->expected || (failed && rc < 0), "%s: %d", s->name, rc);
	if (rc != -s->expected && rc != -s->instead && how == FAULT_ONCE)
		ck_assert_msg(rc == -error, "%s: %d, but %s failed with %d", s->name, rc, call, error);
	if (rc < 0) {
		check_failure(s, &before, blocks);
		ck_assert_int_eq(s->run(), -s->expected);
	}
	if (s->expected == 0)
		s->undo();
	s->clean();
	return failed;
}

static void sweep(const struct scenario *s, unsigned lack)
{
	for (enum fault_how how = FAULT_ONCE; how <= FAULT_ON; how++) {
		unsigned n = 0;

		while (attempt(s, n, how))
			n++;
		ck_assert_msg(n >= s->calls, "%s: only %u calls", s->name, n);
		printf("%s, lacking %u: %u calls failed %s\n", s->name, lack, n,
		       how == FAULT_ON ? "with all that followed" : "once");
	}
}

/* The fallbacks; the last has a name for an instant also for what is to have none. */
static const unsigned lacks[] = {LACK_NOTHING, LACK_PROC, LACK_TMPFILE, LACK_MEMFD, LACK_MEMFD | LACK_TMPFILE};

START_TEST(each_call_fails)
{
	fault_lack(lacks[_i]);
	shm = UNTOUCHED;
	strcpy(name, test_name("fault"));
	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++)
		if ((lacks[_i] & ~scenarios[i].lacks) == 0)
			sweep(&scenarios[i], lacks[_i]);
}
END_TEST

/* ---- what cannot be had otherwise ---- */

START_TEST(of_another_user)
{
	struct ipck_shm *mine, *out = UNTOUCHED;

	strcpy(name, test_name("user"));
	ck_ok(ipck_shm_create(&mine, name, BYTES, NULL));
	fault_other_user(geteuid() + 1);
	if (getuid() == 0) {
		/* The superuser is trusted. */
		ck_ok(ipck_shm_open(&out, name, NULL));
		ipck_shm_close(out);
	} else {
		ck_err(ipck_shm_open(&out, name, NULL), EPERM);
		ck_err(ipck_shm_open_fd(&out, ipck_shm_fd(mine), NULL), EPERM);
		ck_assert_ptr_eq(out, UNTOUCHED);
	}
	ck_ok(ipck_shm_open(&out, name, IPCK_SHM_OPTS(.any_owner = true)));
	ipck_shm_close(out);
	ck_ok(ipck_shm_open_fd(&out, ipck_shm_fd(mine), IPCK_SHM_OPTS(.any_owner = true)));
	ipck_shm_close(out);
	fault_other_user(0);
	ipck_shm_close(mine);
	ck_ok(ipck_shm_unlink(name));
}
END_TEST

/* On a kernel that begins again at each signal, a timer does not keep it from ending. */
START_TEST(signals_do_not_begin_it_again)
{
	struct ipck_shm *out;

	fault_interruptible(true);
	ck_ok(ipck_shm_create(&out, NULL, BYTES, NULL));
	fault_interruptible(false);
	ipck_shm_close(out);
}
END_TEST

/* ---- the suite on each fallback ---- */

static void without_memfd(void)
{
	fault_lack(LACK_MEMFD);
}

static void without_tmpfile(void)
{
	fault_lack(LACK_TMPFILE);
}

static void without_proc(void)
{
	fault_lack(LACK_PROC);
}

static void without_any(void)
{
	fault_lack(LACK_MEMFD | LACK_TMPFILE | LACK_PROC);
}

int main(void)
{
	Suite *s = suite_create("fault_mem");
	TCase *tc = test_case(s, "faults");

	tcase_add_loop_test(tc, each_call_fails, 0, ARRAY_SIZE(lacks));
	tcase_add_test(tc, of_another_user);
	tcase_add_test(tc, signals_do_not_begin_it_again);
	shm_suite(s, "without memfd", without_memfd, false);
	shm_suite(s, "without O_TMPFILE", without_tmpfile, false);
	shm_suite(s, "without /proc", without_proc, false);
	shm_suite(s, "without any", without_any, false);
	return test_main(s);
}
