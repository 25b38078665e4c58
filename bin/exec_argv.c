/* SPDX-License-Identifier: MIT */
#include "exec_argv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"

#define PLACE "{}"
#define PLACE_SIZE 2
#define HEADROOM 4096 /* of a command line, for what the kernel and the loader add */


/* Whether this file can be run: 0, -ENOENT, -EACCES, -EISDIR ... */
static int runnable(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

/* "DIR/NAME" in a new string; an empty DIR is the current one. */
static char *join_path(const char *dir, size_t size, const char *name)
{
	size_t name_size = strlen(name) + 1;
	char *path = malloc(size + 2 + name_size);

	if (!path)
		return NULL;
	if (size == 0)
		path[size++] = '.';
	else
		memcpy(path, dir, size);
	path[size++] = '/';
	memcpy(path + size, name, name_size);
	return path;
}

/* As execvp does: the first file that can be run; -EACCES if only others were there. */
static int search_path(const char *name, char **out)
{
	const char *dir = getenv("PATH"), *end;
	int rc, worst = -ENOENT;

	for (dir = dir ? dir : "/bin:/usr/bin";; dir = end + 1) {
		char *path;

		end = strchrnul(dir, ':');
		path = join_path(dir, (size_t)(end - dir), name);
		if (!path)
			return -ENOMEM;
		rc = runnable(path);
		if (rc == 0) {
			*out = path;
			return 0;
		}
		free(path);
		if (rc == -EACCES)
			worst = rc;
		if (*end == '\0')
			return worst;
	}
}

static int find_command(const char *name, char **out)
{
	int rc;

	if (*name == '\0')
		return -ENOENT;
	if (!strchr(name, '/'))
		return search_path(name, out);
	rc = runnable(name);
	if (rc < 0)
		return rc;
	*out = strdup(name);
	return *out ? 0 : -ENOMEM;
}

int template_init(struct exec_template *t, char *const *word, int count)
{
	int rc;

	*t = (struct exec_template){.word = word, .count = count};
	for (int i = 0; i < count; i++)
		t->places = t->places || strstr(word[i], PLACE);
	if (strstr(word[0], PLACE))
		return 0;
	rc = find_command(word[0], &t->path);
	if (rc == 0)
		return 0;
	tool_error("cannot run '%s': %s", word[0], strerror(-rc));
	return rc == -ENOENT || rc == -ENOTDIR ? EXEC_NOT_FOUND : EXEC_NOT_EXECUTABLE;
}

void template_free(struct exec_template *t)
{
	free(t->path);
	t->path = NULL;
}

/* The bytes of a word with that item filled in. */
static size_t filled_size(const char *word, size_t item_size)
{
	size_t size = strlen(word) + 1;

	for (const char *at = word; (at = strstr(at, PLACE)); at += PLACE_SIZE)
		size += item_size - PLACE_SIZE;
	return size;
}

size_t template_room(const struct exec_template *t)
{
	long room = sysconf(_SC_ARG_MAX);

	if (room < 0)
		room = 128 * 1024;
	room -= HEADROOM;
	for (char **e = environ; e && *e; e++)
		room -= (long)(strlen(*e) + 1 + sizeof(*e));
	for (int i = 0; i < t->count; i++)
		if (!strstr(t->word[i], PLACE))
			room -= (long)(strlen(t->word[i]) + 1 + sizeof(t->word[i]));
	return room > 0 ? (size_t)room : 0;
}

size_t template_cost(const struct exec_template *t, size_t item_size)
{
	size_t cost = 0;

	if (!t->places)
		return item_size + 1 + sizeof(char *);
	for (int i = 0; i < t->count; i++)
		if (strstr(t->word[i], PLACE))
			cost += filled_size(t->word[i], item_size) + sizeof(char *);
	return cost;
}

/* Copies the word with each {} replaced; returns where the copy ends. */
static char *fill_word(char *to, const char *word, const char *item, size_t item_size)
{
	const char *at;

	while ((at = strstr(word, PLACE))) {
		to = mempcpy(to, word, (size_t)(at - word));
		to = mempcpy(to, item, item_size);
		word = at + PLACE_SIZE;
	}
	return stpcpy(to, word) + 1;
}

/* What the block of template_fill holds: so many pointers, and behind them so many bytes of filled words. */
static void measure(const struct exec_template *t, const char *items, size_t size, size_t *pointers, size_t *bytes)
{
	size_t count = 0;

	*bytes = 0;
	for (const char *item = items; item < items + size; item += strlen(item) + 1, count++)
		if (t->places)
			*bytes += template_cost(t, strlen(item));
	*pointers = (size_t)t->count * (t->places ? count : 1) + count + 1;
}

char **template_fill(const struct exec_template *t, const char *items, size_t size)
{
	size_t pointers, bytes;
	char **block, **arg, *text;

	measure(t, items, size, &pointers, &bytes);
	block = malloc(pointers * sizeof(*block) + bytes);
	if (!block)
		return NULL;
	arg = block;
	text = (char *)(block + pointers);
	for (int i = 0; i < t->count; i++) {
		if (!strstr(t->word[i], PLACE)) {
			*arg++ = t->word[i];
			continue;
		}
		for (const char *item = items; item < items + size; item += strlen(item) + 1) {
			*arg++ = text;
			text = fill_word(text, t->word[i], item, strlen(item));
		}
	}
	for (const char *item = items; !t->places && item < items + size; item += strlen(item) + 1)
		*arg++ = (char *)item;
	*arg = NULL;
	return block;
}
