// SPDX-License-Identifier: GPL-2.0
/*
 * The shadow vmemmap, comparison of contents: is a page of tails one struct page,
 * over and over?
 */
#include <linux/mm_types.h>
#include <linux/pgtable.h>
#include <linux/string.h>

#include "vmemmap_shadow.h"

/*
 * Are these four struct pages the same as that one, word for word? An update
 * spends most of its instructions here, and the compiler makes no chain of
 * comparisons that is longer than two.
 */
#define SHADOW_SAME(compare, nr)					\
	"ldp	x9, x10, [%0, #(64 * " #nr ")]\n"			\
	"ldp	x11, x12, [%0, #(64 * " #nr " + 16)]\n"		\
	"ldp	x13, x14, [%0, #(64 * " #nr " + 32)]\n"		\
	"ldp	x15, x16, [%0, #(64 * " #nr " + 48)]\n"		\
	compare								\
	"ccmp	x10, %2, #0, eq\n"					\
	"ccmp	x11, %3, #0, eq\n"					\
	"ccmp	x12, %4, #0, eq\n"					\
	"ccmp	x13, %5, #0, eq\n"					\
	"ccmp	x14, %6, #0, eq\n"					\
	"ccmp	x15, %7, #0, eq\n"					\
	"ccmp	x16, %8, #0, eq\n"

static __always_inline bool shadow_four_same(const struct page *page,
					     const union shadow_words *as)
{
	if (sizeof(*page) != 64)
		return !memcmp(page, as, sizeof(*page)) &&
		       !memcmp(page + 1, as, sizeof(*page)) &&
		       !memcmp(page + 2, as, sizeof(*page)) &&
		       !memcmp(page + 3, as, sizeof(*page));

	asm goto(SHADOW_SAME("cmp	x9, %1\n", 0)
		 SHADOW_SAME("ccmp	x9, %1, #0, eq\n", 1)
		 SHADOW_SAME("ccmp	x9, %1, #0, eq\n", 2)
		 SHADOW_SAME("ccmp	x9, %1, #0, eq\n", 3)
		 "b.ne	%l[differ]"
		 : : "r" (page), "r" (as->word[0]), "r" (as->word[1]),
		     "r" (as->word[2]), "r" (as->word[3]), "r" (as->word[4]),
		     "r" (as->word[5]), "r" (as->word[6]), "r" (as->word[7])
		 : "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16",
		   "cc", "memory" : differ);

	return true;
differ:
	return false;
}

bool vmemmap_shadow_all_same(const struct page *page, const union shadow_words *as)
{
	const union shadow_words same = *as;

	do {
		if (!shadow_four_same(page, &same))
			return false;
		page += 4;
	} while (!PAGE_ALIGNED(page));

	return true;
}
