/* SPDX-License-Identifier: MIT */
/* A task in a library that is loaded while the program runs. */
#include <ipckit/pool.h>

IPCK_API ipck_map_fn module_negate;

int module_negate(const void *in, void *out, const void *arg)
{
	const unsigned char *from = in;
	unsigned char *to = out;

	(void)arg;
	*to = (unsigned char)~*from;
	return 0;
}
