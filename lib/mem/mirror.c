/* SPDX-License-Identifier: MIT */
#include "mem/mirror.h"

#include <errno.h>
#include <sys/mman.h>

int mirror_map(char **at, int fd, size_t offset, size_t bytes)
{
	char *place = mmap(NULL, 2 * bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int error;

	if (place == MAP_FAILED)
		return -errno;
	for (int i = 0; i < 2; i++) {
		void *half = mmap(place + (size_t)i * bytes, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		                  (off_t)offset);

		if (half == MAP_FAILED)
			goto unmap;
	}
	*at = place;
	return 0;
unmap:
	error = errno;
	mirror_unmap(place, bytes);
	return -error;
}

void mirror_unmap(char *at, size_t bytes)
{
	if (at)
		munmap(at, 2 * bytes);
}
