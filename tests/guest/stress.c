// SPDX-License-Identifier: GPL-2.0
/*
 * All that can happen to huge pages, at once and at random: "stress run
 * [seconds=N] [seed=N] [without=NAME...]". Each actor is a process that does one kind of
 * thing over and over; what comes when follows from the seed, as far as the kernel lets
 * it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "churn.h"

#define SYSCTL "/proc/sys/vm/hugetlb_optimize_vmemmap"
#define STATE "/sys/kernel/debug/vmemmap_shadow/state"
#define CMA_DIR "/sys/kernel/debug/cma/reserved/"
#define HOT_MB 1024
#define NR_USERS 3
/* Refused in fewer of them, an actor has not had a chance. */
#define FEW_TURNS 3

/* What became of one thing that an actor tried. */
enum became {
	DONE,
	REFUSED,		/* the kernel said no, as it may */
	NOT_HERE,		/* this kernel or machine has no such thing */
};

/* What a life of a huge page has seen. */
enum seen {
	LIVED, COPIED, UNCOPIED, MOVED, SOFT, HARD, PUNCHED, NO_PAGE, KILLED, NR_SEEN,
};

static const char * const seen_name[] = {
	"lived", "copied on write", "empty in a child", "migrated", "soft-offlined", "poisoned", "punched",
	"had no page", "were killed",
};

static struct shared {
	volatile int stop;
	volatile long wrong;
	volatile long healed;
	unsigned int ticket, served;
	volatile unsigned long seen[NR_SEEN];
	volatile pid_t user[NR_USERS];
	struct {
		volatile unsigned long did, refused;
		volatile int not_here;
	} actor[32];
} *all;

/*
 * The kernel unpoisons pages of memory that is going off, too, into the free lists, and
 * dies of that when their struct pages are gone. Seen with HVO off, too. So only one of
 * those who do either is at it, in the order in which they come: on a slow kernel each
 * takes minutes. (A kernel for experts may have no flock().)
 */
static void alone(void)
{
	unsigned int mine = __atomic_fetch_add(&all->ticket, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&all->served, __ATOMIC_ACQUIRE) != mine)
		usleep(1000);
}

static void not_alone(void)
{
	__atomic_fetch_add(&all->served, 1, __ATOMIC_RELEASE);
}

/* ---------------------------------------------------------------------- */
/* Chance								    */

static uint64_t chance;

static uint64_t next(void)
{
	uint64_t z = chance += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* A number from 0 to @n - 1. */
static unsigned long roll(unsigned long n)
{
	return n ? next() % n : 0;
}

/* The largest size that is used. */
static int first_size;

/* Small sizes more often than large ones, and none that does not fit. */
static const struct hstate *any_size(void)
{
	int i = nr_hstates - 1;

	while (i > first_size && !roll(3))
		i--;
	while (!pool_pages(&hstates[i]) && i < nr_hstates - 1)
		i++;
	return &hstates[i];
}

static void nap(unsigned long ms)
{
	usleep(roll(ms * 1000));
}

static void count(enum seen what)
{
	__atomic_fetch_add(&all->seen[what], 1, __ATOMIC_RELAXED);
}

/* ---------------------------------------------------------------------- */
/* Users of huge pages							    */

/* The kernel kills who has a page that is poisoned. */
static bool poisons;

static void no_page(int sig)
{
	(void)sig;
	if (!poisons)
		_exit(NO_PAGE);
	count(HARD);
	_exit(LIVED);
}

/* Its pages, and the last thing that a life did, for whom it may concern. */
static unsigned long size_kb;
static const char *last;

static void wrong(const unsigned char *p, unsigned long at, unsigned long want)
{
	if (__atomic_fetch_add(&all->wrong, 1, __ATOMIC_RELAXED) < 4)
		line("# offset %#lx of pages of %lu kB holds %#lx, expected %#lx, after %s", at,
		     size_kb, *(const unsigned long *)(p + at), want, last);
}

static void holds(const unsigned char *p, unsigned long size, unsigned long salt)
{
	if (holds_all(p, size, salt))
		return;
	for (unsigned long i = 0; i < size; i += page_kb * KB) {
		if (*(const unsigned long *)(p + i) == (i ^ salt))
			continue;
		wrong(p, i, i ^ salt);
		return;
	}
	/* It was wrong a moment ago. */
	wrong(p, 0, salt);
}

/* Does it hold nothing at all, somewhere? */
static bool is_empty(const unsigned char *p, unsigned long size)
{
	for (unsigned long i = 0; i < size; i += page_kb * KB)
		if (!*(const unsigned long *)(p + i))
			return true;
	return false;
}

/*
 * Both have what they had, whoever writes first. But Linux itself, 6.12 without any patch
 * of ours and 7.3 with HVO off, leaves a child with an empty page now and then; those are
 * counted apart. What has anything else is wrong.
 */
static void copy_on_write(unsigned char *p, unsigned long size, unsigned long salt)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return;
	if (!pid) {
		last = "fork(), in the child";
		if (!holds_all(p, size, salt) && is_empty(p, size))
			_exit(UNCOPIED);
		holds(p, size, salt);
		write_all(p, size, ~salt);
		last = "a copy on write, in the child";
		holds(p, size, ~salt);
		_exit(LIVED);
	}
	write_all(p, size, salt);
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status))
		count(WEXITSTATUS(status) == LIVED ? COPIED : WEXITSTATUS(status));
}

/* A life of some huge pages, from mmap() to munmap(), in a process of its own. */
static void live(void)
{
	const struct hstate *h = any_size();
	unsigned long one = h->size_kb * KB, salt = next();
	long pages = 1 + roll(one > 64 * KB * KB ? 1 : 64 * KB * KB / one > 16 ? 16 : 2);
	unsigned long size = pages * one;
	int fd = -1, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
		__builtin_ctzl(one) << MAP_HUGE_SHIFT;
	unsigned char *p;
	bool own = true;

	size_kb = h->size_kb;
	signal(SIGBUS, no_page);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	write_text("/proc/self/oom_score_adj", "900");
	if (!roll(2))
		flags |= MAP_NORESERVE;
	if (!roll(3)) {
		fd = memfd_create("stress", MFD_HUGETLB | __builtin_ctzl(one) << MAP_HUGE_SHIFT);
		if (fd < 0 || ftruncate(fd, size))
			_exit(NO_PAGE);
		flags = MAP_SHARED;
		own = false;
	}
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (p == MAP_FAILED)
		_exit(NO_PAGE);
	/* Some are given back as they were reserved. */
	if (!roll(8)) {
		nap(1500);
		_exit(LIVED);
	}
	write_all(p, size, salt);
	for (int i = roll(5); i > 0; i--) {
		unsigned char *at = p + roll(pages) * one;

		nap(700);
		last = "a nap";
		switch (roll(6)) {
		case 0:
			last = "fork()";
			if (flags & MAP_NORESERVE)
				copy_on_write(p, size, salt);
			break;
		case 1:
			last = "a move to a node";
			if (move_page(at + roll(one / (page_kb * KB)) * page_kb * KB, roll(2)))
				count(MOVED);
			break;
		case 2:
			last = own ? "soft offline" : "soft offline of shared memory";
			if (one <= 64 * KB * KB &&
			    !madvise(at + roll(one / (page_kb * KB)) * page_kb * KB,
				     page_kb * KB, MADV_SOFT_OFFLINE))
				count(SOFT);
			break;
		case 3:
			last = "a hole";
			if (!own && !fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					       at - p, one)) {
				count(PUNCHED);
				for (unsigned long o = 0; o < one; o += page_kb * KB)
					if (*(unsigned long *)(at + o))
						wrong(at, o, 0);
				write_all(p, size, salt);
			}
			break;
		default:
			break;
		}
		holds(p, size, salt);
	}
	/* Whoever looks at it from here on gets a SIGBUS. */
	if (one <= 64 * KB * KB && !roll(40)) {
		poisons = true;
		if (!madvise(p + roll(size / (page_kb * KB)) * page_kb * KB, page_kb * KB,
			     MADV_HWPOISON))
			count(HARD);
		_exit(LIVED);
	}
	for (long i = 0; !roll(2) && i < pages; i++)
		munmap(p + i * one, one);
	_exit(LIVED);
}

static enum became use(void)
{
	uint64_t life;
	int status;
	pid_t pid;

	life = next();
	pid = fork();
	if (!pid) {
		chance = life;
		live();
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return REFUSED;
	if (!WIFEXITED(status)) {
		count(KILLED);
		return REFUSED;
	}
	count(WEXITSTATUS(status) == LIVED ? LIVED : NO_PAGE);
	return WEXITSTATUS(status) == LIVED ? DONE : REFUSED;
}

/* ---------------------------------------------------------------------- */
/* Operators								    */

static enum became resize(void)
{
	const struct hstate *h = any_size();
	long pages = roll(pool_pages(h) + 1);
	char path[128];

	nap(400);
	if (roll(3))
		return pool_set(h, pages) == pages ? DONE : REFUSED;
	snprintf(path, sizeof(path),
		 "/sys/devices/system/node/node%lu/hugepages/hugepages-%lukB/nr_hugepages",
		 roll(2), h->size_kb);
	return write_long(path, pages / 2) ? REFUSED : DONE;
}

static enum became demote(void)
{
	const struct hstate *small = smallest(), *big;
	long larger = small - hstates - first_size;

	if (larger <= 0)
		return NOT_HERE;
	big = &hstates[first_size + roll(larger)];
	nap(1500);
	pool_set(big, 1);
	if (hstate_get(big, "free_hugepages") < 1)
		return REFUSED;
	return pool_demote(big, small) ? REFUSED : DONE;
}

static enum became overcommit(void)
{
	const struct hstate *h = any_size();

	nap(800);
	return hstate_set(h, "nr_overcommit_hugepages", roll(pool_pages(h) + 1)) ? REFUSED : DONE;
}

static enum became turn(void)
{
	nap(600);
	return write_long(SYSCTL, roll(2)) ? NOT_HERE : DONE;
}

static enum became heal(void)
{
	long healed;

	nap(4000);
	alone();
	healed = unpoison_all();
	not_alone();
	all->healed += healed;
	return healed ? DONE : REFUSED;
}

static enum became limit(void)
{
	const struct hstate *h = smallest();
	const char *group = roll(2) ? "one" : "two";
	char path[128], size[16];

	nap(500);
	snprintf(size, sizeof(size), h->size_kb >= KB ? "%luMB" : "%luKB",
		 h->size_kb >= KB ? h->size_kb / KB : h->size_kb);
	snprintf(path, sizeof(path), CGROUP_DIR "%s/hugetlb.%s.max", group, size);
	if (access(path, W_OK))
		return NOT_HERE;
	if (roll(2) ? write_text(path, "max") : write_long(path, roll(64) * h->size_kb * KB))
		return REFUSED;
	snprintf(path, sizeof(path), CGROUP_DIR "%s/memory.max", group);
	if (roll(2) ? write_text(path, "max") : write_long(path, (16 + roll(240)) * KB * KB))
		return REFUSED;
	return DONE;
}

/* ---------------------------------------------------------------------- */
/* The rest of the kernel						    */

static enum became compaction(void)
{
	nap(1000);
	return write_long("/proc/sys/vm/compact_memory", 1) ? NOT_HERE : DONE;
}

/* Read a file to its end, or write ones to it. */
static enum became whole(const char *path, int flags)
{
	static char buf[1 << 16];
	int fd = open(path, flags);
	ssize_t n;

	if (fd < 0)
		return NOT_HERE;
	memset(buf, 0xff, sizeof(buf));
	do {
		n = flags == O_RDONLY ? read(fd, buf, sizeof(buf)) : write(fd, buf, sizeof(buf));
	} while (n > 0 && !all->stop);
	close(fd);
	return DONE;
}

static enum became look(void)
{
	static const char * const path[] = {
		"/proc/kpageflags", "/proc/kpagecount", "/proc/kpagecgroup",
		"/sys/kernel/mm/page_idle/bitmap", STATE,
	};

	whole(path[roll(sizeof(path) / sizeof(*path))], O_RDONLY);
	return DONE;
}

static enum became idle(void)
{
	nap(300);
	return whole("/sys/kernel/mm/page_idle/bitmap", O_WRONLY);
}

/* Every page of the vmemmap, through /proc/kcore. */
static enum became kcore(void)
{
	struct { unsigned char ident[16]; uint16_t type, machine; uint32_t version;
		 uint64_t entry, phoff, shoff; uint32_t flags; uint16_t ehsize, phentsize, phnum;
	} head;
	struct { uint32_t type, flags; uint64_t offset, vaddr, paddr, filesz, memsz, align; } seg;
	static char buf[1 << 16];
	unsigned long from = ~0UL, to = 0, lo, hi, n = 0;
	int fd = open("/proc/kcore", O_RDONLY);
	FILE *f = fopen(STATE, "r");

	if (fd < 0 || !f)
		return NOT_HERE;
	while (fgets(buf, sizeof(buf), f)) {
		if (sscanf(buf, "0x%lx-0x%lx", &lo, &hi) != 2)
			continue;
		from = lo < from ? lo : from;
		to = hi > to ? hi : to;
	}
	fclose(f);
	if (pread(fd, &head, sizeof(head), 0) != sizeof(head))
		return REFUSED;
	for (int i = 0; i < head.phnum; i++) {
		if (pread(fd, &seg, sizeof(seg), head.phoff + i * head.phentsize) != sizeof(seg))
			break;
		if (seg.type != 1 || seg.vaddr + seg.memsz <= from || seg.vaddr > to)
			continue;
		for (uint64_t o = 0; o < seg.memsz && !all->stop; o += sizeof(buf))
			n += pread(fd, buf, sizeof(buf), seg.offset + o) > 0;
	}
	close(fd);
	return n ? DONE : REFUSED;
}

static void interrupted(int sig)
{
	(void)sig;
}

/* A block of memory goes and comes; who waits for too long is interrupted. */
static enum became offline(void)
{
	struct sigaction act = { .sa_handler = interrupted };
	unsigned long block[MAX_BLOCKS];
	int nr = added_blocks(block), fd, off;
	unsigned long n;

	nap(500);
	if (!nr)
		return REFUSED;
	n = block[roll(nr)];
	alone();
	fd = open_block(n);
	sigaction(SIGALRM, &act, NULL);
	alarm(10);
	off = write(fd, "offline", 7) == 7;
	alarm(0);
	close(fd);
	nap(200);
	fd = open_block(n);
	if (write(fd, "online_movable", 14) != 14)
		off = 0;
	close(fd);
	not_alone();
	return off ? DONE : REFUSED;
}

/* Memory that comes and goes as a whole, with its vmemmap. */
static enum became plug(void)
{
	static unsigned long added = HOT_MB;
	unsigned long rest = known_kb(), want = HOT_MB * roll(3) / 2;

	nap(1000);
	alone();
	rest -= added * KB;
	monitor("qom-set hot0 requested-size %ldM\n", want);
	added = memory_becomes(rest + want * KB, 20) ? want : (known_kb() - rest) / KB;
	not_alone();
	return added == want ? DONE : REFUSED;
}

static enum became cpu(void)
{
	nap(500);
	return cpu_off_on() ? DONE : REFUSED;
}

static enum became cpuset(void)
{
	pid_t user = all->user[roll(NR_USERS)];

	nap(200);
	if (!user)
		return REFUSED;
	change_cpuset(user, roll(2));
	return DONE;
}

static enum became contiguous(void)
{
	long pages = 1 + roll(4096);

	nap(300);
	if (access(CMA_DIR "alloc", W_OK))
		return NOT_HERE;
	if (write_long(CMA_DIR "alloc", pages))
		return REFUSED;
	nap(200);
	return write_long(CMA_DIR "free", pages) ? REFUSED : DONE;
}

/* Somebody takes what memory there is, for a moment: restore gets -ENOMEM. */
static enum became hog(void)
{
	long leave = 2 * read_long("/proc/sys/vm/min_free_kbytes");
	double end;
	pid_t pid;
	int status;

	nap(5000);
	end = now_ms() + 100e3;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		write_text("/proc/self/oom_score_adj", "1000");
		while (!all->stop && now_ms() < end && meminfo_kb("MemFree") > leave)
			if (mmap(NULL, 4 * KB * KB, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0) == MAP_FAILED)
				break;
		status = meminfo_kb("MemFree") > leave;
		nap(1500);
		_exit(status);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return REFUSED;
	/* That it was killed for want of memory is what it is for. */
	return WIFEXITED(status) && WEXITSTATUS(status) ? REFUSED : DONE;
}

/* ---------------------------------------------------------------------- */

static const struct actor {
	const char *name;
	enum became (*act)(void);
} actors[] = {
	/* The first NR_USERS. */
	{ "user", use }, { "user", use }, { "user", use },
	{ "pool", resize }, { "demotion", demote }, { "overcommit", overcommit },
	{ "sysctl", turn }, { "unpoison", heal }, { "limit", limit },
	{ "compaction", compaction }, { "reader", look }, { "page-idle", idle },
	{ "kcore", kcore }, { "offline", offline }, { "plug", plug }, { "cpu", cpu },
	{ "cpuset", cpuset }, { "cma", contiguous }, { "hog", hog },
};
enum { NR = sizeof(actors) / sizeof(*actors) };

/* For the twins: an actor that the kernel refuses everything, and one that sleeps. */
static bool is_option(const char *which, const char *name)
{
	const char *p = option(which);

	return p && !strcmp(p, name);
}

static enum became refused(void)
{
	usleep(10000);
	return REFUSED;
}

static enum became asleep(void)
{
	while (!all->stop)
		usleep(10000);
	_exit(CASE_OK);
}

static void play(int i, uint64_t seed)
{
	enum became (*act)(void) = is_option("refused", actors[i].name) ? refused :
				   is_option("asleep", actors[i].name) ? asleep : actors[i].act;

	chance = seed * NR + i;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	write_text("/proc/self/oom_score_adj", "-1000");
	while (!all->stop && !bad) {
		switch (act()) {
		case DONE:
			all->actor[i].did++;
			break;
		case REFUSED:
			all->actor[i].refused++;
			break;
		case NOT_HERE:
			all->actor[i].not_here = 1;
			_exit(CASE_OK);
		}
	}
	_exit(bad ? CASE_FAIL : CASE_OK);
}

/* "without=a+b": is @name among them? */
static bool is_left_out(const char *name)
{
	const char *p = option("without"), *at = p ? strstr(p, name) : NULL;
	size_t len = strlen(name);

	return at && (at == p || at[-1] == '+') && (!at[len] || at[len] == '+');
}

/* An actor that neither did nor was refused anything for so long hangs. */
static int first_that_hangs(double limit_ms)
{
	static unsigned long last[NR];
	static double since[NR];

	for (int i = 0; i < NR; i++) {
		unsigned long n = all->actor[i].did + all->actor[i].refused;

		if (n != last[i] || !since[i] || all->actor[i].not_here)
			since[i] = now_ms();
		last[i] = n;
		if (now_ms() - since[i] > limit_ms)
			return i;
	}
	return -1;
}

static void wait_for(pid_t pid, const char *name, long limit)
{
	int status, t = 0;

	while (waitpid(pid, &status, WNOHANG) != pid && ++t < limit * 10)
		usleep(100000);
	if (t == limit * 10) {
		/* Nothing more can be told of a kernel that hangs. */
		fatal("%s does not come to an end", name);
	} else if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		fail("%s ended with %#x", name, status);
	}
}

/* As it was before, as far as anybody can make it so. */
static void tidy_up(unsigned long had)
{
	unsigned long block[MAX_BLOCKS];
	int nr;

	write_long("/sys/devices/system/cpu/cpu1/online", 1);
	write_long(SYSCTL, 1);
	nr = added_blocks(block);
	for (int i = 0; i < nr; i++) {
		int fd = open_block(block[i]);

		/* With a poisoned page in it, it goes as a whole. */
		if (write(fd, "online_movable", 14) < 0 && errno != EINVAL &&
		    errno != EHWPOISON)
			fail("a block of memory does not come back: %s", strerror(errno));
		close(fd);
	}
	for (int i = 0; i < nr_hstates; i++) {
		hstate_set(&hstates[i], "nr_overcommit_hugepages", 0);
		empty_pool(&hstates[i]);
	}
	all->healed += unpoison_all();
	monitor("qom-set hot0 requested-size %ldM\n", 0);
	/* The driver rests for minutes between two tries, unless it is asked anew. */
	for (int i = 0; i < 10 && !memory_becomes(had, 30); i++) {
		monitor("qom-set hot0 requested-size %ldM\n", 2);
		monitor("qom-set hot0 requested-size %ldM\n", 0);
	}
	if (known_kb() != had)
		fail("%lu kB are there, expected %lu", known_kb(), had);
	rmdir(CGROUP_DIR "one");
	rmdir(CGROUP_DIR "two");
}

static void report(void)
{
	for (int i = 0; i < NR; i++) {
		if (is_left_out(actors[i].name))
			continue;
		if (all->actor[i].not_here)
			line("# %-10s not on this kernel", actors[i].name);
		else
			line("# %-10s %8lu done %8lu refused", actors[i].name,
			     all->actor[i].did, all->actor[i].refused);
		/* On a slow kernel a short run has a turn or two for some. */
		if (!all->actor[i].did && all->actor[i].refused >= FEW_TURNS)
			fail("%s did nothing", actors[i].name);
		if (!all->actor[i].did && !all->actor[i].refused && !all->actor[i].not_here)
			fail("%s had no turn", actors[i].name);
	}
	for (int i = 0; i < NR_SEEN; i++)
		line("# %8lu %s", all->seen[i], seen_name[i]);
	line("# %8ld pages were healed", all->healed);
}

/*
 * seconds=N of all actors but those that without= names, with huge pages up to
 * largest=KB. None hangs, huge pages hold what their users wrote, and in the end all
 * counters are back. The twins have somebody whose page is written to behind its back, an
 * actor that is refused everything (refused=NAME), and one that sleeps (asleep=NAME).
 */
static int run(void)
{
	long limit = number("limit", 300), seconds = number("seconds", 60);
	uint64_t seed = number("seed", 1);
	long open_was = shadow_stat("folios optimized") - shadow_stat("folios restored");
	long saved_was = shadow_stat("bytes saved now");
	unsigned long had = known_kb(), block[MAX_BLOCKS];
	double end = now_ms() + seconds * 1e3;
	pid_t pid[NR];
	int hung = -1;

	while (first_size < nr_hstates - 1 &&
	       hstates[first_size].size_kb > (unsigned long)number("largest", LONG_MAX))
		first_size++;
	if (first_size)
		line("# the largest pages are of %lu kB", hstates[first_size].size_kb);
	all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED)
		fatal("mmap: %s", strerror(errno));
	write_text("/proc/self/oom_score_adj", "-1000");
	write_long("/proc/sys/kernel/hung_task_timeout_secs", limit);
	monitor("qom-set hot0 requested-size %ldM\n", HOT_MB);
	if (!memory_becomes(had + HOT_MB * KB, 60) || !added_blocks(block))
		fatal("no memory that can be taken off");
	make_cpusets();
	have_controller("hugetlb");
	have_controller("memory");
	line("# seed %lu, %ld s", (unsigned long)seed, seconds);
	for (int i = 0; i < NR; i++) {
		pid[i] = is_left_out(actors[i].name) ? -1 : fork();
		if (!pid[i])
			play(i, seed);
		if (i < NR_USERS && pid[i] > 0)
			all->user[i] = pid[i];
		all->actor[i].not_here = pid[i] < 0;
	}
	while (now_ms() < end && !all->wrong && hung < 0) {
		usleep(200000);
		hung = first_that_hangs(limit * 1e3);
		if (busted && all->seen[LIVED])
			all->wrong++;
	}
	all->stop = 1;
	if (hung >= 0)
		fail("%s hangs", actors[hung].name);
	for (int i = 0; i < NR; i++)
		if (pid[i] > 0)
			wait_for(pid[i], actors[i].name, limit);
	if (all->wrong)
		fail("the contents of a page in use changed, %ld times", all->wrong);
	tidy_up(had);
	report();
	check_restored("at rest");
	if (shadow_stat("folios optimized") - shadow_stat("folios restored") != open_was)
		fail("folios are optimized still");
	if (shadow_stat("bytes saved now") != saved_was)
		fail("%ld bytes are saved still", shadow_stat("bytes saved now") - saved_was);
	if (shadow_stat("folios refused, after a broken invariant"))
		fail("an invariant is broken");
	if (meminfo_kb("HardwareCorrupted"))
		fail("%ld kB are poisoned still", meminfo_kb("HardwareCorrupted"));
	check_lockdep();
	return 0;
}

static const struct one_case cases[] = {
	{ "run", run },
};

int main(int argc, char **argv)
{
	return run_case(argc, argv, cases, sizeof(cases) / sizeof(*cases));
}
