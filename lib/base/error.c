/* SPDX-License-Identifier: MIT */
/*
 * Sentences for errors, and the version.
 *
 * An errno value with a fixed meaning in this library is told in the library's
 * terms: "Broken pipe" would puzzle the user of a queue.  All others are the C
 * library's, untranslated where it can.
 */
#include <ipckit/defs.h>

#include <errno.h>
#include <limits.h>
#include <string.h>

#define STRING(x) #x
#define VERSION(major, minor, patch) STRING(major) "." STRING(minor) "." STRING(patch)

static const struct {
	int error;
	const char *sentence;
} own[] = {
	{0, "Success"},
	{E2BIG, "The options are of a newer version than the library"},
	{EBUSY, "It is still in use"},
	{ECANCELED, "The operation was cancelled"},
	{ECHILD, "The handle belongs to another process"},
	{EDEADLK, "It would wait for itself"},
	{EEXIST, "It is there already"},
	{EMSGSIZE, "The message is larger than the buffer, and was kept, or larger than can be"},
	{ENODATA, "The process has ended, how is not known"},
	{ENOSPC, "The segment, or a declared capacity, is full"},
	{ENOTRECOVERABLE, "The object is damaged beyond repair"},
	{EOWNERDEAD, "A partner died and the operation cannot complete"},
	{EPERM, "The caller does not own it"},
	{EPIPE, "The other side is closed or dead"},
	{EPROTO, "Not a segment of this library, or of another layout"},
	{ERANGE, "There is no record of that number"},
	{ESHUTDOWN, "It takes no more: it was shut down or closed"},
	{ESTALE, "The value is no longer what was expected"},
	{ETIMEDOUT, "The deadline passed"},
	{EXDEV, "The segment belongs to another pid namespace"},
};

static const char *libc_sentence(int error)
{
#ifdef HAVE_STRERRORDESC_NP
	return strerrordesc_np(error);
#else
	return error > 0 ? strerror(error) : NULL;
#endif
}

const char *ipck_strerror(int error)
{
	if (error < 0 && error != INT_MIN)
		error = -error;
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (own[i].error == error)
			return own[i].sentence;

	const char *sentence = libc_sentence(error);
	return sentence ? sentence : "Unknown error";
}

const char *ipck_version(void)
{
	return VERSION(IPCK_VERSION_MAJOR, IPCK_VERSION_MINOR, IPCK_VERSION_PATCH);
}
