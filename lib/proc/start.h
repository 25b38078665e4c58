/* SPDX-License-Identifier: MIT */
/* Starting children by fork, for the pools too. */
#ifndef PROC_START_H
#define PROC_START_H

#include <ipckit/process.h>

enum start_flags {
	START_LISTED = 1,    /* one of ipck_process_children; else who starts it ends it */
	START_UNCAUGHT = 2,  /* the caller has no handlers that the child would inherit */
	START_UNWATCHED = 4, /* without a sentinel: nobody else reaps it, and it is asked, not waited for */
};

/* ipck_process_start. */
int process_start(struct ipck_process **out, ipck_process_fn *fn, void *arg, const struct ipck_process_opts *opts,
                  int flags);

/* The end of a child: its own children ended or joined, output flushed, _exit. */
_Noreturn void process_finish(int code);

#endif
