// SPDX-License-Identifier: GPL-2.0
/* CPUs, memory and cpusets that come and go, for the programs that are made of cases. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "churn.h"

#define CPU_1 "/sys/devices/system/cpu/cpu1/online"

void check_lockdep(void)
{
	char buf[128];
	long on = -1;
	FILE *f = fopen("/proc/lockdep_stats", "r");

	if (!f)
		return;
	while (fgets(buf, sizeof(buf), f))
		sscanf(buf, " debug_locks: %ld", &on);
	fclose(f);
	if (on != 1)
		fail("lockdep has reported something");
}

bool cpu_off_on(void)
{
	if (write_long(CPU_1, 0))
		return false;
	if (read_long(CPU_1))
		fail("CPU 1 is there still");
	if (write_long(CPU_1, 1))
		fail("CPU 1 does not come back");
	return true;
}

void to_group(const char *group, pid_t pid)
{
	char path[128];

	snprintf(path, sizeof(path), CGROUP_DIR "%s/cgroup.procs", group);
	if (write_long(path, pid))
		fatal("%s: the process cannot be moved there", path);
}

bool have_controller(const char *name)
{
	char on[32];

	mkdir(CGROUP_DIR, 0755);
	mount("cgroup2", CGROUP_DIR, "cgroup2", 0, NULL);
	snprintf(on, sizeof(on), "+%s", name);
	return !write_text(CGROUP_DIR "cgroup.subtree_control", on);
}

void make_cpusets(void)
{
	if (!have_controller("cpuset"))
		fatal("no cpuset controller");
	mkdir(CGROUP_DIR "one", 0755);
	mkdir(CGROUP_DIR "two", 0755);
	if (write_text(CGROUP_DIR "one/cpuset.mems", "0") ||
	    write_text(CGROUP_DIR "two/cpuset.mems", "1"))
		fatal("no two nodes");
}

void change_cpuset(pid_t pid, int i)
{
	to_group(i % 2 ? "one" : "two", pid);
	write_text(CGROUP_DIR "one/cpuset.mems", i % 2 ? "0" : "0-1");
	write_text(CGROUP_DIR "two/cpuset.mems", i % 2 ? "0-1" : "1");
}

void monitor(const char *fmt, long value)
{
	static int fd = -1;
	char buf[4096];
	struct pollfd p;
	int n;

	if (fd < 0)
		fd = open_port("monitor", O_RDWR);
	if (fd < 0)
		fatal("no monitor");
	n = snprintf(buf, sizeof(buf), fmt, value);
	if (write(fd, buf, n) != n)
		fatal("monitor: %s", strerror(errno));
	/* What it answers nobody needs, but it has to be taken away. */
	p = (struct pollfd){ .fd = fd, .events = POLLIN };
	while (poll(&p, 1, 200) > 0 && read(fd, buf, sizeof(buf)) > 0)
		;
}

bool memory_becomes(unsigned long kb, int seconds)
{
	for (int i = 0; i < seconds * 50 && known_kb() != kb; i++)
		usleep(20000);
	return known_kb() == kb;
}

int open_block(unsigned long n)
{
	char path[128];

	snprintf(path, sizeof(path), MEMORY_DIR "memory%lu/state", n);
	return open(path, O_WRONLY);
}

int added_blocks(unsigned long *block)
{
	struct dirent *d;
	DIR *dir = opendir(MEMORY_DIR);
	int nr = 0;

	while (dir && (d = readdir(dir)) && nr < MAX_BLOCKS) {
		char path[300], zones[64] = "";
		unsigned long n;
		FILE *f;

		if (sscanf(d->d_name, "memory%lu", &n) != 1)
			continue;
		snprintf(path, sizeof(path), MEMORY_DIR "memory%lu/valid_zones", n);
		f = fopen(path, "r");
		if (f && fgets(zones, sizeof(zones), f) && !strncmp(zones, "Movable", 7))
			block[nr++] = n;
		if (f)
			fclose(f);
	}
	if (dir)
		closedir(dir);
	return nr;
}

void write_all(unsigned char *p, unsigned long size, unsigned long salt)
{
	for (unsigned long i = 0; i < size; i += page_kb * KB)
		*(unsigned long *)(p + i) = i ^ salt;
}

bool holds_all(const unsigned char *p, unsigned long size, unsigned long salt)
{
	for (unsigned long i = 0; i < size; i += page_kb * KB)
		if (*(const unsigned long *)(p + i) != (i ^ salt))
			return false;
	return true;
}

void each_page(void (*look)(uint64_t pfn, uint64_t flags))
{
	static uint64_t buf[1 << 14];
	int fd = open("/proc/kpageflags", O_RDONLY);
	uint64_t pfn = 0;
	ssize_t n;

	if (fd < 0)
		fatal("/proc/kpageflags: %s", strerror(errno));
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n / 8; i++, pfn++)
			look(pfn, buf[i]);
	close(fd);
}

static long healed;

static void look_to_heal(uint64_t pfn, uint64_t flags)
{
	if (flags & 1UL << KPF_HWPOISON)
		healed += !write_long(HWPOISON_DIR "unpoison-pfn", pfn);
}

long unpoison_all(void)
{
	healed = 0;
	each_page(look_to_heal);
	return healed;
}

bool move_page(void *page, int node)
{
	int status = -1;

	return !syscall(SYS_move_pages, 0, 1UL, &page, &node, &status, MOVE_ALL) &&
	       status == node;
}

void empty_pool(const struct hstate *h)
{
	for (int i = 0; i < 3; i++) {
		pool_set(h, hstate_get(h, "nr_hugepages"));
		pool_set(h, 0);
	}
}
