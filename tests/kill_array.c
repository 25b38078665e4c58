/* SPDX-License-Identifier: MIT */
/* Arrays: who is killed in the middle of a change leaves the old record or the new one, and all others as they were. */
#include "coll/array.h"

#include "kill.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define RECORDS 4

/* Longer than a word: all of its words are the same. */
struct record {
	uint64_t word[5];
};

static struct ipck_array *array;

static struct record record_of(uint64_t value)
{
	return (struct record){{value, value, value, value, value}};
}

static bool is_record(const struct record *r, uint64_t value)
{
	struct record other = record_of(value);

	return memcmp(r, &other, sizeof(other)) == 0;
}

/* The words and the shadow, and the records. */
static const struct kill_range *watch(void *ctx, size_t *n)
{
	static struct kill_range ranges[2];
	const struct ipck_array *a = ctx;

	ranges[0] = (struct kill_range){a->shm, (size_t)(a->shadow - (char *)a->shm) + sizeof(struct record)};
	ranges[1] = (struct kill_range){a->records, RECORDS * sizeof(struct record)};
	*n = 2;
	return ranges;
}

static void *setup(void)
{
	kill_check(ipck_array_create(&array, NULL, sizeof(struct record), RECORDS, IPCK_ARRAY_OPTS(.count = 2)) == 0);
	for (size_t i = 0; i < 2; i++) {
		struct record r = record_of(i + 1);

		kill_check(ipck_array_set(array, i, &r) == 0);
	}
	return array;
}

/* One of the two, whole; all other records, and all calls, are as they should be. */
static void proves(const struct kill_point *point, size_t changed, uint64_t old, uint64_t new, size_t length)
{
	size_t there = ipck_array_length(array);
	struct record r;

	kill_check(there == length || (there == length - 1 && point->kind != KILL_NONE));
	for (size_t i = 0; i < there; i++) {
		kill_check(ipck_array_get(array, i, &r) == 0);
		if (i == changed)
			kill_check(is_record(&r, new) || (point->kind != KILL_NONE && is_record(&r, old)));
		else
			kill_check(is_record(&r, i + 1));
	}
	r = record_of(77);
	kill_check(ipck_array_set(array, 0, &r) == 0);
	kill_check(ipck_array_get(array, 0, &r) == 0 && is_record(&r, 77));
	while (ipck_array_length(array) < RECORDS)
		kill_check(ipck_array_append(array, &r, NULL) == 0);
	kill_check(ipck_array_append(array, &r, NULL) == -ENOSPC);
}

static void set(void *ctx)
{
	struct record r = record_of(9);

	kill_check(ipck_array_set(ctx, 1, &r) == 0);
}

static void set_or_not(void *ctx, const struct kill_point *point)
{
	(void)ctx;
	proves(point, 1, 2, 9, 2);
}

static void append(void *ctx)
{
	struct record r = record_of(3);

	kill_check(ipck_array_append(ctx, &r, NULL) == 0);
}

static void appended_or_not(void *ctx, const struct kill_point *point)
{
	(void)ctx;
	proves(point, 2, 3, 3, 3);
}

static int to_nine(void *record, void *arg)
{
	(void)arg;
	*(struct record *)record = record_of(9);
	return 0;
}

static void update(void *ctx)
{
	kill_check(ipck_array_update(ctx, 1, to_nine, NULL) == 0);
}

static void get(void *ctx)
{
	struct record r;

	kill_check(ipck_array_get(ctx, 1, &r) == 0 && is_record(&r, 2));
}

static void nothing_changed(void *ctx, const struct kill_point *point)
{
	(void)ctx;
	proves(point, 1, 2, 2, 2);
}

/* A change that is written down, and its maker is dead: who does it is killed then. */
static void *setup_pending(void)
{
	int status;
	pid_t pid;

	setup();
	pid = fork();
	kill_check(pid >= 0);
	if (pid == 0) {
		struct record r = record_of(9);

		kill_check(lock_acquire(&array->shm->lock, IPCK_NOWAIT) == 0);
		memcpy(array->shadow, &r, sizeof(r));
		array->shm->pending = 2;
		raise(SIGKILL);
	}
	kill_check(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	return array;
}

static void get_new(void *ctx)
{
	struct record r;

	kill_check(ipck_array_get(ctx, 1, &r) == 0 && is_record(&r, 9));
}

static void was_set(void *ctx, const struct kill_point *point)
{
	struct kill_point none = {.kind = KILL_NONE};

	(void)ctx, (void)point;
	proves(&none, 1, 2, 9, 2);
}

static const struct kill_sweep set_one = {
	.name = "set", .setup = setup, .victim = set, .survive = set_or_not, .watch = watch};
static const struct kill_sweep append_one = {
	.name = "append", .setup = setup, .victim = append, .survive = appended_or_not, .watch = watch};
static const struct kill_sweep update_one = {
	.name = "update", .setup = setup, .victim = update, .survive = set_or_not, .watch = watch};
static const struct kill_sweep get_one = {
	.name = "get", .setup = setup, .victim = get, .survive = nothing_changed, .watch = watch};
static const struct kill_sweep set_again = {
	.name = "set again", .setup = setup_pending, .victim = get_new, .survive = was_set, .watch = watch};

static const struct kill_sweep *const sweeps[] = {&set_one, &append_one, &update_one, &get_one, &set_again, NULL};

int main(int argc, char **argv)
{
	return kill_main(argc, argv, sweeps);
}
