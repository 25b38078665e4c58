/* SPDX-License-Identifier: MIT */
/* ipc-pool exec: a command run with each input line by the workers of a pool. */
#ifndef IPCKIT_BIN_POOL_EXEC_H
#define IPCKIT_BIN_POOL_EXEC_H

/* argv[0] is "exec", its options and the command follow; returns the exit status. */
int pool_exec_main(int argc, char **argv);

#endif
