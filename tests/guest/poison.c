// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that fails while HVO has it: "poison NAME [name=value...]". Pages are
 * poisoned in every way that the kernel offers, and after that exactly those
 * must be poisoned that somebody poisoned, as /proc/kpageflags has it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "churn.h"

/* What somebody poisoned. */
struct noted {
	uint64_t pfn;
	bool found;
};

static struct noted noted[4096];
static int nr_noted;
/* Poisoned by an earlier case, a twin's among them, and not to be healed. */
static uint64_t earlier[256];
static int nr_earlier;
/* HardwareCorrupted when the case began. */
static long corrupted_kb;

static void note(uint64_t pfn)
{
	for (int i = 0; i < nr_noted; i++)
		if (noted[i].pfn == pfn)
			return;
	if (nr_noted == sizeof(noted) / sizeof(*noted))
		fatal("more than %d poisoned pages", nr_noted);
	noted[nr_noted++] = (struct noted){ .pfn = pfn };
}

static bool is_noted(uint64_t pfn)
{
	for (int i = 0; i < nr_earlier; i++)
		if (earlier[i] == pfn)
			return true;
	for (int i = 0; i < nr_noted; i++)
		if (noted[i].pfn == pfn)
			return noted[i].found = true;
	return false;
}

static void look_earlier(uint64_t pfn, uint64_t flags)
{
	if (!(flags & (1UL << KPF_HWPOISON)) ||
	    !write_long(HWPOISON_DIR "unpoison-pfn", pfn))
		return;
	if (nr_earlier < (int)(sizeof(earlier) / sizeof(*earlier)))
		earlier[nr_earlier++] = pfn;
}

static uint64_t flags_of(uint64_t pfn)
{
	static int fd = -1;
	uint64_t flags;

	if (fd < 0)
		fd = open("/proc/kpageflags", O_RDONLY);
	if (pread(fd, &flags, sizeof(flags), pfn * sizeof(flags)) != sizeof(flags))
		fatal("/proc/kpageflags: %s", strerror(errno));
	return flags;
}

static const char *now;
static long strangers;
/* What a restore that copies struct pages made of poison: with unchecked. */
static uint64_t copies[4096];
static int nr_copies;

/*
 * Upstream's HVO, with our repair, restores a page of the vmemmap as a copy of the first
 * one, which has the head, and puts the fifth struct page in the place of the first four; a
 * page that was poisoned on its way into the pool has its flag there.
 */
static bool is_copy(uint64_t pfn)
{
	unsigned long in_page = page_kb * KB / struct_page_size;
	uint64_t head = pfn - pfn % (smallest()->size_kb / page_kb), at = pfn % in_page;

	if (pfn - head < in_page)
		return false;
	if (at < 4)
		at = 4;
	for (int i = 0; i < nr_noted; i++)
		if (noted[i].pfn == head + at)
			return true;
	return false;
}

static void look_poison(uint64_t pfn, uint64_t flags)
{
	if (!(flags & (1UL << KPF_HWPOISON)) || is_noted(pfn))
		return;
	if (option("unchecked") && is_copy(pfn) &&
	    nr_copies < (int)(sizeof(copies) / sizeof(*copies))) {
		copies[nr_copies++] = pfn;
		return;
	}
	if (strangers++ < 3)
		fail("%s: pfn %#lx is poisoned, though nobody poisoned it", now, pfn);
}

/*
 * Exactly the noted pages are poisoned. Returns how many of them are not, each of
 * which is a failure unless @forgive.
 */
static int check_poison(const char *what, bool forgive)
{
	int lost = 0;

	now = what;
	strangers = 0;
	for (int i = 0; i < nr_noted; i++)
		noted[i].found = false;
	each_page(look_poison);
	if (strangers > 1)
		fail("%s: %ld pages are poisoned, though nobody poisoned them", what, strangers);
	for (int i = 0; i < nr_noted; i++) {
		if (noted[i].found)
			continue;
		if (!lost++ && !forgive)
			fail("%s: pfn %#lx lost its poison", what, noted[i].pfn);
	}
	return lost;
}

static void check_corrupted(const char *what)
{
	long kb = meminfo_kb("HardwareCorrupted") - corrupted_kb;

	if (kb != nr_noted * (long)page_kb)
		fail("%s: HardwareCorrupted is %ld kB, of %d poisoned pages", what, kb, nr_noted);
}

/* Heal all noted pages; those that the kernel refuses to stay noted. */
static int unpoison(void)
{
	int refused = 0;

	for (int i = 0; i < nr_noted; i++)
		if (write_long(HWPOISON_DIR "unpoison-pfn", noted[i].pfn))
			noted[refused++] = noted[i];
	nr_noted = refused;
	return refused;
}

enum how { CORRUPT, HARD, SOFT, MADV_HARD, MADV_SOFT, NR_HOWS };

static const char * const how_name[] = {
	"corrupt-pfn", "hard_offline_page", "soft_offline_page", "MADV_HWPOISON",
	"MADV_SOFT_OFFLINE"
};

static unsigned long done[NR_HOWS], refused[NR_HOWS];

/*
 * Poison one page; @addr is where this process has it mapped. A hard error stays
 * on the page, whatever becomes of what is done about it. A soft one is no error:
 * the page is taken out of use or nothing happens, and the kernel says that it was
 * before, too, where another page of the same huge page is poisoned.
 */
static void inject(enum how how, uint64_t pfn, void *addr)
{
	int err = 0;

	switch (how) {
	case CORRUPT:
		err = write_long(HWPOISON_DIR "corrupt-pfn", pfn);
		break;
	case HARD:
		err = write_long(MEMORY_DIR "hard_offline_page", pfn * page_kb * KB);
		break;
	case SOFT:
		err = write_long(MEMORY_DIR "soft_offline_page", pfn * page_kb * KB);
		break;
	case MADV_HARD:
		err = madvise(addr, page_kb * KB, MADV_HWPOISON) ? -errno : 0;
		break;
	default:
		err = madvise(addr, page_kb * KB, MADV_SOFT_OFFLINE) ? -errno : 0;
		break;
	}
	if (!err && (how == SOFT || how == MADV_SOFT)) {
		uint64_t flags = flags_of(pfn);

		if (flags >> KPF_HUGE & 1 || !(flags >> KPF_HWPOISON & 1))
			err = -EEXIST;
	}
	if (err)
		refused[how]++;
	else
		done[how]++;
	if (!err || how == CORRUPT || how == HARD || how == MADV_HARD)
		note(pfn);
}

static void say_done(const char *what)
{
	char buf[256];
	size_t n = 0;

	for (int i = 0; i < NR_HOWS; i++) {
		if (done[i] || refused[i])
			n += snprintf(buf + n, sizeof(buf) - n, "%s%s %lu (%lu refused)",
				      n ? ", " : "", how_name[i], done[i], refused[i]);
		done[i] = refused[i] = 0;
	}
	line("# %s: %s", what, n ? buf : "nothing");
}

/*
 * Which struct page of a huge page: its head; those that hold the folio's own
 * state; plain tails in the head's page of the vmemmap; fake heads and what
 * comes behind them; the last.
 */
static unsigned long sub_page(const struct hstate *h, int which)
{
	unsigned long in_page = page_kb * KB / struct_page_size;
	unsigned long last = h->size_kb / page_kb - 1;
	const unsigned long at[] = {
		0, 1, 2, 3, 4, in_page - 1, in_page, in_page + 1, in_page + 5, last
	};

	return at[which % 10];
}
#define NR_SUB_PAGES 10

static uint64_t pfn_at(const void *addr)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (fd < 0 || pread(fd, &entry, 8, (uintptr_t)addr / (page_kb * KB) * 8) != 8 ||
	    !(entry >> 63))
		fatal("pagemap of %p: %#lx, %s", addr, entry, strerror(errno));
	close(fd);
	return entry & ((1UL << 55) - 1);
}

static unsigned char *map_pool(const struct hstate *h, long pages)
{
	unsigned long size = h->size_kb * KB;
	unsigned char *p = map_pages(h, pages);

	for (long i = 0; i < pages; i++)
		for (unsigned long k = 0; k < size; k += page_kb * KB)
			*(unsigned long *)(p + i * size + k) = i * size + k;
	return p;
}

/* Does a huge page hold what map_pool() wrote? A child looks, it may be killed. */
static bool is_whole(const unsigned char *p, unsigned long off, unsigned long size)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		for (unsigned long k = 0; k < size; k += page_kb * KB)
			if (*(unsigned long *)(p + off + k) != off + k)
				_exit(1);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

static volatile unsigned long sigbus;

static void on_sigbus(int sig)
{
	(void)sig;
	sigbus++;
}

/* After @left pages of @h, of @had, were poisoned, each in a page of its own. */
static void check_pool(const char *what, const struct hstate *h, long had)
{
	long left = hstate_get(h, "nr_hugepages");

	if (left != had - nr_noted)
		fail("%s: %ld huge pages of %ld are left, %d were poisoned", what, left, had,
		     nr_noted);
	check_freed(what, left, h);
	check_corrupted(what);
	check_poison(what, false);
}

/* Free the pool: what was poisoned stays so; heal it: nothing stays. */
static void check_after(const char *what, const struct hstate *h)
{
	pool_set(h, 0);
	check_restored(what);
	check_poison(what, false);
	if (unpoison())
		fail("%s: %d pages could not be healed", what, nr_noted);
	check_poison("healed", false);
	check_corrupted("healed");
}

/* One page for each way from @first to @last and each of places=N struct pages. */
static long pages_for(enum how first, enum how last)
{
	return (last - first + 1) * number("places", NR_SUB_PAGES);
}

/*
 * rounds=N times: pages in the pool that nobody uses. The twins forget a page,
 * and note one that was not poisoned.
 */
static int unused(void)
{
	const struct hstate *h = smallest();
	long rounds = number("rounds", 2), pages = pages_for(CORRUPT, SOFT), got;
	unsigned long size = h->size_kb * KB;
	uint64_t pfn[pages];
	unsigned char *p;

	if (pages > pool_pages(h)) {
		line("# %ld pages of %lu kB do not fit into this guest", pages, h->size_kb);
		return CASE_SKIP;
	}
	for (long r = 0; r < rounds && !bad; r++) {
		got = pool_set(h, pages + 2);
		check_freed("before", got, h);
		p = map_pool(h, pages);
		for (long i = 0; i < pages; i++)
			pfn[i] = pfn_at(p + i * size);
		munmap(p, pages * size);
		for (long i = 0; i < pages; i++)
			inject(i % 3, pfn[i] + sub_page(h, i / 3), NULL);
		if (option("forget"))
			nr_noted--;
		if (option("invent"))
			note(pfn[0] + h->size_kb / page_kb / 2);
		check_pool("poisoned", h, got);
		check_after("pool freed", h);
	}
	say_done("free huge pages");
	return 0;
}

/*
 * The same with pages in use. A hard error takes the page from the process, a
 * soft one must keep its contents, which are moved. The twin changes a byte.
 */
static int used(void)
{
	const struct hstate *h = smallest();
	long rounds = number("rounds", 2), pages = pages_for(0, NR_HOWS - 1), got;
	unsigned long size = h->size_kb * KB, kept = 0, gone = 0;
	enum how how[pages];
	unsigned char *p;

	/* Those that are moved need somewhere to go. */
	if (2 * pages > pool_pages(h)) {
		line("# %ld pages of %lu kB do not fit into this guest", 2 * pages, h->size_kb);
		return CASE_SKIP;
	}
	signal(SIGBUS, on_sigbus);
	for (long r = 0; r < rounds && !bad; r++) {
		got = pool_set(h, 2 * pages);
		check_freed("before", got, h);
		p = map_pool(h, pages);
		for (long i = 0; i < pages; i++) {
			void *at = p + i * size + sub_page(h, i / NR_HOWS) * page_kb * KB;

			how[i] = i % NR_HOWS;
			inject(how[i], pfn_at(at), at);
		}
		check_pool("poisoned in use", h, got);
		if (busted)
			p[SOFT * size + sub_page(h, 0)] ^= 1;
		signal(SIGBUS, SIG_DFL);
		for (long i = 0; i < pages; i++) {
			bool whole = is_whole(p, i * size, size);
			bool soft = how[i] == SOFT || how[i] == MADV_SOFT;

			kept += whole;
			gone += !whole;
			if (whole != soft)
				fail("%s at struct page %lu: the contents are %s", how_name[how[i]],
				     sub_page(h, i / NR_HOWS), whole ? "there still" : "gone");
		}
		signal(SIGBUS, on_sigbus);
		munmap(p, pages * size);
		check_pool("unmapped", h, got);
		check_after("pool freed", h);
	}
	say_done("huge pages in use");
	line("# %lu had their contents after that, %lu were gone, %lu signals", kept, gone, sigbus);
	return 0;
}

#define MAX_HEADS 4096
static uint64_t heads[MAX_HEADS];
static int nr_heads;

static void look_heads(uint64_t pfn, uint64_t flags)
{
	const uint64_t want = 1UL << KPF_HUGE | 1UL << KPF_COMPOUND_HEAD;

	if ((flags & want) == want && nr_heads < MAX_HEADS)
		heads[nr_heads++] = pfn;
}

/* The largest size, of which the vmemmap takes many windows; once in use. */
static int gigantic(void)
{
	const struct hstate *h = largest();
	unsigned long size = h->size_kb * KB;
	long n = 0;

	for (int which = 0; which < NR_SUB_PAGES && !bad; which += NR_SUB_PAGES / 2 + 1) {
		unsigned char *p = NULL;

		compact();
		if (pool_set(h, 1) != 1) {
			fail("no page of %lu kB", h->size_kb);
			break;
		}
		check_freed("before", 1, h);
		nr_heads = 0;
		each_page(look_heads);
		if (nr_heads != 1)
			fatal("%d heads of huge pages, expected 1", nr_heads);
		if (!which) {
			p = mmap(NULL, size, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
				 (__builtin_ctzl(size) << MAP_HUGE_SHIFT), -1, 0);
			if (p == MAP_FAILED)
				fatal("mmap of a page of %lu kB: %s", h->size_kb, strerror(errno));
			*p = 1;
		}
		inject(CORRUPT, heads[0] + sub_page(h, which), NULL);
		if (p)
			munmap(p, size);
		if (hstate_get(h, "nr_hugepages"))
			fail("the page of %lu kB is there still", h->size_kb);
		n += nr_noted;
		check_corrupted("gigantic");
		check_poison("gigantic", false);
		check_after("gigantic", h);
	}
	say_done("gigantic pages");
	line("# %ld pages of %lu kB", n, h->size_kb);
	return 0;
}

/* What the other process does; shared. */
struct churn {
	volatile int stop, rest, resting;
	volatile unsigned long fills;
};

/* Fill a pool and free it, or split it first, until told to stop. */
static pid_t spawn_churn(struct churn *c, const struct hstate *h, long pages, bool demote)
{
	const struct hstate *big = largest();
	pid_t pid = fork();

	if (pid)
		return pid;
	pin(0);
	while (!c->stop) {
		if (demote && big != h) {
			pool_set(big, 1);
			pool_demote(big, h);
			pool_set(big, 0);
		} else {
			pool_set(h, pages);
		}
		/* Some are to be hit in the pool, the others on their way. */
		usleep(random() % 50000);
		pool_set(h, 0);
		c->fills++;
		while (c->rest && !c->stop) {
			c->resting = 1;
			usleep(1000);
		}
		c->resting = 0;
	}
	_exit(0);
}

/*
 * seconds=N, or batches=N if that takes longer: another process fills a pool and
 * frees it all the time; pages of it are poisoned wherever they are on their way. Between two batches all is freed,
 * and looked at.
 *
 * A page may lose its poison to the kernel itself, which has nothing to do with
 * HVO: a head that is poisoned when HugeTLB has given it up, but not freed yet,
 * passes for one poisoned before, of which the list of pages is empty ("unhandlable
 * page" on the console); and with demote, a huge page that is split when it was
 * poisoned a moment before. So lost ones are counted: none may be lost on tails
 * without demote. What never may be is a page poisoned that was not.
 *
 * hvo=0: the same without HVO, to compare with. unchecked: HVO gives tails back without a
 * look, so that poison is lost with them; that, and what a restore copies, is counted, and
 * healed. The twin forgets one of the pages.
 */
static int moving(void)
{
	struct churn *c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const struct hstate *h = smallest();
	unsigned long skipped = 0, batches = 0, poisoned = 0, healed = 0, copied = 0;
	unsigned long lost_pfn = 0, lost_heads = 0, lost_tails = 0, stuck = 0, in_huge = 0;
	double end = now_ms() + number("seconds", 10) * 1e3;
	long pages = number("pages", pool_pages(h) / 4);
	unsigned long least = number("batches", 10);
	long refused_before = shadow_stat("folios refused, tail not plain");
	bool demote = option("demote");
	pid_t pid;

	if (option("hvo"))
		write_long("/proc/sys/vm/hugetlb_optimize_vmemmap", number("hvo", 1));
	if (c == MAP_FAILED)
		fatal("mmap: %s", strerror(errno));
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		line("# one CPU: nobody can poison meanwhile");
		return CASE_SKIP;
	}
	srandom(number("seed", 1));
	/* What a pool is made of. */
	if (demote && largest() != h) {
		pool_set(largest(), 1);
		pool_demote(largest(), h);
	} else {
		pool_set(h, pages);
	}
	each_page(look_heads);
	pool_set(h, 0);
	if (!nr_heads)
		fatal("no huge page in sight");
	pid = spawn_churn(c, h, pages, demote);
	pin(1);
	while ((now_ms() < end || batches < least) && !bad && !(busted && batches)) {
		int kept;

		/* A page of the largest size cannot be had around poisoned ones. */
		for (int i = 0; i < (demote ? 4 : 32); i++) {
			uint64_t pfn = heads[random() % nr_heads] + sub_page(h, random());
			uint64_t flags = flags_of(pfn);

			for (int k = 0; !i && k < 10000 && !(flags & 1UL << KPF_HUGE); k++) {
				usleep(50);
				flags = flags_of(pfn);
			}
			/* Some later: in the pool, or on their way out. */
			if (!i && batches % 2)
				usleep(random() % 50000);
			/* The kernel's own memory, and ours, is left alone. */
			if (!(flags & (1UL << KPF_HUGE | 1UL << KPF_BUDDY))) {
				skipped++;
				continue;
			}
			in_huge += flags >> KPF_HUGE & 1;
			inject(random() % 3, pfn, NULL);
		}
		c->rest = 1;
		for (int i = 0; !c->resting; i++) {
			if (i == 30000)
				fatal("the other process does not come to rest");
			usleep(1000);
		}
		/* Some stay in use: what was poisoned on its way into the pool. */
		pool_set(h, 0);
		check_restored("pool freed");
		if (busted && nr_noted)
			nr_noted--;
		nr_copies = 0;
		check_poison("on the move", true);
		for (int i = 0; i < nr_copies; i++)
			if (write_long(HWPOISON_DIR "unpoison-pfn", copies[i]))
				fail("pfn %#lx, a copy, could not be healed", copies[i]);
		copied += nr_copies;
		kept = 0;
		for (int i = 0; i < nr_noted; i++) {
			if (noted[i].found)
				noted[kept++] = noted[i];
			else if (noted[i].pfn % (h->size_kb / page_kb))
				lost_tails++, lost_pfn = noted[i].pfn;
			else
				lost_heads++;
		}
		poisoned += nr_noted - stuck;
		nr_noted = kept;
		healed += kept - unpoison();
		stuck = nr_noted;
		batches++;
		c->rest = 0;
	}
	c->stop = 1;
	c->rest = 0;
	waitpid(pid, NULL, 0);
	write_long("/proc/sys/vm/hugetlb_optimize_vmemmap", 1);
	say_done(demote ? "huge pages that are split" : "huge pages on the move");
	line("# %lu batches, %lu fills: %lu poisoned (%lu of them in huge pages), %lu skipped, %lu healed, %lu not, lost on heads %lu, on tails %lu, folios refused %ld",
	     batches, c->fills, poisoned, in_huge, skipped, healed, stuck, lost_heads,
	     lost_tails, shadow_stat("folios refused, tail not plain") - refused_before);
	if (option("unchecked"))
		line("# the restore copied the flag of a poisoned page to %lu others", copied);
	if (lost_tails && !demote && !option("unchecked"))
		fail("%lu tails lost their poison, the last: pfn %#lx", lost_tails, lost_pfn);
	if (!poisoned || !c->fills)
		fail("nothing was poisoned");
	return 0;
}

static const struct one_case all[] = {
	{ "unused", unused },
	{ "used", used },
	{ "gigantic", gigantic },
	{ "moving", moving },
};

int main(int argc, char **argv)
{
	if (access(HWPOISON_DIR "corrupt-pfn", W_OK) ||
	    access(MEMORY_DIR "hard_offline_page", W_OK))
		fatal("no way to poison a page");
	each_page(look_earlier);
	corrupted_kb = meminfo_kb("HardwareCorrupted");
	return run_case(argc, argv, all, sizeof(all) / sizeof(*all));
}
