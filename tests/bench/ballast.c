/* SPDX-License-Identifier: MIT */
/* Makes a process big, as a real program is when it starts its children. */
#include "bench.h"

#include <err.h>
#include <sys/mman.h>
#include <unistd.h>

void *ballast_new(long mib)
{
	size_t bytes = (size_t)mib << 20, page = (size_t)sysconf(_SC_PAGESIZE);
	char *p;

	if (bytes == 0)
		return NULL;
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		err(1, "%ld MiB", mib);
	madvise(p, bytes, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < bytes; i += page)
		p[i] = 1;
	return p;
}

void ballast_free(void *ballast, long mib)
{
	if (ballast)
		munmap(ballast, (size_t)mib << 20);
}
