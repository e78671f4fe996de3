/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The shadow vmemmap of arm64: references, and memory errors, where a tail may be a
 * fake head. See Documentation/mm/vmemmap_shadow.rst.
 */
#ifndef _LINUX_VMEMMAP_SHADOW_REF_H
#define _LINUX_VMEMMAP_SHADOW_REF_H

#include <linux/types.h>

#ifdef CONFIG_ARM64_VMEMMAP_PAGEGRAN
#include <linux/align.h>
#include <linux/jump_label.h>
#include <linux/page-flags.h>
#endif

struct page;

#ifdef CONFIG_ARM64_VMEMMAP_PAGEGRAN

/**
 * vmemmap_shadow_may_be_alias() - may this struct page show the head's bytes?
 * @page:	any struct page
 *
 * Only the first struct page in a page of the vmemmap can be a fake head, and
 * only once HVO has been enabled.
 *
 * Context: Any. Costs a static branch until HVO is enabled.
 * Return: false if @page is no fake head, and cannot become one before a grace
 * period has passed; true if one has to look.
 */
static __always_inline bool vmemmap_shadow_may_be_alias(const struct page *page)
{
	return static_branch_unlikely(&hugetlb_optimize_vmemmap_key) &&
	       IS_ALIGNED((unsigned long)page, PAGE_SIZE);
}

/**
 * vmemmap_shadow_ref_add_unless() - add to the reference count of a page that
 *				     may be a fake head
 * @page:	the page
 * @nr:		how many references to add
 * @u:		unless the count is this
 *
 * A fake head shows its head's reference count. Nobody may get a reference
 * through it: the test is made before the add, so that the head's count is
 * left alone, and after it, because @page may have turned into a fake head in
 * between. Then the head, which got the reference, loses it again.
 *
 * Context: Any, in the RCU read-side critical section of
 * page_ref_add_unless(), which optimize waits for.
 * Return: true if @page itself got the reference.
 */
bool vmemmap_shadow_ref_add_unless(struct page *page, int nr, int u);

/**
 * vmemmap_shadow_test_set_hwpoison() - poison a page, unless HugeTLB has it
 * @page:	the page; no reference is needed
 *
 * memory_failure() sets PG_hwpoison in a page whose type it checked before. If
 * the page has become a tail of an optimized folio in between, the flag would
 * end up in the head's vmemmap page, and from there in all others. So the
 * check is repeated here, where optimize waits for it to end.
 *
 * Context: Any.
 * Return: 0 if @page was not poisoned and is now, 1 if it was already, -EAGAIN
 * if it belongs to HugeTLB: nothing is changed then.
 */
int vmemmap_shadow_test_set_hwpoison(struct page *page);

#else

static inline bool vmemmap_shadow_may_be_alias(const struct page *page)
{
	return false;
}

static inline bool vmemmap_shadow_ref_add_unless(struct page *page, int nr,
						 int u)
{
	return false;
}

#define vmemmap_shadow_test_set_hwpoison(page)	TestSetPageHWPoison(page)

#endif /* CONFIG_ARM64_VMEMMAP_PAGEGRAN */

#endif /* _LINUX_VMEMMAP_SHADOW_REF_H */
