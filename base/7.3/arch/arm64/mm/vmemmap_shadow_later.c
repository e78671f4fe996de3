// SPDX-License-Identifier: GPL-2.0
/*
 * The shadow vmemmap, later: who allocates a single folio waits for nothing. It is
 * noted, and a worker optimizes what has lived for a moment, in use or not. What
 * dies young is never touched.
 *
 * While a folio is HugeTLB's nobody stores to those of its tails that lie behind
 * the head's vmemmap page, and that page is not stepped. So users need not be kept
 * away: all they see is that tails read the same as before. Who must be are those
 * who end the folio's life or give it pages of its own again. They all go the same
 * way, by these three rules:
 *
 * 1. A folio is noted exactly as long as it may become optimized: it is forgotten
 *    under hugetlb_lock by whoever takes it from HugeTLB, before he looks whether it is
 *    optimized. So a note never outlives its folio, and what it leads to needs no
 *    reference and no look whether it is still the same, nor memory hotplug a lock.
 * 2. The worker, under hugetlb_lock, marks a noted folio as optimized and forgets it.
 *    So whoever takes the folio afterwards sees the mark, and restores it, though not
 *    one entry may have been stepped yet. The mark is restore's to take off.
 * 3. The worker holds a mutex from before it marks the first folio of a batch until
 *    the last entry has taken its last step. Restore, which may sleep, takes it once.
 */
#define pr_fmt(fmt) "vmemmap_shadow: " fmt

#include <linux/hugetlb.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/vmemmap_shadow.h>
#include <linux/vmemmap_shadow_later.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include "vmemmap_shadow.h"

/* A moment: processes that are started again and again have come and gone. */
#define SHADOW_MOMENT		((unsigned int)HZ)

/* Notes that are looked at with hugetlb_lock held, at most. */
#define SHADOW_LATER_LOOKS	256

/*
 * The notes, by the folio's address, so that neighbours come together: when it was
 * allocated, in jiffies. Under hugetlb_lock, and the array's own lock, since notes
 * are made without the former.
 */
static DEFINE_XARRAY_FLAGS(shadow_later, XA_FLAGS_LOCK_IRQ);

/* Held while folios are marked that are not optimized yet. */
static DEFINE_MUTEX(shadow_later_mutex);

/* The folios of the batch. */
static struct shadow_member shadow_later_room[SHADOW_BATCH];

#if !IS_ENABLED(CONFIG_KUNIT)
static void vmemmap_shadow_later_work(struct work_struct *work);
#endif
static DECLARE_DELAYED_WORK(shadow_later_dwork, vmemmap_shadow_later_work);

/* Have the worker come a moment from now, if it is not going to come before. */
VISIBLE_IF_KUNIT void vmemmap_shadow_later_arm(void)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_later_arm);

	queue_delayed_work(system_dfl_wq, &shadow_later_dwork, SHADOW_MOMENT);
}

/* No folio that HVO optimizes is smaller, and smaller ones lie beside these. */
static unsigned long shadow_later_index(const struct folio *folio)
{
	return folio_pfn(folio) >> VMEMMAP_TAIL_MIN_ORDER;
}

/* Note a folio, as allocated now. Returns false if there is no memory for the note. */
VISIBLE_IF_KUNIT bool vmemmap_shadow_later_note(struct folio *folio)
{
	void *now = xa_mk_value((unsigned int)jiffies);

	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_later_note, folio);

	return !xa_is_err(xa_store_irq(&shadow_later, shadow_later_index(folio), now,
				       GFP_NOWAIT));
}

bool vmemmap_shadow_optimize_later(struct folio *folio)
{
	if (!vmemmap_shadow_later_note(folio))
		return false;
	vmemmap_shadow_later_arm();

	return true;
}

void vmemmap_shadow_forget_folio(struct folio *folio)
{
	unsigned long flags;
	void *noted;

	lockdep_assert_held(&hugetlb_lock);
	/* What this folio's allocation has stored, its user sees. */
	if (xa_empty(&shadow_later))
		return;

	xa_lock_irqsave(&shadow_later, flags);
	noted = __xa_erase(&shadow_later, shadow_later_index(folio));
	xa_unlock_irqrestore(&shadow_later, flags);
	if (noted)
		shadow_count(SHADOW_FOLIOS_DIED_YOUNG, 1);
}

/*
 * Mark the next folios that have lived for a moment, as many as one batch takes.
 * Returns true if there is more to look at, from @next on.
 */
static bool shadow_later_fill(struct shadow_batch *b, unsigned long *next, bool *young)
{
	const unsigned int now = jiffies;
	unsigned int looks = 0;
	XA_STATE(xas, &shadow_later, *next);
	void *noted;

	spin_lock_irq(&hugetlb_lock);
	xas_lock(&xas);
	xas_for_each(&xas, noted, ULONG_MAX) {
		if (looks++ == SHADOW_LATER_LOOKS)
			break;
		if (now - (unsigned int)xa_to_value(noted) < SHADOW_MOMENT) {
			*young = true;
			continue;
		}
		if (!vmemmap_shadow_claim(b, pfn_folio(xas.xa_index << VMEMMAP_TAIL_MIN_ORDER)))
			break;
		xas_store(&xas, NULL);
	}
	*next = xas.xa_index;
	xas_unlock(&xas);
	spin_unlock_irq(&hugetlb_lock);

	return noted;
}

VISIBLE_IF_KUNIT void vmemmap_shadow_later_work(struct work_struct *work)
{
	unsigned long next = 0;
	bool young = false;
	bool more;

	do {
		struct shadow_batch b;

		mutex_lock(&shadow_later_mutex);
		shadow_batch_init(&b, shadow_later_room, ARRAY_SIZE(shadow_later_room));
		more = shadow_later_fill(&b, &next, &young);
		if (b.nr)
			vmemmap_shadow_optimize_claimed(&b);
		mutex_unlock(&shadow_later_mutex);
		cond_resched();
	} while (more);

	/* Not for each of them as its time comes: together they are cheaper. */
	if (young)
		vmemmap_shadow_later_arm();
}

/*
 * Whoever got hold of a folio under hugetlb_lock, and found it marked there, finds
 * the mutex held here for as long as it is only marked.
 */
void vmemmap_shadow_later_wait(void)
{
	mutex_lock(&shadow_later_mutex);
	mutex_unlock(&shadow_later_mutex);
}
