/* SPDX-License-Identifier: MIT */
/* The whole public interface of libipckit. */
#ifndef IPCKIT_H
#define IPCKIT_H

#include <ipckit/array.h>
#include <ipckit/barrier.h>
#include <ipckit/condition.h>
#include <ipckit/counter.h>
#include <ipckit/deadline.h>
#include <ipckit/defs.h>
#include <ipckit/dict.h>
#include <ipckit/event.h>
#include <ipckit/heap.h>
#include <ipckit/lock.h>
#include <ipckit/pipe.h>
#include <ipckit/pool.h>
#include <ipckit/process.h>
#include <ipckit/queue.h>
#include <ipckit/rlock.h>
#include <ipckit/semaphore.h>
#include <ipckit/shm.h>
#include <ipckit/wait.h>

#endif
