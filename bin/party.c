/* SPDX-License-Identifier: MIT */
#include "party.h"

#include "common.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

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

static void *thread_entry(void *p)
{
	struct party *party = p;

	thread_name = party->name;
	party->status = party->fn(party->arg);
	return NULL;
}

static int start_one(struct party *party, size_t number, bool threads)
{
	party->process = NULL;
	party->status = 0;
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
		for (size_t k = 0; k < i; k++)
			if (party[k].process)
				ipck_process_terminate(party[k].process);
		parties_join(party, i);
		return TOOL_FAILED;
	}
	return 0;
}

/* Waits for one process, frees its handle; its status, and the signal that killed it. */
static int join_process(struct ipck_process *process, int *signal)
{
	int code = TOOL_FAILED, rc = ipck_process_join(process, IPCK_FOREVER);

	*signal = 0;
	if (rc == 0)
		rc = ipck_process_status(process, &code, signal);
	if (rc < 0)
		tool_error("%s: %s", ipck_process_name(process), ipck_strerror(rc));
	else if (*signal && *signal != SIGPIPE)
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
			party[i].status = join_process(party[i].process, &signal);
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
