/* SPDX-License-Identifier: MIT */
#include "dict_scene.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dict_proof.h"
#include "filled.h"
#include "kill_beside.h"

#define SEED UINT64_C(0x243f6a8885a308d3)
#define HEAD_BYTES 48
#define PAGES_WATCHED 40
#define ELSEWHERE 2

/* ---- set up ---- */

static struct dict_key key_of(const struct scene *s, const uint64_t *key)
{
	return dict_key(s->dict, key, sizeof(*key));
}

static uint32_t shard_of(const struct scene *s, uint64_t key)
{
	return (uint32_t)(dict_shard(s->dict, key_of(s, &key).hash) - s->dict->slabs.arena);
}

unsigned scene_line(const struct scene *s, uint64_t key)
{
	return (unsigned)index_line(index_shape(INDEX_LOG_MIN, false), slot_tag(key_of(s, &key).hash));
}

uint64_t scene_key(struct scene *s, uint32_t shard, int line)
{
	do
		s->last++;
	while (shard_of(s, s->last) != shard ||
	       (line >= 0 && scene_line(s, s->last) != (unsigned)line));
	return s->last;
}

static void make_value(struct scene_value *v, ssize_t size, uint64_t whose)
{
	kill_check(size <= SCENE_LONGEST);
	v->size = size;
	if (size > 0)
		fill(v->bytes, (size_t)size, whose);
}

struct scene *scene_make(unsigned flags, ssize_t old, ssize_t new)
{
	struct scene *s = kill_shared(sizeof(*s));
	size_t bytes = flags & SCENE_LITTLE ? 1 << 17 : 1 << 20;
	struct dict_shm *shm;

	s->flags = flags;
	kill_check(ipck_dict_create(&s->dict, NULL, IPCK_DICT_OPTS(.max_bytes = bytes)) == 0);
	shm = segment_body(&s->dict->segment);
	shm->seed = s->dict->seed = SEED;
	s->key = scene_key(s, SCENE_SHARD, -1);
	make_value(&s->old, old, 1);
	make_value(&s->new, new, 2);
	return s;
}

void scene_set_old(struct scene *s)
{
	if (s->old.size >= 0)
		kill_check(ipck_dict_set(s->dict, &s->key, 8, s->old.bytes, (size_t)s->old.size) >= 0);
}

void scene_other_key(struct scene *s, uint64_t key, size_t size)
{
	static char bytes[SCENE_LONGEST];

	kill_check(s->n_others < SCENE_OTHERS && size <= sizeof(bytes));
	fill(bytes, size, key);
	kill_check(ipck_dict_set(s->dict, &key, 8, bytes, size) == IPCK_CREATED);
	s->others[s->n_others] = key;
	s->sizes[s->n_others++] = (uint32_t)size;
}

void scene_other(struct scene *s, size_t size)
{
	scene_other_key(s, scene_key(s, SCENE_SHARD, -1), size);
}

void scene_others(struct scene *s, unsigned n, size_t size)
{
	for (unsigned i = 0; i < n; i++)
		scene_other(s, size);
}

static void add_range(struct scene *s, const void *start, size_t size)
{
	kill_check(s->n_ranges < SCENE_RANGES);
	s->ranges[s->n_ranges++] = (struct kill_range){(void *)(uintptr_t)start, size};
}

/* The shard, the pages, and the heads of the last pages that are in use, and of the next. */
static void watch(struct scene *s)
{
	const struct slabs *slabs = &s->dict->slabs;
	const struct slab_arena *shard = &slabs->arena[SCENE_SHARD];
	uint64_t end = MIN(slabs->pages.shm->frontier + 12, slabs->pages.count), place = dict_index(s->dict, shard);
	uint64_t page = end > PAGES_WATCHED ? end - PAGES_WATCHED : 0;

	add_range(s, shard, sizeof(*shard));
	add_range(s, slab_front(slabs, shard), sizeof(struct slab_front));
	add_range(s, slabs->pages.shm, sizeof(*slabs->pages.shm));
	add_range(s, slabs->pages.table, end * sizeof(struct page));
	if (place)
		add_range(s, slabs->pages.body + index_offset(place), index_bytes(place));
	for (; page < end; page++)
		add_range(s, slabs->pages.body + slabs->pages.first_at + page * PAGE_BYTES, HEAD_BYTES);
}

const struct kill_range *scene_ranges(void *ctx, size_t *n)
{
	struct scene *s = ctx;

	*n = s->n_ranges;
	return s->ranges;
}

static bool is_there(struct scene *s)
{
	return ipck_dict_contains(s->dict, &s->key, 8) == 1;
}

struct scene *scene_ready(struct scene *s)
{
	if (!is_there(s))
		scene_set_old(s);
	for (uint32_t i = 0; i < ELSEWHERE; i++)
		scene_other_key(s, scene_key(s, SCENE_SHARD + 1 + i, -1), 30);
	s->writers = scene_key(s, SCENE_SHARD + (s->flags & SCENE_APART ? 2 : 0), -1);
	s->counter = scene_key(s, SCENE_SHARD + 1, -1);
	kill_check(ipck_dict_check(s->dict) == 0);
	watch(s);
	if (!(s->flags & SCENE_ALONE))
		proof_start_peers(s);
	return s;
}

/* ---- the victims ---- */

void scene_begin(struct scene *s)
{
	(void)s;
	kill_begin();
}

void scene_end(struct scene *s)
{
	kill_end();
	store_seq(&s->told, 1);
}

void scene_die(struct scene *s, void (*fn)(struct scene *s))
{
	int status;
	pid_t pid = fork();

	kill_check(pid >= 0);
	if (pid == 0) {
		fn(s);
		_exit(1);
	}
	kill_check(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
}

int scene_main(int argc, char **argv, struct kill_sweep *sweeps, size_t n, size_t few)
{
	return beside_main(argc, argv, sweeps, n, few, scene_ranges);
}
