/* SPDX-License-Identifier: MIT */
/* Starting children by fork, for the pools too. */
#ifndef PROC_START_H
#define PROC_START_H

#include <ipckit/process.h>

/* ipck_process_start; a child that is not listed is none of ipck_process_children
 * and is not ended at exit: who starts it ends it. */
int process_start(struct ipck_process **out, ipck_process_fn *fn, void *arg, const struct ipck_process_opts *opts,
                  bool listed);

/* The end of a child: its own children ended or joined, output flushed, _exit. */
_Noreturn void process_finish(int code);

#endif
