/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The shadow vmemmap, between its files, and for mm/kunit:
 *
 *	vmemmap_shadow.c	the chain: steps, TLBI rounds, windows, the fault handler
 *	vmemmap_shadow_folio.c	HugeTLB's side: folios, batches, pages in hand, hot-remove
 *	vmemmap_shadow_share.c	what tails share, and how contents become equal
 *	vmemmap_shadow_same.c	comparison of contents
 *	vmemmap_shadow_later.c	folios that are in use, where a base allows that
 *	vmemmap_shadow_debug.c	the rule, checked; statistics, debugfs
 *	vmemmap_shadow_ops.h	what all of these do to the machine
 */
#ifndef _ARM64_MM_VMEMMAP_SHADOW_H
#define _ARM64_MM_VMEMMAP_SHADOW_H

#include <linux/atomic.h>
#include <linux/bitfield.h>
#include <linux/bitops.h>
#include <linux/bug.h>
#include <linux/hugetlb.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/pgtable.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/vmemmap_shadow.h>
#include <linux/vmemmap_shadow_chain.h>

#include "vmemmap_shadow_share.h"

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

/**
 * struct shadow_member - a folio of a batch
 * @folio:	the folio
 * @ptep:	the entry that maps its head's page
 * @pages:	pages in hand: parted from an entry, or allocated for one. Each
 *		is for one entry only, whose address page_private() has.
 * @joined:	how many of its entries were joined
 * @was:	what its tails share, or shall, and what that held
 */
struct shadow_member {
	struct folio *folio;
	pte_t *ptep;
	struct list_head pages;
	unsigned int joined;
	struct shadow_was was;
};

/**
 * struct shadow_batch - folios that are stepped together
 * @member:	the folios, all of one size, by address
 * @room:	where they are, in the order in which they came
 * @nr:		how many they are
 * @max:	how many they may be
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
	unsigned int nr_tails;
};

static inline void shadow_batch_init(struct shadow_batch *b, struct shadow_member *room,
				     unsigned int max)
{
	b->room = room;
	b->max = max;
	b->nr = 0;
	b->nr_tails = 0;
}

#define for_each_in_batch(m, i, b)					\
	for (i = 0; i < (b)->nr && ((m) = (b)->member[i]); i++)

/* Set once an invariant turned out broken: no new folio is optimized then. */
extern bool vmemmap_shadow_broken;

#define SHADOW_WARN_ON(cond)						\
({									\
	const bool __broken = WARN_ON_ONCE(cond);			\
									\
	if (unlikely(__broken))						\
		WRITE_ONCE(vmemmap_shadow_broken, true);		\
	__broken;							\
})

void vmemmap_shadow_violation(const char *what);

/* What happened since boot: debugfs vmemmap_shadow/stats. */
enum shadow_counter {
	SHADOW_FOLIOS_OPTIMIZED,
	SHADOW_FOLIOS_RESTORED,
	SHADOW_FOLIOS_LATER,
	SHADOW_FOLIOS_DIED_YOUNG,
	SHADOW_STEPS,
	SHADOW_GRACE_PERIODS,
	SHADOW_TLBI_ROUNDS,
	SHADOW_SINGLE_TLBIS,
	SHADOW_WRITE_RECOVERIES,
	SHADOW_ENTRIES_PARTED,
	SHADOW_STALE_FAULTS,
	SHADOW_ENTRIES_LEFT,
	SHADOW_ENTRIES_NOT_PLAIN,
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

DECLARE_PER_CPU(long [SHADOW_NR_COUNTERS], vmemmap_shadow_counters);

static __always_inline void shadow_count(enum shadow_counter what, long by)
{
	this_cpu_add(vmemmap_shadow_counters[what], by);
}

long vmemmap_shadow_note_longest(enum shadow_counter what, u64 then);

/* ------------------------------------------------------------------------ */
/* One entry								    */

/* Does an entry in this state map the page that tails share? */
static inline bool shadow_maps_shared(enum vmemmap_shadow_state state)
{
	return SHADOW_TAG_MAPS_SHARED(state);
}

static inline bool shadow_is_writable(enum vmemmap_shadow_state state)
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
static inline
enum vmemmap_shadow_state vmemmap_shadow_pte_state(pte_t pte)
{
	return FIELD_GET(SHADOW_TAG, pte_val(pte));
}

static inline bool shadow_is_barred(pte_t pte)
{
	return pte_val(pte) & SHADOW_BARRED;
}

/*
 * Is this an entry as one of the four states has it? Read-only means RDONLY
 * set and PTE_WRITE, the hardware's DBM, cleared: with DBM left set, hardware
 * that manages the dirty state would let a store through.
 */
static inline bool shadow_pte_is_sound(pte_t pte)
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

	if (shadow_maps_shared(vmemmap_shadow_pte_state(pte)) != shadow_maps_shared(state))
		val = pte_val(pfn_pte(pfn, pte_pgprot(pte)));

	val &= ~(SHADOW_TAG | SHADOW_BARRED | PTE_WRITE | PTE_RDONLY);
	val |= FIELD_PREP(SHADOW_TAG, state);
	val |= shadow_is_writable(state) ? PTE_WRITE : PTE_RDONLY;

	return __pte(val);
}

/* The page that an entry maps, through its alias in the linear map. */
static __always_inline struct page *shadow_alias(pte_t pte)
{
	return page_to_virt(pte_page(pte));
}

pmd_t vmemmap_shadow_pmd(unsigned long addr);
pte_t *vmemmap_shadow_ptep(unsigned long addr);

/* The first page that is described in the page at this vmemmap address. */
static inline unsigned long shadow_pfn_of(unsigned long addr)
{
	return page_to_pfn((struct page *)addr);
}

/* The vmemmap address that a folio's tail entry n, n >= 0, maps. */
static inline unsigned long shadow_tail_addr(const struct folio *folio, unsigned int n)
{
	return (unsigned long)folio + (n + 1) * PAGE_SIZE;
}

/* The entry of the next address. Those of a PMD lie in one table. */
static inline pte_t *shadow_next_ptep(pte_t *ptep, unsigned long addr)
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
static inline pte_t *shadow_tail_ptep(const struct shadow_member *m, unsigned int n)
{
	const unsigned long addr = shadow_tail_addr(m->folio, n);

	return (addr ^ (unsigned long)m->folio) & PMD_MASK ?
	       vmemmap_shadow_ptep(addr) : m->ptep + n + 1;
}

#define for_each_member_entry(ptep, addr, m, lo, hi)			\
	for_each_entry_from(shadow_tail_ptep(m, lo), ptep, addr, (m)->folio, lo, hi)

static inline unsigned int shadow_nr_tails(const struct folio *folio)
{
	const unsigned long size = folio_nr_pages(folio) * sizeof(struct page);

	/* A head's vmemmap page may not end in the middle of a struct page. */
	if (!is_power_of_2(sizeof(struct page)) || size <= PAGE_SIZE)
		return 0;

	return size / PAGE_SIZE - 1;
}

/* ------------------------------------------------------------------------ */
/* Pages in hand							    */

/* This page is for the entry at this address, to which it belonged or shall. */
static inline void shadow_hold_page(struct page *page, unsigned long addr,
				    struct list_head *pages)
{
	set_page_private(page, addr);
	list_add_tail(&page->lru, pages);
}

/* The page in hand for an entry. They come in the order in which they are asked for. */
static inline struct page *shadow_take_page(struct list_head *pages, unsigned long addr)
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
/* What tails share: vmemmap_shadow_share.c, for each base another		    */

/**
 * vmemmap_shadow_prepare() - get a folio ready to be optimized
 * @m:		the folio, whose entries are all OWNED
 *
 * Return: false if there is nothing that it may share.
 */
bool vmemmap_shadow_prepare(struct shadow_member *m);

/**
 * vmemmap_shadow_note() - note what a folio's own struct pages hold
 * @m:		the folio; nobody can store to its head's page
 */
void vmemmap_shadow_note(struct shadow_member *m);

/**
 * vmemmap_shadow_shared_pfn() - the page that a folio's tails share
 * @m:		the folio
 *
 * Return: its page frame number.
 */
unsigned long vmemmap_shadow_shared_pfn(const struct shadow_member *m);

/**
 * vmemmap_shadow_equalize() - give sealed pages the contents of the shared one,
 *			       and bar those entries whose pages cannot have them
 * @m:		the folio
 * @lo:		first tail entry
 * @hi:		tail entry behind the last one
 */
void vmemmap_shadow_equalize(struct shadow_member *m, unsigned int lo,
			     unsigned int hi);

/**
 * vmemmap_shadow_fill() - give a page in hand the contents of the shared one
 * @m:		the folio
 * @page:	the page; nothing maps it but the linear map
 */
void vmemmap_shadow_fill(const struct shadow_member *m, struct page *page);

/**
 * vmemmap_shadow_replain() - make plain tails of what shows anything else
 * @m:		the folio
 * @lo:		first tail entry
 * @hi:		tail entry behind the last one
 *
 * Of those entries that map their own page.
 */
void vmemmap_shadow_replain(struct shadow_member *m, unsigned int lo,
			    unsigned int hi);

/**
 * vmemmap_shadow_stray_write() - a store met an entry that maps the shared page
 * @ptep:	an entry that was JOINED
 * @addr:	the address that it maps
 * @pte:	what it was
 *
 * Context: that of vmemmap_shadow_fault().
 * Return: 0 if the entry was opened; -EAGAIN if it is to be looked at again; -ENOMEM
 * if the store cannot be let through.
 */
int vmemmap_shadow_stray_write(pte_t *ptep, unsigned long addr, pte_t pte);

/**
 * vmemmap_shadow_all_same() - is all that is left of a vmemmap page the same?
 * @page:	a struct page at a multiple of four in the vmemmap page
 * @as:		what each has to be, word for word
 *
 * Return: true if it is so from @page to the last one of its vmemmap page.
 */
bool vmemmap_shadow_all_same(const struct page *page, const union shadow_words *as);

/* ------------------------------------------------------------------------ */
/* Folios in use, if SHADOW_FOLIOS_IN_USE: vmemmap_shadow_folio.c, _later.c	    */

/**
 * vmemmap_shadow_claim() - mark a folio as optimized and take it into a batch
 * @b:		the batch
 * @folio:	a HugeTLB folio, whatever its reference count, of which nobody can
 *		end the life meanwhile
 *
 * Nothing is stepped yet. A folio that cannot be optimized is left as it is.
 *
 * Context: Any but NMI. The caller holds hugetlb_lock.
 * Return: false if the folio does not belong into this batch, but into another one.
 */
bool vmemmap_shadow_claim(struct shadow_batch *b, struct folio *folio);

/**
 * vmemmap_shadow_optimize_claimed() - optimize the folios of such a batch
 * @b:		the batch; not empty
 *
 * The folios stay marked as optimized even if nothing of them could be joined: others
 * may have seen the mark.
 *
 * Context: Process context, without hugetlb_lock. Sleeps.
 */
void vmemmap_shadow_optimize_claimed(struct shadow_batch *b);

/* Wait until each folio that is marked as optimized has been. May sleep. */
void vmemmap_shadow_later_wait(void);

/* ------------------------------------------------------------------------ */
/* The chain: vmemmap_shadow.c						    */

void vmemmap_shadow_round(const struct shadow_batch *b);
void vmemmap_shadow_optimize_windows(struct shadow_batch *b);
int vmemmap_shadow_restore_windows(struct shadow_batch *b);

#ifdef CONFIG_VMEMMAP_SHADOW_DEBUG
void vmemmap_shadow_debug_stepped(unsigned long addr);
void vmemmap_shadow_debug_issued(unsigned long start, unsigned long nr);
void vmemmap_shadow_debug_synced(unsigned long start, unsigned long nr);
void vmemmap_shadow_debug_step(pte_t *ptep, unsigned long addr, pte_t old,
			       pte_t new);
bool vmemmap_shadow_debug_may_release(const struct shadow_batch *b,
				      const struct list_head *pages);
#else
static inline void vmemmap_shadow_debug_stepped(unsigned long addr) { }
static inline void vmemmap_shadow_debug_issued(unsigned long start, unsigned long nr) { }
static inline void vmemmap_shadow_debug_synced(unsigned long start, unsigned long nr) { }
static inline void vmemmap_shadow_debug_step(pte_t *ptep, unsigned long addr,
					     pte_t old, pte_t new) { }

static inline bool vmemmap_shadow_debug_may_release(const struct shadow_batch *b,
						    const struct list_head *pages)
{
	return true;
}
#endif

/**
 * struct vmemmap_shadow_run - neighbouring entries in the same state
 * @start:	the address that the first of them maps
 * @end:	the address behind what the last one maps
 * @state:	the state's name, or "block" for what is not mapped with pages
 */
struct vmemmap_shadow_run {
	unsigned long start, end;
	const char *state;
};

#if IS_ENABLED(CONFIG_KUNIT)
int vmemmap_shadow_step(pte_t *ptep, enum vmemmap_shadow_state from,
			enum vmemmap_shadow_state to, unsigned long pfn);
long vmemmap_shadow_counter(const char *name);

bool vmemmap_shadow_cmpxchg(pte_t *ptep, pte_t old, pte_t new);
bool vmemmap_shadow_store(unsigned long *word, unsigned long old,
			  unsigned long new);
void vmemmap_shadow_copy(void *to, const void *from, const void *was,
			 size_t size);
void vmemmap_shadow_tlbi(unsigned long start, unsigned long nr);
void vmemmap_shadow_tlbi_sync(void);
void vmemmap_shadow_tlbi_one(unsigned long addr);
void vmemmap_shadow_tlbi_run(unsigned long start, unsigned long nr);
void vmemmap_shadow_wait_readers(void);
unsigned int vmemmap_shadow_alloc_pages(int nid, unsigned int nr,
					struct page **pages);
void *vmemmap_shadow_alloc_note(size_t size);
void vmemmap_shadow_free_pages(struct page *page, unsigned int order);
void vmemmap_shadow_hold(struct folio *folio, unsigned int lo,
			 unsigned int hi);
void vmemmap_shadow_fault_hold(unsigned long addr);
void vmemmap_shadow_walk_hold(unsigned long addr, pud_t *pudp);
void vmemmap_shadow_ref_hold(struct page *page);

int vmemmap_shadow_stats_show(struct seq_file *seq, void *unused);
extern const struct seq_operations vmemmap_shadow_state_sops;
#endif

#include "vmemmap_shadow_ops.h"

#endif /* _ARM64_MM_VMEMMAP_SHADOW_H */
