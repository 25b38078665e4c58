/* SPDX-License-Identifier: MIT */
#include "base/ident.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/fork.h"
#include "base/io.h"

/* The text of /proc/PID/FILE: its length, 0 if it cannot be read. */
static size_t read_proc(pid_t pid, const char *file, char *text, size_t size)
{
	char path[32];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = io_read(fd, text, size - 1);
	close(fd);
	text[MAX(n, 0)] = '\0';
	return (size_t)MAX(n, 0);
}

/* Field 22 of /proc/PID/stat; the second field may hold any character, so fields
 * are counted from its closing parenthesis. */
static uint64_t start_time(pid_t pid)
{
	char text[1024];
	const char *p;

	if (read_proc(pid, "stat", text, sizeof(text)) == 0)
		return 0;
	p = strrchr(text, ')');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p ? strtoull(p, NULL, 10) : 0;
}

pid_t tid_self(void)
{
	static __thread pid_t tid;
	static __thread uint32_t known_epoch;
	uint32_t now = fork_epoch() + 1;

	if (known_epoch != now) {
		tid = gettid();
		known_epoch = now;
	}
	return tid;
}

pid_t tid_process(pid_t tid)
{
	char text[4096];
	const char *p;

	if (read_proc(tid, "status", text, sizeof(text)) == 0)
		return tid;
	p = strstr(text, "\nTgid:");
	return p ? (pid_t)strtol(p + strlen("\nTgid:"), NULL, 10) : tid;
}

struct ident ident_self(void)
{
	/* One writer per epoch is enough: all threads would store the same.
	 * The epoch goes last, so a reader that sees it sees the rest. */
	static uint64_t start;
	static uint32_t pid, known_epoch;
	uint32_t now = fork_epoch() + 1;
	struct ident id = {0};

	if (load_acquire(&known_epoch) != now) {
		store_relaxed(&pid, (uint32_t)getpid());
		store_relaxed(&start, start_time(getpid()));
		store_release(&known_epoch, now);
	}
	id.pid = load_relaxed(&pid);
	id.start = load_relaxed(&start);
	return id;
}

#ifdef HAVE_PIDFD

/* 1: a process of that id ended or never was, 0: it lives, or who knows. */
bool tid_dead(pid_t tid)
{
	struct pollfd p = {.events = POLLIN};
	bool ended;

	p.fd = (int)syscall(SYS_pidfd_open, tid, 0);
	/* Not to be had here, or not for us: then the dead are those that are gone. */
	if (p.fd < 0)
		return errno == ESRCH || (kill(tid, 0) < 0 && errno == ESRCH);
	ended = poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
	close(p.fd);
	return ended;
}

#else

bool tid_dead(pid_t tid)
{
	return kill(tid, 0) < 0 && errno == ESRCH;
}

#endif

bool ident_dead(struct ident id)
{
	uint64_t start;

	if (id.pid == 0)
		return false;
	if (tid_dead((pid_t)id.pid))
		return true;
	start = start_time((pid_t)id.pid);
	return id.start != 0 && start != 0 && start != id.start;
}

uint64_t ident_word(void)
{
	struct ident self = ident_self();

	return self.start << 32 | self.pid;
}

bool ident_word_dead(uint64_t word)
{
	pid_t pid = (pid_t)(word & 0x7fffffff);
	uint64_t start;

	if (tid_dead(pid))
		return true;
	start = start_time(pid);
	return start != 0 && word >> 32 != 0 && (uint32_t)start != word >> 32;
}

uint64_t pid_namespace(void)
{
	/* A process never changes its own, but a child can be in another; as above. */
	static uint64_t known;
	static uint32_t known_epoch;
	uint32_t now = fork_epoch() + 1;
	struct stat st;

	if (load_acquire(&known_epoch) == now)
		return load_relaxed(&known);
	if (stat("/proc/self/ns/pid", &st) < 0)
		return 0;
	store_relaxed(&known, st.st_ino);
	store_release(&known_epoch, now);
	return st.st_ino;
}
