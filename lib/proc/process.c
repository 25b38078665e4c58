/* SPDX-License-Identifier: MIT */
/* Handles: waiting for a process, its status, signals to it. */
#include <ipckit/process.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fork.h"
#include "base/io.h"
#include "proc/local.h"

/* Without a pidfd a grandchild may hold the sentinel open: ask again meanwhile. */
#ifdef HAVE_PIDFD
#define JOIN_SLICE 0
#else
#define JOIN_SLICE (5 * NS_PER_MS)
#endif

static bool is_owner(const struct ipck_process *p)
{
	return p->epoch == fork_epoch();
}

/*
 * Somebody else took the status.  Since Linux 6.15 the pidfd still knows it; the
 * header may be older than the kernel, so the call is spelled out.
 */
static void ask_pidfd(struct ipck_process *p)
{
#ifdef HAVE_PIDFD
	struct {
		uint64_t mask, cgroup;
		uint32_t ids[11];
		int32_t status;
	} info = {.mask = 1 << 3 /* PIDFD_INFO_EXIT */};

	_Static_assert(sizeof(info) == 64, "PIDFD_INFO_SIZE_VER0");
	if (ioctl(p->fd, _IOWR(0xFF, 11, info), &info) < 0 || !(info.mask & 1 << 3))
		return;
	p->known = true;
	p->signal = WIFSIGNALED(info.status) ? WTERMSIG(info.status) : 0;
	p->code = WIFEXITED(info.status) ? WEXITSTATUS(info.status) : 0;
#else
	(void)p;
#endif
}

/*
 * waitid, without waiting.  By the pidfd, if there is one: if somebody else has
 * reaped it, the pid may be that of another child by now, which is not ours to reap.
 */
static int look(const struct ipck_process *p, siginfo_t *info, int flags)
{
	idtype_t type = P_PID;
	id_t id = (id_t)p->pid;
	int rc;

#ifdef HAVE_PIDFD
	if (p->fd >= 0) {
		type = P_PIDFD;
		id = (id_t)p->fd;
	}
#endif
	info->si_pid = 0;
	do
		rc = waitid(type, id, info, WEXITED | WNOHANG | flags);
	while (rc < 0 && errno == EINTR);
	return rc;
}

/* The leader of a group is left a zombie until close: as long as its pid is taken,
 * no foreign group can have it. */
bool process_reap(struct ipck_process *p)
{
	siginfo_t info;
	int rc;

	if (p->ended)
		return true;
	rc = look(p, &info, p->group ? WNOWAIT : 0);
	if (rc == 0 && info.si_pid == 0)
		return false;
	if (rc < 0) {
		/* ECHILD: reaped elsewhere. */
		ask_pidfd(p);
	} else {
		p->known = true;
		p->code = info.si_code == CLD_EXITED ? info.si_status : 0;
		p->signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
		p->unreaped = p->group;
	}
	p->ended = true;
	return true;
}

static bool has_ended(struct ipck_process *p)
{
	bool ended;

	local_lock();
	ended = process_reap(p);
	local_unlock();
	return ended;
}

/* Until it ends, or a signal: the status stays for process_reap. */
static int wait_for_end(struct ipck_process *p, struct ipck_deadline deadline)
{
#ifdef HAVE_PIDFD
	if (deadline.ns == INT64_MAX && !deadline.interrupt) {
		siginfo_t info;

		/* One call where poll and its clock are three; the pidfd cannot
		 * mean another child, as a pid that was used again could. */
		(void)waitid(P_PIDFD, (id_t)p->fd, &info, WEXITED | WNOWAIT);
		return 0;
	}
#endif
	return has_ended(p) ? 0 : io_poll(p->fd, deadline, JOIN_SLICE);
}

int ipck_process_join(struct ipck_process *p, struct ipck_deadline deadline)
{
	int rc;

	if (!is_owner(p))
		return -ECHILD;
	if (p->kind == PROCESS_SELF)
		return -EDEADLK;
	if (p->kind == PROCESS_PARENT)
		return io_poll(p->fd, deadline, 0);
	do
		rc = wait_for_end(p, deadline);
	while (rc == 0 && !has_ended(p));
	return rc;
}

int ipck_process_status(struct ipck_process *p, int *code, int *signal)
{
	if (!is_owner(p) || p->kind == PROCESS_PARENT)
		return -ECHILD;
	if (p->kind == PROCESS_SELF || !has_ended(p))
		return -EBUSY;
	if (!p->known)
		return -ENODATA;
	if (code)
		*code = p->code;
	if (signal)
		*signal = p->signal;
	return 0;
}

bool ipck_process_alive(struct ipck_process *p)
{
	if (!is_owner(p))
		return false;
	if (p->kind == PROCESS_SELF)
		return true;
	return p->kind == PROCESS_PARENT ? !io_ready(p->fd) : !has_ended(p);
}

static int send_signal(const struct ipck_process *p, int signal)
{
#ifdef HAVE_PIDFD
	/* Safe also when somebody else reaped it and the pid is used again. */
	if (p->fd >= 0)
		return (int)syscall(SYS_pidfd_send_signal, p->fd, signal, NULL, 0);
#endif
	return kill(p->pid, signal);
}

/* Whether its pid is still its own: it runs, or is a zombie of ours. */
static bool holds_pid(struct ipck_process *p)
{
	siginfo_t info;

	if (!process_reap(p))
		return true;
	p->unreaped = p->unreaped && look(p, &info, WNOWAIT) == 0;
	return p->unreaped;
}

int process_signal(struct ipck_process *p, int signal, bool group)
{
	int rc;

	if (signal < 0 || signal >= NSIG || (group && !p->group))
		return -EINVAL;
	if (group && !holds_pid(p))
		return -ENODATA;
	if (!group && p->ended)
		return 0;
	rc = group ? kill(-p->pid, signal) : send_signal(p, signal);
	return rc < 0 && errno != ESRCH ? -errno : 0;
}

/* Oneself, or the parent: its pid is its own while the lifeline holds. */
static int signal_kin(const struct ipck_process *p, int signal)
{
	if (signal < 0 || signal >= NSIG)
		return -EINVAL;
	if (p->kind == PROCESS_PARENT && io_ready(p->fd))
		return 0;
	return kill(p->pid, signal) < 0 && errno != ESRCH ? -errno : 0;
}

static int signal_any(struct ipck_process *p, int signal, bool group)
{
	int rc;

	if (!is_owner(p))
		return -ECHILD;
	if (p->kind != PROCESS_CHILD)
		return group ? -EINVAL : signal_kin(p, signal);
	local_lock();
	rc = process_signal(p, signal, group);
	local_unlock();
	return rc;
}

int ipck_process_signal(struct ipck_process *p, int signal)
{
	return signal_any(p, signal, false);
}

int ipck_process_terminate(struct ipck_process *p)
{
	return signal_any(p, SIGTERM, false);
}

int ipck_process_kill(struct ipck_process *p)
{
	return signal_any(p, SIGKILL, false);
}

int ipck_process_signal_group(struct ipck_process *p, int signal)
{
	return signal_any(p, signal, true);
}

int ipck_process_kill_group(struct ipck_process *p)
{
	return signal_any(p, SIGKILL, true);
}

static void leave(struct ipck_process *p)
{
	struct ipck_process **at = &local.children;

	while (*at && *at != p)
		at = &(*at)->next;
	if (*at)
		*at = p->next;
}

static bool close_locked(struct ipck_process *p)
{
	siginfo_t info;

	if (!process_reap(p))
		return false;
	if (p->unreaped)
		(void)look(p, &info, 0);
	leave(p);
	if (--p->pins == 0)
		process_free(p);
	return true;
}

void process_free(struct ipck_process *p)
{
	struct ipck_process *first = &local.first.process, *spare = local.spare;

	io_close(&p->fd);
	local.spare = spare == first ? first : p;
	p = spare == first ? p : spare;
	if (p != first)
		free(p);
}

void process_unpin(struct ipck_process *p)
{
	local_lock();
	if (--p->pins == 0)
		process_free(p);
	local_unlock();
}

int ipck_process_close(struct ipck_process *p)
{
	bool closed;

	if (!p)
		return 0;
	if (!is_owner(p))
		return -ECHILD;
	if (p->kind != PROCESS_CHILD)
		return -EINVAL;
	local_lock();
	closed = close_locked(p);
	local_unlock();
	return closed ? 0 : -EBUSY;
}

pid_t ipck_process_pid(const struct ipck_process *p)
{
	return p->pid;
}

const char *ipck_process_name(const struct ipck_process *p)
{
	return p->name;
}

bool ipck_process_daemon(const struct ipck_process *p)
{
	return p->daemon;
}

int ipck_process_fd(const struct ipck_process *p)
{
	return p->fd;
}

struct ipck_process *ipck_process_current(void)
{
	local_lock();
	local_know_self();
	local_unlock();
	return &local.self;
}

struct ipck_process *ipck_process_parent(void)
{
	return local.parent.pid ? &local.parent : NULL;
}

size_t ipck_process_children(struct ipck_process **children, size_t max)
{
	size_t n = 0;

	local_lock();
	for (struct ipck_process *p = local.children; p; p = p->next) {
		if (process_reap(p))
			continue;
		if (n < max)
			children[n] = p;
		n++;
	}
	local_unlock();
	return n;
}
