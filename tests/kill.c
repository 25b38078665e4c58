/* SPDX-License-Identifier: MIT */
/*
 * One run of a kill sweep: its scenario process, its root process, and what they
 * may call.  The scenario is a child subreaper: what loses its parent comes to
 * it, so that it sees when all processes of its run have ended.
 */
#include "kill_run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct kill_run *current;
static sigset_t saved_mask;

double kill_scale(void)
{
	const char *text = getenv("IPCK_TIMEOUT_SCALE");
	double scale = text ? strtod(text, NULL) : 1;

	return scale > 0 ? scale : 1;
}

void kill_fail(struct kill_run *run, const char *format, ...)
{
	va_list args;

	if (__atomic_exchange_n(&run->failed, 1, __ATOMIC_ACQ_REL))
		return;
	va_start(args, format);
	vsnprintf(run->message, sizeof(run->message), format, args);
	va_end(args);
}

void kill_passed(const char *file, int line)
{
	current->file = file;
	current->line = line;
}

void kill_failed(const char *file, int line, const char *text)
{
	kill_fail(current, "%s:%d: not so: %s", file, line, text);
	_exit(1);
}

bool kill_retry(int tries)
{
	usleep(1000);
	return tries < 5000 * kill_scale();
}

void kill_begin(void)
{
	syscall(SYS_getppid, KILL_MAGIC, KILL_BEGIN);
}

void kill_end(void)
{
	syscall(SYS_getppid, KILL_MAGIC, KILL_END);
}

void *kill_shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

const char *kill_name(const char *label)
{
	static char name[128];

	snprintf(name, sizeof(name), KILL_NAME "%s", current->sweep, current->slot, label);
	return name;
}

/* Begins when the tracer says so, and dies with the scenario. */
static void root_process(const struct kill_sweep *s, void *ctx, int go, pid_t scenario)
{
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != scenario || read(go, &byte, 1) != 1)
		_exit(1);
	close(go);
	sigprocmask(SIG_SETMASK, &saved_mask, NULL);
	if (s->who == KILL_DESCENDANT) {
		s->victim(ctx);
		current->phase = "survivor";
		s->survive(ctx, &current->at);
	} else if (s->marked) {
		s->victim(ctx);
	} else {
		kill_begin();
		s->victim(ctx);
		kill_end();
	}
	fflush(stdout);
	_exit(0);
}

static void check_root(const struct kill_sweep *s, int status)
{
	bool killed = current->at.kind != KILL_NONE && s->who != KILL_DESCENDANT;

	if (WIFSIGNALED(status) && !killed)
		kill_fail(current, "the root was killed by signal %d", WTERMSIG(status));
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		kill_fail(current, "the root exited with %d", WEXITSTATUS(status));
}

/* Runs the root to the victim's end, and to its own. */
static void run_root(const struct kill_sweep *s, void *ctx)
{
	pid_t scenario = getpid(), root, pid;
	int go[2], status, root_status;

	if (pipe2(go, O_CLOEXEC) < 0 || (root = fork()) < 0)
		abort();
	if (root == 0) {
		close(go[1]);
		root_process(s, ctx, go[0], scenario);
	}
	close(go[0]);
	kill_trace(s, ctx, current, root, go[1], &root_status);
	close(go[1]);
	while (root_status < 0 && ((pid = waitpid(-1, &status, 0)) > 0 || errno == EINTR))
		if (pid == root)
			root_status = status;
	check_root(s, root_status);
}

/* All descendants come to this process when their parents end, so that none is left when no child is. */
static void wait_for_all(void)
{
	current->phase = "end of all its processes";
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}

void kill_scenario(const struct kill_sweep *s, struct kill_run *run, const sigset_t *mask)
{
	void *ctx;

	current = run;
	saved_mask = *mask;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != run->sweep || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		_exit(1);
	current->phase = "setup";
	ctx = s->setup ? s->setup() : NULL;
	current->phase = "victim";
	run_root(s, ctx);
	if (s->who == KILL_SELF)
		wait_for_all();
	if (s->who != KILL_DESCENDANT && !current->failed) {
		current->phase = "survivor";
		sigprocmask(SIG_SETMASK, &saved_mask, NULL);
		s->survive(ctx, &current->at);
	}
	wait_for_all();
	fflush(stdout);
	_exit(0);
}
