/* SPDX-License-Identifier: MIT */
/* Peers that are commands: xargs, parallel, make, and our own programs. */
#include "bench.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char scratch[2][40];

static const char *make_scratch(char *path, const char *template)
{
	if (!path[0] && !mkdtemp(strcpy(path, template)))
		err(1, "%s", template);
	return path;
}

const char *cmd_scratch(void)
{
	return make_scratch(scratch[0], "/tmp/ipckit-bench-XXXXXX");
}

const char *cmd_scratch_shm(void)
{
	return make_scratch(scratch[1], "/dev/shm/ipckit-bench-XXXXXX");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void cmd_scratch_remove(void)
{
	for (int i = 0; i < 2; i++)
		if (scratch[i][0])
			nftw(scratch[i], remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int cmd_input(FILE *f)
{
	int fd = fflush(f) ? -errno : fcntl(fileno(f), F_DUPFD_CLOEXEC, 3);

	if (fd >= 0)
		lseek(fd, 0, SEEK_SET);
	fclose(f);
	return fd;
}

int cmd_lines(long n)
{
	FILE *f = tmpfile();

	if (!f)
		return -errno;
	for (long i = 1; i <= n; i++)
		fprintf(f, "%ld\n", i);
	return cmd_input(f);
}

/* dup2 in the child clears close-on-exec: the pipes' other ends stay behind. */
static int spawn(pid_t *pid, const char *const argv[], int in, int out)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int rc;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	if (in >= 0)
		posix_spawn_file_actions_adddup2(&actions, in, 0);
	if (out >= 0)
		posix_spawn_file_actions_adddup2(&actions, out, 1);
	else
		posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	rc = posix_spawnp(pid, argv[0], &actions, &attr, (char *const *)argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return -rc;
}

int cmd_start(pid_t *pid, const char *const argv[], int input, int *in, int *out)
{
	int to[2] = {-1, -1}, from[2] = {-1, -1};
	int rc = 0;

	if ((in && pipe2(to, O_CLOEXEC) < 0) || (out && pipe2(from, O_CLOEXEC) < 0))
		rc = -errno;
	if (rc == 0)
		rc = spawn(pid, argv, in ? to[0] : input, from[1]);
	if (in)
		close(to[0]);
	if (out)
		close(from[1]);
	if (rc < 0) {
		close(to[1]);
		close(from[0]);
		return rc;
	}
	if (in)
		*in = to[1];
	if (out)
		*out = from[0];
	return 0;
}

static int wait_success(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

double cmd_rate(const char *const argv[], int input, double ops)
{
	double start = seconds_now();
	pid_t pid;
	int rc = cmd_start(&pid, argv, input, NULL, NULL);

	if (rc == 0)
		rc = wait_success(pid);
	return rc < 0 ? rc : ops / (seconds_now() - start);
}

double cmd_output(const char *const argv[])
{
	double rate;
	pid_t pid;
	FILE *f;
	int rc, out;

	rc = cmd_start(&pid, argv, -1, NULL, &out);
	if (rc < 0)
		return rc;
	f = fdopen(out, "r");
	if (!f || fscanf(f, "%lf", &rate) != 1)
		rate = -EIO;
	if (f)
		fclose(f);
	rc = wait_success(pid);
	return rc < 0 ? rc : rate;
}
