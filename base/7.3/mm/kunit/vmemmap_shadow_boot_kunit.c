// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the shadow vmemmap: huge pages of the command line, whose tails are
 * mapped to the page that they share before there is a struct page in that.
 */
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/pgtable.h>
#include <linux/vmemmap_shadow_boot.h>

#include <asm/esr.h>
#include <asm/tlbflush.h>

#include "../internal.h"
#include "vmemmap_shadow_kunit.h"

static unsigned long tail_address(const struct folio *folio, unsigned int n)
{
	return (unsigned long)folio + (n + 1) * PAGE_SIZE;
}

static pte_t *tail_ptep(const struct folio *folio, unsigned int n)
{
	return vmemmap_shadow_ptep(tail_address(folio, n));
}

/* What the zone had when the case began. */
static struct page *slot_had;

static void put_slot_back(void *folio)
{
	WRITE_ONCE(*shared_slot(folio), slot_had);
}

/*
 * The tail entries of a folio of the command line, as vmemmap_populate_hvo() leaves them:
 * all map one page, in which there is nothing yet. Returns that page, which is the
 * zone's from now on.
 */
static struct page *populate(struct kunit *test, struct folio *folio)
{
	const unsigned int nr = nr_tails(folio);
	struct page *shared = alloc_page(GFP_KERNEL | __GFP_ZERO);
	struct page *page, *next;
	LIST_HEAD(own);
	unsigned int n;

	KUNIT_ASSERT_NOT_NULL(test, shared);
	for (n = 0; n < nr; n++) {
		list_add(&pte_page(tail_entry(folio, n))->lru, &own);
		__pte_clear(&init_mm, tail_address(folio, n), tail_ptep(folio, n));
	}
	flush_tlb_kernel_range(tail_address(folio, 0), tail_address(folio, nr));
	for (n = 0; n < nr; n++)
		__set_pte(tail_ptep(folio, n),
			  pfn_pte(page_to_pfn(shared), pte_pgprot(head_entry(folio))));
	list_for_each_entry_safe(page, next, &own, lru)
		__free_page(page);

	slot_had = *shared_slot(folio);
	WRITE_ONCE(*shared_slot(folio), shared);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action(test, put_slot_back, folio));
	folio_set_hugetlb_vmemmap_optimized(folio);

	return shared;
}

/* All of these cases run while the kernel boots. */
static void __ref mark_shared(struct folio *folio, unsigned int nr_entries)
{
	vmemmap_shadow_mark_shared((unsigned long)folio,
				   (unsigned long)folio + nr_entries * PAGE_SIZE);
}

/* The same with the tags; what sparse_init() leaves. */
static struct page *be_born(struct kunit *test, struct folio *folio)
{
	struct page *shared = populate(test, folio);

	mark_shared(folio, nr_tails(folio) + 1);

	return shared;
}

/* The end of it, and of the page that its tails had. */
static void die(struct kunit *test, struct folio *folio, struct page *shared)
{
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	expect_restored(test, folio);
	kunit_release_action(test, put_slot_back, folio);
	put_huge_folio(test, folio);
	__free_page(shared);
}

struct counts {
	long folios, steps, rounds, bytes;
};

static struct counts count(void)
{
	return (struct counts) {
		.folios = vmemmap_shadow_counter("folios optimized"),
		.steps = vmemmap_shadow_counter("entries stepped"),
		.rounds = vmemmap_shadow_counter("TLBI rounds"),
		.bytes = vmemmap_shadow_counter("bytes saved now"),
	};
}

/* So many folios, with so many entries, were adopted since then. */
static void expect_adopted(struct kunit *test, const struct counts *then, long folios,
			   long steps)
{
	const struct counts now = count();

	KUNIT_EXPECT_EQ_MSG(test, now.folios - then->folios, folios, "folios");
	KUNIT_EXPECT_EQ_MSG(test, now.steps - then->steps, steps, "entries");
	KUNIT_EXPECT_EQ_MSG(test, now.bytes - then->bytes, steps * PAGE_SIZE, "bytes");
}

static void adopt(struct folio *folio)
{
	LIST_HEAD(folios);

	list_add(&folio->lru, &folios);
	vmemmap_shadow_optimize_bootmem_folios(&folios);
	list_del_init(&folio->lru);
}

/* ------------------------------------------------------------------------ */

/*
 * The tag is all that changes, of the first entries; the head's is not touched. What is
 * not so is not given back, since entries that do not say so share a page.
 */
static void expect_born(struct kunit *test, struct folio *folio, pte_t head,
			const struct page *shared, unsigned int nr)
{
	const pteval_t untouched = pte_val(pfn_pte(page_to_pfn(shared), pte_pgprot(head)));
	unsigned int n, wrong = 0;

	for (n = 0; n < nr_tails(folio); n++) {
		const pte_t pte = tail_entry(folio, n);

		wrong += vmemmap_shadow_pte_state(pte) !=
			 (n < nr ? VMEMMAP_SHADOW_SHARED : VMEMMAP_SHADOW_OWNED);
		wrong += (pte_val(pte) & ~SHADOW_TAG) != untouched;
	}
	if (wrong)
		folio_ref_unfreeze(folio, 1);
	KUNIT_ASSERT_EQ_MSG(test, wrong, 0, "of %u entries are not as they were born", n);
	KUNIT_EXPECT_EQ(test, pte_val(head_entry(folio)), pte_val(head));
}

/* From the first mapping to the page allocator, as at boot. */
static void there_and_back(struct kunit *test, unsigned long size)
{
	struct folio *folio = synthetic_folio(test, size, true);
	const unsigned int nr = nr_tails(folio);
	const pte_t head = head_entry(folio);
	struct counts then = count();
	struct page *shared;
	unsigned long i;

	shared = populate(test, folio);
	/* A smaller one first: what lies behind is another's. */
	mark_shared(folio, nr / 2 + 1);
	expect_born(test, folio, head, shared, nr / 2);
	mark_shared(folio, nr + 1);
	expect_born(test, folio, head, shared, nr);

	/* memmap_init() writes through some of them; later the page is filled. */
	for (i = PAGES_PER_ENTRY; i < folio_nr_pages(folio); i += folio_nr_pages(folio) / 8)
		set_page_count(folio_page(folio, i), 1);
	fill_shared(shared, folio);
	expect_adopted(test, &then, 0, 0);

	WRITE_ONCE(vmemmap_shadow_used, false);
	adopt(folio);
	KUNIT_EXPECT_TRUE_MSG(test, vmemmap_shadow_in_use(), "nobody says that it is used");
	expect_optimized(test, folio);
	expect_adopted(test, &then, 1, nr);
	KUNIT_EXPECT_EQ_MSG(test, then.rounds + 1, vmemmap_shadow_counter("TLBI rounds"),
			    "rounds");
	KUNIT_EXPECT_EQ(test, pte_val(head_entry(folio)), pte_val(head));
	KUNIT_EXPECT_EQ(test, nr_waits, 0);

	/* No difference any more: there and back like any other. */
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	expect_restored(test, folio);
	KUNIT_EXPECT_EQ(test, then.bytes, vmemmap_shadow_counter("bytes saved now"));
	vmemmap_shadow_optimize_folio(folio);
	expect_optimized(test, folio);
	KUNIT_EXPECT_FALSE_MSG(test, shared_is_changed(folio), "what is shared has changed");
	die(test, folio, shared);
	KUNIT_EXPECT_EQ(test, then.bytes, vmemmap_shadow_counter("bytes saved now"));
}

static void tails_born_shared_are_adopted(struct kunit *test)
{
	there_and_back(test, CONT_PMD_SIZE);
	there_and_back(test, max_t(unsigned long, SZ_1G, CONT_PMD_SIZE));
	KUNIT_EXPECT_FALSE(test, vmemmap_shadow_broken);
}

/* Stores to one are parted from it, as from any page that is shared. */
static void store_after_adoption_parts_its_entry(struct kunit *test)
{
	const long parted = vmemmap_shadow_counter("entries parted by a write");
	const unsigned long store =
		(unsigned long)ESR_ELx_EC_DABT_CUR << ESR_ELx_EC_SHIFT |
		ESR_ELx_WNR | ESR_ELx_FSC_PERM | 3;
	struct folio *folio = synthetic_folio(test, CONT_PMD_SIZE, true);
	struct page *shared = be_born(test, folio);

	fill_shared(shared, folio);
	adopt(folio);
	KUNIT_EXPECT_TRUE(test, __vmemmap_shadow_fault(tail_address(folio, 1), store));
	KUNIT_EXPECT_EQ(test, parted + 1,
			vmemmap_shadow_counter("entries parted by a write"));
	expect_partly_optimized(test, folio, 1);
	KUNIT_EXPECT_FALSE_MSG(test, shared_is_changed(folio), "what is shared has changed");
	die(test, folio, shared);
}

/* ------------------------------------------------------------------------ */
/* What is not as it has to be						    */

static void leave_empty(struct page *shared, const struct folio *folio)
{
	memset(page_to_virt(shared), 0, PAGE_SIZE);
}

/* memmap_init() counts each page once. */
static void leave_count(struct page *shared, const struct folio *folio)
{
	struct page *tail = page_to_virt(shared);

	set_page_count(tail, 1);
}

static void leave_count_in_all(struct page *shared, const struct folio *folio)
{
	struct page *tail = page_to_virt(shared);
	unsigned int i;

	for (i = 0; i < PAGES_PER_ENTRY; i++)
		set_page_count(tail + i, 1);
}

static void leave_poison(struct page *shared, const struct folio *folio)
{
	struct page *tail = page_to_virt(shared);

	set_bit(PG_owner_priv_1, tail_flags(tail + PAGES_PER_ENTRY / 2));
}

static void leave_last_word(struct page *shared, const struct folio *folio)
{
	unsigned long *word = page_to_virt(shared);

	word[PAGE_SIZE / sizeof(*word) - 1] = 1;
}

/* Plain tails and all the same, but none of theirs would say that they are this size. */
static void leave_other_order(struct page *shared, const struct folio *folio)
{
	fill_with_tails(shared, folio_order(folio) + 1, folio_zone(folio));
}

/* Not made, by an allocation that failed. */
static void leave_none(struct page *shared, const struct folio *folio)
{
	WRITE_ONCE(*shared_slot(folio), NULL);
}

static const struct left {
	const char *name;
	void (*leave)(struct page *shared, const struct folio *folio);
} lefts[] = {
	{ "empty", leave_empty },
	{ "a count in the first tail", leave_count },
	{ "a count in each tail", leave_count_in_all },
	{ "a flag in a tail", leave_poison },
	{ "the last word", leave_last_word },
	{ "another order's", leave_other_order },
	{ "no page", leave_none },
};

static void left_desc(const struct left *l, char *desc)
{
	strscpy(desc, l->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(left, lefts, left_desc);

/* One warning, and nothing is stepped; it is never freed, for it cannot be restored. */
static void tails_that_are_not_filled_are_not_adopted(struct kunit *test)
{
	const struct left *l = test->param_value;
	struct folio *folio = synthetic_folio(test, CONT_PMD_SIZE, true);
	const pte_t head = head_entry(folio);
	struct page *shared = be_born(test, folio);
	const struct counts then = count();
	unsigned long i;

	fill_shared(shared, folio);
	l->leave(shared, folio);
	kunit_warning_suppress(test) {
		adopt(folio);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	KUNIT_EXPECT_TRUE_MSG(test, vmemmap_shadow_broken, "adopted as it is");
	vmemmap_shadow_broken = false;
	expect_born(test, folio, head, shared, nr_tails(folio));
	expect_adopted(test, &then, 0, 0);
	KUNIT_EXPECT_EQ(test, then.rounds, vmemmap_shadow_counter("TLBI rounds"));
	WRITE_ONCE(*shared_slot(folio), shared);
	KUNIT_EXPECT_EQ(test, -EBUSY, vmemmap_shadow_restore_folio(folio));
	expect_born(test, folio, head, shared, nr_tails(folio));
	KUNIT_EXPECT_TRUE(test, folio_test_hugetlb_vmemmap_optimized(folio));
	KUNIT_EXPECT_EQ(test, then.bytes, vmemmap_shadow_counter("bytes saved now"));

	/* Filled after all, it is like any other. */
	fill_shared(shared, folio);
	for (i = 1; i < PAGES_PER_ENTRY; i++)
		KUNIT_EXPECT_EQ(test, page_ref_count(folio_page(folio, i)), 0);
	adopt(folio);
	expect_optimized(test, folio);
	die(test, folio, shared);
}

/*
 * An entry that maps its own page, one that was adopted already, and one that maps the
 * page of another zone: each stays as it is, with a warning, and the others are adopted.
 */
static void entry_that_is_not_as_it_was_born_stays(struct kunit *test)
{
	struct folio *folio = synthetic_folio(test, CONT_PMD_SIZE, true);
	const unsigned int nr = nr_tails(folio), odd[] = { 1, nr / 2, nr - 1 };
	struct page *shared = be_born(test, folio);
	struct page *foreign = alloc_page(GFP_KERNEL | __GFP_ZERO);
	struct page *own = alloc_page(GFP_KERNEL | __GFP_ZERO);
	const struct counts then = count();
	pte_t was[ARRAY_SIZE(odd)];
	unsigned int i, n, wrong = 0;

	KUNIT_ASSERT_NOT_NULL(test, foreign);
	KUNIT_ASSERT_NOT_NULL(test, own);
	fill_shared(shared, folio);
	fill_shared(foreign, folio);
	fill_shared(own, folio);
	was[0] = shadow_mk_pte(tail_entry(folio, odd[0]), VMEMMAP_SHADOW_OWNED,
			       page_to_pfn(own));
	was[1] = shadow_mk_pte(tail_entry(folio, odd[1]), VMEMMAP_SHADOW_JOINED, 0);
	was[2] = pfn_pte(page_to_pfn(foreign), pte_pgprot(tail_entry(folio, odd[2])));
	for (i = 0; i < ARRAY_SIZE(odd); i++)
		__set_pte(tail_ptep(folio, odd[i]), was[i]);
	flush_tlb_kernel_range(tail_address(folio, 0), tail_address(folio, nr));

	kunit_warning_suppress(test) {
		adopt(folio);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, ARRAY_SIZE(odd));
	}
	KUNIT_EXPECT_TRUE(test, vmemmap_shadow_broken);
	vmemmap_shadow_broken = false;
	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		KUNIT_EXPECT_EQ_MSG(test, pte_val(tail_entry(folio, odd[i])),
				    pte_val(was[i]), "odd entry %u is not left", i);
		/* What follows would not survive another. */
		__set_pte(tail_ptep(folio, odd[i]), was[i]);
	}
	flush_tlb_kernel_range(tail_address(folio, 0), tail_address(folio, nr));
	expect_adopted(test, &then, 1, nr - ARRAY_SIZE(odd));
	for (n = 0; n < nr; n++)
		wrong += vmemmap_shadow_pte_state(tail_entry(folio, n)) !=
			 VMEMMAP_SHADOW_JOINED;
	KUNIT_EXPECT_EQ(test, wrong, ARRAY_SIZE(odd) - 1);

	/* It goes nowhere, with one that is SHARED. */
	KUNIT_EXPECT_EQ(test, -EBUSY, vmemmap_shadow_restore_folio(folio));
	KUNIT_EXPECT_EQ(test, pte_val(tail_entry(folio, odd[2])), pte_val(was[2]));

	/* Let it go after all. */
	__set_pte(tail_ptep(folio, odd[2]), was[1]);
	flush_tlb_kernel_range(tail_address(folio, odd[2]), tail_address(folio, nr));
	die(test, folio, shared);
	__free_page(foreign);
}

static unsigned int nr_exchanges;

static bool lose_third(pte_t *ptep, pte_t old, pte_t new)
{
	return ++nr_exchanges != 3 && REAL(vmemmap_shadow_cmpxchg(ptep, old, new));
}

/* Nobody else steps them at boot; if somebody did, it would not count. */
static void entry_whose_exchange_is_lost_does_not_count(struct kunit *test)
{
	struct folio *folio = synthetic_folio(test, CONT_PMD_SIZE, true);
	const unsigned int nr = nr_tails(folio);
	struct page *shared = be_born(test, folio);
	const struct counts then = count();

	fill_shared(shared, folio);
	nr_exchanges = 0;
	kunit_activate_static_stub(test, vmemmap_shadow_cmpxchg, lose_third);
	adopt(folio);
	kunit_deactivate_static_stub(test, vmemmap_shadow_cmpxchg);
	KUNIT_EXPECT_EQ(test, nr_exchanges, nr);
	expect_adopted(test, &then, 1, nr - 1);
	KUNIT_EXPECT_EQ(test, vmemmap_shadow_pte_state(tail_entry(folio, 2)),
			VMEMMAP_SHADOW_SHARED);

	__set_pte(tail_ptep(folio, 2), tail_entry(folio, 3));
	flush_tlb_kernel_range(tail_address(folio, 2), tail_address(folio, 3));
	die(test, folio, shared);
}

/* ------------------------------------------------------------------------ */

/*
 * A list as HugeTLB has it: one that was mapped in full, one that was born shared, and
 * one more of the former. All are optimized, each in its way, and the order stays.
 */
static void list_of_both_kinds_is_optimized(struct kunit *test)
{
	struct folio *folio[3], *f;
	const struct counts then = count();
	struct page *shared;
	unsigned int i = 0;
	LIST_HEAD(folios);

	for (i = 0; i < ARRAY_SIZE(folio); i++) {
		folio[i] = synthetic_folio(test, CONT_PMD_SIZE, true);
		list_add_tail(&folio[i]->lru, &folios);
	}
	shared = be_born(test, folio[1]);
	fill_shared(shared, folio[1]);

	vmemmap_shadow_booting = true;
	vmemmap_shadow_optimize_bootmem_folios(&folios);
	vmemmap_shadow_booting = false;
	i = 0;
	list_for_each_entry(f, &folios, lru)
		KUNIT_EXPECT_PTR_EQ(test, f, folio[i++]);
	KUNIT_EXPECT_EQ(test, vmemmap_shadow_counter("folios optimized") - then.folios,
			ARRAY_SIZE(folio));
	KUNIT_EXPECT_EQ(test, vmemmap_shadow_counter("bytes saved now") - then.bytes,
			ARRAY_SIZE(folio) * nr_tails(folio[0]) * PAGE_SIZE);
	for (i = 0; i < ARRAY_SIZE(folio); i++) {
		list_del_init(&folio[i]->lru);
		expect_optimized(test, folio[i]);
		if (i == 1)
			continue;
		KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio[i]));
		expect_restored(test, folio[i]);
		put_huge_folio(test, folio[i]);
	}
	die(test, folio[1], shared);
	KUNIT_EXPECT_EQ(test, then.bytes, vmemmap_shadow_counter("bytes saved now"));
}

static struct kunit_case boot_cases[] = {
	KUNIT_CASE(tails_born_shared_are_adopted),
	KUNIT_CASE(store_after_adoption_parts_its_entry),
	KUNIT_CASE_PARAM(tails_that_are_not_filled_are_not_adopted, left_gen_params),
	KUNIT_CASE(entry_that_is_not_as_it_was_born_stays),
	KUNIT_CASE(entry_whose_exchange_is_lost_does_not_count),
	KUNIT_CASE(list_of_both_kinds_is_optimized),
	{}
};

static struct kunit_suite boot_suite = {
	.name = "vmemmap_shadow_boot",
	.init = shadow_test_init,
	.exit = shadow_test_exit,
	.test_cases = boot_cases,
};

kunit_test_init_section_suite(boot_suite);

MODULE_DESCRIPTION("KUnit tests of the shadow vmemmap, of pages of the command line");
MODULE_LICENSE("GPL");
