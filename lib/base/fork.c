/* SPDX-License-Identifier: MIT */
#include "base/fork.h"

#include <pthread.h>

#include "base/atomic.h"

uint32_t fork_epoch_now;
static struct fork_hook *hooks;

static void in_child(void)
{
	/* One thread exists: nobody to order against. */
	store_relaxed(&fork_epoch_now, fork_epoch() + 1);
	for (struct fork_hook *h = load_acquire(&hooks); h; h = load_acquire(&h->next))
		h->child();
}

__attribute__((constructor)) static void install(void)
{
	(void)pthread_atfork(NULL, NULL, in_child);
}

void fork_hook_add(struct fork_hook *hook)
{
	struct fork_hook **end = &hooks, *next = NULL;

	/* Release: who sees the hook in the list sees its fields. */
	while (!cas_release(end, &next, hook)) {
		end = &next->next;
		next = NULL;
	}
}
