// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the shadow vmemmap that look after every single store.
 *
 * The observer stands behind the operations through which an update goes. It
 * holds, for each entry, all translations that any CPU might still have cached:
 * every value that the entry had since the last TLBI of it completed. After
 * each store, to an entry or to a page, and each sync it asserts that
 *
 *  - each entry is what was last stored to it, and no translation is invalid;
 *  - no two have different output addresses, unless both are read-only and the
 *    bytes at both are equal;
 *  - no writable one leads to a page other than the one that the entry maps;
 *  - no page is freed that one leads to;
 *  - the head entry is as it was, and so is a page that a zone shares;
 *  - no more entries have two output addresses than make a window, and the
 *    updater cannot be preempted meanwhile;
 *  - from each struct page everybody finds the head, and gets no reference, not
 *    even when the head has got one.
 *
 * When an operation ends nothing but the present value may be cached.
 */
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/pgtable.h>
#include <linux/poison.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include <asm/tlbflush.h>

#include "vmemmap_shadow_kunit.h"

#define MAX_CACHED	12

/* One entry: what may be cached of it, the present value last. */
struct watched {
	struct folio *folio;
	unsigned long addr;
	pte_t *ptep;
	pte_t cached[MAX_CACHED];
	unsigned int nr;
	bool tlbi_issued;
};

enum inject { INJECT_NOTHING, INJECT_BEFORE, INJECT_AFTER };

static struct observer {
	struct kunit *test;
	struct xarray entries;		/* struct watched, by entry */
	struct xarray pages;		/* the one that leads to a page, by pfn */
	const char *failure;		/* the first one */
	unsigned int failures;
	const char *violation;		/* CONFIG_VMEMMAP_SHADOW_DEBUG's first */
	unsigned int half_way;		/* entries: read-only, and not at rest */
	unsigned int twice, most_twice;	/* entries with two output addresses */
	unsigned int stores, rounds, tlbis, singles, runs, waits, allocs, freed;
	unsigned int since;		/* stores, since the counts were taken */
	unsigned int fail_alloc_at;	/* count from 0; UINT_MAX: never fail */
	bool fail_note;			/* there is no memory to note anything in */
	unsigned int exchanges, lose_exchange_at;
	bool no_part;			/* each part is lost, as to somebody else */
	bool few_readers;		/* there are too many to look at each */
	bool whole_folio;		/* look at each after each store */
	bool no_readers;		/* there are no tails yet to look at */

	/* A stray store, at one of the operations. */
	enum inject inject;
	unsigned int inject_at, nr_ops;
	bool injecting;
	bool word;			/* to a word that is no flags word */
	unsigned int target_index;	/* of the struct page in its entry */
	unsigned int opened, from_joined;	/* by the handler, and from JOINED */
	struct page *target;
} obs;

static void obs_fail(const char *what)
{
	if (!obs.failure)
		obs.failure = what;
	obs.failures++;
}

static void obs_violation(const char *what)
{
	if (!obs.violation)
		obs.violation = what;
}

static unsigned long entry_key(const pte_t *ptep)
{
	return (unsigned long)ptep / sizeof(*ptep);
}

static struct watched *watched_of(const pte_t *ptep)
{
	return xa_load(&obs.entries, entry_key(ptep));
}

static bool same_bytes(pte_t a, pte_t b)
{
	return !memcmp(page_to_virt(pte_page(a)), page_to_virt(pte_page(b)),
		       PAGE_SIZE);
}

/* As hardware sees it: with DBM it clears RDONLY itself. */
static bool can_write(pte_t pte)
{
	return pte_write(pte) || !pte_rdonly(pte);
}

static bool is_half_way(pte_t pte)
{
	return !can_write(pte) && vmemmap_shadow_pte_state(pte) != SHADOW_AT_REST;
}

static void check_entry(const struct watched *w)
{
	const pte_t now = w->cached[w->nr - 1];
	unsigned int i, j;

	if (pte_val(__ptep_get(w->ptep)) != pte_val(now))
		obs_fail("an entry is not what was stored to it");
	if (w->addr == (unsigned long)w->folio && w->nr != 1)
		obs_fail("the head entry was stepped");
	if (shared_is_changed(w->folio))
		obs_fail("the page that a zone shares has changed");
	for (i = 0; i < w->nr; i++) {
		const pte_t a = w->cached[i];

		if (!pte_valid(a))
			obs_fail("an entry was invalid");
		if (can_write(a) && pte_pfn(a) != pte_pfn(now))
			obs_fail("a writable translation leads to another page than the entry");
		for (j = 0; j < i; j++) {
			const pte_t b = w->cached[j];

			if (pte_pfn(a) == pte_pfn(b))
				continue;
			if (can_write(a) || can_write(b))
				obs_fail("two output addresses, one of them writable");
			else if (!same_bytes(a, b))
				obs_fail("two output addresses with different bytes");
		}
	}
}

/* Whoever holds this struct page must find the head, and get no reference. */
static void check_reader(struct page *page, struct folio *folio)
{
	const bool is_head = page == &folio->page;

	if (compound_head(page) != &folio->page || page_folio(page) != folio ||
	    PageTail(page) == is_head || PageHead(page) != is_head ||
	    !PageCompound(page) || !folio_test_hugetlb(page_folio(page)))
		obs_fail("a reader does not find the head");
	/* Who asks one that cannot be an alias gets none if this is all that it has. */
	if (page_ref_count(page) || page_count(page) ||
	    (PAGE_ALIGNED(page) && (get_page_unless_zero(page) ||
				    folio_try_get((struct folio *)page))))
		obs_fail("a reference of a frozen folio's page");
}

/* Every struct page of an entry, or those at its start and its end. */
static void check_readers(const struct watched *w)
{
	struct page *page = (struct page *)w->addr;
	unsigned int i;

	if (obs.no_readers)
		return;
	for (i = 0; i < PAGES_PER_ENTRY; i++) {
		if (!obs.few_readers || i <= HEAD_PAGES || i + 1 == PAGES_PER_ENTRY)
			check_reader(page + i, w->folio);
	}
}

/* So many struct pages can be looked at after each store of each case. */
#define READ_WHOLE	1024

/*
 * Every struct page of a folio that a store went to, unless they are so many that
 * those of the entry have to do; the others have their turn when a round ends.
 */
static void check_folio(const struct watched *w)
{
	struct folio *folio = w->folio;
	unsigned long i;

	if (obs.no_readers ||
	    (!obs.whole_folio && folio_nr_pages(folio) > READ_WHOLE)) {
		check_readers(w);
		return;
	}
	for (i = 0; i < folio_nr_pages(folio); i++)
		check_reader(folio_page(folio, i), folio);
}

/*
 * Nobody gets a reference through an alias of a head that has one itself. The
 * head's count is where it was before anybody else looks.
 */
static void check_takers(const struct watched *w)
{
	struct folio *folio = w->folio;
	struct page *page = (struct page *)w->addr;
	unsigned int i, got = 0;

	set_page_count(&folio->page, 1);
	for (i = w->addr == (unsigned long)folio; i < PAGES_PER_ENTRY; i++) {
		if (obs.few_readers && i > HEAD_PAGES)
			break;
		got += get_page_unless_zero(page + i);
		got += folio_try_get((struct folio *)(page + i));
	}
	if (got || page_count(&folio->page) != 1)
		obs_fail("a reference through an alias");
	set_page_count(&folio->page, 0);
}

static void check_all(void)
{
	struct watched *w;
	unsigned long key;

	xa_for_each(&obs.entries, key, w) {
		check_entry(w);
		if (obs.no_readers)
			continue;
		check_readers(w);
		check_takers(w);
	}
}

/* In a word that is something else in the head's own than in a plain tail. */
#define STRAY_WORD	((struct address_space *)0x5aUL)
#define HEADS_WORD	((struct address_space *)0x1230)

/* Set a flag in a tail that the entry maps, or a word, as anybody could. */
static void inject_store(struct watched *w)
{
	if (!w || w->addr == (unsigned long)w->folio)
		w = watched_of(vmemmap_shadow_ptep((unsigned long)w->folio +
						   PAGE_SIZE));
	obs.injecting = true;
	obs.target = (struct page *)w->addr + obs.target_index;
	if (obs.word)
		WRITE_ONCE(obs.target->mapping, STRAY_WORD);
	else
		set_bit(PG_owner_priv_1, tail_flags(obs.target));
	obs.injecting = false;
}

static void maybe_inject(enum inject when, struct watched *w)
{
	if (obs.injecting || obs.inject != when || !w)
		return;
	if (obs.nr_ops == obs.inject_at)
		inject_store(w);
}

/* The entry through which some CPU might see this page. */
static struct watched *watched_with(unsigned long pfn)
{
	return xa_load(&obs.pages, pfn);
}

/* The head's page stays the head entry's, however many lead to it. */
static void add_cached(struct watched *w, pte_t pte)
{
	if (w->nr == MAX_CACHED) {
		obs_fail("an entry was stepped too often without a TLBI");
		return;
	}
	w->cached[w->nr++] = pte;
	/* A TLBI that was issued before does not drop it. */
	w->tlbi_issued = false;
	if (!watched_with(pte_pfn(pte)))
		xa_store(&obs.pages, pte_pfn(pte), w, GFP_ATOMIC);
}

/* Might two output addresses of the entry be in use? */
static bool is_twice(const struct watched *w)
{
	unsigned int i;

	for (i = 1; i < w->nr; i++) {
		if (pte_pfn(w->cached[i]) != pte_pfn(w->cached[0]))
			return true;
	}

	return false;
}

/* No CPU has anything cached any more. */
static void drop_cached(struct watched *w)
{
	const pte_t now = w->cached[w->nr - 1];
	unsigned int i;

	obs.twice -= is_twice(w);
	for (i = 0; i + 1 < w->nr; i++) {
		if (pte_pfn(w->cached[i]) != pte_pfn(now) &&
		    watched_with(pte_pfn(w->cached[i])) == w)
			xa_erase(&obs.pages, pte_pfn(w->cached[i]));
	}
	w->cached[0] = now;
	w->nr = 1;
	w->tlbi_issued = false;
}

static bool obs_cmpxchg(pte_t *ptep, pte_t old, pte_t new)
{
	struct watched *w = watched_of(ptep);
	bool done;

	if (obs.exchanges++ == obs.lose_exchange_at)
		return false;
	if (obs.no_part &&
	    vmemmap_shadow_pte_state(old) == VMEMMAP_SHADOW_JOINED &&
	    vmemmap_shadow_pte_state(new) == VMEMMAP_SHADOW_SEALED)
		return false;
	maybe_inject(INJECT_BEFORE, w);
	done = REAL(vmemmap_shadow_cmpxchg(ptep, old, new));
	if (done && w) {
		const bool twice = is_twice(w);

		obs.stores++;
		obs.since++;
		add_cached(w, new);
		obs.half_way += is_half_way(new) - is_half_way(old);
		obs.twice += is_twice(w) - twice;
		obs.most_twice = max(obs.most_twice, obs.twice);
		if (obs.twice && preemptible())
			obs_fail("two output addresses, and preemption is on");
		if (obs.injecting) {
			obs.opened += can_write(new);
			/* A bar is no step. */
			obs.from_joined +=
				vmemmap_shadow_pte_state(old) == VMEMMAP_SHADOW_JOINED &&
				vmemmap_shadow_pte_state(new) != VMEMMAP_SHADOW_JOINED;
		}
		check_entry(w);
		check_folio(w);
	}
	maybe_inject(INJECT_AFTER, w);
	obs.nr_ops += !obs.injecting;

	return done;
}

static bool obs_store(unsigned long *word, unsigned long old, unsigned long new)
{
	struct watched *w = watched_with(page_to_pfn(virt_to_page(word)));
	bool done;

	maybe_inject(INJECT_BEFORE, w);
	done = REAL(vmemmap_shadow_store(word, old, new));
	obs.stores += done;
	obs.since += done;
	if (w) {
		check_entry(w);
		if (!obs.few_readers || obs.no_readers) {
			check_folio(w);
		} else {
			const unsigned int i =
				offset_in_page(word) / sizeof(struct page);

			check_reader((struct page *)w->addr, w->folio);
			check_reader((struct page *)w->addr + i, w->folio);
		}
	}
	maybe_inject(INJECT_AFTER, w);
	obs.nr_ops += !obs.injecting;

	return done;
}

static void obs_copy(void *to, const void *from, const void *was, size_t size)
{
	/* Raw pages, at which nobody looks, are; they are all that is mapped then. */
	if (watched_with(page_to_pfn(virt_to_page(to))) && !obs.no_readers)
		obs_fail("a page that an entry maps is overwritten");
	REAL_VOID(vmemmap_shadow_copy(to, from, was, size));
}

static void obs_tlbi(unsigned long start, unsigned long nr)
{
	unsigned long addr;

	REAL_VOID(vmemmap_shadow_tlbi(start, nr));
	obs.tlbis++;
	for (addr = start; addr < start + nr * PAGE_SIZE; addr += PAGE_SIZE) {
		pte_t *ptep = vmemmap_shadow_ptep(addr);
		struct watched *w = ptep ? watched_of(ptep) : NULL;

		if (w)
			w->tlbi_issued = true;
	}
}

static void obs_tlbi_sync(void)
{
	struct watched *w;
	unsigned long key;

	REAL_VOID(vmemmap_shadow_tlbi_sync());
	obs.rounds++;
	if (obs.most_twice > WINDOW)
		obs_fail("a window is longer than its bound");
	xa_for_each(&obs.entries, key, w) {
		if (w->tlbi_issued)
			drop_cached(w);
	}
	check_all();
}

static void obs_tlbi_one(unsigned long addr)
{
	struct watched *w = watched_of(vmemmap_shadow_ptep(addr));

	REAL_VOID(vmemmap_shadow_tlbi_one(addr));
	obs.singles++;
	if (w)
		drop_cached(w);
}

static void obs_tlbi_run(unsigned long start, unsigned long nr)
{
	struct watched *w;
	unsigned long key;

	REAL_VOID(vmemmap_shadow_tlbi_run(start, nr));
	obs.runs++;
	xa_for_each(&obs.entries, key, w) {
		if (w->addr - start < nr * PAGE_SIZE)
			drop_cached(w);
	}
}

static void obs_wait_readers(void)
{
	/* The first one of an operation; others come before the next try. */
	if (!obs.waits && (obs.since || obs.half_way))
		obs_fail("a store before the grace period");
	obs.waits++;
	if (!obs.inject)
		REAL_VOID(vmemmap_shadow_wait_readers());
}

static unsigned int obs_alloc_pages(int nid, unsigned int nr, struct page **pages)
{
	if (obs.allocs >= obs.fail_alloc_at) {
		obs.allocs++;
		return 0;
	}
	nr = min(nr, obs.fail_alloc_at - obs.allocs);
	nr = REAL(vmemmap_shadow_alloc_pages(nid, nr, pages));
	obs.allocs += nr;

	return nr;
}

static void *obs_alloc_note(size_t size)
{
	return obs.fail_note ? NULL : REAL(vmemmap_shadow_alloc_note(size));
}

static void obs_free_pages(struct page *page, unsigned int order)
{
	unsigned int i;

	for (i = 0; i < 1U << order; i++) {
		if (watched_with(page_to_pfn(page + i)))
			obs_fail("a page is freed that a translation leads to");
		if (PageReserved(page + i) != PageReserved(page))
			obs_fail("pages of boot memory and others are freed together");
	}
	obs.freed += 1U << order;
	REAL_VOID(vmemmap_shadow_free_pages(page, order));
}

static void watch(struct kunit *test, struct folio *folio)
{
	unsigned int n;

	for (n = 0; n <= nr_tails(folio); n++) {
		struct watched *w = kzalloc(sizeof(*w), GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, w);
		w->folio = folio;
		w->addr = (unsigned long)folio + n * PAGE_SIZE;
		w->ptep = vmemmap_shadow_ptep(w->addr);
		add_cached(w, __ptep_get(w->ptep));
		KUNIT_ASSERT_EQ(test, 0, xa_err(xa_store(&obs.entries,
							 entry_key(w->ptep), w,
							 GFP_KERNEL)));
	}
}

/* Folios to watch, at the end of a list. Returns how many tail entries they have. */
static unsigned int watch_new(struct kunit *test, enum where where,
			      unsigned long size, unsigned int nr,
			      struct list_head *list)
{
	struct folio *folio = NULL;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		folio = folio_at(test, where, size);
		watch(test, folio);
		list_add_tail(&folio->lru, list);
	}

	return nr * nr_tails(folio);
}

static void unwatch_all(void)
{
	struct watched *w;
	unsigned long key;

	xa_for_each(&obs.entries, key, w)
		kfree(w);
	xa_destroy(&obs.entries);
	xa_destroy(&obs.pages);
}

static int observer_init(struct kunit *test)
{
	memset(&obs, 0, sizeof(obs));
	obs.test = test;
	obs.fail_alloc_at = UINT_MAX;
	obs.lose_exchange_at = UINT_MAX;
	xa_init(&obs.entries);
	xa_init(&obs.pages);
	kunit_activate_static_stub(test, vmemmap_shadow_cmpxchg, obs_cmpxchg);
	kunit_activate_static_stub(test, vmemmap_shadow_store, obs_store);
	kunit_activate_static_stub(test, vmemmap_shadow_copy, obs_copy);
	kunit_activate_static_stub(test, vmemmap_shadow_tlbi, obs_tlbi);
	kunit_activate_static_stub(test, vmemmap_shadow_tlbi_sync, obs_tlbi_sync);
	kunit_activate_static_stub(test, vmemmap_shadow_tlbi_one, obs_tlbi_one);
	kunit_activate_static_stub(test, vmemmap_shadow_tlbi_run, obs_tlbi_run);
	kunit_activate_static_stub(test, vmemmap_shadow_wait_readers,
				   obs_wait_readers);
	kunit_activate_static_stub(test, vmemmap_shadow_alloc_pages,
				   obs_alloc_pages);
	kunit_activate_static_stub(test, vmemmap_shadow_alloc_note,
				   obs_alloc_note);
	kunit_activate_static_stub(test, vmemmap_shadow_free_pages, obs_free_pages);
	kunit_activate_static_stub(test, vmemmap_shadow_violation, obs_violation);

	return 0;
}

static void observer_exit(struct kunit *test)
{
	unwatch_all();
	KUNIT_EXPECT_FALSE(test, vmemmap_shadow_broken);
}

/* When an operation has ended. */
static void expect_nothing_seen(struct kunit *test)
{
	struct watched *w;
	unsigned long key;

	xa_for_each(&obs.entries, key, w) {
		check_entry(w);
		if (w->nr != 1)
			obs_fail("a translation outlives the operation");
	}
	KUNIT_EXPECT_STREQ_MSG(test, obs.failure ?: "nothing", "nothing",
			       "%u times", obs.failures);
	KUNIT_EXPECT_STREQ(test, obs.violation ?: "no violation", "no violation");
	KUNIT_EXPECT_EQ(test, obs.half_way, 0);
}

static void forget_counts(void)
{
	obs.rounds = 0;
	obs.tlbis = 0;
	obs.singles = 0;
	obs.waits = 0;
	obs.allocs = 0;
	obs.freed = 0;
	obs.since = 0;
}

/* What has been counted since the last time. */
static void expect_counts(struct kunit *test, unsigned int rounds,
			  unsigned int tlbis, unsigned int waits,
			  unsigned int allocs, unsigned int freed)
{
	KUNIT_EXPECT_EQ(test, obs.rounds, rounds);
	KUNIT_EXPECT_EQ(test, obs.tlbis, tlbis);
	KUNIT_EXPECT_EQ(test, obs.singles, 0);
	KUNIT_EXPECT_EQ(test, obs.waits, waits);
	KUNIT_EXPECT_EQ(test, obs.allocs, allocs);
	KUNIT_EXPECT_EQ(test, obs.freed, freed);
	forget_counts();
}

/*
 * The TLBIs of a round of each window of a list: one for each run of neighbours,
 * whose struct pages have nothing but the head's entry between them, however
 * they are mixed in the list.
 */
static unsigned int runs_of(const struct list_head *folios, unsigned int per_window)
{
	const struct folio *in[64];
	unsigned int i, j, n = 0, nr = 0;
	struct folio *folio;

	list_for_each_entry(folio, folios, lru) {
		in[n++] = folio;
		if (n < per_window && !list_is_last(&folio->lru, folios))
			continue;
		/*
		 * Those that are nobody's right neighbour start a run, and all do where
		 * there is no TLBI by range.
		 */
		for (i = 0; i < n; i++) {
			for (j = 0; j < n; j++) {
				if (system_supports_tlb_range() &&
				    &in[j]->page + folio_nr_pages(in[j]) ==
				    &in[i]->page)
					break;
			}
			nr += j == n;
		}
		n = 0;
	}

	return nr;
}

static unsigned int windows_of(unsigned int tails)
{
	return DIV_ROUND_UP(tails + 1, WINDOW);
}

/* The TLBI rounds of an operation: one for each window, and those around them. */
static unsigned int rounds_of(unsigned int tails)
{
	return windows_of(tails) + STEPS_TO_REST - 1;
}

/* The huge pages that this granule has. */
static const struct size_param {
	const char *name;
	unsigned long size;
} sizes[] = {
	{ "CONT_PTE_SIZE", CONT_PTE_SIZE },
	{ "PMD_SIZE", PMD_SIZE },
	{ "CONT_PMD_SIZE", CONT_PMD_SIZE },
	{ "PUD_SIZE", PUD_SIZE },
};

struct sized {
	const struct size_param *size;
	enum where where;
};

/* Each of them, on synthetic page tables and on the live vmemmap. */
static GEN_PARAMS(sized_gen_params)
{
	static struct sized all[2 * ARRAY_SIZE(sizes)];
	const size_t n = prev ? (const struct sized *)prev - all + 1 : 0;
	const unsigned int nr = ARRAY_SIZE(sizes) - !pud_sect_supported();

	if (n == 2 * nr)
		return NULL;
	all[n].size = &sizes[n / 2];
	all[n].where = n % 2;
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s (%lu KiB), %s",
		 all[n].size->name, all[n].size->size / SZ_1K,
		 where_name[all[n].where]);

	return &all[n];
}

/*
 * Few enough that each of them can be looked at after each sync, and all of an
 * entry after each store.
 */
#define READ_EACH	(16UL * PTRS_PER_PTE)

static void one_folio_there_and_back(struct kunit *test)
{
	const struct sized *p = test->param_value;
	const long steps = vmemmap_shadow_counter("entries stepped");
	const unsigned long size = p->size->size;
	unsigned int tails, rounds;
	struct folio *folio;

	folio = folio_at(test, p->where, size);
	if (size / PAGE_SIZE * sizeof(struct page) <= PAGE_SIZE) {
		/* All of its vmemmap is one page: there is nothing to give back. */
		vmemmap_shadow_optimize_folio(folio);
		KUNIT_EXPECT_FALSE(test, folio_test_hugetlb_vmemmap_optimized(folio));
		expect_counts(test, 0, 0, 0, 0, 0);
		put_huge_folio(test, folio);
		return;
	}

	tails = nr_tails(folio);
	rounds = rounds_of(tails);
	watch(test, folio);
	obs.few_readers = folio_nr_pages(folio) > READ_EACH;
	obs.whole_folio = size <= PMD_SIZE;

	vmemmap_shadow_optimize_folio(folio);
	expect_nothing_seen(test);
	expect_counts(test, rounds, rounds, SHADOW_WAITS_FOR_READERS, 0, tails);
	KUNIT_EXPECT_EQ(test, (long)STEPS_TO_REST * tails,
			vmemmap_shadow_counter("entries stepped") - steps);
	expect_optimized(test, folio);

	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	expect_nothing_seen(test);
	expect_counts(test, rounds, rounds, 0, tails, 0);
	KUNIT_EXPECT_EQ(test, 2L * STEPS_TO_REST * tails,
			vmemmap_shadow_counter("entries stepped") - steps);
	expect_restored(test, folio);
	kunit_info(test, "%u tail entries, %u windows, %u stores watched", tails,
		   windows_of(tails), obs.stores);
	unwatch_all();
	put_huge_folio(test, folio);
}

/*
 * What another kernel has left in the memory that becomes a folio's struct pages:
 * anything, a pointer to the same folio's head among it.
 */
static void leave_garbage(struct folio *folio)
{
	struct page *page;
	unsigned int n;

	for (n = 1; n <= nr_tails(folio); n++) {
		page = (struct page *)((unsigned long)folio + n * PAGE_SIZE);
		memset(page, n % 3 ? 0xa5 : 0, PAGE_SIZE);
		if (n % 2)
			tail_head_word(page) = (unsigned long)folio + 1;
	}
}

/* Whatever such pages hold, each is made equal, and every tail is plain later. */
static void raw_tails_of_boot_memory_become_plain_tails(struct kunit *test)
{
	const long refused =
		vmemmap_shadow_counter("folios refused, tail not plain");
	const long left =
		vmemmap_shadow_counter("entries left unjoined, tail not plain");
	unsigned int rounds;
	struct folio *folio;
	unsigned long size;

	for (size = PMD_SIZE; get_order(size) <= MAX_PAGE_ORDER; size *= 2)
		;
	folio = synthetic_folio(test, size, true);
	leave_garbage(folio);
	rounds = rounds_of(nr_tails(folio));
	watch(test, folio);
	obs.no_readers = true;
	vmemmap_shadow_booting = true;
	vmemmap_shadow_optimize_folio(folio);
	vmemmap_shadow_booting = false;
	expect_nothing_seen(test);
	expect_counts(test, rounds, rounds, SHADOW_WAITS_FOR_READERS, 0, nr_tails(folio));
	KUNIT_EXPECT_EQ_MSG(test, refused,
			    vmemmap_shadow_counter("folios refused, tail not plain"),
			    "raw tails were refused");
	KUNIT_EXPECT_EQ_MSG(test, left,
			    vmemmap_shadow_counter("entries left unjoined, tail not plain"),
			    "raw tails were refused");
	expect_optimized(test, folio);

	obs.no_readers = false;
	obs.few_readers = folio_nr_pages(folio) > READ_EACH;
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	expect_nothing_seen(test);
	expect_counts(test, rounds, rounds, 0, nr_tails(folio), 0);
	expect_restored(test, folio);
	unwatch_all();
	put_huge_folio(test, folio);
}

static void list_of_several_windows_there_and_back(struct kunit *test)
{
	const enum where where = *(const enum where *)test->param_value;
	const unsigned long size = PMD_SIZE;
	const unsigned int per_folio = size / PAGE_SIZE / PAGES_PER_ENTRY - 1;
	const unsigned int per_window = min(64UL, WINDOW / (per_folio + 1));
	const unsigned int nr = 2 * per_window + 1;
	const unsigned int windows = DIV_ROUND_UP(nr, per_window);
	struct folio *folio, *next;
	unsigned int runs, i = 0;
	LIST_HEAD(folios);
	LIST_HEAD(restored);

	watch_new(test, where, size, nr, &folios);
	/* Neither up nor down. */
	list_for_each_entry_safe(folio, next, &folios, lru) {
		if (i++ % 3)
			list_move(&folio->lru, &folios);
	}
	vmemmap_shadow_optimize_folios(&folios);
	expect_nothing_seen(test);
	runs = runs_of(&folios, per_window);
	expect_counts(test, STEPS_TO_REST * windows, STEPS_TO_REST * runs,
		      SHADOW_WAITS_FOR_READERS, 0, nr * per_folio);

	KUNIT_EXPECT_EQ(test, nr, vmemmap_shadow_restore_folios(&folios, &restored));
	expect_nothing_seen(test);
	expect_counts(test, STEPS_TO_REST * windows, STEPS_TO_REST * runs, 0,
		      nr * per_folio, 0);
	kunit_info(test, "%u folios, %u windows, %u runs of neighbours, %u stores watched, %u entries with two output addresses at most",
		   nr, windows, runs, obs.stores, obs.most_twice);
	unwatch_all();
	KUNIT_EXPECT_EQ(test, put_folios(test, &restored), nr);
}

/* Without memory to note in what folios hold, each makes a window of its own. */
static void list_without_memory_for_notes_goes_one_by_one(struct kunit *test)
{
	const enum where where = *(const enum where *)test->param_value;
	const unsigned int nr = 3;
	LIST_HEAD(folios);
	LIST_HEAD(restored);
	const unsigned int tails = watch_new(test, where, PMD_SIZE, nr, &folios);

	obs.fail_note = true;
	vmemmap_shadow_optimize_folios(&folios);
	expect_nothing_seen(test);
	expect_counts(test, STEPS_TO_REST * nr, STEPS_TO_REST * nr,
		      SHADOW_WAITS_FOR_READERS, 0, tails);
	KUNIT_EXPECT_EQ(test, nr, vmemmap_shadow_restore_folios(&folios, &restored));
	expect_nothing_seen(test);
	expect_counts(test, STEPS_TO_REST * nr, STEPS_TO_REST * nr, 0, tails, 0);
	unwatch_all();
	KUNIT_EXPECT_EQ(test, put_folios(test, &restored), nr);
}

/* Folios of another size make a window of their own, and so do too many. */
static void list_of_two_sizes_makes_windows_of_one_size(struct kunit *test)
{
	/* So many of the larger ones that a window takes them with no granule. */
	const unsigned int nr = 10;
	unsigned int small, large, tails, rounds;
	LIST_HEAD(folios);
	LIST_HEAD(restored);

	small = watch_new(test, SYNTHETIC, PMD_SIZE, nr / 2, &folios);
	large = watch_new(test, SYNTHETIC, CONT_PMD_SIZE, nr / 2, &folios);
	tails = small + large;
	obs.few_readers = CONT_PMD_SIZE / PAGE_SIZE > READ_EACH;
	vmemmap_shadow_optimize_folios(&folios);
	expect_nothing_seen(test);
	KUNIT_EXPECT_EQ(test, obs.freed, tails);
	/* How large a window is tells how many there are. */
	rounds = obs.rounds;
	KUNIT_EXPECT_GE(test, rounds, rounds_of(small - 1) + rounds_of(large - 1));
	KUNIT_EXPECT_LE(test, obs.most_twice, WINDOW);

	KUNIT_EXPECT_EQ(test, nr, vmemmap_shadow_restore_folios(&folios, &restored));
	expect_nothing_seen(test);
	KUNIT_EXPECT_EQ(test, obs.allocs, tails);
	KUNIT_EXPECT_EQ(test, obs.rounds, 2 * rounds);
	unwatch_all();
	KUNIT_EXPECT_EQ(test, put_folios(test, &restored), nr);
}

/* The TLBIs of an operation of one folio, and all else that it did. */
static void expect_one_window(struct kunit *test, unsigned int waits,
			      unsigned int allocs, unsigned int freed)
{
	expect_counts(test, STEPS_TO_REST, STEPS_TO_REST, waits, allocs, freed);
}

/*
 * Each exchange is lost in turn, as if somebody else had stepped the entry and
 * back again. Optimize leaves the entry then, restore tries once more; what is
 * opened is tried again at once.
 */
static void each_exchange_is_lost_in_turn(struct kunit *test)
{
	const enum where where = *(const enum where *)test->param_value;
	struct folio *folio = folio_at(test, where, PMD_SIZE);
	const unsigned int tails = nr_tails(folio);
	unsigned int n, rounds, sealed;

	watch(test, folio);
	for (n = 0; n < STEPS_TO_REST * tails; n++) {
		const unsigned int left = n < 2 * tails;

		obs.exchanges = 0;
		obs.lose_exchange_at = n;
		vmemmap_shadow_optimize_folio(folio);
		/* Nobody really has: where no entry is opened, it stays SEALED. */
		sealed = !heads_page_is_shared && n / tails == 1;
		KUNIT_EXPECT_EQ(test, obs.half_way, sealed);
		obs.half_way -= sealed;
		expect_nothing_seen(test);
		if (!sealed)
			expect_partly_optimized(test, folio, left);
		expect_one_window(test, SHADOW_WAITS_FOR_READERS, 0, tails - left);
		obs.half_way += sealed;
		KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
		expect_nothing_seen(test);
		expect_one_window(test, 0, tails - left, 0);
	}
	for (n = 0; n < STEPS_TO_REST * tails; n++) {
		/* Of the steps back: a seal, if there is one, then a part. */
		const unsigned int part = STEPS_TO_REST - 2;

		obs.lose_exchange_at = UINT_MAX;
		vmemmap_shadow_optimize_folio(folio);
		KUNIT_EXPECT_TRUE(test, folio_test_hugetlb_vmemmap_optimized(folio));
		expect_one_window(test, SHADOW_WAITS_FOR_READERS, 0, tails);
		obs.exchanges = 0;
		obs.lose_exchange_at = n;
		KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
		expect_nothing_seen(test);
		/* The next try begins with a round of its own. */
		rounds = STEPS_TO_REST;
		if (n / tails < part)
			rounds += 1 + 1;
		else if (n / tails == part)
			rounds += 1 + STEPS_TO_REST;
		expect_counts(test, rounds, rounds, 0, tails, 0);
	}
	expect_restored(test, folio);
	unwatch_all();
	put_huge_folio(test, folio);
}

/* No entry is parted, as if each was lost to somebody who puts it back. */
static void restore_that_cannot_part_leaves_nothing_read_only(struct kunit *test)
{
	const enum where where = *(const enum where *)test->param_value;
	struct folio *folio = folio_at(test, where, PMD_SIZE);
	const unsigned int tails = nr_tails(folio);

	watch(test, folio);
	vmemmap_shadow_optimize_folio(folio);
	expect_one_window(test, SHADOW_WAITS_FOR_READERS, 0, tails);
	obs.no_part = true;
	KUNIT_EXPECT_EQ(test, -EBUSY, vmemmap_shadow_restore_folio(folio));
	obs.no_part = false;
	expect_nothing_seen(test);
	KUNIT_EXPECT_EQ(test, obs.waits, 0);
	KUNIT_EXPECT_EQ(test, obs.allocs, tails);
	KUNIT_EXPECT_EQ(test, obs.freed, tails);
	forget_counts();
	expect_optimized(test, folio);

	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	expect_nothing_seen(test);
	expect_one_window(test, 0, tails, 0);
	expect_restored(test, folio);
	unwatch_all();
	put_huge_folio(test, folio);
}

/* One of them has a tail that is not plain, one has its vmemmap in itself. */
static void list_with_odd_ones_goes_on_without_them(struct kunit *test)
{
	const enum where where = *(const enum where *)test->param_value;
	const unsigned int nr = 3;
	struct folio *odd, *hosted;
	struct page *page, *host;
	unsigned int tails;
	LIST_HEAD(folios);
	LIST_HEAD(restored);

	tails = watch_new(test, where, PMD_SIZE, nr, &folios);
	odd = list_last_entry(&folios, struct folio, lru);
	page = folio_page(odd, folio_nr_pages(odd) - 1);
	set_bit(PG_owner_priv_1, tail_flags(page));
	watch_new(test, where, PMD_SIZE, 1, &folios);
	hosted = list_last_entry(&folios, struct folio, lru);
	host = pte_page(__ptep_get(vmemmap_shadow_ptep((unsigned long)hosted)));

	SetPageVmemmapSelfHosted(host);
	vmemmap_shadow_optimize_folios(&folios);
	ClearPageVmemmapSelfHosted(host);
	expect_nothing_seen(test);
	KUNIT_EXPECT_TRUE(test, folio_test_hugetlb_vmemmap_optimized(odd));
	KUNIT_EXPECT_EQ(test, folio_test_hugetlb_vmemmap_optimized(hosted),
			!IS_ENABLED(CONFIG_MEMORY_HOTPLUG));
	if (!folio_test_hugetlb_vmemmap_optimized(hosted)) {
		KUNIT_EXPECT_EQ(test, obs.rounds, STEPS_TO_REST);
		KUNIT_EXPECT_EQ(test, obs.waits, SHADOW_WAITS_FOR_READERS);
		KUNIT_EXPECT_EQ(test, obs.allocs, 0);
		KUNIT_EXPECT_EQ(test, obs.freed, tails - 1);
	}
	KUNIT_EXPECT_TRUE(test, test_and_clear_bit(PG_owner_priv_1, tail_flags(page)));
	expect_partly_optimized(test, odd, 1);
	forget_counts();

	vmemmap_shadow_restore_folios(&folios, &restored);
	expect_nothing_seen(test);
	KUNIT_EXPECT_EQ(test, obs.rounds, STEPS_TO_REST);
	KUNIT_EXPECT_EQ(test, obs.waits, 0);
	KUNIT_EXPECT_EQ(test, obs.freed, 0);
	unwatch_all();
	KUNIT_EXPECT_EQ(test, put_folios(test, &restored), nr + 1);
}

/*
 * Memory runs out at each page that a list needs, and stays away: what has come
 * before its turn is restored, the rest is as it was.
 */
static void each_allocation_of_a_list_fails_in_turn(struct kunit *test)
{
	const enum where where = *(const enum where *)test->param_value;
	const unsigned int nr = 3;
	LIST_HEAD(folios);
	LIST_HEAD(restored);
	const unsigned int tails = watch_new(test, where, PMD_SIZE, nr, &folios);
	struct folio *folio;
	unsigned int n;

	for (n = 0; n < tails; n++) {
		const unsigned int done = n / (tails / nr);

		vmemmap_shadow_optimize_folios(&folios);
		expect_nothing_seen(test);
		KUNIT_EXPECT_EQ(test, obs.freed, tails);
		forget_counts();

		obs.fail_alloc_at = n;
		KUNIT_EXPECT_EQ(test, -ENOMEM,
				vmemmap_shadow_restore_folios(&folios, &restored));
		obs.fail_alloc_at = UINT_MAX;
		expect_nothing_seen(test);
		KUNIT_EXPECT_EQ(test, list_count_nodes(&restored), done);
		KUNIT_EXPECT_EQ(test, list_count_nodes(&folios), nr - done);
		KUNIT_EXPECT_EQ(test, obs.rounds, done ? STEPS_TO_REST : 0);
		KUNIT_EXPECT_EQ(test, obs.waits, 0);
		KUNIT_EXPECT_EQ(test, obs.freed, n % (tails / nr));
		list_for_each_entry(folio, &folios, lru)
			expect_optimized(test, folio);
		forget_counts();

		KUNIT_EXPECT_EQ(test, nr - done,
				vmemmap_shadow_restore_folios(&folios, &restored));
		expect_nothing_seen(test);
		list_splice_init(&restored, &folios);
		forget_counts();
	}
	unwatch_all();
	KUNIT_EXPECT_EQ(test, put_folios(test, &folios), nr);
}

static void each_allocation_fails_in_turn(struct kunit *test)
{
	const enum where where = *(const enum where *)test->param_value;
	struct folio *folio = folio_at(test, where, PMD_SIZE);
	unsigned int n;

	watch(test, folio);
	vmemmap_shadow_optimize_folio(folio);
	forget_counts();
	for (n = 0; n < nr_tails(folio); n++) {
		obs.fail_alloc_at = n;
		obs.stores = 0;
		KUNIT_EXPECT_EQ(test, -ENOMEM, vmemmap_shadow_restore_folio(folio));
		KUNIT_EXPECT_EQ(test, obs.stores, 0);
		expect_counts(test, 0, 0, 0, n + 1, n);
		KUNIT_EXPECT_TRUE(test, folio_test_hugetlb_vmemmap_optimized(folio));
	}
	obs.fail_alloc_at = UINT_MAX;
	KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
	expect_nothing_seen(test);
	unwatch_all();
	put_huge_folio(test, folio);
}

static bool is_strayed(const struct page *page)
{
	return obs.word ? page->mapping == STRAY_WORD :
			  test_bit(PG_owner_priv_1, tail_flags(page));
}

/* Where tails share the head's page, a store to a copy of one may have gone there. */
static bool stray_is_there(struct folio *folio)
{
	return !obs.target || is_strayed(obs.target) ||
	       (heads_page_is_shared && obs.target_index < HEAD_PAGES &&
		is_strayed(folio_page(folio, obs.target_index)));
}

/*
 * A store that met no fault came before the round that seals, and in a tail it may
 * have hit a word that means nothing.
 */
static bool is_lost(struct folio *folio, unsigned int faults)
{
	return !stray_is_there(folio) &&
	       (!obs.word || obs.opened != faults);
}

/*
 * Is it where nobody has stored it, when the folio is restored? Where tails share the
 * head's page, no copy is left of a store through a JOINED entry but where it was made,
 * in the head's page, and one to a plain tail of that page is copied with it. Nor is a
 * copy left of what the head had there before.
 */
static bool stray_spreads(struct folio *folio)
{
	unsigned long i;

	if (folio_test_hugetlb_vmemmap_optimized(folio))
		return false;
	if (heads_page_is_shared && obs.target_index >= HEAD_PAGES)
		return false;
	for (i = HEAD_PAGES; i < folio_nr_pages(folio); i++) {
		const struct page *page = folio_page(folio, i);

		if (page != obs.target &&
		    (is_strayed(page) || page->mapping != TAIL_MAPPING))
			return true;
	}

	return false;
}

/* Undo it, where the head had this in the word. */
static void wipe(struct folio *folio, struct address_space *heads)
{
	unsigned long i;

	for (i = 0; i < folio_nr_pages(folio); i++) {
		struct page *page = folio_page(folio, i);

		clear_bit(PG_owner_priv_1, tail_flags(page));
		if (page->mapping == STRAY_WORD)
			page->mapping = i < HEAD_PAGES ? heads : TAIL_MAPPING;
	}
}

/* The last word of a tail, the memory controller's, says nothing of it. */
static unsigned long *last_word(struct page *tail)
{
	return (unsigned long *)(tail + 1) - 1;
}

/* Plain, but not the same as the others. */
static void make_different(struct page *tail)
{
	WRITE_ONCE(*last_word(tail), 0x5a);
}

static void make_same(struct page *tail)
{
	WRITE_ONCE(*last_word(tail), 0);
}

/* Tails with this number in their entry. */
static void make_all_same(struct folio *folio, unsigned int number)
{
	unsigned long i;

	for (i = number; i < folio_nr_pages(folio); i += PAGES_PER_ENTRY)
		make_same(folio_page(folio, i));
}

struct inject_param {
	const char *name;
	enum inject when;
	bool restore;
	unsigned int target;		/* which struct page of an entry */
	bool word;			/* a word of it that is no flags word */
	bool differ;			/* not all tails are the same */
};

static const struct inject_param injections[] = {
	{ "before each store of optimize", INJECT_BEFORE, false, HEAD_PAGES },
	{ "after each store of optimize", INJECT_AFTER, false, HEAD_PAGES },
	{ "before each store of restore", INJECT_BEFORE, true, HEAD_PAGES },
	{ "after each store of restore", INJECT_AFTER, true, HEAD_PAGES },
	{ "before each store of optimize, to the first of an entry",
	  INJECT_BEFORE, false, 0 },
	{ "after each store of optimize, to the first of an entry",
	  INJECT_AFTER, false, 0 },
	{ "before each store of restore, to the first of an entry",
	  INJECT_BEFORE, true, 0 },
	{ "after each store of restore, to the first of an entry",
	  INJECT_AFTER, true, 0 },
	{ "after each store of optimize, to a word of the last copy",
	  INJECT_AFTER, false, HEAD_PAGES - 1, true },
	{ "after each store of restore, to a word of the last copy",
	  INJECT_AFTER, true, HEAD_PAGES - 1, true },
	{ "before each store of optimize, to tails that differ",
	  INJECT_BEFORE, false, HEAD_PAGES, .differ = true },
	{ "after each store of optimize, to a word of the last copy, tails differ",
	  INJECT_AFTER, false, HEAD_PAGES - 1, true, true },
};

static void inject_desc(const struct inject_param *p, char *desc)
{
	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(inject, injections, inject_desc);

/*
 * A stray store at each of the operations in turn, before and after it: it must
 * be there afterwards, and the folio whole.
 */
static void stray_store_at_each_store_is_kept(struct kunit *test)
{
	const struct inject_param *p = test->param_value;
	const long recoveries = vmemmap_shadow_counter("write recoveries");
	const long left = vmemmap_shadow_counter("entries left unjoined");
	struct folio *folio = huge_folio(test, PMD_SIZE);
	struct address_space **word = &folio_page(folio, p->target)->mapping;
	struct address_space *const before = *word;
	struct address_space *heads = before;
	unsigned int at, ops, lost = 0, failed = 0, spread = 0;

	/* As the hugetlb controller has it: a copy of it does not look plain. */
	if (p->word)
		*word = heads = HEADS_WORD;
	watch(test, folio);
	obs.few_readers = folio_nr_pages(folio) > READ_WHOLE;
	obs.target_index = p->target;
	obs.word = p->word;
	for (at = 0; ; at++) {
		const unsigned int faults = obs.opened;
		int ret;

		if (p->differ)
			make_different(folio_page(folio, DIFFERENT));

		obs.target = NULL;
		obs.nr_ops = 0;
		obs.inject_at = at;
		obs.inject = p->restore ? INJECT_NOTHING : p->when;
		vmemmap_shadow_optimize_folio(folio);
		lost += is_lost(folio, faults);
		ops = obs.nr_ops;

		obs.nr_ops = 0;
		obs.inject = p->restore ? p->when : INJECT_NOTHING;
		failed += !folio_test_hugetlb_vmemmap_optimized(folio);
		ret = vmemmap_shadow_restore_folio(folio);
		failed += !!ret;
		lost += is_lost(folio, faults);
		spread += stray_spreads(folio);
		if (p->restore)
			ops = obs.nr_ops;

		wipe(folio, heads);
		if (!obs.target || ret || obs.failures)
			break;
	}
	expect_nothing_seen(test);
	KUNIT_EXPECT_EQ(test, failed, 0);
	KUNIT_EXPECT_EQ(test, lost, 0);
	KUNIT_EXPECT_EQ(test, spread, 0);
	/* There was one at each of all that there are when there is none. */
	KUNIT_EXPECT_EQ(test, at, ops);
	KUNIT_EXPECT_GE(test, at, STEPS_TO_REST * nr_tails(folio));
	KUNIT_EXPECT_GT(test, vmemmap_shadow_counter("write recoveries"), recoveries);
	KUNIT_EXPECT_EQ(test, obs.opened,
			vmemmap_shadow_counter("write recoveries") - recoveries);
	/* One after the entry is opened, and one before; and where it was JOINED. */
	KUNIT_EXPECT_EQ(test, obs.singles, 2 * obs.opened + JOINED_SINGLES * obs.from_joined);
	KUNIT_EXPECT_EQ(test, obs.runs, JOINED_RUNS * obs.from_joined);
	if (meets_joined(p->when == INJECT_BEFORE, p->restore))
		KUNIT_EXPECT_GT(test, obs.from_joined, 0);
	/* If it met no fault, what it did to a word that means nothing is made equal. */
	if (!p->restore && (heads_page_is_shared || !p->word || p->differ))
		KUNIT_EXPECT_GT(test, vmemmap_shadow_counter("entries left unjoined"), left);
	expect_restored(test, folio);
	kunit_info(test, "%u stores, one stray at each, %ld recoveries, %ld entries left",
		   at, vmemmap_shadow_counter("write recoveries") - recoveries,
		   vmemmap_shadow_counter("entries left unjoined") - left);
	unwatch_all();
	*word = before;
	make_all_same(folio, PAGES_PER_ENTRY - 1);
	put_huge_folio(test, folio);
}

/*
 * Tails may be plain, and not the same: in the head's page, in another one, in
 * both. Then each word is looked at, and made what it is in what they share.
 */
static void tails_that_differ_are_made_equal(struct kunit *test)
{
	struct folio *folio = huge_folio(test, PMD_SIZE);
	struct page *heads = folio_page(folio, PAGES_PER_ENTRY - 2);
	struct page *own = folio_page(folio, 3 * PAGES_PER_ENTRY - 1);
	unsigned int i;

	watch(test, folio);
	for (i = 1; i < 4; i++) {
		if (i & 1)
			make_different(heads);
		if (i & 2)
			make_different(own);
		forget_counts();
		vmemmap_shadow_optimize_folio(folio);
		expect_nothing_seen(test);
		expect_one_window(test, SHADOW_WAITS_FOR_READERS, 0, nr_tails(folio));
		expect_optimized(test, folio);
		KUNIT_EXPECT_EQ(test, 0, vmemmap_shadow_restore_folio(folio));
		expect_nothing_seen(test);
		expect_restored(test, folio);
		KUNIT_EXPECT_EQ(test, *last_word(heads), i & 1 ? 0x5a : 0);
		KUNIT_EXPECT_EQ(test, *last_word(own), 0);
		make_all_same(folio, PAGES_PER_ENTRY - 2);
	}
	unwatch_all();
	put_huge_folio(test, folio);
}

/* ------------------------------------------------------------------------ */
/* At the same time							    */

#define MAX_READERS	4

struct crowd_param {
	unsigned int folios;
	unsigned int cpus;		/* at most so many readers, one on each */
	bool hardirq;
};

static const struct crowd_param crowds[] = {
	{ 1, 1, false }, { 1, MAX_READERS, false }, { 1, MAX_READERS, true },
	{ 10, 1, true }, { 10, MAX_READERS, false },
	{ 80, 1, false }, { 80, MAX_READERS, false }, { 80, MAX_READERS, true },
};

static void crowd_desc(const struct crowd_param *p, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%u folios, readers in %s, on %u CPUs",
		 p->folios, p->hardirq ? "hardirq" : "threads",
		 min(p->cpus, num_online_cpus()));
}

KUNIT_ARRAY_PARAM(crowd, crowds, crowd_desc);

#define MAX_FOLIOS	80
#define CROWD_NS	100000

struct reader {
	struct crowd *crowd;
	struct task_struct *task;
	struct hrtimer timer;
	unsigned long attempts, got, wrong;
	unsigned int folio, page;
};

static struct crowd {
	struct folio *folio[MAX_FOLIOS];
	unsigned int nr;
	bool stop;
	struct reader reader[MAX_READERS];
} crowd;

/*
 * Look at some struct pages, and ask each for a reference. The head's own gives
 * one while it is in use; the others never.
 */
static void crowd_look(struct reader *r, unsigned int n)
{
	struct crowd *c = r->crowd;

	while (n--) {
		struct folio *folio = c->folio[r->folio];
		const bool head = !r->page || n % 8 == 0;
		struct page *page = folio_page(folio, head ? 0 : r->page);

		rcu_read_lock();
		if (page_folio(page) != folio || PageTail(page) == head ||
		    !PageCompound(page) || PageHead(page) != head)
			r->wrong++;
		if (n % 2 ? get_page_unless_zero(page) :
			    folio_try_get((struct folio *)page)) {
			r->wrong += !head;
			r->got++;
			folio_put(folio);
		}
		rcu_read_unlock();
		r->attempts++;

		/* First struct pages of an entry, mostly: those become fake heads. */
		r->page += r->attempts % 4 ? PAGES_PER_ENTRY : PAGES_PER_ENTRY + 1;
		if (r->page >= folio_nr_pages(folio)) {
			r->page %= PAGES_PER_ENTRY;
			r->folio = (r->folio + 1) % c->nr;
		}
	}
}

static int crowd_thread(void *data)
{
	struct reader *r = data;

	while (!kthread_should_stop()) {
		crowd_look(r, 512);
		cond_resched();
	}

	return 0;
}

static enum hrtimer_restart crowd_timer(struct hrtimer *timer)
{
	struct reader *r = container_of(timer, struct reader, timer);

	crowd_look(r, 64);
	hrtimer_forward_now(timer, ns_to_ktime(CROWD_NS));

	return READ_ONCE(r->crowd->stop) ? HRTIMER_NORESTART : HRTIMER_RESTART;
}

static int crowd_timer_start(void *data)
{
	struct reader *r = data;

	set_up_timer(&r->timer, crowd_timer, HRTIMER_MODE_REL_PINNED_HARD);
	hrtimer_start(&r->timer, ns_to_ktime(CROWD_NS), HRTIMER_MODE_REL_PINNED_HARD);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	hrtimer_cancel(&r->timer);

	return 0;
}

/* So many times all the folios, whatever their number. */
#define CROWD_FOLIOS	400

/* The folios are put to use for a while, as from a pool, and taken back. */
static unsigned int crowd_use(struct crowd *c)
{
	const u64 end = ktime_get_ns() + NSEC_PER_SEC;
	unsigned int i, bad = 0;

	for (i = 0; i < c->nr; i++)
		folio_ref_unfreeze(c->folio[i], 1);
	usleep_range(2 * CROWD_NS / NSEC_PER_USEC, 4 * CROWD_NS / NSEC_PER_USEC);
	for (i = 0; i < c->nr; i++) {
		/* Somebody may have a reference for a moment. */
		while (!folio_ref_freeze(c->folio[i], 1)) {
			if (ktime_get_ns() > end) {
				set_page_count(&c->folio[i]->page, 0);
				bad++;
				break;
			}
			cond_resched();
		}
	}

	return bad;
}

/* The operations are not watched here: nothing comes between them. */
static void readers_meanwhile_always_find_the_head(struct kunit *test)
{
	const struct crowd_param *p = test->param_value;
	unsigned int i, loops, cpu, nr = 0, bad = 0;
	struct crowd *c = &crowd;
	unsigned long attempts = 0, got = 0, wrong = 0;
	struct folio *folio;
	LIST_HEAD(folios);
	LIST_HEAD(restored);
	enum where where;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");
	/* As far as they fit into a test guest. */
	where = p->folios * PMD_SIZE > SZ_1G ? SYNTHETIC : LIVE;
	memset(c, 0, sizeof(*c));
	for (c->nr = 0; c->nr < p->folios; c->nr++) {
		c->folio[c->nr] = folio_at(test, where, PMD_SIZE);
		list_add(&c->folio[c->nr]->lru, &folios);
	}

	for_each_online_cpu(cpu) {
		struct reader *r = &c->reader[nr];

		if (nr == p->cpus)
			break;
		r->crowd = c;
		r->page = nr;
		r->task = kthread_create_on_cpu(p->hardirq ? crowd_timer_start :
						crowd_thread, r, cpu,
						"shadow_reader/%u");
		KUNIT_ASSERT_FALSE(test, IS_ERR(r->task));
		wake_up_process(r->task);
		nr++;
	}

	for (loops = 0; loops < CROWD_FOLIOS / c->nr; loops++) {
		vmemmap_shadow_optimize_folios(&folios);
		list_for_each_entry(folio, &folios, lru)
			bad += !folio_test_hugetlb_vmemmap_optimized(folio);
		bad += crowd_use(c);
		bad += vmemmap_shadow_restore_folios(&folios, &restored) != c->nr;
		list_splice_init(&restored, &folios);
	}

	WRITE_ONCE(c->stop, true);
	for (i = 0; i < nr; i++) {
		kthread_stop(c->reader[i].task);
		attempts += c->reader[i].attempts;
		got += c->reader[i].got;
		wrong += c->reader[i].wrong;
		KUNIT_EXPECT_GT(test, c->reader[i].attempts, 0);
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_GT(test, got, 0);
	kunit_info(test, "%u CPUs, %u folios (%s), %u loops, %lu attempts, %lu references of heads",
		   nr, c->nr, where_name[where], loops, attempts, got);
	put_folios(test, &folios);
}

static struct kunit_case observer_cases[] = {
	KUNIT_CASE_PARAM(one_folio_there_and_back, sized_gen_params),
	KUNIT_CASE(raw_tails_of_boot_memory_become_plain_tails),
	KUNIT_CASE_PARAM(list_of_several_windows_there_and_back, where_gen_params),
	KUNIT_CASE_PARAM(list_without_memory_for_notes_goes_one_by_one,
			 where_gen_params),
	KUNIT_CASE(list_of_two_sizes_makes_windows_of_one_size),
	KUNIT_CASE_PARAM(list_with_odd_ones_goes_on_without_them, where_gen_params),
	KUNIT_CASE_PARAM(each_allocation_fails_in_turn, where_gen_params),
	KUNIT_CASE_PARAM(each_allocation_of_a_list_fails_in_turn,
			 where_gen_params),
	KUNIT_CASE_PARAM(each_exchange_is_lost_in_turn, where_gen_params),
	KUNIT_CASE_PARAM(restore_that_cannot_part_leaves_nothing_read_only,
			 where_gen_params),
	KUNIT_CASE_PARAM(stray_store_at_each_store_is_kept, inject_gen_params),
	KUNIT_CASE(tails_that_differ_are_made_equal),
	KUNIT_CASE_PARAM(readers_meanwhile_always_find_the_head,
			 crowd_gen_params),
	{}
};

static struct kunit_suite observer_suite = {
	.name = "vmemmap_shadow_observer",
	.init = observer_init,
	.exit = observer_exit,
	.test_cases = observer_cases,
};

kunit_test_suite(observer_suite);

MODULE_DESCRIPTION("KUnit tests of the shadow vmemmap, store by store");
MODULE_LICENSE("GPL");
