/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The shadow vmemmap of arm64: huge pages of the command line. See
 * Documentation/mm/vmemmap_shadow.rst.
 */
#ifndef _LINUX_VMEMMAP_SHADOW_BOOT_H
#define _LINUX_VMEMMAP_SHADOW_BOOT_H

struct list_head;

/**
 * vmemmap_shadow_mark_shared() - note that tails were mapped to a page that they
 *				  share
 * @start:	the vmemmap address of a huge page of the command line
 * @end:	the vmemmap address behind it
 *
 * vmemmap_populate_hvo() has just mapped the page's tails, but for those beside
 * the head, to the one vmemmap page that those of its zone and order share,
 * read-write, before there is a struct page in that. Makes these entries
 * SHARED, so that they never count as OWNED.
 *
 * Context: Boot, before the memmap is initialized and other CPUs run.
 */
void vmemmap_shadow_mark_shared(unsigned long start, unsigned long end);

/**
 * vmemmap_shadow_optimize_bootmem_folios() - optimize every folio that was
 *					      allocated from memblock
 * @folios:	list of gigantic HugeTLB folios with a frozen reference count,
 *		linked by folio->lru, which nobody else knows yet; its order
 *		stays as it is
 *
 * As vmemmap_shadow_optimize_folios(), but the tails behind the head's vmemmap
 * page were never made: whatever is there has no meaning. A folio that counts
 * as optimized already went through vmemmap_shadow_mark_shared(); its zone's
 * tails are filled by now, and its entries are made read-only. One that does
 * not count as optimized afterwards gets its tails from the caller; one that
 * does has valid tails everywhere.
 *
 * Context: Process context, while the kernel boots.
 */
void vmemmap_shadow_optimize_bootmem_folios(struct list_head *folios);

#endif /* _LINUX_VMEMMAP_SHADOW_BOOT_H */
