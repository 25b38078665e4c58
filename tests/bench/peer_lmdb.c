/* SPDX-License-Identifier: MIT */
/*
 * LMDB, if configure finds it: on tmpfs, nothing is synchronized, one transaction for each
 * operation.  An environment must not be used after a fork, so that each process opens its own.
 */
#include "map.h"

#include <errno.h>

#ifdef HAVE_LMDB

#include <lmdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "team.h"

/* Keys in a transaction of the filling; one copies each page that it changes. */
#define FILL_BATCH 1000000

static MDB_env *env;
static MDB_txn *txn; /* of gets, between two of them reset; while it is filled the one that sets */
static MDB_dbi dbi;
static size_t value_size, map_size;
static int processes, unfilled;

static int failed(int rc)
{
	if (rc == 0)
		return 0;
	fprintf(stderr, "LMDB: %s\n", mdb_strerror(rc));
	return rc > 0 ? -rc : -EIO;
}

/* Its files; there are two. */
static void remove_files(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/data.mdb", cmd_scratch_shm());
	unlink(path);
	snprintf(path, sizeof(path), "%s/lock.mdb", cmd_scratch_shm());
	unlink(path);
}

static int put(MDB_txn *t, uint64_t key, const void *value)
{
	MDB_val k = {sizeof(key), &key}, v = {value_size, (void *)(uintptr_t)value};

	return mdb_put(t, dbi, &k, &v, 0);
}

static int fill(uint64_t key, const void *value)
{
	int rc = 0;

	if (unfilled == 0) {
		rc = mdb_txn_commit(txn);
		unfilled = FILL_BATCH;
		if (rc == 0)
			rc = mdb_txn_begin(env, NULL, 0, &txn);
	}
	unfilled--;
	return failed(rc ? rc : put(txn, key, value));
}

static int set(uint64_t key, const void *value)
{
	MDB_txn *t;
	int rc;

	if (unfilled >= 0)
		return fill(key, value);
	rc = mdb_txn_begin(env, NULL, 0, &t);
	if (rc)
		return failed(rc);
	rc = put(t, key, value);
	if (rc == 0)
		return failed(mdb_txn_commit(t));
	mdb_txn_abort(t);
	return failed(rc);
}

static int get(uint64_t key, void *value)
{
	MDB_val k = {sizeof(key), &key}, v;
	int rc = mdb_txn_renew(txn);

	if (rc == 0)
		rc = mdb_get(txn, dbi, &k, &v);
	if (rc == 0)
		memcpy(value, v.mv_data, v.mv_size);
	mdb_txn_reset(txn);
	return failed(rc);
}

static int open_env(void)
{
	int rc = mdb_env_create(&env);

	if (rc == 0)
		rc = mdb_env_set_mapsize(env, map_size);
	return rc ? rc : mdb_env_open(env, cmd_scratch_shm(), MDB_NOSYNC | MDB_WRITEMAP, 0600);
}

static int open_map(void)
{
	int rc = open_env();

	if (rc == 0)
		rc = mdb_txn_begin(env, NULL, 0, &txn);
	return rc ? rc : mdb_dbi_open(txn, NULL, MDB_INTEGERKEY | MDB_CREATE, &dbi);
}

static int filled(void)
{
	int rc = mdb_txn_commit(txn);

	unfilled = -1;
	mdb_env_close(env);
	return failed(rc);
}

/* The last of all removes the files. */
static int enter(void)
{
	int rc = open_map();

	if (rc == 0)
		rc = mdb_txn_commit(txn);
	if (rc == 0)
		rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
	if (rc)
		return failed(rc);
	mdb_txn_reset(txn);
	if (add_acq_rel(&stage->value, 1) + 1 == (uint64_t)processes)
		remove_files();
	return 0;
}

/* A value larger than a part of a page has pages of its own. */
int peer_lmdb(struct map *map, const struct map_shape *shape)
{
	value_size = shape->value;
	map_size = (64 << 20) + shape->keys * 3 * (value_size < 1024 ? value_size + 64 : value_size + 4096);
	processes = shape->processes;
	unfilled = FILL_BATCH;
	*map = (struct map){enter, get, set, filled};
	remove_files();
	return failed(open_map());
}

#else

int peer_lmdb(struct map *map, const struct map_shape *shape)
{
	(void)map;
	(void)shape;
	return -ENOENT;
}

#endif
