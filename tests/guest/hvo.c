// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "hvo.h"

#define HUGE_DIR "/sys/kernel/mm/hugepages"

struct hstate hstates[MAX_HSTATES];
int nr_hstates;
unsigned long page_kb;
unsigned long struct_page_size;
unsigned long mem_kb;

bool bad;

/* One line, flushed: it is on the channel at once. */
static void vline(const char *prefix, const char *fmt, va_list ap)
{
	fputs(prefix, stdout);
	vprintf(fmt, ap);
	putchar('\n');
	fflush(stdout);
}

void line(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vline("", fmt, ap);
	va_end(ap);
}

void fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vline("# ", fmt, ap);
	va_end(ap);
	bad = true;
}

void fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vline("# ", fmt, ap);
	va_end(ap);
	exit(CASE_FAIL);
}

long read_long(const char *path)
{
	char buf[64];
	ssize_t n;
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		return -1;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	buf[n] = '\0';
	return strtol(buf, NULL, 10);
}

int write_text(const char *path, const char *text)
{
	ssize_t len = strlen(text), n;
	int fd = open(path, O_WRONLY);
	int err;

	if (fd < 0)
		return -errno;
	n = write(fd, text, len);
	err = errno;
	close(fd);
	return n == len ? 0 : -err;
}

int write_long(const char *path, long value)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "%ld", value);
	return write_text(path, buf);
}

/* The sum of the values after @name in a file of "name value" lines, or -1. */
static long sum_of(const char *path, const char *name)
{
	char buf[256];
	size_t len = strlen(name);
	long sum = -1;
	FILE *f = fopen(path, "r");

	if (!f)
		return -1;
	while (fgets(buf, sizeof(buf), f)) {
		const char *p = buf + strspn(buf, " ");

		if (!strncmp(p, name, len) && (p[len] == ' ' || p[len] == ':'))
			sum = (sum < 0 ? 0 : sum) + strtol(p + len + 1, NULL, 10);
	}
	fclose(f);
	return sum;
}

long vmstat(const char *name)
{
	return sum_of("/proc/vmstat", name);
}

long memmap_kb(void)
{
	long pages = vmstat("nr_memmap_pages"), boot = vmstat("nr_memmap_boot_pages");

	if (pages < 0 && boot < 0)
		fatal("/proc/vmstat has no memmap counters");
	return (pages + boot) * (long)page_kb;
}

long memmap_kb_settled(long want)
{
	long kb = memmap_kb(), last = kb;

	for (int i = 0; i < 300 && kb != want; i++) {
		usleep(10000);
		kb = memmap_kb();
		if (kb != last)
			i = 0;
		last = kb;
	}
	return kb;
}

static int larger_first(const void *a, const void *b)
{
	const struct hstate *x = a, *y = b;

	return x->size_kb < y->size_kb ? 1 : -1;
}

void hvo_init(void)
{
	struct dirent *d;
	long present, saved;
	DIR *dir;

	page_kb = sysconf(_SC_PAGESIZE) / KB;

	/*
	 * The kernel does not tell sizeof(struct page). At boot the memory map
	 * holds one for every page of every section, so the map's size over the
	 * number of pages is at least that, and less than twice: HVO wants a
	 * power of two, which is the largest one below. What pools on the command
	 * line gave back of it is part of it.
	 */
	present = sum_of("/proc/zoneinfo", "present");
	if (present <= 0)
		fatal("/proc/zoneinfo tells no present pages");
	mem_kb = present * page_kb;
	saved = shadow_stat("bytes saved now");
	if (saved < 0)
		saved = 0;
	for (struct_page_size = 1;
	     struct_page_size * 2 * present <= memmap_kb() * KB + saved;)
		struct_page_size *= 2;

	dir = opendir(HUGE_DIR);
	if (!dir)
		fatal("%s is not there", HUGE_DIR);
	nr_hstates = 0;
	while ((d = readdir(dir)) && nr_hstates < MAX_HSTATES) {
		struct hstate *h = &hstates[nr_hstates];
		long map;

		if (sscanf(d->d_name, "hugepages-%lukB", &h->size_kb) != 1)
			continue;
		map = h->size_kb / page_kb * struct_page_size - page_kb * KB;
		h->saved_kb = map > 0 ? map / KB : 0;
		nr_hstates++;
	}
	closedir(dir);
	qsort(hstates, nr_hstates, sizeof(*hstates), larger_first);
}

static const char *hstate_path(const struct hstate *h, const char *file)
{
	static char path[128];

	snprintf(path, sizeof(path), HUGE_DIR "/hugepages-%lukB/%s", h->size_kb, file);
	return path;
}

long hstate_get(const struct hstate *h, const char *file)
{
	return read_long(hstate_path(h, file));
}

int hstate_set(const struct hstate *h, const char *file, long value)
{
	return write_long(hstate_path(h, file), value);
}

struct hstate *hstate_find(unsigned long size_kb)
{
	for (int i = 0; i < nr_hstates; i++)
		if (hstates[i].size_kb == size_kb)
			return &hstates[i];
	return NULL;
}

long pool_set(const struct hstate *h, long pages)
{
	hstate_set(h, "nr_hugepages", pages);
	return hstate_get(h, "nr_hugepages");
}

long pool_pages(const struct hstate *h)
{
	unsigned long pages = mem_kb / 4 / h->size_kb;

	if (pages > 512)
		pages = 512;
	/*
	 * A page needs a free and aligned range of its size. The kernel and its
	 * memory map spoil the first and the last: three ranges hold one page,
	 * four hold two.
	 */
	if (pages < 2 && mem_kb / h->size_kb >= 3)
		pages = mem_kb / h->size_kb >= 4 ? 2 : 1;
	return pages;
}

int pool_demote(const struct hstate *from, const struct hstate *to)
{
	char size[32], path[128];
	int err;

	snprintf(size, sizeof(size), "%lukB", to->size_kb);
	snprintf(path, sizeof(path), "%s", hstate_path(from, "demote_size"));
	err = write_text(path, size);
	if (err)
		return err;
	return hstate_set(from, "demote", hstate_get(from, "nr_hugepages"));
}

long huge_kb(void)
{
	long kb = 0;

	for (int i = 0; i < nr_hstates; i++)
		kb += hstate_get(&hstates[i], "nr_hugepages") * hstates[i].size_kb;
	return kb;
}

void compact(void)
{
	sync();
	write_long("/proc/sys/vm/drop_caches", 3);
	write_long("/proc/sys/vm/compact_memory", 1);
}

double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

const char *arg(int argc, char **argv, const char *name)
{
	size_t len = strlen(name);

	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], name, len))
			continue;
		if (argv[i][len] == '=')
			return argv[i] + len + 1;
		if (!argv[i][len])
			return "";
	}
	return NULL;
}

long meminfo_kb(const char *name)
{
	return sum_of("/proc/meminfo", name);
}

long shadow_stat(const char *name)
{
	return sum_of("/sys/kernel/debug/vmemmap_shadow/stats", name);
}

const char *at_rest(void)
{
	struct utsname u;

	if (uname(&u))
		fatal("uname: %s", strerror(errno));
	return atoi(u.release) < 7 ? "SHARED" : "JOINED";
}

unsigned long nr_tails(const struct hstate *h)
{
	return h->saved_kb / page_kb;
}

unsigned long known_kb(void)
{
	DIR *dir = opendir("/sys/devices/system/memory");
	unsigned long block = 0, n = 0;
	struct dirent *d;
	FILE *f = fopen("/sys/devices/system/memory/block_size_bytes", "r");

	if (!f || fscanf(f, "%lx", &block) != 1)
		fatal("no block_size_bytes");
	fclose(f);
	while (dir && (d = readdir(dir))) {
		char path[300];

		snprintf(path, sizeof(path), "/sys/devices/system/memory/%s/state", d->d_name);
		n += !strncmp(d->d_name, "memory", 6) && !access(path, R_OK);
	}
	if (dir)
		closedir(dir);
	return n * (block / KB);
}

void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

int open_port(const char *name, int flags)
{
	size_t len = strlen(name);

	for (int i = 0; i < 1000; i++, usleep(10000)) {
		DIR *dir = opendir("/sys/class/virtio-ports");
		struct dirent *d;

		while (dir && (d = readdir(dir))) {
			char path[300], buf[32] = "";
			int fd;

			if (d->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", d->d_name);
			fd = open(path, O_RDONLY);
			if (fd < 0)
				continue;
			if (read(fd, buf, sizeof(buf) - 1) < 0)
				buf[0] = '\0';
			close(fd);
			if (strncmp(buf, name, len) || buf[len] != '\n')
				continue;
			snprintf(path, sizeof(path), "/dev/%s", d->d_name);
			fd = open(path, flags);
			if (fd >= 0) {
				closedir(dir);
				return fd;
			}
		}
		if (dir)
			closedir(dir);
	}
	return -1;
}
