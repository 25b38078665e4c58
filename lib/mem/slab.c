/* SPDX-License-Identifier: MIT */
/* Blocks of pages, by size classes; the protocol is in slab.h. */
#include "mem/slab.h"

#include <errno.h>

#define SLAB_PAGES_MAX 16

/* From this class on (128 bytes) an arena keeps no slab that is empty. */
#define CLASS_GIVEN_BACK 7

/* ---- arenas ---- */

int slab_init(void *at, size_t n)
{
	struct slab_arena *arena = at;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = lock_init(&arena[i].lock);
	return rc;
}

int slab_attach(struct slabs *s, uint64_t at, uint64_t n)
{
	if (at % FALSE_SHARING || at > s->pages.bytes || n == 0 || n > UINT16_MAX ||
	    slab_bytes(n) > s->pages.bytes - at)
		return -EPROTO;
	s->arena = (struct slab_arena *)(void *)(s->pages.body + at);
	s->front = (struct slab_front *)(void *)&s->arena[n];
	s->arenas = (uint32_t)n;
	return 0;
}

/* ---- slabs ---- */

static unsigned class_of(uint64_t word)
{
	return (unsigned)(word >> 32) & 0xff;
}

static uint32_t arena_of(uint64_t word)
{
	return (uint32_t)(word >> 40) & 0xffff;
}

static uint32_t number_of(const struct slabs *s, const struct slab_arena *a)
{
	return (uint32_t)(a - s->arena);
}

/* So many that little is left over. */
static uint32_t slab_pages(unsigned class)
{
	uint32_t size = slab_class_size(class), n = (size + PAGE_BYTES - 1) / PAGE_BYTES;

	while (n < SLAB_PAGES_MAX && n * PAGE_BYTES % size * 16 > n * PAGE_BYTES)
		n++;
	return n;
}

static uint32_t slab_blocks(unsigned class)
{
	return slab_pages(class) * PAGE_BYTES / slab_class_size(class);
}

static uint64_t slab_at(const struct slabs *s, uint64_t page)
{
	return s->pages.first_at + page * PAGE_BYTES;
}

/* The first page of the run that has a block there; its entry, or NULL. */
static struct page *find_run(const struct slabs *s, uint64_t block, uint64_t *page)
{
	uint64_t word;

	if (block % 16 || !pages_hold(&s->pages, block, 16))
		return NULL;
	*page = (block - s->pages.first_at) / PAGE_BYTES;
	word = load_relaxed(&s->pages.table[*page].word);
	if (page_kind(word) == PAGE_PART) {
		if (page_length(word) > *page)
			return NULL;
		*page -= page_length(word);
	}
	return &s->pages.table[*page];
}

static bool is_block(const struct slabs *s, uint64_t word, uint64_t page, uint64_t block)
{
	if (page_kind(word) == PAGE_LARGE)
		return block == slab_at(s, page) && page_length(word) <= s->pages.count - page;
	return page_kind(word) == PAGE_SLAB && class_of(word) < SLAB_CLASSES &&
	       slab_pages(class_of(word)) <= s->pages.count - page &&
	       (block - slab_at(s, page)) % slab_class_size(class_of(word)) == 0 &&
	       (block - slab_at(s, page)) / slab_class_size(class_of(word)) < slab_blocks(class_of(word));
}

static bool is_slab(const struct slabs *s, uint64_t word, uint64_t page, unsigned class)
{
	return page_kind(word) == PAGE_SLAB && class_of(word) == class && slab_pages(class) <= s->pages.count - page;
}

size_t slab_size(const struct slabs *s, uint64_t block, uint32_t *arena)
{
	uint64_t page, word;
	const struct page *e = find_run(s, block, &page);

	if (!e)
		return 0;
	word = load_relaxed(&e->word);
	if (!is_block(s, word, page, block) || arena_of(word) >= s->arenas)
		return 0;
	*arena = arena_of(word);
	return page_kind(word) == PAGE_LARGE ? page_length(word) * PAGE_BYTES : slab_class_size(class_of(word));
}

/* ---- the list of a class ---- */

static uint64_t make_list(uint64_t next, uint64_t before)
{
	return next | before << 32;
}

static uint64_t list_next(uint64_t list)
{
	return (uint32_t)list;
}

static uint64_t list_before(uint64_t list)
{
	return list >> 32;
}

static struct page *listed(const struct slabs *s, uint64_t number)
{
	return number > 0 && number <= s->pages.count ? &s->pages.table[number - 1] : NULL;
}

static void link_slab(struct slabs *s, struct slab_arena *a, struct change *c, uint64_t page, unsigned class)
{
	uint64_t next = change_get(c, &a->partial[class]);
	struct page *behind = listed(s, next);

	change_set(c, &s->pages.table[page].link[SLAB_LIST], make_list(next, 0));
	if (behind)
		change_set(c, &behind->link[SLAB_LIST],
		           make_list(list_next(change_get(c, &behind->link[SLAB_LIST])), page + 1));
	change_set(c, &a->partial[class], page + 1);
}

static void unlink_slab(struct slabs *s, struct slab_arena *a, struct change *c, uint64_t page, unsigned class)
{
	uint64_t list = change_get(c, &s->pages.table[page].link[SLAB_LIST]);
	struct page *behind = listed(s, list_next(list)), *ahead = listed(s, list_before(list));

	if (behind)
		change_set(c, &behind->link[SLAB_LIST],
		           make_list(list_next(change_get(c, &behind->link[SLAB_LIST])), list_before(list)));
	if (ahead)
		change_set(c, &ahead->link[SLAB_LIST],
		           make_list(list_next(list), list_before(change_get(c, &ahead->link[SLAB_LIST]))));
	else
		change_set(c, &a->partial[class], list_next(list));
}

/* ---- the lock ---- */

/* A run that nobody has: a dead holder's, or an empty slab's. */
static void give_spare(struct slabs *s, struct slab_arena *a)
{
	if (unlikely(load_relaxed(&a->spare)))
		(void)pages_give(&s->pages, &a->spare);
}

/* A block that was taken for a change that is never done. */
static void undo(struct slabs *s, struct slab_arena *a)
{
	uint64_t block = load_acquire(&a->undo_block), page;

	if (likely(block == 0))
		return;
	if (find_run(s, block, &page))
		store_release((uint64_t *)(void *)(s->pages.body + block), load_relaxed(&a->undo_link));
	store_release(&a->undo_block, 0);
}

int slab_acquire(struct slabs *s, struct slab_arena *a)
{
	int rc = lock_acquire(&a->lock, IPCK_FOREVER), repaired;

	if (likely(rc <= 0))
		return rc;
	/* `spare` may be in the middle of a change of the pages. */
	repaired = pages_settle(&s->pages);
	if (repaired == 0)
		repaired = redo_finish(&a->redo, s->pages.body, s->pages.bytes);
	if (repaired == 0)
		return rc;
	lock_release(&a->lock);
	return repaired;
}

void slab_tidy(struct slabs *s, struct slab_arena *a)
{
	undo(s, a);
	give_spare(s, a);
}

int slab_lock(struct slabs *s, struct slab_arena *a)
{
	int rc = slab_acquire(s, a);

	if (unlikely(rc > 0))
		slab_tidy(s, a);
	return rc;
}

void slab_unlock(struct slabs *s, struct slab_arena *a)
{
	slab_tidy(s, a);
	lock_release(&a->lock);
}

/* ---- taking ---- */

static int new_slab(struct slabs *s, struct slab_arena *a, unsigned class)
{
	uint32_t n = slab_pages(class);
	struct change c;
	struct page *e;
	uint64_t page;
	int rc = pages_take(&s->pages, n, &a->spare);

	if (rc < 0)
		return rc;
	page = spare_first(load_relaxed(&a->spare));
	e = &s->pages.table[page];
	/* Nobody reads these of a run that is not in use. */
	for (uint32_t i = 1; i < n; i++)
		store_relaxed(&s->pages.table[page + i].word, page_word(PAGE_PART, i));
	change_begin(&c, s->pages.body);
	change_set(&c, &e->word,
	           page_word(PAGE_SLAB, n) | (uint64_t)class << 32 | (uint64_t)number_of(s, a) << 40);
	change_set(&c, &e->link[SLAB_FREE], 0);
	change_set(&c, &e->link[SLAB_USED], 0);
	link_slab(s, a, &c, page, class);
	change_set(&c, &a->spare, 0);
	redo_do(&a->redo, &c);
	return 0;
}

int slab_prepare(struct slabs *s, struct slab_arena *a, size_t size)
{
	const struct page *e;
	uint64_t number;
	unsigned class;

	give_spare(s, a);
	if (size > SLAB_LARGEST)
		return pages_take(&s->pages, (size + PAGE_BYTES - 1) / PAGE_BYTES, &a->spare);
	class = slab_class(size);
	number = load_relaxed(&a->partial[class]);
	if (unlikely(number == 0))
		return new_slab(s, a, class);
	e = listed(s, number);
	return e && is_slab(s, load_relaxed(&e->word), number - 1, class) ? 0 : -EPROTO;
}

static void count(struct slab_arena *a, struct change *c, int64_t blocks, int64_t bytes)
{
	change_set(c, &a->blocks, change_get(c, &a->blocks) + (uint64_t)blocks);
	change_set(c, &a->bytes, change_get(c, &a->bytes) + (uint64_t)bytes);
}

static uint64_t take_large(struct slabs *s, struct slab_arena *a, struct change *c)
{
	uint64_t spare = change_get(c, &a->spare), page = spare_first(spare), n = spare_pages(spare);

	change_set(c, &s->pages.table[page].word, page_word(PAGE_LARGE, n) | (uint64_t)number_of(s, a) << 40);
	change_set(c, &a->spare, 0);
	count(a, c, 1, (int64_t)(n * PAGE_BYTES));
	return slab_at(s, page);
}

/* From the free blocks of a slab, or one that never was. */
static uint64_t take_block(struct slabs *s, struct slab_arena *a, struct change *c, uint64_t page, unsigned class,
                           uint64_t *used)
{
	struct page *e = &s->pages.table[page];
	uint64_t block = change_get(c, &e->link[SLAB_FREE]), end = slab_at(s, page + slab_pages(class)), ever;

	*used = change_get(c, &e->link[SLAB_USED]);
	/* A damaged one ends the list. */
	if (block % 16 == 0 && block >= slab_at(s, page) && block <= end - slab_class_size(class)) {
		uint64_t link = change_get(c, (uint64_t *)(void *)(s->pages.body + block));

		store_relaxed(&a->undo_link, link);
		store_release(&a->undo_block, block);
		change_set(c, &a->undo_block, 0);
		change_set(c, &e->link[SLAB_FREE], link);
		*used += 1;
		return block;
	}
	ever = MIN(*used >> 32, (uint64_t)slab_blocks(class) - 1);
	*used += (UINT64_C(1) << 32) + 1;
	return slab_at(s, page) + ever * slab_class_size(class);
}

uint64_t slab_take(struct slabs *s, struct slab_arena *a, struct change *c, size_t size)
{
	unsigned class;
	uint64_t page, block, used;

	if (unlikely(size > SLAB_LARGEST))
		return take_large(s, a, c);
	class = slab_class(size);
	page = change_get(c, &a->partial[class]) - 1;
	block = take_block(s, a, c, page, class, &used);
	change_set(c, &s->pages.table[page].link[SLAB_USED], used);
	if ((uint32_t)used >= slab_blocks(class))
		unlink_slab(s, a, c, page, class);
	count(a, c, 1, slab_class_size(class));
	return block;
}

/* ---- freeing ---- */

static void make_spare_of(struct slabs *s, struct slab_arena *a, struct change *c, uint64_t page, uint64_t n)
{
	change_set(c, &s->pages.table[page].word, page_word(PAGE_SPARE, n));
	change_set(c, &a->spare, make_spare(page, n));
}

static void free_block(struct slabs *s, struct slab_arena *a, struct change *c, uint64_t page, uint64_t block)
{
	struct page *e = &s->pages.table[page];
	unsigned class = class_of(load_relaxed(&e->word));
	uint64_t used = change_get(c, &e->link[SLAB_USED]) - 1, list;

	change_set(c, (uint64_t *)(void *)(s->pages.body + block), change_get(c, &e->link[SLAB_FREE]));
	change_set(c, &e->link[SLAB_FREE], block);
	change_set(c, &e->link[SLAB_USED], used);
	if ((uint32_t)used + 1 == slab_blocks(class))
		link_slab(s, a, c, page, class);
	count(a, c, -1, -(int64_t)slab_class_size(class));
	list = change_get(c, &e->link[SLAB_LIST]);
	/* Empty.  Who takes and frees small ones in turn does not go to the pages each time. */
	if ((uint32_t)used == 0 && (class >= CLASS_GIVEN_BACK || list_next(list) || list_before(list)) &&
	    change_get(c, &a->spare) == 0) {
		unlink_slab(s, a, c, page, class);
		make_spare_of(s, a, c, page, slab_pages(class));
	}
}

int slab_free(struct slabs *s, struct slab_arena *a, struct change *c, uint64_t block)
{
	uint64_t page, word;
	struct page *e = find_run(s, block, &page);

	if (!e)
		return -EPROTO;
	word = change_get(c, &e->word);
	if (!is_block(s, word, page, block) || arena_of(word) != number_of(s, a) ||
	    (page_kind(word) == PAGE_SLAB && (uint32_t)change_get(c, &e->link[SLAB_USED]) == 0))
		return -EPROTO;
	slab_freed(s, a, c);
	if (page_kind(word) == PAGE_SLAB) {
		free_block(s, a, c, page, block);
		return 0;
	}
	if (change_get(c, &a->spare))
		return -EPROTO;
	make_spare_of(s, a, c, page, page_length(word));
	count(a, c, -1, -(int64_t)(page_length(word) * PAGE_BYTES));
	return 0;
}

/* ---- check ---- */

/* A slab's free blocks: each in it, and as many as are not handed out. */
static int check_slab(const struct slabs *s, uint64_t page, unsigned class)
{
	const struct page *e = &s->pages.table[page];
	uint64_t word = e->word, used = (uint32_t)e->link[SLAB_USED], ever = e->link[SLAB_USED] >> 32, n = 0;

	if (!is_slab(s, word, page, class) || page_length(word) != slab_pages(class) || ever > slab_blocks(class))
		return -EPROTO;
	for (uint64_t b = e->link[SLAB_FREE]; b; b = *(uint64_t *)(void *)(s->pages.body + b))
		if (!is_block(s, word, page, b) || ++n > ever)
			return -EPROTO;
	return used + n == ever && used < slab_blocks(class) ? 0 : -EPROTO;
}

int slab_check(struct slabs *s, struct slab_arena *a)
{
	if (load_relaxed(&a->redo.count) || load_relaxed(&a->spare))
		return -EPROTO;
	for (unsigned class = 0; class < SLAB_CLASSES; class++) {
		uint64_t before = 0, n = 0;

		for (uint64_t at = a->partial[class]; at; n++) {
			const struct page *e = listed(s, at);

			if (!e || n > s->pages.count || list_before(e->link[SLAB_LIST]) != before ||
			    check_slab(s, at - 1, class) < 0)
				return -EPROTO;
			before = at;
			at = list_next(e->link[SLAB_LIST]);
		}
	}
	return 0;
}
