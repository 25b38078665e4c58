/* SPDX-License-Identifier: MIT */
#include "words_input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"

#define BLOCK ((size_t)1 << 18)
#define MORE 4096 /* to look for the end of a word */

/* ---- finding the files ---- */

static int told(const char *name)
{
	return tool_error("%s: %s", name, strerror(errno));
}

static int write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno != EINTR)
			return -1;
		data += n > 0 ? n : 0;
		size -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* Copies all from `from` to `to`: how many bytes, or -1. */
static off_t copy(int from, int to)
{
	static char buffer[BLOCK];
	off_t all = 0;
	ssize_t n;

	while ((n = read(from, buffer, sizeof(buffer))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || write_all(to, buffer, (size_t)n) < 0)
			return -1;
		all += n;
	}
	return all;
}

/* What is no plain file can be read only once, and not by several at once: a copy, in a file without a name. */
static off_t keep_copy(struct words_file *file, int fd)
{
	FILE *temporary = tmpfile();
	off_t size;

	if (!temporary)
		return -1;
	size = copy(fd, fileno(temporary));
	if (size > 0) {
		file->fd = fcntl(fileno(temporary), F_DUPFD_CLOEXEC, 3);
		size = file->fd < 0 ? -1 : size;
	}
	fclose(temporary);
	return size;
}

static off_t find_size(struct words_file *file, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -1;
	if (S_ISREG(st.st_mode) && st.st_size > 0 && fd != 0)
		return st.st_size;
	return keep_copy(file, fd); /* files of /proc say that they are empty */
}

static int add_file(struct words_input *in, const char *name)
{
	struct words_file *file = &in->file[in->n];
	bool standard = strcmp(name, "-") == 0;
	int fd = standard ? 0 : open(name, O_RDONLY | O_CLOEXEC);
	off_t size = -1;

	*file = (struct words_file){.name = standard ? "standard input" : name, .begin = in->bytes, .fd = -1};
	if (fd >= 0)
		size = find_size(file, fd);
	if (size < 0)
		told(file->name);
	if (fd > 0)
		close(fd);
	if (size <= 0)
		return size < 0 ? TOOL_FAILED : 0;
	in->bytes += (uint64_t)size;
	file->end = in->bytes;
	in->n++;
	return 0;
}

int words_input_open(struct words_input *in, char *const *names)
{
	static char *const standard_input[] = {(char *)"-", NULL};
	size_t n = 0;
	int status = 0;

	if (!*names)
		names = standard_input;
	while (names[n])
		n++;
	in->file = calloc(n, sizeof(*in->file));
	if (!in->file)
		return tool_error("%s", strerror(ENOMEM));
	for (; *names; names++)
		if (add_file(in, *names) != 0)
			status = TOOL_FAILED;
	return status;
}

void words_input_close(struct words_input *in)
{
	for (size_t i = 0; i < in->n; i++)
		if (in->file[i].fd >= 0)
			close(in->file[i].fd);
	free(in->file);
}

/* ---- reading ---- */

/* Of one file: what was read and not yet counted. */
struct reader {
	int fd;
	off_t at; /* of the next byte to read */
	unsigned char *data;
	size_t size, room;
};

/* Reads up to `most` bytes behind those that are there: how many, 0 at the end, or -errno. */
static ssize_t fill(struct reader *r, uint64_t most)
{
	ssize_t n;

	/* It doubles, so that a long word is not looked at again and again. */
	if (r->room < 2 * r->size + MORE + 2) {
		size_t room = 2 * r->size + BLOCK;
		unsigned char *data = realloc(r->data, room);

		if (!data)
			return -ENOMEM;
		r->data = data;
		r->room = room;
	}
	if (most > r->room - r->size - 2)
		most = r->room - r->size - 2;
	do
		n = pread(r->fd, r->data + r->size, (size_t)most, r->at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	r->size += (size_t)n;
	r->at += n;
	return n;
}

static void drop(struct reader *r, size_t n)
{
	r->size -= n;
	memmove(r->data, r->data + n, r->size);
}

static size_t word_length(const unsigned char *p, size_t size)
{
	size_t n = 0;

	while (n < size && words_lower[p[n]])
		n++;
	return n;
}

/* The rest of a word that began in the part before. */
static ssize_t skip_word(struct reader *r, off_t to)
{
	ssize_t n;

	r->at--;
	do {
		r->size = 0;
		n = fill(r, (uint64_t)(to - r->at));
	} while (n > 0 && word_length(r->data, r->size) == r->size && r->at < to);
	if (n > 0)
		drop(r, word_length(r->data, r->size));
	return n;
}

static void count_words(struct reader *r, struct words *words)
{
	drop(r, (size_t)(words_scan(words, r->data, r->data + r->size) - r->data));
}

/* The last word, which may end behind the part. */
static ssize_t count_last(struct reader *r, struct words *words)
{
	size_t length = r->size;
	ssize_t n = length > 0 ? 1 : 0;

	while (n > 0 && length == r->size) {
		n = fill(r, MORE);
		length += word_length(r->data + length, r->size - length);
	}
	if (length > 0) {
		r->data[length] = ' ';
		words_scan(words, r->data, r->data + length + 1);
	}
	return n;
}

static ssize_t count_file(struct reader *r, off_t to, struct words *words)
{
	ssize_t n = r->at > 0 ? skip_word(r, to) : fill(r, (uint64_t)to), last;

	while (n > 0 && words->error == 0) {
		count_words(r, words);
		if (r->at >= to)
			break;
		n = fill(r, (uint64_t)(to - r->at));
	}
	last = words->error == 0 ? count_last(r, words) : 0;
	return n < 0 ? n : last;
}

static int count_part_of(const struct words_file *file, off_t from, off_t to, struct reader *r, struct words *words)
{
	ssize_t n;

	r->fd = file->fd >= 0 ? file->fd : open(file->name, O_RDONLY | O_CLOEXEC);
	if (r->fd < 0)
		return told(file->name);
	r->at = from;
	r->size = 0;
	n = count_file(r, to, words);
	if (file->fd < 0)
		close(r->fd);
	if (n == -ENOMEM)
		words->error = -ENOMEM;
	errno = (int)-n;
	return n < 0 ? told(file->name) : 0;
}

/* The first file that ends behind that byte. */
static const struct words_file *find_file(const struct words_input *in, uint64_t at)
{
	size_t low = 0, high = in->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (in->file[middle].end > at)
			high = middle;
		else
			low = middle + 1;
	}
	return in->file + low;
}

int words_input_count(const struct words_input *in, uint64_t begin, uint64_t end, struct words *words)
{
	const struct words_file *file = find_file(in, begin);
	struct reader r = {0};
	int status = 0;

	for (; file < in->file + in->n && file->begin < end && words->error == 0; file++) {
		uint64_t from = begin > file->begin ? begin - file->begin : 0;
		uint64_t to = (end < file->end ? end : file->end) - file->begin;

		if (count_part_of(file, (off_t)from, (off_t)to, &r, words) != 0)
			status = TOOL_FAILED;
	}
	free(r.data);
	return words->error < 0 ? words->error : status;
}
