// SPDX-License-Identifier: GPL-2.0
/*
 * The cases of `make boot` that are written in C: "cases NAME [name=value...]".
 * Each starts with empty pools and ends with empty pools, and the memmap
 * counters have to be back where they were.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"

/* One cycle: fill a pool of the largest size, demote it, free all. */
static void cycle(const struct hstate *big, const struct hstate *small, const char *what)
{
	long got = pool_set(big, pool_pages(big)), demoted = got;

	check_freed(what, got, big);
	if (big != small) {
		int err = pool_demote(big, small);

		demoted = hstate_get(small, "nr_hugepages");
		if (err || demoted != got * (long)(big->size_kb / small->size_kb))
			fail("%s: demoting %ld pages gave %ld, error %d", what, got, demoted, err);
		check_freed(what, demoted, small);
	}
	pool_set(big, 0);
	pool_set(small, 0);
	check_restored(what);
}

/*
 * rounds=N cycles of alloc, demote, free. The twin keeps one page at the end of
 * each, which the counters have to show.
 */
static int cycles(void)
{
	const struct hstate *big = largest(), *small = smallest();
	long rounds = number("rounds", 50), i;

	for (i = 0; i < rounds && !bad; i++) {
		char what[32];

		snprintf(what, sizeof(what), "cycle %ld", i + 1);
		compact();
		if (busted) {
			pool_set(small, 1);
			check_restored(what);
			pool_set(small, 0);
			continue;
		}
		cycle(big, small, what);
	}
	line("# %ld cycles of %lu kB to %lu kB", i, big->size_kb, small->size_kb);
	return 0;
}

struct counts {
	volatile int stop;
	volatile unsigned long kpageflags, kpagecount, page_idle, compactions, failed;
};

static void read_all(const char *path, volatile unsigned long *count, struct counts *c)
{
	static char buf[1 << 16];
	int fd = open(path, O_RDONLY);
	ssize_t n;

	if (fd < 0) {
		c->failed++;
		return;
	}
	while (!c->stop && (n = read(fd, buf, sizeof(buf))) > 0)
		*count += n / 8;
	close(fd);
}

/* Mark every page idle: this looks at each page with get_page_unless_zero(). */
static void write_idle(struct counts *c)
{
	static uint64_t all[512];
	int fd = open("/sys/kernel/mm/page_idle/bitmap", O_WRONLY);
	ssize_t n;

	memset(all, 0xff, sizeof(all));
	while (fd >= 0 && !c->stop && (n = write(fd, all, sizeof(all))) > 0)
		c->page_idle += n * 8;
	close(fd);
}

static pid_t spawn_reader(struct counts *c, int cpu, int what)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	pin(cpu);
	while (!c->stop) {
		switch (what) {
		case 0:
			read_all("/proc/kpageflags", &c->kpageflags, c);
			break;
		case 1:
			read_all("/proc/kpagecount", &c->kpagecount, c);
			break;
		case 2:
			read_all("/sys/kernel/mm/page_idle/bitmap", &c->page_idle, c);
			write_idle(c);
			break;
		default:
			if (write_long("/proc/sys/vm/compact_memory", 1))
				c->failed++;
			else
				c->compactions++;
			usleep(10000);
		}
	}
	_exit(0);
}

/*
 * seconds=N of cycles on CPU 0 while four readers look at every struct page
 * from the other CPUs. The twin has no readers, which the counts have to show.
 */
static int readers(void)
{
	struct counts *c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const struct hstate *small = smallest();
	double end = now_ms() + number("seconds", 20) * 1e3;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN), n = 0;
	pid_t pid[4];

	if (c == MAP_FAILED)
		fatal("mmap: %s", strerror(errno));
	if (cpus < 2) {
		line("# one CPU: nobody can read meanwhile");
		return CASE_SKIP;
	}
	for (int i = 0; i < 4 && !busted; i++)
		pid[i] = spawn_reader(c, 1 + i % (cpus - 1), i);
	pin(0);
	while (now_ms() < end && !bad && !(busted && n)) {
		long got = pool_set(small, pool_pages(small));

		check_freed("with readers", got, small);
		pool_set(small, 0);
		check_restored("with readers");
		n++;
	}
	c->stop = 1;
	for (int i = 0; i < 4 && !busted; i++)
		waitpid(pid[i], NULL, 0);
	line("# %ld fills and frees, meanwhile %lu reads of kpageflags, %lu of kpagecount, %lu of page_idle, %lu compactions",
	     n, c->kpageflags, c->kpagecount, c->page_idle, c->compactions);
	if (!c->kpageflags || !c->kpagecount || !c->page_idle || !c->compactions || c->failed)
		fail("not every reader read, %lu errors", c->failed);
	return 0;
}

/*
 * Pages beyond the pool, allocated by a page fault. The twin writes a wrong
 * byte, which the check of the contents has to find.
 */
static int overcommit(void)
{
	const struct hstate *h = smallest();
	unsigned long size = h->size_kb * KB;
	long pages = pool_pages(h) / 4 + 1;
	int shift = __builtin_ctzl(size);
	unsigned char *p;

	hstate_set(h, "nr_overcommit_hugepages", pages);
	compact();
	p = mmap(NULL, pages * size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE |
		 (shift << MAP_HUGE_SHIFT), -1, 0);
	if (p == MAP_FAILED)
		fatal("mmap of %ld pages of %lu kB: %s", pages, h->size_kb, strerror(errno));
	for (unsigned long i = 0; i < pages * size; i += page_kb * KB)
		*(unsigned long *)(p + i) = i ^ 0x5bd1e995UL;
	if (busted)
		p[size - page_kb * KB] ^= 1;
	if (hstate_get(h, "surplus_hugepages") != pages)
		fail("%ld surplus pages, expected %ld", hstate_get(h, "surplus_hugepages"), pages);
	check_freed("surplus pages", pages, h);
	for (unsigned long i = 0; i < pages * size; i += page_kb * KB) {
		if (*(unsigned long *)(p + i) != (i ^ 0x5bd1e995UL)) {
			fail("the contents of page %lu at offset %lu changed", i / size, i % size);
			break;
		}
	}
	munmap(p, pages * size);
	hstate_set(h, "nr_overcommit_hugepages", 0);
	check_restored("after munmap");
	line("# %ld pages of %lu kB by page fault", pages, h->size_kb);
	return 0;
}

/* A process that takes all memory but @leave_kb. The OOM killer would take it first. */
static pid_t spawn_hog(long leave_kb)
{
	int ready[2];
	char byte = 0;
	pid_t pid;

	if (pipe(ready))
		fatal("pipe: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		long over;

		write_text("/proc/self/oom_score_adj", "1000");
		while ((over = meminfo_kb("MemFree") - leave_kb) > 0) {
			size_t chunk = over > 64 * 1024 ? 8 * KB * KB : 256 * KB;
			char *p = mmap(NULL, chunk, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

			if (p == MAP_FAILED)
				break;
		}
		if (write(ready[1], &byte, 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		line("# the hog was killed");
	close(ready[0]);
	return pid;
}

/*
 * Restore needs memory before it gives any back. Fill the machine, raise the
 * watermarks above what is free, and free the pool: the kernel must either free
 * a page or keep it whole, and once there is memory again free the rest.
 */
static int pressure(void)
{
	const struct hstate *h = smallest();
	long pages, left, min_free = read_long("/proc/sys/vm/min_free_kbytes");
	int tries = 0, killed;
	pid_t hog;

	write_text("/proc/self/oom_score_adj", "-1000");
	do {
		pages = pool_set(h, pool_pages(h));
		check_freed("before", pages, h);
		hog = spawn_hog(2 * min_free);
		/* Pages that are copied on write since the fork would cost the hog its life. */
		if (mlockall(MCL_CURRENT))
			fatal("mlockall: %s", strerror(errno));
		if (!busted)
			write_long("/proc/sys/vm/min_free_kbytes", 4 * min_free);
		left = pool_set(h, 0);
		line("# %ld of %ld pages stayed under pressure, surplus %ld, %ld kB free", left,
		     pages, hstate_get(h, "surplus_hugepages"), meminfo_kb("MemFree"));
		/* What stayed may be optimized or whole, but it must be accounted for. */
		if (left && hstate_get(h, "surplus_hugepages") != left)
			fail("%ld pages stayed, of them %ld surplus", left,
			     hstate_get(h, "surplus_hugepages"));
		if (start_kb - memmap_kb() > left * (long)h->saved_kb)
			fail("%ld pages hold %ld kB of vmemmap", left, start_kb - memmap_kb());
		write_long("/proc/sys/vm/min_free_kbytes", min_free);
		/* Anything that needs memory meanwhile may have the hog killed: once more. */
		usleep(100000);
		killed = waitpid(hog, NULL, WNOHANG) == hog;
		if (!killed) {
			kill(hog, SIGKILL);
			waitpid(hog, NULL, 0);
		}
	} while (!left && killed && !bad && ++tries < 8);
	if (tries)
		line("# the process that takes all memory was killed %d times", tries);
	if (!left)
		fail("every page could be restored: there was no pressure");
	/* Surplus pages become the pool's own again, then go. */
	if (left)
		pool_set(h, left);
	pool_set(h, 0);
	check_restored("with memory again");
	return 0;
}

/*
 * pages=N: allocate and free as many of the smallest size with HVO off and on,
 * in turn, rounds=N times. Freeing with HVO may take less than factor=N times as
 * long; the shortest of each count, for the host has other work. As long as that
 * makes the difference there are more=N rounds. The twin asks for a factor that
 * cannot be met.
 */
static int bulk(void)
{
	const struct hstate *h = smallest();
	long want = number("pages", 3500), factor = number("factor", 3);
	long rounds = number("rounds", 5), more = number("more", 0);
	double alloc[2] = { 1e9, 1e9 }, release[2] = { 1e9, 1e9 }, ratio = 1e9;
	double bound = busted ? 0.01 : factor;

	if (want * h->size_kb > mem_kb / 8 * 7) {
		line("# %ld pages of %lu kB do not fit into this guest", want, h->size_kb);
		return CASE_SKIP;
	}
	for (long i = 0; i < 2 * (rounds + more) && !bad; i++) {
		double t0, t1, t2, t3;
		long got, freed;
		int on = i % 2;

		write_long("/proc/sys/vm/hugetlb_optimize_vmemmap", on);
		compact();
		t0 = now_ms();
		got = pool_set(h, want);
		t1 = now_ms();
		freed = start_kb - memmap_kb();
		if (got != want)
			fail("HVO %d: %ld pages of %ld", on, got, want);
		if (freed != (on ? got * (long)h->saved_kb : 0))
			fail("HVO %d: %ld pages freed %ld kB", on, got, freed);
		t2 = now_ms();
		pool_set(h, 0);
		t3 = now_ms();
		check_restored("after freeing");
		if (t1 - t0 < alloc[on])
			alloc[on] = t1 - t0;
		if (t3 - t2 < release[on])
			release[on] = t3 - t2;
		line("# HVO %s: %ld pages of %lu kB, alloc %.1f ms, free %.1f ms, vmemmap freed %ld kB",
		     on ? "on" : "off", got, h->size_kb, t1 - t0, t3 - t2, freed);
		ratio = release[1] / release[0];
		if (on && i + 1 >= 2 * rounds && ratio < bound)
			break;
	}
	line("# free with HVO on takes %.2f times as long as off, alloc %.2f times",
	     ratio, alloc[1] / alloc[0]);
	if (ratio >= bound)
		fail("freeing takes %.2f times as long, the bound is %ld", ratio, factor);
	return 0;
}

/* HVO must stay off: pages can be had, the vmemmap keeps its size. */
static int off(void)
{
	const struct hstate *h = smallest();
	long pages;

	write_long("/proc/sys/vm/hugetlb_optimize_vmemmap", 1);
	pages = pool_set(h, pool_pages(h));
	if (pages < 1)
		fail("no page of %lu kB", h->size_kb);
	if (memmap_kb() != start_kb)
		fail("%ld pages freed %ld kB though HVO is off", pages, start_kb - memmap_kb());
	pool_set(h, 0);
	check_restored("after freeing");
	return 0;
}

/* How much of the vmemmap is mapped with pages and with blocks, in KiB. */
static void vmemmap_mapped(unsigned long *pages, unsigned long *blocks)
{
	FILE *f = fopen("/sys/kernel/debug/kernel_page_tables", "r");
	bool inside = false;
	char buf[256];

	*pages = *blocks = 0;
	if (!f)
		fatal("no kernel_page_tables in debugfs");
	while (fgets(buf, sizeof(buf), f)) {
		unsigned long from, to;

		if (strstr(buf, "---["))
			inside = strstr(buf, "vmemmap start");
		if (!inside || sscanf(buf, "0x%lx-0x%lx", &from, &to) != 2 ||
		    !strstr(buf, "MEM/NORMAL"))
			continue;
		*(strstr(buf, "BLK") ? blocks : pages) += (to - from) / KB;
	}
	fclose(f);
}

/*
 * total=MB: wait until so much memory is there, boot's and what is hot-added, and
 * see that all of its vmemmap is mapped with pages; fill three quarters of it with
 * huge pages, which has to be more than the boot=MB of boot, and free them. The
 * twin looks for blocks.
 *
 * blocks: only see that there are blocks in the vmemmap.
 */
static int pagegran(void)
{
	unsigned long total = number("total", 0) * KB, pages, blocks, want;
	const struct hstate *h = smallest();
	long got;

	for (int i = 0; i < 300 && known_kb() < total; i++)
		usleep(100000);
	if (known_kb() < total)
		fail("%lu kB of memory, expected %lu", known_kb(), total);
	vmemmap_mapped(&pages, &blocks);
	line("# %lu kB of memory, its vmemmap: %lu kB in pages, %lu kB in blocks", known_kb(),
	     pages, blocks);
	if (busted || option("blocks")) {
		if (!blocks)
			fail("no block in the vmemmap");
		return 0;
	}
	want = known_kb() / page_kb * struct_page_size / KB;
	if (blocks || pages < want)
		fail("the vmemmap of %lu kB of memory takes %lu kB", known_kb(), want);

	start_kb = memmap_kb();
	compact();
	got = pool_set(h, total / 4 * 3 / h->size_kb);
	check_freed("with hot-added memory", got, h);
	if (got * h->size_kb <= number("boot", 0) * KB)
		fail("%ld pages of %lu kB fit into boot's memory", got, h->size_kb);
	pool_set(h, 0);
	check_restored("after freeing");
	line("# %ld pages of %lu kB", got, h->size_kb);
	return 0;
}

static const struct one_case all[] = {
	{ "cycles", cycles },
	{ "readers", readers },
	{ "overcommit", overcommit },
	{ "pressure", pressure },
	{ "bulk", bulk },
	{ "off", off },
	{ "pagegran", pagegran },
};

int main(int argc, char **argv)
{
	return run_case(argc, argv, all, sizeof(all) / sizeof(*all));
}
