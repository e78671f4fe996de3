/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tails of a folio share: the vmemmap page of its head. See
 * vmemmap_shadow_share.c.
 */
#ifndef _ARM64_MM_VMEMMAP_SHADOW_SHARE_H
#define _ARM64_MM_VMEMMAP_SHADOW_SHARE_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/jump_label.h>
#include <linux/mm_types.h>
#include <linux/page-flags.h>
#include <linux/pgtable.h>

/*
 * struct pages at the start of a folio that hold something of the folio's
 * own. The same number of them, at the start of each page that maps a tail
 * entry, show the head's bytes while the entry is JOINED or SHARED, and have
 * to become plain tails again before it is OWNED.
 */
#define SHADOW_HEAD_PAGES	(sizeof(struct folio) / sizeof(struct page))

/* A struct page as words: the flags word, compound_head, and the rest. */
union shadow_words {
	struct page page;
	unsigned long word[sizeof(struct page) / sizeof(unsigned long)];
};

#define SHADOW_FLAGS		0
#define SHADOW_COMPOUND_HEAD	1
#define SHADOW_REST		2
#define SHADOW_NR_WORDS		(sizeof(struct page) / sizeof(unsigned long))

static_assert(offsetof(struct page, flags) ==
	      SHADOW_FLAGS * sizeof(unsigned long));
static_assert(offsetof(struct page, compound_head) ==
	      SHADOW_COMPOUND_HEAD * sizeof(unsigned long));

/*
 * What the struct pages of a folio's own held when its turn came, or that of a
 * try to restore it. The copies that are made of them, and turned back into
 * plain tails later, are made from this: memory_failure(), which takes
 * hugetlb_lock and no reference, may change the head in the middle of that, and
 * a copy of something else could not be told from a stray store.
 */
struct shadow_was {
	union {
		union shadow_words page[SHADOW_HEAD_PAGES];
		unsigned long word[SHADOW_HEAD_PAGES * SHADOW_NR_WORDS];
	};
	union shadow_words plain;	/* the tail behind them */
	unsigned long differ;		/* words of @page that @plain has otherwise */
	bool uniform;			/* are all tails in the head's page @plain? */
};

static_assert(SHADOW_HEAD_PAGES * SHADOW_NR_WORDS <= BITS_PER_LONG);

/* Those that are neither a flags word nor a compound_head. */
#define SHADOW_REST_WORDS						\
	(GENMASK(SHADOW_NR_WORDS - 1, SHADOW_REST) *			\
	 (1UL | BIT(SHADOW_NR_WORDS) | BIT(2 * SHADOW_NR_WORDS) | BIT(3 * SHADOW_NR_WORDS)))

static_assert(SHADOW_HEAD_PAGES == 4);

/*
 * Word n of those that differ, in their order. The first two do: PG_head is in the
 * head only, and bit 0 of compound_head in the tail only, [A].
 */
#define for_each_differing_word(n, bits, differ)			\
	for (bits = (differ); bits && (n = __ffs(bits), true); bits &= bits - 1)

/* While HugeTLB sets up the pools of the command line, hugetlb_init(). */
extern bool vmemmap_shadow_booting;

/* Alias tails end read-write, at the head's page. */
#define SHADOW_AT_REST		VMEMMAP_SHADOW_SHARED

/* Whoever saw a tail before the freeze has to be done: [E] and [F]. */
#define SHADOW_WAITS_FOR_READERS	true

/* A folio's own struct pages, which whoever uses it writes to, are read-only meanwhile. */
#define SHADOW_FOLIOS_IN_USE	0

/* The pages of an array, from the bulk allocator. */
#define shadow_alloc_bulk(gfp, nid, nr, pages)				\
	alloc_pages_bulk_array_node(gfp, nid, nr, pages)

/**
 * vmemmap_shadow_in_use() - has HVO been enabled since boot?
 *
 * Context: Any.
 * Return: false if no entry can have been stepped yet.
 */
static inline bool vmemmap_shadow_in_use(void)
{
	return static_key_enabled(&hugetlb_optimize_vmemmap_key);
}

#endif /* _ARM64_MM_VMEMMAP_SHADOW_SHARE_H */
