// SPDX-License-Identifier: GPL-2.0
/*
 * CPUs and memory that come and go beside HVO: "hotplug NAME [name=value...]". What
 * all of it has in common are the locks, which a kernel with lockdep looks at.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "churn.h"

#define FAULTS "/sys/kernel/debug/fail_page_alloc/"

/*
 * Every lock that may be held when a page fault or mmap() needs a huge page beyond
 * the pool, in the order that others take them: a process goes from one cpuset to
 * another, whose memory nodes change; CPU 1 goes and comes; then the first huge
 * pages are made while mmap_lock is held. The twin leaves CPU 1 alone.
 */
static int cpuset(void)
{
	const struct hstate *h = smallest();
	long pages = number("pages", 4), moves = 0, offs = 0, freed;
	unsigned char *p;
	pid_t pid;

	make_cpusets();
	pid = fork();
	if (!pid) {
		p = mmap(NULL, KB * KB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		memset(p, 1, KB * KB);
		pause();
		_exit(0);
	}
	for (; moves < 6; moves++)
		change_cpuset(pid, moves);
	if (!busted)
		offs += cpu_off_on();

	hstate_set(h, "nr_overcommit_hugepages", pages);
	p = map_pages(h, pages);
	memset(p, 1, pages * h->size_kb * KB);
	check_freed("mapped", pages, h);
	freed = start_kb - memmap_kb();
	munmap(p, pages * h->size_kb * KB);
	hstate_set(h, "nr_overcommit_hugepages", 0);

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	check_restored("unmapped");
	rmdir(CGROUP_DIR "one");
	rmdir(CGROUP_DIR "two");
	line("# %ld moves between cpusets, CPU 1 off %ld times, %ld pages of %lu kB freed %ld kB",
	     moves, offs, pages, h->size_kb, freed);
	if (!offs)
		fail("CPU 1 was never off");
	check_lockdep();
	return 0;
}

/* What the other processes have done; shared. */
struct done {
	volatile int stop;
	volatile long cpus, offline, online, refused, fills, maps, moves;
	volatile pid_t user;
};

static void loop_cpu(struct done *d)
{
	while (!d->stop)
		d->cpus += cpu_off_on();
}

static void loop_memory(struct done *d)
{
	unsigned long block[MAX_BLOCKS];
	int nr = added_blocks(block);

	for (int i = 0; !d->stop && nr; i = (i + 1) % nr) {
		int fd = open_block(block[i]);

		if (fd < 0)
			continue;
		if (write(fd, "offline", 7) == 7)
			d->offline++;
		else
			d->refused++;
		close(fd);
		fd = open_block(block[i]);
		if (write(fd, "online_movable", 14) == 14)
			d->online++;
		close(fd);
	}
}

/*
 * Some pages are left in the pool: where none is free, memory with a huge page in it
 * does not go; where some are, who takes it off waits for those that are on their way.
 */
static void loop_pool(struct done *d)
{
	const struct hstate *h = smallest();
	long pages = number("pages", mem_kb / 2 / h->size_kb);

	while (!d->stop) {
		pool_set(h, pages);
		pool_set(h, pages / 8);
		d->fills++;
	}
	pool_set(h, 0);
}

/* Somebody who maps huge pages beyond the pool; its mmap_lock is held meanwhile. */
static void loop_user(struct done *d)
{
	const struct hstate *h = smallest();

	d->user = getpid();
	while (!d->stop) {
		unsigned char *p = mmap(NULL, 8 * h->size_kb * KB, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
					(__builtin_ctzl(h->size_kb * KB) << MAP_HUGE_SHIFT), -1, 0);

		if (p == MAP_FAILED)
			continue;
		munmap(p, 8 * h->size_kb * KB);
		d->maps++;
	}
}

/* Somebody who moves that one from cpuset to cpuset. */
static void loop_cpuset(struct done *d)
{
	while (!d->stop && !d->user)
		usleep(1000);
	while (!d->stop)
		change_cpuset(d->user, d->moves++);
}

/*
 * seconds=N: a pool is filled and freed, blocks of memory go and come, a process that
 * maps huge pages is moved from cpuset to cpuset, and CPU 1 goes and comes, each in a
 * loop of its own; 1 GiB of memory comes for that, and goes in the end. It goes on, it
 * comes to an end, and all counters are back. The twin leaves CPU 1 alone.
 */
static int loops(void)
{
	static const struct {
		const char *what;
		void (*loop)(struct done *d);
	} all[] = {
		{ "fills a pool", loop_pool },
		{ "takes memory off", loop_memory },
		{ "changes cpusets", loop_cpuset },
		{ "maps huge pages", loop_user },
		{ "takes CPU 1 off", loop_cpu },
	};
	enum { NR = sizeof(all) / sizeof(*all) };
	struct done *d = mmap(NULL, sizeof(*d), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			      -1, 0), last = { 0 };
	unsigned long had = known_kb(), block[MAX_BLOCKS];
	double end = now_ms() + number("seconds", 20) * 1e3, quiet = now_ms();
	long limit = number("limit", 60);
	pid_t pid[NR];
	int hung = 0;

	if (d == MAP_FAILED)
		fatal("mmap: %s", strerror(errno));
	monitor("qom-set hot0 requested-size %ldM\n", 1024);
	if (!memory_becomes(had + 1024 * KB, 30) || !added_blocks(block))
		fatal("no memory that can be taken off");
	make_cpusets();
	hstate_set(smallest(), "nr_overcommit_hugepages", 64);
	write_long("/proc/sys/kernel/hung_task_timeout_secs", limit);
	for (int i = 0; i < NR; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			if (all[i].loop != loop_cpu || !busted)
				all[i].loop(d);
			_exit(0);
		}
	}
	/* Each of them has to go on. */
	while (now_ms() < end && now_ms() - quiet < limit * 1e3) {
		usleep(100000);
		if (d->fills != last.fills && d->maps != last.maps && d->moves != last.moves &&
		    d->offline + d->refused != last.offline + last.refused &&
		    (busted || d->cpus != last.cpus)) {
			quiet = now_ms();
			last = *d;
		}
	}
	d->stop = 1;
	for (int i = 0; i < NR; i++) {
		int t = 0;

		while (waitpid(pid[i], NULL, WNOHANG) != pid[i] && ++t < limit * 10)
			usleep(100000);
		if (t < limit * 10)
			continue;
		hung++;
		fail("the process that %s does not come to an end", all[i].what);
	}
	line("# %ld times CPU 1 off and on, %ld blocks of memory off and %ld on (%ld refused), %ld fills, %ld maps, %ld moves",
	     d->cpus, d->offline, d->online, d->refused, d->fills, d->maps, d->moves);
	/* Nothing more can be told of a kernel that hangs. */
	if (hung)
		exit(CASE_FAIL);
	hstate_set(smallest(), "nr_overcommit_hugepages", 0);
	if (!d->cpus)
		fail("CPU 1 was never off");
	if (!d->offline || !d->fills || !d->maps || !d->moves)
		fail("not each of them did something");
	monitor("qom-set hot0 requested-size %ldM\n", 0);
	if (!memory_becomes(had, 30))
		fail("%lu kB are there, expected %lu", known_kb(), had);
	check_lockdep();
	return 0;
}

/* Where a function begins and where the next one does. */
static void function(const char *name, unsigned long *from, unsigned long *to)
{
	unsigned long at;
	char buf[256], type, sym[200];
	FILE *f = fopen("/proc/kallsyms", "r");

	*from = *to = 0;
	while (f && fgets(buf, sizeof(buf), f)) {
		if (sscanf(buf, "%lx %c %199s", &at, &type, sym) != 3)
			continue;
		if (!strcmp(sym, name))
			*from = at;
		else if (*from && at > *from && (!*to || at < *to))
			*to = at;
	}
	if (f)
		fclose(f);
	if (!*to)
		fatal("no function %s in /proc/kallsyms", name);
}

/* Each failure leaves at most a few page tables; a block's vmemmap has 2048 kB. */
#define MAY_BE_LOST_KB	2048

/* Memory is to be added, and the memory for its vmemmap fails after so many pages. */
static void add_fails_after(long pages, unsigned long each, unsigned long had,
			    unsigned long block)
{
	unsigned long there;

	write_long(FAULTS "space", pages + 1);
	write_long(FAULTS "times", 1);
	write_long(FAULTS "probability", busted ? 0 : 100);
	monitor("qom-set hot0 requested-size %ldM\n", 256);
	for (int k = 0; k < 250 && read_long(FAULTS "times"); k++)
		usleep(20000);
	if (read_long(FAULTS "times"))
		fail("no memory failed after %ld pages", pages);
	write_long(FAULTS "probability", 0);
	usleep(50000);
	/* The first block of memory may be there, the one that failed is not. */
	there = known_kb() - had;
	if (there > block)
		fail("%lu kB were added though memory failed", there);
	if (memmap_kb() != start_kb + (long)(there / page_kb * each / KB))
		fail("failed after %ld pages: the vmemmap has %ld kB, expected %ld for %lu kB more",
		     pages, memmap_kb(), start_kb + there / page_kb * each / KB, there);
	monitor("qom-set hot0 requested-size %ldM\n", 0);
	if (!memory_becomes(had, 20))
		fail("%lu kB are there, expected %lu", known_kb(), had);
	check_restored("failed and taken away");
}

/*
 * virtio-mem is to bring 256 MiB, and the memory for its vmemmap fails after so many
 * pages. The kernel is then as it was before, and the next time it works. page_ext=N:
 * see memory.c. The twin does not let it fail.
 */
static int add_fails(void)
{
	static const long after[] = { 0, 1, 255, 511, 600, 1023 };
	const struct hstate *h = smallest();
	unsigned long each = struct_page_size + number("page_ext", 0);
	unsigned long from, to, had = known_kb(), block = 128 * KB;
	long free_was, lost = LONG_MAX, pages, got;
	char buf[32];
	int rounds;

	if (page_kb != 4) {
		line("# made for pages of 4 kB");
		return CASE_SKIP;
	}
	function("vmemmap_populate_basepages", &from, &to);
	snprintf(buf, sizeof(buf), "%#lx", from);
	if (write_text(FAULTS "require-start", buf)) {
		line("# this kernel has no fault injection");
		return CASE_SKIP;
	}
	snprintf(buf, sizeof(buf), "%#lx", to);
	write_text(FAULTS "require-end", buf);
	write_long(FAULTS "stacktrace-depth", 32);
	write_text(FAULTS "ignore-gfp-wait", "N");
	write_long(FAULTS "min-order", 0);
	write_long(FAULTS "verbose", 0);
	write_long(FAULTS "interval", 1);
	/* Others take and give memory, too; what is lost is lost in each round. */
	for (rounds = 0; rounds < 3 && lost > MAY_BE_LOST_KB && !bad; rounds++) {
		compact();
		free_was = meminfo_kb("MemFree");
		for (size_t i = 0; i < sizeof(after) / sizeof(*after) && !bad; i++)
			add_fails_after(after[i], each, had, block);
		compact();
		lost = free_was - meminfo_kb("MemFree");
	}

	monitor("qom-set hot0 requested-size %ldM\n", 256);
	if (!memory_becomes(had + 2 * block, 20))
		fail("256 MiB could not be added: %lu kB, had %lu", known_kb(), had);
	start_kb += 2 * block / page_kb * each / KB;
	pages = 64;
	got = pool_set(h, pages);
	check_freed("added", got, h);
	pool_set(h, 0);
	check_restored("added");
	monitor("qom-set hot0 requested-size %ldM\n", 0);
	if (!memory_becomes(had, 20))
		fail("%lu kB are there, expected %lu", known_kb(), had);
	start_kb -= 2 * block / page_kb * each / KB;
	line("# %zu failures, %ld kB less are free after them, round %d",
	     sizeof(after) / sizeof(*after), lost, rounds);
	if (lost > MAY_BE_LOST_KB)
		fail("%ld kB are lost", lost);
	check_lockdep();
	return 0;
}

static const struct one_case all[] = {
	{ "cpuset", cpuset },
	{ "loops", loops },
	{ "add-fails", add_fails },
};

int main(int argc, char **argv)
{
	return run_case(argc, argv, all, sizeof(all) / sizeof(*all));
}
