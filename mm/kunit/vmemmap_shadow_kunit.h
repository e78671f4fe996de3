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

#define PAGES_PER_ENTRY	(PAGE_SIZE / sizeof(struct page))
/* struct pages that belong to the folio itself. */
#define HEAD_PAGES	(sizeof(struct folio) / sizeof(struct page))
/* Entries of a window. */
#define WINDOW		(SZ_2M / PAGE_SIZE)

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
const void *where_gen_params(const void *prev, char *desc);

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

/* Tail entries; none if all of its struct pages share a page. */
static inline unsigned int nr_tails(const struct folio *folio)
{
	return max(1UL, folio_nr_pages(folio) / PAGES_PER_ENTRY) - 1;
}

#endif
