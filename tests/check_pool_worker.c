/* SPDX-License-Identifier: MIT */
/* What a task finds: its worker's environment, init, output, and where it may lie. */
#include <ipckit/pool.h>

#include "pool.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- environment ---- */

struct surroundings {
	pid_t pid, group, parent;
	int worker;
	bool null_input;
	bool ignored[SIGSYS + 1], caught[SIGSYS + 1], blocked[SIGSYS + 1];
};

static int look_around(const void *in, void *out, const void *arg)
{
	struct surroundings *s = out;
	struct stat st;
	sigset_t mask;

	(void)in, (void)arg;
	*s = (struct surroundings){getpid(), getpgrp(), getppid(), .worker = ipck_pool_worker()};
	s->null_input = fstat(0, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	for (int sig = 1; sig <= SIGSYS; sig++) {
		struct sigaction act;

		sigaction(sig, NULL, &act);
		s->ignored[sig] = act.sa_handler == SIG_IGN;
		s->caught[sig] = act.sa_handler != SIG_IGN && act.sa_handler != SIG_DFL;
		s->blocked[sig] = sigismember(&mask, sig) == 1;
	}
	return 0;
}

static void on_signal(int sig)
{
	(void)sig;
}

/* A pool made by a thread that catches some signals, ignores one and blocks one. */
static struct ipck_pool *make_with_signals(bool threads)
{
	static const int caught[] = {SIGINT, SIGTERM, SIGUSR1, SIGCHLD, SIGALRM, SIGWINCH};
	struct ipck_pool *pool;
	sigset_t usr2, old;

	for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		signal(caught[i], on_signal);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &usr2, &old);
	pool = pool_new(threads, 2);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return pool;
}

static void look_by(struct ipck_pool *pool, struct surroundings *s, size_t n)
{
	ck_that(ck_ok(ipck_pool_map(pool, look_around, NULL, n, 0, s, sizeof(*s), NULL, IPCK_FOREVER)) == 0);
}

START_TEST(test_signals)
{
	struct surroundings before, s;
	struct ipck_pool *pool;

	/* Who runs us may have had us ignore some. */
	look_around(NULL, &before, NULL);
	before.ignored[SIGINT] = before.ignored[SIGQUIT] = before.ignored[SIGPIPE] = true;
	pool = make_with_signals(false);
	look_by(pool, &s, 1);
	for (int sig = 1; sig <= SIGSYS; sig++) {
		ck_assert(s.ignored[sig] == before.ignored[sig]);
		ck_assert(!s.caught[sig] || sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE);
		ck_assert(s.blocked[sig] == (sig == SIGUSR2));
	}
	/* The parent's are as they were. */
	look_around(NULL, &s, NULL);
	ck_assert(s.caught[SIGINT] && s.caught[SIGUSR1] && s.caught[SIGCHLD]);
	ck_assert(s.ignored[SIGPIPE] && !s.blocked[SIGUSR2]);
	pool_end(pool);
}
END_TEST

START_TEST(test_surroundings)
{
	struct ipck_pool *pool = pool_new(false, 2);
	struct surroundings s[100];
	pid_t pids[2];

	ck_assert_uint_eq(ipck_pool_pids(pool, pids, 2), 2);
	look_by(pool, s, 100);
	for (int i = 0; i < 100; i++) {
		ck_that(s[i].pid == pids[0] || s[i].pid == pids[1]);
		ck_that(s[i].group == s[i].pid);
		ck_that(s[i].parent == pool_figures(pool).master);
		ck_that(s[i].null_input);
		ck_that(s[i].worker == (s[i].pid == pids[1]));
	}
	pool_end(pool);
}
END_TEST

START_TEST(test_surroundings_of_threads)
{
	struct ipck_pool *pool = make_with_signals(true);
	struct surroundings here, s;

	look_around(NULL, &here, NULL);
	look_by(pool, &s, 1);
	ck_assert_int_eq(s.pid, getpid());
	ck_assert_int_eq(s.group, getpgrp());
	ck_assert(memcmp(here.ignored, s.ignored, sizeof(s.ignored)) == 0);
	ck_assert(memcmp(here.caught, s.caught, sizeof(s.caught)) == 0);
	ck_assert(s.null_input == here.null_input);
	pool_end(pool);
}
END_TEST

/* ---- which worker ---- */

/* Each of the three has one item, as nobody goes before all are here. */
static int who_am_i(const void *in, void *out, const void *arg)
{
	(void)in, (void)arg;
	*(int *)out = ipck_pool_worker();
	add_acq_rel(&meet->begun, 1);
	while (load_acquire(&meet->begun) < 3)
		usleep(500);
	return 0;
}

/* A process that a task forks is no worker. */
static int ask_in_child(const void *in, void *out, const void *arg)
{
	int status = 0;
	pid_t child = fork();

	(void)in, (void)arg;
	if (child == 0)
		_exit(ipck_pool_worker() == -ECHILD ? 7 : 8);
	if (waitpid(child, &status, 0) != child)
		return -errno;
	*(int *)out = WEXITSTATUS(status);
	return 0;
}

static int init_asks(void *arg)
{
	(void)arg;
	store_release(&meet->other, (uint32_t)ipck_pool_worker());
	return 0;
}

START_TEST(test_worker_number)
{
	struct ipck_pool *pool;
	int out[3];

	ck_err(ipck_pool_worker(), ECHILD);
	ck_ok(ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = 3, .threads = _i, .init = init_asks)));
	ck_that(ck_ok(ipck_pool_map(pool, who_am_i, NULL, 3, 0, out, sizeof(int), NULL, IPCK_FOREVER)) == 0);
	ck_assert_int_eq(1 << out[0] | 1 << out[1] | 1 << out[2], 7);
	ck_assert_int_eq((int)load_acquire(&meet->other), -ECHILD);
	ck_that(ck_ok(ipck_pool_map(pool, ask_in_child, NULL, 3, 0, out, sizeof(int), NULL, IPCK_FOREVER)) == 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(out[i], 7);
	ck_err(ipck_pool_worker(), ECHILD);
	pool_end(pool);
}
END_TEST

/* ---- init ---- */

static int prepared; /* a copy in each process */

static int init_prepares(void *arg)
{
	prepared = *(int *)arg;
	add_acq_rel(&meet->begun, 1);
	return prepared; /* positive: no error */
}

static int use_prepared(const void *in, void *out, const void *arg)
{
	(void)in, (void)arg;
	*(int *)out = prepared;
	return 0;
}

START_TEST(test_init)
{
	struct ipck_pool *pool;
	int value = 41, out[100];

	ck_ok(ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = 1, .init = init_prepares, .init_arg = &value)));
	value = 42;
	ck_that(ck_ok(ipck_pool_map(pool, use_prepared, NULL, 100, 0, out, sizeof(int), NULL, IPCK_FOREVER)) == 0);
	for (int i = 0; i < 100; i++)
		ck_that(out[i] == 41);
	ck_assert_int_eq(prepared, 0);
	ck_assert_uint_eq(load_acquire(&meet->begun), 1);
	pool_end(pool);
}
END_TEST

START_TEST(test_init_in_each)
{
	struct ipck_pool *pool;
	int value = 41;

	ck_ok(ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = 4, .threads = _i, .init = init_asks)));
	pool_end(pool);
	if (_i == PROCESSES) {
		ck_ok(ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = 4, .init = init_prepares, .init_arg = &value)));
		TEST_UNTIL(load_acquire(&meet->begun) == 4);
		pool_end(pool);
	}
}
END_TEST

static int init_fails(void *arg)
{
	(void)arg;
	return -EKEYREJECTED;
}

/* The first to come stays for ever, or for threads is ready at once. */
static int init_fails_but_once(void *arg)
{
	bool *threads = arg;

	if (add_acq_rel(&meet->begun, 1) > 0)
		return -EKEYREJECTED;
	while (!*threads)
		pause();
	return 0;
}

static int init_exits(void *arg)
{
	(void)arg;
	_exit(42);
}

static int init_crashes(void *arg)
{
	(void)arg;
	raise(SIGKILL);
	return 0;
}

static const struct failure {
	bool threads;
	int (*init)(void *arg);
	const char *reason[2];
} failures[] = {
	{false, init_fails, {"init", "Key was rejected by service"}},
	{true, init_fails, {"init", "Key was rejected by service"}},
	{false, init_fails_but_once, {"init", "Key was rejected by service"}},
	{true, init_fails_but_once, {"init", "Key was rejected by service"}},
	{false, init_exits, {"exit", "42"}},
	{false, init_crashes, {"signal 9", "Killed"}},
};

static void ask_reason(unsigned i, void *pool)
{
	(void)i;
	ck_that(strlen(ipck_pool_reason(pool)) > 0);
}

START_TEST(test_failing_init)
{
	const struct failure *f = &failures[_i];
	struct ipck_status status[1000];
	struct numbers numbers = {.end = 1};
	struct ipck_imap *imap;
	struct ipck_pool *pool;

	ck_ok(ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = 3, .threads = f->threads, .init = f->init,
	                                             .init_arg = (void *)&f->threads)));
	if (!f->threads) {
		ck_err(ipck_pool_map(pool, wait_at_gate, NULL, 1000, 0, NULL, 0, IPCK_MAP_OPTS(.status = status),
		                     IPCK_FOREVER),
		       ENOTRECOVERABLE);
	}
	TEST_UNTIL(ipck_pool_reason(pool));
	ck_err(ipck_pool_map(pool, triple, NULL, 0, 8, NULL, 8, NULL, IPCK_FOREVER), ENOTRECOVERABLE);
	ck_err(ipck_pool_imap(&imap, pool, triple_imap, next_number, &numbers, NULL), ENOTRECOVERABLE);
	ck_err(ipck_pool_imap_unordered(&imap, pool, triple_imap, next_number, &numbers, NULL), ENOTRECOVERABLE);
	ck_ok(ipck_pool_close(pool));
	ck_err(ipck_pool_join(pool, IPCK_FOREVER), ENOTRECOVERABLE);
	test_threads(4, ask_reason, pool);
	for (int i = 0; i < 2; i++)
		ck_assert_msg(strstr(ipck_pool_reason(pool), f->reason[i]), "'%s' does not name '%s'",
		              ipck_pool_reason(pool), f->reason[i]);
	ck_assert_int_eq(pool_figures(pool).alive, 0);
	ck_ok(ipck_pool_terminate(pool));
	ipck_pool_free(pool);
}
END_TEST

static int init_fails_first(void *arg)
{
	(void)arg;
	return add_acq_rel(&meet->begun, 1) < 3 ? -EAGAIN : 0;
}

/* Some bad starts are no broken pool. */
START_TEST(test_init_fails_first)
{
	struct ipck_pool *pool;

	ck_ok(ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = 2, .init = init_fails_first)));
	TEST_UNTIL(load_acquire(&meet->begun) == 5);
	pool_works(pool, 100);
	ck_assert_uint_eq(pool_figures(pool).replaced, 3);
	ck_assert_uint_eq(pool_figures(pool).lost, 0);
	pool_end(pool);
}
END_TEST

/* ---- output ---- */

static int print(const void *in, void *out, const void *arg)
{
	(void)out, (void)arg;
	printf("item %d.", *(const int *)in);
	fprintf(stderr, "error %d.", *(const int *)in);
	return *(const int *)in % 2;
}

static void printed_once(int fd, const char *what, int i)
{
	char *text = calloc(1, 65536), word[64];
	int n = 0;

	ck_that(text && pread(fd, text, 65535, 0) > 0);
	snprintf(word, sizeof(word), "%s %d.", what, i);
	for (char *at = text; (at = strstr(at, word)); at++)
		n++;
	if (n != 1)
		ck_abort_msg("'%s' %d times in '%s'", word, n, text);
	free(text);
}

/* In a child: its output goes into a file, through a full buffer. */
static void print_by_workers(void *arg)
{
	FILE *file = tmpfile();
	int in[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, fd;
	struct ipck_pool *pool;
	pid_t pids[2];

	(void)arg;
	ck_that(file);
	fd = fileno(file);
	ck_that(dup2(fd, 1) == 1 && dup2(fd, 2) == 2);
	ck_that(setvbuf(stdout, NULL, _IOFBF, 65536) == 0 && setvbuf(stderr, NULL, _IOFBF, 65536) == 0);
	printf("before 0.");
	pool = pool_new(false, 2);
	printf("after 0.");
	ck_that(ck_ok(ipck_pool_map(pool, print, in, 10, sizeof(int), NULL, 0, NULL, IPCK_FOREVER)) == 5);
	for (size_t i = ipck_pool_pids(pool, pids, 2); i-- > 0;)
		kill(pids[i], SIGKILL);
	ck_ok(ipck_pool_terminate(pool));
	fflush(stdout);
	for (int i = 0; i < 10; i++) {
		printed_once(fd, "item", i);
		printed_once(fd, "error", i);
	}
	printed_once(fd, "before", 0);
	printed_once(fd, "after", 0);
	ipck_pool_free(pool);
	fclose(file);
}

START_TEST(test_output)
{
	test_join(test_fork(print_by_workers, NULL));
}
END_TEST

/* ---- where the function lies ---- */

static char data[64];

static void refused(struct ipck_pool *pool, void *pointer)
{
	struct numbers numbers = {.end = 1};
	struct ipck_imap *imap = NULL;
	char in = 1, out = 7;

	ck_err(ipck_pool_map(pool, (ipck_map_fn *)pointer, &in, 1, 1, &out, 1, NULL, IPCK_FOREVER), EINVAL);
	ck_err(ipck_pool_map(pool, (ipck_map_fn *)pointer, NULL, 0, 0, NULL, 0, NULL, IPCK_FOREVER), EINVAL);
	ck_err(ipck_pool_imap(&imap, pool, (ipck_imap_fn *)pointer, next_number, &numbers, NULL), EINVAL);
	ck_err(ipck_pool_imap_unordered(&imap, pool, (ipck_imap_fn *)pointer, next_number, &numbers, NULL), EINVAL);
	ck_assert_int_eq(out, 7);
	ck_assert_ptr_null(imap);
}

START_TEST(test_no_function)
{
	struct ipck_pool *pool = pool_new(_i, 1);
	void *heap = malloc(64);
	char stack[64];

	refused(pool, NULL);
	refused(pool, data);
	refused(pool, heap);
	refused(pool, stack);
	refused(pool, (void *)1);
	refused(pool, (void *)UINTPTR_MAX);
	free(heap);
	pool_works(pool, 10);
	pool_end(pool);
}
END_TEST

static void *load(void **negate)
{
	void *module = dlopen(POOL_MODULE, RTLD_NOW);

	ck_assert_msg(module, "%s", dlerror());
	*negate = dlsym(module, "module_negate");
	ck_that(*negate);
	return module;
}

START_TEST(test_loaded_before)
{
	unsigned char in[100], out[100] = {0};
	void *negate, *module = load(&negate);
	struct ipck_pool *pool = pool_new(_i, 2);

	memset(in, 0x5a, sizeof(in));
	/* Twice, the second time with more loaded. */
	for (int round = 0; round < 2; round++) {
		ck_that(ck_ok(ipck_pool_map(pool, (ipck_map_fn *)negate, in, 100, 1, out, 1, NULL, IPCK_FOREVER)) == 0);
		for (int i = 0; i < 100; i++)
			ck_that(out[i] == 0xa5);
		pool_works(pool, 10);
		ck_that(dlclose(dlopen("libanl.so.1", RTLD_NOW)) == 0);
	}
	dlclose(module);
	/* The process no longer has it, whatever the workers have. */
	refused(pool, negate);
	pool_works(pool, 10);
	pool_end(pool);
}
END_TEST

START_TEST(test_loaded_after)
{
	struct ipck_pool *pool = pool_new(_i, 2), *second;
	void *negate, *module = load(&negate);
	unsigned char x = 0xf0;

	refused(pool, negate);
	pool_works(pool, 10);
	second = pool_new(_i, 2);
	ck_that(ck_ok(ipck_pool_map(second, (ipck_map_fn *)negate, &x, 1, 1, &x, 1, NULL, IPCK_FOREVER)) == 0);
	ck_assert_uint_eq(x, 0x0f);
	pool_end(second);
	pool_end(pool);
	dlclose(module);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pool_worker");
	TCase *tc = pool_case(s, "environment");

	tcase_add_test(tc, test_signals);
	tcase_add_test(tc, test_surroundings);
	tcase_add_test(tc, test_surroundings_of_threads);
	pool_test(tc, test_worker_number);
	tcase_add_test(tc, test_output);
	tc = pool_case(s, "init");
	tcase_add_test(tc, test_init);
	pool_test(tc, test_init_in_each);
	tcase_add_loop_test(tc, test_failing_init, 0, sizeof(failures) / sizeof(failures[0]));
	tcase_add_test(tc, test_init_fails_first);
	tc = pool_case(s, "origin");
	pool_test(tc, test_no_function);
	pool_test(tc, test_loaded_before);
	pool_test(tc, test_loaded_after);
	return test_main(s);
}
