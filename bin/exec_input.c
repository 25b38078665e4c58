/* SPDX-License-Identifier: MIT */
#include "exec_input.h"

#include <ipckit.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"

#define FIRST_BUFFER 65536
#define LINE_WITH_NUL (-EILSEQ)

/*
 * buffer: what was read and not yet used lies at begin..end; there is no
 * delimiter before `scan`.  A line is kept only up to `longest` bytes: it is too
 * long to be an argument then, which its run will tell, whatever follows.
 */
struct exec_input {
	struct exec_source source;
	const struct exec_template *command;
	char delimiter;
	size_t room, longest;

	int next; /* of the files */
	int fd;   /* the current one, -1 if none */
	bool may_block;
	uint64_t line; /* lines of it read */
	int error;

	char *buffer;
	size_t begin, scan, end, capacity;

	struct exec_group *group;
	uint64_t number;                         /* of the group in the making */
	size_t items_size, items_capacity, cost; /* of its items */
	long items;
};

static bool is_stdin(const char *file)
{
	return strcmp(file, "-") == 0;
}

static const char *file_name(const char *file)
{
	return is_stdin(file) ? "standard input" : file;
}

static int source_stat(const char *file, struct stat *st)
{
	return is_stdin(file) ? fstat(0, st) : stat(file, st);
}

static int check_file(const char *file)
{
	struct stat st;

	if (source_stat(file, &st) < 0)
		return -errno;
	if (!is_stdin(file) && faccessat(AT_FDCWD, file, R_OK, AT_EACCESS) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? -EISDIR : 0;
}

int input_open(struct exec_input **out, const struct exec_source *source, const struct exec_template *command)
{
	struct exec_input *in;

	for (int i = 0; i < source->files; i++) {
		int rc = check_file(source->file[i]);

		if (rc < 0) {
			tool_error("%s: %s", file_name(source->file[i]), strerror(-rc));
			return -1;
		}
	}
	in = calloc(1, sizeof(*in));
	if (!in) {
		tool_error("%s", strerror(ENOMEM));
		return -1;
	}
	in->source = *source;
	in->command = command;
	in->delimiter = source->null ? '\0' : '\n';
	in->room = template_room(command);
	in->longest = in->room + FIRST_BUFFER;
	in->fd = -1;
	*out = in;
	return 0;
}

static void close_file(struct exec_input *in)
{
	if (in->fd > 0)
		close(in->fd);
	in->fd = -1;
}

void input_close(struct exec_input *in)
{
	if (!in)
		return;
	close_file(in);
	free(in->buffer);
	free(in->group);
	free(in);
}

/* 1, or 0 after the last file. */
static int open_next(struct exec_input *in)
{
	const char *file;
	struct stat st;

	if (in->next == in->source.files)
		return 0;
	file = in->source.file[in->next++];
	in->line = 0;
	in->fd = is_stdin(file) ? 0 : open(file, O_RDONLY | O_CLOEXEC);
	if (in->fd < 0 || fstat(in->fd, &st) < 0)
		return -errno;
	in->may_block = !S_ISREG(st.st_mode);
	return 1;
}

static bool readable(const struct exec_input *in)
{
	struct pollfd p = {in->fd, POLLIN, 0};

	return !in->may_block || poll(&p, 1, 0) != 0;
}

/* Room for more behind `end`. */
static int make_space(struct exec_input *in)
{
	size_t capacity = in->capacity ? in->capacity * 2 : FIRST_BUFFER;
	char *buffer;

	if (in->begin > 0) {
		memmove(in->buffer, in->buffer + in->begin, in->end - in->begin);
		in->end -= in->begin;
		in->scan -= in->begin;
		in->begin = 0;
	}
	if (in->end - in->begin > in->longest)
		in->end = in->scan = in->begin + in->longest;
	if (in->capacity - in->end >= FIRST_BUFFER / 2)
		return 0;
	buffer = realloc(in->buffer, capacity);
	if (!buffer)
		return -ENOMEM;
	in->buffer = buffer;
	in->capacity = capacity;
	return 0;
}

/* Reads more of the current file: 1, 0 at its end. */
static int fill(struct exec_input *in)
{
	ssize_t n;
	int rc = make_space(in);

	if (rc < 0)
		return rc;
	if (!readable(in))
		return -EAGAIN;
	do
		n = read(in->fd, in->buffer + in->end, in->capacity - in->end);
	while (n < 0 && errno == EINTR && !ipck_interrupted());
	if (n < 0)
		return errno == EINTR ? -ECANCELED : -errno;
	in->end += (size_t)n;
	return n > 0;
}

/*
 * At the end of a file: 0.  What it has behind its last delimiter is an item,
 * too, so it gets one: make_space has left room for it.
 */
static int end_file(struct exec_input *in)
{
	close_file(in);
	if (in->begin < in->end)
		in->buffer[in->end++] = in->delimiter;
	return 0;
}

/* More input: >= 0 to look again, with *ended set when there is no more. */
static int read_on(struct exec_input *in, bool *ended)
{
	int rc = 1;

	if (in->fd < 0)
		rc = open_next(in);
	if (rc <= 0) {
		*ended = rc == 0;
		return rc;
	}
	rc = fill(in);
	return rc == 0 ? end_file(in) : rc;
}

/* The next item as it stands in the input, `size` bytes from begin: 1, 0 at the end of the input. */
static int find_item(struct exec_input *in, size_t *size)
{
	bool ended = false;
	int rc = 0;

	while (rc >= 0 && !ended) {
		size_t left = in->end - in->scan;
		char *at = left > 0 ? memchr(in->buffer + in->scan, in->delimiter, left) : NULL;

		if (at) {
			*size = (size_t)(at - in->buffer) - in->begin;
			return 1;
		}
		in->scan = in->end;
		rc = read_on(in, &ended);
	}
	return rc;
}

static int add_item(struct exec_input *in, size_t size)
{
	if (in->items_capacity - in->items_size < size + 1) {
		size_t capacity = 2 * in->items_capacity + size + 256;
		struct exec_group *group = realloc(in->group, sizeof(*group) + capacity);

		if (!group)
			return -ENOMEM;
		in->group = group;
		in->items_capacity = capacity;
	}
	memcpy(in->group->items + in->items_size, in->buffer + in->begin, size);
	in->items_size += size;
	in->group->items[in->items_size++] = '\0';
	in->items++;
	return 0;
}

/* The item at begin, if it is one: 1 it has been used; 0 it does not fit on the command line. */
static int take_item(struct exec_input *in, size_t size)
{
	size_t cost = template_cost(in->command, size);
	int rc;

	if (size > 0 || in->source.null) {
		if (!in->source.null && memchr(in->buffer + in->begin, '\0', size))
			return LINE_WITH_NUL;
		if (in->items > 0 && in->cost + cost > in->room)
			return 0;
		rc = add_item(in, size);
		if (rc < 0)
			return rc;
		in->cost += cost;
	}
	in->begin += size + 1;
	in->scan = in->begin;
	in->line++;
	return 1;
}

/* Takes items until the group is whole, or the input ends: >= 0. */
static int complete_group(struct exec_input *in)
{
	size_t size = 0;
	int rc = 1;

	while (rc > 0 && in->items < in->source.max_args) {
		rc = find_item(in, &size);
		if (rc > 0)
			rc = take_item(in, size);
	}
	return rc;
}

int input_next(struct exec_input *in, const struct exec_group **group, size_t *size)
{
	int rc = in->error ? in->error : complete_group(in);

	if (rc < 0) {
		if (rc != -EAGAIN && rc != -ECANCELED)
			in->error = rc;
		return rc;
	}
	if (in->items == 0)
		return 0;
	in->group->number = in->number++;
	*group = in->group;
	*size = sizeof(**group) + in->items_size;
	in->items_size = in->cost = 0;
	in->items = 0;
	return 1;
}

void input_wait(struct exec_input *in, int bell, int milliseconds)
{
	struct pollfd p[2] = {{in->fd, POLLIN, 0}, {bell, POLLIN, 0}};

	(void)poll(p, 2, milliseconds);
}

bool input_error(const struct exec_input *in)
{
	const char *name;

	if (in->error == 0)
		return false;
	name = file_name(in->source.file[in->next - 1]);
	if (in->error == LINE_WITH_NUL)
		tool_error("%s: line %" PRIu64 " holds a NUL byte (are its items ended by NUL? see --null)", name,
		           in->line + 1);
	else
		tool_error("%s: %s", name, strerror(-in->error));
	return true;
}

static bool all_regular(const struct exec_source *source)
{
	struct stat st;

	for (int i = 0; i < source->files; i++)
		if (source_stat(source->file[i], &st) < 0 || !S_ISREG(st.st_mode))
			return false;
	return true;
}

uint64_t input_count(const struct exec_source *source, const struct exec_template *command)
{
	off_t start = lseek(0, 0, SEEK_CUR);
	struct exec_input *in;
	uint64_t count = 0;
	const struct exec_group *group;
	size_t size = 0;

	if (!all_regular(source) || input_open(&in, source, command) < 0)
		return 0;
	while (input_next(in, &group, &size) > 0)
		count++;
	input_close(in);
	if (start >= 0)
		(void)!lseek(0, start, SEEK_SET);
	return count;
}
