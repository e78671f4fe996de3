// SPDX-License-Identifier: GPL-2.0
/*
 * The shadow vmemmap, HugeTLB's side: folios in batches, the pages that are in
 * hand meanwhile, and what boot and memory hotplug have to know.
 */
#define pr_fmt(fmt) "vmemmap_shadow: " fmt

#include <linux/hugetlb.h>
#include <linux/init.h>
#include <linux/ktime.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/mmdebug.h>
#include <linux/page-flags.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmemmap_shadow.h>
#include <linux/vmstat.h>

#include <trace/events/vmemmap_shadow.h>

#include "vmemmap_shadow.h"

static bool shadow_pagegran __ro_after_init = true;

bool vmemmap_shadow_enabled(void)
{
	return shadow_pagegran;
}

/* Not kstrtobool(): to that, "foo" is false and "yonder" is true. */
static int __init shadow_parse_pagegran(char *arg)
{
	if (arg && !strcmp(arg, "on")) {
		shadow_pagegran = true;
	} else if (arg && !strcmp(arg, "off")) {
		shadow_pagegran = false;
		pr_info("vmemmap_pagegran=off: vmemmap may use blocks, HVO stays off\n");
	} else {
		pr_err("vmemmap_pagegran=%s is neither on nor off, staying %s\n",
		       arg ?: "", shadow_pagegran ? "on" : "off");
	}

	return 0;
}
early_param("vmemmap_pagegran", shadow_parse_pagegran);

/* Is each entry of the range that is mapped with pages OWNED? */
static bool shadow_all_owned(unsigned long start, unsigned long end)
{
	unsigned long addr = start;

	while (addr < end) {
		pmd_t pmd = vmemmap_shadow_pmd(addr);
		pte_t pte;

		if (pmd_none(pmd) || pmd_leaf(pmd)) {
			addr = pmd_addr_end(addr, end);
			continue;
		}
		pte = __ptep_get(pte_offset_kernel(&pmd, addr));
		if (!pte_none(pte) &&
		    vmemmap_shadow_pte_state(pte) != VMEMMAP_SHADOW_OWNED)
			return false;
		addr += PAGE_SIZE;
	}

	return true;
}

bool vmemmap_shadow_may_free(unsigned long start, unsigned long end)
{
	if (shadow_all_owned(start, end))
		return true;

	vmemmap_shadow_violation("hot-remove of a folio that is optimized");

	return false;
}

bool vmemmap_shadow_may_populate(unsigned long start, unsigned long end)
{
	return shadow_all_owned(start, end);
}

/* ------------------------------------------------------------------------ */
/* Pages in hand							    */

/* Free neighbouring pages, in blocks that a CPU's free lists take. */
static void shadow_free_run(struct page *page, unsigned int nr)
{
	if (PageReserved(page))
		memmap_boot_pages_add(-(long)nr);
	else
		memmap_pages_add(-(long)nr);

	while (nr) {
		const unsigned int order =
			min(__ffs(page_to_pfn(page) | BIT(PAGE_ALLOC_COSTLY_ORDER)),
			    ilog2(nr));

		vmemmap_shadow_free_pages(page, order);
		page += 1U << order;
		nr -= 1U << order;
	}
}

static void shadow_free_pages(struct list_head *pages)
{
	struct page *page, *next, *run = NULL;
	bool reserved = false;
	unsigned int nr = 0;
	long all = 0;

	list_for_each_entry_safe(page, next, pages, lru) {
		set_page_private(page, 0);
		all++;
		if (reserved && page == run + nr && PageReserved(page)) {
			nr++;
			continue;
		}
		if (nr)
			shadow_free_run(run, nr);
		run = page;
		nr = 1;
		reserved = PageReserved(page);
	}
	if (nr)
		shadow_free_run(run, nr);
	INIT_LIST_HEAD(pages);
	shadow_count(SHADOW_BYTES_SAVED, all * PAGE_SIZE);
}

/*
 * Allocate a page for each of a folio's tail entries that maps the shared page.
 * All or nothing.
 */
static int shadow_alloc_for(struct shadow_member *m)
{
	const unsigned int nr_tails = shadow_nr_tails(m->folio);
	unsigned int need = 0, got = 0, n = 0;
	struct page *some[32];
	unsigned long addr;
	pte_t *ptep;

	for_each_member_entry(ptep, addr, m, 0, nr_tails)
		need += shadow_maps_shared(vmemmap_shadow_pte_state(__ptep_get(ptep)));

	for_each_member_entry(ptep, addr, m, 0, nr_tails) {
		if (!shadow_maps_shared(vmemmap_shadow_pte_state(__ptep_get(ptep))))
			continue;
		if (n == got) {
			got = min(need, ARRAY_SIZE(some));
			memset(some, 0, got * sizeof(*some));
			got = vmemmap_shadow_alloc_pages(folio_nid(m->folio), got, some);
			if (!got) {
				shadow_free_pages(&m->pages);
				return -ENOMEM;
			}
			memmap_pages_add(got);
			shadow_count(SHADOW_BYTES_SAVED, -(long)(got * PAGE_SIZE));
			need -= got;
			n = 0;
			cond_resched();
		}
		shadow_hold_page(some[n++], addr, &m->pages);
	}
	/* What a stray writer has parted meanwhile needs none. */
	while (n < got)
		shadow_hold_page(some[n++], 0, &m->pages);

	return 0;
}

/* ------------------------------------------------------------------------ */
/* Batches								    */

/* Room for a batch; for one folio, which the caller brings, if that will do or must. */
static struct shadow_member *shadow_room_alloc(struct shadow_member *one, bool single,
					       unsigned int *max)
{
	struct shadow_member *room = NULL;

	if (!single)
		room = vmemmap_shadow_alloc_note(SHADOW_BATCH * sizeof(*room));
	*max = room ? SHADOW_BATCH : 1;

	return room ?: one;
}

static void shadow_room_free(struct shadow_member *room, struct shadow_member *one)
{
	if (room != one)
		kfree(room);
}

/* Does this folio belong into this batch? The first one always does. */
static bool shadow_batch_takes(const struct shadow_batch *b,
			       const struct folio *folio)
{
	if (!b->nr)
		return true;

	return b->nr < b->max && b->nr_tails == shadow_nr_tails(folio) &&
	       (b->nr + 1) * (b->nr_tails + 1) <= SHADOW_WINDOW;
}

/* Room for one more. */
static struct shadow_member *shadow_batch_next(struct shadow_batch *b,
					       struct folio *folio, pte_t *ptep)
{
	struct shadow_member *m = &b->room[b->nr];

	m->folio = folio;
	m->ptep = ptep;
	m->joined = 0;
	INIT_LIST_HEAD(&m->pages);

	return m;
}

/* Neighbours come together, for shadow_tlbi_round(). The caller's list stays. */
static void shadow_batch_add(struct shadow_batch *b, struct shadow_member *m)
{
	unsigned int n = b->nr;

	/* Most lists go up, or down. */
	if (n && m->folio < b->member[0]->folio)
		n = 0;
	while (n && m->folio < b->member[n - 1]->folio)
		n--;
	memmove(&b->member[n + 1], &b->member[n], (b->nr - n) * sizeof(m));
	b->member[n] = m;
	b->nr++;
	b->nr_tails = shadow_nr_tails(m->folio);
}

/*
 * Take every entry of every folio of a batch to OWNED. On error the folios
 * still count as optimized; their entries may then be in any state.
 */
static int shadow_restore_batch(struct shadow_batch *b)
{
	struct shadow_member *m;
	unsigned int i;
	int ret;

	ret = vmemmap_shadow_restore_windows(b);
	for_each_in_batch(m, i, b) {
		if (!ret)
			folio_clear_hugetlb_vmemmap_optimized(m->folio);
	}

	return ret;
}

/* What is in hand, and not needed, nothing maps: see the TLBI rounds. */
static void shadow_release(struct shadow_batch *b)
{
	struct shadow_member *m;
	LIST_HEAD(pages);
	unsigned int i;

	for_each_in_batch(m, i, b)
		list_splice_tail_init(&m->pages, &pages);
	if (vmemmap_shadow_debug_may_release(b, &pages))
		shadow_free_pages(&pages);
}

/*
 * Optimize the folios of a batch. Each is marked, and readers were awaited.
 * Returns how many entries were joined. The mark of what others may look at stays.
 */
static unsigned long shadow_optimize_batch(struct shadow_batch *b, unsigned int *nr_folios,
					   bool in_use)
{
	unsigned int i, nr = 0;
	struct shadow_member *m;
	unsigned long joined = 0;

	for_each_in_batch(m, i, b) {
		if (vmemmap_shadow_prepare(m))
			b->member[nr++] = m;
		else if (!SHADOW_WARN_ON(in_use))
			folio_clear_hugetlb_vmemmap_optimized(m->folio);
	}
	b->nr = nr;
	if (!nr)
		return 0;

	vmemmap_shadow_optimize_windows(b);
	for_each_in_batch(m, i, b) {
		joined += m->joined;
		if (!m->joined && !in_use) {
			folio_clear_hugetlb_vmemmap_optimized(m->folio);
			nr--;
		}
	}
	*nr_folios += nr;
	shadow_count(SHADOW_FOLIOS_OPTIMIZED, nr);
	shadow_release(b);

	return joined;
}

/* ------------------------------------------------------------------------ */
/* The two operations							    */

/* Would it make sense to optimize this folio? */
static bool shadow_is_candidate(struct folio *folio)
{
	return shadow_pagegran && shadow_nr_tails(folio) &&
	       !folio_test_hugetlb_vmemmap_optimized(folio);
}

static bool shadow_is_owned(pte_t *ptep)
{
	const pte_t pte = __ptep_get(ptep);

	return shadow_pte_is_sound(pte) &&
	       vmemmap_shadow_pte_state(pte) == VMEMMAP_SHADOW_OWNED;
}

/*
 * Mark a folio as optimized, if it can be. Returns its head's entry, or NULL if
 * it was not marked now.
 */
static pte_t *shadow_mark(struct folio *folio)
{
	const unsigned int nr_tails = shadow_nr_tails(folio);
	unsigned long addr;
	pte_t *head, *ptep;
	unsigned int owned;

	if (!shadow_is_candidate(folio))
		return NULL;
	if (READ_ONCE(vmemmap_shadow_broken)) {
		shadow_count(SHADOW_REFUSED_BROKEN, 1);
		return NULL;
	}
	if (SHADOW_WARN_ON(!folio_test_hugetlb(folio) ||
			   (!SHADOW_FOLIOS_IN_USE && folio_ref_count(folio))))
		return NULL;

	/*
	 * The vmemmap of hot-added memory may lie in that memory itself, at
	 * its start, and is mapped with blocks then. Its pages must stay where
	 * they are, and if the first one of a folio is such a page, all are, by
	 * the alignment of both.
	 */
	head = vmemmap_shadow_ptep((unsigned long)folio);
	if (!head || PageVmemmapSelfHosted(pte_page(__ptep_get(head)))) {
		shadow_count(SHADOW_REFUSED_SELF_HOSTED, 1);
		return NULL;
	}

	/* Mapped with pages, each its own? Then no later step meets a hole. */
	owned = shadow_is_owned(head);
	for_each_entry_from(shadow_next_ptep(head, shadow_tail_addr(folio, 0)),
			    ptep, addr, folio, 0, nr_tails) {
		owned += shadow_is_owned(ptep);
	}
	if (SHADOW_WARN_ON(owned != nr_tails + 1))
		return NULL;

	/*
	 * [E]: the key is up since HVO was enabled, so that every reader looks
	 * out for fake heads. The flag, which lies in the head's page, before
	 * the head's page is copied.
	 */
	folio_set_hugetlb_vmemmap_optimized(folio);

	return head;
}

/* The next folio; of a single one, which may be on somebody's list, there is none. */
static struct folio *shadow_next(struct folio *folio, const struct list_head *folios)
{
	if (!folios || list_is_last(&folio->lru, folios))
		return NULL;

	return list_next_entry(folio, lru);
}

static void shadow_optimize(struct folio *first, const struct list_head *folios)
{
	const u64 began = ktime_get_mono_fast_ns();
	unsigned int max, nr_folios = 0;
	struct shadow_member one, *room;
	unsigned long nr_entries = 0;
	struct shadow_batch b;
	struct folio *folio;
	pte_t *head = NULL;

	might_sleep();
	for (; first; first = shadow_next(first, folios)) {
		head = shadow_mark(first);
		if (head)
			break;
		cond_resched();
	}
	if (!first)
		return;

	/*
	 * [F]: the folios are frozen. Who looks at a tail from now on sees a
	 * reference count of 0 and does not write. Who saw a tail's count in
	 * its previous life, before the freeze, may be about to compare and
	 * exchange it still, and an arm64 CAS needs write permission even if
	 * its comparison fails. page_ref_add_unless() does both in one RCU
	 * read-side critical section: after a grace period it is done. So is
	 * every fault handler that has seen one of these entries read-only
	 * the last time: [L].
	 */
	if (SHADOW_WAITS_FOR_READERS)
		shadow_wait_readers();

	room = shadow_room_alloc(&one, !shadow_next(first, folios), &max);
	shadow_batch_init(&b, room, max);
	for (folio = first; folio; folio = shadow_next(folio, folios)) {
		cond_resched();
		if (folio != first)
			head = shadow_mark(folio);
		if (!head)
			continue;
		if (!shadow_batch_takes(&b, folio)) {
			nr_entries += shadow_optimize_batch(&b, &nr_folios, false);
			shadow_batch_init(&b, room, max);
		}
		shadow_batch_add(&b, shadow_batch_next(&b, folio, head));
	}
	if (b.nr)
		nr_entries += shadow_optimize_batch(&b, &nr_folios, false);
	shadow_room_free(room, &one);
	trace_vmemmap_shadow_optimize(folio_pfn(first), folio_order(first),
				      nr_folios, nr_entries,
				      ktime_get_mono_fast_ns() - began);
}

void vmemmap_shadow_optimize_folio(struct folio *folio)
{
	shadow_optimize(folio, NULL);
}

void vmemmap_shadow_optimize_folios(struct list_head *folios)
{
	shadow_optimize(list_first_entry_or_null(folios, struct folio, lru), folios);
}

#if SHADOW_FOLIOS_IN_USE
bool vmemmap_shadow_claim(struct shadow_batch *b, struct folio *folio)
{
	pte_t *head;

	lockdep_assert_held(&hugetlb_lock);
	if (!shadow_batch_takes(b, folio))
		return false;
	head = shadow_mark(folio);
	if (head)
		shadow_batch_add(b, shadow_batch_next(b, folio, head));

	return true;
}

void vmemmap_shadow_optimize_claimed(struct shadow_batch *b)
{
	const struct folio *first = b->member[0]->folio;
	const u64 began = ktime_get_mono_fast_ns();
	unsigned int nr_folios = 0;
	unsigned long nr_entries;

	might_sleep();
	shadow_count(SHADOW_FOLIOS_LATER, b->nr);
	nr_entries = shadow_optimize_batch(b, &nr_folios, true);
	trace_vmemmap_shadow_optimize(folio_pfn(first), folio_order(first), nr_folios,
				      nr_entries, ktime_get_mono_fast_ns() - began);
}
#endif

/* Does not move anything, if @folios is NULL: @first is a single one then. */
static long shadow_restore(struct folio *first, struct list_head *folios,
			   struct list_head *restored)
{
	const u64 began = ktime_get_mono_fast_ns();
	struct folio *folio, *next = first;
	struct shadow_member one, *room, *m;
	unsigned long nr_entries = 0;
	struct shadow_batch b;
	unsigned int max;
	long nr = 0;
	int ret = 0;

	might_sleep();
	if (SHADOW_FOLIOS_IN_USE)
		vmemmap_shadow_later_wait();
	room = shadow_room_alloc(&one, !shadow_next(first, folios), &max);
	while (!ret && next) {
		unsigned int nr_listed = 0;

		/*
		 * Gather a batch, with pages for it. Memory that runs out cuts
		 * the batch short, and ends the call once not even its first
		 * folio gets any: then nothing of that folio has changed.
		 */
		shadow_batch_init(&b, room, max);
		for (folio = next; folio; folio = shadow_next(folio, folios)) {
			if (folio_test_hugetlb_vmemmap_optimized(folio)) {
				VM_WARN_ON_ONCE_FOLIO(!folio_test_hugetlb(folio), folio);
				VM_WARN_ON_ONCE_FOLIO(folio_ref_count(folio), folio);
				if (!shadow_batch_takes(&b, folio))
					break;
				m = shadow_batch_next(&b, folio,
						      vmemmap_shadow_ptep((unsigned long)folio));
				ret = shadow_alloc_for(m);
				if (ret)
					break;
				shadow_batch_add(&b, m);
			}
			nr_listed++;
			cond_resched();
		}
		next = folio;
		if (b.nr) {
			ret = shadow_restore_batch(&b);
			shadow_release(&b);
			if (ret)
				break;
			nr += b.nr;
			nr_entries += b.nr * b.nr_tails;
			shadow_count(SHADOW_FOLIOS_RESTORED, b.nr);
		}

		/* In the order in which they came, the others among them. */
		while (folios && nr_listed--)
			list_move_tail(folios->next, restored);
	}
	shadow_room_free(room, &one);
	trace_vmemmap_shadow_restore(folio_pfn(first), folio_order(first), nr,
				     nr_entries, ktime_get_mono_fast_ns() - began);

	return ret ?: nr;
}

int vmemmap_shadow_restore_folio(struct folio *folio)
{
	long ret;

	if (!folio_test_hugetlb_vmemmap_optimized(folio))
		return 0;

	ret = shadow_restore(folio, NULL, NULL);

	return ret < 0 ? ret : 0;
}

long vmemmap_shadow_restore_folios(struct list_head *folios,
				   struct list_head *restored)
{
	struct folio *folio;

	list_for_each_entry(folio, folios, lru) {
		if (folio_test_hugetlb_vmemmap_optimized(folio))
			return shadow_restore(list_first_entry(folios, struct folio, lru),
					      folios, restored);
	}
	list_splice_tail_init(folios, restored);

	return 0;
}
