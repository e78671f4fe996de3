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
 *	own page, rw       own page, ro       shared page, ro     shared page, rw
 *
 * What the tails of a folio share, and whether they rest JOINED or SHARED, is
 * another thing on each kernel: vmemmap_shadow_share.c.
 *
 * seal and open change the permission only, join and part change the output
 * address only. Between two steps of an entry stands a completed TLBI. While
 * an entry is read-only, the contents of its page are prepared through the
 * page's other mapping, its alias in the linear map.
 *
 * All tail entries of a folio are sealed before the first of them is joined or
 * parted, and none is opened before the last one was. So nobody gets to write
 * through one of them without a fault, and the fault handler lets no store
 * through to a page that others map, too, before it has barred them from
 * further steps, or parted the entry: contents that have to be equal are, in
 * every word. An entry that cannot be joined ends with its own page.
 *
 * See Documentation/mm/vmemmap_shadow.rst for the argument. The letters in
 * brackets are those of its barrier pairs.
 */
#define pr_fmt(fmt) "vmemmap_shadow: " fmt

#include <linux/hugetlb.h>
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>
#include <linux/vmemmap_shadow.h>

#include <asm/barrier.h>
#include <asm/esr.h>
#include <asm/sysreg.h>
#include <asm/tlbflush.h>

#include "vmemmap_shadow.h"

#define CREATE_TRACE_POINTS
#include <trace/events/vmemmap_shadow.h>

/* ------------------------------------------------------------------------ */
/* One entry								    */

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
pmd_t vmemmap_shadow_pmd(unsigned long addr)
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
NOKPROBE_SYMBOL(vmemmap_shadow_pmd);

/**
 * vmemmap_shadow_ptep() - find the entry that maps a vmemmap address
 * @addr:	an address in the populated vmemmap
 *
 * Context: Any, while the memory that the address describes cannot be
 * hot-removed.
 * Return: the entry, or NULL if the address is not mapped with a page.
 */
pte_t *vmemmap_shadow_ptep(unsigned long addr)
{
	pmd_t pmd = vmemmap_shadow_pmd(addr);

	if (pmd_none(pmd) || pmd_leaf(pmd))
		return NULL;

	return pte_offset_kernel(&pmd, addr);
}
NOKPROBE_SYMBOL(vmemmap_shadow_ptep);

/* ------------------------------------------------------------------------ */
/* The fault handler							    */

/* A stale fault that comes again so often within a second is none. */
#define SHADOW_MAX_STALE	1000

/* Fault handlers that may have an entry in hand that was read-only. */
static atomic_t shadow_handlers = ATOMIC_INIT(0);

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

	if (!vmemmap_shadow_in_use())
		return false;

	__local_flush_tlb_kernel_pte(addr);

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
			int ret = vmemmap_shadow_stray_write(ptep, addr, pte);

			if (ret == -EAGAIN)
				continue;
			if (ret)
				return false;
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
 * off, and this may be an NMI: nobody is waited for, no lock is, and the only stores
 * are to entries that are SEALED or JOINED, to counters, and to a page that nothing
 * maps yet, where a base takes one.
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
	 * shadow_wait_handlers(), behind the round that follows a seal, or behind
	 * the joins where alias tails rest JOINED: either the updater sees the
	 * count, and waits for the grace period, or what is read here is what it
	 * has sealed, or joined. Without it whoever is held up in here, behind the
	 * TLBI and before the exchange, might come back when the entry is SEALED
	 * again, to the same page, with another one still in somebody's TLB; or
	 * might have looked at an entry before it was sealed, and not bar it.
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
/* Rounds								    */

/*
 * Wait for fault handlers in flight: behind the round that follows a seal, before
 * anything is parted; where alias tails rest JOINED, behind the joins, too, before a
 * page is freed. [L]: fully ordered between the steps and the count, see
 * __vmemmap_shadow_fault(). Acquire: a handler that is done has made its steps.
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
		vmemmap_shadow_debug_synced(shadow_tail_addr(b->member[i]->folio, lo), hi - lo);
	shadow_count(SHADOW_TLBI_ROUNDS, 1);
}

/* The same for all entries of the folios. */
void vmemmap_shadow_round(const struct shadow_batch *b)
{
	shadow_tlbi_round(b, 0, b->nr_tails);
}

/* ------------------------------------------------------------------------ */
/* Windows								    */

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
	ns = vmemmap_shadow_note_longest(SHADOW_WINDOW_NS_LONGEST, opened);
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
		vmemmap_shadow_debug_step(ptep, addr, old, shadow_mk_pte(old, to, pfn));
	ret = shadow_step_once(ptep, old, from, to, pfn);
	if (!ret)
		vmemmap_shadow_debug_stepped(addr);

	return ret;
}

/*
 * Step those of all folios' entries that are in state from. A barred one is only
 * opened; if it is barred while that is tried, it is tried again: a handler bars an
 * entry once.
 */
static __always_inline void shadow_step_those(struct shadow_batch *b,
					      enum vmemmap_shadow_state from,
					      enum vmemmap_shadow_state to)
{
	struct shadow_member *m;
	unsigned long addr, steps = 0;
	unsigned int i;
	pte_t *ptep;
	int ret;

	for_each_in_batch(m, i, b) {
		for_each_member_entry(ptep, addr, m, 0, b->nr_tails) {
			unsigned int tries = SHADOW_MAX_TRIES;

			do {
				ret = shadow_step(ptep, addr, from, to, 0);
			} while (ret && shadow_is_writable(to) &&
				 vmemmap_shadow_pte_state(__ptep_get(ptep)) == from && --tries);
			steps += !ret;
		}
	}
	shadow_count(SHADOW_STEPS, steps);
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

/* Join those of entries lo to hi - 1 that will; the pages they mapped are in hand then. */
static unsigned int shadow_join_range(struct shadow_member *m, unsigned int lo,
				      unsigned int hi)
{
	const unsigned long pfn = vmemmap_shadow_shared_pfn(m);
	unsigned int steps = 0;
	unsigned long addr;
	pte_t *ptep;

	for_each_member_entry(ptep, addr, m, lo, hi) {
		struct page *own = pte_page(__ptep_get(ptep));

		if (shadow_step(ptep, addr, VMEMMAP_SHADOW_SEALED,
				VMEMMAP_SHADOW_JOINED, pfn))
			continue;
		steps++;
		shadow_hold_page(own, addr, &m->pages);
	}
	m->joined += steps;

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

		vmemmap_shadow_fill(m, page);
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

/**
 * vmemmap_shadow_optimize_windows() - take folios along the chain, OWNED to where
 *				       alias tails rest
 * @b:		the batch
 *
 * An entry that somebody has stored through meanwhile, or whose page holds anything
 * of its own, ends OWNED, with plain tails: that costs its page and not its folio.
 */
void vmemmap_shadow_optimize_windows(struct shadow_batch *b)
{
	const u64 sealed = ktime_get_mono_fast_ns();
	struct shadow_member *m;
	unsigned int i, lo, hi;
	bool left = false;

	shadow_step_those(b, VMEMMAP_SHADOW_OWNED, VMEMMAP_SHADOW_SEALED);
	/* From here on no store reaches the pages but through their aliases. */
	vmemmap_shadow_round(b);
	vmemmap_shadow_hold(b->member[0]->folio, 0, b->nr_tails);

	for (lo = 0; lo < b->nr_tails; lo = hi) {
		unsigned long steps = 0;
		u64 opened;

		hi = shadow_window_end(b, lo);
		for_each_in_batch(m, i, b)
			vmemmap_shadow_equalize(m, lo, hi);

		opened = shadow_window_open();
		for_each_in_batch(m, i, b)
			steps += shadow_join_range(m, lo, hi);
		/* From here on nothing reaches the pages that were parted. */
		shadow_window_close(b, lo, hi, opened);
		shadow_count(SHADOW_STEPS, steps);
		cond_resched();
	}

	for_each_in_batch(m, i, b) {
		if (m->joined == b->nr_tails)
			continue;
		shadow_count(SHADOW_ENTRIES_LEFT, b->nr_tails - m->joined);
		left = true;
	}
	if (SHADOW_AT_REST == VMEMMAP_SHADOW_JOINED) {
		/*
		 * [L]: whoever has read an entry that was SEALED with its own page
		 * may be about to open it, and a handler may part the entry to any
		 * page that is free. So no page is, before the former has ended.
		 */
		shadow_wait_handlers();
		return;
	}

	/* Not before the last join: whoever may write to the shared page now may. */
	shadow_step_those(b, VMEMMAP_SHADOW_JOINED, VMEMMAP_SHADOW_SHARED);
	if (left) {
		for_each_in_batch(m, i, b)
			vmemmap_shadow_replain(m, 0, b->nr_tails);
		shadow_step_those(b, VMEMMAP_SHADOW_SEALED, VMEMMAP_SHADOW_OWNED);
	}
	/* From here on no CPU faults on what it still believes read-only. */
	vmemmap_shadow_round(b);
	vmemmap_shadow_note_longest(SHADOW_READ_ONLY_NS_LONGEST, sealed);
}

/**
 * vmemmap_shadow_restore_windows() - take folios back to OWNED
 * @b:		the batch, with a page in hand for each entry that maps the
 *		shared page
 *
 * All entries start OWNED, or where alias tails rest. A batch with an entry that a stray writer
 * took back, or barred, is tried again, with all the TLBI rounds, a bounded number
 * of times.
 *
 * Return: 0 if every entry is OWNED, -EBUSY if not.
 */
int vmemmap_shadow_restore_windows(struct shadow_batch *b)
{
	unsigned int i, lo, hi, tries;
	struct shadow_member *m;

	for (tries = 0; tries < SHADOW_MAX_TRIES; tries++) {
		const u64 sealed = ktime_get_mono_fast_ns();

		/* What a stray writer took back, no round has followed yet. */
		if (tries)
			vmemmap_shadow_round(b);

		if (SHADOW_AT_REST == VMEMMAP_SHADOW_SHARED) {
			shadow_unbar(b);
			shadow_step_those(b, VMEMMAP_SHADOW_SHARED, VMEMMAP_SHADOW_JOINED);
			/* From here on no store reaches the shared page this way. */
			vmemmap_shadow_round(b);
		}
		vmemmap_shadow_hold(b->member[0]->folio, 0, b->nr_tails);
		shadow_wait_handlers();

		/* A store that was let through before may come only now. */
		if (SHADOW_AT_REST == VMEMMAP_SHADOW_SHARED &&
		    !shadow_all_in(b, BIT(VMEMMAP_SHADOW_OWNED) |
				      BIT(VMEMMAP_SHADOW_SEALED) |
				      BIT(VMEMMAP_SHADOW_JOINED)))
			continue;

		/* With all that came before: what is parted has to be equal. */
		for_each_in_batch(m, i, b)
			vmemmap_shadow_note(m);
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
			/* From here on nothing reads the shared page this way. */
			shadow_window_close(b, lo, hi, opened);
			shadow_count(SHADOW_STEPS, steps);

			SHADOW_WARN_ON(!list_empty(&filled));
			for_each_in_batch(m, i, b)
				vmemmap_shadow_replain(m, lo, hi);
			cond_resched();
		}

		shadow_step_those(b, VMEMMAP_SHADOW_SEALED, VMEMMAP_SHADOW_OWNED);
		/* From here on no CPU faults on a page it may write to. */
		vmemmap_shadow_round(b);
		vmemmap_shadow_note_longest(SHADOW_READ_ONLY_NS_LONGEST, sealed);

		if (shadow_all_in(b, BIT(VMEMMAP_SHADOW_OWNED)))
			return 0;
	}

	/* Given up. What could not be parted stays joined, but rests as it shall. */
	if (SHADOW_AT_REST == VMEMMAP_SHADOW_SHARED)
		shadow_step_those(b, VMEMMAP_SHADOW_JOINED, VMEMMAP_SHADOW_SHARED);
	shadow_step_those(b, VMEMMAP_SHADOW_SEALED, VMEMMAP_SHADOW_OWNED);
	vmemmap_shadow_round(b);

	return -EBUSY;
}
