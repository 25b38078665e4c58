/* SPDX-License-Identifier: MIT */
/*
 * Deadlines.  Every call that waits for others ends with one, by value.  It covers the
 * whole call, however many waits that makes inside, and passes unchanged from a
 * caller's function to the calls it makes.  It is a struct so that a bare number
 * does not compile, and a point in time of CLOCK_MONOTONIC, so that setting the
 * clock of the day changes nothing.
 *
 *	rc = ipck_process_join(p, ipck_in_ms(500));
 *	if (rc == -ETIMEDOUT) ...
 *
 * A deadline that has passed makes the call try once; it never blocks then.
 */
#ifndef IPCKIT_DEADLINE_H
#define IPCKIT_DEADLINE_H

#include <ipckit/defs.h>

/* Sealed: made by the calls below, its fields are the library's own. */
struct ipck_deadline {
	int64_t ns;         /* CLOCK_MONOTONIC; INT64_MAX is for ever */
	uint32_t interrupt; /* 1: ipck_interrupt() ends the wait */
	uint32_t reserved;
};

IPCK_BEGIN_DECLS

static inline struct ipck_deadline ipck_deadline_at(int64_t ns)
{
	struct ipck_deadline d = {ns, 0, 0};
	return d;
}

#define IPCK_FOREVER (ipck_deadline_at(INT64_MAX))
#define IPCK_NOWAIT (ipck_deadline_at(0))

/*
 * That long from now.  A negative or NaN duration is IPCK_NOWAIT; one beyond
 * the clock's range is IPCK_FOREVER.  Async-signal-safe.
 */
IPCK_API struct ipck_deadline ipck_in_ns(int64_t nanoseconds);
IPCK_API struct ipck_deadline ipck_in_ms(int64_t milliseconds);
IPCK_API struct ipck_deadline ipck_in_sec(double seconds);

/* Whether it has passed.  IPCK_NOWAIT has always passed, IPCK_FOREVER never. */
IPCK_API bool ipck_deadline_passed(struct ipck_deadline deadline);

/* Nanoseconds left: 0 when passed, INT64_MAX for IPCK_FOREVER. */
IPCK_API int64_t ipck_deadline_left(struct ipck_deadline deadline);

/*
 * The same deadline, for a wait that ipck_interrupt() ends with -ECANCELED.
 * The state of the object is then as after a deadline that passed.
 */
IPCK_API struct ipck_deadline ipck_interruptible(struct ipck_deadline deadline);

/*
 * Interrupts this process: from now on, until ipck_interrupt_clear(), every
 * interruptible wait of this process returns -ECANCELED instead of sleeping;
 * those asleep notice within 250 ms, most of them at once.  Made for a handler of
 * SIGINT: async-signal-safe, keeps errno.  A call that can succeed without
 * sleeping still does.  A forked child begins not interrupted.
 */
IPCK_API void ipck_interrupt(void);
IPCK_API void ipck_interrupt_clear(void);
IPCK_API bool ipck_interrupted(void);

IPCK_END_DECLS

#endif
