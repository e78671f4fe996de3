// SPDX-License-Identifier: GPL-2.0
/*
 * The shadow vmemmap, seen from outside: the rule, checked; statistics; debugfs.
 */
#define pr_fmt(fmt) "vmemmap_shadow: " fmt

#include <linux/debugfs.h>
#include <linux/hugetlb.h>
#include <linux/init.h>
#include <linux/ktime.h>
#include <linux/memblock.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/vmemmap_shadow.h>
#include <linux/xarray.h>

#include <kunit/visibility.h>

#define CREATE_SHADOW_OPERATIONS
#include "vmemmap_shadow.h"

bool vmemmap_shadow_broken;

/**
 * vmemmap_shadow_violation() - report a broken invariant, and optimize no more
 * @what:	what is broken
 */
void vmemmap_shadow_violation(const char *what)
{
	KUNIT_STATIC_STUB_REDIRECT(vmemmap_shadow_violation, what);

	pr_err_ratelimited("%s\n", what);
	SHADOW_WARN_ON(true);
}

/* ------------------------------------------------------------------------ */
/* Statistics								    */

static const char * const shadow_counter_name[] = {
	[SHADOW_FOLIOS_OPTIMIZED]	= "folios optimized",
	[SHADOW_FOLIOS_RESTORED]	= "folios restored",
	[SHADOW_FOLIOS_LATER]		= "folios optimized later",
	[SHADOW_FOLIOS_DIED_YOUNG]	= "folios that died young",
	[SHADOW_STEPS]			= "entries stepped",
	[SHADOW_GRACE_PERIODS]		= "grace periods",
	[SHADOW_TLBI_ROUNDS]		= "TLBI rounds",
	[SHADOW_SINGLE_TLBIS]		= "single TLBIs",
	[SHADOW_WRITE_RECOVERIES]	= "write recoveries",
	[SHADOW_ENTRIES_PARTED]		= "entries parted by a write",
	[SHADOW_STALE_FAULTS]		= "stale faults",
	[SHADOW_ENTRIES_LEFT]		= "entries left unjoined",
	[SHADOW_ENTRIES_NOT_PLAIN]	= "entries left unjoined, tail not plain",
	[SHADOW_REFUSED_SELF_HOSTED]	= "folios refused, vmemmap self-hosted",
	[SHADOW_REFUSED_NOT_PLAIN]	= "folios refused, tail not plain",
	[SHADOW_REFUSED_BROKEN]		= "folios refused, after a broken invariant",
	[SHADOW_ALIAS_REFERENCES]	= "references through an alias, dropped",
	[SHADOW_WINDOWS]		= "windows",
	[SHADOW_WINDOW_NS_TOTAL]	= "ns that windows were open",
	[SHADOW_WINDOW_NS_LONGEST]	= "ns that the longest window was open",
	[SHADOW_READ_ONLY_NS_LONGEST]	= "ns that the longest entries were read-only",
	[SHADOW_BYTES_SAVED]		= "bytes saved now",
};

static_assert(ARRAY_SIZE(shadow_counter_name) == SHADOW_NR_COUNTERS);

/* Threads that set up a pool at boot do not share them. */
DEFINE_PER_CPU(long [SHADOW_NR_COUNTERS], vmemmap_shadow_counters);

/* The two that are no sums. */
static atomic_long_t shadow_longest[SHADOW_NR_COUNTERS];

static long shadow_counter_read(enum shadow_counter what)
{
	long sum = atomic_long_read(&shadow_longest[what]);
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(vmemmap_shadow_counters, cpu)[what]);

	return sum;
}

#if IS_ENABLED(CONFIG_KUNIT)
/* The value of a counter by its name in stats, or -1. */
long vmemmap_shadow_counter(const char *name)
{
	const int i = match_string(shadow_counter_name, SHADOW_NR_COUNTERS, name);

	return i < 0 ? -1 : shadow_counter_read(i);
}
#endif

/* Note that something took from then until now, if nothing took longer yet. */
long vmemmap_shadow_note_longest(enum shadow_counter what, u64 then)
{
	const long ns = ktime_get_mono_fast_ns() - then;
	long old = atomic_long_read(&shadow_longest[what]);

	while (ns > old && !atomic_long_try_cmpxchg(&shadow_longest[what], &old, ns))
		;

	return ns;
}

/* ------------------------------------------------------------------------ */
/* The rule, checked							    */

#ifdef CONFIG_VMEMMAP_SHADOW_DEBUG
/*
 * Entries, by their number in the vmemmap, that no TLBI has completed of since
 * they were stepped: stepped only, or with a TLBI issued.
 */
static DEFINE_XARRAY(shadow_unsynced);

enum shadow_unsynced_how { SHADOW_STEPPED = 1, SHADOW_TLBI_ISSUED };

void vmemmap_shadow_debug_stepped(unsigned long addr)
{
	/* What cannot be noted cannot be checked. */
	xa_store(&shadow_unsynced, addr >> PAGE_SHIFT,
		 xa_mk_value(SHADOW_STEPPED), GFP_NOWAIT | __GFP_NOWARN);
}

void vmemmap_shadow_debug_issued(unsigned long start, unsigned long nr)
{
	XA_STATE(xas, &shadow_unsynced, start >> PAGE_SHIFT);
	void *entry;

	xas_lock(&xas);
	xas_for_each(&xas, entry, (start >> PAGE_SHIFT) + nr - 1)
		xas_store(&xas, xa_mk_value(SHADOW_TLBI_ISSUED));
	xas_unlock(&xas);
}

/* The TLBIs that were issued of these entries have completed. */
void vmemmap_shadow_debug_synced(unsigned long start, unsigned long nr)
{
	XA_STATE(xas, &shadow_unsynced, start >> PAGE_SHIFT);
	void *entry;

	xas_lock(&xas);
	xas_for_each(&xas, entry, (start >> PAGE_SHIFT) + nr - 1) {
		if (xa_to_value(entry) == SHADOW_TLBI_ISSUED)
			xas_store(&xas, NULL);
	}
	xas_unlock(&xas);
}

/*
 * A barred entry is only opened, which is all that the exchange does then. And
 * contents are looked at for a while: the handler may let a store to the head's
 * page through meanwhile, and the exchange will fail.
 */
void vmemmap_shadow_debug_step(pte_t *ptep, unsigned long addr, pte_t old,
			       pte_t new)
{
	const pteval_t diff = pte_val(old) ^ pte_val(new);
	const pteval_t perm = SHADOW_TAG | SHADOW_BARRED | PTE_WRITE | PTE_RDONLY;

	if (xa_load(&shadow_unsynced, addr >> PAGE_SHIFT))
		vmemmap_shadow_violation("a step, and no TLBI since the last one");
	if (pte_pfn(old) == pte_pfn(new)) {
		if (diff & ~perm)
			vmemmap_shadow_violation("a step changes more than the permission");
		return;
	}

	if (diff & (PTE_WRITE | PTE_RDONLY) || pte_val(old) & PTE_WRITE)
		vmemmap_shadow_violation("the output address of a writable entry changes");
	else if (!shadow_is_barred(old) &&
		 memcmp(shadow_alias(old), shadow_alias(new), PAGE_SIZE) &&
		 pte_val(__ptep_get(ptep)) == pte_val(old))
		vmemmap_shadow_violation("an output address changes, and the contents differ");
}

static bool shadow_is_in(const struct page *page, const struct list_head *pages)
{
	const struct page *p;

	list_for_each_entry(p, pages, lru) {
		if (p == page)
			return true;
	}

	return false;
}

/*
 * Does any entry of these folios map a page that is about to be released, or
 * might a CPU still translate through one that did?
 */
bool vmemmap_shadow_debug_may_release(const struct shadow_batch *b,
				      const struct list_head *pages)
{
	bool mapped = false, unsynced = false;
	const struct shadow_member *m;
	unsigned long addr;
	struct page *page;
	unsigned int i;
	pte_t *ptep;

	/* Pages in hand have an address noted, those that are mapped none. */
	for_each_in_batch(m, i, b) {
		for_each_member_entry(ptep, addr, m, 0, b->nr_tails) {
			page = pte_page(__ptep_get(ptep));
			mapped |= page_private(page) && shadow_is_in(page, pages);
			unsynced |= !!xa_load(&shadow_unsynced, addr >> PAGE_SHIFT);
		}
	}

	if (mapped)
		vmemmap_shadow_violation("a page that an entry maps is released");
	if (unsynced)
		vmemmap_shadow_violation("a page is released, and no TLBI came before");

	return !mapped;
}
#endif

/* ------------------------------------------------------------------------ */
/* Seen from outside							    */

/* vmemmap_shadow/stats */
VISIBLE_IF_KUNIT
int vmemmap_shadow_stats_show(struct seq_file *seq, void *unused)
{
	unsigned int i;

	for (i = 0; i < SHADOW_NR_COUNTERS; i++)
		seq_printf(seq, "%s: %ld\n", shadow_counter_name[i],
			   shadow_counter_read(i));

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(vmemmap_shadow_stats);

/*
 * vmemmap_shadow/state: a line for each run of neighbouring entries in the same
 * state, "first address-last address entries state". Nothing is locked but
 * memory hotplug, so what is stepped meanwhile may be shown in either state.
 */

static const char * const shadow_state_name[] = {
	[VMEMMAP_SHADOW_OWNED]	= "OWNED",
	[VMEMMAP_SHADOW_SEALED]	= "SEALED",
	[VMEMMAP_SHADOW_JOINED]	= "JOINED",
	[VMEMMAP_SHADOW_SHARED]	= "SHARED",
};

static_assert(ARRAY_SIZE(shadow_state_name) == VMEMMAP_SHADOW_NR_STATES);

/* What maps this vmemmap address, NULL if nothing does, and where that ends. */
static const char *shadow_state_at(unsigned long addr, unsigned long *end)
{
	pmd_t pmd = vmemmap_shadow_pmd(addr);
	pte_t pte;

	*end = ALIGN(addr + 1, PMD_SIZE);
	if (pmd_none(pmd))
		return NULL;
	if (pmd_leaf(pmd))
		return "block";

	*end = addr + PAGE_SIZE;
	pte = __ptep_get(pte_offset_kernel(&pmd, addr));

	return pte_none(pte) ? NULL :
	       shadow_state_name[vmemmap_shadow_pte_state(pte)];
}

/* Find the first run at or behind an address. */
static struct vmemmap_shadow_run *
shadow_find_run(struct vmemmap_shadow_run *run, unsigned long addr)
{
	const unsigned long last = (unsigned long)pfn_to_page(max_pfn);
	unsigned long end;

	run->state = NULL;
	while (addr < last) {
		const char *state = shadow_state_at(addr, &end);

		if (run->state && state != run->state)
			break;
		if (!run->state)
			run->start = addr;
		run->state = state;
		run->end = end;
		addr = end;
		cond_resched();
	}

	return run->state ? run : NULL;
}

static void *state_start(struct seq_file *seq, loff_t *pos)
{
	get_online_mems();

	return shadow_find_run(seq->private, VMEMMAP_START + *pos);
}

static void *state_next(struct seq_file *seq, void *v, loff_t *pos)
{
	struct vmemmap_shadow_run *run = v;

	*pos = run->end - VMEMMAP_START;

	return shadow_find_run(run, run->end);
}

static void state_stop(struct seq_file *seq, void *v)
{
	put_online_mems();
}

static int state_show(struct seq_file *seq, void *v)
{
	const struct vmemmap_shadow_run *run = v;

	seq_printf(seq, "0x%lx-0x%lx %lu %s\n", run->start, run->end - 1,
		   (run->end - run->start) >> PAGE_SHIFT, run->state);

	return 0;
}

VISIBLE_IF_KUNIT
const struct seq_operations vmemmap_shadow_state_sops = {
	.start	= state_start,
	.next	= state_next,
	.stop	= state_stop,
	.show	= state_show,
};

static int state_open(struct inode *inode, struct file *file)
{
	return seq_open_private(file, &vmemmap_shadow_state_sops,
				sizeof(struct vmemmap_shadow_run));
}

static const struct file_operations state_fops = {
	.owner		= THIS_MODULE,
	.open		= state_open,
	.read		= seq_read,
	.llseek		= seq_lseek,
	.release	= seq_release_private,
};

static int __init shadow_debugfs_init(void)
{
	struct dentry *dir = debugfs_create_dir("vmemmap_shadow", NULL);

	debugfs_create_file("stats", 0444, dir, NULL,
			    &vmemmap_shadow_stats_fops);
	debugfs_create_file("state", 0400, dir, NULL, &state_fops);

	return 0;
}
late_initcall(shadow_debugfs_init);
