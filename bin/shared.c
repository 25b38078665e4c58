/* SPDX-License-Identifier: MIT */
#include "shared.h"

#include <ipckit.h>

#include <errno.h>

#include "party.h"

int shared_run(size_t bytes, int (*run)(void *shared, const struct tool_args *args), const struct tool_args *args)
{
	struct ipck_shm *shm;
	int status, rc = ipck_shm_create(&shm, NULL, bytes, NULL);

	if (rc < 0)
		return tool_error("cannot make a segment: %s", ipck_strerror(rc));
	status = run(ipck_shm_data(shm), args);
	ipck_shm_close(shm);
	return status;
}

int shared_check(const char *what, int rc)
{
	if (rc >= 0)
		return rc & IPCK_OWNER_DIED ? PARTY_LET_DOWN : 0;
	/* A barrier that is broken already says no more of it. */
	if (rc == -EOWNERDEAD || rc == -ECANCELED)
		return PARTY_LET_DOWN;
	return tool_error("%s: %s", what, ipck_strerror(rc));
}
