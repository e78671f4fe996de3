/* SPDX-License-Identifier: GPL-2.0 */
/* What the KUnit suites have to know of this kernel: see vmemmap_shadow_kunit.h. */
#ifndef _MM_KUNIT_VMEMMAP_SHADOW_SHARE_KUNIT_H
#define _MM_KUNIT_VMEMMAP_SHADOW_SHARE_KUNIT_H

#include <linux/hrtimer.h>
#include <linux/mm_types.h>

/* Words of a struct page. */
#define tail_flags(page)	(&(page)->flags)
#define tail_index(page)	((page)->index)
#define tail_head_word(page)	((page)->compound_head)

/* A function that generates parameters. */
#define GEN_PARAMS(name)	const void *name(const void *prev, char *desc)

static inline void set_up_timer(struct hrtimer *timer,
				enum hrtimer_restart (*function)(struct hrtimer *),
				enum hrtimer_mode mode)
{
	hrtimer_init(timer, CLOCK_MONOTONIC, mode);
	timer->function = function;
}

/* Map pages in the vmalloc area. */
#define map_pages_at(addr, end, pages)					\
	vmap_pages_range_noflush(addr, end, PAGE_KERNEL, pages, PAGE_SHIFT)

/* TLBIs more of a store that meets a JOINED entry: of this one, and of all. */
#define JOINED_SINGLES	(-1)
#define JOINED_RUNS	1

/*
 * May a stray store, before or after each store of an operation, meet a JOINED
 * entry? Behind the seals of restore this CPU's TLB lets it through.
 */
static inline bool meets_joined(bool before, bool restore)
{
	return before || !restore;
}

/* A struct page that makes tails differ: those of the head's page are shared. */
#define DIFFERENT	(PAGES_PER_ENTRY - 1)

#endif
