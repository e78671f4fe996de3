/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The shadow vmemmap of arm64: folios that are optimized a moment after they were
 * allocated. See Documentation/mm/vmemmap_shadow_share.rst.
 */
#ifndef _LINUX_VMEMMAP_SHADOW_LATER_H
#define _LINUX_VMEMMAP_SHADOW_LATER_H

#include <linux/types.h>

struct folio;

/*
 * Declared, though not defined, in every configuration, so that mm/ can call them
 * behind IS_ENABLED(CONFIG_ARM64_VMEMMAP_PAGEGRAN).
 */

/**
 * vmemmap_shadow_optimize_later() - have a folio optimized if it lives for a moment
 * @folio:	a HugeTLB folio with a frozen reference count, owned by the caller
 *		alone, that is not optimized; the page of tails that it shall share
 *		is there
 *
 * From now on the folio may become optimized at any time, under hugetlb_lock, until
 * vmemmap_shadow_forget_folio(): while it is in use, while it is in the pool, and while
 * the caller has it still. A folio whose HugeTLB flag is cleared, or that is
 * restored, must have been forgotten before.
 *
 * Context: Any but NMI, without hugetlb_lock. Waits for nobody.
 * Return: false if there was no memory to remember it. It is the caller's then, as
 * before.
 */
bool vmemmap_shadow_optimize_later(struct folio *folio);

/**
 * vmemmap_shadow_forget_folio() - do not optimize a folio any more
 * @folio:	any HugeTLB folio
 *
 * Afterwards folio_test_hugetlb_vmemmap_optimized() says for good whether it was
 * optimized, or is being so at this moment. In the latter case
 * vmemmap_shadow_restore_folio() and vmemmap_shadow_restore_folios() wait for it.
 *
 * Context: Any but NMI. The caller holds hugetlb_lock.
 */
void vmemmap_shadow_forget_folio(struct folio *folio);

#endif /* _LINUX_VMEMMAP_SHADOW_LATER_H */
