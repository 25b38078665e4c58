/* SPDX-License-Identifier: MIT */
/*
 * The accesses to words that several threads or processes share.  The names are
 * the orderings; there is no default.  Thread sanitizer does not see fences: they
 * are for bulk.h, which makes it words instead.  The words are plain integers of 16,
 * 32 or 64 bits, naturally aligned, so that they can stand in public structs and in
 * segments.
 *
 * seq is for the one pattern that needs store-load order between two words: "I
 * published, is anybody asleep?" against "I said that I sleep, was anything
 * published?".
 */
#ifndef BASE_ATOMIC_H
#define BASE_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#define load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define load_seq(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)

#define store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define store_seq(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)

#define add_relaxed(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define add_acq_rel(p, v) __atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL)
#define add_seq(p, v) __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
#define swap_seq(p, v) __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)

/* Compare *p with *e; equal: *p = v and true; else *e = *p and false. */
#define cas_acquire(p, e, v) __atomic_compare_exchange_n((p), (e), (v), false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)
#define cas_release(p, e, v) __atomic_compare_exchange_n((p), (e), (v), false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
#define cas_acq_rel(p, e, v) __atomic_compare_exchange_n((p), (e), (v), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
#define cas_seq(p, e, v) __atomic_compare_exchange_n((p), (e), (v), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

/* Between plain accesses and those to a word that says whether they were right. */
#define fence_acquire() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define fence_release() __atomic_thread_fence(__ATOMIC_RELEASE)

#endif
