/* SPDX-License-Identifier: MIT */
#include "exec_flight.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A group's entry is looked for from number % capacity on; twice as many as needed keep the way short. */
struct exec_flight {
	size_t capacity;
	struct flight_entry entry[];
};

struct exec_flight *flight_create(size_t window)
{
	size_t capacity = 2 * window + 1;
	struct exec_flight *f = calloc(1, sizeof(*f) + capacity * sizeof(f->entry[0]));

	if (f)
		f->capacity = capacity;
	return f;
}

void flight_free(struct exec_flight *f)
{
	for (size_t i = 0; f && i < f->capacity; i++)
		if (f->entry[i].items > 0)
			flight_remove(&f->entry[i]);
	free(f);
}

void flight_add(struct exec_flight *f, const struct exec_group *group, size_t size)
{
	const char *end = (const char *)group + size;
	struct flight_entry *e = &f->entry[group->number % f->capacity];

	for (size_t i = 0; e->items > 0 && i < f->capacity; i++)
		e = &f->entry[(group->number + i) % f->capacity];
	if (e->items > 0)
		return;
	*e = (struct flight_entry){.number = group->number, .file = {-1, -1}, .size = strlen(group->items)};
	memcpy(e->label, group->items, e->size < FLIGHT_LABEL ? e->size : FLIGHT_LABEL);
	for (const char *item = group->items; item < end; item += strlen(item) + 1)
		e->items++;
}

struct flight_entry *flight_find(struct exec_flight *f, uint64_t number)
{
	for (size_t i = 0; i < f->capacity; i++) {
		struct flight_entry *e = &f->entry[(number + i) % f->capacity];

		if (e->items > 0 && e->number == number)
			return e;
	}
	return NULL;
}

static void close_files(int file[2])
{
	for (int i = 0; i < 2; i++) {
		if (file[i] >= 0)
			close(file[i]);
		file[i] = -1;
	}
}

void flight_remove(struct flight_entry *entry)
{
	close_files(entry->file);
	entry->items = 0;
}

/* A message: the number of the group, and two files. */
union control {
	char bytes[CMSG_SPACE(2 * sizeof(int))];
	struct cmsghdr align;
};

int flight_send(int socket, uint64_t number, const int file[2])
{
	union control control = {{0}};
	struct iovec data = {&number, sizeof(number)};
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(2 * sizeof(int));
	memcpy(CMSG_DATA(header), file, 2 * sizeof(int));
	while (sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
		/* Too many files on their way at once: the parent takes them in some time. */
		if (errno == ETOOMANYREFS)
			poll(NULL, 0, 10);
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/* One message: 1, 0 if there is none, -errno. */
static int receive_one(int socket, uint64_t *number, int file[2])
{
	union control control;
	struct iovec data = {number, sizeof(*number)};
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	struct cmsghdr *header;
	ssize_t n;

	do
		n = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n == 0 || errno == EAGAIN ? 0 : -errno;
	header = CMSG_FIRSTHDR(&message);
	if (!header || (message.msg_flags & MSG_CTRUNC))
		return -EMFILE;
	memcpy(file, CMSG_DATA(header), 2 * sizeof(int));
	return 1;
}

int flight_receive(struct exec_flight *f, int socket)
{
	uint64_t number;
	int file[2], rc;

	while ((rc = receive_one(socket, &number, file)) > 0) {
		struct flight_entry *e = flight_find(f, number);

		if (!e) {
			close_files(file);
			continue;
		}
		close_files(e->file);
		memcpy(e->file, file, sizeof(file));
	}
	return rc;
}
