/* SPDX-License-Identifier: MIT */
/*
 * Events between processes and threads, the counterpart of multiprocessing.Event: a
 * flag that many wait for.  Plain memory, 32 bytes, used as a lock is (lock.h).
 *
 * Who waits when it is set is released, also if it is cleared at once.  What was written
 * before it was set is seen by who is released, or finds it set.
 *
 * A kill leaves all of a set or clear or nothing.  Of a set that was killed before it woke
 * anybody those who sleep learn within 250 ms.  A killed waiter leaves nothing.
 */
#ifndef IPCKIT_EVENT_H
#define IPCKIT_EVENT_H

#include <ipckit/deadline.h>
#include <ipckit/defs.h>

struct ipck_event {
	uint64_t sealed[4];
};

IPCK_BEGIN_DECLS

/* Sets it up, clear; always 0.  fini: nobody uses it any more; NULL is fine. */
IPCK_API IPCK_MUST_CHECK int ipck_event_init(struct ipck_event *event);
IPCK_API void ipck_event_fini(struct ipck_event *event);

/* Sets or clears it, whatever it was.  Async-signal-safe.  -EINVAL: not set up. */
IPCK_API int ipck_event_set(struct ipck_event *event);
IPCK_API int ipck_event_clear(struct ipck_event *event);

/* Async-signal-safe.  No errors. */
IPCK_API bool ipck_event_is_set(const struct ipck_event *event);

/*
 * 0: it is set, or was since the call began.  -ETIMEDOUT: the deadline passed.
 * -ECANCELED: the wait was interrupted.  -EINVAL: not set up.
 */
IPCK_API IPCK_MUST_CHECK int ipck_event_wait(struct ipck_event *event, struct ipck_deadline deadline);

IPCK_END_DECLS

#endif
