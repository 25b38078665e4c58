/* SPDX-License-Identifier: MIT */
/* Who goes on beside the victims of a dict's sweeps. */
#ifndef TESTS_DICT_PROOF_H
#define TESTS_DICT_PROOF_H

#include "dict_scene.h"

void proof_start_peers(struct scene *s);

/* The victim's key has the old or the new value; if it was told so, the new one. */
void proof_look(struct scene *s);

/* Walks over all pages while nobody uses the dict: each is somebody's. */
void proof_pages(const struct slabs *s);

#endif
