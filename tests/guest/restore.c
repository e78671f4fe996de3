// SPDX-License-Identifier: GPL-2.0
/*
 * Does a huge page that had given its vmemmap back come home whole? The cases of
 * `make x86`: "restore NAME".
 *
 *	pool		8 pages of 2 MiB, twice
 *	demote		a page of 1 GiB becomes 512 of 2 MiB
 *	rollback	a page of 1 GiB is optimized half way, then memory fails
 *	offline		a block of memory goes offline under a pool of 2 MiB
 *
 * Afterwards the memmap counters have to be where they were, and so has free
 * memory: a page that the page checks refuse is never freed.
 *
 * HVO is off at boot. demote and rollback want hugepagesz=1G hugepages=1: that
 * page is freed at once and leaves a place for the one that they allocate. offline
 * wants movablecore=.
 */
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hvo.h"

#define SMALL_KB	(2UL * KB)
#define BIG_KB		(1UL * KB * KB)
#define FAULTS		"/sys/kernel/debug/fail_page_alloc/"

static long start_map, start_free;

/* Free memory, together with what the lists per CPU hold. */
static long free_kb(void)
{
	long pages = vmstat("nr_free_pages"), n;
	FILE *f = fopen("/proc/zoneinfo", "r");
	char buf[128];

	while (f && fgets(buf, sizeof(buf), f))
		if (sscanf(buf, " count: %ld", &n) == 1)
			pages += n;
	if (f)
		fclose(f);
	return pages * (long)page_kb;
}

static void check_freed(const struct hstate *h, long pages)
{
	long freed = start_map - memmap_kb();

	if (pages < 1)
		fail("no page of %lu kB", h->size_kb);
	if (freed != pages * (long)h->saved_kb)
		fail("%ld pages of %lu kB freed %ld kB of vmemmap, expected %ld", pages,
		     h->size_kb, freed, pages * (long)h->saved_kb);
}

/*
 * All pools are empty again; they had held @kb. What is still missing, page tables
 * and the like, must not amount to a huge page.
 */
static void check_back(const char *what, long kb)
{
	long map = memmap_kb_settled(start_map), lost = start_free - free_kb();

	for (int i = 0; i < 100 && lost >= (long)SMALL_KB; i++) {
		usleep(10000);
		lost = start_free - free_kb();
	}
	if (lost >= (long)SMALL_KB)
		fail("%s: %ld kB of %ld did not come back", what, lost, kb);
	if (map != start_map)
		fail("%s: the vmemmap has %ld kB, it had %ld", what, map, start_map);
	if (!bad)
		line("# %s: %ld kB came back, free memory differs by %ld kB", what, kb, -lost);
}

static int pool(const struct hstate *small)
{
	for (int i = 0; i < 2 && !bad; i++) {
		long pages = pool_set(small, 8);

		check_freed(small, pages);
		pool_set(small, 0);
		check_back("pool", pages * (long)small->size_kb);
	}
	return 0;
}

static int demote(const struct hstate *small, const struct hstate *big)
{
	long pages, real;
	int err;

	check_freed(big, pool_set(big, 1));
	if (bad)
		return 0;
	err = pool_demote(big, small);
	pages = hstate_get(small, "nr_hugepages");
	if (err || pages != (long)(big->size_kb / small->size_kb))
		fail("demoting gave %ld pages, error %d", pages, err);
	real = (start_map - memmap_kb()) / (long)small->saved_kb;
	line("# %ld of %ld demoted pages are optimized", real, pages);
	if (real != pages)
		fail("%ld of %ld demoted pages only count as optimized", pages - real, pages);
	pool_set(small, 0);
	check_back("demote", big->size_kb);
	return 0;
}

/*
 * Every second allocation of ours fails. The vmemmap of the page lies in blocks
 * that have to be split, one allocation each: the first is split, the second is
 * not, which ends the splitting in advance. Then the copy of the head's page is
 * allocated, all of the first block is remapped, and the second block fails
 * again, half way. If it comes out the other way round, the first block fails,
 * nothing is remapped, and the next round begins with the other half.
 */
static int rollback(const struct hstate *big)
{
	long boot = vmstat("nr_memmap_boot_pages");
	bool seen = false;

	if (write_text(FAULTS "task-filter", "Y") || write_text(FAULTS "ignore-gfp-wait", "N") ||
	    write_long(FAULTS "min-order", 0) || write_long(FAULTS "verbose", 1) ||
	    write_long(FAULTS "interval", 2) || write_long(FAULTS "times", -1) ||
	    write_long(FAULTS "probability", 100)) {
		line("# this kernel has no fault injection");
		return CASE_SKIP;
	}
	for (int i = 0; i < 4 && !seen && !bad; i++) {
		write_text("/proc/self/make-it-fail", "1");
		hstate_set(big, "nr_hugepages", 1);
		write_text("/proc/self/make-it-fail", "0");
		if (hstate_get(big, "nr_hugepages") != 1)
			fail("no page of %lu kB", big->size_kb);
		/* The copy of the head's page stays, in the place of one from boot. */
		seen = vmstat("nr_memmap_boot_pages") != boot || memmap_kb() != start_map;
		if (memmap_kb() != start_map)
			fail("a page that could not be optimized: the vmemmap has %ld kB, it had %ld",
			     memmap_kb(), start_map);
		pool_set(big, 0);
		check_back(seen ? "rolled back" : "not begun", big->size_kb);
	}
	if (!seen)
		fail("no rollback took place");
	if (bad)
		return 0;
	check_freed(big, pool_set(big, 1));
	pool_set(big, 0);
	check_back("the same page optimized", big->size_kb);
	return 0;
}

/* Whether this block of memory is made of nothing but the movable zone. */
static bool movable(const char *block)
{
	char path[256], zones[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "%s/valid_zones", block);
	f = fopen(path, "r");
	if (f) {
		if (!fgets(zones, sizeof(zones), f))
			zones[0] = 0;
		fclose(f);
	}
	return !strncmp(zones, "Movable", 7);
}

/*
 * The first block that has pages of the pool goes offline: they are dissolved.
 * That takes cpu_hotplug_lock around all of it.
 */
static int offline(const struct hstate *small)
{
	long pages = pool_set(small, 256), left = pages;
	char path[256];
	glob_t blocks;

	check_freed(small, pages);
	if (glob("/sys/devices/system/memory/memory[0-9]*", 0, NULL, &blocks))
		fatal("there are no blocks of memory");
	for (size_t i = 0; i < blocks.gl_pathc && left == pages && !bad; i++) {
		if (!movable(blocks.gl_pathv[i]))
			continue;
		snprintf(path, sizeof(path), "%s/state", blocks.gl_pathv[i]);
		if (write_text(path, "offline"))
			continue;
		left = hstate_get(small, "nr_hugepages");
		check_freed(small, left);
		if (write_text(path, "online_movable"))
			fail("%s stays offline", blocks.gl_pathv[i]);
	}
	globfree(&blocks);
	line("# %ld of %ld pages were dissolved", pages - left, pages);
	if (left == pages)
		fail("no block that has pages of the pool went offline");
	pool_set(small, 0);
	check_back("offline", pages * (long)small->size_kb);
	return 0;
}

int main(int argc, char **argv)
{
	const struct hstate *small, *big;
	int rc;

	if (argc < 2)
		fatal("usage: restore pool|demote|rollback|offline");
	hvo_init();
	small = hstate_find(SMALL_KB);
	big = hstate_find(BIG_KB);
	if (!small || !small->saved_kb)
		fatal("HVO does not optimize pages of 2 MiB here");
	if (strcmp(argv[1], "pool") && strcmp(argv[1], "offline") && !big) {
		line("# this processor has no pages of 1 GiB");
		return CASE_SKIP;
	}
	if (big)
		pool_set(big, 0);
	if (write_long("/proc/sys/vm/hugetlb_optimize_vmemmap", 1))
		fatal("HVO cannot be switched on");
	start_map = memmap_kb();
	start_free = free_kb();

	if (!strcmp(argv[1], "pool"))
		rc = pool(small);
	else if (!strcmp(argv[1], "demote"))
		rc = demote(small, big);
	else if (!strcmp(argv[1], "rollback"))
		rc = rollback(big);
	else if (!strcmp(argv[1], "offline"))
		rc = offline(small);
	else
		fatal("no case is called %s", argv[1]);
	if (rc)
		return rc;
	return bad ? CASE_FAIL : CASE_OK;
}
