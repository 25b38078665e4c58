/* SPDX-License-Identifier: MIT */
/*
 * The memory of a process and all its descendants.  Private memory is what
 * smaps calls proportional (Pss), so that pages shared by fork count once.
 * Shared objects (memfd, /dev/shm, anonymous shared) count once each: by their
 * blocks if somebody holds a file descriptor of them, as reserved pages that
 * nobody has touched are in no smaps; by Pss otherwise.
 */
#include "bench.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MAX_PIDS 8192
#define MAX_OBJECTS 1024

struct object {
	unsigned long ino;
	double pss, blocks;
};

struct tree {
	double private;
	struct object object[MAX_OBJECTS];
	int objects;
};

static struct {
	pid_t pid, parent;
	bool inside;
} process[MAX_PIDS];

static struct object *object(struct tree *t, unsigned long ino)
{
	for (int i = 0; i < t->objects; i++)
		if (t->object[i].ino == ino)
			return &t->object[i];
	if (t->objects == MAX_OBJECTS)
		return &t->object[0];
	t->object[t->objects] = (struct object){.ino = ino};
	return &t->object[t->objects++];
}

static bool is_shared(const char *path)
{
	static const char *const prefix[] = {"/memfd:", "/dev/shm/", "/dev/zero", "/SYSV"};

	for (size_t i = 0; i < sizeof(prefix) / sizeof(*prefix); i++)
		if (strncmp(path, prefix[i], strlen(prefix[i])) == 0)
			return true;
	return false;
}

static void add_mappings(struct tree *t, pid_t pid)
{
	char path[64], line[4352], file[4096] = "";
	unsigned long ino = 0, kb;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Pss: %lu kB", &kb) == 1) {
			if (is_shared(file))
				object(t, ino)->pss += (double)kb * 1024;
			else
				t->private += (double)kb * 1024;
		} else if (line[0] >= 'a' || (line[0] >= '0' && line[0] <= '9')) {
			file[0] = '\0';
			sscanf(line, "%*x-%*x %*s %*x %*s %lu %4095s", &ino, file);
		}
	}
	if (f)
		fclose(f);
}

static void add_descriptors(struct tree *t, pid_t pid)
{
	char dir[64], path[384], file[4096];
	struct dirent *e;
	struct stat st;
	ssize_t len;
	DIR *d;

	snprintf(dir, sizeof(dir), "/proc/%d/fd", (int)pid);
	d = opendir(dir);
	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		len = readlink(path, file, sizeof(file) - 1);
		if (len < 0)
			continue;
		file[len] = '\0';
		if (is_shared(file) && stat(path, &st) == 0)
			object(t, st.st_ino)->blocks = (double)st.st_blocks * 512;
	}
	if (d)
		closedir(d);
}

static pid_t parent_of(pid_t pid)
{
	char path[64], line[512], *p;
	int parent = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return -1;
	p = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	if (p)
		sscanf(p, ") %*c %d", &parent);
	fclose(f);
	return parent;
}

static int list_processes(pid_t root)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	int n = 0;

	while (d && n < MAX_PIDS && (e = readdir(d))) {
		pid_t pid = atoi(e->d_name);

		if (pid <= 0)
			continue;
		process[n].pid = pid;
		process[n].parent = parent_of(pid);
		process[n].inside = pid == root;
		n++;
	}
	if (d)
		closedir(d);
	return n;
}

static bool has_parent_inside(int i, int n)
{
	for (int j = 0; j < n; j++)
		if (process[j].inside && process[j].pid == process[i].parent)
			return true;
	return false;
}

/* Until nobody is added: a child may be listed before its parent. */
static int find_descendants(pid_t root)
{
	int n = list_processes(root);
	bool added;

	do {
		added = false;
		for (int i = 0; i < n; i++) {
			if (process[i].inside || !has_parent_inside(i, n))
				continue;
			process[i].inside = added = true;
		}
	} while (added);
	return n;
}

double memory_tree(pid_t root)
{
	static struct tree t;
	int n = find_descendants(root);
	double bytes;

	t.private = 0;
	t.objects = 0;
	for (int i = 0; i < n; i++) {
		if (!process[i].inside)
			continue;
		add_mappings(&t, process[i].pid);
		add_descriptors(&t, process[i].pid);
	}
	bytes = t.private;
	for (int i = 0; i < t.objects; i++)
		bytes += t.object[i].blocks > t.object[i].pss ? t.object[i].blocks : t.object[i].pss;
	return bytes;
}

double memory_private(pid_t pid)
{
	char path[64], line[256];
	unsigned long kb, sum = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "Private_Clean: %lu kB", &kb) == 1 || sscanf(line, "Private_Dirty: %lu kB", &kb) == 1)
			sum += kb;
	fclose(f);
	return (double)sum * 1024;
}

/* What tmpfs may take is bounded, too. */
double memory_available(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	struct statvfs shm;
	char line[128];
	double kib, bytes = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %lf", &kib) == 1)
			bytes = kib * 1024;
	if (f)
		fclose(f);
	if (statvfs("/dev/shm", &shm) == 0 && (double)shm.f_bavail * (double)shm.f_frsize < bytes)
		bytes = (double)shm.f_bavail * (double)shm.f_frsize;
	return bytes;
}
