/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The protocol of the shadow vmemmap where all tails are alike, Linux 7.3, for
 * SPIN. See README.md beside this file.
 *
 * Covers: one updater that takes the tail entries of a folio to the page S, which
 * the tails of a zone and order share, and back, as
 * base/7.3/arch/arm64/mm/vmemmap_shadow_share.c has it, entries left included;
 * TLBs; observers; somebody who read a count in a page's life before the folio, in no
 * RCU section, and exchanges it late; a user of the folio, which may be optimized while
 * it is in use; stray writers, on any CPU, also in interrupts of the updater's, with the
 * fault handler, which may get no page; the page allocator, which writes to what it
 * gets, and gives to handler and updater any page that is free. memory_failure() is a
 * stray writer here: it sets a flag at any time.
 *
 * Bounds: one folio, two tail entries in one window (WINDOWS=2: in two); three CPUs,
 * the updater's and two more; one optimize and one restore (CYCLES=2: two of each); S
 * and four pages more, which is as many as can be in use at once; a page is three
 * words: a flags word, with a bit that means nothing in a tail; the rest of what a tail
 * says, with the reference count of the first; and a word that says nothing, which the
 * plain check does not look at. At most two stray stores, one late exchange, one user.
 * One try of a restore instead of eight.
 *
 * The other folios of the zone are there as S: its tails are what they show. So nothing
 * may ever be stored to S, and nobody may see at an entry what was not stored through it.
 *
 * Leaves out: weak memory order, as shadow.pml does; how S is made; what is made equal
 * before the seal, shadow_wipe_tails(), which loses what is stored to words that say
 * nothing; batches, time, hot-remove; the per-CPU stock of pages, which is a free page
 * here. That a store finds no page for its entry is SPARE_FAILS; the writer ends there,
 * and so would the kernel's thread, in an oops.
 *
 * The protocol as it is to be:
 *   run tails-chain                   pass                           -DOBSERVERS=2
 *   run tails-chain-windows           pass                           -DOBSERVERS=2 -DWINDOWS=2
 *   run tails-literal                 pass                           -DLITERAL -DOBSERVERS=1
 *   run tails-words                   pass                           -DODD=1 -DOBSERVERS=1
 *   run tails-words-b                 pass                           -DODD=2 -DOBSERVERS=1
 *   run tails-raw                     pass                           -DRAW
 *   run tails-stray                   pass:recovered,parted,stale,left -DSTRAYS=1 -DOBSERVERS=1
 *   run tails-stray-words             pass:recovered,parted,left     -DSTRAYS=1 -DODD=1 -DSTRAY_B
 *   run tails-stray-words-b           pass:recovered,parted,left     -DSTRAYS=1 -DODD=2 -DSTRAY_B -DWINDOWS=2
 *   run tails-stray-again             pass:recovered,parted,left,waited -DSTRAYS=1 -DCYCLES=2
 *   run tails-strays                  pass:recovered,parted,waited,lost_exchange -DSTRAYS=2 -DSAME_ENTRY
 *   run tails-strays-elsewhere        pass:recovered,parted,waited,lost_exchange -DSTRAYS=2 -DSAME_ENTRY -DOTHER_CPU
 *   run tails-no-page                 pass:recovered,parted,refused  -DSTRAYS=1 -DSPARE_FAILS -DOBSERVERS=1
 *   run tails-late-exchange           pass:parted,late               -DTAKER -DCYCLES=2
 *   run tails-late-stray              pass:parted,late               -DTAKER -DSTRAYS=1 -DSAME_ENTRY
 *   run tails-in-use                  pass:parted                    -DIN_USE -DSTRAYS=1
 *   run tails-terminates              cycle:none                     -DSTRAYS=1
 *   run tails-strays-big              big:pass                       -DSTRAYS=2
 *   run tails-strays-elsewhere-big    big:pass                       -DSTRAYS=2 -DOTHER_CPU
 *   run tails-strays-again-big        big:pass                       -DSTRAYS=2 -DOTHER_CPU -DSAME_ENTRY -DCYCLES=2
 *   run tails-strays-seen-big         big:pass                       -DSTRAYS=2 -DSAME_ENTRY -DOBSERVERS=1
 *   run tails-stray-literal-big       big:pass                       -DSTRAYS=1 -DLITERAL -DOTHER_CPU
 *   run tails-late-stray-big          big:pass                       -DTAKER -DSTRAYS=1
 *
 * Steps that the architecture forbids, and S at rest as with fake heads, writable:
 *   run tails-direct                  fails:rule_writable            -DDIRECT
 *   run tails-direct-harm             fails:store_lost               -DDIRECT -DNO_RULES -DSTRAYS=1 -DOBSERVERS=1
 *   run tails-skip-a-state            fails:illegal_step             -DSKIP_A_STATE
 *   run tails-unequal                 fails:rule_contents            -DNO_EQUALIZE -DODD=1
 *   run tails-unequal-harm            fails:store_lost               -DNO_EQUALIZE -DSTRAYS=1 -DNO_RULES -DOBSERVERS=1
 *   run tails-shared                  fails:shared_changed           -DSHARED_S -DSTRAYS=1
 *   run tails-shared-harm             fails:store_spread             -DSHARED_S -DNO_RULES -DSTRAYS=1 -DOBSERVERS=1
 *
 * Each TLBI round left out: 1 and 2 of optimize, 3 and 4 of restore:
 *   run tails-no-tlbi-1               fails:rule_writable            -DNO_TLBI=1
 *   run tails-no-tlbi-1-harm          fails:store_lost               -DNO_TLBI=1 -DNO_RULES -DSTRAYS=1 -DOBSERVERS=1
 *   run tails-no-tlbi-2               fails:freed_page_cached        -DNO_TLBI=2
 *   run tails-no-tlbi-2-harm          fails:freed_page_accessed      -DNO_TLBI=2 -DNO_RULES -DSTRAYS=1 -DOBSERVERS=1
 *   run tails-no-tlbi-3               fails:rule_writable            -DNO_TLBI=3
 *   run tails-no-tlbi-3-harm          fails:store_lost               -DNO_TLBI=3 -DNO_RULES -DSTRAYS=1 -DOBSERVERS=1
 *   run tails-no-tlbi-4               fails:unrecovered_store        -DNO_TLBI=4 -DNO_RECOVERY
 *   run tails-no-tlbi-4-recovered     pass:recovered,parted          -DNO_TLBI=4 -DSTRAYS=1
 *   run tails-free-early              fails:freed_page_cached        -DFREE_EARLY
 *   run tails-free-early-harm         fails:freed_page_accessed      -DFREE_EARLY -DNO_RULES -DOBSERVERS=1
 *   run tails-open-early              pass:recovered,parted          -DOPEN_EARLY -DWINDOWS=2 -DSTRAYS=1
 *
 * Contents:
 *   run tails-no-plain-check          fails:store_lost               -DNO_PLAIN_CHECK -DSTRAYS=1
 *   run tails-no-sealed-check         fails:store_lost               -DNO_SEALED_CHECK -DODD=2 -DSTRAYS=1 -DSTRAY_B
 *   run tails-no-sealed-check-flags   pass:recovered,left            -DNO_SEALED_CHECK -DODD=2 -DSTRAYS=1
 *   run tails-blind-equalize          fails:store_lost               -DBLIND_EQUALIZE -DODD=1 -DSTRAYS=1
 *   run tails-raw-stray               fails:store_lost               -DRAW -DSTRAYS=1
 *   run tails-shared-late             fails:rule_contents            -DS_LATE
 *   run tails-shared-late-harm        fails:neither_head_nor_tail    -DS_LATE -DNO_RULES -DOBSERVERS=1
 *   run tails-fill-else               fails:rule_contents            -DFILL_ELSE
 *   run tails-left-sealed             fails:page_lost                -DLEFT_SEALED -DSTRAYS=2
 *   run tails-open-late               fails:rule_writable            -DOPEN_LATE -DSTRAYS=1
 *
 * Handlers:
 *   run tails-no-recovery             fails:unrecovered_store        -DNO_RECOVERY -DSTRAYS=1
 *   run tails-late-no-recovery        fails:unrecovered_store        -DNO_RECOVERY -DTAKER
 *   run tails-not-frozen              fails:refcount_wrong           -DNOT_FROZEN -DTAKER
 *   run tails-no-recovery-tlbi        fails:rule_writable            -DNO_RECOVERY_TLBI -DSTRAYS=1
 *   run tails-no-recovery-tlbi-harm   fails:store_lost               -DNO_RECOVERY_TLBI -DSTRAYS=1 -DNO_RULES -DOBSERVERS=1
 *   run tails-no-part-tlbi            pass:recovered,parted,lost_exchange -DNO_PART_TLBI -DSTRAYS=2 -DSAME_ENTRY
 *   run tails-no-part-tlbi-again      pass:recovered,parted,waited   -DNO_PART_TLBI -DSTRAYS=1 -DCYCLES=2
 *   run tails-part-writable           fails:illegal_step             -DPART_WRITABLE -DSTRAYS=1
 *   run tails-part-writable-harm      fails:store_lost               -DPART_WRITABLE -DSTRAYS=1 -DNO_RULES -DOBSERVERS=1
 *   run tails-fill-late               fails:rule_contents            -DFILL_LATE -DSTRAYS=1
 *   run tails-compares-state          fails:rule_writable            -DCOMPARES_STATE -DSTRAYS=2 -DSAME_ENTRY
 *   run tails-no-stale-tlbi           cycle:found                    -DNO_STALE_TLBI -DSTRAYS=1
 *
 * Handlers in flight:
 *   run tails-no-wait-free            fails:rule_writable            -DNO_WAIT_FREE -DSTRAYS=2 -DSAME_ENTRY
 *   run tails-no-wait-free-harm       fails:store_lost               -DNO_WAIT_FREE -DSTRAYS=2 -DSAME_ENTRY -DNO_RULES -DOBSERVERS=1
 *   run tails-no-wait-free-stray      pass:recovered,parted,waited   -DNO_WAIT_FREE -DSTRAYS=1 -DCYCLES=2
 *   run tails-wait-early              fails:rule_writable            -DNO_WAIT_FREE -DWAIT_EARLY -DSTRAYS=2 -DSAME_ENTRY
 *   run tails-no-wait-restore         pass:recovered,parted,waited   -DNO_WAIT_RESTORE -DSTRAYS=2 -DSAME_ENTRY
 *   run tails-no-wait-restore-again   pass:recovered,parted,waited   -DNO_WAIT_RESTORE -DSTRAYS=1 -DCYCLES=2
 *   run tails-no-wait                 fails:rule_writable            -DNO_WAIT_FREE -DNO_WAIT_RESTORE -DSTRAYS=1
 *   run tails-handler-no-count        fails:rule_writable            -DNO_HANDLER_COUNT -DSTRAYS=1
 *   run tails-handler-counts-late     fails:rule_writable            -DHANDLER_COUNTS_LATE -DSTRAYS=1
 *   run tails-handler-no-rcu          fails:rule_writable            -DNO_HANDLER_RCU -DSTRAYS=1
 */
#ifndef ODD
#define ODD 0
#endif
#ifndef TRIES
#define TRIES 1
#endif
#define JUNK_ALWAYS		/* a page is filled before it is used again */
#include "chain.pml"

/* Beside the properties of chain.pml: */
hidden byte store_spread;		/* a store shows where nobody stored */
hidden byte shared_changed;		/* somebody stored to S */
hidden byte exhausted;			/* the model has not enough pages: a bound of it */

hidden byte reached_parted, reached_refused, reached_lost_exchange, reached_late;

/* ------------------------------------------------------------------------ */
/* Pages								    */

#define S		COMMON
#define NOMEAN		1	/* in word_a: a bit that means nothing in a tail */

#define IS_FREE(p)	:: freed[p] -> got = p
/* Any page that is free. It is the caller's then. */
inline get_page(got)
{
	atomic {
		if
		IS_FREE(1)
		IS_FREE(2)
		IS_FREE(3)
		IS_FREE(4)
		:: !freed[1] && !freed[2] && !freed[3] && !freed[4] -> CHECK(exhausted, false)
		fi;
		freed[got] = 0
	}
}

/* A page that no entry has mapped since it was got. */
#define ALL_IN_NO_TLB(p) (!HAS(ALL_LIVE(0), p) && !HAS(ALL_LIVE(1), p))
inline put_page(p)
{
	RULE(freed_page_cached, ALL_IN_NO_TLB(p));
	kind[p] = JUNK;
	ref[p] = 1;
	word_a[p] = 0;
	flag_b[p] = 0;
	odd[p] = 0;
	freed[p] = 1;
	p = 0
}

/* A page becomes what S is. */
inline copy_shared(p)
{
	/* C: vmemmap_shadow_copy: copy_page */
	/* C: vmemmap_shadow_copy: memcpy */
	kind[p] = kind[S];
	ref[p] = ref[S];
	word_a[p] = word_a[S];
	flag_b[p] = flag_b[S];
	odd[p] = odd[S]
}

/* ------------------------------------------------------------------------ */
/* The fault handler							    */

/*
 * A SEALED entry maps its own page only, once a TLBI has completed. It may be opened
 * then. A JOINED one is parted first, to a page that was filled from S while nothing
 * mapped it: then it is SEALED, and maybe S is in a TLB still.
 *
 * Whoever is held up with SEALED and a page in hand must not come back when the entry
 * is SEALED with that page again, and S in a TLB. The page comes back by part only,
 * and only if it was free meanwhile: so the updater frees none before such handlers
 * have ended.
 */
#ifdef NO_RECOVERY_TLBI
#define TLBI_OPEN(c, e)	skip
#else
#define TLBI_OPEN(c, e)	tlbi_one(c, e)
#endif
#ifdef NO_PART_TLBI
#define TLBI_PART(c, e)	skip
#else
#define TLBI_PART(c, e)	tlbi_one(c, e)
#endif
#ifdef COMPARES_STATE
#define IS_AS_READ(e)	(tag[e] == hs)
#else
#define IS_AS_READ(e)	(tag[e] == hs && oa[e] == hp)
#endif
#ifdef PART_WRITABLE
#define PARTED		SHADOW_TAG_OWNED
#else
#define PARTED		SHADOW_TAG_SEALED
#endif
/* CPU c stored to entry e and has no leave to. hs, hp and hr are 0 outside. */
inline fault(c, e, who)
{
#ifdef NO_RECOVERY
	CHECK(unrecovered_store, false)
#else
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
	   if
	   :: hs == SHADOW_TAG_SEALED ->
		/* C: shadow_recover: vmemmap_shadow_tlbi_one */
		TLBI_OPEN(c, e);
		/* C: shadow_recover: shadow_step_from */
		atomic {
			if
			:: IS_AS_READ(e) ->
				RULE(illegal_step, SHADOW_CHAIN_HAS(hs, SHADOW_TAG_OWNED));
				tag[e] = SHADOW_TAG_OWNED;
				entry_changed(e);
				/* C: shadow_recover: vmemmap_shadow_stray_write */
				/* C: shadow_recover: vmemmap_shadow_tlbi_one */
#ifndef NO_RECOVERY_TLBI
				tlbi_issue(HANDLER_TLBI(c), e);
#endif
				hs = 0;
				hp = 0;
				reached_recovered = 1;
				break
			:: else -> hs = 0; hp = 0; reached_lost_exchange = 1
			fi
		}
	   :: hs == SHADOW_TAG_JOINED ->
		/* C: vmemmap_shadow_stray_write: vmemmap_shadow_spare_get */
		/* C: vmemmap_shadow_spare_get: alloc_pages_nolock */
		/* C: vmemmap_shadow_spare_get: this_cpu_xchg */
#ifdef SPARE_FAILS
		if
		:: true -> atomic { hs = 0; hp = 0; refused = 1; reached_refused = 1; break }
		:: true
		fi;
#endif
		get_page(hr);
		/* C: vmemmap_shadow_stray_write: copy_page */
#ifndef FILL_LATE
		atomic { copy_shared(hr) };
#endif
		/* C: vmemmap_shadow_stray_write: vmemmap_shadow_tlbi_one */
		TLBI_PART(c, e);
		/* C: vmemmap_shadow_stray_write: vmemmap_shadow_cmpxchg */
		/* C: vmemmap_shadow_stray_write: shadow_spare_put */
		/* C: shadow_spare_put: this_cpu_cmpxchg */
		/* C: shadow_spare_put: free_pages_nolock */
		atomic {
			if
			:: IS_AS_READ(e) ->
				RULE(illegal_step, SHADOW_CHAIN_HAS(hs, PARTED));
				tag[e] = PARTED;
				oa[e] = hr;
				entry_changed(e);
				reached_parted = 1;
#ifdef FILL_LATE
				hs = hr;
#endif
				hr = 0
			:: else -> put_page(hr); reached_lost_exchange = 1
			fi
		};
#ifdef FILL_LATE
		atomic { copy_shared(hs) };
#endif
		atomic { hs = 0; hp = 0 }
	   fi
	od;
	/* Behind the exchange that opened it; issued with it. */
	atomic {
		if
		:: since[HANDLER_TLBI(c) * NT + e] -> tlbi_complete(HANDLER_TLBI(c), e)
		:: else
		fi
	};
	HANDLER_UNLOCK(who)
#endif
}

/* ------------------------------------------------------------------------ */
/* Those who look							    */

#if OBSERVERS
/* Looks at what one entry maps, again and again. */
proctype observer(byte c)
{
	byte e;

	if
	:: e = 0
	:: e = 1
	fi;
	do
	:: atomic {
		translate(c, e);
		CHECK(neither_head_nor_tail, !typed || kind[PAGE(x_t)] == TAIL);
#if STRAYS
		CHECK(store_lost, !stored_a[e] || HAS_STRAY(PAGE(x_t)));
		CHECK(store_lost, !stored_b[e] || flag_b[PAGE(x_t)]);
		CHECK(store_spread, stored_a[e] || !HAS_STRAY(PAGE(x_t)));
#endif
		x_t = 0
	   }
	:: finished -> break
	od;
	alive--
}
#endif

#ifdef IN_USE
byte head_ref;			/* of the folio */

/* Finds the head from a tail, and takes a reference there. */
proctype user()
{
	byte e;
	bit got;

	if
	:: e = 0
	:: e = 1
	fi;
	do
	:: atomic {
		typed ->
		translate(2, e);
		CHECK(neither_head_nor_tail, kind[PAGE(x_t)] == TAIL);
		x_t = 0;
	   };
	   atomic { got = (head_ref > 0); head_ref = head_ref + got };
	   atomic { CHECK(refcount_wrong, !got || head_ref > 0); head_ref = head_ref - got; got = 0 }
	:: finished -> break
	od;
	alive--
}
#endif

#ifdef TAKER
/*
 * page_ref_add_unless(page, 1, 0) of a tail entry's first struct page, which is an
 * order-0 page now and then: the count is read, and some time later exchanged. In no RCU
 * section. An arm64 CAS needs leave to write even if its comparison fails.
 */
proctype taker()
{
	byte e, r, p, hs, hp, hr;
	bit refused, counted;

#ifndef SAME_ENTRY
	if
	:: e = 0
	:: e = 1
	fi;
#endif
	atomic { translate(1, e); r = ref[PAGE(x_t)]; x_t = 0 };
again:	if
	:: r == 0 -> goto out
	:: else
	fi;
	atomic {
		translate(1, e);
		p = PAGE(x_t);
		refused = !MAY_WRITE(x_t);
		x_t = 0;
		if
		:: refused -> p = 0
		:: !refused && ref[p] == r ->
			CHECK(refcount_wrong, kind[p] == ORDER0);
			ref[p]++;
			goto took
		:: else -> r = ref[p]; p = 0; goto again
		fi
	};
	reached_late = 1;
	refused = 0;
	fault(1, e, TAKER_RCU);
	goto again;
took:	atomic { CHECK(refcount_wrong, ref[p] > 0); ref[p]-- };
out:	atomic { r = 0; p = 0; refused = 0; alive-- }
}
#endif

/* ------------------------------------------------------------------------ */
/* Stray writers							    */

#if STRAYS
/* Something is stored to page p, through entry e. */
inline land(p)
{
	CHECK(freed_page_accessed, !freed[p]);
	RULE(shared_changed, p != S);
	if
	:: in_a -> word_a[p] = word_a[p] | STRAY; stored_a[e] = 1
	:: else ->
		flag_b[p] = 1;
		/* What came before the seal may be lost: it says nothing. */
		stored_b[e] = stored_b[e] | faulted
	fi
}

/* One store by somebody without a reference, to what a tail entry maps, at any time. */
proctype stray(byte c)
{
	byte e, hs, hp, hr;
	bit in_a, refused, faulted, counted;

	atomic {
#ifndef SAME_ENTRY
		if
		:: e = 0
		:: e = 1
		fi;
#endif
#ifdef STRAY_B
		if
		:: in_a = 0
		:: in_a = 1
		fi;
#else
		in_a = 1;
#endif
		irq = (c == 0);
		goto store
	};
again:	atomic {
		skip;
store:		translate(c, e);
		refused = !MAY_WRITE(x_t);
		x_v = PAGE(x_t);
		x_t = 0;
		if
		:: refused
		:: else -> land(x_v); x_v = 0; goto out
		fi;
		x_v = 0;
		refused = 0;
		faulted = 1
	};
	fault(c, e, STRAY_RCU(c));
	if
	:: refused		/* the oops */
	:: else -> goto again
	fi;
out:	atomic {
		if
		:: c == 0 -> irq = 0
		:: else
		fi;
		e = 0;
		in_a = 0;
		refused = 0;
		faulted = 0;
		alive--
	}
}
#endif

/* ------------------------------------------------------------------------ */
/* The updater								    */

#define PLAIN(kind_is, ref_is, a_is)	(kind_is == TAIL && !ref_is && !(a_is & STRAY))
#ifdef NO_PLAIN_CHECK
#define IS_PLAIN_PAGE(p)	true
#define WAS_PLAIN		true
#else
#define IS_PLAIN_PAGE(p)	PLAIN(kind[p], ref[p], word_a[p])
#define WAS_PLAIN		!(was_a & STRAY)
#endif
#ifdef NO_SEALED_CHECK
#define IS_SEALED_STILL(e)	true
#else
#define IS_SEALED_STILL(e)	(tag[e] == SHADOW_TAG_SEALED)
#endif
#ifdef BLIND_EQUALIZE
#define IS_STILL(is, was)	true
#else
#define IS_STILL(is, was)	(is) == (was)
#endif

/* Make each word what it is in S, but never over anything that came in between. */
inline equalize_words(e)
{
	/* C: shadow_equalize_words: shadow_tail_is_plain */
	ok = IS_PLAIN_PAGE(own);
	if
	:: ok ->
		was_a = word_a[own];
		was_b = odd[own] + 2 * flag_b[own];
		/* C: shadow_equalize_words: smp_rmb */
		/* C: shadow_equalize_words: shadow_tail_is_plain */
		ok = (IS_SEALED_STILL(e) && WAS_PLAIN);
		/* C: shadow_equalize_words: vmemmap_shadow_store */
		/* C: vmemmap_shadow_store: cmpxchg_release */
		atomic {
			if
			:: ok && was_a != word_a[S] ->
				if
				:: IS_STILL(word_a[own], was_a) -> word_a[own] = word_a[S]
				:: !(IS_STILL(word_a[own], was_a)) -> ok = 0
				fi
			:: else
			fi
		};
		atomic {
			if
			:: ok && was_b ->
				if
				:: IS_STILL(odd[own] + 2 * flag_b[own], was_b) -> odd[own] = 0; flag_b[own] = 0
				:: !(IS_STILL(odd[own] + 2 * flag_b[own], was_b)) -> ok = 0
				fi
			:: else
			fi
		}
	:: else
	fi;
	atomic { was_a = 0; was_b = 0 }
}

inline equalize(e)
{
	/* C: vmemmap_shadow_equalize: shadow_equalize */
	own = oa[e];
	ok = (tag[e] == SHADOW_TAG_SEALED);
	if
	:: ok ->
#ifdef RAW
		/* C: shadow_equalize: vmemmap_shadow_copy */
		atomic { copy_shared(own) };
#else
		/* C: shadow_equalize: vmemmap_shadow_all_same */
		same = (kind[own] == kind[S] && ref[own] == ref[S] && word_a[own] == word_a[S]);
		same = (same && odd[own] == odd[S] && flag_b[own] == flag_b[S]);
		/* C: shadow_equalize: shadow_equalize_words */
		if
		:: same
		:: else -> equalize_words(e)
		fi;
#endif
	:: else
	fi;
	/* C: vmemmap_shadow_equalize: vmemmap_shadow_cmpxchg */
#if !defined(LEFT_SEALED) && !defined(OPEN_LATE)
	if
	:: ok
	:: else -> step(e, SHADOW_TAG_SEALED, SHADOW_TAG_OWNED, 0, ok)
	fi;
#endif
	atomic { own = 0; same = 0; left = left | !ok << e }
}

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
#define TLBI_R1		skip
#else
#define TLBI_R1		tlbi_round()
#endif
#if NO_TLBI == 4
#define TLBI_R2		skip
#else
#define TLBI_R2		tlbi_round()
#endif

#define SEAL(e)		step(e, SHADOW_TAG_OWNED, SHADOW_TAG_SEALED, 0, ok)
#define OPEN_SEALED(e)	step(e, SHADOW_TAG_SEALED, SHADOW_TAG_OWNED, 0, ok)
#if defined(LEFT_SEALED) || defined(OPEN_LATE)
#define JOIN(e)		if :: left & (1 << e) :: else -> join(e) fi
#else
#define JOIN(e)		join(e)
#endif
#define IS_OPEN(e)	(tag[e] == SHADOW_TAG_OWNED)

#ifdef NO_EQUALIZE
#define EQUALIZE(e)	skip
#else
#define EQUALIZE(e)	equalize(e)
#endif

#define GET_PAGE(e)							\
	if								\
	:: SHADOW_TAG_MAPS_SHARED(tag[e]) -> get_page(mine[e])		\
	:: else								\
	fi
#ifdef FILL_ELSE
#define FILL_PAGE(p)	copy_shared(p); word_a[p] = NOMEAN /* what it held before */
#else
#define FILL_PAGE(p)	copy_shared(p)
#endif
#define FILL(e)								\
	atomic {							\
		if							\
		:: tag[e] == SHADOW_TAG_JOINED ->			\
			CHECK(page_lost, mine[e]);			\
			FILL_PAGE(mine[e]);				\
			filled = filled | (1 << e)			\
		:: else							\
		fi							\
	}
#define PART(e)								\
	atomic {							\
		if							\
		:: filled & (1 << e) ->					\
			step(e, SHADOW_TAG_JOINED, SHADOW_TAG_SEALED, mine[e], ok); \
			if						\
			:: ok -> mine[e] = 0				\
			:: else						\
			fi;						\
			filled = filled & ~(1 << e)			\
		:: else							\
		fi							\
	}
#define PUT_PAGE(e)							\
	atomic {							\
		if							\
		:: mine[e] -> put_page(mine[e])				\
		:: else							\
		fi							\
	}

/* Take all entries to OWNED. */
inline restore_all()
{
	tries = 0;
	do
	:: tries < TRIES ->
		/* C: vmemmap_shadow_restore_windows: vmemmap_shadow_round */
		if
		:: tries -> tlbi_round()
		:: else
		fi;
		/* O: vmemmap_shadow_restore_windows: shadow_unbar */
		/* O: vmemmap_shadow_restore_windows: shadow_step_those */
		/* O: vmemmap_shadow_restore_windows: vmemmap_shadow_round */
		/* C: vmemmap_shadow_restore_windows: shadow_wait_handlers */
#ifndef NO_WAIT_RESTORE
		wait_handlers();
#endif
		/* O: vmemmap_shadow_restore_windows: shadow_all_in */
		/* C: vmemmap_shadow_restore_windows: vmemmap_shadow_note */
		/* C: vmemmap_shadow_restore_windows: shadow_fill_range */
		/* C: shadow_fill_range: shadow_take_page */
		/* C: shadow_fill_range: vmemmap_shadow_fill */
		/* C: vmemmap_shadow_fill: vmemmap_shadow_copy */
		/* C: shadow_fill_range: list_add_tail */
		/* C: vmemmap_shadow_restore_windows: shadow_window_open */
		/* C: vmemmap_shadow_restore_windows: shadow_part_range */
		/* C: shadow_part_range: list_first_entry_or_null */
		/* C: shadow_part_range: shadow_step */
		/* C: shadow_part_range: list_move */
		/* C: vmemmap_shadow_restore_windows: shadow_window_close */
		/* C: vmemmap_shadow_restore_windows: vmemmap_shadow_replain */
#if WINDOWS == 1
		EACH(FILL);
		EACH(PART);
#else
		FILL(0);
		PART(0);
		TLBI_R1;
#if OPEN_EARLY
		OPEN_SEALED(0);
#endif
		FILL(1);
		PART(1);
#endif
		TLBI_R1;
		/* C: vmemmap_shadow_restore_windows: shadow_step_those */
		EACH(OPEN_SEALED);
		/* C: vmemmap_shadow_restore_windows: vmemmap_shadow_round */
		TLBI_R2;
		/* C: vmemmap_shadow_restore_windows: shadow_all_in */
		if
		:: ALL(IS_OPEN) -> break
		:: else -> tries++
		fi
	:: else ->
		/* Given up: no run gets here. */
		/* O: vmemmap_shadow_restore_windows: shadow_step_those */
		/* C: vmemmap_shadow_restore_windows: shadow_step_those */
		/* C: vmemmap_shadow_restore_windows: vmemmap_shadow_round */
		CHECK(page_lost, false);
		break
	od;
	atomic { tries = 0; ok = 0 }
}

#ifdef TAKER
/* The page of tail entry e is an order-0 page, and becomes a tail. */
#ifdef NOT_FROZEN
#define TYPE(e)		kind[oa[e]] = TAIL
#else
#define TYPE(e)								\
	atomic { ref[oa[e]]-- };					\
	atomic { ref[oa[e]] == 0 -> kind[oa[e]] = TAIL }
#endif
#define NEW_LIFE(e)	kind[oa[e]] = ORDER0; ref[oa[e]] = 1
#else
#define TYPE(e)		skip
#define NEW_LIFE(e)	skip
#endif

proctype updater(byte u) provided (!irq)
{
	byte hand, filled, own, tries, was_a, was_b, left, mine[NT];
	bit ok, same, optimized;
#if CYCLES > 1
	byte cycle;
#endif

again:	EACH(TYPE);
	typed = 1;
#ifdef IN_USE
	head_ref = 1;
#endif
	/* C: vmemmap_shadow_optimize_bootmem_folios: shadow_get_ready */
	/* C: vmemmap_shadow_optimize_bootmem_folios: vmemmap_shadow_optimize_folios */
	/* C: vmemmap_shadow_optimize_folio: shadow_optimize */
	/* C: vmemmap_shadow_optimize_folios: shadow_optimize */
	/* C: vmemmap_shadow_optimize_folios: list_first_entry_or_null */
	/* C: shadow_optimize: shadow_mark */
	/* C: shadow_mark: folio_set_hugetlb_vmemmap_optimized */
	/* O: shadow_optimize: shadow_wait_readers */
	/* C: shadow_wait_readers: vmemmap_shadow_wait_readers */
	CHECK(page_lost, ALL(IS_OPEN));
	/* C: shadow_optimize: shadow_mark */
	/* C: shadow_optimize: shadow_optimize_batch */
	/* C: shadow_optimize: shadow_optimize_batch */
	/* C: shadow_optimize_batch: vmemmap_shadow_prepare */
	/*
	 * See "leaves out".
	 * C: vmemmap_shadow_prepare: shadow_shared_page
	 * C: vmemmap_shadow_prepare: shadow_get_ready
	 * C: shadow_get_ready: WRITE_ONCE
	 * C: shadow_get_ready: shadow_spare_refill
	 * C: vmemmap_shadow_prepare: shadow_wipe_tails
	 * C: vmemmap_shadow_note: shadow_shared_page
	 * C: shadow_spare_refill: this_cpu_read
	 * C: shadow_spare_refill: alloc_page
	 * C: shadow_spare_refill: shadow_spare_put
	 * C: shadow_wipe_tails: shadow_wipe
	 * C: shadow_wipe_tails: shadow_wipe
	 * C: shadow_wipe_tails: shadow_wipe
	 * C: shadow_wipe_tails: shadow_wipe
	 * C: shadow_wipe: WRITE_ONCE
	 * C: shadow_wipe: WRITE_ONCE
	 * C: shadow_wipe: shadow_wipe_flags
	 * C: shadow_wipe_flags: cmpxchg_relaxed
	 */
	/* C: shadow_optimize_batch: folio_clear_hugetlb_vmemmap_optimized */
	/* C: shadow_optimize_batch: vmemmap_shadow_optimize_windows */
#ifdef DIRECT
	atomic { hand = 1 << oa[0]; tag[0] = SHADOW_TAG_JOINED; oa[0] = S; entry_changed(0) };
#endif
#ifdef SKIP_A_STATE
	step(0, SHADOW_TAG_OWNED, SHADOW_TAG_JOINED, S, ok);
#endif
	/* C: vmemmap_shadow_optimize_windows: shadow_step_those */
	/* C: shadow_step_those: shadow_step */
	EACH(SEAL);
	/* C: vmemmap_shadow_optimize_windows: vmemmap_shadow_round */
	TLBI_O1;
#ifdef WAIT_EARLY
	wait_handlers();
#endif
	/* C: vmemmap_shadow_optimize_windows: vmemmap_shadow_equalize */
	/* C: vmemmap_shadow_optimize_windows: shadow_window_open */
	/* C: shadow_window_open: preempt_disable */
	/* C: vmemmap_shadow_optimize_windows: shadow_join_range */
	/* C: vmemmap_shadow_optimize_windows: shadow_window_close */
	/* C: shadow_window_close: shadow_tlbi_round */
	/* C: shadow_window_close: preempt_enable */
#if WINDOWS == 1
	EACH(EQUALIZE);
	EACH(JOIN);
#else
	EQUALIZE(0);
	JOIN(0);
	TLBI_O2;
	EQUALIZE(1);
	JOIN(1);
#endif
#ifdef FREE_EARLY
	free_pages();
#endif
#ifdef S_LATE
	kind[S] = TAIL;
#endif
	TLBI_O2;
	/* C: vmemmap_shadow_optimize_windows: shadow_wait_handlers */
#ifndef NO_WAIT_FREE
	wait_handlers();
#endif
#ifdef SHARED_S
	/* At rest as with fake heads: S, writable. */
#define OPEN_JOINED(e)	step(e, SHADOW_TAG_JOINED, SHADOW_TAG_SHARED, 0, ok)
	EACH(OPEN_JOINED);
	tlbi_round();
#endif
#ifdef OPEN_LATE
	EACH(OPEN_SEALED);
	tlbi_round();
#endif
	/* O: vmemmap_shadow_optimize_windows: shadow_step_those */
	/* O: vmemmap_shadow_optimize_windows: vmemmap_shadow_replain */
	/* O: vmemmap_shadow_optimize_windows: shadow_step_those */
	/* O: vmemmap_shadow_optimize_windows: vmemmap_shadow_round */
	if
	:: left -> atomic { left = 0; reached_left = 1 }
	:: else
	fi;
	atomic { ok = 0; optimized = (hand != 0) };
	/* C: shadow_optimize_batch: folio_clear_hugetlb_vmemmap_optimized */
	/* C: shadow_optimize_batch: shadow_release */
	/* C: shadow_release: shadow_free_pages */
	/* C: shadow_free_pages: shadow_free_run */
	/* C: shadow_free_pages: shadow_free_run */
	/* C: shadow_free_run: vmemmap_shadow_free_pages */
	/* C: vmemmap_shadow_free_pages: ClearPageReserved */
	/* C: vmemmap_shadow_free_pages: set_page_count */
	/* C: vmemmap_shadow_free_pages: __free_pages */
	free_pages();
#ifdef IN_USE
	head_ref--;
	head_ref == 0;
#endif
	if
	:: optimized
	:: else -> goto end
	fi;
	/* C: vmemmap_shadow_restore_folio: shadow_restore */
	/* C: vmemmap_shadow_restore_folios: shadow_restore */
	/* C: shadow_restore: shadow_alloc_for */
	EACH(GET_PAGE);
#ifdef SHARED_S
#define SEAL_SHARED(e)	step(e, SHADOW_TAG_SHARED, SHADOW_TAG_JOINED, 0, ok)
	EACH(SEAL_SHARED);
	tlbi_round();
#endif
	/* C: shadow_restore: shadow_restore_batch */
	/* C: shadow_restore_batch: vmemmap_shadow_restore_windows */
	restore_all();
	/* C: shadow_restore: shadow_release */
	EACH(PUT_PAGE);
	/* C: shadow_restore_batch: folio_clear_hugetlb_vmemmap_optimized */
end:	optimized = 0;
#ifdef NOT_FROZEN
#define IS_FIT(e)	(kind[oa[e]] == TAIL)
#else
#define IS_FIT(e)	(kind[oa[e]] == TAIL && !ref[oa[e]])
#endif
#define ONLY_WRITABLE(e) (!(ALL_LIVE(e) & ~ANY_WRITABLE))
#if STRAYS
#define KEPT_B(e)	(!stored_b[e] || flag_b[oa[e]])
#define KEPT_A(e)	(!stored_a[e] || HAS_STRAY(oa[e]))
#define ALONE_A(e)	(stored_a[e] || !HAS_STRAY(oa[e]))
#endif
	atomic {
		CHECK(not_plain_after_restore, ALL(IS_FIT));
		CHECK(page_lost, ALL(IS_OPEN) && !hand && oa[0] != oa[1] && oa[0] && oa[1]);
#if STRAYS
		CHECK(store_lost, ALL(KEPT_A) && ALL(KEPT_B));
		CHECK(store_spread, ALL(ALONE_A));
#endif
#ifdef NO_RECOVERY
		/* Whoever the page is for stores to it now, on any CPU. */
		CHECK(unrecovered_store, ALL(ONLY_WRITABLE));
#endif
#if CYCLES > 1
		if
		:: cycle + 1 < CYCLES -> cycle++; typed = 0; EACH(NEW_LIFE); goto again
		:: else
		fi;
#endif
		finished = 1;
		alive--
	}
}

/* ------------------------------------------------------------------------ */

init {
	atomic {
#ifdef S_LATE
		kind[S] = JUNK;
#else
		kind[S] = TAIL;
#endif
#define BORN(e)	oa[e] = OWN(e); entry_changed(e)
		EACH(BORN);
#ifdef RAW
		kind[1] = JUNK;
		kind[2] = JUNK;
#elif defined(TAKER)
		kind[1] = ORDER0;
		kind[2] = ORDER0;
		ref[1] = 1;
		ref[2] = 1;
#else
		kind[1] = TAIL;
		kind[2] = TAIL;
#endif
#if ODD == 1
		word_a[1] = NOMEAN;
#elif ODD == 2
		odd[1] = 1;
#endif
		freed[3] = 1;
		freed[4] = 1;
		kind[3] = JUNK;
		kind[4] = JUNK;
#define START(p)	alive++; run p
		START(updater(0));
#ifdef LITERAL
		run walker(0);
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
#ifdef IN_USE
		START(user());
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
