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
 * All tail entries of a folio are sealed before the first of them is joined or
 * parted, and none is opened before the last one was. So nobody gets to write
 * through one of them without a fault, and the fault handler bars what is
 * read-only from further steps before it lets a store to the head's page
 * through: contents that have to be equal are, in every word.
 *
 * See Documentation/mm/vmemmap_shadow.rst for the argument. The letters in
 * brackets are those of its barrier pairs.
 */
#define pr_fmt(fmt) "vmemmap_shadow: " fmt

#include <linux/bitfield.h>
#include <linux/bitops.h>
#include <linux/debugfs.h>
#include <linux/hugetlb.h>
#include <linux/init.h>
#include <linux/kmemleak.h>
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/memblock.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mmdebug.h>
#include <linux/page-flags.h>
#include <linux/pgalloc_tag.h>
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
#include <asm/sysreg.h>
#include <asm/tlbflush.h>

#include "vmemmap_shadow.h"

#define CREATE_TRACE_POINTS
#include <trace/events/vmemmap_shadow.h>

/*
 * The state tag. Bits 57 and 58 mean PTE_DEVMAP and PTE_UFFD_WP in entries of
 * user memory and nothing in those of the kernel. Bit 55, PTE_DIRTY, is not
 * ours: pte_wrprotect() uses it.
 */
#define SHADOW_TAG		GENMASK_ULL(58, 57)

/*
 * Barred: the fault handler has made sure that the updater's next exchange on
 * this entry, whose expected value has no such bit, fails. SEALED and JOINED
 * entries only. Bit 56 means PTE_SPECIAL in entries of user memory.
 */
#define SHADOW_BARRED		BIT_ULL(56)

static_assert(!((SHADOW_TAG | SHADOW_BARRED) & ~PTE_SWBITS_MASK));
static_assert(!((SHADOW_TAG | SHADOW_BARRED) & (PTE_DIRTY | PTE_WRITE)));
static_assert(HWEIGHT64(SHADOW_TAG) == ilog2(VMEMMAP_SHADOW_NR_STATES));

/* The models know the states by these numbers. */
static_assert(VMEMMAP_SHADOW_OWNED == SHADOW_TAG_OWNED);
static_assert(VMEMMAP_SHADOW_SEALED == SHADOW_TAG_SEALED);
static_assert(VMEMMAP_SHADOW_JOINED == SHADOW_TAG_JOINED);
static_assert(VMEMMAP_SHADOW_SHARED == SHADOW_TAG_SHARED);
static_assert(VMEMMAP_SHADOW_NR_STATES == SHADOW_NR_TAGS);

/*
 * A window is the set of entries that are joined or parted together, with
 * preemption off until their TLBI round is complete: so long are two output
 * addresses live. The head entry in front of a folio's first window counts, so
 * that each window starts where one TLBI by range can.
 */
#define SHADOW_WINDOW		((unsigned int)(SZ_2M / PAGE_SIZE))

/* Folios of one batch: see struct shadow_batch. */
#define SHADOW_BATCH		64U

/* A folio that stray writers keep reopening is given up after that many. */
#define SHADOW_MAX_TRIES	8

/* A stale fault that comes again so often within a second is none. */
#define SHADOW_MAX_STALE	1000

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
	union {
		union shadow_words page[SHADOW_HEAD_PAGES];
		unsigned long word[SHADOW_HEAD_PAGES * SHADOW_NR_WORDS];
	};
	union shadow_words plain;	/* the tail behind them */
	unsigned long differ;		/* words of @page that @plain has otherwise */
	bool uniform;			/* are all tails in the head's page @plain? */
};

static_assert(SHADOW_HEAD_PAGES * SHADOW_NR_WORDS <= BITS_PER_LONG);

/* Those that are neither a flags word nor a compound_head. */
#define SHADOW_REST_WORDS						\
	(GENMASK(SHADOW_NR_WORDS - 1, SHADOW_REST) *			\
	 (1UL | BIT(SHADOW_NR_WORDS) | BIT(2 * SHADOW_NR_WORDS) | BIT(3 * SHADOW_NR_WORDS)))

static_assert(SHADOW_HEAD_PAGES == 4);

/*
 * Word n of those that differ, in their order. The first two do: PG_head is in the
 * head only, and bit 0 of compound_head in the tail only, [A].
 */
#define for_each_differing_word(n, bits, differ)			\
	for (bits = (differ); bits && (n = __ffs(bits), true); bits &= bits - 1)

/**
 * struct shadow_member - a folio of a batch
 * @folio:	the folio
 * @ptep:	the entry that maps its head's page
 * @pages:	pages in hand: parted from an entry, or allocated for one. Each
 *		is for one entry only, whose address page_private() has: the
 *		vmemmap of boot memory, which memblock allocated, must not get
 *		into that of memory which can be hot-removed, or the reverse.
 * @failed:	an entry of it did not step
 * @was:	the struct pages of its own
 */
struct shadow_member {
	struct folio *folio;
	pte_t *ptep;
	struct list_head pages;
	bool failed;
	struct shadow_was was;
};

/**
 * struct shadow_batch - folios that are stepped together
 * @member:	the folios, all of one size, by address
 * @room:	where they are, in the order in which they came
 * @nr:		how many they are
 * @max:	how many they may be
 * @nr_failed:	how many of them have failed
 * @nr_tails:	number of tail entries of each folio
 *
 * The folios are the next ones of the caller's list, in the order of their
 * addresses, so that neighbours are beside each other. Either their entries
 * fit into one window, or @nr is 1 and the folio's entries make several. No
 * member's struct page may be written while an entry is read-only, so nothing
 * is moved between lists meanwhile: folio->lru is part of the contents that
 * have to be equal.
 */
struct shadow_batch {
	struct shadow_member *member[SHADOW_BATCH];
	struct shadow_member *room;
	unsigned int nr;
	unsigned int max;
	unsigned int nr_failed;
	unsigned int nr_tails;
};

#define for_each_in_batch(m, i, b)					\
	for (i = 0; i < (b)->nr && ((m) = (b)->member[i]); i++)

static bool shadow_pagegran __ro_after_init = true;

/* Set once an invariant turned out broken: no new folio is optimized then. */
VISIBLE_IF_KUNIT
bool vmemmap_shadow_broken;

/* While HugeTLB sets up the pools of the command line, hugetlb_init(). */
VISIBLE_IF_KUNIT
bool vmemmap_shadow_booting = true;

static int __init shadow_booted(void)
{
	vmemmap_shadow_booting = false;

	return 0;
}
subsys_initcall_sync(shadow_booted);

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
	SHADOW_READ_ONLY_NS_LONGEST,
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
	[SHADOW_READ_ONLY_NS_LONGEST]	= "ns that the longest entries were read-only",
	[SHADOW_BYTES_SAVED]		= "bytes saved now",
};

static_assert(ARRAY_SIZE(shadow_counter_name) == SHADOW_NR_COUNTERS);

/* Sums for each CPU: threads that set up a pool at boot do not share them. */
static DEFINE_PER_CPU(long [SHADOW_NR_COUNTERS], shadow_counters);

/* The two that are no sums. */
static atomic_long_t shadow_longest[SHADOW_NR_COUNTERS];

static __always_inline void shadow_count(enum shadow_counter what, long by)
{
	this_cpu_add(shadow_counters[what], by);
}

static long shadow_counter_read(enum shadow_counter what)
{
	long sum = atomic_long_read(&shadow_longest[what]);
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(shadow_counters, cpu)[what]);

	return sum;
}

#if IS_ENABLED(CONFIG_KUNIT)
/* The value of a counter by its name in stats, or -1. */
long vmemmap_shadow_counter(const char *name)
{
	const int i = match_string(shadow_counter_name, SHADOW_NR_COUNTERS, name);

	return i < 0 ? -1 : shadow_counter_read(i);
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
 * is not built in they are inlined; those of the fault handler always, so that
 * no probe can be put on them.
 */
#if IS_ENABLED(CONFIG_KUNIT)
#define SHADOW_FAULT_OPERATION
#else
#define SHADOW_FAULT_OPERATION	static __always_inline
#endif

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
SHADOW_FAULT_OPERATION
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
VISIBLE_IF_KUNIT
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
VISIBLE_IF_KUNIT
void vmemmap_shadow_copy(void *to, const void *from, const void *was,
			 size_t size)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_copy, to, from, was, size);

	copy_page(to, from);
	memcpy(to, was, size);
}

/* Without TLBI by range there is a cap, as in flush_tlb_kernel_range(). */
static __always_inline void shadow_tlbi_issue(unsigned long start, unsigned long nr)
{
	if (system_supports_tlb_range() || nr <= MAX_DVM_OPS)
		__flush_tlb_range_op(vaale1is, start, nr, PAGE_SIZE, 0, 3, false,
				     lpa2_is_enabled());
	else
		__tlbi(vmalle1is);
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

	shadow_tlbi_issue(start, nr);
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
 *
 * The first DSB is one of loads, too, [J]: the step that the caller has seen in
 * the entry is somebody else's, and nothing but that load makes it come before
 * the TLBI. DSB ISHST would order stores only.
 */
SHADOW_FAULT_OPERATION
void vmemmap_shadow_tlbi_one(unsigned long addr)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_tlbi_one, addr);

	dsb(ish);
	__tlbi(vaale1is, __TLBI_VADDR(addr, 0));
	__tlbi_sync_s1ish();
	isb();
}

/**
 * vmemmap_shadow_tlbi_run() - complete a TLBI of a run of entries, in any context
 * @start:	the address that the first of them maps
 * @nr:		how many they are
 */
SHADOW_FAULT_OPERATION
void vmemmap_shadow_tlbi_run(unsigned long start, unsigned long nr)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_tlbi_run, start, nr);

	dsb(ish);
	shadow_tlbi_issue(start, nr);
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
 * vmemmap_shadow_free_pages() - give vmemmap pages back
 * @page:	the first of them; nothing maps them but the linear map
 * @order:	how many there are, as a power of two; more than one of boot memory
 *		only
 *
 * Pages of boot memory are those of free_reserved_page(), in blocks.
 */
VISIBLE_IF_KUNIT
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
 * vmemmap_shadow_walk_hold() - a place to stay before a table is followed
 * @addr:	the address whose entry is looked for
 * @pudp:	where the next table was found
 *
 * Empty. KUnit notes who is looked for, and puts another table here, as memory
 * hotplug on another CPU might.
 */
SHADOW_FAULT_OPERATION
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

static bool shadow_is_barred(pte_t pte)
{
	return pte_val(pte) & SHADOW_BARRED;
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
	       perm == (writable ? PTE_WRITE : PTE_RDONLY) &&
	       !(writable && shadow_is_barred(pte));
}

/*
 * The same entry in another state, everything but tag and permission kept, and
 * but the output address, if it has another one in that state.
 */
static __always_inline pte_t shadow_mk_pte(pte_t pte, enum vmemmap_shadow_state state,
					   unsigned long pfn)
{
	pteval_t val = pte_val(pte);

	if (shadow_maps_head(vmemmap_shadow_pte_state(pte)) != shadow_maps_head(state))
		val = pte_val(pfn_pte(pfn, pte_pgprot(pte)));

	val &= ~(SHADOW_TAG | SHADOW_BARRED | PTE_WRITE | PTE_RDONLY);
	val |= FIELD_PREP(SHADOW_TAG, state);
	val |= shadow_is_writable(state) ? PTE_WRITE : PTE_RDONLY;

	return __pte(val);
}

/*
 * Step an entry that has been read: its value then is what it has to be still.
 * A barred entry takes no step but one that opens it.
 */
static __always_inline int shadow_step_from(pte_t *ptep, pte_t old,
					    enum vmemmap_shadow_state to,
					    unsigned long pfn)
{
	if (shadow_is_barred(old) && !shadow_is_writable(to))
		return -EAGAIN;

	return vmemmap_shadow_cmpxchg(ptep, old, shadow_mk_pte(old, to, pfn)) ?
	       0 : -EAGAIN;
}

/**
 * shadow_step_once() - step one entry along the chain
 * @ptep:	the entry
 * @old:	what it was when it was read
 * @from:	the state it is in
 * @to:		the state it shall be in
 * @pfn:	the page it shall map; used by join and part only, since the
 *		other steps keep the output address
 *
 * The caller has completed a TLBI since the entry's last step and, for join
 * and part, has made the contents of the two pages equal.
 *
 * An entry that is barred takes no step but one that opens it.
 *
 * Context: Any. Takes no lock.
 * Return: 0 on success; -EINVAL if the chain has no such step, or the entry
 * is not one that could be stepped; -EAGAIN if the entry is not, or no
 * longer, in @from, or is barred.
 */
static __always_inline int shadow_step_once(pte_t *ptep, pte_t old,
					    enum vmemmap_shadow_state from,
					    enum vmemmap_shadow_state to,
					    unsigned long pfn)
{
	if (from >= VMEMMAP_SHADOW_NR_STATES || to >= VMEMMAP_SHADOW_NR_STATES ||
	    !SHADOW_CHAIN_HAS(from, to))
		return -EINVAL;
	if (vmemmap_shadow_pte_state(old) != from)
		return -EAGAIN;
	if (!shadow_pte_is_sound(old))
		return -EINVAL;

	return shadow_step_from(ptep, old, to, pfn);
}

#if IS_ENABLED(CONFIG_KUNIT)
int vmemmap_shadow_step(pte_t *ptep, enum vmemmap_shadow_state from,
			enum vmemmap_shadow_state to, unsigned long pfn)
{
	return shadow_step_once(ptep, __ptep_get(ptep), from, to, pfn);
}
#endif

/*
 * The PMD of a vmemmap address, 0 if there is no table for it. Each level is
 * read once: what is looked at is what is followed, whatever memory hotplug
 * does to its neighbours.
 */
static pmd_t shadow_pmd(unsigned long addr)
{
	pgd_t *pgdp = pgd_offset_k(addr);
	pgd_t pgd = READ_ONCE(*pgdp);
	p4d_t *p4dp, p4d;
	pud_t *pudp, pud;

	if (pgd_none(pgd))
		return __pmd(0);
	p4dp = p4d_offset_lockless(pgdp, pgd, addr);
	p4d = READ_ONCE(*p4dp);
	if (p4d_none(p4d))
		return __pmd(0);
	pudp = pud_offset_lockless(p4dp, p4d, addr);
	pud = READ_ONCE(*pudp);
	vmemmap_shadow_walk_hold(addr, pudp);
	if (pud_none(pud) || pud_leaf(pud))
		return __pmd(0);

	return READ_ONCE(*pmd_offset_lockless(pudp, pud, addr));
}
NOKPROBE_SYMBOL(shadow_pmd);

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
	pmd_t pmd = shadow_pmd(addr);

	if (pmd_none(pmd) || pmd_leaf(pmd))
		return NULL;

	return pte_offset_kernel(&pmd, addr);
}
NOKPROBE_SYMBOL(vmemmap_shadow_ptep);

/* Is each entry of the range that is mapped with pages OWNED? */
static bool shadow_all_owned(unsigned long start, unsigned long end)
{
	unsigned long addr = start;

	while (addr < end) {
		pmd_t pmd = shadow_pmd(addr);
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

/* The first page that is described in the page at this vmemmap address. */
static unsigned long shadow_pfn_of(unsigned long addr)
{
	return page_to_pfn((struct page *)addr);
}

/* The vmemmap address that a folio's tail entry n, n >= 0, maps. */
static unsigned long shadow_tail_addr(const struct folio *folio, unsigned int n)
{
	return (unsigned long)folio + (n + 1) * PAGE_SIZE;
}

/* The entry of the next address. Those of a PMD lie in one table. */
static pte_t *shadow_next_ptep(pte_t *ptep, unsigned long addr)
{
	return addr & ~PMD_MASK ? ptep + 1 : vmemmap_shadow_ptep(addr);
}

/*
 * A folio's tail entries lo to hi - 1, and the addresses that they map, from the
 * first one's entry. What is behind the folio is not the caller's, and may be
 * hot-removed meanwhile: no table of it is looked at.
 */
#define for_each_entry_from(first, ptep, addr, folio, lo, hi)		\
	for (const unsigned long __end = (addr = shadow_tail_addr(folio, lo), \
					  ptep = (lo) < (hi) ? (first) : NULL, \
					  shadow_tail_addr(folio, hi));	\
	     addr < __end && ptep;					\
	     addr += PAGE_SIZE,						\
	     ptep = addr < __end ? shadow_next_ptep(ptep, addr) : NULL)

#define for_each_tail_entry(ptep, addr, folio, lo, hi)			\
	for_each_entry_from(vmemmap_shadow_ptep(shadow_tail_addr(folio, lo)), \
			    ptep, addr, folio, lo, hi)

/* A member's tail entry n, which most often lies in the table of its head's. */
static pte_t *shadow_tail_ptep(const struct shadow_member *m, unsigned int n)
{
	const unsigned long addr = shadow_tail_addr(m->folio, n);

	return (addr ^ (unsigned long)m->folio) & PMD_MASK ?
	       vmemmap_shadow_ptep(addr) : m->ptep + n + 1;
}

#define for_each_member_entry(ptep, addr, m, lo, hi)			\
	for_each_entry_from(shadow_tail_ptep(m, lo), ptep, addr, (m)->folio, lo, hi)

static unsigned int shadow_nr_tails(const struct folio *folio)
{
	const unsigned long size = folio_nr_pages(folio) * sizeof(struct page);

	/* A head's vmemmap page may not end in the middle of a struct page. */
	if (!is_power_of_2(sizeof(struct page)) || size <= PAGE_SIZE)
		return 0;

	return size / PAGE_SIZE - 1;
}

/* Fault handlers that may have an entry in hand that was read-only. */
static atomic_t shadow_handlers = ATOMIC_INIT(0);

/*
 * Bar all of a folio's entries that are read-only from any step but one that
 * opens them, and complete a TLBI of all of them: [M]. After that no two output
 * addresses of any of them are live, and none can be joined or parted: the
 * updater has sealed them all before the first join or part, and its exchanges
 * on what is barred fail.
 *
 * The entry at @addr is JOINED, so that it shows the folio's plain tails: whose
 * they are says each but the first few. Returns false if the entry is not, any
 * more.
 */
static bool shadow_bar_folio(pte_t *ptep, unsigned long addr)
{
	const struct page *tail = (struct page *)addr + SHADOW_HEAD_PAGES;
	const unsigned long head = READ_ONCE(tail->compound_head) - 1;
	struct folio *folio = (struct folio *)head;
	unsigned long at, end;
	unsigned int nr_tails;

	/*
	 * As in shadow_equalize(), [D]: what was read before the entry. If it is
	 * JOINED still, that was a tail of the head's page.
	 */
	smp_rmb();
	if (vmemmap_shadow_pte_state(__ptep_get(ptep)) != VMEMMAP_SHADOW_JOINED)
		return false;

	nr_tails = shadow_nr_tails(folio);
	for_each_tail_entry(ptep, at, folio, 0, nr_tails) {
		pte_t pte;

		do {
			pte = __ptep_get(ptep);
			if (shadow_is_writable(vmemmap_shadow_pte_state(pte)) ||
			    shadow_is_barred(pte))
				break;
		} while (!vmemmap_shadow_cmpxchg(ptep, pte,
						 set_pte_bit(pte, __pgprot(SHADOW_BARRED))));
	}

	end = shadow_tail_addr(folio, nr_tails);
	vmemmap_shadow_tlbi_run(head, (end - head) >> PAGE_SHIFT);

	return true;
}
NOKPROBE_SYMBOL(shadow_bar_folio);

/*
 * A write fault, and the entry is writable: what this CPU reported is what its
 * TLB held before. [K]: the architecture allows that even after the TLBI that
 * followed the open has completed (known issue AARCH-24989), if nothing but a
 * control dependency orders the access behind it. DSB NSH is enough for a TLBI
 * of this CPU alone; the ISB is what keeps the store that is retried from the
 * old translation.
 *
 * That must not hide a fault that has another cause: a table that is read-only,
 * a broken hypervisor. So the CPU is asked whether it would let the store
 * through now, and nobody gets the same fault a thousand times in a second.
 */
static bool shadow_retry_stale(unsigned long addr, enum vmemmap_shadow_state state)
{
	static struct shadow_stale {
		unsigned long addr, since;
		unsigned int nr;
	} last;
	unsigned long flags;
	u64 saved, par;

	if (!static_key_enabled(&hugetlb_optimize_vmemmap_key))
		return false;

	dsb(nshst);
	__tlbi(vaale1, __TLBI_VADDR(addr, 0));
	dsb(nsh);
	isb();

	/* An NMI may have come between somebody else's AT and his read of PAR. */
	local_irq_save(flags);
	saved = read_sysreg_par();
	asm volatile("at s1e1w, %0" :: "r" (addr));
	isb();
	par = read_sysreg_par();
	write_sysreg(saved, par_el1);
	local_irq_restore(flags);
	if (par & SYS_PAR_EL1_F)
		return false;

	/* Whoever races here on another CPU only makes the count wrong by a few. */
	if (READ_ONCE(last.addr) != addr ||
	    time_after(jiffies, READ_ONCE(last.since) + HZ)) {
		WRITE_ONCE(last.addr, addr);
		WRITE_ONCE(last.since, jiffies);
		WRITE_ONCE(last.nr, 0);
	}
	WRITE_ONCE(last.nr, READ_ONCE(last.nr) + 1);
	if (READ_ONCE(last.nr) > SHADOW_MAX_STALE)
		return false;

	shadow_count(SHADOW_STALE_FAULTS, 1);
	pr_warn_once("a write to %#lx was refused by a translation that is gone, tried again\n",
		     addr);
	trace_vmemmap_shadow_recovery(shadow_pfn_of(addr), state);

	return true;
}
NOKPROBE_SYMBOL(shadow_retry_stale);

/* Let a store through at this entry, or not, if it is none of ours. */
static bool shadow_recover(pte_t *ptep, unsigned long addr)
{
	/*
	 * The exchange is lost only to somebody else's step, or bar. The updater
	 * takes each entry along the chain a bounded number of times, and there
	 * are not many handlers, so there are not many turns.
	 */
	for (;;) {
		const pte_t pte = __ptep_get(ptep);
		const enum vmemmap_shadow_state state =
			vmemmap_shadow_pte_state(pte);

		/* Read-only without a tag, or not a page: none of ours. */
		if (!shadow_pte_is_sound(pte))
			return false;

		if (shadow_is_writable(state))
			return shadow_retry_stale(addr, state);

		if (state == VMEMMAP_SHADOW_SEALED) {
			/*
			 * [J]: between any two steps of an entry stands a
			 * completed TLBI. The updater may not have got to its
			 * own yet.
			 */
			vmemmap_shadow_tlbi_one(addr);
			shadow_count(SHADOW_SINGLE_TLBIS, 1);
			if (shadow_step_from(ptep, pte, VMEMMAP_SHADOW_OWNED, 0))
				continue;
		} else {
			/*
			 * The store goes to the head's page: with that, nothing
			 * of the folio may be on its way there or back. Who
			 * finds the bar gone bars it again.
			 */
			if (!shadow_bar_folio(ptep, addr) ||
			    shadow_step_from(ptep, set_pte_bit(pte, __pgprot(SHADOW_BARRED)),
					     VMEMMAP_SHADOW_SHARED, 0))
				continue;
		}

		/*
		 * So that the store does not fault again, and comes after the
		 * exchange: [D], [J].
		 */
		vmemmap_shadow_tlbi_one(addr);
		shadow_count(SHADOW_SINGLE_TLBIS, 1);
		shadow_count(SHADOW_WRITE_RECOVERIES, 1);
		trace_vmemmap_shadow_recovery(shadow_pfn_of(addr), state);

		return true;
	}
}
NOKPROBE_SYMBOL(shadow_recover);

/*
 * A store met a vmemmap entry that did not let it through. Interrupts may be
 * off, and this may be an NMI: nobody is waited for and nothing is allocated,
 * and the only stores are to entries that are SEALED or JOINED, and to counters.
 * Not in SDEI handlers, which must not take an exception at all.
 */
bool __vmemmap_shadow_fault(unsigned long addr, unsigned long esr)
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
	 * [L]: counted before the entry is read, fully ordered. Pairs with
	 * shadow_wait_handlers(), behind the round that follows a seal: either
	 * the updater sees the count, and waits for the grace period, or what is
	 * read here is what it has sealed. Without it whoever is held up in
	 * here, behind the TLBI and before the exchange, might come back when
	 * the entry is SEALED again, to the same page, with another one still in
	 * somebody's TLB; or might have looked at an entry before it was sealed,
	 * and not bar it.
	 */
	rcu_read_lock();
	atomic_inc(&shadow_handlers);
	smp_mb__after_atomic(); /* [L] */
	ret = shadow_recover(ptep, addr);
	atomic_dec_return_release(&shadow_handlers);
	rcu_read_unlock();

	return ret;
}
NOKPROBE_SYMBOL(__vmemmap_shadow_fault);

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
/* page_ref_add_unless() is inline, and in modules of any license. */
EXPORT_SYMBOL(vmemmap_shadow_ref_add_unless);

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

/* The page that an entry maps, through its alias in the linear map. */
static __always_inline struct page *shadow_alias(pte_t pte)
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
 * Are these four struct pages the same as that one, word for word? An update
 * spends most of its instructions here, and the compiler makes no chain of
 * comparisons that is longer than two.
 */
#define SHADOW_SAME(compare, nr)					\
	"ldp	x9, x10, [%0, #(64 * " #nr ")]\n"			\
	"ldp	x11, x12, [%0, #(64 * " #nr " + 16)]\n"		\
	"ldp	x13, x14, [%0, #(64 * " #nr " + 32)]\n"		\
	"ldp	x15, x16, [%0, #(64 * " #nr " + 48)]\n"		\
	compare								\
	"ccmp	x10, %2, #0, eq\n"					\
	"ccmp	x11, %3, #0, eq\n"					\
	"ccmp	x12, %4, #0, eq\n"					\
	"ccmp	x13, %5, #0, eq\n"					\
	"ccmp	x14, %6, #0, eq\n"					\
	"ccmp	x15, %7, #0, eq\n"					\
	"ccmp	x16, %8, #0, eq\n"

static __always_inline bool shadow_four_same(const struct page *page,
					     const union shadow_words *as)
{
	if (sizeof(*page) != 64)
		return !memcmp(page, as, sizeof(*page)) &&
		       !memcmp(page + 1, as, sizeof(*page)) &&
		       !memcmp(page + 2, as, sizeof(*page)) &&
		       !memcmp(page + 3, as, sizeof(*page));

	asm goto(SHADOW_SAME("cmp	x9, %1\n", 0)
		 SHADOW_SAME("ccmp	x9, %1, #0, eq\n", 1)
		 SHADOW_SAME("ccmp	x9, %1, #0, eq\n", 2)
		 SHADOW_SAME("ccmp	x9, %1, #0, eq\n", 3)
		 "b.ne	%l[differ]"
		 : : "r" (page), "r" (as->word[0]), "r" (as->word[1]),
		     "r" (as->word[2]), "r" (as->word[3]), "r" (as->word[4]),
		     "r" (as->word[5]), "r" (as->word[6]), "r" (as->word[7])
		 : "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16",
		   "cc", "memory" : differ);

	return true;
differ:
	return false;
}

/* Are all, from this one to the last of its vmemmap page, the same as that one? */
static noinline bool shadow_all_same(const struct page *page,
				     const union shadow_words *as)
{
	const union shadow_words same = *as;

	do {
		if (!shadow_four_same(page, &same))
			return false;
		page += 4;
	} while (!PAGE_ALIGNED(page));

	return true;
}

/*
 * Two words of a tail mean nothing, and hold what the page's last life has left
 * there: who makes a tail of a struct page leaves them as they are. They become
 * the same in all tails while each page is its entry's own, the folio is the
 * caller's alone, and nobody has a reason to store to them.
 */
static __always_inline void shadow_wipe(struct page *tail)
{
	WRITE_ONCE(tail->lru.prev, NULL);
	WRITE_ONCE(tail->index, 0);
}

static __always_inline void shadow_wipe_four(struct page *tail)
{
	shadow_wipe(tail);
	shadow_wipe(tail + 1);
	shadow_wipe(tail + 2);
	shadow_wipe(tail + 3);
}

static void shadow_wipe_tails(struct folio *folio)
{
	struct page *tail = &folio->page + SHADOW_HEAD_PAGES;
	const struct page *end = &folio->page + folio_nr_pages(folio);

	shadow_wipe_four(tail);
	for (tail += 4; tail < end; tail += 8) {
		shadow_wipe_four(tail);
		shadow_wipe_four(tail + 4);
		if (IS_ALIGNED((unsigned long)tail, SZ_2M))
			cond_resched();
	}
}

/*
 * Gigantic folios of the boot command line come from memblock, and HugeTLB
 * makes tails of only those of their struct pages that HVO keeps. The others
 * hold nothing yet, nothing knows of them, and what their words are nobody has
 * said: they may be what another kernel left in memory. They are raw.
 */
static bool shadow_is_raw(const struct folio *folio)
{
	return READ_ONCE(vmemmap_shadow_booting) &&
	       folio_order(folio) > MAX_PAGE_ORDER;
}

/*
 * Change a word of a page that readers look at, and that a stray writer may
 * have got back, from a value that is known to one that is wanted. Never over
 * anything that came in between: that is somebody's store, and it is kept.
 * A release, if it changes anything.
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
 * Notes whether all of them are the same: then one that is need not be looked at.
 */
static bool shadow_head_is_plain(const struct folio *folio, struct shadow_was *was)
{
	const unsigned int nr = PAGE_SIZE / sizeof(struct page);
	unsigned int i;

	for (i = 1; i < SHADOW_HEAD_PAGES; i++) {
		if (READ_ONCE((&folio->page + i)->flags) & __PG_HWPOISON)
			return false;
	}
	if (!shadow_tail_is_plain(&was->plain.page, folio))
		return false;

	was->uniform = shadow_all_same(&folio->page + i, &was->plain);
	for (; i < nr && !was->uniform; i++) {
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

/**
 * shadow_equalize_words() - the same for a page whose tails are not all the same
 * @folio:	the folio, which lies in the head's page
 * @was:	what the folio's own struct pages held
 * @ptep:	the SEALED entry that maps the page
 * @sealed:	what it was
 *
 * Return: see shadow_equalize().
 */
static noinline int shadow_equalize_words(struct folio *folio,
					  const struct shadow_was *was,
					  pte_t *ptep, pte_t sealed)
{
	const unsigned int nr = PAGE_SIZE / sizeof(struct page);
	struct page *own = shadow_alias(sealed);
	unsigned int i, w;

	for (i = 0; i < nr; i++) {
		if (!shadow_tail_is_plain(own + i, folio)) {
			shadow_refuse_not_plain(folio);
			return -EBUSY;
		}
	}

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
		if (pte_val(__ptep_get(ptep)) != pte_val(sealed) ||
		    !shadow_tail_is_plain(&old.page, folio))
			return -EAGAIN;

		for (w = SHADOW_FLAGS; w < SHADOW_NR_WORDS; w++) {
			const unsigned long word = i < SHADOW_HEAD_PAGES ?
				was->page[i].word[w] :
				shadow_read_word(&folio->page + i, w);

			if (!shadow_change_word(own + i, w, old.word[w], word))
				return -EAGAIN;
		}
	}

	return 0;
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
 * PG_head is set before compound_head loses bit 0. [A]: pairs with the
 * acquire of compound_head in page_fixed_fake_head(). It comes before the others:
 * a page of which any word that matters was changed can be told by its fake head,
 * see shadow_replain().
 *
 * If all tails are the same in both pages, word for word, what the words are that
 * have to change is known, and to what. An exchange does not take them from
 * anything else, so that a store which came in between is kept. If not, each word
 * is looked at.
 *
 * Nothing is compared again when the entry is joined. A store to this page opens
 * the entry first, and one to the head's page through any of the folio's entries
 * bars it first: the exchange that joins it fails then.
 *
 * Return: 0 if each word of the page was made equal; -EBUSY if the page holds
 * anything but plain tails, then it is unchanged; -EAGAIN if a stray writer got
 * to it meanwhile.
 */
static int shadow_equalize(struct folio *folio, const struct shadow_was *was,
			   pte_t *ptep)
{
	const pte_t sealed = __ptep_get(ptep);
	struct page *own = shadow_alias(sealed);
	unsigned long bits;
	unsigned int n;

	if (vmemmap_shadow_pte_state(sealed) != VMEMMAP_SHADOW_SEALED)
		return -EAGAIN;

	if (shadow_is_raw(folio)) {
		vmemmap_shadow_copy(own, folio, was->page, sizeof(was->page));
		return 0;
	}

	if (!was->uniform || !shadow_all_same(own, &was->plain))
		return shadow_equalize_words(folio, was, ptep, sealed);

	for_each_differing_word(n, bits, was->differ) {
		if (!vmemmap_shadow_store((unsigned long *)own + n,
					  was->plain.word[n % SHADOW_NR_WORDS],
					  was->word[n]))
			return -EAGAIN;
	}

	return 0;
}

/*
 * Give a page in hand, which nothing maps yet but the linear map, the contents
 * of the head's page. Nobody stores to that: HugeTLB and memory_failure() leave
 * a folio in flight alone, and stores through a tail entry are excluded by its
 * seal; who is let through bars the entry from being parted.
 */
static void shadow_fill(const struct folio *folio, const struct shadow_was *was,
			struct page *page)
{
	vmemmap_shadow_copy(page_to_virt(page), folio, was->page, sizeof(was->page));
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
	unsigned long bits;
	unsigned int i, n;

	if (READ_ONCE(own->compound_head) & 1 || !page_is_fake_head(own))
		return;

	/*
	 * compound_head first: with bit 0 set a reader needs no PG_head, and
	 * without PG_head it needs bit 0. [H]: the change of the flags word below
	 * is a release; pairs with the acquire of the flags word in
	 * page_fixed_fake_head().
	 */
	shadow_change_word(own, SHADOW_COMPOUND_HEAD,
			   was->page[0].word[SHADOW_COMPOUND_HEAD],
			   was->plain.word[SHADOW_COMPOUND_HEAD]);

	for (i = 0; i < SHADOW_HEAD_PAGES; i++) {
		const unsigned long copied =
			was->page[i].page.flags & PAGEFLAGS_MASK;
		unsigned long flags;

		if (!copied)
			continue;
		do {
			flags = READ_ONCE(own[i].flags);
		} while (!shadow_change_word(own + i, SHADOW_FLAGS, flags,
					     flags & ~copied));
	}

	for_each_differing_word(n, bits, was->differ & SHADOW_REST_WORDS)
		vmemmap_shadow_store((unsigned long *)own + n, was->word[n],
				     was->plain.word[n % SHADOW_NR_WORDS]);
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

/* This page is for the entry at this address, to which it belonged or shall. */
static void shadow_hold_page(struct page *page, unsigned long addr,
			     struct list_head *pages)
{
	set_page_private(page, addr);
	list_add_tail(&page->lru, pages);
}

/* The page in hand for an entry. They come in the order in which they are asked for. */
static struct page *shadow_take_page(struct list_head *pages, unsigned long addr)
{
	struct page *page;

	list_for_each_entry(page, pages, lru) {
		if (page_private(page) == addr) {
			list_del(&page->lru);
			return page;
		}
	}

	return NULL;
}

/* ------------------------------------------------------------------------ */
/* The rule, checked							    */

#ifdef CONFIG_VMEMMAP_SHADOW_DEBUG
/*
 * A barred entry is only opened, which is all that the exchange does then. And
 * contents are looked at for a while: the handler may let a store to the head's
 * page through meanwhile, and the exchange will fail.
 */
static void shadow_debug_step(pte_t *ptep, unsigned long addr, pte_t old,
			      pte_t new)
{
	const pteval_t diff = pte_val(old) ^ pte_val(new);
	const pteval_t perm = SHADOW_TAG | SHADOW_BARRED | PTE_WRITE | PTE_RDONLY;

	if (xa_load(&shadow_unsynced, addr >> PAGE_SHIFT))
		vmemmap_shadow_violation("a step, and no TLBI since the last one");
	if (pte_pfn(old) == pte_pfn(new)) {
		if (diff & ~perm)
			vmemmap_shadow_violation("a step changes more than the permission");
		return;
	}

	if (diff & (PTE_WRITE | PTE_RDONLY) || pte_val(old) & PTE_WRITE)
		vmemmap_shadow_violation("the output address of a writable entry changes");
	else if (!shadow_is_barred(old) &&
		 memcmp(shadow_alias(old), shadow_alias(new), PAGE_SIZE) &&
		 pte_val(__ptep_get(ptep)) == pte_val(old))
		vmemmap_shadow_violation("an output address changes, and the contents differ");
}

static bool shadow_is_in(const struct page *page, const struct list_head *pages)
{
	const struct page *p;

	list_for_each_entry(p, pages, lru) {
		if (p == page)
			return true;
	}

	return false;
}

/*
 * Does any entry of these folios map a page that is about to be released, or
 * might a CPU still translate through one that did?
 */
static bool shadow_debug_may_release(const struct shadow_batch *b,
				     const struct list_head *pages)
{
	bool mapped = false, unsynced = false;
	const struct shadow_member *m;
	unsigned long addr;
	struct page *page;
	unsigned int i;
	pte_t *ptep;

	/* Pages in hand have an address noted, those that are mapped none. */
	for_each_in_batch(m, i, b) {
		for_each_member_entry(ptep, addr, m, 0, b->nr_tails) {
			page = pte_page(__ptep_get(ptep));
			mapped |= page_private(page) && shadow_is_in(page, pages);
			unsynced |= !!xa_load(&shadow_unsynced, addr >> PAGE_SHIFT);
		}
	}

	if (mapped)
		vmemmap_shadow_violation("a page that an entry maps is released");
	if (unsynced)
		vmemmap_shadow_violation("a page is released, and no TLBI came before");

	return !mapped;
}
#else
static void shadow_debug_step(pte_t *ptep, unsigned long addr, pte_t old,
			      pte_t new)
{
}

static bool shadow_debug_may_release(const struct shadow_batch *b,
				     const struct list_head *pages)
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

/*
 * Wait for fault handlers in flight: behind the round that follows a seal, before
 * anything is joined or parted. [L]: fully ordered between the seals and the count,
 * see __vmemmap_shadow_fault(). Acquire: a handler that is done has made its steps.
 */
static void shadow_wait_handlers(void)
{
	smp_mb(); /* [L] */
	if (atomic_read_acquire(&shadow_handlers))
		shadow_wait_readers();
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
 * "TLB maintenance". Cores with erratum 4118414 do not complete them all at the
 * first TLBI and DSB; the workaround repeats these. Those with 1286807, 2441007
 * or 2441009 need theirs, too: arm64's Kconfig has them.
 *
 * Each operation is broadcast, and has to be answered by every CPU; an entry
 * too many costs a refill. So where there is TLBI by range, one range covers
 * neighbouring folios with the head entries between them, and starts at a folio's
 * head entry, or at what is aligned to 64 KiB in front of it, which LPA2 asks for.
 * Where there is none, each entry is an operation, and the heads are left out.
 */
static void shadow_tlbi_round(const struct shadow_batch *b,
			      unsigned int lo, unsigned int hi)
{
	const bool by_range = system_supports_tlb_range();
	unsigned int i = 0;

	dsb(ishst);
	while (i < b->nr) {
		const struct folio *folio = b->member[i]->folio;
		unsigned long start = shadow_tail_addr(folio, lo);
		unsigned long end = shadow_tail_addr(folio, hi);

		if (by_range && !lo)
			start = (unsigned long)folio;
		if (by_range && lpa2_is_enabled())
			start = ALIGN_DOWN(start, SZ_64K);
		while (++i < b->nr && by_range && !lo &&
		       (unsigned long)b->member[i]->folio == end)
			end = shadow_tail_addr(b->member[i]->folio, hi);

		vmemmap_shadow_tlbi(start, (end - start) >> PAGE_SHIFT);
	}
	vmemmap_shadow_tlbi_sync();
	for (i = 0; i < b->nr; i++)
		shadow_debug_synced(shadow_tail_addr(b->member[i]->folio, lo), hi - lo);
	shadow_count(SHADOW_TLBI_ROUNDS, 1);
}

/* The same for all entries of the folios. */
static void shadow_tlbi_round_all(const struct shadow_batch *b)
{
	shadow_tlbi_round(b, 0, b->nr_tails);
}

/* Note that something took from then until now, if nothing took longer yet. */
static long shadow_note_longest(enum shadow_counter what, u64 then)
{
	const long ns = ktime_get_mono_fast_ns() - then;
	long old = atomic_long_read(&shadow_longest[what]);

	while (ns > old && !atomic_long_try_cmpxchg(&shadow_longest[what], &old, ns))
		;

	return ns;
}

/*
 * A window opens: some entries of the folios get another output address, and
 * both are live until their TLBI round is complete. Returns the time, for
 * shadow_window_close(). Nothing comes in between but interrupts.
 */
static u64 shadow_window_open(void)
{
	preempt_disable();

	return ktime_get_mono_fast_ns();
}

static void shadow_window_close(const struct shadow_batch *b, unsigned int lo,
				unsigned int hi, u64 opened)
{
	long ns;

	shadow_tlbi_round(b, lo, hi);
	ns = shadow_note_longest(SHADOW_WINDOW_NS_LONGEST, opened);
	preempt_enable();

	shadow_count(SHADOW_WINDOWS, 1);
	shadow_count(SHADOW_WINDOW_NS_TOTAL, ns);
	trace_vmemmap_shadow_window(folio_pfn(b->member[0]->folio),
				    folio_order(b->member[0]->folio), b->nr,
				    b->nr * (hi - lo), ns);
	vmemmap_shadow_hold(b->member[0]->folio, lo, hi);
}

/* The tail entry behind a window that starts with this one. */
static unsigned int shadow_window_end(const struct shadow_batch *b, unsigned int lo)
{
	return min(round_up(lo + 2, SHADOW_WINDOW) - 1, b->nr_tails);
}

/*
 * Step an entry, once it and what it maps agree with the rule. Returns what
 * vmemmap_shadow_step() does.
 */
static __always_inline int shadow_step(pte_t *ptep, unsigned long addr,
				       enum vmemmap_shadow_state from,
				       enum vmemmap_shadow_state to,
				       unsigned long pfn)
{
	const pte_t old = __ptep_get(ptep);
	int ret;

	if (vmemmap_shadow_pte_state(old) == from)
		shadow_debug_step(ptep, addr, old, shadow_mk_pte(old, to, pfn));
	ret = shadow_step_once(ptep, old, from, to, pfn);
	if (!ret)
		shadow_debug_stepped(addr);

	return ret;
}

/*
 * Step all of a folio's tail entries, which keep their output address. The
 * first one that is not, or no longer, in state from ends that: somebody else
 * has stepped it. Returns how many were stepped.
 */
static __always_inline unsigned int shadow_step_all(struct shadow_member *m,
						    unsigned int nr_tails,
						    enum vmemmap_shadow_state from,
						    enum vmemmap_shadow_state to)
{
	unsigned int steps = 0;
	unsigned long addr;
	pte_t *ptep;

	for_each_member_entry(ptep, addr, m, 0, nr_tails) {
		if (shadow_step(ptep, addr, from, to, 0))
			break;
		steps++;
	}

	return steps;
}

static void shadow_fail(struct shadow_batch *b, struct shadow_member *m)
{
	m->failed = true;
	b->nr_failed++;
}

/* Step all entries of all folios. Those of which one was lost have failed. */
static __always_inline void shadow_step_batch(struct shadow_batch *b,
					      enum vmemmap_shadow_state from,
					      enum vmemmap_shadow_state to)
{
	struct shadow_member *m;
	unsigned long steps = 0;
	unsigned int i;

	for_each_in_batch(m, i, b) {
		unsigned int n;

		if (m->failed)
			continue;
		n = shadow_step_all(m, b->nr_tails, from, to);
		steps += n;
		if (n < b->nr_tails)
			shadow_fail(b, m);
	}
	shadow_count(SHADOW_STEPS, steps);
}

/* Step those of all folios' entries that are in state from, and not barred. */
static __always_inline void shadow_step_those(struct shadow_batch *b,
					      enum vmemmap_shadow_state from,
					      enum vmemmap_shadow_state to)
{
	struct shadow_member *m;
	unsigned long addr, steps = 0;
	unsigned int i;
	pte_t *ptep;

	for_each_in_batch(m, i, b) {
		for_each_member_entry(ptep, addr, m, 0, b->nr_tails)
			steps += !shadow_step(ptep, addr, from, to, 0);
	}
	shadow_count(SHADOW_STEPS, steps);
}

/*
 * Allocate a page for each of a folio's tail entries that maps the head's.
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
		need += shadow_maps_head(vmemmap_shadow_pte_state(__ptep_get(ptep)));

	for_each_member_entry(ptep, addr, m, 0, nr_tails) {
		if (!shadow_maps_head(vmemmap_shadow_pte_state(__ptep_get(ptep))))
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

	return 0;
}

/* Are all of the folios' entries in one of these states, and none barred? */
static bool shadow_all_in(const struct shadow_batch *b, unsigned int states)
{
	const struct shadow_member *m;
	unsigned long addr;
	unsigned int i;
	pte_t *ptep;

	for_each_in_batch(m, i, b) {
		for_each_member_entry(ptep, addr, m, 0, b->nr_tails) {
			const pte_t pte = __ptep_get(ptep);

			if (!(states & BIT(vmemmap_shadow_pte_state(pte))) ||
			    shadow_is_barred(pte))
				return false;
		}
	}

	return true;
}

/* Take off the bars. A handler that relied on them is waited for later: [L]. */
static void shadow_unbar(const struct shadow_batch *b)
{
	const struct shadow_member *m;
	unsigned long addr;
	unsigned int i;
	pte_t *ptep;

	for_each_in_batch(m, i, b) {
		for_each_member_entry(ptep, addr, m, 0, b->nr_tails) {
			const pte_t pte = __ptep_get(ptep);

			if (shadow_is_barred(pte))
				vmemmap_shadow_cmpxchg(ptep, pte,
						       clear_pte_bit(pte, __pgprot(SHADOW_BARRED)));
		}
	}
}

/* Make the pages of entries lo to hi - 1 equal to the head's: false if one is not. */
static bool shadow_equalize_range(struct shadow_member *m, unsigned int lo,
				  unsigned int hi)
{
	unsigned long addr;
	pte_t *ptep;

	for_each_member_entry(ptep, addr, m, lo, hi) {
		if (shadow_equalize(m->folio, &m->was, ptep))
			return false;
	}

	return true;
}

/*
 * Join entries lo to hi - 1; the pages they mapped are in hand then. Returns how
 * many were joined before one was lost.
 */
static unsigned int shadow_join_range(struct shadow_member *m, unsigned int lo,
				      unsigned int hi)
{
	const unsigned long pfn = pte_pfn(__ptep_get(m->ptep));
	unsigned int steps = 0;
	unsigned long addr;
	pte_t *ptep;

	for_each_member_entry(ptep, addr, m, lo, hi) {
		struct page *own = pte_page(__ptep_get(ptep));

		if (shadow_step(ptep, addr, VMEMMAP_SHADOW_SEALED,
				VMEMMAP_SHADOW_JOINED, pfn))
			break;
		steps++;
		shadow_hold_page(own, addr, &m->pages);
	}

	return steps;
}

/* Fill the pages in hand for those of entries lo to hi - 1 that are JOINED. */
static void shadow_fill_range(struct shadow_member *m, unsigned int lo,
			      unsigned int hi, struct list_head *filled)
{
	unsigned long addr;
	pte_t *ptep;

	for_each_member_entry(ptep, addr, m, lo, hi) {
		struct page *page;

		if (vmemmap_shadow_pte_state(__ptep_get(ptep)) !=
		    VMEMMAP_SHADOW_JOINED)
			continue;

		page = shadow_take_page(&m->pages, addr);
		if (SHADOW_WARN_ON(!page))
			break;

		shadow_fill(m->folio, &m->was, page);
		list_add_tail(&page->lru, filled);
	}
}

/* Part those of entries lo to hi - 1 for which a page is filled. */
static unsigned int shadow_part_range(struct shadow_member *m, unsigned int lo,
				      unsigned int hi, struct list_head *filled)
{
	unsigned int steps = 0;
	unsigned long addr;
	pte_t *ptep;

	for_each_member_entry(ptep, addr, m, lo, hi) {
		struct page *page = list_first_entry_or_null(filled, struct page, lru);

		if (!page)
			break;
		if (page_private(page) != addr)
			continue;
		if (shadow_step(ptep, addr, VMEMMAP_SHADOW_JOINED,
				VMEMMAP_SHADOW_SEALED, page_to_pfn(page))) {
			list_move(&page->lru, &m->pages);
		} else {
			list_del(&page->lru);
			set_page_private(page, 0);
			steps++;
		}
	}

	return steps;
}

/* Re-plain the pages of entries lo to hi - 1 that map their own. */
static void shadow_replain_range(struct shadow_member *m, unsigned int lo,
				 unsigned int hi)
{
	unsigned long addr;
	pte_t *ptep;

	for_each_member_entry(ptep, addr, m, lo, hi) {
		const pte_t pte = __ptep_get(ptep);

		if (!shadow_maps_head(vmemmap_shadow_pte_state(pte)))
			shadow_replain(&m->was, shadow_alias(pte));
	}
}

/* Note what a folio's own struct pages hold, and the tail behind them. */
static void shadow_note(const struct folio *folio, struct shadow_was *was)
{
	unsigned long differ = 0;
	unsigned int w;

	memcpy(&was->plain, &folio->page + SHADOW_HEAD_PAGES, sizeof(was->plain));
	memcpy(was->page, folio, sizeof(was->page));

	/* Unrolled. */
	for (w = 0; w < SHADOW_NR_WORDS; w++) {
		const unsigned long plain = was->plain.word[w];
		unsigned long here;

		here = was->page[0].word[w] != plain;
		here |= (unsigned long)(was->page[1].word[w] != plain) << SHADOW_NR_WORDS;
		here |= (unsigned long)(was->page[2].word[w] != plain) << 2 * SHADOW_NR_WORDS;
		here |= (unsigned long)(was->page[3].word[w] != plain) << 3 * SHADOW_NR_WORDS;
		differ |= here << w;
	}
	was->differ = differ;
}

/**
 * shadow_optimize_windows() - take folios along the chain, OWNED to SHARED
 * @b:		the batch
 *
 * A folio with an entry that does not step takes no further step here and
 * has failed; its entries may then be in any state.
 */
static void shadow_optimize_windows(struct shadow_batch *b)
{
	const u64 sealed = ktime_get_mono_fast_ns();
	struct shadow_member *m;
	unsigned int i, lo, hi;

	shadow_step_batch(b, VMEMMAP_SHADOW_OWNED, VMEMMAP_SHADOW_SEALED);
	/* From here on no store reaches the pages but through their aliases. */
	shadow_tlbi_round_all(b);
	vmemmap_shadow_hold(b->member[0]->folio, 0, b->nr_tails);

	for (lo = 0; lo < b->nr_tails; lo = hi) {
		unsigned long steps = 0;
		u64 opened;

		hi = shadow_window_end(b, lo);
		for_each_in_batch(m, i, b) {
			if (!m->failed && !shadow_equalize_range(m, lo, hi))
				shadow_fail(b, m);
		}
		/* Several windows make one folio: no use to go on with it. */
		if (b->nr_failed == b->nr)
			break;

		opened = shadow_window_open();
		for_each_in_batch(m, i, b) {
			unsigned int n;

			if (m->failed)
				continue;
			n = shadow_join_range(m, lo, hi);
			steps += n;
			if (n < hi - lo)
				shadow_fail(b, m);
		}
		/* From here on nothing reaches the pages that were parted. */
		shadow_window_close(b, lo, hi, opened);
		shadow_count(SHADOW_STEPS, steps);
		cond_resched();
	}

	/* Not before the last join: whoever may write to the head's page now may. */
	shadow_step_batch(b, VMEMMAP_SHADOW_JOINED, VMEMMAP_SHADOW_SHARED);
	/* From here on no CPU faults on what it still believes read-only. */
	shadow_tlbi_round_all(b);
	shadow_note_longest(SHADOW_READ_ONLY_NS_LONGEST, sealed);
}

/**
 * shadow_restore_windows() - take folios back, from wherever they are, to OWNED
 * @b:		the batch, with a page in hand for each entry that maps the
 *		head's page
 *
 * Serves both restore, where all entries start SHARED, and roll-back, where
 * they may be in any of the four states. A folio with an entry that a stray
 * writer took back, or barred, is tried again, with all the TLBI rounds, a
 * bounded number of times.
 *
 * Return: 0 if every entry is OWNED, -EBUSY if not.
 */
static int shadow_restore_windows(struct shadow_batch *b)
{
	unsigned int i, lo, hi, tries;
	struct shadow_member *m;

	for (tries = 0; tries < SHADOW_MAX_TRIES; tries++) {
		const u64 sealed = ktime_get_mono_fast_ns();

		/* What a stray writer took back, no round has followed yet. */
		if (tries)
			shadow_tlbi_round_all(b);

		shadow_unbar(b);
		shadow_step_those(b, VMEMMAP_SHADOW_SHARED, VMEMMAP_SHADOW_JOINED);
		/* From here on no store reaches the head's page this way. */
		shadow_tlbi_round_all(b);
		vmemmap_shadow_hold(b->member[0]->folio, 0, b->nr_tails);
		shadow_wait_handlers();

		/* A store that was let through before may come only now. */
		if (!shadow_all_in(b, BIT(VMEMMAP_SHADOW_OWNED) |
				      BIT(VMEMMAP_SHADOW_SEALED) |
				      BIT(VMEMMAP_SHADOW_JOINED)))
			continue;

		/* With all that came before: what is parted has to be equal. */
		for_each_in_batch(m, i, b)
			shadow_note(m->folio, &m->was);
		for (lo = 0; lo < b->nr_tails; lo = hi) {
			unsigned long steps = 0;
			LIST_HEAD(filled);
			u64 opened;

			hi = shadow_window_end(b, lo);
			for_each_in_batch(m, i, b)
				shadow_fill_range(m, lo, hi, &filled);

			opened = shadow_window_open();
			for_each_in_batch(m, i, b)
				steps += shadow_part_range(m, lo, hi, &filled);
			/* From here on nothing reads the head's page this way. */
			shadow_window_close(b, lo, hi, opened);
			shadow_count(SHADOW_STEPS, steps);

			SHADOW_WARN_ON(!list_empty(&filled));
			for_each_in_batch(m, i, b)
				shadow_replain_range(m, lo, hi);
			cond_resched();
		}

		shadow_step_those(b, VMEMMAP_SHADOW_SEALED, VMEMMAP_SHADOW_OWNED);
		/* From here on no CPU faults on a page it may write to. */
		shadow_tlbi_round_all(b);
		shadow_note_longest(SHADOW_READ_ONLY_NS_LONGEST, sealed);

		if (shadow_all_in(b, BIT(VMEMMAP_SHADOW_OWNED)))
			return 0;
	}

	/* Given up. What could not be parted stays joined, but not read-only. */
	shadow_step_those(b, VMEMMAP_SHADOW_JOINED, VMEMMAP_SHADOW_SHARED);
	shadow_step_those(b, VMEMMAP_SHADOW_SEALED, VMEMMAP_SHADOW_OWNED);
	shadow_tlbi_round_all(b);

	return -EBUSY;
}

/* ------------------------------------------------------------------------ */
/* Batches								    */

static void shadow_batch_init(struct shadow_batch *b, struct shadow_member *room,
			      unsigned int max)
{
	b->room = room;
	b->max = max;
	b->nr = 0;
	b->nr_failed = 0;
	b->nr_tails = 0;
}

/* Room for a batch; for one folio, which the caller brings, if there is no memory. */
static struct shadow_member *shadow_room_alloc(struct shadow_member *one,
					       unsigned int *max)
{
	struct shadow_member *room =
		vmemmap_shadow_alloc_note(SHADOW_BATCH * sizeof(*room));

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
	m->failed = false;
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

	ret = shadow_restore_windows(b);
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
	if (shadow_debug_may_release(b, &pages))
		shadow_free_pages(&pages);
}

/* Roll a folio back with the pages in hand. Needs no memory. */
static noinline_for_stack void shadow_roll_back(struct shadow_member *m)
{
	const u64 began = ktime_get_mono_fast_ns();
	struct folio *folio = m->folio;
	struct shadow_batch one;

	shadow_count(SHADOW_ROLL_BACKS, 1);
	shadow_batch_init(&one, m, 1);
	shadow_batch_add(&one, m);
	/* What a stray writer took back, no round has followed yet. */
	shadow_tlbi_round_all(&one);
	/*
	 * Copies of what the head's page held when optimize began. It may hold
	 * more since, by a store through an entry that was joined.
	 */
	shadow_replain_range(m, 0, one.nr_tails);
	if (shadow_restore_batch(&one))
		pr_warn_once("pfn %#lx: roll-back given up, folio left partly optimized\n",
			     folio_pfn(folio));
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
	struct shadow_member *m;
	unsigned int i, nr;

	for_each_in_batch(m, i, b) {
		if (!shadow_is_raw(m->folio))
			shadow_wipe_tails(m->folio);
		shadow_note(m->folio, &m->was);
		if (!shadow_head_is_plain(m->folio, &m->was)) {
			shadow_refuse_not_plain(m->folio);
			shadow_fail(b, m);
		}
	}

	shadow_optimize_windows(b);
	for_each_in_batch(m, i, b) {
		if (m->failed)
			shadow_roll_back(m);
	}
	nr = b->nr - b->nr_failed;
	shadow_count(SHADOW_FOLIOS_OPTIMIZED, nr);
	shadow_release(b);

	return nr;
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
	if (SHADOW_WARN_ON(!folio_test_hugetlb(folio) || folio_ref_count(folio)))
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

void vmemmap_shadow_optimize_folio(struct folio *folio)
{
	const u64 began = ktime_get_mono_fast_ns();
	struct shadow_member one;
	struct shadow_batch b;
	unsigned int nr;
	pte_t *head;

	might_sleep();
	head = shadow_mark(folio);
	if (!head)
		return;

	/* See vmemmap_shadow_optimize_folios(). */
	shadow_wait_readers();

	shadow_batch_init(&b, &one, 1);
	shadow_batch_add(&b, shadow_batch_next(&b, folio, head));
	nr = shadow_optimize_batch(&b);
	trace_vmemmap_shadow_optimize(folio_pfn(folio), folio_order(folio), nr,
				      nr * b.nr_tails,
				      ktime_get_mono_fast_ns() - began);
}

void vmemmap_shadow_optimize_folios(struct list_head *folios)
{
	const u64 began = ktime_get_mono_fast_ns();
	struct folio *folio, *first = NULL;
	unsigned int nr, max, nr_folios = 0;
	struct shadow_member one, *room;
	unsigned long nr_entries = 0;
	struct shadow_batch b;

	might_sleep();
	list_for_each_entry(folio, folios, lru) {
		if (shadow_is_candidate(folio)) {
			first = folio;
			break;
		}
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
	shadow_wait_readers();

	room = shadow_room_alloc(&one, &max);
	shadow_batch_init(&b, room, max);
	list_for_each_entry_from(first, folios, lru) {
		pte_t *head;

		cond_resched();
		head = shadow_mark(first);
		if (!head)
			continue;
		if (!shadow_batch_takes(&b, first)) {
			nr = shadow_optimize_batch(&b);
			nr_folios += nr;
			nr_entries += nr * b.nr_tails;
			shadow_batch_init(&b, room, max);
		}
		shadow_batch_add(&b, shadow_batch_next(&b, first, head));
	}
	if (b.nr) {
		nr = shadow_optimize_batch(&b);
		nr_folios += nr;
		nr_entries += nr * b.nr_tails;
	}
	shadow_room_free(room, &one);
	trace_vmemmap_shadow_optimize(folio_pfn(folio), folio_order(folio),
				      nr_folios, nr_entries,
				      ktime_get_mono_fast_ns() - began);
}

int vmemmap_shadow_restore_folio(struct folio *folio)
{
	const u64 began = ktime_get_mono_fast_ns();
	struct shadow_member one, *m;
	struct shadow_batch b;
	int ret;

	might_sleep();
	VM_WARN_ON_ONCE_FOLIO(!folio_test_hugetlb(folio), folio);
	VM_WARN_ON_ONCE_FOLIO(folio_ref_count(folio), folio);

	if (!folio_test_hugetlb_vmemmap_optimized(folio))
		return 0;

	shadow_batch_init(&b, &one, 1);
	m = shadow_batch_next(&b, folio, vmemmap_shadow_ptep((unsigned long)folio));
	ret = shadow_alloc_for(m);
	if (ret)
		return ret;
	shadow_batch_add(&b, m);

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
	struct folio *folio, *first = NULL;
	struct shadow_member one, *room, *m;
	unsigned long nr_entries = 0;
	struct shadow_batch b;
	unsigned int max;
	long nr = 0;
	int ret = 0;

	might_sleep();
	list_for_each_entry(folio, folios, lru) {
		if (folio_test_hugetlb_vmemmap_optimized(folio)) {
			first = folio;
			break;
		}
	}
	if (!first) {
		list_splice_tail_init(folios, restored);
		return 0;
	}

	room = shadow_room_alloc(&one, &max);
	while (!ret && !list_empty(folios)) {
		unsigned int nr_listed = 0;

		/*
		 * Gather a batch, with pages for it. Memory that runs out cuts
		 * the batch short, and ends the call once not even its first
		 * folio gets any: then nothing of that folio has changed.
		 */
		shadow_batch_init(&b, room, max);
		list_for_each_entry(folio, folios, lru) {
			if (folio_test_hugetlb_vmemmap_optimized(folio)) {
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
		while (nr_listed--)
			list_move_tail(folios->next, restored);
	}
	shadow_room_free(room, &one);
	trace_vmemmap_shadow_restore(folio_pfn(first), folio_order(first), nr,
				     nr_entries, ktime_get_mono_fast_ns() - began);

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
			   shadow_counter_read(i));

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
	pmd_t pmd = shadow_pmd(addr);
	pte_t pte;

	*end = ALIGN(addr + 1, PMD_SIZE);
	if (pmd_none(pmd))
		return NULL;
	if (pmd_leaf(pmd))
		return "block";

	*end = addr + PAGE_SIZE;
	pte = __ptep_get(pte_offset_kernel(&pmd, addr));

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
