/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Folios that are optimized later, Linux 7.3, for SPIN: notes, the worker, and those who
 * end a folio's life. See README.md beside this file; what becomes of the entries that
 * are stepped is tails.pml's.
 *
 * Covers: HugeTLB's owners, each of whom allocates a folio, has it noted, or optimizes it
 * himself if there is no memory for the note, uses it, and lets it go to the pool or to
 * the page allocator; who takes a folio from the pool to use it, or to end its life:
 * demotion, dissolving, shrinking, migration of a free folio; restore that gets no memory,
 * after which the folio is HugeTLB's again; the worker, as
 * base/7.3/arch/arm64/mm/vmemmap_shadow_later.c has it, who takes any of the notes at any
 * time, comes again and again, and finds what he has marked unable to join; the mutex,
 * hugetlb_lock, and the lock of the notes.
 *
 * Bounds: two folios (FOLIOS=1: one), which live as often as the owners have turns: two
 * owners, two turns each. A batch is all folios that the worker wants.
 *
 * Leaves out: weak memory order, all of this is under locks; time, which is nothing to
 * rely on: a note is as old as the worker likes; entries, of which there is a state for
 * all of a folio: whole, half way, or shared; users, see tails-in-use; interrupts, since
 * both spinlocks are taken with these off.
 *
 * The protocol as it is to be:
 *   run later                         pass:late,waited,young         -DFOLIOS=1
 *   run later-two                     pass:late,waited,young         -DFOLIOS=2
 *   run later-no-note                 pass:late,waited               -DFOLIOS=1 -DNOTE_FAILS
 *   run later-no-memory               pass:late,waited,back          -DFOLIOS=1 -DRESTORE_FAILS
 *   run later-nothing-joins           pass:late,waited               -DFOLIOS=1 -DNOTHING_JOINS
 *   run later-terminates              cycle:none                     -DFOLIOS=1 -DWORKS=2
 *   run later-three-big               big:pass                       -DFOLIOS=1 -DOWNERS=3
 *
 * The note:
 *   run later-no-forget               fails:note_outlives            -DFOLIOS=1 -DNO_FORGET
 *   run later-no-forget-harm          fails:stepped_when_gone        -DFOLIOS=1 -DNO_FORGET -DNO_RULES
 *   run later-forget-late             fails:note_outlives            -DFOLIOS=1 -DFORGET_LATE
 *   run later-forget-late-harm        fails:stepped_when_gone        -DFOLIOS=1 -DFORGET_LATE -DNO_RULES
 *   run later-note-late               fails:mark_changes             -DFOLIOS=1 -DNOTE_LATE
 *   run later-note-late-harm          fails:gone_optimized           -DFOLIOS=1 -DNOTE_LATE -DNO_RULES
 *   run later-no-forget-unneeded      fails:mark_changes             -DFOLIOS=1 -DNO_FORGET_UNNEEDED
 *   run later-no-forget-unneeded-harm fails:gone_optimized           -DFOLIOS=1 -DNO_FORGET_UNNEEDED -DNO_RULES
 *   run later-forget-unlocked         pass:late,waited,young         -DFOLIOS=1 -DFORGET_UNLOCKED
 *
 * The mark:
 *   run later-mark-late               fails:mark_changes             -DFOLIOS=1 -DMARK_LATE
 *   run later-mark-late-harm          fails:stepped_when_gone        -DFOLIOS=1 -DMARK_LATE -DNO_RULES
 *   run later-mark-off                fails:mark_changes             -DFOLIOS=1 -DNOTHING_JOINS -DMARK_OFF
 *   run later-mark-off-harmless       pass:late,young                -DFOLIOS=1 -DNOTHING_JOINS -DMARK_OFF -DNO_RULES
 *   run later-mark-off-harm           fails:gone_as_hugetlb          -DFOLIOS=1 -DNOTHING_JOINS -DMARK_OFF -DNO_RULES -DTYPE_BY_MARK
 *
 * The mutex:
 *   run later-no-wait                 fails:stepped_by_two           -DFOLIOS=1 -DNO_WAIT
 *   run later-no-wait-harm            fails:restored_half            -DFOLIOS=1 -DNO_WAIT -DNO_RULES
 *   run later-mutex-for-marks         fails:stepped_by_two           -DFOLIOS=1 -DMUTEX_FOR_MARKS
 *   run later-mutex-for-marks-harm    fails:restored_half            -DFOLIOS=1 -DMUTEX_FOR_MARKS -DNO_RULES
 *   run later-mutex-after-marks       fails:stepped_by_two           -DFOLIOS=1 -DMUTEX_AFTER_MARKS
 *   run later-mutex-after-marks-harm  fails:restored_half            -DFOLIOS=1 -DMUTEX_AFTER_MARKS -DNO_RULES
 *   run later-wait-locked             fails:somebody_waits           -DFOLIOS=1 -DWAIT_LOCKED
 */
#ifndef FOLIOS
#define FOLIOS 2
#endif
#ifndef OWNERS
#define OWNERS 2
#endif
#ifndef TURNS
#define TURNS 2
#endif

/*
 * One name for each property. The first three are rules of the protocol, which -DNO_RULES
 * leaves out, to show what their violation leads to.
 */
hidden byte note_outlives;		/* a note of what is not HugeTLB's */
hidden byte mark_changes;		/* behind the back of who has taken the folio */
hidden byte stepped_by_two;		/* entries, by two at once */
hidden byte stepped_when_gone;		/* entries of the page allocator's */
hidden byte restored_half;		/* restore met what it cannot undo */
hidden byte gone_optimized;		/* given back with tails that it shares */
hidden byte gone_as_hugetlb;		/* given back, and HugeTLB's still */
hidden byte somebody_waits;		/* the end is never reached */

/* Places that a run is expected to reach. */
hidden byte reached_late, reached_waited, reached_young, reached_back;

#define CHECK(name, cond)	assert((cond) || name)
#ifdef NO_RULES
#define RULE(name, cond)	skip
#else
#define RULE(name, cond)	CHECK(name, cond)
#endif

/* A folio: whose it is, */
#define BUDDY		0		/* the page allocator's */
#define TAKEN		1		/* somebody's, who is alone with it */
#define POOL		2		/* free, on HugeTLB's list */
byte where[FOLIOS];
bit hugetlb[FOLIOS];			/* what it says of itself */
bit mark[FOLIOS];			/* that it is optimized, too */
bit note[FOLIOS];
/* and its tail entries. */
#define WHOLE		0		/* OWNED */
#define HALF		1		/* some other, some on the way */
#define REST		2		/* JOINED, or left */
byte entries[FOLIOS];
byte steppers[FOLIOS];

byte alive, done;

/* Spinlocks and the mutex: all the same here. */
bit hugetlb_lock, notes_lock, mutex;
#define LOCK(l)		atomic { !l -> l = 1 }
#define UNLOCK(l)	l = 0

/* From one state of a folio's entries to another, by who means to be alone. */
inline step_all(f, to)
{
	atomic {
		RULE(stepped_by_two, !steppers[f]);
		CHECK(stepped_when_gone, hugetlb[f]);
		steppers[f]++;
		entries[f] = HALF
	};
	atomic {
		CHECK(stepped_when_gone, hugetlb[f]);
		entries[f] = to;
		steppers[f]--
	}
}

/* Take back the note. The caller holds hugetlb_lock. */
inline forget(f)
{
	/* C: vmemmap_shadow_forget_folio: xa_empty */
	/* C: vmemmap_shadow_forget_folio: xa_lock_irqsave */
	/* C: vmemmap_shadow_forget_folio: __xa_erase */
	/* C: vmemmap_shadow_forget_folio: xa_unlock_irqrestore */
	LOCK(notes_lock);
	if
	:: note[f] -> reached_young = 1
	:: else
	fi;
	atomic { note[f] = 0; UNLOCK(notes_lock) }
}

/* Restore, without hugetlb_lock; gone says whether there was memory for it. */
inline restore(f, gone)
{
	/* C: vmemmap_shadow_later_wait: mutex_lock */
	/* C: vmemmap_shadow_later_wait: mutex_unlock */
#ifndef NO_WAIT
	if
	:: mutex -> reached_waited = 1
	:: else
	fi;
	LOCK(mutex);
	UNLOCK(mutex);
#endif
	gone = 1;
#ifdef RESTORE_FAILS
	if
	:: gone = 0
	:: true
	fi;
#endif
	if
	:: gone ->
		RULE(stepped_by_two, !steppers[f]);
		CHECK(restored_half, entries[f] != HALF);
		step_all(f, WHOLE);
		RULE(mark_changes, mark[f]);
		mark[f] = 0
	:: else
	fi
}

#ifdef FORGET_LATE
#define FORGET_FIRST(f)	skip
#define FORGET_LAST(f)	forget(f)
#elif defined(NO_FORGET)
#define FORGET_FIRST(f)	skip
#define FORGET_LAST(f)	skip
#else
#define FORGET_FIRST(f)	forget(f)
#define FORGET_LAST(f)	skip
#endif

/*
 * The end of a folio that is the caller's alone: remove_hugetlb_folio() under
 * hugetlb_lock, and update_and_free_hugetlb_folio() or what a list has instead.
 * seen is what the former has read.
 */
inline end_life(f, seen, gone)
{
#ifdef FORGET_UNLOCKED
	FORGET_FIRST(f);
	LOCK(hugetlb_lock);
#else
	LOCK(hugetlb_lock);
	FORGET_FIRST(f);
#endif
	/* Here is what it is later, unless this is left. */
	seen = mark[f];
	if
	:: !seen -> hugetlb[f] = 0
	:: else
	fi;
#ifdef FORGET_LATE
	UNLOCK(hugetlb_lock);
	LOCK(hugetlb_lock);
	FORGET_LAST(f);
#endif
#ifdef WAIT_LOCKED
	if
	:: seen -> LOCK(mutex); UNLOCK(mutex)
	:: else
	fi;
#endif
	UNLOCK(hugetlb_lock);
	RULE(mark_changes, seen == mark[f]);
	gone = 1;
	if
	:: mark[f] -> restore(f, gone)
	:: else
	fi;
	give_back(f, seen, gone)
}

inline give_back(f, seen, gone)
{
	if
	:: gone ->
		RULE(mark_changes, !mark[f]);
#ifdef TYPE_BY_MARK
		/* As if nobody looked at what it says of itself. */
#else
		LOCK(hugetlb_lock);
		hugetlb[f] = 0;
		UNLOCK(hugetlb_lock);
#endif
		atomic {
			RULE(note_outlives, !note[f]);
			CHECK(gone_optimized, entries[f] == WHOLE && !mark[f]);
			CHECK(gone_as_hugetlb, !hugetlb[f]);
			where[f] = BUDDY
		}
	:: else ->
		/* add_hugetlb_folio(): it is optimized, and without a note. */
		LOCK(hugetlb_lock);
		reached_back = 1;
		atomic { where[f] = POOL; UNLOCK(hugetlb_lock) }
	fi;
	atomic { seen = 0; gone = 0 }
}

inline optimize_later(f)
{
	/* C: vmemmap_shadow_optimize_later: vmemmap_shadow_later_note */
	/* C: vmemmap_shadow_later_note: xa_mk_value */
	/* C: vmemmap_shadow_later_note: xa_is_err */
	/* C: vmemmap_shadow_later_note: xa_store_irq */
	/* C: vmemmap_shadow_optimize_later: vmemmap_shadow_later_arm */
	/* C: vmemmap_shadow_later_arm: queue_delayed_work */
	if
#ifdef NOTE_FAILS
	:: true ->
		/* Nobody else knows of it. */
		mark[f] = 1;
		step_all(f, REST)
#endif
	:: true ->
		LOCK(notes_lock);
		atomic {
			RULE(note_outlives, hugetlb[f]);
			note[f] = 1;
			UNLOCK(notes_lock)
		}
	fi
}

/* Whoever gets a folio, and whoever ends one. */
proctype owner()
{
	byte turn, f = FOLIOS;
	bit seen, gone;

	do
	:: turn < TURNS ->
		/* One of the page allocator's, or of the pool's, or none. */
		atomic {
			if
			:: where[0] == BUDDY -> f = 0
#if FOLIOS > 1
			:: where[1] == BUDDY -> f = 1
#endif
			:: !hugetlb_lock && where[0] == POOL -> f = 0
#if FOLIOS > 1
			:: !hugetlb_lock && where[1] == POOL -> f = 1
#endif
			:: where[0] != BUDDY && where[FOLIOS - 1] != BUDDY -> f = FOLIOS
			fi;
			turn++;
			if
			:: f < FOLIOS && where[f] == BUDDY ->
				CHECK(gone_optimized, entries[f] == WHOLE && !mark[f]);
				where[f] = TAKEN;
				hugetlb[f] = 1
			:: f < FOLIOS && where[f] == POOL -> where[f] = TAKEN; goto taken
			:: else -> goto next
			fi
		};
#ifndef NOTE_LATE
		optimize_later(f);
#endif
taken:		/* In use, then free; now or later it goes. */
		if
		:: true ->
			LOCK(hugetlb_lock);
			atomic { where[f] = POOL; UNLOCK(hugetlb_lock) }
#ifdef NOTE_LATE
			/* When others may have it. */
			;
			optimize_later(f)
#endif
		:: true -> end_life(f, seen, gone)
#ifdef NO_FORGET_UNNEEDED
		/* A new folio that was not needed, alloc_and_dissolve_hugetlb_folio(). */
		:: true ->
			gone = 1;
			seen = mark[f];
			if
			:: seen -> restore(f, gone)
			:: else
			fi;
			give_back(f, seen, gone)
#endif
		fi;
next:		f = FOLIOS
	:: else -> break
	od;
	alive--
}

#ifdef MUTEX_AFTER_MARKS
#define MUTEX_FIRST	skip
#define MUTEX_LATER	LOCK(mutex)
#else
#define MUTEX_FIRST	LOCK(mutex)
#define MUTEX_LATER	skip
#endif

/* The worker's, of one note: he may find it too young. */
inline claim(f)
{
	if
	:: note[f] ->
		/* C: vmemmap_shadow_claim: shadow_mark */
		/* Whatever it is that he follows the note to. */
		RULE(note_outlives, hugetlb[f]);
		if
		:: !mark[f] ->
			batch = batch | (1 << f);
#ifndef MARK_LATE
			mark[f] = 1
#endif
		:: else
		fi;
		note[f] = 0
	:: true
	fi
}

inline optimize_claimed(f)
{
	if
	:: batch & (1 << f) ->
#ifdef MARK_LATE
		mark[f] = 1;
#endif
		/* C: vmemmap_shadow_optimize_claimed: shadow_optimize_batch */
		step_all(f, REST);
		reached_late = 1;
#ifdef NOTHING_JOINS
		if
		:: entries[f] = WHOLE;
#ifdef MARK_OFF
			mark[f] = 0
#endif
		:: true
		fi;
#endif
		batch = batch & ~(1 << f)
	:: else
	fi
}

proctype worker()
{
	byte batch;
#ifdef WORKS
	byte works;
#endif

	do
#ifdef WORKS
	:: works < WORKS -> works++;
#else
	:: true ->
#endif
		/* C: vmemmap_shadow_later_work: mutex_lock */
		MUTEX_FIRST;
		/* C: vmemmap_shadow_later_work: shadow_later_fill */
		/* C: shadow_later_fill: spin_lock_irq */
		LOCK(hugetlb_lock);
		/* C: shadow_later_fill: xas_lock */
		LOCK(notes_lock);
		/* C: shadow_later_fill: xas_for_each */
		/* C: shadow_later_fill: vmemmap_shadow_claim */
		/* C: shadow_later_fill: xas_store */
		claim(0);
#if FOLIOS > 1
		claim(1);
#endif
		/* C: shadow_later_fill: xas_unlock */
		UNLOCK(notes_lock);
		/* C: shadow_later_fill: spin_unlock_irq */
		UNLOCK(hugetlb_lock);
		MUTEX_LATER;
		/* C: vmemmap_shadow_later_work: vmemmap_shadow_optimize_claimed */
#ifdef MUTEX_FOR_MARKS
		UNLOCK(mutex);
#endif
		optimize_claimed(0);
#if FOLIOS > 1
		optimize_claimed(1);
#endif
		/* C: vmemmap_shadow_later_work: mutex_unlock */
#ifndef MUTEX_FOR_MARKS
		UNLOCK(mutex);
#endif
		/* C: vmemmap_shadow_later_work: vmemmap_shadow_later_arm */
		skip
#ifdef WORKS
	:: else -> break
#else
	:: !alive -> break
#endif
	od;
	done = 1
}

/* Nobody can go on, and not all have ended. */
proctype watchdog()
{
	timeout -> CHECK(somebody_waits, !alive && done)
}

init {
	atomic {
		alive = OWNERS;
		run owner();
		run owner();
#if OWNERS > 2
		run owner();
#endif
		run worker();
		run watchdog()
	}
}
