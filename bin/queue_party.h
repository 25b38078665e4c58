/* SPDX-License-Identifier: MIT */
/* What parties do with the queues of an example. */
#ifndef IPCKIT_BIN_QUEUE_PARTY_H
#define IPCKIT_BIN_QUEUE_PARTY_H

#include <ipckit.h>

#include <stddef.h>

#include "party.h"

/* 0, or TOOL_FAILED after a message. */
int queue_make(struct ipck_queue **out, const struct ipck_queue_opts *opts);

/*
 * What a call on a queue returned, as a party's exit status: 0, also if the queue was shut down;
 * else TOOL_FAILED after a message.
 */
int queue_check(ssize_t rc);

/* Puts or gets a number.  Negative as those; -EBADMSG: what is got is no number. */
int queue_put_number(struct ipck_queue *queue, int number);
int queue_get_number(struct ipck_queue *queue, int *number);

/*
 * Waits until all is done.  0; TOOL_FAILED: nobody is left to do it, or after a message.
 * (A thread that fails shuts the queue down.)
 */
int queue_join_parties(struct ipck_queue *queue, const struct party *party, size_t n);

#endif
