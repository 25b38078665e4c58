/* SPDX-License-Identifier: MIT */
/*
 * Messages through memory that processes share: Concurrency Kit's rings, for one producer and
 * one consumer, and for many, and the floors, which are what the hardware and the kernel give.
 */
#include "channel.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef HAVE_CK
#include <ck_ring.h>
#endif

#include "base/atomic.h"
#include "base/compiler.h"

/* ---- Concurrency Kit ---- */

#ifdef HAVE_CK

/*
 * The ring's cells are of one size, known to the compiler, and carry no length: a
 * message is as many of them as it needs, all of them full.
 */
static struct {
	struct ck_ring *in, *out;
	void *in_cells, *out_cells;
} ck;
static struct ck_ring *ck_rings[2];
static void *ck_cells[2];

static void take_ck_side(int side)
{
	ck.in = ck_rings[side];
	ck.in_cells = ck_cells[side];
	ck.out = ck_rings[!side];
	ck.out_cells = ck_cells[!side];
}

#define ENDS(how, bytes) \
	static int send_##how##_##bytes(const void *data, size_t size) \
	{ \
		char *from = (char *)data; \
\
		for (size_t at = 0; at < size; at += (bytes)) \
			while (!ck_ring_enqueue_##how##_cell_##bytes(ck.out, ck.out_cells, (void *)(from + at))) \
				ck_pr_stall(); \
		return 0; \
	} \
	static ssize_t recv_##how##_##bytes(void *data, size_t room) \
	{ \
		char *to = data; \
\
		for (size_t at = 0; at < room; at += (bytes)) \
			while (!ck_ring_dequeue_##how##_cell_##bytes(ck.in, ck.in_cells, (void *)(to + at))) \
				ck_pr_stall(); \
		return (ssize_t)room; \
	}

#define CELL(bytes) \
	struct cell_##bytes { \
		char byte[bytes]; \
	}; \
	CK_RING_PROTOTYPE(cell_##bytes, cell_##bytes) \
	ENDS(spsc, bytes) \
	ENDS(mpmc, bytes)
#define CHANNELS(bytes) \
	{take_ck_side, send_spsc_##bytes, recv_spsc_##bytes}, \
	{ \
		take_ck_side, send_mpmc_##bytes, recv_mpmc_##bytes \
	}

CELL(8)
CELL(64)
CELL(1024)
CELL(65536)

static const struct cell {
	size_t size;
	unsigned int count;
	struct channel spsc, mpmc;
} cells[] = {
	{65536, 16, CHANNELS(65536)},
	{1024, 256, CHANNELS(1024)},
	{64, 1024, CHANNELS(64)},
	{8, 4096, CHANNELS(8)},
};

static int make_rings(const struct cell **of, size_t size)
{
	const struct cell *cell = cells;

	if (size % 8)
		return -EINVAL;
	while (size % cell->size)
		cell++;
	for (int i = 0; i < 2; i++) {
		ck_rings[i] = channel_memory(sizeof(struct ck_ring));
		ck_cells[i] = channel_memory(cell->count * cell->size);
		if (!ck_rings[i] || !ck_cells[i])
			return -ENOMEM;
		ck_ring_init(ck_rings[i], cell->count);
	}
	*of = cell;
	return 0;
}

int peer_ck(struct channel *c, size_t size)
{
	const struct cell *cell;
	int rc = make_rings(&cell, size);

	if (rc == 0)
		*c = cell->spsc;
	return rc;
}

/* Of one cell each: others' might come between two. */
int peer_ck_mpmc(struct channel *c, size_t size)
{
	const struct cell *cell;
	int rc = make_rings(&cell, size);

	if (rc == 0 && cell->size != size)
		return -EMSGSIZE;
	if (rc == 0)
		*c = cell->mpmc;
	return rc;
}

#else

int peer_ck(struct channel *c, size_t size)
{
	(void)c;
	(void)size;
	return -ENOENT;
}

int peer_ck_mpmc(struct channel *c, size_t size)
{
	return peer_ck(c, size);
}

#endif

/* ---- floor: one copies in, the other copies out ---- */

#define CHUNK ((size_t)65536)
#define CHUNKS 16

/* One way. */
struct copies {
	ALIGNED(FALSE_SHARING) uint64_t copied_in;
	ALIGNED(FALSE_SHARING) uint64_t copied_out;
	ALIGNED(4096) char chunk[CHUNKS][CHUNK];
};

static struct copies *copies;

static int copy_in(const void *data, size_t size)
{
	for (size_t at = 0; at < size; at += CHUNK) {
		uint64_t n = copies->copied_in;

		while (n - load_acquire(&copies->copied_out) >= CHUNKS)
			cpu_relax();
		memcpy(copies->chunk[n % CHUNKS], (const char *)data + at, MIN(size - at, CHUNK));
		store_release(&copies->copied_in, n + 1);
	}
	return 0;
}

static ssize_t copy_out(void *data, size_t room)
{
	for (size_t at = 0; at < room; at += CHUNK) {
		uint64_t n = copies->copied_out;

		while (load_acquire(&copies->copied_in) == n)
			cpu_relax();
		memcpy((char *)data + at, copies->chunk[n % CHUNKS], MIN(room - at, CHUNK));
		store_release(&copies->copied_out, n + 1);
	}
	return (ssize_t)room;
}

int floor_copy(struct channel *c, size_t size)
{
	(void)size;
	copies = channel_memory(sizeof(*copies));
	*c = (struct channel){NULL, copy_in, copy_out};
	return copies ? 0 : -ENOMEM;
}

/* ---- floor: one wakes the other ---- */

struct box {
	uint32_t full;
	char data[64];
};

static struct box *boxes, *from, *to;

static void take_box_side(int side)
{
	from = &boxes[side];
	to = &boxes[!side];
}

static int send_box(const void *data, size_t size)
{
	memcpy(to->data, data, size);
	store_release(&to->full, 1u);
	return syscall(SYS_futex, &to->full, FUTEX_WAKE, 1, NULL, NULL, 0) < 0 ? -errno : 0;
}

static ssize_t recv_box(void *data, size_t room)
{
	while (!load_acquire(&from->full))
		syscall(SYS_futex, &from->full, FUTEX_WAIT, 0, NULL, NULL, 0);
	memcpy(data, from->data, room);
	store_relaxed(&from->full, 0u);
	return (ssize_t)room;
}

int floor_futex(struct channel *c, size_t size)
{
	if (size > sizeof(boxes->data))
		return -EMSGSIZE;
	boxes = channel_memory(2 * sizeof(*boxes));
	*c = (struct channel){take_box_side, send_box, recv_box};
	return boxes ? 0 : -ENOMEM;
}
