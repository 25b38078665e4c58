/* SPDX-License-Identifier: MIT */
/* Spans: the parts of a gathered or scattered message, gone through piece by piece. */
#ifndef COLL_SPANS_H
#define COLL_SPANS_H

#include <string.h>
#include <sys/uio.h>

#include "base/compiler.h"

struct spans {
	const struct iovec *parts;
	size_t at; /* within *parts */
};

/* The sum of the parts' sizes; false if it overflows, or n is negative. */
static inline bool spans_size(const struct iovec *parts, int n, size_t *size)
{
	*size = 0;
	for (int i = 0; i < n; i++)
		if (__builtin_add_overflow(*size, parts[i].iov_len, size))
			return false;
	return n >= 0;
}

/* The next piece of at most `size` bytes; there are that many. */
static inline char *spans_next(struct spans *s, size_t size, size_t *piece)
{
	char *bytes;

	while (s->at == s->parts->iov_len) {
		s->parts++;
		s->at = 0;
	}
	bytes = (char *)s->parts->iov_base + s->at;
	*piece = MIN(size, s->parts->iov_len - s->at);
	s->at += *piece;
	return bytes;
}

static inline void spans_gather(struct spans *s, char *to, size_t size)
{
	size_t piece;

	for (; size > 0; size -= piece, to += piece) {
		const char *from = spans_next(s, size, &piece);

		memcpy(to, from, piece);
	}
}

static inline void spans_scatter(struct spans *s, const char *from, size_t size)
{
	size_t piece;

	for (; size > 0; size -= piece, from += piece) {
		char *to = spans_next(s, size, &piece);

		memcpy(to, from, piece);
	}
}

#endif
