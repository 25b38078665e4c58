/* SPDX-License-Identifier: MIT */
/*
 * Segments on the ways of making them that kill_shm does not go: under a file
 * lock, without a name, over what a killed creator left, beside another creator;
 * and their growth.
 */
#include "mem/segment.h"

#include "fault.h"
#include "kill.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic.h"

#define BYTES 5000

struct state {
	struct segment segment; /* the scenario's; the victim has a copy by fork */
	pid_t victim;
	unsigned most_left; /* names that it may leave */
	uint32_t stop, stopped;
};

static const char *name(void)
{
	return kill_name("segment");
}

static int create(const char *of, struct segment *seg)
{
	const struct segment_plan plan = {.kind = SEGMENT_USER, .name = of, .bytes = BYTES};

	return segment_create(seg, &plan);
}

static void is_whole(const struct segment *seg)
{
	const char *body = segment_body(seg);

	kill_check(seg->bytes == BYTES);
	for (size_t i = 0; i < BYTES; i++)
		if (body[i])
			kill_check(!"a byte of the segment differs");
}

/* The name can be used as if nothing had been. */
static void works(void)
{
	struct segment seg, same;

	kill_check(create(name(), &seg) == 0);
	is_whole(&seg);
	kill_check(create(name(), &same) == -EEXIST);
	kill_check(segment_open(&same, SEGMENT_USER, name(), false) == 0);
	is_whole(&same);
	segment_close(&same);
	segment_close(&seg);
	kill_check(segment_unlink(name()) == 0);
	kill_check(segment_unlink(name()) == -ENOENT);
	kill_check(create(NULL, &seg) == 0);
	segment_close(&seg);
}

/* ---- by name ---- */

static void *setup(void)
{
	return kill_shared(sizeof(struct state));
}

static void *setup_without_tmpfile(void)
{
	fault_lack(LACK_TMPFILE);
	return setup();
}

static void *setup_without_proc(void)
{
	fault_lack(LACK_PROC);
	return setup();
}

static void leave_unfilled(void)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/dev/shm/ipck.%s", name());
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	kill_check(fd >= 0 && ftruncate(fd, 100) == 0);
	close(fd);
}

static void *setup_unfilled(void)
{
	leave_unfilled();
	return setup();
}

/* Stepped is the creation alone, with what it asks once known: that takes many steps, and changes nothing. */
static int create_stepped(const char *of, struct segment *seg)
{
	int rc;

	(void)ident_self();
	kill_begin();
	rc = create(of, seg);
	kill_end();
	return rc;
}

static void create_named(void *ctx)
{
	struct segment seg;

	(void)ctx;
	kill_check(create_stepped(name(), &seg) == 0);
	segment_close(&seg);
}

static void whole_or_absent(void *ctx, const struct kill_point *point)
{
	struct segment seg;
	int rc = segment_open(&seg, SEGMENT_USER, name(), false);

	(void)ctx;
	kill_check(rc == 0 || rc == -ENOENT);
	kill_check(rc == 0 || point->kind != KILL_NONE);
	if (rc == 0) {
		is_whole(&seg);
		segment_close(&seg);
		kill_check(segment_unlink(name()) == 0);
	}
	works();
}

/* Nobody opened what was left: its next creator is the first to tell. */
static void free_or_taken(void *ctx, const struct kill_point *point)
{
	struct segment seg;
	int rc = create(name(), &seg);

	(void)ctx;
	kill_check(rc == 0 || rc == -EEXIST);
	kill_check(rc == -EEXIST || point->kind != KILL_NONE);
	if (rc == 0)
		segment_close(&seg);
	kill_check(segment_open(&seg, SEGMENT_USER, name(), false) == 0);
	is_whole(&seg);
	segment_close(&seg);
	kill_check(segment_unlink(name()) == 0);
	works();
}

static const struct kill_sweep locked = {.name = "locked",
                                         .marked = true,
                                         .each_state = true,
                                         .setup = setup_without_tmpfile,
                                         .victim = create_named,
                                         .survive = whole_or_absent};

static const struct kill_sweep without_proc = {.name = "without_proc",
                                               .setup = setup_without_proc,
                                               .victim = create_named,
                                               .survive = whole_or_absent,
                                               .marked = true,
                                               .each_state = true};
static const struct kill_sweep take_over = {
	.name = "take_over", .marked = true, .each_state = true, .setup = setup_unfilled, .victim = create_named,
	.survive = free_or_taken};

/* ---- a rival ---- */

/* Makes, finds and removes the same segment, all the time. */
static void rival(struct state *s)
{
	while (!load_acquire(&s->stop)) {
		struct segment seg;
		int rc = create(name(), &seg);

		kill_check(rc == 0 || rc == -EEXIST);
		if (rc == 0)
			segment_close(&seg);
		rc = segment_open(&seg, SEGMENT_USER, name(), false);
		kill_check(rc == 0 || rc == -ENOENT);
		if (rc == 0) {
			is_whole(&seg);
			segment_close(&seg);
		}
		rc = segment_unlink(name());
		kill_check(rc == 0 || rc == -ENOENT);
		usleep(100);
	}
	store_release(&s->stopped, 1);
}

static void *setup_rival(void)
{
	struct state *s = setup();
	pid_t pid = fork();

	kill_check(pid >= 0);
	if (pid > 0)
		return s;
	rival(s);
	_exit(0);
}

static void *setup_rival_without_tmpfile(void)
{
	fault_lack(LACK_TMPFILE);
	return setup_rival();
}

/* Until it has made one itself. */
static void create_in_competition(void *ctx)
{
	struct segment seg;
	int rc;

	(void)ctx;
	while ((rc = create_stepped(name(), &seg)) == -EEXIST)
		;
	kill_check(rc == 0);
	segment_close(&seg);
}

static void rival_goes_on(void *ctx, const struct kill_point *point)
{
	struct state *s = ctx;
	int rc;

	(void)point;
	store_release(&s->stop, 1);
	KILL_UNTIL(load_acquire(&s->stopped) == 1);
	rc = segment_unlink(name());
	kill_check(rc == 0 || rc == -ENOENT);
	works();
}

/* Bounded, with IPCK_LONG too: how many points there are differs from run to run, and may be very many. */
static const struct kill_sweep rivals = {.name = "rivals",
                                         .setup = setup_rival,
                                         .victim = create_in_competition,
                                         .survive = rival_goes_on,
                                         .marked = true,
                                         .full = 1,
                                         .stride = 2,
                                         .max_runs = 24};
static const struct kill_sweep locked_rivals = {.name = "locked_rivals",
                                                .setup = setup_rival_without_tmpfile,
                                                .victim = create_in_competition,
                                                .survive = rival_goes_on,
                                                .marked = true,
                                                .full = 1,
                                                .stride = 2,
                                                .max_runs = 24};

/* ---- without a name ---- */

/* Where neither memfd nor O_TMPFILE is, it has one between two calls. */
static void *setup_nameless(unsigned lacks)
{
	struct state *s = setup();
	bool memfd = false, tmpfile = false;

#ifdef HAVE_MEMFD_CREATE
	memfd = !(lacks & LACK_MEMFD);
#endif
#ifdef HAVE_O_TMPFILE
	tmpfile = !(lacks & LACK_TMPFILE);
#endif
	fault_lack(lacks);
	s->most_left = !memfd && !tmpfile;
	return s;
}

static void *setup_with_all(void)
{
	return setup_nameless(LACK_NOTHING);
}

static void *setup_without_memfd(void)
{
	return setup_nameless(LACK_MEMFD);
}

static void *setup_without_any(void)
{
	return setup_nameless(LACK_MEMFD | LACK_TMPFILE);
}

static void create_nameless(void *ctx)
{
	struct state *s = ctx;
	struct segment seg;

	s->victim = getpid();
	kill_check(create_stepped(NULL, &seg) == 0);
	segment_close(&seg);
}

/* Names that the victim left in the directory; each is of an empty file, and is removed. */
static unsigned leftovers(pid_t pid)
{
	DIR *d = opendir("/dev/shm");
	struct dirent *e;
	char mark[32];
	unsigned n = 0;

	kill_check(d);
	snprintf(mark, sizeof(mark), "ipck-%d-", pid);
	while ((e = readdir(d))) {
		struct stat st;

		if (strncmp(e->d_name, mark, strlen(mark)) != 0)
			continue;
		kill_check(fstatat(dirfd(d), e->d_name, &st, 0) == 0 && st.st_blocks == 0);
		kill_check(unlinkat(dirfd(d), e->d_name, 0) == 0);
		n++;
	}
	closedir(d);
	return n;
}

static void no_memory_left(void *ctx, const struct kill_point *point)
{
	struct state *s = ctx;

	kill_check(s->victim == 0 || leftovers(s->victim) <= (point->kind == KILL_NONE ? 0 : s->most_left));
	works();
}

#define NAMELESS(set_up) \
	.marked = true, .each_state = true, .setup = set_up, .victim = create_nameless, .survive = no_memory_left

static const struct kill_sweep nameless = {.name = "nameless", NAMELESS(setup_with_all)};
static const struct kill_sweep without_memfd = {.name = "without_memfd", NAMELESS(setup_without_memfd)};
static const struct kill_sweep by_name = {.name = "by_name", NAMELESS(setup_without_any)};

/* ---- growth ---- */

static void *setup_growing(void)
{
	const struct segment_plan plan = {.kind = SEGMENT_POOL, .bytes = BYTES, .reach = 100000};
	struct state *s = setup();

	kill_check(segment_create(&s->segment, &plan) == 0);
	memset(segment_body(&s->segment), 7, BYTES);
	return s;
}

static void grow(void *ctx)
{
	struct segment mine = ((struct state *)ctx)->segment;

	kill_check(segment_grow(&mine, 50000) == 0);
	segment_release(&mine, 8192, 8192);
	kill_check(segment_reserve(&mine, 8192, 8192) == 0);
}

/* Whatever the victim has done to the file, this process grows it as if nothing had been. */
static void grows_too(void *ctx, const struct kill_point *point)
{
	struct state *s = ctx;
	char *body = segment_body(&s->segment);

	(void)point;
	kill_check(segment_grow(&s->segment, 40000) == 0);
	kill_check(segment_grow(&s->segment, 100000) == 0);
	kill_check(segment_grow(&s->segment, 100001) == -ENOSPC);
	for (int i = 0; i < 100000; i++)
		if (body[i] != (i < BYTES ? 7 : 0))
			kill_check(!"a byte of the segment differs");
	memset(body, 1, 100000);
	segment_close(&s->segment);
}

static const struct kill_sweep growing = {
	.name = "grow", .each_state = true, .setup = setup_growing, .victim = grow, .survive = grows_too};

int main(int argc, char **argv)
{
	static const struct kill_sweep *const sweeps[] = {
		&locked,   &without_proc,  &take_over, &rivals,  &locked_rivals,
		&nameless, &without_memfd, &by_name,   &growing, NULL,
	};

	return kill_main(argc, argv, sweeps);
}
