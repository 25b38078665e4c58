/* SPDX-License-Identifier: MIT */
/* Starting children by fork, for the pools too. */
#ifndef PROC_START_H
#define PROC_START_H

#include "proc/launch.h"

/* ipck_process_start. */
int process_start(struct ipck_process **out, ipck_process_fn *fn, void *arg, const struct ipck_process_opts *opts,
                  const struct launch_kind *kind);

/* The end of a child: its own children ended or joined, output flushed, _exit. */
_Noreturn void process_finish(int code);

#endif
