/* SPDX-License-Identifier: MIT */
#include "exec_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exec_flight.h"
#include "exec_input.h"
#include "exec_spool.h"

/* Up to so many bytes of output are passed by value. */
#define BY_VALUE 16384

static const struct exec_plan *plan;
static struct exec_spool spool[2] = {EXEC_SPOOL_INIT, EXEC_SPOOL_INIT};
static volatile sig_atomic_t busy; /* a run is under way */

/* Caught, so that the command has the default again. */
static void ignore(int signal)
{
	(void)signal;
}

static _Noreturn void die_of_sigterm(void)
{
	signal(SIGTERM, SIG_DFL);
	raise(SIGTERM);
	_exit(128 + SIGTERM);
}

/* The end of the pool, or somebody's kill: the command gets its chance to clean up. */
static void terminated(int number)
{
	(void)number;
	if (busy)
		ipck_interrupt();
	else
		signal(SIGTERM, SIG_DFL), raise(SIGTERM);
}

static void catch_signal(int number, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler};

	sigaction(number, &action, NULL);
}

int exec_init(void *arg)
{
	plan = arg;
	catch_signal(SIGTERM, terminated);
	if (!plan->ignores_int)
		catch_signal(SIGINT, ignore);
	if (!plan->ignores_quit)
		catch_signal(SIGQUIT, ignore);
	return setrlimit(RLIMIT_NOFILE, &plan->files) < 0 ? -errno : 0;
}

/* What is left of the worker's life when it was terminated; the pool kills both if it takes too long. */
static _Noreturn void end_command(struct ipck_process *process)
{
	ipck_process_terminate(process);
	if (ipck_process_join(process, IPCK_FOREVER) == 0)
		ipck_process_close(process);
	die_of_sigterm();
}

static void wait_for_command(struct ipck_process *process, struct exec_result *r)
{
	int rc = ipck_process_join(process, ipck_interruptible(IPCK_FOREVER)), code, signal;

	if (rc == -ECANCELED)
		end_command(process);
	if (rc == 0)
		rc = ipck_process_status(process, &code, &signal);
	if (rc < 0) {
		r->end = EXEC_NOT_STARTED;
		r->value = rc;
	} else {
		r->end = signal ? EXEC_SIGNALED : EXEC_EXITED;
		r->value = signal ? signal : code;
	}
	ipck_process_close(process);
}

/* Runs the command once, its output in the spools: 0, or -errno if there is none. */
static int run_once(char **argv, struct exec_result *r)
{
	struct ipck_process *process;
	int stdio[3] = {plan->null, -1, -1}, rc;

	for (int i = 0; i < 2; i++) {
		rc = spool_begin(&spool[i], plan->directory);
		if (rc < 0)
			return rc;
		stdio[1 + i] = spool[i].writer;
	}
	rc = ipck_process_spawn(&process, plan->command->path ? plan->command->path : argv[0], argv,
	                        IPCK_PROCESS_OPTS(.daemon = true, .stdio = stdio));
	if (rc == 0) {
		wait_for_command(process, r);
	} else {
		r->end = EXEC_NOT_STARTED;
		r->value = rc;
	}
	for (int i = 0; i < 2; i++) {
		off_t size = spool_end(&spool[i]);

		if (size < 0)
			return (int)size;
		r->size[i] = (uint64_t)size;
	}
	return 0;
}

static bool failed(const struct exec_result *r)
{
	return r->end != EXEC_EXITED || r->value != 0;
}

static void recycle_spools(const struct exec_result *r)
{
	for (int i = 0; i < 2; i++)
		spool_recycle(&spool[i], (off_t)r->size[i]);
}

/* Runs the command until it succeeds, at most 1 + retries times. */
static int run(char **argv, struct exec_result *r)
{
	for (long left = plan->retries;; left--) {
		int rc = run_once(argv, r);

		if (rc < 0 || !failed(r) || left == 0 || plan->shared->halted)
			return rc;
		recycle_spools(r);
	}
}

/* Both outputs; what was cut off since their size was taken is not there. */
static int read_small(struct exec_result *r, char *bytes)
{
	size_t at = 0;

	for (int i = 0; i < 2; i++) {
		ssize_t n = spool_read(spool[i].fd, bytes + at, r->size[i]);

		if (n < 0)
			return (int)n;
		r->size[i] = (uint64_t)n;
		at += (size_t)n;
	}
	return 0;
}

static int give_by_value(const struct exec_result *r, struct ipck_result *result)
{
	static struct {
		struct exec_result head;
		char bytes[BY_VALUE];
	} out;
	int rc;

	out.head = *r;
	rc = read_small(&out.head, out.bytes);
	if (rc < 0)
		return rc;
	return ipck_result_write(result, &out, sizeof(out.head) + out.head.size[0] + out.head.size[1]);
}

static int give_files(struct exec_result *r, uint64_t number, struct ipck_result *result)
{
	int file[2] = {spool[0].fd, spool[1].fd};
	int rc = flight_send(plan->socket, number, file);

	if (rc < 0)
		return rc;
	r->sent = true;
	return ipck_result_write(result, r, sizeof(*r));
}

static int run_and_give(uint64_t number, const char *items, size_t size, struct ipck_result *result)
{
	struct exec_result r = {0};
	char **argv = template_fill(plan->command, items, size);
	int rc = argv ? run(argv, &r) : -ENOMEM;

	free(argv);
	if (plan->halt && (rc < 0 || failed(&r)))
		plan->shared->halted = 1;
	if (rc == 0 && r.size[0] + r.size[1] <= BY_VALUE)
		rc = give_by_value(&r, result);
	else if (rc == 0)
		rc = give_files(&r, number, result);
	if (rc == 0)
		recycle_spools(&r);
	return rc;
}

static int run_group(const struct exec_group *group, size_t size, struct ipck_result *result)
{
	struct exec_result lost = {.end = EXEC_NO_OUTPUT};
	uint64_t number;

	memcpy(&number, &group->number, sizeof(number));
	lost.value = run_and_give(number, group->items, size - sizeof(*group), result);
	if (lost.value == 0 || lost.value == -ECANCELED)
		return lost.value;
	spool_close(&spool[0]);
	spool_close(&spool[1]);
	return ipck_result_write(result, &lost, sizeof(lost));
}

int exec_run(const void *group, size_t size, const void *arg, struct ipck_result *result)
{
	static const struct exec_result not_run = {.end = EXEC_NOT_RUN};
	int rc;

	(void)arg;
	if (plan->shared->halted)
		return ipck_result_write(result, &not_run, sizeof(not_run));
	busy = 1;
	rc = run_group(group, size, result);
	busy = 0;
	if (ipck_interrupted())
		die_of_sigterm();
	plan->shared->finished++;
	(void)!write(plan->bell, "", 1);
	return rc;
}
