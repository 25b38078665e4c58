/* SPDX-License-Identifier: MIT */
#include "coll/turn.h"

#include <ipckit/defs.h>

#include "base/futex.h"

/* About as long as a turn of a few hundred bytes takes. */
#define SPIN_TURNS 64

/* The half of the word that has TURN_AWAITED. */
static uint32_t *sleep_word(struct turn *turn)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return (uint32_t *)&turn->owner + 1;
#else
	return (uint32_t *)&turn->owner;
#endif
}

bool turn_is_abandoned(const struct turn *turn)
{
	uint64_t owner = load_acquire(&turn->owner);

	return owner != 0 && ident_word_dead(owner & ~TURN_AWAITED);
}

static bool spin(struct turn *turn, uint64_t me)
{
	for (int i = 0; i < SPIN_TURNS; i++) {
		uint64_t nobody = 0;

		if (load_relaxed(&turn->owner) == 0 && cas_acquire(&turn->owner, &nobody, me))
			return true;
		cpu_relax();
	}
	return false;
}

int turn_wait(struct turn *turn, uint64_t me, struct ipck_deadline deadline)
{
	if (spin(turn, me))
		return 0;
	for (;;) {
		uint64_t owner = 0;
		int rc;

		/* Others may sleep, too, and only one is woken. */
		if (cas_acquire(&turn->owner, &owner, me | TURN_AWAITED))
			return 0;
		if (ident_word_dead(owner & ~TURN_AWAITED)) {
			if (cas_acquire(&turn->owner, &owner, me | TURN_AWAITED))
				return IPCK_OWNER_DIED;
			continue;
		}
		if (!(owner & TURN_AWAITED) && !cas_acquire(&turn->owner, &owner, owner | TURN_AWAITED))
			continue;
		rc = futex_wait(sleep_word(turn), (uint32_t)(owner | TURN_AWAITED), deadline);
		if (rc < 0)
			return rc;
	}
}

void turn_wake(struct turn *turn)
{
	(void)futex_wake(sleep_word(turn), 1);
}
