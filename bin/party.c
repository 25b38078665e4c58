/* SPDX-License-Identifier: MIT */
#include "party.h"

#include "common.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static _Thread_local const char *thread_name;

const char *party_name(void)
{
	return thread_name ? thread_name : ipck_process_name(ipck_process_current());
}

/* A process tells itself of output that it lost: its parent cannot see that. */
static int process_entry(void *p)
{
	struct party *party = p;

	return tool_finish(party->fn(party->arg));
}

/* Threads cannot be ended, only the whole process. */
static void end_all_threads(void)
{
	_exit(tool_finish(TOOL_FAILED));
}

static void *thread_entry(void *p)
{
	struct party *party = p;

	thread_name = party->name;
	party->status = party->fn(party->arg);
	if (party->together && party->status != 0)
		end_all_threads();
	return NULL;
}

static int start_one(struct party *party, size_t number, bool threads)
{
	party->process = NULL;
	party->status = 0;
	party->ended = false;
	if (!threads)
		return ipck_process_start(&party->process, process_entry, party,
		                          IPCK_PROCESS_OPTS(.daemon = party->daemon, .keep = party->keep,
		                                            .keep_count = party->keep_count));
	snprintf(party->name, sizeof(party->name), "Thread-%zu", number + 1);
	return -pthread_create(&party->thread, NULL, thread_entry, party);
}

int parties_start(struct party *party, size_t n, bool threads)
{
	for (size_t i = 0; i < n; i++) {
		int rc = start_one(&party[i], i, threads);

		if (rc == 0)
			continue;
		tool_error("cannot start a %s: %s", threads ? "thread" : "process", ipck_strerror(rc));
		if (threads && party->together)
			end_all_threads();
		for (size_t k = 0; k < i; k++)
			if (party[k].process)
				ipck_process_terminate(party[k].process);
		parties_join(party, i);
		return TOOL_FAILED;
	}
	return 0;
}

/* Waits for one process, frees its handle; its status, and the signal that killed it. */
static int join_process(const struct party *party, int *signal)
{
	struct ipck_process *process = party->process;
	int code = TOOL_FAILED, rc = ipck_process_join(process, IPCK_FOREVER);

	*signal = 0;
	if (rc == 0)
		rc = ipck_process_status(process, &code, signal);
	if (rc < 0)
		tool_error("%s: %s", ipck_process_name(process), ipck_strerror(rc));
	else if (*signal && *signal != SIGPIPE && !(party->ended && *signal == SIGKILL))
		tool_error("%s was killed: %s", ipck_process_name(process), strsignal(*signal));
	ipck_process_close(process);
	return *signal ? TOOL_FAILED : code;
}

int parties_join(struct party *party, size_t n)
{
	bool broken_pipe = false;
	int status = 0;

	for (size_t i = 0; i < n; i++) {
		int signal = 0;

		if (party[i].process)
			party[i].status = join_process(&party[i], &signal);
		else
			pthread_join(party[i].thread, NULL);
		broken_pipe = broken_pipe || signal == SIGPIPE;
		if (party[i].status != 0)
			status = TOOL_FAILED;
	}
	if (broken_pipe)
		raise(SIGPIPE);
	return status;
}

int parties_run(struct party *party, size_t n, bool threads)
{
	int status = parties_start(party, n, threads);

	return status != 0 ? status : parties_join(party, n);
}

/*
 * Stores those that run in `wait` and returns how many; *failure: one of the others has
 * failed.  Not one that was let down: it may end before the one that let it down, which
 * is the one to be told.
 */
static size_t look_around(const struct party *party, size_t n, struct ipck_waitable *wait, bool *failure)
{
	size_t running = 0;

	*failure = false;
	for (size_t i = 0; i < n; i++) {
		int code = 0, signal = 0;

		if (ipck_process_status(party[i].process, &code, &signal) == -EBUSY)
			wait[running++] = (struct ipck_waitable)IPCK_WAIT_PROCESS(party[i].process);
		*failure = *failure || signal != 0 || (code != 0 && code != PARTY_LET_DOWN);
	}
	return running;
}

static void end_the_others(struct party *party, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		party[i].ended = ipck_process_alive(party[i].process);
		if (party[i].ended)
			ipck_process_kill(party[i].process);
	}
}

/* Waits until all have ended, or one has failed and the others are killed. */
static void watch(struct party *party, size_t n)
{
	struct ipck_waitable wait[TOGETHER_MAX];
	bool failure;
	size_t running;

	while ((running = look_around(party, n, wait, &failure)) > 0 && !failure) {
		ssize_t rc = ipck_wait(wait, running, IPCK_FOREVER);

		if (rc >= 0)
			continue;
		tool_error("cannot wait: %s", ipck_strerror((int)rc));
		break;
	}
	end_the_others(party, n);
}

int parties_run_together(struct party *party, size_t n, bool threads)
{
	int status;

	for (size_t i = 0; i < n; i++)
		party[i].together = party[i].daemon = true;
	status = parties_start(party, n, threads);
	if (status != 0)
		return status;
	if (!threads)
		watch(party, n);
	return parties_join(party, n);
}
