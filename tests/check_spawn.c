/* SPDX-License-Identifier: MIT */
/* Programs: found, given what was asked and nothing else, refused with the reason. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "process.h"

/* The program that the tests spawn is this one, with the name of a job. */

static int stream_job(int fd)
{
	char byte = '3';

	return pread(fd, &byte, 1, 0) == 1 ? byte - '0' : 3;
}

static int inherited_job(const char *name)
{
	int fd = ipck_inherited(name);

	if (fd < 0)
		return -fd;
	if (fd <= 2 || fcntl(fd, F_GETFD) != FD_CLOEXEC || ipck_inherited(name) != fd)
		return 200;
	return write(fd, name, strlen(name)) == (ssize_t)strlen(name) ? 0 : 201;
}

static int signals_job(void)
{
	sigset_t mask;
	struct sigaction term, hup;

	sigprocmask(SIG_SETMASK, NULL, &mask);
	sigaction(SIGTERM, NULL, &term);
	sigaction(SIGHUP, NULL, &hup);
	return sigismember(&mask, SIGUSR1) | sigismember(&mask, SIGUSR2) << 1 | (term.sa_handler == SIG_DFL) << 2 |
	       (hup.sa_handler == SIG_IGN) << 3;
}

static int print_job(char **words)
{
	for (; *words; words++)
		printf("<%s>", *words);
	return 0;
}

static int do_job(int argc, char **argv)
{
	const char *job = argv[1], *value;
	char cwd[4096];

	if (strcmp(job, "exit") == 0)
		return atoi(argv[2]);
	if (strcmp(job, "print") == 0)
		return print_job(argv + 2);
	if (strcmp(job, "env") == 0)
		return printf("%s", (value = getenv(argv[2])) ? value : "(unset)") < 0;
	if (strcmp(job, "cwd") == 0)
		return printf("%s", getcwd(cwd, sizeof(cwd))) < 0;
	if (strcmp(job, "streams") == 0)
		return stream_job(0) * 16 + stream_job(1) * 4 + stream_job(2);
	if (strcmp(job, "fds") == 0)
		return count_fds();
	if (strcmp(job, "inherited") == 0)
		return inherited_job(argv[2]);
	if (strcmp(job, "signals") == 0)
		return signals_job();
	if (strcmp(job, "pause") == 0)
		return pause();
	return argc;
}

/* IPCK_PROCESS_OPTS(...) or NULL, then the job's words and NULL. */
static struct ipck_process *spawn(const struct ipck_process_opts *opts, ...)
{
	char *argv[8] = {(char[]){"job"}};
	struct ipck_process *p = NULL;
	va_list args;
	int n = 1;

	va_start(args, opts);
	while ((argv[n] = va_arg(args, char *)))
		n++;
	va_end(args);
	ck_ok(ipck_process_spawn(&p, own_path(), argv, opts));
	return p;
}

static int memory_file(const char *text)
{
	int fd = memfd_create("text", MFD_CLOEXEC);

	ck_that(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

static const char *text_of(int fd)
{
	static char text[4096];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	ck_that(n >= 0);
	text[n] = '\0';
	close(fd);
	return text;
}

/* What a job prints; `opts` without stdio. */
#define PRINTS(text, options, ...) \
	do { \
		struct ipck_process_opts o_ = *(options); \
		int file_ = memory_file(""); \
		o_.stdio = (const int[]){IPCK_STDIO_INHERIT, file_, IPCK_STDIO_INHERIT}; \
		expect_code(spawn(&o_, __VA_ARGS__, NULL), 0); \
		ck_assert_str_eq(text_of(file_), (text)); \
	} while (0)

START_TEST(arguments_and_environment)
{
	char *env[] = {(char[]){"ONE=1"}, (char[]){"IPCK_INHERITED=forged:1"}, (char[]){"TWO="}, NULL};

	PRINTS("<a b><><\"'$x\n>", IPCK_PROCESS_OPTS(0), "print", "a b", "", "\"'$x\n");
	setenv("ONE", "parent", 1);
	PRINTS("parent", IPCK_PROCESS_OPTS(0), "env", "ONE");
	PRINTS("1", IPCK_PROCESS_OPTS(.env = env), "env", "ONE");
	PRINTS("", IPCK_PROCESS_OPTS(.env = env), "env", "TWO");
	PRINTS("(unset)", IPCK_PROCESS_OPTS(.env = env), "env", "HOME");
	/* The variable is of one parent and its child. */
	PRINTS("(unset)", IPCK_PROCESS_OPTS(.env = env), "env", "IPCK_INHERITED");
	setenv("IPCK_INHERITED", "forged:1", 1);
	PRINTS("(unset)", IPCK_PROCESS_OPTS(0), "env", "IPCK_INHERITED");
	unsetenv("IPCK_INHERITED");
	unsetenv("ONE");
}
END_TEST

START_TEST(exit_codes_and_names)
{
	struct ipck_process *p = spawn(NULL, "exit", "200", NULL);
	struct ipck_process *q = spawn(IPCK_PROCESS_OPTS(.name = "program", .group = true), "pause", NULL);

	ck_assert_str_eq(ipck_process_name(p), "Process-2");
	ck_assert_str_eq(ipck_process_name(q), "program");
	expect_code(p, 200);
	ck_assert_int_eq(getpgid(ipck_process_pid(q)), ipck_process_pid(q));
	ck_ok(ipck_process_kill_group(q));
	expect(q, 0, SIGKILL);
}
END_TEST

/* The file is found, or not */

static char directory[64];

static const char *inside(const char *name)
{
	static char paths[8][128];
	static unsigned turn;
	char *path = paths[turn++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

static void make_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(inside(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_that(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, mode) == 0);
	close(fd);
}

#define SCRIPT "#!/bin/sh\nexit "

static const char *const names[] = {
	"a/tool", "a/text", "a/broken", "b/tool", "b/only", "b/text", "b/odd", "a", "b", "",
};

static void make_files(void)
{
	strcpy(directory, "/tmp/ipck-spawn-XXXXXX");
	ck_that(mkdtemp(directory));
	ck_that(mkdir(inside("a"), 0755) == 0 && mkdir(inside("b"), 0755) == 0);
	make_file("a/tool", SCRIPT "1\n", 0644);
	make_file("a/text", "exit 2\n", 0755);
	make_file("a/broken", "#!/no/such/shell\n", 0755);
	make_file("b/tool", SCRIPT "3\n", 0755);
	make_file("b/only", SCRIPT "4\n", 0644);
	make_file("b/text", SCRIPT "5\n", 0755);
	make_file("b/odd",
	          "\x7f"
	          "ELF and no more",
	          0755);
	ck_that(chdir(directory) == 0);
}

static void remove_files(void)
{
	ck_that(chdir("/") == 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ck_that(remove(inside(names[i])) == 0);
}

static struct ipck_process *found(const char *file, const struct ipck_process_opts *opts)
{
	char *argv[] = {(char[]){"name"}, NULL};
	struct ipck_process *p;

	ck_ok(ipck_process_spawn(&p, file, argv, opts));
	return p;
}

/* Refused: no process, no descriptor, no output. */
static void refused(const char *file, const struct ipck_process_opts *opts, int error)
{
	struct ipck_process *const untouched = (struct ipck_process *)&errno, *p = untouched;
	char *argv[] = {(char[]){"name"}, NULL};
	int fds = count_fds();

	ck_err(ipck_process_spawn(&p, file, argv, opts), error);
	ck_assert_ptr_eq(p, untouched);
	ck_assert_int_eq(count_fds(), fds);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}

static void set_path(const char *first, const char *second)
{
	char path[256];

	snprintf(path, sizeof(path), "/no/such:%s:/proc/self/stat%s%s", first, second ? ":" : "", second ? second : "");
	setenv("PATH", path, 1);
}

START_TEST(files_are_searched_in_path)
{
	char *was = strdup(getenv("PATH"));

	set_path(inside("a"), inside("b"));
	expect_code(found("tool", NULL), 3);
	refused("only", NULL, EACCES);
	refused("none", NULL, ENOENT);
	refused("", NULL, ENOENT);
	/* The first that may be executed decides, even if it cannot be. */
	refused("text", NULL, ENOEXEC);
	set_path(inside("b"), inside("a"));
	expect_code(found("text", NULL), 5);
	/* An empty entry, and a relative one, are seen from the child's directory. */
	set_path("", NULL);
	refused("tool", NULL, ENOENT);
	expect_code(found("tool", IPCK_PROCESS_OPTS(.cwd = "b")), 3);
	set_path("../b", NULL);
	expect_code(found("tool", IPCK_PROCESS_OPTS(.cwd = "a")), 3);
	unsetenv("PATH");
	expect_code(found("true", NULL), 0);
	setenv("PATH", was, 1);
	free(was);
}
END_TEST

START_TEST(files_are_found_by_path)
{
	expect_code(found(inside("b/tool"), NULL), 3);
	expect_code(found("b/tool", NULL), 3);
	expect_code(found("./tool", IPCK_PROCESS_OPTS(.cwd = "b")), 3);
	refused("b/tool", IPCK_PROCESS_OPTS(.cwd = "a"), ENOENT);
}
END_TEST

START_TEST(reasons_are_told)
{
	struct ipck_process *p = NULL;
	char *none[] = {NULL}, *huge[] = {(char[]){"name"}, malloc(1 << 22), NULL};
	const struct ipck_pass good = {"name", 1}, twice[] = {{"name", 1}, {"name", 2}};
	const struct ipck_pass bad[] = {{"a:b", 1}, {"x", 99}};

	refused(inside("none"), NULL, ENOENT);
	refused(inside("a"), NULL, EACCES);
	refused(inside("a/tool"), NULL, EACCES);
	refused(inside("a/tool/x"), NULL, ENOTDIR);
	refused(inside("a/broken"), NULL, ENOENT);
	refused(inside("a/text"), NULL, ENOEXEC);
	refused(inside("b/odd"), NULL, ENOEXEC);
	refused(inside("b/tool"), IPCK_PROCESS_OPTS(.cwd = "none"), ENOENT);
	refused(inside("b/tool"), IPCK_PROCESS_OPTS(.cwd = "b/tool"), ENOTDIR);
	refused(inside("b/tool"), IPCK_PROCESS_OPTS(.stdio = (int[]){0, 99, 2}), EBADF);
	refused(inside("b/tool"), IPCK_PROCESS_OPTS(.pass = bad, .pass_count = 1), EINVAL);
	refused(inside("b/tool"), IPCK_PROCESS_OPTS(.pass = bad + 1, .pass_count = 1), EBADF);
	refused(inside("b/tool"), IPCK_PROCESS_OPTS(.pass = twice, .pass_count = 2), EINVAL);
	refused(inside("b/tool"), IPCK_PROCESS_OPTS(.pass_count = 1), EINVAL);
	expect_code(found("b/tool", IPCK_PROCESS_OPTS(.pass = &good)), 3);
	memset(huge[1], 'x', (1 << 22) - 1);
	huge[1][(1 << 22) - 1] = '\0';
	ck_err(ipck_process_spawn(&p, inside("b/tool"), huge, NULL), E2BIG);
	ck_err(ipck_process_spawn(&p, NULL, none, NULL), EINVAL);
	ck_err(ipck_process_spawn(&p, "true", NULL, NULL), EINVAL);
	ck_err(ipck_process_spawn(&p, "true", none, NULL), EINVAL);
	ck_assert_ptr_null(p);
	free(huge[1]);
}
END_TEST

/* What it is given: directory, streams, descriptors, signals */

START_TEST(working_directory)
{
	PRINTS(inside("a"), IPCK_PROCESS_OPTS(.cwd = "a"), "cwd");
	PRINTS(directory, IPCK_PROCESS_OPTS(0), "cwd");
}
END_TEST

static void all_streams(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3; i++) {
		char text[2] = {(char)('0' + i), 0};
		int fd = memory_file(text);

		ck_that(dup2(fd, i) == i);
	}
	for (int n = 0; n < 64; n++) {
		int stdio[3] = {n / 16, n / 4 % 4, n % 4}, want = 0;

		for (int i = 0; i < 3; i++) {
			want = want * 4 + (stdio[i] < 3 ? stdio[i] : i);
			stdio[i] = stdio[i] < 3 ? stdio[i] : IPCK_STDIO_INHERIT;
		}
		expect_code(spawn(IPCK_PROCESS_OPTS(.stdio = stdio), "streams", NULL), want);
	}
	expect_code(spawn(NULL, "streams", NULL), 0 * 16 + 1 * 4 + 2);
	expect_code(spawn(IPCK_PROCESS_OPTS(.stdio = (int[]){-2, -2, -2}), "streams", NULL), 63);
}

START_TEST(streams_in_all_permutations)
{
	test_join(test_fork(all_streams, NULL));
}
END_TEST

static void closed_streams(void *arg)
{
	const unsigned closed = *(const unsigned *)arg;
	const struct ipck_pass pass = {"file", fcntl(memory_file(""), F_DUPFD_CLOEXEC, 20)};
	int files[3];

	for (int i = 0; i < 3; i++)
		files[i] = fcntl(memory_file((char[]){(char)('0' + i), 0}), F_DUPFD_CLOEXEC, 10);
	for (int i = 0; i < 3; i++)
		if (closed & 1u << i)
			close(i);
	for (int i = 0; i < 2; i++) {
		const struct ipck_process_opts opts = {
			.size = sizeof(opts), .daemon = i, .cwd = "/", .stdio = files, .pass = &pass, .pass_count = 1};

		expect_code(spawn(&opts, "streams", NULL), 0 * 16 + 1 * 4 + 2);
		expect_code(spawn(&opts, "inherited", "file", NULL), 0);
	}
}

START_TEST(streams_closed_in_the_parent)
{
	unsigned closed = (unsigned)_i;

	test_join(test_fork(closed_streams, &closed));
}
END_TEST

/* How many descriptors a program has that was started without the library. */
static int plain_fds(void)
{
	char *argv[] = {(char[]){"job"}, (char[]){"fds"}, NULL};
	int status;
	pid_t pid;

	ck_that(posix_spawn(&pid, own_path(), NULL, NULL, argv, environ) == 0);
	ck_that(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

#ifdef HAVE_PIDFD
static const int sentinel = 0;
#else
static const int sentinel = 1;
#endif

struct daemons {
	int plain, depth;
};

/* It is a daemon too, with a line; those of the daemons above are not handed on. */
static int spawn_in_daemon(void *arg)
{
	struct daemons *d = arg;

	expect_code(spawn(NULL, "fds", NULL), d->plain + sentinel + 1);
	if (--d->depth > 0)
		expect_code(start(spawn_in_daemon, d, NULL), 6);
	return 6;
}

START_TEST(no_descriptors_leak_into_it)
{
	const struct ipck_pass pass[] = {{"one", 1}, {"two", 2}};
	const int streams[3] = {IPCK_STDIO_NULL, 2, 1};
	struct ipck_process *siblings[6];
	int plain = plain_fds();
	struct daemons daemons = {plain, 3};

	for (int round = 0; round < 2; round++) {
		expect_code(spawn(NULL, "fds", NULL), plain + sentinel);
		expect_code(spawn(IPCK_PROCESS_OPTS(.daemon = true), "fds", NULL), plain + sentinel + 1);
		expect_code(spawn(IPCK_PROCESS_OPTS(.cwd = "/", .stdio = streams), "fds", NULL), plain + sentinel);
		expect_code(spawn(IPCK_PROCESS_OPTS(.pass = pass, .pass_count = 2), "fds", NULL), plain + sentinel + 2);
		ck_assert_int_eq(plain_fds(), plain);
		expect_code(start(spawn_in_daemon, &daemons, IPCK_PROCESS_OPTS(.daemon = true)), 6);
		for (int i = 0; round == 0 && i < 6; i++)
			siblings[i] = i % 2 ? start(child_pause, NULL, NULL)
			                    : spawn(IPCK_PROCESS_OPTS(.daemon = true), "pause", NULL);
	}
	for (int i = 0; i < 6; i++)
		kill_and_close(siblings[i]);
}
END_TEST

static void on_signal(int sig)
{
	(void)sig;
}

START_TEST(signals_as_promised)
{
	sigset_t mask, after;

	signal(SIGTERM, on_signal);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	expect_code(spawn(NULL, "signals", NULL), 2 | 4 | 8);
	refused("/no/such", NULL, ENOENT);
	sigprocmask(SIG_SETMASK, NULL, &after);
	for (int sig = 1; sig < NSIG; sig++)
		ck_that(sigismember(&after, sig) == (sig == SIGUSR2));
}
END_TEST

/* Descriptors by name */

START_TEST(descriptors_by_name)
{
	const struct ipck_pass pass[] = {{"A-Za-z0-9._-", memory_file("")}, {"b", memory_file("")}};
	const struct ipck_process_opts *opts = IPCK_PROCESS_OPTS(.pass = pass, .pass_count = 2);

	expect_code(spawn(opts, "inherited", "A-Za-z0-9._-", NULL), 0);
	expect_code(spawn(opts, "inherited", "b", NULL), 0);
	expect_code(spawn(opts, "inherited", "A", NULL), ENOENT);
	expect_code(spawn(opts, "inherited", "c", NULL), ENOENT);
	expect_code(spawn(opts, "inherited", "", NULL), EINVAL);
	expect_code(spawn(opts, "inherited", "a:b", NULL), EINVAL);
	expect_code(spawn(NULL, "inherited", "b", NULL), ENOENT);
	ck_assert_str_eq(text_of(pass[0].fd), "A-Za-z0-9._-");
	ck_assert_str_eq(text_of(pass[1].fd), "b");
}
END_TEST

START_TEST(damaged_variable)
{
	static const char *const damaged[] = {
		"x", ":", "x:", ":1", "x:y", "x:-1", "x:1y", "a:1x:1", "x:99999999999", "x:4000000", "a:1,,x:1"};

	ck_err(ipck_inherited("x"), ENOENT);
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		setenv("IPCK_INHERITED", damaged[i], 1);
		ck_err(ipck_inherited("x"), EPROTO);
	}
	setenv("IPCK_INHERITED", "", 1);
	ck_err(ipck_inherited("x"), ENOENT);
	unsetenv("IPCK_INHERITED");
}
END_TEST

/* Many at once, and beside others that fork */

static void spawn_some(unsigned i, void *arg)
{
	char number[8];

	(void)arg;
	for (int n = 0; n < 10; n++) {
		snprintf(number, sizeof(number), "%u", i * 10 + n);
		expect_code(spawn(NULL, "exit", number, NULL), (int)i * 10 + n);
	}
}

START_TEST(threads_spawn_at_once)
{
	test_threads(4, spawn_some, NULL);
}
END_TEST

#define FORKS 150

static int forking, spawning;

/* Children that live until the end: one that held a spawn's pipe would hold the spawn. */
static void fork_or_spawn(unsigned i, void *arg)
{
	pid_t pids[FORKS];

	if (i == 0) {
		while (__atomic_load_n(&forking, __ATOMIC_SEQ_CST))
			expect_code(spawn(NULL, "exit", "1", NULL), 1);
		__atomic_store_n(&spawning, 0, __ATOMIC_SEQ_CST);
		return;
	}
	for (int n = 0; n < FORKS; n++) {
		pids[n] = fork();
		if (pids[n] == 0)
			child_pause(arg);
		usleep(200);
	}
	__atomic_sub_fetch(&forking, 1, __ATOMIC_SEQ_CST);
	TEST_UNTIL(!__atomic_load_n(&spawning, __ATOMIC_SEQ_CST));
	for (int n = 0; n < FORKS; n++)
		test_kill(pids[n]);
}

START_TEST(plain_forks_do_not_hold_a_spawn)
{
	forking = 2;
	spawning = 1;
	test_threads(3, fork_or_spawn, NULL);
}
END_TEST

START_TEST(a_big_parent_starts_and_spawns)
{
	const size_t size = (size_t)1 << 30;
	char *big = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	ck_that(big != MAP_FAILED);
	big[size - 1] = 1;
	expect_code(spawn(NULL, "exit", "3", NULL), 3);
	expect_code(start(child_nothing, NULL, NULL), 0);
	munmap(big, size);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *s;
	TCase *tc, *files;

	if (argc > 1)
		return do_job(argc, argv);
	s = suite_create("spawn");
	tc = test_case_primed(s, "spawn", prime_process);
	tcase_add_test(tc, arguments_and_environment);
	tcase_add_test(tc, exit_codes_and_names);
	tcase_add_test(tc, streams_in_all_permutations);
	tcase_add_loop_test(tc, streams_closed_in_the_parent, 0, 8);
	tcase_add_test(tc, no_descriptors_leak_into_it);
	tcase_add_test(tc, signals_as_promised);
	tcase_add_test(tc, descriptors_by_name);
	tcase_add_test(tc, damaged_variable);
	tcase_add_test(tc, threads_spawn_at_once);
	tcase_add_test(tc, plain_forks_do_not_hold_a_spawn);
	tcase_add_test(tc, a_big_parent_starts_and_spawns);
	files = test_case_primed(s, "files", prime_process);
	tcase_add_checked_fixture(files, make_files, remove_files);
	tcase_add_test(files, files_are_searched_in_path);
	tcase_add_test(files, files_are_found_by_path);
	tcase_add_test(files, working_directory);
	/* valgrind dies of an exec that fails so late. */
	files = test_case_primed(s, "reasons", prime_process);
	tcase_set_tags(files, "not_valgrind");
	tcase_add_checked_fixture(files, make_files, remove_files);
	tcase_add_test(files, reasons_are_told);
	return test_main(s);
}
