/* SPDX-License-Identifier: MIT */
#include "base/name.h"

#include <errno.h>
#include <string.h>

#include "base/compiler.h"

bool name_valid(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t n;

	if (!name)
		return false;
	n = strspn(name, allowed);
	return n >= 1 && n <= NAME_MAX_LENGTH && name[n] == '\0';
}

int opts_copy(void *own, size_t known, const void *given)
{
	const unsigned char *bytes = given;
	size_t size = known;

	memset(own, 0, known);
	if (given) {
		memcpy(&size, given, sizeof(size));
		if (size < sizeof(size))
			return -EINVAL;
		for (size_t i = known; i < size; i++)
			if (bytes[i])
				return -E2BIG;
		memcpy(own, given, MIN(size, known));
	}
	memcpy(own, &known, sizeof(known));
	return 0;
}
