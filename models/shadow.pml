/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The protocol of the shadow vmemmap, for SPIN. See README.md beside this file.
 *
 * Covers: one updater that takes the tail entries of a folio through the chain
 * and back, as arch/arm64/mm/vmemmap_shadow.c does it, roll-back, retries and
 * giving up included; TLBs; observers; a speculative reference taker whose page
 * had a life before the folio; lookups of the head; stray writers without a
 * reference, on any CPU, also in interrupts of the updater's, with the fault
 * handler; memory_failure(); the page allocator, which writes to what it gets.
 *
 * Bounds: one folio, two tail entries in one window; three CPUs, the updater's
 * and two more; one optimize and one restore (CYCLES=2: two of each); a page
 * is four words: what its first struct page says of itself (flags and
 * compound_head), that one's reference count, and one flag each in its first
 * struct page and in one behind those that struct folio overlays; at most two
 * stray stores, one taker, one lookup; two tries of a restore instead of eight.
 *
 * Leaves out: weak memory order. SPIN interleaves whole steps, each seen by
 * everybody at once. What barriers do is for the litmus tests beside this file,
 * stale faults after a completed TLBI (AARCH-24989) among them. Nor are there
 * batches of folios, pages of boot memory, allocation failures, hot-remove, the
 * comparison of a copy with the note before it is made plain, or a
 * handler that is interrupted on its own CPU by one more store to the same
 * entry, which is no different from one on another CPU.
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
 * compares them with the C code. "P:" is for what the model has
 * and the C code has not.
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
 *
 * The protocol as it is to be:
 *   run chain                    pass                           -DOBSERVERS=2
 *   run chain-literal            pass                           -DLITERAL -DOBSERVERS=1
 *   run taker                    pass                           -DTAKER -DOBSERVERS=1
 *   run taker-no-fault           pass                           -DTAKER -DNO_RECOVERY
 *   run lookup-pinned            pass                           -DLOOKUP -DLOOKUP_IN_RCU -DKEY_PINNED -DCYCLES=2
 *   run lookup-roll-back         pass:roll_back                 -DLOOKUP -DLOOKUP_IN_RCU -DKEY_PINNED -DSTRAYS=1 -DTRIES=1
 *   run stray                    pass:recovered,stale,roll_back -DSTRAYS=1 -DOBSERVERS=1
 *   run stray-gives-up           pass:gave_up                   -DSTRAYS=1 -DOBSERVERS=1 -DTRIES=1
 *   run strays                   pass:recovered,gave_up,roll_back -DSTRAYS=2 -DTRIES=1 -DFLAG_A_ONLY
 *   run stray-twice              pass:recovered,roll_back       -DSTRAYS=1 -DTRIES=1 -DCYCLES=2
 *   run stray-literal-big        big:pass                       -DLITERAL -DSTRAYS=1 -DTRIES=1 -DFLAG_A_ONLY -DOTHER_CPU
 *   run taker-literal            pass                           -DLITERAL -DTAKER -DNO_RECOVERY
 *   run stray-head               pass:recovered,roll_back       -DSTRAYS=1 -DTRIES=1 -DSTRAY_HEAD
 *   run stray-taker              pass:recovered                 -DSTRAYS=1 -DTRIES=1 -DTAKER
 *   run memory-failure           pass                           -DSTRAYS=1 -DMEMORY_FAILURE -DSTRAY_HEAD -DSTRICT -DNO_RECOVERY
 *   run with-reference           pass                           -DSTRAYS=1 -DWITH_REFERENCE -DNO_RECOVERY
 *   run nobody-waits             pass:halted                    -DSTRAYS=1 -DTRIES=1 -DWATCH -DHALTS
 *   run terminates               cycle:none                     -DSTRAYS=1 -DTRIES=1
 *   run strays-big               big:pass                       -DSTRAYS=2 -DTRIES=1
 *   run literal-big              big:pass                       -DLITERAL -DOBSERVERS=2
 *   run strays-tries-big         big:pass                       -DSTRAYS=2 -DTRIES=2
 *   run strays-head-big          big:pass                       -DSTRAYS=2 -DTRIES=1 -DSTRAY_HEAD
 *   run stray-taker-big          big:pass                       -DSTRAYS=1 -DTRIES=1 -DTAKER -DOBSERVERS=1
 *
 * Steps that the architecture forbids:
 *   run direct                   fails:rule_writable            -DOBSERVERS=1 -DDIRECT
 *   run direct-harm              fails:read_backwards           -DOBSERVERS=1 -DDIRECT -DNO_RULES
 *   run direct-literal           fails:rule_writable            -DLITERAL -DOBSERVERS=1 -DDIRECT
 *   run break-before-make        fails:invalid_entry            -DOBSERVERS=1 -DBREAK_BEFORE_MAKE
 *   run unequal                  fails:rule_contents            -DOBSERVERS=1 -DNO_EQUALIZE
 *   run unequal-harm             fails:read_backwards           -DOBSERVERS=1 -DNO_EQUALIZE -DNO_RULES
 *   run skip-a-state             fails:illegal_step             -DSKIP_A_STATE
 *   run unequal-literal          fails:rule_contents            -DLITERAL -DOBSERVERS=1 -DNO_EQUALIZE
 *
 * Each TLBI round left out: 1 to 3 of optimize, 4 to 6 of restore:
 *   run no-tlbi-1                fails:rule_writable            -DNO_TLBI=1
 *   run no-tlbi-1-harm           fails:store_lost               -DNO_TLBI=1 -DNO_RULES -DSTRAYS=1 -DTRIES=1 -DOBSERVERS=1
 *   run no-tlbi-2                fails:rule_writable            -DNO_TLBI=2
 *   run no-tlbi-2-harm           fails:store_lost               -DNO_TLBI=2 -DNO_RULES -DSTRAYS=1 -DTRIES=1 -DOBSERVERS=1
 *   run no-tlbi-2-literal        fails:rule_writable            -DNO_TLBI=2 -DLITERAL
 *   run no-tlbi-3                fails:unrecovered_store        -DNO_TLBI=3 -DSTRAYS=1 -DWITH_REFERENCE -DNO_RECOVERY
 *   run no-tlbi-4                fails:rule_writable            -DNO_TLBI=4
 *   run no-tlbi-4-harm           fails:store_lost               -DNO_TLBI=4 -DNO_RULES -DSTRAYS=1 -DTRIES=1 -DOBSERVERS=1
 *   run no-tlbi-5                fails:rule_contents            -DNO_TLBI=5
 *   run no-tlbi-5-harm           fails:read_backwards           -DNO_TLBI=5 -DNO_RULES -DOBSERVERS=1
 *   run no-tlbi-6                fails:unrecovered_store        -DNO_TLBI=6 -DSTRAYS=1 -DWITH_REFERENCE -DNO_RECOVERY
 *   run no-tlbi-3-recovered      pass                           -DNO_TLBI=3 -DSTRAYS=1 -DTRIES=1
 *   run no-tlbi-6-recovered      pass                           -DNO_TLBI=6 -DSTRAYS=1 -DTRIES=1
 *   run free-early               fails:freed_page_cached        -DFREE_EARLY
 *   run free-early-harm          fails:freed_page_accessed      -DFREE_EARLY -DNO_RULES -DOBSERVERS=1
 *
 * Contents:
 *   run no-plain-check           fails:store_lost               -DNO_PLAIN_CHECK -DSTRAYS=1 -DTRIES=1
 *   run no-sealed-check          fails:store_lost               -DNO_SEALED_CHECK -DSTRAYS=1 -DTRIES=1 -DOBSERVERS=1
 *   run blind-equalize           fails:store_lost               -DBLIND_EQUALIZE -DSTRAYS=1 -DTRIES=1 -DOBSERVERS=1
 *   run blind-replain            fails:store_lost               -DBLIND_REPLAIN -DSTRAYS=1 -DTRIES=1
 *   run no-replain               fails:not_plain_after_restore  -DNO_REPLAIN
 *   run noted-early              fails:rule_contents            -DSTRAYS=1 -DTRIES=1 -DNOTE_EARLY
 *   run noted-once               fails:rule_contents            -DSTRAYS=1 -DTRIES=1 -DNOTE_ONCE
 *   run head-last                fails:neither_head_nor_tail    -DHEAD_LAST -DLOOKUP -DLOOKUP_IN_RCU -DKEY_GP
 *   run flags-first              fails:neither_head_nor_tail    -DFLAGS_FIRST -DLOOKUP -DLOOKUP_IN_RCU -DKEY_GP
 *   run two-updaters             fails:page_lost                -DTWO_UPDATERS
 *
 * Recovery:
 *   run no-recovery              fails:unrecovered_store        -DSTRAYS=1 -DNO_RECOVERY
 *   run no-recovery-tlbi         fails:rule_writable            -DSTRAYS=1 -DTRIES=1 -DNO_RECOVERY_TLBI
 *   run no-recovery-tlbi-harm    fails:store_lost               -DSTRAYS=1 -DTRIES=1 -DNO_RECOVERY_TLBI -DNO_RULES -DOBSERVERS=1
 *   run no-stale-tlbi            cycle:found                    -DSTRAYS=1 -DTRIES=1 -DNO_STALE_TLBI
 *   run handler-locks            fails:somebody_waits           -DSTRAYS=1 -DLOCKING -DWATCH
 *   run handler-locks-elsewhere  fails:somebody_waits           -DSTRAYS=1 -DOTHER_CPU -DLOCKING -DWATCH -DHALTS
 *   run handler-no-rcu           fails:rule_writable            -DSTRAYS=1 -DTRIES=1 -DNO_HANDLER_RCU
 *   run handler-no-rcu-harm      fails:store_lost               -DSTRAYS=2 -DTRIES=1 -DNO_HANDLER_RCU -DNO_RULES -DOBSERVERS=1 -DFLAG_A_ONLY
 *   run handler-keeps-value      fails:rule_writable            -DSTRAYS=1 -DTRIES=1 -DNO_HANDLER_RCU -DHANDLER_KEEPS_VALUE
 *   run roll-back-no-gp          fails:rule_writable            -DSTRAYS=2 -DTRIES=1 -DNO_GP_ROLL_BACK
 *   run strict-contents          fails:rule_contents            -DSTRAYS=1 -DTRIES=1 -DSTRICT
 *   run strict-head              fails:rule_contents            -DSTRAYS=1 -DTRIES=1 -DSTRICT -DSTRAY_HEAD
 *   run strict-flags             fails:store_lost               -DSTRAYS=2 -DTRIES=1 -DSTRICT_FLAGS -DFLAG_A_ONLY
 *
 * References: which test, which grace period:
 *   run no-retest                pass                           -DTAKER -DNO_RETEST -DNO_RECOVERY
 *   run no-test                  pass                           -DTAKER -DNO_TEST -DNO_RECOVERY
 *   run no-test-no-retest        fails:ref_through_fake_head    -DTAKER -DNO_TEST -DNO_RETEST
 *   run test-first               fails:ref_through_fake_head    -DTAKER -DTEST_FIRST -DNO_RETEST
 *   run test-first-retest        pass                           -DTAKER -DTEST_FIRST -DNO_RECOVERY
 *   run no-gp                    fails:unrecovered_store        -DTAKER -DNO_GP_OPTIMIZE -DNO_RECOVERY
 *   run no-gp-no-retest          fails:ref_through_fake_head    -DTAKER -DNO_GP_OPTIMIZE -DALWAYS_TESTED -DNO_RETEST
 *   run no-gp-no-test            pass                           -DTAKER -DNO_GP_OPTIMIZE -DALWAYS_TESTED -DNO_TEST
 *   run no-gp-recovered          fails:ref_through_fake_head    -DTAKER -DNO_GP_OPTIMIZE
 *   run no-gp-always-tested      pass:recovered                 -DTAKER -DNO_GP_OPTIMIZE -DALWAYS_TESTED
 *   run no-drop                  fails:somebody_waits           -DTAKER -DNO_GP_OPTIMIZE -DALWAYS_TESTED -DNO_DROP -DWATCH
 *   run drop-twice               fails:refcount_wrong           -DTAKER -DNO_GP_OPTIMIZE -DALWAYS_TESTED -DDROP_TWICE
 *   run no-gp-restore            pass                           -DTAKER -DNO_GP_RESTORE -DNO_RECOVERY
 *   run no-gp-restore-first      fails:unrecovered_store        -DTAKER -DTEST_FIRST -DNO_GP_RESTORE -DNO_RECOVERY
 *   run no-gp-restore-no-test    fails:unrecovered_store        -DTAKER -DNO_TEST -DNO_GP_RESTORE -DNO_RECOVERY
 *   run no-gp-restore-stray      fails:rule_writable            -DSTRAYS=1 -DTRIES=1 -DNO_GP_RESTORE
 *   run final-read-only          fails:unrecovered_store        -DTAKER -DTEST_FIRST -DFINAL_READ_ONLY -DNO_RECOVERY
 *
 * memory_failure():
 *   run mf-outside               fails:poison_missed            -DSTRAYS=1 -DTRIES=1 -DMEMORY_FAILURE -DMEMORY_FAILURE_OUTSIDE
 *   run mf-no-gp                 fails:poison_missed            -DSTRAYS=1 -DTRIES=1 -DMEMORY_FAILURE -DNO_GP_OPTIMIZE
 *   run mf-no-head-check         fails:poison_missed            -DSTRAYS=1 -DTRIES=1 -DMEMORY_FAILURE -DSTRAY_HEAD -DNO_HEAD_CHECK
 *
 * Lookups:
 *   run lookup-no-reread         fails:neither_head_nor_tail    -DLOOKUP -DLOOKUP_IN_RCU -DKEY_GP -DNO_REREAD
 *   run lookup                   pass                           -DLOOKUP -DLOOKUP_IN_RCU -DKEY_GP -DCYCLES=2
 *   run lookup-roll-back-drops   fails:neither_head_nor_tail    -DLOOKUP -DLOOKUP_IN_RCU -DKEY_GP -DSTRAYS=1 -DTRIES=1
 *   run lookup-key-drops         fails:neither_head_nor_tail    -DLOOKUP -DLOOKUP_IN_RCU
 *   run lookup-no-rcu            fails:neither_head_nor_tail    -DLOOKUP -DLOOKUP_NO_KEY -DCYCLES=2
 *   run key-late                 fails:neither_head_nor_tail    -DLOOKUP -DLOOKUP_IN_RCU -DKEY_GP -DKEY_LATE
 *   run key-early                fails:neither_head_nor_tail    -DLOOKUP -DLOOKUP_IN_RCU -DKEY_EARLY
 */
#include "vmemmap_shadow_chain.h"

#ifndef OBSERVERS
#define OBSERVERS 0
#endif
#ifndef STRAYS
#define STRAYS 0
#endif
#ifndef TRIES
#define TRIES 2
#endif
#ifndef CYCLES
#define CYCLES 1
#endif
#ifndef NO_TLBI
#define NO_TLBI 0
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
hidden byte poison_missed;		/* memory_failure() beat the plain check */
hidden byte ref_through_fake_head;	/* a reference, to the wrong page */
hidden byte refcount_wrong;		/* taken or dropped once too often */
hidden byte neither_head_nor_tail;	/* compound_head() gave a tail */
hidden byte not_plain_after_restore;	/* unfit for the page allocator */
hidden byte page_lost;			/* neither mapped nor freed, or both */
hidden byte somebody_waits;		/* the end is never reached */

/* Places that a run is expected to reach. */
hidden byte reached_roll_back, reached_gave_up, reached_recovered, reached_stale, reached_halted;

#define CHECK(name, cond)	assert((cond) || name)
#ifdef NO_RULES
#define RULE(name, cond)	skip
#else
#define RULE(name, cond)	CHECK(name, cond)
#endif

/* ------------------------------------------------------------------------ */
/* Pages								    */

#define NT		2			/* tail entries */
#define HEAD		0			/* the head's vmemmap page */
#define OWN(e)		(1 + (e))		/* those of the tails, */
#define FRESH(e)	(1 + NT + (e))		/* those they get at restore */
#define NPAGES		5

/* What a page's first struct page says of itself, in the order of its life. */
#define ORDER0		0	/* an order-0 page, in a life before the folio */
#define TAIL		1	/* plain tail */
#define TURNING		2	/* PG_head set, compound_head has bit 0 still */
#define FAKE		3	/* fake head; in the head's page, the head */
#define RETURNING	4	/* bit 0 set again, PG_head not cleared yet */
#define AGAIN		5	/* plain tail again */
#define JUNK		6	/* what the next owner of the page wrote */
#define TURNING_BAD	7	/* bit 0 clear and no PG_head: neither */

#define IS_PLAIN(k)	((k) == TAIL || (k) == AGAIN)
#define BIT0_SET(k)	(IS_PLAIN(k) || (k) == TURNING || (k) == RETURNING)
#define PG_HEAD_SET(k)	((k) == TURNING || (k) == FAKE || (k) == RETURNING)

byte kind[NPAGES];
byte ref[NPAGES];		/* reference count of the first struct page */
bit flag_a[NPAGES];		/* a flag in the first struct page */
bit flag_b[NPAGES];		/* one in a struct page further back */
bit freed[NPAGES];

/* ------------------------------------------------------------------------ */
/* Entries and TLBs							    */

#define NCPUS		3

byte tag[NT];
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
#define ANY_WRITABLE	682
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
#define ONE_PAGE(s)	(ONLY(s, 0) || ONLY(s, 1) || ONLY(s, 2) || ONLY(s, 3) || ONLY(s, 4))

/*
 * Contents are equal. The struct pages of all tail entries that map the head's
 * page are the same bytes, and so are the head page's own: a stray store to one
 * changes all. What such a store changes does not count here until the next round
 * has completed, except with -DSTRICT.
 */
#define SAME_FLAGS(p, q) (flag_a[p] == flag_a[q] && flag_b[p] == flag_b[q])
#if STRAYS && !defined(STRICT)
bit head_strayed;
#define SAME(p, q)	(kind[p] == kind[q] && ref[p] == ref[q] && (head_strayed || SAME_FLAGS(p, q)))
#else
#define SAME(p, q)	(kind[p] == kind[q] && ref[p] == ref[q] && SAME_FLAGS(p, q))
#endif
#define SAME_IF(s, p, q) (!HAS(s, p) || SAME(p, q))

/*
 * The rule: two output addresses of an entry may be live at the same time only
 * if both are read-only and the contents are the same. This process can move
 * only in a state where that does not hold. It is looked at first in every one.
 */
#define ALL_LIVE(e)	(LIVE(0, e) | LIVE(1, e) | LIVE(2, e))
#define SAME_ALL(s, p)	(SAME_IF(s, 0, p) && SAME_IF(s, 1, p) && SAME_IF(s, 2, p) &&	\
			 SAME_IF(s, 3, p) && SAME_IF(s, 4, p))
#ifndef NO_RULES
proctype rules()
{
end:	do
	:: !ONE_PAGE(ALL_LIVE(0)) && (ALL_LIVE(0) & ANY_WRITABLE) -> RULE(rule_writable, false)
	:: !ONE_PAGE(ALL_LIVE(1)) && (ALL_LIVE(1) & ANY_WRITABLE) -> RULE(rule_writable, false)
	:: !ONE_PAGE(ALL_LIVE(0)) && !SAME_ALL(ALL_LIVE(0), oa[0]) -> RULE(rule_contents, false)
	:: !ONE_PAGE(ALL_LIVE(1)) && !SAME_ALL(ALL_LIVE(1), oa[1]) -> RULE(rule_contents, false)
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
	since[(k) * NT + e] = 1024 | NOW(e)
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
#ifdef BREAK_BEFORE_MAKE
	:: !VALID(e) -> CHECK(invalid_entry, false)
#endif
	fi;
	CHECK(freed_page_accessed, !freed[PAGE(x_t)])
}

/* One step of entry e, if it is in state from; page is for join and part. */
inline step(e, from, to, page, ok)
{
	atomic {
		/* C: shadow_step: vmemmap_shadow_step */
		/* C: vmemmap_shadow_step: vmemmap_shadow_cmpxchg */
		/* C: vmemmap_shadow_cmpxchg: cmpxchg_release */
		if
		:: tag[e] == from ->
			RULE(illegal_step, SHADOW_CHAIN_HAS(from, to));
			tag[e] = to;
			if
			:: SHADOW_TAG_MAPS_HEAD(from) != SHADOW_TAG_MAPS_HEAD(to) -> oa[e] = page
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

byte key;			/* hugetlb_optimize_vmemmap_key */
bit typed;			/* the folio is known as HugeTLB's */
bit irq;			/* the updater's CPU is in an interrupt */
bit finished;			/* the updater has finished */
byte alive;			/* actors that have not finished */
#ifdef LOCKING
bit ptl;
#endif

#if STRAYS
/* Where a stray store through the entry went: 1 own page, 2 the head's. */
byte stored_a[NT], stored_b[NT];
#endif

/* ------------------------------------------------------------------------ */
/* The fault handler							    */

/*
 * A TLBI of the handler's own comes before its step, but if it is held up
 * between the two the entry may have left its state and come back to it with
 * another page, or with the same one after a roll-back. So the handler is a
 * reader, and no operation gets as far as that without a grace period.
 */
#ifndef NO_HANDLER_RCU
/* C: __vmemmap_shadow_fault: rcu_read_lock */
/* C: __vmemmap_shadow_fault: shadow_recover */
/* C: __vmemmap_shadow_fault: rcu_read_unlock */
#define HANDLER_LOCK(who)	RCU_LOCK(who)
#define HANDLER_UNLOCK(who)	RCU_UNLOCK(who)
#else
#define HANDLER_LOCK(who)	skip
#define HANDLER_UNLOCK(who)	skip
#endif

/* CPU c stored to entry e and has no leave to. hs and hp are 0 outside. */
inline fault(c, e, who)
{
#ifdef NO_RECOVERY
	CHECK(unrecovered_store, false)
#else
#ifdef LOCKING
	atomic { !ptl -> ptl = 1 };
#endif
	HANDLER_LOCK(who);
	do
	:: atomic {
		hs = tag[e];
#ifdef HANDLER_KEEPS_VALUE
		hp = oa[e];
#endif
		if
		:: SHADOW_TAG_IS_WRITABLE(hs) ->
#ifndef NO_STALE_TLBI
			/* C: shadow_recover: dsb */
			/* C: shadow_recover: __tlbi */
			/* C: shadow_recover: dsb */
			/* C: shadow_recover: isb */
			tlb[(c) * NT + (e)] = NOW(e);
#endif
			hs = 0;
			hp = 0;
			reached_stale = 1;
			break
		:: else
#ifndef NO_RECOVERY_TLBI
			/* C: shadow_recover: vmemmap_shadow_tlbi_one */
			/* C: vmemmap_shadow_tlbi_one: dsb */
			/* C: vmemmap_shadow_tlbi_one: __tlbi */
			-> tlbi_issue(HANDLER_TLBI(c), e)
#endif
		fi
	   };
#ifndef NO_RECOVERY_TLBI
	   atomic {
		/* C: vmemmap_shadow_tlbi_one: __tlbi_sync_s1ish */
		/* C: vmemmap_shadow_tlbi_one: isb */
		tlbi_complete(HANDLER_TLBI(c), e)
	   };
#endif
	   atomic {
		/* C: shadow_recover: vmemmap_shadow_step */
#ifdef HANDLER_KEEPS_VALUE
		if
		:: oa[e] == hp
		:: else -> hs = SHADOW_NR_TAGS
		fi;
		hp = 0;
#endif
		if
		:: tag[e] == hs ->
			tag[e] = (hs == SHADOW_TAG_SEALED -> SHADOW_TAG_OWNED : SHADOW_TAG_SHARED);
			RULE(illegal_step, SHADOW_CHAIN_HAS(hs, tag[e]));
			entry_changed(e);
#ifndef NO_RECOVERY_TLBI
			/* C: shadow_recover: vmemmap_shadow_tlbi_one */
			tlbi_issue(HANDLER_TLBI(c), e);
#endif
			hs = 0;
			reached_recovered = 1;
			break
		:: else -> hs = 0
		fi
	   }
	od;
#ifndef NO_RECOVERY_TLBI
	atomic {
		if
		:: since[HANDLER_TLBI(c) * NT + e] -> tlbi_complete(HANDLER_TLBI(c), e)
		:: else
		fi
	};
#endif
	HANDLER_UNLOCK(who);
#ifdef LOCKING
	ptl = 0
#endif
#endif
}

/* ------------------------------------------------------------------------ */
/* Those who look							    */

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

#if OBSERVERS
/* Reads one tail entry's first struct page and flags, again and again. */
proctype observer(byte c)
{
	byte e, last;

	if
	:: e = 0
	:: e = 1
	fi;
	do
	:: atomic {
		translate(c, e);
		x_v = kind[PAGE(x_t)];
		CHECK(read_backwards, x_v >= last);
		last = x_v;
#if STRAYS
		CHECK(store_lost, !stored_b[e] || flag_b[PAGE(x_t)]);
#ifdef STRICT_FLAGS
		CHECK(store_lost, stored_a[e] != 1 || flag_a[PAGE(x_t)]);
#endif
		CHECK(store_lost, !stored_a[e] || flag_a[PAGE(x_t)] || flag_a[HEAD]);
#endif
		x_v = 0;
		x_t = 0
	   }
	:: finished -> break
	od;
	alive--
}
#endif

#ifdef LOOKUP
/*
 * compound_head() of the first struct page of a tail entry's page, by somebody
 * without a reference: compound_head, the key, the flags, and compound_head
 * again. It must come out as a tail, or a fake head, if it is one from the
 * first load to the last.
 */
#define LOOK(what)	atomic { translate(2, e); found = what(kind[PAGE(x_t)]); x_t = 0 }
proctype lookup()
{
	byte e;
	bit was_order0, found;

	if
	:: e = 0
	:: e = 1
	fi;
	do
	:: finished -> break
	:: else ->
#ifdef LOOKUP_IN_RCU
		RCU_LOCK(LOOKUP_RCU);
#endif
		atomic {
			translate(2, e);
			found = BIT0_SET(kind[PAGE(x_t)]);
			was_order0 = (kind[PAGE(x_t)] == ORDER0);
			x_t = 0
		};
		if
		:: found -> goto out
		:: else
		fi;
#ifndef LOOKUP_NO_KEY
		if
		:: !key -> goto verdict
		:: else
		fi;
#endif
		LOOK(PG_HEAD_SET);
		if
		:: found -> goto out
		:: else
		fi;
#ifndef NO_REREAD
		LOOK(BIT0_SET);
#endif
verdict:	CHECK(neither_head_nor_tail, found || was_order0);
out:		atomic { found = 0; was_order0 = 0 };
#ifdef LOOKUP_IN_RCU
		RCU_UNLOCK(LOOKUP_RCU)
#endif
	od;
	alive--
}
#endif

/* ------------------------------------------------------------------------ */
/* The reference taker							    */

#ifdef TAKER
#define TEST_FAKE							\
	atomic {							\
		translate(1, e);					\
		fake = (key && PG_HEAD_SET(kind[PAGE(x_t)]));		\
		x_t = 0							\
	}
/* page_folio() is another page: it is a fake head, or a tail. */
#define TEST_FOLIO							\
	atomic {							\
		translate(1, e);					\
		fake = (BIT0_SET(kind[PAGE(x_t)]) || key && PG_HEAD_SET(kind[PAGE(x_t)])); \
		x_t = 0							\
	}
#define LOAD_REF	atomic { translate(1, e); r = ref[PAGE(x_t)]; x_t = 0 }

/*
 * page_ref_add_unless(page, 1, 0) of a tail entry's first struct page, as
 * get_page_unless_zero() calls it: look at the key; if it is off, just load and
 * compare-and-exchange the count; if it is on, load the count, test for a fake
 * head, load and compare-and-exchange, test again.
 */
proctype taker()
{
	byte e, r, p, hs, hp;
	bit fake, faulted, guarded;

	if
	:: e = 0
	:: e = 1
	fi;
	RCU_LOCK(TAKER_RCU);
#ifdef ALWAYS_TESTED
	guarded = 1;
#else
	guarded = (key > 0);
#endif
#ifdef TEST_FIRST
	TEST_FAKE;
	if
	:: fake -> goto out
	:: else
	fi;
#endif
#if !defined(TEST_FIRST) && !defined(NO_TEST)
	if
	:: !guarded -> goto add
	:: else
	fi;
	/* C: vmemmap_shadow_ref_add_unless: atomic_read_acquire */
	LOAD_REF;
	if
	:: r == 0 -> goto out
	:: else
	fi;
	/* C: vmemmap_shadow_ref_add_unless: page_is_fake_head */
	TEST_FAKE;
	if
	:: fake -> goto out
	:: else
	fi;
#endif
	/* C: vmemmap_shadow_ref_add_unless: atomic_add_unless */
add:	LOAD_REF;
again:	if
	:: r == 0 -> goto out
	:: else
	fi;
	/* An arm64 CAS needs leave to write even if its comparison fails. */
	atomic {
		translate(1, e);
		p = PAGE(x_t);
		faulted = !MAY_WRITE(x_t);
		x_t = 0;
		if
		:: faulted -> p = 0
		:: !faulted && ref[p] == r -> ref[p]++; goto took
		:: else -> r = ref[p]; p = 0; goto again
		fi
	};
	fault(1, e, TAKER_RCU);
	faulted = 0;
	goto again;
took:	r = 0;
#ifndef NO_RETEST
	if
	:: !guarded -> goto taken
	:: else
	fi;
	/* C: vmemmap_shadow_ref_add_unless: page_folio */
	TEST_FOLIO;
	if
	:: fake ->
		/* C: vmemmap_shadow_ref_add_unless: folio_put_refs */
		atomic {
			CHECK(refcount_wrong, p == HEAD && ref[HEAD] > 0);
#ifndef NO_DROP
			ref[HEAD]--;
#endif
#ifdef DROP_TWICE
			CHECK(refcount_wrong, ref[HEAD] > 0);
			ref[HEAD]--;
#endif
			goto out
		}
	:: else
	fi;
#endif
taken:	CHECK(ref_through_fake_head, p != HEAD);
	RCU_UNLOCK(TAKER_RCU);
	atomic {
		CHECK(refcount_wrong, ref[p] > 0);
		ref[p]--;
		goto end
	};
out:	RCU_UNLOCK(TAKER_RCU);
end:	atomic { fake = 0; guarded = 0; r = 0; p = 0; alive-- }
}
#endif

/* ------------------------------------------------------------------------ */
/* Stray writers							    */

#if STRAYS
/* A flag is set in page p; e is the entry that it was reached by. */
inline land(p, in_a)
{
	CHECK(freed_page_accessed, !freed[p]);
	if
	:: in_a ->
		flag_a[p] = 1;
		if
		:: e < NT -> stored_a[e] = (p == HEAD -> 2 : 1)
		:: else
		fi
	:: else ->
		flag_b[p] = 1;
		if
		:: e < NT -> stored_b[e] = (p == HEAD -> 2 : 1)
		:: else
		fi
	fi;
#ifndef STRICT
	if
	:: p == HEAD -> head_strayed = 1
	:: else
	fi;
#endif
}

#ifdef STRAY_HEAD
#define ANY_ENTRY	if :: e = 0 :: e = 1 :: e = NT fi
#else
#define ANY_ENTRY	if :: e = 0 :: e = 1 fi
#endif
#ifdef FLAG_A_ONLY
#define VICTIM		ANY_ENTRY; in_a = 1
#else
#define VICTIM		ANY_ENTRY; if :: in_a = 0 :: in_a = 1 fi
#endif

/*
 * One store by somebody without a reference, such as memory_failure() in 6.12,
 * to a struct page that a tail entry maps, at any time.
 */
proctype stray(byte c)
{
	byte e, hs, hp;
	bit in_a, refused;
#ifdef WITH_REFERENCE
	bit held;
#endif

#ifdef MEMORY_FAILURE
	/* C: vmemmap_shadow_test_set_hwpoison: rcu_read_lock */
#ifndef MEMORY_FAILURE_OUTSIDE
	RCU_LOCK(STRAY_RCU(c));
#endif
	/* C: vmemmap_shadow_test_set_hwpoison: PageHuge */
	if
	:: typed -> goto out
	:: else
	fi;
	/* C: vmemmap_shadow_test_set_hwpoison: TestSetPageHWPoison */
#endif
#ifdef WITH_REFERENCE
	/* As copy_highpage() may: the folio, or what became of it, is in use. */
	atomic {
		if
		:: ref[HEAD] -> ref[HEAD]++
		:: finished
		fi;
		held = !finished
	};
#endif
	atomic {
		VICTIM;
		irq = (c == 0);
		goto store
	};
again:	atomic {
		skip;
store:		if
		:: e == NT -> land(HEAD, in_a); goto out
		:: else ->
			translate(c, e);
			refused = !MAY_WRITE(x_t);
			x_v = PAGE(x_t);
			x_t = 0;
			if
			:: refused
			:: else -> land(x_v, in_a); x_v = 0; goto out
			fi;
			x_v = 0
		fi
	};
	fault(c, e, STRAY_RCU(c));
	refused = 0;
	goto again;
out:
#ifdef MEMORY_FAILURE
	/* C: vmemmap_shadow_test_set_hwpoison: rcu_read_unlock */
	RCU_UNLOCK(STRAY_RCU(c));
#endif
	atomic {
#ifdef WITH_REFERENCE
		if
		:: held -> ref[HEAD]--; held = 0
		:: else
		fi;
#endif
		if
		:: c == 0 -> irq = 0
		:: else
		fi;
		e = 0;
		in_a = 0;
		alive--
	}
}
#endif

/* ------------------------------------------------------------------------ */
/* The updater								    */

/*
 * The page allocator gets page p. It writes to it, or keeps it and gives it back
 * at restore. That it writes at once is the same as at any time later: whoever
 * reads or writes the page from now on is wrong, whatever it holds.
 */
inline free_page(p)
{
	atomic {
		RULE(freed_page_cached, !HAS(ALL_LIVE(0) | ALL_LIVE(1), p));
		CHECK(page_lost, oa[0] != p && oa[1] != p);
		freed[p] = 1;
		hand = hand & ~(1 << p);
		if
		:: true -> kind[p] = JUNK; ref[p] = 1; flag_a[p] = 0; flag_b[p] = 0
		:: true
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
	:: hand == 0 -> break
	od
}

/* The window's TLBI round, of both entries. */
inline tlbi_round()
{
	/* C: shadow_tlbi_round: dsb */
	/* C: shadow_tlbi_round: vmemmap_shadow_tlbi */
	/* C: vmemmap_shadow_tlbi: __flush_tlb_range_op */
	atomic {
		tlbi_issue(UPDATER_TLBI, 0);
		tlbi_issue(UPDATER_TLBI, 1)
	};
	/* C: shadow_tlbi_round: vmemmap_shadow_tlbi_sync */
	/* C: vmemmap_shadow_tlbi_sync: __tlbi_sync_s1ish */
	/* C: vmemmap_shadow_tlbi_sync: isb */
	atomic {
		tlbi_complete(UPDATER_TLBI, 0);
		tlbi_complete(UPDATER_TLBI, 1);
#if STRAYS && !defined(STRICT)
		head_strayed = 0
#endif
	}
}

#define PLAIN_PAGE(p)	(IS_PLAIN(kind[p]) && !ref[p] && !flag_a[p] && !flag_b[p])

/*
 * Make the contents of a sealed page those of the head's; ok if nothing got in
 * between. noted is what the head's first struct page held when it was looked at.
 */
inline equalize(e)
{
	/* C: shadow_equalize: shadow_tail_is_plain */
	atomic {
		own = oa[e];
#ifdef NO_PLAIN_CHECK
		ok = 1;
#else
		ok = PLAIN_PAGE(own);
#endif
		was = flag_a[own]
	};
	if
	:: ok ->
		/* C: shadow_equalize: smp_rmb */
		/* C: shadow_equalize: shadow_tail_is_plain */
#ifndef NO_SEALED_CHECK
		ok = (tag[e] == SHADOW_TAG_SEALED);
#endif
		if
		:: ok ->
#ifdef HEAD_LAST
			/* compound_head loses bit 0 before PG_head is set. */
			atomic { kind[own] = TURNING_BAD };
			atomic { kind[own] = FAKE };
#endif
			/* C: shadow_equalize: shadow_change_word */
			/* C: shadow_change_word: vmemmap_shadow_store */
			/* C: vmemmap_shadow_store: cmpxchg */
			atomic {
				if
#ifdef BLIND_EQUALIZE
				:: true ->
#else
				:: flag_a[own] == was ->
#endif
#ifndef HEAD_LAST
					kind[own] = TURNING;
#endif
					flag_a[own] = noted
#ifndef BLIND_EQUALIZE
				:: else -> ok = 0
#endif
				fi
			};
			if
			:: ok ->
				atomic { kind[own] = FAKE; was = flag_b[own] };
#ifndef NO_SEALED_CHECK
				ok = (tag[e] == SHADOW_TAG_SEALED);
#endif
				atomic {
					if
					:: !ok
#ifdef BLIND_EQUALIZE
					:: else -> flag_b[own] = flag_b[HEAD]
#else
					:: ok && flag_b[own] == was -> flag_b[own] = flag_b[HEAD]
					:: else -> ok = 0
#endif
					fi
				};
				skip
			:: else
			fi
		:: else
		fi
	:: else
	fi;
	atomic { own = 0; was = 0 }
}

inline join(e)
{
	own = oa[e];
	/* C: shadow_join_range: memcmp */
#ifndef NO_EQUALIZE
	ok = kind[own] == kind[HEAD] && ref[own] == ref[HEAD] && SAME_FLAGS(own, HEAD);
#endif
	atomic {
		/* C: shadow_join_range: shadow_step */
		if
		:: ok -> step(e, SHADOW_TAG_SEALED, SHADOW_TAG_JOINED, HEAD, ok)
		:: else
		fi;
		/* C: shadow_join_range: list_add */
		if
		:: ok -> hand = hand | (1 << own)
		:: else
		fi;
		own = 0
	}
}

inline fill(p)
{
	/* C: shadow_fill: vmemmap_shadow_copy */
	/* C: vmemmap_shadow_copy: copy_page */
	/* C: vmemmap_shadow_copy: memcpy */
	atomic { kind[p] = FAKE; ref[p] = 0; flag_a[p] = noted; flag_b[p] = flag_b[HEAD] }
}

/*
 * A page for entry e at restore: a new one, the other entry's if that one has got
 * this one's and so needs none, or by chance the one it once had, if nobody else
 * took it meanwhile.
 */
#define GET_PAGE(e)							\
	if								\
	:: !SHADOW_TAG_MAPS_HEAD(tag[e])				\
	:: SHADOW_TAG_MAPS_HEAD(tag[e]) && !MAPPED(FRESH(e)) ->		\
		hand = hand | (1 << FRESH(e)); freed[FRESH(e)] = 0	\
	:: SHADOW_TAG_MAPS_HEAD(tag[e]) && MAPPED(FRESH(e)) ->		\
		hand = hand | (1 << FRESH(1 - (e))); freed[FRESH(1 - (e))] = 0 \
	:: SHADOW_TAG_MAPS_HEAD(tag[e]) && freed[OWN(e)] && kind[OWN(e)] != JUNK && \
	   !MAPPED(OWN(e)) ->						\
		freed[OWN(e)] = 0; hand = hand | (1 << OWN(e))		\
	fi
#define MAPPED(p)	(oa[0] == (p) || oa[1] == (p))

/* Pages in hand are fungible: any of them. */
inline part(e)
{
	if
	:: tag[e] == SHADOW_TAG_JOINED ->
		/* C: shadow_part_range: shadow_take_page */
		atomic {
			if
			:: hand & 2 -> own = 1
			:: hand & 4 -> own = 2
			:: hand & 8 -> own = 3
			:: hand & 16 -> own = 4
			:: hand == 0 -> CHECK(page_lost, false)
			fi;
			hand = hand & ~(1 << own)
		};
		/* C: shadow_part_range: shadow_fill */
		fill(own);
		/* C: shadow_part_range: shadow_step */
		/* C: shadow_part_range: list_add */
		atomic {
			step(e, SHADOW_TAG_JOINED, SHADOW_TAG_SEALED, own, ok);
			if
			:: ok
			:: else -> hand = hand | (1 << own)
			fi;
			own = 0
		}
	:: else
	fi
}

/* Turn a copy of the head into a plain tail. */
inline replain(e)
{
	/* C: shadow_replain: page_is_fake_head */
	own = oa[e];
	if
	:: kind[own] == FAKE ->
#ifdef BLIND_REPLAIN
		atomic { kind[own] = AGAIN; flag_a[own] = 0; flag_b[own] = 0 };
#else
#ifdef FLAGS_FIRST
		atomic { kind[own] = TURNING_BAD };
#else
		/* C: shadow_replain: shadow_change_word */
		atomic { kind[own] = RETURNING };
#endif
		/* C: shadow_replain: shadow_change_word */
		/* C: shadow_replain: shadow_change_word */
		atomic {
			kind[own] = AGAIN;
			if
			:: noted -> flag_a[own] = 0
			:: else
			fi
		};
#endif
	:: else
	fi;
	own = 0
}

/* Where a TLBI round can be left out. */
#if NO_TLBI == 1
#define TLBI_O1		skip
#else
#define TLBI_O1		tlbi_round()
#endif
#if NO_TLBI == 2
#define TLBI_O2		skip
#else
#define TLBI_O2		tlbi_round()
#endif
#if NO_TLBI == 3
#define TLBI_O3		skip
#else
#define TLBI_O3		tlbi_round()
#endif
#if NO_TLBI == 4
#define TLBI_R1		skip
#else
#define TLBI_R1		tlbi_round()
#endif
#if NO_TLBI == 5
#define TLBI_R2		skip
#else
#define TLBI_R2		tlbi_round()
#endif
#if NO_TLBI == 6
#define TLBI_R3		skip
#else
#define TLBI_R3		tlbi_round()
#endif

#ifdef LOCKING
#define LOCK_WINDOW	atomic { !ptl -> ptl = 1 }
#define UNLOCK_WINDOW	ptl = 0
#else
#define LOCK_WINDOW	skip
#define UNLOCK_WINDOW	skip
#endif

/* The updater may be held up for good while a window is open. */
#ifdef HALTS
#define HALT		if :: skip :: atomic { reached_halted = 1; alive--; goto end_halted } fi;
#else
#define HALT
#endif

inline replain_range()
{
	/* C: shadow_replain_range: shadow_replain */
#ifdef NO_REPLAIN
	skip
#else
	if
	:: !SHADOW_TAG_MAPS_HEAD(tag[0]) -> replain(0)
	:: else
	fi;
	if
	:: !SHADOW_TAG_MAPS_HEAD(tag[1]) -> replain(1)
	:: else
	fi
#endif
}

/* Take both entries to OWNED from wherever they are; gave_up if not. */
inline restore_window()
{
	tries = 0;
	do
	:: tries < TRIES ->
		LOCK_WINDOW;
#ifdef NOTE_EARLY
		noted = flag_a[HEAD];
#endif
		/* C: shadow_restore_window: shadow_tlbi_round */
		if
		:: tries -> tlbi_round()
		:: else
		fi;
		/* C: shadow_restore_window: shadow_step_those */
		/* C: shadow_step_those: shadow_step */
		step(0, SHADOW_TAG_SHARED, SHADOW_TAG_JOINED, 0, ok);
		step(1, SHADOW_TAG_SHARED, SHADOW_TAG_JOINED, 0, ok);
		/* C: shadow_restore_window: shadow_tlbi_round */
		TLBI_R1;
		HALT
		/* C: shadow_restore_window: shadow_batch_note */
#if !defined(NOTE_EARLY) && !defined(NOTE_ONCE)
		noted = flag_a[HEAD];
#endif
		/* C: shadow_restore_window: shadow_part_range */
		part(0);
		part(1);
		HALT
		/* C: shadow_restore_window: shadow_tlbi_round */
		TLBI_R2;
		/* C: shadow_restore_window: shadow_replain_range */
		replain_range();
		/* C: shadow_restore_window: shadow_step_those */
		step(0, SHADOW_TAG_SEALED, SHADOW_TAG_OWNED, 0, ok);
		step(1, SHADOW_TAG_SEALED, SHADOW_TAG_OWNED, 0, ok);
		/* C: shadow_restore_window: shadow_tlbi_round */
		TLBI_R3;
		UNLOCK_WINDOW;
		/* C: shadow_restore_window: shadow_all_in */
		if
		:: tag[0] == SHADOW_TAG_OWNED && tag[1] == SHADOW_TAG_OWNED -> break
		:: else -> tries++
		fi
	:: else ->
		/* C: shadow_restore_window: shadow_step_those */
		step(0, SHADOW_TAG_JOINED, SHADOW_TAG_SHARED, 0, ok);
		step(1, SHADOW_TAG_JOINED, SHADOW_TAG_SHARED, 0, ok);
		/* C: shadow_restore_window: shadow_tlbi_round */
		tlbi_round();
		gave_up = 1;
		reached_gave_up = 1;
		break
	od;
	atomic { tries = 0; ok = 0 }
}

/* The page of tail entry e ends its life as an order-0 page. */
inline previous_life(e)
{
	atomic {
		ref[OWN(e)]--
	};
	atomic {
		ref[OWN(e)] == 0 -> kind[OWN(e)] = TAIL
	}
}

#ifdef DIRECT
/* As on x86: from one page to the other in one step, both writable. */
inline direct(e)
{
	atomic {
		hand = hand | (1 << oa[e]);
		tag[e] = SHADOW_TAG_SHARED;
		oa[e] = HEAD;
		entry_changed(e)
	}
}
#endif

#ifdef BREAK_BEFORE_MAKE
inline set_broken(e, v)
{
	atomic {
		if
		:: v
		:: else -> hand = hand | (1 << oa[e]); tag[e] = SHADOW_TAG_SHARED; oa[e] = HEAD
		fi;
		broken[e] = v;
		entry_changed(e)
	}
}
#endif

proctype updater(byte u) provided (!irq)
{
	byte hand, own, tries;
	bit ok, was, noted, gave_up;
#if CYCLES > 1
	byte cycle;
#endif

#ifdef TWO_UPDATERS
	if
	:: u == 1 -> typed; goto optimize
	:: else
	fi;
#endif
	previous_life(0);
	previous_life(1);
	typed = 1;
optimize:
#ifndef KEY_LATE
	/* C: vmemmap_shadow_optimize_folio: shadow_mark */
	/* C: vmemmap_shadow_optimize_folios: shadow_mark */
	/* C: shadow_mark: static_branch_inc */
	/* C: shadow_mark: folio_set_hugetlb_vmemmap_optimized */
	key++;
#endif
	/* C: vmemmap_shadow_optimize_folio: shadow_wait_readers */
	/* C: vmemmap_shadow_optimize_folios: shadow_wait_readers */
	/* C: shadow_wait_readers: vmemmap_shadow_wait_readers */
#ifndef NO_GP_OPTIMIZE
	grace_period(u);
#endif

#if defined(DIRECT)
	direct(0);
	direct(1);
	tlbi_round();
	free_pages();
	goto optimized;
#elif defined(BREAK_BEFORE_MAKE)
	set_broken(0, 1);
	set_broken(1, 1);
	tlbi_round();
	set_broken(0, 0);
	set_broken(1, 0);
	free_pages();
	goto optimized;
#endif
	/* C: vmemmap_shadow_optimize_folio: shadow_optimize_batch */
	/* C: vmemmap_shadow_optimize_folios: shadow_optimize_batch */
	/* C: vmemmap_shadow_optimize_folios: shadow_optimize_batch */
	/* C: shadow_optimize_batch: shadow_batch_note */
	noted = flag_a[HEAD];
	/* C: shadow_optimize_batch: shadow_head_is_plain */
#ifdef NO_HEAD_CHECK
	ok = 1;
#else
	ok = !flag_b[HEAD];
#endif
	/* C: shadow_optimize_batch: shadow_optimize_window */
#ifdef SKIP_A_STATE
	step(0, SHADOW_TAG_OWNED, SHADOW_TAG_JOINED, HEAD, ok);
#endif
	LOCK_WINDOW;
	/* C: shadow_optimize_window: shadow_step_all */
	/* C: shadow_step_all: shadow_step */
	if
	:: ok -> step(0, SHADOW_TAG_OWNED, SHADOW_TAG_SEALED, 0, ok)
	:: else
	fi;
	if
	:: ok -> step(1, SHADOW_TAG_OWNED, SHADOW_TAG_SEALED, 0, ok)
	:: else
	fi;
	/* C: shadow_optimize_window: shadow_tlbi_round */
	TLBI_O1;
	HALT
	/* C: shadow_optimize_window: shadow_equalize_range */
	/* C: shadow_equalize_range: shadow_equalize */
#ifndef NO_EQUALIZE
	if
	:: ok -> equalize(0)
	:: else
	fi;
	if
	:: ok -> equalize(1)
	:: else
	fi;
#endif
	/* C: shadow_optimize_window: shadow_join_range */
	if
	:: ok -> join(0)
	:: else
	fi;
	if
	:: ok -> join(1)
	:: else
	fi;
#ifdef FREE_EARLY
	if
	:: ok -> free_pages()
	:: else
	fi;
#endif
	HALT
	/* C: shadow_optimize_window: shadow_tlbi_round */
	TLBI_O2;
#ifndef FINAL_READ_ONLY
	/* C: shadow_optimize_window: shadow_step_all */
	if
	:: ok -> step(0, SHADOW_TAG_JOINED, SHADOW_TAG_SHARED, 0, ok)
	:: else
	fi;
	if
	:: ok -> step(1, SHADOW_TAG_JOINED, SHADOW_TAG_SHARED, 0, ok)
	:: else
	fi;
#endif
	/* C: shadow_optimize_window: shadow_tlbi_round */
	TLBI_O3;
	UNLOCK_WINDOW;
	if
	:: ok ->
#ifdef MEMORY_FAILURE
		CHECK(poison_missed, !flag_b[HEAD] && !stored_a[0] && !stored_a[1] && !stored_b[0] && !stored_b[1])
#endif
	:: else ->
		/* C: shadow_optimize_batch: shadow_wait_readers */
#ifndef NO_GP_ROLL_BACK
		grace_period(u);
#endif
		/* C: shadow_optimize_batch: shadow_roll_back */
		/* C: shadow_roll_back: shadow_tlbi_round */
		tlbi_round();
		/* C: shadow_roll_back: shadow_replain_range */
		replain_range();
		/* C: shadow_roll_back: shadow_restore_batch */
		reached_roll_back = 1;
		restore_window();
		if
		:: !gave_up -> key--
		:: else
		fi
	fi;
	/* C: shadow_optimize_batch: shadow_release */
	/* C: shadow_release: shadow_free_pages */
	/* C: shadow_free_pages: vmemmap_shadow_free_page */
	/* C: vmemmap_shadow_free_page: free_bootmem_page */
	/* C: vmemmap_shadow_free_page: __free_page */
	free_pages();
#ifdef KEY_LATE
	key++;
#endif
#ifdef TWO_UPDATERS
	if
	:: u == 1 -> goto gone
	:: else
	fi;
#endif
#if defined(DIRECT) || defined(BREAK_BEFORE_MAKE)
optimized:
#endif
	/* The folio is handed out, and freed when the last reference is dropped. */
	ref[HEAD] = 1;
	atomic { CHECK(refcount_wrong, ref[HEAD] > 0); ref[HEAD]-- };
	ref[HEAD] == 0;

	if
	:: !SHADOW_TAG_MAPS_HEAD(tag[0]) && !SHADOW_TAG_MAPS_HEAD(tag[1]) -> goto end
	:: else
	fi;
#ifdef KEY_EARLY
	key--;
#endif
	/* C: vmemmap_shadow_restore_folio: shadow_alloc_for */
	/* C: vmemmap_shadow_restore_folios: shadow_alloc_for */
	atomic {
		gave_up = 0;
		GET_PAGE(0);
		GET_PAGE(1)
	};
	/* C: vmemmap_shadow_restore_folio: shadow_wait_readers */
	/* C: vmemmap_shadow_restore_folios: shadow_wait_readers */
#ifndef NO_GP_RESTORE
	grace_period(u);
#endif
#ifdef NOTE_ONCE
	noted = flag_a[HEAD];
#endif
	/* C: vmemmap_shadow_restore_folio: shadow_restore_batch */
	/* C: vmemmap_shadow_restore_folios: shadow_restore_batch */
	/* C: shadow_restore_batch: shadow_restore_window */
	restore_window();
	/* C: vmemmap_shadow_restore_folio: shadow_release */
	/* C: vmemmap_shadow_restore_folios: shadow_release */
	free_pages();
#ifndef KEY_EARLY
	/* C: shadow_restore_batch: shadow_unmark */
	/* C: shadow_unmark: folio_clear_hugetlb_vmemmap_optimized */
	/* C: shadow_unmark: static_branch_dec */
	/* P: shadow_restore_batch: shadow_wait_readers */
#ifdef KEY_GP
	grace_period(u);
#endif
	if
	:: !gave_up -> key--
	:: else
	fi;
#endif
end:
#if CYCLES > 1
	if
	:: cycle + 1 < CYCLES && !gave_up ->
		atomic { cycle++; kind[oa[0]] = TAIL; kind[oa[1]] = TAIL; goto optimize }
	:: else
	fi;
#endif
	atomic {
		CHECK(not_plain_after_restore, tag[0] != SHADOW_TAG_OWNED || (IS_PLAIN(kind[oa[0]]) && !ref[oa[0]]));
		CHECK(not_plain_after_restore, tag[1] != SHADOW_TAG_OWNED || (IS_PLAIN(kind[oa[1]]) && !ref[oa[1]]));
		CHECK(refcount_wrong, ref[HEAD] == 0);
#if STRAYS
		CHECK(store_lost, (!stored_b[0] || flag_b[oa[0]]) && (!stored_b[1] || flag_b[oa[1]]));
#ifdef STRICT_FLAGS
		CHECK(store_lost, stored_a[0] != 1 || flag_a[oa[0]]);
#endif
		CHECK(store_lost, !stored_a[0] || flag_a[oa[0]] || flag_a[HEAD]);
		CHECK(store_lost, !stored_a[1] || flag_a[oa[1]] || flag_a[HEAD]);
#endif
		CHECK(page_lost, !hand && oa[0] != oa[1] || SHADOW_TAG_MAPS_HEAD(tag[0]));
		CHECK(page_lost, gave_up || (tag[0] == SHADOW_TAG_OWNED && tag[1] == SHADOW_TAG_OWNED));
		finished = 1
	};
gone:	alive--;
#ifdef HALTS
	goto ended;
end_halted:
	false;
ended:
#endif
	skip
}

/* ------------------------------------------------------------------------ */

/* With nobody left who can move, all must have finished. */
#ifdef WATCH
active proctype watch()
{
	timeout -> CHECK(somebody_waits, !alive)
}
#endif

init {
	atomic {
		kind[HEAD] = FAKE;
#ifdef KEY_PINNED
		/* Another folio is optimized all the time. */
		key = 1;
#endif
		oa[0] = OWN(0);
		oa[1] = OWN(1);
		ref[OWN(0)] = 1;
		ref[OWN(1)] = 1;
		entry_changed(0);
		entry_changed(1);
#define START(p)	alive++; run p
		START(updater(0));
#ifdef TWO_UPDATERS
		START(updater(1));
#endif
#ifdef LITERAL
#if STRAYS
		run walker(0);
#endif
		run walker(1);
		run walker(2);
#endif
#if OBSERVERS > 0
		START(observer(1));
#endif
#if OBSERVERS > 1
		START(observer(2));
#endif
#ifdef TAKER
		START(taker());
#endif
#ifdef LOOKUP
		START(lookup());
#endif
#if STRAYS == 1 && defined(OTHER_CPU)
		START(stray(2));
#elif STRAYS == 1
		if
		:: START(stray(0))
		:: START(stray(2))
		fi;
#elif STRAYS == 2
		START(stray(0));
		START(stray(2));
#endif
#ifndef NO_RULES
		run rules();
#endif
		skip
	}
}
