/* SPDX-License-Identifier: MIT */
/* What getters change, under their lock, so that a kill leaves nothing half done; the protocol is in queue.h. */
#include "coll/queue.h"

#include <errno.h>

#include "base/ident.h"

/* ---- the note ---- */

struct queue_note queue_note(const struct queue_shm *s)
{
	struct queue_note n = {
		.next = load_relaxed(&s->next),
		.finished = load_relaxed(&s->finished),
		.held = load_relaxed(&s->held),
		.returned = load_relaxed(&s->returned),
		.zeroes = load_relaxed(&s->zeroes),
		.voids = load_relaxed(&s->voids),
	};

	return n;
}

uint64_t queue_taken(const struct queue_shm *s)
{
	uint64_t taken = load_relaxed(&s->taken);

	return taken + (uint64_t)(int64_t)(int32_t)(mark_count(load_relaxed(&s->next)) - (uint32_t)taken);
}

/* All of it can be done again. */
static void do_noted(struct ipck_queue *q)
{
	struct queue_shm *s = q->shm;
	const struct queue_note *n = &s->note;

	if (n->word)
		store_release(&queue_entry(q, n->place)->word, n->word);
	store_relaxed(&s->finished, n->finished);
	store_relaxed(&s->held, n->held);
	store_relaxed(&s->returned, n->returned);
	store_relaxed(&s->zeroes, n->zeroes);
	store_relaxed(&s->voids, n->voids);
	/* Who waits loads it first, and sees the rest. */
	store_seq(&s->next, n->next);
	store_release(&s->noted, 0);
	store_relaxed(&s->taken, queue_taken(s));
}

void queue_do(struct ipck_queue *q, const struct queue_note *n)
{
	struct queue_shm *s = q->shm;

	s->note = *n;
	store_release(&s->noted, 1);
	do_noted(q);
	queue_move_head(q);
}

uint64_t queue_total(const struct queue_shm *s)
{
	return queue_taken(s) + (mark_count(load_acquire(&s->tail)) - mark_count(load_relaxed(&s->next)));
}

void queue_finish(const struct queue_shm *s, struct queue_note *n, uint32_t more)
{
	uint64_t total;

	if (!s->joinable || more == 0)
		return;
	total = queue_total(s);
	/* What is thrown away may have been marked as done already, if more was marked than was got. */
	n->finished = MIN(n->finished + more, total);
	if (n->finished == total)
		n->zeroes++;
}

/* ---- the lock ---- */

static void repair(struct ipck_queue *q)
{
	struct queue_shm *s = q->shm;

	if (load_acquire(&s->noted))
		do_noted(q);
	/* However many die between next and this: it lags by what one has got. */
	store_relaxed(&s->taken, queue_taken(s));
	store_relaxed(&s->recovered, load_relaxed(&s->recovered) + 1);
	/* Else each that puts would ring, until it is found empty once. */
	bell_repair(&s->bell);
	if (load_relaxed(&s->closed) == QUEUE_CLOSED)
		queue_discard(q);
	queue_move_head(q);
}

int queue_lock_get(struct ipck_queue *q, struct ipck_deadline deadline)
{
	int rc = queue_lock(&q->shm->get, deadline);

	if (unlikely(rc > 0))
		repair(q);
	return rc;
}

/* ---- marks ---- */

int queue_step(const struct ipck_queue *q, uint64_t *m, uint64_t end)
{
	uint64_t word = load_acquire(&queue_entry(q, mark_place(*m))->word);
	uint32_t units = entry_units(entry_size(word));

	if (entry_state(word) == ENTRY_NONE || units > mark_place(end) - mark_place(*m))
		return -EPROTO;
	*m = mark_after(*m, units, entry_state(word) != ENTRY_FILLER);
	return 0;
}

static bool is_held(uint64_t word)
{
	return entry_state(word) == ENTRY_TAKEN || entry_state(word) == ENTRY_RETURNED;
}

int queue_move_head(struct ipck_queue *q)
{
	struct queue_shm *s = q->shm;
	uint64_t head = load_relaxed(&s->head), next = load_relaxed(&s->next);
	int rc = 0;

	if (load_relaxed(&s->held) + load_relaxed(&s->returned) == 0)
		head = next;
	if (!queue_is_span(q, head, next))
		return -EPROTO;
	while (rc == 0 && mark_place(head) != mark_place(next) &&
	       !is_held(load_acquire(&queue_entry(q, mark_place(head))->word)))
		rc = queue_step(q, &head, next);
	if (rc == 0)
		store_seq(&s->head, head);
	return rc;
}

/* Whether there is something at next, and no message. */
static bool is_no_message(const struct ipck_queue *q, uint64_t next, uint64_t tail, uint64_t *word)
{
	if (mark_place(next) == mark_place(tail))
		return false;
	*word = load_acquire(&queue_entry(q, mark_place(next))->word);
	return entry_state(*word) == ENTRY_VOID || entry_state(*word) == ENTRY_FILLER;
}

int queue_pass_over(struct ipck_queue *q)
{
	struct queue_shm *s = q->shm;
	uint64_t tail = load_acquire(&s->tail), word;
	struct queue_note n = queue_note(s);
	int passed = 0;

	if (!queue_is_span(q, n.next, tail))
		return -EPROTO;
	while (is_no_message(q, n.next, tail, &word)) {
		bool is_void = entry_state(word) == ENTRY_VOID;

		if (queue_step(q, &n.next, tail) < 0)
			return -EPROTO;
		/* next never moves beyond it. */
		store_relaxed(&s->tail_seen, tail);
		n.voids += is_void;
		queue_finish(s, &n, is_void);
		queue_do(q, &n);
		passed++;
	}
	if (passed && s->joinable)
		evcount_notify(&s->joined, EVCOUNT_ALL);
	return passed;
}

/* ---- giving the lock back ---- */

void queue_unlock_get(struct ipck_queue *q)
{
	struct queue_shm *s = q->shm;
	uint64_t word;

	/* Behind what was taken: it would stay in the way of who waits for room. */
	if (unlikely(is_no_message(q, load_relaxed(&s->next), load_relaxed(&s->tail_seen), &word)))
		(void)queue_pass_over(q);
	lock_release(&s->get);
	evcount_notify(&s->room, EVCOUNT_ALL);
	/* What was taken may have been the last for ever. */
	if (unlikely(load_relaxed(&s->closed) != QUEUE_OPEN))
		queue_tell(q, EVCOUNT_ALL);
}

/* ---- ends of entries ---- */

void queue_end_one(struct ipck_queue *q, uint32_t place, uint64_t word, enum entry_state how, bool finish)
{
	struct queue_shm *s = q->shm;
	struct queue_note n = queue_note(s);

	if (entry_state(word) == ENTRY_TAKEN)
		n.held--;
	else
		n.returned--;
	/* Nobody would get it any more. */
	if (how == ENTRY_RETURNED && load_relaxed(&s->closed) == QUEUE_CLOSED) {
		how = ENTRY_DONE;
		finish = true;
	}
	n.returned += how == ENTRY_RETURNED;
	n.place = place;
	n.word = entry_word(entry_size(word), entry_given(word), how);
	queue_finish(s, &n, finish);
	queue_do(q, &n);
}

/* Where something has come back, is not to be waited for any more, or was the last that was to be done. */
static void tell_of_end(struct ipck_queue *q, bool all_done)
{
	struct queue_shm *s = q->shm;

	if (load_relaxed(&s->returned) || load_relaxed(&s->closed) != QUEUE_OPEN)
		queue_tell(q, EVCOUNT_ALL);
	if (all_done)
		evcount_notify(&s->joined, EVCOUNT_ALL);
}

int queue_end(struct ipck_queue *q, uint32_t place, enum entry_state how)
{
	int rc = queue_lock_get(q, IPCK_FOREVER);
	uint32_t zeroes;
	bool all_done;
	uint64_t word;

	if (rc < 0)
		return rc;
	zeroes = load_relaxed(&q->shm->zeroes);
	word = load_relaxed(&queue_entry(q, place)->word);
	if (entry_state(word) == ENTRY_TAKEN && load_relaxed(&queue_entry(q, place)->owner) == ident_word())
		queue_end_one(q, place, word, how, how == ENTRY_DONE && q->shm->leases);
	else
		rc = -EPERM;
	all_done = load_relaxed(&q->shm->zeroes) != zeroes;
	queue_unlock_get(q);
	tell_of_end(q, all_done);
	return MIN(rc, 0);
}

/* For each entry before next: what to do with it, by its word. */
typedef bool entry_choice(const struct entry *e, uint64_t word, void *arg);

static int end_those(struct ipck_queue *q, entry_choice *choose, void *arg, enum entry_state how)
{
	struct queue_shm *s = q->shm;
	uint64_t at = load_relaxed(&s->head), next = load_relaxed(&s->next);
	int ended = 0;

	if (!queue_is_span(q, at, next))
		return -EPROTO;
	while (load_relaxed(&s->held) + load_relaxed(&s->returned) > 0 && mark_place(at) != mark_place(next)) {
		struct entry *e = queue_entry(q, mark_place(at));
		uint64_t word = load_acquire(&e->word);
		uint32_t place = mark_place(at);

		if (queue_step(q, &at, next) < 0)
			return -EPROTO;
		if (is_held(word) && choose(e, word, arg)) {
			queue_end_one(q, place, word, how, how == ENTRY_DONE);
			ended++;
		}
	}
	return ended;
}

/* ---- the dead ---- */

/* Owners that were asked for lately: many entries are of few. */
struct verdicts {
	uint64_t owner[16];
	bool dead[16];
};

static bool is_dead(struct verdicts *v, uint64_t owner)
{
	size_t i = (owner ^ owner >> 4) % ARRAY_SIZE(v->owner);

	if (v->owner[i] != owner) {
		v->owner[i] = owner;
		v->dead[i] = ident_word_dead(owner);
	}
	return v->dead[i];
}

static bool of_dead(const struct entry *e, uint64_t word, void *verdicts)
{
	return entry_state(word) == ENTRY_TAKEN && is_dead(verdicts, load_relaxed(&e->owner));
}

static int bury_reservation(struct ipck_queue *q)
{
	struct queue_shm *s = q->shm;
	uint64_t next = load_relaxed(&s->next);
	struct entry *e = queue_entry(q, mark_place(next));
	uint64_t word = load_acquire(&e->word);

	if (mark_place(next) == mark_place(load_acquire(&s->tail)) || entry_state(word) != ENTRY_RESERVED ||
	    !ident_word_dead(load_relaxed(&e->owner)))
		return 0;
	/* It may have been committed before its owner died. */
	return cas_acq_rel(&e->word, &word, entry_word(entry_size(word), 0, ENTRY_VOID));
}

int queue_bury(struct ipck_queue *q)
{
	struct queue_shm *s = q->shm;
	struct verdicts verdicts = {.owner = {0}};
	int n = end_those(q, of_dead, &verdicts, ENTRY_RETURNED), buried, passed;

	if (n < 0)
		return n;
	/* Behind one may be the next. */
	do {
		buried = bury_reservation(q);
		passed = queue_pass_over(q);
		n += buried;
	} while (buried > 0 && passed > 0);
	store_relaxed(&s->recovered, load_relaxed(&s->recovered) + (uint64_t)n);
	queue_move_head(q);
	return passed < 0 ? passed : n + passed;
}

/* ---- all at once ---- */

static bool is_returned(const struct entry *e, uint64_t word, void *arg)
{
	(void)e, (void)arg;
	return entry_state(word) == ENTRY_RETURNED;
}

int queue_discard(struct ipck_queue *q)
{
	struct queue_shm *s = q->shm;
	struct queue_note n;
	uint32_t more;
	int rc = end_those(q, is_returned, NULL, ENTRY_DONE);

	if (rc < 0)
		return rc;
	n = queue_note(s);
	n.next = load_acquire(&s->tail);
	more = mark_count(n.next) - mark_count(load_relaxed(&s->next));
	/* Nothing comes any more: it is done again with the same number, or with none. */
	if (more)
		store_relaxed(&s->thrown, more);
	queue_finish(s, &n, more);
	/* next never moves beyond it. */
	store_relaxed(&s->tail_seen, n.next);
	queue_do(q, &n);
	return 0;
}
