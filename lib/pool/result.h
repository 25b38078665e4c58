/* SPDX-License-Identifier: MIT */
/*
 * Results of imap, of any size: pieces in the ring of the worker's place.  A
 * result is one piece with RESULT_FIRST, any number without, and one with
 * RESULT_LAST, which may be the first.  Only what has its last piece is a result;
 * a first piece drops what came before it without one.
 */
#ifndef POOL_RESULT_H
#define POOL_RESULT_H

#include "pool/shared.h"

#define RESULT_FIRST 1u
#define RESULT_LAST 2u /* the piece's value is what the function returned */

#define RESULT_BUFFER 4096

struct ipck_result {
	struct pool_shm *shm;
	struct slot *slot; /* of the worker */
	struct ring *ring; /* likewise */
	struct block *block;
	uint64_t tag;   /* which item: the block's index, and above it the filling's serial */
	uint32_t flags; /* of the next piece */
	size_t used;
	unsigned char buffer[RESULT_BUFFER]; /* small writes gather here */
};

void result_begin(struct ipck_result *r, struct pool_shm *shm, uint32_t place, struct block *b, uint32_t index);
/* -ECANCELED: there is no result, since nobody wants it any more. */
int result_end(struct ipck_result *r, int value);

#endif
