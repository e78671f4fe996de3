/* SPDX-License-Identifier: GPL-2.0 */
/* What the KUnit suites of the shadow vmemmap have in common. */
#ifndef _MM_KUNIT_VMEMMAP_SHADOW_KUNIT_H
#define _MM_KUNIT_VMEMMAP_SHADOW_KUNIT_H

#include <kunit/static_stub.h>
#include <kunit/test.h>

#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/sizes.h>

#include "../../arch/arm64/mm/vmemmap_shadow.h"
#include "vmemmap_shadow_share_kunit.h"

#define PAGES_PER_ENTRY	(PAGE_SIZE / sizeof(struct page))
/* struct pages that belong to the folio itself. */
#define HEAD_PAGES	(sizeof(struct folio) / sizeof(struct page))
/* Entries of a window. */
#define WINDOW		(SZ_2M / PAGE_SIZE)
/* Steps from OWNED to where alias tails rest; a TLBI round follows each. */
#define STEPS_TO_REST	((unsigned int)SHADOW_AT_REST)

/* Do alias tails rest writable? Only at a page that is their folio's own, its head's. */
static const bool heads_page_is_shared = STEPS_TO_REST == VMEMMAP_SHADOW_SHARED;

/* Call an operation itself, instead of what replaces it in this thread. */
#define REAL(call)							\
({									\
	struct kunit *__test = current->kunit_test;			\
	typeof(call) __ret;						\
									\
	current->kunit_test = NULL;					\
	__ret = (call);							\
	current->kunit_test = __test;					\
	__ret;								\
})

#define REAL_VOID(call)		((void)REAL(((call), 0)))

/* A folio as HugeTLB hands it over: typed, frozen, in nobody else's hands. */
struct folio *huge_folio(struct kunit *test, unsigned long size);

/*
 * The same with struct pages, and page tables, that nobody else knows of: in the
 * vmalloc area, which is mapped with pages like the vmemmap. There is no memory
 * behind these struct pages, so that any size will do, and no fault handler for
 * the addresses. If raw, all but those that share a page with the head hold
 * nothing yet, as with the gigantic folios of the boot command line.
 */
struct folio *synthetic_folio(struct kunit *test, unsigned long size, bool raw);

enum where { SYNTHETIC, LIVE };

extern const char * const where_name[];
/* For KUNIT_CASE_PARAM(): first the one, then the other. */
GEN_PARAMS(where_gen_params);

/* Either of these, not raw. */
struct folio *folio_at(struct kunit *test, enum where where, unsigned long size);

/* Give it back, and see that the page allocator finds nothing wrong with it. */
void put_huge_folio(struct kunit *test, struct folio *folio);
/* The same for all on a list, which must be restored. Returns how many they were. */
unsigned int put_folios(struct kunit *test, struct list_head *list);
/* All entries OWNED, no page mapped twice, all that follow the head plain. */
void expect_restored(struct kunit *test, struct folio *folio);
/* All entries SHARED, and everybody finds the head. */
void expect_optimized(struct kunit *test, struct folio *folio);
void expect_partly_optimized(struct kunit *test, struct folio *folio, unsigned int left);

pte_t tail_entry(const struct folio *folio, unsigned int n);
pte_t head_entry(const struct folio *folio);
void expect_readers_find_head(struct kunit *test, struct folio *folio);

/* Step all tail entries, and see to it that nobody has the old ones. */
void step_all(struct kunit *test, struct folio *folio,
	      enum vmemmap_shadow_state from, enum vmemmap_shadow_state to);

/* So many of PMD_SIZE, at the start of a list. */
void make_folios(struct kunit *test, struct list_head *list, unsigned int nr);

/* What a suite starts and ends each case with. */
int shadow_test_init(struct kunit *test);
void shadow_test_exit(struct kunit *test);
/* Grace periods since then. */
extern int nr_waits;

/* Stand in for vmemmap_shadow_wait_readers(). */
void wait_for_nobody(void);

/* Spin until another thread says so; five seconds at most, then the case fails by itself. */
void wait_until(const bool *what);

/* Stray stores to one tail: where, when a window is held open, and away with them. */
extern unsigned long *under_fire;
void aim_at(struct folio *folio);
void fire(struct folio *folio, unsigned int lo, unsigned int hi);
void stray_wipe(struct folio *folio);

/* ------------------------------------------------------------------------ */
/* Each base has its own: vmemmap_shadow_share_kunit.c			    */

/* A compound page of the page allocator's, frozen; NULL if there is none. */
struct folio *frozen_folio(unsigned int order, gfp_t gfp);
/* A compound page of an order, of which so many struct pages are made. */
void make_compound(struct folio *folio, unsigned int order, unsigned long nr);
/* What such folios share is there, and what it is. */
void make_shared(struct kunit *test, struct folio *folio);
unsigned long shared_pfn(const struct folio *folio);
/* Has anybody stored to what must never change? */
bool shared_is_changed(const struct folio *folio);
bool is_plain_tail(const struct page *page, const struct folio *folio);
/* What optimizing and restoring leave of the head's page. */
void wipe_head_page(struct page *page);
/* Around each case. */
void base_test_init(void);
void base_test_exit(struct kunit *test);

/* Where a store to a read-only entry leaves it. */
static inline enum vmemmap_shadow_state opened_from(enum vmemmap_shadow_state state)
{
	return state == VMEMMAP_SHADOW_JOINED && heads_page_is_shared ?
	       VMEMMAP_SHADOW_SHARED : VMEMMAP_SHADOW_OWNED;
}

/* Tail entries; none if all of its struct pages share a page. */
static inline unsigned int nr_tails(const struct folio *folio)
{
	return max(1UL, folio_nr_pages(folio) / PAGES_PER_ENTRY) - 1;
}

#endif
