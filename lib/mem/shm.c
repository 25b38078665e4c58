/* SPDX-License-Identifier: MIT */
#include <ipckit/shm.h>

#include "base/name.h"
#include "mem/handle.h"

struct ipck_shm {
	struct segment segment;
};

static const struct handle_kind kind = {SEGMENT_USER, sizeof(struct ipck_shm)};

int ipck_shm_create(struct ipck_shm **out, const char *name, size_t bytes, const struct ipck_shm_opts *opts)
{
	struct ipck_shm_opts own;
	struct segment_plan plan = {.kind = SEGMENT_USER, .name = name, .bytes = bytes};
	int rc = opts_copy(&own, sizeof(own), opts);

	plan.mode = own.mode;
	return rc < 0 ? rc : handle_create(out, &kind, &plan);
}

int ipck_shm_open(struct ipck_shm **out, const char *name, const struct ipck_shm_opts *opts)
{
	struct ipck_shm_opts own;
	int rc = opts_copy(&own, sizeof(own), opts);

	return rc < 0 ? rc : handle_open(out, &kind, name, own.any_owner);
}

int ipck_shm_open_fd(struct ipck_shm **out, int fd, const struct ipck_shm_opts *opts)
{
	struct ipck_shm_opts own;
	int rc = opts_copy(&own, sizeof(own), opts);

	return rc < 0 ? rc : handle_open_fd(out, &kind, fd, own.any_owner);
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
	handle_close(shm);
}

int ipck_shm_unlink(const char *name)
{
	return segment_unlink(name);
}
