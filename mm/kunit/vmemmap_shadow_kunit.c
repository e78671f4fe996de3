// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the shadow vmemmap: the states and steps of one entry, on an
 * entry that nothing walks; optimize and restore, on the live vmemmap.
 *
 * No figure here depends on the granule: sizes come from the kernel's
 * constants.
 */
#include <linux/completion.h>
#include <linux/hrtimer.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/memblock.h>
#include <linux/panic.h>
#include <linux/perf_event.h>
#include <linux/pgtable.h>
#include <linux/poison.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/vmalloc.h>
#include <linux/xarray.h>

#include <asm/esr.h>
#include <asm/sections.h>
#include <asm/tlbflush.h>

#include "../internal.h"
#include "vmemmap_shadow_kunit.h"

#define NR_STATES	VMEMMAP_SHADOW_NR_STATES

/* Two pages that a synthetic entry may map. Nobody walks to them. */
#define OWN_PFN		0x1234UL
#define HEAD_PFN	0x5678UL

static const char * const state_name[NR_STATES] = {
	"OWNED", "SEALED", "JOINED", "SHARED",
};

/* What each state means, written down a second time, by hand. */
static const struct state_meaning {
	unsigned long pfn;
	bool writable;
} meaning[NR_STATES] = {
	[VMEMMAP_SHADOW_OWNED]	= { OWN_PFN, true },
	[VMEMMAP_SHADOW_SEALED]	= { OWN_PFN, false },
	[VMEMMAP_SHADOW_JOINED]	= { HEAD_PFN, false },
	[VMEMMAP_SHADOW_SHARED]	= { HEAD_PFN, true },
};

/* An untouched entry, as vmemmap_pte_populate() builds it. */
static pte_t untouched(void)
{
	return pfn_pte(OWN_PFN, PAGE_KERNEL);
}

/* Walk an untouched entry along the chain up to a state. */
static pte_t entry_in(struct kunit *test, enum vmemmap_shadow_state state)
{
	pte_t pte = untouched();
	unsigned int s;

	for (s = VMEMMAP_SHADOW_OWNED; s < state; s++)
		KUNIT_ASSERT_EQ(test, 0,
				vmemmap_shadow_step(&pte, s, s + 1, HEAD_PFN));

	return pte;
}

/* ------------------------------------------------------------------------ */
/* One entry								    */

static void state_of_untouched_entry_is_owned(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, vmemmap_shadow_pte_state(untouched()),
			VMEMMAP_SHADOW_OWNED);
}

static void state_tag_and_permission_and_page_agree(struct kunit *test)
{
	const pteval_t perm = PTE_WRITE | PTE_RDONLY;
	unsigned int s;

	for (s = 0; s < NR_STATES; s++) {
		const pte_t pte = entry_in(test, s);

		KUNIT_EXPECT_EQ_MSG(test, vmemmap_shadow_pte_state(pte), s,
				    "tag of %s", state_name[s]);
		KUNIT_EXPECT_EQ_MSG(test, pte_val(pte) & perm,
				    meaning[s].writable ? PTE_WRITE : PTE_RDONLY,
				    "permission of %s", state_name[s]);
		KUNIT_EXPECT_EQ_MSG(test, pte_pfn(pte), meaning[s].pfn,
				    "page of %s", state_name[s]);
		KUNIT_EXPECT_TRUE(test, pte_valid(pte));
		KUNIT_EXPECT_FALSE(test, pte_cont(pte));
	}
}

static void state_changes_nothing_but_tag_permission_and_page(struct kunit *test)
{
	/* The bits in which any two states differ, tag included. */
	const pteval_t tag =
		pte_val(entry_in(test, VMEMMAP_SHADOW_SHARED)) ^
		pte_val(pfn_pte(HEAD_PFN, PAGE_KERNEL));
	unsigned int s;

	/* Two bits, and all software's. */
	KUNIT_EXPECT_EQ(test, hweight64(tag), 2);
	KUNIT_EXPECT_EQ(test, tag & ~PTE_SWBITS_MASK, 0);
	KUNIT_EXPECT_EQ(test, tag & PTE_DIRTY, 0);

	for (s = 0; s < NR_STATES; s++) {
		const pteval_t diff = pte_val(entry_in(test, s)) ^
			pte_val(pfn_pte(meaning[s].pfn, PAGE_KERNEL));

		KUNIT_EXPECT_EQ_MSG(test, diff & ~(tag | PTE_WRITE | PTE_RDONLY),
				    0, "%s", state_name[s]);
	}
}

static void state_back_at_owned_is_bit_for_bit_untouched(struct kunit *test)
{
	pte_t pte = entry_in(test, VMEMMAP_SHADOW_SHARED);
	int s;

	for (s = VMEMMAP_SHADOW_SHARED; s > VMEMMAP_SHADOW_OWNED; s--)
		KUNIT_ASSERT_EQ(test, 0,
				vmemmap_shadow_step(&pte, s, s - 1, OWN_PFN));
	KUNIT_EXPECT_EQ(test, pte_val(pte), pte_val(untouched()));
}

struct step {
	enum vmemmap_shadow_state from, to;
};

static GEN_PARAMS(step_gen_params)
{
	static struct step all[NR_STATES * NR_STATES];
	const size_t n = prev ? (const struct step *)prev - all + 1 : 0;

	if (n == ARRAY_SIZE(all))
		return NULL;
	all[n].from = n / NR_STATES;
	all[n].to = n % NR_STATES;
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s to %s",
		 state_name[all[n].from], state_name[all[n].to]);

	return &all[n];
}

/* The chain is a line: a step leads to a neighbour, forward or back. */
static bool is_neighbour(const struct step *s)
{
	return s->from + 1 == s->to || s->to + 1 == s->from;
}

static void step_legal_is_taken_and_illegal_refused(struct kunit *test)
{
	const struct step *s = test->param_value;
	const pte_t before = entry_in(test, s->from);
	pte_t pte = before;
	int ret;

	ret = vmemmap_shadow_step(&pte, s->from, s->to, meaning[s->to].pfn);

	if (is_neighbour(s)) {
		KUNIT_EXPECT_EQ(test, ret, 0);
		KUNIT_EXPECT_EQ(test, pte_val(pte),
				pte_val(entry_in(test, s->to)));
	} else {
		KUNIT_EXPECT_EQ(test, ret, -EINVAL);
		KUNIT_EXPECT_EQ(test, pte_val(pte), pte_val(before));
	}
}

/* The six steps of the chain. */
static const struct step chain[] = {
	{ VMEMMAP_SHADOW_OWNED, VMEMMAP_SHADOW_SEALED },
	{ VMEMMAP_SHADOW_SEALED, VMEMMAP_SHADOW_JOINED },
	{ VMEMMAP_SHADOW_JOINED, VMEMMAP_SHADOW_SHARED },
	{ VMEMMAP_SHADOW_SHARED, VMEMMAP_SHADOW_JOINED },
	{ VMEMMAP_SHADOW_JOINED, VMEMMAP_SHADOW_SEALED },
	{ VMEMMAP_SHADOW_SEALED, VMEMMAP_SHADOW_OWNED },
};

static void chain_desc(const struct step *s, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s to %s", state_name[s->from],
		 state_name[s->to]);
}

KUNIT_ARRAY_PARAM(chain, chain, chain_desc);

static void step_from_another_state_is_lost(struct kunit *test)
{
	const struct step *s = test->param_value;
	unsigned int is;

	for (is = 0; is < NR_STATES; is++) {
		const pte_t before = entry_in(test, is);
		pte_t pte = before;

		if (is == s->from)
			continue;
		KUNIT_EXPECT_EQ(test, -EAGAIN,
				vmemmap_shadow_step(&pte, s->from, s->to,
						    meaning[s->to].pfn));
		KUNIT_EXPECT_EQ(test, pte_val(pte), pte_val(before));
	}
}

/* Whatever page the caller names: only join and part have a use for it. */
static void step_changes_permission_or_page_but_not_both(struct kunit *test)
{
	const struct step *s = test->param_value;
	const unsigned long named = HEAD_PFN + OWN_PFN;
	pte_t pte = entry_in(test, s->from);

	KUNIT_ASSERT_EQ(test, 0,
			vmemmap_shadow_step(&pte, s->from, s->to, named));
	if (meaning[s->from].writable == meaning[s->to].writable) {
		KUNIT_EXPECT_EQ(test, pte_pfn(pte), named);
		KUNIT_EXPECT_FALSE(test, pte_write(pte));
	} else {
		KUNIT_EXPECT_EQ(test, pte_pfn(pte), meaning[s->from].pfn);
	}
}

/* Numbers that name no state, but a step of others if they were just used. */
static void step_from_or_to_no_state_is_refused(struct kunit *test)
{
	const pte_t before = untouched();
	unsigned int no;

	for (no = NR_STATES; no < 2 * NR_STATES; no++) {
		pte_t pte = before;

		KUNIT_EXPECT_EQ(test, -EINVAL,
				vmemmap_shadow_step(&pte, VMEMMAP_SHADOW_OWNED,
						    no, HEAD_PFN));
		KUNIT_EXPECT_EQ(test, -EINVAL,
				vmemmap_shadow_step(&pte, no,
						    VMEMMAP_SHADOW_OWNED, HEAD_PFN));
		KUNIT_EXPECT_EQ(test, pte_val(pte), pte_val(before));
	}
}

static void step_of_unsound_entry_is_refused(struct kunit *test)
{
	const pteval_t owned = pte_val(untouched());
	const pteval_t shared = pte_val(entry_in(test, VMEMMAP_SHADOW_SHARED));
	const struct {
		const char *what;
		pteval_t val;
		struct step step;
	} unsound[] = {
		{ "empty", 0,
		  { VMEMMAP_SHADOW_OWNED, VMEMMAP_SHADOW_SEALED } },
		{ "invalid", owned & ~PTE_VALID,
		  { VMEMMAP_SHADOW_OWNED, VMEMMAP_SHADOW_SEALED } },
		{ "contiguous", owned | PTE_CONT,
		  { VMEMMAP_SHADOW_OWNED, VMEMMAP_SHADOW_SEALED } },
		{ "read-only without a tag",
		  (owned & ~PTE_WRITE) | PTE_RDONLY,
		  { VMEMMAP_SHADOW_OWNED, VMEMMAP_SHADOW_SEALED } },
		{ "writable clean, which DBM lets a store through",
		  shared | PTE_RDONLY,
		  { VMEMMAP_SHADOW_SHARED, VMEMMAP_SHADOW_JOINED } },
		{ "read-only in a writable state",
		  (shared & ~PTE_WRITE) | PTE_RDONLY,
		  { VMEMMAP_SHADOW_SHARED, VMEMMAP_SHADOW_JOINED } },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(unsound); i++) {
		pte_t pte = __pte(unsound[i].val);

		KUNIT_EXPECT_EQ_MSG(test, -EINVAL,
				    vmemmap_shadow_step(&pte,
							unsound[i].step.from,
							unsound[i].step.to,
							HEAD_PFN),
				    "%s", unsound[i].what);
		KUNIT_EXPECT_EQ_MSG(test, pte_val(pte), unsound[i].val, "%s",
				    unsound[i].what);
	}
}

/* ------------------------------------------------------------------------ */
/* Folios on the live vmemmap						    */

struct size_param {
	const char *name;
	unsigned long size;
	enum where where;
};

/*
 * Folios that fit a window and such that take several: whatever the granule, one
 * of the last two does.
 */
static const struct size_param sizes[] = {
	{ "PMD_SIZE", PMD_SIZE, LIVE },
	{ "1 GiB", SZ_1G, LIVE },
	{ "CONT_PMD_SIZE", CONT_PMD_SIZE, SYNTHETIC },
};

static void size_desc(const struct size_param *p, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s, %s (%lu KiB, %lu tail entries)",
		 p->name, where_name[p->where], p->size / SZ_1K,
		 p->size / PAGE_SIZE / PAGES_PER_ENTRY - 1);
}

KUNIT_ARRAY_PARAM(size, sizes, size_desc);

/* Counters of one test, behind the replaced functions. */
int nr_waits;
static int nr_allocs;
static int fail_alloc_at;	/* count from 0; negative: never fail */

static void count_waits(void)
{
	nr_waits++;
	synchronize_rcu();
}

static unsigned int count_or_fail_allocs(int nid, unsigned int nr,
					 struct page **pages)
{
	unsigned int got;

	for (got = 0; got < nr; got++) {
		if (nr_allocs == fail_alloc_at) {
			nr_allocs += !got;
			break;
		}
		nr_allocs++;
		pages[got] = alloc_pages_node(nid, GFP_KERNEL, 0);
	}

	return got;
}

void shadow_test_exit(struct kunit *test)
{
	base_test_exit(test);
	KUNIT_EXPECT_FALSE(test, vmemmap_shadow_broken);
}

int shadow_test_init(struct kunit *test)
{
	nr_waits = 0;
	nr_allocs = 0;
	fail_alloc_at = -1;
	base_test_init();
	kunit_activate_static_stub(test, vmemmap_shadow_wait_readers,
				   count_waits);
	kunit_activate_static_stub(test, vmemmap_shadow_alloc_pages,
				   count_or_fail_allocs);

	return 0;
}

static void free_synthetic_folio(struct folio *folio)
{
	const unsigned int nr = nr_tails(folio) + 1;
	unsigned long addr = (unsigned long)folio;
	struct page *page, *next;
	LIST_HEAD(pages);
	unsigned int n;

	for (n = 0; n < nr; n++, addr += PAGE_SIZE)
		list_add(&pte_page(*vmemmap_shadow_ptep(addr))->lru, &pages);
	free_vm_area(find_vm_area(folio));
	list_for_each_entry_safe(page, next, &pages, lru)
		__free_page(page);
}

/*
 * What a case has got goes back when it ends, also if it was skipped or failed
 * half way, as far as that is safe then.
 */
static void give_back(void *data)
{
	struct folio *folio = data;

	if (folio_ref_count(folio) || vmemmap_shadow_restore_folio(folio))
		return;
	if (is_vmalloc_addr(folio)) {
		free_synthetic_folio(folio);
		return;
	}
	__folio_clear_hugetlb(folio);
	folio_change_private(folio, NULL);
	folio_ref_unfreeze(folio, 1);
	folio_put(folio);
}

struct folio *huge_folio(struct kunit *test, unsigned long size)
{
	struct folio *folio = frozen_folio(get_order(size),
					   GFP_KERNEL | __GFP_COMP | __GFP_NOWARN);

	if (!folio)
		kunit_skip(test, "no %lu KiB of contiguous memory", size / SZ_1K);

	__folio_set_hugetlb(folio);
	INIT_LIST_HEAD(&folio->lru);
	folio_change_private(folio, NULL);
	make_shared(test, folio);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action(test, give_back, folio));

	return folio;
}

/* One struct page as memory has it that nobody has got. */
static void init_page(struct page *page, struct page *like)
{
	memset(page, 0, sizeof(*page));
	*tail_flags(page) = *tail_flags(like) & ~PAGEFLAGS_MASK;
	atomic_set(&page->_mapcount, -1);
}

/*
 * Map pages where the last one's entry is the last one of a table, or where there
 * is room; aligned as the vmemmap of a folio is.
 */
static void *map_pages(struct page **pages, unsigned int nr, bool last)
{
	const unsigned long size = nr * PAGE_SIZE;
	const unsigned long align = roundup_pow_of_two(size);
	struct vm_struct *area = get_vm_area(size + max(PMD_SIZE, align), VM_MAP);
	unsigned long addr;

	if (!area)
		return NULL;
	addr = ALIGN((unsigned long)area->addr, align);
	if (last)
		addr = ALIGN((unsigned long)area->addr + size, max(PMD_SIZE, align)) - size;
	if (map_pages_at(addr, addr + size, pages)) {
		free_vm_area(area);
		return NULL;
	}

	return (void *)addr;
}

static struct folio *make_folio(struct kunit *test, unsigned long size, bool raw,
				bool last)
{
	const unsigned int nr = max(1UL, size / PAGE_SIZE / PAGES_PER_ENTRY);
	struct page **pages = kvcalloc(nr, sizeof(*pages), GFP_KERNEL);
	unsigned long i, whole = size / PAGE_SIZE;
	struct folio *folio;
	unsigned int n;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	for (n = 0; n < nr; n++) {
		pages[n] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		KUNIT_ASSERT_NOT_NULL(test, pages[n]);
	}
	folio = map_pages(pages, nr, last);
	KUNIT_ASSERT_NOT_NULL(test, folio);

	/* HugeTLB makes tails of no more, of what comes from memblock. */
	if (raw)
		whole = PAGES_PER_ENTRY;
	for (i = 0; i < whole; i++)
		init_page(&folio->page + i, pages[0]);
	make_compound(folio, get_order(size), whole);
	__folio_set_hugetlb(folio);
	INIT_LIST_HEAD(&folio->lru);
	kvfree(pages);
	make_shared(test, folio);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action(test, give_back, folio));

	return folio;
}

struct folio *synthetic_folio(struct kunit *test, unsigned long size, bool raw)
{
	return make_folio(test, size, raw, false);
}

const char * const where_name[] = {
	[SYNTHETIC]	= "synthetic",
	[LIVE]		= "live",
};

GEN_PARAMS(where_gen_params)
{
	static const enum where all[] = { SYNTHETIC, LIVE };
	const enum where *next = prev ? (const enum where *)prev + 1 : all;

	if (next == all + ARRAY_SIZE(all))
		return NULL;
	strscpy(desc, where_name[*next], KUNIT_PARAM_DESC_SIZE);

	return next;
}

struct folio *folio_at(struct kunit *test, enum where where, unsigned long size)
{
	return where == SYNTHETIC ? synthetic_folio(test, size, false) :
				    huge_folio(test, size);
}

void put_huge_folio(struct kunit *test, struct folio *folio)
{
	const bool tainted = test_taint(TAINT_BAD_PAGE);

	/* Else it would not go. */
	KUNIT_ASSERT_EQ(test, folio_ref_count(folio), 0);
	KUNIT_ASSERT_FALSE(test, folio_test_hugetlb_vmemmap_optimized(folio));
	kunit_release_action(test, give_back, folio);
	if (!tainted)
		KUNIT_EXPECT_FALSE_MSG(test, test_taint(TAINT_BAD_PAGE),
				       "bad page when the folio was freed");
}

pte_t tail_entry(const struct folio *folio, unsigned int n)
{
	return *vmemmap_shadow_ptep((unsigned long)folio + (n + 1) * PAGE_SIZE);
}

pte_t head_entry(const struct folio *folio)
{
	return *vmemmap_shadow_ptep((unsigned long)folio);
}

/* Everybody who holds a struct page must find the head from it. */
void expect_readers_find_head(struct kunit *test, struct folio *folio)
{
	const unsigned long nr = folio_nr_pages(folio);
	unsigned long i, wrong = 0;

	for (i = 0; i < nr; i++) {
		struct page *page = folio_page(folio, i);

		if (page_folio(page) != folio || PageTail(page) != !!i ||
		    PageHead(page) != !i || page_count(page) != 0 ||
		    !PageHuge(page))
			wrong++;
	}
	KUNIT_EXPECT_EQ_MSG(test, wrong, 0, "of %lu struct pages: the head is not found",
			    nr);
}

void expect_optimized(struct kunit *test, struct folio *folio)
{
	const bool writable = heads_page_is_shared;
	unsigned int n, wrong = 0;

	KUNIT_EXPECT_TRUE(test, folio_test_hugetlb_vmemmap_optimized(folio));
	for (n = 0; n < nr_tails(folio); n++) {
		const pte_t pte = tail_entry(folio, n);

		if (vmemmap_shadow_pte_state(pte) != SHADOW_AT_REST ||
		    pte_write(pte) != writable || pte_rdonly(pte) == writable ||
		    pte_pfn(pte) != shared_pfn(folio))
			wrong++;
	}
	KUNIT_EXPECT_EQ_MSG(test, wrong, 0, "of %u entries are not %s", n,
			    state_name[SHADOW_AT_REST]);
	KUNIT_EXPECT_EQ(test, vmemmap_shadow_pte_state(head_entry(folio)),
			VMEMMAP_SHADOW_OWNED);
	expect_readers_find_head(test, folio);
}

void expect_restored(struct kunit *test, struct folio *folio)
{
	unsigned int n, wrong = 0, twice = 0;
	unsigned long i, odd = 0;
	struct xarray pages;

	KUNIT_EXPECT_FALSE(test, folio_test_hugetlb_vmemmap_optimized(folio));
	xa_init(&pages);
	xa_store(&pages, pte_pfn(head_entry(folio)), folio, GFP_KERNEL);
	for (n = 0; n < nr_tails(folio); n++) {
		const pte_t pte = tail_entry(folio, n);

		wrong += vmemmap_shadow_pte_state(pte) != VMEMMAP_SHADOW_OWNED ||
			 !pte_write(pte) || pte_rdonly(pte);
		twice += !!xa_store(&pages, pte_pfn(pte), folio, GFP_KERNEL);
	}
	xa_destroy(&pages);
	KUNIT_EXPECT_EQ_MSG(test, wrong, 0, "of %u entries are not OWNED", n);
	KUNIT_EXPECT_EQ_MSG(test, twice, 0, "of %u entries map another one's page",
			    n);

	for (i = HEAD_PAGES; i < folio_nr_pages(folio); i++)
		odd += !is_plain_tail(folio_page(folio, i), folio);
	KUNIT_EXPECT_EQ_MSG(test, odd, 0, "tails that are not plain");
	expect_readers_find_head(test, folio);
}

/*
 * Optimized but for so many entries, which map their own page, with plain tails. None
 * is left half way.
 */
void expect_partly_optimized(struct kunit *test, struct folio *folio, unsigned int left)
{
	unsigned int n, i, wrong = 0, owned = 0, odd = 0;

	KUNIT_EXPECT_TRUE(test, folio_test_hugetlb_vmemmap_optimized(folio));
	for (n = 0; n < nr_tails(folio); n++) {
		const pte_t pte = tail_entry(folio, n);
		const bool own = vmemmap_shadow_pte_state(pte) == VMEMMAP_SHADOW_OWNED;

		owned += own;
		wrong += !own && vmemmap_shadow_pte_state(pte) != SHADOW_AT_REST;
		wrong += pte_write(pte) == pte_rdonly(pte) ||
			 own == (pte_pfn(pte) == shared_pfn(folio));
		for (i = 0; own && i < PAGES_PER_ENTRY; i++)
			odd += !is_plain_tail(folio_page(folio, (n + 1) * PAGES_PER_ENTRY + i),
					      folio);
	}
	KUNIT_EXPECT_EQ_MSG(test, wrong, 0, "of %u entries are neither %s nor OWNED", n,
			    state_name[SHADOW_AT_REST]);
	KUNIT_EXPECT_EQ_MSG(test, owned, left, "of %u entries have their own page", n);
	KUNIT_EXPECT_EQ_MSG(test, odd, 0, "tails that are not plain");
	expect_readers_find_head(test, folio);
}

static void optimize_and_restore_folio(struct kunit *test)
{
	const struct size_param *p = test->param_value;
	struct folio *folio = folio_at(test, p->where, p->size);
	const pte_t head = head_entry(folio);
	void *before;

	before = kmemdup(folio, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, before);
	expect_restored(test, folio);

	vmemmap_shadow_optimize_folio(folio);
	expect_optimized(test, folio);
	KUNIT_EXPECT_EQ(test, nr_waits, SHADOW_WAITS_FOR_READERS);
	KUNIT_EXPECT_EQ(test, nr_allocs, 0);
	KUNIT_EXPECT_EQ(test, pte_val(head_entry(folio)), pte_val(head));

	/* Once more: nothing to do, and nothing done. */
	vmemmap_shadow_optimize_folio(folio);
	KUNIT_EXPECT_EQ(test, nr_waits, SHADOW_WAITS_FOR_READERS);

	KUNIT_EXPECT_EQ(test, vmemmap_shadow_restore_folio(folio), 0);
	expect_restored(test, folio);
	KUNIT_EXPECT_EQ(test, nr_waits, SHADOW_WAITS_FOR_READERS);
	KUNIT_EXPECT_EQ(test, nr_allocs, nr_tails(folio));
	KUNIT_EXPECT_EQ(test, pte_val(head_entry(folio)), pte_val(head));
	wipe_head_page(before);
	KUNIT_EXPECT_EQ(test, memcmp(before, folio, PAGE_SIZE), 0);

	/* Once more, likewise. */
	KUNIT_EXPECT_EQ(test, vmemmap_shadow_restore_folio(folio), 0);
	KUNIT_EXPECT_EQ(test, nr_waits, SHADOW_WAITS_FOR_READERS);

	kfree(before);
	put_huge_folio(test, folio);
}

static void restore_without_memory_changes_nothing(struct kunit *test)
{
	const struct size_param *p = test->param_value;
	struct folio *folio = folio_at(test, p->where, p->size);
	const unsigned int tails = nr_tails(folio);
	const unsigned int fail_at[] = { 0, tails / 2, tails - 1 };
	unsigned int i;
	void *before;

	vmemmap_shadow_optimize_folio(folio);
	expect_optimized(test, folio);
	before = kmemdup(folio, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, before);

	for (i = 0; i < ARRAY_SIZE(fail_at); i++) {
		nr_allocs = 0;
		fail_alloc_at = fail_at[i];
		KUNIT_EXPECT_EQ(test, vmemmap_shadow_restore_folio(folio),
				-ENOMEM);
		KUNIT_EXPECT_EQ(test, nr_allocs, fail_at[i] + 1);
		expect_optimized(test, folio);
		KUNIT_EXPECT_EQ(test, memcmp(before, folio, PAGE_SIZE), 0);
	}

	fail_alloc_at = -1;
	KUNIT_EXPECT_EQ(test, vmemmap_shadow_restore_folio(folio), 0);
	expect_restored(test, folio);
	kfree(before);
	put_huge_folio(test, folio);
}

/*
 * A tail with something of its own, in the last page: that costs this page. Restore
 * leaves the page alone.
 */
static void optimize_with_odd_tail_leaves_its_entry(struct kunit *test)
{
	const struct size_param *p = test->param_value;
	struct folio *folio = folio_at(test, p->where, p->size);
	struct page *odd = folio_page(folio, folio_nr_pages(folio) - 2);
	const long left = vmemmap_shadow_counter("entries left unjoined");
	const long not_plain = vmemmap_shadow_counter("entries left unjoined, tail not plain");

	set_bit(PG_owner_priv_1, tail_flags(odd));
	vmemmap_shadow_optimize_folio(folio);

	/* What it had, it has still; without it, it is a tail as any other. */
	KUNIT_EXPECT_TRUE_MSG(test, test_bit(PG_owner_priv_1, tail_flags(odd)),
			      "what the tail had is lost");
	clear_bit(PG_owner_priv_1, tail_flags(odd));
	KUNIT_EXPECT_EQ_MSG(test, left + 1,
			    vmemmap_shadow_counter("entries left unjoined"), "left");
	KUNIT_EXPECT_EQ(test, not_plain + 1,
			vmemmap_shadow_counter("entries left unjoined, tail not plain"));
	expect_partly_optimized(test, folio, 1);
	KUNIT_EXPECT_EQ(test, nr_allocs, 0);

	set_bit(PG_owner_priv_1, tail_flags(odd));
	KUNIT_EXPECT_EQ(test, vmemmap_shadow_restore_folio(folio), 0);
	KUNIT_EXPECT_TRUE_MSG(test, test_bit(PG_owner_priv_1, tail_flags(odd)),
			      "what the tail had is lost");
	clear_bit(PG_owner_priv_1, tail_flags(odd));
	expect_restored(test, folio);

	/* And it can be optimized after that. */
	vmemmap_shadow_optimize_folio(folio);
	expect_optimized(test, folio);
	KUNIT_EXPECT_EQ(test, vmemmap_shadow_restore_folio(folio), 0);
	put_huge_folio(test, folio);
}

static void odd_flag(struct page *page)
{
	set_bit(PG_owner_priv_1, tail_flags(page));
}

static void odd_count(struct page *page)
{
	set_page_count(page, 1);
}

static void odd_mapcount(struct page *page)
{
	atomic_set(&page->_mapcount, 0);
}

static void odd_head(struct page *page)
{
	tail_head_word(page) += sizeof(*page);
}

static void odd_zone(struct page *page)
{
	*tail_flags(page) ^= 1UL << ZONES_PGSHIFT;
}

/* Whatever a tail has of its own, and wherever in the folio it is. */
static void optimize_with_any_odd_tail_leaves_its_entry(struct kunit *test)
{
	static void (* const make_odd[])(struct page *page) = {
		odd_flag, odd_count, odd_mapcount, odd_head, odd_zone,
	};
	struct folio *folio = synthetic_folio(test, PMD_SIZE, false);
	const unsigned long last = folio_nr_pages(folio) - 1;
	const unsigned long at[] = { PAGES_PER_ENTRY, PAGES_PER_ENTRY + 1, last };
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(make_odd); i++) {
		for (n = 0; n < ARRAY_SIZE(at); n++) {
			struct page *page = &folio->page + at[n];
			struct page plain = *page;
			struct page odd;

			make_odd[i](page);
			odd = *page;
			vmemmap_shadow_optimize_folio(folio);
			KUNIT_EXPECT_MEMEQ_MSG(test, page, &odd, sizeof(odd),
					       "kind %u, page %lu", i, at[n]);
			*page = plain;
			expect_partly_optimized(test, folio, 1);
			KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
			expect_restored(test, folio);
		}
	}
	put_huge_folio(test, folio);
}

static void optimize_after_broken_invariant_is_refused(struct kunit *test)
{
	const long refused =
		vmemmap_shadow_counter("folios refused, after a broken invariant");
	struct folio *folio = synthetic_folio(test, PMD_SIZE, false);

	KUNIT_ASSERT_FALSE(test, vmemmap_shadow_broken);
	vmemmap_shadow_broken = true;
	vmemmap_shadow_optimize_folio(folio);
	vmemmap_shadow_broken = false;
	expect_restored(test, folio);
	KUNIT_EXPECT_EQ(test, nr_waits, 0);
	KUNIT_EXPECT_EQ(test, refused + 1,
			vmemmap_shadow_counter("folios refused, after a broken invariant"));
	put_huge_folio(test, folio);
}

/* Folios of PMD_SIZE that make more than two windows. */
#define NR_FOLIOS	(2 * WINDOW / (PMD_SIZE / PAGE_SIZE / PAGES_PER_ENTRY) + 1)

static void make_folios_at(struct kunit *test, enum where where,
			   struct list_head *list, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		list_add(&folio_at(test, where, PMD_SIZE)->lru, list);
}

void make_folios(struct kunit *test, struct list_head *list, unsigned int nr)
{
	make_folios_at(test, LIVE, list, nr);
}

unsigned int put_folios(struct kunit *test, struct list_head *list)
{
	struct folio *folio, *next;
	unsigned int nr = 0;

	list_for_each_entry_safe(folio, next, list, lru) {
		list_del(&folio->lru);
		expect_restored(test, folio);
		put_huge_folio(test, folio);
		nr++;
	}

	return nr;
}

static void optimize_and_restore_list_waits_once_at_most(struct kunit *test)
{
	const enum where where = *(const enum where *)test->param_value;
	/* Larger PMDs do not fit a test guest's memory that often. */
	const unsigned long size = PMD_SIZE;
	const unsigned int nr = where == LIVE && size > SZ_32M ? 2 : NR_FOLIOS;
	LIST_HEAD(folios);
	LIST_HEAD(restored);
	struct folio *folio;
	unsigned int tails = 0;

	make_folios_at(test, where, &folios, nr);
	list_for_each_entry(folio, &folios, lru)
		tails += nr_tails(folio);

	vmemmap_shadow_optimize_folios(&folios);
	KUNIT_EXPECT_EQ(test, nr_waits, SHADOW_WAITS_FOR_READERS);
	list_for_each_entry(folio, &folios, lru)
		expect_optimized(test, folio);

	KUNIT_EXPECT_EQ(test, nr,
			vmemmap_shadow_restore_folios(&folios, &restored));
	KUNIT_EXPECT_EQ(test, nr_waits, SHADOW_WAITS_FOR_READERS);
	KUNIT_EXPECT_EQ(test, nr_allocs, tails);
	KUNIT_EXPECT_TRUE(test, list_empty(&folios));
	KUNIT_EXPECT_EQ(test, put_folios(test, &restored), nr);
}

static void operations_on_empty_list_wait_for_nobody(struct kunit *test)
{
	LIST_HEAD(folios);
	LIST_HEAD(restored);

	vmemmap_shadow_optimize_folios(&folios);
	KUNIT_EXPECT_EQ(test, 0,
			vmemmap_shadow_restore_folios(&folios, &restored));
	KUNIT_EXPECT_EQ(test, nr_waits, 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&folios));
	KUNIT_EXPECT_TRUE(test, list_empty(&restored));
}

/* The order of a caller's list is the caller's. */
static void expect_order(struct kunit *test, const struct list_head *list,
			 struct folio *const *all, unsigned int nr)
{
	struct folio *folio;
	unsigned int i = 0, wrong = 0;

	list_for_each_entry(folio, list, lru) {
		wrong += i >= nr || folio != all[i];
		i++;
	}
	KUNIT_EXPECT_EQ_MSG(test, wrong, 0, "of a list in another order");
	KUNIT_EXPECT_EQ(test, i, nr);
}

/* A pool hands out its pages in the order in which it got them. */
static void operations_on_list_keep_its_order(struct kunit *test)
{
	const enum where where = *(const enum where *)test->param_value;
	struct folio *all[7];
	LIST_HEAD(folios);
	LIST_HEAD(restored);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(all); i++)
		all[i] = folio_at(test, where, PMD_SIZE);
	/* Neither up nor down. */
	swap(all[1], all[5]);
	swap(all[2], all[3]);
	for (i = 0; i < ARRAY_SIZE(all); i++)
		list_add_tail(&all[i]->lru, &folios);

	vmemmap_shadow_optimize_folios(&folios);
	expect_order(test, &folios, all, ARRAY_SIZE(all));
	KUNIT_EXPECT_EQ(test, ARRAY_SIZE(all),
			vmemmap_shadow_restore_folios(&folios, &restored));
	expect_order(test, &restored, all, ARRAY_SIZE(all));
	KUNIT_EXPECT_EQ(test, put_folios(test, &restored), ARRAY_SIZE(all));
}

/* What is optimized already, cannot be, and can be, on one list. */
static void operations_on_mixed_list_do_what_is_left(struct kunit *test)
{
	const enum where where = *(const enum where *)test->param_value;
	struct folio *optimized = folio_at(test, where, PMD_SIZE);
	struct folio *hosted = folio_at(test, where, PMD_SIZE);
	struct folio *odd = folio_at(test, where, PMD_SIZE);
	struct folio *plain = folio_at(test, where, PMD_SIZE);
	struct page *host = pte_page(head_entry(hosted));
	struct page *page = folio_page(odd, PAGES_PER_ENTRY);
	/* By no means in the order of their addresses, nor in its reverse. */
	struct folio *all[] = { plain, optimized, odd, hosted };
	LIST_HEAD(folios);
	LIST_HEAD(restored);
	unsigned int i;

	vmemmap_shadow_optimize_folio(optimized);
	set_bit(PG_owner_priv_1, tail_flags(page));
	for (i = 0; i < ARRAY_SIZE(all); i++)
		list_add_tail(&all[i]->lru, &folios);

	/* One grace period for the call, at most. */
	nr_waits = 0;
	SetPageVmemmapSelfHosted(host);
	vmemmap_shadow_optimize_folios(&folios);
	ClearPageVmemmapSelfHosted(host);
	KUNIT_EXPECT_EQ(test, nr_waits, SHADOW_WAITS_FOR_READERS);
	expect_order(test, &folios, all, ARRAY_SIZE(all));
	expect_optimized(test, optimized);
	expect_optimized(test, plain);
	KUNIT_EXPECT_TRUE(test, test_bit(PG_owner_priv_1, tail_flags(page)));
	clear_bit(PG_owner_priv_1, tail_flags(page));
	expect_partly_optimized(test, odd, 1);
	if (IS_ENABLED(CONFIG_MEMORY_HOTPLUG))
		expect_restored(test, hosted);

	nr_waits = 0;
	KUNIT_EXPECT_EQ(test, 4 - IS_ENABLED(CONFIG_MEMORY_HOTPLUG),
			vmemmap_shadow_restore_folios(&folios, &restored));
	KUNIT_EXPECT_TRUE(test, list_empty(&folios));
	expect_order(test, &restored, all, ARRAY_SIZE(all));

	/* Nothing to restore. */
	KUNIT_EXPECT_EQ(test, 0,
			vmemmap_shadow_restore_folios(&restored, &folios));
	expect_order(test, &folios, all, ARRAY_SIZE(all));
	/* Restore waits for fault handlers only, and there is none. */
	KUNIT_EXPECT_EQ(test, nr_waits, 0);
	KUNIT_EXPECT_EQ(test, put_folios(test, &folios), 4);
}

static unsigned int nr_holds, nr_open;

/* Stands in for vmemmap_shadow_hold(): every entry is read-only there. */
static void count_open(struct folio *folio, unsigned int lo, unsigned int hi)
{
	unsigned int n;

	nr_holds++;
	for (n = 0; n < nr_tails(folio); n++)
		nr_open += pte_write(tail_entry(folio, n));
}

/* Through the first of them anybody could store to what others still come to map. */
static void entries_of_several_windows_are_opened_last(struct kunit *test)
{
	struct folio *folio =
		synthetic_folio(test, max_t(unsigned long, SZ_1G, CONT_PMD_SIZE), false);
	const unsigned int windows = DIV_ROUND_UP(nr_tails(folio) + 1, WINDOW);

	KUNIT_ASSERT_GT(test, windows, 1);
	nr_holds = 0;
	nr_open = 0;
	kunit_activate_static_stub(test, vmemmap_shadow_hold, count_open);
	vmemmap_shadow_optimize_folio(folio);
	expect_optimized(test, folio);
	KUNIT_EXPECT_EQ_MSG(test, nr_open, 0, "opened before the last one is joined");
	KUNIT_EXPECT_EQ(test, nr_holds, 1 + windows);

	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	KUNIT_EXPECT_EQ_MSG(test, nr_open, 0, "opened before the last one is parted");
	KUNIT_EXPECT_EQ(test, nr_holds, 2 * (1 + windows));
	put_huge_folio(test, folio);
}

static void restore_list_without_memory_keeps_progress(struct kunit *test)
{
	const unsigned int nr = 3;
	LIST_HEAD(folios);
	LIST_HEAD(restored);
	struct folio *first;

	make_folios(test, &folios, nr);
	vmemmap_shadow_optimize_folios(&folios);
	first = list_first_entry(&folios, struct folio, lru);

	/* Enough for the first folio, and for half of the second. */
	fail_alloc_at = nr_tails(first) + nr_tails(first) / 2;
	KUNIT_EXPECT_EQ(test, nr,
			vmemmap_shadow_restore_folios(&folios, &restored));
	KUNIT_EXPECT_TRUE(test, list_empty(&folios));

	/* Nothing for the first one: the call ends, nothing has changed. */
	vmemmap_shadow_optimize_folios(&restored);
	nr_allocs = 0;
	fail_alloc_at = 0;
	KUNIT_EXPECT_EQ(test, -ENOMEM,
			vmemmap_shadow_restore_folios(&restored, &folios));
	KUNIT_EXPECT_TRUE(test, list_empty(&folios));
	KUNIT_EXPECT_EQ(test, list_count_nodes(&restored), nr);
	list_for_each_entry(first, &restored, lru)
		expect_optimized(test, first);

	fail_alloc_at = -1;
	KUNIT_EXPECT_EQ(test, nr,
			vmemmap_shadow_restore_folios(&restored, &folios));
	KUNIT_EXPECT_EQ(test, put_folios(test, &folios), nr);
}

/* As memory_hotplug.memmap_on_memory marks the vmemmap of what it adds. */
static void optimize_of_self_hosted_vmemmap_is_refused(struct kunit *test)
{
	const long refused =
		vmemmap_shadow_counter("folios refused, vmemmap self-hosted");
	struct folio *folio = huge_folio(test, PMD_SIZE);
	struct page *page = pte_page(head_entry(folio));

	SetPageVmemmapSelfHosted(page);
	vmemmap_shadow_optimize_folio(folio);
	ClearPageVmemmapSelfHosted(page);

	KUNIT_EXPECT_FALSE_MSG(test, folio_test_hugetlb_vmemmap_optimized(folio),
			       "self-hosted, and optimized");
	expect_restored(test, folio);
	KUNIT_EXPECT_EQ(test, nr_waits, 0);
	KUNIT_EXPECT_EQ(test, refused + IS_ENABLED(CONFIG_MEMORY_HOTPLUG),
			vmemmap_shadow_counter("folios refused, vmemmap self-hosted"));
	put_huge_folio(test, folio);
}

/* ------------------------------------------------------------------------ */
/* Stray writers							    */

/*
 * A writer without a reference, which no freeze and no grace period keeps out.
 * It stores to a tail while a window is open: through the vmemmap, as anybody
 * would, and for real, so that what brings the store home is the fault handler
 * of this machine.
 */
enum store_kind { STORE_PLAIN, STORE_SET_BIT, STORE_CMPXCHG, STORE_CMPXCHG_MISS,
		  NR_STORE_KINDS };

/* Where windows are held open: after each of these, with its TLBI, completed. */
enum hold { HOLD_SEALED, HOLD_JOINED, HOLD_REJOINED, HOLD_PARTED, NR_HOLDS,
	    HOLD_NEVER = INT_MAX };

/* Each with all that its pages hold: with the largest pages there are fewer. */
#define STRAY_WINDOWS	(IS_ENABLED(CONFIG_ARM64_64K_PAGES) ? 2500 : 10000)

static struct stray {
	struct kunit *test;
	void (*run)(struct stray *s);	/* call stray_store() in some context */
	enum store_kind kind;
	enum hold at[2];		/* a store at each */
	unsigned int holds;		/* seen since optimize began */
	unsigned long value;
	struct page *page;		/* the target of the store */
	struct page *stored[2];		/* the targets of both, once stored to */
	struct completion done;
	struct hrtimer timer;
	struct perf_event *event;
	bool armed;
	bool irqs_off;
	unsigned int hardirqs;
	unsigned int nmis;
} stray;

/* The store. A tail's index means nothing, and nor does this flag. */
static void stray_store(struct stray *s)
{
	switch (s->kind) {
	case STORE_PLAIN:
		WRITE_ONCE(tail_index(s->page), s->value);
		break;
	case STORE_SET_BIT:
		set_bit(PG_owner_priv_1, tail_flags(s->page));
		break;
	case STORE_CMPXCHG:
		cmpxchg(&tail_index(s->page), READ_ONCE(tail_index(s->page)), s->value);
		break;
	default:
		/* Changes nothing, and needs write permission all the same. */
		cmpxchg(&tail_index(s->page), ~READ_ONCE(tail_index(s->page)), s->value);
	}
}

static bool stray_store_is_there(const struct stray *s, const struct page *page)
{
	switch (s->kind) {
	case STORE_SET_BIT:
		return test_bit(PG_owner_priv_1, tail_flags(page));
	case STORE_CMPXCHG_MISS:
		return tail_index(page) != s->value;
	default:
		return tail_index(page) == s->value;
	}
}

static void stray_in_thread(struct stray *s)
{
	stray_store(s);
}

static void stray_ipi(void *info)
{
	struct stray *s = info;

	s->irqs_off = irqs_disabled();
	s->hardirqs += !!in_hardirq();
	/* What is replaced takes a lock of KUnit's, which is not for interrupts. */
	REAL_VOID(stray_store(s));
}

/*
 * On the other CPU, with interrupts off: in its interrupt handler, or, where its
 * idle loop finds the call first, there.
 */
static void stray_on_other_cpu(struct stray *s)
{
	unsigned int other;

	migrate_disable();
	other = cpumask_any_but(cpu_online_mask, raw_smp_processor_id());
	smp_call_function_single(other, stray_ipi, s, true);
	migrate_enable();
	KUNIT_EXPECT_TRUE(s->test, s->irqs_off);
}

static enum hrtimer_restart stray_timer(struct hrtimer *timer)
{
	struct stray *s = container_of(timer, struct stray, timer);

	s->irqs_off = irqs_disabled();
	s->hardirqs += !!in_hardirq();
	REAL_VOID(stray_store(s));
	complete(&s->done);

	return HRTIMER_NORESTART;
}

static void stray_in_hardirq(struct stray *s)
{
	reinit_completion(&s->done);
	hrtimer_start(&s->timer, 0, HRTIMER_MODE_REL_HARD);
	wait_for_completion(&s->done);
	KUNIT_EXPECT_TRUE(s->test, s->irqs_off);
}

/* Cycles until the counter overflows: time enough to get out of the way. */
#define STRAY_CYCLES	20000

/* In the interrupt of a counter of this CPU's, which is an NMI, or can be one. */
static void stray_in_nmi(struct stray *s)
{
	const u64 end = ktime_get_ns() + NSEC_PER_SEC;

	WRITE_ONCE(s->armed, true);
	perf_event_enable(s->event);
	while (READ_ONCE(s->armed) && ktime_get_ns() < end)
		cpu_relax();
	perf_event_disable(s->event);
	KUNIT_EXPECT_FALSE_MSG(s->test, s->armed, "the counter does not overflow");
}

#ifdef CONFIG_PERF_EVENTS
static void stray_overflow(struct perf_event *event, struct perf_sample_data *data,
			   struct pt_regs *regs)
{
	struct stray *s = &stray;

	if (!READ_ONCE(s->armed))
		return;
	s->irqs_off = irqs_disabled();
	s->nmis += !!in_nmi();
	REAL_VOID(stray_store(s));
	WRITE_ONCE(s->armed, false);
}

static void stray_event_put(void *event)
{
	perf_event_release_kernel(event);
}

static void stray_event_get(struct kunit *test, struct stray *s)
{
	struct perf_event_attr attr = {
		.type		= PERF_TYPE_HARDWARE,
		.config		= PERF_COUNT_HW_CPU_CYCLES,
		.size		= sizeof(attr),
		.sample_period	= STRAY_CYCLES,
		.pinned		= 1,
		.disabled	= 1,
	};

	if (!system_uses_irq_prio_masking())
		kunit_skip(test, "no NMIs without irqchip.gicv3_pseudo_nmi=1");
	s->event = perf_event_create_kernel_counter(&attr, 0, NULL, stray_overflow,
						    NULL);
	if (IS_ERR(s->event))
		kunit_skip(test, "no cycle counter");
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, stray_event_put,
							   s->event));
}
#else
static void stray_event_get(struct kunit *test, struct stray *s)
{
	kunit_skip(test, "needs CONFIG_PERF_EVENTS");
}
#endif

/*
 * Stands in for vmemmap_shadow_hold(). The two stores go to neighbouring entries,
 * and to neighbouring struct pages in them.
 */
static void stray_hold(struct folio *folio, unsigned int lo, unsigned int hi)
{
	struct stray *s = &stray;
	unsigned int hold = s->holds++;
	enum vmemmap_shadow_state state, is;
	unsigned long store;
	unsigned int n, i;

	state = VMEMMAP_SHADOW_SEALED;
	if (hold == HOLD_JOINED || hold == HOLD_REJOINED)
		state = VMEMMAP_SHADOW_JOINED;

	for (i = 0; i < ARRAY_SIZE(s->at); i++) {
		if (hold != s->at[i])
			continue;
		store = s->value + i;
		n = lo + store % (hi - lo);
		is = vmemmap_shadow_pte_state(tail_entry(folio, n));
		KUNIT_EXPECT_EQ(s->test, is, state);
		s->page = folio_page(folio, (n + 1) * PAGES_PER_ENTRY + HEAD_PAGES +
				     store % (PAGES_PER_ENTRY - HEAD_PAGES));
		s->run(s);
		s->stored[i] = s->page;
		is = vmemmap_shadow_pte_state(tail_entry(folio, n));
		KUNIT_EXPECT_EQ(s->test, is, opened_from(state));
	}
}

void wait_for_nobody(void)
{
}

void wait_until(const bool *what)
{
	const u64 end = ktime_get_ns() + 5 * NSEC_PER_SEC;

	while (!READ_ONCE(*what) && ktime_get_ns() < end)
		cpu_relax();
}

/* Undo what the store did: in struct page @i, and in each @step behind it. */
static void stray_wipe_each(struct folio *folio, unsigned long i, unsigned long step)
{
	for (; i < folio_nr_pages(folio); i += step) {
		tail_index(folio_page(folio, i)) = 0;
		*tail_flags(folio_page(folio, i)) &= ~BIT(PG_owner_priv_1);
	}
}

/* Wherever it went. */
void stray_wipe(struct folio *folio)
{
	stray_wipe_each(folio, HEAD_PAGES, 1);
}

/* Where a store to this struct page may have got to: there, in any entry. */
static void stray_wipe_like(struct folio *folio, const struct page *page)
{
	stray_wipe_each(folio, (page - &folio->page) % PAGES_PER_ENTRY,
			PAGES_PER_ENTRY);
}

struct stray_context {
	const char *name;
	void (*run)(struct stray *s);
};

static const struct stray_context contexts[] = {
	{ "thread", stray_in_thread },
	{ "timer in hardirq", stray_in_hardirq },
	{ "IPI to another CPU", stray_on_other_cpu },
	{ "perf event in NMI", stray_in_nmi },
};

/* In the window of optimize, in that of restore, or in both. */
static const enum hold stray_at[][2] = {
	{ HOLD_SEALED, HOLD_REJOINED },
	{ HOLD_SEALED, HOLD_PARTED },
	{ HOLD_JOINED, HOLD_REJOINED },
	{ HOLD_JOINED, HOLD_PARTED },
	{ HOLD_NEVER, HOLD_REJOINED },
	{ HOLD_NEVER, HOLD_PARTED },
};

static void context_desc(const struct stray_context *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(context, contexts, context_desc);

static void stray_store_is_kept_and_its_entry_left(struct kunit *test)
{
	const struct stray_context *c = test->param_value;
	const long recoveries = vmemmap_shadow_counter("write recoveries");
	const long left_before = vmemmap_shadow_counter("entries left unjoined");
	/*
	 * A load-exclusive loop leaves when the comparison fails and never
	 * gets to its store; the one instruction of LSE faults all the same.
	 */
	const bool lse = alternative_has_cap_likely(ARM64_HAS_LSE_ATOMICS);
	const unsigned int kinds = lse ? NR_STORE_KINDS : STORE_CMPXCHG_MISS;
	unsigned int i, n, windows = 0, failed = 0;
	struct stray *s = &stray;
	struct folio *folio;
	long left = 0;

	if (c->run == stray_on_other_cpu && num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");

	memset(s, 0, sizeof(*s));
	s->test = test;
	s->run = c->run;
	init_completion(&s->done);
	set_up_timer(&s->timer, stray_timer, HRTIMER_MODE_REL_HARD);
	if (c->run == stray_in_nmi)
		stray_event_get(test, s);
	kunit_deactivate_static_stub(test, vmemmap_shadow_wait_readers);
	kunit_activate_static_stub(test, vmemmap_shadow_wait_readers,
				   wait_for_nobody);
	kunit_activate_static_stub(test, vmemmap_shadow_hold, stray_hold);
	folio = huge_folio(test, PMD_SIZE);

	for (i = 0; windows < STRAY_WINDOWS; i++) {
		memcpy(s->at, stray_at[i % ARRAY_SIZE(stray_at)], sizeof(s->at));
		s->kind = i / ARRAY_SIZE(stray_at) % kinds;
		s->value = i + 1;
		memset(s->stored, 0, sizeof(s->stored));
		s->holds = 0;

		vmemmap_shadow_optimize_folio(folio);
		/* A JOINED entry that is stored through is opened, and no page is lost. */
		left += s->at[0] == HOLD_SEALED;
		failed += !folio_test_hugetlb_vmemmap_optimized(folio);
		failed += !!vmemmap_shadow_restore_folio(folio);
		for (n = 0; n < ARRAY_SIZE(s->at); n++) {
			if (s->at[n] == HOLD_NEVER)
				continue;
			windows++;
			failed += !s->stored[n] ||
				  !stray_store_is_there(s, s->stored[n]);
		}
		failed += folio_test_hugetlb_vmemmap_optimized(folio);

		for (n = 0; n < ARRAY_SIZE(s->at); n++) {
			if (s->stored[n])
				stray_wipe_like(folio, s->stored[n]);
		}
		if (failed)
			break;
	}

	KUNIT_EXPECT_EQ_MSG(test, failed, 0, "window %u, holds %u and %u, kind %u",
			    windows, s->at[0], s->at[1], s->kind);
	KUNIT_EXPECT_GE(test, windows, STRAY_WINDOWS);
	if (c->run == stray_in_nmi)
		KUNIT_EXPECT_EQ(test, s->nmis, windows);
	else if (c->run != stray_in_thread)
		KUNIT_EXPECT_GT(test, s->hardirqs, windows / 2);
	KUNIT_EXPECT_EQ(test, windows,
			vmemmap_shadow_counter("write recoveries") - recoveries);
	KUNIT_EXPECT_EQ(test, left, vmemmap_shadow_counter("entries left unjoined") -
				    left_before);
	kunit_info(test, "%u windows, %ld recoveries, %ld entries left, %u in hardirq, %u in NMI, %s",
		   windows, vmemmap_shadow_counter("write recoveries") - recoveries,
		   left, s->hardirqs, s->nmis, lse ? "LSE" : "LL/SC");
	expect_restored(test, folio);
	put_huge_folio(test, folio);
}

/* The flags word of one and the same tail. */
unsigned long *under_fire;

void aim_at(struct folio *folio)
{
	under_fire = tail_flags(folio_page(folio, PAGES_PER_ENTRY + HEAD_PAGES));
}

/* A stray store to it whenever a window is held open. */
void fire(struct folio *folio, unsigned int lo, unsigned int hi)
{
	set_bit(PG_owner_priv_1, under_fire);
}

static void optimize_of_list_under_fire_carries_on_with_the_rest(struct kunit *test)
{
	const long left = vmemmap_shadow_counter("entries left unjoined");
	const unsigned int nr = 4;
	LIST_HEAD(folios);
	LIST_HEAD(restored);
	struct folio *folio, *hit;

	make_folios(test, &folios, nr);
	hit = list_last_entry(&folios, struct folio, lru);
	aim_at(hit);
	kunit_activate_static_stub(test, vmemmap_shadow_hold, fire);
	vmemmap_shadow_optimize_folios(&folios);
	kunit_deactivate_static_stub(test, vmemmap_shadow_hold);

	KUNIT_EXPECT_EQ(test, left + 1, vmemmap_shadow_counter("entries left unjoined"));
	list_for_each_entry(folio, &folios, lru) {
		if (folio != hit)
			expect_optimized(test, folio);
	}
	KUNIT_EXPECT_TRUE(test, test_and_clear_bit(PG_owner_priv_1, under_fire));
	expect_partly_optimized(test, hit, 1);

	KUNIT_EXPECT_EQ(test, nr,
			vmemmap_shadow_restore_folios(&folios, &restored));
	KUNIT_EXPECT_EQ(test, put_folios(test, &restored), nr);
}

/* ------------------------------------------------------------------------ */
/* Faults								    */

#define ESR(ec, iss) \
	(((unsigned long)ESR_ELx_EC_##ec << ESR_ELx_EC_SHIFT) | (iss))

static void stale_open(unsigned long addr)
{
	pte_t *ptep = vmemmap_shadow_ptep(addr);
	const enum vmemmap_shadow_state is =
		vmemmap_shadow_pte_state(__ptep_get(ptep));

	vmemmap_shadow_step(ptep, is, is == VMEMMAP_SHADOW_SEALED ?
			    VMEMMAP_SHADOW_OWNED : VMEMMAP_SHADOW_SHARED, 0);
}

#define STALE_FAULTS	500

/* A store that faults, and by the time that is looked at the entry is open. */
static void stale_fault_is_retried_and_counted(struct kunit *test)
{
	const long recoveries = vmemmap_shadow_counter("write recoveries");
	const long stale = vmemmap_shadow_counter("stale faults");
	struct folio *folio = huge_folio(test, PMD_SIZE);
	struct page *page = folio_page(folio, PAGES_PER_ENTRY + HEAD_PAGES);
	pte_t *ptep = vmemmap_shadow_ptep((unsigned long)page & PAGE_MASK);
	unsigned int i, lost = 0;

	kunit_activate_static_stub(test, vmemmap_shadow_fault_hold, stale_open);
	for (i = 1; i <= STALE_FAULTS; i++) {
		KUNIT_ASSERT_EQ(test, 0,
				vmemmap_shadow_step(ptep, VMEMMAP_SHADOW_OWNED,
						    VMEMMAP_SHADOW_SEALED, 0));
		flush_tlb_kernel_range((unsigned long)page & PAGE_MASK,
				       ((unsigned long)page & PAGE_MASK) +
				       PAGE_SIZE);
		WRITE_ONCE(tail_index(page), i);
		lost += READ_ONCE(tail_index(page)) != i ||
			vmemmap_shadow_pte_state(*ptep) != VMEMMAP_SHADOW_OWNED;
	}
	kunit_deactivate_static_stub(test, vmemmap_shadow_fault_hold);

	KUNIT_EXPECT_EQ(test, lost, 0);
	KUNIT_EXPECT_EQ(test, STALE_FAULTS,
			vmemmap_shadow_counter("stale faults") - stale);
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_counter("write recoveries") -
				 recoveries);
	tail_index(page) = 0;
	put_huge_folio(test, folio);
}

/* A store that always meets a writable entry faults for another reason. */
static void stale_fault_without_end_is_not_forgiven(struct kunit *test)
{
	const unsigned long store = ESR(DABT_CUR, ESR_ELx_WNR | ESR_ELx_FSC_PERM | 3);
	struct folio *folio = huge_folio(test, PMD_SIZE);
	const unsigned long addr = (unsigned long)folio + PAGE_SIZE;
	unsigned int n = 0;

	while (n < 100 * STALE_FAULTS && vmemmap_shadow_fault(addr, store))
		n++;
	KUNIT_EXPECT_GE(test, n, STALE_FAULTS);
	KUNIT_EXPECT_LT_MSG(test, n, 100 * STALE_FAULTS, "retried for ever");
	put_huge_folio(test, folio);
}

/* A table that is read-only: the CPU would not let the store through. */
static void fault_below_read_only_table_is_not_forgiven(struct kunit *test)
{
	const unsigned long store = ESR(DABT_CUR, ESR_ELx_WNR | ESR_ELx_FSC_PERM | 3);
	struct page *page = alloc_page(GFP_KERNEL);
	struct vm_struct *area;
	bool forgiven, before;
	unsigned long addr;
	pmd_t *pmdp, pmd;

	if (cpus_have_final_cap(ARM64_HAS_S1PIE))
		kunit_skip(test, "no permissions in tables with FEAT_S1PIE");
	KUNIT_ASSERT_NOT_NULL(test, page);
	/* So large that one table of it is for nobody else. */
	area = get_vm_area(3 * PMD_SIZE, VM_MAP);
	KUNIT_ASSERT_NOT_NULL(test, area);
	addr = ALIGN((unsigned long)area->addr + 1, PMD_SIZE);
	KUNIT_ASSERT_EQ(test, 0, vmap_page_range(addr, addr + PAGE_SIZE,
						 page_to_phys(page), PAGE_KERNEL));

	pmdp = pmd_off_k(addr);
	pmd = READ_ONCE(*pmdp);
	before = __vmemmap_shadow_fault(addr, store);
	/* APTable[1] */
	WRITE_ONCE(*pmdp, __pmd(pmd_val(pmd) | BIT(62)));
	flush_tlb_all();
	forgiven = __vmemmap_shadow_fault(addr, store);
	WRITE_ONCE(*pmdp, pmd);
	flush_tlb_all();
	KUNIT_EXPECT_TRUE(test, before);
	KUNIT_EXPECT_FALSE(test, forgiven);
	free_vm_area(area);
	__free_page(page);
}

static bool lose_once;

static bool cmpxchg_lost_once(pte_t *ptep, pte_t old, pte_t new)
{
	if (lose_once) {
		lose_once = false;
		return false;
	}

	return cmpxchg(&pte_val(*ptep), pte_val(old), pte_val(new)) ==
	       pte_val(old);
}

/* Somebody else has stepped the entry, and it is read-only again. */
static void recovery_that_loses_its_step_looks_again(struct kunit *test)
{
	const long recoveries = vmemmap_shadow_counter("write recoveries");
	struct folio *folio = huge_folio(test, PMD_SIZE);
	struct page *page = folio_page(folio, PAGES_PER_ENTRY + HEAD_PAGES);
	const unsigned long addr = (unsigned long)page & PAGE_MASK;
	pte_t *ptep = vmemmap_shadow_ptep(addr);

	KUNIT_ASSERT_EQ(test, 0,
			vmemmap_shadow_step(ptep, VMEMMAP_SHADOW_OWNED,
					    VMEMMAP_SHADOW_SEALED, 0));
	flush_tlb_kernel_range(addr, addr + PAGE_SIZE);
	lose_once = true;
	kunit_activate_static_stub(test, vmemmap_shadow_cmpxchg,
				   cmpxchg_lost_once);
	WRITE_ONCE(tail_index(page), 1);
	kunit_deactivate_static_stub(test, vmemmap_shadow_cmpxchg);

	KUNIT_EXPECT_FALSE(test, lose_once);
	KUNIT_EXPECT_EQ(test, tail_index(page), 1);
	KUNIT_EXPECT_EQ(test, vmemmap_shadow_pte_state(*ptep),
			VMEMMAP_SHADOW_OWNED);
	KUNIT_EXPECT_EQ(test, recoveries + 1,
			vmemmap_shadow_counter("write recoveries"));
	tail_index(page) = 0;
	put_huge_folio(test, folio);
}

/* Step all tail entries, and see to it that nobody has the old ones. */
void step_all(struct kunit *test, struct folio *folio,
	      enum vmemmap_shadow_state from, enum vmemmap_shadow_state to)
{
	unsigned long addr = (unsigned long)folio;
	unsigned int n;

	for (n = 0; n < nr_tails(folio); n++) {
		addr += PAGE_SIZE;
		KUNIT_ASSERT_EQ(test, 0,
				vmemmap_shadow_step(vmemmap_shadow_ptep(addr), from,
						    to, 0));
	}
	flush_tlb_kernel_range((unsigned long)folio + PAGE_SIZE, addr + PAGE_SIZE);
}

static void fault_that_is_no_store_to_a_window_is_not_forgiven(struct kunit *test)
{
	const unsigned long store = ESR(DABT_CUR, ESR_ELx_WNR |
					ESR_ELx_FSC_PERM | 3);
	const struct {
		const char *what;
		unsigned long esr;
	} other[] = {
		{ "a load", ESR(DABT_CUR, ESR_ELx_FSC_PERM | 3) },
		{ "a translation fault",
		  ESR(DABT_CUR, ESR_ELx_WNR | ESR_ELx_FSC_FAULT | 3) },
		{ "an access flag fault",
		  ESR(DABT_CUR, ESR_ELx_WNR | ESR_ELx_FSC_ACCESS | 3) },
		{ "cache maintenance",
		  ESR(DABT_CUR, ESR_ELx_WNR | ESR_ELx_CM | ESR_ELx_FSC_PERM | 3) },
		{ "an instruction fetch", ESR(IABT_CUR, ESR_ELx_FSC_PERM | 3) },
		{ "a store by EL0",
		  ESR(DABT_LOW, ESR_ELx_WNR | ESR_ELx_FSC_PERM | 3) },
	};
	struct folio *folio = huge_folio(test, PMD_SIZE);
	const unsigned long addr = (unsigned long)folio + PAGE_SIZE;
	pte_t *ptep = vmemmap_shadow_ptep(addr);
	const pte_t owned = *ptep;
	void *vaddr = vmalloc(PAGE_SIZE);
	unsigned long outside[5];
	unsigned int i;
	pte_t pte;

	KUNIT_ASSERT_NOT_NULL(test, vaddr);
	KUNIT_ASSERT_EQ(test, 0,
			vmemmap_shadow_step(ptep, VMEMMAP_SHADOW_OWNED,
					    VMEMMAP_SHADOW_SEALED, 0));
	pte = *ptep;

	/* On a sealed entry, but no store of the kernel's. */
	for (i = 0; i < ARRAY_SIZE(other); i++)
		KUNIT_EXPECT_FALSE_MSG(test, vmemmap_shadow_fault(addr,
								  other[i].esr),
				       "%s", other[i].what);
	KUNIT_EXPECT_EQ(test, pte_val(*ptep), pte_val(pte));

	/* A store, but outside of the vmemmap. */
	outside[0] = (unsigned long)_stext;
	outside[1] = (unsigned long)__start_rodata;
	outside[2] = (unsigned long)page_to_virt(pte_page(pte));
	outside[3] = (unsigned long)vaddr;
	/* In its range, and mapped with nothing. */
	outside[4] = VMEMMAP_END - PAGE_SIZE;
	for (i = 0; i < ARRAY_SIZE(outside); i++)
		KUNIT_EXPECT_FALSE_MSG(test, vmemmap_shadow_fault(outside[i],
								  store),
				       "address %u", i);

	/* A store to the vmemmap, but read-only for a reason of its own. */
	pte = __pte((pte_val(owned) & ~PTE_WRITE) | PTE_RDONLY);
	WRITE_ONCE(*ptep, pte);
	KUNIT_EXPECT_FALSE(test, vmemmap_shadow_fault(addr, store));
	KUNIT_EXPECT_EQ(test, pte_val(*ptep), pte_val(pte));

	/* And the one that is. */
	WRITE_ONCE(*ptep, owned);
	KUNIT_EXPECT_EQ(test, 0,
			vmemmap_shadow_step(ptep, VMEMMAP_SHADOW_OWNED,
					    VMEMMAP_SHADOW_SEALED, 0));
	KUNIT_EXPECT_TRUE(test, vmemmap_shadow_fault(addr, store));
	KUNIT_EXPECT_EQ(test, pte_val(*ptep), pte_val(owned));
	flush_tlb_kernel_range(addr, addr + PAGE_SIZE);

	vfree(vaddr);
	put_huge_folio(test, folio);
}

/* ------------------------------------------------------------------------ */
/* Broken invariants							    */

static int nr_violations;
static const char *last_violation;

static void note_violation(const char *what)
{
	nr_violations++;
	last_violation = what;
}

static void expect_violation(struct kunit *test, const char *what)
{
	KUNIT_EXPECT_GT(test, nr_violations, 0);
	KUNIT_EXPECT_STREQ(test, last_violation ?: "none", what);
	nr_violations = 0;
	last_violation = NULL;
}

static void watch_violations(struct kunit *test)
{
	nr_violations = 0;
	last_violation = NULL;
	kunit_activate_static_stub(test, vmemmap_shadow_violation,
				   note_violation);
}

static void hot_remove_of_optimized_folio_frees_nothing(struct kunit *test)
{
#ifdef CONFIG_MEMORY_HOTPLUG
	struct folio *folio = huge_folio(test, PMD_SIZE);
	const unsigned long start = (unsigned long)folio;
	const unsigned long end = start + folio_nr_pages(folio) * sizeof(struct page);
	const unsigned long free = global_zone_page_state(NR_FREE_PAGES);
	const int nid = folio_nid(folio);
	pte_t *ptep = vmemmap_shadow_ptep(start);
	pte_t before;

	watch_violations(test);
	vmemmap_shadow_optimize_folio(folio);
	before = *ptep;
	vmemmap_free(start, end, NULL);
	expect_violation(test, "hot-remove of a folio that is optimized");
	KUNIT_EXPECT_EQ(test, pte_val(*ptep), pte_val(before));
	expect_optimized(test, folio);
	/* Nothing is hot-added there, either, as long as it is. */
	KUNIT_EXPECT_EQ(test, -EBUSY, vmemmap_populate(start, end, nid, NULL));
	KUNIT_EXPECT_EQ(test, vmemmap_shadow_restore_folio(folio), 0);
	expect_restored(test, folio);
	KUNIT_EXPECT_EQ(test, 0, vmemmap_populate(start, end, nid, NULL));
	expect_restored(test, folio);
	kunit_info(test, "free pages before %lu, after %lu", free,
		   global_zone_page_state(NR_FREE_PAGES));
	put_huge_folio(test, folio);
#else
	kunit_skip(test, "needs CONFIG_MEMORY_HOTPLUG");
#endif
}

#ifdef CONFIG_VMEMMAP_SHADOW_DEBUG
static unsigned int nr_rounds, skip_round;

static void skip_tlbi(unsigned long start, unsigned long nr)
{
	if (nr_rounds == skip_round)
		return;
	REAL_VOID(vmemmap_shadow_tlbi(start, nr));
}

static void count_rounds(void)
{
	nr_rounds++;
	dsb(ish);
	isb();
}

static void copy_wrong(void *to, const void *from, const void *was, size_t size)
{
	struct page *page = to;

	REAL_VOID(vmemmap_shadow_copy(to, from, was, size));
	tail_index(page + PAGES_PER_ENTRY - 1) = 1;
}

/* Claims that it has joined the entry. */
static bool cmpxchg_not(pte_t *ptep, pte_t old, pte_t new)
{
	if (vmemmap_shadow_pte_state(new) == VMEMMAP_SHADOW_JOINED &&
	    vmemmap_shadow_pte_state(old) == VMEMMAP_SHADOW_SEALED)
		return true;

	return cmpxchg(&pte_val(*ptep), pte_val(old), pte_val(new)) ==
	       pte_val(old);
}
#endif

/* CONFIG_VMEMMAP_SHADOW_DEBUG has to see each of these. */
static void debug_sees_each_broken_rule(struct kunit *test)
{
#ifdef CONFIG_VMEMMAP_SHADOW_DEBUG
	struct folio *folio = huge_folio(test, PMD_SIZE);
	struct page *last;
	unsigned int n;

	watch_violations(test);
	kunit_activate_static_stub(test, vmemmap_shadow_tlbi, skip_tlbi);
	kunit_activate_static_stub(test, vmemmap_shadow_tlbi_sync, count_rounds);

	/* Each is followed by a step, the last one by that of the next call. */
	for (skip_round = 0; skip_round < 2 * STEPS_TO_REST; skip_round++) {
		nr_rounds = 0;
		vmemmap_shadow_optimize_folio(folio);
		KUNIT_EXPECT_EQ(test, vmemmap_shadow_restore_folio(folio), 0);
		if (skip_round + 1 == 2 * STEPS_TO_REST) {
			vmemmap_shadow_optimize_folio(folio);
			KUNIT_EXPECT_EQ(test, 0,
					vmemmap_shadow_restore_folio(folio));
		}
		KUNIT_EXPECT_GT_MSG(test, nr_violations, 0, "round %u", skip_round);
		nr_violations = 0;
	}
	skip_round = UINT_MAX;
	vmemmap_shadow_optimize_folio(folio);
	KUNIT_EXPECT_EQ(test, nr_violations, 0);

	kunit_activate_static_stub(test, vmemmap_shadow_copy, copy_wrong);
	KUNIT_EXPECT_EQ(test, vmemmap_shadow_restore_folio(folio), 0);
	kunit_deactivate_static_stub(test, vmemmap_shadow_copy);
	expect_violation(test, "an output address changes, and the contents differ");
	for (n = 0; n < nr_tails(folio); n++) {
		last = folio_page(folio, (n + 2) * PAGES_PER_ENTRY - 1);
		KUNIT_EXPECT_EQ(test, tail_index(last), 1);
		tail_index(last) = 0;
	}

	kunit_activate_static_stub(test, vmemmap_shadow_cmpxchg, cmpxchg_not);
	vmemmap_shadow_optimize_folio(folio);
	kunit_deactivate_static_stub(test, vmemmap_shadow_cmpxchg);
	expect_violation(test, "a page that an entry maps is released");
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	expect_restored(test, folio);

	put_huge_folio(test, folio);
#else
	kunit_skip(test, "needs CONFIG_VMEMMAP_SHADOW_DEBUG");
#endif
}

static void hot_remove_of_owned_entries_is_allowed(struct kunit *test)
{
	struct folio *folio = huge_folio(test, PMD_SIZE);
	const unsigned long start = (unsigned long)folio;

	KUNIT_EXPECT_TRUE(test, vmemmap_shadow_may_free(start, start +
				folio_nr_pages(folio) * sizeof(struct page)));
	put_huge_folio(test, folio);
}

/* ------------------------------------------------------------------------ */
/* Seen from outside							    */

/* Behind the folio lies the guard page of the vmalloc area. */
/* The same of steps that this code does not take. */
static void debug_sees_each_broken_step(struct kunit *test)
{
#ifdef CONFIG_VMEMMAP_SHADOW_DEBUG
	struct page *own = alloc_page(GFP_KERNEL | __GFP_ZERO);
	struct page *other = alloc_page(GFP_KERNEL | __GFP_ZERO);
	pte_t owned, sealed, joined, pte;
	unsigned long addr;

	KUNIT_ASSERT_NOT_NULL(test, own);
	KUNIT_ASSERT_NOT_NULL(test, other);
	/* No entry of this address was ever stepped. */
	addr = (unsigned long)own & PAGE_MASK;
	owned = pfn_pte(page_to_pfn(own), PAGE_KERNEL);
	sealed = shadow_mk_pte(owned, VMEMMAP_SHADOW_SEALED, 0);
	joined = shadow_mk_pte(sealed, VMEMMAP_SHADOW_JOINED, page_to_pfn(other));
	pte = sealed;
	watch_violations(test);

	vmemmap_shadow_debug_step(&pte, addr, sealed, joined);
	vmemmap_shadow_debug_step(&pte, addr, sealed, owned);
	KUNIT_EXPECT_EQ(test, nr_violations, 0);

	vmemmap_shadow_debug_step(&pte, addr, sealed, __pte(pte_val(owned) ^ PTE_UXN));
	expect_violation(test, "a step changes more than the permission");
	vmemmap_shadow_debug_step(&pte, addr, owned, joined);
	expect_violation(test, "the output address of a writable entry changes");
	vmemmap_shadow_debug_step(&pte, addr, owned,
				  pfn_pte(page_to_pfn(other), PAGE_KERNEL));
	expect_violation(test, "the output address of a writable entry changes");

	memset(page_to_virt(other) + PAGE_SIZE - 1, 1, 1);
	vmemmap_shadow_debug_step(&pte, addr, sealed, joined);
	expect_violation(test, "an output address changes, and the contents differ");
	/* Neither of these exchanges makes it. */
	vmemmap_shadow_debug_step(&pte, addr, __pte(pte_val(sealed) | SHADOW_BARRED),
				  joined);
	pte = owned;
	vmemmap_shadow_debug_step(&pte, addr, sealed, joined);
	KUNIT_EXPECT_EQ(test, nr_violations, 0);

	__free_page(own);
	__free_page(other);
#else
	kunit_skip(test, "needs CONFIG_VMEMMAP_SHADOW_DEBUG");
#endif
}

static void hot_remove_of_what_is_not_mapped_is_allowed(struct kunit *test)
{
	struct folio *folio = synthetic_folio(test, PMD_SIZE, false);
	const unsigned long end =
		(unsigned long)folio + (nr_tails(folio) + 1) * PAGE_SIZE;

	KUNIT_EXPECT_TRUE(test, vmemmap_shadow_may_free((unsigned long)folio,
							end + PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, vmemmap_shadow_may_free(VMEMMAP_END - PAGE_SIZE,
							VMEMMAP_END));
	put_huge_folio(test, folio);
}

/* Some of these have a table on no level, some a block. */
static void entry_of_what_is_no_page_is_not_found(struct kunit *test)
{
	const unsigned long addrs[] = {
		VMEMMAP_END - PAGE_SIZE, VMALLOC_END - PAGE_SIZE, MODULES_END - PAGE_SIZE,
		FIXADDR_TOP + PAGE_SIZE, (unsigned long)_stext, PAGE_OFFSET,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(addrs); i++) {
		pte_t *ptep = vmemmap_shadow_ptep(addrs[i]);

		/* Whatever it is, it has been stepped by nobody. */
		if (ptep)
			KUNIT_EXPECT_EQ_MSG(test, vmemmap_shadow_pte_state(*ptep),
					    VMEMMAP_SHADOW_OWNED, "address %u", i);
	}
	KUNIT_EXPECT_NULL(test, vmemmap_shadow_ptep(VMEMMAP_END - PAGE_SIZE));
}

/* Whose entries are looked for, and how many of them lie behind the folio. */
static struct {
	unsigned long end;
	unsigned int nr, behind;
} walks;

static void note_walk(unsigned long addr, pud_t *pudp)
{
	walks.nr++;
	walks.behind += addr >= walks.end;
}

/*
 * A folio whose last entry is the last one of its table. The next table is of
 * memory that others may remove: nobody looks for it.
 */
static void entry_behind_the_folio_is_not_looked_for(struct kunit *test)
{
	const unsigned long store = ESR(DABT_CUR, ESR_ELx_WNR | ESR_ELx_FSC_PERM | 3);
	struct folio *folio = make_folio(test, PMD_SIZE, false, true);
	const unsigned long first = (unsigned long)folio + PAGE_SIZE;
	struct page *odd = folio_page(folio, folio_nr_pages(folio) - 2);

	memset(&walks, 0, sizeof(walks));
	walks.end = first + nr_tails(folio) * PAGE_SIZE;
	KUNIT_ASSERT_TRUE(test, IS_ALIGNED(walks.end, PMD_SIZE));
	kunit_activate_static_stub(test, vmemmap_shadow_walk_hold, note_walk);

	/* With an entry that is left, and without. */
	set_bit(PG_owner_priv_1, tail_flags(odd));
	vmemmap_shadow_optimize_folio(folio);
	clear_bit(PG_owner_priv_1, tail_flags(odd));
	expect_partly_optimized(test, folio, 1);
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	expect_restored(test, folio);
	vmemmap_shadow_optimize_folio(folio);
	expect_optimized(test, folio);
	KUNIT_EXPECT_EQ_MSG(test, walks.behind, 0, "behind the folio, by the updater");

	/* Where alias tails rest writable, the fault handler bars all but the first. */
	if (heads_page_is_shared)
		step_all(test, folio, VMEMMAP_SHADOW_SHARED, VMEMMAP_SHADOW_JOINED);
	walks.behind = 0;
	KUNIT_EXPECT_TRUE(test, __vmemmap_shadow_fault(first, store));
	KUNIT_EXPECT_EQ_MSG(test, walks.behind, 0, "behind the folio, by the handler");
	if (heads_page_is_shared) {
		KUNIT_ASSERT_EQ(test, 0,
				vmemmap_shadow_step(vmemmap_shadow_ptep(first),
						    VMEMMAP_SHADOW_SHARED,
						    VMEMMAP_SHADOW_JOINED, 0));
		step_all(test, folio, VMEMMAP_SHADOW_JOINED, VMEMMAP_SHADOW_SHARED);
	}

	walks.behind = 0;
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	expect_restored(test, folio);
	KUNIT_EXPECT_TRUE(test, vmemmap_shadow_may_free((unsigned long)folio,
							walks.end));
	KUNIT_EXPECT_EQ_MSG(test, walks.behind, 0, "behind the folio, by the updater");
	kunit_deactivate_static_stub(test, vmemmap_shadow_walk_hold);
	KUNIT_EXPECT_GT(test, walks.nr, 0);
	put_huge_folio(test, folio);
}

/* Another table, which is empty, in the place of one. */
static struct {
	unsigned long addr;
	pud_t pud;
	unsigned int nr;
} swapped;

static void put_table(pud_t *pudp, pud_t pud)
{
	WRITE_ONCE(*pudp, __pud(0));
	flush_tlb_all();
	WRITE_ONCE(*pudp, pud);
	dsb(ishst);
	isb();
}

static void swap_table(unsigned long addr, pud_t *pudp)
{
	if (addr != swapped.addr)
		return;
	put_table(pudp, swapped.pud);
	swapped.nr++;
}

/*
 * Memory hotplug takes tables away, and puts others in their place, beside those
 * that are walked: what was looked at is what is followed.
 */
static void table_that_is_swapped_meanwhile_is_read_once(struct kunit *test)
{
	struct page *page = alloc_page(GFP_KERNEL);
	struct page *empty = alloc_page(GFP_KERNEL | __GFP_ZERO);
	pte_t *before, *meanwhile, *after;
	struct vm_struct *area;
	pud_t *pudp, pud;

	/* Else that is a table of the whole kernel's. */
	if (CONFIG_PGTABLE_LEVELS < 4)
		kunit_skip(test, "needs four levels of tables");
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_NOT_NULL(test, empty);
	/* So large that one of its entries is for nobody else. */
	area = get_vm_area(2 * PUD_SIZE, VM_MAP);
	KUNIT_ASSERT_NOT_NULL(test, area);
	swapped.addr = ALIGN((unsigned long)area->addr, PUD_SIZE);
	KUNIT_ASSERT_EQ(test, 0,
			vmap_page_range(swapped.addr, swapped.addr + PAGE_SIZE,
					page_to_phys(page), PAGE_KERNEL));
	pudp = pud_offset(p4d_offset(pgd_offset_k(swapped.addr), swapped.addr),
			  swapped.addr);
	pud = READ_ONCE(*pudp);
	swapped.pud = __pud(__phys_to_pud_val(page_to_phys(empty)) | PUD_TYPE_TABLE);
	swapped.nr = 0;

	before = vmemmap_shadow_ptep(swapped.addr);
	kunit_activate_static_stub(test, vmemmap_shadow_walk_hold, swap_table);
	meanwhile = vmemmap_shadow_ptep(swapped.addr);
	kunit_deactivate_static_stub(test, vmemmap_shadow_walk_hold);
	after = vmemmap_shadow_ptep(swapped.addr);
	put_table(pudp, pud);

	KUNIT_EXPECT_EQ(test, swapped.nr, 1);
	KUNIT_EXPECT_NOT_NULL(test, before);
	KUNIT_EXPECT_PTR_EQ_MSG(test, before, meanwhile, "what was looked at is not followed");
	KUNIT_EXPECT_NULL(test, after);
	free_vm_area(area);
	__free_page(empty);
	__free_page(page);
}

static struct seq_file *text(struct kunit *test)
{
	struct seq_file *seq = kunit_kzalloc(test, sizeof(*seq), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, seq);
	seq->size = SZ_4K;
	seq->buf = kunit_kzalloc(test, seq->size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, seq->buf);

	return seq;
}

static void stats_name_each_counter_and_its_value(struct kunit *test)
{
	struct seq_file *seq = text(test);
	char *line, *rest = seq->buf;
	unsigned int nr = 0;

	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_stats_show(seq, NULL));
	KUNIT_EXPECT_FALSE(test, seq_has_overflowed(seq));
	while ((line = strsep(&rest, "\n")) && *line) {
		char *value = strrchr(line, ':');
		long n;

		KUNIT_ASSERT_NOT_NULL(test, value);
		*value++ = '\0';
		KUNIT_EXPECT_EQ(test, 0, kstrtol(value + 1, 10, &n));
		KUNIT_EXPECT_EQ_MSG(test, n, vmemmap_shadow_counter(line), "%s", line);
		nr++;
	}
	KUNIT_EXPECT_GE(test, nr, 10);
	KUNIT_EXPECT_EQ(test, -1, vmemmap_shadow_counter("no such counter"));
}

/* The runs of all the vmemmap: how many lie in the folio's, and of which entries. */
static void count_runs(struct kunit *test, const struct folio *folio,
		       unsigned int *nr, struct vmemmap_shadow_run *found)
{
	const unsigned long lo = (unsigned long)folio;
	const unsigned long hi = lo + (nr_tails(folio) + 1) * PAGE_SIZE;
	struct vmemmap_shadow_run run, *r;
	struct seq_file *seq = text(test);
	unsigned long last = 0;
	loff_t pos = 0;

	*nr = 0;
	seq->private = &run;
	for (r = vmemmap_shadow_state_sops.start(seq, &pos); r;
	     r = vmemmap_shadow_state_sops.next(seq, r, &pos)) {
		KUNIT_EXPECT_GE(test, r->start, last);
		KUNIT_EXPECT_GT(test, r->end, r->start);
		last = r->end;
		if (r->start >= hi || r->end <= lo)
			continue;
		(*nr)++;
		*found = *r;
		seq->count = 0;
		KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_state_sops.show(seq, r));
	}
	vmemmap_shadow_state_sops.stop(seq, r);
	/* The last of them. */
	KUNIT_EXPECT_NOT_NULL(test, strnstr(seq->buf, found->state, seq->count));
}

static void state_shows_the_entries_that_were_stepped(struct kunit *test)
{
	struct folio *folio = huge_folio(test, PMD_SIZE);
	struct vmemmap_shadow_run run;
	unsigned int nr;

	count_runs(test, folio, &nr, &run);
	KUNIT_EXPECT_EQ(test, nr, 1);
	KUNIT_EXPECT_STREQ(test, run.state, "OWNED");

	vmemmap_shadow_optimize_folio(folio);
	count_runs(test, folio, &nr, &run);
	/* The head's with those before it, then the tails. */
	KUNIT_EXPECT_EQ(test, nr, 2);
	KUNIT_EXPECT_STREQ(test, run.state, state_name[SHADOW_AT_REST]);
	KUNIT_EXPECT_EQ(test, run.start, (unsigned long)folio + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, run.end - run.start, nr_tails(folio) * PAGE_SIZE);

	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	count_runs(test, folio, &nr, &run);
	KUNIT_EXPECT_EQ(test, nr, 1);
	put_huge_folio(test, folio);
}

/* ------------------------------------------------------------------------ */
/* What hardly ever happens						    */

/* Behind the last struct page, at each level, nothing is mapped. */
static void unmapped_vmemmap_has_no_entries(struct kunit *test)
{
	const unsigned long store = ESR(DABT_CUR, ESR_ELx_WNR |
					ESR_ELx_FSC_PERM | 3);
	const unsigned long last = (unsigned long)pfn_to_page(max_pfn - 1);
	const unsigned long sizes[] = { PMD_SIZE, PUD_SIZE, P4D_SIZE, PGDIR_SIZE };
	const unsigned long text = (unsigned long)_stext;
	unsigned int i, nr = 0;
	void *vaddr;

	KUNIT_EXPECT_NOT_NULL(test, vmemmap_shadow_ptep(last));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		const unsigned long addr = ALIGN(last + 1, sizes[i]);

		if (addr - VMEMMAP_START >= VMEMMAP_SIZE)
			continue;
		nr++;
		KUNIT_EXPECT_NULL(test, vmemmap_shadow_ptep(addr));
		KUNIT_EXPECT_FALSE(test, vmemmap_shadow_fault(addr, store));
		KUNIT_EXPECT_TRUE(test, vmemmap_shadow_may_free(addr - PAGE_SIZE,
								addr + PAGE_SIZE));
	}
	KUNIT_EXPECT_GT(test, nr, 0);

	/* A block, where the kernel's text is mapped with some. */
	if (pmd_leaf(READ_ONCE(*pmd_off_k(text))))
		KUNIT_EXPECT_NULL(test, vmemmap_shadow_ptep(text));

	/* A table with an empty entry: that of the guard page. */
	vaddr = vmalloc(PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, vaddr);
	KUNIT_EXPECT_TRUE(test, vmemmap_shadow_may_free((unsigned long)vaddr,
							(unsigned long)vaddr +
							2 * PAGE_SIZE));
	vfree(vaddr);
}

static pte_t *forged;

/* The first time that a window is held open: its first entry is sealed. */
static void forge_entry(struct folio *folio, unsigned int lo, unsigned int hi)
{
	if (forged)
		return;
	forged = vmemmap_shadow_ptep((unsigned long)folio + (lo + 1) * PAGE_SIZE);
	WRITE_ONCE(*forged, __pte((pte_val(*forged) & ~PTE_RDONLY) | PTE_WRITE));
}

/* An entry that says SEALED and is writable: no step is made from it. */
static void forged_entry_keeps_its_page_and_its_folio_optimized(struct kunit *test)
{
	struct folio *folio = huge_folio(test, PMD_SIZE);
	const unsigned long pfn = pte_pfn(tail_entry(folio, 0));
	const long left = vmemmap_shadow_counter("entries left unjoined");

	watch_violations(test);
	forged = NULL;
	kunit_activate_static_stub(test, vmemmap_shadow_hold, forge_entry);
	vmemmap_shadow_optimize_folio(folio);
	kunit_deactivate_static_stub(test, vmemmap_shadow_hold);
	KUNIT_ASSERT_NOT_NULL(test, forged);
	if (IS_ENABLED(CONFIG_VMEMMAP_SHADOW_DEBUG))
		expect_violation(test, "the output address of a writable entry changes");

	/* Left as it is, which is noted. */
	KUNIT_EXPECT_EQ(test, left + 1, vmemmap_shadow_counter("entries left unjoined"));
	KUNIT_EXPECT_TRUE(test, folio_test_hugetlb_vmemmap_optimized(folio));
	KUNIT_EXPECT_EQ(test, pte_pfn(*forged), pfn);
	expect_readers_find_head(test, folio);

	WRITE_ONCE(*forged, __pte((pte_val(*forged) & ~PTE_WRITE) | PTE_RDONLY));
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	KUNIT_EXPECT_EQ(test, nr_violations, 0);
	expect_restored(test, folio);
	put_huge_folio(test, folio);
}

static struct kunit_case shadow_cases[] = {
	KUNIT_CASE(state_of_untouched_entry_is_owned),
	KUNIT_CASE(state_tag_and_permission_and_page_agree),
	KUNIT_CASE(state_changes_nothing_but_tag_permission_and_page),
	KUNIT_CASE(state_back_at_owned_is_bit_for_bit_untouched),
	KUNIT_CASE_PARAM(step_legal_is_taken_and_illegal_refused,
			 step_gen_params),
	KUNIT_CASE_PARAM(step_from_another_state_is_lost, chain_gen_params),
	KUNIT_CASE_PARAM(step_changes_permission_or_page_but_not_both,
			 chain_gen_params),
	KUNIT_CASE(step_from_or_to_no_state_is_refused),
	KUNIT_CASE(step_of_unsound_entry_is_refused),
	KUNIT_CASE_PARAM(optimize_and_restore_folio, size_gen_params),
	KUNIT_CASE_PARAM(restore_without_memory_changes_nothing,
			 size_gen_params),
	KUNIT_CASE_PARAM(optimize_with_odd_tail_leaves_its_entry, size_gen_params),
	KUNIT_CASE(optimize_with_any_odd_tail_leaves_its_entry),
	KUNIT_CASE(optimize_after_broken_invariant_is_refused),
	KUNIT_CASE_PARAM(optimize_and_restore_list_waits_once_at_most, where_gen_params),
	KUNIT_CASE(operations_on_empty_list_wait_for_nobody),
	KUNIT_CASE_PARAM(operations_on_mixed_list_do_what_is_left,
			 where_gen_params),
	KUNIT_CASE_PARAM(operations_on_list_keep_its_order, where_gen_params),
	KUNIT_CASE(entries_of_several_windows_are_opened_last),
	KUNIT_CASE(restore_list_without_memory_keeps_progress),
	KUNIT_CASE(optimize_of_self_hosted_vmemmap_is_refused),
	KUNIT_CASE_PARAM(stray_store_is_kept_and_its_entry_left,
			 context_gen_params),
	KUNIT_CASE(optimize_of_list_under_fire_carries_on_with_the_rest),
	KUNIT_CASE(stale_fault_is_retried_and_counted),
	KUNIT_CASE(stale_fault_without_end_is_not_forgiven),
	KUNIT_CASE(fault_below_read_only_table_is_not_forgiven),
	KUNIT_CASE(recovery_that_loses_its_step_looks_again),
	KUNIT_CASE(fault_that_is_no_store_to_a_window_is_not_forgiven),
	KUNIT_CASE(hot_remove_of_owned_entries_is_allowed),
	KUNIT_CASE(hot_remove_of_optimized_folio_frees_nothing),
	KUNIT_CASE(debug_sees_each_broken_rule),
	KUNIT_CASE(debug_sees_each_broken_step),
	KUNIT_CASE(hot_remove_of_what_is_not_mapped_is_allowed),
	KUNIT_CASE(entry_of_what_is_no_page_is_not_found),
	KUNIT_CASE(entry_behind_the_folio_is_not_looked_for),
	KUNIT_CASE(table_that_is_swapped_meanwhile_is_read_once),
	KUNIT_CASE(stats_name_each_counter_and_its_value),
	KUNIT_CASE(state_shows_the_entries_that_were_stepped),
	KUNIT_CASE(unmapped_vmemmap_has_no_entries),
	KUNIT_CASE(forged_entry_keeps_its_page_and_its_folio_optimized),
	{}
};

static struct kunit_suite shadow_suite = {
	.name = "vmemmap_shadow",
	.init = shadow_test_init,
	.exit = shadow_test_exit,
	.test_cases = shadow_cases,
};

kunit_test_suite(shadow_suite);

MODULE_DESCRIPTION("KUnit tests of the shadow vmemmap");
MODULE_LICENSE("GPL");
