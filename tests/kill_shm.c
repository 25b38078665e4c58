/* SPDX-License-Identifier: MIT */
/*
 * Segments: a creator that is killed leaves the whole segment or no name; a
 * killed opener or remover leaves nothing half-done.
 */
#include <ipckit/shm.h>

#include "kill.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BYTES 5000

static const char *name(void)
{
	return kill_name("segment");
}

static void *setup_none(void)
{
	return NULL;
}

static void *setup_one(void)
{
	struct ipck_shm *shm;

	kill_check(ipck_shm_create(&shm, name(), BYTES, NULL) == 0);
	memset(ipck_shm_data(shm), 7, BYTES);
	ipck_shm_close(shm);
	return NULL;
}

static void create(void *ctx)
{
	struct ipck_shm *shm;

	(void)ctx;
	kill_check(ipck_shm_create(&shm, name(), BYTES, NULL) == 0);
	ipck_shm_close(shm);
}

static void open_it(void *ctx)
{
	struct ipck_shm *shm;

	(void)ctx;
	kill_check(ipck_shm_open(&shm, name(), NULL) == 0);
	ipck_shm_close(shm);
}

static void unlink_it(void *ctx)
{
	(void)ctx;
	kill_check(ipck_shm_unlink(name()) == 0);
}

static void is_whole(struct ipck_shm *shm, char byte)
{
	const char *data = ipck_shm_data(shm);

	kill_check(ipck_shm_size(shm) == BYTES);
	for (size_t i = 0; i < BYTES; i++)
		if (data[i] != byte)
			kill_check(!"a byte of the segment differs");
}

/* The name can be used as if nothing had been: made, found, removed, made. */
static void works(void)
{
	struct ipck_shm *shm, *again;

	kill_check(ipck_shm_create(&shm, name(), BYTES, NULL) == 0);
	is_whole(shm, 0);
	kill_check(ipck_shm_create(&again, name(), BYTES, NULL) == -EEXIST);
	kill_check(ipck_shm_open(&again, name(), NULL) == 0);
	is_whole(again, 0);
	ipck_shm_close(again);
	ipck_shm_close(shm);
	kill_check(ipck_shm_unlink(name()) == 0);
	kill_check(ipck_shm_unlink(name()) == -ENOENT);
}

static void whole_or_absent(void *ctx, const struct kill_point *point)
{
	struct ipck_shm *shm;
	int rc = ipck_shm_open(&shm, name(), NULL);

	(void)ctx;
	kill_check(rc == 0 || rc == -ENOENT);
	kill_check(rc == 0 || point->kind != KILL_NONE);
	if (rc == 0) {
		is_whole(shm, 0);
		ipck_shm_close(shm);
		kill_check(ipck_shm_unlink(name()) == 0);
	}
	works();
}

static void unchanged(void *ctx, const struct kill_point *point)
{
	struct ipck_shm *shm;

	(void)ctx, (void)point;
	kill_check(ipck_shm_open(&shm, name(), NULL) == 0);
	is_whole(shm, 7);
	ipck_shm_close(shm);
	kill_check(ipck_shm_unlink(name()) == 0);
	works();
}

static void there_or_gone(void *ctx, const struct kill_point *point)
{
	struct ipck_shm *shm;
	int rc = ipck_shm_open(&shm, name(), NULL);

	(void)ctx;
	kill_check(rc == 0 || rc == -ENOENT);
	kill_check(rc != 0 || point->kind != KILL_NONE);
	if (rc == 0) {
		is_whole(shm, 7);
		ipck_shm_close(shm);
		kill_check(ipck_shm_unlink(name()) == 0);
	}
	works();
}

static const struct kill_sweep sweep_create = {
	.name = "shm_create", .each_state = true, .setup = setup_none, .victim = create, .survive = whole_or_absent};
static const struct kill_sweep sweep_open = {
	.name = "shm_open", .each_state = true, .setup = setup_one, .victim = open_it, .survive = unchanged};
static const struct kill_sweep sweep_unlink = {
	.name = "shm_unlink", .each_state = true, .setup = setup_one, .victim = unlink_it, .survive = there_or_gone};

int main(int argc, char **argv)
{
	static const struct kill_sweep *const sweeps[] = {&sweep_create, &sweep_open, &sweep_unlink, NULL};

	return kill_main(argc, argv, sweeps);
}
