/* SPDX-License-Identifier: MIT */
/* Runs of pages; the protocol is in pages.h. */
#include "mem/pages.h"

#include <errno.h>

/* Memory of a free run of that many pages goes back to the system. */
#define LONG_RUN 16
/* How many pages more are reserved than are taken. */
#define AHEAD_MIN 16
#define AHEAD_MAX 1024
/* How many runs of a bin are looked at for one that is long enough, as long as there are other ways. */
#define TRIES 8

size_t pages_count(size_t bytes)
{
	return bytes / (PAGE_BYTES + sizeof(struct page));
}

int pages_init(struct pages_shm *s, uint64_t table_at, uint64_t count)
{
	s->count = count;
	s->table_at = table_at;
	s->first_at = ROUND_UP(table_at + count * sizeof(struct page), (uint64_t)PAGE_BYTES);
	return lock_init(&s->lock);
}

int pages_attach(struct pages *p, struct segment *segment, struct pages_shm *s)
{
	uint64_t count = load_relaxed(&s->count), at = load_relaxed(&s->table_at), first = load_relaxed(&s->first_at);

	*p = (struct pages){.segment = segment, .shm = s, .body = segment_body(segment), .bytes = segment->bytes};
	if (at % 8 || first % PAGE_BYTES || count >= PAGES_MAX || at > first || first > p->bytes ||
	    count > (first - at) / sizeof(struct page) || count > (p->bytes - first) / PAGE_BYTES)
		return -EPROTO;
	p->table = (struct page *)(void *)(p->body + at);
	p->count = count;
	p->first_at = first;
	return 0;
}

/* ---- free runs ---- */

static uint64_t free_word(uint64_t n, bool given_back)
{
	return page_word(PAGE_FREE, n) | (given_back ? PAGE_GIVEN_BACK : 0);
}

static unsigned bin_of(uint64_t n)
{
	return 63 - (unsigned)__builtin_clzll(n);
}

static bool is_free_run(const struct pages *p, uint64_t at, uint64_t word)
{
	return page_kind(word) == PAGE_FREE && page_length(word) > 0 && page_length(word) <= p->count - at;
}

static void unlink_run(struct pages *p, struct change *c, uint64_t at)
{
	struct page *e = &p->table[at];
	uint64_t next = change_get(c, &e->link[0]), before = change_get(c, &e->link[1]);

	if (next > 0 && next <= p->count)
		change_set(c, &p->table[next - 1].link[1], before);
	if (before > 0 && before <= p->count)
		change_set(c, &p->table[before - 1].link[0], next);
	else
		change_set(c, &p->shm->bin[bin_of(page_length(change_get(c, &e->word)))], next);
}

static void link_run(struct pages *p, struct change *c, uint64_t at, uint64_t n, bool given_back)
{
	uint64_t *bin = &p->shm->bin[bin_of(n)];
	uint64_t next = change_get(c, bin);
	struct page *e = &p->table[at];

	change_set(c, &e->word, free_word(n, given_back));
	change_set(c, &e->link[0], next);
	change_set(c, &e->link[1], 0);
	if (n > 1)
		change_set(c, &p->table[at + n - 1].word, free_word(n, given_back));
	if (next > 0 && next <= p->count)
		change_set(c, &p->table[next - 1].link[1], at + 1);
	change_set(c, bin, at + 1);
}

/* A free run of at least n pages, or -ENOSPC.  In all bins but the first that it may be in, any one is. */
static int find_run(const struct pages *p, uint64_t n, uint64_t most, uint64_t *at)
{
	for (unsigned b = bin_of(n); b < PAGE_BINS; b++) {
		uint64_t next = load_relaxed(&p->shm->bin[b]);

		for (uint64_t tries = 0; next > 0 && next <= p->count && tries < most; tries++) {
			uint64_t word = load_relaxed(&p->table[next - 1].word);

			if (!is_free_run(p, next - 1, word))
				return -EPROTO;
			if (page_length(word) >= n) {
				*at = next - 1;
				return 0;
			}
			next = load_relaxed(&p->table[next - 1].link[0]);
		}
	}
	return -ENOSPC;
}

/* ---- the lock ---- */

static int acquire(struct pages *p)
{
	int rc = lock_acquire(&p->shm->lock, IPCK_FOREVER);

	if (rc > 0)
		rc = redo_finish(&p->shm->redo, p->body, p->bytes);
	if (rc == -EPROTO)
		lock_release(&p->shm->lock);
	return rc;
}

int pages_settle(struct pages *p)
{
	int rc = acquire(p);

	if (rc >= 0)
		lock_release(&p->shm->lock);
	return MIN(rc, 0);
}

static int reserve(struct pages *p, uint64_t at, uint64_t n)
{
	return segment_reserve(p->segment, p->first_at + at * PAGE_BYTES, n * PAGE_BYTES);
}

/* ---- taking ---- */

static int take_run(struct pages *p, struct change *c, uint64_t at, uint64_t n)
{
	uint64_t word = load_relaxed(&p->table[at].word), length = page_length(word);
	bool given_back = word & PAGE_GIVEN_BACK;
	int rc = given_back ? reserve(p, at, n) : 0;

	if (rc < 0)
		return rc;
	unlink_run(p, c, at);
	if (length > n)
		link_run(p, c, at + n, length - n, given_back);
	return 0;
}

/* The same for the first time: with their entries. */
static int reserve_new(struct pages *p, uint64_t at, uint64_t n)
{
	uint64_t table_at = (uint64_t)((char *)p->table - p->body);
	int rc = segment_reserve(p->segment, table_at + at * sizeof(struct page), n * sizeof(struct page));

	return rc == 0 ? reserve(p, at, n) : rc;
}

/* Memory up to `end`, and some more if there is, so that few calls are made for it. */
static int reserve_ahead(struct pages *p, uint64_t end)
{
	uint64_t from = MAX(load_relaxed(&p->shm->reserved), load_relaxed(&p->shm->frontier));
	uint64_t more = MIN(MAX(end + MIN(end / 8, (uint64_t)AHEAD_MAX), end + AHEAD_MIN), p->count);
	int rc;

	if (end <= from)
		return 0;
	rc = reserve_new(p, from, more - from);
	if (rc == -ENOSPC && more > end) {
		more = end;
		rc = reserve_new(p, from, more - from);
	}
	if (rc == 0)
		store_release(&p->shm->reserved, more);
	return rc;
}

static int take_frontier(struct pages *p, struct change *c, uint64_t n, uint64_t *at)
{
	int rc;

	*at = load_relaxed(&p->shm->frontier);
	if (*at > p->count || n > p->count - *at)
		return -ENOSPC;
	rc = reserve_ahead(p, *at + n);
	if (rc == 0)
		change_set(c, &p->shm->frontier, *at + n);
	return rc;
}

static int take(struct pages *p, uint64_t n, uint64_t *spare)
{
	struct pages_shm *s = p->shm;
	struct change c;
	uint64_t at;
	int rc = find_run(p, n, TRIES, &at);

	change_begin(&c, p->body);
	if (rc == 0)
		rc = take_run(p, &c, at, n);
	if (rc == -ENOSPC)
		rc = take_frontier(p, &c, n, &at);
	/* The last way may be long, and is bounded by the number of runs. */
	if (rc == -ENOSPC && find_run(p, n, p->count, &at) == 0)
		rc = take_run(p, &c, at, n);
	if (rc < 0)
		return rc;
	if (n > 1)
		change_set(&c, &p->table[at + n - 1].word, page_word(PAGE_PART, n - 1));
	change_set(&c, &p->table[at].word, page_word(PAGE_SPARE, n));
	change_set(&c, &s->used, load_relaxed(&s->used) + n);
	change_set(&c, spare, make_spare(at, n));
	redo_do(&s->redo, &c);
	return 0;
}

int pages_take(struct pages *p, uint64_t n, uint64_t *spare)
{
	int rc;

	if (n == 0 || n > p->count)
		return -ENOSPC;
	rc = acquire(p);
	if (rc < 0)
		return rc;
	rc = take(p, n, spare);
	lock_release(&p->shm->lock);
	return rc;
}

/* ---- giving back ---- */

/* What is free before and behind a run becomes part of it. */
static bool join_neighbours(struct pages *p, struct change *c, uint64_t *at, uint64_t *n)
{
	uint64_t end = *at + *n, frontier = load_relaxed(&p->shm->frontier), word;
	bool given_back = false;

	if (end < frontier && end < p->count) {
		word = load_relaxed(&p->table[end].word);
		if (is_free_run(p, end, word)) {
			unlink_run(p, c, end);
			*n += page_length(word);
			given_back |= (word & PAGE_GIVEN_BACK) != 0;
		}
	}
	if (*at > 0) {
		uint64_t length;

		word = load_relaxed(&p->table[*at - 1].word);
		length = page_length(word);
		/* Both its ends say the same. */
		if (page_kind(word) == PAGE_FREE && length > 0 && length <= *at &&
		    load_relaxed(&p->table[*at - length].word) == word) {
			*at -= length;
			unlink_run(p, c, *at);
			*n += length;
			given_back |= (word & PAGE_GIVEN_BACK) != 0;
		}
	}
	return given_back;
}

static void give(struct pages *p, uint64_t at, uint64_t n, uint64_t *spare)
{
	struct pages_shm *s = p->shm;
	uint64_t own = at, own_pages = n;
	struct change c;
	bool given_back, gives = own_pages >= LONG_RUN && !p->keeps;

	change_begin(&c, p->body);
	given_back = join_neighbours(p, &c, &at, &n) || gives;
	if (at + n != load_relaxed(&s->frontier)) {
		link_run(p, &c, at, n, given_back);
	} else {
		change_set(&c, &s->frontier, at);
		if (given_back)
			store_relaxed(&s->reserved, MIN(load_relaxed(&s->reserved), at));
	}
	change_set(&c, &s->used, load_relaxed(&s->used) - own_pages);
	change_set(&c, spare, 0);
	redo_do(&s->redo, &c);
	/* Under the lock: nobody has it yet. */
	if (gives)
		segment_release(p->segment, p->first_at + own * PAGE_BYTES, own_pages * PAGE_BYTES);
}

int pages_give(struct pages *p, uint64_t *spare)
{
	uint64_t at, n;
	int rc = acquire(p);

	if (rc < 0)
		return rc;
	at = spare_first(load_relaxed(spare));
	n = spare_pages(load_relaxed(spare));
	if (n > 0 && at < p->count && n <= p->count - at)
		give(p, at, n, spare);
	else if (n > 0)
		rc = -EPROTO;
	lock_release(&p->shm->lock);
	return MIN(rc, 0);
}

/* ---- check ---- */

int64_t pages_check(struct pages *p)
{
	uint64_t at = 0, frontier, used = 0, n = 0;
	int rc = acquire(p);

	if (rc < 0)
		return rc;
	frontier = load_relaxed(&p->shm->frontier);
	for (; at < frontier && frontier <= p->count; at += n) {
		uint64_t word = load_relaxed(&p->table[at].word);

		n = page_length(word);
		if (n == 0 || n > frontier - at || page_kind(word) == PAGE_UNUSED || page_kind(word) == PAGE_PART)
			break;
		used += page_kind(word) == PAGE_FREE ? 0 : n;
	}
	rc = at == frontier && used == load_relaxed(&p->shm->used) ? 0 : -EPROTO;
	lock_release(&p->shm->lock);
	return rc < 0 ? rc : (int64_t)used;
}
