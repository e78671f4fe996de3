/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All that an update does to the machine, it does through these: one store to
 * an entry or to a vmemmap page, the TLBIs of a run of entries, the end of a
 * TLBI round, a grace period, memory taken and given back. KUnit replaces them
 * one by one and looks after each store at what any CPU could see. Where KUnit
 * is not built in they are inlined, so that no probe can be put on those of the
 * fault handler; where it is, vmemmap_shadow_debug.c has them.
 */
#ifndef _ARM64_MM_VMEMMAP_SHADOW_OPS_H
#define _ARM64_MM_VMEMMAP_SHADOW_OPS_H

#include <linux/kmemleak.h>
#include <linux/pgalloc_tag.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <kunit/static_stub.h>

#include <asm/barrier.h>
#include <asm/tlbflush.h>

#if !IS_ENABLED(CONFIG_KUNIT)
#define SHADOW_OPERATION	static __always_inline
#elif defined(CREATE_SHADOW_OPERATIONS)
#define SHADOW_OPERATION
#endif

#ifdef SHADOW_OPERATION

/**
 * vmemmap_shadow_cmpxchg() - compare and exchange an entry
 * @ptep:	the entry
 * @old:	what it has to be
 * @new:	what it becomes
 *
 * Release, [B]: whoever translates through the new entry must find in the page
 * what was stored there before this step. It pairs with the translation table
 * walk of every other CPU, whose read of the entry is ordered before the access
 * that needed it (Arm ARM, "Definition of the Arm memory model",
 * translation-intrinsically-before). Without it a reader could see bytes from
 * before shadow_equalize() or vmemmap_shadow_fill().
 *
 * Return: true if the entry was @old.
 */
SHADOW_OPERATION
bool vmemmap_shadow_cmpxchg(pte_t *ptep, pte_t old, pte_t new)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_cmpxchg, ptep, old, new);

	return cmpxchg_release(&pte_val(*ptep), pte_val(old), pte_val(new)) ==
	       pte_val(old);
}

/**
 * vmemmap_shadow_store() - compare and exchange a word of a vmemmap page
 * @word:	the word, in the page's alias
 * @old:	what it has to be
 * @new:	what it becomes
 *
 * Release: what was changed before is seen by whoever sees this, [A] and [H].
 *
 * Return: true if the word was @old.
 */
SHADOW_OPERATION
bool vmemmap_shadow_store(unsigned long *word, unsigned long old,
			  unsigned long new)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_store, word, old, new);

	return cmpxchg_release(word, old, new) == old;
}

/**
 * vmemmap_shadow_copy() - fill a vmemmap page that nothing maps yet
 * @to:		the page's alias
 * @from:	the page to copy
 * @was:	what to put at its start instead
 * @size:	how many bytes that is
 */
SHADOW_OPERATION
void vmemmap_shadow_copy(void *to, const void *from, const void *was,
			 size_t size)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_copy, to, from, was, size);

	copy_page(to, from);
	memcpy(to, was, size);
}

/**
 * vmemmap_shadow_tlbi() - issue the TLBIs of a run of entries
 * @start:	the address that the first of them maps
 * @nr:		how many they are
 */
SHADOW_OPERATION
void vmemmap_shadow_tlbi(unsigned long start, unsigned long nr)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_tlbi, start, nr);

	__flush_tlb_kernel_ptes_nosync(start, nr);
	vmemmap_shadow_debug_issued(start, nr);
}

/**
 * vmemmap_shadow_tlbi_sync() - wait until every CPU has done its TLBIs
 *
 * And has completed the accesses that it started through what they drop: the
 * second half of [G], see shadow_tlbi_round(). The ISB gives this CPU, too, the
 * new entries.
 */
SHADOW_OPERATION
void vmemmap_shadow_tlbi_sync(void)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_tlbi_sync);

	__flush_tlb_kernel_sync();
}

/**
 * vmemmap_shadow_tlbi_one() - complete a TLBI of one entry, in any context
 * @addr:	the address that the entry maps
 *
 * The first DSB is one of loads, too, [J]: the step that the caller has seen in
 * the entry is somebody else's, and nothing but that load makes it come before
 * the TLBI. DSB ISHST would order stores only.
 */
SHADOW_OPERATION
void vmemmap_shadow_tlbi_one(unsigned long addr)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_tlbi_one, addr);

	dsb(ish);
	__flush_tlb_kernel_ptes_nosync(addr, 1);
	__flush_tlb_kernel_sync();
}

/**
 * vmemmap_shadow_tlbi_run() - complete a TLBI of a run of entries, in any context
 * @start:	the address that the first of them maps
 * @nr:		how many they are
 */
SHADOW_OPERATION
void vmemmap_shadow_tlbi_run(unsigned long start, unsigned long nr)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_tlbi_run, start, nr);

	dsb(ish);
	__flush_tlb_kernel_ptes_nosync(start, nr);
	__flush_tlb_kernel_sync();
}

/**
 * vmemmap_shadow_wait_readers() - wait for one RCU grace period
 */
SHADOW_OPERATION
void vmemmap_shadow_wait_readers(void)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_wait_readers);

	synchronize_rcu();
}

/**
 * vmemmap_shadow_alloc_pages() - allocate vmemmap pages
 * @nid:	the node to take them from; others will do
 * @nr:		how many
 * @pages:	takes them; all NULL before
 *
 * Return: how many it got: fewer than @nr if it is better to ask again, none
 * if there is no memory, which the caller copes with.
 */
SHADOW_OPERATION
unsigned int vmemmap_shadow_alloc_pages(int nid, unsigned int nr,
					struct page **pages)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_alloc_pages, nid, nr, pages);

	return shadow_alloc_bulk(GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN,
				 nid, nr, pages);
}

/**
 * vmemmap_shadow_alloc_note() - allocate room for what folios hold
 * @size:	how many bytes, freed with kfree()
 *
 * Return: it, or NULL if there is no memory, which the caller copes with:
 * nobody is killed for it.
 */
SHADOW_OPERATION
void *vmemmap_shadow_alloc_note(size_t size)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_alloc_note, size);

	return kmalloc(size, GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN);
}

/**
 * vmemmap_shadow_free_pages() - give vmemmap pages back
 * @page:	the first of them; nothing maps them but the linear map
 * @order:	how many there are, as a power of two; more than one of boot memory
 *		only
 *
 * Pages of boot memory are those of free_reserved_page(), in blocks.
 */
SHADOW_OPERATION
void vmemmap_shadow_free_pages(struct page *page, unsigned int order)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_free_pages, page, order);

	if (PageReserved(page)) {
		const unsigned int nr = 1U << order;
		unsigned int i;

		kmemleak_free_part_phys(page_to_phys(page), nr * PAGE_SIZE);
		for (i = 0; i < nr; i++) {
			clear_page_tag_ref(page + i);
			ClearPageReserved(page + i);
			set_page_count(page + i, !i);
		}
		adjust_managed_page_count(page, nr);
	}
	__free_pages(page, order);
}

/**
 * vmemmap_shadow_hold() - a place to stay while entries are read-only
 * @folio:	first folio of the batch
 * @lo:		first tail entry, of those whose round is over
 * @hi:		tail entry behind the last of them
 *
 * Empty. KUnit stores to tails here.
 */
SHADOW_OPERATION
void vmemmap_shadow_hold(struct folio *folio, unsigned int lo, unsigned int hi)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_hold, folio, lo, hi);
}

/**
 * vmemmap_shadow_fault_hold() - a place to stay before a fault is looked at
 * @addr:	the address of the vmemmap entry, page-aligned
 *
 * Empty. KUnit opens the entry here, as an updater on another CPU would: the
 * fault is stale then.
 */
SHADOW_OPERATION
void vmemmap_shadow_fault_hold(unsigned long addr)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_fault_hold, addr);
}

/**
 * vmemmap_shadow_walk_hold() - a place to stay before a table is followed
 * @addr:	the address whose entry is looked for
 * @pudp:	where the next table was found
 *
 * Empty. KUnit notes who is looked for, and puts another table here, as memory
 * hotplug on another CPU might.
 */
SHADOW_OPERATION
void vmemmap_shadow_walk_hold(unsigned long addr, pud_t *pudp)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_walk_hold, addr, pudp);
}

/**
 * vmemmap_shadow_ref_hold() - a place to stay between test and add
 * @page:	the page that a reference is wanted of
 *
 * Empty. KUnit makes @page an alias of its head here.
 */
SHADOW_OPERATION
void vmemmap_shadow_ref_hold(struct page *page)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_ref_hold, page);
}

#endif /* SHADOW_OPERATION */

static inline void shadow_wait_readers(void)
{
	vmemmap_shadow_wait_readers();
	shadow_count(SHADOW_GRACE_PERIODS, 1);
}

#endif /* _ARM64_MM_VMEMMAP_SHADOW_OPS_H */
