// SPDX-License-Identifier: GPL-2.0
/*
 * The shadow vmemmap: HugeTLB Vmemmap Optimization (HVO) without
 * break-before-make.
 *
 * The vmemmap may be read at any instant from any context, so none of its
 * entries may ever be invalid. The architecture allows one live change of the
 * output address: from read-only to read-only, with equal contents (Arm ARM,
 * DDI 0487, "Using break-before-make when updating translation table
 * entries"). Every tail entry of a HugeTLB folio therefore moves along one
 * chain, one atomic step at a time:
 *
 *	OWNED  ---seal-->  SEALED  ---join-->  JOINED  ---open-->  SHARED
 *	OWNED  <--open---  SEALED  <--part---  JOINED  <--seal---  SHARED
 *
 *	own page, rw       own page, ro        head's page, ro     head's page, rw
 *
 * seal and open change the permission only, join and part change the output
 * address only. Between two steps of an entry stands a completed TLBI. While
 * an entry is read-only, the contents of its page are prepared through the
 * page's other mapping, its alias in the linear map.
 *
 * See Documentation/mm/vmemmap_shadow.rst for the argument. The letters in
 * brackets are those of its barrier pairs.
 */
#define pr_fmt(fmt) "vmemmap_shadow: " fmt

#include <linux/bitfield.h>
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/bootmem_info.h>
#include <linux/debugfs.h>
#include <linux/hugetlb.h>
#include <linux/init.h>
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/list_sort.h>
#include <linux/log2.h>
#include <linux/memblock.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mmdebug.h>
#include <linux/page-flags.h>
#include <linux/pgtable.h>
#include <linux/rcupdate.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmemmap_shadow.h>
#include <linux/vmemmap_shadow_chain.h>
#include <linux/vmstat.h>
#include <linux/xarray.h>

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include <asm/barrier.h>
#include <asm/esr.h>
#include <asm/tlbflush.h>

#include "vmemmap_shadow.h"

#define CREATE_TRACE_POINTS
#include <trace/events/vmemmap_shadow.h>

/*
 * The state tag. Bits 57 and 58 mean PTE_DEVMAP and PTE_UFFD_WP in entries of
 * user memory and nothing in those of the kernel. Bit 55, PTE_DIRTY, is not
 * ours: pte_wrprotect() uses it. Bit 56, PTE_SPECIAL, is left alone because
 * generic code looks at it before it knows whose entry it has.
 */
#define SHADOW_TAG		GENMASK_ULL(58, 57)

static_assert(!(SHADOW_TAG & ~PTE_SWBITS_MASK));
static_assert(!(SHADOW_TAG & (PTE_DIRTY | PTE_SPECIAL | PTE_WRITE)));
static_assert(HWEIGHT64(SHADOW_TAG) == ilog2(VMEMMAP_SHADOW_NR_STATES));

/* The models know the states by these numbers. */
static_assert(VMEMMAP_SHADOW_OWNED == SHADOW_TAG_OWNED);
static_assert(VMEMMAP_SHADOW_SEALED == SHADOW_TAG_SEALED);
static_assert(VMEMMAP_SHADOW_JOINED == SHADOW_TAG_JOINED);
static_assert(VMEMMAP_SHADOW_SHARED == SHADOW_TAG_SHARED);
static_assert(VMEMMAP_SHADOW_NR_STATES == SHADOW_NR_TAGS);

/*
 * A window is the set of entries that are stepped together between two TLBI
 * rounds. Its bound is the number of bytes that are copied while the window
 * is open, so that no entry stays read-only for long on any granule.
 */
#define SHADOW_WINDOW		((unsigned int)(SZ_2M / PAGE_SIZE))

/* Folios of one batch: see struct shadow_batch. */
#define SHADOW_BATCH		64U

/* A window that stray writers keep reopening is given up after that many. */
#define SHADOW_MAX_TRIES	8

/*
 * struct pages at the start of a folio that hold something of the folio's
 * own. The same number of them, at the start of each page that maps a tail
 * entry, show the head's bytes while the entry is JOINED or SHARED, and have
 * to become plain tails again before it is OWNED.
 */
#define SHADOW_HEAD_PAGES	(sizeof(struct folio) / sizeof(struct page))

/* A struct page as words: the flags word, compound_head, and the rest. */
union shadow_words {
	struct page page;
	unsigned long word[sizeof(struct page) / sizeof(unsigned long)];
};

#define SHADOW_FLAGS		0
#define SHADOW_COMPOUND_HEAD	1
#define SHADOW_REST		2
#define SHADOW_NR_WORDS		(sizeof(struct page) / sizeof(unsigned long))

static_assert(offsetof(struct page, flags) ==
	      SHADOW_FLAGS * sizeof(unsigned long));
static_assert(offsetof(struct page, compound_head) ==
	      SHADOW_COMPOUND_HEAD * sizeof(unsigned long));

/*
 * What the struct pages of a folio's own held when its turn came, or that of a
 * try to restore it. The copies that are made of them, and turned back into
 * plain tails later, are made from this: memory_failure(), which takes
 * hugetlb_lock and no reference, may change the head in the middle of that, and
 * a copy of something else could not be told from a stray store.
 */
struct shadow_was {
	union shadow_words page[SHADOW_HEAD_PAGES];
};

/**
 * struct shadow_batch - folios that are stepped together
 * @folio:	the folios, all of one size and one node
 * @was:	the struct pages of their own
 * @nr:		how many they are
 * @max:	how many they may be
 * @nr_tails:	number of tail entries of each folio
 * @nid:	the node of their vmemmap
 * @failed:	folios (bit n: folio[n]) with an entry that did not step
 * @pages:	pages in hand: parted from an entry, or allocated for one.
 *		They are fungible.
 *
 * Either @nr * @nr_tails fits into one window, or @nr is 1 and the folio's
 * entries make several windows. No member's struct page may be written while
 * a window is open, so nothing is moved between lists meanwhile: folio->lru
 * is part of the contents that have to be equal.
 */
struct shadow_batch {
	struct folio *folio[SHADOW_BATCH];
	struct shadow_was *was;
	unsigned int nr;
	unsigned int max;
	unsigned int nr_tails;
	int nid;
	DECLARE_BITMAP(failed, SHADOW_BATCH);
	struct list_head pages;
};

static bool shadow_pagegran __ro_after_init = true;

/* Set once an invariant turned out broken: no new folio is optimized then. */
VISIBLE_IF_KUNIT
bool vmemmap_shadow_broken;

#define SHADOW_WARN_ON(cond)						\
({									\
	const bool __broken = WARN_ON_ONCE(cond);			\
									\
	if (unlikely(__broken))						\
		WRITE_ONCE(vmemmap_shadow_broken, true);		\
	__broken;							\
})

/**
 * vmemmap_shadow_violation() - report a broken invariant, and optimize no more
 * @what:	what is broken
 */
VISIBLE_IF_KUNIT
void vmemmap_shadow_violation(const char *what)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_violation, what);

	pr_err_ratelimited("%s\n", what);
	SHADOW_WARN_ON(true);
}

/* What happened since boot: debugfs vmemmap_shadow/stats. */
enum shadow_counter {
	SHADOW_FOLIOS_OPTIMIZED,
	SHADOW_FOLIOS_RESTORED,
	SHADOW_STEPS,
	SHADOW_GRACE_PERIODS,
	SHADOW_TLBI_ROUNDS,
	SHADOW_SINGLE_TLBIS,
	SHADOW_WRITE_RECOVERIES,
	SHADOW_STALE_FAULTS,
	SHADOW_ROLL_BACKS,
	SHADOW_REFUSED_SELF_HOSTED,
	SHADOW_REFUSED_NOT_PLAIN,
	SHADOW_REFUSED_BROKEN,
	SHADOW_ALIAS_REFERENCES,
	SHADOW_WINDOWS,
	SHADOW_WINDOW_NS_TOTAL,
	SHADOW_WINDOW_NS_LONGEST,
	SHADOW_BYTES_SAVED,
	SHADOW_NR_COUNTERS,
};

static const char * const shadow_counter_name[] = {
	[SHADOW_FOLIOS_OPTIMIZED]	= "folios optimized",
	[SHADOW_FOLIOS_RESTORED]	= "folios restored",
	[SHADOW_STEPS]			= "entries stepped",
	[SHADOW_GRACE_PERIODS]		= "grace periods",
	[SHADOW_TLBI_ROUNDS]		= "TLBI rounds",
	[SHADOW_SINGLE_TLBIS]		= "single TLBIs",
	[SHADOW_WRITE_RECOVERIES]	= "write recoveries",
	[SHADOW_STALE_FAULTS]		= "stale faults",
	[SHADOW_ROLL_BACKS]		= "roll-backs",
	[SHADOW_REFUSED_SELF_HOSTED]	= "folios refused, vmemmap self-hosted",
	[SHADOW_REFUSED_NOT_PLAIN]	= "folios refused, tail not plain",
	[SHADOW_REFUSED_BROKEN]		= "folios refused, after a broken invariant",
	[SHADOW_ALIAS_REFERENCES]	= "references through an alias, dropped",
	[SHADOW_WINDOWS]		= "windows",
	[SHADOW_WINDOW_NS_TOTAL]	= "ns that windows were open",
	[SHADOW_WINDOW_NS_LONGEST]	= "ns that the longest window was open",
	[SHADOW_BYTES_SAVED]		= "bytes saved now",
};

static_assert(ARRAY_SIZE(shadow_counter_name) == SHADOW_NR_COUNTERS);

static atomic_long_t shadow_counters[SHADOW_NR_COUNTERS];

static void shadow_count(enum shadow_counter what, long by)
{
	atomic_long_add(by, &shadow_counters[what]);
}

#if IS_ENABLED(CONFIG_KUNIT)
/* The value of a counter by its name in stats, or -1. */
long vmemmap_shadow_counter(const char *name)
{
	const int i = match_string(shadow_counter_name, SHADOW_NR_COUNTERS, name);

	return i < 0 ? -1 : atomic_long_read(&shadow_counters[i]);
}
#endif

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

#ifdef CONFIG_VMEMMAP_SHADOW_DEBUG
/*
 * Entries, by their number in the vmemmap, that no TLBI has completed of since
 * they were stepped: stepped only, or with a TLBI issued.
 */
static DEFINE_XARRAY(shadow_unsynced);

enum shadow_unsynced_how { SHADOW_STEPPED = 1, SHADOW_TLBI_ISSUED };

static void shadow_debug_stepped(unsigned long addr)
{
	/* What cannot be noted cannot be checked. */
	xa_store(&shadow_unsynced, addr >> PAGE_SHIFT,
		 xa_mk_value(SHADOW_STEPPED), GFP_NOWAIT | __GFP_NOWARN);
}

static void shadow_debug_issued(unsigned long start, unsigned long nr)
{
	XA_STATE(xas, &shadow_unsynced, start >> PAGE_SHIFT);
	void *entry;

	xas_lock(&xas);
	xas_for_each(&xas, entry, (start >> PAGE_SHIFT) + nr - 1)
		xas_store(&xas, xa_mk_value(SHADOW_TLBI_ISSUED));
	xas_unlock(&xas);
}

/* The TLBIs that were issued of these entries have completed. */
static void shadow_debug_synced(unsigned long start, unsigned long nr)
{
	XA_STATE(xas, &shadow_unsynced, start >> PAGE_SHIFT);
	void *entry;

	xas_lock(&xas);
	xas_for_each(&xas, entry, (start >> PAGE_SHIFT) + nr - 1) {
		if (xa_to_value(entry) == SHADOW_TLBI_ISSUED)
			xas_store(&xas, NULL);
	}
	xas_unlock(&xas);
}
#else
static void shadow_debug_stepped(unsigned long addr) { }
static void shadow_debug_issued(unsigned long start, unsigned long nr) { }
static void shadow_debug_synced(unsigned long start, unsigned long nr) { }
#endif

/* ------------------------------------------------------------------------ */
/* Operations								    */

/*
 * All that an update does to the machine, it does through these: one store to
 * an entry or to a vmemmap page, the TLBIs of a run of entries, the end of a
 * TLBI round, a grace period, memory taken and given back. KUnit replaces them
 * one by one and looks after each store at what any CPU could see. Where KUnit
 * is not built in they are inlined.
 */

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
 * before shadow_equalize() or shadow_fill().
 *
 * Return: true if the entry was @old.
 */
VISIBLE_IF_KUNIT
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
 * Fully ordered if it stores.
 *
 * Return: true if the word was @old.
 */
VISIBLE_IF_KUNIT
bool vmemmap_shadow_store(unsigned long *word, unsigned long old,
			  unsigned long new)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_store, word, old, new);

	return cmpxchg(word, old, new) == old;
}

/**
 * vmemmap_shadow_copy() - fill a vmemmap page that nothing maps yet
 * @to:		the page's alias
 * @from:	the page to copy
 * @was:	what to put at its start instead
 * @size:	how many bytes that is
 */
VISIBLE_IF_KUNIT
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
VISIBLE_IF_KUNIT
void vmemmap_shadow_tlbi(unsigned long start, unsigned long nr)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_tlbi, start, nr);

	__flush_tlb_range_op(vaale1is, start, nr, PAGE_SIZE, 0, 3, false,
			     lpa2_is_enabled());
	shadow_debug_issued(start, nr);
}

/**
 * vmemmap_shadow_tlbi_sync() - wait until every CPU has done its TLBIs
 *
 * And has completed the accesses that it started through what they drop: the
 * second half of [G], see shadow_tlbi_round(). The ISB gives this CPU, too, the
 * new entries.
 */
VISIBLE_IF_KUNIT
void vmemmap_shadow_tlbi_sync(void)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_tlbi_sync);

	__tlbi_sync_s1ish();
	isb();
}

/**
 * vmemmap_shadow_tlbi_one() - complete a TLBI of one entry, in any context
 * @addr:	the address that the entry maps
 */
VISIBLE_IF_KUNIT
void vmemmap_shadow_tlbi_one(unsigned long addr)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_tlbi_one, addr);

	dsb(ishst);
	__tlbi(vaale1is, __TLBI_VADDR(addr, 0));
	__tlbi_sync_s1ish();
	isb();
}

/**
 * vmemmap_shadow_wait_readers() - wait for one RCU grace period
 */
VISIBLE_IF_KUNIT
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
VISIBLE_IF_KUNIT
unsigned int vmemmap_shadow_alloc_pages(int nid, unsigned int nr,
					struct page **pages)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_alloc_pages, nid, nr, pages);

	return alloc_pages_bulk_array_node(GFP_KERNEL | __GFP_RETRY_MAYFAIL |
					   __GFP_NOWARN, nid, nr, pages);
}

/**
 * vmemmap_shadow_alloc_note() - allocate room for what folios hold
 * @size:	how many bytes, freed with kfree()
 *
 * Return: it, or NULL if there is no memory, which the caller copes with:
 * nobody is killed for it.
 */
VISIBLE_IF_KUNIT
void *vmemmap_shadow_alloc_note(size_t size)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_alloc_note, size);

	return kmalloc(size, GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN);
}

/**
 * vmemmap_shadow_free_page() - give a vmemmap page back
 * @page:	the page, which nothing maps but the linear map
 */
VISIBLE_IF_KUNIT
void vmemmap_shadow_free_page(struct page *page)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_free_page, page);

	if (PageReserved(page)) {
		memmap_boot_pages_add(-1);
		free_bootmem_page(page);
	} else {
		memmap_pages_add(-1);
		__free_page(page);
	}
}

/**
 * vmemmap_shadow_hold() - a place to stay while a window is open
 * @folio:	first folio of the window
 * @lo:		first tail entry of the window
 * @hi:		tail entry behind the window's last
 *
 * Empty. KUnit stores to tails here.
 */
VISIBLE_IF_KUNIT
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
VISIBLE_IF_KUNIT
void vmemmap_shadow_fault_hold(unsigned long addr)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_fault_hold, addr);
}

/**
 * vmemmap_shadow_ref_hold() - a place to stay between test and add
 * @page:	the page that a reference is wanted of
 *
 * Empty. KUnit makes @page an alias of its head here.
 */
VISIBLE_IF_KUNIT
void vmemmap_shadow_ref_hold(struct page *page)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_ref_hold, page);
}

/* ------------------------------------------------------------------------ */
/* One entry								    */

/* Does an entry in this state map the head's vmemmap page? */
static bool shadow_maps_head(enum vmemmap_shadow_state state)
{
	return SHADOW_TAG_MAPS_HEAD(state);
}

static bool shadow_is_writable(enum vmemmap_shadow_state state)
{
	return SHADOW_TAG_IS_WRITABLE(state);
}

/**
 * vmemmap_shadow_pte_state() - read the state off an entry
 * @pte:	a vmemmap entry
 *
 * Context: Any.
 * Return: the state that the entry's tag names.
 */
VISIBLE_IF_KUNIT
enum vmemmap_shadow_state vmemmap_shadow_pte_state(pte_t pte)
{
	return FIELD_GET(SHADOW_TAG, pte_val(pte));
}

/*
 * Is this an entry as one of the four states has it? Read-only means RDONLY
 * set and PTE_WRITE, the hardware's DBM, cleared: with DBM left set, hardware
 * that manages the dirty state would let a store through.
 */
static bool shadow_pte_is_sound(pte_t pte)
{
	const bool writable =
		shadow_is_writable(vmemmap_shadow_pte_state(pte));
	const pteval_t perm = pte_val(pte) & (PTE_WRITE | PTE_RDONLY);

	return pte_valid(pte) && !pte_cont(pte) &&
	       perm == (writable ? PTE_WRITE : PTE_RDONLY);
}

/* The same entry in another state, everything but tag, permission, OA kept. */
static pte_t shadow_mk_pte(pte_t pte, enum vmemmap_shadow_state state,
			   unsigned long pfn)
{
	pteval_t val = pte_val(pfn_pte(pfn, pte_pgprot(pte)));

	val &= ~(SHADOW_TAG | PTE_WRITE | PTE_RDONLY);
	val |= FIELD_PREP(SHADOW_TAG, state);
	val |= shadow_is_writable(state) ? PTE_WRITE : PTE_RDONLY;

	return __pte(val);
}

/**
 * vmemmap_shadow_step() - step one entry along the chain
 * @ptep:	the entry
 * @from:	the state it is in
 * @to:		the state it shall be in
 * @pfn:	the page it shall map; used by join and part only, since the
 *		other steps keep the output address
 *
 * The caller has completed a TLBI since the entry's last step and, for join
 * and part, has made the contents of the two pages equal.
 *
 * Context: Any. Takes no lock.
 * Return: 0 on success; -EINVAL if the chain has no such step, or the entry
 * is not one that could be stepped; -EAGAIN if the entry is not, or no
 * longer, in @from.
 */
VISIBLE_IF_KUNIT
int vmemmap_shadow_step(pte_t *ptep, enum vmemmap_shadow_state from,
			enum vmemmap_shadow_state to, unsigned long pfn)
{
	const pte_t old = __ptep_get(ptep);
	pte_t new;

	if (from >= VMEMMAP_SHADOW_NR_STATES || to >= VMEMMAP_SHADOW_NR_STATES ||
	    !SHADOW_CHAIN_HAS(from, to))
		return -EINVAL;
	if (!shadow_pte_is_sound(old))
		return -EINVAL;
	if (vmemmap_shadow_pte_state(old) != from)
		return -EAGAIN;

	if (shadow_maps_head(from) == shadow_maps_head(to))
		pfn = pte_pfn(old);
	new = shadow_mk_pte(old, to, pfn);

	if (!vmemmap_shadow_cmpxchg(ptep, old, new))
		return -EAGAIN;

	return 0;
}

/* The PMD of a vmemmap address, or NULL if there is no table for it. */
static pmd_t *shadow_pmdp(unsigned long addr)
{
	pgd_t *pgdp = pgd_offset_k(addr);
	p4d_t *p4dp;
	pud_t *pudp;

	if (pgd_none(READ_ONCE(*pgdp)))
		return NULL;
	p4dp = p4d_offset(pgdp, addr);
	if (p4d_none(READ_ONCE(*p4dp)))
		return NULL;
	pudp = pud_offset(p4dp, addr);
	if (pud_none(READ_ONCE(*pudp)) || pud_leaf(READ_ONCE(*pudp)))
		return NULL;

	return pmd_offset(pudp, addr);
}

/**
 * vmemmap_shadow_ptep() - find the entry that maps a vmemmap address
 * @addr:	an address in the populated vmemmap
 *
 * Context: Any, while the memory that the address describes cannot be
 * hot-removed.
 * Return: the entry, or NULL if the address is not mapped with a page.
 */
VISIBLE_IF_KUNIT
pte_t *vmemmap_shadow_ptep(unsigned long addr)
{
	pmd_t *pmdp = shadow_pmdp(addr);

	if (!pmdp || pmd_none(READ_ONCE(*pmdp)) || pmd_leaf(READ_ONCE(*pmdp)))
		return NULL;

	return pte_offset_kernel(pmdp, addr);
}

bool vmemmap_shadow_may_free(unsigned long start, unsigned long end)
{
	unsigned long addr;

	for (addr = start; addr < end; addr += PAGE_SIZE) {
		pte_t *ptep = vmemmap_shadow_ptep(addr);
		pte_t pte;

		if (!ptep)
			continue;
		pte = __ptep_get(ptep);
		if (pte_none(pte))
			continue;
		if (vmemmap_shadow_pte_state(pte) != VMEMMAP_SHADOW_OWNED) {
			vmemmap_shadow_violation("hot-remove of a folio that is optimized");
			return false;
		}
	}

	return true;
}

/* The first page that is described in the page at this vmemmap address. */
static unsigned long shadow_pfn_of(unsigned long addr)
{
	return page_to_pfn((struct page *)addr);
}

/* Let a store through at this entry, or not, if it is none of ours. */
static bool __kprobes shadow_recover(pte_t *ptep, unsigned long addr)
{
	/*
	 * The exchange is lost only to somebody else's step. The updater takes
	 * each entry along the chain once and gives up when it loses one, so
	 * there are not many turns.
	 */
	for (;;) {
		const pte_t pte = __ptep_get(ptep);
		const enum vmemmap_shadow_state state =
			vmemmap_shadow_pte_state(pte);

		/* Read-only without a tag, or not a page: none of ours. */
		if (!shadow_pte_is_sound(pte))
			return false;

		/*
		 * [K]: writable by now. This CPU reported what its TLB held. The
		 * architecture allows that even after the TLBI that followed
		 * the open has completed (known issue AARCH-24989), if nothing
		 * but a control dependency orders the access behind it.
		 */
		if (shadow_is_writable(state)) {
			dsb(nshst);
			__tlbi(vaale1, __TLBI_VADDR(addr, 0));
			dsb(nsh);
			isb();
			shadow_count(SHADOW_STALE_FAULTS, 1);
			trace_vmemmap_shadow_recovery(shadow_pfn_of(addr),
						      state);
			return true;
		}

		/*
		 * [J]: between any two steps of an entry stands a completed
		 * TLBI. The updater may not have got to its own yet.
		 */
		vmemmap_shadow_tlbi_one(addr);
		shadow_count(SHADOW_SINGLE_TLBIS, 1);

		if (!vmemmap_shadow_step(ptep, state,
					 state == VMEMMAP_SHADOW_SEALED ?
					 VMEMMAP_SHADOW_OWNED :
					 VMEMMAP_SHADOW_SHARED, 0)) {
			/*
			 * So that the store does not fault again, and comes
			 * after the exchange: [D], [J].
			 */
			vmemmap_shadow_tlbi_one(addr);
			shadow_count(SHADOW_SINGLE_TLBIS, 1);
			shadow_count(SHADOW_WRITE_RECOVERIES, 1);
			trace_vmemmap_shadow_recovery(shadow_pfn_of(addr),
						      state);
			return true;
		}
	}
}

/*
 * A store met a vmemmap entry that did not let it through. Any context, down
 * to NMI with interrupts off: nothing here locks, waits or allocates, and the
 * only stores are to the entry, if it is SEALED or JOINED, and to a counter.
 */
bool __kprobes __vmemmap_shadow_fault(unsigned long addr, unsigned long esr)
{
	pte_t *ptep;
	bool ret;

	if (ESR_ELx_EC(esr) != ESR_ELx_EC_DABT_CUR || !(esr & ESR_ELx_WNR) ||
	    (esr & ESR_ELx_CM) || !esr_fsc_is_permission_fault(esr))
		return false;

	addr &= PAGE_MASK;
	ptep = vmemmap_shadow_ptep(addr);
	if (!ptep)
		return false;
	vmemmap_shadow_fault_hold(addr);

	/*
	 * [L]: whoever is held up in here, behind the TLBI and before the
	 * exchange, must not come back when the entry is SEALED again, to
	 * the same page, with another one still in somebody's TLB. Pairs
	 * with the grace periods before optimize, restore and roll-back.
	 */
	rcu_read_lock();
	ret = shadow_recover(ptep, addr);
	rcu_read_unlock();

	return ret;
}

/* ------------------------------------------------------------------------ */
/* References, and memory errors						    */

bool vmemmap_shadow_ref_add_unless(struct page *page, int nr, int u)
{
	struct folio *folio;

	/*
	 * Acquire: the count before the test. An alias shows the head's count,
	 * and whoever sees that must find in the test that it is an alias. [C]:
	 * pairs with the release of page_ref_unfreeze(), by which the head gets
	 * a count after all rounds, and with [B], by which the alias came to
	 * be. It orders the translation of the exchange below, too:
	 * who has seen through a writable entry that the head is not frozen
	 * any more does not fault on a read-only one that came before it.
	 */
	if (atomic_read_acquire(&page->_refcount) == u ||
	    page_is_fake_head(page))
		return false;

	vmemmap_shadow_ref_hold(page);
	if (!atomic_add_unless(&page->_refcount, nr, u))
		return false;

	/*
	 * Once more, for the page may have turned into an alias in between,
	 * and then it is the head that got the reference. [I]: fully ordered
	 * after the exchange; pairs with [A] and [B]. The head cannot be
	 * restored while it has it.
	 */
	folio = page_folio(page);
	if (likely(&folio->page == page))
		return true;

	shadow_count(SHADOW_ALIAS_REFERENCES, 1);
	folio_put_refs(folio, nr);

	return false;
}
EXPORT_SYMBOL_GPL(vmemmap_shadow_ref_add_unless);

int vmemmap_shadow_test_set_hwpoison(struct page *page)
{
	int ret = -EAGAIN;

	/*
	 * The test and the store are one RCU read-side critical section.
	 * HugeTLB types a folio before the grace period of
	 * vmemmap_shadow_optimize_folios(), and its tails are looked at after
	 * that: either they are found poisoned, and the folio is left alone,
	 * or it is found typed here: [F].
	 */
	rcu_read_lock();
	if (!PageHuge(page))
		ret = TestSetPageHWPoison(page);
	rcu_read_unlock();

	return ret;
}

/* ------------------------------------------------------------------------ */
/* Contents								    */

/* The vmemmap address that a folio's tail entry n, n >= 0, maps. */
static unsigned long shadow_tail_addr(const struct folio *folio, unsigned int n)
{
	return (unsigned long)folio + (n + 1) * PAGE_SIZE;
}

/* The entry behind this one, which maps @addr. They lie in tables of a PMD. */
static pte_t *shadow_next_ptep(pte_t *ptep, unsigned long addr)
{
	return addr & ~PMD_MASK ? ptep + 1 : vmemmap_shadow_ptep(addr);
}

/* A folio's tail entries lo to hi - 1, and the addresses that they map. */
#define for_each_tail_entry(ptep, addr, folio, lo, hi)			\
	for (addr = shadow_tail_addr(folio, lo),			\
	     ptep = vmemmap_shadow_ptep(addr);				\
	     addr < shadow_tail_addr(folio, hi);			\
	     addr += PAGE_SIZE, ptep = shadow_next_ptep(ptep, addr))

static unsigned int shadow_nr_tails(const struct folio *folio)
{
	const unsigned long size = folio_nr_pages(folio) * sizeof(struct page);

	/* A head's vmemmap page may not end in the middle of a struct page. */
	if (!is_power_of_2(sizeof(struct page)) || size <= PAGE_SIZE)
		return 0;

	return size / PAGE_SIZE - 1;
}

/* The page that an entry maps, through its alias in the linear map. */
static struct page *shadow_alias(pte_t pte)
{
	return page_to_virt(pte_page(pte));
}

/*
 * A plain tail has nothing of its own: losing it loses nothing. Its flags
 * word may hold what is the same for the whole folio, or means nothing there:
 * node, zone, section, KASAN tag, last CPU and PID.
 */
static bool shadow_tail_is_plain(const struct page *tail,
				 const struct folio *folio)
{
	const unsigned long place =
		((unsigned long)ZONES_MASK << ZONES_PGSHIFT) |
		((unsigned long)NODES_MASK << NODES_PGSHIFT);
	const unsigned long flags = READ_ONCE(tail->flags);

	return READ_ONCE(tail->compound_head) == (unsigned long)folio + 1 &&
	       page_ref_count(tail) == 0 &&
	       atomic_read(&tail->_mapcount) == -1 &&
	       !(flags & PAGEFLAGS_MASK) &&
	       !((flags ^ folio->flags) & place);
}

/*
 * Gigantic folios of the boot command line come from memblock, and HugeTLB
 * makes tails of only those of their struct pages that HVO keeps. The others
 * hold nothing yet, and nothing knows of them: a page of them can be told by
 * its first one, which points to no head, or to no one's.
 */
static bool shadow_page_is_raw(const struct page *own,
			       const struct folio *folio)
{
	return system_state < SYSTEM_RUNNING &&
	       folio_order(folio) > MAX_PAGE_ORDER &&
	       READ_ONCE(own->compound_head) != (unsigned long)folio + 1;
}

/*
 * Change a word of a page that readers look at, and that a stray writer may
 * have got back, from a value that is known to one that is wanted. Never over
 * anything that came in between: that is somebody's store, and it is kept.
 * Fully ordered if it changes anything.
 */
static bool shadow_change_word(struct page *page, unsigned int w,
			       unsigned long from, unsigned long to)
{
	return from == to ||
	       vmemmap_shadow_store((unsigned long *)page + w, from, to);
}

static unsigned long shadow_read_word(const struct page *page, unsigned int w)
{
	return READ_ONCE(((const unsigned long *)page)[w]);
}

/*
 * Does the head's page hold anything that is not the folio's own, besides plain
 * tails? It would show in every alias, and end up in every page after restore.
 */
static bool shadow_head_is_plain(const struct folio *folio)
{
	const unsigned int nr = PAGE_SIZE / sizeof(struct page);
	unsigned int i;

	for (i = 1; i < SHADOW_HEAD_PAGES; i++) {
		if (READ_ONCE((&folio->page + i)->flags) & __PG_HWPOISON)
			return false;
	}
	for (; i < nr; i++) {
		if (!shadow_tail_is_plain(&folio->page + i, folio))
			return false;
	}

	return true;
}

static void shadow_refuse_not_plain(struct folio *folio)
{
	shadow_count(SHADOW_REFUSED_NOT_PLAIN, 1);
	pr_warn_once("pfn %#lx: struct page not a plain tail, folio left unoptimized\n",
		     folio_pfn(folio));
}

/* What word w of entry i of a folio's fake heads, and what follows them, is. */
static unsigned long shadow_alias_word(const struct folio *folio,
				       const struct shadow_was *was,
				       unsigned int i, unsigned int w)
{
	return i < SHADOW_HEAD_PAGES ? was->page[i].word[w] :
	       shadow_read_word(&folio->page + i, w);
}

/**
 * shadow_equalize() - make a sealed page's contents those of the head's page
 * @folio:	the folio, which lies in the head's page
 * @was:	what the folio's own struct pages held
 * @ptep:	the SEALED entry that maps the page
 *
 * Readers keep looking at the page. All they see of entries other than the
 * first is that a few fields, which say nothing of a tail, change; their
 * compound_head keeps its value. The first one turns from a plain tail to a
 * fake head, and readers must find the head at either and in between: so
 * PG_head is set before compound_head loses bit 0. [A]: pairs with the first
 * smp_rmb() in page_fixed_fake_head().
 *
 * Return: 0 if each word of the page was made equal; -EBUSY if the page holds
 * anything but plain tails, then it is unchanged; -EAGAIN if a stray writer got
 * to it meanwhile.
 */
static int shadow_equalize(struct folio *folio, const struct shadow_was *was,
			   pte_t *ptep)
{
	struct page *own = shadow_alias(__ptep_get(ptep));
	const unsigned int nr = PAGE_SIZE / sizeof(struct page);
	const bool raw = shadow_page_is_raw(own, folio);
	unsigned int i, w;

	for (i = 0; i < nr && !raw; i++) {
		if (!shadow_tail_is_plain(own + i, folio)) {
			shadow_refuse_not_plain(folio);
			return -EBUSY;
		}
	}

	/*
	 * The first entry comes first: a page of which any word that matters
	 * was changed can be told by its fake head, see shadow_replain().
	 */
	for (i = 0; i < nr; i++) {
		union shadow_words old;

		for (w = 0; w < SHADOW_NR_WORDS; w++)
			old.word[w] = shadow_read_word(own + i, w);
		/*
		 * [D]: the words before the entry: if it is SEALED still, no
		 * store had come in between, and one that comes now makes an
		 * exchange below fail. Pairs with the exchange in
		 * __vmemmap_shadow_fault(), which the TLBI behind it orders
		 * before the store that it lets through. Without it such a
		 * store could be lost.
		 */
		smp_rmb();
		if (vmemmap_shadow_pte_state(__ptep_get(ptep)) !=
		    VMEMMAP_SHADOW_SEALED)
			return -EAGAIN;
		if (!raw && !shadow_tail_is_plain(&old.page, folio))
			return -EAGAIN;

		for (w = SHADOW_FLAGS; w < SHADOW_NR_WORDS; w++) {
			if (!shadow_change_word(own + i, w, old.word[w],
						shadow_alias_word(folio, was,
								  i, w)))
				return -EAGAIN;
		}
	}

	return 0;
}

/*
 * Give a page in hand, which nothing maps yet but the linear map, the contents
 * of the head's page. Stores to the head's own struct pages are excluded by
 * the freeze, but for those of memory_failure(), see struct shadow_was; those
 * through the tail entry by its seal.
 */
static void shadow_fill(const struct folio *folio, const struct shadow_was *was,
			struct page *page)
{
	vmemmap_shadow_copy(page_to_virt(page), folio, was, sizeof(*was));
}

/**
 * shadow_replain() - turn copies of the head and its first tails into plain
 *		      tails
 * @was:	what was copied
 * @own:	the page that a SEALED or OWNED tail entry maps, through its
 *		alias
 *
 * The reverse of shadow_equalize(), and a no-op on a page that it left alone.
 * A stray writer may have stored to the page after it was sealed or parted.
 * What is not a copy is not ours to change, and flags words lose only the flags
 * that were copied.
 */
static void shadow_replain(const struct shadow_was *was, struct page *own)
{
	const struct page *plain = own + SHADOW_HEAD_PAGES;
	unsigned int i, w;

	if (READ_ONCE(own->compound_head) & 1 || !page_is_fake_head(own))
		return;

	/*
	 * compound_head first: with bit 0 set a reader needs no PG_head, and
	 * without PG_head it needs bit 0. Fully ordered before the change of
	 * the flags word below. [H]: pairs with the second smp_rmb() in
	 * page_fixed_fake_head().
	 */
	shadow_change_word(own, SHADOW_COMPOUND_HEAD,
			   was->page[0].word[SHADOW_COMPOUND_HEAD],
			   shadow_read_word(plain, SHADOW_COMPOUND_HEAD));

	for (i = 0; i < SHADOW_HEAD_PAGES; i++) {
		const unsigned long copied =
			was->page[i].page.flags & PAGEFLAGS_MASK;
		unsigned long flags;

		do {
			flags = READ_ONCE(own[i].flags);
		} while (!shadow_change_word(own + i, SHADOW_FLAGS, flags,
					     flags & ~copied));
		for (w = SHADOW_REST; w < SHADOW_NR_WORDS; w++)
			shadow_change_word(own + i, w, was->page[i].word[w],
					   shadow_read_word(plain, w));
	}
}

/* ------------------------------------------------------------------------ */
/* Pages in hand							    */

static void shadow_free_pages(struct list_head *pages)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, pages, lru) {
		list_del(&page->lru);
		shadow_count(SHADOW_BYTES_SAVED, PAGE_SIZE);
		vmemmap_shadow_free_page(page);
	}
}

static struct page *shadow_take_page(struct list_head *pages)
{
	struct page *page;

	page = list_first_entry_or_null(pages, struct page, lru);
	if (page)
		list_del(&page->lru);

	return page;
}

/* ------------------------------------------------------------------------ */
/* The rule, checked							    */

#ifdef CONFIG_VMEMMAP_SHADOW_DEBUG
/*
 * Equal, but for the flags words of the folio's own struct pages: whoever finds
 * the head without a reference may set one there at any time. And but for what
 * memory_failure() hangs on to the head. See struct shadow_was.
 */
static bool shadow_debug_equal(const struct page *x, const struct page *y)
{
	unsigned int i, w;

	for (i = 0; i < SHADOW_HEAD_PAGES; i++) {
		for (w = SHADOW_COMPOUND_HEAD; w < SHADOW_NR_WORDS; w++) {
			if (shadow_read_word(x + i, w) !=
			    shadow_read_word(y + i, w) &&
			    !((READ_ONCE(x->flags) | READ_ONCE(y->flags)) &
			      __PG_HWPOISON))
				return false;
		}
	}

	return !memcmp(x + i, y + i, PAGE_SIZE - i * sizeof(*x));
}

static void shadow_debug_step(unsigned long addr, pte_t old, pte_t new)
{
	const pteval_t diff = pte_val(old) ^ pte_val(new);
	const pteval_t perm = SHADOW_TAG | PTE_WRITE | PTE_RDONLY;

	if (xa_load(&shadow_unsynced, addr >> PAGE_SHIFT))
		vmemmap_shadow_violation("a step, and no TLBI since the last one");
	if (pte_pfn(old) == pte_pfn(new)) {
		if (diff & ~perm)
			vmemmap_shadow_violation("a step changes more than the permission");
		return;
	}

	if (diff & (PTE_WRITE | PTE_RDONLY) || pte_val(old) & PTE_WRITE)
		vmemmap_shadow_violation("the output address of a writable entry changes");
	else if (!shadow_debug_equal(shadow_alias(old), shadow_alias(new)))
		vmemmap_shadow_violation("an output address changes, and the contents differ");
}

/*
 * Does any entry of these folios map a page that is about to be released, or
 * might a CPU still translate through one that did?
 */
static bool shadow_debug_may_release(const struct shadow_batch *b)
{
	const unsigned long mark = (unsigned long)&shadow_unsynced;
	bool mapped = false, unsynced = false;
	unsigned long addr;
	struct page *page;
	unsigned int i;
	pte_t *ptep;

	list_for_each_entry(page, &b->pages, lru)
		set_page_private(page, mark);
	for (i = 0; i < b->nr; i++) {
		for_each_tail_entry(ptep, addr, b->folio[i], 0, b->nr_tails) {
			mapped |= page_private(pte_page(__ptep_get(ptep))) == mark;
			unsynced |= !!xa_load(&shadow_unsynced, addr >> PAGE_SHIFT);
		}
	}
	list_for_each_entry(page, &b->pages, lru)
		set_page_private(page, 0);

	if (mapped)
		vmemmap_shadow_violation("a page that an entry maps is released");
	if (unsynced)
		vmemmap_shadow_violation("a page is released, and no TLBI came before");

	return !mapped;
}
#else
static void shadow_debug_step(unsigned long addr, pte_t old, pte_t new) { }
static bool shadow_debug_may_release(const struct shadow_batch *b)
{
	return true;
}
#endif

/* ------------------------------------------------------------------------ */
/* Windows								    */

static void shadow_wait_readers(void)
{
	vmemmap_shadow_wait_readers();
	shadow_count(SHADOW_GRACE_PERIODS, 1);
}

/**
 * shadow_tlbi_round() - complete a TLBI of every entry of a window
 * @b:		the batch
 * @lo:		first tail entry of the window, in each folio
 * @hi:		tail entry behind the window's last, in each folio
 *
 * [G]: the first DSB makes the steps before it visible to every walker before
 * the TLBIs are issued; without it a CPU could walk and cache the old entry
 * after the TLBI. The second one, in vmemmap_shadow_tlbi_sync(), waits until every
 * CPU has dropped the old translations and completed the accesses it started
 * through them; without it the next step would find them in use. See Arm ARM,
 * "TLB maintenance".
 *
 * Each operation is broadcast, and has to be answered by every CPU; an entry
 * too many costs a refill. So one range covers neighbouring folios with the head
 * entries between them, and is rounded up to a size that TLBI by range does in
 * one operation.
 */
static void shadow_tlbi_round(const struct shadow_batch *b,
			      unsigned int lo, unsigned int hi)
{
	const unsigned long size = (hi - lo) * PAGE_SIZE;
	unsigned int i = 0;

	dsb(ishst);
	while (i < b->nr) {
		unsigned long start = shadow_tail_addr(b->folio[i], lo);
		unsigned long nr, end = start + size;

		while (++i < b->nr &&
		       shadow_tail_addr(b->folio[i], lo) == end + PAGE_SIZE)
			end += PAGE_SIZE + size;

		nr = (end - start) >> PAGE_SHIFT;
		if (system_supports_tlb_range())
			nr = round_up(nr, nr > __TLBI_RANGE_PAGES(31, 0) ?
				      __TLBI_RANGE_PAGES(0, 1) :
				      __TLBI_RANGE_PAGES(0, 0));
		vmemmap_shadow_tlbi(start, nr);
	}
	vmemmap_shadow_tlbi_sync();
	for (i = 0; i < b->nr; i++)
		shadow_debug_synced(shadow_tail_addr(b->folio[i], lo), hi - lo);
	shadow_count(SHADOW_TLBI_ROUNDS, 1);
}

/* A window opens: returns the time, for shadow_window_close(). */
static u64 shadow_window_open(void)
{
	return ktime_get_mono_fast_ns();
}

static void shadow_window_close(const struct shadow_batch *b, unsigned int lo,
				unsigned int hi, u64 opened)
{
	atomic_long_t *longest = &shadow_counters[SHADOW_WINDOW_NS_LONGEST];
	const long ns = ktime_get_mono_fast_ns() - opened;
	long old = atomic_long_read(longest);

	while (ns > old && !atomic_long_try_cmpxchg(longest, &old, ns))
		;
	shadow_count(SHADOW_WINDOWS, 1);
	shadow_count(SHADOW_WINDOW_NS_TOTAL, ns);
	trace_vmemmap_shadow_window(folio_pfn(b->folio[0]),
				    folio_order(b->folio[0]), b->nr,
				    b->nr * (hi - lo), ns);
}

/*
 * Step an entry, once it and what it maps agree with the rule. Returns what
 * vmemmap_shadow_step() does.
 */
static int shadow_step(pte_t *ptep, unsigned long addr,
		       enum vmemmap_shadow_state from,
		       enum vmemmap_shadow_state to, unsigned long pfn)
{
	const pte_t old = __ptep_get(ptep);
	int ret;

	if (vmemmap_shadow_pte_state(old) == from) {
		if (shadow_maps_head(from) == shadow_maps_head(to))
			pfn = pte_pfn(old);
		shadow_debug_step(addr, old, shadow_mk_pte(old, to, pfn));
	}
	ret = vmemmap_shadow_step(ptep, from, to, pfn);
	if (!ret)
		shadow_debug_stepped(addr);

	return ret;
}

/*
 * Step a folio's entries lo to hi - 1, which keep their output address. The
 * first one that is not, or no longer, in state from ends that with -EAGAIN:
 * somebody else has stepped it.
 */
static int shadow_step_all(struct folio *folio, unsigned int lo,
			   unsigned int hi, enum vmemmap_shadow_state from,
			   enum vmemmap_shadow_state to)
{
	unsigned long addr, steps = 0;
	pte_t *ptep;
	int ret = 0;

	for_each_tail_entry(ptep, addr, folio, lo, hi) {
		ret = shadow_step(ptep, addr, from, to, 0);
		if (ret)
			break;
		steps++;
	}
	shadow_count(SHADOW_STEPS, steps);

	return ret;
}

/* The same for those of the entries that are in state from. */
static void shadow_step_those(struct folio *folio, unsigned int lo,
			      unsigned int hi, enum vmemmap_shadow_state from,
			      enum vmemmap_shadow_state to)
{
	unsigned long addr, steps = 0;
	pte_t *ptep;

	for_each_tail_entry(ptep, addr, folio, lo, hi)
		steps += !shadow_step(ptep, addr, from, to, 0);
	shadow_count(SHADOW_STEPS, steps);
}

/*
 * Allocate a page for each of a folio's tail entries that maps the head's.
 * All or nothing.
 */
static int shadow_alloc_for(const struct folio *folio, struct list_head *pages)
{
	const unsigned int nr_tails = shadow_nr_tails(folio);
	struct page *some[32];
	unsigned int n, got, need = 0;
	unsigned long addr;
	LIST_HEAD(new);
	pte_t *ptep;

	for_each_tail_entry(ptep, addr, folio, 0, nr_tails)
		need += shadow_maps_head(vmemmap_shadow_pte_state(__ptep_get(ptep)));

	while (need) {
		memset(some, 0, sizeof(some));
		got = vmemmap_shadow_alloc_pages(folio_nid(folio),
						 min(need, ARRAY_SIZE(some)),
						 some);
		if (!got) {
			shadow_free_pages(&new);
			return -ENOMEM;
		}
		memmap_pages_add(got);
		shadow_count(SHADOW_BYTES_SAVED, -(long)(got * PAGE_SIZE));
		for (n = 0; n < got; n++)
			list_add(&some[n]->lru, &new);
		need -= got;
		cond_resched();
	}
	list_splice(&new, pages);

	return 0;
}

/* Are all of a folio's entries lo to hi - 1 in this state? */
static bool shadow_all_in(const struct folio *folio, unsigned int lo,
			  unsigned int hi, enum vmemmap_shadow_state state)
{
	unsigned long addr;
	pte_t *ptep;

	for_each_tail_entry(ptep, addr, folio, lo, hi) {
		if (vmemmap_shadow_pte_state(__ptep_get(ptep)) != state)
			return false;
	}

	return true;
}

static int shadow_equalize_range(struct folio *folio,
				 const struct shadow_was *was, unsigned int lo,
				 unsigned int hi)
{
	unsigned long addr;
	pte_t *ptep;
	int ret;

	for_each_tail_entry(ptep, addr, folio, lo, hi) {
		ret = shadow_equalize(folio, was, ptep);
		if (ret)
			return ret;
	}

	return 0;
}

/* Join entries lo to hi - 1; the pages they mapped are in hand then. */
static int shadow_join_range(struct folio *folio, unsigned int lo,
			     unsigned int hi, struct list_head *pages)
{
	pte_t *ptep = vmemmap_shadow_ptep((unsigned long)folio);
	const unsigned long pfn = pte_pfn(__ptep_get(ptep));
	unsigned long addr, steps = 0;
	int ret = 0;

	for_each_tail_entry(ptep, addr, folio, lo, hi) {
		struct page *own = pte_page(__ptep_get(ptep));

		/*
		 * At the last moment: a stray store through an entry that is
		 * joined already changes the head's page.
		 */
		if (memcmp(page_to_virt(own), folio, PAGE_SIZE)) {
			ret = -EAGAIN;
			break;
		}
		ret = shadow_step(ptep, addr, VMEMMAP_SHADOW_SEALED,
				  VMEMMAP_SHADOW_JOINED, pfn);
		if (ret)
			break;
		steps++;
		list_add(&own->lru, pages);
	}
	shadow_count(SHADOW_STEPS, steps);

	return ret;
}

/* Part those of entries lo to hi - 1 that are JOINED, with pages in hand. */
static void shadow_part_range(struct folio *folio, const struct shadow_was *was,
			      unsigned int lo, unsigned int hi,
			      struct list_head *pages)
{
	unsigned long addr, steps = 0;
	pte_t *ptep;

	for_each_tail_entry(ptep, addr, folio, lo, hi) {
		struct page *page;

		if (vmemmap_shadow_pte_state(__ptep_get(ptep)) !=
		    VMEMMAP_SHADOW_JOINED)
			continue;

		page = shadow_take_page(pages);
		if (SHADOW_WARN_ON(!page))
			break;

		shadow_fill(folio, was, page);
		if (shadow_step(ptep, addr, VMEMMAP_SHADOW_JOINED,
				VMEMMAP_SHADOW_SEALED, page_to_pfn(page)))
			list_add(&page->lru, pages);
		else
			steps++;
	}
	shadow_count(SHADOW_STEPS, steps);
}

/* Re-plain the pages of entries lo to hi - 1 that map their own. */
static void shadow_replain_range(struct folio *folio,
				 const struct shadow_was *was, unsigned int lo,
				 unsigned int hi)
{
	unsigned long addr;
	pte_t *ptep;

	for_each_tail_entry(ptep, addr, folio, lo, hi) {
		const pte_t pte = __ptep_get(ptep);

		if (!shadow_maps_head(vmemmap_shadow_pte_state(pte)))
			shadow_replain(was, shadow_alias(pte));
	}
}

/* Note what the folios' own struct pages hold. */
static void shadow_batch_note(struct shadow_batch *b)
{
	unsigned int i, n, w;

	for (i = 0; i < b->nr; i++)
		for (n = 0; n < SHADOW_HEAD_PAGES; n++)
			for (w = 0; w < SHADOW_NR_WORDS; w++)
				b->was[i].page[n].word[w] =
					shadow_read_word(&b->folio[i]->page + n, w);
}

/**
 * shadow_optimize_window() - take a window along the chain, OWNED to SHARED
 * @b:		the batch
 * @lo:		first tail entry of the window, in each folio
 * @hi:		tail entry behind the window's last, in each folio
 *
 * A folio with an entry that does not step takes no further step here and
 * is marked failed; its entries may then be in any state.
 */
static void shadow_optimize_window(struct shadow_batch *b, unsigned int lo,
				   unsigned int hi)
{
	const u64 opened = shadow_window_open();
	unsigned int i;

	for_each_clear_bit(i, b->failed, b->nr) {
		if (shadow_step_all(b->folio[i], lo, hi, VMEMMAP_SHADOW_OWNED,
				    VMEMMAP_SHADOW_SEALED))
			__set_bit(i, b->failed);
	}
	/* From here on no store reaches the pages but through their aliases. */
	shadow_tlbi_round(b, lo, hi);
	vmemmap_shadow_hold(b->folio[0], lo, hi);

	for_each_clear_bit(i, b->failed, b->nr) {
		if (shadow_equalize_range(b->folio[i], &b->was[i], lo, hi) ||
		    shadow_join_range(b->folio[i], lo, hi, &b->pages))
			__set_bit(i, b->failed);
	}
	/* From here on nothing reaches the pages that were parted. */
	shadow_tlbi_round(b, lo, hi);
	vmemmap_shadow_hold(b->folio[0], lo, hi);

	for_each_clear_bit(i, b->failed, b->nr) {
		if (shadow_step_all(b->folio[i], lo, hi, VMEMMAP_SHADOW_JOINED,
				    VMEMMAP_SHADOW_SHARED))
			__set_bit(i, b->failed);
	}
	/* From here on no CPU faults on what it still believes read-only. */
	shadow_tlbi_round(b, lo, hi);
	shadow_window_close(b, lo, hi, opened);
}

/**
 * shadow_restore_window() - take a window back, from wherever it is, to OWNED
 * @b:		the batch, with a page in hand for each entry of the window
 *		that maps the head's page
 * @lo:		first tail entry of the window, in each folio
 * @hi:		tail entry behind the window's last, in each folio
 *
 * Serves both restore, where all entries start SHARED, and roll-back, where
 * they may be in any of the four states. An entry that a stray writer took
 * back is tried again, with all the TLBI rounds, a bounded number of times.
 *
 * Return: 0 if every entry is OWNED, -EAGAIN if not.
 */
static int shadow_restore_window(struct shadow_batch *b, unsigned int lo,
				 unsigned int hi)
{
	unsigned int i, tries;

	for (tries = 0; tries < SHADOW_MAX_TRIES; tries++) {
		const u64 opened = shadow_window_open();
		bool done = true;

		/* What a stray writer took back, no round has followed yet. */
		if (tries)
			shadow_tlbi_round(b, lo, hi);

		for (i = 0; i < b->nr; i++)
			shadow_step_those(b->folio[i], lo, hi,
					  VMEMMAP_SHADOW_SHARED,
					  VMEMMAP_SHADOW_JOINED);
		/* From here on no store reaches the head's page this way. */
		shadow_tlbi_round(b, lo, hi);
		vmemmap_shadow_hold(b->folio[0], lo, hi);

		/* With all that came before: what is parted has to be equal. */
		shadow_batch_note(b);
		for (i = 0; i < b->nr; i++)
			shadow_part_range(b->folio[i], &b->was[i], lo, hi,
					  &b->pages);
		/* From here on nothing reads the head's page this way. */
		shadow_tlbi_round(b, lo, hi);
		vmemmap_shadow_hold(b->folio[0], lo, hi);

		for (i = 0; i < b->nr; i++) {
			shadow_replain_range(b->folio[i], &b->was[i], lo, hi);
			shadow_step_those(b->folio[i], lo, hi,
					  VMEMMAP_SHADOW_SEALED,
					  VMEMMAP_SHADOW_OWNED);
		}
		/* From here on no CPU faults on a page it may write to. */
		shadow_tlbi_round(b, lo, hi);
		shadow_window_close(b, lo, hi, opened);

		for (i = 0; i < b->nr; i++)
			done &= shadow_all_in(b->folio[i], lo, hi,
					      VMEMMAP_SHADOW_OWNED);
		if (done)
			return 0;
	}

	/* Given up. What could not be parted stays joined, but not read-only. */
	for (i = 0; i < b->nr; i++)
		shadow_step_those(b->folio[i], lo, hi, VMEMMAP_SHADOW_JOINED,
				  VMEMMAP_SHADOW_SHARED);
	shadow_tlbi_round(b, lo, hi);

	return -EAGAIN;
}

/* ------------------------------------------------------------------------ */
/* Batches								    */

static void shadow_batch_init(struct shadow_batch *b, struct shadow_was *was,
			      unsigned int max)
{
	b->was = was;
	b->max = max;
	b->nr = 0;
	bitmap_zero(b->failed, SHADOW_BATCH);
	INIT_LIST_HEAD(&b->pages);
}

/*
 * Room for what the folios of a batch hold, or for those of one folio, which
 * the caller brings, if there is no memory.
 */
static struct shadow_was *shadow_was_alloc(struct shadow_was *one,
					   unsigned int *max)
{
	struct shadow_was *was =
		vmemmap_shadow_alloc_note(SHADOW_BATCH * sizeof(*was));

	*max = was ? SHADOW_BATCH : 1;

	return was ?: one;
}

static void shadow_was_free(struct shadow_was *was, struct shadow_was *one)
{
	if (was != one)
		kfree(was);
}

/* Does this folio belong into this batch? The first one always does. */
static bool shadow_batch_takes(const struct shadow_batch *b,
			       const struct folio *folio)
{
	if (!b->nr)
		return true;

	return b->nr < b->max && b->nid == folio_nid(folio) &&
	       b->nr_tails == shadow_nr_tails(folio) &&
	       (b->nr + 1) * b->nr_tails <= SHADOW_WINDOW;
}

static void shadow_batch_add(struct shadow_batch *b, struct folio *folio)
{
	if (!b->nr) {
		b->nid = folio_nid(folio);
		b->nr_tails = shadow_nr_tails(folio);
	}
	b->folio[b->nr++] = folio;
}

static int shadow_cmp_folio(void *unused, const struct list_head *a,
			    const struct list_head *b)
{
	return a < b ? -1 : a > b;
}

/*
 * Bring neighbours together, for shadow_tlbi_round(). The links are compared
 * by their own addresses: they lie in the struct pages.
 */
static void shadow_sort_folios(struct list_head *folios)
{
	list_sort(NULL, folios, shadow_cmp_folio);
}

/* Entries of each folio that make one window. */
static unsigned int shadow_window_step(const struct shadow_batch *b)
{
	return min(b->nr_tails, SHADOW_WINDOW);
}

/*
 * The folio no longer counts as optimized: readers need not look for fake
 * heads on its account, since it has got none.
 */
static void shadow_unmark(struct folio *folio)
{
	folio_clear_hugetlb_vmemmap_optimized(folio);
	static_branch_dec(&hugetlb_optimize_vmemmap_key);
}

/*
 * Take every entry of every folio of a batch to OWNED. On error the folios
 * still count as optimized; their entries may then be in any state.
 */
static int shadow_restore_batch(struct shadow_batch *b)
{
	const unsigned int step = shadow_window_step(b);
	unsigned int i, lo;

	for (lo = 0; lo < b->nr_tails; lo += step) {
		int ret = shadow_restore_window(b, lo,
						min(lo + step, b->nr_tails));

		if (ret)
			return ret;
		cond_resched();
	}

	for (i = 0; i < b->nr; i++)
		shadow_unmark(b->folio[i]);

	return 0;
}

/* What is in hand, and not needed, nothing maps: see the TLBI rounds. */
static void shadow_release(struct shadow_batch *b)
{
	if (shadow_debug_may_release(b))
		shadow_free_pages(&b->pages);
}

/* Roll a folio back with the pages in hand. Needs no memory. */
static noinline_for_stack void shadow_roll_back(struct folio *folio,
						struct shadow_was *was,
						struct list_head *pages)
{
	const u64 began = ktime_get_mono_fast_ns();
	struct shadow_batch one;

	shadow_count(SHADOW_ROLL_BACKS, 1);
	shadow_batch_init(&one, was, 1);
	shadow_batch_add(&one, folio);
	list_splice_init(pages, &one.pages);
	/* What a stray writer took back, no round has followed yet. */
	shadow_tlbi_round(&one, 0, one.nr_tails);
	/*
	 * Copies of what the head's page held when optimize began. It may hold
	 * more since, by a store through an entry that was joined.
	 */
	shadow_replain_range(folio, was, 0, one.nr_tails);
	if (shadow_restore_batch(&one))
		pr_warn_once("pfn %#lx: roll-back given up, folio left partly optimized\n",
			     folio_pfn(folio));
	list_splice(&one.pages, pages);
	trace_vmemmap_shadow_roll_back(folio_pfn(folio), folio_order(folio), 1,
				       one.nr_tails,
				       ktime_get_mono_fast_ns() - began);
}

/*
 * Optimize the folios of a batch. Each is marked, and readers were awaited.
 * Returns how many made it.
 */
static unsigned int shadow_optimize_batch(struct shadow_batch *b)
{
	const unsigned int step = shadow_window_step(b);
	unsigned int i, lo, nr;

	shadow_batch_note(b);
	for (i = 0; i < b->nr; i++) {
		if (!shadow_head_is_plain(b->folio[i])) {
			shadow_refuse_not_plain(b->folio[i]);
			__set_bit(i, b->failed);
		}
	}

	for (lo = 0; lo < b->nr_tails; lo += step) {
		shadow_optimize_window(b, lo, min(lo + step, b->nr_tails));
		/* Several windows make one folio: no use to go on with it. */
		if (b->nr == 1 && test_bit(0, b->failed))
			break;
		cond_resched();
	}

	/*
	 * A roll-back seals entries once more, to pages that they may have
	 * mapped a moment ago: [L].
	 */
	if (!bitmap_empty(b->failed, b->nr))
		shadow_wait_readers();
	for_each_set_bit(i, b->failed, b->nr)
		shadow_roll_back(b->folio[i], &b->was[i], &b->pages);
	nr = b->nr - bitmap_weight(b->failed, b->nr);
	shadow_count(SHADOW_FOLIOS_OPTIMIZED, nr);
	shadow_release(b);

	return nr;
}

/* ------------------------------------------------------------------------ */
/* The two operations							    */

/* Mark a folio as optimized, if it can be: true if it was marked now. */
static bool shadow_mark(struct folio *folio)
{
	const unsigned int nr_tails = shadow_nr_tails(folio);
	unsigned int n;
	pte_t *ptep;

	if (!shadow_pagegran || !nr_tails ||
	    folio_test_hugetlb_vmemmap_optimized(folio))
		return false;
	if (READ_ONCE(vmemmap_shadow_broken)) {
		shadow_count(SHADOW_REFUSED_BROKEN, 1);
		return false;
	}
	if (SHADOW_WARN_ON(!folio_test_hugetlb(folio) || folio_ref_count(folio)))
		return false;

	/* Mapped with pages, each its own? Then no later step meets a hole. */
	for (n = 0; n <= nr_tails; n++) {
		ptep = vmemmap_shadow_ptep((unsigned long)folio + n * PAGE_SIZE);
		if (SHADOW_WARN_ON(!ptep || !shadow_pte_is_sound(__ptep_get(ptep)) ||
				   vmemmap_shadow_pte_state(__ptep_get(ptep)) !=
				   VMEMMAP_SHADOW_OWNED))
			return false;
	}

	/*
	 * The vmemmap of hot-added memory may lie in that memory itself, at
	 * its start. Its pages must stay where they are, and if the first one
	 * of a folio is such a page, all are, by the alignment of both.
	 */
	ptep = vmemmap_shadow_ptep((unsigned long)folio);
	if (PageVmemmapSelfHosted(pte_page(__ptep_get(ptep)))) {
		shadow_count(SHADOW_REFUSED_SELF_HOSTED, 1);
		return false;
	}

	/*
	 * [E]: the key before the first fake head, so that every reader looks
	 * out for one; the flag, which lies in the head's page, before the head's
	 * page is copied.
	 */
	static_branch_inc(&hugetlb_optimize_vmemmap_key);
	folio_set_hugetlb_vmemmap_optimized(folio);

	return true;
}

void vmemmap_shadow_optimize_folio(struct folio *folio)
{
	const u64 began = ktime_get_mono_fast_ns();
	struct shadow_was was;
	struct shadow_batch b;
	unsigned int nr;

	might_sleep();
	if (!shadow_mark(folio))
		return;

	/* See vmemmap_shadow_optimize_folios(). */
	shadow_wait_readers();

	shadow_batch_init(&b, &was, 1);
	shadow_batch_add(&b, folio);
	nr = shadow_optimize_batch(&b);
	trace_vmemmap_shadow_optimize(folio_pfn(folio), folio_order(folio), nr,
				      nr * b.nr_tails,
				      ktime_get_mono_fast_ns() - began);
}

void vmemmap_shadow_optimize_folios(struct list_head *folios)
{
	const u64 began = ktime_get_mono_fast_ns();
	struct folio *folio, *next, *first;
	unsigned int nr, max, nr_folios = 0;
	struct shadow_was one, *was;
	unsigned long nr_entries = 0;
	struct shadow_batch b;
	LIST_HEAD(others);

	might_sleep();
	shadow_sort_folios(folios);
	list_for_each_entry_safe(folio, next, folios, lru) {
		if (!shadow_mark(folio))
			list_move_tail(&folio->lru, &others);
		cond_resched();
	}
	if (list_empty(folios))
		goto out;

	/*
	 * [F]: the folios are frozen. Who looks at a tail from now on sees a
	 * reference count of 0 and does not write. Who saw a tail's count in
	 * its previous life, before the freeze, may be about to compare and
	 * exchange it still, and an arm64 CAS needs write permission even if
	 * its comparison fails. page_ref_add_unless() does both in one RCU
	 * read-side critical section: after a grace period it is done.
	 */
	shadow_wait_readers();

	first = list_first_entry(folios, struct folio, lru);
	was = shadow_was_alloc(&one, &max);
	shadow_batch_init(&b, was, max);
	list_for_each_entry(folio, folios, lru) {
		if (!shadow_batch_takes(&b, folio)) {
			nr = shadow_optimize_batch(&b);
			nr_folios += nr;
			nr_entries += nr * b.nr_tails;
			shadow_batch_init(&b, was, max);
		}
		shadow_batch_add(&b, folio);
	}
	nr = shadow_optimize_batch(&b);
	nr_folios += nr;
	nr_entries += nr * b.nr_tails;
	shadow_was_free(was, &one);
	trace_vmemmap_shadow_optimize(folio_pfn(first), folio_order(first),
				      nr_folios, nr_entries,
				      ktime_get_mono_fast_ns() - began);
out:
	list_splice(&others, folios);
}

int vmemmap_shadow_restore_folio(struct folio *folio)
{
	const u64 began = ktime_get_mono_fast_ns();
	struct shadow_was was;
	struct shadow_batch b;
	int ret;

	might_sleep();
	VM_WARN_ON_ONCE_FOLIO(!folio_test_hugetlb(folio), folio);
	VM_WARN_ON_ONCE_FOLIO(folio_ref_count(folio), folio);

	if (!folio_test_hugetlb_vmemmap_optimized(folio))
		return 0;

	shadow_batch_init(&b, &was, 1);
	shadow_batch_add(&b, folio);
	ret = shadow_alloc_for(folio, &b.pages);
	if (ret)
		return ret;

	/* See vmemmap_shadow_restore_folios(). */
	shadow_wait_readers();

	ret = shadow_restore_batch(&b);
	if (!ret)
		shadow_count(SHADOW_FOLIOS_RESTORED, 1);
	shadow_release(&b);
	trace_vmemmap_shadow_restore(folio_pfn(folio), folio_order(folio), !ret,
				     ret ? 0 : b.nr_tails,
				     ktime_get_mono_fast_ns() - began);

	return ret;
}

long vmemmap_shadow_restore_folios(struct list_head *folios,
				   struct list_head *restored)
{
	const u64 began = ktime_get_mono_fast_ns();
	struct folio *folio, *next, *first = NULL;
	struct shadow_was one, *was;
	unsigned long nr_entries = 0;
	struct shadow_batch b;
	unsigned int max;
	long nr = 0;
	int ret = 0;

	might_sleep();
	list_for_each_entry_safe(folio, next, folios, lru) {
		if (!folio_test_hugetlb_vmemmap_optimized(folio))
			list_move_tail(&folio->lru, restored);
	}
	if (list_empty(folios))
		return 0;

	shadow_sort_folios(folios);
	was = shadow_was_alloc(&one, &max);
	while (!ret && !list_empty(folios)) {
		unsigned int i;

		/*
		 * Gather a batch, with pages for it. Memory that runs out cuts
		 * the batch short, and ends the call once not even its first
		 * folio gets any: then nothing of that folio has changed.
		 */
		shadow_batch_init(&b, was, max);
		list_for_each_entry(folio, folios, lru) {
			if (!shadow_batch_takes(&b, folio))
				break;
			ret = shadow_alloc_for(folio, &b.pages);
			if (ret)
				break;
			shadow_batch_add(&b, folio);
		}
		if (!b.nr)
			break;

		/*
		 * [L]: not for those who want a reference. They look for a fake
		 * head behind the count, and have no exchange under way. But a
		 * fault handler may have seen one of these entries SEALED or
		 * JOINED when it was optimized, and may have been held up since.
		 */
		if (!first)
			shadow_wait_readers();
		first = first ?: b.folio[0];

		ret = shadow_restore_batch(&b);
		shadow_release(&b);
		if (ret)
			break;

		for (i = 0; i < b.nr; i++)
			list_move_tail(&b.folio[i]->lru, restored);
		nr += b.nr;
		nr_entries += b.nr * b.nr_tails;
		shadow_count(SHADOW_FOLIOS_RESTORED, b.nr);
		cond_resched();
	}
	shadow_was_free(was, &one);
	if (first)
		trace_vmemmap_shadow_restore(folio_pfn(first),
					     folio_order(first), nr, nr_entries,
					     ktime_get_mono_fast_ns() - began);

	return ret ?: nr;
}

/* ------------------------------------------------------------------------ */
/* Seen from outside							    */

/* vmemmap_shadow/stats */
VISIBLE_IF_KUNIT
int vmemmap_shadow_stats_show(struct seq_file *seq, void *unused)
{
	unsigned int i;

	for (i = 0; i < SHADOW_NR_COUNTERS; i++)
		seq_printf(seq, "%s: %ld\n", shadow_counter_name[i],
			   atomic_long_read(&shadow_counters[i]));

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(vmemmap_shadow_stats);

/*
 * vmemmap_shadow/state: a line for each run of neighbouring entries in the same
 * state, "first address-last address entries state". Nothing is locked but
 * memory hotplug, so what is stepped meanwhile may be shown in either state.
 */

static const char * const shadow_state_name[] = {
	[VMEMMAP_SHADOW_OWNED]	= "OWNED",
	[VMEMMAP_SHADOW_SEALED]	= "SEALED",
	[VMEMMAP_SHADOW_JOINED]	= "JOINED",
	[VMEMMAP_SHADOW_SHARED]	= "SHARED",
};

static_assert(ARRAY_SIZE(shadow_state_name) == VMEMMAP_SHADOW_NR_STATES);

/* What maps this vmemmap address, NULL if nothing does, and where that ends. */
static const char *shadow_state_at(unsigned long addr, unsigned long *end)
{
	pmd_t *pmdp = shadow_pmdp(addr);
	pte_t pte;
	pmd_t pmd;

	*end = ALIGN(addr + 1, PMD_SIZE);
	if (!pmdp)
		return NULL;
	pmd = READ_ONCE(*pmdp);
	if (pmd_none(pmd))
		return NULL;
	if (pmd_leaf(pmd))
		return "block";

	*end = addr + PAGE_SIZE;
	pte = __ptep_get(pte_offset_kernel(pmdp, addr));

	return pte_none(pte) ? NULL :
	       shadow_state_name[vmemmap_shadow_pte_state(pte)];
}

/* Find the first run at or behind an address. */
static struct vmemmap_shadow_run *
shadow_find_run(struct vmemmap_shadow_run *run, unsigned long addr)
{
	const unsigned long last = (unsigned long)pfn_to_page(max_pfn);
	unsigned long end;

	run->state = NULL;
	while (addr < last) {
		const char *state = shadow_state_at(addr, &end);

		if (run->state && state != run->state)
			break;
		if (!run->state)
			run->start = addr;
		run->state = state;
		run->end = end;
		addr = end;
		cond_resched();
	}

	return run->state ? run : NULL;
}

static void *state_start(struct seq_file *seq, loff_t *pos)
{
	get_online_mems();

	return shadow_find_run(seq->private, VMEMMAP_START + *pos);
}

static void *state_next(struct seq_file *seq, void *v, loff_t *pos)
{
	struct vmemmap_shadow_run *run = v;

	*pos = run->end - VMEMMAP_START;

	return shadow_find_run(run, run->end);
}

static void state_stop(struct seq_file *seq, void *v)
{
	put_online_mems();
}

static int state_show(struct seq_file *seq, void *v)
{
	const struct vmemmap_shadow_run *run = v;

	seq_printf(seq, "0x%lx-0x%lx %lu %s\n", run->start, run->end - 1,
		   (run->end - run->start) >> PAGE_SHIFT, run->state);

	return 0;
}

VISIBLE_IF_KUNIT
const struct seq_operations vmemmap_shadow_state_sops = {
	.start	= state_start,
	.next	= state_next,
	.stop	= state_stop,
	.show	= state_show,
};

static int state_open(struct inode *inode, struct file *file)
{
	return seq_open_private(file, &vmemmap_shadow_state_sops,
				sizeof(struct vmemmap_shadow_run));
}

static const struct file_operations state_fops = {
	.owner		= THIS_MODULE,
	.open		= state_open,
	.read		= seq_read,
	.llseek		= seq_lseek,
	.release	= seq_release_private,
};

static int __init shadow_debugfs_init(void)
{
	struct dentry *dir = debugfs_create_dir("vmemmap_shadow", NULL);

	debugfs_create_file("stats", 0444, dir, NULL,
			    &vmemmap_shadow_stats_fops);
	debugfs_create_file("state", 0400, dir, NULL, &state_fops);

	return 0;
}
late_initcall(shadow_debugfs_init);
