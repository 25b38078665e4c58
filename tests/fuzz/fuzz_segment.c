/* SPDX-License-Identifier: MIT */
/*
 * The fuzz target of segments.  An input is the size of a file (4 bytes, little
 * endian) and what stands at its beginning.  Whatever it is, opening it is an
 * error, or gives memory that is there to its last byte.
 *
 * check_segment calls it with mutations of its own.  For libFuzzer, compile this
 * file and those of lib/base and lib/mem with clang -fsanitize=fuzzer,address
 * -include config.h -Ilib.
 */
#include "fuzz_segment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mem/segment.h"

#define MAX_FILE (1u << 20)
#define SIZE_BYTES 4

unsigned fuzz_segment_opened;

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_segment: not so: %s\n", what);
	abort();
}

static int make_file(const uint8_t *data, size_t size)
{
	uint32_t length = (uint32_t)(data[0] | data[1] << 8 | data[2] << 16 | (unsigned)data[3] << 24) % MAX_FILE;
	size_t bytes = size - SIZE_BYTES;
	char path[] = "/dev/shm/fuzz-XXXXXX";
	int fd = mkostemp(path, 0);

	require(fd >= 0 && unlink(path) == 0, "a file");
	if (bytes > length)
		bytes = length;
	require(ftruncate(fd, length) == 0, "its size");
	require(pwrite(fd, data + SIZE_BYTES, bytes, 0) == (ssize_t)bytes, "its contents");
	return fd;
}

static void touch_all(const struct segment *seg)
{
	unsigned char *body = segment_body(seg), sum = 0;

	require(seg->bytes > 0 && seg->bytes <= MAX_FILE, "bytes");
	for (size_t i = 0; i < seg->bytes; i += 512)
		sum = (unsigned char)(sum + body[i]);
	body[0] = sum;
	body[seg->bytes - 1] = sum;
}

static void try_open(int fd, bool any_owner)
{
	struct segment seg = {.fd = -2};
	int rc = segment_open_fd(&seg, SEGMENT_USER, fd, any_owner);

	require(rc <= 0, "a result");
	require(rc == 0 || (seg.fd == -2 && !seg.map), "nothing written on failure");
	if (rc < 0)
		return;
	fuzz_segment_opened++;
	touch_all(&seg);
	require(segment_grow(&seg, seg.bytes) == 0, "growing to its size");
	segment_close(&seg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd;

	if (size < SIZE_BYTES)
		return 0;
	fd = make_file(data, size);
	try_open(fd, false);
	try_open(fd, true);
	close(fd);
	return 0;
}

size_t fuzz_segment_seed(uint8_t *data, size_t room)
{
	const struct segment_plan plan = {.kind = SEGMENT_USER, .bytes = 5000};
	struct segment seg;
	size_t length = SEGMENT_HEADER + plan.bytes, size = SIZE_BYTES + sizeof(struct segment_header);

	require(size <= room, "room");
	require(segment_create(&seg, &plan) == 0, "a segment");
	for (int i = 0; i < SIZE_BYTES; i++)
		data[i] = (uint8_t)(length >> (8 * i));
	memcpy(data + SIZE_BYTES, seg.map, sizeof(struct segment_header));
	segment_close(&seg);
	return size;
}
