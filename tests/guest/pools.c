// SPDX-License-Identifier: GPL-2.0
/*
 * The main job: for every HugeTLB size that HVO can optimize, fill a pool, see
 * what the vmemmap gave back, free the pool; then demote the largest pages and
 * free what came of them.
 *
 *	pools hvo=on|off [busted]
 *
 * Records: "pool", "demote" (or "nodemote") and "leaked" lines of name=value pairs, all sizes in
 * KiB. busted: HVO is switched off behind the checker's back (its twin).
 */
#include <stdio.h>
#include <string.h>

#include "hvo.h"

static bool hvo_on;
static long start_kb;

static void one_pool(const struct hstate *h)
{
	long want = pool_pages(h), got, before, after, expected;
	double t0, t1, t2, t3;

	if (!want) {
		line("unfit size_kb=%lu", h->size_kb);
		return;
	}
	compact();
	before = memmap_kb();
	t0 = now_ms();
	got = pool_set(h, want);
	t1 = now_ms();
	after = memmap_kb();
	expected = hvo_on ? got * (long)h->saved_kb : 0;
	t2 = now_ms();
	pool_set(h, 0);
	t3 = now_ms();
	line("pool size_kb=%lu pages=%ld before_kb=%ld after_kb=%ld freed_kb=%ld expected_kb=%ld alloc_ms=%.1f free_ms=%.1f",
	     h->size_kb, got, before, after, before - after, expected, t1 - t0, t3 - t2);
	if (got < 1) {
		line("# no page of %lu kB could be allocated, %ld were asked for", h->size_kb, want);
		bad = true;
	}
	if (before - after != expected) {
		line("# %ld pages of %lu kB freed %ld kB of vmemmap, expected %ld",
		     got, h->size_kb, before - after, expected);
		bad = true;
	}
	if (memmap_kb_settled(before) != before) {
		line("# %lu kB: the vmemmap has %ld kB after the pool was freed, it had %ld",
		     h->size_kb, memmap_kb(), before);
		bad = true;
	}
}

/*
 * Demote the largest size that fits to the smallest that the kernel demotes to:
 * that of a PMD. HVO optimizes it on every granule.
 */
static void demote(void)
{
	const struct hstate *from = NULL, *to = NULL;
	unsigned long pmd_kb = page_kb * (page_kb * KB / 8);
	long pages, got, before, freed, expected, want;
	int err;

	for (int i = 0; i < nr_hstates; i++) {
		if (!from && hstates[i].saved_kb && pool_pages(&hstates[i]))
			from = &hstates[i];
		else if (from && hstates[i].size_kb >= pmd_kb)
			to = &hstates[i];
	}
	if (!from || !to) {
		line("nodemote");
		return;
	}
	compact();
	before = memmap_kb();
	pages = pool_set(from, pool_pages(from));
	want = pages * (from->size_kb / to->size_kb);
	err = pool_demote(from, to);
	got = hstate_get(to, "nr_hugepages");
	freed = before - memmap_kb();
	expected = hvo_on ? got * (long)to->saved_kb : 0;
	line("demote from_kb=%lu to_kb=%lu pages=%ld freed_kb=%ld expected_kb=%ld",
	     from->size_kb, to->size_kb, got, freed, expected);
	if (err || pages < 1 || got != want || freed != expected) {
		line("# demoting %ld pages of %lu kB: error %d, %ld pages of %lu kB, expected %ld; freed %ld kB, expected %ld",
		     pages, from->size_kb, err, got, to->size_kb, want, freed, expected);
		bad = true;
	}
	pool_set(from, 0);
	pool_set(to, 0);
}

int main(int argc, char **argv)
{
	const char *hvo = arg(argc, argv, "hvo");
	long leaked;

	hvo_init();
	hvo_on = !hvo || strcmp(hvo, "off");
	line("facts page_kb=%lu struct_page=%lu mem_kb=%lu", page_kb, struct_page_size, mem_kb);
	if (arg(argc, argv, "busted"))
		write_long("/proc/sys/vm/hugetlb_optimize_vmemmap", 0);

	start_kb = memmap_kb();
	for (int i = 0; i < nr_hstates; i++)
		if (hstates[i].saved_kb)
			one_pool(&hstates[i]);
	demote();

	leaked = start_kb - memmap_kb_settled(start_kb) + huge_kb();
	line("leaked kb=%ld", leaked);
	if (leaked) {
		line("# %ld kB leaked: %ld kB of huge pages are left, the vmemmap had %ld kB and has %ld",
		     leaked, huge_kb(), start_kb, memmap_kb());
		bad = true;
	}
	if (arg(argc, argv, "busted"))
		write_long("/proc/sys/vm/hugetlb_optimize_vmemmap", 1);
	return bad ? CASE_FAIL : CASE_OK;
}
