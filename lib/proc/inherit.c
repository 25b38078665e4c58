/* SPDX-License-Identifier: MIT */
#include "proc/inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ipckit/pipe.h>
#include <ipckit/queue.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/io.h"
#include "base/name.h"
#include "proc/local.h"

#define VARIABLE "IPCK_INHERITED"

static int check_all(const struct ipck_pass *pass, size_t count)
{
	if (count && !pass)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (!name_valid(pass[i].name) || (pass[i].pipe && pass[i].queue))
			return -EINVAL;
		for (size_t j = 0; j < i; j++)
			if (strcmp(pass[i].name, pass[j].name) == 0)
				return -EINVAL;
	}
	return 0;
}

/* What is passed, in descriptors: how many, two of an object. */
static int fds_of(const struct ipck_pass *pass, int fds[2])
{
	int rc = 0;

	fds[0] = pass->fd;
	if (pass->pipe)
		rc = ipck_pipe_fds(pass->pipe, fds);
	else if (pass->queue)
		rc = ipck_queue_fds(pass->queue, fds);
	else
		return 1;
	return rc < 0 ? rc : 2;
}

static int duplicate_all(struct handover *h, const struct ipck_pass *pass, size_t count)
{
	h->fds = calloc(2 * count + 1, sizeof(*h->fds));
	if (!h->fds)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		int fds[2], n = fds_of(&pass[i], fds), rc = MIN(n, 0);

		for (int k = 0; rc == 0 && k < n; k++) {
			rc = io_dup_to(fds[k], &h->fds[h->count]);
			h->count += rc == 0;
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* IPCK_INHERITED=name:fd,pipe:fd+fd */
static int write_variable(struct handover *h, const struct ipck_pass *pass, size_t count)
{
	size_t length = 0;
	const int *fd = h->fds;
	FILE *f = open_memstream(&h->variable, &length);

	if (!f)
		return -ENOMEM;
	fprintf(f, VARIABLE "=");
	for (size_t i = 0; i < count; i++) {
		fprintf(f, "%s%s:%d", i ? "," : "", pass[i].name, *fd++);
		if (pass[i].pipe || pass[i].queue)
			fprintf(f, "+%d", *fd++);
	}
	return fclose(f) == 0 ? 0 : -ENOMEM;
}

/* The given environment with our variable, and without the one we got ourselves. */
static int copy_env(struct handover *h, char *const *env)
{
	size_t n = 0, kept = 0;

	while (env[n])
		n++;
	h->env = calloc(n + 2, sizeof(*h->env));
	if (!h->env)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (strncmp(env[i], VARIABLE "=", sizeof(VARIABLE)) != 0)
			h->env[kept++] = env[i];
	if (h->variable)
		h->env[kept] = h->variable;
	return 0;
}

int handover_make(struct handover *h, char *const *env, const struct ipck_pass *pass, size_t count)
{
	int rc = check_all(pass, count);

	*h = (struct handover){0};
	if (rc == 0)
		rc = duplicate_all(h, pass, count);
	if (rc == 0 && count)
		rc = write_variable(h, pass, count);
	if (rc == 0)
		rc = copy_env(h, env ? env : environ);
	if (rc < 0)
		handover_free(h);
	return rc;
}

void handover_free(struct handover *h)
{
	for (size_t i = 0; i < h->count; i++)
		close(h->fds[i]);
	free(h->fds);
	free(h->variable);
	free(h->env);
	*h = (struct handover){0};
}

static const char *read_fd(const char *text, int *fd)
{
	char *end;
	long number;

	errno = 0;
	number = strtol(text, &end, 10);
	if (errno || end == text || number < 0 || number > INT_MAX)
		return NULL;
	*fd = (int)number;
	return end;
}

/* The numbers behind "name:" in the list; the second is -1 if it has one only.  NULL
 * with -ENOENT or, if the list is damaged, -EPROTO; else where the name stands. */
static char *find_entry(char *list, const char *name, int fds[2], int *error)
{
	size_t length = strlen(name);

	*error = -EPROTO;
	while (*list) {
		char *colon = list + strcspn(list, ":,");
		const char *end;

		if (*colon != ':' || colon == list)
			return NULL;
		fds[1] = -1;
		end = read_fd(colon + 1, &fds[0]);
		if (end && *end == '+')
			end = read_fd(end + 1, &fds[1]);
		if (!end || (*end && *end != ','))
			return NULL;
		if ((size_t)(colon - list) == length && memcmp(list, name, length) == 0)
			return list;
		list = colon + (end - colon) + (*end == ',');
	}
	*error = -ENOENT;
	return NULL;
}

static char *find_inherited(const char *name, int fds[2], int *error)
{
	char *list = getenv(VARIABLE);

	*error = name_valid(name) ? -ENOENT : -EINVAL;
	return *error == -EINVAL || !list ? NULL : find_entry(list, name, fds, error);
}

int ipck_inherited(const char *name)
{
	int fds[2], error;

	if (!find_inherited(name, fds, &error))
		return error;
	if (fds[1] >= 0 || fcntl(fds[0], F_SETFD, FD_CLOEXEC) < 0)
		return -EPROTO;
	return fds[0];
}

/* What makes a handle of the descriptors of an object. */
typedef int object_open(void *out, const int fds[2]);

/* The handle has copies; what came with the program would keep the object open.  So the
 * entry goes, too: its numbers may be others' from now on. */
static int object_inherited(void *out, const char *name, object_open *open)
{
	int fds[2], rc;
	char *entry;

	local_lock();
	entry = find_inherited(name, fds, &rc);
	if (entry)
		rc = fds[1] < 0 ? -EPROTO : open(out, fds);
	if (entry && rc == 0) {
		close(fds[0]);
		close(fds[1]);
		/* No name has this character. */
		memset(entry, '=', strlen(name));
	}
	local_unlock();
	return rc == -EBADF ? -EPROTO : rc;
}

static int open_pipe(void *out, const int fds[2])
{
	return ipck_pipe_open_fds(out, fds);
}

/* Who passed it has decided whether to trust its maker. */
static int open_queue(void *out, const int fds[2])
{
	return ipck_queue_open_fds(out, fds, IPCK_QUEUE_OPTS(.any_owner = true));
}

int ipck_pipe_inherited(struct ipck_pipe **out, const char *name)
{
	return object_inherited(out, name, open_pipe);
}

int ipck_queue_inherited(struct ipck_queue **out, const char *name)
{
	return object_inherited(out, name, open_queue);
}
