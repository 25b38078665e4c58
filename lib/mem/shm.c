/* SPDX-License-Identifier: MIT */
#include <ipckit/shm.h>

#include <errno.h>
#include <stdlib.h>

#include "base/name.h"
#include "mem/segment.h"

struct ipck_shm {
	struct segment segment;
};

/* One way from "a segment was had" to a handle. */
static int finish(struct ipck_shm **out, struct ipck_shm *shm, int rc)
{
	if (rc < 0)
		free(shm);
	else
		*out = shm;
	return rc;
}

static int begin(struct ipck_shm **shm, struct ipck_shm_opts *own, const struct ipck_shm_opts *opts)
{
	int rc = opts_copy(own, sizeof(*own), opts);

	if (rc < 0)
		return rc;
	*shm = calloc(1, sizeof(**shm));
	return *shm ? 0 : -ENOMEM;
}

int ipck_shm_create(struct ipck_shm **out, const char *name, size_t bytes, const struct ipck_shm_opts *opts)
{
	struct ipck_shm_opts own;
	struct ipck_shm *shm;
	struct segment_plan plan = {.kind = SEGMENT_USER, .name = name, .bytes = bytes};
	int rc = begin(&shm, &own, opts);

	if (rc < 0)
		return rc;
	plan.mode = own.mode;
	return finish(out, shm, own.mode & ~(mode_t)0777 ? -EINVAL : segment_create(&shm->segment, &plan));
}

int ipck_shm_open(struct ipck_shm **out, const char *name, const struct ipck_shm_opts *opts)
{
	struct ipck_shm_opts own;
	struct ipck_shm *shm;
	int rc = begin(&shm, &own, opts);

	if (rc < 0)
		return rc;
	return finish(out, shm, segment_open(&shm->segment, SEGMENT_USER, name, own.any_owner));
}

int ipck_shm_open_fd(struct ipck_shm **out, int fd, const struct ipck_shm_opts *opts)
{
	struct ipck_shm_opts own;
	struct ipck_shm *shm;
	int rc = begin(&shm, &own, opts);

	if (rc < 0)
		return rc;
	return finish(out, shm, segment_open_fd(&shm->segment, SEGMENT_USER, fd, own.any_owner));
}

void *ipck_shm_data(const struct ipck_shm *shm)
{
	return segment_body(&shm->segment);
}

size_t ipck_shm_size(const struct ipck_shm *shm)
{
	return shm->segment.bytes;
}

int ipck_shm_fd(const struct ipck_shm *shm)
{
	return shm->segment.fd;
}

void ipck_shm_close(struct ipck_shm *shm)
{
	if (!shm)
		return;
	segment_close(&shm->segment);
	free(shm);
}

int ipck_shm_unlink(const char *name)
{
	return segment_unlink(name);
}
