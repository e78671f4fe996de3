/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The shadow vmemmap of arm64: HugeTLB Vmemmap Optimization (HVO) in legal
 * steps. See Documentation/mm/vmemmap_shadow.rst.
 */
#ifndef _LINUX_VMEMMAP_SHADOW_H
#define _LINUX_VMEMMAP_SHADOW_H

#include <linux/kconfig.h>
#include <linux/types.h>

#ifdef CONFIG_ARM64_VMEMMAP_PAGEGRAN
#include <asm/memory.h>
#endif

struct folio;
struct list_head;
struct page;

/**
 * enum vmemmap_shadow_state - the state of a vmemmap entry
 * @VMEMMAP_SHADOW_OWNED:	maps its own page, read-write. An entry that was
 *				never touched is in this state.
 * @VMEMMAP_SHADOW_SEALED:	maps its own page, read-only.
 * @VMEMMAP_SHADOW_JOINED:	maps the page that tails share, read-only.
 * @VMEMMAP_SHADOW_SHARED:	maps the page that tails share, read-write.
 * @VMEMMAP_SHADOW_NR_STATES:	how many states there are.
 *
 * The value is the tag which the entry itself carries in two of its software
 * bits: whoever reads an entry knows its state, without a lock and without a
 * table beside it.
 */
enum vmemmap_shadow_state {
	VMEMMAP_SHADOW_OWNED,
	VMEMMAP_SHADOW_SEALED,
	VMEMMAP_SHADOW_JOINED,
	VMEMMAP_SHADOW_SHARED,
	VMEMMAP_SHADOW_NR_STATES,
};

#ifdef CONFIG_ARM64_VMEMMAP_PAGEGRAN

/**
 * vmemmap_shadow_enabled() - is the vmemmap mapped with pages?
 *
 * Tells vmemmap_populate() which mapping to build and HugeTLB whether folios
 * can be optimized. The answer is fixed once early parameters are parsed.
 *
 * Context: Any.
 * Return: false if the kernel was booted with vmemmap_pagegran=off.
 */
bool vmemmap_shadow_enabled(void);

/**
 * vmemmap_shadow_may_free() - may this vmemmap range be torn down?
 * @start:	first address of the range, page-aligned
 * @end:	first address behind the range, page-aligned
 *
 * Memory hot-remove frees the page that each vmemmap entry maps. That is
 * right only if the entry is OWNED: in any other state the page is, or may
 * become, the page of a HugeTLB folio's head, and freeing it once for each
 * entry that maps it would corrupt memory. Mappings larger than a page have
 * no state and are passed over.
 *
 * Context: Memory hot-remove, which holds mem_hotplug_lock for writing.
 * Return: true if every entry is OWNED; false, after one WARN, if not. The
 * caller then has to leave the range alone.
 */
bool vmemmap_shadow_may_free(unsigned long start, unsigned long end);

/**
 * vmemmap_shadow_may_populate() - may this vmemmap range be built?
 * @start:	first address of the range, page-aligned
 * @end:	first address behind the range, page-aligned
 *
 * What vmemmap_shadow_may_free() has refused is mapped still. Memory that is
 * hot-added there must not find its struct pages through an entry that maps
 * another one's.
 *
 * Context: Memory hot-add, which holds mem_hotplug_lock for writing.
 * Return: true if there is no entry yet, or each is OWNED.
 */
bool vmemmap_shadow_may_populate(unsigned long start, unsigned long end);

bool __vmemmap_shadow_fault(unsigned long addr, unsigned long esr);

/**
 * vmemmap_shadow_fault() - let a store through that met a window
 * @addr:	the faulting address, untagged
 * @esr:	the exception syndrome
 *
 * HugeTLB does not write to tails while they are read-only, but others may:
 * memory_failure(), for one, holds no reference. If the entry that maps @addr
 * is SEALED or JOINED, it is made writable where it points: SEALED to OWNED,
 * JOINED to SHARED, and then the folio's other read-only entries are barred
 * first. Whoever was stepping them finds out by losing the next step. If the
 * entry is writable already, the fault is stale: it reports what the TLB of
 * this CPU held before. In both cases the store shall be retried; a stale fault
 * only if the CPU says that it would let the store through now, and not for
 * ever.
 *
 * Context: Where the kernel may store to a struct page and take an exception:
 * any task, softirq, hardirq and NMI, pseudo-NMIs and perf events included.
 * Not SDEI handlers, in which the kernel must take no exception. Waits for
 * nobody and takes no lock of its own; rcu_read_unlock() may take one of RCU's
 * if the task was preempted in here. It allocates nothing, but where tails share
 * one page for a zone, and there without waiting. No probe can be put on it. For
 * addresses outside the vmemmap it costs a comparison.
 * Return: true if the fault is dealt with; false if it is not one of these,
 * reads, faults on larger mappings and on entries that are read-only without a
 * state to say so included.
 */
static inline bool vmemmap_shadow_fault(unsigned long addr, unsigned long esr)
{
	return addr - VMEMMAP_START < VMEMMAP_SIZE &&
	       __vmemmap_shadow_fault(addr, esr);
}

#else

static inline bool vmemmap_shadow_enabled(void)
{
	return false;
}

static inline bool vmemmap_shadow_may_free(unsigned long start,
					   unsigned long end)
{
	return true;
}

static inline bool vmemmap_shadow_may_populate(unsigned long start,
					       unsigned long end)
{
	return true;
}

static inline bool vmemmap_shadow_fault(unsigned long addr, unsigned long esr)
{
	return false;
}

#endif /* CONFIG_ARM64_VMEMMAP_PAGEGRAN */

/**
 * vmemmap_shadow_refuses() - must HugeTLB leave every folio unoptimized?
 *
 * Context: Any.
 * Return: true if this kernel steps entries as described in
 * Documentation/mm/vmemmap_shadow.rst but its vmemmap is not mapped with
 * pages. Always false where HVO is done the generic way.
 */
static inline bool vmemmap_shadow_refuses(void)
{
	return IS_ENABLED(CONFIG_ARM64_VMEMMAP_PAGEGRAN) &&
	       !vmemmap_shadow_enabled();
}

/*
 * The two operations. They are declared, though not defined, in every
 * configuration, so that mm/hugetlb_vmemmap.c can call them behind
 * IS_ENABLED(CONFIG_ARM64_VMEMMAP_PAGEGRAN).
 */

/**
 * vmemmap_shadow_optimize_folio() - map a folio's tail entries to the page that
 *				     tails share and free theirs
 * @folio:	a HugeTLB folio with a frozen reference count, owned by the
 *		caller alone
 *
 * Best effort: folio_test_hugetlb_vmemmap_optimized() tells the outcome. A
 * folio that is already optimized, or whose vmemmap is self-hosted (see
 * memory_hotplug.memmap_on_memory), is left as it was; so is an entry with a
 * tail page that carries anything of its own. Needs no memory.
 *
 * Context: Process context. Sleeps: waits for one RCU grace period, if whoever
 * looks at a tail has to be waited for at all (SHADOW_WAITS_FOR_READERS).
 */
void vmemmap_shadow_optimize_folio(struct folio *folio);

/**
 * vmemmap_shadow_optimize_folios() - optimize every folio on a list
 * @folios:	list of HugeTLB folios, linked by folio->lru, to each of which
 *		vmemmap_shadow_optimize_folio()'s conditions apply. The list
 *		belongs to the caller alone; its order stays as it is.
 *
 * Context: Process context. Sleeps: as vmemmap_shadow_optimize_folio(), with one
 * RCU grace period in all, and none if there is nothing to optimize.
 */
void vmemmap_shadow_optimize_folios(struct list_head *folios);

/**
 * vmemmap_shadow_restore_folio() - give a folio's tail entries pages of their
 *				    own again
 * @folio:	a HugeTLB folio with a frozen reference count, owned by the
 *		caller alone
 *
 * Context: Process context. Sleeps: allocates memory, and waits for an RCU
 * grace period only while a stray writer is in the fault handler.
 * Return: 0 on success, also if @folio was not optimized; -ENOMEM if the
 * pages could not be allocated, then nothing has changed; -EBUSY if stray
 * writers kept taking entries back, then @folio still counts as optimized
 * and the call may be repeated.
 */
int vmemmap_shadow_restore_folio(struct folio *folio);

/**
 * vmemmap_shadow_restore_folios() - restore every folio on a list
 * @folios:	list of HugeTLB folios, linked by folio->lru, to each of which
 *		vmemmap_shadow_restore_folio()'s conditions apply. The list
 *		belongs to the caller alone.
 * @restored:	list that takes every folio whose vmemmap is complete, those
 *		that never were optimized included
 *
 * Stops at the first error. The folio that met it and all that were not
 * reached stay on @folios. Both lists are in the order in which @folios was.
 *
 * Context: Process context. Sleeps: allocates memory, and waits for an RCU
 * grace period only while a stray writer is in the fault handler.
 * Return: the number of folios restored, or the error of
 * vmemmap_shadow_restore_folio().
 */
long vmemmap_shadow_restore_folios(struct list_head *folios,
				   struct list_head *restored);

#endif /* _LINUX_VMEMMAP_SHADOW_H */
