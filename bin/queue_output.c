/* SPDX-License-Identifier: MIT */
#include "queue_output.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common.h"

int output_batch(const struct output *out)
{
	return out->options->output ? 1 : OUTPUT_MAX;
}

/* ---- descriptors ---- */

/* Goes n bytes further in the parts: how many of them that ends.  Empty ones end with the one before. */
static int advance(struct iovec *part, int parts, size_t n)
{
	int done = 0;

	while (done < parts && part[done].iov_len <= n)
		n -= part[done++].iov_len;
	if (done < parts) {
		part[done].iov_base = (char *)part[done].iov_base + n;
		part[done].iov_len -= n;
	}
	return done;
}

/* Returns how many parts were written; fewer with errno, or 0 in it when a signal was caught. */
static int write_parts(int fd, struct iovec *part, int parts)
{
	int done = advance(part, parts, 0);

	errno = 0;
	while (done < parts) {
		ssize_t n = stop_caught() ? 0 : writev(fd, part + done, parts - done);

		if (stop_caught() && n <= 0) {
			errno = 0;
			break;
		}
		if (n >= 0)
			done += advance(part + done, parts - done, (size_t)n);
		else if (errno == EAGAIN)
			stop_poll(fd, POLLOUT, -1);
		else if (errno != EINTR)
			break;
	}
	return done;
}

/* ---- standard output ---- */

static int write_standard(struct output *out, const struct ipck_queue_item *items, int n)
{
	const struct queue_options *o = out->options;
	struct iovec part[2 * OUTPUT_MAX];
	char end = o->null ? '\0' : '\n';
	int done;

	for (int i = 0; i < n; i++) {
		part[2 * i] = (struct iovec){.iov_base = (void *)(uintptr_t)items[i].data, .iov_len = items[i].size};
		part[2 * i + 1] = (struct iovec){.iov_base = &end, .iov_len = o->file ? 0 : 1};
	}
	done = write_parts(1, part, 2 * n);
	if (done < 2 * n)
		out->error = errno;
	return done / 2;
}

/* ---- files ---- */

/* The pattern with `text` in the place of its first {}. */
static int make_path(struct output *out, const char *text)
{
	const char *pattern = out->options->output, *place = strstr(pattern, "{}");
	int n = snprintf(out->path, sizeof(out->path), "%.*s%s%s", (int)(place - pattern), pattern, text, place + 2);

	return n < (int)sizeof(out->path) ? 0 : -ENAMETOOLONG;
}

/* Under a name for the time being, beside the later one; as the umask says. */
static int write_file(int fd, const struct ipck_queue_item *item)
{
	struct iovec part = {.iov_base = (void *)(uintptr_t)item->data, .iov_len = item->size};
	mode_t mask = umask(0);

	umask(mask);
	if (write_parts(fd, &part, 1) == 0)
		return errno ? -errno : -ECANCELED;
	return fchmod(fd, 0666 & ~mask) < 0 ? -errno : 0;
}

/* It gets the first number that is free, also if others look for theirs. */
static int name_file(struct output *out, const char *there)
{
	char number[32];
	int rc;

	do {
		snprintf(number, sizeof(number), "%lu", ++out->files);
		rc = make_path(out, number);
		if (rc == 0 && link(there, out->path) < 0)
			rc = -errno;
	} while (rc == -EEXIST);
	return rc;
}

static int write_new_file(struct output *out, const struct ipck_queue_item *item)
{
	char there[sizeof(out->path) + 8];
	int fd, rc = make_path(out, "0");

	if (rc < 0)
		return rc;
	snprintf(there, sizeof(there), "%s.XXXXXX", out->path);
	fd = mkstemp(there);
	if (fd < 0)
		return -errno;
	rc = write_file(fd, item);
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc == 0)
		rc = name_file(out, there);
	unlink(there);
	return rc;
}

int output_write(struct output *out, const struct ipck_queue_item *items, int n)
{
	int rc;

	if (!out->options->output)
		return write_standard(out, items, n);
	rc = write_new_file(out, items);
	if (rc < 0 && rc != -ECANCELED)
		out->error = -rc;
	return rc == 0;
}

int output_status(const struct output *out)
{
	if (out->error == 0)
		return 0;
	if (out->error == EPIPE && !out->options->output)
		stop_broken_pipe();
	return tool_error("%s: %s", out->options->output ? out->path : "standard output", strerror(out->error));
}
