/* SPDX-License-Identifier: MIT */
/*
 * The leak check: what a process holds is listed as lines of text before a test
 * and after it; a line more is a leak, and the line says which.
 *
 * Names in the shared memory directory are global.  Those made by test_name()
 * carry the runner's pid, so that test programs that run at the same time do not
 * take each other's for leaks; a name without that mark is nobody else's.
 */
#include "support.h"

#include <ctype.h>
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __has_include
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif
#endif

#define SHM_DIR "/dev/shm"
#define GRACE_MS 1000

struct list {
	char **lines;
	size_t n;
};

static pid_t runner;
static struct list before;

__attribute__((format(printf, 2, 3))) static void list_add(struct list *l, const char *format, ...)
{
	va_list args;

	l->lines = reallocarray(l->lines, l->n + 1, sizeof(*l->lines));
	ck_that(l->lines);
	va_start(args, format);
	ck_that(vasprintf(&l->lines[l->n++], format, args) >= 0);
	va_end(args);
}

static void list_free(struct list *l)
{
	while (l->n > 0)
		free(l->lines[--l->n]);
	free(l->lines);
	l->lines = NULL;
}

static bool list_has(const struct list *l, const char *line)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->lines[i], line) == 0)
			return true;
	return false;
}

/* With CK_FORK=no Check changes its file of messages between the tests of one process. */
static bool of_check(const char *target)
{
	return strstr(target, "/check_") && strstr(target, " (deleted)");
}

static void add_fds(struct list *l)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	char target[256];

	ck_that(d);
	while ((e = readdir(d))) {
		ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof(target) - 1);

		if (n < 0 || atoi(e->d_name) == dirfd(d))
			continue;
		target[n] = '\0';
		if (!of_check(target))
			list_add(l, "fd %s -> %s", e->d_name, target);
	}
	closedir(d);
}

static void add_threads(struct list *l)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;

	ck_that(d);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			list_add(l, "thread %s", e->d_name);
	closedir(d);
}

/* A segment that was made without a name is shown as /dev/shm/#INODE, even if it got one later. */
static bool our_mapping(const char *line)
{
	return strstr(line, "memfd:ipck") || strstr(line, SHM_DIR "/ipck") || strstr(line, SHM_DIR "/#");
}

static void add_mappings(struct list *l)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[4096];

	ck_that(f);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (our_mapping(line))
			list_add(l, "mapping %s", line);
	}
	fclose(f);
}

/* The pid in a name made by test_name(), of a segment or of a queue's FIFO, else 0. */
static pid_t name_owner(const char *name)
{
	const char *digits = name + strlen("ipck.t");
	char *end;
	long pid;

	if (strncmp(name, "ipck-bell.t", strlen("ipck-bell.t")) == 0)
		digits = name + strlen("ipck-bell.t");
	else if (strncmp(name, "ipck.t", strlen("ipck.t")) != 0)
		return 0;
	if (!isdigit((unsigned char)*digits))
		return 0;
	pid = strtol(digits, &end, 10);
	return *end == '.' ? pid : 0;
}

static void add_names(struct list *l)
{
	DIR *d = opendir(SHM_DIR);
	struct dirent *e;

	if (!d)
		return;
	while ((e = readdir(d))) {
		pid_t owner = name_owner(e->d_name);

		if (strncmp(e->d_name, "ipck", 4) == 0 && (owner == 0 || owner == runner))
			list_add(l, "shm name %s", e->d_name);
	}
	closedir(d);
}

/* Reads /proc/PID/stat: the state, the parent and the command's name (16 bytes with its 0). */
static bool proc_stat(pid_t pid, char *state, pid_t *parent, char *comm)
{
	char path[64], text[512], *open, *close;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	open = strchr(text, '(');
	close = strrchr(text, ')');
	if (!open || !close || sscanf(close + 1, " %c %d", state, parent) != 2)
		return false;
	snprintf(comm, 16, "%.*s", (int)(close - open - 1), open + 1);
	return true;
}

char test_state(pid_t pid)
{
	char state, comm[16];
	pid_t parent;

	return proc_stat(pid, &state, &parent, comm) ? state : 0;
}

/* The children of `parent`, but not `spare`; zombies too if wanted. Kills the living. */
static void add_children(struct list *l, const char *what, pid_t parent, pid_t spare, bool zombies)
{
	DIR *d = opendir("/proc");
	struct dirent *e;

	ck_that(d);
	while ((e = readdir(d))) {
		char state, comm[16];
		pid_t pid = atoi(e->d_name), ppid;

		if (pid <= 0 || pid == spare || !proc_stat(pid, &state, &ppid, comm) || ppid != parent)
			continue;
		if (state != 'Z' && state != 'X')
			list_add(l, "living %s %d (%s)", what, pid, comm);
		else if (zombies)
			list_add(l, "zombie %s %d (%s)", what, pid, comm);
	}
	closedir(d);
}

static void kill_listed(const struct list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		int pid;

		if (sscanf(l->lines[i], "living %*s %d", &pid) == 1)
			kill(pid, SIGKILL);
	}
}

/* Kills what the runner adopted, but not `spare`; their children come next. False if some stay. */
bool test_leaks_kill_orphans(pid_t spare)
{
	int64_t end = test_now_ms() + 10 * GRACE_MS;

	while (test_now_ms() < end) {
		struct list l = {0};
		size_t n;

		add_children(&l, "orphan", runner, spare, false);
		kill_listed(&l);
		n = l.n;
		list_free(&l);
		if (n == 0)
			return true;
		usleep(1000);
	}
	return false;
}

void test_leaks_unlink_names(void)
{
	struct list l = {0};
	char path[512];

	add_names(&l);
	for (size_t i = 0; i < l.n; i++) {
		const char *name = l.lines[i] + strlen("shm name ");

		snprintf(path, sizeof(path), SHM_DIR "/%s", name);
		if (name_owner(name) == runner)
			unlink(path);
	}
	list_free(&l);
}

void test_leaks_adopt(pid_t pid)
{
	runner = pid;
}

/* The process that Check runs in: the test's parent, or the test itself with CK_FORK=no. */
static pid_t check_pid(void)
{
	return getppid() == runner ? getpid() : getppid();
}

static void take(struct list *l)
{
	add_children(l, "child", getpid(), 0, true);
	add_children(l, "orphan", runner, check_pid(), false);
	add_fds(l);
	add_threads(l);
	add_mappings(l);
	add_names(l);
}

/* The thread sanitizer starts a thread of its own with a process' first thread: before the list is taken. */
#ifdef TEST_THREAD_SANITIZER
static void *return_null(void *arg)
{
	(void)arg;
	return NULL;
}
#endif

static void start_sanitizer(void)
{
#ifdef TEST_THREAD_SANITIZER
	pthread_t thread;

	ck_that(pthread_create(&thread, NULL, return_null, NULL) == 0);
	pthread_join(thread, NULL);
#endif
}

void test_leaks_begin(void)
{
	start_sanitizer();
	if (getppid() != runner && prctl(PR_SET_PDEATHSIG, SIGKILL))
		abort();
	test_leaks_kill_orphans(check_pid());
	test_leaks_unlink_names();
	list_free(&before);
	take(&before);
}

/*
 * valgrind's search for leaks.  Not at the end of a process: a pool is mapped as
 * far as the machine's memory would reach, far behind the end of its file, and the
 * search reads it all, each word by a SIGBUS, for hours.
 */
#ifdef VALGRIND_DO_LEAK_CHECK
static bool searchable(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	bool none = f != NULL;
	char line[4096];

	while (none && fgets(line, sizeof(line), f))
		none = !our_mapping(line);
	if (f)
		fclose(f);
	return none;
}
#endif

void test_leaks_search(void)
{
#ifdef VALGRIND_DO_LEAK_CHECK
	unsigned long leaked = 0, dubious, reachable, suppressed;

	if (!RUNNING_ON_VALGRIND || !searchable())
		return;
	VALGRIND_DO_LEAK_CHECK;
	VALGRIND_COUNT_LEAKS(leaked, dubious, reachable, suppressed);
	(void)dubious, (void)reachable, (void)suppressed;
	if (leaked > 0)
		ck_abort_msg("%lu bytes leaked", leaked);
#endif
}

/* What is there now and was not; fds that were there and are not. */
static void compare(struct list *leaks)
{
	struct list after = {0};

	take(&after);
	for (size_t i = 0; i < after.n; i++)
		if (!list_has(&before, after.lines[i]))
			list_add(leaks, "%s", after.lines[i]);
	for (size_t i = 0; i < before.n; i++)
		if (strncmp(before.lines[i], "fd ", 3) == 0 && !list_has(&after, before.lines[i]))
			list_add(leaks, "closed %s", before.lines[i]);
	list_free(&after);
}

/* Whether it can go away without being a fault of the test: an orphan or a joined thread on its way out. */
static bool may_pass(const struct list *leaks)
{
	for (size_t i = 0; i < leaks->n; i++)
		if (!strstr(leaks->lines[i], "orphan ") && strncmp(leaks->lines[i], "thread ", 7) != 0 &&
		    strncmp(leaks->lines[i], "shm name ", 9) != 0)
			return false;
	return true;
}

static void report(const struct list *leaks)
{
	char text[2048] = "";

	for (size_t i = 0; i < leaks->n; i++) {
		size_t used = strlen(text);

		snprintf(text + used, sizeof(text) - used, "%s%s", i ? "; " : "", leaks->lines[i]);
	}
	_ck_assert_failed(__FILE__, __LINE__, "left over", "left over: %s", text);
}

void test_leaks_end(void)
{
	int64_t end = test_now_ms() + (int64_t)(GRACE_MS * test_scale());
	struct list leaks = {0};

	compare(&leaks);
	while (leaks.n > 0 && may_pass(&leaks) && test_now_ms() < end) {
		usleep(1000);
		list_free(&leaks);
		compare(&leaks);
	}
	if (leaks.n == 0) {
		test_leaks_search();
		return;
	}
	kill_listed(&leaks);
	while (waitpid(-1, NULL, 0) > 0)
		;
	test_leaks_kill_orphans(check_pid());
	test_leaks_unlink_names();
	report(&leaks);
}
