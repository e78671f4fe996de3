/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The chain, for SPIN: what shadow.pml and tails.pml have in common. Pages, entries,
 * TLBs, the rules, steps, RCU, the fault handler's frame, and what the updater does
 * with TLBIs and pages. See README.md beside this file.
 *
 * A TLB is the set of translations that a CPU may hold of an entry: every value
 * that the entry had at some time since the last TLBI that has completed was
 * issued. An access uses any of them. That is a TLB which caches at any time,
 * drops at any time, uses what it holds until a TLBI completes, and may even
 * hold two translations of one address; all of these at once, so that no run
 * of such a TLB is missed. With -DLITERAL it is the thing itself, one cached
 * translation at most for each CPU and entry and a walker that loads and drops
 * it: many times the states for the same verdicts.
 *
 * A line that begins with "C:" in a comment names the operation of the C code
 * that the lines below it stand for, as FUNCTION: OPERATION. models/bound.py
 * compares them with the C code. "O:" is for what the C code does on the other base
 * only, "P:" for what the model has and the C code has not.
 *
 * What is expected, read by scripts/models.sh: "run NAME VERDICT FLAGS".
 *   pass		no error in the whole state space
 *   pass:A,B		and the places reached_A and reached_B were reached
 *   fails:NAME		the first assertion violated is that of this name
 *   cycle:none		no execution goes on for ever
 *   cycle:found	one does
 *   big:pass		as pass, only with BIG=1
 * Names that end in -harm are without the rules, which leaves what their
 * violation leads to.
 */
#include "vmemmap_shadow_chain.h"

#ifndef OBSERVERS
#define OBSERVERS 0
#endif
#ifndef STRAYS
#define STRAYS 0
#endif
#ifndef CYCLES
#define CYCLES 1
#endif
#ifndef NO_TLBI
#define NO_TLBI 0
#endif
#ifndef WINDOWS
#define WINDOWS 1
#endif
#ifndef OPEN_EARLY
#define OPEN_EARLY 0
#endif

/*
 * One name for each property. pan prints the expression that was violated, and
 * with it the name. rule_*, freed_page_cached and illegal_step are the rules of
 * the architecture and of the chain; the others are what goes wrong when they
 * are broken, which -DNO_RULES shows.
 */
hidden byte illegal_step;		/* a step that the chain does not have */
hidden byte rule_writable;		/* two OAs live, one of them writable */
hidden byte rule_contents;		/* two OAs live, with different contents */
hidden byte freed_page_cached;		/* a TLB may hold a page that is freed */
hidden byte freed_page_accessed;	/* that page was read or written */
hidden byte invalid_entry;		/* an access met an invalid entry */
hidden byte unrecovered_store;		/* a store faulted and nobody helps */
hidden byte read_backwards;		/* an address showed an older value */
hidden byte store_lost;			/* a store is not where it was made */
hidden byte refcount_wrong;		/* taken or dropped once too often */
hidden byte neither_head_nor_tail;	/* compound_head() gave a tail */
hidden byte not_plain_after_restore;	/* unfit for the page allocator */
hidden byte page_lost;			/* neither mapped nor freed, or both */
hidden byte somebody_waits;		/* the end is never reached */

/* Places that a run is expected to reach. */
hidden byte reached_left, reached_recovered, reached_stale, reached_waited;

#define CHECK(name, cond)	assert((cond) || name)
#ifdef NO_RULES
#define RULE(name, cond)	skip
#else
#define RULE(name, cond)	CHECK(name, cond)
#endif

/* ------------------------------------------------------------------------ */
/* Pages								    */

#ifdef THREE
#define NT		3			/* tail entries */
#define EACH(what)	what(0); what(1); what(2)
#define ALL(test)	(test(0) && test(1) && test(2))
#else
#define NT		2
#define EACH(what)	what(0); what(1)
#define ALL(test)	(test(0) && test(1))
#endif
#define COMMON		0			/* the page that tails share */
#define OWN(e)		(1 + (e))		/* those of the tails, */
#define FRESH(e)	(1 + NT + (e))		/* those they get at restore */
#define NPAGES		(1 + 2 * NT)

/* What a page's first struct page says of itself; shadow.pml has more. */
#define ORDER0		0	/* an order-0 page, in a life before the folio */
#define TAIL		1	/* plain tail */
#define JUNK		6	/* what the next owner of the page wrote */

byte kind[NPAGES];
byte ref[NPAGES];		/* reference count of the first struct page */
byte word_a[NPAGES];		/* a word in the first struct page, */
bit flag_b[NPAGES];		/* a flag in one further back */
#ifdef ODD
bit odd[NPAGES];		/* a word there that says nothing */
#endif
bit freed[NPAGES];

#define STRAY		2	/* what a stray store makes of word_a, or adds */
#define HAS_STRAY(p)	(word_a[p] & STRAY)

/* ------------------------------------------------------------------------ */
/* Entries and TLBs							    */

#define NCPUS		3

byte tag[NT];
bit bar[NT];			/* no step but one that opens it */
byte oa[NT];
short tlb[NCPUS * NT];

#ifdef BREAK_BEFORE_MAKE
bit broken[NT];
#define VALID(e)	(!broken[e])
#else
#define VALID(e)	1
#endif

/* A translation is 2 * page + writable; a set of them has a bit for each. */
#define PAGE(t)		((t) >> 1)
#define MAY_WRITE(t)	((t) & 1)
#define BIT(p, w)	(1 << (2 * (p) + (w)))
#define ANY_WRITABLE	10922
#define NOW(e)		(VALID(e) * BIT(oa[e], SHADOW_TAG_IS_WRITABLE(tag[e])))

#ifdef LITERAL
#define LIVE(c, e)	(tlb[(c) * NT + (e)] | NOW(e))
#else
#define LIVE(c, e)	tlb[(c) * NT + (e)]
#endif

/*
 * TLBIs under way: the updater's, and one of each CPU's handler. since[] is the
 * set of what the entry was since the TLBI was issued: only that survives it.
 */
#define HANDLER_TLBI(c)	(c)
#define UPDATER_TLBI	(NCPUS + u)
#ifdef TWO_UPDATERS
short since[(NCPUS + 2) * NT];
#else
short since[(NCPUS + 1) * NT];
#endif

hidden byte x_t, x_v;

#define HAS(s, p)	(((s) >> (2 * (p))) & 3)
#define ONLY(s, p)	(!((s) & ~(BIT(p, 0) | BIT(p, 1))))
#if NT == 3
#define ONE_PAGE(s)	(ONLY(s, 0) || ONLY(s, 1) || ONLY(s, 2) || ONLY(s, 3) ||	\
			 ONLY(s, 4) || ONLY(s, 5) || ONLY(s, 6))
#else
#define ONE_PAGE(s)	(ONLY(s, 0) || ONLY(s, 1) || ONLY(s, 2) || ONLY(s, 3) || ONLY(s, 4))
#endif

/* Contents are equal, in every word. */
#ifdef ODD
#define SAME_ODD(p, q)	&& odd[p] == odd[q]
#else
#define SAME_ODD(p, q)
#endif
#define SAME(p, q)	(kind[p] == kind[q] && ref[p] == ref[q] &&		\
			 word_a[p] == word_a[q] && flag_b[p] == flag_b[q] SAME_ODD(p, q))
#define SAME_IF(s, p, q) (!HAS(s, p) || SAME(p, q))

/*
 * The rule: two output addresses of an entry may be live at the same time only
 * if both are read-only and the contents are the same. This process can move
 * only in a state where that does not hold. It is looked at first in every one.
 */
#define ALL_LIVE(e)	(LIVE(0, e) | LIVE(1, e) | LIVE(2, e))
#define SAME_5(s, p)	(SAME_IF(s, 0, p) && SAME_IF(s, 1, p) && SAME_IF(s, 2, p) &&	\
			 SAME_IF(s, 3, p) && SAME_IF(s, 4, p))
#if NT == 3
#define SAME_ALL(s, p)	(SAME_5(s, p) && SAME_IF(s, 5, p) && SAME_IF(s, 6, p))
#else
#define SAME_ALL(s, p)	SAME_5(s, p)
#endif
#ifndef NO_RULES
proctype rules()
{
end:	do
	:: !ONE_PAGE(ALL_LIVE(0)) && (ALL_LIVE(0) & ANY_WRITABLE) -> RULE(rule_writable, false)
	:: !ONE_PAGE(ALL_LIVE(1)) && (ALL_LIVE(1) & ANY_WRITABLE) -> RULE(rule_writable, false)
	:: !ONE_PAGE(ALL_LIVE(0)) && !SAME_ALL(ALL_LIVE(0), oa[0]) -> RULE(rule_contents, false)
	:: !ONE_PAGE(ALL_LIVE(1)) && !SAME_ALL(ALL_LIVE(1), oa[1]) -> RULE(rule_contents, false)
#if NT == 3
	:: !ONE_PAGE(ALL_LIVE(2)) && (ALL_LIVE(2) & ANY_WRITABLE) -> RULE(rule_writable, false)
	:: !ONE_PAGE(ALL_LIVE(2)) && !SAME_ALL(ALL_LIVE(2), oa[2]) -> RULE(rule_contents, false)
#endif
	od
}
#endif

/* An entry has changed: any CPU may hold the new value from now on. */
#define NOTE(k, e)	since[(k) * NT + e] = since[(k) * NT + e] | (since[(k) * NT + e] -> NOW(e) : 0)
inline entry_changed(e)
{
#ifndef LITERAL
	tlb[0 * NT + e] = tlb[0 * NT + e] | NOW(e);
	tlb[1 * NT + e] = tlb[1 * NT + e] | NOW(e);
	tlb[2 * NT + e] = tlb[2 * NT + e] | NOW(e);
#endif
	NOTE(0, e);
	NOTE(1, e);
	NOTE(2, e);
	NOTE(3, e);
#ifdef TWO_UPDATERS
	NOTE(4, e);
#endif
	skip
}

/* A TLBI of one entry on all CPUs, issued and completed. */
inline tlbi_issue(k, e)
{
	since[(k) * NT + e] = 16384 | NOW(e)
}

inline tlbi_complete(k, e)
{
	tlb[0 * NT + e] = tlb[0 * NT + e] & since[(k) * NT + e];
	tlb[1 * NT + e] = tlb[1 * NT + e] & since[(k) * NT + e];
	tlb[2 * NT + e] = tlb[2 * NT + e] & since[(k) * NT + e];
	since[(k) * NT + e] = 0
}

/* One of the translations that CPU c may use for entry e, in x_t. */
#define MAYBE(c, e, t)	:: tlb[(c) * NT + (e)] & (1 << (t)) -> x_t = (t)
inline translate(c, e)
{
#ifdef LITERAL
	if
	:: tlb[(c) * NT + (e)] == 0 -> tlb[(c) * NT + (e)] = NOW(e)
	:: else
	fi;
#endif
	if
	MAYBE(c, e, 0)
	MAYBE(c, e, 1)
	MAYBE(c, e, 2)
	MAYBE(c, e, 3)
	MAYBE(c, e, 4)
	MAYBE(c, e, 5)
	MAYBE(c, e, 6)
	MAYBE(c, e, 7)
	MAYBE(c, e, 8)
	MAYBE(c, e, 9)
#if NT == 3
	MAYBE(c, e, 10)
	MAYBE(c, e, 11)
	MAYBE(c, e, 12)
	MAYBE(c, e, 13)
#endif
#ifdef BREAK_BEFORE_MAKE
	:: !VALID(e) -> CHECK(invalid_entry, false)
#endif
	fi;
	CHECK(freed_page_accessed, !freed[PAGE(x_t)])
}

/*
 * One step of entry e, if it is in state from, and not barred or to be opened;
 * page is for join and part.
 */
inline step(e, from, to, page, ok)
{
	atomic {
		/* C: shadow_step: shadow_step_once */
		/* C: vmemmap_shadow_step: shadow_step_once */
		/* C: shadow_step_once: shadow_step_from */
		/* C: shadow_step_from: vmemmap_shadow_cmpxchg */
		/* C: vmemmap_shadow_cmpxchg: cmpxchg_release */
		if
		:: tag[e] == from && (!bar[e] || SHADOW_TAG_IS_WRITABLE(to)) ->
			RULE(illegal_step, SHADOW_CHAIN_HAS(from, to));
			tag[e] = to;
			bar[e] = 0;
			if
			:: SHADOW_TAG_MAPS_SHARED(from) != SHADOW_TAG_MAPS_SHARED(to) -> oa[e] = page
			:: else
			fi;
			entry_changed(e);
			ok = 1
		:: else -> ok = 0
		fi
	}
}

/* ------------------------------------------------------------------------ */
/* RCU									    */

byte readers;			/* who is in a read-side critical section */
byte awaited[2];		/* whom a grace period still waits for */

#define TAKER_RCU	1
#define LOOKUP_RCU	2
#define STRAY_RCU(c)	(4 << (c))

#define RCU_LOCK(who)	readers = readers | (who)
#define RCU_UNLOCK(who)	atomic {					\
		readers = readers & ~(who);				\
		awaited[0] = awaited[0] & ~(who);			\
		awaited[1] = awaited[1] & ~(who)			\
	}

inline grace_period(u)
{
	/* C: vmemmap_shadow_wait_readers: synchronize_rcu */
	awaited[u] = readers;
	awaited[u] == 0
}

/* ------------------------------------------------------------------------ */
/* Others								    */

bit typed;			/* the folio is known as HugeTLB's */
byte handlers;			/* shadow_handlers */
bit irq;			/* the updater's CPU is in an interrupt */
bit finished;			/* the updater has finished */
byte alive;			/* actors that have not finished */
#ifdef LOCKING
bit ptl;
#endif

#if STRAYS
/* Where a stray store through the entry went: 1 own page, 2 the one that tails share. */
byte stored_a[NT], stored_b[NT];
#endif

/* ------------------------------------------------------------------------ */
/* The fault handler							    */

/*
 * If a handler is held up, an entry may have left its state and come back to it with
 * another page. So it raises a counter before it looks at any entry, for the updater to
 * look at.
 */
#if defined(NO_HANDLER_RCU)
#define HANDLER_LOCK(who)	handlers++
#define HANDLER_UNLOCK(who)	handlers--
#elif defined(NO_HANDLER_COUNT) || defined(HANDLER_COUNTS_LATE)
#define HANDLER_LOCK(who)	RCU_LOCK(who)
#define HANDLER_UNLOCK(who)						\
	atomic { if :: counted -> handlers--; counted = 0 :: else fi; RCU_UNLOCK(who) }
#else
/* C: __vmemmap_shadow_fault: rcu_read_lock */
/* C: __vmemmap_shadow_fault: atomic_inc */
/* C: __vmemmap_shadow_fault: smp_mb__after_atomic */
/* C: __vmemmap_shadow_fault: shadow_recover */
/* C: __vmemmap_shadow_fault: atomic_dec_return_release */
/* C: __vmemmap_shadow_fault: rcu_read_unlock */
#define HANDLER_LOCK(who)	atomic { RCU_LOCK(who); handlers++ }
#define HANDLER_UNLOCK(who)	atomic { handlers--; RCU_UNLOCK(who) }
#endif
#ifdef HANDLER_COUNTS_LATE
#define COUNT_LATE	if :: !counted -> atomic { handlers++; counted = 1 } :: else fi
#else
#define COUNT_LATE	skip
#endif

#define ISSUE(c, i)	tlbi_issue(HANDLER_TLBI(c), i)
#define COMPLETE(c, i)	tlbi_complete(HANDLER_TLBI(c), i)

/* The entry lets stores through: what the CPU held before is dropped. */
inline retry_stale(c, e)
{
#ifndef NO_STALE_TLBI
	/* C: shadow_retry_stale: __local_flush_tlb_kernel_pte */
	/* Would the store go through now? A static count of how often. */
	/* C: shadow_retry_stale: asm */
	/* C: shadow_retry_stale: isb */
	/* C: shadow_retry_stale: WRITE_ONCE */
	/* C: shadow_retry_stale: WRITE_ONCE */
	/* C: shadow_retry_stale: WRITE_ONCE */
	/* C: shadow_retry_stale: WRITE_ONCE */
	tlb[(c) * NT + (e)] = NOW(e);
#endif
	reached_stale = 1
}

inline tlbi_one(c, e)
{
	/* C: vmemmap_shadow_tlbi_one: dsb */
	/* C: vmemmap_shadow_tlbi_one: __flush_tlb_kernel_ptes_nosync */
	atomic { tlbi_issue(HANDLER_TLBI(c), e) };
	/* C: vmemmap_shadow_tlbi_one: __flush_tlb_kernel_sync */
	atomic { tlbi_complete(HANDLER_TLBI(c), e) }
}

/* ------------------------------------------------------------------------ */
/* The table walker, and the updater's tools				    */

#ifdef LITERAL
/* The table walker of CPU c: it loads and drops whenever it likes. */
proctype walker(byte c)
{
	do
	:: atomic { tlb[c * NT + 0] != NOW(0) && VALID(0) -> tlb[c * NT + 0] = NOW(0) }
	:: atomic { tlb[c * NT + 1] != NOW(1) && VALID(1) -> tlb[c * NT + 1] = NOW(1) }
	:: atomic { tlb[c * NT + 0] -> tlb[c * NT + 0] = 0 }
	:: atomic { tlb[c * NT + 1] -> tlb[c * NT + 1] = 0 }
	:: finished -> break
	od
}
#endif

/*
 * The page allocator gets page p. It writes to it, or keeps it and gives it back
 * at restore. That it writes at once is the same as at any time later: whoever
 * reads or writes the page from now on is wrong, whatever it holds.
 */
inline free_page(p)
{
	atomic {
#define IN_NO_TLB(e)	(!HAS(ALL_LIVE(e), p))
#define MAPPED_NOT(e)	(oa[e] != p)
		RULE(freed_page_cached, ALL(IN_NO_TLB));
		CHECK(page_lost, ALL(MAPPED_NOT));
		freed[p] = 1;
		hand = hand & ~(1 << p);
		if
		:: true -> kind[p] = JUNK; ref[p] = 1; word_a[p] = 0; flag_b[p] = 0
#ifndef JUNK_ALWAYS
		:: true
#endif
		fi
	}
}

inline free_pages()
{
	do
	:: hand & 2 -> free_page(1)
	:: hand & 4 -> free_page(2)
	:: hand & 8 -> free_page(3)
	:: hand & 16 -> free_page(4)
#if NT == 3
	:: hand & 32 -> free_page(5)
	:: hand & 64 -> free_page(6)
#endif
	:: hand == 0 -> break
	od
}

/* A TLBI round, of all entries. */
#define ISSUE_ALL(e)	tlbi_issue(UPDATER_TLBI, e)
#define COMPLETE_ALL(e)	tlbi_complete(UPDATER_TLBI, e)
inline tlbi_round()
{
	/* C: vmemmap_shadow_round: shadow_tlbi_round */
	/* C: shadow_tlbi_round: dsb */
	/* C: shadow_tlbi_round: vmemmap_shadow_tlbi */
	/* C: vmemmap_shadow_tlbi: __flush_tlb_kernel_ptes_nosync */
	atomic { EACH(ISSUE_ALL) };
	/* C: shadow_tlbi_round: vmemmap_shadow_tlbi_sync */
	/* C: vmemmap_shadow_tlbi_sync: __flush_tlb_kernel_sync */
	atomic { EACH(COMPLETE_ALL) }
}

/* Those who look at entries in a fault handler have ended, or see what is sealed. */
inline wait_handlers()
{
	/* C: shadow_wait_handlers: smp_mb */
	/* C: shadow_wait_handlers: atomic_read_acquire */
	if
	:: handlers ->
		/* C: shadow_wait_handlers: shadow_wait_readers */
		reached_waited = 1;
		grace_period(u)
	:: else
	fi
}

inline join(e)
{
	atomic {
		own = oa[e];
		/* C: shadow_join_range: vmemmap_shadow_shared_pfn */
		/* C: shadow_join_range: shadow_step */
		step(e, SHADOW_TAG_SEALED, SHADOW_TAG_JOINED, COMMON, ok);
		/* C: shadow_join_range: shadow_hold_page */
#ifdef HELD_ANYWAY
		ok = 1;
#endif
		if
		:: ok -> hand = hand | (1 << own)
		:: else
		fi;
		own = 0
	}
}
