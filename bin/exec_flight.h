/* SPDX-License-Identifier: MIT */
/*
 * What the parent of ipc-pool exec must know of the groups that are under way:
 * the first item, to name it when its worker has died, and the files of its
 * output, when that is too large to be passed by value.
 *
 * A worker sends the files over a socket before it gives its result.  So when the
 * result is there, the files have arrived; those of a worker that was killed in
 * between are dropped with their group.
 */
#ifndef IPCKIT_BIN_EXEC_FLIGHT_H
#define IPCKIT_BIN_EXEC_FLIGHT_H

#include <stddef.h>
#include <stdint.h>

#include "exec_input.h"

#define FLIGHT_LABEL 80

struct exec_flight;

struct flight_entry {
	uint64_t number;
	int file[2];              /* output and errors, or -1 */
	size_t items;             /* 0: the entry is free */
	size_t size;              /* of the first item */
	char label[FLIGHT_LABEL]; /* as much of it as fits */
};

/* For `window` groups at most.  NULL: out of memory. */
struct exec_flight *flight_create(size_t window);
void flight_free(struct exec_flight *f);

void flight_add(struct exec_flight *f, const struct exec_group *group, size_t size);

/* The entry of that group, or NULL. */
struct flight_entry *flight_find(struct exec_flight *f, uint64_t number);

/* Forgets a group and closes its files. */
void flight_remove(struct flight_entry *entry);

/* In the worker: 0, -errno. */
int flight_send(int socket, uint64_t number, const int file[2]);

/* Takes all files that have arrived: 0, -errno. */
int flight_receive(struct exec_flight *f, int socket);

#endif
