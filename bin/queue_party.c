/* SPDX-License-Identifier: MIT */
#include "queue_party.h"

#include <errno.h>

#include "common.h"

/* How often it is looked whether anybody is left. */
#define LOOK_MS 100

int queue_make(struct ipck_queue **out, const struct ipck_queue_opts *opts)
{
	int rc = ipck_queue_create(out, NULL, opts);

	return rc < 0 ? tool_error("cannot make a queue: %s", ipck_strerror(rc)) : 0;
}

int queue_check(ssize_t rc)
{
	return rc >= 0 || rc == -ESHUTDOWN ? 0 : tool_error("queue: %s", ipck_strerror((int)rc));
}

int queue_put_number(struct ipck_queue *queue, int number)
{
	return ipck_queue_put(queue, &number, sizeof(number), IPCK_FOREVER);
}

int queue_get_number(struct ipck_queue *queue, int *number)
{
	ssize_t n = ipck_queue_get(queue, number, sizeof(*number), NULL, IPCK_FOREVER);

	if (n < 0)
		return (int)n;
	return n == sizeof(*number) ? 0 : -EBADMSG;
}

static bool any_left(const struct party *party, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!party[i].process || ipck_process_alive(party[i].process))
			return true;
	return false;
}

int queue_join_parties(struct ipck_queue *queue, const struct party *party, size_t n)
{
	int rc;

	do
		rc = ipck_queue_join(queue, ipck_in_ms(LOOK_MS));
	while (rc == -ETIMEDOUT && any_left(party, n));
	return rc == -ETIMEDOUT ? TOOL_FAILED : queue_check(rc);
}
