// SPDX-License-Identifier: GPL-2.0
/*
 * What HVO must not change for those who use huge pages: "users NAME
 * [name=value...]". The order in which a pool hands out its pages, and what a
 * process costs that is started again and again on pages beyond the pool.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"

#define OPTIMIZE "/proc/sys/vm/hugetlb_optimize_vmemmap"
#define MAX_ROUNDS 16

/* From one page of a mapping to the next one, in memory. */
struct steps {
	long ascend, next, all;
};

static struct steps steps_of(const struct hstate *h, long pages)
{
	unsigned long size = h->size_kb * KB;
	unsigned char *p = map_pages(h, pages);
	int fd = open("/proc/self/pagemap", O_RDONLY);
	struct steps s = { .all = pages - 1 };
	uint64_t last = 0;

	/* The twin touches them from the end: each is then below the one before. */
	for (long i = 0; i < pages; i++)
		p[(busted ? pages - 1 - i : i) * size] = 1;
	for (long i = 0; i < pages; i++) {
		uint64_t e = 0;

		if (pread(fd, &e, 8, (uintptr_t)(p + i * size) / (page_kb * KB) * 8) != 8 ||
		    !(e >> 63))
			fatal("pagemap: %s", strerror(errno));
		e &= (1UL << 55) - 1;
		s.ascend += i && e > last;
		s.next += i && e == last + h->size_kb / page_kb;
		last = e;
	}
	close(fd);
	/* Backwards, so that the pool is in the same order again. */
	for (long i = pages - 1; i >= 0; i--)
		munmap(p + (busted ? pages - 1 - i : i) * size, size);
	return s;
}

/*
 * Most steps ascend, as they do without HVO, and as many lead to the next
 * neighbour; a few are another matter, for both: memory is not one range.
 */
static void check_steps(const char *what, const struct hstate *h, struct steps on,
			struct steps off)
{
	line("# %s: of %ld steps between pages of %lu kB %ld ascend, %ld to the next neighbour; without HVO %ld, %ld",
	     what, on.all, h->size_kb, on.ascend, on.next, off.ascend, off.next);
	if (on.all < 1)
		fail("%s: %ld steps", what, on.all);
	if (2 * off.ascend < off.all)
		fail("%s: without HVO only %ld steps of %ld ascend", what, off.ascend, off.all);
	if (100 * on.ascend < 95 * off.ascend || 100 * on.next < 90 * off.next)
		fail("%s: %ld steps of %ld ascend, %ld to the next neighbour, expected %ld and %ld",
		     what, on.ascend, on.all, on.next, off.ascend, off.next);
}

/*
 * pages=N, map=M: fill a pool with N pages of the smallest size, and map M of
 * them. Then the same with a pool that came of the largest pages by demotion.
 *
 * With HVO off and on; the twin has it off, and turns the order round where it should
 * be on.
 */
static int order(void)
{
	const struct hstate *h = smallest(), *big = largest();
	long want = number("pages", 800), map = number("map", 700);
	struct steps s[2][2] = { 0 };
	bool twin = busted, split = big != h && !twin;

	if (want * h->size_kb > mem_kb / 4 * 3) {
		line("# %ld pages of %lu kB do not fit into this guest", want, h->size_kb);
		return CASE_SKIP;
	}
	for (int on = 0; on < 2; on++) {
		long got;

		write_long(OPTIMIZE, on && !twin);
		busted = twin && on;
		compact();
		/* Before memory has been in pieces: what is restored takes pages here and there. */
		if (split) {
			got = pool_set(big, pool_pages(big));
			if (pool_demote(big, h) || got < 1)
				fatal("HVO %d: %ld pages of %lu kB", on, got, big->size_kb);
			got = hstate_get(h, "nr_hugepages");
			if (on)
				check_freed("demoted", got, h);
			s[1][on] = steps_of(h, got < map ? got : map);
			pool_set(h, 0);
			pool_set(big, 0);
			check_restored("demoted, freed");
			compact();
		}
		got = pool_set(h, want);
		if (got < map)
			fatal("HVO %d: %ld pages of %lu kB of %ld", on, got, h->size_kb, want);
		if (on && !twin)
			check_freed("full", got, h);
		s[0][on] = steps_of(h, map);
		pool_set(h, 0);
		check_restored("freed");
	}
	check_steps("filled", h, s[0][1], s[0][0]);
	if (split)
		check_steps("demoted", h, s[1][1], s[1][0]);
	return 0;
}

/*
 * The pools that the command line asked for, but for the largest pages; they stay.
 * Most of the steps have to ascend. The twin turns the order round. With more than one
 * CPU free memory itself comes in another order now and then, with HVO off, too.
 */
static int order_boot(void)
{
	int n = 0;

	for (int i = 0; i < nr_hstates; i++) {
		const struct hstate *h = &hstates[i];
		long pages = hstate_get(h, "free_hugepages");
		struct steps s;

		/* To clear 1 GiB takes too long. */
		if (pages < 2 || h->size_kb > mem_kb / 16)
			continue;
		s = steps_of(h, pages);
		line("# of %ld steps between pages of %lu kB %ld ascend, %ld to the next neighbour",
		     s.all, h->size_kb, s.ascend, s.next);
		if (s.ascend < s.all - s.all / 20)
			fail("a pool of the command line: %ld steps of %ld ascend", s.ascend,
			     s.all);
		n++;
	}
	if (!n)
		fatal("no pool of two pages");
	exit(bad ? CASE_FAIL : CASE_OK);
}

/* A process that maps so many pages beyond the pool and touches each; ms, or -1. */
static double one_process(const struct hstate *h, long pages)
{
	double t = now_ms();
	int status;
	pid_t pid = fork();

	if (!pid) {
		unsigned char *p = map_pages(h, pages);

		for (long i = 0; i < pages; i++)
			p[i * h->size_kb * KB] = 1;
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && !WEXITSTATUS(status) ? now_ms() - t : -1;
}

/*
 * The same with so many KiB of other memory, in large pages where there are some. Nobody
 * else is to be killed for it.
 */
static double other_process(long kb)
{
	double t = now_ms();
	int status;
	pid_t pid = fork();

	if (!pid) {
		char *p;

		write_text("/proc/self/oom_score_adj", "1000");
		p = mmap(NULL, kb * KB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			_exit(1);
		madvise(p, kb * KB, MADV_HUGEPAGE);
		for (long i = 0; i < kb; i += page_kb)
			p[i * KB] = 1;
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && !WEXITSTATUS(status) ? now_ms() - t : -1;
}

static int upwards(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, long n)
{
	qsort(v, n, sizeof(*v), upwards);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/*
 * pages=N, rounds=N: a process maps N pages of the smallest size, none of which is
 * in the pool, touches each, and exits; then the next one, at once. HVO off and on.
 * On may take percent=N of off; medians.
 *
 * The twin asks for what cannot be met.
 */
static int restart(void)
{
	const struct hstate *h = smallest();
	long pages = number("pages", 1400), rounds = number("rounds", 3);
	long percent = busted ? 1 : number("percent", 150);
	double ms[2][MAX_ROUNDS], m[2];

	if (rounds > MAX_ROUNDS || pages * h->size_kb > mem_kb / 8 * 7) {
		line("# %ld pages of %lu kB do not fit into this guest", pages, h->size_kb);
		return CASE_SKIP;
	}
	hstate_set(h, "nr_overcommit_hugepages", pages);
	for (int on = 0; on < 2; on++) {
		write_long(OPTIMIZE, on);
		compact();
		/* The first one finds memory that was never used: it does not count. */
		for (long r = -1; r < rounds; r++) {
			double t = one_process(h, pages);

			if (t < 0)
				fatal("HVO %d, round %ld: the pages could not be had", on, r + 1);
			if (r >= 0)
				ms[on][r] = t;
		}
		check_restored("gone");
		m[on] = median(ms[on], rounds);
		line("# HVO %s: %ld pages of %lu kB, %ld processes, %.0f to %.0f ms, median %.0f",
		     on ? "on" : "off", pages, h->size_kb, rounds, ms[on][0], ms[on][rounds - 1],
		     m[on]);
	}
	hstate_set(h, "nr_overcommit_hugepages", 0);
	line("# a process takes %.2f times as long with HVO on", m[1] / m[0]);
	if (m[1] * 100 > m[0] * percent)
		fail("a process takes %.2f times as long, the bound is %.2f", m[1] / m[0],
		     percent / 100.0);
	return 0;
}

/*
 * pages=N: such a process is gone, and the counters say that its pages are, too: then
 * the memory is there, or whoever wants it waits until it is. That is a process that
 * wants most of all memory, of other pages: it gets it, and with HVO on it may take
 * percent=N of the time that it takes with HVO off. The twin asks for what cannot be met.
 */
static int gone(void)
{
	const struct hstate *h = smallest();
	long pages = number("pages", 1400), kb = pages * h->size_kb, want;
	long percent = busted ? 1 : number("percent", 200);
	double ms[2];

	if (kb > (long)mem_kb / 8 * 7) {
		line("# %ld pages of %lu kB do not fit into this guest", pages, h->size_kb);
		return CASE_SKIP;
	}
	hstate_set(h, "nr_overcommit_hugepages", pages);
	compact();
	want = meminfo_kb("MemFree") - 256 * KB;
	for (int on = 0; on < 2; on++) {
		double t = now_ms(), counters;
		long free_was, missing;

		write_long(OPTIMIZE, on);
		compact();
		free_was = meminfo_kb("MemFree");
		if (one_process(h, pages) < 0)
			fatal("HVO %d: the pages could not be had", on);
		t = now_ms();
		while (hstate_get(h, "nr_hugepages") && now_ms() - t < 30e3)
			usleep(10000);
		if (hstate_get(h, "nr_hugepages"))
			fatal("%ld pages are left 30 s later", hstate_get(h, "nr_hugepages"));
		counters = now_ms() - t;
		missing = free_was - meminfo_kb("MemFree");
		ms[on] = other_process(want);
		line("# HVO %s: %.0f ms later no page is left, %ld kB of %ld are missing; a process wants %ld kB and %s (%.0f ms)",
		     on ? "on" : "off", counters, missing, kb, want,
		     ms[on] < 0 ? "is killed" : "gets them", ms[on]);
		if (ms[on] < 0)
			fail("the counters say that all pages are gone, but %ld kB are not there",
			     missing);
		check_restored("gone");
	}
	hstate_set(h, "nr_overcommit_hugepages", 0);
	if (!bad && ms[1] * 100 > ms[0] * percent)
		fail("the memory takes %.2f times as long, the bound is %.2f", ms[1] / ms[0],
		     percent / 100.0);
	return 0;
}

static const struct one_case all[] = {
	{ "order", order },
	{ "order-boot", order_boot },
	{ "restart", restart },
	{ "gone", gone },
};

int main(int argc, char **argv)
{
	return run_case(argc, argv, all, sizeof(all) / sizeof(*all));
}
