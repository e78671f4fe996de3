/* SPDX-License-Identifier: GPL-2.0 */
/* What mm/kunit looks at and replaces in arch/arm64/mm/vmemmap_shadow.c. */
#ifndef _ARM64_MM_VMEMMAP_SHADOW_H
#define _ARM64_MM_VMEMMAP_SHADOW_H

#include <linux/seq_file.h>
#include <linux/vmemmap_shadow.h>

#include <asm/pgtable-types.h>

/**
 * struct vmemmap_shadow_run - neighbouring entries in the same state
 * @start:	the address that the first of them maps
 * @end:	the address behind what the last one maps
 * @state:	the state's name, or "block" for what is not mapped with pages
 */
struct vmemmap_shadow_run {
	unsigned long start, end;
	const char *state;
};

#if IS_ENABLED(CONFIG_KUNIT)
enum vmemmap_shadow_state vmemmap_shadow_pte_state(pte_t pte);
int vmemmap_shadow_step(pte_t *ptep, enum vmemmap_shadow_state from,
			enum vmemmap_shadow_state to, unsigned long pfn);
pte_t *vmemmap_shadow_ptep(unsigned long addr);
long vmemmap_shadow_counter(const char *name);

bool vmemmap_shadow_cmpxchg(pte_t *ptep, pte_t old, pte_t new);
bool vmemmap_shadow_store(unsigned long *word, unsigned long old,
			  unsigned long new);
void vmemmap_shadow_copy(void *to, const void *from, const void *was,
			 size_t size);
void vmemmap_shadow_tlbi(unsigned long start, unsigned long nr);
void vmemmap_shadow_tlbi_sync(void);
void vmemmap_shadow_tlbi_one(unsigned long addr);
void vmemmap_shadow_tlbi_run(unsigned long start, unsigned long nr);
void vmemmap_shadow_wait_readers(void);
unsigned int vmemmap_shadow_alloc_pages(int nid, unsigned int nr,
					struct page **pages);
void *vmemmap_shadow_alloc_note(size_t size);
void vmemmap_shadow_free_pages(struct page *page, unsigned int order);
void vmemmap_shadow_hold(struct folio *folio, unsigned int lo,
			 unsigned int hi);
void vmemmap_shadow_fault_hold(unsigned long addr);
void vmemmap_shadow_walk_hold(unsigned long addr, pud_t *pudp);
void vmemmap_shadow_ref_hold(struct page *page);
void vmemmap_shadow_violation(const char *what);

extern bool vmemmap_shadow_broken;
extern bool vmemmap_shadow_booting;
int vmemmap_shadow_stats_show(struct seq_file *seq, void *unused);
extern const struct seq_operations vmemmap_shadow_state_sops;
#endif

#endif /* _ARM64_MM_VMEMMAP_SHADOW_H */
