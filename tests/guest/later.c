// SPDX-License-Identifier: GPL-2.0
/*
 * Folios that are optimized a moment after they were allocated, by a worker, while they
 * are in use or not: "later NAME [name=value...]". Only where that is done: skipped
 * where tails share the page of their head, which its user writes to.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "churn.h"

#define OPTIMIZE "/proc/sys/vm/hugetlb_optimize_vmemmap"

/* The kernel's moment, and the longest time until the worker has come by. */
#define MOMENT_MS	1000
#define WORKER_MS	2500

/* Whoever is this much faster than the moment is not met by the worker yet. */
#define SURELY_MS	800

static bool is_done_later(void)
{
	if (!strcmp(at_rest(), "JOINED"))
		return true;
	line("# the tails of a page in use cannot be optimized on this kernel");
	return false;
}

/* Pages beyond the pool: none is reserved, each is allocated when it is touched. */
static unsigned char *map_beyond(const struct hstate *h, long pages)
{
	unsigned long size = h->size_kb * KB;
	unsigned char *p = mmap(NULL, pages * size, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE |
				(__builtin_ctzl(size) << MAP_HUGE_SHIFT), -1, 0);

	if (p == MAP_FAILED)
		fatal("mmap of %ld pages of %lu kB: %s", pages, h->size_kb, strerror(errno));
	return p;
}

/* Nothing is noted any more, and the worker is idle. */
static void let_settle(void)
{
	usleep(2 * WORKER_MS * 1000);
}

/*
 * pages=N, by page fault, or reserve: by the reservation of mmap(); largest: of that
 * size. Neither gives anything back before it returns, both have a moment later;
 * meanwhile the process writes and reads. The twin expects it at once.
 */
static int fault(void)
{
	const struct hstate *h = option("largest") ? largest() : smallest();
	long pages = number("pages", 16), saved = pages * (long)h->saved_kb, freed;
	unsigned long size = pages * h->size_kb * KB, turns = 0;
	long stepped, later = shadow_stat("folios optimized later");
	bool reserve = option("reserve");
	double began, ms;
	unsigned char *p;

	if (!is_done_later())
		return CASE_SKIP;
	hstate_set(h, "nr_overcommit_hugepages", pages);
	compact();
	for (int tries = 0;; tries++) {
		stepped = shadow_stat("entries stepped");
		began = now_ms();
		p = reserve ? map_pages(h, pages) : map_beyond(h, pages);
		if (!reserve)
			write_all(p, size, 1);
		stepped = shadow_stat("entries stepped") - stepped;
		freed = start_kb - memmap_kb();
		ms = now_ms() - began;
		if (ms < SURELY_MS || tries == 4)
			break;
		munmap(p, size);
		let_settle();
	}
	if (ms >= SURELY_MS)
		fatal("to get %ld pages takes %.0f ms", pages, ms);
	line("# %ld pages of %lu kB after %.0f ms, %ld kB given back, %ld entries stepped", pages,
	     h->size_kb, ms, freed, stepped);
	if (busted ? freed != saved : freed || stepped)
		fail("%ld kB were given back at once, expected %ld", freed, busted ? saved : 0);
	if (reserve)
		write_all(p, size, 1);
	while (start_kb - memmap_kb() != saved && now_ms() - began < 60e3) {
		turns++;
		if (!holds_all(p, size, turns)) {
			fail("the contents changed");
			break;
		}
		write_all(p, size, turns + 1);
	}
	ms = now_ms() - began;
	freed = start_kb - memmap_kb();
	line("# %ld kB given back after %.0f ms, all written and read %lu times meanwhile", freed,
	     ms, turns);
	if (freed != saved)
		fail("%ld kB were given back %.0f ms later, expected %ld", freed, ms, saved);
	if (ms < MOMENT_MS - 50)
		fail("they were given back after %.0f ms", ms);
	if (shadow_stat("folios optimized later") - later != pages)
		fail("%ld folios count as optimized later, expected %ld",
		     shadow_stat("folios optimized later") - later, pages);
	if (!holds_all(p, size, turns + 1))
		fail("the contents changed in the end");
	munmap(p, size);
	hstate_set(h, "nr_overcommit_hugepages", 0);
	check_restored("after munmap");
	return 0;
}

/*
 * rounds=N processes, one after the other, use pages=N beyond the pool for less
 * than a moment: no entry is ever stepped. Those of the twin stay for longer.
 */
static int young(void)
{
	const struct hstate *h = smallest();
	long pages = number("pages", 8), rounds = number("rounds", 20), n = 0;
	long stepped, died, optimized;

	if (!is_done_later())
		return CASE_SKIP;
	hstate_set(h, "nr_overcommit_hugepages", pages);
	compact();
	let_settle();
	stepped = shadow_stat("entries stepped");
	died = shadow_stat("folios that died young");
	optimized = shadow_stat("folios optimized");
	for (long r = 0; r < rounds; r++) {
		double t = now_ms();
		int status;
		pid_t pid = fork();

		if (!pid) {
			unsigned char *p = map_beyond(h, pages);

			for (long i = 0; i < pages; i++)
				p[i * h->size_kb * KB] = 1;
			if (busted)
				usleep(2 * WORKER_MS * 1000);
			_exit(0);
		}
		waitpid(pid, &status, 0);
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			fatal("round %ld: the pages could not be had", r + 1);
		if (!busted && now_ms() - t > SURELY_MS)
			fatal("round %ld took %.0f ms", r + 1, now_ms() - t);
		n += pages;
	}
	let_settle();
	stepped = shadow_stat("entries stepped") - stepped;
	died = shadow_stat("folios that died young") - died;
	optimized = shadow_stat("folios optimized") - optimized;
	line("# %ld pages of %lu kB, %ld died young, %ld were optimized, %ld entries stepped", n,
	     h->size_kb, died, optimized, stepped);
	if (stepped || optimized)
		fail("%ld entries were stepped, of pages that lived for less than a moment",
		     stepped);
	if (died != n)
		fail("%ld of %ld died young", died, n);
	hstate_set(h, "nr_overcommit_hugepages", 0);
	return 0;
}

/* Until so much has been given back, or the worker has surely been here. */
static long given_back(long kb)
{
	double end = now_ms() + 2 * WORKER_MS;

	while (start_kb - memmap_kb() != kb && now_ms() < end)
		usleep(50000);
	return start_kb - memmap_kb();
}

/*
 * HVO is switched off when pages=N are noted: they are optimized all the same, since the
 * sysctl decides when a page is allocated. Those that come then are not, ever. The twin
 * does not switch it off.
 */
static int switched(void)
{
	const struct hstate *h = smallest();
	long pages = number("pages", 8), saved = pages * (long)h->saved_kb;
	unsigned long size = pages * h->size_kb * KB;
	unsigned char *noted, *after;
	long freed;

	if (!is_done_later())
		return CASE_SKIP;
	hstate_set(h, "nr_overcommit_hugepages", 2 * pages);
	compact();
	noted = map_beyond(h, pages);
	write_all(noted, size, 1);
	if (!busted)
		write_long(OPTIMIZE, 0);
	freed = given_back(saved);
	line("# %ld pages noted, then HVO %s: %ld kB given back", pages, busted ? "on" : "off",
	     freed);
	if (freed != saved)
		fail("%ld kB were given back of pages that were noted, expected %ld", freed, saved);
	after = map_beyond(h, pages);
	write_all(after, size, 2);
	freed = given_back(2 * saved);
	line("# %ld pages more: %ld kB given back", pages, freed);
	if (freed != saved)
		fail("%ld kB were given back with HVO off, expected %ld", freed, saved);
	if (!holds_all(noted, size, 1) || !holds_all(after, size, 2))
		fail("the contents changed");
	write_long(OPTIMIZE, 1);
	munmap(noted, size);
	munmap(after, size);
	hstate_set(h, "nr_overcommit_hugepages", 0);
	check_restored("after munmap");
	return 0;
}

struct counts {
	volatile int stop;
	volatile unsigned long lives, demotions, offlined, refused, reserved, wrong;
};

/* Pages beyond the pool whose lives end about when the worker comes by. */
static void live(const struct hstate *h, struct counts *c, unsigned int seed)
{
	srand(seed);
	while (!c->stop) {
		long pages = 1 + rand() % 24;
		unsigned long size = pages * h->size_kb * KB, salt = rand();
		bool reserve = rand() % 4 == 0;
		unsigned char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
					(reserve ? 0 : MAP_NORESERVE) |
					(__builtin_ctzl(h->size_kb * KB) << MAP_HUGE_SHIFT), -1, 0);

		if (p == MAP_FAILED) {
			usleep(10000);
			continue;
		}
		/* Some are freed as they were reserved, never used. */
		if (reserve && rand() % 2) {
			usleep((MOMENT_MS - 100 + rand() % 1200) * 1000);
			c->reserved++;
		} else {
			write_all(p, size, salt);
			usleep((rand() % 4 ? MOMENT_MS - 300 + rand() % 1300 : rand() % 200) * 1000);
			if (!holds_all(p, size, salt))
				c->wrong++;
			c->lives++;
		}
		/* One by one, or all at once. */
		for (long i = 0; rand() % 2 && i < pages; i++)
			munmap(p + i * h->size_kb * KB, h->size_kb * KB);
		munmap(p, size);
	}
	_exit(0);
}

/* A SIGBUS says that there was no page left: soft offline has taken one. */
static void no_page(int sig)
{
	(void)sig;
	_exit(0);
}

/* Soft offline, of pages in use that are noted, or optimized: each has to move. */
static void offline(const struct hstate *h, struct counts *c)
{
	unsigned long size = h->size_kb * KB;

	srand(7);
	while (!c->stop) {
		unsigned char *p = map_beyond(h, 1);
		unsigned long at = rand() % (size / (page_kb * KB)) * page_kb * KB;

		write_all(p, size, 5);
		usleep((rand() % 3 ? MOMENT_MS - 200 + rand() % 1200 : 1) * 1000);
		if (madvise(p + at, page_kb * KB, MADV_SOFT_OFFLINE))
			c->refused++;
		else
			c->offlined++;
		usleep(rand() % 1500 * 1000);
		if (!holds_all(p, size, 5))
			c->wrong++;
		munmap(p, size);
	}
	_exit(0);
}

/* A pool of the largest size is demoted, and freed, over and over. */
static void demote(const struct hstate *big, const struct hstate *small, struct counts *c)
{
	while (!c->stop) {
		if (pool_set(big, 1) == 1 && !pool_demote(big, small))
			c->demotions++;
		pool_set(small, 0);
		pool_set(big, 0);
		usleep(200000);
	}
	_exit(0);
}

/*
 * seconds=N of all that against the worker: lives of about a moment, reservations,
 * soft offline, demotion. Afterwards everything is back, and all that was optimized
 * has been restored. The twin leaves one page mapped.
 */
static int loops(void)
{
	struct counts *c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const struct hstate *small = smallest(), *big = largest();
	long open_was = shadow_stat("folios optimized") - shadow_stat("folios restored");
	long saved_was = shadow_stat("bytes saved now"), open_now, saved_now;
	long later = shadow_stat("folios optimized later");
	long died = shadow_stat("folios that died young");
	double end = now_ms() + number("seconds", 20) * 1e3;
	bool split = big != small;
	unsigned char *left = NULL;
	pid_t pid[8];
	int n = 0;

	if (c == MAP_FAILED)
		fatal("mmap: %s", strerror(errno));
	if (!is_done_later())
		return CASE_SKIP;
	hstate_set(small, "nr_overcommit_hugepages", 256);
	compact();
	for (int i = 0; i < 8; i++) {
		pid[n] = fork();
		if (!pid[n]) {
			signal(SIGBUS, no_page);
			if (i < 6)
				live(small, c, i + 1);
			if (i == 6 && !option("no-offline"))
				offline(small, c);
			if (i == 7 && split)
				demote(big, small, c);
			_exit(0);
		}
		n++;
	}
	while (now_ms() < end && !c->wrong)
		usleep(100000);
	c->stop = 1;
	for (int i = 0; i < n; i++)
		waitpid(pid[i], NULL, 0);
	if (busted) {
		left = map_beyond(small, 1);
		*left = 1;
	}
	hstate_set(small, "nr_overcommit_hugepages", 0);
	empty_pool(small);
	empty_pool(big);
	let_settle();
	later = shadow_stat("folios optimized later") - later;
	died = shadow_stat("folios that died young") - died;
	open_now = shadow_stat("folios optimized") - shadow_stat("folios restored");
	saved_now = shadow_stat("bytes saved now");
	line("# %lu lives, %lu reservations unused, %lu demotions, %lu soft-offlined (%lu refused), %ld healed: %ld folios optimized later, %ld died young",
	     c->lives, c->reserved, c->demotions, c->offlined, c->refused, unpoison_all(), later,
	     died);
	if (huge_kb())
		line("# of %ld pages of %lu kB %ld are free, %ld surplus, %ld reserved",
		     hstate_get(small, "nr_hugepages"), small->size_kb,
		     hstate_get(small, "free_hugepages"), hstate_get(small, "surplus_hugepages"),
		     hstate_get(small, "resv_hugepages"));
	if (c->wrong)
		fail("the contents of a page in use changed");
	if (open_now != open_was)
		fail("%ld folios are optimized still", open_now - open_was);
	if (saved_now != saved_was)
		fail("%ld bytes are saved still", saved_now - saved_was);
	if (!c->lives || (split && !c->demotions) || later < 1 || died < 1)
		fail("not everything took place");
	if (!option("no-offline") && !c->offlined)
		fail("no page was soft-offlined");
	if (shadow_stat("folios refused, after a broken invariant"))
		fail("an invariant is broken");
	return 0;
}

static const struct one_case all[] = {
	{ "fault", fault },
	{ "young", young },
	{ "switched", switched },
	{ "loops", loops },
};

int main(int argc, char **argv)
{
	return run_case(argc, argv, all, sizeof(all) / sizeof(*all));
}
