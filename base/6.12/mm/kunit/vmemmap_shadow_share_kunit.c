// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the shadow vmemmap where tails share the head's page: what a store
 * to it bars, who gets no reference through an alias, what memory_failure() leaves
 * alone.
 */
#include <linux/completion.h>
#include <linux/jump_label.h>
#include <linux/kthread.h>
#include <linux/pgtable.h>
#include <linux/poison.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "../internal.h"
#include "vmemmap_shadow_kunit.h"

/* ------------------------------------------------------------------------ */
/* For the other suites							    */

struct folio *frozen_folio(unsigned int order, gfp_t gfp)
{
	struct folio *folio;

	if (order > MAX_PAGE_ORDER) {
		folio = folio_alloc_gigantic(order, gfp, numa_mem_id(), NULL);
	} else {
		struct page *page = alloc_pages(gfp, order);

		folio = page ? page_folio(page) : NULL;
	}
	/* Nobody knows of it yet. */
	if (folio && !folio_ref_freeze(folio, 1))
		return NULL;

	return folio;
}

void make_compound(struct folio *folio, unsigned int order, unsigned long nr)
{
	prep_compound_page(&folio->page, ilog2(nr));
	folio_set_order(folio, order);
}

/* The head's page is there. */
void make_shared(struct kunit *test, struct folio *folio)
{
}

unsigned long shared_pfn(const struct folio *folio)
{
	return pte_pfn(head_entry(folio));
}

/* It may change, and does. */
bool shared_is_changed(const struct folio *folio)
{
	return false;
}

bool is_plain_tail(const struct page *page, const struct folio *folio)
{
	return page->compound_head == (unsigned long)folio + 1 &&
	       page->mapping == TAIL_MAPPING && page->private == 0 &&
	       page_ref_count(page) == 0 &&
	       atomic_read(&page->_mapcount) == -1 &&
	       !(page->flags & PAGEFLAGS_MASK) &&
	       page_zonenum(page) == folio_zonenum(folio) &&
	       page_to_nid(page) == folio_nid(folio);
}

/* Two words of a tail mean nothing, and are 0. */
void wipe_head_page(struct page *page)
{
	unsigned long i;

	for (i = HEAD_PAGES; i < PAGES_PER_ENTRY; i++) {
		page[i].lru.prev = NULL;
		page[i].index = 0;
	}
}

/* The key is up since HVO was enabled, and stays as it is. */
static int key_before;

static int key_count(void)
{
	return static_key_count(&hugetlb_optimize_vmemmap_key.key);
}

void base_test_init(void)
{
	key_before = key_count();
}

void base_test_exit(struct kunit *test)
{
	KUNIT_EXPECT_EQ_MSG(test, key_count(), key_before, "the key has changed");
}

/* ------------------------------------------------------------------------ */
/* Stores to the page that is shared					    */

/* Written down a second time, by hand. */
#define BARRED	BIT_ULL(56)

static struct {
	pte_t *ptep;			/* the entry that is stored to */
	bool lose;			/* its bar is taken off once */
	unsigned int nr;		/* how often it was barred, with a TLBI */
} bars;

static void barred(unsigned long start, unsigned long nr)
{
	REAL_VOID(vmemmap_shadow_tlbi_run(start, nr));
	if (!bars.nr++ && bars.lose)
		WRITE_ONCE(*bars.ptep, __pte(pte_val(*bars.ptep) & ~BARRED));
}

static void store_to_joined_entry(struct kunit *test, bool lose)
{
	struct folio *folio = huge_folio(test, PMD_SIZE);
	struct page *page = folio_page(folio, PAGES_PER_ENTRY + HEAD_PAGES);
	const unsigned long pfn = shared_pfn(folio) + 1;
	unsigned int n, wrong = 0;

	vmemmap_shadow_optimize_folio(folio);
	expect_optimized(test, folio);
	step_all(test, folio, VMEMMAP_SHADOW_SHARED, VMEMMAP_SHADOW_JOINED);

	memset(&bars, 0, sizeof(bars));
	bars.ptep = vmemmap_shadow_ptep((unsigned long)page & PAGE_MASK);
	bars.lose = lose;
	kunit_activate_static_stub(test, vmemmap_shadow_tlbi_run, barred);
	WRITE_ONCE(page->index, 1);
	kunit_deactivate_static_stub(test, vmemmap_shadow_tlbi_run);

	KUNIT_EXPECT_EQ(test, bars.nr, 1 + lose);
	KUNIT_EXPECT_EQ(test, vmemmap_shadow_pte_state(*bars.ptep),
			VMEMMAP_SHADOW_SHARED);
	KUNIT_EXPECT_EQ(test, pte_val(*bars.ptep) & BARRED, 0);
	KUNIT_EXPECT_EQ(test, folio_page(folio, HEAD_PAGES)->index, 1);
	for (n = 1; n < nr_tails(folio); n++) {
		pte_t pte = tail_entry(folio, n);

		/* A copy: nothing comes of it if it can be stepped. */
		wrong += !(pte_val(pte) & BARRED) ||
			 vmemmap_shadow_step(&pte, VMEMMAP_SHADOW_JOINED,
					     VMEMMAP_SHADOW_SEALED, pfn) != -EAGAIN;
	}
	KUNIT_EXPECT_EQ_MSG(test, wrong, 0, "of %u entries are not barred", n);

	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	KUNIT_EXPECT_EQ(test, page->index, 1);
	stray_wipe(folio);
	expect_restored(test, folio);
	put_huge_folio(test, folio);
}

static void store_to_joined_entry_bars_the_others(struct kunit *test)
{
	store_to_joined_entry(test, false);
}

/* The updater has taken the bar off: it might have begun to part entries. */
static void store_that_loses_its_bar_bars_again(struct kunit *test)
{
	store_to_joined_entry(test, true);
}

/*
 * The store of another thread meets a folio that is being restored: its fault
 * handler has barred all entries, and their TLBI is through, when it is held up.
 * Later the first entry is parted; at that very moment a second store bars them all,
 * and before the TLBI of that is through the first one goes on. If the updater did
 * not wait for it, it finds a bar, and lets its store through to one of two output
 * addresses.
 */
enum flight_begin { FLIGHT_AT_SEAL, FLIGHT_AT_BAR, FLIGHT_BEHIND_WAIT };

static struct flight {
	struct folio *folio;
	struct task_struct *task;
	struct completion start;
	enum flight_begin begin;
	struct page *other;		/* of another folio, for the updater to wait */
	bool met, past;			/* the thread's, in the fault of that */
	bool held, go, done;		/* the thread's */
	bool started, second, over;	/* the updater's */
	struct page *parted;
	unsigned int holds, waits;
	bool unequal;
} flight;

/* Tail entries: of a store before there are bars, the thread's, the second one. */
#define FLIGHT_JOINED	0
#define FLIGHT_THREAD	2
#define FLIGHT_SECOND	1

static struct page *flight_page(unsigned int n)
{
	return folio_page(flight.folio, (n + 1) * PAGES_PER_ENTRY + HEAD_PAGES + n);
}

static void flight_store(unsigned int n)
{
	WRITE_ONCE(flight_page(n)->index, n + 1);
}

static int flight_thread(void *test)
{
	current->kunit_test = test;
	wait_for_completion(&flight.start);
	WRITE_ONCE(flight.other->index, 1);
	flight_store(FLIGHT_THREAD);
	WRITE_ONCE(flight.done, true);

	return 0;
}

static void flight_start(void)
{
	if (flight.started)
		return;
	flight.started = true;
	complete(&flight.start);
	wait_until(flight.begin == FLIGHT_BEHIND_WAIT ? &flight.met : &flight.held);
}

static void flight_hold(struct folio *folio, unsigned int lo, unsigned int hi)
{
	const unsigned int hold = flight.holds++;

	if (hold)
		return;
	/* So that there are bars to be taken off by the next try. */
	if (flight.begin == FLIGHT_AT_BAR)
		flight_store(FLIGHT_JOINED);
	else
		flight_start();
}

static bool flight_cmpxchg(pte_t *ptep, pte_t old, pte_t new)
{
	bool done;

	if (current != flight.task && flight.begin == FLIGHT_AT_BAR &&
	    pte_val(old) & BARRED && pte_val(new) == (pte_val(old) & ~BARRED))
		flight_start();
	done = REAL(vmemmap_shadow_cmpxchg(ptep, old, new));
	if (done && current != flight.task && flight.started && !flight.second &&
	    vmemmap_shadow_pte_state(old) == VMEMMAP_SHADOW_JOINED &&
	    vmemmap_shadow_pte_state(new) == VMEMMAP_SHADOW_SEALED) {
		flight.second = true;
		flight.parted = pte_page(new);
		flight_store(FLIGHT_SECOND);
	}

	return done;
}

/* That of the second store's bars, and that of the thread's. */
static void flight_tlbi_run(unsigned long start, unsigned long nr)
{
	if (current != flight.task && flight.second && !flight.over) {
		flight.over = true;
		WRITE_ONCE(flight.go, true);
		wait_until(&flight.done);
		flight.unequal = memcmp(page_to_virt(flight.parted), flight.folio,
					PAGE_SIZE);
	}
	REAL_VOID(vmemmap_shadow_tlbi_run(start, nr));
	if (current == flight.task && !flight.held) {
		WRITE_ONCE(flight.held, true);
		wait_until(&flight.go);
	}
}

/* The first one of the thread is that of the other folio, if that is sealed. */
static void flight_tlbi_one(unsigned long addr)
{
	REAL_VOID(vmemmap_shadow_tlbi_one(addr));
	if (current == flight.task && flight.begin == FLIGHT_BEHIND_WAIT &&
	    !flight.met) {
		WRITE_ONCE(flight.met, true);
		wait_until(&flight.past);
	}
}

static void flight_wait_readers(void)
{
	if (flight.started) {
		flight.waits++;
		if (flight.begin == FLIGHT_BEHIND_WAIT && !flight.past) {
			/* The handler that is waited for is done, this is the next. */
			WRITE_ONCE(flight.past, true);
			wait_until(&flight.held);
			return;
		}
		WRITE_ONCE(flight.go, true);
		wait_until(&flight.done);
	}
	REAL_VOID(vmemmap_shadow_wait_readers());
}

static const enum flight_begin flight_begins[] = {
	FLIGHT_AT_SEAL, FLIGHT_AT_BAR, FLIGHT_BEHIND_WAIT,
};

static void flight_desc(const enum flight_begin *begin, char *desc)
{
	static const char * const name[] = {
		[FLIGHT_AT_SEAL]	= "since all entries are sealed",
		[FLIGHT_AT_BAR]		= "since the first bar is taken off",
		[FLIGHT_BEHIND_WAIT]	= "since another one was waited for",
	};

	strscpy(desc, name[*begin], KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(flight, flight_begins, flight_desc);

static void handler_in_flight_is_waited_for(struct kunit *test)
{
	static const unsigned int stores[] = {
		FLIGHT_THREAD, FLIGHT_SECOND, FLIGHT_JOINED,
	};
	struct folio *folio = huge_folio(test, PMD_SIZE);
	struct folio *other = huge_folio(test, PMD_SIZE);
	unsigned int i;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");

	memset(&flight, 0, sizeof(flight));
	flight.folio = folio;
	flight.begin = *(const enum flight_begin *)test->param_value;
	flight.other = folio_page(other, PAGES_PER_ENTRY + HEAD_PAGES);
	if (flight.begin == FLIGHT_BEHIND_WAIT)
		step_all(test, other, VMEMMAP_SHADOW_OWNED, VMEMMAP_SHADOW_SEALED);
	init_completion(&flight.start);
	flight.task = kthread_run(flight_thread, test, "shadow_flight");
	KUNIT_ASSERT_FALSE(test, IS_ERR(flight.task));
	vmemmap_shadow_optimize_folio(folio);
	kunit_deactivate_static_stub(test, vmemmap_shadow_wait_readers);
	kunit_activate_static_stub(test, vmemmap_shadow_wait_readers,
				   flight_wait_readers);
	kunit_activate_static_stub(test, vmemmap_shadow_hold, flight_hold);
	kunit_activate_static_stub(test, vmemmap_shadow_cmpxchg, flight_cmpxchg);
	kunit_activate_static_stub(test, vmemmap_shadow_tlbi_run, flight_tlbi_run);
	kunit_activate_static_stub(test, vmemmap_shadow_tlbi_one, flight_tlbi_one);
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	/* If it has not got there. */
	flight_start();
	WRITE_ONCE(flight.past, true);
	WRITE_ONCE(flight.go, true);
	wait_until(&flight.done);
	kunit_deactivate_static_stub(test, vmemmap_shadow_hold);
	kunit_deactivate_static_stub(test, vmemmap_shadow_cmpxchg);
	kunit_deactivate_static_stub(test, vmemmap_shadow_tlbi_run);
	kunit_deactivate_static_stub(test, vmemmap_shadow_tlbi_one);

	KUNIT_EXPECT_FALSE_MSG(test, flight.unequal,
			       "a store went to one of two output addresses");
	KUNIT_EXPECT_TRUE(test, flight.held);
	KUNIT_EXPECT_TRUE(test, flight.over);
	KUNIT_EXPECT_TRUE(test, flight.done);
	KUNIT_EXPECT_EQ(test, flight.waits, 1 + (flight.begin == FLIGHT_BEHIND_WAIT));
	for (i = 0; i < 2 + (flight.begin == FLIGHT_AT_BAR); i++)
		KUNIT_EXPECT_EQ(test, flight_page(stores[i])->index, stores[i] + 1);
	stray_wipe(folio);
	expect_restored(test, folio);
	put_huge_folio(test, folio);
	/* A store opens what is sealed still. */
	for (i = 0; i < nr_tails(other); i++)
		WRITE_ONCE(folio_page(other, (i + 1) * PAGES_PER_ENTRY)->index, 0);
	flight.other->index = 0;
	expect_restored(test, other);
	put_huge_folio(test, other);
}

/*
 * Half way, or stored to: nothing is read-only, and everybody finds the head. Once
 * nobody fires any more it is restored.
 */
static void restore_from_half_way(struct kunit *test, struct folio *folio)
{
	unsigned int n, odd = 0;

	KUNIT_EXPECT_TRUE(test, folio_test_hugetlb_vmemmap_optimized(folio));
	for (n = 0; n < nr_tails(folio); n++)
		odd += !pte_write(tail_entry(folio, n));
	KUNIT_EXPECT_EQ(test, odd, 0);
	expect_readers_find_head(test, folio);

	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	KUNIT_EXPECT_TRUE(test, test_bit(PG_owner_priv_1, under_fire));
	stray_wipe(folio);
	expect_restored(test, folio);
	put_huge_folio(test, folio);
}

static void restore_under_fire_gives_up_and_can_be_repeated(struct kunit *test)
{
	struct folio *folio = huge_folio(test, PMD_SIZE);

	vmemmap_shadow_optimize_folio(folio);
	expect_optimized(test, folio);

	aim_at(folio);
	kunit_activate_static_stub(test, vmemmap_shadow_hold, fire);
	KUNIT_EXPECT_EQ(test, -EBUSY, vmemmap_shadow_restore_folio(folio));
	kunit_deactivate_static_stub(test, vmemmap_shadow_hold);

	KUNIT_EXPECT_EQ(test, vmemmap_shadow_pte_state(tail_entry(folio, 0)),
			VMEMMAP_SHADOW_SHARED);
	restore_from_half_way(test, folio);
}

static unsigned int fire_holds;

/* When its entry is JOINED. */
static void fire_at_joined(struct folio *folio, unsigned int lo, unsigned int hi)
{
	if (fire_holds++)
		set_bit(PG_owner_priv_1, under_fire);
}

/* The others are barred, and opened all the same. */
static void optimize_under_fire_leaves_nothing_read_only(struct kunit *test)
{
	struct folio *folio = huge_folio(test, PMD_SIZE);

	aim_at(folio);
	fire_holds = 0;
	kunit_activate_static_stub(test, vmemmap_shadow_hold, fire_at_joined);
	vmemmap_shadow_optimize_folio(folio);
	kunit_deactivate_static_stub(test, vmemmap_shadow_hold);

	restore_from_half_way(test, folio);
}

static void restore_of_list_under_fire_gives_up_and_can_be_repeated(struct kunit *test)
{
	const unsigned int nr = 3;
	LIST_HEAD(folios);
	LIST_HEAD(restored);

	make_folios(test, &folios, nr);
	vmemmap_shadow_optimize_folios(&folios);
	aim_at(list_first_entry(&folios, struct folio, lru));
	kunit_activate_static_stub(test, vmemmap_shadow_hold, fire);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			vmemmap_shadow_restore_folios(&folios, &restored));
	kunit_deactivate_static_stub(test, vmemmap_shadow_hold);
	KUNIT_EXPECT_EQ(test, list_count_nodes(&folios), nr);
	KUNIT_EXPECT_TRUE(test, list_empty(&restored));

	KUNIT_EXPECT_EQ(test, nr,
			vmemmap_shadow_restore_folios(&folios, &restored));
	KUNIT_EXPECT_TRUE(test, test_and_clear_bit(PG_owner_priv_1, under_fire));
	stray_wipe(list_first_entry(&restored, struct folio, lru));
	KUNIT_EXPECT_EQ(test, put_folios(test, &restored), nr);
}

/*
 * Stands in for vmemmap_shadow_store(). At one of the stores somebody sets a flag,
 * through the first tail entry, in the word that is about to be exchanged.
 */
static struct {
	struct folio *folio;
	unsigned int stores, at;
} lost;

static unsigned long *lost_flags(void)
{
	return &folio_page(lost.folio, PAGES_PER_ENTRY)->flags;
}

static bool lose_store(unsigned long *word, unsigned long old, unsigned long new)
{
	if (lost.stores++ == lost.at)
		set_bit(PG_owner_priv_1, lost_flags() +
			offset_in_page(word) / sizeof(*word));

	return cmpxchg(word, old, new) == old;
}

static void store_to_the_word_that_is_exchanged_is_kept(struct kunit *test)
{
	struct folio *folio = huge_folio(test, PMD_SIZE);
	unsigned int i;

	lost.folio = folio;
	for (i = 0; i < 2; i++) {
		const long recoveries = vmemmap_shadow_counter("write recoveries");

		lost.stores = 0;
		/*
		 * Made equal, the flags are the first word that changes; made
		 * plain again, the second one.
		 */
		lost.at = i;
		if (!i) {
			kunit_activate_static_stub(test, vmemmap_shadow_store,
						   lose_store);
			vmemmap_shadow_optimize_folio(folio);
			kunit_deactivate_static_stub(test, vmemmap_shadow_store);
			KUNIT_EXPECT_EQ(test, vmemmap_shadow_pte_state(tail_entry(folio, 0)),
					VMEMMAP_SHADOW_OWNED);
		} else {
			vmemmap_shadow_optimize_folio(folio);
			expect_optimized(test, folio);
			kunit_activate_static_stub(test, vmemmap_shadow_store,
						   lose_store);
		}
		KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
		if (i)
			kunit_deactivate_static_stub(test, vmemmap_shadow_store);

		KUNIT_EXPECT_GT(test, lost.stores, lost.at);
		KUNIT_EXPECT_EQ(test, recoveries + 1,
				vmemmap_shadow_counter("write recoveries"));
		KUNIT_EXPECT_FALSE(test, folio_test_hugetlb_vmemmap_optimized(folio));
		KUNIT_EXPECT_TRUE_MSG(test,
				      test_and_clear_bit(PG_owner_priv_1, lost_flags()),
				      "store %u is lost", i);
		expect_restored(test, folio);
	}
	put_huge_folio(test, folio);
}

/* ------------------------------------------------------------------------ */
/* References								    */

static void reference_of_alias_is_refused(struct kunit *test)
{
	const long dropped =
		vmemmap_shadow_counter("references through an alias, dropped");
	struct folio *folio = huge_folio(test, PMD_SIZE);
	unsigned long i, got = 0;

	vmemmap_shadow_optimize_folio(folio);
	expect_optimized(test, folio);

	/* In use, so that every fake head shows a count that is not 0. */
	folio_ref_unfreeze(folio, 1);
	for (i = 1; i < folio_nr_pages(folio); i++) {
		struct page *page = folio_page(folio, i);

		got += get_page_unless_zero(page);
		got += folio_try_get((struct folio *)page);
		got += folio_ref_try_add((struct folio *)page, 3);
	}
	KUNIT_EXPECT_EQ(test, got, 0);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	/* And the head's count was left alone all the time. */
	KUNIT_EXPECT_EQ(test, dropped,
			vmemmap_shadow_counter("references through an alias, dropped"));

	/* The head's own struct page gives one. */
	KUNIT_EXPECT_TRUE(test, get_page_unless_zero(&folio->page));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 2);
	folio_put(folio);

	KUNIT_ASSERT_TRUE(test, folio_ref_freeze(folio, 1));
	KUNIT_EXPECT_EQ(test, vmemmap_shadow_restore_folio(folio), 0);
	put_huge_folio(test, folio);
}

static void last_reference_goes(struct page *page)
{
	set_page_count(page, 0);
}

static void reference_of_page_that_is_freed_meanwhile_is_refused(struct kunit *test)
{
	const long dropped =
		vmemmap_shadow_counter("references through an alias, dropped");
	struct folio *other = huge_folio(test, PMD_SIZE);
	struct folio *folio = huge_folio(test, PMD_SIZE);

	/* So that the key is up. */
	vmemmap_shadow_optimize_folio(other);
	folio_ref_unfreeze(folio, 1);
	kunit_activate_static_stub(test, vmemmap_shadow_ref_hold,
				   last_reference_goes);
	KUNIT_EXPECT_FALSE(test, get_page_unless_zero(&folio->page));
	kunit_deactivate_static_stub(test, vmemmap_shadow_ref_hold);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 0);
	KUNIT_EXPECT_EQ(test, dropped,
			vmemmap_shadow_counter("references through an alias, dropped"));

	KUNIT_EXPECT_EQ(test, vmemmap_shadow_restore_folio(other), 0);
	put_huge_folio(test, folio);
	put_huge_folio(test, other);
}

static struct race {
	struct kunit *test;
	struct folio *folio;
	struct page *page;
	unsigned long compound_head;
	struct completion go;
	struct completion done;
} race;

static int race_optimize(void *data)
{
	struct race *r = data;

	current->kunit_test = r->test;
	wait_for_completion(&r->go);
	vmemmap_shadow_optimize_folio(r->folio);
	folio_ref_unfreeze(r->folio, 1);
	complete(&r->done);

	return 0;
}

/*
 * The page's previous life ends, it becomes a tail, then an alias, and its
 * folio is put to use; all that between the test of whoever wants a reference
 * and the add. A real grace period would wait for that to be over, so this one
 * waits for nobody.
 */
static void race_ref_hold(struct page *page)
{
	struct race *r = &race;

	set_page_count(page, 0);
	WRITE_ONCE(page->compound_head, r->compound_head);
	complete(&r->go);
	while (!completion_done(&r->done))
		cpu_relax();
}

static void reference_of_page_that_becomes_alias_goes_back(struct kunit *test)
{
	const long dropped =
		vmemmap_shadow_counter("references through an alias, dropped");
	struct folio *other = huge_folio(test, PMD_SIZE);
	struct folio *folio = huge_folio(test, PMD_SIZE);
	struct race *r = &race;
	struct task_struct *task;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");

	/* The key is up on account of another folio. */
	vmemmap_shadow_optimize_folio(other);

	memset(r, 0, sizeof(*r));
	r->test = test;
	r->folio = folio;
	r->page = folio_page(folio, PAGES_PER_ENTRY);
	r->compound_head = READ_ONCE(r->page->compound_head);
	init_completion(&r->go);
	init_completion(&r->done);
	kunit_deactivate_static_stub(test, vmemmap_shadow_wait_readers);
	kunit_activate_static_stub(test, vmemmap_shadow_wait_readers,
				   wait_for_nobody);
	kunit_activate_static_stub(test, vmemmap_shadow_ref_hold, race_ref_hold);
	task = kthread_run(race_optimize, r, "shadow_race");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));

	WRITE_ONCE(r->page->compound_head, 0);
	set_page_count(r->page, 1);
	KUNIT_EXPECT_FALSE(test, get_page_unless_zero(r->page));
	kunit_deactivate_static_stub(test, vmemmap_shadow_ref_hold);

	KUNIT_EXPECT_TRUE(test, folio_test_hugetlb_vmemmap_optimized(folio));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	KUNIT_EXPECT_EQ(test, dropped + 1,
			vmemmap_shadow_counter("references through an alias, dropped"));

	KUNIT_ASSERT_TRUE(test, folio_ref_freeze(folio, 1));
	KUNIT_EXPECT_EQ(test, vmemmap_shadow_restore_folio(folio), 0);
	expect_restored(test, folio);
	KUNIT_EXPECT_EQ(test, vmemmap_shadow_restore_folio(other), 0);
	put_huge_folio(test, folio);
	put_huge_folio(test, other);
}

/* ------------------------------------------------------------------------ */
/* Memory errors							    */

static void poison_of_hugetlb_page_is_left_to_hugetlb(struct kunit *test)
{
#ifdef CONFIG_MEMORY_FAILURE
	struct folio *folio = huge_folio(test, PMD_SIZE);
	struct page *page = alloc_page(GFP_KERNEL);
	unsigned long i, odd = 0;

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_EQ(test, vmemmap_shadow_test_set_hwpoison(page), 0);
	KUNIT_EXPECT_TRUE(test, PageHWPoison(page));
	KUNIT_EXPECT_EQ(test, vmemmap_shadow_test_set_hwpoison(page), 1);
	ClearPageHWPoison(page);
	__free_page(page);

	for (i = 0; i < folio_nr_pages(folio); i++) {
		page = folio_page(folio, i);
		odd += vmemmap_shadow_test_set_hwpoison(page) != -EAGAIN;
		odd += PageHWPoison(page);
	}
	KUNIT_EXPECT_EQ(test, odd, 0);
	put_huge_folio(test, folio);
#else
	kunit_skip(test, "needs CONFIG_MEMORY_FAILURE");
#endif
}

/* In the head's page every alias would show it. */
static void optimize_with_odd_head_page_is_refused(struct kunit *test)
{
	struct folio *folio = huge_folio(test, PMD_SIZE);
	const struct {
		unsigned int page, flag;
	} odd[] = {
		{ HEAD_PAGES, PG_owner_priv_1 },
		{ PAGES_PER_ENTRY - 1, PG_owner_priv_1 },
#ifdef CONFIG_MEMORY_FAILURE
		{ 1, PG_hwpoison },
		{ HEAD_PAGES - 1, PG_hwpoison },
		{ HEAD_PAGES, PG_hwpoison },
#endif
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		const long refused =
			vmemmap_shadow_counter("folios refused, tail not plain");
		unsigned long *flags = &folio_page(folio, odd[i].page)->flags;

		set_bit(odd[i].flag, flags);
		vmemmap_shadow_optimize_folio(folio);
		KUNIT_EXPECT_TRUE(test, test_and_clear_bit(odd[i].flag, flags));
		expect_restored(test, folio);
		KUNIT_EXPECT_EQ(test, refused + 1,
				vmemmap_shadow_counter("folios refused, tail not plain"));
	}
	put_huge_folio(test, folio);
}

/* ------------------------------------------------------------------------ */
/* The grace period							    */

static struct held {
	struct folio *folio;
	struct completion inside;
	struct completion leave;
	unsigned int stepped;
} held;

/* Is any entry of the folio not OWNED? */
static bool any_stepped(struct folio *folio)
{
	unsigned int n;

	for (n = 1; n <= nr_tails(folio); n++) {
		pte_t *ptep = vmemmap_shadow_ptep((unsigned long)folio +
						  n * PAGE_SIZE);

		if (vmemmap_shadow_pte_state(__ptep_get(ptep)) !=
		    VMEMMAP_SHADOW_OWNED)
			return true;
	}

	return false;
}

static int held_reader(void *data)
{
	struct held *h = data;
	const u64 end = ktime_get_ns() + 50 * NSEC_PER_MSEC;

	rcu_read_lock();
	complete(&h->inside);
	/* Time enough for whoever does not wait. */
	while (ktime_get_ns() < end)
		h->stepped += any_stepped(h->folio);
	complete(&h->leave);
	rcu_read_unlock();

	return 0;
}

static void reader_in_rcu_section_keeps_optimize_from_sealing(struct kunit *test)
{
	struct folio *folio = huge_folio(test, PMD_SIZE);
	struct task_struct *task;
	struct held *h = &held;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");
	memset(h, 0, sizeof(*h));
	h->folio = folio;
	init_completion(&h->inside);
	init_completion(&h->leave);
	task = kthread_run(held_reader, h, "shadow_held");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	wait_for_completion(&h->inside);

	vmemmap_shadow_optimize_folio(folio);
	KUNIT_EXPECT_TRUE(test, completion_done(&h->leave));
	wait_for_completion(&h->leave);
	KUNIT_EXPECT_EQ(test, h->stepped, 0);
	KUNIT_EXPECT_TRUE(test, folio_test_hugetlb_vmemmap_optimized(folio));

	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	expect_restored(test, folio);
	put_huge_folio(test, folio);
}

static struct kunit_case share_cases[] = {
	KUNIT_CASE(store_to_joined_entry_bars_the_others),
	KUNIT_CASE(store_that_loses_its_bar_bars_again),
	KUNIT_CASE_PARAM(handler_in_flight_is_waited_for, flight_gen_params),
	KUNIT_CASE(restore_under_fire_gives_up_and_can_be_repeated),
	KUNIT_CASE(optimize_under_fire_leaves_nothing_read_only),
	KUNIT_CASE(restore_of_list_under_fire_gives_up_and_can_be_repeated),
	KUNIT_CASE(store_to_the_word_that_is_exchanged_is_kept),
	KUNIT_CASE(reference_of_alias_is_refused),
	KUNIT_CASE(reference_of_page_that_is_freed_meanwhile_is_refused),
	KUNIT_CASE(reference_of_page_that_becomes_alias_goes_back),
	KUNIT_CASE(poison_of_hugetlb_page_is_left_to_hugetlb),
	KUNIT_CASE(optimize_with_odd_head_page_is_refused),
	KUNIT_CASE(reader_in_rcu_section_keeps_optimize_from_sealing),
	{}
};

static struct kunit_suite share_suite = {
	.name = "vmemmap_shadow_share",
	.init = shadow_test_init,
	.exit = shadow_test_exit,
	.test_cases = share_cases,
};

kunit_test_suite(share_suite);

MODULE_DESCRIPTION("KUnit tests of the shadow vmemmap, of what tails share");
MODULE_LICENSE("GPL");
