/* SPDX-License-Identifier: MIT */
#include "coll/lane.h"

int lane_repair_sending(const struct lane *l)
{
	struct lane_shm *s = l->shm;
	uint64_t word;

	while ((word = load_acquire(lane_word(l, s->tail)))) {
		uint64_t next = s->tail + record_span(record_size(word));

		/* It may have been taken: then head is not behind the tail, but behind what follows. */
		if (record_size(word) > l->size - LANE_SPARE || next - load_acquire(&s->head) > l->size)
			return -EPROTO;
		s->tail = next;
	}
	if (s->sending)
		lane_abort(l);
	return 0;
}

void lane_abort(const struct lane *l)
{
	struct lane_shm *s = l->shm;
	uint64_t used = s->tail - load_acquire(&s->head);

	/* No room: a sender that died here has committed it already. */
	if (used + LANE_WORD + LANE_WORD <= l->size)
		lane_commit(l, RECORD_ABORT, 0);
	s->sending = 0;
}
