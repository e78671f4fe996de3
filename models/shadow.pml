/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The protocol of the shadow vmemmap, for SPIN. See README.md beside this file.
 *
 * Covers: one updater that takes the tail entries of a folio through the chain
 * and back, as arch/arm64/mm/vmemmap_shadow*.c does it, entries left, retries and
 * giving up included; TLBs; observers; a speculative reference taker whose page
 * had a life before the folio; lookups of the head; stray writers without a
 * reference, on any CPU, also in interrupts of the updater's, with the fault
 * handler; memory_failure(); the page allocator, which writes to what it gets.
 *
 * Bounds: one folio, two tail entries (THREE: three) in one window (WINDOWS=2:
 * in two); three CPUs, the updater's and two more; one optimize and one restore
 * (CYCLES=2: two of each); a page is four words: what its first struct page says
 * of itself (flags and compound_head), that one's reference count, a word of its
 * first struct page that is not that of a plain tail in the head, and a flag in
 * one behind those that struct folio overlays; at most two stray stores, one
 * taker, one lookup; two tries of a restore instead of eight.
 *
 * Leaves out: weak memory order. SPIN interleaves whole steps, each seen by
 * everybody at once. What barriers do is for the litmus tests beside this file,
 * stale faults after a completed TLBI (AARCH-24989) among them. The two words of
 * a tail that say nothing, and are made 0 before the seal, are not there either:
 * that store is blind, so it would lose a stray one to the same word at any time,
 * before the seal or behind it, and rests on nobody's storing to them. That they
 * may be otherwise for all that is ODD. Nor are there
 * batches of folios, pages of boot memory, allocation failures, hot-remove, time
 * (preemption is off while two output addresses are live), or a handler that is
 * interrupted on its own CPU by one more store to the same entry, which is no
 * different from one on another CPU. Handlers retry a stale fault as often as it
 * comes.
 *
 * A stray store is to a flag of a word, which adds that, or with -DWORDS to all
 * of it. The head's own struct pages are written without a reference only while
 * the folio is in a pool or in use; HEAD_IN_FLIGHT is without that.
 *
 * TLBs, steps and what both protocols have in common is chain.pml's.
 *
 * The protocol as it is to be. No run lets contents differ in any word:
 *   run chain                    pass                           -DOBSERVERS=2
 *   run chain-windows            pass                           -DOBSERVERS=1 -DWINDOWS=2
 *   run chain-literal            pass                           -DLITERAL -DOBSERVERS=1
 *   run taker                    pass                           -DTAKER -DOBSERVERS=1
 *   run taker-no-fault           pass                           -DTAKER -DNO_RECOVERY
 *   run lookup                   pass                           -DLOOKUP -DLOOKUP_IN_RCU -DCYCLES=2
 *   run lookup-stray             pass:left                 -DLOOKUP -DLOOKUP_IN_RCU -DSTRAYS=1 -DTRIES=1 -DFLAG_A_ONLY
 *   run strict-contents          pass:recovered,barred,stale,waited,left -DSTRAYS=1
 *   run strict-windows           pass:recovered,barred,gave_up,left -DSTRAYS=1 -DTRIES=1 -DWINDOWS=2
 *   run strict-words             pass:recovered,barred,left -DSTRAYS=1 -DWORDS
 *   run strict-head              pass:recovered,barred,left -DSTRAYS=1 -DTRIES=1 -DSTRAY_HEAD
 *   run words                    pass                           -DODD=1 -DOBSERVERS=1
 *   run words-lookup             pass                           -DODD=2 -DLOOKUP -DLOOKUP_IN_RCU
 *   run words-stray              pass:recovered,barred,left -DODD=1 -DSTRAYS=1 -DTRIES=1
 *   run words-own-stray          pass:recovered,barred,left -DODD=2 -DSTRAYS=1 -DTRIES=1 -DWORDS -DWINDOWS=2
 *   run stray                    pass:recovered,gave_up         -DSTRAYS=1 -DTRIES=1 -DOBSERVERS=1
 *   run strays                   pass:recovered,gave_up,left -DSTRAYS=2 -DTRIES=1 -DSPLIT
 *   run strays-elsewhere         pass:recovered,waited,gave_up,left -DSTRAYS=2 -DTRIES=1 -DSPLIT -DOTHER_CPU
 *   run stray-twice              pass:recovered,left       -DSTRAYS=1 -DTRIES=1 -DCYCLES=2
 *   run stray-taker              pass:recovered                 -DSTRAYS=1 -DTRIES=1 -DTAKER -DFLAG_A_ONLY
 *   run taker-literal            pass                           -DLITERAL -DTAKER -DNO_RECOVERY
 *   run memory-failure           pass                           -DSTRAYS=1 -DMEMORY_FAILURE -DSTRAY_HEAD -DNO_RECOVERY
 *   run with-reference           pass                           -DSTRAYS=1 -DWITH_REFERENCE -DNO_RECOVERY
 *   run nobody-waits             pass:halted                    -DSTRAYS=1 -DTRIES=1 -DWATCH -DHALTS
 *   run terminates               cycle:none                     -DSTRAYS=1 -DTRIES=1
 *   run three-big                big:pass                       -DTHREE -DOBSERVERS=1
 *   run three-strict-big         big:pass                       -DTHREE -DSTRAYS=1 -DTRIES=1 -DFLAG_A_ONLY -DWINDOWS=2
 *   run stray-literal-big        big:pass                       -DLITERAL -DSTRAYS=1 -DTRIES=1 -DFLAG_A_ONLY -DOTHER_CPU
 *   run literal-big              big:pass                       -DLITERAL -DOBSERVERS=2
 *   run stray-tries-big          big:pass                       -DSTRAYS=1 -DOBSERVERS=1
 *   run strays-big               big:pass                       -DSTRAYS=2 -DTRIES=1 -DFLAG_A_ONLY
 *   run strays-elsewhere-big     big:pass                       -DSTRAYS=2 -DTRIES=1 -DFLAG_A_ONLY -DOTHER_CPU
 *   run strays-tries-big         big:pass                       -DSTRAYS=2 -DTRIES=2 -DSPLIT -DOTHER_CPU
 *   run no-gp-stray-big          big:pass                       -DNO_GP_OPTIMIZE -DSTRAYS=1 -DTRIES=1 -DCYCLES=2
 *   run stray-taker-big          big:pass                       -DSTRAYS=1 -DTRIES=1 -DTAKER -DFLAG_A_ONLY -DOBSERVERS=1
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
 *   run no-sealed-check          fails:store_lost               -DNO_SEALED_CHECK -DODD=1 -DSTRAYS=1 -DTRIES=1 -DOBSERVERS=1
 *   run no-sealed-check-same     pass:recovered,left       -DNO_SEALED_CHECK -DSTRAYS=1 -DTRIES=1 -DOBSERVERS=1
 *   run not-uniform              fails:rule_contents            -DODD=1 -DNOT_UNIFORM
 *   run not-compared             fails:rule_contents            -DODD=2 -DNOT_COMPARED
 *   run not-compared-stray       fails:rule_contents            -DNOT_COMPARED -DSTRAYS=1 -DTRIES=1
 *   run blind-equalize           fails:store_lost               -DBLIND_EQUALIZE -DSTRAYS=1 -DTRIES=1 -DOBSERVERS=1
 *   run blind-equalize-words     fails:store_lost               -DBLIND_EQUALIZE -DODD=1 -DSTRAYS=1 -DTRIES=1 -DOBSERVERS=1
 *   run blind-replain            fails:store_lost               -DBLIND_REPLAIN -DSTRAYS=1 -DTRIES=1
 *   run no-replain               fails:not_plain_after_restore  -DNO_REPLAIN
 *   run replain-once             fails:not_plain_after_restore  -DREPLAIN_ONCE -DSTRAYS=1 -DWORDS
 *   run no-note                  fails:not_plain_after_restore  -DNO_NOTE -DSTRAYS=1 -DTRIES=1 -DWORDS
 *   run no-note-flags            pass:left                 -DNO_NOTE -DSTRAYS=1 -DTRIES=1
 *   run noted-early              fails:rule_contents            -DSTRAYS=1 -DTRIES=1 -DNOTE_EARLY
 *   run noted-once               fails:rule_contents            -DSTRAYS=1 -DTRIES=1 -DNOTE_ONCE
 *   run head-in-flight           fails:rule_contents            -DHEAD_IN_FLIGHT -DSTRAYS=1 -DTRIES=1 -DSTRAY_HEAD
 *   run head-last                fails:neither_head_nor_tail    -DHEAD_LAST -DLOOKUP -DLOOKUP_IN_RCU
 *   run flags-first              fails:neither_head_nor_tail    -DFLAGS_FIRST -DLOOKUP -DLOOKUP_IN_RCU
 *   run left-as-it-is            fails:not_plain_after_restore  -DLEFT_AS_IT_IS -DSTRAYS=1 -DTRIES=1
 *   run not-barred               fails:rule_contents            -DNOT_BARRED -DODD=1 -DSTRAYS=1 -DTRIES=1
 *   run two-updaters             fails:rule_writable            -DTWO_UPDATERS
 *   run held-anyway              fails:page_lost                -DHELD_ANYWAY -DSTRAYS=1 -DTRIES=1 -DNO_RULES
 *
 * All entries sealed first, none opened before the last is joined or parted:
 *   run seal-late-optimize       fails:rule_contents            -DSEAL_LATE=1 -DWINDOWS=2 -DSTRAYS=1 -DTRIES=1
 *   run seal-late-restore        fails:rule_contents            -DSEAL_LATE=2 -DWINDOWS=2 -DSTRAYS=1 -DTRIES=1
 *   run open-early-optimize      fails:rule_contents            -DOPEN_EARLY=1 -DWINDOWS=2 -DSTRAYS=1 -DTRIES=1
 *   run open-early-restore       pass:recovered,left       -DOPEN_EARLY=2 -DWINDOWS=2 -DSTRAYS=1 -DTRIES=1
 *
 * Handlers in flight:
 *   run no-wait-restore          fails:rule_writable            -DNO_WAIT=1 -DSTRAYS=1 -DTRIES=1
 *   run wait-early               fails:rule_contents            -DWAIT_EARLY -DSTRAYS=2 -DSPLIT -DOTHER_CPU
 *   run wait-before-round        pass:recovered,waited,left -DWAIT_BEFORE_ROUND -DSTRAYS=1
 *   run no-check                 fails:rule_contents            -DNO_CHECK -DSTRAYS=1 -DTRIES=1
 *   run no-check-of-bars         pass:recovered,barred,left -DNO_CHECK_OF_BARS -DSTRAYS=1
 *   run no-extra-round           pass:recovered,barred,left -DNO_EXTRA_ROUND -DSTRAYS=1
 *   run handler-no-count         fails:rule_writable            -DNO_HANDLER_COUNT -DSTRAYS=1 -DTRIES=1
 *   run handler-counts-late      fails:rule_writable            -DHANDLER_COUNTS_LATE -DSTRAYS=1 -DTRIES=1
 *   run handler-no-rcu           fails:rule_writable            -DNO_HANDLER_RCU -DSTRAYS=1 -DTRIES=1
 *   run handler-no-rcu-harm      fails:store_lost               -DNO_HANDLER_RCU -DSTRAYS=2 -DTRIES=1 -DNO_RULES -DOBSERVERS=1 -DFLAG_A_ONLY
 *
 * Recovery:
 *   run no-recovery              fails:unrecovered_store        -DSTRAYS=1 -DNO_RECOVERY
 *   run handler-opens-own-only   fails:rule_contents            -DHANDLER_OPENS_OWN_ONLY -DSTRAYS=1 -DTRIES=1
 *   run no-bar-tlbi              fails:rule_writable            -DNO_BAR_TLBI -DSTRAYS=1 -DTRIES=1
 *   run bar-own-tlbi             fails:rule_contents            -DBAR_OWN_TLBI -DSTRAYS=1 -DTRIES=1
 *   run unbar-late               fails:rule_contents            -DUNBAR_LATE -DSTRAYS=1 -DTRIES=1
 *   run no-recovery-tlbi         fails:rule_writable            -DSTRAYS=1 -DTRIES=1 -DNO_RECOVERY_TLBI
 *   run no-recovery-tlbi-harm    fails:store_lost               -DSTRAYS=1 -DTRIES=1 -DNO_RECOVERY_TLBI -DNO_RULES -DOBSERVERS=1
 *   run no-stale-tlbi            cycle:found                    -DSTRAYS=1 -DTRIES=1 -DNO_STALE_TLBI
 *   run handler-locks            fails:somebody_waits           -DSTRAYS=1 -DLOCKING -DWATCH
 *   run handler-locks-elsewhere  fails:somebody_waits           -DSTRAYS=1 -DOTHER_CPU -DLOCKING -DWATCH -DHALTS
 *   run strict-flags             fails:store_lost               -DSTRAYS=2 -DTRIES=1 -DSTRICT_FLAGS -DSPLIT
 *
 * References: which test, which grace period:
 *   run no-retest                pass                           -DTAKER -DNO_RETEST -DNO_RECOVERY
 *   run no-test                  fails:unrecovered_store        -DTAKER -DNO_TEST -DNO_RECOVERY
 *   run no-test-recovered        pass                           -DTAKER -DNO_TEST
 *   run no-test-no-retest        fails:ref_through_fake_head    -DTAKER -DNO_TEST -DNO_RETEST
 *   run no-test-gp-restore       pass                           -DTAKER -DNO_TEST -DGP_RESTORE -DNO_RECOVERY
 *   run test-first               fails:ref_through_fake_head    -DTAKER -DTEST_FIRST -DNO_RETEST
 *   run test-first-retest        fails:unrecovered_store        -DTAKER -DTEST_FIRST -DNO_RECOVERY
 *   run test-first-gp-restore    pass                           -DTAKER -DTEST_FIRST -DGP_RESTORE -DNO_RECOVERY
 *   run no-gp                    fails:unrecovered_store        -DTAKER -DNO_GP_OPTIMIZE -DNO_RECOVERY
 *   run no-gp-no-retest          fails:ref_through_fake_head    -DTAKER -DNO_GP_OPTIMIZE -DALWAYS_TESTED -DNO_RETEST
 *   run no-gp-no-test            pass                           -DTAKER -DNO_GP_OPTIMIZE -DALWAYS_TESTED -DNO_TEST
 *   run no-gp-recovered          fails:ref_through_fake_head    -DTAKER -DNO_GP_OPTIMIZE
 *   run no-gp-always-tested      pass:recovered                 -DTAKER -DNO_GP_OPTIMIZE -DALWAYS_TESTED
 *   run no-drop                  fails:somebody_waits           -DTAKER -DNO_GP_OPTIMIZE -DALWAYS_TESTED -DNO_DROP -DWATCH
 *   run drop-twice               fails:refcount_wrong           -DTAKER -DNO_GP_OPTIMIZE -DALWAYS_TESTED -DDROP_TWICE
 *   run final-read-only          fails:unrecovered_store        -DTAKER -DTEST_FIRST -DFINAL_READ_ONLY -DNO_RECOVERY
 *
 * memory_failure():
 *   run mf-outside               fails:poison_missed            -DSTRAYS=1 -DTRIES=1 -DMEMORY_FAILURE -DMEMORY_FAILURE_OUTSIDE
 *   run mf-no-gp                 fails:poison_missed            -DSTRAYS=1 -DTRIES=1 -DMEMORY_FAILURE -DNO_GP_OPTIMIZE
 *   run mf-no-head-check         fails:poison_missed            -DSTRAYS=1 -DTRIES=1 -DMEMORY_FAILURE -DSTRAY_HEAD -DNO_HEAD_CHECK
 *
 * Lookups:
 *   run lookup-no-reread         fails:neither_head_nor_tail    -DLOOKUP -DLOOKUP_IN_RCU -DNO_REREAD
 *   run lookup-no-rcu            fails:neither_head_nor_tail    -DLOOKUP -DCYCLES=2
 *   run key-late                 fails:neither_head_nor_tail    -DLOOKUP -DLOOKUP_IN_RCU -DKEY_LATE
 *   run key-drops                fails:neither_head_nor_tail    -DLOOKUP -DLOOKUP_IN_RCU -DKEY_DROPS
 */
#ifndef TRIES
#define TRIES 2
#endif
#ifndef SEAL_LATE
#define SEAL_LATE 0
#endif
#ifndef NO_WAIT
#define NO_WAIT 0
#endif

/* Beside the properties of chain.pml: */
hidden byte poison_missed;		/* memory_failure() beat the plain check */
hidden byte ref_through_fake_head;	/* a reference, to the wrong page */

hidden byte reached_gave_up, reached_halted, reached_barred;

#include "chain.pml"

/* ------------------------------------------------------------------------ */
/* Pages								    */

#define HEAD		COMMON			/* the head's vmemmap page */

/* What a page's first struct page says of itself, in the order of its life: ORDER0, TAIL, */
#define TURNING		2	/* PG_head set, compound_head has bit 0 still */
#define FAKE		3	/* fake head; in the head's page, the head */
#define RETURNING	4	/* bit 0 set again, PG_head not cleared yet */
#define AGAIN		5	/* plain tail again */
/* JUNK, and what it never may: */
#define TURNING_BAD	7	/* bit 0 clear and no PG_head: neither */

#define IS_PLAIN(k)	((k) == TAIL || (k) == AGAIN)
#define BIT0_SET(k)	(IS_PLAIN(k) || (k) == TURNING || (k) == RETURNING)
#define PG_HEAD_SET(k)	((k) == TURNING || (k) == FAKE || (k) == RETURNING)

/*
 * word_a is 0 in a plain tail and HEADS in the head. A stray store makes STRAY of
 * it, or, where it is one of a flag, adds that.
 */
#define HEADS		1
#ifdef WORDS
#define STRAYED(a)	STRAY
#define WITHOUT(a, b)	((a) == (b) -> 0 : (a))
#else
#define STRAYED(a)	((a) | STRAY)
#define WITHOUT(a, b)	((a) & ~(b))
#endif

/* ------------------------------------------------------------------------ */
/* Others								    */

bit key;			/* hugetlb_optimize_vmemmap_key */
bit in_flight;			/* the folio is in neither a pool nor use */

/* ------------------------------------------------------------------------ */
/* The fault handler							    */

/*
 * A SEALED entry maps its own page only, once a TLBI has completed; so does a
 * JOINED one the head's, but others of the folio may have two output addresses
 * live, and the head's page is one of them.
 *
 * Before it lets a store to the head's page through, the handler bars every entry
 * of the folio that is read-only, so that none is joined or parted any more, and
 * completes a TLBI of them all, so that none has two output addresses live. All
 * were sealed before the first was joined or parted.
 *
 * If it is held up, an entry may have left its state and come back to it with
 * another page; and what it found writable may be sealed again. So it raises a
 * counter before it looks at any entry, and no operation that has sealed entries
 * goes on before it has seen the counter at 0, or those who had raised it gone.
 */
/* C: shadow_bar_folio: smp_rmb */
/* C: shadow_bar_folio: shadow_bar */
/* C: shadow_bar: vmemmap_shadow_cmpxchg */
#define BAR(i)	atomic { if :: !SHADOW_TAG_IS_WRITABLE(tag[i]) -> bar[i] = 1 :: else fi }
#if NT == 3
#define EACH_AT(what, c) what(c, 0); what(c, 1); what(c, 2)
#else
#define EACH_AT(what, c) what(c, 0); what(c, 1)
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
		hp = oa[e];
		/* C: shadow_recover: shadow_retry_stale */
		if
		:: SHADOW_TAG_IS_WRITABLE(hs) ->
			retry_stale(c, e);
			hs = 0;
			hp = 0;
			break
		:: else
		fi
	   };
	   COUNT_LATE;
#ifdef HANDLER_OPENS_OWN_ONLY
#define BARS_FOLIO	false
#else
#define BARS_FOLIO	(hs == SHADOW_TAG_JOINED)
#endif
	   if
	   :: !BARS_FOLIO
#ifndef NO_RECOVERY_TLBI
		->
		/* C: shadow_recover: vmemmap_shadow_tlbi_one */
		tlbi_one(c, e)
		/* C: shadow_recover: shadow_step_from */
#endif
	   :: BARS_FOLIO ->
		/* C: shadow_recover: vmemmap_shadow_stray_write */
		/* C: vmemmap_shadow_stray_write: shadow_bar_folio */
		EACH(BAR);
#ifdef BAR_OWN_TLBI
		atomic { ISSUE(c, e) };
		atomic { COMPLETE(c, e) };
#elif !defined(NO_BAR_TLBI)
		/* C: shadow_bar_folio: vmemmap_shadow_tlbi_run */
		/* C: vmemmap_shadow_tlbi_run: dsb */
		/* C: vmemmap_shadow_tlbi_run: __flush_tlb_kernel_ptes_nosync */
		atomic { EACH_AT(ISSUE, c) };
		/* C: vmemmap_shadow_tlbi_run: __flush_tlb_kernel_sync */
		atomic { EACH_AT(COMPLETE, c) };
#endif
		reached_barred = 1
	   fi;
	   atomic {
		/* C: vmemmap_shadow_stray_write: vmemmap_shadow_cmpxchg */
		if
		:: tag[e] == hs && oa[e] == hp && (bar[e] || !BARS_FOLIO) ->
			tag[e] = (hs == SHADOW_TAG_SEALED -> SHADOW_TAG_OWNED : SHADOW_TAG_SHARED);
			RULE(illegal_step, SHADOW_CHAIN_HAS(hs, tag[e]));
			bar[e] = 0;
			entry_changed(e);
#ifndef NO_RECOVERY_TLBI
			/* C: shadow_recover: vmemmap_shadow_tlbi_one */
			tlbi_issue(HANDLER_TLBI(c), e);
#endif
			hs = 0;
			hp = 0;
			reached_recovered = 1;
			break
		:: else -> hs = 0; hp = 0
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
		CHECK(store_lost, stored_a[e] != 1 || HAS_STRAY(PAGE(x_t)));
#endif
		CHECK(store_lost, !stored_a[e] || HAS_STRAY(PAGE(x_t)) || HAS_STRAY(HEAD));
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
		if
		:: !key -> goto verdict
		:: else
		fi;
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
	bit fake, faulted, guarded, counted;

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
/* Something is stored to page p; e is the entry that it was reached by. */
inline land(p, in_a)
{
	CHECK(freed_page_accessed, !freed[p]);
	if
	:: in_a ->
		word_a[p] = STRAYED(word_a[p]);
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
}

#if NT == 3
#define THIRD		:: e = 2
#else
#define THIRD
#endif
#ifdef STRAY_HEAD
#define ANY_ENTRY	if :: e = 0 :: e = 1 THIRD :: e = NT fi
#else
#define ANY_ENTRY	if :: e = 0 :: e = 1 THIRD fi
#endif
#ifdef SPLIT
/* The one on CPU 2 takes the first entry, the other one the last. */
#define VICTIM		e = (c == 2 -> 0 : NT - 1); in_a = 1
#elif defined(FLAG_A_ONLY)
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
	bit in_a, refused, counted;
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
		:: e == NT ->
#if defined(HEAD_IN_FLIGHT) || defined(MEMORY_FAILURE)
			land(HEAD, in_a);
#else
			/* In flight it is left alone. */
			if
			:: in_flight
			:: else -> land(HEAD, in_a)
			fi;
#endif
			goto out
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

#define PLAIN_PAGE(p)	(IS_PLAIN(kind[p]) && !ref[p] && !word_a[p] && !flag_b[p])

/*
 * Are all tails of the head's page the same, and all of this page? A word that
 * says nothing of a tail may be otherwise in one: odd, with ODD=1 in the head's
 * page, with ODD=2 in the first entry's.
 */
#ifdef ODD
#define IS_ODD(p)	odd[p]
#else
#define IS_ODD(p)	false
#endif
#if defined(NOT_UNIFORM)
#define UNIFORM		true
#elif defined(NO_HEAD_CHECK)
/* As noted: the look at the head's page leaves no flag there in all other runs. */
#define UNIFORM		uniform
#else
#define UNIFORM		!IS_ODD(HEAD)
#endif
#ifdef NOT_COMPARED
#define SAME_AS_TAILS(p) true
#else
#define SAME_AS_TAILS(p) (PLAIN_PAGE(p) && !IS_ODD(p))
#endif

/* What the head's first struct page held when it was looked at. */
#ifdef NO_NOTE
#define NOTED	word_a[HEAD]
#else
#define NOTED	noted
#endif

/*
 * The words of a sealed page that have to change, from what they are known to be:
 * never over anything else. PG_head is set before compound_head loses bit 0.
 * With WORDS word_a is one behind these two, without it is in the flags word.
 */
#ifdef BLIND_EQUALIZE
#define IS_STILL(word, from)	true
#else
#define IS_STILL(word, from)	(word) == (from)
#endif
inline exchange_words(from)
{
#ifdef HEAD_LAST
	/* compound_head loses bit 0 before PG_head is set. */
	atomic { kind[own] = TURNING_BAD };
	atomic { kind[own] = FAKE };
#endif
	/* C: shadow_change_word: vmemmap_shadow_store */
	/* C: vmemmap_shadow_store: cmpxchg_release */
#ifdef WORDS
	atomic { kind[own] = TURNING };
	atomic { kind[own] = FAKE };
	atomic {
		if
		:: IS_STILL(word_a[own], from) -> word_a[own] = NOTED
		:: !(IS_STILL(word_a[own], from)) -> ok = 0
		fi
	}
#else
	atomic {
		if
		:: IS_STILL(word_a[own], from) ->
#ifndef HEAD_LAST
			kind[own] = TURNING;
#endif
			word_a[own] = NOTED
		:: !(IS_STILL(word_a[own], from)) -> ok = 0
		fi
	};
	if
	:: ok -> atomic { kind[own] = FAKE }
	:: else
	fi
#endif
}

/* [D]: is the entry SEALED still? */
#ifdef NO_SEALED_CHECK
#define LOOK_AGAIN(e)	skip
#else
#define LOOK_AGAIN(e)	ok = (tag[e] == SHADOW_TAG_SEALED)
#endif

/*
 * The page's tails, or the head's, are not all the same: what a word is has to
 * be read first, and that may be somebody's store already, unless the entry is
 * SEALED still. That the words were those of a plain tail, which is looked at
 * again then, does not tell: not all words have a value that is plain.
 */
inline equalize_words(e)
{
	/* C: shadow_equalize_words: shadow_tail_is_plain */
#ifndef NO_PLAIN_CHECK
	ok = PLAIN_PAGE(own);
#endif
	if
	:: ok ->
		was = word_a[own];
		/* C: shadow_equalize_words: smp_rmb */
		/* C: shadow_equalize_words: shadow_tail_is_plain */
		LOOK_AGAIN(e);
		/* C: shadow_equalize_words: shadow_change_word */
		if
		:: ok -> exchange_words(was)
		:: else
		fi;
		if
		:: ok ->
			was = flag_b[own];
			LOOK_AGAIN(e);
			atomic {
				if
				:: ok && IS_STILL(flag_b[own], was) -> flag_b[own] = flag_b[HEAD]
				:: ok && !(IS_STILL(flag_b[own], was)) -> ok = 0
				:: !ok
				fi
			};
#ifdef ODD
			if
			:: ok -> odd[own] = odd[HEAD]
			:: else
			fi
#endif
		:: else
		fi
	:: else
	fi
}

/*
 * Make the contents of a sealed page those of the head's; ok if nothing got in
 * between. That the entry is SEALED when the C code begins is not needed here.
 */
inline equalize(e)
{
	/* Pages of boot memory, not here: */
	/* C: shadow_equalize: vmemmap_shadow_copy */
	/*
	 * All tails of the head's page were the same when it was noted; if all
	 * of this page are the same as these, each word's value is known.
	 */
	/* C: shadow_equalize: vmemmap_shadow_all_same */
	atomic {
		own = oa[e];
		same = (UNIFORM && SAME_AS_TAILS(own))
	};
	/* C: shadow_equalize: shadow_equalize_words */
	/* C: shadow_equalize: vmemmap_shadow_store */
	if
	:: same -> exchange_words(0)
	:: else -> equalize_words(e)
	fi;
	atomic { own = 0; was = 0; same = 0 }
}

inline fill(p)
{
	/* C: shadow_fill_range: shadow_take_page */
	/* C: shadow_fill_range: vmemmap_shadow_fill */
	/* C: shadow_fill_range: list_add_tail */
	/* C: vmemmap_shadow_fill: vmemmap_shadow_copy */
	/* C: vmemmap_shadow_copy: copy_page */
	/* C: vmemmap_shadow_copy: memcpy */
	atomic {
		kind[p] = FAKE;
		ref[p] = 0;
		word_a[p] = NOTED;
#ifdef ODD
		odd[p] = odd[HEAD];
#endif
		flag_b[p] = flag_b[HEAD]
	}
}

/*
 * A page for entry e at restore: a new one, or by chance the one it once had, if
 * nobody else took it meanwhile. It is for that entry only.
 */
#define GET_PAGE(e)							\
	if								\
	:: !SHADOW_TAG_MAPS_SHARED(tag[e])				\
	:: SHADOW_TAG_MAPS_SHARED(tag[e]) ->				\
		hand = hand | (1 << FRESH(e)); freed[FRESH(e)] = 0	\
	:: SHADOW_TAG_MAPS_SHARED(tag[e]) && freed[OWN(e)] && kind[OWN(e)] != JUNK -> \
		freed[OWN(e)] = 0; hand = hand | (1 << OWN(e))		\
	fi

#define PAGE_FOR(e)	(hand & (1 << OWN(e)) -> OWN(e) : FRESH(e))
#define FILL(e)								\
	if								\
	:: ok && tag[e] == SHADOW_TAG_JOINED ->				\
		atomic {						\
			CHECK(page_lost, hand & (1 << OWN(e) | 1 << FRESH(e))); \
			filled = filled | (1 << e);			\
			own = PAGE_FOR(e)				\
		};							\
		fill(own);						\
		own = 0							\
	:: else								\
	fi

/* C: shadow_part_range: list_first_entry_or_null */
/* C: shadow_part_range: shadow_step */
/* C: shadow_part_range: list_move */
#define PART(e)								\
	atomic {							\
		if							\
		:: filled & (1 << e) ->					\
			own = PAGE_FOR(e);				\
			step(e, SHADOW_TAG_JOINED, SHADOW_TAG_SEALED, own, ok); \
			if						\
			:: ok -> hand = hand & ~(1 << own)		\
			:: else						\
			fi;						\
			ok = 1;						\
			own = 0;					\
			filled = filled & ~(1 << e)			\
		:: else							\
		fi							\
	}

/* Turn a copy of the head into a plain tail. */
inline replain(e)
{
	/* C: shadow_replain: page_is_fake_head */
	own = oa[e];
	if
	:: kind[own] == FAKE ->
#ifdef BLIND_REPLAIN
		atomic { kind[own] = AGAIN; word_a[own] = 0; flag_b[own] = 0 };
#else
#ifdef FLAGS_FIRST
		atomic { kind[own] = TURNING_BAD };
#else
		/* C: shadow_replain: shadow_change_word */
		atomic { kind[own] = RETURNING };
#endif
		/* C: shadow_replain: shadow_change_word */
		/* C: shadow_replain: vmemmap_shadow_store */
#ifdef WORDS
		atomic { kind[own] = AGAIN };
		atomic { word_a[own] = WITHOUT(word_a[own], NOTED) };
#else
		atomic { kind[own] = AGAIN; word_a[own] = WITHOUT(word_a[own], NOTED) };
#endif
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

#define REPLAIN(e)							\
	if								\
	:: !SHADOW_TAG_MAPS_SHARED(tag[e]) -> replain(e)			\
	:: else								\
	fi
inline replain_range()
{
	/* C: vmemmap_shadow_replain: shadow_replain */
#ifdef NO_REPLAIN
	skip
#else
	EACH(REPLAIN)
#endif
}

/* Steps of all entries that are in a state. */
#define SEAL_SHARED(e)	step(e, SHADOW_TAG_SHARED, SHADOW_TAG_JOINED, 0, ok)
#define OPEN_JOINED(e)	step(e, SHADOW_TAG_JOINED, SHADOW_TAG_SHARED, 0, ok)
#define OPEN_SEALED(e)	step(e, SHADOW_TAG_SEALED, SHADOW_TAG_OWNED, 0, ok)
#define UNBAR(e)	bar[e] = 0
#ifdef NO_CHECK_OF_BARS
#define IS_SHUT(e)	(tag[e] != SHADOW_TAG_SHARED)
#else
#define IS_SHUT(e)	(tag[e] != SHADOW_TAG_SHARED && !bar[e])
#endif
#define IS_OPEN(e)	(tag[e] == SHADOW_TAG_OWNED)
#define OWN_PAGE(e)	(!SHADOW_TAG_MAPS_SHARED(tag[e]))

#if NT == 3
#define LAST_WINDOW(what) what(1); what(2)
#else
#define LAST_WINDOW(what) what(1)
#endif

/*
 * Take all entries to OWNED from wherever they are; gave_up if not. Each try seals
 * all that are SHARED, and parts them if none was opened since.
 */
inline restore_all(waits)
{
	tries = 0;
	LOCK_WINDOW;
	do
	:: tries < TRIES ->
#ifdef NOTE_EARLY
		noted = word_a[HEAD];
#endif
#ifdef WAIT_EARLY
		wait_handlers();
#endif
		/* C: vmemmap_shadow_restore_windows: vmemmap_shadow_round */
#ifndef NO_EXTRA_ROUND
		if
		:: tries -> tlbi_round()
		:: else
		fi;
#endif
		/* C: vmemmap_shadow_restore_windows: shadow_unbar */
		/* C: shadow_unbar: vmemmap_shadow_cmpxchg */
#ifndef UNBAR_LATE
		EACH(UNBAR);
#endif
		/* C: vmemmap_shadow_restore_windows: shadow_step_those */
		/* C: shadow_step_those: shadow_step */
#if SEAL_LATE == 2
		SEAL_SHARED(0);
#else
		EACH(SEAL_SHARED);
#endif
#ifdef WAIT_BEFORE_ROUND
		wait_handlers();
#endif
		/* C: vmemmap_shadow_restore_windows: vmemmap_shadow_round */
		TLBI_R1;
		HALT
		/* C: vmemmap_shadow_restore_windows: shadow_wait_handlers */
#if !defined(WAIT_EARLY) && !defined(WAIT_BEFORE_ROUND)
		if
		:: waits -> wait_handlers()
		:: else
		fi;
#endif
#ifdef UNBAR_LATE
		EACH(UNBAR);
#endif
		/* C: vmemmap_shadow_restore_windows: shadow_all_in */
#ifdef NO_CHECK
		ok = 1;
#elif SEAL_LATE == 2
		ok = IS_SHUT(0);
#else
		ok = ALL(IS_SHUT);
#endif
		if
		:: ok
		:: else -> tries++; goto again
		fi;
		/* C: vmemmap_shadow_restore_windows: vmemmap_shadow_note */
#if !defined(NOTE_EARLY) && !defined(NOTE_ONCE)
		noted = word_a[HEAD];
#endif
		/* C: vmemmap_shadow_restore_windows: shadow_fill_range */
		/* C: vmemmap_shadow_restore_windows: shadow_window_open */
		/* C: vmemmap_shadow_restore_windows: shadow_part_range */
		/* C: vmemmap_shadow_restore_windows: shadow_window_close */
		/* C: vmemmap_shadow_restore_windows: vmemmap_shadow_replain */
#if WINDOWS == 1
		EACH(FILL);
		EACH(PART);
#else
		FILL(0);
		PART(0);
		TLBI_R2;
#ifndef REPLAIN_ONCE
		REPLAIN(0);
#endif
#if OPEN_EARLY == 2
		OPEN_SEALED(0);
		ok = 1;
#endif
#if SEAL_LATE == 2
		SEAL_SHARED(1);
		tlbi_round();
		wait_handlers();
		ok = 1;
#endif
		LAST_WINDOW(FILL);
		LAST_WINDOW(PART);
#endif
		HALT
		TLBI_R2;
#ifndef REPLAIN_ONCE
#if WINDOWS == 1
		replain_range();
#else
		LAST_WINDOW(REPLAIN);
#endif
#endif
		/* C: vmemmap_shadow_restore_windows: shadow_step_those */
#ifndef REPLAIN_ONCE
		EACH(OPEN_SEALED);
#endif
		/* C: vmemmap_shadow_restore_windows: vmemmap_shadow_round */
		TLBI_R3;
		/* C: vmemmap_shadow_restore_windows: shadow_all_in */
		if
		:: ALL(IS_OPEN) -> break
		:: else -> tries++
		fi;
again:		skip
	:: else ->
#ifdef REPLAIN_ONCE
		replain_range();
		EACH(OPEN_SEALED);
		if
		:: ALL(IS_OPEN) -> break
		:: else
		fi;
#endif
		/* C: vmemmap_shadow_restore_windows: shadow_step_those */
		EACH(OPEN_JOINED);
		/* C: vmemmap_shadow_restore_windows: shadow_step_those */
		EACH(OPEN_SEALED);
		/* C: vmemmap_shadow_restore_windows: vmemmap_shadow_round */
		tlbi_round();
		gave_up = 1;
		reached_gave_up = 1;
		break
	od;
	UNLOCK_WINDOW;
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

#define PREVIOUS_LIFE(e)	previous_life(e)
#define SEAL(e)		step(e, SHADOW_TAG_OWNED, SHADOW_TAG_SEALED, 0, ok)
#ifdef NOT_BARRED
#define BAR_UNEQUAL(e)
#else
#define BAR_UNEQUAL(e)	if :: ok :: else -> BAR(e) fi
#endif
#define EQUALIZE(e)	ok = 1; equalize(e); BAR_UNEQUAL(e)
#define JOIN(e)		join(e)
#define IS_JOINED(e)	SHADOW_TAG_MAPS_SHARED(tag[e])
#define IS_FIT(e)	(tag[e] != SHADOW_TAG_OWNED || \
			 IS_PLAIN(kind[oa[e]]) && !ref[oa[e]] && !(word_a[oa[e]] & HEADS))

proctype updater(byte u) provided (!irq)
{
	byte hand, filled, own, tries, was, noted;
	bit ok, same, gave_up;
#ifdef NO_HEAD_CHECK
	bit uniform;
#endif
#if CYCLES > 1
	byte cycle;
#endif

#ifdef TWO_UPDATERS
	if
	:: u == 1 -> typed; goto optimize
	:: else
	fi;
#endif
	EACH(PREVIOUS_LIFE);
	atomic { typed = 1; in_flight = 1 };
optimize:
#ifndef KEY_LATE
	/* Long before, when HVO was enabled; this is the latest it may be. */
	key = 1;
#endif
	/* C: vmemmap_shadow_optimize_folio: shadow_optimize */
	/* C: vmemmap_shadow_optimize_folios: shadow_optimize */
	/* C: vmemmap_shadow_optimize_folios: list_first_entry_or_null */
	/* C: shadow_optimize: shadow_mark */
	/* C: shadow_mark: folio_set_hugetlb_vmemmap_optimized */
	/* C: shadow_optimize: shadow_wait_readers */
	/* C: shadow_wait_readers: vmemmap_shadow_wait_readers */
#ifndef NO_GP_OPTIMIZE
	grace_period(u);
#endif
	/* C: shadow_optimize: shadow_mark */

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
	/* C: shadow_optimize: shadow_optimize_batch */
	/* C: shadow_optimize: shadow_optimize_batch */
	/* C: shadow_optimize_batch: vmemmap_shadow_prepare */
	/*
	 * Two words of every tail that say nothing become 0, see "leaves out".
	 * C: vmemmap_shadow_prepare: shadow_wipe_tails
	 * C: shadow_wipe_tails: shadow_wipe_four
	 * C: shadow_wipe_tails: shadow_wipe_four
	 * C: shadow_wipe_tails: shadow_wipe_four
	 * C: shadow_wipe_four: shadow_wipe
	 * C: shadow_wipe_four: shadow_wipe
	 * C: shadow_wipe_four: shadow_wipe
	 * C: shadow_wipe_four: shadow_wipe
	 * C: shadow_wipe: WRITE_ONCE
	 * C: shadow_wipe: WRITE_ONCE
	 */
	/* C: vmemmap_shadow_prepare: vmemmap_shadow_note */
	/* C: vmemmap_shadow_note: memcpy */
	/* C: vmemmap_shadow_note: memcpy */
	noted = word_a[HEAD];
	/* C: vmemmap_shadow_prepare: shadow_head_is_plain */
#ifdef NO_HEAD_CHECK
	atomic { ok = 1; uniform = !flag_b[HEAD] };
#else
	ok = !flag_b[HEAD];
#endif
#ifdef SKIP_A_STATE
	step(0, SHADOW_TAG_OWNED, SHADOW_TAG_JOINED, HEAD, ok);
#endif
	/* C: shadow_optimize_batch: folio_clear_hugetlb_vmemmap_optimized */
	if
	:: ok
	:: else -> goto handed_out
	fi;
	LOCK_WINDOW;
	/* C: shadow_optimize_batch: vmemmap_shadow_optimize_windows */
	/* C: vmemmap_shadow_optimize_windows: shadow_step_those */
#if SEAL_LATE == 1
	SEAL(0);
#else
	EACH(SEAL);
#endif
	/* C: vmemmap_shadow_optimize_windows: vmemmap_shadow_round */
	TLBI_O1;
	HALT
	/* Handlers in flight need not be waited for: the grace period did. */
	/* C: vmemmap_shadow_optimize_windows: vmemmap_shadow_equalize */
	/* C: vmemmap_shadow_equalize: shadow_equalize */
	/* C: vmemmap_shadow_equalize: shadow_bar */
	/* C: vmemmap_shadow_optimize_windows: shadow_window_open */
	/* C: shadow_window_open: preempt_disable */
	/* C: vmemmap_shadow_optimize_windows: shadow_join_range */
	/* C: vmemmap_shadow_optimize_windows: shadow_window_close */
	/* C: shadow_window_close: shadow_tlbi_round */
	/* C: shadow_window_close: preempt_enable */
#if WINDOWS == 1
#ifndef NO_EQUALIZE
	EACH(EQUALIZE);
#endif
	EACH(JOIN);
#else
#ifndef NO_EQUALIZE
	EQUALIZE(0);
#endif
	JOIN(0);
	TLBI_O2;
#if OPEN_EARLY == 1
	OPEN_JOINED(0);
#endif
#if SEAL_LATE == 1
	SEAL(1);
	tlbi_round();
	wait_handlers();
#endif
#ifndef NO_EQUALIZE
	LAST_WINDOW(EQUALIZE);
#endif
	LAST_WINDOW(JOIN);
#endif
#ifdef FREE_EARLY
	free_pages();
#endif
	HALT
	TLBI_O2;
	/* O: vmemmap_shadow_optimize_windows: shadow_wait_handlers */
#ifndef FINAL_READ_ONLY
	/* C: vmemmap_shadow_optimize_windows: shadow_step_those */
	EACH(OPEN_JOINED);
#endif
	/* What was not joined gets its plain tails back, if it lost them. */
	/* C: vmemmap_shadow_optimize_windows: vmemmap_shadow_replain */
#ifndef LEFT_AS_IT_IS
	replain_range();
#endif
	/* C: vmemmap_shadow_optimize_windows: shadow_step_those */
	EACH(OPEN_SEALED);
	/* C: vmemmap_shadow_optimize_windows: vmemmap_shadow_round */
	TLBI_O3;
	UNLOCK_WINDOW;
	/* C: shadow_optimize_batch: folio_clear_hugetlb_vmemmap_optimized */
	if
	:: ALL(IS_JOINED)
	:: else -> reached_left = 1
	fi;
#ifdef MEMORY_FAILURE
#define NOT_STORED(e)	(!IS_JOINED(e) || !stored_a[e] && !stored_b[e])
	CHECK(poison_missed, !flag_b[HEAD] && ALL(NOT_STORED));
#endif
	ok = 0;
	/* C: shadow_optimize_batch: shadow_release */
	/* C: shadow_release: shadow_free_pages */
	/* In blocks, where they are neighbours of boot memory. */
	/* C: shadow_free_pages: shadow_free_run */
	/* C: shadow_free_pages: shadow_free_run */
	/* C: shadow_free_run: vmemmap_shadow_free_pages */
	/* C: vmemmap_shadow_free_pages: ClearPageReserved */
	/* C: vmemmap_shadow_free_pages: set_page_count */
	/* C: vmemmap_shadow_free_pages: __free_pages */
	free_pages();
#ifdef KEY_LATE
	key = 1;
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
handed_out:
	/* The folio is handed out, and freed when the last reference is dropped. */
	atomic { ref[HEAD] = 1; in_flight = 0 };
	atomic { CHECK(refcount_wrong, ref[HEAD] > 0); ref[HEAD]-- };
	atomic { ref[HEAD] == 0 -> in_flight = 1 };

	if
	:: ALL(OWN_PAGE) -> goto end
	:: else
	fi;
	/* C: vmemmap_shadow_restore_folio: shadow_restore */
	/* C: vmemmap_shadow_restore_folios: shadow_restore */
	/* C: shadow_restore: shadow_alloc_for */
	atomic {
		gave_up = 0;
		EACH(GET_PAGE)
	};
#ifdef GP_RESTORE
	grace_period(u);
#endif
#ifdef NOTE_ONCE
	noted = word_a[HEAD];
#endif
	/* C: shadow_restore: shadow_restore_batch */
	/* C: shadow_restore_batch: vmemmap_shadow_restore_windows */
	restore_all(NO_WAIT != 1);
	/* C: shadow_restore: shadow_release */
	free_pages();
	/* C: shadow_restore_batch: folio_clear_hugetlb_vmemmap_optimized */
#ifdef KEY_DROPS
	key = gave_up;
#endif
end:
#if CYCLES > 1
	if
	:: cycle + 1 < CYCLES && !gave_up ->
		#define NEW_LIFE(e)	kind[oa[e]] = TAIL
		atomic { cycle++; EACH(NEW_LIFE); goto optimize }
	:: else
	fi;
#endif
	atomic {
		CHECK(not_plain_after_restore, ALL(IS_FIT));
		CHECK(refcount_wrong, ref[HEAD] == 0);
#if STRAYS
#define KEPT_B(e)	(!stored_b[e] || flag_b[oa[e]])
#define KEPT_A(e)	(!stored_a[e] || HAS_STRAY(oa[e]) || HAS_STRAY(HEAD))
		CHECK(store_lost, ALL(KEPT_B));
#ifdef STRICT_FLAGS
		CHECK(store_lost, stored_a[0] != 1 || HAS_STRAY(oa[0]));
#endif
		CHECK(store_lost, ALL(KEPT_A));
#endif
		CHECK(page_lost, !hand && oa[0] != oa[1] || SHADOW_TAG_MAPS_SHARED(tag[0]));
		CHECK(page_lost, gave_up || ALL(IS_OPEN));
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
		word_a[HEAD] = HEADS;
#ifdef ODD
		odd[ODD - 1] = 1;
#endif
#define BORN(e)	oa[e] = OWN(e); ref[OWN(e)] = 1; entry_changed(e)
		EACH(BORN);
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
#elif STRAYS == 2 && defined(OTHER_CPU)
		START(stray(1));
		START(stray(2));
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
