// SPDX-License-Identifier: GPL-2.0
/*
 * Not kernel code: what tests/writers/sites.py has to find, and what not, is in
 * tests/writers/sample.txt. SetPageHWPoison(page) in a comment is no place.
 */
bool get_page_unless_zero(struct page *page);	/* a declaration is none */

static void calls(struct page *page)
{
	if (page) {
		SetPageHWPoison(page);
	}
	pr_info("ClearPageHWPoison(page) in a string, %c\n", '{');
}

static inline bool
on_the_next_line(struct page *page)
	__must_hold(&lock)
{
	return get_page_unless_zero(page);
}

static __printf(2, 3) void behind_an_attribute(struct page *page, char *f, ...)
{
	set_buddy_order(page, 1);
}

static void on_one_line(struct page *page) { prep_compound_page(page, 1); }

SYSCALL_DEFINE2(sample, struct page *, page, int, order)
{
	return try_page_mte_tagging(page);
}

#define in_a_macro(page)			\
	do {					\
		page_kasan_tag_reset(page);	\
		(page)->private = 0;		\
		page->page_type = 0;		\
	} while (0)

#ifdef CONFIG_SAMPLE
static void one_of_two_heads(struct page *page)
{
#else
static void one_of_two_heads(struct page *page, int order)
{
#endif
	SetPageReserved(page);
}

static void behind_two_heads(struct page *page)
{
	ClearPageReserved(page);
}

#if 0
static void not_built(struct page *page)
{
	SetPageHWPoison(page);
}
#endif

static void assigns(struct page *first, struct page **list, int i)
{
	first->flags |= 1;
	list[i]->private = first->index;
	first[1].mapping = NULL;
	(first + i)->lru.next = NULL;
}

static void by_address(struct page *first)
{
	set_bit(1, &first->flags);
	atomic_inc(&first->_refcount);
}

static void only_reads(struct page *first)
{
	if (test_bit(1, &first->flags) || first->flags == 1)
		return;
	pr_info("%d\n", atomic_read(&first->_refcount));
}

static void of_another_type(struct file *first, struct vm_fault *vmf)
{
	first->flags = 1;
	first->private = NULL;
	vmf->page->index = 1;
}

static const struct sample_ops ops = {
	.take = take_page_off_buddy,
};
