// SPDX-License-Identifier: GPL-2.0
/*
 * The shadow vmemmap, what tails share: one page of tails for each zone and order.
 * All tails of an order are the same bytes, since compound_info holds a mask and
 * no address, and once it is filled the page never changes. Nothing of a folio is
 * in it, and no tail looks like a head.
 *
 * See Documentation/mm/vmemmap_shadow.rst. The letters in brackets are those of
 * its barrier pairs.
 */
#define pr_fmt(fmt) "vmemmap_shadow: " fmt

#include <linux/gfp.h>
#include <linux/hugetlb.h>
#include <linux/init.h>
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/page-flags.h>
#include <linux/percpu.h>
#include <linux/pgtable.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/vmemmap_shadow.h>
#include <linux/vmemmap_shadow_boot.h>
#include <linux/vmstat.h>

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include <trace/events/vmemmap_shadow.h>

#include <asm/barrier.h>

#include "vmemmap_shadow.h"

bool vmemmap_shadow_booting = true;
bool vmemmap_shadow_used;

static int __init shadow_booted(void)
{
	vmemmap_shadow_booting = false;

	return 0;
}
subsys_initcall_sync(shadow_booted);

/* ------------------------------------------------------------------------ */
/* Contents								    */

/* What a tail's flags word has that means nothing there. */
#define SHADOW_NO_MEANING						\
	(((unsigned long)LAST_CPUPID_MASK << LAST_CPUPID_PGSHIFT) |	\
	 ((unsigned long)KASAN_TAG_MASK << KASAN_TAG_PGSHIFT))

/*
 * A plain tail has nothing of its own: losing it loses nothing. All else in its
 * flags word is as in the shared tail, or means nothing.
 */
static bool shadow_tail_is_plain(const union shadow_words *words,
				 const union shadow_words *as)
{
	const struct page *tail = &words->page;
	const unsigned long flags = READ_ONCE(words->word[0]);

	return READ_ONCE(tail->compound_info) == as->page.compound_info &&
	       page_ref_count(tail) == 0 &&
	       atomic_read(&tail->_mapcount) == -1 &&
	       !((flags ^ as->word[0]) & ~SHADOW_NO_MEANING);
}

/*
 * Words of a tail that mean nothing hold what the page's last life has left there.
 * They become what the shared tail has while each page is its entry's own, the
 * folio is the caller's alone, and nobody has a reason to store to them. The flags
 * word is exchanged: memory_failure() may set a flag in it at any time.
 */
static noinline void shadow_wipe_flags(unsigned long *word, unsigned long old,
				       unsigned long flags)
{
	if (!((old ^ flags) & ~SHADOW_NO_MEANING))
		cmpxchg_relaxed(word, old, flags);
}

static __always_inline void shadow_wipe(struct page *tail, unsigned long flags)
{
	unsigned long *word = (unsigned long *)tail;
	const unsigned long old = READ_ONCE(*word);

	WRITE_ONCE(tail->lru.prev, NULL);
	WRITE_ONCE(tail->__folio_index, 0);
	if (unlikely(old != flags))
		shadow_wipe_flags(word, old, flags);
}

static void shadow_wipe_tails(struct folio *folio, const union shadow_words *as)
{
	struct page *tail = &folio->page + PAGE_SIZE / sizeof(struct page);
	const struct page *end = &folio->page + folio_nr_pages(folio);
	const unsigned long flags = as->word[0];

	for (; tail < end; tail += 4) {
		shadow_wipe(tail, flags);
		shadow_wipe(tail + 1, flags);
		shadow_wipe(tail + 2, flags);
		shadow_wipe(tail + 3, flags);
		if (IS_ALIGNED((unsigned long)tail, SZ_2M))
			cond_resched();
	}
}

/*
 * Gigantic folios of the boot command line come from memblock, and HugeTLB makes
 * tails of those of their struct pages only that HVO keeps. The others hold nothing
 * yet, nothing knows of them, and what their words are nobody has said. They are raw.
 */
static bool shadow_is_raw(const struct folio *folio)
{
	return READ_ONCE(vmemmap_shadow_booting) && folio_order(folio) > MAX_PAGE_ORDER;
}

/* The page that tails of this folio's zone and order share, if there is one yet. */
static struct page *shadow_shared_page(const struct folio *folio)
{
	const unsigned int order = folio_order(folio);

	if (order < VMEMMAP_TAIL_MIN_ORDER)
		return NULL;

	/* Made by vmemmap_get_tail(), with a full barrier before it can be seen. */
	return READ_ONCE(folio_zone(folio)->vmemmap_tails[order - VMEMMAP_TAIL_MIN_ORDER]);
}

static void shadow_spare_refill(void);

/* Before an entry becomes read-only. */
static void shadow_get_ready(void)
{
	if (!vmemmap_shadow_in_use())
		WRITE_ONCE(vmemmap_shadow_used, true);
	shadow_spare_refill();
}

bool vmemmap_shadow_prepare(struct shadow_member *m)
{
	struct page *shared = shadow_shared_page(m->folio);

	if (!shared)
		return false;
	m->was.shared = shared;
	m->was.tail = page_to_virt(shared);
	shadow_get_ready();
	if (!shadow_is_raw(m->folio))
		shadow_wipe_tails(m->folio, m->was.tail);

	return true;
}

/* The shared page is what it was. Restore, which has not prepared, looks for it. */
void vmemmap_shadow_note(struct shadow_member *m)
{
	m->was.shared = shadow_shared_page(m->folio);
	m->was.tail = page_to_virt(m->was.shared);
}

unsigned long vmemmap_shadow_shared_pfn(const struct shadow_member *m)
{
	return page_to_pfn(m->was.shared);
}

/*
 * Make each word of a page what it is in the shared one. Never over anything that
 * came in between: that is somebody's store, and it is kept.
 */
static noinline int shadow_equalize_words(const union shadow_words *as, pte_t *ptep,
					  pte_t sealed)
{
	const unsigned int nr = PAGE_SIZE / sizeof(struct page);
	union shadow_words *own = (union shadow_words *)shadow_alias(sealed);
	unsigned int i, w;

	for (i = 0; i < nr; i++) {
		if (!shadow_tail_is_plain(own + i, as)) {
			shadow_count(SHADOW_ENTRIES_NOT_PLAIN, 1);
			return -EBUSY;
		}
	}

	for (i = 0; i < nr; i++) {
		union shadow_words old;

		for (w = 0; w < SHADOW_NR_WORDS; w++)
			old.word[w] = READ_ONCE(own[i].word[w]);
		/*
		 * [D]: the words before the entry: if it is SEALED still, no
		 * store had come in between, and one that comes now makes an
		 * exchange below fail. Pairs with the exchange in
		 * __vmemmap_shadow_fault(), which the TLBI behind it orders
		 * before the store that it lets through.
		 */
		smp_rmb();
		if (pte_val(__ptep_get(ptep)) != pte_val(sealed) ||
		    !shadow_tail_is_plain(&old, as))
			return -EAGAIN;

		for (w = 0; w < SHADOW_NR_WORDS; w++) {
			if (old.word[w] != as->word[w] &&
			    !vmemmap_shadow_store(&own[i].word[w], old.word[w],
						  as->word[w]))
				return -EAGAIN;
		}
	}

	return 0;
}

/**
 * shadow_equalize() - make a sealed page's contents those of the shared page
 * @m:		the folio
 * @ptep:	the SEALED entry that maps the page
 *
 * Readers keep looking at the page. All they see is that a few fields, which say
 * nothing of a tail, change. Nothing is compared again when the entry is joined: a
 * store to the page opens the entry first, and nobody stores to the shared one.
 *
 * Return: 0 if each word of the page is equal; -EBUSY if the page holds anything but
 * plain tails, then it is unchanged; -EAGAIN if a stray writer got to it meanwhile.
 */
static int shadow_equalize(struct shadow_member *m, pte_t *ptep)
{
	const pte_t sealed = __ptep_get(ptep);

	if (vmemmap_shadow_pte_state(sealed) != VMEMMAP_SHADOW_SEALED)
		return -EAGAIN;
	if (shadow_is_raw(m->folio)) {
		vmemmap_shadow_copy(shadow_alias(sealed), m->was.tail, m->was.tail, 0);
		return 0;
	}
	if (vmemmap_shadow_all_same(shadow_alias(sealed), m->was.tail))
		return 0;

	return shadow_equalize_words(m->was.tail, ptep, sealed);
}

/*
 * What cannot be made equal is opened at once. Not behind the round of the window:
 * what a stray writer has parted from the shared page by then is SEALED, too, and
 * no TLBI may have followed yet.
 */
void vmemmap_shadow_equalize(struct shadow_member *m, unsigned int lo,
			     unsigned int hi)
{
	unsigned long addr;
	pte_t *ptep;

	for_each_member_entry(ptep, addr, m, lo, hi) {
		pte_t pte;

		if (!shadow_equalize(m, ptep))
			continue;
		do {
			pte = __ptep_get(ptep);
			if (vmemmap_shadow_pte_state(pte) != VMEMMAP_SHADOW_SEALED)
				break;
		} while (!vmemmap_shadow_cmpxchg(ptep, pte,
						 shadow_mk_pte(pte, VMEMMAP_SHADOW_OWNED, 0)));
	}
}

/* Nothing maps the page yet but the linear map. */
void vmemmap_shadow_fill(const struct shadow_member *m, struct page *page)
{
	vmemmap_shadow_copy(page_to_virt(page), m->was.tail, m->was.tail, 0);
}

/* Nothing of a folio's own was ever copied. */
void vmemmap_shadow_replain(struct shadow_member *m, unsigned int lo,
			    unsigned int hi)
{
}

/* ------------------------------------------------------------------------ */
/* Stray writes								    */

/* A page for whoever cannot allocate one. */
static DEFINE_PER_CPU(struct page *, shadow_spare);

static void shadow_spare_put(struct page *page)
{
	if (this_cpu_cmpxchg(shadow_spare, NULL, page))
		free_pages_nolock(page, 0);
}
NOKPROBE_SYMBOL(shadow_spare_put);

static void shadow_spare_refill(void)
{
	struct page *page;

	if (this_cpu_read(shadow_spare))
		return;
	page = alloc_page(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN);
	if (page)
		shadow_spare_put(page);
}

/* A page for an entry, in any context; NULL if there is none. */
VISIBLE_IF_KUNIT struct page *vmemmap_shadow_spare_get(void)
{
	struct page *page;

	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_spare_get);

	page = alloc_pages_nolock(0, NUMA_NO_NODE, 0);

	return page ?: this_cpu_xchg(shadow_spare, NULL);
}
NOKPROBE_SYMBOL(vmemmap_shadow_spare_get);

/*
 * Part the entry, to a page that is filled while nothing maps it: the shared page
 * never changes, so both are equal. Between any two steps of an entry stands a
 * completed TLBI: [J]. The caller finds the entry SEALED then, and opens it.
 */
int vmemmap_shadow_stray_write(pte_t *ptep, unsigned long addr, pte_t pte)
{
	struct page *page = vmemmap_shadow_spare_get();

	if (!page) {
		/* As on other architectures, where each such store is an oops. */
		pr_warn_once("no page for a store to %#lx\n", addr);
		return -ENOMEM;
	}
	copy_page(page_to_virt(page), shadow_alias(pte));
	vmemmap_shadow_tlbi_one(addr);
	shadow_count(SHADOW_SINGLE_TLBIS, 1);
	if (vmemmap_shadow_cmpxchg(ptep, pte, shadow_mk_pte(pte, VMEMMAP_SHADOW_SEALED,
							    page_to_pfn(page)))) {
		memmap_pages_add(1);
		shadow_count(SHADOW_ENTRIES_PARTED, 1);
		shadow_count(SHADOW_BYTES_SAVED, -(long)PAGE_SIZE);
	} else {
		shadow_spare_put(page);
	}

	return -EAGAIN;
}
NOKPROBE_SYMBOL(vmemmap_shadow_stray_write);

/* ------------------------------------------------------------------------ */
/* Boot									    */

/*
 * No step: they were invalid a moment ago, and the tag is all that changes. The
 * shared page is filled later, and memmap_init() may write to it through each of
 * them before.
 */
void __init vmemmap_shadow_mark_shared(unsigned long start, unsigned long end)
{
	const struct folio *folio = (const struct folio *)start;
	unsigned long addr;
	pte_t *ptep;

	for_each_tail_entry(ptep, addr, folio, 0, (end - start) / PAGE_SIZE - 1) {
		const pte_t pte = __ptep_get(ptep);

		__set_pte(ptep, shadow_mk_pte(pte, VMEMMAP_SHADOW_SHARED, pte_pfn(pte)));
	}
}

/*
 * Is the page that tails share what it stays, in each word? HugeTLB has made the tails
 * that a folio keeps by itself, and they say how one of this order and zone looks.
 */
static bool shadow_is_filled(const struct page *shared, const struct folio *folio)
{
	const unsigned int last_kept = PAGE_SIZE / sizeof(struct page) - 1;
	const union shadow_words *tail = page_to_virt(shared);
	const union shadow_words *kept =
		(const union shadow_words *)(&folio->page + last_kept);

	return shadow_tail_is_plain(tail, kept) && vmemmap_shadow_all_same(&tail->page, tail);
}

/*
 * Take a folio whose tails were born SHARED to where they rest. One step of the
 * chain for each entry, and one round. Returns how many they are.
 */
static unsigned int shadow_adopt(struct folio *folio)
{
	struct shadow_member m = { .folio = folio };
	struct shadow_batch b = {
		.member = { &m }, .nr = 1, .nr_tails = shadow_nr_tails(folio),
	};
	unsigned int steps = 0;
	unsigned long addr;
	pte_t *ptep;

	m.ptep = vmemmap_shadow_ptep((unsigned long)folio);
	vmemmap_shadow_note(&m);
	if (SHADOW_WARN_ON(!m.was.shared || !shadow_is_filled(m.was.shared, folio)))
		return 0;

	for_each_member_entry(ptep, addr, &m, 0, b.nr_tails) {
		const pte_t pte = __ptep_get(ptep);
		const pte_t sealed = shadow_mk_pte(pte, VMEMMAP_SHADOW_JOINED, 0);

		/* What is not as it has to be stays, and the folio is never freed. */
		if (SHADOW_WARN_ON(vmemmap_shadow_pte_state(pte) != VMEMMAP_SHADOW_SHARED ||
				   pte_page(pte) != m.was.shared))
			continue;
		vmemmap_shadow_debug_step(ptep, addr, pte, sealed);
		if (!vmemmap_shadow_cmpxchg(ptep, pte, sealed))
			continue;
		vmemmap_shadow_debug_stepped(addr);
		steps++;
	}
	/* From here on no store reaches the shared page but through its alias. */
	vmemmap_shadow_round(&b);

	return steps;
}

void vmemmap_shadow_optimize_bootmem_folios(struct list_head *folios)
{
	const u64 began = ktime_get_mono_fast_ns();
	struct folio *folio, *first = NULL;
	unsigned long nr_entries = 0;
	unsigned int nr_folios = 0;

	list_for_each_entry(folio, folios, lru) {
		unsigned int steps;

		if (!folio_test_hugetlb_vmemmap_optimized(folio))
			continue;
		shadow_get_ready();
		steps = shadow_adopt(folio);
		nr_folios += !!steps;
		nr_entries += steps;
		first = first ?: folio;
		cond_resched();
	}
	if (first) {
		shadow_count(SHADOW_FOLIOS_OPTIMIZED, nr_folios);
		shadow_count(SHADOW_STEPS, nr_entries);
		shadow_count(SHADOW_BYTES_SAVED, nr_entries * PAGE_SIZE);
		trace_vmemmap_shadow_optimize(folio_pfn(first), folio_order(first),
					      nr_folios, nr_entries,
					      ktime_get_mono_fast_ns() - began);
	}

	/* The others: 32 MiB is less than what is mapped early, for one. */
	vmemmap_shadow_optimize_folios(folios);
}
