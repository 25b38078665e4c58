/* SPDX-License-Identifier: MIT */
/*
 * ipc-dict wordcount: a pool of workers, each of which counts a part of the input in memory
 * of its own, and then adds the sums to one dict that all share.
 *
 * An add is one step, but those of a part are many.  So each part has a step of its own in
 * shared memory, by which no part is counted twice, or by half:
 *
 *	TO_DO   nothing was added: a worker that is killed costs nothing, the pool gives the part to another.
 *	ADDING  some was added, and nobody can say how much: after a death here the dict is thrown away and all
 *	        is counted once more.  That is the rare case: adding takes a small part of the time.
 *	ADDED   all was added: after a death here there is nothing left to do.
 */
#include <ipckit.h>

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "dict_items.h"
#include "dict_shell.h"
#include "words_input.h"
#include "words_table.h"

#define PART_MIN ((uint64_t)1 << 16)
#define PART_MAX ((uint64_t)1 << 23)
#define PARTS 8    /* for each worker, so that all end at about the same time */
#define RETRIES 10 /* of a part, and of the whole */

enum step { TO_DO, ADDING, ADDED };

/* Shared. */
struct board {
	atomic_bool unread; /* a file could not be read */
	_Atomic unsigned char step[];
};

/* What the workers inherit when they are forked. */
static struct job {
	struct words_input input;
	uint64_t part; /* bytes of each, the last one may have fewer */
	size_t parts;
	int workers;
	struct ipck_dict *dict;
	struct board *board;
} job;

/* ---- in a worker ---- */

static int add_sums(const struct words *words)
{
	for (const struct word *w = words->place; w < words->place + words->places; w++) {
		int rc = w->text ? ipck_dict_add(job.dict, w->text, w->size, w->count, NULL) : 0;

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int count_part(const void *in, void *out, const void *arg)
{
	static struct words words;
	size_t i;
	int rc;

	(void)out;
	(void)arg;
	memcpy(&i, in, sizeof(i));
	/* Not the first one that has this part. */
	if (atomic_load(&job.board->step[i]) != TO_DO)
		return atomic_load(&job.board->step[i]) == ADDED ? 0 : -EOWNERDEAD;
	words_reset(&words);
	rc = words_input_count(&job.input, i * job.part, (i + 1) * job.part, &words);
	if (rc < 0)
		return rc;
	if (rc > 0)
		atomic_store(&job.board->unread, true);
	atomic_store(&job.board->step[i], ADDING);
	rc = add_sums(&words);
	if (rc == 0)
		atomic_store(&job.board->step[i], ADDED);
	return rc;
}

/* ---- one round ---- */

/* What became of a part: 0, -EOWNERDEAD: all is to be counted again, or TOOL_FAILED after a message. */
static int part_status(size_t i, const struct ipck_status *status)
{
	if (status->outcome == IPCK_FAILED && status->value != -EOWNERDEAD)
		return tool_error("cannot count: %s", ipck_strerror(status->value));
	switch (atomic_load(&job.board->step[i])) {
	case ADDED:
		return 0;
	case ADDING:
		return -EOWNERDEAD;
	default:
		return tool_error("its workers were killed again and again");
	}
}

static int map_parts(struct ipck_pool *pool, size_t *number, struct ipck_status *status)
{
	ssize_t lost;
	int rc = 0;

	for (size_t i = 0; i < job.parts; i++)
		number[i] = i;
	lost = ipck_pool_map(pool, count_part, number, job.parts, sizeof(*number), NULL, 0,
	                     IPCK_MAP_OPTS(.status = status, .retries = RETRIES), IPCK_FOREVER);
	if (lost < 0) {
		const char *reason = ipck_pool_reason(pool);

		return tool_error("pool: %s", reason ? reason : ipck_strerror((int)lost));
	}
	for (size_t i = 0; i < job.parts && rc <= 0; i++) {
		int one = part_status(i, &status[i]);

		rc = one != 0 ? one : rc;
	}
	return rc;
}

static int run_pool(void)
{
	struct ipck_status *status = calloc(job.parts, sizeof(*status));
	size_t *number = calloc(job.parts, sizeof(*number));
	struct ipck_pool *pool = NULL;
	int rc = -ENOMEM;

	if (status && number)
		rc = ipck_pool_create(&pool, IPCK_POOL_OPTS(.workers = job.workers));
	if (rc < 0)
		rc = tool_error("cannot make a pool: %s", ipck_strerror(rc));
	else
		rc = map_parts(pool, number, status);
	ipck_pool_free(pool);
	free(number);
	free(status);
	return rc;
}

/* ---- all ---- */

/* Prints the words with their counts. */
static int print_counts(long top)
{
	struct dict_items items = {0};
	int rc = dict_items_collect(&items, job.dict);
	size_t n = top > 0 && (size_t)top < items.n ? (size_t)top : items.n;

	if (rc == 0 && items.n > 0)
		qsort(items.entry, items.n, sizeof(items.entry[0]), dict_items_by_count);
	for (size_t i = 0; i < n && rc == 0; i++) {
		tool_print("%" PRId64 " ", items.entry[i].count);
		tool_write(items.entry[i].key, items.entry[i].key_size);
		tool_write("\n", 1);
	}
	dict_items_free(&items);
	return rc < 0 ? tool_error("dict: %s", ipck_strerror(rc)) : 0;
}

/* Counts all with a dict of its own: 0, -EOWNERDEAD: in vain, or TOOL_FAILED after a message. */
static int count_and_print(long top)
{
	struct ipck_shm *shm;
	int rc = ipck_shm_create(&shm, NULL, sizeof(*job.board) + job.parts, NULL);

	if (rc < 0)
		return tool_error("cannot make a segment: %s", ipck_strerror(rc));
	job.board = ipck_shm_data(shm);
	rc = ipck_dict_create(&job.dict, NULL, IPCK_DICT_OPTS(.max_bytes = IPCK_DICT_BYTES_MAX));
	if (rc < 0) {
		rc = tool_error("cannot make a dict: %s", ipck_strerror(rc));
		goto close_shm;
	}
	rc = run_pool();
	if (rc == 0)
		rc = print_counts(top);
	if (rc == 0 && atomic_load(&job.board->unread))
		rc = TOOL_FAILED;
	ipck_dict_close(job.dict);
close_shm:
	ipck_shm_close(shm);
	return rc;
}

static void split(long jobs)
{
	uint64_t workers = jobs > 0 ? (uint64_t)jobs : (uint64_t)ipck_cpu_count();

	job.part = job.input.bytes / (PARTS * workers);
	job.part = job.part < PART_MIN ? PART_MIN : job.part > PART_MAX ? PART_MAX : job.part;
	job.parts = (size_t)((job.input.bytes + job.part - 1) / job.part);
	job.workers = (int)(workers < job.parts ? workers : job.parts);
}

int dict_wordcount(int argc, char **argv)
{
	struct dict_options o;
	int opened, rc = 0, status = dict_options_read(&o, FOR_WORDCOUNT, argc, argv);

	if (status != 0 || o.help)
		return status;
	opened = words_input_open(&job.input, o.args);
	split(o.jobs);
	for (int i = 0; job.parts > 0 && i <= RETRIES; i++) {
		rc = count_and_print(o.top);
		if (rc != -EOWNERDEAD)
			break;
	}
	words_input_close(&job.input);
	if (rc < 0)
		rc = tool_error("workers were killed again and again");
	return tool_finish(opened || rc ? TOOL_FAILED : 0);
}
