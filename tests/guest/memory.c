// SPDX-License-Identifier: GPL-2.0
/*
 * HVO where memory is not one node's that is there from boot to end: "memory NAME
 * [name=value...]". Pools of the command line, of CMA, of one node, under a limit,
 * migrated, and in memory that is removed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "churn.h"

#define NODE_DIR "/sys/devices/system/node/"
#define MAX_NODES 4
#define MAX_KEPT 64

/*
 * KiB of the vmemmap of all memory, when nothing is given back. The counters have
 * page_ext in them, too: page_ext=N bytes for each page, where the kernel has one.
 */
static long whole_vmemmap_kb(void)
{
	return known_kb() / page_kb * (struct_page_size + number("page_ext", 0)) / KB;
}

static void check_offsets(const char *what, const unsigned char *p, unsigned long size)
{
	for (unsigned long i = 0; i < size; i += page_kb * KB) {
		if (*(const unsigned long *)(p + i) == i)
			continue;
		fail("%s: the contents at offset %lu changed", what, i);
		return;
	}
}

/* "64KB", "2MB", "1GB", as the hugetlb controller and the command line have it. */
static unsigned long size_of(const char *text)
{
	char *unit;
	unsigned long n = strtoul(text, &unit, 10);

	return *unit == 'G' ? n * KB * KB : *unit == 'M' ? n * KB : n;
}

/* KiB free of a node, or of all (-1), those in per-CPU lists included. */
static long free_kb(int node)
{
	long pages = 0, n, count;
	bool inside = false;
	char buf[256];
	FILE *f = fopen("/proc/zoneinfo", "r");

	if (!f)
		fatal("/proc/zoneinfo: %s", strerror(errno));
	while (fgets(buf, sizeof(buf), f)) {
		if (sscanf(buf, "Node %ld, zone", &n) == 1)
			inside = node < 0 || n == node;
		else if (inside && (sscanf(buf, " pages free %ld", &count) == 1 ||
				    sscanf(buf, " count: %ld", &count) == 1))
			pages += count;
	}
	fclose(f);
	return pages * (long)page_kb;
}

/*
 * MemTotal, and the vmemmap that was there at boot and is: what HVO gives back of
 * that is memory that the kernel did not count before.
 */
static long boot_memory_kb(void)
{
	return meminfo_kb("MemTotal") + vmstat("nr_memmap_boot_pages") * (long)page_kb;
}

static long node_kb(int node, const char *name)
{
	char path[64], buf[128], *p;
	long kb = -1;
	FILE *f;

	snprintf(path, sizeof(path), NODE_DIR "node%d/meminfo", node);
	f = fopen(path, "r");
	while (f && fgets(buf, sizeof(buf), f)) {
		p = strstr(buf, name);
		if (p && p[strlen(name)] == ':')
			kb = strtol(p + strlen(name) + 1, NULL, 10);
	}
	if (f)
		fclose(f);
	return kb;
}

static const char *node_pool(int node, const struct hstate *h)
{
	static char path[128];

	snprintf(path, sizeof(path), NODE_DIR "node%d/hugepages/hugepages-%lukB/nr_hugepages",
		 node, h->size_kb);
	return path;
}

/* "hugepages=N", or "hugepages=NODE:N,...", whose nodes have to have just that. */
static long asked_for(const char *text, const struct hstate *h)
{
	long sum = 0, node, n;

	if (!strchr(text, ':'))
		return strtol(text, NULL, 10);
	while (sscanf(text, "%ld:%ld", &node, &n) == 2) {
		if (read_long(node_pool(node, h)) != n)
			fail("node %ld: %ld pages of %lu kB, the command line asked for %ld",
			     node, read_long(node_pool(node, h)), h->size_kb, n);
		sum += n;
		text = strchr(text, ',');
		if (!text)
			break;
		text++;
	}
	return sum;
}

/* The first and the last byte's address, of the memory that @path lists; a block's size. */
static unsigned long memory_of(const char *path, unsigned long *from, unsigned long *to)
{
	unsigned long block = 0, n;
	struct dirent *d;
	DIR *dir = opendir(path);
	FILE *f = fopen(MEMORY_DIR "block_size_bytes", "r");

	if (!dir || !f || fscanf(f, "%lx", &block) != 1)
		fatal("%s: %s", path, strerror(errno));
	fclose(f);
	*from = -1UL;
	*to = 0;
	while ((d = readdir(dir))) {
		if (sscanf(d->d_name, "memory%lu", &n) != 1)
			continue;
		if (n * block < *from)
			*from = n * block;
		if (n * block + block - 1 > *to)
			*to = n * block + block - 1;
	}
	closedir(dir);
	return block;
}

/*
 * How many SHARED entries describe the memory from @from to @to, and how many
 * other memory. The first entry of all describes the first block of memory.
 */
static void shared_of(unsigned long from, unsigned long to, unsigned long *inside,
		      unsigned long *outside)
{
	FILE *f = fopen("/sys/kernel/debug/vmemmap_shadow/state", "r");
	unsigned long a, b, n, first = 0, lowest, highest;
	unsigned long each = page_kb * KB / struct_page_size * page_kb * KB;
	char buf[256], name[16];

	if (!f)
		fatal("no vmemmap_shadow/state: %s", strerror(errno));
	memory_of(MEMORY_DIR, &lowest, &highest);
	*inside = *outside = 0;
	while (fgets(buf, sizeof(buf), f)) {
		if (sscanf(buf, "0x%lx-0x%lx %lu %15s", &a, &b, &n, name) != 4)
			fatal("a line of state: %s", buf);
		if (!first)
			first = a;
		if (strcmp(name, at_rest()))
			continue;
		for (; a < b; a += page_kb * KB) {
			unsigned long at = lowest + (a - first) / (page_kb * KB) * each;

			++*(at >= from && at <= to ? inside : outside);
		}
	}
	fclose(f);
}

/*
 * The pools that the command line asks for are there, optimized, before anybody
 * could look: all counters start from what they saved. They are used, freed to
 * nothing and filled again. The twin finds them empty.
 *
 * grace=N: there were at most so many grace periods. Its twin allows none. once: do not
 * fill them again, since memory is in pieces. tight: what they leave is less than the
 * vmemmap in full, which can never have been there. off: none is optimized.
 */
static int boot_pools(void)
{
	static char cmdline[4096];
	long asked[MAX_HSTATES] = { 0 }, saved_kb = 0, pages = 0, pools_kb = 0, slack_kb;
	long grace = shadow_stat("grace periods");
	long total = boot_memory_kb(), before_kb, freed_kb;
	unsigned long tails = 0, inside, outside;
	struct hstate *h = NULL;
	int fd = open("/proc/cmdline", O_RDONLY), n = 0;

	if (read(fd, cmdline, sizeof(cmdline) - 1) < 0)
		fatal("/proc/cmdline: %s", strerror(errno));
	close(fd);
	for (char *p = strtok(cmdline, " \n"); p; p = strtok(NULL, " \n")) {
		if (!strncmp(p, "hugepagesz=", 11)) {
			h = hstate_find(size_of(p + 11));
			if (!h) {
				line("# no huge pages of %s with pages of %lu kB", p + 11, page_kb);
				return CASE_SKIP;
			}
		} else if (!strncmp(p, "hugepages=", 10) && h) {
			asked[h - hstates] = asked_for(p + 10, h);
			n++;
		}
	}
	if (!n)
		fatal("the command line asks for no pool");
	for (int i = 0; i < nr_hstates; i++) {
		long got = hstate_get(&hstates[i], "nr_hugepages");

		if (got != asked[i])
			fail("%ld pages of %lu kB, the command line asked for %ld", got,
			     hstates[i].size_kb, asked[i]);
		pages += asked[i];
		pools_kb += asked[i] * hstates[i].size_kb;
		saved_kb += asked[i] * hstates[i].saved_kb;
		tails += asked[i] && hstates[i].saved_kb ? asked[i] * nr_tails(&hstates[i]) : 0;
		if (asked[i])
			line("# %ld pages of %lu kB", got, hstates[i].size_kb);
	}
	slack_kb = saved_kb / 8;
	if (option("off"))
		saved_kb = pages = tails = 0;
	start_kb = whole_vmemmap_kb();
	line("# vmemmap %ld kB of %ld, MemTotal %ld kB, %ld folios optimized, %ld bytes saved, %ld grace periods",
	     memmap_kb(), start_kb, meminfo_kb("MemTotal"), shadow_stat("folios optimized"),
	     shadow_stat("bytes saved now"), grace);
	line("# %ld kB free, %ld kB beside the pools", meminfo_kb("MemFree"),
	     (long)known_kb() - pools_kb);
	if (option("tight") && (long)known_kb() - pools_kb >= start_kb)
		fail("%ld kB beside the pools, the vmemmap in full has %ld",
		     (long)known_kb() - pools_kb, start_kb);
	if (option("grace") && grace > number("grace", 0))
		fail("%ld grace periods for %ld pages, expected at most %ld", grace, pages,
		     number("grace", 0));
	if (memmap_kb() != start_kb - saved_kb)
		fail("the vmemmap has %ld kB of %ld, expected %ld", memmap_kb(), start_kb,
		     start_kb - saved_kb);
	if (shadow_stat("folios optimized") != pages)
		fail("%ld folios optimized, expected %ld", shadow_stat("folios optimized"), pages);
	if (shadow_stat("bytes saved now") != saved_kb * (long)KB)
		fail("%ld bytes saved, expected %ld", shadow_stat("bytes saved now"), saved_kb * KB);
	shared_of(0, -1UL, &inside, &outside);
	if (inside != tails)
		fail("%lu %s entries, expected %lu", inside, at_rest(), tails);
	if (bad)
		return 0;

	/* Twice: the pages of the command line, and pages of the running kernel. */
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < nr_hstates; i++) {
			unsigned long size = hstates[i].size_kb * KB;
			unsigned char *p;

			if (!asked[i] || round)
				continue;
			p = map_pages(&hstates[i], 1);
			write_all(p, size, 0);
			check_offsets("in use", p, size);
			munmap(p, size);
		}
		before_kb = free_kb(-1);
		for (int i = 0; i < nr_hstates; i++)
			pool_set(&hstates[i], 0);
		check_restored(round ? "freed again" : "freed");
		freed_kb = free_kb(-1) - before_kb;
		if (labs(freed_kb - (pools_kb - saved_kb)) > slack_kb)
			fail("freeing %ld kB gave back %ld kB", pools_kb - saved_kb, freed_kb);
		if (boot_memory_kb() != total)
			fail("MemTotal and the vmemmap of boot are %ld kB, they were %ld",
			     boot_memory_kb(), total);
		if (shadow_stat("bytes saved now"))
			fail("%ld bytes saved, but no pool", shadow_stat("bytes saved now"));
		if (round || option("once"))
			break;
		compact();
		for (int i = 0; i < nr_hstates; i++)
			if (pool_set(&hstates[i], asked[i]) != asked[i])
				fail("%ld pages of %lu kB could not be had again", asked[i],
				     hstates[i].size_kb);
		if (memmap_kb() != start_kb - saved_kb)
			fail("filled again: the vmemmap has %ld kB, expected %ld", memmap_kb(),
			     start_kb - saved_kb);
	}
	return 0;
}

/*
 * rounds=N: pages of the largest size come from CMA (hugetlb_cma=) and go back
 * there. The twin takes pages that are not CMA's.
 */
static int cma(void)
{
	const struct hstate *h = busted ? smallest() : largest();
	long rounds = number("rounds", 5), total = meminfo_kb("CmaTotal");
	long had_kb = meminfo_kb("CmaFree"), want = total / largest()->size_kb;

	if (total < (long)largest()->size_kb)
		fatal("%ld kB of CMA, a page has %lu", total, largest()->size_kb);
	if (busted) {
		want = rounds = 1;
	}
	for (long r = 0; r < rounds && !bad; r++) {
		long pages = pool_set(h, want);

		if (pages != want)
			fail("%ld pages of %lu kB of %ld", pages, h->size_kb, want);
		check_freed("from CMA", pages, h);
		if (had_kb - meminfo_kb("CmaFree") < pages * (long)h->size_kb)
			fail("CMA gave %ld kB for %ld pages of %lu kB",
			     had_kb - meminfo_kb("CmaFree"), pages, h->size_kb);
		pool_set(h, 0);
		check_restored("back to CMA");
		if (labs(meminfo_kb("CmaFree") - had_kb) > (long)h->size_kb / 64)
			fail("CMA has %ld kB free, it had %ld", meminfo_kb("CmaFree"), had_kb);
	}
	line("# %ld rounds of %ld pages of %lu kB, CMA has %ld kB", rounds, want, h->size_kb, total);
	return 0;
}

static int count_nodes(void)
{
	int n = 0;

	while (n < MAX_NODES && node_kb(n, "MemTotal") > 0)
		n++;
	return n;
}

/*
 * A pool of each node in turn: the entries that are SHARED, and the memory that
 * comes free, are that node's. The twin looks at another node.
 */
static int nodes(void)
{
	const struct hstate *h = smallest();
	int nr = count_nodes();

	if (nr < 2)
		fatal("%d nodes", nr);
	for (int node = 0; node < nr && !bad; node++) {
		long want = node_kb(node, "MemFree") / 4 / (long)h->size_kb, kb[MAX_NODES], got;
		long slack = want * h->saved_kb / 4;
		unsigned long from, to, inside, outside;
		char path[64];

		compact();
		for (int i = 0; i < nr; i++)
			kb[i] = free_kb(i);
		write_long(node_pool(node, h), want);
		got = read_long(node_pool(node, h));
		if (got != want || hstate_get(h, "nr_hugepages") != want)
			fail("node %d: %ld pages of %lu kB, %ld in all, expected %ld", node, got,
			     h->size_kb, hstate_get(h, "nr_hugepages"), want);
		check_freed("pool of a node", got, h);
		for (int i = 0; i < nr; i++) {
			long used = kb[i] - free_kb(i);
			long expected = i == node ? got * (long)(h->size_kb - h->saved_kb) : 0;

			line("# pool of node %d, %ld pages: node %d has %ld kB less free, expected %ld",
			     node, got, i, used, expected);
			if (labs(used - expected) > slack)
				fail("node %d has %ld kB less, expected %ld", i, used, expected);
		}
		snprintf(path, sizeof(path), NODE_DIR "node%d", (node + busted) % nr);
		memory_of(path, &from, &to);
		shared_of(from, to, &inside, &outside);
		if (inside != got * nr_tails(h) || outside)
			fail("node %d: %lu SHARED entries, and %lu of other nodes, expected %lu",
			     node, inside, outside, got * nr_tails(h));
		write_long(node_pool(node, h), 0);
		check_restored("pool of a node freed");
		for (int i = 0; i < nr; i++) {
			if (labs(free_kb(i) - kb[i]) > slack)
				fail("node %d has %ld kB free, it had %ld", i, free_kb(i), kb[i]);
		}
	}
	return 0;
}

/*
 * rounds=N: pages in use are moved to another node and back; with hardware-tag
 * KASAN this writes to the flags of each of their struct pages. The twin moves
 * them to where they are.
 */
static int migrate(void)
{
	const struct hstate *h = smallest();
	long rounds = number("rounds", 10), pages = number("pages", pool_pages(h) / 8), moved = 0;
	unsigned long size = pages * h->size_kb * KB;
	int nr = count_nodes(), status[pages], to[pages];
	void *addr[pages];
	unsigned char *p;

	if (nr < 2)
		fatal("%d nodes", nr);
	if (pages < 1) {
		line("# pages of %lu kB do not fit into this guest", h->size_kb);
		return CASE_SKIP;
	}
	for (int i = 0; i < nr; i++)
		write_long(node_pool(i, h), pages);
	check_freed("before", pages * nr, h);
	p = map_pages(h, pages);
	write_all(p, size, 0);
	for (long i = 0; i < pages; i++)
		addr[i] = p + i * h->size_kb * KB;
	for (long r = 0; r < rounds && !bad; r++) {
		if (syscall(SYS_move_pages, 0, pages, addr, NULL, status, 0))
			fatal("move_pages: %s", strerror(errno));
		for (long i = 0; i < pages; i++)
			to[i] = busted ? status[i] : (status[i] + 1) % nr;
		if (syscall(SYS_move_pages, 0, pages, addr, to, status, MOVE_ALL) < 0)
			fatal("move_pages: %s", strerror(errno));
		for (long i = 0; i < pages; i++) {
			int was = busted ? (to[i] + 1) % nr : to[i];

			if (status[i] != was && !bad)
				fail("page %ld is on node %d, expected %d", i, status[i], was);
			moved++;
		}
		check_offsets("moved", p, size);
		check_freed("moved", pages * nr, h);
	}
	munmap(p, size);
	pool_set(h, 0);
	check_restored("after freeing");
	line("# %ld moves of pages of %lu kB", moved, h->size_kb);
	return 0;
}

static volatile unsigned long *touched;

static void on_sigbus(int sig)
{
	(void)sig;
	_exit(7);
}

/*
 * A limit of the hugetlb controller on pages that are optimized: a process gets as
 * many as it may have, and SIGBUS for the next. The twin has no limit.
 */
static int limit(void)
{
	const struct hstate *h = smallest();
	unsigned long size = h->size_kb * KB, max = 3, current;
	char name[32], path[128];
	long pages = pool_set(h, 2 * max + 1);
	int status;
	pid_t pid;

	snprintf(name, sizeof(name), "%lu%s", h->size_kb >= KB ? h->size_kb / KB : h->size_kb,
		 h->size_kb >= KB ? "MB" : "KB");
	check_freed("before", pages, h);
	if (pages <= (long)max) {
		line("# %ld pages of %s", pages, name);
		pool_set(h, 0);
		return CASE_SKIP;
	}
	if (!have_controller("hugetlb"))
		fatal("no hugetlb controller");
	mkdir(CGROUP_DIR "limit", 0755);
	snprintf(path, sizeof(path), CGROUP_DIR "limit/hugetlb.%s.max", name);
	if (!busted && write_long(path, max * size))
		fatal("%s: %s", path, strerror(errno));
	touched = mmap(NULL, sizeof(*touched), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	pid = fork();
	if (!pid) {
		unsigned char *p;

		signal(SIGBUS, on_sigbus);
		write_text(CGROUP_DIR "limit/cgroup.procs", "0");
		p = map_pages(h, max + 1);
		for (unsigned long i = 0; i <= max; i++) {
			p[i * size] = 1;
			++*touched;
		}
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 7 || *touched != max)
		fail("%lu pages of %s could be had, the limit is %lu", *touched, name, max);
	snprintf(path, sizeof(path), CGROUP_DIR "limit/hugetlb.%s.current", name);
	current = read_long(path);
	if (current)
		fail("the group holds %lu bytes still", current);
	check_freed("after", pages, h);
	pool_set(h, 0);
	check_restored("after freeing");
	rmdir(CGROUP_DIR "limit");
	line("# %lu pages of %s of at most %lu", *touched, name, max);
	return 0;
}

/*
 * added=MB: of the memory, ACPI added so much, at the end. Let pools come and go on
 * all of it; then remove what was added while a pool has some of it and a process
 * uses some of that. Its huge pages are dissolved, one by one with a grace period
 * each, or moved; its vmemmap freed, which has to be OWNED. One page of
 * each block is in use, and the next one in the pool is of other memory: else 6.12
 * moves huge pages from memory that goes to memory that goes, for
 * dequeue_hugetlb_folio_node_exact() does not look. With two of a block in use it
 * gives up, with three they change places for ever; with HVO off, too.
 *
 * hosted: the added memory holds its own vmemmap, whose pages must be left alone.
 *
 * The twin does not remove it.
 */
static int eject(void)
{
	unsigned long total = known_kb(), boot = total - number("added", 0) * KB;
	unsigned long size, low, high, from, inside, outside, there = 0, in_use = 0;
	long refused = shadow_stat("folios refused, vmemmap self-hosted");
	const struct hstate *h = smallest();
	bool hosted = option("hosted");
	long want = 2 * (total - boot) / h->size_kb, got, self = 0, kept[MAX_KEPT];
	unsigned long at[want], block = 0, k;
	unsigned char *p;
	int fd;

	if (access("/sys/bus/acpi/devices/PNP0C80:00/eject", W_OK))
		fatal("no memory device");
	if (start_kb != whole_vmemmap_kb())
		fail("the vmemmap has %ld kB, expected %ld", start_kb, whole_vmemmap_kb());
	block = memory_of(MEMORY_DIR, &low, &high);
	from = high + 1 - (total - boot) * KB;

	for (int round = 0; round < 3; round++) {
		long r = shadow_stat("folios refused, vmemmap self-hosted");

		compact();
		got = pool_set(h, want);
		self = shadow_stat("folios refused, vmemmap self-hosted") - r;
		if (got != want)
			fail("%ld pages of %lu kB, of %ld", got, h->size_kb, want);
		check_freed("on all memory", got - self, h);
		shared_of(from, high, &inside, &outside);
		there = hosted ? (unsigned long)self : inside / nr_tails(h);
		if (!there)
			fail("no huge page in the added memory");
		if (hosted && inside)
			fail("%lu SHARED entries in memory that holds its own vmemmap", inside);
		if (!hosted && self)
			fail("%ld folios refused", self);
		if (round == 2)
			break;
		pool_set(h, 0);
		check_restored("pool freed");
	}
	line("# %ld pages of %lu kB, %ld in the added %lu kB, %ld refused so far", got, h->size_kb,
	     there, total - boot, shadow_stat("folios refused, vmemmap self-hosted") - refused);

	/* Keep one page of each block; those of boot's memory come free last. */
	size = h->size_kb * KB;
	p = map_pages(h, want);
	write_all(p, want * size, 0);
	fd = open("/proc/self/pagemap", O_RDONLY);
	for (long i = 0; i < want; i++) {
		uint64_t e = 0;

		if (pread(fd, &e, 8, (uintptr_t)(p + i * size) / (page_kb * KB) * 8) != 8)
			fatal("pagemap: %s", strerror(errno));
		at[i] = (e & ((1UL << 55) - 1)) * page_kb * KB;
	}
	close(fd);
	for (long i = 0; i < want; i++) {
		if (at[i] < from)
			continue;
		for (k = 0; k < in_use && at[kept[k]] / block != at[i] / block; k++)
			;
		if (k == in_use && in_use < MAX_KEPT)
			kept[in_use++] = i;
		else
			munmap(p + i * size, size);
	}
	for (long i = 0; i < want; i++)
		if (at[i] < from)
			munmap(p + i * size, size);
	if (!in_use)
		fail("no page in use in what is removed");

	if (!busted && write_text("/sys/bus/acpi/devices/PNP0C80:00/eject", "1"))
		fail("eject: %s", strerror(errno));
	for (int i = 0; i < (busted ? 1 : 300) && known_kb() != boot; i++)
		usleep(100000);
	for (unsigned long i = 0; i < in_use; i++) {
		unsigned char *q = p + kept[i] * size;

		if (*(unsigned long *)q != (unsigned long)kept[i] * size ||
		    *(unsigned long *)(q + size - page_kb * KB) !=
		    (kept[i] + 1) * size - page_kb * KB)
			fail("the contents of a page in use changed");
		munmap(q, size);
	}
	if (known_kb() != boot)
		fail("%lu kB of memory are there still, expected %lu", known_kb(), boot);
	got = hstate_get(h, "nr_hugepages");
	line("# %lu kB left, %ld pages; %lu in use were in what was removed", known_kb(), got, in_use);
	start_kb = whole_vmemmap_kb();
	if (!bad)
		check_freed("memory removed", got, h);
	pool_set(h, 0);
	check_restored("memory removed, pool freed");
	return 0;
}

static long huge, nr_heads;

static void look_huge(uint64_t pfn, uint64_t flags)
{
	(void)pfn;
	if (!(flags & 1UL << KPF_HUGE))
		return;
	huge++;
	nr_heads += flags >> KPF_COMPOUND_HEAD & 1;
}

/*
 * Each page of the pools of the command line finds its head, in /proc/kpageflags: it
 * is a huge page's, and as many heads are there as huge pages. The twin expects one
 * more.
 */
static int heads(void)
{
	long want = 0, nr = busted;

	for (int i = 0; i < nr_hstates; i++) {
		long pages = hstate_get(&hstates[i], "nr_hugepages");

		nr += pages;
		want += pages * (long)(hstates[i].size_kb / page_kb);
	}
	if (!want)
		fatal("there is no huge page");
	each_page(look_huge);
	line("# %ld pages find the head of a huge page, %ld are one", huge, nr_heads);
	if (huge != want)
		fail("%ld pages find the head of a huge page, expected %ld", huge, want);
	if (nr_heads != nr)
		fail("%ld pages are the head of a huge page, expected %ld", nr_heads, nr);
	if (busted)
		return 0;
	start_kb = whole_vmemmap_kb();
	for (int i = 0; i < nr_hstates; i++)
		pool_set(&hstates[i], 0);
	return 0;
}

static const struct one_case all[] = {
	{ "boot-pools", boot_pools },
	{ "heads", heads },
	{ "cma", cma },
	{ "nodes", nodes },
	{ "migrate", migrate },
	{ "limit", limit },
	{ "eject", eject },
};

int main(int argc, char **argv)
{
	return run_case(argc, argv, all, sizeof(all) / sizeof(*all));
}
