/* SPDX-License-Identifier: MIT */
/*
 * Events between processes and threads, the counterpart of multiprocessing.Event: a
 * flag that many wait for.  Plain memory, as a lock (lock.h).
 *
 * Who waits when it is set is released, also if it is cleared at once.
 */
#ifndef IPCKIT_EVENT_H
#define IPCKIT_EVENT_H

#include <ipckit/deadline.h>
#include <ipckit/defs.h>

struct ipck_event {
	uint64_t sealed[4];
};

IPCK_BEGIN_DECLS

/* Sets it up, clear: 0.  fini: nobody uses it any more; NULL is fine. */
IPCK_API IPCK_MUST_CHECK int ipck_event_init(struct ipck_event *event);
IPCK_API void ipck_event_fini(struct ipck_event *event);

/* Sets or clears it, whatever it was.  Async-signal-safe.  -EINVAL: not set up. */
IPCK_API int ipck_event_set(struct ipck_event *event);
IPCK_API int ipck_event_clear(struct ipck_event *event);

/* Async-signal-safe. */
IPCK_API bool ipck_event_is_set(const struct ipck_event *event);

/*
 * 0: it is set, or was since the call began.  -ETIMEDOUT, -ECANCELED.  -EINVAL: not
 * set up.
 */
IPCK_API IPCK_MUST_CHECK int ipck_event_wait(struct ipck_event *event, struct ipck_deadline deadline);

IPCK_END_DECLS

#endif
