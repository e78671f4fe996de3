/* SPDX-License-Identifier: GPL-2.0 */
/* What the KUnit suites have to know of this kernel: see vmemmap_shadow_kunit.h. */
#ifndef _MM_KUNIT_VMEMMAP_SHADOW_SHARE_KUNIT_H
#define _MM_KUNIT_VMEMMAP_SHADOW_SHARE_KUNIT_H

#include <linux/hrtimer.h>
#include <linux/mm_types.h>

struct folio;
struct kunit;

/* Words of a struct page. */
#define tail_flags(page)	(&(page)->flags.f)
#define tail_index(page)	((page)->__folio_index)
#define tail_head_word(page)	((page)->compound_info)

/* A function that generates parameters. */
#define GEN_PARAMS(name)						\
	const void *name(struct kunit *test, const void *prev, char *desc)

static inline void set_up_timer(struct hrtimer *timer,
				enum hrtimer_restart (*function)(struct hrtimer *),
				enum hrtimer_mode mode)
{
	hrtimer_setup(timer, function, CLOCK_MONOTONIC, mode);
}

/* Map pages in the vmalloc area. */
#define map_pages_at(addr, end, pages)					\
	vmap_pages_range(addr, end, PAGE_KERNEL, pages, PAGE_SHIFT)

/* TLBIs more of a store that meets a JOINED entry: of this one, before it is parted. */
#define JOINED_SINGLES	1
#define JOINED_RUNS	0

/*
 * May a stray store, before or after each store of an operation, meet a JOINED
 * entry? Behind the join, and before the part.
 */
static inline bool meets_joined(bool before, bool restore)
{
	return before == restore;
}

/* Where the page is noted that a folio's tails share; NULL if it has no such tails. */
struct page **shared_slot(const struct folio *folio);
/* Make a page of tails of any page, of an order and a zone; such a one for a folio. */
void fill_with_tails(struct page *page, unsigned int order, struct zone *zone);
void fill_shared(struct page *page, const struct folio *folio);

/* A struct page that makes tails differ: the first tail page's, not the head's. */
#define DIFFERENT	(2 * PAGES_PER_ENTRY - 1)

#endif
