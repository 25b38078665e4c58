/* SPDX-License-Identifier: MIT */
#include "mem/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/io.h"
#include "mem/fifo.h"
#include "mem/shmfile.h"

#define SEGMENT_MAGIC UINT64_C(0x0174696b63706931) /* "1ipckit" */

#ifdef __GLIBC__
#define LIBC_FAMILY 1
#else
#define LIBC_FAMILY 2
#endif
#define LIBC_SIGNATURE (LIBC_FAMILY << 16 | (uint32_t)sizeof(pthread_mutex_t))

static struct segment_header make_header(const struct segment_plan *plan)
{
	struct segment_header h = {
		.magic = SEGMENT_MAGIC,
		.layout = SEGMENT_LAYOUT,
		.kind = plan->kind,
		.word = sizeof(long),
		.libc = LIBC_SIGNATURE,
		.pid_namespace = pid_namespace(),
		.bytes = plan->bytes,
		.creator = ident_self(),
	};

	return h;
}

/* The header is copied out first: what is checked is what is used. */
static int check_header(const struct segment_header *h, enum segment_kind kind, size_t file_size)
{
	uint64_t here = pid_namespace();

	if (h->magic != SEGMENT_MAGIC || h->layout != SEGMENT_LAYOUT || h->kind != kind)
		return -EPROTO;
	if (h->word != sizeof(long) || h->libc != LIBC_SIGNATURE)
		return -EPROTO;
	if (h->bytes == 0 || h->bytes > file_size - SEGMENT_HEADER)
		return -EPROTO;
	if (here && h->pid_namespace && here != h->pid_namespace)
		return -EXDEV;
	return 0;
}

static int map_file(struct segment *seg, int fd, size_t bytes, size_t reach)
{
	size_t length = SEGMENT_HEADER + (reach > bytes ? reach : bytes);
	void *map = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	*seg = (struct segment){.map = map, .mapped = length, .bytes = bytes, .fd = fd};
	return 0;
}

static void unmap(struct segment *seg)
{
	if (seg->map)
		munmap(seg->map, seg->mapped);
	seg->map = NULL;
}

struct making {
	const struct segment_plan *plan;
	struct segment segment;
};

/*
 * Fills the nameless or locked file: memory, mapping, then the header.  All that
 * can fail does so before the file can be found; afterwards its name is no longer
 * ours to remove.  May be called for a second file when the first got no name.
 */
static int fill(int fd, void *arg)
{
	struct making *making = arg;
	const struct segment_plan *plan = making->plan;
	struct segment_header h = make_header(plan);
	size_t behind = offsetof(struct segment_header, layout);
	int rc = shmfile_reserve(fd, 0, SEGMENT_HEADER + (plan->reserved ? plan->reserved : plan->bytes));

	if (rc == 0 && plan->reserved && ftruncate(fd, (off_t)(SEGMENT_HEADER + plan->bytes)) < 0)
		rc = -errno;
	if (rc < 0)
		return rc;
	unmap(&making->segment);
	rc = map_file(&making->segment, fd, plan->bytes, plan->reach);
	if (rc == 0 && plan->init)
		rc = plan->init(segment_body(&making->segment), plan->arg);
	if (rc < 0)
		return rc;
	/* The memory is there: neither write can come short. */
	if (pwrite(fd, (char *)&h + behind, sizeof(h) - behind, (off_t)behind) < 0)
		return -errno;
	return pwrite(fd, &h.magic, sizeof(h.magic), 0) < 0 ? -errno : 0;
}

/* What cannot be read is not proven to be unfilled, and nobody takes it over. */
static bool filled(int fd)
{
	uint64_t magic = 0;
	ssize_t n = pread(fd, &magic, sizeof(magic), 0);

	return n < 0 || (n == sizeof(magic) && magic != 0);
}

int segment_create(struct segment *seg, const struct segment_plan *plan)
{
	struct making making = {.plan = plan};
	int fd;

	if (plan->bytes == 0 || plan->bytes > PTRDIFF_MAX - 2 * SEGMENT_HEADER || (plan->mode & ~(mode_t)0777))
		return -EINVAL;
	if (plan->name)
		fd = shmfile_create(plan->name, plan->mode ? plan->mode : 0600, fill, filled, &making);
	else
		fd = shmfile_anonymous(fill, &making);
	if (fd < 0) {
		unmap(&making.segment);
		return fd;
	}
	making.segment.fd = fd;
	*seg = making.segment;
	return 0;
}

/* Consumes fd on success only. */
static int adopt(struct segment *seg, enum segment_kind kind, int fd, bool any_owner)
{
	struct segment_header h;
	struct stat st;
	ssize_t n;
	int rc;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size <= SEGMENT_HEADER)
		return -EPROTO;
	if (!any_owner && st.st_uid != geteuid() && st.st_uid != 0)
		return -EPERM;
	n = pread(fd, &h, sizeof(h), 0);
	if (n != sizeof(h))
		return n < 0 ? -errno : -EPROTO;
	rc = check_header(&h, kind, (size_t)st.st_size);
	if (rc < 0)
		return rc;
	return map_file(seg, fd, h.bytes, 0);
}

int segment_open(struct segment *seg, enum segment_kind kind, const char *name, bool any_owner)
{
	int fd = shmfile_open(name, filled), rc;

	if (fd < 0)
		return fd;
	rc = adopt(seg, kind, fd, any_owner);
	if (rc < 0)
		close(fd);
	return rc;
}

int segment_open_fd(struct segment *seg, enum segment_kind kind, int fd, bool any_owner)
{
	int copy, rc = io_dup_to(fd, &copy);

	if (rc < 0)
		return rc;
	rc = adopt(seg, kind, copy, any_owner);
	if (rc < 0)
		close(copy);
	return rc;
}

int segment_grow(struct segment *seg, size_t bytes)
{
	int rc;

	if (bytes <= seg->bytes)
		return 0;
	if (bytes > seg->mapped - SEGMENT_HEADER)
		return -ENOSPC;
	rc = shmfile_reserve(seg->fd, SEGMENT_HEADER + seg->bytes, bytes - seg->bytes);
	if (rc == 0)
		seg->bytes = bytes;
	return rc;
}

int segment_skip(struct segment *seg, size_t offset)
{
	if (offset > seg->mapped - SEGMENT_HEADER)
		return -ENOSPC;
	seg->bytes = MAX(seg->bytes, offset);
	return 0;
}

void segment_release(struct segment *seg, size_t offset, size_t bytes)
{
	shmfile_release(seg->fd, SEGMENT_HEADER + offset, bytes);
}

int segment_reserve(struct segment *seg, size_t offset, size_t bytes)
{
	return shmfile_reserve(seg->fd, SEGMENT_HEADER + offset, bytes);
}

void segment_close(struct segment *seg)
{
	if (!seg->map)
		return;
	unmap(seg);
	io_close(&seg->fd);
	*seg = (struct segment){.fd = -1};
}

/* The segment first: who opens it makes a FIFO that is missing. */
int segment_unlink(const char *name)
{
	ino_t inode;
	int rc = shmfile_inode(name, &inode);

	if (rc == 0)
		rc = shmfile_unlink(name);
	if (rc == 0)
		fifo_unlink(name, inode);
	return rc;
}
