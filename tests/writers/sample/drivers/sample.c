// SPDX-License-Identifier: GPL-2.0
/* Not kernel code. Here set_page_private() and page_ref_inc() do not count. */
static void sample_probe(struct page *page)
{
	set_page_private(page, 1);
	page_ref_inc(page);
	__SetPageOffline(page);
	page->private = 0;
}
