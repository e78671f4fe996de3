// SPDX-License-Identifier: GPL-2.0
/*
 * A module that is not GPL and takes a reference to a page, as any could before the
 * shadow vmemmap was there: it builds, links and loads.
 */
#include <linux/mm.h>
#include <linux/module.h>

static int __init reference_init(void)
{
	struct page *page = alloc_page(GFP_KERNEL);
	struct folio *folio;

	if (!page)
		return -ENOMEM;
	folio = page_folio(page);
	if (get_page_unless_zero(page)) {
		pr_info("reference: %d\n", folio_ref_count(folio));
		put_page(page);
	}
	if (folio_try_get(folio)) {
		pr_info("reference: %d, again\n", folio_ref_count(folio));
		folio_put(folio);
	}
	__free_page(page);
	return 0;
}
module_init(reference_init);

MODULE_DESCRIPTION("A reference to a page, taken by a module that is not GPL");
MODULE_LICENSE("Proprietary");
