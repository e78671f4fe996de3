/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tails of a folio share: a page of tails for each zone and order. See
 * vmemmap_shadow_share.c.
 */
#ifndef _ARM64_MM_VMEMMAP_SHADOW_SHARE_H
#define _ARM64_MM_VMEMMAP_SHADOW_SHARE_H

#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/mm_types.h>

/* A struct page as words: the flags word, compound_info, and the rest. */
union shadow_words {
	struct page page;
	unsigned long word[sizeof(struct page) / sizeof(unsigned long)];
};

#define SHADOW_NR_WORDS		(sizeof(struct page) / sizeof(unsigned long))

static_assert(offsetof(struct page, flags) == 0);
static_assert(offsetof(struct page, compound_info) == sizeof(unsigned long));

/* The shared page, and the tail that it is full of. */
struct shadow_was {
	struct page *shared;
	const union shadow_words *tail;
};

/*
 * Alias tails stay read-only. All folios of a size in a zone share the page: one
 * store to it would show in all of them. Who stores to a tail gets a page for its
 * entry alone.
 */
#define SHADOW_AT_REST		VMEMMAP_SHADOW_JOINED

/*
 * Nobody is waited for before the seals: a store that comes late, by who has seen a
 * tail before the freeze, goes to a page of the entry's own.
 */
#define SHADOW_WAITS_FOR_READERS	false

/*
 * The head's page is not stepped, and nobody who uses a folio stores to tails
 * behind it. So a folio may be optimized at any time of its life: see
 * vmemmap_shadow_later.c.
 */
#define SHADOW_FOLIOS_IN_USE	1

/* The pages of an array, from the bulk allocator. */
#define shadow_alloc_bulk(gfp, nid, nr, pages)				\
	alloc_pages_bulk_node(gfp, nid, nr, pages)

/* While HugeTLB sets up the pools of the command line, hugetlb_init(). */
extern bool vmemmap_shadow_booting;

/* Set with the first folio that is optimized, for good. */
extern bool vmemmap_shadow_used;

/**
 * vmemmap_shadow_in_use() - may an entry have been stepped since boot?
 *
 * Context: Any.
 * Return: false if none can have been.
 */
static inline bool vmemmap_shadow_in_use(void)
{
	return READ_ONCE(vmemmap_shadow_used);
}

#if IS_ENABLED(CONFIG_KUNIT)
struct folio;
struct work_struct;

struct page *vmemmap_shadow_spare_get(void);
void vmemmap_shadow_later_arm(void);
bool vmemmap_shadow_later_note(struct folio *folio);
void vmemmap_shadow_later_work(struct work_struct *work);
#endif

#endif /* _ARM64_MM_VMEMMAP_SHADOW_SHARE_H */
