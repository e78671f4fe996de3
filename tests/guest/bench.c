// SPDX-License-Identifier: GPL-2.0
/*
 * The operations that `make bench` counts: "bench NAME [name=value...]". Each is one
 * system call, most often a write to a file of HugeTLB's, between two marks that the
 * plugin of bench/count.c knows. What it wrote is printed when all is done, one line
 * for each in the order of the marks, for a console that is busy has interrupts:
 *
 *	op NAME pages=N clock=NS [COUNTER=N ...]
 *
 * clock is the guest's: with QEMU's -icount shift=0,sleep=off, a nanosecond for each
 * instruction, and besides what was slept, for then the clock jumps to the next
 * timer. COUNTERs are the differences of debugfs vmemmap_shadow/stats, of vmemmap_bbm,
 * which the rivals have, and of some lines of /proc/vmstat.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "case.h"

#define STATS "/sys/kernel/debug/vmemmap_shadow/stats"
#define RIVAL_STATS "/sys/kernel/debug/vmemmap_bbm"
#define MAX_STATS 64
#define MAX_OPS 64

struct stats {
	int nr;
	char name[MAX_STATS][128];
	long value[MAX_STATS];
};

static struct op {
	char name[32];
	long pages, clock;
	struct stats diff;
} ops[MAX_OPS];
static int nr_ops;

static const struct hstate *mib2, *gib1;

static void add_stats(struct stats *s, const char *path)
{
	FILE *f = fopen(path, "r");
	char buf[128];

	while (f && s->nr < MAX_STATS && fgets(buf, sizeof(buf), f)) {
		char *colon = strrchr(buf, ':');

		if (!colon)
			continue;
		*colon = '\0';
		snprintf(s->name[s->nr], sizeof(s->name[0]), "%s", buf);
		for (char *p = s->name[s->nr]; *p; p++)
			if (*p == ' ')
				*p = '-';
		s->value[s->nr++] = strtol(colon + 1, NULL, 10);
	}
	if (f)
		fclose(f);
}

static void add_stat(struct stats *s, const char *name, long value)
{
	if (s->nr == MAX_STATS)
		fatal("more than %d counters", MAX_STATS);
	snprintf(s->name[s->nr], sizeof(s->name[0]), "%s", name);
	s->value[s->nr++] = value;
}

/* Pages that the buddy allocator gave, and what compaction did. */
static void add_vmstat(struct stats *s)
{
	FILE *f = fopen("/proc/vmstat", "r");
	long value, allocated = 0;
	char name[128];

	if (!f)
		fatal("/proc/vmstat: %s", strerror(errno));
	while (fscanf(f, "%127s %ld", name, &value) == 2) {
		if (!strncmp(name, "pgalloc_", 8))
			allocated += value;
		else if (!strcmp(name, "pgmigrate_success"))
			add_stat(s, "pages-migrated", value);
		else if (!strcmp(name, "compact_migrate_scanned"))
			add_stat(s, "scanned-to-migrate", value);
		else if (!strcmp(name, "compact_free_scanned"))
			add_stat(s, "scanned-for-free", value);
	}
	fclose(f);
	add_stat(s, "pages-allocated", allocated);
}

static void read_stats(struct stats *s)
{
	s->nr = 0;
	add_stats(s, STATS);
	add_stats(s, RIVAL_STATS);
	add_vmstat(s);
}

static long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static struct op *the_op;
static struct stats before;
static long start;

#define op_begin(...) \
do { \
	if (nr_ops == MAX_OPS) \
		fatal("more than %d operations", MAX_OPS); \
	the_op = &ops[nr_ops++]; \
	snprintf(the_op->name, sizeof(the_op->name), __VA_ARGS__); \
	read_stats(&before); \
	start = now_ns(); \
	asm volatile("hint #112" ::: "memory"); \
} while (0)

static void op_end(long pages)
{
	struct stats after;

	asm volatile("hint #113" ::: "memory");
	the_op->clock = now_ns() - start;
	the_op->pages = pages;
	read_stats(&after);
	/* A longest is no sum: it is told as it is. */
	for (int i = 0; i < after.nr; i++)
		if (!strstr(after.name[i], "longest"))
			after.value[i] -= before.value[i];
	the_op->diff = after;
}

static void print_ops(void)
{
	for (int i = 0; i < nr_ops; i++) {
		printf("op %s pages=%ld clock=%ld", ops[i].name, ops[i].pages, ops[i].clock);
		for (int k = 0; k < ops[i].diff.nr; k++)
			printf(" %s=%ld", ops[i].diff.name[k], ops[i].diff.value[k]);
		putchar('\n');
	}
	fflush(stdout);
}

static int open_pool(const struct hstate *h, const char *file)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%lukB/%s", h->size_kb,
		 file);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		fatal("%s: %s", path, strerror(errno));
	return fd;
}

/* Write a number to a file of a pool; only the write is counted. */
#define op_write(h, file, number, ...) \
do { \
	int __fd = open_pool(h, file); \
	char __text[24]; \
	int __len = snprintf(__text, sizeof(__text), "%ld", (long)(number)); \
	ssize_t __n; \
	\
	op_begin(__VA_ARGS__); \
	__n = write(__fd, __text, __len); \
	op_end(number); \
	if (__n != __len) \
		fail("%s: %s", the_op->name, strerror(errno)); \
	close(__fd); \
} while (0)

static void expect(const struct hstate *h, long pages, bool optimized)
{
	long got = hstate_get(h, "nr_hugepages");
	long want = optimized ? pages * (long)h->saved_kb : 0;
	/* Some kernels optimize a page beyond the pool a moment later. */
	long freed = start_kb - memmap_kb_settled(start_kb - want);

	if (got != pages)
		fail("%s: %ld pages of %ld", the_op->name, got, pages);
	if (optimized && freed != want)
		fail("%s: %ld kB freed, expected %ld", the_op->name, freed, want);
	if (!optimized && freed)
		fail("%s: %ld kB freed, though HVO is off", the_op->name, freed);
}

static bool is_on(void)
{
	return !option("off");
}

static void sizes(void)
{
	mib2 = smallest();
	gib1 = largest();
	if (is_on() && read_long("/proc/sys/vm/hugetlb_optimize_vmemmap") != 1)
		fatal("HVO is not on");
	if (!is_on() && read_long("/proc/sys/vm/hugetlb_optimize_vmemmap") == 1)
		fatal("HVO is on");
	/* The console has printed what it had to. */
	usleep(300000);
}

/* Fill and empty the pool of the smallest size; what names both operations. */
static void there_and_back(const struct hstate *h, long pages, const char *what)
{
	compact();
	op_write(h, "nr_hugepages", pages, "alloc-%s", what);
	expect(h, pages, is_on());
	op_write(h, "nr_hugepages", 0, "free-%s", what);
	ops[nr_ops - 1].pages = pages;
	expect(h, 0, is_on());
}

/*
 * The five operations: pages=N of 2 MiB there and back, on memory that was never used;
 * the same once more; a page of 1 GiB there and back; gigantic=N of these demoted.
 */
static int operations(void)
{
	long pages = number("pages", 3500), gigantic = number("gigantic", 4), got;
	int err;

	sizes();
	there_and_back(mib2, pages, "2m");
	there_and_back(mib2, pages, "2m-again");
	there_and_back(gib1, 1, "1g");
	compact();
	op_write(gib1, "nr_hugepages", gigantic, "alloc-1g-%ld", gigantic);
	got = hstate_get(gib1, "nr_hugepages");
	expect(gib1, gigantic, is_on());
	err = write_text("/sys/kernel/mm/hugepages/hugepages-1048576kB/demote_size", "2048kB");
	if (err)
		fail("demote_size: %s", strerror(-err));
	op_write(gib1, "demote", got, "demote-1g");
	expect(mib2, got * (long)(gib1->size_kb / mib2->size_kb), is_on());
	op_write(mib2, "nr_hugepages", 0, "free-demoted");
	ops[nr_ops - 1].pages = got * (long)(gib1->size_kb / mib2->size_kb);
	print_ops();
	return 0;
}

/* Of 1, 10, 100, 1000 pages and as many as fit: does the price of one stay the same? */
static int scale(void)
{
	char what[24];

	sizes();
	for (long n = 1; n <= number("most", 3500); n = n == 1000 ? number("most", 3500) : n * 10) {
		snprintf(what, sizeof(what), "2m-%ld", n);
		there_and_back(mib2, n, what);
		if (n == number("most", 3500))
			break;
	}
	print_ops();
	return 0;
}

/*
 * Surplus pages: one by a page fault, pages=N reserved at once, and the same given up
 * within the moment.
 */
static int surplus(void)
{
	unsigned long size;
	long pages = number("pages", 1000);
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB;
	unsigned char *p;

	sizes();
	size = mib2->size_kb * KB;
	flags |= __builtin_ctzl(size) << MAP_HUGE_SHIFT;
	hstate_set(mib2, "nr_overcommit_hugepages", pages);
	compact();
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		fatal("mmap: %s", strerror(errno));
	op_begin("fault-2m");
	*(volatile unsigned char *)p = 1;
	op_end(1);
	expect(mib2, 1, is_on());
	munmap(p, size);
	check_restored("after a page fault");

	op_begin("reserve-2m");
	p = mmap(NULL, pages * size, PROT_READ | PROT_WRITE, flags, -1, 0);
	op_end(pages);
	if (p == MAP_FAILED)
		fatal("mmap of %ld pages: %s", pages, strerror(errno));
	expect(mib2, pages, is_on());
	munmap(p, pages * size);
	check_restored("after a reservation");

	op_begin("young-2m");
	p = mmap(NULL, pages * size, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (p == MAP_FAILED)
		fatal("mmap of %ld pages: %s", pages, strerror(errno));
	munmap(p, pages * size);
	op_end(pages);
	hstate_set(mib2, "nr_overcommit_hugepages", 0);
	check_restored("after pages that died young");
	print_ops();
	return 0;
}

/*
 * Pages of 2 MiB there and back while a process on each other CPU never leaves user mode by
 * itself. It yields now and then: QEMU runs all vCPUs in turn, and has the next one run.
 */
static int others(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN), pages = number("pages", 1000);
	pid_t pid[16];

	sizes();
	for (long i = 1; i < cpus && i < 16; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			pin(i);
			for (;;) {
				for (int k = 0; k < 5000; k++)
					asm volatile("" ::: "memory");
				asm volatile("yield" ::: "memory");
			}
		}
	}
	pin(0);
	usleep(300000);
	there_and_back(mib2, pages, "2m");
	for (long i = 1; i < cpus && i < 16; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
	print_ops();
	return 0;
}

/*
 * What make bench-check compares: few pages, and each operation once. The twin fills its
 * pool ten pages at a time, and so waits for a grace period as often.
 */
static int check(void)
{
	long pages = number("pages", 1000);
	int err;

	sizes();
	if (busted) {
		compact();
		op_begin("busted-alloc-2m-again");
		for (long n = 10; n <= pages; n += 10)
			hstate_set(mib2, "nr_hugepages", n);
		op_end(pages);
		expect(mib2, pages, true);
		pool_set(mib2, 0);
		print_ops();
		return 0;
	}
	there_and_back(mib2, pages, "2m");
	there_and_back(mib2, pages, "2m-again");
	there_and_back(gib1, 1, "1g");
	compact();
	pool_set(gib1, 1);
	err = write_text("/sys/kernel/mm/hugepages/hugepages-1048576kB/demote_size", "2048kB");
	if (err)
		fail("demote_size: %s", strerror(-err));
	op_write(gib1, "demote", 1, "demote-1g");
	expect(mib2, gib1->size_kb / mib2->size_kb, true);
	pool_set(mib2, 0);
	print_ops();
	return 0;
}

/* GUP-fast of each page of a mapping, 16 at a time: into a pipe, and out of it. */
static void gup(const char *name, unsigned char *p, unsigned long size)
{
	const unsigned long step = 16 * page_kb * KB;
	int fds[2], null = open("/dev/null", O_WRONLY);

	if (null < 0 || pipe(fds))
		fatal("%s: %s", name, strerror(errno));
	for (unsigned long i = 0; i < size; i += page_kb * KB)
		p[i] = 1;
	op_begin("%s", name);
	for (unsigned long i = 0; i < size; i += step) {
		struct iovec iov = { p + i, step };
		ssize_t in = vmsplice(fds[1], &iov, 1, 0);

		if (in != (ssize_t)step || splice(fds[0], NULL, null, NULL, step, 0) != in)
			fail("%s: %s", name, strerror(errno));
	}
	op_end(size / (page_kb * KB));
	close(fds[0]);
	close(fds[1]);
	close(null);
}

/*
 * What those pay who look at struct pages, pool or no pool: kpageflags, compaction, reads
 * of the page cache, GUP-fast of small pages and of a huge one. "after" goes to the names:
 * pools have come and gone, and memory does not look the same any more.
 */
static int walks(void)
{
	const char *when = option("after") ? "-after" : "";
	static char buf[1 << 16];
	const unsigned long size = 8 * KB * KB;
	unsigned char *p;
	char name[32];
	long n = 0;
	int fd;

	sizes();
	compact();
	fd = open("/proc/kpageflags", O_RDONLY);
	op_begin("kpageflags%s", when);
	for (ssize_t got; (got = read(fd, buf, sizeof(buf))) > 0;)
		n += got / 8;
	op_end(n);
	close(fd);

	op_begin("compact%s", when);
	write_long("/proc/sys/vm/compact_memory", 1);
	op_end(n);

	fd = open("/tmp/walks", O_RDWR | O_CREAT, 0600);
	for (unsigned long i = 0; i < size; i += sizeof(buf))
		if (write(fd, buf, sizeof(buf)) != sizeof(buf))
			fatal("/tmp/walks: %s", strerror(errno));
	lseek(fd, 0, SEEK_SET);
	op_begin("page-cache%s", when);
	while (read(fd, buf, sizeof(buf)) > 0)
		;
	op_end(size / (page_kb * KB));
	close(fd);
	unlink("/tmp/walks");

	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		fatal("mmap: %s", strerror(errno));
	snprintf(name, sizeof(name), "gup-small%s", when);
	gup(name, p, size);
	munmap(p, size);

	pool_set(mib2, 4);
	p = map_pages(mib2, 4);
	snprintf(name, sizeof(name), "gup-huge%s", when);
	gup(name, p, 4 * mib2->size_kb * KB);
	munmap(p, 4 * mib2->size_kb * KB);
	pool_set(mib2, 0);
	print_ops();
	return 0;
}

/*
 * All that was executed since power-on, with pages=N of 1 GiB from the command line. They
 * stay, for freeing them would touch the memory of a guest that is larger than the host.
 * What MemTotal lacks was taken before the buddy allocator was there, as page tables are.
 */
static int boot(void)
{
	asm volatile("hint #113" ::: "memory");
	gib1 = largest();
	the_op = &ops[nr_ops++];
	strcpy(the_op->name, "boot");
	the_op->pages = number("pages", 0);
	the_op->clock = now_ns();
	read_stats(&the_op->diff);
	add_stat(&the_op->diff, "MemTotal-kB", meminfo_kb("MemTotal"));
	if (hstate_get(gib1, "nr_hugepages") != the_op->pages)
		fail("%ld pages of %ld", hstate_get(gib1, "nr_hugepages"), the_op->pages);
	print_ops();
	exit(bad ? CASE_FAIL : CASE_OK);
}

static const struct one_case all[] = {
	{ "check", check },
	{ "walks", walks },
	{ "boot", boot },
	{ "operations", operations },
	{ "scale", scale },
	{ "surplus", surplus },
	{ "others", others },
};

int main(int argc, char **argv)
{
	return run_case(argc, argv, all, sizeof(all) / sizeof(*all));
}
