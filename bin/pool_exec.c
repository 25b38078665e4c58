/* SPDX-License-Identifier: MIT */
/*
 * ipc-pool exec: the main loop.  The parent reads groups of items (exec_input),
 * a worker runs the command with each (exec_worker), and the parent writes the
 * outputs, each whole, and counts what failed (exec_report).
 */
#include "pool_exec.h"

#include <ipckit.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"
#include "exec_argv.h"
#include "exec_flight.h"
#include "exec_input.h"
#include "exec_options.h"
#include "exec_report.h"
#include "exec_spool.h"
#include "exec_worker.h"

#define MAX_STATUS 101 /* more than 100 failed */
#define BROKEN 125     /* exec itself could not go on */
#define WINDOW 4       /* groups under way for each worker */
#define SOME_FILES 64  /* all that this process opens but those of outputs */

struct exec {
	struct exec_options options;
	struct exec_template command;
	struct exec_plan plan;
	struct exec_input *input;
	struct exec_flight *flight;
	struct exec_report report;
	struct ipck_pool *pool;
	struct ipck_imap *imap;
	size_t window;
	int socket[2], bell[2];
	bool dry;         /* the input had nothing when it was last asked */
	bool rung;        /* since the bell was rung no result has come */
	bool stopping;    /* the pool was terminated */
	const char *lost; /* the output that could not be written */
};

/* ---- Signals ---- */

static volatile sig_atomic_t caught; /* the signal that ends the program */
static int caught_bell;

static void interrupt(int number)
{
	int error = errno;

	caught = number;
	ipck_interrupt();
	(void)!write(caught_bell, "", 1);
	errno = error;
}

static void ignore(int number)
{
	(void)number;
}

/* Catches the signal unless we were started with it ignored; whether we were. */
static bool catch_signal(int number, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler}, old;

	sigaction(number, NULL, &old);
	if (old.sa_handler == SIG_IGN)
		return true;
	sigaction(number, &action, NULL);
	return false;
}

static void catch_signals(struct exec *x)
{
	struct sigaction quit;

	caught_bell = x->bell[1];
	x->plan.ignores_int = catch_signal(SIGINT, interrupt);
	catch_signal(SIGTERM, interrupt);
	catch_signal(SIGHUP, interrupt);
	/* Not ignored: the commands would ignore it, too. */
	catch_signal(SIGPIPE, ignore);
	sigaction(SIGQUIT, NULL, &quit);
	x->plan.ignores_quit = quit.sa_handler == SIG_IGN;
}

/* ---- Input and results ---- */

static int next_group(void *ctx, const void **item, size_t *size)
{
	const struct exec_group *group;
	struct exec *x = ctx;
	int rc;

	if (x->stopping || caught)
		return 0;
	rc = input_next(x->input, &group, size);
	x->dry = rc == -EAGAIN;
	if (rc > 0) {
		flight_add(x->flight, group, *size);
		*item = group;
	}
	return x->dry ? IPCK_INPUT_LATER : rc;
}

static void stop(struct exec *x)
{
	x->stopping = true;
	ipck_pool_terminate(x->pool);
}

/* What is to be done from time to time: 0, -errno. */
static int tick(struct exec *x)
{
	if (x->plan.halt && x->plan.shared->halted && !x->stopping)
		stop(x);
	report_tick(&x->report, x->plan.shared->finished);
	return flight_receive(x->flight, x->socket[0]);
}

static int period(const struct exec *x)
{
	return x->plan.halt || x->report.progress ? 100 : 250;
}

/*
 * Input that has nothing yet must not keep results waiting, nor results input:
 * then both are waited for here.  The bell is rung just before a result is there,
 * hence the short wait for it after a ring.
 */
static void wait_for_both(struct exec *x)
{
	char bytes[4096];
	ssize_t n;

	input_wait(x->input, x->bell[0], period(x));
	do {
		n = read(x->bell[0], bytes, sizeof(bytes));
		x->rung = x->rung || n > 0;
	} while (n == sizeof(bytes));
}

/* As ipck_imap_next, without a deadline. */
static int next_result(struct exec *x, struct ipck_item *item)
{
	int rc;

	for (;;) {
		x->dry = false;
		rc = ipck_imap_next(x->imap, item, ipck_interruptible(x->rung ? ipck_in_ms(5) : IPCK_NOWAIT));
		if (rc == -ETIMEDOUT && !x->dry)
			rc = ipck_imap_next(x->imap, item, ipck_interruptible(ipck_in_ms(period(x))));
		if (rc != -ETIMEDOUT)
			return rc;
		if (caught)
			return -ECANCELED;
		rc = tick(x);
		if (rc < 0)
			return rc;
		if (x->dry)
			wait_for_both(x);
	}
}

/* What the run wrote to `to`: 0, -errno. */
static int write_output(struct exec *x, int to, int file, const void *data, uint64_t size)
{
	int rc;

	if (size == 0)
		return 0;
	report_clear(&x->report);
	rc = file >= 0 ? spool_copy(to, file, (off_t)size) : spool_write(to, data, size);
	if (rc < 0)
		x->lost = to == 1 ? "standard output" : "standard error";
	return rc;
}

static int give_result(struct exec *x, const struct ipck_item *item, struct flight_entry *e)
{
	const char *data = item->data;
	struct exec_result r;
	int rc = 0;

	memcpy(&r, data, sizeof(r));
	data += sizeof(r);
	if (r.sent)
		rc = flight_receive(x->flight, x->socket[0]);
	if (rc == 0)
		rc = write_output(x, 1, e->file[0], data, r.size[0]);
	if (rc == 0)
		rc = write_output(x, 2, e->file[1], data + r.size[0], r.size[1]);
	if (rc == 0)
		report_result(&x->report, e, &r);
	return rc;
}

/* Writes and counts what became of a group: 0, -errno. */
static int give_out(struct exec *x, const struct ipck_item *item)
{
	struct flight_entry *e = flight_find(x->flight, item->index);
	int rc = 0;

	x->rung = false;
	if (item->status.outcome == IPCK_DONE) {
		rc = give_result(x, item, e);
	} else if (item->status.outcome != IPCK_CANCELED) {
		report_death(&x->report, e, &item->status);
		x->plan.shared->halted = x->plan.halt;
	} else if (!x->stopping) {
		rc = -ENOTRECOVERABLE;
	}
	flight_remove(e);
	return rc;
}

/* ---- From beginning to end ---- */

static int system_error(const char *what)
{
	tool_error("%s: %s", what, strerror(errno));
	return -1;
}

/*
 * As many groups may be under way as there is room for the files of their
 * outputs.  So more files than usual may be open here; the commands keep their
 * limit.
 */
static void choose_window(struct exec *x)
{
	rlim_t window = (rlim_t)(WINDOW * x->options.jobs), wanted = 2 * window + SOME_FILES;
	struct rlimit files = {wanted, wanted};

	getrlimit(RLIMIT_NOFILE, &files);
	x->plan.files = files;
	if (files.rlim_cur < wanted) {
		files.rlim_cur = wanted < files.rlim_max ? wanted : files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (files.rlim_cur < wanted)
		window = files.rlim_cur > SOME_FILES + 2 ? (files.rlim_cur - SOME_FILES) / 2 : 1;
	x->window = (size_t)window;
}

/* Temporary files can be made: 0, or -1 after a message. */
static int check_directory(struct exec_plan *plan)
{
	const char *directory = getenv("TMPDIR");
	int fd;

	plan->directory = directory && *directory ? directory : "/tmp";
	fd = spool_file(plan->directory);
	if (fd < 0) {
		tool_error("no temporary file in %s: %s", plan->directory, strerror(-fd));
		return -1;
	}
	close(fd);
	return 0;
}

/* All that the workers inherit: 0, or -1 after a message. */
static int make_plan(struct exec *x)
{
	struct exec_plan *plan = &x->plan;

	plan->command = &x->command;
	plan->retries = x->options.retries;
	plan->halt = x->options.halt;
	choose_window(x);
	if (check_directory(plan) < 0)
		return -1;
	plan->null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (plan->null < 0)
		return system_error("/dev/null");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, x->socket) < 0)
		return system_error("socketpair");
	if (pipe2(x->bell, O_CLOEXEC | O_NONBLOCK) < 0)
		return system_error("pipe");
	plan->socket = x->socket[1];
	plan->bell = x->bell[1];
	plan->shared = mmap(NULL, sizeof(*plan->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	x->flight = flight_create(x->window);
	if (plan->shared == MAP_FAILED || !x->flight) {
		errno = ENOMEM;
		return system_error("shared memory");
	}
	return 0;
}

static int start_pool(struct exec *x)
{
	const struct ipck_pool_opts *pool =
		IPCK_POOL_OPTS(.workers = (int)x->options.jobs, .init = exec_init, .init_arg = &x->plan);
	const struct ipck_map_opts *map = IPCK_MAP_OPTS(.window = x->window, .retries = (int)x->options.retries);
	int rc = ipck_pool_create(&x->pool, pool);

	if (rc == 0 && x->options.unordered)
		rc = ipck_pool_imap_unordered(&x->imap, x->pool, exec_run, next_group, x, map);
	else if (rc == 0)
		rc = ipck_pool_imap(&x->imap, x->pool, exec_run, next_group, x, map);
	if (rc < 0)
		tool_error("cannot make a pool of %ld workers: %s", x->options.jobs, ipck_strerror(rc));
	return rc;
}

/* Why exec could not go on. */
static void explain(struct exec *x, int rc)
{
	const char *reason = ipck_pool_reason(x->pool);

	report_clear(&x->report);
	if (x->lost)
		tool_error("%s: %s", x->lost, strerror(-rc));
	else if (!input_error(x->input))
		tool_error("the pool: %s%s%s", ipck_strerror(rc), reason ? ": " : "", reason ? reason : "");
}

static int exit_status(struct exec *x, int rc)
{
	if (caught)
		return 128 + caught;
	if (rc < 0)
		return BROKEN;
	return x->report.failed < MAX_STATUS ? (int)x->report.failed : MAX_STATUS;
}

static int run(struct exec *x)
{
	struct ipck_item item;
	int rc;

	while ((rc = next_result(x, &item)) > 0) {
		rc = give_out(x, &item);
		if (rc == 0)
			rc = tick(x);
		if (rc < 0)
			break;
	}
	if (rc < 0 && !caught)
		explain(x, rc);
	if (rc < 0)
		stop(x);
	ipck_imap_close(x->imap);
	ipck_pool_close(x->pool);
	(void)!ipck_pool_join(x->pool, IPCK_FOREVER);
	report_end(&x->report);
	return exit_status(x, rc);
}

static int exec_command(struct exec *x)
{
	int status = template_init(&x->command, x->options.command, x->options.words);

	if (status != 0)
		return status;
	if (input_open(&x->input, &x->options.source, &x->command) < 0)
		return TOOL_USAGE;
	if (make_plan(x) < 0)
		return BROKEN;
	catch_signals(x);
	report_begin(&x->report, x->options.progress,
	             x->options.progress ? input_count(&x->options.source, &x->command) : 0);
	return start_pool(x) < 0 ? BROKEN : run(x);
}

int pool_exec_main(int argc, char **argv)
{
	struct exec x = {.report.start = 0};
	int status = options_read(&x.options, argc, argv);

	if (status == 0 && x.options.help) {
		options_help();
		status = tool_finish(0);
	} else if (status == 0) {
		status = exec_command(&x);
	}
	ipck_pool_free(x.pool);
	flight_free(x.flight);
	input_close(x.input);
	template_free(&x.command);
	options_free(&x.options);
	return status;
}
