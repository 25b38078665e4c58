/* SPDX-License-Identifier: MIT */
/*
 * Which process it was, and whether it is dead: proven, never guessed.  A pid
 * alone can be used again, so its start time goes with it.
 */
#ifndef BASE_IDENT_H
#define BASE_IDENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ident {
	uint32_t pid;   /* 0: nobody; written last, so that who reads a pid reads its start */
	uint32_t spare;
	uint64_t start; /* in clock ticks since boot; 0: could not be read */
};

/* The calling process. */
struct ident ident_self(void);

/*
 * Whether that process is dead: no such pid, or its pidfd says that it ended
 * (also when nobody has reaped it), or the pid has another start time now.  What
 * cannot be told counts as alive.
 */
bool ident_dead(struct ident id);

/* The same of a thread id, of which no start time is known. */
bool tid_dead(pid_t tid);

/* The id of the calling thread, without a system call; and the process of a thread,
 * or the thread itself if that cannot be read. */
pid_t tid_self(void);
pid_t tid_process(pid_t tid);

/*
 * The calling process as one word that is never 0, for owner words: the pid in bits
 * 0 to 30, of bit 31 the user may make what he likes, the start's low half above.
 */
uint64_t ident_word(void);

/* ident_dead of the process that such a word stands for. */
bool ident_word_dead(uint64_t word);

/* The pid namespace of this process, as a number; 0 if unknown. */
uint64_t pid_namespace(void);

#endif
