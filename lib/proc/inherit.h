/* SPDX-License-Identifier: MIT */
/* What a spawned program gets by name: descriptors, pipes and queues, told in its environment. */
#ifndef PROC_INHERIT_H
#define PROC_INHERIT_H

#include <ipckit/process.h>

struct handover {
	char **env;     /* the program's whole environment */
	char *variable; /* IPCK_INHERITED=name:fd,pipe:fd+fd,... in it, or NULL */
	int *fds;       /* duplicates of what is passed, two of an object, close-on-exec here */
	size_t count;
};

/* env NULL: this process' own.  -EINVAL: a bad name, or one twice, or for two things.  -EBADF, -EMFILE, -ENOMEM. */
int handover_make(struct handover *h, char *const *env, const struct ipck_pass *pass, size_t count);
void handover_free(struct handover *h);

#endif
