# shellcheck shell=bash
# Interrupts as NMIs by the GIC's priorities: masking them no longer masks everything.
kernel guest
rare
machine 2 6G
append hugetlb_free_vmemmap=on irqchip.gicv3_pseudo_nmi=1

check "pools of every size" pools,hvo=on
check "cycles of alloc, demote, free" cases,cycles,rounds=10
check "readers of every struct page meanwhile" cases,readers,seconds=10
check "memory pressure during restore" cases,pressure
logs "the GIC has pseudo-NMIs" 1 'Pseudo-NMIs enabled'
