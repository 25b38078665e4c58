/* SPDX-License-Identifier: MIT */
/* What the victims of a dict's sweeps do: each call is once made, to change the key's old value to the new one. */
#ifndef TESTS_DICT_VICTIM_H
#define TESTS_DICT_VICTIM_H

#include "dict_scene.h"

void victim_set(void *ctx);
void victim_insert(void *ctx);
void victim_replace(void *ctx);
void victim_swap(void *ctx);
void victim_delete(void *ctx);
void victim_pop(void *ctx);
void victim_add(void *ctx);
void victim_update(void *ctx);
void victim_clear(void *ctx);

/* victim_set, where there is no room in the index: a peer that makes it before is one that should be elsewhere. */
void victim_grow(void *ctx);

#endif
