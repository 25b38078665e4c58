/* SPDX-License-Identifier: MIT */
/* The modes of ipc-queue that are for shells: queues that have names, and what is common to these modes. */
#ifndef IPCKIT_BIN_QUEUE_SHELL_H
#define IPCKIT_BIN_QUEUE_SHELL_H

#include <ipckit.h>

#include <stdbool.h>

int queue_send(int argc, char **argv);
int queue_recv(int argc, char **argv);
int queue_stat(int argc, char **argv);
int queue_shutdown(int argc, char **argv);
int queue_unlink(int argc, char **argv);

/* ---- queue_options.c: the command line ---- */

enum queue_taker { FOR_SEND = 1, FOR_RECV = 2, FOR_STAT = 4, FOR_SHUTDOWN = 8, FOR_UNLINK = 16 };

struct queue_options {
	const char *name;
	char *const *files; /* send: FILE..., ends with NULL */
	bool null, file;    /* what a message is; neither: a line */
	const char *output; /* recv: a file for each, {} is its number; NULL: standard output */
	bool follow, immediate, any_owner, help;
	long count;      /* -1: all */
	long timeout_ms; /* of each wait; -1: none */
	long bytes, max_items, mode;
};

/* 0 or, after a message, the exit status.  With --help it has been printed, and `help` is set. */
int queue_options_read(struct queue_options *o, enum queue_taker taker, int argc, char **argv);

/* ---- queue_names.c: queues by their names ---- */

/* For one wait. */
struct ipck_deadline queue_deadline(const struct queue_options *o);

/* Tells what a call on the queue returned; returns the exit status. */
int queue_failed(const struct queue_options *o, int rc);

/* Each 0 or, after a message, the exit status. */
int queue_open(struct ipck_queue **out, const struct queue_options *o);
int queue_open_or_make(struct ipck_queue **out, const struct queue_options *o);
/* *waited: it was not there at first. */
int queue_open_when_there(struct ipck_queue **out, const struct queue_options *o, bool *waited);

/* ---- queue_stop.c: signals ---- */

/*
 * From now on SIGINT, SIGTERM and SIGHUP interrupt what waits, and SIGPIPE is an error.  A second one of
 * them kills as ever.
 */
void stop_catch(void);
bool stop_caught(void);

/* Waits until the descriptor has one of the events, or for so long (-1: for ever), or until a signal was caught. */
void stop_poll(int fd, short events, int milliseconds);

/* The exit status, if a signal was caught that of a shell for it; standard output may have been a broken pipe. */
int stop_status(int status);
void stop_broken_pipe(void);

#endif
