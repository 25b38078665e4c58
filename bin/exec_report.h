/* SPDX-License-Identifier: MIT */
/*
 * What ipc-pool exec tells on standard error: failures with their items, a line of
 * progress, and the sum at the end.
 *
 * On a terminal the line of progress is rewritten in place, ten times a second,
 * and taken away while something else is written; elsewhere it is a line each
 * second.
 */
#ifndef IPCKIT_BIN_EXEC_REPORT_H
#define IPCKIT_BIN_EXEC_REPORT_H

#include <ipckit.h>

#include <stdbool.h>
#include <stdint.h>

#include "exec_flight.h"
#include "exec_worker.h"

struct exec_report {
	bool progress;
	uint64_t total; /* runs, 0: not known */
	uint64_t given; /* results given out, and of them */
	uint64_t failed;
	bool terminal;
	bool drawn; /* the line stands there */
	double start, last;
};

void report_begin(struct exec_report *r, bool progress, uint64_t total);

/* Counts a result: that of a run, or how its worker ended. */
void report_result(struct exec_report *r, const struct flight_entry *e, const struct exec_result *result);
void report_death(struct exec_report *r, const struct flight_entry *e, const struct ipck_status *status);

/* Brings the line up to date if it is time; takes it away. */
void report_tick(struct exec_report *r, uint64_t finished);
void report_clear(struct exec_report *r);

/* The last line, and how many failed. */
void report_end(struct exec_report *r);

#endif
