/* SPDX-License-Identifier: MIT */
/* The whole public interface of libipckit. */
#ifndef IPCKIT_H
#define IPCKIT_H

#include <ipckit/deadline.h>
#include <ipckit/defs.h>
#include <ipckit/pipe.h>
#include <ipckit/pool.h>
#include <ipckit/process.h>
#include <ipckit/shm.h>
#include <ipckit/wait.h>

#endif
