// SPDX-License-Identifier: GPL-2.0
/*
 * The shadow vmemmap, what tails share: the vmemmap page of their head, which
 * holds the folio's own struct pages and, behind them, plain tails. So the first
 * struct page in each page of tails becomes a fake head, and none may hand out a
 * reference.
 *
 * See Documentation/mm/vmemmap_shadow.rst. The letters in brackets are those of
 * its barrier pairs.
 */
#define pr_fmt(fmt) "vmemmap_shadow: " fmt

#include <linux/hugetlb.h>
#include <linux/init.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/page-flags.h>
#include <linux/pgtable.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/vmemmap_shadow.h>
#include <linux/vmemmap_shadow_ref.h>

#include <asm/barrier.h>

#include "vmemmap_shadow.h"

bool vmemmap_shadow_booting = true;

static int __init shadow_booted(void)
{
	vmemmap_shadow_booting = false;

	return 0;
}
subsys_initcall_sync(shadow_booted);

/* Bar an entry, if it is read-only, from any step but one that opens it. */
static void shadow_bar(pte_t *ptep)
{
	pte_t pte;

	do {
		pte = __ptep_get(ptep);
		if (shadow_is_writable(vmemmap_shadow_pte_state(pte)) ||
		    shadow_is_barred(pte))
			break;
	} while (!vmemmap_shadow_cmpxchg(ptep, pte,
					 set_pte_bit(pte, __pgprot(SHADOW_BARRED))));
}
NOKPROBE_SYMBOL(shadow_bar);

/* ------------------------------------------------------------------------ */
/* Contents								    */

/*
 * A plain tail has nothing of its own: losing it loses nothing. Its flags
 * word may hold what is the same for the whole folio, or means nothing there:
 * node, zone, section, KASAN tag, last CPU and PID.
 */
static bool shadow_tail_is_plain(const struct page *tail,
				 const struct folio *folio)
{
	const unsigned long place =
		((unsigned long)ZONES_MASK << ZONES_PGSHIFT) |
		((unsigned long)NODES_MASK << NODES_PGSHIFT);
	const unsigned long flags = READ_ONCE(tail->flags);

	return READ_ONCE(tail->compound_head) == (unsigned long)folio + 1 &&
	       page_ref_count(tail) == 0 &&
	       atomic_read(&tail->_mapcount) == -1 &&
	       !(flags & PAGEFLAGS_MASK) &&
	       !((flags ^ folio->flags) & place);
}

/*
 * Two words of a tail mean nothing, and hold what the page's last life has left
 * there: who makes a tail of a struct page leaves them as they are. They become
 * the same in all tails while each page is its entry's own, the folio is the
 * caller's alone, and nobody has a reason to store to them.
 */
static __always_inline void shadow_wipe(struct page *tail)
{
	WRITE_ONCE(tail->lru.prev, NULL);
	WRITE_ONCE(tail->index, 0);
}

static __always_inline void shadow_wipe_four(struct page *tail)
{
	shadow_wipe(tail);
	shadow_wipe(tail + 1);
	shadow_wipe(tail + 2);
	shadow_wipe(tail + 3);
}

static void shadow_wipe_tails(struct folio *folio)
{
	struct page *tail = &folio->page + SHADOW_HEAD_PAGES;
	const struct page *end = &folio->page + folio_nr_pages(folio);

	shadow_wipe_four(tail);
	for (tail += 4; tail < end; tail += 8) {
		shadow_wipe_four(tail);
		shadow_wipe_four(tail + 4);
		if (IS_ALIGNED((unsigned long)tail, SZ_2M))
			cond_resched();
	}
}

/*
 * Gigantic folios of the boot command line come from memblock, and HugeTLB
 * makes tails of only those of their struct pages that HVO keeps. The others
 * hold nothing yet, nothing knows of them, and what their words are nobody has
 * said: they may be what another kernel left in memory. They are raw.
 */
static bool shadow_is_raw(const struct folio *folio)
{
	return READ_ONCE(vmemmap_shadow_booting) &&
	       folio_order(folio) > MAX_PAGE_ORDER;
}

/*
 * Change a word of a page that readers look at, and that a stray writer may
 * have got back, from a value that is known to one that is wanted. Never over
 * anything that came in between: that is somebody's store, and it is kept.
 * A release, if it changes anything.
 */
static bool shadow_change_word(struct page *page, unsigned int w,
			       unsigned long from, unsigned long to)
{
	return from == to ||
	       vmemmap_shadow_store((unsigned long *)page + w, from, to);
}

static unsigned long shadow_read_word(const struct page *page, unsigned int w)
{
	return READ_ONCE(((const unsigned long *)page)[w]);
}

/*
 * Does the head's page hold anything that is not the folio's own, besides plain
 * tails? It would show in every alias, and end up in every page after restore.
 * Notes whether all of them are the same: then one that is need not be looked at.
 */
static bool shadow_head_is_plain(const struct folio *folio, struct shadow_was *was)
{
	const unsigned int nr = PAGE_SIZE / sizeof(struct page);
	unsigned int i;

	for (i = 1; i < SHADOW_HEAD_PAGES; i++) {
		if (READ_ONCE((&folio->page + i)->flags) & __PG_HWPOISON)
			return false;
	}
	if (!shadow_tail_is_plain(&was->plain.page, folio))
		return false;

	was->uniform = vmemmap_shadow_all_same(&folio->page + i, &was->plain);
	for (; i < nr && !was->uniform; i++) {
		if (!shadow_tail_is_plain(&folio->page + i, folio))
			return false;
	}

	return true;
}

static void shadow_refuse_not_plain(struct folio *folio)
{
	shadow_count(SHADOW_REFUSED_NOT_PLAIN, 1);
	pr_warn_once("pfn %#lx: struct page not a plain tail, folio left unoptimized\n",
		     folio_pfn(folio));
}

void vmemmap_shadow_note(struct shadow_member *m)
{
	const struct folio *folio = m->folio;
	struct shadow_was *was = &m->was;
	unsigned long differ = 0;
	unsigned int w;

	memcpy(&was->plain, &folio->page + SHADOW_HEAD_PAGES, sizeof(was->plain));
	memcpy(was->page, folio, sizeof(was->page));

	/* Unrolled. */
	for (w = 0; w < SHADOW_NR_WORDS; w++) {
		const unsigned long plain = was->plain.word[w];
		unsigned long here;

		here = was->page[0].word[w] != plain;
		here |= (unsigned long)(was->page[1].word[w] != plain) << SHADOW_NR_WORDS;
		here |= (unsigned long)(was->page[2].word[w] != plain) << 2 * SHADOW_NR_WORDS;
		here |= (unsigned long)(was->page[3].word[w] != plain) << 3 * SHADOW_NR_WORDS;
		differ |= here << w;
	}
	was->differ = differ;
}

bool vmemmap_shadow_prepare(struct shadow_member *m)
{
	if (!shadow_is_raw(m->folio))
		shadow_wipe_tails(m->folio);
	vmemmap_shadow_note(m);
	if (shadow_head_is_plain(m->folio, &m->was))
		return true;

	shadow_refuse_not_plain(m->folio);

	return false;
}

unsigned long vmemmap_shadow_shared_pfn(const struct shadow_member *m)
{
	return pte_pfn(__ptep_get(m->ptep));
}

/**
 * shadow_equalize_words() - the same for a page whose tails are not all the same
 * @folio:	the folio, which lies in the head's page
 * @was:	what the folio's own struct pages held
 * @ptep:	the SEALED entry that maps the page
 * @sealed:	what it was
 *
 * Return: see shadow_equalize().
 */
static noinline int shadow_equalize_words(struct folio *folio,
					  const struct shadow_was *was,
					  pte_t *ptep, pte_t sealed)
{
	const unsigned int nr = PAGE_SIZE / sizeof(struct page);
	struct page *own = shadow_alias(sealed);
	unsigned int i, w;

	for (i = 0; i < nr; i++) {
		if (!shadow_tail_is_plain(own + i, folio)) {
			shadow_count(SHADOW_ENTRIES_NOT_PLAIN, 1);
			return -EBUSY;
		}
	}

	for (i = 0; i < nr; i++) {
		union shadow_words old;

		for (w = 0; w < SHADOW_NR_WORDS; w++)
			old.word[w] = shadow_read_word(own + i, w);
		/*
		 * [D]: the words before the entry: if it is SEALED still, no
		 * store had come in between, and one that comes now makes an
		 * exchange below fail. Pairs with the exchange in
		 * __vmemmap_shadow_fault(), which the TLBI behind it orders
		 * before the store that it lets through. Without it such a
		 * store could be lost.
		 */
		smp_rmb();
		if (pte_val(__ptep_get(ptep)) != pte_val(sealed) ||
		    !shadow_tail_is_plain(&old.page, folio))
			return -EAGAIN;

		for (w = SHADOW_FLAGS; w < SHADOW_NR_WORDS; w++) {
			const unsigned long word = i < SHADOW_HEAD_PAGES ?
				was->page[i].word[w] :
				shadow_read_word(&folio->page + i, w);

			if (!shadow_change_word(own + i, w, old.word[w], word))
				return -EAGAIN;
		}
	}

	return 0;
}

/**
 * shadow_equalize() - make a sealed page's contents those of the head's page
 * @folio:	the folio, which lies in the head's page
 * @was:	what the folio's own struct pages held
 * @ptep:	the SEALED entry that maps the page
 *
 * Readers keep looking at the page. All they see of entries other than the
 * first is that a few fields, which say nothing of a tail, change; their
 * compound_head keeps its value. The first one turns from a plain tail to a
 * fake head, and readers must find the head at either and in between: so
 * PG_head is set before compound_head loses bit 0. [A]: pairs with the
 * acquire of compound_head in page_fixed_fake_head(). It comes before the others:
 * a page of which any word that matters was changed can be told by its fake head,
 * see shadow_replain().
 *
 * If all tails are the same in both pages, word for word, what the words are that
 * have to change is known, and to what. An exchange does not take them from
 * anything else, so that a store which came in between is kept. If not, each word
 * is looked at.
 *
 * Nothing is compared again when the entry is joined. A store to this page opens
 * the entry first, and one to the head's page through any of the folio's entries
 * bars it first: the exchange that joins it fails then.
 *
 * Return: 0 if each word of the page was made equal; -EBUSY if the page holds
 * anything but plain tails, then it is unchanged; -EAGAIN if a stray writer got
 * to it meanwhile.
 */
static int shadow_equalize(struct folio *folio, const struct shadow_was *was,
			   pte_t *ptep)
{
	const pte_t sealed = __ptep_get(ptep);
	struct page *own = shadow_alias(sealed);
	unsigned long bits;
	unsigned int n;

	if (vmemmap_shadow_pte_state(sealed) != VMEMMAP_SHADOW_SEALED)
		return -EAGAIN;

	if (shadow_is_raw(folio)) {
		vmemmap_shadow_copy(own, folio, was->page, sizeof(was->page));
		return 0;
	}

	if (!was->uniform || !vmemmap_shadow_all_same(own, &was->plain))
		return shadow_equalize_words(folio, was, ptep, sealed);

	for_each_differing_word(n, bits, was->differ) {
		if (!vmemmap_shadow_store((unsigned long *)own + n,
					  was->plain.word[n % SHADOW_NR_WORDS],
					  was->word[n]))
			return -EAGAIN;
	}

	return 0;
}

void vmemmap_shadow_equalize(struct shadow_member *m, unsigned int lo,
			     unsigned int hi)
{
	unsigned long addr;
	pte_t *ptep;

	for_each_member_entry(ptep, addr, m, lo, hi) {
		if (shadow_equalize(m->folio, &m->was, ptep))
			shadow_bar(ptep);
	}
}

/*
 * Give a page in hand, which nothing maps yet but the linear map, the contents
 * of the head's page. Nobody stores to that: HugeTLB and memory_failure() leave
 * a folio in flight alone, and stores through a tail entry are excluded by its
 * seal; who is let through bars the entry from being parted.
 */
void vmemmap_shadow_fill(const struct shadow_member *m, struct page *page)
{
	vmemmap_shadow_copy(page_to_virt(page), m->folio, m->was.page,
			    sizeof(m->was.page));
}

/**
 * shadow_replain() - turn copies of the head and its first tails into plain
 *		      tails
 * @was:	what was copied
 * @own:	the page that a SEALED or OWNED tail entry maps, through its
 *		alias
 *
 * The reverse of shadow_equalize(), and a no-op on a page that it left alone.
 * A stray writer may have stored to the page after it was sealed or parted.
 * What is not a copy is not ours to change, and flags words lose only the flags
 * that were copied.
 */
static void shadow_replain(const struct shadow_was *was, struct page *own)
{
	unsigned long bits;
	unsigned int i, n;

	if (READ_ONCE(own->compound_head) & 1 || !page_is_fake_head(own))
		return;

	/*
	 * compound_head first: with bit 0 set a reader needs no PG_head, and
	 * without PG_head it needs bit 0. [H]: the change of the flags word below
	 * is a release; pairs with the acquire of the flags word in
	 * page_fixed_fake_head().
	 */
	shadow_change_word(own, SHADOW_COMPOUND_HEAD,
			   was->page[0].word[SHADOW_COMPOUND_HEAD],
			   was->plain.word[SHADOW_COMPOUND_HEAD]);

	for (i = 0; i < SHADOW_HEAD_PAGES; i++) {
		const unsigned long copied =
			was->page[i].page.flags & PAGEFLAGS_MASK;
		unsigned long flags;

		if (!copied)
			continue;
		do {
			flags = READ_ONCE(own[i].flags);
		} while (!shadow_change_word(own + i, SHADOW_FLAGS, flags,
					     flags & ~copied));
	}

	for_each_differing_word(n, bits, was->differ & SHADOW_REST_WORDS)
		vmemmap_shadow_store((unsigned long *)own + n, was->word[n],
				     was->plain.word[n % SHADOW_NR_WORDS]);
}

void vmemmap_shadow_replain(struct shadow_member *m, unsigned int lo,
			    unsigned int hi)
{
	unsigned long addr;
	pte_t *ptep;

	for_each_member_entry(ptep, addr, m, lo, hi) {
		const pte_t pte = __ptep_get(ptep);

		if (!shadow_maps_shared(vmemmap_shadow_pte_state(pte)))
			shadow_replain(&m->was, shadow_alias(pte));
	}
}

/* ------------------------------------------------------------------------ */
/* Stray writes								    */

/*
 * Bar all of a folio's entries that are read-only from any step but one that
 * opens them, and complete a TLBI of all of them: [M]. After that no two output
 * addresses of any of them are live, and none can be joined or parted: the
 * updater has sealed them all before the first join or part, and its exchanges
 * on what is barred fail.
 *
 * The entry at @addr is JOINED, so that it shows the folio's plain tails: whose
 * they are says each but the first few. Returns false if the entry is not, any
 * more.
 */
static bool shadow_bar_folio(pte_t *ptep, unsigned long addr)
{
	const struct page *tail = (struct page *)addr + SHADOW_HEAD_PAGES;
	const unsigned long head = READ_ONCE(tail->compound_head) - 1;
	struct folio *folio = (struct folio *)head;
	unsigned long at, end;
	unsigned int nr_tails;

	/*
	 * As in shadow_equalize(), [D]: what was read before the entry. If it is
	 * JOINED still, that was a tail of the head's page.
	 */
	smp_rmb();
	if (vmemmap_shadow_pte_state(__ptep_get(ptep)) != VMEMMAP_SHADOW_JOINED)
		return false;

	nr_tails = shadow_nr_tails(folio);
	for_each_tail_entry(ptep, at, folio, 0, nr_tails)
		shadow_bar(ptep);

	end = shadow_tail_addr(folio, nr_tails);
	vmemmap_shadow_tlbi_run(head, (end - head) >> PAGE_SHIFT);

	return true;
}
NOKPROBE_SYMBOL(shadow_bar_folio);

/*
 * The store goes to the head's page: with that, nothing of the folio may be on
 * its way there or back. Who finds the bar gone bars it again.
 */
int vmemmap_shadow_stray_write(pte_t *ptep, unsigned long addr, pte_t pte)
{
	pte_t barred = set_pte_bit(pte, __pgprot(SHADOW_BARRED));

	return shadow_bar_folio(ptep, addr) &&
	       vmemmap_shadow_cmpxchg(ptep, barred,
				      shadow_mk_pte(barred, VMEMMAP_SHADOW_SHARED, 0)) ?
	       0 : -EAGAIN;
}
NOKPROBE_SYMBOL(vmemmap_shadow_stray_write);

/* ------------------------------------------------------------------------ */
/* References, and memory errors					    */

bool vmemmap_shadow_ref_add_unless(struct page *page, int nr, int u)
{
	struct folio *folio;

	/*
	 * Acquire: the count before the test. An alias shows the head's count,
	 * and whoever sees that must find in the test that it is an alias. [C]:
	 * pairs with the release of page_ref_unfreeze(), by which the head gets
	 * a count after all rounds, and with [B], by which the alias came to
	 * be. It orders the translation of the exchange below, too:
	 * who has seen through a writable entry that the head is not frozen
	 * any more does not fault on a read-only one that came before it.
	 */
	if (atomic_read_acquire(&page->_refcount) == u ||
	    page_is_fake_head(page))
		return false;

	vmemmap_shadow_ref_hold(page);
	if (!atomic_add_unless(&page->_refcount, nr, u))
		return false;

	/*
	 * Once more, for the page may have turned into an alias in between,
	 * and then it is the head that got the reference. [I]: fully ordered
	 * after the exchange; pairs with [A] and [B]. The head cannot be
	 * restored while it has it.
	 */
	folio = page_folio(page);
	if (likely(&folio->page == page))
		return true;

	shadow_count(SHADOW_ALIAS_REFERENCES, 1);
	folio_put_refs(folio, nr);

	return false;
}
/* page_ref_add_unless() is inline, and in modules of any license. */
EXPORT_SYMBOL(vmemmap_shadow_ref_add_unless);

int vmemmap_shadow_test_set_hwpoison(struct page *page)
{
	int ret = -EAGAIN;

	/*
	 * The test and the store are one RCU read-side critical section.
	 * HugeTLB types a folio before the grace period of
	 * vmemmap_shadow_optimize_folios(), and its tails are looked at after
	 * that: either they are found poisoned, and the folio is left alone,
	 * or it is found typed here: [F].
	 */
	rcu_read_lock();
	if (!PageHuge(page))
		ret = TestSetPageHWPoison(page);
	rcu_read_unlock();

	return ret;
}
