/* SPDX-License-Identifier: MIT */
/* ipc-dict between shells: dicts that have names. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "dict_items.h"
#include "dict_shell.h"

#define CHUNK 65536

static const char *sentence(int rc)
{
	switch (-rc) {
	case ENOENT:
		return "There is no such dict";
	case ENOSPC:
		return "There is no room in it, or in shared memory";
	case EPERM:
		return "Another user made it";
	case EPROTO:
		return "It is no dict, of another layout, or damaged";
	default:
		return ipck_strerror(rc);
	}
}

/* Of a call on the whole dict. */
static int dict_failed(const struct dict_options *o, int rc)
{
	return tool_error("%s: %s", o->name, sentence(rc));
}

/* Of a call on a key. */
static int key_failed(const struct dict_options *o, const char *key, int rc)
{
	if (rc == -ENOENT)
		return tool_error("%s: there is no key '%s'", o->name, key);
	if (rc == -EINVAL)
		return tool_error("%s: the value of '%s' is no count", o->name, key);
	return dict_failed(o, rc);
}

/* ---- names ---- */

static int name_failed(const struct dict_options *o, int rc)
{
	if (rc == -EINVAL)
		return tool_usage("'%s' is no name: 1 to 200 of A-Z a-z 0-9 . _ -", o->name);
	return dict_failed(o, rc);
}

static int open_it(struct ipck_dict **out, const struct dict_options *o)
{
	return ipck_dict_open(out, o->name, IPCK_DICT_OPTS(.any_owner = o->any_owner));
}

static int open_dict(struct ipck_dict **out, const struct dict_options *o)
{
	int rc = open_it(out, o);

	return rc < 0 ? name_failed(o, rc) : 0;
}

static int open_or_make(struct ipck_dict **out, const struct dict_options *o)
{
	const struct ipck_dict_opts opts = {
		.size = sizeof(opts),
		.max_bytes = (size_t)o->max_bytes,
		.mode = (mode_t)o->mode,
	};
	int rc;

	/* Another may make it, or remove its name, in between. */
	do {
		rc = open_it(out, o);
		if (rc != -ENOENT)
			continue;
		rc = ipck_dict_create(out, o->name, &opts);
		if (rc == -EINVAL) /* not the name: that had been opened */
			return tool_usage("--max-bytes: %ld is too small for a dict", o->max_bytes);
	} while (rc == -EEXIST || rc == -ENOENT);
	return rc < 0 ? name_failed(o, rc) : 0;
}

int dict_unlink(int argc, char **argv)
{
	struct dict_options o;
	int rc, status = dict_options_read(&o, FOR_UNLINK, argc, argv);

	if (status != 0 || o.help)
		return status;
	rc = ipck_dict_unlink(o.name);
	return rc < 0 ? name_failed(&o, rc) : 0;
}

/* Runs a mode on a dict that is opened, or made if there is none. */
static int with_dict(enum dict_taker taker, int argc, char **argv,
                     int (*run)(struct ipck_dict *dict, const struct dict_options *o))
{
	struct dict_options o;
	struct ipck_dict *dict;
	int status = dict_options_read(&o, taker, argc, argv);

	if (status != 0 || o.help)
		return status;
	status = taker & (FOR_SET | FOR_ADD) ? open_or_make(&dict, &o) : open_dict(&dict, &o);
	if (status != 0)
		return status;
	status = run(dict, &o);
	ipck_dict_close(dict);
	return tool_finish(status);
}

/* ---- get ---- */

static int print_value(const struct dict_options *o, const char *key, const void *value, size_t size)
{
	int64_t count;

	if (o->count && size != sizeof(count))
		return key_failed(o, key, -EINVAL);
	if (o->count) {
		memcpy(&count, value, sizeof(count));
		tool_print("%" PRId64, count);
	} else {
		tool_write(value, size);
	}
	tool_write("\n", o->raw ? 0 : 1);
	return 0;
}

static int get(struct ipck_dict *dict, const struct dict_options *o)
{
	const char *key = o->args[0];
	void *value;
	size_t size;
	int status, rc = ipck_dict_get_new(dict, key, strlen(key), &value, &size);

	if (rc < 0)
		return key_failed(o, key, rc);
	status = print_value(o, key, value, size);
	free(value);
	return status;
}

int dict_get(int argc, char **argv)
{
	return with_dict(FOR_GET, argc, argv, get);
}

/* ---- set ---- */

/*
 * All of standard input, to be freed: 0, or after a message TOOL_FAILED.  It may be without end, so no more is
 * read when it is more than `most`.
 */
static int read_value(char **value, size_t *size, size_t most)
{
	size_t room = 0;
	ssize_t n = 1;

	*value = NULL;
	*size = 0;
	while (n > 0 && *size <= most) {
		if (room - *size < CHUNK) {
			char *more = realloc(*value, room = 2 * room + CHUNK);

			if (!more)
				break;
			*value = more;
		}
		do
			n = read(0, *value + *size, room - *size);
		while (n < 0 && errno == EINTR);
		*size += n > 0 ? (size_t)n : 0;
	}
	if (n == 0 || *size > most)
		return 0;
	tool_error("standard input: %s", strerror(errno));
	free(*value);
	return TOOL_FAILED;
}

static int set_bytes(struct ipck_dict *dict, const struct dict_options *o, const void *value, size_t size)
{
	const char *key = o->args[0];
	int rc = ipck_dict_set(dict, key, strlen(key), value, size);

	if (rc == -EINVAL)
		return tool_error("%s: the key or the value is too long", o->name);
	return rc < 0 ? key_failed(o, key, rc) : 0;
}

static int set_count(struct ipck_dict *dict, const struct dict_options *o)
{
	int64_t count = o->n;

	return set_bytes(dict, o, &count, sizeof(count));
}

static int set(struct ipck_dict *dict, const struct dict_options *o)
{
	struct ipck_dict_stats stats = IPCK_DICT_STATS_INIT;
	char *value;
	size_t size;
	int status, rc;

	if (o->count)
		return set_count(dict, o);
	if (o->args[1])
		return set_bytes(dict, o, o->args[1], strlen(o->args[1]));
	rc = ipck_dict_stat(dict, &stats);
	if (rc < 0)
		return dict_failed(o, rc);
	status = read_value(&value, &size, stats.max_bytes);
	if (status != 0)
		return status;
	status = set_bytes(dict, o, value, size);
	free(value);
	return status;
}

int dict_set(int argc, char **argv)
{
	return with_dict(FOR_SET, argc, argv, set);
}

/* ---- del ---- */

static int del(struct ipck_dict *dict, const struct dict_options *o)
{
	int status = 0;

	for (char *const *key = o->args; *key; key++) {
		int rc = ipck_dict_delete(dict, *key, strlen(*key));

		if (rc < 0)
			status = key_failed(o, *key, rc);
	}
	return status;
}

int dict_del(int argc, char **argv)
{
	return with_dict(FOR_DEL, argc, argv, del);
}

/* ---- add ---- */

static int add(struct ipck_dict *dict, const struct dict_options *o)
{
	const char *key = o->args[0];
	int64_t sum;
	int rc = ipck_dict_add(dict, key, strlen(key), o->n, &sum);

	if (rc < 0)
		return key_failed(o, key, rc);
	tool_print("%" PRId64 "\n", sum);
	return 0;
}

int dict_add(int argc, char **argv)
{
	return with_dict(FOR_ADD, argc, argv, add);
}

/* ---- list ---- */

static void print_entry(const struct dict_options *o, const struct dict_entry *e)
{
	tool_write(e->key, e->key_size);
	if (o->count && e->value_size == sizeof(e->count)) {
		tool_print("\t%" PRId64, e->count);
	} else {
		tool_write("\t", 1);
		tool_write(e->value, e->value_size);
	}
	tool_write(o->null ? "\0" : "\n", 1);
}

static int list(struct ipck_dict *dict, const struct dict_options *o)
{
	struct dict_items items = {0};
	int rc = dict_items_collect(&items, dict);

	if (rc == 0 && items.n > 0)
		qsort(items.entry, items.n, sizeof(items.entry[0]), dict_items_by_key);
	for (size_t i = 0; i < items.n && rc == 0; i++)
		print_entry(o, &items.entry[i]);
	dict_items_free(&items);
	return rc < 0 ? dict_failed(o, rc) : 0;
}

int dict_list(int argc, char **argv)
{
	return with_dict(FOR_LIST, argc, argv, list);
}
