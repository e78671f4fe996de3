// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the shadow vmemmap: folios that are optimized a moment after they were
 * allocated. The worker comes when a case calls it, but in one case; a moment is as long
 * as it always is.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/hugetlb.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/mmzone.h>
#include <linux/spinlock.h>
#include <linux/vmemmap_shadow_later.h>

#include "../internal.h"
#include "../hugetlb_vmemmap.h"
#include "vmemmap_shadow_kunit.h"

/* How often the worker was asked to come. */
static unsigned int nr_arms;

static void count_arms(void)
{
	nr_arms++;
}

static int later_test_init(struct kunit *test)
{
	nr_arms = 0;
	kunit_activate_static_stub(test, vmemmap_shadow_later_arm, count_arms);

	return shadow_test_init(test);
}

/* The worker comes by. */
static void work(void)
{
	vmemmap_shadow_later_work(NULL);
}

static void sleep_until(unsigned long when)
{
	while (time_before(jiffies, when))
		msleep(20);
}

/* Whatever was noted before has lived for a moment then. */
static void live_for_a_moment(void)
{
	sleep_until(jiffies + HZ + 1);
}

/* As whoever takes a folio from HugeTLB does. */
static void forget(struct folio *folio)
{
	spin_lock_irq(&hugetlb_lock);
	vmemmap_shadow_forget_folio(folio);
	spin_unlock_irq(&hugetlb_lock);
}

static long nr_later(void)
{
	return vmemmap_shadow_counter("folios optimized later");
}

static long nr_died_young(void)
{
	return vmemmap_shadow_counter("folios that died young");
}

static long nr_stepped(void)
{
	return vmemmap_shadow_counter("entries stepped");
}

/* The end of a folio that is optimized, as HugeTLB does it. */
static void expect_end(struct kunit *test, struct folio *folio)
{
	const long died = nr_died_young();

	forget(folio);
	KUNIT_EXPECT_EQ_MSG(test, died, nr_died_young(), "a note of what is optimized");
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	expect_restored(test, folio);
	put_huge_folio(test, folio);
}

/* ------------------------------------------------------------------------ */
/* Notes								    */

/* Not before it has lived for a moment, then once; by way of HugeTLB's own call. */
static void folio_that_lives_is_optimized_once(struct kunit *test)
{
	const struct hstate *h = size_to_hstate(PMD_SIZE);
	struct folio *folio = huge_folio(test, PMD_SIZE);
	const long folios = vmemmap_shadow_counter("folios optimized");
	const long later = nr_later(), stepped = nr_stepped();

	KUNIT_ASSERT_NOT_NULL(test, h);
	hugetlb_vmemmap_optimize_folio(h, folio);
	KUNIT_EXPECT_EQ_MSG(test, nr_arms, 1, "the worker is not asked to come");
	work();
	expect_restored(test, folio);
	KUNIT_EXPECT_EQ_MSG(test, stepped, nr_stepped(), "optimized before its moment");
	KUNIT_EXPECT_EQ_MSG(test, nr_arms, 2, "the worker does not come again");

	live_for_a_moment();
	work();
	expect_optimized(test, folio);
	KUNIT_EXPECT_EQ(test, later + 1, nr_later());
	KUNIT_EXPECT_EQ(test, folios + 1, vmemmap_shadow_counter("folios optimized"));
	KUNIT_EXPECT_EQ(test, stepped + STEPS_TO_REST * nr_tails(folio), nr_stepped());
	KUNIT_EXPECT_EQ_MSG(test, nr_arms, 2, "the worker comes for nothing");

	/* The note is taken back, so that nobody optimizes it again. */
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	work();
	expect_restored(test, folio);
	KUNIT_EXPECT_EQ_MSG(test, later + 1, nr_later(), "optimized twice");
	put_huge_folio(test, folio);
}

/* Its user reads what he has read before, and holds his reference. */
static void folio_in_use_is_optimized(struct kunit *test)
{
	struct folio *folio = huge_folio(test, PMD_SIZE);
	struct page *last = folio_page(folio, folio_nr_pages(folio) - 1);

	KUNIT_EXPECT_TRUE(test, vmemmap_shadow_optimize_later(folio));
	folio_ref_unfreeze(folio, 1);
	folio_get(page_folio(last));
	live_for_a_moment();
	work();
	KUNIT_EXPECT_TRUE_MSG(test, folio_test_hugetlb_vmemmap_optimized(folio),
			      "what is in use is left out");
	KUNIT_EXPECT_PTR_EQ(test, page_folio(last), folio);
	folio_put(page_folio(last));
	KUNIT_ASSERT_TRUE(test, folio_ref_freeze(folio, 1));
	expect_optimized(test, folio);
	expect_end(test, folio);
}

/* Taken back before the worker comes: not one entry is ever stepped. */
static void folio_that_dies_young_is_never_touched(struct kunit *test)
{
	struct folio *folio = huge_folio(test, PMD_SIZE);
	const long died = nr_died_young(), later = nr_later(), stepped = nr_stepped();

	/* Nothing is noted. */
	forget(folio);
	KUNIT_EXPECT_EQ(test, died, nr_died_young());

	KUNIT_EXPECT_TRUE(test, vmemmap_shadow_optimize_later(folio));
	forget(folio);
	KUNIT_EXPECT_EQ(test, died + 1, nr_died_young());
	forget(folio);
	KUNIT_EXPECT_EQ_MSG(test, died + 1, nr_died_young(), "it died twice");

	live_for_a_moment();
	work();
	KUNIT_EXPECT_FALSE_MSG(test, folio_test_hugetlb_vmemmap_optimized(folio),
			       "optimized after it was given back");
	KUNIT_EXPECT_EQ(test, later, nr_later());
	KUNIT_EXPECT_EQ(test, stepped, nr_stepped());
	KUNIT_EXPECT_EQ(test, nr_arms, 1);
	expect_restored(test, folio);
	put_huge_folio(test, folio);
}

/* Others are noted: only the note of the one who dies goes. */
static void folio_that_dies_takes_no_other_note(struct kunit *test)
{
	struct folio *folio = huge_folio(test, PMD_SIZE);
	struct folio *other = huge_folio(test, PMD_SIZE);
	const long died = nr_died_young();

	KUNIT_EXPECT_TRUE(test, vmemmap_shadow_optimize_later(other));
	/* Not noted itself, and does not count as dead. */
	forget(folio);
	KUNIT_EXPECT_EQ_MSG(test, died, nr_died_young(), "it died without a note");
	KUNIT_EXPECT_TRUE(test, vmemmap_shadow_optimize_later(folio));
	forget(folio);
	KUNIT_EXPECT_EQ(test, died + 1, nr_died_young());

	live_for_a_moment();
	work();
	expect_restored(test, folio);
	expect_optimized(test, other);
	put_huge_folio(test, folio);
	expect_end(test, other);
}

/* Noted, and half a moment later once more. */
static void expect_young_again(struct kunit *test, bool second_life)
{
	struct folio *folio = huge_folio(test, PMD_SIZE);
	const unsigned long began = jiffies;
	const long stepped = nr_stepped();
	unsigned long again;

	KUNIT_EXPECT_TRUE(test, vmemmap_shadow_optimize_later(folio));
	sleep_until(began + HZ / 2);
	if (second_life)
		forget(folio);
	again = jiffies;
	KUNIT_EXPECT_TRUE(test, vmemmap_shadow_optimize_later(folio));
	sleep_until(began + HZ + HZ / 10);
	work();
	/* Unless this guest has slept for too long. */
	if (time_before(jiffies, again + HZ))
		KUNIT_EXPECT_EQ_MSG(test, stepped, nr_stepped(), "as old as its first note");
	live_for_a_moment();
	work();
	expect_optimized(test, folio);
	expect_end(test, folio);
}

/* Freed and allocated again meanwhile: its age is that of the second life. */
static void folio_of_a_second_life_is_young_again(struct kunit *test)
{
	expect_young_again(test, true);
}

/* Noted twice, as no path does it: the last time counts. */
static void folio_noted_again_is_as_young_as_its_last_note(struct kunit *test)
{
	expect_young_again(test, false);
}

static bool no_memory_for_note(struct folio *folio)
{
	return false;
}

/* Then it is HugeTLB's to optimize at once, and nobody comes for it. */
static void folio_without_memory_for_its_note_is_optimized_at_once(struct kunit *test)
{
	const struct hstate *h = size_to_hstate(PMD_SIZE);
	struct folio *folio = huge_folio(test, PMD_SIZE);
	const long later = nr_later();

	KUNIT_ASSERT_NOT_NULL(test, h);
	kunit_activate_static_stub(test, vmemmap_shadow_later_note, no_memory_for_note);
	KUNIT_EXPECT_FALSE(test, vmemmap_shadow_optimize_later(folio));
	expect_restored(test, folio);
	hugetlb_vmemmap_optimize_folio(h, folio);
	kunit_deactivate_static_stub(test, vmemmap_shadow_later_note);
	expect_optimized(test, folio);
	KUNIT_EXPECT_EQ(test, nr_arms, 0);
	KUNIT_EXPECT_EQ(test, later, nr_later());
	expect_end(test, folio);
}

/* ------------------------------------------------------------------------ */
/* The worker								    */

/* HVO is off for good since then, and nothing is tried again and again. */
static void folio_noted_before_a_broken_invariant_is_refused(struct kunit *test)
{
	const char *name = "folios refused, after a broken invariant";
	struct folio *folio = huge_folio(test, PMD_SIZE);
	const long refused = vmemmap_shadow_counter(name);
	const long later = nr_later();

	KUNIT_EXPECT_TRUE(test, vmemmap_shadow_optimize_later(folio));
	live_for_a_moment();
	vmemmap_shadow_broken = true;
	work();
	KUNIT_EXPECT_EQ(test, refused + 1, vmemmap_shadow_counter(name));
	work();
	vmemmap_shadow_broken = false;
	KUNIT_EXPECT_EQ_MSG(test, refused + 1, vmemmap_shadow_counter(name), "tried again");
	work();
	KUNIT_EXPECT_EQ(test, nr_arms, 1);
	KUNIT_EXPECT_EQ(test, later, nr_later());
	expect_restored(test, folio);
	put_huge_folio(test, folio);
}

/* Somebody else has optimized it before the worker came. */
static void folio_that_is_optimized_already_is_left_alone(struct kunit *test)
{
	struct folio *folio = huge_folio(test, PMD_SIZE);
	const long later = nr_later();
	long stepped;

	KUNIT_EXPECT_TRUE(test, vmemmap_shadow_optimize_later(folio));
	vmemmap_shadow_optimize_folio(folio);
	stepped = nr_stepped();
	live_for_a_moment();
	work();
	expect_optimized(test, folio);
	KUNIT_EXPECT_EQ(test, stepped, nr_stepped());
	KUNIT_EXPECT_EQ(test, later, nr_later());
	expect_end(test, folio);
}

/*
 * Each of its entries is left. The mark stays all the same, for somebody may have seen
 * it, and keeps the folio until it is restored.
 */
static void folio_of_which_nothing_joins_stays_marked(struct kunit *test)
{
	struct folio *folio = huge_folio(test, PMD_SIZE);
	const long folios = vmemmap_shadow_counter("folios optimized");
	unsigned int n;

	for (n = 0; n < nr_tails(folio); n++)
		set_bit(PG_owner_priv_1,
			tail_flags(folio_page(folio, (n + 1) * PAGES_PER_ENTRY)));
	KUNIT_EXPECT_TRUE(test, vmemmap_shadow_optimize_later(folio));
	live_for_a_moment();
	work();
	KUNIT_EXPECT_TRUE_MSG(test, folio_test_hugetlb_vmemmap_optimized(folio),
			      "the worker takes the mark off");
	KUNIT_EXPECT_EQ(test, folios + 1, vmemmap_shadow_counter("folios optimized"));
	for (n = 0; n < nr_tails(folio); n++)
		clear_bit(PG_owner_priv_1,
			  tail_flags(folio_page(folio, (n + 1) * PAGES_PER_ENTRY)));
	expect_partly_optimized(test, folio, nr_tails(folio));
	expect_end(test, folio);
}

/* More than a batch takes, of two sizes: the worker goes on until all are done. */
static void folios_of_several_batches_are_all_optimized(struct kunit *test)
{
	const unsigned long size = PMD_SIZE, large = PAGE_SIZE << MAX_PAGE_ORDER;
	/* Larger PMDs do not fit a test guest's memory that often. */
	const unsigned int nr = size > SZ_32M ? 2 : SHADOW_BATCH + 6;
	struct folio *larger = large > size ? huge_folio(test, large) : NULL;
	const long later = nr_later();
	struct folio *folio, *next;
	unsigned int left = 0;
	LIST_HEAD(folios);

	make_folios(test, &folios, nr);
	list_for_each_entry(folio, &folios, lru)
		KUNIT_EXPECT_TRUE(test, vmemmap_shadow_optimize_later(folio));
	if (larger)
		KUNIT_EXPECT_TRUE(test, vmemmap_shadow_optimize_later(larger));
	nr_arms = 0;
	live_for_a_moment();
	work();
	list_for_each_entry(folio, &folios, lru)
		left += !folio_test_hugetlb_vmemmap_optimized(folio);
	KUNIT_EXPECT_EQ_MSG(test, left, 0, "left to nobody");
	KUNIT_EXPECT_EQ(test, later + nr + !!larger, nr_later());
	KUNIT_EXPECT_EQ(test, nr_arms, 0);
	list_for_each_entry_safe(folio, next, &folios, lru) {
		list_del_init(&folio->lru);
		expect_optimized(test, folio);
		expect_end(test, folio);
	}
	if (larger) {
		expect_optimized(test, larger);
		expect_end(test, larger);
	}
}

/* Notes that no folio is behind: nobody follows those of the young. */
#define NR_YOUNG	300

static struct folio *nobody(unsigned int n)
{
	return (struct folio *)pfn_to_page((unsigned long)n << VMEMMAP_TAIL_MIN_ORDER);
}

/*
 * More young ones in front of it than are looked at with hugetlb_lock held: the lock
 * is dropped, and the worker goes on behind them.
 */
static void folio_behind_many_young_ones_is_reached(struct kunit *test)
{
	struct folio *folio = huge_folio(test, PMD_SIZE);
	const long died = nr_died_young();
	unsigned int n;

	if (folio_pfn(folio) >> VMEMMAP_TAIL_MIN_ORDER <= NR_YOUNG)
		kunit_skip(test, "memory starts at 0, and there are folios where the notes are");

	KUNIT_EXPECT_TRUE(test, vmemmap_shadow_optimize_later(folio));
	live_for_a_moment();
	for (n = 0; n < NR_YOUNG; n++)
		KUNIT_EXPECT_TRUE(test, vmemmap_shadow_optimize_later(nobody(n)));
	nr_arms = 0;
	work();
	KUNIT_EXPECT_TRUE_MSG(test, folio_test_hugetlb_vmemmap_optimized(folio),
			      "what is behind is not reached");
	KUNIT_EXPECT_EQ_MSG(test, nr_arms, 1, "the worker does not come again");
	for (n = 0; n < NR_YOUNG; n++)
		forget(nobody(n));
	KUNIT_EXPECT_EQ(test, died + NR_YOUNG, nr_died_young());
	work();
	KUNIT_EXPECT_EQ(test, nr_arms, 1);
	expect_optimized(test, folio);
	expect_end(test, folio);
}

/* ------------------------------------------------------------------------ */
/* Both at once								    */

/*
 * The worker, in a thread of its own, is held up when it has sealed all entries of a
 * folio. Whoever takes the folio now finds it marked and without a note, and restore
 * gets to no entry before the worker is done.
 */
static struct race {
	struct folio *folio;
	struct completion done;
	bool held, restoring, over;
	bool overtaken;			/* restored while the worker was held up */
} race;

static int race_thread(void *test)
{
	current->kunit_test = test;
	work();
	current->kunit_test = NULL;
	complete(&race.done);

	return 0;
}

static void race_hold(struct folio *folio, unsigned int lo, unsigned int hi)
{
	if (race.held || folio != race.folio)
		return;
	WRITE_ONCE(race.held, true);
	wait_until(&race.restoring);
	/* Long enough to get here, if nothing keeps him. */
	msleep(300);
	race.overtaken = READ_ONCE(race.over);
}

static void restore_waits_for_the_worker(struct kunit *test)
{
	struct folio *folio = huge_folio(test, PMD_SIZE);
	const long died = nr_died_young();
	struct task_struct *task;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");

	memset(&race, 0, sizeof(race));
	race.folio = folio;
	init_completion(&race.done);
	KUNIT_EXPECT_TRUE(test, vmemmap_shadow_optimize_later(folio));
	live_for_a_moment();
	kunit_activate_static_stub(test, vmemmap_shadow_hold, race_hold);
	task = kthread_run(race_thread, test, "shadow_race");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	wait_until(&race.held);

	forget(folio);
	KUNIT_EXPECT_EQ_MSG(test, died, nr_died_young(), "a note that outlives the mark");
	KUNIT_EXPECT_TRUE_MSG(test, folio_test_hugetlb_vmemmap_optimized(folio),
			      "stepped, and not marked");
	WRITE_ONCE(race.restoring, true);
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	WRITE_ONCE(race.over, true);
	wait_for_completion(&race.done);
	kunit_deactivate_static_stub(test, vmemmap_shadow_hold);

	KUNIT_EXPECT_TRUE(test, race.held);
	KUNIT_EXPECT_FALSE_MSG(test, race.overtaken, "restore does not wait for the worker");
	expect_restored(test, folio);
	put_huge_folio(test, folio);
}

/* All as it is: the worker comes by itself, and again for those who were too young. */
static void worker_comes_by_itself_until_nothing_is_left(struct kunit *test)
{
	struct folio *folios[] = { huge_folio(test, PMD_SIZE), huge_folio(test, PMD_SIZE) };
	unsigned long noted[ARRAY_SIZE(folios)], seen[ARRAY_SIZE(folios)] = {};
	const unsigned long began = jiffies;
	unsigned int i, left = ARRAY_SIZE(folios);

	kunit_deactivate_static_stub(test, vmemmap_shadow_later_arm);
	for (i = 0; i < ARRAY_SIZE(folios); i++) {
		sleep_until(began + i * HZ / 2);
		noted[i] = jiffies;
		KUNIT_EXPECT_TRUE(test, vmemmap_shadow_optimize_later(folios[i]));
	}
	while (left && time_before(jiffies, began + 20 * HZ)) {
		for (i = 0; i < ARRAY_SIZE(folios); i++) {
			if (seen[i] || !folio_test_hugetlb_vmemmap_optimized(folios[i]))
				continue;
			seen[i] = jiffies;
			left--;
		}
		msleep(20);
	}
	KUNIT_EXPECT_EQ_MSG(test, left, 0, "nobody came for them");
	for (i = 0; i < ARRAY_SIZE(folios); i++) {
		KUNIT_EXPECT_TRUE_MSG(test, time_after_eq(seen[i], noted[i] + HZ),
				      "optimized before its moment");
		/* Marked a little before it is done: restore waits. */
		expect_end(test, folios[i]);
	}
}

static struct kunit_case later_cases[] = {
	KUNIT_CASE(folio_that_lives_is_optimized_once),
	KUNIT_CASE(folio_in_use_is_optimized),
	KUNIT_CASE(folio_that_dies_young_is_never_touched),
	KUNIT_CASE(folio_that_dies_takes_no_other_note),
	KUNIT_CASE(folio_of_a_second_life_is_young_again),
	KUNIT_CASE(folio_noted_again_is_as_young_as_its_last_note),
	KUNIT_CASE(folio_without_memory_for_its_note_is_optimized_at_once),
	KUNIT_CASE(folio_noted_before_a_broken_invariant_is_refused),
	KUNIT_CASE(folio_that_is_optimized_already_is_left_alone),
	KUNIT_CASE(folio_of_which_nothing_joins_stays_marked),
	KUNIT_CASE(folios_of_several_batches_are_all_optimized),
	KUNIT_CASE(folio_behind_many_young_ones_is_reached),
	KUNIT_CASE(restore_waits_for_the_worker),
	KUNIT_CASE(worker_comes_by_itself_until_nothing_is_left),
	{}
};

static struct kunit_suite later_suite = {
	.name = "vmemmap_shadow_later",
	.init = later_test_init,
	.exit = shadow_test_exit,
	.test_cases = later_cases,
};

kunit_test_suite(later_suite);

MODULE_DESCRIPTION("KUnit tests of the shadow vmemmap, of what is optimized later");
MODULE_LICENSE("GPL");
