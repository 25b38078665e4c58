/* SPDX-License-Identifier: MIT */
/*
 * What the kill sweeps of dicts share: a dict with a seed that is always the same, so that each run has the same
 * keys; one key that the victim changes from an old value to a new one; other keys, of the same shard, that
 * nobody changes; a reader and a writer that go on all the time; and the proof after the victim's death.
 */
#ifndef TESTS_DICT_SCENE_H
#define TESTS_DICT_SCENE_H

#include <ipckit.h>

#include "coll/dict.h"
#include "kill.h"

#define SCENE_LONGEST 80000
#define SCENE_LARGE 16400 /* pages of its own */
#define SCENE_OTHERS 2000
#define SCENE_RANGES 60
#define SCENE_ABSENT (-1)
#define SCENE_SHARD 1

enum {
	SCENE_CLEARS = 1, /* the victim removes all keys */
	SCENE_ALONE = 2,  /* no reader and no writer */
	SCENE_LITTLE = 4, /* 128 KiB */
	SCENE_APART = 8,  /* the writer changes another shard: a reader of this one does not begin again and again */
};

enum scene_peer { READER, WRITER, PEERS };

struct scene_value {
	ssize_t size; /* or SCENE_ABSENT */
	char bytes[SCENE_LONGEST];
};

struct scene {
	struct ipck_dict *dict;
	unsigned flags;
	uint64_t last; /* of the keys that were tried */
	uint64_t key;  /* the victim's */
	struct scene_value old, new;
	uint64_t others[SCENE_OTHERS];
	uint32_t sizes[SCENE_OTHERS];
	uint32_t n_others;
	uint64_t writers, counter;    /* keys of the writer */
	uint64_t tried, acknowledged; /* its n-th change */
	uint64_t added;               /* to the counter */
	uint64_t rounds[PEERS];
	pid_t peers[PEERS];
	uint32_t n_peers;
	uint32_t stop;
	uint32_t told; /* the victim's operation has returned */
	struct kill_range ranges[SCENE_RANGES];
	size_t n_ranges;
};

/* A dict, and what the victim's key has: sizes, or SCENE_ABSENT.  Of the same key are the same values. */
struct scene *scene_make(unsigned flags, ssize_t old, ssize_t new);

/* Puts the old value there, which is done by scene_ready if it was not. */
void scene_set_old(struct scene *s);

/* A key of that shard that was not used yet; line: of an index of 16 slots, negative: whichever. */
uint64_t scene_key(struct scene *s, uint32_t shard, int line);
unsigned scene_line(const struct scene *s, uint64_t key);

/* Another key, with a value of that size, that nobody changes. */
void scene_other(struct scene *s, size_t size);
void scene_other_key(struct scene *s, uint64_t key, size_t size);
void scene_others(struct scene *s, unsigned n, size_t size);

/* All is there: what to watch is chosen, the peers begin. */
struct scene *scene_ready(struct scene *s);

/* A function `name` that makes a scene, and does with it, `s`, what follows. */
#define SCENE_SETUP(name, flags, old, new, ...) \
	static void *name(void) \
	{ \
		struct scene *s = scene_make(flags, old, new); \
\
		__VA_ARGS__; \
		return scene_ready(s); \
	}

const struct kill_range *scene_ranges(void *ctx, size_t *n);

/* In the victim, around its operation. */
void scene_begin(struct scene *s);
void scene_end(struct scene *s);

/* After the victim's death: the peers go on, the old or the new value is there, all else is as it was, all works. */
void scene_prove(void *ctx, const struct kill_point *point);

/* A process that runs fn(s), and must be killed in it. */
void scene_die(struct scene *s, void (*fn)(struct scene *s));

/* Without IPCK_LONG the first `few` only. */
int scene_main(int argc, char **argv, struct kill_sweep *sweeps, size_t n, size_t few);

#endif
