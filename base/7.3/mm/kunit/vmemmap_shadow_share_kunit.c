// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the shadow vmemmap where all folios of a zone and an order share a
 * page of tails: it never changes, and who stores to a tail gets a page of his own.
 */
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/mmzone.h>
#include <linux/pgtable.h>
#include <linux/poison.h>
#include <linux/slab.h>

#include <asm/esr.h>

#include "../internal.h"
#include "vmemmap_shadow_kunit.h"

/* ------------------------------------------------------------------------ */
/* For the other suites							    */

struct folio *frozen_folio(unsigned int order, gfp_t gfp)
{
	struct folio *folio;

	if (order > MAX_PAGE_ORDER) {
		folio = (struct folio *)alloc_contig_frozen_pages(1UL << order, gfp,
								  numa_mem_id(), NULL);
	} else {
		struct page *page = alloc_pages(gfp, order);

		folio = page ? page_folio(page) : NULL;
		/* Nobody knows of it yet. */
		if (folio && !folio_ref_freeze(folio, 1))
			return NULL;
	}

	return folio;
}

void make_compound(struct folio *folio, unsigned int order, unsigned long nr)
{
	unsigned long i;

	__set_bit(PG_head, tail_flags(&folio->page));
	for (i = 1; i < nr; i++)
		prep_compound_tail(&folio->page + i, &folio->page, order);
	prep_compound_head(&folio->page, order);
}

struct page **shared_slot(const struct folio *folio)
{
	const unsigned int order = folio_order(folio);

	if (order < VMEMMAP_TAIL_MIN_ORDER)
		return NULL;

	return &folio_zone(folio)->vmemmap_tails[order - VMEMMAP_TAIL_MIN_ORDER];
}

void fill_with_tails(struct page *page, unsigned int order, struct zone *zone)
{
	struct page *tail = page_to_virt(page);
	unsigned int i;

	memset(tail, 0, PAGE_SIZE);
	for (i = 0; i < PAGES_PER_ENTRY; i++)
		init_compound_tail(tail + i, NULL, order, zone);
}

void fill_shared(struct page *page, const struct folio *folio)
{
	fill_with_tails(page, folio_order(folio), folio_zone(folio));
}

/* As HugeTLB does it, for sizes of which it has none, too; never freed. */
void make_shared(struct kunit *test, struct folio *folio)
{
	struct page **slot = shared_slot(folio);
	struct page *page;

	if (!slot || READ_ONCE(*slot))
		return;
	page = alloc_page(GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, page);
	fill_shared(page, folio);
	if (cmpxchg(slot, NULL, page))
		__free_page(page);
}

unsigned long shared_pfn(const struct folio *folio)
{
	return page_to_pfn(READ_ONCE(*shared_slot(folio)));
}

/* Each is what it was when it was made, in every word. */
bool shared_is_changed(const struct folio *folio)
{
	struct page **slot = shared_slot(folio);
	const struct page *tail;
	struct page made = {};
	unsigned int i;

	if (!slot)
		return false;
	tail = page_to_virt(READ_ONCE(*slot));
	init_compound_tail(&made, NULL, folio_order(folio), folio_zone(folio));
	for (i = 0; i < PAGES_PER_ENTRY; i++) {
		if (memcmp(tail + i, &made, sizeof(made)))
			return true;
	}

	return false;
}

bool is_plain_tail(const struct page *page, const struct folio *folio)
{
	struct page made = {};

	init_compound_tail(&made, NULL, folio_order(folio), folio_zone(folio));

	return page->compound_info == made.compound_info &&
	       page->mapping == TAIL_MAPPING && page->private == 0 &&
	       page_ref_count(page) == 0 &&
	       atomic_read(&page->_mapcount) == -1 &&
	       !(page->flags.f & PAGEFLAGS_MASK) &&
	       page_zonenum(page) == folio_zonenum(folio) &&
	       page_to_nid(page) == folio_nid(folio);
}

/* All of it is as it was. */
void wipe_head_page(struct page *page)
{
}

/* Cases that step an entry by hand come behind one that had a folio optimized. */
void base_test_init(void)
{
	WRITE_ONCE(vmemmap_shadow_used, true);
}

void base_test_exit(struct kunit *test)
{
}

/* ------------------------------------------------------------------------ */
/* The shared page							    */

static long nr_parted(void)
{
	return vmemmap_shadow_counter("entries parted by a write");
}

static long bytes_now(void)
{
	return vmemmap_shadow_counter("bytes saved now");
}

/* HugeTLB had no memory for it. */
static void optimize_without_shared_page_is_refused(struct kunit *test)
{
	struct folio *folio = huge_folio(test, PMD_SIZE);
	struct page **slot = shared_slot(folio);
	const long steps = vmemmap_shadow_counter("entries stepped");
	struct page *page = *slot;

	WRITE_ONCE(*slot, NULL);
	vmemmap_shadow_optimize_folio(folio);
	WRITE_ONCE(*slot, page);
	KUNIT_EXPECT_EQ(test, steps, vmemmap_shadow_counter("entries stepped"));
	expect_restored(test, folio);
	put_huge_folio(test, folio);
}

/* What HugeTLB does not hand over: each is refused, with a warning, and is as it was. */
static void optimize_of_what_cannot_be_is_refused(struct kunit *test)
{
	struct folio *folio = synthetic_folio(test, CONT_PMD_SIZE, false);
	const unsigned long addr = (unsigned long)folio + PAGE_SIZE;
	pte_t *ptep = vmemmap_shadow_ptep(addr);
	const pte_t owned = *ptep;

	__folio_clear_hugetlb(folio);
	kunit_warning_suppress(test) {
		vmemmap_shadow_optimize_folio(folio);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	__folio_set_hugetlb(folio);
	KUNIT_EXPECT_TRUE_MSG(test, vmemmap_shadow_broken, "no huge page, and no matter");
	vmemmap_shadow_broken = false;
	KUNIT_EXPECT_FALSE(test, folio_test_hugetlb_vmemmap_optimized(folio));
	/* Has nothing to do. */
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));

	/* An entry that is somewhere else on the chain. */
	__set_pte(ptep, shadow_mk_pte(owned, VMEMMAP_SHADOW_SHARED, pte_pfn(owned)));
	kunit_warning_suppress(test) {
		vmemmap_shadow_optimize_folio(folio);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	KUNIT_EXPECT_TRUE_MSG(test, vmemmap_shadow_broken, "a shared entry, and no matter");
	vmemmap_shadow_broken = false;
	__set_pte(ptep, owned);
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	expect_restored(test, folio);

	/* None of it stands in the way of what comes after. */
	vmemmap_shadow_optimize_folio(folio);
	expect_optimized(test, folio);
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	expect_restored(test, folio);
	put_huge_folio(test, folio);
}

/* No entry can be joined: it is like one that was never optimized. */
static void folio_of_which_nothing_joins_is_not_marked(struct kunit *test)
{
	const long folios = vmemmap_shadow_counter("folios optimized");
	struct folio *folio = huge_folio(test, PMD_SIZE);
	const unsigned int nr = nr_tails(folio);
	const long before = bytes_now();
	unsigned int n;

	for (n = 0; n < nr; n++)
		set_page_count(folio_page(folio, (n + 2) * PAGES_PER_ENTRY - 1), 1);
	vmemmap_shadow_optimize_folio(folio);
	KUNIT_EXPECT_FALSE_MSG(test, folio_test_hugetlb_vmemmap_optimized(folio),
			       "marked for nothing");
	KUNIT_EXPECT_EQ(test, folios, vmemmap_shadow_counter("folios optimized"));
	KUNIT_EXPECT_EQ(test, before, bytes_now());
	for (n = 0; n < nr; n++) {
		struct page *odd = folio_page(folio, (n + 2) * PAGES_PER_ENTRY - 1);

		KUNIT_EXPECT_EQ(test, page_ref_count(odd), 1);
		set_page_count(odd, 0);
	}
	expect_restored(test, folio);
	put_huge_folio(test, folio);
}

/* What a page's last life has left in words of a tail that mean nothing. */
static void words_without_meaning_are_made_equal(struct kunit *test)
{
	const long left = vmemmap_shadow_counter("entries left unjoined");
	struct folio *folio = huge_folio(test, PMD_SIZE);
	unsigned long i;

	for (i = PAGES_PER_ENTRY; i < folio_nr_pages(folio); i++) {
		struct page *page = folio_page(folio, i);

		tail_index(page) = i;
		page->lru.prev = (struct list_head *)page;
		page->flags.f |= (unsigned long)LAST_CPUPID_MASK << LAST_CPUPID_PGSHIFT;
		page->flags.f |= (unsigned long)KASAN_TAG_MASK << KASAN_TAG_PGSHIFT;
	}
	vmemmap_shadow_optimize_folio(folio);
	expect_optimized(test, folio);
	KUNIT_EXPECT_EQ(test, left, vmemmap_shadow_counter("entries left unjoined"));
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	expect_restored(test, folio);
	put_huge_folio(test, folio);
}

/* ------------------------------------------------------------------------ */
/* Stores to it								    */

/* Long after: each store gets its entry a page, and shows nowhere else. */
static void store_at_rest_parts_its_entry_alone(struct kunit *test)
{
	struct folio *other = huge_folio(test, PMD_SIZE);
	struct folio *folio = huge_folio(test, PMD_SIZE);
	const long parted_before = nr_parted();
	const long before = bytes_now();
	const unsigned int nr = nr_tails(folio);
	unsigned int n, spread = 0;

	vmemmap_shadow_optimize_folio(folio);
	vmemmap_shadow_optimize_folio(other);
	for (n = 0; n < nr; n++) {
		set_bit(PG_owner_priv_1,
			tail_flags(folio_page(folio, (n + 1) * PAGES_PER_ENTRY + n)));
		KUNIT_EXPECT_EQ(test, vmemmap_shadow_pte_state(tail_entry(folio, n)),
				VMEMMAP_SHADOW_OWNED);
		KUNIT_EXPECT_EQ(test, nr_parted() - parted_before, n + 1);
		KUNIT_EXPECT_EQ(test, bytes_now() - before, (2 * nr - n - 1) * PAGE_SIZE);
	}
	/* The second one to an entry needs nothing. */
	set_bit(PG_owner_priv_1, tail_flags(folio_page(folio, PAGES_PER_ENTRY)));
	KUNIT_EXPECT_EQ(test, nr_parted() - parted_before, nr);

	expect_optimized(test, other);
	KUNIT_EXPECT_FALSE_MSG(test, shared_is_changed(folio), "what is shared has changed");
	expect_readers_find_head(test, folio);

	/* No page is needed for any of them. */
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	KUNIT_EXPECT_EQ(test, bytes_now() - before, nr * PAGE_SIZE);
	for (n = 0; n < nr; n++) {
		unsigned long i = (n + 1) * PAGES_PER_ENTRY;

		for (; i < (n + 2) * PAGES_PER_ENTRY; i++)
			spread += test_and_clear_bit(PG_owner_priv_1,
						     tail_flags(folio_page(folio, i))) !=
				  (i % PAGES_PER_ENTRY == n);
	}
	KUNIT_EXPECT_EQ_MSG(test, spread, 0, "tails with a flag that nobody has set");
	expect_restored(test, folio);
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(other));
	KUNIT_EXPECT_EQ(test, bytes_now(), before);
	put_huge_folio(test, folio);
	put_huge_folio(test, other);
}

static unsigned int no_spares;

static struct page *no_spare(void)
{
	no_spares++;

	return NULL;
}

/* As on other architectures, where there never is one. */
static void store_without_a_spare_page_is_not_forgiven(struct kunit *test)
{
	const unsigned long store =
		(unsigned long)ESR_ELx_EC_DABT_CUR << ESR_ELx_EC_SHIFT |
		ESR_ELx_WNR | ESR_ELx_FSC_PERM | 3;
	const long recoveries = vmemmap_shadow_counter("write recoveries");
	struct folio *folio = huge_folio(test, PMD_SIZE);
	const unsigned long addr = (unsigned long)folio + PAGE_SIZE;
	const long parted_before = nr_parted();

	vmemmap_shadow_optimize_folio(folio);
	no_spares = 0;
	kunit_activate_static_stub(test, vmemmap_shadow_spare_get, no_spare);
	KUNIT_EXPECT_FALSE(test, __vmemmap_shadow_fault(addr, store));
	kunit_deactivate_static_stub(test, vmemmap_shadow_spare_get);
	KUNIT_EXPECT_EQ(test, no_spares, 1);
	expect_optimized(test, folio);
	KUNIT_EXPECT_EQ(test, recoveries, vmemmap_shadow_counter("write recoveries"));
	KUNIT_EXPECT_EQ(test, parted_before, nr_parted());

	KUNIT_EXPECT_TRUE(test, __vmemmap_shadow_fault(addr, store));
	KUNIT_EXPECT_EQ(test, parted_before + 1, nr_parted());
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	expect_restored(test, folio);
	put_huge_folio(test, folio);
}

/* The exchange that parts an entry is lost: the page goes back, and it is tried again. */
static unsigned int lost_parts;

static bool lose_part_once(pte_t *ptep, pte_t old, pte_t new)
{
	if (vmemmap_shadow_pte_state(old) == VMEMMAP_SHADOW_JOINED && !lost_parts++)
		return false;

	return REAL(vmemmap_shadow_cmpxchg(ptep, old, new));
}

static void store_that_loses_its_part_looks_again(struct kunit *test)
{
	struct folio *folio = huge_folio(test, PMD_SIZE);
	struct page *page = folio_page(folio, PAGES_PER_ENTRY);
	const long parted_before = nr_parted();

	vmemmap_shadow_optimize_folio(folio);
	lost_parts = 0;
	kunit_activate_static_stub(test, vmemmap_shadow_cmpxchg, lose_part_once);
	WRITE_ONCE(tail_index(page), 1);
	kunit_deactivate_static_stub(test, vmemmap_shadow_cmpxchg);
	KUNIT_EXPECT_EQ(test, lost_parts, 2);
	KUNIT_EXPECT_EQ(test, parted_before + 1, nr_parted());
	KUNIT_EXPECT_EQ(test, tail_index(page), 1);
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	KUNIT_EXPECT_EQ(test, tail_index(page), 1);
	tail_index(page) = 0;
	expect_restored(test, folio);
	put_huge_folio(test, folio);
}

/* A store comes when pages for all entries have been counted, and parts one of them. */
static struct page *stored_to;

static unsigned int store_and_alloc(int nid, unsigned int nr, struct page **pages)
{
	if (stored_to)
		WRITE_ONCE(tail_index(stored_to), 1);
	stored_to = NULL;

	return REAL(vmemmap_shadow_alloc_pages(nid, nr, pages));
}

static void restore_that_needs_fewer_pages_gives_them_back(struct kunit *test)
{
	struct folio *folio = huge_folio(test, PMD_SIZE);
	struct page *page = folio_page(folio, folio_nr_pages(folio) - 1);
	const long parted_before = nr_parted();
	const long before = bytes_now();

	vmemmap_shadow_optimize_folio(folio);
	stored_to = page;
	kunit_activate_static_stub(test, vmemmap_shadow_alloc_pages, store_and_alloc);
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	kunit_deactivate_static_stub(test, vmemmap_shadow_alloc_pages);
	KUNIT_EXPECT_EQ(test, parted_before + 1, nr_parted());
	KUNIT_EXPECT_EQ_MSG(test, before, bytes_now(), "a page is left over");
	KUNIT_EXPECT_EQ(test, tail_index(page), 1);
	tail_index(page) = 0;
	expect_restored(test, folio);
	put_huge_folio(test, folio);
}

/* Whoever stores again and again has stored to a page of the entry's own then. */
static void restore_under_fire_goes_on(struct kunit *test)
{
	struct folio *folio = huge_folio(test, PMD_SIZE);
	const long parted_before = nr_parted();

	vmemmap_shadow_optimize_folio(folio);
	aim_at(folio);
	kunit_activate_static_stub(test, vmemmap_shadow_hold, fire);
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	kunit_deactivate_static_stub(test, vmemmap_shadow_hold);
	KUNIT_EXPECT_EQ(test, parted_before + 1, nr_parted());
	KUNIT_EXPECT_TRUE(test, test_and_clear_bit(PG_owner_priv_1, under_fire));
	expect_restored(test, folio);
	put_huge_folio(test, folio);
}

/*
 * Stands in for vmemmap_shadow_store(). At the first of the stores somebody stores to
 * that very word, through the entry.
 */
static struct {
	unsigned long *word;
	unsigned int stores;
} lost;

static bool lose_store(unsigned long *word, unsigned long old, unsigned long new)
{
	if (!lost.stores++)
		WRITE_ONCE(*lost.word, 0xa5);

	return REAL(vmemmap_shadow_store(word, old, new));
}

static void store_to_the_word_that_is_exchanged_is_kept(struct kunit *test)
{
	const long left = vmemmap_shadow_counter("entries left unjoined");
	struct folio *folio = huge_folio(test, PMD_SIZE);
	struct page *tail = folio_page(folio, PAGES_PER_ENTRY);

	lost.word = (unsigned long *)(tail + 1) - 1;
	lost.stores = 0;
	/* Plain, but not the same as the others. */
	WRITE_ONCE(*lost.word, 0x5a);
	kunit_activate_static_stub(test, vmemmap_shadow_store, lose_store);
	vmemmap_shadow_optimize_folio(folio);
	kunit_deactivate_static_stub(test, vmemmap_shadow_store);
	KUNIT_EXPECT_EQ(test, lost.stores, 1);
	KUNIT_EXPECT_EQ(test, *lost.word, 0xa5);
	KUNIT_EXPECT_EQ(test, left + 1, vmemmap_shadow_counter("entries left unjoined"));
	WRITE_ONCE(*lost.word, 0);
	expect_partly_optimized(test, folio, 1);
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	expect_restored(test, folio);
	put_huge_folio(test, folio);
}

/* ------------------------------------------------------------------------ */
/* Handlers in flight							    */

/*
 * The store of another thread meets an entry that is SEALED. Its fault handler has
 * made its TLBI when it is held up. If the updater freed the entry's page all the same,
 * the handler of a second store might part the entry to that very page: then the first
 * one opens it right behind, with the shared page in other CPUs' TLBs still, and its
 * store goes to one of two output addresses.
 */
static struct flight {
	struct folio *folio;
	struct task_struct *task;
	struct completion start;
	bool held, go, done;		/* the thread's */
	bool started;			/* the updater's */
	struct page *kept[SZ_2M / PAGE_SIZE];
	unsigned int nr_kept, nr_given, waits;
	bool unequal;
} flight;

/* The tail entry that is stored to. */
#define FLIGHT	1

static struct page *flight_page(unsigned int n)
{
	return folio_page(flight.folio, (FLIGHT + 1) * PAGES_PER_ENTRY + n);
}

static int flight_thread(void *test)
{
	current->kunit_test = test;
	wait_for_completion(&flight.start);
	WRITE_ONCE(tail_index(flight_page(0)), 1);
	WRITE_ONCE(flight.done, true);

	return 0;
}

/* All is sealed. */
static void flight_hold(struct folio *folio, unsigned int lo, unsigned int hi)
{
	if (flight.started)
		return;
	flight.started = true;
	complete(&flight.start);
	wait_until(&flight.held);
}

static void flight_tlbi_one(unsigned long addr)
{
	REAL_VOID(vmemmap_shadow_tlbi_one(addr));
	if (current == flight.task && !flight.held) {
		WRITE_ONCE(flight.held, true);
		wait_until(&flight.go);
	}
}

static void flight_go(void)
{
	WRITE_ONCE(flight.go, true);
	wait_until(&flight.done);
}

/* The second store's handler has parted the entry. */
static bool flight_cmpxchg(pte_t *ptep, pte_t old, pte_t new)
{
	const bool done = REAL(vmemmap_shadow_cmpxchg(ptep, old, new));

	if (done && current != flight.task && !flight.go &&
	    vmemmap_shadow_pte_state(old) == VMEMMAP_SHADOW_JOINED) {
		flight_go();
		flight.unequal = memcmp(page_to_virt(pte_page(old)),
					page_to_virt(pte_page(new)), PAGE_SIZE);
	}

	return done;
}

static void flight_wait_readers(void)
{
	flight.waits++;
	flight_go();
	REAL_VOID(vmemmap_shadow_wait_readers());
}

static void flight_free_pages(struct page *page, unsigned int order)
{
	unsigned int i;

	for (i = 0; i < 1U << order; i++)
		flight.kept[flight.nr_kept++] = page + i;
}

/* For the second store's handler, the page that the entry had. */
static struct page *flight_spare(void)
{
	if (current == flight.task)
		return REAL(vmemmap_shadow_spare_get());
	flight.nr_given++;

	return flight.kept[FLIGHT];
}

static void handler_in_flight_is_waited_for(struct kunit *test)
{
	struct folio *folio = huge_folio(test, PMD_SIZE);
	unsigned int i;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");

	memset(&flight, 0, sizeof(flight));
	flight.folio = folio;
	init_completion(&flight.start);
	flight.task = kthread_run(flight_thread, test, "shadow_flight");
	KUNIT_ASSERT_FALSE(test, IS_ERR(flight.task));
	kunit_activate_static_stub(test, vmemmap_shadow_hold, flight_hold);
	kunit_activate_static_stub(test, vmemmap_shadow_cmpxchg, flight_cmpxchg);
	kunit_activate_static_stub(test, vmemmap_shadow_tlbi_one, flight_tlbi_one);
	kunit_activate_static_stub(test, vmemmap_shadow_free_pages, flight_free_pages);
	kunit_activate_static_stub(test, vmemmap_shadow_spare_get, flight_spare);
	kunit_deactivate_static_stub(test, vmemmap_shadow_wait_readers);
	kunit_activate_static_stub(test, vmemmap_shadow_wait_readers,
				   flight_wait_readers);

	vmemmap_shadow_optimize_folio(folio);
	KUNIT_EXPECT_TRUE(test, flight.held);
	KUNIT_EXPECT_EQ(test, flight.waits, 1);
	WRITE_ONCE(tail_index(flight_page(1)), 2);
	/* If it has not got there. */
	flight_go();
	kunit_deactivate_static_stub(test, vmemmap_shadow_hold);
	kunit_deactivate_static_stub(test, vmemmap_shadow_cmpxchg);
	kunit_deactivate_static_stub(test, vmemmap_shadow_tlbi_one);
	kunit_deactivate_static_stub(test, vmemmap_shadow_free_pages);
	kunit_deactivate_static_stub(test, vmemmap_shadow_spare_get);
	kunit_deactivate_static_stub(test, vmemmap_shadow_wait_readers);

	KUNIT_EXPECT_FALSE_MSG(test, flight.unequal,
			       "a store went to one of two output addresses");
	KUNIT_EXPECT_TRUE(test, flight.done);
	KUNIT_EXPECT_EQ(test, flight.nr_given, 0);
	KUNIT_EXPECT_EQ(test, flight.nr_kept, nr_tails(folio));
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, tail_index(flight_page(i)), i + 1);
		tail_index(flight_page(i)) = 0;
	}
	expect_partly_optimized(test, folio, 1);
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	expect_restored(test, folio);
	put_huge_folio(test, folio);
	for (i = flight.nr_given; i < flight.nr_kept; i++)
		vmemmap_shadow_free_pages(flight.kept[i], 0);
}

static struct kunit_case share_cases[] = {
	KUNIT_CASE(optimize_without_shared_page_is_refused),
	KUNIT_CASE(optimize_of_what_cannot_be_is_refused),
	KUNIT_CASE(folio_of_which_nothing_joins_is_not_marked),
	KUNIT_CASE(words_without_meaning_are_made_equal),
	KUNIT_CASE(store_at_rest_parts_its_entry_alone),
	KUNIT_CASE(store_without_a_spare_page_is_not_forgiven),
	KUNIT_CASE(store_that_loses_its_part_looks_again),
	KUNIT_CASE(restore_that_needs_fewer_pages_gives_them_back),
	KUNIT_CASE(restore_under_fire_goes_on),
	KUNIT_CASE(store_to_the_word_that_is_exchanged_is_kept),
	KUNIT_CASE(handler_in_flight_is_waited_for),
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
