/* SPDX-License-Identifier: MIT */
/*
 * Shared memory segments: bytes that several processes map, the counterpart of
 * multiprocessing.shared_memory.  A place for your own structs and for the
 * plain primitives of this library.
 *
 * An anonymous segment (NULL name) is shared by inheritance over fork, or by
 * handing over its file descriptor; the kernel frees it with its last user.  A
 * named one is the POSIX object "/ipck.NAME"; it exists, whole, from the moment
 * its creation succeeds until ipck_shm_unlink, whoever dies meanwhile.
 *
 * The memory is reserved when it is promised: a full tmpfs is -ENOSPC here and
 * never a SIGBUS later.  An anonymous segment cannot be shrunk by anyone.
 *
 * Names are [A-Za-z0-9._-]{1,200}.  Who may write a segment is trusted: the
 * mode is 0600 by default, and open refuses a segment of another user.
 */
#ifndef IPCKIT_SHM_H
#define IPCKIT_SHM_H

#include <ipckit/defs.h>

struct ipck_shm;

struct ipck_shm_opts {
	size_t size;    /* of this struct, set by the macros below */
	mode_t mode;    /* create: permissions of a named segment, whatever the umask; 0 is 0600 */
	bool any_owner; /* open: also one that another user made */
};
#define IPCK_SHM_OPTS_INIT {sizeof(struct ipck_shm_opts), 0, false}
#define IPCK_SHM_OPTS(...) \
	(&(const struct ipck_shm_opts){.size = sizeof(struct ipck_shm_opts), __VA_ARGS__})

IPCK_BEGIN_DECLS

/*
 * Makes a segment of `bytes` (at least 1) zeroed bytes and stores its handle in
 * *out.  opts may be NULL.  A creator that is killed leaves either the whole
 * segment or no name.
 *
 * -EINVAL: bad name, 0 bytes, or too many.  -EEXIST: the name is taken.
 * -ENOSPC: the memory is not there.  -ENOMEM, -EMFILE, -ENFILE, -EACCES, -E2BIG
 * (options of a newer version).
 */
IPCK_API IPCK_MUST_CHECK int ipck_shm_create(struct ipck_shm **out, const char *name, size_t bytes,
                                             const struct ipck_shm_opts *opts);

/*
 * Attaches to the segment of that name.  Never changes or removes it.
 *
 * -ENOENT: no such name.  -EPROTO: not a segment of this library, of another
 * layout, or damaged.  -EXDEV: of another pid namespace.  -EPERM: another user, who
 * is not the superuser, made it (see any_owner).  -EACCES, -EINVAL, -ENOMEM, -EMFILE, -ENFILE, -E2BIG.
 */
IPCK_API IPCK_MUST_CHECK int ipck_shm_open(struct ipck_shm **out, const char *name, const struct ipck_shm_opts *opts);

/*
 * Attaches to the segment behind a file descriptor that was inherited or
 * received.  fd stays the caller's; the handle has a duplicate.
 *
 * -EBADF, and all of ipck_shm_open but -ENOENT.
 */
IPCK_API IPCK_MUST_CHECK int ipck_shm_open_fd(struct ipck_shm **out, int fd, const struct ipck_shm_opts *opts);

/*
 * The memory: page-aligned, valid until ipck_shm_close, in a forked child at the
 * same address.  Its size as asked for at create.  Its file descriptor, owned by
 * the handle, close-on-exec, to be handed over.
 */
IPCK_API void *ipck_shm_data(const struct ipck_shm *shm);
IPCK_API size_t ipck_shm_size(const struct ipck_shm *shm);
IPCK_API int ipck_shm_fd(const struct ipck_shm *shm);

/* Drops this handle: the memory is unmapped here, others keep it.  NULL is fine. */
IPCK_API void ipck_shm_close(struct ipck_shm *shm);

/*
 * Removes the name; who has the segment open keeps it.
 * -ENOENT: no such name.  -EINVAL: bad name.  -EACCES, -EPERM: not yours.
 */
IPCK_API int ipck_shm_unlink(const char *name);

IPCK_END_DECLS

#endif
