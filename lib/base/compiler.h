/* SPDX-License-Identifier: MIT */
/* What the compiler and the CPU are asked for, in one place. */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

#include <stddef.h>

/*
 * Hot words of different writers stand this far apart: two lines, because the
 * adjacent-line prefetcher of x86 moves lines in pairs.
 */
#define CACHE_LINE 64
#define FALSE_SHARING 128
#define ALIGNED(n) __attribute__((aligned(n)))

/* The inner struct of a sealed public one, which is bytes to the compiler. */
#define SEALED __attribute__((may_alias))

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define ALWAYS_INLINE inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* n rounded up to a multiple of a, a power of two. */
#define ROUND_UP(n, a) (((n) + ((a)-1)) & ~(__typeof__(n))((a)-1))

/* gcc says it by a macro, clang by a feature. */
#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER 1
#endif
#endif

/* A function whose reads are guesses that are tested again: the thread sanitizer is not asked. */
#ifdef THREAD_SANITIZER
#define READS_RACY __attribute__((noinline, no_sanitize("thread")))
#else
#define READS_RACY
#endif

/* Asks for a line that will be written, and waits for nothing. */
#if defined(__x86_64__)
#define prefetch_write(p) __asm__ __volatile__("prefetchw %0" : : "m"(*(const char *)(p)))
#else
#define prefetch_write(p) __builtin_prefetch((p), 1)
#endif

#if defined(__x86_64__) || defined(__i386__)
#define cpu_relax() __builtin_ia32_pause()
#elif defined(__aarch64__) || defined(__arm__)
#define cpu_relax() __asm__ __volatile__("yield")
#else
#define cpu_relax() ((void)0)
#endif

#endif
