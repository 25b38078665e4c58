/* SPDX-License-Identifier: MIT */
/* ipc-dict: keys and values that processes share. */
#include <ipckit.h>

#include <errno.h>
#include <inttypes.h>

#include "common.h"
#include "dict_shell.h"
#include "party.h"

#define KEYS 10

struct pair {
	struct ipck_dict *dict;
	uint64_t key;
};

static int check(int rc)
{
	return rc >= 0 ? 0 : tool_error("dict: %s", ipck_strerror(rc));
}

static int store(void *arg)
{
	const struct pair *pair = arg;
	uint64_t value = 2 * pair->key;
	int status = check(ipck_dict_set_u64(pair->dict, pair->key, value));

	if (status == 0)
		tool_print("key = %" PRIu64 " value = %" PRIu64 "\n", pair->key, value);
	return status;
}

/* Those that are there: of one that was killed there may be none. */
static int print_results(struct ipck_dict *dict)
{
	const char *before = "";
	uint64_t value = 0;
	int rc = 0;

	tool_print("Results: {");
	for (uint64_t key = 0; key < KEYS && (rc == 0 || rc == -ENOENT); key++) {
		rc = ipck_dict_get_u64(dict, key, &value);
		if (rc < 0)
			continue;
		tool_print("%s%" PRIu64 ": %" PRIu64, before, key, value);
		before = ", ";
	}
	tool_print("}\n");
	return rc == -ENOENT ? 0 : check(rc);
}

static int shared(const struct tool_args *args)
{
	struct party party[KEYS];
	struct pair pair[KEYS];
	struct ipck_dict *dict;
	int stored, printed, rc = ipck_dict_create(&dict, NULL, NULL);

	if (rc < 0)
		return tool_error("cannot make a dict: %s", ipck_strerror(rc));
	for (uint64_t i = 0; i < KEYS; i++) {
		pair[i] = (struct pair){dict, i};
		party[i] = (struct party){.fn = store, .arg = &pair[i], .daemon = true};
	}
	stored = parties_run(party, KEYS, args->threads);
	printed = print_results(dict);
	ipck_dict_close(dict);
	return stored || printed ? TOOL_FAILED : 0;
}

static const struct tool_mode modes[] = {
	{"shared", "ten processes store a key each", shared, TOOL_THREADS, 0, NULL},
	{"wordcount", "count the words of files", NULL, 0, 0, dict_wordcount},
	{"get", "print the value of a key in a dict that has a name", NULL, 0, 0, dict_get},
	{"set", "set the value of a key", NULL, 0, 0, dict_set},
	{"del", "remove keys", NULL, 0, 0, dict_del},
	{"add", "add to the count of a key", NULL, 0, 0, dict_add},
	{"list", "print all keys and values", NULL, 0, 0, dict_list},
	{"unlink", "remove the name of a dict", NULL, 0, 0, dict_unlink},
	{0},
};

static const struct tool tool = {"ipc-dict", "Shares keys and values between processes.", modes, NULL};

int main(int argc, char **argv)
{
	return tool_main(&tool, argc, argv);
}
