/* SPDX-License-Identifier: MIT */
/* What is proven of a dict when the victim is dead, and who goes on beside it. */
#include "dict_proof.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "filled.h"
#include "kill_beside.h"

#define OTHERS_READ 12 /* in each round */
#define PAUSE_US 60
#define CYCLE 6 /* of the writer: the last of it is a delete */

static char buffer[SCENE_LONGEST];

/* ---- the values that are there ---- */

static bool is_value(ssize_t n, const char *bytes, const struct scene_value *v)
{
	if (n < 0 || v->size < 0)
		return n == -ENOENT && v->size == SCENE_ABSENT;
	return n == v->size && memcmp(bytes, v->bytes, (size_t)n) == 0;
}

static ssize_t get(struct scene *s, uint64_t key)
{
	return ipck_dict_get(s->dict, &key, 8, buffer, sizeof(buffer), NULL);
}

void proof_look(struct scene *s)
{
	bool told = load_seq(&s->told);
	ssize_t n = get(s, s->key);

	kill_check(is_value(n, buffer, &s->new) || (!told && is_value(n, buffer, &s->old)));
}

static void look_at_other(struct scene *s, uint32_t i)
{
	ssize_t n = get(s, s->others[i]);

	if (n == -ENOENT && s->flags & SCENE_CLEARS)
		return;
	kill_check(n == (ssize_t)s->sizes[i] && is_filled(buffer, (size_t)n, s->others[i]));
}

static void look_at_all(struct scene *s)
{
	struct ipck_dict_iter *iter;
	struct ipck_dict_item item;
	uint32_t others = 0;
	int rc;

	kill_check(ipck_dict_iterate(s->dict, &iter) == 0);
	while ((rc = ipck_dict_next(iter, &item)) == 1) {
		uint64_t key;

		kill_check(item.key_size == 8);
		memcpy(&key, item.key, 8);
		if (key == s->key)
			kill_check(is_value((ssize_t)item.value_size, item.value, &s->old) ||
			           is_value((ssize_t)item.value_size, item.value, &s->new));
		else if (key != s->writers && key != s->counter) {
			kill_check(is_filled(item.value, item.value_size, key));
			others++;
		}
	}
	kill_check(rc == 0);
	kill_check(others == s->n_others || (others < s->n_others && s->flags & SCENE_CLEARS));
	ipck_dict_iter_free(iter);
}

static bool goes_on(const struct scene *s, struct ipck_deadline end)
{
	kill_check(deadline_check(end, clock_now()) == 0);
	return !load_seq(&s->stop);
}

/* ---- the writer ---- */

static size_t nth_size(uint64_t n)
{
	static const size_t sizes[CYCLE] = {8, 8, 40, 40, 300};

	return sizes[n % CYCLE];
}

static bool nth_deletes(uint64_t n)
{
	return n % CYCLE == CYCLE - 1;
}

static void change(struct scene *s, uint64_t n)
{
	int rc;

	store_seq(&s->tried, n);
	if (nth_deletes(n)) {
		rc = ipck_dict_delete(s->dict, &s->writers, 8);
		kill_check(rc == 0 || (rc == -ENOENT && s->flags & (SCENE_CLEARS | SCENE_LITTLE)));
	} else {
		fill(buffer, nth_size(n), n);
		rc = ipck_dict_set(s->dict, &s->writers, 8, buffer, nth_size(n));
		kill_check(rc >= 0 || (rc == -ENOSPC && s->flags & SCENE_LITTLE));
	}
	store_seq(&s->acknowledged, n);
}

static void write_all(void *ctx, unsigned i)
{
	struct scene *s = ctx;
	struct ipck_deadline end = beside_far();

	while (goes_on(s, end)) {
		int64_t sum;

		change(s, s->acknowledged + 1);
		if (ipck_dict_add(s->dict, &s->counter, 8, 1, &sum) >= 0)
			s->added++;
		else
			kill_check(s->flags & SCENE_LITTLE);
		kill_check(s->flags & SCENE_CLEARS || sum == (int64_t)s->added);
		if (s->rounds[i] % 4 == 0)
			look_at_all(s);
		add_seq(&s->rounds[i], 1);
		usleep(PAUSE_US);
	}
}

/* It is one that was there at some moment of the get. */
static void look_at_writers(struct scene *s)
{
	uint64_t from = load_seq(&s->acknowledged), to;
	ssize_t size = get(s, s->writers);
	bool found = false;

	to = load_seq(&s->tried);
	for (uint64_t n = from; n <= to; n++) {
		if (size == -ENOENT)
			found |= n == 0 || nth_deletes(n);
		else
			found |= !nth_deletes(n) && size == (ssize_t)nth_size(n) && is_filled(buffer, (size_t)size, n);
	}
	kill_check(found || s->flags & (SCENE_CLEARS | SCENE_LITTLE));
}

/* ---- the reader: without the lock, so that it sees all that the victim does under it ---- */

static void read_all(void *ctx, unsigned i)
{
	struct scene *s = ctx;
	struct ipck_deadline end = beside_far();

	while (goes_on(s, end)) {
		proof_look(s);
		for (uint32_t other = 0; other < MIN(s->n_others, OTHERS_READ); other++)
			look_at_other(s, other);
		look_at_writers(s);
		add_seq(&s->rounds[i], 1);
		usleep(PAUSE_US);
	}
}

/* ---- peers ---- */

void proof_start_peers(struct scene *s)
{
	static void (*const roles[PEERS])(void *ctx, unsigned i) = {read_all, write_all};

	for (unsigned i = 0; i < PEERS; i++)
		s->peers[s->n_peers++] = beside_start(roles[i], s, i);
	for (unsigned i = 0; i < PEERS; i++)
		KILL_UNTIL(load_seq(&s->rounds[i]) > 0);
}

/* They go on after the death, and end. */
static void end_peers(struct scene *s)
{
	uint64_t seen[PEERS];
	int status;

	for (unsigned i = 0; i < s->n_peers; i++)
		seen[i] = load_seq(&s->rounds[i]);
	for (unsigned i = 0; i < s->n_peers; i++)
		KILL_UNTIL(load_seq(&s->rounds[i]) > seen[i] + 1 || beside_is_dead(s->peers[i]));
	store_seq(&s->stop, 1);
	for (unsigned i = 0; i < s->n_peers; i++)
		kill_check(waitpid(s->peers[i], &status, 0) == s->peers[i] && status == 0);
	look_at_writers(s);
}

/* ---- pages ---- */

void proof_pages(const struct slabs *s)
{
	const struct pages *p = &s->pages;
	uint64_t blocks = 0, bytes = 0, of_arenas = 0, bytes_of_arenas = 0;

	for (uint64_t at = 0, n; at < p->shm->frontier; at += n) {
		uint64_t word = p->table[at].word;

		n = page_length(word);
		kill_check(n > 0 && (page_kind(word) == PAGE_FREE || page_kind(word) == PAGE_SLAB ||
		                     page_kind(word) == PAGE_LARGE));
		if (page_kind(word) == PAGE_LARGE) {
			blocks++;
			bytes += n * PAGE_BYTES;
		} else if (page_kind(word) == PAGE_SLAB) {
			uint64_t used = (uint32_t)p->table[at].link[SLAB_USED];

			blocks += used;
			bytes += used * slab_class_size((unsigned)(word >> 32) & 0xff);
		}
	}
	for (uint32_t i = 0; i < s->arenas; i++) {
		of_arenas += s->arena[i].blocks;
		bytes_of_arenas += s->arena[i].bytes;
		kill_check(s->arena[i].spare == 0 && s->arena[i].undo_block == 0);
	}
	kill_check(blocks == of_arenas && bytes == bytes_of_arenas);
}

/* ---- all operations ---- */

static int append(const void **value, size_t *size, void *arg)
{
	kill_check(*value && *size == 24);
	memcpy(arg, *value, *size);
	fill((char *)arg + 24, 16, 7);
	*value = arg;
	*size = 40;
	return IPCK_DICT_SET;
}

static void use_values(struct ipck_dict *d, const uint64_t *key)
{
	char one[24], other[24], longer[40];

	fill(one, 24, 5);
	fill(other, 24, 6);
	kill_check(ipck_dict_insert(d, key, 8, one, 24) == 0);
	kill_check(ipck_dict_insert(d, key, 8, other, 24) == -EEXIST);
	kill_check(ipck_dict_set(d, key, 8, other, 24) == 0);
	kill_check(ipck_dict_replace(d, key, 8, one, 24) == 0);
	kill_check(ipck_dict_swap(d, key, 8, other, 24, other, 24) == -ESTALE);
	kill_check(ipck_dict_swap(d, key, 8, one, 24, other, 24) == 0);
	kill_check(ipck_dict_update(d, key, 8, append, longer) == IPCK_DICT_SET);
	kill_check(ipck_dict_contains(d, key, 8) == 1);
	kill_check(ipck_dict_pop(d, key, 8, buffer, 39, NULL) == -EMSGSIZE);
	kill_check(ipck_dict_pop(d, key, 8, buffer, 40, NULL) == 40 && memcmp(buffer, other, 24) == 0);
	kill_check(ipck_dict_contains(d, key, 8) == 0);
	kill_check(ipck_dict_replace(d, key, 8, one, 24) == -ENOENT);
}

static void use(struct ipck_dict *d, const uint64_t *key)
{
	int64_t sum;

	use_values(d, key);
	kill_check(ipck_dict_add(d, key, 8, 5, &sum) == IPCK_CREATED && sum == 5);
	kill_check(ipck_dict_add(d, key, 8, -7, &sum) == 0 && sum == -2);
	fill(buffer, SCENE_LARGE, 8);
	kill_check(ipck_dict_set(d, key, 8, buffer, SCENE_LARGE) == 0);
	memset(buffer, 0, SCENE_LARGE);
	kill_check(ipck_dict_get(d, key, 8, buffer, SCENE_LARGE, NULL) == SCENE_LARGE);
	kill_check(is_filled(buffer, SCENE_LARGE, 8));
	kill_check(ipck_dict_set(d, key, 8, buffer, 8) == 0);
	kill_check(ipck_dict_delete(d, key, 8) == 0 && ipck_dict_delete(d, key, 8) == -ENOENT);
}

/* ---- the proof ---- */

static void is_whole(struct scene *s)
{
	kill_check(ipck_dict_check(s->dict) == 0);
	proof_pages(&s->dict->slabs);
}

static void check_length(struct scene *s)
{
	ssize_t n = ipck_dict_contains(s->dict, &s->key, 8) + ipck_dict_contains(s->dict, &s->writers, 8) +
	            ipck_dict_contains(s->dict, &s->counter, 8);

	for (uint32_t i = 0; i < s->n_others; i++)
		n += ipck_dict_contains(s->dict, &s->others[i], 8);
	kill_check(ipck_dict_length(s->dict) == n);
}

/* All is given back, but for a slab of each class of small blocks in each shard. */
static void check_cleared(struct scene *s)
{
	struct ipck_dict_stats stats = IPCK_DICT_STATS_INIT;

	kill_check(ipck_dict_clear(s->dict) == 0);
	is_whole(s);
	kill_check(ipck_dict_stat(s->dict, &stats) == 0);
	kill_check(stats.keys == 0 && stats.bytes == 0);
	kill_check(stats.page_bytes <= stats.shards * 7 * PAGE_BYTES);
}

void scene_prove(void *ctx, const struct kill_point *point)
{
	struct scene *s = ctx;

	kill_check(point->kind != KILL_NONE || s->told);
	end_peers(s);
	proof_look(s);
	for (uint32_t i = 0; i < s->n_others; i++)
		look_at_other(s, i);
	look_at_all(s);
	is_whole(s);
	check_length(s);
	if (s->flags & SCENE_LITTLE)
		kill_check(ipck_dict_clear(s->dict) == 0);
	if (s->key)
		(void)ipck_dict_delete(s->dict, &s->key, 8);
	use(s->dict, &s->key);
	use(s->dict, &(uint64_t){scene_key(s, SCENE_SHARD, -1)});
	is_whole(s);
	check_cleared(s);
	ipck_dict_close(s->dict);
}
