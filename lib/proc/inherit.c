/* SPDX-License-Identifier: MIT */
#include "proc/inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/name.h"

#define VARIABLE "IPCK_INHERITED"

static int check_names(const struct ipck_pass *pass, size_t count)
{
	if (count && !pass)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (!name_valid(pass[i].name))
			return -EINVAL;
		for (size_t j = 0; j < i; j++)
			if (strcmp(pass[i].name, pass[j].name) == 0)
				return -EINVAL;
	}
	return 0;
}

static int duplicate_all(struct handover *h, const struct ipck_pass *pass, size_t count)
{
	h->fds = calloc(count + 1, sizeof(*h->fds));
	if (!h->fds)
		return -ENOMEM;
	for (; h->count < count; h->count++) {
		int rc = io_dup_to(pass[h->count].fd, &h->fds[h->count]);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* IPCK_INHERITED=name:fd,name:fd */
static int write_variable(struct handover *h, const struct ipck_pass *pass)
{
	size_t length = 0;
	FILE *f = open_memstream(&h->variable, &length);

	if (!f)
		return -ENOMEM;
	fprintf(f, VARIABLE "=");
	for (size_t i = 0; i < h->count; i++)
		fprintf(f, "%s%s:%d", i ? "," : "", pass[i].name, h->fds[i]);
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
	int rc = check_names(pass, count);

	*h = (struct handover){0};
	if (rc == 0)
		rc = duplicate_all(h, pass, count);
	if (rc == 0 && count)
		rc = write_variable(h, pass);
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

/* The number behind "name:" in the list, -1 if it is not there, -2 if damaged. */
static long find_fd(const char *list, const char *name)
{
	size_t length = strlen(name);

	while (*list) {
		const char *colon = list + strcspn(list, ":,");
		char *end;
		long fd;

		if (*colon != ':' || colon == list)
			return -2;
		errno = 0;
		fd = strtol(colon + 1, &end, 10);
		if (errno || end == colon + 1 || fd < 0 || fd > INT_MAX || (*end && *end != ','))
			return -2;
		if ((size_t)(colon - list) == length && memcmp(list, name, length) == 0)
			return fd;
		list = *end ? end + 1 : end;
	}
	return -1;
}

int ipck_inherited(const char *name)
{
	const char *list = getenv(VARIABLE);
	long fd;

	if (!name_valid(name))
		return -EINVAL;
	fd = list ? find_fd(list, name) : -1;
	if (fd == -1)
		return -ENOENT;
	if (fd < 0 || fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
		return -EPROTO;
	return (int)fd;
}
